//! The pyramid match kernel.

use kernels_core::dense::SymmetricEigen;
use nalgebra::DMatrix;

use super::{Counts, GraphKernel, LabelledGraph, hash::Absorb, kernel::graph_kernels};
use crate::{Error, error::parameter, laplacian::dense};

/// Nodes as points of \[0, 1\]ᵈ, compared by histograms on grids of 1, 2, 4, … cells a dimension:
/// K = I_(L−1) + Σ_(l < L−1) 2^−(L−1−l) (I_l − I_(l+1)), I_l the intersection of the histograms with 2ˡ cells.
///
/// The coordinates of a node are its absolute components in the d eigenvectors of A of largest |eigenvalue|, a positive eigenvalue before its negative;
/// a graph of fewer than d nodes has as many coordinates as nodes. Eigenvectors of an m-fold eigenvalue are not unique, so there every one of
/// them is replaced by the root of the mean of their squares, √(Pᵢᵢ/m) with P the projection onto their span: isomorphic graphs agree. A component
/// within 1e−9 of a cell's lower edge counts as on it, so that rounding does not move a node. Directed graphs are averaged with their
/// reverse. O(n³) a graph.
///
/// Reference: Nikolentzos et al., *Matching node embeddings for graph similarity* (2017).
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, LabelledGraph, PyramidMatch};
/// let path = LabelledGraph::new(Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?);
/// assert_eq!(PyramidMatch::new(4, 6)?.eval(&path, &path), 9.0);    // 3 nodes, 3 coordinates
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PyramidMatch {
    pub(super) levels: usize,
    pub(super) dimension: usize,
    pub(super) labels: bool,
}

impl PyramidMatch {
    /// L levels, d dimensions; the literature takes 4 and 6.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for no levels or more than 30, or no dimensions.
    pub fn new(levels: usize, dimension: usize) -> Result<Self, Error> {
        if !(1..=30).contains(&levels) {
            return Err(parameter("levels", levels as f64, "1 to 30"));
        }
        if dimension == 0 {
            return Err(parameter("dimension", 0.0, "at least 1"));
        }
        Ok(Self { levels, dimension, labels: false })
    }

    /// Whether nodes of different labels have histograms of their own.
    pub fn labels(mut self, on: bool) -> Self {
        self.labels = on;
        self
    }

    /// Coordinates, n × min(d, n).
    fn coordinates(&self, graph: &LabelledGraph) -> Option<DMatrix<f64>> {
        let a = dense(graph.graph().adjacency());
        let a = if graph.graph().is_directed() { 0.5 * (&a + a.transpose()) } else { a };
        let n = graph.nodes();
        let eigen = SymmetricEigen::new(&a).ok()?;
        let near = 1e-9 * eigen.values.amax().max(f64::MIN_POSITIVE);
        // Runs of equal eigenvalues, which ascend.
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        for k in 0..n {
            match runs.last_mut() {
                Some(run) if eigen.values[k] - eigen.values[run.start] <= near => run.end = k + 1,
                _ => runs.push(k..k + 1),
            }
        }
        // Descending |λ|; where λ and −λ differ by rounding only, the positive one first.
        let size = |run: &std::ops::Range<usize>| eigen.values[run.start].abs();
        runs.sort_by(|x, y| size(y).total_cmp(&size(x)));
        for at in 1..runs.len() {
            let positive = eigen.values[runs[at].start] > 0.0 && eigen.values[runs[at - 1].start] < 0.0;
            if positive && (size(&runs[at]) - size(&runs[at - 1])).abs() <= near {
                runs.swap(at - 1, at);
            }
        }
        let mut out = DMatrix::zeros(n, self.dimension.min(n));
        let mut filled = 0;
        for run in runs {
            let share = 1.0 / run.len() as f64;
            for _ in run.clone().take(out.ncols() - filled) {
                for v in 0..n {
                    let power: f64 = run.clone().map(|k| eigen.vectors[(v, k)].powi(2)).sum();
                    out[(v, filled)] = (share * power).sqrt();
                }
                filled += 1;
            }
        }
        Some(out)
    }
}

impl GraphKernel for PyramidMatch {
    /// Cells, a histogram a level.
    type Form = Vec<Counts>;

    fn form(&self, graph: &LabelledGraph) -> Self::Form {
        let Some(points) = self.coordinates(graph) else { return vec![Counts::default(); self.levels] };
        (0..self.levels)
            .map(|level| {
                let cells = (1u64 << level) as f64;
                let mut names = Vec::with_capacity(points.len());
                for (d, column) in points.column_iter().enumerate() {
                    for (v, x) in column.iter().enumerate() {
                        let cell = ((x + 1e-9) * cells).floor().min(cells - 1.0);
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
        let finer = |level: usize| 0.5f64.powi((last - level) as i32) * (matches[level] - matches[level + 1]);
        matches[last] + (0..last).map(finer).sum::<f64>()
    }
}

graph_kernels!(PyramidMatch);
