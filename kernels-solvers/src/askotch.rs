//! Exact kernel ridge regression by accelerated sketch-and-project on blocks of coordinates.

use std::path::Path;

use kernels_core::{
    Dense, Describe, Error as CoreError, Kernel, Points, PositiveDefinite, Progress, dense::SymmetricEigen,
};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Ended, Error, KrrModel, LowRankPreconditioner, Preconditioner, SolveReport, Targets,
    checkpoint::{Checkpoint, FIRST, State, fold, fold_values},
    data::{checked, checked_start, gram_f64},
    eigenpro::cross_times,
};

/// ASkotch: solves (K + αI) c = y with O(n) memory and n·b kernel values an iteration, by steps on random blocks of b
/// coordinates, each preconditioned by a low-rank approximation of its own block, with Nesterov's acceleration.
///
/// For n so large that products with all of K are too slow to wait for: every iteration makes progress. The residual is
/// computed once every n/b iterations. The acceleration rests on constants that the paper takes from n, b and α alone; where they
/// are too bold, the residual grows: when it is ten times the best one, the fit goes back to that and on without acceleration.
///
/// ```
/// use kernels_core::{Matern, Rows};
/// use kernels_solvers::Askotch;
/// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 20.0).collect(), 200, 1)?;
/// let y: Vec<f64> = (0..200).map(|i| (f64::from(i) / 20.0).sin()).collect();
/// let (model, report) = Askotch::new(Matern::new(1.5, 1.0)?).ridge(0.1).block(50).fit(&xs, &y, &mut ())?;
/// assert!(report.residual < 1e-4, "{report:?}");
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Rathore, Frangella, Yang, Dereziński, Udell, *Have ASkotch: a neat solution for large-scale kernel ridge regression*
/// (2024), algorithm 2.
#[derive(Clone, Debug)]
pub struct Askotch<K> {
    kernel: K,
    ridge: f64,
    block: Option<usize>,
    rank: usize,
    accelerated: bool,
    tolerance: f64,
    max_passes: usize,
    seed: u64,
    budget: usize,
    start: Option<DMatrix<f64>>,
    checkpoint: Option<Checkpoint>,
}

impl<K> Askotch<K> {
    /// α = 1, blocks of n/100 (at least 32), rank 100, relative residual 1e-4, at most 200 passes.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            ridge: 1.0,
            block: None,
            rank: 100,
            accelerated: true,
            tolerance: 1e-4,
            max_passes: 200,
            seed: 0,
            budget: 64 << 20,
            start: None,
            checkpoint: None,
        }
    }

    /// Sets α > 0.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    /// Sets the number b of coordinates of a block.
    pub fn block(mut self, block: usize) -> Self {
        self.block = Some(block.max(1));
        self
    }

    /// Sets the rank of a block's preconditioner.
    pub fn rank(mut self, rank: usize) -> Self {
        self.rank = rank.max(1);
        self
    }

    /// Whether to accelerate (ASkotch) or not (Skotch).
    pub fn accelerated(mut self, accelerated: bool) -> Self {
        self.accelerated = accelerated;
        self
    }

    /// Relative residual ‖y − (K + αI)c‖ / ‖y‖ to reach.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Most passes: n/b iterations are one.
    pub fn max_passes(mut self, passes: usize) -> Self {
        self.max_passes = passes;
        self
    }

    /// Seed of the blocks.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bytes of working memory of the kernel products.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Begins at these coefficients, of an earlier fit on the same samples (with another α), instead of at 0.
    pub fn start(mut self, coefficients: &DMatrix<f64>) -> Self {
        self.start = Some(coefficients.clone());
        self
    }

    /// Keeps the state in a file after every `every` passes, and goes on from it when it is there, to the same bits.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some(Checkpoint::new(path.as_ref(), every));
        self
    }

    fn fingerprint(&self, y: &DMatrix<f64>, block: usize) -> u64
    where
        K: Describe,
    {
        let (alpha, rank, accelerated, seed) = (self.ridge, self.rank, self.accelerated, self.seed);
        let text = format!("askotch {:?} {alpha} {block} {rank} {accelerated} {seed}", y.shape());
        let hash = fold_values(fold(FIRST, text.as_bytes()), y.iter());
        let hash = fold_values(hash, self.start.iter().flatten());
        self.kernel.params().iter().fold(hash, |h, p| fold_values(h, [&p.value]))
    }

    /// Fits to points and targets.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, α ≤ 0, a kernel that is not positive definite, a checkpoint of
    /// another fit, [`CoreError::Cancelled`]. **Complexity.** n² kernel values a pass; memory O(n + b²).
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
        let alpha = self.ridge;
        if !(alpha > 0.0 && alpha.is_finite()) {
            let expected = "a finite number above 0";
            return Err(CoreError::Parameter { name: "ridge".into(), value: alpha, expected }.into());
        }
        let y = checked("ASkotch", &self.kernel, xs, y)?;
        let n = xs.len();
        let b = self.block.unwrap_or_else(|| (n / 100).max(32)).min(n);
        let mut all: Vec<usize> = (0..n).collect();
        let mut steps = Steps::new(self, xs, &y, b);
        let size = y.norm();
        let mut first = 1.0;
        let start = checked_start(self.start.as_ref(), y.shape())?;
        // Of targets that are all 0 the solution is 0, which needs no start.
        if let Some(start) = start.filter(|_| size > 0.0) {
            for sequence in [&mut steps.w, &mut steps.v, &mut steps.at] {
                sequence.copy_from(start);
            }
            let image = cross_times(&self.kernel, xs, xs, start, self.budget)?;
            first = (image + start * alpha - &y).norm() / size;
        }
        let per_pass = n.div_ceil(b);
        let problem = self.fingerprint(&y, b);
        let mut course = Course { history: vec![first], best: steps.w.clone(), least: first };
        if let Some(state) = self.checkpoint.as_ref().map(|c| c.load(problem)).transpose()?.flatten() {
            course = course.restored(&mut steps, state);
        }
        let mut ended = match course.history.last() {
            Some(last) if size > 0.0 && *last > self.tolerance => Ended::Iterations,
            _ => Ended::Converged,
        };
        while ended == Ended::Iterations && course.history.len() <= self.max_passes {
            // Every pass draws from a stream of its own, so that a fit can go on between two.
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(course.history.len() as u64);
            all.iter_mut().enumerate().for_each(|(i, to)| *to = i);
            for _ in 0..per_pass {
                for i in 0..b {
                    all.swap(i, rng.random_range(i..n));
                }
                steps.step(&all[..b], rng.random())?;
                if progress.step("ASkotch", course.history.len() - 1, self.max_passes).is_break() {
                    return Err(CoreError::Cancelled.into());
                }
            }
            let image = cross_times(&self.kernel, xs, xs, &steps.w, self.budget)?;
            let residual = (image + &steps.w * alpha - &y).norm() / size;
            course.history.push(residual);
            if residual <= self.tolerance {
                ended = Ended::Converged;
            } else if !(residual <= 10.0 * course.least) && steps.accelerated {
                steps.restart(&course.best);
            } else if residual < course.least {
                course.least = residual;
                course.best.copy_from(&steps.w);
            } else if !residual.is_finite() {
                return Err(CoreError::NotConverged {
                    what: "ASkotch",
                    iterations: course.history.len() * per_pass,
                }
                .into());
            }
            if let Some(checkpoint) = self.checkpoint.as_ref().filter(|c| c.is_due(course.history.len() - 1))
            {
                checkpoint.save(problem, &course.state(&steps))?;
            }
        }
        let history = course.history;
        let residual = history.last().copied().unwrap_or(1.0);
        let report = SolveReport { iterations: history.len() - 1, residual, history, ended, jitter: 0.0 };
        let w = steps.w;
        Ok((KrrModel::new(self.kernel.clone(), xs.clone(), w, DVector::zeros(y.ncols())), report))
    }
}

/// How a fit has gone so far.
struct Course {
    history: Vec<f64>,
    /// The solution of least residual.
    best: DMatrix<f64>,
    least: f64,
}

impl Course {
    fn state<P, K>(&self, steps: &Steps<'_, P, K>) -> State {
        State {
            numbers: vec![u64::from(steps.accelerated), self.least.to_bits()],
            matrices: vec![
                steps.w.clone(),
                steps.v.clone(),
                steps.at.clone(),
                self.best.clone(),
                DMatrix::from_row_slice(1, self.history.len(), &self.history),
            ],
        }
    }

    /// The stored course, or this one when the state is of another form.
    fn restored<P, K>(self, steps: &mut Steps<'_, P, K>, state: State) -> Self {
        let numbers = <[u64; 2]>::try_from(state.numbers).ok();
        let matrices = <[DMatrix<f64>; 5]>::try_from(state.matrices).ok();
        let (Some([accelerated, least]), Some([w, v, at, best, history])) = (numbers, matrices) else {
            return self;
        };
        (steps.w, steps.v, steps.at, steps.accelerated) = (w, v, at, accelerated == 1);
        Self { history: history.as_slice().to_vec(), best, least: f64::from_bits(least) }
    }
}

/// The three sequences of the accelerated method.
struct Steps<'a, P, K> {
    fit: &'a Askotch<K>,
    xs: &'a P,
    y: &'a DMatrix<f64>,
    w: DMatrix<f64>,
    v: DMatrix<f64>,
    /// Where gradients are taken.
    at: DMatrix<f64>,
    beta: f64,
    gamma: f64,
    mix: f64,
    accelerated: bool,
}

/// Blocks up to this size are decomposed exactly.
const SMALL: usize = 64;

impl<'a, P: Points, K: Kernel<P>> Steps<'a, P, K> {
    fn new(fit: &'a Askotch<K>, xs: &'a P, y: &'a DMatrix<f64>, block: usize) -> Self {
        let nu = xs.len() as f64 / block as f64;
        // μ ≤ ν and μν ≤ 1 are what the analysis needs.
        let mu = fit.ridge.min(1.0 / nu).min(nu);
        let gamma = 1.0 / (mu * nu).sqrt();
        let zero = DMatrix::zeros(y.nrows(), y.ncols());
        Self {
            fit,
            xs,
            y,
            w: zero.clone(),
            v: zero.clone(),
            at: zero,
            beta: 1.0 - (mu / nu).sqrt(),
            gamma,
            mix: 1.0 / (1.0 + gamma * nu),
            accelerated: fit.accelerated,
        }
    }

    /// Goes on from `w` without acceleration, whose steps never increase the error in the norm of the matrix.
    fn restart(&mut self, w: &DMatrix<f64>) {
        self.w.copy_from(w);
        self.at.copy_from(w);
        self.accelerated = false;
    }

    fn step(&mut self, block: &[usize], seed: u64) -> Result<(), Error> {
        let alpha = self.fit.ridge;
        let points = self.xs.subset(block)?;
        let gradient = cross_times(&self.fit.kernel, &points, self.xs, &self.at, self.fit.budget)?
            + self.at.select_rows(block) * alpha
            - self.y.select_rows(block);
        let d = self.direction(&points, &gradient, seed)?;
        if !self.accelerated {
            subtract(&mut self.w, block, &d, 1.0);
            self.at.copy_from(&self.w);
            return Ok(());
        }
        self.w.copy_from(&self.at);
        subtract(&mut self.w, block, &d, 1.0);
        self.v *= self.beta;
        self.v += &self.at * (1.0 - self.beta);
        subtract(&mut self.v, block, &d, self.gamma);
        self.at = &self.v * self.mix + &self.w * (1.0 - self.mix);
        Ok(())
    }

    /// P⁻¹ g / λ_max(P⁻¹ (K_BB + αI)).
    fn direction(&self, points: &P, gradient: &DMatrix<f64>, seed: u64) -> Result<DMatrix<f64>, Error> {
        let (alpha, b) = (self.fit.ridge, points.len());
        let rank = self.fit.rank.min(b);
        let gram = gram_f64(&self.fit.kernel, points)?;
        if b <= SMALL {
            let eigen = SymmetricEigen::new(&gram)?;
            let value = |i: usize| eigen.values[i].max(0.0);
            let rho = alpha + value(b - rank);
            let denominator = |i: usize| if i + rank >= b { value(i) + rho } else { rho };
            let largest = (0..b).map(|i| (value(i) + alpha) / denominator(i)).fold(0.0, f64::max);
            let mut inner = eigen.vectors.tr_mul(gradient);
            for (i, mut row) in inner.row_iter_mut().enumerate() {
                row /= denominator(i) * largest;
            }
            return Ok(&eigen.vectors * inner);
        }
        let operator = Dense::new(gram)?;
        let preconditioner = LowRankPreconditioner::nystrom(&operator, rank, alpha, seed)?;
        let apply = |v: &DMatrix<f64>| -> Result<DMatrix<f64>, Error> {
            let image = operator.matrix() * v + v * alpha;
            preconditioner.solve(&image)
        };
        let mut v = DMatrix::from_fn(b, 1, |i, _| 1.0 + 0.5 * ((i * i) as f64).sin());
        let mut largest = 0.0;
        for _ in 0..10 {
            v /= v.norm();
            v = apply(&v)?;
            largest = v.norm();
        }
        Ok(preconditioner.solve(gradient)? / largest)
    }
}

fn subtract(to: &mut DMatrix<f64>, rows: &[usize], d: &DMatrix<f64>, scale: f64) {
    for (i, row) in rows.iter().zip(d.row_iter()) {
        let mut to = to.row_mut(*i);
        to -= row * scale;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kernels_core::{Rbf, Rows};
    use serde_json::Value;

    use super::*;

    /// Replay of recorded blocks; the source is in the file.
    #[test]
    fn recorded_blocks() {
        let file: Value =
            serde_json::from_str(include_str!("../tests/reference/iterative_solvers.json")).unwrap();
        let list =
            |v: &Value| -> Vec<f64> { v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        let x: Vec<Vec<f64>> = file["X"].as_array().unwrap().iter().map(list).collect();
        let xs = Rows::from_row_major(x.concat(), 72, 3).unwrap();
        let y = DMatrix::from_iterator(72, 1, file["Y"].as_array().unwrap().iter().map(|r| list(r)[0]));
        let r = &file["askotch"];
        for (accelerated, name) in [(true, "w_accelerated"), (false, "w_plain")] {
            let fit = Askotch::new(Rbf::new(1.6).unwrap())
                .ridge(r["lambda"].as_f64().unwrap())
                .rank(8)
                .accelerated(accelerated);
            let mut steps = Steps::new(&fit, &xs, &y, 18);
            for block in r["blocks"].as_array().unwrap() {
                let block: Vec<usize> = list(block).iter().map(|i| *i as usize).collect();
                steps.step(&block, 0).unwrap();
            }
            // 60 steps of a contraction.
            let expected = DMatrix::from_column_slice(72, 1, &list(&r[name]));
            assert!((&steps.w - &expected).amax() < 1e-8 * expected.amax(), "{name}");
            let exact = DMatrix::from_column_slice(72, 1, &list(&r["w_exact"]));
            let error = (&steps.w - &exact).norm() / exact.norm();
            let key = if accelerated { "rel_err_accelerated" } else { "rel_err_plain" };
            assert!((error - r[key].as_f64().unwrap()).abs() < 1e-8, "{key}: {error}");
        }
    }
}
