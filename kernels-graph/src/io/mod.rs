//! Readers and writers of graphs and meshes. All stream line by line and name the line of an error.

mod edge_list;
mod graphml;
mod matrix_market;
mod mesh;
mod metis;
mod tu;

use std::io::BufRead;

pub use edge_list::{EdgeList, write_edge_list};
pub use graphml::{read_graphml, write_graphml};
pub use matrix_market::{read_matrix_market, write_matrix_market, write_sparse_matrix};
pub use mesh::Mesh;
pub use metis::{read_metis, write_metis};
pub use tu::{TuDataset, read_tu, write_tu};

use crate::Error;

/// An error of a line.
fn wrong(line: usize, message: impl Into<String>) -> Error {
    Error::Parse { line, message: message.into() }
}

/// Calls `each(number, text)` for every line, numbers from 1.
fn lines(reader: impl BufRead, mut each: impl FnMut(usize, &str) -> Result<(), Error>) -> Result<(), Error> {
    for (at, line) in reader.lines().enumerate() {
        let line = line.map_err(|error| wrong(at + 1, format!("cannot be read: {error}")))?;
        each(at + 1, line.trim_end_matches('\r'))?;
    }
    Ok(())
}

/// A number of a line.
fn parse<T: std::str::FromStr>(line: usize, what: &str, text: &str) -> Result<T, Error> {
    text.trim().parse().map_err(|_| wrong(line, format!("{what} expected, found {text:?}")))
}

/// An error of writing.
fn unwritten(error: std::io::Error) -> Error {
    Error::Io { what: "writing a graph".to_owned(), message: error.to_string() }
}
