//! Random features of wide networks.

mod network;
mod tangent;

pub use network::NetFeatures;
pub use tangent::TangentFeatures;
