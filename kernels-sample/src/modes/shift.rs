//! Mean shift for smooth kernels, with Newton's steps at the end.

use std::collections::VecDeque;

use kernels_core::{Points, Rows};
use nalgebra::{DMatrix, DVector};

use super::nearest;
use crate::{DensityKernel, Error, distance::squared_distance, error, parallel};

/// Modes of a density Σ κ(‖x − xᵢ‖/h), by mean shift from every point: x ← Σ wᵢxᵢ/Σ wᵢ with wᵢ = −κ′(uᵢ)/uᵢ. Every step raises the density or
/// leaves it. Gaussian modes are refined by Newton's method, guarded.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{DensityKernel, MeanShift};
/// let xs = Rows::from_row_major(vec![0.0, 0.2, 0.4, 5.0, 5.2], 5, 1)?;
/// let modes = MeanShift::new(DensityKernel::Gaussian, 0.5).fit(&xs)?;
/// assert_eq!(modes.labels, [0, 0, 0, 1, 1]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MeanShift {
    kernel: DensityKernel,
    h: f64,
    tolerance: f64,
    iterations: usize,
    blurring: bool,
    accelerated: bool,
    prominence: f64,
}

/// The modes of a density and what belongs to them.
#[derive(Clone, Debug)]
pub struct Modes {
    /// Modes, highest density first.
    pub modes: Rows<f64>,
    /// Mean of κ at the modes (κ(0) = 1, not normalised).
    pub heights: Vec<f64>,
    /// The mode that each point climbs to.
    pub labels: Vec<usize>,
    /// Largest number of steps from a point.
    pub iterations: usize,
}

impl MeanShift {
    /// With a kernel for densities and its scale h; steps end below 10⁻⁶ h, or after 10 000.
    pub fn new(kernel: DensityKernel, h: f64) -> Self {
        Self {
            kernel,
            h,
            tolerance: 1e-6,
            iterations: 10_000,
            blurring: false,
            accelerated: false,
            prominence: 0.0,
        }
    }

    /// Steps end below `tolerance` · h.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Most steps from a point.
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// Whether the points themselves move, all at once (blurring mean shift): fewer, faster steps; clusters are what has
    /// collapsed, not modes of the density.
    pub fn blurring(mut self, blurring: bool) -> Self {
        self.blurring = blurring;
        self
    }

    /// Whether steps are extrapolated from the last few (Anderson acceleration). A step that would lower the density, or be longer than
    /// h/2, is taken plain, so that the density still never falls; a start near the border of two modes may end at the other
    /// one.
    pub fn accelerated(mut self, accelerated: bool) -> Self {
        self.accelerated = accelerated;
        self
    }

    /// Merges modes whose prominence is below `share` times their height into the one they are joined to by the highest
    /// saddle: bumps of the sample, not of what it was drawn from. See [`MeanShift::prominences`].
    pub fn least_prominence(mut self, share: f64) -> Self {
        self.prominence = share;
        self
    }

    /// Climbs from every point.
    ///
    /// **Errors.** No points or no features, values that are not finite, a scale that is not positive, a kernel whose κ(√t) is not convex
    /// with a bounded slope (box, triangular, exponential, tricube). **Complexity.** O(n² d) a round of steps.
    pub fn fit(&self, xs: &Rows<f64>) -> Result<Modes, Error> {
        self.fit_from(xs, xs)
    }

    pub(super) fn check(&self, xs: &Rows<f64>, starts: &Rows<f64>) -> Result<(), Error> {
        error::at_least("mean shift", 1, xs.len())?;
        error::at_least("mean shift (features)", 1, xs.dim())?;
        error::expect("number of features of the starts", xs.dim(), starts.dim())?;
        xs.check_finite()?;
        starts.check_finite()?;
        error::positive("scale", self.h)?;
        error::positive("tolerance", self.tolerance)?;
        let share = self.prominence;
        error::parameter("prominence", share, (0.0..=1.0).contains(&share), "between 0 and 1")?;
        match self.kernel {
            DensityKernel::Box
            | DensityKernel::Triangular
            | DensityKernel::Exponential
            | DensityKernel::Tricube => Err(Error::Count {
                what: "kernel",
                given: self.kernel as usize,
                expected: "one for which κ(√t) is convex with a bounded slope: Gaussian, Epanechnikov, biweight, triweight or cosine; for the flat kernel see FlatMeanShift",
                limit: 0,
            }),
            _ => Ok(()),
        }
    }

    /// Climbs from `starts`; labels are theirs.
    ///
    /// **Errors.** As [`MeanShift::fit`].
    pub fn fit_from(&self, xs: &Rows<f64>, starts: &Rows<f64>) -> Result<Modes, Error> {
        self.check(xs, starts)?;
        let (n, d) = (starts.len(), xs.dim());
        if self.blurring {
            return self.blur(starts);
        }
        let ends = parallel::map(n, |i| {
            if self.accelerated {
                self.climb_fast(xs, starts.point(i))
            } else {
                self.climb(xs, starts.point(i))
            }
        });
        let iterations = ends.iter().map(|e| e.1).max().unwrap_or(0);
        let ends = Rows::from_row_major(ends.into_iter().flat_map(|e| e.0).collect(), n, d)?;
        let modes = self.merge(xs, &ends, iterations)?;
        if self.prominence > 0.0 { self.merge_low(xs, starts, modes, self.prominence) } else { Ok(modes) }
    }

    /// One step; the logarithm of Σ κ at x, or nothing where no weight is positive. No underflow: the nearest point's exponent
    /// is taken out, so that far starts move too.
    fn step(&self, xs: &Rows<f64>, x: &[f64], out: &mut [f64]) -> Option<f64> {
        let h2 = self.h * self.h;
        out.fill(0.0);
        let gaussian = self.kernel == DensityKernel::Gaussian;
        let least = if gaussian { nearest(xs, x).1 / h2 } else { 0.0 };
        let (mut total, mut height) = (0.0, 0.0);
        for i in 0..xs.len() {
            let y = xs.point(i);
            let u2 = squared_distance(x, y) / h2;
            let w = if gaussian {
                (-0.5 * (u2 - least)).exp()
            } else {
                if u2 < 1.0 {
                    height += self.kernel.profile(u2.sqrt());
                }
                self.kernel.shift_weight(u2.sqrt())
            };
            if w > 0.0 {
                total += w;
                out.iter_mut().zip(y).for_each(|(o, y)| *o += w * y);
            }
        }
        if total > 0.0 {
            out.iter_mut().for_each(|o| *o /= total);
        }
        (total > 0.0).then(|| if gaussian { total.ln() - 0.5 * least } else { f64::ln(height) })
    }

    fn climb(&self, xs: &Rows<f64>, start: &[f64]) -> (Vec<f64>, usize) {
        let mut x = start.to_vec();
        let mut next = vec![0.0; x.len()];
        let small = (self.tolerance * self.h).powi(2);
        for iteration in 0..self.iterations {
            if self.step(xs, &x, &mut next).is_none() {
                return (x, iteration);
            }
            let moved = squared_distance(&x, &next);
            std::mem::swap(&mut x, &mut next);
            if moved <= small {
                return (self.refine(xs, x), iteration + 1);
            }
            // Newton's method converges fast once the Hessian is negative definite.
            if self.kernel == DensityKernel::Gaussian && moved < 1e-4 * self.h * self.h && iteration % 4 == 3
            {
                x = self.refine(xs, x);
            }
        }
        (x, self.iterations)
    }

    /// Anderson's extrapolation with guards.
    fn climb_fast(&self, xs: &Rows<f64>, start: &[f64]) -> (Vec<f64>, usize) {
        let mut x = start.to_vec();
        let mut next = vec![0.0; x.len()];
        let small = (self.tolerance * self.h).powi(2);
        let mut past: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
        // Where the plain step led from the last point, and the density there.
        let mut plain: Option<(Vec<f64>, f64)> = None;
        for iteration in 0..self.iterations {
            let height = self.step(xs, &x, &mut next);
            if let Some((end, floor)) = plain.take() {
                // No lower than where it came from, but for rounding.
                if height.is_none_or(|height| height < floor - 1e-14) {
                    x = end;
                    past.clear();
                    continue;
                }
            }
            let Some(height) = height else { return (x, iteration) };
            let residual: Vec<f64> = next.iter().zip(&x).map(|(g, x)| g - x).collect();
            let moved = squared_distance(&x, &next);
            if moved <= small {
                return (self.refine(xs, next), iteration + 1);
            }
            if past.len() == MEMORY {
                past.pop_front();
            }
            let candidate = extrapolate(&past, &next, &residual);
            past.push_back((next.clone(), residual));
            match candidate {
                Some(c) if squared_distance(&c, &x) <= 0.25 * self.h * self.h => {
                    plain = Some((next.clone(), height));
                    x = c;
                }
                _ => x.copy_from_slice(&next),
            }
        }
        (x, self.iterations)
    }

    /// Mean of κ at x.
    pub(super) fn height(&self, xs: &Rows<f64>, x: &[f64]) -> f64 {
        let sum: f64 = (0..xs.len())
            .map(|i| self.kernel.profile(squared_distance(x, xs.point(i)).sqrt() / self.h))
            .sum();
        sum / xs.len() as f64
    }

    /// Newton's steps for the Gaussian while they raise the density (within rounding) and stay within h/2.
    fn refine(&self, xs: &Rows<f64>, mut x: Vec<f64>) -> Vec<f64> {
        if self.kernel != DensityKernel::Gaussian {
            return x;
        }
        let d = x.len();
        let h2 = self.h * self.h;
        let mut height = self.height(xs, &x);
        for _ in 0..8 {
            let mut gradient = DVector::zeros(d);
            let mut hessian = DMatrix::zeros(d, d);
            for i in 0..xs.len() {
                let apart =
                    DVector::from_iterator(d, xs.point(i).iter().zip(&x).map(|(y, x)| (y - x) / self.h));
                let w = (-0.5 * apart.norm_squared()).exp();
                gradient.axpy(w, &apart, 1.0);
                // −Hessian, in units of h.
                hessian.ger(-w, &apart, &apart, 1.0);
                (0..d).for_each(|a| hessian[(a, a)] += w);
            }
            let Some(factor) = nalgebra::Cholesky::new(hessian) else { return x };
            let step = factor.solve(&gradient);
            let length = step.norm_squared();
            if length.is_nan() || length > 0.25 {
                return x;
            }
            let next: Vec<f64> = x.iter().zip(step.iter()).map(|(x, s)| x + s * self.h).collect();
            let reached = self.height(xs, &next);
            if reached < height * (1.0 - 1e-14) {
                return x;
            }
            let moved = squared_distance(&x, &next);
            (x, height) = (next, reached);
            if moved <= 1e-28 * h2 {
                return x;
            }
        }
        x
    }

    fn blur(&self, starts: &Rows<f64>) -> Result<Modes, Error> {
        let (n, d) = (starts.len(), starts.dim());
        let mut points = starts.clone();
        let mut iterations = 0;
        for _ in 0..self.iterations {
            iterations += 1;
            let moved = parallel::map(n, |i| {
                let mut out = vec![0.0; d];
                if self.step(&points, points.point(i), &mut out).is_some() {
                    out
                } else {
                    points.point(i).to_vec()
                }
            });
            let next = Rows::from_row_major(moved.concat(), n, d)?;
            let most = (0..n).map(|i| squared_distance(points.point(i), next.point(i))).fold(0.0, f64::max);
            points = next;
            if most <= (self.tolerance * self.h).powi(2) {
                break;
            }
        }
        self.merge(starts, &points, iterations)
    }

    /// Ends closer than h/1000 (or the tolerance, if larger) are one mode; modes are ordered by height.
    fn merge(&self, xs: &Rows<f64>, ends: &Rows<f64>, iterations: usize) -> Result<Modes, Error> {
        let d = xs.dim();
        let close = (self.h * 1e-3_f64.max(10.0 * self.tolerance)).powi(2);
        let mut found: Vec<usize> = Vec::new();
        let mut labels = Vec::with_capacity(ends.len());
        for i in 0..ends.len() {
            let known = found.iter().position(|&f| squared_distance(ends.point(f), ends.point(i)) <= close);
            labels.push(known.unwrap_or(found.len()));
            if known.is_none() {
                found.push(i);
            }
        }
        let heights = parallel::map(found.len(), |f| self.height(xs, ends.point(found[f])));
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| heights[b].total_cmp(&heights[a]).then(a.cmp(&b)));
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(r, &o)| rank[o] = r);
        let modes: Vec<f64> = order.iter().flat_map(|&o| ends.point(found[o]).to_vec()).collect();
        Ok(Modes {
            modes: Rows::from_row_major(modes, order.len(), d)?,
            heights: order.iter().map(|&o| heights[o]).collect(),
            labels: labels.into_iter().map(|l| rank[l]).collect(),
            iterations,
        })
    }

    /// The modes over growing bandwidths: those of the first climb on as the density becomes smoother, and merge.
    ///
    /// **Errors.** As [`MeanShift::fit`]; bandwidths that do not increase.
    pub fn tree(&self, xs: &Rows<f64>, bandwidths: &[f64]) -> Result<ModalTree, Error> {
        if let Some(index) =
            (1..bandwidths.len()).find(|&i| bandwidths[i].is_nan() || bandwidths[i] <= bandwidths[i - 1])
        {
            let expected = "above the one before";
            return Err(Error::Value { what: "bandwidth", index, value: bandwidths[index], expected });
        }
        let mut levels: Vec<Modes> = Vec::new();
        let mut parents = Vec::new();
        for &h in bandwidths {
            let at = Self { h, ..self.clone() };
            let level = match levels.last() {
                None => at.fit(xs)?,
                Some(last) => {
                    let mut level = at.fit_from(xs, &last.modes)?;
                    parents.push(level.labels.clone());
                    level.labels = last.labels.iter().map(|&l| level.labels[l]).collect();
                    level
                }
            };
            levels.push(level);
        }
        Ok(ModalTree { levels, parents })
    }
}

/// Steps that [`MeanShift::accelerated`] remembers.
const MEMORY: usize = 3;

/// The combination of images g whose residuals, combined alike, are shortest: g − Σ γⱼ (g − gⱼ).
fn extrapolate(past: &VecDeque<(Vec<f64>, Vec<f64>)>, g: &[f64], r: &[f64]) -> Option<Vec<f64>> {
    if past.is_empty() {
        return None;
    }
    let differences = DMatrix::from_fn(r.len(), past.len(), |i, j| r[i] - past[j].1[i]);
    let gamma = differences.svd(true, true).solve(&DVector::from_column_slice(r), 1e-12).ok()?;
    let out: Vec<f64> = (0..g.len())
        .map(|i| g[i] - past.iter().zip(gamma.iter()).map(|(p, c)| c * (g[i] - p.0[i])).sum::<f64>())
        .collect();
    out.iter().all(|v| v.is_finite()).then_some(out)
}

/// Modes over bandwidths.
#[derive(Clone, Debug)]
pub struct ModalTree {
    /// Modes at every bandwidth; labels are those of the points.
    pub levels: Vec<Modes>,
    /// `parents[l][m]`: the mode of level l + 1 that mode m of level l climbs to.
    pub parents: Vec<Vec<usize>>,
}
