//! The risk of a kernel regression from the spectrum of its kernel, before anything is fitted.
//!
//! [`Eigenstructure`] predicts test and train errors of ridge regression, with the kernel or with random features, against
//! the number of samples, features and the ridge; it can be estimated from a sample. [`gaussian_filter_risk`] does so for
//! any analytic filter, [`circle_risk`] exactly for translation-invariant kernels on equispaced points.
//!
//! ```
//! use kernels_solvers::risk::Eigenstructure;
//! let values: Vec<f64> = (1..400).map(|i| f64::from(i).powf(-1.5)).collect();
//! let target: Vec<f64> = (1..400).map(|i| f64::from(i).powf(-0.9)).collect();
//! let problem = Eigenstructure::new(values, &target, 0.1)?;
//! let few = problem.ridge_regression(50, problem.optimal_ridge(50)?)?;
//! let many = problem.ridge_regression(200, problem.optimal_ridge(200)?)?;
//! assert!(many.test < few.test);
//! # Ok::<(), kernels_solvers::Error>(())
//! ```

mod circle;
mod eigenframework;
mod gaussian;

pub use circle::{Circle, circle_risk, surrogate_risk};
pub use eigenframework::{Eigenstructure, RiskPrediction};
pub use gaussian::{FilterRisk, gaussian_filter_risk};
