//! Sequence kernels as text.

use super::{
    AllSubsequences, FiniteDifferences, Gapped, GlobalAlignment, Mismatch, Normalization, Paths, Signature,
    Solver, Spectrum, Strings, Subsequence, WeightedDegree,
};
use crate::{
    AnyKernel, Arguments, Call, Describe, DynKernel, Error, Expr, Family, Parameter, Readable, Real, Rows,
    Value, Vocabulary,
};

static ON_PATHS: [Family; 2] = [
    Family::new(
        "signature",
        "inner product of the signatures of two paths, lifted by a kernel of their knots",
        "Σ ⟨S_l(x), S_l(y)⟩ over levels l",
        &[
            Parameter::new("static", "linear()", "kernel of knots that lifts the paths"),
            Parameter::new(
                "solver",
                "auto",
                "auto, polynomial(order), fd(dyadic, order[, naive]) or truncated(levels, order)",
            ),
            Parameter::new(
                "tol",
                "1e-12",
                "accuracy of the solver auto, relative to the largest value along the paths",
            ),
            Parameter::new(
                "normalize",
                "false",
                "false, true (cosine), levels (truncated only), tensor or tensor_log",
            ),
            Parameter::new("bound", "4", "C of normalize=tensor, above 1"),
            Parameter::new("exponent", "1", "a of normalize=tensor, above 0"),
            Parameter::new("differences", "true", "false to use values of the static kernel, truncated only"),
            Parameter::new("time", "false", "true for a channel of time beside the others"),
            Parameter::new("lead_lag", "false", "true for lead-lag transformed paths"),
        ],
    ),
    Family::new(
        "gak",
        "global alignments of two series",
        "Σ Π κ over alignments, κ = k/(2-k), k = exp(-s/2) of knots",
        &[
            Parameter::new(
                "length_scale",
                "1",
                "unit of distance of knots: a number, or a list with one value a feature",
            ),
            Parameter::new("triangle", "0", "knots as far apart in time are not aligned; 0 for no bound"),
            Parameter::new("normalize", "true", "whether the diagonal is 1"),
        ],
    ),
];

static ON_STRINGS: [Family; 6] = [
    Family::new(
        "spectrum",
        "common substrings",
        "Σ c_u(s) c_u(t) over substrings u of k symbols",
        &[Parameter::new("k", "3", "length, 1 or above")],
    ),
    Family::new(
        "mismatch",
        "substrings with some symbols changed",
        "the spectrum, a substring counting for all within m changes of it",
        &[
            Parameter::new("k", "3", "length, 1 or above"),
            Parameter::new("m", "1", "changes, at most k"),
            Parameter::new("alphabet", "4", "number of different symbols"),
        ],
    ),
    Family::new(
        "gapped",
        "places in which windows agree",
        "Σ C(g-h, k) over windows of g symbols at distance h",
        &[Parameter::new("g", "6", "length of windows"), Parameter::new("k", "3", "places, at most g")],
    ),
    Family::new(
        "subsequence",
        "common subsequences with gaps",
        "Σ decay^(spans of both occurrences) over subsequences of n symbols",
        &[
            Parameter::new("n", "3", "symbols, 1 or above"),
            Parameter::new("decay", "0.5", "factor a symbol spanned, above 0, at most 1"),
        ],
    ),
    Family::new("all_subsequences", "pairs of equal subsequences of any length", "number of pairs", &[]),
    Family::new(
        "weighted_degree",
        "equal pieces of up to some length in the same places",
        "Σ 2(D-d+1)/(D(D+1)) · places with the same d symbols",
        &[Parameter::new("degree", "3", "D, 1 or above")],
    ),
];

macro_rules! readable {
    ($($scalar:ty: $build:ident;)*) => {$(
        impl Readable for Paths<$scalar> {
            fn vocabulary() -> Vocabulary<Self> {
                ON_PATHS.iter().fold(Vocabulary::new(), |all, family| all.with(family, $build))
            }
        }

        fn $build(given: &mut Arguments<'_, Paths<$scalar>>) -> Result<DynKernel<Paths<$scalar>>, Error> {
            on_paths(given)
        }
    )*};
}

readable! {
    f64: on_paths_f64;
    f32: on_paths_f32;
}

impl Readable for Strings {
    fn vocabulary() -> Vocabulary<Self> {
        ON_STRINGS.iter().fold(Vocabulary::new(), |all, family| all.with(family, on_strings))
    }
}

fn on_paths<T: Real>(given: &mut Arguments<'_, Paths<T>>) -> Result<DynKernel<Paths<T>>, Error>
where
    Rows<T>: Readable,
{
    if given.name() == "gak" {
        let kernel = GlobalAlignment::new(given.length_scale()?)?;
        let triangle = given.whole("triangle", 0)?;
        return Ok(DynKernel::new(kernel.triangle(triangle).normalize(given.flag("normalize", true)?)));
    }
    let lift: AnyKernel<T> = match given.kernel_on::<Rows<T>>("static")? {
        Some(kernel) => kernel,
        None => "linear()".parse()?,
    };
    let tolerance = given.number("tol", 1e-12)?;
    let solver = match given.value("solver") {
        None => Solver::Auto { tolerance },
        Some((_, Value::Word(word))) if word == "auto" => Solver::Auto { tolerance },
        Some((column, Value::Expr(Expr::Call(call)))) => {
            solver(&call).map_err(|message| Error::Syntax { column, message })?
        }
        Some((column, other)) => {
            let message = format!("`{other}` is no solver; {SOLVERS}");
            return Err(Error::Syntax { column, message });
        }
    };
    let (bound, exponent) = (given.number("bound", 4.0)?, given.number("exponent", 1.0)?);
    let normalization =
        match given.choice("normalize", &["false", "true", "levels", "tensor", "tensor_log"])? {
            "false" => Normalization::None,
            "true" => Normalization::Cosine,
            "levels" => Normalization::Levels,
            "tensor" => Normalization::Tensor { bound, exponent },
            _ => Normalization::TensorLog,
        };
    let kernel = Signature::new(lift)
        .solver(solver)?
        .normalization(normalization)?
        .differences(given.flag("differences", true)?)
        .time(given.flag("time", false)?)
        .lead_lag(given.flag("lead_lag", false)?);
    Ok(DynKernel::new(kernel))
}

const SOLVERS: &str =
    "there are: auto, polynomial(order=8), fd(dyadic=0, order=2, naive=false), truncated(levels=5, order=5)";

/// A solver from its call; arguments by name or in order.
fn solver(call: &Call) -> Result<Solver, String> {
    let names: &[&str] = match call.name.as_str() {
        "polynomial" => &["order"],
        "fd" => &["dyadic", "order", "naive"],
        "truncated" => &["levels", "order"],
        other => return Err(format!("unknown solver `{other}`; {SOLVERS}")),
    };
    if let Some((key, _)) = call.arguments.iter().find(|(key, _)| !names.contains(&key.as_str())) {
        return Err(format!("unknown parameter of `{}` `{key}`; {SOLVERS}", call.name));
    }
    if call.operands.len() > names.len() {
        return Err(format!("`{}` has no room for so many arguments; {SOLVERS}", call.name));
    }
    let find = |name: &str| {
        let place = names.iter().position(|n| *n == name)?;
        call.arguments.iter().find(|(key, _)| key == name).map(|(_, v)| v).or(call.operands.get(place))
    };
    let count = |name: &str, default: usize| match find(name) {
        None => Ok(default),
        Some(Value::Number(v)) if v.fract() == 0.0 && (0.0..1e6).contains(v) => Ok(*v as usize),
        Some(other) => Err(format!("`{name}` must be a whole number, not {other}")),
    };
    match call.name.as_str() {
        "polynomial" => Ok(Solver::Polynomial { order: count("order", 8)? }),
        "fd" => {
            let naive = match find("naive") {
                None => false,
                Some(Value::Word(word)) if word == "true" || word == "false" => word == "true",
                Some(other) => return Err(format!("`naive` must be true or false, not {other}")),
            };
            let scheme = match (count("order", 2)?, naive) {
                (1, false) => FiniteDifferences::Explicit,
                (2, false) => FiniteDifferences::Second,
                (2, true) => FiniteDifferences::Trapezoid,
                _ => return Err("`order` must be 1 or 2, and 2 where naive=true".to_owned()),
            };
            let dyadic = u32::try_from(count("dyadic", 0)?).unwrap_or(u32::MAX);
            Ok(Solver::FiniteDifferences { dyadic, scheme })
        }
        _ => {
            let levels = count("levels", 5)?;
            Ok(Solver::Truncated { levels, order: count("order", levels)? })
        }
    }
}

/// The text of a signature kernel: what differs from the defaults.
pub(super) fn signature<S: Describe>(kernel: &Signature<S>) -> Option<Expr> {
    let mut arguments = vec![("static", Value::Expr(kernel.lift().expression()?))];
    let number = |v: usize| Value::Number(v as f64);
    let word = |text: &str| Value::Word(text.to_owned());
    match kernel.chosen_solver() {
        Solver::Auto { tolerance } if (tolerance - 1e-12).abs() < 1e-27 => {}
        Solver::Auto { tolerance } => arguments.push(("tol", tolerance.into())),
        other => {
            let call = match other {
                Solver::Polynomial { order } => Expr::call("polynomial", [("order", number(order))]),
                Solver::Truncated { levels, order } => {
                    Expr::call("truncated", [("levels", number(levels)), ("order", number(order))])
                }
                Solver::FiniteDifferences { dyadic, scheme } => {
                    let order = if scheme == FiniteDifferences::Explicit { 1 } else { 2 };
                    let mut arguments = vec![("dyadic", number(dyadic as usize)), ("order", number(order))];
                    if scheme == FiniteDifferences::Trapezoid {
                        arguments.push(("naive", word("true")));
                    }
                    Expr::call("fd", arguments)
                }
                Solver::Auto { .. } => return None,
            };
            arguments.push(("solver", Value::Expr(call)));
        }
    }
    match kernel.chosen_normalization() {
        Normalization::None => {}
        Normalization::Cosine => arguments.push(("normalize", word("true"))),
        Normalization::Levels => arguments.push(("normalize", word("levels"))),
        Normalization::TensorLog => arguments.push(("normalize", word("tensor_log"))),
        Normalization::Tensor { bound, exponent } => {
            arguments.push(("normalize", word("tensor")));
            arguments.push(("bound", bound.into()));
            arguments.push(("exponent", exponent.into()));
        }
    }
    let (time, lead_lag) = kernel.transforms();
    let flags = [
        ("differences", kernel.has_differences(), true),
        ("time", time, false),
        ("lead_lag", lead_lag, false),
    ];
    for (name, value, default) in flags {
        if value != default {
            arguments.push((name, word(if value { "true" } else { "false" })));
        }
    }
    Some(Expr::call("signature", arguments))
}

fn on_strings(given: &mut Arguments<'_, Strings>) -> Result<DynKernel<Strings>, Error> {
    match given.name() {
        "spectrum" => Spectrum::new(given.whole("k", 3)?).map(DynKernel::new),
        "mismatch" => {
            let (k, m) = (given.whole("k", 3)?, given.whole("m", 1)?);
            Mismatch::new(k, m, given.whole("alphabet", 4)?).map(DynKernel::new)
        }
        "gapped" => {
            let g = given.whole("g", 6)?;
            Gapped::new(g, given.whole("k", 3)?).map(DynKernel::new)
        }
        "subsequence" => {
            let n = given.whole("n", 3)?;
            Subsequence::new(n, given.number("decay", 0.5)?).map(DynKernel::new)
        }
        "all_subsequences" => Ok(DynKernel::new(AllSubsequences)),
        _ => WeightedDegree::new(given.whole("degree", 3)?).map(DynKernel::new),
    }
}
