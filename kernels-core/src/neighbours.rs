//! Sparse kernel matrices of kernels of compact support, by a search for neighbours in a grid of cells.

use sprs::CsMat;

use crate::{Error, Kernel, LengthScale, Points, Real, Rows, engine::map_tasks};

/// The Gram matrix of a kernel of compact support as a sparse matrix: n × n, symmetric, by rows, with column indices in order.
/// Entries that are exactly 0 are left out, but for the diagonal.
///
/// Neighbours are looked for in a grid of cells as large as the support; no n × n work or memory is needed.
///
/// **Errors.** [`Error::NotCompact`] for a kernel without compact support, [`Error::NotFinite`], what [`Kernel::check`] says of the
/// points. **Complexity.** O(n log n + n · neighbours) in time, O(n + entries) in memory. The result does not depend on the number of
/// threads.
///
/// ```
/// use kernels_core::{Rows, Wendland, sparse_gram};
/// let xs = Rows::from_row_major(vec![0.0, 0.5, 5.0], 3, 1)?;
/// let k = sparse_gram(&Wendland::new(1, 1, 1.0)?, &xs)?;
/// assert_eq!(k.nnz(), 5);
/// assert_eq!(k.get(0, 1), Some(&0.3125));
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn sparse_gram<T: Real, K: Kernel<Rows<T>> + ?Sized>(
    kernel: &K,
    xs: &Rows<T>,
) -> Result<CsMat<T>, Error> {
    kernel.check(xs)?;
    let mut diagonal = vec![T::default(); xs.len()];
    let cells = Cells::new(kernel, xs)?;
    kernel.diagonal(xs, 0..xs.len(), &mut diagonal);
    assemble(kernel, xs, &cells, Some(&diagonal))
}

/// The matrix of a kernel of compact support between two data sets as a sparse matrix, n × m, as [`sparse_gram`].
///
/// # Errors
/// As [`sparse_gram`]; [`Error::Shape`] when the points cannot be compared.
///
/// ```
/// use kernels_core::{Rows, Wendland, sparse_cross_gram};
/// let xs = Rows::from_row_major(vec![0.0, 0.5], 2, 1)?;
/// let ys = Rows::from_row_major(vec![5.0, 0.0], 2, 1)?;
/// let k = sparse_cross_gram(&Wendland::new(1, 1, 1.0)?, &xs, &ys)?;
/// assert_eq!((k.nnz(), k.get(0, 1)), (2, Some(&1.0)));
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn sparse_cross_gram<T: Real, K: Kernel<Rows<T>> + ?Sized>(
    kernel: &K,
    xs: &Rows<T>,
    ys: &Rows<T>,
) -> Result<CsMat<T>, Error> {
    xs.check_compatible(ys)?;
    kernel.check(xs)?;
    kernel.check(ys)?;
    xs.check_finite()?;
    assemble(kernel, xs, &Cells::new(kernel, ys)?, None)
}

/// Rows a task.
const TASK: usize = 512;

fn assemble<T: Real, K: Kernel<Rows<T>> + ?Sized>(
    kernel: &K,
    xs: &Rows<T>,
    cells: &Cells<T>,
    diagonal: Option<&[T]>,
) -> Result<CsMat<T>, Error> {
    let (n, m) = (xs.len(), cells.order.len());
    let parts = map_tasks::<T, _>(n.div_ceil(TASK), |task, _| {
        let mut part = (Vec::with_capacity(TASK), Vec::new(), Vec::new());
        let mut found = Vec::new();
        for i in task * TASK..((task + 1) * TASK).min(n) {
            let x = xs.point(i);
            cells.near(x, &mut found);
            found.sort_unstable_by_key(|&(j, _)| j);
            for &(j, slot) in &found {
                match diagonal {
                    Some(diagonal) if i == j => {
                        part.1.push(j);
                        part.2.push(diagonal[i]);
                    }
                    _ => {
                        let value = kernel.eval(x, cells.point(slot));
                        if value != T::default() {
                            part.1.push(j);
                            part.2.push(value);
                        }
                    }
                }
            }
            part.0.push(part.1.len());
        }
        part
    });
    let entries = parts.iter().map(|p| p.1.len()).sum();
    let mut starts = Vec::with_capacity(n + 1);
    let (mut indices, mut values) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
    starts.push(0);
    for (ends, part_indices, part_values) in parts {
        starts.extend(ends.into_iter().map(|end| end + indices.len()));
        indices.extend_from_slice(&part_indices);
        values.extend_from_slice(&part_values);
    }
    CsMat::try_new((n, m), starts, indices, values).map_err(|_| Error::Shape {
        what: "entries of a sparse matrix",
        expected: entries,
        given: entries,
    })
}

/// Coordinates a cell is found by: more would only make more cells to look into.
const AXES: usize = 3;

/// Points sorted by the cell they are in.
struct Cells<T> {
    /// The features with the longest extent in units of the reach.
    axes: Vec<usize>,
    origin: [f64; AXES],
    width: [f64; AXES],
    /// How far neighbours may be, one a feature.
    reach: Vec<T>,
    /// The cells that hold points, in order, each with the first slot of its points.
    cells: Vec<([i64; AXES], usize)>,
    /// Slot to point.
    order: Vec<usize>,
    /// Coordinates by slot, so that a search reads memory in order.
    sorted: Vec<T>,
    dim: usize,
}

impl<T: Real> Cells<T> {
    fn new<K: Kernel<Rows<T>> + ?Sized>(kernel: &K, ys: &Rows<T>) -> Result<Self, Error> {
        let support = kernel.support().ok_or(Error::NotCompact)?;
        ys.check_finite()?;
        let (n, dim) = (ys.len(), ys.dim());
        if let LengthScale::PerFeature(values) = &support
            && values.len() != dim
        {
            return Err(Error::Shape {
                what: "number of features (one support each)",
                expected: values.len(),
                given: dim,
            });
        }
        let support = support.values();
        let reach: Vec<f64> = (0..dim).map(|k| support[k.min(support.len() - 1)]).collect();
        let (mut low, mut high) = (vec![f64::INFINITY; dim], vec![f64::NEG_INFINITY; dim]);
        for i in 0..n {
            for ((low, high), y) in low.iter_mut().zip(&mut high).zip(ys.point(i)) {
                (*low, *high) = (low.min(y.to_f64()), high.max(y.to_f64()));
            }
        }
        // Cells are a little wider than the reach, so that rounding never puts neighbours two cells apart; and never so
        // many that their numbers are not exact. Halves, because an extent may overflow.
        let width_of = |k: usize| {
            let extent = 0.5 * high[k] - 0.5 * low[k];
            (1.001 * reach[k]).max(extent * 2e-12).max(f64::MIN_POSITIVE)
        };
        let cells_along = |k: usize| (0.5 * high[k] - 0.5 * low[k]) / width_of(k);
        let mut axes: Vec<usize> = (0..dim).collect();
        if n > 0 {
            axes.sort_by(|&a, &b| cells_along(b).total_cmp(&cells_along(a)));
        }
        axes.truncate(AXES);
        let (mut origin, mut width) = ([0.0; AXES], [1.0; AXES]);
        for (a, &k) in axes.iter().enumerate().filter(|_| n > 0) {
            (origin[a], width[a]) = (low[k], width_of(k));
        }
        let mut all = Self {
            axes,
            origin,
            width,
            reach: reach.into_iter().map(T::of).collect(),
            cells: Vec::new(),
            order: Vec::new(),
            sorted: Vec::with_capacity(n * dim),
            dim,
        };
        let mut keys: Vec<([i64; AXES], usize)> = (0..n).map(|i| (all.cell(ys.point(i)), i)).collect();
        keys.sort_unstable();
        for (slot, &(cell, i)) in keys.iter().enumerate() {
            if all.cells.last().is_none_or(|last| last.0 != cell) {
                all.cells.push((cell, slot));
            }
            all.sorted.extend_from_slice(ys.point(i));
        }
        all.order = keys.into_iter().map(|(_, i)| i).collect();
        Ok(all)
    }

    fn cell(&self, x: &[T]) -> [i64; AXES] {
        let mut cell = [0; AXES];
        for (a, &k) in self.axes.iter().enumerate() {
            let steps = ((x[k].to_f64() - self.origin[a]) / self.width[a]).floor();
            // Points of another data set may be anywhere.
            cell[a] = steps.clamp(-1e15, 1e15) as i64;
        }
        cell
    }

    fn point(&self, slot: usize) -> &[T] {
        &self.sorted[slot * self.dim..(slot + 1) * self.dim]
    }

    /// The points in the box around `x`, each with its slot, in any order.
    fn near(&self, x: &[T], found: &mut Vec<(usize, usize)>) {
        found.clear();
        let center = self.cell(x);
        let around = |a: usize| if a < self.axes.len() { center[a] - 1..=center[a] + 1 } else { 0..=0 };
        // The last axis that is used runs through neighbouring cells, which are neighbours in memory.
        for first in around(0) {
            for second in around(1) {
                let (from, to) = match self.axes.len() {
                    0 => ([0; AXES], [0; AXES]),
                    1 if first == center[0] => ([first - 1, 0, 0], [first + 1, 0, 0]),
                    2 if second == center[1] => ([first, second - 1, 0], [first, second + 1, 0]),
                    3 => ([first, second, center[2] - 1], [first, second, center[2] + 1]),
                    _ => continue,
                };
                let start = self.cells.partition_point(|cell| cell.0 < from);
                let end = self.cells.partition_point(|cell| cell.0 <= to);
                let slot = |c: usize| self.cells.get(c).map_or(self.order.len(), |cell| cell.1);
                for slot in slot(start)..slot(end) {
                    let inside = self
                        .point(slot)
                        .iter()
                        .zip(x)
                        .zip(&self.reach)
                        .all(|((&y, &x), &reach)| (x - y).abs() <= reach);
                    if inside {
                        found.push((self.order[slot], slot));
                    }
                }
            }
        }
    }
}
