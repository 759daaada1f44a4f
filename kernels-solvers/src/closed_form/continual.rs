//! Kernel continual learning.

use kernels_core::dense::{Cholesky, product};
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Error, Version,
    calibration::softmax,
    data::{at_least, expect, finite},
};

/// Random features √(2/D) cos(ωψ + b) of rows ψ, for D frequencies ω (one a row) and phases b.
///
/// # Errors
/// Shapes that disagree, no frequencies.
pub fn variational_features(
    inputs: &DMatrix<f64>,
    frequencies: &DMatrix<f64>,
    phases: &[f64],
) -> Result<DMatrix<f64>, Error> {
    let count = frequencies.nrows();
    at_least("random features", 1, count)?;
    expect("columns of the frequencies", inputs.ncols(), frequencies.ncols())?;
    expect("phases (one a frequency)", count, phases.len())?;
    let mut out = product(inputs, &frequencies.transpose())?;
    let scale = (2.0 / count as f64).sqrt();
    for (mut column, phase) in out.column_iter_mut().zip(phases) {
        column.apply(|v| *v = scale * (*v + phase).cos());
    }
    Ok(out)
}

/// KL(q‖p) of diagonal Gaussians, by means and logarithms of variances.
///
/// # Errors
/// Lengths that differ.
///
/// ```
/// let same = kernels_solvers::closed_form::gaussian_divergence(&[1.0], &[0.3], &[1.0], &[0.3])?;
/// assert_eq!(same, 0.0);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn gaussian_divergence(
    mean: &[f64],
    ln_variance: &[f64],
    prior: &[f64],
    prior_ln: &[f64],
) -> Result<f64, Error> {
    for given in [ln_variance.len(), prior.len(), prior_ln.len()] {
        expect("dimensions of two Gaussians", mean.len(), given)?;
    }
    Ok((0..mean.len())
        .map(|i| {
            let square = (mean[i] - prior[i]).powi(2);
            0.5 * (prior_ln[i] - ln_variance[i] - 1.0 + (ln_variance[i].exp() + square) / prior_ln[i].exp())
        })
        .sum())
}

/// A task of its own: kernel ridge classification on a coreset, with random features drawn for the task. Tasks share nothing, so
/// that new ones leave the predictions of old ones bitwise unchanged.
///
/// Logits are γ k(x, X_c)(K_cc + (|λ| + 0.01)I)⁻¹ Y + β.
///
/// Reference: Derakhshani, Zhen, Shao, Snoek, *Kernel continual learning*, ICML 2021, equations 4 to 8.
///
/// ```
/// use kernels_solvers::closed_form::KernelTask;
/// use nalgebra::dmatrix;
/// let inputs = dmatrix![0.0, 0.1; 0.9, 1.0; 0.1, 0.0; 1.0, 0.9];
/// let (mean, ln_variance) = (vec![0.0; 2], vec![1.0; 2]);
/// let task = KernelTask::draw(&inputs, &[0, 1, 0, 1], 2, (&mean, &ln_variance), 200, 0.1, 7)?;
/// assert_eq!(task.predict(&dmatrix![0.05, 0.05; 0.95, 0.95])?, vec![0, 1]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KernelTask {
    version: Version,
    frequencies: DMatrix<f64>,
    phases: Vec<f64>,
    /// Φ_cᵀ (K_cc + …)⁻¹ Y, D × classes.
    weights: DMatrix<f64>,
    gamma: f64,
    beta: f64,
}

impl KernelTask {
    /// From coreset inputs, their one-hot (or any) codes, frequencies, phases, λ, and the scale and offset of the logits.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite. **Complexity.** m³ + mD for a coreset of m.
    pub fn new(
        coreset: &DMatrix<f64>,
        codes: &DMatrix<f64>,
        (frequencies, phases): (&DMatrix<f64>, &[f64]),
        lambda: f64,
        (gamma, beta): (f64, f64),
    ) -> Result<Self, Error> {
        let m = coreset.nrows();
        at_least("a task (coreset)", 1, m)?;
        expect("rows of the codes (one a coreset point)", m, codes.nrows())?;
        finite("input", coreset.as_slice(), m)?;
        finite("code", codes.as_slice(), m)?;
        finite("number", &[lambda, gamma, beta], 3)?;
        let features = variational_features(coreset, frequencies, phases)?;
        let mut k = product(&features, &features.transpose())?;
        (0..m).for_each(|i| k[(i, i)] += lambda.abs() + 0.01);
        let mut solved = codes.clone();
        Cholesky::new(k)?.solve_in_place(solved.as_view_mut())?;
        let weights = product(&features.transpose(), &solved)?;
        let (frequencies, phases) = (frequencies.clone(), phases.to_vec());
        Ok(Self { version: Version, frequencies, phases, weights, gamma, beta })
    }

    /// Draws `count` frequencies from N(mean, e^ln_variance) and phases, and fits to labels below `classes`.
    ///
    /// # Errors
    /// As [`KernelTask::new`]; a label that is not below `classes`.
    pub fn draw(
        coreset: &DMatrix<f64>,
        labels: &[usize],
        classes: usize,
        (mean, ln_variance): (&[f64], &[f64]),
        count: usize,
        lambda: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        expect("labels (one a coreset point)", coreset.nrows(), labels.len())?;
        expect("means of the frequencies (one a column)", coreset.ncols(), mean.len())?;
        expect("variances of the frequencies (one a column)", coreset.ncols(), ln_variance.len())?;
        if let Some(&given) = labels.iter().find(|l| **l >= classes) {
            return Err(kernels_core::Error::Shape { what: "label (below)", expected: classes, given }.into());
        }
        let codes = DMatrix::from_fn(labels.len(), classes, |i, c| f64::from(u8::from(labels[i] == c)));
        let mut frequencies = DMatrix::zeros(count, mean.len());
        let mut phases = Vec::with_capacity(count);
        for r in 0..count {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(r as u64);
            for c in 0..mean.len() {
                let normal: f64 = StandardNormal.sample(&mut rng);
                frequencies[(r, c)] = mean[c] + (0.5 * ln_variance[c]).exp() * normal;
            }
            phases.push(std::f64::consts::TAU * rand::RngExt::random::<f64>(&mut rng));
        }
        Self::new(coreset, &codes, (&frequencies, &phases), lambda, (1.0, 0.0))
    }

    /// Logits, one row a point.
    ///
    /// # Errors
    /// Inputs of another dimension.
    pub fn logits(&self, inputs: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let features = variational_features(inputs, &self.frequencies, &self.phases)?;
        let mut out = product(&features, &self.weights)? * self.gamma;
        out.add_scalar_mut(self.beta);
        Ok(out)
    }

    /// Softmax of the logits.
    ///
    /// # Errors
    /// Inputs of another dimension.
    pub fn predict_probability(&self, inputs: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let mut out = self.logits(inputs)?;
        for mut row in out.row_iter_mut() {
            let given: Vec<f64> = row.iter().copied().collect();
            row.copy_from(&DVector::from_vec(softmax(&given, 1.0)).transpose());
        }
        Ok(out)
    }

    /// The class of the largest logit.
    ///
    /// # Errors
    /// Inputs of another dimension.
    pub fn predict(&self, inputs: &DMatrix<f64>) -> Result<Vec<usize>, Error> {
        let logits = self.logits(inputs)?;
        Ok(logits.row_iter().map(|row| crate::classify::largest(row.iter())).collect())
    }
}
