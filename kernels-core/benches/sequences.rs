//! Signature and alignment kernels of 50 paths of 100 knots, dimension 5. Throughput is in cells of the grids of all pairs.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels_core::{FiniteDifferences, GlobalAlignment, Kernel, Linear, Paths, Rbf, Signature, Solver, gram};

const PATHS: usize = 50;
const KNOTS: usize = 100;
const DIM: usize = 5;

/// Walks of equidistributed steps that stay near 1.
fn paths() -> Paths<f64> {
    let mut values = Vec::with_capacity(PATHS * KNOTS * DIM);
    for path in 0..PATHS {
        let mut at = [0.0; DIM];
        for knot in 0..KNOTS {
            for (k, v) in at.iter_mut().enumerate() {
                values.push(*v);
                let step = ((path * KNOTS + knot) * DIM + k) as f64 * 0.618_033_988_749_894_9;
                *v += 0.15 * (step.fract() - 0.5);
            }
        }
    }
    Paths::from_array(values, PATHS, KNOTS, DIM).expect("as many values")
}

fn bench(c: &mut Criterion) {
    let xs = paths();
    let mut group = c.benchmark_group("sequences");
    group.sample_size(10);
    group.throughput(Throughput::Elements((PATHS * (PATHS + 1) / 2 * (KNOTS - 1) * (KNOTS - 1)) as u64));
    let mut run = |name: &str, kernel: &dyn Kernel<Paths<f64>>| {
        group.bench_function(name, |b| b.iter(|| gram(kernel, &xs).expect("room")));
    };
    for (name, solver) in [
        ("dyadic_0", Solver::FiniteDifferences { dyadic: 0, scheme: FiniteDifferences::Second }),
        ("dyadic_2", Solver::FiniteDifferences { dyadic: 2, scheme: FiniteDifferences::Second }),
        ("order_4", Solver::Polynomial { order: 4 }),
        ("auto", Solver::Auto { tolerance: 1e-12 }),
        ("truncated_4", Solver::Truncated { levels: 4, order: 4 }),
    ] {
        let linear = Signature::new(Linear::new(0.0).expect("valid")).solver(solver).expect("valid");
        run(name, &linear);
    }
    run("auto_rbf", &Signature::new(Rbf::new(1.0).expect("valid")));
    run("alignment", &GlobalAlignment::new(1.0).expect("valid"));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
