//! Large-scale solvers: numbers of independent implementations, convergence to the exact solution, streams, checkpoints.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, clippy::print_stdout)]

mod centers;
mod choice;
mod convergence;
mod resume;
mod stream;

use kernels_core::Rows;
use nalgebra::DMatrix;
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn indices(v: &Value) -> Vec<usize> {
    vector(v).iter().map(|x| *x as usize).collect()
}

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1e-300_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}[{i}]: got {g:e}, expected {e:e}");
    }
}

/// Points on which neighbours in the order are neighbours in space.
fn smooth(n: usize) -> (Rows<f64>, DMatrix<f64>) {
    let x = |i: usize, j: usize| {
        2.0 * ((i as f64 / n as f64) * (3.0 + j as f64) + 0.3 * (i * 7 % 11) as f64 * 0.1).sin()
    };
    let xs = Rows::new(&DMatrix::from_fn(n, 2, x));
    let y = DMatrix::from_fn(n, 2, |i, k| {
        (x(i, 0) * (k as f64 + 1.0)).sin() + 0.1 * ((i * 31 % 17) as f64 / 17.0 - 0.5)
    });
    (xs, y)
}
