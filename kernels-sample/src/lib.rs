//! Fewer points, the same distribution.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod density;
mod distance;
mod error;
mod hypothesis;
mod modes;
mod parallel;
mod random;
mod select;
mod stein;
mod thin;

pub use density::{
    Bandwidth, Boundary, ConditionalKde, DensityKernel, Grid, IntegralMethod, Kde, KdeModel, KernelDensityIntegral,
    KernelDensityIntegralModel, improved_sheather_jones, least_squares_score, leave_one_out_log_likelihood, linear_binning,
};
pub use modes::{
    FlatClusters, FlatMeanShift, MeanShift, ModalTree, Modes, ProjectedMode, ProjectedModes, SmoothProfile, estimate_bandwidth,
};
pub use distance::{median_distance, support_points};
pub use error::Error;
pub use hypothesis::{
    AggregatedOutcome, AggregatedTest, CompressedTest, IndependenceTest, MmdEstimator, TestOutcome, TwoSampleTest,
    WildBootstrap, cka, hsic, hsic_unbiased, ksd2, ksd2_unbiased, mmd2, mmd2_to_input, mmd2_weighted, witness,
};
pub use select::{
    BatchMethod, BatchSelection, ClusterWeight, Coverage, Dpp, Greedy, KCenter, TargetCriterion, TargetSelection,
    TargetVariance, cover, features_cover, greedy_map, k_center, log_elementary_symmetric, orthogonal_matching_pursuit,
};
pub use stein::{Preconditioner, SteinKernel, SteinThinning, with_scores};
pub use thin::{Compress, KernelThinning, ThinningStream, herd, optimal_four_point_half, random_sample, standard_thinning};
