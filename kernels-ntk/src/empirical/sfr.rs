//! Sparse function-space representation of a trained network: dual parameters of a Gaussian process with its tangent kernel.

use kernels_core::dense::{Cholesky, product};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error,
    error::{same, within},
};

/// First and second derivatives of the negative log-likelihood at the network's outputs f: α = residual, β = curvature, and the
/// pseudo-target α + fβ.
#[derive(Clone, Debug, PartialEq)]
pub struct DualParameters {
    /// α + fβ, one a point.
    pub targets: Vec<f64>,
    /// β, one a point.
    pub precisions: Vec<f64>,
}

impl DualParameters {
    /// Of a Gaussian likelihood: α = (y − f)/σ², β = 1/σ².
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] for a noise variance not above 0.
    pub fn gaussian(outputs: &[f64], targets: &[f64], noise_variance: f64) -> Result<Self, Error> {
        same("number of targets", outputs.len(), targets.len())?;
        within("noise variance", noise_variance, noise_variance > 0.0, "a finite number above 0")?;
        let precision = 1.0 / noise_variance;
        let pseudo = outputs.iter().zip(targets).map(|(f, y)| (y - f) * precision + f * precision).collect();
        Ok(Self { targets: pseudo, precisions: vec![precision; outputs.len()] })
    }

    /// Of a logistic likelihood with labels 0 and 1: α = y − p, β = p(1 − p), p kept within \[0.01, 0.99\].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn logistic(outputs: &[f64], labels: &[f64]) -> Result<Self, Error> {
        same("number of labels", outputs.len(), labels.len())?;
        let (mut targets, mut precisions) = (Vec::new(), Vec::new());
        for (f, y) in outputs.iter().zip(labels) {
            let p = crate::Activation::Sigmoid.value(*f).clamp(0.01, 0.99);
            precisions.push(p * (1.0 - p));
            targets.push(y - p + f * p * (1.0 - p));
        }
        Ok(Self { targets, precisions })
    }
}

/// The Gaussian process posterior of a network on inducing points Z: β_u = K_zx diag(β) K_xz/(δN), ỹ_u = K_zx ỹ; data that come
/// later add to both.
///
/// ```
/// use kernels_ntk::{DualParameters, SparseFunctionPosterior};
/// use nalgebra::dmatrix;
/// let k = dmatrix![1.0];
/// let dual = DualParameters::gaussian(&[0.0], &[1.0], 0.1)?;
/// let posterior = SparseFunctionPosterior::new(&k, &k, &dual, 1.0, 0.0)?;
/// let (mean, variance) = posterior.predict(&k, &[1.0])?;
/// assert!((mean[0] - 1.0 / 1.1).abs() < 1e-14 && (variance[0] - 0.1 / 1.1).abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Scannell et al., *Function-space parameterization of neural networks for sequential learning* (2024).
#[derive(Clone, Debug)]
pub struct SparseFunctionPosterior {
    kzz: DMatrix<f64>,
    precision: DMatrix<f64>,
    targets: DVector<f64>,
    scale: f64,
}

impl SparseFunctionPosterior {
    /// From the tangent kernel of one output between inducing points (`kzz`, with `jitter` added to its diagonal) and from inducing
    /// to training points (`kzx`).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] for a prior precision not above 0.
    pub fn new(
        kzz: &DMatrix<f64>,
        kzx: &DMatrix<f64>,
        dual: &DualParameters,
        prior_precision: f64,
        jitter: f64,
    ) -> Result<Self, Error> {
        same("columns of the inducing kernel", kzz.nrows(), kzz.ncols())?;
        within("prior precision", prior_precision, prior_precision > 0.0, "a finite number above 0")?;
        within("jitter", jitter, jitter >= 0.0, "a finite number, 0 or above")?;
        let mut kzz = kzz.clone();
        for i in 0..kzz.nrows() {
            kzz[(i, i)] += jitter;
        }
        let scale = 1.0 / (prior_precision * kzx.ncols().max(1) as f64);
        let zeros = DMatrix::zeros(kzz.nrows(), kzz.nrows());
        let mut out = Self { targets: DVector::zeros(kzz.nrows()), kzz, precision: zeros, scale };
        out.update(kzx, dual)?;
        Ok(out)
    }

    /// Adds data by their kernel with the inducing points.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn update(&mut self, kzx: &DMatrix<f64>, dual: &DualParameters) -> Result<(), Error> {
        same("rows of the kernel with data", self.kzz.nrows(), kzx.nrows())?;
        same("dual parameters", kzx.ncols(), dual.targets.len())?;
        same("precisions", kzx.ncols(), dual.precisions.len())?;
        let mut weighted = kzx.clone();
        for (mut column, b) in weighted.column_iter_mut().zip(&dual.precisions) {
            column *= *b;
        }
        self.precision += product(&weighted, &kzx.transpose())? * self.scale;
        self.targets += kzx * DVector::from_column_slice(&dual.targets);
        Ok(())
    }

    /// β_u = K_zx diag(β) K_xz/(δN), inducing × inducing.
    pub fn precision(&self) -> &DMatrix<f64> {
        &self.precision
    }

    /// ỹ_u = K_zx ỹ, one an inducing point.
    pub fn targets(&self) -> &DVector<f64> {
        &self.targets
    }

    /// α_u = (K_zz + β_u)⁻¹ ỹ_u: the mean at x is K_xz α_u/(δN).
    ///
    /// # Errors
    /// [`Error::Core`] when the inducing kernel is singular: give jitter.
    pub fn weights(&self) -> Result<DVector<f64>, Error> {
        self.solved(&Cholesky::new(&self.kzz + &self.precision)?)
    }

    fn solved(&self, posterior: &Cholesky) -> Result<DVector<f64>, Error> {
        let mut alpha = DMatrix::from_column_slice(self.targets.len(), 1, self.targets.as_slice());
        posterior.solve_in_place(alpha.as_view_mut())?;
        Ok(alpha.column(0).into_owned())
    }

    /// Means and variances at points by their kernels with the inducing points, m × inducing, and with themselves.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::Core`] when the inducing kernel is singular: give jitter.
    pub fn predict(&self, cross: &DMatrix<f64>, own: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Error> {
        same("columns of the kernel with the inducing points", self.kzz.nrows(), cross.ncols())?;
        same("own kernel values", cross.nrows(), own.len())?;
        let (prior, posterior) =
            (Cholesky::new(self.kzz.clone())?, Cholesky::new(&self.kzz + &self.precision)?);
        let mean = cross * self.solved(&posterior)? * self.scale;
        let (mut before, mut after) = (cross.transpose(), cross.transpose());
        prior.solve_lower_in_place(before.as_view_mut())?;
        posterior.solve_lower_in_place(after.as_view_mut())?;
        let variance = own
            .iter()
            .zip(before.column_iter().zip(after.column_iter()))
            .map(|(k, (b, a))| (k - b.norm_squared() + a.norm_squared()) * self.scale)
            .collect();
        Ok((mean.as_slice().to_vec(), variance))
    }
}
