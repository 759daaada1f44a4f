//! `kernels thin`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Kernel, Points, Rows, spectral_power};
use kernels_sample::{
    Compress, KernelThinning, Preconditioner, SteinThinning, herd, mmd2_to_input, random_sample,
    standard_thinning,
};
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, stream_rows, write_matrix},
    error::Error,
    vocabulary::RowKernel,
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

/// Which kernel decides the splits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Split {
    /// The kernel itself.
    #[default]
    Target,
    /// The one with the root of its spectral density: rough kernels get better coresets for single functions.
    Root,
    /// The sum of both, each 1 at 0.
    Plus,
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
    /// Oversampling g of Compress++: more is better and slower.
    #[arg(long, default_value_t = 4)]
    oversampling: usize,
    /// One weight a point, for kernel thinning: NPY (n), or a table of one column.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Which kernel splits, for kernel thinning.
    #[arg(long, value_enum, default_value_t)]
    split: Split,
    /// Read the points piece by piece and never hold them all: for the methods compress (memory for about 2^g √n points), standard
    /// and random. The MMD is not measured, and the default kernel is that of the first 4096 points.
    #[arg(long, conflicts_with_all = ["scores", "weights"])]
    stream: bool,
    /// Do not measure the MMD to all points (n²/2 kernel values).
    #[arg(long)]
    no_mmd: bool,
    /// NPY file for the points kept, (size, d).
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Thin {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        if self.stream {
            return self.run_stream(run);
        }
        if self.weights.is_some() && self.method != Method::KernelThinning {
            return Err(Error::Choice("--weights go with --method kernel-thinning".into()));
        }
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
                let thinning = KernelThinning::new(kernel.clone()).seed(seed).passes(self.passes);
                let split = || spectral_power(kernel.dynamic(), 0.5, xs.dim());
                match self.split {
                    Split::Target => self.thinned(&thinning, &xs, rounds)?,
                    Split::Root => self.thinned(&thinning.split_kernel(split()?), &xs, rounds)?,
                    Split::Plus => {
                        let peak = kernels_core::diagonal(&kernel, &xs)?.first().copied().unwrap_or(1.0);
                        let sum = (1.0 / peak) * kernel.dynamic().clone() + split()?;
                        self.thinned(&thinning.split_kernel(sum), &xs, rounds)?
                    }
                }
            }
            Method::Compress => self.compress(kernel.clone(), seed).thin(&xs)?,
            Method::Herding => herd(&kernel, &xs, size, true)?,
            Method::Stein => {
                let Some(scores) = &self.scores else {
                    return Err(Error::Choice(
                        "--method stein needs --scores, the gradients of the log density".into(),
                    ));
                };
                let scores = read_rows(scores)?;
                SteinThinning::new().preconditioner(Preconditioner::Median).thin(&xs, &scores, size)?
            }
            Method::Standard => standard_thinning(n, size)?,
            Method::Random => random_sample(n, size, seed)?,
        };
        run.stopped()?;
        let mmd =
            if self.no_mmd { None } else { Some(mmd2_to_input(&kernel, &xs, &indices)?.max(0.0).sqrt()) };
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

    fn thinned<S: Kernel<Rows<f64>>>(
        &self,
        thinning: &KernelThinning<RowKernel, S>,
        xs: &Rows<f64>,
        rounds: usize,
    ) -> Result<Vec<usize>, Error> {
        let Some(file) = &self.weights else { return Ok(thinning.thin(xs, rounds)?) };
        let weights: Rows<f64> = read_rows(file)?;
        Ok(thinning.thin_weighted(xs, weights.as_slice(), rounds)?)
    }

    fn compress<K>(&self, kernel: K, seed: u64) -> Compress<K> {
        Compress::new(kernel).seed(seed).passes(self.passes).oversampling(self.oversampling)
    }

    fn run_stream(&self, run: &Run) -> Result<(), Error> {
        let (n, rows) = stream_rows(&self.x)?;
        let seed = run.shared.seed;
        let size = self.size.unwrap_or((n as f64).sqrt() as usize).max(1);
        let chosen = match self.method {
            Method::Compress => None,
            Method::Standard => Some(standard_thinning(n, size)?),
            Method::Random => Some(random_sample(n, size, seed)?),
            _ => {
                let message =
                    "--stream is for the methods compress, standard and random: others need all points";
                return Err(Error::Choice(message.into()));
            }
        };
        let mut rows = rows.peekable();
        let (indices, kept) = match chosen {
            Some(indices) => {
                let mut values = Vec::new();
                let mut wanted = indices.iter().peekable();
                let mut dim = 0;
                for (i, row) in rows.enumerate() {
                    let row = row?;
                    dim = row.len();
                    if wanted.next_if_eq(&&i).is_some() {
                        values.extend(row);
                    }
                }
                (indices.clone(), Rows::from_row_major(values, indices.len(), dim)?)
            }
            None => {
                let first = piece(&mut rows)?;
                let kernel = super::kernel(self.kernel.as_deref(), &first)?;
                let compress = self.compress(kernel, seed);
                let mut stream = compress.stream(n)?;
                stream.push(&first)?;
                while rows.peek().is_some() {
                    run.stopped()?;
                    stream.push(&piece(&mut rows)?)?;
                }
                stream.finish()?
            }
        };
        if let Some(out) = &self.out {
            write_matrix(out, &[kept.len(), kept.dim()], kept.as_slice())?;
        }
        let object = json!({"command": "thin", "n": n, "size": indices.len(), "indices": indices, "mmd": null,
            "out": self.out.as_ref().map(|p| p.display().to_string())});
        run.report(&format!("{} of {n} points kept", indices.len()), object);
        Ok(())
    }
}

/// The next rows of a stream, up to 4096.
fn piece(rows: &mut impl Iterator<Item = Result<Vec<f64>, Error>>) -> Result<Rows<f64>, Error> {
    let (mut values, mut n, mut dim) = (Vec::new(), 0, 0);
    for row in rows.take(4096) {
        let row = row?;
        if n > 0 && row.len() != dim {
            return Err(Error::Choice(format!(
                "rows of {dim} and of {} values cannot be one matrix",
                row.len()
            )));
        }
        (n, dim) = (n + 1, row.len());
        values.extend(row);
    }
    Ok(Rows::from_row_major(values, n, dim)?)
}
