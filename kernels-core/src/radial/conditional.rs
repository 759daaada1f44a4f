//! Radial kernels that are conditionally positive definite, sign included.

use super::Radial;
use crate::{
    Definiteness, Error, Param, Profile, Value, Vector,
    describe::{expect_count, positive},
};

/// Power kernel −rᵖ, 0 < p ≤ 2: conditionally positive definite of order 1.
///
/// ```
/// use kernels_core::{Definiteness, Describe, Kernel, PowerDistance};
/// let k = PowerDistance::new(1.0)?;
/// assert_eq!(k.eval(&[0.0, 0.0], &[3.0, 4.0]), -5.0);
/// assert_eq!(k.definiteness(), Definiteness::Conditional(1));
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type PowerDistance = Radial<PowerProfile>;

/// Logarithmic kernel −ln(1 + a rᵖ), a > 0, 0 < p ≤ 2: conditionally positive definite of order 1.
pub type LogDistance = Radial<LogProfile>;

/// Polyharmonic spline of integer degree k ≥ 1: (−1)^((k+1)/2) rᵏ for odd k, (−1)^(k/2+1) rᵏ ln r for even k, 0 at r = 0;
/// conditionally positive definite of order ⌊k/2⌋ + 1. Degree 2 is the thin-plate spline.
///
/// Reference: Wendland, *Scattered Data Approximation* (2004), theorems 8.16 and 8.17.
pub type Polyharmonic = Radial<PolyharmonicProfile>;

/// φ(s) = −s^(p/2).
#[derive(Clone, Debug, PartialEq)]
pub struct PowerProfile {
    p: f64,
}

/// φ(s) = −ln(1 + a s^(p/2)).
#[derive(Clone, Debug, PartialEq)]
pub struct LogProfile {
    a: f64,
    p: f64,
}

/// φ(s) = ± s^(k/2), with a factor ½ ln s for even k.
#[derive(Clone, Debug, PartialEq)]
pub struct PolyharmonicProfile {
    k: u32,
}

impl PowerDistance {
    /// −r^`p`, 0 < `p` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `p` is out of range.
    pub fn new(p: f64) -> Result<Self, Error> {
        Self::with_profile(PowerProfile { p: valid_power(p)? }, 1.0)
    }
}

impl LogDistance {
    /// −ln(1 + `a` r^`p`), `a` > 0, 0 < `p` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn new(a: f64, p: f64) -> Result<Self, Error> {
        Self::with_profile(LogProfile { a: positive("a", a)?, p: valid_power(p)? }, 1.0)
    }
}

impl Polyharmonic {
    /// The spline of degree 1 ≤ `k` ≤ 20.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `k` is out of range.
    pub fn new(k: u32) -> Result<Self, Error> {
        if (1..=20).contains(&k) {
            Self::with_profile(PolyharmonicProfile { k }, 1.0)
        } else {
            let expected = "an integer from 1 to 20";
            Err(Error::Parameter { name: "k".into(), value: f64::from(k), expected })
        }
    }

    /// The thin-plate spline r² ln r.
    pub fn thin_plate() -> Self {
        Self { profile: PolyharmonicProfile { k: 2 }, length_scale: 1.0.into() }
    }
}

fn valid_power(p: f64) -> Result<f64, Error> {
    if p <= 2.0 {
        positive("p", p)
    } else {
        Err(Error::Parameter { name: "p".into(), value: p, expected: "above 0, at most 2" })
    }
}

fn power_param(p: f64) -> Param {
    Param { bounds: (1e-2, 2.0), ..Param::positive("p", p) }
}

/// `value` at s > 0, `at_zero` at 0, NaN for NaN.
#[inline(always)]
fn from_zero<V: Vector>(s: V, value: V, at_zero: f64) -> V {
    let zero = V::splat(0.0);
    zero.select_lt(s, value, s.mul_add(zero, V::splat(at_zero)))
}

/// s, or 0 where it is so small that squares of differences have lost their digits: distances below 10⁻¹⁴⁵ (10⁻¹⁷ in single
/// precision) count as 0.
#[inline(always)]
fn cleared<V: Vector>(s: V) -> V {
    let least = if size_of::<V::Scalar>() == 8 { 1e-290 } else { 1e-34 };
    V::splat(least).select_lt(s, s, s * V::splat(0.0))
}

/// The value at 0 of a derivative that exists there for p = 2 only.
fn smooth(p: f64, at_zero: f64) -> f64 {
    if p < 2.0 { 0.0 } else { at_zero }
}

impl Profile for PowerProfile {
    const SCALED: bool = false;

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        -cleared(s).powf(V::splat(0.5 * self.p))
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        from_zero(s, V::splat(0.5 * self.p) * self.value(s) / s, smooth(self.p, -1.0))
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let g = 0.5 * self.p;
        from_zero(s, V::splat(g * (g - 1.0)) * self.value(s) / s / s, 0.0)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, _: usize, s: V) -> V {
        from_zero(s, V::splat(0.5) * s.ln() * self.value(s), 0.0)
    }
    fn params(&self) -> Vec<Param> {
        vec![power_param(self.p)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.p = valid_power(values[0])?;
        Ok(())
    }
    fn needs_exact_distances(&self) -> bool {
        true
    }

    fn definiteness(&self) -> Definiteness {
        Definiteness::Conditional(1)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("power", vec![("p", self.p.into())]))
    }
}

impl LogProfile {
    /// a s^(p/2).
    #[inline(always)]
    fn inner<V: Vector>(&self, s: V) -> V {
        V::splat(self.a) * cleared(s).powf(V::splat(0.5 * self.p))
    }
}

impl Profile for LogProfile {
    const SCALED: bool = false;

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        -self.inner(s).ln_1p()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let u = self.inner(s);
        let value = V::splat(-0.5 * self.p) * (u / (V::splat(1.0) + u)) / s;
        from_zero(s, value, smooth(self.p, -self.a))
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let (u, one, g) = (self.inner(s), V::splat(1.0), 0.5 * self.p);
        let share = u / (one + u);
        let value = V::splat(-g) * share * ((V::splat(g - 1.0) - u) / (one + u)) / s / s;
        from_zero(s, value, smooth(self.p, self.a * self.a))
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, s: V) -> V {
        let u = self.inner(s);
        let share = u / (V::splat(1.0) + u);
        let by_a = V::splat(-1.0 / self.a) * share;
        if index == 0 { by_a } else { from_zero(s, V::splat(-0.5) * s.ln() * share, 0.0) }
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("a", self.a), power_param(self.p)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        (self.a, self.p) = (positive("a", values[0])?, valid_power(values[1])?);
        Ok(())
    }
    fn needs_exact_distances(&self) -> bool {
        true
    }

    fn definiteness(&self) -> Definiteness {
        Definiteness::Conditional(1)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("log", vec![("a", self.a.into()), ("p", self.p.into())]))
    }
}

impl PolyharmonicProfile {
    /// The degree k.
    pub fn degree(&self) -> u32 {
        self.k
    }

    fn is_even(&self) -> bool {
        self.k.is_multiple_of(2)
    }

    /// (−1)^((k+1)/2) for odd, (−1)^(k/2+1) for even degrees.
    fn sign(&self) -> f64 {
        let exponent = if self.is_even() { self.k / 2 + 1 } else { self.k.div_ceil(2) };
        if exponent.is_multiple_of(2) { 1.0 } else { -1.0 }
    }

    /// ± rᵏ, by products.
    #[inline(always)]
    fn power<V: Vector>(&self, s: V) -> V {
        let s = cleared(s);
        let mut power = if self.is_even() { V::splat(self.sign()) } else { V::splat(self.sign()) * s.sqrt() };
        for _ in 0..self.k / 2 {
            power = power * s;
        }
        power
    }
}

impl Profile for PolyharmonicProfile {
    const SCALED: bool = false;

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        let power = self.power(s);
        if self.is_even() { from_zero(s, power * (V::splat(0.5) * s.ln()), 0.0) } else { power }
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let (power, half) = (self.power(s), V::splat(0.5 * f64::from(self.k)));
        let factor = if self.is_even() { half.mul_add(V::splat(0.5) * s.ln(), V::splat(0.5)) } else { half };
        from_zero(s, power * factor / s, 0.0)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let (power, m) = (self.power(s), 0.5 * f64::from(self.k));
        let factor = V::splat(m * (m - 1.0));
        let factor =
            if self.is_even() { factor.mul_add(V::splat(0.5) * s.ln(), V::splat(m - 0.5)) } else { factor };
        from_zero(s, power * factor / s / s, 0.0)
    }
    fn needs_exact_distances(&self) -> bool {
        true
    }

    fn definiteness(&self) -> Definiteness {
        Definiteness::Conditional(self.k as usize / 2 + 1)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("polyharmonic", vec![("k", f64::from(self.k).into())]))
    }
}
