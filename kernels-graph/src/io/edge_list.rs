//! Edge lists.

use std::{
    collections::HashMap,
    io::{BufRead, Write},
};

use super::{lines, parse, unwritten, wrong};
use crate::{Duplicates, Error, Graph, GraphBuilder};

/// Reads edges, one a line: two nodes and perhaps a weight, between spaces, tabs or commas; lines that begin with `#` or `%` and empty ones are skipped, and
/// so is a header. Nodes are numbers, or names numbered in the order of appearance when one of them is no number.
///
/// ```
/// use kernels_graph::EdgeList;
/// let (graph, names) = EdgeList::new().read("# friends\nana bob 2\nbob carl\n".as_bytes())?;
/// assert_eq!(graph.weight(0, 1), 2.0);
/// assert_eq!(names, ["ana", "bob", "carl"]);
/// let error = EdgeList::new().read("0 1\n0 1 heavy\n".as_bytes()).unwrap_err();
/// assert!(error.to_string().starts_with("line 2: "));
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeList {
    directed: bool,
    one_based: bool,
    duplicates: Duplicates,
    nodes: usize,
}

impl EdgeList {
    /// Undirected, from 0, repeated edges added, as many nodes as are named.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether edges are arrows.
    pub fn directed(mut self, on: bool) -> Self {
        self.directed = on;
        self
    }

    /// Whether numbers of nodes begin at 1.
    pub fn one_based(mut self, on: bool) -> Self {
        self.one_based = on;
        self
    }

    /// What to do with repeated edges.
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// At least this many nodes.
    pub fn nodes(mut self, at_least: usize) -> Self {
        self.nodes = at_least;
        self
    }

    /// The graph, and the names of its nodes; names are the numbers when all are numbers.
    ///
    /// # Errors
    /// [`Error::Parse`] with the line, and what [`GraphBuilder::build`] refuses.
    pub fn read(&self, reader: impl BufRead) -> Result<(Graph, Vec<String>), Error> {
        let mut list: Vec<(usize, String, String, f64)> = Vec::new();
        let mut first = true;
        lines(reader, |number, line| {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '%']) {
                return Ok(());
            }
            let fields: Vec<&str> = if line.contains(',') {
                line.split(',').map(str::trim).collect()
            } else {
                line.split_whitespace().collect()
            };
            let header = std::mem::replace(&mut first, false);
            if !(2..=3).contains(&fields.len()) {
                return Err(wrong(
                    number,
                    format!("two nodes and perhaps a weight expected, found {} fields", fields.len()),
                ));
            }
            let known =
                ["source", "target", "from", "to", "u", "v", "src", "dst", "weight", "node1", "node2"];
            if header && fields.iter().all(|field| known.contains(&field.to_lowercase().as_str())) {
                return Ok(());
            }
            let weight = match fields.get(2) {
                Some(text) => parse(number, "a weight", text)?,
                None => 1.0,
            };
            list.push((number, fields[0].to_owned(), fields[1].to_owned(), weight));
            Ok(())
        })?;
        let numeric = list.iter().all(|(_, u, v, _)| u.parse::<u64>().is_ok() && v.parse::<u64>().is_ok());
        let base = usize::from(self.one_based);
        let mut names: Vec<String> = Vec::new();
        let mut ids: HashMap<String, usize> = HashMap::new();
        let mut most = 0;
        let mut edges = Vec::with_capacity(list.len());
        for (number, u, v, weight) in list {
            let mut ends = [0; 2];
            for (end, text) in ends.iter_mut().zip([u, v]) {
                *end = if numeric {
                    let id: usize = parse(number, "a node", &text)?;
                    id.checked_sub(base).ok_or_else(|| wrong(number, "node 0, but nodes begin at 1"))?
                } else {
                    let next = ids.len();
                    *ids.entry(text).or_insert_with_key(|name| {
                        names.push(name.clone());
                        next
                    })
                };
                most = most.max(*end + 1);
                if most > u32::MAX as usize {
                    return Err(wrong(number, format!("node {end} is beyond what 32 bits can number")));
                }
            }
            if !(weight >= 0.0 && f64::is_finite(weight)) {
                return Err(wrong(number, format!("weight {weight} is not a finite number, 0 or above")));
            }
            edges.push((ends[0], ends[1], weight));
        }
        let nodes = most.max(self.nodes);
        if numeric {
            names = (0..nodes).map(|id| (id + base).to_string()).collect();
        }
        names.extend((names.len()..nodes).map(|id| id.to_string()));
        let graph =
            GraphBuilder::new(nodes).directed(self.directed).duplicates(self.duplicates).build(edges)?;
        Ok((graph, names))
    }
}

/// Writes one edge a line, from 0, with weights that read back bit for bit.
///
/// # Errors
/// [`Error::Io`].
pub fn write_edge_list(graph: &Graph, mut writer: impl Write) -> Result<(), Error> {
    for (u, v, w) in graph.edge_list() {
        writeln!(writer, "{u} {v} {w:?}").map_err(unwritten)?;
    }
    Ok(())
}
