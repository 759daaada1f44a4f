//! Graphs with labels and attributes, and sets of them as points.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use kernels_core::Points;
use nalgebra::DMatrix;

use crate::{Error, Graph, error::shape};

/// A graph with what its nodes and edges carry: integer labels, and vectors of attributes.
///
/// ```
/// use kernels_graph::{Graph, LabelledGraph};
/// let path = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?;
/// let molecule = LabelledGraph::new(path).node_labels(vec![6, 6, 8])?.edge_labels([(0, 1, 1), (1, 2, 2)])?;
/// assert_eq!(molecule.label(2), 8);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledGraph {
    graph: Graph,
    node_labels: Option<Vec<i64>>,
    /// One an entry of the adjacency.
    edge_labels: Option<Vec<i64>>,
    attributes: Option<DMatrix<f64>>,
}

impl LabelledGraph {
    /// A graph without labels: all nodes and edges then count as equal.
    pub fn new(graph: Graph) -> Self {
        Self { graph, node_labels: None, edge_labels: None, attributes: None }
    }

    /// Labels of the nodes.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`] unless there is one a node.
    pub fn node_labels(mut self, labels: Vec<i64>) -> Result<Self, Error> {
        shape("node labels", self.graph.nodes(), labels.len())?;
        self.node_labels = Some(labels);
        Ok(self)
    }

    /// The same with other labels, one a node.
    pub(crate) fn with_labels(&self, labels: Vec<i64>) -> Self {
        Self { node_labels: Some(labels), ..self.clone() }
    }

    /// Labels of edges (u, v, label), either way round for an undirected graph; edges that are not listed have label 0.
    ///
    /// # Errors
    /// [`Error::Node`]; [`Error::Unsupported`] for a label of a pair that is not an edge.
    pub fn edge_labels(
        mut self,
        labels: impl IntoIterator<Item = (usize, usize, i64)>,
    ) -> Result<Self, Error> {
        let mut all = vec![0; self.graph.adjacency().nnz()];
        for (u, v, label) in labels {
            for (from, to) in [(u, v), (v, u)] {
                if from >= self.graph.nodes() {
                    return Err(Error::Node { what: "an edge label", node: from, nodes: self.graph.nodes() });
                }
                let range = self.graph.adjacency().indptr().outer_inds_sz(from);
                match self.graph.row(from).0.binary_search(&(to as u32)) {
                    Ok(at) => all[range.start + at] = label,
                    Err(_) if self.graph.is_directed() && (from, to) != (u, v) => {}
                    Err(_) => {
                        return Err(Error::Unsupported {
                            what: "a label of a pair of nodes without an edge",
                            hint: "label edges of the graph only",
                        });
                    }
                }
                if self.graph.is_directed() {
                    break;
                }
            }
        }
        self.edge_labels = Some(all);
        Ok(self)
    }

    /// Attributes of the nodes, one row a node.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`], [`kernels_core::Error::NotFinite`].
    pub fn attributes(mut self, attributes: DMatrix<f64>) -> Result<Self, Error> {
        shape("rows of attributes", self.graph.nodes(), attributes.nrows())?;
        if let Some(at) = attributes.iter().position(|v| !v.is_finite()) {
            let (row, column) = (at % attributes.nrows(), at / attributes.nrows());
            return Err(kernels_core::Error::NotFinite { row, column, value: attributes[at] }.into());
        }
        self.attributes = Some(attributes);
        Ok(self)
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.graph.nodes()
    }

    /// Whether the nodes have labels.
    pub fn has_node_labels(&self) -> bool {
        self.node_labels.is_some()
    }

    /// Whether there are labels of edges.
    pub fn has_edge_labels(&self) -> bool {
        self.edge_labels.is_some()
    }

    /// Label of a node; 0 without labels.
    pub fn label(&self, node: usize) -> i64 {
        self.node_labels.as_ref().and_then(|labels| labels.get(node)).copied().unwrap_or(0)
    }

    /// Attributes of the nodes, one row a node.
    pub fn node_attributes(&self) -> Option<&DMatrix<f64>> {
        self.attributes.as_ref()
    }

    /// (neighbour, label of the edge) of a node.
    pub fn labelled_neighbours(&self, node: usize) -> impl Iterator<Item = (usize, i64)> + '_ {
        let range =
            if node < self.nodes() { self.graph.adjacency().indptr().outer_inds_sz(node) } else { 0..0 };
        let start = range.start;
        self.graph.adjacency().indices()[range].iter().enumerate().map(move |(at, &v)| {
            (v as usize, self.edge_labels.as_ref().map_or(0, |labels| labels[start + at]))
        })
    }

    /// The same labelled graph with node i renamed `order[i]`.
    ///
    /// # Errors
    /// As [`Graph::relabel`].
    pub fn relabel(&self, order: &[usize]) -> Result<Self, Error> {
        let mut out = Self::new(self.graph.relabel(order)?);
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(i, &to)| back[to] = i);
        if self.node_labels.is_some() {
            out = out.node_labels(back.iter().map(|&i| self.label(i)).collect())?;
        }
        if self.edge_labels.is_some() {
            let mut labels = Vec::new();
            for u in 0..self.nodes() {
                labels.extend(self.labelled_neighbours(u).map(|(v, label)| (order[u], order[v], label)));
            }
            out = out.edge_labels(labels)?;
        }
        if let Some(a) = &self.attributes {
            out = out.attributes(DMatrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(back[i], j)]))?;
        }
        Ok(out)
    }
}

/// A graph of a set, with what kernels have reduced it to.
#[derive(Debug)]
pub(super) struct Member {
    graph: LabelledGraph,
    /// Forms by kernel, the latest last.
    forms: Mutex<Vec<(Arc<str>, Form)>>,
}

impl Member {
    pub(super) fn new(graph: LabelledGraph) -> Arc<Self> {
        Arc::new(Self { graph, forms: Mutex::new(Vec::new()) })
    }
}

/// What a kernel reduced a graph to.
type Form = Arc<dyn Any + Send + Sync>;

/// Forms that a graph keeps: those of a kernel, of its neighbours in a sum, and of the kernel before.
const KEPT: usize = 4;

/// Graphs as points: what kernels between graphs compare. Cloning and cutting share the graphs.
///
/// A graph is reduced to what a kernel compares once: the set keeps that for the four kernels used last, so that a matrix, a
/// cross-validation and predictions do not do it again.
///
/// ```
/// use kernels_core::gram;
/// use kernels_graph::{Graph, GraphSet, LabelledGraph, WeisfeilerLehman};
/// let edge = LabelledGraph::new(Graph::undirected(2, [(0, 1, 1.0)])?);
/// let pair = LabelledGraph::new(Graph::undirected(2, [])?);
/// let k = gram(&WeisfeilerLehman::new(1), &GraphSet::new(vec![edge, pair]))?;
/// assert_eq!((k[(0, 0)], k[(0, 1)]), (8.0, 4.0));
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphSet {
    graphs: Arc<[Arc<Member>]>,
}

impl GraphSet {
    /// The given graphs.
    pub fn new(graphs: Vec<LabelledGraph>) -> Self {
        Self::of(graphs.into_iter().map(Member::new).collect())
    }

    /// Graphs that may be in other sets too.
    pub(super) fn of(members: Vec<Arc<Member>>) -> Self {
        Self { graphs: members.into() }
    }

    /// The graphs.
    pub fn iter(&self) -> impl Iterator<Item = &LabelledGraph> {
        self.graphs.iter().map(|member| &member.graph)
    }

    /// The form of a graph under the kernel of this text, made by `make` unless it is known.
    pub(crate) fn form<F: Send + Sync + 'static>(
        &self,
        i: usize,
        kernel: &Arc<str>,
        make: impl FnOnce(&LabelledGraph) -> F,
    ) -> Arc<F> {
        let member = &self.graphs[i];
        // Nothing panics while it holds the lock; forms are whole whenever it is free.
        let lock = || member.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().iter().find(|(name, _)| name == kernel).map(|(_, form)| form.clone());
        if let Some(form) = known.and_then(|form| form.downcast().ok()) {
            return form;
        }
        let form = Arc::new(make(&member.graph));
        let mut forms = lock();
        forms.retain(|(name, _)| name != kernel);
        if forms.len() == KEPT {
            forms.remove(0);
        }
        forms.push((kernel.clone(), form.clone()));
        form
    }
}

impl Points for GraphSet {
    type Scalar = f64;
    type Point<'a> = &'a LabelledGraph;

    fn len(&self) -> usize {
        self.graphs.len()
    }
    fn point(&self, i: usize) -> &LabelledGraph {
        &self.graphs[i].graph
    }
    fn subset(&self, indices: &[usize]) -> Result<Self, kernels_core::Error> {
        let one = |&i: &usize| {
            self.graphs.get(i).cloned().ok_or(kernels_core::Error::Shape {
                what: "index of a point (below)",
                expected: self.len(),
                given: i,
            })
        };
        Ok(Self { graphs: indices.iter().map(one).collect::<Result<_, _>>()? })
    }
}
