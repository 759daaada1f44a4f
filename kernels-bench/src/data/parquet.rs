//! Parquet tables of numbers, booleans, dates and strings.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Type},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{DataType, DoubleType},
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    record::{Field, reader::RowIter},
    schema::{parser::parse_message_type, types::ColumnDescriptor},
};

use super::{
    Column, Output, Table, Values,
    stream::{RowStream, missing},
};
use crate::error::Error;

/// A file whose rows are read in blocks, each within one of its row groups.
pub(crate) struct Blocks {
    reader: SerializedFileReader<File>,
    name: String,
    pub(crate) names: Vec<String>,
    pub(super) rows: usize,
}

impl Blocks {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
        let reader = SerializedFileReader::new(file)
            .map_err(|e| Error::content(path, format!("is not a readable Parquet file: {e}")))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        for column in schema.columns() {
            if let Some(kind) = unreadable(column) {
                let message = format!(
                    "column `{}` holds {kind}; numbers, booleans, dates and strings can be read",
                    column.path().string()
                );
                return Err(Error::content(path, message));
            }
        }
        let names = schema.columns().iter().map(|c| c.name().to_owned()).collect();
        let groups = reader.metadata().row_groups();
        let rows = groups.iter().map(|g| usize::try_from(g.num_rows()).unwrap_or(0)).sum();
        Ok(Self { reader, name: path.display().to_string(), names, rows })
    }

    /// Visits all rows in order, at most `most` at a time.
    pub(crate) fn pass(
        &mut self,
        most: usize,
        visit: &mut dyn FnMut(Table) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let name = self.name.clone();
        let wrong = |e: parquet::errors::ParquetError| Error::Content {
            path: name.clone(),
            message: format!("is not a readable Parquet file: {e}"),
        };
        let schema = self.reader.metadata().file_metadata().schema_descr_ptr();
        let mut first = 1;
        for g in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(g).map_err(wrong)?;
            let mut columns: Vec<ColumnReader> = (0..self.names.len())
                .map(|i| group.get_column_reader(i))
                .collect::<Result<_, _>>()
                .map_err(wrong)?;
            let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            while left > 0 {
                let rows = left.min(most.max(1));
                let mut read = Vec::with_capacity(columns.len());
                for (i, column) in columns.iter_mut().enumerate() {
                    let values = values(column, &schema.column(i), rows).map_err(wrong)?;
                    if values.len() != rows {
                        let message =
                            format!("column `{}` ends too early: the file is damaged", self.names[i]);
                        return Err(Error::Content { path: name.clone(), message });
                    }
                    read.push(Column { name: self.names[i].clone(), values });
                }
                visit(Table { columns: read, rows, first_line: first })?;
                first += rows;
                left -= rows;
            }
        }
        Ok(())
    }
}

/// Writes columns of numbers in row groups of 2¹⁸.
pub(crate) fn write(output: Output, columns: &[(&str, Vec<f64>)]) -> Result<(), Error> {
    let failed = |e: parquet::errors::ParquetError| Error::Choice(format!("cannot write Parquet: {e}"));
    let fields: String = columns.iter().map(|(name, _)| format!("required double {name}; ")).collect();
    let schema = parse_message_type(&format!("message table {{ {fields} }}")).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        SerializedFileWriter::new(output, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
    const GROUP: usize = 1 << 18;
    let rows = columns.first().map_or(0, |c| c.1.len());
    for start in (0..rows).step_by(GROUP) {
        let mut group = writer.next_row_group().map_err(failed)?;
        for (_, values) in columns {
            if let Some(mut column) = group.next_column().map_err(failed)? {
                let part = &values[start..(start + GROUP).min(values.len())];
                column.typed::<DoubleType>().write_batch(part, None, None).map_err(failed)?;
                column.close().map_err(failed)?;
            }
        }
        group.close().map_err(failed)?;
    }
    writer.into_inner().map_err(failed)?.finish()
}

pub(super) fn read(path: &Path) -> Result<Table, Error> {
    let mut blocks = Blocks::open(path)?;
    let empty = |name: &String| Column { name: name.clone(), values: Values::Numbers(Vec::new()) };
    let mut all = Table { columns: blocks.names.iter().map(empty).collect(), rows: 0, first_line: 1 };
    blocks.pass(1 << 16, &mut |block| {
        all.append(block);
        Ok(())
    })?;
    // Text that is numbers throughout is numbers, as in other tables.
    for column in &mut all.columns {
        if let Values::Words(words) = &mut column.values {
            column.values = Values::infer(std::mem::take(words));
        }
    }
    Ok(all)
}

/// What a column holds, when that cannot be read.
fn unreadable(column: &ColumnDescriptor) -> Option<&'static str> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Some("nested values");
    }
    if column.converted_type() == ConvertedType::DECIMAL
        || matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }))
    {
        return Some("decimals");
    }
    match column.physical_type() {
        Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE => None,
        Type::BYTE_ARRAY if is_text(column) => None,
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => Some("raw bytes"),
        Type::INT96 => Some("values of another kind"),
    }
}

fn is_text(column: &ColumnDescriptor) -> bool {
    matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
        || matches!(
            column.logical_type_ref(),
            Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)
        )
}

/// The next `rows` values; dates and times are numbers as they are stored (days, or fractions of seconds, since 1970).
fn values(
    reader: &mut ColumnReader,
    column: &ColumnDescriptor,
    rows: usize,
) -> Result<Values, parquet::errors::ParquetError> {
    let defined = column.max_def_level();
    let number = |v: f64| (!v.is_nan()).then_some(v);
    let unsigned = matches!(
        column.converted_type(),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
    );
    Ok(match reader {
        ColumnReader::BoolColumnReader(r) => {
            Values::Numbers(cells(r, rows, defined, |v| number(f64::from(u8::from(*v))))?)
        }
        ColumnReader::Int32ColumnReader(r) => Values::Numbers(cells(r, rows, defined, |v| {
            number(if unsigned { f64::from(v.cast_unsigned()) } else { f64::from(*v) })
        })?),
        ColumnReader::Int64ColumnReader(r) => Values::Numbers(cells(r, rows, defined, |v| {
            number(if unsigned { v.cast_unsigned() as f64 } else { *v as f64 })
        })?),
        ColumnReader::FloatColumnReader(r) => {
            Values::Numbers(cells(r, rows, defined, |v| number(f64::from(*v)))?)
        }
        ColumnReader::DoubleColumnReader(r) => Values::Numbers(cells(r, rows, defined, |v| number(*v))?),
        ColumnReader::ByteArrayColumnReader(r) => {
            Values::Words(cells(r, rows, defined, |v| Some(String::from_utf8_lossy(v.data()).into_owned()))?)
        }
        // Refused when the file was opened.
        ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Values::Numbers(vec![None; rows])
        }
    })
}

/// The next `rows` cells of a column: its values are stored without the missing ones.
fn cells<D: DataType, T>(
    reader: &mut ColumnReaderImpl<D>,
    rows: usize,
    defined: i16,
    of: impl Fn(&D::T) -> Option<T>,
) -> Result<Vec<Option<T>>, parquet::errors::ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        let (records, _, _) =
            reader.read_records(rows - read, (defined > 0).then_some(&mut levels), None, &mut values)?;
        if records == 0 {
            break;
        }
        read += records;
    }
    if defined == 0 {
        return Ok(values.iter().map(of).collect());
    }
    let mut present = values.iter();
    Ok(levels.iter().map(|&l| if l == defined { present.next().and_then(&of) } else { None }).collect())
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
