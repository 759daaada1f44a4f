//! Kernels of categories: values are only equal or not.

use super::{Coordinate, Separable};
use crate::{
    Error, LengthScale, Param, PositiveDefinite, Value, Vector,
    describe::{expect_count, positive},
};

/// Hamming kernel exp(−Σ γᵢ \[xᵢ ≠ yᵢ\]).
///
/// ```
/// use kernels_core::{Hamming, Kernel};
/// let k = Hamming::new(0.5)?;
/// assert!((k.eval(&[1.0, 2.0, 3.0], &[1.0, 5.0, 7.0]) - (-1.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Hamming = Separable<Mismatches>;

/// Overlap kernel: the fraction of equal features.
pub type Overlap = Separable<Matches>;

/// Aitchison–Aitken kernel ∏ (1−λ where equal, λ/(c−1) elsewhere) of variables with c categories, 0 ≤ λ ≤ (c−1)/c.
///
/// Reference: Aitchison & Aitken, *Multivariate binary discrimination by the kernel method* (1976).
pub type AitchisonAitken = Separable<CategoryShares>;

/// Terms γᵢ \[x ≠ y\], f = e^(−·).
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatches {
    gamma: LengthScale,
}
/// Terms \[x = y\], f = their mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches;
/// Terms 1−λ or λ/(c−1).
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryShares {
    lambda: f64,
    categories: u32,
}

impl Hamming {
    /// The kernel with this `gamma` > 0: one number, or one a feature.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a value is not finite and positive.
    pub fn new(gamma: impl Into<LengthScale>) -> Result<Self, Error> {
        Ok(Self(Mismatches { gamma: valid_gammas(gamma.into())? }))
    }
}

/// Validated under their own name.
fn valid_gammas(gamma: LengthScale) -> Result<LengthScale, Error> {
    for &value in gamma.values() {
        positive("gamma", value)?;
    }
    gamma.validated()
}

impl Overlap {
    /// The kernel; it has no parameters.
    pub fn new() -> Self {
        Self(Matches)
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self::new()
    }
}

impl AitchisonAitken {
    /// The kernel with share `lambda` of all other categories, of which there are `categories` − 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `categories` is below 2 or `lambda` outside \[0, 1 − 1/c\].
    pub fn new(lambda: f64, categories: u32) -> Result<Self, Error> {
        if categories < 2 {
            let value = f64::from(categories);
            return Err(Error::Parameter { name: "categories".into(), value, expected: "2 or above" });
        }
        Ok(Self(CategoryShares { lambda: valid_lambda(lambda, categories)?, categories }))
    }
}

fn valid_lambda(value: f64, categories: u32) -> Result<f64, Error> {
    // One ulp more, so that 1 − 1/c may be written as a decimal.
    if (0.0..=(1.0 - 1.0 / f64::from(categories)) * (1.0 + f64::EPSILON)).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Parameter { name: "lambda".into(), value, expected: "from 0 to 1 - 1/categories" })
    }
}

impl PositiveDefinite for Hamming {}
impl PositiveDefinite for Overlap {}
impl PositiveDefinite for AitchisonAitken {}

/// `equal` where the values are equal, `different` elsewhere, NaN for NaN.
#[inline(always)]
fn select<V: Vector>(x: V, y: V, equal: f64, different: f64) -> V {
    let (difference, zero) = (x - y, V::splat(0.0));
    let value = zero.select_lt(difference.abs(), V::splat(different), V::splat(equal));
    difference.mul_add(zero, value)
}

fn is_different(x: f64, y: f64) -> bool {
    (x - y).abs() > 0.0
}

impl Coordinate for Mismatches {
    const PRODUCT: bool = false;

    #[inline(always)]
    fn term<V: Vector>(&self, feature: usize, x: V, y: V) -> V {
        select(x, y, 0.0, self.gamma.of(feature))
    }
    #[inline(always)]
    fn finish<V: Vector>(&self, total: V) -> V {
        (-total).exp()
    }
    fn finish_derivatives(&self, total: f64) -> [f64; 2] {
        [-(-total).exp(), (-total).exp()]
    }
    fn term_slope(&self, param: usize, feature: usize, x: f64, y: f64) -> f64 {
        let own = self.gamma.values().len() == 1 || param == feature;
        if own && is_different(x, y) { 1.0 } else { 0.0 }
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
        Some(("hamming", vec![("gamma", self.gamma.argument())]))
    }
}

impl Coordinate for Matches {
    const PRODUCT: bool = false;
    const MEAN: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        select(x, y, 1.0, 0.0)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("overlap", vec![]))
    }
}

impl Coordinate for CategoryShares {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
        select(x, y, 1.0 - self.lambda, self.lambda / f64::from(self.categories - 1))
    }
    fn term_slope(&self, _: usize, _: usize, x: f64, y: f64) -> f64 {
        if is_different(x, y) { 1.0 / f64::from(self.categories - 1) } else { -1.0 }
    }
    fn params(&self) -> Vec<Param> {
        let bounds = (0.0, 1.0 - 1.0 / f64::from(self.categories));
        let transform = crate::Transform::Identity;
        vec![Param { bounds, transform, ..Param::positive("lambda", self.lambda) }]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.lambda = valid_lambda(values[0], self.categories)?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        let categories = f64::from(self.categories).into();
        Some(("aitchison_aitken", vec![("lambda", self.lambda.into()), ("categories", categories)]))
    }
}
