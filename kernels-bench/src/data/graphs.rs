//! Graphs, sets of graphs and labels of nodes from files.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use flate2::read::MultiGzDecoder;
use kernels_graph::{
    EdgeList, Graph, Mesh, Symmetrize, TuDataset, read_graphml, read_matrix_market, read_metis, read_tu,
};

use super::read_table;
use crate::error::Error;

/// Where a graph comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct Source {
    /// Graph: Matrix Market (.mtx), GraphML (.graphml), METIS (.metis, .graph), a mesh (.off, .ply, .obj), anything else
    /// an edge list; .gz of these too. A folder is a set of graphs in the TU format.
    #[arg(long)]
    pub(crate) graph: PathBuf,
    /// Edges of a list or matrix are arrows.
    #[arg(long)]
    directed: bool,
    /// Make an undirected graph of arrows.
    #[arg(long, value_enum)]
    symmetrize: Option<Symmetrization>,
    /// Nodes of an edge list are numbered from 1.
    #[arg(long)]
    one_based: bool,
}

/// How arrows become edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Symmetrization {
    /// (A + Aᵀ)/2.
    Average,
    /// A + Aᵀ.
    Sum,
    /// The larger of both directions.
    Max,
}

/// A graph with the names of its nodes, which are those of the file.
pub(crate) struct Named {
    pub(crate) graph: Graph,
    pub(crate) names: Vec<String>,
}

impl Source {
    /// Whether it is a set of graphs.
    pub(crate) fn is_set(&self) -> bool {
        self.graph.is_dir()
    }

    pub(crate) fn read(&self) -> Result<Named, Error> {
        let path = self.graph.as_path();
        if self.is_set() {
            return Err(Error::content(path, "is a folder, a set of graphs; this needs one graph, a file"));
        }
        let wrong = |error: kernels_graph::Error| Error::content(path, error.to_string());
        let (reader, ending) = open(path)?;
        // Nodes by number, counted as the format counts.
        let numbered = |graph: Graph, first: usize| {
            let names = (first..first + graph.nodes()).map(|i| i.to_string()).collect();
            Named { graph, names }
        };
        let arrows = self.directed || self.symmetrize.is_some();
        let mut named = match ending.as_str() {
            "mtx" | "mm" => numbered(read_matrix_market(reader, arrows).map_err(wrong)?, 1),
            "graphml" | "xml" => {
                let (graph, names) = read_graphml(reader).map_err(wrong)?;
                Named { graph, names }
            }
            "metis" | "graph" => numbered(read_metis(reader).map_err(wrong)?, 1),
            "off" => numbered(Mesh::read_off(reader).and_then(|mesh| mesh.graph()).map_err(wrong)?, 0),
            "ply" => numbered(Mesh::read_ply(reader).and_then(|mesh| mesh.graph()).map_err(wrong)?, 0),
            "obj" => numbered(Mesh::read_obj(reader).and_then(|mesh| mesh.graph()).map_err(wrong)?, 1),
            _ => {
                let list = EdgeList::new().directed(arrows).one_based(self.one_based);
                let (graph, names) = list.read(reader).map_err(wrong)?;
                Named { graph, names }
            }
        };
        if let Some(how) = self.symmetrize {
            let how = match how {
                Symmetrization::Average => Symmetrize::Average,
                Symmetrization::Sum => Symmetrize::Sum,
                Symmetrization::Max => Symmetrize::Max,
            };
            named.graph = named.graph.symmetrize(how).map_err(wrong)?;
        }
        if named.graph.nodes() == 0 {
            return Err(Error::content(path, "holds no nodes"));
        }
        Ok(named)
    }

    /// The set of graphs in a folder with one `NAME_graph_indicator.txt`.
    pub(crate) fn read_set(&self) -> Result<TuDataset, Error> {
        const MARK: &str = "_graph_indicator.txt";
        let folder = self.graph.as_path();
        let entries = fs::read_dir(folder).map_err(|e| Error::file(folder, "read", e))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(MARK).map(str::to_owned))
            .collect();
        names.sort();
        match names.as_slice() {
            [name] => read_tu(folder, name).map_err(|error| Error::content(folder, error.to_string())),
            [] => Err(Error::content(folder, format!("has no file NAME{MARK}: it is no set of graphs"))),
            _ => Err(Error::content(folder, format!("holds several sets: {}", names.join(", ")))),
        }
    }
}

/// A file, unpacked, and its ending.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, String), Error> {
    let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    let ending = |path: &Path| path.extension().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    Ok(match ending(path).as_str() {
        "gz" => (Box::new(BufReader::new(MultiGzDecoder::new(file))), ending(&path.with_extension(""))),
        other => (Box::new(BufReader::new(file)), other.to_owned()),
    })
}

/// (node, label or none) of the lines of a table, and the names of the labels in order. Columns `node` and `label`, or the first two.
pub(crate) fn read_labels(path: &Path, nodes: &[String]) -> Result<NodeLabels, Error> {
    let table = read_table(path)?;
    let column = |name: &str, place: usize| {
        let named = table.columns.iter().find(|c| c.name == name).or_else(|| table.columns.get(place));
        named.ok_or_else(|| Error::content(path, "needs two columns: node and label"))
    };
    let (ids, labels) = (column("node", 0)?.values.to_words(), column("label", 1)?.values.to_words());
    let known: HashMap<&str, usize> = nodes.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut names: Vec<String> = labels.iter().flatten().cloned().collect();
    names.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    names.dedup();
    let mut rows = Vec::with_capacity(table.rows);
    for (row, (id, label)) in ids.into_iter().zip(labels).enumerate() {
        let line = row + table.first_line;
        let id = id.ok_or_else(|| Error::content(path, format!("line {line}: no node")))?;
        let node = known.get(id.as_str()).copied().ok_or_else(|| {
            Error::content(
                path,
                format!("line {line}: the graph has no node `{id}`; nodes are named as in its file"),
            )
        })?;
        rows.push((node, label.and_then(|label| names.iter().position(|name| *name == label))));
    }
    Ok(NodeLabels { rows, names })
}

/// What [`read_labels`] reads.
pub(crate) struct NodeLabels {
    /// Node and index of its label.
    pub(crate) rows: Vec<(usize, Option<usize>)>,
    /// Names of the labels.
    pub(crate) names: Vec<String>,
}
