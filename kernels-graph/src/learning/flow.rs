//! Differential equations and regression on graphs.

use kernels_core::Operator;
use nalgebra::DMatrix;

use crate::{Error, Graph, Laplacian, Mesh, chebyshev::Filter, error::shape, operator::SpectralOperator};

/// x(t) of dx/dt = −L x + y from x(0) = x₀ with a constant source y: exp(−tL)x₀ + ((1 − exp(−tL))/L) y, to `tolerance` times the norms of x₀ and t y.
/// Two Chebyshev series, O(m) a term. One column a quantity.
///
/// # Errors
/// Shapes, a time below 0, a directed graph, [`kernels_core::Error::NotConverged`].
///
/// ```
/// use kernels_graph::{Graph, Laplacian, graph_ode};
/// use nalgebra::dmatrix;
/// let edge = Graph::undirected(2, [(0, 1, 1.0)])?;
/// let x = graph_ode(&edge, Laplacian::Combinatorial, 100.0, &dmatrix![1.0; 0.0], None, 1e-10)?;
/// assert!((x[0] - 0.5).abs() < 1e-9);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn graph_ode(
    graph: &Graph,
    laplacian: Laplacian,
    t: f64,
    start: &DMatrix<f64>,
    source: Option<&DMatrix<f64>>,
    tolerance: f64,
) -> Result<DMatrix<f64>, Error> {
    crate::error::positive("tolerance", tolerance)?;
    if !(t >= 0.0 && t.is_finite()) {
        return Err(crate::error::parameter("t", t, "a finite number, 0 or above"));
    }
    shape("rows of the start", graph.nodes(), start.nrows())?;
    let kernel = crate::NodeKernel::Diffusion { laplacian, t };
    let mut out = DMatrix::zeros(start.nrows(), start.ncols());
    kernel.operator(graph, tolerance)?.apply(start.as_view(), out.as_view_mut())?;
    if let Some(source) = source {
        shape("rows of the source", start.nrows(), source.nrows())?;
        shape("columns of the source", start.ncols(), source.ncols())?;
        let response = move |x: f64| {
            let z = t * x;
            if z.abs() < 1e-8 { t * (1.0 - 0.5 * z) } else { -(-z).exp_m1() / x }
        };
        let bounds = (0.0, graph.laplacian_bound(laplacian));
        let filter = Filter::fit(&response, bounds, tolerance * t.max(f64::MIN_POSITIVE), 10_000).ok_or(
            kernels_core::Error::NotConverged { what: "Chebyshev series of the source", iterations: 10_000 },
        )?;
        let operator = SpectralOperator::new(graph.laplacian(laplacian)?, filter, None);
        let mut forced = DMatrix::zeros(start.nrows(), start.ncols());
        operator.apply(source.as_view(), forced.as_view_mut())?;
        out += forced;
    }
    Ok(out)
}

/// Normals of masked vertices of a mesh from those of the others: Σ over observed j of Kᵢⱼnⱼ, for any operator on the vertices. Returns the mean cosine with the
/// true normals over the masked vertices (0 where a prediction vanishes), and the predictions, not scaled.
///
/// # Errors
/// [`kernels_core::Error::Shape`].
pub fn mesh_normals_regression(
    mesh: &Mesh,
    kernel: &(impl Operator<f64> + ?Sized),
    masked: &[bool],
) -> Result<(f64, DMatrix<f64>), Error> {
    let normals = mesh.normals();
    shape("masked vertices", normals.nrows(), masked.len())?;
    shape("order of the kernel", normals.nrows(), kernel.dim())?;
    let mut observed = normals.clone();
    for (i, _) in masked.iter().enumerate().filter(|(_, m)| **m) {
        observed.row_mut(i).fill(0.0);
    }
    let mut out = DMatrix::zeros(normals.nrows(), 3);
    kernel.apply(observed.as_view(), out.as_view_mut())?;
    let (mut sum, mut count) = (0.0, 0.0);
    for (i, _) in masked.iter().enumerate().filter(|(i, m)| **m && normals.row(*i).norm() > 0.0) {
        let norm = out.row(i).norm();
        count += 1.0;
        if norm > 0.0 {
            sum += out.row(i).dot(&normals.row(i)) / norm;
        }
    }
    Ok((if count > 0.0 { sum / count } else { 0.0 }, out))
}
