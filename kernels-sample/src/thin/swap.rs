//! KT-SWAP: the best candidate coreset, refined point by point.

use kernels_core::{Kernel, Points, Simd, Vector, Work};

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

/// Largest number of points whose Gram matrix is kept while points are swapped: 128 MB.
pub(super) const STORED: usize = 4096;

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
            let exchange =
                Exchange { stat: &mut stat, added, removed: k.row(old, &mut going), barred: &barred, scale };
            let (first, least) = f64::dispatch(exchange);
            let better = if unique { least < stat[old] } else { least <= stat[old] };
            let new = if better { first } else { old };
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

/// stat ← stat + scale · (added − removed); the first of the least entries of stat + barred, and its value.
struct Exchange<'a> {
    stat: &'a mut [f64],
    added: Option<&'a [f64]>,
    removed: &'a [f64],
    barred: &'a [f64],
    scale: f64,
}

/// Entries whose least one is looked for at once.
const STRIP: usize = 128;

impl Work<f64> for Exchange<'_> {
    type Output = (usize, f64);

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> (usize, f64) {
        let Self { stat, added, removed, barred, scale } = self;
        let factor = V::splat(scale);
        let (mut least, mut strip) = (f64::INFINITY, 0);
        for (s, stat) in stat.chunks_mut(STRIP).enumerate() {
            let start = s * STRIP;
            let end = start + stat.len();
            let (removed, barred) = (&removed[start..end], &barred[start..end]);
            let added = added.map(|a| &a[start..end]);
            let whole = stat.len() / V::LANES * V::LANES;
            let mut lowest = V::splat(f64::INFINITY);
            for k in (0..whole).step_by(V::LANES) {
                let (v, r) = (V::load(&stat[k..]), V::load(&removed[k..]));
                let v = match added {
                    Some(added) => v + factor * (V::load(&added[k..]) - r),
                    None => v - factor * r,
                };
                v.store(&mut stat[k..]);
                lowest = (v + V::load(&barred[k..])).min(lowest);
            }
            let mut lanes = [f64::INFINITY; 8];
            lowest.store(&mut lanes);
            for k in whole..stat.len() {
                match added {
                    Some(added) => stat[k] += scale * (added[k] - removed[k]),
                    None => stat[k] -= scale * removed[k],
                }
                lanes[0] = (stat[k] + barred[k]).min(lanes[0]);
            }
            let lowest = lanes.iter().copied().fold(f64::INFINITY, f64::min);
            if lowest < least {
                (least, strip) = (lowest, start);
            }
        }
        let open = stat[strip..].iter().zip(&barred[strip..]).map(|(v, b)| v + b);
        (strip + open.into_iter().position(|v| v <= least).unwrap_or(0), least)
    }
}
