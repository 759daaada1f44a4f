//! Machines against libsvm, and their optimality conditions.

use kernels_core::{Points, Polynomial, Rows};
use kernels_solvers::svm::*;
use proptest::prelude::*;

use super::*;

fn signs(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|x| usize::from(x.as_i64().unwrap() > 0)).collect()
}

#[test]
fn agrees_with_libsvm() {
    let file = read(include_str!("../reference/classification.json"));
    let (x, test, y) = (rows(&file["X"]), rows(&file["X_test"]), signs(&file["y"]));
    let weights = vector(&file["sample_weight"]);
    let models = &file["models"];
    let svc = || SupportVectorClassifier::new(rbf(0.5)).tolerance(1e-9);
    for shrinking in [true, false] {
        let cases = [
            ("svc_C1", svc().cost(1.0)),
            ("svc_C100", svc().cost(100.0)),
            ("svc_weighted", svc().weights(weights.clone())),
            ("svc_class_weight", svc().class_weight(1, 3.0)),
            ("nusvc", svc().nu(0.4)),
        ];
        for (name, machine) in cases {
            let model = machine.shrinking(shrinking).fit(&x, &y).unwrap();
            let r = &models[name];
            // Both keep rows of K in single precision: 6e-8 of values, times the coefficients.
            let scale = if name == "svc_C100" { 1e-5 } else { 1e-6 };
            close(name, model.decision(&test).unwrap().as_slice(), &vector(&r["decision_test"]), scale);
            close(name, &[model.machines()[0].intercept()], &[number(&r["intercept"][0])], 1e-4);
            if !r["dual_objective_min"].is_null() {
                let objective = model.machines()[0].report().objective;
                // Of ½βᵀKβ − Σ|β| with kernel values that are off by 6e-8 in single precision: at most 3e-8 (Σ|β|)², a few 1e-7
                // of it here. At the objective's minimum the steps that follow from them count in second order only.
                close(name, &[objective], &[number(&r["dual_objective_min"])], 1e-6);
            }
        }
    }
    let kernel = Polynomial::new(2, 0.5, 1.0).unwrap();
    let model = SupportVectorClassifier::new(kernel).tolerance(1e-9).fit(&x, &y).unwrap();
    let decision = vector(&models["svc_poly"]["decision_test"]);
    close("polynomial", model.decision(&test).unwrap().as_slice(), &decision, 1e-6);

    let target: Vec<f64> = (0..60).map(|i| (2.0 * x.to_matrix()[(i, 0)]).sin()).collect();
    let svr = SupportVectorRegression::new(rbf(0.5)).cost(2.0).epsilon(0.1).tolerance(1e-9);
    let model = svr.clone().fit(&x, &target).unwrap();
    close("svr", &model.decision(&test).unwrap(), &vector(&models["svr"]["decision_test"]), 1e-6);
    assert_eq!(model.support(), labels(&models["svr"]["support"]));
    // The same tube, found by its share of samples outside.
    let outside: f64 = model.coefficients().iter().map(|b| b.abs()).sum::<f64>() / (2.0 * 60.0);
    let found = svr.nu(outside).fit(&x, &target).unwrap();
    close("nu svr", &found.decision(&test).unwrap(), &model.decision(&test).unwrap(), 1e-5);

    let model = OneClassSvm::new(rbf(0.5)).nu(0.2).tolerance(1e-9).fit(&x).unwrap();
    let expected = vector(&models["one_class"]["decision_test"]);
    // Decision values are differences of sums of 12 kernel values.
    close("one class", &model.decision(&test).unwrap(), &expected, 1e-5);

    let three = &models["one_vs_rest_3class"];
    let model = svc().fit(&x, &labels(&three["y"])).unwrap();
    close(
        "rest",
        model.decision(&test).unwrap().as_slice(),
        matrix(&three["decision_test"]).as_slice(),
        1e-5,
    );
}

/// A machine a pair is the machine of these two classes alone, and votes decide.
#[test]
fn one_versus_one() {
    let x: Vec<f64> = (0..60).map(|i| f64::from(i) / 10.0).collect();
    let xs = Rows::from_row_major(x, 60, 1).unwrap();
    let labels: Vec<usize> = (0..60).map(|i| [7, 2, 9, 2][i / 15]).collect();
    let svc = || SupportVectorClassifier::new(rbf(1.0)).cost(10.0).tolerance(1e-6);
    let model = svc().one_versus_one(true).fit(&xs, &labels).unwrap();
    assert_eq!((model.classes(), model.machines().len()), (&[2, 7, 9][..], 3));
    let predicted = model.predict(&xs).unwrap();
    assert!(predicted.iter().zip(&labels).filter(|(a, b)| a != b).count() <= 3);
    let rows: Vec<usize> = (0..60).filter(|i| labels[*i] != 9).collect();
    let two: Vec<usize> = rows.iter().map(|&i| labels[i]).collect();
    let alone = svc().fit(&xs.subset(&rows).unwrap(), &two).unwrap();
    assert_eq!(alone.decision(&xs).unwrap().column(0), model.decision(&xs).unwrap().column(0));
    assert!(model.machines()[0].support().iter().all(|i| labels[*i] != 9));
    // With two classes there is one pair.
    let pair = svc().one_versus_one(true).fit(&xs.subset(&rows).unwrap(), &two).unwrap();
    assert_eq!(pair, alone);
}

/// Small caches and set-aside variables change the path, not the optimum.
#[test]
fn cache_and_shrinking_do_not_change_the_optimum() {
    let (x, y) = concrete();
    let xs = Rows::new(&x);
    let labels: Vec<usize> = y.iter().map(|v| usize::from(*v > 0.0)).collect();
    let fit = |bytes: usize, shrinking: bool| {
        let machine = SupportVectorClassifier::new(rbf(0.1)).cost(10.0).tolerance(1e-5);
        machine.cache(bytes).shrinking(shrinking).fit(&xs, &labels).unwrap().machines()[0].clone()
    };
    let reference = fit(512 << 20, false);
    for model in [fit(512 << 20, true), fit(100_000, true), fit(0, false)] {
        let (a, b) = (model.report().objective, reference.report().objective);
        assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
        close("decision", &model.decision(&xs).unwrap(), &reference.decision(&xs).unwrap(), 1e-3);
        assert!(model.report().violation < 1e-5);
    }
    let again = fit(512 << 20, true);
    assert_eq!(again, fit(512 << 20, true));
}

#[test]
fn edge_cases() {
    let one = |values: &[f64]| Rows::from_row_major(values.to_vec(), values.len(), 1).unwrap();
    let svc = || SupportVectorClassifier::new(rbf(0.5));
    // Two equal points of different classes: nothing separates them.
    let model = svc().fit(&one(&[1.0, 1.0]), &[0, 1]).unwrap();
    assert!(model.decision(&one(&[1.0])).unwrap()[0].abs() < 1e-6);
    let far = svc().fit(&one(&[1e150, -1e150, 0.0]), &[0, 1, 1]).unwrap();
    assert_eq!(far.predict(&one(&[1e150, -1e150])).unwrap(), vec![0, 1]);
    assert!(svc().fit(&one(&[1.0, 2.0]), &[3, 3]).is_err());
    assert!(svc().fit(&one(&[]), &[]).is_err());
    assert!(svc().fit(&one(&[f64::NAN, 1.0]), &[0, 1]).is_err());
    assert!(svc().cost(0.0).fit(&one(&[1.0, 2.0]), &[0, 1]).is_err());
    assert!(svc().nu(0.9).fit(&one(&[1.0, 2.0, 3.0, 4.0]), &[0, 0, 0, 1]).is_err());
    assert!(svc().weights(vec![1.0]).fit(&one(&[1.0, 2.0]), &[0, 1]).is_err());
    let zero = svc().weights(vec![1.0, 1.0, 0.0]).fit(&one(&[1.0, 2.0, 3.0]), &[0, 1, 0]).unwrap();
    assert_eq!(zero.machines()[0].support(), &[0, 1]);
    assert!(
        svc().max_iterations(1).tolerance(1e-12).fit(&one(&[1.0, 2.0, 1.5, 1.7]), &[0, 1, 1, 0]).is_err()
    );
    assert!(SupportVectorRegression::new(rbf(0.5)).epsilon(-1.0).fit(&one(&[1.0]), &[1.0]).is_err());
    // A constant target needs no support vectors; its level is the constant.
    let flat = SupportVectorRegression::new(rbf(0.5)).fit(&one(&[1.0, 2.0]), &[7.0, 7.0]).unwrap();
    assert!((flat.decision(&one(&[5.0])).unwrap()[0] - 7.0).abs() < 0.11);
    assert!(OneClassSvm::new(rbf(0.5)).nu(1.5).fit(&one(&[1.0])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Coefficients in their box, Σβ = 0, and y f ≥ 1 unless at the bound.
    #[test]
    fn optimality(
        values in proptest::collection::vec((-3.0..3.0f64, any::<bool>()), 4..40),
        cost in 0.1..50.0f64,
    ) {
        let y: Vec<usize> = values.iter().map(|v| usize::from(v.1)).collect();
        prop_assume!(y.contains(&0) && y.contains(&1));
        let x = Rows::from_row_major(values.iter().map(|v| v.0).collect(), values.len(), 1).unwrap();
        let model = SupportVectorClassifier::new(rbf(0.5)).cost(cost).tolerance(1e-6).fit(&x, &y).unwrap();
        let m = &model.machines()[0];
        prop_assert!(m.coefficients().iter().sum::<f64>().abs() < 1e-9 * cost * values.len() as f64);
        let f = m.decision(&x).unwrap();
        let mut beta = vec![0.0; values.len()];
        m.support().iter().zip(m.coefficients()).for_each(|(&i, &b)| beta[i] = b);
        for i in 0..values.len() {
            let sign = if y[i] == 1 { 1.0 } else { -1.0 };
            let (a, margin) = (sign * beta[i], sign * f[i]);
            prop_assert!((0.0..=cost).contains(&a));
            // Rows are in single precision: values of f differ by that much times the coefficients.
            let slack = 1e-5 + 1e-6 * cost;
            prop_assert!(a < cost || margin < 1.0 + slack);
            prop_assert!(a > 0.0 || margin > 1.0 - slack);
        }
    }
}

/// A user who stops an optimisation gets told so.
#[test]
fn an_optimisation_can_be_cancelled() {
    struct Stop;
    impl kernels_core::Progress for Stop {
        fn step(&mut self, _: &str, _: usize, _: usize) -> std::ops::ControlFlow<()> {
            std::ops::ControlFlow::Break(())
        }
    }
    let (x, y) = concrete();
    let labels: Vec<usize> = y.iter().map(|v| usize::from(*v > 0.0)).collect();
    let machine = SupportVectorClassifier::new(rbf(0.1)).cost(1000.0).tolerance(1e-9);
    let error = machine.fit_with(&Rows::new(&x), &labels, &mut Stop).unwrap_err();
    assert_eq!(error.to_string(), kernels_core::Error::Cancelled.to_string());
}
