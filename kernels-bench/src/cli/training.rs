//! How every command reads its training data.

use std::path::{Path, PathBuf};

use clap::Args;
use kernels_core::{Paths, Points, Rows, Strings};

use crate::{
    data::{
        Column, Kind, Series, Streamed, Table,
        encode::{Choice, Encoder, Missing, Target, Task, Unseen, target},
        kind_of, read_strings, read_table,
    },
    error::Error,
    input::{Input, Layout, Origin},
    model::Model,
};

/// A table and which of its columns are what.
#[derive(Clone, Debug, Args)]
pub(crate) struct Data {
    /// Table: CSV (.gz too), Parquet or NPY; images as NPY (n, height, width, channels); paths as NPY (n, length, d);
    /// strings as lines of a .txt file, with --targets.
    data: PathBuf,
    /// Column to predict, by name or index from 0 [default: the last].
    #[arg(long)]
    target: Option<String>,
    /// Targets in a table of one column, when `data` does not hold them (images as NPY, say).
    #[arg(long, conflicts_with = "target")]
    targets: Option<PathBuf>,
    /// The rows of the table are knots of series, in order: the column that says of which one.
    #[arg(long, value_name = "COLUMN")]
    series: Option<String>,
    /// Lengths of the paths whose knots `data` holds one after the other, (total, d): NPY or a table of one column.
    #[arg(long, conflicts_with = "series")]
    lengths: Option<PathBuf>,
    /// What `data` holds; paths of a table are its rows, a cell a knot, shorter where the last cells are empty [default: by name and shape].
    #[arg(long, value_enum)]
    points: Option<Kind>,
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
pub(crate) struct Training<P = Rows<f64>> {
    pub(crate) encoder: Encoder,
    pub(crate) origin: Origin,
    pub(crate) xs: P,
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
            table.columns.extend(read_targets(path, table.rows)?.columns);
        }
        Ok(table)
    }

    /// What the points are.
    pub(crate) fn kind(&self) -> Result<Kind, Error> {
        let paths = self.series.is_some() || self.lengths.is_some();
        match self.points {
            Some(kind @ (Kind::Rows | Kind::Images | Kind::Strings)) if paths => {
                Err(Error::Choice(format!("--series and --lengths are of paths, but --points says {kind:?}")))
            }
            Some(kind) => Ok(kind),
            // A table may be in a .txt file too, with targets of its own.
            None => Ok(match kind_of(&self.data, paths)? {
                Kind::Strings if self.targets.is_none() => Kind::Rows,
                kind => kind,
            }),
        }
    }

    /// How the file holds series.
    fn layout(&self) -> Layout {
        let array = self.data.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        match &self.series {
            Some(column) => Layout::Column(column.clone()),
            None if array || self.lengths.is_some() => Layout::Array,
            None => Layout::Cells(self.drop.clone()),
        }
    }

    /// Series with their targets.
    pub(crate) fn read_paths(&self) -> Result<Training<Paths<f64>>, Error> {
        let (layout, target) = (self.layout(), self.target.as_deref());
        let series = self.read_series(&layout, target)?;
        let (targets, name) = self.targets_of(&series, target)?;
        let cells = matches!(layout, Layout::Cells(_));
        let mut drop = if cells { Vec::new() } else { self.drop.clone() };
        drop.extend(self.series.clone());
        let inside = series.knots.column(&name).is_ok().then_some(name.as_str());
        let encoder = Encoder::fit(&series.knots, &Choice { drop: &drop, ..self.choice(inside) })?;
        let xs = series.encode(&encoder)?;
        self.training(xs, &targets, name, encoder, Origin::Paths(layout))
    }

    fn read_series(&self, layout: &Layout, target: Option<&str>) -> Result<Series, Error> {
        let last;
        let other = match (layout, target, &self.targets) {
            // By default the last column is the target.
            (Layout::Cells(_), None, None) => {
                last = read_table(&self.data)?.columns.last().map(|c| c.name.clone());
                last.as_deref()
            }
            (_, target, _) => target,
        };
        Series::read(&self.data, self.lengths.as_deref(), layout, other)
    }

    /// A table with a row a series, and which of its columns is the target.
    fn targets_of(&self, series: &Series, target: Option<&str>) -> Result<(Table, String), Error> {
        if let Some(path) = &self.targets {
            return Ok((read_targets(path, series.len())?, TARGET.to_owned()));
        }
        let Some(beside) = &series.beside else {
            return Err(Error::Choice("paths of an array need their targets: --targets FILE".to_owned()));
        };
        let last = beside.columns.last().map(|c| c.name.clone()).unwrap_or_default();
        let column = beside.column(target.unwrap_or(&last))?;
        series.check_target(&column.name)?;
        let (name, values) = (column.name.clone(), column.values.clone());
        let columns = vec![Column { name: name.clone(), values }];
        Ok((Table { columns, rows: series.len(), first_line: beside.first_line }, name))
    }

    /// Strings with their targets.
    pub(crate) fn read_strings(&self) -> Result<Training<Strings>, Error> {
        let xs = read_strings(&self.data)?;
        let targets = self.targets_of_strings(&xs)?;
        let encoder = Encoder { features: Vec::new(), missing: self.missing, unseen: self.unseen };
        self.training(xs, &targets, TARGET.to_owned(), encoder, Origin::Strings)
    }

    fn targets_of_strings(&self, xs: &Strings) -> Result<Table, Error> {
        match &self.targets {
            Some(path) => read_targets(path, xs.len()),
            None => Err(Error::Choice("strings need their targets: --targets FILE".to_owned())),
        }
    }

    /// Points and their targets, one a row of a table.
    fn training<P: Input>(
        &self,
        xs: P,
        targets: &Table,
        name: String,
        encoder: Encoder,
        origin: Origin,
    ) -> Result<Training<P>, Error> {
        let rows: Vec<usize> = (0..targets.rows).collect();
        let (target, kept) = target(targets, &name, self.task, self.missing, &rows)?;
        let xs = if kept.len() == xs.len() { xs } else { xs.subset(&kept)? };
        if xs.len() < 2 {
            let path = self.data.display();
            return Err(Error::Choice(format!("{path}: {}; fitting needs at least 2", xs.told())));
        }
        enough_classes(&target, &name)?;
        Ok(Training { encoder, origin, xs, target, name })
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
        Ok(Training { encoder, origin: Origin::Rows, xs, target, name })
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

/// One column of targets, by the name that stored models know it by.
fn read_targets(path: &Path, points: usize) -> Result<Table, Error> {
    let mut table = read_table(path)?;
    let shape = (table.rows, table.columns.len());
    if shape != (points, 1) {
        return Err(Error::content(
            path,
            format!("holds {shape:?} rows and columns; one column of {points} targets is expected"),
        ));
    }
    table.columns.iter_mut().for_each(|c| TARGET.clone_into(&mut c.name));
    Ok(table)
}

impl Data {
    /// Points and target of the table as a stored model sees them.
    pub(crate) fn read_for(&self, model: &Model) -> Result<(Rows<f64>, Target), Error> {
        let table = self.table()?;
        let (xs, rows) = model.encoder.encode(&table)?;
        let name = self.target.as_deref().unwrap_or(&model.target);
        self.held(model, xs, &table, name, &rows)
    }

    /// Series and their targets as a stored model sees them.
    pub(crate) fn read_paths_for(&self, model: &Model<Paths<f64>>) -> Result<(Paths<f64>, Target), Error> {
        let Origin::Paths(layout) = &model.origin else { return Err(Error::Choice("no series".to_owned())) };
        let target = Some(self.target.as_deref().unwrap_or(&model.target));
        let series = self.read_series(layout, target)?;
        let (targets, name) = self.targets_of(&series, target)?;
        let xs = series.encode(&model.encoder)?;
        let rows: Vec<usize> = (0..xs.len()).collect();
        self.held(model, xs, &targets, &name, &rows)
    }

    /// Strings and their targets as a stored model sees them.
    pub(crate) fn read_strings_for(&self, model: &Model<Strings>) -> Result<(Strings, Target), Error> {
        let xs = read_strings(&self.data)?;
        let targets = self.targets_of_strings(&xs)?;
        let rows: Vec<usize> = (0..xs.len()).collect();
        self.held(model, xs, &targets, TARGET, &rows)
    }

    fn held<P: Input>(
        &self,
        model: &Model<P>,
        xs: P,
        table: &Table,
        name: &str,
        rows: &[usize],
    ) -> Result<(P, Target), Error> {
        let task = if model.classes.is_empty() { Task::Regression } else { Task::Classification };
        let (target, kept) = target(table, name, task, model.encoder.missing, rows)?;
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
