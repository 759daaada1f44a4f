//! Bandwidths: what can be asked for, and rules that choose one from the data.

use std::f64::consts::PI;

use kernels_core::{Points, Rows};
use nalgebra::DMatrix;

use super::linear_binning;
use crate::{Error, error};

/// The width of a density's kernel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bandwidth {
    /// The unit h of distance of the profile, the same in all directions (scikit-learn's convention).
    Scale(f64),
    /// The standard deviation of the kernel on the line (KDEpy's convention): h = this / √variance.
    Std(f64),
    /// A unit of distance for every feature.
    Diagonal(Vec<f64>),
    /// Σ of distances (x − y)ᵀΣ⁻¹(x − y).
    Covariance(DMatrix<f64>),
    /// Σ = n^(−2/(d+4)) times the sample covariance (scipy's default).
    Scott,
    /// Σ = (n(d + 2)/4)^(−2/(d+4)) times the sample covariance.
    Silverman,
    /// Σ = this factor squared times the sample covariance.
    Factor(f64),
    /// The rule of Botev, Grotowski, Kroese: [`improved_sheather_jones`], data on the line only.
    ImprovedSheatherJones,
    /// Σ = the factor squared times the sample covariance that maximises the likelihood of each point under the others. O(n²) for
    /// each factor tried, some forty.
    Likelihood,
    /// The same with the least estimate of ∫f̂² − 2∫f̂f; for the Gaussian.
    LeastSquares,
}

/// Weighted mean and unbiased covariance, with reliability weights that sum to 1: Σ wᵢ(x − m)(x − m)ᵀ/(1 − Σ wᵢ²).
pub(crate) fn weighted_covariance(xs: &Rows<f64>, w: &[f64]) -> DMatrix<f64> {
    let (n, d) = (xs.len(), xs.dim());
    let mean: Vec<f64> = (0..d).map(|j| (0..n).map(|i| w[i] * xs.point(i)[j]).sum()).collect();
    let mut out = DMatrix::zeros(d, d);
    for i in 0..n {
        let x = xs.point(i);
        for a in 0..d {
            for b in 0..d {
                out[(a, b)] += w[i] * (x[a] - mean[a]) * (x[b] - mean[b]);
            }
        }
    }
    out / (1.0 - w.iter().map(|w| w * w).sum::<f64>())
}

/// Bandwidth (a standard deviation) for a Gaussian density on the line by the improved Sheather-Jones rule, which does not take the
/// data for Gaussian: right for several modes where Scott's and Silverman's rules smooth them away.
///
/// `nodes` is the number of bins, a power of two; 4096 is usual. The rule is equivariant: scaling the data scales the result.
///
/// **Errors.** Fewer than two points, values that are not finite, data without spread, [`kernels_core::Error::NotConverged`] when the
/// fixed point has no root (some tiny samples).
///
/// Reference: Botev, Grotowski, Kroese, *Kernel density estimation via diffusion* (2010).
///
/// ```
/// let x: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.618).fract() + f64::from(i % 2) * 10.0).collect();
/// let h = kernels_sample::improved_sheather_jones(&x, 4096)?;
/// assert!(h < 0.5); // the spread of one of the two groups, not of both
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn improved_sheather_jones(x: &[f64], nodes: usize) -> Result<f64, Error> {
    error::at_least("a bandwidth", 2, x.len())?;
    error::finite("value", x)?;
    if nodes < 2 || !nodes.is_power_of_two() {
        let expected = "a power of two, 4096 say";
        return Err(Error::Count { what: "number of bins", given: nodes, expected, limit: nodes });
    }
    let (low, high) = range(x);
    let spread = high - low;
    if !(spread > 0.0 && spread.is_finite()) {
        return Err(Error::NoSpread { what: "the sample" });
    }
    let length = 2.0 * spread;
    let start = low - 0.5 * spread;
    // In units of the grid, so that scales near the ends of the range do no harm.
    let unit: Vec<f64> = x.iter().map(|x| (x - start) / length).collect();
    let bins = linear_binning(&Rows::from_row_major(unit, x.len(), 1)?, None, &[(0.0, 1.0, nodes)])?;
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    let n = sorted.len() as f64;
    let squares: Vec<f64> = cosine_transform(&bins).iter().skip(1).map(|a| a * a).collect();
    let functional = |s: i32, t: f64| -> f64 {
        let sum: f64 = squares
            .iter()
            .enumerate()
            .map(|(k, a2)| {
                let i = ((k + 1) * (k + 1)) as f64;
                // Factors together, so that neither the power nor the exponential leaves the range alone.
                a2 * (f64::from(s) * i.ln() - i * PI * PI * t).exp()
            })
            .sum();
        0.5 * PI.powi(2 * s) * sum
    };
    let excess = |t: f64| -> f64 {
        let mut f = functional(7, t);
        for s in (2..=6).rev() {
            let odd: f64 = (1..=s).map(|k| f64::from(2 * k - 1)).product();
            let k0 = odd / (2.0 * PI).sqrt();
            let c = (1.0 + 0.5_f64.powf(f64::from(s) + 0.5)) / 3.0;
            let time = (2.0 * c * k0 / (n * f)).powf(2.0 / (3.0 + 2.0 * f64::from(s)));
            f = functional(s, time);
        }
        t - (2.0 * n * PI.sqrt() * f).powf(-0.4)
    };
    let mut upper = 1e-11 + 0.01 * (n.clamp(50.0, 1050.0) - 50.0) / 1000.0;
    let not_converged =
        kernels_core::Error::NotConverged { what: "the improved Sheather-Jones rule", iterations: 60 };
    loop {
        if excess(upper) > 0.0 {
            break;
        }
        if upper >= 1.0 {
            return Err(not_converged.into());
        }
        upper = (2.0 * upper).min(1.0);
    }
    let mut lower = 0.0;
    for _ in 0..200 {
        let middle = 0.5 * (lower + upper);
        if middle <= lower || middle >= upper {
            break;
        }
        if excess(middle) > 0.0 { upper = middle } else { lower = middle }
    }
    Ok(upper.sqrt() * length)
}

/// a_k = 2 Σ bⱼ cos(πk(2j + 1)/(2G)), by one complex transform of the values reordered.
fn cosine_transform(b: &[f64]) -> Vec<f64> {
    use rustfft::{FftPlanner, num_complex::Complex};
    let g = b.len();
    let mut v: Vec<Complex<f64>> = (0..g)
        .map(|j| {
            let source = if j < g.div_ceil(2) { 2 * j } else { 2 * (g - j) - 1 };
            Complex::new(b[source], 0.0)
        })
        .collect();
    FftPlanner::new().plan_fft_forward(g).process(&mut v);
    v.iter()
        .enumerate()
        .map(|(k, v)| {
            let (sine, cosine) = (0.5 * PI * k as f64 / g as f64).sin_cos();
            2.0 * (v.re * cosine + v.im * sine)
        })
        .collect()
}

pub(super) fn range(x: &[f64]) -> (f64, f64) {
    x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)))
}

/// ln Σ e^x without overflow; −∞ for no terms.
pub(crate) fn log_sum_exp(x: &[f64]) -> f64 {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}
