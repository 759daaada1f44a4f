//! MMD of coresets against what goodpoints 0.6.3 reaches (`kt_quality.json`), seed by seed on data of our own.

use kernels_core::{Points, Rbf};
use kernels_sample::{Compress, KernelThinning, mmd2_to_input, standard_thinning};
use serde_json::Value;

use super::normal;

/// Mean of the MMD to the input over seeds on N(0, I), kernel exp(−r²/(2 · 2d)).
fn mean(n: usize, d: usize, seeds: u64, method: &str) -> f64 {
    let kernel = Rbf::new((2.0 * d as f64).sqrt()).unwrap();
    let sum: f64 = (0..seeds)
        .map(|seed| {
            let xs = normal(n, d, 7000 + seed);
            let rounds = n.ilog2() as usize / 2;
            let compress = |g: usize| Compress::new(kernel.clone()).oversampling(g).seed(seed).thin(&xs);
            let thinning = KernelThinning::new(kernel.clone()).seed(seed);
            let coreset = match method {
                "compresspp_kt_g0" => compress(0),
                "compresspp_kt_g2" => compress(2),
                "compresspp_kt_g4" => compress(4),
                "target_kt_unique" => thinning.passes(usize::MAX).thin(&xs, rounds),
                "target_kt" => thinning.thin(&xs, rounds),
                "iid_standard_thinning" => standard_thinning(n, n >> rounds),
                other => panic!("{other}"),
            }
            .unwrap();
            assert_eq!(coreset.len(), n >> rounds);
            mmd2_to_input(&kernel, &xs, &coreset).unwrap().max(0.0).sqrt()
        })
        .sum();
    sum / seeds as f64
}

/// Ours is at or below the peer's mean, three standard errors of both allowed, at every n and d and for every method.
#[test]
fn at_or_below_the_peer() {
    let file: Value = serde_json::from_str(include_str!("../reference/kt_quality.json")).unwrap();
    let mut compared = 0;
    let mut worse = Vec::new();
    for row in file["rows"].as_array().unwrap() {
        let method = row["method"].as_str().unwrap();
        let (n, d) = (row["n"].as_u64().unwrap() as usize, row["d"].as_u64().unwrap() as usize);
        let ours =
            ["compresspp_kt_g0", "compresspp_kt_g2", "compresspp_kt_g4", "target_kt", "target_kt_unique"];
        // The largest ones would take minutes.
        if row["target"] != "gauss" || !ours.contains(&method) || n > 4096 || (n == 4096 && d == 100) {
            continue;
        }
        let seeds = if n <= 1024 { 20 } else { 6 };
        let number = |key: &str| row[key].as_f64().unwrap();
        let got = mean(n, d, seeds, method);
        let allowed = number("mmd_input_mean")
            + 3.0 * number("mmd_input_std") * (1.0 / number("reps") + 1.0 / seeds as f64).sqrt();
        if got > allowed {
            worse.push(format!(
                "n = {n}, d = {d}, {method}: {got}, the peer {}, allowed {allowed}",
                number("mmd_input_mean")
            ));
        }
        compared += 1;
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
    assert!(compared >= 30, "{compared}");
}

/// log MMD against log n: about −½ for the √n points of kernel thinning and of Compress++, −¼ for as many at random.
#[test]
fn rates() {
    let slope = |method: &str| -> f64 {
        // Least squares over three sizes.
        let points: Vec<(f64, f64)> =
            [256, 1024, 4096].iter().map(|&n| ((n as f64).ln(), mean(n, 2, 8, method).ln())).collect();
        let x = points.iter().map(|p| p.0).sum::<f64>() / 3.0;
        let above: f64 = points.iter().map(|p| (p.0 - x) * p.1).sum();
        above / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
    };
    let (thinned, compressed, random) =
        (slope("target_kt"), slope("compresspp_kt_g4"), slope("iid_standard_thinning"));
    assert!(thinned < -0.42, "{thinned}");
    assert!(compressed < -0.42, "{compressed}");
    assert!(random > -0.38, "{random}");
}

/// Bins and oversampling only change how much is looked at: sizes are those promised.
#[test]
fn sizes_of_compressed_sets() {
    let kernel = Rbf::new(1.0).unwrap();
    let xs = normal(1100, 2, 3);
    for bins in [1, 4, 16] {
        for g in 0..4 {
            let compress = Compress::new(kernel.clone()).oversampling(g).bins(bins).seed(2);
            let middle = compress.compress(&xs).unwrap();
            // 2^g √(n′ · bins), at most all of n′.
            let expected = ((1 << g) * (1024.0 * bins as f64).sqrt() as usize).min(1024);
            assert_eq!(middle.len(), expected, "{bins} {g}");
            let mut distinct = compress.thin(&xs).unwrap();
            assert_eq!(distinct.len(), 32);
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 32);
        }
    }
    assert!(Compress::new(kernel).bins(2).thin(&xs).is_err());
    assert_eq!(xs.len(), 1100);
}

/// Weighted input: equal weights are the unweighted problem's, and the MMD to the weighted points falls.
#[test]
fn weighted_input() {
    let kernel = Rbf::new(1.0).unwrap();
    let xs = normal(512, 2, 4);
    let weights: Vec<f64> = (0..512).map(|i| (-xs.point(i)[0]).exp()).collect();
    let total: f64 = weights.iter().sum();
    let to_weighted = |kept: &[usize]| -> f64 {
        let mut w: Vec<f64> = weights.iter().map(|w| w / total).collect();
        kept.iter().for_each(|&i| w[i] -= 1.0 / kept.len() as f64);
        let k = kernels_core::gram(&kernel, &xs).unwrap();
        let w = nalgebra::DVector::from_vec(w);
        w.dot(&(&k * &w)).max(0.0).sqrt()
    };
    let thinning = KernelThinning::new(kernel.clone()).seed(1);
    let weighted = to_weighted(&thinning.thin_weighted(&xs, &weights, 4).unwrap());
    let blind = to_weighted(&thinning.thin(&xs, 4).unwrap());
    assert!(weighted < 0.2 * blind, "{weighted} {blind}");
    assert_eq!(thinning.thin_weighted(&xs, &vec![3.0; 512], 4).unwrap(), thinning.thin(&xs, 4).unwrap());
    assert!(thinning.thin_weighted(&xs, &weights[..5], 4).is_err());
}
