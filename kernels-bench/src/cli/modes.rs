//! `kernels modes`.

use std::path::{Path, PathBuf};

use clap::Args;
use kernels_core::{Points, Rows};
use kernels_sample::{FlatMeanShift, MeanShift, estimate_bandwidth};
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
    /// Means of all points within the bandwidth instead of a smooth kernel.
    #[arg(long, conflicts_with_all = ["shape", "accelerated", "least_prominence", "tree"])]
    flat: bool,
    /// With --flat: start from cells one bandwidth wide that hold this many points, not from every point.
    #[arg(long, requires = "flat")]
    bin_seeding: Option<usize>,
    /// Extrapolate steps: fewer of them.
    #[arg(long)]
    accelerated: bool,
    /// Merge modes that rise less than this share of their height above the saddle to a higher one.
    #[arg(long, default_value_t = 0.0)]
    least_prominence: f64,
    /// Follow the modes over these growing bandwidths.
    #[arg(long, value_delimiter = ',', conflicts_with = "bandwidth")]
    tree: Vec<f64>,
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
        if self.flat {
            return self.run_flat(run, &xs, h);
        }
        let shift = MeanShift::new(super::density::shape(&self.shape)?, h)
            .accelerated(self.accelerated)
            .least_prominence(self.least_prominence);
        if !self.tree.is_empty() {
            let tree = shift.tree(&xs, &self.tree)?;
            let counts: Vec<usize> = tree.levels.iter().map(|l| l.heights.len()).collect();
            let pairs = self.tree.iter().zip(&counts);
            let text: String = pairs.map(|(h, c)| format!("bandwidth {h}: {c} modes\n")).collect();
            if let (Some(out), Some(last)) = (&self.out, tree.levels.last()) {
                write_labels(out, &last.labels)?;
            }
            let object = json!({"command": "modes", "n": xs.len(), "bandwidths": self.tree, "counts": counts,
                "parents": tree.parents});
            run.report(&text, object);
            return Ok(());
        }
        let found = shift.fit(&xs)?;
        if let Some(out) = &self.out {
            write_labels(out, &found.labels)?;
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

    fn run_flat(&self, run: &Run, xs: &Rows<f64>, h: f64) -> Result<(), Error> {
        let shift = FlatMeanShift::new(h);
        let found = self.bin_seeding.map_or(shift.clone(), |least| shift.bin_seeding(least)).fit(xs)?;
        let labels: Vec<usize> = found.labels.iter().map(|l| l.unwrap_or(0)).collect();
        if let Some(out) = &self.out {
            write_labels(out, &labels)?;
        }
        let mut counts = vec![0; found.centers.len()];
        labels.iter().for_each(|&l| counts[l] += 1);
        let mut text = format!("{} modes at bandwidth {h:.4}\n", counts.len());
        let mut modes = Vec::new();
        for (i, count) in counts.iter().enumerate() {
            let at = found.centers.point(i);
            text += &format!("  {at:.4?}  {count} points\n");
            modes.push(json!({"at": at, "points": count}));
        }
        run.report(&text, json!({"command": "modes", "n": xs.len(), "bandwidth": h, "modes": modes}));
        Ok(())
    }
}

fn write_labels(out: &Path, labels: &[usize]) -> Result<(), Error> {
    let labels: Vec<f64> = labels.iter().map(|&l| l as f64).collect();
    write_matrix(out, &[labels.len()], &labels)
}
