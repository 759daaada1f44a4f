//! Vectors for processors without an implementation of their own: arrays that the compiler may vectorise.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Vector;

const LANES: usize = 4;

/// Four scalars in an array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<T>([T; LANES]);

macro_rules! portable {
    ($scalar:ty, $bits:ty, $mantissa:expr, $bias:expr) => {
        impl Lanes<$scalar> {
            #[inline(always)]
            fn zip(self, other: Self, f: impl Fn($scalar, $scalar) -> $scalar) -> Self {
                Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
            }
        }

        impl Add for Lanes<$scalar> {
            type Output = Self;
            #[inline(always)]
            fn add(self, rhs: Self) -> Self {
                self.zip(rhs, |a, b| a + b)
            }
        }
        impl Sub for Lanes<$scalar> {
            type Output = Self;
            #[inline(always)]
            fn sub(self, rhs: Self) -> Self {
                self.zip(rhs, |a, b| a - b)
            }
        }
        impl Mul for Lanes<$scalar> {
            type Output = Self;
            #[inline(always)]
            fn mul(self, rhs: Self) -> Self {
                self.zip(rhs, |a, b| a * b)
            }
        }
        impl Div for Lanes<$scalar> {
            type Output = Self;
            #[inline(always)]
            fn div(self, rhs: Self) -> Self {
                self.zip(rhs, |a, b| a / b)
            }
        }
        impl Neg for Lanes<$scalar> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(self.0.map(|a| -a))
            }
        }

        impl Vector for Lanes<$scalar> {
            type Scalar = $scalar;
            const LANES: usize = LANES;
            const MANY: bool = cfg!(target_arch = "aarch64");

            #[inline(always)]
            fn splat(value: f64) -> Self {
                Self([value as $scalar; LANES])
            }
            #[inline(always)]
            fn broadcast(value: $scalar) -> Self {
                Self([value; LANES])
            }
            #[inline(always)]
            fn load(from: &[$scalar]) -> Self {
                Self(std::array::from_fn(|i| from[i]))
            }
            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                to[..LANES].copy_from_slice(&self.0);
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    // Without the instruction, `mul_add` is a slow library call.
                    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                        self.0[i].mul_add(factor.0[i], addend.0[i])
                    } else {
                        self.0[i] * factor.0[i] + addend.0[i]
                    }
                }))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.map(<$scalar>::sqrt))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                Self(self.0.map(<$scalar>::abs))
            }
            #[inline(always)]
            fn select_lt(self, bound: Self, yes: Self, no: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] < bound.0[i] { yes.0[i] } else { no.0[i] }))
            }
            #[inline(always)]
            fn all_gt(self, bound: Self) -> bool {
                self.0.iter().zip(&bound.0).all(|(a, b)| a > b)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.zip(other, |a, b| if a > b { a } else { b })
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                self.zip(other, |a, b| if a < b { a } else { b })
            }
            #[inline(always)]
            fn times_power_of_two(self, k: Self) -> Self {
                self.zip(k, |y, k| {
                    if k < 1.0 - $bias as $scalar {
                        0.0 * y
                    } else if k > $bias as $scalar {
                        <$scalar>::INFINITY
                    } else {
                        // A NaN becomes some exponent here; y is then NaN as well.
                        y * <$scalar>::from_bits(((k as i64 + $bias) as $bits) << $mantissa)
                    }
                })
            }
            #[inline(always)]
            fn exponent_and_mantissa(self) -> (Self, Self) {
                const OFFSET: $bits = (std::f64::consts::FRAC_1_SQRT_2 as $scalar).to_bits();
                let parts = self.0.map(|x| {
                    let shifted = x.to_bits().wrapping_sub(OFFSET);
                    // Arithmetic shift: a signed count of binades above √½.
                    let exponent = (shifted.cast_signed() >> $mantissa) as $scalar;
                    let mantissa =
                        <$scalar>::from_bits((shifted & ((1 << $mantissa) - 1)).wrapping_add(OFFSET));
                    (exponent, mantissa)
                });
                (Self(parts.map(|p| p.0)), Self(parts.map(|p| p.1)))
            }
        }
    };
}

portable!(f32, u32, 23, 127);
portable!(f64, u64, 52, 1023);
