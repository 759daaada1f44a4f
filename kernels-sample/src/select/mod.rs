//! Which points to keep, label or ask about: batch active learning, determinantal point processes, variance reduction, coverage.

mod batch;
mod coverage;
mod dpp;
mod residual;
mod targets;

pub use batch::{BatchMethod, BatchSelection, ClusterWeight};
pub use coverage::{Coverage, Greedy, KCenter, cover, features_cover, k_center, orthogonal_matching_pursuit};
pub use dpp::{Dpp, greedy_map, log_elementary_symmetric};
pub use targets::{TargetCriterion, TargetSelection, TargetVariance};
