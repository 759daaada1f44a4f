//! The polynomial tile solver of the signature kernel.
//!
//! On a cell with the number G, in coordinates of the unit square, the kernel solves ∂s∂t K = G K. Its values on an
//! edge are a polynomial, kept by its derivatives at the corner: Bₖ on the edge t = 0, Lₖ on s = 0. The opposite edges
//! are
//!
//! Tₙ = Σ_{j<n} Gʲ/j! Bₙ₋ⱼ + Gⁿ Σₖ Lₖ/(n+k)!,   Uₙ = Σ_{j<n} Gʲ/j! Lₙ₋ⱼ + Gⁿ Σₖ Bₖ/(n+k)!
//!
//! from the power series of the exact solution; degrees above a bound are dropped, which is the only error.
//!
//! Reference: Cass, Piatti, Pei, *Numerical schemes for signature kernels* (2025).

use super::{
    adjoint::Adjoint,
    cells::{Pair, Plan, Scheme, Source, width},
    scaled::ScaledValue,
    wave,
};
use crate::{
    Vector,
    simd::{Simd, Work},
};

/// The highest degree of polynomials.
pub(super) const MOST_DEGREE: usize = 48;

/// Tiles of as many coefficients are compiled for their degree; others have room for `MIDDLE`, or for all.
const SMALL: usize = 13;
pub(super) const MIDDLE: usize = 17;

/// 1/k! for k up to twice the highest degree.
pub(super) static INVERSE_FACTORIAL: [f64; 2 * MOST_DEGREE + 1] = inverse_factorials();

const fn inverse_factorials() -> [f64; 2 * MOST_DEGREE + 1] {
    let mut out = [1.0; 2 * MOST_DEGREE + 1];
    let mut factorial = 1.0;
    let mut k = 1;
    while k < out.len() {
        factorial *= k as f64;
        out[k] = 1.0 / factorial;
        k += 1;
    }
    out
}

/// Polynomials of degree `degree` < N on cells divided into 2^rows × 2^cols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<const N: usize> {
    pub(super) plan: Plan,
}

impl<const N: usize> Tile<N> {
    /// Coefficients of an edge: a constant where N was chosen for the degree.
    #[inline(always)]
    pub(super) fn size(self) -> usize {
        if N <= SMALL { N } else { self.plan.degree + 1 }
    }

    pub(super) fn share(self) -> f64 {
        let halvings = i32::try_from(self.plan.halve_rows + self.plan.halve_cols).unwrap_or(0);
        0.5_f64.powi(halvings)
    }

    /// One cell: edges `b` and `l` are replaced by the opposite ones.
    #[inline(always)]
    pub(super) fn cell<V: Vector<Scalar = f64>>(self, g: V, b: &mut [V; N], l: &mut [V; N]) {
        let size = self.size();
        // Gʲ/j!
        let mut e = [V::splat(1.0); N];
        for j in 1..size {
            e[j] = e[j - 1] * g * V::splat(1.0 / j as f64);
        }
        let (mut t, mut u) = ([V::splat(0.0); N], [V::splat(0.0); N]);
        let mut power = V::splat(1.0);
        for n in 0..size {
            let (mut from_l, mut from_b) = (V::splat(0.0), V::splat(0.0));
            for k in (0..size).rev() {
                let w = V::splat(INVERSE_FACTORIAL[n + k]);
                from_l = l[k].mul_add(w, from_l);
                from_b = b[k].mul_add(w, from_b);
            }
            let (mut tn, mut un) = (from_l * power, from_b * power);
            for j in 0..n {
                tn = e[j].mul_add(b[n - j], tn);
                un = e[j].mul_add(l[n - j], un);
            }
            t[n] = tn;
            u[n] = un;
            power = power * g;
        }
        *b = t;
        *l = u;
    }

    /// One row of parts of cells. With `edges`, every edge t = const on the way, the first included, is written there.
    #[inline(always)]
    pub(super) fn sweep<V: Vector<Scalar = f64>>(
        self,
        g: &[f64],
        frontier: &mut [f64],
        one: V,
        tops: &mut [f64],
        mut edges: Option<&mut [f64]>,
    ) {
        let (size, lanes) = (self.size(), V::LANES);
        let share = V::splat(self.share());
        let parts = 1_usize << self.plan.halve_cols;
        let mut b = [V::splat(0.0); N];
        b[0] = one;
        let mut left = frontier.chunks_exact_mut(size * lanes);
        let mut top = tops.chunks_exact_mut(lanes);
        let mut number = 0;
        for g in g.chunks_exact(lanes) {
            let g = V::load(g) * share;
            for _ in 0..parts {
                let Some(left) = left.next() else { return };
                if let Some(edges) = edges.as_deref_mut() {
                    let to = &mut edges[number * size * lanes..(number + 1) * size * lanes];
                    for n in 0..size {
                        b[n].store(&mut to[n * lanes..]);
                    }
                }
                number += 1;
                let mut l = [V::splat(0.0); N];
                for n in 0..size {
                    l[n] = V::load(&left[n * lanes..]);
                }
                self.cell(g, &mut b, &mut l);
                for n in 0..size {
                    l[n].store(&mut left[n * lanes..]);
                }
            }
            // The mean of both edges' values at the far corner of the cell.
            if let Some(top) = top.next() {
                let mut sum = V::splat(0.0);
                for n in (0..size).rev() {
                    sum = b[n].mul_add(V::splat(INVERSE_FACTORIAL[n]), sum);
                }
                sum.store(top);
            }
        }
    }
}

/// The solver, for any plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tiles {
    plan: Plan,
}

impl Tiles {
    fn size(self) -> usize {
        self.plan.degree + 1
    }
}

/// Work with room for polynomials of a degree, compiled for it where that is small and often chosen.
macro_rules! with_degree {
    ($degree:expr, $n:ident, $work:expr) => {
        match $degree {
            4 => {
                const $n: usize = 5;
                $work
            }
            6 => {
                const $n: usize = 7;
                $work
            }
            8 => {
                const $n: usize = 9;
                $work
            }
            10 => {
                const $n: usize = 11;
                $work
            }
            12 => {
                const $n: usize = 13;
                $work
            }
            degree if degree < $crate::sequence::tile::MIDDLE => {
                const $n: usize = $crate::sequence::tile::MIDDLE;
                $work
            }
            _ => {
                const $n: usize = $crate::sequence::tile::MOST_DEGREE + 1;
                $work
            }
        }
    };
}
pub(super) use with_degree;

/// Sweeps `times` parts of a row.
struct Sweep<'a> {
    plan: Plan,
    times: usize,
    g: &'a [f64],
    frontier: &'a mut [f64],
    one: &'a [f64],
    tops: &'a mut [f64],
    edges: Option<&'a mut [f64]>,
}

impl Work<f64> for Sweep<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        with_degree!(self.plan.degree, N, self.with::<V, N>());
    }
}

impl Sweep<'_> {
    #[inline(always)]
    fn with<V: Vector<Scalar = f64>, const N: usize>(mut self) {
        let tile = Tile::<N> { plan: self.plan };
        for _ in 0..self.times {
            tile.sweep::<V>(self.g, self.frontier, V::load(self.one), self.tops, self.edges.as_deref_mut());
        }
    }
}

impl Scheme for Tiles {
    fn with_plan(self, plan: Plan) -> Self {
        Self { plan }
    }

    fn frontier(&self, cols: usize) -> usize {
        (cols << self.plan.halve_cols) * self.size()
    }

    fn start(&self, frontier: &mut [f64], width: usize) {
        frontier.fill(0.0);
        for edge in frontier.chunks_exact_mut(self.size() * width) {
            edge[..width].fill(1.0);
        }
    }

    fn parts(&self) -> usize {
        1 << self.plan.halve_rows
    }

    fn part(&self, g: &[f64], frontier: &mut [f64], one: &[f64], tops: &mut [f64]) {
        f64::dispatch(Sweep { plan: self.plan, times: 1, g, frontier, one, tops, edges: None });
    }

    fn row(&self, g: &[f64], frontier: &mut [f64], one: &[f64], tops: &mut [f64]) {
        let times = 1 << self.plan.halve_rows;
        f64::dispatch(Sweep { plan: self.plan, times, g, frontier, one, tops, edges: None });
    }

    fn tops(&self, cols: usize) -> usize {
        cols
    }

    fn alone(&self, source: &Source<'_>, pair: &Pair) -> Option<ScaledValue> {
        Some(wave::alone(self.plan, source, pair))
    }

    fn value(&self, frontier: &[f64], tops: &[f64], cols: usize, lane: usize, width: usize) -> f64 {
        let size = self.size();
        let last = ((cols << self.plan.halve_cols) - 1) * size * width;
        let right: f64 =
            (0..size).rev().map(|n| frontier[last + n * width + lane] * INVERSE_FACTORIAL[n]).sum();
        0.5 * (right + tops[(cols - 1) * width + lane])
    }
}

impl<const N: usize> Tile<N> {
    /// One cell backwards: `b` and `l` are its lower edges, `tb` and `ub` derivatives by the opposite ones, which are
    /// replaced by those by the lower ones; returns the derivative by the number on the cell.
    #[inline(always)]
    fn back_cell<V: Vector<Scalar = f64>>(
        self,
        g: V,
        (b, l): (&[V; N], &[V; N]),
        tb: &mut [V; N],
        ub: &mut [V; N],
    ) -> V {
        let size = self.size();
        let zero = V::splat(0.0);
        let mut e = [V::splat(1.0); N];
        for j in 1..size {
            e[j] = e[j - 1] * g * V::splat(1.0 / j as f64);
        }
        let (mut q, mut r) = ([zero; N], [zero; N]);
        let (mut power, mut slope) = (V::splat(1.0), zero);
        let mut dg = zero;
        for n in 0..size {
            let (mut from_l, mut from_b) = (zero, zero);
            for k in (0..size).rev() {
                let w = V::splat(INVERSE_FACTORIAL[n + k]);
                from_l = l[k].mul_add(w, from_l);
                from_b = b[k].mul_add(w, from_b);
            }
            // `slope` is n Gⁿ⁻¹.
            let (mut dt, mut du) = (from_l * slope, from_b * slope);
            for j in 1..n {
                dt = e[j - 1].mul_add(b[n - j], dt);
                du = e[j - 1].mul_add(l[n - j], du);
            }
            dg = tb[n].mul_add(dt, ub[n].mul_add(du, dg));
            q[n] = tb[n] * power;
            r[n] = ub[n] * power;
            slope = V::splat((n + 1) as f64) * power;
            power = power * g;
        }
        let (mut bb, mut lb) = ([zero; N], [zero; N]);
        for k in 0..size {
            let (mut to_b, mut to_l) = (zero, zero);
            for n in 0..size {
                let w = V::splat(INVERSE_FACTORIAL[n + k]);
                to_b = r[n].mul_add(w, to_b);
                to_l = q[n].mul_add(w, to_l);
            }
            if k > 0 {
                for n in k..size {
                    to_b = e[n - k].mul_add(tb[n], to_b);
                    to_l = e[n - k].mul_add(ub[n], to_l);
                }
            }
            bb[k] = to_b;
            lb[k] = to_l;
        }
        *tb = bb;
        *ub = lb;
        dg
    }
}

#[inline(always)]
fn load_edge<V: Vector<Scalar = f64>, const N: usize>(from: &[f64], size: usize) -> [V; N] {
    let mut edge = [V::splat(0.0); N];
    for n in 0..size {
        edge[n] = V::load(&from[n * V::LANES..]);
    }
    edge
}

impl Adjoint for Tiles {
    fn seed(&self, cols: usize, lane: usize, weight: f64, adjoint: &mut [f64], tops: &mut [f64]) {
        // The value is the mean of both edges' at the last corner.
        let (size, width) = (self.size(), width());
        let last = ((cols << self.plan.halve_cols) - 1) * size * width;
        for n in 0..size {
            adjoint[last + n * width + lane] += 0.5 * weight * INVERSE_FACTORIAL[n];
        }
        tops[(cols - 1) * width + lane] += 0.5 * weight;
    }

    fn back(
        &self,
        g: &[f64],
        (before, _): (&[f64], &[f64]),
        one: &[f64],
        tops: Option<&[f64]>,
        adjoint: &mut [f64],
        dg: &mut [f64],
        scratch: &mut Vec<f64>,
    ) {
        // The edges on the way, from a second sweep of this part.
        scratch.resize(2 * before.len(), 0.0);
        let (edges, frontier) = scratch.split_at_mut(before.len());
        frontier.copy_from_slice(before);
        let plan = self.plan;
        let no_tops = &mut [][..];
        f64::dispatch(Sweep { plan, times: 1, g, frontier, one, tops: no_tops, edges: Some(&mut *edges) });
        f64::dispatch(Back { plan, g, before, edges, tops, adjoint, dg });
    }
}

/// One part of a row backwards.
struct Back<'a> {
    plan: Plan,
    g: &'a [f64],
    before: &'a [f64],
    edges: &'a [f64],
    tops: Option<&'a [f64]>,
    adjoint: &'a mut [f64],
    dg: &'a mut [f64],
}

impl Work<f64> for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        if self.plan.degree < MIDDLE {
            self.with::<V, MIDDLE>();
        } else {
            self.with::<V, { MOST_DEGREE + 1 }>();
        }
    }
}

impl Back<'_> {
    #[inline(always)]
    fn with<V: Vector<Scalar = f64>, const N: usize>(self) {
        let Self { plan, g, before, edges, tops, adjoint, dg } = self;
        let tile = Tile::<N> { plan };
        let (size, lanes) = (tile.size(), V::LANES);
        let parts = 1_usize << plan.halve_cols;
        let share = V::splat(tile.share());
        let mut tb = [V::splat(0.0); N];
        for cell in (0..g.len() / lanes).rev() {
            if let Some(tops) = tops {
                let seed = V::load(&tops[cell * lanes..]);
                for n in 0..size {
                    tb[n] = seed.mul_add(V::splat(INVERSE_FACTORIAL[n]), tb[n]);
                }
            }
            let number = V::load(&g[cell * lanes..]) * share;
            let mut sum = V::splat(0.0);
            for part in (cell * parts..(cell + 1) * parts).rev() {
                let at = part * size * lanes;
                let b = load_edge::<V, N>(&edges[at..], size);
                let l = load_edge::<V, N>(&before[at..], size);
                let mut ub = load_edge::<V, N>(&adjoint[at..], size);
                sum = sum + tile.back_cell(number, (&b, &l), &mut tb, &mut ub);
                for n in 0..size {
                    ub[n].store(&mut adjoint[at + n * lanes..]);
                }
            }
            let to = &mut dg[cell * lanes..];
            sum.mul_add(share, V::load(to)).store(to);
        }
    }
}
