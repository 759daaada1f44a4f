//! KT-SPLIT: points into 2^m coresets, each of which represents them all.

use std::ops::Range;

use kernels_core::{Block, Kernel, Points, Workspace};
use nalgebra::DMatrixViewMut;

use crate::{Error, access, parallel};

/// Points of a chunk, when there are at most [`ROUNDS`] rounds.
pub(super) const CHUNK: usize = 256;

/// Rounds that are made while points stream in; 2^ROUNDS = CHUNK. Later rounds work on finished coresets.
const ROUNDS: usize = 8;

/// Rows of a chunk that one task sums over the past.
const PIECE: usize = 64;

/// Where the uniform of a decision comes from: round, parent coreset of the round, pair of the parent.
pub(super) type Coin<'c> = dyn FnMut(usize, usize, usize) -> f64 + 'c;

/// 2 ln(2 n m / (δ 2ʲ)) for the rounds j = 0 … m − 1.
pub(super) fn multipliers(n: usize, rounds: usize, delta: f64) -> Vec<f64> {
    (0..rounds)
        .map(|j| 2.0 * (2.0 * n as f64 * rounds as f64 / (delta * (j as f64).exp2())).ln().max(0.0))
        .collect()
}

/// What a parent coreset knows of its pairs: the running squared scale σ² of its thresholds, and their number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    sigma2: f64,
    pairs: usize,
}

impl Scale {
    /// Takes the next pair, at squared distance `b2` under the kernel: its number and its threshold.
    pub(super) fn threshold(&mut self, b2: f64, multiplier: f64) -> (usize, f64) {
        let a = (self.sigma2 * b2 * multiplier).sqrt().max(b2);
        if self.sigma2 == 0.0 {
            self.sigma2 = b2;
        } else if a != 0.0 {
            self.sigma2 += b2 * (1.0 + (b2 / a - 2.0) * self.sigma2 / a).max(0.0);
        }
        self.pairs += 1;
        (self.pairs - 1, if a == 0.0 { 1.0 } else { a })
    }
}

/// The state of the first rounds. Chunks come in order; what comes out does not depend on how the points came.
pub(super) struct Splitter<P> {
    /// Multipliers of the rounds made here.
    multipliers: Vec<f64>,
    chunks: Vec<P>,
    /// Coreset of every point of every chunk, after the last round.
    leaves: Vec<Vec<usize>>,
    /// Of every parent of every round.
    parents: Vec<Vec<Scale>>,
    coresets: Vec<Vec<usize>>,
    seen: usize,
    /// Sums of k(x, ·) over all points so far, of every point; empty unless asked for.
    totals: Vec<f64>,
    summed: bool,
}

impl<P: Points<Scalar = f64>> Splitter<P> {
    /// For rounds with these multipliers, at most [`ROUNDS`] of them.
    fn new(multipliers: &[f64]) -> Self {
        let rounds = multipliers.len();
        Self {
            multipliers: multipliers.to_vec(),
            chunks: Vec::new(),
            leaves: Vec::new(),
            parents: (0..rounds).map(|j| vec![Scale::default(); 1 << j]).collect(),
            coresets: vec![Vec::new(); 1 << rounds],
            seen: 0,
            totals: Vec::new(),
            summed: false,
        }
    }

    /// Splits one more chunk: [`CHUNK`] points, or fewer (a multiple of 2^rounds) if it is the last.
    pub(super) fn absorb<K: Kernel<P> + ?Sized>(
        &mut self,
        kernel: &K,
        chunk: P,
        coin: &mut Coin<'_>,
    ) -> Result<(), Error> {
        let size = chunk.len();
        let rounds = self.multipliers.len();
        // sums[j] holds, for every coreset c after round j, the sums of k(p, z) over z in c: column c, a row a point p.
        let mut sums: Vec<Vec<f64>> = vec![Vec::new(); rounds + 1];
        if let Some(last) = sums.last_mut() {
            *last = self.past(kernel, &chunk);
        }
        for j in (1..rounds).rev() {
            let finer = std::mem::take(&mut sums[j + 1]);
            let mut coarser = vec![0.0; size << j];
            for (to, from) in coarser.chunks_exact_mut(size).zip(finer.chunks_exact(2 * size)) {
                let (left, right) = from.split_at(size);
                to.iter_mut().zip(left).zip(right).for_each(|((to, l), r)| *to = l + r);
            }
            sums[j + 1] = finer;
            sums[j] = coarser;
        }
        let mut gram = vec![0.0; size * size];
        let mut diagonal = vec![0.0; size];
        let at = Block::within(&chunk, 0..size, 0..size)?;
        kernel.block(&at, DMatrixViewMut::from_slice(&mut gram, size, size), &mut Workspace::new());
        kernel.diagonal(&chunk, 0..size, &mut diagonal);
        if self.summed {
            let past = &sums[rounds];
            self.totals.extend((0..size).map(|p| {
                let before: f64 = past.chunks_exact(size).map(|column| column[p]).sum();
                before + gram[p * size..(p + 1) * size].iter().sum::<f64>()
            }));
        }

        let mut level: Vec<Vec<usize>> = vec![(0..size).collect()];
        for j in 0..rounds {
            let mut next = Vec::with_capacity(2 * level.len());
            for (l, members) in level.iter().enumerate() {
                let past = &sums[j + 1][2 * l * size..(2 * l + 2) * size];
                let (left, right) = self.split_parent(j, l, members, past, &gram, &diagonal, coin);
                next.push(left);
                next.push(right);
            }
            level = next;
        }
        let mut leaves = vec![0; size];
        for (leaf, members) in level.iter().enumerate() {
            for &p in members {
                leaves[p] = leaf;
                self.coresets[leaf].push(self.seen + p);
            }
        }
        self.seen += size;
        self.leaves.push(leaves);
        self.chunks.push(chunk);
        Ok(())
    }

    /// The pairs of one parent within a chunk.
    #[allow(clippy::too_many_arguments)]
    fn split_parent(
        &mut self,
        j: usize,
        l: usize,
        members: &[usize],
        past: &[f64],
        gram: &[f64],
        diagonal: &[f64],
        coin: &mut Coin<'_>,
    ) -> (Vec<usize>, Vec<usize>) {
        let size = diagonal.len();
        let (past_left, past_right) = past.split_at(size);
        let mut left = Vec::with_capacity(members.len() / 2);
        let mut right = Vec::with_capacity(members.len() / 2);
        for pair in members.chunks_exact(2) {
            let (p0, p1) = (pair[0], pair[1]);
            let (row0, row1) = (&gram[p0 * size..(p0 + 1) * size], &gram[p1 * size..(p1 + 1) * size]);
            let b2 = (diagonal[p0] - 2.0 * row0[p1] + diagonal[p1]).max(0.0);
            let (number, a) = self.parents[j][l].threshold(b2, self.multipliers[j]);
            let side = |past: &[f64], here: &[usize]| -> f64 {
                past[p0] - past[p1] + here.iter().map(|&z| row0[z] - row1[z]).sum::<f64>()
            };
            let alpha = side(past_right, &right) - side(past_left, &left);
            let p = 0.5 * (1.0 - alpha / a);
            let swapped = coin(j, l, number) <= p;
            left.push(if swapped { p1 } else { p0 });
            right.push(if swapped { p0 } else { p1 });
        }
        (left, right)
    }

    /// Sums of k(p, z) over the past points z of every coreset, for the points p of a new chunk; and, if asked for, adds
    /// those over p to the totals of the past points.
    fn past<K: Kernel<P> + ?Sized>(&mut self, kernel: &K, chunk: &P) -> Vec<f64> {
        let (size, leaves) = (chunk.len(), self.coresets.len());
        let piece = |task: usize| -> Range<usize> { task * PIECE..((task + 1) * PIECE).min(size) };
        let parts = parallel::map(size.div_ceil(PIECE), |task| {
            let rows = piece(task);
            let mut sums = vec![0.0; rows.len() * leaves];
            let mut columns = Vec::with_capacity(if self.summed { self.seen } else { 0 });
            let mut tile = vec![0.0; rows.len() * CHUNK];
            let mut ws = Workspace::new();
            for (old, leaf) in self.chunks.iter().zip(&self.leaves) {
                let tile = &mut tile[..rows.len() * old.len()];
                let Ok(at) = Block::between(chunk, rows.clone(), old, 0..old.len()) else { continue };
                kernel.block(&at, DMatrixViewMut::from_slice(tile, rows.len(), old.len()), &mut ws);
                for (column, &leaf) in tile.chunks_exact(rows.len()).zip(leaf) {
                    let sums = &mut sums[leaf * rows.len()..(leaf + 1) * rows.len()];
                    sums.iter_mut().zip(column).for_each(|(sum, k)| *sum += k);
                }
                if self.summed {
                    columns.extend(tile.chunks_exact(rows.len()).map(access::sum));
                }
            }
            (sums, columns)
        });
        let mut all = vec![0.0; size * leaves];
        for (task, (part, columns)) in parts.iter().enumerate() {
            let rows = piece(task);
            for (leaf, column) in part.chunks_exact(rows.len()).enumerate() {
                all[leaf * size + rows.start..leaf * size + rows.end].copy_from_slice(column);
            }
            self.totals.iter_mut().zip(columns).for_each(|(t, c)| *t += c);
        }
        all
    }
}

/// A split whose points come chunk by chunk, with all rounds: those beyond [`ROUNDS`] are made at the end.
pub(super) struct Rounds<P> {
    first: Splitter<P>,
    multipliers: Vec<f64>,
}

impl<P: Points<Scalar = f64>> Rounds<P> {
    pub(super) fn new(multipliers: Vec<f64>) -> Self {
        let first = Splitter::new(&multipliers[..multipliers.len().min(ROUNDS)]);
        Self { first, multipliers }
    }

    /// Points come in multiples of this many; a remainder is dropped.
    pub(super) fn step(&self) -> usize {
        1 << self.multipliers.len().min(ROUNDS)
    }

    /// See [`Splitter::absorb`].
    pub(super) fn absorb<K: Kernel<P> + ?Sized>(
        &mut self,
        kernel: &K,
        chunk: P,
        coin: &mut Coin<'_>,
    ) -> Result<(), Error> {
        self.first.absorb(kernel, chunk, coin)
    }

    /// The coresets, as places in the stream; `subset` gives the points of such places.
    pub(super) fn finish<K: Kernel<P> + ?Sized>(
        self,
        kernel: &K,
        subset: &dyn Fn(&[P], &[usize]) -> Result<P, Error>,
        coin: &mut Coin<'_>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let done = self.first.multipliers.len();
        let rest = &self.multipliers[done..];
        if rest.is_empty() {
            return Ok(self.first.coresets);
        }
        let mut out = Vec::with_capacity(1 << self.multipliers.len());
        for (parent, members) in self.first.coresets.iter().enumerate() {
            let points = subset(&self.first.chunks, members)?;
            let inner = split(kernel, &points, rest, &mut |round, l, pair| {
                coin(done + round, (parent << round) + l, pair)
            })?;
            out.extend(inner.into_iter().map(|c| c.into_iter().map(|i| members[i]).collect()));
        }
        Ok(out)
    }
}

/// All rounds on points in memory. Coresets hold indices into `xs`; a remainder of n by 2^m is dropped from the end.
pub(super) fn split<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    multipliers: &[f64],
    coin: &mut Coin<'_>,
) -> Result<Vec<Vec<usize>>, Error> {
    Ok(split_and_sum(kernel, xs, multipliers, coin, false)?.0)
}

/// [`split`], and the sums of the rows of the Gram matrix, which cost next to nothing beside it: of the points used, if
/// `summed` and there is a round.
pub(super) fn split_and_sum<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    multipliers: &[f64],
    coin: &mut Coin<'_>,
    summed: bool,
) -> Result<(Vec<Vec<usize>>, Vec<f64>), Error> {
    let rounds = multipliers.len();
    if rounds == 0 {
        return Ok((vec![(0..xs.len()).collect()], Vec::new()));
    }
    let used = if rounds < usize::BITS as usize { xs.len() >> rounds << rounds } else { 0 };
    if used == 0 {
        return Ok((vec![Vec::new(); 1 << rounds.min(usize::BITS as usize - 1)], Vec::new()));
    }
    let mut state = Rounds::new(multipliers.to_vec());
    state.first.summed = summed;
    for start in (0..used).step_by(CHUNK) {
        let indices: Vec<usize> = (start..(start + CHUNK).min(used)).collect();
        state.absorb(kernel, xs.subset(&indices)?, coin)?;
    }
    let totals = std::mem::take(&mut state.first.totals);
    Ok((state.finish(kernel, &|_, members| Ok(xs.subset(members)?), coin)?, totals))
}
