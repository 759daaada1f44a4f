//! Selection that lowers the variance at given targets.

use kernels_core::{Kernel, Points, dense::Cholesky};
use nalgebra::DMatrix;

use super::residual::Residual;
use crate::{Error, access, error};

/// What of the posterior variances at the targets is made small.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TargetCriterion {
    /// Their mean (expected variance; SIFT, EV-GP, VTL).
    Mean,
    /// The mean of their squares.
    MeanSquare,
    /// The largest.
    Max,
    /// A percentile in (0, 100), by linear interpolation.
    Percentile(f64),
    /// ln det of their covariance with noise: what the candidates say about noisy observations at the targets, in nats (ITL).
    LogDeterminant,
}

impl TargetCriterion {
    fn value(self, variances: &mut [f64]) -> f64 {
        let m = variances.len() as f64;
        match self {
            Self::Mean => variances.iter().sum::<f64>() / m,
            Self::MeanSquare => variances.iter().map(|v| v * v).sum::<f64>() / m,
            Self::Max => variances.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Percentile(p) => {
                variances.sort_by(f64::total_cmp);
                let place = p / 100.0 * (m - 1.0);
                let low = place.floor() as usize;
                let high = (low + 1).min(variances.len() - 1);
                variances[low] + (place - low as f64) * (variances[high] - variances[low])
            }
            // Of each target given those before it: pivots of the covariance.
            Self::LogDeterminant => variances.iter().map(|v| v.ln()).sum(),
        }
    }
}

/// Greedy selection of candidates whose observation tells most about targets: exact, with one update a step.
///
/// With [`TargetCriterion::Mean`], `Linear` on embeddings and repetition this is SIFT; with a tangent kernel and without repetition EV-GP.
///
/// Reference: Hübotter et al., *Efficiently learning at test-time* (2024); *Transductive active learning* (2024).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::TargetVariance;
/// let candidates = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let target = Rows::from_row_major(vec![1.9], 1, 1)?;
/// let found = TargetVariance::new(Rbf::new(1.0)?).select(&candidates, &target, 2)?;
/// assert_eq!(found.indices[0], 2);
/// assert!(found.objectives[1] <= found.objectives[0]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TargetVariance<K> {
    kernel: K,
    noise: f64,
    criterion: TargetCriterion,
    repeat: bool,
}

/// What [`TargetVariance`] selected.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSelection {
    /// Candidates in the order of selection.
    pub indices: Vec<usize>,
    /// The criterion after every selection.
    pub objectives: Vec<f64>,
}

impl<K> TargetVariance<K> {
    /// With noise variance 0.01, the mean variance, without repetition.
    pub fn new(kernel: K) -> Self {
        Self { kernel, noise: 0.01, criterion: TargetCriterion::Mean, repeat: false }
    }

    /// Noise variance of an observation, above 0.
    pub fn noise(mut self, variance: f64) -> Self {
        self.noise = variance;
        self
    }

    /// Sets what is made small.
    pub fn criterion(mut self, criterion: TargetCriterion) -> Self {
        self.criterion = criterion;
        self
    }

    /// Whether a candidate may be observed more than once.
    pub fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// `size` candidates.
    ///
    /// **Errors.** No targets, more selections than candidates when none repeats, a noise variance that is not positive, a percentile outside
    /// (0, 100), points that are not finite or not the kernel's. **Complexity.** O(n (m + steps)) a step; memory O((n + m)(m + steps)).
    pub fn select<P: Points<Scalar = f64>>(
        &self,
        candidates: &P,
        targets: &P,
        size: usize,
    ) -> Result<TargetSelection, Error>
    where
        K: Kernel<P>,
    {
        let (n, m) = (candidates.len(), targets.len());
        error::at_least("a selection for targets", 1, m)?;
        error::positive("noise variance", self.noise)?;
        if let TargetCriterion::Percentile(p) = self.criterion {
            error::fraction("percentile / 100", p / 100.0)?;
        }
        if size > 0 && (n == 0 || !self.repeat && size > n) {
            let expected = "at most the number of candidates";
            return Err(Error::Count { what: "number of selections", given: size, expected, limit: n });
        }
        let mut c = Residual::new("a selection for targets", &self.kernel, &[candidates, targets])?;
        // Covariances of every target with the candidates, a row a target.
        let mut cross = vec![vec![0.0; n + m]; m];
        cross.iter_mut().enumerate().for_each(|(t, row)| c.row(n + t, row));
        let mut taken = vec![false; n];
        let mut out = TargetSelection { indices: Vec::new(), objectives: Vec::new() };
        for _ in 0..size {
            let scores = self.scores(&c, &cross, n)?;
            let Some(next) = access::argmin(&scores, |j| self.repeat || !taken[j]) else { break };
            let Some(u) = c.observe(next, self.noise) else { break };
            for (t, row) in cross.iter_mut().enumerate() {
                let factor = u[n + t];
                row.iter_mut().zip(u).for_each(|(c, u)| *c -= factor * u);
            }
            taken[next] = true;
            out.indices.push(next);
            let mut left = if self.criterion == TargetCriterion::LogDeterminant {
                let lower = self.joint(&cross, n)?;
                lower.diagonal().iter().map(|d| d * d).collect()
            } else {
                c.variances()[n..].to_vec()
            };
            out.objectives.push(self.criterion.value(&mut left));
        }
        Ok(out)
    }

    /// What every candidate would leave, up to a constant: smaller is better.
    fn scores<P: Points<Scalar = f64>>(
        &self,
        c: &Residual<'_, P, K>,
        cross: &[Vec<f64>],
        n: usize,
    ) -> Result<Vec<f64>, Error>
    where
        K: Kernel<P>,
    {
        let variances = c.variances();
        let m = cross.len();
        match self.criterion {
            TargetCriterion::Mean => Ok((0..n)
                .map(|j| -cross.iter().map(|row| row[j] * row[j]).sum::<f64>() / (variances[j] + self.noise))
                .collect()),
            TargetCriterion::LogDeterminant => {
                let lower = self.joint(cross, n)?;
                let mut solved = DMatrix::from_fn(m, n, |t, j| cross[t][j]);
                // Pivots are positive.
                lower.solve_lower_triangular_mut(&mut solved);
                Ok((0..n)
                    .map(|j| (-solved.column(j).norm_squared() / (variances[j] + self.noise)).ln_1p())
                    .collect())
            }
            criterion => {
                let mut after = vec![0.0; m];
                Ok((0..n)
                    .map(|j| {
                        let pivot = variances[j] + self.noise;
                        for (t, after) in after.iter_mut().enumerate() {
                            *after = variances[n + t] - cross[t][j] * cross[t][j] / pivot;
                        }
                        criterion.value(&mut after)
                    })
                    .collect())
            }
        }
    }

    /// Cholesky factor of the targets' covariance with noise.
    fn joint(&self, cross: &[Vec<f64>], n: usize) -> Result<DMatrix<f64>, Error> {
        let m = cross.len();
        let covariance =
            DMatrix::from_fn(m, m, |t, u| cross[t][n + u] + if t == u { self.noise } else { 0.0 });
        Ok(Cholesky::new(covariance)?.factor().lower_triangle())
    }
}
