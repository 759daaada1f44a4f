//! The contract of derivatives by the input.

use super::{Violation, require};
use crate::{Jet, Kernel, Points, Rows};

/// Checks a kernel's first and second derivatives by its input against central differences on pairs of different points, and that
/// the value is that of `eval` and ∂k/∂y is ∂k/∂x mirrored. Kernels without derivatives pass, and those without second ones are
/// checked for the first. Points must not be hostile.
///
/// # Errors
/// A [`Violation`] with both numbers.
pub fn derivative_contract<K: Kernel<Rows<f64>>>(kernel: &K, xs: &Rows<f64>) -> Result<(), Violation> {
    if kernel.check(xs).is_err() {
        return Ok(());
    }
    for i in 0..xs.len() {
        for j in 0..i {
            let (x, y) = (xs.point(i), xs.point(j));
            // Differences need a kernel that is smooth over the step, also along each coordinate.
            if x.iter().zip(y).all(|(a, b)| (a - b).abs() > 1e-2) {
                pair(kernel, x, y)?;
            }
        }
    }
    Ok(())
}

fn pair<K: Kernel<Rows<f64>>>(kernel: &K, x: &[f64], y: &[f64]) -> Result<(), Violation> {
    let d = x.len();
    let (mut jet, mut mirrored, mut moved) = (Jet::new(d, true), Jet::new(d, false), Jet::new(d, false));
    let second = kernel.jet(x, y, &mut jet);
    if !second {
        jet = Jet::new(d, false);
        if !kernel.jet(x, y, &mut jet) {
            return Ok(());
        }
    }
    kernel.jet(y, x, &mut mirrored);
    let value = kernel.eval(x, y);
    require((jet.value() - value).abs() <= 1e-11 * (1.0 + value.abs()), || {
        format!("the jet's value is {:e}, eval gives {value:e}", jet.value())
    })?;
    let size = jet.by_x().iter().fold(value.abs(), |m, g| m.max(g.abs()));
    let step = 1e-5;
    for k in 0..d {
        let at = |sign: f64| -> Vec<f64> {
            let mut point = x.to_vec();
            point[k] += sign * step;
            point
        };
        let (high, low) = (at(1.0), at(-1.0));
        let near = |what: &str, got: f64, difference: f64, size: f64| {
            require(
                (got - difference).abs() <= 1e-4 * (got.abs() + difference.abs()) + 1e-6 * (1.0 + size),
                || {
                    format!(
                        "{what} by feature {k} at {x:?}, {y:?} is {got:e}, differences give {difference:e}"
                    )
                },
            )
        };
        near(
            "derivative",
            jet.by_x()[k],
            (kernel.eval(&high, y) - kernel.eval(&low, y)) / (2.0 * step),
            size,
        )?;
        let (own, other) = (jet.by_y()[k], mirrored.by_x()[k]);
        require((own - other).abs() <= 1e-11 * (1.0 + size), || {
            format!("derivative {k} by y is {own:e}, by x of the mirrored pair {other:e}")
        })?;
        if !second {
            continue;
        }
        let mut slopes = [vec![], vec![]];
        for (point, slopes) in [&high, &low].into_iter().zip(&mut slopes) {
            kernel.jet(point, y, &mut moved);
            *slopes = [moved.by_x(), moved.by_y()].concat();
        }
        let largest = jet.by_xx().iter().fold(size, |m, g| m.max(g.abs()));
        for m in 0..d {
            let slope = |part: usize| (slopes[0][part + m] - slopes[1][part + m]) / (2.0 * step);
            near(&format!("∂²/∂x∂x{m}"), jet.by_xx()[k + m * d], slope(0), largest)?;
            near(&format!("∂²/∂x∂y{m}"), jet.by_xy()[k + m * d], slope(d), largest)?;
        }
    }
    Ok(())
}
