//! The risk of any analytic filter, for Gaussian eigenfunctions.

use nalgebra::Complex;

use super::Eigenstructure;
use crate::{Error, data::at_least, spectral::Filter};

type C = Complex<f64>;

/// Predicted risk of a spectral algorithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterRisk {
    /// Error of the noiseless part, squared and averaged.
    pub bias: f64,
    /// What fitting the noise adds.
    pub variance: f64,
    /// Size of the imaginary part that the contour integrals leave, relative: a check of their accuracy.
    pub leakage: f64,
}

/// Fewest and most nodes of the contour.
const NODES: (f64, f64) = (200.0, 1600.0);

/// Bias and variance of the spectral algorithm with this filter on n samples, when eigenfunctions are Gaussian: contour
/// integrals of the filter against the deterministic equivalents of the resolvent and of its pairs.
///
/// **Errors.** n = 0; a filter that is not analytic (cut-off, or one that is known by its recursion alone); a contour on which
/// the fixed point is not found. **Complexity.** The square of at most 1600 nodes times the number of eigenvalues.
///
/// Reference: derived from the deterministic equivalents of Misiakiewicz and Saeed, *A non-asymptotic theory of kernel ridge
/// regression* (2024), and checked against simulation.
///
/// ```
/// use kernels_solvers::{risk::{Eigenstructure, gaussian_filter_risk}, spectral::Tikhonov};
/// let values: Vec<f64> = (1..60).map(|i| f64::from(i).powf(-1.5)).collect();
/// let problem = Eigenstructure::new(values.clone(), &values, 0.1)?;
/// // Ridge regression has a closed form to compare with: η = δ/n.
/// let filter = gaussian_filter_risk(&problem, 80, &Tikhonov::new(0.01)?)?;
/// let closed = problem.ridge_regression(80, 0.8)?;
/// assert!((filter.bias + filter.variance + 0.1 - closed.test).abs() < 1e-6);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn gaussian_filter_risk(of: &Eigenstructure, n: usize, filter: &dyn Filter) -> Result<FilterRisk, Error> {
    at_least("a prediction of risk", 1, n)?;
    let not_analytic = || Error::Unsupported {
        what: "predicting the risk of a filter",
        reason: "the filter has no analytic form; use one with `analytic_residual`",
    };
    let values = &of.eigenvalues;
    let count: f64 = n as f64;
    let top = values.iter().fold(0.0_f64, |m, v| m.max(*v));
    let spread = 1.0 + (values.len() as f64 / count).sqrt();
    let edge = top * spread * spread;
    // An ellipse with foci at the ends of the spectrum, which leaves room on the left before the filter's pole or growth. On
    // it the trapezoidal rule converges like e^(−(rounds · nodes)).
    let focal = 0.55 * edge;
    let reach = 0.5 * filter.scale().min(top.max(f64::MIN_POSITIVE));
    let rounds = (1.0 + reach / focal).acosh();
    let (center, half, height) = (focal, focal * rounds.cosh(), focal * rounds.sinh());
    let right = center + half;
    let count_nodes = (64.0 / rounds).clamp(NODES.0, NODES.1) as usize & !1;
    let angle = |k: f64| 2.0 * std::f64::consts::PI * k / count_nodes as f64;
    let mut kappa = C::from(-right * 100.0);
    for step in (0..=60).rev() {
        let z = C::from(right * 100.0_f64.powf(f64::from(step) / 60.0));
        kappa = fixed_point(z, kappa, values, count)?;
    }
    // Upper half of the contour; the lower one is its conjugate.
    let mut nodes = Vec::with_capacity(count_nodes);
    for k in 0..count_nodes / 2 {
        // Walk to the half-step node in small steps, as the fixed point is followed.
        for part in 1..=4 {
            let t = angle(k as f64 - 0.5 + 0.25 * f64::from(part)).max(0.0);
            kappa = fixed_point(C::new(center + half * t.cos(), height * t.sin()), kappa, values, count)?;
        }
        let t = angle(k as f64 + 0.5);
        let z = C::new(center + half * t.cos(), height * t.sin());
        kappa = fixed_point(z, kappa, values, count)?;
        let tangent = C::new(-half * t.sin(), height * t.cos()) * angle(1.0);
        let weight = -tangent / C::new(0.0, 2.0 * std::f64::consts::PI);
        let residual = filter.analytic_residual(z).ok_or_else(not_analytic)?;
        nodes.push(Node { z, kappa, weight, residual });
    }
    let mirrored: Vec<Node> = nodes.iter().map(Node::conjugate).collect();
    nodes.extend(mirrored);
    let shares: Vec<Vec<C>> = nodes
        .iter()
        .map(|node| values.iter().map(|&v| C::from(v) / (node.kappa + v)).collect())
        .collect();
    let resolvents: Vec<Vec<C>> = nodes
        .iter()
        .map(|node| values.iter().map(|&v| node.kappa / node.z / (node.kappa + v)).collect())
        .collect();
    let mut bias = C::from(0.0);
    for (a, first) in nodes.iter().enumerate() {
        for (b, second) in nodes.iter().enumerate() {
            let mut overlap = C::from(0.0);
            let mut signal = C::from(0.0);
            for (i, square) in of.squares.iter().enumerate() {
                overlap += shares[a][i] * shares[b][i];
                signal += resolvents[a][i] * resolvents[b][i] * *square;
            }
            let weight = first.weight * first.residual * second.weight * second.residual;
            bias += weight * signal / (C::from(1.0) - overlap / count);
        }
    }
    let mut variance = C::from(0.0);
    for (node, shares) in nodes.iter().zip(&shares) {
        let h = C::from(1.0) - node.residual;
        variance += node.weight * h * h / node.z * (-node.kappa / node.z) * shares.iter().sum::<C>();
    }
    variance *= of.noise / count;
    let leakage = bias.im.abs().max(variance.im.abs()) / (bias.re.abs() + variance.re.abs()).max(f64::MIN_POSITIVE);
    Ok(FilterRisk { bias: bias.re, variance: variance.re, leakage })
}

struct Node {
    z: C,
    kappa: C,
    weight: C,
    residual: C,
}

impl Node {
    /// The mirror image, run through in the same sense.
    fn conjugate(&self) -> Self {
        Self {
            z: self.z.conj(),
            kappa: self.kappa.conj(),
            weight: self.weight.conj(),
            residual: self.residual.conj(),
        }
    }
}

/// κ = −z + (κ/n) Σ λ/(λ + κ), by Newton's method from a near solution.
fn fixed_point(z: C, start: C, values: &[f64], n: f64) -> Result<C, Error> {
    let mut kappa = start;
    for _ in 0..100 {
        let (mut sum, mut squares) = (C::from(0.0), C::from(0.0));
        for &v in values {
            let share = C::from(v) / (kappa + v);
            sum += share;
            squares += share * share;
        }
        let value = kappa + z - kappa * sum / n;
        let step = value / (C::from(1.0) - squares / n);
        kappa -= step;
        if step.norm() <= 1e-14 * kappa.norm() {
            return Ok(kappa);
        }
    }
    Err(kernels_core::Error::NotConverged { what: "the fixed point of a risk prediction", iterations: 100 }.into())
}
