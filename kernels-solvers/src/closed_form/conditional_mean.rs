//! Conditional mean embeddings.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{Cholesky, product},
};
use nalgebra::DMatrix;

use crate::{
    Error,
    data::{at_least, checked_points, cross_f64, expect, finite, gram_f64, positive},
};

/// Weights w(x) = (K + αI)⁻¹k(x) such that E[g(Y) | X = x] ≈ Σ wᵢ(x) g(yᵢ) for every g, from one sample.
///
/// Reference: Song, Fukumizu, Gretton, *Kernel embeddings of conditional distributions*, IEEE Signal Processing Magazine 30
/// (2013).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::ConditionalMean;
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 10.0).collect(), 40, 1)?;
/// let embedding = ConditionalMean::new(Rbf::new(0.5)?, &xs, 1e-3)?;
/// // E[X²| X = 2] from the squares of the sample.
/// let squares = nalgebra::DMatrix::from_fn(40, 1, |i, _| (i as f64 / 10.0).powi(2));
/// let at = Rows::from_row_major(vec![2.0], 1, 1)?;
/// assert!((embedding.expectation(&at, &squares)?[0] - 4.0).abs() < 0.05);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConditionalMean<P, K> {
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "only stored models need it"))]
    version: crate::Version,
    kernel: K,
    points: P,
    factor: Cholesky,
}

impl<P: Points + Clone, K: Kernel<P> + PositiveDefinite> ConditionalMean<P, K> {
    /// With the unnormalised ridge α > 0 (nλ for a normalised λ).
    ///
    /// **Errors.** No points, values that are not finite, a ridge that is not positive. **Complexity.** n³/3.
    pub fn new(kernel: K, xs: &P, ridge: f64) -> Result<Self, Error> {
        checked_points("a conditional mean embedding", &kernel, xs, 1)?;
        let mut k = gram_f64(&kernel, xs)?;
        let ridge = positive("ridge", ridge)?;
        (0..k.nrows()).for_each(|i| k[(i, i)] += ridge);
        Ok(Self { version: crate::Version, kernel, points: xs.clone(), factor: Cholesky::new(k)? })
    }

    /// w(x), n × m for m points.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** n² a point.
    pub fn weights(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let mut w = cross_f64(&self.kernel, &self.points, xs)?;
        self.factor.solve_in_place(w.as_view_mut())?;
        Ok(w)
    }

    /// Σ wᵢ(x) gᵢ for values g of the sample, n × t: m × t.
    ///
    /// # Errors
    /// As [`ConditionalMean::weights`]; values without n rows.
    pub fn expectation(&self, xs: &P, values: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        expect("rows of the values (one a sample)", self.points.len(), values.nrows())?;
        Ok(product(&self.weights(xs)?.transpose(), values)?)
    }

    /// The same at the sample: (K + αI)⁻¹K F, centroids smoothed by what the kernel knows of the points.
    ///
    /// # Errors
    /// Features without n rows.
    pub fn centroids(&self, features: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        expect("rows of the features (one a sample)", self.points.len(), features.nrows())?;
        let mut out = product(&gram_f64(&self.kernel, &self.points)?, features)?;
        self.factor.solve_in_place(out.as_view_mut())?;
        Ok(out)
    }
}

/// Decoupled uniformity of centroids μ: ln of the mean over pairs i < j of e^(−t‖μᵢ − μⱼ‖²); the lower, the more evenly they
/// spread.
///
/// **Errors.** Fewer than two centroids, values that are not finite, t that is not positive. **Complexity.** O(n²d).
///
/// Reference: Dufumier, Barbano, Louiset, Duchesnay, Gori, *Integrating prior knowledge in contrastive learning with kernel*,
/// ICML 2023, definition 3.1.
pub fn decoupled_uniformity(centroids: &DMatrix<f64>, t: f64) -> Result<f64, Error> {
    let n = centroids.nrows();
    at_least("decoupled uniformity", 2, n)?;
    finite("coordinate", centroids.as_slice(), n)?;
    let t = positive("t", t)?;
    let mut sum = 0.0;
    for i in 0..n {
        for j in 0..i {
            sum += (-t * (centroids.row(i) - centroids.row(j)).norm_squared()).exp();
        }
    }
    Ok((sum / (n * (n - 1) / 2) as f64).ln())
}
