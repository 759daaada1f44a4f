//! MINRES for symmetric operators of any sign.

use kernels_core::{Error as CoreError, Operator, Progress, Real};
use nalgebra::{DMatrix, DVector};

use super::applied;
use crate::{
    Ended, Error, SolveReport,
    data::{expect, finite},
};

/// MINRES: minimises ‖b − Ax‖ over the Krylov spaces of a symmetric A, definite or not. For indefinite kernels and saddle points.
///
/// A singular but consistent system gives the solution of least norm.
///
/// ```
/// use kernels_core::Dense;
/// use kernels_solvers::Minres;
/// use nalgebra::dmatrix;
/// let a = Dense::new(dmatrix![1.0, 2.0; 2.0, -1.0])?;
/// let (x, report) = Minres::new().solve(&a, &dmatrix![5.0; 0.0], &mut ())?;
/// assert!((x - dmatrix![1.0; 2.0]).amax() < 1e-12 && report.iterations == 2);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Paige, Saunders, *Solution of sparse indefinite systems of linear equations* (1975), section 6.
#[derive(Clone, Debug, PartialEq)]
pub struct Minres {
    tolerance: f64,
    max_iterations: usize,
}

impl Default for Minres {
    fn default() -> Self {
        Self::new()
    }
}

impl Minres {
    /// Tolerance 1e-8, at most 1000 iterations.
    pub fn new() -> Self {
        Self { tolerance: 1e-8, max_iterations: 1000 }
    }

    /// Sets the relative residual to reach.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the most iterations, for each column.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Solves A X = B column by column; the report is that of the worst column.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, [`kernels_core::Error::Cancelled`]. **Complexity.** One product
    /// with A an iteration and column.
    pub fn solve<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        rhs: &DMatrix<f64>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        expect("rows of the right-hand side", operator.dim(), rhs.nrows())?;
        finite("right-hand side", rhs.as_slice(), rhs.nrows().max(1))?;
        let mut out = DMatrix::zeros(rhs.nrows(), rhs.ncols());
        let mut worst = SolveReport {
            iterations: 0,
            residual: 0.0,
            history: vec![0.0],
            ended: Ended::Converged,
            jitter: 0.0,
        };
        for k in 0..rhs.ncols() {
            let (x, report) = self.column(operator, rhs.column(k).into_owned(), progress)?;
            out.set_column(k, &x);
            if report.residual > worst.residual || k == 0 {
                worst = report;
            }
        }
        Ok((out, worst))
    }

    fn column<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        b: DVector<f64>,
        progress: &mut dyn Progress,
    ) -> Result<(DVector<f64>, SolveReport), Error> {
        let n = b.len();
        let norm = b.norm();
        let mut x = DVector::zeros(n);
        let mut history = vec![if norm > 0.0 { 1.0 } else { 0.0 }];
        let mut ended = if norm > 0.0 { Ended::Iterations } else { Ended::Converged };
        // Lanczos vectors, and the last two columns of V R⁻¹.
        let mut v = if norm > 0.0 { &b / norm } else { b.clone() };
        let mut v_old = DVector::zeros(n);
        let (mut d, mut d_old) = (DVector::zeros(n), DVector::zeros(n));
        let mut beta = 0.0;
        // Givens rotations (c, s) of the last two steps, and the right-hand side they turn.
        let ((mut c, mut s), (mut c_old, mut s_old)) = ((1.0, 0.0), (1.0, 0.0));
        let mut eta = norm;
        let mut size = 0.0_f64;
        while ended == Ended::Iterations && history.len() <= self.max_iterations {
            let image = applied(operator, &DMatrix::from_column_slice(n, 1, v.as_slice()))?;
            let mut w = DVector::from_column_slice(image.as_slice());
            let alpha = v.dot(&w);
            w.axpy(-alpha, &v, 1.0);
            w.axpy(-beta, &v_old, 1.0);
            let next = w.norm();
            size = size.max(alpha.abs() + beta + next);
            let epsilon = s_old * beta;
            let delta = c * c_old * beta + s * alpha;
            let gamma_bar = c * alpha - s * c_old * beta;
            let gamma = gamma_bar.hypot(next);
            if gamma <= size * f64::EPSILON {
                ended = Ended::Stagnated;
                break;
            }
            let (c_new, s_new) = (gamma_bar / gamma, next / gamma);
            let mut d_new = v.clone();
            d_new.axpy(-delta, &d, 1.0);
            d_new.axpy(-epsilon, &d_old, 1.0);
            d_new /= gamma;
            x.axpy(c_new * eta, &d_new, 1.0);
            eta *= -s_new;
            (d_old, d) = (d, d_new);
            (c_old, s_old, c, s) = (c, s, c_new, s_new);
            history.push(eta.abs() / norm);
            if eta.abs() <= self.tolerance * norm {
                ended = Ended::Converged;
            } else if next <= size * f64::EPSILON {
                ended = Ended::Stagnated;
            } else {
                v_old = std::mem::replace(&mut v, w / next);
                beta = next;
            }
            if progress.step("MINRES", history.len() - 1, self.max_iterations).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        let residual = history.last().copied().unwrap_or(0.0);
        Ok((x, SolveReport { iterations: history.len() - 1, residual, history, ended, jitter: 0.0 }))
    }
}
