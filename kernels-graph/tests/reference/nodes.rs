//! Exact node kernels.

use kernels_core::Operator;
use kernels_graph::{
    Dangling, Graph, Laplacian, NodeKernel, Symmetrize, conjugate_gradient, lanczos, solve_laplacian,
};
use nalgebra::DMatrix;
use serde_json::Value;

use super::{distance, graph, load, matrix, number, records, vector};

fn laplacian(params: &Value) -> Laplacian {
    match params["lap"].as_str().unwrap() {
        "comb" => Laplacian::Combinatorial,
        "sym" => Laplacian::Symmetric,
        _ => Laplacian::RandomWalk,
    }
}

/// The kernel of a record, where it is one.
fn kernel(record: &Value) -> Option<NodeKernel> {
    let p = &record["params"];
    Some(match record["kernel"].as_str().unwrap() {
        "diffusion" => NodeKernel::Diffusion { laplacian: laplacian(p), t: number(&p["t"]) },
        "reg_laplacian" => NodeKernel::RegularizedLaplacian {
            laplacian: laplacian(p),
            sigma2: number(&p["sigma2"]),
            degree: number(&p["d"]),
        },
        "matern" => NodeKernel::Matern {
            laplacian: laplacian(p),
            nu: number(&p["nu"]),
            kappa: number(&p["kappa"]),
            normalize: p["normalize"].as_bool().unwrap(),
        },
        "p_step_rw" => NodeKernel::RandomWalk { a: number(&p["a"]), steps: p["p"].as_u64().unwrap() as u32 },
        "inverse_cosine" => NodeKernel::InverseCosine,
        "von_neumann" => NodeKernel::VonNeumann { alpha: number(&p["alpha"]) },
        "communicability" => NodeKernel::Communicability { beta: number(&p["beta"]) },
        "ppr_sym" => NodeKernel::PageRank { alpha: number(&p["alpha"]) },
        "reg_commute_time" => NodeKernel::RegularizedCommuteTime { alpha: number(&p["alpha"]) },
        "commute_time" => NodeKernel::CommuteTime,
        _ => return None,
    })
}

/// 1e-10 relative to the largest entry: the reference has 13 digits, and ours lose a few ε times the condition.
#[test]
fn exact_kernels_agree() {
    let file = load("node_kernels.json");
    let mut seen = 0;
    for record in records(&file) {
        let name = record["graph"].as_str().unwrap();
        let mut g = graph(name);
        let p = &record["params"];
        if p["symmetrize"].is_string() {
            g = g.symmetrize(Symmetrize::Average).unwrap();
        }
        let result = match record["kernel"].as_str().unwrap() {
            "laplacian" => dense(&g.laplacian(laplacian(p)).unwrap()),
            "eigenvalues" => {
                let m = dense(&g.laplacian(laplacian(p)).unwrap());
                let values = kernels_core::dense::SymmetricEigen::new(&m).unwrap().values;
                let expected = vector(&record["values"]);
                for (a, b) in values.iter().zip(expected) {
                    assert!((a - b).abs() < 1e-10 * g.laplacian_bound(laplacian(p)).max(1.0));
                }
                seen += 1;
                continue;
            }
            "resistance" => g.resistance().unwrap(),
            "modularity" => g.modularity(number(&p["gamma"])),
            "ppr" => g.page_rank(number(&p["alpha"]), Dangling::Absorb).unwrap(),
            "ppr_directed" => {
                let dangling = if p["dangling"] == "uniform" { Dangling::Uniform } else { Dangling::Absorb };
                g.page_rank(number(&p["alpha"]), dangling).unwrap()
            }
            "chung_directed_laplacian" => {
                let (m, pi) = g.directed_laplacian(number(&p["teleport"])).unwrap();
                let expected = vector(&record["pi"]);
                assert!(pi.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
                m
            }
            _ => {
                let kernel = kernel(record).unwrap();
                let k = kernel.matrix(&g).unwrap();
                matrix_free(&kernel, &g, &k);
                k
            }
        };
        let what = format!("{name} {} {p}", record["kernel"]);
        compare(&result, record, &what);
        seen += 1;
    }
    assert!(seen > 300);
}

fn compare(result: &DMatrix<f64>, record: &Value, what: &str) {
    let scale = result.iter().filter(|v| v.is_finite()).fold(1e-300f64, |s, v| s.max(v.abs()));
    if record["full"].is_array() {
        if result.is_empty() {
            return;
        }
        let d = distance(result, &matrix(&record["full"]));
        assert!(d < 1e-10, "{what}: {d}");
    }
    if record["row0"].is_array() {
        let row = vector(&record["row0"]);
        let d = row.iter().zip(result.row(0).iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(d < 1e-10 * scale, "{what}: {d}");
        let diag = vector(&record["diag"]);
        let d = diag.iter().zip(result.diagonal().iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(d < 1e-10 * scale, "{what}: {d}");
    }
    if let Some(fro) = record["fro"].as_f64() {
        assert!((result.norm() - fro).abs() < 1e-9 * fro, "{what}: {} {fro}", result.norm());
    }
}

/// Operators reach the tolerance they state, in the spectral norm and so in every entry.
fn matrix_free(kernel: &NodeKernel, g: &Graph, exact: &DMatrix<f64>) {
    let normalized = matches!(kernel, NodeKernel::Matern { normalize: true, .. });
    if normalized || *kernel == NodeKernel::CommuteTime {
        assert!(kernel.operator(g, 1e-8).is_err());
        return;
    }
    let tolerance = 1e-9 * exact.amax().max(1.0);
    let operator = kernel.operator(g, tolerance).unwrap();
    assert!(operator.error_bound() <= 2.0 * tolerance);
    let n = g.nodes();
    let mut out = DMatrix::zeros(n, n);
    operator.apply(DMatrix::identity(n, n).as_view(), out.as_view_mut()).unwrap();
    assert!((&out - exact).amax() <= 2.0 * tolerance + 1e-12 * exact.amax(), "{kernel:?}");
    let mut diagonal = vec![0.0; n];
    operator.diagonal(&mut diagonal).unwrap();
    assert!(diagonal.iter().enumerate().all(|(i, d)| (d - out[(i, i)]).abs() <= 1e-13 * exact.amax()));
}

fn dense(m: &kernels_graph::SparseMatrix) -> DMatrix<f64> {
    let d = m.to_dense();
    DMatrix::from_fn(m.rows(), m.cols(), |i, j| d[[i, j]])
}

/// exp(−tL)b and (I + 2L)⁻¹e₀ on graphs of 2 000 and 20 000 nodes, by polynomials, Lanczos and conjugate gradients.
#[test]
fn matrix_free_at_size() {
    let file = load("large_sparse.json");
    for record in records(&file) {
        let n = record["n"].as_u64().unwrap() as usize;
        let chords = record["chords"].as_u64().unwrap() as usize;
        let g = kernels_graph::ring_with_chords(n, chords, record["seed"].as_u64().unwrap()).unwrap();
        if record["values"].is_array() {
            continue;
        }
        assert_eq!(g.edges(), record["edges"].as_u64().unwrap() as usize);
        let b: Vec<f64> = if record["b"] == "mod7" {
            (0..n).map(|i| if i % 7 == 0 { 1.0 } else { -0.5 }).collect()
        } else {
            (0..n).map(|i| f64::from(u8::from(i == 0))).collect()
        };
        let laplacian = laplacian(record);
        let (kernel, s): (_, Box<dyn Fn(f64) -> f64>) = match record["t"].as_f64() {
            Some(t) => (NodeKernel::Diffusion { laplacian, t }, Box::new(move |x| (-t * x).exp())),
            None => (
                NodeKernel::RegularizedLaplacian { laplacian, sigma2: 2.0, degree: 1.0 },
                Box::new(|x| 1.0 / (1.0 + 2.0 * x)),
            ),
        };
        let operator = kernel.operator(&g, 1e-12).unwrap();
        let mut out = DMatrix::zeros(n, 1);
        operator.apply(DMatrix::from_column_slice(n, 1, &b).as_view(), out.as_view_mut()).unwrap();
        for entry in record["entries"].as_array().unwrap() {
            let (i, value) = (entry[0].as_u64().unwrap() as usize, number(&entry[1]));
            // The reference's own tolerance is 1e-12 or so of the norm.
            assert!((out[i] - value).abs() < 1e-10, "{record}");
        }
        let norm = number(&record["norm2"]);
        assert!((out.norm() - norm).abs() < 1e-10 * norm);
        assert!((out.sum() - number(&record["sum"])).abs() < 1e-9 * number(&record["sum"]).abs());
        if n <= 2000 {
            let m = g.laplacian(laplacian).unwrap();
            let other = lanczos(&m, &s, &b, 1e-11, 90).unwrap();
            assert!(out.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-8));
        }
        if record["t"].is_null() {
            let mut m = g.laplacian(laplacian).unwrap().map(|v| 2.0 * v);
            for i in 0..n {
                *m.get_mut(i, i).unwrap() += 1.0;
            }
            let other = conjugate_gradient(&m, &b, 1e-13).unwrap();
            assert!(out.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-11));
        }
    }
}

/// Known resistances; Foster's theorem; sketches within their error.
#[test]
fn resistances() {
    let n = 12;
    let cycle = Graph::undirected(n, (0..n).map(|i| (i, (i + 1) % n, 1.0))).unwrap();
    let r = cycle.resistance().unwrap();
    for k in 0..n {
        assert!((r[(0, k)] - (k * (n - k)) as f64 / n as f64).abs() < 1e-12);
    }
    let karate = graph("karate_weighted");
    let r = karate.resistance().unwrap();
    let foster: f64 = karate.edge_list().map(|(u, v, w)| w * r[(u, v)]).sum();
    assert!((foster - 33.0).abs() < 1e-10);
    let mut b = vec![0.0; 34];
    (b[3], b[20]) = (1.0, -1.0);
    let x = solve_laplacian(&karate, &b, 1e-13).unwrap();
    assert!((x[3] - x[20] - r[(3, 20)]).abs() < 1e-11);
    // 2 000 dimensions: a standard deviation of 3 %; 5 of them.
    let z = kernels_graph::resistance_embedding(&karate, 2000, 1e-10, 3).unwrap();
    let sketch = (z.row(3) - z.row(20)).norm_squared();
    assert!((sketch / r[(3, 20)] - 1.0).abs() < 0.16);
}
