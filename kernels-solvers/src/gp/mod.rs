//! Gaussian process regression.

mod heteroscedastic;
mod laplace;
mod model;
mod objective;
mod outputs;
mod search;
mod sparse;
mod stochastic;
mod weights;

use std::ops::ControlFlow;

use kernels_core::{Describe, Kernel, Param, Points, PositiveDefinite, Progress, Real};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use heteroscedastic::{HeteroscedasticGp, HeteroscedasticModel};
pub use laplace::{GpClassifier, GpClassifierModel};
pub use model::{GpModel, GpPrediction, LeaveOneOutDensity};
pub use objective::Objective;
pub use outputs::{Coregionalized, Outputs};
pub use search::{ConstrainedSearch, SearchOutcome};
pub use sparse::{SparseGaussianProcess, SparseGpModel};
pub use weights::WeightPosterior;
pub use stochastic::{StochasticEstimate, log_determinant, stochastic_log_marginal_likelihood};

use crate::{
    Error, Stop, Targets,
    data::{checked, expect, location_and_scale, non_negative},
    minimise::{Minimum, minimise},
};
use objective::{Evaluation, Posterior};

/// Gaussian process regression: y = f(x) + ε, f ~ GP(0, k), ε ~ N(0, noise).
///
/// Hyper-parameters of the kernel, and the noise, are chosen by L-BFGS within their bounds on the logarithmic scale, with exact
/// gradients contracted tile by tile (never an n × n × p array). Same seed, same result, for any number of threads.
///
/// Reference: Rasmussen & Williams, *Gaussian Processes for Machine Learning* (2006), algorithm 2.1, eqs. 5.9 and 5.13.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::GaussianProcess;
/// let xs = Rows::from_row_major((0..25).map(|i| f64::from(i) / 4.0).collect(), 25, 1)?;
/// let y: Vec<f64> = (0..25).map(|i| (f64::from(i) / 4.0).sin()).collect();
/// let model = GaussianProcess::new(Rbf::new(0.3)?).noise(0.1).fit(&xs, &y)?;
/// let at = Rows::from_row_major(vec![3.1], 1, 1)?;
/// let p = model.predict(&at)?;
/// assert!((p.mean[(0, 0)] - 3.1_f64.sin()).abs() < 1e-2);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianProcess<K> {
    kernel: K,
    noise: f64,
    sample_noise: Option<Vec<f64>>,
    fit_noise: bool,
    fit_kernel: bool,
    objective: Option<Objective>,
    restarts: usize,
    seed: u64,
    normalize: bool,
    max_iterations: usize,
}

/// Bounds of a fitted noise variance.
const NOISE: (f64, f64) = (1e-10, 1e5);

impl<K> GaussianProcess<K> {
    /// With noise variance 0.01 that is fitted with the kernel's parameters by marginal likelihood, no restarts, targets
    /// normalised.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            noise: 1e-2,
            sample_noise: None,
            fit_noise: true,
            fit_kernel: true,
            objective: Some(Objective::MarginalLikelihood),
            restarts: 0,
            seed: 0,
            normalize: true,
            max_iterations: 200,
        }
    }

    /// Noise variance to start from, in units of the normalised targets; 0 or above.
    pub fn noise(mut self, variance: f64) -> Self {
        self.noise = variance;
        self
    }

    /// Known noise variances, one a sample, on top of the common one; in units of the normalised targets.
    pub fn sample_noise(mut self, variances: impl Into<Vec<f64>>) -> Self {
        self.sample_noise = Some(variances.into());
        self
    }

    /// Whether the common noise variance is fitted.
    pub fn fit_noise(mut self, fit: bool) -> Self {
        self.fit_noise = fit;
        self
    }

    /// Whether the kernel's parameters are fitted.
    pub fn fit_kernel(mut self, fit: bool) -> Self {
        self.fit_kernel = fit;
        self
    }

    /// What hyper-parameters are chosen by; `None` keeps them as they are.
    pub fn objective(mut self, objective: impl Into<Option<Objective>>) -> Self {
        self.objective = objective.into();
        self
    }

    /// Further starts, drawn within the bounds.
    pub fn restarts(mut self, restarts: usize) -> Self {
        self.restarts = restarts;
        self
    }

    /// Seed of the restarts.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether targets are shifted to mean 0 and scaled to standard deviation 1 (population), output by output.
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }

    /// Most iterations of each optimisation.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }
}

/// How an optimisation of hyper-parameters went.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FitReport {
    /// Value of the objective at the end (log likelihood or log density: the greater the better).
    pub objective: f64,
    /// Iterations of the best start.
    pub iterations: usize,
    /// Evaluations of the objective over all starts.
    pub evaluations: usize,
    /// Largest component of the projected gradient at the end.
    pub gradient_norm: f64,
    /// Why the best start ended.
    pub stop: Stop,
    /// Parameters that ended at one of their bounds.
    pub at_bounds: Vec<String>,
}

/// One number the optimiser moves.
struct Free {
    /// Its place in the kernel's parameters; `None` is the noise.
    index: Option<usize>,
    param: Param,
}

impl Free {
    fn bounds(&self) -> (f64, f64) {
        let forward = |v: f64| self.param.transform.forward(v);
        // A start outside the bounds widens them: the user chose it.
        (
            forward(self.param.bounds.0.min(self.param.value)),
            forward(self.param.bounds.1.max(self.param.value)),
        )
    }
}

impl<K: Describe + Clone> GaussianProcess<K> {
    /// Fits to points and targets.
    ///
    /// **Errors.** As [`GaussianProcess::fit_with`]. **Complexity.** n³ for each evaluation of the objective.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y) -> Result<GpModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite,
        Y: Targets + ?Sized,
    {
        self.fit_with(xs, y, &mut ())
    }

    /// Fits, and reports each iteration to `progress`, which may stop it.
    ///
    /// **Errors.** Shapes that disagree, no points, values that are not finite, negative noise, a kernel that is not positive
    /// definite, a matrix that is not within rounding (more noise helps), [`kernels_core::Error::Cancelled`].
    pub fn fit_with<P, Y>(&self, xs: &P, y: &Y, progress: &mut dyn Progress) -> Result<GpModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite,
        Y: Targets + ?Sized,
    {
        let noise = non_negative("noise", self.noise)?;
        let mut y = checked("Gaussian process regression", &self.kernel, xs, y)?;
        let extra = self.extra_noise(xs.len())?;
        let (mut means, mut scales) = (DVector::zeros(y.ncols()), DVector::repeat(y.ncols(), 1.0));
        if self.normalize {
            for (k, mut column) in y.column_iter_mut().enumerate() {
                (means[k], scales[k]) = location_and_scale(column.as_slice());
                column.apply(|v| *v = (*v - means[k]) / scales[k]);
            }
        }
        let free = self.free_parameters(noise);
        let mut kernel = self.kernel.clone();
        let mut noise = noise;
        let mut report = None;
        if let Some(objective) = self.objective.filter(|_| !free.is_empty()) {
            let mut problem = Evaluation::new(objective, kernel.clone(), noise, xs, &y, &extra);
            let best = self.search(&mut problem, &free, progress)?;
            problem.set(&values_of(&free, &best.x))?;
            (kernel, noise) = (problem.kernel, problem.noise);
            report = Some(self.report(&free, best));
        }
        let posterior = Posterior::new(&kernel, noise, xs, &y, &extra)?;
        Ok(GpModel::new(kernel, noise, xs.clone(), posterior, (means, scales), extra, report))
    }

    fn extra_noise(&self, n: usize) -> Result<Vec<f64>, Error> {
        let Some(extra) = &self.sample_noise else { return Ok(Vec::new()) };
        expect("sample noise variances (one a sample)", n, extra.len())?;
        for &v in extra {
            non_negative("sample_noise", v)?;
        }
        Ok(extra.clone())
    }

    fn free_parameters(&self, noise: f64) -> Vec<Free> {
        let kernel = self.kernel.params().into_iter().enumerate();
        let mut free: Vec<Free> = kernel
            .filter(|(_, param)| {
                self.fit_kernel && !param.fixed && param.transform.forward(param.value).is_finite()
            })
            .map(|(index, param)| Free { index: Some(index), param })
            .collect();
        if self.fit_noise && noise > 0.0 {
            free.push(Free {
                index: None,
                param: Param { bounds: NOISE, ..Param::positive("noise", noise) },
            });
        }
        free
    }

    /// The best of the given start and the random ones.
    fn search<P: Points>(
        &self,
        problem: &mut Evaluation<'_, P, K>,
        free: &[Free],
        progress: &mut dyn Progress,
    ) -> Result<Minimum, Error>
    where
        K: Kernel<P>,
    {
        let bounds: Vec<(f64, f64)> = free.iter().map(Free::bounds).collect();
        let total = self.max_iterations * (self.restarts + 1);
        let mut best: Option<Minimum> = None;
        let mut evaluations = 0;
        for start in 0..=self.restarts {
            let x: Vec<f64> = if start == 0 {
                free.iter().map(|f| f.param.transform.forward(f.param.value)).collect()
            } else {
                // One stream a restart: adding restarts does not change the earlier ones.
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(start as u64);
                bounds.iter().map(|&(low, high)| low + (high - low) * rng.random::<f64>()).collect()
            };
            let found = minimise(
                |x| problem.negated(free, x),
                &x,
                &bounds,
                self.max_iterations,
                |iteration| progress.step("hyper-parameters", start * self.max_iterations + iteration, total),
            );
            let ControlFlow::Continue(found) = found else {
                return Err(kernels_core::Error::Cancelled.into());
            };
            evaluations += found.evaluations;
            if best.as_ref().is_none_or(|best| found.value < best.value || !best.value.is_finite()) {
                best = Some(found);
            }
        }
        let best = best.filter(|best| best.value.is_finite());
        match best {
            Some(best) => Ok(Minimum { evaluations, ..best }),
            // No start could be evaluated: say why for the first.
            None => {
                let start: Vec<f64> = free.iter().map(|f| f.param.value).collect();
                problem.set(&pair(free, &start))?;
                problem.posterior()?;
                Err(kernels_core::Error::NotConverged { what: "hyper-parameter search", iterations: 0 }
                    .into())
            }
        }
    }

    fn report(&self, free: &[Free], best: Minimum) -> FitReport {
        let near = |x: f64, bound: f64| (x - bound).abs() < 1e-9 * (1.0 + bound.abs());
        let at_bounds = free
            .iter()
            .zip(&best.x)
            .filter(|(f, x)| near(**x, f.bounds().0) || near(**x, f.bounds().1))
            .map(|(f, _)| f.param.name.clone())
            .collect();
        FitReport {
            objective: -best.value,
            iterations: best.iterations,
            evaluations: best.evaluations,
            gradient_norm: best.gradient_norm,
            stop: best.stop,
            at_bounds,
        }
    }
}

/// Natural values with their places.
fn pair(free: &[Free], values: &[f64]) -> Vec<(Option<usize>, f64)> {
    free.iter().zip(values).map(|(f, &v)| (f.index, v)).collect()
}

/// From the optimiser's scale to natural values.
fn values_of(free: &[Free], x: &[f64]) -> Vec<(Option<usize>, f64)> {
    free.iter().zip(x).map(|(f, &x)| (f.index, f.param.transform.inverse(x))).collect()
}

/// Median distance between points of a sample, feature by feature, times √d: a sound start for length scales.
///
/// Features in which at least half of the pairs agree get the standard deviation instead, constant ones 1. At most 500
/// points, evenly spread over the rows, are looked at.
///
/// ```
/// use kernels_core::Rows;
/// let xs = Rows::from_row_major(vec![0.0, 5.0, 1.0, 5.0, 2.0, 5.0], 3, 2)?;
/// let scales = kernels_solvers::median_length_scales(&xs);
/// assert_eq!(scales, vec![2.0_f64.sqrt(), 1.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn median_length_scales<T: Real>(xs: &kernels_core::Rows<T>) -> Vec<f64> {
    let (n, dim) = (xs.len(), xs.dim());
    let rows: Vec<usize> = if n <= 500 { (0..n).collect() } else { (0..500).map(|i| i * n / 500).collect() };
    (0..dim)
        .map(|k| {
            let values: Vec<f64> = rows.iter().map(|&i| xs.point(i)[k].to_f64()).collect();
            let mut gaps: Vec<f64> = (0..values.len())
                .flat_map(|i| (0..i).map(move |j| (i, j)))
                .map(|(i, j)| (values[i] - values[j]).abs())
                .collect();
            gaps.sort_by(f64::total_cmp);
            let median = gaps.get(gaps.len() / 2).copied().unwrap_or(0.0);
            let constant = gaps.last().is_none_or(|widest| *widest <= 0.0);
            let scale = if median > 0.0 { median } else { location_and_scale(&values).1 };
            if constant || !scale.is_finite() { 1.0 } else { scale * (dim as f64).sqrt() }
        })
        .collect()
}

/// A symmetric rank-one update of both triangles: W += s a bᵀ/2 + s b aᵀ/2.
fn add_outer(w: &mut DMatrix<f64>, scale: f64, a: &[f64], b: &[f64]) {
    let n = a.len();
    for (j, column) in w.as_mut_slice().chunks_exact_mut(n).enumerate() {
        let (sa, sb) = (0.5 * scale * b[j], 0.5 * scale * a[j]);
        for ((w, a), b) in column.iter_mut().zip(a).zip(b) {
            *w += sa * a + sb * b;
        }
    }
}
