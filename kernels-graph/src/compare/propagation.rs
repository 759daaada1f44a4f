//! The propagation kernel.

use std::collections::BTreeMap;

use kernels_core::Points;
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Counts, GraphKernel, GraphSet, LabelledGraph, hash::Absorb, kernel::graph_kernels};
use crate::{Error, error::positive, laplacian::inverse};

/// The distance that locality-sensitive hashing of distributions respects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PropagationMetric {
    /// Total variation (L₁): Cauchy directions.
    #[default]
    TotalVariation,
    /// Hellinger: normal directions on square roots.
    Hellinger,
}

/// Σₜ of the products of counts of bins ⌊(Pₜ\[v\]·uₜ + bₜ)/w⌋, where P₀ holds the labels (or attributes) of the nodes and Pₜ₊₁ = D⁻¹A Pₜ.
///
/// The random directions uₜ and offsets bₜ depend on the seed, the step, and the label: no vocabulary, explicit features.
///
/// Reference: Neumann et al., *Propagation kernels* (2016).
#[derive(Clone, Debug, PartialEq)]
pub struct Propagation {
    pub(super) steps: usize,
    pub(super) width: f64,
    pub(super) metric: PropagationMetric,
    pub(super) attributes: bool,
    pub(super) seed: u64,
    pub(super) given: Option<(BTreeMap<i64, usize>, DMatrix<f64>, Vec<f64>)>,
}

impl Propagation {
    /// Bins of `width` at steps 0, …, `steps` − 1.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] for a width that is not above 0.
    pub fn new(steps: usize, width: f64) -> Result<Self, Error> {
        let width = positive("width", width)?;
        Ok(Self {
            steps,
            width,
            metric: PropagationMetric::default(),
            attributes: false,
            seed: 0,
            given: None,
        })
    }

    /// The metric.
    pub fn metric(mut self, metric: PropagationMetric) -> Self {
        self.metric = metric;
        self
    }

    /// Propagates attributes of nodes in place of labels (total variation only).
    pub fn attributes(mut self, on: bool) -> Self {
        self.attributes = on;
        self
    }

    /// Seed of directions and offsets.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Directions (a row a step, a column a label) and offsets in place of random ones; other labels have direction 0.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`].
    pub fn directions(mut self, labels: &[i64], u: DMatrix<f64>, offsets: Vec<f64>) -> Result<Self, Error> {
        crate::error::shape("rows of directions (steps)", self.steps, u.nrows())?;
        crate::error::shape("columns of directions (labels)", labels.len(), u.ncols())?;
        crate::error::shape("offsets (steps)", self.steps, offsets.len())?;
        self.given = Some((labels.iter().copied().zip(0..).collect(), u, offsets));
        Ok(self)
    }

    fn direction(&self, step: usize, label: i64) -> f64 {
        if let Some((labels, u, _)) = &self.given {
            return labels.get(&label).map_or(0.0, |&column| u[(step, column)]);
        }
        let mut rng = self.stream(step, Absorb::new(5).word(label as u64).finish().0 as u64);
        let a: f64 = StandardNormal.sample(&mut rng);
        let b: f64 = StandardNormal.sample(&mut rng);
        if self.metric == PropagationMetric::TotalVariation { a / b } else { a }
    }

    fn offset(&self, step: usize) -> f64 {
        if let Some((_, _, offsets)) = &self.given {
            return offsets[step];
        }
        let mut rng = self.stream(step, u64::MAX);
        self.width * rand::RngExt::random::<f64>(&mut rng)
    }

    fn stream(&self, step: usize, what: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(
            self.seed.wrapping_add((step as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        );
        rng.set_stream(what);
        rng
    }
}

impl GraphKernel for Propagation {
    type Form = Counts;

    fn form(&self, graph: &LabelledGraph) -> Counts {
        let n = graph.nodes();
        let (mut p, columns): (DMatrix<f64>, Vec<i64>) = match (self.attributes, graph.node_attributes()) {
            (true, Some(attributes)) => (attributes.clone(), (0..attributes.ncols() as i64).collect()),
            _ => {
                let mut labels: Vec<i64> = (0..n).map(|v| graph.label(v)).collect();
                labels.sort_unstable();
                labels.dedup();
                let at = |v: usize| labels.binary_search(&graph.label(v)).unwrap_or(0);
                let mut p = DMatrix::zeros(n, labels.len());
                (0..n).for_each(|v| p[(v, at(v))] = 1.0);
                (p, labels)
            }
        };
        let degrees = graph.graph().degrees();
        let mut names = Vec::with_capacity(n * self.steps);
        for step in 0..self.steps {
            let u: Vec<f64> = columns.iter().map(|&label| self.direction(step, label)).collect();
            let offset = self.offset(step);
            for v in 0..n {
                let dot: f64 = match self.metric {
                    PropagationMetric::Hellinger if !self.attributes => {
                        p.row(v).iter().zip(&u).map(|(p, u)| p.sqrt() * u).sum()
                    }
                    _ => p.row(v).iter().zip(&u).map(|(p, u)| p * u).sum(),
                };
                let bin = ((dot + offset) / self.width).floor();
                names.push(Absorb::new(6).word(step as u64).word((bin + 0.0).to_bits()).finish());
            }
            let mut next = DMatrix::zeros(n, columns.len());
            for v in 0..n {
                for (u, w) in graph.graph().neighbours(v) {
                    for c in 0..columns.len() {
                        next[(v, c)] += w * inverse(degrees[v]) * p[(u, c)];
                    }
                }
            }
            p = next;
        }
        Counts::of(names)
    }

    fn compare(&self, x: &Counts, y: &Counts) -> f64 {
        x.dot(y)
    }

    fn as_counts<'a>(&self, form: &'a Counts) -> Option<&'a Counts> {
        Some(form)
    }

    fn check(&self, graphs: &GraphSet) -> Result<(), Error> {
        if self.attributes
            && let Some(graph) = (0..graphs.len()).find(|&i| graphs.point(i).node_attributes().is_none())
        {
            return Err(Error::Missing {
                kernel: "propagation of attributes",
                needed: "node attributes",
                graph,
            });
        }
        Ok(())
    }
}

graph_kernels!(Propagation);
