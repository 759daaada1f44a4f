//! Whole kernel matrices in memory.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixViewMut};

use super::parallel::{Shared, for_each_task};
use crate::{Block, Error, Kernel, Points, Real, Workspace};

/// Rows and columns of a block of a large matrix: its packed rows stay in the second-level cache.
const TILE: usize = 512;

/// Rows and columns of a block of a matrix of so many: small ones are cut finer, so that all threads have work.
fn tile_of(n: usize) -> usize {
    if n <= 2 * TILE { TILE / 4 } else { TILE }
}

/// The Gram matrix K with K\[i, j\] = k(xᵢ, xⱼ), n × n, exactly symmetric.
///
/// **Errors.** What [`Kernel::check`] says of the points; [`Error::Memory`] when n² values cannot be allocated.
///
/// **Complexity.** n²/2 kernel values; only half is computed, the rest is mirrored. No memory beyond the result but
/// a few cache-sized buffers a thread. The bits do not depend on the number of threads.
///
/// ```
/// use kernels_core::{Rbf, Rows, gram};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 3.0], 3, 1)?;
/// let k = gram(&Rbf::new(1.0)?, &xs)?;
/// assert_eq!(k[(2, 2)], 1.0);
/// assert_eq!(k[(0, 2)], k[(2, 0)]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn gram<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
) -> Result<DMatrix<P::Scalar>, Error> {
    let mut out = allocate(xs.len(), xs.len())?;
    gram_into(kernel, xs, out.as_view_mut())?;
    Ok(out)
}

/// [`gram`] into memory of the caller, n × n.
///
/// # Errors
/// [`Error::Shape`] when `out` is not n × n; what [`Kernel::check`] says of the points.
pub fn gram_into<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    mut out: DMatrixViewMut<'_, P::Scalar>,
) -> Result<(), Error> {
    kernel.check(xs)?;
    let n = xs.len();
    check_shape(out.shape(), (n, n))?;
    let size = tile_of(n);
    let tiles = n.div_ceil(size);
    let stride = out.strides().1;
    let data = Shared(out.as_mut_ptr());
    for_each_task(tiles * (tiles + 1) / 2, |task, ws| {
        let (row, col) = lower_triangle(task);
        let (rows, cols) = (range(row, size, n), range(col, size, n));
        let Ok(at) = Block::within(xs, rows.clone(), cols.clone()) else { return };
        // SAFETY: the lower tile (row, col) and its mirror (col, row) belong to this task alone, tiles of different
        // tasks are disjoint, and all lie within the n × n view.
        let lower = unsafe { tile(data, stride, rows.start, cols.start, at.shape()) };
        if row == col {
            kernel.block(&at, lower, ws);
        } else {
            // SAFETY: as above.
            let upper = unsafe { tile(data, stride, cols.start, rows.start, (cols.len(), rows.len())) };
            let mut lower = lower;
            kernel.block(&at, lower.as_view_mut(), ws);
            mirror(&lower, upper);
        }
    });
    Ok(())
}

/// The matrix K with K\[i, j\] = k(xᵢ, yⱼ) between two data sets, n × m.
///
/// Points of two data sets never are the same occurrence: noise ([`White`](crate::White)) is 0 here.
///
/// **Errors.** [`Error::Shape`] when the points cannot be compared; what [`Kernel::check`] says of them;
/// [`Error::Memory`]. **Complexity.** nm kernel values.
///
/// ```
/// use kernels_core::{Linear, Rows, cross_gram};
/// let xs = Rows::from_row_major(vec![1.0, 2.0], 2, 1)?;
/// let ys = Rows::from_row_major(vec![10.0], 1, 1)?;
/// assert_eq!(cross_gram(&Linear::new(0.0)?, &xs, &ys)?.as_slice(), &[10.0, 20.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn cross_gram<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
) -> Result<DMatrix<P::Scalar>, Error> {
    let mut out = allocate(xs.len(), ys.len())?;
    cross_gram_into(kernel, xs, ys, out.as_view_mut())?;
    Ok(out)
}

/// [`cross_gram`] into memory of the caller, n × m.
///
/// # Errors
/// [`Error::Shape`] when `out` is not n × m or the points cannot be compared; what [`Kernel::check`] says of them.
pub fn cross_gram_into<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    mut out: DMatrixViewMut<'_, P::Scalar>,
) -> Result<(), Error> {
    xs.check_compatible(ys)?;
    kernel.check(xs)?;
    kernel.check(ys)?;
    let (n, m) = (xs.len(), ys.len());
    check_shape(out.shape(), (n, m))?;
    let stride = out.strides().1;
    let data = Shared(out.as_mut_ptr());
    let size = tile_of(n.max(m));
    let down = n.div_ceil(size);
    for_each_task(down * m.div_ceil(size), |task, ws| {
        let (rows, cols) = (range(task % down, size, n), range(task / down, size, m));
        let Ok(at) = Block::between(xs, rows.clone(), ys, cols.clone()) else { return };
        // SAFETY: tiles of different tasks are disjoint and lie within the n × m view.
        let out = unsafe { tile(data, stride, rows.start, cols.start, at.shape()) };
        kernel.block(&at, out, ws);
    });
    Ok(())
}

/// Cuts a matrix into bands of rows, each a task that fills its own.
pub(crate) fn for_each_rows<T: Real>(
    mut out: DMatrixViewMut<'_, T>,
    work: impl Fn(Range<usize>, DMatrixViewMut<'_, T>, &mut Workspace<T>) + Send + Sync,
) {
    let (n, m) = out.shape();
    let stride = out.strides().1;
    let data = Shared(out.as_mut_ptr());
    for_each_task(n.div_ceil(TILE), |task, ws| {
        let rows = range(task, TILE, n);
        // SAFETY: these rows belong to this task alone.
        let part = unsafe { tile(data, stride, rows.start, 0, (rows.len(), m)) };
        work(rows, part, ws);
    });
}

/// A zeroed matrix, or an error instead of the end of the program when there is no room for it.
pub(crate) fn allocate<T: Real>(rows: usize, cols: usize) -> Result<DMatrix<T>, Error> {
    let needed = rows.saturating_mul(cols).saturating_mul(size_of::<T>());
    let refused = Error::Memory { what: "a kernel matrix", needed, available: 0 };
    let len = rows.checked_mul(cols).ok_or_else(|| refused.clone())?;
    // Ask first: `vec![0; len]` would abort. Its pages come zeroed from the system, untouched until written.
    Vec::<T>::new().try_reserve_exact(len).map_err(|_| refused)?;
    let mut values = vec![T::default(); len];
    prefer_huge_pages(&mut values);
    Ok(DMatrix::from_vec(rows, cols, values))
}

/// Asks for 2 MiB pages: with the usual 4 KiB a large matrix spends more time on page faults than on arithmetic.
fn prefer_huge_pages<T>(values: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let start = values.as_mut_ptr().cast::<u8>();
        let skip = start.align_offset(PAGE);
        let bytes = size_of_val(values);
        if bytes >= 1024 * PAGE {
            // SAFETY: the range lies within memory this slice owns, and this advice changes no contents. Refusal is
            // harmless, so the result does not matter.
            unsafe { libc::madvise(start.add(skip).cast(), bytes - skip, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}

pub(crate) fn check_shape(given: (usize, usize), expected: (usize, usize)) -> Result<(), Error> {
    if given.0 != expected.0 {
        return Err(Error::Shape { what: "rows of the output matrix", expected: expected.0, given: given.0 });
    }
    if given.1 != expected.1 {
        return Err(Error::Shape {
            what: "columns of the output matrix",
            expected: expected.1,
            given: given.1,
        });
    }
    Ok(())
}

fn range(tile: usize, size: usize, n: usize) -> Range<usize> {
    tile * size..((tile + 1) * size).min(n)
}

/// The pair (row, column), row ≥ column, with this number: (0,0), (1,0), (1,1), (2,0), …
pub(super) fn lower_triangle(task: usize) -> (usize, usize) {
    let mut row = (((8.0 * task as f64 + 1.0).sqrt() - 1.0) / 2.0) as usize;
    // The root may be off by one in floating point.
    while row * (row + 1) / 2 > task {
        row -= 1;
    }
    while (row + 1) * (row + 2) / 2 <= task {
        row += 1;
    }
    (row, task - row * (row + 1) / 2)
}

/// The part of a column-major matrix that begins at (row, col).
///
/// # Safety
/// It must lie within the matrix, and nothing else may touch it while the view lives.
pub(super) unsafe fn tile<'a, T: Real>(
    data: Shared<T>,
    stride: usize,
    row: usize,
    col: usize,
    shape: (usize, usize),
) -> DMatrixViewMut<'a, T> {
    use nalgebra::{Dyn, U1, ViewStorageMut};
    // SAFETY: by this function's own contract.
    unsafe {
        let start = data.pointer().add(col * stride + row);
        let shape = (Dyn(shape.0), Dyn(shape.1));
        DMatrixViewMut::from_data(ViewStorageMut::from_raw_parts(start, shape, (U1, Dyn(stride))))
    }
}

/// `to` = `from` transposed, in squares that fit the first-level cache.
fn mirror<T: Real>(from: &DMatrixViewMut<'_, T>, mut to: DMatrixViewMut<'_, T>) {
    const SQUARE: usize = 16;
    let (rows, cols) = from.shape();
    let whole = (rows / SQUARE * SQUARE, cols / SQUARE * SQUARE);
    for c in (0..whole.1).step_by(SQUARE) {
        let columns: [&[T]; SQUARE] = std::array::from_fn(|j| column(from, c + j));
        for r in (0..whole.0).step_by(SQUARE) {
            for i in r..r + SQUARE {
                let square: [T; SQUARE] = std::array::from_fn(|j| columns[j][i]);
                to.column_mut(i).as_mut_slice()[c..c + SQUARE].copy_from_slice(&square);
            }
        }
    }
    for j in 0..cols {
        let first = if j < whole.1 { whole.0 } else { 0 };
        for i in first..rows {
            to[(j, i)] = from[(i, j)];
        }
    }
}

/// A column as a slice that lives as long as the matrix is borrowed.
fn column<'a, T: Real>(of: &'a DMatrixViewMut<'_, T>, j: usize) -> &'a [T] {
    assert!(j < of.ncols());
    // SAFETY: column j of the view is `nrows` contiguous values, borrowed with the view.
    unsafe { std::slice::from_raw_parts(of.as_ptr().add(j * of.strides().1), of.nrows()) }
}
