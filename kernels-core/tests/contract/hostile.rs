//! Any parameters on any points: an error or a symmetric matrix, never a panic.

use kernels_core::{
    AnyKernel, Definiteness, Describe, DynKernel, Error, Kernel, Paths, Readable, Rows, Strings, diagonal,
    gram, gram_gradient,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

/// What may stand for an argument, right or wrong.
pub(crate) fn argument() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "-0.0",
        "1",
        "-1",
        "0.5",
        "2",
        "3",
        "7",
        "64",
        "1e300",
        "1e-300",
        "5e-324",
        "inf",
        "1e15",
        "1000000",
        "[]",
        "[1]",
        "[1, 2]",
        "[[1]]",
        "[[1, 2], [3]]",
        "[[2, 0], [0, 1]]",
        "[0, -1, 1e300]",
        "word",
        "true",
        "false",
        "auto",
        "\"text\"",
        "rbf()",
        "2 * linear()",
        "fd(dyadic=1, order=1)",
        "polynomial(order=3)",
        "truncated(levels=2)",
        "unit",
        "log1p",
        "levels",
        "tensor",
        "all",
    ])
}

/// Calls of the families of a vocabulary with some of their parameters set to anything.
pub(crate) fn calls<P: Readable>(inside: &'static str) -> impl Strategy<Value = String> {
    let names = P::vocabulary();
    let families: Vec<_> = names.families().collect();
    (prop::sample::select(families), prop::collection::vec(prop::option::of(argument()), 10)).prop_map(
        move |(family, values)| {
            let given = family.parameters.iter().zip(values);
            let given = given.filter_map(|(p, value)| value.map(|value| format!("{}={value}", p.name)));
            let first = family.of_kernel.then(|| inside.to_owned());
            format!("{}({})", family.name, first.into_iter().chain(given).collect::<Vec<_>>().join(", "))
        },
    )
}

fn number() -> impl Strategy<Value = f64> {
    let hostile =
        vec![0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 5e-324, 1e150, 1e300, -1e300, f64::NAN, f64::INFINITY];
    prop_oneof![3 => -2.0..2.0_f64, 1 => prop::sample::select(hostile)]
}

/// Reads, and forms all that can be formed.
fn answers<P: Readable<Scalar = f64>>(text: &str, xs: &P) -> Result<(), TestCaseError> {
    let kernel: DynKernel<P> = match text.parse() {
        Ok(kernel) => kernel,
        Err(Error::Syntax { column, .. }) => {
            prop_assert!(column >= 1 && column <= text.chars().count() + 1, "{text}: column {column}");
            return Ok(());
        }
        Err(other) => return Err(TestCaseError::fail(format!("{text}: {other}"))),
    };
    let printed = kernel.to_string();
    let again: DynKernel<P> =
        printed.parse().map_err(|e| TestCaseError::fail(format!("{text}, {printed}: {e}")))?;
    prop_assert_eq!(again.to_string(), printed);
    let Ok(k) = gram(&kernel, xs) else { return Ok(()) };
    let own = diagonal(&kernel, xs);
    prop_assert!(own.is_ok());
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    for i in 0..xs.len() {
        for j in 0..i {
            prop_assert!(same(k[(i, j)], k[(j, i)]), "{text}: {} {}", k[(i, j)], k[(j, i)]);
        }
    }
    let weights = DMatrix::from_element(xs.len(), xs.len(), 1.0);
    prop_assert_eq!(gram_gradient(&kernel, xs, weights.as_view()).unwrap().len(), kernel.params().len());
    prop_assert!(!matches!(kernel.definiteness(), Definiteness::Conditional(0)));
    kernel.check(xs).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rows(text in calls::<Rows<f64>>("rbf()"), n in 0_usize..4, d in 0_usize..4, values in prop::collection::vec(number(), 9)) {
        let values: Vec<f64> = values.into_iter().cycle().take(n * d).collect();
        answers(&text, &Rows::from_row_major(values, n, d).unwrap())?;
    }

    #[test]
    fn paths(text in calls::<Paths<f64>>("gak()"), lengths in prop::collection::vec(1_usize..4, 0..4), d in 1_usize..3,
             values in prop::collection::vec(number(), 18)) {
        let total: usize = lengths.iter().sum();
        let values: Vec<f64> = values.into_iter().cycle().take(total * d).collect();
        let knots = Rows::from_row_major(values, total, d).unwrap();
        answers(&text, &Paths::new(knots, &lengths).unwrap())?;
    }

    #[test]
    fn strings(text in calls::<Strings>("spectrum(k=1)"), words in prop::collection::vec("[ab\u{e9}]{0,5}", 0..4)) {
        answers(&text, &Strings::new(words))?;
    }
}

/// The features of what has no features at all.
#[test]
fn no_points_and_no_features() {
    for family in Rows::<f64>::vocabulary().families() {
        let inside = if family.of_kernel { "rbf()" } else { "" };
        let kernel: AnyKernel<f64> = format!("{}({inside})", family.name).parse().unwrap();
        for (n, d) in [(0, 0), (0, 2), (1, 0), (3, 0), (1, 1)] {
            let xs = Rows::from_row_major(vec![0.25; n * d], n, d).unwrap();
            if let Ok(k) = gram(&kernel, &xs) {
                assert_eq!(k.shape(), (n, n), "{}", family.name);
            }
        }
    }
}
