//! New paths from paths: time, lead and lag, base points, sums, scales.

use super::Paths;
use crate::{Error, Path, Points, Real, Rows};

impl<T: Real> Paths<T> {
    /// The same paths with other knots: `write` appends the knots of a new path of `dim` features and says how many.
    fn rewrite(&self, dim: usize, write: impl Fn(Path<'_, T>, &mut Vec<T>)) -> Self {
        let mut values = Vec::new();
        let mut lengths = Vec::with_capacity(self.len());
        for i in 0..self.len() {
            let before = values.len();
            write(self.point(i), &mut values);
            lengths.push((values.len() - before) / dim.max(1));
        }
        let total = lengths.iter().sum();
        // Every path keeps at least one knot, so the lengths are right by construction.
        Self::new(Rows::from_parts(values, total, dim), &lengths).unwrap_or_else(|_| self.clone())
    }

    /// A last channel that runs evenly from 0 to `end` along every path: the kernel then sees speed.
    ///
    /// A path of one knot stays at 0.
    ///
    /// ```
    /// use kernels_core::{Paths, Points};
    /// let paths = Paths::from_array(vec![5.0, 6.0, 8.0], 1, 3, 1)?.with_time(1.0);
    /// assert_eq!(paths.point(0).as_slice(), &[5.0, 0.0, 6.0, 0.5, 8.0, 1.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn with_time(&self, end: f64) -> Self {
        self.rewrite(self.dim() + 1, |path, out| {
            let last = path.len().saturating_sub(1).max(1) as f64;
            for i in 0..path.len() {
                out.extend_from_slice(path.knot(i));
                out.push(T::of(end * (i as f64 / last)));
            }
        })
    }

    /// A knot at the origin before the first: the kernel then sees where a path begins.
    pub fn with_base_point(&self) -> Self {
        if self.dim() == 0 {
            return self.clone();
        }
        self.rewrite(self.dim(), |path, out| {
            out.extend((0..path.dim()).map(|_| T::default()));
            out.extend_from_slice(path.as_slice());
        })
    }

    /// Lead-lag: the path with its own past beside it, channels \[lag, lead\], 2L − 1 knots
    /// (x₀, x₀), (x₀, x₁), (x₁, x₁), (x₁, x₂), …; the kernel then sees quadratic variation.
    ///
    /// ```
    /// use kernels_core::{Paths, Points};
    /// let paths = Paths::from_array(vec![1.0, 2.0], 1, 2, 1)?.lead_lag();
    /// assert_eq!(paths.point(0).as_slice(), &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn lead_lag(&self) -> Self {
        self.rewrite(2 * self.dim(), |path, out| {
            for i in 0..path.len() {
                out.extend_from_slice(path.knot(i));
                out.extend_from_slice(path.knot(i));
                if i + 1 < path.len() {
                    out.extend_from_slice(path.knot(i));
                    out.extend_from_slice(path.knot(i + 1));
                }
            }
        })
    }

    /// A last channel that is 1 while the pen is on the paper: after the last knot the pen is lifted (channel 0) and goes
    /// to the origin, from where the path began. The kernel then sees where paths begin and end.
    pub fn with_pen_off(&self) -> Self {
        let dim = self.dim();
        self.rewrite(dim + 1, |path, out| {
            out.extend((0..=dim).map(|_| T::default()));
            for i in 0..path.len() {
                out.extend_from_slice(path.knot(i));
                out.push(T::of(1.0));
            }
            out.extend_from_slice(path.knot(path.len() - 1));
            out.push(T::default());
        })
    }

    /// Running sums of the knots, channel by channel: a path from a series of increments.
    pub fn cumulative_sums(&self) -> Self {
        self.rewrite(self.dim(), |path, out| {
            let start = out.len();
            for i in 0..path.len() {
                for (c, &x) in path.knot(i).iter().enumerate() {
                    let sum = if i == 0 { x } else { out[start + (i - 1) * path.dim() + c] + x };
                    out.push(sum);
                }
            }
        })
    }

    /// Every value times `factor`.
    pub fn scaled(&self, factor: f64) -> Self {
        self.rewrite(self.dim(), |path, out| out.extend(path.as_slice().iter().map(|&x| x * T::of(factor))))
    }
}

/// Shift and scale of every channel, from a training set: mean 0 and deviation 1 over all of its knots.
///
/// ```
/// use kernels_core::{Paths, Points, Standardization};
/// let paths = Paths::from_array(vec![1.0, 3.0], 1, 2, 1)?;
/// let standard = Standardization::fit(&paths)?;
/// assert_eq!(standard.apply(&paths)?.point(0).as_slice(), &[-1.0, 1.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Standardization {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standardization {
    /// Means and deviations over all knots; a constant channel keeps its scale.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] without paths, [`Error::NotFinite`].
    pub fn fit<T: Real>(paths: &Paths<T>) -> Result<Self, Error> {
        if paths.is_empty() {
            return Err(Error::TooFewPoints { what: "a standardization (paths)", needed: 1, given: 0 });
        }
        paths.check_finite()?;
        let (n, dim) = (paths.knots().len(), paths.dim());
        let knots = || (0..n).map(|i| paths.knots().point(i));
        let mut mean = vec![0.0; dim];
        for knot in knots() {
            mean.iter_mut().zip(knot).for_each(|(m, x)| *m += x.to_f64() / n as f64);
        }
        let mut deviation = vec![0.0; dim];
        for knot in knots() {
            for ((v, x), m) in deviation.iter_mut().zip(knot).zip(&mean) {
                *v += (x.to_f64() - m).powi(2) / n as f64;
            }
        }
        for v in &mut deviation {
            *v = if *v > 0.0 { v.sqrt() } else { 1.0 };
        }
        Ok(Self { mean, deviation })
    }

    /// The paths shifted and scaled.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of channels.
    pub fn apply<T: Real>(&self, paths: &Paths<T>) -> Result<Paths<T>, Error> {
        if paths.dim() != self.mean.len() {
            return Err(Error::Shape {
                what: "channels of the paths",
                expected: self.mean.len(),
                given: paths.dim(),
            });
        }
        Ok(paths.rewrite(paths.dim(), |path, out| {
            for i in 0..path.len() {
                for ((x, m), d) in path.knot(i).iter().zip(&self.mean).zip(&self.deviation) {
                    out.push(T::of((x.to_f64() - m) / d));
                }
            }
        }))
    }
}
