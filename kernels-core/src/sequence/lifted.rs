//! Signatures of paths that a feature map lifts.

use std::ops::Range;

use super::Paths;
use crate::{Error, FeatureMap, Points, Real, Rows, Tile, Workspace, features};

/// Truncated signatures of order 1, in full, of paths whose knots a feature map φ lifts: level l is the sum of u₁\[t₁\] ⊗ … ⊗ u_l\[t_l\]
/// over t₁ < … < t_l, with the increments u_m of φ_m along the path, and inner products are the kernel
/// [`Solver::Truncated`](crate::Solver::Truncated) of order 1 lifted by ⟨φ(x), φ(y)⟩.
///
/// With one map for all levels, such as [`NystromFeatures`](crate::NystromFeatures), this is that kernel exactly: the Nyström signature
/// features. With independent random maps a level, such as [`RandomFourier`](crate::RandomFourier), it is without bias the one of
/// the kernel that these estimate. A level has q^l numbers for q features: [`SignatureFeatures`](crate::SignatureFeatures) has forms that grow
/// less.
///
/// **Complexity.** O(L q^N) a path of L knots for N levels.
///
/// References: Király & Oberhauser, *Kernels for sequentially ordered data* (2019), section 6; Tóth, Oberhauser, Szabó, *Random Fourier
/// signature features* (2025).
///
/// ```
/// use kernels_core::{LiftedSignature, Paths, Rbf, RandomFourier, features};
/// let paths = Paths::from_array(vec![0.0, 0.5, 1.0, 0.0, 0.3, 0.9], 2, 3, 1)?;
/// let maps = (0..2).map(|level| RandomFourier::new(&Rbf::new(1.0)?, 1, 4, level)).collect::<Result<_, _>>()?;
/// let map = LiftedSignature::new(maps)?;
/// assert_eq!(features(&map, &paths)?.ncols(), 1 + 8 + 64);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LiftedSignature<M> {
    maps: Vec<M>,
}

/// Most features of a map.
const MOST: usize = 1 << 26;

impl<M> LiftedSignature<M> {
    /// With a map for each level.
    ///
    /// # Errors
    /// [`Error::Parameter`] for levels not from 1 to 16.
    pub fn new(maps: Vec<M>) -> Result<Self, Error> {
        if !(1..=16).contains(&maps.len()) {
            let (name, value) = ("levels".to_owned(), maps.len() as f64);
            return Err(Error::Parameter { name, value, expected: "an integer from 1 to 16" });
        }
        Ok(Self { maps })
    }

    /// Where the features of each level begin: level 0, 1, …, and the end.
    pub fn level_offsets<T: Real>(&self) -> Vec<usize>
    where
        M: FeatureMap<Rows<T>>,
    {
        let (mut size, mut offsets) = (1_usize, vec![0, 1]);
        for map in &self.maps {
            size = size.saturating_mul(map.dim());
            offsets.push(size.saturating_add(offsets.last().copied().unwrap_or(0)));
        }
        offsets
    }
}

impl<T: Real, M: FeatureMap<Rows<T>>> FeatureMap<Paths<T>> for LiftedSignature<M> {
    fn dim(&self) -> usize {
        self.level_offsets().last().copied().unwrap_or(1)
    }

    fn features(&self, xs: &Paths<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let offsets = self.level_offsets();
        let mut sums = vec![0.0; offsets[self.maps.len() + 1]];
        for (i, r) in rows.enumerate() {
            sums.fill(0.0);
            sums[0] = 1.0;
            let knots: Vec<usize> = xs.range(r).collect();
            let lifted = xs.knots().subset(&knots).and_then(|knots| {
                self.maps.iter().map(|map| features(map, &knots)).collect::<Result<Vec<_>, _>>()
            });
            let Ok(lifted) = lifted else {
                out.row_mut(i).fill(T::of(f64::NAN));
                continue;
            };
            for t in 1..knots.len() {
                // From the highest level down: each takes the level below as it was before this step.
                for (level, values) in lifted.iter().enumerate().rev() {
                    let (below, own) = sums.split_at_mut(offsets[level + 1]);
                    let below = &below[offsets[level]..];
                    let q = values.ncols();
                    for (c, before) in below.iter().enumerate() {
                        for (to, k) in own[c * q..(c + 1) * q].iter_mut().zip(0..q) {
                            *to += before * (values[(t, k)] - values[(t - 1, k)]).to_f64();
                        }
                    }
                }
            }
            for (j, v) in sums.iter().enumerate() {
                out[(i, j)] = T::of(*v);
            }
        }
    }

    fn check(&self, xs: &Paths<T>) -> Result<(), Error> {
        self.maps.iter().try_for_each(|map| map.check(xs.knots()))?;
        let dim = FeatureMap::<Paths<T>>::dim(self);
        if dim > MOST {
            let (name, value) = ("features of all levels".to_owned(), dim as f64);
            return Err(Error::Parameter { name, value, expected: "at most 67108864; take fewer levels" });
        }
        Ok(())
    }
}
