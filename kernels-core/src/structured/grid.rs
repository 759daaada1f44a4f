//! Regular grids.

use crate::{Error, Real, Rows, describe::positive};

/// A regular grid: `counts[i]` coordinates from `start[i]` in steps of `step[i]` along axis i, all combinations of them. Points are in
/// C order: the last coordinate runs fastest.
///
/// ```
/// use kernels_core::{Points, structured::Grid};
/// let grid = Grid::new(&[0.0, 10.0], &[1.0, 0.5], &[2, 3])?;
/// let xs = grid.points::<f64>()?;
/// assert_eq!((xs.len(), xs.point(4)), (6, &[1.0, 10.5][..]));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    start: Vec<f64>,
    step: Vec<f64>,
    counts: Vec<usize>,
    len: usize,
}

impl Grid {
    /// The grid with these starts, steps and counts along each axis.
    ///
    /// # Errors
    /// [`Error::Shape`] when their numbers differ, [`Error::TooFewPoints`] for no axis, [`Error::Parameter`] for a start that is not
    /// finite or a step that is not finite and positive, [`Error::Memory`] for more points than can be counted.
    pub fn new(start: &[f64], step: &[f64], counts: &[usize]) -> Result<Self, Error> {
        let expected = counts.len();
        for given in [start.len(), step.len()] {
            if given != expected {
                return Err(Error::Shape { what: "axes of a grid", expected, given });
            }
        }
        if expected == 0 {
            return Err(Error::TooFewPoints { what: "a grid (axes)", needed: 1, given: 0 });
        }
        for &value in start {
            if !value.is_finite() {
                return Err(Error::Parameter { name: "start".into(), value, expected: "a finite number" });
            }
        }
        step.iter().try_for_each(|&value| positive("step", value).map(drop))?;
        // Room is needed for twice the count along each axis.
        let room = counts.iter().try_fold(size_of::<f64>(), |n, c| n.checked_mul(c.max(&1).checked_mul(4)?));
        if room.is_none_or(|n| n > isize::MAX as usize) {
            return Err(Error::Memory { what: "a grid", needed: usize::MAX, available: 0 });
        }
        let len = counts.iter().product();
        Ok(Self { start: start.to_vec(), step: step.to_vec(), counts: counts.to_vec(), len })
    }

    /// Number of points n.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether an axis has no coordinate.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Coordinates along each axis.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// First coordinate along each axis.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Distance of neighbours along each axis.
    pub fn step(&self) -> &[f64] {
        &self.step
    }

    /// All points, n × d. O(n d).
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn points<T: Real>(&self) -> Result<Rows<T>, Error> {
        let dim = self.counts.len();
        let refused = || Error::Memory {
            what: "the points of a grid",
            needed: self.len * dim * size_of::<T>(),
            available: 0,
        };
        let mut data = Vec::new();
        data.try_reserve_exact(self.len * dim).map_err(|_| refused())?;
        let mut index = vec![0; dim];
        for i in 0..self.len {
            unravel(i, &self.counts, &mut index);
            data.extend((0..dim).map(|k| T::of(self.start[k] + index[k] as f64 * self.step[k])));
        }
        Rows::from_row_major(data, self.len, dim)
    }
}

/// The index along each axis of entry `i` in C order.
pub(super) fn unravel(mut i: usize, counts: &[usize], index: &mut [usize]) {
    for (index, count) in index.iter_mut().zip(counts).rev() {
        *index = i % count;
        i /= count;
    }
}

/// The entry in C order of an index along each axis.
pub(super) fn ravel(index: &[usize], counts: &[usize]) -> usize {
    index.iter().zip(counts).fold(0, |i, (k, count)| i * count + k)
}
