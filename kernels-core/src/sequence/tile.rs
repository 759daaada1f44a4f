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

use super::cells::{Pair, Plan, Run, Scheme, Source, forward};
use super::scaled::ScaledValue;
use crate::Vector;

/// The highest degree of polynomials.
pub(super) const MOST_DEGREE: usize = 48;

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
        if N <= MOST_DEGREE { N } else { self.plan.degree + 1 }
    }

    pub(super) fn share(self) -> f64 {
        let halvings = i32::try_from(self.plan.halve_rows + self.plan.halve_cols).unwrap_or(0);
        0.5_f64.powi(halvings)
    }

    /// One cell: edges `b` and `l` are replaced by the opposite ones.
    #[inline(always)]
    fn cell<V: Vector<Scalar = f64>>(self, g: V, b: &mut [V; N], l: &mut [V; N]) {
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

impl<const N: usize> Scheme for Tile<N> {
    fn frontier(&self, cols: usize) -> usize {
        (cols << self.plan.halve_cols) * self.size()
    }

    fn start(&self, frontier: &mut [f64], width: usize) {
        frontier.fill(0.0);
        for edge in frontier.chunks_exact_mut(self.size() * width) {
            edge[..width].fill(1.0);
        }
    }

    #[inline(always)]
    fn row<V: Vector<Scalar = f64>>(&self, g: &[f64], frontier: &mut [f64], one: V, tops: &mut [f64]) {
        for _ in 0..1_usize << self.plan.halve_rows {
            self.sweep::<V>(g, frontier, one, tops, None);
        }
    }

    fn tops(&self, cols: usize) -> usize {
        cols
    }

    fn value(&self, frontier: &[f64], tops: &[f64], cols: usize, lane: usize, width: usize) -> f64 {
        let size = self.size();
        let last = ((cols << self.plan.halve_cols) - 1) * size * width;
        let right: f64 = (0..size)
            .rev()
            .map(|n| frontier[last + n * width + lane] * INVERSE_FACTORIAL[n])
            .sum();
        0.5 * (right + tops[(cols - 1) * width + lane])
    }
}

/// What is done with a tile solver of the right size.
pub(super) trait WithTile {
    type Output;
    fn with<V: Vector<Scalar = f64>, const N: usize>(self, tile: Tile<N>) -> Self::Output;
}

/// The tile solver of a plan: compiled for its degree where that is small and often chosen.
#[inline(always)]
pub(super) fn with_tile<V: Vector<Scalar = f64>, W: WithTile>(plan: Plan, work: W) -> W::Output {
    match plan.degree {
        4 => work.with::<V, 5>(Tile { plan }),
        6 => work.with::<V, 7>(Tile { plan }),
        _ => work.with::<V, { MOST_DEGREE + 1 }>(Tile { plan }),
    }
}

/// Values by polynomials.
#[derive(Clone, Copy)]
pub(super) struct ByPolynomials;

struct Forward<'a> {
    source: &'a Source<'a>,
    lanes: &'a [Pair],
    out: &'a mut [ScaledValue],
}

impl WithTile for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with<V: Vector<Scalar = f64>, const N: usize>(self, tile: Tile<N>) {
        forward::<V, _>(&tile, self.source, self.lanes, self.out);
    }
}

impl Run for ByPolynomials {
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self, source: &Source<'_>, lanes: &[Pair], out: &mut [ScaledValue]) {
        with_tile::<V, _>(lanes[0].plan, Forward { source, lanes, out });
    }
}
