//! Blocks of kernels that go through the features of a pair one by one: sums, products and ratios of terms of two
//! coordinates. Vectors hold rows, a few columns share what is loaded.

use std::ops::Range;

use crate::{
    Block, Points, Real, Rows, Tile, Vector, Workspace,
    simd::{MAX_LANES, Work, store_some},
};

/// Columns done together.
const COLUMNS: usize = 4;

/// What is done with a pair of rows. Everything must give the same bits when the two are exchanged.
pub(crate) trait Pairing: Sync {
    /// What the two totals start from.
    const START: [f64; 2];

    /// Changes a row before it meets others, and takes a number of its own from it.
    fn enter<T: Real>(&self, row: &mut [T]) -> T {
        let _ = row;
        T::default()
    }

    /// The totals with feature `k` taken in.
    fn step<V: Vector>(&self, k: usize, x: V, y: V, totals: [V; 2]) -> [V; 2];

    /// The kernel from the totals and the rows' own numbers.
    fn finish<V: Vector>(&self, totals: [V; 2], own: [V; 2]) -> V;
}

/// k(x, y) of one pair, with the bits of a block.
pub(crate) fn eval_pair<T: Real>(rule: &impl Pairing, x: &[T], y: &[T]) -> T {
    struct One<'a, T, R>(&'a [T], &'a [T], [T; 2], &'a R);
    impl<T: Real, R: Pairing> Work<T> for One<'_, T, R> {
        type Output = T;
        #[inline(always)]
        fn run<V: Vector<Scalar = T>>(self) -> T {
            let mut totals = R::START.map(V::splat);
            for (k, (&x, &y)) in self.0.iter().zip(self.1).enumerate() {
                totals = self.3.step(k, V::broadcast(x), V::broadcast(y), totals);
            }
            let mut lanes = [T::default(); MAX_LANES];
            self.3.finish(totals, self.2.map(V::broadcast)).store(&mut lanes);
            lanes[0]
        }
    }
    let (mut x, mut y) = (x.to_vec(), y.to_vec());
    let own = [rule.enter(&mut x), rule.enter(&mut y)];
    T::dispatch(One(&x, &y, own, rule))
}

/// k(x, x).
pub(crate) fn diagonal_pairs<T: Real>(rule: &impl Pairing, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
    for (out, i) in out.iter_mut().zip(rows) {
        *out = eval_pair(rule, xs.point(i), xs.point(i));
    }
}

/// Overwrites `out` with the kernel values of a block.
pub(crate) fn fill_pairs<T: Real, R: Pairing>(
    at: &Block<'_, Rows<T>>,
    rule: &R,
    mut out: Tile<'_, T>,
    ws: &mut Workspace<T>,
) {
    let (rows, cols) = at.shape();
    if rows == 0 || cols == 0 {
        return;
    }
    T::dispatch(Fill { at, rule, out: &mut out, ws });
}

struct Fill<'a, 'p, 'o, T: Real, R> {
    at: &'a Block<'p, Rows<T>>,
    rule: &'a R,
    out: &'a mut Tile<'o, T>,
    ws: &'a mut Workspace<T>,
}

impl<T: Real, R: Pairing> Work<T> for Fill<'_, '_, '_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        let Self { at, rule, out, ws } = self;
        let ((rows, cols), dim) = (at.shape(), at.ys().dim());
        let height = rows.next_multiple_of(V::LANES);
        // Features outermost, the last row repeated, so that padding is as finite as the data.
        let (mut left, mut left_own) = (ws.take(height * dim), ws.take(height));
        let (mut right, mut right_own) = (ws.take(cols * dim), ws.take(cols));
        let mut row = ws.take(dim);
        for slot in 0..height {
            row.copy_from_slice(at.xs().point(at.rows().start + slot.min(rows - 1)));
            left_own[slot] = rule.enter(&mut row);
            for (k, &x) in row.iter().enumerate() {
                left[k * height + slot] = x;
            }
        }
        for (c, own) in right_own.iter_mut().enumerate() {
            let row = &mut right[c * dim..(c + 1) * dim];
            row.copy_from_slice(at.ys().point(at.cols().start + c));
            *own = rule.enter(row);
        }
        for c in (0..cols).step_by(COLUMNS) {
            let width = COLUMNS.min(cols - c);
            let mut ys: [&[T]; COLUMNS] = [&[]; COLUMNS];
            for (j, y) in ys.iter_mut().enumerate() {
                let column = (c + j).min(cols - 1);
                *y = &right[column * dim..(column + 1) * dim];
            }
            for r in (0..height).step_by(V::LANES) {
                let start = [V::splat(R::START[0]), V::splat(R::START[1])];
                let mut totals = [start; COLUMNS];
                for k in 0..dim {
                    let x = V::load(&left[k * height + r..]);
                    for j in 0..COLUMNS {
                        totals[j] = rule.step(k, x, V::broadcast(ys[j][k]), totals[j]);
                    }
                }
                let own = V::load(&left_own[r..]);
                let end = (r + V::LANES).min(rows);
                for (j, totals) in totals.into_iter().take(width).enumerate() {
                    let value = rule.finish(totals, [own, V::broadcast(right_own[c + j])]);
                    let mut column = out.column_mut(c + j);
                    store_some(value, &mut column.as_mut_slice()[r..end]);
                }
            }
        }
        for buffer in [left, left_own, right, right_own, row] {
            ws.give(buffer);
        }
    }
}
