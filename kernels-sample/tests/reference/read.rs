//! Reading the files.

use kernels_core::Rows;
use nalgebra::DMatrix;
use serde_json::Value;

pub(crate) fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

pub(crate) fn count(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

pub(crate) fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

pub(crate) fn indices(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(count).collect()
}

pub(crate) fn lists(v: &Value) -> Vec<Vec<usize>> {
    v.as_array().unwrap().iter().map(indices).collect()
}

pub(crate) fn cases(v: &Value) -> &Vec<Value> {
    v.as_array().unwrap()
}

pub(crate) fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

pub(crate) fn rows(v: &Value) -> Rows<f64> {
    Rows::new(&matrix(v))
}

/// |got − expected| ≤ tolerance · max(|expected|, floor).
#[track_caller]
pub(crate) fn close(what: &str, got: f64, expected: f64, tolerance: f64, floor: f64) {
    assert!(
        (got - expected).abs() <= tolerance * expected.abs().max(floor),
        "{what}: got {got:e}, expected {expected:e}"
    );
}

/// Relative to the largest expected value.
#[track_caller]
pub(crate) fn all_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1e-300_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}[{i}]: got {g:e}, expected {e:e}");
    }
}
