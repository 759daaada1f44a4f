//! Nyström kernel ridge regression at the cost of its matrix-vector products: Falkon.

use std::path::Path;

use kernels_core::{Describe, Error as CoreError, Kernel, LazyCross, Points, PositiveDefinite, Progress, Real,
    dense::Cholesky,
};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    BlockSource, Error, InMemory, KrrModel, Preconditioner, SolveReport, Targets,
    checkpoint::{Checkpoint, FIRST, State, fold, fold_values},
    data::{expect, gram_f64, require_positive},
    krylov::Iteration,
    stream::check_source,
};

/// Falkon: kernel ridge regression on m centres, minimising (1/n) Σ (yᵢ − f(xᵢ))² + λ ‖f‖² over f = Σ aⱼ k(·, zⱼ), by conjugate
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
    centers: Centers,
    lambda: f64,
    seed: u64,
    tolerance: f64,
    max_iterations: usize,
    budget: usize,
    sketched: bool,
    weights: Option<Vec<f64>>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Debug)]
enum Centers {
    Uniform(usize),
    Given(Vec<usize>),
}

impl<K> Falkon<K> {
    /// On `centers` points drawn uniformly without replacement; λ = 1e-6, 20 iterations, relative tolerance 1e-7, 64 MiB.
    pub fn new(kernel: K, centers: usize) -> Self {
        Self {
            kernel,
            centers: Centers::Uniform(centers),
            lambda: 1e-6,
            seed: 0,
            tolerance: 1e-7,
            max_iterations: 20,
            budget: 64 << 20,
            sketched: false,
            weights: None,
            checkpoint: None,
        }
    }

    /// Sets λ > 0.
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// Uses these samples as centres, from [`PivotedCholesky`](kernels_core::PivotedCholesky) or
    /// [`kmeans_plus_plus`](kernels_core::kmeans_plus_plus), say.
    pub fn centers(mut self, indices: impl Into<Vec<usize>>) -> Self {
        self.centers = Centers::Given(indices.into());
        self
    }

    /// Seed of the centres and of the sketch.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Relative residual at which the iteration ends.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the most iterations.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Bytes of working memory of the kernel products.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Preconditions by a sparse random sketch of all the data (KRILL) instead of the centres alone: one more pass,
    /// and few iterations for any centres and any λ.
    pub fn sketched(mut self, sketched: bool) -> Self {
        self.sketched = sketched;
        self
    }

    /// One weight a sample, not negative: minimises (1/n) Σ wᵢ (yᵢ − f(xᵢ))² + λ ‖f‖².
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
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
    /// is not positive definite, centres that are no samples, a checkpoint of another fit, [`CoreError::Cancelled`], what reading says.
    pub fn fit_source<S>(
        &self,
        source: &mut S,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        require_positive("Falkon", &self.kernel)?;
        let lambda = self.lambda;
        if !(lambda > 0.0 && lambda.is_finite()) {
            let expected = "a finite number above 0";
            return Err(CoreError::Parameter { name: "lambda".into(), value: lambda, expected }.into());
        }
        check_source("Falkon", source)?;
        let n = source.len();
        if let Some(w) = &self.weights {
            crate::krr::weight_roots(Some(w), n)?;
        }
        let indices = match &self.centers {
            Centers::Given(indices) => indices.clone(),
            Centers::Uniform(m) => uniform_landmarks(n, *m, self.seed),
        };
        if indices.is_empty() {
            let what = "Falkon (centres)";
            return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
        }
        let centers = source.select(&indices)?;
        let center_weights: Option<Vec<f64>> =
            self.weights.as_ref().map(|w| indices.iter().map(|i| w[*i]).collect());
        let kmm = gram_f64(&self.kernel, &centers)?;
        let mut products =
            Products { kernel: &self.kernel, centers: &centers, weights: self.weights.as_deref(), budget: self.budget };
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
            let (beta, mut report) = self.iterate(&right, &mut apply, &crate::Identity, problem, progress)?;
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
        let text = format!("{method} {n} {:?} {:?} {} {:?}", self.centers, self.lambda, self.seed, self.tolerance);
        self.kernel.params().iter().fold(fold(FIRST, text.as_bytes()), |h, p| fold_values(h, [&p.value]))
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
        let penalty = n as f64 * self.lambda;
        let sketch = products.sketch(source, self.seed)?;
        let base = kernels_core::dense::product(&sketch.transpose(), &sketch)? + &kmm * penalty;
        let (factor, jitter) = factorize(base, f64::EPSILON)?;
        let right = products.right_side(source)?;
        let mut apply = |a: &DMatrix<f64>| Ok(products.normal(source, a)? + &kmm * a * penalty);
        let problem = fold_values(self.fingerprint(n, "krill") ^ m as u64, right.iter());
        let (a, mut report) = self.iterate(&right, &mut apply, &Factored(factor), problem, progress)?;
        report.jitter = jitter;
        Ok((a, report))
    }

    fn iterate(
        &self,
        right: &DMatrix<f64>,
        apply: &mut dyn FnMut(&DMatrix<f64>) -> Result<DMatrix<f64>, Error>,
        preconditioner: &dyn Preconditioner,
        problem: u64,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, SolveReport), Error> {
        let stored = match &self.checkpoint {
            Some(checkpoint) => checkpoint.load(problem)?,
            None => None,
        };
        let mut it = match stored.and_then(|state| Iteration::restore(right, state)) {
            Some(it) => it,
            None => Iteration::new(right, None, apply, preconditioner)?,
        };
        while !it.done(self.tolerance) && it.iterations() < self.max_iterations {
            it.step(self.tolerance, apply, preconditioner)?;
            if let Some(checkpoint) = self.checkpoint.as_ref().filter(|c| c.is_due(it.iterations())) {
                checkpoint.save(problem, &it.state())?;
            }
            if progress.step("Falkon", it.iterations(), self.max_iterations).is_break() {
                return Err(CoreError::Cancelled.into());
            }
        }
        Ok(it.finish(self.tolerance))
    }
}

impl Iteration {
    fn state(&self) -> State {
        let row = |v: &[f64]| DMatrix::from_row_slice(1, v.len(), v);
        State {
            numbers: vec![u64::from(self.stagnated)],
            matrices: vec![
                self.x.clone(),
                self.residual.clone(),
                self.direction.clone(),
                row(&self.products),
                row(&self.history),
            ],
        }
    }

    fn restore(right: &DMatrix<f64>, state: State) -> Option<Self> {
        let stagnated = *state.numbers.first()? == 1;
        let [x, residual, direction, products, history] = <[_; 5]>::try_from(state.matrices).ok()?;
        let (products, history) = (products.as_slice().to_vec(), history.as_slice().to_vec());
        Some(Self { rhs: right.clone(), x, residual, direction, products, history, stagnated })
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

/// Cholesky of `a` + jitter · m I: the smallest of ε, 10ε, … that works, at most 1e-8 of the largest diagonal entry.
pub(crate) fn factorize(a: DMatrix<f64>, epsilon: f64) -> Result<(Cholesky, f64), Error> {
    let m = a.nrows();
    let largest = a.diagonal().iter().fold(0.0_f64, |l, d| l.max(*d));
    let mut jitter = epsilon * m as f64 * largest;
    loop {
        let mut shifted = a.clone();
        for i in 0..m {
            shifted[(i, i)] += jitter;
        }
        match Cholesky::new(shifted) {
            Ok(factor) => return Ok((factor, jitter)),
            Err(error) if jitter > 1e-8 * largest * m as f64 || largest <= 0.0 => return Err(error.into()),
            Err(_) => jitter *= 10.0,
        }
    }
}

/// The change of variables a = T⁻¹A⁻¹β in which the problem is well conditioned: K_mm = TᵀT, TTᵀ/m + λI = AᵀA.
pub(crate) struct Basis {
    /// Lᵀ = T.
    t: Cholesky,
    a: Cholesky,
    pub(crate) jitter: f64,
    transposed_t: DMatrix<f64>,
}

impl Basis {
    pub(crate) fn new(kmm: DMatrix<f64>, lambda: f64, weights: Option<&[f64]>) -> Result<Self, Error> {
        let m = kmm.nrows();
        // The anchor's K_mm + 1e-13 m I.
        let (t, jitter) = factorize(kmm, 1e-13)?;
        let lower = lower_triangle(t.factor());
        let a = Self::inner(&lower, lambda, weights, m)?;
        Ok(Self { t, a, jitter, transposed_t: lower })
    }

    /// A of other weights and penalty, with the same T.
    pub(crate) fn reweigh(&mut self, lambda: f64, weights: Option<&[f64]>) -> Result<(), Error> {
        self.a = Self::inner(&self.transposed_t, lambda, weights, self.transposed_t.nrows())?;
        Ok(())
    }

    fn inner(
        lower: &DMatrix<f64>,
        lambda: f64,
        weights: Option<&[f64]>,
        m: usize,
    ) -> Result<Cholesky, Error> {
        // T diag(w) Tᵀ with T = Lᵀ: (W½ L)ᵀ (W½ L).
        let mut scaled = lower.clone();
        if let Some(weights) = weights {
            for (mut row, w) in scaled.row_iter_mut().zip(weights) {
                row *= w.max(0.0).sqrt();
            }
        }
        let mut inner = kernels_core::dense::product(&scaled.transpose(), &scaled)? / m as f64;
        for i in 0..m {
            inner[(i, i)] += lambda;
        }
        Ok(Cholesky::new(inner)?)
    }

    /// T⁻¹ A⁻¹ β.
    pub(crate) fn push(&self, beta: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        let inner = upper_solve(&self.a, beta)?;
        upper_solve(&self.t, &inner)
    }

    /// A⁻ᵀ T⁻ᵀ v.
    pub(crate) fn pull(&self, mut v: DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        self.t.solve_lower_in_place(v.as_view_mut())?;
        self.a.solve_lower_in_place(v.as_view_mut())?;
        Ok(v)
    }

    /// A⁻ᵀ (T⁻ᵀ image + λ A⁻¹ β), image = KᵀWK a / n.
    pub(crate) fn operator(
        &self,
        beta: &DMatrix<f64>,
        mut image: DMatrix<f64>,
        lambda: f64,
    ) -> Result<DMatrix<f64>, Error> {
        self.t.solve_lower_in_place(image.as_view_mut())?;
        image += upper_solve(&self.a, beta)? * lambda;
        self.a.solve_lower_in_place(image.as_view_mut())?;
        Ok(image)
    }

    /// T and A as upper triangles.
    #[cfg(test)]
    pub(crate) fn triangles(&self) -> (DMatrix<f64>, DMatrix<f64>) {
        (self.transposed_t.transpose(), lower_triangle(self.a.factor()).transpose())
    }
}

fn lower_triangle(m: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(m.nrows(), m.ncols(), |i, j| if i >= j { m[(i, j)] } else { 0.0 })
}

/// L⁻ᵀ v.
fn upper_solve(factor: &Cholesky, v: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    let mut out = v.clone();
    factor.solve_upper_in_place(out.as_view_mut())?;
    Ok(out)
}

/// Products with the n × m kernel matrix of a source, block by block.
pub(crate) struct Products<'a, P, K> {
    pub(crate) kernel: &'a K,
    pub(crate) centers: &'a P,
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) budget: usize,
}

impl<P: Points, K: Kernel<P>> Products<'_, P, K> {
    /// Kᵀ W K a.
    pub(crate) fn normal<S>(&self, source: &mut S, a: &DMatrix<f64>) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let weights = self.weights;
        self.through(source, a, |row, _, u| {
            if let Some(weights) = weights {
                let w = P::Scalar::of(weights[row]);
                u.iter_mut().for_each(|u| *u *= w);
            }
        })
    }

    /// Kᵀ W y.
    pub(crate) fn right_side<S>(&self, source: &mut S) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let zero = DMatrix::zeros(self.centers.len(), source.outputs());
        let weights = self.weights;
        self.through(source, &zero, |row, y, u| {
            let w = weights.map_or(1.0, |weights| weights[row]);
            u.iter_mut().zip(y).for_each(|(u, y)| *u = P::Scalar::of(w * y));
        })
    }

    /// Kᵀ g(row, y, K a), g by rows: in place on a row of K a, given the row's number in the source and its targets.
    pub(crate) fn through<S>(
        &self,
        source: &mut S,
        a: &DMatrix<f64>,
        map: impl Fn(usize, &[f64], &mut [P::Scalar]) + Send + Sync,
    ) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let (m, t) = (self.centers.len(), a.ncols());
        let narrow = a.map(P::Scalar::of);
        let mut sum = DMatrix::zeros(m, t);
        let mut part = DMatrix::repeat(m, t, P::Scalar::default());
        let mut start = 0;
        source.pass(&mut |xs, y| {
            let by_rows = y.transpose();
            let targets = |i: usize| by_rows.column(i);
            LazyCross::new(self.kernel, xs, self.centers, self.budget)?.apply_through(
                narrow.as_view(),
                part.as_view_mut(),
                |rows, mut u| {
                    let mut row = vec![P::Scalar::default(); t];
                    for (i, global) in rows.enumerate() {
                        row.iter_mut().enumerate().for_each(|(k, v)| *v = u[(i, k)]);
                        map(start + global, targets(global).as_slice(), &mut row);
                        row.iter().enumerate().for_each(|(k, v)| u[(i, k)] = *v);
                    }
                },
            )?;
            sum += part.map(Real::to_f64);
            start += xs.len();
            Ok(())
        })?;
        if let Some(k) = sum.as_slice().iter().position(|v| !v.is_finite()) {
            return Err(CoreError::NotFinite { row: k % m, column: k / m, value: sum.as_slice()[k] }.into());
        }
        Ok(sum)
    }

    /// Ω W½ K with Ω, 2m × n, eight entries ±1/√8 a column: a sparse sign embedding.
    fn sketch<S>(&self, source: &mut S, seed: u64) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        const NONZEROS: usize = 8;
        let m = self.centers.len();
        let height = 2 * m;
        // By columns of the transpose, so that a row of K is added to a contiguous piece.
        let mut out = DMatrix::<f64>::zeros(m, height);
        let mut start = 0;
        let piece = (self.budget / (16 * m.max(1))).clamp(16, 4096);
        source.pass(&mut |xs, _| {
            let all: Vec<usize> = (0..xs.len()).collect();
            for part in all.chunks(piece) {
                let k = kernels_core::cross_gram(self.kernel, self.centers, &xs.subset(part)?)?;
                for (column, i) in k.column_iter().zip(part) {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream((start + i) as u64 + 1);
                    let w = self.weights.map_or(1.0, |w| w[start + i]);
                    let scale = (w / NONZEROS as f64).sqrt();
                    for _ in 0..NONZEROS {
                        let to = rng.random_range(0..height);
                        let sign = if rng.random::<bool>() { scale } else { -scale };
                        for (sum, v) in out.column_mut(to).iter_mut().zip(column.iter()) {
                            *sum += sign * v.to_f64();
                        }
                    }
                }
            }
            start += xs.len();
            Ok(())
        })?;
        expect("rows of all blocks together", source.len(), start)?;
        Ok(out.transpose())
    }
}
