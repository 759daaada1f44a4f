//! Kernel sums within a tolerance, by a k-d tree over the points and one over the queries.

use std::ops::Range;

use kernels_core::{Block, Kernel, Points, Radial, Rows, Workspace};
use nalgebra::DMatrixViewMut;

use super::DensityKernel;
use crate::{Error, parallel};

/// Points of a leaf.
const LEAF: usize = 64;

struct Node {
    range: Range<usize>,
    low: Vec<f64>,
    high: Vec<f64>,
    weight: f64,
    /// The two halves, in the list of nodes.
    children: Option<(usize, usize)>,
}

struct Tree {
    /// Points in the order of the leaves.
    points: Rows<f64>,
    weights: Vec<f64>,
    order: Vec<usize>,
    nodes: Vec<Node>,
}

impl Tree {
    fn new(xs: &Rows<f64>, weights: &[f64]) -> Result<Self, Error> {
        let mut order: Vec<usize> = (0..xs.len()).collect();
        let mut nodes = Vec::new();
        build(xs, weights, &mut order, 0, &mut nodes);
        let points = xs.subset(&order)?;
        let weights = order.iter().map(|&i| weights[i]).collect();
        Ok(Self { points, weights, order, nodes })
    }
}

fn build(xs: &Rows<f64>, weights: &[f64], order: &mut [usize], start: usize, nodes: &mut Vec<Node>) -> usize {
    let d = xs.dim();
    let mut low = vec![f64::INFINITY; d];
    let mut high = vec![f64::NEG_INFINITY; d];
    for &i in order.iter() {
        for (j, &x) in xs.point(i).iter().enumerate() {
            low[j] = low[j].min(x);
            high[j] = high[j].max(x);
        }
    }
    let weight = order.iter().map(|&i| weights[i]).sum();
    let place = nodes.len();
    let widest = (0..d).max_by(|&a, &b| (high[a] - low[a]).total_cmp(&(high[b] - low[b]))).unwrap_or(0);
    nodes.push(Node { range: start..start + order.len(), low, high, weight, children: None });
    if order.len() > LEAF {
        let middle = order.len() / 2;
        order.select_nth_unstable_by(middle, |&a, &b| {
            xs.point(a)[widest].total_cmp(&xs.point(b)[widest]).then(a.cmp(&b))
        });
        let (left, right) = order.split_at_mut(middle);
        let first = build(xs, weights, left, start, nodes);
        let second = build(xs, weights, right, start + middle, nodes);
        nodes[place].children = Some((first, second));
    }
    place
}

/// Least and greatest distance between two boxes.
fn distances(a: &Node, b: &Node) -> (f64, f64) {
    let (mut near, mut far) = (0.0, 0.0);
    for j in 0..a.low.len() {
        let gap = (a.low[j] - b.high[j]).max(b.low[j] - a.high[j]).max(0.0);
        let span = (a.high[j] - b.low[j]).max(b.high[j] - a.low[j]);
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
    let tree = Tree::new(xs, weights)?;
    let asked = Tree::new(queries, &vec![1.0; queries.len()])?;
    let radial = Radial::with_profile(kernel, 1.0)?;
    let total = tree.nodes[0].weight;
    let leaves: Vec<usize> = (0..asked.nodes.len()).filter(|&i| asked.nodes[i].children.is_none()).collect();
    let parts = parallel::map(leaves.len(), |leaf| {
        let group = &asked.nodes[leaves[leaf]];
        let mut walk = Walk {
            tree: &tree,
            asked: &asked,
            group,
            kernel,
            radial: &radial,
            relative: relative / total,
            absolute: absolute / total,
            sums: vec![0.0; group.range.len()],
            floor: 0.0,
            tile: vec![0.0; group.range.len() * LEAF],
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
    asked: &'a Tree,
    group: &'a Node,
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
        let (near, far) = distances(self.group, node);
        let (most, least) = (self.kernel.profile(near), self.kernel.profile(far));
        // Rounding of the box distances must not hide points at a support's edge: those are within the tolerance of 0.
        let allowed = self.absolute + self.relative * (self.floor + node.weight * least);
        if 0.5 * (most - least) <= allowed {
            let value = node.weight * 0.5 * (most + least);
            self.sums.iter_mut().for_each(|s| *s += value);
            self.floor += node.weight * least;
            return;
        }
        match node.children {
            Some((a, b)) => {
                let distance = |i: usize| distances(self.group, &self.tree.nodes[i]).0;
                let (first, second) = if distance(b) < distance(a) { (b, a) } else { (a, b) };
                self.node(first);
                self.node(second);
            }
            None => self.leaf(node.range.clone()),
        }
    }

    fn leaf(&mut self, range: Range<usize>) {
        let rows = self.group.range.len();
        let Ok(at) =
            Block::between(&self.asked.points, self.group.range.clone(), &self.tree.points, range.clone())
        else {
            return;
        };
        let tile = &mut self.tile[..rows * range.len()];
        self.radial.block(&at, DMatrixViewMut::from_slice(tile, rows, range.len()), &mut self.ws);
        let mut least = f64::INFINITY;
        let mut added = vec![0.0; rows];
        for (column, w) in tile.chunks_exact(rows).zip(&self.tree.weights[range]) {
            added.iter_mut().zip(column).for_each(|(a, k)| *a += w * k);
        }
        for (sum, a) in self.sums.iter_mut().zip(&added) {
            *sum += a;
            least = least.min(*a);
        }
        self.floor += least;
    }
}
