//! Fewer points, the same distribution.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod distance;
mod error;
mod hypothesis;
mod parallel;
mod random;
mod stein;
mod thin;

pub use distance::{median_distance, support_points};
pub use error::Error;
pub use hypothesis::{
    AggregatedOutcome, AggregatedTest, CompressedTest, IndependenceTest, MmdEstimator, TestOutcome, TwoSampleTest,
    WildBootstrap, cka, hsic, hsic_unbiased, ksd2, ksd2_unbiased, mmd2, mmd2_to_input, mmd2_weighted, witness,
};
pub use stein::{Preconditioner, SteinKernel, SteinThinning, with_scores};
pub use thin::{Compress, KernelThinning, ThinningStream, herd, optimal_four_point_half, random_sample, standard_thinning};
