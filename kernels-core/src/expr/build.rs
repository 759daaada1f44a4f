//! From a tree to a kernel: names are looked up here, and wrong ones answered with what exists.

use super::{
    any::AnyKernel,
    families::{Family, families},
    parser::{Given, Kind, Node, Spanned, syntax},
};
use crate::{
    BSpline, Wendland, Cauchy, Constant, Cosine, Error, Exp, Exponential, GammaExponential, InverseMultiquadric, Laplacian,
    LengthScale, Linear, Matern, Multiquadric, Normalized, Periodic, Polynomial, Power, RationalQuadratic,
    Rbf, Real, Scaled, Sigmoid, Transformation, Warped, White,
};

pub(super) fn build<T: Real>(node: Node) -> Result<AnyKernel<T>, Error> {
    let column = node.column;
    match node.kind {
        Kind::Sum(nodes) => fold(column, nodes, |a, b| AnyKernel::new(a + b)),
        Kind::Product(nodes) => fold(column, nodes, |a, b| AnyKernel::new(a * b)),
        Kind::Scaled(scale, node) => Ok(AnyKernel::new(Scaled::new(scale, build::<T>(*node)?))),
        Kind::Call { name, operands, arguments } => {
            if name == "center" {
                let message = "`center` needs the data set whose mean it takes: it is not available from text; regressions have \
                               an intercept instead";
                return Err(syntax(column, message));
            }
            let Some(family) = families().iter().find(|family| family.name == name) else {
                return Err(unknown(column, "kernel", &name, families().iter().map(|family| family.name)));
            };
            call(Arguments { column, family, operands: operands.into_iter().collect(), named: arguments })
        }
    }
}

fn fold<T: Real>(
    column: usize,
    nodes: Vec<Node>,
    join: impl Fn(AnyKernel<T>, AnyKernel<T>) -> AnyKernel<T>,
) -> Result<AnyKernel<T>, Error> {
    let mut kernels = nodes.into_iter().map(build);
    let first = kernels.next().unwrap_or_else(|| Err(syntax(column, "an empty sum or product")))?;
    kernels.try_fold(first, |all, next| Ok(join(all, next?)))
}

fn call<T: Real>(mut given: Arguments) -> Result<AnyKernel<T>, Error> {
    let column = given.column;
    let inner: Option<AnyKernel<T>> = if given.family.of_kernel { Some(given.kernel()?) } else { None };
    let k = || inner.clone().ok_or_else(|| syntax(column, "this family is made of a kernel"));
    let kernel = match given.family.name {
        "rbf" => Rbf::new(given.length_scale()?).map(AnyKernel::new),
        "matern" => {
            let nu = given.number("nu", 2.5)?;
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
        "white" => White::new(given.number("variance", 1.0)?).map(AnyKernel::new),
        "constant" => Constant::new(given.number("value", 1.0)?).map(AnyKernel::new),
        "normalize" => Ok(AnyKernel::new(Normalized::new(k()?))),
        "power_of" => Power::new(k()?, given.count("n", 2)?).map(AnyKernel::new),
        "exp_of" => Ok(AnyKernel::new(Exp::new(k()?))),
        "warp" => {
            let transformation = given.transformation()?;
            Ok(AnyKernel::new(Warped::new(k()?, transformation, given.features()?)))
        }
        other => Err(syntax(column, format!("`{other}` cannot be built from text"))),
    };
    given.finish()?;
    // A value out of range is the fault of some argument of this call.
    kernel.map_err(|error| match error {
        Error::Syntax { .. } => error,
        other => syntax(column, other.to_string()),
    })
}

/// The arguments of a call, taken one by one; what is left at the end is unknown.
struct Arguments {
    column: usize,
    family: &'static Family,
    operands: Vec<Spanned>,
    named: Vec<(usize, String, Spanned)>,
}

impl Arguments {
    /// The argument of this name, or else the next one without a name (never the first of a family of a kernel).
    fn take(&mut self, name: &str) -> Option<Spanned> {
        if let Some(i) = self.named.iter().position(|(_, key, _)| key == name) {
            return Some(self.named.remove(i).2);
        }
        let next = self.operands.first()?;
        (self.family.of_kernel && !matches!(next.value, Given::Node(_))).then(|| self.operands.remove(0))
    }

    fn kernel<T: Real>(&mut self) -> Result<AnyKernel<T>, Error> {
        let name = self.family.name;
        if self.operands.is_empty() {
            return Err(syntax(self.column, format!("`{name}` needs a kernel: `{name}(rbf())`")));
        }
        let first = self.operands.remove(0);
        match first.value {
            Given::Node(node) => build(node),
            _ => Err(syntax(first.column, format!("the first argument of `{name}` must be a kernel"))),
        }
    }

    fn number(&mut self, name: &str, default: f64) -> Result<f64, Error> {
        match self.take(name) {
            None => Ok(default),
            Some(Spanned { value: Given::Number(number), .. }) => Ok(number),
            Some(other) => Err(syntax(other.column, format!("`{name}` must be a number"))),
        }
    }

    fn count(&mut self, name: &str, default: u32) -> Result<u32, Error> {
        let column = self.named.iter().find(|(_, key, _)| key == name).map_or(self.column, |(c, ..)| *c);
        let number = self.number(name, f64::from(default))?;
        if number.fract() == 0.0 && (1.0..=1e6).contains(&number) {
            Ok(number as u32)
        } else {
            Err(syntax(column, format!("`{name}` must be an integer from 1 to 1000000, not {number}")))
        }
    }

    fn length_scale(&mut self) -> Result<LengthScale, Error> {
        self.scale("length_scale")
    }

    fn scale(&mut self, name: &str) -> Result<LengthScale, Error> {
        match self.take(name) {
            None => Ok(1.0.into()),
            Some(Spanned { value: Given::Number(number), .. }) => Ok(number.into()),
            Some(Spanned { value: Given::List(items), .. }) => Ok(items
                .into_iter()
                .map(|item| number_of(item, name))
                .collect::<Result<Vec<_>, _>>()?
                .into()),
            Some(other) => {
                Err(syntax(other.column, format!("`{name}` must be a number, or a list with one a feature")))
            }
        }
    }

    fn transformation(&mut self) -> Result<Transformation, Error> {
        let Some(given) = self.take("transform") else { return Ok(Transformation::Identity) };
        let column = given.column;
        let word = match given.value {
            Given::Word(word) => word,
            _ => return Err(syntax(column, "`transform` must be a word")),
        };
        let found = Transformation::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, t)| *t).ok_or_else(|| {
            unknown(column, "transform", &word, Transformation::ALL.iter().map(|(name, _)| *name))
        })
    }

    fn features(&mut self) -> Result<Option<Vec<usize>>, Error> {
        match self.take("features") {
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

    /// Whether all arguments were used.
    fn finish(self) -> Result<(), Error> {
        let name = self.family.name;
        if let Some((column, key, _)) = self.named.first() {
            let keys = self.family.parameters.iter().map(|parameter| parameter.name);
            return Err(unknown(*column, &format!("parameter of `{name}`"), key, keys));
        }
        match self.operands.first() {
            Some(extra) => Err(syntax(
                extra.column,
                format!("`{name}` has no room for this; name the argument: key=value"),
            )),
            None => Ok(()),
        }
    }
}

fn number_of(item: Spanned, name: &str) -> Result<f64, Error> {
    match item.value {
        Given::Number(number) => Ok(number),
        _ => Err(syntax(item.column, format!("`{name}` is a list of numbers"))),
    }
}

fn unknown(
    column: usize,
    what: &str,
    given: &str,
    existing: impl Iterator<Item = &'static str> + Clone,
) -> Error {
    let near = existing.clone().min_by_key(|name| distance(name, given));
    let near = near.filter(|name| distance(name, given) <= 1 + given.len() / 3);
    let hint = near.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    let all: Vec<&str> = existing.collect();
    let all =
        if all.is_empty() { "there are none".to_owned() } else { format!("there are: {}", all.join(", ")) };
    syntax(column, format!("unknown {what} `{given}`{hint}; {all}"))
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
