//! Two labelled members of a karate club, and the faction that each of the others joined: random-walk features and ridge regression, at a
//! cost linear in the graph.
#![allow(clippy::print_stdout, reason = "an example")]

use kernels_graph::{EdgeList, Error, NodeKernel, RandomWalks};
use nalgebra::dmatrix;

fn main() -> Result<(), Error> {
    let (graph, _) = EdgeList::new().read(&include_bytes!("../tests/data/karate_edges.csv")[..])?;
    let club: Vec<bool> = include_str!("../tests/data/karate_nodes.csv")
        .lines()
        .skip(1)
        .map(|line| line.ends_with(",1"))
        .collect();

    let kernel = NodeKernel::diffusion(3.0);
    let features = RandomWalks::new(500, 0.1).seed(7).features(&kernel.walks(&graph)?)?;
    // The teacher and the president.
    let scores = features.regress(&[0, 33], &dmatrix![-1.0; 1.0], 0.01)?;

    let right = club.iter().enumerate().filter(|(i, joined)| (scores[*i] > 0.0) == **joined).count();
    println!("{right} of {} members are placed rightly, from two labels", graph.nodes());
    assert!(right >= 30);
    Ok(())
}
