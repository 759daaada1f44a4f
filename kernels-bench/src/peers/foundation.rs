//! The group `foundation`: Gram matrices, lazy products, exact regression.

use std::{path::Path, time::Instant};

use kernels_core::{
    AnyKernel, Block, Constant, Kernel, LazyGram, Linear, Operator, Points, Rbf, Real, Rows, Workspace, gram,
    gram_into,
};
use kernels_solvers::{Criterion, GaussianProcess, Krr, RidgePath};
use nalgebra::DMatrix;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

use super::group::{Bound, Group, Job, Task, file, known};
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// The group's tasks, at full size or a tenth of it.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, peer, n: usize, dim, tolerance| {
        let n = if quick { n / 10 } else { n };
        Task { name, peer, n, dim, tolerance }
    };
    Group {
        name: "foundation",
        requirements: include_str!("../../peers/foundation.txt"),
        script: include_str!("../../peers/foundation.py"),
        opt_in: false,
        tasks: vec![
            task("rbf_gram", "scikit-learn", 10_000, 50, 1e-12),
            task("lazy_f64", "KeOps", 50_000, 10, 1e-11),
            // Sums of n values in single precision, in another order.
            task("lazy_f32", "KeOps", 50_000, 10, 1e-4),
            task("krr", "scikit-learn", 8_000, 20, 1e-6),
            // Leave-one-out against 5-fold: the errors of the chosen models on held-out rows must be alike.
            task("ridge_path", "scikit-learn", 3_000, 10, 0.05),
            // Two optimisers: log likelihoods at their optima.
            task("gp_fit", "scikit-learn", 1_000, 8, 1e-3),
        ],
        describe,
        load,
        bound: Some(bound),
    }
}

/// Writes x and y; the last rows are held out where a model is judged.
fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let held = if ["krr", "ridge_path"].contains(&task.name) { 1_000.min(task.n) } else { 0 };
    let rows = task.n + held;
    let x: Vec<f64> = (0..rows * task.dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let y: Vec<f64> = x.chunks_exact(task.dim).map(|row| target(row, &mut rng)).collect();
    let path = |name: &str| folder.join(format!("{}_{name}.npy", task.name));
    let write = |name: &str, shape: &[usize], values: &[f64]| {
        if task.name == "lazy_f32" {
            let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
            write_matrix(&path(name), shape, &values)
        } else {
            write_matrix(&path(name), shape, values)
        }
    };
    write("x", &[rows, task.dim], &x)?;
    write("y", &[rows], &y)?;
    Ok(json!({"task": task.name, "n": task.n, "held": held, "dim": task.dim, "x": path("x"), "y": path("y"),
        "length_scale": (task.dim as f64).sqrt(), "ridge": 0.01}))
}

fn load(task: &Value) -> Result<Job, Error> {
    let kernel = Rbf::new(task["length_scale"].as_f64().unwrap_or(1.0))?;
    let ridge = task["ridge"].as_f64().unwrap_or(1.0);
    let n = task["n"].as_u64().unwrap_or(0) as usize;
    let y: Rows<f64> = read_rows(file(task, "y"))?;
    let (y, y_held) = (y.as_slice()[..n].to_vec(), y.as_slice()[n..].to_vec());
    if task["task"] == "lazy_f32" {
        let x: Rows<f32> = read_rows(file(task, "x"))?;
        return Ok(Box::new(move || Ok(known(lazy(&kernel, &x, &y)?))));
    }
    let all: Rows<f64> = read_rows(file(task, "x"))?;
    let x = all.subset(&(0..n).collect::<Vec<_>>())?;
    let x_held = all.subset(&(n..all.len()).collect::<Vec<_>>())?;
    Ok(match task["task"].as_str().unwrap_or_default() {
        "rbf_gram" => Box::new(move || {
            let k = gram(&kernel, &x)?;
            Ok(Box::new(move || {
                Ok(vec![k[(0, 1)], k[(5, 3)], k.column(0).sum(), k.row(k.nrows() - 1).sum()])
            }))
        }),
        "lazy_f64" => Box::new(move || Ok(known(lazy(&kernel, &x, &y)?))),
        "krr" => Box::new(move || {
            let model = Krr::new(kernel.clone()).ridge(ridge).fit(&x, &y)?;
            Ok(known(model.predict(&x_held)?.as_slice().to_vec()))
        }),
        "ridge_path" => Box::new(move || {
            let path = RidgePath::new(kernel.clone(), &x, &y)?;
            let ridges = RidgePath::<Rows<f64>, Rbf>::default_ridges();
            let best = path.best(&ridges, Criterion::LeaveOneOut)?;
            let model = path.into_model(best.ridge)?;
            let (x_held, y_held) = (x_held.clone(), y_held.clone());
            Ok(Box::new(move || {
                let predicted = model.predict(&x_held)?;
                let squares = predicted.iter().zip(&y_held).map(|(p, t)| (p - t) * (p - t));
                Ok(vec![(squares.sum::<f64>() / y_held.len() as f64).sqrt()])
            }))
        }),
        _ => Box::new(move || {
            let kernel = AnyKernel::new(1.0 * Rbf::new(vec![1.0; x.dim()])?);
            let gp = GaussianProcess::new(kernel).noise(0.1).normalize(false);
            Ok(known(vec![gp.fit(&x, &y)?.log_marginal_likelihood()]))
        }),
    })
}

/// The product within 64 MiB; its first values and its mean.
fn lazy<T: Real>(kernel: &Rbf, x: &Rows<T>, y: &[f64]) -> Result<Vec<f64>, Error> {
    let v = DMatrix::from_iterator(y.len(), 1, y.iter().map(|v| T::of(*v)));
    let mut out = DMatrix::repeat(y.len(), 1, T::default());
    LazyGram::new(kernel, x, 64 << 20)?.apply(v.as_view(), out.as_view_mut())?;
    let sum: f64 = out.iter().map(|v| v.to_f64()).sum();
    Ok(out.iter().take(5).map(|v| v.to_f64()).chain([sum / y.len() as f64]).collect())
}

/// For the Gram matrix: half a matrix product of the same inner dimension, half the exponentials, and the pages of the result,
/// which the system must clear once.
fn bound(task: &Task, description: &Value, repeats: usize) -> Result<Option<Bound>, Error> {
    if task.name != "rbf_gram" {
        return Ok(None);
    }
    let (n, repeats) = (task.n as f64, repeats.max(5));
    let xs: Rows<f64> = read_rows(file(description, "x"))?;
    // Small enough that the allocator hands out the same memory again: pages are counted by themselves.
    let m = 1024.min(task.n);
    let a = xs.to_matrix().rows(0, m).into_owned();
    let b = a.transpose();
    let product = median(repeats * 4, || kernels_core::dense::product(&a, &b).map(|k| k[(0, 0)]))?;
    let pages = median(repeats, || gram(&Constant::new(1.0)?, &xs).map(|k| k[(0, 0)]))?;
    let mut k = gram(&Constant::new(1.0)?, &xs)?;
    let stores = median(repeats, || gram_into(&Constant::new(1.0)?, &xs, k.as_view_mut()))?;
    // The profile alone, on a block that stays in the first cache of one core: a kernel with it less one without.
    let line = Rows::from_row_major((0..64).map(f64::from).collect(), 64, 1)?;
    let with = on_a_block(&Rbf::new(20.0)?, &line, repeats)?;
    let without = on_a_block(&Linear::new(0.0)?, &line, repeats)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    Ok(Some(Bound(vec![
        ("inner products", 0.5 * product * (n / m as f64).powi(2)),
        ("exponentials", 0.5 * n * n * (with - without).max(0.0) / threads),
        ("fresh pages", (pages - stores).max(0.0)),
    ])))
}

/// Seconds a value on one core.
fn on_a_block(kernel: &impl Kernel<Rows<f64>>, xs: &Rows<f64>, repeats: usize) -> Result<f64, Error> {
    const CALLS: usize = 500;
    let n = xs.len();
    let at = Block::within(xs, 0..n, 0..n)?;
    let (mut out, mut ws) = (DMatrix::zeros(n, n), Workspace::new());
    let seconds = median(repeats, || {
        for _ in 0..CALLS {
            kernel.block(&at, out.as_view_mut(), &mut ws);
        }
        Ok(out[(n - 1, 0)])
    })?;
    Ok(seconds / (CALLS * n * n) as f64)
}

fn median<R>(repeats: usize, mut work: impl FnMut() -> Result<R, kernels_core::Error>) -> Result<f64, Error> {
    let mut times = Vec::new();
    for _ in 0..repeats.max(1) {
        let begin = Instant::now();
        std::hint::black_box(work()?);
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(super::statistics::Summary::of(&times).median)
}

/// A smooth function of a few features, with noise.
fn target(row: &[f64], rng: &mut impl Rng) -> f64 {
    let noise: f64 = StandardNormal.sample(rng);
    let bend =
        (2.0 * row[0]).sin() + row.get(1).map_or(0.0, |v| v * v) + 0.5 * row.get(2).copied().unwrap_or(0.0);
    bend + 0.1 * noise
}
