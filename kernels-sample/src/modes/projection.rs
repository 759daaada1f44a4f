//! Modes in many dimensions through few: project, climb, lift.

use kernels_core::{Points, Rows};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};

use crate::{Error, distance::squared_distance, error, parallel, random};

/// A convex, falling profile κ(t) of the squared distance t = ‖x − p‖²/h² whose relative slope −tκ′/κ is bounded on what matters: modes of its
/// densities survive a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmoothProfile {
    /// e^(−t).
    Gaussian,
    /// 1/(1 + t).
    RationalQuadratic,
    /// 4/(e^(−u) + 2 + e^u), u = √t.
    Logistic,
    /// 2/(e^(−u) + e^u), u = √t.
    Sigmoid,
}

impl SmoothProfile {
    /// κ(t).
    pub fn value(self, t: f64) -> f64 {
        match self {
            Self::Gaussian => (-t).exp(),
            Self::RationalQuadratic => 1.0 / (1.0 + t),
            Self::Logistic => {
                let e = (-t.sqrt()).exp();
                4.0 * e / ((1.0 + e) * (1.0 + e))
            }
            Self::Sigmoid => {
                let e = (-t.sqrt()).exp();
                2.0 * e / (1.0 + e * e)
            }
        }
    }

    /// −κ′(t) > 0.
    pub fn weight(self, t: f64) -> f64 {
        match self {
            Self::Gaussian => (-t).exp(),
            Self::RationalQuadratic => 1.0 / ((1.0 + t) * (1.0 + t)),
            Self::Logistic => {
                // κ = 1/cosh²(u/2), κ′(u) = −tanh(u/2)/cosh²(u/2), dt = 2u du.
                let u = t.sqrt();
                let ratio = if u < 1e-6 { 0.25 } else { (0.5 * u).tanh() / (2.0 * u) };
                ratio * self.value(t)
            }
            Self::Sigmoid => {
                // κ = 1/cosh u, κ′(u) = −tanh(u)/cosh u.
                let u = t.sqrt();
                let ratio = if u < 1e-6 { 0.5 } else { u.tanh() / (2.0 * u) };
                ratio * self.value(t)
            }
        }
    }

    /// Largest −tκ′(t)/κ(t) for points that matter among n at relative error ε: those with κ(t) ≥ ε/n.
    fn relative_slope(self, n: f64, epsilon: f64) -> f64 {
        let cut = (n / epsilon).ln();
        match self {
            Self::Gaussian => cut,
            Self::RationalQuadratic => 1.0,
            // At most u/2, and κ ≤ 4e^(−u).
            Self::Logistic => 0.5 * (cut + 4.0_f64.ln()),
            // At most u/2, and κ ≤ 2e^(−u).
            Self::Sigmoid => 0.5 * (cut + 2.0_f64.ln()),
        }
    }
}

/// Search for the highest mode of a density in ℝᵈ through a random projection to ℝʷ (Johnson-Lindenstrauss).
///
/// The projection is scaled so that no distance between points shrinks. A low-dimensional density value is then a *certificate*: the lifted
/// point x = Σ κ′(tᵢ)pᵢ/Σ κ′(tᵢ) has at least that density in ℝᵈ, because κ is convex (Kirszbraun's theorem); and climbing on in ℝᵈ only raises it.
///
/// Reference: Luo, Musco, Widdershoven, *Dimensionality reduction for general KDE mode finding* (2023).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{ProjectedModes, SmoothProfile};
/// let xs: Vec<f64> = (0..400).map(|i| (f64::from(i) * 0.7).sin() * 0.1).collect();
/// let xs = Rows::from_row_major(xs, 20, 20)?;
/// let mode = ProjectedModes::new(SmoothProfile::Gaussian, 1.0).dimension(5).seed(1).find(&xs)?;
/// assert!(mode.value >= mode.certificate * (1.0 - 1e-12));
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProjectedModes {
    profile: SmoothProfile,
    h: f64,
    dimension: Option<usize>,
    epsilon: f64,
    seed: u64,
    iterations: usize,
}

/// What [`ProjectedModes`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectedMode {
    /// The point of ℝᵈ.
    pub x: Vec<f64>,
    /// Its mean of κ.
    pub value: f64,
    /// The mean of κ at the low-dimensional mode: a lower bound on `value`, before climbing on.
    pub certificate: f64,
    /// Largest ratio of projected to true distances between points: 1 would be no distortion.
    pub distortion: f64,
    /// Dimension w that was projected to.
    pub dimension: usize,
}

impl ProjectedModes {
    /// With a profile and scale h, relative error ε = 0.1 and the dimension its bound asks for.
    pub fn new(profile: SmoothProfile, h: f64) -> Self {
        Self { profile, h, dimension: None, epsilon: 0.1, seed: 0, iterations: 2000 }
    }

    /// Sets w instead of computing it from the error.
    pub fn dimension(mut self, w: usize) -> Self {
        self.dimension = Some(w);
        self
    }

    /// Relative error ε in (0, 1) that the dimension is computed for.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Seed of the projection.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// w = ⌈8 ln n/γ²⌉ with distortion 1 + γ, γ = ln(1/(1 − ε))/(4 · relative slope), so that the maximum is kept within 1 − ε.
    ///
    /// **Errors.** ε outside (0, 1).
    pub fn dimension_bound(&self, n: usize) -> Result<usize, Error> {
        error::fraction("epsilon", self.epsilon)?;
        let n = n.max(2) as f64;
        let gamma = -(1.0 - self.epsilon).ln() / (4.0 * self.profile.relative_slope(n, self.epsilon));
        Ok((8.0 * n.ln() / (gamma * gamma)).ceil() as usize)
    }

    /// Projects, climbs from every point in ℝʷ, lifts the best end, climbs on in ℝᵈ.
    ///
    /// **Errors.** No points or features, values that are not finite, a scale that is not positive, ε outside (0, 1), w = 0.
    pub fn find(&self, xs: &Rows<f64>) -> Result<ProjectedMode, Error> {
        let bound = self.dimension_bound(xs.len())?;
        let w = self.dimension.unwrap_or(bound).min(xs.dim());
        error::at_least("a projection (dimensions)", 1, w)?;
        let mut rng = random::stream(self.seed, 0);
        let scale = 1.0 / (w as f64).sqrt();
        let projection = if w == xs.dim() {
            DMatrix::identity(w, w)
        } else {
            DMatrix::from_fn(w, xs.dim(), |_, _| {
                let normal: f64 = StandardNormal.sample(&mut rng);
                scale * normal
            })
        };
        self.find_with(xs, &projection)
    }

    /// [`ProjectedModes::find`] with a projection of the caller, w × d; it is scaled so that no distance shrinks.
    ///
    /// **Errors.** As [`ProjectedModes::find`]; a projection that makes two different points one.
    pub fn find_with(&self, xs: &Rows<f64>, projection: &DMatrix<f64>) -> Result<ProjectedMode, Error> {
        let low = self.project(xs, projection)?;
        let ends = parallel::map(xs.len(), |i| self.climb(&low.0, low.0.point(i).to_vec()));
        let values: Vec<f64> = ends.iter().map(|y| self.mean(&low.0, y)).collect();
        let best = crate::access::argmax(&values, |_| true).unwrap_or(0);
        let lifted = self.lift(xs, &low.0, &ends[best])?;
        let x = self.climb(xs, lifted);
        Ok(ProjectedMode {
            value: self.mean(xs, &x),
            certificate: values[best],
            distortion: low.1,
            dimension: projection.nrows(),
            x,
        })
    }

    /// Projected points, none of whose distances shrank, and the largest stretch.
    fn project(&self, xs: &Rows<f64>, projection: &DMatrix<f64>) -> Result<(Rows<f64>, f64), Error> {
        let n = xs.len();
        error::at_least("a mode", 1, n)?;
        error::expect("columns of the projection (one a feature)", xs.dim(), projection.ncols())?;
        error::at_least("a projection (dimensions)", 1, projection.nrows())?;
        xs.check_finite()?;
        error::finite("entry of the projection", projection.as_slice())?;
        error::positive("scale", self.h)?;
        let low = Rows::new(&(xs.to_matrix() * projection.transpose()));
        let ratios = parallel::map(n, |i| {
            (0..i).fold((f64::INFINITY, 0.0_f64), |(least, most), j| {
                let full = squared_distance(xs.point(i), xs.point(j));
                if full == 0.0 {
                    return (least, most);
                }
                let ratio = (squared_distance(low.point(i), low.point(j)) / full).sqrt();
                (least.min(ratio), most.max(ratio))
            })
        });
        let (least, most) =
            ratios.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), r| (a.min(r.0), b.max(r.1)));
        if least == f64::INFINITY {
            return Ok((low, 1.0));
        }
        if least <= 0.0 {
            return Err(Error::NoSpread { what: "the projection of two different points" });
        }
        let values = low.as_slice().iter().map(|x| x / least).collect();
        Ok((Rows::from_row_major(values, n, projection.nrows())?, most / least))
    }

    /// The point of ℝᵈ for a point y of ℝʷ; its density is at least y's.
    ///
    /// **Errors.** Different numbers of points, a `y` of another dimension.
    pub fn lift(&self, xs: &Rows<f64>, low: &Rows<f64>, y: &[f64]) -> Result<Vec<f64>, Error> {
        error::expect("projected points", xs.len(), low.len())?;
        error::expect("values of the projected mode", low.dim(), y.len())?;
        Ok(self.average(xs, |i| squared_distance(low.point(i), y)))
    }

    /// Σ wᵢpᵢ/Σ wᵢ for the squared distances given; at the nearest point where all weights underflow.
    fn average(&self, xs: &Rows<f64>, squared: impl Fn(usize) -> f64) -> Vec<f64> {
        let n = xs.len();
        let t: Vec<f64> = (0..n).map(|i| squared(i) / (self.h * self.h)).collect();
        let least = t.iter().copied().fold(f64::INFINITY, f64::min);
        let gaussian = self.profile == SmoothProfile::Gaussian;
        let mut sum = vec![0.0; xs.dim()];
        let mut total = 0.0;
        for (i, t) in t.iter().enumerate() {
            // A common factor is free: the nearest point's weight becomes 1.
            let w = if gaussian { (least - t).exp() } else { self.profile.weight(*t) };
            total += w;
            sum.iter_mut().zip(xs.point(i)).for_each(|(s, p)| *s += w * p);
        }
        sum.iter_mut().for_each(|s| *s /= total);
        sum
    }

    fn mean(&self, xs: &Rows<f64>, x: &[f64]) -> f64 {
        let h2 = self.h * self.h;
        (0..xs.len()).map(|i| self.profile.value(squared_distance(xs.point(i), x) / h2)).sum::<f64>()
            / xs.len() as f64
    }

    fn climb(&self, xs: &Rows<f64>, mut x: Vec<f64>) -> Vec<f64> {
        for _ in 0..self.iterations {
            let next = self.average(xs, |i| squared_distance(xs.point(i), &x));
            let moved = squared_distance(&x, &next);
            x = next;
            if moved.is_nan() || moved <= 1e-20 * self.h * self.h {
                break;
            }
        }
        x
    }
}
