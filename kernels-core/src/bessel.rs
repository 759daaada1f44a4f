//! Modified Bessel functions of the second kind, scaled by e^z.

use std::f64::consts::{FRAC_PI_2, PI};

/// Taylor coefficients of 1/Γ(1+x) at 0.
const RECIPROCAL_GAMMA: [f64; 22] = [
    1.0,
    0.577_215_664_901_532_9,
    -0.655_878_071_520_253_9,
    -0.042_002_635_034_095_24,
    0.166_538_611_382_291_5,
    -0.042_197_734_555_544_34,
    -0.009_621_971_527_876_973,
    0.007_218_943_246_663_1,
    -0.001_165_167_591_859_065_1,
    -0.000_215_241_674_114_950_97,
    0.000_128_050_282_388_116_2,
    -2.013_485_478_078_824e-5,
    -1.250_493_482_142_670_7e-6,
    1.133_027_231_981_696e-6,
    -2.056_338_416_977_607e-7,
    6.116_095_104_481_416e-9,
    5.002_007_644_469_223e-9,
    -1.181_274_570_487_02e-9,
    1.043_426_711_691_100_5e-10,
    7.782_263_439_905_071e-12,
    -3.696_805_618_642_206e-12,
    5.100_370_287_454_476e-13,
];

/// e^z K_μ(z) and e^z K_{μ+1}(z) for |μ| ≤ ½, z > 0.
///
/// Temme's series below 2 and Steed's continued fraction from there on: Temme, *On the numerical evaluation of the modified
/// Bessel function of the third kind* (1975); Thompson & Barnett, *Coulomb and Bessel functions of complex arguments and order* (1986).
fn pair(mu: f64, z: f64) -> (f64, f64) {
    if z < 2.0 { series(mu, z) } else { fraction(mu, z) }
}

fn series(mu: f64, z: f64) -> (f64, f64) {
    let square = mu * mu;
    // Even and odd parts of 1/Γ(1+μ), the odd one without its factor μ.
    let (mut even, mut odd) = (0.0, 0.0);
    for pair in RECIPROCAL_GAMMA.chunks_exact(2).rev() {
        even = even * square + pair[0];
        odd = odd * square + pair[1];
    }
    let log = (2.0 / z).ln();
    let sigma = mu * log;
    let sinhc = if sigma.abs() < 1e-5 { 1.0 + sigma * sigma / 6.0 } else { sigma.sinh() / sigma };
    let reflection = if mu.abs() < 1e-8 { 1.0 } else { PI * mu / (PI * mu).sin() };
    let mut f = reflection * (-odd * sigma.cosh() + even * sinhc * log);
    let mut p = 0.5 * sigma.exp() / (even + mu * odd);
    let mut q = 0.5 * (-sigma).exp() / (even - mu * odd);
    let (mut c, quarter) = (1.0, 0.25 * z * z);
    let (mut sum, mut next) = (f, p);
    for k in 1..60 {
        let k = f64::from(k);
        f = (k * f + p + q) / (k * k - square);
        c *= quarter / k;
        p /= k - mu;
        q /= k + mu;
        let term = c * f;
        sum += term;
        next += c * (p - k * f);
        if term.abs() < f64::EPSILON * 1e-2 * sum.abs() {
            break;
        }
    }
    let scale = z.exp();
    (scale * sum, scale * next * 2.0 / z)
}

fn fraction(mu: f64, z: f64) -> (f64, f64) {
    let first = 0.25 - mu * mu;
    let mut b = 2.0 * (1.0 + z);
    let mut d = 1.0 / b;
    let (mut h, mut delta) = (d, d);
    let (mut older, mut old) = (0.0, 1.0);
    let (mut q, mut c, mut a) = (first, first, -first);
    let mut sum = 1.0 + q * delta;
    for k in 2..10_000 {
        a -= 2.0 * f64::from(k - 1);
        c *= -a / f64::from(k);
        let new = (older - b * old) / a;
        (older, old) = (old, new);
        q += c * new;
        b += 2.0;
        d = 1.0 / (b + a * d);
        delta *= b * d - 1.0;
        h += delta;
        let term = q * delta;
        sum += term;
        if term.abs() < 0.1 * f64::EPSILON * sum.abs() {
            break;
        }
    }
    let value = (FRAC_PI_2 / z).sqrt() / sum;
    (value, value * (mu + z + 0.5 - first * h) / z)
}

/// e^z K_ν(z) for ν ≥ 0, z > 0.
pub(crate) fn scaled_k(nu: f64, z: f64) -> f64 {
    let steps = (nu + 0.5).floor();
    let mut order = nu - steps;
    let (mut low, mut high) = pair(order, z);
    for _ in 0..steps as usize {
        order += 1.0;
        (low, high) = (high, low + 2.0 * order / z * high);
    }
    low
}

/// e^z 2^(1−ν)/Γ(ν) z^ν K_ν(z) for 0 < ν ≤ 100, z > 0: 1 at z = 0. Recurs on itself, so that nothing overflows.
pub(crate) fn scaled_matern(nu: f64, z: f64) -> f64 {
    let steps = (nu + 0.5).floor();
    let mu = nu - steps;
    let (low, high) = pair(mu, z);
    // 2^(1−ν)/Γ(ν) z^ν of a small order.
    let factor = |nu: f64| (nu * z.ln() + (1.0 - nu) * std::f64::consts::LN_2 - libm::lgamma(nu)).exp();
    if steps < 1.0 {
        return factor(nu) * low;
    }
    let mut order = mu + 1.0;
    let mut current = factor(order) * high;
    // z² 2^(1−μ)/(4 (μ+1) μ Γ(μ)) z^μ K_μ, without the division by μ.
    let mut previous = factor(order) * low * z / (2.0 * order);
    for step in 1..steps as usize {
        let next = if step == 1 {
            previous + current
        } else {
            z * z / (4.0 * order * (order - 1.0)) * previous + current
        };
        (previous, current) = (current, next);
        order += 1.0;
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_multiple_precision() {
        let table: serde_json::Value =
            serde_json::from_str(include_str!("../tests/reference/bessel.json")).unwrap();
        for row in table["scaled_matern"].as_array().unwrap() {
            let [nu, z, expected] = [0, 1, 2].map(|i| row[i].as_f64().unwrap());
            let got = scaled_matern(nu, z);
            // The recurrence and the powers of z cost some ulps an order.
            let tolerance = 2e-15 * (4.0 + nu + nu * z.ln().abs());
            assert!((got / expected - 1.0).abs() < tolerance, "ν={nu}, z={z}: {got:e}, {expected:e}");
        }
        // K_½(z) = √(π/2z) e^(−z), K_{3/2} = (1 + 1/z) times that.
        for z in [0.1, 1.0, 2.0, 30.0] {
            let half = (FRAC_PI_2 / z).sqrt();
            assert!((scaled_k(0.5, z) / half - 1.0).abs() < 1e-15);
            assert!((scaled_k(1.5, z) / (half * (1.0 + 1.0 / z)) - 1.0).abs() < 2e-15);
        }
    }
}
