//! The change of variables that preconditions Falkon.

use kernels_core::dense::Cholesky;
use nalgebra::DMatrix;

use crate::Error;

/// Cholesky of `a` + jitter · m I: the smallest of ε, 10ε, … that works, at most 1e-8 of the largest diagonal entry.
pub(crate) fn factorize(a: DMatrix<f64>, epsilon: f64) -> Result<(Cholesky, f64), Error> {
    let m = a.nrows();
    let largest = a.diagonal().iter().fold(0.0_f64, |l, d| l.max(*d));
    let mut jitter = epsilon * m as f64 * largest;
    loop {
        let mut shifted = a.clone();
        for i in 0..m {
            shifted[(i, i)] += jitter;
        }
        match Cholesky::new(shifted) {
            Ok(factor) => return Ok((factor, jitter)),
            Err(error) if jitter > 1e-8 * largest * m as f64 || largest <= 0.0 => return Err(error.into()),
            Err(_) => jitter *= 10.0,
        }
    }
}

/// T of [`Basis`], and its jitter: K_mm + 1e-13 m I, as Falkon's own implementation has it.
pub(crate) fn root(kmm: DMatrix<f64>) -> Result<(Cholesky, f64), Error> {
    factorize(kmm, 1e-13)
}

/// The change of variables a = T⁻¹A⁻¹β in which the problem is well conditioned: K_mm = TᵀT, TTᵀ/m + λI = AᵀA.
pub(crate) struct Basis {
    /// Lᵀ = T.
    t: Cholesky,
    a: Cholesky,
    pub(crate) jitter: f64,
    transposed_t: DMatrix<f64>,
}

impl Basis {
    pub(crate) fn new(kmm: DMatrix<f64>, lambda: f64, weights: Option<&[f64]>) -> Result<Self, Error> {
        let m = kmm.nrows();
        let (t, jitter) = root(kmm)?;
        let lower = lower_triangle(t.factor());
        let a = Self::inner(&lower, lambda, weights, m)?;
        Ok(Self { t, a, jitter, transposed_t: lower })
    }

    /// With AᵀA = `inner` + λI, where `inner` estimates T⁻ᵀKᵀWKT⁻¹/n.
    pub(crate) fn of(
        (t, jitter): (Cholesky, f64),
        mut inner: DMatrix<f64>,
        lambda: f64,
    ) -> Result<Self, Error> {
        let transposed_t = lower_triangle(t.factor());
        (0..inner.nrows()).for_each(|i| inner[(i, i)] += lambda);
        // Where λ is lost in rounding, what rounding takes is given back.
        let (a, _) = factorize(inner, f64::EPSILON)?;
        Ok(Self { t, a, jitter, transposed_t })
    }

    /// A of other weights and penalty, with the same T.
    pub(crate) fn reweigh(&mut self, lambda: f64, weights: Option<&[f64]>) -> Result<(), Error> {
        self.a = Self::inner(&self.transposed_t, lambda, weights, self.transposed_t.nrows())?;
        Ok(())
    }

    fn inner(
        lower: &DMatrix<f64>,
        lambda: f64,
        weights: Option<&[f64]>,
        m: usize,
    ) -> Result<Cholesky, Error> {
        // T diag(w) Tᵀ with T = Lᵀ: (W½ L)ᵀ (W½ L).
        let mut scaled = lower.clone();
        if let Some(weights) = weights {
            for (mut row, w) in scaled.row_iter_mut().zip(weights) {
                row *= w.max(0.0).sqrt();
            }
        }
        let mut inner = kernels_core::dense::transposed_product(&scaled, &scaled)? / m as f64;
        for i in 0..m {
            inner[(i, i)] += lambda;
        }
        Ok(Cholesky::new(inner)?)
    }

    /// T⁻¹ A⁻¹ β.
    pub(crate) fn push(&self, beta: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let inner = upper_solve(&self.a, beta)?;
        upper_solve(&self.t, &inner)
    }

    /// β = A T a: what [`Basis::push`] maps to a.
    pub(crate) fn coordinates(&self, a: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let inner = kernels_core::dense::transposed_product(&self.transposed_t, a)?;
        Ok(kernels_core::dense::transposed_product(&lower_triangle(self.a.factor()), &inner)?)
    }

    /// A⁻ᵀ T⁻ᵀ v.
    pub(crate) fn pull(&self, mut v: DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        self.t.solve_lower_in_place(v.as_view_mut())?;
        self.a.solve_lower_in_place(v.as_view_mut())?;
        Ok(v)
    }

    /// A⁻ᵀ (T⁻ᵀ image + λ A⁻¹ β), image = KᵀWK a / n.
    pub(crate) fn operator(
        &self,
        beta: &DMatrix<f64>,
        mut image: DMatrix<f64>,
        lambda: f64,
    ) -> Result<DMatrix<f64>, Error> {
        self.t.solve_lower_in_place(image.as_view_mut())?;
        image += upper_solve(&self.a, beta)? * lambda;
        self.a.solve_lower_in_place(image.as_view_mut())?;
        Ok(image)
    }

    /// Tᵀ.
    pub(crate) fn lower(&self) -> &DMatrix<f64> {
        &self.transposed_t
    }

    /// T and A as upper triangles.
    #[cfg(test)]
    pub(crate) fn triangles(&self) -> (DMatrix<f64>, DMatrix<f64>) {
        (self.transposed_t.transpose(), lower_triangle(self.a.factor()).transpose())
    }
}

fn lower_triangle(m: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(m.nrows(), m.ncols(), |i, j| if i >= j { m[(i, j)] } else { 0.0 })
}

/// L⁻ᵀ v.
fn upper_solve(factor: &Cholesky, v: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    let mut out = v.clone();
    factor.solve_upper_in_place(out.as_view_mut())?;
    Ok(out)
}
