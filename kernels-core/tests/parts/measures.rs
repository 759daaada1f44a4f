use kernels_core::{
    Error, Rbf, Rows, gram,
    measures::{
        alignment, cka, cka_debiased, cka_minibatch, effective_dimension, eigen_decay, hsic, hsic_unbiased,
        linear_cka, linear_cka_debiased, target_alignment,
    },
};
use nalgebra::{DMatrix, DVector};

use super::{matrix, numbers, read, spread};

#[test]
fn reference_values() {
    let file = read(include_str!("../reference/cka.json"));
    let (x, y) = (matrix(&file["X"]), matrix(&file["Y"]));
    let labels = DVector::from_vec(numbers(&file["labels"]));
    let rbf =
        |m: &DMatrix<f64>, gamma: f64| gram(&Rbf::new((0.5 / gamma).sqrt()).unwrap(), &Rows::new(m)).unwrap();
    let gamma = |name: &str| file["gammas"][name].as_f64().unwrap();
    for (name, k, l) in [
        ("linear", &x * x.transpose(), &y * y.transpose()),
        ("rbf", rbf(&x, gamma("X")), rbf(&y, gamma("Y"))),
    ] {
        for (what, got) in [
            ("hsic_biased", hsic(&k, &l)),
            ("hsic_unbiased", hsic_unbiased(&k, &l)),
            ("cka", cka(&k, &l)),
            ("cka_debiased", cka_debiased(&k, &l)),
            ("alignment_uncentred", alignment(&k, &l)),
            ("kta_centred_with_y", target_alignment(&k, &labels)),
        ] {
            let (got, e) = (got.unwrap(), file["values"][name][what].as_f64().unwrap());
            assert!((got - e).abs() < 1e-12 * e.abs(), "{name} {what}: {got} {e}");
        }
    }
    let e = |what: &str| file["values"]["linear"][what].as_f64().unwrap();
    assert!((linear_cka(&x, &y).unwrap() - e("cka")).abs() < 1e-13);
    assert!((linear_cka_debiased(&x, &y).unwrap() - e("cka_debiased")).abs() < 1e-12);
}

fn data(n: usize, d: usize, from: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, d, |i, j| spread(from + 31 * i + 7 * j))
}

#[test]
fn invariances() {
    let (x, y) = (data(30, 3, 0), data(30, 4, 500));
    let base = linear_cka(&x, &y).unwrap();
    let rotation = data(3, 3, 900).qr().q();
    let moved = (&x * rotation * 7.0).map_with_location(|_, j, v| v + 100.0 * j as f64);
    assert!((linear_cka(&moved, &y).unwrap() - base).abs() < 1e-11);
    assert!((linear_cka(&y, &x).unwrap() - base).abs() < 1e-14);
    assert!((linear_cka_debiased(&moved, &y).unwrap() - linear_cka_debiased(&x, &y).unwrap()).abs() < 1e-10);
    let (k, l) = (&x * x.transpose(), &y * y.transpose());
    assert!((cka(&k, &l).unwrap() - base).abs() < 1e-13);
    assert!((cka_debiased(&k, &l).unwrap() - linear_cka_debiased(&x, &y).unwrap()).abs() < 1e-12);
    assert!((0.0..=1.0).contains(&base));
}

/// Unbiased: over disjoint samples of independent data the mean of the unbiased HSIC is 0 within 5 standard errors; the biased one is not.
#[test]
fn unbiased_hsic_of_independent_data() {
    use rand::{RngExt, SeedableRng};
    let kernel = Rbf::new(0.7).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let (mut plain, mut debiased) = (Vec::new(), Vec::new());
    for _ in 0..400 {
        let mut sample =
            || gram(&kernel, &Rows::new(&DMatrix::from_fn(12, 2, |_, _| rng.random::<f64>()))).unwrap();
        let (k, l) = (sample(), sample());
        plain.push(hsic(&k, &l).unwrap());
        debiased.push(hsic_unbiased(&k, &l).unwrap());
    }
    let z = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (v.len() - 1) as f64;
        mean / (variance / v.len() as f64).sqrt()
    };
    assert!(z(&debiased).abs() < 5.0 && z(&plain) > 10.0, "{} {}", z(&debiased), z(&plain));
}

#[test]
fn batches() {
    let kernel = Rbf::new(1.0).unwrap();
    let (x, y) = (Rows::new(&data(40, 2, 0)), Rows::new(&data(40, 2, 40)));
    let whole = cka_debiased(&gram(&kernel, &x).unwrap(), &gram(&kernel, &y).unwrap()).unwrap();
    assert!((cka_minibatch(&kernel, &x, &kernel, &y, 40).unwrap() - whole).abs() < 1e-14);
    assert!((cka_minibatch(&kernel, &x, &kernel, &x, 7).unwrap() - 1.0).abs() < 1e-12);
    assert!(cka_minibatch(&kernel, &x, &kernel, &y, 3).is_err());
    assert!(cka_minibatch(&kernel, &x, &kernel, &y, 41).is_err());
}

#[test]
fn dimension_and_decay() {
    let xs = Rows::new(&data(20, 2, 0));
    let k = gram(&Rbf::new(1.0).unwrap(), &xs).unwrap();
    let values: Vec<f64> = k.clone().symmetric_eigenvalues().iter().copied().collect();
    let ridge = 0.1;
    let expected = (k.clone() + DMatrix::identity(20, 20) * ridge).cholesky().unwrap().solve(&k).trace();
    assert!((effective_dimension(&values, ridge).unwrap() - expected).abs() < 1e-10);
    assert!(effective_dimension(&values, 0.0).is_err() && effective_dimension(&[f64::NAN], 1.0).is_err());
    let flat = eigen_decay(&[2.0; 8]).unwrap();
    assert!((flat.participation - 8.0).abs() < 1e-12 && (flat.entropy_rank - 8.0).abs() < 1e-12);
    assert_eq!((flat.exponent, flat.r_squared, flat.rank), (0.0, 1.0, 8));
    assert!(eigen_decay(&[0.0, -1.0]).is_err() && eigen_decay(&[]).is_err());
    assert_eq!(eigen_decay(&[3.0, 1e-20]).unwrap().rank, 1);
}

#[test]
fn edges() {
    let constant = DMatrix::from_element(6, 6, 3.7);
    let k = gram(&Rbf::new(1.0).unwrap(), &Rows::new(&data(6, 2, 0))).unwrap();
    assert!(matches!(cka(&constant, &k), Err(Error::Constant { .. })));
    assert!(matches!(cka_debiased(&constant, &k), Err(Error::Constant { .. })));
    assert!(matches!(
        linear_cka(&DMatrix::from_element(6, 2, 0.1), &data(6, 2, 0)),
        Err(Error::Constant { .. })
    ));
    assert!(alignment(&constant, &k).is_ok() && alignment(&DMatrix::zeros(6, 6), &k).is_err());
    assert!(cka(&k, &data(6, 5, 0)).is_err() && cka(&k, &data(5, 5, 0)).is_err());
    assert!(hsic_unbiased(&data(3, 3, 0), &data(3, 3, 0)).is_err());
    assert!(cka(&DMatrix::zeros(0, 0), &DMatrix::zeros(0, 0)).is_err());
    assert!(matches!(cka(&k, &DMatrix::from_element(6, 6, f64::NAN)), Err(Error::NotFinite { .. })));
    assert!(target_alignment(&k, &DVector::zeros(5)).is_err());
    let huge = &k * 1e150;
    assert!((cka(&huge, &k).unwrap() - 1.0).abs() < 1e-12);
}
