//! Herding and the two baselines.

use kernels_core::{Kernel, Points};
use rand::RngExt;

use super::swap;
use crate::{Error, access, error, random};

/// Kernel herding: picks `size` points one by one, each the best next term of the coreset's mean.
///
/// Point t + 1 maximises mean k(x, ·) − (1/(t+1)) Σ k(xᵢ, ·) over the points picked so far. With `unique` a point is picked
/// once at most.
///
/// **Errors.** No points, `size` above n when `unique`, points that are not finite or not the kernel's.
/// **Complexity.** n²/2 kernel values for the means, then n a point; O(n) memory.
///
/// Reference: Chen, Welling, Smola, *Super-samples from kernel herding* (2010).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 0.1, 0.2, 5.0], 4, 1)?;
/// assert_eq!(kernels_sample::herd(&Rbf::new(1.0)?, &xs, 2, true)?, [1, 3]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn herd<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    size: usize,
    unique: bool,
) -> Result<Vec<usize>, Error> {
    access::check("kernel herding", kernel, xs, 1)?;
    let n = xs.len();
    at_most(size, if unique { n } else { usize::MAX })?;
    let means = access::row_means(kernel, xs)?;
    let mut objective = means.clone();
    let mut row = vec![0.0; n];
    let mut picked = vec![false; n];
    let mut out = Vec::with_capacity(size);
    for t in 0..size {
        let Some(next) = access::argmax(&objective, |i| !(unique && picked[i])) else { break };
        picked[next] = true;
        out.push(next);
        access::row(kernel, xs, next, &mut row);
        let (before, after) = ((t + 1) as f64, (t + 2) as f64);
        for ((o, m), k) in objective.iter_mut().zip(&means).zip(&row) {
            *o = (before * *o + m - k) / after;
        }
    }
    Ok(out)
}

fn at_most(size: usize, limit: usize) -> Result<(), Error> {
    if size <= limit {
        Ok(())
    } else {
        let expected = "at most the number of points";
        Err(Error::Count { what: "size of the coreset", given: size, expected, limit })
    }
}

/// Every ⌊n/size⌋-th of n points, counted back from the last one: the usual thinning of a chain.
///
/// # Errors
/// `size` above n.
///
/// ```
/// assert_eq!(kernels_sample::standard_thinning(10, 3)?, [3, 6, 9]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn standard_thinning(n: usize, size: usize) -> Result<Vec<usize>, Error> {
    at_most(size, n)?;
    Ok(swap::standard(n, size))
}

/// `size` of n indices at random, without repetition, in increasing order.
///
/// # Errors
/// `size` above n.
///
/// ```
/// assert_eq!(kernels_sample::random_sample(5, 5, 1)?, [0, 1, 2, 3, 4]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn random_sample(n: usize, size: usize, seed: u64) -> Result<Vec<usize>, Error> {
    at_most(size, n)?;
    error::at_least("a random sample", usize::from(size > 0), n)?;
    let mut rng = random::stream(seed, 0);
    let mut all: Vec<usize> = (0..n).collect();
    for i in 0..size {
        let j = rng.random_range(i..n);
        all.swap(i, j);
    }
    all.truncate(size);
    all.sort_unstable();
    Ok(all)
}
