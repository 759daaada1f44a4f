//! Weisfeiler–Lehman refinement: subtree kernel and optimal assignment.

use super::{Counts, FeatureId, GraphKernel, LabelledGraph, hash::Absorb, kernel::graph_kernels};

/// Names of the nodes at levels 0, …, h: level 0 is the label, level t + 1 hashes the own name with the sorted names of the neighbours.
///
/// Names of different levels never agree: the level is part of the hash.
pub(crate) fn refine(graph: &LabelledGraph, iterations: usize, edges: bool) -> Vec<Vec<FeatureId>> {
    let n = graph.nodes();
    let mut levels = Vec::with_capacity(iterations + 1);
    levels.push((0..n).map(|v| Absorb::new(10).word(graph.label(v) as u64).finish()).collect::<Vec<_>>());
    let mut around: Vec<(i64, FeatureId)> = Vec::new();
    for level in 1..=iterations {
        let before = &levels[level - 1];
        let next = (0..n)
            .map(|v| {
                around.clear();
                if edges {
                    around.extend(graph.labelled_neighbours(v).map(|(u, label)| (label, before[u])));
                } else {
                    around.extend(graph.graph().row(v).0.iter().map(|&u| (0, before[u as usize])));
                }
                around.sort_unstable();
                let mut hash = Absorb::new(10 + level as u64).id(before[v]).word(around.len() as u64);
                for (label, name) in &around {
                    if edges {
                        hash = hash.word(*label as u64);
                    }
                    hash = hash.id(*name);
                }
                hash.finish()
            })
            .collect();
        levels.push(next);
    }
    levels
}

/// The Weisfeiler–Lehman subtree kernel: Σ over levels 0, …, h of the inner product of the counts of refined labels.
///
/// Without labels all nodes begin equal. Weights are ignored; out-neighbours of directed graphs. O(h m log d) a graph, explicit features
/// ([`crate::explicit_features`]). Names are 128-bit hashes ([`FeatureId`]).
///
/// Reference: Shervashidze et al., *Weisfeiler–Lehman graph kernels* (2011).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, GraphSet, LabelledGraph, WeisfeilerLehman};
/// let path = LabelledGraph::new(Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?);
/// assert_eq!(WeisfeilerLehman::new(1).eval(&path, &path), 9.0 + 4.0 + 1.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WeisfeilerLehman {
    pub(super) iterations: usize,
    pub(super) edge_labels: bool,
}

impl WeisfeilerLehman {
    /// h refinements.
    pub fn new(iterations: usize) -> Self {
        Self { iterations, edge_labels: false }
    }

    /// Whether labels of edges take part.
    pub fn edge_labels(mut self, on: bool) -> Self {
        self.edge_labels = on;
        self
    }

    fn counts(&self, graph: &LabelledGraph) -> Counts {
        Counts::of(refine(graph, self.iterations, self.edge_labels).concat())
    }
}

impl GraphKernel for WeisfeilerLehman {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        self.counts(graph)
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

/// The Weisfeiler–Lehman optimal assignment kernel: Σ over refined labels of the smaller of the two counts, the value of the best matching of
/// nodes in the hierarchy of labels.
///
/// Reference: Kriege et al., *On valid optimal assignment kernels* (2016).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WlAssignment(pub(super) WeisfeilerLehman);

impl WlAssignment {
    /// h refinements.
    pub fn new(iterations: usize) -> Self {
        Self(WeisfeilerLehman::new(iterations))
    }

    /// Whether labels of edges take part.
    pub fn edge_labels(self, on: bool) -> Self {
        Self(self.0.edge_labels(on))
    }
}

impl GraphKernel for WlAssignment {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        self.0.counts(graph)
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.intersection(y)
    }
}

graph_kernels!(WeisfeilerLehman, WlAssignment);
