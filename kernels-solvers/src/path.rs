//! All ridges at once: leave-one-out, GCV and marginal likelihood from one eigendecomposition.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel, Targets,
    data::{checked, expect, gram_f64, non_negative, positive},
};

/// The ridge path of a kernel regression: one eigendecomposition K = UΛUᵀ, then every ridge in O(n²).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{Criterion, RidgePath};
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 10.0).collect(), 40, 1)?;
/// let y: Vec<f64> = (0..40).map(|i| (f64::from(i) / 10.0).sin() + 0.1 * f64::from(i % 3)).collect();
/// let path = RidgePath::new(Rbf::new(0.5)?, &xs, &y)?;
/// let best = path.best(&RidgePath::<Rows<f64>, Rbf>::default_ridges(), Criterion::LeaveOneOut)?;
/// let model = path.into_model(best.ridge)?;
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RidgePath<P, K> {
    kernel: K,
    points: P,
    eigen: SymmetricEigen,
    /// Uᵀy, n × t.
    projected: DMatrix<f64>,
    y: DMatrix<f64>,
}

/// What a ridge does: everything is a mean or a sum over all outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathPoint {
    /// The ridge α, unnormalised.
    pub ridge: f64,
    /// Mean squared leave-one-out residual (PRESS).
    pub loo_mse: f64,
    /// Generalised cross-validation, n‖(I−S)y‖² / tr(I−S)² over n t.
    pub gcv: f64,
    /// Effective degrees of freedom tr S, S = K(K + αI)⁻¹.
    pub degrees_of_freedom: f64,
    /// Log marginal likelihood of a Gaussian process with noise variance α, summed over outputs.
    pub log_marginal_likelihood: f64,
    /// Log predictive density of the samples left out one by one, summed.
    pub loo_log_density: f64,
}

/// What the best ridge is best at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Criterion {
    /// Least mean squared leave-one-out residual.
    LeaveOneOut,
    /// Least generalised cross-validation score.
    Gcv,
    /// Greatest marginal likelihood.
    MarginalLikelihood,
    /// Greatest leave-one-out predictive density.
    LeaveOneOutDensity,
}

impl PathPoint {
    /// The criterion's value, the smaller the better.
    pub fn loss(&self, criterion: Criterion) -> f64 {
        match criterion {
            Criterion::LeaveOneOut => self.loo_mse,
            Criterion::Gcv => self.gcv,
            Criterion::MarginalLikelihood => -self.log_marginal_likelihood,
            Criterion::LeaveOneOutDensity => -self.loo_log_density,
        }
    }
}

impl<P, K> RidgePath<P, K> {
    /// 30 ridges from 10⁻⁸ to 10², evenly on the logarithm.
    pub fn default_ridges() -> Vec<f64> {
        (0..30).map(|i| 10.0_f64.powf(-8.0 + 10.0 * f64::from(i) / 29.0)).collect()
    }
}

impl<P: Points + Clone, K: Kernel<P> + PositiveDefinite> RidgePath<P, K> {
    /// Decomposes the Gram matrix.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit). **Complexity.** About 9n³ operations, 2n² memory.
    pub fn new<Y: Targets + ?Sized>(kernel: K, xs: &P, y: &Y) -> Result<Self, Error> {
        let y = checked("a ridge path", &kernel, xs, y)?;
        let mut eigen = SymmetricEigen::new(&gram_f64(&kernel, xs)?)?;
        // Rounding makes eigenvalues of a positive semidefinite matrix slightly negative.
        let rounding = -(eigen.values.len() as f64) * f64::EPSILON * eigen.values.amax() * 10.0;
        if let Some(value) = eigen.values.iter().find(|v| **v < rounding) {
            let (pivot, n, value) = (0, eigen.values.len(), *value);
            return Err(
                kernels_core::Error::NotPositiveDefinite { pivot, n, value, suggested: -value }.into()
            );
        }
        eigen.values.iter_mut().for_each(|v| *v = v.max(0.0));
        let projected = eigen.vectors.tr_mul(&y);
        Ok(Self { kernel, points: xs.clone(), eigen, projected, y })
    }

    /// Eigenvalues of the Gram matrix, ascending.
    pub fn eigenvalues(&self) -> &DVector<f64> {
        &self.eigen.values
    }

    /// One ridge above 0. O(n²t).
    ///
    /// # Errors
    /// A ridge that is not positive.
    pub fn evaluate(&self, ridge: f64) -> Result<PathPoint, Error> {
        Ok(self.evaluate_all(&[ridge])?[0])
    }

    /// Many ridges above 0, by matrix products. O(n²t) each.
    ///
    /// # Errors
    /// A ridge that is not positive.
    pub fn evaluate_all(&self, ridges: &[f64]) -> Result<Vec<PathPoint>, Error> {
        for &ridge in ridges {
            non_negative("ridge", ridge)?;
            if ridge == 0.0 {
                let expected = "above 0 for leave-one-out";
                return Err(
                    kernels_core::Error::Parameter { name: "ridge".into(), value: 0.0, expected }.into()
                );
            }
        }
        let (n, outputs) = self.y.shape();
        // Column r: 1/(λ + α_r). Diagonals of G are (U∘U) times it, coefficients U (z ∘ it).
        let inverse = DMatrix::from_fn(n, ridges.len(), |j, r| 1.0 / (self.eigen.values[j] + ridges[r]));
        let diagonals = product(&self.eigen.vectors.map(|v| v * v), &inverse)?;
        let scaled: Vec<DMatrix<f64>> = self
            .projected
            .column_iter()
            .map(|z| DMatrix::from_fn(n, ridges.len(), |j, r| z[j] * inverse[(j, r)]))
            .collect();
        let coefficients = scaled
            .iter()
            .map(|s| product(&self.eigen.vectors, s))
            .collect::<Result<Vec<_>, kernels_core::Error>>()?;
        let point = |r: usize, ridge: f64| {
            let count = (n * outputs) as f64;
            let trace: f64 = inverse.column(r).sum();
            let (mut press, mut density, mut quadratic, mut residual) = (0.0, 0.0, 0.0, 0.0);
            for (k, c) in coefficients.iter().enumerate() {
                for (c, g) in c.column(r).iter().zip(&diagonals.column(r)) {
                    let e = c / g;
                    press += e * e;
                    density += 0.5 * (g.ln() - (2.0 * std::f64::consts::PI).ln() - e * e * g);
                }
                quadratic += self.projected.column(k).dot(&scaled[k].column(r));
                residual += scaled[k].column(r).norm_squared();
            }
            let ln_det: f64 = self.eigen.values.iter().map(|v| (v + ridge).ln()).sum();
            let normalisation = ln_det + n as f64 * (2.0 * std::f64::consts::PI).ln();
            PathPoint {
                ridge,
                loo_mse: press / count,
                gcv: n as f64 * n as f64 * residual / (trace * trace) / count,
                degrees_of_freedom: n as f64 - ridge * trace,
                log_marginal_likelihood: -0.5 * quadratic - 0.5 * normalisation * outputs as f64,
                loo_log_density: density,
            }
        };
        Ok(ridges.iter().enumerate().map(|(r, &ridge)| point(r, ridge)).collect())
    }

    /// The best of these ridges.
    ///
    /// # Errors
    /// No ridges, or one that is not positive.
    pub fn best(&self, ridges: &[f64], criterion: Criterion) -> Result<PathPoint, Error> {
        let points = self.evaluate_all(ridges)?;
        let best = points.into_iter().min_by(|a, b| a.loss(criterion).total_cmp(&b.loss(criterion)));
        best.ok_or_else(|| {
            kernels_core::Error::TooFewPoints { what: "a choice of ridges", needed: 1, given: 0 }.into()
        })
    }

    /// The model of a ridge above 0. O(n²t).
    ///
    /// # Errors
    /// A ridge that is not positive.
    pub fn into_model(self, ridge: f64) -> Result<KrrModel<P, K>, Error> {
        let ridges = vec![ridge; self.y.ncols()];
        self.into_model_by_output(&ridges)
    }

    /// The model with a ridge above 0 for every output. O(n²t).
    ///
    /// # Errors
    /// Not one ridge an output, a ridge that is not positive.
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_solvers::{Krr, RidgePath};
    /// let xs = Rows::from_row_major((0..20).map(f64::from).collect(), 20, 1)?;
    /// let y = nalgebra::DMatrix::from_fn(20, 2, |i, k| ((1 + k) as f64 * i as f64 / 5.0).sin());
    /// let model = RidgePath::new(Rbf::new(2.0)?, &xs, &y)?.into_model_by_output(&[0.1, 1e-3])?;
    /// let second = Krr::new(Rbf::new(2.0)?).ridge(1e-3).fit(&xs, &y)?;
    /// assert!((model.coefficients().column(1) - second.coefficients().column(1)).amax() < 1e-9);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn into_model_by_output(self, ridges: &[f64]) -> Result<KrrModel<P, K>, Error> {
        expect("ridges (one an output)", self.y.ncols(), ridges.len())?;
        for ridge in ridges {
            positive("ridge", *ridge)?;
        }
        let mut scaled = self.projected;
        for (mut column, ridge) in scaled.column_iter_mut().zip(ridges) {
            column.zip_apply(&self.eigen.values, |v, value| *v /= value + ridge);
        }
        let coefficients = &self.eigen.vectors * scaled;
        Ok(KrrModel::new(self.kernel, self.points, coefficients, DVector::zeros(ridges.len())))
    }
}
