//! Normalising flows with kernel couplings.

use std::ops::ControlFlow;

use kernels_core::{Kernel, PositiveDefinite, Rows, dense::product};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error,
    data::{at_least, checked_points, cross_f64, expect, finite, non_negative},
    minimise::minimise,
};

/// An affine coupling whose scale and shift are kernel expansions at auxiliary points Z: with x = (a, b),
/// s = k(a, Z)A_s, t = k(a, Z)A_t, the image is (a, b e^s + t) and ln|det| is Σ s.
///
/// Reference: English, Kirchler, Lippert, *Kernelised normalising flows*, ICLR 2024, section 3.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::AffineCoupling;
/// // The second coordinate has a mean and spread that depend on the first.
/// let x = nalgebra::DMatrix::from_fn(60, 2, |i, j| {
///     let a = i as f64 / 30.0 - 1.0;
///     if j == 0 { a } else { 3.0 * a + (1.0 + a.abs()) * ((i * 29 % 13) as f64 / 6.0 - 1.0) }
/// });
/// let aux = Rows::from_row_major(vec![-1.0, -0.5, 0.0, 0.5, 1.0], 5, 1)?;
/// let layer = AffineCoupling::fit(Rbf::new(0.7)?, &aux, &x, 1e-3)?;
/// let (y, _) = layer.forward(&x)?;
/// assert!((layer.inverse(&y)? - &x).amax() < 1e-12);
/// let before = AffineCoupling::identity(Rbf::new(0.7)?, &aux, 1)?.log_likelihood(&x)?;
/// assert!(layer.log_likelihood(&x)?.mean() > before.mean());
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AffineCoupling<K> {
    pub(super) kernel: K,
    pub(super) auxiliary: Rows<f64>,
    pub(super) scale: DMatrix<f64>,
    pub(super) shift: DMatrix<f64>,
}

impl<K: Kernel<Rows<f64>> + PositiveDefinite> AffineCoupling<K> {
    /// From auxiliary points (whose dimension is that of a), A_s and A_t.
    ///
    /// # Errors
    /// Shapes that disagree, no auxiliary points, values that are not finite.
    pub fn new(
        kernel: K,
        auxiliary: &Rows<f64>,
        scale: DMatrix<f64>,
        shift: DMatrix<f64>,
    ) -> Result<Self, Error> {
        checked_points("a kernel coupling", &kernel, auxiliary, 1)?;
        let m = kernels_core::Points::len(auxiliary);
        expect("rows of the scale's coefficients", m, scale.nrows())?;
        expect("rows of the shift's coefficients", m, shift.nrows())?;
        expect("columns of the shift's coefficients", scale.ncols(), shift.ncols())?;
        finite("coefficient", scale.as_slice(), m)?;
        finite("coefficient", shift.as_slice(), m)?;
        Ok(Self { kernel, auxiliary: auxiliary.clone(), scale, shift })
    }

    /// The map that changes nothing, for b of this dimension.
    ///
    /// # Errors
    /// As [`AffineCoupling::new`].
    pub fn identity(kernel: K, auxiliary: &Rows<f64>, dimension: usize) -> Result<Self, Error> {
        let m = kernels_core::Points::len(auxiliary);
        Self::new(kernel, auxiliary, DMatrix::zeros(m, dimension), DMatrix::zeros(m, dimension))
    }

    /// Fits A_s and A_t by L-BFGS to the likelihood under a standard normal of the image, with a ridge on the coefficients.
    ///
    /// **Errors.** As [`AffineCoupling::new`]; no rows, or none left for b. **Complexity.** O(nm) for every iteration.
    pub fn fit(kernel: K, auxiliary: &Rows<f64>, x: &DMatrix<f64>, ridge: f64) -> Result<Self, Error> {
        let n = x.nrows();
        at_least("a kernel coupling (samples)", 1, n)?;
        at_least("a kernel coupling (columns)", auxiliary.dim() + 1, x.ncols())?;
        finite("sample", x.as_slice(), n)?;
        non_negative("ridge", ridge)?;
        let dimension = x.ncols() - auxiliary.dim();
        let mut layer = Self::identity(kernel, auxiliary, dimension)?;
        let (features, b) = layer.split(x)?;
        let m = features.ncols();
        let half = m * dimension;
        let evaluate = |z: &[f64]| {
            let (scale, shift) = (
                DMatrix::from_column_slice(m, dimension, &z[..half]),
                DMatrix::from_column_slice(m, dimension, &z[half..]),
            );
            let s = &features * &scale;
            let stretched = b.component_mul(&s.map(f64::exp));
            let y = &stretched + &features * &shift;
            let penalty: f64 = z.iter().map(|v| v * v).sum();
            let value = (0.5 * y.norm_squared() - s.sum()) / n as f64 + 0.5 * ridge * penalty;
            let mut by_scale = y.component_mul(&stretched);
            by_scale.add_scalar_mut(-1.0);
            let gradient = [features.tr_mul(&by_scale), features.tr_mul(&y)];
            let gradient = gradient.iter().flat_map(|g| g.iter()).zip(z);
            (value, gradient.map(|(g, z)| g / n as f64 + ridge * z).collect())
        };
        let bounds = vec![(-1e6, 1e6); 2 * half];
        if let ControlFlow::Continue(found) =
            minimise(evaluate, &vec![0.0; 2 * half], &bounds, 500, |_| ControlFlow::Continue(()))
        {
            layer.scale = DMatrix::from_column_slice(m, dimension, &found.x[..half]);
            layer.shift = DMatrix::from_column_slice(m, dimension, &found.x[half..]);
        }
        Ok(layer)
    }

    /// k(a, Z), and b.
    pub(super) fn split(&self, x: &DMatrix<f64>) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let first = self.auxiliary.dim();
        expect("columns of a sample", first + self.scale.ncols(), x.ncols())?;
        finite("sample", x.as_slice(), x.nrows().max(1))?;
        let a = Rows::new(&x.columns(0, first).into_owned());
        let b = x.columns(first, self.scale.ncols()).into_owned();
        Ok((cross_f64(&self.kernel, &a, &self.auxiliary)?, b))
    }

    /// Images, and ln|det| of the derivative, of rows.
    ///
    /// # Errors
    /// Rows of another dimension, or not finite.
    pub fn forward(&self, x: &DMatrix<f64>) -> Result<(DMatrix<f64>, DVector<f64>), Error> {
        let (features, b) = self.split(x)?;
        let s = product(&features, &self.scale)?;
        let image = b.component_mul(&s.map(f64::exp)) + product(&features, &self.shift)?;
        let mut y = x.clone();
        y.columns_mut(self.auxiliary.dim(), self.scale.ncols()).copy_from(&image);
        Ok((y, DVector::from_iterator(s.nrows(), s.row_iter().map(|row| row.sum()))))
    }

    /// What [`AffineCoupling::forward`] maps to these rows.
    ///
    /// # Errors
    /// Rows of another dimension, or not finite.
    pub fn inverse(&self, y: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let (features, b) = self.split(y)?;
        let s = product(&features, &self.scale)?;
        let source = (b - product(&features, &self.shift)?).component_mul(&s.map(|s| (-s).exp()));
        let mut x = y.clone();
        x.columns_mut(self.auxiliary.dim(), self.scale.ncols()).copy_from(&source);
        Ok(x)
    }

    /// Log density of rows when images are standard normal.
    ///
    /// # Errors
    /// Rows of another dimension, or not finite.
    pub fn log_likelihood(&self, x: &DMatrix<f64>) -> Result<DVector<f64>, Error> {
        let (y, ln_det) = self.forward(x)?;
        let constant = 0.5 * y.ncols() as f64 * (2.0 * std::f64::consts::PI).ln();
        Ok(DVector::from_fn(y.nrows(), |i, _| ln_det[i] - 0.5 * y.row(i).norm_squared() - constant))
    }
}
