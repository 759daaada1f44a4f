//! Kernels on nodes as text.

use std::{fmt, str::FromStr};

use kernels_core::{Arguments, Error as CoreError, Family, Parameter, Points, read_call};

use crate::{Error, Laplacian, NodeKernel};

const LAPLACIAN: Parameter = Parameter::new("laplacian", "symmetric", "symmetric or combinatorial");

static FAMILIES: [Family; 10] = [
    Family::new(
        "diffusion",
        "heat on a graph",
        "exp(-t L)",
        &[Parameter::new("t", "1", "time, 0 or above"), LAPLACIAN],
    ),
    Family::new(
        "regularized_laplacian",
        "regularised Laplacian; the forest kernel for degree 1",
        "(I + sigma2 L)^-degree",
        &[Parameter::new("sigma2", "1", "above 0"), Parameter::new("degree", "1", "above 0"), LAPLACIAN],
    ),
    Family::new(
        "p_step",
        "random walk of some steps",
        "(a I - L)^steps, L symmetric",
        &[Parameter::new("a", "2", "2 or above"), Parameter::new("steps", "2", "1 or above")],
    ),
    Family::new("inverse_cosine", "inverse cosine", "cos(π L/4), L symmetric", &[]),
    Family::new(
        "graph_matern",
        "Matérn on a graph",
        "(2 nu/kappa² + L)^-nu, exp(-kappa² L/2) for nu = inf",
        &[
            Parameter::new("nu", "1.5", "smoothness, above 0, or inf"),
            Parameter::new("kappa", "1", "length, above 0"),
            Parameter::new(
                "normalize",
                "true",
                "a mean diagonal of 1, not available to walks; else n times the matrix",
            ),
            LAPLACIAN,
        ],
    ),
    Family::new(
        "page_rank",
        "personalised PageRank in its symmetric form",
        "alpha (I - (1 - alpha) S)^-1",
        &[Parameter::new("alpha", "0.15", "probability of a restart, above 0, at most 1")],
    ),
    Family::new(
        "von_neumann",
        "von Neumann, Katz",
        "(I - alpha A)^-1",
        &[Parameter::new("alpha", "0.01", "above 0, below 1/ρ(A)")],
    ),
    Family::new(
        "communicability",
        "communicability",
        "exp(beta A)",
        &[Parameter::new("beta", "1", "a number")],
    ),
    Family::new(
        "regularized_commute_time",
        "regularised commute time",
        "(D - alpha A)^-1",
        &[Parameter::new("alpha", "0.5", "above 0, below 1")],
    ),
    Family::new("commute_time", "commute time", "pseudo-inverse of L = D - A", &[]),
];

fn laplacian<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<Laplacian, CoreError> {
    Ok(match given.choice("laplacian", &["symmetric", "combinatorial"])? {
        "symmetric" => Laplacian::Symmetric,
        _ => Laplacian::Combinatorial,
    })
}

fn build<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<NodeKernel, CoreError> {
    Ok(match given.name() {
        "diffusion" => NodeKernel::Diffusion { t: given.number("t", 1.0)?, laplacian: laplacian(given)? },
        "regularized_laplacian" => NodeKernel::RegularizedLaplacian {
            sigma2: given.number("sigma2", 1.0)?,
            degree: given.number("degree", 1.0)?,
            laplacian: laplacian(given)?,
        },
        "p_step" => {
            let (a, steps) = (given.number("a", 2.0)?, given.count("steps", 2)?);
            NodeKernel::RandomWalk { a, steps }
        }
        "inverse_cosine" => NodeKernel::InverseCosine,
        "graph_matern" => NodeKernel::Matern {
            nu: given.number("nu", 1.5)?,
            kappa: given.number("kappa", 1.0)?,
            normalize: given.flag("normalize", true)?,
            laplacian: laplacian(given)?,
        },
        "page_rank" => NodeKernel::PageRank { alpha: given.number("alpha", 0.15)? },
        "von_neumann" => NodeKernel::VonNeumann { alpha: given.number("alpha", 0.01)? },
        "communicability" => NodeKernel::Communicability { beta: given.number("beta", 1.0)? },
        "regularized_commute_time" => {
            NodeKernel::RegularizedCommuteTime { alpha: given.number("alpha", 0.5)? }
        }
        _ => NodeKernel::CommuteTime,
    })
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
        Ok(read_call(text, "kernel on nodes", &FAMILIES, build)?)
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
