//! Clusters as a frame for selection: k-means, k-medoids, and selectors that work cluster by cluster.

use kernels_core::{Kernel, LazyGram, Linear, Points, Rows, kmeans_plus_plus};
use nalgebra::{DMatrix, DVector};
use rand::{Rng, RngExt, seq::SliceRandom};

use super::orthogonal_matching_pursuit;
use crate::{Error, access, error, parallel, random};

/// Clusters of points with their centres.
#[derive(Clone, Debug)]
pub struct KMeans {
    /// Centres, one a row.
    pub centers: Rows<f64>,
    /// The nearest centre of each point.
    pub labels: Vec<usize>,
    /// Sum of squared distances to the nearest centres.
    pub inertia: f64,
}

/// k-means by Lloyd's rounds from k-means++ seeds, until no label changes or `iterations` rounds; a cluster that runs empty gets the
/// point farthest from its centre. Fewer clusters when points coincide.
///
/// **Errors.** No points, k = 0 or above n, values that are not finite. **Complexity.** O(nkd) a round.
///
/// ```
/// use kernels_core::Rows;
/// let xs = Rows::from_row_major(vec![0.0, 0.2, 5.0, 5.2], 4, 1)?;
/// let found = kernels_sample::k_means(&xs, 2, 100, 1)?;
/// assert_eq!(found.labels[0], found.labels[1]);
/// assert!((found.inertia - 0.04).abs() < 1e-12);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn k_means(xs: &Rows<f64>, k: usize, iterations: usize, seed: u64) -> Result<KMeans, Error> {
    let (n, d) = (xs.len(), xs.dim());
    error::at_least("k-means", 1, n.min(k))?;
    xs.check_finite()?;
    let seeds = seeds(&Linear::new(0.0)?, xs, k, seed)?;
    let mut centers = xs.subset(&seeds)?;
    let mut labels = vec![usize::MAX; n];
    let mut far = vec![0.0; n];
    for round in 0..=iterations {
        let nearest = parallel::map(n, |i| crate::modes::nearest(&centers, xs.point(i)));
        let changed = nearest.iter().zip(&labels).any(|(new, old)| new.0 != *old);
        for (i, (label, distance)) in nearest.into_iter().enumerate() {
            (labels[i], far[i]) = (label, distance);
        }
        if !changed || round == iterations {
            break;
        }
        let k = centers.len();
        let (mut sums, mut counts) = (vec![0.0; k * d], vec![0_usize; k]);
        for (i, &label) in labels.iter().enumerate() {
            counts[label] += 1;
            sums[label * d..(label + 1) * d].iter_mut().zip(xs.point(i)).for_each(|(s, x)| *s += x);
        }
        for (c, count) in counts.iter().enumerate() {
            let center = &mut sums[c * d..(c + 1) * d];
            if *count == 0 {
                let lost = access::argmax(&far, |_| true).unwrap_or(0);
                far[lost] = 0.0;
                center.copy_from_slice(xs.point(lost));
            } else {
                center.iter_mut().for_each(|s| *s /= *count as f64);
            }
        }
        centers = Rows::from_row_major(sums, k, d)?;
    }
    Ok(KMeans { centers, labels, inertia: far.iter().sum() })
}

/// Seeds of k clusters.
fn seeds<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    k: usize,
    seed: u64,
) -> Result<Vec<usize>, Error> {
    if k > xs.len() {
        let expected = "at most the number of points";
        return Err(Error::Count { what: "number of clusters", given: k, expected, limit: xs.len() });
    }
    Ok(kmeans_plus_plus(&LazyGram::new(kernel, xs, access::BUDGET)?, k, seed)?)
}

/// Clusters around points of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct KMedoids {
    /// The medoids.
    pub medoids: Vec<usize>,
    /// Which medoid is nearest to each point, by its place in `medoids`.
    pub labels: Vec<usize>,
    /// Sum of distances to the nearest medoids.
    pub cost: f64,
}

/// k-medoids: points of the data whose sum of distances √(k(x,x) + k(y,y) − 2k(x,y)) to all others' nearest is locally smallest, by
/// swaps as soon as one pays. Seeds are those of k-means++; every swap lowers the cost.
///
/// **Errors.** k = 0 or above n, points that are not finite or not the kernel's. **Complexity.** n kernel rows a pass over the
/// candidates, O(nk) memory: no n × n matrix. At most `passes` passes.
///
/// Reference: Schubert & Rousseeuw, *Fast and eager k-medoids clustering* (2021).
///
/// ```
/// use kernels_core::{Linear, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 10.0, 11.0], 5, 1)?;
/// let found = kernels_sample::k_medoids(&Linear::new(0.0)?, &xs, 2, 10, 1)?;
/// assert!(found.medoids.contains(&1) && (found.cost - 3.0).abs() < 1e-9);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn k_medoids<P: Points<Scalar = f64>, K: Kernel<P>>(
    kernel: &K,
    xs: &P,
    k: usize,
    passes: usize,
    seed: u64,
) -> Result<KMedoids, Error> {
    access::check("k-medoids", kernel, xs, 1)?;
    let n = xs.len();
    error::at_least("k-medoids (clusters)", 1, k)?;
    let mut medoids = seeds(kernel, xs, k, seed)?;
    let diagonal = kernels_core::diagonal(kernel, xs)?;
    let distances = |c: usize, out: &mut [f64]| {
        access::row(kernel, xs, c, out);
        for (i, v) in out.iter_mut().enumerate() {
            *v = if i == c { 0.0 } else { (diagonal[i] + diagonal[c] - 2.0 * *v).max(0.0).sqrt() };
        }
    };
    // Distances of all points to every medoid.
    let mut rows: Vec<Vec<f64>> = vec![vec![0.0; n]; medoids.len()];
    medoids.iter().zip(&mut rows).for_each(|(&c, row)| distances(c, row));
    let mut near = Nearest::new(&rows, n);
    let mut row = vec![0.0; n];
    let mut since = 0;
    for step in 0..passes.saturating_mul(n) {
        // A whole round without a swap ends it.
        if since == n {
            break;
        }
        since += 1;
        let candidate = step % n;
        if medoids.contains(&candidate) {
            continue;
        }
        distances(candidate, &mut row);
        if let Some(place) = near.swap(&row, medoids.len()) {
            medoids[place] = candidate;
            rows[place].copy_from_slice(&row);
            near = Nearest::new(&rows, n);
            since = 0;
        }
    }
    Ok(KMedoids { cost: near.first.iter().sum(), labels: near.label, medoids })
}

/// The nearest and the second nearest medoid of every point.
struct Nearest {
    label: Vec<usize>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Nearest {
    fn new(rows: &[Vec<f64>], n: usize) -> Self {
        let mut out =
            Self { label: vec![0; n], first: vec![f64::INFINITY; n], second: vec![f64::INFINITY; n] };
        for (place, row) in rows.iter().enumerate() {
            for (i, &d) in row.iter().enumerate() {
                if d < out.first[i] {
                    (out.second[i], out.first[i], out.label[i]) = (out.first[i], d, place);
                } else if d < out.second[i] {
                    out.second[i] = d;
                }
            }
        }
        out
    }

    /// The medoid whose exchange for the candidate with these distances lowers the cost most, if one does.
    fn swap(&self, row: &[f64], k: usize) -> Option<usize> {
        // What all exchanges gain, and what each loses by its medoid's going.
        let mut common = 0.0;
        let mut change = vec![0.0; k];
        for (i, &d) in row.iter().enumerate() {
            let (first, second, label) = (self.first[i], self.second[i], self.label[i]);
            if d < first {
                // The point joins the candidate whichever medoid goes.
                common += d - first;
            } else {
                change[label] += d.min(second) - first;
            }
        }
        let place = access::argmin(&change, |_| true)?;
        let cost: f64 = self.first.iter().sum();
        (common + change[place] < -1e-12 * cost).then_some(place)
    }
}

/// Items of an open set that resemble a target set (SimCore): in rounds, every centroid of the target (rows, a few hundred by
/// [`k_means`] say) takes the most similar item left, by cosine. Ends at `budget` items, or before a round whose mean similarity falls
/// below `share` times that of round `patience`; the last round is cut at random to the budget.
///
/// **Errors.** No centroids, other numbers of features, values that are not finite, patience 0.
///
/// Reference: Kim, Bae, Yun, *Coreset sampling from open-set for fine-grained self-supervised learning* (2023).
pub fn open_set_coreset(
    centroids: &Rows<f64>,
    open: &Rows<f64>,
    budget: usize,
    patience: usize,
    share: f64,
    seed: u64,
) -> Result<Vec<usize>, Error> {
    error::at_least("centroids", 1, centroids.len())?;
    error::at_least("a selection from an open set (patience)", 1, patience)?;
    error::expect("number of features of the open set", centroids.dim(), open.dim())?;
    error::parameter("share", share, share.is_finite() && share >= 0.0, "a finite number, 0 or above")?;
    centroids.check_finite()?;
    open.check_finite()?;
    let (targets, items) = (unit(centroids), unit(open));
    let similarities: Vec<Vec<f64>> = parallel::map(targets.len(), |c| {
        items.iter().map(|x| access::dot(&targets[c], x)).collect::<Vec<f64>>()
    });
    let mut taken = vec![false; open.len()];
    let mut out = Vec::new();
    let mut threshold = f64::NEG_INFINITY;
    for round in 1.. {
        let mut picked: Vec<usize> = Vec::new();
        let mut sum = 0.0;
        for row in &similarities {
            let Some(best) = access::argmax(row, |i| !taken[i]) else { break };
            sum += row[best];
            if !picked.contains(&best) {
                picked.push(best);
            }
        }
        let value = sum / similarities.len() as f64;
        if round == patience {
            threshold = share * value;
        }
        if picked.is_empty() || value < threshold || out.len() >= budget {
            break;
        }
        if picked.len() > budget - out.len() {
            picked.shuffle(&mut random::stream(seed, 0));
            picked.truncate(budget - out.len());
        }
        picked.iter().for_each(|&i| taken[i] = true);
        out.extend(picked);
    }
    Ok(out)
}

/// Rows of length 1; rows of zeros stay.
fn unit(xs: &Rows<f64>) -> Vec<Vec<f64>> {
    (0..xs.len())
        .map(|i| {
            let norm = xs.point(i).iter().fold(0.0_f64, |m, x| m.hypot(*x)).max(f64::MIN_POSITIVE);
            xs.point(i).iter().map(|x| x / norm).collect()
        })
        .collect()
}

/// Weighted items whose gradients stand for all (TAGCOS): gradient features are clustered, and in every cluster matching pursuit
/// picks items, with weights, whose sum is near the cluster's mean; it is repeated on what is left until each cluster has given
/// its `share` of items.
///
/// Indices with their weights, cluster by cluster.
///
/// **Errors.** As [`k_means`]; a share outside (0, 1], a ridge that is negative.
///
/// Reference: Zhang et al., *TAGCOS: task-agnostic gradient clustered coreset selection for instruction tuning data* (2024).
pub fn gradient_clusters(
    gradients: &Rows<f64>,
    clusters: usize,
    share: f64,
    ridge: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<f64>), Error> {
    error::parameter("share", share, share > 0.0 && share <= 1.0, "above 0, at most 1")?;
    let found = k_means(gradients, clusters, 100, seed)?;
    let per_cluster = parallel::map(found.centers.len(), |c| -> Result<(Vec<usize>, Vec<f64>), Error> {
        let mut left: Vec<usize> = (0..gradients.len()).filter(|&i| found.labels[i] == c).collect();
        let mut wanted = (share * left.len() as f64).round() as usize;
        let target = DVector::from_column_slice(found.centers.point(c));
        let (mut indices, mut weights) = (Vec::new(), Vec::new());
        while wanted > 0 && !left.is_empty() {
            let atoms = DMatrix::from_fn(gradients.dim(), left.len(), |f, i| gradients.point(left[i])[f]);
            let (chosen, w) = orthogonal_matching_pursuit(&atoms, &target, wanted, ridge)?;
            if chosen.is_empty() {
                break;
            }
            wanted -= chosen.len();
            indices.extend(chosen.iter().map(|&i| left[i]));
            weights.extend(w);
            let mut place = 0;
            left.retain(|_| {
                place += 1;
                !chosen.contains(&(place - 1))
            });
        }
        Ok((indices, weights))
    });
    let (mut indices, mut weights) = (Vec::new(), Vec::new());
    for part in per_cluster {
        let (i, w) = part?;
        indices.extend(i);
        weights.extend(w);
    }
    Ok((indices, weights))
}

/// Diversify and conquer: data in clusters are sampled round by round, and clusters that have paid get more.
///
/// The first round is shared equally among clusters; after every round the caller says what each drawn item was worth (how far a
/// model trained on it is from its teacher, say), and clusters are weighted by e^(mean worth).
///
/// Reference: Yu et al., *Diversify and conquer: diversity-centric data selection with iterative refinement* (2024).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{ClusterRounds, k_means};
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i % 2) * 9.0 + f64::from(i) / 100.0).collect(), 40, 1)?;
/// let mut rounds = ClusterRounds::new(k_means(&xs, 2, 50, 1)?.labels, 7)?;
/// let first = rounds.draw(8);
/// let worth: Vec<f64> = first.iter().map(|&i| if i % 2 == 0 { 5.0 } else { 0.0 }).collect();
/// rounds.reward(&worth)?;
/// let second = rounds.draw(10);
/// assert!(second.iter().filter(|&&i| i % 2 == 0).count() >= 8);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClusterRounds {
    labels: Vec<usize>,
    /// Items that were not drawn, by cluster.
    open: Vec<Vec<usize>>,
    weights: Vec<f64>,
    last: Vec<usize>,
    seed: u64,
    round: u64,
}

impl ClusterRounds {
    /// From the cluster of every item.
    ///
    /// **Errors.** No items.
    pub fn new(labels: Vec<usize>, seed: u64) -> Result<Self, Error> {
        error::at_least("clusters (items)", 1, labels.len())?;
        let mut numbers = labels.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let labels: Vec<usize> = labels.iter().map(|l| numbers.partition_point(|n| n < l)).collect();
        let mut open = vec![Vec::new(); numbers.len()];
        labels.iter().enumerate().for_each(|(i, &l)| open[l].push(i));
        let weights = vec![1.0 / numbers.len() as f64; numbers.len()];
        Ok(Self { labels, open, weights, last: Vec::new(), seed, round: 0 })
    }

    /// Weights of the clusters, in the order of their labels.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Draws items that were not drawn before: equally many of each cluster in the first round, then clusters at random by weight;
    /// within a cluster uniformly. Fewer when the items run out.
    pub fn draw(&mut self, size: usize) -> Vec<usize> {
        let mut rng = random::stream(self.seed, self.round);
        let mut out = Vec::with_capacity(size);
        let clusters = self.open.len();
        for t in 0..size {
            let cluster = if self.round == 0 {
                (t..t + clusters).map(|c| c % clusters).find(|&c| !self.open[c].is_empty())
            } else {
                self.cluster(&mut rng)
            };
            let Some(cluster) = cluster else { break };
            let open = &mut self.open[cluster];
            let place = rng.random_range(0..open.len());
            out.push(open.swap_remove(place));
        }
        self.round += 1;
        self.last = out.clone();
        out
    }

    /// A cluster at random by weight, of those with items left.
    fn cluster(&self, rng: &mut impl Rng) -> Option<usize> {
        let open = || (0..self.open.len()).filter(|&c| !self.open[c].is_empty());
        let total: f64 = open().map(|c| self.weights[c]).sum();
        let mut u = rng.random::<f64>() * total;
        let mut last = None;
        for c in open() {
            last = Some(c);
            u -= self.weights[c];
            if u < 0.0 {
                break;
            }
        }
        last
    }

    /// What each item of the last draw was worth. A cluster without a drawn item counts as the mean of the others.
    ///
    /// **Errors.** Another number of values, values that are not finite.
    pub fn reward(&mut self, worth: &[f64]) -> Result<(), Error> {
        error::expect("values (one an item of the last draw)", self.last.len(), worth.len())?;
        error::finite("value of an item", worth)?;
        if worth.is_empty() {
            return Ok(());
        }
        let k = self.open.len();
        let (mut sums, mut counts) = (vec![0.0; k], vec![0.0_f64; k]);
        for (&i, w) in self.last.iter().zip(worth) {
            sums[self.labels[i]] += w;
            counts[self.labels[i]] += 1.0;
        }
        let mean = worth.iter().sum::<f64>() / worth.len() as f64;
        let means: Vec<f64> =
            sums.iter().zip(&counts).map(|(s, c)| if *c > 0.0 { s / c } else { mean }).collect();
        let largest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = means.iter().map(|m| (m - largest).exp()).collect();
        let total: f64 = shares.iter().sum();
        self.weights = shares.iter().map(|s| s / total).collect();
        Ok(())
    }
}
