//! Pairs that no layer brings near to being parallel, or near to a right angle from the other side: their covariance alone is
//! accurate to rounding, without the gaps that [`super::layers`] carries. All layers act on a few pairs at a time, in registers.

use std::{
    f64::consts::{FRAC_1_PI, FRAC_PI_2},
    ops::Range,
};

use kernels_core::{Simd, Vector, Work};

use super::{
    angles::{Tangent, load, store},
    layers::{Record, tangent},
};
use crate::{Activation, Layer};

/// asin(√z)/√z on [0, ¼]; error 3e-17.
const ARCSINE: [f64; 13] = [
    1.0,
    0.16666666666664942,
    0.07500000000385201,
    0.044642856805998936,
    0.03038195969768514,
    0.022371749733164054,
    0.01735977964134998,
    0.01388484282640208,
    0.012170138592391726,
    0.0065293020047365695,
    0.019513468251252167,
    -0.016187392271599134,
    0.03187962140081284,
];

/// A pair is near to parallel beyond this correlation.
const PARALLEL: f64 = 0.99;

/// A rectified layer loses digits of pairs below this correlation.
const OPPOSITE: f64 = -0.5;

/// Columns that are worked on side by side.
const COLUMNS: usize = 4;

/// The layers of a network, each with what it needs of rows and columns.
#[derive(Debug)]
pub(super) struct Plan<'r> {
    steps: Vec<Step<'r>>,
    /// Whether tangent kernels are asked for.
    tangents: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step<'r> {
    /// q ← scale q + bias; tangent ← scale tangent + fresh q' + old q + constant
    Affine { scale: f64, bias: f64, fresh: f64, old: f64, constant: f64 },
    /// a min(z, 0) + b max(z, 0): ab and (a − b)²/2π, deviations and their inverses.
    Rectified { both: f64, share: f64, roots: &'r [f64], inverses: &'r [f64] },
    /// a erf(bz) + c: 2b², 2a²/π, its product with 2b², c², and 1/√(1 + 2b²q).
    Erf { twice: f64, outer: f64, slope: f64, offset: f64, inverses: &'r [f64] },
}

impl<'r> Plan<'r> {
    /// `None` for networks with layers of other kinds.
    pub(super) fn new(layers: &[Layer], records: &'r [Record], tangents: bool) -> Option<Self> {
        let mut steps = Vec::with_capacity(layers.len());
        for (layer, record) in layers.iter().zip(records) {
            steps.push(match layer {
                Layer::Dense(w) => affine(w.w2(), w.b2(), tangent(w, record.width())),
                Layer::Scale(c) => affine(c * c, 0.0, Tangent::None),
                Layer::Activation(Activation::Identity) => continue,
                Layer::Activation(Activation::AbRelu { a, b }) => {
                    let deviations = record.deviations();
                    Step::Rectified {
                        both: a * b,
                        share: (a - b) * (a - b) * (0.5 * FRAC_1_PI),
                        roots: deviations.root,
                        inverses: deviations.inverse,
                    }
                }
                Layer::Activation(Activation::Erf { a, b, c }) => {
                    let (twice, outer) = (2.0 * b * b, a * a * (2.0 * FRAC_1_PI));
                    let inverses = record.erf().inverses();
                    Step::Erf { twice, outer, slope: outer * twice, offset: c * c, inverses }
                }
                _ => return None,
            });
        }
        Some(Self { steps, tangents })
    }

    /// Takes pairs of some rows, points of the records, with columns, the points from `column`, through the layers. `inverses` are of
    /// the points' deviations, `q` is column by column and holds covariances; it is left with the kernel. Returns the places in `q`
    /// of pairs that are not for this, in order: what is left there means nothing.
    pub(super) fn run(
        &self,
        inverses: &[f64],
        rows: Range<usize>,
        column: usize,
        q: &mut [f64],
    ) -> Vec<usize> {
        f64::dispatch(Run { plan: self, inverses, rows, first: column, q })
    }
}

fn affine(scale: f64, bias: f64, tangent: Tangent) -> Step<'static> {
    let (fresh, old, constant) = match tangent {
        Tangent::Fresh => (1.0, 0.0, 0.0),
        Tangent::Old { factor, constant } => (0.0, factor, constant),
        Tangent::None => (0.0, 0.0, 0.0),
    };
    Step::Affine { scale, bias, fresh, old, constant }
}

struct Run<'p, 'q> {
    plan: &'p Plan<'p>,
    inverses: &'p [f64],
    rows: Range<usize>,
    first: usize,
    q: &'q mut [f64],
}

impl Work<f64> for Run<'_, '_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> Vec<usize> {
        let Self { plan, inverses, rows, first, q } = self;
        let mut near = Vec::new();
        let (row, rows) = (rows.start, rows.len());
        let columns = q.len().checked_div(rows).unwrap_or(0);
        for from in (0..columns).step_by(COLUMNS) {
            // Where columns end the last one is done several times over.
            let at: [usize; COLUMNS] = std::array::from_fn(|k| (from + k).min(columns - 1));
            let mut seen = [(); COLUMNS].map(|()| Vec::new());
            for i in (0..rows).step_by(V::LANES) {
                let end = (i + V::LANES).min(rows);
                let own = load::<V>(&inverses[row + i..row + end]);
                let mut state = State {
                    q: at.map(|j| load::<V>(&q[j * rows + i..j * rows + end])),
                    t: [V::splat(0.0); COLUMNS],
                    near: [V::splat(0.0); COLUMNS],
                };
                for k in 0..COLUMNS {
                    let c = state.q[k] * (own * V::splat(inverses[first + at[k]]));
                    state.watch(k, c.abs(), V::splat(PARALLEL));
                }
                for step in &plan.steps {
                    state.step(step, row + i..row + end, at.map(|j| first + j));
                }
                for k in 0..COLUMNS {
                    let value = if plan.tangents { state.t[k] } else { state.q[k] };
                    store(value, &mut q[at[k] * rows + i..at[k] * rows + end]);
                    if !V::splat(0.5).all_gt(state.near[k]) && from + k < columns {
                        let mut lanes = [0.0; 16];
                        state.near[k].store(&mut lanes);
                        seen[k].extend((i..end).filter(|&e| lanes[e - i] > 0.5).map(|e| at[k] * rows + e));
                    }
                }
            }
            seen.iter().for_each(|places| near.extend_from_slice(places));
        }
        near
    }
}

/// A vector of pairs in each of a few columns.
struct State<V> {
    q: [V; COLUMNS],
    t: [V; COLUMNS],
    /// 1 for pairs that some layer found near, else 0.
    near: [V; COLUMNS],
}

impl<V: Vector<Scalar = f64>> State<V> {
    /// Marks what is not below a limit, NaN included.
    #[inline(always)]
    fn watch(&mut self, k: usize, value: V, limit: V) {
        self.near[k] = value.select_lt(limit, self.near[k], V::splat(1.0));
    }

    #[inline(always)]
    fn step(&mut self, step: &Step<'_>, rows: Range<usize>, columns: [usize; COLUMNS]) {
        let one = V::splat(1.0);
        match *step {
            Step::Affine { scale, bias, fresh, old, constant } => {
                let (scale, bias, fresh) = (V::splat(scale), V::splat(bias), V::splat(fresh));
                let (old, constant) = (V::splat(old), V::splat(constant));
                for k in 0..COLUMNS {
                    let new = self.q[k].mul_add(scale, bias);
                    let own = new.mul_add(fresh, self.q[k].mul_add(old, constant));
                    self.t[k] = self.t[k].mul_add(scale, own);
                    self.q[k] = new;
                }
            }
            Step::Rectified { both, share, roots, inverses } => {
                let (root, inverse) = (load::<V>(&roots[rows.clone()]), load::<V>(&inverses[rows]));
                let (both, share) = (V::splat(both), V::splat(share));
                let (middle, reach) =
                    (V::splat(0.5 * (PARALLEL + OPPOSITE)), V::splat(0.5 * (PARALLEL - OPPOSITE)));
                for k in 0..COLUMNS {
                    let c = self.q[k] * (inverse * V::splat(inverses[columns[k]]));
                    let product = root * V::splat(roots[columns[k]]);
                    self.watch(k, (c - middle).abs(), reach);
                    let supplement = V::splat(FRAC_PI_2) + arcsine(c);
                    let sine = (-c).mul_add(c, one).sqrt();
                    let value = supplement.mul_add(c, sine) * (share * product);
                    self.q[k] = both.mul_add(self.q[k], value);
                    self.t[k] = self.t[k] * supplement.mul_add(share, both);
                }
            }
            Step::Erf { twice, outer, slope, offset, inverses } => {
                let inverse = load::<V>(&inverses[rows]);
                let (twice, outer) = (V::splat(twice), V::splat(outer));
                let (slope, offset) = (V::splat(slope), V::splat(offset));
                for k in 0..COLUMNS {
                    let scale = inverse * V::splat(inverses[columns[k]]);
                    let z = twice * self.q[k] * scale;
                    self.watch(k, z.abs(), V::splat(PARALLEL));
                    let root = (-z).mul_add(z, one).sqrt();
                    self.q[k] = outer.mul_add(arcsine(z), offset);
                    self.t[k] = self.t[k] * (slope * scale / root);
                }
            }
        }
    }
}

/// asin x for |x| < 1.
#[inline(always)]
fn arcsine<V: Vector<Scalar = f64>>(x: V) -> V {
    let (zero, half, two) = (V::splat(0.0), V::splat(0.5), V::splat(2.0));
    let size = x.abs();
    if half.all_gt(size) {
        return x * arcsines(x * x);
    }
    // Beyond ½ by the half angle: asin x = π/2 − 2 asin √((1 − x)/2).
    let m = (-half).mul_add(size, half);
    let p = arcsines(size.select_lt(half, x * x, m));
    let far = V::splat(FRAC_PI_2) - two * (m.sqrt() * p);
    size.select_lt(half, x * p, x.select_lt(zero, -far, far))
}

/// asin(√z)/√z, even and odd powers side by side.
#[inline(always)]
fn arcsines<V: Vector<Scalar = f64>>(z: V) -> V {
    let c = |i: usize| V::splat(ARCSINE[i]);
    let square = z * z;
    let (mut even, mut odd) = (c(12), c(11));
    let mut i = 10;
    while i > 0 {
        even = even.mul_add(square, c(i));
        odd = odd.mul_add(square, c(i - 1));
        i -= 2;
    }
    odd.mul_add(z, even.mul_add(square, c(0)))
}
