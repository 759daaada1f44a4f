//! Spectral algorithms: regression by a filter of the Gram matrix's spectrum.
//!
//! With K/n = U diag(λ) Uᵀ and a filter g, coefficients are c = (1/n) U g(λ) Uᵀ y: ridge regression is g(λ) = 1/(λ + η),
//! gradient flow g(λ) = (1 − e^(−tλ))/λ, and so on. A [`Filter`] is its function, its qualification and, when it is a
//! polynomial, its recursion; it is applied by an eigendecomposition ([`SpectralPath`]) or with products alone
//! ([`filter_operator`]).
//!
//! ```
//! use kernels_core::{Matern, Rows};
//! use kernels_solvers::spectral::{GradientFlow, SpectralRegression};
//! let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 10.0).collect(), 40, 1)?;
//! let y: Vec<f64> = (0..40).map(|i| (f64::from(i) / 10.0).sin()).collect();
//! let model = SpectralRegression::new(Matern::new(2.5, 1.0)?, GradientFlow::new(1e5)?).fit(&xs, &y)?;
//! let at = Rows::from_row_major(vec![1.05], 1, 1)?;
//! assert!((model.predict(&at)?[(0, 0)] - 1.05_f64.sin()).abs() < 1e-2);
//! # Ok::<(), kernels_solvers::Error>(())
//! ```

use nalgebra::Complex;

mod filters;
mod operator;
mod regression;
mod smoothness;

pub use filters::{
    CutOff, GradientDescent, GradientFlow, IteratedTikhonov, Nesterov, NuMethod, Recursion, Step, Tikhonov,
};
pub use operator::{FilterReport, KrylovLimits, filter_operator};
pub use regression::{SpectralPath, SpectralRegression};
pub use smoothness::{GradientFlowClassifier, GradientFlowModel, Smoothness, estimate_smoothness};

/// A spectral filter of K/n.
///
/// Reference: Bauer, Pereverzev, Rosasco, *On regularization algorithms in learning theory*, J. Complexity 23 (2007);
/// Engl, Hanke, Neubauer, *Regularization of inverse problems* (1996), chapters 4 and 6.
pub trait Filter {
    /// g(λ) for λ ≥ 0; its limit at λ = 0.
    fn value(&self, lambda: f64) -> f64;

    /// 1 − λ g(λ): the share of an eigencomponent that is not fitted. Override it where the difference cancels.
    fn residual(&self, lambda: f64) -> f64 {
        1.0 - lambda * self.value(lambda)
    }

    /// 1 − z g(z) in the complex plane right of −`scale`, for filters that are analytic there.
    fn analytic_residual(&self, z: Complex<f64>) -> Option<Complex<f64>> {
        let _ = z;
        None
    }

    /// The qualification q: the greatest q with sup λ^q |1 − λ g(λ)| = O(η^q). Smoothness beyond it does not help; infinite
    /// for filters that never saturate.
    fn qualification(&self) -> f64;

    /// The regularization η in the units of eigenvalues of K/n: about the eigenvalue of which half is fitted.
    fn scale(&self) -> f64;

    /// The recursion whose result this filter is, when it is a polynomial: what needs products with K alone.
    fn recursion(&self) -> Option<Recursion> {
        None
    }
}
