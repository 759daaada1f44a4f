//! Components, clusters, trees, contrastive losses, and transformed kernels.

use kernels_core::{Linear, Polynomial, Rows, gram};
use kernels_solvers::{Stkr, stkr::Transform, unsupervised::*};
use nalgebra::DMatrix;
use proptest::prelude::*;

use super::*;

fn absolute(m: &DMatrix<f64>) -> DMatrix<f64> {
    m.map(f64::abs)
}

fn check_components<K>(kernel: K, file: &Value, r: &Value)
where
    K: kernels_core::Kernel<Rows<f64>> + kernels_core::PositiveDefinite + Clone,
{
    let (x, test) = (rows(&file["X"]), rows(&file["X_test"]));
    let model = KernelPca::new(kernel.clone(), 5).fit(&x).unwrap();
    close("eigenvalues", model.eigenvalues().as_slice(), &vector(&r["eigenvalues"]), 1e-11);
    close("train", absolute(model.scores()).as_slice(), matrix(&r["train_projection_abs"]).as_slice(), 1e-9);
    let scores = model.transform(&test).unwrap();
    close("test", absolute(&scores).as_slice(), matrix(&r["test_projection_abs"]).as_slice(), 1e-9);
    close("again", model.transform(&x).unwrap().as_slice(), model.scores().as_slice(), 1e-10);
    let inner = &scores * scores.transpose();
    close("inner", inner.as_slice(), matrix(&r["test_gram_in_projection"]).as_slice(), 1e-9);
    let back = model.pre_image(kernel.clone(), 0.1, &x).unwrap();
    let points = back.predict(&Rows::new(&scores)).unwrap();
    close("reconstruction", points.as_slice(), matrix(&r["reconstruction_of_test"]).as_slice(), 1e-8);
}

#[test]
fn components_agree_with_scikit_learn() {
    let file = read(include_str!("../reference/kernel_pca.json"));
    check_components(rbf(0.4), &file, &file["cases"]["rbf"]);
    check_components(Polynomial::new(3, 0.5, 1.0).unwrap(), &file, &file["cases"]["poly"]);
    // Landmarks that are all (distinct) points lose nothing.
    let x = rows(&file["X"]);
    let distinct: Vec<usize> = (0..24)
        .filter(|&i| (0..i).all(|j| (x.to_matrix().row(i) - x.to_matrix().row(j)).norm() > 0.0))
        .collect();
    let exact = KernelPca::new(rbf(0.4), 5).fit(&x).unwrap();
    let all = KernelPca::new(rbf(0.4), 5).landmarks(distinct).fit(&x).unwrap();
    close("landmarks", all.eigenvalues().as_slice(), exact.eigenvalues().as_slice(), 1e-9);
    let test = rows(&file["X_test"]);
    let (a, b) = (all.transform(&test).unwrap(), exact.transform(&test).unwrap());
    close("landmarks", absolute(&a).as_slice(), absolute(&b).as_slice(), 1e-7);
    let few = KernelPca::new(rbf(0.4), 5).landmarks(vec![0, 3, 9]).fit(&x).unwrap();
    assert_eq!(few.eigenvalues().len(), 3);
    assert!(few.eigenvalues().iter().zip(exact.eigenvalues()).all(|(a, b)| *a <= b * (1.0 + 1e-9)));
    let constant = Rows::from_row_major(vec![1.0; 8], 4, 2).unwrap();
    assert_eq!(KernelPca::new(Linear::new(0.0).unwrap(), 2).fit(&constant).unwrap().eigenvalues().len(), 0);
    assert!(KernelPca::new(rbf(1.0), 2).fit(&Rows::<f64>::from_row_major(vec![], 0, 2).unwrap()).is_err());
}

#[test]
fn clusters_and_their_explanation() {
    let file = read(include_str!("../reference/kernel_clustering.json"));
    let x = rows(&file["X"]);
    let start = labels(&file["init_labels"]);
    let model = KernelKMeans::new(rbf(0.7), 3).start(start.clone()).fit(&x).unwrap();
    assert_eq!(model.labels(), labels(&file["final_labels"]));
    close("costs", &model.costs()[..3], &vector(&file["cost_history"]), 1e-12);
    assert_eq!(model.predict(&x).unwrap(), model.labels());
    let features = UnivariateRbf::new(0.7, x.clone()).unwrap();
    let explained = ExplainedClusters::new(&model, &x, features.clone(), 3).unwrap();
    assert_eq!(explained.first_mistakes as u64, file["first_imm_cut"]["min_mistakes"].as_u64().unwrap());
    assert_eq!(explained.tree.leaves(), 3);
    let grown = ExplainedClusters::new(&model, &x, features, 6).unwrap();
    println!("price of explainability: {} with 3 leaves, {} with 6", explained.price, grown.price);
    assert!(explained.price >= 1.0 - 1e-9 && grown.price < explained.price + 1e-9 && explained.price < 1.5);
    assert_eq!(grown.tree.questions().len(), grown.tree.leaves() - 1);

    let similarity = gram(&rbf(0.7), &x).unwrap();
    let embedding = SpectralEmbedding::new(&similarity, 6).unwrap();
    let expected = vector(&file["normalized_laplacian_eigenvalues"]);
    assert!(embedding.eigenvalues.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(normalized_laplacian(&DMatrix::from_element(2, 2, -1.0)).is_err());
    // A point without any similarity.
    assert!(
        SpectralEmbedding::new(&DMatrix::zeros(3, 3), 2).unwrap().coordinates.iter().all(|v| v.is_finite())
    );
}

#[test]
fn contrastive_losses() {
    let file = read(include_str!("../reference/kernel_clustering.json"));
    let r = &file["kernel_infonce"];
    let (a, b) = (matrix(&r["z1"]), matrix(&r["z2"]));
    // The temperatures behind the file's numbers, which it does not name: ½ for the Gaussian, 0.7 for the others.
    close("gauss", &[info_nce(&a, &b, 2.0, 0.5).unwrap()], &[number(&r["losses"]["mu_gauss"])], 1e-10);
    close("half", &[info_nce(&a, &b, 0.5, 0.7).unwrap()], &[number(&r["losses"]["gamma0.5"])], 1e-10);
    let mixture = info_nce_mixture(&a, &b, 0.3, (0.5, 0.7), 0.7).unwrap();
    close("mixture", &[mixture], &[number(&r["losses"]["mixture_lambda0.3"])], 1e-10);
    assert!(info_nce(&a, &b.rows(0, 3).into_owned(), 2.0, 1.0).is_err());
    assert!(info_nce(&a, &b, 0.0, 1.0).is_err() && info_nce_mixture(&a, &b, 1.5, (1.0, 1.0), 1.0).is_err());
}

#[test]
fn transformed_kernels() {
    let file = read(include_str!("../reference/stkr.json"));
    let (x, test, y) = (rows(&file["X"]), rows(&file["X_test"]), vector(&file["y"]));
    let p = &file["polynomial"];
    let fit = |t: Transform| Stkr::new(rbf(0.5), t).beta(0.01).fit(&x, &y);
    let model = fit(Transform::Polynomial(vector(&p["pi"]))).unwrap();
    close("alpha", model.coefficients().as_slice(), &vector(&p["alpha"]), 1e-10);
    close("test", model.predict(&test).unwrap().as_slice(), &vector(&p["pred_test"]), 1e-10);
    let r = &file["inverse_laplacian"];
    // η is a share of N/μ₁, the largest eigenvalue of G/N inverted.
    let top = gram(&rbf(0.5), &x).unwrap().symmetric_eigen().eigenvalues.max() / 30.0;
    let model = fit(Transform::InverseLaplacian(number(&r["eta"]) * top)).unwrap();
    close("theta", model.theta().as_slice(), &vector(&r["theta"]), 1e-9);
    close("test", model.predict(&test).unwrap().as_slice(), &vector(&r["pred_test"]), 1e-9);
    let unlabelled = Rows::new(&x.to_matrix().rows(10, 20).into_owned());
    close("all", model.predict(&unlabelled).unwrap().as_slice(), &vector(&r["pred_unlabelled"]), 1e-9);
    // The same by products alone, to the tolerance of the iteration.
    let kernel = rbf(0.5);
    let lazy = kernels_core::LazyGram::new(&kernel, &x, 1 << 20).unwrap();
    let by_products = |t: Transform| kernels_solvers::stkr::propagate(&t, 0.01, &lazy, &y, &mut ());
    let found = by_products(Transform::Polynomial(vector(&p["pi"]))).unwrap();
    close("alpha", found.coefficients.as_slice(), &vector(&p["alpha"]), 1e-9);
    let found = by_products(Transform::InverseLaplacian(number(&r["eta"]) * top)).unwrap();
    close("theta", found.theta.as_slice(), &vector(&r["theta"]), 1e-8);
    close("all", &found.values.as_slice()[10..], &vector(&r["pred_unlabelled"]), 1e-8);
    assert!(by_products(Transform::KernelPca(2)).is_err());
    let model = fit(Transform::KernelPca(4)).unwrap();
    close("pca", model.predict(&test).unwrap().as_slice(), &vector(&file["kernel_pca"]["pred_test"]), 1e-9);
    // The identity transform is ridge regression on the labelled points.
    let plain = fit(Transform::Polynomial(vec![1.0])).unwrap();
    let labelled = Rows::new(&x.to_matrix().rows(0, 10).into_owned());
    let ridge = kernels_solvers::Krr::new(rbf(0.5)).ridge(0.1).fit(&labelled, &y).unwrap();
    close("plain", plain.predict(&test).unwrap().as_slice(), ridge.predict(&test).unwrap().as_slice(), 1e-10);
    for t in [
        Transform::Polynomial(vec![]),
        Transform::Polynomial(vec![-1.0]),
        Transform::InverseLaplacian(1.0),
        Transform::KernelPca(0),
    ] {
        assert!(fit(t).is_err());
    }
    assert!(Stkr::new(rbf(0.5), Transform::KernelPca(2)).fit(&labelled, &vec![1.0; 11]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Costs never rise; every cluster has a point; the same seed gives the same labels.
    #[test]
    fn lloyd_is_monotone(values in proptest::collection::vec(-3.0..3.0f64, 6..30), k in 1usize..5, seed in 0u64..50) {
        let x = Rows::from_row_major(values.clone(), values.len(), 1).unwrap();
        let model = KernelKMeans::new(rbf(0.5), k).seed(seed).fit(&x).unwrap();
        prop_assert!(model.costs().windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-12) + 1e-12));
        prop_assert!((0..k).all(|c| model.labels().contains(&c)));
        let again = KernelKMeans::new(rbf(0.5), k).seed(seed).fit(&x).unwrap();
        prop_assert_eq!(model.labels(), again.labels());
    }
}
