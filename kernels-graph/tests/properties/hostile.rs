//! Any parameters on any graphs: an error or a symmetric matrix, never a panic.

use std::sync::atomic::{AtomicUsize, Ordering};

use kernels_core::{Block, DynKernel, Kernel, Points, Readable, Tile, Workspace, gram};
use kernels_graph::{
    Error, Graph, GraphKernel, GraphSet, LabelledGraph, NodeKernel, Nodes, RandomWalks, ShortestPath,
    VertexHistogram, WeisfeilerLehman, graph_gram, random_labelled_graphs,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

fn argument() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "-0.0",
        "1",
        "-1",
        "0.5",
        "2",
        "3",
        "7",
        "64",
        "1e300",
        "1e-300",
        "inf",
        "1e15",
        "1000000",
        "[1, 2]",
        "word",
        "true",
        "false",
        "all",
        "exponential",
        "all_pairs",
        "combinatorial",
        "hellinger",
        "simple",
        "vertex_histogram()",
    ])
}

fn calls(families: Vec<&'static kernels_core::Family>) -> impl Strategy<Value = String> {
    (prop::sample::select(families), prop::collection::vec(prop::option::of(argument()), 8)).prop_map(
        |(family, values)| {
            let given = family.parameters.iter().zip(values);
            // Samples are drawn as many as are asked for.
            let given = given.filter(|(p, value)| p.name != "samples" || *value != Some("1e15"));
            let given = given.filter_map(|(p, value)| value.map(|value| format!("{}={value}", p.name)));
            let first = family.of_kernel.then(|| "shortest_path()".to_owned());
            format!("{}({})", family.name, first.into_iter().chain(given).collect::<Vec<_>>().join(", "))
        },
    )
}

/// Graphs of 0 to 5 nodes with weights from tiny to huge, loops, isolated nodes, directions, with and without labels.
fn graph() -> impl Strategy<Value = LabelledGraph> {
    let weight = prop_oneof![0.1..3.0_f64, prop::sample::select(vec![0.0, 1e-300, 1e-12, 1e12, 1e150])];
    let edges = prop::collection::vec((0_usize..5, 0_usize..5, weight), 0..9);
    (0_usize..6, edges, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(n, edges, directed, labels, attributes)| {
            let edges: Vec<_> = edges.into_iter().filter(|(u, v, _)| *u < n && *v < n).collect();
            let graph = if directed { Graph::directed(n, edges) } else { Graph::undirected(n, edges) };
            let mut graph = LabelledGraph::new(graph.unwrap());
            if labels {
                graph = graph.node_labels((0..n as i64).map(|i| i % 2).collect()).unwrap();
            }
            if attributes {
                graph = graph.attributes(DMatrix::from_fn(n, 2, |i, j| (i * 3 + j) as f64)).unwrap();
            }
            graph
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn between_graphs(text in calls(GraphSet::vocabulary().families().collect()), graphs in prop::collection::vec(graph(), 0..4)) {
        let Ok(kernel) = text.parse::<DynKernel<GraphSet>>() else { return Ok(()) };
        let printed = kernel.to_string();
        prop_assert_eq!(printed.parse::<DynKernel<GraphSet>>().unwrap().to_string(), printed);
        let graphs = GraphSet::new(graphs);
        let Ok(k) = gram(&kernel, &graphs) else { return Ok(()) };
        for i in 0..graphs.len() {
            for j in 0..i {
                prop_assert!(k[(i, j)].to_bits() == k[(j, i)].to_bits(), "{}: {} {}", text, k[(i, j)], k[(j, i)]);
            }
        }
    }

    #[test]
    fn of_nodes(text in calls(NodeKernel::families().iter().collect()), graph in graph()) {
        let Ok(kernel) = text.parse::<NodeKernel>() else { return Ok(()) };
        prop_assert_eq!(kernel.to_string().parse::<NodeKernel>().unwrap(), kernel);
        let n = graph.nodes();
        if let Ok(matrix) = kernel.matrix(graph.graph()) {
            prop_assert_eq!(matrix.shape(), (n, n));
        }
        if let Ok(on) = kernel.on(graph.graph()) {
            prop_assert_eq!(gram(&on, &Nodes::all(n)).unwrap().shape(), (n, n));
        }
        if let Ok(walks) = kernel.walks(graph.graph())
            && let Ok(features) = RandomWalks::new(3, 0.5).seed(1).features(&walks)
        {
            for i in 0..n {
                let _ = features.estimate(i, n - 1 - i);
            }
        }
    }
}

/// Counts how many graphs are reduced.
#[derive(Clone)]
struct Counted;

static MADE: AtomicUsize = AtomicUsize::new(0);

impl GraphKernel for Counted {
    type Form = f64;
    fn form(&self, graph: &LabelledGraph) -> f64 {
        MADE.fetch_add(1, Ordering::Relaxed);
        graph.nodes() as f64
    }
    fn compare(&self, x: &f64, y: &f64) -> f64 {
        x * y
    }
}

/// A set keeps the forms of its graphs; values do not depend on what it keeps, nor on how the matrix is cut.
#[test]
fn forms_are_kept() -> Result<(), Error> {
    let graphs = GraphSet::new(random_labelled_graphs(300, 5)?);
    let texts = [
        "weisfeiler_lehman(iterations=2)",
        "shortest_path()",
        "refined(vertex_histogram(), iterations=2)",
        "random_walk(lambda=0.001)",
        "vertex_histogram()",
        "wl_assignment(iterations=1)",
    ];
    for text in texts.iter().chain(&texts) {
        let kernel: DynKernel<GraphSet> = text.parse()?;
        let k = gram(&kernel, &graphs)?;
        // Three tiles a side; a block of another cut, of graphs that have no forms yet.
        let apart = GraphSet::new(graphs.iter().cloned().collect());
        let at = Block::within(&apart, 100..160, 120..290)?;
        let (n, m) = at.shape();
        let mut block = vec![0.0; n * m];
        kernel.block(&at, Tile::from_slice(&mut block, n, m), &mut Workspace::new());
        for (e, value) in block.iter().enumerate() {
            assert_eq!(value.to_bits(), k[(100 + e % n, 120 + e / n)].to_bits(), "{text}");
        }
        let cut = graphs.subset(&[7, 3, 7])?;
        let small = gram(&kernel, &cut)?;
        assert_eq!((small[(0, 1)], small[(0, 2)]), (k[(7, 3)], k[(7, 7)]), "{text}");
    }
    let same = graph_gram(&WeisfeilerLehman::new(2), &graphs, false)?;
    assert_eq!(gram(&WeisfeilerLehman::new(2), &graphs)?, same);
    assert_eq!(gram(&ShortestPath::new(), &graphs)?, graph_gram(&ShortestPath::new(), &graphs, false)?);
    assert_eq!(gram(&VertexHistogram, &graphs)?, graph_gram(&VertexHistogram, &graphs, false)?);
    graph_gram(&Counted, &graphs, false)?;
    assert_eq!(MADE.load(Ordering::Relaxed), 300);
    Ok(())
}
