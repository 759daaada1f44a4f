//! From conditionally positive definite to positive definite.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixView};

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points, PositiveDefinite,
    PowerDistance, Real, Rows, Tile, Value, Workspace, kernel_ops,
};

/// The polynomials of degree below an order in d variables, as products of powers of coordinates shifted and scaled to \[−1, 1\].
///
/// ```
/// use kernels_core::{Polynomials, Rows};
/// let xs = Rows::from_row_major(vec![0.0, 0.0, 4.0, 2.0], 2, 2)?;
/// let linear = Polynomials::new(2, &xs);
/// assert_eq!(linear.count(), 3);
/// assert_eq!(linear.row(&[4.0, 0.0]), vec![1.0, 1.0, -1.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Polynomials {
    /// One row of powers a polynomial, by rising degree.
    powers: Vec<Vec<u32>>,
    middle: Vec<f64>,
    scale: Vec<f64>,
}

impl Polynomials {
    /// Polynomials of degree below `order` (none for order 0), scaled to the box around some points.
    pub fn new(order: usize, points: &Rows<f64>) -> Self {
        let dim = points.dim();
        let mut powers: Vec<Vec<u32>> = Vec::new();
        if order > 0 {
            powers.push(vec![0; dim]);
        }
        let mut layer = 0;
        for _ in 1..order {
            // Each of the last degree times each variable from its own last one on.
            let next: Vec<Vec<u32>> = powers[layer..]
                .iter()
                .flat_map(|p| {
                    let last = p.iter().rposition(|&e| e > 0).unwrap_or(0);
                    (last..dim).map(|k| {
                        let mut q = p.clone();
                        q[k] += 1;
                        q
                    })
                })
                .collect();
            layer = powers.len();
            powers.extend(next);
        }
        let column = |k: usize| (0..points.len()).map(move |i| points.point(i)[k]);
        let mut middle = Vec::with_capacity(dim);
        let mut scale = Vec::with_capacity(dim);
        for k in 0..dim {
            let low = column(k).fold(f64::INFINITY, f64::min);
            let high = column(k).fold(f64::NEG_INFINITY, f64::max);
            let half = 0.5 * high - 0.5 * low;
            let finite = half.is_finite() && half > 0.0;
            middle.push(if low.is_finite() && high.is_finite() { 0.5 * low + 0.5 * high } else { 0.0 });
            scale.push(if finite { half } else { 1.0 });
        }
        Self { powers, middle, scale }
    }

    /// How many there are: (m−1+d choose d) for order m.
    pub fn count(&self) -> usize {
        self.powers.len()
    }

    /// Their values at a point.
    pub fn row(&self, x: &[f64]) -> Vec<f64> {
        let u: Vec<f64> =
            x.iter().zip(&self.middle).zip(&self.scale).map(|((x, m), s)| (x - m) / s).collect();
        let value = |p: &Vec<u32>| p.iter().zip(&u).map(|(&e, u)| u.powi(e.cast_signed())).product();
        self.powers.iter().map(value).collect()
    }

    /// Their values at points: n rows, [`Polynomials::count`] columns.
    pub fn matrix(&self, xs: &Rows<f64>) -> DMatrix<f64> {
        let rows: Vec<Vec<f64>> = (0..xs.len()).map(|i| self.row(xs.point(i))).collect();
        DMatrix::from_fn(xs.len(), self.count(), |i, j| rows[i][j])
    }
}

/// A conditionally positive definite kernel of order m made positive definite by anchoring it at points p₁, …, p_N on which polynomials of
/// degree below m are unique, with Lagrange polynomials lᵢ of these points:
/// k(x, y) − Σ lᵢ(x) k(pᵢ, y) − Σ lⱼ(y) k(x, pⱼ) + ΣΣ lᵢ(x) lⱼ(y) k(pᵢ, pⱼ).
///
/// It is 0 at the anchors. For order 1 there is one anchor: k(x, y) − k(x, p) − k(p, y) + k(p, p).
///
/// Reference: Wendland, *Scattered Data Approximation* (2004), theorem 10.20.
///
/// ```
/// use kernels_core::{Anchored, Kernel, PowerDistance, Rows};
/// let origin = Rows::from_row_major(vec![0.0], 1, 1)?;
/// let brownian = Anchored::new(PowerDistance::new(1.0)?, &origin)?;
/// // |x| + |y| − |x − y| = 2 min(x, y)
/// assert_eq!(brownian.eval(&[2.0], &[3.0]), 4.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Anchored<K> {
    kernel: K,
    anchors: Rows<f64>,
    polynomials: Polynomials,
    /// Turns values of polynomials into those of Lagrange's.
    lagrange: DMatrix<f64>,
    /// k between anchors.
    gram: DMatrix<f64>,
}

impl<K: Kernel<Rows<f64>>> Anchored<K> {
    /// The kernel anchored at these points; their number must be that of the polynomials of the kernel's order.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of points, [`Error::Unisolvent`] when a polynomial vanishes on all of them,
    /// [`Error::NotPositive`] for an indefinite kernel, and what [`Kernel::check`] says.
    pub fn new(kernel: K, anchors: &Rows<f64>) -> Result<Self, Error> {
        kernel.check(anchors)?;
        anchors.check_finite()?;
        let order = match kernel.definiteness() {
            // A positive definite kernel is conditionally so of any order.
            Definiteness::Positive => 1,
            Definiteness::Conditional(order) => order,
            given => return Err(Error::NotPositive { what: "anchoring", given }),
        };
        let polynomials = Polynomials::new(order, anchors);
        if anchors.len() != polynomials.count() {
            let (expected, given) = (polynomials.count(), anchors.len());
            return Err(Error::Shape { what: "number of anchors", expected, given });
        }
        let values = polynomials.matrix(anchors);
        // Few and scaled: a small pivot against the largest says that the points are not unisolvent.
        let lu = values.clone().full_piv_lu();
        let pivots = lu.u().diagonal().abs();
        let lagrange = lu.try_inverse().filter(|_| pivots.min() > 1e-12 * pivots.max());
        let Some(lagrange) = lagrange else {
            return Err(Error::Unisolvent { order, points: anchors.len() });
        };
        let mut anchored = Self {
            kernel,
            anchors: anchors.clone(),
            polynomials,
            lagrange: lagrange.transpose(),
            gram: DMatrix::zeros(0, 0),
        };
        anchored.update();
        Ok(anchored)
    }

    fn update(&mut self) {
        let n = self.anchors.len();
        self.gram = DMatrix::from_fn(n, n, |i, j| {
            let (i, j) = (i.max(j), i.min(j));
            self.kernel.eval(self.anchors.point(i), self.anchors.point(j))
        });
    }

    /// l(x), and u(x) = k(pᵢ, x) − ½ G l(x): the kernel is k(x, y) − l(x)·u(y) − l(y)·u(x).
    fn parts(&self, x: &[f64]) -> [Vec<f64>; 2] {
        let p = nalgebra::DVector::from_vec(self.polynomials.row(x));
        let l = &self.lagrange * p;
        let g = &self.gram * &l;
        let u = (0..l.len()).map(|i| self.kernel.eval(self.anchors.point(i), x) - 0.5 * g[i]);
        [u.collect(), l.data.into()]
    }
}

/// k − (l(x)·u(y) + l(y)·u(x)); the same bits for (y, x).
fn anchor(k: f64, [ux, lx]: &[Vec<f64>; 2], [uy, ly]: &[Vec<f64>; 2]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).fold(0.0, |s, (a, b)| s + a * b);
    k - (dot(lx, uy) + dot(ly, ux))
}

impl<K: Kernel<Rows<f64>>> Describe for Anchored<K> {
    fn params(&self) -> Vec<Param> {
        self.kernel.params().into_iter().map(|p| p.nested("anchor")).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.kernel.set_params(values)?;
        self.update();
        Ok(())
    }
}

impl<K: Kernel<Rows<f64>>> Kernel<Rows<f64>> for Anchored<K> {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        anchor(self.kernel.eval(x, y), &self.parts(x), &self.parts(y))
    }

    fn block(&self, at: &Block<'_, Rows<f64>>, mut out: Tile<'_, f64>, ws: &mut Workspace<f64>) {
        self.kernel.block(at, out.as_view_mut(), ws);
        let rows: Vec<_> = at.rows().map(|i| self.parts(at.xs().point(i))).collect();
        for (j, c) in at.cols().enumerate() {
            let y = self.parts(at.ys().point(c));
            for (i, x) in rows.iter().enumerate() {
                out[(i, j)] = anchor(out[(i, j)], x, &y);
            }
        }
    }

    fn diagonal(&self, xs: &Rows<f64>, rows: Range<usize>, out: &mut [f64]) {
        self.kernel.diagonal(xs, rows.clone(), out);
        for (out, i) in out.iter_mut().zip(rows) {
            let x = self.parts(xs.point(i));
            *out = anchor(*out, &x, &x);
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<f64>>,
        weights: DMatrixView<'_, f64>,
        gradient: &mut [f64],
        ws: &mut Workspace<f64>,
    ) {
        self.kernel.block_gradient(at, weights, gradient, ws);
        let n = self.anchors.len();
        let lagrange = |points: &Rows<f64>, range: Range<usize>| {
            let rows: Vec<_> = range.map(|i| self.parts(points.point(i))).collect();
            DMatrix::from_fn(rows.len(), n, |i, j| rows[i][1][j])
        };
        let (lx, ly) = (lagrange(at.xs(), at.rows()), lagrange(at.ys(), at.cols()));
        // Weights of k(y, p), k(x, p) and k(p, p).
        let by_y = -(weights.tr_mul(&lx));
        let by_x = -(weights * &ly);
        let by_anchors = -(lx.tr_mul(&by_x));
        let parts =
            [(at.ys(), at.cols(), by_y), (at.xs(), at.rows(), by_x), (&self.anchors, 0..n, by_anchors)];
        for (points, range, weights) in parts {
            if let Ok(at) = Block::between(points, range, &self.anchors, 0..n) {
                self.kernel.block_gradient(&at, weights.as_view(), gradient, ws);
            }
        }
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), Error> {
        xs.check_compatible(&self.anchors)?;
        self.kernel.check(xs)
    }
}

impl<K> PositiveDefinite for Anchored<K> {}
kernel_ops! { impl[K] Anchored<K>; }

/// Energy distance kernel ½ (‖x‖ᵖ + ‖y‖ᵖ − ‖x−y‖ᵖ), 0 < p ≤ 2: half of −rᵖ anchored at the origin, positive definite; in one
/// dimension the covariance of fractional Brownian motion.
///
/// Reference: Sejdinovic, Sriperumbudur, Gretton & Fukumizu, *Equivalence of distance-based and RKHS-based statistics* (2013).
///
/// ```
/// use kernels_core::{EnergyDistance, Kernel};
/// assert_eq!(EnergyDistance::new(1.0)?.eval(&[3.0, 4.0], &[3.0, 0.0]), 2.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyDistance {
    power: PowerDistance,
}

impl EnergyDistance {
    /// The kernel of exponent 0 < `p` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `p` is out of range.
    pub fn new(p: f64) -> Result<Self, Error> {
        Ok(Self { power: PowerDistance::new(p)? })
    }

    /// −‖x‖ᵖ of some points.
    fn to_origin<T: Real>(&self, xs: &Rows<T>, rows: Range<usize>) -> Vec<T> {
        let origin = vec![T::default(); xs.dim()];
        rows.map(|i| self.power.eval(xs.point(i), &origin)).collect()
    }
}

impl Describe for EnergyDistance {
    fn params(&self) -> Vec<Param> {
        self.power.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.power.set_params(values)
    }
    fn expression(&self) -> Option<Expr> {
        let p = self.params().first().map(|p| p.value)?;
        Some(Expr::call("energy_distance", [("p", Value::Number(p))]))
    }
}

impl<T: Real> Kernel<Rows<T>> for EnergyDistance {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        let origin = vec![T::default(); x.len()];
        let norms = self.power.eval(x, &origin) + self.power.eval(y, &origin);
        T::of(0.5) * (self.power.eval(x, y) - norms)
    }

    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.power.block(at, out.as_view_mut(), ws);
        let (rows, cols) = (self.to_origin(at.xs(), at.rows()), self.to_origin(at.ys(), at.cols()));
        for (mut column, &b) in out.column_iter_mut().zip(&cols) {
            for (value, &a) in column.iter_mut().zip(&rows) {
                *value = T::of(0.5) * (*value - (a + b));
            }
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        let mut own = vec![0.0; gradient.len()];
        self.power.block_gradient(at, weights, &mut own, ws);
        let origin = Rows::from_parts(vec![T::default(); at.ys().dim()], 1, at.ys().dim());
        let rows: Vec<T> = weights.row_iter().map(|r| -r.sum()).collect();
        let cols: Vec<T> = weights.column_iter().map(|c| -c.sum()).collect();
        for (points, range, sums) in [(at.xs(), at.rows(), rows), (at.ys(), at.cols(), cols)] {
            let n = sums.len();
            if let Ok(at) = Block::between(points, range, &origin, 0..1) {
                self.power.block_gradient(&at, DMatrixView::from_slice(&sums, n, 1), &mut own, ws);
            }
        }
        gradient.iter_mut().zip(own).for_each(|(g, own)| *g += 0.5 * own);
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let (origin, half, zero) = (vec![T::default(); x.len()], T::of(0.5), T::default());
        let mut known = self.power.jet(x, y, jet);
        jet.chain([half * jet.value(), half, zero]);
        let mut part = jet.take(jet.dim());
        for (point, mirrored) in [(x, false), (y, true)] {
            known &= self.power.jet(point, &origin, &mut part);
            part.first_only();
            if mirrored {
                part.exchange();
            }
            part.chain([-half * part.value(), -half, zero]);
            jet.add(&part);
        }
        jet.give(part);
        known
    }
}

impl<T: Real> Differentiable<T> for EnergyDistance {}
impl PositiveDefinite for EnergyDistance {}
kernel_ops! { impl[] EnergyDistance; }

/// The least c for which K + c 11ᵀ is positive semidefinite, for the Gram matrix K of a kernel that is conditionally positive definite of
/// order 1 on one data set; negative when K has that much to spare. For invertible K with 1ᵀK⁻¹1 < 0 it is −1/(1ᵀK⁻¹1).
///
/// It is a statement about these points: for unbounded kernels c grows with the data set (for −|i−j| on 0, …, n−1 it is (n−1)/2).
///
/// **Errors.** [`Error::TooFewPoints`] for none, [`Error::Shape`] when K is not square, [`Error::NotPositiveDefinite`] when K is not
/// conditionally positive definite of order 1. **Complexity.** One symmetric eigendecomposition, O(n³).
///
/// ```
/// use kernels_core::constant_shift;
/// use nalgebra::DMatrix;
/// let k = DMatrix::from_fn(10, 10, |i, j| -(i.abs_diff(j) as f64));
/// assert!((constant_shift(&k)? - 4.5).abs() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[cfg(feature = "dense")]
#[cfg_attr(docsrs, doc(cfg(feature = "dense")))]
pub fn constant_shift(gram: &DMatrix<f64>) -> Result<f64, Error> {
    let n = gram.nrows();
    if n == 0 {
        return Err(Error::TooFewPoints { what: "a constant shift", needed: 1, given: 0 });
    }
    if gram.ncols() != n {
        return Err(Error::Shape { what: "columns of a Gram matrix", expected: n, given: gram.ncols() });
    }
    // H K H with the reflection H that turns 1/√n into the first unit vector: [a bᵀ; b C], where C must be positive semidefinite and
    // a + nc ≥ bᵀC⁺b is what remains.
    let root = (n as f64).sqrt();
    let mut v = nalgebra::DVector::from_element(n, 1.0 / root);
    v[0] += 1.0;
    let scale = 2.0 / v.norm_squared();
    let kv = gram * &v * scale;
    let inner = 0.5 * scale * v.dot(&kv);
    let w = kv - &v * inner;
    let reflected = gram - &v * w.transpose() - &w * v.transpose();
    let b = reflected.view((1, 0), (n - 1, 1)).clone_owned();
    let c = reflected.view((1, 1), (n - 1, n - 1)).clone_owned();
    let eigen = crate::dense::SymmetricEigen::new(&c)?;
    let tolerance = n as f64 * 1e-14 * gram.amax();
    if let Some(least) = eigen.values.iter().copied().reduce(f64::min)
        && least < -tolerance
    {
        return Err(Error::NotPositiveDefinite { pivot: 0, n: n - 1, value: least, suggested: -2.0 * least });
    }
    let along = eigen.vectors.tr_mul(&b);
    let needed: f64 = along
        .iter()
        .zip(eigen.values.iter())
        .filter(|&(_, &value)| value > tolerance)
        .map(|(b, value)| b * b / value)
        .sum();
    Ok((needed - reflected[(0, 0)]) / n as f64)
}
