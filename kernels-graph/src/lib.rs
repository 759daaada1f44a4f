//! placeholder
#![cfg_attr(docsrs, feature(doc_cfg))]

mod chebyshev;
mod error;
mod graph;
mod kernel;
mod laplacian;
mod nodes;
mod operator;
mod parallel;

pub use error::Error;
pub use graph::{Duplicates, Graph, GraphBuilder, SparseMatrix, Symmetrize};
pub use laplacian::Laplacian;
pub use kernel::{Dangling, NodeKernel};
pub use nodes::{NodeGram, Nodes};
pub use operator::{
    SpectralOperator, conjugate_gradient, lanczos, resistance_embedding, solve_laplacian, spectral_features,
};
