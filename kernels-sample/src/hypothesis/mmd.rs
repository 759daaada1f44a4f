//! Estimators of the squared maximum mean discrepancy.

use kernels_core::{Block, Kernel, Points, Workspace};
use nalgebra::DMatrixViewMut;

use crate::{Error, access, error};

/// Which estimator of MMD².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MmdEstimator {
    /// The V-statistic, never negative for a positive definite kernel.
    Biased,
    /// The U-statistic: mean 0 when the distributions are equal, so it can be negative.
    Unbiased,
    /// For samples of one size: the U-statistic that leaves out pairs (i, i) between the samples too.
    Paired,
    /// Mean over disjoint pairs, O(n) kernel values; its variance is estimated by the pairs'.
    Linear,
    /// Mean of [`MmdEstimator::Paired`] over consecutive blocks of this many points.
    Block(usize),
}

/// MMD² between the distributions of two samples.
///
/// With the kernel −‖x − y‖ (conditionally positive definite) the biased estimate is the energy distance.
///
/// **Errors.** Too few points for the estimator, samples of different sizes for a paired one, points that are not finite
/// or not the kernel's. **Complexity.** (m + n)² kernel values, O(m + n) memory; linear and block ones n and n·b.
///
/// Reference: Gretton et al., *A kernel two-sample test* (2012).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::{MmdEstimator, mmd2};
/// let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1)?;
/// assert!(mmd2(&Rbf::new(1.0)?, &xs, &xs, MmdEstimator::Biased)?.abs() < 1e-15);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn mmd2<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    estimator: MmdEstimator,
) -> Result<f64, Error> {
    let (m, n) = (xs.len(), ys.len());
    let needed = if estimator == MmdEstimator::Biased { 1 } else { 2 };
    access::check("an MMD estimate", kernel, xs, needed)?;
    access::check("an MMD estimate", kernel, ys, needed)?;
    xs.check_compatible(ys)?;
    match estimator {
        MmdEstimator::Biased | MmdEstimator::Unbiased => {
            let across = access::cross_times(kernel, xs, ys, &vec![1.0; n])?.iter().sum::<f64>() / (m * n) as f64;
            let within = |points: &P| -> Result<f64, Error> {
                let k = points.len();
                let sum: f64 = access::gram_times(kernel, points, &vec![1.0; k])?.iter().sum();
                if estimator == MmdEstimator::Biased {
                    return Ok(sum / (k * k) as f64);
                }
                let trace: f64 = kernels_core::diagonal(kernel, points)?.iter().sum();
                Ok((sum - trace) / (k * (k - 1)) as f64)
            };
            Ok(within(xs)? + within(ys)? - 2.0 * across)
        }
        MmdEstimator::Paired => {
            error::expect("points of the second sample", m, n)?;
            paired(kernel, xs, ys, 0, m)
        }
        MmdEstimator::Block(size) => {
            error::expect("points of the second sample", m, n)?;
            if size < 2 || size > m {
                let expected = "between 2 and the number of points";
                return Err(Error::Count { what: "size of a block", given: size, expected, limit: m });
            }
            let blocks = m / size;
            let mut sum = 0.0;
            for b in 0..blocks {
                sum += paired(kernel, xs, ys, b * size, size)?;
            }
            Ok(sum / blocks as f64)
        }
        MmdEstimator::Linear => {
            let h = linear_terms(kernel, xs, ys)?;
            Ok(h.iter().sum::<f64>() / h.len() as f64)
        }
    }
}

/// The terms of the linear-time estimate, one a pair of consecutive points; under equal distributions their mean is
/// Gaussian with mean 0 and variance var(h)/pairs.
pub(super) fn linear_terms<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
) -> Result<Vec<f64>, Error> {
    error::expect("points of the second sample", xs.len(), ys.len())?;
    let k = |a, b| kernel.eval(a, b);
    Ok((0..xs.len() / 2)
        .map(|i| {
            let (x, x1, y, y1) = (xs.point(2 * i), xs.point(2 * i + 1), ys.point(2 * i), ys.point(2 * i + 1));
            k(x, x1) + k(y, y1) - k(x, y1) - k(x1, y)
        })
        .collect())
}

fn paired<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    start: usize,
    size: usize,
) -> Result<f64, Error> {
    let range = start..start + size;
    let mut ws = Workspace::new();
    let mut column = vec![0.0; size];
    let mut sum = 0.0;
    for j in range.clone() {
        let blocks = [
            (Block::within(xs, range.clone(), j..j + 1)?, 1.0),
            (Block::within(ys, range.clone(), j..j + 1)?, 1.0),
            (Block::between(xs, range.clone(), ys, j..j + 1)?, -2.0),
        ];
        for (at, sign) in blocks {
            kernel.block(&at, DMatrixViewMut::from_slice(&mut column, size, 1), &mut ws);
            column[j - start] = 0.0;
            sum += sign * column.iter().sum::<f64>();
        }
    }
    Ok(sum / (size * (size - 1)) as f64)
}

/// MMD² between all points and a weighted few of them: Σᵢⱼ (1/n − wᵢ)(1/n − wⱼ) k(xᵢ, xⱼ), with `weights` one for every
/// index; an index may repeat.
///
/// **Errors.** Lengths that differ, indices out of range, points that are not finite or not the kernel's.
/// **Complexity.** n²/2 kernel values.
pub fn mmd2_weighted<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    indices: &[usize],
    weights: &[f64],
) -> Result<f64, Error> {
    access::check("an MMD", kernel, xs, 1)?;
    error::expect("weights (one an index)", indices.len(), weights.len())?;
    xs.subset(indices)?;
    let n = xs.len();
    let mut w = vec![1.0 / n as f64; n];
    indices.iter().zip(weights).for_each(|(&i, v)| w[i] -= v);
    Ok(access::dot(&w, &access::gram_times(kernel, xs, &w)?))
}

/// MMD² between all points and a few of them, equally weighted.
///
/// **Errors.** As [`mmd2_weighted`]; no index.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 0.0, 1.0], 4, 1)?;
/// assert!(kernels_sample::mmd2_to_input(&Rbf::new(1.0)?, &xs, &[0, 1])? < 1e-15);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn mmd2_to_input<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    indices: &[usize],
) -> Result<f64, Error> {
    error::at_least("an MMD to a coreset", 1, indices.len())?;
    mmd2_weighted(kernel, xs, indices, &vec![1.0 / indices.len() as f64; indices.len()])
}

/// The witness function mean k(x, ·) − mean k(y, ·) at points `at`: where the samples differ most, and which has more there.
///
/// **Errors.** Empty samples, points that are not finite or not the kernel's.
pub fn witness<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    at: &P,
) -> Result<Vec<f64>, Error> {
    access::check("a witness function", kernel, xs, 1)?;
    access::check("a witness function", kernel, ys, 1)?;
    at.check_finite()?;
    let mean = |points: &P| {
        access::cross_times(kernel, at, points, &vec![1.0 / points.len() as f64; points.len()])
    };
    let (x, y) = (mean(xs)?, mean(ys)?);
    Ok(x.iter().zip(&y).map(|(x, y)| x - y).collect())
}
