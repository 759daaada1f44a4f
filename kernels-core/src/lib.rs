//! placeholder tour
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
mod periodic;
mod points;
mod profile;
mod progress;
mod radial;
mod real;
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
    AnyKernel, Arguments, Build, Call, DynKernel, Expr, Family, Parameter, Readable, Value, Vocabulary, parse,
};
pub use features::{
    FeatureMap, GegenbauerFeatures, RandomBinning, RandomFourier, SoftmaxFeatures, Spectral,
    SpectralQuantile, StructuredFourier, TaylorFeatures, TensorSketch, UniversalFeatures, exact_attention,
    features, linear_attention, sphere_eigenvalues,
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
pub use separable::*;
pub use sequence::*;
pub use simd::Vector;
pub use sparse::Sparse;
pub use spectra::{SpectralDensity, SquareRoot, spectral_power, square_root};
pub use spectral_mixture::SpectralMixture;
pub use warp::{Transformation, Warped};
pub use workspace::Workspace;
pub use zonal::*;
