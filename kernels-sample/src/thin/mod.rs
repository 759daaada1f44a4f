//! Kernel thinning: a few points whose kernel mean is that of all, far closer than a random sample's.

mod compress;
mod halve;
mod herding;
mod split;
mod swap;

use kernels_core::{Kernel, Points, PositiveDefinite, Rows};

pub use compress::{Compress, CompressStream};
pub use halve::optimal_four_point_half;
pub use herding::{herd, random_sample, standard_thinning};

use crate::{
    Error,
    access::{self, GramRows},
    error,
    random::Uniforms,
};

/// Kernel thinning of n points to n/2^m: KT-SPLIT with a split kernel, then KT-SWAP with the target kernel.
///
/// The maximum mean discrepancy (MMD) between the n/2^m = √n points and all is Õ(n^(−½)) for smooth kernels, where a
/// random sample of that size has n^(−¼).
///
/// Without a split kernel of its own this is *target* kernel thinning; with a square root of the kernel *root* KT, with a
/// fractional power *power* KT ([`SquareRoot`](kernels_core::SquareRoot) has both), with k/‖k‖∞ + k_α/‖k_α‖∞ KT+. The split
/// does not depend on the split kernel's scale.
///
/// **Complexity.** n²/2 kernel values to split, as many for the swap's means, O(n·d) memory: no Gram matrix is stored.
/// Every value is computed once for all rounds.
///
/// Reference: Dwivedi & Mackey, *Kernel thinning* (2021); *Generalized kernel thinning* (2022).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::{KernelThinning, mmd2_to_input};
/// let points: Vec<f64> = (0..256).map(|i| (f64::from(i * i) * 0.618).fract()).collect();
/// let xs = Rows::from_row_major(points, 256, 1)?;
/// let coreset = KernelThinning::new(Rbf::new(0.5)?).seed(1).thin(&xs, 4)?;
/// assert_eq!(coreset.len(), 16);
/// assert!(mmd2_to_input(&Rbf::new(0.5)?, &xs, &coreset)? < 1e-4);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelThinning<K, S = K> {
    kernel: K,
    split_kernel: Option<S>,
    delta: f64,
    seed: u64,
    unique: bool,
    passes: usize,
    mean_zero: bool,
}

impl<K> KernelThinning<K> {
    /// Target kernel thinning: δ = ½, seed 0, one pass of swaps to points that are not in the coreset yet.
    pub fn new(kernel: K) -> Self {
        Self { kernel, split_kernel: None, delta: 0.5, seed: 0, unique: true, passes: 1, mean_zero: false }
    }
}

impl<K, S> KernelThinning<K, S> {
    /// Splits with another kernel: a root or power of the target, or its sum with the target.
    pub fn split_kernel<R>(self, split_kernel: R) -> KernelThinning<K, R> {
        KernelThinning {
            kernel: self.kernel,
            split_kernel: Some(split_kernel),
            delta: self.delta,
            seed: self.seed,
            unique: self.unique,
            passes: self.passes,
            mean_zero: self.mean_zero,
        }
    }

    /// Probability δ in (0, 1) that the guarantee may fail: smaller ones make larger thresholds.
    pub fn delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// Seed of the split's coins.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether a point may be in the coreset once only (the default), or as often as it pays.
    pub fn unique(mut self, unique: bool) -> Self {
        self.unique = unique;
        self
    }

    /// Passes of swaps over the coreset; the swaps end early at their fixed point. `usize::MAX` asks for the fixed point.
    pub fn passes(mut self, passes: usize) -> Self {
        self.passes = passes;
        self
    }

    /// Takes the kernel's mean over the target distribution as 0 (a Stein kernel, or a centred one): swaps then
    /// compress towards that distribution, not towards the input.
    pub fn mean_zero(mut self, mean_zero: bool) -> Self {
        self.mean_zero = mean_zero;
        self
    }

    /// The target kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Indices of ⌊n/2^rounds⌋ points that represent all of `xs`.
    ///
    /// **Errors.** δ outside (0, 1), more rounds than halvings of n, points that are not finite or not the kernel's.
    pub fn thin<P>(&self, xs: &P, rounds: usize) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P> + PositiveDefinite,
        S: Kernel<P>,
    {
        let mut uniforms = Uniforms::new(self.seed);
        let coin =
            &mut |round: usize, parent: usize, pair: usize| uniforms.at((1 << round) + parent as u64, pair);
        // Where the split sees the target's values, the swaps' means are its by-product.
        let summed = self.split_kernel.is_none() && !self.mean_zero;
        let (coresets, totals) = self.split_and_sum(xs, rounds, coin, summed)?;
        let n = xs.len();
        let means = (totals.len() == n).then(|| totals.into_iter().map(|t| t / n as f64).collect());
        self.swap_with(xs, coresets, means)
    }

    /// [`KernelThinning::thin`] of weighted points: indices of ⌊n/2^rounds⌋ points, equally weighted, that represent Σ wᵢ δ(xᵢ).
    ///
    /// Points are first resampled to n equally weighted ones, each ⌊n wᵢ⌋ times or once more ([`resample`](crate::resample)); what is
    /// split then is those, and what swaps lower is the MMD to the weighted points themselves. A point of large weight can
    /// be kept more than once.
    ///
    /// **Errors.** As [`KernelThinning::thin`]; weights that are negative, not finite or all 0.
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_sample::{KernelThinning, mmd2_weighted};
    /// let xs = Rows::from_row_major((0..64).map(|i| f64::from(i) / 8.0).collect(), 64, 1)?;
    /// let weights: Vec<f64> = (0..64).map(|i| f64::from(i < 16)).collect();
    /// let kept = KernelThinning::new(Rbf::new(1.0)?).thin_weighted(&xs, &weights, 3)?;
    /// assert!(kept.len() == 8 && kept.iter().all(|&i| i < 20));
    /// # Ok::<(), kernels_sample::Error>(())
    /// ```
    pub fn thin_weighted<P>(&self, xs: &P, weights: &[f64], rounds: usize) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P> + PositiveDefinite,
        S: Kernel<P>,
    {
        access::check("kernel thinning", &self.kernel, xs, 1)?;
        let weights = error::weights(weights, xs.len())?;
        let copies = crate::resample(&weights, xs.len(), self.seed)?;
        let split = self.split(&xs.subset(&copies)?, rounds)?;
        let candidates = split.into_iter().map(|c| c.into_iter().map(|i| copies[i]).collect());
        let standard = swap::standard(copies.len(), copies.len() >> rounds);
        let start = std::iter::once(standard.into_iter().map(|i| copies[i]).collect());
        let means = if self.mean_zero { None } else { Some(access::gram_times(&self.kernel, xs, &weights)?) };
        let coreset = swap::best(&self.kernel, xs, means.as_deref(), start.chain(candidates))?;
        self.refine_with(xs, means.as_deref(), coreset)
    }

    /// KT-SPLIT alone: 2^rounds disjoint coresets of ⌊n/2^rounds⌋ points, each of which represents all. Points beyond the
    /// last multiple of 2^rounds are in none.
    ///
    /// **Errors.** As [`KernelThinning::thin`].
    pub fn split<P>(&self, xs: &P, rounds: usize) -> Result<Vec<Vec<usize>>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
        S: Kernel<P>,
    {
        let mut uniforms = Uniforms::new(self.seed);
        self.split_with(xs, rounds, |round, parent, pair| uniforms.at((1 << round) + parent as u64, pair))
    }

    /// [`KernelThinning::split`] with coins of the caller: `coin(round, parent, pair)` is a uniform in [0, 1).
    ///
    /// **Errors.** As [`KernelThinning::thin`].
    pub fn split_with<P>(
        &self,
        xs: &P,
        rounds: usize,
        mut coin: impl FnMut(usize, usize, usize) -> f64,
    ) -> Result<Vec<Vec<usize>>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
        S: Kernel<P>,
    {
        Ok(self.split_and_sum(xs, rounds, &mut coin, false)?.0)
    }

    fn split_and_sum<P>(
        &self,
        xs: &P,
        rounds: usize,
        coin: &mut split::Coin<'_>,
        summed: bool,
    ) -> Result<(Vec<Vec<usize>>, Vec<f64>), Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
        S: Kernel<P>,
    {
        access::check("kernel thinning", &self.kernel, xs, 1)?;
        let multipliers = self.multipliers(xs.len(), rounds)?;
        match &self.split_kernel {
            None => split::split_and_sum(&self.kernel, xs, &multipliers, coin, summed),
            Some(kernel) => {
                kernel.check(xs)?;
                split::split_and_sum(kernel, xs, &multipliers, coin, summed)
            }
        }
    }

    fn multipliers(&self, n: usize, rounds: usize) -> Result<Vec<f64>, Error> {
        error::fraction("delta", self.delta)?;
        let limit = n.max(1).ilog2() as usize;
        if rounds > limit {
            let expected = "at most log2 of the number of points";
            return Err(Error::Count { what: "number of halving rounds", given: rounds, expected, limit });
        }
        let used = n >> rounds << rounds;
        Ok(split::multipliers(used, rounds, self.delta))
    }

    /// KT-SWAP: the best of the candidates and of the standard-thinned coreset of their size, refined.
    ///
    /// **Errors.** No candidate, candidates that are empty or of different sizes, indices out of range.
    pub fn swap<P>(&self, xs: &P, candidates: Vec<Vec<usize>>) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        self.swap_with(xs, candidates, None)
    }

    /// With the means of the kernel's rows, if they are known.
    fn swap_with<P>(
        &self,
        xs: &P,
        candidates: Vec<Vec<usize>>,
        means: Option<Vec<f64>>,
    ) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        let size = candidates.first().map_or(0, Vec::len);
        error::at_least("a candidate coreset", 1, size)?;
        for candidate in &candidates {
            error::expect("points of a candidate coreset", size, candidate.len())?;
        }
        let means = match means {
            Some(means) => Some(means),
            None => self.means(xs)?,
        };
        let start = std::iter::once(swap::standard(xs.len(), size));
        let coreset = swap::best(&self.kernel, xs, means.as_deref(), start.chain(candidates))?;
        self.refine_with(xs, means.as_deref(), coreset)
    }

    /// The swaps alone, on a coreset of the caller. Each one lowers the MMD or leaves it.
    ///
    /// **Errors.** As [`KernelThinning::swap`].
    pub fn refine<P>(&self, xs: &P, coreset: Vec<usize>) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        xs.subset(&coreset)?;
        let means = self.means(xs)?;
        self.refine_with(xs, means.as_deref(), coreset)
    }

    fn refine_with<P>(
        &self,
        xs: &P,
        means: Option<&[f64]>,
        mut coreset: Vec<usize>,
    ) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        if self.passes == 0 {
            return Ok(coreset);
        }
        // The whole matrix only if its rows will be read more than once.
        let most = if 2 * coreset.len() > xs.len() / 4 { swap::STORED } else { 0 };
        let rows = GramRows::new(&self.kernel, xs, most)?;
        let diagonal = kernels_core::diagonal(&self.kernel, xs)?;
        let points = xs.subset(&coreset)?;
        let sums = access::cross_times(&self.kernel, xs, &points, &vec![1.0; coreset.len()])?;
        swap::refine(&rows, &diagonal, means, &sums, &mut coreset, self.unique, self.passes);
        Ok(coreset)
    }

    fn means<P: Points<Scalar = f64>>(&self, xs: &P) -> Result<Option<Vec<f64>>, Error>
    where
        K: Kernel<P>,
    {
        access::check("kernel thinning", &self.kernel, xs, 1)?;
        if self.mean_zero { Ok(None) } else { access::row_means(&self.kernel, xs).map(Some) }
    }

    /// Begins a split of points that come piece by piece, about `n` of them (n sets the thresholds).
    ///
    /// **Errors.** As [`KernelThinning::thin`].
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_sample::KernelThinning;
    /// let xs = Rows::from_row_major((0..64).map(|i| f64::from(i).sin()).collect(), 64, 1)?;
    /// let thinning = KernelThinning::new(Rbf::new(0.5)?).seed(3);
    /// let mut stream = thinning.stream(64, 2)?;
    /// for piece in xs.as_slice().chunks(10) {
    ///     stream.push(&Rows::from_row_major(piece.to_vec(), piece.len(), 1)?)?;
    /// }
    /// assert_eq!(stream.finish()?, thinning.split(&xs, 2)?);
    /// # Ok::<(), kernels_sample::Error>(())
    /// ```
    pub fn stream(&self, n: usize, rounds: usize) -> Result<ThinningStream<'_, K, S>, Error> {
        Ok(ThinningStream {
            thinning: self,
            rounds: split::Rounds::new(self.multipliers(n, rounds)?),
            uniforms: Uniforms::new(self.seed),
            pending: Vec::new(),
            dim: None,
        })
    }
}

/// A split under way: [`KernelThinning::stream`]. It holds the points and the coresets, O(n·d).
///
/// The result is that of the whole split, bit for bit, however the points are cut into pieces.
pub struct ThinningStream<'t, K, S> {
    thinning: &'t KernelThinning<K, S>,
    rounds: split::Rounds<Rows<f64>>,
    uniforms: Uniforms,
    pending: Vec<f64>,
    dim: Option<usize>,
}

impl<K: Kernel<Rows<f64>>, S: Kernel<Rows<f64>>> ThinningStream<'_, K, S> {
    /// Takes the next points.
    ///
    /// **Errors.** Points of another dimension, not finite, or not the kernel's.
    pub fn push(&mut self, xs: &Rows<f64>) -> Result<(), Error> {
        let dim = *self.dim.get_or_insert(xs.dim());
        error::expect("number of features of the points", dim, xs.dim())?;
        if xs.is_empty() {
            return Ok(());
        }
        access::check("kernel thinning", &self.thinning.kernel, xs, 1)?;
        if dim == 0 {
            return error::at_least("features of streamed points", 1, 0);
        }
        self.pending.extend_from_slice(xs.as_slice());
        let size = split::CHUNK * dim;
        let mut done = 0;
        while self.pending.len() - done >= size {
            let chunk = self.pending[done..done + size].to_vec();
            done += size;
            self.absorb(chunk, dim)?;
        }
        self.pending.drain(..done);
        Ok(())
    }

    fn absorb(&mut self, chunk: Vec<f64>, dim: usize) -> Result<(), Error> {
        let n = chunk.len() / dim;
        let chunk = Rows::from_row_major(chunk, n, dim)?;
        let uniforms = &mut self.uniforms;
        let coin =
            &mut |round: usize, parent: usize, pair: usize| uniforms.at((1 << round) + parent as u64, pair);
        match &self.thinning.split_kernel {
            None => self.rounds.absorb(&self.thinning.kernel, chunk, coin),
            Some(kernel) => self.rounds.absorb(kernel, chunk, coin),
        }
    }

    /// The 2^rounds coresets, as places in the stream.
    ///
    /// **Errors.** [`kernels_core::Error::Memory`].
    pub fn finish(mut self) -> Result<Vec<Vec<usize>>, Error> {
        let dim = self.dim.unwrap_or(0);
        let step = self.rounds.step();
        let rest = self.pending.len().checked_div(dim).unwrap_or(0) / step * step;
        if rest > 0 {
            let chunk = self.pending[..rest * dim].to_vec();
            self.absorb(chunk, dim)?;
        }
        let gather = |chunks: &[Rows<f64>], members: &[usize]| -> Result<Rows<f64>, Error> {
            let mut values = Vec::with_capacity(members.len() * dim);
            for &i in members {
                values.extend_from_slice(chunks[i / split::CHUNK].point(i % split::CHUNK));
            }
            Ok(Rows::from_row_major(values, members.len(), dim)?)
        };
        let mut uniforms = self.uniforms;
        let coin =
            &mut |round: usize, parent: usize, pair: usize| uniforms.at((1 << round) + parent as u64, pair);
        match &self.thinning.split_kernel {
            None => self.rounds.finish(&self.thinning.kernel, &gather, coin),
            Some(kernel) => self.rounds.finish(kernel, &gather, coin),
        }
    }
}
