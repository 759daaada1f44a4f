//! Covariances of pairs, a few columns at a time, through the layers.

use super::{
    super::angles::{self, Mehler, Pairs, Step, Tangent},
    PAIR_TOLERANCE, Record, join, needs_series, tangent,
};
use crate::{
    Activation, Layer,
    dual::{Covariance, Dual},
};

/// The covariances of a strip of pairs: all rows with some columns, column by column.
#[derive(Clone, Debug)]
pub(in super::super) struct Strip {
    rows: usize,
    pub(in super::super) q: Vec<f64>,
    pub(in super::super) gap: Vec<f64>,
    pub(in super::super) cogap: Vec<f64>,
    pub(in super::super) difference: Vec<f64>,
    pub(in super::super) tangent: Vec<f64>,
}

/// Which points a strip pairs, in the records.
#[derive(Clone, Copy)]
pub(in super::super) struct At {
    /// First row's place among all points of the records.
    pub(in super::super) row: usize,
    /// First column's place.
    pub(in super::super) column: usize,
}

/// The records of one layer for rows and for columns.
#[derive(Clone, Copy)]
pub(in super::super) struct Between<'r> {
    pub(in super::super) rows: &'r Record,
    pub(in super::super) columns: &'r Record,
    /// First row's place in its record.
    pub(in super::super) row: usize,
    /// First column's place in its record.
    pub(in super::super) from: usize,
}

impl Strip {
    pub(in super::super) fn new(rows: usize, columns: usize) -> Self {
        let zeros = || vec![0.0; rows * columns];
        Self { rows, q: zeros(), gap: zeros(), cogap: zeros(), difference: zeros(), tangent: zeros() }
    }

    /// Covariances and tangent kernels of all rows with all columns, as yet without gaps.
    pub(in super::super) fn of(rows: usize, q: Vec<f64>, tangent: Vec<f64>) -> Self {
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
    pub(in super::super) fn chain<'r>(
        &mut self,
        layers: &[Layer],
        records: &mut std::slice::Iter<'r, Record>,
        at: At,
    ) {
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
    pub(in super::super) fn gaps_of_variances(&mut self, at: Between<'_>) {
        let (rows, columns) = (at.rows, at.columns);
        for j in 0..self.columns() {
            let k = at.from + j;
            let column = (columns.before[k], columns.roots.0[k]);
            angles::gaps((&rows.before[at.row..], &rows.roots.0[at.row..]), column, &mut self.column(j));
        }
    }

    pub(in super::super) fn activation(&mut self, phi: &Activation, at: Between<'_>) {
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
