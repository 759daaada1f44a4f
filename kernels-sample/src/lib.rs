//! Fewer points, the same distribution: with any kernel of [`kernels_core`], on any kind of points where the method allows.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | many points | a few that represent them | [`KernelThinning`], [`Compress`] (near-linear time), [`herd`] |
//! | a Markov chain and gradients of its log density | the same, with the chain's bias corrected | [`SteinThinning`] |
//! | nodes and a kernel mean | quadrature weights | [`quadrature`], [`simplex_weights`], [`recombine`] |
//! | two samples | are they of one distribution? | [`TwoSampleTest`], [`AggregatedTest`], [`CompressedTest`] |
//! | two variables; one sample and a density | are they independent? does it fit? | [`IndependenceTest`], [`WildBootstrap`] |
//! | points of ℝᵈ | a density, its modes, its clusters | [`Kde`], [`Grid`], [`MeanShift`], [`ProjectedModes`] |
//! | features of odd distributions | a transformation to \[0, 1\] | [`KernelDensityIntegral`] |
//! | unlabelled points | which to label | [`BatchSelection`], [`TargetVariance`] |
//! | too many points | a diverse or covering subset | [`greedy_map`], [`Dpp`], [`cover`], [`k_center`] |
//!
//! ```
//! use kernels_core::{Points, Rbf, Rows};
//! use kernels_sample::{KernelThinning, mmd2_to_input, random_sample};
//!
//! let points: Vec<f64> = (0..1024).map(|i| (f64::from(i) * 0.754_877).fract() * 4.0).collect();
//! let xs = Rows::from_row_major(points, 1024, 1)?;
//! let kernel = Rbf::new(0.5)?;
//! let coreset = KernelThinning::new(kernel.clone()).seed(1).thin(&xs, 5)?; // 32 of 1024
//! let random = random_sample(xs.len(), 32, 1)?;
//! assert!(mmd2_to_input(&kernel, &xs, &coreset)? < 0.1 * mmd2_to_input(&kernel, &xs, &random)?);
//! # Ok::<(), kernels_sample::Error>(())
//! ```
//!
//! Scalars are `f64`. What is random takes a seed: same seed, same bits, for any number of threads.
//!
//! # Features
//! `rayon` (default): all cores; results do not depend on it. `serde`: outcomes and fitted transformations can be stored.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Loops over several arrays at once read best by index.

mod access;
mod density;
mod distance;
mod error;
mod hypothesis;
mod modes;
mod parallel;
mod quadrature;
mod random;
mod select;
mod stein;
mod thin;

pub use density::{
    Bandwidth, Boundary, ConditionalKde, DensityKernel, Grid, IntegralMethod, Kde, KdeModel,
    KernelDensityIntegral, KernelDensityIntegralModel, improved_sheather_jones, least_squares_score,
    leave_one_out_log_likelihood, linear_binning,
};
pub use distance::{median_distance, support_points};
pub use error::Error;
pub use hypothesis::{
    AggregatedOutcome, AggregatedTest, CompressedTest, IndependenceTest, MmdEstimator, TestOutcome,
    TwoSampleTest, WildBootstrap, cka, hsic, hsic_unbiased, ksd2, ksd2_unbiased, mmd2, mmd2_to_input,
    mmd2_weighted, witness,
};
pub use modes::{
    FlatClusters, FlatMeanShift, MeanShift, ModalTree, Modes, ProjectedMode, ProjectedModes, SmoothProfile,
    estimate_bandwidth,
};
pub use quadrature::{Quadrature, quadrature, recombine, resample, simplex_weights};
pub use select::{
    BatchMethod, BatchSelection, ClusterWeight, Coverage, Dpp, Greedy, KCenter, TargetCriterion,
    TargetSelection, TargetVariance, cover, features_cover, greedy_map, k_center, log_elementary_symmetric,
    orthogonal_matching_pursuit,
};
pub use stein::{Preconditioner, SteinKernel, SteinThinning, with_scores};
pub use thin::{
    Compress, KernelThinning, ThinningStream, herd, optimal_four_point_half, random_sample, standard_thinning,
};
