//! From paths to pairs to values: which solver with which accuracy, and normalisation.

use super::{
    Paths, ScaledValue,
    cells::{Pair, Plan, Source, Steps, values},
    grid::{Grid, Recurrence},
    lift::{Lift, Roughness, linear_factor, steps},
    signature::{FiniteDifferences, Normalization, Signature, Solver},
    tile::{MOST_DEGREE, Tiles},
    truncated::{Truncation, levels},
};
use crate::{Kernel, Points, Real, Rows};

/// Degrees and halvings for a tolerance.
///
/// With γ the largest |sum| of cells along a part of a row or column, polynomials of degree P leave an error below about
/// 2 γ^(P+1)/((P+1)!)² of the largest value; γ is bounded by the longest step of one path times the reach of the other.
/// Halving rows halves sums along rows, halving columns those along columns. Only even degrees are chosen, so that more pairs share one.
struct Planner {
    /// The largest γ for each degree.
    largest: [f64; MOST_DEGREE + 1],
}

/// A cell with a larger number cancels too many digits when it is negative.
const LARGEST_CELL: f64 = 16.0;

/// Degrees past this one are not chosen: their cost grows faster than that of halving.
const GREATEST_CHOICE: usize = 40;

/// Degree where values grow too fast for the bound.
const GROWING: usize = 24;

/// The largest γ of a part. Values grow by at most e^(2√(16γ)) before they are rescaled, after up to 16 parts.
const MOST_GROWTH: f64 = 5e3;

/// Halvings are not chosen beyond.
const MOST_CHOSEN_HALVINGS: u32 = 8;

/// What a plan costs, and its γ: of plans that cost the same the one of least γ is taken, so that two paths in the other order
/// have the plan in the other order.
type Cost = (f64, f64);

impl Planner {
    fn new(tolerance: f64) -> Self {
        let mut largest = [0.0; MOST_DEGREE + 1];
        let mut ln_factorial = 0.0;
        for (degree, largest) in largest.iter_mut().enumerate() {
            let n = (degree + 1) as f64;
            ln_factorial += n.ln();
            *largest = ((tolerance.ln() - 4.0_f64.ln() + 2.0 * ln_factorial) / n).exp();
        }
        Self { largest }
    }

    /// The plan with these halvings.
    fn with(&self, x: &Roughness, y: &Roughness, scale: f64, halve: (u32, u32)) -> Option<(Cost, Plan)> {
        let (rows, cols) = (f64::from(1_u32 << halve.0), f64::from(1_u32 << halve.1));
        let gamma = (x.step * y.reach * scale / rows).max(y.step * x.reach * scale / cols);
        if x.step * y.step * scale / (rows * cols) > LARGEST_CELL {
            return None;
        }
        let degree = (4..=GREATEST_CHOICE).step_by(2).find(|&p| gamma <= self.largest[p])?;
        let cost = rows * cols * ((degree + 1) * (degree + 1)) as f64;
        Some(((cost, gamma), Plan { degree, halve_rows: halve.0, halve_cols: halve.1 }))
    }

    /// The cheapest plan that keeps the bound. Where none does, values grow so fast along the paths that errors far from the
    /// corner, on which the bound rests, do not matter: cells of at most 16 and degree 24 have been found to give eleven digits
    /// of ln k against one closed form, at ln k = 2000; there is no proof. None for NaN, and when even many
    /// halvings leave larger cells or faster growth.
    fn plan(&self, x: &Roughness, y: &Roughness, scale: f64) -> Option<Plan> {
        if !(x.step * y.reach * scale + y.step * x.reach * scale).is_finite() {
            return None;
        }
        if let Some((_, plan)) = self.with(x, y, scale, (0, 0)).filter(|(_, plan)| plan.degree <= 8) {
            return Some(plan);
        }
        let halvings = 0..=MOST_CHOSEN_HALVINGS;
        let all = halvings.clone().flat_map(|a| halvings.clone().map(move |b| (a, b)));
        let plans = all.filter_map(|halve| self.with(x, y, scale, halve));
        if let Some((_, plan)) = plans.min_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.total_cmp(&b.0.1))) {
            return Some(plan);
        }
        let enough = |number: f64, bound: f64, most: u32| {
            (0..=most).find(|&h| number * scale / f64::from(1_u32 << h) <= bound)
        };
        let halve = enough(x.step * y.step, LARGEST_CELL, 2 * MOST_CHOSEN_HALVINGS)?;
        let rows = enough(x.step * y.reach, MOST_GROWTH, MOST_CHOSEN_HALVINGS)?;
        let cols = enough(y.step * x.reach, MOST_GROWTH, MOST_CHOSEN_HALVINGS)?;
        Some(Plan {
            degree: GROWING,
            halve_rows: halve.div_ceil(2).max(rows),
            halve_cols: (halve / 2).max(cols),
        })
    }
}

/// Paths of one data set as a kernel sees them; entries of paths that are not used mean nothing.
pub(super) struct Side {
    steps: Option<Steps>,
    rough: Vec<Roughness>,
    /// Number of segments (or knots) of every path.
    cells: Vec<usize>,
    /// λ of tensor normalisation.
    pub(super) shrink: Vec<f64>,
    /// k(x, x) for cosines.
    pub(super) norms: Vec<ScaledValue>,
    /// k_l(x, x) for cosines of levels.
    pub(super) levels: Vec<f64>,
}

impl Side {
    pub(super) fn new<T: Real, S: Kernel<Rows<T>>>(
        kernel: &Signature<S>,
        paths: &Paths<T>,
        used: &[usize],
    ) -> Self {
        let linear = linear_factor(kernel.lift()).filter(|_| kernel.has_differences());
        let steps = linear.map(|_| steps(paths));
        let mut rough = vec![Roughness::default(); paths.len()];
        if kernel.truncation().is_none() {
            for &i in used {
                rough[i] = match &steps {
                    Some(steps) => Roughness::linear(steps.of(i), steps.dim),
                    None => Roughness::lifted(kernel.lift(), paths, i),
                };
            }
        }
        let shorter = usize::from(kernel.has_differences());
        let cells = paths.lengths().iter().map(|l| l - shorter).collect();
        let mut side = Self {
            steps,
            rough,
            cells,
            shrink: vec![1.0; paths.len()],
            norms: Vec::new(),
            levels: Vec::new(),
        };
        let own = |side: &Self, work: &dyn Fn(&Setting<'_, T, S>) -> Vec<f64>| {
            work(&Setting { kernel, xs: paths, ys: paths, x: side, y: side })
        };
        let pairs: Vec<(usize, usize)> = used.iter().map(|&i| (i, i)).collect();
        match (kernel.chosen_normalization(), kernel.truncation()) {
            (Normalization::None, _) => {}
            (Normalization::Levels, Some(truncation)) => {
                let n = truncation.levels + 1;
                let own = own(&side, &|setting| setting.levels(&pairs, truncation));
                side.levels = vec![1.0; paths.len() * n];
                for (&i, levels) in used.iter().zip(own.chunks_exact(n)) {
                    side.levels[i * n..(i + 1) * n].copy_from_slice(levels);
                }
            }
            (Normalization::Cosine | Normalization::Levels, _) => {
                let setting = Setting { kernel, xs: paths, ys: paths, x: &side, y: &side };
                let own = setting.values(&pairs);
                side.norms = vec![ScaledValue::ONE; paths.len()];
                used.iter().zip(own).for_each(|(&i, norm)| side.norms[i] = norm);
            }
            (Normalization::Tensor { .. } | Normalization::TensorLog, _) => {
                let shrink = own(&side, &|setting| setting.shrinkage(used));
                used.iter().zip(shrink).for_each(|(&i, lambda)| side.shrink[i] = lambda);
            }
        }
        side
    }
}

/// Two data sets of prepared paths and a kernel.
pub(super) struct Setting<'a, T: Real, S> {
    pub(super) kernel: &'a Signature<S>,
    pub(super) xs: &'a Paths<T>,
    pub(super) ys: &'a Paths<T>,
    pub(super) x: &'a Side,
    pub(super) y: &'a Side,
}

impl<T: Real, S: Kernel<Rows<T>>> Setting<'_, T, S> {
    pub(super) fn lift(&self) -> Lift<'_, T> {
        let differences = self.kernel.has_differences();
        Lift { kernel: self.kernel.lift(), xs: self.xs, ys: self.ys, differences }
    }

    /// c of a lift c ⟨x, y⟩.
    pub(super) fn linear(&self) -> Option<f64> {
        linear_factor(self.kernel.lift()).filter(|_| self.kernel.has_differences())
    }

    pub(super) fn with_source<R>(&self, work: impl FnOnce(&Source<'_>) -> R) -> R {
        match (&self.x.steps, &self.y.steps) {
            (Some(x), Some(y)) => work(&Source::Linear(x, y)),
            _ => work(&Source::Lifted(&self.lift())),
        }
    }

    /// Pairs to sweep, their places in the list, and the values of the others.
    pub(super) fn pairs(
        &self,
        indices: &[(usize, usize)],
        shrink: impl Fn(usize) -> f64,
    ) -> (Vec<Pair>, Vec<usize>, Vec<ScaledValue>) {
        let factor = self.linear().unwrap_or(1.0);
        let planner = match self.kernel.chosen_solver() {
            Solver::Auto { tolerance } => Some(Planner::new(tolerance)),
            _ => None,
        };
        let (mut pairs, mut places) = (Vec::with_capacity(indices.len()), Vec::with_capacity(indices.len()));
        let mut known = vec![ScaledValue::ONE; indices.len()];
        for (place, &(i, j)) in indices.iter().enumerate() {
            let (rows, cols) = (self.x.cells[i], self.y.cells[j]);
            if rows == 0 || cols == 0 {
                continue; // a constant path: only level 0
            }
            let scale = factor * shrink(place);
            let (x, y) = (&self.x.rough[i], &self.y.rough[j]);
            let plan = match (&planner, self.kernel.chosen_solver()) {
                (Some(planner), _) => planner.plan(x, y, scale),
                (None, Solver::Polynomial { order }) => Some(Plan { degree: order, ..Plan::default() }),
                (None, Solver::FiniteDifferences { dyadic, .. }) => {
                    Some(Plan { degree: 0, halve_rows: dyadic, halve_cols: dyadic })
                }
                (None, _) => Some(Plan::default()),
            };
            let Some(plan) = plan else {
                known[place] = ScaledValue::new(f64::NAN, 0);
                continue;
            };
            // |k| ≤ I₀(2 √(|x| |y|)) < e^200 needs no watching; schemes may overshoot where cells are large.
            let small = (x.length * y.length * scale).sqrt() < 100.0 && x.step * y.step * scale < 4.0;
            pairs.push(Pair { x: i, y: j, rows, cols, scale, plan, watch: !small, weight: ScaledValue::ONE });
            places.push(place);
        }
        (pairs, places, known)
    }

    /// k of pairs, not normalised by cosines.
    pub(super) fn values(&self, indices: &[(usize, usize)]) -> Vec<ScaledValue> {
        self.shrunk_values(indices, |p| self.x.shrink[indices[p].0] * self.y.shrink[indices[p].1])
    }

    fn shrunk_values(&self, indices: &[(usize, usize)], shrink: impl Fn(usize) -> f64) -> Vec<ScaledValue> {
        let (pairs, places, mut out) = self.pairs(indices, shrink);
        let values = self.with_source(|source| match self.kernel.chosen_solver() {
            Solver::Auto { .. } | Solver::Polynomial { .. } => values(source, &pairs, Tiles::default()),
            Solver::FiniteDifferences { scheme, .. } => values(source, &pairs, Grid::new(recurrence(scheme))),
            Solver::Truncated { levels: n, order } => {
                let all = levels(source, &pairs, Truncation { levels: n, order });
                all.chunks_exact(n + 1).map(|l| ScaledValue::new(l.iter().sum(), 0)).collect()
            }
        });
        places.into_iter().zip(values).for_each(|(place, value)| out[place] = value);
        out
    }

    /// k₀, …, k_N of pairs, pair after pair.
    pub(super) fn levels(&self, indices: &[(usize, usize)], truncation: Truncation) -> Vec<f64> {
        let n = truncation.levels + 1;
        let mut out = vec![0.0; indices.len() * n];
        out.iter_mut().step_by(n).for_each(|k| *k = 1.0);
        let (pairs, places, _) = self.pairs(indices, |_| 1.0);
        let levels = self.with_source(|source| levels(source, &pairs, truncation));
        for (place, levels) in places.into_iter().zip(levels.chunks_exact(n)) {
            out[place * n..(place + 1) * n].copy_from_slice(levels);
        }
        out
    }

    /// The kernel's values; `within` says that equal indices are one path.
    pub(super) fn normalized(&self, indices: &[(usize, usize)], within: bool) -> Vec<f64> {
        match (self.kernel.chosen_normalization(), self.kernel.truncation()) {
            (Normalization::Levels, Some(truncation)) => {
                let n = truncation.levels + 1;
                let all = self.levels(indices, truncation);
                indices
                    .iter()
                    .zip(all.chunks_exact(n))
                    .map(|(&(i, j), k)| {
                        let (x, y) = (&self.x.levels[i * n..(i + 1) * n], &self.y.levels[j * n..(j + 1) * n]);
                        let cosines = k.iter().zip(x).zip(y).map(|((k, x), y)| k / (root(*x) * root(*y)));
                        cosines.sum::<f64>() / n as f64
                    })
                    .collect()
            }
            (Normalization::Cosine | Normalization::Levels, _) => {
                let values = self.values(indices);
                indices
                    .iter()
                    .zip(values)
                    .map(|(&(i, j), k)| {
                        let cosine = k.normalized(self.x.norms[i], self.y.norms[j]);
                        // Exactly 1, unless it is not a number.
                        if within && i == j && cosine > 0.0 { 1.0 } else { cosine }
                    })
                    .collect()
            }
            _ => self.values(indices).iter().map(ScaledValue::value).collect(),
        }
    }

    /// λ of paths, for which k(λx, λx) = ψ(k(x, x)): by false position on ln k, all paths together.
    fn shrinkage(&self, used: &[usize]) -> Vec<f64> {
        let normalization = self.kernel.chosen_normalization();
        let logs = |which: &[usize], lambda: &[f64]| -> Vec<f64> {
            let indices: Vec<(usize, usize)> = which.iter().map(|&k| (used[k], used[k])).collect();
            let values = self.shrunk_values(&indices, |p| lambda[which[p]] * lambda[which[p]]);
            values.iter().map(|k| if k.mantissa() > 0.0 { k.ln_abs() } else { f64::NAN }).collect()
        };
        let n = used.len();
        let all: Vec<usize> = (0..n).collect();
        let whole = logs(&all, &vec![1.0; n]);
        let target: Vec<f64> = whole.iter().map(|&ln_k| bounded(normalization, ln_k)).collect();
        // (λ, ln k − target) below and above the root.
        let mut low: Vec<(f64, f64)> = target.iter().map(|t| (0.0, -t)).collect();
        let mut high: Vec<(f64, f64)> = whole.iter().zip(&target).map(|(k, t)| (1.0, k - t)).collect();
        let mut lambda = vec![1.0; n];
        let mut open: Vec<usize> = all.into_iter().filter(|&k| high[k].1 > 0.0 && low[k].1 < 0.0).collect();
        for k in 0..n {
            if high[k].1.is_nan() {
                lambda[k] = f64::NAN;
            }
        }
        for round in 0..200 {
            if open.is_empty() {
                break;
            }
            for &k in &open {
                let ((a, fa), (b, fb)) = (low[k], high[k]);
                let chord = (a * fb - b * fa) / (fb - fa);
                // Bisection now and then: false position may stick to one side.
                lambda[k] = if round % 4 == 3 || !(chord > a && chord < b) { 0.5 * (a + b) } else { chord };
            }
            let mut found = Vec::new();
            for (&k, value) in open.iter().zip(logs(&open, &lambda)) {
                let f = value - target[k];
                if f > 0.0 {
                    high[k] = (lambda[k], f);
                    low[k].1 *= 0.5;
                } else {
                    low[k] = (lambda[k], f);
                    high[k].1 *= 0.5;
                }
                if f.abs() < 2e-15 || high[k].0 - low[k].0 < 1e-15 * high[k].0 {
                    found.push(k);
                }
            }
            open.retain(|k| !found.contains(k));
        }
        lambda
    }
}

fn root(level: f64) -> f64 {
    level.max(1e-12).sqrt()
}

/// ln ψ(r) from ln r.
fn bounded(normalization: Normalization, ln_r: f64) -> f64 {
    match normalization {
        Normalization::Tensor { bound, exponent } if ln_r > bound.ln() => {
            let (c, a) = (bound, exponent);
            (c + c.powf(1.0 + a) * (c.powf(-a) - (-a * ln_r).exp()) / a).ln()
        }
        Normalization::TensorLog => (2.0 - 1.0 / (1.0 + ln_r)).ln(),
        _ => ln_r,
    }
}

pub(super) fn recurrence(scheme: FiniteDifferences) -> Recurrence {
    match scheme {
        FiniteDifferences::Explicit => Recurrence::Explicit,
        FiniteDifferences::Trapezoid => Recurrence::Trapezoid,
        FiniteDifferences::Second => Recurrence::Second,
    }
}
