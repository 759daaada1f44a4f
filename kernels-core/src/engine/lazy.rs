//! Kernel matrices that are multiplied by and never stored.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, Dyn};

use super::{
    gram::check_shape,
    parallel::{Shared, for_each_task, map_tasks},
};
use crate::{
    Block, Error, Kernel, Operator, Points, Real, Vector, Workspace,
    simd::{MAX_LANES, Simd, Work, load_some, store_some},
};

/// The Gram matrix of a data set as an operator that computes its entries whenever it is applied.
///
/// Memory is O(n) for each column of the right-hand side and one tile a thread, within a budget of bytes that the
/// caller gives. Symmetry is used when the budget has room for the partial results it needs (16 vectors a column):
/// then each application costs n²/2 kernel values, otherwise n². The bits of a result depend on the budget, not on
/// the number of threads.
///
/// ```
/// use kernels_core::{LazyGram, Operator, Rbf, Rows, gram};
/// use nalgebra::DMatrix;
/// let xs = Rows::from_row_major((0..50).map(|i| f64::from(i).sin()).collect(), 50, 1)?;
/// let kernel = Rbf::new(0.5)?;
/// let lazy = LazyGram::new(&kernel, &xs, 1 << 20)?;
/// let v = DMatrix::from_fn(50, 1, |i, _| i as f64);
/// let mut out = DMatrix::zeros(50, 1);
/// lazy.apply(v.as_view(), out.as_view_mut())?;
/// assert!((out - gram(&kernel, &xs)? * v).amax() < 1e-10);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub struct LazyGram<'a, P: ?Sized, K: ?Sized> {
    kernel: &'a K,
    xs: &'a P,
    budget: usize,
    tile: usize,
}

/// The matrix between two data sets, multiplied by and never stored.
///
/// ```
/// use kernels_core::{LazyCross, Linear, Rows};
/// use nalgebra::dmatrix;
/// let xs = Rows::from_row_major(vec![1.0, 2.0], 2, 1)?;
/// let ys = Rows::from_row_major(vec![3.0], 1, 1)?;
/// let kernel = Linear::new(0.0)?;
/// let mut out = dmatrix![0.0; 0.0];
/// LazyCross::new(&kernel, &xs, &ys, 1 << 20)?.apply(dmatrix![2.0].as_view(), out.as_view_mut())?;
/// assert_eq!(out, dmatrix![6.0; 12.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub struct LazyCross<'a, P: ?Sized, K: ?Sized> {
    kernel: &'a K,
    xs: &'a P,
    ys: &'a P,
    tile: usize,
}

/// Fewest and most rows of a tile.
const TILES: (usize, usize) = (16, 256);

/// Groups of tile rows with partial results of their own; a constant, so that bits do not depend on threads.
const GROUPS: usize = 16;

/// Threads that the budget makes room for; a constant, so that bits do not depend on how many there are.
const THREADS: usize = 16;

/// The largest tile of which [`THREADS`] fit half the budget.
fn tile_rows<T>(budget: usize) -> Result<usize, Error> {
    let bytes = |tile: usize| 2 * THREADS * tile * tile * size_of::<T>();
    let mut tile = TILES.1;
    while tile > TILES.0 && bytes(tile) > budget {
        tile /= 2;
    }
    if bytes(tile) > budget {
        return Err(Error::Memory { what: "a lazy kernel matrix", needed: bytes(tile), available: budget });
    }
    Ok(tile)
}

impl<'a, P: Points + ?Sized, K: Kernel<P> + ?Sized> LazyGram<'a, P, K> {
    /// The operator within `budget` bytes of working memory (beside its input and output; for up to 16 threads).
    ///
    /// # Errors
    /// [`Error::Memory`] when the budget has no room for the smallest tiles (64 KiB in f64); what
    /// [`Kernel::check`] says of the points.
    pub fn new(kernel: &'a K, xs: &'a P, budget: usize) -> Result<Self, Error> {
        kernel.check(xs)?;
        Ok(Self { kernel, xs, budget, tile: tile_rows::<P::Scalar>(budget)? })
    }

    fn range(&self, tile: usize) -> std::ops::Range<usize> {
        tile * self.tile..((tile + 1) * self.tile).min(self.xs.len())
    }

    /// Adds the products of the lower tiles of tile row `row`, and of their mirrors, to `sums`, n × t.
    fn add_row(
        &self,
        row: usize,
        rhs: DMatrixView<'_, P::Scalar>,
        sums: &mut DMatrixViewMut<'_, P::Scalar>,
        ws: &mut Workspace<P::Scalar>,
    ) {
        let rows = self.range(row);
        for col in 0..=row {
            let cols = self.range(col);
            let Ok(at) = Block::within(self.xs, rows.clone(), cols.clone()) else { return };
            with_tile(self.kernel, &at, ws, |tile, ws| {
                for t in 0..rhs.ncols() {
                    let mut down = ws.take(rows.len());
                    let mut across = ws.take(cols.len());
                    let v = rhs.column(t);
                    P::Scalar::dispatch(Multiply {
                        tile,
                        stride: rows.len(),
                        right: &v.as_slice()[cols.clone()],
                        left: if row == col { &[] } else { &v.as_slice()[rows.clone()] },
                        down: &mut down,
                        across: &mut across,
                    });
                    let mut sums = sums.column_mut(t);
                    add(&mut sums.as_mut_slice()[rows.clone()], &down);
                    if row != col {
                        add(&mut sums.as_mut_slice()[cols.clone()], &across);
                    }
                    ws.give(down);
                    ws.give(across);
                }
            });
        }
    }
}

fn add<T: Real>(to: &mut [T], values: &[T]) {
    to.iter_mut().zip(values).for_each(|(to, &v)| *to += v);
}

impl<P: Points + ?Sized, K: Kernel<P> + ?Sized> Operator<P::Scalar> for LazyGram<'_, P, K> {
    fn dim(&self) -> usize {
        self.xs.len()
    }

    fn apply(
        &self,
        rhs: DMatrixView<'_, P::Scalar>,
        mut out: DMatrixViewMut<'_, P::Scalar>,
    ) -> Result<(), Error> {
        let (n, t) = (self.dim(), rhs.ncols());
        check_shape(rhs.shape(), (n, t))?;
        check_shape(out.shape(), (n, t))?;
        let tiles = n.div_ceil(self.tile);
        let groups = GROUPS.min(tiles);
        if groups * n * t * size_of::<P::Scalar>() > self.budget / 2 {
            return multiply_rows(self.kernel, self.xs, self.tile, rhs, out, |rows, cols| {
                Block::within(self.xs, rows, cols)
            });
        }
        let parts = map_tasks(groups, |group, ws| {
            let mut sums = vec![P::Scalar::default(); n * t];
            // Tile row r costs r + 1 tiles: a low and a high one together make groups equal.
            for row in
                (0..tiles).filter(|row| [group, 2 * groups - 1 - group].contains(&(row % (2 * groups))))
            {
                self.add_row(row, rhs, &mut DMatrixViewMut::from_slice(&mut sums, n, t), ws);
            }
            sums
        });
        for (k, mut column) in out.column_iter_mut().enumerate() {
            let column = column.as_mut_slice();
            column.fill(P::Scalar::default());
            for part in &parts {
                add(column, &part[k * n..(k + 1) * n]);
            }
        }
        Ok(())
    }

    fn diagonal(&self, out: &mut [P::Scalar]) -> Result<(), Error> {
        crate::operator::check_len("diagonal", self.dim(), out.len())?;
        self.kernel.diagonal(self.xs, 0..self.dim(), out);
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, P::Scalar>) -> Result<(), Error> {
        let n = self.dim();
        crate::operator::check_columns(n, indices, out.shape())?;
        // Long pieces of columns: a task is worth its start, and the bits of a value do not depend on the block it is in.
        let pieces = n.div_ceil(PIECE).max(1);
        let rows = |task: usize| (task % pieces * PIECE)..((task % pieces + 1) * PIECE).min(n);
        let column = |task: usize| indices[task / pieces];
        let mut done = 0;
        while done < indices.len() * pieces {
            // Some at a time, so that results that wait to be copied stay few.
            let count = WAITING.min(indices.len() * pieces - done);
            let parts = map_tasks(count, |task, ws: &mut Workspace<P::Scalar>| {
                let (rows, j) = (rows(done + task), column(done + task));
                let mut values = vec![P::Scalar::default(); rows.len()];
                let at = Block::within(self.xs, rows.clone(), j..j.saturating_add(1))?;
                self.kernel.block(&at, DMatrixViewMut::from_slice(&mut values, rows.len(), 1), ws);
                Ok::<_, Error>(values)
            });
            for (task, part) in parts.into_iter().enumerate() {
                let (part, rows) = (part?, rows(done + task));
                out.column_mut((done + task) / pieces)
                    .rows_mut(rows.start, rows.len())
                    .copy_from_slice(&part);
            }
            done += count;
        }
        Ok(())
    }
}

/// Rows of a column that are one task, and tasks whose results wait at a time.
const PIECE: usize = 2048;
const WAITING: usize = 64;

impl<'a, P: Points + ?Sized, K: Kernel<P> + ?Sized> LazyCross<'a, P, K> {
    /// The operator within `budget` bytes of working memory (beside its input and output; for up to 16 threads).
    ///
    /// # Errors
    /// [`Error::Memory`] when the budget has no room for the smallest tiles (64 KiB in f64); [`Error::Shape`] when the
    /// points cannot be compared; what [`Kernel::check`] says of them.
    pub fn new(kernel: &'a K, xs: &'a P, ys: &'a P, budget: usize) -> Result<Self, Error> {
        xs.check_compatible(ys)?;
        kernel.check(xs)?;
        kernel.check(ys)?;
        Ok(Self { kernel, xs, ys, tile: tile_rows::<P::Scalar>(budget)? })
    }

    /// Overwrites `out`, n × t, with K `rhs`, `rhs` m × t.
    ///
    /// # Errors
    /// [`Error::Shape`] when a shape is not as said.
    pub fn apply(
        &self,
        rhs: DMatrixView<'_, P::Scalar>,
        out: DMatrixViewMut<'_, P::Scalar>,
    ) -> Result<(), Error> {
        check_shape(rhs.shape(), (self.ys.len(), rhs.ncols()))?;
        check_shape(out.shape(), (self.xs.len(), rhs.ncols()))?;
        multiply_rows(self.kernel, self.ys, self.tile, rhs, out, |rows, cols| {
            Block::between(self.xs, rows, self.ys, cols)
        })
    }
}

impl<P: Points + ?Sized, K: Kernel<P> + ?Sized> LazyCross<'_, P, K> {
    /// Overwrites `out`, m × t, with Kᵀ g(K `rhs`) for a map g of rows of K `rhs`, m × t, to rows of the same width: normal
    /// equations (g(u) = u), weighted ones (g(u) = w u), gradients of any loss (g(u) = ℓ′(y, u)), in one pass over
    /// the kernel values. `map(rows, u)` alters the rows `rows` of K `rhs` in place.
    ///
    /// nm kernel values; memory beside that of [`LazyCross::apply`]: 16 results, and a thread 16 rows of K or more.
    /// The bits do not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Shape`] when a shape is not m × t.
    ///
    /// ```
    /// use kernels_core::{LazyCross, Linear, Rows};
    /// use nalgebra::dmatrix;
    /// let xs = Rows::from_row_major(vec![1.0, 2.0], 2, 1)?;
    /// let ys = Rows::from_row_major(vec![3.0], 1, 1)?;
    /// let kernel = Linear::new(0.0)?;
    /// let mut out = dmatrix![0.0];
    /// // KᵀK 2 = (3² + 6²) 2.
    /// LazyCross::new(&kernel, &xs, &ys, 1 << 20)?.apply_through(dmatrix![2.0].as_view(), out.as_view_mut(), |_, _| ())?;
    /// assert_eq!(out, dmatrix![90.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn apply_through(
        &self,
        rhs: DMatrixView<'_, P::Scalar>,
        mut out: DMatrixViewMut<'_, P::Scalar>,
        map: impl Fn(std::ops::Range<usize>, DMatrixViewMut<'_, P::Scalar>) + Send + Sync,
    ) -> Result<(), Error> {
        let (n, m, t) = (self.xs.len(), self.ys.len(), rhs.ncols());
        check_shape(rhs.shape(), (m, t))?;
        check_shape(out.shape(), (m, t))?;
        // Rows whose kernel values stay in cache between the two products.
        let rows = (CACHED / (m.max(1) * size_of::<P::Scalar>())).clamp(TILES.0, TILES.1);
        let tasks = n.div_ceil(rows);
        let parts = map_tasks(GROUPS.min(tasks), |group, ws| {
            let mut sum = DMatrix::repeat(m, t, P::Scalar::default());
            let first = group * tasks / GROUPS.min(tasks);
            let last = (group + 1) * tasks / GROUPS.min(tasks);
            for task in first..last {
                let range = task * rows..((task + 1) * rows).min(n);
                let count = range.len();
                let Ok(at) = Block::between(self.xs, range.clone(), self.ys, 0..m) else { continue };
                with_tile(self.kernel, &at, ws, |tile, ws| {
                    let mut values = ws.take(count * t);
                    let mut u = DMatrixViewMut::from_slice(&mut values, count, t);
                    let k = DMatrixView::from_slice(tile, count, m);
                    let one = P::Scalar::of(1.0);
                    if t < FEW {
                        for c in 0..t {
                            let right = rhs.column(c);
                            P::Scalar::dispatch(Multiply {
                                tile,
                                stride: count,
                                right: right.as_slice(),
                                left: &[],
                                down: u.column_mut(c).as_mut_slice(),
                                across: &mut [],
                            });
                        }
                    } else {
                        u.gemm(one, &k, &rhs, P::Scalar::default());
                    }
                    map(range, u.as_view_mut());
                    if t < FEW {
                        let mut across = ws.take(m);
                        let (mut down, mut zeros) = (ws.take(count), ws.take(m));
                        zeros.fill(P::Scalar::default());
                        for c in 0..t {
                            P::Scalar::dispatch(Multiply {
                                tile,
                                stride: count,
                                right: &zeros,
                                left: u.column(c).as_slice(),
                                down: &mut down,
                                across: &mut across,
                            });
                            add(sum.column_mut(c).as_mut_slice(), &across);
                        }
                        for buffer in [across, down, zeros] {
                            ws.give(buffer);
                        }
                    } else {
                        // The transpose as a view with its strides exchanged, which the product takes at full speed.
                        let transposed =
                            nalgebra::MatrixView::<P::Scalar, Dyn, Dyn, Dyn, Dyn>::from_slice_with_strides(
                                tile, m, count, count, 1,
                            );
                        sum.gemm(one, &transposed, &u, one);
                    }
                    ws.give(values);
                });
            }
            sum
        });
        out.fill(P::Scalar::default());
        for part in &parts {
            out += part;
        }
        Ok(())
    }
}

/// Bytes of kernel values that a thread keeps between two uses.
const CACHED: usize = 2 << 20;

/// Below this many columns a product by columns is as fast as a blocked one.
const FEW: usize = 6;

/// A block's values, column by column, in a buffer of the workspace.
fn with_tile<P: Points + ?Sized>(
    kernel: &(impl Kernel<P> + ?Sized),
    at: &Block<'_, P>,
    ws: &mut Workspace<P::Scalar>,
    work: impl FnOnce(&[P::Scalar], &mut Workspace<P::Scalar>),
) {
    let (rows, cols) = at.shape();
    let mut buffer = ws.take(rows * cols);
    kernel.block(at, DMatrixViewMut::from_slice(&mut buffer, rows, cols), ws);
    work(&buffer, ws);
    ws.give(buffer);
}

/// Each task computes its own rows of the result, from all columns.
fn multiply_rows<'p, P: Points + ?Sized + 'p, K: Kernel<P> + ?Sized>(
    kernel: &K,
    ys: &P,
    tile_rows: usize,
    rhs: DMatrixView<'_, P::Scalar>,
    mut out: DMatrixViewMut<'_, P::Scalar>,
    block: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>) -> Result<Block<'p, P>, Error> + Send + Sync,
) -> Result<(), Error> {
    let ((n, t), m) = (out.shape(), ys.len());
    let stride = out.strides().1;
    let data = Shared(out.as_mut_ptr());
    for_each_task(n.div_ceil(tile_rows), |task, ws| {
        let rows = task * tile_rows..((task + 1) * tile_rows).min(n);
        // SAFETY: these rows of `out` belong to this task alone.
        let mut out = unsafe { super::gram::tile(data, stride, rows.start, 0, (rows.len(), t)) };
        out.fill(P::Scalar::default());
        for start in (0..m).step_by(tile_rows) {
            let cols = start..(start + tile_rows).min(m);
            let Ok(at) = block(rows.clone(), cols.clone()) else { return };
            with_tile(kernel, &at, ws, |tile, ws| {
                for k in 0..t {
                    let mut down = ws.take(rows.len());
                    let right = rhs.column(k);
                    P::Scalar::dispatch(Multiply {
                        tile,
                        stride: rows.len(),
                        right: &right.as_slice()[cols.clone()],
                        left: &[],
                        down: &mut down,
                        across: &mut [],
                    });
                    add(out.column_mut(k).as_mut_slice(), &down);
                    ws.give(down);
                }
            });
        }
    });
    Ok(())
}

/// `out` = A `rhs` for a matrix in memory: each task a few rows of the result.
pub(crate) fn multiply_dense<T: Real>(
    a: &DMatrix<T>,
    rhs: DMatrixView<'_, T>,
    out: DMatrixViewMut<'_, T>,
) -> Result<(), Error> {
    let (n, t) = (a.nrows(), rhs.ncols());
    check_shape(rhs.shape(), (a.ncols(), t))?;
    check_shape(out.shape(), (n, t))?;
    super::gram::for_each_rows(out, |rows, mut out, ws| {
        let mut down = ws.take(rows.len());
        for k in 0..t {
            let right = rhs.column(k);
            let tile = a.as_slice().get(rows.start..).unwrap_or_default();
            T::dispatch(Multiply {
                tile,
                stride: n,
                right: right.as_slice(),
                left: &[],
                down: &mut down,
                across: &mut [],
            });
            out.column_mut(k).as_mut_slice().copy_from_slice(&down);
        }
        ws.give(down);
    });
    Ok(())
}

/// `down` = tile · right and, where `left` is not empty, `across` = tileᵀ · left, in one pass over the tile, whose columns are
/// `stride` apart.
struct Multiply<'a, T> {
    tile: &'a [T],
    stride: usize,
    right: &'a [T],
    left: &'a [T],
    down: &'a mut [T],
    across: &'a mut [T],
}

impl<T: Real> Work<T> for Multiply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        let rows = self.down.len();
        self.down.fill(T::default());
        if rows == 0 {
            return;
        }
        let whole = rows / V::LANES * V::LANES;
        let (down, down_end) = self.down.split_at_mut(whole);
        let (left, left_end) = self.left.split_at(whole.min(self.left.len()));
        for (j, (column, &x)) in self.tile.chunks(self.stride).zip(self.right).enumerate() {
            let scale = V::broadcast(x);
            let (column, end) = column[..rows].split_at(whole);
            // The end is filled up with zeros, so that a value does not depend on its place in the tile.
            let k = load_some::<V>(end);
            store_some(k.mul_add(scale, load_some(down_end)), down_end);
            if left.is_empty() && left_end.is_empty() {
                for (sum, k) in down.chunks_exact_mut(V::LANES).zip(column.chunks_exact(V::LANES)) {
                    V::load(k).mul_add(scale, V::load(sum)).store(sum);
                }
                continue;
            }
            let mut dot = k * load_some(left_end);
            let sides = down.chunks_exact_mut(V::LANES).zip(left.chunks_exact(V::LANES));
            for ((sum, left), k) in sides.zip(column.chunks_exact(V::LANES)) {
                let k = V::load(k);
                k.mul_add(scale, V::load(sum)).store(sum);
                dot = k.mul_add(V::load(left), dot);
            }
            let mut lanes = [T::default(); MAX_LANES];
            dot.store(&mut lanes);
            self.across[j] = lanes[..V::LANES].iter().fold(T::default(), |sum, &lane| sum + lane);
        }
    }
}
