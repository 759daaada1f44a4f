//! Classification by one-vs-rest kernel ridge regression with calibrated probabilities.

use kernels_core::{Kernel, Points, PositiveDefinite};
use nalgebra::DMatrix;

use crate::{Calibration, Criterion, Error, Krr, KrrModel, ProbabilityScale, RidgePath, data::expect};

/// One-vs-rest kernel ridge regression on codes ±1, calibrated on leave-one-out scores.
///
/// All classes share one factorization; the scores that calibrate are those of models that have not seen the sample, in
/// closed form, so that no sample is held back and no model is fitted twice. The predicted class is always the one of
/// greatest probability.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::KernelClassifier;
/// let xs = Rows::from_row_major((0..20).map(|i| f64::from(i)).collect(), 20, 1)?;
/// let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10)).collect();
/// let model = KernelClassifier::new(Rbf::new(3.0)?).ridge(0.1).fit(&xs, &labels)?;
/// let at = Rows::from_row_major(vec![2.0, 17.0], 2, 1)?;
/// assert_eq!(model.predict(&at)?, vec![0, 1]);
/// assert!(model.predict_probability(&at)?[(0, 0)] > 0.8);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelClassifier<K> {
    kernel: K,
    ridges: Vec<f64>,
    calibration: Calibration,
}

impl<K> KernelClassifier<K> {
    /// With ridge 1 and Platt's calibration.
    pub fn new(kernel: K) -> Self {
        Self { kernel, ridges: vec![1.0], calibration: Calibration::default() }
    }

    /// Sets the ridge α > 0.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridges = vec![alpha];
        self
    }

    /// Offers several ridges: the one of least squared leave-one-out error of the codes is taken.
    pub fn ridges(mut self, ridges: impl Into<Vec<f64>>) -> Self {
        self.ridges = ridges.into();
        self
    }

    /// Sets how scores become probabilities.
    pub fn calibration(mut self, calibration: Calibration) -> Self {
        self.calibration = calibration;
        self
    }

    /// Fits to points and labels, which may be any integers.
    ///
    /// **Errors.** Fewer than two classes; otherwise as [`Krr::leave_one_out`]. **Complexity.** n³ (with several ridges 10n³) + n²
    /// for every class.
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<ClassifierModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = classes(labels)?;
        let codes =
            DMatrix::from_fn(
                labels.len(),
                classes.len(),
                |i, k| if labels[i] == classes[k] { 1.0 } else { -1.0 },
            );
        let ridge = match *self.ridges.as_slice() {
            [ridge] => ridge,
            _ => {
                let path = RidgePath::new(self.kernel.clone(), xs, &codes)?;
                path.best(&self.ridges, Criterion::LeaveOneOut)?.ridge
            }
        };
        let loo = Krr::new(self.kernel.clone()).ridge(ridge).leave_one_out(xs, &codes)?;
        let class: Vec<usize> = labels.iter().map(|l| classes.partition_point(|c| c < l)).collect();
        let scale = ProbabilityScale::fit(&loo.predictions, &class, self.calibration)?;
        let leave_one_out = scale.probabilities(&loo.predictions)?;
        Ok(ClassifierModel { model: loo.model, classes, scale, ridge, leave_one_out })
    }
}

/// The distinct labels, ascending; at least two.
pub(crate) fn classes(labels: &[usize]) -> Result<Vec<usize>, Error> {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < 2 {
        return Err(Error::Classes { given: labels.len(), classes: classes.len() });
    }
    Ok(classes)
}

/// Place of the largest score, the first among equals.
pub(crate) fn largest<'a>(scores: impl Iterator<Item = &'a f64>) -> usize {
    let best = scores
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (k, &s)| if s > best.1 { (k, s) } else { best });
    best.0
}

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClassifierModel<P, K> {
    model: KrrModel<P, K>,
    classes: Vec<usize>,
    scale: ProbabilityScale,
    ridge: f64,
    leave_one_out: DMatrix<f64>,
}

impl<P, K> ClassifierModel<P, K> {
    /// The labels, ascending: column k of the probabilities is class k.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The ridge that was used.
    pub fn ridge(&self) -> f64 {
        self.ridge
    }

    /// The regression on the codes.
    pub fn regression(&self) -> &KrrModel<P, K> {
        &self.model
    }

    /// Calibrated probabilities of the training samples by the models without them, n × classes: an honest look at the
    /// calibration, up to the few numbers of the calibration itself.
    pub fn leave_one_out_probability(&self) -> &DMatrix<f64> {
        &self.leave_one_out
    }
}

impl<P: Points, K: Kernel<P>> ClassifierModel<P, K> {
    /// Raw scores, one column a class; about 1 for members and −1 for others.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn scores(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.model.predict(xs)
    }

    /// Probabilities, one column a class; rows sum to 1.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict_probability(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.scale.probabilities(&self.scores(xs)?)
    }

    /// The label of greatest probability; among equals, of the greatest score.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        Ok(self.scale.best(&self.scores(xs)?)?.into_iter().map(|k| self.classes[k]).collect())
    }
}
