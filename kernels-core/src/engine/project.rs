//! Rows against directions, and functions of their inner products: the inner loop of random features.

use std::ops::Range;

use super::{
    pack::{Entry, Panels},
    pairwise::{COLUMNS_FEW, COLUMNS_MANY, Inner, MAX_CELL, ROW_VECTORS, Rule, Sides},
};
use crate::{
    Real, Rows, Tile, Vector, Workspace,
    simd::{MAX_LANES, Work, load_some, store_some},
};

/// What features a direction has. Methods and no closures, so that they are compiled for the processor's vectors.
pub(crate) trait Waves<T: Real>: Sync {
    /// Features a direction: 1 or 2. Feature `b` of direction `j` of m is column `b · m + j`.
    const OUTPUTS: usize;

    /// The features of direction `j` from inner products with it; `row` has a number of each row. Mark it
    /// `#[inline(always)]`.
    fn features<V: Vector<Scalar = T>>(&self, j: usize, inner: V, row: V) -> [V; 2];
}

/// Overwrites `out` with the features of some rows. `directions` holds m of them, one after another; `numbers` one a row, or nothing
/// for zeros. A row's features depend on that row alone, not on how rows are cut.
pub(crate) fn project<T: Real>(
    xs: &Rows<T>,
    rows: Range<usize>,
    (directions, count): (&[f64], usize),
    numbers: &[T],
    waves: &impl Waves<T>,
    out: Tile<'_, T>,
    ws: &mut Workspace<T>,
) {
    T::dispatch(Project { xs, rows, directions, count, numbers, waves, out, ws });
}

struct Project<'a, T: Real, W> {
    xs: &'a Rows<T>,
    rows: Range<usize>,
    directions: &'a [f64],
    count: usize,
    numbers: &'a [T],
    waves: &'a W,
    out: Tile<'a, T>,
    ws: &'a mut Workspace<T>,
}

impl<T: Real, W: Waves<T>> Work<T> for Project<'_, T, W> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        if V::MANY {
            self.with_columns::<V, COLUMNS_MANY>();
        } else {
            self.with_columns::<V, COLUMNS_FEW>();
        }
    }
}

impl<T: Real, W: Waves<T>> Project<'_, T, W> {
    #[inline(always)]
    fn with_columns<V: Vector<Scalar = T>, const C: usize>(self) {
        let Self { xs, rows, directions, count, numbers, waves, mut out, ws } = self;
        let (n, width) = (rows.len(), ROW_VECTORS * V::LANES);
        assert_eq!(out.shape(), (n, count * W::OUTPUTS), "the output must have a column a feature");
        if n == 0 || count == 0 {
            return;
        }
        let left = Panels::new(xs, rows, width, &Entry::RAW, false, ws);
        let right = Panels::of_values(directions, xs.dim(), C, count, ws);
        let mut cell = [T::default(); MAX_CELL];
        let cell = &mut cell[..width * C];
        let none = [T::default(); MAX_LANES];
        for q in 0..count.div_ceil(C) {
            for p in 0..n.div_ceil(width) {
                Inner.cell::<V, C>(&Sides { left: &left, right: &right, p, q }, cell);
                for (j, column) in (q * C..count).zip(cell.chunks_exact(width)) {
                    for (i, inner) in (p * width..n).step_by(V::LANES).zip(column.chunks_exact(V::LANES)) {
                        let some = if numbers.is_empty() { &none[..] } else { &numbers[i..] };
                        let values = waves.features(j, V::load(inner), load_some::<V>(some));
                        let last = (i + V::LANES).min(n);
                        for (b, value) in values.into_iter().enumerate().take(W::OUTPUTS) {
                            let mut to = out.column_mut(b * count + j);
                            store_some(value, &mut to.as_mut_slice()[i..last]);
                        }
                    }
                }
            }
        }
        left.recycle(ws);
        right.recycle(ws);
    }
}
