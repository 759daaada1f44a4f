//! Sparse, stochastic, multi-output and heteroscedastic processes.

use kernels_core::{Dense, Describe, LazyGram, Matern, Rbf, Rows, Shifted, gram};
use kernels_solvers::*;
use nalgebra::DMatrix;

use super::*;

fn wave(n: usize) -> (Rows<f64>, Vec<f64>) {
    let x: Vec<f64> = (0..n).map(|i| 6.0 * i as f64 / n as f64).collect();
    let y = x.iter().enumerate().map(|(i, x)| x.sin() + 0.1 * ((i * 37 % 11) as f64 - 5.0) / 5.0).collect();
    (Rows::from_row_major(x, n, 1).unwrap(), y)
}

/// With every sample inducing, the bound is the marginal likelihood; with fewer it is below and grows.
#[test]
fn sparse_bound_is_tight() {
    let (x, y) = wave(40);
    let kernel = Matern::new(1.5, 1.0).unwrap();
    let exact = GaussianProcess::new(kernel.clone()).noise(0.05).objective(None).normalize(false).fit(&x, &y).unwrap();
    let sparse = |m: usize| {
        let s = SparseGaussianProcess::new(kernel.clone(), m).noise(0.05).jitter(0.0).optimise(false);
        s.fit(&x, &y).unwrap()
    };
    let bounds: Vec<f64> = [2, 5, 10, 20, 40].iter().map(|&m| sparse(m).evidence_bound()).collect();
    assert!(bounds.windows(2).all(|w| w[1] > w[0]), "{bounds:?}");
    close("bound", &[bounds[4]], &[exact.log_marginal_likelihood()], 1e-9);
    let at = Rows::from_row_major(vec![0.33, 4.44, 9.0], 3, 1).unwrap();
    let (a, b) = (sparse(40).predict(&at).unwrap(), exact.predict(&at).unwrap());
    close("mean", a.mean.as_slice(), b.mean.as_slice(), 1e-8);
    close("variance", a.variance.as_slice(), b.variance.as_slice(), 1e-8);
    // Fitted parameters beat the given ones and are stationary: no neighbour is better.
    let fitted = SparseGaussianProcess::new(kernel.clone(), 12).noise(0.05).fit(&x, &y).unwrap();
    assert!(fitted.evidence_bound() > sparse(12).evidence_bound() && fitted.noise() < 0.05);
    for factor in [0.98, 1.02] {
        let mut moved = fitted.kernel().clone();
        let values: Vec<f64> = moved.params().iter().map(|p| if p.fixed { p.value } else { p.value * factor }).collect();
        moved.set_params(&values).unwrap();
        let there = SparseGaussianProcess::new(moved, 12).noise(fitted.noise()).optimise(false).fit(&x, &y).unwrap();
        // The choice of inducing points moves with the kernel: allow what that changes.
        assert!(there.evidence_bound() < fitted.evidence_bound() + 1e-2);
    }
    assert!(SparseGaussianProcess::new(kernel.clone(), 0).fit(&x, &y).is_err());
    assert!(SparseGaussianProcess::new(kernel, 3).noise(0.0).fit(&x, &y).is_err());
}

#[test]
fn stochastic_determinants_are_unbiased() {
    let (x, y) = wave(150);
    let kernel = Matern::new(1.5, 1.0).unwrap();
    let exact = {
        let mut k = gram(&kernel, &x).unwrap();
        (0..150).for_each(|i| k[(i, i)] += 0.1);
        kernels_core::dense::Cholesky::new(k).unwrap().ln_determinant()
    };
    let lazy = LazyGram::new(&kernel, &x, 1 << 22).unwrap();
    let found = log_determinant(&Shifted::new(&lazy, 0.1), 60, 60, 3).unwrap();
    // 5 standard errors; the quadrature of 60 nodes is exact beside that.
    assert!((found.value - exact).abs() < 5.0 * found.standard_error, "{found:?} {exact}");
    assert!(found.standard_error < 0.02 * exact.abs());
    assert_eq!(found, log_determinant(&Shifted::new(&lazy, 0.1), 60, 60, 3).unwrap());
    let gp = GaussianProcess::new(kernel.clone()).noise(0.1).normalize(false).objective(None);
    let exact = gp.fit(&x, &y).unwrap().log_marginal_likelihood();
    let y = DMatrix::from_column_slice(150, 1, &y);
    let found = stochastic_log_marginal_likelihood(&lazy, &y, 0.1, 60, 60, 3).unwrap();
    assert!((found.value - exact).abs() < 5.0 * found.standard_error, "{found:?} {exact}");
    assert!(log_determinant(&Dense::new(DMatrix::from_diagonal_element(3, 3, -1.0)).unwrap(), 2, 3, 0).is_err());
    assert!(log_determinant(&lazy, 0, 5, 0).is_err());
}

#[test]
fn coregionalised_kernel_keeps_the_contract() {
    let points = Rows::from_row_major((0..12).map(|i| f64::from(i * 7 % 12) / 3.0).collect(), 12, 1).unwrap();
    let xs = Outputs::new(points, (0..12).map(|i| i % 3).collect::<Vec<_>>()).unwrap();
    let kernel =
        Coregionalized::new(Rbf::new(0.8).unwrap(), DMatrix::from_fn(3, 2, |i, j| 0.5 + i as f64 - j as f64), vec![
            0.1, 0.2, 0.3,
        ])
        .unwrap();
    let k = gram(&kernel, &xs).unwrap();
    use kernels_core::{Kernel, Points};
    for i in 0..12 {
        for j in 0..12 {
            assert!((k[(i, j)] - kernel.eval(xs.point(i), xs.point(j))).abs() < 1e-14);
        }
    }
    assert!(k.clone().symmetric_eigen().eigenvalues.min() > -1e-12);
    // Gradient against central differences.
    let weights = DMatrix::from_fn(12, 12, |i, j| ((i * j) as f64).cos());
    let got = kernels_core::gram_gradient(&kernel, &xs, weights.as_view()).unwrap();
    let values: Vec<f64> = kernel.params().iter().map(|p| p.value).collect();
    for p in 0..values.len() {
        let at = |step: f64| {
            let mut moved = kernel.clone();
            let mut values = values.clone();
            values[p] += step;
            moved.set_params(&values).unwrap();
            gram(&moved, &xs).unwrap().dot(&weights)
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((got[p] - difference).abs() < 1e-6 * (1.0 + difference.abs()), "{p}: {} {difference}", got[p]);
    }
    let wrong = Outputs::new(Rows::from_row_major(vec![1.0], 1, 1).unwrap(), vec![3]).unwrap();
    assert!(gram(&kernel, &wrong).is_err());
}

#[test]
fn data_emphasised_bound() {
    let file = read(include_str!("../reference/deelbo.json"));
    let (phi, y) = (matrix(&file["Phi"]), vector(&file["y"]));
    let (prior, noise) = (number(&file["prior_var"]), number(&file["noise_var"]));
    for (key, r) in file["values"].as_object().unwrap() {
        let kappa: f64 = if key.ends_with("1.000000") { 1.0 } else { 20.0 / 12.0 };
        let q = WeightPosterior::new(&phi, &y, prior, noise, kappa).unwrap();
        close("mean", q.mean.as_slice(), &vector(&r["posterior_mean"]), 1e-10);
        close(
            key,
            &[q.objective, q.expected_log_likelihood, q.divergence, q.prior_update],
            &[number(&r["elbo"]), number(&r["expected_loglik"]), number(&r["kl"]), number(&r["prior_var_update"])],
            1e-10,
        );
    }
    // As an objective of a process it fits, and its optimum is no worse than neighbours.
    let (x, y) = wave(30);
    let fit = |o: Objective| GaussianProcess::new(Rbf::new(1.0).unwrap()).objective(o).fit(&x, &y).unwrap();
    let plain = fit(Objective::MarginalLikelihood);
    let same = fit(Objective::DataEmphasised { kappa: 1.0 });
    assert!((plain.report().unwrap().objective - same.report().unwrap().objective).abs() < 1e-6);
    assert!(fit(Objective::DataEmphasised { kappa: 5.0 }).report().unwrap().gradient_norm < 1e-2);
}

#[test]
fn search_finds_feasible_optima_and_declares_infeasibility() {
    let n = 81;
    let candidates = Rows::from_row_major((0..n).map(|i| f64::from(i) / 40.0 - 1.0).collect(), 81, 1).unwrap();
    let search = ConstrainedSearch::new(Rbf::new(0.4).unwrap()).norm_bound(2.0).noise(1e-3);
    let x = |i: usize| i as f64 / 40.0 - 1.0;
    let found = search.run(&candidates, 2, 40, |i| vec![(3.0 * x(i)).sin(), x(i) - 0.6, -0.2 - x(i)]).unwrap();
    let truth = (0..81).filter(|&i| x(i) <= 0.6 && x(i) >= -0.2).map(|i| (3.0 * x(i)).sin()).fold(f64::MAX, f64::min);
    assert!(found.best.unwrap().1 < truth + 0.02, "{found:?} {truth}");
    let none = search.run(&candidates, 1, 200, |_| vec![0.0, 1.0]).unwrap();
    assert!(none.infeasible && none.best.is_none() && none.evaluated.len() < 60, "{}", none.evaluated.len());
    assert!(search.run(&candidates, 1, 3, |_| vec![0.0]).is_err());
    assert!(search.clone().noise(0.0).run(&candidates, 1, 3, |_| vec![0.0, 0.0]).is_err());
}
