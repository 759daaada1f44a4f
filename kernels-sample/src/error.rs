//! The one error type of this crate.

/// What can go wrong in `kernels-sample`: what was given, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the kernel, the data or the linear algebra.
    #[error(transparent)]
    Core(#[from] kernels_core::Error),
    /// A weight, score, query or the like outside its domain.
    #[error("{what} at {index} is {value}; it must be {expected}")]
    Value {
        /// Which quantity.
        what: &'static str,
        /// Its place, from 0.
        index: usize,
        /// The value.
        value: f64,
        /// Its domain, in words.
        expected: &'static str,
    },
    /// A count (of points, of rounds, of bins) that cannot be honoured.
    #[error("{what} is {given}, but it must be {expected} (here {limit})")]
    Count {
        /// What is counted.
        what: &'static str,
        /// The count that was given.
        given: usize,
        /// The rule, in words.
        expected: &'static str,
        /// The bound that the rule gives for this input.
        limit: usize,
    },
    /// Data without spread where a scale must be estimated.
    #[error("{what} has no spread, so that no bandwidth can be estimated from it; give a bandwidth")]
    NoSpread {
        /// The data.
        what: &'static str,
    },
    /// A stored model of another format.
    #[error(
        "this model has format version {given}; this version of the crate reads {expected}: update the crate, or fit again"
    )]
    Version {
        /// The version in the file.
        given: u32,
        /// The version that can be read.
        expected: u32,
    },
    /// A stored model whose parts do not fit together.
    #[error("this model is damaged: {what}; fit again")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
}

/// Lengths that must agree.
pub(crate) fn expect(what: &'static str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given { Ok(()) } else { Err(kernels_core::Error::Shape { what, expected, given }.into()) }
}

/// At least `needed` points.
pub(crate) fn at_least(what: &'static str, needed: usize, given: usize) -> Result<(), Error> {
    if given >= needed {
        Ok(())
    } else {
        Err(kernels_core::Error::TooFewPoints { what, needed, given }.into())
    }
}

/// A parameter that must satisfy `ok`.
pub(crate) fn parameter(name: &str, value: f64, ok: bool, expected: &'static str) -> Result<f64, Error> {
    if ok {
        Ok(value)
    } else {
        Err(kernels_core::Error::Parameter { name: name.to_owned(), value, expected }.into())
    }
}

/// A finite, positive parameter.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64, Error> {
    parameter(name, value, value.is_finite() && value > 0.0, "a finite number above 0")
}

/// A probability strictly between 0 and 1.
pub(crate) fn fraction(name: &str, value: f64) -> Result<f64, Error> {
    parameter(name, value, value > 0.0 && value < 1.0, "between 0 and 1, both excluded")
}

/// All values finite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Value { what, index, value: values[index], expected: "a finite number" }),
    }
}

/// Weights of `n` points: finite, not negative, not all 0. Returned with sum 1.
pub(crate) fn weights(weights: &[f64], n: usize) -> Result<Vec<f64>, Error> {
    expect("weights (one a point)", n, weights.len())?;
    if let Some(index) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let expected = "a finite number, 0 or above";
        return Err(Error::Value { what: "weight", index, value: weights[index], expected });
    }
    let sum: f64 = weights.iter().sum();
    parameter("sum of the weights", sum, sum.is_finite() && sum > 0.0, "a finite number above 0")?;
    Ok(weights.iter().map(|w| w / sum).collect())
}
