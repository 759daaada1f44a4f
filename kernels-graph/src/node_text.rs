//! Kernels on nodes as text.

use std::{fmt, str::FromStr};

use kernels_core::{Error as CoreError, Expr, Family, Parameter, Value, parse};

use crate::{Error, Laplacian, NodeKernel};

const fn p(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, default, meaning }
}

const LAPLACIAN: Parameter = p("laplacian", "symmetric", "symmetric or combinatorial");

const fn family(
    name: &'static str,
    summary: &'static str,
    formula: &'static str,
    parameters: &'static [Parameter],
) -> Family {
    Family { name, summary, formula, of_kernel: false, parameters, definiteness: "positive definite" }
}

static FAMILIES: [Family; 10] = [
    family("diffusion", "heat on a graph", "exp(-t L)", &[p("t", "1", "time, 0 or above"), LAPLACIAN]),
    family(
        "regularized_laplacian",
        "regularised Laplacian; the forest kernel for degree 1",
        "(I + sigma2 L)^-degree",
        &[p("sigma2", "1", "above 0"), p("degree", "1", "above 0"), LAPLACIAN],
    ),
    family(
        "p_step",
        "random walk of some steps",
        "(a I - L)^steps, L symmetric",
        &[p("a", "2", "2 or above"), p("steps", "2", "1 or above")],
    ),
    family("inverse_cosine", "inverse cosine", "cos(π L/4), L symmetric", &[]),
    family(
        "graph_matern",
        "Matérn on a graph",
        "(2 nu/kappa² + L)^-nu, exp(-kappa² L/2) for nu = inf",
        &[
            p("nu", "1.5", "smoothness, above 0, or inf"),
            p("kappa", "1", "length, above 0"),
            p("normalize", "true", "a mean diagonal of 1, not available to walks; else n times the matrix"),
            LAPLACIAN,
        ],
    ),
    family(
        "page_rank",
        "personalised PageRank in its symmetric form",
        "alpha (I - (1 - alpha) S)^-1",
        &[p("alpha", "0.15", "probability of a restart, above 0, at most 1")],
    ),
    family(
        "von_neumann",
        "von Neumann, Katz",
        "(I - alpha A)^-1",
        &[p("alpha", "0.01", "above 0, below 1/ρ(A)")],
    ),
    family("communicability", "communicability", "exp(beta A)", &[p("beta", "1", "a number")]),
    family(
        "regularized_commute_time",
        "regularised commute time",
        "(D - alpha A)^-1",
        &[p("alpha", "0.5", "above 0, below 1")],
    ),
    family("commute_time", "commute time", "pseudo-inverse of L = D - A", &[]),
];

/// The arguments of a call, by name.
struct Given {
    family: &'static Family,
    arguments: Vec<(String, Value)>,
}

fn syntax(message: String) -> Error {
    CoreError::Syntax { column: 1, message }.into()
}

fn names(all: impl Iterator<Item = &'static str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

impl Given {
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.arguments.iter().position(|(key, _)| key == name)?;
        Some(self.arguments.remove(at).1)
    }

    fn number(&mut self, name: &str, default: f64) -> Result<f64, Error> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::Number(value)) => Ok(value),
            Some(Value::Word(word)) if word == "inf" => Ok(f64::INFINITY),
            Some(other) => Err(syntax(format!("`{name}` must be a number, not {other}"))),
        }
    }

    fn word(&mut self, name: &str, choices: [&'static str; 2]) -> Result<bool, Error> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Word(word)) if choices.contains(&word.as_str()) => Ok(word == choices[1]),
            Some(other) => {
                Err(syntax(format!("`{name}` must be {} or {}, not {other}", choices[0], choices[1])))
            }
        }
    }

    fn laplacian(&mut self) -> Result<Laplacian, Error> {
        let combinatorial = self.word("laplacian", ["symmetric", "combinatorial"])?;
        Ok(if combinatorial { Laplacian::Combinatorial } else { Laplacian::Symmetric })
    }

    fn kernel(&mut self) -> Result<NodeKernel, Error> {
        Ok(match self.family.name {
            "diffusion" => NodeKernel::Diffusion { t: self.number("t", 1.0)?, laplacian: self.laplacian()? },
            "regularized_laplacian" => NodeKernel::RegularizedLaplacian {
                sigma2: self.number("sigma2", 1.0)?,
                degree: self.number("degree", 1.0)?,
                laplacian: self.laplacian()?,
            },
            "p_step" => {
                let (a, steps) = (self.number("a", 2.0)?, self.number("steps", 2.0)?);
                if !((1.0..=1e6).contains(&steps) && steps.fract() <= 0.0) {
                    return Err(syntax(format!("`steps` must be a whole number from 1, not {steps}")));
                }
                NodeKernel::RandomWalk { a, steps: steps as u32 }
            }
            "inverse_cosine" => NodeKernel::InverseCosine,
            "graph_matern" => NodeKernel::Matern {
                nu: self.number("nu", 1.5)?,
                kappa: self.number("kappa", 1.0)?,
                normalize: !self.word("normalize", ["true", "false"])?,
                laplacian: self.laplacian()?,
            },
            "page_rank" => NodeKernel::PageRank { alpha: self.number("alpha", 0.15)? },
            "von_neumann" => NodeKernel::VonNeumann { alpha: self.number("alpha", 0.01)? },
            "communicability" => NodeKernel::Communicability { beta: self.number("beta", 1.0)? },
            "regularized_commute_time" => {
                NodeKernel::RegularizedCommuteTime { alpha: self.number("alpha", 0.5)? }
            }
            _ => NodeKernel::CommuteTime,
        })
    }
}

/// Reads one family: `diffusion(t=2, laplacian=combinatorial)`. Values are checked where the kernel meets a graph.
///
/// ```
/// use kernels_graph::NodeKernel;
/// let kernel: NodeKernel = "diffusion(t=2)".parse()?;
/// assert_eq!(kernel, NodeKernel::diffusion(2.0));
/// assert_eq!(kernel.to_string(), "diffusion(t=2, laplacian=symmetric)");
/// let wrong = "difusion()".parse::<NodeKernel>().unwrap_err();
/// assert!(wrong.to_string().contains("there are: diffusion, "));
/// # Ok::<(), kernels_graph::Error>(())
/// ```
impl FromStr for NodeKernel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Expr::Call(call) = parse(text)? else {
            return Err(syntax(
                "a kernel on nodes is one family: no sums, products or numbers in front".to_owned(),
            ));
        };
        let Some(family) = FAMILIES.iter().find(|family| family.name == call.name) else {
            let known = names(FAMILIES.iter().map(|family| family.name));
            return Err(syntax(format!("unknown kernel on nodes `{}`; there are: {known}", call.name)));
        };
        if !call.operands.is_empty() {
            return Err(syntax(format!("`{}`: name the arguments: key=value", call.name)));
        }
        let mut given = Given { family, arguments: call.arguments };
        let kernel = given.kernel()?;
        match given.arguments.first() {
            None => Ok(kernel),
            Some((key, _)) => {
                let known = names(family.parameters.iter().map(|p| p.name));
                Err(syntax(format!("unknown parameter of `{}` `{key}`; there are: {known}", family.name)))
            }
        }
    }
}

impl fmt::Display for NodeKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |laplacian: Laplacian| match laplacian {
            Laplacian::Symmetric => "symmetric",
            Laplacian::Combinatorial => "combinatorial",
            Laplacian::RandomWalk => "random_walk",
        };
        match *self {
            Self::Diffusion { laplacian, t } => write!(f, "diffusion(t={t}, laplacian={})", of(laplacian)),
            Self::RegularizedLaplacian { laplacian, sigma2, degree } => write!(
                f,
                "regularized_laplacian(sigma2={sigma2}, degree={degree}, laplacian={})",
                of(laplacian)
            ),
            Self::RandomWalk { a, steps } => write!(f, "p_step(a={a}, steps={steps})"),
            Self::InverseCosine => f.write_str("inverse_cosine()"),
            Self::Matern { laplacian, nu, kappa, normalize } => write!(
                f,
                "graph_matern(nu={nu}, kappa={kappa}, normalize={normalize}, laplacian={})",
                of(laplacian)
            ),
            Self::PageRank { alpha } => write!(f, "page_rank(alpha={alpha})"),
            Self::VonNeumann { alpha } => write!(f, "von_neumann(alpha={alpha})"),
            Self::Communicability { beta } => write!(f, "communicability(beta={beta})"),
            Self::RegularizedCommuteTime { alpha } => write!(f, "regularized_commute_time(alpha={alpha})"),
            Self::CommuteTime => f.write_str("commute_time()"),
        }
    }
}

impl NodeKernel {
    /// The families that the text form knows, with their parameters.
    pub fn families() -> &'static [Family] {
        &FAMILIES
    }
}
