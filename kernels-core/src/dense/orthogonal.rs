//! Factorizations with orthonormal columns.

use faer::{
    Conj, Par, Spec,
    diag::DiagMut,
    dyn_stack::MemStack,
    linalg::{
        householder,
        qr::no_pivoting::factor,
        svd::{self, ComputeSvdVectors},
    },
};
use nalgebra::{DMatrix, DVector};

use super::{check_finite, parallelism, scratch, view, view_mut};
use crate::Error;

/// A = QR of an m × n matrix with m ≥ n: Q has n orthonormal columns, R is upper triangular.
///
/// ```
/// use kernels_core::dense::Qr;
/// use nalgebra::dmatrix;
/// let a = dmatrix![3.0, 1.0; 4.0, 2.0];
/// let qr = Qr::new(&a)?;
/// assert!((&qr.q * &qr.r - a).amax() < 1e-14 && qr.r[(1, 0)] == 0.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Qr {
    /// Q, m × n.
    pub q: DMatrix<f64>,
    /// R, n × n. Its diagonal may be negative; a column that depends on earlier ones has a diagonal entry near 0.
    pub r: DMatrix<f64>,
}

impl Qr {
    /// Factorizes `a` by Householder reflections.
    ///
    /// **Errors.** [`Error::Shape`] when there are more columns than rows, [`Error::NotFinite`], [`Error::Memory`].
    /// **Complexity.** About 4mn² operations.
    pub fn new(a: &DMatrix<f64>) -> Result<Self, Error> {
        let (q, r) = factorize(a, a.ncols())?;
        Ok(Self { q, r })
    }

    /// All m columns of Q, m × m: the last m − n span what is orthogonal to the columns of `a`.
    ///
    /// # Errors
    /// As [`Qr::new`].
    pub fn full_basis(a: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        Ok(factorize(a, a.nrows())?.0)
    }
}

/// The first `columns` columns of Q, and R.
fn factorize(a: &DMatrix<f64>, columns: usize) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
    let (m, n) = a.shape();
    if n > m {
        return Err(Error::Shape {
            what: "columns of a matrix with no fewer rows (at most)",
            expected: m,
            given: n,
        });
    }
    check_finite(a)?;
    let mut q = DMatrix::identity(m, columns);
    if n == 0 {
        return Ok((q, DMatrix::zeros(0, 0)));
    }
    let block = factor::recommended_block_size::<f64>(m, n);
    let (mut basis, mut coefficients) = (a.clone(), DMatrix::zeros(block, n));
    let par: Par = parallelism();
    let mut buffer =
        scratch("a QR factorization", factor::qr_in_place_scratch::<f64>(m, n, block, par, Spec::default()))?;
    let stack = MemStack::new(&mut buffer);
    factor::qr_in_place(view_mut(&mut basis), view_mut(&mut coefficients), par, stack, Spec::default());
    let request =
        householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(m, block, columns);
    let mut buffer = scratch("a QR factorization", request)?;
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        view(&basis),
        view(&coefficients),
        Conj::No,
        view_mut(&mut q),
        par,
        MemStack::new(&mut buffer),
    );
    Ok((q, basis.rows(0, n).upper_triangle()))
}

/// A = U diag(σ) Vᵀ, thin: with k = min(m, n), U is m × k and V is n × k.
///
/// ```
/// use kernels_core::dense::Svd;
/// use nalgebra::dmatrix;
/// let svd = Svd::new(&dmatrix![0.0, 2.0; 1.0, 0.0])?;
/// assert!((svd.values[0] - 2.0).abs() < 1e-15 && (svd.values[1] - 1.0).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Svd {
    /// Left singular vectors, column j for `values[j]`.
    pub u: DMatrix<f64>,
    /// Singular values, descending.
    pub values: DVector<f64>,
    /// Right singular vectors, column j for `values[j]`.
    pub v: DMatrix<f64>,
}

impl Svd {
    /// Decomposes `a`.
    ///
    /// **Errors.** [`Error::NotFinite`], [`Error::NotConverged`], [`Error::Memory`]. **Complexity.** O(mn min(m, n)).
    pub fn new(a: &DMatrix<f64>) -> Result<Self, Error> {
        let (m, n) = a.shape();
        let k = m.min(n);
        check_finite(a)?;
        let (mut u, mut values, mut v) = (DMatrix::zeros(m, k), DVector::zeros(k), DMatrix::zeros(n, k));
        if k == 0 {
            return Ok(Self { u, values, v });
        }
        let (thin, par) = (ComputeSvdVectors::Thin, parallelism());
        let request = svd::svd_scratch::<f64>(m, n, thin, thin, par, Spec::default());
        let mut buffer = scratch("a singular value decomposition", request)?;
        svd::svd(
            view(a),
            DiagMut::from_slice_mut(values.as_mut_slice()),
            Some(view_mut(&mut u)),
            Some(view_mut(&mut v)),
            par,
            MemStack::new(&mut buffer),
            Spec::default(),
        )
        .map_err(|_| Error::NotConverged { what: "singular value decomposition", iterations: 30 * k })?;
        Ok(Self { u, values, v })
    }
}
