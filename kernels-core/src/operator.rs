//! Symmetric linear maps that solvers multiply by.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use crate::{
    Error, Real,
    engine::{check_shape, multiply_dense},
};

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

impl<T: Real, O: Operator<T> + ?Sized> Operator<T> for &O {
    fn dim(&self) -> usize {
        (**self).dim()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        (**self).apply(rhs, out)
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        (**self).diagonal(out)
    }
    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        (**self).columns(indices, out)
    }
}

/// A matrix in memory as an operator. Applying it costs n²t operations on all cores.
///
/// ```
/// use kernels_core::{Dense, Operator, Shifted};
/// use nalgebra::dmatrix;
/// let a = Shifted::new(Dense::new(dmatrix![2.0, 1.0; 1.0, 2.0])?, 0.5);
/// let mut out = dmatrix![0.0; 0.0];
/// a.apply(dmatrix![1.0; 0.0].as_view(), out.as_view_mut())?;
/// assert_eq!(out, dmatrix![2.5; 1.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
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

    /// The matrix.
    pub fn matrix(&self) -> &DMatrix<T> {
        &self.0
    }
}

impl<T: Real> Operator<T> for Dense<T> {
    fn dim(&self) -> usize {
        self.0.nrows()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        multiply_dense(&self.0, rhs, out)
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        out.iter_mut().enumerate().for_each(|(i, out)| *out = self.0[(i, i)]);
        Ok(())
    }
    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_columns(self.dim(), indices, out.shape())?;
        for (mut to, &j) in out.column_iter_mut().zip(indices) {
            to.copy_from(&self.0.column(j));
        }
        Ok(())
    }
}

/// Shape of the output of `columns`, and indices within the operator.
pub(crate) fn check_columns(n: usize, indices: &[usize], shape: (usize, usize)) -> Result<(), Error> {
    check_shape(shape, (n, indices.len()))?;
    match indices.iter().find(|j| **j >= n) {
        None => Ok(()),
        Some(&given) => Err(Error::Shape { what: "index of a column (below)", expected: n, given }),
    }
}

/// A + σI.
#[derive(Clone, Debug, PartialEq)]
pub struct Shifted<O, T> {
    operator: O,
    shift: T,
}

impl<O, T: Real> Shifted<O, T> {
    /// `operator` + `shift` · I.
    pub fn new(operator: O, shift: T) -> Self {
        Self { operator, shift }
    }
}

impl<T: Real, O: Operator<T>> Operator<T> for Shifted<O, T> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.operator.apply(rhs, out.as_view_mut())?;
        out.zip_apply(&rhs, |out, v| *out += self.shift * v);
        Ok(())
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        self.operator.diagonal(out)?;
        out.iter_mut().for_each(|v| *v += self.shift);
        Ok(())
    }
    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.operator.columns(indices, out.as_view_mut())?;
        for (to, &j) in indices.iter().enumerate() {
            out[(j, to)] += self.shift;
        }
        Ok(())
    }
}

/// σA.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledOperator<O, T> {
    operator: O,
    scale: T,
}

impl<O, T: Real> ScaledOperator<O, T> {
    /// `scale` · `operator`.
    pub fn new(scale: T, operator: O) -> Self {
        Self { operator, scale }
    }
}

impl<T: Real, O: Operator<T>> Operator<T> for ScaledOperator<O, T> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.operator.apply(rhs, out.as_view_mut())?;
        out.apply(|v| *v *= self.scale);
        Ok(())
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        self.operator.diagonal(out)?;
        out.iter_mut().for_each(|v| *v *= self.scale);
        Ok(())
    }
    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.operator.columns(indices, out.as_view_mut())?;
        out.apply(|v| *v *= self.scale);
        Ok(())
    }
}

/// A + B.
#[derive(Clone, Debug, PartialEq)]
pub struct SumOperator<A, B> {
    first: A,
    second: B,
}

impl<A, B> SumOperator<A, B> {
    /// The sum of two operators of the same order.
    ///
    /// # Errors
    /// [`Error::Shape`] when their orders differ.
    pub fn new<T: Real>(first: A, second: B) -> Result<Self, Error>
    where
        A: Operator<T>,
        B: Operator<T>,
    {
        check_len("order of the second operator", first.dim(), second.dim())?;
        Ok(Self { first, second })
    }
}

impl<T: Real, A: Operator<T>, B: Operator<T>> Operator<T> for SumOperator<A, B> {
    fn dim(&self) -> usize {
        self.first.dim()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.first.apply(rhs, out.as_view_mut())?;
        let mut second = DMatrix::repeat(out.nrows(), out.ncols(), T::default());
        self.second.apply(rhs, second.as_view_mut())?;
        out += second;
        Ok(())
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        self.first.diagonal(out)?;
        let mut second = vec![T::default(); out.len()];
        self.second.diagonal(&mut second)?;
        out.iter_mut().zip(second).for_each(|(a, b)| *a += b);
        Ok(())
    }
    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.first.columns(indices, out.as_view_mut())?;
        let mut second = DMatrix::repeat(out.nrows(), out.ncols(), T::default());
        self.second.columns(indices, second.as_view_mut())?;
        out += second;
        Ok(())
    }
}
