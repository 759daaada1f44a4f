//! Ridge regression around a base predictor.

use kernels_core::{Describe, Kernel, Param, Points, PositiveDefinite, Rows};
use nalgebra::{DMatrix, DVector};

use crate::{
    Criterion, Error, Krr, KrrModel, LeaveOneOut, PathPoint, RidgePath, Targets,
    data::{checked, expect, positive, within},
};

/// Proximal kernel ridge regression: minimises Σ ‖yᵢ − f(xᵢ)‖² + α ‖f − f₀‖² around any base predictor f₀, so that
/// f = f₀ + k(x)ᵀ(K + αI)⁻¹(Y − f₀(X)).
///
/// Reference: Benigmim et al., *ProKeR: a kernel perspective on few-shot adaptation of large vision-language models*, CVPR 2025,
/// section 4.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::ProximalKrr;
/// let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1)?;
/// let base = nalgebra::dmatrix![0.5; 0.5];
/// let model = ProximalKrr::new(Rbf::new(0.1)?).ridge(1e-9).fit(&xs, &vec![0.0, 1.0], &base)?;
/// // At the samples the targets, far from them the base.
/// let at = Rows::from_row_major(vec![1.0, 9.0], 2, 1)?;
/// let p = model.predict(&at, &base)?;
/// assert!((p[0] - 1.0).abs() < 1e-6 && (p[1] - 0.5).abs() < 1e-6);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProximalKrr<K> {
    kernel: K,
    ridge: f64,
    damped: bool,
}

impl<K> ProximalKrr<K> {
    /// With ridge 1.
    pub fn new(kernel: K) -> Self {
        Self { kernel, ridge: 1.0, damped: false }
    }

    /// Sets α > 0.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    /// The form of the authors' program, whose correction is α times that of the objective: f₀ + k(x)ᵀ(K/α + I)⁻¹(Y − f₀(X)).
    pub fn damped(mut self, damped: bool) -> Self {
        self.damped = damped;
        self
    }

    /// Of kernels and ridges the pair that the criterion likes best on what the base predictions leave over; and its scores.
    ///
    /// **Errors.** As [`RidgePath::new`]; base predictions of another shape; nothing to choose from. **Complexity.** 9n³ a kernel, n² a
    /// ridge.
    ///
    /// ```
    /// use kernels_core::Rows;
    /// use kernels_solvers::{Criterion, closed_form::{ProximalKrr, Spherical}};
    /// let angle = |i: usize| i as f64 / 5.0;
    /// let xs = Rows::new(&nalgebra::DMatrix::from_fn(30, 2, |i, j| if j == 0 { angle(i).cos() } else { angle(i).sin() }));
    /// let y: Vec<f64> = (0..30).map(|i| (3.0 * angle(i)).sin()).collect();
    /// let base = nalgebra::DMatrix::zeros(30, 1);
    /// let kernels = [1.0, 10.0, 100.0].map(|beta| Spherical::new(beta).unwrap());
    /// let (best, scores) = ProximalKrr::select(kernels, &[1e-3, 1.0], Criterion::LeaveOneOut, &xs, &y, &base)?;
    /// assert!(scores.loo_mse < 1e-2);
    /// let model = best.fit(&xs, &y, &base)?;
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn select<P, Y>(
        kernels: impl IntoIterator<Item = K>,
        ridges: &[f64],
        criterion: Criterion,
        xs: &P,
        y: &Y,
        base: &DMatrix<f64>,
    ) -> Result<(Self, PathPoint), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let mut best: Option<(Self, PathPoint)> = None;
        for kernel in kernels {
            let fit = Self::new(kernel);
            let path = RidgePath::new(fit.kernel.clone(), xs, &fit.residual(xs, y, base)?)?;
            let found = path.best(ridges, criterion)?;
            if best.as_ref().is_none_or(|(_, b)| found.loss(criterion) < b.loss(criterion)) {
                best = Some((fit.ridge(found.ridge), found));
            }
        }
        let what = "proximal ridge regression (kernels to choose from)";
        best.ok_or(kernels_core::Error::TooFewPoints { what, needed: 1, given: 0 }.into())
    }

    fn residual<P, Y>(&self, xs: &P, y: &Y, base: &DMatrix<f64>) -> Result<DMatrix<f64>, Error>
    where
        P: Points,
        K: Kernel<P>,
        Y: Targets + ?Sized,
    {
        let y = checked("proximal ridge regression", &self.kernel, xs, y)?;
        expect("rows of the base predictions", y.nrows(), base.nrows())?;
        expect("columns of the base predictions", y.ncols(), base.ncols())?;
        Ok(y - base)
    }

    /// Fits to points, targets, and base predictions f₀(X).
    ///
    /// # Errors
    /// As [`Krr::fit`]; base predictions of another shape.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y, base: &DMatrix<f64>) -> Result<ProximalModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let residual = self.residual(xs, y, base)?;
        let model = Krr::new(self.kernel.clone()).ridge(self.ridge).fit(xs, &residual)?;
        if !self.damped {
            return Ok(ProximalModel { model });
        }
        let (coefficients, none) = (model.coefficients() * self.ridge, model.intercepts().clone());
        Ok(ProximalModel { model: KrrModel::new(self.kernel.clone(), xs.clone(), coefficients, none) })
    }

    /// A local average in place of a regression: f = f₀ + strength · k(x)ᵀY, for which nothing is solved.
    ///
    /// **Errors.** As [`Krr::fit`]; a strength that is not finite.
    ///
    /// Reference: Zhang et al., *Tip-Adapter: training-free adaption of CLIP for few-shot classification*, ECCV 2022, equation 6.
    pub fn fit_local<P, Y>(&self, xs: &P, y: &Y, strength: f64) -> Result<ProximalModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + Clone,
        Y: Targets + ?Sized,
    {
        let y = checked("a local correction", &self.kernel, xs, y)?;
        within("strength", strength, f64::MIN, f64::MAX, "a finite number")?;
        let none = DVector::zeros(y.ncols());
        Ok(ProximalModel { model: KrrModel::new(self.kernel.clone(), xs.clone(), y * strength, none) })
    }

    /// The correction (not damped) with its leave-one-out residuals: those of the whole, whatever the base.
    ///
    /// # Errors
    /// As [`Krr::leave_one_out`]; base predictions of another shape.
    pub fn leave_one_out<P, Y>(&self, xs: &P, y: &Y, base: &DMatrix<f64>) -> Result<LeaveOneOut<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let residual = self.residual(xs, y, base)?;
        Krr::new(self.kernel.clone()).ridge(self.ridge).leave_one_out(xs, &residual)
    }
}

/// A fitted correction of a base predictor.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProximalModel<P, K> {
    model: KrrModel<P, K>,
}

impl<P: Points, K: Kernel<P>> ProximalModel<P, K> {
    /// f(x) from the base predictions f₀(x), one row a point.
    ///
    /// # Errors
    /// As [`KrrModel::predict`]; base predictions of another shape.
    pub fn predict(&self, xs: &P, base: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let correction = self.model.predict(xs)?;
        expect("rows of the base predictions", correction.nrows(), base.nrows())?;
        expect("columns of the base predictions", correction.ncols(), base.ncols())?;
        Ok(correction + base)
    }

    /// The regression of what the base leaves over.
    pub fn correction(&self) -> &KrrModel<P, K> {
        &self.model
    }
}

/// e^(−β(1 − ⟨x, y⟩)) of unit vectors: the Gaussian kernel on the sphere, with length scale β^(−½).
///
/// ```
/// use kernels_core::Kernel;
/// let k = kernels_solvers::closed_form::Spherical::new(2.0)?;
/// assert!((k.eval(&[1.0, 0.0], &[0.0, 1.0]) - (-2.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Spherical {
    beta: f64,
}

impl Spherical {
    /// With β > 0.
    ///
    /// # Errors
    /// A β that is not positive.
    pub fn new(beta: f64) -> Result<Self, Error> {
        Ok(Self { beta: positive("beta", beta)? })
    }
}

impl PositiveDefinite for Spherical {}

impl Describe for Spherical {
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("beta", self.beta)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), kernels_core::Error> {
        let [beta] = values else {
            let what = "number of parameter values";
            return Err(kernels_core::Error::Shape { what, expected: 1, given: values.len() });
        };
        if !(beta.is_finite() && *beta > 0.0) {
            let expected = "a finite number above 0";
            return Err(kernels_core::Error::Parameter { name: "beta".into(), value: *beta, expected });
        }
        self.beta = *beta;
        Ok(())
    }
}

impl Kernel<Rows<f64>> for Spherical {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        let inner: f64 = x.iter().zip(y).map(|(a, b)| a * b).sum();
        (-self.beta * (1.0 - inner)).exp()
    }

    fn block_gradient(
        &self,
        at: &kernels_core::Block<'_, Rows<f64>>,
        weights: nalgebra::DMatrixView<'_, f64>,
        gradient: &mut [f64],
        _: &mut kernels_core::Workspace<f64>,
    ) {
        for (j, c) in at.cols().enumerate() {
            for (i, r) in at.rows().enumerate() {
                let value = self.eval(at.xs().point(r), at.ys().point(c));
                gradient[0] += weights[(i, j)] * value * value.ln() / self.beta;
            }
        }
    }
}
