//! EigenPro 2: a coefficient for every sample. Also the inexact projection of EigenPro 3 and 4.

use kernels_core::{Kernel, Points};
use nalgebra::DMatrix;

use super::spectrum::{Spectrum, cross_times};
use crate::Error;

/// Preconditioned stochastic gradients for K w = y, all samples being centres.
pub(crate) struct Full<'a, P, K> {
    pub(crate) kernel: &'a K,
    pub(crate) xs: &'a P,
    pub(crate) y: &'a DMatrix<f64>,
    pub(crate) spectrum: &'a Spectrum<P>,
    /// Indices of the spectrum's points among the samples.
    pub(crate) sample: &'a [usize],
    pub(crate) batch: usize,
    /// Added to the diagonal of K: 0 interpolates.
    pub(crate) ridge: f64,
    /// For every sample its place in the spectrum's, when there is a ridge.
    pub(crate) places: Vec<Option<usize>>,
    pub(crate) budget: usize,
}

impl<P: Points, K: Kernel<P>> Full<'_, P, K> {
    /// One pass in this order; the mean square of the batches' residuals as they were met.
    pub(crate) fn epoch(&self, w: &mut DMatrix<f64>, order: &[usize], step: f64) -> Result<f64, Error> {
        let mut squares = 0.0;
        for batch in order.chunks(self.batch) {
            let points = self.xs.subset(batch)?;
            let mut g = cross_times(self.kernel, &points, self.xs, w, self.budget)?;
            g -= self.y.select_rows(batch);
            if self.ridge > 0.0 {
                g += w.select_rows(batch) * self.ridge;
            }
            squares += g.norm_squared();
            let mut seen = cross_times(self.kernel, &self.spectrum.points, &points, &g, self.budget)?;
            if self.ridge > 0.0 {
                // The ridge is a kernel as well: of a sample with itself.
                for (j, row) in g.row_iter().enumerate() {
                    if let Some(Some(i)) = self.places.get(batch[j]) {
                        let mut to = seen.row_mut(*i);
                        to += row * self.ridge;
                    }
                }
            }
            let correction = self.spectrum.damp(&seen)?;
            for (i, row) in batch.iter().zip(g.row_iter()) {
                let mut to = w.row_mut(*i);
                to -= row * step;
            }
            for (i, row) in self.sample.iter().zip(correction.row_iter()) {
                let mut to = w.row_mut(*i);
                to += row * step;
            }
        }
        Ok(squares / (self.y.len().max(1)) as f64)
    }
}
