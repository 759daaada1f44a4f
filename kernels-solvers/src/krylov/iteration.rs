//! The state of preconditioned conjugate gradients, which can be stored between two iterations.

use nalgebra::DMatrix;

use super::Preconditioner;
use crate::{Ended, Error, SolveReport};

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

/// Inner products of the columns.
fn dots(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Vec<f64> {
    a.column_iter().zip(b.column_iter()).map(|(a, b)| a.dot(&b)).collect()
}
