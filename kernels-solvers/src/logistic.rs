//! Kernel logistic regression.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{Cholesky, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel,
    calibration::sigmoid,
    classify::{classes, largest},
    data::{checked_points, cross_f64, expect, gram_f64, non_negative, positive},
    krr::weight_roots,
};

/// Kernel logistic regression: minimises (1/n) Σ wᵢ ln(1 + e^(−yᵢ f(xᵢ))) + (λ/2)‖f‖², exactly or on a subset of centres.
///
/// Newton's method with a halved step where the objective would not fall; it ends when the Newton decrement does. One machine for
/// two classes, one against the rest for each of more, with probabilities that sum to 1.
///
/// Reference: Rasmussen & Williams, *Gaussian Processes for Machine Learning* (2006), section 3.4, for the stable form of the
/// Newton system.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::KernelLogistic;
/// let xs = Rows::from_row_major((0..20).map(|i| f64::from(i)).collect(), 20, 1)?;
/// let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10)).collect();
/// let model = KernelLogistic::new(Rbf::new(3.0)?).lambda(1e-3).fit(&xs, &labels)?;
/// let at = Rows::from_row_major(vec![2.0, 17.0], 2, 1)?;
/// assert_eq!(model.predict(&at)?, vec![0, 1]);
/// assert!(model.predict_probability(&at)?[(1, 1)] > 0.8);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelLogistic<K> {
    kernel: K,
    lambda: f64,
    centers: Option<Vec<usize>>,
    weights: Option<Vec<f64>>,
    tolerance: f64,
    max_iterations: usize,
}

impl<K> KernelLogistic<K> {
    /// With λ = 0.01 and all samples as centres.
    pub fn new(kernel: K) -> Self {
        Self { kernel, lambda: 1e-2, centers: None, weights: None, tolerance: 1e-12, max_iterations: 100 }
    }

    /// Sets λ > 0, normalised: the mean loss stands beside it.
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// Functions Σ aⱼ k(·, zⱼ) of these samples alone: n m² a step in place of n³.
    pub fn centers(mut self, indices: impl Into<Vec<usize>>) -> Self {
        self.centers = Some(indices.into());
        self
    }

    /// One weight a sample, not negative.
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// Half the squared Newton decrement, relative to the objective, at which to end.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Most Newton steps.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Fits to points and labels, which may be any integers.
    ///
    /// **Errors.** Fewer than two classes, shapes that disagree, values that are not finite, λ ≤ 0, a matrix of the centres that
    /// is not positive definite within rounding, [`kernels_core::Error::NotConverged`]. **Complexity.** n³ (n m² with centres) for
    /// every step and machine.
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<LogisticModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("kernel logistic regression", &self.kernel, xs, 1)?;
        expect("labels (one a sample)", xs.len(), labels.len())?;
        positive("lambda", self.lambda)?;
        non_negative("tolerance", self.tolerance)?;
        let classes = classes(labels)?;
        let weights: Vec<f64> =
            weight_roots(self.weights.as_deref(), xs.len())?.iter().map(|r| r * r).collect();
        let sides: &[usize] = if classes.len() == 2 { &classes[1..] } else { &classes };
        let (points, space) = match &self.centers {
            None => (xs.clone(), Space::Full(gram_f64(&self.kernel, xs)?)),
            Some(centers) => {
                let z = xs.subset(centers)?;
                let cross = cross_f64(&self.kernel, xs, &z)?;
                (z.clone(), Space::Centers { cross, own: gram_f64(&self.kernel, &z)? })
            }
        };
        let mut coefficients = DMatrix::zeros(points.len(), sides.len());
        let mut objectives = Vec::new();
        for (class, mut column) in sides.iter().zip(coefficients.column_iter_mut()) {
            let y: Vec<f64> = labels.iter().map(|l| if l == class { 1.0 } else { -1.0 }).collect();
            let (a, objective) = self.newton(&space, &y, &weights)?;
            column.copy_from(&a);
            objectives.push(objective);
        }
        let outputs = sides.len();
        let model = KrrModel::new(self.kernel.clone(), points, coefficients, DVector::zeros(outputs));
        Ok(LogisticModel { model, classes, objectives })
    }

    fn newton(&self, space: &Space, y: &[f64], weights: &[f64]) -> Result<(DVector<f64>, f64), Error> {
        let n = y.len() as f64;
        let objective = |a: &DVector<f64>, f: &DVector<f64>| {
            let loss: f64 = (0..y.len()).map(|i| weights[i] * softplus(-y[i] * f[i])).sum();
            loss / n + 0.5 * self.lambda * space.norm_squared(a, f)
        };
        let mut a = DVector::zeros(space.dim());
        let mut f = DVector::zeros(y.len());
        let mut value = objective(&a, &f);
        for _ in 0..self.max_iterations {
            // Slope of the loss by f, and its curvature.
            let slope = DVector::from_fn(y.len(), |i, _| -weights[i] * y[i] * sigmoid(-y[i] * f[i]) / n);
            let curvature: Vec<f64> =
                (0..y.len()).map(|i| weights[i] * sigmoid(f[i]) * sigmoid(-f[i]) / n).collect();
            let target = space.newton_target(&a, &f, &slope, &curvature, self.lambda)?;
            let direction = &target - &a;
            let moved = space.values(&direction);
            let decrement = -(slope.dot(&moved) + self.lambda * space.inner(&a, &direction, &moved));
            if 0.5 * decrement <= self.tolerance * value.max(f64::MIN_POSITIVE) {
                return Ok((a, value));
            }
            let mut step = 1.0;
            loop {
                let (next, image) = (&a + &direction * step, &f + &moved * step);
                let next_value = objective(&next, &image);
                if next_value <= value - 1e-4 * step * decrement {
                    (a, f, value) = (next, image, next_value);
                    break;
                }
                step *= 0.5;
                // Rounding hides what is left to gain.
                if step < 1e-10 {
                    return Ok((a, value));
                }
            }
        }
        let what = "kernel logistic regression";
        Err(kernels_core::Error::NotConverged { what, iterations: self.max_iterations }.into())
    }
}

/// ln(1 + eᵗ) without overflow.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// The functions that are searched.
enum Space {
    Full(DMatrix<f64>),
    Centers { cross: DMatrix<f64>, own: DMatrix<f64> },
}

impl Space {
    fn dim(&self) -> usize {
        match self {
            Self::Full(k) => k.nrows(),
            Self::Centers { own, .. } => own.nrows(),
        }
    }

    fn values(&self, a: &DVector<f64>) -> DVector<f64> {
        match self {
            Self::Full(k) => k * a,
            Self::Centers { cross, .. } => cross * a,
        }
    }

    /// ⟨a, b⟩ in the function space, given the values of b at the samples.
    fn inner(&self, a: &DVector<f64>, b: &DVector<f64>, values: &DVector<f64>) -> f64 {
        match self {
            Self::Full(_) => a.dot(values),
            Self::Centers { own, .. } => a.dot(&(own * b)),
        }
    }

    fn norm_squared(&self, a: &DVector<f64>, values: &DVector<f64>) -> f64 {
        self.inner(a, a, values)
    }

    /// Where Newton's step leads.
    fn newton_target(
        &self,
        a: &DVector<f64>,
        f: &DVector<f64>,
        slope: &DVector<f64>,
        curvature: &[f64],
        lambda: f64,
    ) -> Result<DVector<f64>, Error> {
        match self {
            Self::Full(k) => {
                // (λI + DK) a = D f − slope; by B = λI + D½KD½: a = (b − D½ B⁻¹ D½ K b)/λ.
                let roots: Vec<f64> = curvature.iter().map(|c| c.sqrt()).collect();
                let mut b = k.clone();
                crate::krr::weigh(&mut b, &roots);
                for i in 0..b.nrows() {
                    b[(i, i)] += lambda;
                }
                let factor = Cholesky::new(b)?;
                let rhs = DVector::from_fn(f.len(), |i, _| curvature[i] * f[i] - slope[i]);
                let mut inner = DMatrix::from_column_slice(f.len(), 1, (k * &rhs).as_slice());
                inner.iter_mut().zip(&roots).for_each(|(v, r)| *v *= r);
                factor.solve_in_place(inner.as_view_mut())?;
                Ok(DVector::from_fn(f.len(), |i, _| (rhs[i] - roots[i] * inner[i]) / lambda))
            }
            Self::Centers { cross, own } => {
                // (Kₙₘᵀ D Kₙₘ + λ Kₘₘ) d = −(Kₙₘᵀ slope + λ Kₘₘ a).
                let mut scaled = cross.clone();
                for (mut row, c) in scaled.row_iter_mut().zip(curvature) {
                    row *= *c;
                }
                let system = product(&cross.transpose(), &scaled)? + own * lambda;
                let gradient = cross.tr_mul(slope) + own * a * lambda;
                let mut d = DMatrix::from_column_slice(a.len(), 1, (-gradient).as_slice());
                Cholesky::new(system)?.solve_in_place(d.as_view_mut())?;
                Ok(a + d.column(0))
            }
        }
    }
}

/// A fitted kernel logistic regression.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LogisticModel<P, K> {
    model: KrrModel<P, K>,
    classes: Vec<usize>,
    objectives: Vec<f64>,
}

impl<P, K> LogisticModel<P, K> {
    /// The labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The objective reached by each machine.
    pub fn objectives(&self) -> &[f64] {
        &self.objectives
    }

    /// Coefficients of the centres, one column a machine.
    pub fn coefficients(&self) -> &DMatrix<f64> {
        self.model.coefficients()
    }
}

impl<P: Points, K: Kernel<P>> LogisticModel<P, K> {
    /// Log odds, one column a machine: one for two classes, positive for the second.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn log_odds(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.model.predict(xs)
    }

    /// Probabilities, one column a class; rows sum to 1.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict_probability(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let odds = self.log_odds(xs)?;
        let mut out = DMatrix::zeros(odds.nrows(), self.classes.len());
        for i in 0..odds.nrows() {
            if odds.ncols() == 1 {
                out[(i, 0)] = sigmoid(-odds[(i, 0)]);
                out[(i, 1)] = sigmoid(odds[(i, 0)]);
                continue;
            }
            let sum: f64 = odds.row(i).iter().map(|f| sigmoid(*f)).sum();
            for k in 0..odds.ncols() {
                // No class claims the point: all are as likely.
                let equal = 1.0 / odds.ncols() as f64;
                out[(i, k)] = if sum > 0.0 { sigmoid(odds[(i, k)]) / sum } else { equal };
            }
        }
        Ok(out)
    }

    /// The label of greatest log odds, which is the one of greatest probability.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        let odds = self.log_odds(xs)?;
        let place = |i: usize| match odds.ncols() {
            1 => usize::from(odds[(i, 0)] > 0.0),
            _ => largest(odds.row(i).iter()),
        };
        Ok((0..odds.nrows()).map(|i| self.classes[place(i)]).collect())
    }
}
