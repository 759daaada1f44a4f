//! `kernels gram`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{AnyKernel, Block, Kernel, Points, Readable, Real, Rows, Workspace};
use nalgebra::DMatrixViewMut;
use rayon::prelude::*;
use serde_json::json;

use super::{Run, human};
use crate::{
    data::{NpyWriter, read_rows, write_matrix},
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
    /// Points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
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
    {
        let xs = read_rows::<T>(&self.x)?;
        let ys = self.y.as_deref().map(read_rows::<T>).transpose()?;
        // The text's own errors have the pointer; parse it for f64 first.
        super::kernel(Some(&self.kernel), &Rows::from_row_major(Vec::new(), 0, xs.dim())?)?;
        let kernel = vocabulary::rows::<T>().read(&self.kernel)?;
        let shape = if self.diag {
            let diagonal = kernels_core::diagonal(&kernel, &xs)?;
            write_matrix(&self.out, &[xs.len()], &diagonal)?;
            vec![xs.len()]
        } else {
            let columns = ys.as_ref().unwrap_or(&xs);
            columns.check_compatible(&xs)?;
            kernel.check(&xs)?;
            kernel.check(columns)?;
            self.stream(run, &kernel, &xs, ys.as_ref())?;
            vec![xs.len(), columns.len()]
        };
        let object = json!({"command": "gram", "kernel": kernel.to_string(), "shape": shape,
            "out": self.out.display().to_string()});
        run.report(&format!("{} of shape {shape:?} written to {}", kernel, self.out.display()), object);
        Ok(())
    }

    /// Rows of the matrix are computed and written in panels within the memory budget.
    fn stream<T: Real>(
        &self,
        run: &Run,
        kernel: &AnyKernel<T>,
        xs: &Rows<T>,
        ys: Option<&Rows<T>>,
    ) -> Result<(), Error> {
        let (n, m) = (xs.len(), ys.map_or(xs.len(), Points::len));
        let row = m.max(1) * size_of::<T>();
        let panel = run.shared.memory / 2 / row;
        if panel == 0 {
            let (row, memory) = (human(2 * row), human(run.shared.memory));
            return Err(Error::Choice(format!(
                "one row of the matrix needs {row}, but --memory is {memory}; raise it"
            )));
        }
        let panel = panel.min(n.max(1)).min(4096);
        let mut writer = NpyWriter::create::<T>(&self.out, &[n, m])?;
        let mut bar = run.progress("rows");
        let mut buffer = vec![T::default(); panel * m];
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
