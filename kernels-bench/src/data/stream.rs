//! Matrices row by row, for what need not hold them whole.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{npy, parquet as table_parquet, separated};
use crate::error::Error;

/// The rows of a matrix, one after the other.
pub(crate) type RowStream = Box<dyn Iterator<Item = Result<Vec<f64>, Error>>>;

/// The number of rows of a file of numbers, and its rows one by one: NPY in C order, Parquet, or separated values with a header
/// line, which are read twice. Values must be finite.
pub(crate) fn stream_rows(path: &Path) -> Result<(usize, RowStream), Error> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (n, rows): (usize, RowStream) = if name.ends_with(".npy") {
        npy::stream(path)?
    } else if name.ends_with(".parquet") {
        let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
        let wrong = |e: parquet::errors::ParquetError| {
            Error::content(path, format!("is not a readable Parquet file: {e}"))
        };
        let reader = SerializedFileReader::new(file).map_err(wrong)?;
        let n = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        (n, table_parquet::stream(path.to_owned(), reader)?)
    } else {
        let n = separated::numbers(path.to_owned(), open(path)?)?.count();
        (n, separated::numbers(path.to_owned(), open(path)?)?)
    };
    let (path, mut row) = (path.to_owned(), 0);
    let checked = rows.map(move |values| {
        row += 1;
        let values = values?;
        if values.iter().all(|v| v.is_finite()) {
            return Ok(values);
        }
        Err(Error::content(&path, format!("row {row} holds a value that is not finite")))
    });
    Ok((n, Box::new(checked)))
}

fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    let file = BufReader::new(File::open(path).map_err(|e| Error::file(path, "open", e))?);
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")) {
        return Ok(Box::new(flate2::read::MultiGzDecoder::new(file)));
    }
    Ok(Box::new(file))
}

/// Where a row comes from, for messages.
pub(super) fn missing(path: &Path, row: usize, column: usize) -> Error {
    Error::content(
        path,
        format!("row {row}, column {column} holds no number; a matrix needs numbers in all columns"),
    )
}
