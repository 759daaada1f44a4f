//! Spectral densities of stationary kernels in closed form, further samplers, and the kernels of powers of a density.

use std::f64::consts::{FRAC_PI_2, LN_2, PI};

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1, StandardNormal};

use crate::{
    AnyKernel, BSpline, Cauchy, CauchyProduct, Describe, Error, Exponential, Expr, GammaExponential,
    GeneralizedGaussian, InverseMultiquadric, Laplacian, LengthScale, Logistic, Matern, RationalQuadratic,
    Rbf, Scaled, Sech, Sinc, Spectral, Value, bessel::scaled_k,
};

/// A kernel of x − y with a spectral density p in closed form: k(δ) = ∫ p(ω) e^(iω·δ) dω over ℝᵈ, ∫ p = k(0).
///
/// ```
/// use kernels_core::{Rbf, SpectralDensity};
/// let p = Rbf::new(2.0)?.density(&[0.0]);
/// assert!((p - 2.0 / (2.0 * std::f64::consts::PI).sqrt()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub trait SpectralDensity {
    /// p(ω) at an angular frequency of d values; ∞ where it is, NaN for another number of length scales than d.
    fn density(&self, frequency: &[f64]) -> f64;
}

/// A kernel whose square root is known: k(x, y) = ∫ r(x, z) r(z, y) dz over ℝᵈ, r with the root of the density, as kernel thinning
/// needs it.
///
/// Reference: Dwivedi & Mackey, *Kernel thinning* (2021), table 1.
pub trait SquareRoot {
    /// What the root is a multiple of.
    type Root;

    /// r on points of `dim` features.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it does not exist in this dimension: Matérn needs ν > d/2, a B-spline an even
    /// order of at least 4.
    ///
    /// ```
    /// use kernels_core::{Kernel, Rbf, SquareRoot};
    /// let root = Rbf::new(1.0)?.square_root(1)?;
    /// let at = |i: i32| f64::from(i) * 0.01;
    /// let sum: f64 = (-1000..=1000).map(|i| root.eval(&[0.0], &[at(i)]) * root.eval(&[at(i)], &[0.5]) * 0.01).sum();
    /// assert!((sum - (-0.125_f64).exp()).abs() < 1e-12);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    fn square_root(&self, dim: usize) -> Result<Scaled<Self::Root>, Error>;

    /// The kernel, 1 at 0, whose density is proportional to the density of this one to the power `alpha` > 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there is none: Matérn needs αν + (α−1)d/2 > 0, a B-spline αn to be an order.
    ///
    /// Reference: Dwivedi & Mackey, *Generalized kernel thinning* (2022), table 2.
    fn spectral_power(&self, alpha: f64, dim: usize) -> Result<Self::Root, Error>;
}

/// The square root of a dynamic kernel on points of `dim` features: of an `rbf`, `matern`, `exponential`, `sinc` or
/// `bspline`, also scaled.
///
/// # Errors
/// [`Error::NoSquareRoot`] for other kernels, and what [`SquareRoot::square_root`] says.
///
/// ```
/// use kernels_core::{AnyKernel, square_root};
/// let root = square_root(&"4 * rbf(length_scale=1)".parse::<AnyKernel<f64>>()?, 2)?;
/// assert!(root.to_string().contains("rbf(length_scale=0.70710678"));
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn square_root(kernel: &AnyKernel<f64>, dim: usize) -> Result<AnyKernel<f64>, Error> {
    rooted(&kernel.expression().ok_or(Error::NoSquareRoot)?, &|family| {
        Ok(match family {
            Family::Rbf(k) => AnyKernel::new(k.square_root(dim)?),
            Family::Matern(k) => AnyKernel::new(k.square_root(dim)?),
            Family::Sinc(k) => AnyKernel::new(k.square_root(dim)?),
            Family::BSpline(k) => AnyKernel::new(k.square_root(dim)?),
        })
    })
}

/// The kernel of a power of the density of a dynamic kernel, as [`SquareRoot::spectral_power`].
///
/// # Errors
/// As [`square_root`].
pub fn spectral_power(kernel: &AnyKernel<f64>, alpha: f64, dim: usize) -> Result<AnyKernel<f64>, Error> {
    rooted(&kernel.expression().ok_or(Error::NoSquareRoot)?, &|family| {
        Ok(match family {
            Family::Rbf(k) => AnyKernel::new(k.spectral_power(alpha, dim)?),
            Family::Matern(k) => AnyKernel::new(k.spectral_power(alpha, dim)?),
            Family::Sinc(k) => AnyKernel::new(k.spectral_power(alpha, dim)?),
            Family::BSpline(k) => AnyKernel::new(k.spectral_power(alpha, dim)?),
        })
    })
}

enum Family {
    Rbf(Rbf),
    Matern(Matern),
    Sinc(Sinc),
    BSpline(BSpline),
}

fn rooted(
    expr: &Expr,
    of: &dyn Fn(Family) -> Result<AnyKernel<f64>, Error>,
) -> Result<AnyKernel<f64>, Error> {
    let call = match expr {
        Expr::Scaled(scale, inner) => {
            return Ok(AnyKernel::new(Scaled::new(scale.sqrt(), rooted(inner, of)?)));
        }
        Expr::Call(call) => call,
        _ => return Err(Error::NoSquareRoot),
    };
    let argument = |name: &str| call.arguments.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let length: LengthScale = match argument("length_scale") {
        Some(Value::Number(l)) => (*l).into(),
        Some(Value::List(items)) => {
            let values = items.iter().filter_map(|item| match item {
                Value::Number(l) => Some(*l),
                _ => None,
            });
            values.collect::<Vec<f64>>().into()
        }
        _ => 1.0.into(),
    };
    let number = |name: &str, default: f64| match argument(name) {
        Some(Value::Number(value)) => *value,
        _ => default,
    };
    of(match call.name.as_str() {
        "rbf" => Family::Rbf(Rbf::new(length)?),
        "matern" => Family::Matern(Matern::new(number("nu", 2.5), length)?),
        "exponential" => Family::Matern(Matern::new(0.5, length)?),
        "sinc" => Family::Sinc(Sinc::new(length)?),
        "bspline" => {
            let kernel = BSpline::new(number("order", 4.0) as usize, length)?;
            Family::BSpline(kernel.with_peak(number("peak", 1.0))?)
        }
        _ => return Err(Error::NoSquareRoot),
    })
}

/// ∏ℓᵢ over the features.
fn volume(length_scale: &LengthScale, dim: usize) -> f64 {
    (0..dim).map(|i| length_scale.of(i)).product()
}

fn valid_alpha(value: f64) -> Result<f64, Error> {
    crate::describe::positive("alpha", value)
}

impl SquareRoot for Rbf {
    type Root = Self;

    fn square_root(&self, dim: usize) -> Result<Scaled<Self>, Error> {
        self.length_scale().check(dim)?;
        // In units of the length scale: (2/π)^(d/4) e^(−r²).
        let scale = (2.0 / PI).powf(0.25 * dim as f64) / volume(self.length_scale(), dim).sqrt();
        Ok(Scaled::new(scale, Self::new(self.length_scale().scaled(0.5_f64.sqrt()))?))
    }

    fn spectral_power(&self, alpha: f64, _: usize) -> Result<Self, Error> {
        Self::new(self.length_scale().scaled(valid_alpha(alpha)?.sqrt()))
    }
}

/// ln Γ(ν + d/2) − ln Γ(ν) + 2ν ln γ − d/2 ln π, γ = √(2ν₀): the density's constant in units of the length scale.
fn ln_constant(nu: f64, nu0: f64, dim: usize) -> f64 {
    let half = 0.5 * dim as f64;
    libm::lgamma(nu + half) - libm::lgamma(nu) + nu * (2.0 * nu0).ln() - half * PI.ln()
}

impl Matern {
    /// The kernel of another smoothness with the same rate √(2ν)/ℓ.
    fn with_same_rate(&self, nu: f64) -> Result<Self, Error> {
        Self::new(nu, self.length_scale().scaled((nu / self.profile().nu()).sqrt()))
    }
}

impl SquareRoot for Matern {
    type Root = Self;

    fn square_root(&self, dim: usize) -> Result<Scaled<Self>, Error> {
        self.length_scale().check(dim)?;
        let nu = self.profile().nu();
        let root = 0.5 * nu - 0.25 * dim as f64;
        if root <= 0.0 {
            let expected = "a smoothness above half the number of features, for a square root";
            return Err(Error::Parameter { name: "nu".into(), value: nu, expected });
        }
        let exponent =
            0.5 * ln_constant(nu, nu, dim) - 0.5 * dim as f64 * (2.0 * PI).ln() - ln_constant(root, nu, dim);
        let scale = exponent.exp() / volume(self.length_scale(), dim).sqrt();
        Ok(Scaled::new(scale, self.with_same_rate(root)?))
    }

    fn spectral_power(&self, alpha: f64, dim: usize) -> Result<Self, Error> {
        let nu = self.profile().nu();
        let power = valid_alpha(alpha)? * nu + (alpha - 1.0) * 0.5 * dim as f64;
        if power > 0.0 {
            self.with_same_rate(power)
        } else {
            let expected = "large enough for alpha nu + (alpha - 1) d/2 > 0";
            Err(Error::Parameter { name: "alpha".into(), value: alpha, expected })
        }
    }
}

impl SquareRoot for Sinc {
    type Root = Self;

    fn square_root(&self, dim: usize) -> Result<Scaled<Self>, Error> {
        let length_scale = self.0.length_scale();
        length_scale.check(dim)?;
        // The density is constant where it is not 0: all its powers are multiples of it.
        Ok(Scaled::new(1.0 / volume(length_scale, dim).sqrt(), self.clone()))
    }

    fn spectral_power(&self, alpha: f64, _: usize) -> Result<Self, Error> {
        valid_alpha(alpha)?;
        Ok(self.clone())
    }
}

impl SquareRoot for BSpline {
    type Root = Self;

    /// Of an order of 4 or more that is even, half of it: a spline convolved with itself has twice the order.
    fn square_root(&self, dim: usize) -> Result<Scaled<Self>, Error> {
        let root = self.with_order(0.5)?;
        self.length_scale().check(dim)?;
        let factor = self.peak() * root.center().powi(2) / self.center();
        let squared = factor.powi(dim as i32) / volume(self.length_scale(), dim);
        Ok(Scaled::new(squared.sqrt(), root))
    }

    fn spectral_power(&self, alpha: f64, _: usize) -> Result<Self, Error> {
        self.with_order(valid_alpha(alpha)?)
    }
}

/// Density of radial kernels from that at unit length scale, a function of ‖ω‖ and d.
fn radial(length_scale: &LengthScale, frequency: &[f64], unit: impl Fn(f64, f64) -> f64) -> f64 {
    let squares = frequency.iter().enumerate().map(|(i, w)| (w * length_scale.of(i)).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    volume(length_scale, frequency.len()) * unit(norm, frequency.len() as f64)
}

/// Density of products over the features from that of one at unit length scale.
fn product(length_scale: &LengthScale, frequency: &[f64], unit: impl Fn(f64) -> f64) -> f64 {
    let terms = frequency.iter().enumerate().map(|(i, w)| {
        let l = length_scale.of(i);
        l * unit(w * l)
    });
    terms.product()
}

/// The density of (1 + s/(2b))^(−α) b-scaled: frequencies N(0, τI) with τ ~ Gamma(α, rate b).
fn gamma_mixture(alpha: f64, b: f64, w: f64, d: f64) -> f64 {
    let nu = alpha - 0.5 * d;
    let front = LN_2 + alpha * b.ln() - libm::lgamma(alpha) - 0.5 * d * (2.0 * PI).ln();
    let z = w * (2.0 * b).sqrt();
    if z > 0.0 {
        let power = nu * (w / (2.0 * b).sqrt()).ln();
        return (front + power - z).exp() * scaled_k(nu.abs(), z);
    }
    if nu > 0.0 {
        // (z/2b)^ν K_ν(z) → (2b)^(−ν) 2^(ν−1) Γ(ν).
        (front - nu * (2.0 * b).ln() + (nu - 1.0) * LN_2 + libm::lgamma(nu)).exp()
    } else {
        f64::INFINITY
    }
}

fn matern_density(nu: f64, w: f64, d: f64) -> f64 {
    let front = libm::lgamma(nu + 0.5 * d) - libm::lgamma(nu) - 0.5 * d * (2.0 * nu * PI).ln();
    (front - (nu + 0.5 * d) * (w * w / (2.0 * nu)).ln_1p()).exp()
}

macro_rules! densities {
    ($($kernel:ty, |$k:ident, $frequency:ident| $density:expr;)*) => {$(
        impl SpectralDensity for $kernel {
            fn density(&self, $frequency: &[f64]) -> f64 {
                let $k = self;
                $density
            }
        }
    )*};
}

densities! {
    Rbf, |k, f| radial(k.length_scale(), f, |w, d| (-0.5 * w * w - 0.5 * d * (2.0 * PI).ln()).exp());
    Matern, |k, f| radial(k.length_scale(), f, |w, d| matern_density(k.profile().nu(), w, d));
    Exponential, |k, f| radial(k.length_scale(), f, |w, d| matern_density(0.5, w, d));
    RationalQuadratic, |k, f| {
        let alpha = k.profile().alpha();
        radial(k.length_scale(), f, |w, d| gamma_mixture(alpha, alpha, w, d))
    };
    Cauchy, |k, f| radial(k.length_scale(), f, |w, d| gamma_mixture(1.0, 0.5, w, d));
    InverseMultiquadric, |k, f| {
        let (c, beta) = k.profile().shape();
        radial(&1.0.into(), f, |w, d| c.powf(-2.0 * beta) * gamma_mixture(beta, 0.5 * c * c, w, d))
    };
    Laplacian, |k, f| product(k.length_scale(), f, |w| 1.0 / (PI * (1.0 + w * w)));
    CauchyProduct, |k, f| product(k.0.length_scale(), f, |w| 0.5 * (-w.abs()).exp());
    Sinc, |k, f| product(k.0.length_scale(), f, |w| if w.abs() <= PI { 0.5 / PI } else { 0.0 * w });
    Sech, |k, f| product(k.0.length_scale(), f, |w| 0.5 / (FRAC_PI_2 * w).cosh());
    Logistic, |k, f| product(k.0.length_scale(), f, |w| {
        let u = PI * w;
        if u.abs() < 1e-8 { 2.0 / PI } else { 2.0 * w / u.sinh() }
    });
}

/// `Spectral` of products over the features, by a draw for one at unit length scale.
macro_rules! samplers {
    ($($kernel:ty, |$k:ident, $rng:ident| $draw:expr;)*) => {$(
        impl Spectral for $kernel {
            fn draw(&self, frequency: &mut [f64], $rng: &mut dyn Rng) {
                let $k = self;
                for value in frequency {
                    *value = $draw;
                }
            }
            fn scale(&self) -> &LengthScale {
                self.0.length_scale()
            }
        }
    )*};
}

/// Uniform on (0, 1), never 0.
fn uniform(rng: &mut dyn Rng) -> f64 {
    (rng.random::<f64>() * (1.0 - f64::EPSILON)).max(f64::MIN_POSITIVE)
}

/// Of density ½ sech(πω/2).
fn hyperbolic_secant(rng: &mut dyn Rng) -> f64 {
    (FRAC_PI_2 * uniform(rng)).tan().ln() / FRAC_PI_2
}

samplers! {
    Sinc, |_k, rng| PI * (2.0 * uniform(rng) - 1.0);
    Sech, |_k, rng| hyperbolic_secant(rng);
    // sech²(t/2) is a product of two kernels: a sum of two draws of half the scale.
    Logistic, |_k, rng| 0.5 * (hyperbolic_secant(rng) + hyperbolic_secant(rng));
    CauchyProduct, |_k, rng| {
        let size: f64 = Exp1.sample(rng);
        if uniform(rng) < 0.5 { -size } else { size }
    };
    // A symmetric stable variable by the method of Chambers, Mallows and Stuck (1976).
    GeneralizedGaussian, |k, rng| {
        let (a, v) = (k.0.shape().beta(), PI * (uniform(rng) - 0.5));
        let w: f64 = Exp1.sample(rng);
        (a * v).sin() / v.cos().powf(1.0 / a) * (((1.0 - a) * v).cos() / w).powf((1.0 - a) / a)
    };
}

impl Spectral for GammaExponential {
    /// √(2A) N(0, I) with A positive and γ/2-stable, E e^(−sA) = e^(−s^(γ/2)), by Kanter's method (1975).
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng) {
        let (a, u) = (0.5 * self.profile().gamma(), PI * uniform(rng));
        let w: f64 = Exp1.sample(rng);
        let stable = (a * u).sin() / u.sin().powf(1.0 / a) * (((1.0 - a) * u).sin() / w).powf((1.0 - a) / a);
        for value in frequency {
            let normal: f64 = StandardNormal.sample(rng);
            *value = (2.0 * stable).sqrt() * normal;
        }
    }
    fn scale(&self) -> &LengthScale {
        self.length_scale()
    }
}
