//! The closed-form methods against direct computations.

use kernels_core::{Points, Rows};
use kernels_solvers::{Criterion, Krr, closed_form::*};
use nalgebra::DMatrix;
use proptest::prelude::*;

use super::*;

#[test]
fn self_distillation() {
    let file = read(include_str!("../reference/self_distillation.json"));
    let (x, y, ridge) = (rows(&file["x"]), vector(&file["y"]), number(&file["ridge"]));
    let d = SelfDistillation::new(rbf(80.0), &x, &y, ridge).unwrap();
    for (a, r) in file["alphas"].as_object().unwrap() {
        let a: f64 = a.parse().unwrap();
        for (step, expected) in r["fit_steps_1_to_6"].as_array().unwrap().iter().enumerate() {
            close("fit", d.fitted(step + 1, a).unwrap().as_slice(), &vector(expected), 1e-11);
        }
        close("limit", d.limit(a).unwrap().as_slice(), &vector(&r["limit"]), 1e-11);
    }
    let o = &file["optimal_alpha_step2"];
    let (x_val, y_val) = (rows(&file["x_val"]), vector(&file["y_val"]));
    close("p", d.model(1, 1.0).unwrap().predict(&x_val).unwrap().as_slice(), &vector(&o["p"]), 1e-10);
    close("q", d.model(2, 0.0).unwrap().predict(&x_val).unwrap().as_slice(), &vector(&o["q"]), 1e-10);
    let share = d.best_share(2, 0.5, &x_val, &y_val).unwrap();
    close("share", &[share], &[number(&o["alpha_star_unclipped"])], 1e-9);
    assert!(d.fitted(0, 0.5).is_err() && d.fitted(1, 1.5).is_err());
    assert!(SelfDistillation::new(rbf(1.0), &x, &y, 0.0).is_err());
}

#[test]
fn proximal_ridge_regression() {
    let file = read(include_str!("../reference/proker.json"));
    let unit = |v: &Value| {
        let mut m = matrix(v);
        m.row_iter_mut().for_each(|mut row| row /= row.norm());
        m
    };
    let (support, weights, test) =
        (unit(&file["support"]), unit(&file["class_weights"]), unit(&file["test"]));
    let labels = labels(&file["labels"]);
    let y = DMatrix::from_fn(12, 3, |i, c| f64::from(u8::from(labels[i] == c)));
    let kernel = Spherical::new(number(&file["beta"])).unwrap();
    let (base, at_test) = (&support * weights.transpose(), &test * weights.transpose());
    let (xs, at) = (Rows::new(&support), Rows::new(&test));
    let lambda = number(&file["lam"]);
    let model = ProximalKrr::new(kernel.clone()).ridge(lambda).fit(&xs, &y, &base).unwrap();
    close(
        "proximal",
        model.predict(&at, &at_test).unwrap().as_slice(),
        matrix(&file["proximal_krr"]).as_slice(),
        1e-10,
    );
    // Leave-one-out residuals are those of refits.
    let loo = ProximalKrr::new(kernel.clone()).ridge(lambda).leave_one_out(&xs, &y, &base).unwrap();
    let rest: Vec<usize> = (1..12).collect();
    let without = ProximalKrr::new(kernel.clone()).ridge(lambda);
    let without =
        without.fit(&xs.subset(&rest).unwrap(), &y.select_rows(&rest), &base.select_rows(&rest)).unwrap();
    let first = without.predict(&xs.subset(&[0]).unwrap(), &base.rows(0, 1).into_owned()).unwrap();
    close("loo", (y.rows(0, 1) - first).as_slice(), loo.residuals.rows(0, 1).into_owned().as_slice(), 1e-9);
    assert!(model.predict(&at, &base).is_err());
    // The other forms that are about.
    let published = ProximalKrr::new(kernel.clone()).ridge(lambda).damped(true).fit(&xs, &y, &base).unwrap();
    let got = published.predict(&at, &at_test).unwrap();
    close("published", got.as_slice(), matrix(&file["public_code_variant"]).as_slice(), 1e-10);
    let tip = &file["tip_adapter"];
    let local = ProximalKrr::new(kernel.clone()).fit_local(&xs, &y, number(&tip["alpha"])).unwrap();
    let got = local.predict(&at, &at_test).unwrap();
    close("local", got.as_slice(), matrix(&tip["logits"]).as_slice(), 1e-12);
    assert!(ProximalKrr::new(kernel.clone()).fit_local(&xs, &y, f64::NAN).is_err());
    // The choice is the pair of least leave-one-out error.
    let (betas, ridges) = ([0.5, 5.5, 50.0].map(|b| Spherical::new(b).unwrap()), [0.01, 0.1, 0.7, 5.0]);
    let (_, scores) =
        ProximalKrr::select(betas.clone(), &ridges, Criterion::LeaveOneOut, &xs, &y, &base).unwrap();
    for beta in betas {
        for ridge in ridges {
            let fit = ProximalKrr::new(beta.clone()).ridge(ridge);
            let error = fit.leave_one_out(&xs, &y, &base).unwrap().mean_squared_error();
            assert!(error >= scores.loo_mse * (1.0 - 1e-9), "{ridge}");
        }
    }
    let none: [Spherical; 0] = [];
    assert!(ProximalKrr::select(none, &ridges, Criterion::Gcv, &xs, &y, &base).is_err());
}

#[test]
fn barlow_twins() {
    let file = read(include_str!("../reference/kernel_barlow_twins.json"));
    let (a, b) = (matrix(&file["view1"]), matrix(&file["view2"]));
    let stacked = DMatrix::from_fn(18, 4, |i, j| if i < 9 { a[(i, j)] } else { b[(i - 9, j)] });
    let model = BarlowTwins::new(rbf(0.3), 3).fit(&Rows::new(&stacked)).unwrap();
    close("gamma", model.eigenvalues().as_slice(), &vector(&file["gamma_eigenvalues"]), 1e-11);
    let f = model.transform(&rows(&file["X_test"])).unwrap();
    let inner = &f * f.transpose();
    close("embedding", inner.as_slice(), matrix(&file["embedding_gram_test"]).as_slice(), 1e-9);
    assert!((model.correlation().unwrap() - DMatrix::identity(3, 3)).amax() < 1e-10);
    let s = &file["sigmoidal_dynamics"];
    for (t, expected) in vector(&s["times"]).iter().zip(s["singular_values"].as_array().unwrap()) {
        let got: Vec<f64> =
            (0..3).map(|j| learning_curve(model.eigenvalues()[j], number(&s["s0"]), *t).unwrap()).collect();
        close("curve", &got, &vector(expected), 1e-9);
    }
    let l = &file["linear_gd"];
    // Γ of the file: (1/2n) Σ (x x'ᵀ + x' xᵀ).
    let cross = a.tr_mul(&b);
    let gamma = (&cross + cross.transpose()) / 18.0;
    let (losses, w) =
        descend_linear(&matrix(&l["W0"]), &gamma, number(&l["lr"]), l["steps"].as_u64().unwrap() as usize)
            .unwrap();
    let every: Vec<f64> = losses.iter().step_by(100).copied().collect();
    close("losses", &every, &vector(&l["loss_every_100"]), 1e-10);
    close("end", w.as_slice(), matrix(&l["W_end"]).as_slice(), 1e-9);
    assert!(BarlowTwins::new(rbf(0.3), 19).fit(&Rows::new(&stacked)).is_err());
    assert!(BarlowTwins::new(rbf(0.3), 1).fit(&Rows::new(&stacked.rows(0, 5).into_owned())).is_err());
}

#[test]
fn inducing_points() {
    let file = read(include_str!("../reference/dataset_distillation.json"));
    let (xs, xt) = (rows(&file["Xs"]), rows(&file["Xt"]));
    let (ys, yt) = (matrix(&file["Ys"]), matrix(&file["Yt"]));
    let method = InducingPoints::new(rbf(0.4)).ridge(0.01);
    let got = method.loss(&xs, &ys, &xt, &yt).unwrap();
    close("loss", &[got.value], &[number(&file["loss"])], 1e-11);
    close("by targets", got.by_targets.as_slice(), matrix(&file["grad_Ys"]).as_slice(), 1e-10);
    close("by points", got.by_points.as_slice(), matrix(&file["grad_Xs"]).as_slice(), 1e-9);
    let best = method.optimal_targets(&xs, &xt, &yt).unwrap();
    close("targets", best.as_slice(), matrix(&file["optimal_Ys"]).as_slice(), 1e-8);
    let least = method.loss(&xs, &best, &xt, &yt).unwrap();
    close("least", &[least.value], &[number(&file["loss_at_optimal_Ys"])], 1e-10);
    let (x, y) = method.distil(&xs, &ys, &xt, &yt, 40).unwrap();
    assert!(method.loss(&x, &y, &xt, &yt).unwrap().value < least.value);
    assert!(method.loss(&xs, &ys.rows(0, 3).into_owned(), &xt, &yt).is_err());
}

#[test]
fn teaching() {
    let file = read(include_str!("../reference/nonparametric_teaching.json"));
    let pool = rows(&file["pool"]);
    let target = DMatrix::from_column_slice(25, 1, &vector(&file["target"]));
    let method = Teaching::new(rbf(2.0)).step(number(&file["eta"]));
    let r = &file["greedy_single"];
    let got = method.greedy(&pool, &target, 15).unwrap();
    assert_eq!(got.picks.concat(), labels(&r["picks"]));
    close("mse", &got.errors, &vector(&r["mse"]), 1e-11);
    close("f", got.values.as_slice(), &vector(&r["f"]), 1e-11);
    let three = method.clone().batch(3).greedy(&pool, &target, 15).unwrap();
    close("f of batches", three.values.as_slice(), &vector(&file["greedy_batch3"]["f"]), 1e-11);
    // On average over teachers that show anything, greedy is better; coefficients are those of the values.
    let random: f64 =
        (0..20).map(|s| method.random(&pool, &target, 15, s).unwrap().errors[14]).sum::<f64>() / 20.0;
    assert!(got.errors[14] < random, "{} {random}", got.errors[14]);
    let k = kernels_core::gram(&rbf(2.0), &pool).unwrap();
    close("coefficients", (k * &got.coefficients).as_slice(), got.values.as_slice(), 1e-12);
    // Two learners: the examples are shared.
    let both = DMatrix::from_fn(25, 2, |i, c| if c == 0 { target[i] } else { -target[i] });
    let lesson = method.greedy(&pool, &both, 15).unwrap();
    close("learners", lesson.values.column(0).as_slice(), got.values.as_slice(), 1e-12);
    // Learners that talk: the targets are combinations of each other, so what one has learnt helps the other.
    let line = Rows::from_row_major((0..60).map(|i| f64::from(i) / 10.0).collect(), 60, 1).unwrap();
    let both = DMatrix::from_fn(60, 2, |i, j| (i as f64 / 10.0).sin() + j as f64 * (i as f64 / 5.0).cos());
    let alone = Teaching::new(rbf(1.0)).step(0.9);
    let (silent, talking) = (
        alone.greedy(&line, &both, 30).unwrap(),
        alone.clone().communication(true).greedy(&line, &both, 30).unwrap(),
    );
    assert!(talking.errors[29] <= silent.errors[29], "{:?} {:?}", talking.errors[29], silent.errors[29]);
    let values = kernels_core::gram(&rbf(1.0), &line).unwrap() * &talking.coefficients;
    assert!((values - &talking.values).amax() < 1e-10);
    // A single learner has nobody to talk to.
    let one = both.columns(0, 1).into_owned();
    assert_eq!(
        alone.clone().communication(true).greedy(&line, &one, 9).unwrap(),
        alone.greedy(&line, &one, 9).unwrap()
    );
    assert!(Teaching::new(rbf(1.0)).batch(0).greedy(&pool, &target, 1).is_err());
}

#[test]
fn continual() {
    let file = read(include_str!("../reference/kernel_continual.json"));
    let (coreset, query) = (matrix(&file["coreset"]), matrix(&file["query"]));
    let (omega, bias) = (matrix(&file["omega"]), vector(&file["bias"]));
    let codes = matrix(&file["labels_onehot"]);
    let scale = (number(&file["gamma"]), number(&file["beta"]));
    let task = KernelTask::new(&coreset, &codes, (&omega, &bias), number(&file["lmd"]), scale).unwrap();
    close("logits", task.logits(&query).unwrap().as_slice(), matrix(&file["logits"]).as_slice(), 1e-10);
    close(
        "softmax",
        task.predict_probability(&query).unwrap().as_slice(),
        matrix(&file["softmax"]).as_slice(),
        1e-10,
    );
    let kl = &file["kl"];
    let get = |key: &str| vector(&kl[key]);
    let value = gaussian_divergence(&get("mu_q"), &get("logvar_q"), &get("mu_p"), &get("logvar_p")).unwrap();
    close("kl", &[value], &[number(&kl["value"])], 1e-12);
    assert!(gaussian_divergence(&[1.0], &[1.0, 2.0], &[1.0], &[1.0]).is_err());
    // Same seed, same task; labels must exist.
    let draw =
        |seed| KernelTask::draw(&coreset, &[0, 1, 2, 0, 1, 2, 0], 3, (&[0.0; 4], &[0.0; 4]), 50, 0.1, seed);
    assert_eq!(draw(3).unwrap(), draw(3).unwrap());
    assert_ne!(draw(3).unwrap(), draw(4).unwrap());
    assert!(KernelTask::draw(&coreset, &[3; 7], 3, (&[0.0; 4], &[0.0; 4]), 50, 0.1, 0).is_err());
}

#[test]
fn affine_hulls() {
    let file = read(include_str!("../reference/kahm.json"));
    let data = matrix(&file["data"]);
    let hull = AffineHull::new(&data, 3).unwrap();
    close("tau", &[hull.tau()], &[number(&file["tau"])], 1e-12);
    close("lambda", &[hull.lambda()], &[number(&file["lambda_fixed_point"])], 1e-9);
    let points = matrix(&file["new_points"]);
    close("image", hull.images(&points).unwrap().as_slice(), matrix(&file["image"]).as_slice(), 1e-8);
    close("distance", hull.distances(&points).unwrap().as_slice(), &vector(&file["distance"]), 1e-8);
    assert!((0.0..1.0).contains(&hull.modelling_error().unwrap()));
    // Far away: the mean, not NaN.
    let far = hull.images(&DMatrix::from_element(1, 6, 1e9)).unwrap();
    close("far", far.as_slice(), data.row_mean().as_slice(), 1e-12);
    assert!(AffineHull::new(&DMatrix::from_element(5, 2, 1.0), 1).is_err());
    assert!(AffineHull::new(&data.rows(0, 1).into_owned(), 1).is_err());
    let two =
        DMatrix::from_fn(
            20,
            2,
            |i, j| if i < 10 { (i * (j + 1)) as f64 } else { 40.0 - (i * (2 - j)) as f64 },
        );
    let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10) + 5).collect();
    let model = AffineHullClassifier::new(&two, &labels, 2).unwrap();
    assert!(model.predict(&two).unwrap().iter().zip(&labels).filter(|(a, b)| a == b).count() >= 18);
}

/// Classes in parts: the class is that of the nearest of all hulls, a part of all points is the whole class, and a class that is
/// added leaves the hulls of the others as they are.
#[test]
fn affine_hulls_of_parts() {
    let file = read(include_str!("../reference/kahm.json"));
    let own = matrix(&file["data"]);
    let (n, p) = own.shape();
    let dimensions = file["subspace_dim"].as_u64().unwrap() as usize;
    let blob =
        |class: usize| DMatrix::from_fn(n, p, |i, j| own[(i, j)] * 0.8 + 4.0 * class as f64 - j as f64);
    let stack = |classes: usize| {
        DMatrix::from_fn(n * classes, p, |i, j| match i / n {
            0 => own[(i, j)],
            class => blob(class)[(i % n, j)],
        })
    };
    let labels = |classes: usize| (0..n * classes).map(|i| i / n).collect::<Vec<usize>>();
    let fit = |classes: usize, part: usize, seed: u64| {
        AffineHullClassifier::with_parts(&stack(classes), &labels(classes), dimensions, part, seed).unwrap()
    };
    // One part: the hull of the reference.
    let whole = fit(2, usize::MAX, 0);
    assert_eq!(whole, fit(2, n, 5));
    assert_eq!(whole, AffineHullClassifier::new(&stack(2), &labels(2), dimensions).unwrap());
    let points = matrix(&file["new_points"]);
    let distances = whole.hulls()[0][0].distances(&points).unwrap();
    close("distance", distances.as_slice(), &vector(&file["distance"]), 1e-8);
    let parts = fit(3, n.div_ceil(3), 1);
    assert!(parts.hulls().iter().all(|hulls| hulls.len() > 1), "{:?}", parts.hulls().len());
    assert_eq!(parts, fit(3, n.div_ceil(3), 1));
    let nearest: Vec<usize> = {
        let distance = |class: usize, i: usize| {
            let hulls = parts.hulls()[class].iter();
            hulls.map(|h| h.distances(&points).unwrap()[i]).fold(f64::INFINITY, f64::min)
        };
        let best = |i: usize| (0..3).min_by(|a, b| distance(*a, i).total_cmp(&distance(*b, i))).unwrap();
        (0..points.nrows()).map(best).collect()
    };
    assert_eq!(parts.predict(&points).unwrap(), nearest);
    let fewer = fit(2, n.div_ceil(3), 1);
    assert_eq!(fewer.hulls(), &parts.hulls()[..2]);
    let right = parts.predict(&stack(3)).unwrap().iter().zip(labels(3)).filter(|(a, b)| **a == *b).count();
    assert!(right * 10 >= 3 * n * 9, "{right} of {}", 3 * n);
    assert!(AffineHullClassifier::with_parts(&stack(2), &labels(2), dimensions, 0, 0).is_err());
    assert!(AffineHullClassifier::with_parts(&stack(2), &vec![1; 2 * n], dimensions, 4, 0).is_err());
    assert!(parts.predict(&points.columns(0, 2).into_owned()).is_err());
}

#[test]
fn conditional_means() {
    let file = read(include_str!("../reference/conditional_mean.json"));
    let (features, prior) = (matrix(&file["features"]), rows(&file["prior"]));
    let t = number(&file["t"]);
    let embedding = ConditionalMean::new(rbf(0.5), &prior, number(&file["lam"])).unwrap();
    let centroids = embedding.centroids(&features).unwrap();
    close("centroids", centroids.as_slice(), matrix(&file["centroids"]).as_slice(), 1e-10);
    close("plain", &[decoupled_uniformity(&features, t).unwrap()], &[number(&file["loss_plain"])], 1e-12);
    close("kernel", &[decoupled_uniformity(&centroids, t).unwrap()], &[number(&file["loss_kernel"])], 1e-10);
    // An expectation is a ridge regression of the values.
    let krr = Krr::new(rbf(0.5)).ridge(number(&file["lam"])).fit(&prior, &features).unwrap();
    let at = rows(&file["prior"]);
    let (a, b) = (embedding.expectation(&at, &features).unwrap(), krr.predict(&at).unwrap());
    close("expectation", a.as_slice(), b.as_slice(), 1e-10);
    assert!(decoupled_uniformity(&features.rows(0, 1).into_owned(), t).is_err());
    assert!(embedding.centroids(&features.rows(0, 2).into_owned()).is_err());
}

#[test]
fn kernel_flow() {
    let file = read(include_str!("../reference/ferumal.json"));
    let x = matrix(&file["x"]);
    let layer =
        AffineCoupling::new(rbf(0.5), &rows(&file["aux_points"]), matrix(&file["A_s"]), matrix(&file["A_t"]))
            .unwrap();
    let (y, ln_det) = layer.forward(&x).unwrap();
    close("y", y.as_slice(), matrix(&file["y"]).as_slice(), 1e-12);
    close("log determinant", ln_det.as_slice(), &vector(&file["logdet"]), 1e-12);
    let likelihood = layer.log_likelihood(&x).unwrap();
    close("likelihood", likelihood.as_slice(), &vector(&file["standard_normal_loglik"]), 1e-12);
    close("inverse", layer.inverse(&y).unwrap().as_slice(), x.as_slice(), 1e-12);
    // The determinant is that of the derivative, by central differences at the first sample.
    let first = x.rows(0, 1).into_owned();
    let jacobian = DMatrix::from_fn(5, 5, |i, j| {
        let at = |step: f64| {
            let mut moved = first.clone();
            moved[j] += step;
            layer.forward(&moved).unwrap().0[i]
        };
        (at(1e-6) - at(-1e-6)) / 2e-6
    });
    assert!((jacobian.determinant().abs().ln() - ln_det[0]).abs() < 1e-8);
    assert!(layer.forward(&x.columns(0, 4).into_owned()).is_err());
}

#[test]
fn linear_dynamics() {
    let file = read(include_str!("../reference/linear_grokking.json"));
    let flow = LinearDynamics::new(&matrix(&file["X"]), &vector(&file["D0"]), number(&file["eta"])).unwrap();
    for r in file["dynamics"].as_array().unwrap() {
        let (train, generalisation) = flow.losses(number(&r["t"])).unwrap();
        close("losses", &[train, generalisation], &[number(&r["train"]), number(&r["gen"])], 1e-10);
    }
    assert!(flow.losses(-1.0).is_err());
    assert!(accuracy_within(0.0, 1.0).unwrap() > 0.999 && accuracy_within(-1.0, 1.0).is_err());
}

/// A stack of couplings is a density: inverse and determinant, and more likelihood than a Gaussian has on what is none.
#[test]
fn flow_of_several_couplings() {
    let x = DMatrix::from_fn(90, 3, |i, j| {
        let noise = |k: usize| ((i * k % 97) as f64 / 97.0 - 0.5) * 1.5;
        let a = i as f64 / 22.5 - 2.0;
        [a, a * a - 1.0 + 0.3 * noise(31), (2.0 * a).sin() + 0.2 * noise(53)][j]
    });
    let flow = KernelFlow::new(rbf(0.5)).auxiliary(10).max_iterations(80).seed(2);
    let model = flow.fit(&x).unwrap();
    assert_eq!(model, flow.fit(&x).unwrap());
    let (z, ln_det) = model.forward(&x).unwrap();
    close("inverse", model.inverse(&z).unwrap().as_slice(), x.as_slice(), 1e-10);
    for i in [0, 44] {
        let jacobian = DMatrix::from_fn(3, 3, |row, column| {
            let at = |step: f64| {
                let mut moved = x.rows(i, 1).into_owned();
                moved[column] += step;
                model.forward(&moved).unwrap().0[row]
            };
            (at(1e-6) - at(-1e-6)) / 2e-6
        });
        assert!((jacobian.determinant().abs().ln() - ln_det[i]).abs() < 1e-6);
    }
    // Stored and read, the same bits; changed by hand, an error and no panic.
    let kernel: kernels_core::AnyKernel<f64> = "rbf(length_scale=1)".parse().unwrap();
    let stored = KernelFlow::new(kernel).auxiliary(4).max_iterations(3).fit(&x).unwrap();
    let text = serde_json::to_string(&stored).unwrap();
    let read =
        |text: &str| -> KernelFlowModel<kernels_core::AnyKernel<f64>> { serde_json::from_str(text).unwrap() };
    assert_eq!(read(&text).forward(&x).unwrap(), stored.forward(&x).unwrap());
    let crooked = text.replacen("\"order\":[0,1,2]", "\"order\":[0,1,9]", 1);
    assert_ne!(crooked, text);
    assert!(read(&crooked).forward(&x).is_err() && read(&crooked).sample(1, 0).is_err());
    // The Gaussian of the data's own mean and covariance: −½ (3 ln 2π + ln det C + 3) a sample.
    let centered = DMatrix::from_fn(90, 3, |i, j| x[(i, j)] - x.column(j).mean());
    let covariance = centered.tr_mul(&centered) / 90.0;
    let gaussian = -0.5 * (3.0 * std::f64::consts::TAU.ln() + covariance.determinant().ln() + 3.0);
    let fitted = model.log_likelihood(&x).unwrap().mean();
    assert!(fitted > gaussian + 0.5, "{fitted} {gaussian}");
    // Samples look like the data: the second coordinate is near the parabola of the first.
    let samples = model.sample(200, 7).unwrap();
    let near = samples.row_iter().filter(|r| (r[1] - (r[0] * r[0] - 1.0)).abs() < 0.5).count();
    assert!(near > 150, "{near} of 200");
    assert_eq!(samples.rows(0, 9), model.sample(9, 7).unwrap());
    assert!(model.forward(&x.columns(0, 2).into_owned()).is_err());
    assert!(model.inverse(&DMatrix::repeat(1, 3, f64::NAN)).is_err());
    let fails = |flow: KernelFlow<kernels_core::Rbf>, x: &DMatrix<f64>| flow.fit(x).is_err();
    assert!(fails(KernelFlow::new(rbf(1.0)), &x.columns(0, 1).into_owned()));
    assert!(fails(KernelFlow::new(rbf(1.0)), &x.rows(0, 1).into_owned()));
    assert!(
        fails(KernelFlow::new(rbf(1.0)).layers(0), &x) && fails(KernelFlow::new(rbf(1.0)).auxiliary(0), &x)
    );
    assert!(fails(KernelFlow::new(rbf(1.0)).ridge(-1.0), &x));
    // A constant column is carried along.
    let mut flat = x.clone();
    flat.column_mut(1).fill(3.0);
    assert!(KernelFlow::new(rbf(1.0)).auxiliary(3).max_iterations(5).fit(&flat).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A sample that is turned has images that are turned: λ knows norms alone, and scores are whitened.
    #[test]
    fn images_of_turned_points(values in proptest::collection::vec(-2.0..2.0f64, 24), angle in 0.0..6.0f64) {
        let data = DMatrix::from_row_slice(12, 2, &values);
        prop_assume!(data.column(0).variance() > 0.05 && data.column(1).variance() > 0.05);
        let turn = nalgebra::dmatrix![angle.cos(), -angle.sin(); angle.sin(), angle.cos()];
        let (plain, turned) = (AffineHull::new(&data, 2).unwrap(), AffineHull::new(&(&data * &turn), 2).unwrap());
        prop_assert!((plain.lambda() - turned.lambda()).abs() < 1e-8 * plain.lambda());
        let (a, b) = (plain.images(&data).unwrap() * &turn, turned.images(&(&data * &turn)).unwrap());
        prop_assert!((a - b).amax() < 1e-6);
        let d = plain.distances(&data).unwrap();
        prop_assert!(d.iter().all(|d| *d >= 0.0 && d.is_finite()));
        let error = plain.modelling_error().unwrap();
        prop_assert!((error - (1.0 - (-d.max() / 2.0).exp())).abs() < 1e-12);
    }
}
