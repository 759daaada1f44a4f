//! Random Fourier signature features.

use super::*;
use kernels_core::{Rbf, SignatureFeatures, features, gram};
use nalgebra::DMatrix;

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn matrices(v: &Value) -> Vec<DMatrix<f64>> {
    v.as_array().unwrap().iter().map(matrix).collect()
}

#[test]
fn with_given_frequencies() {
    let file = read(include_str!("../reference/signature/rfsf.json"));
    let xs = paths(&file["X"]);
    let diagonal = SignatureFeatures::with_frequencies(&matrices(&file["W"])).unwrap();
    let tensor = diagonal.clone().projected(&matrices(&file["TRP_projections_P"])).unwrap();
    for (name, map) in [("gram_levels_DP", diagonal), ("gram_levels_TRP", tensor)] {
        let z = features(&map, &xs).unwrap();
        let offsets = map.level_offsets();
        for (level, expected) in matrices(&file[name]).iter().enumerate() {
            let part = z.columns(offsets[level], offsets[level + 1] - offsets[level]);
            let got = part * part.transpose();
            for (g, e) in got.iter().zip(expected.iter()) {
                close(*g, *e, 1e-12, &format!("{name}, level {level}"));
            }
        }
    }
}

#[test]
fn inner_products_are_unbiased() {
    let file = read(include_str!("../reference/signature/rfsf.json"));
    let xs = paths(&file["X"]);
    let rbf = Rbf::new(1.0).unwrap();
    let kernel = Signature::new(rbf.clone()).solver(Solver::Truncated { levels: 3, order: 1 }).unwrap();
    let exact = gram(&kernel, &xs).unwrap();
    const RUNS: usize = 400;
    for tensor in [false, true] {
        let (mut sum, mut squares) = (DMatrix::zeros(3, 3), DMatrix::zeros(3, 3));
        for run in 0..RUNS as u64 {
            let map = if tensor {
                SignatureFeatures::tensor(&rbf, 2, 3, 6, 8, run).unwrap()
            } else {
                SignatureFeatures::diagonal(&rbf, 2, 3, 6, run).unwrap()
            };
            let z = features(&map, &xs).unwrap();
            let k = &z * z.transpose();
            squares += k.component_mul(&k);
            sum += k;
        }
        let n = RUNS as f64;
        for e in 0..9 {
            let mean = sum[e] / n;
            let error = ((squares[e] / n - mean * mean) / n).sqrt();
            // Five standard errors of the mean.
            assert!(
                (mean - exact[e]).abs() <= 5.0 * error,
                "{tensor} {e}: {mean} ± {error}, not {}",
                exact[e]
            );
        }
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let rbf = Rbf::new(1.0).unwrap();
    assert!(SignatureFeatures::diagonal(&rbf, 2, 0, 3, 1).is_err());
    assert!(SignatureFeatures::diagonal(&rbf, 2, 2, 0, 1).is_err());
    assert!(SignatureFeatures::tensor(&rbf, 2, 2, 3, 0, 1).is_err());
    assert!(SignatureFeatures::diagonal(&Rbf::new([1.0, 2.0, 3.0]).unwrap(), 2, 2, 3, 1).is_err());
    let map = SignatureFeatures::diagonal(&rbf, 2, 2, 3, 1).unwrap();
    assert!(features(&map, &Paths::from_array(vec![0.0; 3], 1, 1, 3).unwrap()).is_err());
}
