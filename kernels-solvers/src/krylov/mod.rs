//! Krylov methods for symmetric operators that are multiplied by and never stored.

mod iteration;
mod minres;
mod preconditioner;

pub(crate) use iteration::Iteration;
use kernels_core::{Error as CoreError, Operator, Progress, Real};
pub use minres::Minres;
use nalgebra::DMatrix;
pub use preconditioner::{BlockJacobi, Identity, LowRankPreconditioner, Preconditioner};

use crate::{
    Error, SolveReport,
    data::{expect, finite},
};

/// Preconditioned conjugate gradients for A X = B, A symmetric positive definite, all columns of B at once: kernel values
/// are computed once an iteration for all of them.
///
/// Ends when every column has ‖b − Ax‖ ≤ tolerance ‖b‖; columns that are done no longer move. The residual is recomputed from its
/// definition every 50 iterations. When the smallest eigenvalue of A is at least α, ‖x − x*‖ ≤ ‖r‖ / α.
///
/// ```
/// use kernels_core::{LazyGram, PivotedCholesky, Rbf, Rows, Shifted};
/// use kernels_solvers::{ConjugateGradients, LowRankPreconditioner};
/// use nalgebra::DMatrix;
/// let xs = Rows::from_row_major((0..300).map(|i| f64::from(i) / 50.0).collect(), 300, 1)?;
/// let kernel = Rbf::new(1.0)?;
/// let k = LazyGram::new(&kernel, &xs, 1 << 22)?;
/// let low = PivotedCholesky::new(20).run(&k, &mut ())?;
/// let preconditioner = LowRankPreconditioner::new(&low, 1e-3)?;
/// let y = DMatrix::from_fn(300, 1, |i, _| (i as f64 / 50.0).sin());
/// let (c, report) = ConjugateGradients::new().solve(&Shifted::new(k, 1e-3), &y, &preconditioner, None, &mut ())?;
/// assert!(report.iterations < 10 && c.nrows() == 300);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConjugateGradients {
    tolerance: f64,
    max_iterations: usize,
}

impl Default for ConjugateGradients {
    fn default() -> Self {
        Self::new()
    }
}

impl ConjugateGradients {
    /// Tolerance 1e-8, at most 1000 iterations.
    pub fn new() -> Self {
        Self { tolerance: 1e-8, max_iterations: 1000 }
    }

    /// Sets the relative residual to reach.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the most iterations.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Solves, from `start` (a warm start) or from 0.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, [`kernels_core::Error::Cancelled`]. **Complexity.** One product
    /// with A an iteration.
    pub fn solve<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        rhs: &DMatrix<f64>,
        preconditioner: &dyn Preconditioner,
        start: Option<&DMatrix<f64>>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        expect("rows of the right-hand side", operator.dim(), rhs.nrows())?;
        finite("right-hand side", rhs.as_slice(), rhs.nrows().max(1))?;
        if let Some(start) = start {
            expect("rows of the start", rhs.nrows(), start.nrows())?;
            expect("columns of the start", rhs.ncols(), start.ncols())?;
        }
        let mut apply = |v: &DMatrix<f64>| applied(operator, v);
        let mut it = Iteration::new(rhs, start, &mut apply, preconditioner)?;
        while !it.done(self.tolerance) && it.iterations() < self.max_iterations {
            it.step(self.tolerance, &mut apply, preconditioner)?;
            if progress.step("conjugate gradients", it.iterations(), self.max_iterations).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        Ok(it.finish(self.tolerance))
    }
}

/// A v with A in its own scalars.
pub(crate) fn applied<T: Real>(
    operator: &(impl Operator<T> + ?Sized),
    v: &DMatrix<f64>,
) -> Result<DMatrix<f64>, Error> {
    let mut out = DMatrix::repeat(v.nrows(), v.ncols(), T::default());
    operator.apply(v.map(T::of).as_view(), out.as_view_mut())?;
    Ok(out.map(T::to_f64))
}
