//! Kernels that densities are made of: profiles κ(u) of a distance, normalised in ℝᵈ.

use std::f64::consts::PI;

use kernels_core::{Definiteness, Profile, Vector};

/// A kernel for densities: κ(u) of the distance u in units of the bandwidth, divided by its integral over ℝᵈ.
///
/// These need not be positive definite. Those on u < 1 are 0 beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DensityKernel {
    /// exp(−u²/2).
    Gaussian,
    /// exp(−u).
    Exponential,
    /// 1 on u < 1 (top hat).
    Box,
    /// 1 − u on u < 1 (linear).
    Triangular,
    /// 1 − u² on u < 1.
    Epanechnikov,
    /// (1 − u²)² on u < 1.
    Biweight,
    /// (1 − u²)³ on u < 1.
    Triweight,
    /// (1 − u³)³ on u < 1.
    Tricube,
    /// cos(πu/2) on u < 1.
    Cosine,
}

impl DensityKernel {
    /// All kernels.
    pub const ALL: [Self; 9] = [
        Self::Gaussian,
        Self::Exponential,
        Self::Box,
        Self::Triangular,
        Self::Epanechnikov,
        Self::Biweight,
        Self::Triweight,
        Self::Tricube,
        Self::Cosine,
    ];

    /// κ(u), not normalised.
    pub fn profile(self, u: f64) -> f64 {
        let inside = 1.0 - u * u;
        match self {
            Self::Gaussian => (-0.5 * u * u).exp(),
            Self::Exponential => (-u).exp(),
            _ if u >= 1.0 => 0.0,
            Self::Box => 1.0,
            Self::Triangular => 1.0 - u,
            Self::Epanechnikov => inside,
            Self::Biweight => inside * inside,
            Self::Triweight => inside * inside * inside,
            Self::Tricube => (1.0 - u * u * u).powi(3),
            Self::Cosine => (0.5 * PI * u).cos(),
        }
    }

    /// ln κ(u) without underflow; −∞ where κ is 0.
    pub fn ln_profile(self, u: f64) -> f64 {
        match self {
            Self::Gaussian => -0.5 * u * u,
            Self::Exponential => -u,
            _ => self.profile(u).ln(),
        }
    }

    /// −κ′(u)/u, the weight of a point in a gradient or a mean shift; infinite at 0 for the pointed kernels.
    pub fn shift_weight(self, u: f64) -> f64 {
        let inside = 1.0 - u * u;
        match self {
            Self::Gaussian => (-0.5 * u * u).exp(),
            Self::Exponential => (-u).exp() / u,
            _ if u >= 1.0 => 0.0,
            Self::Box => 0.0,
            Self::Triangular => 1.0 / u,
            Self::Epanechnikov => 2.0,
            Self::Biweight => 4.0 * inside,
            Self::Triweight => 6.0 * inside * inside,
            Self::Tricube => 9.0 * u * (1.0 - u * u * u).powi(2),
            Self::Cosine if u < 1e-8 => 0.25 * PI * PI,
            Self::Cosine => 0.5 * PI * (0.5 * PI * u).sin() / u,
        }
    }

    /// Beyond this u, κ is 0; infinite for the Gaussian and the exponential.
    pub fn support(self) -> f64 {
        match self {
            Self::Gaussian | Self::Exponential => f64::INFINITY,
            _ => 1.0,
        }
    }

    /// Where κ has fallen to 10⁻¹⁶ of its peak, or its support.
    pub fn reach(self) -> f64 {
        match self {
            Self::Gaussian => (-2.0 * 1e-16_f64.ln()).sqrt(),
            Self::Exponential => -1e-16_f64.ln(),
            _ => 1.0,
        }
    }

    /// Variance of the normalised kernel on the line: a bandwidth given as a standard deviation is divided by its root.
    pub fn variance(self) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::Exponential => 2.0,
            Self::Box => 1.0 / 3.0,
            Self::Triangular => 1.0 / 6.0,
            Self::Epanechnikov => 0.2,
            Self::Biweight => 1.0 / 7.0,
            Self::Triweight => 1.0 / 9.0,
            Self::Tricube => 35.0 / 243.0,
            Self::Cosine => 1.0 - 8.0 / (PI * PI),
        }
    }

    /// ln of the integral of κ(‖x‖) over ℝᵈ: the volume of the unit ball times ∫ d u^(d−1) κ(u) du.
    pub fn ln_integral(self, dim: usize) -> f64 {
        let d = dim as f64;
        let ln_ball = 0.5 * d * PI.ln() - libm::lgamma(0.5 * d + 1.0);
        let radial = match self {
            // d ∫ u^(d−1) e^(−u²/2) du = 2^(d/2) Γ(d/2 + 1).
            Self::Gaussian => return ln_ball + 0.5 * d * 2.0_f64.ln() + libm::lgamma(0.5 * d + 1.0),
            Self::Exponential => return ln_ball + libm::lgamma(d + 1.0),
            Self::Box => 1.0,
            Self::Triangular => 1.0 / (d + 1.0),
            Self::Epanechnikov => 2.0 / (d + 2.0),
            Self::Biweight => 8.0 / ((d + 2.0) * (d + 4.0)),
            Self::Triweight => 48.0 / ((d + 2.0) * (d + 4.0) * (d + 6.0)),
            Self::Tricube => 162.0 / ((d + 3.0) * (d + 6.0) * (d + 9.0)),
            Self::Cosine => cosine_integral(dim),
        };
        ln_ball + radial.ln()
    }
}

/// d ∫₀¹ u^(d−1) cos(πu/2) du, by its alternating series Σ (−1)ᵏ (π/2)²ᵏ/(2k)! · d/(d + 2k): terms are below 2, no loss of digits.
fn cosine_integral(dim: usize) -> f64 {
    let d = dim as f64;
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..24 {
        let k = f64::from(k);
        sum += term * if dim == 0 { f64::from(u8::from(k == 0.0)) } else { d / (d + 2.0 * k) };
        term *= -(0.25 * PI * PI) / ((2.0 * k + 1.0) * (2.0 * k + 2.0));
    }
    sum
}

/// As a profile of the squared distance, for the engine.
impl Profile for DensityKernel {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        let one = V::splat(1.0);
        let zero = V::splat(0.0);
        let inside = one - s;
        match self {
            Self::Gaussian => (V::splat(-0.5) * s).exp(),
            Self::Exponential => (-s.sqrt()).exp(),
            Self::Box => s.select_lt(one, one, zero),
            Self::Triangular => s.select_lt(one, one - s.sqrt(), zero),
            Self::Epanechnikov => s.select_lt(one, inside, zero),
            Self::Biweight => s.select_lt(one, inside * inside, zero),
            Self::Triweight => s.select_lt(one, inside * inside * inside, zero),
            Self::Tricube => {
                let t = one - s * s.sqrt();
                s.select_lt(one, t * t * t, zero)
            }
            Self::Cosine => s.select_lt(one, (V::splat(0.5) * s.sqrt()).sin_cos_pi().1, zero),
        }
    }

    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let kernel = *self;
        s.map(move |s| if s > 0.0 { -0.5 * kernel.shift_weight(s.sqrt()) } else { 0.0 })
    }

    fn definiteness(&self) -> Definiteness {
        match self {
            Self::Gaussian | Self::Exponential => Definiteness::Positive,
            _ => Definiteness::Indefinite,
        }
    }
}
