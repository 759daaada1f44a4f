//! Tests of hypotheses by kernels: are two samples of one distribution, are two variables independent, does a sample
//! come from a given density.

mod aggregate;
mod compressed;
mod hsic;
mod mmd;
mod permutation;
mod wild;

pub use aggregate::{AggregatedOutcome, AggregatedTest};
pub use compressed::CompressedTest;
pub use hsic::{IndependenceTest, cka, hsic, hsic_unbiased};
pub use mmd::{MmdEstimator, mmd2, mmd2_to_input, mmd2_weighted, witness};
pub use permutation::TwoSampleTest;
pub use wild::{WildBootstrap, ksd2, ksd2_unbiased};

/// What a test found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TestOutcome {
    /// The statistic of the data.
    pub statistic: f64,
    /// Probability, under the hypothesis, of a statistic at least as large: (1 + #{null ≥ statistic}) / (1 + #null).
    pub p_value: f64,
    /// The statistics that the hypothesis was simulated with.
    pub null: Vec<f64>,
}

impl TestOutcome {
    pub(crate) fn new(statistic: f64, null: Vec<f64>) -> Self {
        // A permutation that reproduces the data's labels must count, whatever order its sum was formed in.
        let slack = 1e-12 * statistic.abs();
        let above = null.iter().filter(|&&t| t >= statistic - slack).count();
        Self { statistic, p_value: (1 + above) as f64 / (1 + null.len()) as f64, null }
    }
}
