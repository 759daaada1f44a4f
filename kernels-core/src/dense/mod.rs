//! Dense linear algebra in f64: Cholesky, symmetric eigendecomposition, QR, SVD, LU, products.
//!
//! The one place that knows the linear algebra backend (faer). The bits of a result do not depend on the number of threads.

mod lu;
mod orthogonal;
mod product;

pub use lu::Lu;
pub use orthogonal::{Qr, Svd};
pub use product::{add_outer_product, mirror, product, product_transposed, transposed_product};

use faer::{
    MatMut, MatRef, Par, Spec,
    diag::DiagMut,
    dyn_stack::{MemBuffer, MemStack, StackReq},
    linalg::{
        cholesky::llt::{factor, inverse},
        evd, triangular_solve,
    },
};
use nalgebra::{DMatrix, DMatrixViewMut, DVector};

use crate::Error;

/// A constant degree of parallelism: the backend's bits depend on this number, not on the pool.
fn parallelism() -> Par {
    #[cfg(feature = "rayon")]
    {
        Par::rayon(8)
    }
    #[cfg(not(feature = "rayon"))]
    {
        Par::Seq
    }
}

fn scratch(what: &'static str, request: StackReq) -> Result<MemBuffer, Error> {
    let needed = request.unaligned_bytes_required();
    MemBuffer::try_new(request).map_err(|_| Error::Memory { what, needed, available: 0 })
}

fn view(a: &DMatrix<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(a.as_slice(), a.nrows(), a.ncols())
}

fn view_mut(a: &mut DMatrix<f64>) -> MatMut<'_, f64> {
    let (rows, cols) = a.shape();
    MatMut::from_column_major_slice_mut(a.as_mut_slice(), rows, cols)
}

fn tile_mut<'a>(a: &'a mut DMatrixViewMut<'_, f64>) -> MatMut<'a, f64> {
    let ((rows, cols), (row_stride, col_stride)) = (a.shape(), a.strides());
    // SAFETY: pointer, shape and strides come from one exclusive view, which stays borrowed for the result's life.
    unsafe {
        MatMut::from_raw_parts_mut(
            a.as_mut_ptr(),
            rows,
            cols,
            row_stride.cast_signed(),
            col_stride.cast_signed(),
        )
    }
}

fn check_square(a: &DMatrix<f64>) -> Result<usize, Error> {
    let (rows, cols) = a.shape();
    if rows != cols {
        return Err(Error::Shape { what: "columns of a square matrix", expected: rows, given: cols });
    }
    check_finite(a)?;
    Ok(rows)
}

fn check_finite(a: &DMatrix<f64>) -> Result<(), Error> {
    let rows = a.nrows();
    match a.as_slice().iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(k) => Err(Error::NotFinite { row: k % rows, column: k / rows, value: a.as_slice()[k] }),
    }
}

/// A = LLᵀ of a symmetric positive definite matrix.
///
/// ```
/// use kernels_core::dense::Cholesky;
/// use nalgebra::dmatrix;
/// let chol = Cholesky::new(dmatrix![4.0, 2.0; 2.0, 3.0])?;
/// let mut b = dmatrix![8.0; 7.0];
/// chol.solve_in_place(b.as_view_mut())?;
/// assert!((b - dmatrix![1.25; 1.5]).amax() < 1e-14);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Stored"))]
pub struct Cholesky {
    /// L in the lower triangle, what the caller had in the upper one.
    factor: DMatrix<f64>,
}

/// A factor as it stands in a file, before it has been looked at.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Stored {
    factor: DMatrix<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Stored> for Cholesky {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        check_square(&stored.factor)?;
        Ok(Self { factor: stored.factor })
    }
}

impl Cholesky {
    /// Factorizes `a` in place. Only its lower triangle enters the factor; the upper one must mirror it, because errors
    /// are explained from it.
    ///
    /// **Errors.** [`Error::Shape`] when it is not square, [`Error::NotFinite`], [`Error::NotPositiveDefinite`] with the
    /// failing pivot and a shift of the diagonal that was tried and works, [`Error::Memory`].
    /// **Complexity.** n³/3 operations.
    pub fn new(mut a: DMatrix<f64>) -> Result<Self, Error> {
        check_square(&a)?;
        let diagonal: Vec<f64> = a.diagonal().iter().copied().collect();
        match factorize(&mut a) {
            Ok(()) => Ok(Self { factor: a }),
            Err(Failure::Memory(error)) => Err(error),
            Err(Failure::Pivot(pivot)) => Err(explain(a, &diagonal, pivot)),
        }
    }

    /// Order n of the matrix.
    pub fn order(&self) -> usize {
        self.factor.nrows()
    }

    /// The matrix whose lower triangle is L; its strict upper triangle is without meaning.
    pub fn factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    /// Overwrites `rhs`, n × t, with A⁻¹ `rhs`. O(n² t).
    ///
    /// # Errors
    /// [`Error::Shape`] when it does not have n rows.
    pub fn solve_in_place(&self, mut rhs: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        self.solve_lower_in_place(rhs.as_view_mut())?;
        triangular_solve::solve_upper_triangular_in_place(
            view(&self.factor).transpose(),
            tile_mut(&mut rhs),
            parallelism(),
        );
        Ok(())
    }

    /// Overwrites `rhs`, n × t, with L⁻¹ `rhs`. O(n² t / 2).
    ///
    /// # Errors
    /// [`Error::Shape`] when it does not have n rows.
    pub fn solve_lower_in_place(&self, mut rhs: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        if rhs.nrows() != self.order() {
            return Err(Error::Shape {
                what: "rows of the right-hand side",
                expected: self.order(),
                given: rhs.nrows(),
            });
        }
        triangular_solve::solve_lower_triangular_in_place(
            view(&self.factor),
            tile_mut(&mut rhs),
            parallelism(),
        );
        Ok(())
    }

    /// Overwrites `rhs`, n × t, with L⁻ᵀ `rhs`. O(n² t / 2).
    ///
    /// # Errors
    /// [`Error::Shape`] when it does not have n rows.
    pub fn solve_upper_in_place(&self, mut rhs: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        if rhs.nrows() != self.order() {
            return Err(Error::Shape {
                what: "rows of the right-hand side",
                expected: self.order(),
                given: rhs.nrows(),
            });
        }
        triangular_solve::solve_upper_triangular_in_place(
            view(&self.factor).transpose(),
            tile_mut(&mut rhs),
            parallelism(),
        );
        Ok(())
    }

    /// ln det A.
    pub fn ln_determinant(&self) -> f64 {
        2.0 * (0..self.order()).map(|i| self.factor[(i, i)].ln()).sum::<f64>()
    }

    /// A⁻¹, symmetric. 2n³/3 operations.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn inverse(&self) -> Result<DMatrix<f64>, Error> {
        let n = self.order();
        let mut out = DMatrix::zeros(n, n);
        let mut buffer =
            scratch("the inverse of a matrix", inverse::inverse_scratch::<f64>(n, parallelism()))?;
        inverse::inverse(view_mut(&mut out), view(&self.factor), parallelism(), MemStack::new(&mut buffer));
        out.fill_upper_triangle_with_lower_triangle();
        Ok(out)
    }
}

enum Failure {
    Pivot(usize),
    Memory(Error),
}

fn factorize(a: &mut DMatrix<f64>) -> Result<(), Failure> {
    let params = Spec::default();
    let request = factor::cholesky_in_place_scratch::<f64>(a.nrows(), parallelism(), params);
    let mut buffer = scratch("a Cholesky factorization", request).map_err(Failure::Memory)?;
    let stack = MemStack::new(&mut buffer);
    let regularization = factor::LltRegularization::default();
    match factor::cholesky_in_place(view_mut(a), regularization, parallelism(), stack, params) {
        // The backend lets tiny pivots through as infinities.
        Ok(_) => match a.diagonal().iter().position(|&pivot| !(pivot.is_finite() && pivot > 0.0)) {
            None => Ok(()),
            Some(pivot) => Err(Failure::Pivot(pivot)),
        },
        Err(factor::LltError::NonPositivePivot { index }) => Err(Failure::Pivot(index)),
    }
}

/// Which pivot failed, how large it was, and what shift of the diagonal makes the factorization succeed: tried, by
/// powers of ten from n ε max(diagonal).
fn explain(failed: DMatrix<f64>, diagonal: &[f64], pivot: usize) -> Error {
    let n = diagonal.len();
    let squares: f64 = (0..pivot).map(|j| failed[(pivot, j)] * failed[(pivot, j)]).sum();
    let value = diagonal[pivot] - squares;
    let largest = diagonal.iter().fold(f64::MIN_POSITIVE, |m, d| m.max(d.abs()));
    let mut suggested = n as f64 * f64::EPSILON * largest;
    for _ in 0..18 {
        let mut shifted = failed.clone();
        shifted.fill_lower_triangle_with_upper_triangle();
        for (i, d) in diagonal.iter().enumerate() {
            shifted[(i, i)] = d + suggested;
        }
        if factorize(&mut shifted).is_ok() {
            break;
        }
        suggested *= 10.0;
    }
    Error::NotPositiveDefinite { pivot, n, value, suggested }
}

/// A = V diag(λ) Vᵀ of a symmetric matrix.
///
/// ```
/// use kernels_core::dense::SymmetricEigen;
/// use nalgebra::dmatrix;
/// let eigen = SymmetricEigen::new(&dmatrix![2.0, 1.0; 1.0, 2.0])?;
/// assert!((eigen.values[0] - 1.0).abs() < 1e-15 && (eigen.values[1] - 3.0).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SymmetricEigen {
    /// Eigenvalues, ascending.
    pub values: DVector<f64>,
    /// Orthonormal eigenvectors, column j for `values[j]`.
    pub vectors: DMatrix<f64>,
}

impl SymmetricEigen {
    /// Decomposes `a`, of which only the lower triangle is read.
    ///
    /// **Errors.** [`Error::Shape`] when it is not square, [`Error::NotFinite`], [`Error::NotConverged`],
    /// [`Error::Memory`]. **Complexity.** About 9n³ operations.
    pub fn new(a: &DMatrix<f64>) -> Result<Self, Error> {
        let n = check_square(a)?;
        let (mut values, mut vectors) = (DVector::zeros(n), DMatrix::zeros(n, n));
        if n == 0 {
            return Ok(Self { values, vectors });
        }
        // Scales near the limits of the range would overflow inside: work at the scale 1, by a power of two.
        let largest = a.amax();
        let exponent = if largest > 0.0 { largest.log2().round() } else { 0.0 };
        let scale = exponent.clamp(-1000.0, 1000.0).exp2();
        let scaled = if (1e-100..1e100).contains(&largest) { None } else { Some(a / scale) };
        let request = evd::self_adjoint_evd_scratch::<f64>(
            n,
            evd::ComputeEigenvectors::Yes,
            parallelism(),
            Spec::default(),
        );
        let mut buffer = scratch("an eigendecomposition", request)?;
        evd::self_adjoint_evd(
            view(scaled.as_ref().unwrap_or(a)),
            DiagMut::from_slice_mut(values.as_mut_slice()),
            Some(view_mut(&mut vectors)),
            parallelism(),
            MemStack::new(&mut buffer),
            Spec::default(),
        )
        .map_err(|_| Error::NotConverged { what: "symmetric eigendecomposition", iterations: 30 * n })?;
        if scaled.is_some() {
            values *= scale;
        }
        Ok(Self { values, vectors })
    }
}
