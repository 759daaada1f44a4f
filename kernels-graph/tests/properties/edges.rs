//! Degenerate and hostile input.

use kernels_graph::{
    Copies, Duplicates, EdgeList, EdgeWeight, Error, Graph, GraphBuilder, GraphSet, Joining, LabelledGraph,
    Laplacian, LengthLaw, Mesh, ModulationNetwork, NearestSearch, NodeKernel, Push, Pusher, RandomWalks,
    ShortestPath, SpectralClustering, WalkKernel, WalkSeries, WeisfeilerLehman, deconvolve, graph_gram,
    learn_modulation, nearest, nearest_graph, read_graphml, read_matrix_market, read_metis,
};

#[test]
fn empty_and_single() {
    for n in [0, 1, 2] {
        let g = Graph::undirected(n, []).unwrap();
        for kernel in
            [NodeKernel::diffusion(1.0), NodeKernel::PageRank { alpha: 0.3 }, NodeKernel::CommuteTime]
        {
            let k = kernel.matrix(&g).unwrap();
            assert_eq!(k.shape(), (n, n));
            assert!(k.iter().all(|v| v.is_finite()));
        }
        let heat = NodeKernel::Diffusion { laplacian: Laplacian::Combinatorial, t: 1.0 };
        let walks = RandomWalks::new(3, 0.5).features(&heat.walks(&g).unwrap()).unwrap();
        assert!((0..n).all(|i| (walks.estimate(i, i) - 1.0).abs() < 1e-15));
        assert_eq!(g.components().1, n);
    }
    let nothing = GraphSet::new(Vec::new());
    assert_eq!(graph_gram(&WeisfeilerLehman::new(2), &nothing, true).unwrap().shape(), (0, 0));
    let hollow = GraphSet::new(vec![LabelledGraph::new(Graph::undirected(0, []).unwrap()); 2]);
    let k = graph_gram(&ShortestPath::new(), &hollow, true).unwrap();
    assert!(k.iter().all(|v| *v == 0.0));
}

/// The search misses few neighbours, does not depend on threads, and copes with coincident points.
#[test]
fn nearest_without_all_pairs() {
    use kernels_core::Rows;
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / 9_007_199_254_740_992.0
    };
    let (n, d, k) = (1500, 6, 8);
    let values: Vec<f64> = (0..n * d).map(|_| uniform() + uniform()).collect();
    let xs = Rows::from_row_major(values, n, d).unwrap();
    let exact = nearest(&xs, k).unwrap();
    let search = NearestSearch::new().seed(5);
    let found = search.search(&xs, k).unwrap();
    let kept: usize =
        exact.iter().zip(&found).map(|(a, b)| a.iter().filter(|pair| b.contains(pair)).count()).sum();
    assert!(kept as f64 > 0.97 * (n * k) as f64, "{kept}");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| search.search(&xs, k)).unwrap(), found);
    assert_ne!(search.rounds(0).search(&xs, k).unwrap(), found);
    // Few points are one leaf: the search is exact.
    let few = Rows::from_row_major((0..30).map(|i| f64::from(i % 7)).collect(), 30, 1).unwrap();
    assert_eq!(search.search(&few, 4).unwrap(), nearest(&few, 4).unwrap());
    let union = search.graph(&few, 4, Joining::Mutual, EdgeWeight::SelfTuning).unwrap();
    assert_eq!(union, nearest_graph(&few, 4, Joining::Mutual, EdgeWeight::SelfTuning).unwrap());
    let equal = Rows::from_row_major(vec![3.0; 200], 200, 1).unwrap();
    assert!(search.search(&equal, 3).unwrap().iter().all(|l| l.len() == 3 && l.iter().all(|p| p.1 == 0.0)));
    assert!(search.search(&few, 30).is_err() && search.trees(0).search(&few, 2).is_err());
    let nothing = Rows::from_row_major(Vec::new(), 0, 1).unwrap();
    assert!(search.search(&nothing, 0).is_err());
}

#[test]
fn wrong_input_is_an_error_that_says_where() {
    assert!(matches!(Graph::undirected(2, [(0, 2, 1.0)]), Err(Error::Node { node: 2, nodes: 2, .. })));
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Graph::undirected(2, [(0, 1, weight)]), Err(Error::Weight { .. })));
    }
    let twice = GraphBuilder::new(2).duplicates(Duplicates::Error).build([(0, 1, 1.0), (1, 0, 1.0)]);
    assert!(matches!(twice, Err(Error::DuplicateEdge { .. })));
    let arrow = Graph::directed(2, [(0, 1, 1.0)]).unwrap();
    assert!(matches!(NodeKernel::diffusion(1.0).matrix(&arrow), Err(Error::Unsupported { .. })));
    let edge = Graph::undirected(2, [(0, 1, 1.0)]).unwrap();
    assert!(matches!(NodeKernel::VonNeumann { alpha: 1.0 }.matrix(&edge), Err(Error::Divergent { .. })));
    assert!(NodeKernel::VonNeumann { alpha: 0.999 }.matrix(&edge).is_ok());
    let lonely = Graph::undirected(3, [(0, 1, 1.0)]).unwrap();
    let commute = NodeKernel::RegularizedCommuteTime { alpha: 0.5 };
    assert!(matches!(commute.matrix(&lonely), Err(Error::Isolated { node: 2, .. })));
    for kernel in [
        NodeKernel::diffusion(f64::NAN),
        NodeKernel::regularized_laplacian(0.0),
        NodeKernel::RandomWalk { a: 1.0, steps: 2 },
        NodeKernel::PageRank { alpha: 1.5 },
        NodeKernel::Diffusion { laplacian: Laplacian::RandomWalk, t: 1.0 },
    ] {
        assert!(kernel.matrix(&edge).is_err() && kernel.walks(&edge).is_err());
    }
    assert!(deconvolve(&[0.0, 1.0]).is_err() && deconvolve(&[]).is_err());
    let heat = NodeKernel::diffusion(1.0).walks(&edge).unwrap();
    for walks in [
        RandomWalks::new(0, 0.5),
        RandomWalks::new(1, 1.0),
        RandomWalks::new(1, 0.0),
        RandomWalks::new(1, f64::NAN),
    ] {
        assert!(walks.features(&heat).is_err());
    }
    assert!(RandomWalks::new(1, 0.5).length(LengthLaw::Table(vec![0.5])).features(&heat).is_err());
    let pair = WalkKernel::asymmetric(edge.adjacency().clone(), vec![1.0, 0.5], vec![1.0]).unwrap();
    assert!(RandomWalks::new(1, 0.5).features(&pair).is_err());
    assert!(RandomWalks::new(1, 0.5).copies(Copies::Two).features(&pair).is_ok());
    assert!(Pusher::new(&edge).unwrap().column(Push::PageRank { alpha: 0.0 }, 0, 1e-3).is_err());
    assert!(SpectralClustering::new(3).fit(&edge).is_err());
    let dense = GraphSet::new(vec![LabelledGraph::new(edge)]);
    assert!(matches!(
        graph_gram(&WalkSeries::geometric(1.0).unwrap(), &dense, false),
        Err(Error::Divergent { .. })
    ));
}

#[test]
fn files_that_are_wrong_name_the_line() {
    let line = |error: Error| match error {
        Error::Parse { line, .. } => line,
        other => panic!("{other}"),
    };
    assert_eq!(line(EdgeList::new().read("0 1\n0 1 2 3\n".as_bytes()).unwrap_err()), 2);
    assert_eq!(line(EdgeList::new().one_based(true).read("1 2\n0 1\n".as_bytes()).unwrap_err()), 2);
    assert_eq!(line(EdgeList::new().read("0 1\n1 2 -1\n".as_bytes()).unwrap_err()), 2);
    let head = "%%MatrixMarket matrix coordinate";
    let mtx = |rest: &str| read_matrix_market(format!("{head} {rest}").as_bytes(), false);
    assert_eq!(line(mtx("complex general\n").unwrap_err()), 1);
    assert_eq!(line(mtx("real hermitian\n").unwrap_err()), 1);
    assert_eq!(line(mtx("real symmetric\n2 2 1\n3 1 1\n").unwrap_err()), 3);
    assert_eq!(line(mtx("real symmetric\n2 3 1\n").unwrap_err()), 2);
    assert!(matches!(mtx("real general\n2 2 1\n1 2 1\n"), Err(Error::Asymmetric { .. })));
    assert!(mtx("real general\n2 2 9\n1 2 1\n").is_err());
    assert_eq!(line(read_metis("2 1\n2\n1\n1\n".as_bytes()).unwrap_err()), 4);
    assert_eq!(line(read_metis("2 2\n2\n1\n".as_bytes()).unwrap_err()), 3);
    assert_eq!(line(read_metis("2 1\n3\n1\n".as_bytes()).unwrap_err()), 2);
    assert_eq!(
        line(read_graphml("<graphml>\n<graph>\n<edge source=\"a\" target=\"b\"/>\n".as_bytes()).unwrap_err()),
        3
    );
    assert!(read_graphml("<graphml><graph></graphml>".as_bytes()).is_err());
    assert!(read_graphml("<graphml>\n<graph".as_bytes()).is_err());
    assert_eq!(line(Mesh::read_off("OFF\n1 1 0\n0 0 0\n3 0 1 2\n".as_bytes()).unwrap_err()), 4);
    assert_eq!(line(Mesh::read_obj("v 0 0 0\nf 1 2 3\n".as_bytes()).unwrap_err()), 2);
    assert_eq!(line(Mesh::read_ply("ply\nformat binary_little_endian 1.0\n".as_bytes()).unwrap_err()), 2);
    let ply =
        "ply\nformat ascii 1.0\nelement vertex 3\nelement face 1\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n";
    assert_eq!(Mesh::read_ply(ply.as_bytes()).unwrap().normals()[(1, 2)], 1.0);
}

#[test]
fn meshes_survive_their_files() {
    let vertices = vec![[0.1, -2e-17, 1.0 / 3.0], [1e300, 0.0, -0.0], [5.0, 6.0, 7.0], [8.0, 9.0, 1.5]];
    for faces in [vec![], vec![vec![0, 1, 2]], vec![vec![3, 2, 1, 0], vec![0, 2, 3]]] {
        let mesh = Mesh::new(vertices.clone(), faces).unwrap();
        let (mut off, mut obj, mut ply) = (Vec::new(), Vec::new(), Vec::new());
        mesh.write_off(&mut off).unwrap();
        mesh.write_obj(&mut obj).unwrap();
        mesh.write_ply(&mut ply).unwrap();
        assert_eq!(Mesh::read_off(&off[..]).unwrap(), mesh);
        assert_eq!(Mesh::read_obj(&obj[..]).unwrap(), mesh);
        assert_eq!(Mesh::read_ply(&ply[..]).unwrap(), mesh);
    }
}

/// Writers and readers are inverse to one another, bit for bit.
#[test]
fn graphs_survive_their_files() {
    let g = Graph::undirected(5, [(0, 1, 0.1), (1, 2, 1.0 / 3.0), (2, 2, 1e-300), (3, 0, 7e200)]).unwrap();
    let mut text = Vec::new();
    kernels_graph::write_edge_list(&g, &mut text).unwrap();
    assert_eq!(EdgeList::new().nodes(5).read(text.as_slice()).unwrap().0, g);
    let mut text = Vec::new();
    kernels_graph::write_matrix_market(&g, &mut text).unwrap();
    assert_eq!(read_matrix_market(text.as_slice(), false).unwrap(), g);
    let mut text = Vec::new();
    kernels_graph::write_graphml(&g, &mut text).unwrap();
    assert_eq!(read_graphml(text.as_slice()).unwrap().0, g);
    let simple = Graph::undirected(4, [(0, 1, 2.0), (1, 3, 0.25)]).unwrap();
    let mut text = Vec::new();
    kernels_graph::write_metis(&simple, &mut text).unwrap();
    assert_eq!(read_metis(text.as_slice()).unwrap(), simple);
}

/// Learning a modulation raises the marginal likelihood, by free coefficients and by a network.
#[test]
fn modulations_are_learned() {
    let g = kernels_graph::grid(6, 6).unwrap();
    let kernel = NodeKernel::regularized_laplacian(0.3).walks(&g).unwrap();
    let kernel = kernel.with_modulation(kernel.modulation()[..8].to_vec()).unwrap();
    let labelled: Vec<usize> = (0..36).step_by(2).collect();
    let targets: Vec<f64> = labelled.iter().map(|i| if i % 6 < 3 { 1.0 } else { -1.0 }).collect();
    let walks = RandomWalks::new(50, 0.3).seed(1);
    let free = learn_modulation(&walks, &kernel, &labelled, &targets, 0.1, None).unwrap();
    assert!(free.loss.1 < free.loss.0 - 0.05, "{:?}", free.loss);
    let network = ModulationNetwork::new(4, 8, 1).unwrap();
    let net = learn_modulation(&walks, &kernel, &labelled, &targets, 0.1, Some(network)).unwrap();
    assert!(net.loss.1 < net.loss.0, "{:?}", net.loss);
    assert_eq!(net.modulation.len(), 8);
}
