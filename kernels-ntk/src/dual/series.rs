//! The dual as a power series of the correlation, from Hermite coefficients at each variance (Mehler's formula).

use super::{grid, quadrature};
use crate::{Activation, Error, error::within};

/// Most terms a series may have.
pub(crate) const MOST_TERMS: usize = 512;

/// Terms of the first try, doubled until they are enough.
pub(super) const FIRST_TERMS: usize = 32;

/// How often that is.
const LEVELS: usize = 5;

/// Below this share of the whole a difference is rounding.
const NOISE: f64 = 4.0 * f64::EPSILON;

/// φ(√q z) = Σ aⱼ hⱼ(z) in normalised Hermite polynomials, with the rest that the terms leave out.
///
/// Of two series, at variances q₁₁ and q₂₂, Σ aⱼbⱼρʲ is the dual at correlation ρ. It is symmetric, and positive definite over any
/// points whatever the truncation, as a sum of products of positive definite kernels; the error of K terms is at most
/// |ρ|ᴷ √(rest₁₁ rest₂₂), the rests those of K terms.
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
    /// √ of what terms from 32, 64, …, 512 on hold of `second` and `second_slope`, relative to them.
    tails: [(f64, f64); LEVELS],
    rest: f64,
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

    /// Series at many variances, on all threads; each depends on its own variance alone.
    pub(crate) fn many(activation: &Activation, variances: &[f64], tolerance: f64) -> Vec<Self> {
        let mut out: Vec<Option<Self>> = grid::series(activation, variances, tolerance);
        let rest: Vec<usize> = (0..out.len()).filter(|&i| out[i].is_none()).collect();
        let made = kernels_core::parallel::map(rest.len(), |k| {
            Self::by_panels(activation, variances[rest[k]], tolerance)
        });
        rest.into_iter().zip(made).for_each(|(i, series)| out[i] = Some(series));
        out.into_iter().flatten().collect()
    }

    pub(crate) fn of(activation: &Activation, q: f64, tolerance: f64) -> Self {
        let one = grid::series(activation, &[q], tolerance).pop().flatten();
        one.unwrap_or_else(|| Self::by_panels(activation, q, tolerance))
    }

    /// From coefficients and second moments; `None` when the rest is above the tolerance.
    pub(super) fn checked(
        (values, slopes): (&[f64], &[f64]),
        (second, second_slope): (f64, f64),
        tolerance: f64,
    ) -> Option<Self> {
        let rest = |all: f64, c: &[f64]| {
            let left = all - c.iter().map(|c| c * c).sum::<f64>();
            // What rounding leaves is not a rest; that follows from the last terms, which fall off.
            let last = c.iter().rev().take(8).map(|c| c * c).sum::<f64>();
            if left > NOISE * all { left } else { (16.0 * last).min(NOISE * all) }
        };
        let (rest, rest_slope) = (rest(second, values), rest(second_slope, slopes));
        let enough = rest <= tolerance * second && rest_slope <= tolerance * second_slope;
        if !enough && values.len() < MOST_TERMS {
            return None;
        }
        let tail = |c: &[f64], rest: f64, all: f64, level: usize| {
            let from = (FIRST_TERMS << level).min(c.len());
            let held = c[from..].iter().map(|c| c * c).sum::<f64>();
            if all > 0.0 { ((rest + held) / all).sqrt() } else { 0.0 }
        };
        let tails = std::array::from_fn(|level| {
            (tail(values, rest, second, level), tail(slopes, rest_slope, second_slope, level))
        });
        let (values, slopes) = (values.to_vec(), slopes.to_vec());
        Some(Self { values, slopes, second, second_slope, tails, rest })
    }

    fn by_panels(activation: &Activation, q: f64, tolerance: f64) -> Self {
        let mut terms = FIRST_TERMS;
        loop {
            let (values, slopes, second, second_slope) = quadrature::coefficients(activation, q, terms);
            if let Some(made) = Self::checked((&values, &slopes), (second, second_slope), tolerance) {
                return made;
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

    /// E φ² minus the part the terms hold; where that is below rounding, an estimate from the last terms.
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

    /// A bound on the error of [`HermiteSeries::dual`], relative to √(k₁₁k₂₂): by the inequality of Cauchy and Schwarz for the terms
    /// that one of them lacks.
    pub(crate) fn error(&self, other: &Self, rho: f64) -> f64 {
        let terms = self.terms().min(other.terms());
        let level = (terms / FIRST_TERMS).max(1).ilog2() as usize;
        let ((a, b), (c, d)) = (self.tails[level], other.tails[level]);
        let tail = (a * c).max(b * d);
        // Powers of the correlation only help.
        if tail <= NOISE { tail } else { rho.abs().powi(terms as i32) * tail }
    }
}
