//! Series from tables and arrays: which rows of a table of knots belong to which.

use std::{collections::HashMap, path::Path};

use kernels_core::{Paths, Points, Rows};

use super::{Column, Table, Values, encode::Encoder, paths::read_paths, read_table};
use crate::{error::Error, input::Layout};

/// Name of the channel of series that are rows of cells.
const CELL: &str = "cells of a row";

/// Knots of series, not yet encoded.
#[derive(Debug)]
pub(crate) struct Series {
    /// A row a knot.
    pub(crate) knots: Table,
    /// Rows of `knots` by series, in the order of time.
    groups: Vec<Vec<usize>>,
    /// Names of the series, where they have any.
    pub(crate) names: Option<Vec<String>>,
    /// What the file holds beside knots: a row a series.
    pub(crate) beside: Option<Table>,
}

impl Series {
    /// Reads series; `other` is a column that holds no knots.
    pub(crate) fn read(
        path: &Path,
        lengths: Option<&Path>,
        layout: &Layout,
        other: Option<&str>,
    ) -> Result<Self, Error> {
        match layout {
            Layout::Array => {
                let paths = read_paths::<f64>(path, lengths)?;
                let knots = paths.knots();
                let channel = |c: usize| Column {
                    name: c.to_string(),
                    values: Values::Numbers((0..knots.len()).map(|i| Some(knots.point(i)[c])).collect()),
                };
                let columns = (0..paths.dim()).map(channel).collect();
                Ok(Self {
                    knots: Table { columns, rows: knots.len(), first_line: 0 },
                    groups: (0..paths.len()).map(|i| paths.range(i).collect()).collect(),
                    names: None,
                    beside: None,
                })
            }
            Layout::Column(column) => Self::of_rows(read_table(path)?, column),
            Layout::Cells(others) => {
                let others: Vec<&str> = others.iter().map(String::as_str).chain(other).collect();
                Self::of_cells(path, read_table(path)?, &others)
            }
        }
    }

    /// Rows of a table that agree in a column are the knots of a series, in their order.
    fn of_rows(table: Table, column: &str) -> Result<Self, Error> {
        let column = table.column(column)?;
        let (mut groups, mut names) = (Vec::<Vec<usize>>::new(), Vec::new());
        let mut places = HashMap::new();
        for (row, word) in column.values.to_words().into_iter().enumerate() {
            let Some(word) = word else {
                let line = row + table.first_line;
                let name = &column.name;
                return Err(Error::Choice(format!("line {line}: the column `{name}` says of no series")));
            };
            let place = *places.entry(word.clone()).or_insert_with(|| {
                groups.push(Vec::new());
                names.push(word);
                groups.len() - 1
            });
            groups[place].push(row);
        }
        let firsts: Vec<usize> = groups.iter().map(|rows| rows[0]).collect();
        let beside = table.select(&firsts);
        Ok(Self { knots: table, groups, names: Some(names), beside: Some(beside) })
    }

    /// The cells of a row are the knots of a series; empty ones at the end are none.
    fn of_cells(path: &Path, table: Table, others: &[&str]) -> Result<Self, Error> {
        let others: Vec<&str> =
            others.iter().filter_map(|name| table.column(name).ok()).map(|c| c.name.as_str()).collect();
        let mut cells: Vec<&Vec<Option<f64>>> = Vec::new();
        for column in table.columns.iter().filter(|c| !others.contains(&c.name.as_str())) {
            match &column.values {
                Values::Numbers(numbers) => cells.push(numbers),
                Values::Words(words) if words.iter().all(Option::is_none) => {}
                Values::Words(_) => {
                    let message = format!(
                        "column `{}` holds text; every cell but the target is a number of the series of its row",
                        column.name
                    );
                    return Err(Error::content(path, message));
                }
            }
        }
        let (mut knots, mut groups) = (Vec::new(), Vec::new());
        for row in 0..table.rows {
            let length = cells.iter().rposition(|c| c[row].is_some()).map_or(0, |last| last + 1);
            groups.push((knots.len()..knots.len() + length).collect());
            knots.extend(cells[..length].iter().map(|c| c[row]));
        }
        let rows = knots.len();
        let columns = vec![Column { name: CELL.to_owned(), values: Values::Numbers(knots) }];
        let knots = Table { columns, rows, first_line: 0 };
        Ok(Self { knots, groups, names: None, beside: Some(table) })
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The encoded series.
    pub(crate) fn encode(&self, encoder: &Encoder) -> Result<Paths<f64>, Error> {
        let (knots, rows): (Rows<f64>, Vec<usize>) = encoder.encode(&self.knots)?;
        let mut places = vec![None; self.knots.rows];
        rows.iter().enumerate().for_each(|(place, &row)| places[row] = Some(place));
        let (mut order, mut lengths) = (Vec::with_capacity(rows.len()), Vec::with_capacity(self.len()));
        for (i, group) in self.groups.iter().enumerate() {
            let before = order.len();
            order.extend(group.iter().filter_map(|&row| places[row]));
            if order.len() == before {
                let name = self.names.as_ref().map_or_else(|| i.to_string(), |names| names[i].clone());
                return Err(Error::Choice(format!(
                    "series `{name}` has no knots; a series needs at least one"
                )));
            }
            lengths.push(order.len() - before);
        }
        Ok(Paths::new(knots.subset(&order)?, &lengths)?)
    }

    /// The column of targets, which every row of a series must agree on.
    pub(crate) fn check_target(&self, name: &str) -> Result<(), Error> {
        let (Some(_), Ok(column)) = (&self.names, self.knots.column(name)) else { return Ok(()) };
        let words = column.values.to_words();
        for (i, group) in self.groups.iter().enumerate() {
            if let Some(&row) = group.iter().find(|&&row| words[row] != words[group[0]]) {
                let series = self.names.as_ref().map_or_else(|| i.to_string(), |names| names[i].clone());
                let said = |row: usize| words[row].clone().unwrap_or_default();
                return Err(Error::Choice(format!(
                    "line {}: series `{series}` has the targets `{}` and `{}`; a series has one",
                    row + self.knots.first_line,
                    said(group[0]),
                    said(row)
                )));
            }
        }
        Ok(())
    }
}
