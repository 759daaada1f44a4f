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

impl Parameter {
    /// A parameter of this name, its default as text, and what it is and may be.
    pub const fn new(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, default, meaning }
    }
}

impl Family {
    /// A positive definite family with these name, summary, formula and parameters.
    pub const fn new(
        name: &'static str,
        summary: &'static str,
        formula: &'static str,
        parameters: &'static [Parameter],
    ) -> Self {
        Self { name, summary, formula, of_kernel: false, parameters, definiteness: "positive definite" }
    }

    /// The same, made of another kernel and as definite as that.
    pub const fn of_kernel(self) -> Self {
        Self { of_kernel: true, definiteness: "that of the kernel inside", ..self }
    }

    /// The same with another definiteness, in words.
    pub const fn definiteness(self, definiteness: &'static str) -> Self {
        Self { definiteness, ..self }
    }
}

pub(super) const CPD: &str = "conditionally positive definite of order 1";
const SUPPORT: Parameter = Parameter::new(
    "support",
    "1",
    "distance from which on the kernel is 0: a number, or a list with one value a feature",
);
pub(super) const LENGTH: Parameter = Parameter::new(
    "length_scale",
    "1",
    "unit of distance, above 0: a number, or a list with one value a feature",
);

/// The families of kernels on rows, in the order of the documentation.
pub(super) fn on_rows() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(&super::catalogue::FAMILIES)
}

static FAMILIES: [Family; 19] = [
    Family::new("rbf", "Gaussian, squared exponential", "exp(-s/2)", &[LENGTH]),
    Family::new(
        "matern",
        "Matérn of any smoothness, unit variance",
        "(1 + z + z²/3) exp(-z) for nu=2.5, z = √(2 nu s)",
        &[
            Parameter::new(
                "nu",
                "2.5",
                "smoothness, above 0, at most 100, or inf (rbf); half-integers up to 20.5 are fastest",
            ),
            LENGTH,
        ],
    ),
    Family::new("laplacian", "Laplacian of the Manhattan distance", "exp(-Σ|xᵢ-yᵢ|/ℓᵢ)", &[LENGTH]),
    Family::new(
        "exponential",
        "exponential of the Euclidean distance, Matérn of nu=0.5",
        "exp(-√s)",
        &[LENGTH],
    ),
    Family::new(
        "rational_quadratic",
        "scale mixture of Gaussians",
        "(1 + s/(2 alpha))^-alpha",
        &[Parameter::new("alpha", "1", "mixture, above 0; large is Gaussian"), LENGTH],
    ),
    Family::new(
        "inverse_multiquadric",
        "inverse multiquadric",
        "(c² + r²)^-beta",
        &[Parameter::new("c", "1", "width, above 0"), Parameter::new("beta", "0.5", "exponent, above 0")],
    ),
    Family::new(
        "multiquadric",
        "multiquadric, sign included",
        "-(c² + r²)^beta",
        &[
            Parameter::new("c", "1", "width, above 0"),
            Parameter::new("beta", "0.5", "exponent, between 0 and 1"),
        ],
    )
    .definiteness(CPD),
    Family::new("cauchy", "Cauchy", "1/(1+s)", &[LENGTH]),
    Family::new(
        "gamma_exponential",
        "powered exponential",
        "exp(-s^(gamma/2))",
        &[Parameter::new("gamma", "1", "exponent, above 0, at most 2"), LENGTH],
    ),
    Family::new(
        "periodic",
        "periodic, a product over the features",
        "exp(-2 Σ sin²(π(xᵢ-yᵢ)/period)/ℓ²)",
        &[
            Parameter::new("period", "1", "period in the unit of the data, above 0"),
            Parameter::new("length_scale", "1", "a number above 0, without unit"),
        ],
    ),
    Family::new("linear", "inner product", "⟨x,y⟩ + offset", &[Parameter::new("offset", "0", "0 or above")]),
    Family::new(
        "polynomial",
        "power of the inner product",
        "(gamma ⟨x,y⟩ + offset)^degree",
        &[
            Parameter::new("degree", "3", "integer, 1 or above"),
            Parameter::new("gamma", "1", "above 0"),
            Parameter::new("offset", "1", "0 or above"),
        ],
    ),
    Family::new(
        "sigmoid",
        "hyperbolic tangent of the inner product",
        "tanh(gamma ⟨x,y⟩ + offset)",
        &[Parameter::new("gamma", "1", "above 0"), Parameter::new("offset", "0", "a number")],
    )
    .definiteness("indefinite"),
    Family::new("cosine", "cosine similarity, 0 for a row of zeros", "⟨x,y⟩/(‖x‖‖y‖)", &[]),
    Family::new(
        "wendland",
        "Wendland's polynomial of compact support, 2·smoothness times differentiable",
        "(1-r)₊⁴ (1+4r) for smoothness=1, dim=3; r = √s in units of support",
        &[
            Parameter::new("smoothness", "1", "0, 1, 2 or 3"),
            Parameter::new("dim", "3", "most features of the points, 1 or above"),
            SUPPORT,
        ],
    ),
    Family::new(
        "askey",
        "power of a cone, compact support",
        "(1-r)₊^power, r = √s in units of support",
        &[
            Parameter::new("power", "2", "integer, above dim/2"),
            Parameter::new("dim", "3", "most features of the points, 1 or above"),
            SUPPORT,
        ],
    ),
    Family::new(
        "spherical",
        "overlap of two balls, compact support, for up to 3 features",
        "1 - 1.5 r + 0.5 r³ for r < 1, r = √s in units of support",
        &[SUPPORT],
    ),
    Family::new(
        "bspline",
        "product of B-splines over the features, compact support",
        "Π peak·B((xᵢ-yᵢ)/ℓᵢ)/B(0), B the centred B-spline of this order",
        &[
            Parameter::new("order", "4", "degree plus one, from 2 to 12; odd orders are indefinite"),
            LENGTH,
            Parameter::new("peak", "1", "value at 0 of each factor, above 0"),
        ],
    ),
    Family::new(
        "warp",
        "kernel of transformed, or of chosen, features",
        "k(ψ(x), ψ(y))",
        &[
            Parameter::new(
                "transform",
                "identity",
                "identity, log1p (sign(x) ln(1+|x|)), asinh, sqrt (sign(x) √|x|) or unit (row over its norm)",
            ),
            Parameter::new("features", "all", "list of feature indices from 0"),
        ],
    )
    .of_kernel(),
];

/// The families for all kinds of points.
pub(super) fn common() -> &'static [Family] {
    &COMMON
}

static COMMON: [Family; 5] = [
    Family::new(
        "white",
        "noise: only where the same row of one data set meets itself",
        "variance · δ",
        &[Parameter::new("variance", "1", "0 or above")],
    ),
    Family::new(
        "constant",
        "the same value for every pair",
        "value",
        &[Parameter::new("value", "1", "0 or above")],
    ),
    Family::new("normalize", "kernel with unit diagonal", "k(x,y)/√(k(x,x) k(y,y))", &[]).of_kernel(),
    Family::new(
        "power_of",
        "power of a kernel",
        "k(x,y)^n",
        &[Parameter::new("n", "2", "integer, 1 or above")],
    )
    .of_kernel(),
    Family::new("exp_of", "exponential of a kernel", "exp(k(x,y))", &[]).of_kernel(),
];
