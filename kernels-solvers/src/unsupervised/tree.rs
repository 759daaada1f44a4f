//! Clusters explained by a decision tree.

use kernels_core::{Kernel, Points, PositiveDefinite, Rows};
use nalgebra::DMatrix;

use super::KMeansModel;
use crate::{
    Error,
    data::{at_least, expect, gram_f64, positive},
};

/// Univariate features k(xᵢ, aᵢ) = e^(−γ(xᵢ − aᵢ)²) of every coordinate i and anchor a: a threshold on one is the question
/// whether a coordinate is near a value.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnivariateRbf {
    gamma: f64,
    anchors: Rows<f64>,
}

impl UnivariateRbf {
    /// From γ > 0 and anchor points, the training points or some of them.
    ///
    /// # Errors
    /// A γ that is not positive, no anchors, values that are not finite.
    pub fn new(gamma: f64, anchors: Rows<f64>) -> Result<Self, Error> {
        at_least("univariate features (anchors)", 1, anchors.len())?;
        anchors.check_finite()?;
        Ok(Self { gamma: positive("gamma", gamma)?, anchors })
    }

    fn count(&self) -> usize {
        self.anchors.len() * self.anchors.dim()
    }

    /// Feature `f`: coordinate f / anchors, anchor f mod anchors.
    fn value(&self, x: &[f64], f: usize) -> f64 {
        let (coordinate, anchor) = (f / self.anchors.len(), f % self.anchors.len());
        let gap = x[coordinate] - self.anchors.point(anchor)[coordinate];
        (-self.gamma * gap * gap).exp()
    }
}

/// A node: a leaf names a cluster, a split asks whether a feature is at most a threshold.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Node {
    Leaf { cluster: usize },
    Split { feature: usize, threshold: f64, below: usize, above: usize },
}

/// A binary tree of interval questions on single coordinates whose leaves are clusters.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClusterTree {
    features: UnivariateRbf,
    nodes: Vec<Node>,
}

impl ClusterTree {
    /// The cluster of every point.
    ///
    /// # Errors
    /// Points of another dimension, or not finite.
    pub fn predict(&self, xs: &Rows<f64>) -> Result<Vec<usize>, Error> {
        xs.check_finite()?;
        expect("features", self.features.anchors.dim(), xs.dim())?;
        Ok((0..xs.len()).map(|i| self.cluster(xs.point(i))).collect())
    }

    fn cluster(&self, x: &[f64]) -> usize {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf { cluster } => return cluster,
                Node::Split { feature, threshold, below, above } => {
                    at = if self.features.value(x, feature) <= threshold { below } else { above };
                }
            }
        }
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.nodes.iter().filter(|n| matches!(n, Node::Leaf { .. })).count()
    }

    /// The questions, in the order they were chosen: coordinate, centre and radius of |xᵢ − centre| < radius.
    pub fn questions(&self) -> Vec<(usize, f64, f64)> {
        let split = |node: &Node| match *node {
            Node::Leaf { .. } => None,
            Node::Split { feature, threshold, .. } => {
                let anchors = &self.features.anchors;
                let coordinate = feature / anchors.len();
                let radius = (-threshold.max(f64::MIN_POSITIVE).ln() / self.features.gamma).max(0.0).sqrt();
                Some((coordinate, anchors.point(feature % anchors.len())[coordinate], radius))
            }
        };
        self.nodes.iter().filter_map(split).collect()
    }
}

/// A tree, and what it costs to be explained.
///
/// Reference: Fleissner, Vankadara, Ghoshdastidar, *Explaining kernel clustering via decision trees*, ICLR 2024; Moshkovitz et
/// al., *Explainable k-means and k-medians clustering*, ICML 2020; Frost, Moshkovitz, Rashtchian, *ExKMC* (2020).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::unsupervised::{ExplainedClusters, KernelKMeans, UnivariateRbf};
/// let xs = Rows::from_row_major(vec![0.0, 0.1, 0.2, 5.0, 5.1, 5.2], 6, 1)?;
/// let clusters = KernelKMeans::new(Rbf::new(1.0)?, 2).fit(&xs)?;
/// let explained = ExplainedClusters::new(&clusters, &xs, UnivariateRbf::new(0.5, xs.clone())?, 2)?;
/// assert_eq!(explained.tree.predict(&xs)?, clusters.labels());
/// assert!((explained.price - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExplainedClusters {
    /// The tree.
    pub tree: ClusterTree,
    /// Points separated from their cluster's mean by the first question.
    pub first_mistakes: usize,
    /// Cost of the tree's clusters in the kernel's feature space.
    pub cost: f64,
    /// Cost of the tree over cost of kernel k-means: the price of explainability.
    pub price: f64,
}

impl ExplainedClusters {
    /// Explains clusters of training points `xs` by a tree of as many leaves as clusters, grown to at most `max_leaves`.
    ///
    /// The first leaves come by iterative mistake minimisation: at a node with several means the question that separates fewest
    /// points from their mean. Further ones by the greatest fall of Σ over leaves of the cost of the best cluster for a leaf.
    ///
    /// **Errors.** Points that are not those of the clusters in number, features of another dimension. **Complexity.** A sort of the
    /// node's points for each of the features and nodes.
    pub fn new<K>(
        clusters: &KMeansModel<Rows<f64>, K>,
        xs: &Rows<f64>,
        features: UnivariateRbf,
        max_leaves: usize,
    ) -> Result<Self, Error>
    where
        K: Kernel<Rows<f64>> + PositiveDefinite,
    {
        let labels = clusters.labels();
        expect("points (those that were clustered)", labels.len(), xs.len())?;
        expect("dimension of the anchors", xs.dim(), features.anchors.dim())?;
        xs.check_finite()?;
        let (n, count) = (xs.len(), features.count());
        let k = labels.iter().max().map_or(0, |m| m + 1);
        let phi = DMatrix::from_fn(n, count, |i, f| features.value(xs.point(i), f));
        let mut means = DMatrix::zeros(k, count);
        let mut sizes = vec![0.0; k];
        for (i, &c) in labels.iter().enumerate() {
            sizes[c] += 1.0;
            let mut row = means.row_mut(c);
            row += phi.row(i);
        }
        for (mut row, size) in means.row_iter_mut().zip(&sizes) {
            row /= f64::max(*size, 1.0);
        }
        let gram = gram_f64(clusters.kernel(), xs)?;
        let present: Vec<usize> = (0..k).filter(|&c| sizes[c] > 0.0).collect();
        let mut grower = Grower { phi, means, labels, nodes: Vec::new(), members: Vec::new(), first: None };
        grower.minimise_mistakes((0..n).collect(), present);
        let distance = distances(&gram, labels, k);
        grower.expand(&distance, max_leaves);
        let tree = ClusterTree { features, nodes: grower.nodes };
        let assigned = tree.predict(xs)?;
        let cost = partition_cost(&gram, &assigned, k);
        let reference = partition_cost(&gram, labels, k);
        // Two costs of 0 are equal.
        let price = if reference > 0.0 {
            cost / reference
        } else if cost > 0.0 {
            f64::INFINITY
        } else {
            1.0
        };
        Ok(Self { tree, first_mistakes: grower.first.unwrap_or(0), cost, price })
    }
}

/// Squared distances to the means of a partition, n × k.
fn distances(gram: &DMatrix<f64>, labels: &[usize], k: usize) -> DMatrix<f64> {
    let n = labels.len();
    let mut affinity = DMatrix::<f64>::zeros(n, k);
    let mut sizes = vec![0.0_f64; k];
    for (j, &c) in labels.iter().enumerate() {
        affinity.column_mut(c).axpy(1.0, &gram.column(j), 1.0);
        sizes[c] += 1.0;
    }
    let mut norms = vec![0.0; k];
    for (c, norm) in norms.iter_mut().enumerate() {
        let size = sizes[c].max(1.0);
        affinity.column_mut(c).scale_mut(1.0 / size);
        *norm = (0..n).filter(|&i| labels[i] == c).map(|i| affinity[(i, c)]).sum::<f64>() / size;
    }
    DMatrix::from_fn(n, k, |i, c| {
        if sizes[c] > 0.0 {
            (gram[(i, i)] - 2.0 * affinity[(i, c)] + norms[c]).max(0.0)
        } else {
            f64::INFINITY
        }
    })
}

fn partition_cost(gram: &DMatrix<f64>, labels: &[usize], k: usize) -> f64 {
    let distance = distances(gram, labels, k);
    labels.iter().enumerate().map(|(i, &c)| distance[(i, c)]).sum()
}

struct Grower<'a> {
    phi: DMatrix<f64>,
    means: DMatrix<f64>,
    labels: &'a [usize],
    nodes: Vec<Node>,
    /// Points of every node.
    members: Vec<Vec<usize>>,
    first: Option<usize>,
}

impl Grower<'_> {
    /// Grows the node of these points and cluster means; returns its place.
    fn minimise_mistakes(&mut self, points: Vec<usize>, clusters: Vec<usize>) -> usize {
        let place = self.nodes.len();
        let cluster = clusters.first().copied().unwrap_or(0);
        self.nodes.push(Node::Leaf { cluster });
        self.members.push(points.clone());
        // Points that an earlier question separated from their mean count no more.
        let counted: Vec<usize> =
            points.iter().copied().filter(|&i| clusters.contains(&self.labels[i])).collect();
        let Some((feature, threshold, mistakes)) = self.best_cut(&counted, &clusters) else { return place };
        self.first.get_or_insert(mistakes);
        let (low, high): (Vec<usize>, Vec<usize>) =
            points.into_iter().partition(|&i| self.phi[(i, feature)] <= threshold);
        let (left, right): (Vec<usize>, Vec<usize>) =
            clusters.into_iter().partition(|&c| self.means[(c, feature)] <= threshold);
        let below = self.minimise_mistakes(low, left);
        let above = self.minimise_mistakes(high, right);
        self.nodes[place] = Node::Split { feature, threshold, below, above };
        place
    }

    /// The question between two means with the fewest mistakes.
    fn best_cut(&self, points: &[usize], clusters: &[usize]) -> Option<(usize, f64, usize)> {
        if clusters.len() < 2 {
            return None;
        }
        let total: Vec<usize> =
            clusters.iter().map(|c| points.iter().filter(|i| self.labels[**i] == *c).count()).collect();
        let mut best: Option<(usize, f64, usize)> = None;
        for feature in 0..self.phi.ncols() {
            // (value, cluster, whether it is the mean)
            let mut events: Vec<(f64, usize, bool)> = clusters
                .iter()
                .enumerate()
                .map(|(c, &name)| (self.means[(name, feature)], c, true))
                .collect();
            events.extend(points.iter().map(|&i| {
                let c = clusters.iter().position(|c| *c == self.labels[i]).unwrap_or(0);
                (self.phi[(i, feature)], c, false)
            }));
            events.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut left, mut passed) = (vec![0; clusters.len()], vec![false; clusters.len()]);
            for pair in 0..events.len() - 1 {
                let (value, c, is_mean) = events[pair];
                if is_mean {
                    passed[c] = true
                } else {
                    left[c] += 1
                }
                let next = events[pair + 1].0;
                let means = passed.iter().filter(|p| **p).count();
                if next <= value || means == 0 || means == clusters.len() {
                    continue;
                }
                let mistakes: usize =
                    (0..clusters.len()).map(|c| if passed[c] { total[c] - left[c] } else { left[c] }).sum();
                if best.is_none_or(|(.., m)| mistakes < m) {
                    // Between the two values; the lower one when rounding leaves nothing between.
                    let middle = 0.5 * (value + next);
                    best = Some((feature, if middle < next { middle } else { value }, mistakes));
                }
            }
        }
        best
    }

    /// Splits leaves where the surrogate cost falls most.
    fn expand(&mut self, distance: &DMatrix<f64>, max_leaves: usize) {
        loop {
            let leaves: Vec<usize> =
                (0..self.nodes.len()).filter(|&p| matches!(self.nodes[p], Node::Leaf { .. })).collect();
            if leaves.len() >= max_leaves {
                return;
            }
            let mut best: Option<(f64, usize, Cut)> = None;
            for &leaf in &leaves {
                if let Some((fall, cut)) = self.best_fall(&self.members[leaf], distance)
                    && best.as_ref().is_none_or(|(b, ..)| fall > *b)
                {
                    best = Some((fall, leaf, cut));
                }
            }
            let Some((_, leaf, cut)) = best else { return };
            let (low, high): (Vec<usize>, Vec<usize>) =
                self.members[leaf].iter().partition(|&&i| self.phi[(i, cut.feature)] <= cut.threshold);
            let below = self.nodes.len();
            self.nodes.push(Node::Leaf { cluster: cut.clusters.0 });
            self.nodes.push(Node::Leaf { cluster: cut.clusters.1 });
            self.members.extend([low, high]);
            let (feature, threshold) = (cut.feature, cut.threshold);
            self.nodes[leaf] = Node::Split { feature, threshold, below, above: below + 1 };
        }
    }

    fn best_fall(&self, points: &[usize], distance: &DMatrix<f64>) -> Option<(f64, Cut)> {
        let k = distance.ncols();
        let cheapest =
            |costs: &[f64]| (1..k).fold(0, |best, c| if costs[c] < costs[best] { c } else { best });
        let total: Vec<f64> = (0..k).map(|c| points.iter().map(|&i| distance[(i, c)]).sum()).collect();
        let now = total[cheapest(&total)];
        let mut best: Option<(f64, Cut)> = None;
        for feature in 0..self.phi.ncols() {
            let mut order = points.to_vec();
            order.sort_by(|&a, &b| self.phi[(a, feature)].total_cmp(&self.phi[(b, feature)]));
            let mut low = vec![0.0; k];
            for pair in order.windows(2) {
                (0..k).for_each(|c| low[c] += distance[(pair[0], c)]);
                let (value, next) = (self.phi[(pair[0], feature)], self.phi[(pair[1], feature)]);
                if next <= value {
                    continue;
                }
                let high: Vec<f64> = (0..k).map(|c| total[c] - low[c]).collect();
                let clusters = (cheapest(&low), cheapest(&high));
                let fall = now - low[clusters.0] - high[clusters.1];
                // What rounding alone could be is no improvement.
                if fall > 1e-12 * now && best.as_ref().is_none_or(|(b, _)| fall > *b) {
                    let middle = 0.5 * (value + next);
                    let threshold = if middle < next { middle } else { value };
                    best = Some((fall, Cut { feature, threshold, clusters }));
                }
            }
        }
        best
    }
}

struct Cut {
    feature: usize,
    threshold: f64,
    clusters: (usize, usize),
}
