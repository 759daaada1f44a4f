//! Sparse variational Gaussian processes.

use std::ops::ControlFlow;

use kernels_core::{
    Block, Describe, Kernel, LazyGram, PivotedCholesky, Points, PositiveDefinite, Real, Workspace,
    dense::{Cholesky, product},
    diagonal,
};
use nalgebra::{DMatrix, DMatrixView};

use super::{Free, GpPrediction, NOISE, values_of};
use crate::{
    Error, Stop, Targets,
    data::{at_least, checked, cross_f64, gram_f64, non_negative, positive},
    minimise::minimise,
};

const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// Bytes of working memory for columns of the kernel matrix.
const BUDGET: usize = 64 << 20;

/// Sparse Gaussian process regression through m inducing points (Titsias' collapsed bound).
///
/// Maximises ln N(y; 0, Q + vI) − tr(K − Q)/(2v), Q = Kₙₘ Kₘₘ⁻¹ Kₘₙ, a lower bound of the log marginal likelihood that is tight
/// when the inducing points say all. Inducing points are samples, chosen one after another where the conditional variance is
/// greatest; kernel parameters and noise by L-BFGS with exact gradients.
///
/// Reference: Titsias, *Variational learning of inducing variables in sparse Gaussian processes*, AISTATS 2009; Burt, Rasmussen,
/// van der Wilk, *Convergence of sparse variational inference in Gaussian processes regression*, JMLR 21 (2020) for the choice.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::SparseGaussianProcess;
/// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 30.0).collect(), 200, 1)?;
/// let y: Vec<f64> = (0..200).map(|i| (f64::from(i) / 30.0).sin()).collect();
/// let model = SparseGaussianProcess::new(Rbf::new(1.0)?, 12).noise(1e-3).fit(&xs, &y)?;
/// let p = model.predict(&Rows::from_row_major(vec![2.5], 1, 1)?)?;
/// assert!((p.mean[(0, 0)] - 2.5_f64.sin()).abs() < 1e-2);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SparseGaussianProcess<K> {
    kernel: K,
    inducing: usize,
    noise: f64,
    jitter: f64,
    optimise: bool,
    max_iterations: usize,
}

impl<K: Describe + Clone> SparseGaussianProcess<K> {
    /// With this many inducing points at most, noise variance 0.01 that is fitted with the kernel's parameters. Targets are taken
    /// as they are.
    pub fn new(kernel: K, inducing: usize) -> Self {
        Self { kernel, inducing, noise: 1e-2, jitter: 1e-10, optimise: true, max_iterations: 100 }
    }

    /// Noise variance v > 0 to start from.
    pub fn noise(mut self, variance: f64) -> Self {
        self.noise = variance;
        self
    }

    /// What is added to the diagonal of Kₘₘ, relative to its mean; 1e-10 if not set.
    pub fn jitter(mut self, relative: f64) -> Self {
        self.jitter = relative;
        self
    }

    /// Whether kernel parameters and noise are fitted.
    pub fn optimise(mut self, optimise: bool) -> Self {
        self.optimise = optimise;
        self
    }

    /// Most iterations of the optimisation.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Fits to points and targets.
    ///
    /// **Errors.** Shapes that disagree, no points, values that are not finite, parameters out of range, a kernel that is not
    /// positive definite. **Complexity.** n m² for each evaluation, memory nm.
    pub fn fit<P, Y>(&self, xs: &P, y: &Y) -> Result<SparseGpModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite,
        Y: Targets + ?Sized,
    {
        let y = checked("sparse Gaussian process regression", &self.kernel, xs, y)?;
        at_least("sparse Gaussian process regression (inducing points)", 1, self.inducing)?;
        let noise = positive("noise", self.noise)?;
        non_negative("jitter", self.jitter)?;
        let mut kernel = self.kernel.clone();
        let mut chosen = greedy_variance(&kernel, xs, self.inducing)?;
        let mut noise = noise;
        let mut stop = Stop::Nothing;
        if self.optimise {
            let mut free: Vec<Free> = kernel
                .params()
                .into_iter()
                .enumerate()
                .filter(|(_, p)| !p.fixed && p.transform.forward(p.value).is_finite())
                .map(|(index, param)| Free { index: Some(index), param })
                .collect();
            let param =
                kernels_core::Param { bounds: NOISE, ..kernels_core::Param::positive("noise", noise) };
            free.push(Free { index: None, param });
            let bounds: Vec<(f64, f64)> = free.iter().map(Free::bounds).collect();
            let start: Vec<f64> = free.iter().map(|f| f.param.transform.forward(f.param.value)).collect();
            let z = xs.subset(&chosen)?;
            let evaluate = |x: &[f64]| {
                let values = values_of(&free, x);
                let mut kernel = self.kernel.clone();
                let found = set(&mut kernel, &values)
                    .and_then(|noise| {
                        Bound::new(&kernel, noise.unwrap_or(self.noise), self.jitter, xs, &z, &y)
                    })
                    .and_then(|bound| bound.gradient(&kernel, xs, &z).map(|g| (bound.value, g)));
                let Ok((value, (by_kernel, by_noise))) = found else {
                    return (f64::INFINITY, vec![0.0; x.len()]);
                };
                let gradient = free.iter().zip(&values).map(|(f, &(index, natural))| {
                    -index.map_or(by_noise, |i| by_kernel[i]) * f.param.transform.slope(natural)
                });
                (-value, gradient.collect())
            };
            if let ControlFlow::Continue(best) =
                minimise(evaluate, &start, &bounds, self.max_iterations, |_| ControlFlow::Continue(()))
                && best.value.is_finite()
            {
                stop = best.stop;
                noise = set(&mut kernel, &values_of(&free, &best.x))?.unwrap_or(noise);
                // The choice follows the fitted parameters when that is better.
                let again = greedy_variance(&kernel, xs, self.inducing)?;
                let value = |of: &[usize]| {
                    Bound::new(&kernel, noise, self.jitter, xs, &xs.subset(of)?, &y).map(|b| b.value)
                };
                if value(&again).is_ok_and(|v| v > -best.value) {
                    chosen = again;
                }
            }
        }
        let inducing = xs.subset(&chosen)?;
        let bound = Bound::new(&kernel, noise, self.jitter, xs, &inducing, &y)?;
        Ok(SparseGpModel { version: crate::Version, kernel, noise, inducing, chosen, bound, stop })
    }
}

/// Sets natural values; returns the noise if it is among them.
fn set<K: Describe>(kernel: &mut K, values: &[(Option<usize>, f64)]) -> Result<Option<f64>, Error> {
    let mut all: Vec<f64> = kernel.params().iter().map(|p| p.value).collect();
    let mut noise = None;
    for &(index, value) in values {
        match index {
            Some(index) => all[index] = value,
            None => noise = Some(value),
        }
    }
    kernel.set_params(&all)?;
    Ok(noise)
}

/// Samples of greatest conditional variance, one after another, until nothing is left.
fn greedy_variance<P: Points, K: Kernel<P>>(kernel: &K, xs: &P, most: usize) -> Result<Vec<usize>, Error> {
    let operator = LazyGram::new(kernel, xs, BUDGET)?;
    let low = PivotedCholesky::new(most).tolerance(1e-10).greedy().run(&operator, &mut ())?;
    // A kernel that is 0 everywhere has no variance, and one point is as good as another.
    Ok(if low.pivots().is_empty() { vec![0] } else { low.pivots().to_vec() })
}

/// The bound at given parameters, with what predictions and gradients need.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Bound {
    value: f64,
    noise: f64,
    /// L of Kₘₘ and of I + WWᵀ/v, W = L⁻¹Kₘₙ.
    own: Cholesky,
    inner: Cholesky,
    w: DMatrix<f64>,
    y: DMatrix<f64>,
    /// (I + WWᵀ/v)⁻¹ W y / v, m × t.
    weights: DMatrix<f64>,
    /// tr(K − Q).
    missing: f64,
}

impl Bound {
    fn new<P: Points, K: Kernel<P>>(
        kernel: &K,
        noise: f64,
        jitter: f64,
        xs: &P,
        z: &P,
        y: &DMatrix<f64>,
    ) -> Result<Self, Error> {
        let (n, m, outputs) = (xs.len(), z.len(), y.ncols() as f64);
        let mut own = gram_f64(kernel, z)?;
        // Without noise that the kernel puts on the diagonal.
        for i in 0..m {
            own[(i, i)] = kernel.eval(z.point(i), z.point(i)).to_f64();
        }
        let shift = jitter * own.trace() / m as f64;
        (0..m).for_each(|i| own[(i, i)] += shift);
        let own = Cholesky::new(own)?;
        let mut w = cross_f64(kernel, z, xs)?;
        own.solve_lower_in_place(w.as_view_mut())?;
        let mut inner = product(&w, &w.transpose())? / noise;
        (0..m).for_each(|i| inner[(i, i)] += 1.0);
        let inner = Cholesky::new(inner)?;
        let mut weights = product(&w, y)? / noise;
        let projected = weights.clone();
        inner.solve_in_place(weights.as_view_mut())?;
        let total: f64 = (0..n).map(|i| kernel.eval(xs.point(i), xs.point(i)).to_f64()).sum();
        let white: f64 = diagonal(kernel, xs)?.iter().map(|v| v.to_f64()).sum::<f64>() - total;
        if white.abs() > 1e-12 * total.abs() {
            return Err(Error::Unsupported {
                what: "a sparse Gaussian process with a noise kernel",
                reason: "the noise variance is a parameter of its own; leave the white part out of the kernel",
            });
        }
        let missing = (total - w.norm_squared()).max(0.0);
        // yᵀ(Q + v)⁻¹y = (yᵀy − (Wy)ᵀ(I + WWᵀ/v)⁻¹(Wy)/v)/v.
        let quadratic = y.norm_squared() / noise - projected.dot(&weights);
        let ln_det = inner.ln_determinant() + n as f64 * noise.ln();
        let value =
            -0.5 * quadratic - 0.5 * outputs * (ln_det + n as f64 * LN_2PI) - 0.5 * outputs * missing / noise;
        Ok(Self { value, noise, own, inner, w, y: y.clone(), weights, missing })
    }

    /// By kernel parameters and by noise.
    fn gradient<P: Points, K: Kernel<P> + Describe>(
        &self,
        kernel: &K,
        xs: &P,
        z: &P,
    ) -> Result<(Vec<f64>, f64), Error> {
        let (m, n) = self.w.shape();
        let (v, outputs) = (self.noise, self.y.ncols() as f64);
        // a = (Q + v)⁻¹y = (y − Wᵀ weights)/v.
        let a = (&self.y - self.w.tr_mul(&self.weights)) / v;
        // L⁻ᵀ of: ½ (Wa)aᵀ − ½ (I + WWᵀ/v)⁻¹W/v + W/(2v), each output.
        let mut solved = self.w.clone();
        self.inner.solve_in_place(solved.as_view_mut())?;
        let trace_inverse = (n as f64 - self.w.dot(&solved) / v) / v;
        let mut c =
            (&self.w - solved) * (0.5 * outputs / v) + product(&product(&self.w, &a)?, &a.transpose())? * 0.5;
        self.own_transposed(&mut c);
        let mut by_own = product(&c, &self.w.transpose())?;
        by_own.neg_mut();
        // times L⁻¹ from the right: transpose, solve, transpose.
        let mut turned = by_own.transpose();
        self.own_transposed(&mut turned);
        let by_own = turned.transpose();
        let by_own = (&by_own + by_own.transpose()) * 0.5;
        let by_cross = c * 2.0;
        let mut gradient = vec![0.0; kernel.params().len()];
        let mut ws = Workspace::new();
        let scalar = |m: &DMatrix<f64>| m.map(P::Scalar::of);
        kernel.block_gradient(
            &Block::between(z, 0..m, z, 0..m)?,
            scalar(&by_own).as_view(),
            &mut gradient,
            &mut ws,
        );
        kernel.block_gradient(
            &Block::between(z, 0..m, xs, 0..n)?,
            scalar(&by_cross).as_view(),
            &mut gradient,
            &mut ws,
        );
        let weight = [P::Scalar::of(-0.5 * outputs / v)];
        for i in 0..n {
            let at = Block::within(xs, i..i + 1, i..i + 1)?;
            kernel.block_gradient(&at, DMatrixView::from_slice(&weight, 1, 1), &mut gradient, &mut ws);
        }
        let by_noise =
            0.5 * (a.norm_squared() - outputs * trace_inverse) + 0.5 * outputs * self.missing / (v * v);
        Ok((gradient, by_noise))
    }

    /// L⁻ᵀ in place.
    fn own_transposed(&self, of: &mut DMatrix<f64>) {
        let lower = self.own.factor();
        for mut column in of.column_iter_mut() {
            for i in (0..column.len()).rev() {
                let sum: f64 = (i + 1..column.len()).map(|k| lower[(k, i)] * column[k]).sum();
                column[i] = (column[i] - sum) / lower[(i, i)];
            }
        }
    }
}

/// A fitted sparse Gaussian process.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SparseGpModel<P, K> {
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "only stored models need it"))]
    version: crate::Version,
    kernel: K,
    noise: f64,
    inducing: P,
    chosen: Vec<usize>,
    bound: Bound,
    stop: Stop,
}

impl<P: Points, K: Kernel<P>> SparseGpModel<P, K> {
    /// The kernel, tuned.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The noise variance.
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// Which samples are inducing points, in the order of their choice.
    pub fn inducing(&self) -> &[usize] {
        &self.chosen
    }

    /// The lower bound of the log marginal likelihood, summed over outputs.
    pub fn evidence_bound(&self) -> f64 {
        self.bound.value
    }

    /// Why the optimisation ended.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// Means, and variances of the function without noise.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** O(m²) a point.
    pub fn predict(&self, xs: &P) -> Result<GpPrediction, Error> {
        xs.check_finite()?;
        let outputs = self.bound.weights.ncols();
        let mut u = cross_f64(&self.kernel, &self.inducing, xs)?;
        self.bound.own.solve_lower_in_place(u.as_view_mut())?;
        let mean = u.tr_mul(&self.bound.weights);
        let mut inner = u.clone();
        self.bound.inner.solve_lower_in_place(inner.as_view_mut())?;
        let mut clipped = 0;
        let mut variance = DMatrix::zeros(xs.len(), outputs);
        for i in 0..xs.len() {
            let prior = self.kernel.eval(xs.point(i), xs.point(i)).to_f64();
            let left = prior - u.column(i).norm_squared() + inner.column(i).norm_squared();
            clipped += usize::from(left < 0.0);
            variance.row_mut(i).fill(left.max(0.0));
        }
        Ok(GpPrediction { mean, variance, clipped })
    }
}
