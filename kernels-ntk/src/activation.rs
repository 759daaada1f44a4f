//! Activation functions.

use std::{fmt, sync::Arc};

use crate::{Error, hermite};

/// An activation function φ, applied to each coordinate.
///
/// Most have a closed form of their [dual](Activation::dual); the others go through quadrature and a Hermite series.
///
/// ```
/// use kernels_ntk::Activation;
/// let dual = Activation::relu().dual(1.0, 0.0, 1.0)?;
/// assert!((dual.value - 0.5 / std::f64::consts::PI).abs() < 1e-16);
/// assert!((Activation::Tanh.value(0.5) - 0.5_f64.tanh()).abs() < 1e-16);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// z
    Identity,
    /// a · min(z, 0) + b · max(z, 0): ReLU is (0, 1), absolute value (−1, 1), leaky ReLU (α, 1).
    AbRelu {
        /// Slope below 0.
        a: f64,
        /// Slope above 0.
        b: f64,
    },
    /// a · erf(bz) + c
    Erf {
        /// Factor.
        a: f64,
        /// Rate.
        b: f64,
        /// Offset.
        c: f64,
    },
    /// a · sin(bz + c)
    Sin {
        /// Amplitude.
        a: f64,
        /// Frequency.
        b: f64,
        /// Phase.
        c: f64,
    },
    /// a · cos(bz + c)
    Cos {
        /// Amplitude.
        a: f64,
        /// Frequency.
        b: f64,
        /// Phase.
        c: f64,
    },
    /// √2 sin(√(2γ) z + π/4), whose dual is the Gaussian kernel exp(−γ‖u − v‖²).
    Rbf {
        /// γ of the kernel.
        gamma: f64,
    },
    /// a · exp(bz)
    Exp {
        /// Factor.
        a: f64,
        /// Rate.
        b: f64,
    },
    /// a · exp(bz²), b < 0
    Gaussian {
        /// Factor.
        a: f64,
        /// Rate, below 0.
        b: f64,
    },
    /// z Φ(z) with the normal distribution function Φ
    Gelu,
    /// exp(−z²) sin z
    Gabor,
    /// Sign of z; its derivative counts as 0.
    Sign,
    /// z₊ᵖ; p = 0 is the step (z ≥ 0), whose derivative counts as 0.
    Rectified {
        /// Power p.
        power: u32,
    },
    /// Σ cᵢ zⁱ; monomials are polynomials.
    Polynomial(Vec<f64>),
    /// Σ cᵢ hᵢ(z) with normalised Hermite polynomials hᵢ = Heᵢ/√i!
    Hermite(Vec<f64>),
    /// No function: the kernel √(q₁₁q₂₂) exp(γ(cos + shift)), of positive definite type.
    ExpNormalized {
        /// γ > 0
        gamma: f64,
        /// Added to the cosine.
        shift: f64,
    },
    /// Hyperbolic tangent
    Tanh,
    /// 1/(1 + e⁻ᶻ)
    Sigmoid,
    /// ln(1 + eᶻ)
    Softplus,
    /// z/(1 + e⁻ᶻ), also called SiLU
    Swish,
    /// z tanh(ln(1 + eᶻ))
    Mish,
    /// z above 0, α(eᶻ − 1) below
    Elu {
        /// Limit −α at −∞.
        alpha: f64,
        /// Factor in front of all: 1, or 1.0507… for SELU.
        scale: f64,
    },
    /// z cut to [−1, 1]
    HardTanh,
    /// Any function, with its derivative.
    Custom(Custom),
}

/// A function given by its code, for [`Activation::Custom`].
#[derive(Clone)]
pub struct Custom {
    value: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    derivative: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    kinks: Arc<[f64]>,
    pole: f64,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("kinks", &self.kinks).field("pole", &self.pole).finish_non_exhaustive()
    }
}

/// Equal when they are clones of one another.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value) && Arc::ptr_eq(&self.derivative, &other.derivative)
    }
}

impl Activation {
    /// max(z, 0)
    pub fn relu() -> Self {
        Self::AbRelu { a: 0.0, b: 1.0 }
    }

    /// max(z, 0) + α min(z, 0)
    pub fn leaky_relu(alpha: f64) -> Self {
        Self::AbRelu { a: alpha, b: 1.0 }
    }

    /// |z|
    pub fn abs() -> Self {
        Self::AbRelu { a: -1.0, b: 1.0 }
    }

    /// What a maxout unit of rank 2, the larger of two numbers with weights of their own, is to the kernels: √2 max(z, 0). Both have
    /// the dual (√det + (π − θ) q₁₂)/π, with derivative 1 − θ/π, the probability that the same number is the larger one at both
    /// points. See also [`maxout_dual`](crate::maxout_dual).
    ///
    /// ```
    /// use kernels_ntk::{Activation, maxout_dual};
    /// let (dual, maxout) = (Activation::maxout().dual(1.0, 0.3, 2.0)?, maxout_dual(1.0, 0.3, 2.0)?);
    /// assert!((dual.value - maxout.0).abs() < 1e-15 && (dual.derivative - maxout.1).abs() < 1e-15);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn maxout() -> Self {
        Self::AbRelu { a: 0.0, b: std::f64::consts::SQRT_2 }
    }

    /// erf(z)
    pub fn erf() -> Self {
        Self::Erf { a: 1.0, b: 1.0, c: 0.0 }
    }

    /// ½ + ½ erf(z/2.4020563531719796), close to the logistic function.
    pub fn sigmoid_like() -> Self {
        Self::Erf { a: 0.5, b: 1.0 / 2.4020563531719796, c: 0.5 }
    }

    /// sin z
    pub fn sin() -> Self {
        Self::Sin { a: 1.0, b: 1.0, c: 0.0 }
    }

    /// cos z
    pub fn cos() -> Self {
        Self::Cos { a: 1.0, b: 1.0, c: 0.0 }
    }

    /// The step z ≥ 0
    pub fn heaviside() -> Self {
        Self::Rectified { power: 0 }
    }

    /// zⁿ
    pub fn monomial(n: usize) -> Self {
        let mut c = vec![0.0; n + 1];
        c[n] = 1.0;
        Self::Polynomial(c)
    }

    /// Normalised Hermite polynomial hₙ
    pub fn hermite(n: usize) -> Self {
        let mut c = vec![0.0; n + 1];
        c[n] = 1.0;
        Self::Hermite(c)
    }

    /// ELU with α = 1
    pub fn elu() -> Self {
        Self::Elu { alpha: 1.0, scale: 1.0 }
    }

    /// SELU
    pub fn selu() -> Self {
        Self::Elu { alpha: 1.6732632423543772, scale: 1.0507009873554805 }
    }

    /// Any function φ with its derivative. `kinks` are the places where φ or φ′ is not smooth; `pole` is the distance of the
    /// nearest singularity of φ from the real axis in the complex plane (π/2 for tanh, ∞ when there is none), which sets
    /// the spacing of the quadrature.
    ///
    /// # Errors
    /// [`Error::Value`] for a kink that is not finite or a pole that is not above 0.
    ///
    /// ```
    /// use kernels_ntk::Activation;
    /// let cubic = Activation::custom(|z| z * z * z, |z| 3.0 * z * z, &[], f64::INFINITY)?;
    /// assert!((cubic.dual(1.0, 0.5, 1.0)?.value - (6.0 * 0.125 + 9.0 * 0.5)).abs() < 1e-12);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn custom(
        value: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
        kinks: &[f64],
        pole: f64,
    ) -> Result<Self, Error> {
        if let Some(&kink) = kinks.iter().find(|k| !k.is_finite()) {
            return Err(Error::Value { name: "kink", value: kink, expected: "a finite number" });
        }
        if pole.is_nan() || pole <= 0.0 {
            return Err(Error::Value { name: "pole", value: pole, expected: "a number above 0" });
        }
        let mut kinks = kinks.to_vec();
        kinks.sort_by(f64::total_cmp);
        Ok(Self::Custom(Custom {
            value: Arc::new(value),
            derivative: Arc::new(derivative),
            kinks: kinks.into(),
            pole,
        }))
    }

    /// φ(z); NaN for [`Activation::ExpNormalized`], which is a kernel without a function.
    pub fn value(&self, z: f64) -> f64 {
        match self {
            Self::Identity => z,
            Self::AbRelu { a, b } => {
                if z < 0.0 {
                    a * z
                } else {
                    b * z
                }
            }
            Self::Erf { a, b, c } => a * libm::erf(b * z) + c,
            Self::Sin { a, b, c } => a * (b * z + c).sin(),
            Self::Cos { a, b, c } => a * (b * z + c).cos(),
            Self::Rbf { gamma } => {
                2.0_f64.sqrt() * ((2.0 * gamma).sqrt() * z + std::f64::consts::FRAC_PI_4).sin()
            }
            Self::Exp { a, b } => a * (b * z).exp(),
            Self::Gaussian { a, b } => a * (b * z * z).exp(),
            Self::Gelu => z * normal_cdf(z),
            Self::Gabor => (-z * z).exp() * z.sin(),
            Self::Sign => {
                if z > 0.0 {
                    1.0
                } else if z < 0.0 {
                    -1.0
                } else {
                    0.0 * z
                }
            }
            Self::Rectified { power } => {
                if z >= 0.0 {
                    z.powi(power.cast_signed())
                } else {
                    0.0
                }
            }
            Self::Polynomial(c) => c.iter().rev().fold(0.0, |sum, c| sum * z + c),
            Self::Hermite(c) => hermite::sum(c, z),
            Self::ExpNormalized { .. } => f64::NAN,
            Self::Tanh => z.tanh(),
            Self::Sigmoid => logistic(z),
            Self::Softplus => softplus(z),
            Self::Swish => z * logistic(z),
            Self::Mish => z * softplus(z).tanh(),
            Self::Elu { alpha, scale } => scale * if z < 0.0 { alpha * z.exp_m1() } else { z },
            Self::HardTanh => z.clamp(-1.0, 1.0),
            Self::Custom(f) => (f.value)(z),
        }
    }

    /// φ′(z), without the point masses at the jumps of [`Activation::Sign`] and the step.
    pub fn derivative(&self, z: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::AbRelu { a, b } => {
                if z < 0.0 {
                    *a
                } else if z > 0.0 {
                    *b
                } else {
                    0.5 * (a + b)
                }
            }
            Self::Erf { a, b, .. } => a * b * std::f64::consts::FRAC_2_SQRT_PI * (-(b * z).powi(2)).exp(),
            Self::Sin { a, b, c } => a * b * (b * z + c).cos(),
            Self::Cos { a, b, c } => -a * b * (b * z + c).sin(),
            Self::Rbf { gamma } => {
                let b = (2.0 * gamma).sqrt();
                2.0_f64.sqrt() * b * (b * z + std::f64::consts::FRAC_PI_4).cos()
            }
            Self::Exp { a, b } => a * b * (b * z).exp(),
            Self::Gaussian { a, b } => 2.0 * a * b * z * (b * z * z).exp(),
            Self::Gelu => normal_cdf(z) + z * normal_density(z),
            Self::Gabor => (-z * z).exp() * (z.cos() - 2.0 * z * z.sin()),
            Self::Sign => 0.0,
            Self::Rectified { power } => match power {
                0 => 0.0,
                p if z > 0.0 => f64::from(*p) * z.powi(p.cast_signed() - 1),
                1 if z == 0.0 => 0.5,
                _ => 0.0,
            },
            Self::Polynomial(c) => {
                c.iter().enumerate().skip(1).rev().fold(0.0, |sum, (i, c)| sum * z + i as f64 * c)
            }
            Self::Hermite(c) => hermite::sum(&hermite::derivative(c), z),
            Self::ExpNormalized { .. } => f64::NAN,
            Self::Tanh => {
                let t = z.tanh();
                1.0 - t * t
            }
            Self::Sigmoid => logistic(z) * logistic(-z),
            Self::Softplus => logistic(z),
            Self::Swish => {
                let s = logistic(z);
                s + z * s * logistic(-z)
            }
            Self::Mish => {
                let t = softplus(z).tanh();
                t + z * (1.0 - t * t) * logistic(z)
            }
            Self::Elu { alpha, scale } => scale * if z < 0.0 { alpha * z.exp() } else { 1.0 },
            Self::HardTanh => f64::from(u8::from(z.abs() <= 1.0)),
            Self::Custom(f) => (f.derivative)(z),
        }
    }

    /// Where φ or φ′ is not smooth, ascending.
    pub fn kinks(&self) -> &[f64] {
        match self {
            Self::AbRelu { .. } | Self::Sign | Self::Rectified { .. } | Self::Elu { .. } => &[0.0],
            Self::HardTanh => &[-1.0, 1.0],
            Self::Custom(f) => &f.kinks,
            _ => &[],
        }
    }

    /// Distance of the nearest singularity from the real axis, or the scale on which an entire function bends.
    pub(crate) fn pole(&self) -> f64 {
        match self {
            Self::Tanh => std::f64::consts::FRAC_PI_2,
            Self::Sigmoid | Self::Softplus | Self::Swish => std::f64::consts::PI,
            // softplus has branch points at ±iπ; tanh of it has poles where (1 + eᶻ)² = −1.
            Self::Mish => std::f64::consts::FRAC_PI_2,
            // Entire, but growing like the inverse of a Gaussian off the axis.
            Self::Gelu => 1.5,
            Self::Erf { b, .. } => 1.0 / b.abs().max(1e-300),
            Self::Gaussian { b, .. } => 1.0 / b.abs().sqrt().max(1e-300),
            Self::Gabor => 1.0,
            Self::Custom(f) => f.pole,
            _ => f64::INFINITY,
        }
    }

    /// Whether φ(−z) = −φ(z).
    pub fn is_odd(&self) -> bool {
        match self {
            Self::Identity | Self::Gabor | Self::Sign | Self::Tanh | Self::HardTanh => true,
            Self::AbRelu { a, b } => (a - b).abs() < f64::MIN_POSITIVE,
            Self::Erf { c, .. } | Self::Sin { c, .. } => c.abs() < f64::MIN_POSITIVE,
            Self::Polynomial(c) | Self::Hermite(c) => {
                c.iter().step_by(2).all(|c| c.abs() < f64::MIN_POSITIVE)
            }
            _ => false,
        }
    }

    /// Whether φ(tz) = tφ(z) for t > 0.
    pub fn is_homogeneous(&self) -> bool {
        matches!(self, Self::Identity | Self::AbRelu { .. } | Self::Rectified { power: 1 })
    }

    /// Checks the parameters: finite, rates of the right sign, at least one coefficient.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn check(&self) -> Result<(), Error> {
        let finite = |values: &[f64]| match values.iter().find(|v| !v.is_finite()) {
            None => Ok(()),
            Some(&value) => {
                Err(Error::Value { name: "activation parameter", value, expected: "a finite number" })
            }
        };
        match self {
            Self::AbRelu { a, b } | Self::Exp { a, b } => finite(&[*a, *b]),
            Self::Erf { a, b, c } | Self::Sin { a, b, c } | Self::Cos { a, b, c } => finite(&[*a, *b, *c]),
            Self::Rbf { gamma } if !(gamma.is_finite() && *gamma >= 0.0) => {
                Err(Error::Value { name: "gamma", value: *gamma, expected: "a finite number, 0 or above" })
            }
            Self::Gaussian { a, b } => {
                finite(&[*a, *b])?;
                crate::error::within("b of gaussian", *b, *b <= 0.0, "0 or below").map(|_| ())
            }
            Self::ExpNormalized { gamma, shift } => {
                finite(&[*shift])?;
                crate::error::within("gamma", *gamma, *gamma >= 0.0, "a finite number, 0 or above")
                    .map(|_| ())
            }
            Self::Rectified { power } if *power > 30 => {
                Err(Error::Value { name: "power", value: f64::from(*power), expected: "at most 30" })
            }
            Self::Polynomial(c) | Self::Hermite(c) => {
                if c.is_empty() || c.len() > 200 {
                    return Err(Error::Value {
                        name: "number of coefficients",
                        value: c.len() as f64,
                        expected: "from 1 to 200",
                    });
                }
                finite(c)
            }
            Self::Elu { alpha, scale } => finite(&[*alpha, *scale]),
            _ => Ok(()),
        }
    }
}

fn logistic(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Φ(z)
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

pub(crate) fn normal_density(z: f64) -> f64 {
    const FACTOR: f64 = 0.398_942_280_401_432_7;
    FACTOR * (-0.5 * z * z).exp()
}
