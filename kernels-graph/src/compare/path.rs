//! The shortest-path kernel.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{Counts, FeatureId, GraphKernel, LabelledGraph, hash::Absorb, kernel::graph_kernels};
use crate::{Error, Graph};

/// Counts of ordered pairs of different nodes by (label, label, distance): an unordered pair counts in both directions.
///
/// Unit lengths by default, or edge weights as lengths, rounded to a tolerance. Explicit features. O(n m) a graph with unit lengths.
///
/// Reference: Borgwardt & Kriegel, *Shortest-path kernels on graphs* (2005).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, LabelledGraph, ShortestPath};
/// let path = LabelledGraph::new(Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?);
/// assert_eq!(ShortestPath::new().eval(&path, &path), 16.0 + 4.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShortestPath {
    pub(super) labels: bool,
    pub(super) tolerance: Option<f64>,
}

impl ShortestPath {
    /// Unit lengths, with node labels.
    pub fn new() -> Self {
        Self { labels: true, tolerance: None }
    }

    /// Whether labels of the two ends take part.
    pub fn labels(mut self, on: bool) -> Self {
        self.labels = on;
        self
    }

    /// Takes weights as lengths; distances that round to the same multiple of `tolerance` are equal.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] when it is not above 0.
    pub fn weighted(mut self, tolerance: f64) -> Result<Self, Error> {
        self.tolerance = Some(crate::error::positive("tolerance", tolerance)?);
        Ok(self)
    }
}

impl Default for ShortestPath {
    fn default() -> Self {
        Self::new()
    }
}

impl GraphKernel for ShortestPath {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        let g = graph.graph();
        let label = |v: usize| if self.labels { graph.label(v) } else { 0 };
        let mut all: Vec<(i64, i64, i64)> = Vec::new();
        let mut lengths = Vec::new();
        for u in 0..g.nodes() {
            distances(g, u, self.tolerance, &mut lengths);
            all.extend(
                lengths
                    .iter()
                    .enumerate()
                    .filter(|(v, d)| *v != u && **d >= 0)
                    .map(|(v, d)| (label(u), label(v), *d)),
            );
        }
        // Count before hashing: there are few kinds of pairs.
        all.sort_unstable();
        let mut pairs: Vec<(FeatureId, f64)> = Vec::new();
        let mut at = 0;
        while at < all.len() {
            let key = all[at];
            let end = at + all[at..].iter().take_while(|other| **other == key).count();
            let name = Absorb::new(3).word(key.0 as u64).word(key.1 as u64).word(key.2 as u64).finish();
            pairs.push((name, (end - at) as f64));
            at = end;
        }
        Counts::weighted(pairs)
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

graph_kernels!(ShortestPath);

/// Lengths of shortest paths from a node, in edges or in multiples of a tolerance; −1 where there is no path.
pub(super) fn distances(graph: &Graph, from: usize, tolerance: Option<f64>, out: &mut Vec<i64>) {
    match tolerance {
        None => breadth_first(graph, from, out),
        Some(tolerance) => {
            out.clear();
            let rounded = |d: f64| if d.is_finite() { (d / tolerance).round() as i64 } else { -1 };
            out.extend(dijkstra(graph, from).into_iter().map(rounded));
        }
    }
}

/// Numbers of edges from a node; −1 where there is no path.
fn breadth_first(graph: &Graph, from: usize, out: &mut Vec<i64>) {
    out.clear();
    out.resize(graph.nodes(), -1);
    out[from] = 0;
    let mut queue = VecDeque::from([from]);
    while let Some(u) = queue.pop_front() {
        for &v in graph.row(u).0 {
            if out[v as usize] < 0 {
                out[v as usize] = out[u] + 1;
                queue.push_back(v as usize);
            }
        }
    }
}

/// Lengths of shortest paths from a node by weights; infinite where there is none.
fn dijkstra(graph: &Graph, from: usize) -> Vec<f64> {
    let mut out = vec![f64::INFINITY; graph.nodes()];
    out[from] = 0.0;
    // Bits of floats that are not negative order as the floats do.
    let mut heap = BinaryHeap::from([(Reverse(0u64), from)]);
    while let Some((Reverse(bits), u)) = heap.pop() {
        let length = f64::from_bits(bits);
        if length > out[u] {
            continue;
        }
        for (v, weight) in graph.neighbours(u) {
            let next = length + weight;
            if next < out[v] {
                out[v] = next;
                heap.push((Reverse(next.to_bits()), v));
            }
        }
    }
    out
}
