//! Random Fourier features: of independent, orthogonal or quasi-random frequencies.

use std::{f64::consts::PI, ops::Range};

use rand::RngExt;

use super::{
    FeatureMap, Spectral, SpectralQuantile, check_count, check_dim, low_discrepancy::Halton, orthogonal,
    stream,
};
use crate::{
    Error, Profile, Radial, Real, Rows, Tile, Vector, Workspace,
    engine::{Waves, project},
};

/// Random Fourier features [cos ωⱼᵀx, sin ωⱼᵀx] √(k(0)/D) of a kernel of x − y, with frequencies ωⱼ from its spectral density.
///
/// ⟨φ(x), φ(y)⟩ is unbiased with variance (1 + k(2δ) − 2k(δ)²)/(2D) for k(0) = 1, δ = x − y, and is exactly k(0) for x = y. Three ways
/// to choose the frequencies: independent ([`RandomFourier::new`]), orthogonal in blocks of d ([`RandomFourier::orthogonal`]),
/// quasi-random ([`RandomFourier::quasi`]); or give your own ([`RandomFourier::from_frequencies`]).
///
/// **Complexity.** n · D · d for n points, on the vectors of the processor.
///
/// Reference: Rahimi & Recht, *Random features for large-scale kernel machines* (2007); Sutherland & Schneider, *On the
/// error of random Fourier features* (2015) for the variance of this form.
///
/// ```
/// use kernels_core::{FeatureMap, RandomFourier, Rbf, Rows, features};
/// let map = RandomFourier::orthogonal(&Rbf::new(1.0)?, 2, 64, 7)?;
/// let xs = Rows::from_row_major(vec![0.0_f64, 0.0, 1.0, 0.5], 2, 2)?;
/// let z = features(&map, &xs)?;
/// assert_eq!(z.shape(), (2, 128));
/// assert!((z.row(1).norm() - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFourier {
    /// D × d frequencies over π, row by row.
    turns: Vec<f64>,
    /// Phases over π: one a frequency, or none for pairs of cosine and sine.
    phases: Vec<f64>,
    count: usize,
    dim: usize,
    /// k(0).
    variance: f64,
}

impl RandomFourier {
    /// `frequencies` independent draws (2 · `frequencies` features) for points of `dim` features. Draw j has a random
    /// stream of its own: more frequencies leave the first ones as they are.
    ///
    /// # Errors
    /// [`Error::Shape`] when the kernel has another number of length scales, [`Error::TooFewPoints`] for no frequencies.
    pub fn new(kernel: &impl Spectral, dim: usize, frequencies: usize, seed: u64) -> Result<Self, Error> {
        Self::scaled(kernel, dim, frequencies, |j, frequency| {
            kernel.draw(frequency, &mut stream(seed, j as u64));
        })
    }

    /// Frequencies of a radial kernel whose directions are orthogonal within blocks of d; their lengths are independent draws. Unbiased,
    /// and of lower variance than independent frequencies.
    ///
    /// Reference: Yu, Suresh, Choromanski, Holtmann-Rice & Kumar, *Orthogonal random features* (2016).
    ///
    /// # Errors
    /// As [`RandomFourier::new`].
    pub fn orthogonal<F: Profile>(
        kernel: &Radial<F>,
        dim: usize,
        frequencies: usize,
        seed: u64,
    ) -> Result<Self, Error>
    where
        Radial<F>: Spectral,
    {
        let mut block = Vec::new();
        Self::scaled(kernel, dim, frequencies, |j, frequency| {
            if j % dim == 0 {
                block = orthogonal::directions(dim, &mut stream(seed, (j / dim) as u64));
            }
            // The length of a draw, from a stream that no block of directions has.
            kernel.draw(frequency, &mut stream(seed, (1 << 63) | j as u64));
            let length = frequency.iter().map(|w| w * w).sum::<f64>().sqrt();
            frequency.copy_from_slice(&block[j % dim * dim..][..dim]);
            frequency.iter_mut().for_each(|w| *w *= length);
        })
    }

    /// Quasi-random frequencies: quantiles of a randomly scrambled Halton sequence. Unbiased over seeds; in few dimensions the error
    /// falls nearly with 1/D.
    ///
    /// Reference: Avron, Sindhwani, Yang & Mahoney, *Quasi-Monte Carlo feature maps* (2016).
    ///
    /// # Errors
    /// As [`RandomFourier::new`].
    pub fn quasi(
        kernel: &impl SpectralQuantile,
        dim: usize,
        frequencies: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let halton = Halton::new(dim, seed);
        Self::scaled(kernel, dim, frequencies, |j, frequency| {
            for (k, w) in frequency.iter_mut().enumerate() {
                *w = kernel.quantile(halton.coordinate(j, k));
            }
        })
    }

    /// Frequencies of your own, `count` rows of `dim` values: cos ωᵀx and sin ωᵀx.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are not `count · dim` values, [`Error::TooFewPoints`] for no frequencies,
    /// [`Error::NotFinite`].
    pub fn from_frequencies(frequencies: &[f64], count: usize, dim: usize) -> Result<Self, Error> {
        check_count("a random Fourier map (frequencies)", count)?;
        let expected = count.saturating_mul(dim);
        if frequencies.len() != expected {
            return Err(Error::Shape {
                what: "values of the frequencies (count * dim)",
                expected,
                given: frequencies.len(),
            });
        }
        if let Some(k) = frequencies.iter().position(|w| !w.is_finite()) {
            return Err(Error::NotFinite { row: k / dim, column: k % dim, value: frequencies[k] });
        }
        let turns = frequencies.iter().map(|w| w / PI).collect();
        Ok(Self { turns, phases: Vec::new(), count, dim, variance: 1.0 })
    }

    /// The same frequencies with one feature each: √(2/D) cos(ωⱼᵀx + bⱼ), with phases bⱼ drawn from `seed`, uniform on [0, 2π).
    ///
    /// Half the features, but a variance of (1 + k(2δ)/2 − k(δ)²)/D: more than half as large a map of pairs has.
    pub fn with_random_phases(self, seed: u64) -> Self {
        let mut rng = stream(seed, u64::MAX);
        let phases = (0..self.count).map(|_| 2.0 * rng.random::<f64>()).collect();
        Self { phases, ..self }
    }

    /// The same frequencies with one feature each and these phases bⱼ: √(2/D) cos(ωⱼᵀx + bⱼ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one phase a frequency.
    pub fn with_phases(self, phases: &[f64]) -> Result<Self, Error> {
        if phases.len() != self.count {
            return Err(Error::Shape {
                what: "phases (one a frequency)",
                expected: self.count,
                given: phases.len(),
            });
        }
        Ok(Self { phases: phases.iter().map(|b| b / PI).collect(), ..self })
    }

    /// Number D of frequencies.
    pub fn n_frequencies(&self) -> usize {
        self.count
    }

    /// Frequency `j`, in the order of the features.
    ///
    /// # Errors
    /// [`Error::Shape`] when `j` is not below [`RandomFourier::n_frequencies`].
    pub fn frequency(&self, j: usize) -> Result<Vec<f64>, Error> {
        if j >= self.count {
            return Err(Error::Shape {
                what: "index of a frequency (below)",
                expected: self.count,
                given: j,
            });
        }
        Ok(self.turns[j * self.dim..(j + 1) * self.dim].iter().map(|t| t * PI).collect())
    }

    /// Frequencies from `draw` in units of 1/ℓ.
    fn scaled(
        kernel: &impl Spectral,
        dim: usize,
        count: usize,
        mut draw: impl FnMut(usize, &mut [f64]),
    ) -> Result<Self, Error> {
        check_count("a random Fourier map (frequencies)", count)?;
        kernel.scale().check(dim)?;
        let lengths = kernel.scale().values();
        let mut turns = vec![0.0; count.saturating_mul(dim)];
        // Points without features have one value: the frequencies only count.
        for (j, frequency) in turns.chunks_exact_mut(dim.max(1)).enumerate() {
            draw(j, frequency);
            for (k, w) in frequency.iter_mut().enumerate() {
                *w /= PI * lengths[k.min(lengths.len() - 1)];
            }
        }
        Ok(Self { turns, phases: Vec::new(), count, dim, variance: kernel.variance() })
    }
}

/// Cosine and sine of π times the inner product.
pub(super) struct Pairs {
    pub(super) amplitude: f64,
}

impl<T: Real> Waves<T> for Pairs {
    const OUTPUTS: usize = 2;
    #[inline(always)]
    fn features<V: Vector<Scalar = T>>(&self, _: usize, inner: V, _: V) -> [V; 2] {
        let (sine, cosine) = inner.sin_cos_pi();
        let amplitude = V::splat(self.amplitude);
        [cosine * amplitude, sine * amplitude]
    }
}

/// Cosine of π times (the inner product plus a phase).
struct Phased<'a> {
    amplitude: f64,
    phases: &'a [f64],
}

impl<T: Real> Waves<T> for Phased<'_> {
    const OUTPUTS: usize = 1;
    #[inline(always)]
    fn features<V: Vector<Scalar = T>>(&self, j: usize, inner: V, _: V) -> [V; 2] {
        let (_, cosine) = (inner + V::splat(self.phases[j])).sin_cos_pi();
        let value = cosine * V::splat(self.amplitude);
        [value, value]
    }
}

impl<T: Real> FeatureMap<Rows<T>> for RandomFourier {
    fn dim(&self) -> usize {
        if self.phases.is_empty() { 2 * self.count } else { self.count }
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        let directions = (&self.turns[..], self.count);
        if self.phases.is_empty() {
            let waves = Pairs { amplitude: (self.variance / self.count as f64).sqrt() };
            project(xs, rows, directions, &[], &waves, out, ws);
        } else {
            let waves =
                Phased { amplitude: (2.0 * self.variance / self.count as f64).sqrt(), phases: &self.phases };
            project(xs, rows, directions, &[], &waves, out, ws);
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}
