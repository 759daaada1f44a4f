//! Gram matrices in memory: the engine's first hot path. Throughput is in entries of the full matrix.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernels_core::{Kernel, Linear, Matern, RationalQuadratic, Rbf, Rows, gram_into};
use nalgebra::DMatrix;

fn points(n: usize, dim: usize) -> Rows<f64> {
    // A low-discrepancy sequence: the same points every time, without a generator.
    let value = |k: usize| (k as f64 * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0;
    Rows::from_row_major((0..n * dim).map(value).collect(), n, dim).expect("n * dim values")
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("gram");
    group.sample_size(10);
    for (n, dim) in [(2000, 4), (2000, 20), (2000, 100)] {
        let xs = points(n, dim);
        let mut out = DMatrix::zeros(n, n);
        group.throughput(Throughput::Elements((n * n) as u64));
        let length = (dim as f64).sqrt();
        let kernels: [(&str, Box<dyn Kernel<Rows<f64>>>); 4] = [
            ("linear", Box::new(Linear::new(0.0).expect("valid"))),
            ("rbf", Box::new(Rbf::new(length).expect("valid"))),
            ("matern52", Box::new(Matern::new(2.5, length).expect("valid"))),
            ("rational_quadratic", Box::new(RationalQuadratic::new(1.0, length).expect("valid"))),
        ];
        for (name, kernel) in &kernels {
            group.bench_function(BenchmarkId::new(*name, format!("n={n},d={dim},f64")), |b| {
                b.iter(|| gram_into(kernel, &xs, out.as_view_mut()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
