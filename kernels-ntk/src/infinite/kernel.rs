//! The kernel of a network, on vectors and on images.

use std::{fmt, ops::Range, sync::Arc};

use kernels_core::{
    Block, Definiteness, Describe, Expr, Kernel, Linear, Param, Points, PositiveDefinite, Real, Rows, Tile,
    Value, Workspace, kernel_ops,
};
use nalgebra::DMatrixView;

use super::{
    cache::SeriesCache,
    layers::{At, Own, Strip},
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
pub(super) const STRIP: usize = 4096;

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

    fn own(&self, q: Vec<f64>, dim: usize) -> (Own, Vec<super::layers::Record>) {
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
        strip.chain(self.net.layers(), &mut records.iter(), At { column: 1 });
        T::of(self.pick(strip.q[0], strip.tangent[0]))
    }

    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        let (rows, cols) = at.shape();
        if rows == 0 || cols == 0 {
            return;
        }
        if let Ok(linear) = Linear::new(0.0) {
            Kernel::<Rows<T>>::block(&linear, at, out.as_view_mut(), ws);
        }
        let points: Vec<&[T]> =
            at.rows().map(|i| at.xs().point(i)).chain(at.cols().map(|j| at.ys().point(j))).collect();
        let finite: Vec<bool> = points.iter().map(|x| x.iter().all(|v| v.to_f64().is_finite())).collect();
        let zeros = vec![T::default(); at.xs().dim()];
        let clean: Vec<&[T]> =
            points.iter().zip(&finite).map(|(x, ok)| if *ok { *x } else { zeros.as_slice() }).collect();
        let variances: Vec<f64> = clean.iter().map(|x| input_variance(x)).collect();
        let roots: Vec<f64> = variances.iter().map(|q| q.sqrt()).collect();
        let (own, records) = self.own(variances, at.xs().dim());
        let width = (STRIP / rows).clamp(1, cols);
        let inverse = 1.0 / at.xs().dim().max(1) as f64;
        let bad: Vec<usize> = (0..rows).filter(|&i| !finite[i]).collect();
        let mut start = 0;
        while start < cols {
            let count = width.min(cols - start);
            let mut strip = Strip::new(rows, count);
            for j in 0..count {
                let k = rows + start + j;
                let part = j * rows..(j + 1) * rows;
                let q = &mut strip.q[part.clone()];
                if finite[k] {
                    let products = out.column(start + j);
                    q.iter_mut().zip(products.iter()).for_each(|(q, v)| *q = v.to_f64() * inverse);
                    bad.iter().for_each(|&i| q[i] = 0.0);
                }
                let near = |i: usize| near(clean[i], clean[k], roots[i], roots[k]);
                strip.start(part, &roots[..rows], roots[k], near);
            }
            strip.chain(self.net.layers(), &mut records.iter(), At { column: rows + start });
            let values = match self.limit {
                Limit::Nngp => &strip.q,
                Limit::Ntk => &strip.tangent,
            };
            for j in 0..count {
                let mut column = out.column_mut(start + j);
                if finite[rows + start + j] {
                    let values = &values[j * rows..(j + 1) * rows];
                    column.iter_mut().zip(values).for_each(|(to, v)| *to = T::of(*v));
                    bad.iter().for_each(|&i| column[i] = T::of(f64::NAN));
                } else {
                    column.fill(T::of(f64::NAN));
                }
            }
            start += count;
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
