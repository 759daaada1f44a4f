//! Deep kernel machines, random features, harmonics, attribution, laws of weights.

use kernels_core::{Points, Rows, check_feature_map, cross_gram, features, gram, testing};
use kernels_ntk::{
    Activation, Checkpoint, DeepKernelMachine, DenseLayer, GramKernel, Mlp, Net, NetworkKernel,
    Parameterization, Ridge, SparseGram, SphericalHarmonics, SphericalProcess, TangentFeatures,
    hierarchical_eigenvalue, hierarchical_kernel, input_gram, log_marginal_likelihood, posterior, trak,
    zonal_eigenvalues, zonal_kernel, zonal_series,
};
use nalgebra::{DMatrix, DVector};

use super::data;

fn inputs(n: usize) -> DMatrix<f64> {
    let g = input_gram(&data(n, 3).to_matrix()).unwrap();
    g + DMatrix::identity(n, n) * 0.1
}

fn targets(n: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, 2, |i, o| ((i * 3 + o * 5) as f64).sin())
}

const KERNELS: [GramKernel; 3] = [GramKernel::Linear, GramKernel::Relu, GramKernel::SquaredExponential];

/// Gram matrices away from the wide limit.
fn moved(machine: &DeepKernelMachine, g0: &DMatrix<f64>) -> Vec<DMatrix<f64>> {
    let n = g0.nrows();
    let bump = DMatrix::from_fn(n, n, |i, j| 0.2 * ((i + j) as f64).cos());
    machine
        .wide_limit(g0)
        .unwrap()
        .into_iter()
        .map(|g| g + &bump * bump.transpose() + DMatrix::identity(n, n) * 0.05)
        .collect()
}

#[test]
fn gradients_of_deep_kernel_machines() {
    for kernel in KERNELS {
        let machine = DeepKernelMachine::new(kernel, 0.2, vec![1.5, 0.7]).unwrap();
        let (g0, y) = (inputs(5), targets(5));
        let grams = moved(&machine, &g0);
        let (value, bars) = machine.objective_gradient(&g0, &grams, &y).unwrap();
        assert!((value - machine.objective(&g0, &grams, &y).unwrap()).abs() < 1e-10 * value.abs());
        let all: Vec<usize> = (0..5).collect();
        let part = |rows: &[usize]| SparseGram {
            inducing: g0.select_rows(&all[..3]).select_columns(&all[..3]),
            cross: g0.select_rows(rows).select_columns(&all[..3]),
            diagonal: rows.iter().map(|&i| g0[(i, i)]).collect(),
        };
        let sparse_inputs = part(&all);
        let sparse_grams = moved(&machine, &sparse_inputs.inducing);
        let (_, sparse_bars) = machine.sparse_objective(&sparse_inputs, &sparse_grams, &y, 1e-6).unwrap();
        for l in 0..2 {
            let check = |n: usize, bar: &DMatrix<f64>, at: &dyn Fn(&DMatrix<f64>) -> f64| {
                for i in 0..n {
                    for j in 0..=i {
                        let mut step = DMatrix::zeros(n, n);
                        step[(i, j)] += 1e-5;
                        step[(j, i)] = step[(i, j)];
                        let difference = (at(&step) - at(&-&step)) / 2e-5;
                        let exact = if i == j { bar[(i, i)] } else { bar[(i, j)] + bar[(j, i)] };
                        assert!(
                            (difference - exact).abs() < 1e-5 * (1.0 + exact.abs()),
                            "{kernel:?} layer {l} ({i}, {j}): {exact} {difference}"
                        );
                    }
                }
            };
            check(5, &bars[l], &|step| {
                let mut grams = grams.clone();
                grams[l] += step;
                machine.objective(&g0, &grams, &y).unwrap()
            });
            check(3, &sparse_bars[l], &|step| {
                let mut grams = sparse_grams.clone();
                grams[l] += step;
                machine.sparse_objective(&sparse_inputs, &grams, &y, 1e-6).unwrap().0
            });
        }
    }
}

/// With all points inducing, the sparse machine is the exact one.
#[test]
fn sparse_machines_of_all_points_are_exact() {
    let (g0, y) = (inputs(6), targets(6));
    let all =
        SparseGram { inducing: g0.clone(), cross: g0.clone(), diagonal: g0.diagonal().as_slice().to_vec() };
    for kernel in KERNELS {
        let machine = DeepKernelMachine::new(kernel, 0.1, vec![2.0, 2.0]).unwrap();
        let grams = moved(&machine, &g0);
        let exact = machine.objective(&g0, &grams, &y).unwrap();
        let (sparse, _) = machine.sparse_objective(&all, &grams, &y, 0.0).unwrap();
        assert!((6.0 * sparse - exact).abs() < 1e-8 * exact.abs(), "{kernel:?}: {sparse} {exact}");
    }
    let machine = DeepKernelMachine::new(GramKernel::Relu, 0.1, vec![2.0]).unwrap();
    let (exact, sparse) =
        (machine.fit(&g0, &y, 500).unwrap(), machine.fit_sparse(&all, &y, 0.0, 500).unwrap());
    assert!((6.0 * sparse.objective() - exact.objective).abs() < 1e-6 * exact.objective.abs());
    assert!((&exact.grams[0] - &sparse.grams()[0]).amax() < 1e-3);
    // What was fitted beats the wide limit, and the labels' direction grows.
    let wide = machine.objective(&g0, &machine.wide_limit(&g0).unwrap(), &y).unwrap();
    assert!(exact.objective > wide + 1e-3, "{} {wide}", exact.objective);
}

#[test]
fn strong_regularisation_is_the_nngp() {
    let (g0, y) = (inputs(8), targets(8));
    let machine = DeepKernelMachine::new(GramKernel::Relu, 0.1, vec![1e8, 1e8]).unwrap();
    let fitted = machine.fit(&g0, &y, 50).unwrap();
    for (got, wide) in fitted.grams.iter().zip(machine.wide_limit(&g0).unwrap()) {
        assert!((got - wide).amax() < 1e-6);
    }
    // Predictions are those of the Gaussian process whose kernel is that of the wide limit.
    let x = data(8, 3).to_matrix();
    let test = data(11, 3).to_matrix().rows(8, 3).into_owned();
    let sparse =
        SparseGram { inducing: g0.clone(), cross: g0.clone(), diagonal: g0.diagonal().as_slice().to_vec() };
    let machine = machine.fit_sparse(&sparse, &y, 0.0, 50).unwrap();
    let cross = &test * x.transpose() / 3.0;
    let own: Vec<f64> = test.row_iter().map(|r| r.norm_squared() / 3.0 + 0.1).collect();
    let (mean, variance) = machine.predict(&cross, &own).unwrap();
    let mut whole = DMatrix::zeros(11, 11);
    whole.view_mut((0, 0), (8, 8)).copy_from(&g0);
    whole.view_mut((8, 0), (3, 8)).copy_from(&cross);
    whole.view_mut((0, 8), (8, 3)).copy_from(&cross.transpose());
    whole
        .view_mut((8, 8), (3, 3))
        .copy_from(&(&test * test.transpose() / 3.0 + DMatrix::identity(3, 3) * 0.1));
    for _ in 0..3 {
        whole = GramKernel::Relu.of(&whole).unwrap();
    }
    let part = |r, c, n, m| whole.view((r, c), (n, m)).into_owned();
    let (k, kc, kt) = (part(0, 0, 8, 8), part(8, 0, 3, 8), part(8, 8, 3, 3));
    let (expected, covariance) = posterior(&k, &kc, &kt, &y, Ridge::Absolute(0.1)).unwrap();
    // The KL is balanced to about 1/ν of the labels' pull.
    assert!((mean - expected).amax() < 1e-5);
    for i in 0..3 {
        assert!((variance[i] - 0.1 - covariance[(i, i)]).abs() < 1e-5);
    }
}

fn small_net() -> Net {
    "dense(w_std=1.3, b_std=0.3) > relu > dense(w_std=1.1, b_std=0.2)".parse().unwrap()
}

check_feature_map!(
    tangent_features_keep_the_contract,
    TangentFeatures::new(&small_net(), 2, 16, 8, 3).unwrap(),
    testing::tame_rows(0..6, 2..3)
);

#[test]
fn tangent_features_are_unbiased() {
    let xs = data(3, 3);
    for text in [
        "dense(w_std=1.3, b_std=0.3) > relu > dense(w_std=1.1, b_std=0.2)",
        "dense(w_std=1.2) > erf > dense()",
    ] {
        let net: Net = text.parse().unwrap();
        let exact = gram(&NetworkKernel::ntk(net.clone()), &xs).unwrap();
        let runs = 300;
        let (mut sum, mut square) = (DMatrix::zeros(3, 3), DMatrix::<f64>::zeros(3, 3));
        for seed in 0..runs {
            let z = features(&TangentFeatures::new(&net, 3, 16, 16, seed).unwrap(), &xs).unwrap();
            let k = &z * z.transpose();
            square += k.component_mul(&k);
            sum += k;
        }
        let mean = sum / runs as f64;
        let spread =
            (square / runs as f64 - mean.component_mul(&mean)).map(|v| (v.max(0.0) / runs as f64).sqrt());
        for e in 0..9 {
            assert!(
                (mean[e] - exact[e]).abs() < 5.0 * spread[e] + 1e-12,
                "{text} {e}: {} {}",
                mean[e],
                exact[e]
            );
        }
    }
    // Two hidden layers: consistent.
    let net: Net = "dense(w_std=1.3, b_std=0.1) > erf > dense(w_std=1.2) > erf > dense()".parse().unwrap();
    let exact = gram(&NetworkKernel::ntk(net.clone()), &xs).unwrap();
    let z = features(&TangentFeatures::new(&net, 3, 1500, 3000, 1).unwrap(), &xs).unwrap();
    assert!((&z * z.transpose() - &exact).amax() < 0.15 * exact.amax());
    assert!(TangentFeatures::new(&net, 3, 0, 4, 1).is_err());
    assert!(
        TangentFeatures::new(&"dense() > relu > dense(param=standard)".parse().unwrap(), 3, 4, 4, 1).is_err()
    );
}

fn on_sphere(n: usize, d: usize, from: usize) -> Rows<f64> {
    let mut values = Vec::new();
    for i in 0..n {
        let x: Vec<f64> = (0..d).map(|k| (((i + from) * 7 + k * 13) as f64 * 0.7).sin() + 0.1).collect();
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt() * (1.0 + 0.1 * (i % 3) as f64);
        values.extend(x.iter().map(|v| v / norm));
    }
    Rows::from_row_major(values, n, d).unwrap()
}

fn relu_kappa(t: f64) -> f64 {
    zonal_kernel(&Activation::relu(), 1, t.clamp(-1.0, 1.0)).unwrap().1
}

#[test]
fn harmonics_span_the_truncated_kernel() {
    for d in [2, 3, 5] {
        let lambda: Vec<f64> =
            zonal_eigenvalues(relu_kappa, d, 6).unwrap().into_iter().map(|l| l.max(0.0)).collect();
        let map = SphericalHarmonics::new(d, lambda.clone(), 4).unwrap();
        let xs = on_sphere(7, d, 0);
        let z = features(&map, &xs).unwrap();
        let k = &z * z.transpose();
        for i in 0..7 {
            for j in 0..7 {
                let (x, y) = (DVector::from_row_slice(xs.point(i)), DVector::from_row_slice(xs.point(j)));
                let (a, b) = (x.norm(), y.norm());
                let cosine = (x.dot(&y) / (a * b)).clamp(-1.0, 1.0);
                // Eigenvalues below 1e-15 of the largest are left out as rounding.
                let expected = a * b * zonal_series(&lambda, d, cosine).unwrap();
                assert!((k[(i, j)] - expected).abs() < 1e-11 * relu_kappa(1.0), "{d} ({i}, {j})");
            }
        }
    }
    assert!(SphericalHarmonics::new(1, vec![1.0], 0).is_err());
    assert!(SphericalHarmonics::new(3, vec![1.0, -0.5], 0).is_err());
}

#[test]
fn spherical_processes() {
    let (d, n) = (3, 12);
    let (xs, zs) = (on_sphere(n, d, 0), on_sphere(4, d, 100));
    let y = DMatrix::from_fn(n, 1, |i, _| xs.point(i)[0] - xs.point(i)[1].abs());
    let own = |xs: &Rows<f64>, i: usize| relu_kappa(1.0) * xs.point(i).iter().map(|v| v * v).sum::<f64>();
    let full = |xs: &Rows<f64>, zs: &Rows<f64>| {
        DMatrix::from_fn(xs.len(), zs.len(), |i, j| {
            let (x, y) = (DVector::from_row_slice(xs.point(i)), DVector::from_row_slice(zs.point(j)));
            x.norm() * y.norm() * relu_kappa(x.dot(&y) / (x.norm() * y.norm()))
        })
    };
    let exact = log_marginal_likelihood(&full(&xs, &xs), &y, Ridge::Absolute(0.05)).unwrap();
    let mut before = f64::NEG_INFINITY;
    for degrees in [2, 4, 7, 11] {
        let lambda =
            zonal_eigenvalues(relu_kappa, d, degrees).unwrap().into_iter().map(|l| l.max(0.0)).collect();
        let map = SphericalHarmonics::new(d, lambda, 2).unwrap();
        let process = SphericalProcess::fit(map.clone(), relu_kappa(1.0), &xs, &y, 0.05).unwrap();
        // A lower bound that grows with the features.
        assert!(process.bound() <= exact + 1e-9 && process.bound() >= before - 1e-9, "{degrees}");
        before = process.bound();
        // The posterior of the truncated kernel, with what is left out added to variances.
        let (a, b) = (features(&map, &xs).unwrap(), features(&map, &zs).unwrap());
        let (mean, covariance) = posterior(
            &(&a * a.transpose()),
            &(&b * a.transpose()),
            &(&b * b.transpose()),
            &y,
            Ridge::Absolute(0.05),
        )
        .unwrap();
        let (got, variance) = process.predict(&zs).unwrap();
        assert!((got - mean).amax() < 1e-9);
        for i in 0..4 {
            let rest = own(&zs, i) - b.row(i).norm_squared();
            assert!((variance[i] - covariance[(i, i)] - rest).abs() < 1e-9);
        }
    }
    // What is left falls with the tail of the spectrum, a power of the degree.
    assert!(exact - before < 2.5, "{exact} {before}");
}

#[test]
fn local_networks() {
    // One patch is the zonal kernel, and its spectrum that of the sphere.
    for t in [-0.9, 0.2, 0.7] {
        let (nngp, ntk) = hierarchical_kernel(&[t], 0).unwrap();
        let expected = zonal_kernel(&Activation::relu(), 1, t).unwrap();
        assert!((nngp - expected.0).abs() < 1e-14 && (ntk - expected.1).abs() < 1e-14);
    }
    let kappa = |t: &[f64]| hierarchical_kernel(t, 1).unwrap().1;
    let one = zonal_eigenvalues(|t| hierarchical_kernel(&[t], 0).unwrap().1, 3, 4).unwrap();
    let whole = hierarchical_eigenvalue(|t| hierarchical_kernel(t, 0).unwrap().1, 3, &[2]).unwrap();
    // The rule for several patches has fewer nodes; kernels have roots at the ends, smooth in the angle.
    assert!((whole - one[2]).abs() < 1e-9, "{whole} {}", one[2]);
    // Patches that no unit sees together are not mixed; those of one unit are.
    let two = |degrees: &[usize; 2]| hierarchical_eigenvalue(|t| kappa(t), 3, degrees).unwrap();
    assert!(two(&[1, 1]) > 1e-6 && two(&[2, 0]) > two(&[2, 2]));
    let additive = |t: &[f64]| 0.5 * (kappa(&t[..2]) + kappa(&t[2..]));
    let mixed = hierarchical_eigenvalue(|t| additive(&[t[0], 0.3, t[1], -0.2]), 3, &[1, 1]).unwrap();
    assert!(mixed.abs() < 1e-12, "{mixed}");
    let whole = kappa(&[0.1, 0.4, -0.3, 0.8]);
    assert!((whole - additive(&[0.1, 0.4, -0.3, 0.8])).abs() < 1e-13);
    assert!(hierarchical_kernel(&[0.1, 0.2, 0.3], 1).is_err());
    assert!(hierarchical_eigenvalue(|_| 1.0, 3, &[]).is_err());
}

#[test]
fn attributions_by_both_factorizations() {
    let phi = DMatrix::from_fn(5, 3, |i, j| ((i * 3 + j * 7) as f64).sin());
    let test = DMatrix::from_fn(2, 3, |i, j| ((i * 5 + j) as f64).cos());
    let residuals: Vec<f64> = (0..5).map(|i| 0.1 * f64::from(i) + 0.2).collect();
    let narrow = Checkpoint { train: phi.clone(), test: test.clone(), residuals: residuals.clone() };
    let got = trak(std::slice::from_ref(&narrow), 0.1).unwrap();
    // By the definition.
    let lambda = 0.1 * phi.norm_squared() / 3.0;
    let inverse = (phi.tr_mul(&phi) + DMatrix::identity(3, 3) * lambda).try_inverse().unwrap();
    let expected =
        &test * inverse * phi.transpose() * DMatrix::from_diagonal(&DVector::from_vec(residuals.clone()));
    assert!((&got - &expected).amax() < 1e-13);
    // Features that are 0 change nothing, but choose the other factorization; the ridge counts all features.
    let wide = |m: &DMatrix<f64>| m.clone().insert_columns(3, 6, 0.0);
    let wide = Checkpoint { train: wide(&phi), test: wide(&test), residuals };
    assert!((trak(&[wide], 0.3).unwrap() - &expected).amax() < 1e-12);
    // Averages of equal networks are the network's.
    assert!((trak(&[narrow.clone(), narrow.clone()], 0.1).unwrap() - &expected).amax() < 1e-13);
    assert!(trak(&[], 0.1).is_err());
    let mut wrong = narrow;
    wrong.residuals.pop();
    assert!(trak(&[wrong], 0.1).is_err());
}

/// Independent signs, orthogonal matrices and normal weights have one limit; their fluctuations at finite width differ as
/// `WeightLaw` says: (V + 2K²)/n for the mean square of n outputs, V = 5(l − 1)K² for normal and 3(l − 1)K² for orthogonal weights of
/// rectified layers.
#[test]
fn laws_of_weights() {
    let (n, runs) = (32, 1200);
    let x = Rows::from_row_major((0..n).map(|i| ((i * 3) as f64).sin() + 0.2).collect(), 1, n).unwrap();
    let net: Net = "dense(w_std=1.4142135623730951) > relu > dense(w_std=1.4142135623730951) > relu > \
                    dense(w_std=1.4142135623730951)"
        .parse()
        .unwrap();
    let k = gram(&NetworkKernel::nngp(net), &x).unwrap()[(0, 0)];
    let widths = [n; 4];
    let w = 2.0_f64.sqrt();
    let statistics = |make: &dyn Fn(u64) -> Mlp| {
        let (mut sum, mut square) = (0.0, 0.0);
        for seed in 0..runs {
            let value = make(seed).outputs(&x).unwrap().norm_squared() / n as f64 / k;
            sum += value;
            square += value * value;
        }
        let mean = sum / runs as f64;
        (mean, (square / runs as f64 - mean * mean) * n as f64)
    };
    let relu = Activation::relu;
    let normal = |s| Mlp::random(&widths, relu(), w, None, Parameterization::Ntk, s).unwrap();
    let orthogonal = |s| Mlp::random_orthogonal(&widths, relu(), w, None, Parameterization::Ntk, s).unwrap();
    let signs = |s| {
        let net = normal(s);
        let layers = net
            .layers()
            .iter()
            .map(|l| DenseLayer { weights: l.weights.map(f64::signum), ..l.clone() })
            .collect();
        Mlp::new(layers, relu(), Parameterization::Ntk).unwrap()
    };
    let [(a, va), (b, vb), (c, _)] = [statistics(&normal), statistics(&orthogonal), statistics(&signs)];
    // The first layer of orthogonal weights is exact, which takes its 2K² away; means are unbiased for homogeneous layers.
    for (mean, v) in [(a, va), (b, vb), (c, va)] {
        assert!((mean - 1.0).abs() < 5.0 * (v / (n * runs as usize) as f64).sqrt(), "{mean}");
    }
    // Variances of 1200 draws are good to about 6 %; corrections of relative order 1/n add as much.
    assert!((va / 12.0 - 1.0).abs() < 0.35, "{va}");
    assert!(vb < 0.75 * va, "{vb} {va}");
    let linear = |s| {
        Mlp::random_orthogonal(&widths, Activation::Identity, 1.0, None, Parameterization::Standard, s)
            .unwrap()
    };
    let exact = x.point(0).iter().map(|v| v * v).sum::<f64>();
    assert!((linear(3).outputs(&x).unwrap().norm_squared() / exact - 1.0).abs() < 1e-12);
}

/// A finite maxout network, z = max(z₁, z₂) of two dense layers, against the kernel of the layer `maxout`.
#[test]
fn finite_maxout_networks() {
    let xs = data(2, 4);
    let net: Net = "dense(w_std=1.3, b_std=0.2) > maxout > dense(w_std=1.1)".parse().unwrap();
    assert_eq!(net.to_string().parse::<Net>().unwrap(), net);
    let exact = gram(&NetworkKernel::nngp(net.clone()), &xs).unwrap()[(0, 1)];
    let across = cross_gram(&NetworkKernel::nngp(net), &xs, &xs).unwrap()[(0, 1)];
    assert!((exact - across).abs() < 1e-14);
    let (runs, width) = (400, 16);
    let (mut sum, mut square) = (0.0, 0.0);
    for seed in 0..runs {
        let half = |s: u64| {
            Mlp::random(&[4, width], Activation::Identity, 1.3, Some(0.2), Parameterization::Ntk, s)
                .unwrap()
                .outputs(&xs)
                .unwrap()
        };
        let h = half(2 * seed).zip_map(&half(2 * seed + 1), f64::max);
        let k = 1.21 * h.row(0).dot(&h.row(1)) / width as f64;
        sum += k;
        square += k * k;
    }
    let mean = sum / runs as f64;
    let spread = ((square / runs as f64 - mean * mean) / runs as f64).sqrt();
    assert!((mean - exact).abs() < 5.0 * spread, "{mean} {exact} {spread}");
}
