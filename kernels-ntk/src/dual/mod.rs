//! Dual activations: E\[φ(u)φ(v)\] and E\[φ′(u)φ′(v)\] of two jointly normal numbers.

pub(crate) mod closed;
mod grid;
pub(crate) mod quadrature;
mod series;
pub(crate) mod slopes;

pub use quadrature::Moments;
pub use series::HermiteSeries;

use crate::{Activation, Error, error::within};

/// The dual of an activation at one covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// E\[φ(u)φ(v)\]
    pub value: f64,
    /// E\[φ′(u)φ′(v)\], which is also the derivative of the value by the covariance.
    pub derivative: f64,
}

/// Variances and covariance of a pair, with what rounding would take from them: the gap √(q₁₁q₂₂) − q₁₂ to being parallel, the
/// gap √(q₁₁q₂₂) + q₁₂ to being antiparallel, and the difference q₁₁ − q₂₂.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Covariance {
    pub(crate) q11: f64,
    pub(crate) q22: f64,
    pub(crate) q12: f64,
    pub(crate) gap: f64,
    pub(crate) cogap: f64,
    pub(crate) difference: f64,
}

impl Covariance {
    pub(crate) fn new(q11: f64, q12: f64, q22: f64) -> Self {
        let product = q11.sqrt() * q22.sqrt();
        let (mut gap, mut cogap) = ((product - q12).max(0.0), (product + q12).max(0.0));
        // The smaller gap is the determinant over the larger one: the square roots' rounding would be most of it.
        let square = q12 * q12;
        if (1e-290..1e290).contains(&square) {
            let determinant = (q11.mul_add(q22, -square) - q12.mul_add(q12, -square)).max(0.0);
            if gap < cogap {
                gap = determinant / cogap;
            } else {
                cogap = determinant / gap;
            }
        }
        // A few roundings beyond the product is as good as on it.
        let q12 = if q12.abs() <= product * (1.0 + 1e-15) { q12 } else { q12.clamp(-product, product) };
        Self { q11, q22, q12, gap, cogap, difference: q11 - q22 }
    }

    /// A variable with itself.
    pub(crate) fn own(q: f64) -> Self {
        Self { q11: q, q22: q, q12: q, gap: 0.0, cogap: 2.0 * q, difference: 0.0 }
    }

    /// q₁₁q₂₂ − q₁₂², without cancellation.
    pub(crate) fn determinant(&self) -> f64 {
        self.gap * self.cogap
    }

    /// E(u − v)², without cancellation.
    pub(crate) fn squared_distance(&self) -> f64 {
        let d = self.difference / (self.q11.sqrt() + self.q22.sqrt()).max(f64::MIN_POSITIVE);
        d * d + 2.0 * self.gap
    }

    /// The correlation; 0 when a variance is.
    pub(crate) fn correlation(&self) -> f64 {
        let product = self.q11.sqrt() * self.q22.sqrt();
        if product > 0.0 { (self.q12 / product).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

impl Activation {
    /// The dual at covariance \[\[q₁₁, q₁₂\], \[q₁₂, q₂₂\]\]: by closed form where there is one, else by quadrature in two dimensions,
    /// accurate to about 1e-13 of √(k₁₁k₂₂). A covariance beyond √(q₁₁q₂₂), by rounding, counts as that.
    ///
    /// # Errors
    /// [`Error::Value`] for variances that are negative or not finite, and for what [`Activation::check`] says.
    ///
    /// ```
    /// use kernels_ntk::Activation;
    /// let dual = Activation::Tanh.dual(1.0, 0.3, 1.0)?;
    /// assert!((dual.value - 0.11066838554744646).abs() < 1e-13);
    /// assert!((dual.derivative - 0.3729919123419153).abs() < 1e-13);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn dual(&self, q11: f64, q12: f64, q22: f64) -> Result<Dual, Error> {
        self.check()?;
        within("q11", q11, q11 >= 0.0, "a finite number, 0 or above")?;
        within("q22", q22, q22 >= 0.0, "a finite number, 0 or above")?;
        within("q12", q12, true, "a finite number")?;
        Ok(self.dual_at(&Covariance::new(q11, q12, q22)))
    }

    /// The dual of a checked activation.
    pub(crate) fn dual_at(&self, c: &Covariance) -> Dual {
        // The larger variance first: a swapped pair gives the same bits.
        let ordered = if c.q11 < c.q22 {
            Covariance { q11: c.q22, q22: c.q11, difference: -c.difference, ..*c }
        } else {
            *c
        };
        closed::dual(self, &ordered).unwrap_or_else(|| quadrature::dual(self, &ordered))
    }
}
