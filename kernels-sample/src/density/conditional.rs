//! Conditional densities.

use kernels_core::{Points, Rows};

use super::{DensityKernel, bandwidth::log_sum_exp};
use crate::{Error, distance::distance, error, parallel};

/// p(y | x) = Σ K((x − xᵢ)/h) K((y − yᵢ)/g) / Σ K((x − xᵢ)/h) from pairs (xᵢ, yᵢ).
///
/// Worked in logarithms, so that a query far from all data is still answered (by its nearest points); where the kernel's compact support
/// holds no point, by the nearest one alone.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{ConditionalKde, DensityKernel};
/// let xs = Rows::from_row_major(vec![0.0, 10.0], 2, 1)?;
/// let ys = Rows::from_row_major(vec![-1.0, 1.0], 2, 1)?;
/// let p = ConditionalKde::new(DensityKernel::Gaussian, &xs, 1.0, &ys, 0.5)?;
/// let at = |v: f64| Rows::from_row_major(vec![v], 1, 1);
/// assert!(p.log_density(&at(10.0)?, &at(1.0)?)?[0] > p.log_density(&at(0.0)?, &at(1.0)?)?[0]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConditionalKde {
    kernel: DensityKernel,
    xs: Rows<f64>,
    ys: Rows<f64>,
    h: f64,
    g: f64,
}

impl ConditionalKde {
    /// From pairs, with a bandwidth for conditions and one for outcomes.
    ///
    /// **Errors.** No pairs, different numbers of them, values that are not finite, bandwidths that are not positive.
    pub fn new(kernel: DensityKernel, xs: &Rows<f64>, h: f64, ys: &Rows<f64>, g: f64) -> Result<Self, Error> {
        error::at_least("a conditional density", 1, xs.len())?;
        error::expect("outcomes (one a condition)", xs.len(), ys.len())?;
        xs.check_finite()?;
        ys.check_finite()?;
        let (h, g) = (error::positive("bandwidth of conditions", h)?, error::positive("bandwidth of outcomes", g)?);
        Ok(Self { kernel, xs: xs.clone(), ys: ys.clone(), h, g })
    }

    /// ln p(y | x) for pairs of queries.
    ///
    /// **Errors.** Queries of other dimensions, of different numbers, or not finite. **Complexity.** O(n) a query.
    pub fn log_density(&self, x: &Rows<f64>, y: &Rows<f64>) -> Result<Vec<f64>, Error> {
        error::expect("outcomes (one a condition)", x.len(), y.len())?;
        error::expect("number of features of the conditions", self.xs.dim(), x.dim())?;
        error::expect("number of features of the outcomes", self.ys.dim(), y.dim())?;
        x.check_finite()?;
        y.check_finite()?;
        let d = y.dim();
        let constant = self.kernel.ln_integral(d) + d as f64 * self.g.ln();
        Ok(parallel::map(x.len(), |q| {
            let apart: Vec<f64> =
                (0..self.xs.len()).map(|i| distance(x.point(q), self.xs.point(i)) / self.h).collect();
            let mut given: Vec<f64> = apart.iter().map(|&u| self.kernel.ln_profile(u)).collect();
            let mut total = log_sum_exp(&given);
            if total == f64::NEG_INFINITY {
                let nearest = apart.iter().copied().fold(f64::INFINITY, f64::min);
                given.iter_mut().zip(&apart).filter(|(_, u)| **u <= nearest).for_each(|(l, _)| *l = 0.0);
                total = log_sum_exp(&given);
            }
            let joint: Vec<f64> = given
                .iter()
                .enumerate()
                .map(|(i, l)| l + self.kernel.ln_profile(distance(y.point(q), self.ys.point(i)) / self.g))
                .collect();
            log_sum_exp(&joint) - total - constant
        }))
    }
}
