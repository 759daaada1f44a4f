//! `kernels predict`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::Paths;
use serde_json::{Value, json};

use super::{Out, Run};
use crate::{
    data::{Output, Series, read_strings, read_table},
    error::Error,
    input::{Input, Layout, Origin},
    model::{Model, Solver, origin},
};

/// Options of `predict`.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// Model file of `fit` or `tune`.
    model: PathBuf,
    /// Table with the columns the model was trained on, others are not looked at; for models of paths and strings a file as
    /// they were fitted to.
    data: PathBuf,
    /// Lengths of the paths whose knots `data` holds one after the other, for models of paths.
    #[arg(long)]
    lengths: Option<PathBuf>,
    /// Add a column of probability for each class.
    #[arg(long)]
    proba: bool,
    /// Add the standard deviation of a new observation (Gaussian process models).
    #[arg(long)]
    variance: bool,
    /// Add ends of an interval that misses a new observation with this probability (Gaussian process models).
    #[arg(long, value_name = "PROBABILITY")]
    interval: Option<f64>,
    #[command(flatten)]
    out: Out,
}

impl Predict {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        if let Some(q) = self.interval
            && !(q > 0.0 && q < 1.0)
        {
            return Err(Error::Choice(format!(
                "--interval: expected a probability between 0 and 1, got {q}"
            )));
        }
        let output = self.out.out.as_deref().map(Output::create).transpose()?;
        let origin = origin(&self.model)?;
        if self.lengths.is_some() && !matches!(origin, Origin::Paths(Layout::Array)) {
            return Err(Error::Choice(
                "--lengths is for models of paths that were fitted to arrays".to_owned(),
            ));
        }
        match &origin {
            Origin::Rows => {
                let model = Model::read(&self.model)?;
                let table = read_table(&self.data)?;
                let (xs, rows) = model.encoder.encode(&table)?;
                let numbers = || ("row".to_owned(), rows.iter().map(usize::to_string).collect());
                let names = (rows.len() < table.rows).then(numbers);
                self.write(run, &model, &xs, names, output)
            }
            Origin::Paths(layout) => {
                let model: Model<Paths<f64>> = Model::read(&self.model)?;
                let series = Series::read(&self.data, self.lengths.as_deref(), layout, Some(&model.target))?;
                let xs = series.encode(&model.encoder)?;
                let names = match (layout, &series.names) {
                    (Layout::Column(column), Some(names)) => Some((column.clone(), names.clone())),
                    _ => None,
                };
                self.write(run, &model, &xs, names, output)
            }
            Origin::Strings => {
                let model = Model::read(&self.model)?;
                self.write(run, &model, &read_strings(&self.data)?, None, output)
            }
        }
    }

    /// Predicts and writes; with a first column of names.
    fn write<P: Input>(
        &self,
        run: &Run,
        model: &Model<P>,
        xs: &P,
        names: Option<(String, Vec<String>)>,
        output: Option<Output>,
    ) -> Result<(), Error> {
        let columns: Vec<_> = names.into_iter().chain(self.columns(model, xs)?).collect();
        let n = xs.len();
        run.stopped()?;

        let mut csv = csv::Writer::from_writer(Vec::new());
        let failed = |e: csv::Error| Error::Choice(format!("cannot write predictions: {e}"));
        csv.write_record(columns.iter().map(|c| &c.0)).map_err(failed)?;
        for i in 0..n {
            csv.write_record(columns.iter().map(|c| &c.1[i])).map_err(failed)?;
        }
        let text = csv.into_inner().map_err(|e| Error::Choice(format!("cannot write predictions: {e}")))?;
        let written = self.out.out.as_ref().map(|p| p.display().to_string());
        match output {
            Some(mut output) => {
                output.write(&text)?;
                output.finish()?;
                let text = format!("{n} predictions written to {}", written.clone().unwrap_or_default());
                run.report(&text, json!({"command": "predict", "rows": n, "out": written}));
            }
            None => {
                let values: serde_json::Map<String, Value> =
                    columns.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
                let object = json!({"command": "predict", "rows": n, "predictions": values});
                run.report(&String::from_utf8_lossy(&text), object);
            }
        }
        Ok(())
    }

    /// Columns of the result, as text that reads back as the same numbers.
    fn columns<P: Input>(&self, model: &Model<P>, xs: &P) -> Result<Vec<(String, Vec<String>)>, Error> {
        let text = |values: &[f64]| -> Vec<String> { values.iter().map(f64::to_string).collect() };
        let wants_variance = self.variance || self.interval.is_some();
        if wants_variance && !matches!(model.solver, Solver::Gp(_)) {
            let message = "--variance and --interval need a Gaussian process: fit with --solver gp, or tune";
            return Err(Error::Choice(message.to_owned()));
        }
        let probabilities = if self.proba { model.solver.probabilities(xs)? } else { None };
        if self.proba && probabilities.is_none() {
            let message = "--proba needs a classification model with probabilities: fit it with --proba (exact ones have them)";
            return Err(Error::Choice(message.to_owned()));
        }
        match &model.solver {
            Solver::Gp(gp) if wants_variance => {
                let p = gp.predict_observation(xs)?;
                let deviations: Vec<f64> = p.variance.iter().map(|v| v.sqrt()).collect();
                let mut columns = vec![(model.target.clone(), text(p.mean.as_slice()))];
                if self.variance {
                    columns.push((format!("{}_sd", model.target), text(&deviations)));
                }
                if let Some(q) = self.interval {
                    let z = normal_quantile(1.0 - q / 2.0);
                    for (name, sign) in [("lower", -z), ("upper", z)] {
                        let ends: Vec<f64> =
                            p.mean.iter().zip(&deviations).map(|(m, d)| m + sign * d).collect();
                        columns.push((format!("{}_{name}", model.target), text(&ends)));
                    }
                }
                Ok(columns)
            }
            solver => {
                let mut columns = Vec::new();
                if let Some(labels) = solver.labels(xs)? {
                    let names = labels.iter().map(|&k| model.classes[k].clone()).collect();
                    columns.push((model.target.clone(), names));
                } else if let Some(numbers) = solver.numbers(xs)? {
                    columns.push((model.target.clone(), text(&numbers)));
                }
                if let Some((p, classes)) = probabilities {
                    for (column, &class) in p.column_iter().zip(&classes) {
                        columns.push((format!("p_{}", model.classes[class]), text(column.as_slice())));
                    }
                }
                Ok(columns)
            }
        }
    }
}

/// The standard normal quantile by bisection on erf: exact to rounding, and called once.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
