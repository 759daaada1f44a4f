//! Methods with closed forms around kernel ridge regression: distillation of models and of data, proximal corrections, views
//! without labels, teaching, tasks one after another, affine hulls, conditional means, flows.

mod affine_hull;
mod barlow_twins;
mod conditional_mean;
mod continual;
mod distillation;
mod flow;
mod inducing;
mod kernel_flow;
mod linear_dynamics;
mod proximal;
mod teaching;

pub use affine_hull::{AffineHull, AffineHullClassifier};
pub use barlow_twins::{BarlowTwins, BarlowTwinsModel, descend_linear, learning_curve};
pub use conditional_mean::{ConditionalMean, decoupled_uniformity};
pub use continual::{KernelTask, gaussian_divergence, variational_features};
pub use distillation::{SelfDistillation, best_imitation};
pub use flow::AffineCoupling;
pub use inducing::{InducingLoss, InducingPoints};
pub use kernel_flow::{KernelFlow, KernelFlowModel};
pub use linear_dynamics::{LinearDynamics, accuracy_within};
pub use proximal::{ProximalKrr, ProximalModel, Spherical};
pub use teaching::{Lesson, Teaching};
