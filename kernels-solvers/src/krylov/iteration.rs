//! The state of preconditioned conjugate gradients, which can be stored between two iterations.

use kernels_core::{Error as CoreError, Progress};
use nalgebra::DMatrix;

use super::{Preconditioner, dots};
use crate::{
    Ended, Error, SolveReport,
    checkpoint::{Checkpoint, State},
};

/// How an operator multiplies.
pub(crate) type Apply<'a> = dyn FnMut(&DMatrix<f64>) -> Result<DMatrix<f64>, Error> + 'a;

/// Residuals are recomputed from their definition this often.
const REFRESH: usize = 50;

/// Conjugate gradients between two iterations. All that a next iteration reads is here, so that a stored state goes on to the
/// same bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Iteration {
    pub(crate) rhs: DMatrix<f64>,
    pub(crate) x: DMatrix<f64>,
    pub(crate) residual: DMatrix<f64>,
    pub(crate) direction: DMatrix<f64>,
    /// rᵀ P⁻¹ r of every column.
    pub(crate) products: Vec<f64>,
    pub(crate) history: Vec<f64>,
    pub(crate) stagnated: bool,
}

impl Iteration {
    pub(crate) fn new(
        rhs: &DMatrix<f64>,
        start: Option<&DMatrix<f64>>,
        apply: &mut Apply<'_>,
        preconditioner: &dyn Preconditioner,
    ) -> Result<Self, Error> {
        let (x, residual) = match start {
            None => (DMatrix::zeros(rhs.nrows(), rhs.ncols()), rhs.clone()),
            Some(x) => (x.clone(), rhs - apply(x)?),
        };
        let direction = preconditioner.solve(&residual)?;
        let products = dots(&residual, &direction);
        let mut it = Self {
            rhs: rhs.clone(),
            x,
            residual,
            direction,
            products,
            history: Vec::new(),
            stagnated: false,
        };
        let first = it.relative_residual();
        it.history.push(first);
        Ok(it)
    }

    pub(crate) fn iterations(&self) -> usize {
        self.history.len() - 1
    }

    fn column_residual(&self, k: usize) -> f64 {
        let norm = self.rhs.column(k).norm();
        if norm > 0.0 { self.residual.column(k).norm() / norm } else { self.residual.column(k).norm() }
    }

    fn relative_residual(&self) -> f64 {
        (0..self.rhs.ncols()).map(|k| self.column_residual(k)).fold(0.0, f64::max)
    }

    pub(crate) fn done(&self, tolerance: f64) -> bool {
        self.stagnated || self.history.last().is_none_or(|r| *r <= tolerance)
    }

    pub(crate) fn step(
        &mut self,
        tolerance: f64,
        apply: &mut Apply<'_>,
        preconditioner: &dyn Preconditioner,
    ) -> Result<(), Error> {
        let image = apply(&self.direction)?;
        let curvature = dots(&self.direction, &image);
        let moving: Vec<bool> = (0..self.rhs.ncols())
            .map(|k| self.column_residual(k) > tolerance && curvature[k] > 0.0 && self.products[k] > 0.0)
            .collect();
        self.stagnated = moving.iter().all(|m| !m);
        for k in (0..moving.len()).filter(|k| moving[*k]) {
            let step = self.products[k] / curvature[k];
            self.x.column_mut(k).axpy(step, &self.direction.column(k), 1.0);
            self.residual.column_mut(k).axpy(-step, &image.column(k), 1.0);
        }
        if (self.iterations() + 1).is_multiple_of(REFRESH) {
            self.residual = &self.rhs - apply(&self.x)?;
        }
        let z = preconditioner.solve(&self.residual)?;
        let products = dots(&self.residual, &z);
        for k in (0..moving.len()).filter(|k| moving[*k]) {
            let ratio = products[k] / self.products[k];
            let mut direction = self.direction.column_mut(k);
            direction *= ratio;
            direction += z.column(k);
            self.products[k] = products[k];
        }
        self.history.push(self.relative_residual());
        Ok(())
    }

    pub(crate) fn finish(self, tolerance: f64) -> (DMatrix<f64>, SolveReport) {
        let residual = self.history.last().copied().unwrap_or(0.0);
        let ended = if residual <= tolerance {
            Ended::Converged
        } else if self.stagnated {
            Ended::Stagnated
        } else {
            Ended::Iterations
        };
        let iterations = self.iterations();
        (self.x, SolveReport { iterations, residual, history: self.history, ended, jitter: 0.0 })
    }
}

impl Iteration {
    fn state(&self) -> State {
        let row = |v: &[f64]| DMatrix::from_row_slice(1, v.len(), v);
        State {
            numbers: vec![u64::from(self.stagnated)],
            matrices: vec![
                self.x.clone(),
                self.residual.clone(),
                self.direction.clone(),
                row(&self.products),
                row(&self.history),
            ],
        }
    }

    fn restore(right: &DMatrix<f64>, state: State) -> Option<Self> {
        let stagnated = *state.numbers.first()? == 1;
        let [x, residual, direction, products, history] = <[_; 5]>::try_from(state.matrices).ok()?;
        let (products, history) = (products.as_slice().to_vec(), history.as_slice().to_vec());
        Some(Self { rhs: right.clone(), x, residual, direction, products, history, stagnated })
    }
}

/// How far to iterate, and where the state is kept: a checkpoint with the fingerprint of the problem.
pub(crate) struct Solve<'a> {
    pub(crate) what: &'static str,
    pub(crate) tolerance: f64,
    pub(crate) max_iterations: usize,
    pub(crate) checkpoint: Option<(&'a Checkpoint, u64)>,
}

impl Solve<'_> {
    pub(crate) fn run(
        &self,
        right: &DMatrix<f64>,
        start: Option<&DMatrix<f64>>,
        apply: &mut Apply<'_>,
        preconditioner: &dyn Preconditioner,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        let stored = match self.checkpoint {
            Some((checkpoint, problem)) => checkpoint.load(problem)?,
            None => None,
        };
        let mut it = match stored.and_then(|state| Iteration::restore(right, state)) {
            Some(it) => it,
            None => Iteration::new(right, start, apply, preconditioner)?,
        };
        while !it.done(self.tolerance) && it.iterations() < self.max_iterations {
            it.step(self.tolerance, apply, preconditioner)?;
            if let Some((checkpoint, problem)) = self.checkpoint.filter(|(c, _)| c.is_due(it.iterations())) {
                checkpoint.save(problem, &it.state())?;
            }
            if progress.step(self.what, it.iterations(), self.max_iterations).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        Ok(it.finish(self.tolerance))
    }
}
