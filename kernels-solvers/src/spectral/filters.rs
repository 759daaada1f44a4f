//! The filters.

use nalgebra::Complex;

use super::Filter;
use crate::{
    Error,
    data::{at_least, positive},
};

/// Ridge regression: g(λ) = 1/(λ + η). Its unnormalised ridge is α = nη. Qualification 1.
///
/// ```
/// use kernels_solvers::spectral::{Filter, Tikhonov};
/// let ridge = Tikhonov::new(0.5)?;
/// assert_eq!((ridge.value(0.5), ridge.residual(0.5), ridge.qualification()), (1.0, 0.5, 1.0));
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tikhonov {
    eta: f64,
}

impl Tikhonov {
    /// With η > 0.
    ///
    /// # Errors
    /// An η that is not positive.
    pub fn new(eta: f64) -> Result<Self, Error> {
        Ok(Self { eta: positive("eta", eta)? })
    }
}

impl Filter for Tikhonov {
    fn value(&self, lambda: f64) -> f64 {
        1.0 / (lambda + self.eta)
    }
    fn residual(&self, lambda: f64) -> f64 {
        self.eta / (lambda + self.eta)
    }
    fn analytic_residual(&self, z: Complex<f64>) -> Option<Complex<f64>> {
        Some(Complex::from(self.eta) / (z + self.eta))
    }
    fn qualification(&self) -> f64 {
        1.0
    }
    fn scale(&self) -> f64 {
        self.eta
    }
}

/// Ridge regression of the residuals, q times over: 1 − λ g(λ) = (η/(λ + η))^q. Qualification q.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IteratedTikhonov {
    eta: f64,
    order: usize,
}

impl IteratedTikhonov {
    /// With η > 0 and order q ≥ 1.
    ///
    /// # Errors
    /// An η that is not positive, order 0.
    pub fn new(eta: f64, order: usize) -> Result<Self, Error> {
        at_least("the order of iterated Tikhonov regularization", 1, order)?;
        Ok(Self { eta: positive("eta", eta)?, order })
    }
}

impl Filter for IteratedTikhonov {
    fn value(&self, lambda: f64) -> f64 {
        // Σ_{i<q} ηⁱ/(λ + η)^(i+1): no difference of near numbers.
        let ratio = self.eta / (lambda + self.eta);
        (0..self.order).map(|i| ratio.powf(i as f64)).sum::<f64>() / (lambda + self.eta)
    }
    fn residual(&self, lambda: f64) -> f64 {
        (self.eta / (lambda + self.eta)).powf(self.order as f64)
    }
    fn analytic_residual(&self, z: Complex<f64>) -> Option<Complex<f64>> {
        Some((Complex::from(self.eta) / (z + self.eta)).powf(self.order as f64))
    }
    fn qualification(&self) -> f64 {
        self.order as f64
    }
    fn scale(&self) -> f64 {
        self.eta / self.order as f64
    }
}

/// Gradient flow for time t: g(λ) = (1 − e^(−tλ))/λ. Never saturates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientFlow {
    time: f64,
}

impl GradientFlow {
    /// Until time t > 0.
    ///
    /// # Errors
    /// A time that is not positive.
    pub fn new(time: f64) -> Result<Self, Error> {
        Ok(Self { time: positive("time", time)? })
    }
}

impl Filter for GradientFlow {
    fn value(&self, lambda: f64) -> f64 {
        if lambda > 0.0 { -(-self.time * lambda).exp_m1() / lambda } else { self.time }
    }
    fn residual(&self, lambda: f64) -> f64 {
        (-self.time * lambda).exp()
    }
    fn analytic_residual(&self, z: Complex<f64>) -> Option<Complex<f64>> {
        Some((-z * self.time).exp())
    }
    fn qualification(&self) -> f64 {
        f64::INFINITY
    }
    fn scale(&self) -> f64 {
        1.0 / self.time
    }
}

/// Gradient descent (Landweber): t steps c ← c + (s/n)(y − Kc), so that 1 − λ g(λ) = (1 − sλ)ᵗ. It needs s < 2/λ₁; never
/// saturates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientDescent {
    step: f64,
    iterations: usize,
}

impl GradientDescent {
    /// With step s > 0 and a number of steps.
    ///
    /// # Errors
    /// A step that is not positive.
    pub fn new(step: f64, iterations: usize) -> Result<Self, Error> {
        Ok(Self { step: positive("step", step)?, iterations })
    }
}

impl Filter for GradientDescent {
    fn value(&self, lambda: f64) -> f64 {
        let shrink = self.step * lambda;
        if shrink <= 0.0 {
            return self.step * self.iterations as f64;
        }
        if shrink < 1.0 {
            -(self.iterations as f64 * (-shrink).ln_1p()).exp_m1() / lambda
        } else {
            (1.0 - self.residual(lambda)) / lambda
        }
    }
    fn residual(&self, lambda: f64) -> f64 {
        let base = 1.0 - self.step * lambda;
        let size = base.abs().powf(self.iterations as f64);
        if base < 0.0 && self.iterations % 2 == 1 { -size } else { size }
    }
    fn analytic_residual(&self, z: Complex<f64>) -> Option<Complex<f64>> {
        Some((Complex::from(1.0) - z * self.step).powf(self.iterations as f64))
    }
    fn qualification(&self) -> f64 {
        f64::INFINITY
    }
    fn scale(&self) -> f64 {
        1.0 / (self.step * self.iterations.max(1) as f64)
    }
    fn recursion(&self) -> Option<Recursion> {
        Some(Recursion(vec![Step { momentum: 0.0, rate: self.step, ahead: false }; self.iterations]))
    }
}

/// Spectral cut-off: g(λ) = 1/λ for λ ≥ η, else 0: principal components regression. Never saturates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutOff {
    threshold: f64,
}

impl CutOff {
    /// With threshold η > 0.
    ///
    /// # Errors
    /// A threshold that is not positive.
    pub fn new(threshold: f64) -> Result<Self, Error> {
        Ok(Self { threshold: positive("threshold", threshold)? })
    }
}

impl Filter for CutOff {
    fn value(&self, lambda: f64) -> f64 {
        if lambda >= self.threshold { 1.0 / lambda } else { 0.0 }
    }
    fn residual(&self, lambda: f64) -> f64 {
        if lambda >= self.threshold { 0.0 } else { 1.0 }
    }
    fn qualification(&self) -> f64 {
        f64::INFINITY
    }
    fn scale(&self) -> f64 {
        self.threshold
    }
}

/// Nesterov's accelerated gradient descent with momentum (k − 1)/(k + 2); it needs s ≤ 1/λ₁. As good as t² steps of descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nesterov {
    step: f64,
    iterations: usize,
}

impl Nesterov {
    /// With step s > 0 and a number of steps.
    ///
    /// # Errors
    /// A step that is not positive.
    pub fn new(step: f64, iterations: usize) -> Result<Self, Error> {
        Ok(Self { step: positive("step", step)?, iterations })
    }

    fn steps(&self) -> Recursion {
        let momentum = |k: usize| (k as f64 - 1.0) / (k as f64 + 2.0);
        Recursion(
            (1..=self.iterations)
                .map(|k| Step { momentum: momentum(k), rate: self.step, ahead: true })
                .collect(),
        )
    }
}

impl Filter for Nesterov {
    fn value(&self, lambda: f64) -> f64 {
        self.steps().value(lambda)
    }
    fn qualification(&self) -> f64 {
        // Where λ is small the residual is near 2 J₁(x)/x at x = t √(sλ), which falls like x^(−3/2): λ^q of it is of order t^(−2q)
        // up to q = ¾ and no better after.
        0.75
    }
    fn scale(&self) -> f64 {
        1.0 / (self.step * (self.iterations.max(1) as f64).powi(2))
    }
    fn recursion(&self) -> Option<Recursion> {
        Some(self.steps())
    }
}

/// The ν-method (Brakhage): Jacobi polynomials, as good as t² steps of descent, qualification ν.
///
/// It works on K/(n s), whose norm the scale s must bring to at most 1: the largest eigenvalue of K/n, or the largest
/// k(x, x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NuMethod {
    nu: f64,
    iterations: usize,
    bound: f64,
}

impl NuMethod {
    /// With ν > 0, a number of steps, and a bound of the largest eigenvalue of K/n.
    ///
    /// # Errors
    /// A ν or bound that is not positive.
    pub fn new(nu: f64, iterations: usize, bound: f64) -> Result<Self, Error> {
        Ok(Self { nu: positive("nu", nu)?, iterations, bound: positive("bound", bound)? })
    }

    fn steps(&self) -> Recursion {
        let nu = self.nu;
        let step = |k: usize| {
            if k == 1 {
                let rate = (4.0 * nu + 2.0) / (4.0 * nu + 1.0) / self.bound;
                return Step { momentum: 0.0, rate, ahead: false };
            }
            let k = k as f64;
            let below = (k + 2.0 * nu - 1.0) * (2.0 * k + 4.0 * nu - 1.0);
            let momentum =
                (k - 1.0) * (2.0 * k - 3.0) * (2.0 * k + 2.0 * nu - 1.0) / (below * (2.0 * k + 2.0 * nu - 3.0));
            let rate = 4.0 * (2.0 * k + 2.0 * nu - 1.0) * (k + nu - 1.0) / below / self.bound;
            Step { momentum, rate, ahead: false }
        };
        Recursion((1..=self.iterations).map(step).collect())
    }
}

impl Filter for NuMethod {
    fn value(&self, lambda: f64) -> f64 {
        self.steps().value(lambda)
    }
    fn qualification(&self) -> f64 {
        self.nu
    }
    fn scale(&self) -> f64 {
        self.bound / (self.iterations.max(1) as f64).powi(2)
    }
    fn recursion(&self) -> Option<Recursion> {
        Some(self.steps())
    }
}

/// One step of a recursion: c' = c + m(c − c₋₁) + (r/n)(y − Kz), with z = c, or z = c + m(c − c₋₁) when looking ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// m.
    pub momentum: f64,
    /// r.
    pub rate: f64,
    /// Whether the residual is taken where momentum leads.
    pub ahead: bool,
}

/// The steps of a polynomial filter, from c = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursion(pub Vec<Step>);

impl Recursion {
    /// g(λ): the recursion run on one number.
    pub fn value(&self, lambda: f64) -> f64 {
        let (mut before, mut g) = (0.0, 0.0);
        for step in &self.0 {
            let moved = g + step.momentum * (g - before);
            let at = if step.ahead { moved } else { g };
            (before, g) = (g, moved + step.rate * (1.0 - lambda * at));
        }
        g
    }
}
