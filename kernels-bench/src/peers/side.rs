//! Our side of a measurement: a process that answers tasks, line by line. Only the work is timed.

use std::{io::BufRead, path::Path, time::Instant};

use kernels_core::{AnyKernel, LazyGram, Operator, Rbf, Real, Rows, gram};
use kernels_solvers::{Criterion, GaussianProcess, Krr, RidgePath};
use nalgebra::DMatrix;
use serde_json::Value;

use super::{Answer, machine::cpu_seconds};
use crate::{data::read_rows, error::Error};

/// Answers until the input ends.
pub(crate) fn serve() -> Result<(), Error> {
    let mut loaded: Option<(Value, Loaded)> = None;
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|source| Error::File { path: "standard input".into(), action: "read", source })?;
        let answer = match serde_json::from_str::<Value>(&line) {
            Ok(task) => {
                if loaded.as_ref().is_none_or(|(old, _)| *old != task) {
                    loaded = Some((task.clone(), Loaded::read(&task)?));
                }
                loaded.as_ref().map(|(task, data)| data.measure(task)).transpose()
            }
            Err(e) => Err(Error::Choice(e.to_string())),
        };
        let answer = match answer {
            Ok(answer) => answer.unwrap_or_default(),
            Err(error) => Answer { error: Some(error.to_string()), ..Answer::default() },
        };
        crate::cli::say(&serde_json::to_string(&answer).unwrap_or_default());
    }
    Ok(())
}

/// The points of a task.
pub(super) fn points<T: Real>(task: &Value) -> Result<Rows<T>, Error> {
    read_rows(Path::new(task["x"].as_str().unwrap_or_default()))
}

/// The arrays of a task, in memory.
struct Loaded {
    x: Rows<f64>,
    single: Rows<f32>,
    y: Vec<f64>,
    /// Rows after the first n.
    held: (Rows<f64>, Vec<f64>),
}

impl Loaded {
    fn read(task: &Value) -> Result<Self, Error> {
        let y: Rows<f64> = read_rows(Path::new(task["y"].as_str().unwrap_or_default()))?;
        let single = if task["task"] == "lazy_f32" {
            points::<f32>(task)?
        } else {
            Rows::from_row_major(Vec::new(), 0, 0)?
        };
        let (n, all) = (task["n"].as_u64().unwrap_or(0) as usize, points::<f64>(task)?);
        let dim = all.dim();
        let (first, rest) = all.as_slice().split_at(n * dim);
        let held = Rows::from_row_major(rest.to_vec(), rest.len() / dim, dim)?;
        let x = Rows::from_row_major(first.to_vec(), n, dim)?;
        Ok(Self { x, single, held: (held, y.as_slice()[n..].to_vec()), y: y.as_slice()[..n].to_vec() })
    }

    fn measure(&self, task: &Value) -> Result<Answer, Error> {
        let length = task["length_scale"].as_f64().unwrap_or(1.0);
        let ridge = task["ridge"].as_f64().unwrap_or(1.0);
        let kernel = Rbf::new(length)?;
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        let check = match task["task"].as_str().unwrap_or_default() {
            "rbf_gram" => {
                let k = gram(&kernel, &self.x)?;
                let time = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
                let check = vec![k[(0, 1)], k[(5, 3)], k.column(0).sum(), k.row(k.nrows() - 1).sum()];
                return Ok(answer(time, check));
            }
            "lazy_f64" => lazy(&kernel, &self.x, &self.y)?,
            "lazy_f32" => lazy(&kernel, &self.single, &self.y)?,
            "krr" => {
                let model = Krr::new(kernel).ridge(ridge).fit(&self.x, &self.y)?;
                model.predict(&self.held.0)?.as_slice().to_vec()
            }
            "ridge_path" => {
                let path = RidgePath::new(kernel, &self.x, &self.y)?;
                let ridges = RidgePath::<Rows<f64>, Rbf>::default_ridges();
                let best = path.best(&ridges, Criterion::LeaveOneOut)?;
                let model = path.into_model(best.ridge)?;
                let time = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
                let predicted = model.predict(&self.held.0)?;
                let squares = predicted.iter().zip(&self.held.1).map(|(p, t)| (p - t) * (p - t));
                let rmse = (squares.sum::<f64>() / self.held.1.len() as f64).sqrt();
                return Ok(answer(time, vec![rmse]));
            }
            "gp_fit" => {
                let scales = vec![1.0; self.x.dim()];
                let kernel = AnyKernel::new(1.0 * Rbf::new(scales)?);
                let gp = GaussianProcess::new(kernel).noise(0.1).normalize(false);
                vec![gp.fit(&self.x, &self.y)?.log_marginal_likelihood()]
            }
            other => return Err(Error::Choice(format!("there is no task `{other}`"))),
        };
        Ok(answer((begin.elapsed().as_secs_f64(), cpu_seconds() - cpu), check))
    }
}

fn answer((wall, cpu): (f64, f64), check: Vec<f64>) -> Answer {
    Answer { wall, cpu, check, peak_memory: crate::cli::peak_memory().unwrap_or(0), error: None }
}

/// The product within 64 MiB; its first values and its sum.
fn lazy<T: Real>(kernel: &Rbf, x: &Rows<T>, y: &[f64]) -> Result<Vec<f64>, Error> {
    let v = DMatrix::from_iterator(y.len(), 1, y.iter().map(|v| T::of(*v)));
    let mut out = DMatrix::repeat(y.len(), 1, T::default());
    LazyGram::new(kernel, x, 64 << 20)?.apply(v.as_view(), out.as_view_mut())?;
    let sum: f64 = out.iter().map(|v| v.to_f64()).sum();
    Ok(out.iter().take(5).map(|v| v.to_f64()).chain([sum / y.len() as f64]).collect())
}
