//! Weights for given points: kernel quadrature, and coresets of few weighted points.

use kernels_core::{Kernel, Points, PositiveDefinite, dense::Cholesky, gram};
use nalgebra::{DMatrix, DVector};
use rand::RngExt;

use crate::{Error, access, error, random, select::residual::Residual};

/// Optimal quadrature weights of points for a distribution P with kernel mean z, and what remains.
#[derive(Clone, Debug, PartialEq)]
pub struct Quadrature {
    /// Weights w = (K + ridge I)⁻¹z, or with sum 1.
    pub weights: Vec<f64>,
    /// Squared worst-case error wᵀKw − 2wᵀz + E k(X, X′) over functions of norm 1, never below 0.
    pub squared_error: f64,
}

/// Kernel (Bayesian) quadrature: the weights of `nodes` that estimate ∫ f dP best, from zᵢ = E k(xᵢ, X) and `mean` = E k(X, X′).
///
/// Without a ridge the squared error is the posterior variance of the integral under a Gaussian process. With `normalised` the weights sum to 1.
///
/// **Errors.** No nodes, lengths that differ, values that are not finite, a matrix that is not positive definite within rounding (take a
/// ridge, 10⁻¹² times the largest diagonal entry say). **Complexity.** O(n³).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let nodes = Rows::from_row_major(vec![-1.0, 1.0], 2, 1)?;
/// // P = N(0, 1) and the Gaussian kernel of variance 1.
/// let z = vec![0.5_f64.sqrt() * (-0.25_f64).exp(); 2];
/// let q = kernels_sample::quadrature(&Rbf::new(1.0)?, &nodes, &z, (1.0_f64 / 3.0).sqrt(), 0.0, false)?;
/// assert!(q.squared_error < 0.1);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn quadrature<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    nodes: &P,
    z: &[f64],
    mean: f64,
    ridge: f64,
    normalised: bool,
) -> Result<Quadrature, Error> {
    access::check("kernel quadrature", kernel, nodes, 1)?;
    let n = nodes.len();
    error::expect("kernel means (one a node)", n, z.len())?;
    error::finite("kernel mean", z)?;
    error::parameter("ridge", ridge, ridge >= 0.0 && ridge.is_finite(), "a finite number, 0 or above")?;
    let k = gram(kernel, nodes)?;
    let mut shifted = k.clone();
    (0..n).for_each(|i| shifted[(i, i)] += ridge);
    let mut solved = DMatrix::from_fn(n, 2, |i, j| if j == 0 { z[i] } else { 1.0 });
    Cholesky::new(shifted)?.solve_in_place(solved.as_view_mut())?;
    let mut w = solved.column(0).into_owned();
    if normalised {
        let multiplier = (1.0 - w.sum()) / solved.column(1).sum();
        w.axpy(multiplier, &solved.column(1), 1.0);
    }
    let z = DVector::from_column_slice(z);
    let squared_error = (w.dot(&(&k * &w)) - 2.0 * w.dot(&z) + mean).max(0.0);
    Ok(Quadrature { weights: w.as_slice().to_vec(), squared_error })
}

/// Nodes for kernel quadrature, chosen one by one among candidates so that each lowers the squared error of optimal weights most
/// (sequential Bayesian quadrature): zᵢ = E k(xᵢ, X) for the candidates, `mean` = E k(X, X′).
///
/// Indices, and the squared error mean − zᵀK⁻¹z with the nodes so far. Ends early when no candidate would lower it.
/// [`quadrature`] gives the weights.
///
/// **Errors.** Lengths that differ, values that are not finite, points that are not finite or not the kernel's. **Complexity.** n kernel
/// values and O(n k) time a step, O(n k) memory.
///
/// Reference: Huszár & Duvenaud, *Optimally-weighted herding is Bayesian quadrature* (2012).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let candidates = Rows::from_row_major((-30..=30).map(|i| f64::from(i) / 10.0).collect(), 61, 1)?;
/// // P = N(0, 1) and the Gaussian kernel of variance 1.
/// let z: Vec<f64> = candidates.as_slice().iter().map(|x| 0.5_f64.sqrt() * (-0.25 * x * x).exp()).collect();
/// let (nodes, errors) =
///     kernels_sample::greedy_quadrature(&Rbf::new(1.0)?, &candidates, &z, (1.0_f64 / 3.0).sqrt(), 5)?;
/// assert_eq!(nodes[0], 30); // the middle
/// assert!(errors[4] < 0.1 * errors[0]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn greedy_quadrature<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    candidates: &P,
    z: &[f64],
    mean: f64,
    size: usize,
) -> Result<(Vec<usize>, Vec<f64>), Error> {
    error::expect("kernel means (one a candidate)", candidates.len(), z.len())?;
    error::finite("kernel mean", z)?;
    error::parameter("mean", mean, mean.is_finite(), "a finite number")?;
    let mut c = Residual::new("kernel quadrature", kernel, &[candidates])?;
    let floor = 16.0 * f64::EPSILON * c.variances().iter().copied().fold(0.0, f64::max);
    let mut left = z.to_vec();
    let mut taken = vec![false; z.len()];
    let (mut nodes, mut errors): (Vec<usize>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut squared_error = mean;
    while nodes.len() < size {
        let gains: Vec<f64> =
            left.iter().zip(c.variances()).map(|(r, v)| if *v > floor { r * r / v } else { 0.0 }).collect();
        let Some(next) = access::argmax(&gains, |i| !taken[i]).filter(|&i| gains[i] > 0.0) else { break };
        let step = left[next] / c.variances()[next].sqrt();
        let Some(u) = c.observe(next, 0.0) else { break };
        left.iter_mut().zip(u).for_each(|(r, u)| *r -= step * u);
        squared_error = (squared_error - step * step).max(0.0);
        taken[next] = true;
        nodes.push(next);
        errors.push(squared_error);
    }
    Ok((nodes, errors))
}

/// Indices of `size` equally weighted points that stand for n weighted ones: ⌊size wᵢ⌋ copies each, the rest by one uniform a stratum. In increasing
/// order; a point may come more than once. Unbiased: the expected number of copies of point i is size · wᵢ.
///
/// **Errors.** Weights that are negative, not finite or all 0.
///
/// ```
/// assert_eq!(kernels_sample::resample(&[0.5, 0.0, 0.5], 4, 1)?, [0, 0, 2, 2]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn resample(weights: &[f64], size: usize, seed: u64) -> Result<Vec<usize>, Error> {
    let w = error::weights(weights, weights.len())?;
    let mut out = Vec::with_capacity(size);
    let mut rest = Vec::with_capacity(w.len());
    for (i, w) in w.iter().enumerate() {
        // Rounding must not turn a whole number of copies into one less.
        let copies = (w * size as f64 * (1.0 + 1e-14)).floor().min((size - out.len()) as f64);
        out.extend(std::iter::repeat_n(i, copies as usize));
        rest.push((w * size as f64 - copies).max(0.0));
    }
    let left = size - out.len();
    let total: f64 = rest.iter().sum();
    let mut rng = random::stream(seed, 0);
    let (mut i, mut sum) = (0, rest.first().copied().unwrap_or(0.0));
    for s in 0..left {
        let u = (s as f64 + rng.random::<f64>()) / left as f64 * total;
        while sum <= u && i + 1 < rest.len() {
            i += 1;
            sum += rest[i];
        }
        out.push(i);
    }
    out.sort_unstable();
    Ok(out)
}

/// At most r + 1 of n weighted points (weights not negative) that keep the weighted sums of r features, `features` n × r, and the total
/// weight: Carathéodory's theorem, by blocks.
///
/// Returned as indices with their weights. With the features of a low-rank approximation of a kernel this is a coreset whose MMD is that
/// of the approximation.
///
/// **Errors.** Shapes that differ, values that are not finite, weights that are negative or all 0. **Complexity.** O(n r + r⁴ log(n/r)).
///
/// Reference: Tchernychova, *Carathéodory cubature measures* (2016).
pub fn recombine(features: &DMatrix<f64>, weights: &[f64]) -> Result<(Vec<usize>, Vec<f64>), Error> {
    let (n, r) = features.shape();
    let mut w = error::weights(weights, n)?;
    error::finite("feature", features.as_slice())?;
    let total: f64 = weights.iter().sum();
    let mut support: Vec<usize> = (0..n).filter(|&i| w[i] > 0.0).collect();
    while support.len() > r + 1 {
        // Blocks of the support, of which a null vector of (features, 1) sums empties at least one.
        let blocks = support.len().min(2 * (r + 1));
        let edge = |b: usize| b * support.len() / blocks;
        let mass: Vec<f64> =
            (0..blocks).map(|b| support[edge(b)..edge(b + 1)].iter().map(|&i| w[i]).sum()).collect();
        let mut columns = DMatrix::zeros(r + 1, blocks);
        for b in 0..blocks {
            for &i in &support[edge(b)..edge(b + 1)] {
                for f in 0..r {
                    columns[(f, b)] += w[i] / mass[b] * features[(i, f)];
                }
            }
            columns[(r, b)] = 1.0;
        }
        let kept = caratheodory(columns, mass.clone())?;
        for b in 0..blocks {
            let factor = kept[b] / mass[b];
            support[edge(b)..edge(b + 1)].iter().for_each(|&i| w[i] *= factor);
        }
        let before = support.len();
        support.retain(|&i| w[i] > 0.0);
        if support.len() == before {
            break;
        }
    }
    let chosen = support.iter().map(|&i| w[i] * total).collect();
    Ok((support, chosen))
}

/// Moves weights along null vectors of A until at most as many as A has rows are positive.
fn caratheodory(a: DMatrix<f64>, mut w: Vec<f64>) -> Result<Vec<f64>, Error> {
    let rows = a.nrows();
    loop {
        let alive: Vec<usize> = (0..w.len()).filter(|&i| w[i] > 0.0).collect();
        if alive.len() <= rows {
            return Ok(w);
        }
        let part = a.select_columns(&alive[..rows + 1]);
        // A square matrix with a row of zeros: its last right singular vector is a null vector.
        let square = part.resize_vertically(rows + 1, 0.0);
        let svd = square.try_svd(false, true, f64::EPSILON, 0);
        let Some(transposed) = svd.and_then(|svd| svd.v_t) else {
            return Err(kernels_core::Error::NotConverged { what: "a null vector", iterations: 0 }.into());
        };
        let null: Vec<f64> = transposed.row(rows).iter().copied().collect();
        // The direction in which some weight falls to 0 first.
        let sign = if null.iter().any(|v| *v > 0.0) { 1.0 } else { -1.0 };
        let (step, first) = (0..=rows)
            .filter(|&k| sign * null[k] > 0.0)
            .map(|k| (w[alive[k]] / (sign * null[k]), k))
            .fold((f64::INFINITY, 0), |best, next| if next.0 < best.0 { next } else { best });
        if !step.is_finite() {
            return Ok(w);
        }
        for k in 0..=rows {
            w[alive[k]] = (w[alive[k]] - step * sign * null[k]).max(0.0);
        }
        w[alive[first]] = 0.0;
    }
}

/// Weights on the simplex (not negative, sum 1) for points of a coreset that bring its MMD to all points, weighted or not, lowest: accelerated entropic mirror descent with
/// restarts on wᵀKw − 2wᵀz.
///
/// **Errors.** Indices out of range, points that are not finite or not the kernel's. **Complexity.** n kernel values a point of the coreset, O(size²) an iteration; the objective never
/// ends above that of equal weights.
pub fn simplex_weights<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    xs: &P,
    indices: &[usize],
    iterations: usize,
) -> Result<Vec<f64>, Error> {
    access::check("simplex weights", kernel, xs, 1)?;
    let points = xs.subset(indices)?;
    let s = indices.len();
    error::at_least("simplex weights (indices)", 1, s)?;
    let k = gram(kernel, &points)?;
    let n = xs.len();
    let z = DVector::from_vec(access::cross_times(kernel, &points, xs, &vec![1.0 / n as f64; n])?);
    let objective = |w: &DVector<f64>| w.dot(&(&k * w)) - 2.0 * w.dot(&z);
    let mut best = DVector::repeat(s, 1.0 / s as f64);
    let mut lowest = objective(&best);
    let largest = (0..s).map(|i| k[(i, i)]).fold(f64::MIN_POSITIVE, f64::max);
    let mut step = 1.0 / (8.0 * largest);
    let (mut w, mut v, mut t) = (best.clone(), best.clone(), 1.0);
    for _ in 0..iterations {
        let beta = 2.0 / (t + 1.0);
        let middle = &w * (1.0 - beta) + &v * beta;
        let gradient = (&k * &middle - &z) * (2.0 * t * step);
        let least = gradient.min();
        v.iter_mut().zip(&gradient).for_each(|(v, g)| *v *= (least - g).exp());
        let sum = v.sum();
        v /= sum;
        w = &w * (1.0 - beta) + &v * beta;
        t += 1.0;
        let value = objective(&w);
        if value < lowest {
            (lowest, best) = (value, w.clone());
        } else {
            (w, v, t) = (best.clone(), best.clone(), 1.0);
            step *= 0.95;
        }
    }
    Ok(best.as_slice().to_vec())
}
