//! `kernels align`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::{
    Definiteness, Describe, Points,
    dense::SymmetricEigen,
    gram,
    measures::{
        EigenDecay, alignment, cka, cka_debiased, cka_minibatch, effective_dimension, eigen_decay,
        target_alignment,
    },
};
use nalgebra::DVector;
use serde_json::{Value, json};

use super::Run;
use crate::{data::read_rows, error::Error, vocabulary};

/// Options of `align`.
#[derive(Debug, Args)]
pub(crate) struct Align {
    /// Kernel expression.
    #[arg(long)]
    kernel: String,
    /// Points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// The kernel to compare with [default: the same].
    #[arg(long)]
    other: Option<String>,
    /// The points of the other kernel, row by row the same samples [default: x].
    #[arg(long)]
    y: Option<PathBuf>,
    /// Targets, one a row: alignment of the kernel with these.
    #[arg(long)]
    target: Option<PathBuf>,
    /// Rows of a batch: debiased CKA from batches, without the whole matrices or their spectra.
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..))]
    batch: Option<u32>,
    /// Ridge of the effective dimension, a row.
    #[arg(long, default_value_t = 1e-3)]
    ridge: f64,
}

impl Align {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs = read_rows::<f64>(&self.x)?;
        xs.check_finite()?;
        super::kernel(Some(&self.kernel), &xs)?;
        let kernel = vocabulary::rows::<f64>().read(&self.kernel)?;
        let pair = if self.other.is_some() || self.y.is_some() {
            let ys = self.y.as_deref().map(read_rows::<f64>).transpose()?.unwrap_or_else(|| xs.clone());
            ys.check_finite()?;
            let text = self.other.as_deref().unwrap_or(&self.kernel);
            super::kernel(Some(text), &ys)?;
            Some((vocabulary::rows::<f64>().read(text)?, ys))
        } else {
            None
        };
        let mut object = json!({"command": "align", "kernel": kernel.to_string(), "rows": xs.len()});
        let mut text = String::new();
        let mut add = |name: &str, value: f64| {
            object[name] = json!(value);
            text += &format!("{:24} {value:.6}\n", name.replace('_', " "));
        };
        if let Some(batch) = self.batch {
            let Some((other, ys)) = &pair else {
                return Err(Error::Choice("--batch: compares two kernels; give --other or --y".into()));
            };
            add("cka_debiased", cka_minibatch(&kernel, &xs, other, ys, batch as usize)?);
            run.report(&text, object);
            return Ok(());
        }
        run.require_memory(xs.len().max(pair.as_ref().map_or(0, |p| p.1.len())), 6, "alignment")?;
        let k = gram(&kernel, &xs)?;
        if let Some((other, ys)) = &pair {
            let l = gram(other, ys)?;
            add("alignment", alignment(&k, &l)?);
            add("cka", cka(&k, &l)?);
            if xs.len() >= 4 {
                add("cka_debiased", cka_debiased(&k, &l)?);
            }
        }
        run.stopped()?;
        if let Some(path) = &self.target {
            let targets = read_rows::<f64>(path)?;
            let values = DVector::from_column_slice(targets.as_slice());
            add("target_alignment", target_alignment(&k, &values)?);
        }
        let values: Vec<f64> = SymmetricEigen::new(&k)?.values.iter().copied().collect();
        if kernel.definiteness() == Definiteness::Positive {
            add("effective_dimension", effective_dimension(&values, self.ridge * xs.len().max(1) as f64)?);
        }
        let EigenDecay { exponent, r_squared, participation, entropy_rank, rank } = eigen_decay(&values)?;
        for (name, value) in [
            ("decay_exponent", exponent),
            ("decay_r_squared", r_squared),
            ("participation_ratio", participation),
            ("entropy_rank", entropy_rank),
            ("numerical_rank", rank as f64),
        ] {
            add(name, value);
        }
        if let Value::Object(object) = &mut object
            && let Some((other, _)) = &pair
        {
            object.insert("other".into(), json!(other.to_string()));
        }
        run.report(&text, object);
        Ok(())
    }
}
