//! Fisher information embeddings.

use kernels_core::dense::{SymmetricEigen, product};
use nalgebra::{DMatrix, RowDVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Graph, GraphBuilder,
    error::{parameter, positive, shape},
};

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

/// A projection of vectors to q values by a dot-product kernel on the sphere and q anchors:
/// ‖x‖ κ(Zx/‖x‖)ᵀ κ(ZZᵀ)^(−½), κ(t) = exp((t − 1)/σ²), the Nyström map.
///
/// ```
/// use kernels_graph::FisherProjection;
/// use nalgebra::dmatrix;
/// let layer = FisherProjection::new(dmatrix![1.0, 0.0; 0.0, 3.0], 1.0)?;
/// let h = layer.apply(&dmatrix![2.0, 0.0; 0.0, 0.0])?;
/// // ⟨φ(x), φ(x)⟩ is ‖x‖² up to the 0.01 that the roots are raised by; 0 goes to 0.
/// assert!((h.row(0).norm() - 2.0).abs() < 0.05 && h.row(1).norm() == 0.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FisherProjection {
    anchors: DMatrix<f64>,
    sigma: f64,
    root: DMatrix<f64>,
}

impl FisherProjection {
    /// Anchors Z, q × d, which are scaled to length 1. Eigenvalues of κ(ZZᵀ) are cut at 0 and their roots raised by 0.01.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless σ > 0; [`kernels_core::Error::NotFinite`].
    pub fn new(anchors: DMatrix<f64>, sigma: f64) -> Result<Self, Error> {
        positive("sigma", sigma)?;
        let anchors = unit_rows(&anchors);
        let gram = (&anchors * anchors.transpose()).map(|t| ((t - 1.0) / (sigma * sigma)).exp());
        let eigen = SymmetricEigen::new(&gram)?;
        let mut scaled = eigen.vectors.clone();
        for (k, mut column) in scaled.column_iter_mut().enumerate() {
            column *= 1.0 / (eigen.values[k].max(0.0).sqrt() + 0.01);
        }
        let root = product(&scaled, &eigen.vectors.transpose())?;
        Ok(Self { anchors, sigma, root })
    }

    /// Anchors by spherical k-means on the rows of x.
    ///
    /// # Errors
    /// As [`spherical_kmeans`].
    pub fn fit(x: &DMatrix<f64>, anchors: usize, sigma: f64, seed: u64) -> Result<Self, Error> {
        Self::new(spherical_kmeans(x, anchors, seed)?, sigma)
    }

    /// The projection, n × q.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn apply(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        shape("features", self.anchors.ncols(), x.ncols())?;
        let mut h = unit_rows(x) * self.anchors.transpose();
        for (i, mut row) in h.row_iter_mut().enumerate() {
            let norm = x.row(i).norm();
            row.apply(|t| *t = norm * ((*t - 1.0) / (self.sigma * self.sigma)).exp());
        }
        Ok(product(&h, &self.root)?)
    }
}

/// Fisher information embedding of the nodes of graphs, and of graphs: features scaled to length 1 are projected, pass through layers of
/// [`FisherLayer`] with a [`FisherProjection`] between them, and the outputs of all layers stand beside one another. A node is its own neighbour.
///
/// Without supervision: means and anchors come from spherical k-means, layer by layer.
///
/// Reference: Chen, Pellizzoni & Borgwardt, *Fisher information embedding for node and graph learning* (2023).
///
/// ```
/// use kernels_graph::{FisherEmbedding, Graph};
/// use nalgebra::DMatrix;
/// let ring = Graph::undirected(12, (0..12).map(|i| (i, (i + 1) % 12, 1.0)))?;
/// let x = DMatrix::from_fn(12, 3, |i, j| ((i * (j + 1)) as f64).sin());
/// let model = FisherEmbedding::new(2).mixtures(3).anchors(4).seed(1).fit(&[(&ring, &x)])?;
/// assert_eq!(model.nodes(&ring, &x)?.shape(), (12, 4 + 4 + 3 * 4));
/// assert_eq!(model.graph(&ring, &x)?.len(), 20);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FisherEmbedding {
    layers: usize,
    mixtures: usize,
    anchors: usize,
    sigma: f64,
    seed: u64,
}

/// A fitted [`FisherEmbedding`].
#[derive(Clone, Debug, PartialEq)]
pub struct FisherModel {
    input: FisherProjection,
    layers: Vec<(FisherLayer, Option<FisherProjection>)>,
}

impl FisherEmbedding {
    /// So many layers; 2 mixtures and 16 anchors a layer, σ = 1.
    pub fn new(layers: usize) -> Self {
        Self { layers, mixtures: 2, anchors: 16, sigma: 1.0, seed: 0 }
    }

    /// Components of the mixture of a layer.
    pub fn mixtures(mut self, mixtures: usize) -> Self {
        self.mixtures = mixtures;
        self
    }

    /// Anchors of a projection: the width of all layers but the last.
    pub fn anchors(mut self, anchors: usize) -> Self {
        self.anchors = anchors;
        self
    }

    /// σ of the projections.
    pub fn sigma(mut self, sigma: f64) -> Self {
        self.sigma = sigma;
        self
    }

    /// Seed of k-means.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Fits to graphs with the features of their nodes, one row a node.
    ///
    /// # Errors
    /// Shapes; [`kernels_core::Error::Parameter`] for no layers, or more mixtures or anchors than nodes.
    pub fn fit(&self, graphs: &[(&Graph, &DMatrix<f64>)]) -> Result<FisherModel, Error> {
        if self.layers == 0 {
            return Err(parameter("layers", 0.0, "at least 1"));
        }
        let width = graphs.first().map_or(0, |(_, x)| x.ncols());
        let mut all = Vec::with_capacity(graphs.len());
        for (graph, x) in graphs {
            shape("rows of features", graph.nodes(), x.nrows())?;
            shape("features a node", width, x.ncols())?;
            all.push((FisherLayer::with_loops(graph)?, unit_rows(x)));
        }
        let stacked = |parts: &[(Graph, DMatrix<f64>)]| {
            let width = parts.first().map_or(0, |(_, x)| x.ncols());
            let mut out = DMatrix::zeros(parts.iter().map(|(_, x)| x.nrows()).sum(), width);
            let mut row = 0;
            for (_, x) in parts {
                out.rows_mut(row, x.nrows()).copy_from(x);
                row += x.nrows();
            }
            out
        };
        let mut seed = self.seed;
        let mut next = || {
            seed = seed.wrapping_add(1);
            seed.wrapping_sub(1)
        };
        let input = FisherProjection::fit(&stacked(&all), self.anchors, self.sigma, next())?;
        for (_, x) in &mut all {
            *x = input.apply(x)?;
        }
        let mut layers = Vec::with_capacity(self.layers);
        for layer in 0..self.layers {
            let fisher = FisherLayer::fit(&stacked(&all), self.mixtures, next())?;
            for (graph, x) in &mut all {
                *x = fisher.apply(graph, x)?;
            }
            let projection = (layer + 1 < self.layers)
                .then(|| FisherProjection::fit(&stacked(&all), self.anchors, self.sigma, next()))
                .transpose()?;
            if let Some(projection) = &projection {
                for (_, x) in &mut all {
                    *x = projection.apply(x)?;
                }
            }
            layers.push((fisher, projection));
        }
        Ok(FisherModel { input, layers })
    }
}

impl FisherModel {
    /// Embeddings of the nodes of a graph, one row a node.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn nodes(&self, graph: &Graph, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        shape("rows of features", graph.nodes(), x.nrows())?;
        let graph = FisherLayer::with_loops(graph)?;
        let mut parts = vec![self.input.apply(&unit_rows(x))?];
        let mut h = parts[0].clone();
        for (layer, projection) in &self.layers {
            h = layer.apply(&graph, &h)?;
            if let Some(projection) = projection {
                h = projection.apply(&h)?;
            }
            parts.push(h.clone());
        }
        let mut out = DMatrix::zeros(x.nrows(), parts.iter().map(DMatrix::ncols).sum());
        let mut column = 0;
        for part in &parts {
            out.columns_mut(column, part.ncols()).copy_from(part);
            column += part.ncols();
        }
        Ok(out)
    }

    /// The embedding of a graph: the mean of those of its nodes, 0 for a graph without nodes.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn graph(&self, graph: &Graph, x: &DMatrix<f64>) -> Result<RowDVector<f64>, Error> {
        let nodes = self.nodes(graph, x)?;
        Ok(nodes.row_sum() / nodes.nrows().max(1) as f64)
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
        return Err(parameter("clusters", k as f64, "at least 1, at most the number of points"));
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
