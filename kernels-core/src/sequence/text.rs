//! Sequence kernels as text.

use super::{
    AllSubsequences, FiniteDifferences, Gapped, GlobalAlignment, Mismatch, Normalization, Paths, Signature,
    Solver, Spectrum, Strings, Subsequence, WeightedDegree,
};
use crate::{
    AnyKernel, Arguments, Call, Describe, DynKernel, Error, Expr, Family, Parameter, Readable, Real, Rows,
    Value, Vocabulary,
};

const PD: &str = "positive definite";

const fn p(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, default, meaning }
}

static ON_PATHS: [Family; 2] = [
    Family {
        name: "signature",
        summary: "inner product of the signatures of two paths, lifted by a kernel of their knots",
        formula: "Σ ⟨S_l(x), S_l(y)⟩ over levels l",
        of_kernel: false,
        parameters: &[
            p("static", "linear()", "kernel of knots that lifts the paths"),
            p(
                "solver",
                "auto",
                "auto, polynomial(order), fd(dyadic, order[, naive]) or truncated(levels, order)",
            ),
            p("tol", "1e-12", "accuracy of the solver auto, relative to the largest value along the paths"),
            p("normalize", "false", "false, true (cosine), levels (truncated only), tensor or tensor_log"),
            p("bound", "4", "C of normalize=tensor, above 1"),
            p("exponent", "1", "a of normalize=tensor, above 0"),
            p("differences", "true", "false to use values of the static kernel, truncated only"),
            p("time", "false", "true for a channel of time beside the others"),
            p("lead_lag", "false", "true for lead-lag transformed paths"),
        ],
        definiteness: PD,
    },
    Family {
        name: "gak",
        summary: "global alignments of two series",
        formula: "Σ Π κ over alignments, κ = k/(2-k), k = exp(-s/2) of knots",
        of_kernel: false,
        parameters: &[
            p("length_scale", "1", "unit of distance of knots: a number, or a list with one value a feature"),
            p("triangle", "0", "knots as far apart in time are not aligned; 0 for no bound"),
            p("normalize", "true", "whether the diagonal is 1"),
        ],
        definiteness: PD,
    },
];

static ON_STRINGS: [Family; 6] = [
    Family {
        name: "spectrum",
        summary: "common substrings",
        formula: "Σ c_u(s) c_u(t) over substrings u of k symbols",
        of_kernel: false,
        parameters: &[p("k", "3", "length, 1 or above")],
        definiteness: PD,
    },
    Family {
        name: "mismatch",
        summary: "substrings with some symbols changed",
        formula: "the spectrum, a substring counting for all within m changes of it",
        of_kernel: false,
        parameters: &[
            p("k", "3", "length, 1 or above"),
            p("m", "1", "changes, at most k"),
            p("alphabet", "4", "number of different symbols"),
        ],
        definiteness: PD,
    },
    Family {
        name: "gapped",
        summary: "places in which windows agree",
        formula: "Σ C(g-h, k) over windows of g symbols at distance h",
        of_kernel: false,
        parameters: &[p("g", "6", "length of windows"), p("k", "3", "places, at most g")],
        definiteness: PD,
    },
    Family {
        name: "subsequence",
        summary: "common subsequences with gaps",
        formula: "Σ decay^(spans of both occurrences) over subsequences of n symbols",
        of_kernel: false,
        parameters: &[
            p("n", "3", "symbols, 1 or above"),
            p("decay", "0.5", "factor a symbol spanned, above 0, at most 1"),
        ],
        definiteness: PD,
    },
    Family {
        name: "all_subsequences",
        summary: "pairs of equal subsequences of any length",
        formula: "number of pairs",
        of_kernel: false,
        parameters: &[],
        definiteness: PD,
    },
    Family {
        name: "weighted_degree",
        summary: "equal pieces of up to some length in the same places",
        formula: "Σ 2(D-d+1)/(D(D+1)) · places with the same d symbols",
        of_kernel: false,
        parameters: &[p("degree", "3", "D, 1 or above")],
        definiteness: PD,
    },
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
        let triangle = whole(given, "triangle", 0)?;
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
    let normalization = match given.word("normalize", "false")?.as_str() {
        "false" => Normalization::None,
        "true" => Normalization::Cosine,
        "levels" => Normalization::Levels,
        "tensor" => Normalization::Tensor { bound, exponent },
        "tensor_log" => Normalization::TensorLog,
        other => {
            let message = format!("`normalize` is false, true, levels, tensor or tensor_log, not `{other}`");
            return Err(given.error(message));
        }
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

/// A whole number, 0 or above.
fn whole<P: crate::Points + 'static>(
    given: &mut Arguments<'_, P>,
    name: &str,
    default: usize,
) -> Result<usize, Error> {
    let value = given.number(name, default as f64)?;
    if value.fract() == 0.0 && (0.0..1e9).contains(&value) {
        Ok(value as usize)
    } else {
        Err(given.error(format!("`{name}` must be a whole number, not {value}")))
    }
}

fn on_strings(given: &mut Arguments<'_, Strings>) -> Result<DynKernel<Strings>, Error> {
    match given.name() {
        "spectrum" => Spectrum::new(whole(given, "k", 3)?).map(DynKernel::new),
        "mismatch" => {
            let (k, m) = (whole(given, "k", 3)?, whole(given, "m", 1)?);
            Mismatch::new(k, m, whole(given, "alphabet", 4)?).map(DynKernel::new)
        }
        "gapped" => {
            let g = whole(given, "g", 6)?;
            Gapped::new(g, whole(given, "k", 3)?).map(DynKernel::new)
        }
        "subsequence" => {
            let n = whole(given, "n", 3)?;
            Subsequence::new(n, given.number("decay", 0.5)?).map(DynKernel::new)
        }
        "all_subsequences" => Ok(DynKernel::new(AllSubsequences)),
        _ => WeightedDegree::new(whole(given, "degree", 3)?).map(DynKernel::new),
    }
}
