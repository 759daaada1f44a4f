//! KT-SWAP: the best candidate coreset, refined point by point.

use kernels_core::{Kernel, Points};

use crate::{
    Error,
    access::{self, GramRows, RowBuffer},
};

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

/// Largest number of points whose Gram matrix is kept while points are swapped: 32 MB.
pub(super) const STORED: usize = 2048;

/// Replaces the coreset's points one after the other by the best ones, `passes` times or until nothing changes.
///
/// `means` are the means of the rows of the Gram matrix, weighted or not; without them the kernel is taken to have mean 0. `sums` are the sums
/// of its rows over the coreset.
pub(super) fn refine<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    k: &GramRows<'_, P, K>,
    diagonal: &[f64],
    means: Option<&[f64]>,
    sums: &[f64],
    coreset: &mut [usize],
    unique: bool,
    passes: usize,
) -> usize {
    let (n, s) = (diagonal.len(), coreset.len());
    if s == 0 || passes == 0 {
        return 0;
    }
    let scale = 2.0 / s as f64;
    // stat is MMD² after adding a point to the others, up to a constant.
    let mut stat: Vec<f64> = diagonal.iter().zip(sums).map(|(d, sum)| d / s as f64 + scale * sum).collect();
    if let Some(means) = means {
        stat.iter_mut().zip(means).for_each(|(v, m)| *v -= 2.0 * m);
    }
    let mut count = vec![0_usize; n];
    coreset.iter().for_each(|&c| count[c] += 1);
    // Points that must not come in: at infinity.
    let mut barred: Vec<f64> =
        count.iter().map(|c| if unique && *c > 0 { f64::INFINITY } else { 0.0 }).collect();
    // The point that came in last, whose row is added when the next one's is taken away.
    let mut last: Option<usize> = None;
    let (mut came, mut going) = (RowBuffer::default(), RowBuffer::default());
    for pass in 0..passes {
        let mut changed = false;
        for slot in coreset.iter_mut() {
            let old = *slot;
            let added = last.map(|l| k.row(l, &mut came));
            let least = exchange(&mut stat, added, k.row(old, &mut going), &barred, scale);
            let better = if unique { least < stat[old] } else { least <= stat[old] };
            let new = (0..n).find(|&y| better && stat[y] + barred[y] <= least).unwrap_or(old);
            if new != old {
                count[old] -= 1;
                count[new] += 1;
                if unique {
                    barred[new] = f64::INFINITY;
                    barred[old] = if count[old] > 0 { f64::INFINITY } else { 0.0 };
                }
                changed = true;
                *slot = new;
            }
            last = Some(new);
            std::mem::swap(&mut came, &mut going);
        }
        if !changed {
            return pass + 1;
        }
    }
    passes
}

/// stat ← stat + scale · (added − removed); the least entry of stat + barred.
fn exchange(stat: &mut [f64], added: Option<&[f64]>, removed: &[f64], barred: &[f64], scale: f64) -> f64 {
    match added {
        Some(added) => {
            stat.iter_mut().zip(added).zip(removed).for_each(|((v, a), r)| *v += scale * (a - r));
        }
        None => stat.iter_mut().zip(removed).for_each(|(v, r)| *v -= scale * r),
    }
    // Eight running minima side by side.
    let mut least = [f64::INFINITY; 8];
    let (lanes, bars) = (stat.chunks_exact(8), barred.chunks_exact(8));
    let rest = lanes.remainder().iter().zip(bars.remainder()).map(|(v, b)| v + b);
    let rest = rest.fold(f64::INFINITY, f64::min);
    for (values, bars) in lanes.zip(bars) {
        for ((least, v), b) in least.iter_mut().zip(values).zip(bars) {
            let open = v + b;
            *least = if open < *least { open } else { *least };
        }
    }
    least.iter().fold(rest, |a, b| a.min(*b))
}
