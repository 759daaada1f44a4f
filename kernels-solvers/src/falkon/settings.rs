//! What regression and classification on centres have in common.

use kernels_core::{Error as CoreError, Kernel};

use crate::{BlockSource, Error, krr::weight_roots, stream::check_source, uniform_landmarks};

/// Which samples are centres.
#[derive(Clone, Debug)]
pub(crate) enum Centers {
    Uniform(usize),
    Given(Vec<usize>),
}

/// Settings of [`Falkon`](crate::Falkon) and [`LogFalkon`](crate::LogFalkon).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) centers: Centers,
    pub(crate) lambda: f64,
    pub(crate) seed: u64,
    pub(crate) tolerance: f64,
    pub(crate) max_iterations: usize,
    pub(crate) budget: usize,
    pub(crate) weights: Option<Vec<f64>>,
}

/// Setters of a builder whose field `settings` these are; tolerance and iterations mean something else in each.
macro_rules! center_setters {
    (tolerance: $tolerance:literal, max_iterations: $iterations:literal $(,)?) => {
        #[doc = $tolerance]
        pub fn tolerance(mut self, tolerance: f64) -> Self {
            self.settings.tolerance = tolerance;
            self
        }

        #[doc = $iterations]
        pub fn max_iterations(mut self, iterations: usize) -> Self {
            self.settings.max_iterations = iterations;
            self
        }

        /// Sets λ > 0.
        pub fn lambda(mut self, lambda: f64) -> Self {
            self.settings.lambda = lambda;
            self
        }

        /// Uses these samples as centres, from [`PivotedCholesky`](kernels_core::PivotedCholesky) or
        /// [`kmeans_plus_plus`](kernels_core::kmeans_plus_plus), say.
        pub fn centers(mut self, indices: impl Into<Vec<usize>>) -> Self {
            self.settings.centers = $crate::falkon::Centers::Given(indices.into());
            self
        }

        /// Seed of all that is random: the centres and, where there is one, the sketch.
        pub fn seed(mut self, seed: u64) -> Self {
            self.settings.seed = seed;
            self
        }

        /// Bytes of working memory of the kernel products.
        pub fn budget(mut self, bytes: usize) -> Self {
            self.settings.budget = bytes;
            self
        }

        /// One weight a sample, not negative: every sample's loss counts so often.
        pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
            self.settings.weights = Some(weights.into());
            self
        }
    };
}
pub(crate) use center_setters;

impl Settings {
    /// λ = 1e-6, tolerance 1e-7, 64 MiB.
    pub(crate) fn new(centers: usize, max_iterations: usize) -> Self {
        Self {
            centers: Centers::Uniform(centers),
            lambda: 1e-6,
            seed: 0,
            tolerance: 1e-7,
            max_iterations,
            budget: 64 << 20,
            weights: None,
        }
    }

    /// Checks kernel, λ, data and weights, and draws the centres; `what` is the method, `needs` says what it has none of.
    pub(crate) fn chosen<S, K>(
        &self,
        what: &'static str,
        needs: &'static str,
        kernel: &K,
        source: &mut S,
    ) -> Result<Vec<usize>, Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        crate::data::require_positive(what, kernel)?;
        crate::data::positive("lambda", self.lambda)?;
        check_source(what, source)?;
        let n = source.len();
        weight_roots(self.weights.as_deref(), n)?;
        let indices = match &self.centers {
            Centers::Given(indices) => indices.clone(),
            Centers::Uniform(m) => uniform_landmarks(n, *m, self.seed),
        };
        if indices.is_empty() {
            return Err(CoreError::TooFewPoints { what: needs, needed: 1, given: 0 }.into());
        }
        Ok(indices)
    }
}
