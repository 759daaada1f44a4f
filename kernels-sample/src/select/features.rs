//! Feature matrices of batch active learning and the transformations of the frame.

use kernels_core::{Linear, Rows, dense::Cholesky};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};

use super::{BatchMethod, BatchSelection};
use crate::{Error, error, random};

/// Features φ of pool and training points, rows, whose inner products are the kernel of a batch selection: gradients of a
/// network, random features, the last layer. Transformations return new features; they combine freely.
///
/// Where the kernel itself is at hand and n is small, [`BatchSelection`] on it does the same without features.
///
/// Reference: Holzmüller, Zaverkin, Kästner, Steinwart, *A framework and benchmark for deep batch active learning for
/// regression* (2023), section 4.
///
/// ```
/// use kernels_sample::{BatchFeatures, BatchMethod};
/// use nalgebra::DMatrix;
/// let pool = DMatrix::from_fn(50, 8, |i, j| ((i * 7 + j * 3) as f64).sin());
/// let train = DMatrix::from_fn(5, 8, |i, j| ((i * 5 + j) as f64).cos());
/// let batch = BatchFeatures::new(pool, train)?
///     .scale()?
///     .posterior(1e-2)?
///     .sketch(4, 1)?
///     .select(BatchMethod::MaxDet, 1e-6, false, 0, 3)?;
/// assert_eq!(batch.len(), 3);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BatchFeatures {
    pool: DMatrix<f64>,
    train: DMatrix<f64>,
}

impl BatchFeatures {
    /// From features of pool (n × p) and training points (m × p).
    ///
    /// **Errors.** Different numbers of features, values that are not finite.
    pub fn new(pool: DMatrix<f64>, train: DMatrix<f64>) -> Result<Self, Error> {
        error::expect("features of the training points", pool.ncols(), train.ncols())?;
        error::finite("feature", pool.as_slice())?;
        error::finite("feature", train.as_slice())?;
        Ok(Self { pool, train })
    }

    /// Features of the pool, a row a point.
    pub fn pool(&self) -> &DMatrix<f64> {
        &self.pool
    }

    /// Features of the training points.
    pub fn train(&self) -> &DMatrix<f64> {
        &self.train
    }

    fn map(&self, f: impl Fn(&DMatrix<f64>) -> DMatrix<f64>) -> Result<Self, Error> {
        Self::new(f(&self.pool), f(&self.train))
    }

    /// The same points.
    fn check_points(&self, other: &Self) -> Result<(), Error> {
        error::expect("points of the pool", self.pool.nrows(), other.pool.nrows())?;
        error::expect("training points", self.train.nrows(), other.train.nrows())
    }

    /// Divides by the root of the training points' mean k(x, x).
    ///
    /// **Errors.** No training points, or all of them 0.
    pub fn scale(&self) -> Result<Self, Error> {
        error::at_least("scaling to training points", 1, self.train.nrows())?;
        let mean = self.train.norm_squared() / self.train.nrows() as f64;
        let mean = error::positive("mean of the kernel's diagonal over training points", mean)?;
        self.map(|m| m / mean.sqrt())
    }

    /// Conditions on the training points, observed with noise variance σ²: φ ← σ L⁻¹φ, LLᵀ = ΦᵀΦ + σ²I.
    ///
    /// **Errors.** A noise variance that is not positive. **Complexity.** O((n + m) p² + p³).
    pub fn posterior(&self, noise_variance: f64) -> Result<Self, Error> {
        let noise = error::positive("noise variance", noise_variance)?;
        let mut normal = self.train.tr_mul(&self.train);
        (0..normal.nrows()).for_each(|i| normal[(i, i)] += noise);
        let lower = Cholesky::new(normal)?.factor().lower_triangle();
        let solved = |m: &DMatrix<f64>| {
            let mut out = m.transpose();
            // L has a positive diagonal.
            lower.solve_lower_triangular_mut(&mut out);
            out.transpose() * noise.sqrt()
        };
        self.map(solved)
    }

    /// Gaussian sketch to p features, φ ← G φ/√p with independent normal entries: inner products are kept on average.
    ///
    /// **Errors.** p = 0.
    pub fn sketch(&self, p: usize, seed: u64) -> Result<Self, Error> {
        let g = gaussian(self.pool.ncols(), p, seed, 0)?;
        self.map(|m| m * &g / (p as f64).sqrt())
    }

    /// Sketch of the product of two kernels to p features: √p times the entries' products of independent sketches.
    ///
    /// **Errors.** p = 0, other numbers of points.
    pub fn product_sketch(&self, other: &Self, p: usize, seed: u64) -> Result<Self, Error> {
        self.check_points(other)?;
        let a = gaussian(self.pool.ncols(), p, seed, 1)?;
        let b = gaussian(other.pool.ncols(), p, seed, 2)?;
        let both = |x: &DMatrix<f64>, y: &DMatrix<f64>| (x * &a).component_mul(&(y * &b)) / (p as f64).sqrt();
        Self::new(both(&self.pool, &other.pool), both(&self.train, &other.train))
    }

    /// Sum of two kernels, of an ensemble's members say: all features side by side. Of sketches with one p and different
    /// seeds, [`BatchFeatures::sum_sketch`] adds features instead.
    ///
    /// **Errors.** Other numbers of points.
    pub fn sum(&self, other: &Self) -> Result<Self, Error> {
        self.check_points(other)?;
        let both = |x: &DMatrix<f64>, y: &DMatrix<f64>| {
            DMatrix::from_fn(x.nrows(), x.ncols() + y.ncols(), |i, j| {
                if j < x.ncols() { x[(i, j)] } else { y[(i, j - x.ncols())] }
            })
        };
        Self::new(both(&self.pool, &other.pool), both(&self.train, &other.train))
    }

    /// Sketch of the sum of two kernels: the sum of independent sketches, p features.
    ///
    /// **Errors.** p = 0, other numbers of points.
    pub fn sum_sketch(&self, other: &Self, p: usize, seed: u64) -> Result<Self, Error> {
        self.check_points(other)?;
        let a = gaussian(self.pool.ncols(), p, seed, 1)? / (p as f64).sqrt();
        let b = gaussian(other.pool.ncols(), p, seed, 2)? / (p as f64).sqrt();
        Self::new(&self.pool * &a + &other.pool * &b, &self.train * &a + &other.train * &b)
    }

    /// Random features of active-set selection by coresets (ACS-RF): how the log likelihood of a model drawn from the
    /// posterior would change with a point, over p draws. With v = k_train(x, x) and draws w of the posterior's unit
    /// weights, p^(−½) (½ ln(1 + v/σ²) − ((wᵀφ)² + v)/(2σ²)).
    ///
    /// **Errors.** A noise variance that is not positive, p = 0.
    pub fn acs_random(&self, noise_variance: f64, p: usize, seed: u64) -> Result<Self, Error> {
        let noise = error::positive("noise variance", noise_variance)?;
        let posterior = self.posterior(noise)?;
        let w = gaussian(posterior.pool.ncols(), p, seed, 3)?;
        let features = |m: &DMatrix<f64>| {
            let drawn = m * &w;
            DMatrix::from_fn(m.nrows(), p, |i, t| {
                let v = m.row(i).norm_squared();
                let gain = 0.5 * (v / noise).ln_1p() - (drawn[(i, t)].powi(2) + v) / (2.0 * noise);
                gain / (p as f64).sqrt()
            })
        };
        posterior.map(features)
    }

    /// Sketch to p features of ACS-GRAD, the kernel σ⁻⁴ k(x, y) k_train(x, y).
    ///
    /// **Errors.** A noise variance that is not positive, p = 0.
    pub fn acs_gradient(&self, noise_variance: f64, p: usize, seed: u64) -> Result<Self, Error> {
        let noise = error::positive("noise variance", noise_variance)?;
        self.product_sketch(&self.posterior(noise)?, p, seed)?.map(|m| m / noise)
    }

    /// Up to `size` indices of the pool by a method of the frame with noise variance σ² ≥ 0; `with_train` is its TP mode.
    ///
    /// **Errors.** As [`BatchSelection::select`].
    pub fn select(
        &self,
        method: BatchMethod,
        noise_variance: f64,
        with_train: bool,
        seed: u64,
        size: usize,
    ) -> Result<Vec<usize>, Error> {
        BatchSelection::new(Linear::new(0.0)?, method)
            .noise(noise_variance)
            .with_train(with_train)
            .seed(seed)
            .select(&Rows::new(&self.pool), &Rows::new(&self.train), size)
    }
}

/// p columns of independent normal variates.
fn gaussian(rows: usize, p: usize, seed: u64, stream: u64) -> Result<DMatrix<f64>, Error> {
    error::at_least("a sketch (features)", 1, p)?;
    let mut rng = random::stream(seed, stream);
    Ok(DMatrix::from_fn(rows, p, |_, _| StandardNormal.sample(&mut rng)))
}
