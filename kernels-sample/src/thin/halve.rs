//! Halving: of four points optimally, of many by kernel thinning.

use kernels_core::{Kernel, Points, Simd, Vector, Work};
use nalgebra::DMatrix;

use super::{split, swap};
use crate::{
    Error,
    access::{self, Buffers, GramRows},
    error,
};

/// The half of four points whose MMD to its complement is smallest: indices of two points.
///
/// Of the three ways to pair four points, the pair kept together is the one with the smallest sum of kernel values
/// within its two halves; `uniform` in [0, 1) below ½ returns the half that holds point 0, else the other.
///
/// **Errors.** Not four points, points that are not finite or not the kernel's.
pub fn optimal_four_point_half<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    uniform: f64,
) -> Result<[usize; 2], Error> {
    error::expect("points of an optimal halving", 4, xs.len())?;
    access::check("an optimal halving", kernel, xs, 4)?;
    let k = |i: usize, j: usize| kernel.eval(xs.point(i), xs.point(j));
    let (outer, next, skip) = (k(1, 2) + k(0, 3), k(0, 1) + k(2, 3), k(0, 2) + k(1, 3));
    let (with, without) = if outer < next && outer < skip {
        ([0, 3], [1, 2])
    } else if next < skip && next <= outer {
        ([0, 1], [2, 3])
    } else {
        ([0, 2], [1, 3])
    };
    Ok(if uniform < 0.5 { with } else { without })
}

/// A half of an even number of points by kernel thinning with one round, and by a fair coin it or its complement: so
/// that every point is kept with probability ½. Increasing places. `coin(0)` is that coin, `coin(1 + i)` pair i's.
pub(super) fn halve<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    delta: f64,
    coin: &mut dyn FnMut(usize) -> f64,
    buffers: &Buffers,
) -> Result<Vec<usize>, Error> {
    let n = xs.len();
    if n == 4 {
        return Ok(optimal_four_point_half(kernel, xs, coin(0))?.to_vec());
    }
    let k = if n <= swap::STORED {
        GramRows::in_buffer(kernel, xs, buffers)?
    } else {
        GramRows::new(kernel, xs, 0)?
    };
    let diagonal = kernels_core::diagonal(kernel, xs)?;
    let multipliers = split::multipliers(n, 1, delta);
    let mut half = match k.stored() {
        Some(k) => split_stored(k, multipliers[0], coin),
        None => split::split(kernel, xs, &multipliers, &mut |_, _, pair| coin(pair + 1))?.swap_remove(0),
    };
    let sums = Sums::new(&k, n, &half)?;
    let standard = sums.standard_is_better(&half);
    if standard {
        half = swap::standard(n, n / 2);
    }
    swap::refine(&k, &diagonal, Some(&sums.means), &sums.over(standard), &mut half, true, 1);
    k.recycle(buffers);
    let mut kept = vec![false; n];
    half.iter().for_each(|&i| kept[i] = true);
    let keep = coin(0) < 0.5;
    Ok((0..n).filter(|&i| kept[i] == keep).collect())
}

/// KT-SPLIT with one round on a Gram matrix in memory.
fn split_stored(k: &DMatrix<f64>, multiplier: f64, coin: &mut dyn FnMut(usize) -> f64) -> Vec<usize> {
    let n = k.nrows();
    let mut scale = split::Scale::default();
    // +1 for points gone right, −1 for those gone left.
    let mut side = vec![0.0; n];
    let mut left = Vec::with_capacity(n / 2);
    for p0 in (0..n / 2).map(|i| 2 * i) {
        let p1 = p0 + 1;
        let column = |p: usize| &k.as_slice()[p * n..p * n + p0];
        let b2 = (k[(p0, p0)] - 2.0 * k[(p1, p0)] + k[(p1, p1)]).max(0.0);
        let (number, a) = scale.threshold(b2, multiplier);
        let alpha = f64::dispatch(Difference { weights: &side[..p0], a: column(p0), b: column(p1) });
        let swapped = coin(number + 1) <= 0.5 * (1.0 - alpha / a);
        let (l, r) = if swapped { (p1, p0) } else { (p0, p1) };
        left.push(l);
        (side[l], side[r]) = (-1.0, 1.0);
    }
    left
}

/// Σ w (a − b).
struct Difference<'a> {
    weights: &'a [f64],
    a: &'a [f64],
    b: &'a [f64],
}

impl Work<f64> for Difference<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) -> f64 {
        const TOGETHER: usize = 32;
        let Self { weights, a, b } = self;
        let whole = weights.len() / TOGETHER * TOGETHER;
        let mut sums = [V::splat(0.0); 4];
        for start in (0..whole).step_by(TOGETHER) {
            for (part, k) in (start..start + TOGETHER).step_by(V::LANES).enumerate() {
                let difference = V::load(&a[k..]) - V::load(&b[k..]);
                sums[part % 4] = V::load(&weights[k..]).mul_add(difference, sums[part % 4]);
            }
        }
        let mut lanes = [0.0; 8];
        ((sums[0] + sums[1]) + (sums[2] + sums[3])).store(&mut lanes);
        let rest = (whole..weights.len()).map(|k| weights[k] * (a[k] - b[k]));
        lanes.iter().sum::<f64>() + rest.sum::<f64>()
    }
}

/// Sums of the rows of K over four groups of points: those in the half or not, at even or odd places.
struct Sums {
    groups: DMatrix<f64>,
    means: Vec<f64>,
}

impl Sums {
    fn new<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
        k: &GramRows<'_, P, K>,
        n: usize,
        half: &[usize],
    ) -> Result<Self, Error> {
        let mut group: Vec<usize> = (0..n).map(|i| i % 2).collect();
        half.iter().for_each(|&i| group[i] += 2);
        let groups = match k.stored() {
            Some(k) => {
                // Each column goes to one sum; a product would multiply with zeros.
                let mut sums = DMatrix::zeros(n, 4);
                for (i, &g) in group.iter().enumerate() {
                    let to = &mut sums.as_mut_slice()[g * n..(g + 1) * n];
                    to.iter_mut().zip(&k.as_slice()[i * n..(i + 1) * n]).for_each(|(s, k)| *s += k);
                }
                sums
            }
            None => k.times(&DMatrix::from_fn(n, 4, |i, g| f64::from(u8::from(group[i] == g))))?,
        };
        let means = groups.row_iter().map(|row| row.sum() / n as f64).collect();
        Ok(Self { groups, means })
    }

    /// Over the half, or over the points at odd places.
    fn over(&self, standard: bool) -> Vec<f64> {
        let (a, b) = if standard { (1, 3) } else { (2, 3) };
        self.groups.column(a).iter().zip(self.groups.column(b).iter()).map(|(a, b)| a + b).collect()
    }

    /// Whether every other point, counted from the last, makes a better half, by mean within minus twice the mean to all.
    fn standard_is_better(&self, half: &[usize]) -> bool {
        let n = self.means.len();
        let s = (n / 2) as f64;
        let value = |sums: &[f64], points: &mut dyn Iterator<Item = usize>| -> f64 {
            points.map(|y| sums[y] / (s * s) - 2.0 * self.means[y] / s).sum()
        };
        let ours = value(&self.over(false), &mut half.iter().copied());
        ours >= value(&self.over(true), &mut (0..n / 2).map(|i| 2 * i + 1))
    }
}
