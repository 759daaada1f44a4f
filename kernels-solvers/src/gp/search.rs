//! Constrained Bayesian optimisation on a finite set.

use kernels_core::{Kernel, Points, PositiveDefinite, Progress, Real, dense::Cholesky};
use nalgebra::DMatrix;

use crate::{
    Error,
    data::{checked_points, cross_f64, expect, finite, gram_f64, non_negative, positive, within},
};

/// Constrained efficient global optimisation: minimises an unknown f over candidates subject to unknown gᵢ ≤ 0, all observed with
/// noise where they are evaluated.
///
/// Gaussian processes model f and every gᵢ. The next candidate minimises the lower confidence bound μ − β^½ σ of f among those
/// whose bounds of all gᵢ are not above 0; when there is none the problem is infeasible with probability at least 1 − δ. β^½ =
/// B + R √(2(γ + 1 + ln((m + 1)/δ))), γ = ½ ln det(I + K/σ²) of the evaluated candidates, B a bound of the functions' norms and R
/// the size of the noise.
///
/// Reference: Xu, Jiang, Svetozarevic, Jones, *Constrained efficient global optimization of expensive black-box functions*,
/// ICML 2023, algorithm 1.
///
/// ```
/// use kernels_core::{Points, Rbf, Rows};
/// use kernels_solvers::ConstrainedSearch;
/// let candidates = Rows::from_row_major((0..101).map(|i| f64::from(i) / 50.0 - 1.0).collect(), 101, 1)?;
/// // Minimise x² subject to x ≥ ½.
/// let search = ConstrainedSearch::new(Rbf::new(0.5)?).norm_bound(1.0).noise(1e-3);
/// let found = search.run(&candidates, 1, 20, |i| {
///     let x = candidates.point(i)[0];
///     vec![x * x, 0.5 - x]
/// })?;
/// let (best, value) = found.best.expect("some candidate is feasible");
/// assert!((candidates.point(best)[0] - 0.5).abs() < 0.05 && value < 0.31);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConstrainedSearch<K> {
    kernel: K,
    noise: f64,
    norm_bound: f64,
    confidence: f64,
    tolerance: f64,
}

impl<K> ConstrainedSearch<K> {
    /// With noise of standard deviation 0.01, norms up to 1, δ = 0.05.
    pub fn new(kernel: K) -> Self {
        Self { kernel, noise: 1e-2, norm_bound: 1.0, confidence: 0.05, tolerance: 0.0 }
    }

    /// Standard deviation R of the noise, above 0.
    pub fn noise(mut self, deviation: f64) -> Self {
        self.noise = deviation;
        self
    }

    /// B: a bound of the norms of f and the gᵢ in the kernel's function space.
    pub fn norm_bound(mut self, bound: f64) -> Self {
        self.norm_bound = bound;
        self
    }

    /// δ: the probability with which a statement may be wrong.
    pub fn confidence(mut self, delta: f64) -> Self {
        self.confidence = delta;
        self
    }

    /// How far above 0 an observed constraint may be for its candidate to count as feasible.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Evaluates up to `steps` candidates, each through `evaluate`, which returns f and then the `constraints` gᵢ.
    ///
    /// **Errors.** No candidates, values that are not finite or of another number, parameters out of range. **Complexity.** t²N for
    /// step t and N candidates.
    pub fn run<P>(
        &self,
        candidates: &P,
        constraints: usize,
        steps: usize,
        evaluate: impl FnMut(usize) -> Vec<f64>,
    ) -> Result<SearchOutcome, Error>
    where
        P: Points,
        K: Kernel<P> + PositiveDefinite,
    {
        self.run_with(candidates, constraints, steps, evaluate, &mut ())
    }

    /// [`ConstrainedSearch::run`], reporting each step to `progress`, which may stop it.
    ///
    /// # Errors
    /// As [`ConstrainedSearch::run`]; [`kernels_core::Error::Cancelled`].
    pub fn run_with<P>(
        &self,
        candidates: &P,
        constraints: usize,
        steps: usize,
        mut evaluate: impl FnMut(usize) -> Vec<f64>,
        progress: &mut dyn Progress,
    ) -> Result<SearchOutcome, Error>
    where
        P: Points,
        K: Kernel<P> + PositiveDefinite,
    {
        checked_points("a constrained search", &self.kernel, candidates, 1)?;
        let r = positive("noise", self.noise)?;
        let bound = non_negative("norm_bound", self.norm_bound)?;
        let delta = within("confidence", self.confidence, f64::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
        non_negative("tolerance", self.tolerance)?;
        let functions = constraints + 1;
        let mut outcome = SearchOutcome { evaluated: Vec::new(), values: Vec::new(), best: None, infeasible: false };
        let n = candidates.len();
        let prior: Vec<f64> =
            (0..n).map(|i| self.kernel.eval(candidates.point(i), candidates.point(i)).to_f64()).collect();
        for step in 0..steps {
            if progress.step("constrained search", step, steps).is_break() {
                return Err(kernels_core::Error::Cancelled.into());
            }
            let (mean, deviation, information) = self.posterior(candidates, &prior, &outcome, functions)?;
            let beta = bound + r * (2.0 * (information + 1.0 + (functions as f64 / delta).ln())).sqrt();
            let low = |i: usize, k: usize| mean[(i, k)] - beta * deviation[i];
            let plausible = (0..n).filter(|&i| (1..functions).all(|k| low(i, k) <= 0.0));
            let Some(next) = plausible.min_by(|&a, &b| low(a, 0).total_cmp(&low(b, 0))) else {
                outcome.infeasible = true;
                break;
            };
            let values = evaluate(next);
            expect("values of a candidate (objective and constraints)", functions, values.len())?;
            finite("value of a function", &values, values.len())?;
            let feasible = values[1..].iter().all(|g| *g <= self.tolerance);
            if feasible && outcome.best.is_none_or(|(_, f)| values[0] < f) {
                outcome.best = Some((next, values[0]));
            }
            outcome.evaluated.push(next);
            outcome.values.push(values);
        }
        Ok(outcome)
    }

    /// Means N × functions, standard deviations, and γ.
    fn posterior<P>(
        &self,
        candidates: &P,
        prior: &[f64],
        outcome: &SearchOutcome,
        functions: usize,
    ) -> Result<(DMatrix<f64>, Vec<f64>, f64), Error>
    where
        P: Points,
        K: Kernel<P>,
    {
        let (n, t) = (prior.len(), outcome.evaluated.len());
        if t == 0 {
            return Ok((DMatrix::zeros(n, functions), prior.iter().map(|v| v.sqrt()).collect(), 0.0));
        }
        let at = candidates.subset(&outcome.evaluated)?;
        let variance = self.noise * self.noise;
        let mut k = gram_f64(&self.kernel, &at)?;
        (0..t).for_each(|i| k[(i, i)] += variance);
        let factor = Cholesky::new(k)?;
        let information = 0.5 * (factor.ln_determinant() - t as f64 * variance.ln());
        let mut white = cross_f64(&self.kernel, &at, candidates)?;
        factor.solve_lower_in_place(white.as_view_mut())?;
        let mut y = DMatrix::from_fn(t, functions, |i, k| outcome.values[i][k]);
        factor.solve_lower_in_place(y.as_view_mut())?;
        let deviation =
            (0..n).map(|i| (prior[i] - white.column(i).norm_squared()).max(0.0).sqrt()).collect();
        Ok((white.tr_mul(&y), deviation, information))
    }
}

/// What a constrained search found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOutcome {
    /// Candidates in the order of their evaluation.
    pub evaluated: Vec<usize>,
    /// What was observed there: f, then the constraints.
    pub values: Vec<Vec<f64>>,
    /// The best feasible candidate observed, and its f.
    pub best: Option<(usize, f64)>,
    /// Whether the search ended because no candidate can be feasible.
    pub infeasible: bool,
}
