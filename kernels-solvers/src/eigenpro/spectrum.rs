//! The preconditioner of EigenPro: the top of the spectrum, from a subsample.

use kernels_core::{
    Error as CoreError, Kernel, LazyCross, Points, Real,
    dense::{SymmetricEigen, product, transposed_product},
};
use nalgebra::DMatrix;

use crate::{
    Error,
    data::{cross_f64, gram_f64},
};

/// K_SS / s = Σ σⱼ eⱼ eⱼᵀ, with the top q directions damped to the level of the (q+1)-th: g ↦ E D Eᵀ K_SB g, Dⱼ = (1 − (τ/σⱼ)ᵃ) / (s σⱼ).
#[derive(Clone, Debug)]
pub(crate) struct Spectrum<P> {
    pub(crate) points: P,
    basis: DMatrix<f64>,
    damping: Vec<f64>,
    /// σ₁ ≥ … ≥ σ_{q+1}, and a.
    pub(super) values: Vec<f64>,
    exponent: f64,
    /// Largest eigenvalue that is left: τ, or σ₁^{1−a} τᵃ.
    pub(crate) top: f64,
    /// β = max k(x, x) over the subsample.
    pub(crate) peak: f64,
}

impl<P: Points> Spectrum<P> {
    /// Of `points`, with `q` directions (fewer when the spectrum ends before) and exponent `a` in (0, 1]; `ridge` is added to the
    /// diagonal of the kernel matrix. No more directions than make `batch` the critical one: beyond that, damping only slows down.
    pub(crate) fn new<K: Kernel<P>>(
        kernel: &K,
        points: P,
        q: usize,
        a: f64,
        ridge: f64,
        batch: usize,
    ) -> Result<Self, Error> {
        let s = points.len();
        let mut gram = gram_f64(kernel, &points)?;
        for i in 0..s {
            gram[(i, i)] += ridge;
        }
        let peak = gram.diagonal().iter().copied().fold(0.0, f64::max);
        if peak <= 0.0 {
            let what = "EigenPro (points with a positive k(x, x))";
            return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
        }
        let eigen = SymmetricEigen::new(&(gram / s as f64))?;
        let value = |j: usize| eigen.values[s - 1 - j].max(0.0);
        // Directions that are rounding alone are no directions.
        let cut = value(0) * s as f64 * f64::EPSILON;
        let q =
            (0..q.min(s - 1)).take_while(|j| value(*j + 1) > cut && value(*j) * batch as f64 > peak).count();
        let basis = DMatrix::from_fn(s, q, |i, j| eigen.vectors[(i, s - 1 - j)]);
        let values = (0..=q).map(|j| value(j).max(cut)).collect();
        let spectrum = Self { points, basis, damping: Vec::new(), values, exponent: a, top: 0.0, peak };
        Ok(spectrum.truncated(q))
    }

    /// With the first `q` directions only.
    fn truncated(mut self, q: usize) -> Self {
        let (s, a) = (self.points.len() as f64, self.exponent);
        let tail = self.values[q];
        self.basis = self.basis.resize_horizontally(q, 0.0);
        self.damping = self.values[..q].iter().map(|v| (1.0 - (tail / v).powf(a)) / (s * v)).collect();
        self.top = if q == 0 { tail } else { self.values[0].powf(1.0 - a) * tail.powf(a) };
        self
    }

    /// m* = ⌊β/λ̄⌋ + 1: the batch above which a larger one no longer pays.
    pub(crate) fn critical_batch(&self) -> usize {
        // A spectrum that is flat leaves no bound: then everything is one batch.
        (self.peak / self.top.max(f64::MIN_POSITIVE)).min(1e9) as usize + 1
    }

    /// Step for every sample of a batch of m: 1 / (β + (m−1) λ̄), the best for the slowest direction that is left, and
    /// half of what would diverge.
    pub(crate) fn step(&self, batch: usize) -> f64 {
        1.0 / (self.peak + (batch as f64 - 1.0) * self.top)
    }

    /// The number of directions, of q, q/2, q/4, …, with which the largest eigenvalue that is left is smallest on a `fresh` sample,
    /// by ten power iterations: directions beyond what the subsample can know would be wrong elsewhere. λ̄ becomes what is found
    /// when that is more than was promised.
    pub(crate) fn calibrated<K: Kernel<P>>(self, kernel: &K, fresh: &P) -> Result<Self, Error>
    where
        P: Clone,
    {
        let within = gram_f64(kernel, fresh)?;
        let across = cross_f64(kernel, &self.points, fresh)?;
        let mut best: Option<Self> = None;
        let mut q = self.damping.len();
        loop {
            let mut candidate = self.clone().truncated(q);
            let found = candidate.largest(&within, &across)?;
            if found > candidate.top * 1.1 {
                candidate.top = found;
            }
            if best.as_ref().is_none_or(|b| candidate.top < b.top) {
                best = Some(candidate);
            }
            if q == 0 {
                return Ok(best.unwrap_or(self));
            }
            q /= 2;
        }
    }

    /// Largest eigenvalue of the preconditioned operator on a sample, from its kernel matrix and that with the subsample.
    fn largest(&self, within: &DMatrix<f64>, across: &DMatrix<f64>) -> Result<f64, Error> {
        let n = within.nrows();
        let mut v = DMatrix::from_fn(n, 1, |i, _| 1.0 + 0.5 * ((i * i) as f64).sin());
        let mut value = 0.0;
        for _ in 0..10 {
            let norm = v.norm();
            if norm <= 0.0 {
                break;
            }
            v /= norm;
            let damped = transposed_product(across, &self.damp(&product(across, &v)?)?)?;
            v = (product(within, &v)? - damped) / n as f64;
            value = v.norm();
        }
        Ok(value)
    }

    /// E D Eᵀ v, s × t.
    pub(crate) fn damp(&self, v: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let mut inner = transposed_product(&self.basis, v)?;
        for (mut row, d) in inner.row_iter_mut().zip(&self.damping) {
            row *= *d;
        }
        Ok(product(&self.basis, &inner)?)
    }
}

/// K(xs, ys) v, in the scalars of the points.
pub(crate) fn cross_times<P: Points, K: Kernel<P>>(
    kernel: &K,
    xs: &P,
    ys: &P,
    v: &DMatrix<f64>,
    budget: usize,
) -> Result<DMatrix<f64>, Error> {
    let mut out = DMatrix::repeat(xs.len(), v.ncols(), P::Scalar::default());
    LazyCross::new(kernel, xs, ys, budget)?.apply(v.map(P::Scalar::of).as_view(), out.as_view_mut())?;
    Ok(out.map(Real::to_f64))
}
