//! The dual as a power series of the correlation, from Hermite coefficients at each variance (Mehler's formula).

use super::quadrature;
use crate::{Activation, Error, error::within};

/// Most terms a series may have.
pub(crate) const MOST_TERMS: usize = 512;

/// φ(√q z) = Σ aⱼ hⱼ(z) in normalised Hermite polynomials, with the rest that the terms leave out.
///
/// Of two series, at variances q₁₁ and q₂₂, Σ aⱼbⱼρʲ is the dual at correlation ρ. It is symmetric, and positive definite over any
/// points whatever the truncation, as a sum of products of positive definite kernels; the error of K terms is at most
/// |ρ|ᴷ √(rest₁₁ rest₂₂).
///
/// ```
/// use kernels_ntk::{Activation, HermiteSeries};
/// let series = HermiteSeries::new(&Activation::Tanh, 1.0, 1e-14)?;
/// let (dual, error) = series.dual(&series, 0.3);
/// assert!((dual.value - 0.11066838554744646).abs() < 1e-13 && error < 1e-13);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HermiteSeries {
    pub(crate) values: Vec<f64>,
    pub(crate) slopes: Vec<f64>,
    pub(crate) second: f64,
    pub(crate) second_slope: f64,
    rest: f64,
    rest_slope: f64,
}

impl HermiteSeries {
    /// The series at variance `q`: as few terms as leave a rest of at most `tolerance` of E φ², at most 512.
    ///
    /// # Errors
    /// [`Error::Value`] for a variance below 0 or an activation that is not a function.
    pub fn new(activation: &Activation, q: f64, tolerance: f64) -> Result<Self, Error> {
        activation.check_function()?;
        within("variance", q, q >= 0.0, "a finite number, 0 or above")?;
        Ok(Self::of(activation, q, tolerance))
    }

    pub(crate) fn of(activation: &Activation, q: f64, tolerance: f64) -> Self {
        let mut terms = 32;
        loop {
            let (values, slopes, second, second_slope) = quadrature::coefficients(activation, q, terms);
            let rest = |all: f64, c: &[f64]| {
                // What rounding leaves is not a rest.
                let left = all - c.iter().map(|c| c * c).sum::<f64>();
                if left > 4.0 * f64::EPSILON * all { left } else { 0.0 }
            };
            let (rest, rest_slope) = (rest(second, &values), rest(second_slope, &slopes));
            if terms >= MOST_TERMS || (rest <= tolerance * second && rest_slope <= tolerance * second_slope) {
                return Self { values, slopes, second, second_slope, rest, rest_slope };
            }
            // Coefficients of kinked functions fall off like a power: more terms help little.
            terms = if activation.kinks().is_empty() { terms * 2 } else { MOST_TERMS };
        }
    }

    /// Number of terms.
    pub fn terms(&self) -> usize {
        self.values.len()
    }

    /// Hermite coefficients of φ(√q ·).
    pub fn coefficients(&self) -> &[f64] {
        &self.values
    }

    /// E φ² minus the part the terms hold.
    pub fn rest(&self) -> f64 {
        self.rest
    }

    /// The dual with another series at correlation `rho`, and a bound on the error of its value and derivative, each relative to
    /// √(k₁₁k₂₂).
    pub fn dual(&self, other: &Self, rho: f64) -> (super::Dual, f64) {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).rev().fold(0.0, |sum, (a, b)| sum * rho + a * b);
        let dual = super::Dual {
            value: sum(&self.values, &other.values),
            derivative: sum(&self.slopes, &other.slopes),
        };
        (dual, self.error(other, rho))
    }

    /// A bound on the error of [`HermiteSeries::dual`], relative to √(k₁₁k₂₂).
    pub(crate) fn error(&self, other: &Self, rho: f64) -> f64 {
        let power = rho.abs().powi(self.terms().min(other.terms()) as i32);
        let relative = |rest: f64, all: f64| if all > 0.0 { rest / all } else { 0.0 };
        // Terms that only the longer series has count as rest of the shorter one.
        let value = relative(self.rest, self.second).max(relative(other.rest, other.second));
        let slope =
            relative(self.rest_slope, self.second_slope).max(relative(other.rest_slope, other.second_slope));
        power * value.max(slope)
    }
}
