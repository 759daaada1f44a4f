//! Noise that depends on the point.

use kernels_core::{Describe, Kernel, Points, PositiveDefinite};

use super::{GaussianProcess, GpModel, GpPrediction};
use crate::{Error, data::{at_least, checked}};

/// Gaussian process regression whose noise variance is itself a smooth function of the point: the most likely heteroscedastic
/// process.
///
/// A process for the function and one for the logarithm of the noise variance are fitted in turn; the targets of the second are
/// squared leave-one-out residuals, freed of the function's own uncertainty and of the bias of the logarithm of χ².
///
/// Reference: Kersting, Plagemann, Pfaff, Burgard, *Most likely heteroscedastic Gaussian process regression*, ICML 2007; the
/// leave-one-out residuals in place of sampled ones are ours.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::HeteroscedasticGp;
/// let x: Vec<f64> = (0..120).map(|i| f64::from(i) / 120.0).collect();
/// // Noise grows to the right; its sign alternates.
/// let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| (6.0 * x).sin() + x * if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
/// let xs = Rows::from_row_major(x, 120, 1)?;
/// let model = HeteroscedasticGp::new(Rbf::new(0.2)?, Rbf::new(0.3)?).fit(&xs, &y)?;
/// let noise = model.noise_variance(&Rows::from_row_major(vec![0.1, 0.9], 2, 1)?)?;
/// assert!(noise[1] > 4.0 * noise[0]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeteroscedasticGp<K, N> {
    kernel: K,
    noise_kernel: N,
    rounds: usize,
}

/// −E ln χ²₁.
const LN_CHI_SQUARED: f64 = 1.270_362_845_461_478_2;

impl<K, N> HeteroscedasticGp<K, N> {
    /// A kernel for the function and one for the logarithm of the noise variance; 4 rounds.
    pub fn new(kernel: K, noise_kernel: N) -> Self {
        Self { kernel, noise_kernel, rounds: 4 }
    }

    /// Rounds of fitting both.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Fits to points and targets of one output.
    ///
    /// **Errors.** As [`GaussianProcess::fit`]; no rounds. **Complexity.** n³ for each evaluation of an objective.
    pub fn fit<P>(&self, xs: &P, y: &[f64]) -> Result<HeteroscedasticModel<P, K, N>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Describe + Clone,
        N: Kernel<P> + PositiveDefinite + Describe + Clone,
    {
        at_least("a heteroscedastic process (rounds)", 1, self.rounds)?;
        checked("a heteroscedastic process", &self.kernel, xs, y)?;
        let mut function = GaussianProcess::new(self.kernel.clone()).fit(xs, y)?;
        let scale = function.scales()[0].powi(2);
        // Noise variances in units of the normalised targets.
        let mut variances = vec![function.noise().max(1e-8); y.len()];
        let mut noise = None;
        for _ in 0..self.rounds {
            let loo = function.leave_one_out()?;
            let floor = 1e-12;
            let logs: Vec<f64> = (0..y.len())
                .map(|i| {
                    let error = (y[i] - loo.mean[(i, 0)]).powi(2) / scale;
                    let share = (variances[i] * scale / loo.variance[(i, 0)]).min(1.0);
                    (error * share).max(floor).ln() + LN_CHI_SQUARED
                })
                .collect();
            // The logarithm of χ²₁ has variance π²/2, in units of the logs' own spread.
            let model = GaussianProcess::new(self.noise_kernel.clone()).noise(0.5).fit(xs, &logs)?;
            variances = model.predict_mean(xs)?.iter().map(|v| v.exp().max(1e-10)).collect();
            noise = Some(model);
            function = GaussianProcess::new(function.kernel().clone())
                .noise(0.0)
                .fit_noise(false)
                .sample_noise(variances.clone())
                .fit(xs, y)?;
        }
        match noise {
            Some(noise) => Ok(HeteroscedasticModel { function, noise }),
            None => Err(kernels_core::Error::NotConverged { what: "a heteroscedastic process", iterations: 0 }.into()),
        }
    }
}

/// A fitted heteroscedastic process.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HeteroscedasticModel<P, K, N> {
    function: GpModel<P, K>,
    noise: GpModel<P, N>,
}

impl<P: Points, K: Kernel<P> + Describe, N: Kernel<P> + Describe> HeteroscedasticModel<P, K, N> {
    /// The process of the function.
    pub fn function(&self) -> &GpModel<P, K> {
        &self.function
    }

    /// The noise variance at every point, in units of the targets.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn noise_variance(&self, xs: &P) -> Result<Vec<f64>, Error> {
        let scale = self.function.scales()[0].powi(2);
        Ok(self.noise.predict_mean(xs)?.iter().map(|v| v.exp() * scale).collect())
    }

    /// Means, and variances of the function without noise.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn predict(&self, xs: &P) -> Result<GpPrediction, Error> {
        self.function.predict(xs)
    }

    /// Means, and variances of new observations.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn predict_observation(&self, xs: &P) -> Result<GpPrediction, Error> {
        let mut p = self.function.predict(xs)?;
        for (v, noise) in p.variance.iter_mut().zip(self.noise_variance(xs)?) {
            *v += noise;
        }
        Ok(p)
    }
}
