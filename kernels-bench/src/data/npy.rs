//! NumPy's NPY files: f32, f64 and integers, in C or Fortran order.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use kernels_core::Real;
use npyz::{DType, Endianness, NpyFile, NpyHeader, Order, TypeChar};

use super::{Column, Output, Table, Values, stream::RowStream};
use crate::error::Error;

/// An array of any shape, in C order.
pub(crate) fn read_array(path: &Path) -> Result<(Vec<f64>, Vec<usize>), Error> {
    let mut file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    require_countable(&mut file).map_err(|message| Error::content(path, message))?;
    let npy = NpyFile::new(BufReader::new(file))
        .map_err(|e| Error::content(path, format!("is not a readable NPY file: {e}")))?;
    let shape: Vec<usize> = npy.shape().iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
    let order = npy.order();
    let values = values(npy).map_err(|message| Error::content(path, message))?;
    if shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n)) != Some(values.len()) {
        return Err(Error::content(path, format!("promises {shape:?} values but holds {}", values.len())));
    }
    let values = match order {
        Order::C => values,
        Order::Fortran => (0..values.len())
            .map(|k| {
                // The place in Fortran order of the k-th value in C order: the last index runs fastest in k.
                let (mut rest, mut place, mut stride) = (k, 0, values.len());
                for &n in shape.iter().rev() {
                    stride /= n;
                    place += rest % n * stride;
                    rest /= n;
                }
                values[place]
            })
            .collect(),
    };
    Ok((values, shape))
}

/// The shape of an array, from the head of its file.
pub(super) fn read_shape(path: &Path) -> Result<Vec<usize>, Error> {
    let mut file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    require_countable(&mut file).map_err(|message| Error::content(path, message))?;
    let header = NpyHeader::from_reader(BufReader::new(file))
        .map_err(|e| Error::content(path, format!("is not a readable NPY file: {e}")))?;
    Ok(header.shape().iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect())
}

/// A matrix whose rows are read where they stand in the file.
pub(super) struct Blocks {
    file: File,
    path: PathBuf,
    start: u64,
    pub(super) rows: usize,
    pub(super) dim: usize,
    size: usize,
    decode: fn(&[u8]) -> f64,
}

impl Blocks {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |e: std::io::Error| Error::content(path, format!("is not a readable NPY file: {e}"));
        let mut file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
        require_countable(&mut file).map_err(|message| Error::content(path, message))?;
        let header = NpyHeader::from_reader(&mut file).map_err(wrong)?;
        let start = file.stream_position().map_err(wrong)?;
        let (rows, dim) = match *header.shape() {
            [n] => (n, 1),
            [n, d] => (n, d),
            [n, height, width, channels] => (n, height * width * channels),
            ref shape => {
                let message = format!("holds an array of shape {shape:?}; a matrix (n, d) is expected");
                return Err(Error::content(path, message));
            }
        };
        if header.order() == Order::Fortran && dim > 1 && rows > 1 {
            let message = "is in Fortran order, column after column; only rows that stand together (C order) can be read block by block";
            return Err(Error::content(path, message));
        }
        let dtype = header.dtype();
        let DType::Plain(kind) = &dtype else {
            let message = format!("holds records {}; plain numbers are expected", dtype.descr());
            return Err(Error::content(path, message));
        };
        macro_rules! as_number {
            ($t:ty, $to:expr) => {
                if kind.endianness() == Endianness::Big {
                    |b: &[u8]| $to(<$t>::from_be_bytes(b.try_into().unwrap_or_default()))
                } else {
                    |b: &[u8]| $to(<$t>::from_le_bytes(b.try_into().unwrap_or_default()))
                }
            };
        }
        let size = usize::try_from(kind.size_field()).unwrap_or(0);
        let decode: fn(&[u8]) -> f64 = match (kind.type_char(), size) {
            (TypeChar::Float, 8) => as_number!(f64, |v| v),
            (TypeChar::Float, 4) => as_number!(f32, f64::from),
            (TypeChar::Int, 8) => as_number!(i64, |v| v as f64),
            (TypeChar::Int, 4) => as_number!(i32, f64::from),
            (TypeChar::Int, 2) => as_number!(i16, f64::from),
            (TypeChar::Int, 1) => as_number!(i8, f64::from),
            (TypeChar::Uint, 8) => as_number!(u64, |v| v as f64),
            (TypeChar::Uint, 4) => as_number!(u32, f64::from),
            (TypeChar::Uint, 2) => as_number!(u16, f64::from),
            (TypeChar::Uint | TypeChar::Bool, 1) => as_number!(u8, f64::from),
            _ => {
                let message = format!(
                    "holds values of type {}; f4, f8, integers and booleans can be read",
                    dtype.descr()
                );
                return Err(Error::content(path, message));
            }
        };
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let blocks =
            Self { file, path: path.to_owned(), start, rows: count(rows), dim: count(dim), size, decode };
        let promised = start + rows * dim * size as u64;
        let held = blocks.file.metadata().map_err(wrong)?.len();
        if held < promised {
            let message = format!("ends too early: {held} bytes of {promised}");
            return Err(Error::content(path, message));
        }
        Ok(blocks)
    }

    /// The values of rows that stand together, row by row.
    pub(super) fn read(&mut self, rows: std::ops::Range<usize>) -> Result<Vec<f64>, Error> {
        let width = self.dim * self.size;
        let mut bytes = vec![0; rows.len() * width];
        let at = SeekFrom::Start(self.start + rows.start as u64 * width as u64);
        self.file
            .seek(at)
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| Error::file(&self.path, "read", e))?;
        Ok(bytes.chunks_exact(self.size).map(self.decode).collect())
    }
}

/// A matrix (a vector is one column), row by row, with its numbers of rows and columns.
pub(super) fn read_matrix(path: &Path) -> Result<(Vec<f64>, usize, usize), Error> {
    let (values, shape) = read_array(path)?;
    match *shape {
        [n] => Ok((values, n, 1)),
        [n, dim] => Ok((values, n, dim)),
        _ => Err(Error::content(
            path,
            format!("holds an array of shape {shape:?}; a matrix (n, d) is expected"),
        )),
    }
}

/// A header may promise any shape, and the reader multiplies it out unchecked: refuse what cannot be counted first.
fn require_countable(file: &mut File) -> Result<(), String> {
    let mut head = Vec::new();
    let wrong = |e: std::io::Error| format!("is not a readable NPY file: {e}");
    // The longest header of a matrix that numpy writes has 128 bytes.
    Read::take(&mut *file, 1024).read_to_end(&mut head).map_err(wrong)?;
    file.rewind().map_err(wrong)?;
    let text = String::from_utf8_lossy(&head);
    let shape = text.split_once("'shape':").and_then(|(_, rest)| rest.split_once('(')?.1.split_once(')'));
    let Some((shape, _)) = shape else { return Ok(()) };
    let mut sizes = shape.split(',').filter_map(|size| size.trim().parse::<usize>().ok());
    // 16 bytes are the largest number that NPY knows.
    match sizes.try_fold(16_usize, usize::checked_mul) {
        Some(_) => Ok(()),
        None => Err(format!("promises ({shape}) values, more than can be counted; the file is damaged")),
    }
}

/// The values of any real type, as they stand in the file.
fn values<R: std::io::Read>(npy: NpyFile<R>) -> Result<Vec<f64>, String> {
    fn cast<T: npyz::Deserialize, R: std::io::Read>(
        npy: NpyFile<R>,
        to: fn(T) -> f64,
    ) -> Result<Vec<f64>, String> {
        let data = npy.data::<T>().map_err(|e| e.to_string())?;
        data.map(|v| v.map(to).map_err(|e| format!("ends too early or cannot be read: {e}"))).collect()
    }
    let dtype = npy.dtype();
    let DType::Plain(kind) = &dtype else {
        return Err(format!("holds records {}; plain numbers are expected", dtype.descr()));
    };
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 8) => cast::<f64, _>(npy, |v| v),
        (TypeChar::Float, 4) => cast::<f32, _>(npy, f64::from),
        (TypeChar::Int, 8) => cast::<i64, _>(npy, |v| v as f64),
        (TypeChar::Int, 4) => cast::<i32, _>(npy, f64::from),
        (TypeChar::Int, 2) => cast::<i16, _>(npy, f64::from),
        (TypeChar::Int, 1) => cast::<i8, _>(npy, f64::from),
        (TypeChar::Uint, 8) => cast::<u64, _>(npy, |v| v as f64),
        (TypeChar::Uint, 4) => cast::<u32, _>(npy, f64::from),
        (TypeChar::Uint, 2) => cast::<u16, _>(npy, f64::from),
        (TypeChar::Uint, 1) => cast::<u8, _>(npy, f64::from),
        (TypeChar::Bool, _) => cast::<bool, _>(npy, |v| f64::from(u8::from(v))),
        _ => {
            Err(format!("holds values of type {}; f4, f8, integers and booleans can be read", dtype.descr()))
        }
    }
}

/// The rows of a matrix, one by one.
pub(super) fn stream(path: &Path) -> Result<(usize, RowStream), Error> {
    fn rows<T: npyz::Deserialize + 'static>(
        npy: NpyFile<BufReader<File>>,
        path: PathBuf,
        dim: usize,
        to: fn(T) -> f64,
    ) -> Result<RowStream, Error> {
        let mut data = npy.data::<T>().map_err(|e| Error::content(&path, e.to_string()))?;
        Ok(Box::new(std::iter::from_fn(move || {
            let mut row = Vec::with_capacity(dim);
            for _ in 0..dim {
                match data.next() {
                    Some(Ok(v)) => row.push(to(v)),
                    None if row.is_empty() => return None,
                    _ => return Some(Err(Error::content(&path, "ends too early or cannot be read"))),
                }
            }
            Some(Ok(row))
        })))
    }
    let mut file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    require_countable(&mut file).map_err(|message| Error::content(path, message))?;
    let npy = NpyFile::new(BufReader::new(file))
        .map_err(|e| Error::content(path, format!("is not a readable NPY file: {e}")))?;
    let shape: Vec<usize> = npy.shape().iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
    let (n, dim) = match (shape.as_slice(), npy.order()) {
        (&[n], _) => (n, 1),
        (&[n, dim], Order::C) if dim > 0 => (n, dim),
        _ => {
            let message =
                format!("holds an array of shape {shape:?}; only a matrix (n, d) in C order can be streamed");
            return Err(Error::content(path, message));
        }
    };
    let (path, dtype) = (path.to_owned(), npy.dtype());
    let DType::Plain(kind) = &dtype else {
        return Err(Error::content(&path, "holds records; plain numbers are expected"));
    };
    let stream = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 8) => rows::<f64>(npy, path, dim, |v| v)?,
        (TypeChar::Float, 4) => rows::<f32>(npy, path, dim, f64::from)?,
        _ => {
            return Err(Error::content(
                &path,
                "holds other values than f4 and f8, which alone can be streamed",
            ));
        }
    };
    Ok((n, stream))
}

/// A matrix as a table with columns x0, x1, …; of images (n, height, width, channels) a row holds one, channels last.
pub(super) fn read_table(path: &Path) -> Result<Table, Error> {
    let (values, shape) = read_array(path)?;
    let (n, dim) = match *shape {
        [n] => (n, 1),
        [n, dim] => (n, dim),
        [n, height, width, channels] => (n, height * width * channels),
        _ => {
            let message =
                format!("holds an array of shape {shape:?}; a matrix (n, d) or images are expected");
            return Err(Error::content(path, message));
        }
    };
    Ok(table(&values, n, dim, 0))
}

/// Rows of a matrix as a table; the first is row `first` of the file.
pub(super) fn table(values: &[f64], n: usize, dim: usize, first: usize) -> Table {
    let columns = (0..dim)
        .map(|j| {
            let numbers = (0..n).map(|i| Some(values[i * dim + j]).filter(|v| !v.is_nan())).collect();
            Column { name: format!("x{j}"), values: Values::Numbers(numbers) }
        })
        .collect();
    Table { columns, rows: n, first_line: first }
}

/// Writes a matrix row by row, in pieces.
pub(crate) struct NpyWriter {
    output: Output,
}

impl NpyWriter {
    pub(crate) fn create<T: Real>(path: &Path, shape: &[usize]) -> Result<Self, Error> {
        Self::headed(path, shape, &format!("<f{}", size_of::<T>()))
    }

    /// A matrix of unsigned bytes.
    pub(crate) fn bytes(path: &Path, shape: &[usize]) -> Result<Self, Error> {
        Self::headed(path, shape, "|u1")
    }

    fn headed(path: &Path, shape: &[usize], kind: &str) -> Result<Self, Error> {
        let mut output = Output::create(path)?;
        let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
        let mut header =
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
        // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        header.push_str(&" ".repeat(length - 1 - header.len()));
        header.push('\n');
        output.write(b"\x93NUMPY\x01\x00")?;
        output.write(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes())?;
        output.write(header.as_bytes())?;
        Ok(Self { output })
    }

    /// Values of a matrix of bytes.
    pub(crate) fn write_bytes(&mut self, values: &[u8]) -> Result<(), Error> {
        self.output.write(values)
    }

    pub(crate) fn write<T: Real>(&mut self, values: &[T]) -> Result<(), Error> {
        for chunk in values.chunks(4096) {
            let bytes: Vec<u8> = if size_of::<T>() == 4 {
                chunk.iter().flat_map(|v| (v.to_f64() as f32).to_le_bytes()).collect()
            } else {
                chunk.iter().flat_map(|v| v.to_f64().to_le_bytes()).collect()
            };
            Write::write_all(&mut self.output, &bytes).map_err(|source| Error::File {
                path: "the output".into(),
                action: "write",
                source,
            })?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.output.finish()
    }
}

/// A whole matrix at once.
pub(crate) fn write_matrix<T: Real>(path: &Path, shape: &[usize], row_major: &[T]) -> Result<(), Error> {
    let mut writer = NpyWriter::create::<T>(path, shape)?;
    writer.write(row_major)?;
    writer.finish()
}
