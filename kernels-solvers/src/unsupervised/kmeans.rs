//! k-means in the feature space of a kernel.

use kernels_core::{Kernel, Points, PositiveDefinite, Real};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Version,
    data::{at_least, checked_points, cross_f64, expect, gram_f64},
};

/// Kernel k-means: minimises Σ ‖φ(xᵢ) − m_c(i)‖² by Lloyd's iteration, started by k-means++ and repeated.
///
/// The cost falls with every iteration; an empty cluster takes the point that is farthest from its own mean.
///
/// Reference: Dhillon, Guan, Kulis, *Kernel k-means, spectral clustering and normalized cuts* (2004); Arthur, Vassilvitskii,
/// *k-means++: the advantages of careful seeding* (2007).
#[derive(Clone, Debug)]
pub struct KernelKMeans<K> {
    kernel: K,
    clusters: usize,
    restarts: usize,
    max_iterations: usize,
    seed: u64,
    start: Option<Vec<usize>>,
}

impl<K> KernelKMeans<K> {
    /// With this many clusters, 5 starts.
    pub fn new(kernel: K, clusters: usize) -> Self {
        Self { kernel, clusters, restarts: 4, max_iterations: 300, seed: 0, start: None }
    }

    /// Starts beyond the first.
    pub fn restarts(mut self, restarts: usize) -> Self {
        self.restarts = restarts;
        self
    }

    /// Most iterations of each start.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Seed of the starts.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts from these labels, below the number of clusters, and from nothing else.
    pub fn start(mut self, labels: impl Into<Vec<usize>>) -> Self {
        self.start = Some(labels.into());
        self
    }

    /// Fits to points.
    ///
    /// **Errors.** Fewer points than clusters, no clusters, values that are not finite, a kernel that is not positive definite, a
    /// start that does not fit. **Complexity.** n² kernel values and memory, n² for every iteration.
    pub fn fit<P>(&self, xs: &P) -> Result<KMeansModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("kernel k-means", &self.kernel, xs, self.clusters.max(1))?;
        at_least("kernel k-means (clusters)", 1, self.clusters)?;
        let k = gram_f64(&self.kernel, xs)?;
        let best = match &self.start {
            Some(start) => {
                expect("labels of the start (one a point)", xs.len(), start.len())?;
                if let Some(&given) = start.iter().find(|l| **l >= self.clusters) {
                    let what = "label of the start (below)";
                    return Err(kernels_core::Error::Shape { what, expected: self.clusters, given }.into());
                }
                lloyd(&k, start.clone(), self.clusters, self.max_iterations)
            }
            None => {
                let run = |restart: usize| {
                    let start = plus_plus(&k, self.clusters, self.seed, restart as u64);
                    lloyd(&k, start, self.clusters, self.max_iterations)
                };
                let mut best = run(0);
                for restart in 1..=self.restarts {
                    let found = run(restart);
                    if found.cost() < best.cost() {
                        best = found;
                    }
                }
                best
            }
        };
        let norms = norms(&k, &best.labels, self.clusters);
        Ok(KMeansModel {
            version: Version,
            kernel: self.kernel.clone(),
            points: xs.clone(),
            labels: best.labels,
            norms,
            costs: best.costs,
        })
    }
}

struct Run {
    labels: Vec<usize>,
    costs: Vec<f64>,
}

impl Run {
    fn cost(&self) -> f64 {
        self.costs.last().copied().unwrap_or(f64::INFINITY)
    }
}

/// Labels by the nearest of centres drawn with probability in proportion to squared distances.
fn plus_plus(k: &DMatrix<f64>, clusters: usize, seed: u64, stream: u64) -> Vec<usize> {
    let n = k.nrows();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let distance = |i: usize, c: usize| (k[(i, i)] + k[(c, c)] - 2.0 * k[(i, c)]).max(0.0);
    let first = rng.random_range(0..n);
    let mut nearest: Vec<f64> = (0..n).map(|i| distance(i, first)).collect();
    let mut labels = vec![0; n];
    for cluster in 1..clusters {
        let total: f64 = nearest.iter().sum();
        let mut left = rng.random::<f64>() * total;
        let drawn = nearest.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        // All points coincide with centres: any will do.
        let center = drawn.unwrap_or_else(|| rng.random_range(0..n));
        for i in 0..n {
            let d = distance(i, center);
            if d < nearest[i] || i == center {
                (nearest[i], labels[i]) = (d, cluster);
            }
        }
    }
    labels
}

/// Squared norms of the cluster means; 0 for empty clusters.
fn norms(k: &DMatrix<f64>, labels: &[usize], clusters: usize) -> Vec<f64> {
    let (means, sizes) = affinities(k, labels, clusters);
    (0..clusters)
        .map(|c| {
            let sum: f64 = (0..labels.len()).filter(|&i| labels[i] == c).map(|i| means[(i, c)]).sum();
            if sizes[c] > 0.0 { sum / sizes[c] } else { 0.0 }
        })
        .collect()
}

/// ⟨φ(xᵢ), m_c⟩ and sizes.
fn affinities(k: &DMatrix<f64>, labels: &[usize], clusters: usize) -> (DMatrix<f64>, Vec<f64>) {
    let n = labels.len();
    let mut sums = DMatrix::zeros(n, clusters);
    let mut sizes = vec![0.0; clusters];
    for (j, &c) in labels.iter().enumerate() {
        sums.column_mut(c).axpy(1.0, &k.column(j), 1.0);
        sizes[c] += 1.0;
    }
    for (mut column, size) in sums.column_iter_mut().zip(&sizes) {
        if *size > 0.0 {
            column /= *size;
        }
    }
    (sums, sizes)
}

fn lloyd(k: &DMatrix<f64>, mut labels: Vec<usize>, clusters: usize, most: usize) -> Run {
    let n = labels.len();
    let mut costs = Vec::new();
    for _ in 0..most.max(1) {
        fill_empty(k, &mut labels, clusters);
        let (affinity, sizes) = affinities(k, &labels, clusters);
        let norm: Vec<f64> = (0..clusters)
            .map(|c| {
                let sum: f64 = (0..n).filter(|&i| labels[i] == c).map(|i| affinity[(i, c)]).sum();
                sum / sizes[c].max(1.0)
            })
            .collect();
        let distance = |i: usize, c: usize| k[(i, i)] - 2.0 * affinity[(i, c)] + norm[c];
        costs.push((0..n).map(|i| distance(i, labels[i]).max(0.0)).sum());
        let next: Vec<usize> = (0..n)
            .map(|i| {
                // Stays among equals.
                (0..clusters)
                    .filter(|&c| sizes[c] > 0.0)
                    .fold(labels[i], |best, c| if distance(i, c) < distance(i, best) { c } else { best })
            })
            .collect();
        if next == labels {
            break;
        }
        labels = next;
    }
    Run { labels, costs }
}

/// Gives each empty cluster the point farthest from its own mean, of clusters with more than one.
fn fill_empty(k: &DMatrix<f64>, labels: &mut [usize], clusters: usize) {
    loop {
        let (affinity, sizes) = affinities(k, labels, clusters);
        let Some(empty) = sizes.iter().position(|s| *s < 0.5) else { return };
        let norm = norms(k, labels, clusters);
        let distance = |i: usize| k[(i, i)] - 2.0 * affinity[(i, labels[i])] + norm[labels[i]];
        let farthest = (0..labels.len())
            .filter(|&i| sizes[labels[i]] > 1.5)
            .max_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        let Some(farthest) = farthest else { return };
        labels[farthest] = empty;
    }
}

/// Fitted clusters.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KMeansModel<P, K> {
    version: Version,
    kernel: K,
    points: P,
    labels: Vec<usize>,
    norms: Vec<f64>,
    costs: Vec<f64>,
}

impl<P, K> KMeansModel<P, K> {
    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The cluster of every point.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The cost before every iteration of the best start, never increasing; the last is the final one.
    pub fn costs(&self) -> &[f64] {
        &self.costs
    }

    /// The final cost.
    pub fn cost(&self) -> f64 {
        self.costs.last().copied().unwrap_or(0.0)
    }
}

impl<P: Points, K: Kernel<P>> KMeansModel<P, K> {
    /// The nearest cluster of new points.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** A kernel value for every point and training point.
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        xs.check_finite()?;
        let cross = cross_f64(&self.kernel, xs, &self.points)?;
        let clusters = self.norms.len();
        let mut sizes = vec![0.0; clusters];
        self.labels.iter().for_each(|&l| sizes[l] += 1.0);
        Ok((0..xs.len())
            .map(|i| {
                let mut sums = vec![0.0; clusters];
                self.labels.iter().enumerate().for_each(|(j, &l)| sums[l] += cross[(i, j)]);
                let own = self.kernel.eval(xs.point(i), xs.point(i)).to_f64();
                let distance = |c: usize| own - 2.0 * sums[c] / sizes[c] + self.norms[c];
                (0..clusters).filter(|&c| sizes[c] > 0.0).fold(None, |best, c| match best {
                    Some(b) if distance(b) <= distance(c) => Some(b),
                    _ => Some(c),
                })
            })
            .map(|c| c.unwrap_or(0))
            .collect())
    }
}
