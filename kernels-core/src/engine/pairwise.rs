//! Blocks of pairs of rows of ℝᵈ: distances or inner products in registers, the profile applied there.
//!
//! Squared distances come in two ways. In few dimensions, and wherever digits would be lost, by differences:
//! (x−y)² summed, exact to a few ulps for any data. Otherwise by expansion, ‖x‖² + ‖y‖² − 2⟨x, y⟩ of centred rows,
//! at half the work; its absolute error is about ε(‖x‖² + ‖y‖²), so pairs whose distance is too small against that
//! are done again by differences ([`Trust`]). The choice is made pair by pair from the pair's own numbers: a value
//! does not depend on the block it is computed in.

use std::ops::Range;

use super::pack::{Entry, Panels};
use crate::{
    Block, LengthScale, Points, Profile, Real, Rows, Tile, Vector, Workspace,
    simd::{MAX_LANES, Work},
};

/// What number of a pair of rows a profile is applied to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Geometry<'a> {
    /// Σ ((xᵢ−yᵢ)/ℓᵢ)²
    SquaredDistance(&'a LengthScale),
    /// The same by differences alone, for profiles that vanish at 0 and show any relative error of a small distance.
    ExactDistance(&'a LengthScale),
    /// Σ |xᵢ−yᵢ|/ℓᵢ
    Manhattan(&'a LengthScale),
    /// 2 Σ sin²(π(xᵢ−yᵢ)/p) / ℓ²
    SineSquared { period: f64, length_scale: f64 },
    /// ⟨x, y⟩
    InnerProduct,
}

/// From this many features on, expansion is faster than differences.
const EXPAND_FROM: usize = 16;

/// Columns of a panel: with twice the vectors of a row panel they fill the registers.
pub(super) const COLUMNS_MANY: usize = 12;
pub(super) const COLUMNS_FEW: usize = 6;

/// Vectors in a row panel.
pub(super) const ROW_VECTORS: usize = 2;

/// Bytes of row panels that meet all column panels before the next do: they stay in the second level of the cache.
const GROUP: usize = 256 << 10;

/// Room for the values of the largest pair of panels.
pub(super) const MAX_CELL: usize = ROW_VECTORS * MAX_LANES * COLUMNS_MANY;

/// k(x, y) of one pair, by differences.
pub(crate) fn eval<T: Real>(geometry: Geometry<'_>, profile: &impl Profile, x: &[T], y: &[T]) -> T {
    struct One<'a, T, F>(T, &'a F);
    impl<T: Real, F: Profile> Work<T> for One<'_, T, F> {
        type Output = T;
        #[inline(always)]
        fn run<V: Vector<Scalar = T>>(self) -> T {
            let mut lanes = [T::default(); MAX_LANES];
            self.1.value(V::broadcast(self.0)).store(&mut lanes);
            lanes[0]
        }
    }
    T::dispatch(One(number(geometry, x, y), profile))
}

/// The number of one pair.
pub(crate) fn number<T: Real>(geometry: Geometry<'_>, x: &[T], y: &[T]) -> T {
    let pairs = x.iter().zip(y);
    let weighted = |length_scale: &LengthScale, term: fn(T) -> T| -> T {
        let zero = T::default();
        match length_scale {
            LengthScale::Isotropic(l) => {
                let sum = pairs.clone().fold(zero, |sum, (&a, &b)| sum + term(a - b));
                let inverse = 1.0 / l;
                if matches!(geometry, Geometry::SquaredDistance(_) | Geometry::ExactDistance(_)) {
                    sum * T::of(inverse * inverse)
                } else {
                    sum * T::of(inverse)
                }
            }
            LengthScale::PerFeature(l) => {
                pairs.clone().zip(l).fold(zero, |sum, ((&a, &b), l)| sum + term((a - b) * T::of(1.0 / l)))
            }
        }
    };
    match geometry {
        Geometry::SquaredDistance(l) | Geometry::ExactDistance(l) => weighted(l, |d| d * d),
        Geometry::Manhattan(l) => weighted(l, |d| d.abs()),
        Geometry::InnerProduct => pairs.fold(T::default(), |sum, (&a, &b)| sum + a * b),
        Geometry::SineSquared { period, length_scale } => {
            let sum = pairs.fold(0.0, |sum, (&a, &b)| {
                let t = (a - b).to_f64() / period;
                let sine = (std::f64::consts::PI * (t - t.round())).sin();
                sum + sine * sine
            });
            T::of(2.0 / (length_scale * length_scale) * sum)
        }
    }
}

/// k(x, x) of a kernel of the distance.
pub(crate) fn fill_diagonal<T: Real>(
    profile: &impl Profile,
    xs: &Rows<T>,
    rows: Range<usize>,
    out: &mut [T],
) {
    for (out, i) in out.iter_mut().zip(rows) {
        // x − x is 0, or NaN when the row has a NaN or an infinity.
        *out = eval(Geometry::Manhattan(&LengthScale::Isotropic(1.0)), profile, xs.point(i), xs.point(i));
    }
}

/// Overwrites `out` with the kernel values of a block.
pub(crate) fn fill<T: Real>(
    at: &Block<'_, Rows<T>>,
    geometry: Geometry<'_>,
    profile: &impl Profile,
    mut out: Tile<'_, T>,
    ws: &mut Workspace<T>,
) {
    assert_eq!(out.shape(), at.shape(), "the output must have the shape of the block");
    let (rows, cols) = at.shape();
    if rows == 0 || cols == 0 {
        return;
    }
    let stride = out.strides().1;
    // SAFETY: the tile owns these entries exclusively: columns of `rows` contiguous values, `stride` apart.
    let data = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr(), (cols - 1) * stride + rows) };
    T::dispatch(Fill { at, geometry, profile, out: data, stride, ws });
}

/// A profile as the tile loops call it. They know it by this pointer only, and are compiled once a scalar instead of once a
/// family; a call handles a whole cell, against which its cost is small.
trait Apply<T> {
    /// Applies the profile to the columns of a cell, `width` numbers each, and writes the first `height` of every column to `out`,
    /// whose columns begin `stride` apart.
    fn apply(&self, cell: &mut [T], width: usize, height: usize, out: &mut [T], stride: usize);
}

impl<T: Real, F: Profile> Apply<T> for F {
    fn apply(&self, cell: &mut [T], width: usize, height: usize, out: &mut [T], stride: usize) {
        T::dispatch(Store { profile: self, cell, width, height, out, stride });
    }
}

struct Store<'a, T, F> {
    profile: &'a F,
    cell: &'a mut [T],
    width: usize,
    height: usize,
    out: &'a mut [T],
    stride: usize,
}

impl<T: Real, F: Profile> Work<T> for Store<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        let Self { profile, cell, width, height, out, stride } = self;
        if height == width {
            for (j, column) in cell.chunks_exact(width).enumerate() {
                let to = &mut out[j * stride..][..width];
                for (from, to) in column.chunks_exact(V::LANES).zip(to.chunks_exact_mut(V::LANES)) {
                    profile.value(V::load(from)).store(to);
                }
            }
        } else {
            for value in cell.chunks_exact_mut(V::LANES) {
                profile.value(V::load(value)).store(value);
            }
            for (j, column) in cell.chunks_exact(width).enumerate() {
                out[j * stride..][..height].copy_from_slice(&column[..height]);
            }
        }
    }
}

struct Fill<'a, 'p, T: Real> {
    at: &'a Block<'p, Rows<T>>,
    geometry: Geometry<'a>,
    profile: &'a dyn Apply<T>,
    out: &'a mut [T],
    stride: usize,
    ws: &'a mut Workspace<T>,
}

impl<T: Real> Work<T> for Fill<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        if self.at.cols().len() == 1 {
            self.with_columns::<V, 1>();
        } else if V::MANY {
            self.with_columns::<V, COLUMNS_MANY>();
        } else {
            self.with_columns::<V, COLUMNS_FEW>();
        }
    }
}

impl<T: Real> Fill<'_, '_, T> {
    #[inline(always)]
    fn with_columns<V: Vector<Scalar = T>, const C: usize>(self) {
        let dim = self.at.ys().dim();
        match self.geometry {
            Geometry::InnerProduct => self.panels::<V, _, C>(&Inner),
            Geometry::SineSquared { period, length_scale } => {
                let scale = 2.0 / (length_scale * length_scale);
                self.panels::<V, _, C>(&Differences { term: Sine::new::<T>(period), scale });
            }
            Geometry::Manhattan(LengthScale::Isotropic(l)) => {
                self.panels::<V, _, C>(&Differences { term: Absolute, scale: 1.0 / l });
            }
            Geometry::Manhattan(LengthScale::PerFeature(l)) => {
                let weights = inverses(l);
                self.panels::<V, _, C>(&WeightedDifferences { term: Absolute, weights: &weights });
            }
            Geometry::ExactDistance(length_scale) => {
                let weights: Vec<T> = (0..dim).map(|k| T::of(1.0 / length_scale.of(k))).collect();
                self.panels::<V, _, C>(&WeightedDifferences { term: Square, weights: &weights });
            }
            Geometry::SquaredDistance(LengthScale::Isotropic(l)) => {
                let differences = Differences { term: Square, scale: 1.0 / (l * l) };
                if dim < EXPAND_FROM {
                    self.panels::<V, _, C>(&differences);
                } else {
                    let trust = Trust::new::<T>(dim, differences.scale);
                    self.panels::<V, _, C>(&Expansion { differences, weights: None, trust });
                }
            }
            Geometry::SquaredDistance(LengthScale::PerFeature(l)) => {
                let weights = inverses(l);
                let differences = WeightedDifferences { term: Square, weights: &weights };
                if dim < EXPAND_FROM {
                    self.panels::<V, _, C>(&differences);
                } else {
                    let trust = Trust::new::<T>(dim, 1.0);
                    self.panels::<V, _, C>(&Expansion { differences, weights: Some(&weights), trust });
                }
            }
        }
    }

    /// Every row panel against every column panel.
    #[inline(always)]
    fn panels<V: Vector<Scalar = T>, R: Rule<T>, const C: usize>(self, rule: &R) {
        let Self { at, profile, out, stride, ws, .. } = self;
        let width = ROW_VECTORS * V::LANES;
        let entry = rule.entry(at.ys());
        let left = Panels::new(at.xs(), at.rows(), width, &entry, R::NORMS, ws);
        let right = Panels::new(at.ys(), at.cols(), C, &entry, R::NORMS, ws);
        // The rows as they are, only made when a pair needs them.
        let mut raw: Option<(Panels<T>, Panels<T>)> = None;
        let (rows, cols) = at.shape();
        let mut cell = [T::default(); MAX_CELL];
        // Panels a visit to the profile: of a single column as many as there is room for.
        let visit = if C == 1 { MAX_CELL / width } else { 1 };
        let cell = &mut cell[..visit * width * C];
        let panels = rows.div_ceil(width);
        let group = (GROUP / (width * size_of::<T>() * at.ys().dim().max(1))).max(visit);
        for first in (0..panels).step_by(group) {
            let last = (first + group).min(panels);
            for q in 0..cols.div_ceil(C) {
                for start in (first..last).step_by(visit) {
                    let count = visit.min(last - start);
                    for (p, cell) in (start..start + count).zip(cell.chunks_exact_mut(width * C)) {
                        let sides = Sides { left: &left, right: &right, p, q };
                        if !rule.cell::<V, C>(&sides, cell) {
                            let (left, right) = raw.get_or_insert_with(|| {
                                let left = Panels::new(at.xs(), at.rows(), width, &Entry::RAW, false, ws);
                                (left, Panels::new(at.ys(), at.cols(), C, &Entry::RAW, false, ws))
                            });
                            rule.repair::<V, C>(&sides, &Sides { left, right, p, q }, cell);
                        }
                    }
                    let (r, c, width) = (start * width, q * C, count * width);
                    let (height, breadth) = (width.min(rows - r), C.min(cols - c));
                    let to = &mut out[c * stride + r..];
                    profile.apply(&mut cell[..width * breadth], width, height, to, stride);
                }
            }
        }
        left.recycle(ws);
        right.recycle(ws);
        if let Some((left, right)) = raw {
            left.recycle(ws);
            right.recycle(ws);
        }
    }
}

pub(super) fn inverses<T: Real>(lengths: &[f64]) -> Vec<T> {
    lengths.iter().map(|l| T::of(1.0 / l)).collect()
}

/// A pair of panels.
pub(super) struct Sides<'a, T> {
    pub(super) left: &'a Panels<T>,
    pub(super) right: &'a Panels<T>,
    pub(super) p: usize,
    pub(super) q: usize,
}

/// How a cell, the pairs of a row panel and a column panel, gets its numbers. A cell is column by column.
pub(super) trait Rule<T: Real> {
    /// Whether panels need norms.
    const NORMS: bool = false;

    /// How rows enter the panels.
    fn entry<'a>(&'a self, ys: &'a Rows<T>) -> Entry<'a, T> {
        let _ = ys;
        Entry::RAW
    }

    /// Fills a cell; `false` when some of it cannot be trusted.
    fn cell<V: Vector<Scalar = T>, const C: usize>(&self, sides: &Sides<'_, T>, cell: &mut [T]) -> bool;

    /// Replaces the numbers that cannot be trusted, from the rows as they are.
    fn repair<V: Vector<Scalar = T>, const C: usize>(
        &self,
        sides: &Sides<'_, T>,
        raw: &Sides<'_, T>,
        cell: &mut [T],
    ) {
        let _ = (sides, raw, cell);
    }
}

/// A sum over the features for each pair of a cell. Methods and no closures: closures are not compiled for the
/// processor's vectors before they are inlined, and then too late.
trait Summation<V: Vector> {
    /// The sum with feature `k` of a row and a column added.
    fn step(&self, k: usize, x: V, y: V, sum: V) -> V;

    /// The number made of the sum of row vector `i` and column `j`.
    fn finish(&self, i: usize, j: usize, sum: V) -> V;
}

#[inline(always)]
fn accumulate<V: Vector, const C: usize>(
    sides: &Sides<'_, V::Scalar>,
    cell: &mut [V::Scalar],
    summation: &impl Summation<V>,
) {
    let (left, right) = (sides.left.panel(sides.p), sides.right.panel(sides.q));
    let width = ROW_VECTORS * V::LANES;
    let mut sums = [[V::splat(0.0); ROW_VECTORS]; C];
    for (k, (a, b)) in left.chunks_exact(width).zip(right.chunks_exact(C)).enumerate() {
        let rows = [V::load(a), V::load(&a[V::LANES..])];
        for j in 0..C {
            let y = V::broadcast(b[j]);
            for i in 0..ROW_VECTORS {
                sums[j][i] = summation.step(k, rows[i], y, sums[j][i]);
            }
        }
    }
    for j in 0..C {
        for i in 0..ROW_VECTORS {
            summation.finish(i, j, sums[j][i]).store(&mut cell[j * width + i * V::LANES..]);
        }
    }
}

/// ⟨x, y⟩.
pub(super) struct Inner;

impl<V: Vector> Summation<V> for Inner {
    #[inline(always)]
    fn step(&self, _: usize, x: V, y: V, sum: V) -> V {
        x.mul_add(y, sum)
    }
    #[inline(always)]
    fn finish(&self, _: usize, _: usize, sum: V) -> V {
        sum
    }
}

impl<T: Real> Rule<T> for Inner {
    #[inline(always)]
    fn cell<V: Vector<Scalar = T>, const C: usize>(&self, sides: &Sides<'_, T>, cell: &mut [T]) -> bool {
        accumulate::<V, C>(sides, cell, self);
        true
    }
}

/// What a difference of two coordinates adds to a sum.
trait Term {
    fn add<V: Vector>(&self, difference: V, sum: V) -> V;
}

struct Square;
impl Term for Square {
    #[inline(always)]
    fn add<V: Vector>(&self, d: V, sum: V) -> V {
        d.mul_add(d, sum)
    }
}

struct Absolute;
impl Term for Absolute {
    #[inline(always)]
    fn add<V: Vector>(&self, d: V, sum: V) -> V {
        sum + d.abs()
    }
}

struct Sine {
    /// 1/period, rounded to the scalar.
    inverse: f64,
    /// What that rounding took.
    below: f64,
}

impl Sine {
    fn new<T: Real>(period: f64) -> Self {
        let inverse = T::of(1.0 / period).to_f64();
        Self { inverse, below: -inverse.mul_add(period, -1.0) / period }
    }
}

impl Term for Sine {
    #[inline(always)]
    fn add<V: Vector>(&self, d: V, sum: V) -> V {
        let inverse = V::splat(self.inverse);
        let turns = d * inverse;
        // Where there are many turns, what rounding took from them is a part of one that counts.
        let lost = d.mul_add(inverse, -turns) + d * V::splat(self.below);
        // 3 · 2^(mantissa bits − 1): adding it rounds to integers. Beyond a third of it there are no fractions left.
        let magic =
            V::splat(if size_of::<V::Scalar>() == 8 { 6_755_399_441_055_744.0 } else { 12_582_912.0 });
        let fraction = (turns - ((turns + magic) - magic)) + lost;
        let (limit, zero) = (magic * V::splat(1.0 / 3.0), V::splat(0.0));
        let (sine, _) = turns.abs().select_lt(limit, fraction, zero * turns).sin_cos_pi();
        sine.mul_add(sine, sum)
    }
}

/// scale · Σ term(xᵢ − yᵢ).
struct Differences<M> {
    term: M,
    scale: f64,
}

impl<V: Vector, M: Term> Summation<V> for Differences<M> {
    #[inline(always)]
    fn step(&self, _: usize, x: V, y: V, sum: V) -> V {
        self.term.add(x - y, sum)
    }
    #[inline(always)]
    fn finish(&self, _: usize, _: usize, sum: V) -> V {
        sum * V::splat(self.scale)
    }
}

impl<T: Real, M: Term> Rule<T> for Differences<M> {
    #[inline(always)]
    fn cell<V: Vector<Scalar = T>, const C: usize>(&self, sides: &Sides<'_, T>, cell: &mut [T]) -> bool {
        accumulate::<V, C>(sides, cell, self);
        true
    }
}

/// Σ term((xᵢ − yᵢ) wᵢ). The weight comes after the difference: near points far from the origin keep their digits.
struct WeightedDifferences<'a, T, M> {
    term: M,
    weights: &'a [T],
}

impl<V: Vector, M: Term> Summation<V> for WeightedDifferences<'_, V::Scalar, M> {
    #[inline(always)]
    fn step(&self, k: usize, x: V, y: V, sum: V) -> V {
        self.term.add((x - y) * V::broadcast(self.weights[k]), sum)
    }
    #[inline(always)]
    fn finish(&self, _: usize, _: usize, sum: V) -> V {
        sum
    }
}

impl<T: Real, M: Term> Rule<T> for WeightedDifferences<'_, T, M> {
    #[inline(always)]
    fn cell<V: Vector<Scalar = T>, const C: usize>(&self, sides: &Sides<'_, T>, cell: &mut [T]) -> bool {
        accumulate::<V, C>(sides, cell, self);
        true
    }
}

/// ‖x‖² + ‖y‖² − 2⟨x, y⟩ of centred rows where it can be trusted, differences elsewhere.
struct Expansion<'a, T, D> {
    differences: D,
    weights: Option<&'a [T]>,
    trust: Trust<T>,
}

/// When an expanded squared distance has digits enough.
///
/// Its error is about `d ε N` with N = ‖x‖² + ‖y‖² and a small d that grows with the dimension. The profile turns an
/// error e of s into a relative error of e/2 of the value (Gaussian), or of e/(2√s) at small s where the profile
/// goes with √s (Matérn ½). A pair is trusted when that is below the tolerance, or when s is so large against N that
/// differences would do no better.
struct Trust<T> {
    /// Scaled squared distance of one unit of what the panels measure.
    scale: T,
    /// Turns N into the least √s for √-profiles.
    root: T,
    /// Turns N into the least s when the error exceeds what a Gaussian bears.
    far: T,
}

impl<T: Real> Trust<T> {
    fn new<S: Real>(dim: usize, scale: f64) -> Self {
        // Rounding errors of a sum of d products add up like a random walk.
        let growth = 2.0 + 0.5 * (dim as f64).sqrt();
        let unit = 0.5 * T::EPSILON.to_f64();
        // A third of what the engine promises: 1e-13 in f64, 1e-5 in f32.
        let tolerance = if size_of::<S>() == 8 { 0.3e-13 } else { 0.3e-5 };
        Self {
            scale: T::of(scale),
            root: T::of(growth * unit * scale / (2.0 * tolerance)),
            far: T::of(growth * scale / 8.0),
        }
    }

    /// The least trusted s for norms that add up to `norms`.
    #[inline(always)]
    fn least<V: Vector<Scalar = T>>(&self, norms: V) -> V {
        let root = norms * V::broadcast(self.root);
        root.select_lt(V::splat(1.0), root * root, norms * V::broadcast(self.far))
    }
}

/// From an inner product and norms to the distance.
struct FromNorms<'a, T> {
    rows: &'a [T],
    cols: &'a [T],
    scale: T,
}

impl<V: Vector> Summation<V> for FromNorms<'_, V::Scalar> {
    #[inline(always)]
    fn step(&self, _: usize, x: V, y: V, sum: V) -> V {
        x.mul_add(y, sum)
    }
    #[inline(always)]
    fn finish(&self, i: usize, j: usize, dot: V) -> V {
        let zero = V::splat(0.0);
        let norms = V::load(&self.rows[i * V::LANES..]) + V::broadcast(self.cols[j]);
        let s = dot.mul_add(V::splat(-2.0), norms);
        s.select_lt(zero, zero, s) * V::broadcast(self.scale)
    }
}

impl<T: Real, D: Rule<T>> Rule<T> for Expansion<'_, T, D> {
    const NORMS: bool = true;

    fn entry<'a>(&'a self, ys: &'a Rows<T>) -> Entry<'a, T> {
        Entry { center: Some(ys.center()), weights: self.weights }
    }

    #[inline(always)]
    fn cell<V: Vector<Scalar = T>, const C: usize>(&self, sides: &Sides<'_, T>, cell: &mut [T]) -> bool {
        let (rows, cols) = (sides.left.norms(sides.p), sides.right.norms(sides.q));
        accumulate::<V, C>(sides, cell, &FromNorms { rows, cols, scale: self.trust.scale });
        // One bound for the cell, from its largest norms: never less than a pair's own.
        let largest = V::broadcast(sides.left.largest_norm(sides.p) + sides.right.largest_norm(sides.q));
        let least = self.trust.least(largest);
        let mut trusted = true;
        for s in cell.chunks_exact(V::LANES) {
            trusted &= V::load(s).all_gt(least);
        }
        trusted
    }

    #[inline(always)]
    fn repair<V: Vector<Scalar = T>, const C: usize>(
        &self,
        sides: &Sides<'_, T>,
        raw: &Sides<'_, T>,
        cell: &mut [T],
    ) {
        let (rows, cols) = (sides.left.norms(sides.p), sides.right.norms(sides.q));
        let width = ROW_VECTORS * V::LANES;
        let mut exact = [T::default(); MAX_CELL];
        let exact = &mut exact[..width * C];
        self.differences.cell::<V, C>(raw, exact);
        for ((column, exact), &col) in cell.chunks_exact_mut(width).zip(exact.chunks_exact(width)).zip(cols) {
            for i in (0..width).step_by(V::LANES) {
                let least = self.trust.least(V::load(&rows[i..]) + V::broadcast(col));
                let s = V::load(&column[i..]);
                let exact = V::load(&exact[i..]);
                // Trusted is `s > least`, so that a NaN (of overflowing norms) is replaced.
                least.select_lt(s, s, exact).store(&mut column[i..]);
            }
        }
    }
}
