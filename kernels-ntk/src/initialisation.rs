//! What weights should have at initialisation, and what follows from it.

use crate::{Activation, Error, error::within};

/// Weight variance times fan-in that keeps pre-activations at standard deviation σ: σ²/E φ(σz)².
///
/// ```
/// use kernels_ntk::{Activation, preserving_variance};
/// // He's constant.
/// assert!((preserving_variance(&Activation::relu(), 1.0)? - 2.0).abs() < 1e-13);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for σ not above 0 or an activation that vanishes.
pub fn preserving_variance(activation: &Activation, sigma: f64) -> Result<f64, Error> {
    within("standard deviation", sigma, sigma > 0.0, "a finite number above 0")?;
    let second = activation.moments(sigma * sigma)?.second;
    within("E φ²", second, second > 0.0, "above 0")?;
    Ok(sigma * sigma / second)
}

/// E (max of `rank` standard normals)²: maxout units of that rank keep variances with weight variance 1/(n · this).
///
/// ```
/// assert!((kernels_ntk::maxout_second_moment(3)? - 1.275664447710896).abs() < 1e-13);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for rank 0 or above 1000.
pub fn maxout_second_moment(rank: usize) -> Result<f64, Error> {
    within("rank", rank as f64, (1..=1000).contains(&rank), "from 1 to 1000")?;
    // E f(max) = ∫ f(z) K Φ(z)^(K−1) φ(z) dz.
    let power = (rank - 1) as i32;
    Activation::Identity
        .expectation(1.0, |z, _, _| rank as f64 * z * z * crate::activation::normal_cdf(z).powi(power))
}

/// Dual of a rank-2 maxout unit with two independent sets of weights.
///
/// ```
/// let (value, same) = kernels_ntk::maxout_dual(1.0, 1.0, 1.0)?;
/// assert!((value - 1.0).abs() < 1e-15 && (same - 1.0).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Returns E max(u₁, u₂) max(v₁, v₂) and the probability of the same maximum.
///
/// # Errors
/// [`Error::Value`] for variances below 0.
pub fn maxout_dual(q11: f64, q12: f64, q22: f64) -> Result<(f64, f64), Error> {
    within("q11", q11, q11 >= 0.0, "a finite number, 0 or above")?;
    within("q22", q22, q22 >= 0.0, "a finite number, 0 or above")?;
    // max(a, b) = (a + b)/2 + |a − b|/2, with independent sum and difference.
    let abs = Activation::abs().dual(q11, q12, q22)?;
    let angle = crate::dual::closed::Angle::new(&crate::dual::Covariance::new(q11, q12, q22));
    Ok((0.5 * q12 + 0.5 * abs.value, 1.0 - angle.angle / std::f64::consts::PI))
}

/// The bias of untrained networks towards one of two classes on random data: with ρ the correlation of two random inputs at
/// the output, the share of class 0 is Φ(√γ Δ), Δ normal and γ = ρ/(1 − ρ). Returns γ.
///
/// ```
/// let gamma = kernels_ntk::guessing_bias(1.0 / std::f64::consts::PI)?;
/// assert!((gamma - 1.0 / (std::f64::consts::PI - 1.0)).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for a correlation outside [0, 1).
pub fn guessing_bias(correlation: f64) -> Result<f64, Error> {
    within("correlation", correlation, (0.0..1.0).contains(&correlation), "from 0 to below 1")?;
    Ok(correlation / (1.0 - correlation))
}
