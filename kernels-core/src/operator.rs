//! Symmetric linear maps that solvers multiply by.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use crate::{Error, Real};

/// A symmetric linear map of ℝⁿ: what an iterative solver needs to know of a kernel matrix.
///
/// Instances: [`Dense`], [`LazyGram`](crate::LazyGram), [`Shifted`], [`ScaledOperator`], [`SumOperator`].
pub trait Operator<T: Real>: Send + Sync {
    /// The order n.
    fn dim(&self) -> usize;

    /// Overwrites `out` with A `rhs`, both n × t.
    ///
    /// # Errors
    /// [`Error::Shape`] when a shape is not n × t.
    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error>;

    /// Overwrites `out`, of length n, with the diagonal.
    ///
    /// # Errors
    /// [`Error::Shape`] when the length is not n.
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error>;

    /// Overwrites column j of `out`, n × `indices.len()`, with column `indices[j]` of A.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shape is wrong or an index is not below n.
    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, T>) -> Result<(), Error>;
}

pub(crate) fn check_len(what: &'static str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given { Ok(()) } else { Err(Error::Shape { what, expected, given }) }
}

/// A matrix in memory as an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<T: Real>(DMatrix<T>);

impl<T: Real> Dense<T> {
    /// The operator of a symmetric matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] when it is not square.
    pub fn new(matrix: DMatrix<T>) -> Result<Self, Error> {
        check_len("columns of a square matrix", matrix.nrows(), matrix.ncols())?;
        Ok(Self(matrix))
    }
}
