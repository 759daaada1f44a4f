//! Random Fourier signature features.

use super::*;
use kernels_core::{LiftedSignature, RandomFourier, Rbf, SignatureFeatures, features, gram};
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
        same(name, &by_levels(&z, &map.level_offsets()), &file);
    }
}

/// The Gram matrix of each level.
fn by_levels(z: &DMatrix<f64>, offsets: &[usize]) -> Vec<DMatrix<f64>> {
    let level = |pair: &[usize]| {
        let part = z.columns(pair[0], pair[1] - pair[0]);
        part * part.transpose()
    };
    offsets.windows(2).map(level).collect()
}

fn same(name: &str, got: &[DMatrix<f64>], file: &Value) {
    let expected = matrices(&file[name]);
    assert_eq!(got.len(), expected.len());
    for (level, (got, expected)) in got.iter().zip(&expected).enumerate() {
        for (g, e) in got.iter().zip(expected.iter()) {
            close(*g, *e, 1e-12, &format!("{name}, level {level}"));
        }
    }
}

#[test]
fn in_full_by_the_features_of_the_file() {
    let file = read(include_str!("../reference/signature/rfsf.json"));
    let xs = paths(&file["X"]);
    let maps = matrices(&file["W"])
        .iter()
        .map(|w| RandomFourier::from_frequencies(w.as_slice(), w.ncols(), w.nrows()).unwrap())
        .collect();
    let map = LiftedSignature::new(maps).unwrap();
    let z = features(&map, &xs).unwrap();
    same("gram_levels_full_rfsf", &by_levels(&z, &map.level_offsets::<f64>()), &file);

    let kernel = Signature::new(Rbf::new(1.0).unwrap());
    let mut levels = vec![DMatrix::from_element(3, 3, 1.0)];
    for level in 1..=3 {
        let truncated = kernel.clone().solver(Solver::Truncated { levels: level, order: 1 }).unwrap();
        let below: DMatrix<f64> = levels.iter().sum();
        levels.push(gram(&truncated, &xs).unwrap() - below);
    }
    same("gram_levels_exact_order1", &levels, &file);

    // Means of 4 000 runs by others: 5 standard errors of about a tenth of the diagonal.
    for (name, means) in file["monte_carlo_mean_4000_reps"].as_object().unwrap() {
        for (level, (mean, exact)) in matrices(means).iter().zip(&levels).enumerate() {
            let largest = exact.amax();
            assert!((mean - exact).amax() <= 0.15 * largest, "{name} {level}: {mean} {exact}");
        }
    }
    assert!(LiftedSignature::<RandomFourier>::new(Vec::new()).is_err());
    let far = (0..16).map(|i| RandomFourier::new(&Rbf::new(1.0).unwrap(), 2, 4, i).unwrap()).collect();
    assert!(features(&LiftedSignature::new(far).unwrap(), &xs).is_err());
}

#[cfg(feature = "dense")]
#[test]
fn of_nystrom_features() {
    use kernels_core::NystromFeatures;
    let file = read(include_str!("../reference/signature/rfsf.json"));
    let xs = paths(&file["X"]);
    let landmarks: Vec<usize> =
        numbers(&file["nystrom_landmarks_flat_index"]).iter().map(|i| *i as usize).collect();
    let centres = xs.knots().subset(&landmarks).unwrap();
    let nystrom = NystromFeatures::new(Rbf::new(1.0).unwrap(), centres).unwrap();
    let map = LiftedSignature::new(vec![nystrom; 3]).unwrap();
    let z = features(&map, &xs).unwrap();
    same("gram_levels_nystrom", &by_levels(&z, &map.level_offsets::<f64>()), &file);
}

#[test]
fn diagonal_features_of_the_file() {
    let file = read(include_str!("../reference/signature/rfsf.json"));
    let xs = paths(&file["X"]);
    let map = SignatureFeatures::with_frequencies(&matrices(&file["W"])).unwrap();
    let (z, offsets) = (features(&map, &xs).unwrap(), map.level_offsets());
    for level in [1, 2] {
        let expected = matrix(&file[format!("features_DP_level{level}")]);
        for i in 0..3 {
            // In some order: sorted.
            let sorted = |mut v: Vec<f64>| {
                v.sort_by(f64::total_cmp);
                v
            };
            let got = sorted(z.row(i).columns(offsets[level], expected.ncols()).iter().copied().collect());
            for (g, e) in got.iter().zip(sorted(expected.row(i).iter().copied().collect())) {
                close(*g, e, 1e-12, &format!("level {level} of path {i}"));
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
