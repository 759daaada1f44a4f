//! Graphs of near points.

use kernels_core::{Points, Rows};

use crate::{
    Duplicates, Error, Graph, GraphBuilder,
    error::{parameter, positive},
};
use kernels_core::parallel;

/// Which pairs of near points are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joining {
    /// i ~ j when either is among the k nearest of the other.
    #[default]
    Union,
    /// i ~ j when each is among the k nearest of the other.
    Mutual,
}

/// Weights of edges by distance d.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EdgeWeight {
    /// 1.
    #[default]
    Unit,
    /// exp(−d²/(2σ²)).
    Gaussian(f64),
    /// exp(−d²/(sᵢsⱼ)), sᵢ the distance of i to its k-th neighbour (Zelnik-Manor & Perona 2004).
    SelfTuning,
}

impl EdgeWeight {
    fn of(self, squared: f64, si: f64, sj: f64) -> f64 {
        match self {
            Self::Unit => 1.0,
            Self::Gaussian(sigma) => (-squared / (2.0 * sigma * sigma)).exp(),
            Self::SelfTuning if squared <= 0.0 => 1.0,
            Self::SelfTuning if si * sj <= 0.0 => 0.0,
            Self::SelfTuning => (-squared / (si * sj)).exp(),
        }
    }
}

pub(crate) fn squared(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The k nearest other points of every point, nearest first, ties by index: (index, squared distance). A point is left out by its index, so duplicates
/// are neighbours. Exact, O(n²d), all cores.
///
/// # Errors
/// [`kernels_core::Error::NotFinite`], [`kernels_core::Error::TooFewPoints`] for n ≤ k.
pub fn nearest(points: &Rows<f64>, k: usize) -> Result<Vec<Vec<(usize, f64)>>, Error> {
    points.check_finite()?;
    let n = points.len();
    if n <= k {
        return Err(kernels_core::Error::TooFewPoints {
            what: "a graph of k nearest points",
            needed: k + 1,
            given: n,
        }
        .into());
    }
    Ok(parallel::map(n, |i| {
        let mut all: Vec<(usize, f64)> =
            (0..n).filter(|j| *j != i).map(|j| (j, squared(points.point(i), points.point(j)))).collect();
        let order = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0));
        if k > 0 && k < all.len() {
            all.select_nth_unstable_by(k - 1, order);
        }
        all.truncate(k);
        all.sort_unstable_by(order);
        all
    }))
}

/// The graph of k nearest neighbours.
///
/// # Errors
/// As [`nearest`]; a Gaussian width that is not above 0.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_graph::{EdgeWeight, Joining, nearest_graph};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 3.0], 3, 1)?;
/// let graph = nearest_graph(&xs, 1, Joining::Union, EdgeWeight::Unit)?;
/// assert_eq!(graph.edge_list().collect::<Vec<_>>(), [(0, 1, 1.0), (1, 2, 1.0)]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn nearest_graph(
    points: &Rows<f64>,
    k: usize,
    joining: Joining,
    weight: EdgeWeight,
) -> Result<Graph, Error> {
    join(&nearest(points, k)?, joining, weight)
}

/// The graph of lists of nearest points.
pub(crate) fn join(near: &[Vec<(usize, f64)>], joining: Joining, weight: EdgeWeight) -> Result<Graph, Error> {
    if let EdgeWeight::Gaussian(sigma) = weight {
        positive("sigma", sigma)?;
    }
    let reach: Vec<f64> = near.iter().map(|list| list.last().map_or(0.0, |(_, d)| d.sqrt())).collect();
    let mut edges = Vec::new();
    for (i, list) in near.iter().enumerate() {
        for &(j, d) in list {
            let both = near[j].iter().any(|(other, _)| *other == i);
            // A pair that names each other comes once.
            let kept = if both { i < j } else { joining == Joining::Union };
            if kept {
                edges.push((i, j, weight.of(d, reach[i], reach[j])));
            }
        }
    }
    GraphBuilder::new(near.len()).duplicates(Duplicates::Max).build(edges)
}

/// The graph of all pairs at a distance of at most `radius`. Exact, O(n²d).
///
/// # Errors
/// [`kernels_core::Error::NotFinite`]; a radius that is not above 0; [`Error::Unsupported`] for self-tuning weights, which need k.
pub fn radius_graph(points: &Rows<f64>, radius: f64, weight: EdgeWeight) -> Result<Graph, Error> {
    positive("radius", radius)?;
    points.check_finite()?;
    match weight {
        EdgeWeight::SelfTuning => {
            return Err(Error::Unsupported {
                what: "self-tuning weights of a radius graph",
                hint: "they need k neighbours",
            });
        }
        EdgeWeight::Gaussian(sigma) if !(sigma > 0.0) => return Err(parameter("sigma", sigma, "above 0")),
        _ => {}
    }
    let n = points.len();
    let lists = parallel::map(n, |i| {
        let pairs = (i + 1..n).map(|j| (i, j, squared(points.point(i), points.point(j))));
        pairs.filter(|(_, _, d)| d.sqrt() <= radius).collect::<Vec<_>>()
    });
    Graph::undirected(n, lists.into_iter().flatten().map(|(i, j, d)| (i, j, weight.of(d, 1.0, 1.0))))
}
