//! Exact first and second moments of the estimator, for small graphs.

use kernels_core::dense::product;
use nalgebra::DMatrix;

use super::{LengthLaw, WalkKernel};
use crate::{Error, graph::row, laplacian::dense};

/// Powers of U and the column sums of Qᵏ/sₖ: all that the second moment of a walk depends on.
pub(crate) struct Moments {
    /// U⁰, U¹, …, up to twice the terms.
    pub(crate) powers: Vec<DMatrix<f64>>,
    /// Σᵢ (Qᵏ)ᵢⱼ / sₖ.
    columns: Vec<Vec<f64>>,
    walks: f64,
    terms: usize,
}

impl Moments {
    pub(crate) fn new(
        kernel: &WalkKernel,
        terms: usize,
        walks: usize,
        law: &LengthLaw,
    ) -> Result<Self, Error> {
        if walks == 0 {
            return Err(crate::error::parameter("walks", 0.0, "at least 1"));
        }
        let (_, survival) = law.tables_for_all(kernel, terms)?;
        let base = dense(kernel.base());
        let n = base.nrows();
        let mut powers = vec![DMatrix::identity(n, n)];
        for k in 1..(2 * terms).max(2) - 1 {
            powers.push(product(&powers[k - 1], &base)?);
        }
        let mut column = vec![1.0; n];
        let mut columns = Vec::with_capacity(terms);
        for s in survival.iter().take(terms) {
            columns.push(column.iter().map(|c| c / s).collect());
            let mut next = vec![0.0; n];
            for (i, c) in column.iter().enumerate() {
                let (indices, values) = row(kernel.base(), i);
                let degree = indices.len() as f64;
                indices.iter().zip(values).for_each(|(&j, u)| next[j as usize] += c * u * u * degree);
            }
            column = next;
        }
        Ok(Self { powers, columns, walks: walks as f64, terms })
    }

    /// Σᵢ E[φᵢφᵢᵀ] for m independent walks.
    fn second(&self, f: &[f64]) -> DMatrix<f64> {
        let n = self.powers[0].nrows();
        let mut one = DMatrix::zeros(n, n);
        for (k, column) in self.columns.iter().enumerate() {
            for (j, c) in column.iter().enumerate() {
                one[(j, j)] += f[k] * f[k] * c;
            }
            for l in k + 1..self.terms {
                let (weight, power) = (f[k] * f[l], &self.powers[l - k]);
                if weight.abs() > 0.0 {
                    for b in 0..n {
                        for a in 0..n {
                            let value = weight * column[a] * power[(a, b)];
                            one[(a, b)] += value;
                            one[(b, a)] += value;
                        }
                    }
                }
            }
        }
        one / self.walks + self.mean(f) * (1.0 - 1.0 / self.walks)
    }

    /// Σ fₖfₗ U^(k+l), what is estimated.
    pub(crate) fn mean(&self, f: &[f64]) -> DMatrix<f64> {
        let n = self.powers[0].nrows();
        let mut out = DMatrix::zeros(n, n);
        for k in 0..self.terms {
            for l in 0..self.terms {
                out += &self.powers[k + l] * (f[k] * f[l]);
            }
        }
        out
    }

    /// E‖ΦΨᵀ − K‖² for two independent copies.
    pub(crate) fn error(&self, f: &[f64], target: &DMatrix<f64>) -> f64 {
        self.second(f).norm_squared() - 2.0 * target.dot(&self.mean(f)) + target.norm_squared()
    }

    /// The gradient of [`Moments::error`] by f.
    pub(crate) fn gradient(&self, f: &[f64], target: &DMatrix<f64>) -> Vec<f64> {
        let second = self.second(f);
        let n = second.nrows();
        (0..self.terms)
            .map(|k| {
                let mut sum = 0.0;
                for (j, c) in self.columns[k].iter().enumerate() {
                    sum += 2.0 * second[(j, j)] * 2.0 * f[k] * c / self.walks;
                }
                for l in 0..self.terms {
                    let power = &self.powers[k + l];
                    let mean = 2.0 * second.dot(power) * (1.0 - 1.0 / self.walks) - 2.0 * target.dot(power);
                    sum += 2.0 * f[l] * mean;
                    if l != k {
                        let (column, power) = (&self.columns[k.min(l)], &self.powers[k.abs_diff(l)]);
                        let mut cross = 0.0;
                        for b in 0..n {
                            for a in 0..n {
                                cross += second[(a, b)] * column[a] * power[(a, b)];
                            }
                        }
                        sum += 2.0 * 2.0 * f[l] * cross / self.walks;
                    }
                }
                sum
            })
            .collect()
    }
}

/// E‖ΦΨᵀ − K‖²/‖K‖² of two independent copies of `walks` walks, exactly: U symmetric, without the scales of the kernel. O(k² n² + k n³).
///
/// # Errors
/// A law or a number of walks out of range; [`Error::Unsupported`] for an asymmetric pair.
pub fn expected_error(kernel: &WalkKernel, walks: usize, law: &LengthLaw) -> Result<f64, Error> {
    if !kernel.is_symmetric() {
        return Err(Error::Unsupported {
            what: "the expected error of an asymmetric pair",
            hint: "give one modulation",
        });
    }
    let f = kernel.modulation();
    let moments = Moments::new(kernel, f.len(), walks, law)?;
    let mean = moments.mean(f);
    Ok(moments.error(f, &mean) / mean.norm_squared())
}
