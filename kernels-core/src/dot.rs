//! Kernels of the inner product: k(x, y) = φ(⟨x, y⟩).

use std::ops::Range;

use nalgebra::DMatrixView;

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, PositiveDefinite,
    Profile, Real, Rows, Tile, Value, Vector, Workspace,
    describe::{expect_count, non_negative, positive},
    engine, kernel_ops,
    profile::{curvature_missing, derivatives},
};

/// A kernel of the inner product, given by its [`Profile`]. See its aliases: [`Linear`], [`Polynomial`], [`Sigmoid`].
#[derive(Clone, Debug, PartialEq)]
pub struct DotProduct<F>(pub F);

/// Linear kernel ⟨x, y⟩ + c, c ≥ 0.
pub type Linear = DotProduct<LinearProfile>;

/// Polynomial kernel (γ⟨x, y⟩ + c)ᵖ, γ > 0, c ≥ 0, integer p ≥ 1.
pub type Polynomial = DotProduct<PolynomialProfile>;

/// Sigmoid kernel tanh(γ⟨x, y⟩ + c): indefinite, whatever its parameters.
pub type Sigmoid = DotProduct<SigmoidProfile>;

/// φ(t) = t + c.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProfile {
    offset: f64,
}

/// φ(t) = (γt + c)ᵖ.
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialProfile {
    degree: u32,
    gamma: f64,
    offset: f64,
}

/// φ(t) = tanh(γt + c).
#[derive(Clone, Debug, PartialEq)]
pub struct SigmoidProfile {
    gamma: f64,
    offset: f64,
}

impl PositiveDefinite for Linear {}
impl PositiveDefinite for Polynomial {}

impl Linear {
    /// ⟨x, y⟩ + `offset`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `offset` is negative or not finite.
    pub fn new(offset: f64) -> Result<Self, Error> {
        Ok(Self(LinearProfile { offset: non_negative("offset", offset)? }))
    }
}

impl Polynomial {
    /// (`gamma` ⟨x, y⟩ + `offset`)^`degree`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `degree` is 0, `gamma` not positive or `offset` negative.
    ///
    /// ```
    /// use kernels_core::{Kernel, Polynomial};
    /// assert_eq!(Polynomial::new(3, 1.0, 1.0)?.eval(&[1.0, 2.0], &[3.0, 0.0]), 64.0);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn new(degree: u32, gamma: f64, offset: f64) -> Result<Self, Error> {
        if degree == 0 {
            return Err(Error::Parameter {
                name: "degree".into(),
                value: 0.0,
                expected: "an integer, 1 or above",
            });
        }
        let (gamma, offset) = (positive("gamma", gamma)?, non_negative("offset", offset)?);
        Ok(Self(PolynomialProfile { degree, gamma, offset }))
    }
}

impl Sigmoid {
    /// tanh(`gamma` ⟨x, y⟩ + `offset`).
    ///
    /// # Errors
    /// [`Error::Parameter`] when `gamma` is not positive or `offset` not finite.
    pub fn new(gamma: f64, offset: f64) -> Result<Self, Error> {
        let gamma = positive("gamma", gamma)?;
        Ok(Self(SigmoidProfile { gamma, offset: finite_offset(offset)? }))
    }
}

fn finite_offset(value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Parameter { name: "offset".into(), value, expected: "a finite number" })
    }
}

/// An offset may be 0, which has no logarithm: it is walked as it is.
fn offset_param(offset: f64, least: f64) -> Param {
    Param { bounds: (least, 1e5), transform: crate::Transform::Identity, ..Param::positive("offset", offset) }
}

impl Profile for LinearProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        t + V::splat(self.offset)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, _: V) -> V {
        V::splat(1.0)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, _: V) -> V {
        V::splat(0.0)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, _: usize, t: V) -> V {
        self.slope(t)
    }
    fn params(&self) -> Vec<Param> {
        vec![offset_param(self.offset, 0.0)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        self.offset = non_negative("offset", values[0])?;
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("linear", vec![("offset", self.offset.into())]))
    }
}

/// xᵖ by squaring: exact for small integers, unlike e^(p ln x), and right for negative x.
#[inline(always)]
fn integer_power<V: Vector>(x: V, mut p: u32) -> V {
    let (mut base, mut result) = (x, V::splat(1.0));
    while p > 0 {
        if p & 1 == 1 {
            result = result * base;
        }
        base = base * base;
        p >>= 1;
    }
    result
}

impl PolynomialProfile {
    #[inline(always)]
    fn base<V: Vector>(&self, t: V) -> V {
        t.mul_add(V::splat(self.gamma), V::splat(self.offset))
    }
}

impl Profile for PolynomialProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        integer_power(self.base(t), self.degree)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, t: V) -> V {
        V::splat(self.gamma * f64::from(self.degree)) * integer_power(self.base(t), self.degree - 1)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, t: V) -> V {
        let scale = self.gamma * self.gamma * f64::from(self.degree) * f64::from(self.degree - 1);
        V::splat(scale) * integer_power(self.base(t), self.degree.saturating_sub(2))
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, t: V) -> V {
        let by_base = V::splat(f64::from(self.degree)) * integer_power(self.base(t), self.degree - 1);
        if index == 0 { by_base * t } else { by_base }
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("gamma", self.gamma), offset_param(self.offset, 0.0)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        (self.gamma, self.offset) = (positive("gamma", values[0])?, non_negative("offset", values[1])?);
        Ok(())
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        let degree = f64::from(self.degree).into();
        Some((
            "polynomial",
            vec![("degree", degree), ("gamma", self.gamma.into()), ("offset", self.offset.into())],
        ))
    }
}

impl Profile for SigmoidProfile {
    #[inline(always)]
    fn value<V: Vector>(&self, t: V) -> V {
        t.mul_add(V::splat(self.gamma), V::splat(self.offset)).map(libm::tanh)
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, t: V) -> V {
        V::splat(self.gamma) * self.shape_slope(1, t)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, t: V) -> V {
        V::splat(-2.0 * self.gamma * self.gamma) * self.value(t) * self.shape_slope(1, t)
    }
    #[inline(always)]
    fn shape_slope<V: Vector>(&self, index: usize, t: V) -> V {
        let tanh = self.value(t);
        let by_argument = V::splat(1.0) - tanh * tanh;
        if index == 0 { by_argument * t } else { by_argument }
    }
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("gamma", self.gamma), offset_param(self.offset, -1e5)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        (self.gamma, self.offset) = (positive("gamma", values[0])?, finite_offset(values[1])?);
        Ok(())
    }
    fn definiteness(&self) -> Definiteness {
        Definiteness::Indefinite
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("sigmoid", vec![("gamma", self.gamma.into()), ("offset", self.offset.into())]))
    }
}

impl<F: Profile> Describe for DotProduct<F> {
    fn params(&self) -> Vec<Param> {
        self.0.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.0.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.0.definiteness()
    }
    fn expression(&self) -> Option<Expr> {
        let (name, arguments) = self.0.text()?;
        Some(Expr::call(name, arguments))
    }
}

impl<F: Profile, T: Real> Kernel<Rows<T>> for DotProduct<F> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        engine::eval(engine::Geometry::InnerProduct, &self.0, x, y)
    }

    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        engine::fill(at, engine::Geometry::InnerProduct, &self.0, out, ws);
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        for (out, i) in out.iter_mut().zip(rows) {
            let x = crate::Points::point(xs, i);
            *out = self.eval(x, x);
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        engine::shape_gradient(at, engine::Geometry::InnerProduct, &self.0, weights, gradient, ws);
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let t = engine::number(engine::Geometry::InnerProduct, x, y);
        let [value, slope, curvature] = derivatives(&self.0, t);
        if curvature_missing(jet, t, curvature) {
            return false;
        }
        let mixed = |i: usize, j: usize| {
            let outer = curvature * y[i] * x[j];
            if i == j { outer + slope } else { outer }
        };
        jet.set(value, |i| slope * y[i], |i| slope * x[i], |i, j| curvature * y[i] * y[j], mixed);
        true
    }
}

impl<F: Profile, T: Real> Differentiable<T> for DotProduct<F> {}
kernel_ops! { impl[F: Profile] DotProduct<F>; }
