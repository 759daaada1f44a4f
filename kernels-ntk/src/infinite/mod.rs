//! Kernels of infinitely wide networks.

mod angles;
mod apart;
mod cache;
mod gradient;
mod images;
mod kernel;
mod layers;
mod on_images;
mod params;
mod spatial;
mod windows;

pub use images::{Image, Images};
pub use kernel::{Limit, NetworkKernel};
pub use on_images::OnImages;
