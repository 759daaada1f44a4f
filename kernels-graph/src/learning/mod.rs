//! Learning on graphs: positions, embeddings, clusters, differential equations.

mod cluster;
mod contrast;
mod fisher;
mod flow;
mod position;

pub use cluster::{SpectralClustering, SpectralClusters, kmeans, normalized_cut};
pub use contrast::{KernelMixture, info_nce};
pub use fisher::{FisherLayer, spherical_kmeans};
pub use flow::{graph_ode, mesh_normals_regression};
pub use position::{relative_positions, return_probabilities};
