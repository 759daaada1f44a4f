//! Kernels that are a function of a sum, or a product, over the features.

mod discrete;
mod histogram;
mod process;
mod tensor;

use std::ops::Range;

use nalgebra::DMatrixView;

pub use discrete::*;
pub use histogram::*;
pub use process::*;
pub use tensor::*;

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points, Real, Rows, Tile,
    Value, Vector, Workspace, describe,
    engine::{Pairing, diagonal_pairs, eval_pair, fill_pairs},
    kernel_ops,
    simd::{MAX_LANES, Simd, Work},
};

/// What a [`Separable`] kernel does with one feature of a pair, and with the total over all features.
///
/// A family is this and nothing else; the engine runs it on vectors of rows. [`Coordinate::term`] must give the same bits when its
/// points are exchanged.
///
/// ```
/// use kernels_core::{Coordinate, Kernel, Separable, Vector};
///
/// /// ∏ 1/(1 + |xᵢ − yᵢ|)
/// #[derive(Clone, Debug, PartialEq)]
/// struct Hyperbolic;
/// impl Coordinate for Hyperbolic {
///     const PRODUCT: bool = true;
///     fn term<V: Vector>(&self, _: usize, x: V, y: V) -> V {
///         V::splat(1.0) / (V::splat(1.0) + (x - y).abs())
///     }
/// }
/// assert_eq!(Separable(Hyperbolic).eval(&[0.0, 0.0], &[1.0, 3.0]), 0.125);
/// ```
pub trait Coordinate: Clone + Send + Sync + 'static {
    /// Whether terms are multiplied rather than added.
    const PRODUCT: bool;

    /// Whether the sum is divided by the number of features before f.
    const MEAN: bool = false;

    /// The term t of a feature. Mark implementations `#[inline(always)]`; NaN in, NaN out.
    fn term<V: Vector>(&self, feature: usize, x: V, y: V) -> V;

    /// The kernel f from the total.
    fn finish<V: Vector>(&self, total: V) -> V {
        total
    }

    /// ∂t/∂x, ∂t/∂y, ∂²t/∂x² and ∂²t/∂x∂y; 0 where one does not exist, `None` when the family has none.
    fn derivatives(&self, feature: usize, x: f64, y: f64) -> Option<[f64; 4]> {
        let _ = (feature, x, y);
        None
    }

    /// f′ and f″.
    fn finish_derivatives(&self, total: f64) -> [f64; 2] {
        let _ = total;
        [1.0, 0.0]
    }

    /// ∂t/∂p for parameter p = `param` of [`Coordinate::params`].
    fn term_slope(&self, param: usize, feature: usize, x: f64, y: f64) -> f64 {
        let _ = (param, feature, x, y);
        0.0
    }

    /// ∂f/∂p.
    fn finish_slope(&self, param: usize, total: f64) -> f64 {
        let _ = (param, total);
        0.0
    }

    /// Parameters.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Sets them; checks all before it changes any.
    ///
    /// # Errors
    /// As [`Describe::set_params`].
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        describe::expect_count(0, values.len())
    }

    /// Definiteness of the kernel.
    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }

    /// Whether points may have `dim` features.
    ///
    /// # Errors
    /// [`Error::Shape`].
    fn check_dim(&self, dim: usize) -> Result<(), Error> {
        let _ = dim;
        Ok(())
    }

    /// Name of the kernel and what its values must be, when `x` is not.
    fn outside(&self, x: f64) -> Option<(&'static str, &'static str)> {
        let _ = x;
        None
    }

    /// Name and arguments in the text form; `None` when it has none.
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        None
    }
}

/// k(x, y) = f(Σ t(xᵢ, yᵢ)) or f(∏ t(xᵢ, yᵢ)), given by its [`Coordinate`]. See its aliases: [`Chi2`], [`Hamming`], [`Sinc`], …
///
/// **Complexity.** O(d) a pair, in vectors over the rows of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Separable<F>(pub F);

impl<F: Coordinate> Pairing for Separable<F> {
    const START: [f64; 2] = [if F::PRODUCT { 1.0 } else { 0.0 }, 0.0];

    fn enter<T: Real>(&self, row: &mut [T]) -> T {
        T::of(if F::MEAN { row.len().max(1) as f64 } else { 1.0 })
    }

    #[inline(always)]
    fn step<V: Vector>(&self, k: usize, x: V, y: V, [total, unused]: [V; 2]) -> [V; 2] {
        let term = self.0.term(k, x, y);
        [if F::PRODUCT { total * term } else { total + term }, unused]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [total, _]: [V; 2], [count, _]: [V; 2]) -> V {
        self.0.finish(if F::MEAN { total / count } else { total })
    }
}

/// The terms of a pair in f64, and f of their total.
struct Terms<'a, F>(&'a F, &'a [f64], &'a [f64]);

impl<F: Coordinate> Work<f64> for Terms<'_, F> {
    type Output = (Vec<f64>, f64, f64);
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> (Vec<f64>, f64, f64) {
        let mut lanes = [0.0; MAX_LANES];
        let mut terms = Vec::with_capacity(self.1.len());
        let mut total = if F::PRODUCT { 1.0 } else { 0.0 };
        for (k, (&x, &y)) in self.1.iter().zip(self.2).enumerate() {
            self.0.term(k, V::broadcast(x), V::broadcast(y)).store(&mut lanes);
            terms.push(lanes[0]);
            total = if F::PRODUCT { total * lanes[0] } else { total + lanes[0] };
        }
        self.0.finish(V::broadcast(total)).store(&mut lanes);
        (terms, total, lanes[0])
    }
}

/// Products of all terms but one, and of all but two: without division, which fails at zeros.
fn product_without(terms: &[f64], i: usize, j: usize) -> f64 {
    terms.iter().enumerate().filter(|&(k, _)| k != i && k != j).map(|(_, t)| t).product()
}

impl<F: Coordinate> Describe for Separable<F> {
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

impl<F: Coordinate, T: Real> Kernel<Rows<T>> for Separable<F> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        eval_pair(self, x, y)
    }

    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        fill_pairs(at, self, out, ws);
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        diagonal_pairs(self, xs, rows, out);
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        if gradient.is_empty() {
            return;
        }
        let numbers = |row: &[T]| -> Vec<f64> { row.iter().map(|v| v.to_f64()).collect() };
        let rows: Vec<Vec<f64>> = at.rows().map(|r| numbers(at.xs().point(r))).collect();
        for (j, c) in at.cols().enumerate() {
            let y = numbers(at.ys().point(c));
            for (i, x) in rows.iter().enumerate() {
                let weight = weights[(i, j)].to_f64();
                let (terms, total, _) = f64::dispatch(Terms(&self.0, x, &y));
                let [slope, _] = self.0.finish_derivatives(total);
                for (p, gradient) in gradient.iter_mut().enumerate() {
                    let mut sum = 0.0;
                    for (k, (&a, &b)) in x.iter().zip(&y).enumerate() {
                        let by = self.0.term_slope(p, k, a, b);
                        // Most parameters touch one feature, or none.
                        if by != 0.0 || by.is_nan() {
                            sum += if F::PRODUCT { by * product_without(&terms, k, k) } else { by };
                        }
                    }
                    *gradient += weight * (slope * sum + self.0.finish_slope(p, total));
                }
            }
        }
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let numbers = |row: &[T]| -> Vec<f64> { row.iter().map(|v| v.to_f64()).collect() };
        let (x, y) = (numbers(x), numbers(y));
        let parts = x.iter().zip(&y).enumerate().map(|(k, (&a, &b))| self.0.derivatives(k, a, b));
        let Some(parts) = parts.collect::<Option<Vec<[f64; 4]>>>() else { return false };
        let (terms, total, value) = f64::dispatch(Terms(&self.0, &x, &y));
        let [slope, curvature] = self.0.finish_derivatives(total);
        // Of the total: ∂ᵢ is cᵢ pᵢ with cᵢ the product of the other terms, or 1.
        let others = |i: usize, j: usize| if F::PRODUCT { product_without(&terms, i, j) } else { 1.0 };
        let single: Vec<f64> = (0..x.len()).map(|i| others(i, i)).collect();
        let first = |i: usize, side: usize| single[i] * parts[i][side];
        let second = |i: usize, j: usize, side: usize| {
            let total = if i == j {
                single[i] * parts[i][2 + side]
            } else if F::PRODUCT {
                others(i, j) * parts[i][0] * parts[j][side]
            } else {
                0.0
            };
            T::of(slope * total + curvature * first(i, 0) * first(j, side))
        };
        jet.set(
            T::of(value),
            |i| T::of(slope * first(i, 0)),
            |i| T::of(slope * first(i, 1)),
            |i, j| second(i, j, 0),
            |i, j| second(i, j, 1),
        );
        true
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.0.check_dim(xs.dim())?;
        for (k, &value) in xs.as_slice().iter().enumerate() {
            if let Some((kernel, expected)) = self.0.outside(value.to_f64()) {
                let (row, column) = (k / xs.dim(), k % xs.dim());
                return Err(Error::Domain { kernel, row, column, value: value.to_f64(), expected });
            }
        }
        Ok(())
    }
}

impl<F: Coordinate, T: Real> Differentiable<T> for Separable<F> {}
kernel_ops! { impl[F: Coordinate] Separable<F>; }
