//! Stationary products over the features: ∏ g((xᵢ − yᵢ)/ℓᵢ).

use std::f64::consts::PI;

use super::{Coordinate, Separable};
use crate::{
    Error, LengthScale, Param, PositiveDefinite, Value, Vector,
    describe::{expect_count, positive},
};

/// The function g of a [`Tensor`] kernel: even, g(0) = 1.
pub trait Shape: Clone + Send + Sync + 'static {
    /// Name in the text form.
    const NAME: &'static str;

    /// g(t). Mark implementations `#[inline(always)]`.
    fn value<V: Vector>(&self, t: V) -> V;

    /// g, g′ and g″; 0 for a derivative that does not exist.
    fn derivatives(&self, t: f64) -> [f64; 3];

    /// ∂g/∂p for parameter `param`.
    fn slope(&self, param: usize, t: f64) -> f64 {
        let _ = (param, t);
        0.0
    }

    /// Parameters besides the length scale.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Sets them.
    ///
    /// # Errors
    /// As [`Describe::set_params`](crate::Describe::set_params).
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(0, values.len())
    }

    /// Arguments in the text form.
    fn arguments(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

/// Terms g((xᵢ − yᵢ)/ℓᵢ), multiplied.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<S> {
    shape: S,
    length_scale: LengthScale,
}

impl<S: Shape> Tensor<S> {
    /// The shape g.
    pub fn shape(&self) -> &S {
        &self.shape
    }

    /// The length scale.
    pub fn length_scale(&self) -> &LengthScale {
        &self.length_scale
    }
}

/// Sinc kernel ∏ sin(πt)/(πt), t = (xᵢ−yᵢ)/ℓᵢ: functions without frequencies above 1/(2ℓ).
///
/// ```
/// use kernels_core::{Kernel, Sinc};
/// let k = Sinc::new(2.0)?;
/// assert!((k.eval(&[0.0], &[1.0]) - 2.0 / std::f64::consts::PI).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Sinc = Separable<Tensor<SincShape>>;

/// Hyperbolic secant kernel ∏ sech((xᵢ−yᵢ)/ℓᵢ).
pub type Sech = Separable<Tensor<SechShape>>;

/// Logistic kernel ∏ sech²((xᵢ−yᵢ)/(2ℓᵢ)), the density of a logistic variable scaled to 1 at 0.
pub type Logistic = Separable<Tensor<LogisticShape>>;

/// Generalised Gaussian ∏ exp(−|(xᵢ−yᵢ)/ℓᵢ|^β), 0 < β ≤ 2; of the Euclidean distance it is [`GammaExponential`](crate::GammaExponential).
pub type GeneralizedGaussian = Separable<Tensor<GeneralizedGaussianShape>>;

/// Product of Cauchy kernels ∏ 1/(1 + ((xᵢ−yᵢ)/ℓᵢ)²); of the Euclidean distance it is [`Cauchy`](crate::Cauchy).
pub type CauchyProduct = Separable<Tensor<CauchyShape>>;

/// g = sin(πt)/(πt).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SincShape;
/// g = 1/cosh t.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SechShape;
/// g = 1/cosh²(t/2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogisticShape;
/// g = 1/(1+t²).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CauchyShape;
/// g = e^(−|t|^β).
#[derive(Clone, Debug, PartialEq)]
pub struct GeneralizedGaussianShape {
    beta: f64,
}

macro_rules! plain {
    ($($kernel:ident = $shape:ident;)*) => {$(
        impl $kernel {
            /// The kernel with this length scale: one number, or one a feature.
            ///
            /// # Errors
            /// [`Error::Parameter`] when a length scale is not finite and positive.
            pub fn new(length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
                Ok(Self(Tensor { shape: $shape, length_scale: length_scale.into().validated()? }))
            }
        }
    )*};
}

plain! {
    Sinc = SincShape;
    Sech = SechShape;
    Logistic = LogisticShape;
    CauchyProduct = CauchyShape;
}

impl GeneralizedGaussian {
    /// The kernel with exponent 0 < `beta` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn new(beta: f64, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        let shape = GeneralizedGaussianShape { beta: valid_beta(beta)? };
        Ok(Self(Tensor { shape, length_scale: length_scale.into().validated()? }))
    }
}

fn valid_beta(beta: f64) -> Result<f64, Error> {
    if beta <= 2.0 {
        positive("beta", beta)
    } else {
        Err(Error::Parameter { name: "beta".into(), value: beta, expected: "above 0, at most 2" })
    }
}

impl<S: Shape> PositiveDefinite for Separable<Tensor<S>> {}

impl Shape for SincShape {
    const NAME: &'static str = "sinc";

    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        let (size, zero) = (t.abs(), V::splat(0.0));
        let value = size.sin_cos_pi().0 / (size * V::splat(PI));
        zero.select_lt(size, value, V::splat(1.0) + zero * t)
    }
    fn derivatives(&self, t: f64) -> [f64; 3] {
        let u = PI * t;
        let s = u * u;
        // In units of u; near 0 the Taylor series, elsewhere the closed form, whose cancellation costs 1/u² then.
        let [value, slope, second] = if u.abs() < 0.5 {
            let (mut value, mut slope, mut second, mut term) = (1.0, 0.0, 0.0, 1.0);
            // Coefficient of u^(2k): (−1)ᵏ/(2k+1)!; terms of the derivatives are 2k and 2k(2k−1) times that.
            for k in 1..12 {
                let n = f64::from(2 * k);
                term /= -n * (n + 1.0);
                let power = s.powi(k - 1);
                value += term * power * s;
                slope += term * n * power * u;
                second += term * n * (n - 1.0) * power;
            }
            [value, slope, second]
        } else {
            let (sine, cosine) = (PI * (t - 2.0 * (0.5 * t).round())).sin_cos();
            let value = sine / u;
            let slope = (cosine - value) / u;
            [value, slope, -value - 2.0 * slope / u]
        };
        [value, PI * slope, PI * PI * second]
    }
}

impl Shape for SechShape {
    const NAME: &'static str = "sech";

    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        let decay = (-t.abs()).exp();
        (decay + decay) / decay.mul_add(decay, V::splat(1.0))
    }
    fn derivatives(&self, t: f64) -> [f64; 3] {
        let (value, tanh) = (1.0 / t.cosh(), t.tanh());
        [value, -value * tanh, value * (tanh * tanh - value * value)]
    }
}

impl Shape for LogisticShape {
    const NAME: &'static str = "logistic";

    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        let decay = (-t.abs()).exp();
        let sum = V::splat(1.0) + decay;
        (decay * V::splat(4.0)) / (sum * sum)
    }
    fn derivatives(&self, t: f64) -> [f64; 3] {
        let (root, tanh) = (1.0 / (0.5 * t).cosh(), (0.5 * t).tanh());
        let value = root * root;
        [value, -value * tanh, value * (tanh * tanh - 0.5 * value)]
    }
}

impl Shape for CauchyShape {
    const NAME: &'static str = "cauchy_product";

    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        V::splat(1.0) / t.mul_add(t, V::splat(1.0))
    }
    fn derivatives(&self, t: f64) -> [f64; 3] {
        let value = 1.0 / (1.0 + t * t);
        let slope = -2.0 * t * value * value;
        [value, slope, -2.0 * value * value - 4.0 * t * slope * value]
    }
}

impl Shape for GeneralizedGaussianShape {
    const NAME: &'static str = "generalized_gaussian";

    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        (-t.abs().powf(V::splat(self.beta))).exp()
    }
    fn derivatives(&self, t: f64) -> [f64; 3] {
        let (b, size) = (self.beta, t.abs());
        if size <= 0.0 {
            // −2 for β = 2, infinite or a kink below.
            return [1.0, 0.0, if b < 2.0 { 0.0 } else { -2.0 }];
        }
        let power = size.powf(b);
        let value = (-power).exp();
        [value, -b * power / t * value, b * power / size / size * (b * power - b + 1.0) * value]
    }
    fn slope(&self, _: usize, t: f64) -> f64 {
        let size = t.abs();
        if size <= 0.0 {
            return 0.0;
        }
        let power = size.powf(self.beta);
        -power * size.ln() * (-power).exp()
    }
    fn params(&self) -> Vec<Param> {
        vec![Param { bounds: (1e-2, 2.0), ..Param::positive("beta", self.beta) }]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.beta = valid_beta(values[0])?;
        Ok(())
    }
    fn arguments(&self) -> Vec<(&'static str, Value)> {
        vec![("beta", self.beta.into())]
    }
}

impl<S: Shape> Coordinate for Tensor<S> {
    const PRODUCT: bool = true;

    #[inline(always)]
    fn term<V: Vector>(&self, feature: usize, x: V, y: V) -> V {
        self.shape.value((x - y) * V::splat(1.0 / self.length_scale.of(feature)))
    }
    fn derivatives(&self, feature: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        let length = self.length_scale.of(feature);
        let [_, slope, second] = self.shape.derivatives((x - y) / length);
        let (first, second) = (slope / length, second / (length * length));
        Some([first, -first, second, -second])
    }
    fn term_slope(&self, param: usize, feature: usize, x: f64, y: f64) -> f64 {
        let (length, shape) = (self.length_scale.of(feature), self.shape.params().len());
        let t = (x - y) / length;
        if param < shape {
            self.shape.slope(param, t)
        } else if self.length_scale.values().len() == 1 || param - shape == feature {
            -self.shape.derivatives(t)[1] * t / length
        } else {
            0.0
        }
    }
    fn params(&self) -> Vec<Param> {
        let mut params = self.shape.params();
        params.extend(self.length_scale.params());
        params
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.params().len(), values.len())?;
        let (shape, lengths) = values.split_at(self.shape.params().len());
        let lengths = self.length_scale.with_values(lengths)?;
        self.shape.set_params(shape)?;
        self.length_scale = lengths;
        Ok(())
    }
    fn check_dim(&self, dim: usize) -> Result<(), Error> {
        self.length_scale.check(dim)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        let mut arguments = self.shape.arguments();
        arguments.push(("length_scale", self.length_scale.argument()));
        Some((S::NAME, arguments))
    }
}
