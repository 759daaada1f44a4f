//! Random-walk positions.

use nalgebra::DMatrix;

use crate::{Error, Graph, graph::row, laplacian::dense};

/// Relative random-walk probabilities (I, P, P², …, P^(K−1)), P = D⁻¹A: entry (i, j) of matrix k is the probability to be at j after k steps from i. Dense, O(K n m).
///
/// Reference: Ma et al., *Graph inductive biases in transformers without message passing* (2023).
///
/// # Errors
/// None in practice.
///
/// ```
/// use kernels_graph::{Graph, relative_positions};
/// let edge = Graph::undirected(2, [(0, 1, 1.0)])?;
/// let p = relative_positions(&edge, 3)?;
/// assert_eq!((p[1][(0, 1)], p[2][(0, 0)]), (1.0, 1.0));
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn relative_positions(graph: &Graph, steps: usize) -> Result<Vec<DMatrix<f64>>, Error> {
    let n = graph.nodes();
    let step = dense(&graph.transition());
    let mut out: Vec<DMatrix<f64>> = Vec::with_capacity(steps);
    for k in 0..steps {
        out.push(if k == 0 {
            DMatrix::identity(n, n)
        } else {
            kernels_core::dense::product(&step, &out[k - 1])?
        });
    }
    Ok(out)
}

/// The diagonals of [`relative_positions`], n × K: the probability to be back after k steps. O(n · edges within K steps) time, sparse.
pub fn return_probabilities(graph: &Graph, steps: usize) -> DMatrix<f64> {
    let (n, p) = (graph.nodes(), graph.transition());
    let columns = kernels_core::parallel::map(n, |i| {
        let mut current = vec![(i, 1.0)];
        let mut mass = vec![0.0; n];
        let mut out = vec![0.0; steps];
        for value in &mut out {
            *value = current.iter().find(|(v, _)| *v == i).map_or(0.0, |(_, x)| *x);
            let mut touched = Vec::new();
            for &(u, x) in &current {
                let (columns, values) = row(&p, u);
                for (&v, w) in columns.iter().zip(values) {
                    if mass[v as usize] <= 0.0 {
                        touched.push(v as usize);
                    }
                    mass[v as usize] += x * w;
                }
            }
            touched.sort_unstable();
            touched.dedup();
            current = touched.iter().map(|&v| (v, std::mem::take(&mut mass[v]))).collect();
        }
        out
    });
    DMatrix::from_fn(n, steps, |i, k| columns[i][k])
}
