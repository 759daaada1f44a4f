//! Mean shift and projections.

use kernels_core::{Points, Rows};
use kernels_sample::{DensityKernel, FlatMeanShift, MeanShift, ProjectedModes, SmoothProfile, estimate_bandwidth};

use crate::read::{all_close, cases, close, indices, matrix, number, read, rows, vector};

#[test]
fn mean_shift() {
    let file = read(include_str!("meanshift_modes.json"));
    for case in cases(&file["cases"]) {
        let xs = rows(&case["X"]);
        let smooth = &case["gaussian"];
        let modes = MeanShift::new(DensityKernel::Gaussian, number(&smooth["h"])).fit(&xs).unwrap();
        let expected = rows(&smooth["modes_sorted_by_density"]);
        assert_eq!(modes.modes.len(), expected.len(), "{}", case["name"]);
        all_close("modes", modes.modes.as_slice(), expected.as_slice(), 1e-8);
        assert_eq!(modes.labels, indices(&smooth["labels"]), "{}", case["name"]);
        // Their height is a density or a mean of κ: the ratios agree.
        let heights = vector(&smooth["density_at_modes"]);
        for (got, expected) in modes.heights.iter().zip(&heights) {
            close("height", got / modes.heights[0], expected / heights[0], 1e-8, 0.0);
        }

        let flat = &case["flat"];
        let h = number(&flat["bandwidth"]);
        let got = FlatMeanShift::new(h).fit(&xs).unwrap();
        all_close("centres", got.centers.as_slice(), rows(&flat["centers"]).as_slice(), 1e-9);
        let labels: Vec<usize> = got.labels.iter().map(|l| l.unwrap()).collect();
        assert_eq!(labels, indices(&flat["labels"]), "{}", case["name"]);
        let binned = FlatMeanShift::new(h).bin_seeding(1).fit(&xs).unwrap();
        all_close("binned", binned.centers.as_slice(), rows(&flat["centers_bin_seeding"]).as_slice(), 1e-9);
        for (quantile, expected) in case["estimate_bandwidth"].as_object().unwrap() {
            let got = estimate_bandwidth(&xs, quantile.parse().unwrap()).unwrap();
            close("bandwidth", got, number(expected), 1e-12, 0.0);
        }
    }
}

#[test]
fn projections() {
    let file = read(include_str!("meanshift_modes.json"));
    for case in cases(&file["jl_recovery"]) {
        let xs = rows(&case["P"]);
        let profile = match case["kernel"].as_str().unwrap() {
            "gaussian" => SmoothProfile::Gaussian,
            "rational_quadratic" => SmoothProfile::RationalQuadratic,
            _ => SmoothProfile::Logistic,
        };
        let search = ProjectedModes::new(profile, 1.0);
        let projection = matrix(&case["Pi"]);
        let scale = number(&case["scale"]);
        let low = Rows::new(&(xs.to_matrix() * projection.transpose() * scale));
        let lifted = search.lift(&xs, &low, &vector(&case["low_dim_mode"])).unwrap();
        all_close("lifted", &lifted, &vector(&case["recovered"]), 1e-10);
        let found = search.find_with(&xs, &projection).unwrap();
        assert!(found.value >= found.certificate * (1.0 - 1e-12), "{}", case["name"]);
        assert!(found.value >= number(&case["recovered_value"]) * (1.0 - 1e-9), "{}", case["name"]);
        close("certificate", found.certificate, number(&case["low_dim_value"]), 1e-6, 0.0);
    }
}
