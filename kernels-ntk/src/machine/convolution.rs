//! Layers of convolutional deep kernel machines: what convolutions and pooling do to Gram matrices of inducing points and of images'
//! places.

use kernels_core::dense::{Cholesky, product, product_transposed};
use nalgebra::DMatrix;

use super::SparseGram;
use crate::{
    Error,
    error::{same, within},
};

/// Matrices of images of height × width places beside inducing points without places. As Gram or kernel matrices they go through
/// [`SparseGram`]'s steps place by place.
///
/// ```
/// use kernels_ntk::{ImageGram, SparseGram};
/// use nalgebra::dmatrix;
/// let places = SparseGram { inducing: dmatrix![1.0], cross: dmatrix![0.5; 0.1], diagonal: vec![1.0, 2.0] };
/// let images = ImageGram::new(places, 1, 2)?;
/// // A filter of one tap with weight 1 changes nothing.
/// assert_eq!(images.convolved(&[dmatrix![1.0]], 1)?, images);
/// assert!((images.pooled()?.cross[(0, 0)] - 0.3).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Milsom, Anson & Aitchison, *Convolutional deep kernel machines* (2023).
#[derive(Clone, Debug, PartialEq)]
pub struct ImageGram {
    /// Rows of `cross` and `diagonal` are places, image by image, row by row.
    pub places: SparseGram,
    height: usize,
    width: usize,
}

impl ImageGram {
    /// Matrices whose rows are all places of images of this size.
    ///
    /// # Errors
    /// [`Error::Shape`] when rows are no multiple of the places of an image.
    pub fn new(places: SparseGram, height: usize, width: usize) -> Result<Self, Error> {
        places.check()?;
        within("places of an image", (height * width) as f64, height * width > 0, "1 or above")?;
        let rest = places.cross.nrows() % (height * width);
        same("rows beyond a multiple of the places of an image", 0, rest)?;
        Ok(Self { places, height, width })
    }

    /// Images at the first layer: values (n, height, width, channels) with patches of `filter` × `filter` places as inducing points, one a
    /// row, taps in order, channels last. Beyond the border is 0; the diagonal is a mean over what is inside.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::Value`] for an even filter.
    pub fn of_patches(
        images: &crate::Images<f64>,
        patches: &DMatrix<f64>,
        filter: usize,
    ) -> Result<Self, Error> {
        use kernels_core::Points;
        let (height, width, channels) = images.shape();
        same("values of a patch", filter * filter * channels, patches.ncols())?;
        let all = images.len() * height * width;
        let mut values = DMatrix::zeros(all, channels);
        for i in 0..images.len() {
            for (e, v) in images.point(i).values.iter().enumerate() {
                values[(i * height * width + e / channels, e % channels)] = *v;
            }
        }
        // As a convolution of the channels' own features with the patches as weights.
        let taps: Vec<DMatrix<f64>> =
            (0..filter * filter).map(|t| patches.columns(t * channels, channels).into_owned()).collect();
        let c = channels.max(1) as f64;
        let own = values.row_iter().map(|r| r.norm_squared() / c).collect();
        let places = SparseGram {
            inducing: DMatrix::identity(channels, channels) / c,
            cross: values / c,
            diagonal: own,
        };
        Self::new(places, height, width)?.convolved(&taps, filter)
    }

    /// A convolution with zeros beyond the border and stride 1, each new inducing point made of inducing points of the layer before by
    /// `weights`, one matrix (new × old) for each tap of the filter: M_ii = mean C K_ii Cᵀ, M_ti = mean K_ti Cᵀ at the shifted places,
    /// M_t = mean of K_t over the places inside.
    ///
    /// # Errors
    /// [`Error::Value`] for an even filter, [`Error::Shape`] when weights do not fit.
    pub fn convolved(&self, weights: &[DMatrix<f64>], filter: usize) -> Result<Self, Error> {
        within("filter", filter as f64, filter % 2 == 1, "an odd number")?;
        same("weights, one matrix a tap", filter * filter, weights.len())?;
        let old = &self.places;
        let outputs = weights[0].nrows();
        let share = 1.0 / weights.len() as f64;
        let mut inducing = DMatrix::zeros(outputs, outputs);
        let mut cross = DMatrix::zeros(old.cross.nrows(), outputs);
        let mut sums = vec![0.0; old.diagonal.len()];
        let mut inside = vec![0_usize; old.diagonal.len()];
        let per = self.height * self.width;
        for (t, c) in weights.iter().enumerate() {
            same("new inducing points of a tap", outputs, c.nrows())?;
            same("old inducing points of a tap", old.inducing.nrows(), c.ncols())?;
            inducing += product_transposed(&product(c, &old.inducing)?, c)? * share;
            let moved = product_transposed(&old.cross, c)? * share;
            for to in 0..old.cross.nrows() {
                let (image, place) = (to / per, to % per);
                let (r, k) = (place / self.width + t / filter, place % self.width + t % filter);
                let half = filter / 2;
                if r < half || k < half || r - half >= self.height || k - half >= self.width {
                    continue;
                }
                let from = image * per + (r - half) * self.width + k - half;
                let mut row = cross.row_mut(to);
                row += moved.row(from);
                sums[to] += old.diagonal[from];
                inside[to] += 1;
            }
        }
        let diagonal = sums.iter().zip(inside).map(|(s, n)| s / n.max(1) as f64).collect();
        Self::new(SparseGram { inducing, cross, diagonal }, self.height, self.width)
    }

    /// The mean over all places of an image, taking `self` as kernel matrices: with k̄ the mean of the places' rows,
    /// k_t = k̄ K⁻¹ k̄ᵀ + (1/S²) Σ (k_s − k_s K⁻¹ k_sᵀ) for S places, which are independent beyond what inducing points say of them.
    ///
    /// # Errors
    /// [`Error::Core`] for a singular inducing matrix.
    pub fn pooled(&self) -> Result<SparseGram, Error> {
        let (per, old) = (self.height * self.width, &self.places);
        let images = old.cross.nrows() / per;
        let s = per as f64;
        let mut cross = DMatrix::zeros(images, old.cross.ncols());
        for (i, mut row) in cross.row_iter_mut().enumerate() {
            for place in i * per..(i + 1) * per {
                row += old.cross.row(place) / s;
            }
        }
        let cholesky = Cholesky::new(old.inducing.clone())?;
        let explained = |m: &DMatrix<f64>| -> Result<Vec<f64>, Error> {
            let mut half = m.transpose();
            cholesky.solve_lower_in_place(half.as_view_mut())?;
            Ok(half.column_iter().map(|c| c.norm_squared()).collect())
        };
        let (of_means, of_places) = (explained(&cross)?, explained(&old.cross)?);
        let diagonal = (0..images)
            .map(|i| {
                let places = i * per..(i + 1) * per;
                let rest: f64 = places.map(|p| old.diagonal[p] - of_places[p]).sum();
                of_means[i] + rest / (s * s)
            })
            .collect();
        Ok(SparseGram { inducing: old.inducing.clone(), cross, diagonal })
    }
}
