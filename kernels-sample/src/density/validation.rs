//! Cross-validation of bandwidths.

use std::f64::consts::PI;

use kernels_core::{Points, Rows};

use super::{DensityKernel, bandwidth::log_sum_exp};
use crate::{
    Error,
    distance::{distance, squared_distance},
    error, parallel,
};

/// Least-squares cross-validation score of a Gaussian density on the line, an estimate of ∫f̂² − 2∫f̂f: smaller is better.
///
/// **Errors.** Fewer than two points, values that are not finite, a bandwidth that is not positive. **Complexity.** O(n²).
pub fn least_squares_score(x: &[f64], h: f64) -> Result<f64, Error> {
    error::at_least("cross-validation", 2, x.len())?;
    error::finite("value", x)?;
    error::positive("bandwidth", h)?;
    let n = x.len() as f64;
    let normal = |r: f64, h: f64| (-0.5 * (r / h) * (r / h)).exp() / (h * (2.0 * PI).sqrt());
    let wide = h * 2.0_f64.sqrt();
    let parts = parallel::map(x.len(), |i| {
        x[..i].iter().fold((0.0, 0.0), |(a, b), y| (a + normal(x[i] - y, wide), b + normal(x[i] - y, h)))
    });
    let (square, cross) = parts.iter().fold((0.0, 0.0), |(a, b), p| (a + 2.0 * p.0, b + 2.0 * p.1));
    Ok((square + n * normal(0.0, wide)) / (n * n) - 2.0 * cross / (n * (n - 1.0)))
}

/// Mean over points of the log of the density that the other points give there: larger is better.
///
/// **Errors.** Fewer than two points, values that are not finite, a bandwidth that is not positive. **Complexity.** O(n²).
pub fn leave_one_out_log_likelihood(xs: &Rows<f64>, kernel: DensityKernel, h: f64) -> Result<f64, Error> {
    let (n, d) = (xs.len(), xs.dim());
    error::at_least("cross-validation", 2, n)?;
    xs.check_finite()?;
    error::positive("bandwidth", h)?;
    let parts = parallel::map(n, |i| {
        let logs: Vec<f64> = (0..n)
            .filter(|&j| j != i)
            .map(|j| kernel.ln_profile(distance(xs.point(i), xs.point(j)) / h))
            .collect();
        log_sum_exp(&logs)
    });
    let constant = ((n - 1) as f64).ln() + kernel.ln_integral(d) + d as f64 * h.ln();
    Ok(parts.iter().sum::<f64>() / n as f64 - constant)
}

/// The factor of the bandwidth that is best by cross-validation on sphered points: a search over a twentieth to six times
/// `start`, coarse first, then by golden sections to 1e-4.
pub(super) fn best_factor(
    kernel: DensityKernel,
    sphered: &Rows<f64>,
    start: f64,
    least_squares: bool,
) -> Result<f64, Error> {
    error::at_least("cross-validation", 2, sphered.len())?;
    let score = |ln_factor: f64| {
        let h = ln_factor.exp();
        if least_squares {
            sphered_score(sphered, h)
        } else {
            leave_one_out_log_likelihood(sphered, kernel, h).map(|l| -l)
        }
    };
    let (low, high) = ((0.05 * start).ln(), (6.0 * start).ln());
    let steps = 24;
    let at = |i: usize| low + (high - low) * i as f64 / steps as f64;
    let mut best = (f64::INFINITY, 0);
    for i in 0..=steps {
        let value = score(at(i))?;
        if value < best.0 {
            best = (value, i);
        }
    }
    if best.0 == f64::INFINITY {
        return Err(kernels_core::Error::NotConverged { what: "cross-validation", iterations: steps }.into());
    }
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut a, mut b) = (at(best.1.saturating_sub(1)), at((best.1 + 1).min(steps)));
    let (mut c, mut d) = (b - golden * (b - a), a + golden * (b - a));
    let (mut fc, mut fd) = (score(c)?, score(d)?);
    while b - a > 1e-4 {
        if fc < fd {
            (b, d, fd) = (d, c, fc);
            c = b - golden * (b - a);
            fc = score(c)?;
        } else {
            (a, c, fc) = (c, d, fd);
            d = a + golden * (b - a);
            fd = score(d)?;
        }
    }
    Ok((0.5 * (a + b)).exp())
}

/// [`least_squares_score`] in ℝᵈ.
fn sphered_score(xs: &Rows<f64>, h: f64) -> Result<f64, Error> {
    let (n, d) = (xs.len(), xs.dim() as f64);
    let parts = parallel::map(n, |i| {
        (0..i).fold((0.0, 0.0), |(wide, narrow), j| {
            let r2 = squared_distance(xs.point(i), xs.point(j)) / (h * h);
            (wide + (-0.25 * r2).exp(), narrow + (-0.5 * r2).exp())
        })
    });
    let (wide, narrow) = parts.iter().fold((0.0, 0.0), |(a, b), p| (a + 2.0 * p.0, b + 2.0 * p.1));
    let n = n as f64;
    let peak = (h * (2.0 * PI).sqrt()).powf(-d);
    Ok(peak * ((wide + n) * 0.5_f64.powf(0.5 * d) / (n * n) - 2.0 * narrow / (n * (n - 1.0))))
}
