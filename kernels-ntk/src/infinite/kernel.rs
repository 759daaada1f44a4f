//! The kernel of a network, on vectors and on images.

use std::{fmt, ops::Range, sync::Arc};

use kernels_core::{
    Block, Definiteness, Describe, Expr, Kernel, Linear, Param, Points, PositiveDefinite, Real, Rows, Tile,
    Value, Workspace, kernel_ops,
};
use nalgebra::DMatrixView;

use super::{
    apart::Plan,
    cache::SeriesCache,
    layers::{At, Own, Record, Strip},
    params,
};
use crate::Net;

/// Which limit of a wide network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Covariance of its outputs at initialisation.
    Nngp,
    /// Tangent kernel ⟨∂f(x)/∂θ, ∂f(y)/∂θ⟩, which training by gradient descent follows.
    Ntk,
}

/// The NNGP or tangent kernel of an infinitely wide network.
///
/// On [`Rows`] the input covariance is ⟨x, y⟩/d. A block costs one product of matrices and then, for each pair, some tens of
/// operations a layer. Pairs that are nearly parallel or nearly opposite are taken from their coordinates, and the gap
/// √(q₁₁q₂₂) − q₁₂ is carried through the layers beside the covariance: values and their decay stay accurate to rounding
/// however close two points are. On [`Images`](crate::Images) see there.
///
/// ```
/// use kernels_core::{Rows, gram};
/// use kernels_ntk::{Limit, Net, NetworkKernel};
/// let net: Net = "dense(w_std=1.4142135623730951) > relu > dense(w_std=1.4142135623730951)".parse()?;
/// let xs = Rows::from_row_major(vec![1.0, 0.0, 0.0, 1.0], 2, 2)?;
/// let k = gram(&NetworkKernel::new(net, Limit::Ntk), &xs)?;
/// // The diagonal is (depth + 1) 2‖x‖²/d; orthogonal inputs have 1/π of it at depth 1.
/// let (own, other): (f64, f64) = (k[(0, 0)], k[(0, 1)]);
/// assert!((own - 2.0).abs() < 1e-15 && (other - 1.0 / std::f64::consts::PI).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Reference: Jacot, Gabriel & Hongler, *Neural tangent kernel* (2018); Lee et al., *Deep neural networks as Gaussian processes*
/// (2018); Novak et al., *Neural tangents* (2020).
#[derive(Clone)]
pub struct NetworkKernel {
    net: Arc<Net>,
    limit: Limit,
    cache: SeriesCache,
}

impl PartialEq for NetworkKernel {
    fn eq(&self, other: &Self) -> bool {
        (&self.net, self.limit) == (&other.net, other.limit)
    }
}

/// Pairs in a strip: its arrays stay in the second-level cache.
pub(super) const STRIP: usize = 2048;

/// Below this share of √(q₁₁q₂₂) a gap is formed from coordinates.
const NEAR: f64 = 1e-2;

impl NetworkKernel {
    /// The kernel of a network.
    pub fn new(net: Net, limit: Limit) -> Self {
        Self { net: Arc::new(net), limit, cache: SeriesCache::default() }
    }

    /// The NNGP kernel.
    pub fn nngp(net: Net) -> Self {
        Self::new(net, Limit::Nngp)
    }

    /// The tangent kernel.
    pub fn ntk(net: Net) -> Self {
        Self::new(net, Limit::Ntk)
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The limit.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    pub(super) fn cache(&self) -> &SeriesCache {
        &self.cache
    }

    fn own(&self, q: Vec<f64>, dim: usize) -> (Own, Vec<Record>) {
        let mut own = Own::new(q, dim.max(1));
        let mut records = Vec::new();
        own.chain(self.net.layers(), &mut records, &self.cache);
        (own, records)
    }

    pub(super) fn pick(&self, q: f64, tangent: f64) -> f64 {
        match self.limit {
            Limit::Nngp => q,
            Limit::Ntk => tangent,
        }
    }
}

pub(super) fn input_variance<T: Real>(x: &[T]) -> f64 {
    // Sums side by side: one sum alone would wait for each addition.
    let (groups, rest) = x.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for group in groups {
        for (sum, v) in sums.iter_mut().zip(group) {
            *sum += v.to_f64() * v.to_f64();
        }
    }
    let norm = rest.iter().fold(sums.iter().sum::<f64>(), |sum, v| sum + v.to_f64() * v.to_f64());
    norm / x.len().max(1) as f64
}

/// Covariance of a pair from its coordinates: the gap that is small without cancellation, and the difference of variances.
struct Near {
    q: f64,
    gap: f64,
    cogap: f64,
    difference: f64,
}

/// With s = x + y and e = x − y, ‖x‖²‖y‖² − ⟨x,y⟩² = ¼ ‖s‖² ‖e⊥‖², e⊥ the part of e orthogonal to s, and the roles of s and e may
/// be swapped.
fn near<T: Real>(x: &[T], y: &[T], a: f64, b: f64) -> Near {
    let dim = x.len().max(1) as f64;
    let (mut ss, mut ee, mut es, mut xy) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x.to_f64(), y.to_f64());
        let (s, e) = (x + y, x - y);
        ss += s * s;
        ee += e * e;
        es += e * s;
        xy += x * y;
    }
    let (product, q) = (a * b, xy / dim);
    let parallel = q >= 0.0;
    let (long, short) = if parallel { (ss, ee) } else { (ee, ss) };
    let mut rest = 0.0;
    // On a line all points are parallel.
    if long > 0.0 && short > 0.0 && x.len() > 1 {
        let along = es / long;
        for (x, y) in x.iter().zip(y) {
            let (x, y) = (x.to_f64(), y.to_f64());
            let (s, e) = (x + y, x - y);
            let across = if parallel { e - along * s } else { s - along * e };
            rest += across * across;
        }
    }
    // The larger gap is known to rounding; the smaller one follows from the determinant.
    let large = product + q.abs();
    let small = if large > 0.0 { long / dim / large * (rest / dim) / 4.0 } else { 0.0 };
    let q = if parallel { product - small } else { small - product };
    let (gap, cogap) = if parallel { (small, 2.0 * product - small) } else { (2.0 * product - small, small) };
    Near { q, gap, cogap, difference: es / dim }
}

impl<T: Real> Kernel<Rows<T>> for NetworkKernel {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        if x.iter().chain(y).any(|v| !v.to_f64().is_finite()) {
            return T::of(f64::NAN);
        }
        let variances = [input_variance(x), input_variance(y)];
        let (_, records) = self.own(variances.to_vec(), x.len());
        let mut strip = Strip::new(1, 1);
        let (a, b) = (variances[0].sqrt(), variances[1].sqrt());
        let xy = x.iter().zip(y).fold(0.0_f64, |sum, (x, y)| sum + x.to_f64() * y.to_f64());
        strip.q[0] = xy / x.len().max(1) as f64;
        strip.start(0..1, &[a], b, |_| near(x, y, a, b));
        strip.chain(self.net.layers(), &mut records.iter(), At { row: 0, column: 1 });
        T::of(self.pick(strip.q[0], strip.tangent[0]))
    }

    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        let (rows, cols) = at.shape();
        if rows == 0 || cols == 0 {
            return;
        }
        let mirrored = at.is_within() && at.rows() == at.cols();
        products(at, mirrored, out.as_view_mut(), ws);
        let points: Vec<&[T]> =
            at.rows().map(|i| at.xs().point(i)).chain(at.cols().map(|j| at.ys().point(j))).collect();
        let finite: Vec<bool> = points.iter().map(|x| x.iter().all(|v| v.to_f64().is_finite())).collect();
        let zeros = vec![T::default(); at.xs().dim()];
        let clean: Vec<&[T]> =
            points.iter().zip(&finite).map(|(x, ok)| if *ok { *x } else { zeros.as_slice() }).collect();
        let variances: Vec<f64> = clean.iter().map(|x| input_variance(x)).collect();
        let roots = variances.iter().map(|q| q.sqrt()).collect();
        let (own, records) = self.own(variances, at.xs().dim());
        let pairs = Between::new(self, clean, &records, roots);
        let width = (STRIP / rows).clamp(1, cols);
        let inverse = 1.0 / at.xs().dim().max(1) as f64;
        let bad: Vec<usize> = (0..rows).filter(|&i| !finite[i]).collect();
        let dots: DMatrixView<'_, T> = out.as_view();
        let strips = kernels_core::parallel::pieces(cols, width, |part| {
            // Of a symmetric block what is below the diagonal is enough.
            let first = if mirrored { part.start } else { 0 };
            let mut q = Vec::with_capacity((rows - first) * part.len());
            for j in part.clone() {
                let column = dots.column(j);
                let start = q.len();
                if finite[rows + j] {
                    q.extend(column.iter().skip(first).map(|v| v.to_f64() * inverse));
                    bad.iter().filter(|i| **i >= first).for_each(|&i| q[start + i - first] = 0.0);
                } else {
                    q.resize(start + rows - first, 0.0);
                }
            }
            pairs.values(first..rows, rows + part.start, q, mirrored)
        });
        for (strip, values) in strips.iter().enumerate() {
            let start = strip * width;
            let first = if mirrored { start } else { 0 };
            for (j, values) in values.chunks_exact(rows - first).enumerate() {
                let j = start + j;
                if finite[rows + j] {
                    let mut to = out.column_mut(j);
                    to.iter_mut().skip(first).zip(values).for_each(|(to, v)| *to = T::of(*v));
                    bad.iter().for_each(|&i| out[(i, j)] = T::of(f64::NAN));
                } else {
                    out.column_mut(j).fill(T::of(f64::NAN));
                }
            }
        }
        if mirrored {
            for j in 0..cols {
                for i in j + 1..rows {
                    out[(j, i)] = out[(i, j)];
                }
            }
        }
        for (i, j) in at.diagonal_entries() {
            if finite[i] {
                out[(i, j)] = T::of(self.pick(own.q[i], own.tangent[i]));
            }
        }
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        let points: Vec<&[T]> = rows.map(|i| xs.point(i)).collect();
        let variances = points.iter().map(|x| input_variance(x)).collect();
        let (own, _) = self.own(variances, xs.dim());
        for ((out, x), (q, t)) in out.iter_mut().zip(&points).zip(own.q.iter().zip(&own.tangent)) {
            let finite = x.iter().all(|v| v.to_f64().is_finite());
            *out = T::of(if finite { self.pick(*q, *t) } else { f64::NAN });
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        self.rows_gradient(at, weights, gradient, ws);
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), kernels_core::Error> {
        let _ = xs;
        if self.net.is_spatial() {
            return Err(kernels_core::Error::Parameter {
                name: "net".to_owned(),
                value: f64::NAN,
                expected: "a network of dense layers and activations; convolutions and pooling need images",
            });
        }
        Ok(())
    }
}

/// Inner products of a block, into `out`; of a symmetric block those below the diagonal, and some above.
fn products<T: Real>(at: &Block<'_, Rows<T>>, mirrored: bool, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
    /// Columns at a time.
    const PANEL: usize = 128;
    let Ok(linear) = Linear::new(0.0) else { return };
    let (rows, cols) = at.shape();
    if !mirrored || cols <= PANEL {
        return Kernel::<Rows<T>>::block(&linear, at, out, ws);
    }
    for start in (0..cols).step_by(PANEL) {
        let width = PANEL.min(cols - start);
        let (all, from) = (at.rows(), at.cols().start + start);
        let Ok(part) = Block::within(at.xs(), all.start + start..all.end, from..from + width) else { return };
        Kernel::<Rows<T>>::block(&linear, &part, out.view_mut((start, start), (rows - start, width)), ws);
    }
}

/// What pairs of points need: the points, their deviations at the input, and what layers did to their variances.
struct Between<'a, T> {
    kernel: &'a NetworkKernel,
    points: Vec<&'a [T]>,
    records: &'a [Record],
    roots: Vec<f64>,
    inverses: Vec<f64>,
    plan: Option<Plan<'a>>,
}

impl<'a, T: Real> Between<'a, T> {
    fn new(kernel: &'a NetworkKernel, points: Vec<&'a [T]>, records: &'a [Record], roots: Vec<f64>) -> Self {
        let inverses = roots.iter().map(|r| if *r > 0.0 { 1.0 / r } else { 0.0 }).collect();
        let plan = Plan::new(kernel.net.layers(), records, kernel.limit == Limit::Ntk);
        Self { kernel, points, records, roots, inverses, plan }
    }

    /// The kernel of some rows with columns that begin at `column`, from input covariances. Of a symmetric block the pairs of equal
    /// places are left as they come.
    fn values(&self, rows: Range<usize>, column: usize, mut q: Vec<f64>, mirrored: bool) -> Vec<f64> {
        let Some(plan) = &self.plan else { return self.with_gaps(rows, column, q) };
        let given = q.clone();
        let n = rows.len();
        let near = plan.run(&self.inverses, rows.clone(), column, &mut q);
        // In a symmetric block the columns begin at the place of the first row.
        let near: Vec<usize> = near.into_iter().filter(|e| !(mirrored && e % n <= e / n)).collect();
        // Runs of pairs that are near, with a few others between them, of one column each.
        let together = |a: &usize, b: &usize| b - a < 16 && a / n == b / n;
        for run in near.chunk_by(together) {
            let (start, end) = (run[0], run[run.len() - 1] + 1);
            let (j, i) = (start / n, start % n);
            let part = rows.start + i..rows.start + i + end - start;
            let values = self.with_gaps(part, column + j, given[start..end].to_vec());
            run.iter().for_each(|&e| q[e] = values[e - start]);
        }
        q
    }

    /// The same with gaps to being parallel that are carried along.
    fn with_gaps(&self, rows: Range<usize>, column: usize, q: Vec<f64>) -> Vec<f64> {
        let n = rows.len();
        let tangent = vec![0.0; q.len()];
        let columns = q.len().checked_div(n).unwrap_or(0);
        let mut strip = Strip::of(n, q, tangent);
        for j in 0..columns {
            let (k, roots) = (column + j, &self.roots);
            let near = |i: usize| {
                let i = rows.start + i;
                near(self.points[i], self.points[k], roots[i], roots[k])
            };
            strip.start(j * n..(j + 1) * n, &roots[rows.clone()], roots[k], near);
        }
        let at = At { row: rows.start, column };
        strip.chain(self.kernel.net.layers(), &mut self.records.iter(), at);
        match self.kernel.limit {
            Limit::Nngp => strip.q,
            Limit::Ntk => strip.tangent,
        }
    }
}

impl Strip {
    /// The input covariances of a column: from the product of matrices, or from coordinates when a gap is small.
    fn start(&mut self, part: Range<usize>, roots: &[f64], root: f64, near: impl Fn(usize) -> Near) {
        let n = part.len();
        let (q, gap) = (&mut self.q[part.clone()], &mut self.gap[part.clone()]);
        let (cogap, difference) = (&mut self.cogap[part.clone()], &mut self.difference[part]);
        let mut any = false;
        for i in 0..n {
            let product = roots[i] * root;
            (gap[i], cogap[i]) = (product - q[i], product + q[i]);
            difference[i] = (roots[i] - root) * (roots[i] + root);
            any |= gap[i].min(cogap[i]) < NEAR * product;
        }
        if !any {
            return;
        }
        for i in 0..n {
            if gap[i].min(cogap[i]) < NEAR * (roots[i] * root) {
                let pair = near(i);
                (q[i], gap[i], cogap[i]) = (pair.q, pair.gap, pair.cogap);
                difference[i] = pair.difference;
            }
        }
    }
}

/// Parameters are `w_std` and, where a layer has biases, `b_std`, by the layer's place: `net[0].w_std`, and in branches
/// `net[2][0][1].w_std`. What is 0 is fixed.
impl Describe for NetworkKernel {
    fn params(&self) -> Vec<Param> {
        params::params(self.net.layers())
    }

    fn set_params(&mut self, values: &[f64]) -> Result<(), kernels_core::Error> {
        params::set_params(Arc::make_mut(&mut self.net).layers_mut(), values)
    }

    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }

    fn expression(&self) -> Option<Expr> {
        let text = self.net.to_string();
        if text.contains("custom") {
            return None;
        }
        let name = match self.limit {
            Limit::Nngp => "nngp",
            Limit::Ntk => "ntk",
        };
        Some(Expr::call(name, [("net", Value::Text(text))]))
    }
}

impl PositiveDefinite for NetworkKernel {}
kernel_ops! { impl[] NetworkKernel; }

impl fmt::Debug for NetworkKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkKernel({:?} of {})", self.limit, self.net)
    }
}
