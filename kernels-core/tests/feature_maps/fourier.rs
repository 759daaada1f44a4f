//! Fourier features of independent, orthogonal, quasi-random and structured frequencies.

use kernels_core::{
    FeatureMap, Kernel, Laplacian, Matern, RandomFourier, RationalQuadratic, Rbf, Rows, Spectral,
    StructuredFourier, check_feature_map, features, testing::rows,
};

use super::{estimate, matrix, numbers, reference, unbiased, variance_near};

const X: [f64; 3] = [0.3, -0.2, 0.9];
const Y: [f64; 3] = [-0.4, 0.1, 0.2];

fn sklearn() -> serde_json::Value {
    serde_json::from_str(include_str!("../reference/random_features_sklearn.json")).unwrap()
}

#[test]
fn as_scikit_learn_from_the_same_weights() {
    let file = sklearn();
    let xs = Rows::new(&matrix(&file["X_test"]));
    let r = &file["rbf_sampler"];
    // Stored one column a frequency.
    let weights = matrix(&r["weights"]).transpose();
    let map = RandomFourier::from_frequencies(weights.transpose().as_slice(), 12, 3).unwrap();
    let map = map.with_phases(&numbers(&r["offset"])).unwrap();
    let z = features(&map, &xs).unwrap();
    // Angles up to about 10: a few ulps of them.
    assert!((z - matrix(&r["features_test"])).amax() < 1e-14);
    let r = &file["sincos"];
    let weights = matrix(&r["W"]);
    let map = RandomFourier::from_frequencies(weights.transpose().as_slice(), 6, 3).unwrap();
    assert!((features(&map, &xs).unwrap() - matrix(&r["features_test"])).amax() < 1e-14);
    assert!((map.frequency(2).unwrap()[1] - weights[(2, 1)]).abs() < 1e-15);
    let single = Rows::new(&matrix(&file["X_test"]).map(|v| v as f32));
    let z = features(&map, &single).unwrap().map(f64::from);
    assert!((z - matrix(&r["features_test"])).amax() < 2e-6);
}

/// The closed forms of the file against ours, and sample variances of one frequency against them.
#[test]
fn variances_are_the_closed_forms() {
    let file = reference();
    let (x, y) = (numbers(&file["x"]), numbers(&file["y"]));
    let kernel = Rbf::new(1.0).unwrap();
    let k: f64 = Kernel::<Rows<f64>>::eval(&kernel, &x, &y);
    assert!((k - file["rbf_l1_value"].as_f64().unwrap()).abs() < 1e-15);
    let per = &file["var_per_frequency"];
    let pair = per["cos_sin pair (phi=[cos,sin]/sqrt(D))"].as_f64().unwrap();
    let offset = per["random_offset cos (sqrt(2/D)cos(wx+b))"].as_f64().unwrap();
    let double: f64 = k.powi(4);
    assert!((pair - (1.0 + double - 2.0 * k * k) / 2.0).abs() < 1e-14);
    assert!((offset - (1.0 + double / 2.0 - k * k)).abs() < 1e-14);
    let draws = 4000;
    let map = |s| RandomFourier::new(&kernel, 3, 1, s).unwrap();
    let v = unbiased("pairs", k, draws, |s| estimate(&map(s), &x, &y));
    variance_near("pairs", v, pair, 1.1);
    let v = unbiased("phases", k, draws, |s| estimate(&map(s).with_random_phases(s + 1), &x, &y));
    variance_near("phases", v, offset, 1.1);
}

#[test]
fn orthogonal_frequencies_are_unbiased_and_better() {
    fn check<K: Kernel<Rows<f64>> + Spectral>(
        kernel: &K,
        orthogonal: impl Fn(u64) -> RandomFourier,
        independent: impl Fn(u64) -> RandomFourier,
    ) -> f64 {
        let k = kernel.eval(&X, &Y);
        let with = unbiased("orthogonal", k, 3000, |s| estimate(&orthogonal(s), &X, &Y));
        let without = unbiased("independent", k, 3000, |s| estimate(&independent(s), &X, &Y));
        with / without
    }
    let rbf = Rbf::new([1.0, 0.8, 1.3]).unwrap();
    let ratio = check(
        &rbf,
        |s| RandomFourier::orthogonal(&rbf, 3, 6, s).unwrap(),
        |s| RandomFourier::new(&rbf, 3, 6, s).unwrap(),
    );
    // Strictly lower variance: the ratio of two sample variances of 3000 draws is within 15 % of its truth at 5 sigma.
    assert!(ratio < 0.8, "{ratio}");
    let matern = Matern::new(1.5, 1.0).unwrap();
    let ratio = check(
        &matern,
        |s| RandomFourier::orthogonal(&matern, 3, 6, s).unwrap(),
        |s| RandomFourier::new(&matern, 3, 6, s).unwrap(),
    );
    assert!(ratio < 0.9, "{ratio}");
    let map = RandomFourier::orthogonal(&Rbf::new(1.0).unwrap(), 3, 5, 1).unwrap();
    let f = |j| nalgebra::DVector::from_vec(map.frequency(j).unwrap());
    assert!(f(0).dot(&f(2)).abs() < 1e-13 && f(3).dot(&f(4)).abs() < 1e-13);
    assert!(map.frequency(5).is_err());
}

#[test]
fn quasi_random_frequencies_are_unbiased_and_converge_faster() {
    let kernel = Rbf::new(1.0).unwrap();
    let k = Kernel::<Rows<f64>>::eval(&kernel, &X, &Y);
    let quasi = |m: usize| {
        unbiased("quasi", k, 400, |s| estimate(&RandomFourier::quasi(&kernel, 3, m, s).unwrap(), &X, &Y))
            .sqrt()
    };
    let (few, many) = (quasi(16), quasi(256));
    // Independent frequencies gain a factor of 4 from 16 times as many.
    assert!(few / many > 6.0, "{few} {many}");
    let laplacian = Laplacian::new(0.7).unwrap();
    let k = Kernel::<Rows<f64>>::eval(&laplacian, &X, &Y);
    unbiased("laplacian", k, 400, |s| estimate(&RandomFourier::quasi(&laplacian, 3, 64, s).unwrap(), &X, &Y));
}

#[test]
fn the_error_falls_with_the_root_of_the_number_of_features() {
    let kernel = RationalQuadratic::new(1.5, 1.0).unwrap();
    let k = Kernel::<Rows<f64>>::eval(&kernel, &X, &Y);
    let error = |m: usize| {
        unbiased("rate", k, 600, |s| estimate(&RandomFourier::new(&kernel, 3, m, s).unwrap(), &X, &Y))
    };
    let slope = (error(256).ln() - error(8).ln()) / (2.0 * 32.0_f64.ln());
    // Log of a ratio of two variances of 600 draws each: a standard deviation of 0.08 over 2 ln 32 = 6.9.
    assert!((slope + 0.5).abs() < 0.06, "{slope}");
}

#[test]
fn fast_transforms_are_unbiased() {
    let rbf = Rbf::new([1.0, 0.8, 1.3]).unwrap();
    let k = Kernel::<Rows<f64>>::eval(&rbf, &X, &Y);
    unbiased("fastfood", k, 3000, |s| estimate(&StructuredFourier::fastfood(&rbf, 3, 4, s).unwrap(), &X, &Y));
    let matern = Matern::new(2.5, 1.0).unwrap();
    let k = Kernel::<Rows<f64>>::eval(&matern, &X, &Y);
    unbiased("fastfood matern", k, 3000, |s| {
        estimate(&StructuredFourier::fastfood(&matern, 3, 6, s).unwrap(), &X, &Y)
    });
    // SORF has a bias that falls with the dimension: in 64 dimensions it is below the noise of 2000 draws.
    let rbf = Rbf::new(4.0).unwrap();
    let (x, y): (Vec<f64>, Vec<f64>) =
        (0..64).map(|i| ((f64::from(i)).sin() * 0.5, (f64::from(i)).cos() * 0.5)).unzip();
    let k: f64 = Kernel::<Rows<f64>>::eval(&rbf, &x, &y);
    let mean =
        (0..500).map(|s| estimate(&StructuredFourier::sorf(&rbf, 64, 64, s).unwrap(), &x, &y)).sum::<f64>()
            / 500.0;
    assert!((mean - k).abs() < 0.01, "{mean} {k}");
}

check_feature_map!(
    fourier_of_phases,
    RandomFourier::new(&Rbf::new(1.0).unwrap(), 3, 9, 3).unwrap().with_random_phases(1),
    rows(0..9, 3..4)
);
check_feature_map!(
    fourier_in_many_dimensions,
    RandomFourier::orthogonal(&Rbf::new(1.0).unwrap(), 20, 33, 3).unwrap(),
    rows(0..40, 20..21)
);
check_feature_map!(
    fastfood,
    StructuredFourier::fastfood(&Rbf::new(1.0).unwrap(), 5, 13, 3).unwrap(),
    rows(0..9, 5..6)
);
check_feature_map!(
    sorf,
    StructuredFourier::sorf(&Rbf::new(1.0).unwrap(), 1, 3, 3).unwrap(),
    rows(0..9, 1..2)
);

#[test]
fn edges() {
    let rbf = Rbf::new(1.0).unwrap();
    let empty = Rows::from_row_major(Vec::<f64>::new(), 3, 0).unwrap();
    let map = RandomFourier::new(&rbf, 0, 4, 0).unwrap();
    assert!((features(&map, &empty).unwrap().row(0).norm() - 1.0).abs() < 1e-15);
    assert!(RandomFourier::orthogonal(&rbf, 0, 4, 0).is_ok() && RandomFourier::quasi(&rbf, 0, 4, 0).is_ok());
    assert!(StructuredFourier::sorf(&rbf, 0, 4, 0).is_ok());
    assert!(StructuredFourier::sorf(&rbf, 2, 0, 0).is_err());
    assert!(RandomFourier::from_frequencies(&[1.0, 2.0], 1, 1).is_err());
    assert!(RandomFourier::from_frequencies(&[f64::NAN], 1, 1).is_err());
    assert!(map.clone().with_phases(&[1.0]).is_err());
    // NaN in, NaN out.
    let map = RandomFourier::new(&rbf, 1, 4, 0).unwrap();
    let z = features(&map, &Rows::from_row_major(vec![f64::NAN, 1.0], 2, 1).unwrap()).unwrap();
    assert!(z.row(0).iter().all(|v| v.is_nan()) && z.row(1).iter().all(|v| v.is_finite()));
    assert!(map.check(&Rows::from_row_major(vec![0.0; 4], 2, 2).unwrap()).is_err());
}
