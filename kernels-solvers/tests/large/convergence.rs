//! Exact solvers: to the solution of a factorization, with any kernel and conditioning.

use kernels_core::{AnyKernel, Dense, LazyGram, PivotedCholesky, Points, Rbf, Rows, Shifted, gram};
use kernels_solvers::{
    Askotch, BlockJacobi, ConjugateGradients, EigenPro, Ended, Falkon, Identity, InMemory, Krr,
    LowRankPreconditioner, Minres, Preconditioner, Preconditioning, uniform_landmarks,
};
use nalgebra::DMatrix;

use super::*;

#[test]
fn conjugate_gradients_of_the_reference() {
    let file = read(include_str!("../reference/iterative_solvers.json"));
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
    // Without preconditioner as many iterations as the reference's, and the condition numbers behind both.
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let (_, plain) = solver.solve(&Shifted::new(k, alpha), &y, &Identity, None, &mut ()).unwrap();
    let expected = r["unpreconditioned_iterations"].as_u64().unwrap() as usize;
    assert!(plain.iterations.abs_diff(expected) <= 2, "{} for {expected}", plain.iterations);
    let mut a = gram(&kernel, &xs).unwrap();
    (0..xs.len()).for_each(|i| a[(i, i)] += alpha);
    let condition = |values: Vec<f64>| {
        let (low, high) = values.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
        high / low
    };
    let plain = condition(a.clone().symmetric_eigenvalues().as_slice().to_vec());
    // P⁻¹A has the eigenvalues of LᵀP⁻¹L, A = LLᵀ, which is symmetric.
    let l = a.cholesky().unwrap().l();
    let inner = l.tr_mul(&preconditioner.solve(&l).unwrap());
    let better = ((&inner + inner.transpose()) * 0.5).symmetric_eigenvalues().as_slice().to_vec();
    close("condition", &[plain], &[r["condition_number"].as_f64().unwrap()], 1e-9);
    close("preconditioned", &[condition(better)], &[r["precond_condition_number"].as_f64().unwrap()], 1e-6);
    // A warm start at the solution has nothing to do.
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let warm = solver.clone().tolerance(1e-9);
    let (_, again) = warm.solve(&Shifted::new(k, alpha), &y, &preconditioner, Some(&c), &mut ()).unwrap();
    assert_eq!(again.iterations, 0);
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
    // A column is what it is alone, whatever comes with it; a warm start at the solution has nothing to do.
    let b = &a * DMatrix::from_fn(n, 3, |i, j| (i as f64 + 0.5 * j as f64).sin());
    let solver = Minres::new().tolerance(1e-10);
    let (all, report) = solver.solve(&operator, &b, &mut ()).unwrap();
    assert_eq!(report.ended, Ended::Converged);
    for k in 0..3 {
        let (one, _) = solver.solve(&operator, &b.columns(k, 1).into_owned(), &mut ()).unwrap();
        assert!((one - all.columns(k, 1)).amax() < 1e-12);
    }
    let loose = solver.clone().tolerance(1e-8);
    let (_, again) = loose.solve_with(&operator, &b, &Identity, Some(&all), &mut ()).unwrap();
    assert_eq!((again.iterations, again.ended), (0, Ended::Converged));
    assert!(solver.solve_with(&operator, &b, &Identity, Some(&DMatrix::zeros(n, 1)), &mut ()).is_err());
    let (_, few) = solver.max_iterations(2).solve(&operator, &b, &mut ()).unwrap();
    assert_eq!((few.iterations, few.ended), (2, Ended::Iterations));
    assert!(few.residual > 1e-3);
}

/// A kernel matrix with ±0.1 on its diagonal in turn is indefinite; a preconditioner for the kernel matrix still helps.
#[test]
fn preconditioned_minres() {
    let (xs, y) = smooth(200);
    let kernel = Rbf::new(0.8).unwrap();
    let k = LazyGram::new(&kernel, &xs, 1 << 20).unwrap();
    let low = PivotedCholesky::new(50).run(&k, &mut ()).unwrap();
    let p = LowRankPreconditioner::new(&low, 0.1).unwrap();
    let mut a = gram(&kernel, &xs).unwrap();
    (0..200).for_each(|i| a[(i, i)] += if i % 2 == 0 { 0.1 } else { -0.1 });
    assert!(a.clone().symmetric_eigenvalues().min() < -0.01);
    let operator = Dense::new(a.clone()).unwrap();
    let solver = Minres::new().tolerance(1e-9).max_iterations(2000);
    let (x, report) = solver.solve_with(&operator, &y, &p, None, &mut ()).unwrap();
    // The tolerance is in the norm of P⁻¹, whose condition number is about 1e3.
    let gap = &a * &x - &y;
    let left = (0..2).map(|k| gap.column(k).norm() / y.column(k).norm()).fold(0.0, f64::max);
    assert!(left < 1e-6, "{left:e} {report:?}");
    // A residual of 1e-8 is what is left of numbers of size 1: eight digits of it are rounding.
    assert!((left - report.residual).abs() < 1e-12, "{left:e} {:e}", report.residual);
    let (_, plain) = solver.solve(&operator, &y, &mut ()).unwrap();
    println!("minres: {} iterations, {} with a preconditioner", plain.iterations, report.iterations);
    assert!(2 * report.iterations < plain.iterations, "{} {}", report.iterations, plain.iterations);
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
