//! States of long fits in files: written so that a crash leaves the old file or the new one, never half of one.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use nalgebra::DMatrix;

use crate::Error;

const MAGIC: &[u8; 8] = b"kernels1";

/// Where a long fit keeps its state. When the file exists and belongs to the same problem, the fit goes on from it, to
/// the same bits as a fit that was never interrupted; a file of another problem is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    every: usize,
}

/// Numbers and matrices, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) numbers: Vec<u64>,
    pub(crate) matrices: Vec<DMatrix<f64>>,
}

impl Checkpoint {
    pub(crate) fn new(path: &Path, every: usize) -> Self {
        Self { path: path.to_owned(), every: every.max(1) }
    }

    pub(crate) fn is_due(&self, iteration: usize) -> bool {
        iteration.is_multiple_of(self.every)
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::Checkpoint { path: self.path.display().to_string(), message: message.to_string() }
    }

    /// Writes beside the file, then renames over it.
    pub(crate) fn save(&self, problem: u64, state: &State) -> Result<(), Error> {
        let mut bytes = MAGIC.to_vec();
        let mut put = |v: u64| bytes.extend(v.to_le_bytes());
        put(problem);
        put(state.numbers.len() as u64);
        put(state.matrices.len() as u64);
        state.numbers.iter().for_each(|v| put(*v));
        for m in &state.matrices {
            put(m.nrows() as u64);
            put(m.ncols() as u64);
            m.as_slice().iter().for_each(|v| put(v.to_bits()));
        }
        bytes.extend(fold(FIRST, &bytes).to_le_bytes());
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().map_err(|e| self.error(e))
    }

    /// The stored state, or none when there is no file yet.
    pub(crate) fn load(&self, problem: u64) -> Result<Option<State>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.error(e)),
        };
        let damaged = || self.error("not a checkpoint, or damaged: delete it to start again");
        let body = bytes.len().checked_sub(8).ok_or_else(damaged)?;
        let mut words = bytes[..body].get(8..).ok_or_else(damaged)?.chunks_exact(8).map(word);
        if !bytes.starts_with(MAGIC) || word(&bytes[body..]) != fold(FIRST, &bytes[..body]) {
            return Err(damaged());
        }
        let mut next = || words.next().ok_or_else(damaged);
        if next()? != problem {
            return Err(self.error(
                "belongs to another fit (other data, kernel, parameters or seed): delete it to start again",
            ));
        }
        let (numbers, matrices) = (next()?, next()?);
        let mut state = State::default();
        for _ in 0..numbers {
            state.numbers.push(next()?);
        }
        for _ in 0..matrices {
            let (rows, cols) = (next()? as usize, next()? as usize);
            let len = rows.checked_mul(cols).filter(|len| *len <= body).ok_or_else(damaged)?;
            let values: Result<Vec<f64>, Error> = (0..len).map(|_| Ok(f64::from_bits(next()?))).collect();
            state.matrices.push(DMatrix::from_vec(rows, cols, values?));
        }
        Ok(Some(state))
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
}

/// Start of [`fold`].
pub(crate) const FIRST: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over bytes: tells problems and damaged files apart, no protection against intent.
pub(crate) fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Adds numbers to a fingerprint.
pub(crate) fn fold_values<'a>(hash: u64, values: impl IntoIterator<Item = &'a f64>) -> u64 {
    values.into_iter().fold(hash, |h, v| fold(h, &v.to_bits().to_le_bytes()))
}
