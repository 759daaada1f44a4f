//! Pairs of paths in the lanes of vectors, and the numbers on the cells of their grids.
//!
//! A pair of paths with m and n segments is a grid of m × n cells; every recurrence of this module sweeps it row by
//! row. One pair has a long chain of dependent steps; [`Pair`]s do not depend on one another, so each takes a lane.
//! Shorter paths are filled up with cells of 0, and a lane is read where its own path ends: nothing that is computed
//! there depends on what comes later in the sweep, so a value has the same bits in whatever company it is computed.

use std::ops::Range;

use super::scaled::ScaledValue;
use crate::{
    Vector,
    simd::{MAX_LANES, Simd, Work},
};

/// Two paths whose grid is to be swept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Index of the path along the rows of the grid, and of the one along its columns.
    pub(super) x: usize,
    pub(super) y: usize,
    /// Numbers of segments (or of knots, for alignments), at least 1.
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Factor of every cell.
    pub(super) scale: f64,
    /// How the pair is to be swept.
    pub(super) plan: Plan,
    /// Whether values may leave the range of f64 on the way.
    pub(super) watch: bool,
    /// Weight of the pair's value in a gradient.
    pub(super) weight: ScaledValue,
}

/// Degree of the polynomials on cell edges (0 for recurrences on vertices), and how often cells are halved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plan {
    pub(super) degree: usize,
    pub(super) halve_rows: u32,
    pub(super) halve_cols: u32,
}

/// Where the numbers on cells come from.
pub(super) enum Source<'a> {
    /// Inner products of the increments of two data sets.
    Linear(&'a Steps, &'a Steps),
    /// Anything else.
    Lifted(&'a dyn Strips),
}

/// Numbers on the cells of a pair, a strip of rows at a time.
pub(super) trait Strips: Sync {
    /// Overwrites `out`, row by row, with the numbers of `rows` of the grid.
    fn strip(&self, pair: &Pair, rows: Range<usize>, out: &mut [f64]);
}

/// Increments of all paths of a data set.
pub(super) struct Steps {
    pub(super) dim: usize,
    /// Path i has the increments `offsets[i]..offsets[i + 1]`.
    pub(super) offsets: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Steps {
    pub(super) fn of(&self, i: usize) -> &[f64] {
        &self.values[self.offsets[i] * self.dim..self.offsets[i + 1] * self.dim]
    }
}

/// About as many cells of a pair are kept at once.
const STRIP: usize = 4096;

/// Rows of a strip: aligned pieces, so that sweeps in both directions meet the same.
fn strip_rows(cols: usize) -> usize {
    (STRIP / cols.max(1)).clamp(8, 1024)
}

/// The cells of one pair in each lane, row after row.
pub(super) struct Cells<'a> {
    source: &'a Source<'a>,
    pub(super) lanes: &'a [Pair],
    width: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Linear: increments, `[(step * dim + feature) * width + lane]`.
    dx: Vec<f64>,
    dy: Vec<f64>,
    /// The current row, or the current strip of rows, `[(row * cols + col) * width + lane]`.
    row: Vec<f64>,
    strip: Range<usize>,
    one: Vec<f64>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(source: &'a Source<'a>, lanes: &'a [Pair], width: usize) -> Self {
        let rows = lanes.iter().map(|p| p.rows).max().unwrap_or(0);
        let cols = lanes.iter().map(|p| p.cols).max().unwrap_or(0);
        let mut cells = Self {
            source,
            lanes,
            width,
            rows,
            cols,
            dx: Vec::new(),
            dy: Vec::new(),
            row: Vec::new(),
            strip: 0..0,
            one: Vec::new(),
        };
        match source {
            Source::Linear(xs, _) if xs.dim == 0 => cells.row = vec![0.0; cols * width],
            Source::Linear(xs, ys) => {
                cells.dx = vec![0.0; rows * xs.dim * width];
                cells.dy = vec![0.0; cols * ys.dim * width];
                for (lane, pair) in lanes.iter().enumerate() {
                    let to = cells.dx[lane..].iter_mut().step_by(width);
                    to.zip(xs.of(pair.x)).for_each(|(to, from)| *to = from * pair.scale);
                    let to = cells.dy[lane..].iter_mut().step_by(width);
                    to.zip(ys.of(pair.y)).for_each(|(to, from)| *to = *from);
                }
                cells.row = vec![0.0; TOGETHER.min(rows) * cols * width];
            }
            Source::Lifted(_) => {
                cells.row = vec![0.0; strip_rows(cols).min(rows) * cols * width];
                cells.one = vec![0.0; strip_rows(cols).min(rows) * cols];
            }
        }
        cells
    }

    /// The numbers of row `i`: `[col * width + lane]`.
    pub(super) fn row(&mut self, i: usize) -> &[f64] {
        match self.source {
            Source::Linear(xs, _) => {
                if !self.strip.contains(&i) {
                    let start = i / TOGETHER * TOGETHER;
                    self.strip = start..(start + TOGETHER).min(self.rows);
                    let size = xs.dim * self.width;
                    let dx = &self.dx[self.strip.start * size..self.strip.end * size];
                    let out = &mut self.row[..self.strip.len() * self.cols * self.width];
                    f64::dispatch(Products { dim: xs.dim, dx, dy: &self.dy, out });
                }
                let size = self.cols * self.width;
                &self.row[(i - self.strip.start) * size..][..size]
            }
            Source::Lifted(strips) => {
                if !self.strip.contains(&i) {
                    self.fill(*strips, i);
                }
                let size = self.cols * self.width;
                let start = (i - self.strip.start) * size;
                &self.row[start..start + size]
            }
        }
    }

    /// Fetches the strip that row `i` is in.
    fn fill(&mut self, strips: &dyn Strips, i: usize) {
        let step = strip_rows(self.cols);
        let start = i / step * step;
        self.strip = start..(start + step).min(self.rows);
        for (lane, pair) in self.lanes.iter().enumerate() {
            let rows = start.min(pair.rows)..self.strip.end.min(pair.rows);
            let one = &mut self.one[..rows.len() * pair.cols];
            if !rows.is_empty() {
                strips.strip(pair, rows.clone(), one);
            }
            for r in 0..self.strip.len() {
                let to = &mut self.row[r * self.cols * self.width + lane..];
                let to = to.iter_mut().step_by(self.width).take(self.cols);
                if r < rows.len() {
                    let from = one[r * pair.cols..(r + 1) * pair.cols].iter().map(|g| g * pair.scale);
                    to.zip(from.chain(std::iter::repeat(0.0))).for_each(|(to, from)| *to = from);
                } else {
                    to.for_each(|to| *to = 0.0);
                }
            }
        }
    }

    /// The strip of rows, as [`Cells::row`] cuts them, that row `i` is in.
    pub(super) fn strip_of(&self, i: usize) -> Range<usize> {
        let step = strip_rows(self.cols);
        let start = i / step * step;
        start..(start + step).min(self.rows)
    }
}

/// Rows whose inner products are made together: the increments of y then are read half as often.
const TOGETHER: usize = 2;

/// One row of inner products of increments, or [`TOGETHER`] of them.
pub(super) struct Products<'a> {
    pub(super) dim: usize,
    pub(super) dx: &'a [f64],
    pub(super) dy: &'a [f64],
    pub(super) out: &'a mut [f64],
}

impl Work<f64> for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        match self.dim {
            0 => self.out.fill(0.0),
            1 => self.few::<V, 1>(),
            2 => self.few::<V, 2>(),
            3 => self.few::<V, 3>(),
            5 => self.few::<V, 5>(),
            _ => self.many::<V>(),
        }
    }
}

impl Products<'_> {
    /// The steps of x stay in registers.
    #[inline(always)]
    fn few<V: Vector<Scalar = f64>, const D: usize>(self) {
        if self.dx.len() == D * V::LANES { self.rows::<V, D, 1>() } else { self.rows::<V, D, TOGETHER>() }
    }

    #[inline(always)]
    fn rows<V: Vector<Scalar = f64>, const D: usize, const R: usize>(self) {
        let l = V::LANES;
        let mut dx = [[V::splat(0.0); D]; R];
        for r in 0..R {
            for k in 0..D {
                dx[r][k] = V::load(&self.dx[(r * D + k) * l..]);
            }
        }
        let size = self.out.len() / R;
        let (first, second) = self.out.split_at_mut(size);
        for (j, dy) in self.dy.chunks_exact(D * l).enumerate() {
            let mut sums = [V::splat(0.0); R];
            for k in 0..D {
                let y = V::load(&dy[k * l..]);
                for r in 0..R {
                    sums[r] = if k == 0 { dx[r][0] * y } else { dx[r][k].mul_add(y, sums[r]) };
                }
            }
            sums[0].store(&mut first[j * l..]);
            if R > 1 {
                sums[R - 1].store(&mut second[j * l..]);
            }
        }
    }

    #[inline(always)]
    fn many<V: Vector<Scalar = f64>>(self) {
        let l = V::LANES;
        let (dim, cols) = (self.dim, self.dy.len() / (self.dim * l));
        for (out, dx) in self.out.chunks_exact_mut(cols * l).zip(self.dx.chunks_exact(dim * l)) {
            for (out, dy) in out.chunks_exact_mut(l).zip(self.dy.chunks_exact(dim * l)) {
                let mut sum = V::splat(0.0);
                for (x, y) in dx.chunks_exact(l).zip(dy.chunks_exact(l)) {
                    sum = V::load(x).mul_add(V::load(y), sum);
                }
                sum.store(out);
            }
        }
    }
}

/// Lanes of the vectors of this processor.
pub(super) fn width() -> usize {
    struct Lanes;
    impl Work<f64> for Lanes {
        type Output = usize;
        #[inline(always)]
        fn run<V: Vector<Scalar = f64>>(self) -> usize {
            V::LANES
        }
    }
    f64::dispatch(Lanes)
}

/// Where lanes stand in powers of two: values are 2^`exponent` times what is stored.
#[derive(Clone)]
pub(super) struct Exponents {
    pub(super) lanes: [i64; MAX_LANES],
    /// 2^−exponent in each lane: what the constant 1 is stored as.
    pub(super) one: [f64; MAX_LANES],
}

impl Exponents {
    pub(super) fn new() -> Self {
        Self { lanes: [0; MAX_LANES], one: [1.0; MAX_LANES] }
    }

    /// Brings lanes back near 1 whose largest value has grown past 2^500, or has shrunk below 2^−500.
    pub(super) fn settle(&mut self, values: &mut [f64], width: usize) {
        let mut largest = [0.0_f64; MAX_LANES];
        for v in values.chunks_exact(width) {
            for (m, x) in largest.iter_mut().zip(v) {
                *m = m.max(x.abs());
            }
        }
        for (lane, &m) in largest.iter().enumerate().take(width) {
            if m > 3e150 || m < 3e-151 && m > 0.0 {
                let k = exponent_of(m);
                if k == i64::MAX {
                    continue; // infinite: nothing can be done
                }
                let factor = power_of_two(-k);
                values[lane..].iter_mut().step_by(width).for_each(|v| *v *= factor);
                self.lanes[lane] += k;
                self.one[lane] = power_of_two(-self.lanes[lane]);
            }
        }
    }
}

/// The integer e with 2^e ≤ |v| < 2^(e+1), roughly for subnormals; `i64::MAX` for ∞ and NaN.
pub(super) fn exponent_of(v: f64) -> i64 {
    match (v.to_bits() >> 52 & 0x7ff) as i64 {
        0x7ff => i64::MAX,
        e => e - 1023,
    }
}

/// 2^k, 0 where that is too small and ∞ where it is too large.
pub(super) fn power_of_two(k: i64) -> f64 {
    if k < -1074 {
        0.0
    } else if k > 1023 {
        f64::INFINITY
    } else if k >= -1022 {
        f64::from_bits(((k + 1023) as u64) << 52)
    } else {
        f64::from_bits(1 << (k + 1074))
    }
}

/// Pairs of a task: whole batches for every width of vectors.
pub(super) const PIECE: usize = 32;

/// How a grid is swept; all methods work on one pair a lane, `width` of them.
pub(super) trait Scheme: Copy + Send + Sync {
    /// The scheme of a plan.
    fn with_plan(self, plan: Plan) -> Self;
    /// Scalars a lane that a sweep carries from row to row.
    fn frontier(&self, cols: usize) -> usize;
    /// The frontier before the first row, of ones and zeros.
    fn start(&self, frontier: &mut [f64], width: usize);
    /// Parts of a row: more than one when cells are divided.
    fn parts(&self) -> usize;
    /// One part of a row of cells; `one` is 1 on the scale of each lane, `tops` receives what [`Scheme::value`] needs beside the
    /// frontier, or has no room for it.
    fn part(&self, g: &[f64], frontier: &mut [f64], one: &[f64], tops: &mut [f64]);
    /// The value of a pair that is swept alone, where there is a faster way than in one lane of many.
    fn alone(&self, _: &Source<'_>, _: &Pair) -> Option<ScaledValue> {
        None
    }
    /// All parts of a row of cells.
    fn row(&self, g: &[f64], frontier: &mut [f64], one: &[f64], tops: &mut [f64]);
    /// Scalars a lane of `tops`.
    fn tops(&self, cols: usize) -> usize;
    /// The value of a lane whose path has `cols` segments and ends with the row just swept.
    fn value(&self, frontier: &[f64], tops: &[f64], cols: usize, lane: usize, width: usize) -> f64;
}

/// The values of pairs that share a plan, at most as many as a vector has lanes.
fn forward<S: Scheme>(
    scheme: &S,
    source: &Source<'_>,
    lanes: &[Pair],
    width: usize,
    out: &mut [ScaledValue],
) {
    // Bands pay when most lanes would be empty and every grid is larger than a few of them.
    if 2 * lanes.len() <= width && lanes.iter().all(|p| p.rows.min(p.cols) >= 4 * width) {
        let alone = lanes.iter().map(|pair| scheme.alone(source, pair)).collect::<Option<Vec<_>>>();
        if let Some(values) = alone {
            return out.copy_from_slice(&values);
        }
    }
    let mut cells = Cells::new(source, lanes, width);
    let (rows, cols) = (cells.rows, cells.cols);
    let mut frontier = vec![0.0; scheme.frontier(cols) * width];
    let mut tops = vec![0.0; scheme.tops(cols) * width];
    scheme.start(&mut frontier, width);
    let mut exponents = Exponents::new();
    let watch = lanes.iter().any(|p| p.watch);
    for i in 0..rows {
        if watch {
            let g = cells.row(i);
            for part in 0..scheme.parts() {
                if part > 0 {
                    exponents.settle(&mut frontier, width);
                }
                scheme.part(g, &mut frontier, &exponents.one, &mut tops);
            }
        } else {
            scheme.row(cells.row(i), &mut frontier, &exponents.one, &mut tops);
        }
        for (lane, pair) in lanes.iter().enumerate() {
            if pair.rows == i + 1 {
                let value = scheme.value(&frontier, &tops, pair.cols, lane, width);
                out[lane] = ScaledValue::new(value, exponents.lanes[lane]);
            }
        }
        if watch {
            exponents.settle(&mut frontier, width);
        }
    }
}

/// Calls `work` with batches of pairs, by their range: equal plans, at most `width` at once.
pub(super) fn for_batches(pairs: &[Pair], width: usize, mut work: impl FnMut(Range<usize>)) {
    let mut start = 0;
    while start < pairs.len() {
        let plan = pairs[start].plan;
        let end = start + pairs[start..].iter().take(width).take_while(|p| p.plan == plan).count();
        work(start..end);
        start = end;
    }
}

/// An order of the pairs in which batches have equal plans and similar lengths.
pub(super) fn batch_order(pairs: &[Pair]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| (pairs[i].plan, pairs[i].rows, pairs[i].cols, i));
    order
}

/// The values of all pairs, in their order.
pub(super) fn values<S: Scheme>(source: &Source<'_>, pairs: &[Pair], scheme: S) -> Vec<ScaledValue> {
    let order = batch_order(pairs);
    let sorted: Vec<Pair> = order.iter().map(|&i| pairs[i]).collect();
    let width = width();
    let parts = crate::engine::map_tasks::<f64, _>(sorted.len().div_ceil(PIECE), |task, _| {
        let piece = &sorted[task * PIECE..((task + 1) * PIECE).min(sorted.len())];
        let mut out = vec![ScaledValue::ONE; piece.len()];
        for_batches(piece, width, |batch| {
            let lanes = &piece[batch.clone()];
            forward(&scheme.with_plan(lanes[0].plan), source, lanes, width, &mut out[batch]);
        });
        out
    });
    let mut out = vec![ScaledValue::ONE; pairs.len()];
    for (value, i) in parts.into_iter().flatten().zip(order) {
        out[i] = value;
    }
    out
}
