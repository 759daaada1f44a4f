//! The signature kernel level by level, without signatures.
//!
//! k_l = Σ of the entries of R_l, where R_1 = G and, for at most `order` uses of a segment in one level,
//! R_l\[1, 1\] = G · (sum of all R_{l−1} strictly before in both axes), R_l\[r, 1\] = G/r · (Σₛ R_{l−1}\[r−1, s\] strictly
//! before in y), R_l\[1, s\] likewise in x, and R_l\[r, s\] = G/(r s) · R_{l−1}\[r−1, s−1\].
//!
//! One row of cells at a time: sums over earlier rows are kept a column, sums over earlier columns as the row goes on.
//!
//! Reference: Király & Oberhauser, *Kernels for sequentially ordered data* (2019), algorithms 3 and 6.

use super::{
    adjoint::Sink,
    cells::{Cells, PIECE, Pair, Source, batch_order, for_batches, width},
};
use crate::{
    Vector,
    simd::{Simd, Work},
};

/// How many levels, and how often a segment may be used in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truncation {
    pub(super) levels: usize,
    pub(super) order: usize,
}

/// Buffers of a sweep, in vectors. The sums of a level are: of all entries, then for r = 1, 2, … of those with r uses.
struct Sums {
    /// Along the current row, `[level][sum]`.
    row: Vec<f64>,
    /// What the next level reads of the row's and the column's sums, taken before this cell joined them.
    row_before: Vec<f64>,
    column_before: Vec<f64>,
    /// R of the last level and of this one, `[r][s]`.
    old: Vec<f64>,
    new: Vec<f64>,
}

#[inline(always)]
fn get<V: Vector<Scalar = f64>>(from: &[f64], at: usize) -> V {
    V::load(&from[at * V::LANES..])
}

#[inline(always)]
fn set<V: Vector<Scalar = f64>>(to: &mut [f64], at: usize, v: V) {
    v.store(&mut to[at * V::LANES..]);
}

#[inline(always)]
fn add<V: Vector<Scalar = f64>>(to: &mut [f64], at: usize, v: V) {
    set(to, at, get::<V>(to, at) + v);
}

impl Truncation {
    /// One cell; `column` has the sums over earlier rows of this column.
    #[inline(always)]
    fn cell<V: Vector<Scalar = f64>>(self, g: V, column: &mut [f64], sums: &mut Sums) {
        let d = self.order;
        for level in 1..=self.levels {
            let uses = level.min(d);
            if level == 1 {
                set(&mut sums.new, 0, g);
            } else {
                set(&mut sums.new, 0, g * get::<V>(&sums.row_before, 0));
                for r in 2..=uses {
                    let part = g * V::splat(1.0 / r as f64);
                    set(&mut sums.new, (r - 1) * d, part * get::<V>(&sums.row_before, r - 1));
                    set(&mut sums.new, r - 1, part * get::<V>(&sums.column_before, r - 1));
                    for s in 2..=uses {
                        let old = get::<V>(&sums.old, (r - 2) * d + s - 2);
                        set(&mut sums.new, (r - 1) * d + s - 1, part * V::splat(1.0 / s as f64) * old);
                    }
                }
            }
            let at = (level - 1) * d;
            let mut all = V::splat(0.0);
            for r in 1..=uses {
                let (mut across, mut down) = (V::splat(0.0), V::splat(0.0));
                for s in 1..=uses {
                    across = across + get::<V>(&sums.new, (r - 1) * d + s - 1);
                    down = down + get::<V>(&sums.new, (s - 1) * d + r - 1);
                }
                all = all + across;
                if r < d {
                    set(&mut sums.row_before, r, get::<V>(&sums.row, at + r));
                    set(&mut sums.column_before, r, get::<V>(column, at + r));
                    add(&mut sums.row, at + r, across);
                    add(column, at + r, down);
                }
            }
            set(&mut sums.row_before, 0, get::<V>(&sums.row, at));
            add(&mut sums.row, at, get::<V>(column, at));
            add(column, at, all);
            std::mem::swap(&mut sums.old, &mut sums.new);
        }
    }

    /// All levels of the pairs of one batch: `out[lane * (levels + 1) + level]`.
    fn batch(self, source: &Source<'_>, lanes: &[Pair], width: usize, out: &mut [f64]) {
        let (levels, d) = (self.levels, self.order);
        let mut cells = Cells::new(source, lanes, width);
        let size = levels * d * width;
        let mut columns = vec![0.0; cells.cols * size];
        let mut sums = Sums {
            row: vec![0.0; size],
            row_before: vec![0.0; d * width],
            column_before: vec![0.0; d * width],
            old: vec![0.0; d * d * width],
            new: vec![0.0; d * d * width],
        };
        for i in 0..cells.rows {
            sums.row.fill(0.0);
            let g = cells.row(i);
            f64::dispatch(Row { truncation: self, g, columns: &mut columns, sums: &mut sums });
        }
        // Cells past the end of a path are 0 and add nothing, to the bit.
        for (lane, out) in out.chunks_exact_mut(levels + 1).enumerate() {
            out.fill(0.0);
            out[0] = 1.0;
            for column in columns.chunks_exact(size) {
                for level in 0..levels {
                    out[level + 1] += column[level * d * width + lane];
                }
            }
        }
    }
}

/// One row of cells.
struct Row<'a> {
    truncation: Truncation,
    g: &'a [f64],
    columns: &'a mut [f64],
    sums: &'a mut Sums,
}

impl Work<f64> for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let size = self.truncation.levels * self.truncation.order * V::LANES;
        for (g, column) in self.g.chunks_exact(V::LANES).zip(self.columns.chunks_exact_mut(size)) {
            self.truncation.cell(V::load(g), column, self.sums);
        }
    }
}

/// k₀, …, k_N of every pair, pair after pair.
pub(super) fn levels(source: &Source<'_>, pairs: &[Pair], truncation: Truncation) -> Vec<f64> {
    let (n, width) = (truncation.levels + 1, width());
    let order = batch_order(pairs);
    let sorted: Vec<Pair> = order.iter().map(|&i| pairs[i]).collect();
    let parts = crate::engine::map_tasks::<f64, _>(sorted.len().div_ceil(PIECE), |task, _| {
        let piece = &sorted[task * PIECE..((task + 1) * PIECE).min(sorted.len())];
        let mut out = vec![0.0; piece.len() * n];
        for_batches(piece, width, |batch| {
            truncation.batch(source, &piece[batch.clone()], width, &mut out[batch.start * n..batch.end * n]);
        });
        out
    });
    let mut out = vec![0.0; pairs.len() * n];
    for (value, i) in parts.iter().flat_map(|part| part.chunks_exact(n)).zip(order) {
        out[i * n..(i + 1) * n].copy_from_slice(value);
    }
    out
}

/// A matrix of cells, row by row.
type Cell = Vec<f64>;

/// R of every level: `[level][(r − 1) * uses + s − 1]`, each on all cells. For derivatives only: O(N D² m n).
struct Forward {
    rows: usize,
    cols: usize,
    levels: Vec<Vec<Cell>>,
}

impl Forward {
    /// Sums strictly before each cell along a row (`across`) and along a column; backwards those strictly after, which is the
    /// transposed map.
    fn earlier(&self, of: &[f64], across: bool, backwards: bool) -> Cell {
        let mut out = vec![0.0; of.len()];
        let (count, length, stride, step) =
            if across { (self.rows, self.cols, self.cols, 1) } else { (self.cols, self.rows, 1, self.cols) };
        for line in 0..count {
            let mut sum = 0.0;
            for k in 0..length {
                let k = if backwards { length - 1 - k } else { k };
                let at = line * stride + k * step;
                out[at] = sum;
                sum += of[at];
            }
        }
        out
    }

    fn earlier_in_both(&self, of: &[f64], backwards: bool) -> Cell {
        self.earlier(&self.earlier(of, true, backwards), false, backwards)
    }

    /// The sum of R\[r, s\] of a level over all pairs that `pick` picks.
    fn sum(&self, level: usize, uses: usize, pick: impl Fn(usize, usize) -> bool) -> Cell {
        let mut out = vec![0.0; self.rows * self.cols];
        for (e, cells) in self.levels[level].iter().enumerate() {
            if pick(e / uses + 1, e % uses + 1) {
                out.iter_mut().zip(cells).for_each(|(to, v)| *to += v);
            }
        }
        out
    }
}

/// a ∘ b, times a number.
fn times(a: &[f64], b: &[f64], factor: f64) -> Cell {
    a.iter().zip(b).map(|(a, b)| a * b * factor).collect()
}

impl Truncation {
    /// Derivatives of k₀ + … + k_N by the numbers on the cells of a pair.
    fn derivatives(self, g: &[f64], rows: usize, cols: usize) -> Cell {
        let uses = |level: usize| level.min(self.order);
        let mut all = Forward { rows, cols, levels: vec![vec![g.to_vec()]] };
        for level in 2..=self.levels {
            let (d, before) = (uses(level), uses(level - 1));
            let mut next = vec![Vec::new(); d * d];
            next[0] = times(g, &all.earlier_in_both(&all.sum(level - 2, before, |_, _| true), false), 1.0);
            for r in 2..=d {
                let part = 1.0 / r as f64;
                let down = all.sum(level - 2, before, |a, _| a == r - 1);
                next[(r - 1) * d] = times(g, &all.earlier(&down, true, false), part);
                let along = all.sum(level - 2, before, |_, b| b == r - 1);
                next[r - 1] = times(g, &all.earlier(&along, false, false), part);
                for s in 2..=d {
                    let old = &all.levels[level - 2][(r - 2) * before + s - 2];
                    next[(r - 1) * d + s - 1] = times(g, old, part / s as f64);
                }
            }
            all.levels.push(next);
        }
        // Backwards: every entry of every level is in the sum once.
        let ones = |level: usize| vec![vec![1.0; rows * cols]; uses(level) * uses(level)];
        let mut slopes = ones(self.levels);
        let mut out = vec![0.0; rows * cols];
        let mut add = |v: Cell| out.iter_mut().zip(v).for_each(|(to, v)| *to += v);
        for level in (2..=self.levels).rev() {
            let (d, before) = (uses(level), uses(level - 1));
            let mut below = ones(level - 1);
            let mut pass = |v: &[f64], pick: &dyn Fn(usize, usize) -> bool| {
                for (e, to) in below.iter_mut().enumerate() {
                    if pick(e / before + 1, e % before + 1) {
                        to.iter_mut().zip(v).for_each(|(to, v)| *to += v);
                    }
                }
            };
            let sum = all.sum(level - 2, before, |_, _| true);
            add(times(&slopes[0], &all.earlier_in_both(&sum, false), 1.0));
            pass(&all.earlier_in_both(&times(&slopes[0], g, 1.0), true), &|_, _| true);
            for r in 2..=d {
                let part = 1.0 / r as f64;
                let slope = &slopes[(r - 1) * d];
                let sum = all.sum(level - 2, before, |a, _| a == r - 1);
                add(times(slope, &all.earlier(&sum, true, false), part));
                pass(&all.earlier(&times(slope, g, part), true, true), &|a, _| a == r - 1);
                let slope = &slopes[r - 1];
                let sum = all.sum(level - 2, before, |_, b| b == r - 1);
                add(times(slope, &all.earlier(&sum, false, false), part));
                pass(&all.earlier(&times(slope, g, part), false, true), &|_, b| b == r - 1);
                for s in 2..=d {
                    let slope = &slopes[(r - 1) * d + s - 1];
                    add(times(slope, &all.levels[level - 2][(r - 2) * before + s - 2], part / s as f64));
                    pass(&times(slope, g, part / s as f64), &|a, b| a == r - 1 && b == s - 1);
                }
            }
            slopes = below;
        }
        add(slopes.swap_remove(0));
        out
    }
}

/// Sends the derivatives of all weighted pairs to sinks, one for each piece of the pairs.
pub(super) fn gradients<K: Sink + Send>(
    source: &Source<'_>,
    pairs: &[Pair],
    truncation: Truncation,
    sink: impl Fn() -> K + Send + Sync,
) -> Vec<K> {
    let width = width();
    crate::engine::map_tasks::<f64, _>(pairs.len().div_ceil(PIECE), |task, _| {
        let mut sink = sink();
        for pair in &pairs[task * PIECE..((task + 1) * PIECE).min(pairs.len())] {
            let mut cells = Cells::new(source, std::slice::from_ref(pair), width);
            let g: Cell = (0..pair.rows)
                .flat_map(|i| cells.row(i).iter().step_by(width).copied().collect::<Cell>())
                .collect();
            let weight = pair.weight.value();
            let mut slopes = truncation.derivatives(&g, pair.rows, pair.cols);
            slopes.iter_mut().for_each(|v| *v *= weight);
            sink.strip(pair, 0..pair.rows, &slopes);
        }
        sink
    })
}
