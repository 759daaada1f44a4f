//! The largest variance of a kernel conditioned on more and more points, without conditioning all points every time.

use kernels_core::{Kernel, Points, Simd, Vector, Work};

use super::residual::Prior;
use crate::{Error, parallel};

/// Observations of a panel, whole blocks.
const PANEL: usize = 64;

/// Observations of a block: a row's entries of a block are computed at once.
const BLOCK: usize = 8;

/// Rows that a task brings up to date.
const PIECE: usize = 32;

/// The diagonal of C = s² K − Σ uuᵀ, for selection by its largest entry.
///
/// Conditioning never raises a variance. So a variance that is not up to date bounds the one that is, and a point whose bound is below
/// the largest known variance need not be looked at. Points that are looked at catch up on many observations at a time, from
/// memory that is contiguous; every value is the same bits whenever it is computed.
pub(crate) struct Lagging<'a, P, K: ?Sized> {
    prior: Prior<'a, P, K>,
    /// Candidates are the first so many points.
    candidates: usize,
    /// Cᵢᵢ after the observations so far when it was looked at last; −∞ for candidates that are closed.
    variances: Vec<f64>,
    /// Cᵢᵢ after the blocks that are done, and how many those are.
    settled: Vec<f64>,
    done: Vec<usize>,
    /// By panels of observations, a point's entries side by side: of u in blocks that are done, else of s² K.
    panels: Vec<Vec<f64>>,
    /// Columns of s² K of a block that is not full yet.
    fresh: Vec<Vec<f64>>,
    observed: Observed,
    /// Points looked at for the last observation but one: the next largest is likely among them.
    recent: Vec<usize>,
}

/// The points observed.
#[derive(Default)]
struct Observed {
    count: usize,
    /// For every block, the entries of earlier vectors u at its points: one vector's after the other's.
    blocks: Vec<Vec<f64>>,
    /// 1/√pivot; 0 where a block has room.
    inverses: Vec<f64>,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + ?Sized> Lagging<'a, P, K> {
    /// All points of all sets, in order; candidates are those of the first.
    pub(crate) fn new(what: &'static str, kernel: &'a K, sets: &[&'a P]) -> Result<Self, Error> {
        let (prior, variances) = Prior::new(what, kernel, sets)?;
        Ok(Self {
            prior,
            candidates: sets.first().map_or(0, |set| set.len()),
            settled: variances.clone(),
            done: vec![0; variances.len()],
            variances,
            panels: Vec::new(),
            fresh: Vec::new(),
            observed: Observed::default(),
            recent: Vec::new(),
        })
    }

    /// Variances, of every point after as many observations as it was last looked at.
    pub(crate) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Multiplies the kernel by s²; before any conditioning.
    pub(crate) fn rescale(&mut self, scale2: f64) {
        self.prior.rescale(scale2);
        self.variances.iter_mut().chain(&mut self.settled).for_each(|v| *v *= scale2);
    }

    /// The open candidate of largest variance, the lowest on ties, and its variance.
    pub(crate) fn largest(&mut self) -> Option<(usize, f64)> {
        let mut best = first_largest(&self.variances[..self.candidates])?;
        let mut looked = vec![best];
        let likely = self.recent.iter().copied().filter(|&i| i < self.candidates && i != best);
        looked.extend(likely.max_by(|&a, &b| self.variances[a].total_cmp(&self.variances[b])));
        self.catch_up(&looked);
        let above = |variances: &[f64], i: usize, best: usize| {
            variances[i] > variances[best] || i < best && variances[i] >= variances[best]
        };
        best = looked.iter().fold(best, |best, &i| if above(&self.variances, i, best) { i } else { best });
        let mut rivals: Vec<(f64, usize)> = Vec::new();
        for (i, v) in self.variances[..self.candidates].iter().enumerate() {
            if above(&self.variances, i, best) {
                rivals.push((*v, i));
            }
        }
        let mut batch = PIECE;
        while !rivals.is_empty() {
            // Those of the largest bounds first: they may do away with the others.
            if rivals.len() > batch {
                rivals.select_nth_unstable_by(batch, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            }
            let rest = rivals.split_off(batch.min(rivals.len()));
            let now: Vec<usize> = rivals.iter().map(|r| r.1).collect();
            self.catch_up(&now);
            for &i in &now {
                if above(&self.variances, i, best) {
                    best = i;
                }
            }
            looked.extend(now);
            rivals = rest;
            rivals.retain(|r| above(&self.variances, r.1, best));
            batch *= 2;
        }
        self.recent = looked;
        Some((best, self.variances[best]))
    }

    /// Makes point i no candidate any more.
    pub(crate) fn close(&mut self, i: usize) {
        self.variances[i] = f64::NEG_INFINITY;
        self.recent.retain(|&r| r != i);
    }

    /// Conditions on a noisy observation of point i: C ← C − cᵢcᵢᵀ/(Cᵢᵢ + noise). `false`, and no change, when the point has no
    /// variance left.
    ///
    /// **Errors.** No memory for n more values.
    pub(crate) fn observe(&mut self, i: usize, noise: f64) -> Result<bool, Error> {
        let mut terms = Vec::new();
        let (variance, _) = self.terms(i, &mut terms);
        let pivot = variance + noise;
        if pivot.is_nan() || pivot <= 0.0 {
            return Ok(false);
        }
        let (n, t) = (self.variances.len(), self.observed.count);
        let (block, lane) = (t / BLOCK, t % BLOCK);
        if t.is_multiple_of(PANEL) {
            self.panels.push(zeros(n * PANEL)?);
        }
        if lane == 0 {
            self.observed.blocks.push(zeros((t + BLOCK) * BLOCK)?);
            self.observed.inverses.resize(t + BLOCK, 0.0);
        }
        for (entries, term) in self.observed.blocks[block].chunks_exact_mut(BLOCK).zip(&terms[..t]) {
            entries[lane] = *term;
        }
        self.observed.inverses[t] = 1.0 / pivot.sqrt();
        self.observed.count += 1;
        if self.fresh.len() == lane {
            self.fresh.push(zeros(n)?);
        }
        self.prior.row(i, &mut self.fresh[lane]);
        if lane + 1 == BLOCK {
            // The block is full: from columns to rows.
            let start = block * BLOCK % PANEL;
            let fresh: [&[f64]; BLOCK] = std::array::from_fn(|c| self.fresh[c].as_slice());
            if let Some(panel) = self.panels.last_mut() {
                for (i, entries) in panel.chunks_exact_mut(PANEL).enumerate() {
                    for (to, column) in entries[start..start + BLOCK].iter_mut().zip(fresh) {
                        *to = column[i];
                    }
                }
            }
        }
        Ok(true)
    }

    /// The entries of u at point i, of all observations, filled up to a whole block; Cᵢᵢ, and what it is after all full blocks.
    fn terms(&self, i: usize, out: &mut Vec<f64>) -> (f64, f64) {
        let full = self.observed.count / BLOCK * BLOCK;
        out.clear();
        for (p, panel) in self.panels.iter().enumerate() {
            let width = PANEL.min(full - (p * PANEL).min(full));
            out.extend_from_slice(&panel[i * PANEL..i * PANEL + width]);
        }
        if full < self.observed.count {
            let lanes = self.observed.count - full;
            out.extend((0..BLOCK).map(|c| if c < lanes { self.fresh[c][i] } else { 0.0 }));
        }
        f64::dispatch(Substitution {
            terms: out,
            done: self.done[i],
            variance: self.settled[i],
            observed: &self.observed,
        })
    }

    /// Brings points up to date.
    fn catch_up(&mut self, points: &[usize]) {
        let full = self.observed.count / BLOCK;
        let parts = parallel::pieces(points.len(), PIECE, |range| {
            let mut entries = Vec::new();
            let mut variances = Vec::with_capacity(range.len());
            let mut terms = Vec::with_capacity(self.observed.blocks.len() * BLOCK);
            for &i in &points[range] {
                variances.push(self.terms(i, &mut terms));
                entries.extend_from_slice(&terms[self.done[i] * BLOCK..full * BLOCK]);
            }
            (entries, variances)
        });
        for ((entries, variances), points) in parts.into_iter().zip(points.chunks(PIECE)) {
            let mut blocks = entries.chunks_exact(BLOCK);
            for ((variance, settled), &i) in variances.into_iter().zip(points) {
                for (b, values) in (self.done[i]..full).zip(&mut blocks) {
                    let (panel, start) = (b * BLOCK / PANEL, i * PANEL + b * BLOCK % PANEL);
                    self.panels[panel][start..start + BLOCK].copy_from_slice(values);
                }
                self.done[i] = full;
                (self.variances[i], self.settled[i]) = (variance, settled);
            }
        }
    }
}

/// Zeros, or an error where there is no room for them.
fn zeros(count: usize) -> Result<Vec<f64>, Error> {
    let mut out = Vec::new();
    let needed = count.saturating_mul(size_of::<f64>());
    let what = "the factor of a kernel matrix";
    out.try_reserve_exact(count).map_err(|_| kernels_core::Error::Memory { what, needed, available: 0 })?;
    out.resize(count, 0.0);
    Ok(out)
}

/// The first of the largest values; none of those that are −∞ or NaN.
fn first_largest(values: &[f64]) -> Option<usize> {
    // Eight running maxima side by side.
    let mut largest = [f64::NEG_INFINITY; 8];
    let lanes = values.chunks_exact(8);
    for (largest, v) in largest.iter_mut().zip(lanes.remainder()) {
        *largest = if *v > *largest { *v } else { *largest };
    }
    for values in lanes {
        for (largest, v) in largest.iter_mut().zip(values) {
            *largest = if *v > *largest { *v } else { *largest };
        }
    }
    let largest = largest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return None;
    }
    values.iter().position(|v| *v >= largest)
}

/// From a point's entries of s² K to those of u: a triangular system, from its first block that is not done.
struct Substitution<'a> {
    terms: &'a mut [f64],
    done: usize,
    variance: f64,
    observed: &'a Observed,
}

impl Work<f64> for Substitution<'_> {
    /// The variance after all observations, and after all full blocks.
    type Output = (f64, f64);

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> (f64, f64) {
        let Self { terms, done, mut variance, observed } = self;
        let mut settled = variance;
        for block in done..terms.len() / BLOCK {
            let start = block * BLOCK;
            let (before, here) = terms.split_at_mut(start);
            let known = &observed.blocks[block];
            let mut left = [V::splat(0.0); 2];
            // What the terms of earlier blocks take: four sums side by side.
            for (part, left) in left.iter_mut().enumerate().take(BLOCK / V::LANES) {
                let lane = part * V::LANES;
                let (mut a, mut b, mut c, mut d) =
                    (V::splat(0.0), V::splat(0.0), V::splat(0.0), V::splat(0.0));
                for (four, known) in before.chunks_exact(4).zip(known.chunks_exact(4 * BLOCK)) {
                    a = V::broadcast(four[0]).mul_add(V::load(&known[lane..]), a);
                    b = V::broadcast(four[1]).mul_add(V::load(&known[BLOCK + lane..]), b);
                    c = V::broadcast(four[2]).mul_add(V::load(&known[2 * BLOCK + lane..]), c);
                    d = V::broadcast(four[3]).mul_add(V::load(&known[3 * BLOCK + lane..]), d);
                }
                *left = V::load(&here[lane..]) - ((a + b) + (c + d));
            }
            // What the terms of this block take of one another.
            let inverses = &observed.inverses[start..start + BLOCK];
            let within = known[start * BLOCK..].chunks_exact(BLOCK);
            let mut lanes = [0.0; BLOCK];
            for ((c, own), inverse) in within.enumerate().zip(inverses).take(observed.count - start) {
                for (part, left) in left.iter().enumerate().take(BLOCK / V::LANES) {
                    left.store(&mut lanes[part * V::LANES..]);
                }
                let term = lanes[c] * inverse;
                for (part, left) in left.iter_mut().enumerate().take(BLOCK / V::LANES) {
                    *left = V::load(&own[part * V::LANES..]).mul_add(V::broadcast(-term), *left);
                }
                here[c] = term;
                variance = (variance - term * term).max(0.0);
            }
            if start + BLOCK <= observed.count {
                settled = variance;
            }
        }
        (variance, settled)
    }
}
