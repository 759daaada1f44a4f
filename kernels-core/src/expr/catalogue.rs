//! The second table of families on rows: histograms, categories, products over the features, processes, angles, conditionally
//! positive definite kernels.

use super::{
    Value,
    any::AnyKernel,
    families::{CPD, Family, LENGTH, Parameter},
    parser::syntax,
    vocabulary::Arguments,
};
use crate::{
    AdditiveChi2, AitchisonAitken, Anova, ArcCosine, ArcSine, Bernoulli, Brownian, BrownianBridge,
    CauchyProduct, Chi2, Chi2Similarity, EnergyDistance, Error, ExponentialDot, FractionalBrownian,
    Gegenbauer, GeneralizedGaussian, Hamming, Hellinger, IntegratedBrownian, Intersection, JensenShannon,
    LengthScale, LogDistance, Logistic, Mahalanobis, MinMax, Overlap, Polyharmonic, PowerDistance, Real,
    Rows, Sech, Sinc, Sobolev, SpectralMixture, Tanimoto, Taylor, WeightedBernoulli,
};

const CPD2: &str = "conditionally positive definite of order 2";
const POWER: Parameter = Parameter::new("p", "1", "exponent, above 0, at most 2");

pub(super) static FAMILIES: [Family; 36] = [
    Family::new(
        "cauchy_product",
        "Cauchy, a product over the features",
        "∏ 1/(1 + tᵢ²), t = (x-y)/ℓ",
        &[LENGTH],
    ),
    Family::new("sinc", "functions of limited frequency", "∏ sin(πtᵢ)/(πtᵢ), t = (x-y)/ℓ", &[LENGTH]),
    Family::new("sech", "hyperbolic secant", "∏ sech(tᵢ), t = (x-y)/ℓ", &[LENGTH]),
    Family::new("logistic", "logistic", "∏ sech²(tᵢ/2), t = (x-y)/ℓ", &[LENGTH]),
    Family::new(
        "generalized_gaussian",
        "powered exponential, a product over the features",
        "∏ exp(-|tᵢ|^beta), t = (x-y)/ℓ",
        &[Parameter::new("beta", "2", "exponent, above 0, at most 2"), LENGTH],
    ),
    Family::new(
        "spectral_mixture",
        "mixture of Gaussians in the frequencies",
        "Σ w exp(-2π² Σ tᵢ²scalesᵢ²) cos(2π⟨t,means⟩), t = x-y",
        &[
            Parameter::new("weights", "[1]", "one a component, 0 or above"),
            Parameter::new("means", "[[0]]", "frequencies: a list a component with one a feature"),
            Parameter::new("scales", "[[1]]", "their standard deviations: as means"),
        ],
    ),
    Family::new(
        "mahalanobis",
        "Gaussian of a quadratic form",
        "exp(-(x-y)ᵀP(x-y)/2)",
        &[Parameter::new("precision", "[[1]]", "P: a list of rows, symmetric and positive definite")],
    ),
    Family::new(
        "exponential_dot",
        "exponential of the inner product",
        "exp(⟨x,y⟩/length_scale²)",
        &[Parameter::new("length_scale", "1", "a number above 0")],
    ),
    Family::new(
        "taylor",
        "power series of the inner product",
        "Σ aₙ⟨x,y⟩ⁿ",
        &[Parameter::new("coefficients", "[0, 1]", "a₀, a₁, …, 0 or above")],
    ),
    Family::new(
        "gegenbauer",
        "zonal kernel on the unit sphere, by its eigenvalues",
        "Σ λₗ N(l,dim) Pₗ(⟨x,y⟩)",
        &[
            Parameter::new("dim", "3", "features of the points, 2 or above"),
            Parameter::new("eigenvalues", "[1, 1]", "λ₀, λ₁, …, 0 or above"),
        ],
    ),
    Family::new(
        "arccos",
        "arc-cosine: a layer of a wide network",
        "(‖x‖‖y‖)^order J(θ)/π",
        &[Parameter::new("order", "1", "0 (steps), 1 (relu) or 2")],
    ),
    Family::new(
        "arcsin",
        "arc-sine: a wide network of error functions",
        "(2/π) asin(2xΣy/√((1+2xΣx)(1+2yΣy)))",
        &[Parameter::new(
            "sigma2",
            "[1, 1]",
            "variances of the bias and the weights, or of the bias and of each weight",
        )],
    ),
    Family::new(
        "chi2",
        "exponential of the χ² distance of histograms",
        "exp(-gamma Σ(x-y)²/(x+y))",
        &[Parameter::new("gamma", "1", "above 0")],
    ),
    Family::new("additive_chi2", "χ² distance of histograms, sign included", "-Σ(x-y)²/(x+y)", &[])
        .definiteness(CPD),
    Family::new("chi2_similarity", "χ² similarity of histograms", "Σ 2xy/(x+y)", &[]),
    Family::new(
        "intersection",
        "histogram intersection",
        "Σ min(x,y)^beta",
        &[Parameter::new("beta", "1", "exponent, above 0")],
    ),
    Family::new("hellinger", "Hellinger, Bhattacharyya", "Σ √(xy)", &[]),
    Family::new(
        "jensen_shannon",
        "Jensen–Shannon similarity of histograms",
        "Σ (x log₂((x+y)/x) + y log₂((x+y)/y))/2",
        &[],
    ),
    Family::new("tanimoto", "Tanimoto, Jaccard", "⟨x,y⟩/(‖x‖² + ‖y‖² - ⟨x,y⟩)", &[]),
    Family::new("minmax", "MinMax, Ruzicka", "Σmin(x,y)/Σmax(x,y)", &[]),
    Family::new("overlap", "fraction of equal features", "#(x = y)/d", &[]),
    Family::new(
        "hamming",
        "exponential of the number of unequal features",
        "exp(-Σ gammaᵢ [xᵢ ≠ yᵢ])",
        &[Parameter::new("gamma", "1", "above 0: a number, or a list with one value a feature")],
    ),
    Family::new(
        "aitchison_aitken",
        "categories",
        "∏ (1-lambda if equal, else lambda/(categories-1))",
        &[
            Parameter::new("lambda", "0.3", "from 0 to 1 - 1/categories"),
            Parameter::new("categories", "2", "number of categories, 2 or above"),
        ],
    ),
    Family::new("brownian", "Brownian motion, from 0 on", "∏ min(x,y)", &[]),
    Family::new(
        "fractional_brownian",
        "fractional Brownian motion, from 0 on",
        "∏ (x^2H + y^2H - |x-y|^2H)/2",
        &[Parameter::new("hurst", "0.5", "H, between 0 and 1")],
    ),
    Family::new(
        "brownian_bridge",
        "Brownian bridge, from 0 to the horizon",
        "∏ (min(x,y) - xy/horizon)",
        &[Parameter::new("horizon", "1", "above 0")],
    ),
    Family::new(
        "integrated_brownian",
        "integrated Brownian motion: cubic splines",
        "∏ (m³/3 + |x-y|m²/2), m = min(x,y)",
        &[],
    ),
    Family::new(
        "bernoulli",
        "periodic spline on the circle of length 1",
        "∏ (1 + 2 Σₖ k^(-2 order) cos 2πk(x-y))",
        &[Parameter::new("order", "1", "1, 2 or 3")],
    ),
    Family::new(
        "sobolev",
        "spline on [0, 1]",
        "∏ (Σ Bⱼ(x)Bⱼ(y)/j!² ± B₂ₛ(|x-y|)/(2s)!), s = order",
        &[Parameter::new("order", "1", "1, 2 or 3")],
    ),
    Family::new(
        "weighted_bernoulli",
        "weighted periodic kernel of quasi-Monte-Carlo",
        "∏ (1 + gammaᵢ B₂({xᵢ-yᵢ}))",
        &[Parameter::new("gamma", "1", "above 0: a number, or a list with one value a feature")],
    ),
    Family::new("power", "power of the distance, sign included", "-rᵖ", &[POWER]).definiteness(CPD),
    Family::new(
        "log",
        "logarithm of the distance, sign included",
        "-ln(1 + a rᵖ)",
        &[Parameter::new("a", "1", "above 0"), POWER],
    )
    .definiteness(CPD),
    Family::new(
        "polyharmonic",
        "polyharmonic spline, sign included",
        "±rᵏ for odd k, ±rᵏ ln r for even k",
        &[Parameter::new("k", "2", "integer from 1 to 20")],
    )
    .definiteness(CPD2),
    Family::new("thin_plate", "thin-plate spline: polyharmonic of k=2", "r² ln r", &[]).definiteness(CPD2),
    Family::new(
        "energy_distance",
        "energy distance: -rᵖ anchored at the origin",
        "(‖x‖ᵖ + ‖y‖ᵖ - rᵖ)/2",
        &[POWER],
    ),
    Family::new(
        "anova",
        "sums over subsets of features of products of a kernel on each",
        "Σ_q order_q e_q(k(x₁,y₁), …, k(x_d,y_d))",
        &[Parameter::new(
            "order",
            "2",
            "greatest number of features in a product, or a list of variances by number",
        )],
    )
    .of_kernel(),
];

/// The kernel of one of these names.
pub(super) fn rows<T: Real>(given: &mut Arguments<'_, Rows<T>>) -> Result<AnyKernel<T>, Error> {
    match given.name() {
        "cauchy_product" => CauchyProduct::new(given.length_scale()?).map(AnyKernel::new),
        "sinc" => Sinc::new(given.length_scale()?).map(AnyKernel::new),
        "sech" => Sech::new(given.length_scale()?).map(AnyKernel::new),
        "logistic" => Logistic::new(given.length_scale()?).map(AnyKernel::new),
        "generalized_gaussian" => {
            let beta = given.number("beta", 2.0)?;
            GeneralizedGaussian::new(beta, given.length_scale()?).map(AnyKernel::new)
        }
        "spectral_mixture" => {
            let weights = given.numbers("weights")?.unwrap_or_else(|| vec![1.0]);
            let means = lists(given, "means", 0.0)?;
            SpectralMixture::new(&weights, &means, &lists(given, "scales", 1.0)?).map(AnyKernel::new)
        }
        "mahalanobis" => {
            let rows = lists(given, "precision", 1.0)?;
            let columns = rows.first().map_or(0, Vec::len);
            if rows.iter().any(|row| row.len() != columns) {
                return Err(given.error("the rows of `precision` must be equally long"));
            }
            let precision = nalgebra::DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]);
            Mahalanobis::new(&precision).map(AnyKernel::new)
        }
        "exponential_dot" => ExponentialDot::new(given.number("length_scale", 1.0)?).map(AnyKernel::new),
        "taylor" => {
            let coefficients = given.numbers("coefficients")?.unwrap_or_else(|| vec![0.0, 1.0]);
            Taylor::new(coefficients).map(AnyKernel::new)
        }
        "gegenbauer" => {
            let dim = given.count("dim", 3)?;
            let eigenvalues = given.numbers("eigenvalues")?.unwrap_or_else(|| vec![1.0, 1.0]);
            Gegenbauer::new(dim, eigenvalues).map(AnyKernel::new)
        }
        "arccos" => {
            let order = given.number("order", 1.0)?;
            if order.fract() == 0.0 && (0.0..=2.0).contains(&order) {
                ArcCosine::new(order as u32).map(AnyKernel::new)
            } else {
                Err(given.error(format!("`order` must be 0, 1 or 2, not {order}")))
            }
        }
        "arcsin" => {
            ArcSine::new(given.numbers("sigma2")?.unwrap_or_else(|| vec![1.0, 1.0])).map(AnyKernel::new)
        }
        "chi2" => Chi2::new(given.number("gamma", 1.0)?).map(AnyKernel::new),
        "additive_chi2" => Ok(AnyKernel::new(AdditiveChi2::new())),
        "chi2_similarity" => Ok(AnyKernel::new(Chi2Similarity::new())),
        "intersection" => Intersection::new(given.number("beta", 1.0)?).map(AnyKernel::new),
        "hellinger" => Ok(AnyKernel::new(Hellinger::new())),
        "jensen_shannon" => Ok(AnyKernel::new(JensenShannon::new())),
        "tanimoto" => Ok(AnyKernel::new(Tanimoto)),
        "minmax" => Ok(AnyKernel::new(MinMax)),
        "overlap" => Ok(AnyKernel::new(Overlap::new())),
        "hamming" => Hamming::new(each(given, "gamma")?).map(AnyKernel::new),
        "aitchison_aitken" => {
            let lambda = given.number("lambda", 0.3)?;
            AitchisonAitken::new(lambda, given.count("categories", 2)?).map(AnyKernel::new)
        }
        "brownian" => Brownian::new().map(AnyKernel::new),
        "fractional_brownian" => FractionalBrownian::new(given.number("hurst", 0.5)?).map(AnyKernel::new),
        "brownian_bridge" => BrownianBridge::new(given.number("horizon", 1.0)?).map(AnyKernel::new),
        "integrated_brownian" => IntegratedBrownian::new().map(AnyKernel::new),
        "bernoulli" => Bernoulli::new(given.count("order", 1)?).map(AnyKernel::new),
        "sobolev" => Sobolev::new(given.count("order", 1)?).map(AnyKernel::new),
        "weighted_bernoulli" => WeightedBernoulli::new(each(given, "gamma")?).map(AnyKernel::new),
        "power" => PowerDistance::new(given.number("p", 1.0)?).map(AnyKernel::new),
        "log" => {
            let a = given.number("a", 1.0)?;
            LogDistance::new(a, given.number("p", 1.0)?).map(AnyKernel::new)
        }
        "polyharmonic" => Polyharmonic::new(given.count("k", 2)?).map(AnyKernel::new),
        "thin_plate" => Ok(AnyKernel::new(Polyharmonic::thin_plate())),
        "energy_distance" => EnergyDistance::new(given.number("p", 1.0)?).map(AnyKernel::new),
        "anova" => {
            let kernel = given.kernel()?;
            let variances = match given.value("order") {
                None => vec![1.0; 2],
                Some((_, Value::Number(q))) if q.fract() == 0.0 && (1.0..=1000.0).contains(&q) => {
                    vec![1.0; q as usize]
                }
                Some((column, Value::List(items))) => numbers_of(column, "order", items)?,
                Some((column, _)) => {
                    return Err(syntax(column, "`order` must be an integer from 1, or a list of variances"));
                }
            };
            Anova::new(kernel, variances).map(AnyKernel::new)
        }
        other => Err(given.error(format!("`{other}` cannot be built from text"))),
    }
}

/// A number, or a list with one value a feature.
fn each<T: Real>(given: &mut Arguments<'_, Rows<T>>, name: &str) -> Result<LengthScale, Error> {
    match given.value(name) {
        None => Ok(1.0.into()),
        Some((_, Value::Number(value))) => Ok(value.into()),
        Some((column, Value::List(items))) => Ok(numbers_of(column, name, items)?.into()),
        Some((column, _)) => {
            Err(syntax(column, format!("`{name}` must be a number, or a list with one a feature")))
        }
    }
}

fn numbers_of(column: usize, name: &str, items: Vec<Value>) -> Result<Vec<f64>, Error> {
    let number = |item| match item {
        Value::Number(number) => Ok(number),
        _ => Err(syntax(column, format!("`{name}` must be a list of numbers"))),
    };
    items.into_iter().map(number).collect()
}

/// A list of lists of numbers.
fn lists<T: Real>(
    given: &mut Arguments<'_, Rows<T>>,
    name: &str,
    default: f64,
) -> Result<Vec<Vec<f64>>, Error> {
    match given.value(name) {
        None => Ok(vec![vec![default]]),
        Some((column, Value::List(items))) => items
            .into_iter()
            .map(|item| match item {
                Value::List(items) => numbers_of(column, name, items),
                _ => Err(syntax(column, format!("`{name}` must be a list of lists of numbers"))),
            })
            .collect(),
        Some((column, _)) => Err(syntax(column, format!("`{name}` must be a list of lists of numbers"))),
    }
}
