//! Kernels on the nodes of graphs and between graphs, and unbiased random-walk features of them.
//!
//! **Graphs** are sparse adjacency matrices ([`Graph`], [`GraphBuilder`]), read and written in six formats ([`EdgeList`], [`read_matrix_market`],
//! [`read_graphml`], [`read_metis`], [`read_tu`], [`Mesh`]) or made of near points ([`nearest_graph`], [`NearestSearch`]).
//!
//! **Kernels on nodes** ([`NodeKernel`]: diffusion, regularised Laplacian, Matérn, PageRank, …) come in three forms: an exact matrix
//! ([`NodeKernel::on`], a [`kernels_core::Kernel`] on [`Nodes`]), an operator that is never stored ([`NodeKernel::operator`]), and sparse features by random
//! walks whose cost is linear in the graph ([`NodeKernel::walks`], [`RandomWalks`], [`WalkFeatures`]).
//!
//! **Kernels between graphs** ([`WeisfeilerLehman`], [`ShortestPath`], [`WalkSeries`], [`Graphlets`], [`Propagation`], [`Wasserstein`], …) are kernels
//! on a [`GraphSet`]; most have explicit sparse features ([`explicit_features`]), and all a text form: `"normalize(weisfeiler_lehman(iterations=3))"`.
//!
//! **Learning**: online labels at a cost that does not depend on the graph's size ([`OnlineLabels`], [`Pusher`]), [`SpectralClustering`],
//! [`FisherEmbedding`], [`LabelInformation`], [`graph_ode`], [`mesh_normals_regression`], [`relative_positions`].
//!
//! ```
//! use kernels_core::gram;
//! use kernels_graph::{Graph, NodeKernel, Nodes, RandomWalks};
//!
//! let ring = Graph::undirected(40, (0..40).map(|i| (i, (i + 1) % 40, 1.0)))?;
//! let heat = NodeKernel::diffusion(3.0);
//! let exact = gram(&heat.on(&ring)?, &Nodes::all(40))?;
//! let walks = RandomWalks::new(200, 0.2).seed(7).features(&heat.walks(&ring)?)?;
//! assert!((walks.estimate(0, 5) - exact[(0, 5)]).abs() < 0.02);
//! # Ok::<(), kernels_graph::Error>(())
//! ```
//!
//! Isolated nodes, self-loops, several components, directions and empty graphs are legal; what a kernel does with them is said where it is
//! described. Same seed, same bits, for any number of threads.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod approximate;
mod builders;
mod chebyshev;
mod compare;
mod error;
mod graph;
mod io;
mod kernel;
mod laplacian;
mod learning;
mod minimise;
mod nearest;
mod node_text;
mod nodes;
mod online;
mod operator;
#[cfg(feature = "petgraph")]
#[cfg_attr(docsrs, doc(cfg(feature = "petgraph")))]
mod petgraph;
mod push;
mod walks;

pub use approximate::NearestSearch;
pub use builders::{grid, random_labelled_graphs, ring_with_chords};
pub use compare::*;
pub use error::Error;
pub use graph::{Duplicates, Graph, GraphBuilder, SparseMatrix, Symmetrize};
pub use io::*;
pub use kernel::{Dangling, NodeKernel};
pub use laplacian::Laplacian;
pub use learning::*;
pub use nearest::{EdgeWeight, Joining, nearest, nearest_graph, radius_graph};
pub use nodes::{NodeGram, Nodes};
pub use online::{OnlineKernel, OnlineLabels};
pub use operator::{
    SpectralOperator, conjugate_gradient, lanczos, resistance_embedding, solve_laplacian, spectral_features,
};
pub use push::{Push, PushColumn, Pusher};
pub use walks::{
    Copies, LearnedModulation, LengthLaw, ModulationNetwork, RandomWalks, WalkFeatures, WalkKernel,
    deconvolve, expected_error, fit_modulation, learn_modulation, modulation_exponential,
    modulation_inverse_power, modulation_power,
};

/// The examples of the crate's page run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
