use kernels_ntk::{Activation, HermiteSeries};
use serde_json::Value;

use crate::support::{activation, close_at, flat, number, read, vector};

/// 50-digit closed forms; k and its derivative carry a few roundings, of √(k₁₁k₂₂) where terms cancel.
#[test]
fn closed_forms() {
    let file = read(include_str!("../reference/dual_activations.json"));
    for case in file["cases"].as_array().unwrap() {
        let name = case["activation"].as_str().unwrap();
        let phi = activation(name, &case["params"]);
        for point in case["points"].as_array().unwrap() {
            let q = vector(&point["q"]);
            let what = format!("{name} {} at {q:?}", case["params"]);
            let dual = phi.dual(q[0], q[1], q[2]).unwrap();
            let own = |q: f64| phi.dual(q, q, q).unwrap();
            let (first, second) = (own(q[0]), own(q[2]));
            let scale = (first.value * second.value).abs().sqrt();
            close_at(&what, dual.value, number(&point["k"]), 2e-15, scale + 1e-30);
            if let Some(expected) = point["kdot"].as_f64() {
                let slope = (first.derivative * second.derivative).abs().sqrt();
                close_at(&what, dual.derivative, expected, 4e-15, slope.max(1e-30));
            }
        }
    }
}

/// The peer loses digits where this crate does not: sin at tiny variances against the 50-digit value.
#[test]
fn more_accurate_than_the_peer() {
    let file = read(include_str!("../reference/dual_activations.json"));
    let mut worst = [0.0_f64; 2];
    for case in file["cases"].as_array().unwrap() {
        let phi = activation(case["activation"].as_str().unwrap(), &case["params"]);
        for point in case["points"].as_array().unwrap() {
            let (q, exact) = (vector(&point["q"]), number(&point["k"]));
            let (Some(peer), true) = (point["nt_k"].as_f64(), exact.abs() > 0.0) else { continue };
            let ours = phi.dual(q[0], q[1], q[2]).unwrap().value;
            let error = |value: f64| ((value - exact) / exact).abs();
            // Relative to the value itself: where it vanishes by cancellation both lose.
            if error(peer) > 1e-12 {
                worst = [worst[0].max(error(ours)), worst[1].max(error(peer))];
            }
        }
    }
    assert!(worst[1] > 1e-12, "the peer is off by {:e} somewhere", worst[1]);
    assert!(worst[0] < 0.1 * worst[1], "ours {:e}, peer {:e}", worst[0], worst[1]);
}

/// Composite Gauss–Legendre with 64 nodes a panel; the file's own accuracy is 1e-13.
#[test]
fn any_activation_by_quadrature() {
    let file = read(include_str!("../reference/quadrature.json"));
    for case in file["cases"].as_array().unwrap() {
        let name = case["activation"].as_str().unwrap();
        let phi = activation(name, &Value::Null);
        // ReLU has a closed form; as a custom function it goes through the rule.
        let phi = if name == "relu" {
            Activation::custom(|z| z.max(0.0), |z| f64::from(u8::from(z > 0.0)), &[0.0], f64::INFINITY).unwrap()
        } else {
            phi
        };
        for point in case["points"].as_array().unwrap() {
            let q = vector(&point["q"]);
            let what = format!("{name} at {q:?}");
            let dual = phi.dual(q[0], q[1], q[2]).unwrap();
            let own = |q: f64| phi.dual(q, q, q).unwrap().value;
            close_at(&what, dual.value, number(&point["k"]), 2e-13, (own(q[0]) * own(q[2])).sqrt());
            close_at(&what, dual.derivative, number(&point["kdot"]), 2e-13, 1.0);
        }
        for m in case["moments"].as_array().unwrap() {
            let q = number(&m["q"]);
            let what = format!("{name} moments at {q}");
            let got = phi.moments(q).unwrap();
            let scale = got.second.sqrt();
            close_at(&what, got.mean, number(&m["mean"]), 1e-13, scale);
            close_at(&what, got.second, number(&m["second_moment"]), 1e-13, 0.0);
            close_at(&what, got.slope, number(&m["second_moment_derivative"]), 1e-13, 0.0);
            close_at(&what, got.fourth, number(&m["fourth_moment"]), 1e-13, 0.0);
            // The file's coefficients are good to 2e-12 only: 30 digits give -7.88911149237278e-5 for tanh, q = 1/4, j = 15, as
            // here; odd ones of softplus above 1 are 0.
            let series = HermiteSeries::new(&phi, q, 1e-15).unwrap();
            for (j, expected) in flat(&m["hermite_coefs_normalised"]).into_iter().enumerate() {
                close_at(&format!("{what} a[{j}]"), series.coefficients()[j], expected, 3e-12, scale);
            }
        }
    }
}

/// The series against the two-dimensional rule, within its own error bound.
#[test]
fn series_stays_within_its_bound() {
    for name in ["tanh", "sigmoid", "softplus", "swish", "mish", "elu", "hard_tanh"] {
        let phi = activation(name, &Value::Null);
        for (q11, q22) in [(1.0, 1.0), (0.3, 4.0), (9.0, 2.0)] {
            let (a, b) = (
                HermiteSeries::new(&phi, q11, 1e-15).unwrap(),
                HermiteSeries::new(&phi, q22, 1e-15).unwrap(),
            );
            for rho in [-0.97, -0.3, 0.0, 0.5, 0.9, 0.999] {
                let (got, bound) = a.dual(&b, rho);
                let exact = phi.dual(q11, rho * f64::sqrt(q11 * q22), q22).unwrap();
                let own = |q| phi.dual(q, q, q).unwrap();
                let scale = (own(q11).value * own(q22).value).sqrt();
                let slope = (own(q11).derivative * own(q22).derivative).sqrt();
                assert!(
                    (got.value - exact.value).abs() <= (bound + 1e-12) * scale
                        && (got.derivative - exact.derivative).abs() <= (bound + 1e-12) * slope,
                    "{name} {q11} {q22} {rho}: {got:?} {exact:?} bound {bound:e}"
                );
            }
        }
    }
}
