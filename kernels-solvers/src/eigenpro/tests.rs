//! Replay of recorded orders against independent iterations; the source is in the file.
#![allow(clippy::unwrap_used, clippy::panic)]

use kernels_core::{Points, Rbf, Rows, dense::Cholesky, gram};
use nalgebra::DMatrix;
use serde_json::Value;

use super::{
    full::Full,
    large::{Large, Projection},
    spectrum::Spectrum,
};

fn file() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/iterative_solvers.json")).unwrap()
}

fn matrix(v: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = v
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect())
        .collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn indices(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

fn lists(v: &Value) -> Vec<Vec<usize>> {
    v.as_array().unwrap().iter().map(indices).collect()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

/// Contractions repeated for a few epochs: differences of rounding do not grow.
fn close(got: &DMatrix<f64>, expected: &DMatrix<f64>) {
    let error = (got - expected).amax() / expected.amax();
    assert!(error < 1e-8, "relative difference {error:e}");
}

const BUDGET: usize = 1 << 20;

#[test]
fn eigenpro_2() {
    let file = file();
    let (xs, y) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]));
    let kernel = Rbf::new(1.6).unwrap();
    for name in ["eigenpro2_alpha1.0", "eigenpro2_alpha0.95"] {
        let r = &file[name];
        let sample = indices(&r["s_indices"]);
        let points = xs.subset(&sample).unwrap();
        let spectrum = Spectrum::new(&kernel, points, 5, number(&r["alpha"]), 0.0, usize::MAX).unwrap();
        assert!((spectrum.top - number(&r["new_top"])).abs() < 1e-14, "{name}");
        let values = r["eigenvalues_top_q_plus_1_of_Kss_over_s"].as_array().unwrap();
        assert_eq!(spectrum.values.len(), values.len());
        assert!(spectrum.values.iter().zip(values).all(|(got, v)| (got - number(v)).abs() < 1e-14), "{name}");
        assert_eq!(spectrum.critical_batch() as u64, r["critical_batch"].as_u64().unwrap());
        let full = Full {
            kernel: &kernel,
            xs: &xs,
            y: &y,
            spectrum: &spectrum,
            sample: &sample,
            batch: 12,
            ridge: 0.0,
            places: Vec::new(),
            budget: BUDGET,
        };
        let mut w = DMatrix::zeros(72, 2);
        let k = gram(&kernel, &xs).unwrap();
        for (order, mse) in lists(&r["orders"]).iter().zip(r["train_mse_per_epoch"].as_array().unwrap()) {
            full.epoch(&mut w, order, number(&r["eta"]) / 12.0).unwrap();
            let got = (&k * &w - &y).norm_squared() / 144.0;
            assert!((got - number(mse)).abs() < 1e-8 * number(mse), "{name}: {got}, expected {mse}");
        }
        close(&w, &matrix(&r["weights"]));
    }
}

#[test]
fn eigenpro_3() {
    let file = file();
    let (xs, y, z) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]), Rows::new(&matrix(&file["Z"])));
    let kernel = Rbf::new(1.6).unwrap();
    let r = &file["eigenpro3"];
    let sample = indices(&r["data_precond"]["s_indices"]);
    let spectrum = Spectrum::new(&kernel, xs.subset(&sample).unwrap(), 5, 1.0, 0.0, usize::MAX).unwrap();
    assert!((spectrum.top - number(&r["data_precond"]["tail"])).abs() < 1e-14);
    let inner = &r["projection"];
    let of_centers = indices(&inner["indices_in_Z"]);
    let centers = Spectrum::new(&kernel, z.subset(&of_centers).unwrap(), 4, 0.95, 0.0, usize::MAX).unwrap();
    assert!((centers.top - number(&inner["new_top"])).abs() < 1e-14);
    let orders = lists(&inner["orders_per_call_and_epoch"]);
    for (projection, expected) in [
        (
            Projection::Inexact {
                spectrum: &centers,
                sample: &of_centers,
                batch: inner["batch"].as_u64().unwrap() as usize,
                step: number(&inner["step_per_sample"]),
                epochs: 2,
                tolerance: 0.0,
            },
            "weights_inexact",
        ),
        (Projection::Exact(Cholesky::new(gram(&kernel, &z).unwrap()).unwrap()), "weights_exact_projection"),
    ] {
        let centers_by_sample = kernels_core::cross_gram(&kernel, &z, &spectrum.points).unwrap();
        let large = Large {
            kernel: &kernel,
            centers: &z,
            spectrum: &spectrum,
            centers_by_sample,
            projection,
            budget: BUDGET,
        };
        let mut w = DMatrix::zeros(24, 2);
        let mut pending = large.pending(2);
        for (call, batch) in lists(&r["batches"]).iter().enumerate() {
            let points = xs.subset(batch).unwrap();
            large
                .batch(&w, &mut pending, points, &y.select_rows(batch), number(&r["step_per_sample"]))
                .unwrap();
            large.project(&mut w, &mut pending, &mut |e| orders[2 * call + e].clone()).unwrap();
        }
        close(&w, &matrix(&r[expected]));
    }
}

#[test]
fn eigenpro_4() {
    let file = file();
    let (xs, y, z) = (Rows::new(&matrix(&file["X"])), matrix(&file["Y"]), Rows::new(&matrix(&file["Z"])));
    let kernel = Rbf::new(1.6).unwrap();
    let r = &file["eigenpro4"];
    let sample = indices(&r["data_precond"]["s_indices"]);
    let spectrum = Spectrum::new(&kernel, xs.subset(&sample).unwrap(), 5, 1.0, 0.0, usize::MAX).unwrap();
    // The code of EigenPro 4 takes ⌊β/τ⌋, that of EigenPro 2 one more.
    assert_eq!(spectrum.critical_batch() as u64, r["critical_batch"].as_u64().unwrap() + 1);
    let of_centers = indices(&r["model_precond"]["indices_in_Z"]);
    let centers = Spectrum::new(&kernel, z.subset(&of_centers).unwrap(), 4, 1.0, 0.0, usize::MAX).unwrap();
    assert!((centers.top - number(&r["model_precond"]["tail"])).abs() < 1e-14);
    let batch = r["projection_batch"].as_u64().unwrap() as usize;
    // All 24 centres are one batch, which is not below ⌊β/τ⌋ = 24: there that code steps by 2 / (β + (m−1)τ), not by 1/β.
    let step = 2.0 / (centers.peak + (batch as f64 - 1.0) * centers.top);
    let projection = Projection::Inexact {
        spectrum: &centers,
        sample: &of_centers,
        batch,
        step,
        epochs: 1,
        tolerance: 0.0,
    };
    let centers_by_sample = kernels_core::cross_gram(&kernel, &z, &spectrum.points).unwrap();
    let large = Large {
        kernel: &kernel,
        centers: &z,
        spectrum: &spectrum,
        centers_by_sample,
        projection,
        budget: BUDGET,
    };
    let mut w = DMatrix::zeros(24, 2);
    let mut pending = large.pending(2);
    let mut orders = lists(&r["projection_orders"]).into_iter();
    // The recorded run counts batches through its epochs: it projects after the 3rd, 6th, 9th, … and at the end of each.
    let mut count = 0;
    for order in lists(&r["orders"]) {
        for batch in order.chunks(10) {
            let points = xs.subset(batch).unwrap();
            large.batch(&w, &mut pending, points, &y.select_rows(batch), 1.0).unwrap();
            count += 1;
            if count % 3 == 0 {
                large.project(&mut w, &mut pending, &mut |_| orders.next().unwrap()).unwrap();
            }
        }
        if !pending.batches.is_empty() {
            large.project(&mut w, &mut pending, &mut |_| orders.next().unwrap()).unwrap();
        }
    }
    close(&w, &matrix(&r["weights"]));
    let fitted = kernels_core::cross_gram(&kernel, &xs, &z).unwrap() * &w;
    let mse = (fitted - y).norm_squared() / 144.0;
    assert!((mse - number(&r["train_mse"])).abs() < 1e-8);
}
