//! The group `graph`: random-walk features, kernels between graphs, diffusion.

use std::path::Path;

use kernels_core::{Operator, Points};
use kernels_graph::{
    Graph, GraphKernel, GraphSet, Laplacian, NodeKernel, RandomWalks, ShortestPath, WalkKernel, WalkSeries,
    WeisfeilerLehman, graph_gram, modulation_exponential, random_labelled_graphs, ring_with_chords,
};
use nalgebra::DMatrix;
use serde_json::{Value, json};

use super::group::{Group, Job, Task, file, known};
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Chords a node of the random ring: about ten times as many edges as nodes.
const CHORDS: usize = 9;
/// Walks a node, the probability that one halts before a step, and the longest walk counted.
const WALKS: usize = 16;
const HALTING: f64 = 0.1;
const LENGTH: usize = 10;

/// The group's tasks; `n` is the number of nodes, or of graphs.
pub(super) fn group(quick: bool) -> Group {
    let task = |name, peer, n: usize, tolerance| Task {
        name,
        peer,
        n: if quick { n / 10 } else { n },
        dim: 1,
        tolerance,
    };
    Group {
        name: "graph",
        requirements: include_str!("../../peers/graph.txt"),
        script: include_str!("../../peers/graph.py"),
        // PyTorch with its libraries for graphics cards: gigabytes.
        opt_in: true,
        tasks: vec![
            // Both sides draw at random: the checks, entries and mean row sum, are shown and not compared.
            task("graph_features", "fast-graph-gp", 100_000, f64::INFINITY),
            // Too many walks for the peer.
            task("graph_features_large", "", 1_000_000, f64::INFINITY),
            task("wl", "GraKeL", 1_000, 1e-12),
            task("shortest_path", "GraKeL", 300, 1e-12),
            task("random_walk", "GraKeL", 60, 1e-9),
            task("random_walk_geometric", "GraKeL", 60, 1e-9),
            task("diffusion", "scipy", 2_000, 1e-10),
            task("heat_action", "scipy", 100_000, 1e-8),
        ],
        describe,
        load,
        bound: None,
    }
}

fn describe(task: &Task, folder: &Path) -> Result<Value, Error> {
    let path = |part: &str| folder.join(format!("{}_{part}.npy", task.name));
    let mut out = json!({"task": task.name, "n": task.n, "walks": WALKS, "halting": HALTING,
        "modulation": modulation_exponential(1.0, LENGTH)});
    if matches!(task.name, "wl" | "shortest_path" | "random_walk" | "random_walk_geometric") {
        let (mut edges, mut labels) = (Vec::new(), Vec::new());
        for (g, graph) in random_labelled_graphs(task.n, 1)?.iter().enumerate() {
            for (u, v, _) in graph.graph().edge_list() {
                edges.extend([g as f64, u as f64, v as f64]);
            }
            (0..graph.nodes()).for_each(|v| labels.extend([g as f64, graph.label(v) as f64]));
        }
        write_matrix(&path("edges"), &[edges.len() / 3, 3], &edges)?;
        write_matrix(&path("labels"), &[labels.len() / 2, 2], &labels)?;
        out["edges"] = json!(path("edges"));
        out["labels"] = json!(path("labels"));
        return Ok(out);
    }
    if !task.peer.is_empty() {
        let graph = ring(task.n)?;
        let indptr: Vec<f64> =
            graph.adjacency().indptr().into_raw_storage().iter().map(|&i| i as f64).collect();
        let indices: Vec<f64> = graph.adjacency().indices().iter().map(|&j| f64::from(j)).collect();
        write_matrix(&path("indptr"), &[indptr.len()], &indptr)?;
        write_matrix(&path("indices"), &[indices.len()], &indices)?;
        out["indptr"] = json!(path("indptr"));
        out["indices"] = json!(path("indices"));
    }
    if task.name == "heat_action" {
        let v: Vec<f64> = (0..task.n).map(|i| (i as f64 * 0.37).sin()).collect();
        write_matrix(&path("v"), &[v.len()], &v)?;
        out["v"] = json!(path("v"));
    }
    Ok(out)
}

fn ring(n: usize) -> Result<Graph, Error> {
    Ok(ring_with_chords(n, CHORDS, 1)?)
}

fn load(task: &Value) -> Result<Job, Error> {
    let n = task["n"].as_u64().unwrap_or(0) as usize;
    let set = || -> Result<GraphSet, Error> { Ok(GraphSet::new(random_labelled_graphs(n, 1)?)) };
    Ok(match task["task"].as_str().unwrap_or_default() {
        "graph_features" | "graph_features_large" => {
            let base = ring(n)?.normalized_adjacency();
            let kernel = WalkKernel::from_modulation(base, modulation_exponential(1.0, LENGTH))?;
            Box::new(move || {
                let features = RandomWalks::new(WALKS, HALTING).seed(1).shard(&kernel, 0..n, 0)?;
                Ok(Box::new(move || {
                    let mean = features.data().iter().sum::<f64>() / features.rows() as f64;
                    Ok(vec![features.nnz() as f64, mean])
                }))
            })
        }
        "wl" => gram(WeisfeilerLehman::new(5), set()?),
        "shortest_path" => gram(ShortestPath::new(), set()?),
        "random_walk" => gram(WalkSeries::exponential(0.01)?, set()?),
        "random_walk_geometric" => gram(WalkSeries::geometric(0.001)?, set()?),
        "diffusion" => {
            let graph = ring(n)?;
            Box::new(move || {
                let k = NodeKernel::diffusion(1.0).matrix(&graph)?;
                Ok(Box::new(move || Ok(corners(&k))))
            })
        }
        _ => {
            let graph = ring(n)?;
            let v = read_rows::<f64>(file(task, "v"))?.to_matrix();
            let heat = NodeKernel::Diffusion { laplacian: Laplacian::Combinatorial, t: 1.0 };
            Box::new(move || {
                let mut x = DMatrix::zeros(v.len(), 1);
                heat.operator(&graph, 1e-12)?.apply(v.as_view(), x.as_view_mut())?;
                let sum = x.iter().map(|x| x.abs()).sum();
                Ok(known(vec![x[0], x[1], x[7], sum]))
            })
        }
    })
}

fn gram<K: GraphKernel + 'static>(kernel: K, graphs: GraphSet) -> Job {
    debug_assert!(graphs.len() > 5);
    Box::new(move || {
        let k = graph_gram(&kernel, &graphs, false)?;
        Ok(Box::new(move || Ok(corners(&k))))
    })
}

fn corners(k: &DMatrix<f64>) -> Vec<f64> {
    vec![k[(0, 1)], k[(5, 3)], k.trace(), k.sum()]
}
