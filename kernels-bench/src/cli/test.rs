//! `kernels test`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Points, Rbf, Rows};
use kernels_sample::{
    AggregatedTest, CompressedTest, IndependenceTest, Preconditioner, SteinThinning, TwoSampleTest,
    WildBootstrap,
};
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
    /// The same at five length scales at once, a quarter to four times the median distance; --level is kept over all of them.
    SameAnyScale,
    /// Row i of x and row i of y are independent: HSIC and permutations.
    Independent,
    /// x comes from the density whose gradients of the logarithm are --scores: kernel Stein discrepancy and wild bootstrap.
    Fits,
}

/// Options of `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// First sample: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Second sample.
    #[arg(long, required_unless_present = "scores")]
    y: Option<PathBuf>,
    /// Gradients of the log density at the points, for --hypothesis fits: NPY (n, d), or a table.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// The hypothesis that is tested.
    #[arg(long, value_enum, default_value_t)]
    hypothesis: Hypothesis,
    /// Kernel expression [default: Gaussian with the median distance].
    #[arg(long)]
    kernel: Option<String>,
    /// Number of permutations.
    #[arg(long, default_value_t = 499)]
    permutations: usize,
    /// Level of the test over scales.
    #[arg(long, default_value_t = 0.05)]
    level: f64,
}

impl Test {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let needed = |file: &Option<PathBuf>, what: &str| -> Result<Rows<f64>, Error> {
            let missing = || Error::Choice(format!("this hypothesis needs {what}"));
            read_rows(file.as_deref().ok_or_else(missing)?)
        };
        if self.hypothesis == Hypothesis::Fits {
            return self.fits(run, &xs, &needed(&self.scores, "--scores, the gradients of the log density")?);
        }
        let ys = needed(&self.y, "--y, the second sample")?;
        if self.hypothesis == Hypothesis::SameAnyScale {
            return self.any_scale(run, &xs, &ys);
        }
        let kernel = super::kernel(self.kernel.as_deref(), &xs)?;
        let seed = run.shared.seed;
        let outcome = match self.hypothesis {
            Hypothesis::Same => TwoSampleTest::new(kernel.clone())
                .permutations(self.permutations)
                .seed(seed)
                .test(&xs, &ys)?,
            Hypothesis::SameCompressed => CompressedTest::new(kernel.clone())
                .permutations(self.permutations)
                .seed(seed)
                .test(&xs, &ys)?,
            // Those without a kernel of the caller's have returned.
            Hypothesis::Independent | Hypothesis::SameAnyScale | Hypothesis::Fits => {
                run.require_memory(xs.len(), 2, "a test of independence")?;
                let other = super::kernel(self.kernel.as_deref(), &ys)?;
                IndependenceTest::new(kernel.clone(), other)
                    .permutations(self.permutations)
                    .seed(seed)
                    .test(&xs, &ys)?
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

    fn fits(&self, run: &Run, xs: &Rows<f64>, scores: &Rows<f64>) -> Result<(), Error> {
        run.require_memory(xs.len(), 1, "a test of fit")?;
        let (kernel, points) =
            SteinThinning::new().preconditioner(Preconditioner::Median).prepare(xs, scores)?;
        let outcome =
            WildBootstrap::new(kernel).replicates(self.permutations).seed(run.shared.seed).test(&points)?;
        let text = format!(
            "squared kernel Stein discrepancy {:.4e}, p = {:.4} from {} bootstrap samples",
            outcome.statistic,
            outcome.p_value,
            outcome.null.len()
        );
        let object = json!({"command": "test", "n": [xs.len()], "statistic": outcome.statistic,
            "p_value": outcome.p_value, "permutations": outcome.null.len()});
        run.report(&text, object);
        Ok(())
    }

    fn any_scale(&self, run: &Run, xs: &Rows<f64>, ys: &Rows<f64>) -> Result<(), Error> {
        let scales = kernels_solvers::median_length_scales(xs);
        let middle = scales.iter().sum::<f64>() / scales.len().max(1) as f64;
        let lengths: Vec<f64> = [0.25, 0.5, 1.0, 2.0, 4.0].iter().map(|f| f * middle).collect();
        let kernels = lengths.iter().map(|&l| Rbf::new(l)).collect::<Result<Vec<_>, _>>()?;
        let outcome = AggregatedTest::new(kernels)
            .level(self.level)
            .permutations(self.permutations, self.permutations)
            .seed(run.shared.seed)
            .test(xs, ys)?;
        let verdict = if outcome.rejected { "rejected" } else { "not rejected" };
        let mut text = format!("one distribution: {verdict} at level {}\n", self.level);
        for ((l, s), t) in lengths.iter().zip(&outcome.statistics).zip(&outcome.thresholds) {
            text += &format!("  length scale {l:.4}: statistic {s:.4e}, threshold {t:.4e}\n");
        }
        let object = json!({"command": "test", "n": [xs.len(), ys.len()], "rejected": outcome.rejected,
            "level": self.level, "length_scales": lengths, "statistics": outcome.statistics,
            "thresholds": outcome.thresholds});
        run.report(&text, object);
        Ok(())
    }
}
