//! The recursions of rectified-linear and error-function layers on slices of pairs, in plain arithmetic that the compiler turns into
//! vectors, compiled once for AVX2 with FMA and once for anything else.
//!
//! Angles come from u = sin²(θ/2) and v = cos²(θ/2), of which the smaller is exact: with m = min(u, v) ≤ ½ and r = √m the smaller
//! angle is 2 r A(m), and sin t − t cos t of it is r³ P(m), both polynomials near-minimax fits made for this crate.

use std::{
    f64::consts::{FRAC_1_PI, FRAC_PI_2, PI},
    ops::Range,
};

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
    Affine {
        scale: f64,
        bias: f64,
        tangent: Tangent,
        roots: (&'a [f64], &'a [f64]),
        column: (f64, f64),
    },
    /// a min(z, 0) + b max(z, 0); `roots` are standard deviations before, with their inverses, 0 for 0.
    Rectified { a: f64, b: f64, roots: &'a [f64], inverses: &'a [f64], column: f64 },
    /// a erf(bz) without its offset.
    Erf { a: f64, b: f64, rows: &'a ErfRows, columns: &'a ErfRows, column: usize },
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
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(step: Step<'_>, pairs: &mut Pairs<'_>) {
            go::<true>(step, pairs);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { fused(step, pairs) };
        }
    }
    go::<false>(step, pairs);
}

#[inline(always)]
fn go<const FUSED: bool>(step: Step<'_>, pairs: &mut Pairs<'_>) {
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
                let cobracket =
                    bias + (root_a * root_a + root_b * root_b + bias) * (inverse * first) * bias;
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
            for i in 0..n {
                let product = roots[i] * column;
                let zero = product <= 0.0;
                let half = 0.5 * (inverses[i] * inverse);
                let u = if zero { 0.5 } else { (gap[i] * half).min(1.0) };
                let v = if zero { 0.5 } else { (cogap[i] * half).min(1.0) };
                let small = u <= v;
                let m = if small { u } else { v };
                let r = m.sqrt();
                let (arcsine, of_bulge) = (poly::<FUSED, 19>(m, &ARCSINE), poly::<FUSED, 18>(m, &BULGE));
                let angle = 2.0 * r * arcsine;
                let bulge = r * m * of_bulge;
                let other = bulge + PI * (1.0 - 2.0 * m);
                // Of the angle itself and of its supplement.
                let (of_angle, of_supplement) = if small { (bulge, other) } else { (other, bulge) };
                let supplement = if small { PI - angle } else { angle };
                let slope = both + share * supplement;
                gap[i] = product * (2.0 * mean * u - share * of_angle);
                cogap[i] = product * (2.0 * mean * v + share * of_angle);
                q[i] = both * q[i] + share * product * of_supplement;
                difference[i] *= mean;
                theta[i] *= slope;
            }
        }
        Step::Erf { a, b, rows, columns, column } => erf::<FUSED>((a, b), rows, columns.at(column), pairs),
    }
}

/// What a layer a erf(bz) needs of variances alone: p = b²q, √p, n = 1 + 2p, √(1 + 4p), asin(2p/n) and its root.
#[derive(Clone, Debug, Default)]
pub(super) struct ErfRows {
    p: Vec<f64>,
    root: Vec<f64>,
    n: Vec<f64>,
    r: Vec<f64>,
    angle: Vec<f64>,
    root_angle: Vec<f64>,
}

impl ErfRows {
    pub(super) fn new(b: f64, variances: &[f64]) -> Self {
        let mut out = Self::default();
        for q in variances {
            let p = b * b * q;
            let angle = own_arcsine(p);
            out.p.push(p);
            out.root.push(p.sqrt());
            out.n.push(1.0 + 2.0 * p);
            out.r.push((1.0 + 4.0 * p).sqrt());
            out.angle.push(angle);
            out.root_angle.push(angle.sqrt());
        }
        out
    }

    fn at(&self, i: usize) -> ErfAt {
        ErfAt {
            p: self.p[i],
            root: self.root[i],
            n: self.n[i],
            r: self.r[i],
            angle: self.angle[i],
            root_angle: self.root_angle[i],
        }
    }
}

/// The same of one variance.
#[derive(Clone, Copy)]
struct ErfAt {
    p: f64,
    root: f64,
    n: f64,
    r: f64,
    angle: f64,
    root_angle: f64,
}

/// Pairs whose small factors are looked at together.
const GROUP: usize = 16;

#[inline(always)]
fn erf<const FUSED: bool>(factors: (f64, f64), rows: &ErfRows, column: ErfAt, pairs: &mut Pairs<'_>) {
    let all = pairs.len();
    let mut start = 0;
    while start < all {
        let end = (start + GROUP).min(all);
        erf_group::<FUSED>(factors, rows, column, pairs, start..end);
        start = end;
    }
}

#[inline(always)]
fn erf_group<const FUSED: bool>(
    (a, b): (f64, f64),
    rows: &ErfRows,
    column: ErfAt,
    pairs: &mut Pairs<'_>,
    Range { start, end }: Range<usize>,
) {
    let n = end - start;
    let (q, gap, cogap) =
        (&mut pairs.q[start..end], &mut pairs.gap[start..end], &mut pairs.cogap[start..end]);
    let (difference, theta) = (&mut pairs.difference[start..end], &mut pairs.tangent[start..end]);
    let (p1, root1) = (&rows.p[start..end], &rows.root[start..end]);
    let (n1, r1) = (&rows.n[start..end], &rows.r[start..end]);
    let (angle1, root_angle1) = (&rows.angle[start..end], &rows.root_angle[start..end]);
    let square = b * b;
    let outer = a * a * (2.0 * FRAC_1_PI);
    let ErfAt { p: p22, root: root2, n: n2, r: r2, angle: second, root_angle: root_angle2 } = column;
    let (mut values, mut means) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
    let (mut numerators, mut owns) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
    let mut least = f64::INFINITY;
    for i in 0..n {
        let (p11, n1, r1, first) = (p1[i], n1[i], r1[i], angle1[i]);
        let norms = n1 * n2;
        let norm = norms.sqrt();
        let product = root1[i] * root2;
        let (g, c, p12) = (square * gap[i], square * cogap[i], square * q[i]);
        let d = square * difference[i];
        let sum = 1.0 + 2.0 * (p11 + p22);
        let base = sum / (norm + 2.0 * product);
        let inverse = 1.0 / norm;
        let half = 0.5 * inverse;
        let (u, v) = ((base + 2.0 * g) * half, (base + 2.0 * c) * half);
        let value = arcsine::<FUSED>(2.0 * p12 * inverse, u, v);
        let determinant = g * c;
        let root = (sum + 4.0 * determinant).sqrt();
        // tan(α − β) of the own angles, free of cancellation.
        let tan = 2.0 * d * (r1 * r2 + 1.0) / ((r1 + r2) * (r1 * r2 + 4.0 * p11 * p22));
        let secant = (1.0 + tan * tan).sqrt();
        let sine = tan / secant;
        let near = sine * poly::<FUSED, 19>((sine * sine).min(0.5), &ARCSINE);
        let delta = if tan.abs() < 0.9 { near } else { first - second };
        let mean = 0.5 * (first + second);
        let spread = delta / (root_angle1[i] + root_angle2).max(f64::MIN_POSITIVE);
        owns[i] = 0.5 * spread * spread;
        numerators[i] = 4.0 * determinant / norms + tan * tan / (2.0 * secant * (secant + 1.0));
        (values[i], means[i]) = (value, mean);
        least = least.min((mean - value).min(mean + value));
        difference[i] = outer * delta;
        theta[i] *= 2.0 * outer * square / root;
    }
    // sin((α+β)/2 − γ) sin((α+β)/2 + γ) = numerator: a small factor from the larger one, where there is one.
    let close = least < SMALL;
    for i in 0..n {
        let (value, mean) = (values[i], means[i]);
        let (minus, plus) = (mean - value, mean + value);
        let (mut lower, mut upper) = (minus, plus);
        if close {
            lower = small_factor::<FUSED>(minus, plus, numerators[i]);
            upper = small_factor::<FUSED>(plus, minus, numerators[i]);
        }
        gap[i] = outer * (lower - owns[i]).max(0.0);
        cogap[i] = outer * (upper - owns[i]).max(0.0);
        let product = outer * (root_angle1[i] * root_angle2);
        q[i] = settle(outer * value, gap[i], cogap[i], product);
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

/// Below this an angle is taken from its sine.
const SMALL: f64 = 0.4;

/// `rough` in [0, π] with sin(rough) sin(other) = numerator, by that where it is small.
#[inline(always)]
fn small_factor<const FUSED: bool>(rough: f64, other: f64, numerator: f64) -> f64 {
    let ratio = (numerator / sine::<FUSED>(other).max(f64::MIN_POSITIVE)).min(0.7);
    let exact = ratio * poly::<FUSED, 19>(ratio * ratio, &ARCSINE);
    if rough < SMALL && other > 0.0 { exact } else { rough }
}

/// sin x for 0 ≤ x ≤ π, by the Taylor series around the middle: of the cosine of x − π/2.
#[inline(always)]
fn sine<const FUSED: bool>(x: f64) -> f64 {
    const COSINE: [f64; 11] = [
        1.0,
        -0.5,
        1.0 / 24.0,
        -1.0 / 720.0,
        1.0 / 40_320.0,
        -1.0 / 3_628_800.0,
        1.0 / 479_001_600.0,
        -1.0 / 87_178_291_200.0,
        1.0 / 20_922_789_888_000.0,
        -1.0 / 6_402_373_705_728_000.0,
        1.0 / 2_432_902_008_176_640_000.0,
    ];
    const SINE: [f64; 9] = [
        1.0,
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5_040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 1_307_674_368_000.0,
        1.0 / 355_687_428_096_000.0,
    ];
    let near = x.min(PI - x);
    let t = near - FRAC_PI_2;
    let middle = poly::<FUSED, 11>(t * t, &COSINE);
    let end = near * poly::<FUSED, 9>(near * near, &SINE);
    if near < 0.8 { end } else { middle }
}

/// asin z, where u = (1 − z)/2 and v = (1 + z)/2 are known without cancellation.
#[inline(always)]
fn arcsine<const FUSED: bool>(z: f64, u: f64, v: f64) -> f64 {
    let square = z * z;
    let middle = square <= 0.5;
    let positive = z > 0.0;
    let edge = if positive { u } else { v };
    let m = if middle { square } else { edge.clamp(0.0, 0.5) };
    let p = poly::<FUSED, 19>(m, &ARCSINE);
    let end = FRAC_PI_2 - 2.0 * m.sqrt() * p;
    let end = if positive { end } else { -end };
    if middle { z * p } else { end }
}

/// Σ cᵢ zⁱ as even and odd parts, whose chains of operations run side by side.
#[inline(always)]
fn poly<const FUSED: bool, const N: usize>(z: f64, c: &[f64; N]) -> f64 {
    let square = z * z;
    let (mut even, mut odd) = (0.0_f64, 0.0_f64);
    let mut i = N;
    while i > 0 {
        i -= 1;
        let part = if i % 2 == 0 { &mut even } else { &mut odd };
        *part = if FUSED { part.mul_add(square, c[i]) } else { *part * square + c[i] };
    }
    if FUSED { odd.mul_add(z, even) } else { odd * z + even }
}

/// Gaps of covariances that are all there is, for variances of rows and of one column, with their roots: from determinants, which
/// fused multiplication leaves exact. A covariance beyond its product by rounding stays as it is.
pub(super) fn gaps(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(rows: (&[f64], &[f64]), column: (f64, f64), pairs: &mut Pairs<'_>) {
            determinants(rows, column, pairs);
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

/// What a rectified layer knows of rows, or of one column: variances, deviations and their inverses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deviations<V> {
    pub(super) variance: V,
    pub(super) root: V,
    pub(super) inverse: V,
}

/// The layer a min(z, 0) + b max(z, 0) on covariances that are all there is, without gaps to carry on.
pub(super) fn rectify(
    (a, b): (f64, f64),
    rows: Deviations<&[f64]>,
    column: Deviations<f64>,
    q: &mut [f64],
    theta: &mut [f64],
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(
            slopes: (f64, f64),
            rows: Deviations<&[f64]>,
            column: Deviations<f64>,
            q: &mut [f64],
            theta: &mut [f64],
        ) {
            rectified::<true>(slopes, rows, column, q, theta);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { fused((a, b), rows, column, q, theta) };
        }
    }
    rectified::<false>((a, b), rows, column, q, theta);
}

#[inline(always)]
fn rectified<const FUSED: bool>(
    (a, b): (f64, f64),
    rows: Deviations<&[f64]>,
    column: Deviations<f64>,
    q: &mut [f64],
    theta: &mut [f64],
) {
    let n = q.len();
    let (theta, variances) = (&mut theta[..n], &rows.variance[..n]);
    let (roots, inverses) = (&rows.root[..n], &rows.inverse[..n]);
    let both = a * b;
    let share = (a - b) * (a - b) * (0.5 * FRAC_1_PI);
    for i in 0..n {
        let product = roots[i] * column.root;
        let square = q[i] * q[i];
        let determinant =
            (variances[i].mul_add(column.variance, -square) - q[i].mul_add(q[i], -square)).max(0.0);
        let size = q[i].abs();
        // In range the small gap is the determinant over the large one.
        let exact = square > 1e-290 && square < 1e290;
        let gap = if exact { determinant / (product + size) } else { (product - size).max(0.0) };
        let half = 0.5 * (inverses[i] * column.inverse);
        let m = if product > 0.0 { (gap * half).min(0.5) } else { 0.5 };
        let r = m.sqrt();
        let (arcsine, of_bulge) = (poly::<FUSED, 19>(m, &ARCSINE), poly::<FUSED, 18>(m, &BULGE));
        let angle = 2.0 * r * arcsine;
        let bulge = r * m * of_bulge;
        let other = bulge + PI * (1.0 - 2.0 * m);
        let positive = q[i] >= 0.0;
        let (supplement, of_supplement) = if positive { (PI - angle, other) } else { (angle, bulge) };
        q[i] = both * q[i] + share * product * of_supplement;
        theta[i] *= both + share * supplement;
    }
}

/// Own angle asin(2p/(1+2p)), for variances of an error-function layer.
pub(super) fn own_arcsine(p: f64) -> f64 {
    let n = 1.0 + 2.0 * p;
    arcsine::<false>(2.0 * p / n, 0.5 / n, 1.0)
}

/// The power series Σ aⱼ bⱼ ρʲ of values and slopes for pairs of rows with one column. `values` and `slopes` hold coefficient
/// j of row i at `j * rows + i`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mehler<'a> {
    pub(super) rows: usize,
    pub(super) values: &'a [f64],
    pub(super) slopes: &'a [f64],
    pub(super) column: (&'a [f64], &'a [f64]),
}

pub(super) fn mehler(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
            sum::<true>(series, rho, value, slope);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { fused(series, rho, value, slope) };
        }
    }
    sum::<false>(series, rho, value, slope);
}

#[inline(always)]
fn sum<const FUSED: bool>(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
    let Mehler { rows, values, slopes, column } = series;
    let terms = column.0.len();
    const GROUP: usize = 16;
    let mut start = 0;
    while start < rows {
        let m = GROUP.min(rows - start);
        if m == GROUP {
            let mut r = [0.0_f64; GROUP];
            r.copy_from_slice(&rho[start..start + GROUP]);
            let (mut v, mut s) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
            for j in (0..terms).rev() {
                let (bv, bs) = (column.0[j], column.1[j]);
                let av = &values[j * rows + start..][..GROUP];
                let a_s = &slopes[j * rows + start..][..GROUP];
                for i in 0..GROUP {
                    let (pv, ps) = (av[i] * bv, a_s[i] * bs);
                    v[i] = if FUSED { v[i].mul_add(r[i], pv) } else { v[i] * r[i] + pv };
                    s[i] = if FUSED { s[i].mul_add(r[i], ps) } else { s[i] * r[i] + ps };
                }
            }
            value[start..start + GROUP].copy_from_slice(&v);
            slope[start..start + GROUP].copy_from_slice(&s);
        } else {
            for i in start..rows {
                let (mut v, mut s, r) = (0.0_f64, 0.0_f64, rho[i]);
                for j in (0..terms).rev() {
                    let (pv, ps) = (values[j * rows + i] * column.0[j], slopes[j * rows + i] * column.1[j]);
                    v = if FUSED { v.mul_add(r, pv) } else { v * r + pv };
                    s = if FUSED { s.mul_add(r, ps) } else { s * r + ps };
                }
                value[i] = v;
                slope[i] = s;
            }
        }
        start += m;
    }
}
