//! `kernels gram`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{
    Block, DynKernel, Kernel, Paths, Points, Readable, Real, Rows, Strings, Vocabulary, Workspace,
};
use kernels_ntk::Images;
use nalgebra::DMatrixViewMut;
use rayon::prelude::*;
use serde_json::json;

use super::{Run, human};
use crate::{
    data::{Kind, NpyWriter, kind_of, read_images, read_paths, read_rows, read_strings, write_matrix},
    error::Error,
    vocabulary,
};

/// Scalars of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 4 bytes, computed in single precision.
    F32,
    /// 8 bytes.
    #[default]
    F64,
}

/// Options of `gram`.
#[derive(Debug, Args)]
pub(crate) struct Gram {
    /// Kernel expression.
    #[arg(long)]
    kernel: String,
    /// Points: NPY (n, d), or a table of numbers; paths as NPY (n, length, d); images as NPY (n, height, width, channels);
    /// strings as lines of a .txt file.
    #[arg(long)]
    x: PathBuf,
    /// Lengths of the paths whose knots x holds one after the other, (total, d): NPY or a table of one column.
    #[arg(long)]
    lengths: Option<PathBuf>,
    /// The same for y.
    #[arg(long, requires = "y")]
    y_lengths: Option<PathBuf>,
    /// What x holds [default: by its name, shape and lengths].
    #[arg(long, value_enum)]
    points: Option<Kind>,
    /// Other points, for the matrix between the two [default: the matrix of x with itself].
    #[arg(long)]
    y: Option<PathBuf>,
    /// NPY file to write, (n, n) or (n, m) in C order; with --diag (n).
    #[arg(long)]
    out: PathBuf,
    /// Scalars of the output.
    #[arg(long, value_enum, default_value_t)]
    dtype: Dtype,
    /// Only the diagonal k(xᵢ, xᵢ).
    #[arg(long, conflicts_with = "y")]
    diag: bool,
}

impl Gram {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        match self.dtype {
            Dtype::F32 => self.run_in::<f32>(run),
            Dtype::F64 => self.run_in::<f64>(run),
        }
    }

    fn run_in<T: Real>(&self, run: &Run) -> Result<(), Error>
    where
        Rows<T>: Readable,
        Paths<T>: Readable,
    {
        let y = self.y.as_deref();
        let kind = match self.points {
            Some(kind) => kind,
            None => kind_of(&self.x, self.lengths.is_some())?,
        };
        match kind {
            Kind::Rows => {
                let ys = y.map(read_rows::<T>).transpose()?;
                self.write(run, &vocabulary::rows::<T>(), "", &read_rows::<T>(&self.x)?, ys.as_ref())
            }
            Kind::Paths => {
                let ys = y.map(|y| read_paths::<T>(y, self.y_lengths.as_deref())).transpose()?;
                let xs = read_paths::<T>(&self.x, self.lengths.as_deref())?;
                let hint =
                    "\n  the points are paths; a kernel on rows becomes one on paths by signature(static=…)";
                self.write(run, &Paths::<T>::vocabulary(), hint, &xs, ys.as_ref())
            }
            Kind::Images => {
                let ys = y.map(read_images::<T>).transpose()?;
                let hint = "\n  the points are images: ntk(net=…) and nngp(net=…) take them";
                self.write(run, &Images::<T>::vocabulary(), hint, &read_images::<T>(&self.x)?, ys.as_ref())
            }
            Kind::Strings if self.dtype == Dtype::F64 => {
                let ys = y.map(read_strings).transpose()?;
                self.write(
                    run,
                    &Strings::vocabulary(),
                    "\n  the points are strings",
                    &read_strings(&self.x)?,
                    ys.as_ref(),
                )
            }
            Kind::Strings => {
                Err(Error::Choice("kernels of strings are written as f64: leave --dtype out".into()))
            }
        }
    }

    fn write<P: Points + 'static>(
        &self,
        run: &Run,
        vocabulary: &Vocabulary<P>,
        hint: &str,
        xs: &P,
        ys: Option<&P>,
    ) -> Result<(), Error> {
        let kernel = super::read_kernel(vocabulary, &self.kernel).map_err(|error| match error {
            Error::Choice(message) => Error::Choice(message + hint),
            other => other,
        })?;
        let shape = if self.diag {
            let diagonal = kernels_core::diagonal(&kernel, xs)?;
            write_matrix(&self.out, &[xs.len()], &diagonal)?;
            vec![xs.len()]
        } else {
            let columns = ys.unwrap_or(xs);
            columns.check_compatible(xs)?;
            kernel.check(xs)?;
            kernel.check(columns)?;
            self.stream(run, &kernel, xs, ys)?;
            vec![xs.len(), columns.len()]
        };
        let object = json!({"command": "gram", "kernel": kernel.to_string(), "shape": shape,
            "out": self.out.display().to_string()});
        run.report(&format!("{} of shape {shape:?} written to {}", kernel, self.out.display()), object);
        Ok(())
    }

    /// Rows of the matrix are computed and written in panels within the memory budget.
    fn stream<P: Points>(
        &self,
        run: &Run,
        kernel: &DynKernel<P>,
        xs: &P,
        ys: Option<&P>,
    ) -> Result<(), Error> {
        let (n, m) = (xs.len(), ys.map_or(xs.len(), Points::len));
        let row = m.max(1) * size_of::<P::Scalar>();
        let panel = run.shared.memory / 2 / row;
        if panel == 0 {
            let (row, memory) = (human(2 * row), human(run.shared.memory));
            return Err(Error::Choice(format!(
                "one row of the matrix needs {row}, but --memory is {memory}; raise it"
            )));
        }
        let panel = panel.min(n.max(1)).min(4096);
        let mut writer = NpyWriter::create::<P::Scalar>(&self.out, &[n, m])?;
        let mut bar = run.progress("rows");
        let mut buffer = vec![P::Scalar::default(); panel * m];
        for start in (0..n).step_by(panel) {
            bar.show(start, n)?;
            let rows = start..(start + panel).min(n);
            let values = &mut buffer[..rows.len() * m];
            // A row of the matrix is contiguous in the file: it is a column of the transposed block.
            const PIECE: usize = 64;
            let pieces = values.par_chunks_mut(PIECE * m.max(1)).enumerate();
            pieces.try_for_each_init(Workspace::new, |ws, (piece, values)| {
                let first = rows.start + piece * PIECE;
                let cols = first..first + values.len() / m.max(1);
                let block = match ys {
                    None => Block::within(xs, 0..m, cols),
                    Some(ys) => Block::between(ys, 0..m, xs, cols),
                }?;
                let (down, across) = block.shape();
                kernel.block(&block, DMatrixViewMut::from_slice(values, down, across), ws);
                Ok::<(), Error>(())
            })?;
            writer.write(values)?;
        }
        writer.finish()
    }
}
