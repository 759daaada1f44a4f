//! Trigonometric random features of the softmax kernel.

use std::ops::Range;

use super::{FeatureMap, RandomFourier};
use crate::{Error, Points, Rbf, Real, Rows, Tile, Workspace};

/// Trigonometric features of the softmax kernel e^⟨x,y⟩: e^(|x|²/2) \[cos ω·x, sin ω·x\]/√m, unbiased, since
/// e^⟨x,y⟩ = e^(|x|²/2) e^(−|x−y|²/2) e^(|y|²/2). Their variance e^|x+y|² SM⁻² (1 − e^(−|x−y|²))²/(2m), with SM = e^⟨x,y⟩, is 0 at
/// x = y and large for values near 0, where [`SoftmaxFeatures`](crate::SoftmaxFeatures) are better; and they are not positive, so that sums of them, as the
/// denominators of attention, may be 0 or below.
///
/// Reference: Choromanski et al., *Rethinking attention with Performers* (2021), lemma 2.
///
/// ```
/// use kernels_core::{Rows, TrigonometricFeatures, features};
/// let map = TrigonometricFeatures::new(2, 4000, 7)?;
/// let xs = Rows::from_row_major(vec![0.3, 0.1, 0.2, -0.4], 2, 2)?;
/// let z = features(&map, &xs)?;
/// let exact = (0.3_f64 * 0.2 - 0.1 * 0.4).exp();
/// assert!((z.row(0).dot(&z.row(1)) - exact).abs() < 0.05);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TrigonometricFeatures {
    waves: RandomFourier,
}

impl TrigonometricFeatures {
    /// `count` frequencies, 2 · `count` features of points of `dim` values.
    ///
    /// # Errors
    /// As [`RandomFourier::new`].
    pub fn new(dim: usize, count: usize, seed: u64) -> Result<Self, Error> {
        Ok(Self::of(RandomFourier::new(&Rbf::new(1.0)?, dim, count, seed)?))
    }

    /// Of features of the Gaussian kernel with length scale 1: orthogonal or quasi-random ones, say.
    pub fn of(waves: RandomFourier) -> Self {
        Self { waves }
    }
}

impl<T: Real> FeatureMap<Rows<T>> for TrigonometricFeatures {
    fn dim(&self) -> usize {
        FeatureMap::<Rows<T>>::dim(&self.waves)
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.waves.features(xs, rows.clone(), out.as_view_mut(), ws);
        for (i, r) in rows.enumerate() {
            let square: f64 = xs.point(r).iter().map(|v| v.to_f64() * v.to_f64()).sum();
            let scale = T::of((0.5 * square).exp());
            out.row_mut(i).iter_mut().for_each(|v| *v *= scale);
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.waves.check(xs)
    }
}
