//! The contrastive objective over mixtures of kernels.

use nalgebra::DMatrix;

use crate::{
    Error, Graph,
    error::{positive, shape},
};

/// A mixture Σ wᵢ exp(−‖x − y‖^γᵢ/τᵢ) of exponential kernels on embeddings.
///
/// Reference: Tan et al., *Contrastive learning is spectral clustering on similarity graph* (2024): the Gaussian (γ = 2) and Laplacian (γ = 1)
/// kernels and their sums are the maximum-entropy choices.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelMixture {
    parts: Vec<(f64, f64, f64)>,
}

impl KernelMixture {
    /// Parts (weight, γ, τ).
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for values that are not above 0, γ above 2, or no parts.
    pub fn new(parts: Vec<(f64, f64, f64)>) -> Result<Self, Error> {
        if parts.is_empty() {
            return Err(crate::error::parameter("parts of a mixture", 0.0, "at least 1"));
        }
        for &(weight, gamma, tau) in &parts {
            positive("weight", weight)?;
            positive("tau", tau)?;
            if !(gamma > 0.0 && gamma <= 2.0) {
                return Err(crate::error::parameter("gamma", gamma, "above 0, at most 2"));
            }
        }
        Ok(Self { parts })
    }

    /// The kernel of a squared distance, and its derivative by it (0 at distance 0, where roots have none).
    fn value(&self, squared: f64) -> (f64, f64) {
        let (mut value, mut slope) = (0.0, 0.0);
        for &(weight, gamma, tau) in &self.parts {
            let power = squared.powf(0.5 * gamma);
            let part = weight * (-power / tau).exp();
            value += part;
            if squared > 0.0 {
                slope -= part * 0.5 * gamma * power / (tau * squared);
            }
        }
        (value, slope)
    }
}

/// The InfoNCE objective of embeddings Z (n × d) for a similarity graph π: the mean over pairs drawn from π of −ln k(zᵢ, zⱼ)/Σ_(l ≠ i) k(zᵢ, zₗ), and its gradient by Z.
///
/// It is the cross-entropy between the similarity graph and the graph of the embeddings' kernel, each row normalised; its minimum is a spectral
/// clustering of π. O(n²d).
///
/// # Errors
/// [`kernels_core::Error::Shape`]; a graph without edges.
///
/// ```
/// use kernels_graph::{Graph, KernelMixture, info_nce};
/// use nalgebra::dmatrix;
/// let pairs = Graph::undirected(4, [(0, 1, 1.0), (2, 3, 1.0)])?;
/// let kernel = KernelMixture::new(vec![(1.0, 2.0, 1.0)])?;
/// let near = info_nce(&dmatrix![0.0; 0.1; 5.0; 5.1], &pairs, &kernel)?.0;
/// let far = info_nce(&dmatrix![0.0; 5.0; 0.1; 5.1], &pairs, &kernel)?.0;
/// assert!(near < far);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn info_nce(
    z: &DMatrix<f64>,
    similarity: &Graph,
    kernel: &KernelMixture,
) -> Result<(f64, DMatrix<f64>), Error> {
    let (n, d) = z.shape();
    shape("rows of the embedding", similarity.nodes(), n)?;
    let total: f64 = similarity
        .edge_list()
        .filter(|(u, v, _)| u != v)
        .map(|(_, _, w)| if similarity.is_directed() { w } else { 2.0 * w })
        .sum();
    positive("weight of the similarity graph", total)?;
    let (mut loss, mut gradient) = (0.0, DMatrix::zeros(n, d));
    let push = |i: usize, j: usize, factor: f64, gradient: &mut DMatrix<f64>| {
        for c in 0..d {
            let step = factor * 2.0 * (z[(i, c)] - z[(j, c)]);
            gradient[(i, c)] += step;
            gradient[(j, c)] -= step;
        }
    };
    for i in 0..n {
        let own: f64 = similarity.neighbours(i).filter(|(j, _)| *j != i).map(|(_, w)| w).sum();
        if own <= 0.0 {
            continue;
        }
        let squared = |j: usize| (0..d).map(|c| (z[(i, c)] - z[(j, c)]).powi(2)).sum::<f64>();
        let all: Vec<(f64, f64)> = (0..n).map(|j| kernel.value(squared(j))).collect();
        let sum: f64 = (0..n).filter(|j| *j != i).map(|j| all[j].0).sum::<f64>().max(f64::MIN_POSITIVE);
        for (j, w) in similarity.neighbours(i).filter(|(j, _)| *j != i) {
            let value = all[j].0.max(f64::MIN_POSITIVE);
            loss -= w / total * (value.ln() - sum.ln());
            push(i, j, -w / total * all[j].1 / value, &mut gradient);
        }
        for j in (0..n).filter(|j| *j != i) {
            push(i, j, own / total * all[j].1 / sum, &mut gradient);
        }
    }
    Ok((loss, gradient))
}
