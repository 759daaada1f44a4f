//! Columns of inverses by local push: work that does not depend on the size of the graph.

use std::collections::VecDeque;

use crate::{
    Error, Graph,
    error::{parameter, positive},
};

/// Which inverse a push approximates a column of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Push {
    /// (αI + D − A)⁻¹, α > 0.
    Laplacian {
        /// α.
        alpha: f64,
    },
    /// α(I − (1−α)AD⁻¹)⁻¹, α in (0, 1]: personalised PageRank.
    PageRank {
        /// α.
        alpha: f64,
    },
}

/// A column by local push: x with 0 ≤ x ≤ exact entrywise, and the residual r that says how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct PushColumn {
    /// (node, value) of the approximation, ascending nodes.
    pub values: Vec<(usize, f64)>,
    /// (node, residual), ascending nodes: exact = x + M r, M the inverse (times α for the Laplacian).
    pub residual: Vec<(usize, f64)>,
    /// Number of pushes.
    pub pushes: usize,
}

impl PushColumn {
    /// Σ r. For PageRank of a node with edges it is ‖exact − x‖₁, for the Laplacian it bounds it: ‖exact − x‖₁ = Σ r.
    pub fn error(&self) -> f64 {
        self.residual.iter().map(|(_, r)| r).sum()
    }
}

/// Pushes from one node after another on one graph, with buffers of n values made once.
///
/// First in, first out: pop u; while rᵤ > ε dᵤ its residual moves to xᵤ and to the neighbours, which join the queue.
///
/// Reference: Andersen, Chung & Lang, *Local graph partitioning using PageRank vectors* (2006); *Fast online node labeling* (2023).
///
/// ```
/// use kernels_graph::{Graph, Push, Pusher};
/// let path = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?;
/// let column = Pusher::new(&path)?.column(Push::PageRank { alpha: 0.2 }, 0, 1e-9)?;
/// let total: f64 = column.values.iter().map(|(_, x)| x).sum();
/// assert!((total + column.error() - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pusher<'a> {
    graph: &'a Graph,
    degrees: Vec<f64>,
    x: Vec<f64>,
    r: Vec<f64>,
    queued: Vec<bool>,
    touched: Vec<usize>,
    seen: Vec<bool>,
}

impl<'a> Pusher<'a> {
    /// Buffers for a graph.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a directed graph.
    pub fn new(graph: &'a Graph) -> Result<Self, Error> {
        graph.need_undirected()?;
        let n = graph.nodes();
        Ok(Self {
            graph,
            degrees: graph.degrees(),
            x: vec![0.0; n],
            r: vec![0.0; n],
            queued: vec![false; n],
            touched: Vec::new(),
            seen: vec![false; n],
        })
    }

    pub(crate) fn degree(&self, node: usize) -> f64 {
        self.degrees[node]
    }

    /// The column of `seed`, to residuals of at most ε dᵤ. Work O(1/(αε)) for PageRank, whatever the graph.
    ///
    /// # Errors
    /// Parameters out of range, an unknown seed.
    pub fn column(&mut self, what: Push, seed: usize, epsilon: f64) -> Result<PushColumn, Error> {
        positive("epsilon", epsilon)?;
        let n = self.graph.nodes();
        if seed >= n {
            return Err(Error::Node { what: "the seed of a push", node: seed, nodes: n });
        }
        let alpha = match what {
            Push::Laplacian { alpha } => positive("alpha", alpha)?,
            Push::PageRank { alpha } if alpha > 0.0 && alpha <= 1.0 => alpha,
            Push::PageRank { alpha } => return Err(parameter("alpha", alpha, "above 0, at most 1")),
        };
        if self.degrees[seed] <= 0.0 {
            let value = if matches!(what, Push::PageRank { .. }) { alpha } else { 1.0 / alpha };
            return Ok(PushColumn { values: vec![(seed, value)], residual: Vec::new(), pushes: 0 });
        }
        let mut queue = VecDeque::from([seed]);
        self.touch(seed);
        self.queued[seed] = true;
        self.r[seed] = if matches!(what, Push::PageRank { .. }) { 1.0 } else { 1.0 / alpha };
        let mut pushes = 0;
        while let Some(u) = queue.pop_front() {
            self.queued[u] = false;
            let (r, d) = (self.r[u], self.degrees[u]);
            if r <= epsilon * d {
                continue;
            }
            pushes += 1;
            let (stay, spread) = match what {
                Push::Laplacian { .. } => (alpha * r / (alpha + d), r / (alpha + d)),
                Push::PageRank { .. } => (alpha * r, (1.0 - alpha) * r / d),
            };
            self.x[u] += stay;
            self.r[u] = 0.0;
            let graph = self.graph;
            for (v, w) in graph.neighbours(u) {
                self.touch(v);
                self.r[v] += w * spread;
                if !self.queued[v] {
                    self.queued[v] = true;
                    queue.push_back(v);
                }
            }
        }
        self.touched.sort_unstable();
        let mut out = PushColumn { values: Vec::new(), residual: Vec::new(), pushes };
        for &v in &self.touched {
            if self.x[v] > 0.0 {
                out.values.push((v, self.x[v]));
            }
            if self.r[v] > 0.0 {
                out.residual.push((v, self.r[v]));
            }
            (self.x[v], self.r[v], self.seen[v], self.queued[v]) = (0.0, 0.0, false, false);
        }
        self.touched.clear();
        Ok(out)
    }

    fn touch(&mut self, v: usize) {
        if !self.seen[v] {
            self.seen[v] = true;
            self.touched.push(v);
        }
    }
}
