//! Sweeps backwards: derivatives of values by the numbers on the cells, exact for the scheme.
//!
//! The frontier is kept at every ⌈√m⌉-th row of the forward sweep; the rows between are swept again when the backward
//! sweep comes to them. Memory is O(√m n) a pair. Derivatives leave in strips of rows.

use std::ops::Range;

use super::cells::{
    Cells, Exponents, PIECE, Pair, Scheme, Source, batch_order, for_batches, power_of_two, width,
};

/// Schemes that can be swept backwards.
pub(super) trait Adjoint: Scheme {
    /// Adds `weight` times the derivatives of a lane's value by the frontier and by the tops.
    fn seed(&self, cols: usize, lane: usize, weight: f64, adjoint: &mut [f64], tops: &mut [f64]);
    /// Sweeps one part backwards: `adjoint` turns from derivatives by the frontier after it to those by the one before it, and
    /// derivatives by the numbers on the cells are added to `dg`.
    #[allow(clippy::too_many_arguments, reason = "buffers of one sweep, each with its own use")]
    fn back(
        &self,
        g: &[f64],
        frontiers: (&[f64], &[f64]),
        one: &[f64],
        tops: Option<&[f64]>,
        adjoint: &mut [f64],
        dg: &mut [f64],
        scratch: &mut Vec<f64>,
    );
}

/// Takes the derivatives of a pair's weighted value by the numbers of a strip of its rows, row by row.
pub(super) trait Sink {
    fn strip(&mut self, pair: &Pair, rows: Range<usize>, derivatives: &[f64]);
}

/// A frontier and where its lanes stand.
struct Kept {
    frontier: Vec<f64>,
    exponents: Exponents,
}

fn backward<S: Adjoint>(scheme: &S, source: &Source<'_>, lanes: &[Pair], width: usize, sink: &mut dyn Sink) {
    let mut cells = Cells::new(source, lanes, width);
    let (rows, cols) = (cells.rows, cells.cols);
    let spacing = ((rows as f64).sqrt().ceil() as usize).max(1);
    let watch = lanes.iter().any(|p| p.watch);
    let mut now = Kept { frontier: vec![0.0; scheme.frontier(cols) * width], exponents: Exponents::new() };
    scheme.start(&mut now.frontier, width);
    let mut checkpoints: Vec<Kept> = Vec::new();
    let mut tops = vec![0.0; scheme.tops(cols) * width];
    for i in 0..rows {
        if i % spacing == 0 {
            checkpoints.push(Kept { frontier: now.frontier.clone(), exponents: now.exponents.clone() });
        }
        scheme.row(cells.row(i), &mut now.frontier, &now.exponents.one, &mut tops);
        if watch {
            now.exponents.settle(&mut now.frontier, width);
        }
    }
    tops.fill(0.0);
    let mut adjoint = vec![0.0; now.frontier.len()];
    let mut stands = Exponents::new();
    let mut scratch = Vec::new();
    let mut parts: Vec<Vec<f64>> = vec![vec![0.0; now.frontier.len()]; scheme.parts() + 1];
    let mut dg = vec![0.0; cols * width];
    let mut strip: Vec<Vec<f64>> = vec![Vec::new(); lanes.len()];
    while let Some(from) = checkpoints.pop() {
        let first = checkpoints.len() * spacing;
        let last = (first + spacing).min(rows);
        // The frontiers before every row of this piece.
        let mut kept = vec![from];
        for i in first..last - 1 {
            let before = &kept[i - first];
            let mut next = Kept { frontier: before.frontier.clone(), exponents: before.exponents.clone() };
            scheme.row(cells.row(i), &mut next.frontier, &next.exponents.one, &mut tops);
            if watch {
                next.exponents.settle(&mut next.frontier, width);
            }
            kept.push(next);
        }
        tops.fill(0.0);
        for i in (first..last).rev() {
            let before = &kept[i - first];
            let one = &before.exponents.one;
            let g = cells.row(i);
            parts[0].copy_from_slice(&before.frontier);
            for p in 1..parts.len() {
                let (done, rest) = parts.split_at_mut(p);
                rest[0].copy_from_slice(&done[p - 1]);
                scheme.part(g, &mut rest[0], one, &mut []);
            }
            for (lane, pair) in lanes.iter().enumerate() {
                if pair.rows == i + 1 {
                    stands.lanes[lane] = pair.weight.exponent();
                    scheme.seed(pair.cols, lane, pair.weight.mantissa(), &mut adjoint, &mut tops);
                }
            }
            dg.fill(0.0);
            for p in (0..parts.len() - 1).rev() {
                let seeds = (p + 2 == parts.len()).then_some(&tops[..]);
                let frontiers = (&parts[p][..], &parts[p + 1][..]);
                scheme.back(g, frontiers, one, seeds, &mut adjoint, &mut dg, &mut scratch);
            }
            tops.fill(0.0);
            let piece = cells.strip_of(i);
            for (lane, pair) in lanes.iter().enumerate() {
                if i >= pair.rows {
                    continue;
                }
                // Halves of the exponent: each alone is in range where the product is.
                let e = stands.lanes[lane] + before.exponents.lanes[lane];
                let (half, rest) = (power_of_two(e / 2), power_of_two(e - e / 2));
                let to = &mut strip[lane];
                to.resize(piece.len() * pair.cols, 0.0);
                let to = &mut to[(i - piece.start) * pair.cols..(i + 1 - piece.start) * pair.cols];
                for (to, from) in to.iter_mut().zip(dg[lane..].iter().step_by(width)) {
                    *to = from * half * rest;
                }
                if i == piece.start {
                    let rows = piece.start..piece.end.min(pair.rows);
                    sink.strip(pair, rows.clone(), &strip[lane][..rows.len() * pair.cols]);
                }
            }
            if watch {
                stands.settle(&mut adjoint, width);
            }
        }
    }
}

/// Sends the derivatives of all pairs to sinks, one for each piece of the pairs; returns them in the order of the pieces.
pub(super) fn gradients<K: Sink + Send, S: Adjoint>(
    source: &Source<'_>,
    pairs: &[Pair],
    scheme: S,
    sink: impl Fn() -> K + Send + Sync,
) -> Vec<K> {
    let (order, width) = (batch_order(pairs), width());
    let sorted: Vec<Pair> = order.iter().map(|&i| pairs[i]).collect();
    crate::engine::map_tasks::<f64, _>(sorted.len().div_ceil(PIECE), |task, _| {
        let piece = &sorted[task * PIECE..((task + 1) * PIECE).min(sorted.len())];
        let mut sink = sink();
        for_batches(piece, width, |batch| {
            let lanes = &piece[batch];
            backward(&scheme.with_plan(lanes[0].plan), source, lanes, width, &mut sink);
        });
        sink
    })
}
