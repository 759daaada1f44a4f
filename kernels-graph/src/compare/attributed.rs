//! The shortest-path kernel with attributes.

use kernels_core::Points;
use nalgebra::DMatrix;

use super::{GraphKernel, GraphSet, LabelledGraph, kernel::graph_kernels, path::distances};
use crate::{Error, error::positive};

/// Σ k(aᵤ, aᵤ') k(aᵥ, aᵥ') over ordered pairs u ≠ v of one graph and u' ≠ v' of the other at equal distances, with k = exp(−γ‖a − a'‖²) of the attributes
/// of nodes, or 0 for nodes whose labels differ when labels take part.
///
/// With Kᵤᵤ' = k and D_d the pairs at distance d, it is Σ_d ⟨K, D_d K D'_dᵀ⟩: O(n n' (n + n')) a pair of graphs instead of n² n'².
///
/// Reference: Borgwardt & Kriegel, *Shortest-path kernels on graphs* (2005).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{AttributedPaths, Graph, LabelledGraph};
/// use nalgebra::dmatrix;
/// let edge = |a: f64| -> Result<_, kernels_graph::Error> {
///     LabelledGraph::new(Graph::undirected(2, [(0, 1, 1.0)])?).attributes(dmatrix![a; 5.0])
/// };
/// let near = AttributedPaths::new(1.0)?.eval(&edge(0.0)?, &edge(1.0)?);
/// assert!((near - 2.0 * f64::exp(-1.0)).abs() < 1e-9);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AttributedPaths {
    pub(super) gamma: f64,
    pub(super) labels: bool,
    pub(super) tolerance: Option<f64>,
}

impl AttributedPaths {
    /// Attributes alone, unit lengths.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless γ > 0.
    pub fn new(gamma: f64) -> Result<Self, Error> {
        Ok(Self { gamma: positive("gamma", gamma)?, labels: false, tolerance: None })
    }

    /// Whether labels of nodes must agree.
    pub fn labels(mut self, on: bool) -> Self {
        self.labels = on;
        self
    }

    /// Takes weights as lengths; distances that round to the same multiple of `tolerance` are equal.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] when it is not above 0.
    pub fn weighted(mut self, tolerance: f64) -> Result<Self, Error> {
        self.tolerance = Some(positive("tolerance", tolerance)?);
        Ok(self)
    }
}

/// A graph as [`AttributedPaths`] sees it: attributes, a column a node, labels, and pairs by distance.
#[derive(Clone, Debug)]
pub struct PathForm {
    attributes: DMatrix<f64>,
    labels: Vec<i64>,
    /// (distance, pairs at it), ascending.
    pairs: Vec<(i64, Vec<(u32, u32)>)>,
}

impl GraphKernel for AttributedPaths {
    type Form = PathForm;

    fn form(&self, graph: &LabelledGraph) -> PathForm {
        let n = graph.nodes();
        let mut all = Vec::new();
        let mut lengths = Vec::new();
        for u in 0..n {
            distances(graph.graph(), u, self.tolerance, &mut lengths);
            let found = lengths.iter().enumerate().filter(|(v, d)| *v != u && **d >= 0);
            all.extend(found.map(|(v, d)| (*d, u as u32, v as u32)));
        }
        all.sort_unstable();
        let pairs = all
            .chunk_by(|a, b| a.0 == b.0)
            .map(|equal| (equal[0].0, equal.iter().map(|(_, u, v)| (*u, *v)).collect()))
            .collect();
        let attributes =
            graph.node_attributes().map_or_else(|| DMatrix::zeros(0, n), nalgebra::Matrix::transpose);
        PathForm { attributes, labels: (0..n).map(|v| graph.label(v)).collect(), pairs }
    }

    fn compare(&self, x: &PathForm, y: &PathForm) -> f64 {
        let (n, m) = (x.labels.len(), y.labels.len());
        let k = DMatrix::from_fn(m, n, |w, u| {
            if self.labels && x.labels[u] != y.labels[w] {
                return 0.0;
            }
            let columns = x.attributes.column(u).into_iter().zip(y.attributes.column(w));
            (-self.gamma * columns.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()).exp()
        });
        let (mut half, mut whole) = (DMatrix::zeros(m, n), DMatrix::zeros(m, n));
        let (mut a, mut b, mut sum) = (0, 0, 0.0);
        while a < x.pairs.len() && b < y.pairs.len() {
            let ((dx, left), (dy, right)) = (&x.pairs[a], &y.pairs[b]);
            if dx == dy {
                // Columns: node u of x. half = Σ over v at the distance from u of K[·, v]; whole, the same on the rows.
                half.fill(0.0);
                for &(u, v) in left {
                    let column = k.column(v as usize);
                    half.column_mut(u as usize).iter_mut().zip(column.iter()).for_each(|(h, k)| *h += k);
                }
                whole.fill(0.0);
                for u in 0..n {
                    let (from, mut to) = (half.column(u), whole.column_mut(u));
                    right.iter().for_each(|&(w, z)| to[w as usize] += from[z as usize]);
                }
                sum += k.dot(&whole);
            }
            a += usize::from(dx <= dy);
            b += usize::from(dy <= dx);
        }
        sum
    }

    fn check(&self, graphs: &GraphSet) -> Result<(), Error> {
        let mut width = None;
        for i in 0..graphs.len() {
            let attributes = graphs.point(i).node_attributes().ok_or(Error::Missing {
                kernel: "the attributed shortest-path kernel",
                needed: "node attributes",
                graph: i,
            })?;
            let width = *width.get_or_insert(attributes.ncols());
            crate::error::shape("attributes a node", width, attributes.ncols())?;
        }
        Ok(())
    }
}

graph_kernels!(AttributedPaths);
