//! Minimisation of smooth functions of a few variables.

/// BFGS with backtracking from `start`, at most `iterations` steps: the point and its value, never above the start's.
/// A value that is not finite is a step too far.
pub(crate) fn minimise(
    start: Vec<f64>,
    iterations: usize,
    mut objective: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> (Vec<f64>, f64) {
    let n = start.len();
    let mut x = start;
    let (mut value, mut gradient) = objective(&x);
    let mut inverse = vec![0.0; n * n];
    let reset = |h: &mut [f64]| (0..n * n).for_each(|at| h[at] = f64::from(u8::from(at % (n + 1) == 0)));
    reset(&mut inverse);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut fresh = true;
    for _ in 0..iterations {
        let mut step: Vec<f64> = (0..n).map(|i| -dot(&inverse[i * n..(i + 1) * n], &gradient)).collect();
        let mut slope = dot(&step, &gradient);
        if !(slope < 0.0) {
            reset(&mut inverse);
            step = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
            fresh = true;
        }
        if !(slope < -1e-24 * (1.0 + value.abs())) {
            break;
        }
        let mut t = if fresh { (1.0 / dot(&gradient, &gradient).sqrt()).min(1.0) } else { 1.0 };
        let mut accepted = None;
        for _ in 0..50 {
            let next: Vec<f64> = x.iter().zip(&step).map(|(x, s)| x + t * s).collect();
            let (at, slopes) = objective(&next);
            if at.is_finite() && at <= value + 1e-4 * t * slope {
                accepted = Some((next, at, slopes));
                break;
            }
            t *= 0.5;
        }
        let Some((next, at, slopes)) = accepted else {
            if fresh {
                break;
            }
            reset(&mut inverse);
            fresh = true;
            continue;
        };
        let s: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let done = (value - at).abs() <= 1e-15 * value.abs().max(f64::MIN_POSITIVE);
        (x, value, gradient) = (next, at, slopes);
        let sy = dot(&s, &y);
        if sy > 1e-14 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
            if fresh {
                let scale = sy / dot(&y, &y);
                inverse.iter_mut().for_each(|h| *h *= scale);
            }
            let hy: Vec<f64> = (0..n).map(|i| dot(&inverse[i * n..(i + 1) * n], &y)).collect();
            let factor = (1.0 + dot(&y, &hy) / sy) / sy;
            for i in 0..n {
                for j in 0..n {
                    inverse[i * n + j] += factor * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy;
                }
            }
            fresh = false;
        }
        if done {
            break;
        }
    }
    (x, value)
}
