//! Graphs by construction: grids, and the reproducible graphs of the benchmarks.

use crate::{Error, Graph, GraphBuilder, LabelledGraph};

/// The grid of `rows` × `columns` nodes, numbered row by row, unit weights.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn grid(rows: usize, columns: usize) -> Result<Graph, Error> {
    let at = move |i: usize, j: usize| i * columns + j;
    let nodes = rows.checked_mul(columns).ok_or(Error::TooLarge { nodes: usize::MAX })?;
    Graph::undirected(
        nodes,
        (0..rows).flat_map(move |i| {
            (0..columns).flat_map(move |j| {
                let right = (j + 1 < columns).then(|| (at(i, j), at(i, j + 1), 1.0));
                let down = (i + 1 < rows).then(|| (at(i, j), at(i + 1, j), 1.0));
                right.into_iter().chain(down)
            })
        }),
    )
}

/// The SplitMix64 output of a counter.
fn hash(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A uniform number in \[0, 1) that depends on (seed, counter) alone, in any language.
pub(crate) fn unit(seed: u64, counter: u64) -> f64 {
    (hash((seed << 32).wrapping_add(counter)) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A ring of n nodes with `chords` · n random chords, loops dropped and repeated ones merged: a sparse expander that any
/// language can make bit for bit (SplitMix64 of seed and counter), for benchmarks.
///
/// ```
/// assert_eq!(kernels_graph::ring_with_chords(10, 1, 1)?.edges(), 17);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLarge`].
pub fn ring_with_chords(n: usize, chords: usize, seed: u64) -> Result<Graph, Error> {
    let end = move |k: u64| (hash((seed << 32).wrapping_add(k)) % n.max(1) as u64) as usize;
    let ring = (0..n).map(move |i| (i, (i + 1) % n)).filter(|(u, v)| u != v);
    let extra = (0..(chords * n) as u64).map(move |k| (end(2 * k), end(2 * k + 1))).filter(|(u, v)| u != v);
    GraphBuilder::new(n).duplicates(crate::Duplicates::Max).build(ring.chain(extra).map(|(u, v)| (u, v, 1.0)))
}

/// `count` random connected graphs of 20 to 60 nodes with 5 labels: a random tree and as many random edges again; bit for bit the
/// same in any language, for benchmarks.
///
/// # Errors
/// None in practice.
pub fn random_labelled_graphs(count: usize, seed: u64) -> Result<Vec<LabelledGraph>, Error> {
    let mut counter = 0u64;
    let mut next = move |m: u64| {
        counter += 1;
        hash((seed << 32).wrapping_add(counter - 1)) % m
    };
    (0..count)
        .map(|_| {
            let n = 20 + next(41) as usize;
            let mut edges: Vec<(usize, usize, f64)> = (1..n).map(|i| (next(i as u64) as usize, i, 1.0)).collect();
            for _ in 0..n {
                let (a, b) = (next(n as u64) as usize, next(n as u64) as usize);
                if a != b {
                    edges.push((a, b, 1.0));
                }
            }
            let graph = GraphBuilder::new(n).duplicates(crate::Duplicates::Max).build(edges)?;
            let labels = (0..n).map(|_| next(5) as i64).collect();
            LabelledGraph::new(graph).node_labels(labels)
        })
        .collect()
}
