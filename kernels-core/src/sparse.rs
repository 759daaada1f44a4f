//! Sparse symmetric matrices as operators.

use nalgebra::{DMatrixView, DMatrixViewMut};
use sprs::CsMat;

use crate::{
    Error, Operator, Real,
    engine::{check_shape, for_each_rows},
    operator::{check_columns, check_len},
};

/// A sparse symmetric matrix as an operator. Applying it costs O(nnz · t) on all cores.
///
/// ```
/// use kernels_core::{Operator, Sparse};
/// use nalgebra::dmatrix;
/// let mut path = sprs::TriMat::new((3, 3));
/// for (i, j) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
///     path.add_triplet(i, j, 1.0);
/// }
/// let a = Sparse::new(path.to_csr())?;
/// let mut out = dmatrix![0.0; 0.0; 0.0];
/// a.apply(dmatrix![1.0; 2.0; 3.0].as_view(), out.as_view_mut())?;
/// assert_eq!(out, dmatrix![2.0; 4.0; 2.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse<T>(CsMat<T>);

impl<T: Real> Sparse<T> {
    /// The operator of a matrix that is symmetric; the caller vouches for that. CSR or CSC.
    ///
    /// # Errors
    /// [`Error::Shape`] when it is not square.
    pub fn new(matrix: CsMat<T>) -> Result<Self, Error> {
        check_len("columns of a square matrix", matrix.rows(), matrix.cols())?;
        // The transpose of a symmetric matrix in CSC is the same matrix in CSR.
        Ok(Self(if matrix.is_csr() { matrix } else { matrix.transpose_into() }))
    }

    /// The matrix, in CSR.
    pub fn matrix(&self) -> &CsMat<T> {
        &self.0
    }

    /// Columns and values of row i.
    fn row(&self, i: usize) -> impl Iterator<Item = (usize, T)> + '_ {
        let range = self.0.indptr().outer_inds_sz(i);
        self.0.indices()[range.clone()].iter().copied().zip(self.0.data()[range].iter().copied())
    }
}

impl<T: Real> Operator<T> for Sparse<T> {
    fn dim(&self) -> usize {
        self.0.rows()
    }

    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        let shape = (self.dim(), rhs.ncols());
        check_shape(rhs.shape(), shape)?;
        check_shape(out.shape(), shape)?;
        for_each_rows(out, |rows, mut out, _| {
            for (k, right) in rhs.column_iter().enumerate() {
                for (to, i) in rows.clone().enumerate() {
                    out[(to, k)] = self.row(i).fold(T::default(), |sum, (j, value)| sum + value * right[j]);
                }
            }
        });
        Ok(())
    }

    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.0.get(i, i).copied().unwrap_or_default();
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_columns(self.dim(), indices, out.shape())?;
        out.fill(T::default());
        for (to, &j) in indices.iter().enumerate() {
            // Column j of a symmetric matrix is its row j.
            self.row(j).for_each(|(i, value)| out[(i, to)] = value);
        }
        Ok(())
    }
}
