//! Mean shift with the flat kernel: the mean of all points within the bandwidth.

use std::collections::HashMap;

use kernels_core::{Points, Rows};

use super::nearest;
use crate::{Error, distance::squared_distance, error, parallel, tree::Tree};

/// Mean shift with the flat kernel, as most packages have it.
///
/// Starts climb by means of the points within the bandwidth; ends are sorted by their number of points, and every end within the
/// bandwidth of a better one is dropped. Sums over balls are taken from a tree: whole nodes at once where they lie within,
/// points only at the boundary.
///
/// ```
/// use kernels_core::{Points, Rows};
/// use kernels_sample::FlatMeanShift;
/// let xs = Rows::from_row_major(vec![0.0, 0.2, 0.4, 5.0, 5.2], 5, 1)?;
/// let clusters = FlatMeanShift::new(1.0).fit(&xs)?;
/// assert_eq!(clusters.labels, [Some(0), Some(0), Some(0), Some(1), Some(1)]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlatMeanShift {
    bandwidth: f64,
    binned: Option<usize>,
    iterations: usize,
    all: bool,
}

/// What [`FlatMeanShift`] found.
#[derive(Clone, Debug)]
pub struct FlatClusters {
    /// Centres, most populous first.
    pub centers: Rows<f64>,
    /// The nearest centre of each point; none beyond the bandwidth when not all points are to be clustered.
    pub labels: Vec<Option<usize>>,
    /// Largest number of steps.
    pub iterations: usize,
}

impl FlatMeanShift {
    /// Starts from every point, at most 300 steps, all points labelled.
    pub fn new(bandwidth: f64) -> Self {
        Self { bandwidth, binned: None, iterations: 300, all: true }
    }

    /// Starts from the centres of cells (one bandwidth wide) that hold at least `frequency` points, instead of from every point.
    pub fn bin_seeding(mut self, frequency: usize) -> Self {
        self.binned = Some(frequency);
        self
    }

    /// Most steps of a start.
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// Whether points beyond the bandwidth of all centres get the nearest one too (the default) or none.
    pub fn cluster_all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Finds centres and labels.
    ///
    /// **Errors.** No points or no features, values that are not finite, a bandwidth that is not positive, no cell with enough points.
    pub fn fit(&self, xs: &Rows<f64>) -> Result<FlatClusters, Error> {
        let d = xs.dim();
        error::at_least("mean shift", 1, xs.len())?;
        error::at_least("mean shift (features)", 1, d)?;
        xs.check_finite()?;
        let h = error::positive("bandwidth", self.bandwidth)?;
        let starts = match self.binned {
            None => xs.clone(),
            Some(frequency) => {
                let mut counts: HashMap<Vec<i64>, usize> = HashMap::new();
                let mut order = Vec::new();
                for i in 0..xs.len() {
                    let cell: Vec<i64> =
                        xs.point(i).iter().map(|x| (x / h).round_ties_even() as i64).collect();
                    let count = counts.entry(cell.clone()).or_insert(0);
                    if *count == 0 {
                        order.push(cell);
                    }
                    *count += 1;
                }
                order.retain(|cell| counts[cell] >= frequency);
                error::at_least("bin seeding (cells with enough points)", 1, order.len())?;
                let values = order.iter().flatten().map(|&c| c as f64 * h).collect();
                Rows::from_row_major(values, order.len(), d)?
            }
        };
        let balls = Balls::new(xs, h)?;
        let blocks = parallel::map(starts.len().div_ceil(BLOCK), |b| {
            let block = b * BLOCK..((b + 1) * BLOCK).min(starts.len());
            block.map(|i| self.climb(&balls, starts.point(i))).collect::<Vec<_>>()
        });
        let ends = blocks.concat();
        let iterations = ends.iter().map(|e| e.2).max().unwrap_or(0);
        let mut ends: Vec<(Vec<f64>, usize)> =
            ends.into_iter().filter(|e| e.1 > 0).map(|e| (e.0, e.1)).collect();
        error::at_least("mean shift (starts with a point within the bandwidth)", 1, ends.len())?;
        ends.sort_by(|a, b| {
            b.1.cmp(&a.1).then_with(|| {
                b.0.iter()
                    .zip(&a.0)
                    .map(|(b, a)| b.total_cmp(a))
                    .find(|o| o.is_ne())
                    .unwrap_or(std::cmp::Ordering::Equal)
            })
        });
        let mut kept: Vec<Vec<f64>> = Vec::new();
        for (end, _) in ends {
            if kept.iter().all(|k| squared_distance(k, &end) > h * h) {
                kept.push(end);
            }
        }
        let centers = Rows::from_row_major(kept.concat(), kept.len(), d)?;
        let labels = parallel::map(xs.len(), |i| {
            let (label, distance) = nearest(&centers, xs.point(i));
            (self.all || distance <= h * h).then_some(label)
        });
        Ok(FlatClusters { centers, labels, iterations })
    }

    fn climb(&self, balls: &Balls, start: &[f64]) -> (Vec<f64>, usize, usize) {
        let stop = 1e-6 * balls.h2;
        let mut x = start.to_vec();
        let mut sum = vec![0.0; x.len()];
        let mut iteration = 0;
        loop {
            sum.fill(0.0);
            let count = balls.sum(0, &x, &mut sum);
            if count == 0 {
                return (x, 0, iteration);
            }
            sum.iter_mut().for_each(|s| *s /= count as f64);
            let moved = squared_distance(&x, &sum);
            x.copy_from_slice(&sum);
            if moved <= stop || iteration >= self.iterations {
                return (x, count, iteration);
            }
            iteration += 1;
        }
    }
}

/// Starts that one task climbs from.
const BLOCK: usize = 64;

/// Points of a leaf.
const LEAF: usize = 16;

/// Counts and sums of the points within balls of one radius.
struct Balls {
    tree: Tree,
    /// Sum of the points of every node.
    sums: Vec<f64>,
    h2: f64,
}

impl Balls {
    fn new(xs: &Rows<f64>, h: f64) -> Result<Self, Error> {
        let tree = Tree::new(xs, LEAF)?;
        let sums = tree.totals(tree.points.as_slice(), xs.dim());
        Ok(Self { tree, sums, h2: h * h })
    }

    /// Adds the points of a node within the ball around x to `out`; their number. Distances to boxes round as those to
    /// points do, so that a node is within exactly when all its points are.
    fn sum(&self, place: usize, x: &[f64], out: &mut [f64]) -> usize {
        let d = x.len();
        let (mut near, mut far) = (0.0, 0.0);
        for (x, ends) in x.iter().zip(self.tree.bounds(place).chunks_exact(2)) {
            let (below, above) = (x - ends[0], ends[1] - x);
            let gap = (-below).max(-above).max(0.0);
            let span = below.max(above);
            near += gap * gap;
            far += span * span;
        }
        if near > self.h2 {
            return 0;
        }
        let node = &self.tree.nodes[place];
        if far <= self.h2 {
            out.iter_mut().zip(&self.sums[place * d..(place + 1) * d]).for_each(|(o, s)| *o += s);
            return node.range.len();
        }
        match node.children {
            Some((a, b)) => self.sum(a, x, out) + self.sum(b, x, out),
            None => {
                let mut count = 0;
                let points = &self.tree.points.as_slice()[node.range.start * d..node.range.end * d];
                for y in points.chunks_exact(d) {
                    // Without a branch: at the boundary it could not be foreseen.
                    let within = squared_distance(x, y) <= self.h2;
                    count += usize::from(within);
                    let factor = f64::from(u8::from(within));
                    out.iter_mut().zip(y).for_each(|(o, y)| *o += factor * y);
                }
                count
            }
        }
    }
}

/// Mean over points of the distance to the ⌊`quantile` n⌋-th nearest point, itself counted (at least the first).
///
/// **Errors.** No points, values that are not finite, a quantile outside (0, 1]. **Complexity.** O(n² d).
pub fn estimate_bandwidth(xs: &Rows<f64>, quantile: f64) -> Result<f64, Error> {
    error::at_least("a bandwidth", 1, xs.len())?;
    xs.check_finite()?;
    error::parameter("quantile", quantile, quantile > 0.0 && quantile <= 1.0, "above 0, at most 1")?;
    let n = xs.len();
    let rank = ((quantile * n as f64) as usize).clamp(1, n);
    let each = parallel::map(n, |i| {
        let mut all: Vec<f64> = (0..n).map(|j| squared_distance(xs.point(i), xs.point(j))).collect();
        all.select_nth_unstable_by(rank - 1, f64::total_cmp).1.sqrt()
    });
    Ok(each.iter().sum::<f64>() / n as f64)
}
