use kernels_core::{Points, Rows};
use kernels_ntk::{
    Activation, DenseLayer, DualParameters, JacobianSource, Mlp, Parameterization, SparseFunctionPosterior,
    alignment, centered_alignment, condition_number, effective_rank, eigen_score, inductive_bias,
    label_gradient_alignment, spectral_label_alignment, target_alignment,
};
use nalgebra::{DMatrix, DVector};
use serde_json::Value;

use crate::support::{activation, close, close_at, close_matrix, flat, matrix, number, read, rows, vector};

fn network(case: &Value) -> Mlp {
    let layers = case["layers"].as_array().unwrap().iter().map(|l| DenseLayer {
        weights: matrix(&l["W"]),
        bias: l["b"].as_array().map(|b| b.iter().flat_map(flat).collect()),
        w_std: number(&l["w_std"]),
        b_std: l["b_std"].as_f64().unwrap_or(0.0),
    });
    let phi = activation(case["activation"].as_str().unwrap(), &Value::Null);
    let kind = if case["param"] == "ntk" { Parameterization::Ntk } else { Parameterization::Standard };
    Mlp::new(layers.collect(), phi, kind).unwrap()
}

/// A matrix over (point, output) from a list \[i\]\[j\]\[o\]\[o'\].
fn full(v: &Value) -> DMatrix<f64> {
    let items = v.as_array().unwrap();
    let (n, m) = (items.len(), items[0].as_array().unwrap().len());
    let outputs = items[0][0].as_array().unwrap().len();
    DMatrix::from_fn(n * outputs, m * outputs, |r, c| {
        number(&items[r / outputs][c / outputs][r % outputs][c % outputs])
    })
}

fn labels(v: &Value) -> Vec<usize> {
    vector(v).into_iter().map(|l| l as usize).collect()
}

/// Sums of about a hundred products in two orders.
const TOLERANCE: f64 = 1e-12;

#[test]
fn tangent_kernels_of_networks() {
    let file = read(include_str!("../reference/empirical.json"));
    for case in file["cases"].as_array().unwrap() {
        let net = network(case);
        let (x, z) = (rows(&case["X"]), rows(&case["Z"]));
        close_matrix("outputs", &net.outputs(&x).unwrap(), &matrix(&case["outputs"]), TOLERANCE);
        let theta = net.tangent_kernel(&x, &x).unwrap();
        let jacobian = net.jacobian(&x).unwrap();
        let expected = full(&case["ntk_full"]);
        close_matrix("structured", theta.matrix(), &expected, TOLERANCE);
        close_matrix("by Jacobians", jacobian.kernel().unwrap().matrix(), &expected, TOLERANCE);
        let cross = net.tangent_kernel(&z, &x).unwrap();
        close_matrix("cross", cross.matrix(), &full(&case["ntk_full_zx"]), TOLERANCE);
        let first = jacobian.of_output(0).unwrap();
        let row: Vec<f64> = first.row(0).iter().copied().collect();
        close("gradient", &row, &flat(&case["jacobian_logit0_row0"]), TOLERANCE);

        let expect =
            |what: &str, got: &DMatrix<f64>| close_matrix(what, got, &matrix(&case[what]), TOLERANCE);
        expect("ntk_trace_mean", &theta.mean_trace());
        expect("trntk0", &theta.trace());
        expect("trntk", &theta.cosines().unwrap());
        expect("pntk", &theta.pseudo());
        expect("pntk_zx", &cross.pseudo());
        let y = labels(&case["labels"]);
        let label = theta.label_pseudo(&y, &y).unwrap();
        expect("lpntk_unscaled", &label);
        expect("lpntk_over_O", &(label / 3.0));
        let (conjugate, sum) = net.embedding_kernels(&x).unwrap();
        expect("ck", &conjugate);
        expect("embedding_sum", &sum);
        let signs = jacobian.signs().of_output(0).unwrap();
        expect("sgd_logit0", &(&first * first.transpose()));
        expect("signgd", &(&signs * signs.transpose()));
        expect("asym_signgd", &(&signs * first.transpose()));
        let r = matrix(&case["proj_matrix"]);
        let projected = jacobian.of_sum() * &r;
        expect("proj_pntk", &(&projected * projected.transpose() / r.ncols() as f64));

        let diagonal = flat(&case["ntk_diag_logits"]);
        let outputs = jacobian.outputs();
        for i in 0..5 {
            for j in 0..5 {
                for o in 0..outputs {
                    let got = theta.matrix()[(i * outputs + o, j * outputs + o)];
                    close_at("diagonal", got, diagonal[(i * 5 + j) * outputs + o], TOLERANCE, 1.0);
                }
            }
        }
        let v = matrix(&case["vec"]);
        expect("ntk_vec", &jacobian.kernel_times(&v).unwrap());
        // `dparams` is a list of arrays, one a parameter block, in the order of the Jacobian.
        let change = flat(&case["dparams"]);
        assert_eq!(change.len(), net.parameters());
        let linear = net.outputs(&x).unwrap() + jacobian.linearized(&change).unwrap();
        expect("linearize", &linear);
        // The term of second order from exact Jacobians on both sides: their difference is good to h².
        let h = 1e-4;
        let at = |sign: f64| {
            let theta: Vec<f64> =
                net.flat_parameters().iter().zip(&change).map(|(t, d)| t + sign * h * d).collect();
            net.with_parameters(&theta).unwrap().jacobian(&x).unwrap().linearized(&change).unwrap()
        };
        let second = (at(1.0) - at(-1.0)) / (4.0 * h);
        close_matrix("taylor2", &(linear + second), &matrix(&case["taylor2"]), 1e-7);
        // The empirical NNGP kernel is the mean product of outputs.
        let f = net.outputs(&x).unwrap();
        expect("nngp_trace_mean", &(&f * f.transpose() / f.ncols() as f64));
    }
}

#[test]
fn metrics() {
    let file = read(include_str!("../reference/theory_misc.json"));
    let r = &file["nas_metrics"];
    let k = matrix(&r["K"]);
    let y = labels(&r["labels"]);
    let check = |key: &str, got: f64| close_at(key, got, number(&r[key]), 1e-12, 0.0);
    check("lga", label_gradient_alignment(&k, &y).unwrap());
    check("lga_spectral_norm_variant", spectral_label_alignment(&k, &y).unwrap());
    check("frobenius", k.norm());
    check("mean", k.mean());
    check("cond", condition_number(&k).unwrap());
    check("eig_score", eigen_score(&k).unwrap());
    check("effective_rank", effective_rank(&k).unwrap());
    let binary = &r["alignment_binary"];
    close_at(
        "alignment",
        alignment(&k, &vector(&binary["y"])).unwrap(),
        number(&binary["value"]),
        1e-12,
        0.0,
    );
    // Which matrix of targets the file means: one-hot labels, or ±1 of equality; one of them must fit.
    let equal = DMatrix::from_fn(y.len(), y.len(), |i, j| f64::from(u8::from(y[i] == y[j])));
    check("kta_uncentred", target_alignment(&k, &equal).unwrap());
    check("cka_centred", centered_alignment(&k, &equal).unwrap());
}

#[test]
fn sparse_function_posterior() {
    let file = read(include_str!("../reference/theory_misc.json"));
    let r = &file["sfr"];
    let layer = |key: &str| DenseLayer { weights: matrix(&r[key]), bias: None, w_std: 1.0, b_std: 0.0 };
    let net = Mlp::new(vec![layer("W1"), layer("W2")], Activation::Tanh, Parameterization::Standard).unwrap();
    let (x, z, s) = (rows(&r["X"]), rows(&r["Z"]), rows(&r["Xs"]));
    let kernel = |a: &Rows<f64>, b: &Rows<f64>| net.tangent_kernel(a, b).unwrap().matrix().clone();
    let f = net.outputs(&x).unwrap();
    let dual = DualParameters::gaussian(f.as_slice(), &flat(&r["y"]), number(&r["noise_var"])).unwrap();
    close("targets", &dual.targets, &flat(&r["y_tilde"]), 1e-12);
    close("beta", &dual.precisions, &flat(&r["beta"]), 1e-13);
    let alpha: Vec<f64> =
        dual.targets.iter().zip(&dual.precisions).zip(&f).map(|((t, b), f)| t - f * b).collect();
    close("alpha", &alpha, &flat(&r["alpha"]), 1e-11);
    close_matrix("Kzz", &kernel(&z, &z), &matrix(&r["Kzz"]), 1e-12);
    let posterior = SparseFunctionPosterior::new(
        &kernel(&z, &z),
        &kernel(&z, &x),
        &dual,
        number(&r["prior_precision"]),
        0.0,
    )
    .unwrap();
    let own: Vec<f64> = kernel(&s, &s).diagonal().iter().copied().collect();
    let (mean, variance) = posterior.predict(&kernel(&s, &z), &own).unwrap();
    // The inducing kernel has condition number about 1e4.
    close("mean", &mean, &flat(&r["mean"]), 1e-9);
    close("variance", &variance, &flat(&r["var"]), 1e-9);
    close_matrix("beta_u", posterior.precision(), &matrix(&r["beta_u"]), 1e-12);
    close("y_tilde_u", posterior.targets().as_slice(), &flat(&r["y_tilde_u"]), 1e-12);
    close("alpha_u", posterior.weights().unwrap().as_slice(), &flat(&r["alpha_u"]), 1e-9);
    // In two halves the same posterior.
    let half = |from: usize| DualParameters {
        targets: dual.targets[from..from + 6].to_vec(),
        precisions: dual.precisions[from..from + 6].to_vec(),
    };
    let kzx = kernel(&z, &x);
    let mut halves = SparseFunctionPosterior::new(
        &kernel(&z, &z),
        &kzx.columns(0, 6).into_owned(),
        &half(0),
        2.0 * number(&r["prior_precision"]),
        0.0,
    )
    .unwrap();
    halves.update(&kzx.columns(6, 6).into_owned(), &half(6)).unwrap();
    let (again, _) = halves.predict(&kernel(&s, &z), &own).unwrap();
    assert!((DVector::from_vec(again) - DVector::from_vec(mean)).amax() < 1e-10);
}

#[test]
fn selection_by_variance() {
    let file = read(include_str!("../reference/theory_misc.json"));
    let r = &file["evgp"];
    let chosen = kernels_ntk::select_by_variance(
        &matrix(&r["K_pool"]),
        &matrix(&r["K_test_pool"]),
        &vector(&r["k_test_diag"]),
        number(&r["noise_var"]),
        4,
    )
    .unwrap();
    let (points, values): (Vec<usize>, Vec<f64>) = chosen.into_iter().unzip();
    assert_eq!(points, labels(&r["selected"]));
    close("criterion", &values, &vector(&r["criterion"]), 1e-11);
}

/// A linear network of one hidden layer in the maximal-update limit is the finite network of width d_in + d_out whose first weights
/// are (σ₁I, 0) and whose last are (0, σ₂I); trained by gradient descent through the Jacobian.
#[test]
fn linear_network_in_the_maximal_update_limit() {
    let file = read(include_str!("../reference/theory_misc.json"));
    let r = &file["mup_linear"];
    let (x, y) = (rows(&r["X"]), matrix(&r["Y"]));
    let (inputs, outputs) = (x.dim(), y.ncols());
    let hidden = inputs + outputs;
    let (first, second) = (number(&r["sigma1"]), number(&r["sigma2"]));
    let (alpha, rate) = (number(&r["alpha"]), number(&r["lr"]));
    let place = |rows, cols, shift: usize, by_rows: bool, value: f64| {
        DMatrix::from_fn(rows, cols, |i, j| {
            let (i, j) = if by_rows { (i, j + shift) } else { (i + shift, j) };
            if i == j { value } else { 0.0 }
        })
    };
    let layer = |weights| DenseLayer { weights, bias: None, w_std: 1.0, b_std: 0.0 };
    // Inputs go to the first hidden units, outputs come from the last ones.
    let mut v = DMatrix::zeros(hidden, outputs);
    v.view_mut((inputs, 0), (outputs, outputs)).copy_from(&place(outputs, outputs, 0, true, second));
    let mut net = Mlp::new(
        vec![layer(place(inputs, hidden, 0, true, first)), layer(v)],
        Activation::Identity,
        Parameterization::Standard,
    )
    .unwrap();
    let mut step = 0;
    for point in r["trajectory"].as_array().unwrap() {
        while step < point["step"].as_u64().unwrap() {
            let residual = (net.outputs(&x).unwrap() * alpha - &y).transpose();
            let jacobian = net.jacobian(&x).unwrap();
            // Rows of the Jacobian are all outputs of a point together.
            let slope = jacobian.matrix().tr_mul(&DVector::from_column_slice(residual.as_slice()));
            let moved: Vec<f64> = net
                .flat_parameters()
                .iter()
                .zip(&slope)
                .map(|(p, g)| p - rate * alpha * g / x.len() as f64)
                .collect();
            net = net.with_parameters(&moved).unwrap();
            step += 1;
        }
        let f = net.outputs(&x).unwrap() * alpha;
        let expected = matrix(&point["f"]);
        assert!((&f - &expected).amax() <= 1e-12 * (1.0 + expected.amax()), "step {step}: {f} {expected}");
    }
}

#[test]
fn bits_of_inductive_bias() {
    let file = read(include_str!("../reference/theory_misc.json"));
    let r = &file["inductive_bias"];
    let of = |key: &str| number(&r[key]);
    let got = inductive_bias(of("target_error"), of("df"), of("nc"), of("scale")).unwrap();
    close("nats", &[got], &[of("neg_log_prob")], 1e-12);
}
