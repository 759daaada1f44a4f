//! Hyper-parameters of a network's kernel: standard deviations of weights and biases.

use kernels_core::{Block, Error, Kernel, Linear, Param, Points, Real, Rows, Transform, Workspace};
use nalgebra::{DMatrix, DMatrixView};

use super::{
    Limit,
    gradient::{Bars, Sheet, Sides, Walk, seeds},
    images::Images,
    kernel::{NetworkKernel, STRIP, input_variance},
    spatial::Field,
};
use crate::{Layer, net::Weights};

/// The range an optimiser may choose from.
const BOUNDS: (f64, f64) = (1e-3, 1e2);

/// Calls `visit` with the place and the weights of every layer that has some: `net[2]`, in branches `net[2][0][1]`.
fn visit<'n>(layers: &'n [Layer], place: &str, out: &mut Vec<(String, &'n Weights)>) {
    for (k, layer) in layers.iter().enumerate() {
        let here = format!("{place}[{k}]");
        match layer {
            Layer::Dense(w) | Layer::Conv(w, _) | Layer::ConvLocal(w, _) | Layer::ConvTranspose(w, _) => {
                out.push((here, w));
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                for (b, branch) in branches.iter().enumerate() {
                    visit(branch, &format!("{here}[{b}]"), out);
                }
            }
            _ => {}
        }
    }
}

fn visit_mut<'n>(layers: &'n mut [Layer], out: &mut Vec<&'n mut Weights>) {
    for layer in layers {
        match layer {
            Layer::Dense(w) | Layer::Conv(w, _) | Layer::ConvLocal(w, _) | Layer::ConvTranspose(w, _) => {
                out.push(w);
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                branches.iter_mut().for_each(|branch| visit_mut(branch, out));
            }
            _ => {}
        }
    }
}

fn weights(layers: &[Layer]) -> Vec<(String, &Weights)> {
    let mut out = Vec::new();
    visit(layers, "net", &mut out);
    out
}

fn param(name: String, value: f64) -> Param {
    // At 0 there is no logarithm to walk on.
    Param { name, value, bounds: BOUNDS, transform: Transform::Log, fixed: value <= 0.0 }
}

/// `w_std` and, where there is one, `b_std` of every layer with weights.
pub(super) fn params(layers: &[Layer]) -> Vec<Param> {
    let mut out = Vec::new();
    for (place, w) in weights(layers) {
        out.push(param(format!("{place}.w_std"), w.w_std));
        out.extend(w.b_std.map(|b| param(format!("{place}.b_std"), b)));
    }
    out
}

/// Checks all values before it changes any.
pub(super) fn set_params(layers: &mut [Layer], values: &[f64]) -> Result<(), Error> {
    let params = params(layers);
    if params.len() != values.len() {
        let what = "number of parameter values";
        return Err(Error::Shape { what, expected: params.len(), given: values.len() });
    }
    for (p, &value) in params.into_iter().zip(values) {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::Parameter { name: p.name, value, expected: "a finite number, 0 or above" });
        }
    }
    let mut all = Vec::new();
    visit_mut(layers, &mut all);
    let mut values = values.iter();
    for w in all {
        for slot in [Some(&mut w.w_std), w.b_std.as_mut()].into_iter().flatten() {
            if let Some(value) = values.next() {
                *slot = *value;
            }
        }
    }
    Ok(())
}

impl NetworkKernel {
    /// Adjoints of the outcome's covariance and tangent kernel for these weights of kernel values.
    fn bars(&self, weights: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let zeros = vec![0.0; weights.len()];
        match self.limit() {
            Limit::Nngp => (weights, zeros),
            Limit::Ntk => (zeros, weights),
        }
    }

    /// From derivatives by σ_w² and σ_b² to those by the parameters.
    fn collect(&self, squares: &[(f64, f64)], gradient: &mut [f64]) {
        let mut gradient = gradient.iter_mut();
        for ((_, w), (by_w, by_b)) in weights(self.net().layers()).into_iter().zip(squares) {
            for (std, by) in [(Some(w.w_std), by_w), (w.b_std, by_b)] {
                if let Some(std) = std
                    && let Some(g) = gradient.next()
                {
                    *g += 2.0 * std * by;
                }
            }
        }
    }

    pub(super) fn rows_gradient<T: Real>(
        &self,
        at: &Block<'_, Rows<T>>,
        given: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        let ((rows, cols), layers) = (at.shape(), self.net().layers());
        let Ok(linear) = Linear::new(0.0) else { return };
        if rows == 0 || cols == 0 {
            return;
        }
        let dim = at.xs().dim();
        let inverse = 1.0 / dim.max(1) as f64;
        let mut products = DMatrix::<T>::zeros(rows, cols);
        Kernel::<Rows<T>>::block(&linear, at, products.as_view_mut(), ws);
        let points = at.rows().map(|i| at.xs().point(i)).chain(at.cols().map(|j| at.ys().point(j)));
        let mut own =
            Sheet::of_points(rows + cols, rows + cols, false, points.map(input_variance).collect(), dim);
        let mut walk = Walk::new(Sides::Own, self.cache());
        let tape = walk.forward(layers, &mut own);
        let slots = walk.slots;
        let (mut by_slots, mut unused) = (seeds(&slots), seeds(&slots));
        let mut squares = vec![(0.0, 0.0); weights(layers).len()];
        let mut ends = vec![0.0; rows + cols];
        let mut on_diagonal = vec![None; cols];
        at.diagonal_entries().for_each(|(i, j)| on_diagonal[j] = Some(i));
        let width = (STRIP / rows).clamp(1, cols);
        for start in (0..cols).step_by(width) {
            let count = width.min(cols - start);
            let part = products.columns(start, count);
            let q = part.iter().map(|v| v.to_f64() * inverse).collect();
            let mut sheet = Sheet::of_points(rows, count, true, q, dim);
            let mut bar: Vec<f64> = given.columns(start, count).iter().map(|w| w.to_f64()).collect();
            for j in 0..count {
                if let Some(i) = on_diagonal[start + j] {
                    ends[i] += std::mem::take(&mut bar[j * rows + i]);
                }
            }
            let from = rows + start;
            let pairs =
                Walk::new(Sides::Pair(&slots, &slots, from), self.cache()).forward(layers, &mut sheet);
            let (bar, bar_t) = self.bars(bar);
            // Rows and columns write to seeds of their own, which are added below.
            let mut bars = Bars { weights: &mut squares, left: &mut by_slots, right: &mut unused, from };
            pairs.backward(bar, bar_t, None, &mut bars);
        }
        for (sum, part) in by_slots.iter_mut().zip(&unused) {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        let (bar, bar_t) = self.bars(ends);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut bars = Bars { weights: &mut squares, left: &mut left, right: &mut right, from: 0 };
        tape.backward(bar, bar_t, Some(&by_slots), &mut bars);
        self.collect(&squares, gradient);
    }

    pub(super) fn images_gradient<T: Real>(
        &self,
        at: &Block<'_, Images<T>>,
        given: DMatrixView<'_, T>,
        gradient: &mut [f64],
    ) {
        let ((rows, cols), layers) = (at.shape(), self.net().layers());
        let full = self.net().requirements().all_pairs;
        let images: Vec<_> =
            at.rows().map(|i| at.xs().point(i)).chain(at.cols().map(|j| at.ys().point(j))).collect();
        let mut squares = vec![(0.0, 0.0); weights(layers).len()];
        let mut all = Vec::with_capacity(images.len());
        for &x in &images {
            let mut walk = Walk::new(Sides::Own, self.cache());
            walk.forward(layers, &mut Sheet::of_images(Field::new(x, x, full)));
            let zeros = seeds(&walk.slots);
            all.push((walk.slots, zeros, 0.0));
        }
        let mut on_diagonal = vec![None; cols];
        at.diagonal_entries().for_each(|(i, j)| on_diagonal[j] = Some(i));
        for (j, same) in on_diagonal.into_iter().enumerate() {
            for i in 0..rows {
                let weight = given[(i, j)].to_f64();
                if same == Some(i) {
                    all[i].2 += weight;
                    continue;
                }
                if weight.abs() <= 0.0 {
                    continue;
                }
                let (before, after) = all.split_at_mut(rows);
                let ((left, by_left, _), (right, by_right, _)) = (&mut before[i], &mut after[j]);
                let mut sheet = Sheet::of_images(Field::new(images[i], images[rows + j], full));
                let tape = Walk::new(Sides::Pair(left, right, 0), self.cache()).forward(layers, &mut sheet);
                let (bar, bar_t) = self.bars(vec![weight]);
                let mut bars = Bars { weights: &mut squares, left: by_left, right: by_right, from: 0 };
                tape.backward(bar, bar_t, None, &mut bars);
            }
        }
        for (&x, (_, by_slots, end)) in images.iter().zip(&all) {
            let mut walk = Walk::new(Sides::Own, self.cache());
            let tape = walk.forward(layers, &mut Sheet::of_images(Field::new(x, x, full)));
            let (bar, bar_t) = self.bars(vec![*end]);
            let (mut left, mut right) = (Vec::new(), Vec::new());
            let mut bars = Bars { weights: &mut squares, left: &mut left, right: &mut right, from: 0 };
            tape.backward(bar, bar_t, Some(by_slots), &mut bars);
        }
        self.collect(&squares, gradient);
    }
}
