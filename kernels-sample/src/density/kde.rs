//! The estimate and its model.

use kernels_core::{Points, Radial, Rows, dense::Cholesky};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::{
    Bandwidth, DensityKernel, bandwidth::log_sum_exp, improved_sheather_jones, tree, validation,
    weighted_covariance,
};
use crate::{Error, access, distance::squared_distance, error, parallel, random};

/// A kernel density estimate f(x) = Σ wᵢ K((x − xᵢ)/h) on ℝᵈ.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{Bandwidth, DensityKernel, Kde};
/// let xs = Rows::from_row_major(vec![0.0, 1.0, 1.5], 3, 1)?;
/// let density = Kde::new(DensityKernel::Gaussian).bandwidth(Bandwidth::Scale(0.5)).fit(&xs)?;
/// let f = density.density(&Rows::from_row_major(vec![1.2, 9.0], 2, 1)?)?;
/// assert!(f[0] > 0.4 && f[1] < 1e-9);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kde {
    kernel: DensityKernel,
    bandwidth: Bandwidth,
    weights: Option<Vec<f64>>,
    adaptive: bool,
    boundary: Boundary,
}

/// What is done where the data end.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Boundary {
    /// Nothing: the density leaks.
    Free,
    /// Points are mirrored at the ends `[low, high]` of every feature (infinite where there is none): the density integrates to 1 within
    /// them and is flat at them. For kernels of one scale or one a feature.
    Reflect(Vec<(f64, f64)>),
}

impl Kde {
    /// With Scott's bandwidth, equal weights, no boundaries.
    pub fn new(kernel: DensityKernel) -> Self {
        Self { kernel, bandwidth: Bandwidth::Scott, weights: None, adaptive: false, boundary: Boundary::Free }
    }

    /// Sets the bandwidth or the rule that chooses it.
    pub fn bandwidth(mut self, bandwidth: Bandwidth) -> Self {
        self.bandwidth = bandwidth;
        self
    }

    /// One weight a point, not negative; scaled to sum 1.
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// Whether every point has a bandwidth of its own, hᵢ = h (f₀(xᵢ)/G)^(−½) from a pilot estimate f₀ with geometric mean G (Abramson).
    pub fn adaptive(mut self, adaptive: bool) -> Self {
        self.adaptive = adaptive;
        self
    }

    /// Sets the treatment of the ends of the data's range.
    pub fn boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = boundary;
        self
    }

    /// Fits to n points of ℝᵈ.
    ///
    /// **Errors.** No points or no features, values that are not finite, weights that are negative or all 0, a bandwidth that is not
    /// positive (definite), data without spread for a rule.
    pub fn fit(&self, xs: &Rows<f64>) -> Result<KdeModel, Error> {
        let (n, d) = (xs.len(), xs.dim());
        error::at_least("a density", 1, n)?;
        error::at_least("a density (features)", 1, d)?;
        xs.check_finite()?;
        let weights = match &self.weights {
            Some(w) => error::weights(w, n)?,
            None => vec![1.0 / n as f64; n],
        };
        let root = self.root(xs, &weights)?;
        let (mut points, mut all) = (xs.as_slice().to_vec(), weights);
        if let Boundary::Reflect(ends) = &self.boundary {
            error::expect("ends of the features", d, ends.len())?;
            reflect(&mut points, &mut all, ends)?;
        }
        let count = all.len();
        let ln_determinant: f64 = (0..d).map(|i| root[(i, i)].ln()).sum();
        let points = Rows::from_row_major(points, count, d)?;
        let whitened = whiten(&root, &points)?;
        let mut model = KdeModel {
            version: crate::Version,
            kernel: self.kernel,
            ln_norm: self.kernel.ln_integral(d) + ln_determinant,
            root,
            whitened,
            points,
            weights: all,
            scales: None,
            boundary: self.boundary.clone(),
        };
        if self.adaptive {
            let logs = model.log_density(&model.points)?;
            let mean: f64 =
                logs.iter().zip(&model.weights).map(|(l, w)| if *w > 0.0 { l * w } else { 0.0 }).sum();
            model.scales = Some(logs.iter().map(|l| (-0.5 * (l - mean)).exp()).collect());
        }
        Ok(model)
    }

    /// L with LLᵀ = Σ, lower triangular.
    fn root(&self, xs: &Rows<f64>, w: &[f64]) -> Result<DMatrix<f64>, Error> {
        let d = xs.dim();
        let effective = 1.0 / w.iter().map(|w| w * w).sum::<f64>();
        let scaled = |h: f64| -> Result<DMatrix<f64>, Error> {
            Ok(DMatrix::identity(d, d) * error::positive("bandwidth", h)?)
        };
        let from_factor = |factor: f64| -> Result<DMatrix<f64>, Error> {
            error::positive("factor of the bandwidth", factor)?;
            let covariance = weighted_covariance(xs, w);
            if !(0..d).all(|j| covariance[(j, j)] > 0.0 && covariance[(j, j)].is_finite()) {
                return Err(Error::NoSpread { what: "the sample (or one feature of it)" });
            }
            Ok(lower(Cholesky::new(covariance * (factor * factor))?))
        };
        match &self.bandwidth {
            Bandwidth::Scale(h) => scaled(*h),
            Bandwidth::Std(h) => scaled(h / self.kernel.variance().sqrt()),
            Bandwidth::Diagonal(h) => {
                error::expect("bandwidths (one a feature)", d, h.len())?;
                h.iter().try_for_each(|&h| error::positive("bandwidth", h).map(|_| ()))?;
                Ok(DMatrix::from_fn(d, d, |i, j| if i == j { h[i] } else { 0.0 }))
            }
            Bandwidth::Covariance(covariance) => {
                error::expect("rows of the covariance", d, covariance.nrows())?;
                Ok(lower(Cholesky::new(covariance.clone())?))
            }
            Bandwidth::Scott => from_factor(effective.powf(-1.0 / (d as f64 + 4.0))),
            Bandwidth::Silverman => {
                from_factor((effective * (d as f64 + 2.0) / 4.0).powf(-1.0 / (d as f64 + 4.0)))
            }
            Bandwidth::Factor(factor) => from_factor(*factor),
            Bandwidth::ImprovedSheatherJones => {
                error::expect("features (for the improved Sheather-Jones rule)", 1, d)?;
                let std = improved_sheather_jones(xs.as_slice(), 4096)?;
                scaled(std / self.kernel.variance().sqrt())
            }
            rule @ (Bandwidth::Likelihood | Bandwidth::LeastSquares) => {
                let least_squares = *rule == Bandwidth::LeastSquares;
                if least_squares && self.kernel != DensityKernel::Gaussian {
                    let (given, expected) =
                        (self.kernel as usize, "the Gaussian (number 0) for least squares");
                    return Err(Error::Count { what: "kernel", given, expected, limit: 0 });
                }
                if self.weights.is_some() {
                    let expected = "none: cross-validation takes all points for equal";
                    return Err(Error::Count {
                        what: "number of weights",
                        given: w.len(),
                        expected,
                        limit: 0,
                    });
                }
                let sphered = whiten(&from_factor(1.0)?, xs)?;
                let scott = effective.powf(-1.0 / (d as f64 + 4.0)) / self.kernel.variance().sqrt();
                from_factor(validation::best_factor(self.kernel, &sphered, scott, least_squares)?)
            }
        }
    }
}

fn lower(factor: Cholesky) -> DMatrix<f64> {
    factor.factor().lower_triangle()
}

/// L⁻¹x for every point.
fn whiten(root: &DMatrix<f64>, xs: &Rows<f64>) -> Result<Rows<f64>, Error> {
    let d = xs.dim();
    let mut values = xs.as_slice().to_vec();
    for row in values.chunks_exact_mut(d) {
        for i in 0..d {
            let known: f64 = (0..i).map(|j| root[(i, j)] * row[j]).sum();
            row[i] = (row[i] - known) / root[(i, i)];
        }
    }
    Ok(Rows::from_row_major(values, xs.len(), d)?)
}

fn reflect(points: &mut Vec<f64>, weights: &mut Vec<f64>, ends: &[(f64, f64)]) -> Result<(), Error> {
    let d = ends.len();
    for (j, &(low, high)) in ends.iter().enumerate() {
        if low.is_nan() || high.is_nan() || low >= high {
            return Err(Error::Value {
                what: "end of a feature",
                index: j,
                value: low,
                expected: "below the upper end",
            });
        }
        let n = weights.len();
        for (index, row) in points.chunks_exact(d).enumerate() {
            if row[j] < low || row[j] > high {
                return Err(Error::Value {
                    what: "value",
                    index,
                    value: row[j],
                    expected: "within the ends given",
                });
            }
        }
        for end in [low, high].into_iter().filter(|e| e.is_finite()) {
            for i in 0..n {
                let mut row = points[i * d..(i + 1) * d].to_vec();
                row[j] = 2.0 * end - row[j];
                points.extend(row);
                weights.push(weights[i]);
            }
        }
    }
    Ok(())
}

/// A fitted density.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Stored"))]
pub struct KdeModel {
    version: crate::Version,
    kernel: DensityKernel,
    root: DMatrix<f64>,
    ln_norm: f64,
    points: Rows<f64>,
    whitened: Rows<f64>,
    weights: Vec<f64>,
    scales: Option<Vec<f64>>,
    boundary: Boundary,
}

/// A model as it stands in a file, before it has been looked at.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Stored {
    version: crate::Version,
    kernel: DensityKernel,
    root: DMatrix<f64>,
    ln_norm: f64,
    points: Rows<f64>,
    whitened: Rows<f64>,
    weights: Vec<f64>,
    scales: Option<Vec<f64>>,
    boundary: Boundary,
}

#[cfg(feature = "serde")]
impl TryFrom<Stored> for KdeModel {
    type Error = Error;

    fn try_from(s: Stored) -> Result<Self, Error> {
        let (n, d) = (s.points.len(), s.points.dim());
        let fit = s.whitened.len() == n
            && s.whitened.dim() == d
            && s.root.shape() == (d, d)
            && s.weights.len() == n
            && s.scales.as_ref().is_none_or(|scales| scales.len() == n);
        if !fit {
            return Err(Error::Damaged { what: "points, weights and bandwidth of a density differ in size" });
        }
        let Stored { version, kernel, root, ln_norm, points, whitened, weights, scales, boundary } = s;
        Ok(Self { version, kernel, root, ln_norm, points, whitened, weights, scales, boundary })
    }
}

impl KdeModel {
    /// The kernel.
    pub fn kernel(&self) -> DensityKernel {
        self.kernel
    }

    /// Σ, the squared bandwidth: distances are (x − y)ᵀΣ⁻¹(x − y).
    pub fn covariance(&self) -> DMatrix<f64> {
        &self.root * self.root.transpose()
    }

    /// The points, with their mirror images.
    pub fn points(&self) -> &Rows<f64> {
        &self.points
    }

    /// Their weights; they sum to 1 without mirror images.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Refuses adaptive densities.
    pub(super) fn one_bandwidth(&self) -> Result<(), Error> {
        if self.scales.is_none() {
            return Ok(());
        }
        let expected = "one for all points where a tree or random features are used";
        Err(Error::Count { what: "number of bandwidths", given: self.weights.len(), expected, limit: 1 })
    }

    /// Points in units of the bandwidth.
    pub(super) fn whitened(&self) -> &Rows<f64> {
        &self.whitened
    }

    /// What κ is multiplied by.
    pub(super) fn norm(&self) -> f64 {
        (-self.ln_norm).exp()
    }

    pub(super) fn queries(&self, at: &Rows<f64>) -> Result<Rows<f64>, Error> {
        error::expect("number of features of the points", self.points.dim(), at.dim())?;
        at.check_finite()?;
        whiten(&self.root, at)
    }

    fn outside(&self, x: &[f64]) -> bool {
        match &self.boundary {
            Boundary::Free => false,
            Boundary::Reflect(ends) => x.iter().zip(ends).any(|(x, (low, high))| x < low || x > high),
        }
    }

    pub(super) fn bounded(&self, at: &Rows<f64>, mut values: Vec<f64>, nothing: f64) -> Vec<f64> {
        if self.boundary != Boundary::Free {
            values
                .iter_mut()
                .enumerate()
                .filter(|(i, _)| self.outside(at.point(*i)))
                .for_each(|(_, v)| *v = nothing);
        }
        values
    }

    /// The density at m points, by direct summation through the engine: exact to rounding. O(nmd).
    ///
    /// **Errors.** Points of another dimension or not finite.
    pub fn density(&self, at: &Rows<f64>) -> Result<Vec<f64>, Error> {
        if self.scales.is_some() {
            return Ok(self.log_density(at)?.into_iter().map(f64::exp).collect());
        }
        let queries = self.queries(at)?;
        let kernel = Radial::with_profile(self.kernel, 1.0)?;
        let mut values = access::cross_times(&kernel, &queries, &self.whitened, &self.weights)?;
        let norm = (-self.ln_norm).exp();
        values.iter_mut().for_each(|v| *v *= norm);
        Ok(self.bounded(at, values, 0.0))
    }

    /// The logarithm of the density, without underflow; −∞ beyond a compact support. O(nmd), slower than [`KdeModel::density`].
    ///
    /// **Errors.** As [`KdeModel::density`].
    pub fn log_density(&self, at: &Rows<f64>) -> Result<Vec<f64>, Error> {
        let queries = self.queries(at)?;
        let (n, d) = (self.weights.len(), at.dim() as f64);
        let ln_weights: Vec<f64> = self.weights.iter().map(|w| w.ln()).collect();
        let values = parallel::map(at.len(), |q| {
            let terms: Vec<f64> = (0..n)
                .map(|i| {
                    let u = squared_distance(queries.point(q), self.whitened.point(i)).sqrt();
                    let scale = self.scales.as_ref().map_or(1.0, |s| s[i]);
                    ln_weights[i] + self.kernel.ln_profile(u / scale) - d * scale.ln()
                })
                .collect();
            log_sum_exp(&terms) - self.ln_norm
        });
        Ok(self.bounded(at, values, f64::NEG_INFINITY))
    }

    /// The density within |error| ≤ `absolute` + `relative` · f, by a tree that prunes what is far or uniform.
    ///
    /// Fast in few dimensions when the bandwidth is small against the spread of the points; otherwise take [`KdeModel::density`].
    ///
    /// **Errors.** As [`KdeModel::density`]; negative tolerances; an adaptive density.
    pub fn density_by_tree(&self, at: &Rows<f64>, relative: f64, absolute: f64) -> Result<Vec<f64>, Error> {
        for (name, value) in [("relative tolerance", relative), ("absolute tolerance", absolute)] {
            error::parameter(name, value, value >= 0.0 && value.is_finite(), "a finite number, 0 or above")?;
        }
        self.one_bandwidth()?;
        let queries = self.queries(at)?;
        let norm = (-self.ln_norm).exp();
        let absolute = absolute / norm;
        let mut values =
            tree::sums(self.kernel, &self.whitened, &self.weights, &queries, relative, absolute)?;
        values.iter_mut().for_each(|v| *v *= norm);
        Ok(self.bounded(at, values, 0.0))
    }

    /// The gradient of the density, m × d. O(nmd). The exponential's and triangular kernel's cusps count as 0.
    ///
    /// **Errors.** As [`KdeModel::density`].
    pub fn gradient(&self, at: &Rows<f64>) -> Result<DMatrix<f64>, Error> {
        let queries = self.queries(at)?;
        let d = at.dim();
        let norm = (-self.ln_norm).exp();
        let rows = parallel::map(at.len(), |q| {
            let x = queries.point(q);
            let mut sum = vec![0.0; d];
            for (i, w) in self.weights.iter().enumerate() {
                let y = self.whitened.point(i);
                let scale = self.scales.as_ref().map_or(1.0, |s| s[i]);
                let u = squared_distance(x, y).sqrt() / scale;
                let pull = self.kernel.shift_weight(u);
                if u > 0.0 && pull > 0.0 {
                    let factor = w * norm * pull * scale.powi(-(d as i32) - 2);
                    sum.iter_mut().zip(x).zip(y).for_each(|((s, x), y)| *s += factor * (y - x));
                }
            }
            // In the original space: L⁻ᵀ.
            for i in (0..d).rev() {
                let known: f64 = (i + 1..d).map(|j| self.root[(j, i)] * sum[j]).sum();
                sum[i] = (sum[i] - known) / self.root[(i, i)];
            }
            if self.outside(at.point(q)) { vec![0.0; d] } else { sum }
        });
        Ok(DMatrix::from_row_slice(at.len(), d, &rows.concat()))
    }

    /// `count` draws from the density, m × d; mirrored points fold back. Draw i has a random stream of its own.
    ///
    /// **Errors.** None but those of memory.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Rows<f64>, Error> {
        let d = self.points.dim();
        let mut cumulative = Vec::with_capacity(self.weights.len());
        let mut total = 0.0;
        for w in &self.weights {
            total += w;
            cumulative.push(total);
        }
        let rows = parallel::map(count, |c| {
            let mut rng = random::stream(seed, c as u64);
            let u: f64 = rng.random::<f64>() * total;
            let i = cumulative.partition_point(|&s| s <= u).min(self.weights.len() - 1);
            let scale = self.scales.as_ref().map_or(1.0, |s| s[i]);
            let step = self.draw(d, &mut rng);
            let mut x: Vec<f64> = (0..d)
                .map(|a| {
                    self.points.point(i)[a]
                        + scale * (0..=a).map(|b| self.root[(a, b)] * step[b]).sum::<f64>()
                })
                .collect();
            if let Boundary::Reflect(ends) = &self.boundary {
                for (x, &(low, high)) in x.iter_mut().zip(ends) {
                    // Folding back repeats for kernels wider than the range.
                    for _ in 0..64 {
                        if *x < low {
                            *x = 2.0 * low - *x
                        } else if *x > high {
                            *x = 2.0 * high - *x
                        } else {
                            break;
                        }
                    }
                    *x = x.clamp(low, high);
                }
            }
            x
        });
        Ok(Rows::from_row_major(rows.concat(), count, d)?)
    }

    /// A draw from the kernel at scale 1: a direction, and a radius of density u^(d−1) κ(u).
    fn draw(&self, d: usize, rng: &mut rand_chacha::ChaCha8Rng) -> Vec<f64> {
        let mut direction: Vec<f64> = (0..d).map(|_| StandardNormal.sample(rng)).collect();
        if self.kernel == DensityKernel::Gaussian {
            return direction;
        }
        let norm = access::dot(&direction, &direction).sqrt().max(f64::MIN_POSITIVE);
        let radius = if self.kernel == DensityKernel::Exponential {
            -(0..d).map(|_| (1.0 - rng.random::<f64>()).ln()).sum::<f64>()
        } else {
            // Rejection from the uniform ball: κ is at most 1.
            loop {
                let u = rng.random::<f64>().powf(1.0 / d as f64);
                if rng.random::<f64>() < self.kernel.profile(u) {
                    break u;
                }
            }
        };
        direction.iter_mut().for_each(|x| *x *= radius / norm);
        direction
    }

    /// The distribution function of a Gaussian density on the line, Σ wᵢ Φ((x − xᵢ)/hᵢ).
    ///
    /// **Errors.** Another kernel than the Gaussian or more than one feature; queries that are not finite.
    pub fn cumulative(&self, at: &[f64]) -> Result<Vec<f64>, Error> {
        error::expect("features of a density with a distribution function", 1, self.points.dim())?;
        error::finite("query", at)?;
        if self.kernel != DensityKernel::Gaussian {
            let expected = "the Gaussian kernel (number 0) for a distribution function";
            return Err(Error::Count { what: "kernel", given: self.kernel as usize, expected, limit: 0 });
        }
        let h = self.root[(0, 0)];
        let mass = |x: f64| -> f64 {
            self.points
                .as_slice()
                .iter()
                .zip(&self.weights)
                .enumerate()
                .map(|(i, (p, w))| {
                    let scale = h * self.scales.as_ref().map_or(1.0, |s| s[i]);
                    w * 0.5 * libm::erfc(-(x - p) / (scale * 2.0_f64.sqrt()))
                })
                .sum()
        };
        let (low, high) = match &self.boundary {
            Boundary::Free => (f64::NEG_INFINITY, f64::INFINITY),
            Boundary::Reflect(ends) => ends[0],
        };
        let base = if low.is_finite() { mass(low) } else { 0.0 };
        Ok(parallel::map(at.len(), |q| if at[q] <= low { 0.0 } else { mass(at[q].min(high)) - base }))
    }
}
