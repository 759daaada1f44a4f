//! Invariants of the solvers on random data, edge cases, and bits that do not depend on threads or storage.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use kernels_core::{AnyKernel, Error as CoreError, Matern, Points, Rbf, Rows};
use kernels_solvers::{
    Calibration, Error, GaussianProcess, GpClassifier, KernelClassifier, Krr, LogFalkon, Objective,
    RidgePath, SparseGaussianProcess,
    closed_form::ConditionalMean,
    svm::SupportVectorClassifier,
    unsupervised::{ExplainedClusters, KernelKMeans, UnivariateRbf},
};
use nalgebra::DMatrix;
use proptest::prelude::*;

fn data() -> impl Strategy<Value = (Rows<f64>, Vec<f64>)> {
    (2_usize..14, 1_usize..4).prop_flat_map(|(n, d)| {
        (prop::collection::vec(-2.0_f64..2.0, n * d), prop::collection::vec(-3.0_f64..3.0, n))
            .prop_map(move |(x, y)| (Rows::from_row_major(x, n, d).unwrap(), y))
    })
}

fn rbf() -> Rbf {
    Rbf::new(0.8).unwrap()
}

#[track_caller]
fn near(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} and {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Weight w is as good as w copies; weight 0 as good as absence.
    #[test]
    fn weights_are_repetitions((xs, y) in data(), copies in prop::collection::vec(0_usize..3, 14), intercept in any::<bool>()) {
        let copies = &copies[..xs.len()];
        prop_assume!(copies.iter().sum::<usize>() > 0);
        let weights: Vec<f64> = copies.iter().map(|&c| c as f64).collect();
        let indices: Vec<usize> = copies.iter().enumerate().flat_map(|(i, &c)| vec![i; c]).collect();
        let repeated: Vec<f64> = indices.iter().map(|&i| y[i]).collect();
        let krr = Krr::new(rbf()).ridge(0.3).intercept(intercept);
        let weighted = krr.clone().weights(weights).fit(&xs, &y).unwrap();
        let copied = krr.fit(&xs.subset(&indices).unwrap(), &repeated).unwrap();
        near(weighted.predict(&xs).unwrap().as_slice(), copied.predict(&xs).unwrap().as_slice(), 1e-9);
    }

    /// The closed form of leave-one-out is leaving one out.
    #[test]
    fn leave_one_out_is_what_it_says((xs, y) in data(), intercept in any::<bool>()) {
        let krr = Krr::new(rbf()).ridge(0.2).intercept(intercept);
        let loo = krr.leave_one_out(&xs, &y).unwrap();
        for i in 0..xs.len() {
            let others: Vec<usize> = (0..xs.len()).filter(|&j| j != i).collect();
            let targets: Vec<f64> = others.iter().map(|&j| y[j]).collect();
            let without = krr.fit(&xs.subset(&others).unwrap(), &targets).unwrap();
            let predicted = without.predict(&xs.subset(&[i]).unwrap()).unwrap()[(0, 0)];
            near(&[loo.predictions[(i, 0)]], &[predicted], 1e-9);
        }
    }

    /// Every ridge of a path is the direct solution.
    #[test]
    fn a_path_is_many_fits((xs, y) in data(), ridge in 1e-3_f64..10.0) {
        let path = RidgePath::new(rbf(), &xs, &y).unwrap();
        let loo = Krr::new(rbf()).ridge(ridge).leave_one_out(&xs, &y).unwrap();
        let point = path.evaluate(ridge).unwrap();
        near(&[point.loo_mse], &[loo.mean_squared_error()], 1e-8);
        let gp = GaussianProcess::new(rbf()).noise(ridge).objective(None).normalize(false).fit(&xs, &y).unwrap();
        near(&[point.log_marginal_likelihood], &[gp.log_marginal_likelihood()], 1e-9);
        near(&[point.loo_log_density], &[gp.leave_one_out().unwrap().log_density], 1e-8);
        near(path.into_model(ridge).unwrap().coefficients().as_slice(), loo.model.coefficients().as_slice(), 1e-8);
    }

    /// Without a ridge the data are interpolated, or met in the mean where points coincide.
    #[test]
    fn no_ridge_interpolates((xs, y) in data()) {
        let twice: Vec<usize> = (0..xs.len()).chain([0]).collect();
        let targets: Vec<f64> = y.iter().copied().chain([y[0] + 1.0]).collect();
        let model = Krr::new(Matern::new(0.5, 1.0).unwrap()).ridge(0.0).fit(&xs.subset(&twice).unwrap(), &targets).unwrap();
        let p = model.predict(&xs).unwrap();
        near(&[p[(0, 0)]], &[y[0] + 0.5], 1e-6);
        for i in 1..xs.len() {
            near(&[p[(i, 0)]], &[y[i]], 1e-6);
        }
    }

    /// Rows of probabilities sum to 1, and the predicted class has the greatest.
    #[test]
    fn probabilities_are_probabilities((xs, y) in data(), which in 0_usize..3) {
        let labels: Vec<usize> = y.iter().map(|v| 10 * (v.abs() as usize)).collect();
        let calibration = [Calibration::Platt, Calibration::Isotonic, Calibration::Temperature][which];
        match KernelClassifier::new(rbf()).ridge(0.5).calibration(calibration).fit(&xs, &labels) {
            Ok(model) => {
                let p = model.predict_probability(&xs).unwrap();
                for (row, label) in p.row_iter().zip(model.predict(&xs).unwrap()) {
                    prop_assert!((row.sum() - 1.0).abs() < 1e-12 && row.iter().all(|p| (0.0..=1.0).contains(p)));
                    let k = model.classes().iter().position(|c| *c == label).unwrap();
                    prop_assert!(row.iter().all(|p| *p <= row[k]));
                }
            }
            Err(error) => {
                let one_class = labels.iter().all(|l| *l == labels[0]);
                prop_assert!(one_class && matches!(error, Error::Classes { .. }), "{}", error);
            }
        }
    }

    /// Variances are between 0 and the prior's, and smallest where there are data.
    #[test]
    fn variances_are_in_range((xs, y) in data()) {
        let model = GaussianProcess::new(rbf()).noise(0.1).objective(None).normalize(false).fit(&xs, &y).unwrap();
        let at = model.predict(&xs).unwrap();
        prop_assert!(at.variance.iter().all(|v| (0.0..=0.1 + 1e-12).contains(v)));
        let far = Rows::from_row_major(vec![50.0; xs.dim()], 1, xs.dim()).unwrap();
        near(model.predict(&far).unwrap().variance.as_slice(), &[1.0], 1e-12);
        let covariance = model.predict_covariance(&xs).unwrap();
        for i in 0..xs.len() {
            near(&[covariance[(i, i)]], &[at.variance[(i, 0)]], 1e-9);
        }
    }
}

fn sample(n: usize) -> (Rows<f64>, Vec<f64>) {
    let x: Vec<f64> = (0..2 * n).map(|i| (i as f64 * 0.618_033_988_749_894_9).fract() * 4.0).collect();
    let y = x.chunks_exact(2).map(|x| x[0].sin() + 0.3 * x[1]).collect();
    (Rows::from_row_major(x, n, 2).unwrap(), y)
}

#[test]
fn errors_say_what_is_wrong() {
    let (xs, y) = sample(6);
    let krr = Krr::new(rbf());
    let none = Rows::from_row_major(vec![], 0, 2).unwrap();
    assert!(matches!(krr.fit(&none, &vec![]), Err(Error::Core(CoreError::TooFewPoints { .. }))));
    assert!(matches!(
        krr.fit(&xs, &y[..5]),
        Err(Error::Core(CoreError::Shape { expected: 6, given: 5, .. }))
    ));
    assert!(matches!(krr.fit(&xs, &DMatrix::<f64>::zeros(6, 0)), Err(Error::Core(CoreError::Shape { .. }))));
    let mut bad = y.clone();
    bad[2] = f64::NAN;
    assert!(matches!(krr.fit(&xs, &bad), Err(Error::Value { row: 2, .. })));
    let mut values = xs.as_slice().to_vec();
    values[3] = f64::INFINITY;
    let infinite = Rows::from_row_major(values, 6, 2).unwrap();
    assert!(matches!(
        krr.fit(&infinite, &y),
        Err(Error::Core(CoreError::NotFinite { row: 1, column: 1, .. }))
    ));
    assert!(matches!(krr.clone().ridge(-1.0).fit(&xs, &y), Err(Error::Core(CoreError::Parameter { .. }))));
    assert!(matches!(
        krr.clone().weights(vec![1.0; 5]).fit(&xs, &y),
        Err(Error::Core(CoreError::Shape { .. }))
    ));
    assert!(matches!(krr.clone().weights(vec![-1.0; 6]).fit(&xs, &y), Err(Error::Value { row: 0, .. })));
    let sigmoid: AnyKernel<f64> = "sigmoid()".parse().unwrap();
    assert!(matches!(
        Krr::new(sigmoid.clone()).fit(&xs, &y),
        Err(Error::Core(CoreError::NotPositive { .. }))
    ));
    assert!(matches!(
        GaussianProcess::new(sigmoid).fit(&xs, &y),
        Err(Error::Core(CoreError::NotPositive { .. }))
    ));
    assert!(matches!(
        KernelClassifier::new(rbf()).fit(&xs, &[3; 6]),
        Err(Error::Classes { given: 6, classes: 1 })
    ));
    let model = krr.fit(&xs, &y).unwrap();
    let other = Rows::from_row_major(vec![0.0; 3], 1, 3).unwrap();
    assert!(matches!(model.predict(&other), Err(Error::Core(CoreError::Shape { .. }))));
    assert!(model.predict(&none).unwrap().is_empty());
    // Coincident points without a ridge worth the name: the error names a ridge that works.
    let same = Rows::from_row_major(vec![1.0; 12], 6, 2).unwrap();
    let Err(Error::Core(CoreError::NotPositiveDefinite { suggested, .. })) =
        krr.clone().ridge(1e-18).fit(&same, &y)
    else {
        panic!("a singular matrix")
    };
    assert!(krr.ridge(suggested).fit(&same, &y).is_ok());
}

#[test]
fn one_point_constant_targets_and_wild_scales() {
    let one = Rows::from_row_major(vec![0.3], 1, 1).unwrap();
    let model = Krr::new(rbf()).ridge(1.0).fit(&one, &[4.0][..]).unwrap();
    assert!((model.predict(&one).unwrap()[(0, 0)] - 2.0).abs() < 1e-15);
    assert!(GaussianProcess::new(rbf()).fit(&one, &[4.0][..]).is_ok());
    let (xs, y) = sample(20);
    let constant = GaussianProcess::new(rbf()).fit(&xs, &vec![7.0; 20]).unwrap();
    assert!((constant.predict(&xs).unwrap().mean[(3, 0)] - 7.0).abs() < 1e-12);
    for scale in [1e-150, 1e-6, 1e6, 1e150] {
        let scaled: Vec<f64> = y.iter().map(|v| v * scale).collect();
        let p = GaussianProcess::new(rbf()).noise(1e-3).fit(&xs, &scaled).unwrap().predict_mean(&xs).unwrap();
        for (p, y) in p.iter().zip(&y) {
            assert!((p / scale - y).abs() < 0.05, "scale {scale}: {} and {y}", p / scale);
        }
        let p = Krr::new(rbf()).ridge(1e-3).fit(&xs, &scaled).unwrap().predict(&xs).unwrap();
        assert!((p[(5, 0)] / scale - y[5]).abs() < 0.05);
    }
}

#[test]
fn singles_are_fitted_in_double_precision() {
    let (xs, y) = sample(30);
    let singles = Rows::new(&xs.to_matrix().map(|v| v as f32));
    let (a, b) = (
        Krr::new(rbf()).ridge(0.01).fit(&xs, &y).unwrap(),
        Krr::new(rbf()).ridge(0.01).fit(&singles, &y).unwrap(),
    );
    // Rounding of values of the kernel to single precision, grown by the condition number of about 1e3.
    near(b.predict(&singles).unwrap().as_slice(), a.predict(&xs).unwrap().as_slice(), 1e-3);
}

#[test]
fn sampling_has_the_posterior_as_its_law() {
    let (xs, y) = sample(12);
    let model = GaussianProcess::new(rbf()).noise(0.2).objective(None).fit(&xs, &y).unwrap();
    let at = Rows::from_row_major(vec![0.5, 0.5, 3.0, 2.0], 2, 2).unwrap();
    let p = model.predict(&at).unwrap();
    let draws = model.sample(&at, 4000, 5).unwrap();
    for i in 0..2 {
        let (mean, sd) = (draws.row(i).mean(), p.variance[(i, 0)].sqrt());
        // 5 standard errors of a mean and of a variance of 4000 draws.
        assert!((mean - p.mean[(i, 0)]).abs() < 5.0 * sd / 4000.0_f64.sqrt());
        assert!((draws.row(i).variance() / (sd * sd) - 1.0).abs() < 5.0 * (2.0 / 4000.0_f64).sqrt());
    }
    assert_eq!(model.sample(&at, 3, 5).unwrap().as_slice(), draws.columns(0, 3).into_owned().as_slice());
}

#[cfg(feature = "rayon")]
#[test]
fn bits_do_not_depend_on_threads() {
    let (xs, y) = sample(700);
    let all = || {
        let labels: Vec<usize> = y.iter().map(|v| usize::from(*v > 0.8)).collect();
        let gp = GaussianProcess::new(AnyKernel::new(1.0 * rbf()))
            .restarts(1)
            .max_iterations(3)
            .fit(&xs, &y)
            .unwrap();
        let loo = Krr::new(rbf()).ridge(0.1).leave_one_out(&xs, &y).unwrap();
        let path = RidgePath::new(rbf(), &xs, &y).unwrap().evaluate(0.1).unwrap();
        let classifier = KernelClassifier::new(rbf()).ridge(0.1).fit(&xs, &labels).unwrap();
        let mut all = gp.predict(&xs).unwrap().variance.as_slice().to_vec();
        all.extend(
            gp.predict_mean(&xs).unwrap().iter().chain(&loo.residuals).chain(&[path.loo_mse, path.gcv]),
        );
        all.extend(classifier.predict_probability(&xs).unwrap().iter());
        all.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let one = with(1);
    for threads in [2, 3] {
        assert!(one == with(threads), "{threads} threads");
    }
}

#[cfg(feature = "serde")]
#[test]
fn stored_models_predict_the_same_bits() {
    fn again<M: serde::Serialize + serde::de::DeserializeOwned>(model: &M) -> M {
        serde_json::from_str(&serde_json::to_string(model).unwrap()).unwrap()
    }
    let (xs, y) = sample(40);
    let labels: Vec<usize> = y.iter().map(|v| (v.abs() * 2.0) as usize).collect();
    let kernel: AnyKernel<f64> =
        "1.3 * matern(nu=1.5, length_scale=[0.7, 0.9]) + white(variance=0.001)".parse().unwrap();
    let krr = Krr::new(kernel.clone()).ridge(0.1).intercept(true).fit(&xs, &y).unwrap();
    assert_eq!(again(&krr), krr);
    assert_eq!(again(&krr).predict(&xs).unwrap(), krr.predict(&xs).unwrap());
    let gp = GaussianProcess::new(kernel.clone())
        .objective(Objective::LeaveOneOutDensity)
        .max_iterations(3)
        .fit(&xs, &y)
        .unwrap();
    assert_eq!(again(&gp).predict_observation(&xs).unwrap(), gp.predict_observation(&xs).unwrap());
    for calibration in [Calibration::Platt, Calibration::Isotonic, Calibration::Temperature] {
        let model = KernelClassifier::new(kernel.clone())
            .ridge(0.1)
            .calibration(calibration)
            .fit(&xs, &labels)
            .unwrap();
        assert_eq!(again(&model).predict_probability(&xs).unwrap(), model.predict_probability(&xs).unwrap());
    }
    let two: Vec<usize> = labels.iter().map(|l| usize::from(*l > 0)).collect();
    let model = GpClassifier::new(kernel.clone()).optimise(false).fit(&xs, &two).unwrap();
    assert_eq!(again(&model).predict_probability(&xs).unwrap(), model.predict_probability(&xs).unwrap());
    let plain: AnyKernel<f64> = "1.3 * matern(nu=1.5, length_scale=[0.7, 0.9])".parse().unwrap();
    let sparse = SparseGaussianProcess::new(plain, 10).optimise(false).fit(&xs, &y).unwrap();
    assert_eq!(again(&sparse).predict(&xs).unwrap(), sparse.predict(&xs).unwrap());
    let mean = ConditionalMean::new(kernel.clone(), &xs, 0.1).unwrap();
    assert_eq!(again(&mean).weights(&xs).unwrap(), mean.weights(&xs).unwrap());
    let (many, _) = LogFalkon::new(kernel.clone(), 10).fit_classes(&xs, &labels, &mut ()).unwrap();
    assert_eq!(again(&many), many);
    let votes = SupportVectorClassifier::new(kernel.clone()).one_versus_one(true).fit(&xs, &labels).unwrap();
    assert_eq!(again(&votes), votes);
    let clusters = KernelKMeans::new(Rbf::new(1.0).unwrap(), 3).fit(&xs).unwrap();
    let tree =
        ExplainedClusters::new(&clusters, &xs, UnivariateRbf::new(0.5, xs.clone()).unwrap(), 3).unwrap();
    assert_eq!(again(&tree), tree);
    // A factor that is not square is refused when it is read.
    let crooked = serde_json::to_string(&mean).unwrap().replacen("[[", "[[1.0,", 1);
    assert!(serde_json::from_str::<ConditionalMean<Rows<f64>, AnyKernel<f64>>>(&crooked).is_err());
    let newer = serde_json::to_string(&krr).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    let error =
        serde_json::from_str::<kernels_solvers::KrrModel<Rows<f64>, AnyKernel<f64>>>(&newer).unwrap_err();
    assert!(error.to_string().contains("format version 2; this version of the crate reads 1"), "{error}");
}

/// A user who stops a fit gets told so.
#[test]
fn a_fit_can_be_cancelled() {
    struct Stop;
    impl kernels_core::Progress for Stop {
        fn step(&mut self, _: &str, done: usize, _: usize) -> std::ops::ControlFlow<()> {
            if done >= 2 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        }
    }
    let (xs, y) = sample(30);
    let fitted = GaussianProcess::new(AnyKernel::new(1.0 * rbf())).fit_with(&xs, &y, &mut Stop);
    assert!(matches!(fitted, Err(Error::Core(CoreError::Cancelled))));
}
