//! Which training points a prediction owes to, by tangent features.

use kernels_core::dense::{Cholesky, product, product_transposed};
use nalgebra::DMatrix;

use crate::{
    Error,
    error::{same, within},
};

/// Features of one trained network: derivatives of an output (of the log odds of the right class, say) by the parameters, projected
/// or whole, and what training left of each training point's loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Training points × features.
    pub train: DMatrix<f64>,
    /// Other points × features.
    pub test: DMatrix<f64>,
    /// Derivative of the loss by the output, 1 − p for log odds; one a training point.
    pub residuals: Vec<f64>,
}

/// Attributions of predictions to training points: entry (t, i) is φ_tᵀ(ΦᵀΦ + λI)⁻¹φ_i · r_i, with both factors averaged over networks
/// trained alike before they are multiplied. λ is `ridge` times the mean of the diagonal of ΦᵀΦ; with more features than training
/// points it must be above 0. Whichever of ΦᵀΦ and ΦΦᵀ is smaller is factored.
///
/// **Errors.** [`Error::Shape`]; [`Error::Value`] without networks or for a negative ridge; [`Error::Core`] for a singular system.
///
/// ```
/// use kernels_ntk::{Checkpoint, trak};
/// use nalgebra::dmatrix;
/// let one = Checkpoint { train: dmatrix![1.0, 0.0; 0.0, 2.0], test: dmatrix![3.0, 0.0], residuals: vec![0.5, 0.5] };
/// assert_eq!(trak(&[one], 0.0)?, dmatrix![1.5, 0.0]);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Park et al., *TRAK: Attributing model behavior at scale* (2023).
pub fn trak(networks: &[Checkpoint], ridge: f64) -> Result<DMatrix<f64>, Error> {
    within("ridge", ridge, ridge >= 0.0, "a finite number, 0 or above")?;
    within("networks", networks.len() as f64, !networks.is_empty(), "1 or above")?;
    let (n, m) = (networks[0].train.nrows(), networks[0].test.nrows());
    let mut scores = DMatrix::zeros(m, n);
    let mut residuals = vec![0.0; n];
    let share = 1.0 / networks.len() as f64;
    for network in networks {
        let (train, test) = (&network.train, &network.test);
        same("training points of a network", n, train.nrows())?;
        same("other points of a network", m, test.nrows())?;
        same("features of the other points", train.ncols(), test.ncols())?;
        same("residuals", n, network.residuals.len())?;
        let lambda = ridge * train.norm_squared() / train.ncols().max(1) as f64;
        let shifted = |mut gram: DMatrix<f64>| -> Result<Cholesky, Error> {
            for i in 0..gram.nrows() {
                gram[(i, i)] += lambda;
            }
            Ok(Cholesky::new(gram)?)
        };
        let part = if train.ncols() <= n {
            let mut solved = test.transpose();
            shifted(train.tr_mul(train))?.solve_in_place(solved.as_view_mut())?;
            product_transposed(&solved.transpose(), train)?
        } else {
            // (ΦᵀΦ + λI)⁻¹Φᵀ = Φᵀ(ΦΦᵀ + λI)⁻¹.
            let mut solved = product(train, &test.transpose())?;
            shifted(product_transposed(train, train)?)?.solve_in_place(solved.as_view_mut())?;
            solved.transpose()
        };
        scores += part * share;
        residuals.iter_mut().zip(&network.residuals).for_each(|(sum, r)| *sum += share * r);
    }
    for (mut column, r) in scores.column_iter_mut().zip(&residuals) {
        column *= *r;
    }
    Ok(scores)
}
