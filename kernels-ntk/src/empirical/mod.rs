//! Tangent kernels of finite networks.

mod attribution;
mod cnn;
mod kernels;
mod metrics;
mod mlp;
mod selection;
mod sfr;

pub use attribution::{Checkpoint, trak};
pub use cnn::{Cnn, ConvLayer};
pub use kernels::{AsymmetricSign, Jacobian, JacobianSource, TangentKernel, attributions};
pub use metrics::{
    alignment, centered_alignment, condition_number, effective_rank, eigen_score, inductive_bias,
    label_gradient_alignment, spectral_label_alignment, target_alignment,
};
pub use mlp::{DenseLayer, Mlp};
pub use selection::select_by_variance;
pub use sfr::{DualParameters, SparseFunctionPosterior};
