//! Interpolation with conditionally positive definite kernels against scipy's and dense saddle-point solves.

use kernels_core::{
    AnyKernel, Error as CoreError, Points, Polyharmonic, PowerDistance, Rows, cross_gram, gram,
};
use kernels_solvers::{CpdInterpolation, Error};
use nalgebra::DMatrix;
use proptest::prelude::*;

use super::{close, matrix, read, rows, vector};

#[test]
fn against_scipy() {
    let file = read(include_str!("cpd.json"));
    let (x, query, y) = (matrix(&file["X"]), matrix(&file["query"]), vector(&file["y"]));
    for case in file["cases"].as_array().unwrap() {
        let text = match case["kernel"].as_str().unwrap() {
            "thin_plate_spline" => "thin_plate()",
            "linear" => "power(p=1)",
            "cubic" => "polyharmonic(k=3)",
            "quintic" => "polyharmonic(k=5)",
            "multiquadric" => "multiquadric(c=1, beta=0.5)",
            "inverse_multiquadric" => "inverse_multiquadric(c=1, beta=0.5)",
            _ => "rbf(length_scale=0.7071067811865476)",
        };
        // Their ε multiplies distances.
        let scale = case["epsilon"].as_f64().unwrap();
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let mut solver = CpdInterpolation::new(kernel).smoothing(case["smoothing"].as_f64().unwrap());
        if let Some(degree) = case["degree"].as_u64() {
            solver = solver.degree(degree as usize);
        }
        let model = solver.fit(&Rows::new(&(&x * scale)), &y).unwrap();
        let got = model.predict(&Rows::new(&(&query * scale))).unwrap();
        close(&case.to_string(), got.as_slice(), &vector(&case["pred"]), 1e-11);
    }
}

#[test]
fn the_saddle_point_system() {
    let file = read(include_str!("cpd.json"));
    let (xs, y) = (rows(&file["X"]), vector(&file["y"]));
    for (name, lambda) in [("tps_saddle_lambda0.0", 0.0), ("tps_saddle_lambda0.05", 0.05)] {
        let case = &file[name];
        let model = CpdInterpolation::new(Polyharmonic::thin_plate()).smoothing(lambda).fit(&xs, &y).unwrap();
        close(name, model.coefficients().as_slice(), &vector(&case["alpha"]), 1e-11);
        let energy = case["semi_norm_alpha_A_alpha"].as_f64().unwrap();
        assert!((model.seminorms()[0] - energy).abs() < 1e-11 * energy);
        // 1, x, y in their basis: values of the polynomial at the corners.
        let beta = vector(&case["beta_1_x_y"]);
        for (corner, expected) in
            [([0.0, 0.0], beta[0]), ([1.0, 0.0], beta[0] + beta[1]), ([0.0, 1.0], beta[0] + beta[2])]
        {
            let row = model.polynomials().row(&corner);
            let got: f64 = row.iter().zip(model.polynomial_coefficients().iter()).map(|(p, b)| p * b).sum();
            assert!((got - expected).abs() < 1e-11);
        }
        // Residuals are λα, and α is orthogonal to polynomials.
        let residuals = DMatrix::from_column_slice(12, 1, &y) - model.predict(&xs).unwrap();
        assert!((residuals - lambda * model.coefficients()).amax() < 1e-12);
        assert!(model.polynomials().matrix(&xs).tr_mul(model.coefficients()).amax() < 1e-12);
    }
}

#[test]
fn what_cannot_be_interpolated() {
    let y = vec![0.0, 1.0, 2.0];
    let fit = |values: Vec<f64>, solver: CpdInterpolation<AnyKernel<f64>>| {
        let n = values.len() / 2;
        solver.fit(&Rows::from_row_major(values, n, 2).unwrap(), &y[..n.min(3)].to_vec()).map(|_| ())
    };
    let solver = |text: &str| CpdInterpolation::new(text.parse::<AnyKernel<f64>>().unwrap());
    let apart = vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    let core = |result: Result<(), Error>| match result {
        Err(Error::Core(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(fit(apart.clone(), solver("thin_plate()")).is_ok());
    let line = vec![0.0, 0.0, 1.0, 1.0, 2.0, 2.0];
    assert!(matches!(core(fit(line, solver("thin_plate()"))), CoreError::Unisolvent { order: 2, points: 3 }));
    assert!(matches!(
        core(fit(apart[..4].to_vec(), solver("thin_plate()"))),
        CoreError::TooFewPoints { needed: 3, given: 2, .. }
    ));
    assert!(matches!(core(fit(vec![], solver("rbf()"))), CoreError::TooFewPoints { .. }));
    assert!(matches!(
        core(fit(apart.clone(), solver("thin_plate()").degree(0))),
        CoreError::Parameter { .. }
    ));
    assert!(matches!(core(fit(apart.clone(), solver("sigmoid()"))), CoreError::NotPositive { .. }));
    let twice = vec![0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    assert!(matches!(core(fit(twice.clone(), solver("power(p=1)"))), CoreError::NotPositiveDefinite { .. }));
    assert!(fit(twice, solver("power(p=1)").smoothing(1e-3)).is_ok());
    assert!(fit(apart.clone(), solver("rbf()").smoothing(-1.0)).is_err());
    assert!(fit(vec![0.0, f64::NAN, 1.0, 0.0, 0.0, 1.0], solver("power()")).is_err());
    let xs = Rows::from_row_major(apart, 3, 2).unwrap();
    assert!(
        CpdInterpolation::new(PowerDistance::new(1.0).unwrap()).fit(&xs, &vec![0.0, f64::NAN, 1.0]).is_err()
    );
    let model = CpdInterpolation::new(PowerDistance::new(1.0).unwrap()).fit(&xs, &y).unwrap();
    assert!(model.predict(&Rows::from_row_major(vec![0.0; 3], 1, 3).unwrap()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Polynomials below the order come back exactly, far outside the data as well, with and without smoothing; other data are
    /// met at the points; and the semidefinite form is not negative on the null space.
    #[test]
    fn polynomials_are_reproduced(
        (values, n, dim) in (1..4_usize, 12..24_usize)
            .prop_flat_map(|(d, n)| (prop::collection::vec(-3.0_f64..3.0, n * d), Just(n), Just(d))),
        (k, lambda) in (1..6_u32, prop::sample::select(vec![0.0, 0.1])),
        c in prop::collection::vec(-2.0_f64..2.0, 7),
    ) {
        let xs = Rows::from_row_major(values, n, dim).unwrap();
        let order = k as usize / 2 + 1;
        // Σ cⱼ x₀ʲ + a mixed term where the order allows one.
        let polynomial = |x: &[f64]| {
            let powers: f64 = (0..order).map(|j| c[j] * x[0].powi(j as i32)).sum();
            powers + if order > 2 && dim > 1 { c[6] * x[0] * x[1] } else { 0.0 }
        };
        let y: Vec<f64> = (0..n).map(|i| polynomial(xs.point(i))).collect();
        let model = CpdInterpolation::new(Polyharmonic::new(k).unwrap()).smoothing(lambda).fit(&xs, &y);
        // Points may be too close to the zeros of a polynomial, or to one another.
        let Ok(model) = model else { return Ok(()) };
        let there = Rows::from_row_major((0..4 * dim).map(|i| 6.0 * (i as f64).sin()).collect(), 4, dim).unwrap();
        let got = model.predict(&there).unwrap();
        let size = y.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        for i in 0..4 {
            let expected = polynomial(there.point(i));
            // Extrapolation to twice the data's box multiplies rounding by the condition of P.
            prop_assert!((got[(i, 0)] - expected).abs() < 1e-7 * size, "{} {}", got[(i, 0)], expected);
        }
        prop_assert!(model.seminorms()[0].abs() < 1e-8 * size * size);
        let wild: Vec<f64> = (0..n).map(|i| (3.0 * i as f64).sin()).collect();
        if let Ok(model) = CpdInterpolation::new(Polyharmonic::new(k).unwrap()).smoothing(lambda).fit(&xs, &wild) {
            prop_assert!(model.seminorms()[0] >= -1e-9);
            let largest = model.coefficients().amax().max(1.0);
            for (i, fitted) in model.predict(&xs).unwrap().iter().enumerate() {
                let residual = wild[i] - fitted - lambda * model.coefficients()[(i, 0)];
                prop_assert!(residual.abs() < 1e-9 * largest, "{residual:e}");
            }
        }
    }
}

/// On the circle of data, the quadratic form is positive on what is orthogonal to constants: for Gram and cross-Gram alike.
#[test]
fn predictions_are_the_formula() {
    let xs = Rows::from_row_major((0..20).map(|i| (f64::from(i) * 0.7).cos()).collect(), 10, 2).unwrap();
    let y: Vec<f64> = (0..10).map(|i| (f64::from(i)).sin()).collect();
    let kernel = PowerDistance::new(0.5).unwrap();
    let model = CpdInterpolation::new(kernel.clone()).smoothing(0.1).fit(&xs, &y).unwrap();
    let there = Rows::from_row_major(vec![0.3, 0.2, -4.0, 1.0], 2, 2).unwrap();
    let expected = cross_gram(&kernel, &there, &xs).unwrap() * model.coefficients();
    let constant = model.polynomial_coefficients()[(0, 0)];
    assert!((model.predict(&there).unwrap() - expected.add_scalar(constant)).amax() < 1e-13);
    let energy =
        (model.coefficients().transpose() * gram(&kernel, &xs).unwrap() * model.coefficients())[(0, 0)];
    assert!((energy - model.seminorms()[0]).abs() < 1e-12 && energy > 0.0);
}

#[cfg(feature = "serde")]
#[test]
fn stored_models_predict_the_same() {
    let xs = Rows::from_row_major((0..20).map(|i| (f64::from(i) * 0.7).cos()).collect(), 10, 2).unwrap();
    let y: Vec<f64> = (0..10).map(|i| (f64::from(i)).sin()).collect();
    let kernel: AnyKernel<f64> = "thin_plate()".parse().unwrap();
    let model = CpdInterpolation::new(kernel).smoothing(0.1).fit(&xs, &y).unwrap();
    let text = serde_json::to_string(&model).unwrap();
    let again: kernels_solvers::CpdModel<AnyKernel<f64>> = serde_json::from_str(&text).unwrap();
    assert_eq!(again.predict(&xs).unwrap(), model.predict(&xs).unwrap());
    assert!(
        serde_json::from_str::<kernels_solvers::CpdModel<AnyKernel<f64>>>(&text.replacen(":1", ":99", 1))
            .is_err()
    );
}
