//! Landmarks by ridge leverage scores.

use kernels_core::{Error as CoreError, Kernel, Points, PositiveDefinite, Real, dense::Cholesky, diagonal};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error,
    data::{cross_f64, gram_f64, require_positive},
};

/// Landmarks for Nyström methods by approximate ridge leverage scores ℓᵢ = [K (K + λnI)⁻¹]ᵢᵢ (BLESS): samples that others
/// explain badly are more likely to be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Leverage {
    /// Chosen samples, distinct.
    pub indices: Vec<usize>,
    /// Inclusion probabilities with which they were chosen, for reweighting.
    pub probabilities: Vec<f64>,
    /// Estimate of the effective dimension Σ ℓᵢ.
    pub effective_dimension: f64,
}

/// Chooses landmarks from coarse to fine: λ falls from the mean of k(x, x) to `lambda` by halves; at each level scores of a
/// uniform pool are computed from the landmarks of the level before, and samples are kept in proportion to them. About
/// `oversampling` · Σℓᵢ landmarks at the end.
///
/// **Errors.** No points, λ ≤ 0, a kernel that is not positive definite. **Complexity.** O(min(n, 1/λ) d_eff² log(1/λ)) with d_eff
/// landmarks; far fewer kernel values than n².
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let xs = Rows::from_row_major((0..300).map(|i| f64::from(i) / 50.0).collect(), 300, 1)?;
/// let chosen = kernels_solvers::leverage_landmarks(&Rbf::new(0.5)?, &xs, 1e-4, 3.0, 1)?;
/// assert!(chosen.indices.len() < 150 && chosen.effective_dimension > 5.0);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Rudi, Calandriello, Carratino, Rosasco, *On fast leverage score sampling and optimal learning* (2018), algorithm 2 (rejection).
pub fn leverage_landmarks<P: Points, K: Kernel<P> + PositiveDefinite>(
    kernel: &K,
    xs: &P,
    lambda: f64,
    oversampling: f64,
    seed: u64,
) -> Result<Leverage, Error> {
    require_positive("leverage scores", kernel)?;
    xs.check_finite()?;
    let n = xs.len();
    if n == 0 {
        return Err(CoreError::TooFewPoints { what: "leverage scores", needed: 1, given: 0 }.into());
    }
    for (name, value) in [("lambda", lambda), ("oversampling", oversampling)] {
        if !(value > 0.0 && value.is_finite()) {
            let expected = "a finite number above 0";
            return Err(CoreError::Parameter { name: name.into(), value, expected }.into());
        }
    }
    let peak: Vec<f64> = diagonal(kernel, xs)?.iter().map(|d| d.to_f64()).collect();
    let largest = peak.iter().copied().fold(0.0, f64::max);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut level = largest.max(lambda);
    let mut chosen = Leverage { indices: Vec::new(), probabilities: Vec::new(), effective_dimension: 0.0 };
    loop {
        let last = level <= lambda;
        // ℓᵢ ≤ κ²/(λn): a uniform pool with this inclusion probability loses nothing.
        let inclusion = (oversampling * largest / (level * n as f64)).min(1.0);
        let pool: Vec<usize> = (0..n).filter(|_| rng.random::<f64>() < inclusion).collect();
        let scores = scores(kernel, xs, &pool, &peak, &chosen, level)?;
        let mut next = Leverage { indices: Vec::new(), probabilities: Vec::new(), effective_dimension: 0.0 };
        for (i, score) in pool.iter().zip(scores) {
            next.effective_dimension += score / inclusion;
            let wanted = (oversampling * score).min(inclusion);
            if rng.random::<f64>() * inclusion < wanted {
                next.indices.push(*i);
                next.probabilities.push(wanted);
            }
        }
        // A level that drew nothing keeps the one before.
        if !next.indices.is_empty() {
            chosen = next;
        }
        if last {
            if chosen.indices.is_empty() {
                chosen.indices.push(rng.random_range(0..n));
                chosen.probabilities.push(1.0);
            }
            return Ok(chosen);
        }
        level = (level / 2.0).max(lambda);
    }
}

/// ℓ̃ᵢ = (k(xᵢ,xᵢ) − k_J(xᵢ)ᵀ (K_JJ + λnA)⁻¹ k_J(xᵢ)) / (λn), A the inclusion probabilities of J.
fn scores<P: Points, K: Kernel<P>>(
    kernel: &K,
    xs: &P,
    pool: &[usize],
    peak: &[f64],
    dictionary: &Leverage,
    lambda: f64,
) -> Result<Vec<f64>, Error> {
    let scale = lambda * xs.len() as f64;
    let mut left: Vec<f64> = pool.iter().map(|i| peak[*i]).collect();
    if !dictionary.indices.is_empty() && !pool.is_empty() {
        let centers = xs.subset(&dictionary.indices)?;
        let mut system = gram_f64(kernel, &centers)?;
        for (i, p) in dictionary.probabilities.iter().enumerate() {
            system[(i, i)] += scale * p;
        }
        let factor = Cholesky::new(system)?;
        let mut cross = cross_f64(kernel, &centers, &xs.subset(pool)?)?;
        factor.solve_lower_in_place(cross.as_view_mut())?;
        for (left, column) in left.iter_mut().zip(cross.column_iter()) {
            *left -= column.norm_squared();
        }
    }
    Ok(left.iter().map(|l| (l.max(0.0) / scale).min(1.0)).collect())
}
