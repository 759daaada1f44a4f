//! MMD, HSIC and their tests.

use kernels_core::{AnyKernel, Describe, Kernel, Rbf, Rows};
use kernels_sample::{
    IndependenceTest, MmdEstimator, TwoSampleTest, cka, hsic, hsic_unbiased, median_distance, mmd2,
};

use crate::read::{all_close, cases, close, count, indices, lists, number, read, rows, vector};

/// −‖x − y‖.
struct Energy;
impl Describe for Energy {}
impl Kernel<Rows<f64>> for Energy {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        -x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
    }
}

#[test]
fn mmd() {
    let file = read(include_str!("mmd_hsic.json"));
    for case in cases(&file["mmd"]) {
        let (xs, ys) = (rows(&case["X"]), rows(&case["Y"]));
        let mut pooled = xs.as_slice().to_vec();
        pooled.extend_from_slice(ys.as_slice());
        let pooled = Rows::from_row_major(pooled, count(&case["m"]) + count(&case["n"]), count(&case["d"])).unwrap();
        let median = median_distance(&pooled).unwrap();
        close("median", median, number(&case["median_pairwise_distance_pooled"]), 1e-14, 0.0);
        for (name, expected) in case["kernels"].as_object().unwrap() {
            let kernel: Box<dyn Kernel<Rows<f64>>> = match name.as_str() {
                "energy_negdist" => Box::new(Energy),
                other => {
                    let text = match other {
                        "linear" => "linear()".to_owned(),
                        "laplace_s1" => "exponential(length_scale=1)".to_owned(),
                        "imq_c1_b0.5" => "inverse_multiquadric(c=1, beta=0.5)".to_owned(),
                        gauss => {
                            let variance: f64 = gauss.trim_start_matches("gaussian_var").parse().unwrap();
                            format!("rbf(length_scale={:e})", variance.sqrt())
                        }
                    };
                    Box::new(text.parse::<AnyKernel<f64>>().unwrap())
                }
            };
            let estimators = [
                ("biased", MmdEstimator::Biased),
                ("unbiased", MmdEstimator::Unbiased),
                ("unbiased_ustat_equal_n", MmdEstimator::Paired),
                ("linear", MmdEstimator::Linear),
                ("block_5", MmdEstimator::Block(5)),
                ("block_10", MmdEstimator::Block(10)),
            ];
            for (key, estimator) in estimators {
                if let Some(value) = expected[key].as_f64() {
                    // Sums of terms of order 1 (10 for the linear kernel).
                    close(&format!("{name} {key}"), mmd2(&*kernel, &xs, &ys, estimator).unwrap(), value, 1e-10, 1.0);
                }
            }
        }
        let test = &case["permutation_test"];
        let kernel = Rbf::new(1.5_f64.sqrt()).unwrap();
        assert_eq!(test["kernel"], "gaussian_var1.5");
        let outcome =
            TwoSampleTest::new(kernel).test_with(&pooled, count(&case["m"]), &lists(&test["permutations"])).unwrap();
        close("observed", outcome.statistic, number(&test["observed"]), 1e-10, 0.0);
        all_close("null", &outcome.null, &vector(&test["null"]), 1e-10);
        close("p", outcome.p_value, number(&test["p_value"]), 1e-14, 0.0);
    }
}

#[test]
fn independence() {
    let file = read(include_str!("mmd_hsic.json"));
    for case in cases(&file["hsic"]) {
        let (xs, ys) = (rows(&case["X"]), rows(&case["Y"]));
        let k = Rbf::new(number(&case["varX"]).sqrt()).unwrap();
        let l = Rbf::new(number(&case["varY"]).sqrt()).unwrap();
        let n = count(&case["n"]) as f64;
        let value = hsic(&k, &l, &xs, &ys).unwrap();
        close("biased", value, number(&case["biased_over_n2"]), 1e-10, 0.0);
        close("biased", value * (n / (n - 1.0)).powi(2), number(&case["biased_over_nm1_2"]), 1e-10, 0.0);
        close("unbiased", hsic_unbiased(&k, &l, &xs, &ys).unwrap(), number(&case["unbiased"]), 1e-10, 0.01);
        close("cka", cka(&k, &l, &xs, &ys).unwrap(), number(&case["cka"]), 1e-10, 0.0);
        let orders = cases(&case["permutations"]).iter().map(indices).collect::<Vec<_>>();
        let outcome = IndependenceTest::new(k, l).test_with(&xs, &ys, &orders).unwrap();
        all_close("null", &outcome.null, &vector(&case["permuted_biased_over_n2"]), 1e-10);
    }
}
