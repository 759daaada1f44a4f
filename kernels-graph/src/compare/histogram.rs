//! Histograms of labels.

use super::{
    Counts, GraphKernel, LabelledGraph,
    hash::Absorb,
    kernel::graph_kernels,
};

/// Σ over labels of the product of the numbers of nodes that carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VertexHistogram;

/// Σ over edge labels of the product of the numbers of edges that carry it; every undirected edge counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EdgeHistogram;

impl GraphKernel for VertexHistogram {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        Counts::of((0..graph.nodes()).map(|v| Absorb::new(1).word(graph.label(v) as u64).finish()).collect())
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

impl GraphKernel for EdgeHistogram {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        let directed = graph.graph().is_directed();
        let mut names = Vec::new();
        for u in 0..graph.nodes() {
            for (v, label) in graph.labelled_neighbours(u).filter(|(v, _)| directed || u <= *v) {
                let _ = v;
                names.push(Absorb::new(2).word(label as u64).finish());
            }
        }
        Counts::of(names)
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

graph_kernels!(VertexHistogram, EdgeHistogram);
