//! The loops over all variables, compiled for the vectors of the processor.

use kernels_core::{Simd, Vector, Work};

/// Curvature used where rounding leaves none.
pub(super) const FLAT: f64 = 1e-12;

/// The most lanes of a vector.
const MOST: usize = 16;

/// A value and the first place that has it.
pub(super) type Place = (f64, usize);

/// Of a group, the largest −G of variables that may grow and the smallest of those that may shrink, and where they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extremes {
    pub(super) up: Place,
    pub(super) down: f64,
}

impl Extremes {
    pub(super) const NONE: Self = Self { up: (f64::NEG_INFINITY, usize::MAX), down: f64::INFINITY };

    /// By how much optimality is violated.
    pub(super) fn violation(&self) -> f64 {
        self.up.0 - self.down
    }

    /// Of two sets of variables, the places of `later` being `offset` further on.
    pub(super) fn joined(self, later: Self, offset: usize) -> Self {
        let up = if later.up.0 > self.up.0 { (later.up.0, later.up.1 + offset) } else { self.up };
        Self { up, down: self.down.min(later.down) }
    }
}

/// Numbers that are widened at once: they stay in the first-level cache.
const PIECE: usize = 64;

/// Adds `delta` (a − b) to the gradient, then finds its extremes. `grows` is 0 for variables that may grow and −∞ for the others,
/// `shrinks` 0 for those that may shrink and ∞ for the others.
pub(super) struct Advance<'a> {
    pub(super) gradient: &'a mut [f64],
    pub(super) delta: f64,
    pub(super) rows: Option<(&'a [f32], &'a [f32])>,
    pub(super) grows: &'a [f64],
    pub(super) shrinks: &'a [f64],
}

impl Advance<'_> {
    pub(super) fn run(self) -> Extremes {
        f64::dispatch(self)
    }
}

impl Work<f64> for Advance<'_> {
    type Output = Extremes;

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> Extremes {
        let n = self.gradient.len().min(self.grows.len()).min(self.shrinks.len());
        let whole = n / PIECE * PIECE;
        let delta = V::splat(self.delta);
        let mut up = V::splat(f64::NEG_INFINITY);
        let mut at = V::splat(-1.0);
        let mut down = V::splat(f64::INFINITY);
        let mut change = [0.0; PIECE];
        let (mut block, mut start) = (0.0, 0);
        while start < whole {
            let end = start + PIECE;
            if let Some((a, b)) = self.rows {
                difference(&a[start..end], &b[start..end], &mut change);
            }
            let gradient = &mut self.gradient[start..end];
            let (grows, shrinks) = (&self.grows[start..end], &self.shrinks[start..end]);
            let mut t = 0;
            while t < PIECE {
                let mut g = V::load(&gradient[t..]);
                if self.rows.is_some() {
                    g = delta.mul_add(V::load(&change[t..]), g);
                    g.store(&mut gradient[t..]);
                }
                let high = V::load(&grows[t..]) - g;
                at = up.select_lt(high, V::splat(block), at);
                up = up.max(high);
                down = down.min(V::load(&shrinks[t..]) - g);
                t += V::LANES;
                block += 1.0;
            }
            start = end;
        }
        let mut found = Extremes { up: first::<V>(up, at), down: f64::INFINITY };
        let mut lanes = [f64::INFINITY; MOST];
        down.store(&mut lanes);
        for low in &lanes[..V::LANES] {
            found.down = found.down.min(*low);
        }
        for t in whole..n {
            if let Some((a, b)) = self.rows {
                self.gradient[t] += self.delta * (f64::from(a[t]) - f64::from(b[t]));
            }
            let high = self.grows[t] - self.gradient[t];
            if high > found.up.0 {
                found.up = (high, t);
            }
            found.down = found.down.min(self.shrinks[t] - self.gradient[t]);
        }
        found
    }
}

/// Which variable to shrink when the variable of `row` grows: the one with which the objective falls most, by half of
/// (−Gᵢ + Gₜ)² / (Kᵢᵢ + Kₜₜ − 2Kᵢₜ).
pub(super) struct Gain<'a> {
    /// −G of the variable that grows.
    pub(super) level: f64,
    pub(super) own: f64,
    pub(super) gradient: &'a [f64],
    pub(super) shrinks: &'a [f64],
    pub(super) diagonal: &'a [f64],
    pub(super) row: &'a [f32],
}

impl Gain<'_> {
    /// The largest gain above 0 and the first variable that has it.
    pub(super) fn best(self) -> Option<Place> {
        let found = f64::dispatch(self);
        (found.0 > 0.0).then_some(found)
    }
}

impl Work<f64> for Gain<'_> {
    type Output = Place;

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> Place {
        let n = self.gradient.len().min(self.row.len());
        let whole = n / PIECE * PIECE;
        let (zero, flat) = (V::splat(0.0), V::splat(FLAT));
        let (level, own, twice) = (V::splat(self.level), V::splat(self.own), V::splat(-2.0));
        let (mut most, mut at) = (zero, V::splat(-1.0));
        let mut row = [0.0; PIECE];
        let (mut block, mut start) = (0.0, 0);
        while start < whole {
            let end = start + PIECE;
            widen(&self.row[start..end], &mut row);
            let (gradient, shrinks) = (&self.gradient[start..end], &self.shrinks[start..end]);
            let diagonal = &self.diagonal[start..end];
            let mut t = 0;
            while t < PIECE {
                let fall = (level + V::load(&gradient[t..]) - V::load(&shrinks[t..])).max(zero);
                let curvature = own + V::load(&diagonal[t..]);
                let curvature = V::load(&row[t..]).mul_add(twice, curvature).max(flat);
                let gain = fall * fall / curvature;
                at = most.select_lt(gain, V::splat(block), at);
                most = most.max(gain);
                t += V::LANES;
                block += 1.0;
            }
            start = end;
        }
        let mut found = first::<V>(most, at);
        for t in whole..n {
            let fall = (self.level + self.gradient[t] - self.shrinks[t]).max(0.0);
            let curvature = self.own + self.diagonal[t] - 2.0 * f64::from(self.row[t]);
            let gain = fall * fall / curvature.max(FLAT);
            if gain > found.0 {
                found = (gain, t);
            }
        }
        found
    }
}

/// Numbers in single precision as double ones. Plain loops, which the compiler turns into conversions of whole vectors.
#[inline(always)]
fn widen(from: &[f32], to: &mut [f64; PIECE]) {
    let mut k = 0;
    let from = &from[..PIECE];
    while k < PIECE {
        to[k] = f64::from(from[k]);
        k += 1;
    }
}

/// a − b in double precision.
#[inline(always)]
fn difference(a: &[f32], b: &[f32], to: &mut [f64; PIECE]) {
    let (a, b) = (&a[..PIECE], &b[..PIECE]);
    let mut k = 0;
    while k < PIECE {
        to[k] = f64::from(a[k]) - f64::from(b[k]);
        k += 1;
    }
}

/// The largest lane, and its place when `block` holds the number of the vector it was found in; of equal ones the first place.
#[inline(always)]
fn first<V: Vector<Scalar = f64>>(largest: V, block: V) -> Place {
    let (mut values, mut blocks) = ([f64::NEG_INFINITY; MOST], [-1.0; MOST]);
    largest.store(&mut values);
    block.store(&mut blocks);
    let mut found = (values[0], place(blocks[0], 0, V::LANES));
    for k in 1..V::LANES {
        let at = place(blocks[k], k, V::LANES);
        if values[k] > found.0 || (values[k] >= found.0 && at < found.1) {
            found = (values[k], at);
        }
    }
    found
}

#[inline(always)]
fn place(block: f64, lane: usize, lanes: usize) -> usize {
    if block < 0.0 { usize::MAX } else { block as usize * lanes + lane }
}
