//! Sequential minimal optimisation with second-order working sets, shrinking and a row cache.
//!
//! All machines are one problem in variables β of both signs: minimise ½ βᵀKβ + qᵀβ with lower ≤ β ≤ upper and Σβ fixed (for
//! the ν variants, fixed in each of two groups). Classification is β = y a, so that no sign enters the inner loops; regression
//! has two variables a point, in two layers that share their rows.

use kernels_core::{Kernel, LazyCross, Points, Progress, Real};
use nalgebra::DMatrix;

use super::{
    Effort,
    cache::{RowCache, TOGETHER},
    sweep::{Advance, Extremes, FLAT, Gain},
};
use crate::Error;

/// A problem with `layers` variables a point: variable l n + i is layer l of point i.
pub(super) struct Problem {
    pub(super) layers: usize,
    pub(super) linear: Vec<f64>,
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
    pub(super) start: Vec<f64>,
    /// The constraint each variable is in: 0, or 0 and 1.
    pub(super) group: Vec<u8>,
}

pub(super) struct Solution {
    pub(super) beta: Vec<f64>,
    pub(super) objective: f64,
    /// −gradient that free variables of a group share.
    pub(super) level: [f64; 2],
    pub(super) iterations: usize,
    pub(super) violation: f64,
    pub(super) rows: usize,
}

/// Steps between two reports of progress.
const REPORTED: usize = 1000;

/// Working memory of products with whole blocks of the matrix.
const BUDGET: usize = 64 << 20;

struct State<'a, P: Points, K> {
    kernel: &'a K,
    all: &'a P,
    effort: Effort,
    problem: &'a Problem,
    /// Points that take part, ascending, and the number of them.
    points: Vec<usize>,
    cache: RowCache<P>,
    /// Per variable of the points that take part.
    beta: Vec<f64>,
    gradient: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    group: Vec<u8>,
    /// By group, 0 for variables that may grow and −∞ for the others; 0 for those that may shrink and ∞ for the others.
    grows: [Vec<f64>; 2],
    shrinks: [Vec<f64>; 2],
    /// Of the groups, for the gradient as it is; unknown after points have left or returned.
    extremes: Option<[Extremes; 2]>,
    diagonal: Vec<f64>,
    /// All variables, brought up to date when points leave or return.
    whole: Vec<f64>,
    full_diagonal: Vec<f64>,
}

/// The most violating pair and by how much it violates optimality.
struct Pair {
    i: usize,
    j: usize,
    violation: f64,
}

pub(super) fn solve<P, K>(
    kernel: &K,
    xs: &P,
    problem: &Problem,
    effort: Effort,
    progress: &mut dyn Progress,
) -> Result<Solution, Error>
where
    P: Points + Clone,
    K: Kernel<P>,
{
    let n = xs.len();
    let full_diagonal: Vec<f64> = kernels_core::diagonal(kernel, xs)?.into_iter().map(Real::to_f64).collect();
    if let Some(row) = full_diagonal.iter().position(|d| !d.is_finite()) {
        return Err(kernels_core::Error::NotFinite { row, column: row, value: full_diagonal[row] }.into());
    }
    let mut state = State {
        kernel,
        all: xs,
        effort,
        problem,
        points: (0..n).collect(),
        cache: RowCache::new(xs.clone(), effort.cache).with_diagonal(&full_diagonal),
        beta: problem.start.clone(),
        gradient: Vec::new(),
        lower: problem.lower.clone(),
        upper: problem.upper.clone(),
        group: problem.group.clone(),
        grows: Default::default(),
        shrinks: Default::default(),
        extremes: None,
        diagonal: full_diagonal.clone(),
        whole: problem.start.clone(),
        full_diagonal,
    };
    state.gradient = state.full_gradient(&(0..n).collect::<Vec<_>>())?;
    state.mark();
    let variables = problem.linear.len();
    let most =
        if effort.max_iterations > 0 { effort.max_iterations } else { (100 * variables).max(10_000_000) };
    let every = variables.clamp(1, 1000);
    let (mut iterations, mut countdown, mut restored) = (0, every, false);
    let violation = loop {
        if effort.shrinking {
            countdown -= 1;
            if countdown == 0 {
                countdown = every;
                let before = state.points.len();
                let restore = state.shrink(!restored)?;
                restored |= restore;
                debug_assert!(restore || state.points.len() <= before);
            }
        }
        let pair = state.select()?;
        let pair = match pair {
            Some(pair) if pair.violation >= effort.tolerance => pair,
            found => {
                let left = found.map_or(0.0, |p| p.violation);
                if state.points.len() == n {
                    break left;
                }
                // Optimal among those that take part: look at all, and go on if one of the others disagrees.
                state.restore()?;
                match state.select()? {
                    Some(pair) if pair.violation >= effort.tolerance => {
                        countdown = every;
                        pair
                    }
                    found => break found.map_or(0.0, |p| p.violation),
                }
            }
        };
        if iterations == most {
            return Err(kernels_core::Error::NotConverged {
                what: "sequential minimal optimisation",
                iterations,
            }
            .into());
        }
        iterations += 1;
        state.step(&pair)?;
        if iterations.is_multiple_of(REPORTED)
            && progress.step("sequential minimal optimisation", iterations, most).is_break()
        {
            return Err(kernels_core::Error::Cancelled.into());
        }
    };
    state.store();
    let level = state.levels();
    let objective = 0.5
        * state
            .whole
            .iter()
            .zip(&state.gradient)
            .zip(&problem.linear)
            .map(|((b, g), q)| b * (g + q))
            .sum::<f64>();
    Ok(Solution { objective, level, iterations, violation, rows: state.cache.computed, beta: state.whole })
}

impl<P: Points + Clone, K: Kernel<P>> State<'_, P, K> {
    /// K β + q for the variables of some points, from all of β.
    fn full_gradient(&self, points: &[usize]) -> Result<Vec<f64>, Error> {
        let n = self.all.len();
        let mut sums = vec![0.0; n];
        for layer in self.whole.chunks_exact(n) {
            sums.iter_mut().zip(layer).for_each(|(s, b)| *s += b);
        }
        let support: Vec<usize> = (0..n).filter(|&i| sums[i] != 0.0).collect();
        let mut product = vec![0.0; points.len()];
        if !support.is_empty() && !points.is_empty() {
            let (rows, cols) = (self.all.subset(points)?, self.all.subset(&support)?);
            let weights = DMatrix::from_fn(support.len(), 1, |k, _| P::Scalar::of(sums[support[k]]));
            let mut out = DMatrix::repeat(points.len(), 1, P::Scalar::default());
            LazyCross::new(self.kernel, &rows, &cols, BUDGET)?.apply(weights.as_view(), out.as_view_mut())?;
            // Noise on the diagonal is not in a product between two data sets.
            for ((to, value), &i) in product.iter_mut().zip(out.iter()).zip(points) {
                let own = self.kernel.eval(self.all.point(i), self.all.point(i)).to_f64();
                *to = value.to_f64() + (self.full_diagonal[i] - own) * sums[i];
            }
        }
        let layers = self.problem.layers;
        let q = &self.problem.linear;
        Ok((0..layers)
            .flat_map(|l| points.iter().zip(&product).map(move |(&i, p)| p + q[l * n + i]))
            .collect())
    }

    /// Marks afresh which variables may move where.
    fn mark(&mut self) {
        let groups = if self.group.contains(&1) { 2 } else { 1 };
        for g in 0..2 {
            let members = if g < groups { self.beta.len() } else { 0 };
            self.grows[g] = vec![f64::NEG_INFINITY; members];
            self.shrinks[g] = vec![f64::INFINITY; members];
        }
        for t in 0..self.beta.len() {
            let g = usize::from(self.group[t]);
            (self.grows[g][t], self.shrinks[g][t]) = marks(self.beta[t], self.lower[t], self.upper[t]);
        }
        self.extremes = None;
    }

    /// By group, the largest −G that may grow and the smallest that may shrink.
    fn extremes(&mut self) -> [Extremes; 2] {
        if let Some(known) = self.extremes {
            return known;
        }
        let found = std::array::from_fn(|g| {
            let (gradient, rows) = (&mut self.gradient, None);
            Advance { gradient, delta: 0.0, rows, grows: &self.grows[g], shrinks: &self.shrinks[g] }.run()
        });
        self.extremes = Some(found);
        found
    }

    /// The second-order choice of Fan, Chen and Lin (2005), algorithm 2, within the group that violates most.
    fn select(&mut self) -> Result<Option<Pair>, Error> {
        let m = self.points.len();
        let extremes = self.extremes();
        let violation = extremes.iter().map(Extremes::violation).fold(f64::NEG_INFINITY, f64::max);
        if violation.is_nan() || violation <= 0.0 {
            return Ok(None);
        }
        if violation < self.effort.tolerance {
            return Ok(Some(Pair { i: 0, j: 0, violation }));
        }
        let mut best = (0.0, usize::MAX, usize::MAX);
        for (g, found) in extremes.into_iter().enumerate() {
            let (level, i) = found.up;
            if level <= found.down || i >= self.beta.len() {
                continue;
            }
            let own = self.diagonal[i % m];
            let likely =
                Likely { m, gradient: &self.gradient, grows: &self.grows[g], shrinks: &self.shrinks[g] };
            let row = self.cache.one(self.kernel, i % m, |cache| likely.rows(cache))?;
            for layer in 0..self.problem.layers {
                let range = layer * m..(layer + 1) * m;
                let (gradient, shrinks) = (&self.gradient[range.clone()], &self.shrinks[g][range]);
                if let Some((value, s)) =
                    (Gain { level, own, gradient, shrinks, diagonal: &self.diagonal, row }).best()
                    && value > best.0
                {
                    best = (value, i, layer * m + s);
                }
            }
        }
        Ok((best.1 != usize::MAX).then_some(Pair { i: best.1, j: best.2, violation }))
    }

    /// The exact minimum along βᵢ + δ, βⱼ − δ.
    fn step(&mut self, pair: &Pair) -> Result<(), Error> {
        let m = self.points.len();
        let (i, j) = (pair.i, pair.j);
        let g = usize::from(self.group[j]);
        let likely = Likely { m, gradient: &self.gradient, grows: &self.grows[g], shrinks: &self.shrinks[g] };
        let (row_i, row_j) = self.cache.pair(self.kernel, i % m, j % m, |cache| likely.rows(cache))?;
        let curvature = self.diagonal[i % m] + self.diagonal[j % m] - 2.0 * f64::from(row_i[j % m]);
        let curvature = if curvature > 0.0 { curvature } else { FLAT };
        let wanted = (self.gradient[j] - self.gradient[i]) / curvature;
        let (room_i, room_j) = (self.upper[i] - self.beta[i], self.beta[j] - self.lower[j]);
        let delta = wanted.min(room_i).min(room_j);
        // A variable that meets its bound is at it exactly.
        self.beta[i] = if delta >= room_i { self.upper[i] } else { self.beta[i] + delta };
        self.beta[j] = if delta >= room_j { self.lower[j] } else { self.beta[j] - delta };
        for t in [i, j] {
            (self.grows[g][t], self.shrinks[g][t]) = marks(self.beta[t], self.lower[t], self.upper[t]);
        }
        // One pass moves the gradient and finds where it is extreme now.
        let mut found = [Extremes::NONE; 2];
        for (layer, gradient) in self.gradient.chunks_exact_mut(m).enumerate() {
            let mut rows = Some((row_i, row_j));
            for (g, found) in found.iter_mut().enumerate().filter(|(g, _)| !self.grows[*g].is_empty()) {
                let range = layer * m..(layer + 1) * m;
                let (grows, shrinks) = (&self.grows[g][range.clone()], &self.shrinks[g][range]);
                let here =
                    Advance { gradient: &mut *gradient, delta, rows: rows.take(), grows, shrinks }.run();
                *found = found.joined(here, layer * m);
            }
        }
        self.extremes = Some(found);
        Ok(())
    }

    /// Sets points aside all of whose variables sit at bounds and strongly want to. Returns whether it restored all instead,
    /// which is done once, near the end.
    fn shrink(&mut self, may_restore: bool) -> Result<bool, Error> {
        let extremes = self.extremes();
        let (up, down) = (extremes.map(|e| e.up.0), extremes.map(|e| e.down));
        let violation = (up[0] - down[0]).max(up[1] - down[1]);
        if may_restore && violation <= 10.0 * self.effort.tolerance {
            if self.points.len() < self.all.len() {
                self.restore()?;
            }
            return Ok(true);
        }
        // Where all rows are at hand, passes over them cost less than moving them.
        if self.cache.is_complete() {
            return Ok(false);
        }
        let m = self.points.len();
        let settled = |t: usize| {
            let (value, g) = (-self.gradient[t], usize::from(self.group[t]));
            let (full, empty) = (self.beta[t] >= self.upper[t], self.beta[t] <= self.lower[t]);
            (full && (empty || value > up[g])) || (empty && value < down[g])
        };
        let keep: Vec<usize> =
            (0..m).filter(|&s| (0..self.problem.layers).any(|l| !settled(l * m + s))).collect();
        // Moving everything to smaller arrays must pay.
        if keep.len() * 10 > m * 9 || keep.len() < 2 {
            return Ok(false);
        }
        self.store();
        self.cache = self.cache.restricted(&keep, self.effort.cache)?;
        self.gradient =
            self.gradient.chunks_exact(m).flat_map(|layer| keep.iter().map(|&s| layer[s])).collect();
        self.points = keep.iter().map(|&s| self.points[s]).collect();
        self.load();
        Ok(false)
    }

    /// Everything takes part again, with gradients computed afresh where they were not kept up.
    fn restore(&mut self) -> Result<(), Error> {
        self.store();
        let (n, m) = (self.all.len(), self.points.len());
        let mut place = vec![usize::MAX; n];
        self.points.iter().enumerate().for_each(|(s, &i)| place[i] = s);
        let away: Vec<usize> = (0..n).filter(|&i| place[i] == usize::MAX).collect();
        let fresh = self.full_gradient(&away)?;
        let mut gradient = vec![0.0; self.problem.linear.len()];
        for layer in 0..self.problem.layers {
            for (s, &i) in self.points.iter().enumerate() {
                gradient[layer * n + i] = self.gradient[layer * m + s];
            }
            for (s, &i) in away.iter().enumerate() {
                gradient[layer * n + i] = fresh[layer * away.len() + s];
            }
        }
        let computed = self.cache.computed;
        self.cache = RowCache::new(self.all.clone(), self.effort.cache).with_diagonal(&self.full_diagonal);
        self.cache.computed = computed;
        self.gradient = gradient;
        self.points = (0..n).collect();
        self.load();
        Ok(())
    }

    /// Writes the variables that take part into all of them.
    fn store(&mut self) {
        let (n, m) = (self.all.len(), self.points.len());
        for layer in 0..self.problem.layers {
            for (s, &i) in self.points.iter().enumerate() {
                self.whole[layer * n + i] = self.beta[layer * m + s];
            }
        }
    }

    /// Reads them back, with what belongs to them.
    fn load(&mut self) {
        let n = self.all.len();
        let layers = self.problem.layers;
        let variables: Vec<usize> =
            (0..layers).flat_map(|l| self.points.iter().map(move |&i| l * n + i)).collect();
        self.beta = variables.iter().map(|&t| self.whole[t]).collect();
        self.lower = variables.iter().map(|&t| self.problem.lower[t]).collect();
        self.upper = variables.iter().map(|&t| self.problem.upper[t]).collect();
        self.group = variables.iter().map(|&t| self.problem.group[t]).collect();
        self.diagonal = self.points.iter().map(|&i| self.full_diagonal[i]).collect();
        self.mark();
    }

    /// By group, the mean of −G over free variables, or the middle of what bounds allow.
    fn levels(&self) -> [f64; 2] {
        let mut level = [0.0; 2];
        for (g, level) in level.iter_mut().enumerate() {
            let (mut sum, mut count) = (0.0, 0usize);
            let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
            for t in (0..self.beta.len()).filter(|&t| usize::from(self.group[t]) == g) {
                let value = -self.gradient[t];
                let (grows, shrinks) = (self.beta[t] < self.upper[t], self.beta[t] > self.lower[t]);
                if grows && shrinks {
                    sum += value;
                    count += 1;
                } else if grows {
                    low = low.max(value);
                } else if shrinks {
                    high = high.min(value);
                }
            }
            *level = match (count, low.is_finite(), high.is_finite()) {
                (0, true, true) => 0.5 * (low + high),
                (0, true, false) => low,
                (0, false, true) => high,
                (0, false, false) => 0.0,
                _ => sum / count as f64,
            };
        }
        level
    }
}

/// What [`Likely`] and the sweeps add to −G of a variable: whether it may grow, and whether it may shrink.
fn marks(beta: f64, lower: f64, upper: f64) -> (f64, f64) {
    let (grows, shrinks) = (beta < upper, beta > lower);
    (if grows { 0.0 } else { f64::NEG_INFINITY }, if shrinks { 0.0 } else { f64::INFINITY })
}

/// What is likely to be asked for soon: the variables of a group that violate most.
struct Likely<'a> {
    m: usize,
    gradient: &'a [f64],
    grows: &'a [f64],
    shrinks: &'a [f64],
}

impl Likely<'_> {
    /// Rows that are not kept, of the variables that most want to grow and to shrink, in turn.
    fn rows<P: Points>(&self, cache: &RowCache<P>) -> Vec<usize> {
        const HALF: usize = TOGETHER / 2;
        // The best of each side, best first.
        let (mut high, mut low) = ([(f64::NEG_INFINITY, 0); HALF], [(f64::INFINITY, 0); HALF]);
        for t in 0..self.grows.len() {
            let (up, down) = (self.grows[t] - self.gradient[t], self.shrinks[t] - self.gradient[t]);
            if up > high[HALF - 1].0 && !cache.has(t % self.m) {
                let at = high.partition_point(|h| h.0 >= up);
                high[at..].rotate_right(1);
                high[at] = (up, t % self.m);
            }
            if down < low[HALF - 1].0 && !cache.has(t % self.m) {
                let at = low.partition_point(|l| l.0 <= down);
                low[at..].rotate_right(1);
                low[at] = (down, t % self.m);
            }
        }
        let mut rows: Vec<usize> = high
            .iter()
            .zip(&low)
            .flat_map(|(h, l)| [h, l])
            .filter(|(value, _)| value.is_finite())
            .map(|(_, row)| *row)
            .collect();
        // A variable may be on both sides, and in two layers.
        let mut seen = Vec::with_capacity(rows.len());
        rows.retain(|row| {
            let new = !seen.contains(row);
            seen.push(*row);
            new
        });
        rows
    }
}
