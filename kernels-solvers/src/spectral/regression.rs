//! Regression with filters.

use kernels_core::{
    Kernel, LazyGram, Points, PositiveDefinite,
    dense::{SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector};

use super::{Filter, FilterReport, KrylovLimits, filter_operator};
use crate::{
    Error, KrrModel, Targets,
    data::{checked, gram_f64},
};

/// Kernel regression by a spectral filter.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{Krr, spectral::{SpectralRegression, Tikhonov}};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let y = vec![0.0, 0.8, 0.9, 0.1];
/// // Ridge regression is the filter 1/(λ + η), with α = nη.
/// let filtered = SpectralRegression::new(Rbf::new(1.0)?, Tikhonov::new(0.1)?).fit(&xs, &y)?;
/// let ridge = Krr::new(Rbf::new(1.0)?).ridge(0.4).fit(&xs, &y)?;
/// assert!((filtered.predict(&xs)? - ridge.predict(&xs)?).amax() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralRegression<K, F> {
    kernel: K,
    filter: F,
    limits: KrylovLimits,
    budget: usize,
}

impl<K, F: Filter> SpectralRegression<K, F> {
    /// A kernel and a filter.
    pub fn new(kernel: K, filter: F) -> Self {
        Self { kernel, filter, limits: KrylovLimits::default(), budget: 256 << 20 }
    }

    /// When [`SpectralRegression::fit_matrix_free`] ends, for filters that are not polynomials.
    pub fn limits(mut self, limits: KrylovLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Working memory in bytes of [`SpectralRegression::fit_matrix_free`].
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Fits by an eigendecomposition.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit). **Complexity.** About 9n³ operations, 2n² memory.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y) -> Result<KrrModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        SpectralPath::new(self.kernel.clone(), xs, y)?.into_model(&self.filter)
    }

    /// Fits with products alone; the Gram matrix is never stored.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit), and [`kernels_core::Error::Memory`] for a budget without room for tiles.
    /// **Complexity.** n² kernel values for every iteration.
    pub fn fit_matrix_free<P, Y>(&self, xs: &P, y: &Y) -> Result<(KrrModel<P, K>, FilterReport), Error>
    where
        P: Points<Scalar = f64> + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let y = checked("a spectral algorithm", &self.kernel, xs, y)?;
        let operator = LazyGram::new(&self.kernel, xs, self.budget)?;
        let (coefficients, report) = filter_operator(&operator, &self.filter, &y, self.limits)?;
        let intercepts = DVector::zeros(y.ncols());
        Ok((KrrModel::new(self.kernel.clone(), xs.clone(), coefficients, intercepts), report))
    }
}

/// One eigendecomposition K/n = U diag(λ) Uᵀ, then any filter in O(n²).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::spectral::{CutOff, GradientFlow, SpectralPath};
/// let xs = Rows::from_row_major((0..30).map(|i| f64::from(i) / 5.0).collect(), 30, 1)?;
/// let y: Vec<f64> = (0..30).map(|i| (f64::from(i) / 5.0).cos()).collect();
/// let path = SpectralPath::new(Rbf::new(1.0)?, &xs, &y)?;
/// assert!(path.degrees_of_freedom(&GradientFlow::new(10.0)?) < path.degrees_of_freedom(&GradientFlow::new(1e3)?));
/// let model = path.into_model(&CutOff::new(1e-6)?)?;
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralPath<P, K> {
    kernel: K,
    points: P,
    eigen: SymmetricEigen,
    projected: DMatrix<f64>,
    y: DMatrix<f64>,
}

impl<P: Points + Clone, K: Kernel<P> + PositiveDefinite> SpectralPath<P, K> {
    /// Decomposes the Gram matrix. Eigenvalues that rounding made negative are taken as 0.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit). **Complexity.** About 9n³ operations, 2n² memory.
    pub fn new<Y: Targets + ?Sized>(kernel: K, xs: &P, y: &Y) -> Result<Self, Error> {
        let y = checked("a spectral algorithm", &kernel, xs, y)?;
        let mut eigen = SymmetricEigen::new(&gram_f64(&kernel, xs)?)?;
        let n = xs.len() as f64;
        eigen.values.iter_mut().for_each(|v| *v = v.max(0.0) / n);
        let projected = eigen.vectors.tr_mul(&y);
        Ok(Self { kernel, points: xs.clone(), eigen, projected, y })
    }

    /// Eigenvalues of K/n, ascending.
    pub fn eigenvalues(&self) -> &DVector<f64> {
        &self.eigen.values
    }

    /// Uᵀy, n × t: targets in the eigenbasis, in the order of [`SpectralPath::eigenvalues`].
    pub fn projected(&self) -> &DMatrix<f64> {
        &self.projected
    }

    fn scaled(&self, factor: impl Fn(f64) -> f64) -> Result<DMatrix<f64>, Error> {
        let mut scaled = self.projected.clone();
        for (mut row, &value) in scaled.row_iter_mut().zip(&self.eigen.values) {
            row *= factor(value);
        }
        Ok(product(&self.eigen.vectors, &scaled)?)
    }

    /// Fitted values U h(λ) Uᵀ y, h(λ) = λ g(λ), n × t.
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn fitted(&self, filter: &dyn Filter) -> Result<DMatrix<f64>, Error> {
        self.scaled(|value| 1.0 - filter.residual(value))
    }

    /// Σ h(λⱼ): effective degrees of freedom.
    pub fn degrees_of_freedom(&self, filter: &dyn Filter) -> f64 {
        self.eigen.values.iter().map(|&v| 1.0 - filter.residual(v)).sum()
    }

    /// Leave-one-out residuals (yᵢ − f(xᵢ))/(1 − Sᵢᵢ) with S = U h(λ) Uᵀ, n × t: exact for [`Tikhonov`](super::Tikhonov),
    /// an approximation for other filters.
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn leave_one_out(&self, filter: &dyn Filter) -> Result<DMatrix<f64>, Error> {
        let n = self.y.nrows();
        // Rows of U sum to 1 in squares, so 1 − Sᵢᵢ = Σ U²ᵢⱼ (1 − h) without cancellation.
        let left: Vec<f64> = self.eigen.values.iter().map(|&v| filter.residual(v)).collect();
        let mut residuals = self.scaled(|value| filter.residual(value))?;
        for i in 0..n {
            let share: f64 = (0..n).map(|j| self.eigen.vectors[(i, j)].powi(2) * left[j]).sum();
            residuals.row_mut(i).iter_mut().for_each(|e| *e /= share);
        }
        Ok(residuals)
    }

    /// Coefficients (1/n) U g(λ) Uᵀ y of the fitted function, n × t.
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn coefficients(&self, filter: &dyn Filter) -> Result<DMatrix<f64>, Error> {
        let n = self.y.nrows() as f64;
        self.scaled(|value| filter.value(value) / n)
    }

    /// The model of a filter. O(n²t).
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn into_model(self, filter: &dyn Filter) -> Result<KrrModel<P, K>, Error> {
        let coefficients = self.coefficients(filter)?;
        let outputs = coefficients.ncols();
        Ok(KrrModel::new(self.kernel, self.points, coefficients, DVector::zeros(outputs)))
    }
}
