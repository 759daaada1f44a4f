//! Two-sample tests in near-linear time: compress, then test.

use kernels_core::{Kernel, Points, Rows};
use nalgebra::DMatrix;

use super::{
    TestOutcome,
    permutation::{labels, permutations},
};
use crate::{Compress, Error, access, error};

/// Compress Then Test: samples are cut into bins, every bin is compressed, and labels of bins are permuted.
///
/// The level is exact whatever the compression does; the power is close to that of the full test at a cost near n.
///
/// Reference: Domingo-Enrich, Dwivedi, Mackey, *Compress then test* (2023).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::CompressedTest;
/// let xs = Rows::from_row_major((0..512).map(|i| f64::from(i * 7 % 512) / 512.0).collect(), 512, 1)?;
/// let ys = Rows::from_row_major((0..512).map(|i| f64::from(i * 7 % 512) / 256.0).collect(), 512, 1)?;
/// let outcome = CompressedTest::new(Rbf::new(0.5)?).seed(1).test(&xs, &ys)?;
/// assert!(outcome.p_value < 0.05);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompressedTest<K> {
    kernel: K,
    bins: usize,
    oversampling: usize,
    permutations: usize,
    seed: u64,
}

impl<K> CompressedTest<K> {
    /// With 32 bins in all, g = 4, 39 permutations, seed 0.
    pub fn new(kernel: K) -> Self {
        Self { kernel, bins: 32, oversampling: 4, permutations: 39, seed: 0 }
    }

    /// Number of bins of both samples together.
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = bins;
        self
    }

    /// Oversampling g of [`Compress`].
    pub fn oversampling(mut self, g: usize) -> Self {
        self.oversampling = g;
        self
    }

    /// Number of permutations.
    pub fn permutations(mut self, permutations: usize) -> Self {
        self.permutations = permutations;
        self
    }

    /// Seed of compression and permutations.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests two samples.
    ///
    /// **Errors.** Fewer than two bins or fewer points than bins, points that are not finite or not the kernel's.
    pub fn test(&self, xs: &Rows<f64>, ys: &Rows<f64>) -> Result<TestOutcome, Error>
    where
        K: Kernel<Rows<f64>> + Clone,
    {
        let (m, n) = (xs.len(), ys.len());
        if self.bins < 2 || m == 0 || n == 0 || self.bins > m + n {
            let expected = "between 2 and the number of points of both samples";
            return Err(Error::Count { what: "number of bins", given: self.bins, expected, limit: m + n });
        }
        xs.check_compatible(ys)?;
        let share = (self.bins as f64 * m as f64 / (m + n) as f64).round() as usize;
        let first = share.clamp(1, self.bins - 1).min(m);
        let second = (self.bins - first).min(n);
        let mut coresets = Vec::new();
        for (points, bins) in [(xs, first), (ys, second)] {
            access::check("a compressed test", &self.kernel, points, 1)?;
            let size = points.len() / bins;
            for b in 0..bins {
                let members: Vec<usize> = (b * size..(b + 1) * size).collect();
                let bin = points.subset(&members)?;
                let compress = Compress::new(self.kernel.clone())
                    .oversampling(self.oversampling)
                    .bins(1)
                    .seed(self.seed.wrapping_add(1 + coresets.len() as u64));
                coresets.push(bin.subset(&compress.compress(&bin)?)?);
            }
        }
        let count = coresets.len();
        let mut means = DMatrix::zeros(count, count);
        for a in 0..count {
            for b in 0..=a {
                let (p, q) = (&coresets[a], &coresets[b]);
                let sum: f64 = access::cross_times(&self.kernel, p, q, &vec![1.0; q.len()])?.iter().sum();
                means[(a, b)] = sum / (p.len() * q.len()) as f64;
                means[(b, a)] = means[(a, b)];
            }
        }
        error::at_least("a compressed test (permutations)", 1, self.permutations)?;
        let w = labels(count, first, &permutations(count, self.permutations, self.seed))?;
        let mut values: Vec<f64> = w.column_iter().map(|w| w.dot(&(&means * w))).collect();
        let null = values.split_off(1);
        Ok(TestOutcome::new(values[0], null))
    }
}
