//! Few labels on the graph of near digits: the exact kernel, random walks, label propagation.

use std::time::Instant;

use kernels_core::{Operator, Rows, Shifted};
use kernels_graph::{EdgeWeight, Graph, Joining, NodeKernel, Nodes, RandomWalks, nearest_graph};
use kernels_solvers::{ConjugateGradients, Identity, KernelClassifier};
use nalgebra::DMatrix;

use crate::{
    error::Error,
    report::{
        Page,
        plot::{Axis, ONE, Plot, TWO},
    },
};

/// Labelled digits of each class.
const LABELS: [usize; 5] = [1, 2, 5, 10, 20];
/// Colour of label propagation.
const GREY: &str = "#777";

/// Accuracy on the digits without labels against the number of labels, for three ways to spread these.
pub(super) fn section(page: &mut Page) -> Result<(), Error> {
    let Some(data) = crate::datasets::all()?.into_iter().find(|d| d.name == "digits") else {
        return Ok(());
    };
    let values: Vec<f64> = data.train.xs.as_slice().iter().chain(data.test.xs.as_slice()).copied().collect();
    let classes: Vec<usize> = data.train.labels().into_iter().chain(data.test.labels()).collect();
    let n = classes.len();
    let xs = Rows::from_row_major(values, n, data.train.xs.dim())?;
    let graph = nearest_graph(&xs, 10, Joining::Union, EdgeWeight::SelfTuning)?;

    let kernel = NodeKernel::diffusion(5.0);
    let begin = Instant::now();
    let gram = kernel.on(&graph)?;
    let exact_seconds = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let features = RandomWalks::new(200, 0.1).seed(1).features(&kernel.walks(&graph)?)?;
    let walk_seconds = begin.elapsed().as_secs_f64();
    let flow = NodeKernel::PageRank { alpha: 0.1 }.operator(&graph, 1e-8)?;

    let mut curves = [Vec::new(), Vec::new(), Vec::new()];
    let mut rows = Vec::new();
    for count in LABELS {
        let labelled = first_of_each(&classes, count);
        let own: Vec<usize> = labelled.iter().map(|&i| classes[i]).collect();
        let codes = |low: f64| DMatrix::from_fn(own.len(), 10, |i, k| if own[i] == k { 1.0 } else { low });
        let model = KernelClassifier::new(gram.clone()).fit(&Nodes::new(labelled.clone(), n)?, &own)?;
        let exact = model.predict(&Nodes::all(n))?;
        let operator = Shifted::new(features.select(&labelled)?, 1e-3);
        let (a, _) = ConjugateGradients::new().solve(&operator, &codes(-1.0), &Identity, None, &mut ())?;
        let walks = largest(&features.predict(&labelled, &a)?);
        let mut start = DMatrix::zeros(n, 10);
        labelled.iter().zip(codes(0.0).row_iter()).for_each(|(&i, row)| start.set_row(i, &row));
        let mut spread = start.clone();
        flow.apply(start.as_view(), spread.as_view_mut())?;
        let scores = [exact, walks, largest(&spread)].map(|p| accuracy(&p, &classes, &labelled));
        for (curve, score) in curves.iter_mut().zip(scores) {
            curve.push((count as f64, score));
        }
        let cells = std::iter::once(count.to_string()).chain(scores.iter().map(|s| format!("{s:.4}")));
        rows.push(cells.collect::<Vec<_>>());
    }
    write(page, &graph, &curves, &rows, exact_seconds, walk_seconds);
    Ok(())
}

fn write(
    page: &mut Page,
    graph: &Graph,
    curves: &[Vec<(f64, f64)>; 3],
    rows: &[Vec<String>],
    exact_seconds: f64,
    walk_seconds: f64,
) {
    page.heading("Digits on a graph: a few labels go a long way");
    page.paragraph(&format!(
        "{} digits, each joined to its 10 nearest ({} edges). The diffusion kernel of the graph takes {exact_seconds:.2} s exactly, and \
         {walk_seconds:.2} s as features of 200 random walks a node, whose cost is linear in the graph.",
        graph.nodes(),
        graph.edges()
    ));
    let x: Vec<f64> = LABELS.iter().map(|&l| l as f64).collect();
    let y: Vec<f64> = curves.iter().flatten().map(|(_, a)| *a).collect();
    let plot = Plot::new(
        "accuracy on the others",
        ("labelled digits a class", "accuracy"),
        Axis::log_over(&x),
        Axis::over(&y),
    )
    .line("exact kernel", ONE, &curves[0])
    .line("random walks", TWO, &curves[1])
    .line("label propagation", GREY, &curves[2]);
    page.figure(&plot.svg(), "Accuracy on digits without labels against the number of labels.");
    let header = ["labels a class", "exact kernel", "random walks", "label propagation"];
    page.table(&header, rows, &[]);
}

/// The first so many nodes of every class.
fn first_of_each(classes: &[usize], count: usize) -> Vec<usize> {
    let mut seen = [0; 10];
    (0..classes.len())
        .filter(|&i| {
            seen[classes[i]] += 1;
            seen[classes[i]] <= count
        })
        .collect()
}

fn largest(scores: &DMatrix<f64>) -> Vec<usize> {
    scores.row_iter().map(|row| row.transpose().argmax().0).collect()
}

fn accuracy(predicted: &[usize], classes: &[usize], labelled: &[usize]) -> f64 {
    let right = |i: &usize| predicted[*i] == classes[*i];
    let all = (0..classes.len()).filter(right).count() - labelled.iter().filter(|i| right(i)).count();
    all as f64 / (classes.len() - labelled.len()) as f64
}
