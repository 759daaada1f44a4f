//! `kernels graph classify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Definiteness, Describe, Operator, Points, Shifted, gram};
use kernels_graph::{Graph, NodeGram, NodeKernel, Nodes, WalkFeatures};
use kernels_solvers::{
    ConjugateGradients, Identity, KernelClassifier, RidgePath, cross_validate, folds,
    svm::SupportVectorClassifier,
};
use nalgebra::DMatrix;
use serde_json::{Value, json};

use super::{cell, features::Walks, node_kernel, set_kernel, write_lines};
use crate::{
    cli::{Run, spread},
    data::{Source, read_labels},
    error::Error,
};

/// How nodes are classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Ridge classifier on the exact kernel, n² memory.
    #[default]
    Exact,
    /// Ridge classifier on random-walk features, by conjugate gradients; linear in the graph.
    Walks,
    /// Label propagation, for comparison: (I − (1 − α)S)⁻¹ applied to the labels, α = 0.1.
    Propagation,
}

/// Options of `graph classify`.
#[derive(Debug, Args)]
pub(crate) struct Classify {
    #[command(flatten)]
    source: Source,
    /// Labels of nodes: a table with columns node and label; nodes that are missing or have no label are predicted. Not for a
    /// set of graphs, which has its own classes.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Kernel on nodes, or between graphs [default: diffusion(t=1), normalize(weisfeiler_lehman(iterations=3))].
    #[arg(long)]
    kernel: Option<String>,
    /// How nodes are classified.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    #[command(flatten)]
    walks: Walks,
    /// Ridge, in units of the mean of the kernel's diagonal [default: of least leave-one-out error, on 2000 labelled nodes where there are more].
    #[arg(long)]
    ridge: Option<f64>,
    /// Cost C of the support vector machine of a set of graphs [default: the best of 10^-2 to 10^3 within the training part].
    #[arg(long)]
    cost: Option<f64>,
    /// Parts of the cross-validation, or 0 for none [default: 5 for nodes, 10 for a set of graphs].
    #[arg(long)]
    folds: Option<usize>,
    /// CSV file to write: node, predicted, for nodes without a label; graph, class, predicted when it was held out.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Classify {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        if self.source.is_set() { self.graphs(run) } else { self.nodes(run) }
    }

    fn nodes(&self, run: &Run) -> Result<(), Error> {
        let Some(labels) = &self.labels else {
            return Err(Error::Choice("--labels names a table of nodes and their labels".into()));
        };
        let named = self.source.read()?;
        let n = named.graph.nodes();
        let given = read_labels(labels, &named.names)?;
        let mut label = vec![None; n];
        given.rows.iter().for_each(|(node, class)| label[*node] = *class);
        let labelled: Vec<usize> = (0..n).filter(|&i| label[i].is_some()).collect();
        let classes: Vec<usize> = labelled.iter().filter_map(|&i| label[i]).collect();
        if given.names.len() < 2 {
            return Err(Error::content(labels, "needs nodes of two classes or more"));
        }
        let parts = self.folds.unwrap_or(5);
        let text = self.kernel.as_deref().unwrap_or("diffusion(t=1)");
        let kernel = node_kernel(text)?;
        let classifier = self.classifier(run, &named.graph, &kernel, given.names.len())?;
        let mut bar = run.progress("folds");
        let (mut scores, mut done) = (Vec::new(), 0);
        let measured = if parts == 0 { Vec::new() } else { folds(labelled.len(), parts, run.shared.seed)? };
        for fold in measured {
            bar.show(done, parts)?;
            done += 1;
            let train: Vec<usize> = fold.train.iter().map(|&i| labelled[i]).collect();
            let own: Vec<usize> = fold.train.iter().map(|&i| classes[i]).collect();
            let predicted = classifier.predict(&train, &own)?;
            let right = fold.test.iter().filter(|&&i| predicted[labelled[i]] == classes[i]).count();
            scores.push(right as f64 / fold.test.len().max(1) as f64);
        }
        drop(bar);
        let most = (0..given.names.len()).map(|c| classes.iter().filter(|k| **k == c).count()).max();
        let baseline = most.unwrap_or(0) as f64 / labelled.len().max(1) as f64;
        if let Some(out) = &self.out {
            let predicted = classifier.predict(&labelled, &classes)?;
            let open = (0..n).filter(|&i| label[i].is_none());
            let line = |i: usize| format!("{},{}", cell(&named.names[i]), cell(&given.names[predicted[i]]));
            write_lines(out, "node,predicted", open.map(line))?;
        }
        let object = json!({"command": "graph classify", "nodes": n, "labelled": labelled.len(),
            "kernel": kernel.to_string()});
        let title =
            format!("{} of {n} nodes labelled, {} classes, {kernel}", labelled.len(), given.names.len());
        report(run, &title, &scores, baseline, object);
        Ok(())
    }

    fn classifier(
        &self,
        run: &Run,
        graph: &Graph,
        kernel: &NodeKernel,
        classes: usize,
    ) -> Result<NodeClassifier, Error> {
        let n = graph.nodes();
        Ok(match self.method {
            Method::Exact => {
                run.require_memory(n, 4, "the exact kernel (see --method walks)")?;
                let matrix = kernel.matrix(graph)?;
                let scale = matrix.trace() / n as f64;
                NodeClassifier::Exact(NodeGram::new(matrix)?, self.ridge.map(|ridge| ridge * scale))
            }
            Method::Walks => {
                let features = self.walks.with_seed(run.shared.seed).features(&kernel.walks(graph)?)?;
                let mut diagonal = vec![0.0; n];
                features.diagonal(&mut diagonal)?;
                let scale = diagonal.iter().sum::<f64>() / n as f64;
                NodeClassifier::Walks(Box::new(features), self.ridge.map(|ridge| ridge * scale), classes)
            }
            Method::Propagation => {
                let operator = NodeKernel::PageRank { alpha: 0.1 }.operator(graph, 1e-8)?;
                NodeClassifier::Propagation(Box::new(operator), classes)
            }
        })
    }

    fn graphs(&self, run: &Run) -> Result<(), Error> {
        let set = self.source.read_set()?;
        let n = set.graphs.len();
        if set.classes.is_empty() {
            return Err(Error::content(&self.source.graph, "has no file NAME_graph_labels.txt with classes"));
        }
        let kernel = set_kernel(self.kernel.as_deref())?;
        if kernel.definiteness() != Definiteness::Positive {
            return Err(Error::Choice(format!(
                "--kernel: {kernel} is not positive definite; a support vector machine needs one that is"
            )));
        }
        run.require_memory(n, 3, "the kernel matrix")?;
        let mut matrix = gram(&kernel, &set.graphs)?;
        run.stopped()?;
        let scale = matrix.trace() / n as f64;
        if scale > 0.0 {
            matrix /= scale;
        }
        let gram = NodeGram::new(matrix)?;
        let mut names = set.classes.clone();
        names.sort_unstable();
        names.dedup();
        let classes: Vec<usize> =
            set.classes.iter().filter_map(|class| names.binary_search(class).ok()).collect();
        let parts = self.folds.unwrap_or(10);
        let mut held_out = vec![0; n];
        let mut scores = Vec::new();
        let mut bar = run.progress("folds");
        for fold in folds(n, parts, run.shared.seed)? {
            bar.show(scores.len(), parts)?;
            let own: Vec<usize> = fold.train.iter().map(|&i| classes[i]).collect();
            let cost = match self.cost {
                Some(cost) => cost,
                None => best_cost(&gram, &fold.train, &own, n, run.shared.seed)?,
            };
            let machine = SupportVectorClassifier::new(gram.clone()).cost(cost);
            let model = machine.fit(&Nodes::new(fold.train.clone(), n)?, &own)?;
            let predicted = model.predict(&Nodes::new(fold.test.clone(), n)?)?;
            let right = fold.test.iter().zip(&predicted).filter(|(i, p)| classes[**i] == **p).count();
            scores.push(right as f64 / fold.test.len().max(1) as f64);
            fold.test.iter().zip(predicted).for_each(|(&i, p)| held_out[i] = p);
        }
        drop(bar);
        let most = (0..names.len()).map(|c| classes.iter().filter(|k| **k == c).count()).max();
        if let Some(out) = &self.out {
            let line = |i: usize| format!("{},{},{}", i + 1, set.classes[i], names[held_out[i]]);
            write_lines(out, "graph,class,predicted", (0..n).map(line))?;
        }
        let object = json!({"command": "graph classify", "graphs": n, "kernel": kernel.to_string()});
        let title = format!("{n} graphs, {} classes, {kernel}, support vector machine", names.len());
        report(run, &title, &scores, most.unwrap_or(0) as f64 / n as f64, object);
        Ok(())
    }
}

/// The cost of least error in 3 parts of the training graphs; the smallest one on ties.
fn best_cost(gram: &NodeGram, train: &[usize], classes: &[usize], n: usize, seed: u64) -> Result<f64, Error> {
    let mut best = (1.0, f64::INFINITY);
    for exponent in -2..=3 {
        let cost = 10.0_f64.powi(exponent);
        let loss = cross_validate(train.len(), 3, seed, &mut |inner, outer| {
            let pick = |rows: &[usize]| rows.iter().map(|&i| train[i]).collect::<Vec<_>>();
            let own: Vec<usize> = inner.iter().map(|&i| classes[i]).collect();
            let nodes = |rows| Nodes::new(pick(rows), n).map_err(core);
            let model = SupportVectorClassifier::new(gram.clone()).cost(cost).fit(&nodes(inner)?, &own)?;
            let predicted = model.predict(&nodes(outer)?)?;
            let wrong = outer.iter().zip(predicted).filter(|(i, p)| classes[**i] != *p).count();
            Ok(wrong as f64 / outer.len().max(1) as f64)
        })?;
        if loss < best.1 {
            best = (cost, loss);
        }
    }
    Ok(best.0)
}

/// Nodes are chosen from the graphs that there are: nothing but a shape can be wrong.
fn core(error: kernels_graph::Error) -> kernels_solvers::Error {
    match error {
        kernels_graph::Error::Core(error) => error.into(),
        _ => kernels_core::Error::Shape { what: "a choice of nodes", expected: 0, given: 1 }.into(),
    }
}

/// What classifies the nodes of one graph.
enum NodeClassifier {
    Exact(NodeGram, Option<f64>),
    /// Features, ridge, number of classes.
    Walks(Box<WalkFeatures>, Option<f64>, usize),
    Propagation(Box<kernels_graph::SpectralOperator>, usize),
}

impl NodeClassifier {
    /// The classes of all nodes from those of some.
    fn predict(&self, train: &[usize], classes: &[usize]) -> Result<Vec<usize>, Error> {
        let codes = |low: f64, count: usize| {
            DMatrix::from_fn(train.len(), count, |i, k| if classes[i] == k { 1.0 } else { low })
        };
        let scores = match self {
            Self::Exact(gram, ridge) => {
                let n = gram.matrix().nrows();
                let classifier = KernelClassifier::new(gram.clone());
                let classifier = match ridge {
                    Some(ridge) => classifier.ridge(*ridge),
                    None => classifier.ridges(ridges()),
                };
                let model = classifier.fit(&Nodes::new(train.to_vec(), n)?, classes)?;
                return Ok(model.predict(&Nodes::all(n))?);
            }
            Self::Walks(features, ridge, count) => {
                let ridge = match ridge {
                    Some(ridge) => *ridge,
                    None => best_ridge(features, train, classes)?,
                };
                let operator = Shifted::new(features.select(train)?, ridge);
                let solver = ConjugateGradients::new().tolerance(1e-6);
                let (coefficients, _) =
                    solver.solve(&operator, &codes(-1.0, *count), &Identity, None, &mut ())?;
                features.predict(train, &coefficients)?
            }
            Self::Propagation(operator, count) => {
                let mut start = DMatrix::zeros(operator.dim(), *count);
                for (i, row) in codes(0.0, *count).row_iter().enumerate() {
                    start.set_row(train[i], &row);
                }
                let mut out = start.clone();
                operator.apply(start.as_view(), out.as_view_mut())?;
                out
            }
        };
        Ok(scores.row_iter().map(|row| row.transpose().argmax().0).collect())
    }
}

/// The ridges that are tried.
fn ridges() -> Vec<f64> {
    RidgePath::<Nodes, NodeGram>::default_ridges()
}

/// The ridge of least leave-one-out error, as of the exact kernel, on at most 2000 of the labelled nodes.
fn best_ridge(features: &WalkFeatures, labelled: &[usize], classes: &[usize]) -> Result<f64, Error> {
    let some = spread(labelled.len(), 2000);
    let nodes: Vec<usize> = some.iter().map(|&i| labelled[i]).collect();
    let own: Vec<usize> = some.iter().map(|&i| classes[i]).collect();
    let operator = features.select(&nodes)?;
    let identity = DMatrix::identity(nodes.len(), nodes.len());
    let mut gram = identity.clone();
    operator.apply(identity.as_view(), gram.as_view_mut())?;
    // Sums of products in another order on either side of the diagonal.
    let gram = 0.5 * (&gram + gram.transpose());
    let classifier = KernelClassifier::new(NodeGram::new(gram)?).ridges(ridges());
    Ok(classifier.fit(&Nodes::all(nodes.len()), &own)?.ridge())
}

/// Mean and standard deviation over the parts.
fn report(run: &Run, title: &str, scores: &[f64], baseline: f64, mut object: Value) {
    let n = scores.len().max(1) as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let deviation = (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    if scores.is_empty() {
        run.report(title, object);
        return;
    }
    object["accuracy"] = json!(mean);
    object["deviation"] = json!(deviation);
    object["baseline"] = json!(baseline);
    object["folds"] = json!(scores);
    let text = format!(
        "{title}\naccuracy  {mean:.4} ± {deviation:.4} over {} parts   (baseline, the most frequent class: {baseline:.4})",
        scores.len()
    );
    run.report(&text, object);
}
