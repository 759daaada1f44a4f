//! Derivatives of the signature kernel.

use super::*;
use kernels_core::{Block, Describe, DynKernel, Kernel, Rows, Workspace, gram_gradient};
use nalgebra::DMatrix;

const FILE: &str = include_str!("../reference/signature/sigkernel_gradients.json");

/// Lifts with derivatives; `scaled_linear` aside, as in the other files.
fn gradient(kernel: &Signature<AnyKernel<f64>>, x: &Paths<f64>, y: &Paths<f64>) -> [Vec<f64>; 2] {
    let gradient = kernel.gradient(x.point(0), y.point(0)).unwrap();
    close(gradient.value, value(kernel, x, y), 1e-12, "value");
    [gradient.by_x, gradient.by_y]
}

#[test]
fn by_paths() {
    let file = read(FILE);
    for case in file["cases"].as_array().unwrap() {
        let (pair, name) = (case["paths"].as_str().unwrap(), case["static"].as_str().unwrap());
        let (x, y) = (one(&file["paths"][pair]["x"]), one(&file["paths"][pair]["y"]));
        let exact = Solver::Auto { tolerance: 1e-14 };
        let mut solvers = vec![("exact".to_owned(), exact)];
        solvers.extend((0..3).map(|d| (format!("fd_d{d}"), fd(d, FiniteDifferences::Second))));
        for (key, solver) in solvers {
            let kernel = Signature::new(lift(name)).solver(solver).unwrap();
            let got = gradient(&kernel, &x, &y);
            for (got, side) in got.iter().zip(["dx", "dy"]) {
                let Some(expected) = case.get(format!("{key}_{side}")) else { continue };
                let (expected, _) = path(expected);
                assert_eq!(got.len(), expected.len());
                let largest = expected.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                for (g, e) in got.iter().zip(expected) {
                    assert!((g - e).abs() <= 1e-10 * largest, "{pair} {name} {key} {side}: {g:e}, not {e:e}");
                }
            }
        }
        if let Some(expected) = case.get("exact_d_lengthscale") {
            let kernel = DynKernel::new(Signature::new(lift(name)).solver(exact).unwrap());
            let both = Paths::from_paths(&[x.point(0), y.point(0)]).unwrap();
            let weights = DMatrix::from_row_slice(2, 2, &[0.0, 0.5, 0.5, 0.0]);
            let got = gram_gradient(&kernel, &both, weights.as_view()).unwrap();
            close(got[0], number(expected), 1e-10, &format!("{pair} {name} length scale"));
        }
    }
}

/// Solvers and options whose derivatives are those of what they compute.
#[test]
fn by_differences() {
    let x = Paths::from_array(vec![0.1, 0.0, 0.5, -0.3, 0.2, 0.4, 0.9, 1.1], 1, 4, 2).unwrap();
    let y = Paths::from_array(vec![-0.2, 0.3, 0.4, 0.1, 0.8, 0.9], 1, 3, 2).unwrap();
    let base = || Signature::new(lift("rbf"));
    let kernels = [
        base().solver(Solver::Polynomial { order: 3 }).unwrap(),
        base().solver(Solver::Polynomial { order: 20 }).unwrap(),
        base().solver(fd(0, FiniteDifferences::Explicit)).unwrap(),
        base().solver(fd(2, FiniteDifferences::Trapezoid)).unwrap(),
        base().normalization(Normalization::Cosine).unwrap(),
        base().time(true).lead_lag(true),
        Signature::new("3 * linear(offset=2)".parse().unwrap()).lead_lag(true),
        base().solver(Solver::Truncated { levels: 5, order: 5 }).unwrap(),
        base()
            .solver(Solver::Truncated { levels: 4, order: 2 })
            .unwrap()
            .normalization(Normalization::Cosine)
            .unwrap(),
        base().solver(Solver::Truncated { levels: 3, order: 1 }).unwrap().differences(false),
        // Cells of up to 40: halved.
        Signature::new("30 * linear()".parse().unwrap()).normalization(Normalization::Cosine).unwrap(),
    ];
    for kernel in kernels {
        let got = gradient(&kernel, &x, &y);
        for (side, got) in got.iter().enumerate() {
            for (i, &g) in got.iter().enumerate() {
                let moved = |by: f64| {
                    let mut at = [x.point(0).as_slice().to_vec(), y.point(0).as_slice().to_vec()];
                    at[side][i] += by;
                    let [x, y] = at.map(|v| Paths::from_array(v.clone(), 1, v.len() / 2, 2).unwrap());
                    value(&kernel, &x, &y)
                };
                let h = 1e-5;
                let difference = (moved(h) - moved(-h)) / (2.0 * h);
                // Of second order in h, and rounding over h.
                let size = got.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                assert!(
                    (g - difference).abs() <= 1e-6 * size,
                    "{kernel:?} {side} {i}: {g:e}, not {difference:e}"
                );
            }
        }
    }
}

#[test]
fn long_rough_paths_have_cosines_with_derivatives() {
    // k(x, x) is about e^777.
    let walk = |phase: f64| {
        let values =
            (0..300).map(|i| 1.3 * f64::from(i) + 0.3 * (0.9 * f64::from(i) + phase).sin()).collect();
        Paths::from_array(values, 1, 300, 1).unwrap()
    };
    let (x, y) = (walk(0.0), walk(0.5));
    let plain = Signature::new(lift("linear")).solver(fd(0, FiniteDifferences::Second)).unwrap();
    let kernel = plain.clone().normalization(Normalization::Cosine).unwrap();
    assert!(value(&plain, &x, &x).is_infinite());
    let k = value(&kernel, &x, &y);
    // Only the end points count in one dimension, up to the error of the scheme.
    assert!(k > 0.8 && k < 1.2, "{k}");
    // Shifts of all knots change nothing.
    for by in gradient(&kernel, &x, &y) {
        assert!(by.iter().all(|g| g.is_finite()));
        let (sum, size): (f64, f64) = (by.iter().sum(), by.iter().map(|g| g.abs()).sum());
        assert!(sum.abs() <= 1e-9 * size + 1e-12, "{sum} of {size}");
    }
}

/// Whatever the weights and wherever a block stands, its gradient is the weighted sum of those of its entries.
#[test]
fn blocks_are_sums_of_entries() {
    let values = |n: usize| (0..n).map(|i| (i as f64 * 1.7).sin()).collect::<Vec<_>>();
    let knots = Rows::from_row_major(values(34), 17, 2).unwrap();
    let xs = Paths::new(knots, &[4, 3, 5, 2, 3]).unwrap();
    for text in [
        "signature(static=rbf(length_scale=0.7))",
        "signature(static=rbf(length_scale=[0.7, 2]), normalize=true)",
        "gak(length_scale=0.8)",
        "gak(length_scale=[0.8, 2], normalize=false)",
    ] {
        let kernel: DynKernel<Paths<f64>> = text.parse().unwrap();
        let count = kernel.params().len();
        let gradient = |at: &Block<'_, Paths<f64>>, weights: &DMatrix<f64>| {
            let mut out = vec![0.0; count];
            kernel.block_gradient(at, weights.as_view(), &mut out, &mut Workspace::new());
            out
        };
        for (rows, cols) in [(0..5, 0..5), (1..4, 2..5), (0..2, 3..5)] {
            let at = Block::within(&xs, rows.clone(), cols.clone()).unwrap();
            let weights = DMatrix::from_fn(rows.len(), cols.len(), |i, j| (3 * i + 5 * j) as f64 - 7.0);
            let got = gradient(&at, &weights);
            let mut sum = vec![0.0; count];
            for (i, r) in rows.clone().enumerate() {
                for (j, c) in cols.clone().enumerate() {
                    let one = Block::within(&xs, r..r + 1, c..c + 1).unwrap();
                    let part = gradient(&one, &DMatrix::from_element(1, 1, weights[(i, j)]));
                    sum.iter_mut().zip(part).for_each(|(s, g)| *s += g);
                }
            }
            for (got, sum) in got.iter().zip(&sum) {
                // Sums in another order.
                assert!((got - sum).abs() <= 1e-11 * (1.0 + sum.abs()), "{text} {rows:?}: {got:e}, {sum:e}");
            }
        }
    }
}

#[test]
fn what_has_no_derivative_says_so() {
    let x = Paths::from_array(vec![0.0, 1.0, 0.5], 1, 3, 1).unwrap();
    let kernel = Signature::new(lift("rbf")).normalization(Normalization::TensorLog).unwrap();
    assert!(kernel.gradient(x.point(0), x.point(0)).is_err());
    assert!(kernel.params().iter().all(|p| p.fixed));
    assert!(Kernel::<Paths<f64>>::check(&kernel, &x).is_ok());
}

#[cfg(feature = "testing")]
mod contract {
    use super::super::properties::ragged;
    use kernels_core::{DynKernel, Paths, check_kernel};
    use proptest::prelude::*;

    fn kernels() -> impl Strategy<Value = DynKernel<Paths<f64>>> {
        prop::sample::select(vec![
            "signature(static=1.5 * rbf(length_scale=0.7))",
            "signature(static=rbf(length_scale=[0.7, 2]), normalize=true, solver=polynomial(order=4))",
            "signature(static=2 * linear(), solver=fd(dyadic=1, order=2))",
            "signature(static=rbf(length_scale=0.7), solver=truncated(levels=3, order=2))",
            "2 * signature(static=matern(nu=2.5), normalize=true, time=true) + white(variance=0.1)",
            "gak(length_scale=0.8)",
            "gak(length_scale=[0.8, 2], triangle=3, normalize=false)",
        ])
        .prop_map(|text| text.parse().unwrap())
    }

    check_kernel!(by_parameters, kernels(), ragged(2, 1.2), gradients);
}
