//! The neighbourhood hash kernel.

use std::collections::BTreeMap;

use super::{GraphKernel, LabelledGraph, hash::Absorb, kernel::graph_kernels};
use crate::{Error, error::parameter};

/// How the hashes of neighbours are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashKind {
    /// ROT₁(l) ⊕ (⊕ of the neighbours): equal neighbours cancel in pairs.
    Simple,
    /// Each distinct neighbour hash, of multiplicity o, enters as ROTₒ(l ⊕ o).
    #[default]
    CountSensitive,
}

/// Mean over R rounds of c/(n + n' − c), with c the size of the intersection of the multisets of node hashes after a round.
///
/// The labels themselves are not compared. Hashes have `bits` bits; a label begins with a hash of itself unless one is given.
///
/// Reference: Hido & Kashima, *A linear-time graph kernel* (2009).
#[derive(Clone, Debug, PartialEq)]
pub struct NeighbourhoodHash {
    pub(super) rounds: usize,
    pub(super) bits: u32,
    pub(super) kind: HashKind,
    pub(super) initial: BTreeMap<i64, u64>,
}

impl NeighbourhoodHash {
    /// `rounds` rounds of hashes of `bits` bits.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for no rounds, or bits outside 1 to 64.
    pub fn new(rounds: usize, bits: u32) -> Result<Self, Error> {
        if rounds == 0 {
            return Err(parameter("rounds", 0.0, "at least 1"));
        }
        if !(1..=64).contains(&bits) {
            return Err(parameter("bits", f64::from(bits), "1 to 64"));
        }
        Ok(Self { rounds, bits, kind: HashKind::default(), initial: BTreeMap::new() })
    }

    /// How neighbours are combined.
    pub fn kind(mut self, kind: HashKind) -> Self {
        self.kind = kind;
        self
    }

    /// First hashes of labels.
    pub fn initial(mut self, hashes: impl IntoIterator<Item = (i64, u64)>) -> Self {
        self.initial = hashes.into_iter().collect();
        self
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    fn rotate(&self, x: u64, by: u64) -> u64 {
        let (bits, by) = (u64::from(self.bits), by % u64::from(self.bits));
        if by == 0 { x } else { ((x << by) | (x >> (bits - by))) & self.mask() }
    }
}

impl GraphKernel for NeighbourhoodHash {
    /// Sorted hashes of all nodes, a list a round.
    type Form = Vec<Vec<u64>>;

    fn form(&self, graph: &LabelledGraph) -> Self::Form {
        let first = |label: i64| {
            let made = || Absorb::new(4).word(label as u64).finish().0 as u64;
            self.initial.get(&label).copied().unwrap_or_else(made) & self.mask()
        };
        let mut names: Vec<u64> = (0..graph.nodes()).map(|v| first(graph.label(v))).collect();
        let mut around = Vec::new();
        let mut rounds = Vec::with_capacity(self.rounds);
        for _ in 0..self.rounds {
            names = (0..graph.nodes())
                .map(|v| {
                    around.clear();
                    around.extend(graph.graph().row(v).0.iter().map(|&u| names[u as usize]));
                    around.sort_unstable();
                    let combined = match self.kind {
                        HashKind::Simple => around.iter().fold(0, |a, b| a ^ b),
                        HashKind::CountSensitive => around.chunk_by(|a, b| a == b).fold(0, |sum, equal| {
                            let count = equal.len() as u64;
                            sum ^ self.rotate((equal[0] ^ count) & self.mask(), count)
                        }),
                    };
                    self.rotate(names[v], 1) ^ combined
                })
                .collect();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            rounds.push(sorted);
        }
        rounds
    }

    fn compare(&self, x: &Self::Form, y: &Self::Form) -> f64 {
        let one = |(x, y): (&Vec<u64>, &Vec<u64>)| {
            let (mut a, mut b, mut common) = (0, 0, 0usize);
            while a < x.len() && b < y.len() {
                common += usize::from(x[a] == y[b]);
                let (up, down) = (x[a] <= y[b], y[b] <= x[a]);
                a += usize::from(up);
                b += usize::from(down);
            }
            let all = x.len() + y.len() - common;
            if all == 0 { 1.0 } else { common as f64 / all as f64 }
        };
        x.iter().zip(y).map(one).sum::<f64>() / self.rounds as f64
    }
}

graph_kernels!(NeighbourhoodHash);
