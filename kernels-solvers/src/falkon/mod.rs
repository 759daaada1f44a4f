//! Nyström kernel ridge regression at the cost of its matrix-vector products: Falkon.

mod basis;
mod products;
mod scores;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use basis::{Basis, factorize};
use kernels_core::{Describe, Kernel, Points, PositiveDefinite, Progress, dense::Cholesky};
use nalgebra::{DMatrix, DVector};
pub(crate) use products::Products;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
pub use scores::CenterScores;
pub(crate) use settings::{Centers, Settings, center_setters};

use crate::{
    BlockSource, Error, InMemory, KrrModel, Preconditioner, SolveReport, Targets,
    checkpoint::{Checkpoint, FIRST, fold, fold_values},
    data::{checked_start, gram_f64},
    krylov::Solve,
};

/// Falkon: kernel ridge regression on m centres, minimising (1/n) Σ wᵢ (yᵢ − f(xᵢ))² + λ ‖f‖² over f = Σ aⱼ k(·, zⱼ), by conjugate
/// gradients whose preconditioner costs m³ and makes the number of iterations independent of n.
///
/// λ is the normalised ridge: [`Krr`](crate::Krr)'s α is nλ. The n × m kernel matrix is never stored; data may be streamed
/// ([`Falkon::fit_source`]). Points in f32 are multiplied in f32; factorizations are f64.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::Falkon;
/// let xs = Rows::from_row_major((0..400).map(|i| f64::from(i) / 100.0).collect(), 400, 1)?;
/// let y: Vec<f64> = (0..400).map(|i| (f64::from(i) / 100.0).sin()).collect();
/// let (model, report) = Falkon::new(Rbf::new(0.7)?, 30).lambda(1e-8).seed(3).fit(&xs, &y, &mut ())?;
/// assert!((model.predict(&xs)?[(150, 0)] - 1.5_f64.sin()).abs() < 1e-3);
/// assert!(report.iterations <= 20);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Rudi, Carratino, Rosasco, *FALKON: An optimal large scale kernel method* (2017), algorithm 1; with
/// [`Falkon::sketched`], Díaz, Epperly, Frangella, Tropp, Webber, *Robust, randomized preconditioning for kernel ridge regression*
/// (2023), section 4 (KRILL).
#[derive(Clone, Debug)]
pub struct Falkon<K> {
    kernel: K,
    settings: Settings,
    sketched: bool,
    start: Option<DMatrix<f64>>,
    checkpoint: Option<Checkpoint>,
}

impl<K> Falkon<K> {
    /// On `centers` points drawn uniformly without replacement; λ = 1e-6, 20 iterations, relative tolerance 1e-7, 64 MiB.
    pub fn new(kernel: K, centers: usize) -> Self {
        Self { kernel, settings: Settings::new(centers, 20), sketched: false, start: None, checkpoint: None }
    }

    center_setters! {
        tolerance: "Relative residual at which the iteration ends.",
        max_iterations: "Sets the most iterations.",
    }

    /// Preconditions by a sparse random sketch of all the data (KRILL) instead of the centres alone: one more pass,
    /// and few iterations for any centres and any λ.
    pub fn sketched(mut self, sketched: bool) -> Self {
        self.sketched = sketched;
        self
    }

    /// Begins at these coefficients, of an earlier fit on the same centres (with another λ, more data), instead of at 0.
    pub fn start(mut self, coefficients: &DMatrix<f64>) -> Self {
        self.start = Some(coefficients.clone());
        self
    }

    /// Keeps the state in a file after every `every` iterations, and goes on from it when it is there: a fit that was
    /// stopped at any moment ends with the same bits as one that was not.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some(Checkpoint::new(path.as_ref(), every));
        self
    }

    /// Fits to points and targets in memory.
    ///
    /// **Errors.** As [`Falkon::fit_source`]. **Complexity.** nm kernel values an iteration, m³ operations, m² memory.
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
        self.fit_source(&mut InMemory::new(xs.clone(), y)?, progress)
    }

    /// Fits to data that are read block by block.
    ///
    /// **Errors.** No samples, values that are not finite, λ ≤ 0, weights that are negative or not one a sample, a kernel that
    /// is not positive definite, centres that are no samples, a checkpoint of another fit, [`kernels_core::Error::Cancelled`], what reading says.
    pub fn fit_source<S>(
        &self,
        source: &mut S,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        let indices = self.settings.chosen("Falkon", "Falkon (centres)", &self.kernel, source)?;
        let (n, lambda, weights) = (source.len(), self.settings.lambda, self.settings.weights.as_deref());
        let start = checked_start(self.start.as_ref(), (indices.len(), source.outputs()))?;
        let centers = source.select(&indices)?;
        let center_weights: Option<Vec<f64>> = weights.map(|w| indices.iter().map(|i| w[*i]).collect());
        let kmm = gram_f64(&self.kernel, &centers)?;
        let mut products =
            Products { kernel: &self.kernel, centers: &centers, weights, budget: self.settings.budget };
        let (coefficients, report) = if self.sketched {
            self.solve_sketched(source, &mut products, kmm, progress)?
        } else {
            let basis = Basis::new(kmm, lambda, center_weights.as_deref())?;
            let right = basis.pull(products.right_side(source)? / n as f64)?;
            let mut apply = |beta: &DMatrix<f64>| {
                let image = products.normal(source, &basis.push(beta)?)? / n as f64;
                basis.operator(beta, image, lambda)
            };
            let problem = fold_values(self.fingerprint(n, "falkon"), right.iter());
            let start = start.map(|a| basis.coordinates(a)).transpose()?;
            let (beta, mut report) =
                self.iterate((&right, start.as_ref()), &mut apply, &crate::Identity, problem, progress)?;
            report.jitter = basis.jitter;
            (basis.push(&beta)?, report)
        };
        let outputs = coefficients.ncols();
        Ok((KrrModel::new(self.kernel.clone(), centers, coefficients, DVector::zeros(outputs)), report))
    }

    fn fingerprint(&self, n: usize, method: &str) -> u64
    where
        K: Describe,
    {
        let Settings { centers, lambda, seed, tolerance, .. } = &self.settings;
        let text = format!("{method} {n} {centers:?} {lambda:?} {seed} {tolerance:?}");
        let hash = fold_values(fold(FIRST, text.as_bytes()), self.start.iter().flatten());
        self.kernel.params().iter().fold(hash, |h, p| fold_values(h, [&p.value]))
    }

    /// PCG on (KᵀWK + nλK_mm) a = KᵀWy with the sketched preconditioner.
    fn solve_sketched<S>(
        &self,
        source: &mut S,
        products: &mut Products<'_, S::Points, K>,
        kmm: DMatrix<f64>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let (n, m) = (source.len(), kmm.nrows());
        let penalty = n as f64 * self.settings.lambda;
        let sketch = products.sketch(source, self.settings.seed)?;
        let base = kernels_core::dense::transposed_product(&sketch, &sketch)? + &kmm * penalty;
        let (factor, jitter) = factorize(base, f64::EPSILON)?;
        let right = products.right_side(source)?;
        let mut apply = |a: &DMatrix<f64>| Ok(products.normal(source, a)? + &kmm * a * penalty);
        let problem = fold_values(self.fingerprint(n, "krill") ^ m as u64, right.iter());
        let from = (&right, self.start.as_ref());
        let (a, mut report) = self.iterate(from, &mut apply, &Factored(factor), problem, progress)?;
        report.jitter = jitter;
        Ok((a, report))
    }

    fn iterate(
        &self,
        (right, start): (&DMatrix<f64>, Option<&DMatrix<f64>>),
        apply: &mut dyn FnMut(&DMatrix<f64>) -> Result<DMatrix<f64>, Error>,
        preconditioner: &dyn Preconditioner,
        problem: u64,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        let solve = Solve {
            what: "Falkon",
            tolerance: self.settings.tolerance,
            max_iterations: self.settings.max_iterations,
            checkpoint: self.checkpoint.as_ref().map(|c| (c, problem)),
        };
        solve.run(right, start, apply, preconditioner, progress)
    }
}

struct Factored(Cholesky);

impl Preconditioner for Factored {
    fn solve(&self, r: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let mut out = r.clone();
        self.0.solve_in_place(out.as_view_mut())?;
        Ok(out)
    }
}

/// `count` of n indices, uniformly without replacement, in the order drawn.
///
/// ```
/// let mut chosen = kernels_solvers::uniform_landmarks(10, 10, 7);
/// chosen.sort();
/// assert_eq!(chosen, (0..10).collect::<Vec<_>>());
/// ```
pub fn uniform_landmarks(n: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all: Vec<usize> = (0..n).collect();
    let count = count.min(n);
    for i in 0..count {
        let j = rng.random_range(i..n);
        all.swap(i, j);
    }
    all.truncate(count);
    all
}
