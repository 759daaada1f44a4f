//! Recurrences on the vertices of a grid: finite differences of the signature kernel, and sums over alignments.

use super::cells::{Pair, Run, Scheme, Source, forward};
use super::scaled::ScaledValue;
use crate::{Vector, simd::MAX_LANES};

/// K₁₁ = A (K₁₀ + K₀₁) − B K₀₀ with A and B from the number g on the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recurrence {
    /// A = 1 + g/2 + g²/12, B = 1 − g²/12.
    Second,
    /// A = 1 + g/2, B = 1.
    Trapezoid,
    /// A = 1, B = 1 − g.
    Explicit,
    /// A = g/(2 − g), B = −A: the sum over alignments of products of A.
    Alignment,
}

impl Recurrence {
    /// (A, B)
    #[inline(always)]
    pub(super) fn coefficients<V: Vector<Scalar = f64>>(self, g: V) -> (V, V) {
        let one = V::splat(1.0);
        match self {
            Self::Second => {
                let q = g * g * V::splat(1.0 / 12.0);
                (g.mul_add(V::splat(0.5), one) + q, one - q)
            }
            Self::Trapezoid => (g.mul_add(V::splat(0.5), one), one),
            Self::Explicit => (one, one - g),
            Self::Alignment => {
                let a = g / (V::splat(2.0) - g);
                (a, -a)
            }
        }
    }

    /// Derivatives of A and B by g.
    #[inline(always)]
    pub(super) fn slopes<V: Vector<Scalar = f64>>(self, g: V) -> (V, V) {
        let zero = V::splat(0.0);
        match self {
            Self::Second => (g.mul_add(V::splat(1.0 / 6.0), V::splat(0.5)), g * V::splat(-1.0 / 6.0)),
            Self::Trapezoid => (V::splat(0.5), zero),
            Self::Explicit => (zero, V::splat(-1.0)),
            Self::Alignment => {
                let rest = V::splat(2.0) - g;
                let slope = V::splat(2.0) / (rest * rest);
                (slope, -slope)
            }
        }
    }
}

/// A recurrence with every cell divided into 2^rows × 2^cols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) rule: Recurrence,
    pub(super) halve_rows: u32,
    pub(super) halve_cols: u32,
}

/// Cells are halved at most as often: 64 parts a side.
pub(super) const MOST_HALVINGS: u32 = 6;

impl Grid {
    pub(super) fn parts(self) -> (usize, usize) {
        (1 << self.halve_rows, 1 << self.halve_cols)
    }

    /// The factor of a number on a cell for one of its parts.
    pub(super) fn share(self) -> f64 {
        1.0 / f64::from(1_u32 << (self.halve_rows + self.halve_cols))
    }

    /// What stands on the left edge below the first vertex: the constant 1, or nothing.
    #[inline(always)]
    pub(super) fn edge<V: Vector<Scalar = f64>>(self, one: V) -> V {
        if self.rule == Recurrence::Alignment { V::splat(0.0) } else { one }
    }

    /// One row of cells in `p` × `q` parts; N ≥ p.
    #[inline(always)]
    pub(super) fn sweep<V: Vector<Scalar = f64>, const N: usize>(
        self,
        (p, q): (usize, usize),
        g: &[f64],
        frontier: &mut [f64],
        one: V,
    ) {
        let edge = self.edge(one);
        let share = V::splat(self.share());
        let mut left = [edge; N];
        let (first, rest) = frontier.split_at_mut(V::LANES);
        let mut corner = V::load(first);
        edge.store(first);
        for (cell, g) in rest.chunks_exact_mut(q * V::LANES).zip(g.chunks_exact(V::LANES)) {
            let (a, b) = self.rule.coefficients(V::load(g) * share);
            for vertex in cell.chunks_exact_mut(V::LANES) {
                let above = V::load(vertex);
                let (mut diagonal, mut up) = (corner, above);
                for left in &mut left[..p] {
                    let new = left.mul_add(a, up.mul_add(a, -(diagonal * b)));
                    diagonal = *left;
                    *left = new;
                    up = new;
                }
                up.store(vertex);
                corner = above;
            }
        }
    }
}

impl Scheme for Grid {
    fn frontier(&self, cols: usize) -> usize {
        (cols << self.halve_cols) + 1
    }

    fn start(&self, frontier: &mut [f64], width: usize) {
        let ones = if self.rule == Recurrence::Alignment { width } else { frontier.len() };
        frontier.fill(0.0);
        frontier[..ones].fill(1.0);
    }

    #[inline(always)]
    fn row<V: Vector<Scalar = f64>>(&self, g: &[f64], frontier: &mut [f64], one: V, _: &mut [f64]) {
        match self.parts() {
            (1, 1) => self.sweep::<V, 1>((1, 1), g, frontier, one),
            (2, 2) => self.sweep::<V, 2>((2, 2), g, frontier, one),
            (4, 4) => self.sweep::<V, 4>((4, 4), g, frontier, one),
            parts => self.sweep::<V, { 1 << MOST_HALVINGS }>(parts, g, frontier, one),
        }
    }

    fn tops(&self, _: usize) -> usize {
        0
    }

    fn value(&self, frontier: &[f64], _: &[f64], cols: usize, lane: usize, width: usize) -> f64 {
        frontier[(cols << self.halve_cols) * width + lane]
    }
}

/// Values by a recurrence.
#[derive(Clone, Copy)]
pub(super) struct ByRecurrence(pub(super) Recurrence);

impl Run for ByRecurrence {
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self, source: &Source<'_>, lanes: &[Pair], out: &mut [ScaledValue]) {
        let plan = lanes[0].plan;
        let grid = Grid { rule: self.0, halve_rows: plan.halve_rows, halve_cols: plan.halve_cols };
        forward::<V, _>(&grid, source, lanes, out);
    }
}

const _: () = assert!(MAX_LANES >= 8);
