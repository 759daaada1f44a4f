//! placeholder tour
#![cfg_attr(docsrs, feature(doc_cfg))]

mod algebra;
mod compact;
mod compose;
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
mod laplacian;
mod length_scale;
pub mod measures;
mod neighbours;
mod noise;
mod operator;
mod periodic;
mod points;
mod profile;
mod progress;
mod radial;
mod real;
mod simd;
mod sparse;
pub mod structured;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod workspace;

pub use algebra::{Product, Scaled, Sum, Term};
pub use compact::{BSpline, CompactProfile, Wendland};
pub use compose::{Exp, Normalized, Power, Transformation, Warped};
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
    FeatureMap, GegenbauerFeatures, LearnedFourier, RandomBinning, RandomFourier, SoftmaxFeatures, Spectral,
    SpectralQuantile, StructuredFourier, TaylorFeatures, TensorSketch, UniversalFeatures, exact_attention,
    features, linear_attention, sphere_eigenvalues,
};
#[cfg(feature = "dense")]
#[cfg_attr(docsrs, doc(cfg(feature = "dense")))]
pub use features::{FeatureReport, NystromFeatures};
pub use kernel::{Block, Definiteness, Kernel, PositiveDefinite, Tile, diagonal};
pub use laplacian::Laplacian;
pub use length_scale::LengthScale;
pub use neighbours::{sparse_cross_gram, sparse_gram};
pub use noise::{Constant, White};
pub use operator::{Dense, Operator, ScaledOperator, Shifted, SumOperator};
pub use periodic::Periodic;
pub use points::{Points, Rows};
pub use profile::Profile;
pub use progress::Progress;
pub use radial::*;
pub use real::Real;
pub use simd::Vector;
pub use sparse::Sparse;
pub use workspace::Workspace;
