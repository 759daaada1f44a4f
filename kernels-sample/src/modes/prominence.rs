//! How far modes rise above the saddles that join them to higher ones.

use kernels_core::{Points, Rows};

use super::{MeanShift, Modes};
use crate::{Error, distance::squared_distance, error, parallel};

/// Neighbours of a point among which borders of modes are looked for.
const NEIGHBOURS: usize = 12;

impl MeanShift {
    /// Height of every mode above the highest saddle on the way to a higher one, and that one's index; the highest mode's own height
    /// and index. `starts` are the points that `modes` has labels for.
    ///
    /// Saddles are bounded from below along the segments between neighbouring starts of different modes (the lowest of both
    /// ends and the middle): exact as the points grow dense. Modes without neighbouring starts are joined at height 0.
    ///
    /// **Errors.** As [`MeanShift::fit`]; another number of labels. **Complexity.** O(n² d).
    ///
    /// ```
    /// use kernels_core::Rows;
    /// use kernels_sample::{DensityKernel, MeanShift};
    /// let xs: Vec<f64> = (0..60).map(|i| f64::from(i % 3) * 3.0 + (f64::from(i) * 0.618).fract()).collect();
    /// let xs = Rows::from_row_major(xs, 60, 1)?;
    /// let shift = MeanShift::new(DensityKernel::Gaussian, 0.6);
    /// let modes = shift.fit(&xs)?;
    /// let (prominences, above) = shift.prominences(&xs, &xs, &modes)?;
    /// assert!(above[0] == 0 && prominences[1] < modes.heights[1]);
    /// # Ok::<(), kernels_sample::Error>(())
    /// ```
    pub fn prominences(
        &self,
        xs: &Rows<f64>,
        starts: &Rows<f64>,
        modes: &Modes,
    ) -> Result<(Vec<f64>, Vec<usize>), Error> {
        self.check(xs, starts)?;
        let n = starts.len();
        error::expect("labels of modes (one a start)", n, modes.labels.len())?;
        let count = modes.heights.len();
        if let Some(&given) = modes.labels.iter().find(|l| **l >= count) {
            let expected = "below the number of modes";
            return Err(Error::Count { what: "label of a mode", given, expected, limit: count });
        }
        let heights = parallel::map(n, |i| self.height(xs, starts.point(i)));
        // Borders: pairs of neighbouring starts of different modes, with a lower bound of the saddle between.
        let borders = parallel::map(n, |i| {
            let x = starts.point(i);
            let mut near: Vec<(f64, usize)> =
                (0..n).filter(|&j| j != i).map(|j| (squared_distance(x, starts.point(j)), j)).collect();
            if near.len() > NEIGHBOURS {
                near.select_nth_unstable_by(NEIGHBOURS - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                near.truncate(NEIGHBOURS);
            }
            let mut found = Vec::new();
            for (_, j) in near {
                if modes.labels[j] != modes.labels[i] {
                    let middle: Vec<f64> =
                        x.iter().zip(starts.point(j)).map(|(a, b)| 0.5 * (a + b)).collect();
                    let low = heights[i].min(heights[j]).min(self.height(xs, &middle));
                    found.push((low, modes.labels[i], modes.labels[j]));
                }
            }
            found
        });
        let mut borders = borders.concat();
        borders.sort_by(|a, b| b.0.total_cmp(&a.0));
        // From the highest saddle down; the lower of two peaks ends at the saddle that joins it. Modes come highest first.
        let mut root: Vec<usize> = (0..count).collect();
        let mut prominences = modes.heights.clone();
        let mut above: Vec<usize> = vec![0; count];
        for (saddle, a, b) in borders {
            let (a, b) = (find(&root, a), find(&root, b));
            if a != b {
                let (high, low) = (a.min(b), a.max(b));
                root[low] = high;
                above[low] = high;
                prominences[low] = (modes.heights[low] - saddle).max(0.0);
            }
        }
        Ok((prominences, above))
    }

    /// Gives the points of modes of low prominence to the ones above them.
    pub(super) fn merge_low(
        &self,
        xs: &Rows<f64>,
        starts: &Rows<f64>,
        modes: Modes,
        share: f64,
    ) -> Result<Modes, Error> {
        let (prominences, above) = self.prominences(xs, starts, &modes)?;
        let count = modes.heights.len();
        let low = |m: usize| m > 0 && prominences[m] < share * modes.heights[m];
        let kept: Vec<usize> = (0..count).filter(|&m| !low(m)).collect();
        // A mode is joined to one of a lower index, so that chains end.
        let mut target: Vec<usize> = Vec::with_capacity(count);
        for m in 0..count {
            target.push(if low(m) { target[above[m]] } else { kept.partition_point(|&k| k < m) });
        }
        Ok(Modes {
            modes: modes.modes.subset(&kept)?,
            heights: kept.iter().map(|&m| modes.heights[m]).collect(),
            labels: modes.labels.iter().map(|&l| target[l]).collect(),
            iterations: modes.iterations,
        })
    }
}

fn find(root: &[usize], mut m: usize) -> usize {
    while root[m] != m {
        m = root[m];
    }
    m
}
