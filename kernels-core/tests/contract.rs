//! The contract on every kernel, operator and feature map of this crate, and the text form.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

#[path = "contract/hostile.rs"]
mod hostile;

use kernels_core::{
    AnyKernel, Cauchy, Dense, Describe, Error, Exponential, Kernel, Laplacian, LazyGram, LengthScale, Matern,
    Points, RandomFourier, RationalQuadratic, Rbf, Readable, Rows, ScaledOperator, Shifted, Spectral,
    SumOperator, check_feature_map, check_kernel, check_operator, features, gram, parse,
    testing::{self, rows, tame_rows},
};
use nalgebra::DMatrix;
use proptest::prelude::*;

/// Texts of every family with parameters drawn within reason.
fn family() -> impl Strategy<Value = String> {
    let number = || (0.2_f64..4.0).prop_map(|v| (v * 100.0).round() / 100.0);
    let with = move |text: &'static str| {
        (number(), number())
            .prop_map(move |(a, b)| text.replace('A', &a.to_string()).replace('B', &b.to_string()))
    };
    prop_oneof![
        with("rbf(length_scale=A)"),
        with("matern(nu=0.5, length_scale=A)"),
        with("matern(nu=1.5, length_scale=A)"),
        with("matern(nu=2.5, length_scale=A)"),
        with("matern(nu=6.5, length_scale=A)"),
        with("laplacian(length_scale=A)"),
        with("exponential(length_scale=A)"),
        with("rational_quadratic(alpha=A, length_scale=B)"),
        with("inverse_multiquadric(c=A, beta=B)"),
        with("multiquadric(c=A, beta=0.6)"),
        with("cauchy(length_scale=A)"),
        with("gamma_exponential(gamma=1.4, length_scale=A)"),
        with("periodic(period=A, length_scale=B)"),
        with("linear(offset=A)"),
        with("polynomial(degree=2, gamma=A, offset=B)"),
        with("sigmoid(gamma=A, offset=B)"),
        with("cosine()"),
        with("white(variance=A)"),
        with("constant(value=A)"),
        with("A * rbf(length_scale=B) + white(variance=A)"),
        with("periodic(period=A, length_scale=1) * rbf(length_scale=B)"),
        with("normalize(polynomial(degree=2, gamma=A, offset=B))"),
        with("power_of(A * rbf(length_scale=B) + constant(value=0.5), n=3)"),
        with("exp_of(0.3 * cosine() + A * rbf(length_scale=B))"),
        with("matern(nu=A, length_scale=B)"),
        with("cauchy_product(length_scale=A)"),
        with("sinc(length_scale=A)"),
        with("sech(length_scale=A)"),
        with("logistic(length_scale=A)"),
        with("generalized_gaussian(beta=1.3, length_scale=A)"),
        with("exponential_dot(length_scale=A)"),
        with("taylor(coefficients=[A, 1, 0, B])"),
        with("arccos(order=0)"),
        with("arccos(order=1)"),
        with("arccos(order=2)"),
        with("overlap()"),
        with("hamming(gamma=A)"),
        with("aitchison_aitken(lambda=0.4, categories=3)"),
        with("bernoulli(order=1)"),
        with("bernoulli(order=3)"),
        with("weighted_bernoulli(gamma=A)"),
        with("power(p=1.2)"),
        with("log(a=A, p=0.7)"),
        with("polyharmonic(k=3)"),
        with("thin_plate()"),
        with("energy_distance(p=1.4)"),
        with("anova(rbf(length_scale=A) + white(variance=B), order=[A, B, 0.5])"),
        with("exp_of(A * power(p=1))"),
        with("warp(rbf(length_scale=A), transform=asinh)"),
        with(
            "warp(rbf(length_scale=A) + 0.3 * matern(nu=2.5, length_scale=B), transform=log1p, features=[0, 0])"
        ),
        with("warp(normalize(linear(offset=A)) + white(variance=B), transform=unit)"),
        with("2 * (linear(offset=A) + matern(nu=1.5, length_scale=B)) * cauchy(length_scale=A)"),
    ]
}

fn kernel() -> impl Strategy<Value = AnyKernel<f64>> {
    family().prop_map(|text| text.parse().unwrap())
}

/// Kernels of rows of values that are not negative, and of values in [0, 1].
fn histograms() -> impl Strategy<Value = AnyKernel<f64>> {
    let texts = vec![
        "chi2(gamma=0.8)",
        "additive_chi2()",
        "chi2_similarity()",
        "intersection()",
        "intersection(beta=0.7)",
        "hellinger()",
        "jensen_shannon()",
        "minmax()",
        "brownian()",
        "fractional_brownian(hurst=0.3)",
        "integrated_brownian()",
        "brownian_bridge(horizon=1.5)",
        "sobolev(order=1)",
        "sobolev(order=2)",
        "sobolev(order=3)",
    ];
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

fn absolute(xs: Rows<f64>) -> Rows<f64> {
    Rows::new(&xs.to_matrix().abs())
}

fn in_unit_interval(xs: Rows<f64>) -> Rows<f64> {
    Rows::new(&xs.to_matrix().map(|v| (v.abs() / 1.5).min(1.0)))
}

/// Kernels with parameters for three features.
fn of_three() -> impl Strategy<Value = AnyKernel<f64>> {
    let texts = vec![
        "mahalanobis(precision=[[2, 0.5, 0], [0.5, 1, 0.3], [0, 0.3, 1.5]])",
        "spectral_mixture(weights=[0.6, 0.4], means=[[0.1, 0.3, 0.2], [0.5, 0, 0.4]], \
         scales=[[0.2, 0.1, 0.3], [0.05, 0.4, 0.2]])",
        "hamming(gamma=[0.5, 1, 2])",
        "sinc(length_scale=[0.5, 1, 2])",
        "generalized_gaussian(beta=1.7, length_scale=[0.5, 1, 2])",
        "weighted_bernoulli(gamma=[0.5, 1, 2])",
        "warp(gegenbauer(dim=3, eigenvalues=[1, 0.5, 0.2, 0.1]), transform=unit)",
        "anova(matern(nu=1.2), order=3)",
    ];
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

/// Kernels of compact support with two continuous derivatives, in up to three dimensions.
fn compact() -> impl Strategy<Value = AnyKernel<f64>> {
    let texts = vec![
        "wendland(smoothness=2, dim=3, support=2.5)",
        "wendland(smoothness=3, dim=3, support=1.5)",
        "bspline(order=4, length_scale=1.2)",
        "bspline(order=6, length_scale=0.7)",
        "power_of(bspline(order=4), n=2) * rbf(length_scale=0.8)",
    ];
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

/// Kernels whose digits go with the scale: near 1 the arcsine loses as many as its argument has grown large, and similarities
/// of Tanimoto are quotients of squares.
fn of_moderate() -> impl Strategy<Value = AnyKernel<f64>> {
    let texts = vec!["arcsin(sigma2=[0.5, 1, 2, 0.3])", "tanimoto()"];
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

fn moderate(xs: Rows<f64>) -> Rows<f64> {
    Rows::new(&xs.to_matrix().map(|v| if v.abs() < 1e-100 { 0.0 } else { v.clamp(-1e3, 1e3) }))
}

/// Kernels with a length scale a feature, for three features.
fn ard() -> impl Strategy<Value = AnyKernel<f64>> {
    let name = prop::sample::select(vec![
        "rbf(length_scale=L)",
        "matern(nu=0.5, length_scale=L)",
        "matern(nu=2.5, length_scale=L)",
        "laplacian(length_scale=L)",
        "rational_quadratic(alpha=0.7, length_scale=L)",
        "gamma_exponential(gamma=0.8, length_scale=L)",
    ]);
    (name, prop::array::uniform3(0.3_f64..3.0))
        .prop_map(|(text, [a, b, c])| text.replace('L', &format!("[{a}, {b}, {c}]")).parse().unwrap())
}

check_kernel!(families_on_hostile_points, kernel(), rows(0..8, 0..4));
check_kernel!(families_in_many_dimensions, kernel(), rows(0..20, 15..20));
check_kernel!(ard_on_hostile_points, ard(), rows(0..8, 3..4));
check_kernel!(gradients_of_families, kernel(), tame_rows(0..8, 1..4), gradients);
check_kernel!(gradients_in_many_dimensions, kernel(), tame_rows(2..9, 16..18), gradients);
check_kernel!(gradients_of_ard, ard(), tame_rows(0..8, 3..4), gradients);
check_kernel!(derivatives_of_families, kernel(), tame_rows(2..5, 1..4), derivatives);
check_kernel!(derivatives_of_ard, ard(), tame_rows(2..5, 3..4), derivatives);
check_kernel!(histograms_on_hostile_points, histograms(), rows(0..8, 0..4).prop_map(absolute));
check_kernel!(splines_on_the_interval, histograms(), rows(0..8, 0..4).prop_map(in_unit_interval));
check_kernel!(
    gradients_of_histograms,
    histograms(),
    tame_rows(0..6, 1..4).prop_map(in_unit_interval),
    gradients
);
check_kernel!(
    derivatives_of_histograms,
    histograms(),
    tame_rows(2..5, 1..4).prop_map(|xs| Rows::new(&in_unit_interval(xs).to_matrix().map(|v| 0.05 + 0.9 * v))),
    derivatives
);
check_kernel!(gradients_of_compact, compact(), tame_rows(0..8, 1..4), gradients);
check_kernel!(derivatives_of_compact, compact(), tame_rows(2..5, 1..4), derivatives);
check_kernel!(families_on_moderate_points, of_moderate(), rows(0..8, 3..4).prop_map(moderate));
check_kernel!(gradients_of_moderate, of_moderate(), tame_rows(0..6, 3..4), gradients);
check_kernel!(derivatives_of_moderate, of_moderate(), tame_rows(2..5, 3..4), derivatives);
check_kernel!(parameters_of_three_features, of_three(), rows(0..8, 3..4));
check_kernel!(gradients_of_three_features, of_three(), tame_rows(0..6, 3..4), gradients);
check_kernel!(derivatives_of_three_features, of_three(), tame_rows(2..5, 3..4), derivatives);
check_kernel!(
    single_precision,
    singles(),
    // Powers of larger numbers overflow: ∞ − ∞ and ∞/∞ come in some orders of the terms and not in others.
    rows(0..8, 0..20).prop_map(|xs| Rows::new(&xs.to_matrix().map(|v| v.clamp(-1e5, 1e5) as f32)))
);

fn singles() -> impl Strategy<Value = AnyKernel<f32>> {
    family().prop_map(|text| text.parse().unwrap())
}

fn some_gram() -> DMatrix<f64> {
    let xs = Rows::from_row_major((0..90).map(|i| f64::from(i * i % 17)).collect(), 30, 3).unwrap();
    gram(&Rbf::new(3.0).unwrap(), &xs).unwrap()
}

/// Lends a lazy operator what it borrows for as long as the test runs.
fn lazy(budget: usize) -> LazyGram<'static, Rows<f64>, AnyKernel<f64>> {
    let xs = Rows::from_row_major((0..900).map(|i| f64::from(i).sin()).collect(), 300, 3).unwrap();
    let kernel: AnyKernel<f64> = "matern(nu=1.5) + white(variance=0.1)".parse().unwrap();
    LazyGram::new(Box::leak(Box::new(kernel)), Box::leak(Box::new(xs)), budget).unwrap()
}

check_operator!(dense_operator, Dense::new(some_gram()).unwrap());
check_operator!(empty_operator, Dense::new(DMatrix::<f64>::zeros(0, 0)).unwrap());
check_operator!(shifted_operator, Shifted::new(Dense::new(some_gram()).unwrap(), 0.7));
check_operator!(scaled_operator, ScaledOperator::new(-2.5, Dense::new(some_gram()).unwrap()));
check_operator!(
    sum_of_operators,
    SumOperator::new::<f64>(Dense::new(some_gram()).unwrap(), Dense::new(some_gram() * 3.0).unwrap())
        .unwrap()
);
check_operator!(lazy_operator, lazy(16 << 20));
check_operator!(lazy_operator_in_little_memory, lazy(70_000));

check_feature_map!(
    random_fourier,
    RandomFourier::new(&Matern::new(1.5, vec![1.0, 2.0]).unwrap(), 2, 9, 3).unwrap(),
    rows(0..9, 2..3)
);

#[test]
fn operators_refuse_what_does_not_fit() {
    assert!(Dense::new(DMatrix::<f64>::zeros(2, 3)).is_err());
    let (two, three) =
        (Dense::new(DMatrix::<f64>::zeros(2, 2)).unwrap(), Dense::new(DMatrix::<f64>::zeros(3, 3)).unwrap());
    assert!(SumOperator::new::<f64>(two, three).is_err());
    assert!(RandomFourier::new(&Rbf::new([1.0, 2.0]).unwrap(), 3, 5, 0).is_err());
    assert!(RandomFourier::new(&Rbf::new(1.0).unwrap(), 3, 0, 0).is_err());
}

/// Mean of the estimate within 5 standard errors of the kernel, by the closed form of its variance; 12 comparisons at a two-sided level
/// of 6e-7 each. Frequencies of one map are independent, so that one map of many is many maps of one.
#[test]
fn random_fourier_features_are_unbiased() {
    fn check(kernel: &(impl Kernel<Rows<f64>> + Spectral)) {
        let draws = 40_000;
        let map = RandomFourier::new(kernel, 3, draws, 11).unwrap();
        for scale in [0.3, 1.5] {
            let (x, y) = ([0.0; 3], [scale, -0.5 * scale, 0.2 * scale]);
            let double = y.map(|v| 2.0 * v);
            let z = features(&map, &Rows::from_row_major([x, y].concat(), 2, 3).unwrap()).unwrap();
            let estimate = z.row(0).dot(&z.row(1));
            let (k, k2) = (kernel.eval(&x, &y), kernel.eval(&x, &double));
            let deviation = ((1.0 + k2 - 2.0 * k * k) / (2.0 * draws as f64)).sqrt();
            assert!((estimate - k).abs() <= 5.0 * deviation, "{estimate} against {k}, deviation {deviation}");
            assert!((z.row(0).norm_squared() - 1.0).abs() < 1e-10);
        }
    }
    check(&Rbf::new([0.5, 1.0, 2.0]).unwrap());
    check(&Matern::new(1.5, 1.0).unwrap());
    check(&Exponential::new(1.0).unwrap());
    check(&RationalQuadratic::new(0.8, 1.0).unwrap());
    check(&Cauchy::new(1.0).unwrap());
    check(&Laplacian::new(1.0).unwrap());
}

#[test]
fn every_family_builds_with_its_defaults_and_shows_them() {
    for family in Rows::<f64>::vocabulary().families() {
        let inner = if family.of_kernel { "rbf()" } else { "" };
        let bare: AnyKernel<f64> = format!("{}({inner})", family.name).parse().unwrap();
        let defaults: Vec<String> =
            family.parameters.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
        let inner = if family.of_kernel { "rbf(length_scale=1), " } else { "" };
        let full: AnyKernel<f64> =
            format!("{}({inner}{})", family.name, defaults.join(", ")).replace(", )", ")").parse().unwrap();
        assert_eq!(bare, full, "{}", family.name);
        let words = bare.definiteness().to_string();
        assert!(family.definiteness == words || family.of_kernel, "{}: {words}", family.name);
    }
}

#[test]
fn limits_connect_the_families() {
    let xs =
        Rows::from_row_major((0..40).map(|i| (f64::from(i) * 0.7).sin() * 2.0).collect(), 20, 2).unwrap();
    let k = |text: &str| gram(&text.parse::<AnyKernel<f64>>().unwrap(), &xs).unwrap();
    let near = |a: &str, b: &str, tolerance: f64| {
        let difference = (k(a) - k(b)).amax();
        assert!(difference <= tolerance, "{a} and {b} differ by {difference:e}");
    };
    near("gamma_exponential(gamma=1)", "matern(nu=0.5)", 1e-14);
    near("exponential(length_scale=0.7)", "matern(nu=0.5, length_scale=0.7)", 1e-14);
    near("gamma_exponential(gamma=2)", "rbf(length_scale=0.7071067811865476)", 1e-14);
    near("cauchy()", "rational_quadratic(alpha=1, length_scale=0.7071067811865476)", 1e-14);
    near("rational_quadratic(alpha=1e9)", "rbf()", 1e-8);
    near("matern(nu=20.5)", "rbf()", 0.05);
    near("cosine()", "normalize(linear())", 1e-15);
    near("power_of(linear(offset=1), n=3)", "polynomial(degree=3, gamma=1, offset=1)", 1e-10);
    near("exp_of(2 * cosine())", "exp_of(cosine()) * exp_of(cosine())", 1e-13);
    near("2 * rbf() * rbf()", "2 * rbf(length_scale=0.7071067811865476)", 1e-14);
}

#[test]
fn errors_point_at_the_column_and_list_what_exists() {
    let error = |text: &str| text.parse::<AnyKernel<f64>>().unwrap_err();
    for (text, column, words) in [
        ("", 1, "a kernel, a number"),
        ("rbf", 4, "`(` after `rbf`"),
        ("rbf(", 5, "an argument or `)`"),
        ("rbf(length_scale=)", 18, "a value"),
        ("rbf() +", 8, "a kernel, a number"),
        ("rbf() rbf()", 7, "`+`, `*` or the end"),
        ("rbf(length_scale=1, length_scale=2)", 21, "given twice"),
        ("2", 1, "a number alone"),
        ("-1 * rbf()", 1, "a scale must be finite, 0 or above"),
        ("1e999 * rbf()", 1, "too large"),
        ("1.2.3 * rbf()", 1, "not a number"),
        ("linear() + rbg()", 12, "did you mean `rbf`?"),
        ("linear() + rbg()", 12, "gamma_exponential"),
        ("rbf(lenght=2)", 5, "there are: length_scale"),
        ("rbf(length_scale=-2)", 1, "finite number above 0"),
        ("rbf(length_scale=[])", 1, "at least"),
        ("rbf(length_scale=[1, x])", 22, "list of numbers"),
        ("matern(nu=-0.7)", 1, "above 0, at most 100"),
        ("matern(nu=word)", 11, "must be a number"),
        ("polynomial(degree=2.5)", 19, "integer from 1"),
        // A name that does not exist may be why a value is wrong; a value that is wrong is not why others are not read.
        ("matern(nu=-0.7, length=2)", 17, "unknown parameter of `matern` `length`"),
        ("matern(nu=-0.7, length_scale=2)", 1, "above 0, at most 100"),
        ("polynomial(degree=x, gamma=1)", 19, "integer from 1"),
        ("normalize()", 1, "needs a kernel"),
        ("normalize(3)", 11, "must be a kernel"),
        ("normalize(rbf(), 3)", 18, "no room"),
        ("warp(rbf(), transform=sin)", 23, "log1p"),
        ("center(rbf())", 1, "data set"),
        ("\u{e9}(1)", 1, "found `\u{e9}`"),
        ("rbf(\"a", 5, "no closing"),
    ] {
        let Error::Syntax { column: found, message } = error(text) else {
            panic!("{text}: not a syntax error")
        };
        assert!(found == column && message.contains(words), "{text}: column {found}: {message}");
    }
    let deep = "(".repeat(100_000);
    assert!(error(&deep).to_string().contains("levels of nesting"));
    assert!(error(&"normalize(".repeat(100_000)).to_string().contains("levels of nesting"));
    let limit: AnyKernel<f64> = "matern(nu=inf, length_scale=3)".parse().unwrap();
    assert_eq!(limit, "rbf(length_scale=3)".parse().unwrap());
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        (-1e6_f64..1e6).prop_map(|v| v.to_string()),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:?}")),
        prop::collection::vec(0.1_f64..9.0, 0..4).prop_map(|v| format!("{v:?}")),
        "[a-z_]{1,8}",
        "\"[ -~&&[^\"\\\\]]{0,10}\"",
        Just(r#""a \" b \\ c""#.to_owned()),
        Just("rbf(nu=2) + 3 * k()".to_owned()),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let call = ("[a-z_][a-z0-9_]{0,8}", prop::collection::btree_map("[a-z]{1,5}", value(), 0..4)).prop_map(
        |(name, arguments)| {
            let arguments: Vec<String> = arguments.into_iter().map(|(k, v)| format!("{k} ={v}")).collect();
            format!("{name}( {} )", arguments.join(" ,"))
        },
    );
    call.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} + {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) * ({b})")),
            (0.0_f64..1e9, inner.clone()).prop_map(|(s, a)| format!("{s} * ({a})")),
            (inner.clone(), 0.0_f64..9.0).prop_map(|(a, s)| format!("({a}) * {s}")),
            inner.prop_map(|a| format!("f({a}, 3)")),
        ]
    })
}

proptest! {
    /// What is parsed prints as text that parses to the same.
    #[test]
    fn round_trip(text in expression()) {
        let parsed = parse(&text).unwrap();
        let printed = parsed.to_string();
        prop_assert_eq!(parse(&printed).unwrap(), parsed, "printed as {}", printed);
    }

    /// Any text gets an answer, and errors point into it (or just behind it).
    #[test]
    fn hostile_text(text in "(\\PC|[a-z(),=+*. \"\\[\\]0-9e-]){0,60}") {
        if let Err(Error::Syntax { column, .. }) = text.parse::<AnyKernel<f64>>() {
            prop_assert!(column >= 1 && column <= text.chars().count() + 1, "column {} of {:?}", column, text);
        }
    }

    /// The same for truncated and spliced valid expressions.
    #[test]
    fn damaged_text(a in family(), b in family(), cut in 0_usize..40, c in any::<char>()) {
        let mut text: String = a.chars().take(cut).collect();
        text.push(c);
        text.extend(b.chars().skip(cut));
        if let Err(Error::Syntax { column, .. }) = text.parse::<AnyKernel<f64>>() {
            prop_assert!(column >= 1 && column <= text.chars().count() + 1);
        }
    }
}

/// A kernel of the wrong number of length scales, or of features that are not there, is an error and no panic.
#[test]
fn kernels_that_do_not_fit_the_points() {
    let xs = Rows::from_row_major(vec![0.0; 6], 2, 3).unwrap();
    for text in [
        "rbf(length_scale=[1, 2])",
        "laplacian(length_scale=[1, 2, 3, 4])",
        "warp(rbf(), features=[3])",
        "rbf() + rbf(length_scale=[1])",
    ] {
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        assert!(matches!(gram(&kernel, &xs), Err(Error::Shape { .. })), "{text}");
    }
    assert!(
        LengthScale::from(vec![f64::NAN]).values()[0].is_nan()
            && Rbf::new(f64::NAN).is_err()
            && Rbf::new(0.0).is_err()
    );
    assert!(xs.subset(&[2]).is_err() && Rows::from_row_major(vec![1.0], 2, 1).is_err());
    assert!(testing::kernel_contract(&Rbf::new(1.0).unwrap(), &xs).is_ok());
}

#[cfg(feature = "serde")]
#[test]
fn dynamic_kernels_are_stored_as_text() {
    let kernel: AnyKernel<f64> =
        "1.5 * matern(nu=2.5, length_scale=[0.1, 2]) + white(variance=0.01)".parse().unwrap();
    let text = serde_json::to_string(&kernel).unwrap();
    assert_eq!(text, "\"1.5 * matern(nu=2.5, length_scale=[0.1, 2]) + white(variance=0.01)\"");
    assert_eq!(serde_json::from_str::<AnyKernel<f64>>(&text).unwrap(), kernel);
}
