//! Reading reference files.

use kernels_core::Rows;
use kernels_ntk::Activation;
use nalgebra::DMatrix;
use serde_json::Value;

pub(crate) fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

pub(crate) fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

/// All numbers in a nested list, in order.
pub(crate) fn flat(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Null => vec![f64::NAN],
        other => vec![number(other)],
    }
}

pub(crate) fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows.first().map_or(0, Vec::len), |i, j| rows[i][j])
}

pub(crate) fn rows(v: &Value) -> Rows<f64> {
    Rows::new(&matrix(v))
}

pub(crate) fn activation(name: &str, params: &Value) -> Activation {
    let p = |key: &str, default: f64| params.get(key).and_then(Value::as_f64).unwrap_or(default);
    let (a, b, c) = (p("a", 1.0), p("b", 1.0), p("c", 0.0));
    let n = p("n", 0.0) as usize;
    match name {
        "identity" => Activation::Identity,
        "relu" => Activation::relu(),
        "leaky_relu" => Activation::leaky_relu(p("alpha", 0.1)),
        "abrelu" => Activation::AbRelu { a, b },
        "abs" => Activation::abs(),
        "erf" => Activation::Erf { a, b, c },
        "sigmoid_like" => Activation::sigmoid_like(),
        "sin" => Activation::Sin { a, b, c },
        "cos" => Activation::Cos { a, b, c },
        "rbf" => Activation::Rbf { gamma: p("gamma", 1.0) },
        "exp" => Activation::Exp { a, b },
        "gaussian" => Activation::Gaussian { a, b },
        "gelu" => Activation::Gelu,
        "gabor" => Activation::Gabor,
        "sign" => Activation::Sign,
        "monomial" => Activation::monomial(n),
        "polynomial" => Activation::Polynomial(vector(&params["coef"])),
        "rectified_monomial" => Activation::Rectified { power: n as u32 },
        "hermite" => Activation::hermite(n),
        "exp_normalized" => Activation::ExpNormalized { gamma: p("gamma", 1.0), shift: p("shift", 0.0) },
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "softplus" => Activation::Softplus,
        "swish" => Activation::Swish,
        "mish" => Activation::Mish,
        "elu" => Activation::elu(),
        "hard_tanh" => Activation::HardTanh,
        other => panic!("unknown activation {other}"),
    }
}

#[track_caller]
pub(crate) fn close_at(what: &str, got: f64, expected: f64, tolerance: f64, scale: f64) {
    assert!(
        (got - expected).abs() <= tolerance * scale.max(expected.abs()),
        "{what}: got {got:e}, expected {expected:e} (difference {:e}, allowed {:e})",
        (got - expected).abs(),
        tolerance * scale.max(expected.abs())
    );
}

/// Relative to the largest reference value.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1e-300_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        close_at(&format!("{what}[{i}]"), *g, *e, tolerance, scale);
    }
}

#[track_caller]
pub(crate) fn close_matrix(what: &str, got: &DMatrix<f64>, expected: &DMatrix<f64>, tolerance: f64) {
    assert_eq!(got.shape(), expected.shape(), "{what}: shape");
    close(what, got.as_slice(), expected.as_slice(), tolerance);
}
