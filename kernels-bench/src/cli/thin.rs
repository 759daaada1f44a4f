//! `kernels thin`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Points, Rows};
use kernels_sample::{
    Compress, KernelThinning, Preconditioner, SteinThinning, herd, mmd2_to_input, random_sample, standard_thinning,
};
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// How points are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Kernel thinning: the best coreset, n²/2 kernel values.
    #[default]
    KernelThinning,
    /// Compress++: as good within noise, near-linear time, √n points.
    Compress,
    /// Kernel herding.
    Herding,
    /// Stein thinning, from --scores.
    Stein,
    /// Every t-th point.
    Standard,
    /// At random.
    Random,
}

/// Options of `thin`.
#[derive(Debug, Args)]
pub(crate) struct Thin {
    /// Points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// How points are chosen.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// Number of points to keep; kernel thinning rounds it to n/2^m [default: about √n].
    #[arg(long)]
    size: Option<usize>,
    /// Kernel expression [default: Gaussian with the median distance].
    #[arg(long)]
    kernel: Option<String>,
    /// Gradients of the log density at the points, for Stein thinning: NPY (n, d), or a table.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Passes of swaps after the split.
    #[arg(long, default_value_t = 1)]
    passes: usize,
    /// Do not measure the MMD to all points (n²/2 kernel values).
    #[arg(long)]
    no_mmd: bool,
    /// NPY file for the points kept, (size, d).
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Thin {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let n = xs.len();
        let size = self.size.unwrap_or((n as f64).sqrt() as usize).max(1);
        if size > n {
            return Err(Error::Choice(format!("--size {size} is above the number of points, {n}")));
        }
        let kernel = super::kernel(self.kernel.as_deref(), &xs)?;
        let seed = run.shared.seed;
        let indices = match self.method {
            Method::KernelThinning => {
                let rounds = (n as f64 / size as f64).log2().round().max(0.0) as usize;
                KernelThinning::new(kernel.clone()).seed(seed).passes(self.passes).thin(&xs, rounds)?
            }
            Method::Compress => Compress::new(kernel.clone()).seed(seed).passes(self.passes).thin(&xs)?,
            Method::Herding => herd(&kernel, &xs, size, true)?,
            Method::Stein => {
                let Some(scores) = &self.scores else {
                    return Err(Error::Choice("--method stein needs --scores, the gradients of the log density".into()));
                };
                let scores = read_rows(scores)?;
                SteinThinning::new().preconditioner(Preconditioner::Median).thin(&xs, &scores, size)?
            }
            Method::Standard => standard_thinning(n, size)?,
            Method::Random => random_sample(n, size, seed)?,
        };
        run.stopped()?;
        let mmd = if self.no_mmd { None } else { Some(mmd2_to_input(&kernel, &xs, &indices)?.max(0.0).sqrt()) };
        let kept = xs.subset(&indices)?;
        if let Some(out) = &self.out {
            write_matrix(out, &[kept.len(), kept.dim()], kept.as_slice())?;
        }
        let mut text = format!("{} of {n} points kept", indices.len());
        if let Some(mmd) = mmd {
            text += &format!("; MMD to all {mmd:.3e} under {kernel}");
        }
        let object = json!({"command": "thin", "n": n, "size": indices.len(), "indices": indices, "mmd": mmd,
            "kernel": kernel.to_string(), "out": self.out.as_ref().map(|p| p.display().to_string())});
        run.report(&text, object);
        Ok(())
    }
}
