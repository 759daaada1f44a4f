//! Which molecules are mutagenic: the Weisfeiler–Lehman kernel on the 188 graphs of MUTAG, a third of them held out, and ridge
//! regression on ±1. Any kernel machine takes the same matrix, or `WeisfeilerLehman` itself with the graphs as points.
#![allow(clippy::print_stdout, reason = "an example")]

use kernels_core::{Points, dense::Cholesky};
use kernels_graph::{Error, WeisfeilerLehman, explicit_features, graph_cross_gram, graph_gram, read_tu};
use nalgebra::DMatrix;

fn main() -> Result<(), Error> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/MUTAG");
    let set = read_tu(folder, "MUTAG")?;
    let (train, test): (Vec<usize>, Vec<usize>) = (0..set.graphs.len()).partition(|i| i % 3 != 1);
    let (graphs, others) = (set.graphs.subset(&train)?, set.graphs.subset(&test)?);

    let kernel = WeisfeilerLehman::new(3);
    let mut k = graph_gram(&kernel, &graphs, true)?;
    for i in 0..train.len() {
        k[(i, i)] += 0.1;
    }
    let mut coefficients = DMatrix::from_fn(train.len(), 1, |i, _| set.classes[train[i]] as f64);
    Cholesky::new(k)?.solve_in_place(coefficients.as_view_mut())?;
    let scores = graph_cross_gram(&kernel, &others, &graphs, true)? * coefficients;

    let right =
        test.iter().enumerate().filter(|(i, t)| scores[*i].signum() as i64 == set.classes[**t]).count();
    println!("{right} of {} held-out molecules are classified rightly", test.len());
    assert!(right as f64 > 0.75 * test.len() as f64);

    // The kernel is an inner product of sparse counts, for linear models.
    let (features, _) = explicit_features(kernel, &graphs)?;
    println!(
        "{} graphs as {} sparse counts of {} refined labels",
        features.rows(),
        features.nnz(),
        features.cols()
    );
    Ok(())
}
