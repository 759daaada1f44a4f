//! Derivatives of duals by variances and covariance, for gradients by hyper-parameters.

use std::{
    f64::consts::{FRAC_PI_2, PI},
    ops::{Add, Div, Mul, Neg, Sub},
};

use super::{Covariance, Dual, quadrature};
use crate::{Activation, HermiteSeries, hermite};

/// A dual with the derivatives of its value and of its derivative by q₁₁, q₁₂ and q₂₂.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Slopes {
    pub(crate) value: f64,
    pub(crate) derivative: f64,
    pub(crate) of_value: [f64; 3],
    pub(crate) of_derivative: [f64; 3],
}

/// Beyond this share of q₁₁q₂₂ a determinant is 0: angles of kinked functions do not change to first order when a parameter moves two
/// points that are as good as parallel.
const PARALLEL: f64 = 1e-15;

/// The dual of a variable with itself as a function of its variance: E φ², E φ′² and their derivatives.
pub(crate) fn own(phi: &Activation, q: f64) -> [f64; 4] {
    match phi {
        Activation::AbRelu { a, b } => {
            let mean = 0.5 * (a * a + b * b);
            let slope = if q > 0.0 { mean } else { a * b + 0.25 * (a - b) * (a - b) };
            [mean * q, slope, mean, 0.0]
        }
        Activation::Sign => [f64::from(u8::from(q > 0.0)), 0.0, 0.0, 0.0],
        Activation::Rectified { power } => {
            let d = phi.dual_at(&Covariance::own(q));
            let p = f64::from(*power);
            let by = |f: f64, degree: f64| if q > 0.0 { degree * f / q } else { 0.0 };
            [d.value, d.derivative, by(d.value, p), by(d.derivative, p - 1.0)]
        }
        _ => match smooth(phi, &Covariance::own(q)) {
            Some(s) => {
                let sum = |v: [f64; 3]| v.iter().sum::<f64>();
                [s.value, s.derivative, sum(s.of_value), sum(s.of_derivative)]
            }
            None => {
                // d E f(√q z)²/dq = E f² (z² − 1)/(2q).
                let Ok(m) = phi.moments(q) else { return [f64::NAN; 4] };
                let by = |weighted: f64| if q > 0.0 { weighted / (2.0 * q) } else { 0.0 };
                [m.second, m.slope, by(m.second_weighted), by(m.slope_weighted)]
            }
        },
    }
}

/// The dual of a pair; `series` are the Hermite series at both variances, for activations without a closed form.
pub(crate) fn pair(
    phi: &Activation,
    c: &Covariance,
    series: Option<(&HermiteSeries, &HermiteSeries)>,
    tolerance: f64,
) -> Slopes {
    let kinked = |degree: f64, d: Dual, by12: [f64; 2]| {
        // f is homogeneous: 2 q₁₁ ∂f/∂q₁₁ + q₁₂ ∂f/∂q₁₂ = degree · f.
        let rest = |f: f64, degree: f64, by: f64, q: f64| {
            if q > 0.0 { (degree * f - c.q12 * by) / (2.0 * q) } else { 0.0 }
        };
        let all = |f: f64, degree: f64, by: f64| [rest(f, degree, by, c.q11), by, rest(f, degree, by, c.q22)];
        Slopes {
            value: d.value,
            derivative: d.derivative,
            of_value: all(d.value, degree, by12[0]),
            of_derivative: all(d.derivative, degree - 1.0, by12[1]),
        }
    };
    let turn = || {
        let (det, product) = (c.determinant(), c.q11 * c.q22);
        if det > PARALLEL * product { 1.0 / det.sqrt() } else { 0.0 }
    };
    match phi {
        Activation::AbRelu { a, b } => {
            let d = phi.dual_at(c);
            let bend = (a - b) * (a - b) / (2.0 * PI) * turn();
            let mut out = kinked(1.0, d, [d.derivative, bend]);
            // The angle alone decides the derivative: degree 0.
            if bend <= 0.0 {
                out.of_derivative = [0.0; 3];
            }
            out
        }
        Activation::Sign => {
            let turn = turn();
            let mut out = kinked(0.0, phi.dual_at(c), [2.0 / PI * turn, 0.0]);
            out.of_derivative = [0.0; 3];
            if turn <= 0.0 {
                out.of_value = [0.0; 3];
            }
            out
        }
        Activation::Rectified { power: 0 } => {
            let turn = turn();
            let mut out = kinked(0.0, phi.dual_at(c), [turn / (2.0 * PI), 0.0]);
            out.of_derivative = [0.0; 3];
            if turn <= 0.0 {
                out.of_value = [0.0; 3];
            }
            out
        }
        Activation::Rectified { power } => {
            let d = phi.dual_at(c);
            let p = f64::from(*power);
            let bend = if *power == 1 {
                turn() / (2.0 * PI)
            } else {
                let below = Activation::Rectified { power: power - 1 }.dual_at(c);
                p * p * below.derivative
            };
            let mut out = kinked(p, d, [d.derivative, bend]);
            if *power == 1 && bend <= 0.0 {
                out.of_derivative = [0.0; 3];
            }
            out
        }
        _ => match (smooth(phi, c), series) {
            (Some(slopes), _) => slopes,
            (None, Some((a, b))) if a.error(b, c.correlation()) <= tolerance => {
                mehler((&a.values, &a.slopes), (&b.values, &b.slopes), c)
            }
            _ => numerical(phi, c),
        },
    }
}

/// By quadrature, with the derivatives of the density: E f(u) g(v) ∂ ln p/∂q.
fn numerical(phi: &Activation, c: &Covariance) -> Slopes {
    let (det, product) = (c.determinant(), c.q11 * c.q22);
    if product <= 0.0 || det <= 1e-12 * product {
        // Coincident: only the common change of both variances counts.
        let [value, derivative, by, of] = own(phi, (product.max(0.0)).sqrt());
        let sign = if c.q12 < 0.0 { phi.dual_at(c) } else { Dual { value, derivative } };
        return Slopes {
            value: sign.value,
            derivative: sign.derivative,
            of_value: [0.5 * by, 0.0, 0.5 * by],
            of_derivative: [0.5 * of, 0.0, 0.5 * of],
        };
    }
    let mut out = Slopes::default();
    // Σ⁻¹ (u, v).
    let scores = |u: f64, v: f64| {
        let (r, s) = ((c.q22 * u - c.q12 * v) / det, (c.q11 * v - c.q12 * u) / det);
        [0.5 * (r * r - c.q22 / det), r * s + c.q12 / det, 0.5 * (s * s - c.q11 / det)]
    };
    quadrature::for_pairs(phi, c, |w, u, v| {
        let (f, d) = (phi.value(u) * phi.value(v), phi.derivative(u) * phi.derivative(v));
        out.value += w * f;
        out.derivative += w * d;
        for (k, score) in scores(u, v).into_iter().enumerate() {
            out.of_value[k] += w * f * score;
            out.of_derivative[k] += w * d * score;
        }
    });
    out
}

/// Σ aⱼ(q₁₁) aⱼ(q₂₂) ρʲ and its derivatives: ½ E φ″(u) φ(v) has √((j+1)(j+2)) aⱼ₊₂(q₁₁)/(2q₁₁) in place of aⱼ(q₁₁).
fn mehler(a: (&[f64], &[f64]), b: (&[f64], &[f64]), c: &Covariance) -> Slopes {
    let rho = c.correlation();
    let product = (c.q11 * c.q22).sqrt();
    let inverse = |q: f64| if q > 0.0 { 0.5 / q } else { 0.0 };
    let (left, right) = (inverse(c.q11), inverse(c.q22));
    let by_rho = if product > 0.0 { 1.0 / product } else { 0.0 };
    let sum = |a: &[f64], b: &[f64]| {
        let terms = a.len().min(b.len());
        let (mut value, mut by, mut power, mut before) = (0.0, [0.0; 3], 1.0, 0.0);
        for j in 0..terms {
            let order = j as f64;
            let root = ((order + 1.0) * (order + 2.0)).sqrt();
            let up = |c: &[f64]| c.get(j + 2).map_or(0.0, |c| root * c);
            value += a[j] * b[j] * power;
            by[0] += up(a) * b[j] * power;
            by[1] += order * a[j] * b[j] * before;
            by[2] += up(b) * a[j] * power;
            before = power;
            power *= rho;
        }
        (value, [by[0] * left, by[1] * by_rho, by[2] * right])
    };
    let ((value, of_value), (derivative, of_derivative)) = (sum(a.0, b.0), sum(a.1, b.1));
    Slopes { value, derivative, of_value, of_derivative }
}

/// A number with its derivatives by q₁₁, q₁₂ and q₂₂.
#[derive(Clone, Copy)]
struct Number {
    v: f64,
    d: [f64; 3],
}

impl Number {
    fn apply(self, v: f64, slope: f64) -> Self {
        Self { v, d: self.d.map(|d| d * slope) }
    }
    fn exp(self) -> Self {
        let e = self.v.exp();
        self.apply(e, e)
    }
    fn sqrt(self) -> Self {
        let r = self.v.sqrt();
        self.apply(r, if r > 0.0 { 0.5 / r } else { 0.0 })
    }
    /// Angle of (other, self).
    fn atan2(self, other: Self) -> Self {
        let square = self.v * self.v + other.v * other.v;
        let d = std::array::from_fn(|k| (self.d[k] * other.v - other.d[k] * self.v) / square);
        Self { v: self.v.atan2(other.v), d }
    }
}

impl Add for Number {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { v: self.v + o.v, d: std::array::from_fn(|k| self.d[k] + o.d[k]) }
    }
}
impl Sub for Number {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self { v: self.v - o.v, d: std::array::from_fn(|k| self.d[k] - o.d[k]) }
    }
}
#[expect(clippy::suspicious_arithmetic_impl, reason = "the product rule")]
impl Mul for Number {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self { v: self.v * o.v, d: std::array::from_fn(|k| self.d[k] * o.v + self.v * o.d[k]) }
    }
}
#[expect(clippy::suspicious_arithmetic_impl, reason = "the quotient rule")]
impl Div for Number {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let v = self.v / o.v;
        Self { v, d: std::array::from_fn(|k| (self.d[k] - v * o.d[k]) / o.v) }
    }
}
impl Neg for Number {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}
impl Mul<f64> for Number {
    type Output = Self;
    fn mul(self, o: f64) -> Self {
        self.apply(self.v * o, o)
    }
}
impl Add<f64> for Number {
    type Output = Self;
    fn add(self, o: f64) -> Self {
        self.apply(self.v + o, 1.0)
    }
}

/// Functions whose dual is smooth in the covariance, coincident points included; `None` for the others.
fn smooth(phi: &Activation, c: &Covariance) -> Option<Slopes> {
    let number = |v, k: usize| Number { v, d: std::array::from_fn(|i| f64::from(u8::from(i == k))) };
    let (q11, q12, q22) = (number(c.q11, 0), number(c.q12, 1), number(c.q22, 2));
    let sum = q11 + q22;
    // Values without cancellation.
    let det = Number { v: c.determinant(), d: [c.q22, -2.0 * c.q12, c.q11] };
    let distance = Number { v: c.squared_distance(), d: [1.0, -2.0, 1.0] };
    let (value, derivative) = match phi {
        Activation::Identity => (q12, q12 * 0.0 + 1.0),
        Activation::Erf { a, b, c: offset } => {
            let square = b * b;
            let r = (sum * (2.0 * square) + det * (4.0 * square * square) + 1.0).sqrt();
            let outer = a * a * 2.0 / PI;
            let value = (q12 * (2.0 * square)).atan2(r) * outer + offset * offset;
            (value, (q12 * 0.0 + 2.0 * outer * square) / r)
        }
        Activation::Sin { a, b, c: phase } => wave(*a, *b, *phase, sum, q12, distance),
        Activation::Cos { a, b, c: phase } => wave(*a, *b, phase + FRAC_PI_2, sum, q12, distance),
        Activation::Rbf { gamma } => {
            let k = (distance * -gamma).exp();
            (k, k * (2.0 * gamma))
        }
        Activation::Exp { a, b } => {
            let k = ((sum * 0.5 + q12) * (b * b)).exp() * (a * a);
            (k, k * (b * b))
        }
        Activation::Gaussian { a, b } => {
            let d = sum * (-2.0 * b) + det * (4.0 * b * b) + 1.0;
            let root = d.sqrt();
            ((q12 * 0.0 + a * a) / root, q12 * (4.0 * a * a * b * b) / (d * root))
        }
        Activation::Gelu => {
            let p = (q11 + 1.0) * (q22 + 1.0);
            let square = sum + det + 1.0;
            let delta = square.sqrt();
            let angle = q12.atan2(delta);
            let one = q12 * 0.0 + 1.0;
            let value =
                ((q12 * q12 + q11 * q22 * square) / (p * delta) + q12 * angle) * (0.5 / PI) + q12 * 0.25;
            let bracket = one / square + (one - q11 * q22) / p + one;
            (value, angle * (0.5 / PI) + q12 * (0.5 / PI) / delta * bracket + 0.25)
        }
        Activation::Gabor => {
            let f = det * 4.0;
            let d = sum * 2.0 + f + 1.0;
            let base = (-(sum + f + q12 * 2.0) / (d * 2.0)).exp();
            let ratio = q12 * 2.0 / d;
            let e = ratio.exp();
            let less = ratio.apply(ratio.v.exp_m1(), e.v);
            let h = sum * 2.0 + (q12 * q12 + q11 * q22) * 4.0 + 1.0;
            let t = q12 * 4.0 * (f + sum * 3.0 + 2.0);
            let root = d.sqrt();
            (base * less / (root * 2.0), base * ((h - t) + e * (h + t)) / (d * d * root * 2.0))
        }
        Activation::ExpNormalized { gamma, shift } => {
            let n = (q11 * q22).sqrt();
            let cosine = if n.v > 0.0 { q12 / n } else { q12 * 0.0 };
            let e = ((cosine + *shift) * *gamma).exp();
            (n * e, e * *gamma)
        }
        Activation::Polynomial(coefficients) => {
            let slope: Vec<f64> =
                coefficients.iter().enumerate().skip(1).map(|(i, c)| i as f64 * c).collect();
            let series = |c: &[f64], q: f64| hermite::of_polynomial(c, q.sqrt());
            let both = |q: f64| (series(coefficients, q), series(&slope, q));
            let (a, b) = (both(c.q11), both(c.q22));
            return Some(mehler((&a.0, &a.1), (&b.0, &b.1), c));
        }
        Activation::Hermite(coefficients) => {
            let slope = hermite::derivative(coefficients);
            let both = |q: f64| (hermite::rescaled(coefficients, q), hermite::rescaled(&slope, q));
            let (a, b) = (both(c.q11), both(c.q22));
            return Some(mehler((&a.0, &a.1), (&b.0, &b.1), c));
        }
        _ => return None,
    };
    Some(Slopes { value: value.v, derivative: derivative.v, of_value: value.d, of_derivative: derivative.d })
}

fn wave(a: f64, b: f64, phase: f64, sum: Number, q12: Number, distance: Number) -> (Number, Number) {
    let square = b * b;
    let first = (distance * (-0.5 * square)).exp();
    let second = ((sum * 0.5 + q12) * -square).exp();
    let turn = (2.0 * phase).cos();
    ((first - second * turn) * (0.5 * a * a), (first + second * turn) * (0.5 * a * a * square))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dual::closed::Angle;

    #[test]
    fn derivatives_against_differences() {
        let activations = [
            Activation::relu(),
            Activation::leaky_relu(0.2),
            Activation::erf(),
            Activation::Erf { a: 1.2, b: 0.7, c: 0.3 },
            Activation::sin(),
            Activation::cos(),
            Activation::Rbf { gamma: 0.6 },
            Activation::Exp { a: 0.5, b: 0.4 },
            Activation::Gaussian { a: 1.3, b: -0.7 },
            Activation::Gelu,
            Activation::Gabor,
            Activation::Sign,
            Activation::Rectified { power: 0 },
            Activation::Rectified { power: 1 },
            Activation::Rectified { power: 3 },
            Activation::Polynomial(vec![0.3, 1.0, -0.4, 0.2]),
            Activation::Hermite(vec![0.1, 0.5, 0.3, 0.2]),
            Activation::ExpNormalized { gamma: 0.8, shift: -1.0 },
            Activation::Tanh,
            Activation::Softplus,
            Activation::elu(),
            Activation::HardTanh,
        ];
        let at = |phi: &Activation, q: [f64; 3]| {
            let c = Covariance::new(q[0], q[1], q[2]);
            let series = |q: f64| HermiteSeries::of(phi, q, 1e-15);
            if phi.check_function().is_err() {
                return pair(phi, &c, None, 1e-13);
            }
            let (a, b) = (series(q[0]), series(q[2]));
            pair(phi, &c, Some((&a, &b)), 1e-13)
        };
        for phi in &activations {
            for q in [[1.0, 0.3, 0.8], [0.5, -0.4, 1.7], [2.0, 1.3, 0.9]] {
                let here = at(phi, q);
                let exact = phi.dual_at(&Covariance::new(q[0], q[1], q[2]));
                assert!((here.value - exact.value).abs() < 1e-12, "{phi:?}");
                assert!((here.derivative - exact.derivative).abs() < 1e-11, "{phi:?}");
                for k in 0..3 {
                    let moved = |h: f64| {
                        let mut q = q;
                        q[k] += h;
                        phi.dual_at(&Covariance::new(q[0], q[1], q[2]))
                    };
                    let h = 1e-5;
                    let (up, down) = (moved(h), moved(-h));
                    let value = (up.value - down.value) / (2.0 * h);
                    let derivative = (up.derivative - down.derivative) / (2.0 * h);
                    // Truncation h², rounding ε/h.
                    assert!((here.of_value[k] - value).abs() < 2e-8, "{phi:?} {q:?} {k}: {here:?} {value}");
                    assert!(
                        (here.of_derivative[k] - derivative).abs() < 2e-8,
                        "{phi:?} {q:?} {k}: {here:?} {derivative}"
                    );
                }
            }
            for q in [0.4, 1.5] {
                let [_, _, by, of] = own(phi, q);
                let h = 1e-5;
                let (up, down) = (own(phi, q + h), own(phi, q - h));
                assert!((by - (up[0] - down[0]) / (2.0 * h)).abs() < 2e-8, "{phi:?} {q}");
                assert!((of - (up[1] - down[1]) / (2.0 * h)).abs() < 2e-8, "{phi:?} {q}");
                let angle = Angle::new(&Covariance::own(q));
                assert!(angle.angle.abs() < 1e-15);
            }
        }
    }
}
