//! The TU text format of sets of graphs.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    path::Path,
};

use nalgebra::DMatrix;

use super::{lines, parse, unwritten, wrong};
use crate::{Duplicates, Error, GraphBuilder, GraphSet, LabelledGraph};

/// A set of graphs with their classes.
#[derive(Clone, Debug)]
pub struct TuDataset {
    /// The graphs, with the labels and attributes there are.
    pub graphs: GraphSet,
    /// Class of each graph as in the file; empty without a file of labels.
    pub classes: Vec<i64>,
}

/// Reads the set NAME in `folder`: `NAME_A.txt` and `NAME_graph_indicator.txt`, and where there are, graph labels, node labels, node attributes and edge
/// labels. Edges are listed in both directions, from 1.
///
/// # Errors
/// [`Error::Io`] with the file, [`Error::Parse`] with the file and line: an edge between graphs, too few lines.
pub fn read_tu(folder: impl AsRef<Path>, name: &str) -> Result<TuDataset, Error> {
    let path = |part: &str| folder.as_ref().join(format!("{name}_{part}.txt"));
    let indicator: Vec<usize> = column(&path("graph_indicator"), true)?.unwrap_or_default();
    let count = indicator.iter().copied().max().unwrap_or(0);
    let n = indicator.len();
    let (mut local, mut sizes) = (vec![0; n], vec![0usize; count]);
    for (node, &graph) in indicator.iter().enumerate() {
        if graph == 0 || graph > n {
            return Err(named(
                &path("graph_indicator"),
                wrong(node + 1, format!("graph {graph} is outside 1 to {n}")),
            ));
        }
        local[node] = sizes[graph - 1];
        sizes[graph - 1] += 1;
    }
    let node_labels: Option<Vec<i64>> = sized(&path("node_labels"), n)?;
    let attributes: Option<Vec<Vec<f64>>> = match table::<f64>(&path("node_attributes"), false)? {
        Some(rows) if rows.len() != n => return Err(short(&path("node_attributes"), n, rows.len())),
        other => other,
    };
    let arrows = table::<usize>(&path("A"), true)?.unwrap_or_default();
    let edge_labels: Option<Vec<i64>> = sized(&path("edge_labels"), arrows.len())?;
    let mut edges = vec![Vec::new(); count];
    let mut labels = vec![Vec::new(); count];
    for (at, row) in arrows.iter().enumerate() {
        let file = path("A");
        let fail = |message: String| named(&file, wrong(at + 1, message));
        let &[u, v] = row.as_slice() else {
            return Err(fail(format!("two nodes expected, found {}", row.len())));
        };
        if u == 0 || v == 0 || u > n || v > n {
            return Err(fail(format!("edge {u}, {v} is outside 1 to {n}")));
        }
        let graph = indicator[u - 1];
        if graph != indicator[v - 1] {
            return Err(fail(format!("edge {u}, {v} joins graphs {graph} and {}", indicator[v - 1])));
        }
        edges[graph - 1].push((local[u - 1], local[v - 1], 1.0));
        if let Some(all) = &edge_labels {
            labels[graph - 1].push((local[u - 1], local[v - 1], all[at]));
        }
    }
    let mut parts: Vec<(Vec<i64>, Vec<f64>)> = vec![Default::default(); count];
    for (node, &graph) in indicator.iter().enumerate() {
        if let Some(labels) = &node_labels {
            parts[graph - 1].0.push(labels[node]);
        }
        if let Some(rows) = &attributes {
            if rows[node].len() != rows[0].len() {
                let message = format!("{} attributes, {} before", rows[node].len(), rows[0].len());
                return Err(named(&path("node_attributes"), wrong(node + 1, message)));
            }
            parts[graph - 1].1.extend(&rows[node]);
        }
    }
    let mut graphs = Vec::with_capacity(count);
    for (g, (own, values)) in parts.into_iter().enumerate() {
        let graph =
            GraphBuilder::new(sizes[g]).duplicates(Duplicates::Max).build(std::mem::take(&mut edges[g]))?;
        let mut out = LabelledGraph::new(graph);
        if node_labels.is_some() {
            out = out.node_labels(own)?;
        }
        if edge_labels.is_some() {
            out = out.edge_labels(std::mem::take(&mut labels[g]))?;
        }
        if attributes.is_some() {
            let width = values.len() / sizes[g].max(1);
            out = out.attributes(DMatrix::from_row_slice(sizes[g], width, &values))?;
        }
        graphs.push(out);
    }
    let classes = sized(&path("graph_labels"), count)?.unwrap_or_default();
    Ok(TuDataset { graphs: GraphSet::new(graphs), classes })
}

/// Writes the set NAME into `folder`, as [`read_tu`] reads it; each file appears when it is complete.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unsupported`] for directed graphs, graphs without nodes, and labels or attributes that only some of the graphs
/// have, none of which the format can hold.
pub fn write_tu(folder: impl AsRef<Path>, name: &str, set: &TuDataset) -> Result<(), Error> {
    let graphs: Vec<&LabelledGraph> = set.graphs.iter().collect();
    if graphs.iter().any(|g| g.nodes() == 0 || g.graph().is_directed()) {
        let what = "TU files of directed graphs or of graphs without nodes";
        return Err(Error::Unsupported { what, hint: "symmetrize the graphs, leave empty ones out" });
    }
    let all = |has: &dyn Fn(&LabelledGraph) -> bool| match graphs.iter().filter(|g| has(g)).count() {
        0 => Ok(false),
        count if count == graphs.len() => Ok(true),
        _ => Err(Error::Unsupported {
            what: "TU files in which only some graphs have labels or attributes",
            hint: "give them to all graphs, or to none",
        }),
    };
    let write = |part: &str, each: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>| {
        let (path, partial) =
            (format!("{name}_{part}.txt"), folder.as_ref().join(format!("{name}_{part}.txt.partial")));
        let write = || {
            let mut writer = BufWriter::new(File::create(&partial)?);
            each(&mut writer)?;
            writer.into_inner()?.sync_all()?;
            fs::rename(&partial, folder.as_ref().join(path))
        };
        write().map_err(unwritten)
    };
    let nodes = || graphs.iter().enumerate().flat_map(|(g, graph)| (0..graph.nodes()).map(move |v| (g, v)));
    // Nodes count from 1, through all graphs.
    let mut starts = vec![1];
    graphs.iter().for_each(|g| starts.push(starts[starts.len() - 1] + g.nodes()));
    let arrows = || {
        nodes().flat_map(|(g, u)| graphs[g].labelled_neighbours(u).map(move |(v, label)| (g, u, v, label)))
    };
    write("graph_indicator", &mut |to| nodes().try_for_each(|(g, _)| writeln!(to, "{}", g + 1)))?;
    write("A", &mut |to| {
        arrows().try_for_each(|(g, u, v, _)| writeln!(to, "{}, {}", starts[g] + u, starts[g] + v))
    })?;
    if all(&LabelledGraph::has_node_labels)? {
        write("node_labels", &mut |to| {
            nodes().try_for_each(|(g, v)| writeln!(to, "{}", graphs[g].label(v)))
        })?;
    }
    if all(&LabelledGraph::has_edge_labels)? {
        write("edge_labels", &mut |to| arrows().try_for_each(|(.., label)| writeln!(to, "{label}")))?;
    }
    if all(&|g| g.node_attributes().is_some())? {
        write("node_attributes", &mut |to| {
            nodes().try_for_each(|(g, v)| {
                let row = graphs[g]
                    .node_attributes()
                    .map(|a| a.row(v).iter().map(f64::to_string).collect::<Vec<_>>());
                writeln!(to, "{}", row.unwrap_or_default().join(", "))
            })
        })?;
    }
    if !set.classes.is_empty() {
        write("graph_labels", &mut |to| set.classes.iter().try_for_each(|class| writeln!(to, "{class}")))?;
    }
    Ok(())
}

fn named(path: &Path, error: Error) -> Error {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match error {
        Error::Parse { line, message } => Error::Parse { line, message: format!("{file}: {message}") },
        other => other,
    }
}

fn short(path: &Path, expected: usize, given: usize) -> Error {
    named(path, wrong(given, format!("{expected} lines expected, {given} found")))
}

/// Rows of numbers; `None` when a file that may be missing is.
fn table<T: std::str::FromStr>(path: &Path, needed: bool) -> Result<Option<Vec<Vec<T>>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => return Ok(None),
        Err(error) => return Err(Error::Io { what: path.display().to_string(), message: error.to_string() }),
    };
    let mut out = Vec::new();
    lines(BufReader::new(file), |number, line| {
        if !line.trim().is_empty() {
            out.push(line.split(',').map(|text| parse(number, "a number", text)).collect::<Result<_, _>>()?);
        }
        Ok(())
    })
    .map_err(|error| named(path, error))?;
    Ok(Some(out))
}

fn column<T: std::str::FromStr>(path: &Path, needed: bool) -> Result<Option<Vec<T>>, Error> {
    let Some(rows) = table(path, needed)? else { return Ok(None) };
    let one = |(at, mut row): (usize, Vec<T>)| {
        row.truncate(1);
        row.pop().ok_or_else(|| named(path, wrong(at + 1, "a number expected")))
    };
    rows.into_iter().enumerate().map(one).collect::<Result<_, _>>().map(Some)
}

fn sized<T: std::str::FromStr>(path: &Path, expected: usize) -> Result<Option<Vec<T>>, Error> {
    match column(path, false)? {
        Some(values) if values.len() != expected => Err(short(path, expected, values.len())),
        other => Ok(other),
    }
}
