//! Nonparametric teaching.

use kernels_core::{Block, Kernel, Points, PositiveDefinite, Real, Workspace, dense::SymmetricEigen};
use nalgebra::{DMatrix, DMatrixViewMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error,
    data::{at_least, checked_points, expect, finite, positive},
};

/// Teaching a learner that takes functional gradient steps f ← f − (η/b) Σ (f(x) − y) k(x, ·) on the examples it is shown.
///
/// The greedy teacher shows the b examples of the pool with the largest gradient, ‖f(x) − f*(x)‖ √k(x, x); the random one shows any.
/// A target of several columns is several learners that are shown the same examples.
///
/// Reference: Zhang, Cao, Liu, Tsang, Kwok, *Nonparametric teaching for multiple learners*, NeurIPS 2023; *Nonparametric iterative
/// machine teaching*, ICML 2023, algorithms 1 and 2.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::Teaching;
/// let pool = Rows::from_row_major((0..50).map(|i| f64::from(i) / 10.0).collect(), 50, 1)?;
/// let target = nalgebra::DMatrix::from_fn(50, 1, |i, _| (i as f64 / 10.0).sin());
/// let teaching = Teaching::new(Rbf::new(0.4)?).step(0.9);
/// let (greedy, random) = (teaching.greedy(&pool, &target, 40)?, teaching.random(&pool, &target, 40, 1)?);
/// assert!(greedy.errors[39] < random.errors[39]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Teaching<K> {
    kernel: K,
    step: f64,
    batch: usize,
    communication: bool,
}

/// What was taught.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The examples of every iteration.
    pub picks: Vec<Vec<usize>>,
    /// Mean squared error on the pool after every iteration, over all learners.
    pub errors: Vec<f64>,
    /// The learners at the pool, one a column.
    pub values: DMatrix<f64>,
    /// Their coefficients: f = Σ cᵢ k(xᵢ, ·) over the pool.
    pub coefficients: DMatrix<f64>,
}

impl<K> Teaching<K> {
    /// With η = 0.5, one example at a time.
    pub fn new(kernel: K) -> Self {
        Self { kernel, step: 0.5, batch: 1, communication: false }
    }

    /// Sets η > 0; the loss falls for η ≤ 1/max k(x, x).
    pub fn step(mut self, eta: f64) -> Self {
        self.step = eta;
        self
    }

    /// Examples an iteration.
    pub fn batch(mut self, examples: usize) -> Self {
        self.batch = examples;
        self
    }

    /// Whether several learners talk before every iteration: each becomes the linear combination of all that is nearest to its target
    /// on the examples shown so far.
    pub fn communication(mut self, communication: bool) -> Self {
        self.communication = communication;
        self
    }

    /// The greedy teacher.
    ///
    /// **Errors.** No points, shapes that disagree, values that are not finite, parameters out of range. **Complexity.** O(nb) kernel
    /// values an iteration.
    pub fn greedy<P>(&self, pool: &P, target: &DMatrix<f64>, iterations: usize) -> Result<Lesson, Error>
    where
        P: Points,
        K: Kernel<P> + PositiveDefinite,
    {
        let roots: Vec<f64> = (0..pool.len())
            .map(|i| self.kernel.eval(pool.point(i), pool.point(i)).to_f64().max(0.0).sqrt())
            .collect();
        self.teach(pool, target, iterations, |_, residual| {
            let size: Vec<f64> = residual.row_iter().zip(&roots).map(|(r, k)| r.norm() * k).collect();
            let mut order: Vec<usize> = (0..size.len()).collect();
            order.sort_by(|&a, &b| size[b].total_cmp(&size[a]));
            order.truncate(self.batch);
            order
        })
    }

    /// The teacher that shows any examples; the same seed shows the same.
    ///
    /// # Errors
    /// As [`Teaching::greedy`].
    pub fn random<P>(
        &self,
        pool: &P,
        target: &DMatrix<f64>,
        iterations: usize,
        seed: u64,
    ) -> Result<Lesson, Error>
    where
        P: Points,
        K: Kernel<P> + PositiveDefinite,
    {
        self.teach(pool, target, iterations, |iteration, residual| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(iteration as u64);
            (0..self.batch).map(|_| rng.random_range(0..residual.nrows())).collect()
        })
    }

    fn teach<P>(
        &self,
        pool: &P,
        target: &DMatrix<f64>,
        iterations: usize,
        choose: impl Fn(usize, &DMatrix<f64>) -> Vec<usize>,
    ) -> Result<Lesson, Error>
    where
        P: Points,
        K: Kernel<P> + PositiveDefinite,
    {
        checked_points("teaching", &self.kernel, pool, 1)?;
        let n = pool.len();
        expect("rows of the target (one a point)", n, target.nrows())?;
        at_least("teaching (learners)", 1, target.ncols())?;
        at_least("teaching (examples an iteration)", 1, self.batch)?;
        finite("target", target.as_slice(), n)?;
        self.kernel.check(pool)?;
        let rate = positive("step", self.step)? / self.batch as f64;
        let mut lesson = Lesson {
            picks: Vec::new(),
            errors: Vec::new(),
            values: DMatrix::zeros(n, target.ncols()),
            coefficients: DMatrix::zeros(n, target.ncols()),
        };
        let (mut buffer, mut ws) = (vec![P::Scalar::default(); n], Workspace::new());
        let mut shown: Vec<usize> = Vec::new();
        for iteration in 0..iterations {
            if self.communication && target.ncols() > 1 && !shown.is_empty() {
                combine(&mut lesson, target, &shown)?;
            }
            let residual = &lesson.values - target;
            let picks = choose(iteration, &residual);
            for &i in &picks {
                let at = Block::between(pool, 0..n, pool, i..i + 1)?;
                self.kernel.block(&at, DMatrixViewMut::from_slice(&mut buffer, n, 1), &mut ws);
                for c in 0..target.ncols() {
                    let move_by = -rate * residual[(i, c)];
                    lesson.coefficients[(i, c)] += move_by;
                    lesson
                        .values
                        .column_mut(c)
                        .iter_mut()
                        .zip(&buffer)
                        .for_each(|(v, k)| *v += move_by * k.to_f64());
                }
            }
            lesson.errors.push((&lesson.values - target).norm_squared() / target.len() as f64);
            shown.extend(&picks);
            shown.sort_unstable();
            shown.dedup();
            lesson.picks.push(picks);
        }
        Ok(lesson)
    }
}

/// Learners become combinations F A of themselves with the A of least ‖F A − F*‖² on the shown examples, of least norm among equals.
fn combine(lesson: &mut Lesson, target: &DMatrix<f64>, shown: &[usize]) -> Result<(), Error> {
    let (own, wanted) = (lesson.values.select_rows(shown), target.select_rows(shown));
    let eigen = SymmetricEigen::new(&own.tr_mul(&own))?;
    // Directions in which the learners do not differ from 0 say nothing.
    let cut = eigen.values.amax() * 1e-12;
    let mut inner = eigen.vectors.tr_mul(&own.tr_mul(&wanted));
    for (mut row, &value) in inner.row_iter_mut().zip(&eigen.values) {
        row *= if value > cut { 1.0 / value } else { 0.0 };
    }
    let mix = &eigen.vectors * inner;
    // As the least squares are over what was shown, a combination is taken only if it is better there.
    if (&own * &mix - &wanted).norm_squared() < (&own - &wanted).norm_squared() {
        lesson.values = &lesson.values * &mix;
        lesson.coefficients = &lesson.coefficients * &mix;
    }
    Ok(())
}
