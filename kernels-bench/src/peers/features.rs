//! The group `features`: random Fourier features, and Gram matrices beside the Gaussian one: Matérn, sparse.

use std::path::Path;

use kernels_core::{Matern, RandomFourier, Rbf, Real, Rows, Wendland, features, gram, sparse_gram};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::group::{Group, Job, Task, file, known};
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Features of the random Fourier maps.
const FEATURES: usize = 4096;

/// The group's tasks, at full size or a tenth of it.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, peer, n: usize, dim, tolerance| {
        let n = if quick { n / 10 } else { n };
        Task { name, peer, n, dim, tolerance }
    };
    Group {
        name: "features",
        requirements: include_str!("../../peers/features.txt"),
        script: include_str!("../../peers/features.py"),
        opt_in: false,
        tasks: vec![
            // Of draws of one's own: estimates of the same kernel values, each to a few hundredths.
            task("rff_f64", "scikit-learn", 100_000, 50, 0.2),
            task("rff_f32", "scikit-learn", 100_000, 50, 0.2),
            task("matern_gram", "scikit-learn", 10_000, 20, 1e-12),
            task("wendland_sparse", "scipy", 100_000, 3, 1e-12),
        ],
        describe,
        load,
        bound: None,
    }
}

fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let x: Vec<f64> = (0..task.n * task.dim).map(|_| rng.random_range(0.0..1.0)).collect();
    let path = folder.join(format!("{}_x.npy", task.name));
    let shape = [task.n, task.dim];
    if task.name == "rff_f32" {
        write_matrix(&path, &shape, &x.iter().map(|v| *v as f32).collect::<Vec<_>>())?;
    } else {
        write_matrix(&path, &shape, &x)?;
    }
    // About 50 neighbours a point.
    let support = (50.0 / (task.n as f64 * 4.0 / 3.0 * std::f64::consts::PI)).cbrt();
    Ok(json!({"task": task.name, "x": path, "length_scale": 3.0, "features": FEATURES, "support": support}))
}

fn load(task: &Value) -> Result<Job, Error> {
    let number = |name: &str| task[name].as_f64().unwrap_or(1.0);
    Ok(match task["task"].as_str().unwrap_or_default() {
        "rff_f32" => fourier(&read_rows::<f32>(file(task, "x"))?, number("length_scale"))?,
        "rff_f64" => fourier(&read_rows::<f64>(file(task, "x"))?, number("length_scale"))?,
        "matern_gram" => {
            let xs = read_rows::<f64>(file(task, "x"))?;
            let kernel = Matern::new(2.5, number("length_scale"))?;
            Box::new(move || {
                let k = gram(&kernel, &xs)?;
                Ok(Box::new(move || Ok(vec![k[(0, 1)], k[(5, 3)], k.column(0).sum()])))
            })
        }
        _ => {
            let (xs, kernel) = (read_rows::<f64>(file(task, "x"))?, Wendland::new(1, 3, number("support"))?);
            Box::new(move || {
                let k = sparse_gram(&kernel, &xs)?;
                let first: f64 = k.outer_view(0).map_or(0.0, |row| row.iter().map(|(_, v)| v).sum());
                Ok(known(vec![k.nnz() as f64, k.data().iter().sum(), first]))
            })
        }
    })
}

/// The transform; estimates of a few kernel values as its check.
fn fourier<T: Real>(xs: &Rows<T>, length_scale: f64) -> Result<Job, Error> {
    let map = RandomFourier::new(&Rbf::new(length_scale)?, xs.dim(), FEATURES / 2, 5)?;
    let xs = xs.clone();
    Ok(Box::new(move || {
        let z = features(&map, &xs)?;
        Ok(Box::new(move || {
            let dot = |i: usize, j: usize| z.row(i).dot(&z.row(j)).to_f64();
            Ok(vec![dot(0, 0), dot(0, 1), dot(2, 3), dot(4, 5)])
        }))
    }))
}
