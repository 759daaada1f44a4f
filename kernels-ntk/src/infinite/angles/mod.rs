//! The recursions of rectified-linear and error-function layers on slices of pairs, in plain arithmetic that the compiler turns into
//! vectors of the processor.
//!
//! Angles come from u = sin²(θ/2) and v = cos²(θ/2), of which the smaller is exact: with m = min(u, v) ≤ ½ and r = √m the smaller
//! angle is 2 r A(m), and sin t − t cos t of it is r³ P(m), both polynomials near-minimax fits made for this crate.

mod erf;
mod series;

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use kernels_core::{Simd, Vector, Work};

pub(super) use erf::{ErfRows, own_arcsine};
pub(super) use series::{Mehler, mehler};

/// asin(√m)/√m on [0, ½]; error 5e-17.
const ARCSINE: [f64; 19] = [
    1.0,
    0.16666666666664987,
    0.07500000000401816,
    0.044642856762615,
    0.030381963396751827,
    0.022371584779320355,
    0.017364281439103527,
    0.01380344589589198,
    0.013191002571753903,
    -0.002601537848299688,
    0.07871611357002127,
    -0.2968705430689824,
    1.0082016650534187,
    -2.4908808126226116,
    4.6420689099888435,
    -6.229299875397985,
    5.7579408313146985,
    -3.278933156739812,
    0.8892904367638688,
];

/// (sin t − t cos t)/m^(3/2) with t = 2 asin √m on [0, ½]; error 6e-17.
const BULGE: [f64; 18] = [
    2.6666666666666665,
    0.26666666666668143,
    0.0857142857111221,
    0.03968253995077448,
    0.022095947639427637,
    0.013767805682029654,
    0.009249048024860408,
    0.006643093513241805,
    0.004226242976164667,
    0.007915306613725855,
    -0.017704735518716593,
    0.07840039475553413,
    -0.20794244601856987,
    0.42909747522187885,
    -0.6245889328726089,
    0.6269979801368656,
    -0.38489219072557274,
    0.11366132592446036,
];

/// The state of pairs: covariance, gaps to parallel and antiparallel, difference of variances, tangent kernel.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    pub(super) q: &'a mut [f64],
    pub(super) gap: &'a mut [f64],
    pub(super) cogap: &'a mut [f64],
    pub(super) difference: &'a mut [f64],
    pub(super) tangent: &'a mut [f64],
}

impl Pairs<'_> {
    fn len(&self) -> usize {
        self.q.len()
    }
}

/// One of the layers below on pairs of row variables with one column variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// q ← scale q + bias; tangent ← own q' · `fresh` + scale · tangent, or with `old` the previous q.
    /// `roots` are standard deviations before and after, of rows and of the column.
    Affine { scale: f64, bias: f64, tangent: Tangent, roots: (&'a [f64], &'a [f64]), column: (f64, f64) },
    /// a min(z, 0) + b max(z, 0); `roots` are standard deviations before, with their inverses, 0 for 0.
    Rectified { a: f64, b: f64, roots: &'a [f64], inverses: &'a [f64], column: f64 },
    /// a erf(bz) without its offset.
    /// Rows are the points from `row` of theirs.
    Erf { a: f64, b: f64, rows: &'a ErfRows, columns: &'a ErfRows, row: usize, column: usize },
}

/// What a layer with weights adds to the tangent kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tangent {
    /// The new covariance (NTK parameterization).
    Fresh,
    /// `old` times the previous covariance plus a constant (standard parameterization).
    Old { factor: f64, constant: f64 },
    /// Nothing, for a change of scale.
    None,
}

/// Runs a step with the widest instructions the processor has.
pub(super) fn run(step: Step<'_>, pairs: &mut Pairs<'_>) {
    f64::dispatch(Run { step, pairs });
}

struct Run<'s, 'p, 'q> {
    step: Step<'s>,
    pairs: &'p mut Pairs<'q>,
}

impl Work<f64> for Run<'_, '_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        go::<V>(self.step, self.pairs);
    }
}

/// Most lanes a vector has.
const MOST: usize = 16;

/// The first numbers of a slice, 0 beyond its end.
#[inline(always)]
pub(super) fn load<V: Vector<Scalar = f64>>(from: &[f64]) -> V {
    if from.len() >= V::LANES {
        return V::load(from);
    }
    let mut lanes = [0.0; MOST];
    lanes[..from.len()].copy_from_slice(from);
    V::load(&lanes)
}

/// To the front of a slice, what it has room for.
#[inline(always)]
pub(super) fn store<V: Vector<Scalar = f64>>(v: V, to: &mut [f64]) {
    if to.len() >= V::LANES {
        return v.store(to);
    }
    let mut lanes = [0.0; MOST];
    v.store(&mut lanes);
    let n = to.len();
    to.copy_from_slice(&lanes[..n]);
}

/// Σ cᵢ zⁱ as even and odd parts, whose chains of operations run side by side: `poly!(z, c; even exponents, falling; odd ones)`.
macro_rules! poly {
    ($z:expr, $c:expr; $e:literal $($even:literal)*; $o:literal $($odd:literal)*) => {{
        let z = $z;
        let square = z * z;
        let mut even = V::splat($c[$e]);
        let mut odd = V::splat($c[$o]);
        $(even = even.mul_add(square, V::splat($c[$even]));)*
        $(odd = odd.mul_add(square, V::splat($c[$odd]));)*
        odd.mul_add(z, even)
    }};
}
pub(in crate::infinite) use poly;

#[inline(always)]
fn go<V: Vector<Scalar = f64>>(step: Step<'_>, pairs: &mut Pairs<'_>) {
    let n = pairs.len();
    match step {
        Step::Affine { scale, bias, tangent, roots, column } => {
            let (q, gap, cogap) = (&mut pairs.q[..n], &mut pairs.gap[..n], &mut pairs.cogap[..n]);
            let (difference, theta) = (&mut pairs.difference[..n], &mut pairs.tangent[..n]);
            let (before, after) = (&roots.0[..n], &roots.1[..n]);
            let (fresh, old, constant) = match tangent {
                Tangent::Fresh => (1.0, 0.0, 0.0),
                Tangent::Old { factor, constant } => (0.0, factor, constant),
                Tangent::None => (0.0, 0.0, 0.0),
            };
            if bias <= 0.0 {
                for i in 0..n {
                    gap[i] *= scale;
                    cogap[i] *= scale;
                    difference[i] *= scale;
                    let new = settle(scale * q[i], gap[i], cogap[i], after[i] * column.1);
                    theta[i] = fresh * new + (old * q[i] + constant) + scale * theta[i];
                    q[i] = new;
                }
                return;
            }
            let root = scale.sqrt();
            let root_b = root * column.0;
            for i in 0..n {
                // Deviations scaled but without bias, and with it.
                let root_a = root * before[i];
                let product = root_a * root_b;
                let whole = after[i] * column.1;
                let d = scale * difference[i];
                let slope = d / (root_a + root_b).max(f64::MIN_POSITIVE);
                let (first, second) = (whole + bias + product, whole + product);
                // Where this is too large for a number the bias is nothing beside the variances, as 0 says.
                let inverse = 1.0 / (first * second).max(f64::MIN_POSITIVE);
                let bracket = slope * slope * (inverse * second) * bias;
                let cobracket = bias + (root_a * root_a + root_b * root_b + bias) * (inverse * first) * bias;
                gap[i] = scale * gap[i] + bracket;
                cogap[i] = scale * cogap[i] + cobracket;
                let new = settle(scale * q[i] + bias, gap[i], cogap[i], whole);
                theta[i] = fresh * new + (old * q[i] + constant) + scale * theta[i];
                q[i] = new;
                difference[i] = d;
            }
        }
        Step::Rectified { a, b, roots, inverses, column } => {
            let (q, gap, cogap) = (&mut pairs.q[..n], &mut pairs.gap[..n], &mut pairs.cogap[..n]);
            let (difference, theta) = (&mut pairs.difference[..n], &mut pairs.tangent[..n]);
            let (roots, inverses) = (&roots[..n], &inverses[..n]);
            let (both, square) = (a * b, (a - b) * (a - b));
            let mean = 0.5 * (a * a + b * b);
            let share = square * (0.5 * FRAC_1_PI);
            let inverse = if column > 0.0 { 1.0 / column } else { 0.0 };
            let (one, two, pi, half) = (V::splat(1.0), V::splat(2.0), V::splat(PI), V::splat(0.5));
            let (inverse, column) = (V::splat(inverse), V::splat(column));
            let (both, share) = (V::splat(both), V::splat(share));
            let (mean, twice) = (V::splat(mean), V::splat(2.0 * mean));
            let tiny = V::splat(f64::MIN_POSITIVE);
            let mut i = 0;
            while i < n {
                let end = (i + V::LANES).min(n);
                let product = load::<V>(&roots[i..end]) * column;
                let scale = load::<V>(&inverses[i..end]) * inverse * half;
                // A zero vector counts as being at a right angle.
                let u = product.select_lt(tiny, half, (load::<V>(&gap[i..end]) * scale).min(one));
                let v = product.select_lt(tiny, half, (load::<V>(&cogap[i..end]) * scale).min(one));
                let m = u.min(v);
                let (arcsine, of_bulge) = (arcsines(m), bulges(m));
                let r = m.sqrt();
                let angle = r * arcsine * two;
                let bulge = r * m * of_bulge;
                let other = bulge + pi * (one - m * two);
                // Of the angle itself and of its supplement.
                let of_angle = v.select_lt(u, other, bulge);
                let of_supplement = v.select_lt(u, bulge, other);
                let supplement = v.select_lt(u, angle, pi - angle);
                let part = share * of_angle;
                store(product * (twice * u - part), &mut gap[i..end]);
                store(product * (twice * v + part), &mut cogap[i..end]);
                let value = both * load::<V>(&q[i..end]) + share * product * of_supplement;
                store(value, &mut q[i..end]);
                store(mean * load::<V>(&difference[i..end]), &mut difference[i..end]);
                let slope = both + share * supplement;
                store(slope * load::<V>(&theta[i..end]), &mut theta[i..end]);
                i = end;
            }
        }
        Step::Erf { a, b, rows, columns, row, column } => {
            erf::layer::<V>((a, b), (rows, row), columns.at(column), pairs);
        }
    }
}

/// The covariance that belongs to a small gap: carried on its own it would drift away, and chaotic layers amplify that.
#[inline(always)]
fn settle(q: f64, gap: f64, cogap: f64, product: f64) -> f64 {
    let parallel = product - gap;
    let antiparallel = cogap - product;
    let q = if cogap < 0.5 * product { antiparallel } else { q };
    if gap < 0.5 * product { parallel } else { q }
}

/// asin z, where u = (1 − z)/2 and v = (1 + z)/2 are known without cancellation.
#[inline(always)]
fn arcsine<V: Vector<Scalar = f64>>(z: V, u: V, v: V) -> V {
    let (zero, half) = (V::splat(0.0), V::splat(0.5));
    let square = z * z;
    let edge = zero.select_lt(z, u, v).max(zero).min(half);
    let m = half.select_lt(square, edge, square);
    let p = arcsines(m);
    let end = V::splat(FRAC_PI_2) - V::splat(2.0) * (m.sqrt() * p);
    half.select_lt(square, zero.select_lt(z, end, -end), z * p)
}

/// asin(√m)/√m.
#[inline(always)]
fn arcsines<V: Vector<Scalar = f64>>(m: V) -> V {
    poly!(m, ARCSINE; 18 16 14 12 10 8 6 4 2 0; 17 15 13 11 9 7 5 3 1)
}

/// (sin t − t cos t)/m^(3/2), t = 2 asin √m.
#[inline(always)]
fn bulges<V: Vector<Scalar = f64>>(m: V) -> V {
    poly!(m, BULGE; 16 14 12 10 8 6 4 2 0; 17 15 13 11 9 7 5 3 1)
}

/// Gaps of covariances that are all there is, for variances of rows and of one column, with their roots: from determinants, which
/// fused multiplication leaves exact. A covariance beyond its product by rounding stays as it is.
pub(super) fn gaps(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
        fn widest(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
            determinants(rows, column, pairs);
        }
        #[target_feature(enable = "avx2,fma")]
        fn fused(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
            determinants(rows, column, pairs);
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { widest(rows, column, pairs) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { fused(rows, column, pairs) };
        }
    }
    determinants(rows, column, pairs);
}

#[inline(always)]
fn determinants(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
    let n = pairs.len();
    let (q, gap, cogap) = (&mut pairs.q[..n], &mut pairs.gap[..n], &mut pairs.cogap[..n]);
    let (difference, variances, roots) = (&mut pairs.difference[..n], &rows.0[..n], &rows.1[..n]);
    for i in 0..n {
        let product = roots[i] * column.1;
        let square = q[i] * q[i];
        let determinant = (variances[i].mul_add(column.0, -square) - q[i].mul_add(q[i], -square)).max(0.0);
        let large = product + q[i].abs();
        let exact = (1e-290..1e290).contains(&square);
        let small = if exact { determinant / large } else { (product - q[i].abs()).max(0.0) };
        let positive = q[i] >= 0.0;
        gap[i] = if positive { small } else { large };
        cogap[i] = if positive { large } else { small };
        difference[i] = variances[i] - column.0;
    }
}

/// What a rectified layer knows of rows or columns: variances, deviations and their inverses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deviations<'a> {
    pub(super) variance: &'a [f64],
    pub(super) root: &'a [f64],
    pub(super) inverse: &'a [f64],
}

/// The layer a min(z, 0) + b max(z, 0) on covariances of all rows with all columns, column by column, that are all there is,
/// without gaps to carry on.
pub(super) fn rectify(
    (a, b): (f64, f64),
    rows: Deviations<'_>,
    columns: Deviations<'_>,
    q: &mut [f64],
    theta: &mut [f64],
) {
    f64::dispatch(Rectify { both: a * b, square: (a - b) * (a - b), rows, columns, q, theta });
}

struct Rectify<'a> {
    both: f64,
    square: f64,
    rows: Deviations<'a>,
    columns: Deviations<'a>,
    q: &'a mut [f64],
    theta: &'a mut [f64],
}

impl Work<f64> for Rectify<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let Self { both, square, rows, columns, q, theta } = self;
        let n = rows.root.len().max(1);
        let (both, share) = (V::splat(both), V::splat(square * (0.5 * FRAC_1_PI)));
        let (zero, half, one) = (V::splat(0.0), V::splat(0.5), V::splat(1.0));
        let (two, pi, tiny) = (V::splat(2.0), V::splat(PI), V::splat(f64::MIN_POSITIVE));
        for (j, (q, theta)) in q.chunks_exact_mut(n).zip(theta.chunks_exact_mut(n)).enumerate() {
            let (variance, root) = (V::splat(columns.variance[j]), V::splat(columns.root[j]));
            let inverse = V::splat(columns.inverse[j]);
            let mut i = 0;
            while i < n {
                let end = (i + V::LANES).min(n);
                let covariance = load::<V>(&q[i..end]);
                let product = load::<V>(&rows.root[i..end]) * root;
                let square = covariance * covariance;
                // Where products and sums are fused the determinant is exact.
                let determinant = load::<V>(&rows.variance[i..end]).mul_add(variance, -square)
                    - covariance.mul_add(covariance, -square);
                let size = covariance.abs();
                let rough = (product - size).max(zero);
                let exact = determinant.max(zero) / (product + size);
                // In range the small gap is the determinant over the large one.
                let gap = square.select_lt(V::splat(1e290), exact, rough);
                let gap = V::splat(1e-290).select_lt(square, gap, rough);
                let scale = load::<V>(&rows.inverse[i..end]) * inverse * half;
                let m = product.select_lt(tiny, half, (gap * scale).min(half));
                let (arcsine, of_bulge) = (arcsines(m), bulges(m));
                let r = m.sqrt();
                let angle = r * arcsine * two;
                let bulge = r * m * of_bulge;
                let other = bulge + pi * (one - m * two);
                let supplement = covariance.select_lt(zero, angle, pi - angle);
                let of_supplement = covariance.select_lt(zero, bulge, other);
                store(both * covariance + share * product * of_supplement, &mut q[i..end]);
                let slope = both + share * supplement;
                store(slope * load::<V>(&theta[i..end]), &mut theta[i..end]);
                i = end;
            }
        }
    }
}
