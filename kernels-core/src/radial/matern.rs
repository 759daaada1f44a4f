//! The Matérn kernel: closed forms of half-integer smoothness, tables for every other.

use std::sync::{Arc, OnceLock};

use super::Radial;
use crate::{
    Error, LengthScale, PositiveDefinite, Profile, Value, Vector,
    bessel::{scaled_k, scaled_matern},
};

/// Matérn kernel of smoothness ν, unit variance, with z = √(2νs): 2^(1−ν)/Γ(ν) z^ν K_ν(z), which is
/// e^(−z) for ν = ½, (1+z)e^(−z) for 3/2, (1+z+z²/3)e^(−z) for 5/2, …, and nears the Gaussian for ν → ∞, which is
/// [`Rbf`](crate::Rbf) (`matern(nu=inf)` in text).
///
/// Half-integers up to 41/2 have closed forms. Every other ν is tabulated when it is first used: polynomials in pieces of z², whose
/// relative error is below 10⁻¹³ (some milliseconds and 100 kB), so that a Gram matrix takes a few times as long as with 5/2 and
/// not hundreds.
///
/// Reference: Rasmussen & Williams, *Gaussian Processes for Machine Learning* (2006), eq. 4.14 and 4.16.
///
/// ```
/// use kernels_core::{Kernel, Matern};
/// let k = Matern::new(1.5, 1.0)?;
/// let z = 3.0_f64.sqrt();
/// assert!((k.eval(&[0.0], &[1.0]) - (1.0 + z) * (-z).exp()).abs() < 1e-15);
/// let near = Matern::new(1.5 + 1e-12, 1.0)?;
/// let difference: f64 = k.eval(&[0.0], &[1.0]) - near.eval(&[0.0], &[1.0]);
/// assert!(difference.abs() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Matern = Radial<MaternProfile>;

/// φ(s) = 2^(1−ν)/Γ(ν) z^ν K_ν(z), z = √(2νs).
#[derive(Clone, Debug)]
pub struct MaternProfile {
    nu: f64,
    form: Form,
}

impl PartialEq for MaternProfile {
    fn eq(&self, other: &Self) -> bool {
        self.nu.to_bits() == other.nu.to_bits()
    }
}

#[derive(Clone, Debug)]
enum Form {
    /// φ, φ′ and φ″ as polynomials in z times e^(−z), from the constant up. The slope's is −ν/(2(ν−1)) times the value's of ν − 1,
    /// empty for ν = ½; the curvature's ν²/(4(ν−1)(ν−2)) times that of ν − 2, empty for ν < 5/2.
    Closed([Vec<f64>; 3]),
    /// φ and −φ′, times e^z.
    Tables(Arc<OnceLock<[Table; 2]>>),
}

impl PositiveDefinite for Matern {}

impl Matern {
    /// The kernel of smoothness 0 < `nu` ≤ 100.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another `nu`, or a length scale that is not finite and positive.
    pub fn new(nu: f64, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Self::with_profile(MaternProfile::new(nu)?, length_scale)
    }
}

impl MaternProfile {
    fn new(nu: f64) -> Result<Self, Error> {
        if !(nu > 0.0 && nu <= 100.0) {
            return Err(Error::Parameter {
                name: "nu".into(),
                value: nu,
                expected: "above 0, at most 100 (the limit of large ones is Rbf)",
            });
        }
        let p = nu - 0.5;
        let form = if p.fract() == 0.0 && p <= 20.0 {
            let p = p as usize;
            let scaled = |steps: usize, scale: f64| -> Vec<f64> {
                let Some(p) = p.checked_sub(steps) else { return Vec::new() };
                Self::polynomial(p).into_iter().map(|c| c * scale).collect()
            };
            let slope = -nu / (2.0 * (nu - 1.0));
            Form::Closed([
                Self::polynomial(p),
                scaled(1, slope),
                scaled(2, nu * nu / (4.0 * (nu - 1.0) * (nu - 2.0))),
            ])
        } else {
            Form::Tables(Arc::default())
        };
        Ok(Self { nu, form })
    }

    /// The smoothness ν.
    pub fn nu(&self) -> f64 {
        self.nu
    }

    /// Coefficient of zʲ: p!/(2p)! · (2p−j)!/((p−j)! j!) · 2ʲ, by the ratio of neighbours.
    fn polynomial(p: usize) -> Vec<f64> {
        let mut c = vec![1.0];
        for j in 0..p {
            let ratio = 2.0 * (p - j) as f64 / ((2 * p - j) as f64 * (j + 1) as f64);
            c.push(c[j] * ratio);
        }
        c
    }

    fn tables<'a>(&self, tables: &'a OnceLock<[Table; 2]>) -> &'a [Table; 2] {
        let nu = self.nu;
        tables.get_or_init(|| {
            let value = Table::new(nu, 1.0, |z| scaled_matern(nu, z));
            // −φ′ = ν/(2(ν−1)) times the value of ν − 1, or c ν z^(ν−1) K_{1−ν}(z) when that grows at 0.
            let slope = if nu > 1.0 {
                let scale = nu / (2.0 * (nu - 1.0));
                Table::new(nu, scale, |z| scale * scaled_matern(nu - 1.0, z))
            } else {
                let c = (1.0 - nu).exp2() / libm::tgamma(nu) * nu;
                Table::new(nu, 0.0, |z| c * z.powf(nu - 1.0) * scaled_k(1.0 - nu, z))
            };
            [value, slope]
        })
    }

    /// φ″ times e^z.
    fn bend(&self, z: f64) -> f64 {
        let nu = self.nu;
        if nu > 2.0 {
            let scale = nu * nu / (4.0 * (nu - 1.0) * (nu - 2.0));
            scale * if z > 0.0 { scaled_matern(nu - 2.0, z) } else { 1.0 }
        } else if z > 0.0 {
            // 2^(1−ν)/Γ(ν) ν² z^(ν−2) K_{2−ν}(z).
            (1.0 - nu).exp2() / libm::tgamma(nu) * nu * nu * z.powf(nu - 2.0) * scaled_k(2.0 - nu, z)
        } else {
            0.0 * z
        }
    }

    #[inline(always)]
    fn z<V: Vector>(&self, s: V) -> V {
        let z = (s * V::splat(2.0 * self.nu)).sqrt();
        // e^(−z/2) is 0 from here on, and must stay so when the polynomial is infinite.
        let far = V::splat(1500.0);
        far.select_lt(z, far, z)
    }

    #[inline(always)]
    fn horner<V: Vector>(c: &[f64], z: V) -> V {
        let mut sum = V::splat(0.0);
        for &c in c.iter().rev() {
            sum = sum.mul_add(z, V::splat(c));
        }
        sum
    }
}

impl Profile for MaternProfile {
    fn needs_exact_distances(&self) -> bool {
        self.nu < 0.5
    }

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        let z = self.z(s);
        match &self.form {
            Form::Closed([value, ..]) => (-z).exp() * Self::horner(value, z),
            Form::Tables(tables) => {
                let table = &self.tables(tables)[0];
                decayed(z, (z * z).map(|w| table.at(w)))
            }
        }
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        let (z, zero) = (self.z(s), V::splat(0.0));
        match &self.form {
            Form::Closed([_, slope, _]) if slope.is_empty() => {
                zero.select_lt(z, (-z).exp() * V::splat(-0.5) / z, zero * z)
            }
            Form::Closed([_, slope, _]) => (-z).exp() * Self::horner(slope, z),
            Form::Tables(tables) => {
                let table = &self.tables(tables)[1];
                -decayed(z, (z * z).map(|w| table.at(w)))
            }
        }
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        let (z, zero, one) = (self.z(s), V::splat(0.0), V::splat(1.0));
        let value = match &self.form {
            Form::Tables(_) => return decayed(z, z.map(|z| self.bend(z))),
            // ν = ½, with s = z².
            Form::Closed([value, ..]) if value.len() == 1 => {
                (-z).exp() * (one + z) / (V::splat(4.0) * z * z * z)
            }
            Form::Closed([value, ..]) if value.len() == 2 => (-z).exp() * V::splat(2.25) / z,
            Form::Closed([.., curvature]) => return (-z).exp() * Self::horner(curvature, z),
        };
        zero.select_lt(z, value, zero * z)
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        Some(("matern", vec![("nu", self.nu.into())]))
    }
}

/// e^(−z) · factor, in two halves: the factor of a large ν is large where e^(−z) alone underflows.
#[inline(always)]
fn decayed<V: Vector>(z: V, factor: V) -> V {
    let half = (z * V::splat(-0.5)).exp();
    // What has no room in single precision belongs to values below its range.
    let largest = V::splat(if size_of::<V::Scalar>() == 8 { 1e300 } else { 1e37 });
    half * (half * largest.min(factor))
}

/// Coefficients of a piece.
const TERMS: usize = 10;
/// Bits of the mantissa that choose a piece: 8 a binade.
const PIECE_BITS: u32 = 3;
/// z² from which e^(−z/2) is 0 in double precision.
const END: f64 = 2_249_000.0;

/// A positive function of w = z² that is analytic away from w = 0, as polynomials on pieces between neighbouring numbers of three
/// mantissa bits: the nearest singularity is 16 half-lengths from the middle of a piece, so that a polynomial of degree 9 is as
/// exact as its arithmetic.
#[derive(Clone, Debug)]
struct Table {
    /// Bits of the start of the first piece, without those within a piece.
    first: u64,
    /// [`TERMS`] coefficients a piece, from the constant up, in [−1, 1].
    coefficients: Vec<f64>,
    /// At w = 0.
    zero: f64,
}

impl Table {
    const SHIFT: u32 = 52 - PIECE_BITS;

    /// From a function of z. Below the first piece the function is `zero` e^z to rounding, or grows to ∞ when `zero` is 0.
    fn new(nu: f64, zero: f64, f: impl Fn(f64) -> f64) -> Self {
        // 1 − φ is about w/(4(ν−1)) for ν > 1 and w^ν below; and no smaller w matters where it multiplies w.
        let start = if nu > 1.5 { 1e-18 } else { 1e-18_f64.powf(1.0 / nu.min(1.0)).max(1e-290) };
        let first = start.to_bits() >> Self::SHIFT;
        let last = END.to_bits() >> Self::SHIFT;
        let mut coefficients = Vec::with_capacity((last - first + 1) as usize * TERMS);
        for piece in first..=last {
            let (low, high) = Self::ends(piece);
            let node = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / TERMS as f64).cos();
            let values: [f64; TERMS] = std::array::from_fn(|i| {
                let w = 0.5 * (low + high) + 0.5 * (high - low) * node(i);
                f(w.sqrt())
            });
            coefficients.extend(interpolate(&values, node));
        }
        Self { first, coefficients, zero }
    }

    fn ends(piece: u64) -> (f64, f64) {
        (f64::from_bits(piece << Self::SHIFT), f64::from_bits((piece + 1) << Self::SHIFT))
    }

    #[inline(always)]
    fn at(&self, w: f64) -> f64 {
        // Also false for NaN; a far w is multiplied by an e^(−z) of 0.
        if !(w < END) {
            return 0.0 * w;
        }
        if w <= 0.0 {
            return self.zero;
        }
        let piece = w.to_bits() >> Self::SHIFT;
        let (piece, w) = if piece < self.first {
            if self.zero > 0.0 {
                return self.zero * (1.0 + w.sqrt());
            }
            (self.first, f64::from_bits(self.first << Self::SHIFT))
        } else {
            (piece, w)
        };
        let (low, high) = Self::ends(piece);
        let t = (2.0 * (w - low) - (high - low)) / (high - low);
        let from = (piece - self.first) as usize * TERMS;
        let Some(c) = self.coefficients.get(from..from + TERMS) else { return f64::NAN };
        // Even and odd halves: two short chains.
        let u = t * t;
        let even = c[0] + u * (c[2] + u * (c[4] + u * (c[6] + u * c[8])));
        let odd = c[1] + u * (c[3] + u * (c[5] + u * (c[7] + u * c[9])));
        even + t * odd
    }
}

/// Monomial coefficients of the polynomial through values at the Chebyshev nodes.
fn interpolate(values: &[f64; TERMS], node: impl Fn(usize) -> f64) -> [f64; TERMS] {
    let n = TERMS as f64;
    let mut out = [0.0; TERMS];
    // T₀ = 1, T₁ = t, T_{k+1} = 2t T_k − T_{k−1}, as coefficients.
    let (mut before, mut current) = ([0.0; TERMS], [0.0; TERMS]);
    current[0] = 1.0;
    for k in 0..TERMS {
        let weight = if k == 0 { 1.0 } else { 2.0 };
        let sum: f64 = values.iter().enumerate().map(|(i, v)| v * (k as f64 * node(i).acos()).cos()).sum();
        for (out, c) in out.iter_mut().zip(&current) {
            *out += weight / n * sum * c;
        }
        let mut next = [0.0; TERMS];
        for (i, &c) in current.iter().enumerate().take(TERMS - 1) {
            next[i + 1] = if k == 0 { c } else { 2.0 * c };
        }
        if k > 0 {
            next.iter_mut().zip(&before).for_each(|(n, b)| *n -= b);
        }
        (before, current) = (current, next);
    }
    out
}
