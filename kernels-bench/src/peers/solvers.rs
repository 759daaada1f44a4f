//! The group `solvers`: Falkon, exact kernel ridge regression and support vector machines, and how they grow.

use std::path::Path;

use kernels_core::{Rbf, Rows};
use kernels_solvers::{Falkon, Krr, KrrModel, svm::SupportVectorClassifier, uniform_landmarks};
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

use super::group::{Check, Group, Job, Task, file, known};
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// The group's tasks, at full size or a tenth of it.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, n: usize, dim, tolerance| Task {
        name,
        peer: "scikit-learn",
        n: if quick { n / 10 } else { n },
        dim,
        tolerance,
    };
    // Both minimise the same function on the same centres. Falkon ends at a relative residual of 1e-7; the test errors agree to
    // a hundredth of themselves, where the noise is a half of them.
    let accuracy = 1e-2;
    Group {
        name: "solvers",
        requirements: include_str!("../../peers/solvers.txt"),
        script: include_str!("../../peers/solvers.py"),
        opt_in: false,
        tasks: vec![
            task("krr_2k", 2_000, 10, 1e-6),
            task("krr_5k", 5_000, 10, 1e-6),
            // Growth with n at 1000 centres, and with the number of centres at n = 50 000.
            task("falkon_25k", 25_000, 10, accuracy),
            task("falkon_50k", 50_000, 10, accuracy),
            task("falkon_100k", 100_000, 10, accuracy),
            task("falkon_m500", 50_000, 10, accuracy),
            task("falkon_m2000", 50_000, 10, accuracy),
            task("falkon_m4000", 50_000, 10, accuracy),
            // The objectives agree to the four digits that are asked for; both stop at a violation of 1e-3.
            task("svm_5k", 5_000, 20, 1e-4),
            task("svm_10k", 10_000, 20, 1e-4),
            task("svm_20k", 20_000, 20, 1e-4),
        ],
        describe,
        load,
        bound: None,
    }
}

/// Σ sin xⱼ / √d with noise: of which the regressions predict the value, the machines the sign.
fn targets(x: &[f64], dim: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    x.chunks(dim)
        .map(|row| {
            let noise: f64 = StandardNormal.sample(rng);
            row.iter().map(|v| v.sin()).sum::<f64>() / (dim as f64).sqrt() + 0.3 * noise
        })
        .collect()
}

fn centers(task: &Task) -> usize {
    let centers = match task.name {
        "falkon_m500" => 500,
        "falkon_m2000" => 2000,
        "falkon_m4000" => 4000,
        _ => 1000,
    };
    centers.min(task.n / 10)
}

fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut sample = |n: usize| -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..n * task.dim).map(|_| StandardNormal.sample(&mut rng)).collect();
        let y = targets(&x, task.dim, &mut rng);
        (x, y)
    };
    let m = (task.n / 10).clamp(5, 5000);
    let ((x, y), (test_x, test_y)) = (sample(task.n), sample(m));
    let chosen: Vec<f64> =
        uniform_landmarks(task.n, centers(task), 5).into_iter().map(|i| i as f64).collect();
    let path = |name: &str| folder.join(format!("{}_{name}.npy", task.name));
    write_matrix(&path("x"), &[task.n, task.dim], &x)?;
    write_matrix(&path("y"), &[task.n], &y)?;
    write_matrix(&path("test_x"), &[m, task.dim], &test_x)?;
    write_matrix(&path("test_y"), &[m], &test_y)?;
    write_matrix(&path("centers"), &[chosen.len()], &chosen)?;
    let gamma = 1.0 / (2.0 * task.dim as f64);
    Ok(json!({"task": task.name, "n": task.n, "dim": task.dim, "x": path("x"), "y": path("y"),
        "test_x": path("test_x"), "test_y": path("test_y"), "centers": path("centers"), "gamma": gamma,
        "ridge": 0.1, "cost": 1.0}))
}

fn load(task: &Value) -> Result<Job, Error> {
    let number = |key: &str| task[key].as_f64().unwrap_or(1.0);
    let column =
        |key: &str| -> Result<Vec<f64>, Error> { Ok(read_rows::<f64>(file(task, key))?.as_slice().to_vec()) };
    let (x, test): (Rows<f64>, Rows<f64>) = (read_rows(file(task, "x"))?, read_rows(file(task, "test_x"))?);
    let (y, truth) = (column("y")?, column("test_y")?);
    let kernel = Rbf::new((0.5 / number("gamma")).sqrt())?;
    let (n, ridge, cost) = (y.len(), number("ridge"), number("cost"));
    let name = task["task"].as_str().unwrap_or_default().to_owned();
    let error = move |model: &KrrModel<Rows<f64>, Rbf>| -> Result<(DMatrix<f64>, f64), Error> {
        let predicted = model.predict(&test)?;
        let squares: f64 = predicted.iter().zip(&truth).map(|(p, t)| (p - t).powi(2)).sum();
        Ok((predicted, (squares / truth.len() as f64).sqrt()))
    };
    if name.starts_with("svm") {
        let labels: Vec<usize> = y.iter().map(|y| usize::from(*y > 0.0)).collect();
        return Ok(Box::new(move || {
            let model = SupportVectorClassifier::new(kernel.clone()).cost(cost).fit(&x, &labels)?;
            Ok(known(vec![model.machines()[0].report().objective]))
        }));
    }
    if name.starts_with("krr") {
        return Ok(Box::new(move || {
            let (model, error) = (Krr::new(kernel.clone()).ridge(ridge).fit(&x, &y)?, error.clone());
            let check: Check = Box::new(move || {
                let (predicted, rmse) = error(&model)?;
                Ok(predicted.iter().take(5).copied().chain([rmse]).collect())
            });
            Ok(check)
        }));
    }
    let chosen: Vec<usize> = column("centers")?.into_iter().map(|i| i as usize).collect();
    Ok(Box::new(move || {
        let fit = Falkon::new(kernel.clone(), chosen.len()).centers(chosen.clone()).lambda(ridge / n as f64);
        let ((model, _), error) = (fit.fit(&x, &y, &mut ())?, error.clone());
        let check: Check = Box::new(move || Ok(vec![error(&model)?.1]));
        Ok(check)
    }))
}
