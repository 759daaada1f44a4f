//! The iterates of an independent implementation.
#![allow(clippy::unwrap_used)]

use kernels_core::{Rbf, Rows, gram};
use serde_json::Value;

use super::*;
use crate::krylov::Iteration;

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v
        .as_array()
        .unwrap()
        .iter()
        .map(|r| match r.as_array() {
            Some(r) => r.iter().map(|x| x.as_f64().unwrap()).collect(),
            None => vec![r.as_f64().unwrap()],
        })
        .collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

/// Factors, right-hand side and every iterate of the reference; the source is in the file.
#[test]
fn preconditioner_and_iterates() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/reference/nystrom_falkon.json")).unwrap();
    let (xs, y) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]).columns(0, 1).into_owned());
    let kernel = Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap();
    let indices: Vec<usize> =
        file["center_indices"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize).collect();
    let centers = kernels_core::Points::subset(&xs, &indices).unwrap();
    let r = &file["falkon"];
    let basis = Basis::new(gram(&kernel, &centers).unwrap(), 1e-3, None).unwrap();
    let (t, a) = basis.triangles();
    // A Cholesky factor of a matrix of condition number up to 1e4.
    assert!((t - matrix(&r["T"])).amax() < 1e-10);
    assert!((a - matrix(&r["A"])).amax() < 1e-10);
    let mut source = InMemory::new(xs.clone(), &y).unwrap();
    let products = Products { kernel: &kernel, centers: &centers, weights: None, budget: 1 << 20 };
    let right = basis.pull(products.right_side(&mut source).unwrap() / 24.0).unwrap();
    assert!((&right - matrix(&r["rhs"])).amax() < 1e-10);
    let mut apply = |beta: &DMatrix<f64>| {
        let image = products.normal(&mut source, &basis.push(beta)?)? / 24.0;
        basis.operator(beta, image, 1e-3)
    };
    let none = crate::Identity;
    let mut it = Iteration::new(&right, None, &mut apply, &none).unwrap();
    for (k, expected) in r["cg_iterates"].as_array().unwrap().iter().enumerate() {
        it.step(0.0, &mut apply, &none).unwrap();
        let norm = expected["residual_norm"].as_f64().unwrap();
        assert!((it.residual.norm() - norm).abs() < 1e-8, "iterate {k}");
        let beta = matrix(&expected["beta"]);
        assert!((&it.x - &beta).amax() < 1e-8 * beta.amax(), "iterate {k}");
        let alpha = matrix(&expected["alpha"]);
        assert!((basis.push(&it.x).unwrap() - &alpha).amax() < 1e-6 * alpha.amax(), "iterate {k}");
    } // The operator itself, by its eigenvalues.
    let operator = apply(&DMatrix::identity(8, 8)).unwrap();
    let mut values = operator.symmetric_eigenvalues().as_slice().to_vec();
    values.sort_by(f64::total_cmp);
    let expected = r["precond_operator_eigs"].as_array().unwrap();
    assert!(
        values.iter().zip(expected).all(|(got, v)| (got - v.as_f64().unwrap()).abs() < 1e-9),
        "{values:?}"
    );
}

/// KᵀK is formed first where the centres allow it, and both ways give the same fit.
#[test]
fn formed_in_either_order() {
    let points: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.618).fract() * 3.0).collect();
    let xs = Rows::from_row_major(points, 150, 2).unwrap();
    let y = DMatrix::from_fn(150, 2, |i, k| (kernels_core::Points::point(&xs, i)[k] * 2.0).sin());
    let centers = kernels_core::Points::subset(&xs, &uniform_landmarks(150, 30, 1)).unwrap();
    let root_of = |kernel: &dyn Kernel<Rows<f64>>| {
        let kmm = gram(kernel, &centers).unwrap();
        let norm = largest(30, |v| Ok(&kmm * v)).unwrap();
        let exact = kmm.symmetric_eigenvalues().max();
        assert!(norm <= exact * (1.0 + 1e-12) && norm > 0.9 * exact, "{norm} of {exact}");
        let root = root(kmm).unwrap();
        let tame = is_tame(norm, &root.0, 150.0, 1e-4).unwrap();
        (root, tame)
    };
    // A rough kernel is well conditioned, a wide Gaussian one is not.
    assert!(!root_of(&Rbf::new(3.0).unwrap()).1);
    let kernel = kernels_core::Matern::new(0.5, 0.5).unwrap();
    let (root, tame) = root_of(&kernel);
    assert!(tame);
    let products = Products { kernel: &kernel, centers: &centers, weights: None, budget: 1 };
    let mut source = InMemory::new(xs.clone(), &y).unwrap();
    let mut formed = |tame| products.formed(&mut source, (&root.0, tame), None, &mut ()).unwrap().0;
    let (first, last) = (formed(true), formed(false));
    // Rounding of KᵀK over the smallest eigenvalue, about 1e-2.
    assert!((&first - &last).amax() < 1e-10 * last.amax(), "{:e}", (&first - &last).amax());
}
