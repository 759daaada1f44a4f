//! Halving four points optimally.

use kernels_core::{Kernel, Points};

use crate::{Error, access, error};

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
