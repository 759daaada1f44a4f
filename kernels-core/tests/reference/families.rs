//! The second table of families against mpmath.

use kernels_core::{
    Anchored, AnyKernel, Bias, Centered, Definiteness, Describe, Gegenbauer, Kernel, Polyharmonic,
    PowerDistance, Rows, alibi_slopes, constant_shift, cross_gram, gegenbauer_eigenvalues, gram,
    spherical_harmonics,
};
use nalgebra::DMatrix;
use serde_json::Value;

use super::{matrix, read};

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn near(got: &DMatrix<f64>, expected: &DMatrix<f64>, tolerance: impl Fn(f64) -> f64, name: &str) {
    assert_eq!(got.shape(), expected.shape(), "{name}");
    for (k, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance(*e), "{name}, entry {k}: got {g:e}, expected {e:e}");
    }
}

/// Names of the file, our text, and the relative tolerance in units of 10⁻¹³. Next to the half-integers ν differs by 10⁻¹³,
/// which moves z = √(2νs) and so the value: by 6·10⁻¹² of it at z = 176, the largest here.
const STATIC: [(&str, &str, f64); 44] = [
    ("matern_0.3_iso", "matern(nu=0.3, length_scale=1.2)", 1.0),
    ("matern_0.8_iso", "matern(nu=0.8, length_scale=1.2)", 1.0),
    ("matern_1.0_iso", "matern(nu=1, length_scale=1.2)", 1.0),
    ("matern_2.0_iso", "matern(nu=2, length_scale=1.2)", 1.0),
    ("matern_4.2_iso", "matern(nu=4.2, length_scale=1.2)", 1.0),
    ("matern_10.0_iso", "matern(nu=10, length_scale=1.2)", 1.0),
    ("matern_30.0_iso", "matern(nu=30, length_scale=1.2)", 5.0),
    ("cauchy_product", "cauchy_product(length_scale=1.2)", 1.0),
    ("sinc_product", "sinc(length_scale=1.2)", 0.0),
    ("logistic_product", "logistic(length_scale=1.2)", 2.0),
    ("sech_product", "sech(length_scale=1.2)", 2.0),
    ("spectral_mixture_dot", SM, 0.0),
    ("mahalanobis_rbf", "mahalanobis(precision=[[1.2, 0.3, 0], [0.3, 0.8, -0.2], [0, -0.2, 0.5]])", 20.0),
    ("arccos_0", "arccos(order=0)", 1.0),
    ("arccos_1", "arccos(order=1)", 1.0),
    ("arccos_2", "arccos(order=2)", 10.0),
    ("arcsin_nn", "arcsin(sigma2=[0.3, 0.8])", 1.0),
    ("power_cpd1_0.5", "power(p=0.5)", 1.0),
    ("power_cpd1_1.0", "power(p=1)", 1.0),
    ("power_cpd1_1.5", "power(p=1.5)", 1.0),
    ("energy_distance_0.5", "energy_distance(p=0.5)", 1.0),
    ("energy_distance_1.0", "energy_distance(p=1)", 1.0),
    ("energy_distance_1.5", "energy_distance(p=1.5)", 10.0),
    ("log_cpd1", "log(a=1, p=1)", 1.0),
    ("log_cpd1_beta2", "log(a=1, p=2)", 1.0),
    ("tps", "thin_plate()", 1.0),
    ("tps", "polyharmonic(k=2)", 1.0),
    ("polyharmonic_1", "polyharmonic(k=1)", 1.0),
    ("polyharmonic_3", "polyharmonic(k=3)", 1.0),
    ("polyharmonic_4", "polyharmonic(k=4)", 1.0),
    ("polyharmonic_5", "polyharmonic(k=5)", 1.0),
    ("rbf_iso", "generalized_gaussian(beta=2, length_scale=1.697056274847714)", 20.0),
    ("laplacian_l1", "generalized_gaussian(beta=1, length_scale=2.5)", 2.0),
    (
        "rbf_iso",
        "mahalanobis(precision=[[0.6944444444444444, 0, 0], [0, 0.6944444444444444, 0], [0, 0, 0.6944444444444444]])",
        20.0,
    ),
    ("linear", "taylor(coefficients=[0, 1])", 1.0),
    ("polynomial", "taylor(coefficients=[1, 1.5, 0.75, 0.125])", 1.0),
    ("cosine", "warp(taylor(coefficients=[0, 1]), transform=unit)", 1.0),
    ("cosine", "warp(gegenbauer(dim=3, eigenvalues=[0, 0.3333333333333333]), transform=unit)", 1.0),
    ("matern_1.5_ard", "matern(nu=1.5000000000001, length_scale=[0.7, 1.3, 2.1])", 100.0),
    ("matern_2.5_ard", "matern(nu=2.5000000000001, length_scale=[0.7, 1.3, 2.1])", 100.0),
    ("matern_3.5_ard", "matern(nu=3.5000000000001, length_scale=[0.7, 1.3, 2.1])", 100.0),
    ("matern_0.5_ard", "matern(nu=0.5000000000001, length_scale=[0.7, 1.3, 2.1])", 100.0),
    ("arccos_1", "0.5 * arccos(order=1) + 0.5 * arccos()", 1.0),
    ("linear", "anova(linear(), order=1)", 1.0),
];

const SM: &str = "spectral_mixture(weights=[0.6, 0.4], means=[[0.1, 0.3, 0.2], [0.5, 0.05, 0.4]], \
                  scales=[[0.2, 0.1, 0.3], [0.05, 0.4, 0.2]])";

#[test]
fn static_families() {
    let file = read(include_str!("static_kernels.json"));
    let (x, y) = (matrix(&file["X"]), matrix(&file["Y"]));
    let (xs, ys) = (Rows::new(&x), Rows::new(&y));
    for (name, text, relative) in STATIC {
        let r = &file["kernels"][name];
        assert!(r["K_xx"].is_array(), "{name} is not in the file");
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        // Against the value and, where terms cancel, against their size; exponentials of large distances are as inexact as the
        // distance, and underflow is to 0.
        let terms = |k: &DMatrix<f64>| {
            if name.contains("energy") || name.contains("linear") { k.amax() } else { 0.0 }
        };
        for (got, expected) in [
            (gram(&kernel, &xs).unwrap(), matrix(&r["K_xx"])),
            (cross_gram(&kernel, &xs, &ys).unwrap(), matrix(&r["K_xy"])),
        ] {
            let size = terms(&expected).max(if relative > 0.0 { 0.0 } else { 1.0 });
            let tolerance = |e: f64| {
                let scale = e.abs().max(1e-2 * size) * (1.0 + 0.01 * e.abs().max(1e-300).ln().abs());
                1e-13 * relative.max(1.0) * scale
                    + 1e-300
                    + if name.contains("cosine") || name == "linear" { 1e-14 } else { 0.0 }
            };
            near(&got, &expected, tolerance, &format!("{name}: {text}"));
        }
    }
}

#[test]
fn anova_of_gaussians() {
    let file = read(include_str!("static_kernels.json"));
    // Length scales a feature come in through the points.
    let lengths = [0.7, 1.3, 2.1];
    let scaled = |m: DMatrix<f64>| Rows::new(&DMatrix::from_fn(m.nrows(), 3, |i, j| m[(i, j)] / lengths[j]));
    let (xs, ys) = (scaled(matrix(&file["X"])), scaled(matrix(&file["Y"])));
    for (name, text) in [
        ("anova_rbf_order_1to3", "anova(rbf(), order=[1, 0.5, 0.25])"),
        ("anova_product_1plus", "anova(rbf(), order=3) + constant(value=1)"),
    ] {
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        near(
            &gram(&kernel, &xs).unwrap(),
            &matrix(&file["kernels"][name]["K_xx"]),
            |e| 1e-13 * e.abs(),
            name,
        );
        near(
            &cross_gram(&kernel, &xs, &ys).unwrap(),
            &matrix(&file["kernels"][name]["K_xy"]),
            |e| 1e-13 * e.abs() + 1e-270,
            name,
        );
    }
}

/// Data sets of the file, by their names, with our texts.
const DISCRETE: [(&str, &str, &str); 23] = [
    ("additive_chi2_sklearn", "H", "additive_chi2()"),
    ("chi2_exp", "H", "chi2(gamma=1.3)"),
    ("chi2_vedaldi", "H", "chi2_similarity()"),
    ("histogram_intersection", "H", "intersection()"),
    ("generalized_intersection", "H", "intersection(beta=0.6)"),
    ("hellinger", "H", "hellinger()"),
    ("jensen_shannon_vedaldi", "H", "jensen_shannon()"),
    ("tanimoto", "binary", "tanimoto()"),
    ("minmax_ruzicka", "categories", "minmax()"),
    ("hamming_overlap", "categories", "overlap()"),
    ("hamming_exp", "categories", "hamming(gamma=0.7)"),
    ("aitchison_aitken", "categories", "aitchison_aitken(lambda=0.3, categories=4)"),
    ("brownian", "t", "brownian()"),
    ("fractional_brownian_0.25", "t", "fractional_brownian(hurst=0.25)"),
    ("fractional_brownian_0.7", "t", "fractional_brownian(hurst=0.7)"),
    ("brownian_bridge_T2", "t", "brownian_bridge(horizon=2)"),
    ("integrated_brownian", "t", "integrated_brownian()"),
    ("bernoulli_periodic_1", "t", "bernoulli(order=1)"),
    ("bernoulli_periodic_2", "t", "bernoulli(order=2)"),
    ("bernoulli_periodic_3", "t", "bernoulli(order=3)"),
    ("sobolev_spline_1", "half t", "sobolev(order=1)"),
    ("sobolev_spline_2", "half t", "sobolev(order=2)"),
    ("sobolev_spline_3", "half t", "sobolev(order=3)"),
];

#[test]
fn discrete_and_one_dimensional_families() {
    let file = read(include_str!("discrete_and_1d_kernels.json"));
    let points = |name: &str| match &file[name] {
        v if v[0].is_array() => Rows::new(&matrix(v)),
        v => Rows::from_row_major(numbers(v), v.as_array().unwrap().len(), 1).unwrap(),
    };
    for (name, data, text) in DISCRETE {
        let half = |xs: Rows<f64>| Rows::new(&(xs.to_matrix() * 0.5));
        let (xs, ys) = match data {
            "t" => (points("t1"), points("t2")),
            "half t" => (half(points("t1")), half(points("t2"))),
            _ => (points(data), points(&format!("{data}2"))),
        };
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let got = cross_gram(&kernel, &xs, &ys).unwrap();
        near(&got, &matrix(&file["kernels"][name]["K_xy"]), |e| 1e-13 * (1e-2 + e.abs()), name);
    }
    let kernel: AnyKernel<f64> = "weighted_bernoulli(gamma=[1, 0.5, 0.25])".parse().unwrap();
    let got = cross_gram(&kernel, &points("unit_cube_A"), &points("unit_cube_B")).unwrap();
    near(&got, &matrix(&file["kernels"]["qmc_weighted_B2"]["K_xy"]), |e| 1e-14 * (1.0 + e.abs()), "weighted");
}

#[test]
fn eigenvalues_on_spheres() {
    let file = read(include_str!("zonal.json"));
    let pi = std::f64::consts::PI;
    let functions: [(&str, &dyn Fn(f64) -> f64); 6] = [
        ("arccos0", &|t| 1.0 - t.acos() / pi),
        ("arccos1", &|t| ((1.0 - t * t).max(0.0).sqrt() + (pi - t.acos()) * t) / pi),
        ("exp(t)", &f64::exp),
        ("exp(-(1-t))_rbf_on_sphere", &|t| (t - 1.0).exp()),
        ("poly (t+1)^3", &|t| (t + 1.0).powi(3)),
        ("poisson_r0.5", &|_| f64::NAN),
    ];
    for (name, f) in functions {
        for dim in [2_u32, 3, 5] {
            let entry = &file["coeffs"][format!("{name}_d{dim}")];
            let (expected, mult) = (numbers(&entry["lambda_0_5"]), numbers(&entry["mult"]));
            for (l, n) in mult.iter().enumerate() {
                assert_eq!(spherical_harmonics(l, dim), *n);
            }
            if name.starts_with("poisson") {
                // (1 − r²)/(1 − 2rt + r²)^(d/2) has eigenvalues rˡ.
                let poisson = |t: f64| 0.75 / (1.25 - t).powf(0.5 * f64::from(dim));
                for (l, got) in gegenbauer_eigenvalues(poisson, dim, 6).unwrap().iter().enumerate() {
                    assert!((got - expected[l]).abs() < 1e-13, "{name}, {dim}, {l}: {got}");
                }
                continue;
            }
            for (l, got) in gegenbauer_eigenvalues(f, dim, 6).unwrap().iter().enumerate() {
                assert!((got - expected[l]).abs() < 1e-13, "{name}, {dim}, {l}: {got:e} {:e}", expected[l]);
            }
            // The series gives the function back.
            if name.starts_with("exp(t)") {
                let k = Gegenbauer::new(dim, gegenbauer_eigenvalues(f, dim, 30).unwrap()).unwrap();
                let mut x = vec![0.0; dim as usize];
                let mut y = x.clone();
                (x[0], y[0], y[1]) = (1.0, -0.28, 0.96);
                assert!((k.eval(&x, &y) - (-0.28_f64).exp()).abs() < 1e-13);
            }
        }
    }
}

#[test]
fn made_positive_definite() {
    let file = read(include_str!("cpd.json"));
    let x = matrix(&file["X"]);
    let xs = Rows::new(&x);
    let power = || PowerDistance::new(1.0).unwrap();
    let first = Rows::new(&x.rows(0, 1).into_owned());
    let anchored = gram(&Anchored::new(power(), &first).unwrap(), &xs).unwrap() * 0.5;
    near(&anchored, &matrix(&file["anchored_-r_at_X0_half"]), |_| 1e-14, "anchored");
    let centered = gram(&Centered::new(power(), &xs).unwrap(), &xs).unwrap();
    near(&centered, &matrix(&file["double_centred_-r"]), |_| 1e-14, "centred");
    assert_eq!(Centered::new(power(), &xs).unwrap().definiteness(), Definiteness::Positive);
    for case in file["min_constant_shift"].as_array().unwrap() {
        let n = case["n"].as_u64().unwrap() as usize;
        let distance = |i: usize, j: usize| i.abs_diff(j) as f64;
        let k = match case["kernel"].as_str().unwrap() {
            "-|i-j|" => DMatrix::from_fn(n, n, |i, j| -distance(i, j)),
            "-|i-j|^0.5" => DMatrix::from_fn(n, n, |i, j| -distance(i, j).sqrt()),
            "-log(1+|i-j|)" => DMatrix::from_fn(n, n, |i, j| -distance(i, j).ln_1p()),
            "-0.3|i-j|^1.5" => DMatrix::from_fn(n, n, |i, j| -0.3 * distance(i, j).powf(1.5)),
            other => panic!("{other}"),
        };
        let closed = case["closed_form_-1/(1^T K^-1 1)"].as_f64().unwrap();
        let got = constant_shift(&k).unwrap();
        assert!((got - closed).abs() < 1e-10 * (1.0 + closed.abs()), "{case}: {got}");
        let shifted = &k + DMatrix::from_element(n, n, got * (1.0 + 1e-9));
        assert!(shifted.symmetric_eigenvalues().min() > -1e-11 * shifted.amax());
    }
    // Order 2: three anchors in the plane.
    let anchors = Rows::from_row_major(vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0], 3, 2).unwrap();
    let spline = Anchored::new(Polyharmonic::thin_plate(), &anchors).unwrap();
    let k = gram(&spline, &xs).unwrap();
    assert!(k.clone().symmetric_eigenvalues().min() > -1e-13 * k.amax());
    assert!(spline.eval(&[1.0, 0.0], &[0.3, 0.4]).abs() < 1e-15);
    let line = Rows::from_row_major(vec![0.0, 0.0, 1.0, 1.0, 2.0, 2.0], 3, 2).unwrap();
    assert!(Anchored::new(Polyharmonic::thin_plate(), &line).is_err());
    assert!(Anchored::new(Polyharmonic::thin_plate(), &first).is_err());
    // Not conditionally positive definite at all.
    assert!(constant_shift(&DMatrix::from_fn(5, 5, |i, j| i.abs_diff(j) as f64)).is_err());
}

#[test]
fn attention_biases() {
    let file = read(include_str!("kerple.json"));
    let n = file["seq_len"].as_u64().unwrap() as usize;
    let head = |form: &str, name: &str, h: usize| file[form][name][h].as_f64().unwrap();
    let power = |h| Bias::power(head("power", "a", h), head("power", "p", h)).unwrap();
    let log = |h| Bias::log(head("log", "p", h), head("log", "a", h)).unwrap();
    for h in 0..3 {
        for (form, bias) in [("power", power(h)), ("log", log(h))] {
            let expected = matrix(&file[form]["bias"][h]);
            let (full, causal) = (bias.matrix(n), bias.causal_matrix(n));
            for i in 0..n {
                for j in 0..n {
                    let e = if j <= i { expected[(i, j)] } else { f64::NEG_INFINITY };
                    assert!(causal[(i, j)] == e || (causal[(i, j)] - e).abs() < 1e-14);
                    assert!(full[(i, j)] == causal[(i.max(j), i.min(j))]);
                }
            }
            // The bias is a conditionally positive definite kernel of the positions.
            let kernel: AnyKernel<f64> = match form {
                "power" => format!("{} * power(p={})", head("power", "a", h), head("power", "p", h)),
                _ => format!("{} * log(a={})", head("log", "p", h), head("log", "a", h)),
            }
            .parse()
            .unwrap();
            let positions = Rows::from_row_major((0..n).map(|i| i as f64).collect(), n, 1).unwrap();
            near(&gram(&kernel, &positions).unwrap(), &full, |e| 1e-14 * (1.0 + e.abs()), form);
            let c = constant_shift(&full).unwrap();
            let shifted = full.add_scalar(c * (1.0 + 1e-9));
            assert!(shifted.symmetric_eigenvalues().min() > -1e-13);
        }
    }
    let [q, k, v] = ["q", "k", "v"].map(|name| matrix(&file["attention"][name]));
    let softmax = |bias: DMatrix<f64>| {
        let mut w = &q * k.transpose() * 0.5 + bias;
        for mut row in w.row_iter_mut() {
            let largest = row.max();
            row.apply(|x| *x = (*x - largest).exp());
            let sum = row.sum();
            row /= sum;
        }
        w
    };
    for (bias, weights) in [(log(0), "weights_log_head0"), (power(1), "weights_power_head1")] {
        let w = softmax(bias.causal_matrix(n));
        near(&w, &matrix(&file["attention"][weights]), |_| 1e-13, weights);
        // A constant is not seen: the positive definite kernel gives the same attention.
        for c in [0.0, 1.0, 37.5] {
            near(&softmax(bias.causal_matrix(n).add_scalar(c)), &w, |_| 1e-13, "shifted");
        }
        if weights.contains("log") {
            near(&(w * &v), &matrix(&file["attention"]["output_log_head0"]), |_| 1e-13, "output");
        }
    }
    for (heads, slopes) in file["alibi_slopes"].as_object().unwrap() {
        let (got, expected) = (alibi_slopes(heads.parse().unwrap()), numbers(slopes));
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(&expected).all(|(g, e)| (g - e).abs() <= 1e-15 * e), "{got:?}");
    }
    assert_eq!(Bias::power(0.001, 2.0).unwrap().clamped(), Bias::power(0.01, 2.0).unwrap());
    assert!(Bias::power(1.0, 2.1).is_err() && Bias::log(0.0, 1.0).is_err() && alibi_slopes(0).is_empty());
}
