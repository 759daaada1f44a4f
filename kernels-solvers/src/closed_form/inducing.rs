//! Dataset distillation with a ridge regression head.

use std::ops::ControlFlow;

use kernels_core::{
    Differentiable, Points, PositiveDefinite, Progress, Rows,
    dense::{Cholesky, product},
};
use nalgebra::DMatrix;

use crate::{
    Error,
    data::{checked, cross_f64, expect, gram_f64, positive},
    minimise::minimise,
};

/// Kernel inducing points: a few synthetic samples (X_s, Y_s) on which ridge regression does well on real ones,
/// L = ½ ‖Y_t − k(X_t, X_s)(K_ss + αI)⁻¹Y_s‖².
///
/// Reference: Nguyen, Chen, Lee, *Dataset meta-learning from kernel ridge-regression*, ICLR 2021, equation 7.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::InducingPoints;
/// let real = Rows::from_row_major((0..40).map(|i| f64::from(i) / 8.0).collect(), 40, 1)?;
/// let y = nalgebra::DMatrix::from_fn(40, 1, |i, _| (i as f64 / 8.0).sin());
/// let start = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let method = InducingPoints::new(Rbf::new(1.0)?).ridge(1e-4);
/// let targets = method.optimal_targets(&start, &real, &y)?;
/// let before = method.loss(&start, &targets, &real, &y)?.value;
/// let (points, targets) = method.distil(&start, &targets, &real, &y, 50)?;
/// assert!(method.loss(&points, &targets, &real, &y)?.value < 0.1 * before);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InducingPoints<K> {
    kernel: K,
    ridge: f64,
}

/// The loss and its gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct InducingLoss {
    /// L.
    pub value: f64,
    /// ∂L/∂X_s.
    pub by_points: DMatrix<f64>,
    /// ∂L/∂Y_s.
    pub by_targets: DMatrix<f64>,
}

impl<K: Differentiable<f64> + PositiveDefinite> InducingPoints<K> {
    /// With ridge 1e-6.
    pub fn new(kernel: K) -> Self {
        Self { kernel, ridge: 1e-6 }
    }

    /// Sets α > 0.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    fn factor(&self, points: &Rows<f64>) -> Result<Cholesky, Error> {
        let ridge = positive("ridge", self.ridge)?;
        let mut k = gram_f64(&self.kernel, points)?;
        (0..k.nrows()).for_each(|i| k[(i, i)] += ridge);
        Ok(Cholesky::new(k)?)
    }

    /// L and its gradients.
    ///
    /// **Errors.** Shapes that disagree, no samples, values that are not finite, a kernel without derivatives. **Complexity.**
    /// s³ + (t + s)s d for s synthetic and t real samples.
    pub fn loss(
        &self,
        points: &Rows<f64>,
        targets: &DMatrix<f64>,
        real: &Rows<f64>,
        y: &DMatrix<f64>,
    ) -> Result<InducingLoss, Error> {
        checked("kernel inducing points", &self.kernel, points, targets)?;
        checked("kernel inducing points", &self.kernel, real, y)?;
        expect("columns of the targets", y.ncols(), targets.ncols())?;
        let factor = self.factor(points)?;
        let a = cross_f64(&self.kernel, real, points)?;
        let mut c = targets.clone();
        factor.solve_in_place(c.as_view_mut())?;
        let residual = y - product(&a, &c)?;
        let mut back = product(&a.transpose(), &residual)?;
        factor.solve_in_place(back.as_view_mut())?;
        // ∂A = −R cᵀ, ∂K = (G Aᵀ R) cᵀ, ∂Y = −G Aᵀ R.
        let by_cross = -product(&residual, &c.transpose())?;
        let by_gram = product(&back, &c.transpose())?;
        let (s, d) = (points.len(), points.dim());
        let mut by_points = DMatrix::zeros(s, d);
        let mut slope = vec![0.0; d];
        for j in 0..s {
            for i in 0..real.len() {
                self.kernel.gradient(points.point(j), real.point(i), &mut slope)?;
                (0..d).for_each(|k| by_points[(j, k)] += by_cross[(i, j)] * slope[k]);
            }
            for l in 0..s {
                self.kernel.gradient(points.point(j), points.point(l), &mut slope)?;
                let weight = by_gram[(j, l)] + by_gram[(l, j)];
                (0..d).for_each(|k| by_points[(j, k)] += weight * slope[k]);
            }
        }
        Ok(InducingLoss { value: 0.5 * residual.norm_squared(), by_points, by_targets: -back })
    }

    /// The targets of least loss for given points: least squares.
    ///
    /// # Errors
    /// As [`InducingPoints::loss`]; more points than the real samples determine.
    pub fn optimal_targets(
        &self,
        points: &Rows<f64>,
        real: &Rows<f64>,
        y: &DMatrix<f64>,
    ) -> Result<DMatrix<f64>, Error> {
        checked("kernel inducing points", &self.kernel, real, y)?;
        crate::data::checked_points("kernel inducing points", &self.kernel, points, 1)?;
        let factor = self.factor(points)?;
        // Least squares in c = (K + α)⁻¹Y, then Y = (K + α)c, with L Lᵀ the factor.
        let a = cross_f64(&self.kernel, real, points)?;
        let qr = a.qr();
        let mut rhs = y.clone();
        qr.q_tr_mul(&mut rhs);
        let s = points.len();
        expect("real samples (at least the synthetic ones)", s, s.min(real.len()))?;
        let Some(c) = qr.unpack_r().solve_upper_triangular(&rhs.rows(0, s).into_owned()) else {
            return Err(Error::Unsupported {
                what: "choosing targets for these points",
                reason: "two synthetic points are alike to the kernel; move one",
            });
        };
        let lower = factor.factor().lower_triangle();
        Ok(&lower * lower.tr_mul(&c))
    }

    /// Points and targets after at most this many iterations of L-BFGS on both.
    ///
    /// # Errors
    /// As [`InducingPoints::loss`].
    pub fn distil(
        &self,
        points: &Rows<f64>,
        targets: &DMatrix<f64>,
        real: &Rows<f64>,
        y: &DMatrix<f64>,
        iterations: usize,
    ) -> Result<(Rows<f64>, DMatrix<f64>), Error> {
        self.distil_with(points, targets, real, y, iterations, &mut ())
    }

    /// [`InducingPoints::distil`], reporting each iteration to `progress`, which may stop it.
    ///
    /// # Errors
    /// As [`InducingPoints::loss`]; [`kernels_core::Error::Cancelled`].
    pub fn distil_with(
        &self,
        points: &Rows<f64>,
        targets: &DMatrix<f64>,
        real: &Rows<f64>,
        y: &DMatrix<f64>,
        iterations: usize,
        progress: &mut dyn Progress,
    ) -> Result<(Rows<f64>, DMatrix<f64>), Error> {
        // What is wrong with the input is said here, not hidden in a search that finds no value.
        self.loss(points, targets, real, y)?;
        let (s, d, t) = (points.len(), points.dim(), targets.ncols());
        let unpack = |z: &[f64]| {
            let x = Rows::new(&DMatrix::from_column_slice(s, d, &z[..s * d]));
            (x, DMatrix::from_column_slice(s, t, &z[s * d..]))
        };
        let evaluate = |z: &[f64]| {
            let (x, targets) = unpack(z);
            match self.loss(&x, &targets, real, y) {
                Ok(l) => (l.value, l.by_points.iter().chain(l.by_targets.iter()).copied().collect()),
                Err(_) => (f64::INFINITY, vec![0.0; z.len()]),
            }
        };
        let start: Vec<f64> = points.to_matrix().iter().chain(targets.iter()).copied().collect();
        let bounds = vec![(f64::NEG_INFINITY, f64::INFINITY); start.len()];
        let found =
            minimise(evaluate, &start, &bounds, iterations, |i| progress.step("distillation", i, iterations));
        match found {
            ControlFlow::Continue(found) => Ok(unpack(&found.x)),
            ControlFlow::Break(()) => Err(kernels_core::Error::Cancelled.into()),
        }
    }
}
