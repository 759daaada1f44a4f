//! Kernels on sequences: paths in ℝᵈ and strings of symbols.
#![allow(clippy::needless_range_loop, reason = "lanes, levels and cells are counted")]

mod adjoint;
mod alignment;
mod cells;
mod discrepancy;
mod features;
mod gradient;
mod grid;
mod lift;
mod lifted;
mod paths;
mod scaled;
mod setting;
mod signature;
mod string_kernels;
mod strings;
mod text;
mod tile;
mod transforms;
mod truncated;
mod wave;

pub use alignment::GlobalAlignment;
pub use discrepancy::{kernel_scores, mmd_squared};
pub use features::SignatureFeatures;
pub use gradient::PathGradient;
pub use lifted::LiftedSignature;
pub use paths::{Path, Paths};
pub use scaled::ScaledValue;
pub use signature::{FiniteDifferences, Normalization, Signature, Solver};
pub use string_kernels::{AllSubsequences, Gapped, Mismatch, Spectrum, Subsequence, WeightedDegree};
pub use strings::Strings;
pub use transforms::Standardization;
