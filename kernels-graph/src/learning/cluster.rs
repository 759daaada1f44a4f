//! Spectral clustering.

use kernels_core::dense::SymmetricEigen;
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Graph, Laplacian, error::parameter, laplacian::dense};

/// Clusters of nodes by the eigenvectors of the k smallest eigenvalues of the symmetric Laplacian.
///
/// For two clusters, the signs of D^(−½)u₂ (or k-means), else k-means on the rows of the eigenvectors. Dense, O(n³).
///
/// References: Shi & Malik (2000); Ng, Jordan & Weiss (2002).
///
/// ```
/// use kernels_graph::{Graph, SpectralClustering};
/// let two = Graph::undirected(6, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0), (3, 5, 1.0), (2, 3, 0.1)])?;
/// let found = SpectralClustering::new(2).fit(&two)?;
/// assert!(found.labels[0] == found.labels[2] && found.labels[0] != found.labels[5]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SpectralClustering {
    clusters: usize,
    signs: bool,
    normalize: bool,
    seed: u64,
}

/// What [`SpectralClustering`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralClusters {
    /// Cluster of each node.
    pub labels: Vec<usize>,
    /// The k smallest eigenvalues.
    pub eigenvalues: Vec<f64>,
    /// Their eigenvectors, n × k.
    pub embedding: DMatrix<f64>,
}

impl SpectralClustering {
    /// k clusters by k-means on rows of unit length.
    pub fn new(clusters: usize) -> Self {
        Self { clusters, signs: false, normalize: true, seed: 0 }
    }

    /// For two clusters: cut by the signs of D^(−½)u₂.
    pub fn signs(mut self, on: bool) -> Self {
        self.signs = on;
        self
    }

    /// Whether rows are scaled to length 1 before k-means.
    pub fn normalize(mut self, on: bool) -> Self {
        self.normalize = on;
        self
    }

    /// Seed of k-means.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Clusters a graph.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for no clusters or more than nodes, or signs of other than two; a directed graph.
    pub fn fit(&self, graph: &Graph) -> Result<SpectralClusters, Error> {
        let (n, k) = (graph.nodes(), self.clusters);
        if k == 0 || k > n {
            return Err(parameter("clusters", k as f64, "at least 1, at most the number of nodes"));
        }
        if self.signs && k != 2 {
            return Err(parameter("clusters", k as f64, "2 to cut by signs"));
        }
        let eigen = SymmetricEigen::new(&dense(&graph.laplacian(Laplacian::Symmetric)?))?;
        let mut embedding = eigen.vectors.columns(0, k).into_owned();
        let eigenvalues = eigen.values.iter().take(k).copied().collect();
        // An eigenvector has no sign: the largest component is made positive.
        for mut column in embedding.column_iter_mut() {
            let at = column.iamax();
            if column[at] < 0.0 {
                column.neg_mut();
            }
        }
        let labels = if self.signs {
            (0..n).map(|i| usize::from(embedding[(i, 1)] > 0.0)).collect()
        } else {
            let mut rows = embedding.clone();
            if self.normalize {
                for mut row in rows.row_iter_mut() {
                    let norm = row.norm();
                    if norm > 0.0 {
                        row /= norm;
                    }
                }
            }
            kmeans(&rows, k, self.seed)?.0
        };
        Ok(SpectralClusters { labels, eigenvalues, embedding })
    }
}

/// Lloyd's k-means from k-means++ seeds, the best of 10 starts: labels, centres (k × d), and the sum of squared distances. Ties go to the lower centre.
///
/// # Errors
/// [`kernels_core::Error::Parameter`] for no clusters or more than points.
pub fn kmeans(points: &DMatrix<f64>, k: usize, seed: u64) -> Result<(Vec<usize>, DMatrix<f64>, f64), Error> {
    let (n, d) = points.shape();
    if k == 0 || k > n {
        return Err(parameter("clusters", k as f64, "at least 1, at most the number of points"));
    }
    let distance = |i: usize, centers: &DMatrix<f64>, c: usize| {
        (0..d).map(|j| (points[(i, j)] - centers[(c, j)]).powi(2)).sum::<f64>()
    };
    let mut best: Option<(Vec<usize>, DMatrix<f64>, f64)> = None;
    for start in 0..10 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(start);
        let mut centers = DMatrix::zeros(k, d);
        centers.set_row(0, &points.row(((rng.random::<f64>() * n as f64) as usize).min(n - 1)));
        let mut near: Vec<f64> = (0..n).map(|i| distance(i, &centers, 0)).collect();
        for c in 1..k {
            let mut draw = rng.random::<f64>() * near.iter().sum::<f64>();
            let at = near
                .iter()
                .position(|w| {
                    draw -= w;
                    draw < 0.0
                })
                .unwrap_or(n - 1);
            centers.set_row(c, &points.row(at));
            for i in 0..n {
                near[i] = near[i].min(distance(i, &centers, c));
            }
        }
        let mut labels = vec![usize::MAX; n];
        let mut cost = f64::INFINITY;
        for _ in 0..300 {
            let mut sum = 0.0;
            let mut changed = false;
            for i in 0..n {
                let mut at = (0, f64::INFINITY);
                for c in 0..k {
                    let value = distance(i, &centers, c);
                    if value < at.1 {
                        at = (c, value);
                    }
                }
                changed |= labels[i] != at.0;
                labels[i] = at.0;
                sum += at.1;
            }
            cost = sum;
            if !changed {
                break;
            }
            let mut sums = DMatrix::zeros(k, d);
            let mut sizes = vec![0.0; k];
            for i in 0..n {
                sizes[labels[i]] += 1.0;
                for j in 0..d {
                    sums[(labels[i], j)] += points[(i, j)];
                }
            }
            for c in 0..k {
                if sizes[c] > 0.0 {
                    centers.set_row(c, &(sums.row(c) / sizes[c]));
                }
            }
        }
        if best.as_ref().is_none_or(|(_, _, least)| cost < *least) {
            best = Some((labels, centers, cost));
        }
    }
    best.ok_or_else(|| parameter("clusters", k as f64, "finite points"))
}

/// (cut, normalised cut) of a partition: the weight of edges between clusters, and Σ over clusters of (weight leaving)/(volume).
///
/// # Errors
/// [`kernels_core::Error::Shape`] unless there is a label a node.
pub fn normalized_cut(graph: &Graph, labels: &[usize]) -> Result<(f64, f64), Error> {
    crate::error::shape("labels", graph.nodes(), labels.len())?;
    let k = labels.iter().copied().max().map_or(0, |m| m + 1);
    let (mut leaving, mut volume) = (vec![0.0; k], vec![0.0; k]);
    for u in 0..graph.nodes() {
        for (v, w) in graph.neighbours(u) {
            volume[labels[u]] += w;
            if labels[u] != labels[v] {
                leaving[labels[u]] += w;
            }
        }
    }
    let ratio = |(l, v): (&f64, &f64)| if *v > 0.0 { l / v } else { 0.0 };
    Ok((leaving.iter().sum::<f64>() / 2.0, leaving.iter().zip(&volume).map(ratio).sum()))
}
