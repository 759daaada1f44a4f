//! Numbers of independent implementations; each file under `tests/reference` names its source.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::type_complexity
)]

#[path = "reference/between.rs"]
mod between;
#[path = "reference/learning.rs"]
mod learning;
#[path = "reference/nodes.rs"]
mod nodes;
#[path = "reference/random.rs"]
mod random;

use kernels_graph::Graph;
use nalgebra::DMatrix;
use serde_json::Value;

/// A file of reference numbers.
fn load(name: &str) -> Value {
    let path = format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn records(value: &Value) -> &Vec<Value> {
    value["records"].as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::INFINITY,
        Value::String(text) if text == "inf" => f64::INFINITY,
        _ => value.as_f64().unwrap(),
    }
}

fn vector(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn integers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn matrix(value: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(vector).collect();
    DMatrix::from_fn(rows.len(), rows.first().map_or(0, Vec::len), |i, j| rows[i][j])
}

fn edges(value: &Value) -> Vec<(usize, usize, f64)> {
    let one = |e: &Value| {
        let e = e.as_array().unwrap();
        let weight = e.get(2).map_or(1.0, |w| w.as_f64().unwrap());
        (e[0].as_u64().unwrap() as usize, e[1].as_u64().unwrap() as usize, weight)
    };
    value.as_array().unwrap().iter().map(one).collect()
}

/// A graph of `graphs.json`.
fn graph(name: &str) -> Graph {
    let all = load("graphs.json");
    let g = all["graphs"].as_array().unwrap().iter().find(|g| g["name"] == name).unwrap().clone();
    let n = g["n"].as_u64().unwrap() as usize;
    if g["directed"].as_bool().unwrap() {
        Graph::directed(n, edges(&g["edges"])).unwrap()
    } else {
        Graph::undirected(n, edges(&g["edges"])).unwrap()
    }
}

/// Largest difference relative to the largest finite entry; infinities must agree.
fn distance(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let scale = b.iter().filter(|v| v.is_finite()).fold(1e-300f64, |s, v| s.max(v.abs()));
    a.iter()
        .zip(b.iter())
        .map(
            |(a, b)| {
                if b.is_infinite() { f64::from(u8::from(!a.is_infinite())) } else { (a - b).abs() / scale }
            },
        )
        .fold(0.0, f64::max)
}
