//! Closed forms.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Covariance, Dual};
use crate::{Activation, hermite};

/// The dual in closed form, or `None`.
pub(crate) fn dual(activation: &Activation, c: &Covariance) -> Option<Dual> {
    let at = |value, derivative| Some(Dual { value, derivative });
    match activation {
        Activation::Identity => at(c.q12, 1.0),
        Activation::AbRelu { a, b } => {
            let angle = Angle::new(c);
            let square = (a - b) * (a - b);
            let slope = a * b + square * angle.supplement / (2.0 * PI);
            at(a * b * c.q12 + square * angle.product * angle.rectified() / (2.0 * PI), slope)
        }
        Activation::Erf { a, b, c: offset } => {
            let e = erf(c, *b);
            at(a * a * (2.0 / PI) * e.value + offset * offset, a * a * b * b * (4.0 / PI) * e.derivative)
        }
        Activation::Sin { a, b, c: phase } => wave(c, *a, *b, *phase),
        Activation::Cos { a, b, c: phase } => wave(c, *a, *b, phase + FRAC_PI_2),
        Activation::Rbf { gamma } => {
            let k = (-gamma * c.squared_distance()).exp();
            at(k, 2.0 * gamma * k)
        }
        Activation::Exp { a, b } => {
            let k = a * a * (b * b * (0.5 * (c.q11 + c.q22) + c.q12)).exp();
            at(k, b * b * k)
        }
        Activation::Gaussian { a, b } => {
            // (1−2bq₁₁)(1−2bq₂₂) − 4b²q₁₂² with the determinant apart.
            let d = 1.0 - 2.0 * b * (c.q11 + c.q22) + 4.0 * b * b * c.determinant();
            at(a * a / d.sqrt(), a * a * 4.0 * b * b * c.q12 / (d * d.sqrt()))
        }
        Activation::Gelu => {
            let det = c.determinant();
            let p = (1.0 + c.q11) * (1.0 + c.q22);
            let square = 1.0 + c.q11 + c.q22 + det;
            let delta = square.sqrt();
            let angle = c.q12.atan2(delta);
            let value = ((c.q12 * c.q12 + c.q11 * c.q22 * square) / (p * delta) + c.q12 * angle) / (2.0 * PI)
                + c.q12 / 4.0;
            let derivative = 0.25
                + angle / (2.0 * PI)
                + c.q12 / (2.0 * PI * delta) * (1.0 / square + (1.0 - c.q11 * c.q22) / p + 1.0);
            at(value, derivative)
        }
        Activation::Gabor => {
            let (s, f) = (c.q11 + c.q22, 4.0 * c.determinant());
            let d = 2.0 * s + f + 1.0;
            let base = (-(s + f + 2.0 * c.q12) / (2.0 * d)).exp();
            let e = (2.0 * c.q12 / d).exp();
            let h = 1.0 + 2.0 * s + 4.0 * (c.q12 * c.q12 + c.q11 * c.q22);
            let t = 4.0 * c.q12 * (f + 3.0 * s + 2.0);
            at(
                base * (2.0 * c.q12 / d).exp_m1() / (2.0 * d.sqrt()),
                base * ((h - t) + e * (h + t)) / (2.0 * d * d * d.sqrt()),
            )
        }
        Activation::Sign => {
            let angle = Angle::new(c);
            let value = if angle.product > 0.0 { (angle.supplement - angle.angle) / PI } else { 0.0 };
            at(value, 0.0)
        }
        Activation::Rectified { power } => Some(rectified(*power, c)),
        Activation::Polynomial(coefficients) => {
            let slope: Vec<f64> =
                coefficients.iter().enumerate().skip(1).map(|(i, c)| i as f64 * c).collect();
            let series = |c: &[f64], q: f64| hermite::of_polynomial(c, q.sqrt());
            at(mehler(c, |q| series(coefficients, q)), mehler(c, |q| series(&slope, q)))
        }
        Activation::Hermite(coefficients) => {
            let slope = hermite::derivative(coefficients);
            at(mehler(c, |q| hermite::rescaled(coefficients, q)), mehler(c, |q| hermite::rescaled(&slope, q)))
        }
        Activation::ExpNormalized { gamma, shift } => {
            let n = c.q11.sqrt() * c.q22.sqrt();
            let cosine = if n > 0.0 { c.q12 / n } else { 0.0 };
            let e = (gamma * (cosine + shift)).exp();
            at(n * e, gamma * e)
        }
        Activation::Tanh
        | Activation::Sigmoid
        | Activation::Softplus
        | Activation::Swish
        | Activation::Mish
        | Activation::Elu { .. }
        | Activation::HardTanh
        | Activation::Custom(_) => None,
    }
}

/// a sin(bz + c) with the phase's cosine: both exponentials by their difference where they are close.
fn wave(c: &Covariance, a: f64, b: f64, phase: f64) -> Option<Dual> {
    let (s, q) = (b * b * (c.q11 + c.q22) / 2.0, b * b * c.q12);
    let first = (-b * b * c.squared_distance() / 2.0).exp();
    let second = (-(s + q)).exp();
    let turn = (2.0 * phase).cos();
    // first − turn·second = (first − second) + (1 − turn) second, and 1 − cos 2c = 2 sin² c. For large covariances the
    // difference is not small, and the hyperbolic sine would overflow.
    let sine = phase.sin();
    let difference = if q.abs() < 1.0 { 2.0 * (-s).exp() * q.sinh() } else { first - second };
    let value = a * a / 2.0 * (difference + 2.0 * sine * sine * second);
    let derivative = a * a * b * b / 2.0 * (first + turn * second);
    Some(Dual { value, derivative })
}

/// Angle between u and v from the smaller of its half's sine and cosine.
pub(crate) struct Angle {
    pub(crate) product: f64,
    pub(crate) angle: f64,
    pub(crate) supplement: f64,
}

impl Angle {
    pub(crate) fn new(c: &Covariance) -> Self {
        let product = c.q11.sqrt() * c.q22.sqrt();
        if product <= 0.0 {
            return Self { product, angle: FRAC_PI_2, supplement: FRAC_PI_2 };
        }
        let half = |gap: f64| 2.0 * (gap / (2.0 * product)).sqrt().min(1.0).asin();
        if c.gap <= c.cogap {
            let angle = half(c.gap);
            Self { product, angle, supplement: PI - angle }
        } else {
            let supplement = half(c.cogap);
            Self { product, angle: PI - supplement, supplement }
        }
    }

    /// sin θ + (π − θ) cos θ
    fn rectified(&self) -> f64 {
        if self.supplement < FRAC_PI_2 {
            bulge(self.supplement)
        } else {
            self.angle.sin() + self.supplement * self.angle.cos()
        }
    }
}

/// sin t − t cos t, by its series where it is small.
pub(crate) fn bulge(t: f64) -> f64 {
    if t < 0.5 {
        let z = t * t;
        let series = [
            1.0 / 3.0,
            -1.0 / 30.0,
            1.0 / 840.0,
            -1.0 / 45_360.0,
            1.0 / 3_991_680.0,
            -1.0 / 518_918_400.0,
            1.0 / 93_405_312_000.0,
        ];
        t * z * series.iter().rev().fold(0.0, |sum, c| sum * z + c)
    } else {
        t.sin() - t * t.cos()
    }
}

/// asin of the scaled covariance, and 1/R, for erf with rate b.
fn erf(c: &Covariance, b: f64) -> Dual {
    let square = b * b;
    let (p11, p22, p12) = (square * c.q11, square * c.q22, square * c.q12);
    let r = (1.0 + 2.0 * (p11 + p22) + 4.0 * square * square * c.determinant()).sqrt();
    Dual { value: (2.0 * p12).atan2(r), derivative: 1.0 / r }
}

/// (q₁₁q₂₂)^(p/2) J_p(θ)/(2π), the arc-cosine kernel of order p.
fn rectified(power: u32, c: &Covariance) -> Dual {
    let angle = Angle::new(c);
    let moment = |p: u32| (angle.product.powi(p.cast_signed())) * arc_cosine(p, &angle) / (2.0 * PI);
    match power {
        0 => Dual { value: angle.supplement / (2.0 * PI), derivative: 0.0 },
        p => Dual { value: moment(p), derivative: f64::from(p * p) * moment(p - 1) },
    }
}

/// J_p(θ) = ∫∫ over the wedge: with s = sin θ, c = cos θ it is A(s, c) + (π−θ) B(c), and both polynomials obey
/// J_{p+1} = (2p+1) c J_p + p² s² J_{p−1}.
fn arc_cosine(p: u32, angle: &Angle) -> f64 {
    let (s, c) = angle.angle.sin_cos();
    let mut before = 0.0;
    let mut now = angle.supplement;
    for k in 0..p {
        let next = if k == 0 {
            angle.rectified()
        } else {
            let k = f64::from(k);
            (2.0 * k + 1.0) * c * now + k * k * s * s * before
        };
        (before, now) = (now, next);
    }
    now
}

/// Σ aⱼ(q₁₁) aⱼ(q₂₂) ρʲ
fn mehler(c: &Covariance, series: impl Fn(f64) -> Vec<f64>) -> f64 {
    let rho = c.correlation();
    let (a, b) = (series(c.q11), series(c.q22));
    a.iter().zip(&b).rev().fold(0.0, |sum, (a, b)| sum * rho + a * b)
}
