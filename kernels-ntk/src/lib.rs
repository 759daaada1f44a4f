//! wip
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activation;
mod dual;
mod error;
mod hermite;

pub use activation::{Activation, Custom};
pub use dual::{Dual, HermiteSeries, Moments};
pub use error::Error;
