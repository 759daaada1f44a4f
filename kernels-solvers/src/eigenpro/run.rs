//! The state of a fit, which can be stored between two batches.

use nalgebra::DMatrix;

use crate::checkpoint::State;

/// Where a fit stands between two batches.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) weights: DMatrix<f64>,
    /// Weights before the best epoch's successor: where to go back to when the loss explodes.
    pub(super) best: DMatrix<f64>,
    pub(super) best_residual: f64,
    pub(super) step: f64,
    pub(super) least_step: f64,
    pub(super) epoch: u64,
    /// Batches of this epoch that are in the weights, and their squared residuals.
    pub(super) batches: u64,
    pub(super) squares: f64,
    pub(super) history: Vec<f64>,
}

impl Run {
    pub(super) fn new(weights: DMatrix<f64>, step: f64) -> Self {
        Self {
            best: weights.clone(),
            weights,
            best_residual: 1.0,
            step,
            least_step: step / 1e6,
            epoch: 0,
            batches: 0,
            squares: 0.0,
            history: Vec::new(),
        }
    }

    pub(super) fn is_done(&self, epochs: usize, tolerance: f64) -> bool {
        self.epoch as usize >= epochs
            || self.step <= self.least_step
            || self.history.last().is_some_and(|r| *r <= tolerance)
    }

    /// Books an epoch; when the loss has grown tenfold over the best, goes back there with half the step.
    pub(super) fn end_epoch(&mut self, square: f64, size: f64) {
        let residual = if size > 0.0 { (square / size).sqrt() } else { square.sqrt() };
        let finite = self.weights.as_slice().iter().all(|w| w.is_finite());
        if !finite || !residual.is_finite() || residual > 10.0 * self.best_residual {
            self.weights.copy_from(&self.best);
            self.step /= 2.0;
        } else if residual <= self.best_residual {
            self.best_residual = residual;
            self.best.copy_from(&self.weights);
        }
        self.history.push(residual);
        self.epoch += 1;
        self.batches = 0;
        self.squares = 0.0;
    }

    pub(super) fn state(&self) -> State {
        let numbers = [self.best_residual, self.step, self.least_step, self.squares];
        State {
            numbers: vec![self.epoch, self.batches],
            matrices: vec![
                self.weights.clone(),
                self.best.clone(),
                DMatrix::from_row_slice(1, 4, &numbers),
                DMatrix::from_row_slice(1, self.history.len(), &self.history),
            ],
        }
    }

    pub(super) fn restore(state: State) -> Option<Self> {
        let [epoch, batches] = <[u64; 2]>::try_from(state.numbers).ok()?;
        let [weights, best, numbers, history] = <[_; 4]>::try_from(state.matrices).ok()?;
        let [best_residual, step, least_step, squares] = <[f64; 4]>::try_from(numbers.as_slice()).ok()?;
        let history = history.as_slice().to_vec();
        Some(Self { weights, best, best_residual, step, least_step, epoch, batches, squares, history })
    }
}
