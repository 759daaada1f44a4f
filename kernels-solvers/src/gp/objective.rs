//! What hyper-parameters are judged by, with gradients.

use kernels_core::{
    Describe, Kernel, Points, Real,
    dense::{Cholesky, product},
    gram_gradient,
};
use nalgebra::DMatrix;

use super::{Free, add_outer, values_of};
use crate::{Error, data::gram_f64};

/// What hyper-parameters are chosen by.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Objective {
    /// Log marginal likelihood, summed over outputs.
    MarginalLikelihood,
    /// Log predictive density of every sample given the others (leave-one-out), summed. More robust when the model is wrong.
    LeaveOneOutDensity,
    /// Leave-one-out squared error, as −(nt/2) ln of its mean. For ridge regression, where variances do not matter.
    LeaveOneOutError,
    /// The evidence bound whose log likelihood is multiplied by κ: marginal likelihood with noise σ²/κ, and the likelihood's
    /// constants as they were. With κ the number of weights over samples it lets models with more weights than samples fit.
    ///
    /// Reference: Harvey, Petrov, Hughes, *Learning hyperparameters via a data-emphasized variational objective* (2025).
    DataEmphasised {
        /// κ > 0; 1 is the marginal likelihood.
        kappa: f64,
    },
}

/// A Gram matrix with noise, factorized, and the coefficients a = (K + noise)⁻¹ y.
pub(crate) struct Posterior {
    pub(crate) factor: Cholesky,
    pub(crate) coefficients: DMatrix<f64>,
    pub(crate) log_marginal_likelihood: f64,
}

const LN_2PI: f64 = 1.837_877_066_409_345_3;

impl Posterior {
    pub(crate) fn new<P: Points, K: Kernel<P>>(
        kernel: &K,
        noise: f64,
        xs: &P,
        y: &DMatrix<f64>,
        extra: &[f64],
    ) -> Result<Self, Error> {
        let factor = factorize(kernel, noise, xs, extra)?;
        let mut coefficients = y.clone();
        factor.solve_in_place(coefficients.as_view_mut())?;
        let (n, outputs) = (y.nrows() as f64, y.ncols() as f64);
        let log_marginal_likelihood =
            -0.5 * y.dot(&coefficients) - 0.5 * outputs * (factor.ln_determinant() + n * LN_2PI);
        Ok(Self { factor, coefficients, log_marginal_likelihood })
    }
}

/// The factor of K + noise.
pub(crate) fn factorize<P: Points, K: Kernel<P>>(
    kernel: &K,
    noise: f64,
    xs: &P,
    extra: &[f64],
) -> Result<Cholesky, Error> {
    let mut k = gram_f64(kernel, xs)?;
    for i in 0..k.nrows() {
        k[(i, i)] += noise + extra.get(i).copied().unwrap_or(0.0);
    }
    Ok(Cholesky::new(k)?)
}

/// The objective as a function of hyper-parameters.
pub(crate) struct Evaluation<'a, P, K> {
    objective: Objective,
    pub(crate) kernel: K,
    pub(crate) noise: f64,
    xs: &'a P,
    y: &'a DMatrix<f64>,
    extra: &'a [f64],
}

impl<'a, P: Points, K: Kernel<P> + Describe + Clone> Evaluation<'a, P, K> {
    pub(crate) fn new(
        objective: Objective,
        kernel: K,
        noise: f64,
        xs: &'a P,
        y: &'a DMatrix<f64>,
        extra: &'a [f64],
    ) -> Self {
        Self { objective, kernel, noise, xs, y, extra }
    }

    /// Sets natural values of the free parameters; `None` is the noise.
    pub(crate) fn set(&mut self, values: &[(Option<usize>, f64)]) -> Result<(), Error> {
        let mut all: Vec<f64> = self.kernel.params().iter().map(|p| p.value).collect();
        for &(index, value) in values {
            match index {
                Some(index) => all[index] = value,
                None => self.noise = value,
            }
        }
        Ok(self.kernel.set_params(&all)?)
    }

    pub(crate) fn posterior(&self) -> Result<Posterior, Error> {
        Posterior::new(&self.kernel, self.noise, self.xs, self.y, self.extra)
    }

    /// Minus the objective and its gradient on the optimiser's scale; infinite where the matrix has no factor.
    pub(crate) fn negated(&mut self, free: &[Free], x: &[f64]) -> (f64, Vec<f64>) {
        let values = values_of(free, x);
        let evaluated = self.set(&values).and_then(|()| self.evaluate());
        let Ok((value, by_kernel, by_noise)) = evaluated else { return (f64::INFINITY, vec![0.0; x.len()]) };
        let gradient = free.iter().zip(&values).map(|(f, &(index, natural))| {
            let slope = index.map_or(by_noise, |i| by_kernel[i]);
            -slope * f.param.transform.slope(natural)
        });
        (-value, gradient.collect())
    }

    /// The objective, its gradient by the kernel's natural parameters, and by the noise.
    ///
    /// Every objective has a gradient Σ Wᵢⱼ ∂Kᵢⱼ/∂θ; only W differs.
    pub(crate) fn evaluate(&self) -> Result<(f64, Vec<f64>, f64), Error> {
        if let Objective::DataEmphasised { kappa } = self.objective {
            return self.emphasised(kappa);
        }
        let posterior = self.posterior()?;
        let g = posterior.factor.inverse()?;
        let a = &posterior.coefficients;
        let (n, outputs) = (a.nrows(), a.ncols());
        let (value, w) = match self.objective {
            Objective::MarginalLikelihood | Objective::DataEmphasised { .. } => {
                let mut w = g * (-0.5 * outputs as f64);
                for a in a.column_iter() {
                    add_outer(&mut w, 0.5, a.as_slice(), a.as_slice());
                }
                (posterior.log_marginal_likelihood, w)
            }
            Objective::LeaveOneOutDensity => {
                // Rasmussen & Williams 5.13: Σᵢ (aᵢ [Za]ᵢ − ½(1 + aᵢ²/Gᵢᵢ) [ZG]ᵢᵢ) / Gᵢᵢ with Z = G ∂K.
                let mut value = 0.0;
                let (mut first, mut second) = (DMatrix::zeros(n, outputs), vec![0.0; n]);
                for k in 0..outputs {
                    for i in 0..n {
                        let (a, g) = (a[(i, k)], g[(i, i)]);
                        value += 0.5 * (g.ln() - LN_2PI - a * a / g);
                        first[(i, k)] = a / g;
                        second[i] -= 0.5 * (1.0 + a * a / g) / g;
                    }
                }
                (value, self.leave_one_out_weights(&g, a, &first, &second)?)
            }
            Objective::LeaveOneOutError => {
                // With eᵢ = aᵢ/Gᵢᵢ: ∂Σe² = −2 Σ (eᵢ/Gᵢᵢ) [Za]ᵢ + 2 Σ (eᵢ²/Gᵢᵢ) [ZG]ᵢᵢ.
                let count = (n * outputs) as f64;
                let sum: f64 = (0..outputs)
                    .flat_map(|k| (0..n).map(move |i| (i, k)))
                    .map(|(i, k)| (a[(i, k)] / g[(i, i)]).powi(2))
                    .sum();
                let scale = -0.5 * count / sum.max(f64::MIN_POSITIVE);
                let (mut first, mut second) = (DMatrix::zeros(n, outputs), vec![0.0; n]);
                for k in 0..outputs {
                    for i in 0..n {
                        let (e, g) = (a[(i, k)] / g[(i, i)], g[(i, i)]);
                        first[(i, k)] = -2.0 * scale * e / g;
                        second[i] += 2.0 * scale * e * e / g;
                    }
                }
                let value = -0.5 * count * (sum / count).max(f64::MIN_POSITIVE).ln();
                (value, self.leave_one_out_weights(&g, a, &first, &second)?)
            }
        };
        let by_noise = w.trace();
        let weights = w.map(P::Scalar::of);
        Ok((value, gram_gradient(&self.kernel, self.xs, weights.as_view())?, by_noise))
    }

    /// ln ∫ p(y|w)^κ p(w) dw: p(y|w)^κ is a density of noise σ²/κ up to (2πσ²/κ)^(n/2) (2πσ²)^(−nκ/2).
    fn emphasised(&self, kappa: f64) -> Result<(f64, Vec<f64>, f64), Error> {
        crate::data::positive("kappa", kappa)?;
        let noise = crate::data::positive("noise", self.noise)?;
        let tempered = Self {
            objective: Objective::MarginalLikelihood,
            kernel: self.kernel.clone(),
            noise: noise / kappa,
            xs: self.xs,
            y: self.y,
            extra: self.extra,
        };
        let (value, by_kernel, by_noise) = tempered.evaluate()?;
        let count = self.y.len() as f64;
        let ln = LN_2PI + noise.ln();
        let value = value + 0.5 * count * ((ln - kappa.ln()) - kappa * ln);
        Ok((value, by_kernel, by_noise / kappa + 0.5 * count * (1.0 - kappa) / noise))
    }

    /// W of Σᵢₖ uᵢₖ [G ∂K aₖ]ᵢ + Σᵢ vᵢ [G ∂K G]ᵢᵢ: sym(Gu aᵀ) + G diag(v) G.
    fn leave_one_out_weights(
        &self,
        g: &DMatrix<f64>,
        a: &DMatrix<f64>,
        u: &DMatrix<f64>,
        v: &[f64],
    ) -> Result<DMatrix<f64>, Error> {
        let mut scaled = g.clone();
        for (mut column, v) in scaled.column_iter_mut().zip(v) {
            column *= *v;
        }
        let mut w = product(&scaled, g)?;
        let gu = product(g, u)?;
        for (a, gu) in a.column_iter().zip(gu.column_iter()) {
            add_outer(&mut w, 1.0, a.as_slice(), gu.as_slice());
        }
        Ok(w)
    }
}
