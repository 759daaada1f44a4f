//! Kernels of histograms: rows of values that are not negative.

use std::f64::consts::LN_2;

use super::{Coordinate, Separable};
use crate::{
    Definiteness, Error, Param, PositiveDefinite, Value, Vector,
    describe::{expect_count, positive},
};

/// χ² kernel exp(−γ Σ (x−y)²/(x+y)), 0/0 = 0, of values that are not negative.
///
/// ```
/// use kernels_core::{Chi2, Kernel};
/// let k = Chi2::new(1.0)?;
/// assert!((k.eval(&[1.0, 0.0], &[3.0, 0.0]) - (-1.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Chi2 = Separable<Chi2Distance>;

/// Additive χ² kernel −Σ (x−y)²/(x+y): conditionally positive definite of order 1.
pub type AdditiveChi2 = Separable<AdditiveChi2Distance>;

/// χ² similarity Σ 2xy/(x+y), positive definite; on histograms of sum 1 it is 1 plus half the additive χ² kernel.
///
/// Reference: Vedaldi & Zisserman, *Efficient additive kernels via explicit feature maps* (2012).
pub type Chi2Similarity = Separable<Chi2Product>;

/// Histogram intersection Σ min(x, y)^β, β > 0.
pub type Intersection = Separable<Minimum>;

/// Hellinger (Bhattacharyya) kernel Σ √(xy).
pub type Hellinger = Separable<Bhattacharyya>;

/// Jensen–Shannon kernel Σ ½ (x log₂((x+y)/x) + y log₂((x+y)/y)), 0 where a value is 0.
pub type JensenShannon = Separable<JensenShannonTerm>;

/// Terms (x−y)²/(x+y), f = e^(−γ·).
#[derive(Clone, Debug, PartialEq)]
pub struct Chi2Distance {
    gamma: f64,
}
/// Terms −(x−y)²/(x+y).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdditiveChi2Distance;
/// Terms 2xy/(x+y).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chi2Product;
/// Terms min(x, y)^β.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    beta: f64,
}
/// Terms √(xy).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bhattacharyya;
/// Terms ½ (x log₂((x+y)/x) + y log₂((x+y)/y)).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JensenShannonTerm;

impl Chi2 {
    /// The kernel with this `gamma` > 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not finite and positive.
    pub fn new(gamma: f64) -> Result<Self, Error> {
        Ok(Self(Chi2Distance { gamma: positive("gamma", gamma)? }))
    }
}

impl Intersection {
    /// The kernel with exponent `beta` > 0; 1 is the plain intersection.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not finite and positive.
    pub fn new(beta: f64) -> Result<Self, Error> {
        Ok(Self(Minimum { beta: positive("beta", beta)? }))
    }
}

macro_rules! plain {
    ($($kernel:ident = $term:ident;)*) => {$(
        impl $kernel {
            /// The kernel; it has no parameters.
            pub fn new() -> Self {
                Self($term)
            }
        }
        impl Default for $kernel {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}

plain! {
    AdditiveChi2 = AdditiveChi2Distance;
    Chi2Similarity = Chi2Product;
    Hellinger = Bhattacharyya;
    JensenShannon = JensenShannonTerm;
}

impl PositiveDefinite for Chi2 {}
impl PositiveDefinite for Chi2Similarity {}
impl PositiveDefinite for Intersection {}
impl PositiveDefinite for Hellinger {}
impl PositiveDefinite for JensenShannon {}

/// What the values of all these kernels must be.
fn not_negative(kernel: &'static str, x: f64) -> Option<(&'static str, &'static str)> {
    (x < 0.0).then_some((kernel, "numbers not below 0"))
}

/// `value` where `x + y` is positive, 0 where it is 0, NaN for NaN.
#[inline(always)]
fn unless_zero<V: Vector>(sum: V, value: V) -> V {
    let zero = V::splat(0.0);
    zero.select_lt(sum, value, zero * sum)
}

/// (x−y)²/(x+y).
#[inline(always)]
fn chi2<V: Vector>(x: V, y: V) -> V {
    let (difference, sum) = (x - y, x + y);
    unless_zero(sum, difference * (difference / sum))
}

/// Its derivatives: with w = (x−y)/(x+y), w(2−w), −w(2+w), 8y²/(x+y)³ and −8xy/(x+y)³.
fn chi2_derivatives(x: f64, y: f64) -> [f64; 4] {
    let sum = x + y;
    if sum <= 0.0 {
        return [0.0; 4];
    }
    let (a, b) = (x / sum, y / sum);
    let w = a - b;
    [w * (2.0 - w), -w * (2.0 + w), 8.0 * b * b / sum, -8.0 * a * b / sum]
}

impl Coordinate for Chi2Distance {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        chi2(x, y)
    }
    #[inline(always)]
    fn finish<V: Vector>(&self, total: V) -> V {
        (total * V::splat(-self.gamma)).exp()
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        Some(chi2_derivatives(x, y))
    }
    fn finish_derivatives(&self, total: f64) -> [f64; 2] {
        let value = (-self.gamma * total).exp();
        [-self.gamma * value, self.gamma * self.gamma * value]
    }
    fn finish_slope(&self, _: usize, total: f64) -> f64 {
        -total * (-self.gamma * total).exp()
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("gamma", self.gamma)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.gamma = positive("gamma", values[0])?;
        Ok(())
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("chi2", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("chi2", vec![("gamma", self.gamma.into())]))
    }
}

impl Coordinate for AdditiveChi2Distance {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        -chi2(x, y)
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        Some(chi2_derivatives(x, y).map(|v| -v))
    }
    fn definiteness(&self) -> Definiteness {
        Definiteness::Conditional(1)
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("additive_chi2", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("additive_chi2", vec![]))
    }
}

impl Coordinate for Chi2Product {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        // The larger is divided: no overflow, and the same bits for (y, x).
        let sum = x + y;
        unless_zero(sum, (x.min(y) * V::splat(2.0)) * (x.max(y) / sum))
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        // 2xy/(x+y) = ½(x + y − (x−y)²/(x+y)).
        let [by_x, by_y, by_xx, by_xy] = chi2_derivatives(x, y);
        Some([0.5 * (1.0 - by_x), 0.5 * (1.0 - by_y), -0.5 * by_xx, -0.5 * by_xy])
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("chi2_similarity", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("chi2_similarity", vec![]))
    }
}

/// The smaller, or NaN when either is.
#[inline(always)]
pub(super) fn minimum<V: Vector>(x: V, y: V) -> V {
    x.mul_add(V::splat(0.0), x.min(y))
}

impl Coordinate for Minimum {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        let least = minimum(x, y);
        if (self.beta - 1.0).abs() > 0.0 { least.powf(V::splat(self.beta)) } else { least }
    }
    fn term_slope(&self, _: usize, _: usize, x: f64, y: f64) -> f64 {
        let least = x.min(y);
        if least > 0.0 { least.powf(self.beta) * least.ln() } else { 0.0 * least }
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("beta", self.beta)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.beta = positive("beta", values[0])?;
        Ok(())
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("intersection", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("intersection", vec![("beta", self.beta.into())]))
    }
}

impl Coordinate for Bhattacharyya {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        // Two roots: the product of two values may overflow.
        x.sqrt() * y.sqrt()
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        if x <= 0.0 || y <= 0.0 {
            return Some([0.0; 4]);
        }
        let ratio = (y / x).sqrt();
        Some([0.5 * ratio, 0.5 / ratio, -0.25 * ratio / x, 0.25 / (x.sqrt() * y.sqrt())])
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("hellinger", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("hellinger", vec![]))
    }
}

impl Coordinate for JensenShannonTerm {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        // As logarithms of 1 + ratio: accurate also where one value is far below the other.
        let (least, largest) = (minimum(x, y), x.max(y));
        let sum = least * (largest / least).ln_1p() + largest * (least / largest).ln_1p();
        unless_zero(least, sum * V::splat(0.5 / LN_2))
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        if x <= 0.0 || y <= 0.0 {
            return Some([0.0; 4]);
        }
        let scale = 0.5 / LN_2;
        let sum = x + y;
        Some([scale * (y / x).ln_1p(), scale * (x / y).ln_1p(), -scale * (y / x) / sum, scale / sum])
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        not_negative("jensen_shannon", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("jensen_shannon", vec![]))
    }
}
