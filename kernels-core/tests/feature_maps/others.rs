//! Softmax features and attention, sketches, Taylor, binning, Gegenbauer, universal and Nyström features, the report.

use kernels_core::{
    Error, FeatureMap, FeatureReport, GegenbauerFeatures, Kernel, Laplacian, NystromFeatures, RandomBinning,
    RandomFourier, Rbf, Rows, Sigmoid, SoftmaxFeatures, TaylorFeatures, TensorSketch, TrigonometricFeatures,
    UniversalFeatures, White, check_feature_map, exact_attention, features, gram, linear_attention,
    sphere_eigenvalues,
    testing::{rows, tame_rows},
};
use nalgebra::DMatrix;

use super::{estimate, matrix, numbers, reference, unbiased, variance_near};

fn longer(x: &[f64]) -> Vec<f64> {
    x.iter().map(|v| 1.6 * v).collect()
}

#[test]
fn softmax_features_have_their_variances() {
    let file = reference();
    let (x, y) = (numbers(&file["x"]), numbers(&file["y"]));
    let value = |name: &str| file[name].as_f64().unwrap();
    let exact = value("softmax_value");
    let draws = 6000;
    // Sample variances of products of lognormal variables: heavy tails, so a factor of 1.3.
    let v = unbiased("positive", exact, draws, |s| {
        estimate(&SoftmaxFeatures::positive(3, 1, s).unwrap(), &x, &y)
    });
    variance_near("positive", v, value("var_positive_m1"), 1.3);
    let hyperbolic = unbiased("hyperbolic", exact, draws, |s| {
        estimate(&SoftmaxFeatures::hyperbolic(3, 1, s).unwrap(), &x, &y)
    });
    variance_near("hyperbolic", hyperbolic, value("var_hyperbolic_m1"), 1.4);
    let trigonometric = unbiased("trigonometric", exact, draws, |s| {
        estimate(&TrigonometricFeatures::new(3, 1, s).unwrap(), &x, &y)
    });
    // Bounded, so that sample variances are near.
    variance_near("trigonometric", trigonometric, value("var_trig_m1"), 1.1);
    let o = &file["oprf"];
    let phi = o["phi=|x+y|^2"].as_f64().unwrap();
    let a = SoftmaxFeatures::optimal_parameter(3, phi).unwrap();
    assert!((a - o["A_star"].as_f64().unwrap()).abs() < 1e-14);
    let optimal = unbiased("optimal", exact, draws, |s| {
        estimate(&SoftmaxFeatures::optimal(3, 1, phi, s).unwrap(), &x, &y)
    });
    variance_near("optimal", optimal, o["var_m1"].as_f64().unwrap(), 1.3);
    assert!(optimal < v);
    let (x, y) = (longer(&x), longer(&y));
    let exact = x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>().exp();
    let pair = |s: u64| estimate(&SoftmaxFeatures::positive(3, 3, s).unwrap(), &x, &y);
    let independent = unbiased("independent", exact, 2 * draws, pair);
    let orthogonal = unbiased("orthogonal", exact, 2 * draws, |s| {
        estimate(&SoftmaxFeatures::orthogonal(3, 3, s).unwrap(), &x, &y)
    });
    assert!(orthogonal < independent, "{orthogonal} {independent}");
    assert_eq!(SoftmaxFeatures::optimal_parameter(3, 0.0).unwrap(), 0.0);
    assert!(SoftmaxFeatures::optimal(3, 1, -1.0, 0).is_err());
}

#[test]
fn attention_of_the_file() {
    let file = reference();
    let r = &file["favor_attention"];
    let (q, k, v, w) = (matrix(&r["q"]), matrix(&r["k"]), matrix(&r["v"]), matrix(&r["W"]));
    let map = SoftmaxFeatures::from_directions(w.transpose().as_slice(), w.nrows(), w.ncols()).unwrap();
    let (qs, ks) = (Rows::new(&q), Rows::new(&k));
    let plain = (features(&map, &qs).unwrap(), features(&map, &ks).unwrap());
    let scaled = (map.queries(&qs).unwrap(), map.keys(&ks).unwrap());
    assert!((scaled.0.row(2).max() - 1.0).abs() < 1e-15 && (scaled.1.max() - 1.0).abs() < 1e-15);
    for (causal, name) in [(false, "out_bidirectional"), (true, "out_causal")] {
        for (fq, fk) in [&plain, &scaled] {
            let got = linear_attention(fq, fk, &v, causal).unwrap();
            assert!((got - matrix(&r[name])).amax() < 1e-13, "{name}");
        }
    }
    let got = exact_attention(&q, &k, &v, false).unwrap();
    assert!((got - matrix(&r["exact_bidirectional"])).amax() < 1e-14);
    // Exact attention as the oracle of many features, causal too.
    let map = SoftmaxFeatures::orthogonal(3, 20_000, 3).unwrap();
    let (fq, fk) = (map.queries(&qs).unwrap(), map.keys(&ks).unwrap());
    for causal in [false, true] {
        let fast = linear_attention(&fq, &fk, &v, causal).unwrap();
        assert!((fast - exact_attention(&q, &k, &v, causal).unwrap()).amax() < 0.05);
    }
    // Rows whose plain features underflow.
    let long = Rows::new(&(&q * 60.0));
    let (fq, fk) = (map.queries(&long).unwrap(), map.keys(&long).unwrap());
    assert!(features(&map, &long).unwrap().max() < 1e-30 && fk.max() == 1.0);
    assert!(linear_attention(&fq, &fk, &v, false).is_ok());
    assert!(matches!(linear_attention(&-&fq, &fk, &v, false), Err(Error::Domain { .. })));
    assert!(linear_attention(&fq, &fk, &v.rows(0, 2).into_owned(), false).is_err());
    let none = DMatrix::<f64>::zeros(0, 3);
    assert!(exact_attention(&none, &none, &DMatrix::zeros(0, 2), true).unwrap().is_empty());
    assert!(exact_attention(&q, &none, &DMatrix::zeros(0, 2), false).is_err());
}

const X: [f64; 3] = [0.3, -0.2, 0.9];
const Y: [f64; 3] = [0.4, 0.1, 0.2];

#[test]
fn sketches_of_polynomials() {
    let exact = (0.5 * (0.12 - 0.02 + 0.18) + 1.0_f64).powi(3);
    let error = |m: usize| {
        unbiased("sketch", exact, 800, |s| {
            estimate(&TensorSketch::new(3, 0.5, 1.0, 3, m, s).unwrap(), &X, &Y)
        })
    };
    // Variance ∝ 1/m.
    let ratio = error(64) / error(512);
    assert!(ratio > 5.5 && ratio < 11.0, "{ratio}");
    assert!(
        TensorSketch::new(0, 1.0, 1.0, 3, 4, 0).is_err() && TensorSketch::new(2, 1.0, -1.0, 3, 4, 0).is_err()
    );
}

#[test]
fn taylor_of_the_file() {
    let file = reference();
    let t = &file["taylor_rbf"];
    let (x, y) = (numbers(&t["x"]), numbers(&t["y"]));
    for (degree, value) in t["k_truncated_by_degree"].as_object().unwrap() {
        let map = TaylorFeatures::new(&Rbf::new(1.0).unwrap(), 3, degree.parse().unwrap()).unwrap();
        assert!((estimate(&map, &x, &y) - value.as_f64().unwrap()).abs() < 1e-15, "{degree}");
    }
    let kernel = Rbf::new([1.5, 0.9, 2.0]).unwrap();
    let map = TaylorFeatures::new(&kernel, 3, 14).unwrap();
    assert_eq!(FeatureMap::<Rows<f64>>::dim(&map), 680);
    assert!((estimate(&map, &X, &Y) - Kernel::<Rows<f64>>::eval(&kernel, &X, &Y)).abs() < 1e-13);
    assert!(TaylorFeatures::new(&Rbf::new(1.0).unwrap(), 100, 20).is_err());
}

#[test]
fn binning_of_the_file() {
    let b = &reference()["random_binning"];
    let kernel = Laplacian::new(0.9).unwrap();
    for (t, k) in numbers(&b["t"]).into_iter().zip(numbers(&b["k"])) {
        unbiased("binning", k, 600, |s| {
            estimate(&RandomBinning::new(&kernel, 1, 16, 4, s).unwrap(), &[0.3], &[0.3 + t])
        });
    }
    let kernel = Laplacian::new([0.9, 2.0, 1.0]).unwrap();
    unbiased("binning in three dimensions", Kernel::<Rows<f64>>::eval(&kernel, &X, &Y), 600, |s| {
        estimate(&RandomBinning::new(&kernel, 3, 16, 4, s).unwrap(), &X, &Y)
    });
    assert!(
        RandomBinning::new(&kernel, 2, 16, 4, 0).is_err() && RandomBinning::new(&kernel, 3, 1, 0, 0).is_err()
    );
}

#[test]
fn zonal_kernels_on_the_sphere() {
    let unit = |x: [f64; 3]| x.map(|v| v / x.iter().map(|v| v * v).sum::<f64>().sqrt());
    let (x, y) = (unit(X), unit(Y));
    let t: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    for f in [|t: f64| t.exp(), |t: f64| (1.0 + t).powi(3)] {
        let exact = f(t);
        let error = |m: usize| {
            unbiased("gegenbauer", exact, 400, |s| {
                estimate(&GegenbauerFeatures::new(f, 3, 15, m, s).unwrap(), &x, &y)
            })
        };
        let ratio = error(8) / error(64);
        assert!(ratio > 5.0 && ratio < 12.8, "{ratio}");
    }
    // (1+t)³ has degree 3: by hand on the circle, 5/2 + (15/4) t + (3/2) T₂ + (1/4) T₃, with multiplicities 1, 2, 2, 2.
    let pairs = sphere_eigenvalues(|t| (1.0 + t).powi(3), 2, 4).unwrap();
    for (got, (value, n)) in
        pairs.iter().zip([(2.5, 1.0), (1.875, 2.0), (0.75, 2.0), (0.125, 2.0), (0.0, 2.0)])
    {
        assert!((got.0 - value).abs() < 1e-14 && got.1 == n, "{got:?}");
    }
    assert!(matches!(GegenbauerFeatures::new(|t| -t, 3, 3, 4, 0), Err(Error::NotPositiveDefinite { .. })));
    assert!(GegenbauerFeatures::new(|t| t, 1, 3, 4, 0).is_err());
}

#[test]
fn universal_features_are_unbiased() {
    let spectrum = [(0.07, 0.8, -0.3), (-0.02, 0.1, 0.5), (0.0, 0.4, 0.0)];
    let f = |u: f64| -> f64 {
        spectrum
            .iter()
            .map(|(xi, re, im)| {
                let (sine, cosine) = (2.0 * std::f64::consts::PI * xi * u).sin_cos();
                re * cosine - im * sine
            })
            .sum()
    };
    let (xs, ws) =
        (Rows::from_row_major(X.to_vec(), 1, 3).unwrap(), Rows::from_row_major(Y.to_vec(), 1, 3).unwrap());
    let exact = f(0.12 - 0.02 + 0.18 + 0.7);
    unbiased("universal", exact, 2000, |s| {
        let map = UniversalFeatures::new(&spectrum, 3, 4, s).unwrap();
        map.inputs(&xs).unwrap().row(0).dot(&map.weights(&ws, &[0.7]).unwrap().row(0))
    });
    let map = UniversalFeatures::new(&spectrum, 3, 4, 0).unwrap();
    assert_eq!(map.inputs(&xs).unwrap().shape(), (1, 24));
    assert!(map.weights(&ws, &[]).is_err() && UniversalFeatures::new(&[], 3, 4, 0).is_err());
    assert!(map.inputs(&Rows::from_row_major(vec![0.0], 1, 1).unwrap()).is_err());
}

#[test]
fn nystrom_is_exact_at_its_centres() {
    let points: Vec<f64> = (0..60).map(|i| (f64::from(i) * 1.7).sin()).collect();
    let all = Rows::from_row_major(points.clone(), 30, 2).unwrap();
    let centres = Rows::from_row_major(points[..24].to_vec(), 12, 2).unwrap();
    let kernel = Rbf::new(1.0).unwrap();
    let z = features(&NystromFeatures::new(kernel.clone(), centres).unwrap(), &all).unwrap();
    let (estimate, exact) = (&z * z.transpose(), gram(&kernel, &all).unwrap());
    // Eigenvalues below 1e-12 are cut.
    assert!((estimate.rows(0, 12) - exact.rows(0, 12)).amax() < 1e-6);
    assert!((exact - estimate).symmetric_eigenvalues().min() > -1e-6);
    assert!(NystromFeatures::new(Sigmoid::new(1.0, 0.0).unwrap(), all).is_err());
}

#[test]
fn reports_measure_what_they_say() {
    let kernel = Rbf::new(1.0).unwrap();
    let xs = Rows::from_row_major((0..80).map(|i| (f64::from(i) * 1.3).sin()).collect(), 40, 2).unwrap();
    let exact = NystromFeatures::new(kernel.clone(), xs.clone()).unwrap();
    let report = FeatureReport::new(&kernel, &exact, &xs, 1e-2).unwrap();
    assert!(report.max_error < 1e-8 && report.spectral < 1e-6);
    // Mean square of the diagonal is 0 and off it the closed form of the variance.
    let k = gram(&kernel, &xs).unwrap();
    let expected = k.map(|k: f64| (1.0 + k.powi(4) - 2.0 * k * k) / 100.0).mean();
    let got = (0..200)
        .map(|s| {
            let map = RandomFourier::new(&kernel, 2, 50, s).unwrap();
            FeatureReport::new(&kernel, &map, &xs, 1.0).unwrap().mean_square
        })
        .sum::<f64>()
        / 200.0;
    assert!((got / expected - 1.0).abs() < 0.15, "{got} {expected}");
    let empty = Rows::from_row_major(Vec::<f64>::new(), 0, 2).unwrap();
    assert!(FeatureReport::new(&kernel, &exact, &empty, 1.0).is_err());
    assert!(FeatureReport::new(&White::new(1.0).unwrap(), &exact, &xs, 0.0).is_err());
}

check_feature_map!(softmax, SoftmaxFeatures::hyperbolic(3, 9, 3).unwrap(), tame_rows(0..9, 3..4));
check_feature_map!(sketch, TensorSketch::new(3, 0.5, 1.0, 3, 11, 3).unwrap(), tame_rows(0..9, 3..4));
check_feature_map!(taylor, TaylorFeatures::new(&Rbf::new(1.0).unwrap(), 3, 4).unwrap(), rows(0..9, 3..4));
check_feature_map!(
    binning,
    RandomBinning::new(&Laplacian::new(1.0).unwrap(), 3, 5, 4, 3).unwrap(),
    rows(0..9, 3..4)
);
check_feature_map!(gegenbauer, GegenbauerFeatures::new(|t| t.exp(), 3, 6, 7, 3).unwrap(), rows(0..9, 3..4));
check_feature_map!(
    nystrom,
    NystromFeatures::new(
        Rbf::new(1.0).unwrap(),
        Rows::from_row_major(vec![0.1, 0.5, -0.3, 0.8, 0.2, -0.9], 2, 3).unwrap()
    )
    .unwrap(),
    rows(0..9, 3..4)
);
