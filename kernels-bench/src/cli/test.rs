//! `kernels test`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Points, Rows};
use kernels_sample::{CompressedTest, IndependenceTest, TwoSampleTest};
use serde_json::json;

use super::Run;
use crate::{data::read_rows, error::Error};

/// What is tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Hypothesis {
    /// Both samples come from one distribution: MMD and permutations.
    #[default]
    Same,
    /// The same in near-linear time, by compression.
    SameCompressed,
    /// Row i of x and row i of y are independent: HSIC and permutations.
    Independent,
}

/// Options of `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// First sample: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Second sample.
    #[arg(long)]
    y: PathBuf,
    /// The hypothesis that is tested.
    #[arg(long, value_enum, default_value_t)]
    hypothesis: Hypothesis,
    /// Kernel expression [default: Gaussian with the median distance].
    #[arg(long)]
    kernel: Option<String>,
    /// Number of permutations.
    #[arg(long, default_value_t = 499)]
    permutations: usize,
}

impl Test {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let (xs, ys): (Rows<f64>, Rows<f64>) = (read_rows(&self.x)?, read_rows(&self.y)?);
        let kernel = super::kernel(self.kernel.as_deref(), &xs)?;
        let seed = run.shared.seed;
        let outcome = match self.hypothesis {
            Hypothesis::Same => TwoSampleTest::new(kernel.clone()).permutations(self.permutations).seed(seed).test(&xs, &ys)?,
            Hypothesis::SameCompressed => {
                CompressedTest::new(kernel.clone()).permutations(self.permutations).seed(seed).test(&xs, &ys)?
            }
            Hypothesis::Independent => {
                run.require_memory(xs.len(), 2, "a test of independence")?;
                let other = super::kernel(self.kernel.as_deref(), &ys)?;
                IndependenceTest::new(kernel.clone(), other).permutations(self.permutations).seed(seed).test(&xs, &ys)?
            }
        };
        let text = format!(
            "statistic {:.4e}, p = {:.4} from {} permutations, kernel {kernel}",
            outcome.statistic,
            outcome.p_value,
            outcome.null.len()
        );
        let object = json!({"command": "test", "n": [xs.len(), ys.len()], "statistic": outcome.statistic,
            "p_value": outcome.p_value, "permutations": outcome.null.len(), "kernel": kernel.to_string()});
        run.report(&text, object);
        Ok(())
    }
}
