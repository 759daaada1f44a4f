//! Kernel density estimates: bandwidths, evaluation by several engines, and what follows from a density.

mod bandwidth;
mod conditional;
mod features;
mod grid;
mod integral;
mod kde;
mod profile;
mod tree;
mod validation;

pub(crate) use bandwidth::weighted_covariance;
pub use bandwidth::{Bandwidth, improved_sheather_jones};
pub use conditional::ConditionalKde;
pub use grid::{Grid, linear_binning};
pub use integral::{IntegralMethod, KernelDensityIntegral, KernelDensityIntegralModel};
pub use kde::{Boundary, Kde, KdeModel};
pub use profile::DensityKernel;
pub use validation::{least_squares_score, leave_one_out_log_likelihood};
