//! The kernel density integral transformation.

use kernels_core::{Points, Rows};

use super::bandwidth::range;
use crate::{Error, error, parallel};

/// The kernel of a [`KernelDensityIntegral`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum IntegralMethod {
    /// Gaussian, by sums of error functions: O(n) a value.
    Gaussian,
    /// Σ_{k ≤ p} |u|ᵏ e^(−|u|)/(2(p + 1) k!) of this order p, scaled to the Gaussian's smoothing: exact sums over sorted data, O(log n) a value.
    PolynomialExponential(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Factor {
    Times(f64),
    Scott,
    Silverman,
}

/// Maps every feature through the distribution function of its own density estimate, scaled so that the training range
/// becomes [0, 1]: between min-max scaling (bandwidth factor → ∞) and the quantile transform (→ 0).
///
/// T(x) = (F(x) − F(min))/(F(max) − F(min)), with bandwidth `factor` times the feature's standard deviation.
///
/// Reference: McCarter, *The kernel density integral transformation* (2023).
///
/// ```
/// use kernels_core::{Points, Rows};
/// use kernels_sample::KernelDensityIntegral;
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 100.0], 4, 1)?;
/// let model = KernelDensityIntegral::new().fit(&xs)?;
/// let t = model.transform(&xs)?;
/// assert_eq!((t.point(0)[0], t.point(3)[0]), (0.0, 1.0));
/// let back = model.inverse(&t)?;
/// assert!((back.point(1)[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelDensityIntegral {
    factor: Factor,
    method: IntegralMethod,
    normal: bool,
}

impl Default for KernelDensityIntegral {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelDensityIntegral {
    /// With factor 1 and polynomial-exponential kernels of order 4.
    pub fn new() -> Self {
        Self { factor: Factor::Times(1.0), method: IntegralMethod::PolynomialExponential(4), normal: false }
    }

    /// Bandwidth in standard deviations.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = Factor::Times(factor);
        self
    }

    /// Factor n^(−1/5).
    pub fn scott(mut self) -> Self {
        self.factor = Factor::Scott;
        self
    }

    /// Factor (3n/4)^(−1/5).
    pub fn silverman(mut self) -> Self {
        self.factor = Factor::Silverman;
        self
    }

    /// Sets the kernel.
    pub fn method(mut self, method: IntegralMethod) -> Self {
        self.method = method;
        self
    }

    /// Whether the transformation goes on to normal scores Φ⁻¹(T), T cut to [10⁻⁷, 1 − 10⁻⁷]: features that look normal instead of uniform.
    pub fn normal_scores(mut self, normal: bool) -> Self {
        self.normal = normal;
        self
    }

    /// Learns every feature's distribution. A constant feature becomes a step.
    ///
    /// **Errors.** No points, values that are not finite, a factor that is not positive.
    pub fn fit(&self, xs: &Rows<f64>) -> Result<KernelDensityIntegralModel, Error> {
        let (n, d) = (xs.len(), xs.dim());
        error::at_least("a kernel density integral", 1, n)?;
        xs.check_finite()?;
        let factor = match self.factor {
            Factor::Times(factor) => error::positive("factor of the bandwidth", factor)?,
            Factor::Scott => (n as f64).powf(-0.2),
            Factor::Silverman => (0.75 * n as f64).powf(-0.2),
        };
        let features = parallel::map(d, |j| {
            let mut x: Vec<f64> = (0..n).map(|i| xs.point(i)[j]).collect();
            x.sort_by(f64::total_cmp);
            Feature::new(x, factor, self.method)
        });
        Ok(KernelDensityIntegralModel { version: crate::Version, features, normal: self.normal })
    }
}

/// One feature's distribution function.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Feature {
    /// Sorted training values.
    x: Vec<f64>,
    h: f64,
    /// Polynomial of the kernel's tail function, empty for the Gaussian.
    tail: Vec<f64>,
    /// Left and right moments at the training values, for the polynomial-exponential kernels.
    left: Vec<f64>,
    right: Vec<f64>,
    base: f64,
    scale: f64,
}

impl Feature {
    fn new(x: Vec<f64>, factor: f64, method: IntegralMethod) -> Self {
        let n = x.len() as f64;
        let (low, high) = range(&x);
        let spread = high - low;
        let mut feature =
            Self { x, h: 0.0, tail: Vec::new(), left: Vec::new(), right: Vec::new(), base: low, scale: 0.0 };
        if spread.is_nan() || spread <= 0.0 {
            return feature;
        }
        // In units of the range: no overflow of squares.
        let mean = feature.x.iter().map(|x| (x - low) / spread).sum::<f64>() / n;
        let square: f64 = feature.x.iter().map(|x| ((x - low) / spread - mean).powi(2)).sum();
        match method {
            IntegralMethod::Gaussian => feature.h = factor * spread * (square / (n - 1.0)).sqrt(),
            IntegralMethod::PolynomialExponential(order) => {
                let p = order;
                feature.h = factor * spread * (square / n).sqrt() * polynomial_width(p);
                let mut factorial = 1.0;
                for j in 0..=p {
                    if j > 0 {
                        factorial *= j as f64;
                    }
                    feature.tail.push((p + 1 - j) as f64 / (2.0 * (p + 1) as f64 * factorial));
                }
                feature.left = moments(&feature.x, feature.h, p);
                let mirrored: Vec<f64> = feature.x.iter().rev().map(|x| -x).collect();
                feature.right = moments(&mirrored, feature.h, p);
            }
        }
        let (base, top) = (feature.distribution(low), feature.distribution(high));
        (feature.base, feature.scale) = (base, 1.0 / (top - base));
        feature
    }

    fn constant(&self) -> bool {
        self.scale == 0.0
    }

    /// F(t).
    fn distribution(&self, t: f64) -> f64 {
        let n = self.x.len();
        if self.tail.is_empty() {
            let unit = 1.0 / (self.h * std::f64::consts::SQRT_2);
            return self.x.iter().map(|x| 0.5 * libm::erfc((x - t) * unit)).sum::<f64>() / n as f64;
        }
        let order = self.tail.len() - 1;
        let below = self.x.partition_point(|x| *x <= t);
        let tail = |moments: &[f64], shift: f64| -> f64 {
            let mut at = moments.to_vec();
            advance(&mut at, shift);
            at.iter().zip(&self.tail).map(|(m, c)| m * c).sum()
        };
        let left = match below {
            0 => 0.0,
            i => {
                let m = &self.left[(i - 1) * (order + 1)..i * (order + 1)];
                i as f64 - tail(m, (t - self.x[i - 1]) / self.h)
            }
        };
        let right = match n - below {
            0 => 0.0,
            i => tail(&self.right[(i - 1) * (order + 1)..i * (order + 1)], (self.x[below] - t) / self.h),
        };
        (left + right) / n as f64
    }

    fn forward(&self, t: f64) -> f64 {
        if self.constant() {
            return if t > self.base { 1.0 } else { 0.0 };
        }
        (self.distribution(t) - self.base) * self.scale
    }

    /// x in the training range with T(x) = p, by bisection between training values.
    fn backward(&self, p: f64) -> f64 {
        let (first, last) = (self.x[0], self.x[self.x.len() - 1]);
        if self.constant() || p <= 0.0 {
            return first;
        }
        if p >= 1.0 {
            return last;
        }
        let after = self.x.partition_point(|x| self.forward(*x) < p).clamp(1, self.x.len() - 1);
        let (mut low, mut high) = (self.x[after - 1], self.x[after]);
        for _ in 0..100 {
            let middle = low + 0.5 * (high - low);
            if middle <= low || middle >= high {
                break;
            }
            if self.forward(middle) < p { low = middle } else { high = middle }
        }
        low + 0.5 * (high - low)
    }
}

/// h of a polynomial-exponential kernel that smooths as a Gaussian of h = 1: (2√π R(K)/Var(K)²)^(1/5).
fn polynomial_width(p: usize) -> f64 {
    let factorial = |k: usize| (1..=k).map(|i| i as f64).product::<f64>();
    let beta = |k: usize| 1.0 / (2.0 * (p + 1) as f64 * factorial(k));
    let mut roughness = 0.0;
    for j in 0..=p {
        for k in 0..=p {
            roughness += beta(j) * beta(k) * factorial(j + k) / ((j + k) as f64).exp2();
        }
    }
    let variance: f64 = 2.0 * (0..=p).map(|k| beta(k) * factorial(k + 2)).sum::<f64>();
    (2.0 * std::f64::consts::PI.sqrt() * roughness / (variance * variance)).powf(0.2)
}

/// Moments Σ_{i ≤ j} ((xⱼ − xᵢ)/h)ᵏ e^(−(xⱼ − xᵢ)/h) for k ≤ `order`, at every value of a sorted list. All terms are positive: no
/// cancellation at any h.
fn moments(x: &[f64], h: f64, order: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len() * (order + 1));
    let mut now = vec![0.0; order + 1];
    let mut last = None;
    for &x in x {
        if let Some(last) = last {
            advance(&mut now, (x - last) / h);
        }
        now[0] += 1.0;
        out.extend_from_slice(&now);
        last = Some(x);
    }
    out
}

/// The moments seen from `shift` further to the right.
fn advance(moments: &mut [f64], shift: f64) {
    let decay = (-shift).exp();
    if shift == 0.0 {
        return;
    }
    for k in (0..moments.len()).rev() {
        // Σ C(k, r) shift^(k − r) m_r, by Horner's rule from r = 0.
        let (mut sum, mut binomial) = (0.0, 1.0);
        for r in 0..=k {
            if r > 0 {
                binomial *= (k - r + 1) as f64 / r as f64;
            }
            sum = sum * shift + binomial * moments[r];
        }
        moments[k] = if decay == 0.0 { 0.0 } else { sum * decay };
    }
}

/// A fitted [`KernelDensityIntegral`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Stored"))]
pub struct KernelDensityIntegralModel {
    version: crate::Version,
    features: Vec<Feature>,
    normal: bool,
}

/// A model as it stands in a file, before it has been looked at.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Stored {
    version: crate::Version,
    features: Vec<Feature>,
    normal: bool,
}

#[cfg(feature = "serde")]
impl TryFrom<Stored> for KernelDensityIntegralModel {
    type Error = Error;

    fn try_from(s: Stored) -> Result<Self, Error> {
        let whole = s.features.iter().all(|f| {
            let moments = f.x.len() * f.tail.len();
            !f.x.is_empty() && (f.constant() || f.left.len() == moments && f.right.len() == moments)
        });
        if !whole {
            return Err(Error::Damaged { what: "values and moments of a feature differ in number" });
        }
        Ok(Self { version: s.version, features: s.features, normal: s.normal })
    }
}

impl KernelDensityIntegralModel {
    fn map(
        &self,
        xs: &Rows<f64>,
        f: impl Fn(&Feature, f64) -> f64 + Sync + Send,
    ) -> Result<Rows<f64>, Error> {
        error::expect("number of features", self.features.len(), xs.dim())?;
        xs.check_finite()?;
        let rows = parallel::map(xs.len(), |i| -> Vec<f64> {
            xs.point(i).iter().zip(&self.features).map(|(&x, feature)| f(feature, x)).collect()
        });
        Ok(Rows::from_row_major(rows.concat(), xs.len(), xs.dim())?)
    }

    /// T of every value, or its normal score. Beyond the training range values of T go a little below 0 or above 1.
    ///
    /// **Errors.** Another number of features, values that are not finite.
    pub fn transform(&self, xs: &Rows<f64>) -> Result<Rows<f64>, Error> {
        self.map(xs, |feature, x| {
            let t = feature.forward(x);
            if self.normal { normal_quantile(t.clamp(CUT, 1.0 - CUT)) } else { t }
        })
    }

    /// The training-range value that T maps to each value of [0, 1], or to each normal score.
    ///
    /// **Errors.** As [`KernelDensityIntegralModel::transform`].
    pub fn inverse(&self, ts: &Rows<f64>) -> Result<Rows<f64>, Error> {
        self.map(ts, |feature, t| feature.backward(if self.normal { normal_distribution(t) } else { t }))
    }
}

/// Normal scores come from T no closer to 0 and 1 than this.
const CUT: f64 = 1e-7;

/// Φ(z).
fn normal_distribution(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Φ⁻¹(p), p within [10⁻⁷, 1 − 10⁻⁷]: Newton's method on ln Φ of the smaller tail, which is concave: from the left it does not overshoot.
fn normal_quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p);
    let mut z = -6.0;
    for _ in 0..50 {
        let (f, density) = (normal_distribution(z), (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt());
        let step = (tail / f).ln() * f / density;
        z += step;
        if step.abs() <= 1e-15 * z.abs() {
            break;
        }
    }
    // Rounding at the middle must not change sides.
    if p < 0.5 { z.min(0.0) } else { -z.min(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomial_exponential_sums() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/reference/kdi.json")).unwrap();
        let list = |v: &serde_json::Value| -> Vec<f64> {
            v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        for case in file["polyexp_exact_sums"]["cases"].as_array().unwrap() {
            let (x, q, betas) = (list(&case["x_sorted"]), list(&case["q_sorted"]), list(&case["betas"]));
            let (h, p) = (case["h"].as_f64().unwrap(), betas.len() - 1);
            let left = moments(&x, h, p);
            let mirrored: Vec<f64> = x.iter().rev().map(|x| -x).collect();
            let right = moments(&mirrored, h, p);
            for (t, expected) in q.iter().zip(list(&case["sum_over_j"])) {
                let below = x.partition_point(|x| x <= t);
                let side = |moments: &[f64], count: usize, shift: f64| -> f64 {
                    if count == 0 {
                        return 0.0;
                    }
                    let mut m = moments[(count - 1) * (p + 1)..count * (p + 1)].to_vec();
                    advance(&mut m, shift / h);
                    m.iter().zip(&betas).map(|(m, b)| m * b).sum()
                };
                let got = side(&left, below, if below > 0 { t - x[below - 1] } else { 0.0 })
                    + side(&right, x.len() - below, if below < x.len() { x[below] - t } else { 0.0 });
                // Positive terms only: relative rounding of a chain of 60 products, each with the rounding of its exponent.
                assert!(
                    (got - expected).abs() <= 1e-12 * expected,
                    "h = {h}, p = {p}, t = {t}: {got:e}, {expected:e}"
                );
            }
        }
        for case in file["polyexp_constants"].as_array().unwrap() {
            let got = polynomial_width(case["order"].as_u64().unwrap() as usize);
            let expected = case["h_for_unit_gaussian_h"].as_f64().unwrap();
            assert!((got - expected).abs() < 1e-13, "{got}, {expected}");
        }
    }
}
