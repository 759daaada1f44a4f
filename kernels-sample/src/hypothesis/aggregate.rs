//! Two-sample tests over many kernels at once, without splitting the data.

use kernels_core::{Kernel, Points, Rows};

use super::permutation::{permutations, pool, statistics};
use crate::{Error, access, error};

/// The two-sample test aggregated over kernels (bandwidths, say): powerful whenever one of them is, at the nominal level.
///
/// Every kernel rejects at its own quantile of order 1 − u wₗ, where u is the largest value for which the estimated
/// probability that any of them rejects stays at the level.
///
/// Reference: Schrab et al., *MMD aggregated two-sample test* (2023).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::AggregatedTest;
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 40.0).collect(), 40, 1)?;
/// let ys = Rows::from_row_major((0..40).map(|i| f64::from(i) / 20.0).collect(), 40, 1)?;
/// let kernels = [0.1, 0.5, 2.5].map(|l| Rbf::new(l)).into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert!(AggregatedTest::new(kernels).level(0.05).seed(1).test(&xs, &ys)?.rejected);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AggregatedTest<K> {
    kernels: Vec<K>,
    level: f64,
    null: usize,
    calibration: usize,
    seed: u64,
}

/// What an [`AggregatedTest`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatedOutcome {
    /// Whether the hypothesis of one distribution is rejected.
    pub rejected: bool,
    /// Biased MMD² of every kernel.
    pub statistics: Vec<f64>,
    /// What every kernel's statistic is compared with.
    pub thresholds: Vec<f64>,
}

impl<K> AggregatedTest<K> {
    /// At level 0.05, with 299 permutations for quantiles and 200 for the level, seed 0.
    pub fn new(kernels: Vec<K>) -> Self {
        Self { kernels, level: 0.05, null: 299, calibration: 200, seed: 0 }
    }

    /// Level α in (0, 1).
    pub fn level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Permutations for the quantiles, and for the estimate of the level.
    pub fn permutations(mut self, null: usize, calibration: usize) -> Self {
        (self.null, self.calibration) = (null, calibration);
        self
    }

    /// Seed of the permutations.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests two samples of points of ℝᵈ.
    ///
    /// **Errors.** No kernel, a level outside (0, 1), an empty sample, points that are not finite or not a kernel's.
    pub fn test(&self, xs: &Rows<f64>, ys: &Rows<f64>) -> Result<AggregatedOutcome, Error>
    where
        K: Kernel<Rows<f64>>,
    {
        self.test_pooled(&pool(xs, ys)?, xs.len())
    }

    /// Tests the first `first` of some points against the others.
    ///
    /// **Errors.** As [`AggregatedTest::test`].
    pub fn test_pooled<P: Points<Scalar = f64>>(&self, points: &P, first: usize) -> Result<AggregatedOutcome, Error>
    where
        K: Kernel<P>,
    {
        error::at_least("an aggregated test (kernels)", 1, self.kernels.len())?;
        error::at_least("an aggregated test (permutations)", 1, self.null.min(self.calibration))?;
        error::fraction("level", self.level)?;
        let all = permutations(points.len(), self.null + self.calibration, self.seed);
        let mut observed = Vec::new();
        let mut null = Vec::new();
        let mut calibration = Vec::new();
        for kernel in &self.kernels {
            access::check("an aggregated test", kernel, points, 2)?;
            let mut values = statistics(kernel, points, first, &all)?;
            calibration.push(values.split_off(1 + self.null));
            observed.push(values[0]);
            values.sort_by(f64::total_cmp);
            null.push(values);
        }
        Ok(aggregate(observed, &null, &calibration, self.level))
    }
}

/// `null` holds sorted statistics with the observed one among them.
pub(super) fn aggregate(
    statistics: Vec<f64>,
    null: &[Vec<f64>],
    calibration: &[Vec<f64>],
    level: f64,
) -> AggregatedOutcome {
    let weight = 1.0 / statistics.len() as f64;
    let thresholds = |u: f64| -> Vec<f64> {
        let at = |values: &Vec<f64>| {
            let rank = (values.len() as f64 * (1.0 - u * weight)).ceil().max(1.0) as usize;
            values[rank.min(values.len()) - 1]
        };
        null.iter().map(at).collect()
    };
    let count = calibration.first().map_or(0, Vec::len);
    let rate = |u: f64| -> f64 {
        let thresholds = thresholds(u);
        let rejects = |b: usize| calibration.iter().zip(&thresholds).any(|(values, t)| values[b] > *t);
        (0..count).filter(|&b| rejects(b)).count() as f64 / count as f64
    };
    let (mut low, mut high) = (0.0, 1.0 / weight);
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if rate(middle) <= level { low = middle } else { high = middle }
    }
    let thresholds = thresholds(low);
    let rejected = statistics.iter().zip(&thresholds).any(|(s, t)| s > t);
    AggregatedOutcome { rejected, statistics, thresholds }
}
