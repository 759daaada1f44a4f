//! `kernels transform`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::{Points, Rows};
use kernels_sample::KernelDensityIntegral;
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Options of `transform`.
#[derive(Debug, Args)]
pub(crate) struct Transform {
    /// Training points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Points to transform [default: the same points].
    #[arg(long)]
    at: Option<PathBuf>,
    /// Bandwidth in standard deviations: large is min-max scaling, small the quantile transform.
    #[arg(long, default_value_t = 1.0)]
    factor: f64,
    /// Go on to normal scores: features that look normal instead of uniform.
    #[arg(long)]
    normal: bool,
    /// The other way: from [0, 1] to the training range.
    #[arg(long, requires = "at")]
    inverse: bool,
    /// NPY file to write, (m, d).
    #[arg(long)]
    out: PathBuf,
}

impl Transform {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let model = KernelDensityIntegral::new().factor(self.factor).normal_scores(self.normal).fit(&xs)?;
        let at: Rows<f64> = self.at.as_deref().map(read_rows).transpose()?.unwrap_or_else(|| xs.clone());
        let values = if self.inverse { model.inverse(&at)? } else { model.transform(&at)? };
        write_matrix(&self.out, &[values.len(), values.dim()], values.as_slice())?;
        let shape = [values.len(), values.dim()];
        let object = json!({"command": "transform", "n": xs.len(), "shape": shape, "factor": self.factor,
            "normal": self.normal, "inverse": self.inverse, "out": self.out.display().to_string()});
        run.report(&format!("{shape:?} values written to {}", self.out.display()), object);
        Ok(())
    }
}
