//! Sparse kernel matrices of kernels of compact support, by a search for neighbours in a grid of cells.

use std::ops::Range;

use sprs::CsMat;

use crate::{Block, Error, Kernel, LengthScale, Points, Real, Rows, Tile, Workspace, engine::map_tasks};

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
    let grid = Grid::new(kernel, xs)?;
    let cells = grid.sort(xs)?;
    assemble(kernel, &cells, None)
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
    let grid = Grid::new(kernel, ys)?;
    assemble(kernel, &grid.sort(xs)?, Some(&grid.sort(ys)?))
}

/// Rows a task, rows and columns of a block.
const TASK: usize = 512;
const ROWS: usize = 24;
const COLUMNS: usize = 512;

/// Cells in a row whose points are looked up together: wide enough to fill vectors where cells hold few points, narrow enough
/// not to look at many that are no neighbours.
const SPAN: i64 = 4;

/// The kernel between `xs` and `ys`, or within `xs`.
fn assemble<T: Real, K: Kernel<Rows<T>> + ?Sized>(
    kernel: &K,
    xs: &Cells<T>,
    ys: Option<&Cells<T>>,
) -> Result<CsMat<T>, Error> {
    let others = ys.unwrap_or(xs);
    let (n, m) = (xs.order.len(), others.order.len());
    let groups = xs.groups();
    // Groups of about `TASK` rows make a task.
    let mut tasks: Vec<Range<usize>> = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        match tasks.last_mut() {
            Some(task) if group.slots.end - groups[task.start].slots.start <= TASK => task.end = g + 1,
            _ => tasks.push(g..g + 1),
        }
    }
    let parts = map_tasks::<T, _>(tasks.len(), |task, ws| {
        let mut part = Part { entries: Vec::new(), ends: Vec::new() };
        let mut room = Room { values: vec![T::default(); ROWS * COLUMNS], found: vec![Vec::new(); ROWS] };
        for group in &groups[tasks[task].clone()] {
            part.add(kernel, (xs, ys), group, &mut room, ws)?;
        }
        Ok(part)
    });
    let parts = parts.into_iter().collect::<Result<Vec<Part<T>>, Error>>()?;
    // Rows stand in the order of cells: each goes to its place.
    let mut at = vec![(0, 0, 0); n];
    let mut slot = 0;
    for (p, part) in parts.iter().enumerate() {
        let mut start = 0;
        for &end in &part.ends {
            at[xs.order[slot]] = (p, start, end);
            (slot, start) = (slot + 1, end);
        }
    }
    let entries = parts.iter().map(|part| part.entries.len()).sum();
    let mut starts = Vec::with_capacity(n + 1);
    let (mut indices, mut values) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
    starts.push(0);
    for (p, start, end) in at {
        let row = &parts[p].entries[start..end];
        indices.extend(row.iter().map(|entry| entry.0));
        values.extend(row.iter().map(|entry| entry.1));
        starts.push(indices.len());
    }
    CsMat::try_new((n, m), starts, indices, values).map_err(|_| Error::Shape {
        what: "entries of a sparse matrix",
        expected: entries,
        given: entries,
    })
}

/// Entries of consecutive slots: column and value, and where each row ends.
struct Part<T> {
    entries: Vec<(usize, T)>,
    ends: Vec<usize>,
}

/// Room for a block, and for the entries found in each of its rows.
struct Room<T> {
    values: Vec<T>,
    found: Vec<Vec<(usize, T)>>,
}

impl<T: Real> Part<T> {
    /// The rows of a group.
    fn add<K: Kernel<Rows<T>> + ?Sized>(
        &mut self,
        kernel: &K,
        (xs, ys): (&Cells<T>, Option<&Cells<T>>),
        group: &Group,
        Room { values, found }: &mut Room<T>,
        ws: &mut Workspace<T>,
    ) -> Result<(), Error> {
        let others = ys.unwrap_or(xs);
        let runs = others.runs(group);
        for start in group.slots.clone().step_by(ROWS) {
            let rows = start..(start + ROWS).min(group.slots.end);
            for run in &runs {
                for start in run.clone().step_by(COLUMNS) {
                    let cols = start..(start + COLUMNS).min(run.end);
                    let at = match ys {
                        None => Block::within(&xs.sorted, rows.clone(), cols.clone())?,
                        Some(ys) => Block::between(&xs.sorted, rows.clone(), &ys.sorted, cols.clone())?,
                    };
                    let values = &mut values[..rows.len() * cols.len()];
                    kernel.block(&at, Tile::from_slice(values, rows.len(), cols.len()), ws);
                    for (i, found) in found.iter_mut().enumerate().take(rows.len()) {
                        let own = if ys.is_none() { rows.start + i } else { usize::MAX };
                        // Every value is written, and the next one over it where it is 0: no branches.
                        let mut end = found.len();
                        found.resize(end + cols.len(), (0, T::default()));
                        let row = values[i..].iter().step_by(rows.len());
                        for (slot, &value) in cols.clone().zip(row) {
                            found[end] = (others.order[slot], value);
                            end += usize::from(value != T::default() || slot == own);
                        }
                        found.truncate(end);
                    }
                }
            }
            for found in found.iter_mut().take(rows.len()) {
                found.sort_unstable_by_key(|entry| entry.0);
                self.entries.append(found);
                self.ends.push(self.entries.len());
            }
        }
        Ok(())
    }
}

/// Coordinates a cell is found by: more would only make more cells to look into.
const AXES: usize = 3;

/// A grid of cells as wide as the support of a kernel.
struct Grid {
    /// The features with the longest extent in units of the reach, at the end the longest: axes that are not used come first.
    axes: [Option<usize>; AXES],
    origin: [f64; AXES],
    width: [f64; AXES],
}

impl Grid {
    fn new<T: Real, K: Kernel<Rows<T>> + ?Sized>(kernel: &K, ys: &Rows<T>) -> Result<Self, Error> {
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
        let mut features: Vec<usize> = (0..dim).collect();
        if n > 0 {
            features.sort_by(|&a, &b| cells_along(b).total_cmp(&cells_along(a)));
        }
        let mut grid = Self { axes: [None; AXES], origin: [0.0; AXES], width: [1.0; AXES] };
        for (a, &k) in (0..AXES).rev().zip(&features) {
            grid.axes[a] = Some(k);
            if n > 0 {
                (grid.origin[a], grid.width[a]) = (low[k], width_of(k));
            }
        }
        Ok(grid)
    }

    fn cell<T: Real>(&self, x: &[T]) -> [i64; AXES] {
        let mut cell = [0; AXES];
        for a in 0..AXES {
            if let Some(k) = self.axes[a] {
                let steps = ((x[k].to_f64() - self.origin[a]) / self.width[a]).floor();
                // Points of another data set may be anywhere.
                cell[a] = steps.clamp(-1e15, 1e15) as i64;
            }
        }
        cell
    }

    fn sort<T: Real>(&self, xs: &Rows<T>) -> Result<Cells<T>, Error> {
        let mut keys: Vec<([i64; AXES], usize)> =
            (0..xs.len()).map(|i| (self.cell(xs.point(i)), i)).collect();
        keys.sort_unstable();
        let mut cells: Vec<([i64; AXES], usize)> = Vec::new();
        let mut sorted = Vec::with_capacity(xs.len() * xs.dim());
        for (slot, &(cell, i)) in keys.iter().enumerate() {
            if cells.last().is_none_or(|last| last.0 != cell) {
                cells.push((cell, slot));
            }
            sorted.extend_from_slice(xs.point(i));
        }
        Ok(Cells {
            cells,
            order: keys.into_iter().map(|(_, i)| i).collect(),
            sorted: Rows::from_row_major(sorted, xs.len(), xs.dim())?,
            used: self.axes.map(|axis| axis.is_some()),
        })
    }
}

/// Points sorted by the cell they are in.
struct Cells<T: Real> {
    /// The cells that hold points, in order, each with the first slot of its points.
    cells: Vec<([i64; AXES], usize)>,
    /// Slot to point.
    order: Vec<usize>,
    sorted: Rows<T>,
    used: [bool; AXES],
}

/// Points in neighbouring cells: the leading coordinates are those of `first`, the last one runs from there to `last`.
struct Group {
    slots: Range<usize>,
    first: [i64; AXES],
    last: i64,
}

impl<T: Real> Cells<T> {
    /// All points, in order.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (c, &(cell, start)) in self.cells.iter().enumerate() {
            let end = self.cells.get(c + 1).map_or(self.order.len(), |next| next.1);
            match groups.last_mut() {
                Some(group)
                    if group.first[..AXES - 1] == cell[..AXES - 1]
                        && cell[AXES - 1] - group.first[AXES - 1] < SPAN
                        && end - group.slots.start <= ROWS =>
                {
                    (group.slots.end, group.last) = (end, cell[AXES - 1]);
                }
                _ => groups.push(Group { slots: start..end, first: cell, last: cell[AXES - 1] }),
            }
        }
        groups
    }

    /// The slots around a group, in runs: cells along the last axis are neighbours in memory.
    fn runs(&self, group: &Group) -> Vec<Range<usize>> {
        let around = |a: usize| {
            let reach = i64::from(self.used[a]);
            group.first[a] - reach..=group.first[a] + reach
        };
        let slot = |c: usize| self.cells.get(c).map_or(self.order.len(), |cell| cell.1);
        let mut runs = Vec::new();
        for first in around(0) {
            for second in around(1) {
                let (from, to) = ([first, second, group.first[2] - 1], [first, second, group.last + 1]);
                let start = slot(self.cells.partition_point(|cell| cell.0 < from));
                let end = slot(self.cells.partition_point(|cell| cell.0 <= to));
                if start < end {
                    runs.push(start..end);
                }
            }
        }
        runs
    }
}
