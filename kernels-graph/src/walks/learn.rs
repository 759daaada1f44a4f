//! Modulations fitted to a kernel or to a task.

use kernels_core::dense::Cholesky;
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{LengthLaw, RandomWalks, WalkKernel, moments::Moments};
use crate::{Error, SparseMatrix, error::shape, graph::row, minimise::minimise};

/// The modulation of `initial.len()` terms with the least expected squared error E‖ΦΨᵀ − K‖² of `walks` walks for a given K, on a small graph: the
/// error is a polynomial of degree four in f, minimised without drawing a walk. It trades bias for variance, so it beats the
/// unbiased one when walks are few. Returns f and its expected ‖·‖²/‖K‖².
///
/// # Errors
/// Shapes, a law out of range.
///
/// ```
/// use kernels_graph::{Graph, LengthLaw, NodeKernel, WalkKernel, expected_error, fit_modulation};
/// let ring = Graph::undirected(8, (0..8).map(|i| (i, (i + 1) % 8, 1.0)))?;
/// let kernel = NodeKernel::regularized_laplacian(1.0);
/// let walks = kernel.walks(&ring)?;
/// let start = walks.with_modulation(walks.modulation()[..6].iter().map(|f| f / 2f64.sqrt()).collect())?;
/// let law = LengthLaw::Geometric(0.5);
/// let (_, error) = fit_modulation(&start, &kernel.matrix(&ring)?, 2, &law)?;
/// assert!(error < expected_error(&start, 2, &law)?);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn fit_modulation(
    initial: &WalkKernel,
    target: &DMatrix<f64>,
    walks: usize,
    law: &LengthLaw,
) -> Result<(Vec<f64>, f64), Error> {
    let n = initial.base().rows();
    shape("rows of the target", n, target.nrows())?;
    shape("columns of the target", n, target.ncols())?;
    let moments = Moments::new(initial, initial.modulation().len(), walks, law)?;
    let scale = target.norm_squared().max(f64::MIN_POSITIVE);
    let (f, value) = minimise(initial.modulation().to_vec(), 300, |f| {
        let gradient = moments.gradient(f, target).iter().map(|g| g / scale).collect();
        (moments.error(f, target) / scale, gradient)
    });
    Ok((f, value))
}

/// A modulation as a small network f(k; θ) = exp(−c k) Σₕ aₕ tanh(bₕ k/K + dₕ): smooth in k, with 3H + 1 parameters for any length.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModulationNetwork {
    hidden: usize,
    terms: usize,
    parameters: Vec<f64>,
}

impl ModulationNetwork {
    /// A network of `hidden` units for `terms` lengths, with random parameters from `seed`.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for no units or no terms.
    pub fn new(hidden: usize, terms: usize, seed: u64) -> Result<Self, Error> {
        if hidden == 0 || terms == 0 {
            return Err(crate::error::parameter(
                "units and terms of a modulation network",
                0.0,
                "at least 1",
            ));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters: Vec<f64> = (0..3 * hidden)
            .map(|_| rand_distr::Distribution::sample(&rand_distr::StandardNormal, &mut rng))
            .collect();
        parameters[..hidden].iter_mut().for_each(|a| *a = a.abs() / hidden as f64);
        parameters[2 * hidden..].iter_mut().for_each(|d| *d = d.abs());
        parameters.push(0.5);
        Ok(Self { hidden, terms, parameters })
    }

    /// f₀, …, f of the last term.
    pub fn values(&self) -> Vec<f64> {
        (0..self.terms).map(|k| self.value(k).0).collect()
    }

    fn value(&self, k: usize) -> (f64, Vec<f64>) {
        let (h, p, x) = (self.hidden, &self.parameters, k as f64 / self.terms as f64);
        let decay = (-p[3 * h] * k as f64).exp();
        let mut slopes = vec![0.0; p.len()];
        let mut sum = 0.0;
        for i in 0..h {
            let t = (p[h + i] * x + p[2 * h + i]).tanh();
            sum += p[i] * t;
            slopes[i] = decay * t;
            slopes[h + i] = decay * p[i] * (1.0 - t * t) * x;
            slopes[2 * h + i] = decay * p[i] * (1.0 - t * t);
        }
        slopes[3 * h] = -(k as f64) * decay * sum;
        (decay * sum, slopes)
    }
}

/// What [`learn_modulation`] found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LearnedModulation {
    /// f₀, f₁, ….
    pub modulation: Vec<f64>,
    /// The negative log marginal likelihood a node, at the start and at the end.
    pub loss: (f64, f64),
}

/// A modulation that maximises the marginal likelihood of values at labelled nodes under the Gaussian process with kernel ΦΦᵀ + noise I,
/// Φ = Σ fₖWₖ, over free coefficients or a network: the kernel is learned through its features, walking once. O(l³ + l² terms) a step.
///
/// # Errors
/// Shapes, nodes out of range, noise that is not above 0.
pub fn learn_modulation(
    walks: &RandomWalks,
    kernel: &WalkKernel,
    labelled: &[usize],
    targets: &[f64],
    noise: f64,
    network: Option<ModulationNetwork>,
) -> Result<LearnedModulation, Error> {
    shape("targets", labelled.len(), targets.len())?;
    crate::error::positive("noise", noise)?;
    let n = kernel.base().rows();
    if let Some(&node) = labelled.iter().find(|i| **i >= n) {
        return Err(Error::Node { what: "the labelled nodes", node, nodes: n });
    }
    let terms = network.as_ref().map_or(kernel.modulation().len().min(32), |network| network.terms);
    let by_length = walks.per_length(kernel, terms, 0)?;
    let grams = pair_grams(&by_length, labelled);
    let y = DVector::from_column_slice(targets);
    let loss = |f: &[f64]| -> (f64, Vec<f64>) { marginal(&grams, f, &y, noise) };
    match network {
        None => {
            let start = kernel.modulation()[..terms].to_vec();
            let before = loss(&start).0;
            let (modulation, after) = minimise(start, 100, loss);
            Ok(LearnedModulation { modulation, loss: (before, after) })
        }
        Some(network) => {
            let before = loss(&network.values()).0;
            let (parameters, after) = minimise(network.parameters.clone(), 200, |p| {
                let network = ModulationNetwork { parameters: p.to_vec(), ..network.clone() };
                let parts: Vec<_> = (0..terms).map(|k| network.value(k)).collect();
                let (value, slopes) = loss(&parts.iter().map(|(f, _)| *f).collect::<Vec<_>>());
                let gradient = (0..p.len())
                    .map(|i| slopes.iter().zip(&parts).map(|(slope, (_, by))| slope * by[i]).sum())
                    .collect();
                (value, gradient)
            });
            let modulation = ModulationNetwork { parameters, ..network }.values();
            Ok(LearnedModulation { modulation, loss: (before, after) })
        }
    }
}

/// Wₖ[l] Wⱼ[l]ᵀ, k ≤ j, made symmetric.
fn pair_grams(by_length: &[SparseMatrix], labelled: &[usize]) -> Vec<Vec<DMatrix<f64>>> {
    let l = labelled.len();
    kernels_core::parallel::map(by_length.len(), |k| {
        (k..by_length.len())
            .map(|j| {
                let entry = |a: usize, b: usize| {
                    super::features::sparse_dot(
                        row(&by_length[k], labelled[a]),
                        row(&by_length[j], labelled[b]),
                    )
                };
                let one = DMatrix::from_fn(l, l, entry);
                0.5 * (&one + one.transpose())
            })
            .collect()
    })
}

/// −log marginal likelihood a sample, and its gradient by f.
fn marginal(grams: &[Vec<DMatrix<f64>>], f: &[f64], y: &DVector<f64>, noise: f64) -> (f64, Vec<f64>) {
    let l = y.len();
    let mut k = DMatrix::identity(l, l) * noise;
    for (a, row) in grams.iter().enumerate() {
        for (b, gram) in row.iter().enumerate() {
            let twice = if b == 0 { 1.0 } else { 2.0 };
            k += gram * (twice * f[a] * f[a + b]);
        }
    }
    let failed = (f64::INFINITY, vec![0.0; f.len()]);
    let Ok(factor) = Cholesky::new(k) else { return failed };
    let mut alpha = DMatrix::from_column_slice(l, 1, y.as_slice());
    if factor.solve_in_place(alpha.as_view_mut()).is_err() {
        return failed;
    }
    let Ok(inverse) = factor.inverse() else { return failed };
    let scale = 1.0 / l.max(1) as f64;
    let value = 0.5 * (y.dot(&alpha.column(0)) + factor.ln_determinant()) * scale;
    // dL/dK.
    let slope = (inverse - &alpha * alpha.transpose()) * (0.5 * scale);
    let mut gradient = vec![0.0; f.len()];
    for (a, row) in grams.iter().enumerate() {
        for (b, gram) in row.iter().enumerate() {
            let dot = slope.dot(gram);
            gradient[a] += 2.0 * f[a + b] * dot;
            if b > 0 {
                gradient[a + b] += 2.0 * f[a] * dot;
            }
        }
    }
    (value, gradient)
}
