//! Krylov methods for symmetric operators that are multiplied by and never stored.

mod iteration;
mod lanczos;
mod minres;
mod preconditioner;

use std::path::Path;

pub(crate) use iteration::{Apply, Iteration, Solve};
use kernels_core::{Operator, Progress, Real};
pub(crate) use lanczos::Lanczos;
pub use minres::Minres;
use nalgebra::DMatrix;
pub use preconditioner::{BlockJacobi, Identity, LowRankPreconditioner, Preconditioner};

use crate::{
    Error, SolveReport,
    checkpoint::{Checkpoint, FIRST, fold, fold_values},
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
    checkpoint: Option<Checkpoint>,
}

impl Default for ConjugateGradients {
    fn default() -> Self {
        Self::new()
    }
}

impl ConjugateGradients {
    /// Tolerance 1e-8, at most 1000 iterations.
    pub fn new() -> Self {
        Self { tolerance: 1e-8, max_iterations: 1000, checkpoint: None }
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

    /// Keeps the state in a file after every `every` iterations, and goes on from it when it is there, to the same bits. The file
    /// belongs to one right-hand side, tolerance and diagonal of A; that all of A and the preconditioner are the same is the caller's
    /// to see to.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some(Checkpoint::new(path.as_ref(), every));
        self
    }

    /// Solves, from `start` (a warm start) or from 0.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, a checkpoint of another problem, [`kernels_core::Error::Cancelled`]. **Complexity.** One product
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
        let checkpoint = match &self.checkpoint {
            Some(checkpoint) => {
                let mut diagonal = vec![T::default(); operator.dim()];
                operator.diagonal(&mut diagonal)?;
                let diagonal: Vec<f64> = diagonal.into_iter().map(T::to_f64).collect();
                let hash = fold(FIRST, format!("cg {:?} {:?}", rhs.shape(), self.tolerance).as_bytes());
                Some((checkpoint, fold_values(fold_values(hash, rhs.iter()), &diagonal)))
            }
            None => None,
        };
        let (tolerance, max_iterations) = (self.tolerance, self.max_iterations);
        let solve = Solve { what: "conjugate gradients", tolerance, max_iterations, checkpoint };
        solve.run(rhs, start, &mut apply, preconditioner, progress)
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

/// Inner products of the columns.
fn dots(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Vec<f64> {
    a.column_iter().zip(b.column_iter()).map(|(a, b)| a.dot(&b)).collect()
}
