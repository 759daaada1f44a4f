//! Layers of a network on vectors, applied to the variances of points and to the covariances of pairs.

use std::sync::Arc;

use super::{
    angles::{self, Deviations, ErfRows, Mehler, Pairs, Step, Tangent},
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
    /// First row's place among all points of the records.
    pub(super) row: usize,
    /// First column's place.
    pub(super) column: usize,
}

/// The records of one layer for rows and for columns.
#[derive(Clone, Copy)]
pub(super) struct Between<'r> {
    pub(super) rows: &'r Record,
    pub(super) columns: &'r Record,
    /// First row's place in its record.
    pub(super) row: usize,
    /// First column's place in its record.
    pub(super) from: usize,
}

impl Strip {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let zeros = || vec![0.0; rows * columns];
        Self { rows, q: zeros(), gap: zeros(), cogap: zeros(), difference: zeros(), tangent: zeros() }
    }

    /// Covariances and tangent kernels of all rows with all columns, as yet without gaps.
    pub(super) fn of(rows: usize, q: Vec<f64>, tangent: Vec<f64>) -> Self {
        let zeros = || vec![0.0; q.len()];
        Self { rows, gap: zeros(), cogap: zeros(), difference: zeros(), q, tangent }
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
            Layer::Activation(phi) => {
                self.activation(phi, Between { rows: record, columns: record, row: at.row, from: at.column })
            }
            Layer::LayerNorm { eps, .. } => self.layer_norm(*eps, record, at),
            // Different occurrences are dropped independently: only variances change, also beside an equal point.
            Layer::Dropout { .. } => {
                let (variances, roots) = (&record.after, &record.roots.1);
                for j in 0..self.columns() {
                    let k = at.column + j;
                    angles::gaps(
                        (&variances[at.row..], &roots[at.row..]),
                        (variances[k], roots[k]),
                        &mut self.column(j),
                    );
                }
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
        let roots = (&record.roots.0[at.row..], &record.roots.1[at.row..]);
        for j in 0..self.columns() {
            let k = at.column + j;
            let column = (record.roots.0[k], record.roots.1[k]);
            let step = Step::Affine { scale, bias, tangent, roots, column };
            angles::run(step, &mut self.column(j));
        }
    }

    /// Gaps of covariances that are all there is.
    pub(super) fn gaps_of_variances(&mut self, at: Between<'_>) {
        let (rows, columns) = (at.rows, at.columns);
        for j in 0..self.columns() {
            let k = at.from + j;
            let column = (columns.before[k], columns.roots.0[k]);
            angles::gaps((&rows.before[at.row..], &rows.roots.0[at.row..]), column, &mut self.column(j));
        }
    }

    pub(super) fn activation(&mut self, phi: &Activation, at: Between<'_>) {
        match phi {
            Activation::Identity => {}
            Activation::AbRelu { a, b } => {
                for j in 0..self.columns() {
                    let column = at.columns.roots.0[at.from + j];
                    let (roots, inverses) = (&at.rows.roots.0[at.row..], &at.rows.inverses[at.row..]);
                    let step = Step::Rectified { a: *a, b: *b, roots, inverses, column };
                    angles::run(step, &mut self.column(j));
                }
            }
            Activation::Erf { a, b, c } => {
                let offset = c * c;
                // Deviations without the offset, and with it.
                let bare = |q: f64| (q - offset).max(0.0).sqrt();
                let before: Vec<f64> = if offset > 0.0 {
                    at.rows.after[at.row..at.row + self.rows].iter().map(|&q| bare(q)).collect()
                } else {
                    Vec::new()
                };
                for j in 0..self.columns() {
                    let column = at.from + j;
                    let step = Step::Erf {
                        a: *a,
                        b: *b,
                        rows: &at.rows.erf,
                        columns: &at.columns.erf,
                        row: at.row,
                        column,
                    };
                    angles::run(step, &mut self.column(j));
                    if offset > 0.0 {
                        let step = Step::Affine {
                            scale: 1.0,
                            bias: offset,
                            tangent: Tangent::None,
                            roots: (&before, &at.rows.roots.1[at.row..]),
                            column: (bare(at.columns.after[column]), at.columns.roots.1[column]),
                        };
                        angles::run(step, &mut self.column(j));
                    }
                }
            }
            _ if needs_series(phi) => self.series(phi, at),
            _ => {
                for j in 0..self.columns() {
                    for i in 0..self.rows {
                        let dual = phi.dual_at(&self.covariance(i, j, at));
                        let e = j * self.rows + i;
                        self.q[e] = dual.value;
                        self.tangent[e] *= dual.derivative;
                        if let Activation::Rbf { gamma } = phi {
                            // 1 − k without cancellation.
                            let c = self.covariance(i, j, at);
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
                    self.gaps(at);
                }
            }
        }
    }

    fn covariance(&self, i: usize, j: usize, at: Between<'_>) -> Covariance {
        let e = j * self.rows + i;
        Covariance {
            q11: at.rows.before[at.row + i],
            q22: at.columns.before[at.from + j],
            q12: self.q[e],
            gap: self.gap[e],
            cogap: self.cogap[e],
            difference: self.difference[e],
        }
    }

    /// Hermite series where they are accurate, the exact rule where they are not.
    fn series(&mut self, phi: &Activation, at: Between<'_>) {
        let (rows, part) = (self.rows, at.row..at.row + self.rows);
        let (own, roots) = (&at.rows.series[part.clone()], &at.rows.roots.0[part]);
        let table = &at.rows.table;
        let stride = at.rows.series.len();
        let terms = table.values.len().checked_div(stride).unwrap_or(0);
        let (mut rho, mut value, mut slope) = (vec![0.0; rows], vec![0.0; rows], vec![0.0; rows]);
        for j in 0..self.columns() {
            let k = at.from + j;
            let other = &at.columns.series[k];
            let root = at.columns.roots.0[k];
            for i in 0..rows {
                let product = roots[i] * root;
                let q = self.q[j * rows + i];
                rho[i] = if product > 0.0 { (q / product).clamp(-1.0, 1.0) } else { 0.0 };
            }
            let column = table.terms(other);
            let shared = column.0.len().min(terms);
            let series = Mehler {
                odd: table.odd,
                stride,
                values: table.values.get(at.row..).unwrap_or(&[]),
                slopes: table.slopes.get(at.row..).unwrap_or(&[]),
                column: (&column.0[..shared], &column.1[..shared]),
            };
            angles::mehler(series, &rho, &mut value, &mut slope);
            for i in 0..rows {
                let e = j * rows + i;
                let mine = &own[i];
                let same = self.gap[e] <= 0.0 && self.difference[e].abs() <= 0.0;
                let dual = if same {
                    Dual { value: mine.second, derivative: mine.second_slope }
                } else if mine.error(other, rho[i]) <= PAIR_TOLERANCE {
                    Dual { value: value[i], derivative: slope[i] }
                } else {
                    phi.dual_at(&self.covariance(i, j, at))
                };
                self.q[e] = dual.value;
                self.tangent[e] *= dual.derivative;
            }
        }
        self.gaps(at);
    }

    fn layer_norm(&mut self, eps: f64, record: &Record, at: At) {
        let factor = |q: f64| if q + eps > 0.0 { 1.0 / (q + eps).sqrt() } else { 0.0 };
        let left: Vec<f64> = record.before[at.row..at.row + self.rows].iter().map(|&q| factor(q)).collect();
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
    fn gaps(&mut self, at: Between<'_>) {
        let (variances, roots) = (&at.rows.after[at.row..], &at.rows.roots.1[at.row..at.row + self.rows]);
        for j in 0..self.columns() {
            let k = at.from + j;
            let (variance, root) = (at.columns.after[k], at.columns.roots.1[k]);
            for (i, r) in roots.iter().enumerate() {
                let e = j * self.rows + i;
                let product = r * root;
                let same = self.gap[e] <= 0.0 && self.difference[e].abs() <= 0.0;
                self.gap[e] = if same { 0.0 } else { (product - self.q[e]).max(0.0) };
                self.cogap[e] = (product + self.q[e]).max(0.0);
                self.difference[e] = if same { 0.0 } else { variances[i] - variance };
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
                        let (x, y) = (end.after[at.row + i], end.after[k]);
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
            self.gaps(Between { rows: record, columns: record, row: at.row, from: at.column });
        }
    }
}
