//! EigenPro 3 and 4: centres that are not the samples.

use kernels_core::{
    Kernel, Points,
    dense::{Cholesky, product, transposed_product},
};
use nalgebra::DMatrix;

use super::{
    full::Full,
    spectrum::{Spectrum, cross_times},
};
use crate::{Error, data::cross_f64};

/// How the gradient, a function of all samples, is brought back to the span of the centres: θ ≈ K_ZZ⁻¹ h.
pub(crate) enum Projection<'a, P> {
    /// By a factorization of K_ZZ.
    Exact(Cholesky),
    /// By epochs of EigenPro 2 on the centres.
    Inexact {
        spectrum: &'a Spectrum<P>,
        sample: &'a [usize],
        batch: usize,
        step: f64,
        epochs: usize,
        /// Mean square at which an epoch is the last.
        tolerance: f64,
    },
}

/// State between two projections (EigenPro 4): what has been learnt and is not yet in the span of the centres.
pub(crate) struct Pending<P> {
    /// Coefficients on the spectrum's points.
    pub(crate) sample: DMatrix<f64>,
    pub(crate) batches: Vec<(P, DMatrix<f64>)>,
    /// −Σ step · (values at the centres of the preconditioned gradients).
    pub(crate) target: DMatrix<f64>,
}

/// Model with centres Z, data spectrum on S.
pub(crate) struct Large<'a, P, K> {
    pub(crate) kernel: &'a K,
    pub(crate) centers: &'a P,
    pub(crate) spectrum: &'a Spectrum<P>,
    /// K(Z, S).
    pub(crate) centers_by_sample: DMatrix<f64>,
    pub(crate) projection: Projection<'a, P>,
    pub(crate) budget: usize,
}

impl<P: Points, K: Kernel<P>> Large<'_, P, K> {
    pub(crate) fn pending(&self, outputs: usize) -> Pending<P> {
        Pending {
            sample: DMatrix::zeros(self.spectrum.points.len(), outputs),
            batches: Vec::new(),
            target: DMatrix::zeros(self.centers.len(), outputs),
        }
    }

    /// A batch with a step for every sample; its squared residuals.
    pub(crate) fn batch(
        &self,
        w: &DMatrix<f64>,
        pending: &mut Pending<P>,
        points: P,
        y: &DMatrix<f64>,
        step: f64,
    ) -> Result<f64, Error> {
        let times = |xs: &P, ys: &P, v: &DMatrix<f64>| cross_times(self.kernel, xs, ys, v, self.budget);
        // Met twice, at the centres: kept where there is room.
        let (rows, size) = (points.len(), size_of::<f64>());
        let kept = rows.saturating_mul(self.centers.len()).saturating_mul(size) <= self.budget;
        let k = if kept { Some(cross_f64(self.kernel, &points, self.centers)?) } else { None };
        let mut g = match &k {
            Some(k) => product(k, w)?,
            None => times(&points, self.centers, w)?,
        };
        if !pending.batches.is_empty() {
            g += times(&points, &self.spectrum.points, &pending.sample)?;
            for (earlier, u) in &pending.batches {
                g += times(&points, earlier, u)?;
            }
        }
        g -= y;
        let correction = self.spectrum.damp(&times(&self.spectrum.points, &points, &g)?)?;
        let whole = match &k {
            Some(k) => transposed_product(k, &g)?,
            None => times(self.centers, &points, &g)?,
        };
        let at_centers = whole - product(&self.centers_by_sample, &correction)?;
        pending.target -= at_centers * step;
        pending.sample += correction * step;
        let squares = g.norm_squared();
        pending.batches.push((points, g * -step));
        Ok(squares)
    }

    /// Brings what is pending into the span of the centres. `order(epoch)` is the order of the centres.
    pub(crate) fn project(
        &self,
        w: &mut DMatrix<f64>,
        pending: &mut Pending<P>,
        order: &mut dyn FnMut(usize) -> Vec<usize>,
    ) -> Result<(), Error> {
        let outputs = w.ncols();
        let done = std::mem::replace(pending, self.pending(outputs));
        match &self.projection {
            Projection::Exact(factor) => {
                let mut theta = done.target;
                factor.solve_in_place(theta.as_view_mut())?;
                *w += theta;
            }
            Projection::Inexact { spectrum, sample, batch, step, epochs, tolerance } => {
                let full = Full {
                    kernel: self.kernel,
                    xs: self.centers,
                    y: &done.target,
                    spectrum,
                    sample,
                    batch: *batch,
                    ridge: 0.0,
                    places: Vec::new(),
                    budget: self.budget,
                };
                let mut theta = DMatrix::zeros(self.centers.len(), outputs);
                for epoch in 0..*epochs {
                    if full.epoch(&mut theta, &order(epoch), *step)? < *tolerance {
                        break;
                    }
                }
                *w += theta;
            }
        }
        Ok(())
    }
}
