//! The same regression by products with the Gram matrix, which may be sparse or never stored.

use kernels_core::{Operator, Progress};
use nalgebra::DMatrix;

use super::Transform;
use crate::{
    Error, Identity, SolveReport, Targets,
    data::{at_least, finite, non_negative, positive, within},
    krylov::{Solve, applied},
};

/// A regression on a graph or any Gram matrix: values at all its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Propagation {
    /// θ: f(x) = v(x)ᵀ θ, one row a point.
    pub theta: DMatrix<f64>,
    /// f at all points, G θ.
    pub values: DMatrix<f64>,
    /// Coefficients of the transformed kernel at the labelled points.
    pub coefficients: DMatrix<f64>,
    /// How the iteration went.
    pub report: SolveReport,
}

/// Spectrally transformed regression by conjugate gradients with products of `gram`, N × N, that is never transformed: by Horner's rule
/// a polynomial costs as many products as it has coefficients, and an inverse Laplacian an iteration of its own. The first points have
/// targets. For sparse matrices and [`LazyGram`](kernels_core::LazyGram), where [`Stkr`](super::Stkr)'s N³ is too much.
///
/// **Errors.** Shapes that disagree, values that are not finite, parameters out of range, [`Error::Unsupported`] for kernel PCA,
/// [`kernels_core::Error::Cancelled`]. **Complexity.** A product a coefficient and iteration.
///
/// Reference: Zhai, Pukdee, Jin, Balcan, Ravikumar, *Spectrally transformed kernel regression*, ICLR 2024, algorithm 2, with conjugate
/// gradients in place of Richardson's iteration.
///
/// ```
/// use kernels_core::{LazyGram, Rbf, Rows};
/// use kernels_solvers::stkr::{Transform, propagate};
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 10.0).collect(), 40, 1)?;
/// let kernel = Rbf::new(0.5)?;
/// let gram = LazyGram::new(&kernel, &xs, 1 << 20)?;
/// let fit = propagate(&Transform::Polynomial(vec![0.5, 1.0, 1.0]), 1e-3, &gram, &vec![1.0, 1.0], &mut ())?;
/// assert!(fit.values[0] > fit.values[39]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn propagate<Y: Targets + ?Sized>(
    transform: &Transform,
    beta: f64,
    gram: &(impl Operator<f64> + ?Sized),
    y: &Y,
    progress: &mut dyn Progress,
) -> Result<Propagation, Error> {
    let y = y.to_matrix();
    let (n, total) = (y.nrows(), gram.dim());
    at_least("spectrally transformed regression (targets)", 1, n)?;
    at_least("spectrally transformed regression (points)", n, total)?;
    finite("target", y.as_slice(), n)?;
    let ridge = n as f64 * positive("beta", beta)?;
    // θ for coefficients at the labelled points.
    let spread: Box<dyn Fn(&DMatrix<f64>) -> Result<DMatrix<f64>, Error> + '_> = match transform {
        Transform::Polynomial(coefficients) => {
            at_least("spectrally transformed regression (coefficients)", 1, coefficients.len())?;
            for &c in coefficients {
                non_negative("coefficient", c)?;
            }
            Box::new(move |u| {
                let mut sum = DMatrix::zeros(total, u.ncols());
                for (p, &c) in coefficients.iter().enumerate().rev() {
                    if p + 1 < coefficients.len() {
                        sum = applied(gram, &sum)? / total as f64;
                    }
                    sum += u * c;
                }
                Ok(sum)
            })
        }
        Transform::InverseLaplacian(share) => {
            within("share of the limit", *share, f64::MIN_POSITIVE, 1.0 - 1e-12, "between 0 and 1")?;
            let top = largest(gram)?;
            at_least("spectrally transformed regression (kernels other than 0)", 1, usize::from(top > 0.0))?;
            let eta = share / top;
            Box::new(move |u| {
                let solve = Solve {
                    what: "inverse Laplacian",
                    tolerance: 1e-13,
                    max_iterations: 2000,
                    checkpoint: None,
                };
                let mut apply = |v: &DMatrix<f64>| Ok(v - applied(gram, v)? * eta);
                Ok(solve.run(u, None, &mut apply, &Identity, &mut ())?.0)
            })
        }
        Transform::KernelPca(_) => {
            return Err(Error::Unsupported {
                what: "kernel PCA by products",
                reason: "it needs eigenvectors: use Stkr, or kernel principal components of a sample",
            });
        }
    };
    let padded = |alpha: &DMatrix<f64>| alpha.clone().resize_vertically(total, 0.0);
    let mut apply = |alpha: &DMatrix<f64>| -> Result<DMatrix<f64>, Error> {
        let image = applied(gram, &spread(&padded(alpha))?)?;
        Ok(image.rows(0, n) + alpha * ridge)
    };
    let solve = Solve {
        what: "spectrally transformed regression",
        tolerance: 1e-12,
        max_iterations: 2000,
        checkpoint: None,
    };
    let (coefficients, report) = solve.run(&y, None, &mut apply, &Identity, progress)?;
    let theta = spread(&padded(&coefficients))?;
    let values = applied(gram, &theta)?;
    Ok(Propagation { theta, values, coefficients, report })
}

/// The largest eigenvalue, by power iteration until it stands still: Rayleigh's quotients come from below and to twice the digits of the
/// vector.
fn largest(gram: &(impl Operator<f64> + ?Sized)) -> Result<f64, Error> {
    let n = gram.dim();
    let mut v = DMatrix::from_fn(n, 1, |i, _| 1.0 + 0.1 * ((i * i) as f64).sin());
    let mut value: f64 = 0.0;
    for _ in 0..1000 {
        let norm = v.norm();
        if norm.is_nan() || norm <= 0.0 {
            break;
        }
        v /= norm;
        let image = applied(gram, &v)?;
        let next = v.dot(&image);
        let still = (next - value).abs() <= 1e-15 * next.abs();
        (v, value) = (image, next);
        if still {
            break;
        }
    }
    Ok(value)
}
