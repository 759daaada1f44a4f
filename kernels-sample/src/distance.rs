//! Median distances and support points.

use kernels_core::{Points, Rows};

use crate::{Error, error, parallel, thin::random_sample};

/// Euclidean distance.
pub(crate) fn distance(x: &[f64], y: &[f64]) -> f64 {
    squared_distance(x, y).sqrt()
}

/// Squared Euclidean distance.
pub(crate) fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Median of the n(n − 1)/2 distances of the points: the usual first guess of a length scale.
///
/// **Errors.** Fewer than two points, values that are not finite. **Complexity.** O(n²d) time, O(n²) memory: take a sample
/// of a few thousand points.
///
/// ```
/// use kernels_core::Rows;
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 3.0], 3, 1)?;
/// assert_eq!(kernels_sample::median_distance(&xs)?, 2.0);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn median_distance(xs: &Rows<f64>) -> Result<f64, Error> {
    let n = xs.len();
    error::at_least("a median distance", 2, n)?;
    xs.check_finite()?;
    let mut all: Vec<f64> = Vec::with_capacity(n * (n - 1) / 2);
    for i in 0..n {
        all.extend((0..i).map(|j| distance(xs.point(i), xs.point(j))));
    }
    Ok(median(&mut all))
}

/// Median of a list that is not empty; the mean of the middle two when there are two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * (lower + upper)
}

/// Support points: `size` points of ℝᵈ (not of the data) whose energy distance to the data is locally smallest.
///
/// Starts from a random sample of the data and repeats `iterations` steps of majorisation, each of which lowers the energy
/// distance or leaves it.
///
/// **Errors.** No points, `size` 0 or above n, values that are not finite. **Complexity.** O(size · n · d) a step.
///
/// Reference: Mak & Joseph, *Support points* (2018).
///
/// ```
/// use kernels_core::Rows;
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0, 4.0], 5, 1)?;
/// let one = kernels_sample::support_points(&xs, 1, 500, 0)?;
/// assert!((one.as_slice()[0] - 2.0).abs() < 1e-6); // the median
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn support_points(xs: &Rows<f64>, size: usize, iterations: usize, seed: u64) -> Result<Rows<f64>, Error> {
    xs.check_finite()?;
    error::at_least("support points", 1, size.min(xs.len()))?;
    let (n, d) = (xs.len(), xs.dim());
    let mut points = xs.subset(&random_sample(n, size, seed)?)?;
    for _ in 0..iterations {
        let moved = parallel::map(size, |i| {
            let x = points.point(i);
            let (mut sum, mut total) = (vec![0.0; d], 0.0);
            for m in 0..n {
                let y = xs.point(m);
                let r = distance(x, y);
                if r > 0.0 {
                    sum.iter_mut().zip(y).for_each(|(s, y)| *s += y / r);
                    total += 1.0 / r;
                }
            }
            for j in (0..size).filter(|&j| j != i) {
                let r = distance(x, points.point(j));
                if r > 0.0 {
                    let scale = n as f64 / size as f64 / r;
                    sum.iter_mut().zip(x).zip(points.point(j)).for_each(|((s, x), y)| *s += scale * (x - y));
                }
            }
            if total > 0.0 && total.is_finite() { sum.iter().map(|s| s / total).collect() } else { x.to_vec() }
        });
        points = Rows::from_row_major(moved.concat(), size, d)?;
    }
    Ok(points)
}
