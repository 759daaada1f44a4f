//! Exact kernel ridge regression.

use kernels_core::{
    Kernel, LazyCross, Points, PositiveDefinite, Real,
    dense::{Cholesky, SymmetricEigen},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, Targets,
    data::{checked, cross_f64, expect, gram_f64, non_negative},
};

/// Exact kernel ridge regression: minimises Σ wᵢ (yᵢ − f(xᵢ))² + α ‖f‖² over the kernel's function space.
///
/// Two conventions for the ridge exist. This α is the unnormalised one, as in scikit-learn: (K + αI) c = y. The λ of the
/// objective (1/n) Σ (yᵢ − f(xᵢ))² + λ ‖f‖² is α = nλ.
///
/// Solved by Cholesky in n³/3 operations and n² memory; α = 0 gives the interpolant of least norm by eigendecomposition.
/// Jitter is never added: if rounding makes the matrix indefinite, the error says what ridge would do.
///
/// ```
/// use kernels_core::{Matern, Rows};
/// use kernels_solvers::Krr;
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let y = vec![0.0, 0.8, 0.9, 0.1];
/// let model = Krr::new(Matern::new(2.5, 1.0)?).ridge(1e-3).fit(&xs, &y)?;
/// assert!((model.predict(&xs)?[(1, 0)] - 0.8).abs() < 0.01);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Krr<K> {
    kernel: K,
    ridge: f64,
    weights: Option<Vec<f64>>,
    intercept: bool,
}

impl<K> Krr<K> {
    /// With ridge 1, without weights and intercept.
    pub fn new(kernel: K) -> Self {
        Self { kernel, ridge: 1.0, weights: None, intercept: false }
    }

    /// Sets α ≥ 0.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    /// One weight a sample, not negative: 0 leaves a sample out exactly, an integer is as good as repeating it.
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// Whether to add a constant that is not penalised.
    pub fn intercept(mut self, intercept: bool) -> Self {
        self.intercept = intercept;
        self
    }

    /// Fits to points and targets, one output or many.
    ///
    /// **Errors.** Shapes that disagree, no points, values that are not finite, a negative ridge or weight, a kernel that is
    /// not positive definite, or a matrix that is not within rounding. **Complexity.** n³/3 + n²t time, n² memory.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y) -> Result<KrrModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let mut system = System::new(self, xs, y)?;
        let solution = if self.ridge > 0.0 {
            let factor = system.factor()?;
            system.solve(|rhs| Ok(factor.solve_in_place(rhs.as_view_mut())?))?
        } else {
            let eigen = SymmetricEigen::new(&system.matrix)?;
            system.solve(|rhs| {
                *rhs = pseudo_inverse_times(&eigen, rhs);
                Ok(())
            })?
        };
        Ok(solution.into_model(self.kernel.clone(), xs.clone()))
    }

    /// Fits, and predicts every sample by the model fitted without it, in closed form.
    ///
    /// **Errors.** As [`Krr::fit`]; the ridge must be positive. **Complexity.** One inverse on top of the fit: n³ in all.
    pub fn leave_one_out<P, Y>(&self, xs: &P, y: &Y) -> Result<LeaveOneOut<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        if self.ridge == 0.0 {
            let expected = "above 0 for leave-one-out";
            return Err(kernels_core::Error::Parameter { name: "ridge".into(), value: 0.0, expected }.into());
        }
        let mut system = System::new(self, xs, y)?;
        let factor = system.factor()?;
        let solution = system.solve(|rhs| Ok(factor.solve_in_place(rhs.as_view_mut())?))?;
        let inverse = factor.inverse()?;
        let (n, outputs) = solution.coefficients.shape();
        // M = G, or G − G1 1ᵀG / 1ᵀG1 with an intercept, where G = W½ (W½KW½ + αI)⁻¹ W½.
        let roots = &system.roots;
        let mut m = inverse;
        for j in 0..n {
            for i in 0..n {
                m[(i, j)] *= roots[i] * roots[j];
            }
        }
        let mut shares = DVector::zeros(n);
        if self.intercept {
            let sums = m.column_sum();
            let total = sums.sum();
            if total > 0.0 {
                m.ger(-1.0 / total, &sums, &sums, 1.0);
                shares = sums / total;
            }
        }
        let model = solution.into_model(self.kernel.clone(), xs.clone());
        let fitted = model.predict(xs)?;
        // A sample of weight 0 is not in the fit: its residual is the model's.
        let residuals = DMatrix::from_fn(n, outputs, |i, k| {
            if roots[i] > 0.0 {
                model.coefficients[(i, k)] / m[(i, i)]
            } else {
                system.y[(i, k)] - fitted[(i, k)]
            }
        });
        let predictions = &system.y - &residuals;
        Ok(LeaveOneOut { model, residuals, predictions, matrix: m, shares })
    }
}

/// (W½KW½ + αI) with its right-hand side.
struct System {
    matrix: DMatrix<f64>,
    /// √wᵢ.
    roots: Vec<f64>,
    y: DMatrix<f64>,
    ridge: f64,
    intercept: bool,
}

impl System {
    fn new<P, K, Y>(krr: &Krr<K>, xs: &P, y: &Y) -> Result<Self, Error>
    where
        P: Points,
        K: Kernel<P>,
        Y: Targets + ?Sized,
    {
        let ridge = non_negative("ridge", krr.ridge)?;
        let y = checked("kernel ridge regression", &krr.kernel, xs, y)?;
        let roots = weight_roots(krr.weights.as_deref(), xs.len())?;
        let mut matrix = gram_f64(&krr.kernel, xs)?;
        if krr.weights.is_some() {
            weigh(&mut matrix, &roots);
        }
        Ok(Self { matrix, roots, y, ridge, intercept: krr.intercept })
    }

    /// Factorizes the matrix in place; it is gone after that.
    fn factor(&mut self) -> Result<Cholesky, Error> {
        let mut matrix = std::mem::take(&mut self.matrix);
        for i in 0..matrix.nrows() {
            matrix[(i, i)] += self.ridge;
        }
        Ok(Cholesky::new(matrix)?)
    }

    /// Coefficients c = W½ (·)⁻¹ W½ (y − b), with the intercept b from one more right-hand side.
    fn solve(&self, invert: impl Fn(&mut DMatrix<f64>) -> Result<(), Error>) -> Result<Solution, Error> {
        let outputs = self.y.ncols();
        let mut rhs = self.y.clone().resize_horizontally(outputs + usize::from(self.intercept), 1.0);
        let weigh = |m: &mut DMatrix<f64>| {
            for mut column in m.column_iter_mut() {
                column.iter_mut().zip(&self.roots).for_each(|(v, root)| *v *= root);
            }
        };
        weigh(&mut rhs);
        invert(&mut rhs)?;
        weigh(&mut rhs);
        let mut intercepts = DVector::zeros(outputs);
        if self.intercept {
            let ones = rhs.column(outputs).into_owned();
            let total = ones.sum();
            for k in 0..outputs {
                intercepts[k] = if total > 0.0 { rhs.column(k).sum() / total } else { 0.0 };
                rhs.column_mut(k).axpy(-intercepts[k], &ones, 1.0);
            }
        }
        Ok(Solution { coefficients: rhs.resize_horizontally(outputs, 0.0), intercepts })
    }
}

struct Solution {
    coefficients: DMatrix<f64>,
    intercepts: DVector<f64>,
}

impl Solution {
    fn into_model<P, K>(self, kernel: K, points: P) -> KrrModel<P, K> {
        KrrModel::new(kernel, points, self.coefficients, self.intercepts)
    }
}

/// √wᵢ, or ones.
pub(crate) fn weight_roots(weights: Option<&[f64]>, n: usize) -> Result<Vec<f64>, Error> {
    let Some(weights) = weights else { return Ok(vec![1.0; n]) };
    expect("sample weights (one a sample)", n, weights.len())?;
    if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let expected = "a finite number, 0 or above";
        return Err(Error::Value { what: "weight", row, value: weights[row], expected });
    }
    Ok(weights.iter().map(|w| w.sqrt()).collect())
}

/// W½ K W½.
pub(crate) fn weigh(matrix: &mut DMatrix<f64>, roots: &[f64]) {
    for (j, mut column) in matrix.column_iter_mut().enumerate() {
        column.iter_mut().zip(roots).for_each(|(v, root)| *v *= root * roots[j]);
    }
}

/// A⁺ b with eigenvalues below n ε λ_max taken as 0.
fn pseudo_inverse_times(eigen: &SymmetricEigen, rhs: &DMatrix<f64>) -> DMatrix<f64> {
    let n = eigen.values.len();
    let cut = eigen.values.amax() * n as f64 * f64::EPSILON;
    let mut in_basis = eigen.vectors.tr_mul(rhs);
    for (mut row, &value) in in_basis.row_iter_mut().zip(&eigen.values) {
        row *= if value > cut { 1.0 / value } else { 0.0 };
    }
    &eigen.vectors * in_basis
}

/// A fitted kernel ridge regression: f(x) = Σ cᵢ k(x, xᵢ) + b.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KrrModel<P, K> {
    version: crate::Version,
    kernel: K,
    points: P,
    coefficients: DMatrix<f64>,
    intercepts: DVector<f64>,
}

/// Working memory of a prediction.
const BUDGET: usize = 64 << 20;

impl<P, K> KrrModel<P, K> {
    pub(crate) fn new(kernel: K, points: P, coefficients: DMatrix<f64>, intercepts: DVector<f64>) -> Self {
        Self { version: crate::Version, kernel, points, coefficients, intercepts }
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The training points.
    pub fn points(&self) -> &P {
        &self.points
    }

    /// Coefficients c, n × t.
    pub fn coefficients(&self) -> &DMatrix<f64> {
        &self.coefficients
    }

    /// Intercepts b, one an output; 0 when none was asked for.
    pub fn intercepts(&self) -> &DVector<f64> {
        &self.intercepts
    }

    /// The same model with a constant added to every output: what was taken off the targets before the fit.
    ///
    /// # Errors
    /// Not one constant an output, constants that are not finite.
    pub fn raised(mut self, by: &[f64]) -> Result<Self, Error> {
        expect("constants (one an output)", self.intercepts.len(), by.len())?;
        crate::data::finite("constant", by, by.len())?;
        self.intercepts.iter_mut().zip(by).for_each(|(b, c)| *b += c);
        Ok(self)
    }
}

impl<P: Points, K: Kernel<P>> KrrModel<P, K> {
    /// Predictions m × t for m points. A prediction does not depend on the other points it is asked with.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** mnt time; memory O(mt): the m × n matrix of kernel
    /// values is never stored.
    pub fn predict(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let (m, outputs) = (xs.len(), self.coefficients.ncols());
        let coefficients = self.coefficients.map(P::Scalar::of);
        let mut values = DMatrix::repeat(m, outputs, P::Scalar::default());
        LazyCross::new(&self.kernel, xs, &self.points, BUDGET)?
            .apply(coefficients.as_view(), values.as_view_mut())?;
        let mut out = values.map(Real::to_f64);
        for (mut column, &b) in out.column_iter_mut().zip(&self.intercepts) {
            column.add_scalar_mut(b);
        }
        Ok(out)
    }
}

/// A fit with its leave-one-out predictions: for every sample, what the model fitted without it says.
///
/// Residuals are eᵢ = cᵢ / Gᵢᵢ with G = (K + αI)⁻¹; no model is fitted twice.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::Krr;
/// let xs = Rows::from_row_major((0..30).map(|i| f64::from(i) / 10.0).collect(), 30, 1)?;
/// let y: Vec<f64> = (0..30).map(|i| (f64::from(i) / 10.0).sin()).collect();
/// let loo = Krr::new(Rbf::new(1.0)?).ridge(1e-2).leave_one_out(&xs, &y)?;
/// assert!(loo.mean_squared_error() < 1e-3);
/// let interval = loo.interval(&xs.clone(), 0.1)?;
/// assert!(interval.lower[3] <= y[3] && y[3] <= interval.upper[3]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeaveOneOut<P, K> {
    /// The model fitted to all samples.
    pub model: KrrModel<P, K>,
    /// yᵢ − f₋ᵢ(xᵢ), n × t.
    pub residuals: DMatrix<f64>,
    /// f₋ᵢ(xᵢ), n × t.
    pub predictions: DMatrix<f64>,
    /// M: G, or its projection with an intercept.
    matrix: DMatrix<f64>,
    /// Derivative of the intercept by every target; zeros without one.
    shares: DVector<f64>,
}

/// Lower and upper ends of prediction intervals, one a point; infinite where there are too few samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals {
    /// Lower ends.
    pub lower: Vec<f64>,
    /// Upper ends.
    pub upper: Vec<f64>,
}

impl<P: Points, K: Kernel<P>> LeaveOneOut<P, K> {
    /// Mean over samples and outputs of the squared residuals (PRESS).
    pub fn mean_squared_error(&self) -> f64 {
        self.residuals.norm_squared() / self.residuals.len() as f64
    }

    /// Jackknife+ prediction intervals of the first output: an interval holds the truth with probability at least
    /// 1 − 2·`miscoverage` whatever the distribution, and close to 1 − `miscoverage` in practice.
    ///
    /// **Errors.** `miscoverage` outside (0, 1), points of another kind. **Complexity.** O(m n²).
    ///
    /// Reference: Barber, Candès, Ramdas, Tibshirani, *Predictive inference with the jackknife+*, Annals of Statistics 49 (2021), eq. 1.4.
    pub fn interval(&self, xs: &P, miscoverage: f64) -> Result<Intervals, Error> {
        if !(miscoverage > 0.0 && miscoverage < 1.0) {
            let expected = "between 0 and 1, both excluded";
            let name = "miscoverage".to_owned();
            return Err(kernels_core::Error::Parameter { name, value: miscoverage, expected }.into());
        }
        let f = self.model.predict(xs)?;
        let cross = cross_f64(&self.model.kernel, self.model.points(), xs)?;
        let n = self.residuals.nrows();
        // Leaving sample i out is as good as lowering its target by eᵢ: f₋ᵢ = f − eᵢ (M k(x))ᵢ − eᵢ (its share of b).
        let mut shifts = &self.matrix * cross;
        for mut column in shifts.column_iter_mut() {
            column += &self.shares;
        }
        // ⌊q(n+1)⌋ from below, and as many from above.
        let low = (miscoverage * (n as f64 + 1.0)).floor() as usize;
        let high = n + 1 - low.min(n + 1);
        let mut out = Intervals { lower: Vec::new(), upper: Vec::new() };
        for (x, shift) in shifts.column_iter().enumerate() {
            let without = |i: usize| f[(x, 0)] - shift[i] * self.residuals[(i, 0)];
            let radius = |i: usize| self.residuals[(i, 0)].abs();
            let mut lows: Vec<f64> = (0..n).map(|i| without(i) - radius(i)).collect();
            let mut highs: Vec<f64> = (0..n).map(|i| without(i) + radius(i)).collect();
            lows.sort_by(f64::total_cmp);
            highs.sort_by(f64::total_cmp);
            out.lower.push(if low == 0 || low > n { f64::NEG_INFINITY } else { lows[low - 1] });
            out.upper.push(if high > n || high == 0 { f64::INFINITY } else { highs[high - 1] });
        }
        Ok(out)
    }
}
