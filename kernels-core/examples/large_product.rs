//! A product with a 50 000 × 50 000 kernel matrix (20 GB in f64) within a memory budget.
//!
//! `cargo run --release -p kernels-core --example large_product [n] [budget in MiB]`
#![allow(clippy::print_stdout, clippy::float_cmp)]

use std::time::Instant;

use kernels_core::{Error, Kernel, LazyGram, Operator, Points, Rbf, Rows};
use nalgebra::DMatrix;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let n = arguments.next().transpose()?.unwrap_or(50_000);
    let budget = arguments.next().transpose()?.unwrap_or(64) << 20;
    let dim = 10;

    // A low-discrepancy sequence: the same points every time, without a generator.
    let value = |k: usize| (k as f64 * 0.618_033_988_749_894_9).fract();
    let xs = Rows::from_row_major((0..n * dim).map(value).collect(), n, dim)?;
    let weights = DMatrix::from_fn(n, 1, |i, _| (i as f64).sin());
    let kernel = Rbf::new(0.5)?;

    let start = Instant::now();
    let mut out = DMatrix::zeros(n, 1);
    LazyGram::new(&kernel, &xs, budget)?.apply(weights.as_view(), out.as_view_mut())?;
    println!("{n} x {n} kernel matrix times a vector within {} MiB: {:?}", budget >> 20, start.elapsed());

    // The sum of one row, pair by pair.
    let row = n / 3;
    let direct: f64 = (0..n).map(|j| kernel.eval(xs.point(row), xs.point(j)) * weights[(j, 0)]).sum();
    assert!((out[(row, 0)] - direct).abs() < 1e-9 * n as f64, "{} against {direct}", out[(row, 0)]);

    // A budget without room is an error, not a crash.
    let too_small = LazyGram::new(&kernel, &xs, 1000).err();
    assert!(matches!(too_small, Some(Error::Memory { .. })));
    Ok(())
}
