//! Networks on images: the covariances between the positions of two images, taken through the layers. One pair of images at a
//! time, whose arrays stay in the cache; nothing of size n² × positions² is ever stored. A network that ends in `flatten` and
//! pools nothing needs equal positions only, which costs positions instead of positions².

use std::ops::Range;

use kernels_core::{Block, Kernel, Points, Real, Tile, Workspace};
use nalgebra::DMatrixView;

use super::{
    angles::{self, Tangent},
    cache::SeriesCache,
    images::{Image, Images},
    kernel::NetworkKernel,
    layers::{Between, PAIR_TOLERANCE, Record, Strip, join, needs_series, tangent},
    windows::{Pooling, Taps},
};
use crate::{
    Activation, Layer,
    dual::{Covariance, Dual},
    net::{Mechanism, Weights, Window},
};

/// Covariances of positions of one image with positions of another: entry (p, p′) at `p′ * P + p`, or of equal positions only.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) full: bool,
    pub(super) channels: usize,
    pub(super) q: Vec<f64>,
    pub(super) tangent: Vec<f64>,
}

/// What a layer found of one image alone.
#[derive(Debug)]
struct Single {
    record: Record,
    /// Attention's weights.
    full: Vec<f64>,
}

impl Single {
    fn of_variances(q: &[f64]) -> Self {
        Self { record: Record::of_variances(q), full: Vec::new() }
    }

    fn before(&self) -> &[f64] {
        self.record.variances().0
    }
}

/// Whether an image meets itself, which leaves records, or another, which reads them.
enum Sides<'a> {
    Own(&'a mut Vec<Single>, &'a SeriesCache),
    Pair(std::slice::Iter<'a, Single>, std::slice::Iter<'a, Single>),
}

impl Sides<'_> {
    /// What this layer found of both images: just now, or before.
    fn singles(&mut self) -> Option<(&Single, &Single)> {
        match self {
            Sides::Own(records, _) => records.last().map(|own| (own, own)),
            Sides::Pair(left, right) => left.next().zip(right.next()),
        }
    }
}

impl Field {
    pub(super) fn new<T: Real>(x: Image<'_, T>, y: Image<'_, T>, full: bool) -> Self {
        let places = x.height * x.width;
        let c = x.channels.max(1);
        let inverse = 1.0 / c as f64;
        let mut q = vec![0.0; if full { places * places } else { places }];
        // Values of a channel side by side.
        let of = |values: &[T], k: usize| -> Vec<f64> {
            values.iter().skip(k).step_by(c).map(|v| v.to_f64() * inverse).collect()
        };
        for k in 0..x.channels {
            let (left, right) = (of(x.values, k), y.values.iter().skip(k).step_by(c).map(|v| v.to_f64()));
            if full {
                for (column, b) in q.chunks_exact_mut(places.max(1)).zip(right) {
                    column.iter_mut().zip(&left).for_each(|(q, a)| *q += a * b);
                }
            } else {
                q.iter_mut().zip(left.iter().zip(right)).for_each(|(q, (a, b))| *q += a * b);
            }
        }
        Self { height: x.height, width: x.width, full, channels: c, tangent: vec![0.0; q.len()], q }
    }

    fn places(&self) -> usize {
        self.height * self.width
    }

    /// Variances of an image with itself.
    fn variances(&self) -> Vec<f64> {
        let p = self.places();
        if self.full { (0..p).map(|i| self.q[i * p + i]).collect() } else { self.q.clone() }
    }

    fn chain(&mut self, layers: &[Layer], sides: &mut Sides<'_>) {
        for layer in layers {
            self.layer(layer, sides);
        }
    }

    fn layer(&mut self, layer: &Layer, sides: &mut Sides<'_>) {
        match layer {
            Layer::Dense(w) => self.weights(w, tangent(w, self.channels), |_| {}),
            Layer::Conv(w, window) => {
                let taps: usize = window.size.iter().product();
                let kind = tangent(w, self.channels * taps);
                self.weights(w, kind, |field| field.shifted(&Taps::new(field, window, false)));
            }
            Layer::ConvTranspose(w, window) => {
                let taps: usize = window.size.iter().product();
                let kind = tangent(w, self.channels * taps);
                self.weights(w, kind, |field| field.shifted(&Taps::new(field, window, true)));
            }
            Layer::ConvLocal(w, window) => {
                let taps: usize = window.size.iter().product();
                let kind = tangent(w, self.channels * taps);
                self.weights(w, kind, |field| field.shifted(&Taps::new(field, window, false)));
                // Weights of different places are independent: nothing is left between them.
                let p = self.places();
                if self.full {
                    for e in (0..p * p).filter(|e| e % p != e / p) {
                        (self.q[e], self.tangent[e]) = (0.0, 0.0);
                    }
                }
            }
            Layer::Activation(Activation::Identity) => {}
            Layer::Activation(phi) => self.activation(phi, sides),
            Layer::LayerNorm { eps, all } => self.layer_norm(*eps, *all, sides),
            Layer::Scale(c) => {
                let square = c * c;
                self.q.iter_mut().chain(&mut self.tangent).for_each(|v| *v *= square);
            }
            Layer::Dropout { keep } => {
                if let Sides::Own(..) = sides {
                    let p = self.places();
                    let step = if self.full { p + 1 } else { 1 };
                    for e in (0..self.q.len()).step_by(step) {
                        self.q[e] /= keep;
                        self.tangent[e] /= keep;
                    }
                }
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                let ends: Vec<Self> = branches
                    .iter()
                    .map(|branch| {
                        let mut field = self.clone();
                        field.chain(branch, sides);
                        field
                    })
                    .collect();
                let Some(first) = ends.first() else { return };
                let mut out = first.clone();
                for e in 0..out.q.len() {
                    let parts = ends
                        .iter()
                        .filter(|f| f.q.len() == first.q.len())
                        .map(|f| (f.q[e], f.tangent[e], f.channels as f64));
                    (out.q[e], out.tangent[e]) = join(layer, parts);
                }
                if let Layer::Concat(_) = layer {
                    out.channels = ends.iter().map(|f| f.channels).sum();
                }
                *self = out;
            }
            Layer::AvgPool { window, normalize_edges } => self.pool(window, true, *normalize_edges),
            Layer::SumPool(window) => self.pool(window, false, false),
            Layer::GlobalAvgPool => self.global(1.0 / (self.places() * self.places()).max(1) as f64),
            Layer::GlobalSumPool => self.global(1.0),
            Layer::Flatten => {
                let p = self.places();
                let step = if self.full { p + 1 } else { 1 };
                let mean = |v: &[f64]| v.iter().step_by(step).sum::<f64>() / p.max(1) as f64;
                (self.q, self.tangent) = (vec![mean(&self.q)], vec![mean(&self.tangent)]);
                self.channels *= p;
                (self.height, self.width, self.full) = (1, 1, true);
            }
            Layer::Attention { query_key, output_value, b_std, linear_scaling, mechanism } => {
                let bias = b_std.map_or(0.0, |b| b * b);
                if *linear_scaling {
                    self.attention(*query_key, output_value * output_value, bias, *mechanism, sides);
                } else {
                    let s = query_key * query_key * output_value * output_value;
                    let d: f64 = self.q.iter().map(|q| q * q).sum();
                    let e: f64 = self.q.iter().zip(&self.tangent).map(|(q, t)| q * t).sum();
                    for (q, t) in self.q.iter_mut().zip(&mut self.tangent) {
                        *t = s * (2.0 * e * *q + d * (*t + 4.0 * *q)) + bias;
                        *q = s * d * *q + bias;
                    }
                }
                self.channels = 1;
            }
        }
    }

    /// q ← σ_w² M(q) + σ_b² and the tangent kernel, for the linear map M of a layer.
    fn weights(&mut self, w: &Weights, kind: Tangent, map: impl Fn(&mut Self)) {
        map(self);
        let (scale, bias) = (w.w2(), w.b2());
        for (q, t) in self.q.iter_mut().zip(&mut self.tangent) {
            let new = scale * *q + bias;
            *t = scale * *t
                + match kind {
                    Tangent::Fresh => new,
                    Tangent::Old { factor, constant } => factor * *q + constant,
                    Tangent::None => 0.0,
                };
            *q = new;
        }
        self.channels = w.width;
    }

    /// Mean over taps that shift both positions alike, one axis after the other.
    fn shifted(&mut self, taps: &Taps) {
        let q = taps.apply(self, &self.q);
        // Before the first weights there is no tangent kernel.
        let empty = self.tangent.iter().all(|t| t.abs() <= 0.0);
        self.tangent = if empty { vec![0.0; q.len()] } else { taps.apply(self, &self.tangent) };
        self.q = q;
        (self.height, self.width) = (taps.rows.output, taps.columns.output);
    }

    fn activation(&mut self, phi: &Activation, sides: &mut Sides<'_>) {
        let places = self.places();
        let own = match sides {
            Sides::Own(_, cache) => Some(Record::of_activation(phi, &self.variances(), 1, cache).0),
            Sides::Pair(..) => None,
        };
        let (left, right) = match (&own, &mut *sides) {
            (Some(own), _) => (own, own),
            (None, Sides::Pair(left, right)) => match (left.next(), right.next()) {
                (Some(left), Some(right)) => (&left.record, &right.record),
                _ => return,
            },
            (None, Sides::Own(..)) => return,
        };
        if !self.full {
            self.equal_places(phi, left, right);
        } else if let Activation::AbRelu { a, b } = phi {
            let (rows, columns) = (left.deviations(), right.deviations());
            angles::rectify((*a, *b), rows, columns, &mut self.q, &mut self.tangent);
        } else {
            let (q, tangent) = (std::mem::take(&mut self.q), std::mem::take(&mut self.tangent));
            let mut strip = Strip::of(places, q, tangent);
            let at = Between { rows: left, columns: right, row: 0, from: 0 };
            strip.gaps_of_variances(at);
            strip.activation(phi, at);
            (self.q, self.tangent) = (strip.q, strip.tangent);
        }
        if let (Some(record), Sides::Own(records, _)) = (own, sides) {
            let step = if self.full { places + 1 } else { 1 };
            for (p, e) in (0..self.q.len()).step_by(step).enumerate() {
                self.q[e] = record.variances().1[p];
            }
            records.push(Single { record, full: Vec::new() });
        }
    }

    fn equal_places(&mut self, phi: &Activation, left: &Record, right: &Record) {
        let (before, _, own) = left.variances();
        let (others, _, series) = right.variances();
        for p in 0..self.q.len() {
            let c = Covariance::new(before[p], self.q[p], others[p]);
            let dual = if needs_series(phi) {
                let (a, b) = (&own[p], &series[p]);
                if a == b && c.gap <= 0.0 {
                    Dual { value: a.second, derivative: a.second_slope }
                } else if a.error(b, c.correlation()) <= PAIR_TOLERANCE {
                    a.dual(b, c.correlation()).0
                } else {
                    phi.dual_at(&c)
                }
            } else {
                phi.dual_at(&c)
            };
            self.q[p] = dual.value;
            self.tangent[p] *= dual.derivative;
        }
    }

    fn layer_norm(&mut self, eps: f64, all: bool, sides: &mut Sides<'_>) {
        let places = self.places();
        if let Sides::Own(records, _) = sides {
            let mut before = self.variances();
            if all {
                let mean = before.iter().sum::<f64>() / places.max(1) as f64;
                before.fill(mean);
            }
            records.push(Single::of_variances(&before));
        }
        let Some((left, right)) = sides.singles() else { return };
        let factor = |q: f64| if q + eps > 0.0 { 1.0 / (q + eps).sqrt() } else { 0.0 };
        let l: Vec<f64> = left.before().iter().map(|&q| factor(q)).collect();
        let r: Vec<f64> = right.before().iter().map(|&q| factor(q)).collect();
        for e in 0..self.q.len() {
            let f = if self.full { l[e % places] * r[e / places] } else { l[e] * r[e] };
            self.q[e] *= f;
            self.tangent[e] *= f;
        }
    }

    fn attention(
        &mut self,
        query_key: f64,
        square: f64,
        bias: f64,
        mechanism: Mechanism,
        sides: &mut Sides<'_>,
    ) {
        let places = self.places();
        if let Sides::Own(records, _) = sides {
            let full = attention_weights(&self.q, places, query_key, mechanism);
            records.push(Single { full, ..Single::of_variances(&[]) });
        }
        let Some((left, right)) = sides.singles() else { return };
        let sandwich = |m: &[f64]| sandwich(&left.full, m, &right.full, places);
        let (q, t) = (sandwich(&self.q), sandwich(&self.tangent));
        for (e, (q, t)) in q.into_iter().zip(t).enumerate() {
            let value = square * q;
            self.q[e] = value + bias;
            self.tangent[e] = square * t + bias + 2.0 * value;
        }
    }

    /// A linear map of positions on both sides.
    fn pool(&mut self, window: &Window, mean: bool, normalize_edges: bool) {
        let pooling = Pooling::new(self, window, mean, normalize_edges);
        (self.q, self.tangent) = (pooling.apply(&self.q), pooling.apply(&self.tangent));
        (self.height, self.width) = pooling.shape;
    }

    fn global(&mut self, scale: f64) {
        let sum = |v: &[f64]| {
            let (groups, rest) = v.as_chunks::<8>();
            let mut parts = [0.0; 8];
            for group in groups {
                parts.iter_mut().zip(group).for_each(|(p, v)| *p += v);
            }
            (parts.iter().sum::<f64>() + rest.iter().sum::<f64>()) * scale
        };
        (self.q, self.tangent) = (vec![sum(&self.q)], vec![sum(&self.tangent)]);
        (self.height, self.width, self.full) = (1, 1, true);
    }
}

/// G₁ M G₂ᵀ, with G stored by rows and M by columns.
pub(super) fn sandwich(left: &[f64], m: &[f64], right: &[f64], places: usize) -> Vec<f64> {
    let mut half = vec![0.0; places * places];
    for c in 0..places {
        for r in 0..places {
            let g = &left[r * places..(r + 1) * places];
            let m = &m[c * places..(c + 1) * places];
            half[c * places + r] = g.iter().zip(m).map(|(g, m)| g * m).sum();
        }
    }
    let mut out = vec![0.0; places * places];
    for c in 0..places {
        let g = &right[c * places..(c + 1) * places];
        for (k, g) in g.iter().enumerate() {
            for r in 0..places {
                out[c * places + r] += g * half[k * places + r];
            }
        }
    }
    out
}

pub(super) fn attention_weights(q: &[f64], places: usize, query_key: f64, mechanism: Mechanism) -> Vec<f64> {
    let mut g = vec![0.0; places * places];
    for r in 0..places {
        let row = &mut g[r * places..(r + 1) * places];
        for (c, g) in row.iter_mut().enumerate() {
            let score = query_key * q[c * places + r];
            *g = match mechanism {
                Mechanism::Softmax | Mechanism::Identity => score,
                Mechanism::Abs => score.abs(),
                Mechanism::Relu => score.max(0.0),
            };
        }
        if mechanism == Mechanism::Softmax {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|g| *g = (*g - largest).exp());
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|g| *g /= sum);
        }
    }
    g
}

impl NetworkKernel {
    fn singles<T: Real>(&self, x: Image<'_, T>) -> (f64, f64, Vec<Single>) {
        let mut records = Vec::new();
        let mut field = Field::new(x, x, self.net().requirements().all_pairs);
        field.chain(self.net().layers(), &mut Sides::Own(&mut records, self.cache()));
        let at = |v: &[f64]| v.first().copied().unwrap_or(0.0);
        (at(&field.q), at(&field.tangent), records)
    }

    fn pair<T: Real>(&self, x: Image<'_, T>, y: Image<'_, T>, left: &[Single], right: &[Single]) -> T {
        let mut field = Field::new(x, y, self.net().requirements().all_pairs);
        field.chain(self.net().layers(), &mut Sides::Pair(left.iter(), right.iter()));
        let at = |v: &[f64]| v.first().copied().unwrap_or(0.0);
        T::of(self.pick(at(&field.q), at(&field.tangent)))
    }
}

fn finite<T: Real>(x: Image<'_, T>) -> bool {
    x.values.iter().all(|v| v.to_f64().is_finite())
}

/// On images the input covariance of two places is the mean over channels of the product; a pair of images costs
/// O(layers · places² · filter) time, and places² memory.
impl<T: Real> Kernel<Images<T>> for NetworkKernel {
    fn eval(&self, x: Image<'_, T>, y: Image<'_, T>) -> T {
        if !(finite(x) && finite(y)) {
            return T::of(f64::NAN);
        }
        let (left, right) = (self.singles(x), self.singles(y));
        self.pair(x, y, &left.2, &right.2)
    }

    fn block(&self, at: &Block<'_, Images<T>>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let left: Vec<_> = at.rows().map(|i| at.xs().point(i)).map(|x| (x, self.singles(x))).collect();
        let right: Vec<_> = at.cols().map(|j| at.ys().point(j)).map(|y| (y, self.singles(y))).collect();
        let mirrored = at.is_within() && at.rows() == at.cols();
        let column = |j: usize| -> Vec<T> {
            let (y, (_, _, other)) = &right[j];
            let first = if mirrored { j } else { 0 };
            (first..left.len())
                .map(|i| {
                    let (x, (_, _, own)) = &left[i];
                    if !(finite(*x) && finite(*y)) {
                        return T::of(f64::NAN);
                    }
                    // Sums over positions round differently when the pair is swapped: the later point comes first.
                    if at.is_within() && at.rows().start + i < at.cols().start + j {
                        self.pair(*y, *x, other, own)
                    } else {
                        self.pair(*x, *y, own, other)
                    }
                })
                .collect()
        };
        let values = kernels_core::parallel::map(right.len(), column);
        for (j, values) in values.iter().enumerate() {
            let first = if mirrored { j } else { 0 };
            for (k, v) in values.iter().enumerate() {
                out[(first + k, j)] = *v;
                if mirrored {
                    out[(j, first + k)] = *v;
                }
            }
        }
        for (i, j) in at.diagonal_entries() {
            let (x, (q, t, _)) = &left[i];
            out[(i, j)] = T::of(if finite(*x) { self.pick(*q, *t) } else { f64::NAN });
        }
    }

    fn diagonal(&self, xs: &Images<T>, rows: Range<usize>, out: &mut [T]) {
        for (out, i) in out.iter_mut().zip(rows) {
            let x = xs.point(i);
            let (q, t, _) = self.singles(x);
            *out = T::of(if finite(x) { self.pick(q, t) } else { f64::NAN });
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Images<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        self.images_gradient(at, weights, gradient);
    }

    fn check(&self, xs: &Images<T>) -> Result<(), kernels_core::Error> {
        if !self.net().is_spatial() {
            return Err(kernels_core::Error::Parameter {
                name: "net".to_owned(),
                value: f64::NAN,
                expected: "a network for images: with convolutions, flatten or pooling; this one takes vectors",
            });
        }
        let (height, width, channels) = xs.shape();
        if height * width * channels == 0 && !xs.is_empty() {
            return Err(kernels_core::Error::Shape {
                what: "values of an image (at least)",
                expected: 1,
                given: 0,
            });
        }
        Ok(())
    }
}
