//! Structure without targets: principal components, clusters, spectral embeddings, trees that explain clusters.
//!
//! ```
//! use kernels_core::{Rbf, Rows};
//! use kernels_solvers::unsupervised::KernelKMeans;
//! let xs = Rows::from_row_major(vec![0.0, 0.1, 0.2, 5.0, 5.1, 5.2], 6, 1)?;
//! let model = KernelKMeans::new(Rbf::new(1.0)?, 2).fit(&xs)?;
//! assert_eq!(model.labels()[0], model.labels()[2]);
//! assert_ne!(model.labels()[0], model.labels()[3]);
//! # Ok::<(), kernels_solvers::Error>(())
//! ```

mod components;
mod contrastive;
mod kmeans;
mod spectral;
mod tree;

pub use components::{KernelPca, KernelPcaModel};
pub use contrastive::{info_nce, info_nce_mixture};
pub use kmeans::{KMeansModel, KernelKMeans};
pub use spectral::{SpectralEmbedding, normalized_laplacian, spectral_clustering};
pub use tree::{ClusterTree, ExplainedClusters, UnivariateRbf};
