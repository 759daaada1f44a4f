//! Regression, Gaussian processes and classification with any kernel of [`kernels_core`], on any kind of points.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | targets and a kernel | a regression | [`Krr`] |
//! | the same, no idea of the ridge | all ridges at once, by leave-one-out, GCV or likelihood | [`RidgePath`] |
//! | the same, no idea of the kernel's parameters, or a wish for error bars | hyper-parameters by gradients, variances | [`GaussianProcess`] |
//! | targets and a conditionally positive definite kernel (thin plates, distances) | an interpolant or smoother | [`CpdInterpolation`] |
//! | labels | classes and calibrated probabilities | [`KernelClassifier`], [`KernelLogistic`], [`GpClassifier`] |
//! | labels, a lot of samples, or outliers | sparse machines | [`svm`] |
//! | targets, and a wish for another regularization | early stopping, cut-off, iterated ridges | [`spectral`] |
//! | a spectrum | the error before fitting | [`risk`] |
//! | more samples than n² memory allows | a sparse process, a determinant from products | [`SparseGaussianProcess`], [`log_determinant`] |
//! | several outputs, or noise that varies | one process for all | [`Coregionalized`], [`HeteroscedasticGp`] |
//! | few labels, many points | the structure of all points | [`Stkr`] |
//! | no targets | components, clusters, trees that explain them | [`unsupervised`] |
//! | a costly function with constraints | its minimum | [`ConstrainedSearch`] |
//! | models to distil, data to condense, views, tasks, teachers | closed forms | [`closed_form`] |
//! | too many samples for a matrix | the same solution by products with it | [`ConjugateGradients`], [`Askotch`], [`Minres`] |
//! | 10⁵ samples and more, on disk perhaps | a model on a few thousand centres | [`Falkon`], [`LogFalkon`], [`EigenPro`], from [`NpyFiles`] or any [`BlockSource`] |
//! | samples that come and go | a fit that follows them | [`IncrementalKrr`], [`PartialFit`] |
//! | no wish to choose | a method within memory and time, and why | [`AutoRegression`], [`plan()`] |
//!
//! Solvers take a kernel that is positive definite by its type, or a dynamic one that is checked when fitted; they know
//! nothing of the kernel or the points beyond their traits. Where nothing else is said they are exact: n² memory, n³ time, some
//! ten thousand samples. White noise in a kernel is seen by the exact solvers alone: give it to the others as their ridge.
//!
//! ```
//! use kernels_core::{Matern, Rows};
//! use kernels_solvers::GaussianProcess;
//!
//! let hours: Vec<f64> = (0..48).map(f64::from).collect();
//! let load: Vec<f64> = hours.iter().map(|h| 20.0 + 5.0 * (h / 24.0 * std::f64::consts::TAU).sin()).collect();
//! let xs = Rows::from_row_major(hours, 48, 1)?;
//! let model = GaussianProcess::new(Matern::new(2.5, 3.0)?).fit(&xs, &load)?;
//! let p = model.predict(&Rows::from_row_major(vec![30.5], 1, 1)?)?;
//! assert!((p.mean[(0, 0)] - 24.96).abs() < 0.1);
//! println!("{} ± {}", p.mean[(0, 0)], p.variance[(0, 0)].sqrt());
//! # Ok::<(), kernels_solvers::Error>(())
//! ```
//!
//! An indefinite kernel does not compile:
//! ```compile_fail
//! use kernels_core::{Rows, Sigmoid};
//! let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1).unwrap();
//! kernels_solvers::Krr::new(Sigmoid::new(1.0, 0.0).unwrap()).fit(&xs, &vec![0.0, 1.0]);
//! ```
//!
//! # Features
//! `rayon` (default): all cores; results do not depend on it. `serde`: models can be stored; a stored model predicts the same
//! bits.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod askotch;
mod calibration;
mod centroid;
mod checkpoint;
mod classify;
pub mod closed_form;
mod cpd;
mod data;
mod eigenpro;
mod error;
mod falkon;
mod gp;
mod incremental;
mod krr;
mod krylov;
mod logistic;
mod minimise;
mod path;
pub mod risk;

mod leverage;
mod log_falkon;
mod plan;
mod report;
pub mod spectral;
pub mod stkr;
mod stream;
pub mod svm;
mod tuning;
pub mod unsupervised;
mod version;

pub use askotch::Askotch;
pub use calibration::{Calibration, ProbabilityScale};
pub use centroid::{CentroidModel, NearestCentroid};
pub use classify::{ClassifierModel, KernelClassifier};
pub use cpd::{CpdInterpolation, CpdModel};
pub use data::Targets;
pub use eigenpro::EigenPro;
pub use error::Error;
pub use falkon::{CenterScores, Falkon, Preconditioning, uniform_landmarks};
pub use gp::{
    ConstrainedSearch, Coregionalized, FitReport, GaussianProcess, GpClassifier, GpClassifierModel, GpModel,
    GpPrediction, HeteroscedasticGp, HeteroscedasticModel, LeaveOneOutDensity, Objective, Outputs,
    SearchOutcome, SparseGaussianProcess, SparseGpModel, StochasticEstimate, WeightPosterior,
    log_determinant, median_length_scales, stochastic_log_marginal_likelihood,
};
pub use incremental::{IncrementalKrr, PartialFit};
pub use krr::{Intervals, Krr, KrrModel, LeaveOneOut};
pub use krylov::{BlockJacobi, ConjugateGradients, Identity, LowRankPreconditioner, Minres, Preconditioner};
pub use leverage::{Leverage, leverage_landmarks};
pub use log_falkon::{LogFalkon, LogFalkonModel};
pub use logistic::{KernelLogistic, LogisticModel};
pub use minimise::Stop;
pub use path::{Criterion, PathPoint, RidgePath};
pub use plan::{AutoRegression, Method, Plan, plan};
pub use report::{Ended, SolveReport};
pub use stkr::{Stkr, StkrModel};
pub use stream::{BlockSource, InMemory, NpyFiles};
pub use tuning::{Fold, Round, cross_validate, folds, successive_halving};
use version::Version;

/// The README's example, so that it is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
