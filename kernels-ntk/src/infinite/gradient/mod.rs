//! Derivatives of weighted sums of kernel values by the standard deviations of weights and biases. The recursion runs forwards and keeps
//! its states; adjoints go back through the layers, at a cost that does not depend on the number of parameters. What pairs say of
//! variances is gathered for each point and goes back through the point's own recursion once.

mod backward;

use std::sync::Arc;

use super::{
    angles::Tangent,
    cache::SeriesCache,
    layers::{PAIR_TOLERANCE, join, needs_series, tangent},
    spatial::{Field, attention_weights, sandwich},
    windows::{Pooling, Taps},
};
use crate::{
    Activation, HermiteSeries, Layer,
    dual::{
        Covariance,
        slopes::{self, Slopes},
    },
    net::Weights,
};

/// Covariances of row points with column points, or of places of two images; or of equal ones only.
#[derive(Clone)]
pub(super) struct Sheet {
    rows: usize,
    cols: usize,
    field: Field,
}

impl Sheet {
    /// Points that layers never mix, with input covariances column by column.
    pub(super) fn of_points(rows: usize, cols: usize, full: bool, q: Vec<f64>, dim: usize) -> Self {
        let tangent = vec![0.0; q.len()];
        Self { rows, cols, field: Field { height: 1, width: rows, full, channels: dim.max(1), q, tangent } }
    }

    pub(super) fn of_images(field: Field) -> Self {
        let places = field.height * field.width;
        Self { rows: places, cols: places, field }
    }

    fn places(&self, e: usize) -> (usize, usize) {
        if self.field.full { (e % self.rows.max(1), e / self.rows.max(1)) } else { (e, e) }
    }

    /// Entries of a place with itself, when rows and columns are the same.
    fn diagonal(&self) -> impl Iterator<Item = usize> + use<> {
        let step = if self.field.full { self.rows + 1 } else { 1 };
        (0..self.field.q.len()).step_by(step)
    }

    fn moved(&mut self, q: Vec<f64>, t: Vec<f64>, (height, width): (usize, usize)) {
        (self.field.q, self.field.tangent) = (q, t);
        (self.field.height, self.field.width) = (height, width);
        (self.rows, self.cols) = (height * width, height * width);
    }
}

/// What a layer found of points, or of an image, alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    variances: Vec<f64>,
    series: Vec<Arc<HermiteSeries>>,
    /// Attention's weights, by rows.
    attention: Vec<f64>,
}

/// Adjoints of what slots hold: of variances, or of attention's weights.
pub(super) type Seeds = Vec<Vec<f64>>;

/// Zeros for the adjoints of slots.
pub(super) fn seeds(slots: &[Slot]) -> Seeds {
    slots.iter().map(|s| vec![0.0; s.variances.len().max(s.attention.len())]).collect()
}

/// Whether points meet themselves, which fills slots, or others, which reads them from a place on.
pub(super) enum Sides<'s> {
    Own,
    Pair(&'s [Slot], &'s [Slot], usize),
}

/// Takes sheets through layers.
pub(super) struct Walk<'s> {
    sides: Sides<'s>,
    cache: &'s SeriesCache,
    pub(super) slots: Vec<Slot>,
    slot: usize,
    weights: usize,
}

/// A layer's state before it acts, for the way back.
struct Step<'n> {
    layer: &'n Layer,
    before: Sheet,
    /// After the linear map of a convolution.
    mapped: Option<(Taps, Vec<f64>, Vec<f64>)>,
    slopes: Vec<Slopes>,
    /// Attention's weights of both sides.
    attention: (Vec<f64>, Vec<f64>),
    slot: usize,
    weights: usize,
    branches: Vec<(Tape<'n>, Sheet)>,
}

/// The layers passed, in order.
pub(super) struct Tape<'n>(Vec<Step<'n>>);

/// The adjoints on the way back.
pub(super) struct Bars<'b> {
    /// By σ_w² and σ_b² of each layer with weights, in the order of the network.
    pub(super) weights: &'b mut [(f64, f64)],
    pub(super) left: &'b mut Seeds,
    pub(super) right: &'b mut Seeds,
    /// Where the columns' part of `right` begins.
    pub(super) from: usize,
}

fn factors(kind: Tangent) -> (f64, f64, f64) {
    match kind {
        Tangent::Fresh => (1.0, 0.0, 0.0),
        Tangent::Old { factor, constant } => (0.0, factor, constant),
        Tangent::None => (0.0, 0.0, 0.0),
    }
}

fn taps_of(layer: &Layer) -> usize {
    match layer {
        Layer::Conv(_, window) | Layer::ConvLocal(_, window) | Layer::ConvTranspose(_, window) => {
            window.size.iter().product()
        }
        _ => 1,
    }
}

impl<'s> Walk<'s> {
    pub(super) fn new(sides: Sides<'s>, cache: &'s SeriesCache) -> Self {
        Self { sides, cache, slots: Vec::new(), slot: 0, weights: 0 }
    }

    pub(super) fn forward<'n>(&mut self, layers: &'n [Layer], sheet: &mut Sheet) -> Tape<'n> {
        Tape(layers.iter().map(|layer| self.layer(layer, sheet)).collect())
    }

    fn layer<'n>(&mut self, layer: &'n Layer, sheet: &mut Sheet) -> Step<'n> {
        let mut step = Step {
            layer,
            before: sheet.clone(),
            mapped: None,
            slopes: Vec::new(),
            attention: (Vec::new(), Vec::new()),
            slot: self.slot,
            weights: self.weights,
            branches: Vec::new(),
        };
        let own = matches!(self.sides, Sides::Own);
        match layer {
            Layer::Dense(w) => self.affine(layer, w, sheet),
            Layer::Conv(w, window) | Layer::ConvLocal(w, window) | Layer::ConvTranspose(w, window) => {
                let taps = Taps::new(&sheet.field, window, matches!(layer, Layer::ConvTranspose(..)));
                let (q, t) = (
                    taps.apply(&sheet.field, &sheet.field.q),
                    taps.apply(&sheet.field, &sheet.field.tangent),
                );
                sheet.moved(q.clone(), t.clone(), (taps.rows.output, taps.columns.output));
                step.mapped = Some((taps, q, t));
                self.affine(layer, w, sheet);
                if let Layer::ConvLocal(..) = layer {
                    only_diagonal(sheet.rows, sheet.field.full, &mut sheet.field.q);
                    only_diagonal(sheet.rows, sheet.field.full, &mut sheet.field.tangent);
                }
            }
            Layer::Activation(Activation::Identity) => {}
            Layer::Activation(phi) => step.slopes = self.activation(phi, sheet),
            Layer::LayerNorm { eps, all } => {
                if own {
                    let mut variances: Vec<f64> = sheet.diagonal().map(|e| sheet.field.q[e]).collect();
                    if *all {
                        let mean = variances.iter().sum::<f64>() / variances.len().max(1) as f64;
                        variances.fill(mean);
                    }
                    self.slots.push(Slot { variances, ..Slot::default() });
                }
                let factor = |q: f64| if q + eps > 0.0 { 1.0 / (q + eps).sqrt() } else { 0.0 };
                let (left, right, from) = self.sides_of();
                for e in 0..sheet.field.q.len() {
                    let (i, j) = sheet.places(e);
                    let (a, b) = (factor(left.variances[i]), factor(right.variances[from + j]));
                    let of_value = [a * a, 0.0, b * b];
                    step.slopes.push(Slopes { derivative: a * b, of_value, ..Slopes::default() });
                    sheet.field.q[e] *= a * b;
                    sheet.field.tangent[e] *= a * b;
                }
                self.slot += 1;
            }
            Layer::Scale(c) => {
                sheet.field.q.iter_mut().chain(&mut sheet.field.tangent).for_each(|v| *v *= c * c);
            }
            Layer::Dropout { keep } => {
                if own {
                    for e in sheet.diagonal() {
                        sheet.field.q[e] /= keep;
                        sheet.field.tangent[e] /= keep;
                    }
                }
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                for branch in branches {
                    let mut end = step.before.clone();
                    let tape = self.forward(branch, &mut end);
                    step.branches.push((tape, end));
                }
                if let Some((_, first)) = step.branches.first() {
                    *sheet = first.clone();
                }
                for e in 0..sheet.field.q.len() {
                    let parts = step
                        .branches
                        .iter()
                        .map(|(_, s)| (s.field.q[e], s.field.tangent[e], s.field.channels as f64));
                    (sheet.field.q[e], sheet.field.tangent[e]) = join(layer, parts);
                }
                if let Layer::Concat(_) = layer {
                    sheet.field.channels = step.branches.iter().map(|(_, s)| s.field.channels).sum();
                }
            }
            Layer::AvgPool { .. } | Layer::SumPool(_) => {
                if let Some(pooling) = pooling(layer, &sheet.field) {
                    let (q, t) = (pooling.apply(&sheet.field.q), pooling.apply(&sheet.field.tangent));
                    sheet.moved(q, t, pooling.shape);
                }
            }
            Layer::GlobalAvgPool | Layer::GlobalSumPool | Layer::Flatten => {
                let (scale, step) = end_scale(layer, sheet);
                let sum = |v: &[f64]| vec![v.iter().step_by(step).sum::<f64>() * scale];
                let (q, t) = (sum(&sheet.field.q), sum(&sheet.field.tangent));
                if let Layer::Flatten = layer {
                    sheet.field.channels *= sheet.rows;
                }
                sheet.moved(q, t, (1, 1));
                sheet.field.full = true;
            }
            Layer::Attention { query_key, output_value, b_std, linear_scaling, mechanism } => {
                let bias = b_std.map_or(0.0, |b| b * b);
                let field = &mut sheet.field;
                if *linear_scaling {
                    let square = output_value * output_value;
                    if own {
                        let attention = attention_weights(&field.q, sheet.rows, *query_key, *mechanism);
                        self.slots.push(Slot { attention, ..Slot::default() });
                    }
                    let (left, right, _) = self.sides_of();
                    let map = |m: &[f64]| sandwich(&left.attention, m, &right.attention, sheet.rows);
                    step.attention = (left.attention.clone(), right.attention.clone());
                    let (q, t) = (map(&field.q), map(&field.tangent));
                    for (e, (q, t)) in q.into_iter().zip(t).enumerate() {
                        field.q[e] = square * q + bias;
                        field.tangent[e] = square * (t + 2.0 * q) + bias;
                    }
                    self.slot += 1;
                } else {
                    let s = query_key * query_key * output_value * output_value;
                    let d: f64 = field.q.iter().map(|q| q * q).sum();
                    let e: f64 = field.q.iter().zip(&field.tangent).map(|(q, t)| q * t).sum();
                    for (q, t) in field.q.iter_mut().zip(&mut field.tangent) {
                        *t = s * (2.0 * e * *q + d * (*t + 4.0 * *q)) + bias;
                        *q = s * d * *q + bias;
                    }
                }
                field.channels = 1;
            }
        }
        step
    }

    /// The slots of this layer for both sides, and where the columns begin.
    fn sides_of(&self) -> (&Slot, &Slot, usize) {
        match &self.sides {
            Sides::Own => (&self.slots[self.slot], &self.slots[self.slot], 0),
            Sides::Pair(left, right, from) => (&left[self.slot], &right[self.slot], *from),
        }
    }

    fn affine(&mut self, layer: &Layer, w: &Weights, sheet: &mut Sheet) {
        let fan_in = sheet.field.channels * taps_of(layer);
        let (fresh, old, constant) = factors(tangent(w, fan_in));
        let (scale, bias) = (w.w2(), w.b2());
        for (q, t) in sheet.field.q.iter_mut().zip(&mut sheet.field.tangent) {
            let new = scale * *q + bias;
            *t = scale * *t + fresh * new + old * *q + constant;
            *q = new;
        }
        sheet.field.channels = w.width;
        self.weights += 1;
    }

    fn activation(&mut self, phi: &Activation, sheet: &mut Sheet) -> Vec<Slopes> {
        let own = matches!(self.sides, Sides::Own);
        let series = needs_series(phi);
        if own {
            let variances: Vec<f64> = sheet.diagonal().map(|e| sheet.field.q[e].max(0.0)).collect();
            let series = if series { self.cache.series(phi, &variances) } else { Vec::new() };
            self.slots.push(Slot { variances, series, attention: Vec::new() });
        }
        let (left, right, from) = self.sides_of();
        let of = |e: usize, q: f64| {
            let (i, j) = sheet.places(e);
            if own && i == j {
                let [value, derivative, by, of] = slopes::own(phi, left.variances[i]);
                return Slopes { value, derivative, of_value: [0.0, by, 0.0], of_derivative: [0.0, of, 0.0] };
            }
            let c = Covariance::new(left.variances[i], q, right.variances[from + j]);
            let both = if series { Some((&*left.series[i], &*right.series[from + j])) } else { None };
            slopes::pair(phi, &c, both, PAIR_TOLERANCE)
        };
        let all: Vec<Slopes> = sheet.field.q.iter().enumerate().map(|(e, q)| of(e, *q)).collect();
        for (e, s) in all.iter().enumerate() {
            sheet.field.q[e] = s.value;
            sheet.field.tangent[e] *= s.derivative;
        }
        self.slot += 1;
        all
    }
}

fn pooling(layer: &Layer, field: &Field) -> Option<Pooling> {
    match layer {
        Layer::AvgPool { window, normalize_edges } => {
            Some(Pooling::new(field, window, true, *normalize_edges))
        }
        Layer::SumPool(window) => Some(Pooling::new(field, window, false, false)),
        _ => None,
    }
}

/// The common weight of the entries that a layer at the end of the positions adds, and their step.
fn end_scale(layer: &Layer, sheet: &Sheet) -> (f64, usize) {
    let places = sheet.rows.max(1) as f64;
    match layer {
        Layer::GlobalAvgPool => (1.0 / (places * places), 1),
        Layer::Flatten => (1.0 / places, if sheet.field.full { sheet.rows + 1 } else { 1 }),
        _ => (1.0, 1),
    }
}

fn only_diagonal(places: usize, full: bool, values: &mut [f64]) {
    if full {
        for (e, v) in values.iter_mut().enumerate() {
            if e % places != e / places {
                *v = 0.0;
            }
        }
    }
}
