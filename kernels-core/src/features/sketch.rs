//! Sketches of polynomial kernels.

use std::{fmt, ops::Range, sync::Arc};

use rand::RngExt;
use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{FeatureMap, check_count, check_dim, stream};
use crate::{
    Error, Points, Real, Rows, Tile, Workspace,
    describe::{non_negative, positive},
};

/// TensorSketch: m features of the polynomial kernel (γ⟨x,y⟩ + c)ᵖ, unbiased. Each of p count sketches adds ± √γ xᵢ (and √c) to a bucket;
/// their circular convolution, by the fast Fourier transform, is a count sketch of the p-fold tensor product.
///
/// **Complexity.** O(p (d + m log m)) a point.
///
/// Reference: Pham & Pagh, *Fast and scalable polynomial kernels via explicit feature maps* (2013).
///
/// ```
/// use kernels_core::{Rows, TensorSketch, features};
/// let map = TensorSketch::new(2, 1.0, 1.0, 3, 2048, 7)?;
/// let xs = Rows::from_row_major(vec![0.5, 0.1, 0.2, 0.3, -0.4, 0.6], 2, 3)?;
/// let z = features(&map, &xs)?;
/// assert!((z.row(0).dot(&z.row(1)) - 1.23_f64.powi(2)).abs() < 0.2);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone)]
pub struct TensorSketch {
    /// For each degree, for each coordinate (the offset last), a bucket and a sign.
    places: Vec<Vec<(usize, f64)>>,
    gamma: f64,
    offset: f64,
    dim: usize,
    count: usize,
    forward: Arc<dyn Fft<f64>>,
    backward: Arc<dyn Fft<f64>>,
}

impl fmt::Debug for TensorSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorSketch")
            .field("degree", &self.places.len())
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl TensorSketch {
    /// `count` features of (`gamma` ⟨x,y⟩ + `offset`)^`degree` for points of `dim` features.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no features or degree 0, [`Error::Parameter`] for a γ that is not finite and positive or an offset that
    /// is negative or not finite.
    pub fn new(
        degree: usize,
        gamma: f64,
        offset: f64,
        dim: usize,
        count: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        check_count("a sketch (features)", count)?;
        check_count("a sketch (degree)", degree)?;
        let places = (0..degree)
            .map(|p| {
                let mut rng = stream(seed, p as u64);
                (0..=dim)
                    .map(|_| (rng.random_range(0..count), if rng.random::<bool>() { 1.0 } else { -1.0 }))
                    .collect()
            })
            .collect();
        Ok(Self::with_places(places, positive("gamma", gamma)?, non_negative("offset", offset)?, dim, count))
    }

    fn with_places(
        places: Vec<Vec<(usize, f64)>>,
        gamma: f64,
        offset: f64,
        dim: usize,
        count: usize,
    ) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(count), planner.plan_fft_inverse(count));
        Self { places, gamma, offset, dim, count, forward, backward }
    }
}

impl<T: Real> FeatureMap<Rows<T>> for TensorSketch {
    fn dim(&self) -> usize {
        self.count
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let mut product = vec![Complex::default(); self.count];
        let mut sketch = product.clone();
        let room = self.forward.get_inplace_scratch_len().max(self.backward.get_inplace_scratch_len());
        let mut scratch = vec![Complex::default(); room];
        let (root, last) = (self.gamma.sqrt(), self.offset.sqrt());
        for (i, r) in rows.enumerate() {
            product.fill(Complex::new(1.0 / self.count as f64, 0.0));
            for places in &self.places {
                sketch.fill(Complex::default());
                let coordinates = xs.point(r).iter().map(|x| root * x.to_f64()).chain([last]);
                for (x, (bucket, sign)) in coordinates.zip(places) {
                    sketch[*bucket].re += sign * x;
                }
                self.forward.process_with_scratch(&mut sketch, &mut scratch);
                product.iter_mut().zip(&sketch).for_each(|(p, s)| *p *= s);
            }
            self.backward.process_with_scratch(&mut product, &mut scratch);
            product.iter().enumerate().for_each(|(j, value)| out[(i, j)] = T::of(value.re));
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::features;

    #[test]
    fn reference_sketch() {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/reference/random_features.json")).unwrap();
        let r = &file["tensor_sketch"];
        let numbers =
            |v: &Value| v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
        let places = (0..3)
            .map(|p| {
                let (hash, sign) = (numbers(&r["hash"][p]), numbers(&r["sign"][p]));
                hash.into_iter().map(|h| h as usize).zip(sign).collect()
            })
            .collect();
        let map = TensorSketch::with_places(places, 1.0, 0.0, 5, 8);
        let data = [numbers(&r["x"]), numbers(&r["y"])].concat();
        let z = features(&map, &Rows::from_row_major(data, 2, 5).unwrap()).unwrap();
        for (row, name) in ["sketch_x_deg3", "sketch_y_deg3"].into_iter().enumerate() {
            for (j, e) in numbers(&r[name]).into_iter().enumerate() {
                // Terms of size up to 30.
                assert!((z[(row, j)] - e).abs() < 1e-13, "{name}[{j}]: {} {e}", z[(row, j)]);
            }
        }
        assert!((z.row(0).dot(&z.row(1)) - r["inner"].as_f64().unwrap()).abs() < 1e-12);
    }
}
