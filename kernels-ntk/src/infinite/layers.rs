//! Layers of a network on vectors, applied to the variances of points and to the covariances of pairs.

use super::angles::{self, Mehler, Pairs, Step, Tangent};
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
    series: Vec<HermiteSeries>,
    width: usize,
}

/// Largest rest, relative to E φ², that a Hermite series may leave at correlation 1 before pairs go to the exact rule.
pub(super) const SERIES_TOLERANCE: f64 = 1e-15;

/// The largest error of a pair, relative to √(k₁₁k₂₂), that a series may have.
pub(super) const PAIR_TOLERANCE: f64 = 1e-13;

impl Record {
    /// What an activation did to two sets of variances.
    pub(super) fn of_pair(
        before: (&[f64], &[f64]),
        after: (&[f64], &[f64]),
        series: (&[HermiteSeries], &[HermiteSeries]),
    ) -> Self {
        let both = |(a, b): (&[f64], &[f64])| [a, b].concat();
        Self { before: both(before), after: both(after), series: [series.0, series.1].concat(), width: 1 }
    }
}

impl Own {
    pub(super) fn new(q: Vec<f64>, width: usize) -> Self {
        Self { tangent: vec![0.0; q.len()], q, width }
    }

    /// Takes the points through the layers; one record a layer, in the order in which pairs will meet them.
    pub(super) fn chain(&mut self, layers: &[Layer], records: &mut Vec<Record>) {
        for layer in layers {
            self.layer(layer, records);
        }
    }

    fn layer(&mut self, layer: &Layer, records: &mut Vec<Record>) {
        let slot = records.len();
        records.push(Record {
            before: self.q.clone(),
            after: Vec::new(),
            series: Vec::new(),
            width: self.width,
        });
        match layer {
            Layer::Dense(w) => {
                self.affine(w.w2(), w.b2(), tangent(w, self.width));
                self.width = w.width;
            }
            Layer::Activation(phi) => {
                let series = needs_series(phi);
                for (q, tangent) in self.q.iter_mut().zip(&mut self.tangent) {
                    let dual = if series {
                        let series = HermiteSeries::of(phi, *q, SERIES_TOLERANCE);
                        let dual = Dual { value: series.second, derivative: series.second_slope };
                        records[slot].series.push(series);
                        dual
                    } else {
                        own(phi, *q)
                    };
                    *q = dual.value;
                    *tangent *= dual.derivative;
                }
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
                        own.chain(branch, records);
                        records.push(Record {
                            before: Vec::new(),
                            after: own.q.clone(),
                            series: Vec::new(),
                            width: own.width,
                        });
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

/// The covariances of a strip of pairs: all rows with some columns, column by column.
#[derive(Clone, Debug)]
pub(super) struct Strip {
    rows: usize,
    pub(super) q: Vec<f64>,
    pub(super) gap: Vec<f64>,
    pub(super) cogap: Vec<f64>,
    pub(super) difference: Vec<f64>,
    pub(super) tangent: Vec<f64>,
}

/// Which points a strip pairs, in the records.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// First column's place among all points of the records; rows are the points from 0.
    pub(super) column: usize,
}

/// Room for steps that work on one column at a time.
#[derive(Debug, Default)]
struct Scratch {
    roots: Vec<f64>,
    values: Vec<f64>,
    slopes: Vec<f64>,
    rho: Vec<f64>,
    value: Vec<f64>,
    slope: Vec<f64>,
}

impl Strip {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let zeros = || vec![0.0; rows * columns];
        Self { rows, q: zeros(), gap: zeros(), cogap: zeros(), difference: zeros(), tangent: zeros() }
    }

    fn columns(&self) -> usize {
        self.q.len() / self.rows.max(1)
    }

    fn column(&mut self, j: usize) -> Pairs<'_> {
        let range = j * self.rows..(j + 1) * self.rows;
        Pairs {
            q: &mut self.q[range.clone()],
            gap: &mut self.gap[range.clone()],
            cogap: &mut self.cogap[range.clone()],
            difference: &mut self.difference[range.clone()],
            tangent: &mut self.tangent[range],
        }
    }

    /// Takes the pairs through the layers.
    pub(super) fn chain<'r>(&mut self, layers: &[Layer], records: &mut std::slice::Iter<'r, Record>, at: At) {
        for layer in layers {
            let Some(record) = records.next() else { return };
            self.layer(layer, record, records, at);
        }
    }

    fn layer<'r>(
        &mut self,
        layer: &Layer,
        record: &Record,
        records: &mut std::slice::Iter<'r, Record>,
        at: At,
    ) {
        match layer {
            Layer::Dense(w) => self.affine(w.w2(), w.b2(), tangent(w, record.width), record, at),
            Layer::Scale(c) => self.affine(c * c, 0.0, Tangent::None, record, at),
            Layer::Activation(phi) => self.activation(phi, record, at),
            Layer::LayerNorm { eps, .. } => self.layer_norm(*eps, record, at),
            // Different occurrences are dropped independently: only variances change, also beside an equal point.
            Layer::Dropout { .. } => {
                self.gaps_of_variances(&record.after[..self.rows], &record.after[at.column..])
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                let mut ends = Vec::with_capacity(branches.len());
                for branch in branches {
                    let mut strip = self.clone();
                    strip.chain(branch, records, at);
                    let Some(end) = records.next() else { return };
                    ends.push((strip, end));
                }
                self.join(layer, &ends, record, at);
            }
            _ => {}
        }
    }

    fn affine(&mut self, scale: f64, bias: f64, tangent: Tangent, record: &Record, at: At) {
        for j in 0..self.columns() {
            let k = at.column + j;
            let column = (record.before[k], record.after[k]);
            let step =
                Step::Affine { scale, bias, tangent, before: &record.before, after: &record.after, column };
            angles::run(step, &mut self.column(j));
        }
    }

    /// Gaps of covariances that are all there is.
    pub(super) fn gaps_of_variances(&mut self, left: &[f64], right: &[f64]) {
        for (j, &q22) in right.iter().enumerate().take(self.columns()) {
            angles::gaps(left, q22, &mut self.column(j));
        }
    }

    pub(super) fn activation(&mut self, phi: &Activation, record: &Record, at: At) {
        match phi {
            Activation::Identity => {}
            Activation::AbRelu { a, b } => {
                let roots: Vec<f64> = record.before[..self.rows].iter().map(|q| q.sqrt()).collect();
                for j in 0..self.columns() {
                    let column = record.before[at.column + j].sqrt();
                    let step = Step::Rectified { a: *a, b: *b, roots: &roots, column };
                    angles::run(step, &mut self.column(j));
                }
            }
            Activation::Erf { a, b, c } => {
                let offset = c * c;
                let bare: Vec<f64> = record.after.iter().map(|q| (q - offset).max(0.0)).collect();
                for j in 0..self.columns() {
                    let k = at.column + j;
                    let step =
                        Step::Erf { a: *a, b: *b, variances: &record.before, column: record.before[k] };
                    angles::run(step, &mut self.column(j));
                    if offset > 0.0 {
                        let step = Step::Affine {
                            scale: 1.0,
                            bias: offset,
                            tangent: Tangent::None,
                            before: &bare,
                            after: &record.after,
                            column: (bare[k], record.after[k]),
                        };
                        angles::run(step, &mut self.column(j));
                    }
                }
            }
            _ if needs_series(phi) => self.series(phi, record, at),
            _ => {
                for j in 0..self.columns() {
                    for i in 0..self.rows {
                        let dual = phi.dual_at(&self.covariance(i, j, record, at));
                        let e = j * self.rows + i;
                        self.q[e] = dual.value;
                        self.tangent[e] *= dual.derivative;
                        if let Activation::Rbf { gamma } = phi {
                            // 1 − k without cancellation.
                            let c = self.covariance(i, j, record, at);
                            let s = Covariance { q12: 0.0, ..c }.squared_distance();
                            self.gap[e] = -(-gamma * s).exp_m1();
                        }
                    }
                }
                if matches!(phi, Activation::Rbf { .. }) {
                    for e in 0..self.q.len() {
                        self.cogap[e] = 1.0 + self.q[e];
                        self.difference[e] = 0.0;
                    }
                } else {
                    self.gaps(record, at);
                }
            }
        }
    }

    fn covariance(&self, i: usize, j: usize, record: &Record, at: At) -> Covariance {
        let e = j * self.rows + i;
        Covariance {
            q11: record.before[i],
            q22: record.before[at.column + j],
            q12: self.q[e],
            gap: self.gap[e],
            cogap: self.cogap[e],
            difference: self.difference[e],
        }
    }

    /// Hermite series where they are accurate, the exact rule where they are not.
    fn series(&mut self, phi: &Activation, record: &Record, at: At) {
        let rows = self.rows;
        let mut scratch = Scratch::default();
        scratch.roots.extend(record.before[..rows].iter().map(|q| q.sqrt()));
        let terms = record.series[..rows].iter().map(HermiteSeries::terms).max().unwrap_or(0);
        scratch.values.resize(terms * rows, 0.0);
        scratch.slopes.resize(terms * rows, 0.0);
        for (i, series) in record.series[..rows].iter().enumerate() {
            for (j, (v, s)) in series.values.iter().zip(&series.slopes).enumerate() {
                scratch.values[j * rows + i] = *v;
                scratch.slopes[j * rows + i] = *s;
            }
        }
        scratch.rho.resize(rows, 0.0);
        scratch.value.resize(rows, 0.0);
        scratch.slope.resize(rows, 0.0);
        for j in 0..self.columns() {
            let k = at.column + j;
            let other = &record.series[k];
            let root = record.before[k].sqrt();
            for i in 0..rows {
                let product = scratch.roots[i] * root;
                let q = self.q[j * rows + i];
                scratch.rho[i] = if product > 0.0 { (q / product).clamp(-1.0, 1.0) } else { 0.0 };
            }
            let shared = other.terms().min(terms);
            let series = Mehler {
                rows,
                values: &scratch.values[..shared * rows],
                slopes: &scratch.slopes[..shared * rows],
                column: (&other.values[..shared], &other.slopes[..shared]),
            };
            angles::mehler(series, &scratch.rho, &mut scratch.value, &mut scratch.slope);
            for i in 0..rows {
                let e = j * rows + i;
                let mine = &record.series[i];
                let same = self.gap[e] <= 0.0 && self.difference[e].abs() <= 0.0;
                let dual = if same {
                    Dual { value: mine.second, derivative: mine.second_slope }
                } else if mine.error(other, scratch.rho[i]) <= PAIR_TOLERANCE {
                    Dual { value: scratch.value[i], derivative: scratch.slope[i] }
                } else {
                    phi.dual_at(&self.covariance(i, j, record, at))
                };
                self.q[e] = dual.value;
                self.tangent[e] *= dual.derivative;
            }
        }
        self.gaps(record, at);
    }

    fn layer_norm(&mut self, eps: f64, record: &Record, at: At) {
        let factor = |q: f64| if q + eps > 0.0 { 1.0 / (q + eps).sqrt() } else { 0.0 };
        let left: Vec<f64> = record.before[..self.rows].iter().map(|&q| factor(q)).collect();
        for j in 0..self.columns() {
            let k = at.column + j;
            let right = factor(record.before[k]);
            let rows = self.rows;
            for (i, left) in left.iter().enumerate() {
                let e = j * rows + i;
                let f = left * right;
                self.q[e] *= f;
                self.gap[e] *= f;
                self.cogap[e] *= f;
                self.tangent[e] *= f;
                // q/(q+ε) changes by ε/((q+ε)(q'+ε)).
                self.difference[e] *= eps * f * f;
            }
        }
    }

    /// Gaps from the covariances, where there is nothing better. Pairs of equal points stay equal.
    fn gaps(&mut self, record: &Record, at: At) {
        let roots: Vec<f64> = record.after[..self.rows].iter().map(|q| q.sqrt()).collect();
        for j in 0..self.columns() {
            let k = at.column + j;
            let root = record.after[k].sqrt();
            for (i, r) in roots.iter().enumerate() {
                let e = j * self.rows + i;
                let product = r * root;
                let same = self.gap[e] <= 0.0 && self.difference[e].abs() <= 0.0;
                self.gap[e] = if same { 0.0 } else { (product - self.q[e]).max(0.0) };
                self.cogap[e] = (product + self.q[e]).max(0.0);
                self.difference[e] = if same { 0.0 } else { record.after[i] - record.after[k] };
            }
        }
    }

    fn join(&mut self, layer: &Layer, ends: &[(Self, &Record)], record: &Record, at: At) {
        for j in 0..self.columns() {
            let k = at.column + j;
            for i in 0..self.rows {
                let e = j * self.rows + i;
                let parts = ends.iter().map(|(s, r)| (s.q[e], s.tangent[e], r.width as f64));
                (self.q[e], self.tangent[e]) = join(layer, parts);
                if let Layer::Sum(_) = layer {
                    // Sums of variances: what two parts lack together beyond what each lacks.
                    let (mut a, mut b, mut gap, mut cogap, mut difference) = (0.0, 0.0, 0.0, 0.0, 0.0);
                    for (strip, end) in ends {
                        let (x, y) = (end.after[i], end.after[k]);
                        let cross = (a * y).sqrt() - (b * x).sqrt();
                        let total = ((a + x) * (b + y)).sqrt();
                        let apart = (a * b).sqrt() + (x * y).sqrt();
                        let extra = cross * cross / (total + apart).max(f64::MIN_POSITIVE);
                        gap += strip.gap[e] + extra;
                        cogap += strip.cogap[e] + extra;
                        difference += strip.difference[e];
                        (a, b) = (a + x, b + y);
                    }
                    (self.gap[e], self.cogap[e], self.difference[e]) = (gap, cogap, difference);
                }
            }
        }
        if !matches!(layer, Layer::Sum(_)) {
            self.gaps(record, at);
        }
    }
}
