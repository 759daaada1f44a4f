use kernels_core::{
    Cauchy, Dense, Error, Kernel, Laplacian, Linear, Matern, Operator, Rbf, Rows, Shifted, White,
    check_operator, gram,
    structured::{Blocks, Circulant, Grid, Hadamard, Interpolated, Kronecker, MaternProcess, Toeplitz},
};
use nalgebra::{DMatrix, DVector};

use super::{matrix, numbers, read, spread};

fn applied(operator: &impl Operator<f64>, rhs: &DMatrix<f64>) -> DMatrix<f64> {
    let mut out = DMatrix::from_element(operator.dim(), rhs.ncols(), 7.0);
    operator.apply(rhs.as_view(), out.as_view_mut()).unwrap();
    out
}

fn formed(operator: &impl Operator<f64>) -> DMatrix<f64> {
    applied(operator, &DMatrix::identity(operator.dim(), operator.dim()))
}

#[test]
fn reference_toeplitz() {
    let file = read(include_str!("../reference/structured.json"));
    let t = &file["toeplitz"];
    let operator = Toeplitz::from_column(&numbers(&t["first_column"])).unwrap();
    let v = numbers(&t["v"]);
    let got = applied(&operator, &DMatrix::from_column_slice(v.len(), 1, &v));
    for (g, e) in got.iter().zip(numbers(&t["Tv"])) {
        assert!((g - e).abs() < 1e-14, "{g} {e}");
    }
    let s = &file["matern32_state_space"];
    // Covariances of the state space are what the likelihood of two observations sees.
    let (l, noise) = (s["lengthscale"].as_f64().unwrap(), 0.3);
    for (tau, k) in numbers(&s["tau"]).into_iter().zip(numbers(&s["k"])) {
        let process = MaternProcess::new(1.5, l, 1.0, noise).unwrap();
        let got = process.log_likelihood(&[0.0, tau], &[0.5, -1.0]).unwrap();
        let covariance = DMatrix::from_row_slice(2, 2, &[1.0 + noise, k, k, 1.0 + noise]);
        assert!((got - log_density(&covariance, &[0.5, -1.0])).abs() < 1e-13);
    }
}

fn log_density(covariance: &DMatrix<f64>, y: &[f64]) -> f64 {
    let y = DVector::from_column_slice(y);
    let chol = covariance.clone().cholesky().unwrap();
    let log_determinant = 2.0 * chol.l().diagonal().map(f64::ln).sum();
    -0.5 * (y.dot(&chol.solve(&y)) + log_determinant + y.len() as f64 * (2.0 * std::f64::consts::PI).ln())
}

fn grid(counts: &[usize]) -> Grid {
    let start: Vec<f64> = counts.iter().map(|c| *c as f64 - 3.0).collect();
    let step: Vec<f64> = counts.iter().enumerate().map(|(k, _)| 0.2 + 0.1 * k as f64).collect();
    Grid::new(&start, &step, counts).unwrap()
}

#[test]
fn toeplitz_is_dense() {
    for counts in [&[1][..], &[2], &[37], &[5, 7], &[1, 6], &[3, 4, 5], &[2, 2, 3, 2]] {
        let grid = grid(counts);
        let kernel =
            Matern::new(1.5, 0.8).unwrap() + 0.3 * Cauchy::new(2.0).unwrap() + White::new(0.1).unwrap();
        let dense = gram(&kernel, &grid.points().unwrap()).unwrap();
        let fast = formed(&Toeplitz::<f64>::new(&kernel, &grid).unwrap());
        // Rounding of coordinates far from the origin, and of the transforms.
        assert!((fast - dense).amax() < 1e-12, "{counts:?}");
    }
    // The Laplacian is a product over the axes: Toeplitz of two axes is Kronecker of one each.
    let (kernel, both) = (Laplacian::new(0.5).unwrap(), grid(&[4, 6]));
    let axis = |k: usize, c: usize| -> Box<dyn Operator<f64>> {
        Box::new(Toeplitz::new(&kernel, &Grid::new(&[0.0], &[0.2 + 0.1 * k as f64], &[c]).unwrap()).unwrap())
    };
    let product = Kronecker::new(vec![axis(0, 4), axis(1, 6)]).unwrap();
    let whole = Toeplitz::<f64>::new(&kernel, &both).unwrap();
    assert!((formed(&product) - formed(&whole)).amax() < 1e-14);
}

check_operator!(toeplitz, Toeplitz::<f64>::new(&Rbf::new(0.5).unwrap(), &grid(&[29])).unwrap());
check_operator!(
    toeplitz_of_three_axes,
    Toeplitz::<f64>::new(&Rbf::new(0.5).unwrap(), &grid(&[3, 5, 4])).unwrap()
);
check_operator!(
    toeplitz_in_single_precision,
    Toeplitz::<f32>::new(&Rbf::new(0.5).unwrap(), &grid(&[8, 4])).unwrap()
);
check_operator!(empty_toeplitz, Toeplitz::<f64>::new(&Rbf::new(0.5).unwrap(), &grid(&[4, 0])).unwrap());
check_operator!(circulant, Circulant::new(&[3, 4], circulant_column(&[3, 4])).unwrap());

fn circulant_column(shape: &[usize]) -> Vec<f64> {
    let mut column = Vec::new();
    for i in 0..shape[0] {
        for j in 0..shape[1] {
            let back = |k: usize, n: usize| k.min(n - k) as f64;
            column.push((-back(i, shape[0]) - 0.5 * back(j, shape[1])).exp());
        }
    }
    column
}

#[test]
fn eigenvalues_of_a_circulant() {
    let circulant = Circulant::new(&[3, 4], circulant_column(&[3, 4])).unwrap();
    let mut got = circulant.eigenvalues();
    let mut dense: Vec<f64> = formed(&circulant).symmetric_eigenvalues().iter().copied().collect();
    got.sort_by(f64::total_cmp);
    dense.sort_by(f64::total_cmp);
    assert!(got.iter().zip(&dense).all(|(a, b)| (a - b).abs() < 1e-13));
    assert!(matches!(Circulant::new(&[3], vec![1.0, 0.5, 0.2]), Err(Error::Parameter { .. })));
    assert!(Circulant::new(&[3], vec![1.0, 0.5]).is_err());
}

fn scattered(n: usize, dim: usize) -> Rows<f64> {
    Rows::from_row_major((0..n * dim).map(|i| 2.0 * spread(i)).collect(), n, dim).unwrap()
}

check_operator!(
    interpolated,
    Interpolated::<f64>::new(&Rbf::new(0.5).unwrap(), &scattered(40, 2), &[12, 9]).unwrap()
);
check_operator!(
    interpolated_in_three_dimensions,
    Interpolated::<f64>::new(&Matern::new(2.5, 0.8).unwrap(), &scattered(9, 3), &[7, 6, 6]).unwrap()
);
check_operator!(
    interpolated_coincident,
    Interpolated::<f64>::new(
        &Rbf::new(0.5).unwrap(),
        &Rows::from_row_major(vec![2.0; 4], 4, 1).unwrap(),
        &[6]
    )
    .unwrap()
);

/// The error falls with the third power of the step: by 8 for a grid twice as fine.
#[test]
fn interpolation_converges() {
    let xs = scattered(60, 1);
    let kernel = Rbf::new(0.6).unwrap();
    let dense = gram(&kernel, &xs).unwrap();
    let error =
        |count: usize| (formed(&Interpolated::<f64>::new(&kernel, &xs, &[count]).unwrap()) - &dense).amax();
    let (coarse, fine) = (error(44), error(84));
    assert!(coarse / fine > 6.5 && fine < 1e-3, "{coarse} {fine}");
}

fn dense(n: usize, from: usize) -> Dense<f64> {
    let xs = Rows::from_row_major((0..n).map(|i| spread(from + i)).collect(), n, 1).unwrap();
    Dense::new(gram(&Rbf::new(0.7).unwrap(), &xs).unwrap()).unwrap()
}

check_operator!(
    kronecker,
    Kronecker::new(vec![
        Box::new(dense(3, 0)),
        Box::new(Toeplitz::<f64>::new(&Rbf::new(0.5).unwrap(), &grid(&[4])).unwrap()),
        Box::new(Shifted::new(dense(2, 9), 0.5))
    ])
    .unwrap()
);
check_operator!(
    blocks,
    Blocks::new(vec![
        Box::new(dense(3, 0)),
        Box::new(dense(5, 3)),
        Box::new(dense(0, 0)),
        Box::new(dense(2, 8))
    ])
    .unwrap()
    .with_block(1, 0, DMatrix::from_fn(5, 3, |i, j| spread(i + 5 * j)))
    .unwrap()
    .with_block(0, 3, DMatrix::from_fn(3, 2, |i, j| spread(40 + i + 5 * j)))
    .unwrap()
);
check_operator!(hadamard, Hadamard::new::<f64>(dense(70, 0), dense(70, 100)).unwrap());

#[test]
fn parts_are_dense() {
    let (a, b) = (dense(3, 0), dense(4, 5));
    let product = Kronecker::new(vec![Box::new(a.clone()), Box::new(b.clone())]).unwrap();
    assert!((formed(&product) - a.matrix().kronecker(b.matrix())).amax() < 1e-15);
    let (a, b) = (dense(70, 0), dense(70, 100));
    let expected = a.matrix().component_mul(b.matrix());
    assert!((formed(&Hadamard::new::<f64>(a, b).unwrap()) - expected).amax() < 1e-15);
    assert!(Hadamard::new::<f64>(dense(2, 0), dense(3, 0)).is_err());
    let (a, b, c) =
        (dense(3, 0), dense(2, 5), matrix(&serde_json::json!([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])));
    let whole = Blocks::new(vec![Box::new(a.clone()), Box::new(b.clone())])
        .unwrap()
        .with_block(0, 1, c.clone())
        .unwrap();
    let mut expected = DMatrix::zeros(5, 5);
    expected.view_mut((0, 0), (3, 3)).copy_from(a.matrix());
    expected.view_mut((3, 3), (2, 2)).copy_from(b.matrix());
    expected.view_mut((0, 3), (3, 2)).copy_from(&c);
    expected.view_mut((3, 0), (2, 3)).copy_from(&c.transpose());
    assert!((formed(&whole) - expected).amax() < 1e-15);
}

#[test]
fn a_filter_is_the_dense_process() {
    let n = 40;
    let mut times: Vec<f64> = (0..n).map(|i| 3.0 * spread(i)).collect();
    // A time that repeats, and one very near another.
    times[7] = times[3];
    times[9] = times[4] + 1e-9;
    let y: Vec<f64> = times.iter().enumerate().map(|(i, t)| (2.0 * t).sin() + 0.1 * spread(90 + i)).collect();
    let at = [-2.5, 0.1, times[5], 10.0, 2.999];
    for nu in [0.5, 1.5, 2.5] {
        let (variance, noise) = (1.7, 0.05);
        let process = MaternProcess::new(nu, 0.6, variance, noise).unwrap();
        let kernel = variance * Matern::new(nu, 0.6).unwrap();
        let xs = Rows::from_row_major(times.clone(), n, 1).unwrap();
        let k = gram(&kernel, &xs).unwrap() + DMatrix::identity(n, n) * noise;
        let expected = log_density(&k, &y);
        let got = process.log_likelihood(&times, &y).unwrap();
        assert!((got - expected).abs() < 1e-9 * expected.abs(), "{nu}: {got} {expected}");
        let chol = k.cholesky().unwrap();
        let weights = chol.solve(&DVector::from_column_slice(&y));
        let (means, variances) = process.predict(&times, &y, &at).unwrap();
        for (i, &t) in at.iter().enumerate() {
            let column = DVector::from_fn(n, |j, _| kernel.eval(&[times[j]], &[t]));
            assert!((means[i] - column.dot(&weights)).abs() < 1e-9, "{nu} at {t}");
            let v = variance - column.dot(&chol.solve(&column));
            assert!((variances[i] - v).abs() < 1e-9, "{nu} at {t}: {} {v}", variances[i]);
        }
    }
    let process = MaternProcess::new(0.5, 1.0, 1.0, 0.0).unwrap();
    assert!(matches!(
        process.log_likelihood(&[1.0, 1.0], &[0.0, 0.0]),
        Err(Error::NotPositiveDefinite { .. })
    ));
    assert_eq!(process.log_likelihood(&[], &[]).unwrap(), 0.0);
    assert_eq!(process.predict(&[], &[], &[3.0]).unwrap(), (vec![0.0], vec![1.0]));
    assert!(
        process.log_likelihood(&[1.0], &[]).is_err() && process.log_likelihood(&[f64::NAN], &[0.0]).is_err()
    );
    assert!(MaternProcess::new(1.0, 1.0, 1.0, 0.0).is_err());
    let far = process.log_likelihood(&[-1e300, 1e300], &[0.0, 0.0]).unwrap();
    assert!((far + (2.0 * std::f64::consts::PI).ln()).abs() < 1e-12);
}

#[test]
fn refusals() {
    assert!(matches!(
        Toeplitz::<f64>::new(&Linear::new(0.0).unwrap(), &grid(&[5])),
        Err(Error::Parameter { .. })
    ));
    assert!(Grid::new(&[0.0], &[0.0], &[3]).is_err() && Grid::new(&[0.0], &[1.0, 2.0], &[3]).is_err());
    assert!(Grid::new(&[], &[], &[]).is_err() && Grid::new(&[0.0; 2], &[1.0; 2], &[usize::MAX; 2]).is_err());
    let rbf = Rbf::new(1.0).unwrap();
    assert!(Interpolated::<f64>::new(&rbf, &scattered(3, 1), &[5]).is_err());
    assert!(Interpolated::<f64>::new(&rbf, &scattered(3, 4), &[6; 4]).is_err());
    assert!(Interpolated::<f64>::new(&rbf, &scattered(3, 2), &[6]).is_err());
    assert!(Kronecker::<f64>::new(vec![]).is_err());
    assert!(Toeplitz::from_column(&[1.0, f64::NAN]).is_err());
}
