//! Kernels of infinitely wide controlled residual networks on paths.

use kernels_core::{Points, Rows};

use crate::{
    Activation, Error,
    dual::Covariance,
    error::{same, within},
};

/// The limit of controlled networks S_{i+1} = S_i + Σ_k (A_k φ(S_i) + b_k) Δx^k_i with S₀ ~ N(0, σ₀²), A ~ N(0, σ_A²/width),
/// b ~ N(0, σ_b²), read out by a normal vector. A path is the rows of its points in time.
///
/// With shared weights K solves ∂²K/∂s∂t = (σ_A² V(K^xx(s,s), K(s,t), K^yy(t,t)) + σ_b²) ⟨x′(s), y′(t)⟩ with K = σ₀² on the border,
/// V the dual of φ; the identity gives the signature kernel of scaled paths.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_ntk::{Activation, NeuralSignature};
/// let kernel = NeuralSignature::new(Activation::Identity, 1.0, 1.0, 0.0)?.refinement(64)?;
/// let line = |to: f64| Rows::from_row_major(vec![0.0, to], 2, 1);
/// // Of two lines the signature kernel is the Bessel function I₀(2√⟨x, y⟩).
/// let value = kernel.evaluate(&line(1.0)?, &line(1.0)?)?;
/// assert!((value - 2.279585302336067).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Reference: Muca Cirone, Lemercier & Salvi, *Neural signature kernels as infinite-width-depth-limits of controlled ResNets* (2023).
#[derive(Clone, Debug, PartialEq)]
pub struct NeuralSignature {
    activation: Activation,
    start: f64,
    weights: f64,
    bias: f64,
    refinement: usize,
    extrapolated: bool,
}

impl NeuralSignature {
    /// With σ₀, σ_A and σ_b.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn new(activation: Activation, sigma_0: f64, sigma_a: f64, sigma_b: f64) -> Result<Self, Error> {
        activation.check()?;
        for (name, value) in [("sigma_0", sigma_0), ("sigma_A", sigma_a), ("sigma_b", sigma_b)] {
            within(name, value, value >= 0.0, "a finite number, 0 or above")?;
        }
        Ok(Self {
            activation,
            start: sigma_0 * sigma_0,
            weights: sigma_a * sigma_a,
            bias: sigma_b * sigma_b,
            refinement: 1,
            extrapolated: true,
        })
    }

    /// Steps a segment of a path is cut into. Default 1.
    ///
    /// # Errors
    /// [`Error::Value`] for 0.
    pub fn refinement(mut self, steps: usize) -> Result<Self, Error> {
        within("refinement", steps as f64, steps > 0, "1 or above")?;
        self.refinement = steps;
        Ok(self)
    }

    /// Whether the first-order scheme is run at once, twice and four times the refinement and extrapolated to step 0 (the
    /// default), which leaves an error of third order.
    pub fn extrapolated(mut self, yes: bool) -> Self {
        self.extrapolated = yes;
        self
    }

    /// The kernel of two paths with weights shared over depth.
    ///
    /// # Errors
    /// [`Error::Shape`] for paths of different dimension or without points. **Complexity.** O(lengths · refinement²).
    pub fn evaluate(&self, x: &Rows<f64>, y: &Rows<f64>) -> Result<f64, Error> {
        same("features of the second path", x.dim(), y.dim())?;
        for path in [x, y] {
            if path.is_empty() {
                return Err(Error::Shape { what: "points of a path (at least)", expected: 1, given: 0 });
            }
        }
        let at = |n: usize| self.explicit(x, y, n);
        if !self.extrapolated {
            return Ok(at(self.refinement));
        }
        let n = self.refinement;
        let (a, b, c) = (at(n), at(2 * n), at(4 * n));
        let (ab, bc) = (2.0 * b - a, 2.0 * c - b);
        Ok((4.0 * bc - ab) / 3.0)
    }

    fn rate(&self, a: f64, b: f64, c: f64) -> f64 {
        self.weights * self.activation.dual_at(&Covariance::new(a.max(0.0), b, c.max(0.0))).value + self.bias
    }

    /// Own values K(s, s) along a path.
    fn own(&self, x: &Rows<f64>, n: usize) -> Vec<f64> {
        let steps = x.len().saturating_sub(1) * n;
        let mut diagonal = vec![self.start];
        let mut before = vec![self.start];
        for i in 0..steps {
            // Row i + 1 of the lower triangle from row i.
            let mut row = vec![self.start; i + 2];
            for j in 0..=i {
                let g = increments(x, i / n, x, j / n) / (n * n) as f64;
                let above = if j == i { row[i] } else { before[j + 1] };
                let here = before[j];
                row[j + 1] = row[j] + above - here + self.rate(diagonal[i], here, diagonal[j]) * g;
            }
            diagonal.push(row[i + 1]);
            before = row;
        }
        diagonal
    }

    fn explicit(&self, x: &Rows<f64>, y: &Rows<f64>, n: usize) -> f64 {
        let (a, c) = (self.own(x, n), self.own(y, n));
        let mut before = vec![self.start; c.len()];
        for (i, &own) in a.iter().enumerate().take(a.len() - 1) {
            let mut row = vec![self.start; c.len()];
            for j in 0..c.len() - 1 {
                let g = increments(x, i / n, y, j / n) / (n * n) as f64;
                let here = before[j];
                row[j + 1] = row[j] + before[j + 1] - here + self.rate(own, here, c[j]) * g;
            }
            before = row;
        }
        before.last().copied().unwrap_or(self.start)
    }

    /// The kernel of two paths of equal times `0 = t₀ < … < 1`, evenly spaced, with weights of their own at every depth: an
    /// ordinary differential equation dκ/dt = (σ_A² V(κ^xx, κ^xy, κ^yy) + σ_b²) ⟨x′, y′⟩, by explicit steps.
    ///
    /// # Errors
    /// [`Error::Shape`] for paths of different lengths or dimensions.
    pub fn inhomogeneous(&self, x: &Rows<f64>, y: &Rows<f64>) -> Result<f64, Error> {
        same("features of the second path", x.dim(), y.dim())?;
        same("points of the second path", x.len(), y.len())?;
        let segments = x.len().saturating_sub(1);
        let step = 1.0 / segments.max(1) as f64;
        let n = self.refinement;
        let (mut xx, mut xy, mut yy) = (self.start, self.start, self.start);
        for i in 0..segments * n {
            let g = |a: &Rows<f64>, b: &Rows<f64>| increments(a, i / n, b, i / n) / (step * n as f64);
            let (dxx, dxy, dyy) = (self.rate(xx, xx, xx), self.rate(xx, xy, yy), self.rate(yy, yy, yy));
            xx += dxx * g(x, x);
            xy += dxy * g(x, y);
            yy += dyy * g(y, y);
        }
        Ok(xy)
    }
}

/// ⟨x_{i+1} − x_i, y_{j+1} − y_j⟩.
fn increments(x: &Rows<f64>, i: usize, y: &Rows<f64>, j: usize) -> f64 {
    let (a, b, c, d) = (x.point(i), x.point(i + 1), y.point(j), y.point(j + 1));
    (0..a.len()).map(|k| (b[k] - a[k]) * (d[k] - c[k])).sum()
}
