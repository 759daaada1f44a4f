//! Random binning features of the Laplacian kernel.

use std::ops::Range;

use rand::RngExt;
use rand_distr::{Distribution, Gamma};

use super::{FeatureMap, check_count, check_dim, stream};
use crate::{Error, Laplacian, Points, Real, Rows, Tile, Workspace};

/// Random binning: grids of random pitch (Gamma of shape 2 and scale ℓ in each feature) and random shift; two points share a cell of one
/// with probability exp(−Σ|xᵢ−yᵢ|/ℓᵢ). Each grid's cells are hashed with random signs to `bins` features of ±1/√grids, so that
/// collisions cost variance and no bias.
///
/// Reference: Rahimi & Recht, *Random features for large-scale kernel machines* (2007), section 4.
///
/// ```
/// use kernels_core::{Laplacian, RandomBinning, Rows, features};
/// let map = RandomBinning::new(&Laplacian::new(1.0)?, 1, 2000, 8, 7)?;
/// let z = features(&map, &Rows::from_row_major(vec![0.0, 0.5], 2, 1)?)?;
/// assert!((z.row(0).dot(&z.row(1)) - (-0.5_f64).exp()).abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomBinning {
    /// For each grid, for each feature, one over the pitch, and the shift in units of it.
    grids: Vec<(f64, f64)>,
    seed: u64,
    count: usize,
    bins: usize,
    dim: usize,
}

impl RandomBinning {
    /// `grids` grids of `bins` features each for points of `dim` features.
    ///
    /// # Errors
    /// [`Error::Shape`] when the kernel has another number of length scales, [`Error::TooFewPoints`] for no grids or bins.
    pub fn new(kernel: &Laplacian, dim: usize, grids: usize, bins: usize, seed: u64) -> Result<Self, Error> {
        check_count("random binning (grids)", grids)?;
        check_count("random binning (bins)", bins)?;
        kernel.length_scale().check(dim)?;
        let lengths = kernel.length_scale().values();
        let mut all = Vec::with_capacity(grids.saturating_mul(dim));
        for g in 0..grids {
            let mut rng = stream(seed, g as u64);
            for k in 0..dim {
                // Length scales are positive: there is such a distribution.
                let pitch = Gamma::new(2.0, lengths[k.min(lengths.len() - 1)])
                    .map_or(f64::NAN, |d| d.sample(&mut rng));
                all.push((1.0 / pitch, rng.random::<f64>()));
            }
        }
        Ok(Self { grids: all, seed, count: grids, bins, dim })
    }
}

/// A bijection of words that mixes all bits (the finisher of SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl<T: Real> FeatureMap<Rows<T>> for RandomBinning {
    fn dim(&self) -> usize {
        self.count * self.bins
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        out.fill(T::default());
        let value = T::of((1.0 / self.count as f64).sqrt());
        for (i, r) in rows.enumerate() {
            for g in 0..self.count {
                let mut hash = mix(self.seed ^ mix(g as u64));
                for (x, (inverse, shift)) in xs.point(r).iter().zip(&self.grids[g * self.dim..]) {
                    let cell = (x.to_f64() * inverse + shift).floor();
                    // + 0 turns −0 into 0: one cell, one pattern of bits.
                    hash = mix(hash ^ (cell + 0.0).to_bits());
                }
                let bin = g * self.bins + ((hash >> 1) % self.bins as u64) as usize;
                out[(i, bin)] = if hash & 1 == 0 { value } else { -value };
            }
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}
