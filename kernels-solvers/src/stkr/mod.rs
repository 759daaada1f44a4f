//! Spectrally transformed kernel regression.

mod propagate;

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{Cholesky, SymmetricEigen, product},
};
use nalgebra::DMatrix;
pub use propagate::{Propagation, propagate};

use crate::{
    Error, Targets, Version,
    data::{at_least, checked_points, cross_f64, expect, finite, gram_f64, positive},
};

/// What is done to the spectrum of a kernel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Transform {
    /// s(λ) = Σ πₚ λᵖ with p = 1, 2, … and πₚ ≥ 0: similarity along chains of up to p steps.
    Polynomial(Vec<f64>),
    /// s⁻¹(λ) = 1/λ − η: penalises the norm of the kernel less η times that of L². η is given as a share of its limit 1/λ₁, in
    /// (0, 1).
    InverseLaplacian(f64),
    /// The span of this many leading components, for when nothing is known of the transform.
    KernelPca(usize),
}

/// Spectrally transformed kernel regression: ridge regression with the kernel Σ s(λᵢ) φᵢ(x) φᵢ(x'), its eigenpairs estimated
/// from labelled and unlabelled points together.
///
/// Predictions are inductive: they need the kernel between a new point and the N training points alone. With G the Gram matrix
/// of all, v(x) the kernel with all: kₛ(x, x') = π₁ k(x, x') + Σ πₚ v(x)ᵀ G^(p−2) v(x')/N^(p−1).
///
/// Reference: Zhai, Pukdee, Jin, Balcan, Ravikumar, *Spectrally transformed kernel regression*, ICLR 2024, algorithms 1 to 3.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{Stkr, stkr::Transform};
/// // Two labels; the other points say which belong together.
/// let x: Vec<f64> = (0..20).map(|i| f64::from(i) / 10.0 + if i < 10 { 0.0 } else { 3.0 }).collect();
/// let order: Vec<usize> = [0, 19].into_iter().chain(1..19).collect();
/// let xs = Rows::from_row_major(order.iter().map(|&i| x[i]).collect(), 20, 1)?;
/// let transform = Transform::InverseLaplacian(0.99);
/// let model = Stkr::new(Rbf::new(0.5)?, transform).beta(1e-3).fit(&xs, &vec![1.0, -1.0])?;
/// let p = model.predict(&Rows::from_row_major(vec![0.8, 4.1], 2, 1)?)?;
/// assert!(p[0] > 0.5 && p[1] < -0.5);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stkr<K> {
    kernel: K,
    transform: Transform,
    beta: f64,
}

impl<K> Stkr<K> {
    /// With β = 0.01.
    pub fn new(kernel: K, transform: Transform) -> Self {
        Self { kernel, transform, beta: 1e-2 }
    }

    /// Sets the ridge β > 0, a labelled sample: the unnormalised ridge is nβ.
    pub fn beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// Fits to points of which the first have targets: as many as there are rows of `y`.
    ///
    /// **Errors.** No targets, more targets than points, values that are not finite, parameters out of range. **Complexity.** N³.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y) -> Result<StkrModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let y = y.to_matrix();
        let (n, total) = (y.nrows(), xs.len());
        at_least("spectrally transformed regression (targets)", 1, n)?;
        checked_points("spectrally transformed regression", &self.kernel, xs, n)?;
        finite("target", y.as_slice(), n)?;
        let ridge = n as f64 * positive("beta", self.beta)?;
        let g = gram_f64(&self.kernel, xs)?;
        let (direct, mut theta, alpha) = match &self.transform {
            Transform::Polynomial(coefficients) => {
                let (transformed, chain) = polynomial(&g, coefficients)?;
                let mut alpha = y;
                ridge_solve(transformed.view((0, 0), (n, n)).into_owned(), ridge, &mut alpha)?;
                // f(x) = π₁ k(x, X_n) α + v(x)ᵀ C[:, n] α.
                (coefficients[0], product(&chain.columns(0, n).into_owned(), &alpha)?, alpha)
            }
            Transform::InverseLaplacian(share) => {
                crate::data::within(
                    "share of the limit",
                    *share,
                    f64::MIN_POSITIVE,
                    1.0 - 1e-12,
                    "between 0 and 1",
                )?;
                let eigen = SymmetricEigen::new(&g)?;
                let top = eigen.values.amax();
                at_least(
                    "spectrally transformed regression (kernels other than 0)",
                    1,
                    usize::from(top > 0.0),
                )?;
                // sₛ(G) = G (I − ηQ)⁻¹ with Q = G/N, η = share·N/μ₁.
                let inner = |mu: f64| 1.0 / (1.0 - share * mu / top);
                let (mut full, mut chain) = (eigen.vectors.clone(), eigen.vectors.clone());
                for (j, &mu) in eigen.values.iter().enumerate() {
                    let mu = mu.max(0.0);
                    full.column_mut(j).scale_mut(mu * inner(mu));
                    // v(x)ᵀ(…): f = v(x)ᵀ θ with θ = (I − ηQ)⁻¹ e_n α.
                    chain.column_mut(j).scale_mut(inner(mu));
                }
                let back = eigen.vectors.transpose();
                let transformed = product(&full, &back)?;
                let chain = product(&chain, &back)?;
                let mut alpha = y;
                ridge_solve(transformed.view((0, 0), (n, n)).into_owned(), ridge, &mut alpha)?;
                (0.0, product(&chain.columns(0, n).into_owned(), &alpha)?, alpha)
            }
            Transform::KernelPca(components) => {
                at_least("spectrally transformed regression (components)", 1, *components)?;
                let eigen = SymmetricEigen::new(&g)?;
                let floor = total as f64 * f64::EPSILON * eigen.values.amax();
                let kept: Vec<usize> =
                    (0..total).rev().take(*components).filter(|&j| eigen.values[j] > floor).collect();
                // Features v(x)·uⱼ/√μⱼ: at training points √μⱼ uⱼ.
                let map = DMatrix::from_fn(total, kept.len(), |i, c| {
                    eigen.vectors[(i, kept[c])] / eigen.values[kept[c]].sqrt()
                });
                let features = DMatrix::from_fn(n, kept.len(), |i, c| {
                    eigen.vectors[(i, kept[c])] * eigen.values[kept[c]].sqrt()
                });
                let mut weights = product(&features.transpose(), &y)?;
                ridge_solve(product(&features.transpose(), &features)?, ridge, &mut weights)?;
                (0.0, product(&map, &weights)?, weights)
            }
        };
        if direct != 0.0 {
            for (mut to, from) in theta.row_iter_mut().zip(alpha.row_iter()) {
                to += from * direct;
            }
        }
        Ok(StkrModel { version: Version, kernel: self.kernel.clone(), points: xs.clone(), theta, alpha })
    }
}

fn ridge_solve(mut matrix: DMatrix<f64>, ridge: f64, rhs: &mut DMatrix<f64>) -> Result<(), Error> {
    (0..matrix.nrows()).for_each(|i| matrix[(i, i)] += ridge);
    Ok(Cholesky::new(matrix)?.solve_in_place(rhs.as_view_mut())?)
}

/// Gₛ = Σ πₚ Gᵖ/N^(p−1), and C with kₛ(x, X) = π₁k(x, X) + v(x)ᵀ C: Σ_{p ≥ 2} πₚ G^(p−1)/N^(p−1), both by Horner's rule.
fn polynomial(g: &DMatrix<f64>, coefficients: &[f64]) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
    at_least("spectrally transformed regression (coefficients)", 1, coefficients.len())?;
    for &c in coefficients {
        crate::data::non_negative("coefficient", c)?;
    }
    expect("columns of a square matrix", g.nrows(), g.ncols())?;
    let n = g.nrows();
    let q = g / n as f64;
    // Horner: s = π_d I; s ← π_p I + Q s.
    let mut chain = DMatrix::zeros(n, n);
    for &c in coefficients[1..].iter().rev() {
        chain = product(&q, &chain)?;
        (0..n).for_each(|i| chain[(i, i)] += c);
    }
    let chain = product(&q, &chain)?;
    let mut transformed = product(g, &chain)?;
    transformed += g * coefficients[0];
    Ok((transformed, chain))
}

/// A fitted spectrally transformed regression: f(x) = v(x)ᵀ θ.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StkrModel<P, K> {
    version: Version,
    kernel: K,
    points: P,
    theta: DMatrix<f64>,
    alpha: DMatrix<f64>,
}

impl<P, K> StkrModel<P, K> {
    /// θ, one row a training point.
    pub fn theta(&self) -> &DMatrix<f64> {
        &self.theta
    }

    /// Coefficients of the transformed kernel at the labelled points; weights of the components for kernel PCA.
    pub fn coefficients(&self) -> &DMatrix<f64> {
        &self.alpha
    }
}

impl<P: Points, K: Kernel<P>> StkrModel<P, K> {
    /// Predictions, one row a point.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** A kernel value for every point and training point.
    pub fn predict(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        Ok(product(&cross_f64(&self.kernel, xs, &self.points)?, &self.theta)?)
    }
}
