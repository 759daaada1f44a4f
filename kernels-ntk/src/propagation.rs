//! Signal propagation: how variances, correlations and gradients go through many layers, and what a layer should have at
//! initialisation.

use crate::{Activation, Error, Moments, error::within};

/// One wide layer with activation φ, weight variance σ_w² and bias variance σ_b²: q ← σ_w² E φ(√q z)² + σ_b².
///
/// ```
/// use kernels_ntk::{Activation, Propagation};
/// let critical = Propagation::new(Activation::relu(), 2.0_f64.sqrt(), 0.0)?;
/// let slopes = critical.slopes(1.0)?;
/// assert!((slopes.parallel - 1.0).abs() < 1e-14 && (slopes.perpendicular - 1.0).abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Poole et al., *Exponential expressivity in deep neural networks* (2016); Schoenholz et al., *Deep information
/// propagation* (2017); Roberts, Yaida & Hanin, *The principles of deep learning theory* (2022).
#[derive(Clone, Debug, PartialEq)]
pub struct Propagation {
    activation: Activation,
    w2: f64,
    b2: f64,
}

/// Slopes of the maps at one variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slopes {
    /// χ∥ = d q′/d q: how a change of the variance grows.
    pub parallel: f64,
    /// χ⊥ = σ_w² E φ′²: how a change of direction, and a gradient, grows.
    pub perpendicular: f64,
}

/// The phase at the fixed point of the variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// χ⊥ < 1: inputs become parallel, gradients vanish.
    Ordered,
    /// χ⊥ = 1 within 1e-6.
    Critical,
    /// χ⊥ > 1: inputs become unrelated, gradients explode.
    Chaotic,
}

/// What an activation can be tuned to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Universality {
    /// Critical at every variance, for σ_b = 0 and this σ_w²: piecewise linear through 0.
    ScaleInvariant {
        /// σ_w²
        w2: f64,
    },
    /// Critical at variance 0 for σ_b = 0 and this σ_w²: φ(0) = 0, and variances decay like 1/(decay · layers).
    ZeroVariance {
        /// σ_w² = 1/φ′(0)²
        w2: f64,
        /// −a₁ = −(φ‴/φ′ + ¾ (φ″/φ′)²) at 0; the variance of layer l tends to 1/(decay · l).
        decay: f64,
    },
    /// Both slopes are 1 at one variance only.
    HalfStable {
        /// The variance.
        variance: f64,
        /// σ_w²
        w2: f64,
        /// σ_b²
        b2: f64,
    },
    /// None of these.
    None,
}

impl Propagation {
    /// A layer with σ_w and σ_b.
    ///
    /// # Errors
    /// [`Error::Value`] for parameters that are negative or not finite, or an activation that is not a function.
    pub fn new(activation: Activation, w_std: f64, b_std: f64) -> Result<Self, Error> {
        activation.check_function()?;
        within("w_std", w_std, w_std >= 0.0, "a finite number, 0 or above")?;
        within("b_std", b_std, b_std >= 0.0, "a finite number, 0 or above")?;
        Ok(Self { activation, w2: w_std * w_std, b2: b_std * b_std })
    }

    /// The variance after one more layer.
    ///
    /// # Errors
    /// [`Error::Value`] for a negative variance; so below.
    pub fn variance(&self, q: f64) -> Result<f64, Error> {
        Ok(self.w2 * self.activation.moments(q)?.second + self.b2)
    }

    /// The correlation after one more layer of two inputs with correlation `c` and equal variance `q`.
    ///
    /// # Errors
    /// As [`Propagation::variance`].
    pub fn correlation(&self, q: f64, c: f64) -> Result<f64, Error> {
        within("correlation", c, (-1.0..=1.0).contains(&c), "from -1 to 1")?;
        let value = self.activation.dual(q, c * q, q)?.value;
        Ok(((self.w2 * value + self.b2) / self.variance(q)?).clamp(-1.0, 1.0))
    }

    /// χ∥ and χ⊥ at variance `q`.
    ///
    /// # Errors
    /// As [`Propagation::variance`].
    pub fn slopes(&self, q: f64) -> Result<Slopes, Error> {
        let m = self.activation.moments(q)?;
        Ok(self.slopes_of(&m, q))
    }

    fn slopes_of(&self, m: &Moments, q: f64) -> Slopes {
        // d E φ(√q z)²/dq = E φ²(z² − 1)/(2q), which at 0 is φ′(0)² + φ(0)φ″(0).
        let parallel = if q > 1e-12 {
            self.w2 * m.second_weighted / (2.0 * q)
        } else {
            let h = 1e-3;
            let f = |z| self.activation.value(z);
            let curvature = (f(h) - 2.0 * f(0.0) + f(-h)) / (h * h);
            self.w2 * (m.slope + f(0.0) * curvature)
        };
        Slopes { parallel, perpendicular: self.w2 * m.slope }
    }

    /// The variance that layers tend to, from `start`.
    ///
    /// # Errors
    /// [`Error::NotConverged`] when it grows without bound or converges too slowly (at criticality with fixed point 0).
    pub fn fixed_variance(&self, start: f64) -> Result<f64, Error> {
        let mut q = within("starting variance", start, start >= 0.0, "a finite number, 0 or above")?;
        let mut step = f64::INFINITY;
        for _ in 0..2000 {
            let m = self.activation.moments(q)?;
            let next = self.w2 * m.second + self.b2;
            let slope = self.slopes_of(&m, q).parallel;
            // Newton's step where the map contracts, the map itself elsewhere.
            let newton = q + (next - q) / (1.0 - slope);
            let to = if slope < 0.99 && newton >= 0.0 { newton } else { next };
            step = (to - q).abs();
            if !to.is_finite() || to > 1e100 {
                break;
            }
            q = to;
            if step <= 1e-15 * q.max(1e-300) {
                return Ok(q);
            }
        }
        if step <= 1e-12 * q {
            Ok(q)
        } else {
            Err(Error::NotConverged { what: "fixed point of the variance", iterations: 2000, residual: step })
        }
    }

    /// The phase at a fixed point of the variance.
    ///
    /// # Errors
    /// As [`Propagation::fixed_variance`].
    pub fn phase(&self, start: f64) -> Result<Phase, Error> {
        let q = self.fixed_variance(start)?;
        let slope = self.slopes(q)?.perpendicular;
        Ok(if (slope - 1.0).abs() < 1e-6 {
            Phase::Critical
        } else if slope < 1.0 {
            Phase::Ordered
        } else {
            Phase::Chaotic
        })
    }

    /// The tangent kernel of one input at infinite depth in the ordered phase, q*/(1 − χ⊥).
    ///
    /// ```
    /// use kernels_ntk::{Activation, Propagation};
    /// let layer = Propagation::new(Activation::erf(), 1.2, 0.3)?;
    /// let q = layer.fixed_variance(1.0)?;
    /// assert!(layer.deep_tangent(1.0)? > q);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] outside the ordered phase.
    pub fn deep_tangent(&self, start: f64) -> Result<f64, Error> {
        let q = self.fixed_variance(start)?;
        let slope = self.slopes(q)?.perpendicular;
        within("slope of directions", slope, slope < 1.0, "below 1 (the ordered phase)")?;
        Ok(q / (1.0 - slope))
    }
}

/// The edge of chaos: the σ_w at which χ⊥ = 1 at the fixed point of the variance, for a σ_b; with the variance.
///
/// ```
/// use kernels_ntk::{Activation, edge_of_chaos};
/// // tanh without bias is critical at σ_w = 1, ReLU at √2.
/// assert!((edge_of_chaos(&Activation::Tanh, 0.0)?.0 - 1.0).abs() < 1e-9);
/// assert!((edge_of_chaos(&Activation::relu(), 0.0)?.0 - 2.0_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoSolution`] when no variance between 1e-12 and 1e6 is a fixed point with slope 1.
pub fn edge_of_chaos(activation: &Activation, b_std: f64) -> Result<(f64, f64), Error> {
    activation.check_function()?;
    within("b_std", b_std, b_std >= 0.0, "a finite number, 0 or above")?;
    let b2 = b_std * b_std;
    if b2 <= 0.0 {
        match universality(activation)? {
            Universality::ScaleInvariant { w2 } => return Ok((w2.sqrt(), 1.0)),
            Universality::ZeroVariance { w2, .. } => return Ok((w2.sqrt(), 0.0)),
            _ => {}
        }
    }
    // With σ_w² = 1/E φ′² the slope is 1; the variance must then be a fixed point.
    let miss = |ln_q: f64| -> Result<f64, Error> {
        let q = ln_q.exp();
        let m = activation.moments(q)?;
        Ok((m.second / m.slope + b2 - q) / q)
    };
    let (from, to) = (1e-12_f64, 1e6_f64);
    let root = bracketed("edge of chaos", from.ln(), to.ln(), 120, miss)?;
    let q = root.exp();
    Ok(((1.0 / activation.moments(q)?.slope).sqrt(), q))
}

/// First change of sign of `f` on a grid, refined by bisection to rounding.
fn bracketed(
    what: &'static str,
    from: f64,
    to: f64,
    grid: usize,
    f: impl Fn(f64) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let at = |k: usize| from + (to - from) * k as f64 / grid as f64;
    let mut before = f(from)?;
    for k in 1..=grid {
        let now = f(at(k))?;
        if before.is_finite() && now.is_finite() && before.signum() * now.signum() < 0.0 {
            let (mut low, mut high) = (at(k - 1), at(k));
            let sign = before.signum();
            for _ in 0..80 {
                let middle = 0.5 * (low + high);
                if f(middle)?.signum() * sign > 0.0 {
                    low = middle;
                } else {
                    high = middle;
                }
                if high - low <= 1e-15 * (1.0 + high.abs()) {
                    break;
                }
            }
            return Ok(0.5 * (low + high));
        }
        before = now;
    }
    Err(Error::NoSolution { what, from: from.exp(), to: to.exp() })
}

/// The universality class of an activation.
///
/// ```
/// use kernels_ntk::{Activation, Universality, universality};
/// let class = universality(&Activation::Gelu)?;
/// let Universality::HalfStable { variance, .. } = class else { panic!("{class:?}") };
/// assert!((variance - (3.0 + 17.0_f64.sqrt()) / 2.0).abs() < 1e-9);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for an activation that is not a function.
pub fn universality(activation: &Activation) -> Result<Universality, Error> {
    activation.check_function()?;
    if let Activation::AbRelu { a, b } = activation {
        return Ok(Universality::ScaleInvariant { w2: 2.0 / (a * a + b * b) });
    }
    if activation.is_homogeneous() {
        return Ok(Universality::ScaleInvariant { w2: 1.0 / activation.moments(1.0)?.slope });
    }
    let f = |z| activation.value(z);
    let d = |z| activation.derivative(z);
    let smooth = activation.kinks().iter().all(|k| k.abs() > 0.1);
    if smooth && f(0.0).abs() < 1e-14 && d(0.0).abs() > 1e-8 {
        // Derivatives at 0 by central differences of φ′ with Richardson's step.
        let second = |h: f64| (d(h) - d(-h)) / (2.0 * h);
        let third = |h: f64| (d(h) - 2.0 * d(0.0) + d(-h)) / (h * h);
        let h = 2e-3;
        let (second, third) =
            ((4.0 * second(h) - second(2.0 * h)) / 3.0, (4.0 * third(h) - third(2.0 * h)) / 3.0);
        let slope = d(0.0);
        let decay = -(third / slope + 0.75 * (second / slope).powi(2));
        if decay > 1e-6 {
            return Ok(Universality::ZeroVariance { w2: 1.0 / (slope * slope), decay });
        }
    }
    // χ∥ = χ⊥ with σ_w² = 1/E φ′²: E φ²(z² − 1) = 2q E φ′².
    let miss = |ln_q: f64| -> Result<f64, Error> {
        let q = ln_q.exp();
        let m = activation.moments(q)?;
        Ok(m.second_weighted / (2.0 * q * m.slope) - 1.0)
    };
    match bracketed("equal slopes", 1e-3_f64.ln(), 1e3_f64.ln(), 60, miss) {
        Ok(root) => {
            let variance = root.exp();
            let m = activation.moments(variance)?;
            let (w2, b2) = (1.0 / m.slope, variance - m.second / m.slope);
            Ok(if b2 >= 0.0 { Universality::HalfStable { variance, w2, b2 } } else { Universality::None })
        }
        Err(Error::NoSolution { .. }) => Ok(Universality::None),
        Err(error) => Err(error),
    }
}
