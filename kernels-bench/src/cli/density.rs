//! `kernels density`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::{Points, Rows};
use kernels_sample::{Bandwidth, DensityKernel, Kde};
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Options of `density`.
#[derive(Debug, Args)]
pub(crate) struct Density {
    /// Points the density is estimated from: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Points to evaluate it at [default: the same points].
    #[arg(long)]
    at: Option<PathBuf>,
    /// scott, silverman, isj (one column), likelihood or least-squares (cross-validation), or a number: the kernel's unit of
    /// distance.
    #[arg(long, default_value = "scott")]
    bandwidth: String,
    /// gaussian, exponential, box, triangular, epanechnikov, biweight, triweight, tricube or cosine.
    #[arg(long, default_value = "gaussian")]
    shape: String,
    /// Allow this relative error, and use a tree.
    #[arg(long)]
    tolerance: Option<f64>,
    /// Estimate with this many random features instead of summing over all points; gaussian and exponential only.
    #[arg(long, conflicts_with_all = ["tolerance", "log"])]
    features: Option<usize>,
    /// A bandwidth for every point: wide where points are few.
    #[arg(long, conflicts_with_all = ["tolerance", "features"])]
    adaptive: bool,
    /// Logarithms, without underflow.
    #[arg(long, conflicts_with = "tolerance")]
    log: bool,
    /// Instead of evaluating, draw this many points.
    #[arg(long, conflicts_with_all = ["at", "log", "tolerance"])]
    sample: Option<usize>,
    /// NPY file: (m) densities, or (m, d) points drawn.
    #[arg(long)]
    out: PathBuf,
}

/// A bandwidth from its text.
pub(super) fn bandwidth(text: &str) -> Result<Bandwidth, Error> {
    Ok(match text {
        "scott" => Bandwidth::Scott,
        "silverman" => Bandwidth::Silverman,
        "isj" => Bandwidth::ImprovedSheatherJones,
        "likelihood" => Bandwidth::Likelihood,
        "least-squares" => Bandwidth::LeastSquares,
        number => match number.parse() {
            Ok(h) => Bandwidth::Scale(h),
            Err(_) => {
                return Err(Error::Choice(format!(
                    "--bandwidth `{number}` is neither a rule (scott, silverman, isj, likelihood, least-squares) nor a number"
                )));
            }
        },
    })
}

/// A kernel for densities from its name.
pub(super) fn shape(text: &str) -> Result<DensityKernel, Error> {
    let named = |k: &DensityKernel| format!("{k:?}").to_lowercase() == text.to_lowercase();
    DensityKernel::ALL.into_iter().find(named).ok_or_else(|| {
        let names: Vec<String> = DensityKernel::ALL.iter().map(|k| format!("{k:?}").to_lowercase()).collect();
        Error::Choice(format!("--shape: there is no `{text}`; there are: {}", names.join(", ")))
    })
}

impl Density {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let model = Kde::new(shape(&self.shape)?)
            .bandwidth(bandwidth(&self.bandwidth)?)
            .adaptive(self.adaptive)
            .fit(&xs)?;
        let covariance = model.covariance();
        let scales: Vec<f64> = covariance.diagonal().iter().map(|v| v.sqrt()).collect();
        if let Some(count) = self.sample {
            let drawn = model.sample(count, run.shared.seed)?;
            write_matrix(&self.out, &[count, xs.dim()], drawn.as_slice())?;
            let object = json!({"command": "density", "n": xs.len(), "drawn": count, "scales": scales,
                "out": self.out.display().to_string()});
            run.report(&format!("{count} points drawn, written to {}", self.out.display()), object);
            return Ok(());
        }
        let at = self.at.as_deref().map(read_rows).transpose()?.unwrap_or_else(|| xs.clone());
        let values = match self.tolerance {
            Some(relative) => model.density_by_tree(&at, relative, 0.0)?,
            None if self.features.is_some() => {
                model.density_by_features(&at, self.features.unwrap_or(1), run.shared.seed)?
            }
            None if self.log => model.log_density(&at)?,
            None => model.density(&at)?,
        };
        write_matrix(&self.out, &[values.len()], &values)?;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let object = json!({"command": "density", "n": xs.len(), "queries": at.len(), "scales": scales, "mean": mean,
            "out": self.out.display().to_string()});
        run.report(
            &format!("{} values written to {}; bandwidths {scales:.4?}", values.len(), self.out.display()),
            object,
        );
        Ok(())
    }
}
