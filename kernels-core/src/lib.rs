//! placeholder tour
#![cfg_attr(docsrs, feature(doc_cfg))]

mod algebra;
mod describe;
mod dot;
mod engine;
mod error;
mod expr;
mod kernel;
mod length_scale;
mod operator;
mod points;
mod profile;
mod progress;
mod radial;
mod real;
mod simd;
mod workspace;

pub use algebra::{Product, Scaled, Sum, Term};
pub use describe::{Describe, Param, Transform};
pub use dot::*;
pub use engine::{LazyCross, LazyGram, cross_gram, cross_gram_into, gram, gram_gradient, gram_into};
pub use error::Error;
pub use expr::{Call, Expr, Value};
pub use kernel::{Block, Definiteness, Kernel, PositiveDefinite, Tile, diagonal};
pub use length_scale::LengthScale;
pub use operator::{Dense, Operator};
pub use points::{Points, Rows};
pub use profile::Profile;
pub use progress::Progress;
pub use radial::*;
pub use real::Real;
pub use simd::Vector;
pub use workspace::Workspace;
