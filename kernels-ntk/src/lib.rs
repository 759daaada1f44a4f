//! wip
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activation;
mod dual;
mod error;
mod hermite;
mod infinite;
mod net;

pub use activation::{Activation, Custom};
pub use dual::{Dual, HermiteSeries, Moments};
pub use error::Error;
pub use infinite::{Image, Images, Limit, NetworkKernel};
pub use net::{Layer, Mechanism, Net, Padding, Parameterization, Weights, Window};
