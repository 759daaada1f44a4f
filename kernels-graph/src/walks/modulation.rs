//! Modulation functions f with f * f = α: what a walk of k steps counts.

use crate::{Error, error::parameter};

/// f with Σᵢ fᵢ fₖ₋ᵢ = αₖ, the power series of √(Σ αₖ xᵏ), as many terms as α has.
///
/// Its radius of convergence is the distance to the nearest zero or singularity of the function, which may be less than that of
/// α: cos x + sin x has a zero at −π/4 although its series is entire.
///
/// # Errors
/// [`kernels_core::Error::Parameter`] when α₀ is not above 0; then use the pair (α, 1) of [`crate::WalkKernel::asymmetric`].
///
/// ```
/// let f = kernels_graph::deconvolve(&[1.0, 2.0, 3.0, 4.0])?;    // (1 − x)⁻²
/// assert_eq!(f, [1.0, 1.0, 1.0, 1.0]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn deconvolve(alpha: &[f64]) -> Result<Vec<f64>, Error> {
    let first = alpha.first().copied().unwrap_or(f64::NAN);
    if !(first > 0.0) {
        return Err(parameter("alpha[0]", first, "above 0 (else walk the pair alpha and 1)"));
    }
    let mut f: Vec<f64> = Vec::with_capacity(alpha.len());
    f.push(first.sqrt());
    for k in 1..alpha.len() {
        // The sum is symmetric: half of it, twice.
        let mut sum = 0.0;
        for i in 1..k.div_ceil(2) {
            sum += 2.0 * f[i] * f[k - i];
        }
        if k % 2 == 0 {
            sum += f[k / 2] * f[k / 2];
        }
        f.push((alpha[k] - sum) / (2.0 * f[0]));
    }
    Ok(f)
}

/// fₖ = Γ(d/2 + k) / (Γ(d/2) k!), for (I − U)^(−d).
pub fn modulation_inverse_power(degree: f64, terms: usize) -> Vec<f64> {
    series(terms, |k, last| last * (0.5 * degree + k - 1.0) / k)
}

/// fₖ = (β/2)ᵏ/k!, for exp(βU).
pub fn modulation_exponential(beta: f64, terms: usize) -> Vec<f64> {
    series(terms, |k, last| last * 0.5 * beta / k)
}

/// fₖ = C(p/2, k) a^(p/2 − k), for (aI + U)ᵖ; finite when p is even.
pub fn modulation_power(a: f64, p: u32, terms: usize) -> Vec<f64> {
    let half = 0.5 * f64::from(p);
    let scale = a.powf(half);
    let mut f = series(terms, |k, last| last * (half - k + 1.0) / (k * a));
    f.iter_mut().for_each(|f| *f *= scale);
    f
}

fn series(terms: usize, next: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(terms);
    let mut last = 1.0;
    for k in 0..terms {
        if k > 0 {
            last = next(k as f64, last);
        }
        out.push(last);
    }
    out
}
