//! General square systems.

use faer::{
    Spec,
    dyn_stack::MemStack,
    linalg::lu::partial_pivoting::{factor, solve},
    perm::PermRef,
};
use nalgebra::{DMatrix, DMatrixViewMut};

use super::{check_square, parallelism, scratch, tile_mut, view, view_mut};
use crate::Error;

/// PA = LU of a square matrix: for saddle-point and other systems that are not positive definite.
///
/// ```
/// use kernels_core::dense::Lu;
/// use nalgebra::dmatrix;
/// let lu = Lu::new(dmatrix![0.0, 1.0; 2.0, 0.0])?;
/// let mut b = dmatrix![3.0; 4.0];
/// lu.solve_in_place(b.as_view_mut())?;
/// assert_eq!(b, dmatrix![2.0; 3.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lu {
    /// L below the diagonal, U on and above it.
    factors: DMatrix<f64>,
    forward: Vec<usize>,
    inverse: Vec<usize>,
}

impl Lu {
    /// Factorizes `a` with row exchanges.
    ///
    /// **Errors.** [`Error::Shape`] when it is not square, [`Error::NotFinite`], [`Error::Singular`] where a pivot is 0,
    /// [`Error::Memory`]. **Complexity.** 2n³/3 operations.
    pub fn new(mut a: DMatrix<f64>) -> Result<Self, Error> {
        let n = check_square(&a)?;
        let (mut forward, mut inverse) = (vec![0; n], vec![0; n]);
        let request = factor::lu_in_place_scratch::<usize, f64>(n, n, parallelism(), Spec::default());
        let mut buffer = scratch("an LU factorization", request)?;
        let stack = MemStack::new(&mut buffer);
        factor::lu_in_place(
            view_mut(&mut a),
            &mut forward,
            &mut inverse,
            parallelism(),
            stack,
            Spec::default(),
        );
        match (0..n).find(|&i| a[(i, i)] == 0.0) {
            Some(pivot) => Err(Error::Singular { pivot, n }),
            None => Ok(Self { factors: a, forward, inverse }),
        }
    }

    /// Overwrites `rhs`, n × t, with A⁻¹ `rhs`.
    ///
    /// **Errors.** [`Error::Shape`] for another number of rows, [`Error::Memory`]. **Complexity.** 2n²t operations.
    pub fn solve_in_place(&self, mut rhs: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        let n = self.factors.nrows();
        if rhs.nrows() != n {
            return Err(Error::Shape {
                what: "rows of the right-hand side",
                expected: n,
                given: rhs.nrows(),
            });
        }
        let request = solve::solve_in_place_scratch::<usize, f64>(n, rhs.ncols(), parallelism());
        let mut buffer = scratch("a solution", request)?;
        solve::solve_in_place(
            view(&self.factors),
            view(&self.factors),
            PermRef::new_checked(&self.forward, &self.inverse, n),
            tile_mut(&mut rhs),
            parallelism(),
            MemStack::new(&mut buffer),
        );
        Ok(())
    }
}
