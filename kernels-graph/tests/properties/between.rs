//! Kernels between graphs: text, refinement over other kernels, attributed paths, information of labels.

use kernels_core::{Describe, DynKernel, Kernel, Points, Readable, cross_gram, gram};
use kernels_graph::{
    AttributedPaths, Error, Graph, GraphSet, Growth, LabelInformation, LabelledGraph, NodeKernel, Refined,
    ShortestPath, VertexHistogram, WeisfeilerLehman, random_labelled_graphs,
};
use nalgebra::DMatrix;
use proptest::prelude::*;

fn some(count: usize) -> GraphSet {
    let attributed = |g: LabelledGraph| {
        let a = DMatrix::from_fn(g.nodes(), 2, |i, j| ((i * (j + 2)) as f64).sin());
        g.attributes(a).unwrap()
    };
    GraphSet::new(random_labelled_graphs(count, 3).unwrap().into_iter().map(attributed).collect())
}

/// Every family reads its own defaults, prints what it reads back, and has a Gram matrix.
#[test]
fn text_round_trips() {
    let graphs = some(4);
    let names = GraphSet::vocabulary();
    for family in names.families() {
        let inside =
            if family.of_kernel { vec!["normalize(shortest_path())".to_owned()] } else { Vec::new() };
        let given = family.parameters.iter().map(|p| format!("{}={}", p.name, p.default));
        let text =
            format!("{}({})", family.name, inside.into_iter().chain(given).collect::<Vec<_>>().join(", "));
        let kernel: DynKernel<GraphSet> = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let again: DynKernel<GraphSet> = kernel.to_string().parse().unwrap();
        assert_eq!(kernel, again);
        assert_eq!(kernel.to_string(), again.to_string());
        let k = gram(&kernel, &graphs).unwrap();
        assert!(k.iter().all(|v| v.is_finite()), "{text}");
        assert!((&k - k.transpose()).amax() <= 1e-12 * k.amax(), "{text}");
    }
    let both: DynKernel<GraphSet> =
        "normalize(refined(shortest_path(), iterations=1)) + 0.5 * graphlets(size=4)".parse().unwrap();
    assert_eq!(both.to_string().parse::<DynKernel<GraphSet>>().unwrap(), both);
    for (wrong, said) in [
        ("weisfeiler_leman()", "did you mean `weisfeiler_lehman`?"),
        ("graphlets(size=9)", "2 to 6"),
        ("random_walk(steps=some)", "a whole number or all"),
        ("random_walk(kind=other)", "one of geometric, exponential"),
        ("refined(iterations=2)", "needs a kernel"),
    ] {
        let error = wrong.parse::<DynKernel<GraphSet>>().unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

/// Kernels on nodes as text.
#[test]
fn node_kernels_round_trip() {
    for family in NodeKernel::families() {
        let given: Vec<String> =
            family.parameters.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
        let full: NodeKernel = format!("{}({})", family.name, given.join(", ")).parse().unwrap();
        let short: NodeKernel = format!("{}()", family.name).parse().unwrap();
        assert_eq!(full, short);
        assert_eq!(full.to_string().parse::<NodeKernel>().unwrap(), full);
    }
    let infinite: NodeKernel = "graph_matern(nu=inf, kappa=2)".parse().unwrap();
    assert_eq!(infinite.to_string().parse::<NodeKernel>().unwrap(), infinite);
    for (wrong, said) in [
        ("heat()", "there are: diffusion"),
        ("diffusion(time=2)", "there are: t, laplacian"),
        ("diffusion(laplacian=random_walk)", "one of symmetric, combinatorial"),
        ("p_step(steps=0)", "an integer from 1"),
        ("2 * diffusion()", "one call"),
        ("diffusion(2)", "name the argument"),
    ] {
        let error = wrong.parse::<NodeKernel>().unwrap_err();
        assert!(matches!(error, Error::Core(_)) && error.to_string().contains(said), "{wrong}: {error}");
    }
}

/// Over the histogram it is the subtree kernel; over others the blocks of any tiling are those of single pairs.
#[test]
fn refinement_over_other_kernels() {
    let graphs = some(9);
    let subtree = gram(&WeisfeilerLehman::new(3), &graphs).unwrap();
    assert_eq!(gram(&Refined::new(VertexHistogram, 3), &graphs).unwrap(), subtree);
    let kernel = Refined::new(ShortestPath::new(), 2);
    let k = gram(&kernel, &graphs).unwrap();
    for i in 0..9 {
        for j in 0..9 {
            assert_eq!(k[(i, j)], kernel.eval(graphs.point(i), graphs.point(j)));
        }
    }
    assert_eq!(
        cross_gram(&kernel, &graphs, &graphs.subset(&[4, 2]).unwrap()).unwrap().column(1),
        k.column(2)
    );
    // Level 0 is the kernel itself; the others add what is positive semidefinite.
    let first = gram(&ShortestPath::new(), &graphs).unwrap();
    let more = kernels_core::dense::SymmetricEigen::new(&(&k - &first)).unwrap();
    assert!(more.values[0] > -1e-9 * k.trace());
    assert_eq!(kernel.definiteness(), kernels_core::Definiteness::Positive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Attributed paths by products of matrices are the sum over all pairs of pairs; with equal attributes they are shortest paths.
    #[test]
    fn attributed_paths_by_definition(
        edges in prop::collection::vec((0usize..6, 0usize..6, 0.5f64..2.0), 0..12),
        others in prop::collection::vec((0usize..5, 0usize..5, 0.5f64..2.0), 0..10),
        values in prop::collection::vec(-1.0f64..1.0, 11),
        labels in any::<bool>(),
        weighted in any::<bool>(),
    ) {
        let make = |n: usize, edges: Vec<(usize, usize, f64)>, values: &[f64]| {
            LabelledGraph::new(Graph::undirected(n, edges).unwrap())
                .node_labels((0..n as i64).map(|v| v % 2).collect()).unwrap()
                .attributes(DMatrix::from_column_slice(n, 1, values)).unwrap()
        };
        let (x, y) = (make(6, edges, &values[..6]), make(5, others, &values[6..]));
        // Floyd and Warshall.
        let lengths = |g: &LabelledGraph| {
            let n = g.nodes();
            let mut d = DMatrix::from_element(n, n, f64::INFINITY);
            d.fill_diagonal(0.0);
            for (u, v, w) in g.graph().edge_list().filter(|(u, v, _)| u != v) {
                let w = if weighted { w } else { 1.0 };
                d[(u, v)] = w;
                d[(v, u)] = w;
            }
            for k in 0..n { for i in 0..n { for j in 0..n { d[(i, j)] = d[(i, j)].min(d[(i, k)] + d[(k, j)]); } } }
            d.map(|d| if weighted { (d / 0.25).round() } else { d })
        };
        let (dx, dy) = (lengths(&x), lengths(&y));
        let k = |u: usize, w: usize| {
            let a = x.node_attributes().unwrap()[u] - y.node_attributes().unwrap()[w];
            if labels && x.label(u) != y.label(w) { 0.0 } else { (-0.7 * a * a).exp() }
        };
        let mut sum = 0.0;
        for u in 0..6 { for v in 0..6 { for w in 0..5 { for z in 0..5 {
            if u != v && w != z && dx[(u, v)].is_finite() && dx[(u, v)] == dy[(w, z)] {
                sum += k(u, w) * k(v, z);
            }
        }}}}
        let kernel = AttributedPaths::new(0.7).unwrap().labels(labels);
        let kernel = if weighted { kernel.weighted(0.25).unwrap() } else { kernel };
        prop_assert!((kernel.eval(&x, &y) - sum).abs() <= 1e-12 * (1.0 + sum));
        prop_assert!((kernel.eval(&y, &x) - sum).abs() <= 1e-12 * (1.0 + sum));
        let same = |g: &LabelledGraph| g.clone().attributes(DMatrix::zeros(g.nodes(), 1)).unwrap();
        let plain = ShortestPath::new().labels(labels);
        let plain = if weighted { plain.weighted(0.25).unwrap() } else { plain };
        prop_assert!((kernel.eval(&same(&x), &same(&y)) - plain.eval(&x, &y)).abs() < 1e-9);
    }

    /// Information is monotone and submodular, columns of P sum to 1, and the choice follows the gradient.
    #[test]
    fn information_of_labels(
        similar in prop::collection::vec((0usize..6, 0usize..6, 0.1f64..1.0), 0..10),
        items in prop::collection::vec(prop::collection::vec(0usize..6, 0..4), 2..7),
        exponential in any::<bool>(),
        alpha in 0.0f64..2.0,
    ) {
        let loops = (0..6).map(|i| (i, i, 1.0));
        let pairs = similar.into_iter().filter(|(u, v, _)| u != v);
        let labels = Graph::undirected(6, loops.chain(pairs)).unwrap();
        let growth = if exponential { Growth::Exponential { rate: 2.0 } } else { Growth::default() };
        let measure = LabelInformation::new(&labels, alpha).unwrap().growth(growth).unwrap();
        let n = items.len();
        let quality: Vec<f64> = (0..n).map(|i| 1.0 + 0.3 * i as f64).collect();
        let spread = measure.spread(&items, &quality, true).unwrap();
        // By definition.
        let w = DMatrix::from_fn(6, 6, |i, j| labels.weight(i, j) * if i == j { 1.0 } else { alpha });
        let p = DMatrix::from_fn(6, 6, |i, j| w[(i, j)] / w.column(j).sum());
        let mut v = DMatrix::<f64>::zeros(n, 6);
        for (i, own) in items.iter().enumerate() {
            own.iter().for_each(|&l| v[(i, l)] += quality[i] / own.len() as f64);
        }
        let expected = v * p;
        let got = DMatrix::from_fn(n, 6, |i, l| spread.get(i, l).copied().unwrap_or(0.0));
        prop_assert!((&got - &expected).amax() < 1e-12);
        let of = |chosen: &[usize]| measure.information(&spread, chosen).unwrap();
        prop_assert_eq!(of(&[]), 0.0);
        for extra in 2..n {
            let (small, large) = (of(&[0, extra]) - of(&[0]), of(&[0, 1, extra]) - of(&[0, 1]));
            prop_assert!(small >= large - 1e-12 && large >= -1e-12);
        }
        let slope = |x: f64| if exponential { 2.0 * (-2.0 * x).exp() } else { 0.8 * (x + 1e-6).powf(-0.2) };
        let mut gathered = DMatrix::<f64>::zeros(1, 6);
        let mut seen = vec![false; n];
        for chosen in measure.select(&spread, n).unwrap() {
            let gain = |i: usize| (0..6).map(|l| expected[(i, l)] * slope(gathered[l])).sum::<f64>();
            let best = (0..n).filter(|i| !seen[*i]).map(gain).fold(0.0, f64::max);
            prop_assert!(gain(chosen) >= best * (1.0 - 1e-9));
            seen[chosen] = true;
            gathered += expected.row(chosen);
        }
        prop_assert!(seen.iter().all(|s| *s));
        prop_assert!(measure.select(&spread, n + 1).is_err());
    }
}

/// Cosines of embeddings as similarities of labels.
#[test]
fn labels_from_embeddings() {
    let e = DMatrix::from_row_slice(3, 2, &[1.0, 0.0, 2.0, 0.2, 0.0, 1.0]);
    let measure = LabelInformation::of_embeddings(&e, 0.9, 1.0).unwrap();
    let spread = measure.spread(&[vec![0], vec![2]], &[1.0, 1.0], false).unwrap();
    let cosine = 2.0 / 4.04f64.sqrt();
    assert!((spread.get(0, 1).unwrap() - cosine / (1.0 + cosine)).abs() < 1e-15);
    assert_eq!(spread.get(1, 2), Some(&1.0));
    assert!(LabelInformation::of_embeddings(&DMatrix::from_element(2, 1, f64::NAN), 0.9, 1.0).is_err());
    assert!(measure.spread(&[vec![3]], &[1.0], false).is_err());
    assert!(measure.spread(&[vec![0]], &[-1.0], false).is_err());
    assert!(measure.growth(Growth::Power { offset: 0.0, exponent: 0.5 }).is_err());
}
