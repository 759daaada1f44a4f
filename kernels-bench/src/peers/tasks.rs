//! What is measured: sizes, arrays, and how equal the results must be.

use std::{path::Path, time::Instant};

use kernels_core::{Linear, Rbf, Rows, gram_into};
use nalgebra::DMatrix;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

use crate::{data::write_matrix, error::Error};

/// A measured task.
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) peer: &'static str,
    n: usize,
    dim: usize,
    /// Largest difference of the checks, relative to their largest value.
    pub(super) tolerance: f64,
    /// Whether both sides compute the same numbers.
    pub(super) same_result: bool,
}

pub(super) fn all(quick: bool) -> Vec<Task> {
    let size = |n: usize| if quick { n / 10 } else { n };
    let task =
        |name, peer, n, dim, tolerance| Task { name, peer, n: size(n), dim, tolerance, same_result: true };
    vec![
        task("rbf_gram", "scikit-learn", 10_000, 50, 1e-12),
        task("lazy_f64", "KeOps", 50_000, 10, 1e-11),
        // Sums of n values in single precision, in another order.
        task("lazy_f32", "KeOps", 50_000, 10, 1e-4),
        task("krr", "scikit-learn", 8_000, 20, 1e-6),
        // Leave-one-out against 5-fold: the errors of the chosen models on held-out rows must be alike.
        task("ridge_path", "scikit-learn", 3_000, 10, 0.05),
        // Two optimisers: log likelihoods at their optima.
        task("gp_fit", "scikit-learn", 1_000, 8, 1e-3),
    ]
}

/// The least time of a Gram matrix: its inner products and its exponentials, nothing else.
pub(super) struct Bound {
    pub(super) products: f64,
    pub(super) exponentials: f64,
}

impl Bound {
    pub(super) fn total(&self) -> f64 {
        self.products + self.exponentials
    }
}

impl Task {
    /// Writes the arrays of the task; what both sides are told.
    pub(super) fn prepare(&self, folder: &Path) -> Result<Value, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let held = if ["krr", "ridge_path"].contains(&self.name) { 1_000.min(self.n) } else { 0 };
        let rows = self.n + held;
        let x: Vec<f64> = (0..rows * self.dim).map(|_| rng.random_range(-1.0..1.0)).collect();
        let y: Vec<f64> = x.chunks_exact(self.dim).map(|row| target(row, &mut rng)).collect();
        let path = |name: &str| folder.join(format!("{}_{name}.npy", self.name));
        let single = self.name == "lazy_f32";
        let write = |name: &str, shape: &[usize], values: &[f64]| {
            if single {
                let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                write_matrix(&path(name), shape, &values)
            } else {
                write_matrix(&path(name), shape, values)
            }
        };
        write("x", &[rows, self.dim], &x)?;
        write("y", &[rows], &y)?;
        Ok(
            json!({"task": self.name, "n": self.n, "held": held, "dim": self.dim, "x": path("x"), "y": path("y"),
            "length_scale": (self.dim as f64).sqrt(), "ridge": 0.01}),
        )
    }

    /// For the Gram matrix: half a matrix product of the same shape, and half the exponentials on memory in cache.
    pub(super) fn bound(&self, description: &Value, repeats: usize) -> Result<Option<Bound>, Error> {
        if self.name != "rbf_gram" {
            return Ok(None);
        }
        // Everything on a part that stays in cache, scaled up: fresh memory is not counted against anybody.
        let m = 2048.min(self.n);
        let a = super::side::points::<f64>(description)?.to_matrix().rows(0, m).into_owned();
        let b = a.transpose();
        let product = median(repeats.max(5), || kernels_core::dense::product(&a, &b).map(|k| k[(0, 0)]))?;
        // Points without features have distance 0: what remains is the profile.
        let none = Rows::<f64>::from_row_major(Vec::new(), m, 0)?;
        let mut k = DMatrix::zeros(m, m);
        let rbf = Rbf::new(1.0)?;
        let exponential =
            median(repeats.max(5), || gram_into(&rbf, &none, k.as_view_mut()).map(|()| k[(0, 0)]))?;
        let linear = Linear::new(0.0)?;
        let stores =
            median(repeats.max(5), || gram_into(&linear, &none, k.as_view_mut()).map(|()| k[(0, 0)]))?;
        let scale = (self.n as f64 / m as f64).powi(2);
        Ok(Some(Bound {
            products: 0.5 * product * scale,
            exponentials: (exponential - stores).max(0.0) * scale,
        }))
    }
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
