//! Densities and modes.

use kernels_core::{Points, Rows};
use kernels_sample::{
    Bandwidth, DensityKernel, FlatMeanShift, Kde, MeanShift, least_squares_score,
    leave_one_out_log_likelihood,
};
use proptest::prelude::*;

use super::{cases, normal};

/// Estimates by random features, 5 sigma of their bound, and smaller errors from more features.
#[test]
fn random_features() {
    let (xs, at) = (normal(200, 2, 1), normal(20, 2, 2));
    for kernel in [DensityKernel::Gaussian, DensityKernel::Exponential] {
        let model = Kde::new(kernel).bandwidth(Bandwidth::Scale(0.7)).fit(&xs).unwrap();
        let exact = model.density(&at).unwrap();
        let origin = Rows::from_row_major(vec![0.0, 0.0], 1, 2).unwrap();
        // The density of one point at itself is the kernel's peak.
        let peak =
            Kde::new(kernel).bandwidth(Bandwidth::Scale(0.7)).fit(&origin).unwrap().density(&origin).unwrap()
                [0];
        for count in [100, 10_000] {
            let estimate = model.density_by_features(&at, count, 3).unwrap();
            for (e, f) in estimate.iter().zip(&exact) {
                assert!((e - f).abs() < 5.0 * peak / (count as f64).sqrt(), "{kernel:?} {count}: {e} {f}");
            }
        }
        assert_eq!(
            model.density_by_features(&at, 500, 4).unwrap(),
            model.density_by_features(&at, 500, 4).unwrap()
        );
    }
    let boxed = Kde::new(DensityKernel::Box).bandwidth(Bandwidth::Scale(1.0)).fit(&xs).unwrap();
    assert!(boxed.density_by_features(&at, 10, 0).is_err());
    let adaptive = Kde::new(DensityKernel::Gaussian).adaptive(true).fit(&xs).unwrap();
    assert!(adaptive.density_by_features(&at, 10, 0).is_err());
}

/// Rules by cross-validation find the least of the scores.
#[test]
fn cross_validated_bandwidths() {
    let xs = normal(150, 1, 4);
    let model = Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Likelihood).fit(&xs).unwrap();
    let h = model.covariance()[(0, 0)].sqrt();
    let likelihood = |h: f64| leave_one_out_log_likelihood(&xs, DensityKernel::Gaussian, h).unwrap();
    let score = |h: f64| least_squares_score(xs.as_slice(), h).unwrap();
    for factor in [0.5, 0.9, 0.99, 1.01, 1.1, 2.0] {
        assert!(likelihood(h) >= likelihood(h * factor) - 1e-9, "{factor}");
    }
    let model = Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::LeastSquares).fit(&xs).unwrap();
    let h = model.covariance()[(0, 0)].sqrt();
    for factor in [0.97, 0.99, 1.01, 1.03] {
        assert!(score(h) <= score(h * factor) + 1e-9, "{factor}");
    }
    // In the plane, near the normal reference rule for normal data.
    let plane = normal(300, 2, 5);
    for rule in [Bandwidth::Likelihood, Bandwidth::LeastSquares] {
        let model = Kde::new(DensityKernel::Gaussian).bandwidth(rule).fit(&plane).unwrap();
        let scott = Kde::new(DensityKernel::Gaussian).fit(&plane).unwrap();
        let ratio = (model.covariance()[(0, 0)] / scott.covariance()[(0, 0)]).sqrt();
        assert!((0.4..2.0).contains(&ratio), "{ratio}");
    }
    assert!(Kde::new(DensityKernel::Box).bandwidth(Bandwidth::LeastSquares).fit(&xs).is_err());
}

/// A stored model gives the same bits.
#[cfg(feature = "serde")]
#[test]
fn stored_densities() {
    let xs = normal(60, 2, 6);
    for adaptive in [false, true] {
        let model = Kde::new(DensityKernel::Triweight).adaptive(adaptive).fit(&xs).unwrap();
        let text = serde_json::to_string(&model).unwrap();
        let back: kernels_sample::KdeModel = serde_json::from_str(&text).unwrap();
        assert_eq!(model, back);
        assert_eq!(model.density(&xs).unwrap(), back.density(&xs).unwrap());
    }
}

/// Models of another format, and models whose parts do not fit together, are refused with a message.
#[cfg(feature = "serde")]
#[test]
fn stored_models_are_looked_at() {
    use kernels_sample::{KdeModel, KernelDensityIntegral, KernelDensityIntegralModel};

    let xs = normal(20, 2, 6);
    let density = serde_json::to_value(Kde::new(DensityKernel::Gaussian).fit(&xs).unwrap()).unwrap();
    let integral = serde_json::to_value(KernelDensityIntegral::new().fit(&xs).unwrap()).unwrap();
    let read = |density: &serde_json::Value, integral: &serde_json::Value| {
        let density = serde_json::from_value::<KdeModel>(density.clone());
        let integral = serde_json::from_value::<KernelDensityIntegralModel>(integral.clone());
        [density.map(|_| ()).map_err(|e| e.to_string()), integral.map(|_| ()).map_err(|e| e.to_string())]
    };
    assert_eq!(read(&density, &integral), [Ok(()), Ok(())]);
    let (mut newer, mut newer_integral) = (density.clone(), integral.clone());
    newer["version"] = 2.into();
    newer_integral["version"] = 2.into();
    for said in read(&newer, &newer_integral) {
        let said = said.unwrap_err();
        assert!(said.contains("format version 2; this version of the crate reads 1"), "{said}");
    }
    let (mut short, mut short_integral) = (density, integral);
    short["weights"] = serde_json::json!([1.0]);
    short_integral["features"][0]["x"] = serde_json::json!([1.0]);
    for said in read(&short, &short_integral) {
        let said = said.unwrap_err();
        assert!(said.contains("damaged"), "{said}");
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Flat mean shift by the tree takes the steps of plain sums.
    #[test]
    fn balls_are_exact(n in 1_usize..200, d in 1_usize..4, h in 0.1_f64..3.0, seed in 0_u64..1000) {
        let xs = normal(n, d, seed);
        let found = FlatMeanShift::new(h).fit(&xs).unwrap();
        // Plain climbs from all points: the most populous end is the first centre's.
        let mut best = 0;
        for i in 0..n {
            let mut x = xs.point(i).to_vec();
            let mut count = 0;
            for _ in 0..300 {
                let near: Vec<usize> = (0..n)
                    .filter(|&j| xs.point(j).iter().zip(&x).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() <= h * h)
                    .collect();
                count = near.len();
                let next: Vec<f64> =
                    (0..d).map(|f| near.iter().map(|&j| xs.point(j)[f]).sum::<f64>() / count as f64).collect();
                let moved = next.iter().zip(&x).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
                x = next;
                if moved <= 1e-3 * h {
                    break;
                }
            }
            best = best.max(count);
        }
        let center = found.centers.point(0);
        // One more step may follow the count: it is that of the last ball or of a neighbour of it.
        let around = (0..n)
            .filter(|&j| xs.point(j).iter().zip(center).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() <= h * h * 1.01)
            .count();
        prop_assert!(around + 2 >= best.min(n), "{around} {best}");
        prop_assert!(found.labels.iter().all(|l| l.is_some_and(|l| l < found.centers.len())));
    }

    /// Accelerated climbs end where the density is as high as that of plain ones' modes, with fewer steps or as many.
    #[test]
    fn acceleration_is_safe(n in 5_usize..80, seed in 0_u64..1000) {
        let xs = normal(n, 2, seed);
        for kernel in [DensityKernel::Gaussian, DensityKernel::Biweight] {
            let plain = MeanShift::new(kernel, 1.2).tolerance(1e-9).fit(&xs).unwrap();
            let fast = MeanShift::new(kernel, 1.2).tolerance(1e-9).accelerated(true).fit(&xs).unwrap();
            prop_assert!((fast.heights[0] / plain.heights[0] - 1.0).abs() < 1e-6, "{:?}", kernel);
        }
    }
}

#[test]
fn acceleration_saves_steps() {
    let xs = normal(400, 2, 3);
    let shift = MeanShift::new(DensityKernel::Biweight, 2.5).tolerance(1e-11);
    let (plain, fast) = (shift.fit(&xs).unwrap(), shift.clone().accelerated(true).fit(&xs).unwrap());
    assert!(3 * fast.iterations < 2 * plain.iterations, "{} {}", fast.iterations, plain.iterations);
    assert_eq!(fast.modes.len(), plain.modes.len());
}

/// Bumps of a sample are merged, true modes stay.
#[test]
fn prominent_modes() {
    let mut values = normal(150, 2, 9).as_slice().to_vec();
    values.extend(normal(150, 2, 10).as_slice().chunks(2).flat_map(|x| [x[0] + 7.0, x[1]]));
    let xs = Rows::from_row_major(values, 300, 2).unwrap();
    let shift = MeanShift::new(DensityKernel::Gaussian, 0.45);
    let all = shift.fit(&xs).unwrap();
    assert!(all.modes.len() > 2);
    let (prominences, above) = shift.prominences(&xs, &xs, &all).unwrap();
    assert_eq!(above[0], 0);
    for m in 1..all.modes.len() {
        assert!(above[m] < m && prominences[m] <= all.heights[m]);
    }
    let kept = shift.clone().least_prominence(0.5).fit(&xs).unwrap();
    assert_eq!(kept.modes.len(), 2, "{prominences:?} {:?}", all.heights);
    // Nearly all points of a group have one label.
    let first = kept.labels[..150].iter().filter(|&&l| l == kept.labels[0]).count();
    assert!(first >= 145 || 150 - first >= 145);
    assert!(shift.least_prominence(2.0).fit(&xs).is_err());
}
