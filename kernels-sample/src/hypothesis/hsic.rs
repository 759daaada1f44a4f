//! The Hilbert-Schmidt independence criterion.

use kernels_core::{Kernel, Points, gram};
use nalgebra::DMatrix;

use super::{TestOutcome, permutation::permutations};
use crate::{Error, access, error};

/// The two Gram matrices, of points that come in pairs.
fn grams<P, Q, K, L>(k: &K, l: &L, xs: &P, ys: &Q, needed: usize) -> Result<(DMatrix<f64>, DMatrix<f64>), Error>
where
    P: Points<Scalar = f64>,
    Q: Points<Scalar = f64>,
    K: Kernel<P> + ?Sized,
    L: Kernel<Q> + ?Sized,
{
    access::check("HSIC", k, xs, needed)?;
    error::expect("points of the second variable", xs.len(), ys.len())?;
    access::check("HSIC", l, ys, needed)?;
    Ok((gram(k, xs)?, gram(l, ys)?))
}

/// H K H with H = I − 11ᵀ/n.
fn centered(mut k: DMatrix<f64>) -> DMatrix<f64> {
    let n = k.nrows() as f64;
    let means: Vec<f64> = k.column_iter().map(|c| c.sum() / n).collect();
    let mean = means.iter().sum::<f64>() / n;
    for (j, mut column) in k.column_iter_mut().enumerate() {
        column.iter_mut().zip(&means).for_each(|(v, m)| *v += mean - m - means[j]);
    }
    k
}

/// tr(KHLH)/n² of points that come in pairs (xᵢ, yᵢ): 0 when x and y are independent and n is large.
///
/// The other usual normalisation, by (n − 1)², is this times n²/(n − 1)².
///
/// **Errors.** Samples of different sizes or empty, points that are not finite or not the kernels'. **Complexity.** O(n²).
///
/// Reference: Gretton et al., *Measuring statistical dependence with Hilbert-Schmidt norms* (2005).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let same = Rows::from_row_major(vec![5.0; 4], 4, 1)?;
/// let k = Rbf::new(1.0)?;
/// assert!(kernels_sample::hsic(&k, &k, &xs, &xs)? > 0.0);
/// assert!(kernels_sample::hsic(&k, &k, &xs, &same)?.abs() < 1e-16);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn hsic<P, Q, K, L>(k: &K, l: &L, xs: &P, ys: &Q) -> Result<f64, Error>
where
    P: Points<Scalar = f64>,
    Q: Points<Scalar = f64>,
    K: Kernel<P> + ?Sized,
    L: Kernel<Q> + ?Sized,
{
    let (k, l) = grams(k, l, xs, ys, 1)?;
    let n = xs.len() as f64;
    Ok(centered(k).dot(&l) / (n * n))
}

/// The estimate of HSIC without bias; at least four pairs.
///
/// **Errors.** As [`hsic`].
///
/// Reference: Song et al., *Feature selection via dependence maximization* (2012), eq. 4.
pub fn hsic_unbiased<P, Q, K, L>(k: &K, l: &L, xs: &P, ys: &Q) -> Result<f64, Error>
where
    P: Points<Scalar = f64>,
    Q: Points<Scalar = f64>,
    K: Kernel<P> + ?Sized,
    L: Kernel<Q> + ?Sized,
{
    let (mut k, mut l) = grams(k, l, xs, ys, 4)?;
    let n = xs.len() as f64;
    k.fill_diagonal(0.0);
    l.fill_diagonal(0.0);
    let (rows_k, rows_l) = (k.row_sum(), l.row_sum());
    let product = k.dot(&l);
    let sums = k.sum() * l.sum() / ((n - 1.0) * (n - 2.0));
    Ok((product + sums - 2.0 / (n - 2.0) * rows_k.dot(&rows_l)) / (n * (n - 3.0)))
}

/// Centred kernel alignment HSIC(K, L)/√(HSIC(K, K) HSIC(L, L)), between 0 and 1; NaN if a kernel is constant on its points.
///
/// **Errors.** As [`hsic`].
pub fn cka<P, Q, K, L>(k: &K, l: &L, xs: &P, ys: &Q) -> Result<f64, Error>
where
    P: Points<Scalar = f64>,
    Q: Points<Scalar = f64>,
    K: Kernel<P> + ?Sized,
    L: Kernel<Q> + ?Sized,
{
    let (k, l) = grams(k, l, xs, ys, 1)?;
    let (k, l) = (centered(k), centered(l));
    Ok(k.dot(&l) / (k.dot(&k) * l.dot(&l)).sqrt())
}

/// Are two variables independent? HSIC against its values when one variable is permuted.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::IndependenceTest;
/// let xs = Rows::from_row_major((0..30).map(f64::from).collect(), 30, 1)?;
/// let ys = Rows::from_row_major((0..30).map(|i| f64::from(i - 15).powi(2)).collect(), 30, 1)?;
/// let outcome = IndependenceTest::new(Rbf::new(5.0)?, Rbf::new(50.0)?).permutations(99).test(&xs, &ys)?;
/// assert!(outcome.p_value < 0.05);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IndependenceTest<K, L> {
    k: K,
    l: L,
    permutations: usize,
    seed: u64,
}

impl<K, L> IndependenceTest<K, L> {
    /// With a kernel a variable, 499 permutations, seed 0.
    pub fn new(k: K, l: L) -> Self {
        Self { k, l, permutations: 499, seed: 0 }
    }

    /// Number of permutations.
    pub fn permutations(mut self, permutations: usize) -> Self {
        self.permutations = permutations;
        self
    }

    /// Seed of the permutations.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests pairs (xᵢ, yᵢ).
    ///
    /// **Errors.** As [`hsic`]. **Complexity.** O(n² B) time, O(n²) memory.
    pub fn test<P, Q>(&self, xs: &P, ys: &Q) -> Result<TestOutcome, Error>
    where
        P: Points<Scalar = f64>,
        Q: Points<Scalar = f64>,
        K: Kernel<P>,
        L: Kernel<Q>,
    {
        self.test_with(xs, ys, &permutations(xs.len(), self.permutations, self.seed))
    }

    /// [`IndependenceTest::test`] with permutations of the caller.
    ///
    /// **Errors.** As [`hsic`]; a permutation of another length, or with an index out of range.
    pub fn test_with<P, Q>(&self, xs: &P, ys: &Q, permutations: &[Vec<usize>]) -> Result<TestOutcome, Error>
    where
        P: Points<Scalar = f64>,
        Q: Points<Scalar = f64>,
        K: Kernel<P>,
        L: Kernel<Q>,
    {
        let (k, l) = grams(&self.k, &self.l, xs, ys, 1)?;
        let n = xs.len();
        let k = centered(k);
        for order in permutations {
            error::expect("points of a permutation", n, order.len())?;
            if let Some(&given) = order.iter().find(|&&i| i >= n) {
                let (what, expected) = ("index of a permutation", "below the number of points");
                return Err(Error::Count { what, given, expected, limit: n });
            }
        }
        let scale = (n * n) as f64;
        let null = crate::parallel::map(permutations.len(), |b| {
            let order = &permutations[b];
            let mut sum = 0.0;
            for (column, &j) in k.column_iter().zip(order) {
                let l = l.column(j);
                sum += column.iter().zip(order).map(|(k, &i)| k * l[i]).sum::<f64>();
            }
            sum / scale
        });
        Ok(TestOutcome::new(k.dot(&l) / scale, null))
    }
}
