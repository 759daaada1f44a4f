//! The contrastive loss whose minimisers are spectral embeddings.

use nalgebra::DMatrix;

use crate::{
    Error,
    data::{at_least, expect, finite, positive},
};

/// Keeps the logarithm's denominator away from 0.
const SMALL: f64 = 1e-6;

/// InfoNCE with similarity e^(−‖z − z'‖^γ/τ) between two views, one row a sample: the mean over the 2B points of
/// −ln(positive/(Σ over all others + 1e-6)).
///
/// It is the cross-entropy between the graph of pairs and the Gibbs graph of the embedding, so that its minimisers are spectral
/// embeddings of the former.
///
/// **Errors.** Views that differ in shape, no samples, values that are not finite, γ or τ that is not positive. **Complexity.**
/// O(B²d).
///
/// Reference: Tan, Zhang, Yang, Yuan, *Contrastive learning is spectral clustering on similarity graph*, ICLR 2024.
///
/// ```
/// use kernels_solvers::unsupervised::info_nce;
/// use nalgebra::dmatrix;
/// let z = dmatrix![0.0, 1.0; 1.0, 0.0];
/// let apart = dmatrix![1.0, 0.0; 0.0, 1.0];
/// assert!(info_nce(&z, &z, 2.0, 1.0)? < info_nce(&z, &apart, 2.0, 1.0)?);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn info_nce(first: &DMatrix<f64>, second: &DMatrix<f64>, gamma: f64, tau: f64) -> Result<f64, Error> {
    let (n, d) = first.shape();
    at_least("a contrastive loss", 1, n)?;
    expect("rows of the second view", n, second.nrows())?;
    expect("columns of the second view", d, second.ncols())?;
    finite("coordinate", first.as_slice(), n)?;
    finite("coordinate", second.as_slice(), n)?;
    let (gamma, tau) = (positive("gamma", gamma)?, positive("tau", tau)?);
    let row = |i: usize| if i < n { first.row(i) } else { second.row(i - n) };
    let similarity = |i: usize, j: usize| (-(row(i) - row(j)).norm().powf(gamma) / tau).exp();
    let mut total = 0.0;
    for i in 0..2 * n {
        let all: f64 = (0..2 * n).filter(|j| *j != i).map(|j| similarity(i, j)).sum();
        total -= (similarity(i, (i + n) % (2 * n)) / (all + SMALL)).ln();
    }
    Ok(total / (2 * n) as f64)
}

/// λ times the loss with exponent γ plus 1 − λ times that with exponent 2, each with its own τ.
///
/// # Errors
/// As [`info_nce`]; λ outside [0, 1].
pub fn info_nce_mixture(
    first: &DMatrix<f64>,
    second: &DMatrix<f64>,
    lambda: f64,
    (gamma, tau): (f64, f64),
    tau_gauss: f64,
) -> Result<f64, Error> {
    crate::data::within("lambda", lambda, 0.0, 1.0, "between 0 and 1")?;
    Ok(lambda * info_nce(first, second, gamma, tau)?
        + (1.0 - lambda) * info_nce(first, second, 2.0, tau_gauss)?)
}
