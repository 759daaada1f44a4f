//! Deep kernel machines: representation learning by Gram matrices.

mod ascent;
mod fit;

pub use fit::{FittedGrams, SparseMachine};

use kernels_core::dense::{Cholesky, product, product_transposed};
use nalgebra::DMatrix;

use crate::{
    Error,
    dual::{Covariance, closed, slopes},
    error::{same, within},
};

/// How a Gram matrix becomes a kernel matrix in a [`DeepKernelMachine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GramKernel {
    /// G itself.
    Linear,
    /// Twice the arc-cosine kernel of order 1: K_ii = G_ii.
    Relu,
    /// exp(−½(G_ii + G_jj − 2G_ij)).
    SquaredExponential,
}

impl GramKernel {
    fn value(self, gii: f64, gij: f64, gjj: f64) -> f64 {
        match self {
            Self::Linear => gij,
            Self::Relu => {
                let relu = crate::Activation::relu();
                let c = Covariance::new(gii.max(0.0), gij, gjj.max(0.0));
                closed::dual(&relu, &c).map_or(f64::NAN, |d| 2.0 * d.value)
            }
            Self::SquaredExponential => (-0.5 * (gii + gjj - 2.0 * gij)).exp(),
        }
    }

    /// Derivatives of an entry off the diagonal by G_ii, G_ij and G_jj.
    fn slopes(self, gii: f64, gij: f64, gjj: f64) -> [f64; 3] {
        match self {
            Self::Linear => [0.0, 1.0, 0.0],
            Self::Relu => {
                let c = Covariance::new(gii.max(0.0), gij, gjj.max(0.0));
                slopes::pair(&crate::Activation::relu(), &c, None, 0.0).of_value.map(|d| 2.0 * d)
            }
            Self::SquaredExponential => {
                let k = self.value(gii, gij, gjj);
                [-0.5 * k, k, -0.5 * k]
            }
        }
    }

    /// The kernel matrix of a Gram matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] when it is not square.
    pub fn of(self, gram: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        same("columns of a Gram matrix", gram.nrows(), gram.ncols())?;
        Ok(DMatrix::from_fn(gram.nrows(), gram.ncols(), |i, j| {
            if i == j && self != Self::SquaredExponential {
                gram[(i, i)]
            } else {
                self.value(gram[(i, i)], gram[(i, j)], gram[(j, j)])
            }
        }))
    }
}

/// The objective of a deep kernel machine: log P(Y | G_L) − Σ_l ν_l KL(N(0, G_l) ‖ N(0, K(G_{l−1}))), maximised over Gram matrices.
/// ν → ∞ is the NNGP, G_l = K(G_{l−1}); ν → 0 fits the labels.
///
/// ```
/// use kernels_ntk::{DeepKernelMachine, GramKernel};
/// use nalgebra::dmatrix;
/// let machine = DeepKernelMachine::new(GramKernel::Relu, 0.1, vec![1.0])?;
/// let (g0, y) = (dmatrix![1.0, 0.2; 0.2, 1.0], dmatrix![0.5; -0.5]);
/// // At the NNGP's own Gram matrices nothing is paid: only the likelihood is left.
/// let grams = machine.wide_limit(&g0)?;
/// assert_eq!(machine.objective(&g0, &grams, &y)?, machine.log_likelihood(&grams[0], &y)?);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Yang et al., *A theory of representation learning gives a deep generalisation of kernel methods* (2023).
#[derive(Clone, Debug, PartialEq)]
pub struct DeepKernelMachine {
    kernel: GramKernel,
    noise: f64,
    nu: Vec<f64>,
}

/// KL(N(0, G) ‖ N(0, K)) = ½(tr K⁻¹G − ln det K⁻¹G − n), 0 only for G = K.
///
/// ```
/// use kernels_ntk::gaussian_divergence;
/// use nalgebra::dmatrix;
/// assert!((gaussian_divergence(&dmatrix![2.0], &dmatrix![1.0])? - 0.5 * (1.0 - 2.0_f64.ln())).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`]; [`Error::Core`] for matrices that are not positive definite.
pub fn gaussian_divergence(gram: &DMatrix<f64>, kernel: &DMatrix<f64>) -> Result<f64, Error> {
    same("order of the second matrix", gram.nrows(), kernel.nrows())?;
    if gram == kernel {
        return Ok(0.0);
    }
    let (g, k) = (Cholesky::new(gram.clone())?, Cholesky::new(kernel.clone())?);
    let mut half = lower(&g);
    k.solve_lower_in_place(half.as_view_mut())?;
    Ok(0.5 * (half.norm_squared() - g.ln_determinant() + k.ln_determinant() - gram.nrows() as f64))
}

fn lower(c: &Cholesky) -> DMatrix<f64> {
    c.factor().lower_triangle()
}

impl DeepKernelMachine {
    /// Layers with regularisation ν each, and the noise variance of a Gaussian likelihood.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn new(kernel: GramKernel, noise_variance: f64, nu: Vec<f64>) -> Result<Self, Error> {
        within("noise variance", noise_variance, noise_variance > 0.0, "a finite number above 0")?;
        for &value in &nu {
            within("nu", value, value >= 0.0, "a finite number, 0 or above")?;
        }
        Ok(Self { kernel, noise: noise_variance, nu })
    }

    /// G_l = K(G_{l−1}): the Gram matrices at ν → ∞.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn wide_limit(&self, inputs: &DMatrix<f64>) -> Result<Vec<DMatrix<f64>>, Error> {
        let mut out: Vec<DMatrix<f64>> = Vec::with_capacity(self.nu.len());
        for _ in &self.nu {
            let next = self.kernel.of(out.last().unwrap_or(inputs))?;
            out.push(next);
        }
        Ok(out)
    }

    /// Σ over outputs of ln N(y; 0, K(G_L) + σ²I).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Core`].
    pub fn log_likelihood(&self, last: &DMatrix<f64>, targets: &DMatrix<f64>) -> Result<f64, Error> {
        crate::log_marginal_likelihood(&self.kernel.of(last)?, targets, crate::Ridge::Absolute(self.noise))
    }

    /// The objective at Gram matrices of all layers, given that of the inputs.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of matrices; [`Error::Core`] for one that is not positive definite.
    pub fn objective(
        &self,
        inputs: &DMatrix<f64>,
        grams: &[DMatrix<f64>],
        targets: &DMatrix<f64>,
    ) -> Result<f64, Error> {
        same("Gram matrices (one a layer)", self.nu.len(), grams.len())?;
        let mut value = self.log_likelihood(grams.last().unwrap_or(inputs), targets)?;
        let mut before = inputs;
        for (gram, nu) in grams.iter().zip(&self.nu) {
            value -= nu * gaussian_divergence(gram, &self.kernel.of(before)?)?;
            before = gram;
        }
        Ok(value)
    }
}

/// A sparse layer: Gram matrices of inducing points with themselves, of other points with them, and of other points with
/// themselves (diagonal only).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseGram {
    /// Inducing × inducing.
    pub inducing: DMatrix<f64>,
    /// Points × inducing.
    pub cross: DMatrix<f64>,
    /// Diagonal for the points.
    pub diagonal: Vec<f64>,
}

impl SparseGram {
    /// Kernel matrices of the Gram matrices.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn kernel(&self, kernel: GramKernel) -> Result<Self, Error> {
        self.check()?;
        let cross = DMatrix::from_fn(self.cross.nrows(), self.cross.ncols(), |t, i| {
            kernel.value(self.diagonal[t], self.cross[(t, i)], self.inducing[(i, i)])
        });
        let own = |g: &f64| if kernel == GramKernel::SquaredExponential { 1.0 } else { *g };
        Ok(Self {
            inducing: kernel.of(&self.inducing)?,
            cross,
            diagonal: self.diagonal.iter().map(own).collect(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        same("columns of the cross matrix", self.inducing.nrows(), self.cross.ncols())?;
        same("diagonal of the points", self.cross.nrows(), self.diagonal.len())
    }

    /// Taking `self` as kernel matrices, the Gram matrices of all points when those of the inducing points are `gram`:
    /// Π = K_ti K_ii⁻¹, G_ti = Π G, g_t = diag(Π G Πᵀ) + k_t − diag(Π K_it).
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::Core`] for a singular inducing matrix.
    pub fn propagate(&self, gram: &DMatrix<f64>) -> Result<Self, Error> {
        self.check()?;
        same("order of the Gram matrix", self.inducing.nrows(), gram.nrows())?;
        let projection = self.projection()?;
        let cross = product(&projection, gram)?;
        let diagonal = (0..self.cross.nrows())
            .map(|t| {
                cross.row(t).dot(&projection.row(t)) + self.diagonal[t]
                    - projection.row(t).dot(&self.cross.row(t))
            })
            .collect();
        Ok(Self { inducing: gram.clone(), cross, diagonal })
    }

    fn projection(&self) -> Result<DMatrix<f64>, Error> {
        let mut solved = self.cross.transpose();
        Cholesky::new(self.inducing.clone())?.solve_in_place(solved.as_view_mut())?;
        Ok(solved.transpose())
    }

    /// Taking `self` as kernel matrices of the last layer: means and variances of outputs for inducing outputs N(μ, A), the
    /// covariance shared by all outputs.
    ///
    /// # Errors
    /// As [`SparseGram::propagate`].
    pub fn outputs(
        &self,
        mean: &DMatrix<f64>,
        covariance: &DMatrix<f64>,
    ) -> Result<(DMatrix<f64>, Vec<f64>), Error> {
        self.check()?;
        same("rows of the inducing means", self.inducing.nrows(), mean.nrows())?;
        same("order of the inducing covariance", self.inducing.nrows(), covariance.nrows())?;
        let projection = self.projection()?;
        let spread = product(&projection, covariance)?;
        let variance = (0..self.cross.nrows())
            .map(|t| {
                self.diagonal[t] - projection.row(t).dot(&self.cross.row(t))
                    + spread.row(t).dot(&projection.row(t))
            })
            .collect();
        Ok((product(&projection, mean)?, variance))
    }
}

/// XXᵀ/d, the Gram matrix of inputs.
///
/// # Errors
/// [`Error::Core`] for want of memory.
pub fn input_gram(x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    Ok(product_transposed(x, x)? / x.ncols().max(1) as f64)
}
