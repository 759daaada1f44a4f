//! `kernels fit`, and how every command reads its training data.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Points, Rows};
use kernels_solvers::{Criterion, GaussianProcess, KernelClassifier, Krr, RidgePath};
use serde_json::json;

use super::{Out, Run, kernel};
use crate::{
    data::{
        Column, Output, Table,
        encode::{Choice, Encoder, Missing, Target, Task, Unseen, target},
        read_table,
    },
    error::Error,
    model::{Model, Solver},
    vocabulary::RowKernel,
};

/// A table and which of its columns are what.
#[derive(Clone, Debug, Args)]
pub(crate) struct Data {
    /// Table: CSV (.gz too), Parquet or NPY; images as NPY (n, height, width, channels).
    data: PathBuf,
    /// Column to predict, by name or index from 0 [default: the last].
    #[arg(long)]
    target: Option<String>,
    /// Targets in a table of one column, when `data` does not hold them (images as NPY, say).
    #[arg(long, conflicts_with = "target")]
    targets: Option<PathBuf>,
    /// Columns to use [default: all but the target].
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Columns to leave out.
    #[arg(long, value_delimiter = ',')]
    drop: Vec<String>,
    /// Columns of numbers that are codes: treated as categories.
    #[arg(long, value_delimiter = ',')]
    categorical: Vec<String>,
    /// What becomes of missing values.
    #[arg(long, value_enum, default_value_t)]
    missing: Missing,
    /// What becomes of categories, when predicting, that training has not seen.
    #[arg(long, value_enum, default_value_t)]
    unseen: Unseen,
    /// Use numbers as they are, not shifted to mean 0 and scaled to deviation 1.
    #[arg(long)]
    no_standardise: bool,
    /// What is to be predicted.
    #[arg(long, value_enum, default_value_t)]
    task: Task,
}

/// Name of the column of targets that come from a file of their own.
const TARGET: &str = "target";

/// Training data, ready for solvers.
pub(crate) struct Training {
    pub(crate) encoder: Encoder,
    pub(crate) xs: Rows<f64>,
    pub(crate) target: Target,
    pub(crate) name: String,
}

impl Data {
    /// The table, with targets of a file of their own as its last column.
    fn table(&self) -> Result<Table, Error> {
        let mut table = read_table(&self.data)?;
        if let Some(path) = &self.targets {
            let targets = read_table(path)?;
            let shape = (targets.rows, targets.columns.len());
            if shape != (table.rows, 1) {
                return Err(Error::content(
                    path,
                    format!(
                        "holds {shape:?} rows and columns; one column of {} targets is expected",
                        table.rows
                    ),
                ));
            }
            table
                .columns
                .extend(targets.columns.into_iter().map(|c| Column { name: TARGET.to_owned(), ..c }));
        }
        Ok(table)
    }

    pub(crate) fn read(&self) -> Result<Training, Error> {
        let table = self.table()?;
        let last = table.columns.last().map(|c| c.name.clone()).unwrap_or_default();
        let name = table.column(self.target.as_deref().unwrap_or(&last))?.name.clone();
        let choice = Choice {
            target: Some(&name),
            features: &self.features,
            drop: &self.drop,
            categorical: &self.categorical,
            standardise: !self.no_standardise,
            missing: self.missing,
            unseen: self.unseen,
        };
        let encoder = Encoder::fit(&table, &choice)?;
        let (xs, rows) = encoder.encode(&table)?;
        let (target, kept) = target(&table, &name, self.task, self.missing, &rows)?;
        let xs = if kept.len() == xs.len() { xs } else { xs.subset(&kept)? };
        if xs.len() < 2 {
            let path = self.data.display();
            return Err(Error::Choice(format!(
                "{path}: {} usable row(s); fitting needs at least 2",
                xs.len()
            )));
        }
        if let Target::Classes(_, names) = &target
            && names.len() < 2
        {
            return Err(Error::Choice(format!(
                "the target `{name}` has only the class `{}`; classification needs at least 2",
                names.join("")
            )));
        }
        Ok(Training { encoder, xs, target, name })
    }
}

impl Data {
    /// Points and target of the table as a stored model sees them.
    pub(crate) fn read_for(&self, model: &Model) -> Result<(Rows<f64>, Target), Error> {
        let table = self.table()?;
        let (xs, rows) = model.encoder.encode(&table)?;
        let name = self.target.as_deref().unwrap_or(&model.target);
        let task = if model.classes.is_empty() { Task::Regression } else { Task::Classification };
        let (target, kept) = target(&table, name, task, model.encoder.missing, &rows)?;
        let target = match target {
            Target::Numbers(y) => Target::Numbers(y),
            Target::Classes(labels, names) => {
                let label = |k: &usize| {
                    model.classes.iter().position(|c| *c == names[*k]).ok_or_else(|| {
                        let known = model.classes.join(", ");
                        Error::Choice(format!("the class `{}` is not one of the model's: {known}", names[*k]))
                    })
                };
                Target::Classes(labels.iter().map(label).collect::<Result<_, _>>()?, model.classes.clone())
            }
        };
        Ok((if kept.len() == xs.len() { xs } else { xs.subset(&kept)? }, target))
    }
}

/// Which solver a regression uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SolverChoice {
    /// Kernel ridge regression.
    #[default]
    Krr,
    /// Gaussian process: the ridge is its noise variance, predictions have variances.
    Gp,
}

/// Options of `fit`.
#[derive(Debug, Args)]
pub(crate) struct Fit {
    #[command(flatten)]
    data: Data,
    /// Kernel expression [default: rbf with the median distance as length scale].
    #[arg(long)]
    kernel: Option<String>,
    /// Ridge, a number above 0, or `auto`: of least leave-one-out error.
    #[arg(long, default_value = "auto")]
    ridge: String,
    /// Solver of a regression.
    #[arg(long, value_enum, default_value_t)]
    solver: SolverChoice,
    #[command(flatten)]
    out: Out,
}

/// A ridge from its text; `None` is to be chosen.
pub(crate) fn ridge(text: &str) -> Result<Option<f64>, Error> {
    match text.parse::<f64>() {
        _ if text == "auto" => Ok(None),
        Ok(ridge) if ridge.is_finite() && ridge > 0.0 => Ok(Some(ridge)),
        _ => Err(Error::Choice(format!("--ridge: expected a number above 0 or `auto`, got `{text}`"))),
    }
}

/// Fits a target: the solver's part of a model, and its ridge.
pub(crate) fn fit_target(
    kernel: &RowKernel,
    ridge: Option<f64>,
    xs: &Rows<f64>,
    target: &Target,
) -> Result<(Solver, f64), Error> {
    let ridges = RidgePath::<Rows<f64>, RowKernel>::default_ridges();
    match (target, ridge) {
        (Target::Numbers(y), Some(ridge)) => {
            Ok((Solver::Krr(Krr::new(kernel.clone()).ridge(ridge).intercept(true).fit(xs, y)?), ridge))
        }
        (Target::Numbers(y), None) => {
            // The path has no intercept; the mean is taken off first, which is nearly the same.
            let mean = y.iter().sum::<f64>() / y.len() as f64;
            let centred: Vec<f64> = y.iter().map(|v| v - mean).collect();
            let path = RidgePath::new(kernel.clone(), xs, &centred)?;
            let ridge = path.best(&ridges, Criterion::LeaveOneOut)?.ridge;
            fit_target(kernel, Some(ridge), xs, target)
        }
        (Target::Classes(labels, _), ridge) => {
            let classifier = KernelClassifier::new(kernel.clone());
            let classifier = match ridge {
                Some(ridge) => classifier.ridge(ridge),
                None => classifier.ridges(ridges),
            };
            let model = classifier.fit(xs, labels)?;
            let ridge = model.ridge();
            Ok((Solver::Classifier(model), ridge))
        }
    }
}

impl Fit {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let ridge = ridge(&self.ridge)?;
        let output = self.out.out.as_deref().map(Output::create).transpose()?;
        let training = self.data.read()?;
        let kernel = kernel(self.kernel.as_deref(), &training.xs)?;
        run.require_memory(training.xs.len(), if ridge.is_some() { 3 } else { 5 }, "fitting")?;
        let (solver, ridge) = match (&training.target, self.solver) {
            (Target::Numbers(y), SolverChoice::Gp) => {
                let noise = ridge.unwrap_or(1e-2);
                let gp = GaussianProcess::new(kernel.clone()).noise(noise);
                // With a given ridge nothing is left to choose; otherwise the noise alone.
                let gp = if ridge.is_some() { gp.objective(None) } else { gp.fit_kernel(false) };
                let model = gp.fit(&training.xs, y)?;
                let noise = model.noise();
                (Solver::Gp(Box::new(model)), noise)
            }
            _ => fit_target(&kernel, ridge, &training.xs, &training.target)?,
        };
        run.stopped()?;
        let (n, d) = (training.xs.len(), training.xs.dim());
        let classes = match training.target {
            Target::Classes(_, names) => names,
            Target::Numbers(_) => Vec::new(),
        };
        let task = if classes.is_empty() { "regression" } else { "classification" };
        let model = Model::new(&training.name, classes, training.encoder, solver);
        let kernel = model.kernel.clone();
        if let Some(output) = output {
            model.write(output)?;
        }
        let written = self.out.out.as_ref().map(|p| p.display().to_string());
        let text = format!(
            "{task} of `{}` on {n} rows, {d} features\nkernel  {kernel}\nridge   {ridge:.6e}\n{}",
            training.name,
            written.as_ref().map_or("(not stored: give --out)".to_owned(), |p| format!("written {p}"))
        );
        let object = json!({"command": "fit", "task": task, "target": training.name, "rows": n, "features": d,
            "kernel": kernel, "ridge": ridge, "out": written});
        run.report(&text, object);
        Ok(())
    }
}
