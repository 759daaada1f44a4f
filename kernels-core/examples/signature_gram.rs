//! Signature kernels of 100 random walks: the default, a fast first look, and all of them on a few very long paths.
#![allow(clippy::print_stdout, reason = "an example")]

use std::time::Instant;

use kernels_core::{
    Error, FiniteDifferences, Kernel, Linear, Normalization, Path, Paths, Rbf, Signature, Solver, gram,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn walks(n: usize, length: usize, dim: usize, step: f64) -> Result<Paths<f64>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut values = Vec::with_capacity(n * length * dim);
    for _ in 0..n {
        let mut at = vec![0.0; dim];
        for _ in 0..length {
            values.extend_from_slice(&at);
            at.iter_mut().for_each(|v| *v += step * rng.random_range(-1.7..1.7));
        }
    }
    Paths::from_array(values, n, length, dim)
}

fn timed<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let result = work();
    println!("{what}: {:.1} ms", 1e3 * begin.elapsed().as_secs_f64());
    result
}

fn main() -> Result<(), Error> {
    let paths = walks(100, 100, 5, 1.0 / 500.0_f64.sqrt())?;
    let linear = Signature::new(Linear::new(0.0)?);
    let exact = timed("to 1e-12", || gram(&linear, &paths))?;
    for (what, solver) in [
        ("to 1e-6", Solver::Auto { tolerance: 1e-6 }),
        ("degree 4", Solver::Polynomial { order: 4 }),
        ("degree 8", Solver::Polynomial { order: 8 }),
        ("halved 0 times", Solver::FiniteDifferences { dyadic: 0, scheme: FiniteDifferences::Second }),
        ("halved 2 times", Solver::FiniteDifferences { dyadic: 2, scheme: FiniteDifferences::Second }),
        ("5 levels", Solver::Truncated { levels: 5, order: 5 }),
    ] {
        let kernel = linear.clone().solver(solver)?;
        let k = timed(what, || gram(&kernel, &paths))?;
        let error = (&k - &exact).amax() / exact.amax();
        println!("  largest error {error:.1e}");
        assert!(error < 0.1);
    }
    let lifted = Signature::new(Rbf::new(1.0)?);
    timed("Gaussian lift, to 1e-12", || gram(&lifted, &paths))?;

    // 2 000 knots: the value itself has hundreds of digits, the cosine is an ordinary number.
    let long = walks(2, 2_000, 5, 0.5)?;
    let (x, y) = (long.knots().as_slice()).split_at(10_000);
    let (x, y) = (Path::new(x, 5)?, Path::new(y, 5)?);
    let k = timed("2 000 x 2 000 knots", || linear.scaled(x, x))?;
    println!("  ln k(x, x) = {:.3}", k.ln_abs());
    let cosine = linear.clone().normalization(Normalization::Cosine)?.eval(x, y);
    println!("  cosine of two long paths {cosine:.3e}");
    assert!(k.value().is_infinite() && cosine.abs() < 1.0);
    Ok(())
}
