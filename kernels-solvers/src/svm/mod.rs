//! Support vector machines: classification, regression and one class, by one sequential minimal optimiser.
//!
//! ```
//! use kernels_core::{Rbf, Rows};
//! use kernels_solvers::svm::SupportVectorClassifier;
//! let xs = Rows::from_row_major((0..20).map(|i| f64::from(i)).collect(), 20, 1)?;
//! let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10)).collect();
//! let model = SupportVectorClassifier::new(Rbf::new(3.0)?).cost(10.0).fit(&xs, &labels)?;
//! let at = Rows::from_row_major(vec![2.0, 17.0], 2, 1)?;
//! assert_eq!(model.predict(&at)?, vec![0, 1]);
//! assert!(model.machines()[0].support().len() < 10);
//! # Ok::<(), kernels_solvers::Error>(())
//! ```

mod cache;
mod classifier;
mod model;
mod regression;
mod smo;
mod sweep;

pub use classifier::{SupportVectorClassifier, SvcModel};
pub use model::{SvmModel, SvmReport};
pub use regression::{OneClassSvm, SupportVectorRegression};

use crate::{Error, data::positive};

/// When and within what memory the optimiser works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Largest violation of the optimality conditions at the end.
    pub(crate) tolerance: f64,
    /// Bytes for rows of the kernel matrix.
    pub(crate) cache: usize,
    /// Whether variables that stay at a bound are set aside.
    pub(crate) shrinking: bool,
    /// Most steps; 0 is 10⁷ or 100 a variable, whichever is more.
    pub(crate) max_iterations: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { tolerance: 1e-3, cache: 512 << 20, shrinking: true, max_iterations: 0 }
    }
}

impl Effort {
    pub(crate) fn checked(self) -> Result<Self, Error> {
        positive("tolerance", self.tolerance)?;
        Ok(self)
    }
}

/// The setters that all machines share.
macro_rules! effort_setters {
    () => {
        /// Largest violation of the optimality conditions at the end; 0.001 if not set.
        pub fn tolerance(mut self, tolerance: f64) -> Self {
            self.effort.tolerance = tolerance;
            self
        }

        /// Bytes of memory for rows of the kernel matrix, which are kept in single precision; 512 MiB if not set.
        pub fn cache(mut self, bytes: usize) -> Self {
            self.effort.cache = bytes;
            self
        }

        /// Whether variables that stay at a bound are set aside; they are checked at the end.
        pub fn shrinking(mut self, shrinking: bool) -> Self {
            self.effort.shrinking = shrinking;
            self
        }

        /// Most steps; 0, the default, is 10⁷ or 100 a sample, whichever is more.
        pub fn max_iterations(mut self, iterations: usize) -> Self {
            self.effort.max_iterations = iterations;
            self
        }
    };
}
pub(crate) use effort_setters;
