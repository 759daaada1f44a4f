//! ε- and ν-regression, and one class.

use kernels_core::{Kernel, Points, PositiveDefinite, Progress};

use super::{
    Effort, SvmModel, effort_setters,
    smo::{Problem, solve},
};
use crate::{
    Error,
    data::{checked, checked_points, non_negative, positive, within},
};

/// Support vector regression: minimises ½‖f‖² + C Σ max(0, |yᵢ − f(xᵢ)| − ε).
///
/// ν-regression finds ε itself, so that a share ν of the samples is outside the tube.
///
/// Reference: Smola, Schölkopf, *A tutorial on support vector regression*, Statistics and Computing 14 (2004); Schölkopf et
/// al., *New support vector algorithms*, Neural Computation 12 (2000).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::svm::SupportVectorRegression;
/// let xs = Rows::from_row_major((0..30).map(|i| f64::from(i) / 5.0).collect(), 30, 1)?;
/// let y: Vec<f64> = (0..30).map(|i| (f64::from(i) / 5.0).sin()).collect();
/// let model = SupportVectorRegression::new(Rbf::new(1.0)?).cost(10.0).epsilon(0.05).fit(&xs, &y)?;
/// assert!(model.decision(&xs)?.iter().zip(&y).all(|(f, y)| (f - y).abs() < 0.06));
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SupportVectorRegression<K> {
    kernel: K,
    cost: f64,
    epsilon: f64,
    nu: Option<f64>,
    effort: Effort,
}

impl<K> SupportVectorRegression<K> {
    /// With C = 1 and ε = 0.1.
    pub fn new(kernel: K) -> Self {
        Self { kernel, cost: 1.0, epsilon: 0.1, nu: None, effort: Effort::default() }
    }

    /// Sets C > 0.
    pub fn cost(mut self, c: f64) -> Self {
        self.cost = c;
        self
    }

    /// Sets ε ≥ 0, half the width of the tube within which errors are free.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// ν-regression with 0 < ν ≤ 1 in place of ε.
    pub fn nu(mut self, nu: impl Into<Option<f64>>) -> Self {
        self.nu = nu.into();
        self
    }

    effort_setters!();

    /// Fits to points and targets.
    ///
    /// **Errors.** Shapes that disagree, no points, values that are not finite, parameters out of range,
    /// [`kernels_core::Error::NotConverged`]. **Complexity.** Between n² and n³ as a rule; memory is the cache.
    pub fn fit<P>(&self, xs: &P, y: &[f64]) -> Result<SvmModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        self.fit_with(xs, y, &mut ())
    }

    /// The same with a report every thousand steps, by which it can be cancelled.
    ///
    /// # Errors
    /// As [`SupportVectorRegression::fit`]; [`kernels_core::Error::Cancelled`].
    pub fn fit_with<P>(&self, xs: &P, y: &[f64], progress: &mut dyn Progress) -> Result<SvmModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked("support vector regression", &self.kernel, xs, y)?;
        let (c, epsilon) = (positive("cost", self.cost)?, non_negative("epsilon", self.epsilon)?);
        let n = y.len();
        let effort = self.effort.checked()?;
        // Layer 0 pushes up, layer 1 down.
        let lower = [vec![0.0; n], vec![-c; n]].concat();
        let upper = [vec![c; n], vec![0.0; n]].concat();
        let problem = match self.nu {
            None => {
                let linear = y.iter().map(|y| epsilon - y).chain(y.iter().map(|y| -epsilon - y)).collect();
                Problem { layers: 2, linear, lower, upper, start: vec![0.0; 2 * n], group: vec![0; 2 * n] }
            }
            Some(nu) => {
                within("nu", nu, f64::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
                let mut left = 0.5 * c * nu * n as f64;
                let mut start = vec![0.0; 2 * n];
                for i in 0..n {
                    let a = left.min(c);
                    (start[i], start[n + i]) = (a, -a);
                    left -= a;
                }
                let linear = y.iter().chain(y).map(|y| -y).collect();
                let group = [vec![0; n], vec![1; n]].concat();
                Problem { layers: 2, linear, lower, upper, start, group }
            }
        };
        let solution = solve(&self.kernel, xs, &problem, effort, progress)?;
        let beta: Vec<f64> = (0..n).map(|i| solution.beta[i] + solution.beta[n + i]).collect();
        let intercept = match self.nu {
            None => solution.level[0],
            Some(_) => 0.5 * (solution.level[0] + solution.level[1]),
        };
        SvmModel::new(&self.kernel, xs, &beta, intercept, &solution, solution.objective)
    }
}

/// One-class machine: the smooth set that holds all but about a share ν of the points; f(x) ≥ 0 inside.
///
/// Coefficients are scaled to Σβ = νn, so that each is at most 1.
///
/// Reference: Schölkopf, Platt, Shawe-Taylor, Smola, Williamson, *Estimating the support of a high-dimensional distribution*,
/// Neural Computation 13 (2001).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::svm::OneClassSvm;
/// let xs = Rows::from_row_major((0..50).map(|i| f64::from(i) / 50.0).collect(), 50, 1)?;
/// let model = OneClassSvm::new(Rbf::new(0.3)?).nu(0.1).fit(&xs)?;
/// let at = Rows::from_row_major(vec![0.5, 3.0], 2, 1)?;
/// let f = model.decision(&at)?;
/// assert!(f[0] > 0.0 && f[1] < 0.0);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneClassSvm<K> {
    kernel: K,
    nu: f64,
    effort: Effort,
}

impl<K> OneClassSvm<K> {
    /// With ν = ½.
    pub fn new(kernel: K) -> Self {
        Self { kernel, nu: 0.5, effort: Effort::default() }
    }

    /// Sets 0 < ν ≤ 1: at most this share of the points is outside, at least this share are support vectors.
    pub fn nu(mut self, nu: f64) -> Self {
        self.nu = nu;
        self
    }

    effort_setters!();

    /// Fits to points.
    ///
    /// **Errors.** No points, values that are not finite, parameters out of range, [`kernels_core::Error::NotConverged`].
    /// **Complexity.** Between n² and n³ as a rule; memory is the cache.
    pub fn fit<P>(&self, xs: &P) -> Result<SvmModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        self.fit_with(xs, &mut ())
    }

    /// The same with a report every thousand steps, by which it can be cancelled.
    ///
    /// # Errors
    /// As [`OneClassSvm::fit`]; [`kernels_core::Error::Cancelled`].
    pub fn fit_with<P>(&self, xs: &P, progress: &mut dyn Progress) -> Result<SvmModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("a one-class support vector machine", &self.kernel, xs, 1)?;
        let nu = within("nu", self.nu, f64::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
        let n = xs.len();
        let mut left = nu * n as f64;
        let mut start = vec![0.0; n];
        for a in &mut start {
            *a = left.min(1.0);
            left -= *a;
        }
        let problem = Problem {
            layers: 1,
            linear: vec![0.0; n],
            lower: vec![0.0; n],
            upper: vec![1.0; n],
            start,
            group: vec![0; n],
        };
        let solution = solve(&self.kernel, xs, &problem, self.effort.checked()?, progress)?;
        // −G is −ρ on the boundary.
        SvmModel::new(&self.kernel, xs, &solution.beta, solution.level[0], &solution, solution.objective)
    }
}
