//! Kernel sums within a tolerance, by a k-d tree over the points and one over the queries.

use std::ops::Range;

use kernels_core::{Block, Kernel, Points, Radial, Rows, Workspace};
use nalgebra::DMatrixViewMut;

use super::DensityKernel;
use crate::{Error, parallel, tree::Tree};

/// Points of a leaf.
const LEAF: usize = 64;

/// Least and greatest distance between two boxes.
fn distances(a: &[f64], b: &[f64]) -> (f64, f64) {
    let (mut near, mut far) = (0.0, 0.0);
    for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2)) {
        let gap = (a[0] - b[1]).max(b[0] - a[1]).max(0.0);
        let span = (a[1] - b[0]).max(b[1] - a[0]);
        near += gap * gap;
        far += span * span;
    }
    (f64::sqrt(near), f64::sqrt(far))
}

/// Σ wᵢ κ(‖q − xᵢ‖) for every query, within `absolute` + `relative` times the sum; weights sum to at most 1 or so.
///
/// A node of weight w may err by its share w/W of the tolerance at the lower bound known so far, so that all nodes
/// together stay within it.
pub(super) fn sums(
    kernel: DensityKernel,
    xs: &Rows<f64>,
    weights: &[f64],
    queries: &Rows<f64>,
    relative: f64,
    absolute: f64,
) -> Result<Vec<f64>, Error> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let tree = Tree::new(xs, LEAF)?;
    let asked = Tree::new(queries, LEAF)?;
    let weights: Vec<f64> = tree.order.iter().map(|&i| weights[i]).collect();
    let totals = tree.totals(&weights, 1);
    let radial = Radial::with_profile(kernel, 1.0)?;
    let total = totals[0];
    let leaves: Vec<usize> = (0..asked.nodes.len()).filter(|&i| asked.nodes[i].children.is_none()).collect();
    let parts = parallel::map(leaves.len(), |leaf| {
        let group = asked.nodes[leaves[leaf]].range.clone();
        let mut walk = Walk {
            tree: &tree,
            weights: &weights,
            totals: &totals,
            asked: &asked,
            group: leaves[leaf],
            kernel,
            radial: &radial,
            relative: relative / total,
            absolute: absolute / total,
            sums: vec![0.0; group.len()],
            floor: 0.0,
            tile: vec![0.0; group.len() * LEAF],
            ws: Workspace::new(),
        };
        walk.node(0);
        walk.sums
    });
    let mut out = vec![0.0; queries.len()];
    for (leaf, part) in leaves.iter().zip(parts) {
        for (place, sum) in asked.nodes[*leaf].range.clone().zip(part) {
            out[asked.order[place]] = sum;
        }
    }
    Ok(out)
}

struct Walk<'a> {
    tree: &'a Tree,
    weights: &'a [f64],
    /// Sums of weights of the nodes.
    totals: &'a [f64],
    asked: &'a Tree,
    /// The leaf of queries.
    group: usize,
    kernel: DensityKernel,
    radial: &'a Radial<DensityKernel>,
    relative: f64,
    absolute: f64,
    sums: Vec<f64>,
    /// A lower bound on every query's sum, from what has been visited.
    floor: f64,
    tile: Vec<f64>,
    ws: Workspace<f64>,
}

impl Walk<'_> {
    fn node(&mut self, place: usize) {
        let node = &self.tree.nodes[place];
        let weight = self.totals[place];
        let distances = |i: usize| distances(self.asked.bounds(self.group), self.tree.bounds(i));
        let (near, far) = distances(place);
        let (most, least) = (self.kernel.profile(near), self.kernel.profile(far));
        // Rounding of the box distances must not hide points at a support's edge: those are within the tolerance of 0.
        let allowed = self.absolute + self.relative * (self.floor + weight * least);
        if 0.5 * (most - least) <= allowed {
            let value = weight * 0.5 * (most + least);
            self.sums.iter_mut().for_each(|s| *s += value);
            self.floor += weight * least;
            return;
        }
        match node.children {
            Some((a, b)) => {
                let (first, second) = if distances(b).0 < distances(a).0 { (b, a) } else { (a, b) };
                self.node(first);
                self.node(second);
            }
            None => self.leaf(node.range.clone()),
        }
    }

    fn leaf(&mut self, range: Range<usize>) {
        let group = self.asked.nodes[self.group].range.clone();
        let rows = group.len();
        let Ok(at) = Block::between(&self.asked.points, group, &self.tree.points, range.clone()) else {
            return;
        };
        let tile = &mut self.tile[..rows * range.len()];
        self.radial.block(&at, DMatrixViewMut::from_slice(tile, rows, range.len()), &mut self.ws);
        let mut least = f64::INFINITY;
        let mut added = vec![0.0; rows];
        for (column, w) in tile.chunks_exact(rows).zip(&self.weights[range]) {
            added.iter_mut().zip(column).for_each(|(a, k)| *a += w * k);
        }
        for (sum, a) in self.sums.iter_mut().zip(&added) {
            *sum += a;
            least = least.min(*a);
        }
        self.floor += least;
    }
}
