//! A table with named columns.

use std::path::Path;

use crate::error::Error;

/// Columns of equal length.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: usize,
    /// Line of the file that row 0 stands on.
    pub(crate) first_line: usize,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: Values,
}

/// Values of a column; `None` is missing.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Numbers(Vec<Option<f64>>),
    Words(Vec<Option<String>>),
}

impl Values {
    /// Numbers if all present values are, words otherwise.
    pub(crate) fn infer(cells: Vec<Option<String>>) -> Self {
        let numbers: Option<Vec<Option<f64>>> = cells
            .iter()
            .map(|cell| match cell {
                None => Some(None),
                Some(text) => text.parse::<f64>().ok().map(Some),
            })
            .collect();
        match numbers {
            Some(numbers) if numbers.iter().any(Option::is_some) || numbers.is_empty() => {
                Self::Numbers(numbers)
            }
            Some(_) | None => Self::Words(cells),
        }
    }

    /// As words: how a number column becomes categories.
    pub(crate) fn to_words(&self) -> Vec<Option<String>> {
        match self {
            Self::Numbers(numbers) => numbers.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Self::Words(words) => words.clone(),
        }
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Words(words) => words.len(),
        }
    }

    /// The cells of these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(numbers) => Self::Numbers(rows.iter().map(|&i| numbers[i]).collect()),
            Self::Words(words) => Self::Words(rows.iter().map(|&i| words[i].clone()).collect()),
        }
    }

    /// Adds the cells of another part of the same column.
    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Numbers(all), Self::Numbers(more)) => all.extend(more),
            (Self::Words(all), Self::Words(more)) => all.extend(more),
            (all, more) if all.len() == 0 => *all = more,
            (Self::Words(all), more) => all.extend(more.to_words()),
            (all, Self::Words(more)) => {
                let mut words = all.to_words();
                words.extend(more);
                *all = Self::Words(words);
            }
        }
    }

    pub(crate) fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(numbers) => numbers[row].is_none(),
            Self::Words(words) => words[row].is_none(),
        }
    }
}

impl Table {
    /// Adds the rows of a table with the same columns.
    pub(crate) fn append(&mut self, more: Self) {
        self.rows += more.rows;
        for (column, more) in self.columns.iter_mut().zip(more.columns) {
            column.values.append(more.values);
        }
    }

    /// The table of these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|c| Column { name: c.name.clone(), values: c.values.select(rows) })
            .collect();
        Self { columns, rows: rows.len(), first_line: self.first_line }
    }

    /// The column of a name, or else of an index from 0.
    pub(crate) fn column(&self, name: &str) -> Result<&Column, Error> {
        let by_name = self.columns.iter().find(|c| c.name == name);
        let by_index = || name.parse::<usize>().ok().and_then(|i| self.columns.get(i));
        by_name.or_else(by_index).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().take(30).map(|c| c.name.as_str()).collect();
            let more = if self.columns.len() > 30 { ", …" } else { "" };
            Error::Choice(format!("there is no column `{name}`; there are: {}{more}", names.join(", ")))
        })
    }

    /// All columns as one matrix, row by row.
    pub(crate) fn into_matrix(self, path: &Path) -> Result<(Vec<f64>, usize, usize), Error> {
        let (n, dim) = (self.rows, self.columns.len());
        let mut out = vec![0.0; n * dim];
        for (j, column) in self.columns.iter().enumerate() {
            let Values::Numbers(numbers) = &column.values else {
                let message =
                    format!("column `{}` holds text; a matrix needs numbers in all columns", column.name);
                return Err(Error::content(path, message));
            };
            for (i, number) in numbers.iter().enumerate() {
                out[i * dim + j] = number.ok_or_else(|| {
                    let line = i + self.first_line;
                    Error::content(path, format!("line {line}: column `{}` has no value", column.name))
                })?;
            }
        }
        Ok((out, n, dim))
    }
}
