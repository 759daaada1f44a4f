//! Low-rank approximation of a kernel matrix from a few of its columns.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Operator, Progress, Real, Remainder,
    engine::{check_shape, for_each_rows},
    operator::{check_columns, check_len},
};

/// Partial Cholesky factorization with pivots: A ≈ FFᵀ = A₍:S₎ A₍SS₎⁻¹ A₍S:₎ from the columns S of a positive semidefinite
/// operator, never more than those columns evaluated.
///
/// The pivots are chosen by what is not yet explained, the diagonal d of A − FFᵀ: the largest entry
/// ([`PivotedCholesky::greedy`]), or at random in proportion to d (RPCholesky), which needs a number of columns close to
/// the best possible for the trace error and is not led astray by outliers.
///
/// ```
/// use kernels_core::{LazyGram, PivotedCholesky, Rbf, Rows};
/// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 50.0).collect(), 200, 1)?;
/// let kernel = Rbf::new(1.0)?;
/// let operator = LazyGram::new(&kernel, &xs, 1 << 20)?;
/// let low = PivotedCholesky::new(12).random(7).run(&operator, &mut ())?;
/// assert!(low.trace_error() < 1e-6 * 200.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
///
/// Reference: Chen, Epperly, Tropp, Webber, *Randomly pivoted Cholesky* (2023), algorithms 1 and 2; Epperly, Tropp, Webber, *Embrace
/// rejection* (2024), algorithm 2, for the accelerated form.
#[derive(Clone, Debug, PartialEq)]
pub struct PivotedCholesky {
    rank: usize,
    tolerance: f64,
    choice: Choice,
}

#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Greedy,
    Given(Vec<usize>),
    Random { seed: u64, block: usize, reject: bool },
}

impl PivotedCholesky {
    /// Up to `rank` columns, accelerated random pivots with seed 0, until the rest of the trace is below 1e-13 of it.
    pub fn new(rank: usize) -> Self {
        let block = (rank / 8).clamp(1, 128);
        Self { rank, tolerance: 1e-13, choice: Choice::Random { seed: 0, block, reject: true } }
    }

    /// Ends when trace(A − FFᵀ) ≤ `tolerance` · trace(A).
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The largest entry of the residual's diagonal, the first of equal ones.
    pub fn greedy(mut self) -> Self {
        self.choice = Choice::Greedy;
        self
    }

    /// These pivots in this order; ones that are explained already are left out.
    pub fn pivots(mut self, pivots: impl Into<Vec<usize>>) -> Self {
        self.choice = Choice::Given(pivots.into());
        self
    }

    /// RPCholesky by one column at a time: O(n) beside the columns for each, but slow on modern hardware.
    pub fn random(mut self, seed: u64) -> Self {
        self.choice = Choice::Random { seed, block: 1, reject: true };
        self
    }

    /// RPCholesky with proposals in blocks and rejection: the distribution of [`PivotedCholesky::random`] at the speed of
    /// matrix products.
    pub fn accelerated(mut self, seed: u64, block: usize) -> Self {
        self.choice = Choice::Random { seed, block: block.max(1), reject: true };
        self
    }

    /// RPCholesky by blocks: every distinct proposal of a block is taken. Cheapest, with a larger error when a block holds
    /// points that are much alike.
    pub fn block(mut self, seed: u64, block: usize) -> Self {
        self.choice = Choice::Random { seed, block: block.max(1), reject: false };
        self
    }

    /// Factorizes.
    ///
    /// **Errors.** A diagonal that is negative or not finite; pivots out of range; no memory for n × rank;
    /// [`Error::Cancelled`]. **Complexity.** About `rank` columns of the operator and n · rank² operations; n · rank memory.
    pub fn run<T: Real>(
        &self,
        operator: &(impl Operator<T> + ?Sized),
        progress: &mut dyn Progress,
    ) -> Result<LowRank, Error> {
        let n = operator.dim();
        let rank = self.rank.min(n);
        let mut diagonal = vec![T::default(); n];
        operator.diagonal(&mut diagonal)?;
        let diagonal: Vec<f64> = diagonal.iter().map(|d| d.to_f64()).collect();
        if let Some(row) = diagonal.iter().position(|d| !d.is_finite()) {
            return Err(Error::NotFinite { row, column: row, value: diagonal[row] });
        }
        if let Some(pivot) = diagonal.iter().position(|d| *d < 0.0) {
            let value = diagonal[pivot];
            return Err(Error::NotPositiveDefinite { pivot, n, value, suggested: -value });
        }
        let trace: f64 = diagonal.iter().sum();
        // What rounding leaves of a diagonal entry that is explained.
        let floor = diagonal.iter().fold(0.0_f64, |m, d| m.max(*d)) * f64::EPSILON * 4.0;
        let mut left = Remainder::new(diagonal);
        left.reserve(rank)?;
        let mut pivots: Vec<usize> = Vec::with_capacity(rank);
        let mut history = Vec::with_capacity(rank);
        let mut chooser = Chooser::new(&self.choice);
        while pivots.len() < rank {
            let rest = left.diagonal();
            if rest.iter().sum::<f64>() <= self.tolerance * trace || rest.iter().all(|d| *d <= floor) {
                break;
            }
            if progress.step("pivoted Cholesky", pivots.len(), rank).is_break() {
                return Err(Error::Cancelled);
            }
            let proposals = chooser.propose(rest, rank - pivots.len());
            if proposals.is_empty() {
                break;
            }
            if let Some(&given) = proposals.iter().find(|s| **s >= n) {
                return Err(Error::Shape { what: "index of a pivot (below)", expected: n, given });
            }
            let mut columns = DMatrix::repeat(n, proposals.len(), T::default());
            operator.columns(&proposals, columns.as_view_mut())?;
            let mut fresh = columns.map(T::to_f64);
            left.correct(&proposals, fresh.as_view_mut());
            let taken = chooser.accept(&fresh, &proposals, rest, floor, rank - pivots.len());
            orthogonalize(&mut fresh, &taken.accepted, &taken.factor);
            for &j in &taken.accepted {
                left.take(&fresh.as_slice()[j * n..(j + 1) * n]);
                left.set_diagonal(proposals[j], 0.0);
                pivots.push(proposals[j]);
                history.push(left.diagonal().iter().sum());
            }
        }
        let residual = left.diagonal().to_vec();
        let factor = left.into_terms();
        if let Some(k) = factor.as_slice().iter().position(|f| !f.is_finite()) {
            return Err(Error::NotFinite { row: k % n, column: k / n, value: factor.as_slice()[k] });
        }
        Ok(LowRank { factor, pivots, residual, trace, history })
    }
}

/// Turns residual columns into columns of the factor: G ← G L⁻ᵀ on the accepted ones.
fn orthogonalize(columns: &mut DMatrix<f64>, accepted: &[usize], l: &DMatrix<f64>) {
    let n = columns.nrows();
    for (c, &j) in accepted.iter().enumerate() {
        for (b, &i) in accepted.iter().enumerate().take(c) {
            let (before, after) = columns.as_mut_slice().split_at_mut(j * n);
            let scale = l[(c, b)];
            after[..n].iter_mut().zip(&before[i * n..(i + 1) * n]).for_each(|(x, y)| *x -= scale * y);
        }
        columns.column_mut(j).scale_mut(1.0 / l[(c, c)]);
    }
}

struct Taken {
    /// Which proposals, by position.
    accepted: Vec<usize>,
    /// Cholesky factor of the residual among them.
    factor: DMatrix<f64>,
}

struct Chooser<'a> {
    choice: &'a Choice,
    rng: ChaCha8Rng,
    next: usize,
}

impl<'a> Chooser<'a> {
    fn new(choice: &'a Choice) -> Self {
        let seed = if let Choice::Random { seed, .. } = choice { *seed } else { 0 };
        Self { choice, rng: ChaCha8Rng::seed_from_u64(seed), next: 0 }
    }

    fn propose(&mut self, rest: &[f64], room: usize) -> Vec<usize> {
        match self.choice {
            Choice::Greedy => {
                let best = (0..rest.len()).fold(0, |best, i| if rest[i] > rest[best] { i } else { best });
                vec![best]
            }
            Choice::Given(pivots) => {
                let at = self.next;
                self.next += 1;
                pivots.get(at).map(|s| vec![*s]).unwrap_or_default()
            }
            Choice::Random { block, .. } => {
                let mut sums = Vec::with_capacity(rest.len());
                let mut sum = 0.0;
                for d in rest {
                    sum += d;
                    sums.push(sum);
                }
                (0..(*block).min(room.max(1)))
                    .map(|_| {
                        let u = self.rng.random::<f64>() * sum;
                        // The first whose running sum exceeds u has a positive share of its own.
                        sums.partition_point(|s| *s <= u).min(rest.len() - 1)
                    })
                    .collect()
            }
        }
    }

    /// Goes through the proposals in order: each is taken with the probability that it would still be proposed after
    /// those taken before it.
    fn accept(
        &mut self,
        columns: &DMatrix<f64>,
        proposals: &[usize],
        rest: &[f64],
        floor: f64,
        room: usize,
    ) -> Taken {
        let b = proposals.len();
        let mut h = DMatrix::from_fn(b, b, |i, j| columns[(proposals[i], j)]);
        let reject = matches!(self.choice, Choice::Random { reject: true, .. });
        let mut accepted: Vec<usize> = Vec::new();
        let mut l = DMatrix::<f64>::zeros(b, b);
        for j in 0..b {
            let left = h[(j, j)];
            let u = if reject { self.rng.random::<f64>() } else { 0.0 };
            if accepted.len() == room || left <= floor || u * rest[proposals[j]] >= left {
                continue;
            }
            let root = left.sqrt();
            for i in j..b {
                l[(i, j)] = h[(i, j)] / root;
            }
            for c in j + 1..b {
                for i in c..b {
                    h[(i, c)] -= l[(i, j)] * l[(c, j)];
                }
            }
            accepted.push(j);
        }
        let factor = DMatrix::from_fn(accepted.len(), accepted.len(), |i, j| l[(accepted[i], accepted[j])]);
        Taken { accepted, factor }
    }
}

/// FFᵀ with how well it approximates: the operator that [`PivotedCholesky`] makes.
///
/// The error is known, not estimated: A − FFᵀ is positive semidefinite, so its trace bounds its norm.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    factor: DMatrix<f64>,
    pivots: Vec<usize>,
    residual: Vec<f64>,
    trace: f64,
    history: Vec<f64>,
}

impl LowRank {
    /// F, n × rank.
    pub fn factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    /// The columns it was made of, in the order of choice.
    pub fn pivots(&self) -> &[usize] {
        &self.pivots
    }

    /// Number of columns of F.
    pub fn rank(&self) -> usize {
        self.factor.ncols()
    }

    /// Diagonal of A − FFᵀ.
    pub fn residual_diagonal(&self) -> &[f64] {
        &self.residual
    }

    /// trace(A − FFᵀ), at least the largest eigenvalue of the difference.
    pub fn trace_error(&self) -> f64 {
        self.residual.iter().sum()
    }

    /// trace(A − FFᵀ) / trace(A), between 0 and 1; 0 for A = 0.
    pub fn relative_error(&self) -> f64 {
        if self.trace > 0.0 { self.trace_error() / self.trace } else { 0.0 }
    }

    /// trace(A − FFᵀ) after 1, 2, … columns; never increasing.
    pub fn trace_errors(&self) -> &[f64] {
        &self.history
    }
}

impl Operator<f64> for LowRank {
    fn dim(&self) -> usize {
        self.factor.nrows()
    }

    fn apply(&self, rhs: DMatrixView<'_, f64>, out: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        let n = self.dim();
        check_shape(rhs.shape(), (n, rhs.ncols()))?;
        check_shape(out.shape(), (n, rhs.ncols()))?;
        let inner = self.factor.tr_mul(&rhs);
        for_each_rows(out, |range, mut out, _| {
            out.gemm(1.0, &self.factor.rows_range(range), &inner, 0.0);
        });
        Ok(())
    }

    fn diagonal(&self, out: &mut [f64]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        for (out, row) in out.iter_mut().zip(self.factor.row_iter()) {
            *out = row.norm_squared();
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, f64>) -> Result<(), Error> {
        check_columns(self.dim(), indices, out.shape())?;
        let rows = DMatrix::from_fn(self.rank(), indices.len(), |j, s| self.factor[(indices[s], j)]);
        for_each_rows(out, |range, mut out, _| {
            out.gemm(1.0, &self.factor.rows_range(range), &rows, 0.0);
        });
        Ok(())
    }
}

/// Kernel k-means++ seeding: `k` distinct indices, the first uniform, each next one in proportion to its squared distance
/// k(x,x) + k(c,c) − 2k(x,c) to the nearest chosen before. With a linear kernel this is k-means++ itself.
///
/// Fewer than `k` when the other points coincide with chosen ones. O(nk) and k columns of the operator.
///
/// # Errors
/// A diagonal that is not finite; what the operator says.
///
/// ```
/// use kernels_core::{LazyGram, Rbf, Rows, kmeans_plus_plus};
/// let xs = Rows::from_row_major(vec![0.0, 0.1, 5.0, 5.1], 4, 1)?;
/// let kernel = Rbf::new(1.0)?;
/// let chosen = kmeans_plus_plus(&LazyGram::new(&kernel, &xs, 1 << 20)?, 2, 1)?;
/// assert_ne!(chosen[0] / 2, chosen[1] / 2);
/// # Ok::<(), kernels_core::Error>(())
/// ```
///
/// Reference: Arthur, Vassilvitskii, *k-means++: the advantages of careful seeding* (2007), section 2.
pub fn kmeans_plus_plus<T: Real>(
    operator: &(impl Operator<T> + ?Sized),
    k: usize,
    seed: u64,
) -> Result<Vec<usize>, Error> {
    let n = operator.dim();
    if n == 0 || k == 0 {
        return Ok(Vec::new());
    }
    let mut diagonal = vec![T::default(); n];
    operator.diagonal(&mut diagonal)?;
    let diagonal: Vec<f64> = diagonal.iter().map(|d| d.to_f64()).collect();
    if let Some(row) = diagonal.iter().position(|d| !d.is_finite()) {
        return Err(Error::NotFinite { row, column: row, value: diagonal[row] });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut nearest = vec![f64::INFINITY; n];
    let mut column = DMatrix::repeat(n, 1, T::default());
    let mut chosen = vec![rng.random_range(0..n)];
    // Distances that are rounding alone are coincidences.
    let cut = 8.0 * T::EPSILON.to_f64();
    loop {
        let Some(&c) = chosen.last() else { return Ok(chosen) };
        operator.columns(&[c], column.as_view_mut())?;
        let mut sum = 0.0;
        for i in 0..n {
            let distance = diagonal[i] + diagonal[c] - 2.0 * column[(i, 0)].to_f64();
            let scale = cut * (diagonal[i].abs() + diagonal[c].abs());
            nearest[i] = nearest[i].min(if distance > scale { distance } else { 0.0 });
            sum += nearest[i];
        }
        nearest[c] = 0.0;
        if chosen.len() == k || sum <= 0.0 || !sum.is_finite() {
            return Ok(chosen);
        }
        let mut u = rng.random::<f64>() * sum;
        let mut next = None;
        for (i, d) in nearest.iter().enumerate().filter(|(_, d)| **d > 0.0) {
            next = Some(i);
            if u < *d {
                break;
            }
            u -= d;
        }
        match next {
            Some(i) => chosen.push(i),
            None => return Ok(chosen),
        }
    }
}
