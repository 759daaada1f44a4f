//! Limited-memory BFGS within bounds, for a handful of hyper-parameters.

use std::{collections::VecDeque, ops::ControlFlow};

/// Why an optimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Stop {
    /// The projected gradient is small: a stationary point.
    Gradient,
    /// The objective no longer falls.
    Objective,
    /// The most iterations that were allowed.
    Iterations,
    /// No step along the direction was better.
    LineSearch,
    /// Nothing to optimise, or not asked to.
    Nothing,
}

/// Where a minimisation arrived.
#[derive(Clone, Debug)]
pub(crate) struct Minimum {
    pub(crate) x: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) gradient_norm: f64,
    pub(crate) iterations: usize,
    pub(crate) evaluations: usize,
    pub(crate) stop: Stop,
}

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 10;
/// Ends when no component of the projected gradient exceeds this.
const GRADIENT: f64 = 1e-5;
/// Ends when the relative fall of the objective is below this.
const FALL: f64 = 1e-10;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Minimises `f`, which returns value and gradient, from `start` within `bounds`. A value that is not finite marks a point
/// that cannot be evaluated: steps towards it are shortened. `watch` is called after every iteration and may end it.
pub(crate) fn minimise(
    mut f: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    start: &[f64],
    bounds: &[(f64, f64)],
    most_iterations: usize,
    mut watch: impl FnMut(usize) -> ControlFlow<()>,
) -> ControlFlow<(), Minimum> {
    let inside = |x: f64, i: usize| x.clamp(bounds[i].0, bounds[i].1);
    let mut x: Vec<f64> = start.iter().enumerate().map(|(i, &x)| inside(x, i)).collect();
    let (mut value, mut gradient) = f(&x);
    let (mut iterations, mut evaluations) = (0, 1);
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    let stop = loop {
        // Variables held at a bound by the gradient do not move.
        let free: Vec<bool> = (0..x.len())
            .map(|i| !(x[i] <= bounds[i].0 && gradient[i] > 0.0 || x[i] >= bounds[i].1 && gradient[i] < 0.0))
            .collect();
        let projected: Vec<f64> = (0..x.len()).map(|i| if free[i] { gradient[i] } else { 0.0 }).collect();
        let steepest = projected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        if x.is_empty() || !value.is_finite() {
            break Stop::Nothing;
        }
        if steepest < GRADIENT {
            break Stop::Gradient;
        }
        if iterations == most_iterations {
            break Stop::Iterations;
        }
        watch(iterations)?;
        iterations += 1;
        let mut direction = two_loop(&memory, &projected, &free);
        if dot(&direction, &projected) >= 0.0 {
            memory.clear();
            direction = projected.iter().map(|g| -g).collect();
        }
        // A first step without curvature: at most 1 on the optimiser's scale, which is a logarithm.
        let mut step = if memory.is_empty() { 1.0 / steepest.max(1.0) } else { 1.0 };
        let accepted = loop {
            let next: Vec<f64> = (0..x.len()).map(|i| inside(x[i] + step * direction[i], i)).collect();
            let moved: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
            let slope = dot(&gradient, &moved);
            if moved.iter().all(|m| m.abs() < 1e-14) {
                break None;
            }
            let (next_value, next_gradient) = f(&next);
            evaluations += 1;
            if next_value.is_finite() && next_value <= value + 1e-4 * slope {
                break Some((next, moved, next_value, next_gradient));
            }
            // The minimum of the parabola through value, slope and the new value, kept within reason.
            let parabola =
                if next_value.is_finite() { -0.5 * slope / (next_value - value - slope) } else { 0.1 };
            step *= if parabola.is_finite() { parabola.clamp(0.1, 0.5) } else { 0.1 };
            if evaluations > 20 * (most_iterations + 1) {
                break None;
            }
        };
        let Some((next, moved, next_value, next_gradient)) = accepted else {
            if memory.is_empty() {
                break Stop::LineSearch;
            }
            // Perhaps the curvature was wrong: once more along the gradient.
            memory.clear();
            continue;
        };
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&moved, &change) > 1e-10 * dot(&change, &change).sqrt() * dot(&moved, &moved).sqrt() {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((moved, change));
        }
        let fall = value - next_value;
        (x, value, gradient) = (next, next_value, next_gradient);
        if fall <= FALL * value.abs().max(1.0) {
            break Stop::Objective;
        }
    };
    let gradient_norm = (0..x.len())
        .filter(|&i| !(x[i] <= bounds[i].0 && gradient[i] > 0.0 || x[i] >= bounds[i].1 && gradient[i] < 0.0))
        .fold(0.0_f64, |m, i| m.max(gradient[i].abs()));
    ControlFlow::Continue(Minimum { x, value, gradient_norm, iterations, evaluations, stop })
}

/// −H g by the two-loop recursion, in the subspace of the free variables.
///
/// Reference: Nocedal & Wright, *Numerical Optimization* (2006), algorithm 7.4.
fn two_loop(memory: &VecDeque<(Vec<f64>, Vec<f64>)>, gradient: &[f64], free: &[bool]) -> Vec<f64> {
    let masked =
        |v: &[f64]| -> Vec<f64> { v.iter().zip(free).map(|(v, f)| if *f { *v } else { 0.0 }).collect() };
    let pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = memory
        .iter()
        .map(|(s, y)| (masked(s), masked(y)))
        .map(|(s, y)| {
            let curvature = dot(&s, &y);
            (s, y, curvature)
        })
        .filter(|(.., curvature)| *curvature > 0.0)
        .collect();
    let mut q: Vec<f64> = gradient.to_vec();
    let mut alphas = Vec::with_capacity(pairs.len());
    for (s, y, curvature) in pairs.iter().rev() {
        let alpha = dot(s, &q) / curvature;
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((_, y, curvature)) = pairs.last() {
        let scale = curvature / dot(y, y);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y, curvature), alpha) in pairs.iter().zip(alphas.iter().rev()) {
        let beta = dot(y, &q) / curvature;
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q.iter().zip(free).map(|(q, f)| if *f { -q } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(f: impl FnMut(&[f64]) -> (f64, Vec<f64>), start: &[f64], bounds: &[(f64, f64)]) -> Minimum {
        match minimise(f, start, bounds, 500, |_| ControlFlow::Continue(())) {
            ControlFlow::Continue(minimum) => minimum,
            ControlFlow::Break(()) => panic!("nobody stops it"),
        }
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    }

    #[test]
    fn rosenbrock_free_and_bounded() {
        let free = run(rosenbrock, &[-1.2, 1.0], &[(-5.0, 5.0); 2]);
        // The valley is flat: the objective's tolerance of 1e-10 leaves about its root in x.
        assert!((free.x[0] - 1.0).abs() < 1e-4 && (free.x[1] - 1.0).abs() < 1e-4, "{free:?}");
        // With x ≤ ½ the minimum is at x = ½, y = ¼.
        let bounded = run(rosenbrock, &[-1.2, 1.0], &[(-5.0, 0.5), (-5.0, 5.0)]);
        assert!((bounded.x[0] - 0.5).abs() < 1e-9 && (bounded.x[1] - 0.25).abs() < 1e-4, "{bounded:?}");
    }

    #[test]
    fn regions_without_values_are_avoided() {
        // ln-barrier-like: no value for x ≤ 0, minimum of x − ln x at 1.
        let f = |x: &[f64]| {
            if x[0] <= 0.0 {
                (f64::INFINITY, vec![f64::NAN])
            } else {
                (x[0] - x[0].ln(), vec![1.0 - 1.0 / x[0]])
            }
        };
        let minimum = run(f, &[20.0], &[(-100.0, 100.0)]);
        assert!((minimum.x[0] - 1.0).abs() < 1e-4, "{minimum:?}");
    }

    #[test]
    fn no_variables_and_no_start() {
        assert_eq!(run(|_| (3.0, vec![]), &[], &[]).stop, Stop::Nothing);
        assert_eq!(run(|_| (f64::NAN, vec![0.0]), &[0.0], &[(-1.0, 1.0)]).stop, Stop::Nothing);
    }
}
