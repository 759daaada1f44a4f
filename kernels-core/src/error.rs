//! The one error type of this crate.

/// What can go wrong in `kernels-core`: what was given, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// An operation that needs at least one point was given none.
    #[error("{what} needs at least {needed} point(s), got {given}")]
    TooFewPoints {
        /// The operation.
        what: &'static str,
        /// The least number that works.
        needed: usize,
        /// The number given.
        given: usize,
    },
    /// A NaN or an infinity in the data.
    #[error(
        "value at row {row}, column {column} is {value}; all values must be finite (remove or impute such rows first)"
    )]
    NotFinite {
        /// Row (sample) of the value, from 0.
        row: usize,
        /// Column (feature) of the value, from 0.
        column: usize,
        /// The value, as f64.
        value: f64,
    },
    /// A parameter outside its domain.
    #[error("{name} = {value} is out of range: {expected}")]
    Parameter {
        /// Name of the parameter, as in the text form.
        name: String,
        /// The value that was given.
        value: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// A data value outside the domain of a kernel (a negative count for χ², say).
    #[error("{kernel}: value {value} at row {row}, column {column} is out of its domain: {expected}")]
    Domain {
        /// The kernel.
        kernel: &'static str,
        /// Row of the value, from 0.
        row: usize,
        /// Column of the value, from 0.
        column: usize,
        /// The value.
        value: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// A kernel without compact support was given where a sparse matrix is made.
    #[error(
        "this kernel is not 0 anywhere, so its matrix is not sparse; multiply it by one of compact support, \
         `wendland(smoothness=1, dim=3, support=1)`, or use a dense matrix"
    )]
    NotCompact,
    /// A measure of what has no variation.
    #[error("{what} is not defined: the data have no variation (all features constant, or all values 0)")]
    Constant {
        /// What was to be measured.
        what: &'static str,
    },
    /// A kernel that is not positive definite was given where that is needed.
    #[error(
        "{what} needs a positive definite kernel, but this one is {given}; use a positive definite family, or a solver for conditionally positive definite kernels"
    )]
    NotPositive {
        /// What needed it.
        what: &'static str,
        /// What was given.
        given: crate::Definiteness,
    },
    /// Points on which polynomials of an order's degree are not unique.
    #[error(
        "the {points} points do not determine polynomials of degree {}: they lie on the zeros of one (on a line, say)", order - 1
    )]
    Unisolvent {
        /// The order m; polynomials have degrees below it.
        order: usize,
        /// Number of points.
        points: usize,
    },
    /// A kernel whose square root, or power, as a convolution is not known.
    #[error(
        "the square root of this kernel is not known; use rbf, matern or sinc, or give a root of your own"
    )]
    NoSquareRoot,
    /// A kernel without derivatives by its input was given where they are needed.
    #[error(
        "the kernel has no derivatives of order {order} by its input; use a smooth family (rbf, matern of nu 2.5, …)"
    )]
    NotDifferentiable {
        /// The order that was needed.
        order: u8,
    },
    /// A matrix that is not positive definite within rounding.
    #[error(
        "matrix is not positive definite: pivot {pivot} of {n} is {value:e}; a ridge above {suggested:e} would do"
    )]
    NotPositiveDefinite {
        /// Index of the failing pivot, from 0.
        pivot: usize,
        /// Order of the matrix.
        n: usize,
        /// The pivot's value.
        value: f64,
        /// A diagonal shift that would make the factorization succeed.
        suggested: f64,
    },
    /// A square matrix without an inverse.
    #[error(
        "matrix is singular: pivot {pivot} of {n} is 0; remove dependent columns or duplicate points, or add a ridge"
    )]
    Singular {
        /// Index of the pivot, from 0.
        pivot: usize,
        /// Order of the matrix.
        n: usize,
    },
    /// An iteration that did not reach its goal.
    #[error("{what} did not converge in {iterations} iterations")]
    NotConverged {
        /// The algorithm.
        what: &'static str,
        /// Iterations made.
        iterations: usize,
    },
    /// More memory than is allowed or available.
    #[error(
        "{what} needs {needed} bytes, but {available} are available; use a lazy operator or raise the budget"
    )]
    Memory {
        /// What was to be stored.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes available; 0 when the system refused without saying.
        available: usize,
    },
    /// A kernel expression that cannot be read.
    #[error("column {column}: {message}")]
    Syntax {
        /// Column of the offending character, from 1, counted in characters.
        column: usize,
        /// What is wrong there and what would be right.
        message: String,
    },
    /// The caller's progress hook asked to stop.
    #[error("cancelled by the caller")]
    Cancelled,
}
