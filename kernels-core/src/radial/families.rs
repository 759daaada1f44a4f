//! The radial families.

use super::Radial;
use crate::{
    Definiteness, Error, LengthScale, Param, PositiveDefinite, Profile, Value, Vector,
    describe::{expect_count, positive},
};

/// Gaussian kernel exp(−s/2), also called squared exponential or radial basis function.
///
/// ```
/// use kernels_core::{Kernel, Rbf};
/// let k = Rbf::new(2.0)?;
/// assert_eq!(k.eval(&[0.0], &[2.0]), (-0.5_f64).exp());
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Rbf = Radial<Gaussian>;

/// Exponential kernel exp(−√s): Matérn of ν = ½, and the "Laplacian" of the EigenPro papers.
pub type Exponential = Radial<ExponentialProfile>;

/// Rational quadratic kernel (1 + s/(2α))^(−α), a scale mixture of Gaussians.
pub type RationalQuadratic = Radial<RationalQuadraticProfile>;

/// Cauchy kernel 1/(1+s).
pub type Cauchy = Radial<CauchyProfile>;

/// γ-exponential (powered exponential) kernel exp(−s^(γ/2)), 0 < γ ≤ 2.
pub type GammaExponential = Radial<PoweredExponential>;

/// Inverse multiquadric (c² + r²)^(−β) of the unscaled distance r.
pub type InverseMultiquadric = Radial<InverseMultiquadricProfile>;

/// Multiquadric −(c² + r²)^β, 0 < β < 1, sign included: conditionally positive definite of order 1.
pub type Multiquadric = Radial<MultiquadricProfile>;

/// φ(s) = exp(−s/2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gaussian;

/// φ(s) = exp(−√s).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialProfile;

/// φ(s) = (1 + s/(2α))^(−α).
#[derive(Clone, Debug, PartialEq)]
pub struct RationalQuadraticProfile {
    alpha: f64,
}

/// φ(s) = 1/(1+s).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CauchyProfile;

/// φ(s) = exp(−s^(γ/2)).
#[derive(Clone, Debug, PartialEq)]
pub struct PoweredExponential {
    gamma: f64,
}

/// φ(s) = (c² + s)^(−β).
#[derive(Clone, Debug, PartialEq)]
pub struct InverseMultiquadricProfile {
    c: f64,
    beta: f64,
}

/// φ(s) = −(c² + s)^β.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiquadricProfile {
    c: f64,
    beta: f64,
}

/// Constructors of families whose only parameter is the length scale.
macro_rules! plain {
    ($($alias:ident = $profile:ident;)*) => {$(
        impl Radial<$profile> {
            /// The kernel with this length scale: one number, or one a feature.
            ///
            /// # Errors
            /// [`Error::Parameter`] when a length scale is not finite and positive.
            pub fn new(length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
                Self::with_profile($profile, length_scale)
            }
        }
        impl PositiveDefinite for $alias {}
    )*};
}

plain! {
    Rbf = Gaussian;
    Exponential = ExponentialProfile;
    Cauchy = CauchyProfile;
}

impl PositiveDefinite for RationalQuadratic {}
impl PositiveDefinite for GammaExponential {}
impl PositiveDefinite for InverseMultiquadric {}

impl RationalQuadratic {
    /// The kernel with mixture parameter `alpha` > 0; α → ∞ is the Gaussian.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is not finite and positive.
    pub fn new(alpha: f64, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Self::with_profile(RationalQuadraticProfile { alpha: positive("alpha", alpha)? }, length_scale)
    }
}

impl GammaExponential {
    /// The kernel with exponent 0 < `gamma` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn new(gamma: f64, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Self::with_profile(PoweredExponential { gamma: valid_gamma(gamma)? }, length_scale)
    }
}

impl InverseMultiquadric {
    /// The kernel with `c` > 0 and `beta` > 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is not finite and positive.
    pub fn new(c: f64, beta: f64) -> Result<Self, Error> {
        let profile = InverseMultiquadricProfile { c: positive("c", c)?, beta: positive("beta", beta)? };
        Self::with_profile(profile, 1.0)
    }
}

impl Multiquadric {
    /// The kernel with `c` > 0 and 0 < `beta` < 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn new(c: f64, beta: f64) -> Result<Self, Error> {
        let profile = MultiquadricProfile { c: positive("c", c)?, beta: valid_beta(beta)? };
        Self::with_profile(profile, 1.0)
    }
}

fn valid_gamma(gamma: f64) -> Result<f64, Error> {
    if gamma > 0.0 && gamma <= 2.0 {
        Ok(gamma)
    } else {
        Err(Error::Parameter { name: "gamma".into(), value: gamma, expected: "above 0, at most 2" })
    }
}

fn valid_beta(beta: f64) -> Result<f64, Error> {
    if beta > 0.0 && beta < 1.0 {
        Ok(beta)
    } else {
        Err(Error::Parameter { name: "beta".into(), value: beta, expected: "between 0 and 1, both excluded" })
    }
}

impl Profile for Gaussian {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (s * V::splat(-0.5)).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        V::splat(-0.5) * self.value(s)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        self.value(s) * V::splat(0.25)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("rbf", vec![]))
    }
}

impl Profile for ExponentialProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (-s.sqrt()).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let (zero, z) = (V::splat(0.0), s.sqrt());
        // Infinite at 0, where the gradient is 0 by convention.
        zero.select_lt(z, (-z).exp() * V::splat(-0.5) / z, zero * s)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let (z, zero) = (s.sqrt(), V::splat(0.0));
        let value = (-z).exp() * (V::splat(1.0) + z) / (V::splat(4.0) * s * z);
        zero.select_lt(s, value, zero * s)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("exponential", vec![]))
    }
}

impl RationalQuadraticProfile {
    /// The mixture parameter α.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }
}

impl Profile for RationalQuadraticProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (V::splat(-self.alpha) * (s * V::splat(0.5 / self.alpha)).ln_1p()).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let y = s * V::splat(0.5 / self.alpha);
        self.value(s) * V::splat(-0.5) / (V::splat(1.0) + y)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let u = s.mul_add(V::splat(0.5 / self.alpha), V::splat(1.0));
        self.value(s) * V::splat((self.alpha + 1.0) / (4.0 * self.alpha)) / u / u
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, _: usize, s: V) -> V {
        let y = s * V::splat(0.5 / self.alpha);
        self.value(s) * (y / (V::splat(1.0) + y) - y.ln_1p())
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("alpha", self.alpha)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.alpha = positive("alpha", values[0])?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("rational_quadratic", vec![("alpha", self.alpha.into())]))
    }
}

impl Profile for CauchyProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        V::splat(1.0) / (V::splat(1.0) + s)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let k = self.value(s);
        -(k * k)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let k = self.value(s);
        V::splat(2.0) * k * k * k
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("cauchy", vec![]))
    }
}

impl PoweredExponential {
    /// The exponent γ.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// −φ′(0) and φ″(0): 1 for γ = 2, infinite below and then 0 by convention.
    fn at_zero(&self) -> f64 {
        if self.gamma < 2.0 { 0.0 } else { 1.0 }
    }
}

impl Profile for PoweredExponential {
    fn needs_exact_distances(&self) -> bool {
        self.gamma < 1.0
    }

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (-s.powf(V::splat(0.5 * self.gamma))).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let (zero, power) = (V::splat(0.0), s.powf(V::splat(0.5 * self.gamma)));
        zero.select_lt(
            s,
            V::splat(-0.5 * self.gamma) * power / s * (-power).exp(),
            zero * s - V::splat(self.at_zero()),
        )
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let (zero, g, power) = (V::splat(0.0), 0.5 * self.gamma, s.powf(V::splat(0.5 * self.gamma)));
        let bracket = V::splat(g * g) * power - V::splat(g * (g - 1.0));
        let value = (-power).exp() * bracket * power / s / s;
        zero.select_lt(s, value, zero * s + V::splat(self.at_zero()))
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, _: usize, s: V) -> V {
        let (zero, power) = (V::splat(0.0), s.powf(V::splat(0.5 * self.gamma)));
        zero.select_lt(s, V::splat(-0.5) * s.ln() * power * (-power).exp(), zero * s)
    }
    fn params(&self) -> Vec<Param> {
        vec![Param { bounds: (1e-2, 2.0), ..Param::positive("gamma", self.gamma) }]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.gamma = valid_gamma(values[0])?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("gamma_exponential", vec![("gamma", self.gamma.into())]))
    }
}

impl InverseMultiquadricProfile {
    /// (c, β).
    pub fn shape(&self) -> (f64, f64) {
        (self.c, self.beta)
    }

    #[inline(always)]
    fn base<V: Vector>(&self, s: V) -> V {
        s + V::splat(self.c * self.c)
    }
}

impl Profile for InverseMultiquadricProfile {
    const SCALED: bool = false;

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (V::splat(-self.beta) * self.base(s).ln()).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        V::splat(-self.beta) * self.value(s) / self.base(s)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let base = self.base(s);
        V::splat(self.beta * (self.beta + 1.0)) * self.value(s) / base / base
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, s: V) -> V {
        match index {
            0 => V::splat(2.0 * self.c) * self.slope(s),
            _ => -(self.base(s).ln() * self.value(s)),
        }
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("c", self.c), Param::positive("beta", self.beta)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        (self.c, self.beta) = (positive("c", values[0])?, positive("beta", values[1])?);
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("inverse_multiquadric", vec![("c", self.c.into()), ("beta", self.beta.into())]))
    }
}

impl MultiquadricProfile {
    #[inline(always)]
    fn base<V: Vector>(&self, s: V) -> V {
        s + V::splat(self.c * self.c)
    }
}

impl Profile for MultiquadricProfile {
    const SCALED: bool = false;

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        -(V::splat(self.beta) * self.base(s).ln()).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        V::splat(self.beta) * self.value(s) / self.base(s)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let base = self.base(s);
        V::splat(self.beta * (self.beta - 1.0)) * self.value(s) / base / base
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, s: V) -> V {
        match index {
            0 => V::splat(2.0 * self.c) * self.slope(s),
            _ => self.base(s).ln() * self.value(s),
        }
    }
    fn params(&self) -> Vec<Param> {
        let beta = Param { bounds: (1e-3, 0.999), ..Param::positive("beta", self.beta) };
        vec![Param::positive("c", self.c), beta]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        (self.c, self.beta) = (positive("c", values[0])?, valid_beta(values[1])?);
        Ok(())
    }
    fn definiteness(&self) -> Definiteness {
        Definiteness::Conditional(1)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("multiquadric", vec![("c", self.c.into()), ("beta", self.beta.into())]))
    }
}
