//! Spectra of kernels of the cosine on spheres.

mod harmonics;

pub use harmonics::{SphericalHarmonics, SphericalProcess};

use crate::{Activation, Error, dual::quadrature::gauss_legendre, error::within};

/// Nodes in the angle; the integrands are analytic inside.
const NODES: usize = 400;

/// Eigenvalues λ₀, …, λ_{count−1} of the kernel κ(⟨x, y⟩) on the unit sphere of ℝᵈ under the uniform probability measure, by the
/// Funk–Hecke formula λₙ = Γ(d/2)/(√π Γ((d−1)/2)) ∫ κ(t) Cₙ(t)/Cₙ(1) (1 − t²)^((d−3)/2) dt, Cₙ Gegenbauer of order d/2 − 1.
///
/// The integral is taken over the angle, where the square roots of network kernels at t = ±1 are smooth.
///
/// ```
/// // The linear kernel: λ₁ = 1/d, all others 0.
/// let l = kernels_ntk::zonal_eigenvalues(|t| t, 3, 3)?;
/// assert!((l[1] - 1.0 / 3.0).abs() < 1e-14 && l[0].abs() < 1e-14 && l[2].abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Σ N(d, n) λₙ = κ(1) with [`zonal_multiplicity`].
///
/// # Errors
/// [`Error::Value`] for d below 2.
pub fn zonal_eigenvalues(kappa: impl Fn(f64) -> f64, dim: usize, count: usize) -> Result<Vec<f64>, Error> {
    within("dimension of the sphere's space", dim as f64, dim >= 2, "2 or above")?;
    let d = dim as f64;
    let mut sums = vec![0.0; count];
    let mut weight = 0.0;
    for (x, w) in gauss_legendre(NODES) {
        let angle = std::f64::consts::FRAC_PI_2 * (x + 1.0);
        let (sine, t) = angle.sin_cos();
        let w = w * sine.powf(d - 2.0);
        weight += w;
        let value = w * kappa(t);
        // Normalised Gegenbauer polynomials: (n + d − 2) P_{n+1} = (2n + d − 2) t P_n − n P_{n−1}; Chebyshev for d = 2.
        let (mut before, mut now) = (0.0, 1.0);
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum += value * now;
            let n = n as f64;
            let next = if n + d - 2.0 > 0.0 {
                ((2.0 * n + d - 2.0) * t * now - n * before) / (n + d - 2.0)
            } else {
                t
            };
            before = now;
            now = next;
        }
    }
    sums.iter_mut().for_each(|s| *s /= weight);
    Ok(sums)
}

/// Dimension N(d, n) of the spherical harmonics of degree n in ℝᵈ.
///
/// ```
/// assert_eq!(kernels_ntk::zonal_multiplicity(3, 4)?, 9.0);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for d below 2.
pub fn zonal_multiplicity(dim: usize, degree: usize) -> Result<f64, Error> {
    within("dimension of the sphere's space", dim as f64, dim >= 2, "2 or above")?;
    if degree == 0 {
        return Ok(1.0);
    }
    let (d, n) = (dim as f64, degree as f64);
    let binomial = (1..degree).fold(1.0, |b, k| b * (k as f64 + d - 2.0) / k as f64);
    Ok(((2.0 * n + d - 2.0) / n * binomial).round())
}

/// The NNGP and tangent kernels of a network of `depth` hidden layers on unit vectors as functions of the cosine, with σ_w² chosen so
/// that variances stay 1 and no bias: κ ← σ_w² k(κ), Θ ← κ + σ_w² k̇(κ_old) Θ.
///
/// ```
/// use kernels_ntk::{Activation, zonal_kernel};
/// let (nngp, ntk) = zonal_kernel(&Activation::relu(), 1, 1.0)?;
/// assert!((nngp - 1.0).abs() < 1e-15 && (ntk - 2.0).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for a cosine outside [−1, 1] or an activation that vanishes.
pub fn zonal_kernel(activation: &Activation, depth: usize, cosine: f64) -> Result<(f64, f64), Error> {
    within("cosine", cosine, (-1.0..=1.0).contains(&cosine), "from -1 to 1")?;
    let w2 = crate::preserving_variance(activation, 1.0)?;
    let (mut kappa, mut theta) = (cosine, cosine);
    for _ in 0..depth {
        let dual = activation.dual(1.0, kappa, 1.0)?;
        kappa = (w2 * dual.value).clamp(-1.0, 1.0);
        theta = kappa + w2 * dual.derivative * theta;
    }
    Ok((kappa, theta))
}

/// The truncated Mercer sum Σ N(d, n) λₙ Pₙ(t) of a zonal kernel at cosine t, Pₙ normalised to Pₙ(1) = 1: the kernel that
/// spherical-harmonic inducing features up to this degree span, with K_uu = 1/λₙ for each harmonic.
///
/// ```
/// use kernels_ntk::{zonal_eigenvalues, zonal_series};
/// let kappa = |t: f64| (t - 1.0).exp();
/// let l = zonal_eigenvalues(kappa, 4, 20)?;
/// assert!((zonal_series(&l, 4, 0.3)? - kappa(0.3)).abs() < 1e-13);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for d below 2 or a cosine outside [−1, 1].
pub fn zonal_series(eigenvalues: &[f64], dim: usize, cosine: f64) -> Result<f64, Error> {
    within("cosine", cosine, (-1.0..=1.0).contains(&cosine), "from -1 to 1")?;
    let d = dim as f64;
    let (mut before, mut now, mut sum) = (0.0, 1.0, 0.0);
    for (degree, lambda) in eigenvalues.iter().enumerate() {
        sum += zonal_multiplicity(dim, degree)? * lambda * now;
        let n = degree as f64;
        let next = if n + d - 2.0 > 0.0 {
            ((2.0 * n + d - 2.0) * cosine * now - n * before) / (n + d - 2.0)
        } else {
            cosine
        };
        (before, now) = (now, next);
    }
    Ok(sum)
}

/// An eigenvalue of a kernel of several cosines on a product of spheres, κ(⟨x₁, y₁⟩, …, ⟨x_p, y_p⟩) with unit patches x_i of dimension d:
/// the mean of κ Π Pₙᵢ(tᵢ) over independent tᵢ, by a product of quadrature rules. Products of harmonics of degrees nᵢ are its
/// eigenfunctions. Local convolutional kernels (filter = stride) are of this kind: a network of patches mixes them by means of what each
/// gives, so that its eigenvalues decay with the degrees of the patches that one unit sees, not of all.
///
/// ```
/// use kernels_ntk::{hierarchical_eigenvalue, zonal_eigenvalues};
/// // A sum over patches has no eigenvalues that mix them.
/// let sum = |t: &[f64]| t[0].exp() + t[1].exp();
/// assert!(hierarchical_eigenvalue(sum, 3, &[1, 1])?.abs() < 1e-14);
/// let one = zonal_eigenvalues(f64::exp, 3, 3)?;
/// assert!((hierarchical_eigenvalue(sum, 3, &[2, 0])? - one[2]).abs() < 1e-13);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// **Errors.** [`Error::Value`] for d below 2, no patches or more than 4. **Complexity.** 40ᵖ evaluations.
///
/// Reference: Cagnetta, Favero & Wyart, *What can be learnt with wide convolutional neural networks?* (2023).
pub fn hierarchical_eigenvalue(
    kappa: impl Fn(&[f64]) -> f64,
    dim: usize,
    degrees: &[usize],
) -> Result<f64, Error> {
    within("dimension of the sphere's space", dim as f64, dim >= 2, "2 or above")?;
    let patches = degrees.len();
    within("patches", patches as f64, (1..=4).contains(&patches), "from 1 to 4")?;
    let most = degrees.iter().copied().max().unwrap_or(0);
    let nodes: Vec<(f64, f64)> = gauss_legendre(40 + most)
        .into_iter()
        .map(|(x, w)| {
            let (sine, cosine) = (std::f64::consts::FRAC_PI_2 * (x + 1.0)).sin_cos();
            (cosine, w * sine.powf(dim as f64 - 2.0))
        })
        .collect();
    let all: f64 = nodes.iter().map(|n| n.1).sum();
    // Values of each patch's polynomial at the nodes, with weights.
    let factors: Vec<Vec<f64>> = degrees
        .iter()
        .map(|&n| nodes.iter().map(|(t, w)| w / all * harmonics::legendre(dim, n, *t)).collect())
        .collect();
    let (mut at, mut t) = (vec![0; patches], vec![nodes[0].0; patches]);
    let mut sum = 0.0;
    loop {
        let weight: f64 = at.iter().zip(&factors).map(|(k, f)| f[*k]).product();
        sum += weight * kappa(&t);
        let Some(axis) = (0..patches).find(|&a| at[a] + 1 < nodes.len()) else { return Ok(sum) };
        for a in 0..=axis {
            at[a] = if a == axis { at[a] + 1 } else { 0 };
            t[a] = nodes[at[a]].0;
        }
    }
}

/// The NNGP and tangent kernels of a local convolutional network on unit patches, as functions of the patches' cosines: a rectified layer
/// on each patch, then `groups` times the mean over neighbours by twos and another rectified layer (all normalised to 1), and
/// a mean at the end, without biases.
///
/// ```
/// let (nngp, ntk) = kernels_ntk::hierarchical_kernel(&[1.0, 1.0, 1.0, 1.0], 2)?;
/// assert!((nngp - 1.0).abs() < 1e-15 && (ntk - 4.0).abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for cosines outside [−1, 1], [`Error::Shape`] when their number is no multiple of 2 to the power of `groups`.
pub fn hierarchical_kernel(cosines: &[f64], groups: usize) -> Result<(f64, f64), Error> {
    let part = 1_usize.checked_shl(u32::try_from(groups).unwrap_or(u32::MAX)).unwrap_or(0);
    crate::error::same(
        "patches beyond a multiple of 2 to the groups",
        0,
        cosines.len().checked_rem(part).unwrap_or(1),
    )?;
    within("patches", cosines.len() as f64, !cosines.is_empty(), "1 or above")?;
    let rectified = |q: f64, theta: f64| -> Result<(f64, f64), Error> {
        let dual = Activation::maxout().dual(1.0, q.clamp(-1.0, 1.0), 1.0)?;
        Ok((dual.value, dual.derivative * theta))
    };
    let mut state = Vec::with_capacity(cosines.len());
    for &t in cosines {
        within("cosine", t, (-1.0..=1.0).contains(&t), "from -1 to 1")?;
        state.push(rectified(t, t)?);
    }
    for _ in 0..groups {
        let pairs = state.chunks_exact(2).map(|pair| {
            let q = 0.5 * (pair[0].0 + pair[1].0);
            rectified(q, q + 0.5 * (pair[0].1 + pair[1].1))
        });
        state = pairs.collect::<Result<_, _>>()?;
    }
    let n = state.len() as f64;
    let q = state.iter().map(|s| s.0).sum::<f64>() / n;
    Ok((q, q + state.iter().map(|s| s.1).sum::<f64>() / n))
}
