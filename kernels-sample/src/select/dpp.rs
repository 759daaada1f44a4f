//! Determinantal point processes: diverse subsets.

use kernels_core::{Kernel, Points, PositiveDefinite, Rows, dense::SymmetricEigen, gram};
use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::lagging::Lagging;
use crate::{Error, access, error, random};

/// Greedy MAP of a DPP with L = the Gram matrix: indices that make det L_S large, and ln of every step's gain.
///
/// Stops at `size` points, or when no variance is left (gain below rounding, 4ε times the step times the largest diagonal entry). The unconstrained mode ends where gains become
/// negative: cut the list there.
///
/// **Errors.** Points that are not finite or not the kernel's; no memory for n values a step. **Complexity.** n kernel values and at most
/// O(n k) time a step, O(n k) memory: the Gram matrix is never stored. Points whose gain was small before are not looked at: what is
/// left of it can only be smaller.
///
/// Reference: Chen, Zhang, Zhou, *Fast greedy MAP inference for determinantal point process* (2018).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 0.01, 3.0, 6.0], 4, 1)?;
/// assert_eq!(kernels_sample::greedy_map(&Rbf::new(1.0)?, &xs, 3)?.0, [0, 3, 2]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn greedy_map<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    xs: &P,
    size: usize,
) -> Result<(Vec<usize>, Vec<f64>), Error> {
    let mut c = Lagging::new("a greedy DPP", kernel, &[xs])?;
    let largest = c.variances().iter().copied().fold(0.0, f64::max);
    let (mut out, mut gains) = (Vec::new(), Vec::new());
    while out.len() < size {
        let Some((next, gain)) = c.largest() else { break };
        // What rounding leaves of a point that depends on those picked.
        if gain <= 4.0 * f64::EPSILON * largest * (out.len() + 1) as f64 {
            break;
        }
        c.observe(next, 0.0)?;
        c.close(next);
        out.push(next);
        gains.push(gain.ln());
    }
    Ok((out, gains))
}

/// How far points are from the diversity of a reference: (1/k)(ln det L^ref − ln det L), each over the k points of greedy MAP.
/// 0 for the reference itself, larger the more alike the points are; negative when they are more diverse.
///
/// Usual are rows of length 1, `Linear`, and as many points [`on_sphere`] for reference.
///
/// **Errors.** As [`greedy_map`]; fewer than `k` points of either set that do not depend linearly, k = 0.
///
/// Reference: Wang et al., *Diversity measurement and subset selection for instruction tuning datasets* (2024).
///
/// ```
/// use kernels_core::{Linear, Rows};
/// use kernels_sample::{log_determinant_distance, on_sphere};
/// let reference = on_sphere(60, 10, 1)?;
/// let alike = Rows::new(&reference.to_matrix().map(|x| 0.1 * x).add_scalar(0.3));
/// let d = log_determinant_distance(&Linear::new(0.0)?, &alike, &reference, 5)?;
/// assert!(d > 1.0);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn log_determinant_distance<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    xs: &P,
    reference: &P,
    k: usize,
) -> Result<f64, Error> {
    error::at_least("a log-determinant distance (points of the subsets)", 1, k)?;
    let mut value = 0.0;
    for (points, sign) in [(reference, 1.0), (xs, -1.0)] {
        let (_, gains) = greedy_map(kernel, points, k)?;
        if gains.len() < k {
            let expected = "at most the number of points that do not depend linearly";
            return Err(Error::Count { what: "size of the subsets", given: k, expected, limit: gains.len() });
        }
        value += sign * gains.iter().sum::<f64>() / k as f64;
    }
    Ok(value)
}

/// n points uniform on the unit sphere of ℝᵈ.
///
/// **Errors.** d = 0.
pub fn on_sphere(n: usize, d: usize, seed: u64) -> Result<Rows<f64>, Error> {
    error::at_least("a sphere (features)", 1, d)?;
    let mut rng = random::stream(seed, 0);
    let mut values: Vec<f64> = (0..n * d).map(|_| StandardNormal.sample(&mut rng)).collect();
    for row in values.chunks_exact_mut(d) {
        let norm = access::dot(row, row).sqrt().max(f64::MIN_POSITIVE);
        row.iter_mut().for_each(|x| *x /= norm);
    }
    Ok(Rows::from_row_major(values, n, d)?)
}

/// ln e₀ … ln e_k of the elementary symmetric polynomials of numbers λ ≥ 0, for every prefix: `table[n][j]` = ln e_j(λ₁ … λₙ). In log space, where
/// the plain recursion overflows.
///
/// **Errors.** Values that are negative or not finite.
pub fn log_elementary_symmetric(lambda: &[f64], k: usize) -> Result<Vec<Vec<f64>>, Error> {
    if let Some(index) = lambda.iter().position(|l| !(l.is_finite() && *l >= 0.0)) {
        let expected = "a finite number, 0 or above";
        return Err(Error::Value { what: "eigenvalue", index, value: lambda[index], expected });
    }
    let mut row = vec![f64::NEG_INFINITY; k + 1];
    row[0] = 0.0;
    let mut table = vec![row.clone()];
    for l in lambda {
        for j in (1..=k).rev() {
            row[j] = log_add(row[j], row[j - 1] + l.ln());
        }
        table.push(row.clone());
    }
    Ok(table)
}

fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// A determinantal point process P(S) = det L_S / det(I + L) on n items, with its eigendecomposition.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::Dpp;
/// let xs = Rows::from_row_major(vec![0.0, 0.1, 4.0], 3, 1)?;
/// let dpp = Dpp::new(&Rbf::new(1.0)?, &xs)?;
/// assert_eq!(dpp.sample_k(2, 7)?.len(), 2);
/// assert!(dpp.marginals()[2] > dpp.marginals()[0]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dpp {
    lambda: Vec<f64>,
    vectors: DMatrix<f64>,
}

impl Dpp {
    /// With L = the Gram matrix of the points.
    ///
    /// **Errors.** No points, points that are not finite or not the kernel's. **Complexity.** O(n³).
    pub fn new<P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite>(
        kernel: &K,
        xs: &P,
    ) -> Result<Self, Error> {
        access::check("a determinantal point process", kernel, xs, 1)?;
        Self::from_matrix(&gram(kernel, xs)?)
    }

    /// With this symmetric positive semidefinite L; eigenvalues below 0 (rounding) count as 0.
    ///
    /// **Errors.** A matrix that is not square, not finite, or has an eigenvalue clearly below 0.
    pub fn from_matrix(l: &DMatrix<f64>) -> Result<Self, Error> {
        error::at_least("a determinantal point process", 1, l.nrows())?;
        let eigen = SymmetricEigen::new(l)?;
        let tolerance = 1e-10 * eigen.values.amax();
        if let Some(index) = eigen.values.iter().position(|v| *v < -tolerance) {
            let expected = "0 or above: L must be positive semidefinite";
            return Err(Error::Value { what: "eigenvalue", index, value: eigen.values[index], expected });
        }
        Ok(Self { lambda: eigen.values.iter().map(|v| v.max(0.0)).collect(), vectors: eigen.vectors })
    }

    /// Eigenvalues of L, ascending.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.lambda
    }

    /// P(i ∈ S) = K_ii with K = L(I + L)⁻¹.
    pub fn marginals(&self) -> Vec<f64> {
        let n = self.lambda.len();
        (0..n)
            .map(|i| {
                (0..n).map(|j| self.vectors[(i, j)].powi(2) * self.lambda[j] / (1.0 + self.lambda[j])).sum()
            })
            .collect()
    }

    /// Mean and variance of the number of items.
    pub fn size_moments(&self) -> (f64, f64) {
        self.lambda.iter().fold((0.0, 0.0), |(m, v), l| (m + l / (1.0 + l), v + l / ((1.0 + l) * (1.0 + l))))
    }

    /// ln det(I + L).
    pub fn ln_normaliser(&self) -> f64 {
        self.lambda.iter().map(|l| l.ln_1p()).sum()
    }

    /// An exact draw, in increasing order.
    ///
    /// **Errors.** None for a process made here.
    ///
    /// Reference: Hough et al., *Determinantal processes and independence* (2006).
    pub fn sample(&self, seed: u64) -> Result<Vec<usize>, Error> {
        let mut rng = random::stream(seed, 0);
        let kept: Vec<usize> = (0..self.lambda.len())
            .filter(|&j| rng.random::<f64>() * (1.0 + self.lambda[j]) < self.lambda[j])
            .collect();
        Ok(self.project(&kept, &mut rng))
    }

    /// An exact draw of the process conditioned on `k` items, in increasing order.
    ///
    /// **Errors.** k above the number of positive eigenvalues.
    ///
    /// Reference: Kulesza & Taskar, *k-DPPs* (2011).
    pub fn sample_k(&self, k: usize, seed: u64) -> Result<Vec<usize>, Error> {
        let mut rng = random::stream(seed, 0);
        let table = log_elementary_symmetric(&self.lambda, k)?;
        let n = self.lambda.len();
        let rank = self.lambda.iter().filter(|l| **l > 0.0).count();
        if k > rank {
            let expected = "at most the rank of L";
            return Err(Error::Count { what: "size of a k-DPP", given: k, expected, limit: rank });
        }
        let mut left = k;
        let mut kept = Vec::with_capacity(k);
        for j in (0..n).rev() {
            if left == 0 {
                break;
            }
            let p = (self.lambda[j].ln() + table[j][left - 1] - table[j + 1][left]).exp();
            if rng.random::<f64>() < p {
                kept.push(j);
                left -= 1;
            }
        }
        Ok(self.project(&kept, &mut rng))
    }

    /// A draw of the projection process of some eigenvectors.
    fn project(&self, kept: &[usize], rng: &mut impl Rng) -> Vec<usize> {
        let n = self.lambda.len();
        let rows: Vec<Vec<f64>> =
            (0..n).map(|i| kept.iter().map(|&j| self.vectors[(i, j)]).collect()).collect();
        let mut norms: Vec<f64> = rows.iter().map(|r| access::dot(r, r)).collect();
        let mut columns: Vec<Vec<f64>> = Vec::new();
        let mut out = Vec::with_capacity(kept.len());
        for _ in kept {
            let total: f64 = norms.iter().sum();
            let mut u = rng.random::<f64>() * total;
            let mut pick = None;
            for (i, w) in norms.iter().enumerate().filter(|w| *w.1 > 0.0) {
                pick = Some(i);
                u -= w;
                if u < 0.0 {
                    break;
                }
            }
            let Some(i) = pick else { break };
            let scale = 1.0 / norms[i].sqrt();
            let own: Vec<f64> = columns.iter().map(|c| c[i]).collect();
            let column: Vec<f64> = (0..n)
                .map(|a| {
                    let known: f64 = columns.iter().zip(&own).map(|(c, o)| c[a] * o).sum();
                    (access::dot(&rows[a], &rows[i]) - known) * scale
                })
                .collect();
            norms.iter_mut().zip(&column).for_each(|(w, c)| *w = (*w - c * c).max(0.0));
            norms[i] = 0.0;
            columns.push(column);
            out.push(i);
        }
        out.sort_unstable();
        out
    }
}
