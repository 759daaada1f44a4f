//! Filters, their saturation, smoothness, and predicted risk.

use kernels_core::{Dense, Laplacian, Matern, Rows, gram};
use kernels_solvers::{
    Krr,
    risk::{Circle, Eigenstructure, circle_risk, gaussian_filter_risk, surrogate_risk},
    spectral::*,
};
use nalgebra::DMatrix;
use proptest::prelude::*;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn filters_agree_with_direct_numbers() {
    let file = read(include_str!("../reference/spectral_filters.json"));
    let (x, y) = (rows(&file["X"]), vector(&file["y"]));
    let kernel = rbf(0.4);
    let path = SpectralPath::new(kernel.clone(), &x, &y).unwrap();
    let mut values: Vec<f64> = path.eigenvalues().iter().copied().collect();
    values.reverse();
    close("eigenvalues", &values, &vector(&file["eigenvalues_K_over_n"]), 1e-13);
    let top = values[0];
    let f = &file["filters"];
    let cases: [(&str, Box<dyn Filter>, f64); 7] = [
        ("krr", Box::new(Tikhonov::new(number(&f["krr"]["eta"])).unwrap()), 1.0),
        ("gradient_flow", Box::new(GradientFlow::new(50.0).unwrap()), 1.0),
        (
            "gradient_descent",
            Box::new(GradientDescent::new(number(&f["gradient_descent"]["step"]), 40).unwrap()),
            1.0,
        ),
        ("iterated_tikhonov", Box::new(IteratedTikhonov::new(0.05, 3).unwrap()), 1.0),
        ("cutoff", Box::new(CutOff::new(0.02).unwrap()), 1.0),
        ("nesterov", Box::new(Nesterov::new(number(&f["nesterov"]["step"]), 30).unwrap()), 1.0),
        // The file's coefficients belong to K/(n λ₁).
        ("nu_method", Box::new(NuMethod::new(1.0, 20, top).unwrap()), 24.0 * top),
    ];
    let operator = Dense::new(gram(&kernel, &x).unwrap()).unwrap();
    let target = DMatrix::from_column_slice(24, 1, &y);
    for (name, filter, scale) in cases {
        let expected = &f[name];
        close(name, path.fitted(&*filter).unwrap().as_slice(), &vector(&expected["fitted"]), 1e-10);
        let c = path.coefficients(&*filter).unwrap();
        if !expected["dual"].is_null() {
            // Coefficients beyond the range of K are rounding times 1/λ in both implementations.
            close(name, (&c * scale).as_slice(), &vector(&expected["dual"]), 1e-8);
        }
        let (free, report) = filter_operator(&operator, &*filter, &target, KrylovLimits::default()).unwrap();
        assert!(report.converged, "{name}: {report:?}");
        let (a, b) = (operator.matrix() * &free, operator.matrix() * &c);
        close(&format!("{name} by products"), a.as_slice(), b.as_slice(), 1e-8);
    }
    assert_eq!(
        path.degrees_of_freedom(&CutOff::new(0.02).unwrap()).round() as u64,
        f["cutoff"]["n_kept"].as_u64().unwrap()
    );
}

/// Slope of ln f against ln x between the ends.
fn order(x: [f64; 2], f: [f64; 2]) -> f64 {
    (f[1] / f[0]).ln() / (x[1] / x[0]).ln()
}

/// The order of sup λ^s |1 − λ g(λ)| in η is min(s, qualification).
#[test]
fn saturation_orders() {
    let supremum = |filter: &dyn Filter, s: f64| {
        (0..4000)
            .map(|k| 10.0_f64.powf(-8.0 * f64::from(k) / 4000.0))
            .map(|l| l.powf(s) * filter.residual(l).abs())
            .fold(0.0, f64::max)
    };
    type Family = (&'static str, fn(f64) -> Box<dyn Filter>);
    let families: [Family; 6] = [
        ("Tikhonov", |eta| Box::new(Tikhonov::new(eta).unwrap())),
        ("iterated", |eta| Box::new(IteratedTikhonov::new(eta, 3).unwrap())),
        ("flow", |eta| Box::new(GradientFlow::new(1.0 / eta).unwrap())),
        ("descent", |eta| Box::new(GradientDescent::new(0.9, (1.0 / eta) as usize).unwrap())),
        ("Nesterov", |eta| Box::new(Nesterov::new(0.9, eta.powf(-0.5) as usize).unwrap())),
        ("nu", |eta| Box::new(NuMethod::new(2.0, eta.powf(-0.5) as usize, 1.0).unwrap())),
    ];
    for (name, make) in families {
        let pair = [1e-4, 1e-5].map(make);
        let scales = [pair[0].scale(), pair[1].scale()];
        let q = pair[0].qualification();
        for s in [0.5, 0.75, 1.0, 2.0, 2.5, 4.0] {
            let got = order(scales, [supremum(&*pair[0], s), supremum(&*pair[1], s)]);
            // Past its qualification Nesterov falls a little faster: e^(−tλ/2) helps where λ is large.
            let expected = if name == "Nesterov" && s > q { (s + q) / 2.0 } else { s.min(q) };
            // Between η = 1e-4 and 1e-5 the order still moves by a hundredth. Residuals of the accelerated methods oscillate, and their
            // steps are 1/√η rounded down.
            let bound = if matches!(name, "Nesterov" | "nu") { 0.05 } else { 0.02 };
            assert!((got - expected).abs() < bound, "{name}, s = {s}: order {got}, expected {expected}");
        }
    }
}

/// With eigenvalues l^−ν and coefficients c²ₗ = l^(−κ−1), the risk at the best regularization falls as N^(−r), r = κ/(κ+1), until
/// a filter of qualification q saturates at κ = 2qν: r = 2qν/(2qν+1).
#[test]
fn rates_on_a_power_law() {
    let (nu, noise) = (1.5, 0.5);
    let best = |kappa: f64, n: usize, make: &dyn Fn(f64) -> Box<dyn Filter>| {
        let problem = Circle::new(
            60_000,
            |l| (1.0 + l.abs()).powf(-nu),
            |l| (1.0 + l.abs()).powf(-(kappa + 1.0) / 2.0),
            noise,
        )
        .unwrap();
        (0..60)
            .map(|k| 10.0_f64.powf(-0.5 - f64::from(k) / 10.0))
            .map(|eta| surrogate_risk(&problem, n, &*make(eta)).unwrap())
            .fold(f64::INFINITY, f64::min)
    };
    let ridge = |eta| Box::new(Tikhonov::new(eta).unwrap()) as Box<dyn Filter>;
    let flow = |eta: f64| Box::new(GradientFlow::new(1.0 / eta).unwrap()) as Box<dyn Filter>;
    for (kappa, make, rate) in [
        (1.0, &ridge as &dyn Fn(f64) -> Box<dyn Filter>, 0.5),
        (1.0, &flow, 0.5),
        (6.0, &ridge, 0.75),
        (6.0, &flow, 6.0 / 7.0),
    ] {
        let n = [1usize << 16, 1 << 20];
        let got = -order(n.map(|n| n as f64), n.map(|n| best(kappa, n, make)));
        assert!((got - rate).abs() < 0.03, "κ = {kappa}: rate {got}, expected {rate}");
    }
}

struct Interpolation;
impl Filter for Interpolation {
    fn value(&self, lambda: f64) -> f64 {
        1.0 / lambda
    }
    fn residual(&self, _: f64) -> f64 {
        0.0
    }
    fn qualification(&self) -> f64 {
        f64::INFINITY
    }
    fn scale(&self) -> f64 {
        0.0
    }
}

#[test]
fn loss_functional_on_the_circle() {
    let file = read(include_str!("../reference/spectral_risk.json"));
    let c = &file["circle"];
    let problem =
        Circle::new(640, |l| (1.0 + l.abs()).powi(-2), |l| (1.0 + l.abs()).powf(-1.4), 0.05).unwrap();
    let cases: [(&str, Box<dyn Filter>); 5] = [
        ("krr_eta0.01", Box::new(Tikhonov::new(0.01).unwrap())),
        ("gf_t30", Box::new(GradientFlow::new(30.0).unwrap())),
        ("interpolation", Box::new(Interpolation)),
        ("cutoff_0.05", Box::new(CutOff::new(0.05).unwrap())),
        ("itik2_eta0.02", Box::new(IteratedTikhonov::new(0.02, 2).unwrap())),
    ];
    for (name, filter) in cases {
        close(
            name,
            &[circle_risk(&problem, 16, &*filter).unwrap(), surrogate_risk(&problem, 16, &*filter).unwrap()],
            &[number(&c["loss_half_mse"][name]), number(&c["nmno_half_mse"][name])],
            1e-12,
        );
    }
    let simulated = &c["monte_carlo_krr"];
    let predicted = circle_risk(&problem, 16, &Tikhonov::new(0.01).unwrap()).unwrap();
    assert!((predicted - number(&simulated["mean"])).abs() < 4.0 * number(&simulated["se"]), "{predicted}");
}

#[test]
fn eigenframework() {
    let file = read(include_str!("../reference/eigenframework.json"));
    let values: Vec<f64> = (1..=400).map(|i| f64::from(i).powf(-1.5)).collect();
    let target: Vec<f64> = (1..=400).map(|i| f64::from(i).powf(-0.9)).collect();
    let problem = |noise: f64| Eigenstructure::new(values.clone(), &target, noise).unwrap();
    for r in file["krr"].as_array().unwrap() {
        let p = problem(number(&r["noise_var"]));
        let got = p.ridge_regression(r["n"].as_u64().unwrap() as usize, number(&r["ridge"])).unwrap();
        for (key, got) in [
            ("kappa", got.kappa),
            ("overfit_coeff", got.overfitting),
            ("test_mse", got.test),
            ("train_mse", got.train),
        ] {
            close(key, &[got], &[number(&r[key])], 1e-9);
        }
    }
    for r in file["rf"].as_array().unwrap() {
        let p = problem(number(&r["noise_var"]));
        let (n, k) = (r["n"].as_u64().unwrap() as usize, r["k"].as_u64().unwrap() as usize);
        let got = p.random_features(n, k, number(&r["ridge"])).unwrap();
        let keys =
            [("kappa", got.kappa), ("gamma", got.gamma), ("test_mse", got.test), ("train_mse", got.train)];
        for (key, got) in keys {
            if !r[key].is_null() {
                let expected = number(&r[key]);
                assert!((got - expected).abs() <= 1e-8 * expected.abs() + 1e-14, "{key} of {r}: {got:e}");
            }
        }
    }
    // A simulation of the second row: test and training error of random features.
    let (row, mc) = (&file["rf"][1], &file["monte_carlo_row1"]);
    for key in ["test", "train"] {
        let simulated = number(&mc[format!("{key}_mse_mean")]);
        let error = (number(&row[format!("{key}_mse")]) - simulated).abs();
        assert!(error < 4.0 * number(&mc[format!("{key}_se")]), "{key}: {error}");
    }
    // Many features are the kernel itself.
    let (wide, kernel) = (
        problem(0.1).random_features(60, 10_000_000, 0.3).unwrap(),
        problem(0.1).ridge_regression(60, 0.3).unwrap(),
    );
    close("wide", &[wide.test, wide.train], &[kernel.test, kernel.train], 1e-4);
}

#[test]
fn more_samples_and_features_are_better_at_the_best_ridge() {
    let values: Vec<f64> = (1..=200).map(|i| f64::from(i).powf(-1.3)).collect();
    let target: Vec<f64> = (1..=200).map(|i| f64::from(i).powf(-1.0)).collect();
    let p = Eigenstructure::new(values, &target, 0.2).unwrap();
    let best = |n: usize, k: usize| {
        (0..80)
            .map(|i| p.random_features(n, k, 10.0_f64.powf(-6.0 + f64::from(i) / 10.0)).unwrap().test)
            .fold(f64::INFINITY, f64::min)
    };
    let n: Vec<f64> = [20, 40, 80, 160].iter().map(|&n| best(n, 100)).collect();
    let k: Vec<f64> = [20, 40, 80, 160].iter().map(|&k| best(100, k)).collect();
    assert!(n.windows(2).all(|w| w[1] < w[0]) && k.windows(2).all(|w| w[1] < w[0]), "{n:?} {k:?}");
    let ridge = p.optimal_ridge(100).unwrap();
    let at = |r: f64| p.ridge_regression(100, r).unwrap().test;
    assert!(at(ridge) <= at(ridge * 1.1) && at(ridge) <= at(ridge / 1.1));
}

#[test]
fn risk_of_filters_with_gaussian_features() {
    let file = read(include_str!("../reference/gaussian_filter_risk.json"));
    let values: Vec<f64> = (1..=100).map(|i| f64::from(i).powf(-1.5)).collect();
    let target: Vec<f64> = (1..=100).map(|i| 1.0 / f64::from(i)).collect();
    let problem = Eigenstructure::new(values, &target, 0.1).unwrap();
    for r in file["rows"].as_array().unwrap() {
        let t = number(&r["t"]);
        let filter: Box<dyn Filter> = if r["filter"] == "gradient_flow" {
            Box::new(GradientFlow::new(t).unwrap())
        } else {
            Box::new(GradientDescent::new(0.05, (t / 0.05).round() as usize).unwrap())
        };
        let got = gaussian_filter_risk(&problem, r["N"].as_u64().unwrap() as usize, &*filter).unwrap();
        // Both are quadratures of the same integral.
        close("bias", &[got.bias], &[number(&r["bias"])], 1e-6);
        close("variance", &[got.variance], &[number(&r["variance"])], 1e-6);
        let error = (got.bias - number(&r["mc_bias"])).abs();
        assert!(error < 4.0 * number(&r["mc_bias_se"]), "bias {} differs from simulation", got.bias);
        let error = (got.variance - number(&r["mc_variance"])).abs();
        assert!(
            error < 4.0 * number(&r["mc_variance_se"]),
            "variance {} differs from simulation",
            got.variance
        );
    }
    // Not analytic: refused, not guessed.
    assert!(gaussian_filter_risk(&problem, 50, &CutOff::new(0.1).unwrap()).is_err());
}

#[test]
fn smoothness_of_a_known_target() {
    let file = read(include_str!("../reference/smoothness.json"));
    struct Brownian;
    impl kernels_core::Describe for Brownian {}
    impl kernels_core::PositiveDefinite for Brownian {}
    impl kernels_core::Kernel<Rows<f64>> for Brownian {
        fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
            x[0].min(y[0])
        }
    }
    let x = Rows::from_row_major(vector(&file["x"]), 600, 1).unwrap();
    let got = estimate_smoothness(Brownian, &x, &vector(&file["target"]), 30).unwrap();
    close("slope", &[got.slope], &[number(&file["slope_log_coeff2_vs_log_j"])], 1e-8);
    close("decay", &[got.decay], &[number(&file["eig_decay_beta"])], 1e-8);
    close("s", &[got.smoothness], &[number(&file["s_estimate"])], 1e-8);
}

/// The promise: test error predicted from the spectrum of all samples, measured on models fitted to some, within 5 %.
#[test]
fn predicted_and_measured_risk_on_real_data() {
    let (x, y) = concrete();
    let kernel = Matern::new(1.5, 4.0).unwrap();
    let total = y.len();
    let xs = Rows::new(&x);
    let structure = Eigenstructure::estimate(kernel.clone(), &xs, &y).unwrap();
    let k = gram(&kernel, &xs).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (n, ridge) in [(60, 1.0), (60, 0.1), (120, 1.0), (120, 0.1)] {
        let trials = 60;
        let mut sum = 0.0;
        for _ in 0..trials {
            let mut order: Vec<usize> = (0..total).collect();
            order.shuffle(&mut rng);
            let train = &order[..n];
            let mut a = DMatrix::from_fn(n, n, |i, j| k[(train[i], train[j])]);
            a.fill_diagonal(1.0 + ridge);
            let c = a.cholesky().unwrap().solve(&DMatrix::from_fn(n, 1, |i, _| y[train[i]]));
            // The structure is that of all samples, drawn with replacement: so is the measurement.
            let error: f64 = (0..total)
                .map(|t| (0..n).map(|i| c[i] * k[(t, train[i])]).sum::<f64>() - y[t])
                .map(|e| e * e)
                .sum();
            sum += error / total as f64;
        }
        let (measured, predicted) =
            (sum / f64::from(trials), structure.ridge_regression(n, ridge).unwrap().test);
        println!("n = {n}, ridge = {ridge}: measured {measured:.4}, predicted {predicted:.4}");
        assert!(
            (predicted / measured - 1.0).abs() < 0.05,
            "n = {n}, ridge = {ridge}: {measured} {predicted}"
        );
    }
}

#[test]
fn gradient_flow_classifier_beats_chance_and_checks_its_input() {
    let (x, y) = concrete();
    let labels: Vec<usize> = y.iter().map(|v| usize::from(*v > 0.0) + 3).collect();
    let xs = Rows::new(&x.rows(0, 700).into_owned());
    let test = Rows::new(&x.rows(700, 330).into_owned());
    let model = GradientFlowClassifier::new(Laplacian::new(8.0).unwrap()).fit(&xs, &labels[..700]).unwrap();
    let predicted = model.predict(&test).unwrap();
    let right = predicted.iter().zip(&labels[700..]).filter(|(a, b)| a == b).count();
    assert!(right > 240, "{right} of 330 right, time {}", model.time());
    assert_eq!(model.classes(), &[3, 4]);
    assert!(GradientFlowClassifier::new(rbf(1.0)).fit(&xs, &vec![1; 700]).is_err());
    assert!(GradientFlowClassifier::new(rbf(1.0)).fit(&xs, &labels).is_err());
}

#[test]
fn parameters_out_of_range_are_errors() {
    assert!(Tikhonov::new(0.0).is_err() && Tikhonov::new(f64::NAN).is_err());
    assert!(IteratedTikhonov::new(1.0, 0).is_err() && GradientFlow::new(-1.0).is_err());
    assert!(Eigenstructure::new(vec![], &[], 0.0).is_err());
    assert!(Eigenstructure::new(vec![1.0, -1.0], &[1.0, 1.0], 0.0).is_err());
    let p = Eigenstructure::new(vec![1.0, 0.0], &[1.0, 1.0], 0.1).unwrap();
    assert!(p.ridge_regression(0, 1.0).is_err() && p.ridge_regression(3, -1.0).is_err());
    assert!(p.ridge_regression(3, 0.0).unwrap().test.is_finite());
    let none = Rows::<f64>::from_row_major(vec![], 0, 1).unwrap();
    assert!(SpectralPath::new(rbf(1.0), &none, &vec![]).is_err());
    let one = Rows::from_row_major(vec![1.0], 1, 1).unwrap();
    assert!(SpectralRegression::new(rbf(1.0), Tikhonov::new(1.0).unwrap()).fit(&one, &vec![2.0]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Ridge regression in both guises; leave-one-out exact for it; residuals and values agree.
    #[test]
    fn ridge_is_a_filter(
        values in proptest::collection::vec(-3.0..3.0f64, 2..12),
        eta in 1e-3..1.0f64,
    ) {
        let n = values.len();
        let x = Rows::from_row_major(values.clone(), n, 1).unwrap();
        let y: Vec<f64> = values.iter().map(|v| v.sin() + 0.1).collect();
        let path = SpectralPath::new(rbf(0.5), &x, &y).unwrap();
        let filter = Tikhonov::new(eta).unwrap();
        let loo = Krr::new(rbf(0.5)).ridge(eta * n as f64).leave_one_out(&x, &y).unwrap();
        close("loo", path.leave_one_out(&filter).unwrap().as_slice(), loo.residuals.as_slice(), 1e-8);
        for lambda in [0.0, 1e-9, 0.1, 0.9] {
            let filters: [Box<dyn Filter>; 6] = [
                Box::new(filter),
                Box::new(IteratedTikhonov::new(eta, 4).unwrap()),
                Box::new(GradientFlow::new(1.0 / eta).unwrap()),
                Box::new(GradientDescent::new(1.0, 17).unwrap()),
                Box::new(Nesterov::new(1.0, 17).unwrap()),
                Box::new(NuMethod::new(1.0, 17, 1.0).unwrap()),
            ];
            for f in filters {
                prop_assert!((1.0 - lambda * f.value(lambda) - f.residual(lambda)).abs() < 1e-12);
            }
        }
    }
}
