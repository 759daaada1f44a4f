//! Corrections of order 1/width.

use crate::{Activation, Error, error::within};

/// How weights are drawn, for corrections at finite width. At infinite width all with independent, orthogonal or suitable
/// structured weights of one variance agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightLaw {
    /// Independent normal weights.
    Gaussian,
    /// Haar-orthogonal matrices.
    Orthogonal,
}

/// One input at finite width n: variance K, tangent kernel Θ, and at order 1/n the connected four-point vertex V
/// (E z_a² z_b² = K² + V/n) and the correction G of the variance.
///
/// ```
/// use kernels_ntk::{Activation, FiniteWidth, WeightLaw};
/// let mut layer = FiniteWidth::new(Activation::relu(), 2.0, 0.0, WeightLaw::Gaussian, 1.0, 1.0)?;
/// for _ in 0..3 {
///     layer.advance()?;
/// }
/// // V = 5 (l − 1) K² for critical ReLU.
/// assert!((layer.variance() - 1.0).abs() < 1e-13 && (layer.vertex() - 15.0).abs() < 1e-11);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Roberts, Yaida & Hanin (2022), chapters 4 and 8.
#[derive(Clone, Debug, PartialEq)]
pub struct FiniteWidth {
    activation: Activation,
    w2: f64,
    b2: f64,
    law: WeightLaw,
    k: f64,
    theta: f64,
    vertex: f64,
    correction: f64,
    rates: (f64, f64),
}

impl FiniteWidth {
    /// A first layer of variance `k` and tangent kernel `theta`, followed by layers with these variances of weights and biases.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn new(
        activation: Activation,
        w2: f64,
        b2: f64,
        law: WeightLaw,
        k: f64,
        theta: f64,
    ) -> Result<Self, Error> {
        activation.check_function()?;
        for (name, value) in [("weight variance", w2), ("bias variance", b2), ("tangent kernel", theta)] {
            within(name, value, value >= 0.0, "a finite number, 0 or above")?;
        }
        within("variance", k, k > 0.0, "a finite number above 0")?;
        let rates = (b2, w2);
        Ok(Self { activation, w2, b2, law, k, theta, vertex: 0.0, correction: 0.0, rates })
    }

    /// One layer more.
    ///
    /// # Errors
    /// [`Error::Value`] when the variance has become 0 or infinite.
    pub fn advance(&mut self) -> Result<(), Error> {
        let k = within("variance", self.k, self.k > 0.0, "a finite number above 0")?;
        let m = self.activation.moments(k)?;
        let parallel = self.w2 * m.second_weighted / (2.0 * k);
        let curvature = self.w2 * m.second_fourth;
        let pairs = match self.law {
            WeightLaw::Gaussian => 1.0,
            WeightLaw::Orthogonal => 3.0,
        };
        self.correction = parallel * self.correction + curvature * self.vertex / (8.0 * k * k);
        self.vertex =
            parallel * parallel * self.vertex + self.w2 * self.w2 * (m.fourth - pairs * m.second * m.second);
        self.theta = self.rates.0 + self.rates.1 * m.second + self.w2 * m.slope * self.theta;
        self.k = self.b2 + self.w2 * m.second;
        Ok(())
    }

    /// K
    pub fn variance(&self) -> f64 {
        self.k
    }

    /// Θ
    pub fn tangent(&self) -> f64 {
        self.theta
    }

    /// V
    pub fn vertex(&self) -> f64 {
        self.vertex
    }

    /// G, for Gaussian weights.
    pub fn correction(&self) -> f64 {
        self.correction
    }
}
