//! Batch selection, determinantal point processes, targets, coverage.

use kernels_core::{AnyKernel, Exponential, Linear, Points, Rbf, Rows};
use kernels_sample::{
    BatchFeatures, BatchMethod, BatchSelection, ClusterWeight, Coverage, Dpp, Saturation, TargetCriterion,
    TargetVariance, cover, features_cover, frechet_classes, frechet_variances, greedy_map, information_gain,
    k_center, label_propagation, log_elementary_symmetric, open_set_coreset, orthogonal_matching_pursuit,
};
use nalgebra::DVector;

use crate::read::{all_close, cases, close, count, indices, lists, matrix, number, read, rows, vector};

#[test]
fn batches() {
    let file = read(include_str!("bmdal.json"));
    let mut wrong = Vec::new();
    for case in cases(&file["cases"]) {
        let (pool, train) = (rows(&case["pool"]), rows(&case["train"]));
        for s in cases(&case["selections"]) {
            let sigma = s["params"]["noise_sigma"].as_f64().unwrap_or(1e-3);
            let method = match s["method"].as_str().unwrap() {
                "maxdiag" => BatchMethod::MaxDiag,
                "maxdet" => BatchMethod::MaxDet,
                "maxdist" => BatchMethod::MaxDist,
                "lcmd" => BatchMethod::LargestCluster(ClusterWeight::SquaredDistance),
                "lcmd_dist" => BatchMethod::LargestCluster(ClusterWeight::Distance),
                "lcmd_none" => BatchMethod::LargestCluster(ClusterWeight::Count),
                "fw" | "fw_kernel" => BatchMethod::FrankWolfe,
                "bait_f" => BatchMethod::Bait,
                "bait_fb" => BatchMethod::BaitForwardBackward,
                other => panic!("{other}"),
            };
            let kernel: AnyKernel<f64> = if s["kernel"] == "linear" {
                AnyKernel::new(Linear::new(0.0).unwrap())
            } else {
                AnyKernel::new(Exponential::new(2.0).unwrap())
            };
            let mut selection =
                BatchSelection::new(kernel, method).noise(sigma * sigma).with_train(s["mode"] == "TP");
            if s["transform"] == "scale_train" {
                selection = selection.scale_to_train(true).posterior(0.01);
            }
            let mut expected = indices(&s["selected"]);
            let mut got = selection.select(&pool, &train, expected.len()).unwrap();
            if method == BatchMethod::MaxDiag {
                // The reference lists the largest last.
                expected.sort_unstable();
                got.sort_unstable();
            }
            if got != expected {
                wrong.push(format!(
                    "{} {} {} {} {}: got {got:?}, expected {expected:?} {}",
                    case["name"], s["kernel"], s["transform"], s["method"], s["mode"], s["status"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Greedy MAP of a process given by L: of rows of a square root of L under the linear kernel.
fn greedy_rows(l: &nalgebra::DMatrix<f64>, size: usize) -> (Vec<usize>, Vec<f64>) {
    let eigen = l.clone().symmetric_eigen();
    let roots = nalgebra::DMatrix::from_diagonal(&eigen.eigenvalues.map(|e| e.max(0.0).sqrt()));
    greedy_map(&Linear::new(0.0).unwrap(), &Rows::new(&(eigen.eigenvectors * roots)), size).unwrap()
}

#[test]
fn determinantal() {
    let file = read(include_str!("dpp.json"));
    for case in cases(&file["cases"]) {
        let l = matrix(&case["L"]);
        let dpp = Dpp::from_matrix(&l).unwrap();
        all_close("marginals", &dpp.marginals(), &vector(&case["marginals"]), 1e-10);
        let (mean, variance) = dpp.size_moments();
        close("size", mean, number(&case["expected_size"]), 1e-10, 0.0);
        close("size", variance, number(&case["var_size"]), 1e-10, 0.0);
        if case["Phi"].is_array() {
            // Items are columns of Φ.
            let phi = Rows::new(&matrix(&case["Phi"]).transpose());
            let map = indices(&case["greedy_map"]);
            let (got, gains) = greedy_map(&Linear::new(0.0).unwrap(), &phi, map.len()).unwrap();
            assert_eq!(got, map, "{}", case["name"]);
            all_close("gains", &gains, &vector(&case["greedy_log_gains"]), 1e-9);
        }
        // Elementary symmetric polynomials of every prefix, and P(S) = det L_S / det(I + L), P(S | |S| = k) = det L_S / e_k.
        let lambda = vector(&case["eigenvalues"]);
        let expected = matrix(&case["esp_table"]);
        let table = log_elementary_symmetric(&lambda, expected.nrows() - 1).unwrap();
        for (j, row) in expected.row_iter().enumerate() {
            for (n, e) in row.iter().enumerate() {
                close("e_j", table[n][j].exp(), *e, 1e-9, 1e-12);
            }
        }
        for (j, e) in vector(&case["esp_last_column"]).into_iter().enumerate() {
            close("e_j", table[lambda.len()][j].exp(), e, 1e-9, 1e-12);
        }
        let ln_det = |set: &[usize]| -> f64 {
            nalgebra::DMatrix::from_fn(set.len(), set.len(), |i, j| l[(set[i], set[j])]).determinant().ln()
        };
        for (set, expected) in lists(&case["subsets"]).iter().zip(vector(&case["log_prob"])) {
            close("ln P(S)", ln_det(set) - dpp.ln_normaliser(), expected, 1e-9, 1.0);
        }
        let k = count(&case["kdpp_k"]);
        close("ln e_k", table[lambda.len()][k], number(&case["kdpp_log_normaliser"]), 1e-10, 1.0);
        // Greedy against the best of all sets of three: never above, and within ln 3! of it.
        let (map, best) = (indices(&case["exact_map_k3"]), number(&case["exact_map_k3_logdet"]));
        close("ln det of the best", ln_det(&map), best, 1e-10, 1.0);
        let (greedy, _) = greedy_rows(&l, 3);
        let found = ln_det(&greedy);
        assert!(found <= best + 1e-10 && found >= best - 6.0_f64.ln(), "{}: {found}, {best}", case["name"]);
        // Inclusion frequencies of the k-process: 5 sigma of a binomial.
        let (k, draws) = (count(&case["kdpp_k"]), 4000);
        let mut hits = vec![0.0; l.nrows()];
        for seed in 0..draws {
            let sample = dpp.sample_k(k, seed).unwrap();
            assert_eq!(sample.len(), k);
            sample.iter().for_each(|&i| hits[i] += 1.0);
        }
        for (hit, p) in hits.iter().zip(vector(&case["kdpp_inclusion"])) {
            let sigma = (p * (1.0 - p) / draws as f64).sqrt();
            assert!((hit / draws as f64 - p).abs() <= 5.0 * sigma + 1e-9, "{}: {hit}, {p}", case["name"]);
        }
    }
    let stress = &file["log_esp_stress"];
    let lambda: Vec<f64> = (0..400).map(|i| (-8.0 + 20.0 * f64::from(i) / 399.0).exp()).collect();
    let ks = indices(&stress["k"]);
    let table = log_elementary_symmetric(&lambda, *ks.iter().max().unwrap()).unwrap();
    for (k, expected) in ks.iter().zip(vector(&stress["log_e_k"])) {
        close("ln e_k", table[400][*k], expected, 1e-12, 1.0);
    }
}

#[test]
fn targets() {
    let file = read(include_str!("sift.json"));
    for case in cases(&file["cases"]) {
        let (xs, targets) = (rows(&case["X"]), rows(&case["targets"]));
        let found = TargetVariance::new(Linear::new(0.0).unwrap())
            .noise(number(&case["lam"]))
            .repeat(true)
            .select(&xs, &targets, count(&case["N"]))
            .unwrap();
        assert_eq!(found.indices, indices(&case["independent_selected"]), "{}", case["name"]);
        let totals: Vec<f64> = found.objectives.iter().map(|v| v * targets.len() as f64).collect();
        all_close("objective", &totals, &vector(&case["independent_objective"]), 1e-9);
    }
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["evgp"];
    let z = rows(&block["Z"]);
    let (n, m) = (count(&block["n_pool"]), count(&block["n_test"]));
    let pool = z.subset(&(0..n).collect::<Vec<_>>()).unwrap();
    let test = z.subset(&(n..n + m).collect::<Vec<_>>()).unwrap();
    let mut compared = 0;
    for run in cases(&block["runs"]) {
        let criterion = match run["criterion"].as_str().unwrap() {
            "ev" => TargetCriterion::Mean,
            "vol" => TargetCriterion::MeanSquare,
            "mv" => TargetCriterion::Max,
            "90v" => TargetCriterion::Percentile(90.0),
            "95v" => TargetCriterion::Percentile(95.0),
            "ent" => TargetCriterion::LogDeterminant,
            other => panic!("{other}"),
        };
        let kernel = Rbf::new(1.0).unwrap() + 0.1 * Linear::new(0.0).unwrap();
        let expected = indices(&run["selected"]);
        let found = TargetVariance::new(kernel)
            .noise(number(&block["sigma"]).powi(2))
            .criterion(criterion)
            .select(&pool, &test, expected.len())
            .unwrap();
        assert_eq!(found.indices, expected, "{}", run["criterion"]);
        compared += 1;
    }
    assert!(compared >= 1);
}

#[test]
fn coverage() {
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["apricot"];
    let xs = rows(&block["X"]);
    let k = count(&block["k"]);
    let kernel = Rbf::new(1.5_f64.sqrt()).unwrap();
    for (name, coverage) in [
        ("facility_location", Coverage::FacilityLocation),
        ("graph_cut", Coverage::GraphCut),
        ("saturated_coverage_beta0p1", Coverage::Saturated(0.1)),
    ] {
        let expected = &block[name];
        let got = cover(&kernel, &xs, coverage, k).unwrap();
        // Once gains reach 0 the order is arbitrary.
        let gains = vector(&expected["gains"]);
        let until = gains.iter().take_while(|g| **g > 1e-9).count();
        assert_eq!(got.indices[..until], indices(&expected["ranking"])[..until], "{name}");
        all_close(name, &got.gains[..until], &gains[..until], 1e-9);
    }
    let features = xs.to_matrix().map(|x| x.abs() + 0.01);
    let phis: [(&str, fn(f64) -> f64); 2] = [("sqrt", f64::sqrt), ("log", f64::ln_1p)];
    for (name, phi) in phis {
        let expected = &block["feature_based"][name];
        let got = features_cover(&features, phi, k).unwrap();
        assert_eq!(got.indices, indices(&expected["ranking"]), "{name}");
        all_close(name, &got.gains, &vector(&expected["gains"]), 1e-10);
    }
    let center = &file["blocks"]["k_center"];
    let order = indices(&center["order"]);
    let got = k_center(&Linear::new(0.0).unwrap(), &xs, count(&center["start"]), order.len()).unwrap();
    assert_eq!(got.indices, order);
    all_close("radii", &got.radii, &vector(&center["radius_when_added"]), 1e-10);
    close("radius", got.covering_radius, number(&center["final_radius"]), 1e-10, 0.0);
    let omp = &file["blocks"]["omp"];
    let (a, b) = (matrix(&omp["A_cols_are_items"]), DVector::from_vec(vector(&omp["b"])));
    for run in cases(&omp["runs"]).iter().filter(|run| run["positive"] == true) {
        let (chosen, weights) =
            orthogonal_matching_pursuit(&a, &b, count(&run["nnz"]), number(&run["lam"])).unwrap();
        assert_eq!(chosen, indices(&run["indices"]));
        all_close("weights", &weights, &vector(&run["weights"]), 1e-9);
    }
}

#[test]
fn posterior_features() {
    let file = read(include_str!("bmdal.json"));
    for case in cases(&file["cases"]) {
        let (pool, train) = (matrix(&case["pool"]), matrix(&case["train"]));
        let features = BatchFeatures::new(pool, train).unwrap().scale().unwrap();
        let factor = features.pool()[(0, 0)] / matrix(&case["pool"])[(0, 0)];
        close("scale", factor, number(&case["scale_factor_linear"]), 1e-12, 0.0);
        let posterior = features.posterior(0.01).unwrap();
        let k = posterior.pool() * posterior.pool().transpose();
        let diagonal: Vec<f64> = k.diagonal().iter().copied().collect();
        all_close("diagonal", &diagonal, &vector(&case["posterior_diag_linear_sigma0p1"]), 1e-10);
        for (i, row) in cases(&case["posterior_kernel_linear_rows0_2"]).iter().enumerate() {
            let got: Vec<f64> = k.row(i).iter().copied().collect();
            all_close("kernel", &got, &vector(row), 1e-10);
        }
    }
}

#[test]
fn label_graphs() {
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["mig"];
    let embeddings = matrix(&block["label_embeddings"]);
    let similarities = &embeddings * embeddings.transpose();
    for run in cases(&block["runs"]) {
        let propagation =
            label_propagation(&similarities, number(&run["threshold"]), number(&run["prop_weight"])).unwrap();
        all_close("propagation", propagation.as_slice(), matrix(&run["propagation"]).as_slice(), 1e-10);
        let expected = indices(&run["selected"]);
        let found = information_gain(
            &lists(&block["labels"]),
            &vector(&block["quality"]),
            &propagation,
            Saturation::Power { shift: number(&run["a"]), exponent: number(&run["b"]) },
            run["norm"] == true,
            expected.len(),
        )
        .unwrap();
        assert_eq!(found.indices, expected);
        all_close("scores", &found.gains, &vector(&run["scores"]), 1e-10);
    }
}

#[test]
fn open_sets() {
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["simcore"];
    let (centroids, open) = (rows(&block["centroids"]), rows(&block["openset"]));
    for run in cases(&block["runs"]) {
        let budget = count(&run["budget"]);
        let got = open_set_coreset(
            &centroids,
            &open,
            budget,
            count(&run["patience"]),
            number(&run["stop_thresh"]),
            1,
        )
        .unwrap();
        let rounds = lists(&run["rounds"]);
        // The last round is cut at random where the budget ends it.
        assert!(rounds.concat().len() <= budget);
        assert_eq!(got, rounds.concat());
    }
}

#[test]
fn metric_classes() {
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["loki"];
    let (distances, observed) = (matrix(&block["distances"]), indices(&block["observed_classes"]));
    let probabilities = matrix(&block["probs"]);
    let variances = frechet_variances(&distances, &observed, &probabilities).unwrap();
    all_close("variances", (-variances).as_slice(), matrix(&block["neg_frechet_variance"]).as_slice(), 1e-12);
    let got = frechet_classes(&distances, &observed, &probabilities).unwrap();
    assert_eq!(got, indices(&block["prediction"]));
}

/// Greedy information gain ½ ln det(I + K/noise) is greedy MaxDet.
#[test]
fn gaussian_process_information_gain() {
    let file = read(include_str!("subset_selection.json"));
    let block = &file["blocks"]["gp_information_gain"];
    let xs = rows(&file["blocks"]["apricot"]["X"]);
    let noise = number(&block["noise"]);
    let expected = indices(&block["selected"]);
    let none = xs.subset(&[]).unwrap();
    let got = BatchSelection::new(Rbf::new(1.0).unwrap(), BatchMethod::MaxDet)
        .noise(noise)
        .select(&xs, &none, expected.len())
        .unwrap();
    assert_eq!(got, expected);
}
