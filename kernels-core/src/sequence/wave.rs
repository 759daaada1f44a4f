//! One pair by itself: as many successive rows of its grid as a vector has lanes, each a column behind the one above.
//!
//! Pairs side by side keep lanes busy only when there are as many. A long pair alone is swept in bands of rows: lane L is in row r + L
//! and column t − L at step t, takes the edge the lane above left a step before, and hands its own on. Every cell does the
//! arithmetic it does in company, so that values have the same bits.

use super::{
    cells::{Exponents, Pair, Plan, Products, Source, width},
    scaled::ScaledValue,
    tile::{INVERSE_FACTORIAL, Tile, with_degree},
};
use crate::{
    Vector,
    simd::{MAX_LANES, Simd, Work},
};

/// The value of a pair, whose grid should be larger than a few bands.
pub(super) fn alone(plan: Plan, source: &Source<'_>, pair: &Pair) -> ScaledValue {
    let lanes = width();
    let (rows, cols) = (pair.rows << plan.halve_rows, pair.cols << plan.halve_cols);
    let size = plan.degree + 1;
    let mut band = Band::new(source, pair, lanes);
    let mut frontier = vec![0.0; cols * size];
    frontier.iter_mut().step_by(size).for_each(|l| *l = 1.0);
    let mut exponents = Exponents::new();
    let mut value = 0.0;
    for first in (0..rows).step_by(lanes) {
        band.fill(first, plan.halve_rows);
        let last = (rows - 1 - first < lanes).then(|| rows - 1 - first);
        let one = exponents.one[0];
        f64::dispatch(Wave {
            plan,
            numbers: &band.numbers,
            frontier: &mut frontier,
            one,
            last,
            value: &mut value,
        });
        if last.is_none() && pair.watch {
            exponents.settle(&mut frontier, 1);
        }
    }
    ScaledValue::new(value, exponents.lanes[0])
}

/// The numbers on the cells of a band of rows: `[col * lanes + lane]`, 0 beyond the last row.
struct Band<'a> {
    source: &'a Source<'a>,
    pair: &'a Pair,
    lanes: usize,
    numbers: Vec<f64>,
    /// Linear: increments of the band's rows, and those of the columns in every lane, as [`Products`] has them.
    dx: Vec<f64>,
    dy: Vec<f64>,
    /// Lifted: rows of cells, as they come.
    strip: Vec<f64>,
}

impl<'a> Band<'a> {
    fn new(source: &'a Source<'a>, pair: &'a Pair, lanes: usize) -> Self {
        let (dx, dy, strip) = match source {
            Source::Linear(xs, ys) => {
                let every = |v: &f64| std::iter::repeat_n(*v, lanes);
                (vec![0.0; xs.dim * lanes], ys.of(pair.y).iter().flat_map(every).collect(), Vec::new())
            }
            Source::Lifted(_) => (Vec::new(), Vec::new(), vec![0.0; lanes * pair.cols]),
        };
        Self { source, pair, lanes, numbers: vec![0.0; pair.cols * lanes], dx, dy, strip }
    }

    /// Rows of parts from `first` on; 2^`halve` of them share a row of cells.
    fn fill(&mut self, first: usize, halve: u32) {
        let (lanes, pair) = (self.lanes, self.pair);
        let row = |lane: usize| Some((first + lane) >> halve).filter(|&row| row < pair.rows);
        match self.source {
            Source::Linear(xs, _) => {
                let steps = xs.of(pair.x);
                for lane in 0..lanes {
                    for k in 0..xs.dim {
                        let step = row(lane).map_or(0.0, |row| steps[row * xs.dim + k] * pair.scale);
                        self.dx[k * lanes + lane] = step;
                    }
                }
                let (dx, dy) = (&self.dx, &self.dy);
                f64::dispatch(Products { dim: xs.dim, dx, dy, out: &mut self.numbers });
            }
            Source::Lifted(strips) => {
                let start = first >> halve;
                let end = (((first + lanes - 1) >> halve) + 1).min(pair.rows);
                let strip = &mut self.strip[..(end - start) * pair.cols];
                strips.strip(pair, start..end, strip);
                for lane in 0..lanes {
                    let to = self.numbers[lane..].iter_mut().step_by(lanes);
                    match row(lane) {
                        Some(row) => {
                            let from = &strip[(row - start) * pair.cols..][..pair.cols];
                            to.zip(from).for_each(|(to, from)| *to = from * pair.scale);
                        }
                        None => to.for_each(|to| *to = 0.0),
                    }
                }
            }
        }
    }
}

/// One band.
struct Wave<'a> {
    plan: Plan,
    numbers: &'a [f64],
    /// The edges below the rows above, column by column; afterwards those below the band.
    frontier: &'a mut [f64],
    /// 1 on the scale of the frontier.
    one: f64,
    /// The lane of the last row of the grid, where it is in this band; `value` is then written.
    last: Option<usize>,
    value: &'a mut f64,
}

impl Work<f64> for Wave<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        with_degree!(self.plan.degree, N, self.with::<V, N>());
    }
}

impl Wave<'_> {
    #[inline(always)]
    fn with<V: Vector<Scalar = f64>, const N: usize>(self) {
        let tile = Tile::<N> { plan: self.plan };
        let (size, lanes, halve) = (tile.size(), V::LANES, self.plan.halve_cols);
        let cols = self.frontier.len() / size;
        let share = V::splat(tile.share());
        let mut b = [V::splat(0.0); N];
        b[0] = V::splat(self.one);
        // Edges on their way down, one lane further than where they were left: entry 0 is for the first lane.
        let mut falling = [[0.0_f64; MAX_LANES + 1]; N];
        falling[0] = [self.one; MAX_LANES + 1];
        for t in 0..cols + lanes - 1 {
            let mut numbers = [0.0; MAX_LANES];
            // Lanes that have not begun or are through meet a 0: before the begin, edges of `one` stay as they are.
            let begun = (t + 1).min(lanes);
            for lane in (t + 1).saturating_sub(cols)..begun {
                numbers[lane] = self.numbers[((t - lane) >> halve) * lanes + lane];
            }
            if t < cols {
                for (n, falling) in falling.iter_mut().enumerate().take(size) {
                    falling[0] = self.frontier[t * size + n];
                }
            }
            let mut l = [V::splat(0.0); N];
            for n in 0..size {
                l[n] = V::load(&falling[n]);
            }
            tile.cell(V::load(&numbers) * share, &mut b, &mut l);
            for n in 0..size {
                l[n].store(&mut falling[n][1..]);
            }
            if t + 1 >= lanes {
                let col = t + 1 - lanes;
                for (n, falling) in falling.iter().enumerate().take(size) {
                    self.frontier[col * size + n] = falling[lanes];
                }
            }
            if self.last.is_some_and(|lane| t == cols - 1 + lane) {
                // The mean of both edges' values at the last corner.
                let lane = t + 1 - cols;
                let (mut top, mut right) = (0.0, 0.0);
                let mut lane_of = [0.0; MAX_LANES];
                for n in (0..size).rev() {
                    b[n].store(&mut lane_of);
                    top = mul_add::<V>(lane_of[lane], INVERSE_FACTORIAL[n], top);
                }
                for n in (0..size).rev() {
                    right += falling[n][lane + 1] * INVERSE_FACTORIAL[n];
                }
                *self.value = 0.5 * (right + top);
            }
        }
    }
}

/// a b + c as the lanes compute it.
#[inline(always)]
fn mul_add<V: Vector<Scalar = f64>>(a: f64, b: f64, c: f64) -> f64 {
    let mut out = [0.0; MAX_LANES];
    V::splat(a).mul_add(V::splat(b), V::splat(c)).store(&mut out);
    out[0]
}
