//! Spectral densities that frequencies are drawn from.

use rand::Rng;
use rand_distr::{Cauchy as CauchyVariable, Distribution, Gamma, StandardNormal};

use crate::{
    Cauchy, Exponential, InverseMultiquadric, Laplacian, LengthScale, Matern, RationalQuadratic, Rbf,
};

/// A kernel of x − y with a spectral measure p that can be drawn from: E e^(iω·δ) = k(δ)/k(0).
pub trait Spectral {
    /// Overwrites `frequency`, of length d, with a draw of ω.
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng);

    /// The length scale that frequencies are divided by, whose values must be one or d.
    fn scale(&self) -> &LengthScale;

    /// k(0).
    fn variance(&self) -> f64 {
        1.0
    }
}

/// A gamma variable of this shape and scale 1.
fn gamma(shape: f64, rng: &mut dyn Rng) -> f64 {
    // The distribution refuses no shape above 0, and profiles have no other.
    Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(rng))
}

/// ω = √τ N(0, I), the spectra of all radial kernels, with τ as given.
macro_rules! spectral {
    ($($kernel:ty, |$profile:ident, $rng:ident| $variance:expr $(, $at_zero:expr)?;)*) => {$(
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
            $(fn variance(&self) -> f64 {
                let $profile = self.profile();
                $at_zero
            })?
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
    // c^(−2β) (1 + s/c²)^(−β), and the same.
    InverseMultiquadric, |profile, rng| 2.0 * gamma(profile.shape().1, rng) / profile.shape().0.powi(2),
        profile.shape().0.powf(-2.0 * profile.shape().1);
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

/// A [`Spectral`] kernel whose frequencies have independent coordinates of one distribution, with its quantile function.
pub trait SpectralQuantile: Spectral {
    /// The quantile of probability `p` of a coordinate, for unit length scale.
    fn quantile(&self, p: f64) -> f64;
}

impl SpectralQuantile for Rbf {
    fn quantile(&self, p: f64) -> f64 {
        super::low_discrepancy::normal_quantile(p)
    }
}

impl SpectralQuantile for Laplacian {
    fn quantile(&self, p: f64) -> f64 {
        (std::f64::consts::PI * (p - 0.5)).tan()
    }
}
