//! Models on centres: Falkon, logistic regression, landmarks.

use kernels_core::{
    AnyKernel, LazyGram, Operator, PivotedCholesky, Points, Rbf, Rows, gram, kmeans_plus_plus,
};
use kernels_solvers::{Askotch, EigenPro, Ended, Error, Falkon, InMemory, LogFalkon, Preconditioning};
use nalgebra::DMatrix;

use super::*;

#[test]
fn nystrom_regression() {
    let file = read(include_str!("../reference/nystrom_falkon.json"));
    let (xs, y) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]));
    let test = Rows::new(&matrix(&file["X_test"]));
    let kernel = Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap();
    let falkon = Falkon::new(kernel, 8)
        .centers(indices(&file["center_indices"]))
        .lambda(file["lambda"].as_f64().unwrap())
        .tolerance(1e-13)
        .max_iterations(60);
    // Coefficients carry the condition number of K_mm, predictions do not.
    for from in [Preconditioning::Centers, Preconditioning::Sketch, Preconditioning::Data] {
        let (model, report) = falkon.clone().preconditioning(from).fit(&xs, &y, &mut ()).unwrap();
        assert_ne!(report.ended, Ended::Iterations, "{report:?}");
        close("alpha", model.coefficients().as_slice(), matrix(&file["krr_alpha"]).as_slice(), 1e-7);
        close("pred", model.predict(&test).unwrap().as_slice(), matrix(&file["krr_pred"]).as_slice(), 1e-8);
        let first = y.columns(0, 1).into_owned();
        let weighted = falkon.clone().preconditioning(from).weights(vector(&file["weights"]));
        let (model, _) = weighted.fit(&xs, &first, &mut ()).unwrap();
        close("weighted", model.coefficients().as_slice(), &vector(&file["weighted_alpha"]), 1e-7);
    }
}

/// Leave-one-out against refits, and the objectives of an independent implementation, which are of the first output.
#[test]
fn scores_of_centers() {
    let file = read(include_str!("../reference/nystrom_falkon.json"));
    let (xs, y) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]));
    let kernel = Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap();
    let lambda = file["lambda"].as_f64().unwrap();
    let falkon = Falkon::new(kernel, 8).centers(indices(&file["center_indices"])).lambda(lambda);
    let mut source = InMemory::new(xs.clone(), &y.columns(0, 1).into_owned()).unwrap();
    let scores = falkon.scores(&mut source).unwrap();
    let r = &file["hopt"];
    let number = |v: &Value| v.as_f64().unwrap();
    // Formulas over a matrix of condition 1e4.
    close("loo", scores.residuals.as_slice(), &vector(&file["loo_brute"]), 1e-9);
    let trace: f64 = vector(&file["hat_diag"]).iter().sum();
    close("dof", &[scores.degrees_of_freedom], &[trace], 1e-10);
    close("dof", &[scores.degrees_of_freedom], &[number(&r["nystrom_compreg"]["ndeff"])], 1e-10);
    close("complexity", &[scores.complexity], &[number(&r["nystrom_compreg"]["total"])], 1e-10);
    close("evidence", &[scores.evidence], &[number(&r["sgpr_elbo"])], 1e-10);
    close("gcv", &[scores.gcv], &[number(&r["gcv"])], 1e-9);
    // Both outputs: means and sums of single ones.
    let second =
        falkon.scores(&mut InMemory::new(xs.clone(), &y.columns(1, 1).into_owned()).unwrap()).unwrap();
    let both = falkon.scores(&mut InMemory::new(xs.clone(), &y).unwrap()).unwrap();
    close("gcv", &[both.gcv], &[(scores.gcv + second.gcv) / 2.0], 1e-12);
    close("evidence", &[both.evidence], &[scores.evidence + second.evidence], 1e-12);
    let weighted = falkon.weights(vec![1.0; xs.len()]);
    assert!(matches!(weighted.scores(&mut source), Err(Error::Unsupported { .. })));
}

#[test]
fn logistic_regression() {
    let file = read(include_str!("../reference/kernel_logistic.json"));
    let (xs, test) = (Rows::new(&matrix(&file["X"])), Rows::new(&matrix(&file["X_test"])));
    let y: Vec<f64> = vector(&file["y"]).iter().map(|y| if *y > 0.0 { 1.0 } else { -1.0 }).collect();
    let kernel = Rbf::new(1.0).unwrap();
    let r = &file["kernel_logistic"];
    let fit = |centers: Vec<usize>, lambda: &Value| {
        LogFalkon::new(kernel.clone(), 1).centers(centers).lambda(lambda.as_f64().unwrap()).tolerance(1e-16)
    };
    let (full, report) = fit((0..y.len()).collect(), &r["full"]["lambda"]).fit(&xs, &y, &mut ()).unwrap();
    assert_eq!(report.ended, Ended::Converged, "{report:?}");
    // The objective is within 1e-16 of its least value: f is within its root.
    close("full", full.predict(&test).unwrap().as_slice(), &vector(&r["full"]["f_test"]), 1e-6);
    let centers = indices(&r["nystrom"]["centers"]);
    let (model, _) = fit(centers.clone(), &r["nystrom"]["lambda"]).fit(&xs, &y, &mut ()).unwrap();
    close("nystrom", model.predict(&test).unwrap().as_slice(), &vector(&r["nystrom"]["f_test"]), 1e-5);
    let weighted = fit(centers, &r["nystrom"]["lambda"]).weights(vector(&file["sample_weight"]));
    let (model, _) = weighted.fit(&xs, &y, &mut ()).unwrap();
    close(
        "weighted",
        model.predict(&test).unwrap().as_slice(),
        &vector(&r["nystrom_weighted"]["f_test"]),
        1e-5,
    );
    assert!(LogFalkon::new(kernel, 3).fit(&xs, &vec![0.5; y.len()], &mut ()).is_err());
}

#[test]
fn single_precision_points() {
    let (xs, y) = smooth(400);
    let narrow =
        Rows::<f32>::from_row_major(xs.as_slice().iter().map(|v| *v as f32).collect(), 400, 2).unwrap();
    let kernel = Rbf::new(0.8).unwrap();
    let wide = Falkon::new(kernel.clone(), 40).lambda(1e-5).fit(&xs, &y, &mut ()).unwrap().0;
    let thin = Falkon::new(kernel, 40).lambda(1e-5).fit(&narrow, &y, &mut ()).unwrap().0;
    let (a, b) = (wide.predict(&xs).unwrap(), thin.predict(&narrow).unwrap());
    // f32 has 7 digits; the ridge of 1e-5 amplifies its rounding.
    assert!((&a - &b).norm() < 5e-3 * a.norm(), "{:e}", (&a - &b).norm() / a.norm());
}

#[test]
fn hostile_data() {
    let kernel = Rbf::new(1.0).unwrap();
    let none = Rows::<f64>::from_row_major(vec![], 0, 2).unwrap();
    let empty: Vec<f64> = vec![];
    assert!(Falkon::new(kernel.clone(), 3).fit(&none, &empty, &mut ()).is_err());
    assert!(EigenPro::new(kernel.clone()).fit(&none, &empty, &mut ()).is_err());
    assert!(Askotch::new(kernel.clone()).fit(&none, &empty, &mut ()).is_err());
    let one = Rows::from_row_major(vec![1.0, 2.0], 1, 2).unwrap();
    // One sample: f(x) = y / (1 + λ).
    let (model, _) = Falkon::new(kernel.clone(), 5).lambda(1.0).fit(&one, &vec![3.0], &mut ()).unwrap();
    assert!((model.predict(&one).unwrap()[0] - 1.5).abs() < 1e-9);
    let (model, _) = Askotch::new(kernel.clone()).fit(&one, &vec![3.0], &mut ()).unwrap();
    assert!((model.predict(&one).unwrap()[0] - 1.5).abs() < 1e-3);
    let (model, _) = EigenPro::new(kernel.clone()).fit(&one, &vec![3.0], &mut ()).unwrap();
    assert!((model.predict(&one).unwrap()[0] - 3.0).abs() < 1e-3);
    // All points the same, and constant targets.
    let same = Rows::from_row_major(vec![0.5; 40], 20, 2).unwrap();
    let (model, report) =
        Falkon::new(kernel.clone(), 6).lambda(1e-3).fit(&same, &vec![2.0; 20], &mut ()).unwrap();
    assert!((model.predict(&same).unwrap()[0] - 2.0 / 1.001).abs() < 1e-6 && report.jitter > 0.0);
    let (model, _) = EigenPro::new(kernel.clone()).fit(&same, &vec![2.0; 20], &mut ()).unwrap();
    assert!((model.predict(&same).unwrap()[0] - 2.0).abs() < 1e-3);
    let bad = Rows::from_row_major(vec![1.0, f64::NAN], 1, 2).unwrap();
    assert!(Falkon::new(kernel.clone(), 3).fit(&bad, &vec![3.0], &mut ()).is_err());
    assert!(Falkon::new(kernel.clone(), 3).fit(&one, &vec![f64::INFINITY], &mut ()).is_err());
    assert!(Falkon::new(kernel.clone(), 0).fit(&one, &vec![1.0], &mut ()).is_err());
    assert!(Falkon::new(kernel.clone(), 3).lambda(0.0).fit(&one, &vec![1.0], &mut ()).is_err());
    assert!(Falkon::new(kernel.clone(), 3).centers([4]).fit(&one, &vec![1.0], &mut ()).is_err());
    assert!(EigenPro::new(kernel.clone()).batch(0).fit(&one, &vec![1.0], &mut ()).is_err());
    assert!(EigenPro::new(kernel.clone()).exponent(2.0).fit(&one, &vec![1.0], &mut ()).is_err());
    let tiny = Rows::from_row_major((0..20).map(|i| f64::from(i) * 1e-160).collect(), 20, 1).unwrap();
    assert!(Falkon::new(kernel, 5).fit(&tiny, &vec![1.0; 20], &mut ()).is_ok());
}

#[test]
fn landmarks() {
    let (xs, _) = smooth(200);
    let kernel = Rbf::new(0.8).unwrap();
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let chosen = kmeans_plus_plus(&k, 15, 4).unwrap();
    let mut sorted = chosen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 15);
    // Spread landmarks explain more of the trace than a cluster of neighbours.
    let error =
        |pivots: Vec<usize>| PivotedCholesky::new(15).pivots(pivots).run(&k, &mut ()).unwrap().trace_error();
    assert!(error(chosen) < error((0..15).collect()));
    let mut diagonal = vec![0.0; 200];
    k.diagonal(&mut diagonal).unwrap();
    assert!(error((0..200).collect()) <= diagonal.iter().sum::<f64>());
}

/// With two classes, the difference of the two functions is that of the logistic loss with half the penalty; with three, the gradient
/// of the objective vanishes.
#[test]
fn logistic_regression_of_many_classes() {
    let (xs, y) = smooth(150);
    let n = xs.len();
    let labels: Vec<usize> = (0..n).map(|i| if y[(i, 0)] > 0.0 { 8 } else { 3 }).collect();
    let signs: Vec<f64> = labels.iter().map(|l| if *l == 8 { 1.0 } else { -1.0 }).collect();
    let kernel = Rbf::new(0.8).unwrap();
    let weights: Vec<f64> = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
    let fit = |lambda: f64| LogFalkon::new(kernel.clone(), 40).lambda(lambda).tolerance(1e-13).seed(4);
    let (two, report) = fit(2e-3).weights(weights.clone()).fit_classes(&xs, &labels, &mut ()).unwrap();
    assert_eq!((two.classes(), report.ended), (&[3, 8][..], Ended::Converged));
    let (one, _) = fit(1e-3).weights(weights.clone()).fit(&xs, &signs, &mut ()).unwrap();
    let (f, g) = (two.scores().predict(&xs).unwrap(), one.predict(&xs).unwrap());
    let apart = (f.column(1) - f.column(0) - g.column(0)).amax();
    // Decrement²/2 of 1e-13 (the objective has 16 digits) is 5e-7 in the norm of the Hessian, which is at least the penalty: 1.4e-5.
    assert!(apart < 1e-4 * g.amax(), "{apart:e}");
    let p = two.predict_probability(&xs).unwrap();
    assert!(p.row_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12 && row.min() >= 0.0));

    let three: Vec<usize> = (0..n).map(|i| i % 3 * usize::from(y[(i, 0)] > -0.3)).collect();
    let (model, _) = fit(1e-3).fit_classes(&xs, &three, &mut ()).unwrap();
    let scores = model.scores();
    let (cross, kmm) = (
        kernels_core::cross_gram(&kernel, scores.points(), &xs).unwrap(),
        gram(&kernel, scores.points()).unwrap(),
    );
    let mut slopes = model.predict_probability(&xs).unwrap();
    for (i, label) in three.iter().enumerate() {
        slopes[(i, *label)] -= 1.0;
    }
    let gradient = cross * slopes / n as f64 + kmm * scores.coefficients() * 1e-3;
    // The Hessian's norm is below 40: 5e-7 of decrement is less than 5e-6 of gradient.
    assert!(gradient.amax() < 5e-6, "{:e}", gradient.amax());
    assert!(fit(1e-3).fit_classes(&xs, &vec![1; n], &mut ()).is_err());
    let mut source = InMemory::new(xs.clone(), &DMatrix::repeat(n, 2, 0.5)).unwrap();
    assert!(matches!(fit(1e-3).fit_indicators(&mut source, &mut ()), Err(Error::Value { .. })));
}

/// Columns that are computed in pieces, by all cores, have the bits of single values' blocks.
#[test]
fn long_columns() {
    let (xs, _) = smooth(5000);
    let kernel: AnyKernel<f64> = "matern(nu=1.5) + white(variance=0.5)".parse().unwrap();
    let lazy = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let indices = [4999, 0, 2048, 2047];
    let mut out = DMatrix::zeros(5000, 4);
    kernels_core::Operator::columns(&lazy, &indices, out.as_view_mut()).unwrap();
    let some = xs.subset(&indices).unwrap();
    let expected = kernels_core::cross_gram(&kernel, &xs, &some).unwrap();
    for (k, &j) in indices.iter().enumerate() {
        for i in 0..5000 {
            let noise = if i == j { 0.5 } else { 0.0 };
            assert!((out[(i, k)] - expected[(i, k)] - noise).abs() < 1e-14, "{i} {j}");
        }
    }
    kernels_core::Operator::columns(&lazy, &[], DMatrix::zeros(5000, 0).as_view_mut()).unwrap();
}
