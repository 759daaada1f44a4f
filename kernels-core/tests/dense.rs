//! Dense factorizations on matrices that are hard for them, and sparse operators.
#![cfg(all(feature = "dense", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use kernels_core::{
    Error, Sparse,
    dense::{Lu, Qr, Svd, product, product_transposed, transposed_product},
    testing,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

/// Random entries, with equal columns, tiny and huge scales, and rank 1 among them.
fn matrices() -> impl Strategy<Value = DMatrix<f64>> {
    let shape = (0usize..24, 0usize..12, 0u8..5);
    shape.prop_flat_map(|(extra, n, kind)| {
        prop::collection::vec(-1.0..1.0_f64, (n + extra) * n).prop_map(move |values| {
            let mut a = DMatrix::from_vec(n + extra, n, values);
            match kind {
                1 => a *= 1e-150,
                2 => a *= 1e140,
                3 if n > 1 => {
                    let first = a.column(0).into_owned();
                    a.set_column(n - 1, &first);
                }
                4 if n > 0 => a = a.column(0) * a.row(0),
                _ => {}
            }
            a
        })
    })
}

fn orthonormal(q: &DMatrix<f64>) -> f64 {
    (q.tr_mul(q) - DMatrix::identity(q.ncols(), q.ncols())).amax()
}

proptest! {
    // Backward stability: errors of a few dozen roundings at the scale of the matrix.
    #[test]
    fn factors_multiply_to_the_matrix(a in matrices()) {
        let tolerance = 1e-13 * a.amax().max(f64::MIN_POSITIVE);
        let qr = Qr::new(&a).unwrap();
        prop_assert!(orthonormal(&qr.q) < 1e-13);
        prop_assert!((product(&qr.q, &qr.r).unwrap() - &a).amax() <= tolerance);
        let full = Qr::full_basis(&a).unwrap();
        prop_assert!(orthonormal(&full) < 1e-13);
        prop_assert_eq!(full.columns(0, a.ncols()).into_owned(), qr.q);
        for matrix in [a.clone(), a.transpose()] {
            let svd = Svd::new(&matrix).unwrap();
            prop_assert!(orthonormal(&svd.u) < 1e-12 && orthonormal(&svd.v) < 1e-12);
            prop_assert!(svd.values.as_slice().windows(2).all(|w| w[0] >= w[1]));
            let scaled = &svd.u * DMatrix::from_diagonal(&svd.values);
            prop_assert!((product_transposed(&scaled, &svd.v).unwrap() - &matrix).amax() <= 10.0 * tolerance);
        }
        let gram = transposed_product(&a, &a).unwrap();
        prop_assert!((&gram - a.transpose() * &a).amax() <= 1e-13 * gram.amax());
    }

    #[test]
    fn saddle_systems_are_solved(a in matrices(), b in -1.0..1.0_f64) {
        // [[I, A], [Aᵀ, −I]] is well conditioned at scale 1 for every A.
        let (m, n) = a.shape();
        let a = if a.amax() > 2.0 || a.amax() < 1e-3 { a.map(|_| 0.5) } else { a };
        let mut k = DMatrix::identity(m + n, m + n);
        k.view_mut((0, m), (m, n)).copy_from(&a);
        k.view_mut((m, 0), (n, m)).copy_from(&a.transpose());
        k.view_mut((m, m), (n, n)).fill_with_identity();
        k.view_mut((m, m), (n, n)).neg_mut();
        let rhs = DMatrix::from_fn(m + n, 2, |i, j| b + (i * 3 + j) as f64 % 5.0);
        let mut x = rhs.clone();
        Lu::new(k.clone()).unwrap().solve_in_place(x.as_view_mut()).unwrap();
        prop_assert!((k * x - rhs).amax() < 1e-11);
    }

    #[test]
    fn sparse_operators(entries in prop::collection::vec((0usize..9, 0usize..9, -9i8..9), 0..30)) {
        let mut triplets = sprs::TriMat::new((9, 9));
        // Whole numbers: duplicates are summed in either order.
        for (i, j, value) in entries {
            let value = f64::from(value);
            triplets.add_triplet(i, j, value);
            triplets.add_triplet(j, i, value);
        }
        let (csr, csc): (sprs::CsMat<f64>, sprs::CsMat<f64>) = (triplets.to_csr(), triplets.to_csc());
        testing::operator_contract(&Sparse::new(csr.clone()).unwrap()).unwrap();
        prop_assert_eq!(Sparse::new(csr).unwrap(), Sparse::new(csc).unwrap());
    }
}

#[test]
fn what_cannot_be_factorized_is_refused() {
    assert!(matches!(Qr::new(&DMatrix::zeros(2, 3)), Err(Error::Shape { .. })));
    assert!(matches!(Svd::new(&DMatrix::from_element(2, 2, f64::NAN)), Err(Error::NotFinite { .. })));
    assert!(matches!(Lu::new(DMatrix::zeros(2, 2)), Err(Error::Singular { pivot: 0, n: 2 })));
    assert!(matches!(Lu::new(DMatrix::zeros(2, 3)), Err(Error::Shape { .. })));
    assert!(product(&DMatrix::zeros(2, 2), &DMatrix::zeros(3, 2)).is_err());
    assert!(Sparse::<f64>::new(sprs::CsMat::zero((2, 3))).is_err());
}

#[test]
fn bits_do_not_depend_on_threads() {
    let a = DMatrix::from_fn(300, 200, |i, j| ((i * 31 + j * 17) % 101) as f64 - 50.0);
    let work = || {
        let (qr, svd) = (Qr::new(&a).unwrap(), Svd::new(&a).unwrap());
        (qr.q, qr.r, svd.u, svd.values, svd.v, transposed_product(&a, &a).unwrap())
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work);
    let one = on(1);
    assert!(one == on(2) && one == on(3));
}
