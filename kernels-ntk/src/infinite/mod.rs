//! Kernels of infinitely wide networks.

mod angles;
mod images;
mod kernel;
mod layers;
mod spatial;

pub use images::{Image, Images};
pub use kernel::{Limit, NetworkKernel};
