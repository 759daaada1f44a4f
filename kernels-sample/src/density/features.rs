//! Densities by random features: time that does not grow with the number of points.

use kernels_core::{Points, Rows};
use rand_distr::{Distribution, StandardNormal};

use super::{DensityKernel, KdeModel};
use crate::{Error, access, error, parallel, random};

/// Features of a block, with one stream of random numbers each.
const BLOCK: usize = 64;

impl KdeModel {
    /// An unbiased estimate of the density from `count` random Fourier features: f(q) ∝ mean over ω of
    /// Σᵢ wᵢ cos ωᵀ(q − xᵢ). Its standard error is at most that of a peak's height, κ(0) normalised, over √(2 · count) — the
    /// same everywhere, so that it can be negative far from the points. For Gaussian and exponential kernels.
    ///
    /// **Errors.** As [`KdeModel::density`]; other kernels, an adaptive density, no features. **Complexity.** O((n + m) d) a
    /// feature, O(m) memory.
    ///
    /// Reference: Rahimi & Recht, *Random features for large-scale kernel machines* (2007).
    ///
    /// ```
    /// use kernels_core::Rows;
    /// use kernels_sample::{Bandwidth, DensityKernel, Kde};
    /// let xs = Rows::from_row_major((0..300).map(|i| f64::from(i).sin()).collect(), 300, 1)?;
    /// let model = Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Scale(0.5)).fit(&xs)?;
    /// let at = Rows::from_row_major(vec![0.0, 0.7], 2, 1)?;
    /// let (exact, estimate) = (model.density(&at)?, model.density_by_features(&at, 4096, 1)?);
    /// assert!((exact[0] - estimate[0]).abs() < 0.05);
    /// # Ok::<(), kernels_sample::Error>(())
    /// ```
    pub fn density_by_features(&self, at: &Rows<f64>, count: usize, seed: u64) -> Result<Vec<f64>, Error> {
        let exponential = match self.kernel() {
            DensityKernel::Gaussian => false,
            DensityKernel::Exponential => true,
            other => {
                return Err(Error::Count {
                    what: "kernel",
                    given: other as usize,
                    expected: "the Gaussian (0) or the exponential (1) for random features",
                    limit: 1,
                });
            }
        };
        self.one_bandwidth()?;
        error::at_least("random features", 1, count)?;
        let queries = self.queries(at)?;
        let (d, m) = (at.dim(), at.len());
        let points = self.whitened();
        let blocks = parallel::map(count.div_ceil(BLOCK), |block| {
            let mut rng = random::stream(seed, block as u64);
            let mut sums = vec![0.0; m];
            let mut omega = vec![0.0; d];
            for _ in block * BLOCK..((block + 1) * BLOCK).min(count) {
                omega.iter_mut().for_each(|w| *w = StandardNormal.sample(&mut rng));
                if exponential {
                    // The spectrum of e^(−‖x‖) is a Cauchy law.
                    let z: f64 = StandardNormal.sample(&mut rng);
                    omega.iter_mut().for_each(|w| *w /= z.abs().max(f64::MIN_POSITIVE));
                }
                let (mut sine, mut cosine) = (0.0, 0.0);
                for (i, w) in self.weights().iter().enumerate() {
                    let (s, c) = access::dot(&omega, points.point(i)).sin_cos();
                    sine += w * s;
                    cosine += w * c;
                }
                for (q, sum) in sums.iter_mut().enumerate() {
                    let (s, c) = access::dot(&omega, queries.point(q)).sin_cos();
                    *sum += s * sine + c * cosine;
                }
            }
            sums
        });
        let mut out = vec![0.0; m];
        for block in &blocks {
            out.iter_mut().zip(block).for_each(|(o, s)| *o += s);
        }
        let norm = self.norm() / count as f64;
        out.iter_mut().for_each(|v| *v *= norm);
        Ok(self.bounded(at, out, 0.0))
    }
}
