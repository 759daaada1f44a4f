//! The one error type of this crate.

/// What can go wrong in `kernels-graph`: what was given, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From a kernel, points or the linear algebra.
    #[error(transparent)]
    Core(#[from] kernels_core::Error),
    /// A node that the graph does not have.
    #[error("node {node} of {what} is not below the number of nodes, {nodes}")]
    Node {
        /// Where the node was named.
        what: &'static str,
        /// The node.
        node: usize,
        /// Number of nodes.
        nodes: usize,
    },
    /// More nodes than 32-bit indices can name.
    #[error("{nodes} nodes are more than the {} this crate can index", u32::MAX)]
    TooLarge {
        /// Number of nodes asked for.
        nodes: usize,
    },
    /// An edge weight outside its domain.
    #[error("edge {from} - {to} has weight {weight}; weights must be {expected}")]
    Weight {
        /// One end.
        from: usize,
        /// The other end.
        to: usize,
        /// The weight.
        weight: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// An edge listed twice where that was to be an error.
    #[error("edge {from} - {to} is listed twice; sum the weights or take the largest (Duplicates::Sum, Duplicates::Max)")]
    DuplicateEdge {
        /// One end.
        from: usize,
        /// The other end.
        to: usize,
    },
    /// A matrix or directed graph that should be symmetric.
    #[error("weight {forward} from {from} to {to} but {backward} back; {hint}")]
    Asymmetric {
        /// Row.
        from: usize,
        /// Column.
        to: usize,
        /// Weight of from → to.
        forward: f64,
        /// Weight of to → from.
        backward: f64,
        /// What to do.
        hint: &'static str,
    },
    /// A node without edges where every node needs one.
    #[error("{what} needs an edge at every node, but node {node} has none: remove it, or use another kernel")]
    Isolated {
        /// What needed it.
        what: &'static str,
        /// The node.
        node: usize,
    },
    /// A series that does not converge on this graph.
    #[error("{what} = {given} is outside the range of convergence: it must be below {bound}")]
    Divergent {
        /// The parameter.
        what: &'static str,
        /// The value given.
        given: f64,
        /// The least value that is too large, as far as it is known.
        bound: f64,
    },
    /// A file that cannot be read as what it should be.
    #[error("line {line}: {message}")]
    Parse {
        /// Line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong there and what would be right.
        message: String,
    },
    /// The system could not read or write.
    #[error("{what}: {message}")]
    Io {
        /// The file or the action.
        what: String,
        /// What the system said.
        message: String,
    },
    /// Labels or attributes that a kernel needs and a graph lacks.
    #[error("{kernel} needs {needed}, but graph {graph} has none: attach them, or use a kernel without")]
    Missing {
        /// The kernel.
        kernel: &'static str,
        /// What is needed.
        needed: &'static str,
        /// The graph, from 0.
        graph: usize,
    },
    /// An operation that is not defined for what was asked.
    #[error("{what}: {hint}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// Why not and what to do.
        hint: &'static str,
    },
}

/// The error of a parameter outside its domain.
pub(crate) fn parameter(name: &str, value: f64, expected: &'static str) -> Error {
    Error::Core(kernels_core::Error::Parameter { name: name.to_owned(), value, expected })
}

/// `value` when it is finite and above 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(parameter(name, value, "a finite number above 0")) }
}

/// The error of two sizes that must agree.
pub(crate) fn shape(what: &'static str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given {
        Ok(())
    } else {
        Err(Error::Core(kernels_core::Error::Shape { what, expected, given }))
    }
}
