//! Derivatives of the signature kernel by its paths and by the parameters of its lift.

use std::ops::Range;

use nalgebra::DMatrixView;

use super::{
    Path, Paths, ScaledValue,
    adjoint::{Sink, gradients},
    cells::{Pair, Source},
    grid::Grid,
    lift::Lift,
    setting::{Setting, Side, recurrence},
    signature::{Normalization, Signature, Solver, used, weighted},
    tile::Tiles,
    truncated::{self, Truncation},
};
use crate::{Block, Error, Jet, Kernel, Points, Real, Rows, Workspace};

/// The value of a [`Signature`] kernel at two paths with its derivatives by all of their knots.
#[derive(Clone, Debug, PartialEq)]
pub struct PathGradient {
    /// k(x, y).
    pub value: f64,
    /// ∂k/∂x, knot by knot.
    pub by_x: Vec<f64>,
    /// ∂k/∂y, knot by knot.
    pub by_y: Vec<f64>,
}

/// Weights of the lift's values at knots from weights of its second differences, (r + 1) × (n + 1), or of its values,
/// r × n; column-major, with the number of rows.
fn at_knots(derivatives: &[f64], cols: usize, scale: f64, differences: bool) -> (usize, Vec<f64>) {
    let rows = derivatives.len() / cols;
    if !differences {
        let transposed = (0..derivatives.len()).map(|k| scale * derivatives[k % rows * cols + k / rows]);
        return (rows, transposed.collect());
    }
    let height = rows + 1;
    let mut out = vec![0.0; height * (cols + 1)];
    for (i, row) in derivatives.chunks_exact(cols).enumerate() {
        for (j, w) in row.iter().enumerate() {
            let w = w * scale;
            out[i + j * height] += w;
            out[i + 1 + j * height] -= w;
            out[i + (j + 1) * height] -= w;
            out[i + 1 + (j + 1) * height] += w;
        }
    }
    (height, out)
}

/// Sums derivatives by the lift's parameters.
pub(super) struct ByParameters<'a, T: Real> {
    lift: Lift<'a, T>,
    /// What the lift itself is multiplied by in the number on a cell, over the pair's whole factor.
    linear: f64,
    gradient: Vec<f64>,
    ws: Workspace<T>,
}

impl<'a, T: Real> ByParameters<'a, T> {
    pub(super) fn new(lift: Lift<'a, T>, linear: f64, count: usize) -> Self {
        Self { lift, linear, gradient: vec![0.0; count], ws: Workspace::new() }
    }

    pub(super) fn gradient(&self) -> &[f64] {
        &self.gradient
    }
}

impl<T: Real> Sink for ByParameters<'_, T> {
    fn strip(&mut self, pair: &Pair, rows: Range<usize>, derivatives: &[f64]) {
        let Some(at) = self.lift.block(pair, &rows) else { return };
        let (height, weights) =
            at_knots(derivatives, pair.cols, pair.scale / self.linear, self.lift.differences);
        let weights: Vec<T> = weights.into_iter().map(T::of).collect();
        let weights = DMatrixView::from_slice(&weights, height, weights.len() / height);
        self.lift.kernel.block_gradient(&at, weights, &mut self.gradient, &mut self.ws);
    }
}

/// Sums derivatives by the knots of two paths.
struct ByKnots<'a, T: Real> {
    lift: Lift<'a, T>,
    linear: f64,
    by_x: Vec<f64>,
    by_y: Vec<f64>,
    jet: Jet<T>,
    complete: bool,
}

impl<T: Real> Sink for ByKnots<'_, T> {
    fn strip(&mut self, pair: &Pair, rows: Range<usize>, derivatives: &[f64]) {
        let (height, weights) =
            at_knots(derivatives, pair.cols, pair.scale / self.linear, self.lift.differences);
        let (x, y) = (self.lift.xs.range(pair.x), self.lift.ys.range(pair.y));
        let dim = self.lift.xs.dim();
        for j in 0..weights.len() / height {
            let b = self.lift.ys.knots().point(y.start + j);
            for i in 0..height {
                let w = weights[i + j * height];
                let a = self.lift.xs.knots().point(x.start + rows.start + i);
                self.complete &= self.lift.kernel.jet(a, b, &mut self.jet);
                let to = &mut self.by_x[(rows.start + i) * dim..];
                to.iter_mut().zip(self.jet.by_x()).for_each(|(to, d)| *to += w * d.to_f64());
                let to = &mut self.by_y[j * dim..];
                to.iter_mut().zip(self.jet.by_y()).for_each(|(to, d)| *to += w * d.to_f64());
            }
        }
    }
}

impl<S> Signature<S> {
    /// Whether derivatives are available: of kernels that are not normalised, or by cosines.
    pub(super) fn has_gradient(&self) -> bool {
        matches!(self.chosen_normalization(), Normalization::None | Normalization::Cosine)
    }

    /// Sinks of all pairs, by the solver of this kernel.
    fn sweep_back<K: Sink + Send>(
        &self,
        source: &Source<'_>,
        pairs: &[Pair],
        sink: impl Fn() -> K + Send + Sync,
    ) -> Vec<K> {
        match self.chosen_solver() {
            Solver::FiniteDifferences { scheme, .. } => {
                gradients(source, pairs, Grid::new(recurrence(scheme)), sink)
            }
            Solver::Truncated { levels, order } => {
                truncated::gradients(source, pairs, Truncation { levels, order }, sink)
            }
            _ => gradients(source, pairs, Tiles::default(), sink),
        }
    }

    /// k(x, y) and its derivatives by all knots of both paths, exact for the solver: those of the numbers that it computes, by a sweep
    /// backwards through them.
    ///
    /// O(mn) for the solver and O(mnd) for the lift, about four times the value; memory O(√m n), or O(N D² m n) for truncated
    /// kernels.
    ///
    /// # Errors
    /// [`Error::Shape`] when the paths differ in their features; [`Error::Parameter`] for other normalisations
    /// than by cosines, and lifts without derivatives by their input; what [`Kernel::check`] says of the paths.
    ///
    /// ```
    /// use kernels_core::{Linear, Path, Signature};
    /// let (x, y) = ([0.0, 0.3, 1.0], [0.0, 0.5]);
    /// let gradient = Signature::new(Linear::new(0.0)?).gradient(Path::new(&x, 1)?, Path::new(&y, 1)?)?;
    /// // In one dimension only the end points count, with opposite signs.
    /// assert!(gradient.by_x[1].abs() < 1e-12 && (gradient.by_x[0] + gradient.by_x[2]).abs() < 1e-12);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn gradient<T: Real>(&self, x: Path<'_, T>, y: Path<'_, T>) -> Result<PathGradient, Error>
    where
        S: Kernel<Rows<T>>,
    {
        let refuse = |expected| Error::Parameter { name: "gradient".to_owned(), value: f64::NAN, expected };
        if !self.has_gradient() {
            return Err(refuse("available for kernels that are not normalised, or by cosines"));
        }
        let (xs, ys) = (Paths::from_paths(&[x])?, Paths::from_paths(&[y])?);
        ys.check_compatible(&xs)?;
        self.check(&xs)?;
        self.check(&ys)?;
        let (xs, ys) = (self.prepare(&xs), self.prepare(&ys));
        let sides = (Side::new(self, &xs, &[0]), Side::new(self, &ys, &[0]));
        let mut complete = true;
        let mut of = |a: (&Paths<T>, &Side), b: (&Paths<T>, &Side), weight: ScaledValue| {
            let setting = Setting { kernel: self, xs: a.0, ys: b.0, x: a.1, y: b.1 };
            let (by_x, by_y, done) = self.by_knots(&setting, weight);
            complete &= done;
            (by_x, by_y)
        };
        let (a, b) = ((&*xs, &sides.0), (&*ys, &sides.1));
        let value = Setting { kernel: self, xs: &xs, ys: &ys, x: &sides.0, y: &sides.1 }
            .normalized(&[(0, 0)], false)[0];
        let (mut by_x, mut by_y);
        if self.chosen_normalization() == Normalization::Cosine {
            let (nx, ny) = (sides.0.norms[0], sides.1.norms[0]);
            (by_x, by_y) = of(a, b, ScaledValue::ONE.over_roots(nx, ny));
            // −k/2 d ln k(x, x), in which x stands twice.
            for (side, norm, to) in [(a, nx, &mut by_x), (b, ny, &mut by_y)] {
                let (first, second) =
                    of(side, side, ScaledValue::ONE.times(-0.5 * value).over_roots(norm, norm));
                for (to, (a, b)) in to.iter_mut().zip(first.iter().zip(&second)) {
                    *to += a + b;
                }
            }
        } else {
            (by_x, by_y) = of(a, b, ScaledValue::ONE);
        }
        if !complete {
            return Err(refuse("available for lifts with derivatives by their input"));
        }
        Ok(PathGradient {
            value,
            by_x: self.pull_back(&by_x, xs.dim()),
            by_y: self.pull_back(&by_y, ys.dim()),
        })
    }

    /// Derivatives by the knots of the only pair, of the prepared paths.
    fn by_knots<T: Real>(
        &self,
        setting: &Setting<'_, T, S>,
        weight: ScaledValue,
    ) -> (Vec<f64>, Vec<f64>, bool)
    where
        S: Kernel<Rows<T>>,
    {
        let (mut pairs, _, known) = setting.pairs(&[(0, 0)], |_| 1.0);
        pairs.iter_mut().for_each(|p| p.weight = weight);
        let dim = setting.xs.dim();
        // Paths that cannot be solved to the tolerance have no derivatives either.
        let blank = if known[0].mantissa().is_nan() { f64::NAN } else { 0.0 };
        let zeros = |paths: &Paths<T>| vec![blank; paths.range(0).len() * dim];
        let sinks = setting.with_source(|source| {
            self.sweep_back(source, &pairs, || ByKnots {
                lift: setting.lift(),
                linear: setting.linear().unwrap_or(1.0),
                by_x: zeros(setting.xs),
                by_y: zeros(setting.ys),
                jet: Jet::new(dim, false),
                complete: true,
            })
        });
        match sinks.into_iter().next() {
            Some(sink) => (sink.by_x, sink.by_y, sink.complete),
            None => (zeros(setting.xs), zeros(setting.ys), true),
        }
    }

    /// From derivatives by the knots of prepared paths to those of the paths that were given.
    fn pull_back(&self, by_knots: &[f64], dim: usize) -> Vec<f64> {
        let (time, lead_lag) = self.transforms();
        let mut knots: Vec<&[f64]> = by_knots.chunks_exact(dim.max(1)).collect();
        if time {
            knots.iter_mut().for_each(|knot| *knot = &knot[..dim - 1]);
        }
        if !lead_lag {
            return knots.concat();
        }
        let d = knots.first().map_or(0, |k| k.len() / 2);
        let mut out = vec![0.0; knots.len().div_ceil(2) * d];
        for (i, knot) in knots.iter().enumerate() {
            let (lag, lead) = knot.split_at(d);
            for (from, place) in [(lag, i / 2), (lead, i.div_ceil(2))] {
                out[place * d..].iter_mut().zip(from).for_each(|(to, g)| *to += g);
            }
        }
        out
    }

    /// Adds Σ W ∂K/∂θ over a block for the parameters θ of the lift.
    pub(super) fn add_block_gradient<T: Real>(
        &self,
        at: &Block<'_, Paths<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
    ) where
        S: Kernel<Rows<T>>,
    {
        if !self.has_gradient() || gradient.is_empty() {
            return;
        }
        let (xs, ys) = (self.prepare(at.xs()), self.prepare(at.ys()));
        let (rows, cols) = used(at);
        let x = Side::new(self, &xs, &rows);
        let other = (!at.is_within()).then(|| Side::new(self, &ys, &cols));
        let ys = if at.is_within() { &xs } else { &ys };
        let y = other.as_ref().unwrap_or(&x);
        let setting = Setting { kernel: self, xs: &xs, ys, x: &x, y };
        let (indices, given) = weighted(at, weights);
        if self.chosen_normalization() != Normalization::Cosine {
            let all: Vec<ScaledValue> = given.iter().map(|&w| ScaledValue::new(w, 0)).collect();
            self.add_pairs(&setting, &indices, &all, gradient);
            return;
        }
        let cosines = setting.normalized(&indices, at.is_within());
        let mut own = (vec![0.0; xs.len()], vec![0.0; ys.len()]);
        let mut all = Vec::with_capacity(given.len());
        for ((&(i, j), &w), cosine) in indices.iter().zip(&given).zip(cosines) {
            own.0[i] -= 0.5 * w * cosine;
            own.1[j] -= 0.5 * w * cosine;
            all.push(ScaledValue::new(w, 0).over_roots(x.norms[i], y.norms[j]));
        }
        self.add_pairs(&setting, &indices, &all, gradient);
        let mut sides = vec![(&cols, &**ys, y, own.1)];
        if at.is_within() {
            // Both sides are the same paths.
            sides[0].3.iter_mut().zip(own.0).for_each(|(to, w)| *to += w);
        } else {
            sides.push((&rows, &*xs, &x, own.0));
        }
        for (used, paths, side, own) in sides {
            let setting = Setting { kernel: self, xs: paths, ys: paths, x: side, y: side };
            let pairs: Vec<(usize, usize)> = used.iter().map(|&i| (i, i)).collect();
            let weights: Vec<ScaledValue> = used
                .iter()
                .map(|&i| ScaledValue::new(own[i], 0).over_roots(side.norms[i], side.norms[i]))
                .collect();
            self.add_pairs(&setting, &pairs, &weights, gradient);
        }
    }

    fn add_pairs<T: Real>(
        &self,
        setting: &Setting<'_, T, S>,
        indices: &[(usize, usize)],
        weights: &[ScaledValue],
        gradient: &mut [f64],
    ) where
        S: Kernel<Rows<T>>,
    {
        let (mut pairs, places, known) = setting.pairs(indices, |_| 1.0);
        pairs.iter_mut().zip(places).for_each(|(pair, place)| pair.weight = weights[place]);
        if known.iter().any(|k| k.mantissa().is_nan()) {
            gradient.fill(f64::NAN);
            return;
        }
        let count = gradient.len();
        let sinks = setting.with_source(|source| {
            self.sweep_back(source, &pairs, || {
                ByParameters::new(setting.lift(), setting.linear().unwrap_or(1.0), count)
            })
        });
        for sink in sinks {
            gradient.iter_mut().zip(sink.gradient).for_each(|(to, g)| *to += g);
        }
    }
}
