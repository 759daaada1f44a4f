//! The table of families: what there is, with parameters and defaults.

/// A kernel family of the text form.
#[derive(Debug)]
pub struct Family {
    /// Name in expressions.
    pub name: &'static str,
    /// One line on what it is.
    pub summary: &'static str,
    /// Formula; s = Σ((xᵢ−yᵢ)/ℓᵢ)², r = ‖x−y‖.
    pub formula: &'static str,
    /// Whether it is made of another kernel, its first argument.
    pub of_kernel: bool,
    /// Parameters with their defaults.
    pub parameters: &'static [Parameter],
    /// Definiteness, in words.
    pub definiteness: &'static str,
}

/// A parameter of a [`Family`].
#[derive(Debug)]
pub struct Parameter {
    /// Name in expressions.
    pub name: &'static str,
    /// Default as text.
    pub default: &'static str,
    /// What it is and what it may be.
    pub meaning: &'static str,
}

pub(super) const fn p(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, default, meaning }
}

pub(super) const PD: &str = "positive definite";
pub(super) const INNER: &str = "that of the kernel inside";
const SUPPORT: Parameter =
    p("support", "1", "distance from which on the kernel is 0: a number, or a list with one value a feature");
pub(super) const LENGTH: Parameter =
    p("length_scale", "1", "unit of distance, above 0: a number, or a list with one value a feature");

/// The families of kernels on rows, in the order of the documentation.
pub(super) fn on_rows() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(&super::catalogue::FAMILIES)
}

static FAMILIES: [Family; 19] = [
    Family {
        name: "rbf",
        summary: "Gaussian, squared exponential",
        formula: "exp(-s/2)",
        of_kernel: false,
        parameters: &[LENGTH],
        definiteness: PD,
    },
    Family {
        name: "matern",
        summary: "Matérn of any smoothness, unit variance",
        formula: "(1 + z + z²/3) exp(-z) for nu=2.5, z = √(2 nu s)",
        of_kernel: false,
        parameters: &[
            p("nu", "2.5", "smoothness, above 0, at most 100; half-integers up to 20.5 are fastest"),
            LENGTH,
        ],
        definiteness: PD,
    },
    Family {
        name: "laplacian",
        summary: "Laplacian of the Manhattan distance",
        formula: "exp(-Σ|xᵢ-yᵢ|/ℓᵢ)",
        of_kernel: false,
        parameters: &[LENGTH],
        definiteness: PD,
    },
    Family {
        name: "exponential",
        summary: "exponential of the Euclidean distance, Matérn of nu=0.5",
        formula: "exp(-√s)",
        of_kernel: false,
        parameters: &[LENGTH],
        definiteness: PD,
    },
    Family {
        name: "rational_quadratic",
        summary: "scale mixture of Gaussians",
        formula: "(1 + s/(2 alpha))^-alpha",
        of_kernel: false,
        parameters: &[p("alpha", "1", "mixture, above 0; large is Gaussian"), LENGTH],
        definiteness: PD,
    },
    Family {
        name: "inverse_multiquadric",
        summary: "inverse multiquadric",
        formula: "(c² + r²)^-beta",
        of_kernel: false,
        parameters: &[p("c", "1", "width, above 0"), p("beta", "0.5", "exponent, above 0")],
        definiteness: PD,
    },
    Family {
        name: "multiquadric",
        summary: "multiquadric, sign included",
        formula: "-(c² + r²)^beta",
        of_kernel: false,
        parameters: &[p("c", "1", "width, above 0"), p("beta", "0.5", "exponent, between 0 and 1")],
        definiteness: "conditionally positive definite of order 1",
    },
    Family {
        name: "cauchy",
        summary: "Cauchy",
        formula: "1/(1+s)",
        of_kernel: false,
        parameters: &[LENGTH],
        definiteness: PD,
    },
    Family {
        name: "gamma_exponential",
        summary: "powered exponential",
        formula: "exp(-s^(gamma/2))",
        of_kernel: false,
        parameters: &[p("gamma", "1", "exponent, above 0, at most 2"), LENGTH],
        definiteness: PD,
    },
    Family {
        name: "periodic",
        summary: "periodic, a product over the features",
        formula: "exp(-2 Σ sin²(π(xᵢ-yᵢ)/period)/ℓ²)",
        of_kernel: false,
        parameters: &[
            p("period", "1", "period in the unit of the data, above 0"),
            p("length_scale", "1", "a number above 0, without unit"),
        ],
        definiteness: PD,
    },
    Family {
        name: "linear",
        summary: "inner product",
        formula: "⟨x,y⟩ + offset",
        of_kernel: false,
        parameters: &[p("offset", "0", "0 or above")],
        definiteness: PD,
    },
    Family {
        name: "polynomial",
        summary: "power of the inner product",
        formula: "(gamma ⟨x,y⟩ + offset)^degree",
        of_kernel: false,
        parameters: &[
            p("degree", "3", "integer, 1 or above"),
            p("gamma", "1", "above 0"),
            p("offset", "1", "0 or above"),
        ],
        definiteness: PD,
    },
    Family {
        name: "sigmoid",
        summary: "hyperbolic tangent of the inner product",
        formula: "tanh(gamma ⟨x,y⟩ + offset)",
        of_kernel: false,
        parameters: &[p("gamma", "1", "above 0"), p("offset", "0", "a number")],
        definiteness: "indefinite",
    },
    Family {
        name: "cosine",
        summary: "cosine similarity, 0 for a row of zeros",
        formula: "⟨x,y⟩/(‖x‖‖y‖)",
        of_kernel: false,
        parameters: &[],
        definiteness: PD,
    },
    Family {
        name: "wendland",
        summary: "Wendland's polynomial of compact support, 2·smoothness times differentiable",
        formula: "(1-r)₊⁴ (1+4r) for smoothness=1, dim=3; r = √s in units of support",
        of_kernel: false,
        parameters: &[
            p("smoothness", "1", "0, 1, 2 or 3"),
            p("dim", "3", "most features of the points, 1 or above"),
            SUPPORT,
        ],
        definiteness: PD,
    },
    Family {
        name: "askey",
        summary: "power of a cone, compact support",
        formula: "(1-r)₊^power, r = √s in units of support",
        of_kernel: false,
        parameters: &[
            p("power", "2", "integer, above dim/2"),
            p("dim", "3", "most features of the points, 1 or above"),
            SUPPORT,
        ],
        definiteness: PD,
    },
    Family {
        name: "spherical",
        summary: "overlap of two balls, compact support, for up to 3 features",
        formula: "1 - 1.5 r + 0.5 r³ for r < 1, r = √s in units of support",
        of_kernel: false,
        parameters: &[SUPPORT],
        definiteness: PD,
    },
    Family {
        name: "bspline",
        summary: "product of B-splines over the features, compact support",
        formula: "Π peak·B((xᵢ-yᵢ)/ℓᵢ)/B(0), B the centred B-spline of this order",
        of_kernel: false,
        parameters: &[
            p("order", "4", "degree plus one, from 2 to 12"),
            LENGTH,
            p("peak", "1", "value at 0 of each factor, above 0"),
        ],
        definiteness: "positive definite for even order, indefinite for odd",
    },
    Family {
        name: "warp",
        summary: "kernel of transformed, or of chosen, features",
        formula: "k(ψ(x), ψ(y))",
        of_kernel: true,
        parameters: &[
            p(
                "transform",
                "identity",
                "identity, log1p (sign(x) ln(1+|x|)), asinh, sqrt (sign(x) √|x|) or unit (row over its norm)",
            ),
            p("features", "all", "list of feature indices from 0"),
        ],
        definiteness: INNER,
    },
];

/// The families for all kinds of points.
pub(super) fn common() -> &'static [Family] {
    &COMMON
}

static COMMON: [Family; 5] = [
    Family {
        name: "white",
        summary: "noise: only where the same row of one data set meets itself",
        formula: "variance · δ",
        of_kernel: false,
        parameters: &[p("variance", "1", "0 or above")],
        definiteness: PD,
    },
    Family {
        name: "constant",
        summary: "the same value for every pair",
        formula: "value",
        of_kernel: false,
        parameters: &[p("value", "1", "0 or above")],
        definiteness: PD,
    },
    Family {
        name: "normalize",
        summary: "kernel with unit diagonal",
        formula: "k(x,y)/√(k(x,x) k(y,y))",
        of_kernel: true,
        parameters: &[],
        definiteness: INNER,
    },
    Family {
        name: "power_of",
        summary: "power of a kernel",
        formula: "k(x,y)^n",
        of_kernel: true,
        parameters: &[p("n", "2", "integer, 1 or above")],
        definiteness: INNER,
    },
    Family {
        name: "exp_of",
        summary: "exponential of a kernel",
        formula: "exp(k(x,y))",
        of_kernel: true,
        parameters: &[],
        definiteness: INNER,
    },
];
