//! Kernels of infinitely wide neural networks (NNGP, NTK), tangent kernels of finite ones, and the theory around them, for every
//! solver and sampler of the toolkit.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | an architecture | its NNGP or tangent kernel on vectors | [`Net`], [`NetworkKernel`] |
//! | the same with convolutions, pooling, attention | the kernel on images or sequences | [`NetworkKernel`] on [`Images`], [`OnImages`] |
//! | more points than pairs allow | features of the NNGP or tangent kernel | [`NetFeatures`], [`TangentFeatures`] |
//! | points on a sphere | spectra, harmonics, Gaussian processes on them | [`zonal_eigenvalues`], [`SphericalHarmonics`], [`SphericalProcess`] |
//! | an activation function | E φ(u)φ(v), its moments, its Hermite series | [`Activation`], [`HermiteSeries`] |
//! | the same | edge of chaos, slopes, initialisation, order 1/width | [`edge_of_chaos`], [`Propagation`], [`FiniteWidth`] |
//! | kernels and targets | networks during training, their spread | [`GradientFlow`], [`descend`], [`posterior`] |
//! | a finite network | its tangent kernel and what is made of it | [`Mlp`], [`Cnn`], [`JacobianSource`], [`TangentKernel`] |
//! | a trained network | error bars | [`SparseFunctionPosterior`] |
//! | the same | what a prediction owes to each training point | [`attributions`], [`trak`] |
//! | Gram matrices to be learnt | deep kernel machines | [`DeepKernelMachine`], [`SparseMachine`] |
//! | paths | limits of controlled residual networks | [`NeuralSignature`] |
//!
//! ```
//! use kernels_core::{Rows, gram};
//! use kernels_ntk::{Net, NetworkKernel};
//!
//! let net: Net = "dense(w_std=1.5, b_std=0.1) > relu > dense(w_std=1.5, b_std=0.1) > relu > dense()".parse()?;
//! let xs = Rows::from_row_major(vec![0.3, -1.2, 0.8, 0.5, 0.1, 0.9], 3, 2)?;
//! let theta = gram(&NetworkKernel::ntk(net), &xs)?;
//! assert!(theta[(0, 0)] > 0.0 && theta[(0, 1)] == theta[(1, 0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standard deviations `w_std` and `b_std` are hyper-parameters of the kernels, with gradients, so that Gaussian processes tune them.
//!
//! Not for training networks: there is no optimiser here, and no automatic differentiation.
//!
//! # Features
//! `rayon` (default): all cores; results do not depend on it. `serde`: networks as lists of layers, also from files.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activation;
mod depth;
mod dual;
mod empirical;
mod error;
mod features;
mod finite_width;
mod hermite;
mod infinite;
mod initialisation;
mod machine;
mod net;
mod neural_signature;
mod predict;
mod propagation;
mod random;
mod vocabulary;
mod zonal;

pub use activation::{Activation, Custom};
pub use depth::{
    DeepClassifier, Scaled, deep_classifier, deep_hermite, hermite_coefficients, optimal_activation,
};
pub use dual::{Dual, HermiteSeries, Moments};
pub use empirical::{
    AsymmetricSign, Checkpoint, Cnn, ConvLayer, DenseLayer, DualParameters, Jacobian, JacobianSource, Mlp,
    SparseFunctionPosterior, TangentKernel, alignment, attributions, centered_alignment, condition_number,
    effective_rank, eigen_score, inductive_bias, label_gradient_alignment, select_by_variance,
    spectral_label_alignment, target_alignment, trak,
};
pub use error::Error;
pub use features::{NetFeatures, TangentFeatures};
pub use finite_width::{FiniteWidth, WeightLaw};
pub use infinite::{Image, Images, Limit, NetworkKernel, OnImages};
pub use initialisation::{guessing_bias, maxout_dual, maxout_second_moment, preserving_variance};
pub use machine::{
    DeepKernelMachine, FittedGrams, GramKernel, ImageGram, SparseGram, SparseMachine, gaussian_divergence,
    input_gram,
};
pub use net::{Layer, Mechanism, Net, Padding, Parameterization, Weights, Window};
pub use neural_signature::NeuralSignature;
pub use predict::{GradientFlow, Loss, Ridge, descend, log_marginal_likelihood, posterior};
pub use propagation::{Phase, Propagation, Slopes, Universality, edge_of_chaos, universality};
pub use vocabulary::{with_images, with_networks};
pub use zonal::{
    SphericalHarmonics, SphericalProcess, hierarchical_eigenvalue, hierarchical_kernel, zonal_eigenvalues,
    zonal_kernel, zonal_multiplicity, zonal_series,
};

/// The README's example, so that it is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
