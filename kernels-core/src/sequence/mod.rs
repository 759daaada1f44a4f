//! Kernels on sequences: paths in ℝᵈ and strings of symbols.

mod cells;
mod grid;
mod lift;
mod paths;
mod scaled;
mod setting;
mod signature;
mod strings;
mod tile;
mod transforms;
mod truncated;

pub use paths::{Path, Paths};
pub use scaled::ScaledValue;
pub use signature::{FiniteDifferences, Normalization, Signature, Solver};
pub use strings::Strings;
pub use transforms::Standardization;
