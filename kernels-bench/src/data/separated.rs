//! Comma-, semicolon- and tab-separated values with a header line.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    Column, Table, Values,
    stream::{RowStream, missing},
};
use crate::error::Error;

/// Cells that mean "no value".
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"];

pub(super) fn read(path: &Path) -> Result<Table, Error> {
    let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> = Box::new(BufReader::new(file));
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")) {
        reader = Box::new(flate2::read::MultiGzDecoder::new(reader));
    }
    reader.read_to_end(&mut bytes).map_err(|e| Error::file(path, "read", e))?;
    parse(&bytes).map_err(|message| Error::content(path, message))
}

/// The table in the bytes of a file, or what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Table, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty; expected a header line and rows of values".to_owned());
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter(bytes)).trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|e| explain(&e))?.clone();
    let mut seen = HashSet::new();
    for (i, name) in headers.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name in the header line", i + 1));
        }
        if !seen.insert(name) {
            return Err(format!("the header line names `{name}` twice; columns need different names"));
        }
    }
    if headers.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(
            "the first line holds only numbers; expected a header line with the names of the columns"
                .to_owned(),
        );
    }
    let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); headers.len()];
    for record in reader.records() {
        let record = record.map_err(|e| explain(&e))?;
        for (column, cell) in cells.iter_mut().zip(record.iter()) {
            column.push((!MISSING.contains(&cell)).then(|| cell.to_owned()));
        }
    }
    let rows = cells.first().map_or(0, Vec::len);
    let columns = headers.iter().zip(cells);
    let columns: Vec<Column> =
        columns.map(|(name, cells)| Column { name: name.to_owned(), values: Values::infer(cells) }).collect();
    for column in &columns {
        if let Values::Numbers(numbers) = &column.values
            && let Some(row) = numbers.iter().position(|v| v.is_some_and(|v| !v.is_finite()))
        {
            return Err(format!(
                "line {}: column `{}` is infinite; all values must be finite (empty or NA means missing)",
                row + 2,
                column.name
            ));
        }
    }
    Ok(Table { columns, rows, first_line: 2 })
}

/// The rows of a table of numbers, one by one; the header line is passed over.
pub(super) fn numbers(path: PathBuf, mut input: Box<dyn Read>) -> Result<RowStream, Error> {
    // The delimiter is found in the first line, which is then read again.
    let mut head = Vec::new();
    let mut byte = [0];
    while input.read(&mut byte).map_err(|e| Error::file(&path, "read", e))? > 0 {
        head.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).to_vec();
    if head.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::content(&path, "is empty; expected a header line and rows of values"));
    }
    let delimiter = delimiter(&head);
    let reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(std::io::Cursor::new(head).chain(input));
    let mut row = 0;
    Ok(Box::new(reader.into_records().map(move |record| {
        row += 1;
        let record = record.map_err(|e| Error::content(&path, explain(&e)))?;
        record
            .iter()
            .enumerate()
            .map(|(column, cell)| cell.parse().map_err(|_| missing(&path, row, column + 1)))
            .collect()
    })))
}

/// The most frequent of `,`, `;` and tab in the first line.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |d: u8| line.iter().filter(|b| **b == d).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|&d| count(d)).unwrap_or(b',')
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} values, but the header line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(1, csv::Position::line);
            format!("line {line} is not valid UTF-8; save the file as UTF-8")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(message("").contains("is empty"));
        assert!(message("a,b\n1,2\n3\n").contains("line 3 has 1 values, but the header line has 2"));
        assert!(message("a,a\n1,2\n").contains("names `a` twice"));
        assert!(message("a,\n1,2\n").contains("column 2 has no name"));
        assert!(message("1,2\n3,4\n").contains("only numbers"));
        assert!(message("a,b\n1,inf\n").contains("line 2: column `b` is infinite"));
        assert!(parse(b"a,b\n1,\xff\n").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn forms_that_are_right() {
        for text in ["\u{feff}a;b\n1;x\n;y\n", "a\tb\r\n1\tx\r\nNA\ty\r\n", "a,b\n 1 , \"x\"\n?,\"y\"\n"] {
            let table = parse(text.as_bytes()).unwrap();
            assert_eq!(table.rows, 2);
            let Values::Numbers(a) = &table.column("a").unwrap().values else { panic!("numbers") };
            assert_eq!(a, &[Some(1.0), None]);
            let Values::Words(b) = &table.column("b").unwrap().values else { panic!("words") };
            assert_eq!(b[1].as_deref(), Some("y"));
        }
    }

    proptest! {
        /// Whatever the bytes, the reader answers; and what it accepts has columns of equal length.
        #[test]
        fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(table) = parse(&bytes) {
                for column in &table.columns {
                    let len = match &column.values { Values::Numbers(v) => v.len(), Values::Words(v) => v.len() };
                    prop_assert_eq!(len, table.rows);
                }
            }
        }

        /// The same with text that looks like a table.
        #[test]
        fn hostile_tables(text in "([a-c]|[0-9.eE+-]{1,8}|,|;|\"|\t|\r?\n|NaN|inf| ){0,80}") {
            if let Err(message) = parse(text.as_bytes()) {
                prop_assert!(!message.is_empty());
            }
        }

        /// A table that is written is read back.
        #[test]
        fn round_trip(values in prop::collection::vec((any::<i32>(), -1e300_f64..1e300), 1..20)) {
            let lines: String = values.iter().map(|(a, b)| format!("{a},{b}\n")).collect();
            let table = parse(format!("a,b\n{lines}").as_bytes()).unwrap();
            let Values::Numbers(b) = &table.column("b").unwrap().values else { panic!("numbers") };
            for (got, (_, expected)) in b.iter().zip(&values) {
                prop_assert_eq!(got.map(f64::to_bits), Some(expected.to_bits()));
            }
        }
    }
}
