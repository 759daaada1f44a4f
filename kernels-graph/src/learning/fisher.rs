//! Fisher information embeddings.

use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Graph, GraphBuilder, error::shape};

/// One layer of the Fisher information embedding: the neighbourhood of a node as a mixture of p clusters with means μ, and the node as the Fisher score
/// of that mixture by its means.
///
/// Every node u has weights s_u = softmaxⱼ((μⱼ·x_u/‖x_u‖ + bⱼ)/d); node v weighs its neighbours u by the softmax of s_uj over them, and out_vj = Σ_u w_uj x_u − μⱼ.
///
/// Reference: Chen, Pellizzoni & Borgwardt, *Fisher information embedding for node and graph learning* (2023).
#[derive(Clone, Debug, PartialEq)]
pub struct FisherLayer {
    means: DMatrix<f64>,
    bias: Vec<f64>,
}

impl FisherLayer {
    /// Means, p × d, and biases, p.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn new(means: DMatrix<f64>, bias: Vec<f64>) -> Result<Self, Error> {
        shape("biases", means.nrows(), bias.len())?;
        Ok(Self { means, bias })
    }

    /// Means by spherical k-means on the rows of x, without bias.
    ///
    /// # Errors
    /// As [`spherical_kmeans`].
    pub fn fit(x: &DMatrix<f64>, mixtures: usize, seed: u64) -> Result<Self, Error> {
        Self::new(spherical_kmeans(x, mixtures, seed)?, vec![0.0; mixtures])
    }

    /// s, n × p.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn attention(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        shape("features a node", self.means.ncols(), x.ncols())?;
        let temperature = 1.0 / x.ncols().max(1) as f64;
        let mut out = unit_rows(x) * self.means.transpose();
        for mut row in out.row_iter_mut() {
            for (value, bias) in row.iter_mut().zip(&self.bias) {
                *value = (*value + bias) * temperature;
            }
            let top = row.max();
            row.apply(|v| *v = (*v - top).exp());
            let sum = row.sum();
            row /= sum;
        }
        Ok(out)
    }

    /// The embedding, n × (p d), mixture by mixture. The graph is taken as it is: see [`with_loops`](FisherLayer::with_loops).
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn apply(&self, graph: &Graph, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        shape("rows of features", graph.nodes(), x.nrows())?;
        let (s, (p, d)) = (self.attention(x)?, self.means.shape());
        let mut out = DMatrix::zeros(x.nrows(), p * d);
        for v in 0..graph.nodes() {
            for j in 0..p {
                let top = graph.neighbours(v).map(|(u, _)| s[(u, j)]).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = graph.neighbours(v).map(|(u, _)| (s[(u, j)] - top).exp()).sum();
                for (u, _) in graph.neighbours(v) {
                    let weight = (s[(u, j)] - top).exp() / sum;
                    for c in 0..d {
                        out[(v, j * d + c)] += weight * x[(u, c)];
                    }
                }
                for c in 0..d {
                    out[(v, j * d + c)] -= self.means[(j, c)];
                }
            }
        }
        Ok(out)
    }

    /// The graph with a loop of weight 1 at every node: a node is its own neighbour.
    ///
    /// # Errors
    /// None in practice.
    pub fn with_loops(graph: &Graph) -> Result<Graph, Error> {
        let loops = (0..graph.nodes()).map(|i| (i, i, 1.0));
        GraphBuilder::new(graph.nodes())
            .directed(graph.is_directed())
            .duplicates(crate::Duplicates::Max)
            .build(graph.edge_list().chain(loops))
    }
}

/// Rows scaled to length 1; rows of 0 stay.
fn unit_rows(x: &DMatrix<f64>) -> DMatrix<f64> {
    let mut out = x.clone();
    for mut row in out.row_iter_mut() {
        let norm = row.norm();
        if norm > 0.0 {
            row /= norm;
        }
    }
    out
}

/// k unit vectors by spherical k-means (cosine, k-means++ start, at most 100 rounds, an empty cluster takes the worst point).
///
/// # Errors
/// [`kernels_core::Error::Parameter`] for no clusters or more than rows.
pub fn spherical_kmeans(x: &DMatrix<f64>, k: usize, seed: u64) -> Result<DMatrix<f64>, Error> {
    let (n, d) = x.shape();
    if k == 0 || k > n {
        return Err(crate::error::parameter(
            "clusters",
            k as f64,
            "at least 1, at most the number of points",
        ));
    }
    let points = unit_rows(x);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut centers = DMatrix::zeros(k, d);
    let mut gap = vec![1.0f64; n];
    for c in 0..k {
        let mut draw = rng.random::<f64>() * gap.iter().sum::<f64>();
        let at = gap
            .iter()
            .position(|w| {
                draw -= w;
                draw < 0.0
            })
            .unwrap_or(n - 1);
        centers.set_row(c, &points.row(at));
        for i in 0..n {
            let distance = (1.0 - points.row(i).dot(&centers.row(c))).max(0.0);
            gap[i] = if c == 0 { distance } else { gap[i].min(distance) };
        }
    }
    let mut last = f64::INFINITY;
    for _ in 0..100 {
        let cosines = &points * centers.transpose();
        let labels: Vec<usize> = cosines.row_iter().map(|row| row.transpose().imax()).collect();
        let fit: f64 = labels.iter().enumerate().map(|(i, &c)| 1.0 - cosines[(i, c)]).sum::<f64>() / n as f64;
        let mut sums = DMatrix::zeros(k, d);
        let mut sizes = vec![0usize; k];
        for (i, &c) in labels.iter().enumerate() {
            sizes[c] += 1;
            (0..d).for_each(|j| sums[(c, j)] += points[(i, j)]);
        }
        for c in 0..k {
            if sizes[c] == 0 {
                let worst =
                    (0..n).min_by(|a, b| cosines[(*a, labels[*a])].total_cmp(&cosines[(*b, labels[*b])]));
                sums.set_row(c, &points.row(worst.unwrap_or(0)));
            }
        }
        centers = unit_rows(&sums);
        if (last - fit).abs() <= 1e-6 * last.abs().max(f64::MIN_POSITIVE) && last.is_finite() {
            break;
        }
        last = fit;
    }
    Ok(centers)
}
