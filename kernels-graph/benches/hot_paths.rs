//! Random-walk features, kernels between graphs, and a Chebyshev series on a large graph. Throughput is in walks, pairs of graphs, and edges.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels_core::Operator;
use kernels_graph::{
    GraphKernel, GraphSet, NodeKernel, RandomWalks, ShortestPath, WalkKernel, WalkSeries, WeisfeilerLehman,
    graph_gram, modulation_exponential, random_labelled_graphs, ring_with_chords,
};
use nalgebra::DMatrix;

const NODES: usize = 20_000;

fn walks(c: &mut Criterion) {
    let mut group = c.benchmark_group("walks");
    group.sample_size(10);
    let graph = ring_with_chords(NODES, 9, 1).expect("small");
    for length in [10, 100] {
        let f = modulation_exponential(1.0, length);
        let kernel = WalkKernel::from_modulation(graph.normalized_adjacency(), f).expect("finite");
        for (name, halting, repelling) in
            [("p=0.1", 0.1, false), ("p=0.5", 0.5, false), ("repelling,p=0.5", 0.5, true)]
        {
            let walks = RandomWalks::new(16, halting).repelling(repelling).seed(1);
            group.throughput(Throughput::Elements(16 * NODES as u64));
            group.bench_function(format!("n={NODES},m=16,{name},length={length}"), |b| {
                b.iter(|| walks.shard(&kernel, 0..NODES, 0));
            });
        }
    }
    group.finish();
}

fn between<K: GraphKernel>(c: &mut Criterion, name: &str, kernel: &K, count: usize) {
    let mut group = c.benchmark_group("between");
    group.sample_size(10);
    let graphs = GraphSet::new(random_labelled_graphs(count, 1).expect("small"));
    group.throughput(Throughput::Elements((count * count) as u64));
    group.bench_function(format!("{name},graphs={count}"), |b| b.iter(|| graph_gram(kernel, &graphs, false)));
    group.finish();
}

fn pairs(c: &mut Criterion) {
    between(c, "wl,h=5", &WeisfeilerLehman::new(5), 500);
    between(c, "shortest_path", &ShortestPath::new(), 300);
    between(c, "random_walk", &WalkSeries::geometric(0.001).expect("above 0"), 300);
    let labelled = WalkSeries::geometric(0.001).expect("above 0").node_labels(true);
    between(c, "random_walk,labelled", &labelled, 30);
}

fn heat(c: &mut Criterion) {
    let mut group = c.benchmark_group("heat");
    group.sample_size(10);
    let graph = ring_with_chords(NODES, 9, 1).expect("small");
    let operator = NodeKernel::diffusion(1.0).operator(&graph, 1e-10).expect("converges");
    let x = DMatrix::from_element(NODES, 1, 1.0);
    let mut y = DMatrix::zeros(NODES, 1);
    group.throughput(Throughput::Elements(graph.edges() as u64));
    group.bench_function(format!("n={NODES}"), |b| b.iter(|| operator.apply(x.as_view(), y.as_view_mut())));
    group.finish();
}

criterion_group!(benches, walks, pairs, heat);
criterion_main!(benches);
