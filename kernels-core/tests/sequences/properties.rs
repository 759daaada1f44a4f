//! What holds for all paths and strings.
#![cfg(feature = "testing")]

use super::*;
use kernels_core::{
    Describe, DynKernel, Error, Kernel, Linear, Rows, Strings, check_kernel, cross_gram, gram,
};
use proptest::prelude::*;

/// Ragged data sets of short paths, some of a single knot, some equal.
pub(crate) fn ragged(dim: usize, size: f64) -> impl Strategy<Value = Paths<f64>> {
    prop::collection::vec(1..7_usize, 0..6).prop_flat_map(move |lengths| {
        let n = lengths.iter().sum::<usize>() * dim;
        prop::collection::vec(-size..size, n).prop_map(move |values| {
            let total = lengths.iter().sum();
            Paths::new(Rows::from_row_major(values, total, dim).unwrap(), &lengths).unwrap()
        })
    })
}

fn text() -> impl Strategy<Value = DynKernel<Paths<f64>>> {
    prop::sample::select(vec![
        "signature()",
        "signature(static=rbf(length_scale=0.7), tol=1e-13)",
        "signature(static=0.5 * linear(), solver=polynomial(order=24))",
        "signature(static=matern(nu=1.5), normalize=true, time=true)",
        "signature(static=linear(), solver=truncated(levels=4, order=4), lead_lag=true)",
        "signature(static=rbf(), solver=truncated(levels=3, order=1), normalize=levels)",
        "signature(static=rbf(), solver=truncated(levels=3, order=2), differences=false)",
        "signature(normalize=tensor, bound=4, exponent=1)",
        "signature(static=rbf(), normalize=tensor_log)",
        "gak(length_scale=0.8)",
        "gak(length_scale=[0.8, 2], triangle=3, normalize=false)",
        "2 * signature(static=rbf()) + white(variance=0.5)",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn words() -> impl Strategy<Value = Strings> {
    prop::collection::vec(prop::collection::vec(0..3_u32, 0..8), 0..6).prop_map(Strings::from_symbols)
}

fn on_strings() -> impl Strategy<Value = DynKernel<Strings>> {
    prop::sample::select(vec![
        "spectrum(k=2)",
        "normalize(mismatch(k=3, m=1, alphabet=4))",
        "gapped(g=4, k=2)",
        "subsequence(n=2, decay=0.7)",
        "all_subsequences()",
        "weighted_degree(degree=3)",
    ])
    .prop_map(|text| text.parse().unwrap())
}

check_kernel!(kernels_of_paths, text(), ragged(2, 1.5));
check_kernel!(kernels_of_strings, on_strings(), words());

#[test]
fn texts_round_trip_and_name_what_is_wrong() {
    for text in [
        "signature(static=linear(), solver=fd(dyadic=2, order=2, naive=true), time=true)",
        "signature(static=rbf(length_scale=0.5), tol=1e-9, normalize=tensor, bound=4, exponent=1)",
        "gak(length_scale=2, triangle=0, normalize=true)",
    ] {
        let kernel: DynKernel<Paths<f64>> = text.parse().unwrap();
        assert_eq!(kernel.expression().map(|e| e.to_string()), kernel.to_string().into());
        assert_eq!(kernel.to_string().parse::<DynKernel<Paths<f64>>>().unwrap(), kernel);
    }
    let short: DynKernel<Paths<f64>> = "signature(solver=truncated(4))".parse().unwrap();
    let long: DynKernel<Paths<f64>> =
        "signature(static=linear(), solver=truncated(levels=4, order=4))".parse().unwrap();
    assert_eq!(short.to_string(), long.to_string().replace("linear()", "linear(offset=0)"));
    for (wrong, says) in [
        ("signature(solver=euler(2))", "unknown solver `euler`"),
        ("signature(solver=fd(dyadic=7))", "from 0 to 6"),
        ("signature(static=rbf(), normalize=maybe)", "tensor_log"),
        ("signature(solver=polynomial(degree=3))", "unknown parameter of `polynomial`"),
    ] {
        let error = wrong.parse::<DynKernel<Paths<f64>>>().unwrap_err().to_string();
        assert!(error.contains(says), "{wrong}: {error}");
    }
}

#[test]
fn what_is_not_a_kernel_is_refused() {
    let paths = Paths::from_array(vec![0.0, 1.0], 1, 2, 1).unwrap();
    for text in [
        "signature(static=sigmoid())",
        "signature(differences=false)",
        "signature(normalize=levels)",
        "signature(solver=truncated(3), normalize=tensor)",
        "signature(static=rbf(length_scale=[1, 2]))",
    ] {
        let kernel: DynKernel<Paths<f64>> = text.parse().unwrap();
        assert!(kernel.check(&paths).is_err(), "{text}");
    }
    // Conditionally positive definite lifts are fine: only differences are seen.
    let kernel: DynKernel<Paths<f64>> = "signature(static=multiquadric())".parse().unwrap();
    assert!(kernel.check(&paths).is_ok());
    assert!(matches!(Paths::from_array(Vec::<f64>::new(), 1, 0, 1), Err(Error::TooFewPoints { .. })));
    let flat = Paths::from_array(vec![0.0; 4], 1, 2, 2).unwrap();
    assert!(cross_gram(&Signature::new(Linear::new(0.0).unwrap()), &paths, &flat).is_err());
}

fn exact() -> Signature<AnyKernel<f64>> {
    Signature::new(lift("linear"))
}

fn pair() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let values = || {
        prop::collection::vec(-1.0..1.0_f64, 2..9)
            .prop_map(|v| v.into_iter().flat_map(|x| [x, x * x - 0.3]).collect())
    };
    (values(), values())
}

fn plane(values: &[f64]) -> Paths<f64> {
    Paths::from_array(values.to_vec(), 1, values.len() / 2, 2).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Speed, shifts, rotations, reversal of both, halves of segments: none is seen; and |k| obeys Cauchy and Schwarz.
    #[test]
    fn invariances((x, y) in pair(), angle in 0.0..6.0_f64, at in 0.0..1.0_f64) {
        let k = |x: &[f64], y: &[f64]| value(&exact(), &plane(x), &plane(y));
        let whole = k(&x, &y);
        let size = (k(&x, &x) * k(&y, &y)).sqrt();
        let near = |other: f64| (other - whole).abs() <= 1e-10 * size;
        prop_assert!(whole.abs() <= size * (1.0 + 1e-10));
        prop_assert!(k(&x, &x) >= 1.0 - 1e-12);
        prop_assert!(near(k(&y, &x)));
        // A knot on a segment, and a knot twice.
        let mut finer = x[..2].to_vec();
        finer.extend([x[0] + at * (x[2] - x[0]), x[1] + at * (x[3] - x[1])]);
        finer.extend(&x[2..4]);
        finer.extend(&x[2..]);
        prop_assert!(near(k(&finer, &y)), "a knot more: {} for {whole}", k(&finer, &y));
        let shifted: Vec<f64> = x.iter().map(|v| v + 3.0).collect();
        prop_assert!(near(k(&shifted, &y)));
        let turn = |v: &[f64]| -> Vec<f64> {
            let (s, c) = angle.sin_cos();
            v.chunks(2).flat_map(|p| [c * p[0] - s * p[1], s * p[0] + c * p[1]]).collect()
        };
        prop_assert!(near(k(&turn(&x), &turn(&y))));
        let reverse = |v: &[f64]| -> Vec<f64> { v.chunks(2).rev().flatten().copied().collect() };
        prop_assert!(near(k(&reverse(&x), &reverse(&y))));
        // k(λx, y) = k(x, λy)
        let grown = |v: &[f64]| -> Vec<f64> { v.iter().map(|x| 1.3 * x).collect() };
        prop_assert!((k(&grown(&x), &y) - k(&x, &grown(&y))).abs() <= 1e-10 * size * size);
        // A path and back again is no path.
        let mut loop_of_x = x.clone();
        loop_of_x.extend(reverse(&x).into_iter().skip(2));
        prop_assert!((k(&loop_of_x, &y) - 1.0).abs() <= 1e-10 * size * size);
    }

    /// The truncated kernel is the inner product of signatures built by Chen's identity, and of shuffled products.
    #[test]
    fn levels_are_inner_products_of_signatures((x, y) in pair()) {
        let kernel = exact().solver(Solver::Truncated { levels: 4, order: 4 }).unwrap();
        let (a, b) = (signature(&x, 2, 4), signature(&y, 2, 4));
        let (px, py) = (plane(&x), plane(&y));
        let levels = kernel.levels(px.point(0), py.point(0)).unwrap();
        for (l, k) in levels.iter().enumerate() {
            let inner: f64 = a[l].iter().zip(&b[l]).map(|(a, b)| a * b).sum();
            let size: f64 = a[l].iter().zip(&b[l]).map(|(a, b)| (a * b).abs()).sum();
            prop_assert!((inner - k).abs() <= 1e-11 * (1.0 + size), "level {l}: {inner} and {k}");
        }
        // S(i) S(j) = S(ij) + S(ji)
        for i in 0..2 {
            for j in 0..2 {
                let shuffled = a[2][2 * i + j] + a[2][2 * j + i];
                prop_assert!((a[1][i] * a[1][j] - shuffled).abs() < 1e-12);
            }
        }
    }

    /// A value has the same bits alone, in a batch, and for any number of threads.
    #[test]
    fn bits_do_not_depend_on_company(xs in ragged(3, 1.0)) {
        let kernel = Signature::new(lift("rbf"));
        let all = gram(&kernel, &xs).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            prop_assert_eq!(&pool.install(|| gram(&kernel, &xs)).unwrap(), &all);
        }
    }
}

/// All levels of the signature of a path, by Chen's identity segment by segment.
fn signature(values: &[f64], dim: usize, depth: usize) -> Vec<Vec<f64>> {
    let mut s: Vec<Vec<f64>> =
        (0..=depth).map(|l| vec![if l == 0 { 1.0 } else { 0.0 }; dim.pow(l as u32)]).collect();
    for pair in values.chunks(dim).collect::<Vec<_>>().windows(2) {
        let step: Vec<f64> = pair[1].iter().zip(pair[0]).map(|(b, a)| b - a).collect();
        // exp(step)
        let mut e = vec![vec![1.0]];
        for l in 1..=depth {
            let next = e[l - 1].iter().flat_map(|v| step.iter().map(move |s| v * s / l as f64)).collect();
            e.push(next);
        }
        let product = |l: usize| {
            let mut out = vec![0.0; dim.pow(l as u32)];
            for k in 0..=l {
                for (a, u) in s[k].iter().enumerate() {
                    for (b, v) in e[l - k].iter().enumerate() {
                        out[a * e[l - k].len() + b] += u * v;
                    }
                }
            }
            out
        };
        s = (0..=depth).map(product).collect();
    }
    s
}

#[test]
fn signatures_of_the_file() {
    let file = read(include_str!("../reference/signature/signatures.json"));
    for case in file["cases"].as_array().unwrap() {
        let (values, dim) = path(&case["path"]);
        let depth = case["depth"].as_u64().unwrap() as usize;
        let got = signature(&values, dim, depth).split_off(1).concat();
        let expected = numbers(&case["signature_levels_1_to_depth_row_major"]);
        let solver = Solver::Truncated { levels: depth, order: depth };
        let p = Paths::from_array(values.clone(), 1, values.len() / dim, dim).unwrap();
        let levels = exact().solver(solver).unwrap().levels(p.point(0), p.point(0)).unwrap();
        for (g, e) in got.iter().zip(&expected) {
            close(*g, *e, 1e-12, "signature");
        }
        let squared: f64 = expected.iter().map(|v| v * v).sum();
        close(levels.iter().sum::<f64>(), 1.0 + squared, 1e-11, "squared norm");
    }
}

/// Errors fall by the factor of the scheme's order for every halving, and solvers keep their tolerance.
#[test]
fn order_of_schemes_is_as_said() {
    let wave = |n: u32, phase: f64| {
        let values = (0..n).flat_map(|i| {
            let t = 3.0 * f64::from(i) / f64::from(n - 1);
            [(t + phase).sin(), (2.0 * t - phase).cos()]
        });
        Paths::from_array(values.collect(), 1, n as usize, 2).unwrap()
    };
    let (x, y) = (wave(12, 0.0), wave(17, 0.8));
    let best = value(&exact().solver(Solver::Auto { tolerance: 1e-14 }).unwrap(), &x, &y);
    for (scheme, factor) in [
        (FiniteDifferences::Explicit, 2.0),
        (FiniteDifferences::Trapezoid, 4.0),
        (FiniteDifferences::Second, 4.0),
    ] {
        let error = |dyadic| (value(&exact().solver(fd(dyadic, scheme)).unwrap(), &x, &y) - best).abs();
        let ratio = error(5) / error(6);
        // Terms of higher order in the error are still felt, where the leading one is small.
        assert!((0.9..1.3).contains(&(ratio / factor)), "{scheme:?}: {ratio}");
    }
    for tolerance in [1e-3, 1e-6, 1e-9, 1e-12] {
        for lifted in ["linear", "rbf", "matern32", "poly3"] {
            let kernel = |tolerance| Signature::new(lift(lifted)).solver(Solver::Auto { tolerance }).unwrap();
            let (a, b) = (value(&kernel(tolerance), &x, &y), value(&kernel(1e-15), &x, &y));
            let largest = value(&kernel(1e-15), &x, &x).max(value(&kernel(1e-15), &y, &y));
            assert!(
                (a - b).abs() <= tolerance * largest + 1e-14,
                "{lifted} {tolerance}: {:e}",
                (a - b).abs()
            );
        }
    }
}

#[test]
fn hostile_values() {
    let kernel = exact();
    let p = |values: Vec<f64>| Paths::from_array(values.clone(), 1, values.len(), 1).unwrap();
    let ordinary = p(vec![0.0, 1.0, 2.0]);
    for bad in [f64::NAN, f64::INFINITY, 1e200] {
        assert!(value(&kernel, &p(vec![0.0, bad, 1.0]), &ordinary).is_nan(), "{bad}");
    }
    close(value(&kernel, &p(vec![5.0]), &ordinary), 1.0, 0.0, "a single knot");
    close(value(&kernel, &p(vec![5.0; 4]), &ordinary), 1.0, 0.0, "a constant path");
    close(value(&kernel, &p(vec![1e-160, -1e-160]), &ordinary), 1.0, 0.0, "tiny");
    assert_eq!(gram(&kernel, &Paths::from_array(Vec::new(), 0, 1, 3).unwrap()).unwrap().shape(), (0, 0));
}

/// A long pair alone is swept in bands of rows, the same pair among others in one lane of many.
#[test]
fn long_paths_have_the_same_bits_alone() {
    let lengths = [50, 71, 64, 40, 57, 71];
    let total: usize = lengths.iter().sum();
    let knots = |step: f64| {
        let mut at = 0.0;
        let values = (0..2 * total).map(|i| {
            at += step * ((i * i) as f64).sin();
            at
        });
        Paths::new(Rows::from_row_major(values.collect(), total, 2).unwrap(), &lengths).unwrap()
    };
    for (step, solver) in [
        (0.1, Solver::Polynomial { order: 4 }),
        (0.1, Solver::Polynomial { order: 9 }),
        (0.3, Solver::Auto { tolerance: 1e-12 }),
        (3.0, Solver::Auto { tolerance: 1e-12 }),
    ] {
        let xs = knots(step);
        for name in ["linear", "rbf"] {
            let kernel = Signature::new(lift(name)).solver(solver).unwrap();
            let kernel = kernel.normalization(Normalization::Cosine).unwrap();
            let all = gram(&kernel, &xs).unwrap();
            for i in 0..lengths.len() {
                for j in 0..i {
                    let alone = kernel.eval(xs.point(i), xs.point(j));
                    assert_eq!(alone, all[(i, j)], "{name}, steps of {step}, {solver:?}");
                }
            }
        }
    }
}

/// One step so long that values leave the range of f64 within it: k = I₀(2 X), and NaN where the digits end.
#[test]
fn steps_that_are_long() {
    let kernel = Signature::new(Linear::new(0.0).unwrap());
    for (length, ln_k) in [(300.0, 595.882_805_146_433_8), (1000.0, 1_995.280_672_752_657_4)] {
        let values = [0.0, length];
        let x = Path::new(&values, 1).unwrap();
        let got = kernel.scaled(x, x).unwrap().ln_abs();
        // Eleven digits are what the plan for such growth is known to give.
        assert!((got - ln_k).abs() < 1e-10 * ln_k, "{got}");
    }
    let values = [0.0, 1e9];
    let x = Path::new(&values, 1).unwrap();
    let value: f64 = kernel.eval(x, x);
    assert!(value.is_nan());
}
