//! Compress and Compress++: thinning in near-linear time.

use kernels_core::{Kernel, Points, PositiveDefinite};

use super::{KernelThinning, split};
use crate::{Error, access, error, parallel, random::Uniforms};

/// Compress++ of n points to √n: coresets of quarters are merged and halved by KT-SPLIT; a last kernel thinning goes
/// from 2^g √n points to √n.
///
/// About n·4^(g+1)·log₄(n)/2 kernel values instead of n². g = 4 is as good as kernel thinning of all points within noise.
/// n that is not a power of 4 is first thinned, evenly, to the largest one below.
///
/// Reference: Shetty, Dwivedi, Mackey, *Distribution compression in near-linear time* (2022).
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_sample::Compress;
/// let xs = Rows::from_row_major((0..1024).map(|i| f64::from(i).sin()).collect(), 1024, 1)?;
/// let coreset = Compress::new(Rbf::new(0.5)?).oversampling(2).seed(1).thin(&xs)?;
/// assert_eq!(coreset.len(), 32);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Compress<K> {
    thinning: KernelThinning<K>,
    oversampling: usize,
}

/// Halves a list of indices: `halve(points, path)` gives places in the list.
type Halve<'h> = dyn Fn(&[usize], u64) -> Result<Vec<usize>, Error> + Sync + 'h;

impl<K> Compress<K> {
    /// With g = 4, δ = ½, seed 0, one pass of swaps at the end.
    pub fn new(kernel: K) -> Self {
        Self { thinning: KernelThinning::new(kernel), oversampling: 4 }
    }

    /// Sets g: the intermediate coreset is 2^g times as large as the result.
    pub fn oversampling(mut self, g: usize) -> Self {
        self.oversampling = g;
        self
    }

    /// Probability δ in (0, 1) that the guarantee may fail, shared among all halvings.
    pub fn delta(mut self, delta: f64) -> Self {
        self.thinning = self.thinning.delta(delta);
        self
    }

    /// Seed of all coins.
    pub fn seed(mut self, seed: u64) -> Self {
        self.thinning = self.thinning.seed(seed);
        self
    }

    /// Passes of swaps of the last thinning.
    pub fn passes(mut self, passes: usize) -> Self {
        self.thinning = self.thinning.passes(passes);
        self
    }

    /// Compress++: indices of √n′ points, n′ the largest power of 4 that n holds.
    ///
    /// **Errors.** δ outside (0, 1), no points, points that are not finite or not the kernel's.
    pub fn thin<P>(&self, xs: &P) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        self.check(xs)?;
        let (n, levels) = power_of_four(xs.len());
        let g = self.oversampling.min(levels);
        let rounds = g;
        let shares = g as f64 + (g as f64).exp2() * (levels - g) as f64;
        let (two_g, delta) = ((g as f64).exp2(), self.thinning.delta);
        // δ_l = l² δ / (4 n 2^g (g + 2^g (log₄ n − g))).
        let unit = delta / (4.0 * n as f64 * two_g * shares.max(1.0));
        let middle = self.compress_with_unit(xs, g, unit)?;
        let points = xs.subset(&middle)?;
        let last = if shares > 0.0 && g > 0 { delta * g as f64 / shares } else { delta };
        let thinning = self.thinning.clone().delta(last.min(0.999_999)).seed(self.thinning.seed ^ LAST);
        Ok(thinning.thin(&points, rounds)?.into_iter().map(|i| middle[i]).collect())
    }

    /// Compress alone: indices of 2^g √n′ points, in increasing order of the quarters they come from.
    ///
    /// **Errors.** As [`Compress::thin`].
    pub fn compress<P>(&self, xs: &P) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        self.check(xs)?;
        let (n, levels) = power_of_four(xs.len());
        let g = self.oversampling.min(levels);
        // δ_l = l² δ / (n 4^(g+1) (log₄ n − g)).
        let parts = n as f64 * (2.0 * (g + 1) as f64).exp2() * (levels - g).max(1) as f64;
        self.compress_with_unit(xs, g, self.thinning.delta / parts)
    }

    fn check<P: Points<Scalar = f64>>(&self, xs: &P) -> Result<(), Error>
    where
        K: Kernel<P>,
    {
        error::fraction("delta", self.thinning.delta)?;
        access::check("compression", &self.thinning.kernel, xs, 1)
    }

    /// Halvings of l points fail with probability l² `unit`.
    fn compress_with_unit<P>(&self, xs: &P, g: usize, unit: f64) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        let kernel = &self.thinning.kernel;
        compress(&evenly(xs.len()), g, &|members, path| {
            let points = xs.subset(members)?;
            let l = members.len() as f64;
            let delta = (l * l * unit).min(0.999_999);
            let mut uniforms = Uniforms::new(self.thinning.seed);
            let mut halves = split::split(
                kernel,
                &points,
                &split::multipliers(members.len(), 1, delta),
                &mut |_, _, pair| uniforms.at(path, pair + 1),
            )?;
            // A fair choice of the half makes halving unbiased.
            Ok(halves.swap_remove(usize::from(uniforms.at(path, 0) < 0.5)))
        })
    }
}

/// Keeps the last thinning's coins apart from the halvings'.
const LAST: u64 = 0x9e37_79b9_7f4a_7c15;

/// The largest power of 4 up to n, and its logarithm.
fn power_of_four(n: usize) -> (usize, usize) {
    let levels = n.max(1).ilog2() as usize / 2;
    (1 << (2 * levels), levels)
}

/// As many of n indices as the largest power of 4, evenly spaced and with the last one, increasing.
fn evenly(n: usize) -> Vec<usize> {
    let (kept, _) = power_of_four(n);
    if n <= 1 || kept == n {
        return (0..n).collect();
    }
    // The spacing of n − 1 … 0 in equal steps, cut down to integers.
    let (last, step) = ((n - 1) as f64, (n - 1) as f64 / (kept.max(2) - 1) as f64);
    (0..kept).rev().map(|i| if i + 1 == kept && kept > 1 { 0 } else { (last - i as f64 * step) as usize }).collect()
}

/// The recursion. Nodes are numbered as in a heap of four children a node, from 1: their streams of coins.
fn compress(members: &[usize], g: usize, halve: &Halve<'_>) -> Result<Vec<usize>, Error> {
    fn node(members: &[usize], leaf: usize, path: u64, halve: &Halve<'_>) -> Result<Vec<usize>, Error> {
        if members.len() <= leaf {
            return Ok(members.to_vec());
        }
        let quarter = members.len() / 4;
        let child = |i: usize| node(&members[i * quarter..(i + 1) * quarter], leaf, 4 * path + i as u64, halve);
        let mut merged = Vec::with_capacity(4 * quarter);
        for part in parallel::map(4, child) {
            merged.extend(part?);
        }
        Ok(halve(&merged, path)?.into_iter().map(|i| merged[i]).collect())
    }
    node(members, 1 << (2 * g.min(31)), 1, halve)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recursion and its bookkeeping against goodpoints with halvings that only look at places.
    #[test]
    fn structure() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/reference/compress_structure.json")).unwrap();
        let list = |v: &serde_json::Value| -> Vec<usize> {
            v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
        };
        for case in file["cases"].as_array().unwrap() {
            let (n, g) = (case["n"].as_u64().unwrap() as usize, case["g"].as_u64().unwrap() as usize);
            let rule = case["halve"].as_str().unwrap().to_owned();
            let got = compress(&evenly(n), g, &|members, _| {
                let m = members.len();
                Ok(match rule.as_str() {
                    "keep_odd_positions" => (0..m).filter(|i| i % 2 == 1).collect(),
                    "keep_even_positions" => (0..m).filter(|i| i % 2 == 0).collect(),
                    "keep_first_half" => (0..m / 2).collect(),
                    "keep_last_half" => (m / 2..m).collect(),
                    other => panic!("{other}"),
                })
            })
            .unwrap();
            assert_eq!(got, list(&case["compress"]), "n = {n}, g = {g}, {rule}");
        }
    }
}
