//! Training data in NPY files.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    marker::PhantomData,
    ops::Range,
    path::{Path, PathBuf},
};

use kernels_core::{Real, Rows};
use nalgebra::DMatrix;

use super::BlockSource;
use crate::{Error, data::expect};

/// Points and targets in NumPy's NPY files, read block by block at every pass: of the data only one block is in memory, and
/// what the operating system keeps of the files without being asked.
///
/// Matrices (n, d) or vectors (n,) of f4, f8, i4, i8 or u1 in C order; points are read as `T`.
///
/// ```
/// use kernels_core::{Points, Rbf, Rows};
/// use kernels_solvers::{BlockSource, Falkon, NpyFiles};
/// # fn npy(path: &std::path::Path, shape: &str, values: &[f64]) -> std::io::Result<()> {
/// #     let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
/// #     header += &" ".repeat((10 + header.len() + 1).next_multiple_of(64) - 11 - header.len());
/// #     header.push('\n');
/// #     let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
/// #     bytes.extend((header.len() as u16).to_le_bytes());
/// #     bytes.extend(header.as_bytes());
/// #     values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
/// #     std::fs::write(path, bytes)
/// # }
/// # let folder = std::env::temp_dir().join(format!("kernels-npy-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let (points, targets) = (folder.join("x.npy"), folder.join("y.npy"));
/// # let x: Vec<f64> = (0..400).map(|i| f64::from(i) / 100.0).collect();
/// # npy(&points, "(400, 1)", &x).unwrap();
/// # npy(&targets, "(400,)", &x.iter().map(|x| x.sin()).collect::<Vec<_>>()).unwrap();
/// let mut source = NpyFiles::<f64>::open(&points, &targets)?.block(64);
/// assert_eq!((source.len(), source.outputs()), (400, 1));
/// let (model, _) = Falkon::new(Rbf::new(0.7)?, 30).lambda(1e-8).fit_source(&mut source, &mut ())?;
/// let at = source.select(&[150])?;
/// assert!((model.predict(&at)?[0] - 1.5_f64.sin()).abs() < 1e-3);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Debug)]
pub struct NpyFiles<T> {
    points: Matrix,
    targets: Matrix,
    block: usize,
    scalar: PhantomData<T>,
}

impl<T: Real> NpyFiles<T> {
    /// Opens both files; blocks have about 16 MiB.
    ///
    /// # Errors
    /// [`Error::Source`] for files that cannot be read, are damaged or hold something else; different numbers of rows.
    pub fn open(points: impl AsRef<Path>, targets: impl AsRef<Path>) -> Result<Self, Error> {
        let (points, targets) = (Matrix::open(points.as_ref())?, Matrix::open(targets.as_ref())?);
        expect("rows of the targets (one a sample)", points.rows, targets.rows)?;
        let block = ((16 << 20) / (8 * (points.columns + targets.columns)).max(1)).max(1);
        Ok(Self { points, targets, block, scalar: PhantomData })
    }

    /// Sets the number of rows of a block.
    pub fn block(mut self, rows: usize) -> Self {
        self.block = rows.max(1);
        self
    }
}

impl<T: Real> BlockSource for NpyFiles<T> {
    type Points = Rows<T>;

    fn len(&self) -> usize {
        self.points.rows
    }

    fn outputs(&self) -> usize {
        self.targets.columns
    }

    fn pass(
        &mut self,
        visit: &mut dyn FnMut(&Rows<T>, &DMatrix<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut start = 0;
        while start < self.points.rows {
            let end = (start + self.block).min(self.points.rows);
            let (mut x, mut y) = (Vec::new(), Vec::new());
            self.points.read(start..end, &mut x)?;
            self.targets.read(start..end, &mut y)?;
            let xs = Rows::from_row_major(x, end - start, self.points.columns)?;
            visit(&xs, &DMatrix::from_row_slice(end - start, self.targets.columns, &y))?;
            start = end;
        }
        Ok(())
    }

    fn select(&mut self, indices: &[usize]) -> Result<Rows<T>, Error> {
        let mut x = Vec::with_capacity(indices.len() * self.points.columns);
        for &i in indices {
            if i >= self.points.rows {
                let what = "index of a sample (below)";
                return Err(kernels_core::Error::Shape { what, expected: self.points.rows, given: i }.into());
            }
            self.points.read(i..i + 1, &mut x)?;
        }
        Ok(Rows::from_row_major(x, indices.len(), self.points.columns)?)
    }
}

/// A matrix in a file, whose rows are read where they stand.
#[derive(Debug)]
struct Matrix {
    file: File,
    path: PathBuf,
    start: u64,
    rows: usize,
    columns: usize,
    /// Bytes of a value, and what they are.
    width: usize,
    decode: fn(&[u8]) -> f64,
}

impl Matrix {
    fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |message: &str| Error::Source(format!("{} {message}", path.display()));
        let failed = |e: std::io::Error| wrong(&format!("cannot be read: {e}"));
        let mut file = File::open(path).map_err(failed)?;
        let held = file.metadata().map_err(failed)?.len();
        let mut head = [0; 12];
        file.read_exact(&mut head[..10]).map_err(failed)?;
        if !head.starts_with(b"\x93NUMPY") {
            return Err(wrong("is no NPY file"));
        }
        let (length, start) = if head[6] == 1 {
            (u64::from(u16::from_le_bytes([head[8], head[9]])), 10)
        } else {
            file.read_exact(&mut head[10..]).map_err(failed)?;
            (u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]])), 12)
        };
        // A damaged length must not be allocated.
        let mut header = String::new();
        (&mut file).take(length.min(1 << 16)).read_to_string(&mut header).map_err(failed)?;
        let entry = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
        let kind = entry("'descr'").and_then(|rest| rest.split('\'').nth(1)).unwrap_or_default();
        let Some((width, decode)) = decoder(kind) else {
            return Err(wrong(&format!(
                "holds values of type `{kind}`; f4, f8, i4, i8 and u1 in little-endian order can be read"
            )));
        };
        let shape: Option<Vec<usize>> = entry("'shape'")
            .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
            .and_then(|(sizes, _)| {
                let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                sizes.map(|size| size.parse().ok()).collect()
            });
        let (rows, columns) = match shape.as_deref() {
            Some([rows]) => (*rows, 1),
            Some([rows, columns]) => (*rows, *columns),
            _ => return Err(wrong("holds no matrix (n, d) and no vector (n,)")),
        };
        if entry("'fortran_order'").is_none_or(|rest| rest.starts_with("True")) && columns > 1 && rows > 1 {
            return Err(wrong("is in Fortran order, column after column: store it in C order"));
        }
        let start = start + length;
        let bytes = rows.checked_mul(columns).and_then(|count| count.checked_mul(width));
        if bytes.is_none_or(|bytes| start.saturating_add(bytes as u64) > held) {
            return Err(wrong(&format!("ends before the {rows} x {columns} values that it promises")));
        }
        Ok(Self { file, path: path.to_owned(), start, rows, columns, width, decode })
    }

    /// Adds the values of rows that stand together, row by row.
    fn read<T: Real>(&mut self, rows: Range<usize>, to: &mut Vec<T>) -> Result<(), Error> {
        let width = self.columns * self.width;
        let mut bytes = vec![0; rows.len() * width];
        let at = SeekFrom::Start(self.start + (rows.start * width) as u64);
        self.file
            .seek(at)
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| Error::Source(format!("{} cannot be read: {e}", self.path.display())))?;
        to.extend(bytes.chunks_exact(self.width).map(|b| T::of((self.decode)(b))));
        Ok(())
    }
}

/// Bytes of a value of this type, and how they are read.
fn decoder(kind: &str) -> Option<(usize, fn(&[u8]) -> f64)> {
    macro_rules! number {
        ($t:ty, $to:expr) => {
            Some((size_of::<$t>(), |b| $to(<$t>::from_le_bytes(b.try_into().unwrap_or_default()))))
        };
    }
    match kind {
        "<f8" => number!(f64, |v: f64| v),
        "<f4" => number!(f32, f64::from),
        "<i8" => number!(i64, |v: i64| v as f64),
        "<i4" => number!(i32, f64::from),
        "|u1" => number!(u8, f64::from),
        _ => None,
    }
}
