//! A fitted machine.

use kernels_core::{Kernel, LazyCross, Points, Real};
use nalgebra::DMatrix;

use super::smo::Solution;
use crate::{Error, Version};

/// How an optimisation went.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SvmReport {
    /// The dual objective, minimised.
    pub objective: f64,
    /// Steps of two variables.
    pub iterations: usize,
    /// Violation of the optimality conditions at the end.
    pub violation: f64,
    /// Rows of the kernel matrix that were computed.
    pub rows: usize,
}

/// A support vector machine: f(x) = Σ βᵢ k(xᵢ, x) + b over the support vectors.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SvmModel<P, K> {
    version: Version,
    kernel: K,
    points: P,
    support: Vec<usize>,
    coefficients: Vec<f64>,
    intercept: f64,
    report: SvmReport,
}

/// Working memory of a prediction.
const BUDGET: usize = 64 << 20;

impl<P: Points, K: Clone> SvmModel<P, K> {
    /// From signed coefficients of all samples.
    pub(super) fn new(
        kernel: &K,
        xs: &P,
        beta: &[f64],
        intercept: f64,
        solution: &Solution,
        objective: f64,
    ) -> Result<Self, Error> {
        let support: Vec<usize> = (0..xs.len()).filter(|&i| beta[i] != 0.0).collect();
        Ok(Self {
            version: Version,
            kernel: kernel.clone(),
            points: xs.subset(&support)?,
            coefficients: support.iter().map(|&i| beta[i]).collect(),
            support,
            intercept,
            report: SvmReport {
                objective,
                iterations: solution.iterations,
                violation: solution.violation,
                rows: solution.rows,
            },
        })
    }
}

impl<P, K> SvmModel<P, K> {
    /// The same machine, fitted to these of all samples.
    pub(super) fn among(mut self, rows: &[usize]) -> Self {
        self.support.iter_mut().for_each(|i| *i = rows[*i]);
        self
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Which samples are support vectors, ascending.
    pub fn support(&self) -> &[usize] {
        &self.support
    }

    /// Their signed coefficients βᵢ.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// b.
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// How the optimisation went.
    pub fn report(&self) -> SvmReport {
        self.report
    }
}

impl<P: Points, K: Kernel<P>> SvmModel<P, K> {
    /// f(x) for every point: the side of the boundary, the predicted value, or how far inside a point is.
    ///
    /// **Errors.** Points of another kind, or not finite. **Complexity.** A kernel value for every point and support vector.
    pub fn decision(&self, xs: &P) -> Result<Vec<f64>, Error> {
        xs.check_finite()?;
        let weights =
            DMatrix::from_fn(self.coefficients.len(), 1, |i, _| P::Scalar::of(self.coefficients[i]));
        let mut out = DMatrix::repeat(xs.len(), 1, P::Scalar::default());
        LazyCross::new(&self.kernel, xs, &self.points, BUDGET)?
            .apply(weights.as_view(), out.as_view_mut())?;
        Ok(out.iter().map(|v| v.to_f64() + self.intercept).collect())
    }
}
