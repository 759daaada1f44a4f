//! Optimisation of deep kernel machines: exact Gram matrices, and Gram matrices of inducing points.

use kernels_core::dense::{Cholesky, product};
use nalgebra::{DMatrix, DVector};

use super::{DeepKernelMachine, GramKernel, SparseGram, ascent, lower};
use crate::{
    Error,
    error::{same, within},
};

/// Gram matrices that maximise the objective of a [`DeepKernelMachine`].
#[derive(Clone, Debug, PartialEq)]
pub struct FittedGrams {
    /// One matrix a layer.
    pub grams: Vec<DMatrix<f64>>,
    /// The objective there.
    pub objective: f64,
    /// Steps made.
    pub iterations: usize,
    /// Largest component of the gradient left, by the whitened factors.
    pub slope: f64,
}

/// A fitted sparse machine: layers of inducing Gram matrices and the outputs at the last.
#[derive(Clone, Debug)]
pub struct SparseMachine {
    kernel: GramKernel,
    noise: f64,
    jitter: f64,
    inputs: DMatrix<f64>,
    grams: Vec<DMatrix<f64>>,
    mean: DMatrix<f64>,
    covariance: DMatrix<f64>,
    objective: f64,
    slope: f64,
}

fn inverse(c: &Cholesky, n: usize) -> Result<DMatrix<f64>, Error> {
    let mut out = DMatrix::identity(n, n);
    c.solve_in_place(out.as_view_mut())?;
    Ok(out)
}

fn symmetric(m: &DMatrix<f64>) -> DMatrix<f64> {
    (m + m.transpose()) * 0.5
}

impl GramKernel {
    /// Adjoints of the Gram matrix from those of its kernel matrix.
    fn pull(self, gram: &DMatrix<f64>, bar: &DMatrix<f64>) -> DMatrix<f64> {
        let n = gram.nrows();
        let mut out = DMatrix::zeros(n, n);
        for j in 0..n {
            for i in 0..n {
                if i == j {
                    out[(i, i)] += bar[(i, i)] * if self == Self::SquaredExponential { 0.0 } else { 1.0 };
                    continue;
                }
                let [a, b, c] = self.slopes(gram[(i, i)], gram[(i, j)], gram[(j, j)]);
                out[(i, i)] += bar[(i, j)] * a;
                out[(i, j)] += bar[(i, j)] * b;
                out[(j, j)] += bar[(i, j)] * c;
            }
        }
        out
    }
}

/// The lower triangles of matrices one after the other.
fn pack(matrices: &[DMatrix<f64>]) -> DVector<f64> {
    let mut out = Vec::new();
    for m in matrices {
        for j in 0..m.ncols() {
            out.extend((j..m.nrows()).map(|i| m[(i, j)]));
        }
    }
    DVector::from_vec(out)
}

fn unpack(values: &DVector<f64>, n: usize, layers: usize) -> Vec<DMatrix<f64>> {
    let mut values = values.iter();
    (0..layers)
        .map(|_| {
            let mut m = DMatrix::zeros(n, n);
            for j in 0..n {
                for i in j..n {
                    m[(i, j)] = values.next().copied().unwrap_or(0.0);
                }
            }
            m
        })
        .collect()
}

/// Factors L_l M_l of Gram matrices, L_l those of the wide limit and M_l lower triangular, the identity at the start.
struct Factors {
    bases: Vec<DMatrix<f64>>,
    n: usize,
}

impl Factors {
    fn new(grams: &[DMatrix<f64>]) -> Result<Self, Error> {
        let bases =
            grams.iter().map(|g| Ok(lower(&Cholesky::new(g.clone())?))).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { n: grams.first().map_or(0, DMatrix::nrows), bases })
    }

    fn start(&self) -> DVector<f64> {
        pack(&vec![DMatrix::identity(self.n, self.n); self.bases.len()])
    }

    fn grams(&self, x: &DVector<f64>) -> Result<(Vec<DMatrix<f64>>, Vec<DMatrix<f64>>), Error> {
        let mut factors = Vec::new();
        for (base, m) in self.bases.iter().zip(unpack(x, self.n, self.bases.len())) {
            factors.push(product(base, &m)?);
        }
        let grams = factors.iter().map(|r| product(r, &r.transpose())).collect::<Result<Vec<_>, _>>()?;
        Ok((grams, factors))
    }

    /// d(R Rᵀ) with R = L M: the adjoint of M is Lᵀ (B + Bᵀ) R.
    fn pull(&self, factors: &[DMatrix<f64>], bars: &[DMatrix<f64>]) -> DVector<f64> {
        let parts: Vec<DMatrix<f64>> = self
            .bases
            .iter()
            .zip(factors)
            .zip(bars)
            .map(|((base, r), bar)| base.tr_mul(&((bar + bar.transpose()) * r)))
            .collect();
        pack(&parts)
    }
}

impl DeepKernelMachine {
    /// The objective with its derivatives by all Gram matrices (each entry on its own).
    ///
    /// # Errors
    /// As [`DeepKernelMachine::objective`].
    pub fn objective_gradient(
        &self,
        inputs: &DMatrix<f64>,
        grams: &[DMatrix<f64>],
        targets: &DMatrix<f64>,
    ) -> Result<(f64, Vec<DMatrix<f64>>), Error> {
        same("Gram matrices (one a layer)", self.nu.len(), grams.len())?;
        let n = inputs.nrows();
        same("rows of the targets", n, targets.nrows())?;
        let last = grams.last().unwrap_or(inputs);
        let mut shifted = self.kernel.of(last)?;
        for i in 0..n {
            shifted[(i, i)] += self.noise;
        }
        let cholesky = Cholesky::new(shifted)?;
        let mut solved = targets.clone();
        cholesky.solve_in_place(solved.as_view_mut())?;
        let outputs = targets.ncols() as f64;
        let mut value = -0.5 * solved.dot(targets)
            - 0.5 * outputs * (cholesky.ln_determinant() + n as f64 * std::f64::consts::TAU.ln());
        let bar = (product(&solved, &solved.transpose())? - inverse(&cholesky, n)? * outputs) * 0.5;
        let mut bars = vec![DMatrix::zeros(n, n); grams.len()];
        if let Some(slot) = bars.last_mut() {
            *slot += self.kernel.pull(last, &bar);
        }
        for l in (0..grams.len()).rev() {
            let before = if l == 0 { inputs } else { &grams[l - 1] };
            let kernel = self.kernel.of(before)?;
            value -= self.nu[l] * super::gaussian_divergence(&grams[l], &kernel)?;
            let (g, k) = (Cholesky::new(grams[l].clone())?, Cholesky::new(kernel)?);
            let (g, k) = (inverse(&g, n)?, inverse(&k, n)?);
            bars[l] -= (&k - &g) * (0.5 * self.nu[l]);
            if l > 0 {
                let inner = product(&product(&k, &grams[l])?, &k)?;
                let bar = (inner - &k) * (0.5 * self.nu[l]);
                bars[l - 1] += self.kernel.pull(before, &bar);
            }
        }
        Ok((value, bars.iter().map(symmetric).collect()))
    }

    /// Maximises the objective over the Gram matrices of all layers, from the wide limit, by L-BFGS on whitened triangular factors.
    ///
    /// **Errors.** [`Error::Shape`]; [`Error::Core`] when the wide limit is not positive definite: give the inputs' Gram matrix some
    /// jitter. **Complexity.** O(layers · n³) a step.
    ///
    /// ```
    /// use kernels_ntk::{DeepKernelMachine, GramKernel};
    /// use nalgebra::dmatrix;
    /// let (g0, y) = (dmatrix![1.0, 0.2; 0.2, 1.0], dmatrix![0.5; -0.5]);
    /// // Strong regularisation is the NNGP.
    /// let machine = DeepKernelMachine::new(GramKernel::Relu, 0.1, vec![1e9])?;
    /// let fitted = machine.fit(&g0, &y, 100)?;
    /// assert!((&fitted.grams[0] - &machine.wide_limit(&g0)?[0]).amax() < 1e-8);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn fit(
        &self,
        inputs: &DMatrix<f64>,
        targets: &DMatrix<f64>,
        iterations: usize,
    ) -> Result<FittedGrams, Error> {
        let factors = Factors::new(&self.wide_limit(inputs)?)?;
        let mut x = factors.start();
        let scale = self.nu.iter().copied().fold(1.0, f64::max);
        let summit = ascent::maximise(&mut x, iterations, 1e-10 * scale, |x| {
            let (grams, roots) = factors.grams(x)?;
            let (value, bars) = self.objective_gradient(inputs, &grams, targets)?;
            Ok((value, factors.pull(&roots, &bars)))
        })?;
        let (grams, _) = factors.grams(&x)?;
        let objective = self.objective(inputs, &grams, targets)?;
        Ok(FittedGrams { grams, objective, iterations: summit.iterations, slope: summit.slope })
    }

    /// Fits Gram matrices of inducing points only: `inputs` holds the inputs' Gram matrices of the inducing points among themselves,
    /// of the training points with them, and of the training points. Maximises, per training point, the collapsed bound
    /// ln N(y; 0, Q + σ²I) − tr(K − Q)/(2σ²) on the likelihood less ν KL of each layer's inducing matrix. `jitter` is added to the
    /// diagonals of inducing kernel matrices.
    ///
    /// **Errors.** As [`DeepKernelMachine::fit`]. **Complexity.** O(layers · (n + p) p²) a step with p inducing points.
    pub fn fit_sparse(
        &self,
        inputs: &SparseGram,
        targets: &DMatrix<f64>,
        jitter: f64,
        iterations: usize,
    ) -> Result<SparseMachine, Error> {
        inputs.check()?;
        within("jitter", jitter, jitter >= 0.0, "a finite number, 0 or above")?;
        same("rows of the targets", inputs.cross.nrows(), targets.nrows())?;
        let mut wide: Vec<DMatrix<f64>> = Vec::new();
        for _ in &self.nu {
            let mut kernel = self.kernel.of(wide.last().unwrap_or(&inputs.inducing))?;
            add_jitter(&mut kernel, jitter);
            wide.push(kernel);
        }
        let factors = Factors::new(&wide)?;
        let mut x = factors.start();
        let n = targets.nrows().max(1) as f64;
        let scale = self.nu.iter().copied().fold(1.0, f64::max) / n;
        let summit = ascent::maximise(&mut x, iterations, 1e-9 * scale, |x| {
            let (grams, roots) = factors.grams(x)?;
            let (value, bars) = self.sparse_objective(inputs, &grams, targets, jitter)?;
            Ok((value, factors.pull(&roots, &bars)))
        })?;
        let (grams, _) = factors.grams(&x)?;
        let last = through(self.kernel, inputs, &grams, jitter)?;
        let (mean, covariance) = self.outputs_of(&last, targets)?;
        Ok(SparseMachine {
            kernel: self.kernel,
            noise: self.noise,
            jitter,
            inputs: inputs.inducing.clone(),
            grams,
            mean,
            covariance,
            objective: summit.value,
            slope: summit.slope,
        })
    }

    /// The optimal distribution of the inducing outputs, N(K B⁻¹ K_it Y/σ², K B⁻¹ K) with B = K + K_it K_ti/σ².
    fn outputs_of(
        &self,
        kernel: &SparseGram,
        targets: &DMatrix<f64>,
    ) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let weights = kernel.cross.tr_mul(&kernel.cross) / self.noise;
        let system = Cholesky::new(&kernel.inducing + weights)?;
        let mut mean = kernel.cross.tr_mul(targets) / self.noise;
        system.solve_in_place(mean.as_view_mut())?;
        let mut covariance = kernel.inducing.clone();
        system.solve_in_place(covariance.as_view_mut())?;
        Ok((product(&kernel.inducing, &mean)?, symmetric(&product(&kernel.inducing, &covariance)?)))
    }

    /// The sparse objective per training point, with its derivatives by the inducing Gram matrices.
    ///
    /// # Errors
    /// As [`DeepKernelMachine::fit_sparse`].
    pub fn sparse_objective(
        &self,
        inputs: &SparseGram,
        grams: &[DMatrix<f64>],
        targets: &DMatrix<f64>,
        jitter: f64,
    ) -> Result<(f64, Vec<DMatrix<f64>>), Error> {
        same("Gram matrices (one a layer)", self.nu.len(), grams.len())?;
        let p = inputs.inducing.nrows();
        let n = targets.nrows().max(1) as f64;
        // Forwards: kernel matrices before each layer, and at the end.
        let mut before = vec![inputs.clone()];
        let mut kernels = Vec::with_capacity(grams.len() + 1);
        for gram in grams {
            let kernel = jittered(self.kernel, &before[before.len() - 1], jitter)?;
            before.push(kernel.propagate(gram)?);
            kernels.push(kernel);
        }
        kernels.push(jittered(self.kernel, &before[before.len() - 1], jitter)?);
        let (mut value, mut bar) = self.collapsed(&kernels[grams.len()], targets)?;
        let mut bars = vec![DMatrix::zeros(p, p); grams.len()];
        // Backwards: adjoints of kernel matrices, then of the Gram matrices they are of, then of the layer's own parts.
        for l in (0..grams.len()).rev() {
            let of_gram = bar.pull(self.kernel, &before[l + 1]);
            bars[l] += &of_gram.inducing;
            let kernel = &kernels[l];
            let k = inverse(&Cholesky::new(kernel.inducing.clone())?, p)?;
            let projection = product(&kernel.cross, &k)?;
            let scaled = |m: &DMatrix<f64>, by: &[f64]| {
                let mut out = m.clone();
                for (mut row, b) in out.row_iter_mut().zip(by) {
                    row *= *b;
                }
                out
            };
            let weighted = scaled(&projection, &of_gram.diagonal);
            bars[l] += projection.tr_mul(&of_gram.cross) + projection.tr_mul(&weighted);
            let by_projection = product(&of_gram.cross, &grams[l])?
                + scaled(&(product(&projection, &grams[l])? * 2.0 - &kernel.cross), &of_gram.diagonal);
            let by_cross = product(&by_projection, &k)?;
            value -= self.nu[l] * super::gaussian_divergence(&grams[l], &kernel.inducing)?;
            let g = inverse(&Cholesky::new(grams[l].clone())?, p)?;
            bars[l] -= (&k - &g) * (0.5 * self.nu[l]);
            let inner = product(&product(&k, &grams[l])?, &k)?;
            bar = SparseGram {
                inducing: -projection.tr_mul(&by_cross) + (inner - &k) * (0.5 * self.nu[l]),
                cross: by_cross - weighted,
                diagonal: of_gram.diagonal,
            };
        }
        Ok((value / n, bars.iter().map(|b| symmetric(b) / n).collect()))
    }

    /// Σ over outputs of ln N(y; 0, Q + σ²I) − tr(K − Q)/(2σ²), Q = K_ti K⁻¹ K_it, with adjoints of the kernel matrices.
    fn collapsed(&self, kernel: &SparseGram, targets: &DMatrix<f64>) -> Result<(f64, SparseGram), Error> {
        let (n, p) = kernel.cross.shape();
        let outputs = targets.ncols() as f64;
        let noise = self.noise;
        let chol = Cholesky::new(kernel.inducing.clone())?;
        let k = inverse(&chol, p)?;
        let system = Cholesky::new(&kernel.inducing + kernel.cross.tr_mul(&kernel.cross) / noise)?;
        let b = inverse(&system, p)?;
        let image = kernel.cross.tr_mul(targets);
        let solved = product(&b, &image)?;
        let projection = product(&kernel.cross, &k)?;
        let explained: f64 = projection.dot(&kernel.cross);
        let rest = kernel.diagonal.iter().sum::<f64>() - explained;
        let determinant = system.ln_determinant() - chol.ln_determinant() + n as f64 * noise.ln();
        let square = (targets.norm_squared() - image.dot(&solved) / noise) / noise;
        let value = -0.5 * square
            - 0.5 * outputs * (determinant + n as f64 * std::f64::consts::TAU.ln())
            - 0.5 * outputs * rest / noise;
        // With S = B⁻¹ and A = S K_it Y/σ²: derivatives of the square, the determinant and the trace.
        let a = &solved / noise;
        let aa = product(&a, &a.transpose())?;
        let residual = targets - product(&kernel.cross, &a)?;
        let inducing = -&aa * 0.5
            - (&b - &k) * (0.5 * outputs)
            - projection.tr_mul(&projection) * (0.5 * outputs / noise);
        let cross = product(&residual, &a.transpose())? / noise
            - product(&kernel.cross, &b)? * (outputs / noise)
            + projection * (outputs / noise);
        let diagonal = vec![-0.5 * outputs / noise; n];
        Ok((value, SparseGram { inducing, cross, diagonal }))
    }
}

fn add_jitter(m: &mut DMatrix<f64>, jitter: f64) {
    for i in 0..m.nrows() {
        m[(i, i)] += jitter;
    }
}

fn jittered(kernel: GramKernel, gram: &SparseGram, jitter: f64) -> Result<SparseGram, Error> {
    let mut out = gram.kernel(kernel)?;
    add_jitter(&mut out.inducing, jitter);
    Ok(out)
}

/// Kernel matrices after all layers.
fn through(
    kernel: GramKernel,
    inputs: &SparseGram,
    grams: &[DMatrix<f64>],
    jitter: f64,
) -> Result<SparseGram, Error> {
    let mut current = jittered(kernel, inputs, jitter)?;
    for gram in grams {
        current = jittered(kernel, &current.propagate(gram)?, jitter)?;
    }
    Ok(current)
}

impl SparseGram {
    /// Adjoints of Gram matrices from those of their kernel matrices (`self`).
    fn pull(&self, kernel: GramKernel, gram: &Self) -> Self {
        let mut inducing = kernel.pull(&gram.inducing, &self.inducing);
        let own = if kernel == GramKernel::SquaredExponential { 0.0 } else { 1.0 };
        let mut diagonal: Vec<f64> = self.diagonal.iter().map(|d| own * d).collect();
        let mut cross = DMatrix::zeros(gram.cross.nrows(), gram.cross.ncols());
        for i in 0..cross.ncols() {
            for t in 0..cross.nrows() {
                let [a, b, c] = kernel.slopes(gram.diagonal[t], gram.cross[(t, i)], gram.inducing[(i, i)]);
                let bar = self.cross[(t, i)];
                diagonal[t] += bar * a;
                cross[(t, i)] = bar * b;
                inducing[(i, i)] += bar * c;
            }
        }
        Self { inducing, cross, diagonal }
    }
}

impl SparseMachine {
    /// Inducing Gram matrices, one a layer.
    pub fn grams(&self) -> &[DMatrix<f64>] {
        &self.grams
    }

    /// The objective per training point.
    pub fn objective(&self) -> f64 {
        self.objective
    }

    /// Largest component of the gradient left.
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// Means, points × outputs, and variances of new observations at points given by their inputs' Gram matrix with the inducing points
    /// and its diagonal.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn predict(&self, cross: &DMatrix<f64>, diagonal: &[f64]) -> Result<(DMatrix<f64>, Vec<f64>), Error> {
        let inputs =
            SparseGram { inducing: self.inputs.clone(), cross: cross.clone(), diagonal: diagonal.to_vec() };
        inputs.check()?;
        let last = through(self.kernel, &inputs, &self.grams, self.jitter)?;
        let (mean, mut variance) = last.outputs(&self.mean, &self.covariance)?;
        variance.iter_mut().for_each(|v| *v += self.noise);
        Ok((mean, variance))
    }
}
