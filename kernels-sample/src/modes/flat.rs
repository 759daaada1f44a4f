//! Mean shift with the flat kernel: the mean of all points within the bandwidth.

use std::collections::HashMap;

use kernels_core::{Points, Rows};

use super::nearest;
use crate::{Error, distance::squared_distance, error, parallel};

/// Mean shift with the flat kernel, as most packages have it.
///
/// Starts climb by means of the points within the bandwidth; ends are sorted by their number of points, and every end within the
/// bandwidth of a better one is dropped. Points are found through a grid of cells one bandwidth wide.
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
                    let cell: Vec<i64> = xs.point(i).iter().map(|x| (x / h).round_ties_even() as i64).collect();
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
        let cells = Cells::new(xs, h);
        let ends = parallel::map(starts.len(), |i| self.climb(xs, &cells, starts.point(i)));
        let iterations = ends.iter().map(|e| e.2).max().unwrap_or(0);
        let mut ends: Vec<(Vec<f64>, usize)> =
            ends.into_iter().filter(|e| e.1 > 0).map(|e| (e.0, e.1)).collect();
        error::at_least("mean shift (starts with a point within the bandwidth)", 1, ends.len())?;
        ends.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| {
            b.0.iter().zip(&a.0).map(|(b, a)| b.total_cmp(a)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        }));
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

    fn climb(&self, xs: &Rows<f64>, cells: &Cells, start: &[f64]) -> (Vec<f64>, usize, usize) {
        let h2 = self.bandwidth * self.bandwidth;
        let stop = 1e-6 * h2;
        let mut x = start.to_vec();
        let mut sum = vec![0.0; x.len()];
        let mut iteration = 0;
        loop {
            let mut count = 0;
            sum.fill(0.0);
            cells.around(&x, |i| {
                let y = xs.point(i);
                if squared_distance(&x, y) <= h2 {
                    count += 1;
                    sum.iter_mut().zip(y).for_each(|(s, y)| *s += y);
                }
            });
            if count == 0 {
                return (x, 0, iteration);
            }
            sum.iter_mut().for_each(|s| *s /= f64::from(count));
            let moved = squared_distance(&x, &sum);
            x.copy_from_slice(&sum);
            if moved <= stop || iteration >= self.iterations {
                return (x, count as usize, iteration);
            }
            iteration += 1;
        }
    }
}

/// Points by cells one bandwidth wide, of the first three features.
struct Cells {
    h: f64,
    used: usize,
    cells: HashMap<[i64; 3], Vec<usize>>,
}

impl Cells {
    fn new(xs: &Rows<f64>, h: f64) -> Self {
        let mut out = Self { h, used: xs.dim().min(3), cells: HashMap::new() };
        for i in 0..xs.len() {
            let cell = out.cell(xs.point(i));
            out.cells.entry(cell).or_default().push(i);
        }
        out
    }

    fn cell(&self, x: &[f64]) -> [i64; 3] {
        let mut cell = [0; 3];
        cell.iter_mut().zip(&x[..self.used]).for_each(|(c, x)| *c = (x / self.h).floor() as i64);
        cell
    }

    /// Calls with all points of the cells around x, always in the same order.
    fn around(&self, x: &[f64], mut visit: impl FnMut(usize)) {
        let center = self.cell(x);
        let steps = 3_usize.pow(self.used as u32);
        for code in 0..steps {
            let mut cell = center;
            let mut rest = code;
            for c in cell.iter_mut().take(self.used) {
                *c = c.saturating_add((rest % 3) as i64 - 1);
                rest /= 3;
            }
            if let Some(members) = self.cells.get(&cell) {
                members.iter().for_each(|&i| visit(i));
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
