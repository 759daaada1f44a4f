//! The engine's promises: accuracy against exact arithmetic, and bits that do not depend on threads or tiles.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use kernels_core::{
    Cauchy, Exponential, InverseMultiquadric, Kernel, LazyCross, LazyGram, Matern, Operator, Points,
    RandomFourier, RationalQuadratic, Rbf, Real, Rows, cross_gram, features, gram, gram_gradient,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

/// A number as an unevaluated sum of two, for references beyond f64.
#[derive(Clone, Copy)]
struct Double(f64, f64);

impl Double {
    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }
    fn add(self, other: Self) -> Self {
        let s = Self::sum(self.0, other.0);
        Self::sum(s.0, s.1 + self.1 + other.1)
    }
    fn mul(self, other: Self) -> Self {
        let p = self.0 * other.0;
        let error = self.0.mul_add(other.0, -p);
        Self::sum(p, error + self.0 * other.1 + self.1 * other.0)
    }
    fn div(self, by: f64) -> Self {
        let q = self.0 / by;
        let rest = (-q).mul_add(by, self.0) + self.1;
        Self::sum(q, rest / by)
    }
    fn sqrt(self) -> Self {
        if self.0 == 0.0 {
            return Self(0.0, 0.0);
        }
        let r = self.0.sqrt();
        let rest = (-r).mul_add(r, self.0) + self.1;
        Self::sum(r, rest / (2.0 * r))
    }
    /// e to the power of minus this, from the parts.
    fn exp_neg(self) -> f64 {
        libm::exp(-self.0) * (1.0 - self.1)
    }
}

/// Σ ((xᵢ − yᵢ)/ℓᵢ)² with twice the digits.
fn squared_distance<T: Real>(x: &[T], y: &[T], lengths: &[f64]) -> Double {
    let terms = x.iter().zip(y).enumerate();
    terms.fold(Double(0.0, 0.0), |sum, (k, (a, b))| {
        let d = Double::sum(a.to_f64(), -b.to_f64());
        let l = lengths[k.min(lengths.len() - 1)];
        // (d/ℓ)² = d²/ℓ/ℓ
        sum.add(d.mul(d).div(l).div(l))
    })
}

/// Reference value of kernel `which` at s, and the factor by which a relative error of the scaled inputs grows.
fn reference(which: usize, s: Double) -> (f64, f64) {
    let r = s.sqrt();
    let z = |nu: f64| Double(2.0 * nu, 0.0).mul(s).sqrt();
    match which {
        0 => (s.div(2.0).exp_neg(), s.0),
        1 | 2 => (r.exp_neg(), r.0),
        3 => {
            let z = z(1.5);
            ((1.0 + z.0 + z.1) * z.exp_neg(), z.0)
        }
        4 => {
            let z = z(2.5);
            let square = z.mul(z).div(3.0);
            ((1.0 + z.0 + square.0) * z.exp_neg(), z.0)
        }
        5 => (libm::exp(-1.5 * libm::log1p(s.0 / 3.0)), 2.0),
        6 => (1.0 / (1.0 + s.0), 1.0),
        _ => (1.0 / (1.0 + s.0).sqrt(), 1.0),
    }
}

fn kernel<T: Real>(which: usize, lengths: &[f64]) -> Box<dyn Kernel<Rows<T>>> {
    let l = || if lengths.len() == 1 { lengths[0].into() } else { kernels_core::LengthScale::from(lengths) };
    match which {
        0 => Box::new(Rbf::new(l()).unwrap()),
        1 => Box::new(Matern::new(0.5, l()).unwrap()),
        2 => Box::new(Exponential::new(l()).unwrap()),
        3 => Box::new(Matern::new(1.5, l()).unwrap()),
        4 => Box::new(Matern::new(2.5, l()).unwrap()),
        5 => Box::new(RationalQuadratic::new(1.5, l()).unwrap()),
        6 => Box::new(Cauchy::new(l()).unwrap()),
        _ => Box::new(InverseMultiquadric::new(1.0, 0.5).unwrap()),
    }
}

/// Largest error of all entries, in units of what is promised. Relative errors are promised to `tolerance` (10⁻¹³, 10⁻⁵) as long as
/// the inputs' own rounding allows: scaling a coordinate moves it by ε, which changes e^(−s/2) by sε; 8 such roundings are
/// allowed. What underflows is compared absolutely.
fn worst<T: Real>(which: usize, lengths: &[f64], xs: &Rows<T>, tolerance: f64) -> (f64, String) {
    let kernel = kernel::<T>(which, lengths);
    let unscaled = [1.0];
    let lengths = if which == 7 { &unscaled } else { lengths };
    let (within, between) = (gram(&kernel, xs).unwrap(), cross_gram(&kernel, xs, &xs.clone()).unwrap());
    let mut worst = (0.0, String::new());
    for j in 0..xs.len() {
        for i in 0..xs.len() {
            let s = squared_distance(xs.point(i), xs.point(j), lengths);
            let (expected, growth) = reference(which, s);
            let allowed = expected * tolerance.max(8.0 * T::EPSILON.to_f64() * growth)
                + if size_of::<T>() == 8 { 1e-305 } else { 1e-36 };
            let pair = kernel.eval(xs.point(i), xs.point(j));
            for (source, got) in [("gram", within[(i, j)]), ("cross_gram", between[(i, j)]), ("eval", pair)] {
                let error = (got.to_f64() - expected).abs() / allowed;
                if error > worst.0 || error.is_nan() {
                    let s = s.0;
                    worst = (
                        error,
                        format!("{source}[{i}, {j}] = {:e}, expected {expected:e}, s = {s:e}", got.to_f64()),
                    );
                }
            }
        }
    }
    worst
}

/// Points of spread 1 at an offset, some of them near others, as `f` rounds them.
fn points(n: usize, dim: usize, offset: f64, near: &[f64], values: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = values.iter().cycle().take(n * dim).map(|v| v + offset).collect();
    for (k, gap) in near.iter().enumerate().take(n / 2) {
        for c in 0..dim {
            // A neighbour of row k at distance about `gap`, in a direction of its own.
            all[(n - 1 - k) * dim + c] = all[k * dim + c] + gap * (0.3 + values[(7 * k + c) % values.len()]);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every entry of a stationary kernel within 1e-13 (f64) and 1e-5 (f32), near-coincident points and data far from the origin
    /// included, below and above the dimension from which distances are expanded.
    #[test]
    fn entries_are_accurate(
        which in 0_usize..8,
        dim in prop::sample::select(vec![1_usize, 2, 3, 8, 15, 16, 17, 50, 200]),
        offset in prop::sample::select(vec![0.0, 1.0, 1e3, 1e6]),
        near in prop::collection::vec((-12.0_f64..-3.0).prop_map(|e| 10.0_f64.powf(e)), 6),
        values in prop::collection::vec(-0.5_f64..0.5, 211),
        ard in any::<bool>(),
        length in 0.3_f64..3.0,
    ) {
        let n = 14;
        let data = points(n, dim, offset, &near, &values);
        let base = length * (dim as f64).sqrt();
        let lengths: Vec<f64> =
            if ard { (0..dim).map(|k| base * (0.5 + values[k % 200].abs())).collect() } else { vec![base] };
        let doubles = Rows::from_row_major(data.clone(), n, dim).unwrap();
        let (error, place) = worst(which, &lengths, &doubles, 1e-13);
        prop_assert!(error <= 1.0, "f64, {error} times the tolerance: {place}");
        let singles = Rows::from_row_major(data.iter().map(|v| *v as f32).collect(), n, dim).unwrap();
        let (error, place) = worst(which, &lengths, &singles, 1e-5);
        prop_assert!(error <= 1.0, "f32, {error} times the tolerance: {place}");
    }

    /// Length scales short against the data: distances beyond what expansion can give, most values 0.
    #[test]
    fn short_length_scales_are_accurate(
        which in 0_usize..7,
        dim in prop::sample::select(vec![16_usize, 50]),
        near in prop::collection::vec((-6.0_f64..-1.0).prop_map(|e| 10.0_f64.powf(e)), 6),
        values in prop::collection::vec(-0.5_f64..0.5, 211),
        length in 0.005_f64..0.3,
    ) {
        let xs = Rows::from_row_major(points(14, dim, 0.0, &near, &values), 14, dim).unwrap();
        let (error, place) = worst(which, &[length], &xs, 1e-13);
        prop_assert!(error <= 1.0, "{error} times the tolerance: {place}");
    }
}

fn sequence(n: usize, dim: usize) -> Rows<f64> {
    let value = |k: usize| (k as f64 * 0.618_033_988_749_894_9).fract() - 0.5;
    Rows::from_row_major((0..n * dim).map(value).collect(), n, dim).unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[cfg(feature = "rayon")]
#[test]
fn bits_do_not_depend_on_threads() {
    let all = |n: usize, dim: usize| {
        let xs = sequence(n, dim);
        let kernel = Matern::new(1.5, vec![0.7; dim]).unwrap();
        let k = gram(&kernel, &xs).unwrap();
        let v = DMatrix::from_fn(n, 2, |i, j| ((i + j) as f64).sin());
        let mut out = bits(k.as_slice());
        out.extend(bits(cross_gram(&kernel, &xs, &sequence(77, dim)).unwrap().as_slice()));
        out.extend(bits(&gram_gradient(&kernel, &xs, k.as_view()).unwrap()));
        // With room for symmetric products, and without.
        for budget in [64 << 20, 70_000] {
            let mut product = DMatrix::zeros(n, 2);
            LazyGram::new(&kernel, &xs, budget).unwrap().apply(v.as_view(), product.as_view_mut()).unwrap();
            out.extend(bits(product.as_slice()));
        }
        let mut product = DMatrix::zeros(n, 2);
        kernels_core::Dense::new(k).unwrap().apply(v.as_view(), product.as_view_mut()).unwrap();
        out.extend(bits(product.as_slice()));
        let map = RandomFourier::new(&Rbf::new(1.0).unwrap(), dim, 20, 1).unwrap();
        out.extend(bits(features(&map, &xs).unwrap().as_slice()));
        out
    };
    for (n, dim) in [(1, 1), (513, 3), (1025, 20)] {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| all(n, dim))
        };
        let one = with(1);
        for threads in [2, 3] {
            assert!(one == with(threads), "n = {n}, {threads} threads");
        }
    }
}

#[test]
fn borders_of_tiles() {
    for n in [0, 1, 15, 16, 17, 255, 257, 511, 512, 513, 514] {
        for dim in [0, 1, 20] {
            let (xs, kernel) = (sequence(n, dim), Rbf::new(0.9).unwrap());
            let k = gram(&kernel, &xs).unwrap();
            for (i, j) in [(0, 0), (n / 2, n / 3), (n.saturating_sub(1), 0)]
                .into_iter()
                .filter(|(i, j)| *i < n && *j < n)
            {
                let pair = kernel.eval(xs.point(i), xs.point(j));
                assert!((k[(i, j)] - pair).abs() < 1e-14, "n = {n}, d = {dim}: {} and {pair}", k[(i, j)]);
                assert_eq!(k[(i, j)].to_bits(), k[(j, i)].to_bits());
            }
            // Products with the lazy and the stored matrix; sums of n terms below 1 in two orders.
            let v = DMatrix::from_fn(n, 1, |i, _| (i as f64).cos());
            let (mut lazy, mut cross) = (DMatrix::zeros(n, 1), DMatrix::zeros(n, 1));
            LazyGram::new(&kernel, &xs, 8 << 20).unwrap().apply(v.as_view(), lazy.as_view_mut()).unwrap();
            LazyCross::new(&kernel, &xs, &xs, 8 << 20)
                .unwrap()
                .apply(v.as_view(), cross.as_view_mut())
                .unwrap();
            let expected = &k * &v;
            let tolerance = 1e-15 * (n * n + 1) as f64;
            assert!((lazy - &expected).amax() <= tolerance && (cross - &expected).amax() <= tolerance);
        }
    }
}

/// A prediction does not depend on the rows it is asked with.
#[test]
fn rows_of_a_cross_product_are_independent() {
    let (xs, ys) = (sequence(300, 20), sequence(123, 20));
    let kernel = Matern::new(2.5, 1.0).unwrap();
    let v = DMatrix::from_fn(123, 1, |i, _| (i as f64).sin());
    let product = |xs: &Rows<f64>| {
        let mut out = DMatrix::zeros(xs.len(), 1);
        LazyCross::new(&kernel, xs, &ys, 8 << 20).unwrap().apply(v.as_view(), out.as_view_mut()).unwrap();
        out
    };
    let whole = product(&xs);
    for i in [0, 15, 16, 255, 256, 299] {
        assert_eq!(product(&xs.subset(&[i]).unwrap())[(0, 0)].to_bits(), whole[(i, 0)].to_bits());
    }
}

#[test]
fn clusters_far_apart_and_points_all_equal() {
    // Within a cluster, distances are 10⁻¹² of the squared norms: expansion alone has no digit of them.
    let mut data = sequence(40, 20).as_slice().to_vec();
    data.chunks_exact_mut(20).skip(20).for_each(|row| row.iter_mut().for_each(|x| *x += 1e6));
    let xs = Rows::from_row_major(data, 40, 20).unwrap();
    for which in 0..7 {
        let (error, place) = worst(which, &[4.0], &xs, 1e-13);
        assert!(error <= 1.0, "{which}: {error} times the tolerance: {place}");
    }
    let same = Rows::from_row_major(vec![0.1; 40 * 20], 40, 20).unwrap();
    assert!(gram(&Exponential::new(1e-3).unwrap(), &same).unwrap().iter().all(|k| *k == 1.0));
}

#[test]
fn what_is_not_a_number_stays_so() {
    for dim in [2, 20] {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut data = sequence(20, dim).as_slice().to_vec();
            data[7 * dim] = bad;
            let xs = Rows::from_row_major(data, 20, dim).unwrap();
            for which in 0..8 {
                let k = gram(&kernel(which, &[1.0]), &xs).unwrap();
                assert!(k[(7, 7)].is_nan(), "kernel {which}, d = {dim}: {bad} with itself is {}", k[(7, 7)]);
                if bad.is_nan() {
                    assert!(k[(7, 3)].is_nan() && k[(3, 7)].is_nan());
                }
                assert!(k[(3, 4)].is_finite());
            }
        }
    }
}

#[test]
fn products_through_a_cross_matrix() {
    use kernels_core::{LazyCross, Rbf, cross_gram};
    let points = |n: usize, s: f64| Rows::new(&DMatrix::from_fn(n, 3, |i, j| ((i * 3 + j) as f64 * s).sin()));
    let kernel = Rbf::new(0.7).unwrap();
    for (n, m, t) in [(700, 130, 1), (300, 40, 7), (0, 3, 2), (5, 0, 2), (1, 1, 1)] {
        let (xs, ys) = (points(n, 0.37), points(m, 0.61));
        let k = cross_gram(&kernel, &xs, &ys).unwrap();
        let v = DMatrix::from_fn(m, t, |i, j| ((i + 2 * j) as f64).cos());
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + (i % 5) as f64).collect();
        let run = || {
            let mut out = DMatrix::from_element(m, t, 9.0);
            LazyCross::new(&kernel, &xs, &ys, 1 << 20)
                .unwrap()
                .apply_through(v.as_view(), out.as_view_mut(), |rows, mut u| {
                    for mut column in u.column_iter_mut() {
                        column.iter_mut().zip(&weights[rows.clone()]).for_each(|(u, w)| *u = *u * w - 1.0);
                    }
                })
                .unwrap();
            out
        };
        let mut u = &k * &v;
        for mut column in u.column_iter_mut() {
            column.iter_mut().zip(&weights).for_each(|(u, w)| *u = *u * w - 1.0);
        }
        let expected = k.transpose() * u;
        let out = run();
        // Sums of n m products of numbers of order 5.
        assert!((&out - &expected).amax() <= 1e-12 * (1.0 + expected.amax()), "{n} x {m}, {t}");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(run), out, "{threads} threads");
        }
    }
}

/// A single column takes a path of its own, few and many features are packed apart, and rows meet columns in groups: the same bits.
#[test]
fn single_columns_have_the_bits_of_the_whole() {
    fn compare<K: Kernel<Rows<f64>>>(kernel: &K, d: usize, n: usize) {
        let values = (0..n * d).map(|i| ((i * i % 977) as f64 * 0.618).fract() * 4.0 - 2.0).collect();
        let xs = Rows::from_row_major(values, n, d).unwrap();
        let whole = cross_gram(kernel, &xs, &xs).unwrap();
        for j in [0, 7, n - 1] {
            let at = kernels_core::Block::between(&xs, 0..n, &xs, j..j + 1).unwrap();
            let mut column = DMatrix::zeros(n, 1);
            kernel.block(&at, column.as_view_mut(), &mut kernels_core::Workspace::new());
            assert_eq!(column.as_slice(), whole.column(j).as_slice(), "d = {d}, column {j}");
        }
    }
    for (d, n) in [(1, 33), (3, 200), (15, 65), (16, 65), (40, 130), (300, 150)] {
        compare(&Rbf::new(1.5).unwrap(), d, n);
        compare(&Exponential::new(1.5).unwrap(), d, n);
        compare(&kernels_core::Linear::new(0.5).unwrap(), d, n);
        compare(&kernels_core::Laplacian::new(2.0).unwrap(), d, n);
    }
}
