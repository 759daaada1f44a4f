//! Tables that are read block by block at every pass: training data that need not fit in memory.

use std::path::Path;

use kernels_core::Rows;
use kernels_solvers::{BlockSource, Error as SolverError};
use nalgebra::DMatrix;

use super::{
    Table,
    encode::{Choice, Encoder, Missing, Target, Task, target},
    npy, parquet,
};
use crate::error::Error;

/// A file of rows: NPY (C order) or Parquet.
enum Raw {
    Npy(npy::Blocks),
    Parquet(parquet::Blocks),
}

impl Raw {
    fn rows(&self) -> usize {
        match self {
            Self::Npy(blocks) => blocks.rows,
            Self::Parquet(blocks) => blocks.rows,
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Npy(blocks) => blocks.dim,
            Self::Parquet(blocks) => blocks.names.len(),
        }
    }

    /// Visits all rows in order, at most `most` at a time.
    fn pass(&mut self, most: usize, visit: &mut dyn FnMut(Table) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::Npy(blocks) => {
                let mut start = 0;
                while start < blocks.rows {
                    let end = (start + most.max(1)).min(blocks.rows);
                    let values = blocks.read(start..end)?;
                    visit(npy::table(&values, end - start, blocks.dim, start))?;
                    start = end;
                }
                Ok(())
            }
            Self::Parquet(blocks) => blocks.pass(most, visit),
        }
    }

    /// The rows of these indices, in that order.
    fn select(&mut self, most: usize, indices: &[usize]) -> Result<Table, Error> {
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_by_key(|&k| indices[k]);
        let mut found: Option<Table> = None;
        let mut add = |part: Table| match &mut found {
            Some(all) => all.append(part),
            None => found = Some(part),
        };
        match self {
            Self::Npy(blocks) => {
                let mut values = Vec::with_capacity(order.len() * blocks.dim);
                for &k in &order {
                    values.extend(blocks.read(indices[k]..indices[k] + 1)?);
                }
                add(npy::table(&values, order.len(), blocks.dim, 0));
            }
            Self::Parquet(blocks) => {
                let (mut start, mut next) = (0, 0);
                blocks.pass(most, &mut |table| {
                    let end = start + table.rows;
                    let first = next;
                    while next < order.len() && indices[order[next]] < end {
                        next += 1;
                    }
                    let here: Vec<usize> = order[first..next].iter().map(|&k| indices[k] - start).collect();
                    add(table.select(&here));
                    start = end;
                    Ok(())
                })?;
            }
        }
        // Back from the order of the file to that of the indices.
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &k)| place[k] = at);
        Ok(found.map(|t| t.select(&place)).unwrap_or(Table { columns: Vec::new(), rows: 0, first_line: 0 }))
    }
}

/// Bytes that a table in memory takes while it is read and encoded, if its file can be read in blocks.
pub(crate) fn bytes_in_memory(path: &Path) -> Result<Option<usize>, Error> {
    // A cell is an optional number in the table and a number of the points.
    Ok(open(path)?.map(|raw| raw.rows().saturating_mul(raw.columns()).saturating_mul(24)))
}

fn open(path: &Path) -> Result<Option<Raw>, Error> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    Ok(if name.ends_with(".npy") {
        Some(Raw::Npy(npy::Blocks::open(path)?))
    } else if name.ends_with(".parquet") {
        Some(Raw::Parquet(parquet::Blocks::open(path)?))
    } else {
        None
    })
}

/// A file as training data: encoded points and targets, a block in memory at a time; of the targets all.
pub(crate) struct Streamed {
    raw: Raw,
    /// Rows of a block.
    most: usize,
    pub(crate) encoder: Encoder,
    pub(crate) target: Target,
    pub(crate) name: String,
    /// One row a sample: what is regressed on.
    codes: DMatrix<f64>,
}

impl Streamed {
    /// Opens a file with blocks of at most `bytes` (encoded), and learns the encoding in up to four passes.
    pub(crate) fn open(path: &Path, choice: &Choice<'_>, task: Task, bytes: usize) -> Result<Self, Error> {
        let Some(mut raw) = open(path)? else {
            return Err(Error::content(
                path,
                "cannot be read block by block; NPY and Parquet files can (see --stream)",
            ));
        };
        if choice.missing == Missing::Drop {
            let message =
                "--missing drop needs the whole table in memory; for streamed data there are error and mean";
            return Err(Error::Choice(message.to_owned()));
        }
        if raw.rows() < 2 {
            return Err(Error::content(
                path,
                format!("{} usable row(s); fitting needs at least 2", raw.rows()),
            ));
        }
        let most = (bytes / (24 * raw.columns().max(1))).clamp(1, 1 << 16);
        let head = raw.select(most, &[0])?;
        let last = head.columns.last().map(|c| c.name.clone()).unwrap_or_default();
        let name = head.column(choice.target.unwrap_or(&last))?.name.clone();
        let choice = Choice { target: Some(&name), ..choice.clone() };
        let encoder =
            Encoder::fit_blocks(&head, &choice, &mut |visit| raw.pass(most, &mut |table| visit(&table)))?;
        let column = head.columns.iter().position(|c| c.name == name).unwrap_or(0);
        let mut targets = Table { columns: Vec::new(), rows: 0, first_line: head.first_line };
        raw.pass(most, &mut |mut table| {
            let only = table.columns.swap_remove(column);
            let part = Table { columns: vec![only], rows: table.rows, first_line: table.first_line };
            if targets.columns.is_empty() {
                targets = part
            } else {
                targets.append(part)
            }
            Ok(())
        })?;
        let rows: Vec<usize> = (0..targets.rows).collect();
        let (target, _) = target(&targets, &name, task, choice.missing, &rows)?;
        Ok(Self { raw, most, encoder, codes: DMatrix::zeros(0, 0), target, name })
    }

    /// Sets what is regressed on, one row a sample.
    pub(crate) fn regress_on(&mut self, codes: DMatrix<f64>) {
        self.codes = codes;
    }

    /// The points of these rows.
    pub(crate) fn points(&mut self, indices: &[usize]) -> Result<Rows<f64>, Error> {
        Ok(self.encoder.encode(&self.raw.select(self.most, indices)?)?.0)
    }
}

impl BlockSource for Streamed {
    type Points = Rows<f64>;

    fn len(&self) -> usize {
        self.raw.rows()
    }

    fn outputs(&self) -> usize {
        self.codes.ncols()
    }

    fn pass(
        &mut self,
        visit: &mut dyn FnMut(&Rows<f64>, &DMatrix<f64>) -> Result<(), SolverError>,
    ) -> Result<(), SolverError> {
        let Self { raw, most, encoder, codes, .. } = self;
        let mut start = 0;
        // What the visitor says is handed on as it is, and what reading says as a failure of reading.
        let mut stopped = None;
        let read = raw.pass(*most, &mut |table| {
            let (xs, _) = encoder.encode(&table)?;
            let y = codes.rows(start, table.rows).into_owned();
            start += table.rows;
            visit(&xs, &y).map_err(|error| {
                stopped = Some(error);
                Error::Interrupted
            })
        });
        match (stopped, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(SolverError::Source(error.to_string())),
            (None, Ok(())) => Ok(()),
        }
    }

    fn select(&mut self, indices: &[usize]) -> Result<Rows<f64>, SolverError> {
        if let Some(&index) = indices.iter().find(|i| **i >= self.raw.rows()) {
            return Err(kernels_core::Error::Shape {
                what: "index of a sample (below the number of rows)",
                expected: self.raw.rows(),
                given: index,
            }
            .into());
        }
        self.points(indices).map_err(|error| SolverError::Source(error.to_string()))
    }
}
