//! Limited-memory BFGS with a backtracking line search.

use std::collections::VecDeque;

use nalgebra::DVector;

use crate::Error;

/// Steps remembered.
const MEMORY: usize = 20;

/// How an ascent ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summit {
    pub(super) value: f64,
    pub(super) iterations: usize,
    /// Largest component of the last gradient.
    pub(super) slope: f64,
}

/// Moves `x` to a local maximum of a function given with its gradient. Where the function has no value (an error) a step was too long.
pub(super) fn maximise(
    x: &mut DVector<f64>,
    iterations: usize,
    tolerance: f64,
    mut f: impl FnMut(&DVector<f64>) -> Result<(f64, DVector<f64>), Error>,
) -> Result<Summit, Error> {
    let (mut value, mut gradient) = f(x)?;
    let mut memory: VecDeque<(DVector<f64>, DVector<f64>, f64)> = VecDeque::new();
    for iteration in 0..iterations {
        let slope = gradient.amax();
        if slope <= tolerance {
            return Ok(Summit { value, iterations: iteration, slope });
        }
        // Two-loop recursion for the direction.
        let mut direction = gradient.clone();
        let mut factors = Vec::with_capacity(memory.len());
        for (s, y, inverse) in memory.iter().rev() {
            let a = inverse * s.dot(&direction);
            direction.axpy(-a, y, 1.0);
            factors.push(a);
        }
        match memory.back() {
            Some((_, y, inverse)) => direction /= inverse * y.norm_squared(),
            None => direction /= slope.max(1.0),
        }
        for ((s, y, inverse), a) in memory.iter().zip(factors.into_iter().rev()) {
            let b = inverse * y.dot(&direction);
            direction.axpy(a - b, s, 1.0);
        }
        let mut rise = direction.dot(&gradient);
        if rise <= 0.0 {
            direction.copy_from(&gradient);
            rise = gradient.norm_squared();
            memory.clear();
        }
        let mut step = 1.0;
        let next = loop {
            let to = &*x + &direction * step;
            if let Ok((v, g)) = f(&to)
                && v >= value + 1e-4 * step * rise
            {
                break Some((to, v, g));
            }
            step *= 0.5;
            if step < 1e-12 {
                break None;
            }
        };
        let Some((to, v, g)) = next else {
            // Rounding hides any further rise along the gradient itself.
            if memory.is_empty() {
                return Ok(Summit { value, iterations: iteration, slope });
            }
            memory.clear();
            continue;
        };
        let (s, y) = (&to - &*x, &gradient - &g);
        let curvature = s.dot(&y);
        if curvature > 1e-14 * s.norm() * y.norm() {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((s, y, 1.0 / curvature));
        }
        *x = to;
        (value, gradient) = (v, g);
    }
    Ok(Summit { value, iterations, slope: gradient.amax() })
}
