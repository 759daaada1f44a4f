//! The group `sample`: thinning, densities, modes, selection.

use std::path::Path;

use kernels_core::{Points, Rbf, Rows};
use kernels_sample::{
    Bandwidth, Compress, DensityKernel, FlatMeanShift, Grid, Kde, KernelThinning, Preconditioner, SteinThinning,
    greedy_map, mmd2_to_input,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

use super::group::{Group, Job, Task, file, known};
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// The group's tasks, at full size or a tenth of it.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, peer, n: usize, dim, tolerance| {
        // Thinning needs powers of 4.
        let thinned = ["kt", "compress"].iter().any(|t| str::starts_with(name, t));
        let n = if !quick { n } else if thinned { n / 16 } else { n / 10 };
        Task { name, peer, n, dim, tolerance }
    };
    // Thinning draws at random on both sides: the checks, MMD to all points, are shown and not compared.
    let random = f64::INFINITY;
    Group {
        name: "sample",
        requirements: include_str!("../../peers/sample.txt"),
        script: include_str!("../../peers/sample.py"),
        opt_in: false,
        tasks: vec![
            task("kt_2d", "goodpoints", 1 << 14, 2, random),
            task("kt_10d", "goodpoints", 1 << 14, 10, random),
            task("kt_large", "goodpoints", 1 << 16, 2, random),
            task("compress_2d", "goodpoints", 1 << 16, 2, random),
            task("compress_10d", "goodpoints", 1 << 16, 10, random),
            task("kde_direct", "scipy", 100_000, 3, 1e-9),
            task("kde_tree", "scikit-learn", 100_000, 3, 1e-3),
            // KDEpy cuts the Gaussian at an absolute 1e-4.
            task("kde_grid", "KDEpy", 100_000, 2, 1e-2),
            task("mean_shift", "scikit-learn", 5_000, 2, 1e-6),
            task("dpp_map", "numpy", 20_000, 5, 1e-8),
            task("stein_thinning", "stein-thinning", 20_000, 4, 1e-8),
        ],
        describe,
        load,
        bound: None,
    }
}

fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let x: Vec<f64> = (0..task.n * task.dim).map(|_| StandardNormal.sample(&mut rng)).collect();
    let m = (task.n / 10).max(1);
    let at: Vec<f64> = (0..m * task.dim).map(|_| StandardNormal.sample(&mut rng)).collect();
    let path = |name: &str| folder.join(format!("{}_{name}.npy", task.name));
    write_matrix(&path("x"), &[task.n, task.dim], &x)?;
    write_matrix(&path("at"), &[m, task.dim], &at)?;
    Ok(json!({"task": task.name, "n": task.n, "dim": task.dim, "x": path("x"), "at": path("at"),
        "variance": 2 * task.dim, "bandwidth": 0.2, "nodes": 1000, "k": 200.min(task.n / 4)}))
}

fn load(task: &Value) -> Result<Job, Error> {
    let x: Rows<f64> = read_rows(file(task, "x"))?;
    let at: Rows<f64> = read_rows(file(task, "at"))?;
    let number = |key: &str| task[key].as_f64().unwrap_or(1.0);
    let kernel = Rbf::new(number("variance").sqrt())?;
    let (h, k) = (number("bandwidth"), number("k") as usize);
    let name = task["task"].as_str().unwrap_or_default().to_owned();
    let kde = Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Scale(h));
    Ok(match name.as_str() {
        "kt_2d" | "kt_10d" | "kt_large" => {
            let rounds = x.len().ilog2() as usize / 2;
            Box::new(move || thinned(&kernel, &x, KernelThinning::new(kernel.clone()).seed(1).thin(&x, rounds)?))
        }
        "compress_2d" | "compress_10d" => {
            Box::new(move || thinned(&kernel, &x, Compress::new(kernel.clone()).seed(1).thin(&x)?))
        }
        "kde_direct" => Box::new(move || Ok(known(summary(kde.fit(&x)?.density(&at)?)))),
        "kde_tree" => Box::new(move || Ok(known(summary(kde.fit(&x)?.density_by_tree(&at, 1e-4, 0.0)?)))),
        "kde_grid" => {
            let nodes = number("nodes") as usize;
            let grid = Grid::new(vec![(-7.0, 7.0, nodes); 2]);
            Box::new(move || {
                let f = grid.density(DensityKernel::Gaussian, &[h], &x, None)?;
                let middle = nodes / 2 * nodes + nodes / 2;
                Ok(known(vec![f[middle], f[middle + nodes * 50 + 20], f.iter().copied().fold(0.0, f64::max)]))
            })
        }
        "mean_shift" => Box::new(move || {
            let clusters = FlatMeanShift::new(1.0).fit(&x)?;
            Ok(known(vec![clusters.centers.len() as f64, clusters.centers.point(0)[0]]))
        }),
        "dpp_map" => Box::new(move || {
            let (_, gains) = greedy_map(&kernel, &x, k)?;
            Ok(known(vec![gains[1], gains[gains.len().min(50) - 1]]))
        }),
        _ => {
            // N(0, I).
            let scores = Rows::from_row_major(x.as_slice().iter().map(|v| -v).collect(), x.len(), x.dim())?;
            Box::new(move || {
                let picked = SteinThinning::new().preconditioner(Preconditioner::Identity).thin(&x, &scores, k)?;
                Ok(known(picked.iter().take(5).map(|&i| i as f64).collect()))
            })
        }
    })
}

fn thinned(kernel: &Rbf, x: &Rows<f64>, coreset: Vec<usize>) -> Result<super::group::Check, Error> {
    let (kernel, x) = (kernel.clone(), x.clone());
    Ok(Box::new(move || Ok(vec![mmd2_to_input(&kernel, &x, &coreset)?.max(0.0).sqrt()])))
}

fn summary(f: Vec<f64>) -> Vec<f64> {
    let mean = f.iter().sum::<f64>() / f.len().max(1) as f64;
    f.iter().take(5).copied().chain([mean]).collect()
}
