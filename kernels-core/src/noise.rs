//! Kernels that do not look at their points: white noise and constants.

use std::ops::Range;

use nalgebra::DMatrixView;

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Points, PositiveDefinite,
    Real, Tile, Workspace,
    describe::{expect_count, non_negative},
    kernel_ops,
};

/// White noise: `variance` where a point of one data set meets itself, 0 everywhere else, also between equal points.
///
/// On the points of any kind. It adds to the diagonal of [`gram`](crate::gram) and nothing to [`cross_gram`](crate::cross_gram).
///
/// ```
/// use kernels_core::{Constant, Rows, White, gram};
/// use nalgebra::dmatrix;
/// let xs = Rows::new(&dmatrix![1.0; 1.0]);
/// assert_eq!(gram(&(Constant::new(2.0)? + White::new(0.5)?), &xs)?, dmatrix![2.5, 2.0; 2.0, 2.5]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct White {
    variance: f64,
}

/// The same value for every pair, of any kind of points: an unknown offset, in the words of Gaussian processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    value: f64,
}

impl White {
    /// Noise of this variance.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is negative or not finite.
    pub fn new(variance: f64) -> Result<Self, Error> {
        Ok(Self { variance: non_negative("variance", variance)? })
    }
}

impl Constant {
    /// This value.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is negative or not finite.
    pub fn new(value: f64) -> Result<Self, Error> {
        Ok(Self { value: non_negative("value", value)? })
    }
}

impl Describe for White {
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("variance", self.variance)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        *self = Self::new(values[0])?;
        Ok(())
    }
    /// Nowhere but at the same occurrence.
    fn support(&self) -> Option<LengthScale> {
        Some(LengthScale::Isotropic(0.0))
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("white", [("variance", self.variance.into())]))
    }
}

impl Describe for Constant {
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("value", self.value)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        *self = Self::new(values[0])?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("constant", [("value", self.value.into())]))
    }
}

impl<P: Points + ?Sized> Kernel<P> for White {
    fn eval(&self, _: P::Point<'_>, _: P::Point<'_>) -> P::Scalar {
        P::Scalar::default()
    }
    fn jet(&self, _: P::Point<'_>, _: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        jet.set_constant(P::Scalar::default());
        true
    }
    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, _: &mut Workspace<P::Scalar>) {
        out.fill(P::Scalar::default());
        for entry in at.diagonal_entries() {
            out[entry] = P::Scalar::of(self.variance);
        }
    }
    fn diagonal(&self, _: &P, _: Range<usize>, out: &mut [P::Scalar]) {
        out.fill(P::Scalar::of(self.variance));
    }
    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        _: &mut Workspace<P::Scalar>,
    ) {
        gradient[0] += at.diagonal_entries().map(|entry| weights[entry].to_f64()).sum::<f64>();
    }
}

impl<P: Points + ?Sized> Kernel<P> for Constant {
    fn eval(&self, _: P::Point<'_>, _: P::Point<'_>) -> P::Scalar {
        P::Scalar::of(self.value)
    }
    fn jet(&self, _: P::Point<'_>, _: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        jet.set_constant(P::Scalar::of(self.value));
        true
    }
    fn block(&self, _: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, _: &mut Workspace<P::Scalar>) {
        out.fill(P::Scalar::of(self.value));
    }
    fn block_gradient(
        &self,
        _: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        _: &mut Workspace<P::Scalar>,
    ) {
        gradient[0] += weights.iter().map(|w| w.to_f64()).sum::<f64>();
    }
}

impl PositiveDefinite for White {}
impl PositiveDefinite for Constant {}
impl<T: Real> Differentiable<T> for White {}
impl<T: Real> Differentiable<T> for Constant {}
kernel_ops! {
    impl[] White;
    impl[] Constant;
}
