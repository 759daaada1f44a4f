//! Products with kernel matrices that are never stored. Throughput is in entries of the full matrix.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernels_core::{LazyGram, Operator, Rbf, Real, Rows};
use nalgebra::DMatrix;

fn bench_scalar<T: Real>(c: &mut Criterion, scalar: &str) {
    let mut group = c.benchmark_group("lazy");
    group.sample_size(10);
    for (n, dim, columns) in [(10_000, 10, 1), (10_000, 10, 8), (10_000, 50, 1)] {
        let value = |k: usize| T::of((k as f64 * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0);
        let xs = Rows::from_row_major((0..n * dim).map(value).collect(), n, dim).expect("n * dim values");
        let kernel = Rbf::new((dim as f64).sqrt()).expect("valid");
        let lazy = LazyGram::new(&kernel, &xs, 256 << 20).expect("room");
        let v = DMatrix::from_fn(n, columns, |i, j| value(i + 7 * j));
        let mut out = DMatrix::zeros(n, columns);
        group.throughput(Throughput::Elements((n * n) as u64));
        group.bench_function(BenchmarkId::new("rbf", format!("n={n},d={dim},t={columns},{scalar}")), |b| {
            b.iter(|| lazy.apply(v.as_view(), out.as_view_mut()));
        });
    }
    group.finish();
}

fn bench(c: &mut Criterion) {
    bench_scalar::<f64>(c, "f64");
    bench_scalar::<f32>(c, "f32");
}

criterion_group!(benches, bench);
criterion_main!(benches);
