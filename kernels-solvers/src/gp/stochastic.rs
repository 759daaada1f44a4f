//! Log-determinants and likelihoods from products alone.

use kernels_core::{Operator, Shifted};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error,
    data::{at_least, expect, positive},
    krylov::Lanczos,
    spectral::{KrylovLimits, Tikhonov, filter_operator},
};

/// An estimate from random probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StochasticEstimate {
    /// The mean over probes.
    pub value: f64,
    /// Its standard error; infinite for a single probe.
    pub standard_error: f64,
}

/// ln det A of a positive definite operator by stochastic Lanczos quadrature: the mean over random sign vectors z of
/// ‖z‖² Σ τ²ⱼ ln θⱼ, with nodes and weights of Lanczos' tridiagonal matrix.
///
/// Unbiased up to the quadrature, whose error falls geometrically with the steps. Same seed, same bits; one stream a probe, so
/// more probes keep the earlier ones.
///
/// **Errors.** No probes, no steps, an operator with an eigenvalue that is not positive. **Complexity.** probes × steps products,
/// memory n × steps.
///
/// Reference: Ubaru, Chen, Saad, *Fast estimation of tr(f(A)) via stochastic Lanczos quadrature*, SIAM J. Matrix Anal. 38 (2017).
///
/// ```
/// use kernels_core::Dense;
/// use kernels_solvers::log_determinant;
/// let a = nalgebra::dmatrix![2.0, 0.0; 0.0, 3.0];
/// let found = log_determinant(&Dense::new(a)?, 20, 2, 0)?;
/// assert!((found.value - 6.0_f64.ln()).abs() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn log_determinant(
    operator: &dyn Operator<f64>,
    probes: usize,
    steps: usize,
    seed: u64,
) -> Result<StochasticEstimate, Error> {
    at_least("a stochastic log-determinant (probes)", 1, probes)?;
    at_least("a stochastic log-determinant (steps)", 1, steps)?;
    let n = operator.dim();
    if n == 0 {
        return Ok(StochasticEstimate { value: 0.0, standard_error: 0.0 });
    }
    let size = 1.0 / (n as f64).sqrt();
    let mut values = Vec::with_capacity(probes);
    for probe in 0..probes {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(probe as u64);
        let start: Vec<f64> = (0..n).map(|_| if rng.random::<bool>() { size } else { -size }).collect();
        let mut basis = Lanczos::new(&start);
        while basis.len() < steps.min(n) && basis.extend(operator)? {}
        let value = n as f64 * basis.quadrature(f64::ln)?;
        if !value.is_finite() {
            return Err(Error::Unsupported {
                what: "the logarithm of a determinant",
                reason: "an eigenvalue is not positive; shift the operator",
            });
        }
        values.push(value);
    }
    let count = probes as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let standard_error = if probes > 1 { (squares / (count - 1.0) / count).sqrt() } else { f64::INFINITY };
    Ok(StochasticEstimate { value: mean, standard_error })
}

/// Log marginal likelihood of a Gaussian process whose Gram matrix is an operator, summed over outputs: the quadratic form by
/// Lanczos, the determinant by [`log_determinant`]. Nothing of size n² is stored.
///
/// **Errors.** Noise that is not positive, targets without n rows, a quadratic form that did not converge to 1e-6 in `steps` × 4
/// products. **Complexity.** As [`log_determinant`].
///
/// ```
/// use kernels_core::{LazyGram, Matern, Rows};
/// use kernels_solvers::{GaussianProcess, stochastic_log_marginal_likelihood};
/// let xs = Rows::from_row_major((0..60).map(|i| f64::from(i) / 6.0).collect(), 60, 1)?;
/// let y: Vec<f64> = (0..60).map(|i| (f64::from(i) / 6.0).sin()).collect();
/// let kernel = Matern::new(1.5, 1.0)?;
/// let lazy = LazyGram::new(&kernel, &xs, 1 << 24)?;
/// let target = nalgebra::DMatrix::from_column_slice(60, 1, &y);
/// let found = stochastic_log_marginal_likelihood(&lazy, &target, 0.1, 100, 60, 1)?;
/// let gp = GaussianProcess::new(kernel.clone()).noise(0.1).normalize(false).objective(None);
/// let exact = gp.fit(&xs, &y)?.log_marginal_likelihood();
/// assert!((found.value - exact).abs() < 5.0 * found.standard_error);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn stochastic_log_marginal_likelihood(
    gram: &dyn Operator<f64>,
    y: &DMatrix<f64>,
    noise: f64,
    probes: usize,
    steps: usize,
    seed: u64,
) -> Result<StochasticEstimate, Error> {
    let n = gram.dim();
    at_least("a marginal likelihood", 1, n)?;
    expect("rows of the targets (one a sample)", n, y.nrows())?;
    positive("noise", noise)?;
    let limits = KrylovLimits { iterations: 4 * steps, tolerance: 1e-6 };
    let (c, report) = filter_operator(gram, &Tikhonov::new(noise / n as f64)?, y, limits)?;
    if !report.converged {
        let what = "the quadratic form of a marginal likelihood";
        return Err(kernels_core::Error::NotConverged { what, iterations: report.products }.into());
    }
    let shifted = Shifted::new(gram, noise);
    let determinant = log_determinant(&shifted, probes, steps, seed)?;
    let outputs = y.ncols() as f64;
    let constant = n as f64 * (2.0 * std::f64::consts::PI).ln();
    Ok(StochasticEstimate {
        value: -0.5 * y.dot(&c) - 0.5 * outputs * (determinant.value + constant),
        standard_error: 0.5 * outputs * determinant.standard_error,
    })
}
