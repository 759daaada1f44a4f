//! Preconditioned stochastic gradients: EigenPro 2, 3 and 4.

mod full;
mod large;
mod run;
mod spectrum;
#[cfg(test)]
mod tests;

use std::path::Path;

use full::Full;
use kernels_core::{Describe, Error as CoreError, Kernel, Points, PositiveDefinite, Progress};
use large::{Large, Projection};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::Run;
use spectrum::Spectrum;
pub(crate) use spectrum::cross_times;

use crate::{
    BlockSource, Ended, Error, KrrModel, SolveReport, Targets,
    checkpoint::{Checkpoint, FIRST, fold, fold_values},
    data::{checked, checked_start, cross_f64, gram_f64, non_negative, require_positive},
    falkon::factorize,
    stream::check_source,
    uniform_landmarks,
};

/// EigenPro: kernel regression by stochastic gradients with the top of the spectrum damped, so that batches and steps
/// can be as large as the hardware likes. Batch and step are computed, not tuned.
///
/// - [`EigenPro::fit`]: a coefficient for every sample, interpolating, or with [`EigenPro::ridge`] (EigenPro 2).
/// - [`EigenPro::fit_centers`]: a model on centres that need not be samples, from streamed data; gradients are projected to the
///   centres at every batch (`delay(1)`, EigenPro 3), or after several ([`EigenPro::delay`], EigenPro 4).
///
/// ```
/// use kernels_core::{Matern, Rows};
/// use kernels_solvers::EigenPro;
/// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 50.0).collect(), 200, 1)?;
/// let y: Vec<f64> = (0..200).map(|i| (f64::from(i) / 50.0).sin()).collect();
/// let fit = EigenPro::new(Matern::new(0.5, 1.0)?).sample(100).directions(40).epochs(20);
/// let (model, report) = fit.fit(&xs, &y, &mut ())?;
/// assert!((model.predict(&xs)?[(75, 0)] - 1.5_f64.sin()).abs() < 0.01, "{report:?}");
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// References: Ma, Belkin, *Kernel machines that adapt to GPUs for effective large batch training* (2019); Abedsoltan, Belkin,
/// Pandit, *Toward large kernel models* (2023), algorithm 1; Abedsoltan, Ma, Pandit, Belkin, *Fast training of large kernel models
/// with delayed projections* (2024), algorithm 2.
#[derive(Clone, Debug)]
pub struct EigenPro<K> {
    kernel: K,
    sample: usize,
    directions: usize,
    exponent: f64,
    epochs: usize,
    batch: Option<usize>,
    ridge: f64,
    delay: Option<usize>,
    exact: Option<bool>,
    tolerance: f64,
    seed: u64,
    budget: usize,
    start: Option<DMatrix<f64>>,
    checkpoint: Option<Checkpoint>,
}

/// Largest batch that directions are chosen for when none is given.
const BATCH: usize = 4096;

/// Streams of random numbers, apart from those of the epochs.
const SAMPLES: u64 = u64::MAX;
const PROJECTIONS: u64 = 1 << 62;

impl<K> EigenPro<K> {
    /// Spectrum from 2000 samples, 100 directions; at most 10 epochs, relative training residual 1e-6; 64 MiB.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            sample: 2000,
            directions: 100,
            exponent: 0.95,
            epochs: 10,
            batch: None,
            ridge: 0.0,
            delay: None,
            exact: None,
            tolerance: 1e-6,
            seed: 0,
            budget: 64 << 20,
            start: None,
            checkpoint: None,
        }
    }

    /// Number of samples from which the spectrum is estimated. Costs its cube once.
    pub fn sample(mut self, samples: usize) -> Self {
        self.sample = samples;
        self
    }

    /// Number q of damped directions.
    pub fn directions(mut self, q: usize) -> Self {
        self.directions = q;
        self
    }

    /// Exponent in (0, 1] of the damping: 1 damps to the next eigenvalue, less is more careful.
    pub fn exponent(mut self, exponent: f64) -> Self {
        self.exponent = exponent;
        self
    }

    /// Most passes over the data.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Batch size; the critical one when not set.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// α ≥ 0 of (K + αI) c = y, for [`EigenPro::fit`]; 0 interpolates.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    /// Batches between projections, for [`EigenPro::fit_centers`]; max(1, centres / batch) when not set.
    pub fn delay(mut self, batches: usize) -> Self {
        self.delay = Some(batches.max(1));
        self
    }

    /// Whether gradients are projected by a factorization of the centres' kernel matrix, p² memory, or by epochs of EigenPro 2 on
    /// them. When not set: by a factorization if it fits the budget.
    pub fn exact_projection(mut self, exact: bool) -> Self {
        self.exact = Some(exact);
        self
    }

    /// Relative training residual ‖y − f‖ / ‖y‖, as met during an epoch, at which the fit ends.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Seed of samples and orders.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bytes of working memory of the kernel products.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Begins at these coefficients, of an earlier fit on the same samples or centres, instead of at 0.
    pub fn start(mut self, coefficients: &DMatrix<f64>) -> Self {
        self.start = Some(coefficients.clone());
        self
    }

    /// Keeps the state in a file after every `every` epochs (after every `every` projections with centres), and goes on from
    /// it when it is there, to the same bits.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some(Checkpoint::new(path.as_ref(), every));
        self
    }

    fn shuffled(&self, n: usize, stream: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        order
    }

    /// Indices of a sample of the spectrum and of a fresh one to check it with.
    fn samples(&self, n: usize) -> (Vec<usize>, Option<Vec<usize>>) {
        let mut all = self.shuffled(n, SAMPLES);
        let s = self.sample.clamp(1, n);
        let mut fresh = all.split_off(s);
        fresh.truncate(s);
        // Too few that are fresh say nothing new.
        let enough = fresh.len() >= s.div_ceil(2);
        (all, enough.then_some(fresh))
    }

    fn fingerprint(&self, n: usize, outputs: usize, method: &str, points: &[f64]) -> u64
    where
        K: Describe,
    {
        let (s, q, a, b) = (self.sample, self.directions, self.exponent, self.batch);
        let text = format!(
            "{method} {n} {outputs} {s} {q} {a} {b:?} {} {:?} {:?} {}",
            self.ridge, self.delay, self.exact, self.seed
        );
        let hash = fold_values(fold(FIRST, text.as_bytes()), points);
        let hash = fold_values(hash, self.start.iter().flatten());
        self.kernel.params().iter().fold(hash, |h, p| fold_values(h, [&p.value]))
    }

    /// The coefficients to begin at.
    fn begin(&self, rows: usize, outputs: usize) -> Result<DMatrix<f64>, Error> {
        let start = checked_start(self.start.as_ref(), (rows, outputs))?;
        Ok(start.cloned().unwrap_or_else(|| DMatrix::zeros(rows, outputs)))
    }

    fn check(&self) -> Result<(), Error> {
        let exponent = self.exponent;
        if !(exponent > 0.0 && exponent <= 1.0) {
            let expected = "above 0, at most 1";
            return Err(CoreError::Parameter { name: "exponent".into(), value: exponent, expected }.into());
        }
        if self.batch == Some(0) {
            let expected = "1 or above";
            return Err(CoreError::Parameter { name: "batch".into(), value: 0.0, expected }.into());
        }
        non_negative("ridge", self.ridge)?;
        Ok(())
    }

    /// Fits a coefficient for every sample (EigenPro 2).
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, parameters out of range, a kernel that is not positive
    /// definite, a checkpoint of another fit, [`CoreError::Cancelled`]. **Complexity.** n² kernel values an epoch, s³ once; memory O(n).
    pub fn fit<P, Y>(
        &self,
        xs: &P,
        y: &Y,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<P, K>, SolveReport), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        self.check()?;
        let y = checked("EigenPro", &self.kernel, xs, y)?;
        let (sample, fresh) = self.samples(xs.len());
        let mut spectrum = Spectrum::new(
            &self.kernel,
            xs.subset(&sample)?,
            self.directions,
            self.exponent,
            self.ridge,
            self.batch.unwrap_or(BATCH).min(xs.len()),
        )?;
        if let Some(fresh) = fresh {
            spectrum = spectrum.calibrated(&self.kernel, &xs.subset(&fresh)?)?;
        }
        let mut places = vec![None; if self.ridge > 0.0 { xs.len() } else { 0 }];
        for (place, i) in sample.iter().enumerate() {
            if let Some(to) = places.get_mut(*i) {
                *to = Some(place);
            }
        }
        let batch = self.batch.unwrap_or_else(|| spectrum.critical_batch()).min(xs.len());
        let full = Full {
            kernel: &self.kernel,
            xs,
            y: &y,
            spectrum: &spectrum,
            sample: &sample,
            batch,
            ridge: self.ridge,
            places,
            budget: self.budget,
        };
        let problem = self.fingerprint(xs.len(), y.ncols(), "eigenpro 2", y.as_slice());
        let start = Run::new(self.begin(y.nrows(), y.ncols())?, spectrum.step(batch));
        let mut run = self.restored(problem, start)?;
        let size = y.norm_squared() / y.len() as f64;
        while !run.is_done(self.epochs, self.tolerance) {
            let order = self.shuffled(xs.len(), run.epoch);
            let square = full.epoch(&mut run.weights, &order, run.step)?;
            run.end_epoch(square, size);
            if let Some(checkpoint) = self.checkpoint.as_ref().filter(|c| c.is_due(run.epoch as usize)) {
                checkpoint.save(problem, &run.state())?;
            }
            if progress.step("EigenPro", run.epoch as usize, self.epochs).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        Ok(self.model(xs.clone(), run))
    }

    /// Fits a model on `centers` to data that are read block by block (EigenPro 3 and 4). Without ridge: the least-squares
    /// fit, approached from 0.
    ///
    /// **Errors.** As [`EigenPro::fit`]; no centres; a ridge, which this method does not have. **Complexity.** np kernel values
    /// an epoch and p² a projection; memory O(p + block), p² with exact projection.
    pub fn fit_centers<S>(
        &self,
        source: &mut S,
        centers: &S::Points,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        S::Points: Clone,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        self.check()?;
        require_positive("EigenPro", &self.kernel)?;
        if self.ridge > 0.0 {
            let expected = "0 with centres: use Falkon, or fewer epochs";
            return Err(CoreError::Parameter { name: "ridge".into(), value: self.ridge, expected }.into());
        }
        if centers.is_empty() {
            let what = "EigenPro (centres)";
            return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
        }
        centers.check_finite()?;
        check_source("EigenPro", source)?;
        let (n, p, outputs) = (source.len(), centers.len(), source.outputs());
        let (sample, fresh) = self.samples(n);
        let mut spectrum = Spectrum::new(
            &self.kernel,
            source.select(&sample)?,
            self.directions,
            self.exponent,
            0.0,
            self.batch.unwrap_or(BATCH).min(n),
        )?;
        if let Some(fresh) = fresh {
            spectrum = spectrum.calibrated(&self.kernel, &source.select(&fresh)?)?;
        }
        let batch = self.batch.unwrap_or_else(|| spectrum.critical_batch()).min(n);
        let delay = self.delay.unwrap_or((p / batch).max(1));
        let of_centers: Vec<usize> = uniform_landmarks(p, self.sample, self.seed ^ PROJECTIONS);
        let inner;
        let exact = self.exact.unwrap_or_else(|| p.saturating_mul(p).saturating_mul(16) <= self.budget);
        let mut jitter = 0.0;
        let projection = if exact {
            let (factor, added) = factorize(gram_f64(&self.kernel, centers)?, f64::EPSILON)?;
            jitter = added;
            Projection::Exact(factor)
        } else {
            inner = Spectrum::new(
                &self.kernel,
                centers.subset(&of_centers)?,
                self.directions,
                self.exponent,
                0.0,
                BATCH.min(p),
            )?;
            let batch = inner.critical_batch().min(p);
            let step = inner.step(batch);
            Projection::Inexact {
                spectrum: &inner,
                sample: &of_centers,
                batch,
                step,
                epochs: 10,
                tolerance: 1e-8,
            }
        };
        let centers_by_sample = cross_f64(&self.kernel, centers, &spectrum.points)?;
        let budget = self.budget;
        let large = Large {
            kernel: &self.kernel,
            centers,
            spectrum: &spectrum,
            centers_by_sample,
            projection,
            budget,
        };
        let mut size = 0.0;
        source.pass(&mut |_, y| {
            size += y.norm_squared();
            Ok(())
        })?;
        let size = size / (n * outputs) as f64;
        let problem = self.fingerprint(n, outputs, "eigenpro 4", &[size, p as f64]);
        let start = Run::new(self.begin(p, outputs)?, spectrum.step(batch));
        let mut run = self.restored(problem, start)?;
        while !run.is_done(self.epochs, self.tolerance) {
            self.epoch(source, &large, (batch, delay), problem, &mut run, progress)?;
            run.end_epoch(run.squares / (n * outputs) as f64, size);
            if let Some(checkpoint) = &self.checkpoint {
                checkpoint.save(problem, &run.state())?;
            }
            if progress.step("EigenPro", run.epoch as usize, self.epochs).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        let (model, mut report) = self.model(centers.clone(), run);
        report.jitter = jitter;
        Ok((model, report))
    }

    /// One pass over the source, from the batch where the run stands.
    fn epoch<S>(
        &self,
        source: &mut S,
        large: &Large<'_, S::Points, K>,
        (batch, delay): (usize, usize),
        problem: u64,
        run: &mut Run,
        progress: &mut dyn Progress,
    ) -> Result<(), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let (p, outputs) = run.weights.shape();
        let mut pending = large.pending(outputs);
        let (mut block, mut batches, mut projections) = (0_u64, 0_u64, 0_usize);
        let total = source.len().div_ceil(batch);
        let epoch = run.epoch;
        let project = |run: &mut Run, pending: &mut large::Pending<S::Points>| {
            let at = PROJECTIONS + (epoch << 32) + run.batches * 2;
            large.project(&mut run.weights, pending, &mut |e| self.shuffled(p, at + e as u64))
        };
        source.pass(&mut |xs, y| {
            let order = self.shuffled(xs.len(), (block << 24) + epoch);
            block += 1;
            for part in order.chunks(batch) {
                batches += 1;
                if batches <= run.batches {
                    continue;
                }
                run.squares += large.batch(
                    &run.weights,
                    &mut pending,
                    xs.subset(part)?,
                    &y.select_rows(part),
                    run.step,
                )?;
                if pending.batches.len() == delay {
                    run.batches = batches;
                    project(run, &mut pending)?;
                    projections += 1;
                    if let Some(checkpoint) = self.checkpoint.as_ref().filter(|c| c.is_due(projections)) {
                        checkpoint.save(problem, &run.state())?;
                    }
                }
                if progress.step("EigenPro batches", batches as usize, total).is_break() {
                    return Err(CoreError::Cancelled.into());
                }
            }
            Ok(())
        })?;
        if !pending.batches.is_empty() {
            run.batches = batches;
            project(run, &mut pending)?;
        }
        Ok(())
    }

    fn restored(&self, problem: u64, start: Run) -> Result<Run, Error> {
        match &self.checkpoint {
            Some(checkpoint) => Ok(checkpoint.load(problem)?.and_then(Run::restore).unwrap_or(start)),
            None => Ok(start),
        }
    }

    fn model<P>(&self, points: P, run: Run) -> (KrrModel<P, K>, SolveReport)
    where
        K: Clone,
    {
        let outputs = run.weights.ncols();
        let residual = run.history.last().copied().unwrap_or(1.0);
        let ended = if residual <= self.tolerance {
            Ended::Converged
        } else if run.step <= run.least_step {
            Ended::Stagnated
        } else {
            Ended::Iterations
        };
        let report = SolveReport {
            iterations: run.epoch as usize,
            residual,
            history: run.history,
            ended,
            jitter: 0.0,
        };
        (KrrModel::new(self.kernel.clone(), points, run.weights, DVector::zeros(outputs)), report)
    }
}
