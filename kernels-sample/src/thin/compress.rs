//! Compress and Compress++: thinning in near-linear time.

use kernels_core::{Kernel, Points, PositiveDefinite, Rows};

use super::{KernelThinning, halve};
use crate::{
    Error,
    access::{self, Buffers},
    error, parallel,
    random::Uniforms,
};

/// Compress++ of n points to √n: in each of a few bins of consecutive points, coresets of quarters are merged and halved
/// by kernel thinning; a last kernel thinning goes from the bins' 2^g √(n · bins) points to √n.
///
/// About n 4^(g+1) (log₄(n/bins) − g)/2 kernel values instead of n². g = 4 is as good as kernel thinning of all points
/// within noise. n that is not a power of 4 is first thinned, evenly, to the largest one below.
///
/// Halving is kernel thinning with one round, swaps included, and by a fair coin the half or its complement: without the
/// swaps, errors of the many halvings add up to three times as much.
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
    bins: usize,
}

/// Halves a list of indices: `halve(points, path)` gives places in the list.
type Halve<'h> = dyn Fn(&[usize], u64) -> Result<Vec<usize>, Error> + Sync + 'h;

impl<K> Compress<K> {
    /// With g = 4, four bins, δ = ½, seed 0, one pass of swaps at the end.
    pub fn new(kernel: K) -> Self {
        Self { thinning: KernelThinning::new(kernel), oversampling: 4, bins: 4 }
    }

    /// Sets the number of bins of consecutive points, a power of 4.
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = bins;
        self
    }

    /// Sets g: a bin of l points is compressed to 2^g √l.
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
    /// **Errors.** δ outside (0, 1), bins that are no power of 4, no points, points that are not finite or not the kernel's.
    pub fn thin<P>(&self, xs: &P) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        self.check(xs)?;
        let plan = self.plan(xs.len());
        let all = evenly(xs.len());
        if plan.direct() {
            let kept = self.last(&plan).thin(&xs.subset(&all)?, plan.levels)?;
            return Ok(kept.into_iter().map(|i| all[i]).collect());
        }
        let middle = self.bins_compressed(xs, &all, &plan, plan.delta(self.thinning.delta))?;
        if plan.rounds == 0 {
            return Ok(middle);
        }
        let kept = self.last(&plan).thin(&xs.subset(&middle)?, plan.rounds)?;
        Ok(kept.into_iter().map(|i| middle[i]).collect())
    }

    /// The last thinning.
    fn last(&self, plan: &Plan) -> KernelThinning<K>
    where
        K: Clone,
    {
        let delta = self.thinning.delta * if plan.direct() { 1.0 } else { plan.share() };
        // Without rounds it is not run; any δ will do.
        let delta = if delta > 0.0 { delta } else { self.thinning.delta };
        self.thinning.clone().seed(self.thinning.seed ^ LAST).delta(delta)
    }

    fn plan(&self, n: usize) -> Plan {
        let (n, levels) = power_of_four(n);
        let g = self.oversampling.min(levels);
        let bins = self.bins.min(n);
        // From 2^g √(n · bins) points to √n.
        Plan { n, levels, g, bins, rounds: g + bins.ilog2() as usize / 2 }
    }

    /// Compress alone: indices of 2^g √(n′ · bins) points, n′ the largest power of 4 that n holds; bin after bin.
    ///
    /// **Errors.** As [`Compress::thin`].
    pub fn compress<P>(&self, xs: &P) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        self.check(xs)?;
        self.bins_compressed(xs, &evenly(xs.len()), &self.plan(xs.len()), self.thinning.delta)
    }

    fn check<P: Points<Scalar = f64>>(&self, xs: &P) -> Result<(), Error>
    where
        K: Kernel<P>,
    {
        self.check_parameters()?;
        access::check("compression", &self.thinning.kernel, xs, 1)
    }

    fn check_parameters(&self) -> Result<(), Error> {
        error::fraction("delta", self.thinning.delta)?;
        if self.bins == 0 || power_of_four(self.bins).0 != self.bins {
            let (expected, limit) = ("a power of 4", power_of_four(self.bins).0);
            return Err(Error::Count { what: "number of bins", given: self.bins, expected, limit });
        }
        Ok(())
    }

    /// The coresets of all bins; their halvings fail with probability `delta` in all.
    fn bins_compressed<P>(&self, xs: &P, all: &[usize], plan: &Plan, delta: f64) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        let buffers = Buffers::default();
        let halve: &Halve<'_> = &|members, path| {
            self.halve(&xs.subset(members)?, plan.failure(members.len(), delta), path, &buffers)
        };
        let size = plan.n / plan.bins;
        let parts = parallel::map(plan.bins, |b| {
            node(&all[b * size..(b + 1) * size], plan.leaf(), (plan.bins + b) as u64, halve)
        });
        let mut out = Vec::new();
        for part in parts {
            out.extend(part?);
        }
        Ok(out)
    }

    /// Places of the half that is kept of a node's points.
    fn halve<P>(&self, points: &P, delta: f64, path: u64, buffers: &Buffers) -> Result<Vec<usize>, Error>
    where
        P: Points<Scalar = f64>,
        K: Kernel<P>,
    {
        let mut uniforms = Uniforms::new(self.thinning.seed);
        halve::halve(&self.thinning.kernel, points, delta, &mut |place| uniforms.at(path, place), buffers)
    }
}

/// How many points of what are compressed how.
#[derive(Clone, Debug)]
struct Plan {
    /// A power of 4.
    n: usize,
    /// Its logarithm.
    levels: usize,
    g: usize,
    bins: usize,
    /// Of the last thinning.
    rounds: usize,
}

impl Plan {
    /// Whether the last thinning would see all points anyway.
    fn direct(&self) -> bool {
        self.rounds >= self.levels
    }

    /// Points that are not halved any more.
    fn leaf(&self) -> usize {
        1 << (2 * self.g.min(31))
    }

    /// Share of the failure probability that goes to the last thinning.
    fn share(&self) -> f64 {
        let m = self.rounds as f64;
        m / (m + m.exp2() * (self.levels.saturating_sub(self.rounds)) as f64)
    }

    /// What is left for the bins.
    fn delta(&self, delta: f64) -> f64 {
        delta * (1.0 - self.share())
    }

    /// Failure probability of a halving of l points: l² δ/(4^(g+1) (log₄(n/bins) − g) n).
    fn failure(&self, l: usize, delta: f64) -> f64 {
        let depth = ((self.n / self.bins).ilog2() as usize / 2).saturating_sub(self.g).max(1);
        let l = l as f64;
        let parts = (2.0 * (self.g + 1) as f64).exp2() * depth as f64 * self.n as f64;
        (l * l * delta / parts).min(0.999_999)
    }
}

/// Compress++ of points that come piece by piece, n of them in all: the result of [`Compress::thin`], bit for bit, in memory for
/// a few times 2^g √n points.
///
/// ```
/// use kernels_core::{Points, Rbf, Rows};
/// use kernels_sample::Compress;
/// let xs = Rows::from_row_major((0..1500).map(|i| f64::from(i).sin()).collect(), 1500, 1)?;
/// let compress = Compress::new(Rbf::new(0.5)?).oversampling(1).seed(1);
/// let mut stream = compress.stream(1500)?;
/// for piece in xs.as_slice().chunks(100) {
///     stream.push(&Rows::from_row_major(piece.to_vec(), piece.len(), 1)?)?;
/// }
/// let (indices, points) = stream.finish()?;
/// assert_eq!(indices, compress.thin(&xs)?);
/// assert_eq!(points, xs.subset(&indices)?);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Debug)]
pub struct CompressStream<'c, K> {
    compress: &'c Compress<K>,
    plan: Plan,
    total: usize,
    seen: usize,
    taken: usize,
    /// By level t: coresets of 4^t points that wait for their three siblings; points that wait for a leaf come first.
    waiting: Vec<Vec<Part>>,
    done: Part,
    dim: Option<usize>,
    buffers: Buffers,
}

/// Places in the stream and their points.
#[derive(Clone, Debug, Default)]
struct Part {
    places: Vec<usize>,
    values: Vec<f64>,
}

impl Part {
    fn append(&mut self, mut other: Self) {
        self.places.append(&mut other.places);
        self.values.append(&mut other.values);
    }

    fn rows(&self, dim: usize) -> Result<Rows<f64>, Error> {
        Ok(Rows::from_row_major(self.values.clone(), self.places.len(), dim)?)
    }

    fn keep(&self, kept: &[usize], dim: usize) -> Self {
        Self {
            places: kept.iter().map(|&i| self.places[i]).collect(),
            values: kept.iter().flat_map(|&i| &self.values[i * dim..(i + 1) * dim]).copied().collect(),
        }
    }
}

impl<K> Compress<K> {
    /// Begins a compression of n points that come piece by piece.
    ///
    /// **Errors.** As [`Compress::thin`].
    pub fn stream(&self, n: usize) -> Result<CompressStream<'_, K>, Error> {
        self.check_parameters()?;
        error::at_least("compression", 1, n)?;
        let plan = self.plan(n);
        Ok(CompressStream {
            compress: self,
            total: n,
            seen: 0,
            taken: 0,
            waiting: vec![Vec::new(); plan.levels + 1],
            done: Part::default(),
            dim: None,
            buffers: Buffers::default(),
            plan,
        })
    }
}

impl<K: Kernel<Rows<f64>> + PositiveDefinite + Clone> CompressStream<'_, K> {
    /// Takes the next points.
    ///
    /// **Errors.** More points than were promised, points of another dimension, not finite, or not the kernel's.
    pub fn push(&mut self, xs: &Rows<f64>) -> Result<(), Error> {
        let dim = *self.dim.get_or_insert(xs.dim());
        error::expect("number of features of the points", dim, xs.dim())?;
        if xs.is_empty() {
            return Ok(());
        }
        access::check("compression", &self.compress.thinning.kernel, xs, 1)?;
        if self.seen + xs.len() > self.total {
            let (given, expected) = (self.seen + xs.len(), "the number of points promised");
            return Err(Error::Count { what: "number of points", given, expected, limit: self.total });
        }
        for i in 0..xs.len() {
            if self.taken < self.plan.n && self.seen == even_place(self.total, self.plan.n, self.taken) {
                self.taken += 1;
                self.done.places.push(self.seen);
                self.done.values.extend_from_slice(xs.point(i));
                let leaf = self.plan.leaf();
                if !self.plan.direct() && self.taken.is_multiple_of(leaf) {
                    // The last points are a leaf; what stood before them are finished bins.
                    let start = self.done.places.len() - leaf;
                    let places = self.done.places.split_off(start);
                    let values = self.done.values.split_off(start * dim);
                    self.complete(Part { places, values }, self.plan.g, dim)?;
                }
            }
            self.seen += 1;
        }
        Ok(())
    }

    /// The coreset of 4^t points is complete: it waits for its siblings, or is halved with them.
    fn complete(&mut self, part: Part, t: usize, dim: usize) -> Result<(), Error> {
        let top = (self.plan.n / self.plan.bins).ilog2() as usize / 2;
        if t == top {
            self.done.append(part);
            return Ok(());
        }
        self.waiting[t].push(part);
        if self.waiting[t].len() < 4 {
            return Ok(());
        }
        let mut merged = Part::default();
        std::mem::take(&mut self.waiting[t]).into_iter().for_each(|part| merged.append(part));
        // Node of 4^(t+1) points: its number among those of its depth.
        let depth = self.plan.levels - t - 1;
        let number = (self.taken >> (2 * (t + 1))) - 1;
        let path = (1 << (2 * depth)) + number as u64;
        let delta = self.plan.failure(merged.places.len(), self.plan.delta(self.compress.thinning.delta));
        let kept = self.compress.halve(&merged.rows(dim)?, delta, path, &self.buffers)?;
        self.complete(merged.keep(&kept, dim), t + 1, dim)
    }

    /// Indices of the √n′ points, as places in the stream, and the points.
    ///
    /// **Errors.** Fewer points than were promised.
    pub fn finish(self) -> Result<(Vec<usize>, Rows<f64>), Error> {
        if self.seen != self.total {
            let expected = "the number of points promised";
            return Err(Error::Count {
                what: "number of points",
                given: self.seen,
                expected,
                limit: self.total,
            });
        }
        let dim = self.dim.unwrap_or(0);
        let rounds = if self.plan.direct() { self.plan.levels } else { self.plan.rounds };
        let kept = if rounds == 0 {
            self.done
        } else {
            let kept = self.compress.last(&self.plan).thin(&self.done.rows(dim)?, rounds)?;
            self.done.keep(&kept, dim)
        };
        let points = kept.rows(dim)?;
        Ok((kept.places, points))
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
    (0..kept.min(n)).map(|i| even_place(n, kept, i)).collect()
}

/// Place i of `kept` ones among n: the spacing of n − 1 … 0 in equal steps, cut down to integers, in reverse.
fn even_place(n: usize, kept: usize, i: usize) -> usize {
    if kept == n {
        return i;
    }
    if kept > 1 && i == 0 {
        return 0;
    }
    let (last, step) = ((n - 1) as f64, (n - 1) as f64 / (kept.max(2) - 1) as f64);
    (last - (kept - 1 - i) as f64 * step) as usize
}

/// The recursion. Nodes are numbered as in a heap of four children a node, from 1: their streams of coins.
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
            let got = node(&evenly(n), 1 << (2 * g), 1, &|members, _| {
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
