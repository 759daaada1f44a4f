//! placeholder
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod graph;
mod laplacian;
mod parallel;

pub use error::Error;
pub use graph::{Duplicates, Graph, GraphBuilder, SparseMatrix, Symmetrize};
pub use laplacian::Laplacian;
