//! The walker.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{LengthLaw, WalkFeatures, WalkKernel};
use crate::{
    Error, SparseMatrix,
    graph::{compressed, row},
};
use kernels_core::parallel;

/// How many independent sets of walks features come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// One: ΦΦᵀ is positive semidefinite and unbiased off the diagonal; the diagonal is too large by the variance.
    #[default]
    Single,
    /// Two: (ΦΨᵀ + ΨΦᵀ)/2 is unbiased everywhere, but not positive semidefinite.
    Two,
}

/// Random walks from every node.
///
/// From node i, m walks; before step k a walk halts with the probability of its length law, then goes to a neighbour
/// uniformly; its load is the product of Uᵤᵥ/(probability of what it did). The feature φᵢ(v) is the mean of Σ fₖ · load over
/// arrivals at v, so that E φᵢ = row i of Σ fₖUᵏ. Each node has a random stream of its own: results depend on the seed alone, and
/// any machine can walk any range of nodes ([`RandomWalks::shard`]).
///
/// ```
/// use kernels_graph::{Copies, Graph, NodeKernel, RandomWalks};
/// let ring = Graph::undirected(30, (0..30).map(|i| (i, (i + 1) % 30, 1.0)))?;
/// let kernel = NodeKernel::diffusion(1.0);
/// let features = RandomWalks::new(500, 0.5).seed(1).copies(Copies::Two).features(&kernel.walks(&ring)?)?;
/// let exact = kernel.matrix(&ring)?[(3, 4)];
/// assert!((features.estimate(3, 4) - exact).abs() < 0.05);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomWalks {
    walks: usize,
    length: LengthLaw,
    antithetic: bool,
    repelling: bool,
    copies: Copies,
    seed: u64,
}

/// Nodes a task walks from.
const SHARD: usize = 512;

impl RandomWalks {
    /// `walks` walks a node that halt with probability `halting` before every step.
    pub fn new(walks: usize, halting: f64) -> Self {
        Self {
            walks,
            length: LengthLaw::Geometric(halting),
            antithetic: false,
            repelling: false,
            copies: Copies::Single,
            seed: 0,
        }
    }

    /// Another law of lengths.
    pub fn length(mut self, law: LengthLaw) -> Self {
        self.length = law;
        self
    }

    /// Antithetic termination (q-walks): walks come in pairs whose coins are t and t + ½ mod 1, so that one halts late when the
    /// other halts early. The number of walks should be even.
    pub fn antithetic(mut self, on: bool) -> Self {
        self.antithetic = on;
        self
    }

    /// Repelling walks: the walks of a node advance together, and those that meet leave by different neighbours as far as
    /// there are enough.
    pub fn repelling(mut self, on: bool) -> Self {
        self.repelling = on;
        self
    }

    /// One or two independent sets of walks.
    pub fn copies(mut self, copies: Copies) -> Self {
        self.copies = copies;
        self
    }

    /// Seed of the random streams.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The features of all nodes. O(n · walks · mean length).
    ///
    /// # Errors
    /// No walks, a law out of range; [`Error::Unsupported`] for one copy of an asymmetric pair.
    pub fn features(&self, kernel: &WalkKernel) -> Result<WalkFeatures, Error> {
        if self.copies == Copies::Single && !kernel.is_symmetric() {
            return Err(Error::Unsupported {
                what: "one copy of walks for an asymmetric pair of modulations",
                hint: "use Copies::Two",
            });
        }
        let all = 0..kernel.base().rows();
        let first = self.shard(kernel, all.clone(), 0)?;
        let second = (self.copies == Copies::Two).then(|| self.shard(kernel, all, 1)).transpose()?;
        Ok(WalkFeatures::new(first, second))
    }

    /// The features of a range of nodes, row i for node `nodes.start + i`, of copy 0 or 1: a function of kernel, seed, range
    /// and copy alone, so that shards made anywhere stack to [`RandomWalks::features`].
    ///
    /// # Errors
    /// As [`RandomWalks::features`]; a range beyond the last node or an unknown copy.
    pub fn shard(
        &self,
        kernel: &WalkKernel,
        nodes: Range<usize>,
        copy: usize,
    ) -> Result<SparseMatrix, Error> {
        let n = kernel.base().rows();
        self.check(&nodes, n)?;
        if copy > 1 {
            return Err(crate::error::parameter("copy", copy as f64, "0 or 1"));
        }
        let f = if copy == 0 { kernel.modulation() } else { kernel.second() };
        let (halt, survival) = self.length.tables(kernel, f)?;
        let counts: Vec<f64> = survival.iter().zip(f).map(|(s, f)| f / (s * self.walks as f64)).collect();
        let steps = steps(kernel.base());
        let starts = kernel.base().indptr().into_raw_storage().to_vec();
        let start = nodes.start;
        let parts = parallel::pieces(nodes.len(), SHARD, |range| {
            let mut walker = Walker::new(&starts, &steps, &halt, self, copy);
            let (mut lengths, mut indices, mut values) =
                (Vec::with_capacity(range.len()), Vec::new(), Vec::new());
            let mut arrivals = Arrivals::default();
            for node in range {
                let (node, before) = (start + node, indices.len());
                walker.walk(node, |step, at, load| arrivals.push(at, counts[step] * load));
                let side = kernel.sides()[node];
                arrivals.merge(|at, value| {
                    indices.push(at);
                    values.push(side * value);
                });
                lengths.push(indices.len() - before);
            }
            (lengths, indices, values)
        });
        stack(nodes.len(), n, parts)
    }

    /// Wₖ with E Wₖ = Uᵏ, k below `terms`, from one set of walks: Φ = Σ fₖWₖ for any modulation, without walking again. Rows
    /// carry no scale of the kernel.
    ///
    /// # Errors
    /// As [`RandomWalks::features`].
    pub fn per_length(
        &self,
        kernel: &WalkKernel,
        terms: usize,
        copy: usize,
    ) -> Result<Vec<SparseMatrix>, Error> {
        let n = kernel.base().rows();
        self.check(&(0..n), n)?;
        let (halt, survival) = self.length.tables_for_all(kernel, terms)?;
        let steps = steps(kernel.base());
        let starts = kernel.base().indptr().into_raw_storage().to_vec();
        let parts = parallel::pieces(n, SHARD, |range| {
            let mut walker = Walker::new(&starts, &steps, &halt, self, copy);
            let mut out: Vec<(Vec<usize>, Vec<u32>, Vec<f64>)> = vec![Default::default(); halt.len()];
            let mut arrivals: Vec<Arrivals> = vec![Arrivals::default(); halt.len()];
            for node in range {
                walker.walk(node, |step, at, load| {
                    arrivals[step].push(at, load / (survival[step] * self.walks as f64));
                });
                for (list, (lengths, indices, values)) in arrivals.iter_mut().zip(&mut out) {
                    let before = indices.len();
                    list.merge(|at, value| {
                        indices.push(at);
                        values.push(value);
                    });
                    lengths.push(indices.len() - before);
                }
            }
            out
        });
        let mut by_step: Vec<Vec<_>> = vec![Vec::new(); halt.len()];
        for part in parts {
            for (step, part) in part.into_iter().enumerate() {
                by_step[step].push(part);
            }
        }
        by_step.into_iter().map(|parts| stack(n, n, parts)).collect()
    }

    fn check(&self, nodes: &Range<usize>, n: usize) -> Result<(), Error> {
        if self.walks == 0 || self.walks > u32::MAX as usize {
            return Err(crate::error::parameter("walks", self.walks as f64, "at least 1, at most 2^32 - 1"));
        }
        if nodes.start > nodes.end || nodes.end > n {
            return Err(Error::Node { what: "a shard", node: nodes.end, nodes: n });
        }
        Ok(())
    }
}

/// An entry of row u of the base: where a walk goes, and Uᵤᵥ times the number of entries of the row, the load of a uniform step. Both are
/// together: a step on a large graph waits for memory once.
#[derive(Clone, Copy)]
struct Step {
    load: f64,
    to: u32,
}

fn steps(base: &SparseMatrix) -> Vec<Step> {
    let mut out = Vec::with_capacity(base.nnz());
    for i in 0..base.rows() {
        let (columns, values) = row(base, i);
        let degree = columns.len() as f64;
        out.extend(columns.iter().zip(values).map(|(&to, u)| Step { load: u * degree, to }));
    }
    out
}

/// What walks from one node bring, in the order of their arrival.
#[derive(Clone, Default)]
struct Arrivals {
    /// Node, and the place of the value.
    keys: Vec<u64>,
    values: Vec<f64>,
}

impl Arrivals {
    fn push(&mut self, at: u32, value: f64) {
        self.keys.push(u64::from(at) << 32 | self.values.len() as u64);
        self.values.push(value);
    }

    /// Sums by node in the order of arrival, emitted by ascending node; empties the list.
    fn merge(&mut self, mut emit: impl FnMut(u32, f64)) {
        self.keys.sort_unstable();
        let mut keys = self.keys.iter().copied().peekable();
        while let Some(key) = keys.next() {
            let mut sum = self.values[key as u32 as usize];
            while let Some(next) = keys.next_if(|next| next >> 32 == key >> 32) {
                sum += self.values[next as u32 as usize];
            }
            emit((key >> 32) as u32, sum);
        }
        self.keys.clear();
        self.values.clear();
    }
}

type Part = (Vec<usize>, Vec<u32>, Vec<f64>);

/// One matrix of the rows of all parts, each freed as soon as it is copied.
fn stack(rows: usize, columns: usize, parts: Vec<Part>) -> Result<SparseMatrix, Error> {
    let total = parts.iter().map(|part| part.1.len()).sum();
    let (mut indptr, mut indices, mut values) =
        (Vec::with_capacity(rows + 1), Vec::with_capacity(total), Vec::with_capacity(total));
    indptr.push(0);
    let mut end = 0;
    for (lengths, columns, data) in parts {
        for length in lengths {
            end += length;
            indptr.push(end);
        }
        indices.extend_from_slice(&columns);
        values.extend_from_slice(&data);
    }
    compressed(rows, columns, indptr, indices, values)
}

/// The walks of one node after another, with the buffers they need.
struct Walker<'a> {
    starts: &'a [usize],
    steps: &'a [Step],
    halt: &'a [u32],
    options: &'a RandomWalks,
    rng: ChaCha8Rng,
    copy: u64,
    /// (node, load, walk) of walks still going, for those that advance together.
    active: Vec<(u32, f64, u32)>,
    positions: Vec<u32>,
}

impl<'a> Walker<'a> {
    fn new(
        starts: &'a [usize],
        steps: &'a [Step],
        halt: &'a [u32],
        options: &'a RandomWalks,
        copy: usize,
    ) -> Self {
        Self {
            starts,
            steps,
            halt,
            options,
            rng: ChaCha8Rng::seed_from_u64(options.seed),
            copy: copy as u64,
            active: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Calls `arrive(step, node, load)` for every arrival, load without the survival probabilities.
    fn walk(&mut self, node: usize, mut arrive: impl FnMut(usize, u32, f64)) {
        self.rng.set_stream(self.copy << 63 | node as u64);
        self.rng.set_word_pos(0);
        if self.options.antithetic || self.options.repelling {
            self.together(node, arrive);
            return;
        }
        // All walks a step, then all walks another step: their loads from memory do not wait for one another.
        let mut active = std::mem::take(&mut self.active);
        active.clear();
        active.extend((0..self.options.walks as u32).map(|walk| (node as u32, 1.0, walk)));
        arrive(0, node as u32, self.options.walks as f64);
        for (step, &halt) in self.halt.iter().enumerate().skip(1) {
            let mut kept = 0;
            for i in 0..active.len() {
                let (at, load, walk) = active[i];
                let draw = self.rng.next_u64();
                if (draw as u32) < halt || halt == u32::MAX {
                    continue;
                }
                let (start, end) = (self.starts[at as usize], self.starts[at as usize + 1]);
                let degree = (end - start) as u64;
                if degree == 0 {
                    continue;
                }
                let edge = self.steps[start + (((draw >> 32) * degree) >> 32) as usize];
                active[kept] = (edge.to, load * edge.load, walk);
                kept += 1;
            }
            active.truncate(kept);
            if active.is_empty() {
                break;
            }
            active.iter().for_each(|(at, load, _)| arrive(step, *at, *load));
        }
        self.active = active;
    }

    fn together(&mut self, node: usize, mut arrive: impl FnMut(usize, u32, f64)) {
        let walks = self.options.walks as u32;
        self.active.clear();
        self.active.extend((0..walks).map(|walk| (node as u32, 1.0, walk)));
        arrive(0, node as u32, f64::from(walks));
        for (step, &halt) in self.halt.iter().enumerate().skip(1) {
            self.halt_some(halt);
            if self.active.is_empty() {
                return;
            }
            self.choose();
            let (starts, positions) = (&self.starts, &self.positions);
            let mut kept = 0;
            for i in 0..self.active.len() {
                let (at, load, walk) = self.active[i];
                let (start, end) = (starts[at as usize], starts[at as usize + 1]);
                if start == end {
                    continue;
                }
                let edge = self.steps[start + positions[i] as usize];
                let next = (edge.to, load * edge.load, walk);
                arrive(step, next.0, next.1);
                self.active[kept] = next;
                kept += 1;
            }
            self.active.truncate(kept);
        }
    }

    /// Tosses the coins of all active walks; the second of a pair has the first one's draw plus a half.
    fn halt_some(&mut self, halt: u32) {
        let (rng, antithetic) = (&mut self.rng, self.options.antithetic);
        let mut first: Option<(u32, u32)> = None;
        self.active.sort_unstable_by_key(|(_, _, walk)| *walk);
        self.active.retain(|&(_, _, walk)| {
            let draw = match first {
                Some((other, draw)) if antithetic && walk % 2 == 1 && other + 1 == walk => {
                    draw.wrapping_add(1 << 31)
                }
                _ => rng.next_u32(),
            };
            first = Some((walk, draw));
            draw >= halt && halt != u32::MAX
        });
    }

    /// Fills `positions` with the neighbour, by place in its row, that each active walk goes to.
    fn choose(&mut self) {
        self.positions.clear();
        self.positions.resize(self.active.len(), 0);
        let uniform = |rng: &mut ChaCha8Rng, degree: u64| ((u64::from(rng.next_u32()) * degree) >> 32) as u32;
        if !self.options.repelling {
            for (i, (at, _, _)) in self.active.iter().enumerate() {
                let degree = (self.starts[*at as usize + 1] - self.starts[*at as usize]) as u64;
                self.positions[i] = uniform(&mut self.rng, degree);
            }
            return;
        }
        self.active.sort_unstable_by_key(|(at, _, walk)| (*at, *walk));
        let mut from = 0;
        while from < self.active.len() {
            let at = self.active[from].0;
            let to = from + self.active[from..].iter().take_while(|(other, _, _)| *other == at).count();
            let degree = (self.starts[at as usize + 1] - self.starts[at as usize]) as u64;
            let crowd = (to - from) as u64;
            if let Some(rounds) = crowd.checked_div(degree) {
                // Full rounds visit every neighbour once from a random beginning; the walks left over are spread evenly,
                // from a random real beginning. Each walk alone is uniform.
                let full = rounds * degree;
                for round in (0..full).step_by(degree as usize) {
                    let offset = u64::from(uniform(&mut self.rng, degree));
                    for a in 0..degree {
                        self.positions[from + (round + a) as usize] = ((a + offset) % degree) as u32;
                    }
                }
                let rest = crowd - full;
                let offset = u64::from(self.rng.next_u32());
                for a in 0..rest {
                    let turn = ((a << 32) / rest + offset) & 0xFFFF_FFFF;
                    self.positions[from + (full + a) as usize] = ((turn * degree) >> 32) as u32;
                }
            }
            from = to;
        }
    }
}
