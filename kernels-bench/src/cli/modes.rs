//! `kernels modes`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::{Points, Rows};
use kernels_sample::{MeanShift, estimate_bandwidth};
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Options of `modes`.
#[derive(Debug, Args)]
pub(crate) struct Modes {
    /// Points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Scale of the kernel [default: the mean distance of the 30 % nearest neighbours].
    #[arg(long)]
    bandwidth: Option<f64>,
    /// gaussian, epanechnikov, biweight, triweight or cosine.
    #[arg(long, default_value = "gaussian")]
    shape: String,
    /// NPY file for the mode of every point, (n).
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Modes {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let h = match self.bandwidth {
            Some(h) => h,
            None => estimate_bandwidth(&xs, 0.3)?,
        };
        let found = MeanShift::new(super::density::shape(&self.shape)?, h).fit(&xs)?;
        if let Some(out) = &self.out {
            let labels: Vec<f64> = found.labels.iter().map(|&l| l as f64).collect();
            write_matrix(out, &[labels.len()], &labels)?;
        }
        let mut counts = vec![0; found.modes.len()];
        found.labels.iter().for_each(|&l| counts[l] += 1);
        let mut text = format!("{} modes at bandwidth {h:.4}\n", counts.len());
        let mut modes = Vec::new();
        for (i, count) in counts.iter().enumerate() {
            let at = found.modes.point(i);
            text += &format!("  {at:.4?}  height {:.4}, {count} points\n", found.heights[i]);
            modes.push(json!({"at": at, "height": found.heights[i], "points": count}));
        }
        run.report(&text, json!({"command": "modes", "n": xs.len(), "bandwidth": h, "modes": modes}));
        Ok(())
    }
}
