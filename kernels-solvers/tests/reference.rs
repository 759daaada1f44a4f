//! Numbers from independent implementations (scikit-learn, direct numpy solves); sources are in the files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use kernels_core::{AnyKernel, Describe, Rbf, Rows, White, gram};
use kernels_solvers::{Criterion, GaussianProcess, Krr, Objective, RidgePath};
use nalgebra::DMatrix;
use serde_json::Value;

#[path = "reference/cpd.rs"]
mod cpd;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn rows(v: &Value) -> Rows<f64> {
    Rows::new(&matrix(v))
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

/// The kernels of the file that exist here, in our text form: γ = 1/(2ℓ²), L1 γ = 1/ℓ, DotProduct σ₀² = offset.
const KERNELS: [(&str, &str); 15] = [
    ("linear", "linear()"),
    ("rbf", "rbf(length_scale=1.118033988749895)"),
    ("laplacian_l1", "laplacian(length_scale=3.3333333333333335)"),
    ("polynomial", "polynomial(degree=3, gamma=0.5, offset=1)"),
    ("cosine", "cosine()"),
    ("matern12", "matern(nu=0.5, length_scale=1.3)"),
    ("matern32", "matern(nu=1.5, length_scale=1.3)"),
    ("matern52", "matern(nu=2.5, length_scale=1.3)"),
    ("matern52_ard", "matern(nu=2.5, length_scale=[0.7, 1.35, 2])"),
    ("rbf_ard", "rbf(length_scale=[0.7, 1.35, 2])"),
    ("rational_quadratic", "rational_quadratic(alpha=0.6, length_scale=1.1)"),
    ("dot_product", "linear(offset=0.6400000000000001)"),
    ("matern_nu0.8", "matern(nu=0.8, length_scale=1.3)"),
    ("sum_product", "1.7 * rbf(length_scale=0.9) + matern(nu=1.5, length_scale=2) * linear(offset=0.25)"),
    ("chi2", "chi2(gamma=0.7)"),
];

#[test]
fn kernel_ridge_regression() {
    let file = read(include_str!("reference/krr_kernels.json"));
    let y = matrix(&file["Y"]);
    let weights = vector(&file["sample_weight"]);
    for (name, text) in KERNELS {
        let r = &file["kernels"][name];
        let (x, x_test) = match r["input"].as_str() {
            Some("positive") => (rows(&file["X_pos"]), rows(&file["X_test_pos"])),
            _ => (rows(&file["X"]), rows(&file["X_test"])),
        };
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let alpha = r["alpha"].as_f64().unwrap();
        let k = gram(&kernel, &x).unwrap();
        let first = matrix(&r["gram_first6"]);
        close(
            &format!("{name} gram"),
            k.view((0, 0), first.shape()).into_owned().as_slice(),
            first.as_slice(),
            // Bessel functions of two libraries.
            if name == "matern_nu0.8" { 1e-12 } else { 1e-14 },
        );
        let least = k.clone().symmetric_eigenvalues().min();
        let rounding = 1e-14 * k.diagonal().sum();
        assert!((least - r["min_eig_gram"].as_f64().unwrap()).abs() < rounding, "{name}: {least:e}");

        // Solutions carry the condition number of K + αI, up to 1e4 here, times rounding in two implementations.
        let model = Krr::new(kernel.clone()).ridge(alpha).fit(&x, &y).unwrap();
        close(
            &format!("{name} dual"),
            model.coefficients().as_slice(),
            matrix(&r["dual_coef"]).as_slice(),
            1e-10,
        );
        close(
            &format!("{name} pred"),
            model.predict(&x_test).unwrap().as_slice(),
            matrix(&r["pred"]).as_slice(),
            1e-10,
        );

        let first_column = y.column(0).into_owned();
        let weighted =
            Krr::new(kernel.clone()).ridge(alpha).weights(weights.clone()).fit(&x, &first_column).unwrap();
        close(
            &format!("{name} weighted"),
            weighted.coefficients().as_slice(),
            &vector(&r["dual_coef_weighted"]),
            1e-10,
        );
        let predicted = weighted.predict(&x_test).unwrap();
        close(&format!("{name} weighted pred"), predicted.as_slice(), &vector(&r["pred_weighted"]), 1e-10);

        let loo = Krr::new(kernel).ridge(alpha).leave_one_out(&x, &first_column).unwrap();
        close(&format!("{name} loo"), loo.residuals.as_slice(), &vector(&r["loo_residuals_brute"]), 1e-9);
    }
}

/// Kernels that the file marks as indefinite are refused by name, and a ridge may differ from output to output.
#[test]
fn indefinite_kernels_and_ridges_by_output() {
    let file = read(include_str!("reference/krr_kernels.json"));
    let (x, y) = (rows(&file["X"]), matrix(&file["Y"]));
    for (name, text) in [("sigmoid", "sigmoid(gamma=0.2, offset=0.1)"), ("additive_chi2", "additive_chi2()")]
    {
        let r = &file["kernels"][name];
        assert!(r["min_eig_gram"].as_f64().unwrap() < -0.1);
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let error = Krr::new(kernel).ridge(5.0).fit(&x, &y).unwrap_err();
        assert!(error.to_string().contains("positive definite"), "{name}: {error}");
    }
    let r = &file["per_output_alpha"];
    let path = RidgePath::new(Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap(), &x, &y).unwrap();
    let model = path.clone().into_model_by_output(&vector(&r["alpha"])).unwrap();
    close("by output", model.coefficients().as_slice(), matrix(&r["dual_coef"]).as_slice(), 1e-10);
    assert!(path.clone().into_model_by_output(&[1.0]).is_err());
    assert!(path.into_model_by_output(&[1.0, 0.0]).is_err());
}

#[test]
fn ridge_path() {
    let file = read(include_str!("reference/krr_path.json"));
    let (x, x_test, y) = (rows(&file["X"]), rows(&file["X_test"]), vector(&file["y"]));
    let kernel = Rbf::new((1.0_f64 / 0.8).sqrt()).unwrap();
    let path = RidgePath::new(kernel.clone(), &x, &y).unwrap();
    for r in file["path"].as_array().unwrap() {
        let alpha = r["alpha"].as_f64().unwrap();
        // Two coincident points make K singular: the condition number is about 10/α.
        let tolerance = 1e-14 * (1e2 / alpha).max(1e2);
        let got = path.evaluate(alpha).unwrap();
        let value = |key: &str| r[key].as_f64().unwrap();
        for (key, got) in [
            ("dof", got.degrees_of_freedom),
            ("gcv", got.gcv),
            ("press_mean", got.loo_mse),
            ("lml", got.log_marginal_likelihood),
        ] {
            close(&format!("{key} at {alpha}"), &[got], &[value(key)], tolerance);
        }
        let model = path.clone().into_model(alpha).unwrap();
        close("dual", model.coefficients().as_slice(), &vector(&r["dual"]), tolerance);
        close("pred", model.predict(&x_test).unwrap().as_slice(), &vector(&r["pred"]), 10.0 * tolerance);

        let loo = Krr::new(kernel.clone()).ridge(alpha).intercept(true).leave_one_out(&x, &y).unwrap();
        close("bias", loo.model.intercepts().as_slice(), &[value("bias")], tolerance);
        close("bias_dual", loo.model.coefficients().as_slice(), &vector(&r["bias_dual"]), tolerance);
        close("loo_bias", loo.residuals.as_slice(), &vector(&r["loo_bias_brute"]), 10.0 * tolerance);
    }
    let j = &file["jackknife_plus"];
    let loo = Krr::new(kernel).ridge(j["alpha"].as_f64().unwrap()).leave_one_out(&x, &y).unwrap();
    let interval = loo.interval(&x_test, j["miscoverage"].as_f64().unwrap()).unwrap();
    close("lower", &interval.lower, &vector(&j["lower"]), 1e-10);
    close("upper", &interval.upper, &vector(&j["upper"]), 1e-10);
}

/// Cases of the file with the kernel in our text form and the order of its parameters in theirs.
const PROCESSES: [(&str, &str, &[usize]); 9] = [
    (
        "const_rbf_ard_white",
        "1.2996 * rbf(length_scale=[0.8, 1.35, 1.9]) + white(variance=0.05)",
        &[0, 1, 2, 3, 4],
    ),
    ("rbf_iso_white", "rbf(length_scale=0.9) + white(variance=0.2)", &[0, 1]),
    ("matern12_white", "0.7 * matern(nu=0.5, length_scale=1.1) + white(variance=0.1)", &[0, 1, 2]),
    (
        "matern32_ard_white",
        "matern(nu=1.5, length_scale=[0.8, 1.35, 1.9]) + white(variance=0.1)",
        &[0, 1, 2, 3],
    ),
    (
        "matern52_ard_white",
        "2 * matern(nu=2.5, length_scale=[0.8, 1.35, 1.9]) + white(variance=0.1)",
        &[0, 1, 2, 3, 4],
    ),
    ("rq_white", "rational_quadratic(alpha=0.7, length_scale=1.2) + white(variance=0.1)", &[0, 1, 2]),
    ("ess_white", "periodic(period=2.3, length_scale=0.9) + white(variance=0.3)", &[1, 0, 2]),
    ("dot_rbf_white", "linear(offset=0.36) * rbf(length_scale=1.5) + white(variance=0.1)", &[0, 1, 2]),
    (
        "exponentiation",
        "power_of(rational_quadratic(alpha=0.7, length_scale=1.2), n=2) + white(variance=0.1)",
        &[0, 1, 2],
    ),
];

#[test]
fn gaussian_processes() {
    let file = read(include_str!("reference/gpr.json"));
    let y = vector(&file["y"]);
    for (name, text, order) in PROCESSES {
        let r = &file["cases"][name];
        let (mut x, mut x_test) = (matrix(&file["X"]), matrix(&file["X_test"]));
        if name == "ess_white" {
            (x, x_test) = (x.columns(0, 1).into_owned(), x_test.columns(0, 1).into_owned());
        }
        let (x, x_test) = (Rows::new(&x), Rows::new(&x_test));
        let mut kernel: AnyKernel<f64> = text.parse().unwrap();
        // The exact hyper-parameters, of which the text has rounded ones.
        let theta = vector(&r["theta_log"]);
        let mut values: Vec<f64> = kernel.params().iter().map(|p| p.value).collect();
        for (theirs, &ours) in order.iter().enumerate() {
            values[ours] = theta[theirs].exp();
        }
        // Their parameter is σ₀, ours the offset σ₀².
        let squared = name == "dot_rbf_white";
        if squared {
            values[0] *= values[0];
        }
        kernel.set_params(&values).unwrap();
        let alpha = r["alpha"].as_f64().unwrap();
        let gp = GaussianProcess::new(kernel.clone()).noise(alpha).objective(None).normalize(false);
        let model = gp.fit(&x, &y).unwrap();
        // scikit-learn's numbers carry the condition number, up to 1e3, times rounding.
        close(name, &[model.log_marginal_likelihood()], &[r["lml"].as_f64().unwrap()], 1e-11);
        let p = model.predict_observation(&x_test).unwrap();
        close(name, p.mean.as_slice(), &vector(&r["mean"]), 1e-10);
        let std: Vec<f64> = p.variance.iter().map(|v| v.sqrt()).collect();
        close(name, &std, &vector(&r["std"]), 1e-7);
        let loo = model.leave_one_out().unwrap();
        close(name, loo.mean.as_slice(), &vector(&r["loo_mean"]), 1e-9);
        close(name, loo.variance.as_slice(), &vector(&r["loo_var"]), 1e-9);
        close(name, &[loo.log_density], &[r["loo_logpred"].as_f64().unwrap()], 1e-9);

        // Gradients, through one step of no length: from the gradient of the Gram matrix.
        let gradient = marginal_likelihood_gradient(&kernel, alpha, &x, &y);
        let mut ours: Vec<f64> = order.iter().map(|&i| gradient[i]).collect();
        if squared {
            ours[0] *= 2.0;
        }
        close(&format!("{name} gradient"), &ours, &vector(&r["grad"]), 1e-9);
    }
}

/// ½ tr((aaᵀ − K⁻¹) ∂K/∂ln θ), from public pieces.
fn marginal_likelihood_gradient(kernel: &AnyKernel<f64>, noise: f64, x: &Rows<f64>, y: &[f64]) -> Vec<f64> {
    let mut k = gram(kernel, x).unwrap();
    for i in 0..y.len() {
        k[(i, i)] += noise;
    }
    let inverse = k.try_inverse().unwrap();
    let a = &inverse * DMatrix::from_column_slice(y.len(), 1, y);
    let w = (&a * a.transpose() - inverse) * 0.5;
    let gradient = kernels_core::gram_gradient(kernel, x, w.as_view()).unwrap();
    gradient.iter().zip(kernel.params()).map(|(g, p)| g * p.value).collect()
}

#[test]
fn many_outputs_and_known_noise() {
    let file = read(include_str!("reference/gpr.json"));
    let (x, x_test) = (rows(&file["X"]), rows(&file["X_test"]));
    let r = &file["cases"]["multioutput_rbf_iso_white"];
    let kernel = Rbf::new(0.9).unwrap() + White::new(0.2).unwrap();
    let fixed = |kernel| GaussianProcess::new(kernel).objective(None).normalize(false);
    let model = fixed(kernel).noise(1e-8).fit(&x, &matrix(&file["Y"])).unwrap();
    close("multi lml", &[model.log_marginal_likelihood()], &[r["lml"].as_f64().unwrap()], 1e-10);
    close(
        "multi mean",
        model.predict_mean(&x_test).unwrap().as_slice(),
        matrix(&r["mean"]).as_slice(),
        1e-10,
    );

    let r = &file["cases"]["heteroscedastic_rbf"];
    let gp = GaussianProcess::new(Rbf::new(0.9).unwrap()).objective(None).normalize(false);
    let model = gp.noise(0.0).sample_noise(vector(&r["noise_var"])).fit(&x, &vector(&file["y"])).unwrap();
    close("hetero lml", &[model.log_marginal_likelihood()], &[r["lml"].as_f64().unwrap()], 1e-10);
    let p = model.predict(&x_test).unwrap();
    close("hetero mean", p.mean.as_slice(), &vector(&r["mean"]), 1e-10);
    close("hetero std", &p.variance.iter().map(|v| v.sqrt()).collect::<Vec<_>>(), &vector(&r["std"]), 1e-8);

    let r = &file["cases"]["normalize_y_rbf_iso_white"];
    let kernel = Rbf::new(0.9).unwrap() + White::new(0.2).unwrap();
    let model =
        GaussianProcess::new(kernel).objective(None).noise(1e-8).fit(&x, &vector(&file["y"])).unwrap();
    let p = model.predict_observation(&x_test).unwrap();
    close("normalised mean", p.mean.as_slice(), &vector(&r["mean"]), 1e-9);
    close(
        "normalised std",
        &p.variance.iter().map(|v| v.sqrt()).collect::<Vec<_>>(),
        &vector(&r["std"]),
        1e-8,
    );
}

#[test]
fn hyper_parameters_reach_the_optimum() {
    let file = read(include_str!("reference/gpr.json"));
    let r = &file["cases"]["fit"];
    let (x, y) = (rows(&r["X"]), vector(&r["y"]));
    let kernel: AnyKernel<f64> = "1 * rbf(length_scale=[1, 1])".parse().unwrap();
    let gp = GaussianProcess::new(kernel).noise(0.1).normalize(false).restarts(3).seed(1);
    let model = gp.fit(&x, &y).unwrap();
    let best = r["lml_opt"].as_f64().unwrap();
    assert!(model.log_marginal_likelihood() >= best - 1e-6, "{} < {best}", model.log_marginal_likelihood());
    let report = model.report().unwrap();
    assert!((report.objective - model.log_marginal_likelihood()).abs() < 1e-9);

    // The other objectives end no worse than where they began.
    for objective in [Objective::LeaveOneOutDensity, Objective::LeaveOneOutError] {
        let kernel: AnyKernel<f64> = "1 * rbf(length_scale=[1, 1])".parse().unwrap();
        let gp = GaussianProcess::new(kernel).noise(0.1).normalize(false).objective(objective);
        let (still, fitted) = (gp.clone().max_iterations(0).fit(&x, &y).unwrap(), gp.fit(&x, &y).unwrap());
        let value = |m: &kernels_solvers::GpModel<_, _>| m.report().unwrap().objective;
        assert!(value(&fitted) > value(&still) + 1.0, "{objective:?}");
    }
    let path = RidgePath::new(Rbf::new(1.0).unwrap(), &x, &y).unwrap();
    let best = path.best(&RidgePath::<Rows<f64>, Rbf>::default_ridges(), Criterion::Gcv).unwrap();
    assert!(best.gcv.is_finite() && best.ridge > 0.0);
}
