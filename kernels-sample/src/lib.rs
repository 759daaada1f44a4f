//! Fewer points, the same distribution: with any kernel of [`kernels_core`], on any kind of points where the method allows.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | many points | a few that represent them | [`KernelThinning`], [`Compress`] (near-linear time), [`herd`] |
//! | a Markov chain and gradients of its log density | the same, with the chain's bias corrected | [`SteinThinning`] |
//! | nodes and a kernel mean | quadrature weights | [`quadrature`], [`greedy_quadrature`], [`simplex_weights`], [`recombine`] |
//! | two samples | are they of one distribution? | [`TwoSampleTest`], [`AggregatedTest`], [`CompressedTest`] |
//! | two variables; one sample and a density | are they independent? does it fit? | [`IndependenceTest`], [`WildBootstrap`] |
//! | points of ℝᵈ | a density, its modes, its clusters | [`Kde`], [`Grid`], [`MeanShift`], [`ProjectedModes`] |
//! | features of odd distributions | a transformation to \[0, 1\] | [`KernelDensityIntegral`] |
//! | unlabelled points | which to label | [`BatchSelection`], [`BatchFeatures`], [`TargetVariance`] |
//! | too many points | a diverse or covering subset | [`greedy_map`], [`Dpp`], [`DppChain`], [`cover`], [`k_center`], [`k_medoids`] |
//! | data to train on | the part that is worth it | [`information_gain`], [`open_set_coreset`], [`gradient_clusters`], [`ClusterRounds`] |
//! | more classes than were observed | predictions of all, and which to observe | [`frechet_classes`], [`farthest_classes`] |
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
mod quadrature;
mod random;
mod select;
mod stein;
mod thin;
mod tree;
mod version;

use kernels_core::parallel;
use version::Version;

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
pub use quadrature::{Quadrature, greedy_quadrature, quadrature, recombine, resample, simplex_weights};
pub use select::{
    BatchFeatures, BatchMethod, BatchSelection, ClusterRounds, ClusterWeight, Coverage, Dpp, DppChain,
    Greedy, KCenter, KMeans, KMedoids, Saturation, TargetCriterion, TargetSelection, TargetVariance, cover,
    farthest_classes, features_cover, frechet_classes, frechet_variances, gradient_clusters, greedy_map,
    information_gain, k_center, k_means, k_medoids, label_propagation, log_determinant_distance,
    log_elementary_symmetric, on_sphere, open_set_coreset, orthogonal_matching_pursuit,
};
pub use stein::{Preconditioner, SteinKernel, SteinThinning, with_scores};
pub use thin::{
    Compress, CompressStream, KernelThinning, ThinningStream, herd, optimal_four_point_half, random_sample,
    standard_thinning,
};
