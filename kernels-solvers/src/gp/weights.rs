//! The data-emphasised posterior of the weights of a linear model.

use kernels_core::dense::{Cholesky, product};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error,
    data::{at_least, expect, finite, positive},
};

/// The Gaussian posterior N(m, Σ) of the weights of y = Φw + ε that maximises κ E ln p(y|w) − KL(q‖p).
///
/// Σ = (κΦᵀΦ/σ² + I/τ²)⁻¹, m = κ Σ Φᵀy/σ², with prior variance τ² and noise variance σ².
///
/// Reference: Harvey, Petrov, Hughes, *Learning hyperparameters via a data-emphasized variational objective* (2025).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightPosterior {
    /// m.
    pub mean: DVector<f64>,
    /// κ E ln p(y|w) − KL(q‖p).
    pub objective: f64,
    /// E ln p(y|w) under q.
    pub expected_log_likelihood: f64,
    /// KL(q‖p).
    pub divergence: f64,
    /// The prior variance that maximises the objective for this q: (‖m‖² + tr Σ)/D.
    pub prior_update: f64,
}

impl WeightPosterior {
    /// From features Φ (n × D), targets, variances and κ.
    ///
    /// **Errors.** Shapes that disagree, no samples or features, values that are not finite, parameters that are not positive.
    /// **Complexity.** D³ + nD².
    ///
    /// ```
    /// use kernels_solvers::WeightPosterior;
    /// use nalgebra::dmatrix;
    /// let q = WeightPosterior::new(&dmatrix![1.0; 2.0], &[2.0, 4.0], 1e6, 0.01, 1.0)?;
    /// assert!((q.mean[0] - 2.0).abs() < 1e-6);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn new(
        features: &DMatrix<f64>,
        y: &[f64],
        prior_variance: f64,
        noise_variance: f64,
        kappa: f64,
    ) -> Result<Self, Error> {
        let (n, d) = features.shape();
        at_least("a posterior of weights (samples)", 1, n)?;
        at_least("a posterior of weights (features)", 1, d)?;
        expect("targets (one a sample)", n, y.len())?;
        finite("target", y, n)?;
        finite("feature", features.as_slice(), n)?;
        let prior = positive("prior_variance", prior_variance)?;
        let noise = positive("noise_variance", noise_variance)?;
        let kappa = positive("kappa", kappa)?;
        let mut precision = product(&features.transpose(), features)? * (kappa / noise);
        (0..d).for_each(|i| precision[(i, i)] += 1.0 / prior);
        let factor = Cholesky::new(precision)?;
        let y = DVector::from_column_slice(y);
        let mut mean = DMatrix::from_column_slice(d, 1, (features.tr_mul(&y) * (kappa / noise)).as_slice());
        factor.solve_in_place(mean.as_view_mut())?;
        let mean = mean.column(0).into_owned();
        let covariance = factor.inverse()?;
        let residual = &y - features * &mean;
        let spread = product(features, &covariance)?.dot(features);
        let ln = (2.0 * std::f64::consts::PI * noise).ln();
        let expected_log_likelihood = -0.5 * n as f64 * ln - 0.5 * (residual.norm_squared() + spread) / noise;
        let second = mean.norm_squared() + covariance.trace();
        let divergence =
            0.5 * (second / prior - d as f64 + d as f64 * prior.ln() + factor.ln_determinant());
        Ok(Self {
            objective: kappa * expected_log_likelihood - divergence,
            mean,
            expected_log_likelihood,
            divergence,
            prior_update: second / d as f64,
        })
    }
}
