//! placeholder
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builders;
mod chebyshev;
mod compare;
mod error;
mod graph;
mod kernel;
mod laplacian;
mod minimise;
mod nodes;
mod operator;
mod parallel;
mod walks;

pub use error::Error;
pub use graph::{Duplicates, Graph, GraphBuilder, SparseMatrix, Symmetrize};
pub use laplacian::Laplacian;
pub use kernel::{Dangling, NodeKernel};
pub use nodes::{NodeGram, Nodes};
pub use operator::{
    SpectralOperator, conjugate_gradient, lanczos, resistance_embedding, solve_laplacian, spectral_features,
};
pub use walks::{
    Copies, LearnedModulation, LengthLaw, ModulationNetwork, RandomWalks, WalkFeatures, WalkKernel, deconvolve,
    expected_error, fit_modulation, learn_modulation, modulation_exponential, modulation_inverse_power,
    modulation_power,
};
pub use builders::{grid, random_labelled_graphs, ring_with_chords};
pub use compare::*;
