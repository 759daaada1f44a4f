//! Large-scale solvers: numbers of independent implementations, convergence to the exact solution, streams, checkpoints.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, clippy::print_stdout)]

use kernels_core::{
    AnyKernel, Dense, LazyGram, Matern, Operator, PivotedCholesky, Points, Rbf, Rows, Shifted, gram,
    kmeans_plus_plus,
};
use kernels_solvers::{
    Askotch, AutoRegression, BlockJacobi, BlockSource, ConjugateGradients, EigenPro, Ended, Error, Falkon,
    Identity, InMemory, IncrementalKrr, Krr, LogFalkon, LowRankPreconditioner, Method, Minres, PartialFit,
    Preconditioner, Preconditioning, plan, uniform_landmarks,
};
use nalgebra::DMatrix;
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn vector(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn indices(v: &Value) -> Vec<usize> {
    vector(v).iter().map(|x| *x as usize).collect()
}

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(1e-300_f64, |m, e| m.max(e.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}[{i}]: got {g:e}, expected {e:e}");
    }
}

#[test]
fn nystrom_regression() {
    let file = read(include_str!("reference/nystrom_falkon.json"));
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
    let file = read(include_str!("reference/nystrom_falkon.json"));
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
    let file = read(include_str!("reference/kernel_logistic.json"));
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
fn conjugate_gradients_of_the_reference() {
    let file = read(include_str!("reference/iterative_solvers.json"));
    let (xs, y) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]).columns(0, 1).into_owned());
    let kernel = Rbf::new(1.6).unwrap();
    let r = &file["pcg"];
    let alpha = r["lambda"].as_f64().unwrap();
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let low = PivotedCholesky::new(20).pivots(indices(&r["pivots"])).run(&k, &mut ()).unwrap();
    let preconditioner = LowRankPreconditioner::new(&low, alpha).unwrap();
    let solver = ConjugateGradients::new().tolerance(1e-10);
    let (c, report) = solver.solve(&Shifted::new(k, alpha), &y, &preconditioner, None, &mut ()).unwrap();
    close("solution", c.as_slice(), &vector(&r["solution"]), 1e-8);
    let iterations = r["iterations"].as_u64().unwrap() as usize;
    assert!(report.iterations.abs_diff(iterations) <= 1, "{} for {iterations}", report.iterations);
    // Rounding is amplified by an iteration: the first residuals agree.
    close("residuals", &report.history[..8], &vector(&r["residuals"])[..8], 1e-6);
    // A warm start at the solution has nothing to do.
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let warm = solver.clone().tolerance(1e-9);
    let (_, again) = warm.solve(&Shifted::new(k, alpha), &y, &preconditioner, Some(&c), &mut ()).unwrap();
    assert_eq!(again.iterations, 0);
}

/// Points on which neighbours in the order are neighbours in space.
fn smooth(n: usize) -> (Rows<f64>, DMatrix<f64>) {
    let x = |i: usize, j: usize| {
        2.0 * ((i as f64 / n as f64) * (3.0 + j as f64) + 0.3 * (i * 7 % 11) as f64 * 0.1).sin()
    };
    let xs = Rows::new(&DMatrix::from_fn(n, 2, x));
    let y = DMatrix::from_fn(n, 2, |i, k| {
        (x(i, 0) * (k as f64 + 1.0)).sin() + 0.1 * ((i * 31 % 17) as f64 / 17.0 - 0.5)
    });
    (xs, y)
}

/// Solver × kernel × conditioning → relative error of the coefficients' function against exact kernel ridge regression.
#[test]
fn every_solver_converges_to_the_exact_solution() {
    let (xs, y) = smooth(220);
    let n = xs.len();
    let all: Vec<usize> = (0..n).collect();
    println!("{:<28} {:<26} {:>8} {:>10} {:>6}", "solver", "kernel", "alpha", "error", "its");
    for text in ["rbf(length_scale=0.8)", "matern(nu=1.5, length_scale=1)", "laplacian(length_scale=2)"] {
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        for alpha in [1.0, 1e-2, 1e-4] {
            let exact = Krr::new(kernel.clone()).ridge(alpha).fit(&xs, &y).unwrap();
            let truth = exact.predict(&xs).unwrap();
            let row = |solver: &str, fitted: DMatrix<f64>, iterations: usize, bound: f64| {
                let error = (fitted - &truth).norm() / truth.norm();
                println!("{solver:<28} {text:<26} {alpha:>8.0e} {error:>10.1e} {iterations:>6}");
                assert!(error < bound, "{solver}, {text}, {alpha}: {error:e}");
            };
            let k = LazyGram::new(&kernel, &xs, 1 << 22).unwrap();
            let dense = gram(&kernel, &xs).unwrap();
            let low = PivotedCholesky::new(40).run(&k, &mut ()).unwrap();
            let shifted = Shifted::new(&k, alpha);
            let preconditioners: [(&str, Box<dyn Preconditioner>); 4] = [
                ("cg", Box::new(Identity)),
                ("cg + rpcholesky", Box::new(LowRankPreconditioner::new(&low, alpha).unwrap())),
                ("cg + nystrom", Box::new(LowRankPreconditioner::nystrom(&k, 40, alpha, 1).unwrap())),
                ("cg + block jacobi", Box::new(BlockJacobi::new(&kernel, &xs, 32, alpha).unwrap())),
            ];
            for (name, p) in &preconditioners {
                let solver = ConjugateGradients::new().tolerance(1e-9).max_iterations(3000);
                let (c, report) = solver.solve(&shifted, &y, p.as_ref(), None, &mut ()).unwrap();
                row(name, &dense * c, report.iterations, 1e-6);
            }
            let (c, report) =
                Minres::new().tolerance(1e-9).max_iterations(3000).solve(&shifted, &y, &mut ()).unwrap();
            row("minres", &dense * c, report.iterations, 1e-5);
            let named = [
                ("falkon", Preconditioning::Centers),
                ("falkon (krill)", Preconditioning::Sketch),
                ("falkon (data)", Preconditioning::Data),
            ];
            for (name, from) in named {
                let falkon = Falkon::new(kernel.clone(), n)
                    .centers(all.clone())
                    .lambda(alpha / n as f64)
                    .preconditioning(from)
                    .tolerance(1e-10)
                    .max_iterations(200);
                let (model, report) = falkon.fit(&xs, &y, &mut ()).unwrap();
                row(name, model.predict(&xs).unwrap(), report.iterations, 1e-5);
            }
            if alpha >= 1e-2 {
                let fit = Askotch::new(kernel.clone())
                    .ridge(alpha)
                    .block(55)
                    .rank(40)
                    .tolerance(1e-6)
                    .max_passes(600);
                let (model, report) = fit.fit(&xs, &y, &mut ()).unwrap();
                row("askotch", model.predict(&xs).unwrap(), report.iterations, 1e-3);
                let fit = EigenPro::new(kernel.clone()).ridge(alpha).sample(220).directions(60).epochs(300);
                let (model, report) = fit.fit(&xs, &y, &mut ()).unwrap();
                row("eigenpro 2", model.predict(&xs).unwrap(), report.iterations, 5e-3);
            }
        }
        // Without ridge, on centres: the least-squares fit.
        let (centers, t) = (xs.subset(&uniform_landmarks(n, 25, 3)).unwrap(), y.ncols());
        let cross = kernels_core::cross_gram(&kernel, &xs, &centers).unwrap();
        let svd = cross.clone().svd(true, true);
        let truth = &cross * svd.solve(&y, 1e-12).unwrap();
        for delay in [1, 4] {
            let fit = EigenPro::new(kernel.clone()).sample(150).directions(25).epochs(150).delay(delay);
            let fit = fit.exact_projection(true).batch(40);
            let mut source = InMemory::new(xs.clone(), &y).unwrap();
            let (model, report) = fit.fit_centers(&mut source, &centers, &mut ()).unwrap();
            let fitted = model.predict(&xs).unwrap();
            let excess = ((&fitted - &y).norm() - (&truth - &y).norm()) / y.norm();
            println!(
                "{:<28} {text:<26} {:>8} {excess:>10.1e} {:>6}",
                if delay == 1 { "eigenpro 3" } else { "eigenpro 4" },
                "excess",
                report.iterations
            );
            assert!(fitted.ncols() == t && excess < 0.01, "delay {delay}, {text}: {excess} {report:?}");
        }
    }
}

/// Steps of the computed batch do not diverge, for every kernel and batch. Single steps of stochastic gradients on noisy targets
/// fluctuate: by 7 % at most here, with batches of 1.
#[test]
fn computed_steps_are_stable() {
    let (xs, y) = smooth(300);
    for text in ["rbf(length_scale=0.8)", "matern(nu=0.5, length_scale=2)", "laplacian(length_scale=2)"] {
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        for batch in [None, Some(1), Some(300)] {
            let mut fit = EigenPro::new(kernel.clone()).sample(120).directions(30).epochs(6).seed(5);
            if let Some(batch) = batch {
                fit = fit.batch(batch);
            }
            let (_, report) = fit.fit(&xs, &y, &mut ()).unwrap();
            for pair in report.history.windows(2) {
                assert!(pair[1] < 1.1 * pair[0], "{text}, batch {batch:?}: {:?}", report.history);
            }
        }
    }
}

#[test]
fn minres_of_indefinite_and_singular_systems() {
    let n = 30;
    let a = DMatrix::from_fn(n, n, |i, j| {
        ((i * j) as f64).sin() + if i == j { if i % 2 == 0 { 5.0 } else { -5.0 } } else { 0.0 }
    });
    let a = (&a + a.transpose()) * 0.5;
    let x = DMatrix::from_fn(n, 2, |i, j| (i as f64 - 3.0 * j as f64).cos());
    let operator = Dense::new(a.clone()).unwrap();
    let (got, report) = Minres::new().tolerance(1e-12).solve(&operator, &(&a * &x), &mut ()).unwrap();
    assert!((got - x).amax() < 1e-8, "{report:?}");
    let singular = Dense::new(DMatrix::from_element(4, 4, 1.0)).unwrap();
    let (got, _) = Minres::new().solve(&singular, &DMatrix::from_element(4, 1, 2.0), &mut ()).unwrap();
    assert!((got - DMatrix::from_element(4, 1, 0.5)).amax() < 1e-12);
    let (zero, _) = Minres::new().solve(&singular, &DMatrix::zeros(4, 1), &mut ()).unwrap();
    assert_eq!(zero, DMatrix::zeros(4, 1));
}

/// The same rows in small blocks, as a reader of files yields them.
struct Pieces(Rows<f64>, DMatrix<f64>, usize);

impl BlockSource for Pieces {
    type Points = Rows<f64>;
    fn len(&self) -> usize {
        self.0.len()
    }
    fn outputs(&self) -> usize {
        self.1.ncols()
    }
    fn pass(
        &mut self,
        visit: &mut dyn FnMut(&Rows<f64>, &DMatrix<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.0.len()).collect();
        for part in all.chunks(self.2) {
            visit(&self.0.subset(part)?, &self.1.select_rows(part))?;
        }
        Ok(())
    }
    fn select(&mut self, indices: &[usize]) -> Result<Rows<f64>, Error> {
        Ok(self.0.subset(indices)?)
    }
}

#[test]
fn streamed_data_give_the_model_of_data_in_memory() {
    let (xs, y) = smooth(500);
    let falkon = Falkon::new(Rbf::new(0.8).unwrap(), 40).lambda(1e-5).tolerance(1e-12).max_iterations(40);
    let (whole, _) = falkon.fit(&xs, &y, &mut ()).unwrap();
    let (parts, _) = falkon.fit_source(&mut Pieces(xs.clone(), y.clone(), 64), &mut ()).unwrap();
    let (a, b) = (whole.predict(&xs).unwrap(), parts.predict(&xs).unwrap());
    // Sums in another order, times the condition number of the preconditioned system.
    assert!((&a - &b).amax() < 1e-7, "{:e}", (&a - &b).amax());
    let centers = xs.subset(&uniform_landmarks(500, 60, 1)).unwrap();
    let fit = EigenPro::new(Matern::new(0.5, 2.0).unwrap()).sample(200).directions(30).epochs(12);
    let (model, report) =
        fit.fit_centers(&mut Pieces(xs.clone(), y.clone(), 120), &centers, &mut ()).unwrap();
    let error = (model.predict(&xs).unwrap() - &y).norm() / y.norm();
    assert!(error < 0.15, "{error}, {report:?}");
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
fn results_do_not_depend_on_threads() {
    let (xs, y) = smooth(300);
    let fit = || {
        let kernel = Rbf::new(0.8).unwrap();
        let a = Falkon::new(kernel.clone(), 30)
            .preconditioning(Preconditioning::Sketch)
            .fit(&xs, &y, &mut ())
            .unwrap()
            .0;
        let b = EigenPro::new(kernel.clone())
            .sample(100)
            .directions(20)
            .epochs(2)
            .fit(&xs, &y, &mut ())
            .unwrap()
            .0;
        let c = Askotch::new(kernel).block(80).max_passes(2).fit(&xs, &y, &mut ()).unwrap().0;
        (a.coefficients().clone(), b.coefficients().clone(), c.coefficients().clone())
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(fit);
    assert!(one == pool(3).install(fit));
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

/// What the child of the crash test runs: slowed down, so that it is killed in the middle.
struct Slow;

impl kernels_core::Progress for Slow {
    fn step(&mut self, _: &str, _: usize, _: usize) -> std::ops::ControlFlow<()> {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::ops::ControlFlow::Continue(())
    }
}

fn resumable(
    solver: &str,
    path: &std::path::Path,
    progress: &mut dyn kernels_core::Progress,
) -> DMatrix<f64> {
    let (xs, y) = smooth(300);
    let kernel = Rbf::new(0.8).unwrap();
    match solver {
        "falkon" => {
            let fit =
                Falkon::new(kernel, 60).lambda(1e-7).tolerance(0.0).max_iterations(40).checkpoint(path, 1);
            let fit = fit.preconditioning(Preconditioning::Centers);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "falkon formed" => {
            // Pieces of 64 rows, the least.
            let fit = Falkon::new(kernel, 60).lambda(1e-7).budget(1).checkpoint(path, 1);
            let fit = fit.preconditioning(Preconditioning::Data);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "eigenpro 2" => {
            let fit = EigenPro::new(kernel)
                .sample(100)
                .directions(20)
                .epochs(30)
                .tolerance(0.0)
                .checkpoint(path, 1);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "askotch" => {
            let fit = Askotch::new(kernel).ridge(1e-2).block(30).tolerance(0.0).max_passes(12);
            fit.checkpoint(path, 1).fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "conjugate gradients" => {
            let operator = Shifted::new(LazyGram::new(&kernel, &xs, 1 << 20).unwrap(), 1e-2);
            let solver = ConjugateGradients::new().tolerance(0.0).max_iterations(60).checkpoint(path, 1);
            solver.solve(&operator, &y, &Identity, None, progress).unwrap().0
        }
        _ => {
            let centers = xs.subset(&uniform_landmarks(300, 40, 2)).unwrap();
            let fit = EigenPro::new(kernel).sample(100).directions(20).epochs(4).batch(20).delay(2);
            let fit = fit.tolerance(0.0).checkpoint(path, 1);
            fit.fit_centers(&mut InMemory::new(xs, &y).unwrap(), &centers, progress)
                .unwrap()
                .0
                .coefficients()
                .clone()
        }
    }
}

/// Not a test by itself: does nothing unless the crash test starts it.
#[test]
fn child_of_the_crash_test() {
    if let (Ok(solver), Ok(path)) = (std::env::var("CRASH_SOLVER"), std::env::var("CRASH_PATH")) {
        resumable(&solver, path.as_ref(), &mut Slow);
    }
}

/// A process that is killed (SIGKILL) in the middle of a fit leaves a checkpoint from which another goes on to the same bits.
#[test]
fn killed_and_resumed_fits_give_the_same_bits() {
    for solver in ["falkon", "falkon formed", "eigenpro 2", "eigenpro 4", "askotch", "conjugate gradients"] {
        let folder = std::env::temp_dir().join(format!(
            "kernels-crash-{}-{}",
            std::process::id(),
            solver.replace(' ', "-")
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let (through, broken) = (folder.join("through"), folder.join("broken"));
        let expected = resumable(solver, &through, &mut ());
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_of_the_crash_test", "--nocapture"])
            .env("CRASH_SOLVER", solver)
            .env("CRASH_PATH", &broken)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        while !broken.exists() && start.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(was_running && broken.exists(), "{solver}: nothing was interrupted");
        assert_ne!(std::fs::read(&broken).unwrap(), std::fs::read(&through).unwrap(), "{solver}: was over");
        assert!(resumable(solver, &broken, &mut ()) == expected, "{solver}: other bits after a resume");
        // Another problem, and a damaged file, are refused.
        let (xs, y) = smooth(300);
        let other = Falkon::new(Rbf::new(0.9).unwrap(), 60).checkpoint(&broken, 1);
        assert!(matches!(other.fit(&xs, &y, &mut ()), Err(Error::Checkpoint { .. })));
        let mut bytes = std::fs::read(&through).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&through, bytes).unwrap();
        assert!(matches!(
            Falkon::new(Rbf::new(0.8).unwrap(), 60).checkpoint(&through, 1).fit(&xs, &y, &mut ()),
            Err(Error::Checkpoint { .. })
        ));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn appended_and_removed_rows() {
    let file = read(include_str!("reference/incremental.json"));
    let (x, y) = (matrix(&file["X"]), vector(&file["y"]));
    let kernel = Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap();
    let r = &file["incremental"];
    let part = |range: std::ops::Range<usize>| {
        (Rows::new(&x.rows_range(range.clone()).into_owned()), y[range].to_vec())
    };
    let start = r["start_n"].as_u64().unwrap() as usize;
    let mut krr = IncrementalKrr::new(kernel.clone(), r["alpha"].as_f64().unwrap(), 3, 1).unwrap();
    let (xs, ys) = part(0..start);
    krr.append(&xs, &ys).unwrap();
    for (k, expected) in r["dual_at_each_append"].as_array().unwrap().iter().enumerate() {
        if k > 0 {
            let (xs, ys) = part(start + k - 1..start + k);
            krr.append(&xs, &ys).unwrap();
        }
        close("appended", krr.model().unwrap().coefficients().as_slice(), &vector(expected), 1e-10);
    }
    krr.remove(3).unwrap();
    let expected = vector(&r["dual_after_removing_index_3"]);
    close("removed", krr.model().unwrap().coefficients().as_slice(), &expected, 1e-10);
    assert!(krr.remove(23).is_err());

    // Many changes later it still is the fit of the rows at hand.
    let (xs, ys) = smooth(130);
    let mut krr = IncrementalKrr::new(kernel.clone(), 0.1, 2, 2).unwrap();
    let mut alive: Vec<usize> = Vec::new();
    for i in 0..130 {
        krr.append(&xs.subset(&[i]).unwrap(), &ys.select_rows(&[i])).unwrap();
        alive.push(i);
        if i % 3 == 2 {
            let gone = (i * 7) % alive.len();
            krr.remove(gone).unwrap();
            alive.remove(gone);
        }
    }
    let batch = Krr::new(kernel.clone())
        .ridge(0.1)
        .fit(&xs.subset(&alive).unwrap(), &ys.select_rows(&alive))
        .unwrap();
    close("batch", krr.model().unwrap().coefficients().as_slice(), batch.coefficients().as_slice(), 1e-10);

    // A failed append leaves all as it was; a duplicate without ridge fails.
    let mut plain = IncrementalKrr::new(kernel.clone(), 0.0, 1, 1).unwrap();
    let one = Rows::from_row_major(vec![1.0], 1, 1).unwrap();
    plain.append(&one, &vec![2.0]).unwrap();
    assert!(plain.append(&one, &vec![2.0]).is_err() && plain.len() == 1);

    // Centres that take the rows in pieces give the Nyström fit of all of them.
    let chosen = uniform_landmarks(130, 20, 5);
    let mut fit = PartialFit::new(kernel.clone(), xs.subset(&chosen).unwrap(), 2).unwrap();
    for part in (0..130).collect::<Vec<_>>().chunks(31) {
        fit.update(&xs.subset(part).unwrap(), &ys.select_rows(part), None).unwrap();
    }
    let falkon = Falkon::new(kernel, 20).centers(chosen).lambda(1e-3).tolerance(1e-13).max_iterations(100);
    let (model, _) = falkon.fit(&xs, &ys, &mut ()).unwrap();
    let fitted = fit.model(0.13).unwrap().predict(&xs).unwrap();
    assert!((fitted - model.predict(&xs).unwrap()).amax() < 1e-7);
}

#[test]
fn plans_and_automatic_choice() {
    for method in [
        Method::Exact,
        Method::ConjugateGradients,
        Method::Askotch,
        Method::Svm,
        Method::Falkon { centers: 3000 },
        Method::EigenPro { centers: 3000 },
    ] {
        let (small, large) = (plan(2_000, 10, 1, method), plan(200_000, 10, 1, method));
        assert!(small.bytes < large.bytes && small.flops < large.flops && large.flops.is_finite());
        assert!(plan(usize::MAX, 10, 1, method).flops > 0.0 && plan(0, 0, 0, method).bytes >= 0.0);
    }
    let (xs, y) = smooth(400);
    let truth = Krr::new(Rbf::new(0.8).unwrap()).ridge(0.1).fit(&xs, &y).unwrap().predict(&xs).unwrap();
    // The same data under tighter and tighter budgets.
    let auto = AutoRegression::new(Rbf::new(0.8).unwrap()).ridge(0.1);
    let mut methods = Vec::new();
    for (memory, seconds, bound) in
        [(1e9, 600.0, 1e-10), (1.2e6, 600.0, 1e-6), (2e5, 600.0, 1e-2), (1e9, 1e-3, 1e-2)]
    {
        let (model, report, plan) =
            auto.clone().memory(memory).seconds(seconds).fit(&xs, &y, 2, &mut ()).unwrap();
        let error = (model.predict(&xs).unwrap() - &truth).norm() / truth.norm();
        println!("{} -> error {error:.1e}, {} iterations", plan.reason, report.iterations);
        assert!(error < bound, "{error:e}: {}", plan.reason);
        assert!(plan.reason.contains("bytes"));
        methods.push(plan.method);
    }
    assert_eq!(methods[..3], [Method::Exact, Method::ConjugateGradients, Method::Askotch]);
    assert!(matches!(methods[3], Method::Falkon { .. }));
    assert!(auto.memory(1e3).plan(200_000, 10, 1).is_err());
}

/// The same budget for data that are read in every pass: only methods that read them so.
#[test]
fn plans_of_streamed_data_and_given_methods() {
    let auto = AutoRegression::new(Rbf::new(0.8).unwrap()).ridge(1e-3);
    let plan = auto.clone().streamed(true).plan(300, 2, 1).unwrap();
    assert!(matches!(plan.method, Method::Falkon { centers: 300 }), "{}", plan.reason);
    assert_eq!(plan.method.to_string(), "Falkon on 300 centres");
    assert!(auto.clone().memory(1e9).cost(1_000, 2, 1, plan.method).bytes <= plan.bytes + 64e6);
    let (xs, y) = smooth(300);
    let truth = Krr::new(Rbf::new(0.8).unwrap()).ridge(1e-3).fit(&xs, &y).unwrap().predict(&xs).unwrap();
    for (method, bound) in [
        (Method::Exact, 1e-12),
        (Method::ConjugateGradients, 1e-5),
        (Method::Askotch, 1e-2),
        (Method::Falkon { centers: 150 }, 1e-2),
        (Method::EigenPro { centers: 150 }, 0.2),
    ] {
        let (model, _) = auto.fit_by(method, &xs, &y, &mut ()).unwrap();
        let error = (model.predict(&xs).unwrap() - &truth).norm() / truth.norm();
        assert!(error < bound, "{method}: {error:e}");
        let raised = model.clone().raised(&vec![2.0; y.ncols()]).unwrap();
        let apart = raised.predict(&xs).unwrap() - model.predict(&xs).unwrap();
        assert!(apart.add_scalar(-2.0).amax() < 1e-12);
        assert!(model.raised(&[f64::NAN]).is_err());
    }
    assert!(matches!(auto.fit_by(Method::Svm, &xs, &y, &mut ()), Err(Error::Unsupported { .. })));
}

/// With next to no ridge the constants of the acceleration are too bold: the fit notices, and never ends where it began or worse.
#[test]
fn acceleration_that_diverges_is_given_up() {
    let (xs, y) = smooth(500);
    for alpha in [1e-3, 1e-6, 1e-9] {
        let fit = Askotch::new(Rbf::new(1.5).unwrap()).ridge(alpha).max_passes(60);
        let (model, report) = fit.fit(&xs, &y, &mut ()).unwrap();
        assert!(report.residual < 0.5, "{alpha}: {report:?}");
        assert!((model.predict(&xs).unwrap() - &y).norm() < 0.5 * y.norm());
    }
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
