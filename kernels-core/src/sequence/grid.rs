//! Recurrences on the vertices of a grid: finite differences of the signature kernel, and sums over alignments.

use super::{
    adjoint::Adjoint,
    cells::{Plan, Scheme, width},
};
use crate::{
    Vector,
    simd::{Simd, Work},
};

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
    /// Of undivided cells.
    pub(super) fn new(rule: Recurrence) -> Self {
        Self { rule, halve_rows: 0, halve_cols: 0 }
    }

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
                    let new = (*left + up).mul_add(a, -(diagonal * b));
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

/// One row of cells in N × N parts, its rows of parts one column apart: what is computed in one step does not depend on one another.
struct Staggered<'a, V, const N: usize> {
    grid: Grid,
    frontier: &'a mut [f64],
    /// For each row of parts, what stands to the left of its current part, and above that.
    left: [V; N],
    diagonal: [V; N],
}

impl<V: Vector<Scalar = f64>, const N: usize> Staggered<'_, V, N> {
    #[inline(always)]
    fn run(mut self, g: &[f64]) {
        let cells = g.len() / V::LANES;
        let share = V::splat(self.grid.share());
        let none = (V::splat(0.0), V::splat(0.0));
        let mut now = none;
        for (cell, g) in g.chunks_exact(V::LANES).enumerate() {
            let before = now;
            now = self.grid.rule.coefficients(V::load(g) * share);
            if cell == 0 {
                self.steps::<true, false>(cell, before, now);
            } else {
                self.steps::<false, false>(cell, before, now);
            }
        }
        self.steps::<false, true>(cells, now, none);
    }

    /// N steps: the first row runs through the cell, the others lag behind into it. At the first cell they have nothing to do yet, and
    /// after the last one only they have.
    #[inline(always)]
    fn steps<const FIRST: bool, const LAST: bool>(&mut self, cell: usize, before: (V, V), now: (V, V)) {
        // No loops: only with every index known from the beginning are the arrays kept in registers.
        const { assert!(N == 2 || N == 4) };
        self.step::<FIRST, LAST, 0>(cell, before, now);
        self.step::<FIRST, LAST, 1>(cell, before, now);
        if N > 2 {
            self.step::<FIRST, LAST, 2>(cell, before, now);
            self.step::<FIRST, LAST, 3>(cell, before, now);
        }
    }

    #[inline(always)]
    fn step<const FIRST: bool, const LAST: bool, const STEP: usize>(
        &mut self,
        cell: usize,
        before: (V, V),
        now: (V, V),
    ) {
        // Vertex v of the frontier is to the left of part v. From the last row up: each takes what the one above left it.
        let vertex = cell * N + STEP + 1;
        if N > 2 {
            if 3 <= STEP && !LAST || 3 > STEP && !FIRST {
                self.part::<3>(self.left[N - 2], if 3 <= STEP { now } else { before });
            }
            if 2 <= STEP && !LAST || 2 > STEP && !FIRST {
                self.part::<2>(self.left[1], if 2 <= STEP { now } else { before });
            }
        }
        if 1 <= STEP && !LAST || 1 > STEP && !FIRST {
            self.part::<1>(self.left[0], if 1 <= STEP { now } else { before });
        }
        if !LAST {
            self.part::<0>(load::<V>(self.frontier, vertex), now);
        }
        if N - 1 <= STEP && !LAST || N - 1 > STEP && !FIRST {
            self.left[N - 1].store(&mut self.frontier[(vertex + 1 - N) * V::LANES..]);
        }
    }

    #[inline(always)]
    fn part<const ROW: usize>(&mut self, up: V, (a, b): (V, V)) {
        // For two rows, the others are never asked for.
        let row = const { if ROW < N { ROW } else { 0 } };
        self.left[row] = (self.left[row] + up).mul_add(a, -(self.diagonal[row] * b));
        self.diagonal[row] = up;
    }
}

/// One row of cells in so many parts.
struct Sweep<'a> {
    grid: Grid,
    parts: (usize, usize),
    g: &'a [f64],
    frontier: &'a mut [f64],
    one: &'a [f64],
}

impl Work<f64> for Sweep<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let one = V::load(self.one);
        match self.parts {
            (1, 1) => self.grid.sweep::<V, 1>((1, 1), self.g, self.frontier, one),
            (2, 2) => self.staggered::<V, 2>(one),
            (4, 4) => self.staggered::<V, 4>(one),
            parts => self.grid.sweep::<V, { 1 << MOST_HALVINGS }>(parts, self.g, self.frontier, one),
        }
    }
}

impl Sweep<'_> {
    #[inline(always)]
    fn staggered<V: Vector<Scalar = f64>, const N: usize>(self, one: V) {
        let edge = self.grid.edge(one);
        let mut diagonal = [edge; N];
        diagonal[0] = load(self.frontier, 0);
        edge.store(self.frontier);
        let Self { grid, frontier, g, .. } = self;
        Staggered { grid, frontier, left: [edge; N], diagonal }.run(g);
    }
}

impl Scheme for Grid {
    fn with_plan(self, plan: Plan) -> Self {
        Self { halve_rows: plan.halve_rows, halve_cols: plan.halve_cols, ..self }
    }

    fn frontier(&self, cols: usize) -> usize {
        (cols << self.halve_cols) + 1
    }

    fn start(&self, frontier: &mut [f64], width: usize) {
        let ones = if self.rule == Recurrence::Alignment { width } else { frontier.len() };
        frontier.fill(0.0);
        frontier[..ones].fill(1.0);
    }

    fn parts(&self) -> usize {
        Grid::parts(*self).0
    }

    fn part(&self, g: &[f64], frontier: &mut [f64], one: &[f64], _: &mut [f64]) {
        f64::dispatch(Sweep { grid: *self, parts: (1, Grid::parts(*self).1), g, frontier, one });
    }

    fn row(&self, g: &[f64], frontier: &mut [f64], one: &[f64], _: &mut [f64]) {
        f64::dispatch(Sweep { grid: *self, parts: Grid::parts(*self), g, frontier, one });
    }

    fn tops(&self, _: usize) -> usize {
        0
    }

    fn value(&self, frontier: &[f64], _: &[f64], cols: usize, lane: usize, width: usize) -> f64 {
        frontier[(cols << self.halve_cols) * width + lane]
    }
}

#[inline(always)]
fn load<V: Vector<Scalar = f64>>(from: &[f64], at: usize) -> V {
    V::load(&from[at * V::LANES..])
}

impl Adjoint for Grid {
    fn seed(&self, cols: usize, lane: usize, weight: f64, adjoint: &mut [f64], _: &mut [f64]) {
        adjoint[(cols << self.halve_cols) * width() + lane] += weight;
    }

    fn back(
        &self,
        g: &[f64],
        (before, after): (&[f64], &[f64]),
        _: &[f64],
        _: Option<&[f64]>,
        adjoint: &mut [f64],
        dg: &mut [f64],
        _: &mut Vec<f64>,
    ) {
        f64::dispatch(Back { grid: *self, g, before, after, adjoint, dg });
    }
}

/// One part of a row backwards.
struct Back<'a> {
    grid: Grid,
    g: &'a [f64],
    before: &'a [f64],
    after: &'a [f64],
    adjoint: &'a mut [f64],
    dg: &'a mut [f64],
}

impl Work<f64> for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let Self { grid, g, before, after, adjoint, dg } = self;
        let lanes = V::LANES;
        let (_, q) = grid.parts();
        let share = V::splat(grid.share());
        let cells = g.len() / lanes;
        // What the cell to the right adds to the vertex below its left corner.
        let mut pending = V::splat(0.0);
        let mut d = load::<V>(adjoint, cells * q);
        for cell in (0..cells).rev() {
            let number = load::<V>(g, cell) * share;
            let (a, b) = grid.rule.coefficients(number);
            let (da, db) = grid.rule.slopes(number);
            let mut sum = V::splat(0.0);
            for j in (cell * q..(cell + 1) * q).rev() {
                let both = load::<V>(after, j) + load::<V>(before, j + 1);
                let slope = both.mul_add(da, -(load::<V>(before, j) * db));
                sum = d.mul_add(slope, sum);
                d.mul_add(a, pending).store(&mut adjoint[(j + 1) * lanes..]);
                pending = -(b * d);
                d = d.mul_add(a, load::<V>(adjoint, j));
            }
            sum.mul_add(share, load::<V>(dg, cell)).store(&mut dg[cell * lanes..]);
        }
        pending.store(adjoint);
    }
}
