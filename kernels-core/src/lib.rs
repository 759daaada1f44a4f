//! Kernels on vectors, sequences and more: families, their algebra and text form, operators, feature maps, and a fast engine
//! for matrices of kernel values.
//!
//! | you want | look at |
//! |---|---|
//! | a matrix of kernel values | [`gram`], [`cross_gram`], [`gram_into`], [`diagonal`] |
//! | to multiply by it without storing it | [`LazyGram`], [`LazyCross`] |
//! | a kernel | [`Rbf`], [`Matern`], [`Laplacian`], [`Periodic`], [`Linear`], [`Wendland`], [`Signature`], …; sums and products by `+`, `*` and `2.0 *` |
//! | a kernel chosen when the program runs | [`AnyKernel`], read from text; [`Vocabulary`] adds names |
//! | a kernel of your own | [`Kernel`]: one function of two points; or [`Profile`]: one function of the distance |
//! | an input that is no vector | [`Points`]; here: [`Rows`], [`Paths`], [`Strings`] |
//! | features instead of a kernel | [`RandomFourier`] and its relatives behind [`FeatureMap`] |
//! | derivatives | [`gram_gradient`] by hyper-parameters, [`Jet`] by the points |
//! | structure | [`sparse_gram`], [`PivotedCholesky`], [`structured`], [`Operator`] |
//! | to compare kernels | [`measures`] |
//! | to know that a kernel is right | [`testing`](https://docs.rs/kernels-core/latest/kernels_core/testing), feature `testing` |
//!
//! ```
//! use kernels_core::{AnyKernel, LazyGram, Matern, Operator, Rows, White, gram};
//! use nalgebra::DMatrix;
//!
//! let xs = Rows::from_row_major((0..300).map(|i| (f64::from(i) * 0.37).sin()).collect(), 100, 3)?;
//! let kernel = 1.5 * Matern::new(2.5, [0.3, 2.0, 1.0])? + White::new(0.01)?;
//! let k = gram(&kernel, &xs)?;
//!
//! // The same kernel as text; the same matrix times a vector, within a megabyte.
//! let same: AnyKernel<f64> = "1.5 * matern(nu=2.5, length_scale=[0.3, 2, 1]) + white(variance=0.01)".parse()?;
//! let v = DMatrix::from_element(100, 1, 1.0);
//! let mut product = DMatrix::zeros(100, 1);
//! LazyGram::new(&same, &xs, 1 << 20)?.apply(v.as_view(), product.as_view_mut())?;
//! assert!((k * v - product).amax() < 1e-12);
//! # Ok::<(), kernels_core::Error>(())
//! ```
//!
//! # What holds everywhere
//! Samples are rows. Entries of stationary kernels are within 1e-13 of the truth (1e-5 in `f32`), near-coincident points and
//! data far from the origin included. Results are bitwise the same for any number of threads, and for the same seed. Nothing panics on
//! public input; nothing is added to a diagonal in silence. Whether a kernel is positive definite is part of its type
//! ([`PositiveDefinite`]) and of its value ([`Definiteness`]).
//!
//! # Features
//! `rayon` (default): all cores of the current pool. `dense`: factorizations ([`dense`](https://docs.rs/kernels-core/latest/kernels_core/dense))
//! and what needs them. `serde`: kernels and points can be stored. `ndarray`: conversions. `testing`: contract tests for kernels,
//! operators and feature maps.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod algebra;
mod anova;
mod bessel;
mod centered;
mod compact;
mod compose;
mod conditional;
mod cosine;
#[cfg(feature = "dense")]
#[cfg_attr(docsrs, doc(cfg(feature = "dense")))]
pub mod dense;
mod derivative;
mod describe;
mod dot;
mod engine;
mod error;
mod expr;
mod features;
mod kernel;
mod kerple;
mod laplacian;
mod length_scale;
mod low_rank;
mod mahalanobis;
pub mod measures;
mod neighbours;
mod noise;
mod operator;
mod paired;
pub mod parallel;
mod periodic;
mod points;
mod profile;
mod progress;
mod radial;
mod real;
mod remainder;
mod separable;
mod sequence;
mod simd;
mod sparse;
mod spectra;
mod spectral_mixture;
pub mod structured;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod warp;
mod workspace;
mod zonal;

pub use algebra::{Product, Scaled, Sum, Term};
pub use anova::Anova;
pub use centered::Centered;
pub use compact::{BSpline, CompactProfile, Wendland};
pub use compose::{Exp, Normalized, Power};
#[cfg(feature = "dense")]
pub use conditional::constant_shift;
pub use conditional::{Anchored, EnergyDistance, Polynomials};
pub use cosine::Cosine;
pub use derivative::{Differentiable, Jet};
pub use describe::{Describe, Param, Transform};
pub use dot::*;
pub use engine::{LazyCross, LazyGram, cross_gram, cross_gram_into, gram, gram_gradient, gram_into};
pub use error::Error;
pub use expr::{
    AnyKernel, Arguments, Build, Call, DynKernel, Expr, Family, Parameter, Readable, Value, Vocabulary,
    parse, read_call,
};
pub use features::{
    FeatureMap, GegenbauerFeatures, LearnedFourier, RandomBinning, RandomFourier, SoftmaxFeatures, Spectral,
    SpectralQuantile, StructuredFourier, TaylorFeatures, TensorSketch, TrigonometricFeatures,
    UniversalFeatures, exact_attention, features, linear_attention, sphere_eigenvalues,
};
#[cfg(feature = "dense")]
#[cfg_attr(docsrs, doc(cfg(feature = "dense")))]
pub use features::{FeatureReport, NystromFeatures};
pub use kernel::{Block, Definiteness, Kernel, PositiveDefinite, Tile, diagonal};
pub use kerple::{Bias, alibi_slopes};
pub use laplacian::Laplacian;
pub use length_scale::LengthScale;
pub use low_rank::{LowRank, PivotedCholesky, kmeans_plus_plus};
pub use mahalanobis::Mahalanobis;
pub use neighbours::{sparse_cross_gram, sparse_gram};
pub use noise::{Constant, White};
pub use operator::{Dense, Operator, ScaledOperator, Shifted, SumOperator};
pub use paired::{ArcCosine, ArcSine, MinMax, Tanimoto};
pub use periodic::Periodic;
pub use points::{Points, Rows};
pub use profile::Profile;
pub use progress::Progress;
pub use radial::*;
pub use real::Real;
pub use remainder::Remainder;
pub use separable::*;
pub use sequence::*;
pub use simd::{Simd, Vector, Work};
pub use sparse::Sparse;
pub use spectra::{SpectralDensity, SquareRoot, spectral_power, square_root};
pub use spectral_mixture::SpectralMixture;
pub use warp::{Transformation, Warped};
pub use workspace::Workspace;
pub use zonal::*;

/// The examples of the crate's page run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
