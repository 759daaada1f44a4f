//! Networks of infinite depth.

use crate::{Activation, Error, HermiteSeries, error::within};

/// The classifier that an infinitely deep network on unit vectors becomes, without bias and with E φ(z)² scaled to 1.
///
/// Reference: Radhakrishnan, Belkin & Uhler, *Wide and deep neural networks achieve optimality for classification* (2023).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DeepClassifier {
    /// E φ = 0 and E φ′ = 0: the nearest training point decides.
    NearestNeighbour,
    /// E φ ≠ 0: the more frequent class decides.
    Majority,
    /// E φ = 0, E φ′ ≠ 0: the singular kernel ‖x − x′‖^(−α).
    Singular {
        /// α = −4 ln|E φ′| / ln E φ′²
        exponent: f64,
    },
}

/// Which classifier an activation leads to at infinite depth.
///
/// ```
/// use kernels_ntk::{DeepClassifier, deep_classifier, optimal_activation};
/// let DeepClassifier::Singular { exponent } = deep_classifier(&optimal_activation(3)?)? else { panic!() };
/// assert!((exponent - 3.0).abs() < 1e-10);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for an activation that is 0 or not a function.
pub fn deep_classifier(activation: &Activation) -> Result<DeepClassifier, Error> {
    let m = activation.moments(1.0)?;
    within("E φ²", m.second, m.second > 0.0, "above 0")?;
    let norm = m.second.sqrt();
    let slope = activation.expectation(1.0, |_, _, d| d)? / norm;
    if (m.mean / norm).abs() > 1e-10 {
        return Ok(DeepClassifier::Majority);
    }
    if slope.abs() < 1e-10 {
        return Ok(DeepClassifier::NearestNeighbour);
    }
    Ok(DeepClassifier::Singular { exponent: -4.0 * slope.abs().ln() / (m.slope / m.second).ln() })
}

/// An activation whose deep limit is the optimal classifier in dimension d ≥ 2, with α = d:
/// 2^(−d/4) h₁ + √(1 − 2^(1−d/2)) h₂ + 2^(−d/4) h₃.
///
/// # Errors
/// [`Error::Value`] for d below 2.
pub fn optimal_activation(dim: usize) -> Result<Activation, Error> {
    within("dimension", dim as f64, dim >= 2, "2 or above")?;
    let d = dim as f64;
    let side = (-d / 4.0).exp2();
    Ok(Activation::Hermite(vec![0.0, side, (1.0 - (1.0 - d / 2.0).exp2()).max(0.0).sqrt(), side]))
}

/// The NNGP and tangent kernels of a network of `depth` layers with a Hermite activation Σ aₖhₖ, Σ aₖ² = 1, on unit vectors at a
/// cosine, as (mantissa, power of 2) pairs, because values underflow: S ← Σ aₖ² Sᵏ, K ← φ(S) + K φ′(S).
///
/// # Errors
/// [`Error::Value`] for a cosine outside [−1, 1].
pub fn deep_hermite(coefficients: &[f64], depth: usize, cosine: f64) -> Result<(Scaled, Scaled), Error> {
    within("cosine", cosine, (-1.0..=1.0).contains(&cosine), "from -1 to 1")?;
    let squares: Vec<f64> = coefficients.iter().map(|a| a * a).collect();
    let (mut s, mut k) = (Scaled::new(cosine), Scaled::new(cosine));
    for _ in 0..depth {
        let mut power = Scaled::new(1.0);
        let (mut value, mut slope) = (Scaled::new(0.0), Scaled::new(0.0));
        for (i, c) in squares.iter().enumerate() {
            value = value.plus(power.times(Scaled::new(*c)));
            if let Some(next) = squares.get(i + 1) {
                slope = slope.plus(power.times(Scaled::new((i + 1) as f64 * next)));
            }
            power = power.times(s);
        }
        k = value.plus(k.times(slope));
        s = value;
    }
    Ok((s, k))
}

/// A number mantissa · 2^exponent with an exponent of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    /// In ±[1, 2), or 0.
    pub mantissa: f64,
    /// Power of 2.
    pub exponent: i64,
}

impl Scaled {
    fn new(value: f64) -> Self {
        Self { mantissa: value, exponent: 0 }.settled()
    }

    fn settled(self) -> Self {
        if self.mantissa.abs() < f64::MIN_POSITIVE {
            return Self { mantissa: 0.0, exponent: 0 };
        }
        let (m, e) = libm::frexp(self.mantissa);
        Self { mantissa: 2.0 * m, exponent: self.exponent + i64::from(e) - 1 }
    }

    fn times(self, other: Self) -> Self {
        Self { mantissa: self.mantissa * other.mantissa, exponent: self.exponent + other.exponent }.settled()
    }

    fn plus(self, other: Self) -> Self {
        if self.mantissa.abs() < f64::MIN_POSITIVE {
            return other;
        }
        if other.mantissa.abs() < f64::MIN_POSITIVE {
            return self;
        }
        let (large, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = (small.exponent - large.exponent).max(-200) as i32;
        Self { mantissa: large.mantissa + small.mantissa * f64::from(shift).exp2(), exponent: large.exponent }
            .settled()
    }

    /// Natural logarithm of the absolute value.
    pub fn ln_abs(self) -> f64 {
        self.mantissa.abs().ln() + self.exponent as f64 * std::f64::consts::LN_2
    }
}

/// Hermite coefficients of an activation at variance 1, for [`deep_hermite`].
///
/// # Errors
/// [`Error::Value`] for an activation that is not a function.
pub fn hermite_coefficients(activation: &Activation) -> Result<Vec<f64>, Error> {
    Ok(HermiteSeries::new(activation, 1.0, 1e-15)?.values)
}
