//! Gaussian process classification.

use std::ops::ControlFlow;

use kernels_core::{
    Describe, Kernel, Points, PositiveDefinite, Real,
    dense::{Cholesky, product},
    gram_gradient,
};
use nalgebra::{DMatrix, DVector};

use super::{Free, values_of};
use crate::{
    Error, Stop,
    calibration::sigmoid,
    classify::classes,
    data::{checked_points, cross_f64, expect, gram_f64},
    krr::weigh,
    minimise::minimise,
};

/// Gaussian process classification of two classes with the logistic likelihood, by Laplace's approximation; kernel parameters by
/// its marginal likelihood.
///
/// Reference: Rasmussen & Williams, *Gaussian Processes for Machine Learning* (2006), algorithms 3.1, 3.2 and 5.1.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::GpClassifier;
/// let xs = Rows::from_row_major((0..20).map(|i| f64::from(i)).collect(), 20, 1)?;
/// let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10)).collect();
/// let model = GpClassifier::new(4.0 * Rbf::new(3.0)?).fit(&xs, &labels)?;
/// let p = model.predict_probability(&Rows::from_row_major(vec![1.0, 9.5, 18.0], 3, 1)?)?;
/// assert!(p[0] < 0.5 && p[2] > 0.5 && p[0] < p[1] && p[1] < p[2]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GpClassifier<K> {
    kernel: K,
    optimise: bool,
    max_iterations: usize,
}

impl<K: Describe + Clone> GpClassifier<K> {
    /// With kernel parameters to be fitted.
    pub fn new(kernel: K) -> Self {
        Self { kernel, optimise: true, max_iterations: 100 }
    }

    /// Whether the kernel's parameters are fitted.
    pub fn optimise(mut self, optimise: bool) -> Self {
        self.optimise = optimise;
        self
    }

    /// Most iterations of the optimisation.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Fits to points and labels of two classes, which may be any integers.
    ///
    /// **Errors.** Not two classes, shapes that disagree, values that are not finite, [`kernels_core::Error::NotConverged`].
    /// **Complexity.** n³ for each Newton step.
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<GpClassifierModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite,
    {
        checked_points("Gaussian process classification", &self.kernel, xs, 1)?;
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = classes(labels)?;
        if classes.len() > 2 {
            return Err(Error::Unsupported {
                what: "Gaussian process classification of more than two classes",
                reason: "fit one model a class against the rest",
            });
        }
        let y: Vec<f64> = labels.iter().map(|l| if *l == classes[1] { 1.0 } else { -1.0 }).collect();
        let mut kernel = self.kernel.clone();
        let mut stop = Stop::Nothing;
        let free: Vec<Free> = kernel
            .params()
            .into_iter()
            .enumerate()
            .filter(|(_, p)| self.optimise && !p.fixed && p.transform.forward(p.value).is_finite())
            .map(|(index, param)| Free { index: Some(index), param })
            .collect();
        if !free.is_empty() {
            let bounds: Vec<(f64, f64)> = free.iter().map(Free::bounds).collect();
            let start: Vec<f64> = free.iter().map(|f| f.param.transform.forward(f.param.value)).collect();
            let set = |x: &[f64]| -> Result<K, Error> {
                let mut kernel = self.kernel.clone();
                let mut all: Vec<f64> = kernel.params().iter().map(|p| p.value).collect();
                for (index, value) in values_of(&free, x) {
                    index.into_iter().for_each(|i| all[i] = value);
                }
                kernel.set_params(&all)?;
                Ok(kernel)
            };
            let evaluate = |x: &[f64]| {
                let found = set(x).and_then(|kernel| {
                    let mode = Mode::find(&kernel, xs, &y)?;
                    let gradient = mode.gradient(&kernel, xs)?;
                    Ok((mode.log_marginal_likelihood, gradient))
                });
                let Ok((value, gradient)) = found else { return (f64::INFINITY, vec![0.0; x.len()]) };
                let slopes = free.iter().zip(values_of(&free, x)).map(|(f, (index, natural))| {
                    -index.map_or(0.0, |i| gradient[i]) * f.param.transform.slope(natural)
                });
                (-value, slopes.collect())
            };
            if let ControlFlow::Continue(best) =
                minimise(evaluate, &start, &bounds, self.max_iterations, |_| ControlFlow::Continue(()))
                && best.value.is_finite()
            {
                stop = best.stop;
                kernel = set(&best.x)?;
            }
        }
        let mode = Mode::find(&kernel, xs, &y)?;
        Ok(GpClassifierModel { version: crate::Version, kernel, points: xs.clone(), classes, mode, stop })
    }
}

/// The mode of the posterior.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Mode {
    k: DMatrix<f64>,
    f: DVector<f64>,
    /// a = K⁻¹f.
    a: DVector<f64>,
    /// ∇ ln p(y|f), √W, and the factor of I + W½KW½.
    slope: DVector<f64>,
    roots: Vec<f64>,
    factor: Cholesky,
    log_marginal_likelihood: f64,
}

const MOST: usize = 100;

impl Mode {
    fn find<P: Points, K: Kernel<P>>(kernel: &K, xs: &P, y: &[f64]) -> Result<Self, Error> {
        let k = gram_f64(kernel, xs)?;
        let n = y.len();
        let likelihood = |f: &DVector<f64>| -> f64 {
            // ln σ(yf), stable on both sides.
            (0..n).map(|i| -(-y[i] * f[i]).max(0.0) - (-(y[i] * f[i]).abs()).exp().ln_1p()).sum()
        };
        let (mut a, mut f) = (DVector::zeros(n), DVector::zeros(n));
        let mut value = likelihood(&f);
        for _ in 0..MOST {
            let slope = DVector::from_fn(n, |i, _| y[i] * sigmoid(-y[i] * f[i]));
            let roots: Vec<f64> = f.iter().map(|f| (sigmoid(*f) * sigmoid(-f)).sqrt()).collect();
            let mut b = k.clone();
            weigh(&mut b, &roots);
            (0..n).for_each(|i| b[(i, i)] += 1.0);
            let factor = Cholesky::new(b)?;
            let rhs = DVector::from_fn(n, |i, _| roots[i] * roots[i] * f[i] + slope[i]);
            let mut inner = DMatrix::from_column_slice(n, 1, (&k * &rhs).as_slice());
            inner.iter_mut().zip(&roots).for_each(|(v, r)| *v *= r);
            factor.solve_in_place(inner.as_view_mut())?;
            let target = DVector::from_fn(n, |i, _| rhs[i] - roots[i] * inner[i]);
            let direction = target - &a;
            let moved = &k * &direction;
            let mut step = 1.0;
            let change = loop {
                let (next, image) = (&a + &direction * step, &f + &moved * step);
                let next_value = likelihood(&image) - 0.5 * next.dot(&image);
                if next_value >= value - 1e-14 * value.abs() || step < 1e-10 {
                    let change = (&image - &f).amax();
                    (a, f, value) = (next, image, next_value);
                    break change;
                }
                step *= 0.5;
            };
            if change < 1e-10 * (1.0 + f.amax()) {
                let log_marginal_likelihood = value - 0.5 * factor.ln_determinant();
                return Ok(Self { k, f, a, slope, roots, factor, log_marginal_likelihood });
            }
        }
        Err(kernels_core::Error::NotConverged {
            what: "the mode of a Laplace approximation",
            iterations: MOST,
        }
        .into())
    }

    /// Of the approximate log marginal likelihood, by the kernel's natural parameters.
    fn gradient<P: Points, K: Kernel<P> + Describe>(&self, kernel: &K, xs: &P) -> Result<Vec<f64>, Error> {
        let n = self.f.len();
        // R = W½ B⁻¹ W½, C = L⁻¹ W½ K.
        let mut r = self.factor.inverse()?;
        weigh(&mut r, &self.roots);
        let mut c = self.k.clone();
        for (mut row, root) in c.row_iter_mut().zip(&self.roots) {
            row *= *root;
        }
        self.factor.solve_lower_in_place(c.as_view_mut())?;
        // Half the posterior variance times the third derivative of ln p(y|f), which is π(1−π)(2π−1).
        let s = DVector::from_fn(n, |i, _| {
            let p = sigmoid(self.f[i]);
            let third = p * (1.0 - p) * (2.0 * p - 1.0);
            0.5 * (self.k[(i, i)] - c.column(i).norm_squared()) * third
        });
        let u = &s - product(&r, &DMatrix::from_column_slice(n, 1, (&self.k * &s).as_slice()))?.column(0);
        let mut w = r * -0.5;
        super::add_outer(&mut w, 0.5, self.a.as_slice(), self.a.as_slice());
        super::add_outer(&mut w, 1.0, u.as_slice(), self.slope.as_slice());
        Ok(gram_gradient(kernel, xs, w.map(P::Scalar::of).as_view())?)
    }
}

/// A fitted Gaussian process classifier.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpClassifierModel<P, K> {
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "only stored models need it"))]
    version: crate::Version,
    kernel: K,
    points: P,
    classes: Vec<usize>,
    mode: Mode,
    stop: Stop,
}

impl<P: Points, K: Kernel<P> + Describe> GpClassifierModel<P, K> {
    /// The kernel, tuned.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The two labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// Laplace's approximation of the log marginal likelihood.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.mode.log_marginal_likelihood
    }

    /// Its gradient by the kernel's natural parameters.
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn log_marginal_likelihood_gradient(&self) -> Result<Vec<f64>, Error> {
        self.mode.gradient(&self.kernel, &self.points)
    }

    /// Why the optimisation ended.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// Means and variances of the latent function.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn latent(&self, xs: &P) -> Result<(Vec<f64>, Vec<f64>), Error> {
        xs.check_finite()?;
        let mut cross = cross_f64(&self.kernel, &self.points, xs)?;
        let mean = cross.tr_mul(&self.mode.slope).as_slice().to_vec();
        for (mut row, root) in cross.row_iter_mut().zip(&self.mode.roots) {
            row *= *root;
        }
        self.mode.factor.solve_lower_in_place(cross.as_view_mut())?;
        let variance = (0..xs.len())
            .map(|i| {
                let prior = self.kernel.eval(xs.point(i), xs.point(i)).to_f64();
                (prior - cross.column(i).norm_squared()).max(0.0)
            })
            .collect();
        Ok((mean, variance))
    }

    /// Probabilities of the second class: ∫ σ(z) N(z; μ, v) dz by quadrature.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn predict_probability(&self, xs: &P) -> Result<Vec<f64>, Error> {
        let (mean, variance) = self.latent(xs)?;
        Ok(mean.iter().zip(variance).map(|(&m, v)| expected_sigmoid(m, v)).collect())
    }

    /// The more probable label.
    ///
    /// # Errors
    /// Points of another kind, or not finite.
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        Ok(self.predict_probability(xs)?.iter().map(|p| self.classes[usize::from(*p > 0.5)]).collect())
    }
}

/// By the trapezoidal rule, which converges geometrically here: the error is below 1e-10 for variances up to 100.
fn expected_sigmoid(mean: f64, variance: f64) -> f64 {
    let (deviation, reach, step) = (variance.sqrt(), 170, 0.05);
    let (mut sum, mut total) = (0.0, 0.0);
    for k in -reach..=reach {
        let t = f64::from(k) * step;
        let weight = (-0.5 * t * t).exp();
        sum += weight * sigmoid(mean + deviation * t);
        total += weight;
    }
    sum / total
}
