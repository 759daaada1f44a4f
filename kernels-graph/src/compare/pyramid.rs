//! The pyramid match kernel.

use kernels_core::dense::SymmetricEigen;

use super::{
    Counts, GraphKernel, LabelledGraph,
    hash::Absorb,
    kernel::graph_kernels,
};
use crate::{Error, error::parameter, laplacian::dense};

/// Nodes are points of \[0, 1\]ᵈ, the absolute components of the d eigenvectors of A with the largest |eigenvalue|, compared by histograms on
/// grids of 1, 2, 4, … cells a dimension: K = I_(L−1) + Σ_(l < L−1) 2^−(L−1−l) (I_l − I_(l+1)), I_l the intersection at level l.
///
/// Eigenvectors of repeated eigenvalues are not unique, so isomorphic graphs with such may differ; it is a property of the kernel.
///
/// Reference: Nikolentzos et al., *Matching node embeddings for graph similarity* (2017).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PyramidMatch {
    levels: usize,
    dimension: usize,
    labels: bool,
}

impl PyramidMatch {
    /// L levels, d dimensions; the literature takes 4 and 6.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for no levels or more than 30.
    pub fn new(levels: usize, dimension: usize) -> Result<Self, Error> {
        if !(1..=30).contains(&levels) {
            return Err(parameter("levels", levels as f64, "1 to 30"));
        }
        Ok(Self { levels, dimension, labels: false })
    }

    /// Whether nodes of different labels have histograms of their own.
    pub fn labels(mut self, on: bool) -> Self {
        self.labels = on;
        self
    }
}

impl GraphKernel for PyramidMatch {
    /// Cells, a histogram a level.
    type Form = Vec<Counts>;

    fn form(&self, graph: &LabelledGraph) -> Self::Form {
        let a = dense(graph.graph().adjacency());
        let a = if graph.graph().is_directed() { 0.5 * (&a + a.transpose()) } else { a };
        let n = graph.nodes();
        let Ok(eigen) = SymmetricEigen::new(&a) else { return vec![Counts::default(); self.levels] };
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| eigen.values[j].abs().total_cmp(&eigen.values[i].abs()));
        order.truncate(self.dimension);
        (0..self.levels)
            .map(|level| {
                let cells = (1u64 << level) as f64;
                let mut names = Vec::with_capacity(n * order.len());
                for (d, &k) in order.iter().enumerate() {
                    for v in 0..n {
                        let cell = (eigen.vectors[(v, k)].abs() * cells).floor().min(cells - 1.0);
                        let label = if self.labels { graph.label(v) } else { 0 };
                        let name = Absorb::new(7).word(d as u64).word(cell as u64).word(label as u64);
                        names.push(name.finish());
                    }
                }
                Counts::of(names)
            })
            .collect()
    }

    fn compare(&self, x: &Self::Form, y: &Self::Form) -> f64 {
        let matches: Vec<f64> = x.iter().zip(y).map(|(x, y)| x.intersection(y)).collect();
        let last = self.levels - 1;
        let mut sum = matches[last];
        for level in 0..last {
            sum += 0.5f64.powi((last - level) as i32) * (matches[level] - matches[level + 1]);
        }
        sum
    }
}

graph_kernels!(PyramidMatch);
