//! The one error type of the command line: every message says what was given, what was expected and what to do.

use std::{io, path::Path};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A file that cannot be read or written.
    #[error("{path}: cannot {action}: {source}")]
    File { path: String, action: &'static str, source: io::Error },
    /// A file whose content is not what it should be.
    #[error("{path}: {message}")]
    Content { path: String, message: String },
    /// A choice that does not fit the data.
    #[error("{0}")]
    Choice(String),
    /// From the kernels.
    #[error(transparent)]
    Core(#[from] kernels_core::Error),
    /// From the solvers.
    #[error(transparent)]
    Solvers(#[from] kernels_solvers::Error),
    /// From the graphs.
    #[error(transparent)]
    Graph(#[from] kernels_graph::Error),
    /// From the samplers.
    #[error(transparent)]
    Sample(#[from] kernels_sample::Error),
    /// Ctrl-C.
    #[error("interrupted: nothing was written")]
    Interrupted,
}

impl Error {
    pub(crate) fn file(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), action, source }
    }

    pub(crate) fn content(path: &Path, message: impl Into<String>) -> Self {
        Self::Content { path: path.display().to_string(), message: message.into() }
    }

    /// The exit code of the program.
    pub(crate) fn code(&self) -> u8 {
        let cancelled = kernels_core::Error::Cancelled;
        match self {
            Self::Interrupted => 130,
            Self::Core(error) | Self::Solvers(kernels_solvers::Error::Core(error)) if *error == cancelled => {
                130
            }
            _ => 1,
        }
    }
}
