//! Nyström kernel ridge regression at the cost of its matrix-vector products: Falkon.

mod basis;
mod formed;
mod products;
mod scores;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;

use basis::root;
pub(crate) use basis::{Basis, factorize};
use formed::{is_tame, largest};
use kernels_core::{Describe, Kernel, Points, PositiveDefinite, Progress, dense};
use nalgebra::{DMatrix, DVector};
pub(crate) use products::Products;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
pub use scores::CenterScores;
pub(crate) use settings::{Centers, Settings, center_setters};

use crate::{
    BlockSource, Error, InMemory, KrrModel, SolveReport, Targets,
    checkpoint::{Checkpoint, FIRST, fold, fold_values},
    data::{checked_start, gram_f64},
    krylov::Solve,
};

/// Falkon: kernel ridge regression on m centres, minimising (1/n) Σ wᵢ (yᵢ − f(xᵢ))² + λ ‖f‖² over f = Σ aⱼ k(·, zⱼ), by conjugate
/// gradients whose preconditioner costs m³ and makes the number of iterations independent of n; or, for fewer centres, by one pass
/// over the data ([`Preconditioning`]).
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
/// [`Preconditioning::Sketch`], Díaz, Epperly, Frangella, Tropp, Webber, *Robust, randomized preconditioning for kernel ridge regression*
/// (2023), section 4 (KRILL).
#[derive(Clone, Debug)]
pub struct Falkon<K> {
    kernel: K,
    settings: Settings,
    preconditioning: Option<Preconditioning>,
    start: Option<DMatrix<f64>>,
    checkpoint: Option<Checkpoint>,
}

/// From what [`Falkon`] preconditions KᵀWK + nλK_mm, K being n × m.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preconditioning {
    /// From the centres alone, as published: m³ operations, and a pass over the data in every iteration.
    Centers,
    /// From a sparse random sketch of all the data (KRILL): one more pass, and few iterations for any centres and any λ.
    Sketch,
    /// From all the data: the system is formed in one pass, 2nm² operations at the speed of products of matrices (half of them where
    /// the centres' kernel matrix is well conditioned), and solved by a factorization, without iterations and for any λ.
    Data,
}

impl<K> Falkon<K> {
    /// On `centers` points drawn uniformly without replacement; λ = 1e-6, 20 iterations, relative tolerance 1e-7, 64 MiB.
    pub fn new(kernel: K, centers: usize) -> Self {
        Self {
            kernel,
            settings: Settings::new(centers, 20),
            preconditioning: None,
            start: None,
            checkpoint: None,
        }
    }

    center_setters! {
        tolerance: "Relative residual at which the iteration ends.",
        max_iterations: "Sets the most iterations.",
    }

    /// From what the system is preconditioned. When not set: [`Preconditioning::Data`] where that costs less than the most iterations
    /// would, else [`Preconditioning::Sketch`].
    pub fn preconditioning(mut self, from: Preconditioning) -> Self {
        self.preconditioning = Some(from);
        self
    }

    /// Begins at these coefficients, of an earlier fit on the same centres (with another λ, more data), instead of at 0; with
    /// [`Preconditioning::Data`] there are no iterations, and nothing to begin.
    pub fn start(mut self, coefficients: &DMatrix<f64>) -> Self {
        self.start = Some(coefficients.clone());
        self
    }

    /// Keeps the state in a file after every `every` iterations (blocks of data, where they are passed once), and goes on from it when
    /// it is there: a fit that was stopped at any moment ends with the same bits as one that was not.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some(Checkpoint::new(path.as_ref(), every));
        self
    }

    /// Fits to points and targets in memory.
    ///
    /// **Errors.** As [`Falkon::fit_source`]. **Complexity.** nm kernel values an iteration, m³ operations, m² memory;
    /// with [`Preconditioning::Data`] nm kernel values and 2nm² operations in all.
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
        checked_start(self.start.as_ref(), (indices.len(), source.outputs()))?;
        let centers = source.select(&indices)?;
        let center_weights: Option<Vec<f64>> = weights.map(|w| indices.iter().map(|i| w[*i]).collect());
        let kmm = gram_f64(&self.kernel, &centers)?;
        let products =
            Products { kernel: &self.kernel, centers: &centers, weights, budget: self.settings.budget };
        let (size, outputs, most) = (centers.point_size(), source.outputs(), self.settings.max_iterations);
        let from = self.preconditioning.unwrap_or(if is_formed(centers.len(), size, outputs, most) {
            Preconditioning::Data
        } else {
            Preconditioning::Sketch
        });
        let (coefficients, report) = match from {
            Preconditioning::Data => self.solve_formed(source, &products, kmm, progress)?,
            Preconditioning::Sketch => {
                let root = root(kmm)?;
                let mut sketch = products.sketch(source, self.settings.seed)?;
                root.0.solve_lower_in_place(sketch.as_view_mut())?;
                let inner = dense::product_transposed(&sketch, &sketch)? / n as f64;
                self.iterate(source, &products, &Basis::of(root, inner, lambda)?, "krill", progress)?
            }
            Preconditioning::Centers => {
                let basis = Basis::new(kmm, lambda, center_weights.as_deref())?;
                self.iterate(source, &products, &basis, "falkon", progress)?
            }
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

    /// PCG in the variables of `basis`.
    fn iterate<S>(
        &self,
        source: &mut S,
        products: &Products<'_, S::Points, K>,
        basis: &Basis,
        method: &str,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let (n, lambda) = (source.len(), self.settings.lambda);
        let right = basis.pull(products.right_side(source)? / n as f64)?;
        let mut apply = |beta: &DMatrix<f64>| {
            let image = products.normal(source, &basis.push(beta)?)? / n as f64;
            basis.operator(beta, image, lambda)
        };
        let problem = fold_values(self.fingerprint(n, method), right.iter());
        let solve = Solve {
            what: "Falkon",
            tolerance: self.settings.tolerance,
            max_iterations: self.settings.max_iterations,
            checkpoint: self.checkpoint.as_ref().map(|c| (c, problem)),
        };
        let start = self.start.as_ref().map(|a| basis.coordinates(a)).transpose()?;
        let (beta, mut report) = solve.run(&right, start.as_ref(), &mut apply, &crate::Identity, progress)?;
        report.jitter = basis.jitter;
        Ok((basis.push(&beta)?, report))
    }

    /// T⁻ᵀKᵀWKT⁻¹ formed, and the system solved by a factorization.
    fn solve_formed<S>(
        &self,
        source: &mut S,
        products: &Products<'_, S::Points, K>,
        kmm: DMatrix<f64>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let n = source.len();
        let norm = largest(kmm.nrows(), |v| Ok(dense::product(&kmm, &v)?))?;
        let root = root(kmm)?;
        let weight = products.weights.map_or(n as f64, |w| w.iter().sum());
        let tame = is_tame(norm, &root.0, weight, n as f64 * self.settings.lambda)?;
        let checkpoint = match &self.checkpoint {
            None => None,
            Some(checkpoint) => {
                let mut problem = fold_values(self.fingerprint(n, "formed"), root.0.factor().iter());
                problem = fold_values(problem, products.weights.unwrap_or_default());
                source.pass(&mut |_, y| {
                    problem = fold_values(problem, y.iter());
                    Ok(())
                })?;
                Some((checkpoint, problem))
            }
        };
        let (inner, right) = products.formed(source, (&root.0, tame), checkpoint, progress)?;
        let basis = Basis::of(root, inner / n as f64, self.settings.lambda)?;
        let coefficients = basis.push(&basis.pull(right / n as f64)?)?;
        Ok((coefficients, SolveReport { jitter: basis.jitter, ..SolveReport::direct() }))
    }
}

/// Whether the 2nm² operations of a formed system cost less than kernel values and products of so many iterations. What a kernel value takes
/// beside its distance counts as 100 operations of a product of matrices.
pub(crate) fn is_formed(centers: usize, size: usize, outputs: usize, iterations: usize) -> bool {
    let value = size.saturating_mul(2).saturating_add(outputs.saturating_mul(4)).saturating_add(100);
    centers.saturating_mul(2) <= value.saturating_mul(iterations)
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
