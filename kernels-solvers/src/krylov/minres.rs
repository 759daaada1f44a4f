//! MINRES for symmetric operators of any sign.

use kernels_core::{Error as CoreError, Operator, Progress, Real};
use nalgebra::DMatrix;

use super::{Identity, Preconditioner, applied, dots};
use crate::{
    Ended, Error, SolveReport,
    data::{expect, finite},
};

/// MINRES: minimises ‖b − Ax‖ over the Krylov spaces of a symmetric A, definite or not. For indefinite kernels and saddle points.
///
/// All columns of the right-hand side go through A at once, each with an iteration of its own. A singular but consistent system gives
/// the solution of least norm.
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
/// Reference: Paige, Saunders, *Solution of sparse indefinite systems of linear equations* (1975), section 6; Elman, Silvester,
/// Wathen, *Finite elements and fast iterative solvers* (2014), algorithm 4.1 with a preconditioner.
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

/// The iteration of a column: Givens rotations (c, s) of the last two steps, and the right-hand side they turn.
#[derive(Clone, Debug)]
struct Column {
    /// Size of the right-hand side.
    of_rhs: f64,
    /// Norm of the Lanczos vector before it was scaled.
    beta: f64,
    c: f64,
    s: f64,
    c_old: f64,
    s_old: f64,
    eta: f64,
    /// Size of the tridiagonal matrix, against which rounding is measured.
    size: f64,
    ended: Option<Ended>,
}

impl Column {
    fn relative(&self) -> f64 {
        if self.of_rhs > 0.0 { self.eta.abs() / self.of_rhs } else { self.eta.abs() }
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

    /// Sets the most iterations.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Solves A X = B from 0; the report is that of the worst column.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, [`kernels_core::Error::Cancelled`]. **Complexity.** One product
    /// with A an iteration.
    pub fn solve<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        rhs: &DMatrix<f64>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        self.solve_with(operator, rhs, &Identity, None, progress)
    }

    /// The same with a preconditioner P, which is positive definite though A is not, and from `start`. The tolerance and the report's
    /// history are of ‖b − Ax‖ / ‖b‖ in the norm of P⁻¹, which is what is minimised; the report's last residual is in the
    /// plain norm.
    ///
    /// # Errors
    /// As [`Minres::solve`].
    ///
    /// ```
    /// use kernels_core::Dense;
    /// use kernels_solvers::{LowRankPreconditioner, Minres};
    /// use nalgebra::DMatrix;
    /// // A large part of rank one, and signs that alternate.
    /// let a = DMatrix::from_fn(40, 40, |i, j| 10.0 + if i != j { 0.0 } else if i % 2 == 0 { 1.0 } else { -1.0 });
    /// let a = Dense::new(a)?;
    /// let large = Dense::new(DMatrix::from_element(40, 40, 10.0))?;
    /// let p = LowRankPreconditioner::nystrom(&large, 1, 1.0, 0)?;
    /// let b = DMatrix::from_fn(40, 1, |i, _| (i as f64).sin());
    /// let (x, report) = Minres::new().tolerance(1e-10).solve_with(&a, &b, &p, None, &mut ())?;
    /// assert!(report.iterations <= 6 && (a.matrix() * x - b).amax() < 1e-8);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn solve_with<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        rhs: &DMatrix<f64>,
        preconditioner: &dyn Preconditioner,
        start: Option<&DMatrix<f64>>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        expect("rows of the right-hand side", operator.dim(), rhs.nrows())?;
        finite("right-hand side", rhs.as_slice(), rhs.nrows().max(1))?;
        let of_rhs = dots(rhs, &preconditioner.solve(rhs)?);
        let mut x = DMatrix::zeros(rhs.nrows(), rhs.ncols());
        let mut v = rhs.clone();
        if let Some(start) = start {
            expect("rows of the start", rhs.nrows(), start.nrows())?;
            expect("columns of the start", rhs.ncols(), start.ncols())?;
            x.copy_from(start);
            v -= applied(operator, &x)?;
        }
        // Lanczos vectors, before and after P⁻¹, and the last two columns of P⁻¹V R⁻¹.
        let mut z = preconditioner.solve(&v)?;
        let mut v_old = DMatrix::zeros(rhs.nrows(), rhs.ncols());
        let (mut d, mut d_old) = (v_old.clone(), v_old.clone());
        let mut columns: Vec<Column> = dots(&v, &z)
            .into_iter()
            .zip(of_rhs)
            .map(|(own, of_rhs)| {
                let beta = own.max(0.0).sqrt();
                let (of_rhs, ended) = (of_rhs.max(0.0).sqrt(), None);
                Column { of_rhs, beta, c: 1.0, s: 0.0, c_old: 1.0, s_old: 0.0, eta: beta, size: 0.0, ended }
            })
            .collect();
        for (k, column) in columns.iter_mut().enumerate() {
            if column.beta > 0.0 && column.relative() > self.tolerance {
                v.column_mut(k).unscale_mut(column.beta);
                z.column_mut(k).unscale_mut(column.beta);
            } else {
                column.ended = Some(Ended::Converged);
            }
            // The first step has nothing before it.
            column.beta = 0.0;
        }
        let worst = |columns: &[Column]| columns.iter().map(Column::relative).fold(0.0, f64::max);
        let mut history = vec![worst(&columns)];
        loop {
            let moving: Vec<usize> = (0..columns.len()).filter(|&k| columns[k].ended.is_none()).collect();
            if moving.is_empty() || history.len() > self.max_iterations {
                break;
            }
            let images = applied(operator, &z.select_columns(&moving))?;
            let mut next = DMatrix::zeros(rhs.nrows(), moving.len());
            let mut diagonal = vec![0.0; moving.len()];
            for (w, &k) in moving.iter().enumerate() {
                diagonal[w] = z.column(k).dot(&images.column(w));
                let mut to = next.column_mut(w);
                to.copy_from(&images.column(w));
                to.axpy(-diagonal[w], &v.column(k), 1.0);
                to.axpy(-columns[k].beta, &v_old.column(k), 1.0);
            }
            let solved = preconditioner.solve(&next)?;
            for ((w, &k), squared) in moving.iter().enumerate().zip(dots(&next, &solved)) {
                let (alpha, beta) = (diagonal[w], squared.max(0.0).sqrt());
                let it = &mut columns[k];
                it.size = it.size.max(alpha.abs() + it.beta + beta);
                let epsilon = it.s_old * it.beta;
                let delta = it.c * it.c_old * it.beta + it.s * alpha;
                let gamma_bar = it.c * alpha - it.s * it.c_old * it.beta;
                let gamma = gamma_bar.hypot(beta);
                if !(gamma > it.size * f64::EPSILON) {
                    it.ended = Some(Ended::Stagnated);
                    continue;
                }
                (it.c_old, it.s_old, it.c, it.s) = (it.c, it.s, gamma_bar / gamma, beta / gamma);
                let mut direction = z.column(k).into_owned();
                direction.axpy(-delta, &d.column(k), 1.0);
                direction.axpy(-epsilon, &d_old.column(k), 1.0);
                direction.unscale_mut(gamma);
                x.column_mut(k).axpy(it.c * it.eta, &direction, 1.0);
                it.eta *= -it.s;
                d_old.set_column(k, &d.column(k));
                d.set_column(k, &direction);
                if it.relative() <= self.tolerance {
                    it.ended = Some(Ended::Converged);
                } else if !(beta > it.size * f64::EPSILON) {
                    it.ended = Some(Ended::Stagnated);
                } else {
                    v_old.set_column(k, &v.column(k));
                    v.set_column(k, &(next.column(w) / beta));
                    z.set_column(k, &(solved.column(w) / beta));
                    it.beta = beta;
                }
            }
            history.push(worst(&columns));
            if progress.step("MINRES", history.len() - 1, self.max_iterations).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        let left = rhs - applied(operator, &x)?;
        let relative = |k: usize| {
            let (left, size) = (left.column(k).norm(), rhs.column(k).norm());
            if size > 0.0 { left / size } else { left }
        };
        let residual = (0..rhs.ncols()).map(relative).fold(0.0, f64::max);
        let has = |ended: Option<Ended>| columns.iter().any(|c| c.ended == ended);
        let ended = if has(None) {
            Ended::Iterations
        } else if has(Some(Ended::Stagnated)) {
            Ended::Stagnated
        } else {
            Ended::Converged
        };
        let iterations = history.len() - 1;
        Ok((x, SolveReport { iterations, residual, history, ended, jitter: 0.0 }))
    }
}
