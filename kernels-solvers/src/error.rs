//! The one error type of this crate.

/// What can go wrong in `kernels-solvers`: what was given, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the kernel, the data or the linear algebra.
    #[error(transparent)]
    Core(#[from] kernels_core::Error),
    /// Fewer distinct classes than a classifier needs.
    #[error("classification needs at least 2 classes, but the {given} labels hold {classes}")]
    Classes {
        /// Number of labels.
        given: usize,
        /// Number of distinct ones.
        classes: usize,
    },
    /// A target or weight that is not a finite number.
    #[error("{what} of sample {row} is {value}; it must be {expected}")]
    Value {
        /// Which quantity.
        what: &'static str,
        /// The sample, from 0.
        row: usize,
        /// The value.
        value: f64,
        /// Its domain, in words.
        expected: &'static str,
    },
    /// Something that cannot be done with what was given.
    #[error("{what} is not possible: {reason}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why not, and what to do instead.
        reason: &'static str,
    },
    /// A model file of another format.
    #[error(
        "this model has format version {given}; this version of the crate reads {expected}: update the crate, or fit again"
    )]
    Version {
        /// The version in the file.
        given: u32,
        /// The version that can be read.
        expected: u32,
    },
    /// A checkpoint that cannot be written, read or used.
    #[error("checkpoint {path}: {message}")]
    Checkpoint {
        /// Its path.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Training data that cannot be read.
    #[error("training data: {0}")]
    Source(String),
}
