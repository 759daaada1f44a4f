//! Kernels on nodes without their matrices: polynomials, Lanczos, conjugate gradients, resistances by sketches.

use kernels_core::{Error as CoreError, Operator, dense::SymmetricEigen};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, DVector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Graph, Laplacian, SparseMatrix, chebyshev::Filter, error::positive, graph::row};
use kernels_core::parallel;

/// B s(M) B for a sparse symmetric M, a polynomial s and a diagonal B: a kernel on nodes that is only applied.
///
/// Applying it to t vectors costs O(m t) times [`SpectralOperator::degree`]. Same bits for any number of threads.
///
/// ```
/// use kernels_core::Operator;
/// use kernels_graph::{Graph, NodeKernel};
/// use nalgebra::DMatrix;
/// let ring = Graph::undirected(1000, (0..1000).map(|i| (i, (i + 1) % 1000, 1.0)))?;
/// let heat = NodeKernel::diffusion(2.0).operator(&ring, 1e-10)?;
/// let mut out = DMatrix::zeros(1000, 1);
/// heat.apply(DMatrix::from_element(1000, 1, 1.0).as_view(), out.as_view_mut())?;
/// assert!((out[500] - 1.0).abs() < 1e-10 && heat.error_bound() <= 1e-10);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralOperator {
    base: SparseMatrix,
    filter: Filter,
    sides: Option<Vec<f64>>,
}

impl SpectralOperator {
    pub(crate) fn new(base: SparseMatrix, filter: Filter, sides: Option<Vec<f64>>) -> Self {
        Self { base, filter, sides }
    }

    /// Number of terms: products with the sparse matrix an application takes, plus one.
    pub fn degree(&self) -> usize {
        self.filter.degree()
    }

    /// A bound of ‖computed − exact‖ in the spectral norm, without the rounding of the products themselves.
    pub fn error_bound(&self) -> f64 {
        let side = self
            .sides
            .iter()
            .flatten()
            .fold(if self.sides.is_some() { 0.0 } else { 1.0 }, |a: f64, b| a.max(*b));
        self.filter.bound() * side * side
    }

    fn check(&self, shape: (usize, usize), out: (usize, usize)) -> Result<(), CoreError> {
        let n = self.dim();
        for (what, expected, given) in [
            ("rows of the vectors", n, shape.0),
            ("rows of the output", n, out.0),
            ("columns of the output", shape.1, out.1),
        ] {
            if expected != given {
                return Err(CoreError::Shape { what, expected, given });
            }
        }
        Ok(())
    }
}

impl Operator<f64> for SpectralOperator {
    fn dim(&self) -> usize {
        self.base.rows()
    }

    fn apply(&self, rhs: DMatrixView<'_, f64>, mut out: DMatrixViewMut<'_, f64>) -> Result<(), CoreError> {
        self.check(rhs.shape(), out.shape())?;
        match &self.sides {
            None => out.copy_from(&self.filter.apply(&self.base, rhs)),
            Some(sides) => {
                let scaled = DMatrix::from_fn(rhs.nrows(), rhs.ncols(), |i, j| sides[i] * rhs[(i, j)]);
                let result = self.filter.apply(&self.base, scaled.as_view());
                for j in 0..rhs.ncols() {
                    for i in 0..rhs.nrows() {
                        out[(i, j)] = sides[i] * result[(i, j)];
                    }
                }
            }
        }
        Ok(())
    }

    /// By applying the operator to all n unit vectors, in blocks: O(n m) times the degree.
    fn diagonal(&self, out: &mut [f64]) -> Result<(), CoreError> {
        let n = self.dim();
        if out.len() != n {
            return Err(CoreError::Shape { what: "diagonal", expected: n, given: out.len() });
        }
        for start in (0..n).step_by(128) {
            let indices: Vec<usize> = (start..(start + 128).min(n)).collect();
            let mut block = DMatrix::zeros(n, indices.len());
            self.columns(&indices, block.as_view_mut())?;
            for (j, &i) in indices.iter().enumerate() {
                out[i] = block[(i, j)];
            }
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, f64>) -> Result<(), CoreError> {
        let n = self.dim();
        if let Some(&given) = indices.iter().find(|j| **j >= n) {
            return Err(CoreError::Shape { what: "index of a column (below)", expected: n, given });
        }
        let mut units = DMatrix::zeros(n, indices.len());
        for (j, &i) in indices.iter().enumerate() {
            units[(i, j)] = 1.0;
        }
        self.apply(units.as_view(), out)
    }
}

/// y = M x, rows in parallel.
pub(crate) fn multiply(matrix: &SparseMatrix, x: &[f64], y: &mut [f64]) {
    parallel::fill(y, 4096, |start, y| {
        for (i, y) in y.iter_mut().enumerate() {
            let (columns, values) = row(matrix, start + i);
            *y = columns.iter().zip(values).map(|(&j, v)| v * x[j as usize]).sum();
        }
    });
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Partial sums over fixed pieces, added in order.
    a.chunks(4096).zip(b.chunks(4096)).map(|(a, b)| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>()).sum()
}

/// s(M) b by the Lanczos process with full reorthogonalisation: better than a polynomial fixed beforehand when
/// the spectrum has gaps or s is steep at its edge. Stops when a step changes the result by less than `tolerance` · ‖b‖.
///
/// **Errors.** [`kernels_core::Error::NotConverged`] after `steps`; shapes. **Complexity.** O(k m + k² n) for k steps.
///
/// ```
/// use kernels_graph::{Graph, Laplacian, lanczos};
/// let ring = Graph::undirected(50, (0..50).map(|i| (i, (i + 1) % 50, 1.0)))?;
/// let laplacian = ring.laplacian(Laplacian::Combinatorial)?;
/// let out = lanczos(&laplacian, |x| (-x).exp(), &[1.0; 50], 1e-12, 50)?;
/// assert!((out[7] - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn lanczos(
    matrix: &SparseMatrix,
    s: impl Fn(f64) -> f64,
    b: &[f64],
    tolerance: f64,
    steps: usize,
) -> Result<Vec<f64>, Error> {
    let n = matrix.rows();
    crate::error::shape("columns of a symmetric matrix", n, matrix.cols())?;
    crate::error::shape("values of the vector", n, b.len())?;
    positive("tolerance", tolerance)?;
    let norm = dot(b, b).sqrt();
    if !norm.is_finite() {
        return Err(kernels_core::Error::NotFinite { row: 0, column: 0, value: norm }.into());
    }
    if norm <= 0.0 {
        return Ok(vec![0.0; n]);
    }
    let mut basis = vec![b.iter().map(|x| x / norm).collect::<Vec<f64>>()];
    let (mut diagonal, mut off) = (Vec::new(), Vec::<f64>::new());
    let mut last: Vec<f64> = Vec::new();
    let mut w = vec![0.0; n];
    for k in 0..steps.min(n).max(1) {
        multiply(matrix, &basis[k], &mut w);
        diagonal.push(dot(&w, &basis[k]));
        // Twice is enough.
        for _ in 0..2 {
            for v in &basis {
                let c = dot(&w, v);
                w.iter_mut().zip(v).for_each(|(w, v)| *w -= c * v);
            }
        }
        let beta = dot(&w, &w).sqrt();
        let m = diagonal.len();
        let t = DMatrix::from_fn(m, m, |i, j| match i.abs_diff(j) {
            0 => diagonal[i],
            1 => off[i.min(j)],
            _ => 0.0,
        });
        let eigen = SymmetricEigen::new(&t)?;
        let y: Vec<f64> = (0..m)
            .map(|i| (0..m).map(|k| eigen.vectors[(i, k)] * s(eigen.values[k]) * eigen.vectors[(0, k)]).sum())
            .collect();
        let change: f64 = y
            .iter()
            .enumerate()
            .map(|(i, y)| (y - last.get(i).copied().unwrap_or(0.0)).powi(2))
            .sum::<f64>()
            .sqrt();
        last = y;
        let scale = diagonal.iter().chain(&off).fold(0.0f64, |a, b| a.max(b.abs()));
        if (k > 0 && change <= tolerance)
            || beta <= 4.0 * f64::EPSILON * scale.max(f64::MIN_POSITIVE)
            || k + 1 == n
        {
            let mut out = vec![0.0; n];
            for (y, v) in last.iter().zip(&basis) {
                out.iter_mut().zip(v).for_each(|(out, v)| *out += norm * y * v);
            }
            return Ok(out);
        }
        off.push(beta);
        basis.push(w.iter().map(|w| w / beta).collect());
    }
    Err(kernels_core::Error::NotConverged { what: "Lanczos process", iterations: steps }.into())
}

/// x with M x = b for a positive definite sparse M, by conjugate gradients with the diagonal as preconditioner, until
/// ‖Mx − b‖ ≤ `tolerance` ‖b‖.
///
/// # Errors
/// [`kernels_core::Error::NotConverged`] after 10 n + 100 steps, [`kernels_core::Error::NotPositiveDefinite`] for a direction of negative curvature, shapes.
pub fn conjugate_gradient(matrix: &SparseMatrix, b: &[f64], tolerance: f64) -> Result<Vec<f64>, Error> {
    cg(matrix, b, tolerance, |_| {})
}

/// Conjugate gradients for a positive definite map that is only applied, without a preconditioner.
pub(crate) fn conjugate_gradient_with(
    apply: impl FnMut(&[f64], &mut [f64]),
    b: &[f64],
    tolerance: f64,
) -> Result<Vec<f64>, Error> {
    iterate(apply, &vec![1.0; b.len()], b, tolerance, |_| {})
}

fn cg(
    matrix: &SparseMatrix,
    b: &[f64],
    tolerance: f64,
    project: impl Fn(&mut [f64]),
) -> Result<Vec<f64>, Error> {
    let n = matrix.rows();
    crate::error::shape("columns of a symmetric matrix", n, matrix.cols())?;
    crate::error::shape("values of the vector", n, b.len())?;
    positive("tolerance", tolerance)?;
    let inverse: Vec<f64> = (0..n)
        .map(|i| {
            let (columns, values) = row(matrix, i);
            let d = columns.binary_search(&(i as u32)).map_or(0.0, |at| values[at]);
            if d > 0.0 { 1.0 / d } else { 1.0 }
        })
        .collect();
    iterate(|x, y| multiply(matrix, x, y), &inverse, b, tolerance, project)
}

fn iterate(
    mut apply: impl FnMut(&[f64], &mut [f64]),
    inverse: &[f64],
    b: &[f64],
    tolerance: f64,
    project: impl Fn(&mut [f64]),
) -> Result<Vec<f64>, Error> {
    let n = b.len();
    let mut r = b.to_vec();
    project(&mut r);
    let goal = tolerance * dot(&r, &r).sqrt();
    let precondition = |r: &[f64]| {
        let mut z: Vec<f64> = r.iter().zip(inverse).map(|(r, d)| r * d).collect();
        project(&mut z);
        z
    };
    let mut z = precondition(&r);
    let (mut x, mut p, mut w) = (vec![0.0; n], z.clone(), vec![0.0; n]);
    let mut rz = dot(&r, &z);
    let limit = 10 * n + 100;
    for _ in 0..limit {
        if dot(&r, &r).sqrt() <= goal {
            return Ok(x);
        }
        apply(&p, &mut w);
        let curvature = dot(&p, &w);
        if !(curvature > 0.0) {
            return Err(kernels_core::Error::NotPositiveDefinite {
                pivot: 0,
                n,
                value: curvature,
                suggested: f64::EPSILON.max(-curvature / dot(&p, &p).max(f64::MIN_POSITIVE)),
            }
            .into());
        }
        let alpha = rz / curvature;
        x.iter_mut().zip(&p).for_each(|(x, p)| *x += alpha * p);
        r.iter_mut().zip(&w).for_each(|(r, w)| *r -= alpha * w);
        project(&mut r);
        z = precondition(&r);
        let next = dot(&r, &z);
        let beta = next / rz;
        rz = next;
        p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + beta * *p);
    }
    Err(kernels_core::Error::NotConverged { what: "conjugate gradients", iterations: limit }.into())
}

/// L⁺ b of the combinatorial Laplacian: b is projected to mean zero on every component, and so is the result.
///
/// # Errors
/// As [`conjugate_gradient`]; [`Error::Unsupported`] for a directed graph.
///
/// ```
/// use kernels_graph::{Graph, solve_laplacian};
/// let path = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?;
/// let x = solve_laplacian(&path, &[1.0, 0.0, -1.0], 1e-12)?;
/// assert!((x[0] - x[2] - 2.0).abs() < 1e-12);    // a resistance
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn solve_laplacian(graph: &Graph, b: &[f64], tolerance: f64) -> Result<Vec<f64>, Error> {
    let laplacian = graph.laplacian(Laplacian::Combinatorial)?;
    let (component, count) = graph.components();
    let mut sizes = vec![0.0; count];
    component.iter().for_each(|c| sizes[*c] += 1.0);
    let project = |v: &mut [f64]| {
        let mut means = vec![0.0; count];
        v.iter().zip(&component).for_each(|(v, c)| means[*c] += v);
        means.iter_mut().zip(&sizes).for_each(|(m, s)| *m /= s);
        v.iter_mut().zip(&component).for_each(|(v, c)| *v -= means[*c]);
    };
    let mut x = cg(&laplacian, b, tolerance, project)?;
    project(&mut x);
    Ok(x)
}

/// Vectors zᵢ of `dimension` values with E‖zᵢ − zⱼ‖² = Rᵢⱼ within a component, relative error about √(2/dimension): one Laplacian solve
/// a dimension. Seeded; solve k has a random stream of its own.
///
/// Reference: Spielman & Srivastava, *Graph sparsification by effective resistances* (2011).
///
/// # Errors
/// As [`solve_laplacian`].
pub fn resistance_embedding(
    graph: &Graph,
    dimension: usize,
    tolerance: f64,
    seed: u64,
) -> Result<DMatrix<f64>, Error> {
    graph.need_undirected()?;
    let n = graph.nodes();
    let columns = parallel::map(dimension, |k| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(k as u64);
        let mut b = vec![0.0; n];
        for (u, v, w) in graph.edge_list() {
            let sign = if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 };
            b[u] += sign * w.sqrt();
            b[v] -= sign * w.sqrt();
        }
        solve_laplacian(graph, &b, tolerance)
    });
    let mut out = DMatrix::zeros(n, dimension);
    for (k, column) in columns.into_iter().enumerate() {
        out.set_column(k, &(DVector::from_vec(column?) / (dimension as f64).sqrt()));
    }
    Ok(out)
}

/// Features p(M) G/√q of a kernel on nodes, G an n × q standard normal matrix and p a polynomial for √s: E ΦΦᵀ = p(M)², which is the
/// kernel to `tolerance`. The companion of random walks for kernels whose matrices are dense.
///
/// # Errors
/// As [`crate::NodeKernel::operator`]; [`Error::Unsupported`] when s is negative somewhere.
pub fn spectral_features(
    kernel: &crate::NodeKernel,
    graph: &Graph,
    features: usize,
    tolerance: f64,
    seed: u64,
) -> Result<DMatrix<f64>, Error> {
    positive("tolerance", tolerance)?;
    let form = kernel.form(graph)?;
    let function = form.function;
    let root = Filter::fit(&move |x| function(x).max(0.0).sqrt(), form.bounds, tolerance, 10_000).ok_or(
        kernels_core::Error::NotConverged { what: "Chebyshev series of the root", iterations: 10_000 },
    )?;
    let n = graph.nodes();
    let scale = 1.0 / (features.max(1) as f64).sqrt();
    let mut g = DMatrix::zeros(n, features);
    for (k, mut column) in g.column_iter_mut().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(k as u64);
        for value in column.iter_mut() {
            let normal: f64 = rand_distr::Distribution::sample(&rand_distr::StandardNormal, &mut rng);
            *value = scale * normal;
        }
    }
    let mut out = root.apply(&form.base, g.as_view());
    if let Some(sides) = &form.sides {
        for (i, side) in sides.iter().enumerate() {
            out.row_mut(i).scale_mut(*side);
        }
    }
    Ok(out)
}
