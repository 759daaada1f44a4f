//! Paths seen through a kernel of their knots: the numbers on the cells of a pair, and how rough paths are.

use std::ops::Range;

use nalgebra::DMatrixViewMut;

use super::{
    Paths,
    cells::{Pair, Steps, Strips},
};
use crate::{Block, Describe, Expr, Kernel, Points, Real, Rows, Workspace};

/// c when the kernel is c ⟨x, y⟩ + constant, read off its text form: its lift needs increments only.
pub(super) fn linear_factor(kernel: &(impl Describe + ?Sized)) -> Option<f64> {
    fn of(expr: &Expr) -> Option<f64> {
        match expr {
            Expr::Call(call) if call.name == "linear" => Some(1.0),
            Expr::Scaled(factor, inner) => of(inner).map(|c| c * factor),
            _ => None,
        }
    }
    of(&kernel.expression()?).filter(|c| c.is_finite())
}

/// Values, or second differences, of a kernel between the knots of two data sets.
pub(super) struct Lift<'a, T: Real> {
    pub(super) kernel: &'a dyn Kernel<Rows<T>>,
    pub(super) xs: &'a Paths<T>,
    pub(super) ys: &'a Paths<T>,
    pub(super) differences: bool,
}

impl<'a, T: Real> Lift<'a, T> {
    /// The block of knots behind rows of a pair's grid.
    pub(super) fn block(&self, pair: &Pair, rows: &Range<usize>) -> Option<Block<'a, Rows<T>>> {
        let (x, y) = (self.xs.range(pair.x), self.ys.range(pair.y));
        let end = x.start + rows.end + usize::from(self.differences);
        Block::between(self.xs.knots(), x.start + rows.start..end, self.ys.knots(), y).ok()
    }
}

impl<T: Real> Strips for Lift<'_, T> {
    fn strip(&self, pair: &Pair, rows: Range<usize>, out: &mut [f64]) {
        let Some(at) = self.block(pair, &rows) else {
            out.fill(f64::NAN);
            return;
        };
        let (r, c) = at.shape();
        let mut ws = Workspace::new();
        let mut tile = vec![T::default(); r * c];
        self.kernel.block(&at, DMatrixViewMut::from_slice(&mut tile, r, c), &mut ws);
        for (i, out) in out.chunks_exact_mut(pair.cols).enumerate() {
            if self.differences {
                for (j, out) in out.iter_mut().enumerate() {
                    let [a, b] = [tile[j * r + i], tile[j * r + i + 1]];
                    let [c, d] = [tile[(j + 1) * r + i], tile[(j + 1) * r + i + 1]];
                    *out = (d.to_f64() - c.to_f64()) - (b.to_f64() - a.to_f64());
                }
            } else {
                out.iter_mut().enumerate().for_each(|(j, out)| *out = tile[j * r + i].to_f64());
            }
        }
    }
}

/// Increments of all paths.
pub(super) fn steps<T: Real>(paths: &Paths<T>) -> Steps {
    let dim = paths.dim();
    let mut offsets = vec![0];
    let mut values = Vec::new();
    for i in 0..paths.len() {
        let path = paths.point(i);
        for (a, b) in path.as_slice().iter().zip(path.as_slice().iter().skip(dim)) {
            values.push(b.to_f64() - a.to_f64());
        }
        offsets.push(offsets[i] + path.len() - 1);
    }
    Steps { dim, offsets, values }
}

/// How far a lifted path goes, in norms of its feature space: what bounds every sum of cells by Cauchy and Schwarz.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Roughness {
    /// The longest increment.
    pub(super) step: f64,
    /// The greatest distance from the first knot.
    pub(super) reach: f64,
    /// The sum of the lengths of all increments.
    pub(super) length: f64,
}

impl Roughness {
    fn of(steps: impl Iterator<Item = f64>, distances: impl Iterator<Item = f64>) -> Self {
        // A maximum that keeps NaN.
        let max = |m: f64, v: f64| if v <= m { m } else { v };
        let mut rough = Self::default();
        for step in steps {
            rough.step = max(rough.step, step);
            rough.length += step;
        }
        rough.reach = distances.fold(0.0, max);
        rough
    }

    /// Of a path with these increments, lifted by the linear kernel.
    pub(super) fn linear(increments: &[f64], dim: usize) -> Self {
        if dim == 0 {
            return Self::default();
        }
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut at = vec![0.0; dim];
        let distances = increments.chunks_exact(dim).map(|step| {
            at.iter_mut().zip(step).for_each(|(a, s)| *a += s);
            norm(&at)
        });
        Self::of(increments.chunks_exact(dim).map(norm), distances)
    }

    /// Of a path, lifted by a kernel.
    pub(super) fn lifted<T: Real>(kernel: &dyn Kernel<Rows<T>>, paths: &Paths<T>, i: usize) -> Self {
        let range = paths.range(i);
        let knots = paths.knots();
        let mut diagonal = vec![T::default(); range.len()];
        kernel.diagonal(knots, range.clone(), &mut diagonal);
        let distance = |a: usize, b: usize| {
            let (p, q) = (knots.point(range.start + a), knots.point(range.start + b));
            let square = diagonal[a].to_f64() + diagonal[b].to_f64() - 2.0 * kernel.eval(p, q).to_f64();
            // Rounding may take it below 0; NaN stays.
            if square < 0.0 { 0.0 } else { square.sqrt() }
        };
        let n = range.len();
        Self::of((1..n).map(|k| distance(k - 1, k)), (1..n).map(|k| distance(0, k)))
    }
}
