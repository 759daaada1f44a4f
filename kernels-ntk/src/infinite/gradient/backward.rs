//! The way back through the layers.

use nalgebra::DMatrix;

use super::{Bars, Seeds, Step, Tape, end_scale, factors, only_diagonal, pooling, taps_of};
use crate::{
    Activation, Layer,
    infinite::layers::{join, tangent},
    net::{Mechanism, Weights},
};

impl Tape<'_> {
    /// From adjoints of the outcome to those of the input; with `own` the adjoints of the points' slots, which the way back through
    /// their own recursion takes up.
    pub(in super::super) fn backward(
        &self,
        mut q: Vec<f64>,
        mut t: Vec<f64>,
        own: Option<&Seeds>,
        bars: &mut Bars<'_>,
    ) -> (Vec<f64>, Vec<f64>) {
        for step in self.0.iter().rev() {
            (q, t) = step.backward(q, t, own, bars);
        }
        (q, t)
    }
}

impl Step<'_> {
    fn backward(
        &self,
        mut bar: Vec<f64>,
        mut bar_t: Vec<f64>,
        own: Option<&Seeds>,
        bars: &mut Bars<'_>,
    ) -> (Vec<f64>, Vec<f64>) {
        let before = &self.before.field;
        match self.layer {
            Layer::Dense(w) => self.affine(w, &before.q, &before.tangent, &mut bar, &mut bar_t, bars),
            Layer::Conv(w, _) | Layer::ConvLocal(w, _) | Layer::ConvTranspose(w, _) => {
                let Some((taps, q, t)) = &self.mapped else { return (bar, bar_t) };
                if let Layer::ConvLocal(..) = self.layer {
                    let places = taps.rows.output * taps.columns.output;
                    only_diagonal(places, before.full, &mut bar);
                    only_diagonal(places, before.full, &mut bar_t);
                }
                self.affine(w, q, t, &mut bar, &mut bar_t, bars);
                let shape = (before.height, before.width);
                bar = taps.adjoint(shape, before.full, &bar);
                bar_t = taps.adjoint(shape, before.full, &bar_t);
            }
            Layer::Activation(Activation::Identity) => {}
            Layer::Activation(_) => self.activation(&mut bar, &mut bar_t, own, bars),
            Layer::LayerNorm { all, .. } => self.layer_norm(*all, &mut bar, &mut bar_t, own, bars),
            Layer::Scale(c) => bar.iter_mut().chain(&mut bar_t).for_each(|v| *v *= c * c),
            Layer::Dropout { keep } => {
                if own.is_some() {
                    for e in self.before.diagonal() {
                        bar[e] /= keep;
                        bar_t[e] /= keep;
                    }
                }
            }
            Layer::Sum(_) | Layer::Concat(_) | Layer::Product(_) => {
                let (mut sum, mut sum_t) = (vec![0.0; before.q.len()], vec![0.0; before.q.len()]);
                for k in (0..self.branches.len()).rev() {
                    let (part, part_t) = self.share(k, &bar, &bar_t);
                    let (part, part_t) = self.branches[k].0.backward(part, part_t, own, bars);
                    sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                    sum_t.iter_mut().zip(part_t).for_each(|(s, p)| *s += p);
                }
                (bar, bar_t) = (sum, sum_t);
            }
            Layer::AvgPool { .. } | Layer::SumPool(_) => {
                if let Some(pooling) = pooling(self.layer, before) {
                    (bar, bar_t) = (pooling.adjoint(&bar), pooling.adjoint(&bar_t));
                }
            }
            Layer::GlobalAvgPool | Layer::GlobalSumPool | Layer::Flatten => {
                let (scale, step) = end_scale(self.layer, &self.before);
                let spread = |v: &[f64]| {
                    let mut out = vec![0.0; before.q.len()];
                    out.iter_mut().step_by(step).for_each(|o| *o = scale * v[0]);
                    out
                };
                (bar, bar_t) = (spread(&bar), spread(&bar_t));
            }
            Layer::Attention { query_key, output_value, linear_scaling, mechanism, .. } => {
                if *linear_scaling {
                    let square = output_value * output_value;
                    self.attention((*query_key, square, *mechanism), &mut bar, &mut bar_t, own, bars);
                } else {
                    let s = query_key * query_key * output_value * output_value;
                    let (q, t) = (&before.q, &before.tangent);
                    let d: f64 = q.iter().map(|q| q * q).sum();
                    let e: f64 = q.iter().zip(t).map(|(q, t)| q * t).sum();
                    let (mut bar_d, mut bar_e) = (0.0, 0.0);
                    for k in 0..q.len() {
                        bar_d += s * (q[k] * bar[k] + bar_t[k] * (t[k] + 4.0 * q[k]));
                        bar_e += 2.0 * s * bar_t[k] * q[k];
                    }
                    for k in 0..q.len() {
                        bar[k] = s * d * bar[k]
                            + s * bar_t[k] * (2.0 * e + 4.0 * d)
                            + 2.0 * bar_d * q[k]
                            + bar_e * t[k];
                        bar_t[k] = s * d * bar_t[k] + bar_e * q[k];
                    }
                }
            }
        }
        (bar, bar_t)
    }

    fn affine(
        &self,
        w: &Weights,
        q: &[f64],
        t: &[f64],
        bar: &mut [f64],
        bar_t: &mut [f64],
        bars: &mut Bars<'_>,
    ) {
        let (fresh, old, _) = factors(tangent(w, self.before.field.channels * taps_of(self.layer)));
        let (mut by_w, mut by_b) = (0.0, 0.0);
        for e in 0..q.len() {
            let whole = bar[e] + fresh * bar_t[e];
            by_w += whole * q[e] + bar_t[e] * t[e];
            by_b += whole;
            bar[e] = w.w2() * whole + old * bar_t[e];
            bar_t[e] *= w.w2();
        }
        bars.weights[self.weights].0 += by_w;
        bars.weights[self.weights].1 += by_b;
    }

    /// Adjoints of a branch from those of the joined branches.
    fn share(&self, k: usize, bar: &[f64], bar_t: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let field = |m: usize| &self.branches[m].1.field;
        match self.layer {
            Layer::Concat(_) => {
                let all: usize = (0..self.branches.len()).map(|m| field(m).channels).sum();
                let part = field(k).channels as f64 / all.max(1) as f64;
                let scaled = |v: &[f64]| v.iter().map(|v| part * v).collect();
                (scaled(bar), scaled(bar_t))
            }
            Layer::Product(_) => {
                let others: Vec<usize> = (0..self.branches.len()).filter(|&m| m != k).collect();
                let (mut q, mut t) = (Vec::with_capacity(bar.len()), Vec::with_capacity(bar.len()));
                for e in 0..bar.len() {
                    // The product of the others and its tangent.
                    let parts = others.iter().map(|&m| (field(m).q[e], field(m).tangent[e], 1.0));
                    let (product, slope) = join(self.layer, parts);
                    q.push(bar[e] * product + bar_t[e] * slope);
                    t.push(bar_t[e] * product);
                }
                (q, t)
            }
            _ => (bar.to_vec(), bar_t.to_vec()),
        }
    }

    fn activation(&self, bar: &mut [f64], bar_t: &mut [f64], own: Option<&Seeds>, bars: &mut Bars<'_>) {
        let mut diagonal = own.map(|seeds| seeds[self.slot].clone());
        for e in 0..bar.len() {
            let (s, t) = (&self.slopes[e], self.before.field.tangent[e]);
            let by = |k: usize| bar[e] * s.of_value[k] + bar_t[e] * t * s.of_derivative[k];
            let (left, middle, right) = (by(0), by(1), by(2));
            let (i, j) = self.before.places(e);
            if let Some(diagonal) = &mut diagonal {
                diagonal[i] += left;
                diagonal[j] += right;
            } else {
                bars.left[self.slot][i] += left;
                bars.right[self.slot][bars.from + j] += right;
            }
            bar[e] = middle;
            bar_t[e] *= s.derivative;
        }
        self.to_diagonal(diagonal, bar);
    }

    fn to_diagonal(&self, diagonal: Option<Vec<f64>>, bar: &mut [f64]) {
        if let Some(diagonal) = diagonal {
            for (e, d) in self.before.diagonal().zip(diagonal) {
                bar[e] += d;
            }
        }
    }

    fn layer_norm(
        &self,
        all: bool,
        bar: &mut [f64],
        bar_t: &mut [f64],
        own: Option<&Seeds>,
        bars: &mut Bars<'_>,
    ) {
        let field = &self.before.field;
        let mut diagonal = own.map(|seeds| seeds[self.slot].clone());
        for e in 0..bar.len() {
            let (i, j) = self.before.places(e);
            let s = &self.slopes[e];
            let change = -0.5 * s.derivative * (bar[e] * field.q[e] + bar_t[e] * field.tangent[e]);
            let (left, right) = (change * s.of_value[0], change * s.of_value[2]);
            if let Some(diagonal) = &mut diagonal {
                diagonal[i] += left;
                diagonal[j] += right;
            } else {
                bars.left[self.slot][i] += left;
                bars.right[self.slot][bars.from + j] += right;
            }
            bar[e] *= s.derivative;
            bar_t[e] *= s.derivative;
        }
        if let (true, Some(diagonal)) = (all, &mut diagonal) {
            let mean = diagonal.iter().sum::<f64>() / diagonal.len().max(1) as f64;
            diagonal.fill(mean);
        }
        self.to_diagonal(diagonal, bar);
    }

    /// q' = σ² G₁ q G₂ᵀ, Θ' = σ² G₁ (Θ + 2q) G₂ᵀ, and G a function of the image's own covariance.
    fn attention(
        &self,
        (query_key, square, mechanism): (f64, f64, Mechanism),
        bar: &mut [f64],
        bar_t: &mut [f64],
        own: Option<&Seeds>,
        bars: &mut Bars<'_>,
    ) {
        let places = self.before.rows;
        let field = &self.before.field;
        let matrix = |values: &[f64]| DMatrix::from_column_slice(places, places, values);
        let (q, t) = (matrix(&field.q), matrix(&field.tangent));
        let (a, b) = (matrix(bar) * square + matrix(bar_t) * (2.0 * square), matrix(bar_t) * square);
        // Stored by rows: read by columns they are transposed.
        let (left, right) = (matrix(&self.attention.0).transpose(), matrix(&self.attention.1).transpose());
        let by_left = &a * (&q * right.transpose()).transpose() + &b * (&t * right.transpose()).transpose();
        let by_right = a.transpose() * (&left * &q) + b.transpose() * (&left * &t);
        let rows = |m: DMatrix<f64>| m.transpose().as_slice().to_vec();
        bar.copy_from_slice((left.transpose() * &a * &right).as_slice());
        bar_t.copy_from_slice((left.transpose() * &b * &right).as_slice());
        let (by_left, by_right) = (rows(by_left), rows(by_right));
        let Some(seeds) = own else {
            bars.left[self.slot].iter_mut().zip(by_left).for_each(|(s, b)| *s += b);
            bars.right[self.slot].iter_mut().zip(by_right).for_each(|(s, b)| *s += b);
            return;
        };
        let weights = &self.attention.0;
        for r in 0..places {
            let range = r * places..(r + 1) * places;
            let by: Vec<f64> =
                range.clone().map(|e| seeds[self.slot][e] + by_left[e] + by_right[e]).collect();
            let row = &weights[range];
            let mean: f64 = row.iter().zip(&by).map(|(g, b)| g * b).sum();
            for c in 0..places {
                let score = query_key * field.q[c * places + r];
                let by_score = match mechanism {
                    Mechanism::Softmax => row[c] * (by[c] - mean),
                    Mechanism::Identity => by[c],
                    Mechanism::Abs => by[c] * score.signum(),
                    Mechanism::Relu => by[c] * f64::from(u8::from(score > 0.0)),
                };
                bar[c * places + r] += query_key * by_score;
            }
        }
    }
}
