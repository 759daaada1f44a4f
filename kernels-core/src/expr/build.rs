//! What the names of the text form make.

use super::{
    any::{AnyKernel, DynKernel},
    catalogue, families,
    parser::{Given, Spanned, syntax},
    vocabulary::{Arguments, Readable, Vocabulary, number_of, unknown},
};
use crate::{
    BSpline, Cauchy, Constant, Cosine, Error, Exp, Exponential, GammaExponential, InverseMultiquadric,
    Laplacian, Linear, Matern, Multiquadric, Normalized, Periodic, Points, Polynomial, Power,
    RationalQuadratic, Rbf, Real, Rows, Sigmoid, Transformation, Warped, Wendland, White,
};

/// One piece of code a scalar, so that the families are compiled here and not in every crate that reads text.
macro_rules! readable {
    ($($scalar:ty: $build:ident;)*) => {$(
        impl Readable for Rows<$scalar> {
            fn vocabulary() -> Vocabulary<Self> {
                families::on_rows().fold(Vocabulary::new(), |all, family| all.with(family, $build))
            }
        }

        fn $build(given: &mut Arguments<'_, Rows<$scalar>>) -> Result<AnyKernel<$scalar>, Error> {
            rows(given)
        }
    )*};
}

readable! {
    f64: rows_f64;
    f32: rows_f32;
}

/// The families on any points.
pub(super) fn common<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<DynKernel<P>, Error> {
    match given.name() {
        "white" => White::new(given.number("variance", 1.0)?).map(DynKernel::new),
        "constant" => Constant::new(given.number("value", 1.0)?).map(DynKernel::new),
        "normalize" => Ok(DynKernel::new(Normalized::new(given.kernel()?))),
        "power_of" => {
            let kernel = given.kernel()?;
            Power::new(kernel, given.count("n", 2)?).map(DynKernel::new)
        }
        "exp_of" => Ok(DynKernel::new(Exp::new(given.kernel()?))),
        other => Err(given.error(format!("`{other}` cannot be built from text"))),
    }
}

/// The families on rows.
fn rows<T: Real>(given: &mut Arguments<'_, Rows<T>>) -> Result<AnyKernel<T>, Error> {
    match given.name() {
        "rbf" => Rbf::new(given.length_scale()?).map(AnyKernel::new),
        "matern" => {
            let nu = given.number("nu", 2.5)?;
            if nu == f64::INFINITY {
                // The limit has a closed form of its own.
                return Rbf::new(given.length_scale()?).map(AnyKernel::new);
            }
            Matern::new(nu, given.length_scale()?).map(AnyKernel::new)
        }
        "laplacian" => Laplacian::new(given.length_scale()?).map(AnyKernel::new),
        "exponential" => Exponential::new(given.length_scale()?).map(AnyKernel::new),
        "rational_quadratic" => {
            let alpha = given.number("alpha", 1.0)?;
            RationalQuadratic::new(alpha, given.length_scale()?).map(AnyKernel::new)
        }
        "inverse_multiquadric" => {
            let c = given.number("c", 1.0)?;
            InverseMultiquadric::new(c, given.number("beta", 0.5)?).map(AnyKernel::new)
        }
        "multiquadric" => {
            let c = given.number("c", 1.0)?;
            Multiquadric::new(c, given.number("beta", 0.5)?).map(AnyKernel::new)
        }
        "cauchy" => Cauchy::new(given.length_scale()?).map(AnyKernel::new),
        "gamma_exponential" => {
            let gamma = given.number("gamma", 1.0)?;
            GammaExponential::new(gamma, given.length_scale()?).map(AnyKernel::new)
        }
        "periodic" => {
            let period = given.number("period", 1.0)?;
            Periodic::new(period, given.number("length_scale", 1.0)?).map(AnyKernel::new)
        }
        "linear" => Linear::new(given.number("offset", 0.0)?).map(AnyKernel::new),
        "polynomial" => {
            let degree = given.count("degree", 3)?;
            let gamma = given.number("gamma", 1.0)?;
            Polynomial::new(degree, gamma, given.number("offset", 1.0)?).map(AnyKernel::new)
        }
        "sigmoid" => {
            let gamma = given.number("gamma", 1.0)?;
            Sigmoid::new(gamma, given.number("offset", 0.0)?).map(AnyKernel::new)
        }
        "cosine" => Ok(AnyKernel::new(Cosine::new())),
        "wendland" => {
            let smoothness = given.number("smoothness", 1.0)?;
            let dim = given.count("dim", 3)?;
            Wendland::of(smoothness, dim as usize, given.scale("support")?).map(AnyKernel::new)
        }
        "askey" => {
            let (power, dim) = (given.number("power", 2.0)?, given.count("dim", 3)?);
            Wendland::askey(power, dim as usize, given.scale("support")?).map(AnyKernel::new)
        }
        "spherical" => Wendland::spherical(given.scale("support")?).map(AnyKernel::new),
        "bspline" => {
            let (order, peak) = (given.count("order", 4)?, given.number("peak", 1.0)?);
            BSpline::new(order as usize, given.length_scale()?)
                .and_then(|k| k.with_peak(peak))
                .map(AnyKernel::new)
        }
        "warp" => {
            let kernel = given.kernel()?;
            let transformation = transformation(given)?;
            Ok(AnyKernel::new(Warped::new(kernel, transformation, features(given)?)))
        }
        _ => catalogue::rows(given),
    }
}

fn transformation<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<Transformation, Error> {
    let Some(given) = given.take("transform") else { return Ok(Transformation::Identity) };
    let column = given.column;
    let word = match given.value {
        Given::Word(word) => word,
        _ => return Err(syntax(column, "`transform` must be a word")),
    };
    let found = Transformation::ALL.iter().find(|(name, _)| *name == word);
    found
        .map(|(_, t)| *t)
        .ok_or_else(|| unknown(column, "transform", &word, Transformation::ALL.iter().map(|(name, _)| *name)))
}

fn features<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<Option<Vec<usize>>, Error> {
    match given.take("features") {
        None => Ok(None),
        Some(Spanned { value: Given::Word(word), .. }) if word == "all" => Ok(None),
        Some(Spanned { value: Given::List(items), .. }) => {
            let index = |item: Spanned| {
                let column = item.column;
                let number = number_of(item, "features")?;
                if number.fract() == 0.0 && (0.0..1e9).contains(&number) {
                    Ok(number as usize)
                } else {
                    Err(syntax(column, format!("a feature index is an integer from 0, not {number}")))
                }
            };
            Ok(Some(items.into_iter().map(index).collect::<Result<_, _>>()?))
        }
        Some(other) => Err(syntax(other.column, "`features` must be a list of indices, or `all`")),
    }
}
