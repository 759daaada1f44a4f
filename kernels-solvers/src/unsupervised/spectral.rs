//! Spectral embedding and clustering of a similarity matrix.

use kernels_core::{Linear, Rows, dense::SymmetricEigen};
use nalgebra::{DMatrix, DVector};

use super::KernelKMeans;
use crate::{
    Error,
    data::{at_least, expect, finite},
};

/// I − D^(−½) W D^(−½) of a symmetric similarity matrix with entries 0 or above, D its row sums. A point without any
/// similarity is a component of its own: its row is 0.
///
/// # Errors
/// A matrix that is not square, entries that are negative or not finite.
///
/// ```
/// use kernels_solvers::unsupervised::normalized_laplacian;
/// let l = normalized_laplacian(&nalgebra::dmatrix![0.0, 1.0; 1.0, 0.0])?;
/// assert_eq!(l, nalgebra::dmatrix![1.0, -1.0; -1.0, 1.0]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn normalized_laplacian(similarity: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    let roots = degree_roots(similarity)?;
    let n = roots.len();
    Ok(DMatrix::from_fn(n, n, |i, j| {
        let scale = roots[i] * roots[j];
        let share = if scale > 0.0 { similarity[(i, j)] / scale } else { 0.0 };
        if i == j && roots[i] > 0.0 { 1.0 - share } else { -share }
    }))
}

fn degree_roots(similarity: &DMatrix<f64>) -> Result<Vec<f64>, Error> {
    let n = similarity.nrows();
    expect("columns of a square matrix", n, similarity.ncols())?;
    finite("similarity", similarity.as_slice(), n.max(1))?;
    if let Some(k) = similarity.as_slice().iter().position(|v| *v < 0.0) {
        let expected = "0 or above";
        return Err(Error::Value {
            what: "similarity",
            row: k % n,
            value: similarity.as_slice()[k],
            expected,
        });
    }
    Ok(similarity.row_iter().map(|row| row.sum().sqrt()).collect())
}

/// The smoothest functions on a similarity graph.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SpectralEmbedding {
    /// Smallest eigenvalues of the normalised Laplacian, ascending.
    pub eigenvalues: DVector<f64>,
    /// Their eigenvectors times D^(−½): the relaxed indicators of the normalised cut, n × dimensions.
    pub coordinates: DMatrix<f64>,
}

impl SpectralEmbedding {
    /// Of this many dimensions.
    ///
    /// **Errors.** As [`normalized_laplacian`]; fewer points than dimensions. **Complexity.** About 9n³ operations.
    pub fn new(similarity: &DMatrix<f64>, dimensions: usize) -> Result<Self, Error> {
        at_least("a spectral embedding", dimensions.max(1), similarity.nrows())?;
        let roots = degree_roots(similarity)?;
        let eigen = SymmetricEigen::new(&normalized_laplacian(similarity)?)?;
        let mut coordinates = eigen.vectors.columns(0, dimensions).into_owned();
        for (mut row, root) in coordinates.row_iter_mut().zip(&roots) {
            if *root > 0.0 {
                row /= *root;
            }
        }
        Ok(Self { eigenvalues: eigen.values.rows(0, dimensions).into_owned(), coordinates })
    }
}

/// Spectral clustering: k-means on the embedding of as many dimensions as clusters, its rows scaled to length 1.
///
/// **Errors.** As [`SpectralEmbedding::new`]. **Complexity.** About 9n³ operations.
///
/// Reference: Ng, Jordan, Weiss, *On spectral clustering* (2001); Shi, Malik, *Normalized cuts and image segmentation* (2000).
///
/// ```
/// use kernels_core::{Rbf, Rows, gram};
/// use kernels_solvers::unsupervised::spectral_clustering;
/// // Two rings, which no line separates.
/// let x: Vec<f64> = (0..60)
///     .flat_map(|i| {
///         let (r, a) = (if i < 30 { 1.0 } else { 4.0 }, f64::from(i) * 0.2094);
///         [r * a.cos(), r * a.sin()]
///     })
///     .collect();
/// let labels = spectral_clustering(&gram(&Rbf::new(0.5)?, &Rows::from_row_major(x, 60, 2)?)?, 2, 0)?;
/// assert!(labels[..30].iter().all(|l| *l == labels[0]) && labels[30..].iter().all(|l| *l != labels[0]));
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn spectral_clustering(
    similarity: &DMatrix<f64>,
    clusters: usize,
    seed: u64,
) -> Result<Vec<usize>, Error> {
    let mut coordinates = SpectralEmbedding::new(similarity, clusters)?.coordinates;
    for mut row in coordinates.row_iter_mut() {
        let norm = row.norm();
        if norm > 0.0 {
            row /= norm;
        }
    }
    let model = KernelKMeans::new(Linear::new(0.0)?, clusters)
        .restarts(9)
        .seed(seed)
        .fit(&Rows::new(&coordinates))?;
    Ok(model.labels().to_vec())
}
