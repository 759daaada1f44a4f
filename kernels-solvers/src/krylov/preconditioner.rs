//! Approximate inverses of K + αI.

use kernels_core::{
    Error as CoreError, Kernel, LowRank, Operator, Points, Real,
    dense::{Cholesky, SymmetricEigen, product},
};
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::applied;
use crate::{
    Error,
    data::{gram_f64, non_negative},
};

/// A symmetric positive definite P for which P⁻¹r is cheap and P⁻¹A is near the identity.
pub trait Preconditioner: Send + Sync {
    /// P⁻¹ `r`, n × t.
    ///
    /// # Errors
    /// Shapes that disagree.
    fn solve(&self, r: &DMatrix<f64>) -> Result<DMatrix<f64>, Error>;
}

/// No preconditioning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;

impl Preconditioner for Identity {
    fn solve(&self, r: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        Ok(r.clone())
    }
}

/// P = U diag(s) Uᵀ + αI, with few orthonormal columns U: P⁻¹r = U diag(1/(s + α) − 1/α) Uᵀr + r/α.
///
/// From a pivoted Cholesky factorization ([`LowRankPreconditioner::new`]): with trace error at most cα the condition number is at
/// most 1 + c. From random products with K ([`LowRankPreconditioner::nystrom`]), which needs no columns.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankPreconditioner {
    basis: DMatrix<f64>,
    values: Vec<f64>,
    ridge: f64,
    /// What stands for the values outside the basis, beside the ridge.
    rest: f64,
}

impl LowRankPreconditioner {
    /// P = FFᵀ + αI of a low-rank approximation.
    ///
    /// **Errors.** α that is not positive. **Complexity.** O(n rank²).
    pub fn new(low: &LowRank, alpha: f64) -> Result<Self, Error> {
        let ridge = positive(alpha)?;
        let (basis, values) = left_singular(low.factor())?;
        Ok(Self { basis, values, ridge, rest: 0.0 })
    }

    /// Randomised Nyström approximation from `rank` products with Gaussian vectors.
    ///
    /// **Errors.** α that is not positive; a rank of more than n. **Complexity.** `rank` products with K, O(n rank²).
    ///
    /// Reference: Frangella, Tropp, Udell, *Randomized Nyström preconditioning* (2023), algorithms 2.1 and 5.1.
    pub fn nystrom<T: Real>(
        operator: &(impl Operator<T> + ?Sized),
        rank: usize,
        alpha: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        let ridge = positive(alpha)?;
        let n = operator.dim();
        let rank = rank.min(n);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let omega = DMatrix::from_fn(n, rank, |_, _| StandardNormal.sample(&mut rng));
        // Orthonormal columns: of a Gaussian matrix this is a well conditioned factorization.
        let (omega, _) = left_singular(&omega)?;
        let mut image = applied(operator, &omega)?;
        let norm = image.norm();
        if norm <= 0.0 {
            return Ok(Self { basis: DMatrix::zeros(n, 0), values: Vec::new(), ridge, rest: 0.0 });
        }
        let scalar = T::EPSILON.to_f64();
        let shift = norm * scalar * (n as f64).sqrt();
        image += &omega * shift;
        let core = omega.tr_mul(&image);
        let core = (&core + core.transpose()) * 0.5;
        let mut transposed = image.transpose();
        Cholesky::new(core)?.solve_lower_in_place(transposed.as_view_mut())?;
        let (basis, mut values) = left_singular(&transposed.transpose())?;
        values.iter_mut().for_each(|v| *v = (*v - shift).max(0.0));
        let rest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let rest = if rest.is_finite() && basis.ncols() < n { rest } else { 0.0 };
        Ok(Self { basis, values, ridge, rest })
    }

    /// Order-of-magnitude condition number of P: (largest value + α) / (α + smallest value kept).
    pub fn condition(&self) -> f64 {
        let largest = self.values.iter().copied().fold(0.0, f64::max);
        (largest + self.ridge) / (self.rest + self.ridge)
    }

    /// Eigenvalues of the approximation, in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl Preconditioner for LowRankPreconditioner {
    fn solve(&self, r: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        crate::data::expect("rows of the residual", self.basis.nrows(), r.nrows())?;
        // Scaled by α + rest, which conjugate gradients do not see: (rest + α)/(s + α) in the basis, 1 outside.
        let mut inner = self.basis.tr_mul(r);
        for (mut row, s) in inner.row_iter_mut().zip(&self.values) {
            row *= (self.rest + self.ridge) / (s + self.ridge) - 1.0;
        }
        Ok(r + product(&self.basis, &inner)?)
    }
}

fn positive(alpha: f64) -> Result<f64, Error> {
    if alpha > 0.0 && alpha.is_finite() {
        return Ok(alpha);
    }
    let expected = "a finite number above 0";
    Err(CoreError::Parameter { name: "alpha".into(), value: alpha, expected }.into())
}

/// Orthonormal U and eigenvalues s of FFᵀ = U diag(s) Uᵀ, from the small matrix FᵀF; directions below rounding are left out.
fn left_singular(f: &DMatrix<f64>) -> Result<(DMatrix<f64>, Vec<f64>), Error> {
    let eigen = SymmetricEigen::new(&product(&f.transpose(), f)?)?;
    let largest = eigen.values.iter().copied().fold(0.0, f64::max);
    let cut = largest * f.ncols() as f64 * 1e-14;
    let kept: Vec<usize> = (0..f.ncols()).filter(|k| eigen.values[*k] > cut).collect();
    let mut small = eigen.vectors.select_columns(&kept);
    let values: Vec<f64> = kept.iter().map(|k| eigen.values[*k]).collect();
    for (mut column, v) in small.column_iter_mut().zip(&values) {
        column /= v.sqrt();
    }
    Ok((product(f, &small)?, values))
}

/// P = the diagonal blocks of K + αI, of consecutive points: good when neighbours in the order are neighbours in space.
#[derive(Clone, Debug)]
pub struct BlockJacobi {
    blocks: Vec<Cholesky>,
}

impl BlockJacobi {
    /// Blocks of `size` points (the last may be smaller).
    ///
    /// **Errors.** A negative α; blocks that are not positive definite. **Complexity.** O(n size²).
    pub fn new<P: Points, K: Kernel<P>>(
        kernel: &K,
        xs: &P,
        size: usize,
        alpha: f64,
    ) -> Result<Self, Error> {
        let alpha = non_negative("alpha", alpha)?;
        let all: Vec<usize> = (0..xs.len()).collect();
        let blocks = all.chunks(size.max(1)).map(|part| {
            let mut block = gram_f64(kernel, &xs.subset(part)?)?;
            for i in 0..part.len() {
                block[(i, i)] += alpha;
            }
            Ok(Cholesky::new(block)?)
        });
        Ok(Self { blocks: blocks.collect::<Result<_, Error>>()? })
    }
}

impl Preconditioner for BlockJacobi {
    fn solve(&self, r: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let n: usize = self.blocks.iter().map(Cholesky::order).sum();
        crate::data::expect("rows of the residual", n, r.nrows())?;
        let mut out = r.clone();
        let mut start = 0;
        for block in &self.blocks {
            block.solve_in_place(out.rows_mut(start, block.order()))?;
            start += block.order();
        }
        Ok(out)
    }
}
