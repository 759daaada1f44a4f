//! What a kernel says of itself apart from points: hyper-parameters, definiteness, text form.

use crate::{Definiteness, Error, Expr, LengthScale};

/// One free number of a kernel: its name, value, bounds and the scale an optimiser should walk it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name as in the text form; parts of a composition nest by dots, lists index by brackets:
    /// `sum.0.length_scale[1]`.
    pub name: String,
    /// Natural value.
    pub value: f64,
    /// Least and greatest natural value an optimiser may choose.
    pub bounds: (f64, f64),
    /// The scale on which it is optimised.
    pub transform: Transform,
    /// Whether optimisers must leave it alone.
    pub fixed: bool,
}

impl Param {
    /// A positive parameter, optimised by its logarithm within `[1e-5, 1e5]`.
    pub fn positive(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, bounds: (1e-5, 1e5), transform: Transform::Log, fixed: false }
    }

    /// A parameter that optimisers leave alone.
    pub fn fixed(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            bounds: (f64::NEG_INFINITY, f64::INFINITY),
            transform: Transform::Identity,
            fixed: true,
        }
    }

    /// The same parameter under `prefix.name`.
    pub fn nested(mut self, prefix: &str) -> Self {
        self.name = format!("{prefix}.{}", self.name);
        self
    }
}

/// The scale on which a parameter is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transform {
    /// The value itself.
    Identity,
    /// Its logarithm, for positive parameters.
    Log,
}

impl Transform {
    /// From the natural value to the optimiser's.
    pub fn forward(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::Log => value.ln(),
        }
    }

    /// From the optimiser's value to the natural one.
    pub fn inverse(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::Log => value.exp(),
        }
    }

    /// Derivative of the natural value by the optimiser's, at a natural value.
    pub fn slope(self, value: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Log => value,
        }
    }
}

/// What a kernel says of itself, whatever points it is used on: its parameters as one flat, named list, its
/// definiteness, its text form. All have defaults, so a kernel of your own may begin with `impl Describe for Mine {}`.
pub trait Describe {
    /// All parameters, in a fixed order.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Sets all natural values, in the order of [`Describe::params`]; checks all before it changes any.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of values, [`Error::Parameter`] for one outside its domain.
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(0, values.len())
    }

    /// Whether Gram matrices are positive definite, conditionally so, or neither.
    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }

    /// Where k(x, ·) may differ from 0: the half width of a box around x, one number or one a feature; `None` when
    /// that is everywhere. What [`sparse_gram`](crate::sparse_gram) looks for neighbours in.
    fn support(&self) -> Option<LengthScale> {
        None
    }

    /// The kernel as an expression that [`parse`](crate::parse) reads back; `None` when it has no text form.
    fn expression(&self) -> Option<Expr> {
        None
    }
}

impl<K: Describe + ?Sized> Describe for Box<K> {
    fn params(&self) -> Vec<Param> {
        (**self).params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        (**self).set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        (**self).definiteness()
    }
    fn support(&self) -> Option<LengthScale> {
        (**self).support()
    }
    fn expression(&self) -> Option<Expr> {
        (**self).expression()
    }
}

/// The check every `set_params` starts with.
pub(crate) fn expect_count(expected: usize, given: usize) -> Result<(), Error> {
    if expected == given {
        Ok(())
    } else {
        Err(Error::Shape { what: "number of parameter values", expected, given })
    }
}

/// `value` when it is finite and positive.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::Parameter { name: name.to_owned(), value, expected: "a finite number above 0" })
    }
}

/// `value` when it is finite and not negative.
pub(crate) fn non_negative(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(Error::Parameter { name: name.to_owned(), value, expected: "a finite number, 0 or above" })
    }
}
