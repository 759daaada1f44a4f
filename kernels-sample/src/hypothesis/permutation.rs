//! The two-sample test by permutations.

use kernels_core::{Kernel, LazyGram, Operator, Points, Rows};
use nalgebra::DMatrix;
use rand::seq::SliceRandom;

use super::TestOutcome;
use crate::{Error, access, error, random};

/// Are two samples of one distribution? The biased MMD² against its values under permuted labels.
///
/// The level is exact for any sample size: under the hypothesis P(p ≤ α) ≤ α. The Gram matrix is never stored, and
/// read once for all permutations together.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::TwoSampleTest;
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 40.0).collect(), 40, 1)?;
/// let ys = Rows::from_row_major((0..40).map(|i| f64::from(i) / 20.0).collect(), 40, 1)?;
/// let outcome = TwoSampleTest::new(Rbf::new(0.5)?).permutations(199).seed(1).test(&xs, &ys)?;
/// assert!(outcome.p_value < 0.05);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TwoSampleTest<K> {
    kernel: K,
    permutations: usize,
    seed: u64,
}

impl<K> TwoSampleTest<K> {
    /// With 499 permutations and seed 0.
    pub fn new(kernel: K) -> Self {
        Self { kernel, permutations: 499, seed: 0 }
    }

    /// Number B of permutations: p-values are multiples of 1/(B + 1).
    pub fn permutations(mut self, permutations: usize) -> Self {
        self.permutations = permutations;
        self
    }

    /// Seed of the permutations.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests two samples of points of ℝᵈ.
    ///
    /// **Errors.** An empty sample, points that are not finite or not the kernel's. **Complexity.** (m + n)²/2 kernel
    /// values and (m + n)² B products; memory O((m + n) B).
    pub fn test(&self, xs: &Rows<f64>, ys: &Rows<f64>) -> Result<TestOutcome, Error>
    where
        K: Kernel<Rows<f64>>,
    {
        self.test_pooled(&pool(xs, ys)?, xs.len())
    }

    /// Tests the first `first` of some points against the others: for points of any kind.
    ///
    /// **Errors.** As [`TwoSampleTest::test`].
    pub fn test_pooled<P: Points<Scalar = f64>>(&self, points: &P, first: usize) -> Result<TestOutcome, Error>
    where
        K: Kernel<P>,
    {
        let all = permutations(points.len(), self.permutations, self.seed);
        self.test_with(points, first, &all)
    }

    /// [`TwoSampleTest::test_pooled`] with permutations of the caller.
    ///
    /// **Errors.** As [`TwoSampleTest::test`]; a list that is not a permutation of the points.
    pub fn test_with<P: Points<Scalar = f64>>(
        &self,
        points: &P,
        first: usize,
        permutations: &[Vec<usize>],
    ) -> Result<TestOutcome, Error>
    where
        K: Kernel<P>,
    {
        access::check("a two-sample test", &self.kernel, points, 2)?;
        let mut statistics = statistics(&self.kernel, points, first, permutations)?;
        let null = statistics.split_off(1);
        Ok(TestOutcome::new(statistics[0], null))
    }
}

/// `count` shuffles of 0 … n − 1; shuffle b has a random stream of its own.
pub(super) fn permutations(n: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
    (0..count)
        .map(|b| {
            let mut order: Vec<usize> = (0..n).collect();
            order.shuffle(&mut random::stream(seed, b as u64));
            order
        })
        .collect()
}

/// Columns of labels: 1/m for the first group, −1/(n − m) for the second; first as given, then permuted.
pub(super) fn labels(n: usize, first: usize, permutations: &[Vec<usize>]) -> Result<DMatrix<f64>, Error> {
    if first == 0 || first >= n {
        let (what, expected) = ("size of the first sample", "at least 1 and below the number of points");
        return Err(Error::Count { what, given: first, expected, limit: n });
    }
    let (plus, minus) = (1.0 / first as f64, -1.0 / (n - first) as f64);
    let mut out = DMatrix::repeat(n, permutations.len() + 1, minus);
    out.view_mut((0, 0), (first, 1)).fill(plus);
    for (b, order) in permutations.iter().enumerate() {
        let mut seen = vec![false; n];
        error::expect("points of a permutation", n, order.len())?;
        for &i in order {
            if i >= n || std::mem::replace(&mut seen[i], true) {
                let (what, expected) = ("index of a permutation", "below the number of points, once each");
                return Err(Error::Count { what, given: i, expected, limit: n });
            }
        }
        order[..first].iter().for_each(|&i| out[(i, b + 1)] = plus);
    }
    Ok(out)
}

/// wᵀKw for all columns of labels: the biased MMD² of the data and of every permutation.
pub(super) fn statistics<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    points: &P,
    first: usize,
    permutations: &[Vec<usize>],
) -> Result<Vec<f64>, Error> {
    let w = labels(points.len(), first, permutations)?;
    let mut kw = DMatrix::zeros(w.nrows(), w.ncols());
    LazyGram::new(kernel, points, access::BUDGET)?.apply(w.as_view(), kw.as_view_mut())?;
    Ok(w.column_iter().zip(kw.column_iter()).map(|(w, kw)| w.dot(&kw)).collect())
}

/// Both samples as one data set.
pub(super) fn pool(xs: &Rows<f64>, ys: &Rows<f64>) -> Result<Rows<f64>, Error> {
    xs.check_compatible(ys)?;
    let mut values = xs.as_slice().to_vec();
    values.extend_from_slice(ys.as_slice());
    Ok(Rows::from_row_major(values, xs.len() + ys.len(), xs.dim())?)
}
