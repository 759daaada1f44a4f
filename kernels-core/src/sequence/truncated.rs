//! The signature kernel level by level, without signatures.
//!
//! k_l = Σ of the entries of R_l, where R_1 = G and, for at most `order` uses of a segment in one level,
//! R_l\[1, 1\] = G · (sum of all R_{l−1} strictly before in both axes), R_l\[r, 1\] = G/r · (Σₛ R_{l−1}\[r−1, s\] strictly
//! before in y), R_l\[1, s\] likewise in x, and R_l\[r, s\] = G/(r s) · R_{l−1}\[r−1, s−1\].
//!
//! One row of cells at a time: sums over earlier rows are kept a column, sums over earlier columns as the row goes on.
//!
//! Reference: Király & Oberhauser, *Kernels for sequentially ordered data* (2019), algorithms 3 and 6.

use super::cells::{Cells, PIECE, Pair, Source, batch_order, for_batches, width};
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
