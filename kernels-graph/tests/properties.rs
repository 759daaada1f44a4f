//! Invariants on random graphs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, clippy::print_stdout)]

#[path = "properties/between.rs"]
mod between;
#[path = "properties/data.rs"]
mod data;
#[path = "properties/edges.rs"]
mod edges;
#[path = "properties/hostile.rs"]
mod hostile;

use kernels_core::dense::SymmetricEigen;
use kernels_graph::{
    EdgeHistogram, Graph, GraphKernel, GraphSet, Graphlets, KernelMixture, LabelledGraph, Laplacian,
    NeighbourhoodHash, NodeKernel, Propagation, PyramidMatch, ShortestPath, VertexHistogram, WalkSeries,
    Wasserstein, WeisfeilerLehman, WlAssignment, earth_mover, graph_gram, info_nce,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

/// Weighted graphs of 1 to 12 nodes, loops and isolated nodes included.
fn graphs() -> impl Strategy<Value = Graph> {
    (1usize..12).prop_flat_map(|n| {
        prop::collection::vec((0..n, 0..n, 0.1f64..3.0), 0..25)
            .prop_map(move |edges| Graph::undirected(n, edges).unwrap())
    })
}

fn labelled() -> impl Strategy<Value = LabelledGraph> {
    graphs().prop_flat_map(|g| {
        let n = g.nodes();
        prop::collection::vec(0i64..3, n)
            .prop_map(move |l| LabelledGraph::new(g.clone()).node_labels(l).unwrap())
    })
}

fn permutation(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17) ^ seed);
    order
}

fn node_kernels() -> Vec<NodeKernel> {
    vec![
        NodeKernel::diffusion(0.7),
        NodeKernel::Diffusion { laplacian: Laplacian::Combinatorial, t: 0.4 },
        NodeKernel::RegularizedLaplacian { laplacian: Laplacian::Combinatorial, sigma2: 2.0, degree: 1.5 },
        NodeKernel::RandomWalk { a: 2.0, steps: 3 },
        NodeKernel::InverseCosine,
        NodeKernel::matern(1.5, 2.0),
        NodeKernel::PageRank { alpha: 0.2 },
        NodeKernel::Communicability { beta: 0.3 },
        NodeKernel::CommuteTime,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Symmetric, positive semidefinite, zero between components, and renamed with the nodes.
    #[test]
    fn node_kernels_are_kernels(g in graphs(), seed in any::<u64>()) {
        let order = permutation(g.nodes(), seed);
        let renamed = g.relabel(&order).unwrap();
        let (component, _) = g.components();
        for kernel in node_kernels() {
            let k = kernel.matrix(&g).unwrap();
            let other = kernel.matrix(&renamed).unwrap();
            prop_assert_eq!(&k, &k.transpose());
            let least = SymmetricEigen::new(&k).unwrap().values[0];
            prop_assert!(least >= -1e-10 * k.trace(), "{:?} {}", kernel, least);
            for i in 0..g.nodes() {
                for j in 0..g.nodes() {
                    prop_assert!((k[(i, j)] - other[(order[i], order[j])]).abs() <= 1e-9 * k.amax());
                    prop_assert!(component[i] == component[j] || k[(i, j)] == 0.0);
                }
            }
        }
    }

    /// exp(−sL)exp(−tL) = exp(−(s+t)L), rows of which sum to 1.
    #[test]
    fn heat_is_a_semigroup(g in graphs(), s in 0.1f64..2.0, t in 0.1f64..2.0) {
        let at = |t: f64| NodeKernel::Diffusion { laplacian: Laplacian::Combinatorial, t }.matrix(&g).unwrap();
        prop_assert!((at(s) * at(t) - at(s + t)).amax() < 1e-11);
        prop_assert!(at(t).row_iter().all(|row| (row.sum() - 1.0).abs() < 1e-11));
    }

    /// Kernels between graphs do not see the names of nodes, and are positive semidefinite.
    #[test]
    fn graph_kernels_are_invariant(graphs in prop::collection::vec(labelled(), 1..4), seed in any::<u64>()) {
        fn check<K: GraphKernel>(kernel: &K, set: &GraphSet) -> Result<(), TestCaseError> {
            let k = graph_gram(kernel, set, false).unwrap();
            // Walks along heavy edges overflow, under any names.
            if k.iter().any(|v| !v.is_finite()) {
                return Ok(());
            }
            let half = k.nrows() / 2;
            for i in 0..half {
                for j in 0..half {
                    prop_assert!((k[(i, j)] - k[(half + i, j)]).abs() <= 1e-10 * (1.0 + k.amax()));
                }
            }
            let least = SymmetricEigen::new(&k).unwrap().values[0];
            prop_assert!(least >= -1e-10 * (1.0 + k.trace()), "{}", least);
            Ok(())
        }
        let renamed = graphs.iter().map(|g| g.relabel(&permutation(g.nodes(), seed)).unwrap());
        let set = GraphSet::new(graphs.iter().cloned().chain(renamed).collect());
        check(&WeisfeilerLehman::new(3), &set)?;
        check(&WlAssignment::new(2), &set)?;
        check(&ShortestPath::new(), &set)?;
        check(&VertexHistogram, &set)?;
        check(&EdgeHistogram, &set)?;
        check(&Graphlets::new(3).unwrap(), &set)?;
        check(&Graphlets::new(4).unwrap().connected(false), &set)?;
        check(&NeighbourhoodHash::new(2, 16).unwrap(), &set)?;
        check(&Propagation::new(3, 0.5).unwrap().seed(3), &set)?;
        check(&Wasserstein::new(2, 1.0).unwrap(), &set)?;
        check(&PyramidMatch::new(3, 4).unwrap(), &set)?;
        check(&PyramidMatch::new(4, 6).unwrap().labels(true), &set)?;
        check(&WalkSeries::exponential(0.1).unwrap(), &set)?;
        check(&WalkSeries::exponential(0.1).unwrap().node_labels(true), &set)?;
    }

    /// The tree distance is the earth mover's distance: transport of the same costs gives the same number.
    #[test]
    fn tree_distance_is_transport(a in labelled(), b in labelled()) {
        // Cost: the fraction of levels 0, 1 at which names differ, by brute force.
        let level = |g: &LabelledGraph, v: usize| {
            let mut around: Vec<i64> = g.labelled_neighbours(v).map(|(u, _)| g.label(u)).collect();
            around.sort_unstable();
            (g.label(v), around)
        };
        let cost = DMatrix::from_fn(a.nodes(), b.nodes(), |i, j| {
            let (x, y) = (level(&a, i), level(&b, j));
            0.5 * (f64::from(u8::from(x.0 != y.0)) + f64::from(u8::from(x != y)))
        });
        let tree = Wasserstein::new(1, 1.0).unwrap().distance(&a, &b);
        prop_assert!((earth_mover(&cost).unwrap() - tree).abs() < 1e-12);
    }

    /// The gradient of the contrastive objective is its difference quotient.
    #[test]
    fn contrastive_gradient(values in prop::collection::vec(-1.0f64..1.0, 10)) {
        let z = DMatrix::from_row_slice(5, 2, &values);
        let g = Graph::undirected(5, [(0, 1, 1.0), (1, 2, 0.5), (3, 4, 2.0)]).unwrap();
        let kernel = KernelMixture::new(vec![(1.0, 2.0, 0.7), (0.5, 1.0, 1.3)]).unwrap();
        let (_, gradient) = info_nce(&z, &g, &kernel).unwrap();
        for at in 0..10 {
            let moved = |h: f64| { let mut z = z.clone(); z[at] += h; info_nce(&z, &g, &kernel).unwrap().0 };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            // Roots of distances have large second derivatives where points nearly meet.
            prop_assert!((difference - gradient[at]).abs() < 1e-4 * (1.0 + gradient[at].abs()));
        }
    }
}
