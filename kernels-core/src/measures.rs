//! How alike two kernels are on a data set, and how large a kernel is: alignment, CKA, HSIC, effective dimension, decay of
//! eigenvalues.
//!
//! Kernel matrices are n × n and symmetric; representations are n × d with a row a sample.
//!
//! Reference: Cristianini et al., *On kernel-target alignment* (2001); Cortes, Mohri & Rostamizadeh, *Algorithms for learning kernels
//! based on centered alignment* (2012); Kornblith, Norouzi, Lee & Hinton, *Similarity of neural network representations
//! revisited* (2019); Song et al., *Feature selection via dependence maximization* (2012) for the unbiased HSIC; Nguyen, Raghu &
//! Kornblith, *Do wide and deep networks learn the same things?* (2021) for the average over minibatches.
//!
//! ```
//! use kernels_core::{Rbf, Rows, gram, measures};
//! let xs = Rows::from_row_major(vec![0.0, 0.3, 1.0, 1.7, 2.0], 5, 1)?;
//! let (k, l) = (gram(&Rbf::new(1.0)?, &xs)?, gram(&Rbf::new(2.0)?, &xs)?);
//! assert!((measures::cka(&k, &k)? - 1.0).abs() < 1e-14);
//! assert!(measures::cka(&k, &l)? > 0.9);
//! # Ok::<(), kernels_core::Error>(())
//! ```

use nalgebra::{DMatrix, DVector};

use crate::{Error, Kernel, Points, gram};

/// ⟨K, L⟩ / (‖K‖ ‖L‖), the cosine of two matrices.
///
/// # Errors
/// [`Error::Shape`] when they are not square of the same order, [`Error::NotFinite`], [`Error::Constant`] when one is 0.
pub fn alignment(k: &DMatrix<f64>, l: &DMatrix<f64>) -> Result<f64, Error> {
    check(k, l, 1)?;
    ratio("alignment", k.dot(l), k.norm(), l.norm())
}

/// Alignment of a centred kernel matrix HKH with targets y: ⟨HKH, yyᵀ⟩ / (‖HKH‖ ‖yyᵀ‖), the targets as they are.
///
/// # Errors
/// As [`alignment`].
pub fn target_alignment(k: &DMatrix<f64>, y: &DVector<f64>) -> Result<f64, Error> {
    check(k, k, 1)?;
    if y.len() != k.nrows() {
        return Err(Error::Shape { what: "targets (one a sample)", expected: k.nrows(), given: y.len() });
    }
    let centred = center(k);
    let size = if centred.norm() <= flat(k) { 0.0 } else { centred.norm() };
    ratio("alignment with targets", y.dot(&(&centred * y)), size, y.norm_squared())
}

/// Centred alignment, the same as (biased) centred kernel alignment, CKA: ⟨HKH, HLH⟩ / (‖HKH‖ ‖HLH‖), in [0, 1] for positive definite
/// kernels. It does not change when features are rotated or scaled. O(n²).
///
/// # Errors
/// As [`alignment`]; [`Error::Constant`] when one kernel is constant.
pub fn cka(k: &DMatrix<f64>, l: &DMatrix<f64>) -> Result<f64, Error> {
    check(k, l, 1)?;
    let (ck, cl) = (center(k), center(l));
    let size = |c: &DMatrix<f64>, of| if c.norm() <= flat(of) { 0.0 } else { c.norm() };
    ratio("CKA", ck.dot(&cl), size(&ck, k), size(&cl, l))
}

/// CKA by unbiased estimates of HSIC: about 0 for independent data where [`cka`] is large in small samples; may be negative.
///
/// # Errors
/// As [`cka`]; [`Error::TooFewPoints`] for less than 4 samples.
pub fn cka_debiased(k: &DMatrix<f64>, l: &DMatrix<f64>) -> Result<f64, Error> {
    let (kk, ll) = (hsic_unbiased(k, k)?, hsic_unbiased(l, l)?);
    ratio("debiased CKA", hsic_unbiased(k, l)?, positive_root(kk, flat(k)), positive_root(ll, flat(l)))
}

/// The Hilbert–Schmidt independence criterion tr(KHLH)/(n−1)², biased.
///
/// # Errors
/// As [`alignment`]; [`Error::TooFewPoints`] for less than 2 samples.
pub fn hsic(k: &DMatrix<f64>, l: &DMatrix<f64>) -> Result<f64, Error> {
    let n = check(k, l, 2)? as f64;
    Ok(center(k).dot(&center(l)) / ((n - 1.0) * (n - 1.0)))
}

/// HSIC without bias: with K̃ and L̃ the matrices with zeros on the diagonal,
/// (tr K̃L̃ + 1ᵀK̃1 · 1ᵀL̃1 / ((n−1)(n−2)) − 2 · 1ᵀK̃L̃1 / (n−2)) / (n(n−3)).
///
/// # Errors
/// As [`alignment`]; [`Error::TooFewPoints`] for less than 4 samples.
pub fn hsic_unbiased(k: &DMatrix<f64>, l: &DMatrix<f64>) -> Result<f64, Error> {
    let n = check(k, l, 4)?;
    let sums = |m: &DMatrix<f64>| DVector::from_fn(n, |i, _| m.column(i).sum() - m[(i, i)]);
    let trace = k.dot(l) - k.diagonal().dot(&l.diagonal());
    Ok(unbiased(n, trace, &sums(k), &sums(l)))
}

fn unbiased(n: usize, trace: f64, k: &DVector<f64>, l: &DVector<f64>) -> f64 {
    let n = n as f64;
    (trace + k.sum() * l.sum() / ((n - 1.0) * (n - 2.0)) - 2.0 * k.dot(l) / (n - 2.0)) / (n * (n - 3.0))
}

/// CKA of the linear kernels of two representations, ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of centred columns: O(n d²), no n × n matrix.
///
/// # Errors
/// [`Error::Shape`] when the numbers of rows differ, [`Error::TooFewPoints`] for no samples, [`Error::NotFinite`],
/// [`Error::Constant`] when all features of one are constant.
///
/// ```
/// use kernels_core::measures::linear_cka;
/// use nalgebra::dmatrix;
/// let x = dmatrix![1.0, 0.0; 0.0, 1.0; 2.0, 3.0];
/// let rotated = dmatrix![0.0, 1.0; -1.0, 0.0; -3.0, 2.0];
/// assert!((linear_cka(&x, &rotated)? - 1.0).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn linear_cka(x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<f64, Error> {
    check_rows(x, y, 1)?;
    let columns = |m: &DMatrix<f64>| {
        let mut c = m.clone();
        for mut column in c.column_iter_mut() {
            let mean = column.mean();
            column.iter_mut().for_each(|v| *v -= mean);
        }
        c
    };
    let (cx, cy) = (columns(x), columns(y));
    let size = |c: &DMatrix<f64>, of: &DMatrix<f64>| {
        if c.norm() <= 1e-14 * of.norm() { 0.0 } else { c.tr_mul(c).norm() }
    };
    ratio("linear CKA", cy.tr_mul(&cx).norm_squared(), size(&cx, x), size(&cy, y))
}

/// [`cka_debiased`] of the linear kernels of two representations: O(n d²), no n × n matrix.
///
/// # Errors
/// As [`linear_cka`]; [`Error::TooFewPoints`] for less than 4 samples.
pub fn linear_cka_debiased(x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<f64, Error> {
    let n = check_rows(x, y, 4)?;
    // HSIC does not depend on the origin; columns of mean 0 keep the digits.
    let columns = |m: &DMatrix<f64>| {
        let mut c = m.clone();
        for mut column in c.column_iter_mut() {
            let mean = column.mean();
            column.iter_mut().for_each(|v| *v -= mean);
        }
        c
    };
    let (x, y) = (columns(x), columns(y));
    let norms = |m: &DMatrix<f64>| DVector::from_fn(n, |i, _| m.row(i).norm_squared());
    let (dx, dy) = (norms(&x), norms(&y));
    let total = |m: &DMatrix<f64>| DVector::from_iterator(m.ncols(), m.column_iter().map(|c| c.sum()));
    let (sx, sy) = (&x * total(&x) - &dx, &y * total(&y) - &dy);
    let xy = unbiased(n, y.tr_mul(&x).norm_squared() - dx.dot(&dy), &sx, &sy);
    let xx = unbiased(n, x.tr_mul(&x).norm_squared() - dx.norm_squared(), &sx, &sx);
    let yy = unbiased(n, y.tr_mul(&y).norm_squared() - dy.norm_squared(), &sy, &sy);
    ratio("debiased linear CKA", xy, positive_root(xx, 1e-14 * dx.sum()), positive_root(yy, 1e-14 * dy.sum()))
}

/// CKA from averages of unbiased HSIC over consecutive batches of `batch` samples (at least 4; the rest that fills none is left out):
/// O(n · batch) kernel values, for data whose whole matrix is too large. Shuffle samples that have an order first.
///
/// # Errors
/// [`Error::Shape`] when the numbers of points differ, [`Error::TooFewPoints`] for less than one batch or batches of less than 4; what
/// [`Kernel::check`] says; [`Error::Constant`].
pub fn cka_minibatch<P, Q>(
    kernel: &(impl Kernel<P> + ?Sized),
    xs: &P,
    other: &(impl Kernel<Q> + ?Sized),
    ys: &Q,
    batch: usize,
) -> Result<f64, Error>
where
    P: Points<Scalar = f64>,
    Q: Points<Scalar = f64>,
{
    if ys.len() != xs.len() {
        return Err(Error::Shape {
            what: "points of the second representation",
            expected: xs.len(),
            given: ys.len(),
        });
    }
    if batch < 4 {
        return Err(Error::TooFewPoints { what: "a batch of CKA", needed: 4, given: batch });
    }
    if xs.len() < batch {
        return Err(Error::TooFewPoints { what: "CKA in batches", needed: batch, given: xs.len() });
    }
    let (mut kl, mut kk, mut ll, mut size_k, mut size_l) = (0.0, 0.0, 0.0, 0.0_f64, 0.0_f64);
    for b in 0..xs.len() / batch {
        let indices: Vec<usize> = (b * batch..(b + 1) * batch).collect();
        let (k, l) = (gram(kernel, &xs.subset(&indices)?)?, gram(other, &ys.subset(&indices)?)?);
        kl += hsic_unbiased(&k, &l)?;
        kk += hsic_unbiased(&k, &k)?;
        ll += hsic_unbiased(&l, &l)?;
        (size_k, size_l) = (size_k.max(flat(&k)), size_l.max(flat(&l)));
    }
    ratio("CKA in batches", kl, positive_root(kk, size_k), positive_root(ll, size_l))
}

/// Effective dimension Σ λᵢ/(λᵢ + ridge) of a kernel matrix by its eigenvalues: the degrees of freedom of ridge regression with this
/// ridge. Negative eigenvalues, which are rounding, count as 0.
///
/// # Errors
/// [`Error::Parameter`] when the ridge is not finite and positive, [`Error::NotFinite`].
///
/// ```
/// let d = kernels_core::measures::effective_dimension(&[1.0, 3.0, 0.0], 1.0)?;
/// assert_eq!(d, 0.5 + 0.75);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn effective_dimension(eigenvalues: &[f64], ridge: f64) -> Result<f64, Error> {
    let ridge = crate::describe::positive("ridge", ridge)?;
    finite(eigenvalues)?;
    Ok(eigenvalues.iter().map(|l| l.max(0.0)).map(|l| l / (l + ridge)).sum())
}

/// How fast the eigenvalues of a kernel matrix fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EigenDecay {
    /// α of the fit λᵢ ≈ c i^(−α), by least squares of logarithms.
    pub exponent: f64,
    /// Coefficient of determination of that fit: near 1 for a power law.
    pub r_squared: f64,
    /// Participation ratio (Σ λ)² / Σ λ²: how many eigenvalues matter.
    pub participation: f64,
    /// Entropy rank exp(−Σ pᵢ ln pᵢ), pᵢ = λᵢ / Σ λ.
    pub entropy_rank: f64,
    /// Eigenvalues above n ε λ₁.
    pub rank: usize,
}

/// The decay of eigenvalues, in any order. The power law is fitted to those above n ε λ₁.
///
/// # Errors
/// [`Error::NotFinite`]; [`Error::Constant`] when none is positive.
///
/// ```
/// let values: Vec<f64> = (1..=50).map(|i| (i as f64).powf(-1.5)).collect();
/// let decay = kernels_core::measures::eigen_decay(&values)?;
/// assert!((decay.exponent - 1.5).abs() < 1e-12 && decay.rank == 50);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn eigen_decay(eigenvalues: &[f64]) -> Result<EigenDecay, Error> {
    finite(eigenvalues)?;
    let mut values = eigenvalues.to_vec();
    values.sort_by(|a, b| b.total_cmp(a));
    let largest = values.first().copied().unwrap_or(0.0);
    if largest <= 0.0 {
        return Err(Error::Constant { what: "eigenvalues" });
    }
    values.retain(|v| *v > eigenvalues.len() as f64 * f64::EPSILON * largest);
    values.iter_mut().for_each(|v| *v /= largest);
    let total: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|v| v * v).sum();
    let entropy: f64 = values.iter().map(|v| v / total).map(|p| -p * p.ln()).sum();
    let logs: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(i, v)| (((i + 1) as f64).ln(), v.ln())).collect();
    let n = logs.len() as f64;
    let mean = logs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in logs {
        xx += (x - mean.0) * (x - mean.0);
        xy += (x - mean.0) * (y - mean.1);
        yy += (y - mean.1) * (y - mean.1);
    }
    let exponent = if xx > 0.0 { -xy / xx } else { 0.0 };
    // All equal: the fit is exact.
    let r_squared = if yy > 0.0 && xx > 0.0 { xy * xy / (xx * yy) } else { 1.0 };
    Ok(EigenDecay {
        exponent,
        r_squared,
        participation: total * total / squares,
        entropy_rank: entropy.exp(),
        rank: values.len(),
    })
}

/// HKH: rows and columns of mean 0.
fn center(k: &DMatrix<f64>) -> DMatrix<f64> {
    let n = k.nrows();
    let rows = DVector::from_fn(n, |i, _| k.row(i).mean());
    let columns: Vec<f64> = k.column_iter().map(|c| c.mean()).collect();
    let all = rows.mean();
    DMatrix::from_fn(n, n, |i, j| k[(i, j)] - rows[i] - columns[j] + all)
}

/// A size below which a centred matrix is rounding.
fn flat(k: &DMatrix<f64>) -> f64 {
    1e-14 * k.norm()
}

/// √v, or 0 when it is rounding of a matrix of this size.
fn positive_root(v: f64, size: f64) -> f64 {
    if v <= size * size { 0.0 } else { v.sqrt() }
}

fn ratio(what: &'static str, inner: f64, first: f64, second: f64) -> Result<f64, Error> {
    if first <= 0.0 || second <= 0.0 {
        return Err(Error::Constant { what });
    }
    Ok(inner / first / second)
}

fn check(k: &DMatrix<f64>, l: &DMatrix<f64>, least: usize) -> Result<usize, Error> {
    let n = k.nrows();
    for given in [k.ncols(), l.nrows(), l.ncols()] {
        if given != n {
            return Err(Error::Shape { what: "order of square matrices", expected: n, given });
        }
    }
    check_rows(k, l, least)
}

fn check_rows(x: &DMatrix<f64>, y: &DMatrix<f64>, least: usize) -> Result<usize, Error> {
    let n = x.nrows();
    if y.nrows() != n {
        return Err(Error::Shape { what: "rows of the second matrix", expected: n, given: y.nrows() });
    }
    if n < least {
        return Err(Error::TooFewPoints { what: "a measure of similarity", needed: least, given: n });
    }
    for m in [x, y] {
        if let Some(k) = m.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { row: k % n, column: k / n, value: m.as_slice()[k] });
        }
    }
    Ok(n)
}

fn finite(values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(row) => Err(Error::NotFinite { row, column: 0, value: values[row] }),
    }
}
