//! Filters with products alone.

use kernels_core::Operator;
use nalgebra::{DMatrix, DVector};

use super::Filter;
use crate::{Error, data::expect};

/// When a Krylov approximation ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KrylovLimits {
    /// Most products with K for one output.
    pub iterations: usize,
    /// Relative change of the coefficients between checks below which the approximation ends.
    pub tolerance: f64,
}

impl Default for KrylovLimits {
    /// 200 products, relative change 1e-10.
    fn default() -> Self {
        Self { iterations: 200, tolerance: 1e-10 }
    }
}

/// How a filter was applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterReport {
    /// Products with K, the most of any output.
    pub products: usize,
    /// Whether the tolerance was met; polynomial filters are exact.
    pub converged: bool,
    /// Relative change at the last check, the largest of any output; 0 for polynomial filters.
    pub change: f64,
}

/// Coefficients c = (1/n) g(K/n) y of a filter with nothing but products with K.
///
/// Polynomial filters run their recursion, which is exact. Others are approximated in the Krylov space of every output:
/// V g(T) Vᵀy with Lanczos' T, fully reorthogonalised; smooth filters converge geometrically, the cut-off slowly, and the
/// report says how far it came.
///
/// **Errors.** A right-hand side without n rows; what the operator says. **Complexity.** A product with K for each iteration,
/// memory O(n · iterations) for filters that are not polynomials.
///
/// Reference: Higham, *Functions of matrices* (2008), section 13.2.1.
///
/// ```
/// use kernels_core::{Dense, Rbf, Rows, gram};
/// use kernels_solvers::spectral::{KrylovLimits, Tikhonov, filter_operator};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 4, 1)?;
/// let k = gram(&Rbf::new(1.0)?, &xs)?;
/// let y = nalgebra::dmatrix![1.0; 0.0; -1.0; 0.5];
/// let (c, report) = filter_operator(&Dense::new(k.clone())?, &Tikhonov::new(0.01)?, &y, KrylovLimits::default())?;
/// assert!(report.converged);
/// assert!((k * &c + 0.04 * &c - y).amax() < 1e-10);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn filter_operator(
    operator: &dyn Operator<f64>,
    filter: &dyn Filter,
    y: &DMatrix<f64>,
    limits: KrylovLimits,
) -> Result<(DMatrix<f64>, FilterReport), Error> {
    let n = operator.dim();
    expect("rows of the targets (one a sample)", n, y.nrows())?;
    let Some(recursion) = filter.recursion() else { return krylov(operator, filter, y, limits) };
    let shape = y.shape();
    let (mut before, mut c) = (DMatrix::zeros(shape.0, shape.1), DMatrix::zeros(shape.0, shape.1));
    let mut image = DMatrix::zeros(shape.0, shape.1);
    for step in &recursion.0 {
        let mut next = &c * (1.0 + step.momentum);
        next -= &before * step.momentum;
        let at = if step.ahead { &next } else { &c };
        operator.apply(at.as_view(), image.as_view_mut())?;
        let rate = step.rate / n as f64;
        next.zip_zip_apply(y, &image, |c, y, image| *c += rate * (y - image));
        before = std::mem::replace(&mut c, next);
    }
    Ok((c, FilterReport { products: recursion.0.len(), converged: true, change: 0.0 }))
}

fn krylov(
    operator: &dyn Operator<f64>,
    filter: &dyn Filter,
    y: &DMatrix<f64>,
    limits: KrylovLimits,
) -> Result<(DMatrix<f64>, FilterReport), Error> {
    let n = y.nrows();
    let mut out = DMatrix::zeros(n, y.ncols());
    let mut report = FilterReport { products: 0, converged: true, change: 0.0 };
    for (k, b) in y.column_iter().enumerate() {
        let norm = b.norm();
        if n == 0 || norm <= 0.0 {
            continue;
        }
        let mut basis = crate::krylov::Lanczos::new((b / norm).as_slice());
        let mut last: Option<DVector<f64>> = None;
        let mut change = f64::INFINITY;
        let mut ended = false;
        while !ended && basis.len() < limits.iterations.min(n) {
            ended = !basis.extend(operator)?;
            // A check costs k³: after every fifth step, and at the end.
            if ended || basis.len().is_multiple_of(5) || basis.len() == limits.iterations.min(n) {
                let small = basis.function(|ritz| filter.value((ritz / n as f64).max(0.0)))?;
                let mut padded = small.clone();
                if let Some(last) = &last {
                    padded.rows_mut(0, last.len()).axpy(-1.0, last, 1.0);
                    change = padded.norm() / small.norm().max(f64::MIN_POSITIVE);
                }
                last = Some(small);
                if change <= limits.tolerance {
                    break;
                }
            }
        }
        // An invariant space, or the whole space: exact up to rounding.
        if ended || basis.len() == n {
            change = 0.0;
        }
        if let Some(small) = last {
            out.set_column(k, &(basis.combine(&small) * (norm / n as f64)));
        }
        report.products = report.products.max(basis.len());
        report.change = report.change.max(change);
        report.converged &= change <= limits.tolerance;
    }
    Ok((out, report))
}
