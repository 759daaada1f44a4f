//! Batch active learning: kernels, transformations and selection methods that combine freely.

use kernels_core::{Kernel, Points};
use rand::{RngExt, seq::SliceRandom};

use super::{lagging::Lagging, residual::Residual};
use crate::{Error, access, error, parallel, random};

/// How a batch is picked.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BatchMethod {
    /// At random.
    Random,
    /// The largest variances k(x, x).
    MaxDiag,
    /// Greedily the largest determinant of K + σ²I.
    MaxDet,
    /// Greedily the least total variance over pool and training points, O(n²) kernel values a step.
    Bait,
    /// The same with twice as many points, then greedy removal.
    BaitForwardBackward,
    /// Frank-Wolfe steps towards the pool's mean embedding.
    FrankWolfe,
    /// The point farthest from all selected ones.
    MaxDist,
    /// A point at random, with probability proportional to its squared distance from the selected ones.
    KMeansPlusPlus,
    /// Largest cluster, maximum distance: the point farthest from its centre in the cluster of the largest weight.
    LargestCluster(ClusterWeight),
}

/// What the weight of a cluster sums, for [`BatchMethod::LargestCluster`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterWeight {
    /// Squared distances (the method as published).
    SquaredDistance,
    /// Distances.
    Distance,
    /// Points of the pool, selected ones too.
    Count,
}

/// Selection of a batch of pool points to be labelled, given labelled training points.
///
/// The frame of Holzmüller et al.: a base kernel (any kernel, or `Linear` on a feature matrix, sketched or not), transformations (scaling to the training
/// points' mean variance, conditioning on them), a method, and whether training points count as selected (`TP`) or not (`P`).
///
/// Ties go to the lowest index. Fewer indices than asked for come back when no point is left that the method can tell apart.
///
/// Reference: Holzmüller, Zaverkin, Kästner, Steinwart, *A framework and benchmark for deep batch active learning for regression* (2023).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::{BatchMethod, BatchSelection};
/// let pool = Rows::from_row_major(vec![0.0, 0.1, 5.0, 5.1, 9.0], 5, 1)?;
/// let train = Rows::from_row_major(vec![0.05], 1, 1)?;
/// let batch = BatchSelection::new(Rbf::new(2.0)?, BatchMethod::MaxDist).with_train(true).select(&pool, &train, 2)?;
/// assert_eq!(batch, [4, 2]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchSelection<K> {
    kernel: K,
    method: BatchMethod,
    noise: f64,
    scale: bool,
    posterior: Option<f64>,
    train: bool,
    seed: u64,
}

impl<K> BatchSelection<K> {
    /// With noise σ² = 10⁻⁶, no transformation, training points not counted as selected, seed 0.
    pub fn new(kernel: K, method: BatchMethod) -> Self {
        Self { kernel, method, noise: 1e-6, scale: false, posterior: None, train: false, seed: 0 }
    }

    /// Noise variance σ² ≥ 0 of the determinant and variance methods.
    pub fn noise(mut self, variance: f64) -> Self {
        self.noise = variance;
        self
    }

    /// Whether the kernel is divided by its mean over the training points' diagonal.
    pub fn scale_to_train(mut self, scale: bool) -> Self {
        self.scale = scale;
        self
    }

    /// Conditions the kernel on the training points, observed with this noise variance.
    pub fn posterior(mut self, noise_variance: f64) -> Self {
        self.posterior = Some(noise_variance);
        self
    }

    /// Whether training points count as selected before the batch (TP mode).
    pub fn with_train(mut self, train: bool) -> Self {
        self.train = train;
        self
    }

    /// Seed of the random methods.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Up to `size` indices of the pool, in the order of selection.
    ///
    /// **Errors.** More points than the pool has, negative noise, no training points to scale to, points that are not finite or not the kernel's.
    /// **Complexity.** O(n) kernel values and O(n · conditionings) time a step; O(n (train + size)) memory.
    pub fn select<P: Points<Scalar = f64>>(
        &self,
        pool: &P,
        train: &P,
        size: usize,
    ) -> Result<Vec<usize>, Error>
    where
        K: Kernel<P>,
    {
        let n = pool.len();
        if size > n {
            let expected = "at most the size of the pool";
            return Err(Error::Count { what: "size of the batch", given: size, expected, limit: n });
        }
        for noise in [Some(self.noise), self.posterior].into_iter().flatten() {
            error::parameter(
                "noise variance",
                noise,
                noise >= 0.0 && noise.is_finite(),
                "a finite number, 0 or above",
            )?;
        }
        if let BatchMethod::MaxDet = self.method {
            return self.determinant(pool, train, size);
        }
        let mut c = Residual::new(WHAT, &self.kernel, &[pool, train])?;
        if self.scale {
            c.rescale(scale_to(&c.variances()[n..])?);
        }
        if let Some(noise) = self.posterior {
            for i in n..c.len() {
                c.observe(i, noise);
            }
        }
        let mut run = Run { c, n, noise: self.noise, taken: vec![false; n], out: Vec::with_capacity(size) };
        let before: Vec<usize> = if self.train { (n..n + train.len()).collect() } else { Vec::new() };
        let mut rng = random::stream(self.seed, 0);
        match self.method {
            BatchMethod::Random => {
                let mut all: Vec<usize> = (0..n).collect();
                all.shuffle(&mut rng);
                all.truncate(size);
                run.out = all;
            }
            BatchMethod::MaxDiag => {
                let variances = run.c.variances().to_vec();
                let mut all: Vec<usize> = (0..n).collect();
                all.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]).then(a.cmp(&b)));
                all.truncate(size);
                run.out = all;
            }
            // Done above.
            BatchMethod::MaxDet => {}
            BatchMethod::Bait => run.variance(&before, size, size),
            BatchMethod::BaitForwardBackward => run.variance(&before, size, (2 * size).min(n)),
            BatchMethod::FrankWolfe => run.frank_wolfe(&before, size),
            BatchMethod::MaxDist | BatchMethod::KMeansPlusPlus | BatchMethod::LargestCluster(_) => {
                run.distances(&before, size, self.method, &mut rng);
            }
        }
        Ok(run.out)
    }

    /// Greedy determinant: the largest variance, again and again.
    fn determinant<P: Points<Scalar = f64>>(
        &self,
        pool: &P,
        train: &P,
        size: usize,
    ) -> Result<Vec<usize>, Error>
    where
        K: Kernel<P>,
    {
        let n = pool.len();
        let mut c = Lagging::new(WHAT, &self.kernel, &[pool, train])?;
        if self.scale {
            c.rescale(scale_to(&c.variances()[n..])?);
        }
        for noise in [self.posterior, self.train.then_some(self.noise)].into_iter().flatten() {
            for i in n..n + train.len() {
                c.observe(i, noise)?;
            }
        }
        let mut out = Vec::with_capacity(size);
        while out.len() < size {
            let Some((next, _)) = c.largest() else { break };
            if !c.observe(next, self.noise)? {
                break;
            }
            c.close(next);
            out.push(next);
        }
        Ok(out)
    }
}

const WHAT: &str = "batch selection";

/// What makes the mean of the kernel's diagonal over training points 1.
fn scale_to(variances: &[f64]) -> Result<f64, Error> {
    error::at_least("scaling to training points", 1, variances.len())?;
    let mean = variances.iter().sum::<f64>() / variances.len() as f64;
    Ok(1.0 / error::positive("mean of the kernel's diagonal over training points", mean)?)
}

struct Run<'a, P, K> {
    c: Residual<'a, P, K>,
    /// Pool points come first.
    n: usize,
    noise: f64,
    taken: Vec<bool>,
    out: Vec<usize>,
}

impl<P: Points<Scalar = f64>, K: Kernel<P>> Run<'_, P, K> {
    fn take(&mut self, i: usize) {
        self.taken[i] = true;
        self.out.push(i);
    }

    fn best(&self, scores: &[f64]) -> Option<usize> {
        access::argmax(&scores[..self.n], |i| !self.taken[i])
    }

    /// Row i of C times every vector, without storing C: C v for one v.
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let n = self.c.len();
        parallel::map(n, |i| {
            let mut row = vec![0.0; n];
            self.c.row(i, &mut row);
            access::dot(&row, v)
        })
    }

    fn variance(&mut self, before: &[usize], size: usize, forward: usize) {
        let n = self.c.len();
        for &i in before {
            self.c.observe(i, self.noise);
        }
        let mut squares = parallel::map(n, |i| {
            let mut row = vec![0.0; n];
            self.c.row(i, &mut row);
            access::dot(&row, &row)
        });
        while self.out.len() < forward {
            let noise = self.noise;
            let scores: Vec<f64> =
                squares.iter().zip(self.c.variances()).map(|(s, v)| s / (v + noise)).collect();
            let Some(next) = self.best(&scores).filter(|&i| scores[i] > 0.0) else { break };
            self.update(next, &mut squares, -1.0);
            self.take(next);
        }
        while self.out.len() > size {
            let loss = |i: usize| squares[i] / (self.noise - self.c.variances()[i]).max(1e-15);
            let losses: Vec<f64> = self.out.iter().map(|&i| loss(i)).collect();
            let Some(place) = access::argmin(&losses, |_| true) else { break };
            let removed = self.out.remove(place);
            self.taken[removed] = false;
            self.update(removed, &mut squares, 1.0);
        }
    }

    /// Conditions on point i or takes that back, and updates Σⱼ Cⱼᵢ².
    fn update(&mut self, i: usize, squares: &mut [f64], sign: f64) {
        // With the old C: C u first.
        let n = self.c.len();
        let mut u = vec![0.0; n];
        self.c.row(i, &mut u);
        let variance = self.c.variances()[i];
        let pivot = if sign < 0.0 { variance + self.noise } else { (self.noise - variance).max(1e-15) };
        let scale = 1.0 / pivot.sqrt();
        u.iter_mut().for_each(|v| *v *= scale);
        let cu = self.times(&u);
        let norm = access::dot(&u, &u);
        for ((s, u), cu) in squares.iter_mut().zip(&u).zip(&cu) {
            *s = (*s + sign * 2.0 * u * cu + u * u * norm).max(0.0);
        }
        if sign < 0.0 {
            self.c.observe(i, self.noise);
        } else {
            self.c.forget(i, self.noise);
        }
    }

    fn frank_wolfe(&mut self, before: &[usize], size: usize) {
        let n = if before.is_empty() { self.n } else { self.c.len() };
        let norms: Vec<f64> = self.c.variances()[..n].iter().map(|v| v.sqrt()).collect();
        let total: f64 = norms.iter().sum();
        let mut ones = vec![0.0; self.c.len()];
        ones[..n].fill(1.0);
        let u = self.times(&ones);
        let mut v = vec![0.0; n];
        let (mut s, mut t) = (0.0, 0.0);
        let mut row = vec![0.0; self.c.len()];
        let mut queue = before.iter();
        while self.out.len() < size {
            let scores: Vec<f64> = (0..n)
                .map(|i| if norms[i] > 0.0 { (u[i] - v[i]) / norms[i] } else { f64::NEG_INFINITY })
                .collect();
            let next = match queue.next() {
                Some(&i) => i,
                None => {
                    let Some(i) = self.best(&scores).filter(|&i| norms[i] > 0.0) else { return };
                    self.take(i);
                    i
                }
            };
            if norms[next] <= 0.0 {
                continue;
            }
            let r = total / norms[next];
            let gamma = (r * (u[next] - v[next]) + s - t) / (total * total - 2.0 * r * v[next] + s);
            let rest = 1.0 - gamma;
            s = rest * rest * s + 2.0 * rest * gamma * r * v[next] + gamma * gamma * total * total;
            t = rest * t + gamma * r * u[next];
            self.c.row(next, &mut row);
            v.iter_mut().zip(&row).for_each(|(v, k)| *v = rest * *v + gamma * r * k);
        }
    }

    fn distances(
        &mut self,
        before: &[usize],
        size: usize,
        method: BatchMethod,
        rng: &mut rand_chacha::ChaCha8Rng,
    ) {
        let n = self.n;
        let variances = self.c.variances().to_vec();
        let mut far = vec![f64::INFINITY; n];
        let mut center = vec![usize::MAX; n];
        let mut row = vec![0.0; self.c.len()];
        let mut centers = 0;
        let mut add = |c: &Residual<'_, P, K>, s: usize, far: &mut [f64], center: &mut [usize]| {
            c.row(s, &mut row);
            for i in 0..n {
                let d = (variances[i] + variances[s] - 2.0 * row[i]).max(0.0);
                let d = if i == s { 0.0 } else { d };
                if d < far[i] {
                    (far[i], center[i]) = (d, centers);
                }
            }
            centers += 1;
        };
        before.iter().for_each(|&s| add(&self.c, s, &mut far, &mut center));
        while self.out.len() < size {
            let first = self.out.is_empty() && before.is_empty();
            let next = match method {
                BatchMethod::KMeansPlusPlus if first => (n > 0).then(|| rng.random_range(0..n)),
                _ if first => self.best(self.c.variances()),
                BatchMethod::KMeansPlusPlus => {
                    let total: f64 = (0..n).filter(|&i| !self.taken[i]).map(|i| far[i]).sum();
                    let mut u = rng.random::<f64>() * total;
                    let open = (0..n).filter(|&i| !self.taken[i] && far[i] > 0.0);
                    let mut last = None;
                    for i in open {
                        last = Some(i);
                        u -= far[i];
                        if u < 0.0 {
                            break;
                        }
                    }
                    last
                }
                BatchMethod::LargestCluster(weight) => {
                    let mut weights = vec![0.0; self.out.len() + before.len()];
                    for i in 0..n {
                        weights[center[i]] += match weight {
                            ClusterWeight::SquaredDistance => far[i],
                            ClusterWeight::Distance => far[i].sqrt(),
                            ClusterWeight::Count => 1.0,
                        };
                    }
                    // The farthest point of all clusters of the largest weight (counts tie often) among those with a
                    // point that is not taken.
                    let of = |i: usize| weights[center[i]];
                    let open = (0..n).filter(|&i| !self.taken[i]);
                    let largest = open.map(of).fold(f64::NEG_INFINITY, f64::max);
                    access::argmax(&far, |i| !self.taken[i] && of(i) >= largest)
                }
                _ => self.best(&far),
            };
            let Some(next) = next.filter(|&i| first || far[i] > 0.0) else { return };
            self.take(next);
            add(&self.c, next, &mut far, &mut center);
        }
    }
}
