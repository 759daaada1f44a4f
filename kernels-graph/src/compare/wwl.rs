//! Wasserstein Weisfeiler–Lehman kernels.

use kernels_core::Points;
use nalgebra::DMatrix;

use super::{Counts, GraphKernel, GraphSet, LabelledGraph, earth_mover, kernel::graph_kernels, wl::refine};
use crate::{Error, error::positive, laplacian::inverse};

/// exp(−γD), D the earth mover's distance between the nodes of two graphs when the cost of a pair is the fraction of Weisfeiler–Lehman levels at which
/// their labels differ.
///
/// The levels form a tree, so D = Σ over levels and labels of |c/n − c'/n'| / (2(h + 1)), in linear time and exactly: no transport
/// problem is solved. Positive definite. A graph without nodes is at distance 1 from all others.
///
/// Reference: Togninalli et al., *Wasserstein Weisfeiler–Lehman graph kernels* (2019).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, LabelledGraph, Wasserstein};
/// let ring = |n: usize| Graph::undirected(n, (0..n).map(move |i| (i, (i + 1) % n, 1.0))).map(LabelledGraph::new);
/// assert_eq!(Wasserstein::new(3, 1.0)?.eval(&ring(5)?, &ring(8)?), 1.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Wasserstein {
    pub(super) iterations: usize,
    pub(super) gamma: f64,
}

impl Wasserstein {
    /// h refinements, decay γ.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless γ > 0.
    pub fn new(iterations: usize, gamma: f64) -> Result<Self, Error> {
        Ok(Self { iterations, gamma: positive("gamma", gamma)? })
    }

    /// D of two graphs.
    pub fn distance(&self, x: &LabelledGraph, y: &LabelledGraph) -> f64 {
        self.between(&self.form(x), &self.form(y))
    }

    fn between(&self, x: &Counts, y: &Counts) -> f64 {
        if x.is_empty() != y.is_empty() {
            return 1.0;
        }
        x.distance(y) / (2 * (self.iterations + 1)) as f64
    }
}

impl GraphKernel for Wasserstein {
    /// Fractions of nodes by refined label.
    type Form = Counts;

    fn form(&self, graph: &LabelledGraph) -> Counts {
        let mass = inverse(graph.nodes() as f64);
        Counts::of(refine(graph, self.iterations, false).concat()).scaled(mass)
    }

    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        (-self.gamma * self.between(x, y)).exp()
    }
}

/// exp(−γD) with D the earth mover's distance between node embeddings: attributes at levels 0, …, h, where a level averages a node with the mean of its
/// neighbours. The exact distance, O(n³) a pair. Not positive definite in general.
///
/// Attributes are taken as they are: standardise them first if their scales differ.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WassersteinContinuous {
    pub(super) iterations: usize,
    pub(super) gamma: f64,
}

impl WassersteinContinuous {
    /// h averages, decay γ.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless γ > 0.
    pub fn new(iterations: usize, gamma: f64) -> Result<Self, Error> {
        Ok(Self { iterations, gamma: positive("gamma", gamma)? })
    }
}

impl GraphKernel for WassersteinContinuous {
    /// A node a column, levels below one another.
    type Form = DMatrix<f64>;

    fn form(&self, graph: &LabelledGraph) -> DMatrix<f64> {
        let n = graph.nodes();
        let mut x = graph.node_attributes().map_or_else(|| DMatrix::zeros(0, n), nalgebra::Matrix::transpose);
        let d = x.nrows();
        let degrees = graph.graph().degrees();
        let mut out = DMatrix::zeros(d * (self.iterations + 1), n);
        for level in 0..=self.iterations {
            out.rows_mut(level * d, d).copy_from(&x);
            let mut next = x.clone();
            for v in 0..n {
                for (u, w) in graph.graph().neighbours(v) {
                    let scale = w * inverse(degrees[v]);
                    for c in 0..d {
                        next[(c, v)] += scale * x[(c, u)];
                    }
                }
            }
            x = next * 0.5;
        }
        out
    }

    fn compare(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> f64 {
        if (x.ncols() == 0) != (y.ncols() == 0) {
            return (-self.gamma).exp();
        }
        let cost = DMatrix::from_fn(x.ncols(), y.ncols(), |i, j| {
            x.column(i).iter().zip(y.column(j).iter()).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        });
        earth_mover(&cost).map_or(f64::NAN, |distance| (-self.gamma * distance).exp())
    }

    fn check(&self, graphs: &GraphSet) -> Result<(), Error> {
        let mut width = None;
        for i in 0..graphs.len() {
            let attributes = graphs.point(i).node_attributes().ok_or(Error::Missing {
                kernel: "the continuous Wasserstein kernel",
                needed: "node attributes",
                graph: i,
            })?;
            crate::error::shape(
                "attributes a node",
                *width.get_or_insert(attributes.ncols()),
                attributes.ncols(),
            )?;
        }
        Ok(())
    }
}

graph_kernels!(Wasserstein);

impl kernels_core::Describe for WassersteinContinuous {
    fn definiteness(&self) -> kernels_core::Definiteness {
        kernels_core::Definiteness::Indefinite
    }
    fn expression(&self) -> Option<kernels_core::Expr> {
        super::text::Written::written(self)
    }
}
graph_kernels!(@kernel WassersteinContinuous);
