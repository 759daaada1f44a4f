//! Expectations under normal distributions by composite Gauss–Legendre rules, whose panels are graded towards kinks and towards
//! the places where singularities come near the real axis.

use std::sync::OnceLock;

use super::{Covariance, Dual};
use crate::{Activation, Error, activation::normal_density, error::within};

/// Nodes of a panel.
const NODES: usize = 20;

/// Beyond this many standard deviations nothing is left: the density is 2e-36 there, which also outweighs growth.
const RANGE: f64 = 12.7;

/// No panel is wider than this many standard deviations.
const WIDEST: f64 = 2.0;

/// Moments of φ(√q z), z standard normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// E φ
    pub mean: f64,
    /// E φ²
    pub second: f64,
    /// E φ′²
    pub slope: f64,
    /// E φ⁴
    pub fourth: f64,
    /// E φ² (z² − 1)
    pub second_weighted: f64,
    /// E φ′² (z² − 1)
    pub slope_weighted: f64,
    /// E φ² (z⁴ − 6z² + 3)
    pub second_fourth: f64,
}

impl Activation {
    /// E f(z, φ(√q z), φ′(√q z)) for standard normal z, to about 1e-14 of E|f| when f adds no kinks of its own.
    ///
    /// # Errors
    /// [`Error::Value`] for a negative variance, or for [`Activation::ExpNormalized`], which is no function.
    ///
    /// ```
    /// let mean = kernels_ntk::Activation::relu().expectation(1.0, |_, f, _| f)?;
    /// assert!((mean - (0.5 / std::f64::consts::PI).sqrt()).abs() < 1e-15);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn expectation(&self, q: f64, f: impl Fn(f64, f64, f64) -> f64) -> Result<f64, Error> {
        self.check_function()?;
        within("variance", q, q >= 0.0, "a finite number, 0 or above")?;
        let scale = q.sqrt();
        let mut sum = 0.0;
        for_nodes(&panels(&own_centers(self, scale)), |z, w| {
            sum += w * f(z, self.value(scale * z), self.derivative(scale * z));
        });
        Ok(sum)
    }

    /// All moments at variance q that the theory of signal propagation needs.
    ///
    /// # Errors
    /// As [`Activation::expectation`].
    pub fn moments(&self, q: f64) -> Result<Moments, Error> {
        self.check_function()?;
        within("variance", q, q >= 0.0, "a finite number, 0 or above")?;
        let scale = q.sqrt();
        let mut m = Moments {
            mean: 0.0,
            second: 0.0,
            slope: 0.0,
            fourth: 0.0,
            second_weighted: 0.0,
            slope_weighted: 0.0,
            second_fourth: 0.0,
        };
        for_nodes(&panels(&own_centers(self, scale)), |z, w| {
            let (f, d) = (self.value(scale * z), self.derivative(scale * z));
            let (f2, d2, z2) = (w * f * f, w * d * d, z * z);
            m.mean += w * f;
            m.second += f2;
            m.slope += d2;
            m.fourth += f2 * f * f;
            m.second_weighted += f2 * (z2 - 1.0);
            m.slope_weighted += d2 * (z2 - 1.0);
            m.second_fourth += f2 * (z2 * z2 - 6.0 * z2 + 3.0);
        });
        Ok(m)
    }

    pub(crate) fn check_function(&self) -> Result<(), Error> {
        self.check()?;
        if let Self::ExpNormalized { gamma, .. } = self {
            return Err(Error::Value {
                name: "gamma of exp_normalized",
                value: *gamma,
                expected: "an activation that is a function; this one only has a kernel",
            });
        }
        Ok(())
    }
}

/// A place that panels are graded towards, down to a scale; a kink splits panels there.
#[derive(Clone, Copy)]
struct Center {
    at: f64,
    scale: f64,
}

fn own_centers(activation: &Activation, scale: f64) -> Vec<Center> {
    centers(activation, scale, 0.0)
}

/// Where φ(scale · z + offset) is not smooth or bends quickly.
fn centers(activation: &Activation, scale: f64, offset: f64) -> Vec<Center> {
    if scale < f64::MIN_POSITIVE {
        return Vec::new();
    }
    let mut out: Vec<Center> = activation
        .kinks()
        .iter()
        .map(|kink| Center { at: (kink - offset) / scale, scale: f64::INFINITY })
        .collect();
    let pole = activation.pole() / scale;
    if pole < WIDEST {
        out.push(Center { at: -offset / scale, scale: pole });
    }
    // Saturating tails of one-sided smooth activations bend on the scale 1 around their kink.
    if let Activation::Elu { .. } = activation {
        out.push(Center { at: -offset / scale, scale: 1.0 / scale });
    }
    out
}

/// Ends of the panels, ascending.
fn panels(centers: &[Center]) -> Vec<f64> {
    let mut ends = vec![-RANGE, RANGE];
    for center in centers {
        if center.at.abs() < RANGE {
            ends.push(center.at);
        }
        let mut step = center.scale;
        while step < 2.0 * RANGE {
            ends.extend([center.at - step, center.at + step].iter().filter(|e| e.abs() < RANGE));
            step *= 2.0;
        }
    }
    ends.sort_by(f64::total_cmp);
    ends.dedup_by(|a, b| (*a - *b).abs() < 1e-15);
    let mut out = Vec::with_capacity(2 * ends.len());
    for pair in ends.windows(2) {
        let parts = ((pair[1] - pair[0]) / WIDEST).ceil().max(1.0);
        let mut k = 0.0;
        while k < parts {
            out.push(pair[0] + (pair[1] - pair[0]) * k / parts);
            k += 1.0;
        }
    }
    out.push(RANGE);
    out
}

/// Calls `f` with each node and its weight, normal density included.
fn for_nodes(ends: &[f64], mut f: impl FnMut(f64, f64)) {
    let (nodes, weights) = legendre();
    for pair in ends.windows(2) {
        let (middle, half) = (0.5 * (pair[0] + pair[1]), 0.5 * (pair[1] - pair[0]));
        for (x, w) in nodes.iter().zip(weights) {
            let z = middle + half * x;
            f(z, w * half * normal_density(z));
        }
    }
}

/// How a pair is integrated: deviations of the outer and the inner variable, their correlation, √(1 − ρ²), and the outer panels.
struct Nested {
    outer: f64,
    inner: f64,
    rho: f64,
    turn: f64,
    panels: Vec<f64>,
}

impl Nested {
    /// The larger variance is outside, so that swapping the pair changes no bit.
    fn new(activation: &Activation, c: &Covariance) -> Self {
        let (outer, inner) =
            if c.q11 >= c.q22 { (c.q11.sqrt(), c.q22.sqrt()) } else { (c.q22.sqrt(), c.q11.sqrt()) };
        let product = outer * inner;
        let (rho, turn) = if product > 0.0 {
            let turn = (c.gap.max(0.0) / product).sqrt() * (c.cogap.max(0.0) / product).sqrt();
            ((c.q12 / product).clamp(-1.0, 1.0), turn.min(1.0))
        } else {
            (0.0, 1.0)
        };
        let mut outside = own_centers(activation, outer);
        if rho.abs() > 0.0 {
            // Seen from outside, the inner function is blurred by `turn`.
            for center in centers(activation, inner * rho, 0.0) {
                let blur = turn / rho.abs();
                outside.push(Center { at: center.at, scale: center.scale.min(blur.max(1e-12)) });
            }
        }
        Self { outer, inner, rho, turn, panels: panels(&outside) }
    }
}

/// Calls `visit` with weights and values of the two variables, in the order of the covariance.
pub(super) fn for_pairs(activation: &Activation, c: &Covariance, mut visit: impl FnMut(f64, f64, f64)) {
    let Nested { outer, inner, rho, turn, panels: outside } = Nested::new(activation, c);
    let swapped = c.q11 < c.q22;
    let deviation = inner * turn;
    for_nodes(&outside, |z, w| {
        let (u, mean) = (outer * z, inner * rho * z);
        for_nodes(&panels(&centers(activation, deviation, mean)), |y, v| {
            let other = mean + deviation * y;
            if swapped { visit(w * v, other, u) } else { visit(w * v, u, other) }
        });
    });
}

/// The dual by two nested rules.
pub(super) fn dual(activation: &Activation, c: &Covariance) -> Dual {
    let Nested { outer, inner, rho, turn, panels: outside } = Nested::new(activation, c);
    let (mut value, mut derivative) = (0.0, 0.0);
    let deviation = inner * turn;
    let fixed = panels(&[]);
    for_nodes(&outside, |z, w| {
        let (f, d) = (activation.value(outer * z), activation.derivative(outer * z));
        let mean = inner * rho * z;
        let (mut inner_value, mut inner_derivative) = (0.0, 0.0);
        if deviation > 0.0 {
            let bends = centers(activation, deviation, mean);
            let graded;
            let ends = if bends.is_empty() {
                &fixed
            } else {
                graded = panels(&bends);
                &graded
            };
            for_nodes(ends, |y, v| {
                let u = mean + deviation * y;
                inner_value += v * activation.value(u);
                inner_derivative += v * activation.derivative(u);
            });
        } else {
            inner_value = activation.value(mean);
            inner_derivative = activation.derivative(mean);
        }
        value += w * f * inner_value;
        derivative += w * d * inner_derivative;
    });
    Dual { value, derivative }
}

/// Hermite coefficients aⱼ = E φ(√q z) hⱼ(z) and the same of φ′ for j < `count`, and E φ², E φ′².
pub(super) fn coefficients(activation: &Activation, q: f64, count: usize) -> (Vec<f64>, Vec<f64>, f64, f64) {
    let scale = q.sqrt();
    let mut ends = panels(&own_centers(activation, scale));
    // hⱼ waves about √j times a unit.
    let widest = 14.0 / (count.max(1) as f64).sqrt();
    if widest < WIDEST {
        ends = ends
            .windows(2)
            .flat_map(|pair| {
                let parts = ((pair[1] - pair[0]) / widest).ceil().max(1.0) as usize;
                let (from, step) = (pair[0], (pair[1] - pair[0]) / parts as f64);
                (0..parts).map(move |k| from + step * k as f64)
            })
            .collect();
        ends.push(RANGE);
    }
    let mut values = vec![0.0; count];
    let mut slopes = vec![0.0; count];
    let (mut second, mut slope) = (0.0, 0.0);
    let down: Vec<f64> = (0..count).map(|j| (j as f64).sqrt()).collect();
    let up: Vec<f64> = (0..count).map(|j| 1.0 / ((j + 1) as f64).sqrt()).collect();
    for_nodes(&ends, |z, w| {
        let (f, d) = (activation.value(scale * z), activation.derivative(scale * z));
        second += w * f * f;
        slope += w * d * d;
        let (wf, wd) = (w * f, w * d);
        let (mut before, mut now) = (0.0, 1.0);
        for j in 0..count {
            values[j] += wf * now;
            slopes[j] += wd * now;
            let next = (z * now - down[j] * before) * up[j];
            before = now;
            now = next;
        }
    });
    (values, slopes, second, slope)
}

/// Nodes and weights of the Gauss–Legendre rule on [−1, 1].
fn legendre() -> (&'static [f64; NODES], &'static [f64; NODES]) {
    static RULE: OnceLock<([f64; NODES], [f64; NODES])> = OnceLock::new();
    let rule = RULE.get_or_init(|| {
        let (mut nodes, mut weights) = ([0.0; NODES], [0.0; NODES]);
        for (i, (x, w)) in gauss_legendre(NODES).into_iter().enumerate() {
            (nodes[i], weights[i]) = (x, w);
        }
        (nodes, weights)
    });
    (&rule.0, &rule.1)
}

/// Gauss–Legendre nodes and weights on [−1, 1] by Newton's method, exactly symmetric.
pub(crate) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let mut out = vec![(0.0, 0.0); n];
    for i in 0..n.div_ceil(2) {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        if 2 * i + 1 == n {
            x = 0.0;
        }
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut now) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (before, now) = (now, ((2.0 * k - 1.0) * x * now - (k - 1.0) * before) / k);
            }
            slope = n as f64 * (before - x * now) / (1.0 - x * x);
            let step = now / slope;
            if 2 * i + 1 != n {
                x -= step;
            }
            if step.abs() < 1e-16 {
                break;
            }
        }
        let w = 2.0 / ((1.0 - x * x) * slope * slope);
        out[i] = (-x, w);
        out[n - 1 - i] = (x, w);
    }
    out
}
