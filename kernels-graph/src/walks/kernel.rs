//! Kernels in the form that walks need: K = c B (Σ αₖ Uᵏ) B.

use super::modulation::{deconvolve, modulation_exponential, modulation_inverse_power, modulation_power};
use crate::{
    Error, Graph, Laplacian, NodeKernel, SparseMatrix,
    error::shape,
    graph::row,
    kernel::walk_base,
    laplacian::{diagonal_minus, inverse, scaled},
};

/// The longest modulation that is made: a walk longer than this counts nothing more.
const LONGEST: usize = 512;

/// A kernel on nodes as a power series of a sparse matrix U, with the modulation f that walks on U count by.
///
/// Estimates converge to Σ fₖUᵏ (Σ gₖUᵏ)ᵀ with g = f unless an asymmetric pair was given.
///
/// ```
/// use kernels_graph::{Graph, NodeKernel, WalkKernel};
/// let graph = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?;
/// let heat = NodeKernel::diffusion(1.0).walks(&graph)?;
/// assert!((heat.modulation()[1] / heat.modulation()[0] - 0.5).abs() < 1e-15);
/// let katz = WalkKernel::from_series(graph.adjacency().clone(), &[1.0, 0.3, 0.09])?;
/// assert_eq!(katz.modulation()[0], 1.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WalkKernel {
    base: SparseMatrix,
    modulation: Vec<f64>,
    second: Option<Vec<f64>>,
    /// Factor of every row of the features.
    sides: Vec<f64>,
}

impl WalkKernel {
    /// The kernel (Σ fₖUᵏ)(Σ fₖUᵏ)ᵀ.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`] when U is not square or f is empty, [`kernels_core::Error::Parameter`] for values that are not finite.
    pub fn from_modulation(base: SparseMatrix, modulation: Vec<f64>) -> Result<Self, Error> {
        shape("columns of the matrix that is walked on", base.rows(), base.cols())?;
        let base = if base.is_csr() { base } else { base.to_csr() };
        if modulation.is_empty() {
            return Err(crate::error::parameter("terms of the modulation", 0.0, "at least 1"));
        }
        if let Some(value) = modulation.iter().chain(base.data()).find(|v| !v.is_finite()) {
            return Err(crate::error::parameter("modulation or matrix", *value, "finite"));
        }
        let sides = vec![1.0; base.rows()];
        Ok(Self { base, modulation, second: None, sides })
    }

    /// The kernel Σ αₖUᵏ of a symmetric U, by deconvolution.
    ///
    /// # Errors
    /// As [`deconvolve`] and [`WalkKernel::from_modulation`].
    pub fn from_series(base: SparseMatrix, alpha: &[f64]) -> Result<Self, Error> {
        Self::from_modulation(base, deconvolve(alpha)?)
    }

    /// The pair (f, g): estimates Σ fₖUᵏ (Σ gₖUᵏ)ᵀ, with two copies of walks. (α, \[1\]) estimates any series.
    ///
    /// # Errors
    /// As [`WalkKernel::from_modulation`].
    pub fn asymmetric(base: SparseMatrix, first: Vec<f64>, second: Vec<f64>) -> Result<Self, Error> {
        let checked = Self::from_modulation(base, second)?;
        let mut out = Self::from_modulation(checked.base, first)?;
        out.second = Some(checked.modulation);
        Ok(out)
    }

    /// The same walks, counted by another modulation.
    ///
    /// # Errors
    /// As [`WalkKernel::from_modulation`].
    pub fn with_modulation(&self, modulation: Vec<f64>) -> Result<Self, Error> {
        let mut out = Self::from_modulation(self.base.clone(), modulation)?;
        out.sides.clone_from(&self.sides);
        Ok(out)
    }

    /// U.
    pub fn base(&self) -> &SparseMatrix {
        &self.base
    }

    /// f₀, f₁, …: what the end of a walk of k steps counts.
    pub fn modulation(&self) -> &[f64] {
        &self.modulation
    }

    /// The modulation of the second copy.
    pub(crate) fn second(&self) -> &[f64] {
        self.second.as_deref().unwrap_or(&self.modulation)
    }

    pub(crate) fn is_symmetric(&self) -> bool {
        self.second.is_none()
    }

    pub(crate) fn sides(&self) -> &[f64] {
        &self.sides
    }

    /// qₖ² = the mean over nodes of Σⱼ (Qᵏ)ᵢⱼ with Q = U²/q elementwise for uniform steps q: the growth of a walk's second moment.
    pub(crate) fn growth(&self, terms: usize) -> Vec<f64> {
        let n = self.base.rows();
        let (mut v, mut next) = (vec![1.0; n], vec![0.0; n]);
        let mut out = Vec::with_capacity(terms);
        for _ in 0..terms {
            out.push(v.iter().sum::<f64>() / n.max(1) as f64);
            for (i, next) in next.iter_mut().enumerate() {
                let (columns, values) = row(&self.base, i);
                let degree = columns.len() as f64;
                *next = columns.iter().zip(values).map(|(&j, u)| u * u * degree * v[j as usize]).sum();
            }
            std::mem::swap(&mut v, &mut next);
        }
        out
    }
}

/// Cuts a modulation where what is left cannot matter: |fₖ| ρᵏ below the last digit of the sum so far.
fn cut(mut f: Vec<f64>, radius: f64) -> Vec<f64> {
    let (mut power, mut sum, mut keep) = (1.0, 0.0, f.len());
    let mut small = 0;
    for (k, f) in f.iter().enumerate() {
        let size = f.abs() * power;
        sum += size;
        small = if size <= 1e-18 * sum { small + 1 } else { 0 };
        if small == 4 {
            keep = k - 3;
            break;
        }
        power *= radius;
    }
    f.truncate(keep.max(1));
    f
}

impl NodeKernel {
    /// The kernel as walks: its matrix U, modulation in closed form, and scale.
    ///
    /// Combinatorial Laplacians walk on A + dₘₐₓI − D, whose entries are not negative, so that loads do not alternate in sign.
    /// The inverse cosine has √ of a zero at −1, where its series barely converges: it takes the pair (α, 1), two copies.
    ///
    /// # Errors
    /// As [`NodeKernel::matrix`]; [`Error::Unsupported`] for the commute time, [`Error::Divergent`] for odd powers of a ≤ 2 and
    /// where 512 terms are not enough.
    pub fn walks(&self, graph: &Graph) -> Result<WalkKernel, Error> {
        let form = self.form(graph)?;
        let n = graph.nodes();
        let degrees = graph.degrees();
        let largest = degrees.iter().copied().fold(0.0, f64::max);
        // c(A + dₘₐₓI − D), or cS.
        let base = |laplacian: Laplacian, scale: f64| -> Result<SparseMatrix, Error> {
            match laplacian {
                Laplacian::Combinatorial => {
                    let gaps: Vec<f64> = degrees.iter().map(|d| d - largest).collect();
                    let negated = diagonal_minus(&gaps, graph.adjacency())?;
                    Ok(scaled(&negated, |_| -scale, |_| 1.0))
                }
                _ => Ok(walk_base(graph, scale)),
            }
        };
        let top = |laplacian: Laplacian| if laplacian == Laplacian::Combinatorial { largest } else { 1.0 };
        // (base, modulation, spectral radius of the base, factor of the features)
        let (matrix, f, radius, factor) = match *self {
            Self::Diffusion { laplacian, t } => {
                let top = top(laplacian);
                (base(laplacian, 1.0)?, modulation_exponential(t, LONGEST), top, (-0.5 * t * top).exp())
            }
            Self::RegularizedLaplacian { laplacian, sigma2, degree } => {
                let whole = 1.0 + sigma2 * top(laplacian);
                let radius = 1.0 - 1.0 / whole;
                (
                    base(laplacian, sigma2 / whole)?,
                    modulation_inverse_power(degree, LONGEST),
                    radius,
                    whole.powf(-0.5 * degree),
                )
            }
            Self::Matern { normalize: true, .. } => {
                return Err(Error::Unsupported {
                    what: "walks for a normalised Matérn kernel",
                    hint: "the factor needs the whole spectrum: set normalize = false",
                });
            }
            Self::Matern { laplacian, nu, kappa, .. } if nu.is_infinite() => {
                let (top, t) = (top(laplacian), 0.5 * kappa * kappa);
                let factor = (-0.5 * t * top).exp() * (n as f64).sqrt();
                (base(laplacian, 1.0)?, modulation_exponential(t, LONGEST), top, factor)
            }
            Self::Matern { laplacian, nu, kappa, .. } => {
                let (offset, top) = (2.0 * nu / (kappa * kappa), top(laplacian));
                let whole = offset + top;
                let factor = whole.powf(-0.5 * nu) * (n as f64).sqrt();
                (base(laplacian, 1.0 / whole)?, modulation_inverse_power(nu, LONGEST), top / whole, factor)
            }
            Self::RandomWalk { a, steps } => {
                if steps % 2 == 1 && a <= 2.0 {
                    return Err(Error::Divergent { what: "1/(a - 1) of an odd random-walk kernel", given: 1.0 / (a - 1.0), bound: 1.0 });
                }
                (base(Laplacian::Symmetric, 1.0)?, modulation_power(a - 1.0, steps, LONGEST), 1.0, 1.0)
            }
            Self::InverseCosine => {
                let quarter = std::f64::consts::FRAC_PI_4;
                let alpha = (0..40).scan(std::f64::consts::FRAC_1_SQRT_2, |term, k| {
                    let out = if (k / 2) % 2 == 0 { *term } else { -*term };
                    *term *= quarter / f64::from(k + 1);
                    Some(out)
                });
                let mut out = WalkKernel::asymmetric(walk_base(graph, 1.0), cut(alpha.collect(), 1.0), vec![1.0])?;
                // cos 0 = 1 for a node without edges, where the series stops at α₀.
                for (side, degree) in out.sides.iter_mut().zip(&degrees) {
                    if *degree <= 0.0 {
                        *side = std::f64::consts::SQRT_2.sqrt();
                    }
                }
                return Ok(out);
            }
            Self::PageRank { alpha } => {
                (walk_base(graph, 1.0 - alpha), modulation_inverse_power(1.0, LONGEST), 1.0 - alpha, alpha.sqrt())
            }
            Self::RegularizedCommuteTime { alpha } => {
                (walk_base(graph, alpha), modulation_inverse_power(1.0, LONGEST), alpha, 1.0)
            }
            Self::VonNeumann { alpha } => (
                scaled(graph.adjacency(), |_| alpha, |_| 1.0),
                modulation_inverse_power(1.0, LONGEST),
                alpha * form.bounds.1,
                1.0,
            ),
            Self::Communicability { beta } => {
                (graph.adjacency().clone(), modulation_exponential(beta, LONGEST), form.bounds.1, 1.0)
            }
            Self::CommuteTime => {
                return Err(Error::Unsupported {
                    what: "walks for the commute time",
                    hint: "its series does not converge; use the regularised commute time or a regularised Laplacian",
                });
            }
        };
        let f = cut(f, radius);
        if f.len() == LONGEST && f[LONGEST - 1].abs() * radius.powi(LONGEST as i32) > 1e-9 {
            return Err(Error::Divergent { what: "spectral radius of the walk", given: radius, bound: 0.96 });
        }
        let mut out = WalkKernel::from_modulation(matrix, f)?;
        for (i, side) in out.sides.iter_mut().enumerate() {
            *side = factor * form.sides.as_ref().map_or(1.0, |sides| sides[i]);
            if row(&out.base, i).0.is_empty() {
                // A node without arrows has the kernel's value at eigenvalue 0, and a walk sees f₀ only.
                let scale = if matches!(self, Self::Matern { .. }) { n as f64 } else { 1.0 };
                *side = (scale * (form.function)(0.0)).max(0.0).sqrt() * inverse(out.modulation[0]);
            }
        }
        Ok(out)
    }
}
