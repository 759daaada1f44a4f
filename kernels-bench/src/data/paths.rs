//! Paths, images and strings from files.

use std::{fs, path::Path};

use clap::ValueEnum;
use kernels_core::{Paths, Points, Real, Rows, Strings};
use kernels_ntk::Images;

use super::{npy, read_rows};
use crate::error::Error;

/// What the points in a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Rows of a matrix (n, d).
    Rows,
    /// Paths: an array (n, length, d), or all knots (total, d) with a list of lengths.
    Paths,
    /// Images: an array (n, height, width, channels).
    Images,
    /// Strings, one a line.
    Strings,
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// What a file holds, by its name and shape; with lengths it holds paths.
pub(crate) fn kind_of(path: &Path, lengths: bool) -> Result<Kind, Error> {
    let name = name(path);
    if lengths {
        return Ok(Kind::Paths);
    }
    if name.ends_with(".npy") {
        return Ok(match npy::read_shape(path)?.len() {
            3 => Kind::Paths,
            4 => Kind::Images,
            _ => Kind::Rows,
        });
    }
    Ok(if name.ends_with(".txt") { Kind::Strings } else { Kind::Rows })
}

/// Reads paths: an NPY array (n, length, d), or knots (total, d) to be cut by `lengths`, an NPY or a table of one column.
pub(crate) fn read_paths<T: Real>(path: &Path, lengths: Option<&Path>) -> Result<Paths<T>, Error> {
    let paths = match lengths {
        Some(file) => {
            let lengths = read_rows::<f64>(file)?;
            let whole = |&v: &f64| {
                if v >= 1.0 && v.fract() <= 0.0 && v < 1e15 {
                    Ok(v as usize)
                } else {
                    Err(Error::content(
                        file,
                        format!("holds the length {v}; lengths are whole numbers from 1"),
                    ))
                }
            };
            let lengths: Vec<usize> = lengths.as_slice().iter().map(whole).collect::<Result<_, _>>()?;
            Paths::new(read_rows(path)?, &lengths).map_err(|e| Error::content(path, e.to_string()))?
        }
        None if !name(path).ends_with(".npy") => {
            let message =
                "holds no paths: give an NPY array (n, length, d), or knots (total, d) and their --lengths";
            return Err(Error::content(path, message));
        }
        None => {
            let (values, shape) = npy::read_array(path)?;
            let [n, length, dim] = *shape else {
                let message = format!(
                    "holds an array of shape {shape:?}; paths are (n, length, d), or (total, d) with --lengths"
                );
                return Err(Error::content(path, message));
            };
            let knots = Rows::from_row_major(values.into_iter().map(T::of).collect(), n * length, dim);
            let paths = knots.and_then(|knots| Paths::new(knots, &vec![length; n]));
            paths.map_err(|e| Error::content(path, e.to_string()))?
        }
    };
    paths.check_finite().map_err(|e| Error::content(path, e.to_string()))?;
    Ok(paths)
}

/// Reads images: an NPY array (n, height, width, channels), or (n, height, width) of one channel.
pub(crate) fn read_images<T: Real>(path: &Path) -> Result<Images<T>, Error> {
    if !name(path).ends_with(".npy") {
        return Err(Error::content(path, "holds no images: give an NPY array (n, height, width, channels)"));
    }
    let (values, shape) = npy::read_array(path)?;
    let (n, height, width, channels) = match *shape {
        [n, height, width, channels] => (n, height, width, channels),
        [n, height, width] => (n, height, width, 1),
        _ => {
            let message =
                format!("holds an array of shape {shape:?}; images are (n, height, width, channels)");
            return Err(Error::content(path, message));
        }
    };
    let images = Images::new(values.into_iter().map(T::of).collect(), n, height, width, channels)?;
    images.check_finite().map_err(|e| Error::content(path, e.to_string()))?;
    Ok(images)
}

/// Reads strings, one a line; the last line may end without a break.
pub(crate) fn read_strings(path: &Path) -> Result<Strings, Error> {
    let text = fs::read_to_string(path).map_err(|e| Error::file(path, "read", e))?;
    Ok(Strings::new(text.lines()))
}
