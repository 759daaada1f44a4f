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
        if dim < FEW && entry.center.is_none() && entry.weights.is_none() && !with_norms {
            transpose(xs.slice(rows), dim, width, &mut values);
            return Self { values, norms, largest, dim, width };
        }
        // Apart by what is no power of two, or all rows of a panel would compete for the same lines of the cache.
        let stride = dim + 8;
        let mut entered = ws.take(width * stride);
        for p in 0..panels {
            for i in 0..width {
                let slot = p * width + i;
                let row = (rows.start + slot).min(rows.end - 1);
                let entered = &mut entered[i * stride..][..dim];
                enter(xs.slice(row..row + 1), entry, entered);
                if with_norms {
                    let norm = squared_norm(entered);
                    norms[slot] = norm;
                    let largest = &mut largest[p];
                    // A NaN is left out: the distances it belongs to are NaN and never trusted.
                    *largest = if norm > *largest { norm } else { *largest };
                }
            }
            interleave(&entered, stride, dim, &mut values[p * width * dim..][..width * dim], width);
        }
        ws.give(entered);
        Self { values, norms, largest, dim, width }
    }

    /// Panels of rows given in f64, row by row, as they are.
    pub(super) fn of_values(rows: &[f64], dim: usize, width: usize, n: usize, ws: &mut Workspace<T>) -> Self {
        let panels = n.div_ceil(width);
        let mut values = ws.take(panels * width * dim);
        if dim > 0 {
            for (p, panel) in values.chunks_exact_mut(width * dim).enumerate() {
                for i in 0..width {
                    let row = &rows[(p * width + i).min(n - 1) * dim..][..dim];
                    for (to, &value) in panel.chunks_exact_mut(width).zip(row) {
                        to[i] = T::of(value);
                    }
                }
            }
        }
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

/// Features below which rows go to panels value by value.
const FEW: usize = 16;

/// Rows into panels; the last row is repeated where the last panel has room.
fn transpose<T: Copy>(rows: &[T], dim: usize, width: usize, panels: &mut [T]) {
    if dim == 0 {
        return;
    }
    for (panel, rows) in panels.chunks_exact_mut(width * dim).zip(rows.chunks(width * dim)) {
        let count = rows.len() / dim;
        for (k, column) in panel.chunks_exact_mut(width).enumerate() {
            for (to, row) in column.iter_mut().zip(rows.chunks_exact(dim)) {
                *to = row[k];
            }
            column[count..].fill(rows[(count - 1) * dim + k]);
        }
    }
}

fn enter<T: Real>(row: &[T], entry: &Entry<'_, T>, out: &mut [T]) {
    match (entry.center, entry.weights) {
        (None, None) => out.copy_from_slice(row),
        (Some(center), None) => {
            out.iter_mut().zip(row).zip(center).for_each(|((to, &x), &c)| *to = x - c);
        }
        (None, Some(weights)) => {
            out.iter_mut().zip(row).zip(weights).for_each(|((to, &x), &w)| *to = x * w);
        }
        (Some(center), Some(weights)) => {
            let pairs = center.iter().zip(weights);
            out.iter_mut().zip(row).zip(pairs).for_each(|((to, &x), (&c, &w))| *to = (x - c) * w);
        }
    }
}

/// Rows, `stride` apart, to a panel of `width`, features outermost.
fn interleave<T: Real>(rows: &[T], stride: usize, dim: usize, panel: &mut [T], width: usize) {
    match width {
        6 => interleave_by::<T, 6>(rows, stride, dim, panel),
        8 => interleave_by::<T, 8>(rows, stride, dim, panel),
        12 => interleave_by::<T, 12>(rows, stride, dim, panel),
        16 => interleave_by::<T, 16>(rows, stride, dim, panel),
        32 => interleave_by::<T, 32>(rows, stride, dim, panel),
        _ => {
            for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                to.iter_mut().enumerate().for_each(|(i, to)| *to = rows[i * stride + k]);
            }
        }
    }
}

fn interleave_by<T: Real, const W: usize>(rows: &[T], stride: usize, dim: usize, panel: &mut [T]) {
    let rows: [&[T]; W] = std::array::from_fn(|i| &rows[i * stride..][..dim]);
    for (k, to) in panel.chunks_exact_mut(W).enumerate().take(dim) {
        for i in 0..W {
            to[i] = rows[i][k];
        }
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
