//! Kernel principal components.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{Cholesky, SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, Krr, KrrModel, Version,
    data::{at_least, checked_points, cross_f64, expect, finite, gram_f64},
};

/// Kernel principal component analysis.
///
/// Eigenpairs (λ, a) of the centred Gram matrix HKH; a new point's score is k̃(x)ᵀa/√λ. With landmarks, the same of the Nyström
/// matrix Kₙₘ Kₘₘ⁻¹ Kₘₙ, for more points than an n × n matrix has room for. Components below n ε λ₁ are dropped. The sign of a
/// component makes its entry of largest size positive.
///
/// Reference: Schölkopf, Smola, Müller, *Nonlinear component analysis as a kernel eigenvalue problem*, Neural Computation 10
/// (1998).
///
/// ```
/// use kernels_core::{Linear, Rows};
/// use kernels_solvers::unsupervised::KernelPca;
/// let xs = Rows::from_row_major(vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0], 3, 2)?;
/// let model = KernelPca::new(Linear::new(0.0)?, 2).fit(&xs)?;
/// // Points on a line: one component, of variance 4.
/// assert_eq!(model.eigenvalues().len(), 1);
/// assert!((model.eigenvalues()[0] - 4.0).abs() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelPca<K> {
    kernel: K,
    components: usize,
    landmarks: Option<Vec<usize>>,
}

impl<K> KernelPca<K> {
    /// With at most this many components.
    pub fn new(kernel: K, components: usize) -> Self {
        Self { kernel, components, landmarks: None }
    }

    /// Samples whose columns approximate the Gram matrix.
    pub fn landmarks(mut self, indices: impl Into<Vec<usize>>) -> Self {
        self.landmarks = Some(indices.into());
        self
    }

    /// Fits to points.
    ///
    /// **Errors.** No points, values that are not finite, a kernel that is not positive definite, landmarks whose matrix is singular
    /// (repeated points). **Complexity.** About 9n³ operations; with m landmarks nm² + 9m³.
    pub fn fit<P>(&self, xs: &P) -> Result<KernelPcaModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("kernel principal components", &self.kernel, xs, 1)?;
        match &self.landmarks {
            None => self.exact(xs),
            Some(landmarks) => self.approximate(xs, landmarks),
        }
    }

    fn exact<P>(&self, xs: &P) -> Result<KernelPcaModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + Clone,
    {
        let mut k = gram_f64(&self.kernel, xs)?;
        let n = xs.len();
        let means = k.row_mean().transpose();
        let mean = means.mean();
        for j in 0..n {
            for i in 0..n {
                k[(i, j)] += mean - means[i] - means[j];
            }
        }
        let (values, vectors) = leading(&k, self.components)?;
        // Scores a√λ; weights a/√λ, and the centring of a new k: (k − means)ᵀ H a/√λ, where H a = a.
        let (mut weights, mut scores) = (vectors.clone(), vectors);
        for (j, value) in values.iter().enumerate() {
            weights.column_mut(j).scale_mut(1.0 / value.sqrt());
            scores.column_mut(j).scale_mut(value.sqrt());
        }
        let offsets = -weights.tr_mul(&means);
        Ok(KernelPcaModel {
            version: Version,
            kernel: self.kernel.clone(),
            points: xs.clone(),
            values,
            weights,
            offsets,
            scores,
        })
    }

    fn approximate<P>(&self, xs: &P, landmarks: &[usize]) -> Result<KernelPcaModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + Clone,
    {
        at_least("kernel principal components (landmarks)", 1, landmarks.len())?;
        let z = xs.subset(landmarks)?;
        let factor = Cholesky::new(gram_f64(&self.kernel, &z)?)?;
        // Features L⁻¹k(Z, x), whose principal components these are.
        let mut features = cross_f64(&self.kernel, &z, xs)?;
        factor.solve_lower_in_place(features.as_view_mut())?;
        let mean = features.column_mean();
        for mut column in features.column_iter_mut() {
            column -= &mean;
        }
        let (values, vectors) = leading(&product(&features, &features.transpose())?, self.components)?;
        let scores = features.tr_mul(&vectors);
        let offsets = -vectors.tr_mul(&mean);
        let lower = factor.factor().lower_triangle();
        let Some(weights) = lower.tr_solve_lower_triangular(&vectors) else {
            return Err(
                kernels_core::Error::NotConverged { what: "a triangular solve", iterations: 0 }.into()
            );
        };
        Ok(KernelPcaModel {
            version: Version,
            kernel: self.kernel.clone(),
            points: z,
            values,
            weights,
            offsets,
            scores,
        })
    }
}

/// Leading eigenpairs, descending, signs fixed, without those that rounding makes.
fn leading(matrix: &DMatrix<f64>, most: usize) -> Result<(DVector<f64>, DMatrix<f64>), Error> {
    let eigen = SymmetricEigen::new(matrix)?;
    let n = matrix.nrows();
    let floor = n as f64 * f64::EPSILON * eigen.values.amax();
    let kept: Vec<usize> = (0..n).rev().take(most).filter(|&j| eigen.values[j] > floor).collect();
    let values = DVector::from_iterator(kept.len(), kept.iter().map(|&j| eigen.values[j]));
    let mut vectors = DMatrix::zeros(n, kept.len());
    for (to, &j) in kept.iter().enumerate() {
        let column = eigen.vectors.column(j);
        let sign = if column[column.icamax()] < 0.0 { -1.0 } else { 1.0 };
        vectors.set_column(to, &(column * sign));
    }
    Ok((values, vectors))
}

/// Fitted principal components.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KernelPcaModel<P, K> {
    version: Version,
    kernel: K,
    points: P,
    values: DVector<f64>,
    weights: DMatrix<f64>,
    offsets: DVector<f64>,
    scores: DMatrix<f64>,
}

impl<P, K> KernelPcaModel<P, K> {
    /// Eigenvalues of the centred Gram matrix, descending; divided by n they are variances.
    pub fn eigenvalues(&self) -> &DVector<f64> {
        &self.values
    }

    /// Scores of the training points, n × components.
    pub fn scores(&self) -> &DMatrix<f64> {
        &self.scores
    }
}

impl<P: Points + Clone, K: Kernel<P>> KernelPcaModel<P, K> {
    /// Scores of points, one column a component.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** A kernel value for every point and training point (or
    /// landmark).
    pub fn transform(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let mut out = product(&cross_f64(&self.kernel, xs, &self.points)?, &self.weights)?;
        for (mut column, &offset) in out.column_iter_mut().zip(&self.offsets) {
            column.add_scalar_mut(offset);
        }
        Ok(out)
    }
}

impl<K: Clone> KernelPcaModel<kernels_core::Rows<f64>, K> {
    /// A map from scores back to points, learned by ridge regression with a kernel on scores from the training points `xs`.
    ///
    /// # Errors
    /// As [`Krr::fit`]; points that are not the training points in number.
    pub fn pre_image<S>(
        &self,
        kernel: S,
        ridge: f64,
        xs: &kernels_core::Rows<f64>,
    ) -> Result<KrrModel<kernels_core::Rows<f64>, S>, Error>
    where
        S: Kernel<kernels_core::Rows<f64>> + PositiveDefinite + Clone,
    {
        expect("points (the training points)", self.scores.nrows(), xs.len())?;
        finite("feature", xs.as_slice(), xs.len().max(1))?;
        Krr::new(kernel).ridge(ridge).fit(&kernels_core::Rows::new(&self.scores), &xs.to_matrix())
    }
}
