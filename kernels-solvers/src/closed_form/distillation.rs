//! Self-distillation of kernel ridge regression.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel, Targets,
    data::{checked, expect, gram_f64, positive, within},
};

/// Kernel ridge regression that is fitted again and again to a mixture of the targets and its own predictions:
/// ŷ₁ = Sy, ŷ_τ = S(a y + (1 − a) ŷ_{τ−1}), S = K(K + αI)⁻¹.
///
/// One eigendecomposition; every step is O(n) in the eigenbasis. The limit is ridge regression with ridge α/a, and 0 for a = 0.
///
/// Reference: Borup, Andersen, *Even your teacher needs guidance: ground-truth targets dampen regularization imposed by
/// self-distillation*, NeurIPS 2021, theorems 3.1 and 3.4.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::SelfDistillation;
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0], 3, 1)?;
/// let d = SelfDistillation::new(Rbf::new(1.0)?, &xs, &vec![0.0, 1.0, 0.0], 0.1)?;
/// // Without the targets each step shrinks; with them alone nothing changes.
/// assert!(d.fitted(5, 0.0)?.norm() < d.fitted(1, 0.0)?.norm());
/// assert!((d.fitted(5, 1.0)? - d.fitted(1, 1.0)?).norm() < 1e-14);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SelfDistillation<P, K> {
    kernel: K,
    points: P,
    eigen: SymmetricEigen,
    projected: DMatrix<f64>,
    ridge: f64,
}

impl<P: Points + Clone, K: Kernel<P> + PositiveDefinite + Clone> SelfDistillation<P, K> {
    /// With ridge α > 0.
    ///
    /// **Errors.** As [`Krr::fit`](crate::Krr::fit). **Complexity.** About 9n³ operations.
    pub fn new<Y: Targets + ?Sized>(kernel: K, xs: &P, y: &Y, ridge: f64) -> Result<Self, Error> {
        let y = checked("self-distillation", &kernel, xs, y)?;
        let ridge = positive("ridge", ridge)?;
        let mut eigen = SymmetricEigen::new(&gram_f64(&kernel, xs)?)?;
        eigen.values.iter_mut().for_each(|v| *v = v.max(0.0));
        let projected = eigen.vectors.tr_mul(&y);
        Ok(Self { kernel, points: xs.clone(), eigen, projected, ridge })
    }

    /// Factors by which step τ ≥ 1 multiplies Uᵀy to get Uᵀ of its targets: a Σ_{i<τ−1} ((1−a)s)ⁱ + ((1−a)s)^(τ−1).
    fn target_factors(&self, step: usize, a: f64) -> Result<Vec<f64>, Error> {
        within("share of the targets", a, 0.0, 1.0, "between 0 and 1")?;
        crate::data::at_least("self-distillation (steps)", 1, step)?;
        let factor = |value: &f64| {
            let s = value / (value + self.ridge);
            (1..step).fold(1.0, |target, _| a + (1.0 - a) * s * target)
        };
        Ok(self.eigen.values.iter().map(factor).collect())
    }

    fn scaled(&self, factor: impl Fn(usize) -> f64) -> Result<DMatrix<f64>, Error> {
        let mut scaled = self.projected.clone();
        for (j, mut row) in scaled.row_iter_mut().enumerate() {
            row *= factor(j);
        }
        Ok(product(&self.eigen.vectors, &scaled)?)
    }

    /// ŷ_τ, n × t.
    ///
    /// # Errors
    /// Step 0, a outside [0, 1].
    pub fn fitted(&self, step: usize, a: f64) -> Result<DMatrix<f64>, Error> {
        let target = self.target_factors(step, a)?;
        self.scaled(|j| target[j] * self.eigen.values[j] / (self.eigen.values[j] + self.ridge))
    }

    /// lim ŷ_τ.
    ///
    /// # Errors
    /// a outside [0, 1].
    pub fn limit(&self, a: f64) -> Result<DMatrix<f64>, Error> {
        within("share of the targets", a, 0.0, 1.0, "between 0 and 1")?;
        self.scaled(|j| {
            if a > 0.0 { self.eigen.values[j] / (self.eigen.values[j] + self.ridge / a) } else { 0.0 }
        })
    }

    /// The model of step τ.
    ///
    /// # Errors
    /// Step 0, a outside [0, 1].
    pub fn model(&self, step: usize, a: f64) -> Result<KrrModel<P, K>, Error> {
        let target = self.target_factors(step, a)?;
        let coefficients = self.scaled(|j| target[j] / (self.eigen.values[j] + self.ridge))?;
        let outputs = coefficients.ncols();
        Ok(KrrModel::new(self.kernel.clone(), self.points.clone(), coefficients, DVector::zeros(outputs)))
    }

    /// The share of the targets that is best for step τ ≥ 2 on validation data, when all earlier steps have used `a`: closed form,
    /// not clipped (values outside [0, 1] say that mixing does not help).
    ///
    /// # Errors
    /// Step below 2, a outside [0, 1], targets that do not fit.
    pub fn best_share<Y: Targets + ?Sized>(&self, step: usize, a: f64, xs: &P, y: &Y) -> Result<f64, Error> {
        crate::data::at_least("self-distillation (steps to choose a share for)", 2, step)?;
        let y = checked("self-distillation", &self.kernel, xs, y)?;
        let p = self.model(1, 1.0)?.predict(xs)?;
        // A model fitted to ŷ_{τ−1} alone.
        let before = self.target_factors(step - 1, a)?;
        let coefficients = self.scaled(|j| {
            let sum = self.eigen.values[j] + self.ridge;
            before[j] * self.eigen.values[j] / sum / sum
        })?;
        let outputs = coefficients.ncols();
        let q =
            KrrModel::new(self.kernel.clone(), self.points.clone(), coefficients, DVector::zeros(outputs));
        best_imitation(&y, &p, &q.predict(xs)?)
    }
}

/// The a that minimises ‖y − (a p + (1 − a) q)‖²; 1 when p = q.
///
/// # Errors
/// Shapes that differ.
///
/// ```
/// use kernels_solvers::closed_form::best_imitation;
/// use nalgebra::dmatrix;
/// assert_eq!(best_imitation(&dmatrix![1.0], &dmatrix![2.0], &dmatrix![0.0])?, 0.5);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn best_imitation(y: &DMatrix<f64>, p: &DMatrix<f64>, q: &DMatrix<f64>) -> Result<f64, Error> {
    expect("predictions", y.len(), p.len())?;
    expect("predictions", y.len(), q.len())?;
    expect("rows of predictions", y.nrows(), p.nrows())?;
    expect("rows of predictions", y.nrows(), q.nrows())?;
    let difference = p - q;
    let square = difference.norm_squared();
    Ok(if square > 0.0 { (y - q).dot(&difference) / square } else { 1.0 })
}
