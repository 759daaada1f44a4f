//! Layers of error functions on pairs.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use kernels_core::{Simd, Vector, Work};

use super::{Pairs, arcsine, arcsines, load, poly, store};

/// What a layer a erf(bz) needs of variances alone: p = b²q, √p, n = 1 + 2p, √(1 + 4p), asin(2p/n) and its root, 1/√n.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct ErfRows {
    p: Vec<f64>,
    root: Vec<f64>,
    n: Vec<f64>,
    r: Vec<f64>,
    angle: Vec<f64>,
    root_angle: Vec<f64>,
    inverse: Vec<f64>,
}

impl ErfRows {
    pub(in super::super) fn new(b: f64, variances: &[f64]) -> Self {
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
            out.inverse.push(1.0 / (1.0 + 2.0 * p).sqrt());
        }
        out
    }

    /// 1/√(1 + 2p)
    pub(in super::super) fn inverses(&self) -> &[f64] {
        &self.inverse
    }

    pub(super) fn at(&self, i: usize) -> ErfAt {
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
pub(super) struct ErfAt {
    p: f64,
    root: f64,
    n: f64,
    r: f64,
    angle: f64,
    root_angle: f64,
}

/// The layer on pairs of rows, from `row` of theirs on, with one column.
#[inline(always)]
pub(super) fn layer<V: Vector<Scalar = f64>>(
    (a, b): (f64, f64),
    (rows, row): (&ErfRows, usize),
    column: ErfAt,
    pairs: &mut Pairs<'_>,
) {
    let n = pairs.len();
    let (q, gap, cogap) = (&mut pairs.q[..n], &mut pairs.gap[..n], &mut pairs.cogap[..n]);
    let (difference, theta) = (&mut pairs.difference[..n], &mut pairs.tangent[..n]);
    let outer = a * a * (2.0 * FRAC_1_PI);
    let slope = V::splat(2.0 * outer * b * b);
    let (square, outer) = (V::splat(b * b), V::splat(outer));
    let (p22, root2) = (V::splat(column.p), V::splat(column.root));
    let (n2, r2) = (V::splat(column.n), V::splat(column.r));
    let (second, root_angle2) = (V::splat(column.angle), V::splat(column.root_angle));
    let (zero, half, one) = (V::splat(0.0), V::splat(0.5), V::splat(1.0));
    let (two, four, tiny) = (V::splat(2.0), V::splat(4.0), V::splat(f64::MIN_POSITIVE));
    let mut i = 0;
    while i < n {
        let end = (i + V::LANES).min(n);
        // Beyond the end all is 0, and some quotients are NaN there.
        let (p11, n1) = (load::<V>(&rows.p[row + i..row + end]), load::<V>(&rows.n[row + i..row + end]));
        let (r1, first) =
            (load::<V>(&rows.r[row + i..row + end]), load::<V>(&rows.angle[row + i..row + end]));
        let norms = n1 * n2;
        let norm = norms.sqrt();
        let product = load::<V>(&rows.root[row + i..row + end]) * root2;
        let g = square * load::<V>(&gap[i..end]);
        let c = square * load::<V>(&cogap[i..end]);
        let p12 = square * load::<V>(&q[i..end]);
        let d = square * load::<V>(&difference[i..end]);
        let sum = one + two * (p11 + p22);
        let base = sum / (norm + two * product);
        let inverse = one / norm;
        let halved = half * inverse;
        let (u, v) = ((base + two * g) * halved, (base + two * c) * halved);
        let value = arcsine(two * p12 * inverse, u, v);
        let determinant = g * c;
        let root = (sum + four * determinant).sqrt();
        // tan(α − β) of the own angles, free of cancellation.
        let tan = two * d * (r1 * r2 + one) / ((r1 + r2) * (r1 * r2 + four * (p11 * p22)));
        let secant = (one + tan * tan).sqrt();
        let sine = tan / secant;
        let near = sine * arcsines((sine * sine).min(half));
        let delta = tan.abs().select_lt(V::splat(0.9), near, first - second);
        let mean = half * (first + second);
        let roots = load::<V>(&rows.root_angle[row + i..row + end]);
        let spread = delta / (roots + root_angle2).max(tiny);
        let own = half * (spread * spread);
        // sin((α+β)/2 − γ) sin((α+β)/2 + γ): a small factor comes from the larger one, where there is one.
        let (minus, plus) = (mean - value, mean + value);
        let (mut lower, mut upper) = (minus, plus);
        if !minus.min(plus).all_gt(V::splat(SMALL)) {
            let numerator = four * determinant / norms + tan * tan / (two * secant * (secant + one));
            lower = small_factor(minus, plus, numerator);
            upper = small_factor(plus, minus, numerator);
        }
        let lower = outer * (lower - own).max(zero);
        let upper = outer * (upper - own).max(zero);
        // The covariance that belongs to a small gap, see `settle`.
        let whole = outer * (roots * root_angle2);
        let close = half * whole;
        let new = upper.select_lt(close, upper - whole, outer * value);
        store(lower.select_lt(close, whole - lower, new), &mut q[i..end]);
        store(lower, &mut gap[i..end]);
        store(upper, &mut cogap[i..end]);
        store(outer * delta, &mut difference[i..end]);
        store(load::<V>(&theta[i..end]) * (slope / root), &mut theta[i..end]);
        i = end;
    }
}

/// Below this an angle is taken from its sine.
const SMALL: f64 = 0.4;

/// `rough` in [0, π] with sin(rough) sin(other) = numerator, by that where it is small.
#[inline(always)]
fn small_factor<V: Vector<Scalar = f64>>(rough: V, other: V, numerator: V) -> V {
    let ratio = (numerator / sine(other).max(V::splat(f64::MIN_POSITIVE))).min(V::splat(0.7));
    let exact = ratio * arcsines(ratio * ratio);
    let exact = V::splat(0.0).select_lt(other, exact, rough);
    rough.select_lt(V::splat(SMALL), exact, rough)
}

/// sin x for 0 ≤ x ≤ π, by the Taylor series around the middle: of the cosine of x − π/2.
#[inline(always)]
fn sine<V: Vector<Scalar = f64>>(x: V) -> V {
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
    let near = x.min(V::splat(PI) - x);
    let t = near - V::splat(FRAC_PI_2);
    let middle = poly!(t * t, COSINE; 10 8 6 4 2 0; 9 7 5 3 1);
    let end = near * poly!(near * near, SINE; 8 6 4 2 0; 7 5 3 1);
    near.select_lt(V::splat(0.8), end, middle)
}

/// Own angle asin(2p/(1+2p)), for variances of an error-function layer.
pub(in super::super) fn own_arcsine(p: f64) -> f64 {
    let n = 1.0 + 2.0 * p;
    let mut out = [0.0];
    f64::dispatch(OwnArcsine { z: 2.0 * p / n, u: 0.5 / n, out: &mut out });
    out[0]
}

struct OwnArcsine<'a> {
    z: f64,
    u: f64,
    out: &'a mut [f64],
}

impl Work<f64> for OwnArcsine<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        store(arcsine(V::splat(self.z), V::splat(self.u), V::splat(1.0)), self.out);
    }
}
