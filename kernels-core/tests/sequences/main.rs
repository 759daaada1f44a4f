//! Sequence kernels: numbers of independent implementations, and properties.

mod features;
mod gradients;
mod others;
mod properties;
mod signature;

use kernels_core::{AnyKernel, FiniteDifferences, Normalization, Path, Paths, Points, Signature, Solver};
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

fn number(v: &Value) -> f64 {
    match v {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

/// A path as a list of knots; its values and its dimension.
fn path(v: &Value) -> (Vec<f64>, usize) {
    let knots: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    let dim = knots[0].len();
    (knots.concat(), dim)
}

fn paths(v: &Value) -> Paths<f64> {
    let all: Vec<(Vec<f64>, usize)> = v.as_array().unwrap().iter().map(path).collect();
    let views: Vec<Path<'_, f64>> = all.iter().map(|(v, d)| Path::new(v, *d).unwrap()).collect();
    Paths::from_paths(&views).unwrap()
}

fn one(v: &Value) -> Paths<f64> {
    let (values, dim) = path(v);
    Paths::from_paths(&[Path::new(&values, dim).unwrap()]).unwrap()
}

/// Within a relative tolerance, or an absolute one below 1.
#[track_caller]
fn close(got: f64, expected: f64, tolerance: f64, what: &str) {
    let size = expected.abs().max(1.0);
    assert!((got - expected).abs() <= tolerance * size, "{what}: got {got:e}, expected {expected:e}");
}

/// Our text for the static kernels of the files.
fn lift(name: &str) -> AnyKernel<f64> {
    let text = match name {
        "linear" => "linear()",
        "rbf" => "rbf(length_scale=0.8)",
        "rbf_small" => "rbf(length_scale=0.3)",
        "rq" => "rational_quadratic(alpha=1.5, length_scale=0.9)",
        "matern12" => "matern(nu=0.5, length_scale=1.1)",
        "matern32" => "matern(nu=1.5, length_scale=1.1)",
        "matern52" => "matern(nu=2.5, length_scale=1.1)",
        "poly3" => "0.1 * polynomial(degree=3, gamma=1, offset=1)",
        "scaled_linear" => "0.48999999999999994 * linear()",
        other => panic!("no text for {other}"),
    };
    text.parse().unwrap()
}

fn fd(dyadic: u32, scheme: FiniteDifferences) -> Solver {
    Solver::FiniteDifferences { dyadic, scheme }
}

fn value(kernel: &Signature<AnyKernel<f64>>, x: &Paths<f64>, y: &Paths<f64>) -> f64 {
    kernels_core::cross_gram(kernel, x, y).unwrap()[(0, 0)]
}
