//! Layers of a network on vectors, applied to the variances of points and to the covariances of pairs.

mod strip;

use std::sync::Arc;

pub(super) use strip::{At, Between, Strip};

use super::{
    angles::{self, Deviations, ErfRows, Tangent},
    cache::SeriesCache,
};
use crate::{
    Activation, HermiteSeries, Layer,
    dual::{Covariance, Dual},
    net::{Parameterization, Weights},
};

/// The variances and tangent kernels of points with themselves.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) q: Vec<f64>,
    pub(super) tangent: Vec<f64>,
    pub(super) width: usize,
}

/// What a layer did to the variances, and the series it needs for pairs.
#[derive(Debug)]
pub(super) struct Record {
    before: Vec<f64>,
    after: Vec<f64>,
    /// Deviations before and after.
    roots: (Vec<f64>, Vec<f64>),
    /// Of the deviations before, for rectified layers; 0 for 0.
    inverses: Vec<f64>,
    erf: ErfRows,
    series: Vec<Arc<HermiteSeries>>,
    table: Table,
    width: usize,
}

/// Hermite coefficients side by side: of point i at `term * points + i`.
#[derive(Debug, Default)]
struct Table {
    odd: bool,
    values: Vec<f64>,
    slopes: Vec<f64>,
}

impl Table {
    fn new(series: &[Arc<HermiteSeries>], odd: bool) -> Self {
        let step = if odd { 2 } else { 1 };
        let terms = series.iter().map(|s| s.terms()).max().unwrap_or(0).div_ceil(step);
        let place = |of: fn(&HermiteSeries) -> &[f64], first: usize| {
            let mut out = vec![0.0; terms * series.len()];
            for (i, s) in series.iter().enumerate() {
                for (j, v) in of(s).iter().skip(first).step_by(step).enumerate() {
                    out[j * series.len() + i] = *v;
                }
            }
            out
        };
        let first = usize::from(odd);
        Self { odd, values: place(|s| &s.values, first), slopes: place(|s| &s.slopes, 0) }
    }

    /// The terms that a series has, in the table's order.
    fn terms(&self, series: &HermiteSeries) -> (Vec<f64>, Vec<f64>) {
        let step = if self.odd { 2 } else { 1 };
        let part = |c: &[f64], first: usize| c.iter().skip(first).step_by(step).copied().collect();
        (part(&series.values, usize::from(self.odd)), part(&series.slopes, 0))
    }
}

impl Record {
    fn before(q: &[f64], width: usize) -> Self {
        Self {
            before: q.to_vec(),
            after: Vec::new(),
            roots: (roots(q), Vec::new()),
            inverses: Vec::new(),
            erf: ErfRows::default(),
            series: Vec::new(),
            table: Table::default(),
            width,
        }
    }

    fn end(mut self, q: &[f64]) -> Self {
        self.after = q.to_vec();
        self.roots.1 = roots(q);
        self
    }

    /// What an activation does to variances, and their derivatives E φ′².
    pub(super) fn of_activation(
        phi: &Activation,
        q: &[f64],
        width: usize,
        cache: &SeriesCache,
    ) -> (Self, Vec<f64>) {
        let mut record = Self::before(q, width);
        let series = needs_series(phi);
        match phi {
            Activation::AbRelu { .. } => {
                let inverse = |r: &f64| if *r > 0.0 { 1.0 / r } else { 0.0 };
                record.inverses = record.roots.0.iter().map(inverse).collect();
            }
            Activation::Erf { b, .. } => record.erf = ErfRows::new(*b, q),
            _ if series => {
                record.series = cache.series(phi, q);
                record.table = Table::new(&record.series, phi.is_odd());
            }
            _ => {}
        }
        let (mut after, mut slopes) = (Vec::with_capacity(q.len()), Vec::with_capacity(q.len()));
        for (i, q) in q.iter().enumerate() {
            let dual = match record.series.get(i) {
                Some(s) => Dual { value: s.second, derivative: s.second_slope },
                None => own(phi, *q),
            };
            after.push(dual.value);
            slopes.push(dual.derivative);
        }
        (record.end(&after), slopes)
    }

    /// Variances that some layer found, without more.
    pub(super) fn of_variances(q: &[f64]) -> Self {
        Self::before(q, 1)
    }

    /// Variances before and after the layer, and the series before.
    pub(super) fn variances(&self) -> (&[f64], &[f64], &[Arc<HermiteSeries>]) {
        (&self.before, &self.after, &self.series)
    }

    /// Width of the layer before.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// For error functions.
    pub(super) fn erf(&self) -> &ErfRows {
        &self.erf
    }

    /// For rectified layers.
    pub(super) fn deviations(&self) -> Deviations<'_> {
        Deviations { variance: &self.before, root: &self.roots.0, inverse: &self.inverses }
    }
}

fn roots(variances: &[f64]) -> Vec<f64> {
    variances.iter().map(|q| q.sqrt()).collect()
}

/// Largest rest, relative to E φ², that a Hermite series may leave at correlation 1 before pairs go to the exact rule.
pub(super) const SERIES_TOLERANCE: f64 = 1e-15;

/// The largest error of a pair, relative to √(k₁₁k₂₂), that a series may have.
pub(super) const PAIR_TOLERANCE: f64 = 1e-13;

impl Own {
    pub(super) fn new(q: Vec<f64>, width: usize) -> Self {
        Self { tangent: vec![0.0; q.len()], q, width }
    }

    /// Takes the points through the layers; one record a layer, in the order in which pairs will meet them.
    pub(super) fn chain(&mut self, layers: &[Layer], records: &mut Vec<Record>, cache: &SeriesCache) {
        for layer in layers {
            self.layer(layer, records, cache);
        }
    }

    fn layer(&mut self, layer: &Layer, records: &mut Vec<Record>, cache: &SeriesCache) {
        let slot = records.len();
        if let Layer::Activation(phi) = layer
            && !matches!(phi, Activation::Identity)
        {
            let (record, slopes) = Record::of_activation(phi, &self.q, self.width, cache);
            self.q.clone_from(&record.after);
            self.tangent.iter_mut().zip(slopes).for_each(|(t, s)| *t *= s);
            records.push(record);
            return;
        }
        records.push(Record::before(&self.q, self.width));
        match layer {
            Layer::Dense(w) => {
                self.affine(w.w2(), w.b2(), tangent(w, self.width));
                self.width = w.width;
            }
            Layer::LayerNorm { eps, .. } => {
                for (q, tangent) in self.q.iter_mut().zip(&mut self.tangent) {
                    let norm = *q + eps;
                    *tangent = if norm > 0.0 { *tangent / norm } else { 0.0 };
                    *q = if norm > 0.0 { *q / norm } else { 0.0 };
                }
            }
            Layer::Scale(c) => self.affine(c * c, 0.0, Tangent::None),
            Layer::Dropout { keep } => {
                self.q.iter_mut().chain(&mut self.tangent).for_each(|v| *v /= keep);
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                let ends: Vec<Self> = branches
                    .iter()
                    .map(|branch| {
                        let mut own = self.clone();
                        own.chain(branch, records, cache);
                        records.push(Record::before(&[], own.width).end(&own.q));
                        own
                    })
                    .collect();
                self.width = match layer {
                    Layer::Concat(_) => ends.iter().map(|e| e.width).sum(),
                    _ => ends.first().map_or(self.width, |e| e.width),
                };
                for i in 0..self.q.len() {
                    let parts = ends.iter().map(|e| (e.q[i], e.tangent[i], e.width as f64));
                    (self.q[i], self.tangent[i]) = join(layer, parts);
                }
            }
            // Networks on vectors have no others.
            _ => {}
        }
        records[slot].after.clone_from(&self.q);
        records[slot].roots.1 = roots(&self.q);
    }

    fn affine(&mut self, scale: f64, bias: f64, kind: Tangent) {
        for (q, tangent) in self.q.iter_mut().zip(&mut self.tangent) {
            let new = scale * *q + bias;
            *tangent = scale * *tangent
                + match kind {
                    Tangent::Fresh => new,
                    Tangent::Old { factor, constant } => factor * *q + constant,
                    Tangent::None => 0.0,
                };
            *q = new;
        }
    }
}

/// Sum, weighted mean or product of branches, with their tangents.
pub(super) fn join(layer: &Layer, parts: impl Iterator<Item = (f64, f64, f64)>) -> (f64, f64) {
    match layer {
        Layer::Concat(_) => {
            let (mut q, mut t, mut all) = (0.0, 0.0, 0.0);
            for (value, tangent, width) in parts {
                q += width * value;
                t += width * tangent;
                all += width;
            }
            (q / all, t / all)
        }
        Layer::Product(_) => {
            // The product rule, built up factor by factor.
            parts.fold((1.0, 0.0), |(q, t), (value, tangent, _)| (q * value, t * value + q * tangent))
        }
        _ => parts.fold((0.0, 0.0), |(q, t), (value, tangent, _)| (q + value, t + tangent)),
    }
}

pub(super) fn tangent(w: &Weights, fan_in: usize) -> Tangent {
    match w.parameterization {
        Parameterization::Ntk => Tangent::Fresh,
        Parameterization::Standard => {
            Tangent::Old { factor: fan_in as f64, constant: if w.b_std.is_some() { 1.0 } else { 0.0 } }
        }
    }
}

/// Whether pairs go through Hermite series.
pub(super) fn needs_series(phi: &Activation) -> bool {
    matches!(
        phi,
        Activation::Tanh
            | Activation::Sigmoid
            | Activation::Softplus
            | Activation::Swish
            | Activation::Mish
            | Activation::Elu { .. }
            | Activation::HardTanh
            | Activation::Custom(_)
    )
}

/// Dual of a variable with itself, with the formulas the pairs use.
pub(super) fn own(phi: &Activation, q: f64) -> Dual {
    match phi {
        Activation::AbRelu { a, b } => {
            let mean = 0.5 * (a * a + b * b);
            // A zero vector counts as being at a right angle.
            let derivative = if q > 0.0 { mean } else { a * b + 0.25 * (a - b) * (a - b) };
            Dual { value: mean * q, derivative }
        }
        Activation::Erf { a, b, c } => {
            let p = b * b * q;
            let outer = a * a * (2.0 * std::f64::consts::FRAC_1_PI);
            Dual {
                value: outer * angles::own_arcsine(p) + c * c,
                derivative: 2.0 * outer * b * b / (1.0 + 4.0 * p).sqrt(),
            }
        }
        _ => phi.dual_at(&Covariance::own(q)),
    }
}
