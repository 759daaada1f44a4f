//! Nearest points, nearly all of them, without comparing all pairs.

use kernels_core::{Points, Rows};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    EdgeWeight, Error, Graph, Joining,
    error::parameter,
    nearest::{join, squared},
};
use kernels_core::parallel;

/// A search for the k nearest points that looks at a few hundred candidates a point instead of all n.
///
/// Candidates are the points in the same leaf of some random trees, whose nodes divide their points at the median of the projection onto the line
/// through two of them; then, in each round, the neighbours of neighbours and the points that name a point as their neighbour. Distances are
/// exact; some neighbours may be missed. Same seed, same result, for any number of threads. O(n (trees · leaf + rounds · k²) d).
///
/// References: Dasgupta & Freund, *Random projection trees* (2008); Dong, Moses & Li, *Efficient k-nearest neighbor graph construction* (2011).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_graph::{NearestSearch, nearest};
/// let xs = Rows::from_row_major((0..900).map(|i| ((i * i) as f64).sin()).collect(), 300, 3)?;
/// let (found, exact) = (NearestSearch::new().search(&xs, 5)?, nearest(&xs, 5)?);
/// let right = found.iter().zip(&exact).filter(|(a, b)| a == b).count();
/// assert!(right > 290);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearestSearch {
    trees: usize,
    rounds: usize,
    seed: u64,
}

impl Default for NearestSearch {
    fn default() -> Self {
        Self::new()
    }
}

impl NearestSearch {
    /// 8 trees, 2 rounds.
    pub fn new() -> Self {
        Self { trees: 8, rounds: 2, seed: 0 }
    }

    /// Number of trees.
    pub fn trees(mut self, trees: usize) -> Self {
        self.trees = trees;
        self
    }

    /// Rounds of looking at neighbours of neighbours.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Seed of the trees.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// For every point the k nearest others among its candidates, as [`crate::nearest`] orders them.
    ///
    /// # Errors
    /// As [`crate::nearest`]; [`kernels_core::Error::Parameter`] for no trees.
    pub fn search(&self, points: &Rows<f64>, k: usize) -> Result<Vec<Vec<(usize, f64)>>, Error> {
        points.check_finite()?;
        let n = points.len();
        if n <= k {
            let what = "a graph of k nearest points";
            return Err(kernels_core::Error::TooFewPoints { what, needed: k + 1, given: n }.into());
        }
        if self.trees == 0 {
            return Err(parameter("trees", 0.0, "at least 1"));
        }
        // A leaf holds more than k + 1 points, so that every point has k candidates.
        let leaf = (2 * k + 2).max(32);
        let trees = parallel::map(self.trees, |tree| Tree::grow(points, leaf, self.seed, tree as u64));
        let mut near = parallel::map(n, |i| {
            let mates = trees.iter().flat_map(|tree| tree.mates(i).iter().map(|&j| j as usize));
            best(points, i, k, mates.collect())
        });
        for _ in 0..self.rounds {
            // Those that name a point, in ascending order; no more than k of them.
            let mut named: Vec<Vec<usize>> = vec![Vec::new(); n];
            for (i, list) in near.iter().enumerate() {
                for &(j, _) in list {
                    if named[j].len() < k {
                        named[j].push(i);
                    }
                }
            }
            near = parallel::map(n, |i| {
                let own: Vec<usize> =
                    near[i].iter().map(|(j, _)| *j).chain(named[i].iter().copied()).collect();
                let further = own.iter().flat_map(|&j| near[j].iter().map(|(l, _)| *l));
                best(points, i, k, own.iter().copied().chain(further).collect())
            });
        }
        Ok(near)
    }

    /// The graph of these neighbours, joined and weighted as by [`crate::nearest_graph`].
    ///
    /// # Errors
    /// As [`NearestSearch::search`]; a Gaussian width that is not above 0.
    pub fn graph(
        &self,
        points: &Rows<f64>,
        k: usize,
        joining: Joining,
        weight: EdgeWeight,
    ) -> Result<Graph, Error> {
        join(&self.search(points, k)?, joining, weight)
    }
}

/// The k nearest of some candidates, without the point itself; ties by index.
fn best(points: &Rows<f64>, i: usize, k: usize, mut candidates: Vec<usize>) -> Vec<(usize, f64)> {
    candidates.sort_unstable();
    candidates.dedup();
    let distance = |j: usize| (j, squared(points.point(i), points.point(j)));
    let mut all: Vec<(usize, f64)> = candidates.into_iter().filter(|j| *j != i).map(distance).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// A tree as the order of its points, and the leaf of each point as a range of that order.
struct Tree {
    order: Vec<u32>,
    leaf: Vec<(u32, u32)>,
}

impl Tree {
    fn grow(points: &Rows<f64>, size: usize, seed: u64, tree: u64) -> Self {
        let n = points.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(tree);
        let mut order: Vec<u32> = (0..n as u32).collect();
        let mut leaf = vec![(0, 0); n];
        let mut stack = vec![(0, n)];
        let mut keyed: Vec<(f64, u32)> = Vec::new();
        while let Some((start, end)) = stack.pop() {
            if end - start <= size {
                order[start..end].iter().for_each(|&i| leaf[i as usize] = (start as u32, end as u32));
                continue;
            }
            let draw = |rng: &mut ChaCha8Rng| order[start + rng.random_range(0..end - start)] as usize;
            let (a, b) = (points.point(draw(&mut rng)), points.point(draw(&mut rng)));
            keyed.clear();
            keyed.extend(order[start..end].iter().map(|&i| {
                let x = points.point(i as usize);
                (x.iter().zip(a).zip(b).map(|((x, a), b)| x * (b - a)).sum::<f64>(), i)
            }));
            let half = (end - start) / 2;
            // Equal projections, all of them when a and b coincide, are divided by index.
            keyed.select_nth_unstable_by(half, |x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
            // What the selection leaves within a half depends on nothing but the order before.
            order[start..end].iter_mut().zip(&keyed).for_each(|(to, from)| *to = from.1);
            stack.push((start, start + half));
            stack.push((start + half, end));
        }
        Self { order, leaf }
    }

    /// The points in the leaf of a point.
    fn mates(&self, i: usize) -> &[u32] {
        let (start, end) = self.leaf[i];
        &self.order[start as usize..end as usize]
    }
}
