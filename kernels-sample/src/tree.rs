//! A k-d tree over points, in memory order of its leaves.

use std::ops::Range;

use kernels_core::{Points, Rows};

use crate::Error;

/// A node: a range of points in leaf order, and its two halves.
pub(crate) struct Node {
    pub(crate) range: Range<usize>,
    /// In the list of nodes.
    pub(crate) children: Option<(usize, usize)>,
}

/// Halved at the median of the widest feature until at most `leaf` points are left.
pub(crate) struct Tree {
    /// Points in the order of the leaves.
    pub(crate) points: Rows<f64>,
    /// Where each of these was before.
    pub(crate) order: Vec<usize>,
    /// The root is the first one; children come after their parent.
    pub(crate) nodes: Vec<Node>,
    /// Lower and upper end of every feature, 2d values a node.
    bounds: Vec<f64>,
}

impl Tree {
    pub(crate) fn new(xs: &Rows<f64>, leaf: usize) -> Result<Self, Error> {
        let mut order: Vec<usize> = (0..xs.len()).collect();
        let (mut nodes, mut bounds) = (Vec::new(), Vec::new());
        build(xs, leaf.max(1), &mut order, 0, &mut nodes, &mut bounds);
        let points = xs.subset(&order)?;
        Ok(Self { points, order, nodes, bounds })
    }

    /// The box of a node: (low, high) of every feature.
    #[inline]
    pub(crate) fn bounds(&self, node: usize) -> &[f64] {
        let width = 2 * self.points.dim();
        &self.bounds[node * width..(node + 1) * width]
    }

    /// Sums of rows of `width` values, one a point in leaf order, over the points of every node.
    pub(crate) fn totals(&self, values: &[f64], width: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.nodes.len() * width];
        for (place, node) in self.nodes.iter().enumerate().rev() {
            match node.children {
                Some((a, b)) => {
                    for j in 0..width {
                        out[place * width + j] = out[a * width + j] + out[b * width + j];
                    }
                }
                None => {
                    for i in node.range.clone() {
                        for j in 0..width {
                            out[place * width + j] += values[i * width + j];
                        }
                    }
                }
            }
        }
        out
    }
}

fn build(
    xs: &Rows<f64>,
    leaf: usize,
    order: &mut [usize],
    start: usize,
    nodes: &mut Vec<Node>,
    bounds: &mut Vec<f64>,
) -> usize {
    let d = xs.dim();
    let place = nodes.len();
    let mut own = [f64::INFINITY, f64::NEG_INFINITY].repeat(d);
    for &i in order.iter() {
        for (ends, &x) in own.chunks_exact_mut(2).zip(xs.point(i)) {
            ends[0] = ends[0].min(x);
            ends[1] = ends[1].max(x);
        }
    }
    let width = |j: &usize| own[2 * j + 1] - own[2 * j];
    let widest = (0..d).max_by(|a, b| width(a).total_cmp(&width(b))).unwrap_or(0);
    nodes.push(Node { range: start..start + order.len(), children: None });
    bounds.extend(own);
    if order.len() > leaf && d > 0 {
        let middle = order.len() / 2;
        order.select_nth_unstable_by(middle, |&a, &b| {
            xs.point(a)[widest].total_cmp(&xs.point(b)[widest]).then(a.cmp(&b))
        });
        let (left, right) = order.split_at_mut(middle);
        let first = build(xs, leaf, left, start, nodes, bounds);
        let second = build(xs, leaf, right, start + middle, nodes, bounds);
        nodes[place].children = Some((first, second));
    }
    place
}
