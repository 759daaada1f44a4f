//! What an iterative solver did.

/// Why an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Ended {
    /// The tolerance was reached.
    Converged,
    /// The most iterations that were allowed were made.
    Iterations,
    /// Rounding leaves no further progress.
    Stagnated,
}

/// What an iterative solver did: not converging is for the caller to see, never a quiet success.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveReport {
    /// Iterations made (epochs for stochastic methods).
    pub iterations: usize,
    /// Last residual relative to the right-hand side, the largest of all columns.
    pub residual: f64,
    /// The residual after 0, 1, 2, … iterations.
    pub history: Vec<f64>,
    /// Why it ended.
    pub ended: Ended,
    /// What was added to a diagonal to make its factorization possible; 0 when nothing was.
    pub jitter: f64,
}
