//! Random Fourier signature features.

use std::ops::Range;

use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Paths;
use crate::{Error, FeatureMap, Points, Real, Spectral, Tile, Workspace};

/// Features of paths whose inner products estimate the truncated signature kernel of order 1, lifted by a stationary
/// kernel: without bias, in time linear in the length of paths and in their number.
///
/// Every level l has frequencies of its own, ω from the spectral density of the lift; with the increments
/// u_l\[t\] of (sin ω·x, cos ω·x), level l sums u₁\[t₁\] ⊗ … ⊗ u_l\[t_l\] over t₁ < … < t_l. The diagonal form keeps one frequency
/// at a time through all levels, 2^l numbers for each; the tensor form multiplies random projections of all
/// frequencies, `components` numbers a level, with a higher variance.
///
/// Reference: Tóth, Oberhauser, Szabó, *Random Fourier signature features* (2025).
///
/// ```
/// use kernels_core::{Paths, Rbf, Signature, SignatureFeatures, Solver, features, gram};
/// let paths = Paths::from_array(vec![0.0, 0.5, 1.0, 0.0, 0.3, 0.9], 2, 3, 1)?;
/// let map = SignatureFeatures::diagonal(&Rbf::new(1.0)?, 1, 3, 2000, 7)?;
/// let z = features(&map, &paths)?;
/// let exact = Signature::new(Rbf::new(1.0)?).solver(Solver::Truncated { levels: 3, order: 1 })?;
/// let error: f64 = z.row(0).dot(&z.row(1)) - gram(&exact, &paths)?[(0, 1)];
/// assert!(error.abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureFeatures {
    /// For each level, frequencies × dim, row by row.
    frequencies: Vec<Vec<f64>>,
    dim: usize,
    count: usize,
    /// k(0) of the lift.
    variance: f64,
    /// For the tensor form: for each level 2 `count` × `components`, column by column.
    projections: Option<(usize, Vec<Vec<f64>>)>,
}

impl SignatureFeatures {
    /// The diagonal form for paths of `dim` features: 1 + `frequencies` (2^(levels + 1) − 2) features.
    ///
    /// # Errors
    /// [`Error::Shape`] when the lift has another number of length scales, [`Error::Parameter`] for levels not from 1 to 16 or no
    /// frequencies.
    pub fn diagonal(
        lift: &impl Spectral,
        dim: usize,
        levels: usize,
        frequencies: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        lift.scale().check(dim)?;
        let scales = lift.scale().values();
        let mut drawn = Vec::new();
        for level in 0..levels {
            let mut own = vec![0.0; frequencies.saturating_mul(dim)];
            for (j, frequency) in own.chunks_exact_mut(dim.max(1)).enumerate() {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(((level as u64) << 40) + j as u64);
                lift.draw(frequency, &mut rng);
                for (k, value) in frequency.iter_mut().enumerate() {
                    *value /= scales[k.min(scales.len() - 1)];
                }
            }
            drawn.push(own);
        }
        Ok(Self { variance: lift.variance(), ..Self::checked(drawn, dim, frequencies)? })
    }

    /// The tensor form: 1 + `levels` · `components` features.
    ///
    /// # Errors
    /// As [`SignatureFeatures::diagonal`], and [`Error::Parameter`] for no components.
    pub fn tensor(
        lift: &impl Spectral,
        dim: usize,
        levels: usize,
        frequencies: usize,
        components: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let map = Self::diagonal(lift, dim, levels, frequencies, seed)?;
        let projections = (0..levels).map(|level| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream((1 << 63) + level as u64);
            DMatrix::from_fn(2 * frequencies, components, |_, _| StandardNormal.sample(&mut rng))
        });
        let projections: Vec<DMatrix<f64>> = projections.collect();
        map.projected(&projections)
    }

    /// The diagonal form with given frequencies: for each level a matrix, features × frequencies.
    ///
    /// # Errors
    /// [`Error::Shape`] when the matrices differ in shape; as [`SignatureFeatures::diagonal`].
    pub fn with_frequencies(levels: &[DMatrix<f64>]) -> Result<Self, Error> {
        let (dim, count) = levels.first().map_or((0, 0), DMatrix::shape);
        if let Some(other) = levels.iter().find(|w| w.shape() != (dim, count)) {
            let what = "entries of a matrix of frequencies";
            return Err(Error::Shape { what, expected: dim * count, given: other.len() });
        }
        Self::checked(levels.iter().map(|w| w.as_slice().to_vec()).collect(), dim, count)
    }

    /// The tensor form with given projections: for each level a matrix, 2 · frequencies (sines, then cosines) × components.
    ///
    /// # Errors
    /// [`Error::Shape`] when a level has none or another shape.
    pub fn projected(self, projections: &[DMatrix<f64>]) -> Result<Self, Error> {
        let what = "projections (one a level)";
        if projections.len() != self.frequencies.len() {
            return Err(Error::Shape { what, expected: self.frequencies.len(), given: projections.len() });
        }
        let components = projections[0].ncols();
        if components == 0 {
            let expected = "an integer, 1 or above";
            return Err(Error::Parameter { name: "components".to_owned(), value: 0.0, expected });
        }
        if let Some(p) = projections.iter().find(|p| p.shape() != (2 * self.count, components)) {
            let what = "entries of a projection (2 · frequencies · components)";
            return Err(Error::Shape { what, expected: 2 * self.count * components, given: p.len() });
        }
        let all = projections.iter().map(|p| p.as_slice().to_vec()).collect();
        Ok(Self { projections: Some((components, all)), ..self })
    }

    fn checked(frequencies: Vec<Vec<f64>>, dim: usize, count: usize) -> Result<Self, Error> {
        let error = |name: &str, value: usize, expected| {
            Err(Error::Parameter { name: name.to_owned(), value: value as f64, expected })
        };
        if !(1..=16).contains(&frequencies.len()) {
            return error("levels", frequencies.len(), "an integer from 1 to 16");
        }
        if count == 0 {
            return error("frequencies", 0, "an integer, 1 or above");
        }
        Ok(Self { frequencies, dim, count, variance: 1.0, projections: None })
    }

    /// Where the features of each level begin: level 0, 1, …, and the end.
    pub fn level_offsets(&self) -> Vec<usize> {
        let size = |level: usize| match &self.projections {
            Some((components, _)) => *components,
            None => self.count << level,
        };
        let mut offsets = vec![0, 1];
        for level in 1..=self.frequencies.len() {
            offsets.push(offsets[level] + size(level));
        }
        offsets
    }

    /// Increments of sines, then of cosines, of a level at one step.
    fn increments(
        &self,
        level: usize,
        angles: &mut [f64],
        knot: impl Iterator<Item = f64> + Clone,
        first: bool,
        out: &mut [f64],
    ) {
        let amplitude = self.variance.sqrt();
        // `angles` keeps sines and cosines at the last knot.
        for (j, frequency) in self.frequencies[level].chunks_exact(self.dim.max(1)).enumerate() {
            let angle: f64 = frequency.iter().zip(knot.clone()).map(|(w, x)| w * x).sum();
            let (sine, cosine) = angle.sin_cos();
            let (sine, cosine) = (amplitude * sine, amplitude * cosine);
            if !first {
                out[j] = sine - angles[j];
                out[self.count + j] = cosine - angles[self.count + j];
            }
            angles[j] = sine;
            angles[self.count + j] = cosine;
        }
    }
}

impl<T: Real> FeatureMap<Paths<T>> for SignatureFeatures {
    fn dim(&self) -> usize {
        self.level_offsets().last().copied().unwrap_or(1)
    }

    fn features(&self, xs: &Paths<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let (levels, d) = (self.frequencies.len(), self.count);
        let offsets = self.level_offsets();
        let total = offsets[levels + 1];
        let mut sums = vec![0.0; total];
        let mut angles = vec![vec![0.0; 2 * d]; levels];
        let mut steps = vec![vec![0.0; 2 * d]; levels];
        let mut projected = vec![0.0; self.projections.as_ref().map_or(0, |p| p.0)];
        for (i, r) in rows.enumerate() {
            sums.fill(0.0);
            sums[0] = 1.0;
            let path = xs.point(r);
            for t in 0..path.len() {
                for level in 0..levels {
                    let knot = path.knot(t).iter().map(|x| x.to_f64());
                    self.increments(level, &mut angles[level], knot, t == 0, &mut steps[level]);
                }
                if t == 0 {
                    continue;
                }
                // From the highest level down: each takes the level below as it was before this step.
                for level in (1..=levels).rev() {
                    let (below, own) = sums.split_at_mut(offsets[level]);
                    let below = &below[offsets[level - 1]..];
                    let own = &mut own[..offsets[level + 1] - offsets[level]];
                    let step = &steps[level - 1];
                    if let Some((components, all)) = &self.projections {
                        let scale = if level == 1 {
                            1.0 / ((d * components) as f64).sqrt()
                        } else {
                            1.0 / (d as f64).sqrt()
                        };
                        for (to, p) in projected.iter_mut().zip(all[level - 1].chunks_exact(2 * d)) {
                            *to = scale * p.iter().zip(step).map(|(p, u)| p * u).sum::<f64>();
                        }
                        for (c, (to, u)) in own.iter_mut().zip(&projected).enumerate() {
                            *to += if level == 1 { *u } else { below[c] * u };
                        }
                        continue;
                    }
                    let half = 1 << (level - 1);
                    let first = 1.0 / (d as f64).sqrt();
                    for q in 0..d {
                        let (sine, cosine) = (step[q], step[d + q]);
                        for k in 0..half {
                            let before = if level == 1 { first } else { below[q * half + k] };
                            own[2 * (q * half + k)] += before * sine;
                            own[2 * (q * half + k) + 1] += before * cosine;
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
        if xs.dim() == self.dim {
            Ok(())
        } else {
            let what = "number of features of the paths";
            Err(Error::Shape { what, expected: self.dim, given: xs.dim() })
        }
    }
}
