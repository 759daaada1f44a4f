//! Ridge regression and random features under Gaussian universality.

use kernels_core::{Kernel, Points, PositiveDefinite};

use crate::{
    Error, Targets,
    data::{at_least, expect, finite, non_negative},
    spectral::SpectralPath,
};

/// Eigenvalues λᵢ of a kernel under the distribution of the points, squared coefficients v²ᵢ of the target in its
/// eigenfunctions, and the noise variance σ².
///
/// Predictions are averages over samples, exact in the limit of many samples for Gaussian eigenfunctions and good for real
/// data. The ridge δ is the unnormalised one: (K + δI) c = y.
///
/// Reference: Simon, Karkada, Ghosh, Belkin, *More is better: when infinite overparameterization is optimal and overfitting is
/// obligatory*, ICLR 2024, sections 3 and 4.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenstructure {
    pub(super) eigenvalues: Vec<f64>,
    pub(super) squares: Vec<f64>,
    pub(super) noise: f64,
}

/// What a ridge regression will do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskPrediction {
    /// Implicit regularization κ: eigencomponents with λ above it are learned.
    pub kappa: f64,
    /// γ of random features; κ for the kernel itself.
    pub gamma: f64,
    /// Mean squared error on new samples, noise included.
    pub test: f64,
    /// Mean squared error on the training samples.
    pub train: f64,
    /// Factor by which finite sampling multiplies the error of an infinite sample with regularization κ.
    pub overfitting: f64,
}

/// Halvings of an interval of logarithms: more than double precision resolves.
const HALVINGS: usize = 200;

impl Eigenstructure {
    /// From eigenvalues, coefficients vᵢ, and a noise variance.
    ///
    /// # Errors
    /// Lengths that differ, none at all, values that are negative or not finite.
    pub fn new(eigenvalues: impl Into<Vec<f64>>, coefficients: &[f64], noise: f64) -> Result<Self, Error> {
        let eigenvalues = eigenvalues.into();
        at_least("an eigenstructure", 1, eigenvalues.len())?;
        expect("coefficients (one an eigenvalue)", eigenvalues.len(), coefficients.len())?;
        for &value in &eigenvalues {
            non_negative("eigenvalue", value)?;
        }
        finite("coefficient", coefficients, coefficients.len())?;
        let squares = coefficients.iter().map(|v| v * v).collect();
        Ok(Self { eigenvalues, squares, noise: non_negative("noise", noise)? })
    }

    /// Estimates the structure from a sample of N points, many more than the n to predict for: λᵢ are the eigenvalues of
    /// K/N, vᵢ = uᵢᵀy/√N. Whatever noise the targets have counts as part of the target; the squares of several outputs are
    /// added.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit). **Complexity.** About 9N³ operations.
    pub fn estimate<P, K, Y>(kernel: K, xs: &P, y: &Y) -> Result<Self, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite,
        Y: Targets + ?Sized,
    {
        let path = SpectralPath::new(kernel, xs, y)?;
        let n = xs.len() as f64;
        let eigenvalues = path.eigenvalues().as_slice().to_vec();
        let squares = path.projected().row_iter().map(|row| row.norm_squared() / n).collect();
        Ok(Self { eigenvalues, squares, noise: 0.0 })
    }

    /// The eigenvalues.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Σ λ/(λ+κ) and Σ (λ/(λ+κ))²; eigenvalues of 0 count nothing.
    fn learned(&self, kappa: f64) -> (f64, f64) {
        self.eigenvalues.iter().filter(|v| **v > 0.0).fold((0.0, 0.0), |(z, q), &v| {
            let share = v / (v + kappa);
            (z + share, q + share * share)
        })
    }

    /// The root of a decreasing function on a logarithmic interval.
    fn bisect(low: f64, high: f64, positive: impl Fn(f64) -> bool) -> f64 {
        let (mut low, mut high) = (low.max(1e-300).ln(), high.max(1e-300).ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if positive(middle.exp()) { low = middle } else { high = middle }
        }
        (0.5 * (low + high)).exp()
    }

    fn rank(&self) -> usize {
        self.eigenvalues.iter().filter(|v| **v > 0.0).count()
    }

    /// κ with Σ λ/(λ+κ) + δ/κ = n; 0 when n exceeds the rank and δ is 0.
    fn kappa(&self, n: f64, ridge: f64) -> f64 {
        if ridge == 0.0 && self.rank() as f64 <= n {
            return 0.0;
        }
        let sum: f64 = self.eigenvalues.iter().sum();
        Self::bisect(ridge / n * (1.0 - 1e-12), (sum + ridge) / n, |k| self.learned(k).0 + ridge / k > n)
    }

    /// Kernel ridge regression on n samples with ridge δ.
    ///
    /// **Errors.** n = 0, a negative ridge. **Complexity.** Linear in the number of eigenvalues.
    pub fn ridge_regression(&self, n: usize, ridge: f64) -> Result<RiskPrediction, Error> {
        at_least("a prediction of risk", 1, n)?;
        let (n, ridge) = (n as f64, non_negative("ridge", ridge)?);
        let kappa = self.kappa(n, ridge);
        let (_, q) = self.learned(kappa);
        let missed: f64 = self
            .eigenvalues
            .iter()
            .zip(&self.squares)
            .map(|(&v, c)| if v > 0.0 { (kappa / (v + kappa)).powi(2) * c } else { *c })
            .sum();
        let overfitting = n / (n - q);
        let test = overfitting * (missed + self.noise);
        // δ/(nκ) is the share of a residual that is left; without ridge nothing is, unless κ vanishes too.
        let left = if kappa > 0.0 { ridge / (n * kappa) } else { (1.0 - q / n).max(0.0) };
        Ok(RiskPrediction { kappa, gamma: kappa, test, train: left * left * test, overfitting })
    }

    /// Ridge regression on k random features, whose kernel is the mean of their products, from n samples.
    ///
    /// **Errors.** n = 0, k = 0, a negative ridge. **Complexity.** Linear in the number of eigenvalues.
    pub fn random_features(&self, n: usize, k: usize, ridge: f64) -> Result<RiskPrediction, Error> {
        at_least("a prediction of risk", 1, n)?;
        at_least("random features", 1, k)?;
        let (n, k, ridge) = (n as f64, k as f64, non_negative("ridge", ridge)?);
        let gamma = self.gamma(n, k, ridge);
        let (z, q) = self.learned(gamma);
        let kappa = (gamma * (k - z) / k).max(0.0);
        let missed: f64 = self
            .eigenvalues
            .iter()
            .zip(&self.squares)
            .map(|(&v, c)| {
                if v > 0.0 {
                    let sum = v + gamma;
                    (gamma / sum - kappa * v * k / (sum * sum * (k - q))) * c
                } else {
                    *c
                }
            })
            .sum();
        let overfitting = 1.0 / (1.0 - (q * (k - 2.0 * z) + z * z) / (n * (k - q)));
        let test = overfitting * (missed + self.noise);
        let left = if kappa > 0.0 { ridge / (n * kappa) } else { (1.0 - z / n).max(0.0) };
        Ok(RiskPrediction { kappa, gamma, test, train: left * left * test, overfitting })
    }

    /// γ with z(γ) + δk/(γ(k − z(γ))) = n, a decreasing function where z < k.
    fn gamma(&self, n: f64, k: f64, ridge: f64) -> f64 {
        let sum: f64 = self.eigenvalues.iter().sum();
        let solve = |count: f64| {
            if self.rank() as f64 <= count {
                return 0.0;
            }
            Self::bisect(0.0, sum / count, |g| self.learned(g).0 > count)
        };
        if ridge == 0.0 {
            return solve(n.min(k));
        }
        let lowest = solve(k);
        // Above (2/k) Σλ no more than half of the features is used: δk/(γ(k−z)) ≤ 2δ/γ there.
        let highest = (2.0 * sum / k).max(sum / n + 4.0 * ridge / n) * 2.0 + lowest;
        let mut offset = (1e-300_f64, highest);
        for _ in 0..HALVINGS {
            let middle = (0.5 * (offset.0.ln() + offset.1.ln())).exp();
            let gamma = lowest + middle;
            let z = self.learned(gamma).0;
            if z >= k || z + ridge * k / (gamma * (k - z)) > n { offset.0 = middle } else { offset.1 = middle }
        }
        lowest + offset.1
    }

    /// The ridge of least predicted test error of kernel ridge regression on n samples; 0 when none is best.
    ///
    /// # Errors
    /// n = 0.
    pub fn optimal_ridge(&self, n: usize) -> Result<f64, Error> {
        at_least("a choice of ridge", 1, n)?;
        let scale: f64 = self.eigenvalues.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let risk = |x: f64| self.ridge_regression(n, scale * x.exp()).map(|p| p.test);
        let grid: Vec<f64> = (0..=60).map(|i| -30.0 + f64::from(i)).collect();
        let mut best = (0.0, f64::INFINITY);
        for &x in &grid {
            let value = risk(x)?;
            if value < best.1 {
                best = (x, value);
            }
        }
        // Golden section around the best of the grid.
        let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (best.0 - 1.0, best.0 + 1.0);
        for _ in 0..60 {
            let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
            if risk(a)? < risk(b)? { high = b } else { low = a }
        }
        let (ridge, without) = (scale * (0.5 * (low + high)).exp(), self.ridge_regression(n, 0.0)?.test);
        Ok(if without <= self.ridge_regression(n, ridge)?.test { 0.0 } else { ridge })
    }
}
