//! Counts of small induced subgraphs.

use std::{collections::BTreeMap, sync::OnceLock};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Counts, FeatureId, GraphKernel, LabelledGraph, hash::Absorb, kernel::graph_kernels};
use crate::{Error, Graph, error::parameter};

/// Bit of the pair (i, j), i < j, of a graph of k nodes.
fn bit(i: usize, j: usize) -> u32 {
    1 << (j * (j - 1) / 2 + i)
}

/// The least mask among all orders of the nodes, for every mask: isomorphism classes of graphs of k ≤ 6 nodes.
fn classes(k: usize) -> &'static [u16] {
    static TABLES: [OnceLock<Vec<u16>>; 7] = [const { OnceLock::new() }; 7];
    TABLES[k.min(6)].get_or_init(|| {
        let pairs = k * k.saturating_sub(1) / 2;
        let mut orders = vec![vec![]];
        for _ in 0..k {
            orders = orders
                .iter()
                .flat_map(|o: &Vec<usize>| {
                    (0..k)
                        .filter(|v| !o.contains(v))
                        .map(|v| o.iter().copied().chain([v]).collect())
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        // Where each pair goes under each order.
        let moves: Vec<Vec<u32>> = orders
            .iter()
            .map(|o| {
                (1..k)
                    .flat_map(|j| (0..j).map(move |i| (i, j)))
                    .map(|(i, j)| bit(o[i].min(o[j]), o[i].max(o[j])))
                    .collect()
            })
            .collect();
        let mut table = vec![u16::MAX; 1 << pairs];
        for mask in 0..1u32 << pairs {
            if table[mask as usize] != u16::MAX {
                continue;
            }
            // Masks ascend, so the first of a class is its least; mark the whole class.
            for to in &moves {
                let moved: u32 =
                    to.iter().enumerate().filter(|(b, _)| mask >> b & 1 == 1).map(|(_, to)| to).sum();
                table[moved as usize] = mask as u16;
            }
        }
        table
    })
}

/// Numbers of induced subgraphs of k nodes by isomorphism class, named by the least adjacency mask of the class; only connected ones when asked for.
///
/// Connected subgraphs are enumerated once each by growing (ESU), all of them by combinations, O(nᵏ). Weights, loops and directions do not matter.
///
/// References: Shervashidze et al., *Efficient graphlet kernels* (2009); Wernicke, *A faster algorithm for detecting network motifs* (2005).
///
/// # Errors
/// [`kernels_core::Error::Parameter`] for k outside 2 to 6.
///
/// ```
/// use kernels_graph::{Graph, graphlet_counts};
/// let triangle = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)])?;
/// assert_eq!(graphlet_counts(&triangle, 3, true)?.into_iter().collect::<Vec<_>>(), [(7, 1)]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn graphlet_counts(graph: &Graph, k: usize, connected: bool) -> Result<BTreeMap<u16, u64>, Error> {
    check_size(k)?;
    let neighbours = simple(graph);
    let table = classes(k);
    let mut out = BTreeMap::new();
    let mut count = |nodes: &[u32]| *out.entry(table[mask(&neighbours, nodes) as usize]).or_insert(0) += 1;
    if connected {
        let mut chosen = Vec::with_capacity(k);
        for root in 0..graph.nodes() as u32 {
            chosen.clear();
            chosen.push(root);
            let beyond: Vec<u32> = neighbours[root as usize].iter().copied().filter(|u| *u > root).collect();
            extend(&neighbours, root, k, &mut chosen, beyond, &mut count);
        }
    } else if graph.nodes() >= k {
        let n = graph.nodes() as u32;
        let mut nodes: Vec<u32> = (0..k as u32).collect();
        loop {
            count(&nodes);
            let Some(at) = (0..k).rev().find(|&i| nodes[i] + ((k - i) as u32) < n) else { break };
            nodes[at] += 1;
            for i in at + 1..k {
                nodes[i] = nodes[i - 1] + 1;
            }
        }
    }
    Ok(out)
}

fn check_size(k: usize) -> Result<(), Error> {
    if (2..=6).contains(&k) { Ok(()) } else { Err(parameter("graphlet size", k as f64, "2 to 6")) }
}

/// Neighbours without loops and directions, ascending.
fn simple(graph: &Graph) -> Vec<Vec<u32>> {
    let mut out = vec![Vec::new(); graph.nodes()];
    for (u, v, _) in graph.edge_list().filter(|(u, v, _)| u != v) {
        out[u].push(v as u32);
        out[v].push(u as u32);
    }
    for list in &mut out {
        list.sort_unstable();
        list.dedup();
    }
    out
}

fn mask(neighbours: &[Vec<u32>], nodes: &[u32]) -> u32 {
    let mut mask = 0;
    for j in 1..nodes.len() {
        for i in 0..j {
            if neighbours[nodes[i] as usize].binary_search(&nodes[j]).is_ok() {
                mask |= bit(i, j);
            }
        }
    }
    mask
}

fn extend(
    neighbours: &[Vec<u32>],
    root: u32,
    k: usize,
    chosen: &mut Vec<u32>,
    mut beyond: Vec<u32>,
    count: &mut impl FnMut(&[u32]),
) {
    if chosen.len() == k {
        count(chosen);
        return;
    }
    while let Some(next) = beyond.pop() {
        let mut further = beyond.clone();
        for &u in &neighbours[next as usize] {
            // Neighbours of the new node that no chosen node has, and that come after the root.
            let exclusive = u > root
                && !chosen.contains(&u)
                && !chosen.iter().any(|c| neighbours[*c as usize].binary_search(&u).is_ok());
            if exclusive {
                further.push(u);
            }
        }
        chosen.push(next);
        extend(neighbours, root, k, chosen, further, count);
        chosen.pop();
    }
}

/// The inner product of the counts of induced subgraphs of k nodes ([`graphlet_counts`]). Explicit features.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Graphlets {
    pub(super) size: usize,
    pub(super) connected: bool,
}

impl Graphlets {
    /// Connected subgraphs of `size` nodes.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for a size outside 2 to 6.
    pub fn new(size: usize) -> Result<Self, Error> {
        check_size(size)?;
        Ok(Self { size, connected: true })
    }

    /// Whether only connected subgraphs count.
    pub fn connected(mut self, only: bool) -> Self {
        self.connected = only;
        self
    }
}

fn name(class: u16) -> FeatureId {
    Absorb::new(8).word(u64::from(class)).finish()
}

impl GraphKernel for Graphlets {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        let counts = graphlet_counts(graph.graph(), self.size, self.connected).unwrap_or_default();
        Counts::weighted(counts.into_iter().map(|(class, count)| (name(class), count as f64)).collect())
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

/// The inner product of estimated frequencies of all subgraphs of k nodes, from uniform samples of k nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GraphletSampling {
    pub(super) size: usize,
    pub(super) samples: usize,
    pub(super) seed: u64,
}

impl GraphletSampling {
    /// Subgraphs of `size` nodes, `samples` a graph.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for a size outside 2 to 6 or no samples.
    pub fn new(size: usize, samples: usize) -> Result<Self, Error> {
        check_size(size)?;
        if samples == 0 {
            return Err(parameter("samples", 0.0, "at least 1"));
        }
        Ok(Self { size, samples, seed: 0 })
    }

    /// So many samples that the frequencies are within ε in L₁ with probability 1 − δ: ⌈2(a ln 2 + ln 1/δ)/ε²⌉ for a classes.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] out of range.
    pub fn accurate(size: usize, epsilon: f64, delta: f64) -> Result<Self, Error> {
        check_size(size)?;
        crate::error::positive("epsilon", epsilon)?;
        crate::error::positive("delta", delta)?;
        let classes = [1.0, 1.0, 2.0, 4.0, 11.0, 34.0, 156.0][size];
        let samples = 2.0 * (classes * std::f64::consts::LN_2 - delta.ln()) / (epsilon * epsilon);
        Self::new(size, samples.ceil().clamp(1.0, 1e12) as usize)
    }

    /// Seed of the samples.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl GraphKernel for GraphletSampling {
    type Form = Counts;
    fn form(&self, graph: &LabelledGraph) -> Counts {
        let n = graph.nodes();
        if n < self.size {
            return Counts::default();
        }
        let neighbours = simple(graph.graph());
        let table = classes(self.size);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut found = BTreeMap::new();
        let mut nodes: Vec<u32> = Vec::with_capacity(self.size);
        for _ in 0..self.samples {
            nodes.clear();
            while nodes.len() < self.size {
                let node = ((u64::from(rng.next_u32()) * n as u64) >> 32) as u32;
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
            *found.entry(table[mask(&neighbours, &nodes) as usize]).or_insert(0u64) += 1;
        }
        let scale = 1.0 / self.samples as f64;
        Counts::weighted(
            found.into_iter().map(|(class, count)| (name(class), scale * count as f64)).collect(),
        )
    }
    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }
    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }
}

graph_kernels!(Graphlets, GraphletSampling);
