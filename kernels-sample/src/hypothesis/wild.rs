//! Statistics of one sample whose kernel has mean 0 under the hypothesis (a Stein kernel), and their wild bootstrap.

use kernels_core::{Kernel, LazyGram, Operator, Points};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::TestOutcome;
use crate::{Error, access, error, random};

/// Mean of the kernel over all pairs of points: with a Stein kernel, the squared kernel Stein discrepancy (V-statistic).
///
/// **Errors.** No points, points that are not finite or not the kernel's.
pub fn ksd2<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(kernel: &K, xs: &P) -> Result<f64, Error> {
    access::check("a Stein discrepancy", kernel, xs, 1)?;
    Ok(access::row_means(kernel, xs)?.iter().sum::<f64>() / xs.len() as f64)
}

/// The same without the pairs of a point with itself (U-statistic): mean 0 under the hypothesis.
///
/// **Errors.** As [`ksd2`]; at least two points.
pub fn ksd2_unbiased<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(kernel: &K, xs: &P) -> Result<f64, Error> {
    access::check("a Stein discrepancy", kernel, xs, 2)?;
    let n = xs.len() as f64;
    let sum = access::row_means(kernel, xs)?.iter().sum::<f64>() * n;
    let trace: f64 = kernels_core::diagonal(kernel, xs)?.iter().sum();
    Ok((sum - trace) / (n * (n - 1.0)))
}

/// Does a sample come from the density whose Stein kernel this is? The V-statistic against Σ WᵢWⱼ k(xᵢ, xⱼ)/n² with random
/// signs W, or with correlated normal W for a time series (a Markov chain).
///
/// Reference: Chwialkowski, Strathmann, Gretton, *A kernel test of goodness of fit* (2016).
#[derive(Clone, Debug)]
pub struct WildBootstrap<K> {
    kernel: K,
    replicates: usize,
    correlation: Option<f64>,
    seed: u64,
}

impl<K> WildBootstrap<K> {
    /// With 499 replicates of random signs, seed 0.
    pub fn new(kernel: K) -> Self {
        Self { kernel, replicates: 499, correlation: None, seed: 0 }
    }

    /// Number of replicates.
    pub fn replicates(mut self, replicates: usize) -> Self {
        self.replicates = replicates;
        self
    }

    /// Treats the sample as a time series that forgets over `length` steps: W is an autoregression with coefficient e^(−1/length),
    /// centred.
    pub fn correlation(mut self, length: f64) -> Self {
        self.correlation = Some(length);
        self
    }

    /// Seed of the replicates.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests a sample.
    ///
    /// **Errors.** No points, a correlation length that is not positive, points that are not finite or not the kernel's.
    pub fn test<P: Points<Scalar = f64>>(&self, xs: &P) -> Result<TestOutcome, Error>
    where
        K: Kernel<P>,
    {
        let n = xs.len();
        let mut w = DMatrix::zeros(n, self.replicates);
        if let Some(length) = self.correlation {
            error::positive("correlation length", length)?;
        }
        for (b, mut column) in w.column_iter_mut().enumerate() {
            let mut rng = random::stream(self.seed, b as u64);
            match self.correlation {
                None => column.iter_mut().for_each(|w| *w = if rng.random::<bool>() { 1.0 } else { -1.0 }),
                Some(length) => {
                    let keep = (-1.0 / length).exp();
                    let fresh = (-(-2.0 / length).exp_m1()).sqrt();
                    let mut last: f64 = StandardNormal.sample(&mut rng);
                    for w in column.iter_mut() {
                        *w = last;
                        let noise: f64 = StandardNormal.sample(&mut rng);
                        last = keep * last + fresh * noise;
                    }
                    let mean = column.mean();
                    column.add_scalar_mut(-mean);
                }
            }
        }
        self.test_with(xs, &w)
    }

    /// [`WildBootstrap::test`] with multipliers of the caller, n × replicates.
    ///
    /// **Errors.** As [`WildBootstrap::test`]; a matrix of other rows.
    pub fn test_with<P: Points<Scalar = f64>>(&self, xs: &P, w: &DMatrix<f64>) -> Result<TestOutcome, Error>
    where
        K: Kernel<P>,
    {
        access::check("a wild bootstrap", &self.kernel, xs, 1)?;
        let n = xs.len();
        error::expect("rows of the multipliers", n, w.nrows())?;
        let all = w.clone().insert_column(0, 1.0);
        let mut kw = DMatrix::zeros(n, all.ncols());
        LazyGram::new(&self.kernel, xs, access::BUDGET)?.apply(all.as_view(), kw.as_view_mut())?;
        let scale = (n * n) as f64;
        let mut values: Vec<f64> =
            all.column_iter().zip(kw.column_iter()).map(|(w, kw)| w.dot(&kw) / scale).collect();
        let null = values.split_off(1);
        Ok(TestOutcome::new(values[0], null))
    }
}
