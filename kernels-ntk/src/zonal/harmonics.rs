//! Spherical harmonics as features, and Gaussian processes on them.

use std::ops::Range;

use kernels_core::{FeatureMap, Points, Rows, Tile, Workspace, dense::Cholesky};
use nalgebra::{DMatrix, DVector};

use super::zonal_multiplicity;
use crate::{
    Error,
    error::{same, within},
    random::Normals,
};

/// Orthonormal spherical harmonics up to a degree, under the uniform probability measure of the sphere: each degree is spanned by its
/// zonal functions N Pₙ(⟨vⱼ, ·⟩) at N(d, n) points vⱼ, made orthonormal by a Cholesky factor of their Gram matrix N Pₙ(⟨vᵢ, vⱼ⟩).
///
/// As a feature map, ‖x‖ √λₙ Yₙⱼ(x/‖x‖): inner products are the truncated Mercer sum ‖x‖‖y‖ Σ N λₙ Pₙ(cos) of a kernel that is
/// homogeneous of degree 1, such as that of a network of rectified layers without biases.
///
/// ```
/// use kernels_core::{Rows, features};
/// use kernels_ntk::{SphericalHarmonics, zonal_eigenvalues, zonal_series};
/// let lambda = zonal_eigenvalues(|t| (t - 1.0).exp(), 3, 6)?;
/// let map = SphericalHarmonics::new(3, lambda.clone(), 1)?;
/// let xs = Rows::from_row_major(vec![0.6, 0.8, 0.0, 0.0, 0.6, 0.8], 2, 3)?;
/// let z = features(&map, &xs)?;
/// let product: f64 = z.row(0).dot(&z.row(1));
/// assert!((product - zonal_series(&lambda, 3, 0.48)?).abs() < 1e-13);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Reference: Dutordoir, Durrande & Hensman, *Sparse Gaussian processes with spherical harmonic features* (2020).
#[derive(Clone, Debug)]
pub struct SphericalHarmonics {
    space: usize,
    eigenvalues: Vec<f64>,
    degrees: Vec<Degree>,
    outputs: usize,
}

#[derive(Clone, Debug)]
struct Degree {
    n: usize,
    root: f64,
    /// Points by rows.
    centres: DMatrix<f64>,
    factor: DMatrix<f64>,
}

/// Pₙ(t), Pₙ(1) = 1, in dimension d.
pub(super) fn legendre(dim: usize, degree: usize, t: f64) -> f64 {
    let d = dim as f64;
    let (mut before, mut now) = (0.0, 1.0);
    for n in 0..degree {
        let n = n as f64;
        let next =
            if n + d - 2.0 > 0.0 { ((2.0 * n + d - 2.0) * t * now - n * before) / (n + d - 2.0) } else { t };
        (before, now) = (now, next);
    }
    now
}

/// Most harmonics of one degree.
const MOST: f64 = 4000.0;

/// Candidates a centre is chosen from.
const CANDIDATES: usize = 3;

impl SphericalHarmonics {
    /// Harmonics of the degrees whose eigenvalues are above 0, in dimension d; centres are drawn by the seed.
    ///
    /// # Errors
    /// [`Error::Value`] for d below 2, a negative eigenvalue, or a degree with more than 4000 harmonics.
    pub fn new(dim: usize, eigenvalues: Vec<f64>, seed: u64) -> Result<Self, Error> {
        within("dimension", dim as f64, dim >= 2, "2 or above")?;
        let mut degrees = Vec::new();
        let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
        for (n, &lambda) in eigenvalues.iter().enumerate() {
            within("eigenvalue", lambda, lambda >= -1e-13 * largest, "0 or above")?;
            if lambda <= 1e-15 * largest {
                continue;
            }
            let count = zonal_multiplicity(dim, n)?;
            within("harmonics of a degree", count, count <= MOST, "at most 4000")?;
            degrees.push(Degree::new(dim, n, count as usize, lambda.sqrt(), seed)?);
        }
        let outputs = degrees.iter().map(|d| d.centres.nrows()).sum();
        Ok(Self { space: dim, eigenvalues, degrees, outputs })
    }

    /// The eigenvalues given.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    fn of(&self, x: &[f64], out: &mut Vec<f64>) {
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        let unit: Vec<f64> =
            if norm > 0.0 { x.iter().map(|v| v / norm).collect() } else { vec![0.0; x.len()] };
        for degree in &self.degrees {
            let scale = degree.root * norm;
            out.extend(degree.at(self.space, &unit).iter().map(|y| scale * y));
        }
    }
}

impl Degree {
    fn new(dim: usize, n: usize, count: usize, root: f64, seed: u64) -> Result<Self, Error> {
        // Greedy choice among random candidates: the one the centres before it explain least.
        let mut normals = Normals::new(seed, n as u64);
        let weight = count as f64;
        let mut centres = DMatrix::zeros(count, dim);
        let mut factor: DMatrix<f64> = DMatrix::zeros(count, count);
        for k in 0..count {
            let mut best = (0.0, DVector::zeros(dim), DVector::zeros(k));
            for attempt in 0..40 {
                if attempt >= CANDIDATES && best.0 > 1e-6 * weight {
                    break;
                }
                let mut v = DVector::from_fn(dim, |_, _| normals.next());
                v /= v.norm().max(f64::MIN_POSITIVE);
                // The new row of the Cholesky factor.
                let mut row = DVector::zeros(k);
                for i in 0..k {
                    let t: f64 = (0..dim).map(|c| centres[(i, c)] * v[c]).sum();
                    let known: f64 = (0..i).map(|c| factor[(i, c)] * row[c]).sum();
                    row[i] = (weight * legendre(dim, n, t.clamp(-1.0, 1.0)) - known) / factor[(i, i)];
                }
                let rest = weight - row.norm_squared();
                if rest > best.0 {
                    best = (rest, v, row);
                }
            }
            within(
                "independence of harmonics",
                best.0,
                best.0 > 1e-10 * weight,
                "above 0: take another seed",
            )?;
            centres.row_mut(k).copy_from(&best.1.transpose());
            for i in 0..k {
                factor[(k, i)] = best.2[i];
            }
            factor[(k, k)] = best.0.sqrt();
        }
        Ok(Self { n, root, centres, factor })
    }

    /// L⁻¹ N Pₙ(⟨v, x⟩).
    fn at(&self, dim: usize, x: &[f64]) -> DVector<f64> {
        let count = self.centres.nrows();
        let mut y = DVector::from_fn(count, |i, _| {
            let t: f64 = (0..dim).map(|c| self.centres[(i, c)] * x[c]).sum();
            count as f64 * legendre(dim, self.n, t.clamp(-1.0, 1.0))
        });
        for i in 0..count {
            let known: f64 = (0..i).map(|c| self.factor[(i, c)] * y[c]).sum();
            y[i] = (y[i] - known) / self.factor[(i, i)];
        }
        y
    }
}

impl FeatureMap<Rows<f64>> for SphericalHarmonics {
    fn dim(&self) -> usize {
        self.outputs
    }

    fn features(&self, xs: &Rows<f64>, rows: Range<usize>, mut out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        let mut values = Vec::with_capacity(self.outputs);
        for (r, i) in rows.enumerate() {
            values.clear();
            self.of(xs.point(i), &mut values);
            for (c, value) in values.iter().enumerate() {
                out[(r, c)] = *value;
            }
        }
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), kernels_core::Error> {
        if self.space == xs.dim() {
            return Ok(());
        }
        let what = "number of features of the points";
        Err(kernels_core::Error::Shape { what, expected: self.space, given: xs.dim() })
    }
}

/// A sparse Gaussian process whose inducing variables are the coefficients of spherical harmonics: K_uu is diagonal, so that with m
/// harmonics fitting costs O(n m²) and no inducing points have to be placed. The optimal variational posterior in closed form.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_ntk::{Activation, SphericalHarmonics, SphericalProcess, zonal_eigenvalues, zonal_kernel};
/// use nalgebra::dmatrix;
/// let kappa = |t: f64| zonal_kernel(&Activation::relu(), 1, t.clamp(-1.0, 1.0)).map_or(f64::NAN, |k| k.1);
/// let harmonics = SphericalHarmonics::new(3, zonal_eigenvalues(kappa, 3, 5)?, 0)?;
/// let xs = Rows::from_row_major(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 2, 3)?;
/// let process = SphericalProcess::fit(harmonics, kappa(1.0), &xs, &dmatrix![1.0; -1.0], 0.01)?;
/// let (mean, variance) = process.predict(&xs)?;
/// assert!(mean[0] > 0.5 && mean[1] < -0.5 && variance[0] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SphericalProcess {
    harmonics: SphericalHarmonics,
    at_one: f64,
    noise: f64,
    system: Cholesky,
    weights: DMatrix<f64>,
    bound: f64,
}

impl SphericalProcess {
    /// Fits targets, n × outputs, under the kernel ‖x‖‖y‖ κ(cos) with κ(1) = `at_one`, of which the harmonics hold a part.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::Value`] for a noise variance not above 0.
    pub fn fit(
        harmonics: SphericalHarmonics,
        at_one: f64,
        xs: &Rows<f64>,
        targets: &DMatrix<f64>,
        noise_variance: f64,
    ) -> Result<Self, Error> {
        same("rows of the targets", xs.len(), targets.nrows())?;
        let noise =
            within("noise variance", noise_variance, noise_variance > 0.0, "a finite number above 0")?;
        let features = kernels_core::features(&harmonics, xs)?;
        let m = harmonics.outputs;
        // I + ΨᵀΨ/σ².
        let system = Cholesky::new(features.tr_mul(&features) / noise + DMatrix::identity(m, m))?;
        let image = features.tr_mul(targets);
        let mut weights = &image / noise;
        system.solve_in_place(weights.as_view_mut())?;
        let (n, outputs) = (xs.len() as f64, targets.ncols() as f64);
        let own: f64 = (0..xs.len()).map(|i| at_one * xs.point(i).iter().map(|v| v * v).sum::<f64>()).sum();
        let rest = own - features.norm_squared();
        let square = (targets.norm_squared() - image.dot(&weights)) / noise;
        let determinant = system.ln_determinant() + n * (std::f64::consts::TAU * noise).ln();
        let bound = -0.5 * (square + outputs * (determinant + rest / noise));
        Ok(Self { harmonics, at_one, noise, system, weights, bound })
    }

    /// The variational lower bound on the log marginal likelihood.
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// Means, points × outputs, and variances of the function (the noise, `noise_variance`, not added).
    ///
    /// # Errors
    /// [`Error::Core`] for points of another dimension.
    pub fn predict(&self, xs: &Rows<f64>) -> Result<(DMatrix<f64>, Vec<f64>), Error> {
        let features = kernels_core::features(&self.harmonics, xs)?;
        let mut spread = features.transpose();
        self.system.solve_lower_in_place(spread.as_view_mut())?;
        let variance = (0..xs.len())
            .map(|i| {
                let own = self.at_one * xs.point(i).iter().map(|v| v * v).sum::<f64>();
                let held = features.row(i).norm_squared();
                (own - held).max(0.0) + spread.column(i).norm_squared()
            })
            .collect();
        Ok((&features * &self.weights, variance))
    }

    /// The noise variance.
    pub fn noise_variance(&self) -> f64 {
        self.noise
    }
}
