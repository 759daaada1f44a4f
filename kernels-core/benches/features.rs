//! Feature maps and sparse Gram matrices. Throughput is in features, or in entries that are stored.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels_core::{
    FeatureMap, RandomFourier, Rbf, Rows, SoftmaxFeatures, StructuredFourier, TensorSketch, Wendland,
    features, sparse_gram,
};

fn points(n: usize, dim: usize) -> Rows<f64> {
    let value = |k: usize| (k as f64 * 0.618_033_988_749_894_9).fract();
    Rows::from_row_major((0..n * dim).map(value).collect(), n, dim).expect("n * dim values")
}

fn maps(c: &mut Criterion) {
    let (n, dim, count) = (5_000, 50, 512);
    let xs = points(n, dim);
    let rbf = Rbf::new(2.0).expect("valid");
    let mut group = c.benchmark_group("features");
    group.sample_size(10);
    let mut run = |name: &str, map: &dyn FeatureMap<Rows<f64>>| {
        group.throughput(Throughput::Elements((n * map.dim()) as u64));
        group.bench_function(name, |b| b.iter(|| features(map, &xs).expect("room")));
    };
    run("fourier", &RandomFourier::new(&rbf, dim, count, 1).expect("valid"));
    run("fastfood", &StructuredFourier::fastfood(&rbf, dim, count, 1).expect("valid"));
    run("softmax", &SoftmaxFeatures::positive(dim, count, 1).expect("valid"));
    run("sketch", &TensorSketch::new(3, 1.0, 1.0, dim, count, 1).expect("valid"));
    group.finish();
}

fn sparse(c: &mut Criterion) {
    let xs = points(30_000, 3);
    let kernel = Wendland::new(1, 3, 0.07).expect("valid");
    let entries = sparse_gram(&kernel, &xs).expect("room").nnz();
    let mut group = c.benchmark_group("sparse");
    group.sample_size(10);
    group.throughput(Throughput::Elements(entries as u64));
    group.bench_function("wendland", |b| b.iter(|| sparse_gram(&kernel, &xs).expect("room")));
    group.finish();
}

criterion_group!(benches, maps, sparse);
criterion_main!(benches);
