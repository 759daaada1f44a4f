//! Regression, Gaussian processes and classification with any kernel of [`kernels_core`], on any kind of points.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | targets and a kernel | a regression | [`Krr`] |
//! | the same, no idea of the ridge | all ridges at once, by leave-one-out, GCV or likelihood | [`RidgePath`] |
//! | the same, no idea of the kernel's parameters, or a wish for error bars | hyper-parameters by gradients, variances | [`GaussianProcess`] |
//! | targets and a conditionally positive definite kernel (thin plates, distances) | an interpolant or smoother | [`CpdInterpolation`] |
//! | labels | classes and calibrated probabilities | [`KernelClassifier`] |
//!
//! Solvers take a kernel that is positive definite by its type, or a dynamic one that is checked when fitted; they know
//! nothing of the kernel or the points beyond their traits. All are exact: n² memory, n³ time, some ten thousand samples.
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

mod calibration;
mod centroid;
mod classify;
mod cpd;
mod data;
mod error;
mod gp;
mod krr;
mod krylov;
mod logistic;
mod minimise;
mod path;
pub mod risk;
pub mod spectral;
pub mod svm;
mod version;

pub use calibration::Calibration;
pub use centroid::{CentroidModel, NearestCentroid};
pub use classify::{ClassifierModel, KernelClassifier};
pub use cpd::{CpdInterpolation, CpdModel};
pub use data::Targets;
pub use error::Error;
pub use gp::{
    ConstrainedSearch, Coregionalized, FitReport, GaussianProcess, GpClassifier, GpClassifierModel, GpModel, GpPrediction, HeteroscedasticGp,
    HeteroscedasticModel, LeaveOneOutDensity, Objective, Outputs, SearchOutcome, SparseGaussianProcess, SparseGpModel,
    StochasticEstimate, WeightPosterior, log_determinant, median_length_scales, stochastic_log_marginal_likelihood,
};
pub use krr::{Intervals, Krr, KrrModel, LeaveOneOut};
pub use logistic::{KernelLogistic, LogisticModel};
pub use minimise::Stop;
pub use path::{Criterion, PathPoint, RidgePath};
use version::Version;

/// The README's example, so that it is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
