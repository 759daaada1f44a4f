//! The scalars the toolkit works in.

use crate::simd::Simd;

/// A floating-point scalar: `f32` or `f64`. Sealed.
///
/// ```
/// use kernels_core::Real;
/// fn half<T: Real>() -> T { T::of(0.5) }
/// assert_eq!(half::<f32>(), 0.5);
/// ```
pub trait Real: nalgebra::RealField + Copy + Default + Simd + sealed::Sealed {
    /// Distance from 1 to the next larger number.
    const EPSILON: Self;

    /// The nearest scalar to `value`.
    fn of(value: f64) -> Self;

    /// The scalar as `f64`, exactly.
    fn to_f64(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Real for f32 {
    const EPSILON: Self = f32::EPSILON;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const EPSILON: Self = f64::EPSILON;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}
