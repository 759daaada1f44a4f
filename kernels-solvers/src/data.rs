//! Targets and Gram matrices as every solver takes them.

use std::any::Any;

use kernels_core::{Definiteness, Describe, Error as CoreError, Kernel, Points, Real, gram};
use nalgebra::{DMatrix, DVector};

use crate::Error;

/// Targets of a regression: n values, or n rows of t values.
///
/// A vector is one output, a matrix has an output a column.
pub trait Targets {
    /// As an n × t matrix.
    fn to_matrix(&self) -> DMatrix<f64>;
}

impl Targets for DMatrix<f64> {
    fn to_matrix(&self) -> DMatrix<f64> {
        self.clone()
    }
}

impl Targets for DVector<f64> {
    fn to_matrix(&self) -> DMatrix<f64> {
        self.as_slice().to_matrix()
    }
}

impl Targets for [f64] {
    fn to_matrix(&self) -> DMatrix<f64> {
        DMatrix::from_column_slice(self.len(), 1, self)
    }
}

impl Targets for Vec<f64> {
    fn to_matrix(&self) -> DMatrix<f64> {
        self.as_slice().to_matrix()
    }
}

/// Kernel, points and targets, checked: enough points, finite values, shapes that agree, a positive definite kernel.
pub(crate) fn checked<P: Points, K: Kernel<P> + Describe>(
    what: &'static str,
    kernel: &K,
    xs: &P,
    y: &(impl Targets + ?Sized),
) -> Result<DMatrix<f64>, Error> {
    require_positive(what, kernel)?;
    if xs.is_empty() {
        return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
    }
    xs.check_finite()?;
    let y = y.to_matrix();
    expect("rows of the targets (one a sample)", xs.len(), y.nrows())?;
    if y.ncols() == 0 {
        return Err(
            CoreError::Shape { what: "columns of the targets (at least)", expected: 1, given: 0 }.into()
        );
    }
    finite("target", y.as_slice(), xs.len())?;
    Ok(y)
}

pub(crate) fn require_positive(what: &'static str, kernel: &impl Describe) -> Result<(), Error> {
    match kernel.definiteness() {
        Definiteness::Positive => Ok(()),
        given => Err(CoreError::NotPositive { what, given }.into()),
    }
}

pub(crate) fn expect(what: &'static str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given { Ok(()) } else { Err(CoreError::Shape { what, expected, given }.into()) }
}

/// All values of `n` samples finite.
pub(crate) fn finite(what: &'static str, values: &[f64], n: usize) -> Result<(), Error> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(k) => Err(Error::Value { what, row: k % n, value: values[k], expected: "a finite number" }),
    }
}

/// Whether a ridge, a noise variance or the like is finite and not negative.
pub(crate) fn non_negative(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        let expected = "a finite number, 0 or above";
        Err(CoreError::Parameter { name: name.to_owned(), value, expected }.into())
    }
}

/// A matrix in f64; moved, not copied, where it is that already.
pub(crate) fn to_f64<T: Real>(matrix: DMatrix<T>) -> DMatrix<f64> {
    let matrix: Box<dyn Any> = Box::new(matrix);
    match matrix.downcast::<DMatrix<f64>>() {
        Ok(f64s) => *f64s,
        Err(other) => match other.downcast::<DMatrix<T>>() {
            Ok(matrix) => matrix.map(Real::to_f64),
            Err(_) => DMatrix::zeros(0, 0),
        },
    }
}

/// The Gram matrix in f64, in which all algebra is done.
pub(crate) fn gram_f64<P: Points, K: Kernel<P>>(kernel: &K, xs: &P) -> Result<DMatrix<f64>, Error> {
    let matrix = to_f64(gram(kernel, xs)?);
    match matrix.as_slice().iter().position(|v| !v.is_finite()) {
        None => Ok(matrix),
        Some(k) => {
            let (row, column) = (k % matrix.nrows(), k / matrix.nrows());
            Err(CoreError::NotFinite { row, column, value: matrix[(row, column)] }.into())
        }
    }
}

/// Population mean and standard deviation of a column; a constant column has standard deviation 1.
pub(crate) fn location_and_scale(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let scale = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
    // Rounding leaves a little spread in a column of equal values.
    (mean, if scale > 1e-14 * mean.abs() && scale.is_finite() && scale > 0.0 { scale } else { 1.0 })
}

/// The matrix between two data sets in f64.
pub(crate) fn cross_f64<P: Points, K: Kernel<P>>(kernel: &K, xs: &P, ys: &P) -> Result<DMatrix<f64>, Error> {
    Ok(to_f64(kernels_core::cross_gram(kernel, xs, ys)?))
}

/// Kernel and points, checked: at least `needed` points, finite values, a positive definite kernel.
pub(crate) fn checked_points<P: Points, K: Kernel<P> + Describe>(
    what: &'static str,
    kernel: &K,
    xs: &P,
    needed: usize,
) -> Result<(), Error> {
    require_positive(what, kernel)?;
    if xs.len() < needed {
        return Err(CoreError::TooFewPoints { what, needed, given: xs.len() }.into());
    }
    Ok(xs.check_finite()?)
}

/// Coefficients to begin at, if they are of this shape and finite.
pub(crate) fn checked_start(
    start: Option<&DMatrix<f64>>,
    (rows, columns): (usize, usize),
) -> Result<Option<&DMatrix<f64>>, Error> {
    if let Some(start) = start {
        expect("rows of the start", rows, start.nrows())?;
        expect("columns of the start", columns, start.ncols())?;
        finite("coefficient of the start", start.as_slice(), rows.max(1))?;
    }
    Ok(start)
}

/// Whether a parameter is finite and above 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        let expected = "a finite number above 0";
        Err(CoreError::Parameter { name: name.to_owned(), value, expected }.into())
    }
}

/// Whether a parameter lies between two values, both included.
pub(crate) fn within(
    name: &str,
    value: f64,
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<f64, Error> {
    if value >= low && value <= high {
        Ok(value)
    } else {
        Err(CoreError::Parameter { name: name.to_owned(), value, expected }.into())
    }
}

/// Whether a count is at least `needed`.
pub(crate) fn at_least(what: &'static str, needed: usize, given: usize) -> Result<(), Error> {
    if given >= needed { Ok(()) } else { Err(CoreError::TooFewPoints { what, needed, given }.into()) }
}
