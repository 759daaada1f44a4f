//! Filters and strides: which inputs an output sees.

use kernels_core::{Simd, Vector, Work};

use super::{
    angles::{load, store},
    spatial::Field,
};
use crate::net::{Padding, Window};

/// Which inputs an output along one axis sees.
#[derive(Debug)]
pub(super) struct Axis {
    input: usize,
    pub(super) output: usize,
    /// For each output and tap the input, or nothing beyond the border.
    sources: Vec<Option<usize>>,
    taps: usize,
}

impl Axis {
    fn new(input: usize, size: usize, stride: usize, padding: Padding) -> Self {
        let output = match padding {
            Padding::Same | Padding::Circular => input.div_ceil(stride),
            Padding::Valid if input < size => 0,
            Padding::Valid => (input - size) / stride + 1,
        };
        let total = match padding {
            Padding::Valid => 0,
            _ if output == 0 => 0,
            _ => ((output - 1) * stride + size).saturating_sub(input),
        };
        let low = total / 2;
        let source = |o: usize, t: usize| {
            let place = (o * stride + t) as isize - low as isize;
            match padding {
                Padding::Circular => Some(place.rem_euclid(input.max(1) as isize) as usize),
                _ => usize::try_from(place).ok().filter(|&p| p < input),
            }
        };
        let sources = (0..output * size).map(|e| source(e / size, e % size)).collect();
        Self { input, output, sources, taps: size }
    }

    /// The transposed map: input i reaches output o through tap t when i · stride = o − low + t.
    fn transposed(input: usize, size: usize, stride: usize, padding: Padding) -> Self {
        let (output, low) = match padding {
            Padding::Valid => {
                (if input == 0 { 0 } else { input * stride + size.saturating_sub(stride) }, size - 1)
            }
            _ => {
                let low = if stride > size - 1 { size - 1 } else { (size + stride - 2).div_ceil(2) };
                (input * stride, low)
            }
        };
        let source = |o: usize, t: usize| {
            let place = (o + t) as isize - low as isize;
            let reach = (input * stride) as isize;
            if padding == Padding::Circular {
                let place = place.rem_euclid(reach.max(1));
                return (place % stride as isize == 0).then_some((place / stride as isize) as usize);
            }
            (place >= 0 && place < reach && place % stride as isize == 0)
                .then_some((place / stride as isize) as usize)
        };
        let sources = (0..output * size).map(|e| source(e / size, e % size)).collect();
        Self { input, output, sources, taps: size }
    }

    /// For filters that move by one place: inputs and what is beyond the border in a row, so that output o sees places o, o + 1, …
    /// through its taps.
    fn line(&self) -> Option<Line> {
        let mut places: Vec<Option<Option<usize>>> = vec![None; (self.output + self.taps).saturating_sub(1)];
        for o in 0..self.output {
            for (t, source) in self.inputs(o).iter().enumerate() {
                match places[o + t] {
                    Some(known) if known != *source => return None,
                    _ => places[o + t] = Some(*source),
                }
            }
        }
        // Where the input itself stands.
        let inside = |start: usize| (0..self.input).all(|j| places.get(start + j) == Some(&Some(Some(j))));
        let start = (0..places.len()).find(|&start| inside(start))?;
        let edges = places
            .iter()
            .enumerate()
            .filter(|(x, _)| *x < start || *x >= start + self.input)
            .filter_map(|(x, source)| source.flatten().map(|j| (x, j)))
            .collect();
        Some(Line { length: places.len(), start, edges })
    }

    pub(super) fn inputs(&self, o: usize) -> &[Option<usize>] {
        &self.sources[o * self.taps..(o + 1) * self.taps]
    }
}

/// A row of inputs with its borders: its length, where the inputs begin, and which inputs stand beyond them (the rest is 0).
#[derive(Debug)]
struct Line {
    length: usize,
    start: usize,
    edges: Vec<(usize, usize)>,
}

/// [`Taps::apply`] where filters move by one place along rows.
struct Moved<'a> {
    taps: &'a Taps,
    line: Line,
    shape: (usize, usize),
    m: &'a [f64],
    out: &'a mut [f64],
}

impl Work<f64> for Moved<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let Self { taps, line, shape: (h, w), m, out } = self;
        let (out_h, out_w) = (taps.rows.output, taps.columns.output);
        let scale = V::splat(1.0 / (taps.rows.taps * taps.columns.taps) as f64);
        // Rows of the second image by rows of the first, summed over the taps of the height; room for whole vectors at the end.
        let mut plane = vec![0.0; line.length * w + 16];
        for o2 in 0..out_h {
            for o1 in 0..out_h {
                for j2 in 0..w {
                    let row = &mut plane[j2 * line.length..][..line.length];
                    let mut i = 0;
                    while i < w {
                        let mut sum = V::splat(0.0);
                        for (a, b) in taps.rows.inputs(o2).iter().zip(taps.rows.inputs(o1)) {
                            if let (Some(i2), Some(i1)) = (a, b) {
                                sum = sum + load::<V>(&m[((i2 * w + j2) * h + i1) * w + i..]);
                            }
                        }
                        let end = (i + V::LANES).min(w);
                        store(sum, &mut row[line.start + i..line.start + end]);
                        i = end;
                    }
                    for &(x, j) in &line.edges {
                        row[x] = row[line.start + j];
                    }
                }
                for c2 in 0..out_w {
                    let to = &mut out[((o2 * out_w + c2) * out_h + o1) * out_w..][..out_w];
                    let mut i = 0;
                    while i < out_w {
                        let mut sum = V::splat(0.0);
                        for (t, source) in taps.columns.inputs(c2).iter().enumerate() {
                            if let Some(j2) = source {
                                sum = sum + load::<V>(&plane[j2 * line.length + t + i..]);
                            }
                        }
                        let end = (i + V::LANES).min(out_w);
                        store(sum * scale, &mut to[i..end]);
                        i = end;
                    }
                }
            }
        }
    }
}

/// Windows of one axis act on the width, or on the height of what is one place wide.
pub(super) fn axes(field: &Field, window: &Window) -> [Axis; 2] {
    let axis = |input, k: usize| Axis::new(input, window.size[k], window.stride[k], window.padding);
    if window.size.len() == 1 {
        [Axis::new(field.height, 1, 1, Padding::Valid), axis(field.width, 0)]
    } else {
        [axis(field.height, 0), axis(field.width, 1)]
    }
}

/// The taps of a convolution along both axes.
pub(super) struct Taps {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
}

impl Taps {
    pub(super) fn new(field: &Field, window: &Window, transposed: bool) -> Self {
        if !transposed {
            let [rows, columns] = axes(field, window);
            return Self { rows, columns };
        }
        let axis =
            |input, k: usize| Axis::transposed(input, window.size[k], window.stride[k], window.padding);
        if window.size.len() == 1 {
            Self { rows: Axis::new(field.height, 1, 1, Padding::Valid), columns: axis(field.width, 0) }
        } else {
            Self { rows: axis(field.height, 0), columns: axis(field.width, 1) }
        }
    }

    pub(super) fn apply(&self, field: &Field, m: &[f64]) -> Vec<f64> {
        let scale = 1.0 / (self.rows.taps * self.columns.taps) as f64;
        let (w, out_h, out_w) = (field.width, self.rows.output, self.columns.output);
        if !field.full {
            let mut out = vec![0.0; out_h * out_w];
            for r in 0..out_h {
                for i in self.rows.inputs(r).iter().flatten() {
                    for c in 0..out_w {
                        for j in self.columns.inputs(c).iter().flatten() {
                            out[r * out_w + c] += m[i * w + j];
                        }
                    }
                }
            }
            out.iter_mut().for_each(|v| *v *= scale);
            return out;
        }
        let h = field.height;
        if let Some(line) = self.columns.line() {
            let mut out = vec![0.0; out_h * out_w * out_h * out_w];
            f64::dispatch(Moved { taps: self, line, shape: (h, w), m, out: &mut out });
            return out;
        }
        // Along rows: (i, i′) moves, (j, j′) stays. Index ((i′ w + j′) h + i) w + j.
        let mut half = vec![0.0; out_h * w * out_h * w];
        for o2 in 0..out_h {
            for o1 in 0..out_h {
                for t in 0..self.rows.taps {
                    let (Some(i2), Some(i1)) = (self.rows.inputs(o2)[t], self.rows.inputs(o1)[t]) else {
                        continue;
                    };
                    for j2 in 0..w {
                        let from = &m[((i2 * w + j2) * h + i1) * w..][..w];
                        let to = &mut half[((o2 * w + j2) * out_h + o1) * w..][..w];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                    }
                }
            }
        }
        // Along columns: (j, j′) moves.
        let mut out = vec![0.0; out_h * out_w * out_h * out_w];
        for o2 in 0..out_h {
            for c2 in 0..out_w {
                for t in 0..self.columns.taps {
                    let Some(j2) = self.columns.inputs(c2)[t] else { continue };
                    for o1 in 0..out_h {
                        let from = &half[((o2 * w + j2) * out_h + o1) * w..][..w];
                        let to = &mut out[((o2 * out_w + c2) * out_h + o1) * out_w..][..out_w];
                        for (c1, to) in to.iter_mut().enumerate() {
                            if let Some(j1) = self.columns.sources[c1 * self.columns.taps + t] {
                                *to += from[j1];
                            }
                        }
                    }
                }
            }
        }
        debug_assert_eq!(self.columns.input, w);
        out.iter_mut().for_each(|v| *v *= scale);
        out
    }

    /// The transpose of [`Taps::apply`]: from derivatives by outputs to derivatives by inputs of a field of this shape.
    pub(super) fn adjoint(&self, (h, w): (usize, usize), full: bool, bar: &[f64]) -> Vec<f64> {
        let scale = 1.0 / (self.rows.taps * self.columns.taps) as f64;
        let (out_h, out_w) = (self.rows.output, self.columns.output);
        if !full {
            let mut out = vec![0.0; h * w];
            for r in 0..out_h {
                for i in self.rows.inputs(r).iter().flatten() {
                    for c in 0..out_w {
                        for j in self.columns.inputs(c).iter().flatten() {
                            out[i * w + j] += scale * bar[r * out_w + c];
                        }
                    }
                }
            }
            return out;
        }
        let mut half = vec![0.0; out_h * w * out_h * w];
        for o2 in 0..out_h {
            for c2 in 0..out_w {
                for t in 0..self.columns.taps {
                    let Some(j2) = self.columns.inputs(c2)[t] else { continue };
                    for o1 in 0..out_h {
                        let from = &bar[((o2 * out_w + c2) * out_h + o1) * out_w..][..out_w];
                        let to = &mut half[((o2 * w + j2) * out_h + o1) * w..][..w];
                        for (c1, from) in from.iter().enumerate() {
                            if let Some(j1) = self.columns.sources[c1 * self.columns.taps + t] {
                                to[j1] += scale * from;
                            }
                        }
                    }
                }
            }
        }
        let mut out = vec![0.0; h * w * h * w];
        for o2 in 0..out_h {
            for o1 in 0..out_h {
                for t in 0..self.rows.taps {
                    let (Some(i2), Some(i1)) = (self.rows.inputs(o2)[t], self.rows.inputs(o1)[t]) else {
                        continue;
                    };
                    for j2 in 0..w {
                        let from = &half[((o2 * w + j2) * out_h + o1) * w..][..w];
                        let to = &mut out[((i2 * w + j2) * h + i1) * w..][..w];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                    }
                }
            }
        }
        out
    }
}

/// A linear map of positions that is the same for both images: for each output its inputs, and their common weight.
pub(super) struct Pooling {
    places: usize,
    pub(super) shape: (usize, usize),
    map: Vec<(Vec<usize>, f64)>,
}

impl Pooling {
    pub(super) fn new(field: &Field, window: &Window, mean: bool, normalize_edges: bool) -> Self {
        let [rows, columns] = axes(field, window);
        let all = window.size.iter().product::<usize>() as f64;
        let mut map = Vec::with_capacity(rows.output * columns.output);
        for r in 0..rows.output {
            for c in 0..columns.output {
                let mut inputs = Vec::new();
                for i in rows.inputs(r).iter().flatten() {
                    inputs.extend(columns.inputs(c).iter().flatten().map(|j| i * field.width + j));
                }
                let weight = match (mean, normalize_edges && window.padding == Padding::Same) {
                    (false, _) => 1.0,
                    (true, true) => 1.0 / inputs.len().max(1) as f64,
                    (true, false) => 1.0 / all,
                };
                map.push((inputs, weight));
            }
        }
        Self { places: field.height * field.width, shape: (rows.output, columns.output), map }
    }

    /// M m Mᵀ.
    pub(super) fn apply(&self, m: &[f64]) -> Vec<f64> {
        let (places, outputs) = (self.places, self.map.len());
        let mut half = vec![0.0; places * outputs];
        for c in 0..places {
            for (o, (inputs, weight)) in self.map.iter().enumerate() {
                half[c * outputs + o] = weight * inputs.iter().map(|i| m[c * places + i]).sum::<f64>();
            }
        }
        let mut out = vec![0.0; outputs * outputs];
        for (c, (inputs, weight)) in self.map.iter().enumerate() {
            for i in inputs {
                for o in 0..outputs {
                    out[c * outputs + o] += weight * half[i * outputs + o];
                }
            }
        }
        out
    }

    /// Mᵀ bar M.
    pub(super) fn adjoint(&self, bar: &[f64]) -> Vec<f64> {
        let (places, outputs) = (self.places, self.map.len());
        let mut half = vec![0.0; places * outputs];
        for (c, (inputs, weight)) in self.map.iter().enumerate() {
            for i in inputs {
                for o in 0..outputs {
                    half[i * outputs + o] += weight * bar[c * outputs + o];
                }
            }
        }
        let mut out = vec![0.0; places * places];
        for c in 0..places {
            for (o, (inputs, weight)) in self.map.iter().enumerate() {
                for i in inputs {
                    out[c * places + i] += weight * half[c * outputs + o];
                }
            }
        }
        out
    }
}
