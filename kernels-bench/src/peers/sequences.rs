//! The groups `sequences` and `sigkerax`: Gram matrices of signature kernels, and one long pair.

use std::path::Path;

use kernels_core::{
    Block, FiniteDifferences, Kernel, Linear, Paths, Points, Signature, Solver, Tile, Workspace, gram,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

use super::group::{Group, Job, Task, file, known};
use crate::{
    data::{read_paths, write_matrix},
    error::Error,
};

/// The group's tasks; `n` paths of [`length`] knots.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, n: usize, tolerance| {
        let n = if quick && n > 10 { n / 4 } else { n };
        Task { name, peer: "pySigLib", n, dim: 5, tolerance }
    };
    Group {
        name: "sequences",
        requirements: include_str!("../../peers/sequences.txt"),
        script: include_str!("../../peers/sequences.py"),
        // PyTorch with its libraries for graphics cards: gigabytes.
        opt_in: true,
        tasks: vec![
            task("signature_dyadic_0", 100, 1e-10),
            task("signature_dyadic_2", 100, 1e-10),
            task("signature_order_4", 100, 1e-10),
            task("signature_order_8", 100, 1e-10),
            task("signature_long_pair", 2, 1e-8),
        ],
        describe,
        load,
        bound: None,
    }
}

/// The second library of signature kernels that pip installs and that runs; it needs packages of its own years.
pub(super) fn second(quick: bool) -> Group {
    Group {
        name: "sigkerax",
        requirements: include_str!("../../peers/sigkerax.txt"),
        script: include_str!("../../peers/sigkerax.py"),
        tasks: vec![Task {
            name: "signature_dyadic_0_jax",
            peer: "sigkerax",
            n: if quick { 25 } else { 100 },
            dim: 5,
            tolerance: 1e-10,
        }],
        ..group(quick)
    }
}

fn length(task: &str) -> usize {
    if task == "signature_long_pair" { 2_000 } else { 100 }
}

/// Random walks that stay within about 1 of their beginning: the order-4 polynomials have an error near 1e-9 on them.
fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let length = length(task.name);
    let step = 1.0 / ((length * task.dim) as f64).sqrt();
    let mut values = Vec::with_capacity(task.n * length * task.dim);
    for _ in 0..task.n {
        let mut at = vec![0.0; task.dim];
        for _ in 0..length {
            values.extend_from_slice(&at);
            for v in &mut at {
                let normal: f64 = StandardNormal.sample(&mut rng);
                *v += step * normal;
            }
        }
    }
    let x = folder.join(format!("{}_x.npy", task.name));
    write_matrix(&x, &[task.n, length, task.dim], &values)?;
    let (solver, dyadic, order) = match task.name {
        "signature_dyadic_0" | "signature_dyadic_0_jax" => ("fd", 0, 0),
        "signature_dyadic_2" => ("fd", 2, 0),
        "signature_order_8" => ("polynomial", 0, 8),
        _ => ("polynomial", 0, 4),
    };
    // As many threads on the other side as here.
    let threads = rayon::current_num_threads();
    Ok(json!({"task": task.name, "n": task.n, "dim": task.dim, "x": x, "solver": solver, "dyadic": dyadic,
        "order": order, "threads": threads, "pair": task.name == "signature_long_pair"}))
}

fn load(task: &Value) -> Result<Job, Error> {
    let x: Paths<f64> = read_paths(file(task, "x"), None)?;
    let number = |key: &str| task[key].as_u64().unwrap_or(0);
    let solver = if task["solver"] == "polynomial" {
        Solver::Polynomial { order: number("order") as usize }
    } else {
        Solver::FiniteDifferences { dyadic: number("dyadic") as u32, scheme: FiniteDifferences::Second }
    };
    let kernel = Signature::new(Linear::new(0.0)?).solver(solver)?;
    if task["pair"] == true {
        return Ok(Box::new(move || {
            let mut out = [0.0];
            let at = Block::within(&x, 0..1, 1..2)?;
            kernel.block(&at, Tile::from_slice(&mut out, 1, 1), &mut Workspace::new());
            Ok(known(out.to_vec()))
        }));
    }
    debug_assert!(x.len() > 5);
    Ok(Box::new(move || {
        let k = gram(&kernel, &x)?;
        Ok(Box::new(move || Ok(vec![k[(0, 1)], k[(5, 3)], k.column(0).sum(), k.row(k.nrows() - 1).sum()])))
    }))
}
