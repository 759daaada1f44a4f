//! Stein kernels and Stein thinning: compressing towards a density of which only the gradient of its logarithm is known.

use kernels_core::{Describe, Kernel, Points, PositiveDefinite, Rows, dense::Cholesky};
use nalgebra::DMatrix;

use crate::{Error, access, error, median_distance};

/// The metric A of a base kernel: r² = (x − y)ᵀA(x − y).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Preconditioner {
    /// A = I.
    Identity,
    /// A = I/ℓ.
    Scale(f64),
    /// A = I/med², the median distance of (up to 1000, evenly spaced) points.
    Median,
    /// A = I ln(min(n, 1000))/med².
    ScaledMedian,
    /// The inverse of the sample covariance.
    SampleCovariance,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Base {
    /// (1 + r²)^(−½).
    InverseMultiquadric,
    /// exp(−r²/2).
    Gaussian,
}

#[derive(Clone, Debug, PartialEq)]
enum Metric {
    Scaled(f64),
    /// d × d, row by row.
    Full(Vec<f64>),
}

/// The Langevin Stein kernel of a radial base kernel k: with scores s = ∇ log p,
/// s(x)ᵀs(y) k + s(x)ᵀ∇_y k + s(y)ᵀ∇_x k + tr ∇_x∇_yᵀ k. Its mean over p is 0.
///
/// Its points are rows [x, s(x)] of 2d values, from [`with_scores`]: so it goes wherever a kernel goes (Gram matrices, KSD,
/// [`KernelThinning::mean_zero`](crate::KernelThinning::mean_zero), wild bootstrap).
///
/// Reference: Oates, Girolami, Chopin (2017); Gorham & Mackey, *Measuring sample quality with kernels* (2017).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{SteinKernel, ksd2, with_scores};
/// let xs = Rows::from_row_major(vec![-1.0, 0.0, 1.0], 3, 1)?;
/// let scores = Rows::from_row_major(vec![1.0, 0.0, -1.0], 3, 1)?; // of N(0, 1)
/// assert!(ksd2(&SteinKernel::gaussian(1.0)?, &with_scores(&xs, &scores)?)? < 0.6);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SteinKernel {
    base: Base,
    metric: Metric,
}

impl SteinKernel {
    /// With the inverse multiquadric base (1 + (x − y)ᵀA(x − y))^(−½), A from points without their scores.
    ///
    /// **Errors.** No points, a scale that is not positive, points that all coincide (for the medians), a sample covariance that
    /// is not positive definite.
    pub fn inverse_multiquadric(preconditioner: Preconditioner, xs: &Rows<f64>) -> Result<Self, Error> {
        let metric = match preconditioner {
            Preconditioner::Identity => Metric::Scaled(1.0),
            Preconditioner::Scale(l) => Metric::Scaled(1.0 / error::positive("scale of the preconditioner", l)?),
            Preconditioner::Median | Preconditioner::ScaledMedian => {
                let count = xs.len().min(1000);
                let spaced = |i: usize| {
                    (i as f64 * (xs.len() - 1) as f64 / (count.max(2) - 1) as f64).floor() as usize
                };
                let sample: Vec<usize> = (0..count).map(spaced).collect();
                let median = median_distance(&xs.subset(&sample)?)?;
                let scale = if preconditioner == Preconditioner::Median { 1.0 } else { (count as f64).ln() };
                if median <= 0.0 {
                    return Err(Error::NoSpread { what: "the sample of a Stein kernel" });
                }
                Metric::Scaled(scale / (median * median))
            }
            Preconditioner::SampleCovariance => {
                error::at_least("a sample covariance", 2, xs.len())?;
                let x = xs.to_matrix();
                let means = x.row_mean();
                let centered = DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j]);
                let covariance = centered.tr_mul(&centered) / (x.nrows() - 1) as f64;
                Metric::Full(Cholesky::new(covariance)?.inverse()?.as_slice().to_vec())
            }
        };
        Ok(Self { base: Base::InverseMultiquadric, metric })
    }

    /// With the Gaussian base exp(−‖x − y‖²/(2 `variance`)).
    ///
    /// **Errors.** A variance that is not finite and positive.
    pub fn gaussian(variance: f64) -> Result<Self, Error> {
        let variance = error::positive("variance", variance)?;
        Ok(Self { base: Base::Gaussian, metric: Metric::Scaled(1.0 / variance) })
    }
}

impl Describe for SteinKernel {}
impl PositiveDefinite for SteinKernel {}

impl Kernel<Rows<f64>> for SteinKernel {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        let d = x.len() / 2;
        let ((x, sx), (y, sy)) = (x.split_at(d), y.split_at(d));
        let (mut r2, mut u2, mut along, mut trace) = (0.0, 0.0, 0.0, 0.0);
        for i in 0..d {
            let (u, diagonal) = match &self.metric {
                Metric::Scaled(a) => (a * (x[i] - y[i]), *a),
                Metric::Full(a) => {
                    let row = &a[i * d..(i + 1) * d];
                    (row.iter().zip(x).zip(y).map(|((a, x), y)| a * (x - y)).sum(), row[i])
                }
            };
            r2 += (x[i] - y[i]) * u;
            u2 += u * u;
            along += u * (sy[i] - sx[i]);
            trace += diagonal;
        }
        // Value, slope and curvature of the profile by r².
        let (f, f1, f2) = match self.base {
            Base::InverseMultiquadric => {
                let q = 1.0 + r2.max(0.0);
                let f = 1.0 / q.sqrt();
                (f, -0.5 * f / q, 0.75 * f / (q * q))
            }
            Base::Gaussian => {
                let f = (-0.5 * r2).exp();
                (f, -0.5 * f, 0.25 * f)
            }
        };
        access::dot(sx, sy) * f + 2.0 * f1 * (along - trace) - 4.0 * f2 * u2
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), kernels_core::Error> {
        let dim = xs.dim();
        let expected = match &self.metric {
            Metric::Full(a) => 2 * a.len().isqrt(),
            Metric::Scaled(_) => dim / 2 * 2,
        };
        if dim == expected {
            Ok(())
        } else {
            Err(kernels_core::Error::Shape { what: "values of a point with its score (2d)", expected, given: dim })
        }
    }
}

/// Points [x, s(x)] for a [`SteinKernel`]: every point followed by the gradient of log p there.
///
/// **Errors.** Shapes that differ, values that are not finite.
pub fn with_scores(xs: &Rows<f64>, scores: &Rows<f64>) -> Result<Rows<f64>, Error> {
    error::expect("scores (one a point)", xs.len(), scores.len())?;
    error::expect("values of a score (one a feature)", xs.dim(), scores.dim())?;
    xs.check_finite()?;
    scores.check_finite()?;
    let (n, d) = (xs.len(), xs.dim());
    let mut values = Vec::with_capacity(2 * n * d);
    for i in 0..n {
        values.extend_from_slice(xs.point(i));
        values.extend_from_slice(scores.point(i));
    }
    Ok(Rows::from_row_major(values, n, 2 * d)?)
}

/// Stein thinning: `size` of n points, with repetition, that minimise the kernel Stein discrepancy to p greedily.
///
/// It corrects a chain's bias as it compresses: points of a wrong burn-in are left out.
///
/// **Complexity.** n kernel values a point, O(nd) memory.
///
/// Reference: Riabiz et al., *Optimal thinning of MCMC output* (2022); Fisher & Oates, *Gradient-free kernel Stein discrepancy* (2023).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::SteinThinning;
/// let xs = Rows::from_row_major((0..50).map(|i| f64::from(i) / 5.0 - 2.0).collect(), 50, 1)?;
/// let scores = Rows::from_row_major(xs.as_slice().iter().map(|x| -x).collect(), 50, 1)?; // of N(0, 1)
/// let picked = SteinThinning::new().thin(&xs, &scores, 5)?;
/// assert_eq!(picked[0], 10); // x = 0, the mode
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SteinThinning {
    preconditioner: Preconditioner,
    standardize: bool,
}

impl Default for SteinThinning {
    fn default() -> Self {
        Self::new()
    }
}

impl SteinThinning {
    /// With the identity metric on standardised points.
    pub fn new() -> Self {
        Self { preconditioner: Preconditioner::Identity, standardize: true }
    }

    /// The metric of the inverse multiquadric base kernel, taken after standardising.
    pub fn preconditioner(mut self, preconditioner: Preconditioner) -> Self {
        self.preconditioner = preconditioner;
        self
    }

    /// Whether every feature is divided by its mean absolute deviation first (the default), scores multiplied.
    pub fn standardize(mut self, standardize: bool) -> Self {
        self.standardize = standardize;
        self
    }

    /// Points and scores as the kernel sees them, and the kernel.
    ///
    /// **Errors.** Shapes that differ, values that are not finite, a feature without spread, as
    /// [`SteinKernel::inverse_multiquadric`].
    pub fn prepare(&self, xs: &Rows<f64>, scores: &Rows<f64>) -> Result<(SteinKernel, Rows<f64>), Error> {
        let points = with_scores(xs, scores)?;
        error::at_least("Stein thinning", 1, xs.len())?;
        let (n, d) = (xs.len(), xs.dim());
        let mut values = points.as_slice().to_vec();
        if self.standardize {
            for j in 0..d {
                let mean = (0..n).map(|i| xs.point(i)[j]).sum::<f64>() / n as f64;
                let spread = (0..n).map(|i| (xs.point(i)[j] - mean).abs()).sum::<f64>() / n as f64;
                if !(spread > 0.0 && spread.is_finite()) {
                    return Err(Error::NoSpread { what: "a feature to be standardised" });
                }
                for row in values.chunks_exact_mut(2 * d) {
                    row[j] /= spread;
                    row[d + j] *= spread;
                }
            }
        }
        let places: Vec<f64> = values.chunks_exact((2 * d).max(1)).flat_map(|row| row[..d].to_vec()).collect();
        let places = Rows::from_row_major(places, n, d)?;
        let kernel = SteinKernel::inverse_multiquadric(self.preconditioner, &places)?;
        Ok((kernel, Rows::from_row_major(values, n, 2 * d)?))
    }

    /// Indices of `size` points for p with these scores ∇ log p(xᵢ).
    ///
    /// **Errors.** As [`SteinThinning::prepare`].
    pub fn thin(&self, xs: &Rows<f64>, scores: &Rows<f64>, size: usize) -> Result<Vec<usize>, Error> {
        let (kernel, points) = self.prepare(xs, scores)?;
        greedy(&kernel, &points, &vec![0.0; xs.len()], size)
    }

    /// The same without gradients of p: from log p and log q of the points (up to constants) and the scores ∇ log q of a density q
    /// that resembles p, a Gaussian fit say. Importance ratios are capped at e^`cap` times the smallest one.
    ///
    /// **Errors.** As [`SteinThinning::prepare`]; log densities that are not finite.
    pub fn thin_gradient_free(
        &self,
        xs: &Rows<f64>,
        log_p: &[f64],
        log_q: &[f64],
        scores_q: &Rows<f64>,
        size: usize,
        cap: f64,
    ) -> Result<Vec<usize>, Error> {
        let (kernel, points) = self.prepare(xs, scores_q)?;
        for (what, values) in [("log p", log_p), ("log q", log_q)] {
            error::expect("log densities (one a point)", xs.len(), values.len())?;
            error::finite(what, values)?;
        }
        let mut log_ratio: Vec<f64> = log_q.iter().zip(log_p).map(|(q, p)| q - p).collect();
        let least = log_ratio.iter().copied().fold(f64::INFINITY, f64::min);
        log_ratio.iter_mut().for_each(|l| *l = (*l - least).min(cap));
        greedy(&kernel, &points, &log_ratio, size)
    }
}

/// Greedy minimisation of Σᵢⱼ k(xᵢ, xⱼ) exp(lᵢ + lⱼ) over the picked.
fn greedy(kernel: &SteinKernel, points: &Rows<f64>, log_ratio: &[f64], size: usize) -> Result<Vec<usize>, Error> {
    let n = points.len();
    let mut objective = kernels_core::diagonal(kernel, points)?;
    objective.iter_mut().zip(log_ratio).for_each(|(o, l)| *o *= (2.0 * l).exp());
    let mut row = vec![0.0; n];
    let mut out = Vec::with_capacity(size);
    let weighted = log_ratio.iter().any(|l| *l != 0.0);
    for _ in 0..size {
        let Some(next) = access::argmin(&objective, |_| true) else { break };
        out.push(next);
        access::row(kernel, points, next, &mut row);
        if weighted {
            row.iter_mut().zip(log_ratio).for_each(|(k, l)| *k *= (l + log_ratio[next]).exp());
        }
        objective.iter_mut().zip(&row).for_each(|(o, k)| *o += 2.0 * k);
    }
    Ok(out)
}
