//! Formats, construction, push, online labels, learning.

use std::{fs::File, io::BufReader};

use kernels_core::Rows;
use kernels_graph::{
    EdgeList, EdgeWeight, FisherLayer, FisherProjection, Graph, GraphSet, Joining, LabelledGraph,
    OnlineKernel, OnlineLabels, Push, Pusher, SpectralClustering, TuDataset, grid, nearest, nearest_graph,
    normalized_cut, radius_graph, read_graphml, read_matrix_market, read_metis, read_tu, relative_positions,
    return_probabilities, write_tu,
};
use nalgebra::DMatrix;

use super::{distance, edges, graph, integers, load, matrix, number, records, vector};

fn file(name: &str) -> BufReader<File> {
    BufReader::new(File::open(format!("{}/tests/reference/io/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap())
}

fn same(graph: &Graph, expected: &[(usize, usize, f64)], name: &str) {
    let mut list: Vec<_> = expected.iter().map(|(u, v, w)| (*u.min(v), *u.max(v), *w)).collect();
    list.sort_by_key(|e| (e.0, e.1));
    let found: Vec<_> = graph.edge_list().collect();
    assert_eq!(found.len(), list.len(), "{name}");
    for (a, b) in found.iter().zip(&list) {
        assert_eq!((a.0, a.1), (b.0, b.1), "{name}");
        assert!((a.2 - b.2).abs() < 1e-15, "{name}");
    }
}

#[test]
fn formats_parse_to_the_same_graph() {
    let expected = load("io/expected.json");
    let real = edges(&expected["edges_real"]);
    same(&EdgeList::new().read(file("g.edgelist")).unwrap().0, &real, "edge list");
    let (csv, names) = EdgeList::new().read(file("g.csv")).unwrap();
    assert_eq!(names[3], "n3");
    same(&csv, &real, "csv");
    same(&read_matrix_market(file("g_sym.mtx"), false).unwrap(), &real, "mtx");
    let unit: Vec<_> = real.iter().map(|(u, v, _)| (*u, *v, 1.0)).collect();
    same(&read_matrix_market(file("g_pattern.mtx"), false).unwrap(), &unit, "pattern");
    same(&read_metis(file("g.metis")).unwrap(), &edges(&expected["edges_metis_int"]), "metis");
    let (xml, names) = read_graphml(file("g.graphml")).unwrap();
    let order: Vec<&str> =
        expected["graphml_node_order"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(names, order);
    let back: Vec<usize> = names.iter().map(|n| n[1..].parse().unwrap()).collect();
    same(&xml.relabel(&back).unwrap(), &real, "graphml");
    let set = read_tu(format!("{}/tests/reference/io/MINI", env!("CARGO_MANIFEST_DIR")), "MINI").unwrap();
    let mini = expected["mini_tu"].as_array().unwrap();
    for (g, e) in set.graphs.iter().zip(mini) {
        assert_eq!(g.nodes(), e["n"].as_u64().unwrap() as usize);
        let unit: Vec<_> = edges(&e["edges"]).iter().map(|(u, v, _)| (*u, *v, 1.0)).collect();
        same(g.graph(), &unit, "tu");
        for (u, v, label) in edges(&e["edges"]) {
            assert!(g.labelled_neighbours(u).any(|(w, l)| w == v && l == label as i64));
        }
        assert_eq!((0..g.nodes()).map(|v| g.label(v) as f64).collect::<Vec<_>>(), vector(&e["node_labels"]));
        assert_eq!(*g.node_attributes().unwrap(), matrix(&e["node_attributes"]));
    }
    let classes: Vec<i64> = mini.iter().map(|e| e["class"].as_i64().unwrap()).collect();
    assert_eq!(set.classes, classes);
    // Written and read again, it is the same.
    let folder = tempfile::tempdir().unwrap();
    write_tu(&folder, "AGAIN", &set).unwrap();
    let again = read_tu(&folder, "AGAIN").unwrap();
    assert!(again.graphs.iter().eq(set.graphs.iter()) && again.classes == set.classes);
    let mixed = vec![set.graphs.iter().next().unwrap().clone(), LabelledGraph::new(grid(2, 2).unwrap())];
    let mixed = TuDataset { graphs: GraphSet::new(mixed), classes: Vec::new() };
    assert!(write_tu(&folder, "MIXED", &mixed).is_err());
    assert!(write_tu(folder.path().join("nowhere"), "AGAIN", &set).is_err());
}

#[test]
fn nearest_neighbours_agree() {
    for record in records(&load("knn_graph.json")) {
        let x = matrix(&record["X"]);
        let (xs, k) = (Rows::new(&x), record["k"].as_u64().unwrap() as usize);
        let near = nearest(&xs, k).unwrap();
        for (list, expected) in near.iter().zip(record["neighbors"].as_array().unwrap()) {
            assert_eq!(list.iter().map(|(j, _)| *j).collect::<Vec<_>>(), integers(expected));
        }
        let made = |joining, weight| nearest_graph(&xs, k, joining, weight).unwrap();
        same(&made(Joining::Union, EdgeWeight::Unit), &edges(&record["union_edges"]), "union");
        same(&made(Joining::Mutual, EdgeWeight::Unit), &edges(&record["mutual_edges"]), "mutual");
        same(
            &made(Joining::Union, EdgeWeight::Gaussian(0.8)),
            &edges(&record["gaussian_sigma0.8_union"]),
            "gaussian",
        );
        same(
            &made(Joining::Union, EdgeWeight::SelfTuning),
            &edges(&record["selftuning_union"]),
            "self-tuning",
        );
        let radius = radius_graph(&xs, number(&record["eps"]), EdgeWeight::Unit).unwrap();
        same(&radius, &edges(&record["eps_edges"]), "radius");
    }
}

#[test]
fn pushes_agree_and_keep_their_invariants() {
    for record in records(&load("local_push.json")) {
        let g = graph(record["graph"].as_str().unwrap());
        let alpha = number(&record["alpha"]);
        let pagerank = record["operator"].as_str().unwrap().starts_with("alpha (I-");
        let what = if pagerank { Push::PageRank { alpha } } else { Push::Laplacian { alpha } };
        let seed = match record["s"].as_u64() {
            Some(s) => s as usize,
            None => record["s"].as_str().unwrap().parse().unwrap(),
        };
        let epsilon = number(&record["eps"]);
        let column = Pusher::new(&g).unwrap().column(what, seed, epsilon).unwrap();
        let mut x = vec![0.0; g.nodes()];
        column.values.iter().for_each(|(v, value)| x[*v] = *value);
        for (a, b) in x.iter().zip(vector(&record["estimate"])) {
            assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()), "{a} {b} {record}");
        }
        assert_eq!(column.pushes, record["pushes"].as_u64().unwrap() as usize);
        let degrees = g.degrees();
        assert!(column.residual.iter().all(|(v, r)| *r <= epsilon * degrees[*v]));
        if record["exact"].is_array() {
            let exact = vector(&record["exact"]);
            let error: f64 = x.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum();
            assert!(x.iter().zip(&exact).all(|(a, b)| *a <= b + 1e-12));
            assert!(error <= column.error() * (1.0 + 1e-9) + 1e-12);
        }
    }
}

#[test]
fn online_predictions_agree() {
    for record in records(&load("fastonl_small.json")) {
        let g = graph(record["graph"].as_str().unwrap());
        let labels = integers(&record["labels"]);
        let kernel = match record["kernel_id"].as_u64().unwrap() {
            1 => OnlineKernel::Laplacian,
            2 => OnlineKernel::Symmetric,
            3 => OnlineKernel::Smoothed,
            _ => OnlineKernel::Heuristic,
        };
        let (k, lambda) = (record["k"].as_u64().unwrap() as usize, number(&record["lambda_over_n"]));
        let trace = record["T0"] == "trace";
        let mut exact = OnlineLabels::exact(&g, k, kernel, lambda).unwrap();
        if trace {
            exact = exact.begin_with_trace().unwrap();
        }
        let mut runs = vec![exact];
        if record["repo_fast_onc_eps_1e-12_identical"] == true {
            runs.push(OnlineLabels::new(&g, k, kernel, lambda, 1e-12).unwrap());
        }
        for mut run in runs {
            let nodes = integers(&record["nodes"]);
            let found: Vec<usize> = nodes
                .iter()
                .map(|&node| {
                    let class = run.predict(node).unwrap();
                    run.observe(node, labels[node]).unwrap();
                    class
                })
                .collect();
            assert_eq!(found, integers(&record["predictions_in_order"]), "{record}");
            assert_eq!(run.mistakes(), record["mistakes"].as_u64().unwrap() as usize);
            let loss = number(&record["surrogate_loss_sum"]);
            assert!((run.loss() - loss).abs() < 1e-8 * loss);
        }
    }
}

#[test]
fn positions_agree() {
    for record in records(&load("rrwp.json")) {
        let g = graph(record["graph"].as_str().unwrap());
        let k = record["K"].as_u64().unwrap() as usize;
        let p = relative_positions(&g, k).unwrap();
        let row = matrix(&record["rrwp_row0"]);
        let ours = DMatrix::from_fn(g.nodes(), k, |j, step| p[step][(0, j)]);
        assert!(distance(&ours, &row) < 1e-14);
        let diagonal = matrix(&record["rwse_diag"]);
        assert!(distance(&return_probabilities(&g, k), &diagonal) < 1e-14);
    }
}

#[test]
fn spectral_clusters_agree() {
    let file = load("spectral_clustering.json");
    let g = graph("karate");
    let found = SpectralClustering::new(2).signs(true).fit(&g).unwrap();
    let expected = integers(&file["labels_sign_of_fiedler"]);
    let flipped: Vec<usize> = found.labels.iter().map(|l| 1 - l).collect();
    assert!(found.labels == expected || flipped == expected);
    let (cut, ncut) = normalized_cut(&g, &expected).unwrap();
    assert!((cut - number(&file["cut"])).abs() < 1e-12 && (ncut - number(&file["ncut"])).abs() < 1e-12);
    let five = SpectralClustering::new(5).fit(&g).unwrap();
    assert!(five.eigenvalues.iter().zip(vector(&file["eigenvalues5"])).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn fisher_embeddings_agree() {
    let file = load("fie.json");
    let x = matrix(&file["X"]);
    let layer = FisherLayer::new(matrix(&file["mu"]), vector(&file["bias"])).unwrap();
    assert!(distance(&layer.attention(&x).unwrap(), &matrix(&file["mixture_attention"])) < 1e-12);
    let g = FisherLayer::with_loops(&graph("weighted12")).unwrap();
    let out = layer.apply(&g, &x).unwrap();
    assert!(distance(&out, &matrix(&file["layer_output_before_projection"])) < 1e-12);
    // The anchors of the file are unit vectors rounded to six digits, and are scaled to length 1 first.
    let projection = FisherProjection::new(matrix(&file["anchors_Z"]), number(&file["sigma"])).unwrap();
    assert!(distance(&projection.apply(&out).unwrap(), &matrix(&file["kernel_layer_output"])) < 1e-12);
}
