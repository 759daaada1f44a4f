//! Markov chains over subsets whose law tends to a determinantal point process.

use kernels_core::{Kernel, Points, PositiveDefinite};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::{Error, access, random};

/// A Metropolis chain over subsets S with stationary probability ∝ det L_S, L the Gram matrix: draws from a DPP without its
/// eigenvalues, n as large as kernel values can be asked for.
///
/// A step proposes to flip the membership of a random point (one time in two: lazily nothing), or, for sets of one size
/// ([`DppChain::fixed_size`]), to exchange a random member for a random other point, and accepts with the ratio of
/// determinants. The Cholesky factor of L_S is kept up to date: O(|S|²) and |S| kernel values a step, memory O(|S|²).
///
/// Reference: Anari, Gharan, Rezaei, *Monte Carlo Markov chain algorithms for sampling strongly Rayleigh distributions and
/// determinantal point processes* (2016).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::DppChain;
/// let xs = Rows::from_row_major((0..100).map(|i| f64::from(i) / 10.0).collect(), 100, 1)?;
/// let kernel = Rbf::new(1.0)?;
/// let mut chain = DppChain::new(&kernel, &xs, &[0, 50, 99], 1)?.fixed_size(true);
/// chain.advance(500);
/// assert_eq!(chain.set().len(), 3);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub struct DppChain<'a, P, K: ?Sized> {
    kernel: &'a K,
    xs: &'a P,
    set: Vec<usize>,
    member: Vec<bool>,
    factor: Factor,
    fixed: bool,
    rng: ChaCha8Rng,
    accepted: usize,
    steps: usize,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + PositiveDefinite + ?Sized> DppChain<'a, P, K> {
    /// Starts from a set of distinct points, possibly none; the result of [`greedy_map`](crate::greedy_map) is a good one.
    ///
    /// **Errors.** Indices out of range or repeated, a start of probability 0 (points that depend linearly), points that are
    /// not finite or not the kernel's.
    pub fn new(kernel: &'a K, xs: &'a P, start: &[usize], seed: u64) -> Result<Self, Error> {
        access::check("a determinantal chain", kernel, xs, 0)?;
        let n = xs.len();
        let mut chain = Self {
            kernel,
            xs,
            set: Vec::new(),
            member: vec![false; n],
            factor: Factor::default(),
            fixed: false,
            rng: random::stream(seed, 0),
            accepted: 0,
            steps: 0,
        };
        for &i in start {
            if i >= n {
                let expected = "below the number of points";
                return Err(Error::Count { what: "index of the start", given: i, expected, limit: n });
            }
            let row = chain.row(i);
            let left = row.1;
            if chain.member[i] || left <= f64::EPSILON * chain.value(i, i) {
                let expected = "a point that does not depend linearly on those before it";
                return Err(Error::Value { what: "point of the start", index: i, value: left, expected });
            }
            chain.add(i, row);
        }
        Ok(chain)
    }

    /// Whether sets keep their size: the chain of a k-DPP.
    pub fn fixed_size(mut self, fixed: bool) -> Self {
        self.fixed = fixed;
        self
    }

    /// The present set, in increasing order.
    pub fn set(&self) -> Vec<usize> {
        let mut out = self.set.clone();
        out.sort_unstable();
        out
    }

    /// ln det L_S of the present set.
    pub fn ln_determinant(&self) -> f64 {
        self.factor.0.iter().filter_map(|row| row.last()).map(|d| 2.0 * d.ln()).sum()
    }

    /// Share of steps that changed the set.
    pub fn acceptance(&self) -> f64 {
        self.accepted as f64 / self.steps.max(1) as f64
    }

    /// Makes steps.
    pub fn advance(&mut self, steps: usize) {
        let n = self.xs.len();
        for _ in 0..steps {
            self.steps += 1;
            if n == 0 || self.rng.random::<bool>() {
                continue;
            }
            let changed = if self.fixed { self.exchange(n) } else { self.flip(n) };
            self.accepted += usize::from(changed);
        }
    }

    fn flip(&mut self, n: usize) -> bool {
        let i = self.rng.random_range(0..n);
        let u: f64 = self.rng.random();
        if self.member[i] {
            let Some(place) = self.set.iter().position(|&s| s == i) else { return false };
            // det L_{S−i}/det L_S is an entry of the inverse.
            if u < self.factor.inverse_diagonal(place) {
                self.remove(place);
                return true;
            }
            return false;
        }
        let row = self.row(i);
        if u < row.1 {
            self.add(i, row);
            return true;
        }
        false
    }

    fn exchange(&mut self, n: usize) -> bool {
        let k = self.set.len();
        if k == 0 || k == n {
            return false;
        }
        let place = self.rng.random_range(0..k);
        let mut other = self.rng.random_range(0..n);
        while self.member[other] {
            other = self.rng.random_range(0..n);
        }
        let u: f64 = self.rng.random();
        let ratio = self.factor.inverse_diagonal(place);
        let old = self.set[place];
        let kept = self.factor.clone();
        self.remove(place);
        let row = self.row(other);
        if u < ratio * row.1 {
            self.add(other, row);
            return true;
        }
        self.set.insert(place, old);
        self.member[old] = true;
        self.factor = kept;
        false
    }

    fn value(&self, i: usize, j: usize) -> f64 {
        self.kernel.eval(self.xs.point(i), self.xs.point(j))
    }

    /// The row that point i would add to the factor, and what is left of its variance: det L_{S+i}/det L_S.
    fn row(&self, i: usize) -> (Vec<f64>, f64) {
        let b: Vec<f64> = self.set.iter().map(|&s| self.value(i, s)).collect();
        let y = self.factor.solve(b);
        let left = (self.value(i, i) - access::dot(&y, &y)).max(0.0);
        (y, left)
    }

    fn add(&mut self, i: usize, (mut row, left): (Vec<f64>, f64)) {
        row.push(left.sqrt());
        self.factor.0.push(row);
        self.set.push(i);
        self.member[i] = true;
    }

    fn remove(&mut self, place: usize) {
        let i = self.set.remove(place);
        self.member[i] = false;
        self.factor.remove(place);
    }
}

/// A lower triangular factor, row i of i + 1 values.
#[derive(Clone, Debug, Default)]
struct Factor(Vec<Vec<f64>>);

impl Factor {
    /// C⁻¹b.
    fn solve(&self, mut b: Vec<f64>) -> Vec<f64> {
        for (i, row) in self.0.iter().enumerate() {
            let known = access::dot(&row[..i], &b[..i]);
            b[i] = (b[i] - known) / row[i];
        }
        b
    }

    /// Entry (i, i) of (CCᵀ)⁻¹.
    fn inverse_diagonal(&self, i: usize) -> f64 {
        let mut unit = vec![0.0; self.0.len()];
        unit[i] = 1.0;
        let z = self.solve(unit);
        access::dot(&z, &z)
    }

    /// Takes row and column i out of CCᵀ: the rows after it lose their column i, which is made good by rotations.
    fn remove(&mut self, i: usize) {
        self.0.remove(i);
        let mut lost: Vec<f64> = self.0[i..].iter_mut().map(|row| row.remove(i)).collect();
        for j in 0..lost.len() {
            let c = i + j;
            let diagonal = self.0[c][c];
            let r = diagonal.hypot(lost[j]);
            let (cosine, sine) = (diagonal / r, lost[j] / r);
            self.0[c][c] = r;
            for k in j + 1..lost.len() {
                let entry = self.0[i + k][c];
                self.0[i + k][c] = cosine * entry + sine * lost[k];
                lost[k] = cosine * lost[k] - sine * entry;
            }
        }
    }
}
