//! METIS graph files.

use std::io::{BufRead, Write};

use super::{lines, parse, unwritten, wrong};
use crate::{Error, Graph};

/// Reads a METIS graph: `n m [fmt [ncon]]`, then a line of neighbours (from 1) a node; a blank line is an isolated node. Sizes and weights of nodes are skipped.
///
/// # Errors
/// [`Error::Parse`] with the line: too few or too many nodes or edges; [`Error::Asymmetric`] when an edge is listed at one end only.
///
/// ```
/// let graph = kernels_graph::read_metis("3 2 1\n2 5\n1 5 3 1\n2 1\n".as_bytes())?;
/// assert_eq!(graph.weight(0, 1), 5.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn read_metis(reader: impl BufRead) -> Result<Graph, Error> {
    let mut head: Option<(usize, usize, usize, bool)> = None;
    let (mut node, mut entries, mut last) = (0, Vec::new(), 0);
    lines(reader, |number, line| {
        last = number;
        let line = line.trim();
        if line.starts_with('%') {
            return Ok(());
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some((n, _, skip, weighted)) = head else {
            if fields.is_empty() {
                return Ok(());
            }
            if !(2..=4).contains(&fields.len()) {
                return Err(wrong(number, "header n m [fmt [ncon]] expected"));
            }
            let format = format!("{:0>3}", fields.get(2).copied().unwrap_or("0"));
            if format.len() != 3 || !format.bytes().all(|b| b == b'0' || b == b'1') {
                return Err(wrong(number, format!("fmt {format:?} must be three digits of 0 and 1")));
            }
            let on = |at: usize| format.as_bytes()[at] == b'1';
            let constraints = fields.get(3).map_or(Ok(1), |text| parse(number, "ncon", text))?;
            let skip = usize::from(on(0)) + if on(1) { constraints } else { 0 };
            head = Some((parse(number, "n", fields[0])?, parse(number, "m", fields[1])?, skip, on(2)));
            return Ok(());
        };
        if node == n {
            return if fields.is_empty() {
                Ok(())
            } else {
                Err(wrong(number, format!("more than the {n} nodes promised")))
            };
        }
        if fields.len() < skip || (weighted && !(fields.len() - skip).is_multiple_of(2)) {
            return Err(wrong(number, "a neighbour without its weight, or a node without its own"));
        }
        for pair in fields[skip..].chunks(if weighted { 2 } else { 1 }) {
            let to: usize = parse(number, "a neighbour", pair[0])?;
            if to == 0 || to > n {
                return Err(wrong(number, format!("neighbour {to} is outside 1 to {n}")));
            }
            let weight: f64 = pair.get(1).map_or(Ok(1.0), |text| parse(number, "a weight", text))?;
            entries.push((node, to - 1, weight));
        }
        node += 1;
        Ok(())
    })?;
    let Some((n, m, _, _)) = head else { return Err(wrong(last, "the file has no header n m")) };
    if node < n {
        return Err(wrong(last, format!("{n} nodes promised, {node} found")));
    }
    if entries.len() != 2 * m {
        return Err(wrong(
            last,
            format!("{m} edges are {} entries, but {} are listed", 2 * m, entries.len()),
        ));
    }
    Graph::directed(n, entries)?.symmetrize(crate::Symmetrize::Error)
}

/// Writes with edge weights (fmt 1). Weights of METIS are integers; others are written as they are.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unsupported`] for loops or directions, which the format does not have.
pub fn write_metis(graph: &Graph, mut writer: impl Write) -> Result<(), Error> {
    if graph.is_directed() || graph.edge_list().any(|(u, v, _)| u == v) {
        return Err(Error::Unsupported {
            what: "METIS files of loops or directed edges",
            hint: "use another format",
        });
    }
    writeln!(writer, "{} {} 1", graph.nodes(), graph.edges()).map_err(unwritten)?;
    for u in 0..graph.nodes() {
        let list: Vec<String> = graph.neighbours(u).map(|(v, w)| format!("{} {w}", v + 1)).collect();
        writeln!(writer, "{}", list.join(" ")).map_err(unwritten)?;
    }
    Ok(())
}
