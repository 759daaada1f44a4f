//! The loss functional of translation-invariant kernels on equispaced points.

use crate::{
    Error,
    data::{at_least, expect, finite, non_negative},
    spectral::Filter,
};

/// A problem on the circle: eigenvalues λₗ and target coefficients cₗ of the modes e^(ilx), −L ≤ l ≤ L, and a noise variance.
#[derive(Clone, Debug, PartialEq)]
pub struct Circle {
    eigenvalues: Vec<f64>,
    squares: Vec<f64>,
    noise: f64,
}

impl Circle {
    /// From functions of the mode l.
    ///
    /// # Errors
    /// Values that are not finite, negative eigenvalues or noise.
    ///
    /// ```
    /// use kernels_solvers::{risk::{Circle, circle_risk}, spectral::Tikhonov};
    /// let problem = Circle::new(200, |l| 1.0 / (1.0 + l.abs()).powi(2), |l| 1.0 / (1.0 + l.abs()).powi(2), 0.0)?;
    /// assert!(circle_risk(&problem, 32, &Tikhonov::new(1e-4)?)? < circle_risk(&problem, 8, &Tikhonov::new(1e-4)?)?);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn new(
        modes: usize,
        eigenvalue: impl Fn(f64) -> f64,
        coefficient: impl Fn(f64) -> f64,
        noise: f64,
    ) -> Result<Self, Error> {
        let all: Vec<f64> = (0..=2 * modes).map(|k| k as f64 - modes as f64).collect();
        let eigenvalues: Vec<f64> = all.iter().map(|&l| eigenvalue(l)).collect();
        for &value in &eigenvalues {
            non_negative("eigenvalue", value)?;
        }
        let squares: Vec<f64> = all.iter().map(|&l| coefficient(l).powi(2)).collect();
        expect("coefficients (one an eigenvalue)", eigenvalues.len(), squares.len())?;
        finite("squared coefficient", &squares, squares.len())?;
        Ok(Self { eigenvalues, squares, noise: non_negative("noise", noise)? })
    }
}

/// Half the mean squared error, noise not included, of a filter on N equispaced points with a random shift. Modes that agree
/// modulo N are one to the sample: exact, not asymptotic.
///
/// **Errors.** N = 0. **Complexity.** Linear in the number of modes.
///
/// Reference: Velikanov, Panov, Yarotsky, *Generalization error of spectral algorithms*, ICLR 2024, section 4.
pub fn circle_risk(of: &Circle, n: usize, filter: &dyn Filter) -> Result<f64, Error> {
    at_least("a prediction of risk", 1, n)?;
    let mut total = 0.0;
    for class in 0..n.min(of.eigenvalues.len()) {
        let members = || (class..of.eigenvalues.len()).step_by(n);
        let sum: f64 = members().map(|l| of.eigenvalues[l]).sum();
        let power: f64 = members().map(|l| of.squares[l]).sum();
        let h = 1.0 - filter.residual(sum);
        for l in members() {
            let share = if sum > 0.0 { h * of.eigenvalues[l] / sum } else { 0.0 };
            let (own, others) = (of.squares[l], power - of.squares[l]);
            total += (1.0 - share).powi(2) * own + share * share * (others + of.noise / n as f64);
        }
    }
    Ok(0.5 * total)
}

/// The same when the sample's eigenfunctions were the kernel's own and observations noisy ones of single modes:
/// ½ Σ (1 − h(λₗ))² c²ₗ + (σ²/N) h(λₗ)². What the loss looks like once noise dominates.
///
/// # Errors
/// N = 0.
pub fn surrogate_risk(of: &Circle, n: usize, filter: &dyn Filter) -> Result<f64, Error> {
    at_least("a prediction of risk", 1, n)?;
    let modes = of.eigenvalues.iter().zip(&of.squares);
    let total: f64 = modes
        .map(|(&value, square)| {
            let left = filter.residual(value);
            left * left * square + of.noise / n as f64 * (1.0 - left).powi(2)
        })
        .sum();
    Ok(0.5 * total)
}
