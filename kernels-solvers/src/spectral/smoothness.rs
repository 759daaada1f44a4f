//! How smooth a target is for a kernel, and the classifier whose stopping time that sets.

use kernels_core::{Kernel, Points, PositiveDefinite};
use nalgebra::DMatrix;

use super::{GradientFlow, SpectralPath};
use crate::{
    Error, KrrModel, Targets,
    data::{at_least, expect},
};

/// Decay of the eigenvalues and smoothness of the target for a kernel, estimated from a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Smoothness {
    /// β of λⱼ ≍ j^(−β).
    pub decay: f64,
    /// s: the target lies in the interpolation spaces of order s' for all s' < s; 1 is the kernel's own space.
    pub smoothness: f64,
    /// Slope of ln p²ⱼ against ln j, which is −(sβ + 1).
    pub slope: f64,
    /// Leading components that were used.
    pub truncation: usize,
}

impl Smoothness {
    /// The stopping time n^(β/(sβ+1)) of gradient flow that balances bias and variance.
    pub fn stopping_time(&self, n: usize) -> f64 {
        (n as f64).powf(self.decay / (self.smoothness.max(0.0) * self.decay + 1.0))
    }

    /// The exponent r of the rate n^(−r) of the excess risk of a classifier stopped then: sβ/(2(sβ+1)).
    pub fn classification_rate(&self) -> f64 {
        let s = self.smoothness.max(0.0) * self.decay;
        s / (2.0 * (s + 1.0))
    }
}

/// Estimates [`Smoothness`] from the leading `truncation` components pⱼ = |uⱼᵀy|/√n of one output in the eigenbasis of
/// K/n, by least squares on logarithms.
///
/// With `truncation` 0 the components are those above the noise: p²ⱼ > 4 v̂/n, v̂ the mean square of the components past
/// half, up to the first that is not; at least 10 where there are as many.
///
/// **Errors.** As [`Krr::fit`](crate::Krr::fit); fewer than 3 usable components. **Complexity.** O(n³).
///
/// Reference: Optimality of kernel classifiers in Sobolev space, ICLR 2024, section 5.
///
/// ```
/// use kernels_core::{Laplacian, Rows};
/// use kernels_solvers::spectral::estimate_smoothness;
/// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 200.0).collect(), 200, 1)?;
/// let y: Vec<f64> = (0..200).map(|i| (f64::from(i) / 200.0 - 0.5).abs()).collect();
/// let found = estimate_smoothness(Laplacian::new(1.0)?, &xs, &y, 30)?;
/// // The kernel's eigenvalues fall like j^(-2), in the limit.
/// assert!((found.decay - 2.0).abs() < 0.4);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn estimate_smoothness<P, K, Y>(kernel: K, xs: &P, y: &Y, truncation: usize) -> Result<Smoothness, Error>
where
    P: Points + Clone,
    K: Kernel<P> + PositiveDefinite,
    Y: Targets + ?Sized,
{
    let path = SpectralPath::new(kernel, xs, y)?;
    from_path(&path, truncation)
}

fn from_path<P: Points + Clone, K: Kernel<P> + PositiveDefinite>(
    path: &SpectralPath<P, K>,
    truncation: usize,
) -> Result<Smoothness, Error> {
    let n = path.eigenvalues().len();
    let values: Vec<f64> = path.eigenvalues().iter().rev().copied().collect();
    let squares: Vec<f64> = path.projected().column(0).iter().rev().map(|p| p * p / n as f64).collect();
    let truncation = if truncation > 0 { truncation.min(n) } else { above_noise(&squares) };
    let usable: Vec<usize> = (0..truncation).filter(|&j| values[j] > 0.0 && squares[j] > 0.0).collect();
    at_least("an estimate of smoothness (components that are not 0)", 3, usable.len())?;
    let fit = |of: &[f64]| {
        let points = usable.iter().map(|&j| (((j + 1) as f64).ln(), of[j].ln()));
        slope(&points.collect::<Vec<_>>())
    };
    let (decay, slope) = (-fit(&values), fit(&squares));
    Ok(Smoothness { decay, smoothness: (-slope - 1.0) / decay, slope, truncation })
}

fn above_noise(squares: &[f64]) -> usize {
    let n = squares.len();
    let tail = &squares[n / 2..];
    // Squares are p², and noise of variance v has mean p² of v/n.
    let floor = 4.0 * tail.iter().sum::<f64>() / tail.len().max(1) as f64;
    let first = squares.iter().position(|p| *p <= floor).unwrap_or(n);
    first.max(10).min(n)
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (xy, xx) =
        points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + (x - mx) * (y - my), b + (x - mx).powi(2)));
    xy / xx
}

/// Classification by the sign of kernel gradient flow on codes ±1, one-vs-rest for more than two classes.
///
/// Without a time the flow stops at n^(β/(sβ+1)) with the decay and smoothness estimated from the sample.
///
/// Reference: Optimality of kernel classifiers in Sobolev space, ICLR 2024.
///
/// ```
/// use kernels_core::{Matern, Rows};
/// use kernels_solvers::spectral::GradientFlowClassifier;
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i)).collect(), 40, 1)?;
/// let labels: Vec<usize> = (0..40).map(|i| usize::from(i >= 20)).collect();
/// let model = GradientFlowClassifier::new(Matern::new(1.5, 5.0)?).fit(&xs, &labels)?;
/// let at = Rows::from_row_major(vec![3.0, 33.0], 2, 1)?;
/// assert_eq!(model.predict(&at)?, vec![0, 1]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GradientFlowClassifier<K> {
    kernel: K,
    time: Option<f64>,
    truncation: usize,
}

impl<K> GradientFlowClassifier<K> {
    /// With a stopping time from the estimated smoothness.
    pub fn new(kernel: K) -> Self {
        Self { kernel, time: None, truncation: 0 }
    }

    /// Sets the stopping time.
    pub fn time(mut self, time: impl Into<Option<f64>>) -> Self {
        self.time = time.into();
        self
    }

    /// Components that the smoothness is estimated from; 0 chooses them by the noise.
    pub fn truncation(mut self, components: usize) -> Self {
        self.truncation = components;
        self
    }

    /// Fits to points and labels, which may be any integers.
    ///
    /// **Errors.** Fewer than two classes; otherwise as [`Krr::fit`](crate::Krr::fit). **Complexity.** O(n³).
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<GradientFlowModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = crate::classify::classes(labels)?;
        let codes =
            DMatrix::from_fn(
                labels.len(),
                classes.len(),
                |i, k| {
                    if labels[i] == classes[k] { 1.0 } else { -1.0 }
                },
            );
        let path = SpectralPath::new(self.kernel.clone(), xs, &codes)?;
        let smoothness = from_path(&path, self.truncation).ok();
        let time = match (self.time, smoothness) {
            (Some(time), _) => time,
            (None, Some(found)) => found.stopping_time(xs.len()),
            (None, None) => from_path(&path, self.truncation)?.stopping_time(xs.len()),
        };
        // The estimate is in units of the largest eigenvalue: rates know nothing of constants.
        let top = path.eigenvalues().iter().fold(0.0_f64, |m, v| m.max(*v));
        let flow = if self.time.is_some() { time } else { time / top.max(f64::MIN_POSITIVE) };
        let model = path.into_model(&GradientFlow::new(flow)?)?;
        Ok(GradientFlowModel { model, classes, smoothness, time: flow })
    }
}

/// A fitted gradient-flow classifier.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GradientFlowModel<P, K> {
    model: KrrModel<P, K>,
    classes: Vec<usize>,
    smoothness: Option<Smoothness>,
    time: f64,
}

impl<P, K> GradientFlowModel<P, K> {
    /// The labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The smoothness of the first class's code; `None` when there were too few components.
    pub fn smoothness(&self) -> Option<Smoothness> {
        self.smoothness
    }

    /// The time the flow was stopped at.
    pub fn time(&self) -> f64 {
        self.time
    }
}

impl<P: Points, K: Kernel<P>> GradientFlowModel<P, K> {
    /// Values of the flow, one column a class.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn scores(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.model.predict(xs)
    }

    /// The label of the largest score.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        let scores = self.scores(xs)?;
        Ok((0..scores.nrows())
            .map(|i| self.classes[crate::classify::largest(scores.row(i).iter())])
            .collect())
    }
}
