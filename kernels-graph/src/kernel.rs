//! Kernels on nodes: what they are, and their exact matrices.

use nalgebra::DMatrix;

use crate::{
    Error, Graph, Laplacian, NodeGram, SparseMatrix,
    chebyshev::Filter,
    error::{parameter, positive},
    laplacian::{dense, eigen, inverse, scaled},
    operator::SpectralOperator,
};

/// A kernel on the nodes of an undirected graph: K = Σₖ s(λₖ) uₖuₖᵀ over the eigenpairs of a matrix of the graph.
///
/// Constructors take the defaults of the literature; fields may be written out for the rest. Parameters are checked where
/// the kernel meets a graph.
///
/// ```
/// use kernels_graph::{Graph, Laplacian, NodeKernel};
/// let edge = Graph::undirected(2, [(0, 1, 1.0)])?;
/// let heat = NodeKernel::Diffusion { laplacian: Laplacian::Combinatorial, t: 1.0 };
/// let k = heat.matrix(&edge)?;
/// assert!((k[(0, 0)] - (1.0 + f64::exp(-2.0)) / 2.0).abs() < 1e-15);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum NodeKernel {
    /// exp(−tL), the heat kernel. Kondor & Lafferty, *Diffusion kernels on graphs* (2002).
    Diffusion {
        /// Which Laplacian.
        laplacian: Laplacian,
        /// Time, above 0.
        t: f64,
    },
    /// (I + σ²L)^(−d); for d = 1 and L = D − A the forest kernel. Smola & Kondor (2003).
    RegularizedLaplacian {
        /// Which Laplacian.
        laplacian: Laplacian,
        /// σ², above 0.
        sigma2: f64,
        /// d, a real number above 0.
        degree: f64,
    },
    /// (aI − L)ᵖ of the symmetric Laplacian: a random walk of p steps.
    RandomWalk {
        /// a, at least 2.
        a: f64,
        /// Number of steps, at least 1.
        steps: u32,
    },
    /// cos(πL/4) of the symmetric Laplacian.
    InverseCosine,
    /// (2ν/κ² + L)^(−ν), and exp(−κ²L/2) for ν = ∞. Borovitskiy et al., *Matérn Gaussian processes on graphs* (2021).
    Matern {
        /// Which Laplacian.
        laplacian: Laplacian,
        /// Smoothness ν, above 0; may be infinite.
        nu: f64,
        /// Length κ, above 0.
        kappa: f64,
        /// Scale to a mean diagonal of 1; else the matrix is multiplied by n, as in the paper.
        normalize: bool,
    },
    /// α(I − (1−α)S)⁻¹, personalised PageRank in its symmetric form.
    PageRank {
        /// Restart probability α in (0, 1].
        alpha: f64,
    },
    /// (I − αA)⁻¹, the von Neumann or Katz kernel.
    VonNeumann {
        /// α, above 0 and below 1/ρ(A).
        alpha: f64,
    },
    /// exp(βA), communicability.
    Communicability {
        /// β.
        beta: f64,
    },
    /// (D − αA)⁻¹; no isolated nodes.
    RegularizedCommuteTime {
        /// α in (0, 1).
        alpha: f64,
    },
    /// L⁺, whose distances are resistances: dᵢⱼ² = L⁺ᵢᵢ + L⁺ⱼⱼ − 2L⁺ᵢⱼ.
    CommuteTime,
}

/// The matrix a kernel is a function of, bounds of its spectrum, the function, and a diagonal on both sides.
pub(crate) struct Form {
    pub(crate) base: SparseMatrix,
    pub(crate) bounds: (f64, f64),
    pub(crate) function: Box<dyn Fn(f64) -> f64 + Send + Sync>,
    pub(crate) sides: Option<Vec<f64>>,
}

impl NodeKernel {
    /// exp(−tL) of the symmetric Laplacian.
    pub fn diffusion(t: f64) -> Self {
        Self::Diffusion { laplacian: Laplacian::Symmetric, t }
    }

    /// (I + σ²L)⁻¹ of the symmetric Laplacian.
    pub fn regularized_laplacian(sigma2: f64) -> Self {
        Self::RegularizedLaplacian { laplacian: Laplacian::Symmetric, sigma2, degree: 1.0 }
    }

    /// The normalised graph Matérn kernel of the symmetric Laplacian.
    pub fn matern(nu: f64, kappa: f64) -> Self {
        Self::Matern { laplacian: Laplacian::Symmetric, nu, kappa, normalize: true }
    }

    fn check(&self) -> Result<(), Error> {
        match *self {
            Self::Diffusion { laplacian, t } => {
                symmetric(laplacian)?;
                if !(t.is_finite() && t >= 0.0) {
                    return Err(parameter("t", t, "a finite number, 0 or above"));
                }
            }
            Self::RegularizedLaplacian { laplacian, sigma2, degree } => {
                symmetric(laplacian)?;
                positive("sigma2", sigma2)?;
                positive("degree", degree)?;
            }
            Self::RandomWalk { a, steps } => {
                if !(a.is_finite() && a >= 2.0) {
                    return Err(parameter("a", a, "a finite number, at least 2 (else the kernel is not positive)"));
                }
                if steps == 0 {
                    return Err(parameter("steps", 0.0, "at least 1"));
                }
            }
            Self::Matern { laplacian, nu, kappa, .. } => {
                symmetric(laplacian)?;
                positive("kappa", kappa)?;
                if !(nu > 0.0) {
                    return Err(parameter("nu", nu, "above 0, infinity allowed"));
                }
            }
            Self::PageRank { alpha } if !(alpha > 0.0 && alpha <= 1.0) => {
                return Err(parameter("alpha", alpha, "above 0, at most 1"));
            }
            Self::RegularizedCommuteTime { alpha } if !(alpha > 0.0 && alpha < 1.0) => {
                return Err(parameter("alpha", alpha, "above 0 and below 1"));
            }
            Self::VonNeumann { alpha } => {
                positive("alpha", alpha)?;
            }
            Self::Communicability { beta } if !beta.is_finite() => {
                return Err(parameter("beta", beta, "a finite number"));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn form(&self, graph: &Graph) -> Result<Form, Error> {
        self.check()?;
        graph.need_undirected()?;
        let laplace = |kind| Ok::<_, Error>((graph.laplacian(kind)?, (0.0, graph.laplacian_bound(kind))));
        let adjacency = || {
            let (_, radius) = graph.spectral_radius(200);
            (graph.adjacency().clone(), (-radius, radius))
        };
        let mut sides = None;
        let ((base, bounds), function): (_, Box<dyn Fn(f64) -> f64 + Send + Sync>) = match *self {
            Self::Diffusion { laplacian, t } => (laplace(laplacian)?, Box::new(move |x| (-t * x).exp())),
            Self::RegularizedLaplacian { laplacian, sigma2, degree } => {
                (laplace(laplacian)?, Box::new(move |x| (1.0 + sigma2 * x).powf(-degree)))
            }
            Self::RandomWalk { a, steps } => {
                (laplace(Laplacian::Symmetric)?, Box::new(move |x| (a - x).powi(steps.min(1 << 30) as i32)))
            }
            Self::InverseCosine => {
                (laplace(Laplacian::Symmetric)?, Box::new(|x| (std::f64::consts::FRAC_PI_4 * x).cos()))
            }
            Self::Matern { laplacian, nu, kappa, .. } => {
                let offset = 2.0 * nu / (kappa * kappa);
                let function: Box<dyn Fn(f64) -> f64 + Send + Sync> = if nu.is_infinite() {
                    Box::new(move |x| (-0.5 * kappa * kappa * x).exp())
                } else {
                    Box::new(move |x| (offset + x).powf(-nu))
                };
                (laplace(laplacian)?, function)
            }
            Self::PageRank { alpha } => (
                (graph.normalized_adjacency(), (-1.0, 1.0)),
                Box::new(move |x| alpha / (1.0 - (1.0 - alpha) * x)),
            ),
            Self::VonNeumann { alpha } => {
                let (lower, upper) = graph.spectral_radius(1000);
                if alpha * lower >= 1.0 || alpha * upper >= 1.0 {
                    return Err(Error::Divergent { what: "alpha", given: alpha, bound: 1.0 / upper });
                }
                ((graph.adjacency().clone(), (-upper, upper)), Box::new(move |x| 1.0 / (1.0 - alpha * x)))
            }
            Self::Communicability { beta } => (adjacency(), Box::new(move |x| (beta * x).exp())),
            Self::RegularizedCommuteTime { alpha } => {
                let degrees = graph.degrees();
                if let Some(node) = degrees.iter().position(|d| *d <= 0.0) {
                    return Err(Error::Isolated { what: "the regularised commute time", node });
                }
                sides = Some(degrees.iter().map(|d| inverse(d.sqrt())).collect());
                ((graph.normalized_adjacency(), (-1.0, 1.0)), Box::new(move |x| 1.0 / (1.0 - alpha * x)))
            }
            Self::CommuteTime => (laplace(Laplacian::Combinatorial)?, Box::new(inverse)),
        };
        Ok(Form { base, bounds, function, sides })
    }

    /// The kernel matrix, n × n, with exact zeros between components.
    ///
    /// Smooth functions on sparse graphs are summed as Chebyshev series to the last digit, O(n m) times the number of terms;
    /// others come from an eigendecomposition, O(n³), whichever is cheaper.
    ///
    /// # Errors
    /// Parameters out of range; [`Error::Divergent`], [`Error::Isolated`]; [`Error::Unsupported`] for a directed graph.
    pub fn matrix(&self, graph: &Graph) -> Result<DMatrix<f64>, Error> {
        let form = self.form(graph)?;
        let n = graph.nodes();
        let series = (n > 128 && *self != Self::CommuteTime)
            .then(|| Filter::fit(&*form.function, form.bounds, f64::EPSILON, 400))
            .flatten()
            .filter(|filter| (filter.degree() * form.base.nnz()) < 6 * n * n);
        let mut out = match series {
            Some(filter) => filter.dense(&form.base),
            None => self.by_eigen(graph, &form)?,
        };
        if let Some(sides) = &form.sides {
            for j in 0..n {
                for i in 0..n {
                    out[(i, j)] *= sides[i] * sides[j];
                }
            }
        }
        let (component, count) = graph.components();
        for j in 0..n {
            for i in 0..j {
                let same = count == 1 || component[i] == component[j];
                let value = if same { 0.5 * (out[(i, j)] + out[(j, i)]) } else { 0.0 };
                out[(i, j)] = value;
                out[(j, i)] = value;
            }
        }
        if let Self::Matern { normalize, .. } = *self {
            let mean = out.trace() / n.max(1) as f64;
            if n > 0 && !(mean > 0.0 && mean.is_finite()) {
                return Err(parameter("nu", mean, "values of the kernel that neither vanish nor overflow"));
            }
            let scale = if normalize { 1.0 / mean } else { n as f64 };
            out *= scale;
        }
        if let Some(value) = out.iter().find(|v| !v.is_finite()) {
            return Err(parameter("a kernel value", *value, "finite; the parameters overflow on this graph"));
        }
        Ok(out)
    }

    fn by_eigen(&self, graph: &Graph, form: &Form) -> Result<DMatrix<f64>, Error> {
        let eigen = eigen(&form.base)?;
        // As many eigenvalues are 0 as there are components: the smallest ones, however they came out.
        let zeros = if *self == Self::CommuteTime { graph.components().1 } else { 0 };
        let mut scaled = eigen.vectors.clone();
        for (k, mut column) in scaled.column_iter_mut().enumerate() {
            let value = eigen.values[k].clamp(form.bounds.0, form.bounds.1);
            column *= if k < zeros { 0.0 } else { (form.function)(value) };
        }
        Ok(kernels_core::dense::product(&scaled, &eigen.vectors.transpose())?)
    }

    /// The kernel as its matrix, for solvers.
    ///
    /// # Errors
    /// As [`NodeKernel::matrix`].
    pub fn on(&self, graph: &Graph) -> Result<NodeGram, Error> {
        NodeGram::new(self.matrix(graph)?)
    }

    /// The kernel as an operator that is never stored: a Chebyshev series of products with a sparse matrix, exact to `tolerance`
    /// in the spectral norm ([`SpectralOperator::error_bound`]). O(m) memory.
    ///
    /// # Errors
    /// As [`NodeKernel::matrix`]; [`Error::Unsupported`] for [`NodeKernel::CommuteTime`] (see [`crate::solve_laplacian`]) and the normalised Matérn
    /// kernel, which needs the whole spectrum; [`kernels_core::Error::NotConverged`] when 10 000 terms do not reach the tolerance.
    pub fn operator(&self, graph: &Graph, tolerance: f64) -> Result<SpectralOperator, Error> {
        positive("tolerance", tolerance)?;
        let form = self.form(graph)?;
        let mut scale = 1.0;
        match *self {
            Self::CommuteTime => {
                return Err(Error::Unsupported {
                    what: "the commute time kernel as a polynomial",
                    hint: "solve with the Laplacian instead (solve_laplacian)",
                });
            }
            Self::Matern { normalize: true, .. } => {
                return Err(Error::Unsupported {
                    what: "a normalised Matérn operator",
                    hint: "the factor needs the whole spectrum: set normalize = false",
                });
            }
            Self::Matern { .. } => scale = graph.nodes() as f64,
            _ => {}
        }
        let function = form.function;
        let filter = Filter::fit(&|x| scale * function(x), form.bounds, tolerance, 10_000).ok_or(
            kernels_core::Error::NotConverged { what: "Chebyshev series of the kernel", iterations: 10_000 },
        )?;
        Ok(SpectralOperator::new(form.base, filter, form.sides))
    }
}

fn symmetric(laplacian: Laplacian) -> Result<(), Error> {
    if laplacian == Laplacian::RandomWalk {
        return Err(Error::Unsupported {
            what: "a kernel of the random-walk Laplacian",
            hint: "it is not symmetric; use the symmetric one, which is similar to it",
        });
    }
    Ok(())
}

/// Where a walk goes from a node without arrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dangling {
    /// To any node.
    #[default]
    Uniform,
    /// Nowhere: its probability is lost.
    Absorb,
}

impl Graph {
    /// α(I − (1−α)P)⁻¹: row i is the personalised PageRank of seed i. Not symmetric; directed graphs welcome. O(n³).
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for α outside (0, 1].
    pub fn page_rank(&self, alpha: f64, dangling: Dangling) -> Result<DMatrix<f64>, Error> {
        if !(alpha > 0.0 && alpha <= 1.0) {
            return Err(parameter("alpha", alpha, "above 0, at most 1"));
        }
        let n = self.nodes();
        let mut p = dense(&self.transition());
        if dangling == Dangling::Uniform && self.is_directed() {
            for (i, _) in self.degrees().iter().enumerate().filter(|(_, d)| **d <= 0.0) {
                p.row_mut(i).fill(1.0 / n as f64);
            }
        }
        // Σ (1−α)ᵏ Pᵏ by doubling: S₂ₖ = Sₖ + (1−α)ᵏ Pᵏ Sₖ; every term is positive, so nothing cancels.
        let mut power = p * (1.0 - alpha);
        let mut sum = DMatrix::<f64>::identity(n, n);
        for _ in 0..64 {
            let step = kernels_core::dense::product(&power, &sum)?;
            sum += &step;
            if step.amax() <= f64::EPSILON * 1e-3 * sum.amax() {
                break;
            }
            power = kernels_core::dense::product(&power, &power)?;
        }
        Ok(sum * alpha)
    }

    /// Resistances Rᵢⱼ = L⁺ᵢᵢ + L⁺ⱼⱼ − 2L⁺ᵢⱼ; infinite between components. The commute time is the volume of the
    /// component times R. −R is conditionally positive definite on a component. O(n³).
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a directed graph.
    ///
    /// ```
    /// use kernels_graph::Graph;
    /// let path = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 0.5)])?;
    /// assert!((path.resistance()?[(0, 2)] - 3.0).abs() < 1e-12);
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn resistance(&self) -> Result<DMatrix<f64>, Error> {
        let pseudo = NodeKernel::CommuteTime.matrix(self)?;
        let (component, _) = self.components();
        let n = self.nodes();
        Ok(DMatrix::from_fn(n, n, |i, j| {
            if i == j {
                0.0
            } else if component[i] == component[j] {
                (pseudo[(i, i)] + pseudo[(j, j)] - 2.0 * pseudo[(i, j)]).max(0.0)
            } else {
                f64::INFINITY
            }
        }))
    }

    /// A − γddᵀ/Σd: Newman's modularity matrix. Indefinite: a matrix, not a kernel.
    pub fn modularity(&self, gamma: f64) -> DMatrix<f64> {
        let degrees = self.degrees();
        let scale = gamma * inverse(degrees.iter().sum());
        let mut out = dense(self.adjacency());
        for j in 0..self.nodes() {
            for i in 0..self.nodes() {
                out[(i, j)] -= scale * degrees[i] * degrees[j];
            }
        }
        out
    }

    /// ZZᵀ with Z = (1/t) Σ Pᵏ, k = 1, …, t: Markov diffusion, positive semidefinite by its form. O(t n m + n³).
    ///
    /// Reference: Fouss et al., *An experimental investigation of kernels on graphs* (2012).
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for t = 0.
    pub fn markov_diffusion(&self, t: usize) -> Result<DMatrix<f64>, Error> {
        if t == 0 {
            return Err(parameter("t", 0.0, "at least 1"));
        }
        let p = dense(&self.transition());
        let (mut power, mut sum) = (p.clone(), p.clone());
        for _ in 1..t {
            power = kernels_core::dense::product(&p, &power)?;
            sum += &power;
        }
        sum /= t as f64;
        Ok(kernels_core::dense::product(&sum, &sum.transpose())?)
    }
}

/// The matrix and series a kernel is walked with; see [`crate::WalkKernel`].
pub(crate) fn walk_base(graph: &Graph, scale: f64) -> SparseMatrix {
    let s = graph.normalized_adjacency();
    scaled(&s, |_| scale, |_| 1.0)
}
