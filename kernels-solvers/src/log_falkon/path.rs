//! Newton's method along a path of penalties: what two classes and many have in common.

use kernels_core::{Error as CoreError, Progress};
use nalgebra::DMatrix;

use super::WHAT;
use crate::{
    Ended, Error, Identity, SolveReport,
    falkon::Settings,
    krylov::{Apply, Iteration},
};

/// Newton's steps under penalties that fall tenfold from `start` to λ, each as soon as the decrement is small against it.
/// `step(λ)` makes one and returns the decrement before it.
pub(super) fn follow(
    settings: &Settings,
    start: f64,
    progress: &mut dyn Progress,
    mut step: impl FnMut(f64) -> Result<f64, Error>,
) -> Result<SolveReport, Error> {
    let (mut lambda, mut history, mut ended) = (start, Vec::new(), Ended::Iterations);
    while history.len() < settings.max_iterations {
        let decrement = step(lambda)?;
        history.push(decrement);
        if progress.step(WHAT, history.len(), settings.max_iterations).is_break() {
            return Err(CoreError::Cancelled.into());
        }
        if lambda > settings.lambda {
            if decrement <= lambda.sqrt() / 3.0 {
                lambda = (lambda / 10.0).max(settings.lambda);
            }
        } else if decrement * decrement / 2.0 <= settings.tolerance {
            ended = Ended::Converged;
            break;
        }
    }
    let residual = history.last().copied().unwrap_or(0.0);
    Ok(SolveReport { iterations: history.len(), residual, history, ended, jitter: 0.0 })
}

/// H⁻¹ g to a hundredth, by at most so many products with H, and the squared decrement gᵀH⁻¹g. The condition number is near 1: a
/// few iterations give Newton's direction to a few percent.
pub(super) fn direction(
    gradient: &DMatrix<f64>,
    most: usize,
    apply: &mut Apply<'_>,
) -> Result<(DMatrix<f64>, f64), Error> {
    let tolerance = 1e-2;
    let mut it = Iteration::new(gradient, None, apply, &Identity)?;
    while !it.done(tolerance) && it.iterations() < most {
        it.step(tolerance, apply, &Identity)?;
    }
    let (direction, _) = it.finish(tolerance);
    let squared = gradient.dot(&direction).max(0.0);
    Ok((direction, squared))
}

/// The penalty λ/2 tr aᵀKa along a − η s.
pub(super) struct Penalty {
    lambda: f64,
    aa: f64,
    sa: f64,
    ss: f64,
}

impl Penalty {
    pub(super) fn new(lambda: f64, k: &DMatrix<f64>, a: &DMatrix<f64>, step: &DMatrix<f64>) -> Self {
        let (ka, ks) = (k * a, k * step);
        Self { lambda, aa: a.dot(&ka), sa: step.dot(&ka), ss: step.dot(&ks) }
    }

    pub(super) fn at(&self, eta: f64) -> f64 {
        self.lambda / 2.0 * (self.aa - 2.0 * eta * self.sa + eta * eta * self.ss)
    }
}

/// The share η of a Newton step that lowers the objective enough, by halving; 0 when none lowers it.
pub(super) fn share(squared: f64, objective: impl Fn(f64) -> f64) -> f64 {
    let now = objective(0.0);
    let mut eta = 1.0;
    while objective(eta) > now - 1e-4 * eta * squared && eta > 1e-10 {
        eta /= 2.0;
    }
    if objective(eta) <= now { eta } else { 0.0 }
}
