//! A fitted Gaussian process.

use kernels_core::{Describe, Kernel, LazyCross, Points, Real, dense::Cholesky, gram};
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{FitReport, objective::Posterior};
use crate::{Error, Version, data::cross_f64};

/// A fitted Gaussian process regression.
///
/// Stored models keep the coefficients, so means are bitwise those of the model that was stored; the factor for variances
/// is computed again when a model is read (n³/3), which gives the same bits on the same kind of processor.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(not(feature = "serde"), allow(dead_code))] // format of stored models
pub struct GpModel<P, K> {
    version: Version,
    kernel: K,
    noise: f64,
    extra: Vec<f64>,
    points: P,
    coefficients: DMatrix<f64>,
    means: DVector<f64>,
    scales: DVector<f64>,
    log_marginal_likelihood: f64,
    report: Option<FitReport>,
    #[cfg_attr(feature = "serde", serde(skip))]
    factor: Cholesky,
}

/// Predictions of a Gaussian process for m points.
#[derive(Clone, Debug, PartialEq)]
pub struct GpPrediction {
    /// Means, m × t.
    pub mean: DMatrix<f64>,
    /// Variances, m × t.
    pub variance: DMatrix<f64>,
    /// Variances that rounding had made negative and that were set to 0.
    pub clipped: usize,
}

/// What the model without each sample says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaveOneOutDensity {
    /// Means, n × t, in the units of the targets.
    pub mean: DMatrix<f64>,
    /// Variances, n × t, noise included.
    pub variance: DMatrix<f64>,
    /// Log predictive density summed over samples and outputs.
    pub log_density: f64,
}

/// Working memory of a prediction.
const BUDGET: usize = 64 << 20;

impl<P, K> GpModel<P, K> {
    pub(super) fn new(
        kernel: K,
        noise: f64,
        points: P,
        posterior: Posterior,
        (means, scales): (DVector<f64>, DVector<f64>),
        extra: Vec<f64>,
        report: Option<FitReport>,
    ) -> Self {
        // A density of y is one of y' divided by the scale, sample by sample.
        let n = posterior.coefficients.nrows() as f64;
        let units: f64 = scales.iter().map(|s| s.ln()).sum();
        Self {
            version: Version,
            kernel,
            noise,
            extra,
            points,
            log_marginal_likelihood: posterior.log_marginal_likelihood - n * units,
            coefficients: posterior.coefficients,
            factor: posterior.factor,
            means,
            scales,
            report,
        }
    }

    /// The kernel, tuned.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The common noise variance, in units of the normalised targets.
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// The training points.
    pub fn points(&self) -> &P {
        &self.points
    }

    /// How the choice of hyper-parameters went; `None` when none were free.
    pub fn report(&self) -> Option<&FitReport> {
        self.report.as_ref()
    }

    /// Log marginal likelihood of the targets in their own units, summed over outputs.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.log_marginal_likelihood
    }
}

impl<P: Points, K: Kernel<P> + Describe> GpModel<P, K> {
    /// Means, and variances of the function without noise.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** O(m n²); memory O(n) for each of the points it works
    /// on at a time.
    pub fn predict(&self, xs: &P) -> Result<GpPrediction, Error> {
        self.predict_with(xs, false)
    }

    /// Means, and variances of new observations: noise included, also that of a [`White`](kernels_core::White) kernel.
    ///
    /// # Errors
    /// As [`GpModel::predict`].
    pub fn predict_observation(&self, xs: &P) -> Result<GpPrediction, Error> {
        self.predict_with(xs, true)
    }

    /// Means alone, without the n² a point that variances cost.
    ///
    /// # Errors
    /// As [`GpModel::predict`].
    pub fn predict_mean(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let coefficients = self.coefficients.map(P::Scalar::of);
        let mut values = DMatrix::repeat(xs.len(), coefficients.ncols(), P::Scalar::default());
        LazyCross::new(&self.kernel, xs, &self.points, BUDGET)?
            .apply(coefficients.as_view(), values.as_view_mut())?;
        let mut mean = values.map(Real::to_f64);
        for (k, mut column) in mean.column_iter_mut().enumerate() {
            column.apply(|v| *v = *v * self.scales[k] + self.means[k]);
        }
        Ok(mean)
    }

    fn predict_with(&self, xs: &P, observation: bool) -> Result<GpPrediction, Error> {
        let mean = self.predict_mean(xs)?;
        let m = xs.len();
        let prior: Vec<f64> = if observation {
            kernels_core::diagonal(&self.kernel, xs)?.iter().map(|v| v.to_f64() + self.noise).collect()
        } else {
            (0..m).map(|i| self.kernel.eval(xs.point(i), xs.point(i)).to_f64()).collect()
        };
        let v = self.whitened(xs)?;
        let mut clipped = 0;
        let variance: Vec<f64> = (0..m)
            .map(|i| {
                let left = prior[i] - v.column(i).norm_squared();
                clipped += usize::from(left < 0.0);
                left.max(0.0)
            })
            .collect();
        let variance =
            DMatrix::from_fn(m, self.scales.len(), |i, k| variance[i] * self.scales[k] * self.scales[k]);
        Ok(GpPrediction { mean, variance, clipped })
    }

    /// L⁻¹ k(X, xs), n × m.
    fn whitened(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let mut v = cross_f64(&self.kernel, &self.points, xs)?;
        self.factor.solve_lower_in_place(v.as_view_mut())?;
        Ok(v)
    }

    /// Posterior covariance of the function at m points, m × m, in the units of the normalised targets (multiply by the square
    /// of an output's scale, [`GpModel::scales`]).
    ///
    /// **Errors.** As [`GpModel::predict`]. **Complexity.** O(m n² + m² n).
    pub fn predict_covariance(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let v = self.whitened(xs)?;
        let mut prior = gram(&self.kernel, xs)?.map(Real::to_f64);
        for i in 0..xs.len() {
            // Without the noise that a kernel puts on the diagonal.
            prior[(i, i)] = self.kernel.eval(xs.point(i), xs.point(i)).to_f64();
        }
        Ok(prior - v.tr_mul(&v))
    }

    /// Scales of the outputs: 1, or their standard deviations when targets were normalised.
    pub fn scales(&self) -> &DVector<f64> {
        &self.scales
    }

    /// Draws `count` functions from the posterior of the first output at m points, m × `count`.
    ///
    /// A jitter of 1e-10 times the largest prior variance is added to the covariance, which has no factor otherwise.
    ///
    /// **Errors.** As [`GpModel::predict`]. **Complexity.** O(m³ + m² n + m n²).
    pub fn sample(&self, xs: &P, count: usize, seed: u64) -> Result<DMatrix<f64>, Error> {
        let mean = self.predict_mean(xs)?;
        let m = xs.len();
        let mut covariance = self.predict_covariance(xs)?;
        let prior = (0..m).map(|i| self.kernel.eval(xs.point(i), xs.point(i)).to_f64()).fold(0.0, f64::max);
        for i in 0..m {
            covariance[(i, i)] += 1e-10 * prior;
        }
        let factor = Cholesky::new(covariance)?;
        let lower = factor.factor().lower_triangle();
        let mut normal = DMatrix::zeros(m, count);
        for (draw, mut column) in normal.column_iter_mut().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(draw as u64);
            column.apply(|v| *v = StandardNormal.sample(&mut rng));
        }
        let mut draws = lower * normal * self.scales[0];
        for mut column in draws.column_iter_mut() {
            column += mean.column(0);
        }
        Ok(draws)
    }

    /// For every sample, what the model without it says: closed form, from the inverse.
    ///
    /// **Errors.** [`kernels_core::Error::Memory`]. **Complexity.** O(n³).
    pub fn leave_one_out(&self) -> Result<LeaveOneOutDensity, Error> {
        let g = self.factor.inverse()?;
        let (n, outputs) = self.coefficients.shape();
        let (mut mean, mut variance) = (DMatrix::zeros(n, outputs), DMatrix::zeros(n, outputs));
        // y' = (K + noise) a, without the targets themselves: L Lᵀ a.
        let lower = self.factor.factor().lower_triangle();
        let y = &lower * lower.tr_mul(&self.coefficients);
        let mut log_density = 0.0;
        for k in 0..outputs {
            let (location, scale) = (self.means[k], self.scales[k]);
            for i in 0..n {
                let (a, g) = (self.coefficients[(i, k)], g[(i, i)]);
                mean[(i, k)] = (y[(i, k)] - a / g) * scale + location;
                variance[(i, k)] = scale * scale / g;
                log_density -= 0.5 * ((2.0 * std::f64::consts::PI * variance[(i, k)]).ln() + a * a / g);
            }
        }
        Ok(LeaveOneOutDensity { mean, variance, log_density })
    }
}

#[cfg(feature = "serde")]
mod persist {
    use kernels_core::{Describe, Kernel, Points};
    use nalgebra::{DMatrix, DVector};
    use serde::{Deserialize, Deserializer, de::Error as _};

    use super::{super::objective::factorize, FitReport, GpModel, Version};

    #[derive(Deserialize)]
    struct Stored<P, K> {
        version: Version,
        kernel: K,
        noise: f64,
        extra: Vec<f64>,
        points: P,
        coefficients: DMatrix<f64>,
        means: DVector<f64>,
        scales: DVector<f64>,
        log_marginal_likelihood: f64,
        report: Option<FitReport>,
    }

    impl<'de, P, K> Deserialize<'de> for GpModel<P, K>
    where
        P: Points + Deserialize<'de>,
        K: Kernel<P> + Describe + Deserialize<'de>,
    {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let s = Stored::<P, K>::deserialize(deserializer)?;
            let outputs = s.coefficients.ncols();
            if s.coefficients.nrows() != s.points.len()
                || s.means.len() != outputs
                || s.scales.len() != outputs
            {
                return Err(D::Error::custom(
                    "coefficients, points and scales of the model disagree in their sizes",
                ));
            }
            let factor = factorize(&s.kernel, s.noise, &s.points, &s.extra).map_err(D::Error::custom)?;
            Ok(Self {
                version: s.version,
                kernel: s.kernel,
                noise: s.noise,
                extra: s.extra,
                points: s.points,
                coefficients: s.coefficients,
                means: s.means,
                scales: s.scales,
                log_marginal_likelihood: s.log_marginal_likelihood,
                report: s.report,
                factor,
            })
        }
    }
}
