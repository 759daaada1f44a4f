//! Products of matrices.

use faer::{
    Accum,
    linalg::matmul::{
        matmul,
        triangular::{self, BlockStructure},
    },
};
use nalgebra::DMatrix;

use super::{parallelism, view, view_mut};
use crate::Error;

/// A · B, Aᵀ · B or A · Bᵀ on all cores.
fn multiply(a: faer::MatRef<'_, f64>, b: faer::MatRef<'_, f64>) -> Result<DMatrix<f64>, Error> {
    if a.ncols() != b.nrows() {
        return Err(Error::Shape {
            what: "rows of the second factor",
            expected: a.ncols(),
            given: b.nrows(),
        });
    }
    let mut out = DMatrix::zeros(a.nrows(), b.ncols());
    matmul(view_mut(&mut out), Accum::Replace, a, b, 1.0, parallelism());
    Ok(out)
}

/// A · B on all cores.
///
/// # Errors
/// [`Error::Shape`] when the columns of `a` are not the rows of `b`.
///
/// ```
/// use kernels_core::dense::product;
/// use nalgebra::dmatrix;
/// assert_eq!(product(&dmatrix![1.0, 2.0], &dmatrix![3.0; 4.0])?, dmatrix![11.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn product(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    multiply(view(a), view(b))
}

/// Aᵀ · B on all cores.
///
/// # Errors
/// [`Error::Shape`] when `a` and `b` differ in their rows.
///
/// ```
/// use kernels_core::dense::transposed_product;
/// use nalgebra::dmatrix;
/// assert_eq!(transposed_product(&dmatrix![1.0; 2.0], &dmatrix![3.0; 4.0])?, dmatrix![11.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn transposed_product(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    multiply(view(a).transpose(), view(b))
}

/// A · Bᵀ on all cores.
///
/// # Errors
/// [`Error::Shape`] when `a` and `b` differ in their columns.
///
/// ```
/// use kernels_core::dense::product_transposed;
/// use nalgebra::dmatrix;
/// assert_eq!(product_transposed(&dmatrix![1.0, 2.0], &dmatrix![3.0, 4.0])?, dmatrix![11.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn product_transposed(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    multiply(view(a), view(b).transpose())
}

/// Adds A · Aᵀ to the lower triangle of `sum`, on all cores; the rest of `sum` stays as it is. Half the operations of a product:
/// Gram matrices of data that come in pieces, which [`mirror`] makes whole at the end.
///
/// # Errors
/// [`Error::Shape`] when `sum` is not square with a row for every row of `a`.
///
/// ```
/// use kernels_core::dense::{add_outer_product, mirror};
/// use nalgebra::dmatrix;
/// let mut sum = dmatrix![1.0, 0.0; 0.0, 1.0];
/// add_outer_product(&mut sum, &dmatrix![2.0; 3.0])?;
/// mirror(&mut sum)?;
/// assert_eq!(sum, dmatrix![5.0, 6.0; 6.0, 10.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn add_outer_product(sum: &mut DMatrix<f64>, a: &DMatrix<f64>) -> Result<(), Error> {
    let order = a.nrows();
    for given in [sum.nrows(), sum.ncols()] {
        if given != order {
            return Err(Error::Shape { what: "rows and columns of the sum", expected: order, given });
        }
    }
    let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    let (left, right) = (view(a), view(a).transpose());
    triangular::matmul(view_mut(sum), lower, Accum::Add, left, whole, right, whole, 1.0, parallelism());
    Ok(())
}

/// Copies the lower triangle of a square matrix over its upper one.
///
/// # Errors
/// [`Error::Shape`] when it is not square.
pub fn mirror(a: &mut DMatrix<f64>) -> Result<(), Error> {
    const TILE: usize = 64;
    let (n, given) = a.shape();
    if n != given {
        return Err(Error::Shape { what: "columns of a square matrix", expected: n, given });
    }
    // By tiles: one side of a transposition always strides.
    for down in (0..n).step_by(TILE) {
        for across in (0..=down).step_by(TILE) {
            for i in down..(down + TILE).min(n) {
                for j in across..(across + TILE).min(i) {
                    a[(j, i)] = a[(i, j)];
                }
            }
        }
    }
    Ok(())
}
