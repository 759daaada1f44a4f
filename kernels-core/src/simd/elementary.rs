//! exp, ln, sin and cos of vectors. Polynomials are near-minimax (Chebyshev) fits made for this crate; each
//! states the largest error of the polynomial alone, in units of the result.

use super::Vector;

/// Elementary functions of one scalar type, whose polynomials differ in degree.
pub trait Elementary {
    /// eˣ.
    fn exp<V: Vector<Scalar = Self>>(x: V) -> V;
    /// ln x.
    fn ln<V: Vector<Scalar = Self>>(x: V) -> V;
    /// (sin πx, cos πx).
    fn sin_cos_pi<V: Vector<Scalar = Self>>(x: V) -> (V, V);
}

/// Σ cᵢ zⁱ by Horner's rule.
#[inline(always)]
fn poly<V: Vector, const N: usize>(z: V, c: &[f64; N]) -> V {
    let mut sum = V::splat(c[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(z, V::splat(c[i]));
    }
    sum
}

/// ln 2 in two parts, the first short enough that an exponent times it is exact.
struct Ln2 {
    high: f64,
    low: f64,
}

/// eˣ = 2ᵏ eʳ with k the integer nearest to x / ln 2; `magic` is 1.5 · 2^(mantissa bits), adding it rounds to
/// integers. `poly` gives (eʳ − 1 − r) / r².
#[inline(always)]
fn exp<V: Vector, const N: usize>(x: V, range: (f64, f64), magic: f64, ln2: Ln2, c: &[f64; N]) -> V {
    // Past this range all is 0 or ∞. The order of the arguments lets a NaN through.
    let inside = V::splat(range.1).min(V::splat(range.0).max(x));
    let magic = V::splat(magic);
    let k = inside.mul_add(V::splat(std::f64::consts::LOG2_E), magic) - magic;
    let r = (-k).mul_add(V::splat(ln2.low), (-k).mul_add(V::splat(ln2.high), inside));
    let y = V::splat(1.0) + poly(r, c).mul_add(r * r, r);
    y.times_power_of_two(k)
}

/// x = 2ᵉ m with m in [√½, √2), s = (m−1)/(m+1): ln x = e ln 2 + 2s + s³ poly(s²).
#[inline(always)]
fn ln<V: Vector, const N: usize>(x: V, tiny: f64, lift: f64, binades: f64, ln2: Ln2, c: &[f64; N]) -> V {
    let tiny = V::splat(tiny);
    // Subnormals are lifted into the normal range first.
    let lifted = x.select_lt(tiny, x * V::splat(lift), x);
    let (e, m) = lifted.exponent_and_mantissa();
    let e = x.select_lt(tiny, e - V::splat(binades), e);
    let one = V::splat(1.0);
    let f = m - one;
    let s = f / (m + one);
    let z = s * s;
    // 2s = f − s f without the rounding of the division: f is exact.
    let tail = s * (poly(z, c) * z - f);
    let y = e.mul_add(V::splat(ln2.high), f + e.mul_add(V::splat(ln2.low), tail));
    let zero = V::splat(0.0);
    let y = zero.select_lt(x, y, x.select_lt(zero, V::splat(f64::NAN), V::splat(f64::NEG_INFINITY)));
    // ∞ stays, NaN stays.
    x.select_lt(V::splat(f64::INFINITY), y, x.max(x))
}

/// x = k + t with t in [−½, ½]: sin πx = (−1)ᵏ t S(t²), cos πx = (−1)ᵏ C(t²).
#[inline(always)]
fn sin_cos_pi<V: Vector, const N: usize, const M: usize>(
    x: V,
    magic: f64,
    sine: &[f64; N],
    cosine: &[f64; M],
) -> (V, V) {
    let magic_v = V::splat(magic);
    // Beyond `magic / 1.5` every number is an even integer or rounding would not be exact: such x counts as even.
    let limit = V::splat(magic / 3.0);
    let k = (x + magic_v) - magic_v;
    let t = x.abs().select_lt(limit, x - k, V::splat(0.0) * x);
    // Parity: k − 2 · round(k / 2) is −1, 0 or 1.
    let half = ((k * V::splat(0.5)) + magic_v) - magic_v;
    let odd = (k - (half + half)).abs();
    let odd = x.abs().select_lt(limit, odd, V::splat(0.0));
    let sign = V::splat(1.0) - (odd + odd);
    let z = t * t;
    (sign * t * poly(z, sine), sign * poly(z, cosine))
}

impl Elementary for f64 {
    #[inline(always)]
    fn exp<V: Vector<Scalar = Self>>(x: V) -> V {
        // Error 1.3e-17.
        const C: [f64; 10] = [
            0.5000000000000001,
            0.16666666666666669,
            0.04166666666662399,
            0.008333333333330051,
            0.0013888888917281794,
            0.00019841269863105968,
            2.480152119021773e-05,
            2.7557268378684192e-06,
            2.7620138719733994e-07,
            2.5100424157005067e-08,
        ];
        let ln2 = Ln2 { high: 0.6931471803691238, low: 1.9082149292705877e-10 };
        exp(x, (-800.0, 800.0), 6755399441055744.0, ln2, &C)
    }

    #[inline(always)]
    fn ln<V: Vector<Scalar = Self>>(x: V) -> V {
        // Error 9.2e-18.
        const C: [f64; 7] = [
            0.666666666666667,
            0.3999999999989889,
            0.2857142862625391,
            0.22222211089368124,
            0.18182892433364564,
            0.15331611694570085,
            0.14617807492803847,
        ];
        let ln2 = Ln2 { high: 0.6931471803691238, low: 1.9082149292705877e-10 };
        ln(x, f64::MIN_POSITIVE, 18014398509481984.0, 54.0, ln2, &C)
    }

    #[inline(always)]
    fn sin_cos_pi<V: Vector<Scalar = Self>>(x: V) -> (V, V) {
        // Errors 6.6e-19 and 6.4e-21.
        const SINE: [f64; 9] = [
            std::f64::consts::PI,
            -5.167712780049969,
            2.5501640398773002,
            -0.5992645293189358,
            0.08214588657295133,
            -0.007370430504516517,
            0.0004662998090641688,
            -2.190347829127253e-05,
            7.697626512234251e-07,
        ];
        const COSINE: [f64; 10] = [
            1.0,
            -4.934802200544679,
            4.058712126416768,
            -1.3352627688545549,
            0.2353306303579907,
            -0.025806891376539465,
            0.0019295741868923606,
            -0.00010463741517737835,
            4.300720456893371e-06,
            -1.343486339207229e-07,
        ];
        sin_cos_pi(x, 6755399441055744.0, &SINE, &COSINE)
    }
}

impl Elementary for f32 {
    #[inline(always)]
    fn exp<V: Vector<Scalar = Self>>(x: V) -> V {
        // Error 7.8e-9.
        const C: [f64; 5] = [0.5, 0.1666657685, 0.04166655444, 0.008363202972, 0.001392621347];
        let ln2 = Ln2 { high: 0.693115234375, low: 3.19461849453e-5 };
        exp(x, (-120.0, 120.0), 12582912.0, ln2, &C)
    }

    #[inline(always)]
    fn ln<V: Vector<Scalar = Self>>(x: V) -> V {
        // Error 5.6e-9.
        const C: [f64; 3] = [0.666666851, 0.3998875771, 0.2958098619];
        let ln2 = Ln2 { high: 0.693115234375, low: 3.19461849453e-5 };
        ln(x, f64::from(f32::MIN_POSITIVE), 33554432.0, 25.0, ln2, &C)
    }

    #[inline(always)]
    fn sin_cos_pi<V: Vector<Scalar = Self>>(x: V) -> (V, V) {
        // Errors 1.4e-8 and 2.2e-10.
        const SINE: [f64; 5] =
            [std::f64::consts::PI, -5.167710068, 2.550077181, -0.5982888785, 0.07765241214];
        const COSINE: [f64; 6] = [1.0, -4.934802137, 4.058709145, -1.335211829, 0.2349364492, -0.02439483188];
        sin_cos_pi(x, 12582912.0, &SINE, &COSINE)
    }
}
