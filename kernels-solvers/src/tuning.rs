//! Choosing hyper-parameters by held-out data.

use kernels_core::Error as CoreError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Error;

/// Indices of a fold: what to fit on and what to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Indices to fit on.
    pub train: Vec<usize>,
    /// Indices to test on; every sample is in exactly one fold's.
    pub test: Vec<usize>,
}

/// n samples in `folds` random parts whose sizes differ by at most 1.
///
/// # Errors
/// Fewer than 2 folds, or more than samples.
///
/// ```
/// let folds = kernels_solvers::folds(10, 3, 7)?;
/// assert_eq!(folds.iter().map(|f| f.test.len()).sum::<usize>(), 10);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn folds(n: usize, folds: usize, seed: u64) -> Result<Vec<Fold>, Error> {
    if folds < 2 || folds > n {
        let expected = "between 2 and the number of samples";
        return Err(CoreError::Parameter { name: "folds".into(), value: folds as f64, expected }.into());
    }
    let order = shuffled(n, seed);
    let part = |k: usize| &order[k * n / folds..(k + 1) * n / folds];
    let fold = |k: usize| Fold {
        train: (0..folds).filter(|j| *j != k).flat_map(|j| part(j).iter().copied()).collect(),
        test: part(k).to_vec(),
    };
    Ok((0..folds).map(fold).collect())
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

/// Mean loss over folds: `loss(train, test)` fits on some samples and tests on others.
///
/// # Errors
/// As [`folds`], and what `loss` says.
///
/// ```
/// use kernels_core::{Points, Rbf, Rows};
/// use kernels_solvers::{Krr, cross_validate};
/// let xs = Rows::from_row_major((0..40).map(|i| f64::from(i) / 10.0).collect(), 40, 1)?;
/// let y: Vec<f64> = (0..40).map(|i| (f64::from(i) / 10.0).sin()).collect();
/// let pick = |rows: &[usize]| rows.iter().map(|i| y[*i]).collect::<Vec<_>>();
/// let loss = cross_validate(40, 5, 1, &mut |train, test| {
///     let model = Krr::new(Rbf::new(1.0)?).ridge(1e-3).fit(&xs.subset(train)?, &pick(train))?;
///     let f = model.predict(&xs.subset(test)?)?;
///     Ok(f.iter().zip(pick(test)).map(|(f, y)| (f - y) * (f - y)).sum::<f64>() / test.len() as f64)
/// })?;
/// assert!(loss < 1e-3);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn cross_validate(
    n: usize,
    parts: usize,
    seed: u64,
    loss: &mut dyn FnMut(&[usize], &[usize]) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let folds = folds(n, parts, seed)?;
    let mut sum = 0.0;
    for fold in &folds {
        sum += loss(&fold.train, &fold.test)?;
    }
    Ok(sum / folds.len() as f64)
}

/// A round of [`successive_halving`].
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Samples, epochs or whatever each candidate was given.
    pub resource: usize,
    /// Candidates and their losses, best first.
    pub losses: Vec<(usize, f64)>,
}

/// Successive halving: all `candidates` are tried with few resources, the best 1/`eta` of them go on with `eta` times as much, up to
/// `most`. The last round's first entry is the winner.
///
/// `loss(candidate, resource)` must be comparable between candidates of a round; NaN ranks last.
///
/// **Errors.** No candidates, `least` of 0 or above `most`, `eta` below 2, what `loss` says. **Complexity.** About
/// log(candidates) rounds, each of the cost of the first.
///
/// ```
/// use kernels_solvers::successive_halving;
/// let rounds = successive_halving(9, (10, 90), 3, &mut |c, r| Ok((c as f64 - 4.0).abs() + 1.0 / r as f64))?;
/// assert_eq!(rounds.last().map(|r| r.losses[0].0), Some(4));
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Jamieson, Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization* (2016), figure 1.
pub fn successive_halving(
    candidates: usize,
    (least, most): (usize, usize),
    eta: usize,
    loss: &mut dyn FnMut(usize, usize) -> Result<f64, Error>,
) -> Result<Vec<Round>, Error> {
    if candidates == 0 {
        let what = "successive halving (candidates)";
        return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
    }
    for (name, value, right, expected) in [
        ("eta", eta, eta >= 2, "2 or above"),
        ("least", least, least > 0 && least <= most, "between 1 and the most"),
    ] {
        if !right {
            return Err(CoreError::Parameter { name: name.into(), value: value as f64, expected }.into());
        }
    }
    let mut alive: Vec<usize> = (0..candidates).collect();
    let mut resource = least;
    let mut rounds = Vec::new();
    loop {
        let mut losses = Vec::with_capacity(alive.len());
        for &candidate in &alive {
            losses.push((candidate, loss(candidate, resource)?));
        }
        let rank = |v: f64| if v.is_nan() { f64::INFINITY } else { v };
        losses.sort_by(|a, b| rank(a.1).total_cmp(&rank(b.1)).then(a.0.cmp(&b.0)));
        alive = losses.iter().take(alive.len().div_ceil(eta)).map(|(c, _)| *c).collect();
        let last = losses.len() == 1 || resource >= most;
        rounds.push(Round { resource, losses });
        if last {
            return Ok(rounds);
        }
        resource = resource.saturating_mul(eta).min(most);
    }
}
