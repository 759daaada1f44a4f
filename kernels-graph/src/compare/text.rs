//! Kernels between graphs as text.

use kernels_core::{Arguments, DynKernel, Error, Expr, Family, Parameter, Readable, Value, Vocabulary};

use super::{
    AttributedPaths, EdgeHistogram, GraphSet, GraphletSampling, Graphlets, HashKind, NeighbourhoodHash,
    Propagation, PropagationMetric, PyramidMatch, Refined, ShortestPath, Start, VertexHistogram, WalkKind,
    WalkSeries, Wasserstein, WassersteinContinuous, WeisfeilerLehman, WlAssignment, kernel::to_core,
};

const ITERATIONS: Parameter = Parameter::new("iterations", "5", "refinements, 0 or above");
const EDGES: Parameter = Parameter::new("edge_labels", "false", "whether labels of edges take part");
const TOLERANCE: Parameter = Parameter::new(
    "tolerance",
    "0",
    "0: edges have length 1; above 0: weights are lengths, rounded to its multiples",
);

static FAMILIES: [Family; 15] = [
    Family::new("vertex_histogram", "labels of nodes", "Σ c_l c'_l over labels of nodes", &[]),
    Family::new("edge_histogram", "labels of edges", "Σ c_l c'_l over labels of edges", &[]),
    Family::new(
        "weisfeiler_lehman",
        "Weisfeiler–Lehman subtree kernel",
        "Σ c_l c'_l over refined labels of all levels",
        &[ITERATIONS, EDGES],
    ),
    Family::new(
        "wl_assignment",
        "Weisfeiler–Lehman optimal assignment",
        "Σ min(c_l, c'_l) over refined labels of all levels",
        &[ITERATIONS, EDGES],
    ),
    Family::new(
        "refined",
        "another kernel on the graphs with refined labels, summed over the levels",
        "Σ k(G_t, G'_t) over levels t",
        &[Parameter::new("iterations", "3", "refinements, 0 or above"), EDGES],
    )
    .of_kernel(),
    Family::new(
        "shortest_path",
        "pairs of nodes by labels and distance",
        "Σ c c' over (label, label, distance)",
        &[Parameter::new("labels", "true", "whether labels of the ends take part"), TOLERANCE],
    ),
    Family::new(
        "attributed_paths",
        "pairs of nodes at equal distance, by their attributes",
        "Σ k(a_u, a_u') k(a_v, a_v') over pairs at equal distance, k = exp(-gamma ‖a - a'‖²)",
        &[
            Parameter::new("gamma", "1", "above 0"),
            Parameter::new("labels", "false", "whether labels of the ends must agree"),
            TOLERANCE,
        ],
    ),
    Family::new(
        "random_walk",
        "common walks",
        "Σ c_k 1ᵀ W^k 1, W the product graph, c_k = lambda^k or lambda^k/k!",
        &[
            Parameter::new(
                "lambda",
                "0.01",
                "above 0; geometric: below 1/ρ² for the largest spectral radius",
            ),
            Parameter::new("kind", "geometric", "geometric or exponential"),
            Parameter::new("steps", "all", "longest walk, or all"),
            Parameter::new("node_labels", "false", "whether walks agree in labels of nodes"),
            Parameter::new("edge_labels", "false", "whether walks agree in labels of edges"),
            Parameter::new("start", "matched", "matched or all_pairs: where labelled walks begin"),
        ],
    ),
    Family::new(
        "graphlets",
        "numbers of induced subgraphs of some nodes",
        "Σ c_g c'_g over isomorphism classes g",
        &[
            Parameter::new("size", "3", "2 to 6"),
            Parameter::new("connected", "true", "whether only connected ones count"),
        ],
    ),
    Family::new(
        "graphlet_sampling",
        "frequencies of induced subgraphs, estimated",
        "Σ f_g f'_g over isomorphism classes g",
        &[
            Parameter::new("size", "4", "2 to 6"),
            Parameter::new("samples", "1000", "1 or above, a graph"),
            Parameter::new("seed", "0", "a whole number"),
        ],
    ),
    Family::new(
        "propagation",
        "distributions of labels that spread along edges",
        "Σ c_b c'_b over bins b of all steps",
        &[
            Parameter::new("steps", "5", "1 or above"),
            Parameter::new("width", "0.01", "of the bins, above 0"),
            Parameter::new("metric", "total_variation", "total_variation or hellinger"),
            Parameter::new("attributes", "false", "whether attributes spread in place of labels"),
            Parameter::new("seed", "0", "a whole number"),
        ],
    ),
    Family::new(
        "neighbourhood_hash",
        "hashes of labels and neighbours",
        "mean over rounds of c/(n + n' - c)",
        &[
            Parameter::new("rounds", "3", "1 or above"),
            Parameter::new("bits", "32", "1 to 64"),
            Parameter::new("kind", "count_sensitive", "count_sensitive or simple"),
        ],
    ),
    Family::new(
        "pyramid_match",
        "eigenvectors of nodes in finer and finer grids",
        "I_(L-1) + Σ 2^-(L-1-l) (I_l - I_(l+1))",
        &[
            Parameter::new("levels", "4", "1 to 30"),
            Parameter::new("dimension", "6", "eigenvectors, 1 or above"),
            Parameter::new("labels", "false", "whether labels have grids of their own"),
        ],
    ),
    Family::new(
        "wasserstein",
        "earth mover's distance of refined labels",
        "exp(-gamma D)",
        &[ITERATIONS, Parameter::new("gamma", "1", "above 0")],
    ),
    Family::new(
        "wasserstein_continuous",
        "earth mover's distance of averaged attributes",
        "exp(-gamma D)",
        &[Parameter::new("iterations", "3", "averages, 0 or above"), Parameter::new("gamma", "1", "above 0")],
    )
    .definiteness("indefinite"),
];

impl Readable for GraphSet {
    fn vocabulary() -> Vocabulary<Self> {
        FAMILIES.iter().fold(Vocabulary::new(), |all, family| all.with(family, build))
    }
}

/// A number of rounds, none of which ends early: those of a mistyped number would never end.
fn rounds(given: &mut Arguments<'_, GraphSet>, name: &str, default: usize) -> Result<usize, Error> {
    match given.whole(name, default)? {
        rounds @ 0..=10_000 => Ok(rounds),
        rounds => Err(given.error(format!("`{name}` must be at most 10000, not {rounds}"))),
    }
}

fn build(given: &mut Arguments<'_, GraphSet>) -> Result<DynKernel<GraphSet>, Error> {
    Ok(match given.name() {
        "vertex_histogram" => DynKernel::new(VertexHistogram),
        "edge_histogram" => DynKernel::new(EdgeHistogram),
        "weisfeiler_lehman" => {
            let kernel = WeisfeilerLehman::new(rounds(given, "iterations", 5)?);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "wl_assignment" => {
            let kernel = WlAssignment::new(rounds(given, "iterations", 5)?);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "refined" => {
            let (iterations, edges) = (rounds(given, "iterations", 3)?, given.flag("edge_labels", false)?);
            DynKernel::new(Refined::new(given.kernel()?, iterations).edge_labels(edges))
        }
        "shortest_path" => {
            let kernel = ShortestPath::new().labels(given.flag("labels", true)?);
            let tolerance = given.number("tolerance", 0.0)?;
            let weighted = || kernel.weighted(tolerance).map_err(to_core);
            DynKernel::new(if tolerance == 0.0 { kernel } else { weighted()? })
        }
        "attributed_paths" => {
            let kernel = AttributedPaths::new(given.number("gamma", 1.0)?).map_err(to_core)?;
            let kernel = kernel.labels(given.flag("labels", false)?);
            let tolerance = given.number("tolerance", 0.0)?;
            let weighted = || kernel.weighted(tolerance).map_err(to_core);
            DynKernel::new(if tolerance == 0.0 { kernel } else { weighted()? })
        }
        "random_walk" => {
            let lambda = given.number("lambda", 0.01)?;
            let exponential = given.choice("kind", &["geometric", "exponential"])? == "exponential";
            let mut kernel =
                if exponential { WalkSeries::exponential(lambda) } else { WalkSeries::geometric(lambda) }
                    .map_err(to_core)?;
            match given.value("steps") {
                None => {}
                Some((_, Value::Word(word))) if word == "all" => {}
                Some((_, Value::Number(n))) if n.fract() == 0.0 && (0.0..1e6).contains(&n) => {
                    kernel = kernel.steps(n as usize);
                }
                Some((_, other)) => {
                    return Err(given.error(format!("`steps` must be a whole number or all, not {other}")));
                }
            }
            let start = if given.choice("start", &["matched", "all_pairs"])? == "all_pairs" {
                Start::AllPairs
            } else {
                Start::Matched
            };
            let kernel = kernel.node_labels(given.flag("node_labels", false)?).start(start);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "graphlets" => {
            let kernel = Graphlets::new(given.whole("size", 3)?).map_err(to_core)?;
            DynKernel::new(kernel.connected(given.flag("connected", true)?))
        }
        "graphlet_sampling" => {
            let (size, samples) = (given.whole("size", 4)?, given.whole("samples", 1000)?);
            let kernel = GraphletSampling::new(size, samples).map_err(to_core)?;
            DynKernel::new(kernel.seed(given.whole("seed", 0)? as u64))
        }
        "propagation" => {
            let (steps, width) = (rounds(given, "steps", 5)?, given.number("width", 0.01)?);
            let metric = if given.choice("metric", &["total_variation", "hellinger"])? == "hellinger" {
                PropagationMetric::Hellinger
            } else {
                PropagationMetric::TotalVariation
            };
            let kernel = Propagation::new(steps, width).map_err(to_core)?.metric(metric);
            let kernel = kernel.attributes(given.flag("attributes", false)?);
            DynKernel::new(kernel.seed(given.whole("seed", 0)? as u64))
        }
        "neighbourhood_hash" => {
            let (rounds, bits) = (rounds(given, "rounds", 3)?, given.whole("bits", 32)?);
            let kernel =
                NeighbourhoodHash::new(rounds, u32::try_from(bits).unwrap_or(u32::MAX)).map_err(to_core)?;
            let simple = given.choice("kind", &["count_sensitive", "simple"])? == "simple";
            DynKernel::new(kernel.kind(if simple { HashKind::Simple } else { HashKind::CountSensitive }))
        }
        "pyramid_match" => {
            let (levels, dimension) = (given.whole("levels", 4)?, given.whole("dimension", 6)?);
            let kernel = PyramidMatch::new(levels, dimension).map_err(to_core)?;
            DynKernel::new(kernel.labels(given.flag("labels", false)?))
        }
        "wasserstein" => {
            let iterations = rounds(given, "iterations", 5)?;
            DynKernel::new(Wasserstein::new(iterations, given.number("gamma", 1.0)?).map_err(to_core)?)
        }
        _ => {
            let iterations = rounds(given, "iterations", 3)?;
            let kernel = WassersteinContinuous::new(iterations, given.number("gamma", 1.0)?);
            DynKernel::new(kernel.map_err(to_core)?)
        }
    })
}

/// The expression of a kernel; `None` where it holds what has no text form.
pub(crate) trait Written {
    fn written(&self) -> Option<Expr>;
}

fn number(value: usize) -> Value {
    Value::Number(value as f64)
}

fn flag(on: bool) -> Value {
    Value::Word(on.to_string())
}

fn word(text: &str) -> Value {
    Value::Word(text.to_owned())
}

macro_rules! written {
    ($($kernel:ty: $name:literal, |$this:ident| [$($key:literal = $value:expr),*];)*) => {$(
        impl Written for $kernel {
            fn written(&self) -> Option<Expr> {
                let $this = self;
                let _ = $this;
                Some(Expr::call($name, [$(($key, $value)),*]))
            }
        }
    )*};
}

written! {
    VertexHistogram: "vertex_histogram", |this| [];
    EdgeHistogram: "edge_histogram", |this| [];
    WeisfeilerLehman: "weisfeiler_lehman",
        |this| ["iterations" = number(this.iterations), "edge_labels" = flag(this.edge_labels)];
    WlAssignment: "wl_assignment",
        |this| ["iterations" = number(this.0.iterations), "edge_labels" = flag(this.0.edge_labels)];
    ShortestPath: "shortest_path",
        |this| ["labels" = flag(this.labels), "tolerance" = this.tolerance.unwrap_or(0.0).into()];
    AttributedPaths: "attributed_paths",
        |this| [
            "gamma" = this.gamma.into(),
            "labels" = flag(this.labels),
            "tolerance" = this.tolerance.unwrap_or(0.0).into()
        ];
    WalkSeries: "random_walk",
        |this| [
            "lambda" = this.lambda.into(),
            "kind" = word(if this.kind == WalkKind::Geometric { "geometric" } else { "exponential" }),
            "steps" = this.steps.map_or_else(|| word("all"), number),
            "node_labels" = flag(this.node_labels),
            "edge_labels" = flag(this.edge_labels),
            "start" = word(if this.start == Start::Matched { "matched" } else { "all_pairs" })
        ];
    Graphlets: "graphlets", |this| ["size" = number(this.size), "connected" = flag(this.connected)];
    PyramidMatch: "pyramid_match",
        |this| [
            "levels" = number(this.levels),
            "dimension" = number(this.dimension),
            "labels" = flag(this.labels)
        ];
    Wasserstein: "wasserstein",
        |this| ["iterations" = number(this.iterations), "gamma" = this.gamma.into()];
    WassersteinContinuous: "wasserstein_continuous",
        |this| ["iterations" = number(this.iterations), "gamma" = this.gamma.into()];
}

/// Whether a number is at most 10¹⁵, so that text holds it as it is.
fn writable(seed: u64) -> bool {
    seed <= 1_000_000_000_000_000
}

impl Written for GraphletSampling {
    fn written(&self) -> Option<Expr> {
        let all = [
            ("size", number(self.size)),
            ("samples", number(self.samples)),
            ("seed", number(self.seed as usize)),
        ];
        writable(self.seed).then(|| Expr::call("graphlet_sampling", all))
    }
}

impl Written for Propagation {
    fn written(&self) -> Option<Expr> {
        let hellinger = self.metric == PropagationMetric::Hellinger;
        let all = [
            ("steps", number(self.steps)),
            ("width", self.width.into()),
            ("metric", word(if hellinger { "hellinger" } else { "total_variation" })),
            ("attributes", flag(self.attributes)),
            ("seed", number(self.seed as usize)),
        ];
        (self.given.is_none() && writable(self.seed)).then(|| Expr::call("propagation", all))
    }
}

impl Written for NeighbourhoodHash {
    fn written(&self) -> Option<Expr> {
        let all = [
            ("rounds", number(self.rounds)),
            ("bits", number(self.bits as usize)),
            ("kind", word(if self.kind == HashKind::Simple { "simple" } else { "count_sensitive" })),
        ];
        self.initial.is_empty().then(|| Expr::call("neighbourhood_hash", all))
    }
}
