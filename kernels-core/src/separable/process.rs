//! Covariances of processes on the half line, splines on the interval and on the circle; products over the features.

use std::f64::consts::PI;

use super::{Coordinate, Separable, histogram::minimum};
use crate::{
    Error, LengthScale, Param, PositiveDefinite, Value, Vector,
    describe::{expect_count, positive},
};

/// Brownian motion ∏ min(xᵢ, yᵢ) on \[0, ∞).
pub type Brownian = Separable<BrownianTerm>;

/// Fractional Brownian motion ∏ ½ (x^2H + y^2H − |x−y|^2H) on \[0, ∞), 0 < H < 1.
///
/// ```
/// use kernels_core::{FractionalBrownian, Kernel};
/// assert_eq!(FractionalBrownian::new(0.5)?.eval(&[2.0], &[3.0]), 2.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type FractionalBrownian = Separable<FractionalTerm>;

/// Brownian bridge ∏ (min(xᵢ, yᵢ) − xᵢyᵢ/T) on \[0, T\].
pub type BrownianBridge = Separable<BridgeTerm>;

/// Integrated Brownian motion ∏ (m³/3 + |xᵢ−yᵢ| m²/2), m = min(xᵢ, yᵢ), on \[0, ∞): cubic splines.
pub type IntegratedBrownian = Separable<IntegratedTerm>;

/// Bernoulli (Korobov) kernel of order s on the circle ℝ/ℤ: ∏ (1 + 2 Σₖ k^(−2s) cos 2πk(xᵢ−yᵢ)), in closed form for s = 1, 2, 3.
pub type Bernoulli = Separable<BernoulliTerm>;

/// Sobolev spline kernel of order s = 1, 2, 3 on \[0, 1\]:
/// ∏ (Σ_{j≤s} Bⱼ(x)Bⱼ(y)/j!² + (−1)^(s+1) B₂ₛ(|x−y|)/(2s)!) with Bernoulli polynomials Bⱼ.
///
/// Reference: Wahba, *Spline Models for Observational Data* (1990), ch. 10.
pub type Sobolev = Separable<SobolevTerm>;

/// Weighted kernel of quasi-Monte-Carlo ∏ (1 + γᵢ B₂({xᵢ−yᵢ})) on the circle ℝ/ℤ; worst-case errors of lattice rules.
pub type WeightedBernoulli = Separable<WeightedBernoulliTerm>;

/// Terms min(x, y).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrownianTerm;
/// Terms ½ (x^2H + y^2H − |x−y|^2H).
#[derive(Clone, Debug, PartialEq)]
pub struct FractionalTerm {
    hurst: f64,
}
/// Terms min(x, y) − xy/T.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeTerm {
    horizon: f64,
}
/// Terms m³/3 + |x−y| m²/2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntegratedTerm;
/// Terms 1 + (−1)^(s+1) (2π)^2s/(2s)! B₂ₛ({x−y}).
#[derive(Clone, Debug, PartialEq)]
pub struct BernoulliTerm {
    order: u32,
}
/// Terms Σ Bⱼ(x)Bⱼ(y)/j!² + (−1)^(s+1) B₂ₛ(|x−y|)/(2s)!.
#[derive(Clone, Debug, PartialEq)]
pub struct SobolevTerm {
    order: u32,
}
/// Terms 1 + γᵢ B₂({x−y}).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedBernoulliTerm {
    gamma: LengthScale,
}

macro_rules! constructors {
    ($($kernel:ident { $text:literal } ($($name:ident: $from:ty)?) -> $body:expr;)*) => {$(
        impl $kernel {
            #[doc = $text]
            ///
            /// # Errors
            /// [`Error::Parameter`] for a parameter out of range.
            pub fn new($($name: $from)?) -> Result<Self, Error> {
                Ok(Self($body))
            }
        }
        impl PositiveDefinite for $kernel {}
    )*};
}

constructors! {
    Brownian { "The kernel; it has no parameters." } () -> BrownianTerm;
    FractionalBrownian { "The kernel with this Hurst index, 0 < `hurst` < 1." } (hurst: f64)
        -> FractionalTerm { hurst: valid_hurst(hurst)? };
    BrownianBridge { "The bridge that returns to 0 at `horizon` > 0." } (horizon: f64)
        -> BridgeTerm { horizon: positive("horizon", horizon)? };
    IntegratedBrownian { "The kernel; it has no parameters." } () -> IntegratedTerm;
    Bernoulli { "The kernel of `order` 1, 2 or 3." } (order: u32) -> BernoulliTerm { order: valid_order(order)? };
    Sobolev { "The kernel of `order` 1, 2 or 3." } (order: u32) -> SobolevTerm { order: valid_order(order)? };
    WeightedBernoulli { "The kernel with weights `gamma` > 0: one, or one a feature." }
        (gamma: impl Into<LengthScale>) -> WeightedBernoulliTerm { gamma: valid_weights(gamma.into())? };
}

fn valid_hurst(hurst: f64) -> Result<f64, Error> {
    if hurst < 1.0 {
        positive("hurst", hurst)
    } else {
        Err(Error::Parameter { name: "hurst".into(), value: hurst, expected: "above 0, below 1" })
    }
}

fn valid_order(order: u32) -> Result<u32, Error> {
    if (1..=3).contains(&order) {
        Ok(order)
    } else {
        let value = f64::from(order);
        Err(Error::Parameter { name: "order".into(), value, expected: "1, 2 or 3" })
    }
}

/// Any positive weight gives a positive definite kernel: B₂ is a cosine series with positive coefficients.
fn valid_weights(gamma: LengthScale) -> Result<LengthScale, Error> {
    for &value in gamma.values() {
        positive("gamma", value)?;
    }
    gamma.validated()
}

/// Coefficients of the Bernoulli polynomials B₀ to B₆, from the constant up.
const BERNOULLI: [[f64; 7]; 7] = [
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [-0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [1.0 / 6.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.5, -1.5, 1.0, 0.0, 0.0, 0.0],
    [-1.0 / 30.0, 0.0, 1.0, -2.0, 1.0, 0.0, 0.0],
    [0.0, -1.0 / 6.0, 0.0, 5.0 / 3.0, -2.5, 1.0, 0.0],
    [1.0 / 42.0, 0.0, -0.5, 0.0, 2.5, -3.0, 1.0],
];

const FACTORIAL: [f64; 7] = [1.0, 1.0, 2.0, 6.0, 24.0, 120.0, 720.0];

/// Bₙ of vectors.
#[inline(always)]
fn bernoulli<V: Vector>(n: usize, x: V) -> V {
    let mut sum = V::splat(0.0);
    let mut i = n + 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, V::splat(BERNOULLI[n][i]));
    }
    sum
}

/// Bₙ, B′ₙ = nBₙ₋₁ and B″ₙ of numbers.
fn bernoulli_derivatives(n: usize, x: f64) -> [f64; 3] {
    let at = |n: usize| BERNOULLI[n].iter().rev().fold(0.0, |sum, c| sum * x + c);
    let m = n as f64;
    let second = if n > 1 { m * (m - 1.0) * at(n - 2) } else { 0.0 };
    [at(n), if n > 0 { m * at(n - 1) } else { 0.0 }, second]
}

/// Distance of x − y to the nearest integer: B₂ₛ of it is B₂ₛ of the fractional part.
#[inline(always)]
fn to_nearest_integer<V: Vector>(x: V, y: V) -> V {
    let d = (x - y).abs();
    // Adding 1.5 · 2^(mantissa bits) rounds to integers; from a third of that on all numbers count as integers.
    let magic = if size_of::<V::Scalar>() == 8 { 6755399441055744.0 } else { 12582912.0 };
    let rounded = (d + V::splat(magic)) - V::splat(magic);
    d.select_lt(V::splat(magic / 3.0), (d - rounded).abs(), d * V::splat(0.0))
}

/// f(x − y) with f = B₂ₛ on the fractional part: its derivatives by x, y, xx and xy. B₁ has a jump at the integers, where the
/// derivative counts as 0.
fn periodic_derivatives(n: usize, x: f64, y: f64) -> [f64; 4] {
    let fraction = (x - y).rem_euclid(1.0);
    let [_, mut slope, second] = bernoulli_derivatives(n, fraction);
    if fraction <= 0.0 {
        slope = 0.0;
    }
    [slope, -slope, second, -second]
}

impl BernoulliTerm {
    fn scale(&self) -> f64 {
        let n = 2 * self.order;
        let sign = if self.order.is_multiple_of(2) { -1.0 } else { 1.0 };
        sign * (2.0 * PI).powi(n.cast_signed()) / FACTORIAL[n as usize]
    }
}

fn half_line(kernel: &'static str, x: f64) -> Option<(&'static str, &'static str)> {
    (x < 0.0).then_some((kernel, "times from 0 on"))
}

impl Coordinate for BrownianTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        minimum(x, y)
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        half_line("brownian", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("brownian", vec![]))
    }
}

impl Coordinate for FractionalTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        let h = V::splat(2.0 * self.hurst);
        ((x.powf(h) + y.powf(h)) - (x - y).abs().powf(h)) * V::splat(0.5)
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        let (h, d) = (self.hurst, x - y);
        let power = |t: f64, p: f64| if t > 0.0 { t.powf(p) } else { 0.0 };
        let first = |t: f64| h * power(t, 2.0 * h - 1.0);
        let second = |t: f64| h * (2.0 * h - 1.0) * power(t, 2.0 * h - 2.0);
        let pull = first(d.abs()).copysign(d);
        Some([first(x) - pull, first(y) + pull, second(x) - second(d.abs()), second(d.abs())])
    }
    fn term_slope(&self, _: usize, _: usize, x: f64, y: f64) -> f64 {
        let part = |t: f64| if t > 0.0 { t.powf(2.0 * self.hurst) * t.ln() } else { 0.0 };
        part(x) + part(y) - part((x - y).abs())
    }
    fn params(&self) -> Vec<Param> {
        vec![Param { bounds: (1e-3, 0.999), ..Param::positive("hurst", self.hurst) }]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.hurst = valid_hurst(values[0])?;
        Ok(())
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        half_line("fractional_brownian", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("fractional_brownian", vec![("hurst", self.hurst.into())]))
    }
}

impl Coordinate for BridgeTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        // min − xy/T = min (1 − max/T).
        minimum(x, y) * (V::splat(1.0) - x.max(y) * V::splat(1.0 / self.horizon))
    }
    fn term_slope(&self, _: usize, _: usize, x: f64, y: f64) -> f64 {
        x * y / (self.horizon * self.horizon)
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("horizon", self.horizon)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.horizon = positive("horizon", values[0])?;
        Ok(())
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        (x < 0.0 || x > self.horizon).then_some(("brownian_bridge", "times from 0 to the horizon"))
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("brownian_bridge", vec![("horizon", self.horizon.into())]))
    }
}

impl Coordinate for IntegratedTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        let least = minimum(x, y);
        (least * least) * (x.max(y) * V::splat(0.5) - least * V::splat(1.0 / 6.0))
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        Some(if x <= y {
            [x * y - 0.5 * x * x, 0.5 * x * x, y - x, x]
        } else {
            [0.5 * y * y, x * y - 0.5 * y * y, 0.0, y]
        })
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        half_line("integrated_brownian", x)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("integrated_brownian", vec![]))
    }
}

impl Coordinate for BernoulliTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        let value = bernoulli(2 * self.order as usize, to_nearest_integer(x, y));
        value.mul_add(V::splat(self.scale()), V::splat(1.0))
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        Some(periodic_derivatives(2 * self.order as usize, x, y).map(|v| v * self.scale()))
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("bernoulli", vec![("order", f64::from(self.order).into())]))
    }
}

impl Coordinate for SobolevTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        let n = 2 * self.order as usize;
        let sign = if self.order.is_multiple_of(2) { -1.0 } else { 1.0 };
        let mut sum = bernoulli(n, (x - y).abs()) * V::splat(sign / FACTORIAL[n]);
        for j in 0..=self.order as usize {
            let factor = V::splat(1.0 / (FACTORIAL[j] * FACTORIAL[j]));
            sum = sum + (bernoulli(j, x) * bernoulli(j, y)) * factor;
        }
        sum
    }
    fn derivatives(&self, _: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        let n = 2 * self.order as usize;
        let sign = if self.order.is_multiple_of(2) { -1.0 } else { 1.0 };
        let [_, slope, second] = bernoulli_derivatives(n, (x - y).abs()).map(|v| sign * v / FACTORIAL[n]);
        // |x − y| has a kink at 0: the derivative of its odd part counts as 0 there.
        let slope = if x > y {
            slope
        } else if x < y {
            -slope
        } else {
            0.0
        };
        let mut out = [slope, -slope, second, -second];
        for j in 0..=self.order as usize {
            let factor = 1.0 / (FACTORIAL[j] * FACTORIAL[j]);
            let (a, b) = (bernoulli_derivatives(j, x), bernoulli_derivatives(j, y));
            for (out, term) in out.iter_mut().zip([a[1] * b[0], a[0] * b[1], a[2] * b[0], a[1] * b[1]]) {
                *out += factor * term;
            }
        }
        Some(out)
    }
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        (!(0.0..=1.0).contains(&x) && !x.is_nan()).then_some(("sobolev", "numbers from 0 to 1"))
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("sobolev", vec![("order", f64::from(self.order).into())]))
    }
}

impl Coordinate for WeightedBernoulliTerm {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, feature: usize, x: V, y: V) -> V {
        bernoulli(2, to_nearest_integer(x, y)).mul_add(V::splat(self.gamma.of(feature)), V::splat(1.0))
    }
    fn derivatives(&self, feature: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        Some(periodic_derivatives(2, x, y).map(|v| v * self.gamma.of(feature)))
    }
    fn term_slope(&self, param: usize, feature: usize, x: f64, y: f64) -> f64 {
        let own = self.gamma.values().len() == 1 || param == feature;
        if own { bernoulli_derivatives(2, (x - y).rem_euclid(1.0))[0] } else { 0.0 }
    }
    fn params(&self) -> Vec<Param> {
        let rename = |p: Param| Param { name: p.name.replace("length_scale", "gamma"), ..p };
        self.gamma.params().into_iter().map(rename).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.gamma = self.gamma.with_values(values)?;
        Ok(())
    }
    fn check_dim(&self, dim: usize) -> Result<(), Error> {
        self.gamma.check(dim)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("weighted_bernoulli", vec![("gamma", self.gamma.argument())]))
    }
}
