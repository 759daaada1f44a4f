//! Subsets that cover: submodular functions by greedy selection, farthest points, matching pursuit.

use std::collections::BinaryHeap;

use kernels_core::{Kernel, Points};
use nalgebra::{DMatrix, DVector};

use crate::{Error, access, error};

/// A function of subsets R of points with similarities s = k(x, y) ≥ 0, to be made large.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Coverage {
    /// Facility location Σᵢ max_{r ∈ R} s_ir: every point has a near representative.
    FacilityLocation,
    /// Σᵢ min(Σ_{r ∈ R} s_ir, β Σⱼ s_ij): coverage that saturates at the share β.
    Saturated(f64),
    /// Graph cut Σᵢ Σ_{r ∈ R} s_ir − Σ_{r, q ∈ R} s_rq: near all, and apart.
    GraphCut,
}

/// A greedy selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Greedy {
    /// Indices in the order of selection.
    pub indices: Vec<usize>,
    /// What each one added.
    pub gains: Vec<f64>,
}

/// A stale upper bound of a gain.
struct Bound(f64, usize);

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Bound {}
impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

/// Lazy greedy: bounds only fall, so that the best one whose bound is fresh is the best. Stops when no gain is above 0 or `size` are found.
fn lazy(n: usize, size: usize, mut gain: impl FnMut(usize) -> f64, mut add: impl FnMut(usize)) -> (Vec<usize>, Vec<f64>) {
    let mut heap: BinaryHeap<Bound> = (0..n).map(|i| Bound(gain(i), i)).collect();
    let (mut out, mut gains) = (Vec::new(), Vec::new());
    while out.len() < size {
        let Some(top) = heap.pop() else { break };
        let fresh = Bound(gain(top.1), top.1);
        if heap.peek().is_some_and(|next| *next > fresh) {
            heap.push(fresh);
            continue;
        }
        if fresh.0.is_nan() || fresh.0 <= 0.0 {
            break;
        }
        add(fresh.1);
        out.push(fresh.1);
        gains.push(fresh.0);
    }
    (out, gains)
}

/// Greedy maximisation of a coverage function: within 1 − 1/e of the best for the monotone ones. Kernel rows are computed when asked for.
///
/// **Errors.** Points that are not finite or not the kernel's, a share outside (0, 1]. **Complexity.** n kernel values a gain that is looked at: n² for
/// the first round, few after it; O(n) memory.
///
/// Reference: Minoux, *Accelerated greedy algorithms* (1978); Nemhauser, Wolsey, Fisher (1978).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::{Coverage, cover};
/// let xs = Rows::from_row_major(vec![0.0, 0.1, 0.2, 9.0], 4, 1)?;
/// assert_eq!(cover(&Rbf::new(0.3)?, &xs, Coverage::FacilityLocation, 2)?.indices, [1, 3]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn cover<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    coverage: Coverage,
    size: usize,
) -> Result<Greedy, Error> {
    access::check("a coverage function", kernel, xs, 0)?;
    let n = xs.len();
    let sums = access::gram_times(kernel, xs, &vec![1.0; n])?;
    let diagonal = kernels_core::diagonal(kernel, xs)?;
    let cap = match coverage {
        Coverage::Saturated(beta) => error::parameter("share", beta, beta > 0.0 && beta <= 1.0, "above 0, at most 1")?,
        _ => 1.0,
    };
    let state = std::cell::RefCell::new((vec![0.0; n], vec![0.0; n]));
    let gain = |j: usize| -> f64 {
        let (covered, row) = &mut *state.borrow_mut();
        if coverage == Coverage::GraphCut {
            return sums[j] - 2.0 * covered[j] - diagonal[j];
        }
        access::row(kernel, xs, j, row);
        match coverage {
            Coverage::FacilityLocation => row.iter().zip(covered).map(|(s, c)| (s - *c).max(0.0)).sum(),
            _ => (0..n).map(|i| (covered[i] + row[i]).min(cap * sums[i]) - covered[i].min(cap * sums[i])).sum(),
        }
    };
    let add = |j: usize| {
        let (covered, row) = &mut *state.borrow_mut();
        access::row(kernel, xs, j, row);
        for (c, s) in covered.iter_mut().zip(row) {
            *c = if coverage == Coverage::FacilityLocation { c.max(*s) } else { *c + *s };
        }
    };
    let (indices, gains) = lazy(n, size, gain, add);
    Ok(Greedy { indices, gains })
}

/// Greedy maximisation of Σ_f φ(Σ_{r ∈ R} x_rf) for features x ≥ 0 (n × p) and a concave φ with φ(0) = 0: `sqrt` or ln(1 + x), say.
///
/// **Errors.** Features that are negative or not finite.
pub fn features_cover(features: &DMatrix<f64>, phi: impl Fn(f64) -> f64, size: usize) -> Result<Greedy, Error> {
    let n = features.nrows();
    if let Some(index) = features.iter().position(|x| !(x.is_finite() && *x >= 0.0)) {
        let value = features[index];
        return Err(Error::Value { what: "feature", index, value, expected: "a finite number, 0 or above" });
    }
    let sums = std::cell::RefCell::new(vec![0.0; features.ncols()]);
    let gain = |j: usize| -> f64 {
        sums.borrow().iter().zip(features.row(j).iter()).map(|(s, x)| phi(s + x) - phi(*s)).sum()
    };
    let add = |j: usize| sums.borrow_mut().iter_mut().zip(features.row(j).iter()).for_each(|(s, x)| *s += x);
    let (indices, gains) = lazy(n, size, gain, add);
    Ok(Greedy { indices, gains })
}

/// A farthest-point traversal.
#[derive(Clone, Debug, PartialEq)]
pub struct KCenter {
    /// Indices in the order of selection.
    pub indices: Vec<usize>,
    /// Distance of each later index from the ones before it.
    pub radii: Vec<f64>,
    /// Largest distance of a point from the nearest selected one.
    pub covering_radius: f64,
}

/// Farthest-point traversal in the kernel's feature space, √(k(x,x) + k(y,y) − 2k(x,y)): a covering radius within twice the best.
///
/// **Errors.** A start out of range, points that are not finite or not the kernel's. **Complexity.** n kernel values a step, O(n) memory.
///
/// Reference: Gonzalez, *Clustering to minimize the maximum intercluster distance* (1985).
pub fn k_center<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    start: usize,
    size: usize,
) -> Result<KCenter, Error> {
    access::check("a farthest-point traversal", kernel, xs, 0)?;
    let n = xs.len();
    if start >= n && size > 0 {
        let expected = "below the number of points";
        return Err(Error::Count { what: "index of the start", given: start, expected, limit: n });
    }
    let diagonal = kernels_core::diagonal(kernel, xs)?;
    let mut far = vec![f64::INFINITY; n];
    let mut row = vec![0.0; n];
    let mut out = KCenter { indices: Vec::new(), radii: Vec::new(), covering_radius: f64::INFINITY };
    let mut next = start;
    while out.indices.len() < size {
        if !out.indices.is_empty() {
            if far[next] <= 0.0 {
                break;
            }
            out.radii.push(far[next].sqrt());
        }
        out.indices.push(next);
        access::row(kernel, xs, next, &mut row);
        for i in 0..n {
            let d = if i == next { 0.0 } else { (diagonal[i] + diagonal[next] - 2.0 * row[i]).max(0.0) };
            far[i] = far[i].min(d);
        }
        next = access::argmax(&far, |_| true).unwrap_or(0);
        out.covering_radius = far[next].sqrt();
    }
    Ok(out)
}

/// Orthogonal matching pursuit with a ridge and weights that are not negative: columns of A (p × n) whose weighted sum is near b.
///
/// Takes the column of the largest (positive) product with the residual; weights solve (A_IᵀA_I + λI) w = A_Iᵀb; columns of negative weight are dropped. Stops at
/// `size`, when a chosen column comes up again, or when the residual is below 10⁻⁴‖b‖.
///
/// **Errors.** Shapes that differ, values that are not finite, a ridge that is negative.
pub fn orthogonal_matching_pursuit(
    a: &DMatrix<f64>,
    b: &DVector<f64>,
    size: usize,
    ridge: f64,
) -> Result<(Vec<usize>, Vec<f64>), Error> {
    error::expect("rows of the dictionary", b.len(), a.nrows())?;
    error::finite("entry of the dictionary", a.as_slice())?;
    error::finite("entry of the target", b.as_slice())?;
    error::parameter("ridge", ridge, ridge >= 0.0 && ridge.is_finite(), "a finite number, 0 or above")?;
    let norm = b.norm();
    let (mut chosen, mut weights): (Vec<usize>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut residual = b.clone();
    while chosen.len() < size && residual.norm() >= 1e-4 * norm && norm > 0.0 {
        let scores = a.tr_mul(&residual);
        let Some(next) = access::argmax(scores.as_slice(), |_| true) else { break };
        if scores[next] <= 0.0 || chosen.contains(&next) {
            break;
        }
        chosen.push(next);
        loop {
            let Some(found) = ridge_weights(a, b, &chosen, ridge) else { return Ok((chosen, weights)) };
            weights = found;
            let Some(worst) = access::argmin(&weights, |_| true).filter(|&w| weights[w] < 0.0) else { break };
            let newest = worst + 1 == chosen.len();
            chosen.remove(worst);
            if newest {
                weights = ridge_weights(a, b, &chosen, ridge).unwrap_or_default();
                return Ok((chosen, weights));
            }
        }
        residual = b - a.select_columns(&chosen) * DVector::from_column_slice(&weights);
    }
    Ok((chosen, weights))
}

fn ridge_weights(a: &DMatrix<f64>, b: &DVector<f64>, chosen: &[usize], ridge: f64) -> Option<Vec<f64>> {
    if chosen.is_empty() {
        return Some(Vec::new());
    }
    let part = a.select_columns(chosen);
    // A single atom is projected on without a ridge.
    let ridge = if chosen.len() == 1 { 0.0 } else { ridge };
    let mut normal = part.tr_mul(&part);
    (0..chosen.len()).for_each(|i| normal[(i, i)] += ridge);
    Some(nalgebra::Cholesky::new(normal)?.solve(&part.tr_mul(b)).as_slice().to_vec())
}
