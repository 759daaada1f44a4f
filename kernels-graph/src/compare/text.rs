//! Kernels between graphs as text.

use kernels_core::{
    Arguments, DynKernel, Error, Expr, Family, Parameter, Points, Readable, Value, Vocabulary,
};

use super::{
    AttributedPaths, EdgeHistogram, GraphSet, GraphletSampling, Graphlets, HashKind, NeighbourhoodHash,
    Propagation, PropagationMetric, PyramidMatch, Refined, ShortestPath, Start, VertexHistogram, WalkKind,
    WalkSeries, Wasserstein, WassersteinContinuous, WeisfeilerLehman, WlAssignment, kernel::to_core,
};

const fn p(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, default, meaning }
}

const fn family(
    name: &'static str,
    summary: &'static str,
    formula: &'static str,
    parameters: &'static [Parameter],
) -> Family {
    Family { name, summary, formula, of_kernel: false, parameters, definiteness: "positive definite" }
}

const ITERATIONS: Parameter = p("iterations", "5", "refinements, 0 or above");
const EDGES: Parameter = p("edge_labels", "false", "whether labels of edges take part");
const TOLERANCE: Parameter =
    p("tolerance", "0", "0: edges have length 1; above 0: weights are lengths, rounded to its multiples");

static FAMILIES: [Family; 15] = [
    family("vertex_histogram", "labels of nodes", "Σ c_l c'_l over labels of nodes", &[]),
    family("edge_histogram", "labels of edges", "Σ c_l c'_l over labels of edges", &[]),
    family(
        "weisfeiler_lehman",
        "Weisfeiler–Lehman subtree kernel",
        "Σ c_l c'_l over refined labels of all levels",
        &[ITERATIONS, EDGES],
    ),
    family(
        "wl_assignment",
        "Weisfeiler–Lehman optimal assignment",
        "Σ min(c_l, c'_l) over refined labels of all levels",
        &[ITERATIONS, EDGES],
    ),
    Family {
        name: "refined",
        summary: "another kernel on the graphs with refined labels, summed over the levels",
        formula: "Σ k(G_t, G'_t) over levels t",
        of_kernel: true,
        parameters: &[p("iterations", "3", "refinements, 0 or above"), EDGES],
        definiteness: "that of the kernel inside",
    },
    family(
        "shortest_path",
        "pairs of nodes by labels and distance",
        "Σ c c' over (label, label, distance)",
        &[p("labels", "true", "whether labels of the ends take part"), TOLERANCE],
    ),
    family(
        "attributed_paths",
        "pairs of nodes at equal distance, by their attributes",
        "Σ k(a_u, a_u') k(a_v, a_v') over pairs at equal distance, k = exp(-gamma ‖a - a'‖²)",
        &[
            p("gamma", "1", "above 0"),
            p("labels", "false", "whether labels of the ends must agree"),
            TOLERANCE,
        ],
    ),
    family(
        "random_walk",
        "common walks",
        "Σ c_k 1ᵀ W^k 1, W the product graph, c_k = lambda^k or lambda^k/k!",
        &[
            p("lambda", "0.01", "above 0; geometric: below 1/ρ² for the largest spectral radius"),
            p("kind", "geometric", "geometric or exponential"),
            p("steps", "all", "longest walk, or all"),
            p("node_labels", "false", "whether walks agree in labels of nodes"),
            p("edge_labels", "false", "whether walks agree in labels of edges"),
            p("start", "matched", "matched or all_pairs: where labelled walks begin"),
        ],
    ),
    family(
        "graphlets",
        "numbers of induced subgraphs of some nodes",
        "Σ c_g c'_g over isomorphism classes g",
        &[p("size", "3", "2 to 6"), p("connected", "true", "whether only connected ones count")],
    ),
    family(
        "graphlet_sampling",
        "frequencies of induced subgraphs, estimated",
        "Σ f_g f'_g over isomorphism classes g",
        &[
            p("size", "4", "2 to 6"),
            p("samples", "1000", "1 or above, a graph"),
            p("seed", "0", "a whole number"),
        ],
    ),
    family(
        "propagation",
        "distributions of labels that spread along edges",
        "Σ c_b c'_b over bins b of all steps",
        &[
            p("steps", "5", "1 or above"),
            p("width", "0.01", "of the bins, above 0"),
            p("metric", "total_variation", "total_variation or hellinger"),
            p("attributes", "false", "whether attributes spread in place of labels"),
            p("seed", "0", "a whole number"),
        ],
    ),
    family(
        "neighbourhood_hash",
        "hashes of labels and neighbours",
        "mean over rounds of c/(n + n' - c)",
        &[
            p("rounds", "3", "1 or above"),
            p("bits", "32", "1 to 64"),
            p("kind", "count_sensitive", "count_sensitive or simple"),
        ],
    ),
    family(
        "pyramid_match",
        "eigenvectors of nodes in finer and finer grids",
        "I_(L-1) + Σ 2^-(L-1-l) (I_l - I_(l+1))",
        &[
            p("levels", "4", "1 to 30"),
            p("dimension", "6", "eigenvectors, 1 or above"),
            p("labels", "false", "whether labels have grids of their own"),
        ],
    ),
    family(
        "wasserstein",
        "earth mover's distance of refined labels",
        "exp(-gamma D)",
        &[ITERATIONS, p("gamma", "1", "above 0")],
    ),
    Family {
        definiteness: "indefinite",
        ..family(
            "wasserstein_continuous",
            "earth mover's distance of averaged attributes",
            "exp(-gamma D)",
            &[p("iterations", "3", "averages, 0 or above"), p("gamma", "1", "above 0")],
        )
    },
];

impl Readable for GraphSet {
    fn vocabulary() -> Vocabulary<Self> {
        FAMILIES.iter().fold(Vocabulary::new(), |all, family| all.with(family, build))
    }
}

fn whole<P: Points + 'static>(
    given: &mut Arguments<'_, P>,
    name: &str,
    default: usize,
) -> Result<usize, Error> {
    let value = given.number(name, default as f64)?;
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
        Ok(value as usize)
    } else {
        Err(given.error(format!("`{name}` must be a whole number, not {value}")))
    }
}

/// Whether the second of two words was given; the first is the default.
fn second<P: Points + 'static>(
    given: &mut Arguments<'_, P>,
    name: &str,
    words: [&str; 2],
) -> Result<bool, Error> {
    match given.word(name, words[0])? {
        word if word == words[0] => Ok(false),
        word if word == words[1] => Ok(true),
        word => Err(given.error(format!("`{name}` must be {} or {}, not `{word}`", words[0], words[1]))),
    }
}

fn build(given: &mut Arguments<'_, GraphSet>) -> Result<DynKernel<GraphSet>, Error> {
    Ok(match given.name() {
        "vertex_histogram" => DynKernel::new(VertexHistogram),
        "edge_histogram" => DynKernel::new(EdgeHistogram),
        "weisfeiler_lehman" => {
            let kernel = WeisfeilerLehman::new(whole(given, "iterations", 5)?);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "wl_assignment" => {
            let kernel = WlAssignment::new(whole(given, "iterations", 5)?);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "refined" => {
            let (iterations, edges) = (whole(given, "iterations", 3)?, given.flag("edge_labels", false)?);
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
            let exponential = second(given, "kind", ["geometric", "exponential"])?;
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
            let start = if second(given, "start", ["matched", "all_pairs"])? {
                Start::AllPairs
            } else {
                Start::Matched
            };
            let kernel = kernel.node_labels(given.flag("node_labels", false)?).start(start);
            DynKernel::new(kernel.edge_labels(given.flag("edge_labels", false)?))
        }
        "graphlets" => {
            let kernel = Graphlets::new(whole(given, "size", 3)?).map_err(to_core)?;
            DynKernel::new(kernel.connected(given.flag("connected", true)?))
        }
        "graphlet_sampling" => {
            let (size, samples) = (whole(given, "size", 4)?, whole(given, "samples", 1000)?);
            let kernel = GraphletSampling::new(size, samples).map_err(to_core)?;
            DynKernel::new(kernel.seed(whole(given, "seed", 0)? as u64))
        }
        "propagation" => {
            let (steps, width) = (whole(given, "steps", 5)?, given.number("width", 0.01)?);
            let metric = if second(given, "metric", ["total_variation", "hellinger"])? {
                PropagationMetric::Hellinger
            } else {
                PropagationMetric::TotalVariation
            };
            let kernel = Propagation::new(steps, width).map_err(to_core)?.metric(metric);
            let kernel = kernel.attributes(given.flag("attributes", false)?);
            DynKernel::new(kernel.seed(whole(given, "seed", 0)? as u64))
        }
        "neighbourhood_hash" => {
            let (rounds, bits) = (whole(given, "rounds", 3)?, whole(given, "bits", 32)?);
            let kernel = NeighbourhoodHash::new(rounds, bits as u32).map_err(to_core)?;
            let simple = second(given, "kind", ["count_sensitive", "simple"])?;
            DynKernel::new(kernel.kind(if simple { HashKind::Simple } else { HashKind::CountSensitive }))
        }
        "pyramid_match" => {
            let (levels, dimension) = (whole(given, "levels", 4)?, whole(given, "dimension", 6)?);
            let kernel = PyramidMatch::new(levels, dimension).map_err(to_core)?;
            DynKernel::new(kernel.labels(given.flag("labels", false)?))
        }
        "wasserstein" => {
            let iterations = whole(given, "iterations", 5)?;
            DynKernel::new(Wasserstein::new(iterations, given.number("gamma", 1.0)?).map_err(to_core)?)
        }
        _ => {
            let iterations = whole(given, "iterations", 3)?;
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
    GraphletSampling: "graphlet_sampling",
        |this| [
            "size" = number(this.size),
            "samples" = number(this.samples),
            "seed" = number(this.seed as usize)
        ];
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
        self.given.is_none().then(|| Expr::call("propagation", all))
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
