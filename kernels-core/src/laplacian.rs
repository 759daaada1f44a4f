//! The Laplacian kernel of the Manhattan distance.

use std::ops::Range;

use nalgebra::DMatrixView;

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, PositiveDefinite, Profile,
    Real, Rows, Tile, Vector, Workspace,
    engine::{self, Geometry},
    kernel_ops,
};

/// Laplacian kernel exp(−Σ |xᵢ−yᵢ|/ℓᵢ), a product over the features.
///
/// The "Laplacian" of the EigenPro papers, of the Euclidean distance, is [`Exponential`](crate::Exponential) here.
///
/// ```
/// use kernels_core::{Kernel, Laplacian};
/// let k = Laplacian::new(2.0)?;
/// assert!((k.eval(&[0.0, 1.0], &[1.0, 0.0]) - (-1.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Laplacian {
    length_scale: LengthScale,
}

/// φ(s) = exp(−s).
#[derive(Clone)]
pub(crate) struct Decay;

impl Profile for Decay {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        (-s).exp()
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        -(-s).exp()
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        (-s).exp()
    }
}

impl Laplacian {
    /// The kernel with this length scale: one number, or one a feature.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a length scale is not finite and positive.
    pub fn new(length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Ok(Self { length_scale: length_scale.into().validated()? })
    }

    /// The length scale.
    pub fn length_scale(&self) -> &LengthScale {
        &self.length_scale
    }
}

impl Describe for Laplacian {
    fn params(&self) -> Vec<Param> {
        self.length_scale.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.length_scale = self.length_scale.with_values(values)?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("laplacian", [("length_scale", self.length_scale.argument())]))
    }
}

impl<T: Real> Kernel<Rows<T>> for Laplacian {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        engine::eval(Geometry::Manhattan(&self.length_scale), &Decay, x, y)
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        engine::fill(at, Geometry::Manhattan(&self.length_scale), &Decay, out, ws);
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        engine::fill_diagonal(&Decay, xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        let geometry = Geometry::Manhattan(&self.length_scale);
        engine::length_gradient(at, geometry, &Decay, weights, &mut [], gradient, ws);
    }
    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let value = self.eval(x, y);
        let scales = self.length_scale.values();
        let slope = |i: usize| {
            let (d, zero) = (x[i] - y[i], T::default());
            let inverse = T::of(scales.get(i).or(scales.first()).map_or(1.0, |l| 1.0 / l));
            if d > zero {
                -inverse
            } else if d < zero {
                inverse
            } else {
                zero * d
            }
        };
        jet.set_stationary(value, |i| slope(i) * value, |i, j| slope(i) * slope(j) * value);
        true
    }
    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.length_scale.check(xs.dim())
    }
}

impl PositiveDefinite for Laplacian {}
impl<T: Real> Differentiable<T> for Laplacian {}
kernel_ops! { impl[] Laplacian; }
