//! Lanczos' tridiagonalisation with full reorthogonalisation.

use kernels_core::{Operator, dense::SymmetricEigen};
use nalgebra::{DMatrix, DVector};

use crate::Error;

/// An orthonormal basis of a Krylov space, and the tridiagonal matrix of the operator in it.
pub(crate) struct Lanczos {
    n: usize,
    /// Basis vectors one after another; the last is the next to be multiplied.
    vectors: Vec<f64>,
    diagonal: Vec<f64>,
    beside: Vec<f64>,
}

impl Lanczos {
    /// From a unit vector.
    pub(crate) fn new(start: &[f64]) -> Self {
        Self { n: start.len(), vectors: start.to_vec(), diagonal: Vec::new(), beside: Vec::new() }
    }

    /// Order of the tridiagonal matrix.
    pub(crate) fn len(&self) -> usize {
        self.diagonal.len()
    }

    /// One more product. False when the space is invariant and cannot grow.
    pub(crate) fn extend(&mut self, operator: &dyn Operator<f64>) -> Result<bool, Error> {
        let k = self.len();
        let current = DMatrix::from_column_slice(self.n, 1, &self.vectors[k * self.n..(k + 1) * self.n]);
        let mut next = DMatrix::zeros(self.n, 1);
        operator.apply(current.as_view(), next.as_view_mut())?;
        let size = next.norm();
        self.diagonal.push(current.dot(&next));
        // Twice is enough (Kahan, Parlett).
        for _ in 0..2 {
            for v in self.vectors.chunks_exact(self.n) {
                let share: f64 = v.iter().zip(next.as_slice()).map(|(v, x)| v * x).sum();
                next.as_mut_slice().iter_mut().zip(v).for_each(|(x, v)| *x -= share * v);
            }
        }
        let norm = next.norm();
        if norm <= 1e-13 * size.max(f64::MIN_POSITIVE) || self.len() == self.n {
            return Ok(false);
        }
        self.beside.push(norm);
        self.vectors.extend(next.iter().map(|x| x / norm));
        Ok(true)
    }

    fn eigen(&self) -> Result<SymmetricEigen, Error> {
        let k = self.len();
        let mut t = DMatrix::from_diagonal(&DVector::from_column_slice(&self.diagonal));
        for i in 1..k {
            t[(i, i - 1)] = self.beside[i - 1];
            t[(i - 1, i)] = self.beside[i - 1];
        }
        Ok(SymmetricEigen::new(&t)?)
    }

    /// f(T) e₁.
    pub(crate) fn function(&self, f: impl Fn(f64) -> f64) -> Result<DVector<f64>, Error> {
        let eigen = self.eigen()?;
        let weights =
            DVector::from_fn(self.len(), |j, _| f(eigen.values[j]) * eigen.vectors[(0, j)]);
        Ok(eigen.vectors * weights)
    }

    /// e₁ᵀ f(T) e₁: Gauss quadrature of f by the spectral measure of the start.
    pub(crate) fn quadrature(&self, f: impl Fn(f64) -> f64) -> Result<f64, Error> {
        let eigen = self.eigen()?;
        Ok((0..self.len()).map(|j| f(eigen.values[j]) * eigen.vectors[(0, j)].powi(2)).sum())
    }

    /// V w.
    pub(crate) fn combine(&self, weights: &DVector<f64>) -> DVector<f64> {
        let mut out = DVector::zeros(self.n);
        for (v, w) in self.vectors.chunks_exact(self.n).zip(weights.iter()) {
            out.as_mut_slice().iter_mut().zip(v).for_each(|(x, v)| *x += w * v);
        }
        out
    }
}
