//! Rows rearranged for the inner loops: panels of a few rows, features outermost.

use std::ops::Range;

use crate::{Real, Rows, Workspace};

/// How rows enter a panel: as they are, or centred and scaled for distances by expansion.
pub(super) struct Entry<'a, T> {
    /// Subtracted from every row.
    pub(super) center: Option<&'a [T]>,
    /// Multiplied on after that, feature by feature.
    pub(super) weights: Option<&'a [T]>,
}

impl<T> Entry<'_, T> {
    pub(super) const RAW: Self = Entry { center: None, weights: None };
}

/// Panels of `width` rows: value k of row i of a panel is at `k * width + i`. The last panel is filled up with
/// copies of its last row, so that padding is never NaN where the data are not.
pub(super) struct Panels<T> {
    values: Vec<T>,
    /// Squared norms of the entered rows; empty when not asked for.
    norms: Vec<T>,
    /// The largest norm of each panel.
    largest: Vec<T>,
    dim: usize,
    width: usize,
}

impl<T: Real> Panels<T> {
    pub(super) fn new(
        xs: &Rows<T>,
        rows: Range<usize>,
        width: usize,
        entry: &Entry<'_, T>,
        with_norms: bool,
        ws: &mut Workspace<T>,
    ) -> Self {
        let (dim, n) = (xs.dim(), rows.len());
        let panels = n.div_ceil(width);
        let mut values = ws.take(panels * width * dim);
        let mut norms = ws.take(if with_norms { panels * width } else { 0 });
        let mut largest = ws.take(if with_norms { panels } else { 0 });
        largest.fill(T::default());
        if entry.center.is_none() && entry.weights.is_none() && !with_norms {
            transpose(xs.slice(rows), dim, width, &mut values, |x| x);
            return Self { values, norms, largest, dim, width };
        }
        let mut entered = ws.take(dim);
        for slot in 0..panels * width {
            let row = xs.slice(rows.start + slot.min(n - 1)..rows.start + slot.min(n - 1) + 1);
            enter(row, entry, &mut entered);
            let panel = &mut values[slot / width * width * dim..][..width * dim];
            for (to, &value) in panel.chunks_exact_mut(width).zip(&entered) {
                to[slot % width] = value;
            }
            if with_norms {
                let norm = squared_norm(&entered);
                norms[slot] = norm;
                let largest = &mut largest[slot / width];
                // A NaN is left out: the distances it belongs to are NaN and never trusted.
                *largest = if norm > *largest { norm } else { *largest };
            }
        }
        ws.give(entered);
        Self { values, norms, largest, dim, width }
    }

    /// Panels of rows given in f64, row by row, as they are.
    pub(super) fn of_values(rows: &[f64], dim: usize, width: usize, n: usize, ws: &mut Workspace<T>) -> Self {
        let panels = n.div_ceil(width);
        let mut values = ws.take(panels * width * dim);
        transpose(&rows[..n * dim], dim, width, &mut values, T::of);
        Self { values, norms: ws.take(0), largest: ws.take(0), dim, width }
    }

    /// Panel `p`, features outermost.
    #[inline(always)]
    pub(super) fn panel(&self, p: usize) -> &[T] {
        let size = self.width * self.dim;
        &self.values[p * size..(p + 1) * size]
    }

    /// Squared norms of the rows of panel `p`.
    #[inline(always)]
    pub(super) fn norms(&self, p: usize) -> &[T] {
        &self.norms[p * self.width..(p + 1) * self.width]
    }

    /// The largest of them.
    #[inline(always)]
    pub(super) fn largest_norm(&self, p: usize) -> T {
        self.largest[p]
    }

    pub(super) fn recycle(self, ws: &mut Workspace<T>) {
        ws.give(self.values);
        ws.give(self.norms);
        ws.give(self.largest);
    }
}

/// Rows into panels; the last row is repeated where the last panel has room.
fn transpose<S: Copy, T: Copy>(rows: &[S], dim: usize, width: usize, panels: &mut [T], of: impl Fn(S) -> T) {
    if dim == 0 {
        return;
    }
    for (panel, rows) in panels.chunks_exact_mut(width * dim).zip(rows.chunks(width * dim)) {
        let count = rows.len() / dim;
        for (k, column) in panel.chunks_exact_mut(width).enumerate() {
            for (to, row) in column.iter_mut().zip(rows.chunks_exact(dim)) {
                *to = of(row[k]);
            }
            column[count..].fill(of(rows[(count - 1) * dim + k]));
        }
    }
}

fn enter<T: Real>(row: &[T], entry: &Entry<'_, T>, out: &mut [T]) {
    out.copy_from_slice(row);
    if let Some(center) = entry.center {
        out.iter_mut().zip(center).for_each(|(x, &c)| *x -= c);
    }
    if let Some(weights) = entry.weights {
        out.iter_mut().zip(weights).for_each(|(x, &w)| *x *= w);
    }
}

/// Eight partial sums, so that the compiler can keep them in vectors; no fused operations, so that rows and
/// columns of any panel width get the same bits.
fn squared_norm<T: Real>(x: &[T]) -> T {
    let mut sums = [T::default(); 8];
    let mut chunks = x.chunks_exact(8);
    for chunk in &mut chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    for (sum, &x) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += x * x;
    }
    sums.iter().fold(T::default(), |a, &b| a + b)
}
