//! Choice of training points by the variance they leave at test points.

use nalgebra::DMatrix;

use crate::{
    Error,
    error::{same, within},
};

/// Greedy choice of `count` points of a pool that most lowers the mean posterior variance at test points, for a Gaussian process with
/// a (tangent) kernel and noise: no labels are needed. Returns the chosen indices in order with −(mean variance) after each.
///
/// **Errors.** [`Error::Shape`], [`Error::Value`] for a noise variance not above 0. **Complexity.** O(count · pool · (pool + tests))
/// by rank-one updates.
///
/// ```
/// use kernels_ntk::select_by_variance;
/// use nalgebra::dmatrix;
/// let chosen = select_by_variance(&dmatrix![1.0, 0.0; 0.0, 1.0], &dmatrix![0.1, 0.9], &[1.0], 1e-6, 1)?;
/// assert_eq!(chosen[0].0, 1);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// Reference: Wei et al., *NTK-based active learning by expected variance* (2022).
pub fn select_by_variance(
    pool: &DMatrix<f64>,
    cross: &DMatrix<f64>,
    own: &[f64],
    noise_variance: f64,
    count: usize,
) -> Result<Vec<(usize, f64)>, Error> {
    same("columns of the pool's kernel", pool.nrows(), pool.ncols())?;
    same("columns of the cross kernel", pool.nrows(), cross.ncols())?;
    same("own kernel values of the tests", cross.nrows(), own.len())?;
    within("noise variance", noise_variance, noise_variance > 0.0, "a finite number above 0")?;
    let (mut rest, mut across) = (pool.clone(), cross.clone());
    let mut left: Vec<usize> = (0..pool.nrows()).collect();
    let mut variance: f64 = own.iter().sum();
    let tests = own.len().max(1) as f64;
    let mut out = Vec::new();
    while out.len() < count && !left.is_empty() {
        let gain = |i: usize| across.column(i).norm_squared() / (rest[(i, i)] + noise_variance);
        let mut best = (0, f64::NEG_INFINITY);
        for (place, &i) in left.iter().enumerate() {
            let gain = gain(i);
            if gain > best.1 {
                best = (place, gain);
            }
        }
        let chosen = left.remove(best.0);
        variance -= best.1;
        out.push((chosen, -variance / tests));
        let (column, side) = (rest.column(chosen).into_owned(), across.column(chosen).into_owned());
        let pivot = 1.0 / (column[chosen] + noise_variance);
        rest.ger(-pivot, &column, &column, 1.0);
        across.ger(-pivot, &side, &column, 1.0);
    }
    Ok(out)
}
