//! Logistic regression, centroids, and Laplace's approximation.

use kernels_core::{Describe, Rbf, Rows};
use kernels_solvers::{GpClassifier, KernelLogistic, NearestCentroid};

use super::*;

fn data() -> (Value, Rows<f64>, Rows<f64>, Vec<usize>) {
    let file = read(include_str!("../reference/classification.json"));
    let (x, test) = (rows(&file["X"]), rows(&file["X_test"]));
    let y = file["y"].as_array().unwrap().iter().map(|v| usize::from(v.as_i64().unwrap() > 0)).collect();
    (file, x, test, y)
}

#[test]
fn logistic_agrees_with_newton() {
    let (file, x, test, y) = data();
    let r = &file["models"]["kernel_logistic"];
    let full = KernelLogistic::new(rbf(0.5)).lambda(0.01).fit(&x, &y).unwrap();
    close("objective", full.objectives(), &[number(&r["full"]["objective"])], 1e-10);
    // Newton ends when half the squared decrement is 1e-12 of the objective: its root in f.
    close("f", full.log_odds(&x).unwrap().as_slice(), &vector(&r["full"]["f_train"]), 1e-6);
    close("f", full.log_odds(&test).unwrap().as_slice(), &vector(&r["full"]["f_test"]), 1e-6);
    let n = &r["nystrom"];
    let some = KernelLogistic::new(rbf(0.5)).lambda(1e-4).centers(labels(&n["centers"])).tolerance(1e-15);
    let some = some.fit(&x, &y).unwrap();
    close("objective", some.objectives(), &[number(&n["objective"])], 1e-10);
    close("f", some.log_odds(&test).unwrap().as_slice(), &vector(&n["f_test"]), 1e-5);
    // All samples as centres span the same functions.
    let all = KernelLogistic::new(rbf(0.5)).lambda(0.01).centers((0..60).collect::<Vec<_>>()).fit(&x, &y).unwrap();
    close("all centres", all.log_odds(&test).unwrap().as_slice(), full.log_odds(&test).unwrap().as_slice(), 1e-4);
    let p = full.predict_probability(&test).unwrap();
    assert!(p.row_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
}

#[test]
fn logistic_edge_cases() {
    let one = |values: &[f64]| Rows::from_row_major(values.to_vec(), values.len(), 1).unwrap();
    let fit = |v: &[f64], l: &[usize]| KernelLogistic::new(rbf(0.5)).lambda(1e-8).fit(&one(v), l);
    assert!(fit(&[1.0], &[1]).is_err() && fit(&[1.0, f64::NAN], &[1, 2]).is_err() && fit(&[], &[]).is_err());
    // Separable and hardly penalised: large but finite.
    let odds = fit(&[0.0, 5.0], &[0, 1]).unwrap().log_odds(&one(&[0.0, 5.0])).unwrap();
    assert!(odds[0] < -5.0 && odds[1] > 5.0 && odds.iter().all(|f| f.is_finite()));
    let three = fit(&[0.0, 5.0, 10.0, 0.1, 5.1, 10.1], &[4, 2, 9, 4, 2, 9]).unwrap();
    assert_eq!(three.predict(&one(&[0.0, 5.0, 10.0])).unwrap(), vec![4, 2, 9]);
    // A weight of 0 is as good as leaving the sample out, up to the count in the mean.
    let weighted = KernelLogistic::new(rbf(0.5)).lambda(0.01).weights(vec![1.0, 1.0, 0.0]);
    let weighted = weighted.fit(&one(&[0.0, 1.0, 2.0]), &[0, 1, 0]).unwrap();
    let without = KernelLogistic::new(rbf(0.5)).lambda(0.015).fit(&one(&[0.0, 1.0]), &[0, 1]).unwrap();
    let at = one(&[0.3]);
    assert!((weighted.log_odds(&at).unwrap()[0] - without.log_odds(&at).unwrap()[0]).abs() < 1e-6);
}

#[test]
fn centroids_are_means_and_discriminants_are_fishers() {
    // With a linear kernel both have explicit forms in the input space.
    let x = DMatrix::from_fn(30, 2, |i, j| ((i * (3 + j)) % 7) as f64 + if i % 2 == 0 { 2.0 * j as f64 } else { 0.0 });
    let y: Vec<usize> = (0..30).map(|i| i % 2).collect();
    let xs = Rows::new(&x);
    let linear = kernels_core::Linear::new(0.0).unwrap();
    let plain = NearestCentroid::new(linear.clone()).fit(&xs, &y).unwrap();
    let mean = |c: usize| {
        let mine: Vec<usize> = (0..30).filter(|i| i % 2 == c).collect();
        DMatrix::from_fn(1, 2, |_, j| mine.iter().map(|&i| x[(i, j)]).sum::<f64>() / 15.0)
    };
    let d = plain.squared_distances(&xs).unwrap();
    for i in 0..30 {
        for c in 0..2 {
            assert!((d[(i, c)] - (x.row(i) - mean(c)).norm_squared()).abs() < 1e-10);
        }
    }
    let shrinkage = 0.1;
    let model = NearestCentroid::new(linear).discriminant(shrinkage).fit(&xs, &y).unwrap();
    let mut scatter = DMatrix::<f64>::zeros(2, 2);
    for i in 0..30 {
        let e = x.row(i) - mean(y[i]);
        scatter += e.transpose() * e;
    }
    // r = shrinkage · tr(PKP)/n = shrinkage · tr S/n.
    let ridge = shrinkage * scatter.trace() / 30.0;
    let metric = (scatter + DMatrix::identity(2, 2) * ridge).try_inverse().unwrap() * ridge;
    let scores = model.scores(&xs).unwrap();
    for i in 0..30 {
        let expected = |c: usize| {
            (x.row(i) * &metric * mean(c).transpose())[0] - 0.5 * (mean(c) * &metric * mean(c).transpose())[0]
        };
        assert!((scores[(i, 0)] - expected(0)).abs() < 1e-8 && (scores[(i, 1)] - expected(1)).abs() < 1e-8);
    }
    assert!(NearestCentroid::new(rbf(1.0)).discriminant(0.0).fit(&xs, &y).is_err());
    assert!(NearestCentroid::new(rbf(1.0)).fit(&xs, &[1; 30]).is_err());
}

#[test]
fn laplace_agrees_with_scikit_learn() {
    let (file, x, test, y) = data();
    let r = &file["models"]["gpc_laplace"];
    let kernel = || 1.5 * Rbf::new(0.8).unwrap();
    let model = GpClassifier::new(kernel()).optimise(false).fit(&x, &y).unwrap();
    close("lml", &[model.log_marginal_likelihood()], &[number(&r["lml"])], 1e-9);
    // Theirs is by logarithms.
    let by_ln: Vec<f64> = model
        .log_marginal_likelihood_gradient()
        .unwrap()
        .iter()
        .zip(kernel().params())
        .map(|(g, p)| g * p.value)
        .collect();
    close("gradient", &by_ln, &vector(&r["grad"]), 1e-7);
    // Theirs approximates the integral by five error functions, to about 1e-4.
    let p = model.predict_probability(&test).unwrap();
    assert!(p.iter().zip(vector(&r["proba_test"])).all(|(a, b)| (a - b).abs() < 1e-3));
    let tuned = GpClassifier::new(kernel()).fit(&x, &y).unwrap();
    assert!(tuned.log_marginal_likelihood() > model.log_marginal_likelihood());
}
