//! From a table to points: standardised numbers, categories as indicator columns, a policy for missing values.

use std::collections::BTreeMap;

use kernels_core::Rows;
use serde::{Deserialize, Serialize};

use super::{Column, Table, Values};
use crate::error::Error;

/// What becomes of missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Missing {
    /// They are an error.
    #[default]
    Error,
    /// Rows with one are left out.
    Drop,
    /// Numbers get the training mean, categories the most frequent level.
    Mean,
}

/// What becomes of categories that training has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Unseen {
    /// They are an error.
    #[default]
    Error,
    /// They are none of the known ones.
    Ignore,
}

/// How the features of a table become numbers; part of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Encoder {
    pub(crate) features: Vec<Feature>,
    pub(crate) missing: Missing,
    pub(crate) unseen: Unseen,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// (x − mean) / sd; a constant column has sd 1.
    Number { mean: f64, sd: f64 },
    /// One indicator a level.
    Category { levels: Vec<String>, most_frequent: String },
}

/// Which columns are features, and how they are to be understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice<'a> {
    pub(crate) target: Option<&'a str>,
    pub(crate) features: &'a [String],
    pub(crate) drop: &'a [String],
    pub(crate) categorical: &'a [String],
    pub(crate) standardise: bool,
    pub(crate) missing: Missing,
    pub(crate) unseen: Unseen,
}

/// Tables that are visited one after the other, the same at every pass.
pub(crate) type Passes<'a> = dyn FnMut(&mut dyn FnMut(&Table) -> Result<(), Error>) -> Result<(), Error> + 'a;

impl Encoder {
    /// Learns means, deviations and levels from a training table.
    pub(crate) fn fit(table: &Table, choice: &Choice<'_>) -> Result<Self, Error> {
        Self::fit_blocks(table, choice, &mut |visit| visit(table))
    }

    /// The same from a table in parts, in three passes; `head` has its columns, with any rows.
    pub(crate) fn fit_blocks(
        head: &Table,
        choice: &Choice<'_>,
        pass: &mut Passes<'_>,
    ) -> Result<Self, Error> {
        for name in choice.features.iter().chain(choice.drop).chain(choice.categorical) {
            head.column(name)?;
        }
        let target = choice.target.map(|t| head.column(t)).transpose()?.map(|c| c.name.as_str());
        let listed = |list: &[String], c: &Column| {
            list.iter().any(|name| head.column(name).is_ok_and(|l| l.name == c.name))
        };
        let wanted = |c: &Column| {
            Some(c.name.as_str()) != target
                && !listed(choice.drop, c)
                && (choice.features.is_empty() || listed(choice.features, c))
        };
        let mut columns: Vec<(usize, Summary)> = head
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| wanted(c))
            .map(|(i, c)| match c.values {
                Values::Numbers(_) if !listed(choice.categorical, c) => {
                    (i, Summary::Number { largest: 0.0, count: 0, sum: 0.0, squares: 0.0 })
                }
                _ => (i, Summary::Category(BTreeMap::new())),
            })
            .collect();
        if columns.is_empty() {
            return Err(Error::Choice(
                "no feature columns are left; see --target, --features and --drop".to_owned(),
            ));
        }
        let numbers = columns.iter().any(|(_, s)| matches!(s, Summary::Number { .. }));
        for stage in [Stage::Largest, Stage::Sum, Stage::Squares] {
            if stage != Stage::Largest && !(numbers && choice.standardise) {
                break;
            }
            pass(&mut |table| {
                columns.iter_mut().for_each(|(i, summary)| summary.add(stage, &table.columns[*i].values));
                Ok(())
            })?;
        }
        let features = columns
            .into_iter()
            .map(|(i, s)| Feature { name: head.columns[i].name.clone(), kind: s.kind(choice.standardise) })
            .collect();
        Ok(Self { features, missing: choice.missing, unseen: choice.unseen })
    }

    /// Names of the columns of the points, with levels of categories.
    pub(crate) fn names(&self) -> Vec<String> {
        self.features
            .iter()
            .flat_map(|f| match &f.kind {
                Kind::Number { .. } => vec![f.name.clone()],
                Kind::Category { levels, .. } => levels.iter().map(|l| format!("{}={l}", f.name)).collect(),
            })
            .collect()
    }

    /// The points of a table, and which of its rows they are.
    pub(crate) fn encode(&self, table: &Table) -> Result<(Rows<f64>, Vec<usize>), Error> {
        let columns: Vec<(&Feature, &Column)> = self
            .features
            .iter()
            .map(|f| match table.columns.iter().find(|c| c.name == f.name) {
                Some(column) => Ok((f, column)),
                None => {
                    let names: Vec<&str> = self.features.iter().map(|f| f.name.as_str()).collect();
                    let message = format!(
                        "the data have no column `{}`; the model needs: {}",
                        f.name,
                        names.join(", ")
                    );
                    Err(Error::Choice(message))
                }
            })
            .collect::<Result<_, _>>()?;
        let complete = |row: &usize| columns.iter().all(|(_, c)| !c.values.is_missing(*row));
        let rows: Vec<usize> = match self.missing {
            Missing::Drop => (0..table.rows).filter(complete).collect(),
            Missing::Error | Missing::Mean => (0..table.rows).collect(),
        };
        let dim = self.names().len();
        let mut values = Vec::with_capacity(rows.len() * dim);
        for &row in &rows {
            for (feature, column) in &columns {
                self.cell(feature, column, row, row + table.first_line, &mut values)?;
            }
        }
        Ok((Rows::from_row_major(values, rows.len(), dim)?, rows))
    }

    fn cell(
        &self,
        f: &Feature,
        c: &Column,
        row: usize,
        line: usize,
        out: &mut Vec<f64>,
    ) -> Result<(), Error> {
        if c.values.is_missing(row) && self.missing == Missing::Error {
            return Err(Error::Choice(format!(
                "line {line}: column `{}` has no value; --missing drop leaves such rows out, --missing mean fills them",
                f.name
            )));
        }
        match (&f.kind, &c.values) {
            (Kind::Number { mean, sd }, Values::Numbers(numbers)) => {
                let value = (numbers[row].unwrap_or(*mean) - mean) / sd;
                if !value.is_finite() {
                    return Err(Error::Choice(format!("line {line}: column `{}` is out of range", f.name)));
                }
                out.push(value);
            }
            (Kind::Number { .. }, Values::Words(words)) => {
                let text = words[row].as_deref().unwrap_or_default();
                let name = &f.name;
                return Err(Error::Choice(format!(
                    "line {line}: column `{name}` holds the text `{text}`, but held numbers in training"
                )));
            }
            (Kind::Category { levels, most_frequent }, values) => {
                let word = match values {
                    Values::Numbers(numbers) => numbers[row].map(|v| v.to_string()),
                    Values::Words(words) => words[row].clone(),
                };
                let word = word.as_deref().unwrap_or(most_frequent);
                let level = levels.iter().position(|l| l == word);
                if level.is_none() && self.unseen == Unseen::Error {
                    let known: Vec<&str> = levels.iter().take(20).map(String::as_str).collect();
                    return Err(Error::Choice(format!(
                        "line {line}: column `{}` is `{word}`, which training has not seen (known: {}); --unseen ignore treats it as none of them",
                        f.name,
                        known.join(", ")
                    )));
                }
                out.extend((0..levels.len()).map(|l| f64::from(u8::from(level == Some(l)))));
            }
        }
        Ok(())
    }
}

/// What three passes learn of a column.
enum Summary {
    /// Values are scaled by the largest before they are summed: squares of huge ones would overflow.
    Number {
        largest: f64,
        count: usize,
        sum: f64,
        squares: f64,
    },
    Category(BTreeMap<String, usize>),
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Largest,
    Sum,
    Squares,
}

impl Summary {
    fn add(&mut self, stage: Stage, values: &Values) {
        match (self, values) {
            (Self::Number { largest, count, sum, squares }, Values::Numbers(numbers)) => {
                let present = numbers.iter().flatten();
                let unit = if *largest > 0.0 { *largest } else { 1.0 };
                match stage {
                    Stage::Largest => present.for_each(|v| {
                        *largest = largest.max(v.abs());
                        *count += 1;
                    }),
                    Stage::Sum => present.for_each(|v| *sum += v / unit),
                    Stage::Squares => {
                        let mean = *sum / (*count).max(1) as f64;
                        present.for_each(|v| *squares += (v / unit - mean).powi(2));
                    }
                }
            }
            (Self::Category(levels), values) if stage == Stage::Largest => {
                for word in values.to_words().into_iter().flatten() {
                    *levels.entry(word).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn kind(self, standardise: bool) -> Kind {
        match self {
            Self::Number { largest, count, sum, squares } if standardise => {
                let unit = if largest > 0.0 { largest } else { 1.0 };
                let n = count.max(1) as f64;
                let deviation = (squares / n).sqrt();
                // Rounding leaves a little deviation in a column of equal values.
                let sd = if deviation > 1e-14 { deviation * unit } else { 1.0 };
                Kind::Number { mean: sum / n * unit, sd }
            }
            Self::Number { .. } => Kind::Number { mean: 0.0, sd: 1.0 },
            Self::Category(levels) => {
                let most_frequent = levels.iter().max_by_key(|(_, count)| **count);
                let most_frequent = most_frequent.map_or(String::new(), |(level, _)| level.clone());
                Kind::Category { levels: levels.into_keys().collect(), most_frequent }
            }
        }
    }
}

/// The target of a supervised task, for the rows that are used.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Numbers(Vec<f64>),
    /// Indices into the names of the classes.
    Classes(Vec<usize>, Vec<String>),
}

/// What is to be predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Task {
    /// Classification when the target is text, or integers with at most 20 different values; regression otherwise.
    #[default]
    Auto,
    /// Numbers.
    Regression,
    /// Classes.
    Classification,
}

/// Reads the target column; rows without a value are an error or, with `Missing::Drop`, left out.
pub(crate) fn target(
    table: &Table,
    name: &str,
    task: Task,
    missing: Missing,
    rows: &[usize],
) -> Result<(Target, Vec<usize>), Error> {
    let column = table.column(name)?;
    if missing != Missing::Drop
        && let Some(row) = rows.iter().find(|r| column.values.is_missing(**r))
    {
        let line = row + table.first_line;
        let name = &column.name;
        return Err(Error::Choice(format!(
            "line {line}: the target `{name}` has no value; --missing drop leaves such rows out"
        )));
    }
    let kept: Vec<usize> = (0..rows.len()).filter(|i| !column.values.is_missing(rows[*i])).collect();
    let task = match (task, &column.values) {
        (Task::Auto, Values::Words(_)) => Task::Classification,
        (Task::Auto, Values::Numbers(numbers)) => {
            let mut values: Vec<f64> = numbers.iter().flatten().copied().collect();
            let integers = values.iter().all(|v| v.fract() == 0.0);
            values.sort_by(f64::total_cmp);
            values.dedup();
            if integers && values.len() <= 20 { Task::Classification } else { Task::Regression }
        }
        (task, _) => task,
    };
    let target = match (task, &column.values) {
        (Task::Classification, values) => {
            let words = values.to_words();
            let words: Vec<String> = kept.iter().filter_map(|&i| words[rows[i]].clone()).collect();
            let mut names = words.clone();
            match values {
                // Numbers in the order of numbers.
                Values::Numbers(_) => names.sort_by(|a, b| {
                    a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse::<f64>().unwrap_or(0.0))
                }),
                Values::Words(_) => names.sort(),
            }
            names.dedup();
            let classes = words.iter().map(|w| names.iter().position(|n| n == w).unwrap_or(0)).collect();
            Target::Classes(classes, names)
        }
        (_, Values::Numbers(numbers)) => {
            Target::Numbers(kept.iter().filter_map(|&i| numbers[rows[i]]).collect())
        }
        (_, Values::Words(_)) => {
            let name = &column.name;
            return Err(Error::Choice(format!(
                "the target `{name}` holds text; regression needs numbers (see --task)"
            )));
        }
    };
    Ok((target, kept))
}
