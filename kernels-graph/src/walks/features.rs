//! Sparse features of nodes, and the kernel they estimate.

use std::ops::Range;

use kernels_core::{Error as CoreError, FeatureMap, Operator, Points, Tile, Workspace};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Nodes, SparseMatrix,
    graph::{compressed, row},
    nodes::same_graph,
    operator::{conjugate_gradient_with, multiply},
};

/// Sparse random-walk features Φ (and an independent Ψ): row i belongs to node i, and K ≈ ΦΦᵀ or (ΦΨᵀ + ΨΦᵀ)/2.
///
/// It is a [`FeatureMap`] of n features, an [`Operator`] applied by two or four sparse products, and the matrices themselves.
#[derive(Clone, Debug)]
pub struct WalkFeatures {
    first: SparseMatrix,
    second: Option<SparseMatrix>,
    /// Transposes, for products.
    across: (SparseMatrix, Option<SparseMatrix>),
}

impl WalkFeatures {
    /// Features from rows that were made elsewhere, in shards say.
    pub fn new(first: SparseMatrix, second: Option<SparseMatrix>) -> Self {
        let across = (first.transpose_view().to_csr(), second.as_ref().map(|m| m.transpose_view().to_csr()));
        Self { first, second, across }
    }

    /// Φ.
    pub fn matrix(&self) -> &SparseMatrix {
        &self.first
    }

    /// Ψ, of two copies.
    pub fn second(&self) -> Option<&SparseMatrix> {
        self.second.as_ref()
    }

    /// The estimate of K at two nodes; 0 for nodes that do not exist.
    pub fn estimate(&self, i: usize, j: usize) -> f64 {
        let n = self.first.rows();
        if i >= n || j >= n {
            return 0.0;
        }
        let dot = |a: &SparseMatrix, b: &SparseMatrix, i, j| sparse_dot(row(a, i), row(b, j));
        match &self.second {
            None => dot(&self.first, &self.first, i, j),
            Some(second) => 0.5 * (dot(&self.first, second, i, j) + dot(&self.first, second, j, i)),
        }
    }

    /// The features of some nodes, in that order: the operator K[nodes, nodes] of a solver.
    ///
    /// # Errors
    /// [`Error::Node`].
    pub fn select(&self, nodes: &[usize]) -> Result<Self, Error> {
        let n = self.first.rows();
        if let Some(&node) = nodes.iter().find(|i| **i >= n) {
            return Err(Error::Node { what: "a choice of nodes", node, nodes: n });
        }
        let cut = |matrix: &SparseMatrix| {
            let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
            for &node in nodes {
                let (columns, values) = row(matrix, node);
                indices.extend_from_slice(columns);
                data.extend_from_slice(values);
                indptr.push(indices.len());
            }
            compressed(nodes.len(), matrix.cols(), indptr, indices, data)
        };
        Ok(Self::new(cut(&self.first)?, self.second.as_ref().map(cut).transpose()?))
    }

    /// Φ (Φ[nodes, :]ᵀ a): values at all nodes of Σᵢ aᵢ k(·, nodesᵢ) with K = ΦΦᵀ, or its symmetric estimate of two copies. One column a target.
    ///
    /// # Errors
    /// [`Error::Node`], shapes.
    pub fn predict(&self, nodes: &[usize], coefficients: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        crate::error::shape("rows of the coefficients", nodes.len(), coefficients.nrows())?;
        let n = self.first.rows();
        let mut all = DMatrix::zeros(n, coefficients.ncols());
        for (i, &node) in nodes.iter().enumerate() {
            if node >= n {
                return Err(Error::Node { what: "a prediction", node, nodes: n });
            }
            for (k, a) in coefficients.row(i).iter().enumerate() {
                all[(node, k)] += a;
            }
        }
        let mut out = DMatrix::zeros(n, coefficients.ncols());
        self.apply(all.as_view(), out.as_view_mut())?;
        Ok(out)
    }

    /// ΦG/√q with a standard normal G of q columns: dense features with the same inner products on average.
    pub fn compress(&self, features: usize, seed: u64) -> DMatrix<f64> {
        let (n, scale) = (self.first.rows(), 1.0 / (features.max(1) as f64).sqrt());
        let mut out = DMatrix::zeros(n, features);
        let mut g = vec![0.0; self.first.cols()];
        for (k, mut column) in out.column_iter_mut().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(k as u64);
            g.iter_mut().for_each(|g| {
                let normal: f64 = rand_distr::Distribution::sample(&rand_distr::StandardNormal, &mut rng);
                *g = scale * normal;
            });
            multiply(&self.first, &g, column.as_mut_slice());
        }
        out
    }

    /// Values at all nodes of the ridge regression of `targets` at `labelled` nodes: K[:, l] (K[l, l] + ridge I)⁻¹ y with K = ΦΦᵀ, by conjugate gradients with
    /// two sparse products a step, to a relative residual of 1e−8. One column a target; for classes, one column of ±1 or 0/1 a class.
    ///
    /// # Errors
    /// Shapes, nodes out of range, a ridge that is not above 0, [`kernels_core::Error::NotConverged`]; [`Error::Unsupported`] for two copies, whose
    /// estimate is not positive semidefinite.
    ///
    /// ```
    /// use kernels_graph::{Graph, NodeKernel, RandomWalks};
    /// use nalgebra::dmatrix;
    /// let two = Graph::undirected(4, [(0, 1, 1.0), (2, 3, 1.0)])?;
    /// let features = RandomWalks::new(50, 0.3).features(&NodeKernel::diffusion(1.0).walks(&two)?)?;
    /// let f = features.regress(&[0, 2], &dmatrix![1.0; -1.0], 0.01)?;
    /// assert!(f[1] > 0.1 && f[3] < -0.1);
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn regress(
        &self,
        labelled: &[usize],
        targets: &DMatrix<f64>,
        ridge: f64,
    ) -> Result<DMatrix<f64>, Error> {
        crate::error::shape("rows of the targets", labelled.len(), targets.nrows())?;
        crate::error::positive("ridge", ridge)?;
        if self.second.is_some() {
            return Err(Error::Unsupported {
                what: "regression with two copies of walks",
                hint: "their estimate is not positive semidefinite: use Copies::Single",
            });
        }
        let n = self.first.rows();
        if let Some(&node) = labelled.iter().find(|i| **i >= n) {
            return Err(Error::Node { what: "the labelled nodes", node, nodes: n });
        }
        let m = self.first.cols();
        let mut out = DMatrix::zeros(n, targets.ncols());
        for (k, y) in targets.column_iter().enumerate() {
            let scatter = |a: &[f64], z: &mut [f64]| {
                z.fill(0.0);
                for (a, &node) in a.iter().zip(labelled) {
                    let (columns, values) = row(&self.first, node);
                    columns.iter().zip(values).for_each(|(&j, v)| z[j as usize] += a * v);
                }
            };
            let mut z = vec![0.0; m];
            let y: Vec<f64> = y.iter().copied().collect();
            let coefficients = conjugate_gradient_with(
                |a, out| {
                    scatter(a, &mut z);
                    for ((out, &node), a) in out.iter_mut().zip(labelled).zip(a) {
                        let (columns, values) = row(&self.first, node);
                        *out = ridge * a
                            + columns.iter().zip(values).map(|(&j, v)| v * z[j as usize]).sum::<f64>();
                    }
                },
                &y,
                1e-8,
            )?;
            let mut z = vec![0.0; m];
            scatter(&coefficients, &mut z);
            multiply(&self.first, &z, out.column_mut(k).as_mut_slice());
        }
        Ok(out)
    }
}

/// Inner product of two sparse rows with ascending columns.
pub(crate) fn sparse_dot((ia, va): (&[u32], &[f64]), (ib, vb): (&[u32], &[f64])) -> f64 {
    let (mut a, mut b, mut sum) = (0, 0, 0.0);
    while a < ia.len() && b < ib.len() {
        match ia[a].cmp(&ib[b]) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => {
                sum += va[a] * vb[b];
                a += 1;
                b += 1;
            }
        }
    }
    sum
}

impl FeatureMap<Nodes> for WalkFeatures {
    fn dim(&self) -> usize {
        self.first.cols()
    }
    fn features(&self, xs: &Nodes, rows: Range<usize>, mut out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        out.fill(0.0);
        for (i, r) in rows.enumerate() {
            let (columns, values) = row(&self.first, xs.point(r));
            for (&j, value) in columns.iter().zip(values) {
                out[(i, j as usize)] = *value;
            }
        }
    }
    fn check(&self, xs: &Nodes) -> Result<(), CoreError> {
        same_graph(self.first.rows(), xs.of())
    }
}

impl Operator<f64> for WalkFeatures {
    fn dim(&self) -> usize {
        self.first.rows()
    }
    fn apply(&self, rhs: DMatrixView<'_, f64>, mut out: DMatrixViewMut<'_, f64>) -> Result<(), CoreError> {
        let n = self.first.rows();
        for (what, expected, given) in [
            ("rows of the vectors", n, rhs.nrows()),
            ("rows of the output", n, out.nrows()),
            ("columns of the output", rhs.ncols(), out.ncols()),
        ] {
            if expected != given {
                return Err(CoreError::Shape { what, expected, given });
            }
        }
        let (mut z, mut y) = (vec![0.0; self.first.cols()], vec![0.0; n]);
        for j in 0..rhs.ncols() {
            let x: Vec<f64> = rhs.column(j).iter().copied().collect();
            match (&self.second, &self.across.1) {
                (Some(second), Some(across)) => {
                    multiply(across, &x, &mut z);
                    multiply(&self.first, &z, &mut y);
                    let mut other = vec![0.0; n];
                    multiply(&self.across.0, &x, &mut z);
                    multiply(second, &z, &mut other);
                    y.iter_mut().zip(&other).for_each(|(y, o)| *y = 0.5 * (*y + o));
                }
                _ => {
                    multiply(&self.across.0, &x, &mut z);
                    multiply(&self.first, &z, &mut y);
                }
            }
            out.column_mut(j).iter_mut().zip(&y).for_each(|(out, y)| *out = *y);
        }
        Ok(())
    }
    fn diagonal(&self, out: &mut [f64]) -> Result<(), CoreError> {
        if out.len() != self.first.rows() {
            return Err(CoreError::Shape { what: "diagonal", expected: self.first.rows(), given: out.len() });
        }
        out.iter_mut().enumerate().for_each(|(i, out)| *out = self.estimate(i, i));
        Ok(())
    }
    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, f64>) -> Result<(), CoreError> {
        let n = self.first.rows();
        if let Some(&given) = indices.iter().find(|j| **j >= n) {
            return Err(CoreError::Shape { what: "index of a column (below)", expected: n, given });
        }
        let mut units = DMatrix::zeros(n, indices.len());
        indices.iter().enumerate().for_each(|(j, &i)| units[(i, j)] = 1.0);
        self.apply(units.as_view(), out)
    }
}
