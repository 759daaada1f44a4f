//! Kernel density estimates: bandwidths, evaluation by several engines, and what follows from a density.

mod bandwidth;
mod conditional;
mod grid;
mod integral;
mod kde;
mod profile;
mod tree;

pub use bandwidth::{Bandwidth, improved_sheather_jones, leave_one_out_log_likelihood, least_squares_score};
pub use conditional::ConditionalKde;
pub use grid::{Grid, linear_binning};
pub use integral::{IntegralMethod, KernelDensityIntegral, KernelDensityIntegralModel};
pub use kde::{Boundary, Kde, KdeModel};
pub use profile::DensityKernel;
pub(crate) use bandwidth::weighted_covariance;
