//! Selection: chains, clusters, features, classes.

use kernels_core::{Linear, Points, Rbf, Rows};
use kernels_sample::{
    BatchFeatures, BatchMethod, BatchSelection, ClusterRounds, ClusterWeight, Dpp, DppChain, TargetCriterion,
    TargetVariance, farthest_classes, gradient_clusters, greedy_map, k_means, k_medoids,
    log_determinant_distance, on_sphere, open_set_coreset,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

use super::{cases, normal};

/// Ends of independent chains against exact inclusion probabilities, 5 sigma.
#[test]
fn chains_reach_the_process() {
    let xs = normal(8, 2, 12);
    let kernel = 2.0 * Rbf::new(0.8).unwrap();
    let dpp = Dpp::from_matrix(&kernels_core::gram(&kernel, &xs).unwrap()).unwrap();
    let draws = 2500;
    let mut hits = vec![0.0; 8];
    for seed in 0..draws {
        let mut chain = DppChain::new(&kernel, &xs, &[], seed).unwrap();
        chain.advance(120);
        chain.set().iter().for_each(|&i| hits[i] += 1.0);
    }
    for (hit, p) in hits.iter().zip(dpp.marginals()) {
        let sigma = (p * (1.0 - p) / draws as f64).sqrt();
        // The chain's distance from its law after 15 steps an item is well below a sigma.
        assert!((hit / draws as f64 - p).abs() < 5.5 * sigma, "{hits:?} {:?}", dpp.marginals());
    }
    // Sets of one size against exact k-DPP draws.
    let (mut chains, mut exact) = (vec![0.0; 8], vec![0.0; 8]);
    for seed in 0..draws {
        let mut chain = DppChain::new(&kernel, &xs, &[0, 3, 5], seed).unwrap().fixed_size(true);
        chain.advance(120);
        assert_eq!(chain.set().len(), 3);
        chain.set().iter().for_each(|&i| chains[i] += 1.0);
        dpp.sample_k(3, seed).unwrap().iter().for_each(|&i| exact[i] += 1.0);
    }
    for (a, b) in chains.iter().zip(&exact) {
        assert!((a - b) / (2.0 * draws as f64 * 0.25).sqrt() < 5.5, "{chains:?} {exact:?}");
    }
}

proptest! {
    #![proptest_config(cases())]

    /// The factor that a chain carries stays that of its set.
    #[test]
    fn chains_keep_their_factor(n in 2_usize..30, steps in 0_usize..400, fixed in any::<bool>(), seed in 0_u64..1000) {
        let xs = normal(n, 2, seed);
        let kernel = 3.0 * Rbf::new(0.5).unwrap();
        let mut chain = DppChain::new(&kernel, &xs, &[0, n - 1], seed).unwrap().fixed_size(fixed);
        chain.advance(steps);
        let set = chain.set();
        let l = kernels_core::gram(&kernel, &xs.subset(&set).unwrap()).unwrap();
        let direct: f64 = if set.is_empty() { 0.0 } else { l.determinant().ln() };
        prop_assert!((chain.ln_determinant() - direct).abs() < 1e-6 * (1.0 + direct.abs()));
        prop_assert!(!fixed || set.len() == 2);
    }

    /// Lloyd's rounds and medoid swaps lower their objectives; labels are the nearest.
    #[test]
    fn clusters_descend(n in 4_usize..80, k in 1_usize..4, seed in 0_u64..1000) {
        let xs = normal(n, 2, seed);
        let start = k_means(&xs, k, 0, seed).unwrap();
        let found = k_means(&xs, k, 100, seed).unwrap();
        prop_assert!(found.inertia <= start.inertia * (1.0 + 1e-12));
        let linear = Linear::new(0.0).unwrap();
        let seeds = k_medoids(&linear, &xs, k, 0, seed).unwrap();
        let best = k_medoids(&linear, &xs, k, 50, seed).unwrap();
        prop_assert!(best.cost <= seeds.cost * (1.0 + 1e-12));
        let apart = |i: usize, m: usize| {
            let (x, y) = (xs.point(i), xs.point(best.medoids[m]));
            ((x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)).sqrt()
        };
        for i in 0..n {
            let nearest = (0..best.medoids.len()).map(|m| apart(i, m)).fold(f64::INFINITY, f64::min);
            prop_assert!(apart(i, best.labels[i]) <= nearest + 1e-6);
        }
    }

    /// Rounds over clusters never draw an item twice and end with all of them.
    #[test]
    fn rounds_exhaust(n in 1_usize..60, k in 1_usize..5, seed in 0_u64..1000) {
        let labels: Vec<usize> = (0..n).map(|i| 3 * (i % k)).collect();
        let mut rounds = ClusterRounds::new(labels, seed).unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            let drawn = rounds.draw(n.div_ceil(2));
            let worth: Vec<f64> = drawn.iter().map(|&i| i as f64).collect();
            rounds.reward(&worth).unwrap();
            prop_assert!((rounds.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            all.extend(drawn);
        }
        all.sort_unstable();
        prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
    }
}

/// k-medoids of a line by all pairs.
#[test]
fn medoids_are_best_on_small_sets() {
    let xs = normal(14, 1, 5);
    let linear = Linear::new(0.0).unwrap();
    let cost = |a: usize, b: usize| -> f64 {
        (0..14)
            .map(|i| {
                let x = xs.point(i)[0];
                (x - xs.point(a)[0]).abs().min((x - xs.point(b)[0]).abs())
            })
            .sum()
    };
    let best = (0..14)
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .map(|(a, b)| cost(a, b))
        .fold(f64::INFINITY, f64::min);
    let least = (0..5).map(|s| k_medoids(&linear, &xs, 2, 50, s).unwrap().cost).fold(f64::INFINITY, f64::min);
    assert!((least - best).abs() < 1e-7 * best, "{least} {best}");
    assert!(k_medoids(&linear, &xs, 15, 1, 0).is_err());
}

fn features(n: usize, p: usize, seed: u64) -> DMatrix<f64> {
    normal(n, p, seed).to_matrix()
}

/// Sketches are unbiased, 5 sigma; posterior features give the posterior kernel; all methods run on them.
#[test]
fn transformations() {
    let (a, b) = (features(6, 5, 1), features(6, 4, 2));
    let (train_a, train_b) = (features(3, 5, 3), features(3, 4, 4));
    let one = BatchFeatures::new(a.clone(), train_a.clone()).unwrap();
    let two = BatchFeatures::new(b.clone(), train_b).unwrap();
    let (ka, kb) = (&a * a.transpose(), &b * b.transpose());
    let draws = 400;
    let mut sums = [(); 3].map(|()| (DMatrix::zeros(6, 6), DMatrix::zeros(6, 6)));
    for seed in 0..draws {
        let sketched = [
            one.sketch(8, seed).unwrap(),
            one.product_sketch(&two, 8, seed).unwrap(),
            one.sum_sketch(&two, 8, seed).unwrap(),
        ];
        for (s, (mean, square)) in sketched.iter().zip(&mut sums) {
            let k = s.pool() * s.pool().transpose();
            *square += k.component_mul(&k) / draws as f64;
            *mean += k / draws as f64;
        }
    }
    for ((mean, square), exact) in sums.iter().zip([ka.clone(), ka.component_mul(&kb), &ka + &kb]) {
        for ((m, s), e) in mean.iter().zip(square.iter()).zip(exact.iter()) {
            let sigma = ((s - m * m) / draws as f64).sqrt();
            assert!((m - e).abs() < 5.0 * sigma + 1e-12, "{m} {e} {sigma}");
        }
    }
    let both = one.sum(&two).unwrap();
    assert!((both.pool() * both.pool().transpose() - (&ka + &kb)).amax() < 1e-12);
    let posterior = one.posterior(0.3).unwrap();
    let mut inner = &train_a * train_a.transpose();
    (0..3).for_each(|i| inner[(i, i)] += 0.3);
    let across = &a * train_a.transpose();
    let expected = &ka - &across * inner.try_inverse().unwrap() * across.transpose();
    assert!((posterior.pool() * posterior.pool().transpose() - expected).amax() < 1e-12);
    // ACS features: their inner products are covariances of gains, by the gains' definition at v = 0 they vanish.
    let zero = BatchFeatures::new(DMatrix::zeros(2, 5), train_a).unwrap();
    assert!(zero.acs_random(0.5, 16, 1).unwrap().pool().amax() < 1e-15);
    for f in
        [one.acs_random(0.5, 64, 1).unwrap(), one.acs_gradient(0.5, 64, 1).unwrap(), one.scale().unwrap()]
    {
        for method in [BatchMethod::MaxDet, BatchMethod::FrankWolfe, BatchMethod::Bait] {
            assert_eq!(f.select(method, 1e-6, false, 0, 3).unwrap().len(), 3);
        }
    }
    assert!(one.sketch(0, 0).is_err() && zero.sum(&one).is_err());
    assert!(BatchFeatures::new(DMatrix::zeros(1, 2), DMatrix::zeros(0, 2)).unwrap().scale().is_err());
    assert!(one.posterior(0.0).is_err());
}

/// ACS random features estimate the kernel of expected gains: mean of the feature times √p is ½ ln(1 + v/σ²) − v/σ².
#[test]
fn acs_features_have_the_right_mean() {
    let one = BatchFeatures::new(features(4, 3, 1), features(2, 3, 2)).unwrap();
    let (noise, p) = (0.4, 40_000);
    let posterior = one.posterior(noise).unwrap();
    let acs = one.acs_random(noise, p, 5).unwrap();
    for i in 0..4 {
        let v = posterior.pool().row(i).norm_squared();
        let mean = acs.pool().row(i).sum() / (p as f64).sqrt();
        let expected = 0.5 * (v / noise).ln_1p() - v / noise;
        // (wᵀφ)² has variance 2v².
        let sigma = 2.0_f64.sqrt() * v / (2.0 * noise) / (p as f64).sqrt();
        assert!((mean - expected).abs() < 5.0 * sigma, "{mean} {expected}");
    }
}

#[test]
fn log_determinants() {
    let linear = Linear::new(0.0).unwrap();
    let reference = on_sphere(50, 8, 1).unwrap();
    assert!(log_determinant_distance(&linear, &reference, &reference, 6).unwrap().abs() < 1e-12);
    let orthonormal = Rows::new(&DMatrix::<f64>::identity(8, 8));
    // The most diverse set there is: ln det = 0.
    assert!(log_determinant_distance(&linear, &orthonormal, &reference, 8).unwrap() <= 0.0);
    assert!(log_determinant_distance(&linear, &reference, &orthonormal, 8).unwrap() >= 0.0);
    assert!(log_determinant_distance(&linear, &reference, &reference, 9).is_err());
    assert!(on_sphere(3, 0, 1).is_err());
    let (_, gains) = greedy_map(&linear, &reference, 8).unwrap();
    assert!(gains.windows(2).all(|w| w[1] <= w[0] + 1e-12));
}

/// What greedy matching pursuit leaves of clusters' means is less than they are, and weights are not negative.
#[test]
fn gradients_by_cluster() {
    let xs = normal(120, 6, 3);
    let (indices, weights) = gradient_clusters(&xs, 5, 0.2, 1e-3, 1).unwrap();
    let mut distinct = indices.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), indices.len());
    assert!(weights.iter().all(|w| *w >= 0.0) && weights.len() == indices.len());
    assert!((15..=30).contains(&indices.len()), "{}", indices.len());
    assert!(gradient_clusters(&xs, 5, 0.0, 1e-3, 1).is_err());
}

#[test]
fn open_sets_prefer_what_is_alike() {
    let target = Rows::from_row_major(vec![1.0, 0.0, 0.9, 0.1], 2, 2).unwrap();
    let open = Rows::from_row_major(vec![0.0, 1.0, 2.0, 0.1, -1.0, 0.0, 3.0, 0.2, 0.0, 0.0], 5, 2).unwrap();
    let got = open_set_coreset(&target, &open, 2, 1, 0.95, 0).unwrap();
    let mut sorted = got;
    sorted.sort_unstable();
    assert!(sorted.iter().all(|i| [1, 3].contains(i)));
    assert!(open_set_coreset(&target, &open, 2, 0, 0.95, 0).is_err());
    assert!(open_set_coreset(&target.subset(&[]).unwrap(), &open, 2, 1, 0.95, 0).is_err());
}

/// On a star every leaf is its own best next class; on a path the far end covers all.
#[test]
fn classes_of_trees() {
    let path = DMatrix::from_fn(6, 6, |i, j| (i as f64 - j as f64).abs());
    assert_eq!(farthest_classes(&path, &[1], 5).unwrap(), [5, 0]);
    // A star of five leaves around node 0.
    let star = DMatrix::from_fn(6, 6, |i, j| match (i, j) {
        _ if i == j => 0.0,
        (0, _) | (_, 0) => 1.0,
        _ => 2.0,
    });
    assert_eq!(farthest_classes(&star, &[1], 9).unwrap(), [2, 3, 4, 5]);
    assert!(farthest_classes(&star, &[], 1).is_err() && farthest_classes(&star, &[6], 1).is_err());
}

/// The log determinant falls with every selection, and its first choice for one target is that of the variance.
#[test]
fn targets_by_determinant() {
    let (pool, targets) = (normal(40, 2, 1), normal(3, 2, 2));
    let select = |criterion: TargetCriterion, targets: &Rows<f64>| {
        TargetVariance::new(Rbf::new(1.0).unwrap()).criterion(criterion).select(&pool, targets, 6).unwrap()
    };
    let joint = select(TargetCriterion::LogDeterminant, &targets);
    assert!(joint.objectives.windows(2).all(|w| w[1] <= w[0] + 1e-12));
    let one = targets.subset(&[0]).unwrap();
    let (a, b) = (select(TargetCriterion::LogDeterminant, &one), select(TargetCriterion::Mean, &one));
    assert_eq!(a.indices[..3], b.indices[..3]);
}

/// Feature space and kernel space select alike.
#[test]
fn features_and_kernels_agree() {
    let (pool, train) = (normal(40, 3, 7), normal(6, 3, 8));
    let features = BatchFeatures::new(pool.to_matrix(), train.to_matrix()).unwrap();
    let posterior = features.scale().unwrap().posterior(0.01).unwrap();
    for method in [
        BatchMethod::MaxDet,
        BatchMethod::MaxDiag,
        BatchMethod::MaxDist,
        BatchMethod::LargestCluster(ClusterWeight::SquaredDistance),
    ] {
        let direct = BatchSelection::new(Linear::new(0.0).unwrap(), method)
            .scale_to_train(true)
            .posterior(0.01)
            .noise(1e-4)
            .select(&pool, &train, 3)
            .unwrap();
        assert_eq!(posterior.select(method, 1e-4, false, 0, 3).unwrap(), direct, "{method:?}");
    }
}
