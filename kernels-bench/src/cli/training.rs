//! How every command reads its training data.

use std::path::{Path, PathBuf};

use clap::Args;
use kernels_core::{Points, Rows};

use crate::{
    data::{
        Column, Streamed, Table,
        encode::{Choice, Encoder, Missing, Target, Task, Unseen, target},
        read_table,
    },
    error::Error,
    model::Model,
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
    pub(crate) fn path(&self) -> &Path {
        &self.data
    }

    fn choice<'a>(&'a self, target: Option<&'a str>) -> Choice<'a> {
        Choice {
            target,
            features: &self.features,
            drop: &self.drop,
            categorical: &self.categorical,
            standardise: !self.no_standardise,
            missing: self.missing,
            unseen: self.unseen,
        }
    }

    /// The table as training data that are read in blocks of at most so many bytes.
    pub(crate) fn stream(&self, bytes: usize) -> Result<Streamed, Error> {
        if self.targets.is_some() {
            let message =
                "--targets needs the whole table in memory: for streamed data the target is a column of it";
            return Err(Error::Choice(message.to_owned()));
        }
        let choice = self.choice(self.target.as_deref());
        let streamed = Streamed::open(&self.data, &choice, self.task, bytes)?;
        enough_classes(&streamed.target, &streamed.name)?;
        Ok(streamed)
    }

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
        let choice = self.choice(Some(&name));
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
        enough_classes(&target, &name)?;
        Ok(Training { encoder, xs, target, name })
    }
}

fn enough_classes(target: &Target, name: &str) -> Result<(), Error> {
    match target {
        Target::Classes(_, names) if names.len() < 2 => Err(Error::Choice(format!(
            "the target `{name}` has only the class `{}`; classification needs at least 2",
            names.join("")
        ))),
        _ => Ok(()),
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
