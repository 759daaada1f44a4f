//! Vectors of AVX2 with FMA (256 bits) and AVX-512 (512 bits).
//!
//! SAFETY, for every block of this file: the types are private to the crate and reached only through
//! `Simd::dispatch`, inside functions that enable the instructions after asking the processor for them.
//! Loads and stores are unaligned and checked against the slice's length.

use std::{
    arch::x86_64::*,
    ops::{Add, Div, Mul, Neg, Sub},
};

use super::Vector;

macro_rules! vector {
    ($name:ident, $reg:ty, $scalar:ty, $lanes:expr, $many:expr,
     $add:ident $sub:ident $mul:ident $div:ident $sqrt:ident $fma:ident $set1:ident $load:ident $store:ident $max:ident $min:ident,
     abs: $abs:expr, neg: $neg:expr, select: $select:expr, all_gt: $all_gt:expr, scale: $scale:expr, split: $split:expr) => {
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name($reg);

        impl Add for $name {
            type Output = Self;
            #[inline(always)]
            fn add(self, rhs: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $add(self.0, rhs.0) })
            }
        }
        impl Sub for $name {
            type Output = Self;
            #[inline(always)]
            fn sub(self, rhs: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $sub(self.0, rhs.0) })
            }
        }
        impl Mul for $name {
            type Output = Self;
            #[inline(always)]
            fn mul(self, rhs: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $mul(self.0, rhs.0) })
            }
        }
        impl Div for $name {
            type Output = Self;
            #[inline(always)]
            fn div(self, rhs: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $div(self.0, rhs.0) })
            }
        }
        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $neg(self.0) })
            }
        }

        impl Vector for $name {
            type Scalar = $scalar;
            const LANES: usize = $lanes;
            const MANY: bool = $many;

            #[inline(always)]
            fn splat(value: f64) -> Self {
                Self::broadcast(value as $scalar)
            }
            #[inline(always)]
            fn broadcast(value: $scalar) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $set1(value) })
            }
            #[inline(always)]
            fn load(from: &[$scalar]) -> Self {
                assert!(from.len() >= $lanes);
                // SAFETY: the slice has that many values; see also the head of this file.
                Self(unsafe { $load(from.as_ptr()) })
            }
            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                assert!(to.len() >= $lanes);
                // SAFETY: the slice has room for that many values; see also the head of this file.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $fma(self.0, factor.0, addend.0) })
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $sqrt(self.0) })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $abs(self.0) })
            }
            #[inline(always)]
            fn select_lt(self, bound: Self, yes: Self, no: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $select(self.0, bound.0, yes.0, no.0) })
            }
            #[inline(always)]
            fn all_gt(self, bound: Self) -> bool {
                // SAFETY: see the head of this file.
                unsafe { $all_gt(self.0, bound.0) }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $max(self.0, other.0) })
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $min(self.0, other.0) })
            }
            #[inline(always)]
            fn times_power_of_two(self, k: Self) -> Self {
                // SAFETY: see the head of this file.
                Self(unsafe { $scale(self.0, k.0) })
            }
            #[inline(always)]
            fn exponent_and_mantissa(self) -> (Self, Self) {
                // SAFETY: see the head of this file.
                let (e, m) = unsafe { $split(self.0) };
                (Self(e), Self(m))
            }
        }
    };
}

const HALF_64: i64 = std::f64::consts::FRAC_1_SQRT_2.to_bits().cast_signed();
const HALF_32: i32 = std::f32::consts::FRAC_1_SQRT_2.to_bits().cast_signed();
const MANTISSA_64: i64 = (1 << 52) - 1;
const MANTISSA_32: i32 = (1 << 23) - 1;

vector!(F64x8, __m512d, f64, 8, true,
_mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd _mm512_sqrt_pd _mm512_fmadd_pd _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_max_pd _mm512_min_pd,
abs: |a| _mm512_abs_pd(a),
neg: |a| _mm512_xor_pd(a, _mm512_set1_pd(-0.0)),
select: |a, b, yes, no| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, yes),
all_gt: |a, b| _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b) == 0xff,
    scale: |y, k| _mm512_scalef_pd(y, k),
split: |x| {
    let half = _mm512_set1_epi64(HALF_64);
    let shifted = _mm512_sub_epi64(_mm512_castpd_si512(x), half);
    let e = _mm512_cvtepi64_pd(_mm512_srai_epi64::<52>(shifted));
    let m = _mm512_add_epi64(_mm512_and_si512(shifted, _mm512_set1_epi64(MANTISSA_64)), half);
    (e, _mm512_castsi512_pd(m))
});

vector!(F32x16, __m512, f32, 16, true,
_mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps _mm512_sqrt_ps _mm512_fmadd_ps _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_max_ps _mm512_min_ps,
abs: |a| _mm512_abs_ps(a),
neg: |a| _mm512_xor_ps(a, _mm512_set1_ps(-0.0)),
select: |a, b, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes),
all_gt: |a, b| _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) == 0xffff,
    scale: |y, k| _mm512_scalef_ps(y, k),
split: |x| {
    let half = _mm512_set1_epi32(HALF_32);
    let shifted = _mm512_sub_epi32(_mm512_castps_si512(x), half);
    let e = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(shifted));
    let m = _mm512_add_epi32(_mm512_and_si512(shifted, _mm512_set1_epi32(MANTISSA_32)), half);
    (e, _mm512_castsi512_ps(m))
});

vector!(F64x4, __m256d, f64, 4, false,
_mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd _mm256_sqrt_pd _mm256_fmadd_pd _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_max_pd _mm256_min_pd,
abs: |a| _mm256_andnot_pd(_mm256_set1_pd(-0.0), a),
neg: |a| _mm256_xor_pd(a, _mm256_set1_pd(-0.0)),
select: |a, b, yes, no| _mm256_blendv_pd(no, yes, _mm256_cmp_pd::<_CMP_LT_OQ>(a, b)),
all_gt: |a, b| _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(a, b)) == 0xf,
    scale: |y, k| {
        // Adding 1.5 * 2^52 puts the integer k into the low bits.
        let bits = _mm256_castpd_si256(_mm256_add_pd(k, _mm256_set1_pd(6755399441055744.0)));
        let power = _mm256_slli_epi64::<52>(_mm256_add_epi64(bits, _mm256_set1_epi64x(1023)));
        let scaled = _mm256_mul_pd(y, _mm256_castsi256_pd(power));
        let small = _mm256_cmp_pd::<_CMP_LT_OQ>(k, _mm256_set1_pd(-1022.0));
        let large = _mm256_cmp_pd::<_CMP_GT_OQ>(k, _mm256_set1_pd(1023.0));
        let bounded = _mm256_blendv_pd(scaled, _mm256_set1_pd(f64::INFINITY), large);
        _mm256_andnot_pd(small, bounded)
    },
split: |x| {
    let half = _mm256_set1_epi64x(HALF_64);
    let shifted = _mm256_sub_epi64(_mm256_castpd_si256(x), half);
    // AVX2 has no arithmetic 64-bit shift and no conversion: shift the biased value logically, then let
    // the bits of 2^52 + k do the conversion.
    let magic = _mm256_set1_epi64x((4503599627370496.0_f64).to_bits().cast_signed());
    let biased = _mm256_srli_epi64::<52>(_mm256_add_epi64(shifted, _mm256_set1_epi64x(1024 << 52)));
    let e = _mm256_sub_pd(
        _mm256_castsi256_pd(_mm256_or_si256(biased, magic)),
        _mm256_set1_pd(4503599627370496.0 + 1024.0));
    let m = _mm256_add_epi64(_mm256_and_si256(shifted, _mm256_set1_epi64x(MANTISSA_64)), half);
    (e, _mm256_castsi256_pd(m))
});

vector!(F32x8, __m256, f32, 8, false,
_mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps _mm256_sqrt_ps _mm256_fmadd_ps _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_max_ps _mm256_min_ps,
abs: |a| _mm256_andnot_ps(_mm256_set1_ps(-0.0), a),
neg: |a| _mm256_xor_ps(a, _mm256_set1_ps(-0.0)),
select: |a, b, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)),
all_gt: |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) == 0xff,
    scale: |y, k| {
        // Adding 1.5 * 2^23 puts the integer k into the low bits.
        let bits = _mm256_castps_si256(_mm256_add_ps(k, _mm256_set1_ps(12582912.0)));
        let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(bits, _mm256_set1_epi32(127)));
        let scaled = _mm256_mul_ps(y, _mm256_castsi256_ps(power));
        let small = _mm256_cmp_ps::<_CMP_LT_OQ>(k, _mm256_set1_ps(-126.0));
        let large = _mm256_cmp_ps::<_CMP_GT_OQ>(k, _mm256_set1_ps(127.0));
        let bounded = _mm256_blendv_ps(scaled, _mm256_set1_ps(f32::INFINITY), large);
        _mm256_andnot_ps(small, bounded)
    },
split: |x| {
    let half = _mm256_set1_epi32(HALF_32);
    let shifted = _mm256_sub_epi32(_mm256_castps_si256(x), half);
    let e = _mm256_cvtepi32_ps(_mm256_srai_epi32::<23>(shifted));
    let m = _mm256_add_epi32(_mm256_and_si256(shifted, _mm256_set1_epi32(MANTISSA_32)), half);
    (e, _mm256_castsi256_ps(m))
});
