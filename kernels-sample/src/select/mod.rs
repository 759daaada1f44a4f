//! Which points to keep, label or ask about: batch active learning, determinantal point processes, variance reduction, coverage.

mod batch;
mod chain;
mod classes;
mod clusters;
mod coverage;
mod dpp;
mod features;
mod labels;
mod lagging;
pub(crate) mod residual;
mod targets;

pub use batch::{BatchMethod, BatchSelection, ClusterWeight};
pub use chain::DppChain;
pub use classes::{farthest_classes, frechet_classes, frechet_variances};
pub use clusters::{
    ClusterRounds, KMeans, KMedoids, gradient_clusters, k_means, k_medoids, open_set_coreset,
};
pub use coverage::{Coverage, Greedy, KCenter, cover, features_cover, k_center, orthogonal_matching_pursuit};
pub use dpp::{Dpp, greedy_map, log_determinant_distance, log_elementary_symmetric, on_sphere};
pub use features::BatchFeatures;
pub use labels::{Saturation, information_gain, label_propagation};
pub use targets::{TargetCriterion, TargetSelection, TargetVariance};
