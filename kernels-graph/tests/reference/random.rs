//! Random-walk features against exact moments and given walks.

use kernels_core::Operator;
use kernels_graph::{
    Copies, LengthLaw, NodeKernel, RandomWalks, SparseMatrix, WalkFeatures, WalkKernel, deconvolve,
    expected_error, modulation_exponential, modulation_inverse_power, modulation_power,
};
use nalgebra::DMatrix;
use serde_json::Value;

use super::{graph, load, matrix, number, records, vector};

/// The matrix U of a record.
fn base(record: &Value) -> SparseMatrix {
    let g = graph(record["graph"].as_str().unwrap());
    let u = if record["U"].is_object() { &record["U"] } else { record };
    let c = number(&u["c"]);
    if u["U"] == "c*S" { g.normalized_adjacency().map(|v| c * v) } else { g.adjacency().map(|v| c * v) }
}

#[test]
fn modulations_agree() {
    for record in records(&load("modulation.json")) {
        let (alpha, f) = (vector(&record["alpha"]), vector(&record["f"]));
        let p = &record["params"];
        let close = |ours: &[f64], tolerance: f64| {
            for (k, (a, b)) in ours.iter().zip(&f).enumerate() {
                assert!((a - b).abs() <= tolerance * (1e-30 + b.abs()), "{record} {k}: {a} {b}");
            }
        };
        // Closed forms to a few ulp a term; deconvolution loses what cancels in its sums.
        match record["kind"].as_str().unwrap() {
            "d_reg" => close(&modulation_inverse_power(number(&p["d"]), 40), 1e-13),
            "diffusion" => close(&modulation_exponential(number(&p["beta"]), 40), 1e-13),
            "p_step" => close(&modulation_power(number(&p["a"]), p["p"].as_u64().unwrap() as u32, 40), 1e-13),
            _ => {}
        }
        let ours = deconvolve(&alpha).unwrap();
        let scale = f.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        assert!(ours.iter().zip(&f).all(|(a, b)| (a - b).abs() <= 1e-12 * scale), "{record}");
    }
}

/// E ΦΨᵀ and E‖ΦΨᵀ − K‖², independent and antithetic, within 5 standard errors of the exact moments; and our own exact errors.
#[test]
fn estimators_have_the_exact_moments() {
    let file = load("grf_moments.json");
    for record in records(&file) {
        if record["graph"] == "karate" && record["kernel"] != "diffusion" {
            continue;
        }
        let p = &record["params"];
        let terms = record["series_terms"].as_u64().unwrap() as usize;
        let f = match record["kernel"].as_str().unwrap() {
            "d_reg" => modulation_inverse_power(number(&p["d"]), terms),
            "diffusion" => modulation_exponential(number(&p["beta"]), terms),
            _ => continue,
        };
        let kernel = WalkKernel::from_modulation(base(record), f).unwrap();
        let halt = number(&record["p_halt"]);
        let n = kernel.base().rows();
        let power = number(&record["K_fro_sq"]);
        for expected in record["expected"].as_array().unwrap() {
            let m = expected["m"].as_u64().unwrap() as usize;
            let exact = number(&expected["iid_two_copies_rel_sq_fro"]);
            let ours = expected_error(&kernel, m, &LengthLaw::Geometric(halt)).unwrap();
            assert!((ours - exact).abs() < 1e-9 * exact, "{record}");
            if m != 4 {
                continue;
            }
            for (name, antithetic) in
                [("iid_two_copies_rel_sq_fro", false), ("antithetic_two_copies_rel_sq_fro", true)]
            {
                let exact = number(&expected[name]);
                let runs = 300;
                let (mut errors, mut mean, mut second) =
                    (Vec::new(), DMatrix::<f64>::zeros(n, n), DMatrix::<f64>::zeros(n, n));
                let k = exact_kernel(&kernel);
                assert!((k.norm_squared() - power).abs() < 1e-8 * power);
                for seed in 0..runs {
                    let walks =
                        RandomWalks::new(m, halt).antithetic(antithetic).copies(Copies::Two).seed(seed);
                    let features = walks.features(&kernel).unwrap();
                    let estimate = product(features.matrix(), features.second().unwrap());
                    errors.push((&estimate - &k).norm_squared() / power);
                    mean += &estimate;
                    second += estimate.component_mul(&estimate);
                }
                let r = runs as f64;
                let average = errors.iter().sum::<f64>() / r;
                let deviation =
                    (errors.iter().map(|e| (e - average).powi(2)).sum::<f64>() / (r * (r - 1.0))).sqrt();
                assert!(
                    (average - exact).abs() < 5.0 * deviation,
                    "{name} {average} {exact} {deviation} {record}"
                );
                // Unbiased everywhere: all entries within 6 standard errors (up to 34² of them are looked at), above a floor: what
                // only a handful of walks reach is not normal.
                for at in 0..n * n {
                    let (a, s) = (mean[at] / r, second[at] / r);
                    let error = ((s - a * a).max(0.0) / r).sqrt();
                    assert!((a - k[at]).abs() <= 6.0 * error + 1e-4 * k.amax(), "{at} {a} {} {error}", k[at]);
                }
            }
        }
    }
}

/// At equal walks the error is not above what the authors' code was measured to have, for plain, antithetic and repelling walks, one
/// copy or two: within four standard errors of both means.
#[test]
fn errors_are_at_or_below_the_peer() {
    let file = load("grf_measured.json");
    for run in file["runs"].as_array().unwrap() {
        let g = graph(run["graph"].as_str().unwrap());
        let c = number(&run["sigma"]).powi(2);
        let halt = number(&run["p_halt"]);
        for result in run["results"].as_array().unwrap() {
            let f = match result["kernel"].as_str().unwrap() {
                "d_reg d=1" => modulation_inverse_power(1.0, 40),
                "d_reg d=2" => modulation_inverse_power(2.0, 40),
                "exp(U)" => modulation_exponential(1.0, 40),
                _ => {
                    // cos + sin: 1, 1, −1/2!, −1/3!, 1/4!, …
                    let mut term = 1.0;
                    let series = (0..40).map(|k| {
                        term /= f64::from(k.max(1));
                        if k % 4 < 2 { term } else { -term }
                    });
                    deconvolve(&series.collect::<Vec<f64>>()).unwrap()
                }
            };
            let kernel = WalkKernel::from_modulation(g.normalized_adjacency().map(|v| c * v), f).unwrap();
            let k = exact_kernel(&kernel);
            let scheme = result["scheme"].as_str().unwrap();
            for (name, copies) in
                [("single_copy_rel_sq_fro", Copies::Single), ("two_copies_rel_sq_fro", Copies::Two)]
            {
                let walks = RandomWalks::new(result["m"].as_u64().unwrap() as usize, halt)
                    .antithetic(matches!(scheme, "antithetic" | "both"))
                    .repelling(matches!(scheme, "repelling" | "both"))
                    .copies(copies);
                let runs = 60;
                let errors: Vec<f64> = (0..runs)
                    .map(|seed| {
                        let features = walks.clone().seed(seed).features(&kernel).unwrap();
                        let other = features.second().unwrap_or(features.matrix());
                        (product(features.matrix(), other) - &k).norm_squared() / k.norm_squared()
                    })
                    .collect();
                let mean = errors.iter().sum::<f64>() / runs as f64;
                let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>();
                let own = variance / (runs * (runs - 1)) as f64;
                let (peer, error) = (number(&result[name][0]), number(&result[name][1]));
                let bound = peer + 4.0 * (own + error * error).sqrt();
                assert!(mean <= bound, "{name}: {mean} above {peer}, {result}");
            }
        }
    }
}

fn dense(m: &SparseMatrix) -> DMatrix<f64> {
    let d = m.to_dense();
    DMatrix::from_fn(m.rows(), m.cols(), |i, j| d[[i, j]])
}

fn product(a: &SparseMatrix, b: &SparseMatrix) -> DMatrix<f64> {
    dense(a) * dense(b).transpose()
}

fn exact_kernel(kernel: &WalkKernel) -> DMatrix<f64> {
    let u = dense(kernel.base());
    let mut power = DMatrix::identity(u.nrows(), u.nrows());
    let mut psi = DMatrix::zeros(u.nrows(), u.nrows());
    for f in kernel.modulation() {
        psi += &power * *f;
        power = &power * &u;
    }
    &psi * psi.transpose()
}

/// Every kernel that has walks: the mean of ΦΨᵀ over many walks is its matrix.
#[test]
fn every_kernel_walks_to_its_matrix() {
    use kernels_graph::Laplacian::{Combinatorial, Symmetric};
    let kernels = [
        NodeKernel::Diffusion { laplacian: Symmetric, t: 1.0 },
        NodeKernel::Diffusion { laplacian: Combinatorial, t: 0.2 },
        NodeKernel::RegularizedLaplacian { laplacian: Symmetric, sigma2: 0.5, degree: 1.0 },
        NodeKernel::RegularizedLaplacian { laplacian: Combinatorial, sigma2: 0.1, degree: 2.0 },
        NodeKernel::Matern { laplacian: Symmetric, nu: 2.5, kappa: 2.0, normalize: false },
        NodeKernel::Matern { laplacian: Combinatorial, nu: 1.5, kappa: 0.5, normalize: false },
        NodeKernel::Matern { laplacian: Symmetric, nu: f64::INFINITY, kappa: 1.0, normalize: false },
        NodeKernel::RandomWalk { a: 2.0, steps: 2 },
        NodeKernel::RandomWalk { a: 4.0, steps: 3 },
        NodeKernel::InverseCosine,
        NodeKernel::PageRank { alpha: 0.5 },
        NodeKernel::VonNeumann { alpha: 0.05 },
        NodeKernel::Communicability { beta: 0.2 },
    ];
    for name in ["disconnected_p3_c4_iso", "selfloop4", "weighted12"] {
        let g = graph(name);
        for kernel in kernels {
            let walks = kernel.walks(&g).unwrap();
            let exact = kernel.matrix(&g).unwrap();
            let runs = 40;
            let n = g.nodes();
            let (mut mean, mut second) = (DMatrix::<f64>::zeros(n, n), DMatrix::<f64>::zeros(n, n));
            for seed in 0..runs {
                let features =
                    RandomWalks::new(64, 0.3).copies(Copies::Two).seed(seed).features(&walks).unwrap();
                let one = DMatrix::from_fn(n, n, |i, j| features.estimate(i, j));
                let mut out = DMatrix::zeros(n, n);
                features.apply(DMatrix::identity(n, n).as_view(), out.as_view_mut()).unwrap();
                assert!((&out - &one).amax() < 1e-12 * one.amax());
                mean += &one;
                second += one.component_mul(&one);
            }
            let r = f64::from(runs as u32);
            for at in 0..n * n {
                let (a, s) = (mean[at] / r, second[at] / r);
                let error = ((s - a * a).max(0.0) / r).sqrt();
                // Means of 40 are not quite normal, and rare long walks carry much: 7 deviations, and a floor.
                assert!(
                    (a - exact[at]).abs() <= 7.0 * error + 2e-3 * exact.amax(),
                    "{name} {kernel:?} {at}: {a} {} {error}",
                    exact[at]
                );
            }
        }
    }
}

/// The rule of accumulation over given walks: the mean over walks of Σ fₖ · load.
#[test]
fn loads_of_given_walks() {
    for record in records(&load("grf_fixed_walks.json")) {
        let g = graph(record["graph"].as_str().unwrap());
        let (c, halt, f) = (number(&record["c"]), number(&record["p_halt"]), vector(&record["f"]));
        let s = g.normalized_adjacency();
        let mut phi = vec![0.0; g.nodes()];
        let walks = record["walks"].as_array().unwrap();
        for (walk, loads) in walks.iter().zip(record["loads"].as_array().unwrap()) {
            let nodes = super::integers(walk);
            let mut load = 1.0;
            for (k, &v) in nodes.iter().enumerate() {
                if k > 0 {
                    let u = nodes[k - 1];
                    let degree = g.neighbours(u).count() as f64;
                    load *= c * s.get(u, v).unwrap() * degree / (1.0 - halt);
                }
                assert!((load - vector(loads)[k]).abs() < 1e-13);
                phi[v] += f[k] * load / walks.len() as f64;
            }
        }
        assert!(phi.iter().zip(vector(&record["phi"])).all(|(a, b)| (a - b).abs() < 1e-14));
    }
}

/// Squared relative errors at or below those of the reference code; repelling walks strictly better than independent ones.
#[test]
fn repelling_walks_reduce_the_error() {
    let g = graph("karate");
    let u = g.normalized_adjacency().map(|v| 0.25 * v);
    let kernel = WalkKernel::from_modulation(u, modulation_exponential(1.0, 20)).unwrap();
    let exact = exact_kernel(&kernel);
    let error = |antithetic: bool, repelling: bool| {
        let mut errors = Vec::new();
        for seed in 0..60 {
            let walks = RandomWalks::new(16, 0.5).copies(Copies::Two).seed(seed);
            let features = walks.antithetic(antithetic).repelling(repelling).features(&kernel).unwrap();
            let estimate = product(features.matrix(), features.second().unwrap());
            errors.push((estimate - &exact).norm_squared() / exact.norm_squared());
        }
        errors.iter().sum::<f64>() / 60.0
    };
    let (plain, anti, repelling, both) =
        (error(false, false), error(true, false), error(false, true), error(true, true));
    // The reference: 0.00339, 0.00323, 0.00130, 0.00100, with standard errors of a few percent.
    assert!((plain - 0.00339).abs() < 0.15 * 0.00339, "{plain}");
    assert!(
        anti < 1.05 * plain && repelling < 0.5 * plain && both < 0.4 * plain,
        "{plain} {anti} {repelling} {both}"
    );
}

/// The variance of a feature falls as 1 over the number of walks, to its exact value; antithetic walks have less.
#[test]
fn variance_falls_with_walks() {
    let g = graph("karate");
    let u = g.normalized_adjacency().map(|v| 0.8 * v);
    let kernel = WalkKernel::from_modulation(u, modulation_exponential(1.0, 20)).unwrap();
    let n = g.nodes();
    let runs = 300;
    let total = |walks: usize, antithetic: bool| {
        let (mut mean, mut second) = (DMatrix::<f64>::zeros(n, n), DMatrix::<f64>::zeros(n, n));
        for seed in 0..runs {
            let walks = RandomWalks::new(walks, 0.4).antithetic(antithetic).seed(seed);
            let phi = dense(&walks.shard(&kernel, 0..n, 0).unwrap());
            second += phi.component_mul(&phi);
            mean += phi;
        }
        let r = runs as f64;
        (second / r - (&mean / r).component_mul(&(&mean / r))).sum() * r / (r - 1.0)
    };
    let variances = [2, 8, 32, 128].map(|walks| walks as f64 * total(walks, false));
    // Sums of 34² variances of 300 draws: a few percent of noise.
    for v in variances {
        assert!((v / variances[0] - 1.0).abs() < 0.1, "{variances:?}");
    }
    assert!(8.0 * total(8, true) < 0.97 * variances[1]);
}

/// A tuned length law beats every geometric one at equal cost.
#[test]
fn automatic_lengths_beat_geometric_ones() {
    let g = graph("karate");
    let kernel =
        WalkKernel::from_modulation(g.normalized_adjacency(), modulation_exponential(1.0, 30)).unwrap();
    // 64 steps a node: walks times mean length (1 − p)/p.
    let geometric = [(0.1, 7), (0.3, 27), (0.5, 64)]
        .map(|(p, m)| expected_error(&kernel, m, &LengthLaw::Geometric(p)).unwrap());
    let best = geometric.iter().copied().fold(f64::INFINITY, f64::min);
    let auto = [0.3, 0.5, 0.8]
        .map(|steps| expected_error(&kernel, (64.0 / steps) as usize, &LengthLaw::Auto(steps)).unwrap());
    let auto = auto.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(auto < 0.75 * best, "{auto} {geometric:?}");
}

/// Shards, threads and copies: bitwise the same.
#[test]
fn shards_stack_to_the_whole() {
    let g = kernels_graph::ring_with_chords(1500, 3, 1).unwrap();
    let kernel = NodeKernel::diffusion(2.0).walks(&g).unwrap();
    for (antithetic, repelling) in [(false, false), (true, true)] {
        let walks = RandomWalks::new(6, 0.2).seed(9).antithetic(antithetic).repelling(repelling);
        let whole = walks.shard(&kernel, 0..1500, 0).unwrap();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(whole, one.install(|| walks.shard(&kernel, 0..1500, 0)).unwrap());
        let mut row = 0;
        for range in [0..1, 1..700, 700..1500] {
            let part = walks.shard(&kernel, range.clone(), 0).unwrap();
            for i in 0..range.len() {
                let (a, b) = (part.outer_view(i).unwrap(), whole.outer_view(row).unwrap());
                assert_eq!((a.indices(), a.data()), (b.indices(), b.data()));
                row += 1;
            }
        }
        // One walk set, modulated afterwards, is the same set: Φ = Σ fₖWₖ.
        let by_length = walks.per_length(&kernel, kernel.modulation().len(), 0).unwrap();
        let scale = f64::exp(-1.0);
        let mut sum = DMatrix::<f64>::zeros(40, 1500);
        for (f, w) in kernel.modulation().iter().zip(&by_length) {
            for i in 0..40 {
                for (j, v) in w.outer_view(i).unwrap().iter() {
                    sum[(i, j)] += f * v * scale;
                }
            }
        }
        for i in 0..40 {
            for (j, v) in whole.outer_view(i).unwrap().iter() {
                assert!((sum[(i, j)] - v).abs() < 1e-12 * v.abs().max(1e-3));
            }
        }
    }
}

/// Regression on walks is the ridge regression of its own kernel.
#[test]
fn regression_solves_its_system() {
    let g = graph("karate");
    let features =
        RandomWalks::new(32, 0.3).seed(2).features(&NodeKernel::diffusion(2.0).walks(&g).unwrap()).unwrap();
    let labelled = [0, 33, 5, 20, 7];
    let y = DMatrix::from_column_slice(5, 1, &[1.0, -1.0, 1.0, -1.0, 1.0]);
    let f = features.regress(&labelled, &y, 0.1).unwrap();
    let k = product(features.matrix(), features.matrix());
    let inner = DMatrix::from_fn(5, 5, |i, j| k[(labelled[i], labelled[j])] + if i == j { 0.1 } else { 0.0 });
    let a = inner.lu().solve(&y).unwrap();
    for v in 0..34 {
        let exact: f64 = (0..5).map(|j| k[(v, labelled[j])] * a[j]).sum();
        assert!((f[v] - exact).abs() < 1e-6);
    }
    assert!(
        WalkFeatures::new(features.matrix().clone(), Some(features.matrix().clone()))
            .regress(&labelled, &y, 0.1)
            .is_err()
    );
    // Compression keeps inner products: 4 000 features, 5 deviations of √(2/4000).
    let z = features.compress(4000, 1);
    assert!((z.row(0).norm_squared() / k[(0, 0)] - 1.0).abs() < 5.0 * (2.0f64 / 4000.0).sqrt());
    let _ = matrix;
}
