use kernels_core::{FeatureMap, Rows, features};
use nalgebra::DMatrix;
use serde_json::Value;

mod fourier;

pub(crate) fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/random_features.json")).unwrap()
}

pub(crate) fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

/// ⟨φ(x), φ(y)⟩.
pub(crate) fn estimate(map: &impl FeatureMap<Rows<f64>>, x: &[f64], y: &[f64]) -> f64 {
    let z = features(map, &Rows::from_row_major([x, y].concat(), 2, x.len()).unwrap()).unwrap();
    z.row(0).dot(&z.row(1))
}

/// Mean and variance of independent numbers.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

/// The mean of estimates over seeds within 5 standard errors of the truth (level 6e-7 each), and their variance.
pub(crate) fn unbiased(name: &str, truth: f64, seeds: u64, estimate: impl Fn(u64) -> f64) -> f64 {
    let values: Vec<f64> = (0..seeds).map(estimate).collect();
    let (mean, variance) = moments(&values);
    let deviation = (variance / seeds as f64).sqrt();
    assert!((mean - truth).abs() <= 5.0 * deviation + 1e-14, "{name}: {mean} against {truth} ± {deviation}");
    variance
}

/// A sample variance within a factor of its expectation; the factor is for thousands of draws of short tails.
pub(crate) fn variance_near(name: &str, got: f64, expected: f64, factor: f64) {
    assert!(
        got < expected * factor && got > expected / factor,
        "{name}: variance {got:e} against {expected:e}"
    );
}
