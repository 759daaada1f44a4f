//! Learning on graphs: positions, embeddings, clusters, differential equations.

mod cluster;
mod contrast;
mod fisher;
mod flow;
mod information;
mod position;

pub use cluster::{SpectralClustering, SpectralClusters, kmeans, normalized_cut};
pub use contrast::{KernelMixture, info_nce};
pub use fisher::{FisherEmbedding, FisherLayer, FisherModel, FisherProjection, spherical_kmeans};
pub use flow::{graph_ode, mesh_normals_regression};
pub use information::{Growth, LabelInformation};
pub use position::{relative_positions, return_probabilities};
