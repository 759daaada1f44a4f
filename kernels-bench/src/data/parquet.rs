//! Parquet tables of numbers, booleans and strings.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, reader::RowIter},
};

use super::{
    Column, Table, Values,
    stream::{RowStream, missing},
};
use crate::error::Error;

pub(super) fn read(path: &Path) -> Result<Table, Error> {
    let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    let wrong = |e: parquet::errors::ParquetError| {
        Error::content(path, format!("is not a readable Parquet file: {e}"))
    };
    let reader = SerializedFileReader::new(file).map_err(wrong)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> = schema.columns().iter().map(|c| c.name().to_owned()).collect();
    let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    for row in reader.get_row_iter(None).map_err(wrong)? {
        let row = row.map_err(wrong)?;
        for (i, (name, field)) in row.get_column_iter().enumerate() {
            let cell = cell(field).map_err(|kind| {
                Error::content(
                    path,
                    format!("column `{name}` holds {kind}; numbers, booleans and strings can be read"),
                )
            })?;
            if let Some(column) = cells.get_mut(i) {
                column.push(cell);
            }
        }
    }
    let rows = cells.first().map_or(0, Vec::len);
    let columns = names.into_iter().zip(cells);
    let columns = columns.map(|(name, cells)| Column { name, values: Values::infer(cells) }).collect();
    Ok(Table { columns, rows, first_line: 1 })
}

/// The rows of a table of numbers, one by one.
pub(super) fn stream(path: PathBuf, reader: SerializedFileReader<File>) -> Result<RowStream, Error> {
    let mut row = 0;
    Ok(Box::new(RowIter::from_file_into(Box::new(reader)).map(move |values| {
        row += 1;
        let values =
            values.map_err(|e| Error::content(&path, format!("is not a readable Parquet file: {e}")))?;
        values
            .get_column_iter()
            .enumerate()
            .map(|(column, (_, field))| {
                let text = cell(field).ok().flatten();
                text.and_then(|t| t.parse().ok()).ok_or_else(|| missing(&path, row, column + 1))
            })
            .collect()
    })))
}

/// The text of a value, `None` when it is missing; or what it is that cannot be read.
fn cell(field: &Field) -> Result<Option<String>, &'static str> {
    let number = |v: f64| Ok((!v.is_nan()).then(|| v.to_string()));
    match field {
        Field::Null => Ok(None),
        Field::Bool(v) => number(f64::from(u8::from(*v))),
        Field::Byte(v) => number(f64::from(*v)),
        Field::Short(v) => number(f64::from(*v)),
        Field::Int(v) => number(f64::from(*v)),
        Field::Long(v) => number(*v as f64),
        Field::UByte(v) => number(f64::from(*v)),
        Field::UShort(v) => number(f64::from(*v)),
        Field::UInt(v) => number(f64::from(*v)),
        Field::ULong(v) => number(*v as f64),
        Field::Float(v) => number(f64::from(*v)),
        Field::Double(v) => number(*v),
        Field::Str(v) => Ok(Some(v.clone())),
        Field::Decimal(_) => Err("decimals"),
        Field::Bytes(_) => Err("raw bytes"),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => Err("nested values"),
        _ => Err("values of another kind"),
    }
}
