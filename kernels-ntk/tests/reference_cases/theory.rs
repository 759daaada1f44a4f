use kernels_core::gram;
use kernels_ntk::{
    FiniteWidth, GradientFlow, Net, NetworkKernel, Ridge, Universality, WeightLaw, deep_hermite, descend,
    maxout_second_moment, posterior, universality,
};
use nalgebra::DMatrix;
use serde_json::Value;

use crate::support::{activation, close, close_at, close_matrix, matrix, number, read, rows, vector};

fn ridge(case: &Value) -> Ridge {
    let r = number(&case["diag_reg"]);
    if case["diag_reg_absolute_scale"].as_bool() == Some(true) {
        Ridge::Absolute(r)
    } else {
        Ridge::Relative(r)
    }
}

/// Conditioning of the 7 × 7 kernels is about 100: 1e-11 leaves room for two implementations.
#[test]
fn gradient_flow() {
    let file = read(include_str!("../reference/predict.json"));
    let y = matrix(&file["Y"]);
    let (f0, g0) = (matrix(&file["fx_train_0"]), matrix(&file["fx_test_0"]));
    let k = |which: &str, kind: &str| matrix(&file[which][kind]);
    let net: Net = serde_json::from_value(file["net"].clone()).unwrap();
    let ours = gram(&NetworkKernel::ntk(net), &rows(&file["X"])).unwrap();
    close_matrix("kernel", &ours, &k("k_train_train", "ntk"), 1e-12);
    let (theta, cross) = (k("k_train_train", "ntk"), k("k_test_train", "ntk"));
    let times = vector(&file["times"]);
    for case in file["gradient_descent_mse"].as_array().unwrap() {
        let flow = GradientFlow::new(&theta, &y, ridge(case), number(&case["learning_rate"])).unwrap();
        for (i, &t) in times.iter().enumerate() {
            let what = format!("{:?} t={t}", ridge(case));
            let train = flow.train(Some(t), Some(&f0)).unwrap();
            close_matrix(&what, &train, &matrix(&case["fx_train_t"][i]), 1e-11);
            let test = flow.test(&cross, Some(t), Some((&f0, &g0))).unwrap();
            close_matrix(&what, &test, &matrix(&case["fx_test_t"][i]), 1e-11);
            let train = flow.train(Some(t), None).unwrap();
            let expected = matrix(&case["zero_init_fx_train_t"][i]);
            assert!((train - expected).amax() < 1e-11);
            let test = flow.test(&cross, Some(t), None).unwrap();
            assert!((test - matrix(&case["zero_init_fx_test_t"][i])).amax() < 1e-11);
        }
        close_matrix(
            "train at the end",
            &flow.train(None, Some(&f0)).unwrap(),
            &matrix(&case["fx_train_inf"]),
            1e-11,
        );
        let test = flow.test(&cross, None, Some((&f0, &g0))).unwrap();
        close_matrix("test at the end", &test, &matrix(&case["fx_test_inf"]), 1e-11);
    }
    let q = (k("k_train_train", "nngp"), k("k_test_train", "nngp"), k("k_test_test", "nngp"));
    for case in file["gp_inference"].as_array().unwrap() {
        for (name, kind) in [("nngp", "nngp"), ("ntkgp", "ntk")] {
            let (mean, cov) = posterior(
                &k("k_train_train", kind),
                &k("k_test_train", kind),
                &k("k_test_test", kind),
                &y,
                ridge(case),
            )
            .unwrap();
            close_matrix(name, &mean, &matrix(&case[name]["mean"]), 1e-11);
            close_matrix(name, &cov, &matrix(&case[name]["cov"]), 1e-11);
        }
        let flow = GradientFlow::new(&theta, &y, ridge(case), 1.0).unwrap();
        let (mean, cov) = flow.ensemble(&cross, (&q.0, &q.1, &q.2), None).unwrap();
        close_matrix("ensemble", &mean, &matrix(&case["ntk"]["mean"]), 1e-11);
        close_matrix("ensemble", &cov, &matrix(&case["ntk"]["cov"]), 1e-11);
    }
    for case in file["ensemble"].as_array().unwrap() {
        let rate = number(&case["learning_rate"]);
        let ntk = GradientFlow::new(&theta, &y, ridge(case), rate).unwrap();
        let nngp = GradientFlow::new(&q.0, &y, ridge(case), rate).unwrap();
        for (i, &t) in times.iter().enumerate() {
            let (mean, cov) = ntk.ensemble(&cross, (&q.0, &q.1, &q.2), Some(t)).unwrap();
            let r = &case["ntk"];
            assert!((mean - matrix(&r["test_mean_t"][i])).amax() < 1e-11);
            assert!((cov - matrix(&r["test_cov_t"][i])).amax() < 1e-11);
            let (mean, cov) = ntk.ensemble_train(&q.0, t).unwrap();
            assert!((mean - matrix(&r["train_mean_t"][i])).amax() < 1e-11);
            assert!((cov - matrix(&r["train_cov_t"][i])).amax() < 1e-11);
            let r = &case["nngp"];
            let (mean, cov) = nngp.last_layer(&q.1, &q.2, Some(t)).unwrap();
            assert!((mean - matrix(&r["test_mean_t"][i])).amax() < 1e-11);
            assert!((cov - matrix(&r["test_cov_t"][i])).amax() < 1e-11);
        }
        for (name, (mean, cov)) in [
            ("ntk", ntk.ensemble(&cross, (&q.0, &q.1, &q.2), None).unwrap()),
            ("nngp", nngp.last_layer(&q.1, &q.2, None).unwrap()),
        ] {
            close_matrix("at the end", &mean, &matrix(&case[name]["test_mean_inf"]), 1e-11);
            close_matrix("at the end", &cov, &matrix(&case[name]["test_cov_inf"]), 1e-11);
        }
    }
    let flow = GradientFlow::new(&theta, &y, Ridge::Absolute(0.0), 1.0).unwrap();
    for (momentum, peer) in [0.0, 0.9].into_iter().zip(vector(&file["max_learning_rate_peer"])) {
        close_at("largest rate", flow.largest_learning_rate(momentum).unwrap(), peer, 1e-12, 0.0);
    }
    for case in file["max_learning_rate"].as_array().unwrap() {
        // The file counts points, a flow counts points times outputs.
        let ours = flow.largest_learning_rate(number(&case["momentum"])).unwrap();
        let n = number(&case["y_train_size"]);
        close_at("largest rate", ours * n / y.len() as f64, number(&case["value"]), 1e-12, 0.0);
    }
}

/// The file's own integration is good to 1e-6.
#[test]
fn gradient_descent_on_losses() {
    let file = read(include_str!("../reference/predict.json"));
    let (theta, cross) = (matrix(&file["k_train_train"]["ntk"]), matrix(&file["k_test_train"]["ntk"]));
    let (f0, g0) = (matrix(&file["fx_train_0"]), matrix(&file["fx_test_0"]));
    for case in file["ode"].as_array().unwrap() {
        let targets = matrix(&case["targets"]);
        let squares = case["loss"] == "mse_mean_half";
        let loss = |f: &DMatrix<f64>| -> DMatrix<f64> {
            if squares {
                return (f - &targets) / f.len() as f64;
            }
            let n = f.nrows() as f64;
            let mut p = f.map(f64::exp);
            for mut row in p.row_iter_mut() {
                let sum = row.sum();
                row /= sum;
            }
            (p - &targets) / n
        };
        let (rate, momentum) = (number(&case["learning_rate"]), case["momentum"].as_f64());
        for (i, t) in vector(&case["times"]).into_iter().enumerate() {
            let (f, g) = descend(&theta, &cross, &loss, (&f0, &g0), rate, momentum, t).unwrap();
            let what = format!("{} {momentum:?} t={t}", case["loss"]);
            close_matrix(&what, &f, &matrix(&case["fx_train_t"][i]), 1e-6);
            close_matrix(&what, &g, &matrix(&case["fx_test_t"][i]), 1e-6);
        }
    }
}

#[test]
fn finite_width_recursions() {
    let file = read(include_str!("../reference/finite_width.json"));
    for (name, r) in file["half_stable_critical"].as_object().unwrap() {
        let class = universality(&activation(name, &Value::Null)).unwrap();
        let Universality::HalfStable { variance, w2, b2 } = class else { panic!("{name}: {class:?}") };
        // Roots of curves that cross at a small angle: the file has 11 to 12 digits.
        close_at(name, variance, number(&r["K_star"]), 1e-9, 0.0);
        close_at(name, w2, number(&r["C_W"]), 1e-10, 0.0);
        close_at(name, b2, number(&r["C_b"]), 1e-9, 0.0);
    }
    for case in file["cases"].as_array().unwrap() {
        let name = case["activation"].as_str().unwrap();
        let start = |law| {
            FiniteWidth::new(
                activation(name, &Value::Null),
                number(&case["C_W"]),
                number(&case["C_b"]),
                law,
                number(&case["K1"]),
                number(&case["theta1"]),
            )
            .unwrap()
        };
        let (mut gauss, mut orth) = (start(WeightLaw::Gaussian), start(WeightLaw::Orthogonal));
        for row in case["recursion"].as_array().unwrap() {
            let before = gauss.variance();
            close_at(name, before, number(&row["K_prev"]), 1e-12, 0.0);
            let m = activation(name, &Value::Null).moments(before).unwrap();
            let c = number(&case["C_W"]);
            close_at(name, m.second, number(&row["g"]), 1e-12, 0.0);
            close_at(name, c * m.second_weighted / (2.0 * before), number(&row["chi_par"]), 1e-11, 1e-2);
            close_at(name, c * m.slope, number(&row["chi_perp"]), 1e-12, 0.0);
            close_at(name, c * m.slope_weighted / (4.0 * before), number(&row["h"]), 1e-11, 1e-2);
            gauss.advance().unwrap();
            orth.advance().unwrap();
            let what = format!("{name} layer {}", row["layer"]);
            close_at(&what, gauss.variance(), number(&row["K"]), 1e-12, 0.0);
            close_at(&what, gauss.tangent(), number(&row["theta"]), 1e-12, 0.0);
            close_at(&what, gauss.vertex(), number(&row["V_gauss"]), 1e-11, 1e-3);
            close_at(&what, orth.vertex(), number(&row["V_orth"]), 1e-11, 1e-3);
            close_at(&what, gauss.correction(), number(&row["G1_gauss"]), 1e-11, 1e-3);
        }
    }
}

/// 60-digit recursions whose values underflow: compared by logarithm.
#[test]
fn infinite_depth() {
    let file = read(include_str!("../reference/infinite_depth.json"));
    for case in file["cases"].as_array().unwrap() {
        let coefficients = vector(&case["hermite_coefs"]);
        let phi = kernels_ntk::Activation::Hermite(coefficients.clone());
        let e = |f: &dyn Fn(f64, f64) -> f64| phi.expectation(1.0, |_, v, d| f(v, d)).unwrap();
        close_at("A", e(&|v, _| v), number(&case["A"]), 1e-12, 1.0);
        close_at("A'", e(&|_, d| d), number(&case["A_prime"]), 1e-12, 1.0);
        close_at("B'", e(&|_, d| d * d), number(&case["B_prime"]), 1e-12, 0.0);
        // α means something where the classifier is singular only.
        match kernels_ntk::deep_classifier(&phi).unwrap() {
            kernels_ntk::DeepClassifier::Singular { exponent } => {
                close_at("alpha", exponent, number(&case["alpha"]), 1e-11, 0.0);
            }
            kernels_ntk::DeepClassifier::NearestNeighbour => assert_eq!(case["name"], "one_nn"),
            kernels_ntk::DeepClassifier::Majority => assert_eq!(case["name"], "majority"),
        }
        for row in case["rows"].as_array().unwrap() {
            let depth = number(&row["depth"]) as usize;
            let (s, k) = deep_hermite(&coefficients, depth, number(&row["cos"])).unwrap();
            for (got, key) in [(s, "nngp"), (k, "ntk")] {
                let expected = ln_of(row[key].as_str().unwrap());
                let what = format!("{} depth {depth} {key}", case["name"]);
                // Coefficients in the file are rounded: a relative change of ε each, depth times.
                let tolerance = 1e-12 * (1.0 + expected.abs());
                assert!((got.ln_abs() - expected).abs() <= tolerance, "{what}: {} {expected}", got.ln_abs());
            }
        }
    }
}

/// ln of a decimal string, also of one beyond the range of numbers.
fn ln_of(text: &str) -> f64 {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    mantissa.parse::<f64>().unwrap().abs().ln() + exponent.parse::<f64>().unwrap() * std::f64::consts::LN_10
}

#[test]
fn maxout_moments() {
    let file = read(include_str!("../reference/theory_misc.json"));
    for (rank, expected) in file["maxout"]["E_max_sq"].as_object().unwrap() {
        let got = maxout_second_moment(rank.parse().unwrap()).unwrap();
        close("maxout", &[got], &[number(expected)], 1e-13);
    }
}
