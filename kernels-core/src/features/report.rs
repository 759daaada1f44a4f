//! How well a feature map stands for a kernel on a data set.

use nalgebra::DMatrix;

use super::{FeatureMap, features};
use crate::{
    Error, Kernel, Points,
    dense::{Cholesky, SymmetricEigen, product},
    gram,
};

/// Errors of K̂ = ZZᵀ against the kernel matrix K of a data set.
///
/// ```
/// use kernels_core::{FeatureReport, RandomFourier, Rbf, Rows};
/// let kernel = Rbf::new(1.0)?;
/// let xs = Rows::from_row_major((0..40).map(|i| (i as f64).sin()).collect(), 20, 2)?;
/// let few = FeatureReport::new(&kernel, &RandomFourier::new(&kernel, 2, 50, 1)?, &xs, 0.1)?;
/// let many = FeatureReport::new(&kernel, &RandomFourier::new(&kernel, 2, 5000, 1)?, &xs, 0.1)?;
/// assert!(many.mean_error < few.mean_error && many.spectral < few.spectral);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FeatureReport {
    /// Largest |k̂ − k| over all pairs.
    pub max_error: f64,
    /// Mean |k̂ − k| over all pairs.
    pub mean_error: f64,
    /// Mean (k̂ − k)²: an unbiased map's variance.
    pub mean_square: f64,
    /// ‖K̂ − K‖ / ‖K‖ in the Frobenius norm.
    pub relative_error: f64,
    /// The least Δ with (1−Δ)(K + ridge) ⪯ K̂ + ridge ⪯ (1+Δ)(K + ridge): how much ridge regression with it can differ.
    pub spectral: f64,
    /// |1ᵀ(K̂ − K)1|/n²: the error of the squared norm of the mean embedding, as in an MMD.
    pub mean_embedding: f64,
}

impl FeatureReport {
    /// The errors on points `xs`, with this ridge in [`FeatureReport::spectral`]. O(n³): for samples of a data set.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no points, [`Error::Parameter`] when the ridge is not finite and positive,
    /// [`Error::NotPositiveDefinite`]; what the checks of kernel and map say.
    pub fn new<P: Points<Scalar = f64>>(
        kernel: &(impl Kernel<P> + ?Sized),
        map: &(impl FeatureMap<P> + ?Sized),
        xs: &P,
        ridge: f64,
    ) -> Result<Self, Error> {
        let n = xs.len();
        if n == 0 {
            return Err(Error::TooFewPoints { what: "a report on features", needed: 1, given: 0 });
        }
        let ridge = crate::describe::positive("ridge", ridge)?;
        let mut exact = gram(kernel, xs)?;
        let z = features(map, xs)?;
        let mut estimate = product(&z, &z.transpose())?;
        let difference = &estimate - &exact;
        let (pairs, size) = ((n * n) as f64, exact.norm());
        for i in 0..n {
            exact[(i, i)] += ridge;
            estimate[(i, i)] += ridge;
        }
        let chol = Cholesky::new(exact)?;
        chol.solve_lower_in_place(estimate.as_view_mut())?;
        let mut whitened: DMatrix<f64> = estimate.transpose();
        chol.solve_lower_in_place(whitened.as_view_mut())?;
        let values = SymmetricEigen::new(&whitened)?.values;
        Ok(Self {
            max_error: difference.amax(),
            mean_error: difference.iter().map(|d| d.abs()).sum::<f64>() / pairs,
            mean_square: difference.norm_squared() / pairs,
            relative_error: if size > 0.0 { difference.norm() / size } else { difference.norm() },
            spectral: values.iter().fold(0.0, |m, v| m.max((v - 1.0).abs())),
            mean_embedding: difference.sum().abs() / pairs,
        })
    }
}
