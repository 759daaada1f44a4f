//! Random-walk features of nodes: unbiased estimates of kernels in time linear in the graph.
//!
//! Sources: Choromanski, *Taming graph kernels with random features* (2023); Reid et al., *General graph random features*
//! (2023), *Quasi-Monte Carlo graph random features* (2023), *Repelling random walks* (2024).

mod features;
mod kernel;
mod learn;
mod length;
mod modulation;
mod moments;
mod walker;

pub use features::WalkFeatures;
pub use kernel::WalkKernel;
pub use learn::{LearnedModulation, ModulationNetwork, fit_modulation, learn_modulation};
pub use length::LengthLaw;
pub use modulation::{deconvolve, modulation_exponential, modulation_inverse_power, modulation_power};
pub use moments::expected_error;
pub use walker::{Copies, RandomWalks};
