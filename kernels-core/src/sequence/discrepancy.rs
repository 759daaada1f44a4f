//! Distances of distributions by a kernel of their samples: of paths, by the signature kernel, and of anything else.

use nalgebra::DMatrix;

use crate::{Error, Kernel, Points, Real, cross_gram, gram};

fn needs(what: &'static str, needed: usize, given: usize) -> Result<(), Error> {
    if given < needed { Err(Error::TooFewPoints { what, needed, given }) } else { Ok(()) }
}

fn mean<T: Real>(k: &DMatrix<T>) -> f64 {
    let sum: f64 = k.column_iter().map(|c| c.iter().map(|v| v.to_f64()).sum::<f64>()).sum();
    sum / (k.nrows() * k.ncols()) as f64
}

fn mean_off_diagonal<T: Real>(k: &DMatrix<T>) -> f64 {
    let n = k.nrows() as f64;
    (mean(k) * n * n - k.diagonal().iter().map(|v| v.to_f64()).sum::<f64>()) / (n * (n - 1.0))
}

/// The squared maximum mean discrepancy of the distributions two samples come from: unbiased, so that it may be negative, or with `biased`
/// the squared distance of the two empirical means.
///
/// With a [`Signature`](crate::Signature) kernel, a distance of the laws of two processes. O((n + m)²) kernel values.
///
/// # Errors
/// [`Error::TooFewPoints`] for fewer than 2 points on a side (1 if biased); what the kernel says of the points.
///
/// Reference: Gretton, Borgwardt, Rasch, Schölkopf, Smola, *A kernel two-sample test* (2012), lemma 6.
///
/// ```
/// use kernels_core::{Linear, Paths, Signature, mmd_squared};
/// let kernel = Signature::new(Linear::new(0.0)?);
/// let up = Paths::from_array(vec![0.0, 1.0, 0.0, 1.1], 2, 2, 1)?;
/// let down = Paths::from_array(vec![0.0, -1.0, 0.0, -1.1], 2, 2, 1)?;
/// assert!(mmd_squared(&kernel, &up, &down, false)? > 2.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn mmd_squared<P: Points, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    biased: bool,
) -> Result<f64, Error> {
    let least = if biased { 1 } else { 2 };
    needs("a maximum mean discrepancy", least, xs.len().min(ys.len()))?;
    let own = |k: DMatrix<P::Scalar>| if biased { mean(&k) } else { mean_off_diagonal(&k) };
    Ok(own(gram(kernel, xs)?) + own(gram(kernel, ys)?) - 2.0 * mean(&cross_gram(kernel, xs, ys)?))
}

/// The kernel scoring rule of an ensemble forecast {xᵢ} at what came true, yⱼ: spread · mean_{i≠i'} k(xᵢ, xᵢ') − 2 meanᵢ k(xᵢ, yⱼ) for every j.
/// Lower is better; proper for `spread` = 1.
///
/// # Errors
/// [`Error::TooFewPoints`] for an ensemble of fewer than 2; what the kernel says of the points.
///
/// Reference: Issa, Horvath, Lemercier, Salvi, *Non-adversarial training of neural SDEs with signature kernel scores* (2023).
pub fn kernel_scores<P: Points, K: Kernel<P> + ?Sized>(
    kernel: &K,
    ensemble: &P,
    ys: &P,
    spread: f64,
) -> Result<Vec<f64>, Error> {
    needs("an ensemble to be scored", 2, ensemble.len())?;
    let own = spread * mean_off_diagonal(&gram(kernel, ensemble)?);
    let cross = cross_gram(kernel, ensemble, ys)?;
    let of = |column: &[P::Scalar]| column.iter().map(|v| v.to_f64()).sum::<f64>() / column.len() as f64;
    Ok((0..ys.len()).map(|j| own - 2.0 * of(cross.column(j).as_slice())).collect())
}
