//! The one error type of this crate.

/// What can go wrong in `kernels-ntk`: what was given, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the kernel, the data or the linear algebra.
    #[error(transparent)]
    Core(#[from] kernels_core::Error),
    /// A network whose layers do not fit together.
    #[error("layer {position} ({layer}): {problem}")]
    Network {
        /// Where in the network, from 1, counted over all branches.
        position: usize,
        /// Name of the layer.
        layer: &'static str,
        /// What is wrong there and what would be right.
        problem: &'static str,
    },
    /// A layer description (text or JSON) that cannot be read.
    #[error("{message}")]
    Description {
        /// What is wrong and what would be right.
        message: String,
    },
    /// A value outside its domain.
    #[error("{name} = {value} is out of range: {expected}")]
    Value {
        /// Name of the quantity.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// Two things that must agree in a size do not.
    #[error("{what}: expected {expected}, got {given}")]
    Shape {
        /// What was measured, in words.
        what: &'static str,
        /// The size that would have been right.
        expected: usize,
        /// The size that was given.
        given: usize,
    },
    /// An equation without a solution in the range searched.
    #[error("{what} has no solution between {from} and {to}")]
    NoSolution {
        /// What was looked for.
        what: &'static str,
        /// Lower end of the search.
        from: f64,
        /// Upper end of the search.
        to: f64,
    },
    /// An iteration or an integration that did not reach its tolerance.
    #[error("{what} did not converge in {iterations} iterations (residual {residual:e})")]
    NotConverged {
        /// The algorithm.
        what: &'static str,
        /// Iterations made.
        iterations: usize,
        /// What was left.
        residual: f64,
    },
}

/// `Ok` when two sizes agree.
pub(crate) fn same(what: &'static str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given { Ok(()) } else { Err(Error::Shape { what, expected, given }) }
}

/// `value` when it is finite and satisfies the condition.
pub(crate) fn within(
    name: &'static str,
    value: f64,
    holds: bool,
    expected: &'static str,
) -> Result<f64, Error> {
    if value.is_finite() && holds { Ok(value) } else { Err(Error::Value { name, value, expected }) }
}
