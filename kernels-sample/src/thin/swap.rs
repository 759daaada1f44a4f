//! KT-SWAP: the best candidate coreset, refined point by point.

use kernels_core::{Kernel, Points};

use crate::{Error, access};

/// Mean of k over all pairs of a coreset minus twice its mean over coreset and input: MMD² up to a constant.
pub(super) fn relative_mmd2<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    means: Option<&[f64]>,
    coreset: &[usize],
) -> Result<f64, Error> {
    let s = coreset.len() as f64;
    let points = xs.subset(coreset)?;
    let within: f64 = access::gram_times(kernel, &points, &vec![1.0; coreset.len()])?.iter().sum();
    let across: f64 = means.map_or(0.0, |means| coreset.iter().map(|&i| means[i]).sum());
    Ok(within / (s * s) - 2.0 * across / s)
}

/// Every t-th point, counted from the last one backwards, in increasing order: `size` of n.
pub(super) fn standard(n: usize, size: usize) -> Vec<usize> {
    let step = n.checked_div(size).unwrap_or(0);
    (0..size).rev().map(|i| n - 1 - i * step).collect()
}

/// The candidate of smallest MMD; the first one stays on ties.
pub(super) fn best<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    means: Option<&[f64]>,
    candidates: impl Iterator<Item = Vec<usize>>,
) -> Result<Vec<usize>, Error> {
    let mut best: (f64, Vec<usize>) = (f64::INFINITY, Vec::new());
    for candidate in candidates {
        let value = relative_mmd2(kernel, xs, means, &candidate)?;
        if best.1.is_empty() || value < best.0 {
            best = (value, candidate);
        }
    }
    Ok(best.1)
}

/// Replaces the coreset's points one after the other by the best ones, `passes` times or until nothing changes.
///
/// `means` are the means of the rows of the Gram matrix; without them the kernel is taken to have mean 0.
pub(super) fn refine<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    means: Option<&[f64]>,
    coreset: &mut [usize],
    unique: bool,
    passes: usize,
) -> Result<usize, Error> {
    let (n, s) = (xs.len(), coreset.len());
    if s == 0 || passes == 0 {
        return Ok(0);
    }
    let scale = 2.0 / s as f64;
    let mut row = vec![0.0; n];
    let mut stat = vec![0.0; n];
    kernel.diagonal(xs, 0..n, &mut stat);
    stat.iter_mut().for_each(|v| *v /= s as f64);
    for &c in coreset.iter() {
        access::row(kernel, xs, c, &mut row);
        stat.iter_mut().zip(&row).for_each(|(v, k)| *v += scale * k);
    }
    if let Some(means) = means {
        stat.iter_mut().zip(means).for_each(|(v, m)| *v -= 2.0 * m);
    }
    let mut inside = vec![false; n];
    coreset.iter().for_each(|&c| inside[c] = true);
    for pass in 0..passes {
        let mut changed = false;
        for slot in coreset.iter_mut() {
            let old = *slot;
            access::row(kernel, xs, old, &mut row);
            stat.iter_mut().zip(&row).for_each(|(v, k)| *v -= scale * k);
            let new = if unique {
                let other = access::argmin(&stat, |y| !inside[y]);
                other.filter(|&y| stat[y] < stat[old]).unwrap_or(old)
            } else {
                access::argmin(&stat, |_| true).unwrap_or(old)
            };
            if new != old {
                access::row(kernel, xs, new, &mut row);
                inside[old] = false;
                inside[new] = true;
                changed = true;
                *slot = new;
            }
            stat.iter_mut().zip(&row).for_each(|(v, k)| *v += scale * k);
        }
        if !changed {
            return Ok(pass + 1);
        }
    }
    Ok(passes)
}
