//! Matrices of a graph: normalised adjacency, transition probabilities, Laplacians.

use kernels_core::dense::SymmetricEigen;
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, Graph, SparseMatrix,
    error::parameter,
    graph::{compressed, row},
};

/// Which Laplacian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Laplacian {
    /// L = D − A, eigenvalues in \[0, 2 max d\].
    Combinatorial,
    /// D^(−½) L D^(−½), eigenvalues in \[0, 2\]; the row of an isolated node is 0.
    #[default]
    Symmetric,
    /// D⁻¹ L, not symmetric; the row of an isolated node is 0.
    RandomWalk,
}

/// 1/x, and 0 for 0: the convention for isolated nodes.
pub(crate) fn inverse(x: f64) -> f64 {
    if x > 0.0 { 1.0 / x } else { 0.0 }
}

/// `left[i] · A[i, j] · right[j]`, with the same pattern.
pub(crate) fn scaled(
    matrix: &SparseMatrix,
    left: impl Fn(usize) -> f64,
    right: impl Fn(usize) -> f64,
) -> SparseMatrix {
    let mut out = matrix.clone();
    let indices: Vec<u32> = matrix.indices().to_vec();
    for i in 0..matrix.rows() {
        let range = matrix.indptr().outer_inds_sz(i);
        for at in range {
            out.data_mut()[at] *= left(i) * right(indices[at] as usize);
        }
    }
    out
}

/// `diagonal[i]` on the diagonal minus a matrix.
pub(crate) fn diagonal_minus(diagonal: &[f64], matrix: &SparseMatrix) -> Result<SparseMatrix, Error> {
    let n = matrix.rows();
    let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
    for (i, &own) in diagonal.iter().enumerate().take(n) {
        let (columns, values) = row(matrix, i);
        let mut placed = false;
        for (&j, &value) in columns.iter().zip(values) {
            if j as usize >= i && !placed {
                placed = true;
                indices.push(i as u32);
                if j as usize == i {
                    data.push(own - value);
                    continue;
                }
                data.push(own);
            }
            indices.push(j);
            data.push(-value);
        }
        if !placed {
            indices.push(i as u32);
            data.push(own);
        }
        indptr.push(indices.len());
    }
    compressed(n, n, indptr, indices, data)
}

impl Graph {
    /// S = D^(−½) A D^(−½), with 0^(−½) = 0.
    pub fn normalized_adjacency(&self) -> SparseMatrix {
        let scale: Vec<f64> = self.degrees().iter().map(|d| inverse(d.sqrt())).collect();
        scaled(self.adjacency(), |i| scale[i], |j| scale[j])
    }

    /// P = D⁻¹ A: row u holds the probabilities of a step from u; 0 for a node without edges.
    pub fn transition(&self) -> SparseMatrix {
        let scale: Vec<f64> = self.degrees().iter().map(|d| inverse(*d)).collect();
        scaled(self.adjacency(), |i| scale[i], |_| 1.0)
    }

    /// A Laplacian of an undirected graph.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a directed graph: see [`Graph::symmetrize`] and [`Graph::directed_laplacian`].
    ///
    /// ```
    /// use kernels_graph::{Graph, Laplacian};
    /// let edge = Graph::undirected(2, [(0, 1, 2.0)])?;
    /// let laplacian = edge.laplacian(Laplacian::Combinatorial)?.to_dense();
    /// assert_eq!(laplacian.as_slice(), Some(&[2.0, -2.0, -2.0, 2.0][..]));
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn laplacian(&self, kind: Laplacian) -> Result<SparseMatrix, Error> {
        self.need_undirected()?;
        let degrees = self.degrees();
        let one: Vec<f64> = degrees.iter().map(|&d| f64::from(u8::from(d > 0.0))).collect();
        match kind {
            Laplacian::Combinatorial => diagonal_minus(&degrees, self.adjacency()),
            Laplacian::Symmetric => diagonal_minus(&one, &self.normalized_adjacency()),
            Laplacian::RandomWalk => diagonal_minus(&one, &self.transition()),
        }
    }

    pub(crate) fn need_undirected(&self) -> Result<(), Error> {
        if self.is_directed() {
            return Err(Error::Unsupported {
                what: "a Laplacian of a directed graph",
                hint: "symmetrize it first, or use the directed Laplacian",
            });
        }
        Ok(())
    }

    /// A bound of the largest eigenvalue of a Laplacian: max over edges of dᵤ + dᵥ for L, 2 for the others.
    pub fn laplacian_bound(&self, kind: Laplacian) -> f64 {
        match kind {
            Laplacian::Combinatorial => {
                let degrees = self.degrees();
                self.edge_list()
                    .filter(|(u, v, _)| u != v)
                    .map(|(u, v, _)| degrees[u] + degrees[v])
                    .fold(0.0, f64::max)
            }
            Laplacian::Symmetric | Laplacian::RandomWalk => 2.0,
        }
    }

    /// Bounds (lower, upper) of the spectral radius ρ of A by positive vectors: ρ ≤ max (Ax)ᵢ/xᵢ for any x > 0
    /// (Collatz and Wielandt), with equality in the limit of power iteration on A + cI; the lower one is a Rayleigh
    /// quotient. Undirected graphs; `iterations` products.
    pub fn spectral_radius(&self, iterations: usize) -> (f64, f64) {
        let (n, (component, count)) = (self.nodes(), self.components());
        let degrees = self.degrees();
        let shift = degrees.iter().copied().fold(0.0, f64::max) * 0.5;
        let (mut x, mut y) = (vec![1.0f64; n], vec![0.0f64; n]);
        let (mut lower, mut upper) = (0.0f64, f64::INFINITY);
        for _ in 0..iterations.max(1) {
            let mut worst = 0.0f64;
            let mut energy = vec![(0.0f64, 0.0f64); count];
            let mut largest = vec![0.0f64; count];
            for i in 0..n {
                let ax: f64 = self.neighbours(i).map(|(j, w)| w * x[j]).sum();
                worst = worst.max(ax / x[i]);
                energy[component[i]].0 += ax * x[i];
                energy[component[i]].1 += x[i] * x[i];
                y[i] = ax + shift * x[i];
                largest[component[i]] = largest[component[i]].max(y[i]);
            }
            upper = upper.min(worst);
            lower = energy.iter().map(|(a, b)| a / b).fold(lower, f64::max);
            if upper - lower <= 1e-13 * upper {
                break;
            }
            // Components are scaled on their own: the ratios of one do not see the others, and none underflows.
            for i in 0..n {
                x[i] = (y[i] * inverse(largest[component[i]])).max(f64::MIN_POSITIVE);
            }
        }
        (lower.min(upper), if n == 0 { 0.0 } else { upper * (1.0 + 4.0 * f64::EPSILON) })
    }

    /// The Laplacian of a directed graph, I − (Π^½ P Π^(−½) + its transpose)/2, with P the transition probabilities
    /// (uniform from a node without arrows) mixed with `teleport` of uniform jumps, and Π its stationary distribution,
    /// returned beside it. Dense, O(n³).
    ///
    /// Reference: Chung, *Laplacians and the Cheeger inequality for directed graphs* (2005).
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for a teleport outside (0, 1), [`kernels_core::Error::NotConverged`].
    pub fn directed_laplacian(&self, teleport: f64) -> Result<(DMatrix<f64>, DVector<f64>), Error> {
        if !(teleport > 0.0 && teleport < 1.0) {
            return Err(parameter("teleport", teleport, "above 0 and below 1"));
        }
        let n = self.nodes();
        let mut p = dense(&self.transition());
        let uniform = 1.0 / n.max(1) as f64;
        for (i, degree) in self.degrees().iter().enumerate() {
            for j in 0..n {
                let step = if *degree > 0.0 { p[(i, j)] } else { uniform };
                p[(i, j)] = (1.0 - teleport) * step + teleport * uniform;
            }
        }
        let mut pi = DVector::from_element(n, uniform);
        // The distance to the limit falls by 1 − teleport a step.
        let steps = (-40.0 / (1.0 - teleport).ln()).ceil().min(1e6) as usize + 10;
        for _ in 0..steps {
            pi = p.tr_mul(&pi);
            pi /= pi.sum();
        }
        let out = DMatrix::from_fn(n, n, |i, j| {
            let (ri, rj) = (pi[i].sqrt(), pi[j].sqrt());
            f64::from(u8::from(i == j)) - 0.5 * (ri * p[(i, j)] / rj + rj * p[(j, i)] / ri)
        });
        Ok((out, pi))
    }
}

/// A sparse matrix as a dense one.
pub(crate) fn dense(matrix: &SparseMatrix) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(matrix.rows(), matrix.cols());
    for i in 0..matrix.rows() {
        let (columns, values) = row(matrix, i);
        for (&j, &value) in columns.iter().zip(values) {
            out[(i, j as usize)] += value;
        }
    }
    out
}

/// Eigenvalues and vectors of a symmetric sparse matrix, densely.
pub(crate) fn eigen(matrix: &SparseMatrix) -> Result<SymmetricEigen, Error> {
    Ok(SymmetricEigen::new(&dense(matrix))?)
}
