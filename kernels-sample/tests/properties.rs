//! Invariants, limits and statistics with fixed seeds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use kernels_core::{Describe, Exponential, Kernel, Linear, Points, Rbf, Rows};
use kernels_sample::{
    AggregatedTest, Bandwidth, BatchMethod, BatchSelection, Boundary, ClusterWeight, Compress,
    CompressedTest, DensityKernel, Dpp, Error, FlatMeanShift, Grid, IntegralMethod, Kde,
    KernelDensityIntegral, KernelThinning, MeanShift, ProjectedModes, SmoothProfile, TwoSampleTest, herd,
    improved_sheather_jones, linear_binning, mmd2_to_input, mmd2_weighted, random_sample, recombine,
    resample, simplex_weights, standard_thinning, support_points,
};
use nalgebra::DMatrix;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

#[path = "properties/quality.rs"]
mod quality;

#[path = "properties/selection.rs"]
mod selection;

#[path = "properties/densities.rs"]
mod densities;

fn normal(n: usize, d: usize, seed: u64) -> Rows<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..n * d).map(|_| StandardNormal.sample(&mut rng)).collect();
    Rows::from_row_major(values, n, d).unwrap()
}

fn moved(xs: &Rows<f64>, shift: f64, scale: f64) -> Rows<f64> {
    let values = xs.as_slice().iter().map(|x| scale * x + shift).collect();
    Rows::from_row_major(values, xs.len(), xs.dim()).unwrap()
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(24)
}

proptest! {
    #![proptest_config(cases())]

    /// Coresets are disjoint, of one size, and cover what is used.
    #[test]
    fn splits_are_partitions(n in 1_usize..400, m in 0_usize..5, d in 1_usize..4, seed in 0_u64..1000) {
        let m = m.min(n.ilog2() as usize);
        let xs = normal(n, d, seed);
        let split = KernelThinning::new(Rbf::new(1.0).unwrap()).seed(seed).split(&xs, m).unwrap();
        prop_assert_eq!(split.len(), 1 << m);
        let mut all: Vec<usize> = split.concat();
        prop_assert!(split.iter().all(|c| c.len() == n >> m));
        all.sort_unstable();
        prop_assert_eq!(all, (0..n >> m << m).collect::<Vec<_>>());
    }

    /// However points are cut into pieces, the stream gives the batch's bits.
    #[test]
    fn streams_equal_batches(n in 1_usize..1200, piece in 1_usize..500, m in 0_usize..4, seed in 0_u64..1000) {
        let m = m.min(n.ilog2() as usize);
        let xs = normal(n, 2, seed);
        let thinning = KernelThinning::new(Rbf::new(0.7).unwrap()).seed(seed);
        let mut stream = thinning.stream(n, m).unwrap();
        for values in xs.as_slice().chunks(2 * piece) {
            stream.push(&Rows::from_row_major(values.to_vec(), values.len() / 2, 2).unwrap()).unwrap();
        }
        prop_assert_eq!(stream.finish().unwrap(), thinning.split(&xs, m).unwrap());
    }

    /// Swaps never raise the MMD, and the split does not see the kernel's scale.
    #[test]
    fn swaps_descend(n in 16_usize..200, seed in 0_u64..1000) {
        let xs = normal(n, 2, seed);
        let kernel = Rbf::new(1.0).unwrap();
        let start = random_sample(n, n / 8, seed).unwrap();
        let thinning = KernelThinning::new(kernel.clone());
        let mut before = mmd2_to_input(&kernel, &xs, &start).unwrap();
        let mut coreset = start;
        for _ in 0..3 {
            coreset = thinning.refine(&xs, coreset).unwrap();
            let after = mmd2_to_input(&kernel, &xs, &coreset).unwrap();
            prop_assert!(after <= before + 1e-12);
            before = after;
        }
        let scaled = KernelThinning::new(4.0 * kernel).seed(seed).split(&xs, 2).unwrap();
        prop_assert_eq!(thinning.seed(seed).split(&xs, 2).unwrap(), scaled);
    }

    /// Recombination keeps all sums with few points.
    #[test]
    fn recombination(n in 1_usize..150, r in 1_usize..6, seed in 0_u64..1000) {
        let features = normal(n, r, seed).to_matrix();
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + (i % 3) as f64).collect();
        let (kept, w) = recombine(&features, &weights).unwrap();
        prop_assert!(kept.len() <= r + 1);
        prop_assert!(w.iter().all(|w| *w >= 0.0));
        let total: f64 = weights.iter().sum();
        prop_assert!((w.iter().sum::<f64>() - total).abs() < 1e-8 * total);
        for f in 0..r {
            let all: f64 = (0..n).map(|i| weights[i] * features[(i, f)]).sum();
            let few: f64 = kept.iter().zip(&w).map(|(&i, w)| w * features[(i, f)]).sum();
            prop_assert!((all - few).abs() < 1e-8 * total);
        }
    }

    /// Trees keep their tolerance whatever the kernel and the bandwidth.
    #[test]
    fn trees_keep_tolerances(n in 1_usize..600, d in 1_usize..4, h in -3.0_f64..2.0, k in 0_usize..9, seed in 0_u64..1000) {
        let xs = normal(n, d, seed);
        let at = normal(40, d, seed + 1);
        let model = Kde::new(DensityKernel::ALL[k]).bandwidth(Bandwidth::Scale(h.exp())).fit(&xs).unwrap();
        let direct = model.density(&at).unwrap();
        for (relative, absolute) in [(1e-3, 0.0), (0.0, 1e-4), (1e-8, 1e-10)] {
            let tree = model.density_by_tree(&at, relative, absolute).unwrap();
            // Distances from inner products at coordinates of up to 60 bandwidths: 1e-12 of the peak.
            let peak = direct.iter().copied().fold(1e-3, f64::max);
            for (t, f) in tree.iter().zip(&direct) {
                prop_assert!((t - f).abs() <= absolute + relative * f + 1e-11 * peak, "{t} {f}");
            }
        }
    }

    /// Integral transformations rise from 0 to 1 at every bandwidth, and the inverse undoes them.
    #[test]
    fn integrals_are_monotone(n in 2_usize..80, alpha in -13.8_f64..13.8, seed in 0_u64..1000) {
        let xs = normal(n, 1, seed);
        let mut sorted = xs.as_slice().to_vec();
        sorted.sort_by(f64::total_cmp);
        let sorted = Rows::from_row_major(sorted, n, 1).unwrap();
        for method in [IntegralMethod::Gaussian, IntegralMethod::PolynomialExponential(4)] {
            let model = KernelDensityIntegral::new().factor(alpha.exp()).method(method).fit(&xs).unwrap();
            let t = model.transform(&sorted).unwrap();
            prop_assert!(t.as_slice().iter().all(|t| t.is_finite()));
            prop_assert!(t.as_slice().windows(2).all(|w| w[1] >= w[0] - 1e-8));
            prop_assert!(t.point(0)[0].abs() < 1e-12 && (t.point(n - 1)[0] - 1.0).abs() < 1e-9);
        }
    }
}

/// Mean MMD over seeds against goodpoints' distribution, three standard errors of both allowed.
#[test]
fn quality_of_kernel_thinning() {
    let (d, n) = (2, 1024);
    let kernel = Rbf::new((2.0 * d as f64).sqrt()).unwrap();
    let (mut once, mut fixed, mut press, mut iid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for seed in 0..20 {
        let xs = normal(n, d, 1000 + seed);
        let mmd = |c: &[usize]| mmd2_to_input(&kernel, &xs, c).unwrap().sqrt();
        let thinning = KernelThinning::new(kernel.clone()).seed(seed);
        once.push(mmd(&thinning.thin(&xs, 5).unwrap()));
        fixed.push(mmd(&thinning.passes(usize::MAX).thin(&xs, 5).unwrap()));
        press.push(mmd(&Compress::new(kernel.clone())
            .oversampling(2)
            .passes(usize::MAX)
            .seed(seed)
            .thin(&xs)
            .unwrap()));
        iid.push(mmd(&standard_thinning(n, 32).unwrap()));
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    // One pass of swaps, as goodpoints makes: 0.0096 ± 0.0019 over 12 seeds of goodpoints 0.6.3 on such data (kt.thin_K, unique).
    let slack = |std: f64, reps: f64| 3.0 * std * (1.0 / 20.0 + 1.0 / reps).sqrt();
    assert!(mean(&once) <= 0.0096 + slack(0.0019, 12.0), "{}", mean(&once));
    // Swaps to the fixed point reach the lower figure of kt_quality.json.
    assert!(mean(&fixed) <= 0.006_864_1 + slack(0.001_285_6, 20.0), "{}", mean(&fixed));
    // An intermediate coreset of 128 points only: far from kernel thinning of all, far better than chance.
    assert!(mean(&press) < 0.4 * mean(&iid), "{} {}", mean(&press), mean(&iid));
    assert!(mean(&once) < 0.15 * mean(&iid), "{} {}", mean(&once), mean(&iid));
}

#[test]
fn rounds_beyond_a_chunk_stream_too() {
    let xs = normal(3000, 2, 5);
    let thinning = KernelThinning::new(Rbf::new(1.0).unwrap()).seed(9);
    let batch = thinning.split(&xs, 10).unwrap();
    assert_eq!(batch.len(), 1024);
    let mut all = batch.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2048);
    let mut stream = thinning.stream(3000, 10).unwrap();
    stream.push(&xs).unwrap();
    assert_eq!(stream.finish().unwrap(), batch);
}

#[test]
fn threads_do_not_change_bits() {
    let xs = normal(1500, 3, 4);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let kernel = Rbf::new(1.0).unwrap();
            let thin = KernelThinning::new(kernel.clone()).seed(1).thin(&xs, 5).unwrap();
            let press = Compress::new(kernel).oversampling(2).seed(1).thin(&xs).unwrap();
            let model = Kde::new(DensityKernel::Gaussian).fit(&xs).unwrap();
            let density = model.density(&xs).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            (thin, press, density, model.sample(50, 3).unwrap().as_slice().to_vec())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn hostile_inputs_are_errors() {
    let kernel = Rbf::new(1.0).unwrap();
    let none = Rows::from_row_major(Vec::new(), 0, 2).unwrap();
    let one = normal(1, 2, 0);
    let nan = Rows::from_row_major(vec![0.0, f64::NAN], 2, 1).unwrap();
    let same = Rows::from_row_major(vec![3.0; 64], 64, 1).unwrap();
    let thinning = KernelThinning::new(kernel.clone());
    assert!(thinning.thin(&none, 0).is_err());
    assert!(thinning.thin(&nan, 0).is_err());
    assert!(matches!(thinning.thin(&one, 1), Err(Error::Count { .. })));
    assert_eq!(thinning.thin(&one, 0).unwrap(), [0]);
    assert!(thinning.clone().delta(0.0).thin(&one, 0).is_err());
    // Equal points: any half is perfect.
    let coreset = thinning.thin(&same, 3).unwrap();
    assert!(mmd2_to_input(&kernel, &same, &coreset).unwrap().abs() < 1e-14);
    assert_eq!(Compress::new(kernel.clone()).thin(&one).unwrap(), [0]);
    assert!(Compress::new(kernel.clone()).thin(&none).is_err());
    assert!(herd(&kernel, &one, 2, true).is_err());
    assert_eq!(herd(&kernel, &one, 2, false).unwrap(), [0, 0]);
    assert!(Kde::new(DensityKernel::Gaussian).fit(&same).is_err());
    assert!(Kde::new(DensityKernel::Gaussian).fit(&none).is_err());
    assert!(Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Scale(f64::NAN)).fit(&one).is_err());
    assert!(improved_sheather_jones(&[1.0, 1.0, 1.0], 4096).is_err());
    assert!(MeanShift::new(DensityKernel::Box, 1.0).fit(&one).is_err());
    assert!(FlatMeanShift::new(0.0).fit(&one).is_err());
    assert!(TwoSampleTest::new(kernel.clone()).test(&one, &none).is_err());
    assert!(resample(&[0.0, 0.0], 2, 0).is_err());
    assert!(recombine(&DMatrix::zeros(2, 1), &[1.0, -1.0]).is_err());
    assert!(support_points(&none, 1, 1, 0).is_err());
    assert!(linear_binning(&one, None, &[(0.0, 1.0, 5)]).is_err());
    assert!(
        Grid::new(vec![(1.0, 0.0, 5)])
            .density(DensityKernel::Gaussian, &[1.0], &normal(3, 1, 0), None)
            .is_err()
    );
    assert!(Dpp::from_matrix(&DMatrix::from_row_slice(1, 1, &[-1.0])).is_err());
    assert!(BatchSelection::new(kernel, BatchMethod::MaxDet).select(&one, &none, 2).is_err());
}

#[test]
fn resampling_is_unbiased() {
    let w = [0.37, 0.03, 0.25, 0.35];
    let (draws, size) = (4000, 7);
    let mut counts = [0.0; 4];
    for seed in 0..draws {
        let all = resample(&w, size, seed).unwrap();
        assert_eq!(all.len(), size);
        all.iter().for_each(|&i| counts[i] += 1.0);
    }
    for (count, w) in counts.iter().zip(w) {
        // Copies of a point differ by at most one: a Bernoulli variance, 5 sigma.
        let mean = count / draws as f64;
        assert!((mean - 7.0 * w).abs() < 5.0 * (0.25 / draws as f64).sqrt(), "{mean} {}", 7.0 * w);
    }
}

#[test]
fn simplex_weights_improve() {
    let xs = normal(300, 2, 8);
    let kernel = Rbf::new(1.0).unwrap();
    let indices = random_sample(300, 15, 2).unwrap();
    let equal = mmd2_to_input(&kernel, &xs, &indices).unwrap();
    let w = simplex_weights(&kernel, &xs, &indices, 500).unwrap();
    assert!(w.iter().all(|w| *w >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(mmd2_weighted(&kernel, &xs, &indices, &w).unwrap() < 0.5 * equal);
}

/// Type I errors within 5 sigma of the nominal level, and power against a shift.
#[test]
fn levels_of_tests() {
    let kernel = Rbf::new(1.0).unwrap();
    let runs = 200;
    let level = 0.1;
    let mut rejected = [0.0; 3];
    let mut found = [0.0; 3];
    for seed in 0..runs {
        let (xs, ys) = (normal(30, 2, 2 * seed), normal(30, 2, 2 * seed + 1));
        for (ys, counts) in [(ys.clone(), &mut rejected), (moved(&ys, 1.2, 1.0), &mut found)] {
            let full = TwoSampleTest::new(kernel.clone()).permutations(99).seed(seed).test(&xs, &ys).unwrap();
            counts[0] += f64::from(u8::from(full.p_value <= level));
            let pressed = CompressedTest::new(kernel.clone()).bins(10).seed(seed).test(&xs, &ys).unwrap();
            counts[1] += f64::from(u8::from(pressed.p_value <= level));
            let kernels = vec![Rbf::new(0.3).unwrap(), kernel.clone(), Rbf::new(3.0).unwrap()];
            let all = AggregatedTest::new(kernels)
                .level(level)
                .permutations(99, 99)
                .seed(seed)
                .test(&xs, &ys)
                .unwrap();
            counts[2] += f64::from(u8::from(all.rejected));
        }
    }
    let sigma = (level * (1.0 - level) / runs as f64).sqrt();
    for (r, f) in rejected.iter().zip(&found) {
        assert!(r / runs as f64 <= level + 5.0 * sigma, "{rejected:?}");
        assert!(*f > 0.8 * runs as f64, "{found:?}");
    }
}

#[test]
fn densities_integrate_to_one() {
    for kernel in DensityKernel::ALL {
        let xs = normal(50, 1, 3);
        let at: Vec<f64> = (0..200_001).map(|i| -40.0 + 80.0 * f64::from(i) / 200_000.0).collect();
        let at = Rows::from_row_major(at, 200_001, 1).unwrap();
        for adaptive in [false, true] {
            let model =
                Kde::new(kernel).bandwidth(Bandwidth::Scale(0.5)).adaptive(adaptive).fit(&xs).unwrap();
            // Adaptive densities of a compact kernel meet −∞ nowhere: every point lies in its own support.
            let sum: f64 = if adaptive {
                let coarse =
                    Rows::from_row_major(at.as_slice().iter().step_by(20).copied().collect(), 10_001, 1)
                        .unwrap();
                model.density(&coarse).unwrap().iter().sum::<f64>() * 80.0 / 10_000.0
            } else {
                model.density(&at).unwrap().iter().sum::<f64>() * 80.0 / 200_000.0
            };
            assert!(
                (sum - 1.0).abs() < 2e-2 / if adaptive { 1.0 } else { 20.0 },
                "{kernel:?} {adaptive}: {sum}"
            );
        }
    }
    // With ends: nothing leaks.
    let xs = moved(&normal(80, 1, 3), 0.0, 1.0);
    let xs = Rows::from_row_major(xs.as_slice().iter().map(|x| x.abs()).collect(), 80, 1).unwrap();
    let ends = Boundary::Reflect(vec![(0.0, f64::INFINITY)]);
    let model =
        Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Scale(0.4)).boundary(ends).fit(&xs).unwrap();
    let at: Vec<f64> = (0..20_000).map(|i| (f64::from(i) + 0.5) / 1000.0 - 2.0).collect();
    let f = model.density(&Rows::from_row_major(at, 20_000, 1).unwrap()).unwrap();
    assert!((f.iter().sum::<f64>() / 1000.0 - 1.0).abs() < 1e-5);
    assert!(model.sample(500, 1).unwrap().as_slice().iter().all(|x| *x >= 0.0));
    let mass = model.cumulative(&[-1.0, 1e3]).unwrap();
    assert!(mass[0] == 0.0 && (mass[1] - 1.0).abs() < 1e-12);
}

/// Gradients against central differences, and samples against the density's first moments.
#[test]
fn gradients_and_samples() {
    let xs = normal(40, 2, 6);
    for kernel in [DensityKernel::Gaussian, DensityKernel::Biweight, DensityKernel::Cosine] {
        let model = Kde::new(kernel).bandwidth(Bandwidth::Scale(1.3)).fit(&xs).unwrap();
        let at = normal(5, 2, 7);
        let gradient = model.gradient(&at).unwrap();
        let e = 1e-5;
        for j in 0..2 {
            let shifted = |s: f64| {
                let mut values = at.as_slice().to_vec();
                values.iter_mut().skip(j).step_by(2).for_each(|x| *x += s);
                model.density(&Rows::from_row_major(values, 5, 2).unwrap()).unwrap()
            };
            let (up, down) = (shifted(e), shifted(-e));
            for i in 0..5 {
                let difference = (up[i] - down[i]) / (2.0 * e);
                assert!((difference - gradient[(i, j)]).abs() < 1e-7, "{kernel:?}");
            }
        }
        let drawn = model.sample(20_000, 2).unwrap().to_matrix();
        let center = xs.to_matrix().row_mean();
        for j in 0..2 {
            let sigma = drawn.column(j).variance().sqrt();
            assert!((drawn.column(j).mean() - center[j]).abs() < 5.0 * sigma / 20_000.0_f64.sqrt());
        }
    }
}

/// Limits of the integral transformation: min-max scaling and ranks.
#[test]
fn limits_of_the_integral_transformation() {
    let xs = Rows::from_row_major(vec![0.0, 1.0, 3.0, 10.0, 4.0], 5, 1).unwrap();
    let at =
        |factor: f64| KernelDensityIntegral::new().factor(factor).fit(&xs).unwrap().transform(&xs).unwrap();
    for (t, x) in at(1e4).as_slice().iter().zip(xs.as_slice()) {
        assert!((t - x / 10.0).abs() < 1e-3);
    }
    for (t, rank) in at(1e-5).as_slice().iter().zip([0.0, 0.25, 0.5, 1.0, 0.75]) {
        assert!((t - rank).abs() < 1e-6);
    }
}

#[test]
fn equivariance() {
    let xs = normal(100, 2, 9);
    let far = moved(&xs, 1e3, 1e-3);
    let density = |xs: &Rows<f64>| Kde::new(DensityKernel::Gaussian).fit(xs).unwrap().density(xs).unwrap();
    for (a, b) in density(&xs).iter().zip(density(&far)) {
        // Area scales by 10⁻⁶; differences from 10³ carry 13 digits, squared into the exponent.
        assert!((b * 1e-6 / a - 1.0).abs() < 1e-7);
    }
    let modes = MeanShift::new(DensityKernel::Gaussian, 0.8).fit(&xs).unwrap();
    let scaled = MeanShift::new(DensityKernel::Gaussian, 1.6).fit(&moved(&xs, 5.0, 2.0)).unwrap();
    assert_eq!(modes.labels, scaled.labels);
    let tree = MeanShift::new(DensityKernel::Gaussian, 0.3).tree(&xs, &[0.3, 0.6, 1.2, 5.0]).unwrap();
    let counts: Vec<usize> = tree.levels.iter().map(|l| l.modes.len()).collect();
    assert!(counts.windows(2).all(|w| w[1] <= w[0]), "{counts:?}");
    assert_eq!(counts[3], 1);
}

#[test]
fn projections_certify() {
    let xs = normal(60, 25, 10);
    for profile in [SmoothProfile::Gaussian, SmoothProfile::RationalQuadratic, SmoothProfile::Logistic] {
        let found = ProjectedModes::new(profile, 4.0).dimension(6).seed(1).find(&xs).unwrap();
        assert!(found.value >= found.certificate * (1.0 - 1e-12) && found.distortion >= 1.0);
        let bound = ProjectedModes::new(profile, 4.0).epsilon(0.2);
        assert!(bound.dimension_bound(1_000_000).unwrap() > bound.dimension_bound(1000).unwrap());
    }
}

/// Selections do not see the kernel's scale; one cluster makes LCMD the farthest point; nothing comes twice.
#[test]
fn invariances_of_batches() {
    let (pool, train) = (normal(60, 3, 1), normal(5, 3, 2));
    let none = Rows::from_row_major(Vec::new(), 0, 3).unwrap();
    let kernel = Exponential::new(1.5).unwrap();
    for method in [
        BatchMethod::Random,
        BatchMethod::MaxDiag,
        BatchMethod::MaxDet,
        BatchMethod::Bait,
        BatchMethod::BaitForwardBackward,
        BatchMethod::FrankWolfe,
        BatchMethod::MaxDist,
        BatchMethod::KMeansPlusPlus,
        BatchMethod::LargestCluster(ClusterWeight::SquaredDistance),
    ] {
        for with in [false, true] {
            let select = |kernel: Box<dyn Kernel<Rows<f64>>>, noise: f64| {
                BatchSelection::new(kernel, method)
                    .noise(noise)
                    .with_train(with)
                    .seed(3)
                    .select(&pool, &train, 12)
                    .unwrap()
            };
            let got = select(Box::new(kernel.clone()), 0.01);
            let mut distinct = got.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 12, "{method:?}");
            assert_eq!(got, select(Box::new(4.0 * kernel.clone()), 0.04), "{method:?}");
        }
        let p = BatchSelection::new(kernel.clone(), method).seed(1).select(&pool, &none, 5).unwrap();
        let tp = BatchSelection::new(kernel.clone(), method)
            .seed(1)
            .with_train(true)
            .select(&pool, &none, 5)
            .unwrap();
        assert_eq!(p, tp, "{method:?}");
    }
    // No point is left that differs from the selected ones.
    let same = Rows::from_row_major(vec![1.0; 5], 5, 1).unwrap();
    let empty = Rows::from_row_major(Vec::new(), 0, 1).unwrap();
    let linear = Linear::new(0.0).unwrap();
    assert_eq!(linear.params().len(), 1);
    let got = BatchSelection::new(linear, BatchMethod::MaxDist).select(&same, &empty, 3).unwrap();
    assert_eq!(got, [0]);
}
