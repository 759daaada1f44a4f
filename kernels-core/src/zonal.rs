//! Kernels of the inner product given by their coefficients: Taylor series, and Gegenbauer series on the sphere.

use crate::{
    DotProduct, Error, Param, PositiveDefinite, Profile, Value, Vector,
    describe::{expect_count, non_negative, positive},
};

/// k(x, y) = Σₙ aₙ ⟨x, y⟩ⁿ with aₙ ≥ 0: positive definite in every dimension, and on all spheres at once only such series are
/// (Schoenberg).
///
/// ```
/// use kernels_core::{Kernel, Taylor};
/// let k = Taylor::new([1.0, 0.0, 0.5])?;
/// assert_eq!(k.eval(&[1.0, 1.0], &[1.0, 2.0]), 5.5);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Taylor = DotProduct<TaylorProfile>;

/// Exponential of the inner product e^(⟨x, y⟩/ℓ²): softmax attention's kernel.
pub type ExponentialDot = DotProduct<ExponentialDotProfile>;

/// k(x, y) = Σₗ λₗ N(l, d) Pₗ(⟨x, y⟩) for points of the unit sphere of ℝᵈ, λₗ ≥ 0: Pₗ is the Gegenbauer polynomial of the sphere with
/// Pₗ(1) = 1, N(l, d) the number of spherical harmonics of degree l, λₗ the eigenvalue for the uniform distribution.
///
/// Inner products are clipped to \[−1, 1\]; for points off the sphere use it in [`Warped`](crate::Warped) with
/// [`Transformation::Unit`](crate::Transformation::Unit).
///
/// ```
/// use kernels_core::{Gegenbauer, Kernel, gegenbauer_eigenvalues};
/// let k = Gegenbauer::new(3, gegenbauer_eigenvalues(f64::exp, 3, 20)?)?;
/// let (x, y) = ([1.0, 0.0, 0.0], [0.6, 0.8, 0.0]);
/// assert!((k.eval(&x, &y) - 0.6_f64.exp()).abs() < 1e-13);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Gegenbauer = DotProduct<GegenbauerProfile>;

/// φ(t) = Σ aₙtⁿ.
#[derive(Clone, Debug, PartialEq)]
pub struct TaylorProfile {
    coefficients: Vec<f64>,
}

/// φ(t) = e^(t/ℓ²).
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialDotProfile {
    length_scale: f64,
}

/// φ(t) = Σ λₗ N(l, d) Pₗ(t).
#[derive(Clone, Debug, PartialEq)]
pub struct GegenbauerProfile {
    dim: u32,
    eigenvalues: Vec<f64>,
    /// N(l, d) of every degree.
    counts: Vec<f64>,
}

impl PositiveDefinite for Taylor {}
impl PositiveDefinite for ExponentialDot {}
impl PositiveDefinite for Gegenbauer {}

impl Taylor {
    /// The series with these coefficients, from the constant up.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a coefficient that is negative or not finite, [`Error::Shape`] for none.
    pub fn new(coefficients: impl Into<Vec<f64>>) -> Result<Self, Error> {
        Ok(Self(TaylorProfile { coefficients: valid("coefficients", coefficients.into())? }))
    }
}

impl ExponentialDot {
    /// e^(⟨x, y⟩/`length_scale`²).
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not finite and positive.
    pub fn new(length_scale: f64) -> Result<Self, Error> {
        Ok(Self(ExponentialDotProfile { length_scale: positive("length_scale", length_scale)? }))
    }
}

impl Gegenbauer {
    /// The kernel on the unit sphere of ℝ^`dim`, `dim` ≥ 2, with these eigenvalues, from degree 0 up.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a dimension below 2 or an eigenvalue that is negative or not finite, [`Error::Shape`] for none.
    pub fn new(dim: u32, eigenvalues: impl Into<Vec<f64>>) -> Result<Self, Error> {
        let eigenvalues = valid("eigenvalues", eigenvalues.into())?;
        let dim = sphere(dim)?;
        let counts = (0..eigenvalues.len()).map(|l| spherical_harmonics(l, dim)).collect();
        Ok(Self(GegenbauerProfile { dim, eigenvalues, counts }))
    }
}

fn valid(name: &str, values: Vec<f64>) -> Result<Vec<f64>, Error> {
    for &value in &values {
        non_negative(name, value)?;
    }
    if values.is_empty() {
        return Err(Error::Shape { what: "number of coefficients (at least)", expected: 1, given: 0 });
    }
    Ok(values)
}

fn sphere(dim: u32) -> Result<u32, Error> {
    if dim >= 2 {
        Ok(dim)
    } else {
        Err(Error::Parameter { name: "dim".into(), value: f64::from(dim), expected: "2 or above" })
    }
}

/// N(l, d): how many spherical harmonics of degree l there are on the sphere of ℝᵈ, d ≥ 2.
///
/// ```
/// assert_eq!(kernels_core::spherical_harmonics(2, 3), 5.0);
/// ```
pub fn spherical_harmonics(degree: usize, dim: u32) -> f64 {
    // N(l) = C(l+d−1, l) − C(l+d−3, l−2), in products that stay exact for small numbers.
    let (l, d) = (degree as f64, f64::from(dim));
    if degree == 0 {
        return 1.0;
    }
    if dim == 2 {
        return 2.0;
    }
    // (2l+d−2)/l · C(l+d−3, l−1)
    let choose = (1..degree).fold(1.0, |c, i| c * (d - 2.0 + i as f64) / i as f64);
    ((2.0 * l + d - 2.0) / l * choose).round()
}

/// Eigenvalues λ₀, …, λ_{count−1} of the kernel f(⟨x, y⟩) on the unit sphere of ℝ^`dim` for the uniform distribution (Funk–Hecke):
/// λₗ = c ∫ f(t) Pₗ(t) (1−t²)^((d−3)/2) dt with c ∫ (1−t²)^((d−3)/2) dt = 1.
///
/// By the trapezoid rule in the angle θ, t = cos θ, with 4096 steps: exact to rounding for analytic f, and to about 10⁻⁷ where f has a
/// kink. Negative eigenvalues show that f(⟨x, y⟩) is not positive definite there.
///
/// # Errors
/// [`Error::Parameter`] for a dimension below 2.
pub fn gegenbauer_eigenvalues(f: impl Fn(f64) -> f64, dim: u32, count: usize) -> Result<Vec<f64>, Error> {
    sphere(dim)?;
    const STEPS: usize = 4096;
    let mut sums = vec![0.0; count];
    let mut mass = 0.0;
    // Gauss–Legendre on pieces in θ would need tables; the tanh substitution makes any end point harmless.
    for i in -(STEPS as i64)..=STEPS as i64 {
        let u = i as f64 * (3.2 / STEPS as f64);
        let e = std::f64::consts::FRAC_PI_2 * u.sinh();
        // θ = π/2 (1 + tanh e), dθ = π/2 sech²(e) π/2 cosh u du.
        let theta = std::f64::consts::FRAC_PI_2 * (1.0 + e.tanh());
        let step = u.cosh() / e.cosh().powi(2);
        let weight = step * theta.sin().abs().powi(dim.cast_signed() - 2);
        mass += weight;
        let t = theta.cos();
        let value = f(t) * weight;
        let (mut low, mut high) = (1.0, t);
        for (l, sum) in sums.iter_mut().enumerate() {
            *sum += value * low;
            (low, high) = (high, next_polynomial(l as f64 + 1.0, f64::from(dim), t, low, high));
        }
    }
    Ok(sums.into_iter().map(|s| s / mass).collect())
}

/// P_{l+1} of Pₗ₋₁ and Pₗ.
fn next_polynomial(l: f64, dim: f64, t: f64, low: f64, high: f64) -> f64 {
    ((2.0 * l + dim - 2.0) * t * high - l * low) / (l + dim - 2.0)
}

/// Horner's rule for the derivative of order 0, 1 or 2.
#[inline(always)]
fn series<V: Vector>(c: &[f64], derivative: usize, t: V) -> V {
    let mut sum = V::splat(0.0);
    for (n, &c) in c.iter().enumerate().skip(derivative).rev() {
        let falling = (0..derivative).fold(1.0, |product, k| product * (n - k) as f64);
        sum = sum.mul_add(t, V::splat(c * falling));
    }
    sum
}

fn coefficient_params(name: &str, values: &[f64]) -> Vec<Param> {
    let param = |(i, &value): (usize, &f64)| Param {
        bounds: (0.0, 1e5),
        transform: crate::Transform::Identity,
        ..Param::positive(format!("{name}[{i}]"), value)
    };
    values.iter().enumerate().map(param).collect()
}

impl Profile for TaylorProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        series(&self.coefficients, 0, t)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, t: V) -> V {
        series(&self.coefficients, 1, t)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, t: V) -> V {
        series(&self.coefficients, 2, t)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, t: V) -> V {
        let mut power = V::splat(1.0);
        for _ in 0..index {
            power = power * t;
        }
        power
    }
    fn params(&self) -> Vec<Param> {
        coefficient_params("coefficients", &self.coefficients)
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.coefficients.len(), values.len())?;
        self.coefficients = valid("coefficients", values.to_vec())?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("taylor", vec![("coefficients", self.coefficients.as_slice().into())]))
    }
}

impl ExponentialDotProfile {
    fn rate(&self) -> f64 {
        1.0 / (self.length_scale * self.length_scale)
    }
}

impl Profile for ExponentialDotProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        (t * V::splat(self.rate())).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, t: V) -> V {
        V::splat(self.rate()) * self.value(t)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, t: V) -> V {
        V::splat(self.rate() * self.rate()) * self.value(t)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, _: usize, t: V) -> V {
        V::splat(-2.0 / self.length_scale) * t * self.slope(t)
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("length_scale", self.length_scale)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.length_scale = positive("length_scale", values[0])?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("exponential_dot", vec![("length_scale", self.length_scale.into())]))
    }
}

impl GegenbauerProfile {
    /// Σ cₗ Pₗ⁽ᵏ⁾(t) for the derivative of order k ≤ 2, with cₗ = λₗN(l, d), or the single term `only` with cₗ = N(l, d).
    #[inline(always)]
    fn sum<V: Vector>(&self, t: V, order: usize, only: Option<usize>) -> V {
        let (one, zero) = (V::splat(1.0), V::splat(0.0));
        let clipped = V::splat(-1.0).max(one.min(t)) + t * zero;
        let t = clipped;
        let dim = f64::from(self.dim);
        // Pₗ with its derivatives, and those of l − 1.
        let (mut low, mut high) = ([one, zero, zero], [t, one, zero]);
        let mut sum = zero;
        for (l, (&eigenvalue, &count)) in self.eigenvalues.iter().zip(&self.counts).enumerate() {
            let weight = match only {
                None => eigenvalue,
                Some(only) if only == l => 1.0,
                Some(_) => 0.0,
            };
            sum = low[order].mul_add(V::splat(weight * count), sum);
            let m = l as f64 + 1.0;
            let (a, b) = ((2.0 * m + dim - 2.0) / (m + dim - 2.0), -m / (m + dim - 2.0));
            let (a, b) = (V::splat(a), V::splat(b));
            // (t P)′ = P + tP′, (t P)″ = 2P′ + tP″.
            let next = [
                a * (t * high[0]) + b * low[0],
                a * (high[0] + t * high[1]) + b * low[1],
                a * (high[1] + high[1] + t * high[2]) + b * low[2],
            ];
            (low, high) = (high, next);
        }
        sum
    }
}

impl Profile for GegenbauerProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        self.sum(t, 0, None)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, t: V) -> V {
        self.sum(t, 1, None)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, t: V) -> V {
        self.sum(t, 2, None)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, t: V) -> V {
        self.sum(t, 0, Some(index))
    }
    fn params(&self) -> Vec<Param> {
        coefficient_params("eigenvalues", &self.eigenvalues)
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.eigenvalues.len(), values.len())?;
        self.eigenvalues = valid("eigenvalues", values.to_vec())?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        let eigenvalues = self.eigenvalues.as_slice().into();
        Some(("gegenbauer", vec![("dim", f64::from(self.dim).into()), ("eigenvalues", eigenvalues)]))
    }
}
