//! Gradient flow of linear models: why generalisation may come long after fitting.

use kernels_core::dense::{SymmetricEigen, product};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error,
    data::{at_least, expect, finite, non_negative, positive},
};

/// Gradient descent of rate η on ‖X(w − w*)‖²/n in continuous time: D(t) = w − w* = e^(−2ηΣt) D(0), Σ = XᵀX/n.
///
/// Reference: Levi, Beck, Bar-Sinai, *Grokking in linear estimators*, ICLR 2024, section 3.
///
/// ```
/// use kernels_solvers::closed_form::LinearDynamics;
/// // One of two directions is seen: its error goes, the other stays.
/// let flow = LinearDynamics::new(&nalgebra::dmatrix![1.0, 0.0], &[1.0, 1.0], 0.1)?;
/// let (train, generalisation) = flow.losses(1e3)?;
/// assert!(train < 1e-12 && (generalisation - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LinearDynamics {
    eigen: SymmetricEigen,
    start: DVector<f64>,
    rate: f64,
}

impl LinearDynamics {
    /// From samples, one a row, the difference D(0), and η > 0.
    ///
    /// # Errors
    /// Shapes that disagree, no samples, values that are not finite, a rate that is not positive.
    pub fn new(samples: &DMatrix<f64>, difference: &[f64], rate: f64) -> Result<Self, Error> {
        let n = samples.nrows();
        at_least("linear dynamics (samples)", 1, n)?;
        expect("entries of the difference (one a column)", samples.ncols(), difference.len())?;
        finite("difference", difference, difference.len().max(1))?;
        let eigen = SymmetricEigen::new(&(product(&samples.transpose(), samples)? / n as f64))?;
        let start = eigen.vectors.tr_mul(&DVector::from_column_slice(difference));
        Ok(Self { eigen, start, rate: positive("rate", rate)? })
    }

    /// Train loss DᵀΣD and generalisation loss ‖D‖² (for inputs of identity covariance) at time t.
    ///
    /// # Errors
    /// A negative time.
    pub fn losses(&self, time: f64) -> Result<(f64, f64), Error> {
        let time = non_negative("time", time)?;
        let squares = self.start.iter().zip(&self.eigen.values).map(|(d, v)| {
            let value = v.max(0.0);
            let left = d * (-2.0 * self.rate * value * time).exp();
            (value * left * left, left * left)
        });
        Ok(squares.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y)))
    }
}

/// Share of predictions within √ε of the truth when errors are normal with mean square L: erf(√(ε/(2L))).
///
/// # Errors
/// A negative loss or ε.
///
/// ```
/// let share = kernels_solvers::closed_form::accuracy_within(1.0, 1.0)?;
/// assert!((share - 0.6827).abs() < 1e-4);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn accuracy_within(loss: f64, epsilon: f64) -> Result<f64, Error> {
    let (loss, epsilon) = (non_negative("loss", loss)?, non_negative("epsilon", epsilon)?);
    Ok(if loss > 0.0 { libm::erf((epsilon / (2.0 * loss)).sqrt()) } else { 1.0 })
}
