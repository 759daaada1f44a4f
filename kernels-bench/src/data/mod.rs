//! Data from and to files.

mod blocks;
pub(crate) mod encode;
mod graphs;
mod npy;
mod output;
mod parquet;
mod paths;
mod separated;
mod series;
mod stream;
mod table;

use std::path::Path;

use kernels_core::{Real, Rows};

pub(crate) use blocks::{Streamed, bytes_in_memory};
pub(crate) use graphs::{Named, Source, read_labels};
pub(crate) use npy::{NpyWriter, read_array, write_matrix};
pub(crate) use output::Output;
pub(crate) use parquet::{Blocks as ParquetBlocks, write as write_parquet};
pub(crate) use paths::{Kind, kind_of, read_images, read_paths, read_strings};
pub(crate) use separated::parse as parse_separated;
pub(crate) use series::Series;
pub(crate) use stream::stream_rows;
pub(crate) use table::{Column, Table, Values};

use crate::error::Error;

/// Reads a table by the ending of its name: `.parquet`, `.npy`, anything else as separated values (`.gz` too).
pub(crate) fn read_table(path: &Path) -> Result<Table, Error> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let table = if name.ends_with(".parquet") {
        parquet::read(path)?
    } else if name.ends_with(".npy") {
        npy::read_table(path)?
    } else {
        separated::read(path)?
    };
    if table.rows == 0 {
        return Err(Error::content(path, "holds a header but no rows; at least one row of data is needed"));
    }
    Ok(table)
}

/// Reads a matrix of numbers, rows are samples.
pub(crate) fn read_rows<T: Real>(path: &Path) -> Result<Rows<T>, Error> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (values, n, dim) =
        if name.ends_with(".npy") { npy::read_matrix(path)? } else { read_table(path)?.into_matrix(path)? };
    let rows = Rows::from_row_major(values.into_iter().map(T::of).collect(), n, dim)?;
    kernels_core::Points::check_finite(&rows).map_err(|error| Error::content(path, error.to_string()))?;
    Ok(rows)
}
