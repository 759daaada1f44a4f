//! Random-walk kernels.

use kernels_core::Points;
use kernels_core::dense::SymmetricEigen;
#[cfg(test)]
use nalgebra::DMatrix;

use super::{GraphKernel, GraphSet, LabelledGraph, kernel::graph_kernels};
use crate::{Error, Graph, error::positive, laplacian::dense};

/// Weights of walks of k steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum WalkKind {
    /// λᵏ; needs λ < 1/(ρ ρ').
    Geometric,
    /// λᵏ/k!.
    Exponential,
}

/// Where walks of labelled graphs begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Start {
    /// At pairs of nodes with the same label: Gärtner's product graph.
    #[default]
    Matched,
    /// At all pairs: those with different labels add 1 each, for the walk of no steps.
    AllPairs,
}

/// The random-walk kernel Σₖ cₖ 1ᵀWᵏ1 over common walks, W the adjacency of the direct product graph.
///
/// Without labels W = A ⊗ A', so that 1ᵀWᵏ1 = wₖ w'ₖ with wₖ = 1ᵀAᵏ1: a graph is reduced to its spectrum (or its counts of walks), and a pair costs
/// O(n n') or less instead of a linear system. With labels of nodes or edges, walks must agree in them; a pair costs two sparse products a step
/// of conjugate gradients (geometric) or of the series.
///
/// References: Gärtner et al., *On graph kernels* (2003); Vishwanathan et al., *Graph kernels* (2010).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, LabelledGraph, WalkSeries};
/// let edge = LabelledGraph::new(Graph::undirected(2, [(0, 1, 1.0)])?);
/// let kernel = WalkSeries::geometric(0.5)?;
/// assert!((kernel.eval(&edge, &edge) - 8.0).abs() < 1e-12);   // 4 (1 + ½ + ¼ + …)
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WalkSeries {
    pub(super) kind: WalkKind,
    pub(super) lambda: f64,
    pub(super) steps: Option<usize>,
    pub(super) node_labels: bool,
    pub(super) edge_labels: bool,
    pub(super) start: Start,
}

impl WalkSeries {
    /// Σ λᵏ 1ᵀWᵏ1.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless λ > 0.
    pub fn geometric(lambda: f64) -> Result<Self, Error> {
        Self::new(WalkKind::Geometric, lambda)
    }

    /// Σ λᵏ/k! 1ᵀWᵏ1.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless λ > 0.
    pub fn exponential(lambda: f64) -> Result<Self, Error> {
        Self::new(WalkKind::Exponential, lambda)
    }

    fn new(kind: WalkKind, lambda: f64) -> Result<Self, Error> {
        let lambda = positive("lambda", lambda)?;
        Ok(Self { kind, lambda, steps: None, node_labels: false, edge_labels: false, start: Start::Matched })
    }

    /// Only walks of at most this many steps.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Whether walks must agree in the labels of nodes.
    pub fn node_labels(mut self, on: bool) -> Self {
        self.node_labels = on;
        self
    }

    /// Whether walks must agree in the labels of edges.
    pub fn edge_labels(mut self, on: bool) -> Self {
        self.edge_labels = on;
        self
    }

    /// Where walks of labelled graphs begin and end.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    fn weight(&self, k: usize) -> f64 {
        match self.kind {
            WalkKind::Geometric => self.lambda.powi(k as i32),
            WalkKind::Exponential => (1..=k).map(|i| self.lambda / i as f64).product(),
        }
    }
}

/// The least upper bound of λ known to make the geometric kernel of a set converge: 1/max ρ².
pub fn walk_divergence_bound(graphs: &GraphSet) -> f64 {
    let radius = graphs.iter().map(|g| radius(g.graph())).fold(0.0, f64::max);
    1.0 / (radius * radius)
}

fn radius(graph: &Graph) -> f64 {
    if !graph.is_directed() {
        return graph.spectral_radius(500).1;
    }
    let mut into = vec![0.0; graph.nodes()];
    graph.edge_list().for_each(|(_, v, w)| into[v] += w);
    let largest = |d: &[f64]| d.iter().copied().fold(0.0, f64::max);
    largest(&graph.degrees()).min(largest(&into))
}

/// A graph as the random-walk kernel sees it.
#[derive(Clone, Debug)]
pub struct WalkForm(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Eigenvalues of A with squared components of 1 on their eigenvectors.
    Spectrum(Vec<(f64, f64)>),
    /// log-scaled counts: wₖ / scaleᵏ, and the scale.
    Counts(Vec<f64>, f64),
    Graph(LabelledGraph),
}

/// Steps after which a series of a directed graph is cut.
const LONGEST: usize = 400;

impl GraphKernel for WalkSeries {
    type Form = WalkForm;

    fn form(&self, graph: &LabelledGraph) -> WalkForm {
        WalkForm(if self.node_labels || self.edge_labels {
            Form::Graph(graph.clone())
        } else if graph.graph().is_directed() || self.steps.is_some() {
            counts(graph.graph(), self.steps.unwrap_or(LONGEST))
        } else {
            spectrum(graph.graph()).map_or_else(|| counts(graph.graph(), LONGEST), Form::Spectrum)
        })
    }

    fn compare(&self, x: &WalkForm, y: &WalkForm) -> f64 {
        match (&x.0, &y.0) {
            (Form::Spectrum(x), Form::Spectrum(y)) => {
                let mut sum = 0.0;
                for (a, s) in x {
                    let inner: f64 = y
                        .iter()
                        .map(|(b, t)| match self.kind {
                            WalkKind::Geometric => t / (1.0 - self.lambda * a * b),
                            WalkKind::Exponential => t * (self.lambda * a * b).exp(),
                        })
                        .sum();
                    sum += s * inner;
                }
                sum
            }
            (Form::Graph(x), Form::Graph(y)) => self.labelled(x, y),
            (x, y) => {
                let (x, sx) = as_counts(x, LONGEST);
                let (y, sy) = as_counts(y, LONGEST);
                let mut weight = 1.0;
                let mut sum = 0.0;
                for (k, (a, b)) in x.iter().zip(&y).enumerate() {
                    sum += weight * a * b;
                    weight *= sx * sy * self.lambda;
                    if self.kind == WalkKind::Exponential {
                        weight /= (k + 1) as f64;
                    }
                }
                sum
            }
        }
    }

    fn check(&self, graphs: &GraphSet) -> Result<(), Error> {
        if self.kind == WalkKind::Geometric && self.steps.is_none() && !graphs.is_empty() {
            let bound = walk_divergence_bound(graphs);
            if self.lambda >= bound {
                return Err(Error::Divergent { what: "lambda", given: self.lambda, bound });
            }
        }
        Ok(())
    }
}

fn spectrum(graph: &Graph) -> Option<Vec<(f64, f64)>> {
    let eigen = SymmetricEigen::new(&dense(graph.adjacency())).ok()?;
    let n = graph.nodes();
    let pairs = (0..n).map(|k| (eigen.values[k], eigen.vectors.column(k).sum().powi(2)));
    // Components of rounding size contribute less than the last digit.
    Some(pairs.filter(|(_, s)| *s > 1e-28 * n as f64).collect())
}

fn counts(graph: &Graph, steps: usize) -> Form {
    let scale = radius(graph).max(f64::MIN_POSITIVE);
    let mut x = vec![1.0; graph.nodes()];
    let mut out = vec![graph.nodes() as f64];
    for _ in 0..steps {
        x = (0..graph.nodes())
            .map(|i| graph.neighbours(i).map(|(j, w)| w * x[j]).sum::<f64>() / scale)
            .collect();
        out.push(x.iter().sum());
    }
    Form::Counts(out, scale)
}

fn as_counts(form: &Form, steps: usize) -> (Vec<f64>, f64) {
    match form {
        Form::Counts(counts, scale) => (counts.clone(), *scale),
        Form::Spectrum(pairs) => {
            let scale = pairs.iter().fold(f64::MIN_POSITIVE, |a, (value, _)| a.max(value.abs()));
            let one = |k: usize| pairs.iter().map(|(a, s)| s * (a / scale).powi(k as i32)).sum();
            ((0..=steps).map(one).collect(), scale)
        }
        Form::Graph(graph) => match counts(graph.graph(), steps) {
            Form::Counts(counts, scale) => (counts, scale),
            _ => (Vec::new(), 1.0),
        },
    }
}

impl WalkSeries {
    fn labelled(&self, x: &LabelledGraph, y: &LabelledGraph) -> f64 {
        let (n, m) = (x.nodes(), y.nodes());
        let matched: Vec<bool> = (0..n * m)
            .map(|at| !self.node_labels || x.label(at / m.max(1)) == y.label(at % m.max(1)))
            .collect();
        let ones: Vec<f64> = matched.iter().map(|&b| f64::from(u8::from(b))).collect();
        let pairs: f64 = ones.iter().sum();
        let others = match self.start {
            Start::Matched => 0.0,
            Start::AllPairs => (n * m) as f64 - pairs,
        };
        let mut half = vec![0.0; n * m];
        let mut apply = |v: &[f64], out: &mut [f64]| {
            if self.edge_labels {
                for u in 0..n {
                    for w in 0..m {
                        let mut sum = 0.0;
                        if matched[u * m + w] {
                            for ((a, la), wa) in x.labelled_neighbours(u).zip(x.graph().row(u).1) {
                                for ((b, lb), wb) in y.labelled_neighbours(w).zip(y.graph().row(w).1) {
                                    if la == lb {
                                        sum += wa * wb * v[a * m + b];
                                    }
                                }
                            }
                        }
                        out[u * m + w] = sum;
                    }
                }
                return;
            }
            // out = A V A'ᵀ, one side at a time, on matching pairs.
            for u in 0..n {
                for w in 0..m {
                    half[u * m + w] = y.graph().neighbours(w).map(|(b, wb)| wb * v[u * m + b]).sum();
                }
            }
            out.fill(0.0);
            for u in 0..n {
                for (a, wa) in x.graph().neighbours(u) {
                    for w in 0..m {
                        out[u * m + w] += wa * half[a * m + w];
                    }
                }
                for w in 0..m {
                    if !matched[u * m + w] {
                        out[u * m + w] = 0.0;
                    }
                }
            }
        };
        let undirected = !x.graph().is_directed() && !y.graph().is_directed();
        if self.kind == WalkKind::Geometric && self.steps.is_none() && undirected {
            let lambda = self.lambda;
            let solve = crate::operator::conjugate_gradient_with(
                |v, out| {
                    apply(v, out);
                    out.iter_mut().zip(v).for_each(|(out, v)| *out = v - lambda * *out);
                },
                &ones,
                1e-14,
            );
            return solve.map_or(f64::NAN, |s| s.iter().zip(&ones).map(|(s, o)| s * o).sum::<f64>() + others);
        }
        let (mut v, mut next) = (ones, vec![0.0; n * m]);
        let mut sum = pairs;
        for k in 1..=self.steps.unwrap_or(10_000) {
            apply(&v, &mut next);
            std::mem::swap(&mut v, &mut next);
            let term = self.weight(k) * v.iter().sum::<f64>();
            sum += term;
            if self.steps.is_none() && term.abs() <= 1e-17 * sum.abs() {
                break;
            }
        }
        sum + others
    }
}

graph_kernels!(WalkSeries);

/// A dense product graph, for tests of small cases.
#[cfg(test)]
fn kronecker(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    a.kronecker(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorised_equals_product_graph() {
        let x = LabelledGraph::new(Graph::undirected(4, [(0, 1, 1.0), (1, 2, 2.0), (3, 3, 1.0)]).unwrap());
        let y = LabelledGraph::new(Graph::undirected(3, [(0, 1, 0.5), (1, 2, 1.0), (0, 2, 1.0)]).unwrap());
        let w = kronecker(&dense(x.graph().adjacency()), &dense(y.graph().adjacency()));
        let lambda = 0.1;
        let inverse = (DMatrix::identity(12, 12) - lambda * w).try_inverse().unwrap();
        let kernel = WalkSeries::geometric(lambda).unwrap();
        let both = kernel.compare(&kernel.form(&x), &kernel.form(&y));
        assert!((both - inverse.sum()).abs() < 1e-11);
        // The same through the labelled road, all labels equal.
        let labelled = kernel.node_labels(true);
        assert!((labelled.compare(&labelled.form(&x), &labelled.form(&y)) - both).abs() < 1e-11);
    }
}
