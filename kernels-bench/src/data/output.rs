//! Files that are written whole or not at all.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::Error;

/// A file under a temporary name in the folder of its destination; [`Output::finish`] gives it its name. Dropped before that, it
/// leaves nothing behind. Made before long work, so that a folder that cannot be written to is found out first.
pub(crate) struct Output {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Output {
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Err(Error::content(path, "is a folder; --out names a file"));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(folder).map_err(|e| Error::file(path, "write", e))?;
        Ok(Self { writer: BufWriter::new(file), path: path.to_owned() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all(bytes).map_err(|e| Error::file(&self.path, "write", e))
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self { writer, path } = self;
        let failed = |e: std::io::Error| Error::file(&path, "write", e);
        let file = writer.into_inner().map_err(|e| failed(e.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        // Temporary files are private; a result is as readable as any other file.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        }
        file.persist(&path).map_err(|e| Error::file(&path, "write", e.error))?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
