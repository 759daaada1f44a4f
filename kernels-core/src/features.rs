//! Points to rows of a matrix whose inner products are, or estimate, a kernel.

use std::ops::Range;

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Cauchy as CauchyVariable, Distribution, Gamma, StandardNormal};

use crate::{
    Cauchy, Error, Exponential, Laplacian, LengthScale, Matern, Points, RationalQuadratic, Rbf, Real, Rows,
    Tile, Workspace,
    engine::{allocate, for_each_rows},
};

/// A map φ of points to vectors: k(x, y) = ⟨φ(x), φ(y)⟩ exactly, or on average over the map's randomness.
pub trait FeatureMap<P: Points + ?Sized>: Send + Sync {
    /// Number m of features.
    fn dim(&self) -> usize;

    /// Overwrites `out[(i, j)]` with feature j of point `rows.start + i`. A row depends on its point alone.
    ///
    /// The shape of `out` must be (`rows.len()`, [`FeatureMap::dim`]); [`features`] sees to that.
    fn features(&self, xs: &P, rows: Range<usize>, out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>);

    /// Whether these points can be mapped.
    ///
    /// # Errors
    /// [`Error::Shape`] when they have another number of features than the map was made for, say.
    fn check(&self, xs: &P) -> Result<(), Error> {
        let _ = xs;
        Ok(())
    }
}

/// The feature matrix of a data set, n × m.
///
/// **Errors.** What [`FeatureMap::check`] says; [`Error::Memory`]. The bits do not depend on the number of threads.
///
/// ```
/// use kernels_core::{Kernel, RandomFourier, Rbf, Rows, features};
/// let kernel = Rbf::new(1.0)?;
/// let map = RandomFourier::new(&kernel, 2, 2000, 7)?;
/// let xs = Rows::from_row_major(vec![0.0, 0.0, 1.0, 0.5], 2, 2)?;
/// let z = features(&map, &xs)?;
/// let (estimate, exact): (f64, f64) = (z.row(0).dot(&z.row(1)), kernel.eval(&[0.0, 0.0], &[1.0, 0.5]));
/// assert!((estimate - exact).abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn features<P: Points + ?Sized>(
    map: &(impl FeatureMap<P> + ?Sized),
    xs: &P,
) -> Result<DMatrix<P::Scalar>, Error> {
    map.check(xs)?;
    let mut out = allocate(xs.len(), map.dim())?;
    for_each_rows(out.as_view_mut(), |rows, out, ws| map.features(xs, rows, out, ws));
    Ok(out)
}

/// Random Fourier features [cos ωⱼᵀx, sin ωⱼᵀx]/√D of a kernel of x − y, with frequencies ωⱼ from its spectral density.
///
/// ⟨φ(x), φ(y)⟩ is unbiased with variance (1 + k(2δ) − 2k(δ)²)/(2D), δ = x − y, and is exactly 1 for x = y.
///
/// Reference: Rahimi & Recht, *Random features for large-scale kernel machines* (2007); Sutherland & Schneider, *On the
/// error of random Fourier features* (2015) for the variance of this form.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFourier {
    /// D × d frequencies, row by row.
    frequencies: Vec<f64>,
    dim: usize,
}

/// A kernel of x − y with k(0) = 1 and a spectral density that can be drawn from: ∫ p(ω) e^(iω·δ) dω = k(δ).
pub trait Spectral {
    /// Overwrites `frequency`, of length d, with a draw of ω.
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng);

    /// The length scale, whose values must be one or d.
    fn scale(&self) -> &LengthScale;
}

impl RandomFourier {
    /// `frequencies` draws (2 · `frequencies` features) for points of `dim` features. Draw j has a random stream of its own: more
    /// frequencies leave the first ones as they are.
    ///
    /// # Errors
    /// [`Error::Shape`] when the kernel has another number of length scales, [`Error::TooFewPoints`] for no frequencies.
    pub fn new(kernel: &impl Spectral, dim: usize, frequencies: usize, seed: u64) -> Result<Self, Error> {
        if frequencies == 0 {
            return Err(Error::TooFewPoints {
                what: "a random Fourier map (frequencies)",
                needed: 1,
                given: 0,
            });
        }
        kernel.scale().check(dim)?;
        let mut all = vec![0.0; frequencies.saturating_mul(dim)];
        for (j, frequency) in all.chunks_exact_mut(dim.max(1)).enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(j as u64);
            kernel.draw(frequency, &mut rng);
            for (k, value) in frequency.iter_mut().enumerate() {
                let scales = kernel.scale().values();
                *value /= scales[k.min(scales.len() - 1)];
            }
        }
        if dim == 0 {
            // Points without features have one value: the frequencies only count.
            return Ok(Self { frequencies: vec![0.0; frequencies], dim: 0 });
        }
        Ok(Self { frequencies: all, dim })
    }

    fn count(&self) -> usize {
        self.frequencies.len() / self.dim.max(1)
    }
}

impl<T: Real> FeatureMap<Rows<T>> for RandomFourier {
    fn dim(&self) -> usize {
        2 * self.count()
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let count = self.count();
        let scale = (1.0 / count as f64).sqrt();
        for j in 0..count {
            let frequency = &self.frequencies[j * self.dim.max(1)..(j + 1) * self.dim.max(1)];
            for (i, r) in rows.clone().enumerate() {
                let angle: f64 = xs.point(r).iter().zip(frequency).map(|(x, w)| x.to_f64() * w).sum();
                let (sine, cosine) = angle.sin_cos();
                out[(i, j)] = T::of(scale * cosine);
                out[(i, count + j)] = T::of(scale * sine);
            }
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        if xs.dim() == self.dim {
            Ok(())
        } else {
            Err(Error::Shape {
                what: "number of features of the points",
                expected: self.dim,
                given: xs.dim(),
            })
        }
    }
}

/// A gamma variable of this shape and scale 1.
fn gamma(shape: f64, rng: &mut dyn Rng) -> f64 {
    // The distribution refuses no shape above 0, and profiles have no other.
    Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(rng))
}

/// ω = √τ N(0, I), the spectra of all radial kernels, with τ as given.
macro_rules! spectral {
    ($($kernel:ty, |$profile:ident, $rng:ident| $variance:expr;)*) => {$(
        impl Spectral for $kernel {
            fn draw(&self, frequency: &mut [f64], $rng: &mut dyn Rng) {
                let $profile = self.profile();
                let deviation = f64::sqrt($variance);
                for value in frequency {
                    let normal: f64 = StandardNormal.sample($rng);
                    *value = deviation * normal;
                }
            }
            fn scale(&self) -> &LengthScale {
                self.length_scale()
            }
        }
    )*};
}

spectral! {
    Rbf, |_profile, rng| 1.0;
    // A multivariate t with 2ν degrees of freedom.
    Matern, |profile, rng| profile.nu() / gamma(profile.nu(), rng);
    // Matérn of ν = ½.
    Exponential, |_profile, rng| 0.5 / gamma(0.5, rng);
    // (1 + s/(2α))^(−α) = E exp(−τ s/2) with τ ~ Gamma(α) / α.
    RationalQuadratic, |profile, rng| gamma(profile.alpha(), rng) / profile.alpha();
    // 1/(1+s) = E exp(−τ s/2) with τ = 2 Gamma(1).
    Cauchy, |_profile, rng| 2.0 * gamma(1.0, rng);
}

impl Spectral for Laplacian {
    /// Independent Cauchy variables.
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng) {
        if let Ok(cauchy) = CauchyVariable::new(0.0, 1.0) {
            frequency.iter_mut().for_each(|value| *value = cauchy.sample(rng));
        }
    }
    fn scale(&self) -> &LengthScale {
        self.length_scale()
    }
}
