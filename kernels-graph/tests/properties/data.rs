//! Real data.

use std::{fs, io::BufReader, path::PathBuf};

use kernels_core::dense::Cholesky;
use kernels_graph::{
    GraphKernel, GraphSet, Laplacian, Mesh, NodeKernel, OnlineKernel, OnlineLabels, ShortestPath,
    VertexHistogram, WeisfeilerLehman, WlAssignment, graph_gram, mesh_normals_regression, read_tu,
};
use nalgebra::DMatrix;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A file that is not part of this repository, when it is there.
fn outside(name: &str) -> Option<PathBuf> {
    // The folder with `data/` and `reference/`.
    let root = std::env::var_os("KERNELS_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = root.join("reference/graph/data").join(name);
    if path.exists() {
        Some(path)
    } else {
        println!(
            "skipped: {name} is not there (set KERNELS_DATA to the folder that has reference/graph/data)"
        );
        None
    }
}

/// Accuracy of ridge regression on ±1 targets, one against the rest, over given folds.
fn accuracy(k: &DMatrix<f64>, classes: &[i64], folds: &[usize]) -> f64 {
    let mut names: Vec<i64> = classes.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut scores = Vec::new();
    for fold in 0..10 {
        let train: Vec<usize> = (0..classes.len()).filter(|i| folds[*i] != fold).collect();
        let test: Vec<usize> = (0..classes.len()).filter(|i| folds[*i] == fold).collect();
        let inner = DMatrix::from_fn(train.len(), train.len(), |i, j| {
            k[(train[i], train[j])] + if i == j { 0.1 } else { 0.0 }
        });
        let mut a = DMatrix::from_fn(train.len(), names.len(), |i, c| {
            if classes[train[i]] == names[c] { 1.0 } else { -1.0 }
        });
        Cholesky::new(inner).unwrap().solve_in_place(a.as_view_mut()).unwrap();
        let right = test.iter().filter(|&&t| {
            let score = |c: usize| train.iter().enumerate().map(|(i, &s)| k[(t, s)] * a[(i, c)]).sum::<f64>();
            let best = (0..names.len()).max_by(|x, y| score(*x).total_cmp(&score(*y))).unwrap();
            names[best] == classes[t]
        });
        scores.push(right.count() as f64 / test.len() as f64);
    }
    scores.iter().sum::<f64>() / 10.0
}

/// MUTAG: fingerprints of integer Gram matrices exactly, and the accuracies of the reference.
#[test]
fn mutag() {
    let set = read_tu(folder().join("data/MUTAG"), "MUTAG").unwrap();
    let file: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("reference/tu_gram.json")).unwrap()).unwrap();
    let reference = &file["datasets"][0];
    assert_eq!(set.graphs.iter().count(), 188);
    let folds: Vec<usize> =
        reference["fold"].as_array().unwrap().iter().map(|f| f.as_u64().unwrap() as usize).collect();
    let mut seen = 0;
    for record in reference["kernels"].as_array().unwrap() {
        let h = record["params"]["h"].as_u64().unwrap_or(0) as usize;
        let labels = record["params"]["with_labels"].as_bool().unwrap_or(true);
        fn both<K: GraphKernel>(kernel: &K, graphs: &GraphSet) -> (DMatrix<f64>, DMatrix<f64>) {
            (graph_gram(kernel, graphs, false).unwrap(), graph_gram(kernel, graphs, true).unwrap())
        }
        let (k, normalized) = match record["kernel"].as_str().unwrap() {
            "wl_subtree" => both(&WeisfeilerLehman::new(h), &set.graphs),
            "wl_oa" => both(&WlAssignment::new(h), &set.graphs),
            "vertex_histogram" => both(&VertexHistogram, &set.graphs),
            "shortest_path" => both(&ShortestPath::new().labels(labels), &set.graphs),
            _ => continue,
        };
        seen += 1;
        assert_eq!(k.trace(), record["trace"].as_f64().unwrap(), "{record}");
        assert_eq!(k.sum(), record["sum"].as_f64().unwrap());
        let expected = record["normalized_sum"].as_f64().unwrap();
        assert!((normalized.sum() - expected).abs() < 1e-9 * expected);
        let expected = record["krr_lambda0.1_10fold_acc"].as_f64().unwrap();
        // The order of graphs and the folds are the reference's.
        assert!((accuracy(&normalized, &set.classes, &folds) - expected).abs() < 1e-9, "{record}");
    }
    assert!(seen >= 5);
}

/// A uniform number of (seed 42, counter), as in the reference.
fn masked(i: usize) -> bool {
    let counter = (42u64 << 32) + 42 + i as u64;
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0 < 0.2
}

/// Normals of masked vertices: of a shipped sphere, and of the meshes of the reference when they are there.
#[test]
fn mesh_normals() {
    let file = fs::File::open(folder().join("data/sphere.off")).unwrap();
    let sphere = Mesh::read_off(BufReader::new(file)).unwrap();
    let mask: Vec<bool> = (0..sphere.vertices().len()).map(masked).collect();
    let heat = NodeKernel::diffusion(2.0).operator(&sphere.graph().unwrap(), 1e-8).unwrap();
    let (cosine, _) = mesh_normals_regression(&sphere, &heat, &mask).unwrap();
    assert!(cosine > 0.9, "{cosine}");
    let file: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("reference/mesh_normals.json")).unwrap())
            .unwrap();
    for record in file["records"].as_array().unwrap() {
        let Some(path) = outside(&format!("{}.obj", record["mesh"].as_str().unwrap())) else { continue };
        let mesh = Mesh::read_obj(BufReader::new(fs::File::open(path).unwrap())).unwrap();
        let graph = mesh.graph().unwrap();
        assert_eq!(graph.nodes(), record["n"].as_u64().unwrap() as usize);
        assert_eq!(graph.edges(), record["edges"].as_u64().unwrap() as usize);
        let normals = mesh.normals();
        let mask: Vec<bool> = (0..graph.nodes()).map(|i| masked(i) && normals.row(i).norm() > 0.0).collect();
        assert_eq!(mask.iter().filter(|m| **m).count(), record["masked"].as_u64().unwrap() as usize);
        for result in record["results"].as_array().unwrap() {
            // (I − S/2)^(−d) is (I + σ²L)^(−d) with σ² = 1, up to a factor.
            let laplacian = Laplacian::Symmetric;
            let kernel = match result["kernel"].as_str().unwrap() {
                "exp(-2 Lsym)" => NodeKernel::diffusion(2.0),
                "(I-0.5 S)^-1" => NodeKernel::RegularizedLaplacian { laplacian, sigma2: 1.0, degree: 1.0 },
                _ => NodeKernel::RegularizedLaplacian { laplacian, sigma2: 1.0, degree: 2.0 },
            };
            let operator = kernel.operator(&graph, 1e-13).unwrap();
            let (cosine, _) = mesh_normals_regression(&mesh, &operator, &mask).unwrap();
            let expected = result["mean_cosine_similarity"].as_f64().unwrap();
            assert!((cosine - expected).abs() < 1e-9, "{record} {cosine}");
        }
    }
}

/// The accuracies printed by the reference code on citeseer, when it is there.
#[test]
fn online_labels_of_citeseer() {
    let Some(path) = outside("citeseer.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let numbers = |name: &str| -> Vec<usize> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect()
    };
    let (labels, order) = (numbers("labels"), numbers("order_seed0"));
    let edges: String = text
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_digit()))
        .map(|l| format!("{l}\n"))
        .collect();
    let (graph, _) = kernels_graph::EdgeList::new().nodes(labels.len()).read(edges.as_bytes()).unwrap();
    assert_eq!(graph.edges(), 3668);
    for (kernel, lambda, expected) in [
        (OnlineKernel::Laplacian, 0.1, 0.73460),
        (OnlineKernel::Symmetric, 0.1, 0.73649),
        (OnlineKernel::Smoothed, 0.1, 0.67393),
        (OnlineKernel::Heuristic, 0.1, 0.74171),
    ] {
        let mut online = OnlineLabels::new(&graph, 6, kernel, lambda, 1e-5).unwrap();
        for &node in &order {
            online.observe(node, labels[node]).unwrap();
        }
        let accuracy = 1.0 - online.mistakes() as f64 / order.len() as f64;
        assert!((accuracy - expected).abs() < 6e-6, "{kernel:?} {accuracy}");
    }
}
