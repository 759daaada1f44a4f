use nalgebra::DMatrix;
use serde_json::Value;

mod compact;
mod measures;
mod operators;

pub(crate) fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

/// A number in (−1, 1) that depends on its index alone.
pub(crate) fn spread(i: usize) -> f64 {
    (12.9898 * i as f64 + 0.3).sin()
}
