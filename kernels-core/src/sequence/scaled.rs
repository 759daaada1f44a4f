//! Numbers beyond the range of f64.

use super::cells::{exponent_of, power_of_two};

/// A number m · 2ᵉ, for kernel values of long paths that exceed the range of f64.
///
/// ```
/// use kernels_core::ScaledValue;
/// let huge = ScaledValue::new(1.5, 5000);
/// assert_eq!(huge.value(), f64::INFINITY);
/// assert!((huge.ln_abs() - (1.5_f64.ln() + 5000.0 * 2.0_f64.ln())).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledValue {
    mantissa: f64,
    exponent: i64,
}

impl ScaledValue {
    pub(super) const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    /// `mantissa` · 2^`exponent`.
    pub fn new(mantissa: f64, exponent: i64) -> Self {
        Self { mantissa, exponent }
    }

    /// The factor in front of the power of two, of any size.
    pub fn mantissa(&self) -> f64 {
        self.mantissa
    }

    /// The exponent of two.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// The number itself; infinite when it exceeds the range of f64.
    pub fn value(&self) -> f64 {
        if self.exponent == 0 {
            return self.mantissa;
        }
        let k = exponent_of(self.mantissa);
        if self.mantissa.abs() < f64::MIN_POSITIVE || k == i64::MAX {
            return self.mantissa * power_of_two(self.exponent);
        }
        // The mantissa is brought into [1, 2) first: one of the two factors alone may be out of range.
        let m = self.mantissa * power_of_two(-k / 2) * power_of_two(-(k - k / 2));
        let e = self.exponent.saturating_add(k);
        m * power_of_two(e / 2) * power_of_two(e - e / 2)
    }

    /// ln |m · 2ᵉ|; −∞ for 0.
    pub fn ln_abs(&self) -> f64 {
        self.mantissa.abs().ln() + self.exponent as f64 * std::f64::consts::LN_2
    }

    /// −1, 0 or 1; NaN for NaN.
    pub fn sign(&self) -> f64 {
        if self.mantissa.abs() > 0.0 { self.mantissa.signum() } else { self.mantissa }
    }

    /// `self` / √(a b), the cosine of two points from their inner product and squared norms; 0 where a norm is 0.
    pub fn normalized(&self, a: Self, b: Self) -> f64 {
        self.over_roots(a, b).value()
    }

    /// `self` / √(a b).
    pub(super) fn over_roots(&self, a: Self, b: Self) -> Self {
        if a.mantissa <= 0.0 || b.mantissa <= 0.0 {
            return Self { mantissa: 0.0, exponent: 0 };
        }
        let root = |v: Self| {
            let odd = v.exponent.rem_euclid(2);
            ((v.mantissa * if odd == 1 { 2.0 } else { 1.0 }).sqrt(), (v.exponent - odd) / 2)
        };
        let ((ra, ea), (rb, eb)) = (root(a), root(b));
        Self { mantissa: self.mantissa / ra / rb, exponent: self.exponent - ea - eb }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { mantissa: self.mantissa * factor, ..self }
    }
}
