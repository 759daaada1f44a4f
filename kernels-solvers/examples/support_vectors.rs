//! A support vector machine on samples of two interleaved spirals with noise: `support_vectors [samples]`.
//!
//! Prints the dual objective, the support vectors, and the seconds of the fit.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use kernels_core::{Points, Rbf, Rows};
use kernels_solvers::svm::SupportVectorClassifier;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n: usize = std::env::args().nth(1).map_or(Ok(1000), |a| a.parse())?;
    let (x, y) = spirals(n, 10);
    let xs = Rows::from_row_major(x, n, 10)?;
    let start = Instant::now();
    let model = SupportVectorClassifier::new(Rbf::new(2.0)?).cost(10.0).fit(&xs, &y)?;
    let seconds = start.elapsed().as_secs_f64();
    let machine = &model.machines()[0];
    let report = machine.report();
    let right = model.predict(&xs)?.iter().zip(&y).filter(|(a, b)| a == b).count();
    println!(
        "{} samples: objective {:.6}, {} support vectors, {} steps, {} rows, {right} right, {seconds:.2} s",
        xs.len(),
        report.objective,
        machine.support().len(),
        report.iterations,
        report.rows,
    );
    assert!(right * 10 > n * 8);
    Ok(())
}

/// Two noisy spirals in the first two of `dim` coordinates, noise in the others; the same numbers everywhere.
fn spirals(n: usize, dim: usize) -> (Vec<f64>, Vec<usize>) {
    let mut state = 12345_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let (mut x, mut y) = (Vec::with_capacity(n * dim), Vec::with_capacity(n));
    for i in 0..n {
        let turn = 6.0 * uniform();
        let side = (i % 2) as f64 * std::f64::consts::PI;
        for k in 0..dim {
            let noise = uniform() + uniform() + uniform() - 1.5;
            let center = match k {
                0 => turn * (turn + side).cos(),
                1 => turn * (turn + side).sin(),
                _ => 0.0,
            };
            x.push(center + 0.6 * noise);
        }
        y.push(i % 2);
    }
    (x, y)
}
