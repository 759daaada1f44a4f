//! The contract of kernels.

use nalgebra::{DMatrix, DMatrixViewMut};

use super::{Violation, alike, require};
use crate::{Block, Definiteness, Describe, Kernel, Points, Real, Workspace, diagonal, gram, gram_gradient};

/// Checks everything a kernel promises on one data set; points the kernel itself refuses pass.
///
/// Symmetric to the bit; the same bits for any tiling, and mirrored ones for mirrored blocks; diagonal equal to that of the matrix and
/// pairs equal to entries up to rounding; permuted points give the permuted matrix; the smallest eigenvalue not below
/// −n ε times a safety factor for what is called positive definite (on the complement of constants for order 1);
/// parameters that set back what they read and refuse wrong counts and NaN; a text form that reads back.
///
/// # Errors
/// A [`Violation`] that says what was found where.
pub fn kernel_contract<P: Points, K: Kernel<P> + Clone>(kernel: &K, xs: &P) -> Result<(), Violation> {
    if kernel.check(xs).is_err() {
        return Ok(());
    }
    let n = xs.len();
    let k = gram(kernel, xs)?;
    let bits = |v: P::Scalar| v.to_f64().to_bits();
    let same = |a: P::Scalar, b: P::Scalar| bits(a) == bits(b) || a.to_f64().is_nan() && b.to_f64().is_nan();
    for j in 0..n {
        for i in 0..j {
            require(same(k[(i, j)], k[(j, i)]), || {
                format!(
                    "not symmetric: K[{i}, {j}] = {:e}, K[{j}, {i}] = {:e}",
                    k[(i, j)].to_f64(),
                    k[(j, i)].to_f64()
                )
            })?;
        }
    }
    tilings(kernel, xs, &k, same)?;
    pairs(kernel, xs, &k)?;
    permutation(kernel, xs, &k)?;
    definiteness(kernel.definiteness(), &k.map(Real::to_f64), P::Scalar::EPSILON.to_f64())?;
    description(kernel)
}

fn tilings<P: Points, K: Kernel<P>>(
    kernel: &K,
    xs: &P,
    k: &DMatrix<P::Scalar>,
    same: impl Fn(P::Scalar, P::Scalar) -> bool,
) -> Result<(), Violation> {
    let n = xs.len();
    let mut ws = Workspace::new();
    for step in [1, 2, 3, 5, n.max(1)] {
        for r in (0..=n).step_by(step) {
            for c in (0..=n).step_by(step + 1) {
                let at = Block::within(xs, r..(r + step).min(n), c..(c + step + 1).min(n))?;
                let (rows, cols) = at.shape();
                let mut buffer = vec![P::Scalar::default(); rows * cols];
                kernel.block(&at, DMatrixViewMut::from_slice(&mut buffer, rows, cols), &mut ws);
                for (e, &value) in buffer.iter().enumerate() {
                    let (i, j) = (r + e % rows, c + e / rows);
                    require(same(value, k[(i, j)]), || {
                        format!(
                            "tiling changes K[{i}, {j}]: {:e} in a block of {rows} x {cols}, {:e} whole",
                            value.to_f64(),
                            k[(i, j)].to_f64()
                        )
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn pairs<P: Points, K: Kernel<P>>(kernel: &K, xs: &P, k: &DMatrix<P::Scalar>) -> Result<(), Violation> {
    // Blocks may form numbers in another order than pairs: some rounding, grown by powers and exponentials.
    let tolerance = 1e4 * P::Scalar::EPSILON.to_f64();
    let d = diagonal(kernel, xs)?;
    for i in 0..xs.len() {
        let (got, expected) = (d[i].to_f64(), k[(i, i)].to_f64());
        require(alike(got, expected, tolerance, 0.0), || {
            format!("diagonal({i}) = {got:e}, but K[{i}, {i}] = {expected:e}")
        })?;
        for j in 0..i {
            let pair = kernel.eval(xs.point(i), xs.point(j)).to_f64();
            let mirrored = kernel.eval(xs.point(j), xs.point(i)).to_f64();
            let entry = k[(i, j)].to_f64();
            let scale = (d[i].to_f64().abs() * d[j].to_f64().abs()).sqrt();
            require(alike(pair, mirrored, tolerance, scale), || {
                format!("eval is not symmetric at ({i}, {j}): {pair:e} and {mirrored:e}")
            })?;
            require(alike(pair, entry, tolerance, scale), || {
                format!("eval({i}, {j}) = {pair:e}, but K[{i}, {j}] = {entry:e}")
            })?;
        }
    }
    Ok(())
}

fn permutation<P: Points, K: Kernel<P>>(kernel: &K, xs: &P, k: &DMatrix<P::Scalar>) -> Result<(), Violation> {
    let n = xs.len();
    let reversed: Vec<usize> = (0..n).rev().collect();
    let other = gram(kernel, &xs.subset(&reversed)?)?;
    // The origin for distances is a mean, whose rounding depends on the order.
    let tolerance = 1e4 * P::Scalar::EPSILON.to_f64();
    for j in 0..n {
        for i in 0..n {
            let (a, b) = (k[(i, j)].to_f64(), other[(n - 1 - i, n - 1 - j)].to_f64());
            let scale = (k[(i, i)].to_f64().abs() * k[(j, j)].to_f64().abs()).sqrt();
            require(alike(a, b, tolerance, scale), || {
                format!("reversing the points changes K[{i}, {j}] from {a:e} to {b:e}")
            })?;
        }
    }
    Ok(())
}

fn definiteness(given: Definiteness, k: &DMatrix<f64>, epsilon: f64) -> Result<(), Violation> {
    let n = k.nrows();
    let largest = k.amax();
    if n == 0 || !(1e-100..1e100).contains(&largest) || k.iter().any(|v| !v.is_finite()) {
        return Ok(());
    }
    let projected = match given {
        Definiteness::Positive => k.clone(),
        Definiteness::Conditional(1) => {
            let j = DMatrix::identity(n, n) - DMatrix::repeat(n, n, 1.0 / n as f64);
            &j * k * &j
        }
        // Higher orders need the points' polynomials.
        Definiteness::Conditional(_) | Definiteness::Indefinite => return Ok(()),
    };
    let least = projected.symmetric_eigenvalues().min();
    let bound = -(n as f64) * 1e3 * epsilon * largest;
    require(least >= bound, || {
        format!("called {given}, but an eigenvalue is {least:e} (rounding explains {bound:e})")
    })
}

fn description<K: Describe + Clone>(kernel: &K) -> Result<(), Violation> {
    let values = |k: &K| k.params().iter().map(|p| p.value).collect::<Vec<f64>>();
    let original = values(kernel);
    let mut copy = kernel.clone();
    copy.set_params(&original)?;
    require(values(&copy) == original, || "set_params does not set back what params reads".to_owned())?;
    let mut longer = original.clone();
    longer.push(1.0);
    require(copy.set_params(&longer).is_err(), || "set_params accepts a value too many".to_owned())?;
    for i in 0..original.len() {
        let mut wrong = original.clone();
        wrong[i] = f64::NAN;
        require(copy.set_params(&wrong).is_err(), || {
            format!("set_params accepts NaN for {}", kernel.params()[i].name)
        })?;
        require(values(&copy) == original, || "a refused set_params changed the kernel".to_owned())?;
    }
    if let Some(expression) = kernel.expression() {
        let text = expression.to_string();
        let again = crate::parse(&text)?;
        require(again == expression, || format!("the text `{text}` reads back as `{again}`"))?;
    }
    Ok(())
}

/// Checks the gradient by every parameter against central differences of weighted sums of the Gram matrix.
///
/// # Errors
/// A [`Violation`] with both numbers.
pub fn gradient_contract<P: Points, K: Kernel<P> + Clone>(kernel: &K, xs: &P) -> Result<(), Violation> {
    if kernel.check(xs).is_err() {
        return Ok(());
    }
    let n = xs.len();
    // Weights of both signs without a pattern that could hide a mistake.
    let weights = DMatrix::from_fn(n, n, |i, j| P::Scalar::of((1.0 + (i * j) as f64 + (i + j) as f64).sin()));
    let gradient = gram_gradient(kernel, xs, weights.as_view())?;
    let params = kernel.params();
    require(gradient.len() == params.len(), || {
        format!("{} derivatives for {} parameters", gradient.len(), params.len())
    })?;
    for (p, param) in params.iter().enumerate() {
        let step = 1e-5 * param.value.abs().max(1e-3);
        let at = |value: f64| -> Result<(f64, f64), Violation> {
            let mut values: Vec<f64> = params.iter().map(|p| p.value).collect();
            values[p] = value;
            let mut moved = kernel.clone();
            moved.set_params(&values)?;
            let k = gram(&moved, xs)?;
            let terms = k.iter().zip(&weights).map(|(k, w)| k.to_f64() * w.to_f64());
            Ok(terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs())))
        };
        let (Ok((high, size)), Ok((low, _))) = (at(param.value + step), at(param.value - step)) else {
            continue; // at the edge of the domain
        };
        let difference = (high - low) / (2.0 * step);
        // Truncation of the difference, and rounding of the sums divided by the step.
        let tolerance =
            1e-4 * (gradient[p].abs() + difference.abs()) + 1e-13 * (size + 1.0) / step + 1e-6 * size;
        require((gradient[p] - difference).abs() <= tolerance, || {
            format!("derivative by {} is {:e}, differences give {difference:e}", param.name, gradient[p])
        })?;
    }
    Ok(())
}
