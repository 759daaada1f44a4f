//! Spectral algorithms, classification, Gaussian processes, clustering and the closed-form methods against numbers from
//! independent implementations (sources are in the files), and their invariants.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::type_complexity
)]

mod classification;
mod closed_form;
mod processes;
mod spectral;
mod svm;
mod unsupervised;

use kernels_core::Rows;
use nalgebra::DMatrix;
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

fn labels(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn rows(v: &Value) -> Rows<f64> {
    Rows::new(&matrix(v))
}

/// A Gaussian kernel exp(−γ‖x − y‖²).
fn rbf(gamma: f64) -> kernels_core::Rbf {
    kernels_core::Rbf::new((0.5 / gamma).sqrt()).unwrap()
}

/// Relative to the largest reference value.
#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1e-300_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}[{i}]: got {g:e}, expected {e:e}");
    }
}

/// Standardised features and target of the concrete data.
fn concrete() -> (DMatrix<f64>, Vec<f64>) {
    let text = include_str!("../data/concrete.csv");
    let table: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    let mut all = DMatrix::from_fn(table.len(), table[0].len(), |i, j| table[i][j]);
    for mut column in all.column_iter_mut() {
        let (mean, deviation) = (column.mean(), column.variance().sqrt());
        column.apply(|v| *v = (*v - mean) / deviation);
    }
    let target = all.column(all.ncols() - 1).iter().copied().collect();
    let features = all.ncols() - 1;
    (all.remove_column(features), target)
}
