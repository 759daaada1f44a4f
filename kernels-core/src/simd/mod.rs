//! Vectors of the processor the program runs on, chosen at run time, and elementary functions on them.
//!
//! [`Vector`] is what a [`Profile`](crate::Profile) is written in: one piece of code that is compiled for AVX-512,
//! for AVX2 with FMA and for anything else, and picked when the program runs, so that no `-C target-cpu` is needed.
//! Every operation acts on each lane alone; a value does not depend on the lane it is computed in.

mod elementary;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

/// A few scalars side by side, in a register.
///
/// ```
/// use kernels_core::Vector;
/// fn logistic<V: Vector>(t: V) -> V {
///     V::splat(1.0) / (V::splat(1.0) + (-t).exp())
/// }
/// ```
pub trait Vector:
    Copy
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
{
    /// The scalar in a lane.
    type Scalar: crate::Real;
    /// Number of lanes, at most 16.
    const LANES: usize;
    /// Whether the processor has registers to spare (32 rather than 16).
    const MANY: bool;

    /// The same value in every lane.
    fn splat(value: f64) -> Self;
    /// The same scalar in every lane.
    fn broadcast(value: Self::Scalar) -> Self;
    /// The first [`Vector::LANES`] values of a slice that has at least as many.
    fn load(from: &[Self::Scalar]) -> Self;
    /// Writes the lanes to the front of a slice that has at least as many.
    fn store(self, to: &mut [Self::Scalar]);
    /// `self * factor + addend`; fused where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// In each lane, `yes` where `self < bound`, `no` elsewhere (also where either is NaN).
    fn select_lt(self, bound: Self, yes: Self, no: Self) -> Self;
    /// Whether all lanes satisfy `self > bound`; a NaN does not.
    fn all_gt(self, bound: Self) -> bool;
    /// The larger of two; the second when either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller of two; the second when either is NaN.
    fn min(self, other: Self) -> Self;
    /// `self` · 2ᵏ for integers k up to ±2000 (f64) or ±250 (f32) and `self` in [½, 2]; 0 or subnormal where that is
    /// too small for a normal number, ∞ where it is too large.
    #[doc(hidden)]
    fn times_power_of_two(self, k: Self) -> Self;
    /// For normal positive lanes: x = 2ᵉ · m with m in [√½, √2), as (e, m).
    #[doc(hidden)]
    fn exponent_and_mantissa(self) -> (Self, Self);

    /// eˣ to about 1 ulp; 0 or subnormal where it underflows, ∞ where it overflows.
    #[inline(always)]
    fn exp(self) -> Self {
        <Self::Scalar as elementary::Elementary>::exp(self)
    }

    /// Natural logarithm to about 1 ulp; −∞ at 0, NaN below.
    #[inline(always)]
    fn ln(self) -> Self {
        <Self::Scalar as elementary::Elementary>::ln(self)
    }

    /// ln(1 + x), accurate also for small x, for x ≥ 0.
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let one = Self::splat(1.0);
        let u = one + self;
        // What rounding took from u comes back to first order.
        let lost = self - (u - one);
        let correction = lost / u;
        // At ∞ the correction is NaN; u is then large and needs none.
        u.select_lt(Self::splat(1e30), u.ln() + correction, u.ln())
    }

    /// xᵃ for x ≥ 0: e^(a ln x).
    #[inline(always)]
    fn powf(self, exponent: Self) -> Self {
        let zero = Self::splat(0.0);
        zero.select_lt(self, (exponent * self.ln()).exp(), self.select_lt(Self::splat(1e-300), zero, self))
    }

    /// (sin πx, cos πx).
    #[inline(always)]
    fn sin_cos_pi(self) -> (Self, Self) {
        <Self::Scalar as elementary::Elementary>::sin_cos_pi(self)
    }

    /// A scalar function in every lane, for what has no vector form; slow.
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        use crate::Real;
        let mut lanes = [Self::Scalar::default(); MAX_LANES];
        self.store(&mut lanes);
        for lane in &mut lanes[..Self::LANES] {
            *lane = Self::Scalar::of(f(lane.to_f64()));
        }
        Self::load(&lanes)
    }
}

/// The most lanes a [`Vector`] has.
pub(crate) const MAX_LANES: usize = 16;

/// Work to be compiled for every kind of processor.
pub trait Work<T> {
    /// What it returns.
    type Output;
    /// The work, in vectors of some kind. Mark the implementation `#[inline(always)]`.
    fn run<V: Vector<Scalar = T>>(self) -> Self::Output;
}

/// Scalars that have vectors: picks the kind for this processor.
pub trait Simd: elementary::Elementary + Sized {
    /// Runs `work` with the widest vectors this processor has.
    fn dispatch<W: Work<Self>>(work: W) -> W::Output;
}

macro_rules! simd {
    ($scalar:ty, $avx2:ident, $avx512:ident) => {
        impl Simd for $scalar {
            #[inline]
            fn dispatch<W: Work<Self>>(work: W) -> W::Output {
                #[cfg(target_arch = "x86_64")]
                {
                    #[target_feature(enable = "avx512f,avx512dq")]
                    fn avx512<W: Work<$scalar>>(work: W) -> W::Output {
                        work.run::<x86::$avx512>()
                    }
                    #[target_feature(enable = "avx2,fma")]
                    fn avx2<W: Work<$scalar>>(work: W) -> W::Output {
                        work.run::<x86::$avx2>()
                    }
                    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                        // SAFETY: the processor has just said that it has these instructions.
                        return unsafe { avx512(work) };
                    }
                    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                        // SAFETY: the processor has just said that it has these instructions.
                        return unsafe { avx2(work) };
                    }
                }
                work.run::<portable::Lanes<$scalar>>()
            }
        }
    };
}

simd!(f32, F32x8, F32x16);
simd!(f64, F64x4, F64x8);

/// The vector at the front of a slice, filled up with zeros.
#[inline(always)]
pub(crate) fn load_some<V: Vector>(from: &[V::Scalar]) -> V {
    if from.len() >= V::LANES {
        return V::load(from);
    }
    let mut lanes = [<V::Scalar as Default>::default(); MAX_LANES];
    lanes[..from.len()].copy_from_slice(from);
    V::load(&lanes)
}

/// Writes as many lanes as the slice has room for.
#[inline(always)]
pub(crate) fn store_some<V: Vector>(v: V, to: &mut [V::Scalar]) {
    if to.len() >= V::LANES {
        return v.store(to);
    }
    let mut lanes = [<V::Scalar as Default>::default(); MAX_LANES];
    v.store(&mut lanes);
    to.copy_from_slice(&lanes[..to.len()]);
}

#[cfg(test)]
mod tests;
