//! Kernels made of one kernel: normalised, raised to a power, exponentiated, on transformed inputs.

use std::ops::Range;

use nalgebra::{ComplexField, DMatrix, DMatrixView, DVector};

use crate::{
    Block, Call, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points,
    PositiveDefinite, Real, Rows, Tile, Value, Workspace,
    algebra::{scratch, with_values},
    kernel_ops,
};

/// k(x, y) / √(k(x, x) k(y, y)); 0 where a diagonal is 0. Cosine similarity is the normalised linear kernel.
///
/// ```
/// use kernels_core::{Kernel, Linear, Normalized};
/// let cosine = Normalized::new(Linear::new(0.0)?);
/// assert!((cosine.eval(&[1.0, 0.0], &[3.0, 3.0]) - 0.5_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized<K> {
    kernel: K,
}

/// k(x, y)ⁿ for an integer n ≥ 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Power<K> {
    kernel: K,
    exponent: u32,
}

/// e^k(x, y).
#[derive(Clone, Debug, PartialEq)]
pub struct Exp<K> {
    kernel: K,
}

/// k(ψ(x), ψ(y)): a kernel of transformed, and of chosen, features.
///
/// ```
/// use kernels_core::{Kernel, Rbf, Transformation, Warped};
/// let k = Warped::new(Rbf::new(1.0)?, Transformation::Log1p, Some(vec![1]));
/// let (x, y) = ([5.0, 0.0], [7.0, std::f64::consts::E - 1.0]);
/// assert!((k.eval(&x, &y) - (-0.5_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Warped<K> {
    kernel: K,
    transformation: Transformation,
    features: Option<Vec<usize>>,
}

/// What [`Warped`] does with the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transformation {
    /// Nothing: only features are chosen.
    Identity,
    /// sign(x) ln(1 + |x|), for values over many orders of magnitude.
    Log1p,
    /// asinh(x), the same without a kink in its second derivative.
    Asinh,
    /// sign(x) √|x|.
    Sqrt,
    /// The row divided by its Euclidean norm; a row of zeros stays.
    Unit,
}

impl Transformation {
    /// All of them with their names in the text form.
    pub const ALL: [(&'static str, Self); 5] = [
        ("identity", Self::Identity),
        ("log1p", Self::Log1p),
        ("asinh", Self::Asinh),
        ("sqrt", Self::Sqrt),
        ("unit", Self::Unit),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, t)| *t == self).map_or("identity", |(name, _)| name)
    }

    /// ψ′ and ψ″ of the transformations of single values; 0 where they are infinite.
    fn slopes(self, x: f64) -> [f64; 2] {
        let or_zero = |v: f64| if v.is_infinite() { 0.0 } else { v };
        match self {
            Self::Identity | Self::Unit => [1.0, 0.0],
            Self::Log1p => {
                let u = 1.0 / (1.0 + x.abs());
                [u, -(u * u).copysign(x)]
            }
            Self::Asinh => {
                let root = 1.0_f64.hypot(x);
                [1.0 / root, -x / root / root / root]
            }
            Self::Sqrt => {
                let root = x.abs().sqrt();
                [or_zero(0.5 / root), or_zero(-(0.25 / root / root / root).copysign(x))]
            }
        }
    }

    fn apply<T: Real>(self, row: &mut [T]) {
        let each = |row: &mut [T], f: fn(f64) -> f64| row.iter_mut().for_each(|x| *x = T::of(f(x.to_f64())));
        match self {
            Self::Identity => {}
            Self::Log1p => each(row, |x| x.abs().ln_1p().copysign(x)),
            Self::Asinh => each(row, f64::asinh),
            Self::Sqrt => each(row, |x| x.abs().sqrt().copysign(x)),
            Self::Unit => {
                // Divided by the largest value first: squares of huge and tiny values stay in range.
                let largest = row.iter().fold(T::default(), |m, &x| if x.abs() > m { x.abs() } else { m });
                if largest > T::default() {
                    row.iter_mut().for_each(|x| *x /= largest);
                    let norm = row.iter().fold(T::default(), |s, &x| s + x * x).sqrt();
                    row.iter_mut().for_each(|x| *x /= norm);
                }
            }
        }
    }
}

impl<K> Normalized<K> {
    /// The kernel with unit diagonal.
    pub fn new(kernel: K) -> Self {
        Self { kernel }
    }
}

impl<K> Power<K> {
    /// The kernel to the power of `exponent`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is 0.
    pub fn new(kernel: K, exponent: u32) -> Result<Self, Error> {
        if exponent == 0 {
            return Err(Error::Parameter {
                name: "n".into(),
                value: 0.0,
                expected: "an integer, 1 or above",
            });
        }
        Ok(Self { kernel, exponent })
    }
}

impl<K> Exp<K> {
    /// e to the kernel.
    pub fn new(kernel: K) -> Self {
        Self { kernel }
    }
}

impl<K> Warped<K> {
    /// The kernel on transformed features: all of them, or those of the given indices (from 0) in that order.
    pub fn new(kernel: K, transformation: Transformation, features: Option<Vec<usize>>) -> Self {
        Self { kernel, transformation, features }
    }

    fn row<T: Real>(&self, x: &[T]) -> Vec<T> {
        let mut row: Vec<T> = match &self.features {
            None => x.to_vec(),
            Some(features) => features.iter().filter_map(|&f| x.get(f).copied()).collect(),
        };
        self.transformation.apply(&mut row);
        row
    }

    fn rows<T: Real>(&self, xs: &Rows<T>) -> Rows<T> {
        let mut data = Vec::new();
        let mut dim = self.features.as_ref().map_or(xs.dim(), Vec::len);
        for i in 0..xs.len() {
            let row = self.row(xs.point(i));
            dim = row.len();
            data.extend(row);
        }
        Rows::from_parts(data, xs.len(), dim)
    }
}

/// `Describe` of a kernel around one kernel.
macro_rules! describe_outer {
    ($name:ident, $text:literal, $definiteness:expr, |$this:ident| $arguments:expr) => {
        impl<K: Describe> Describe for $name<K> {
            fn params(&self) -> Vec<Param> {
                self.kernel.params().into_iter().map(|p| p.nested($text)).collect()
            }
            fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
                self.kernel.set_params(values)
            }
            fn definiteness(&self) -> Definiteness {
                let of: fn(Definiteness) -> Definiteness = $definiteness;
                of(self.kernel.definiteness())
            }
            fn expression(&self) -> Option<Expr> {
                let $this = self;
                let arguments: Vec<(&str, Value)> = $arguments;
                Some(Expr::Call(Call {
                    name: $text.to_owned(),
                    operands: vec![Value::Expr(self.kernel.expression()?)],
                    arguments: arguments.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
                }))
            }
        }
        impl<K: PositiveDefinite> PositiveDefinite for $name<K> {}
        kernel_ops! { impl[K] $name<K>; }
    };
}

fn only_positive(inner: Definiteness) -> Definiteness {
    if inner == Definiteness::Positive { inner } else { Definiteness::Indefinite }
}

describe_outer!(Normalized, "normalize", only_positive, |_this| vec![]);
describe_outer!(Power, "power_of", only_positive, |this| vec![("n", f64::from(this.exponent).into())]);
// The exponential of a kernel that is conditionally positive definite of order 1 is positive definite (Schoenberg).
describe_outer!(
    Exp,
    "exp_of",
    |inner| match inner {
        Definiteness::Positive | Definiteness::Conditional(1) => Definiteness::Positive,
        _ => Definiteness::Indefinite,
    },
    |_this| vec![]
);
describe_outer!(Warped, "warp", |inner| inner, |this| {
    let mut arguments = vec![("transform", Value::Word(this.transformation.name().to_owned()))];
    if let Some(features) = &this.features {
        let list = features.iter().map(|&f| Value::Number(f as f64)).collect();
        arguments.push(("features", Value::List(list)));
    }
    arguments
});

/// 1/√(kxx kyy), or 0 where one of them is 0. Two roots: the product of two diagonals may overflow.
fn inverse_root<T: Real>(x: T, y: T) -> T {
    let zero = T::default();
    if x > zero && y > zero {
        T::of(1.0) / (x.sqrt() * y.sqrt())
    } else if x >= zero && y >= zero {
        zero
    } else {
        // A negative diagonal, or a NaN.
        x.sqrt() * y.sqrt()
    }
}

impl<K> Normalized<K> {
    /// Diagonal values of the rows and of the columns of a block.
    fn diagonals<P: Points + ?Sized>(&self, at: &Block<'_, P>) -> (Vec<P::Scalar>, Vec<P::Scalar>)
    where
        K: Kernel<P>,
    {
        let (rows, cols) = at.shape();
        let mut out = (vec![P::Scalar::default(); rows], vec![P::Scalar::default(); cols]);
        self.kernel.diagonal(at.xs(), at.rows(), &mut out.0);
        self.kernel.diagonal(at.ys(), at.cols(), &mut out.1);
        out
    }
}

impl<K> Normalized<K> {
    /// 1/√k(x, x) with its derivatives by x in the place of [`Jet::by_x`] and [`Jet::by_xx`]. By symmetry the two second
    /// derivatives by one argument are equal at (x, x).
    fn inverse_root_jet<P: Points + ?Sized>(&self, x: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool
    where
        K: Kernel<P>,
    {
        let d = jet.dim();
        let mut own = jet.take(d);
        let known = self.kernel.jet(x, x, &mut own);
        let two = P::Scalar::of(2.0);
        let value = own.value();
        let second = |i: usize, j: usize| {
            two * own.by_xx()[i + j * d] + own.by_xy()[i + j * d] + own.by_xy()[j + i * d]
        };
        let zero = P::Scalar::default();
        jet.set(value, |i| own.by_x()[i] + own.by_y()[i], |_| zero, second, |_, _| zero);
        if value > zero || value.to_f64().is_nan() {
            let (root, half) = (P::Scalar::of(1.0) / value.sqrt(), P::Scalar::of(-0.5));
            let slope = half * root / value;
            jet.chain([root, slope, P::Scalar::of(-1.5) * slope / value]);
        } else {
            jet.set_constant(zero);
        }
        jet.give(own);
        known
    }
}

impl<P: Points + ?Sized, K: Kernel<P>> Kernel<P> for Normalized<K> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        self.kernel.eval(x, y) * inverse_root(self.kernel.eval(x, x), self.kernel.eval(y, y))
    }

    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        self.kernel.block(at, out.as_view_mut(), ws);
        let (rows, cols) = self.diagonals(at);
        for (j, mut column) in out.column_iter_mut().enumerate() {
            for (value, &row) in column.iter_mut().zip(&rows) {
                *value *= inverse_root(row, cols[j]);
            }
        }
        for (i, j) in at.diagonal_entries() {
            out[(i, j)] = unit(rows[i]);
        }
    }

    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.kernel.diagonal(xs, rows, out);
        out.iter_mut().for_each(|value| *value = unit(*value));
    }

    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        // With q = k/√(ab): dq = dk/√(ab) − q/2 (da/a + db/b); the diagonals are 1 × 1 blocks. Entries of the diagonal
        // of the whole matrix are constant.
        let (rows, cols) = self.diagonals(at);
        let half = P::Scalar::of(-0.5);
        let mut by_row = vec![P::Scalar::default(); rows.len()];
        let mut by_col = vec![P::Scalar::default(); cols.len()];
        with_values(&self.kernel, at, ws, |k, ws| {
            scratch(ws, at.shape(), |mut inner, ws| {
                inner.copy_from(&weights);
                for entry in at.diagonal_entries() {
                    inner[entry] = P::Scalar::default();
                }
                for (j, &b) in cols.iter().enumerate() {
                    for (i, &a) in rows.iter().enumerate() {
                        let root = inverse_root(a, b);
                        inner[(i, j)] *= root;
                        if root > P::Scalar::default() {
                            let share = half * inner[(i, j)] * k[(i, j)];
                            by_row[i] += share / a;
                            by_col[j] += share / b;
                        }
                    }
                }
                self.kernel.block_gradient(at, inner.as_view(), gradient, ws);
            });
        });
        for (points, first, shares) in
            [(at.xs(), at.rows().start, by_row), (at.ys(), at.cols().start, by_col)]
        {
            for (i, share) in shares.iter().enumerate() {
                if let Ok(one) = Block::within(points, first + i..first + i + 1, first + i..first + i + 1) {
                    let weight = DMatrixView::from_slice(std::slice::from_ref(share), 1, 1);
                    self.kernel.block_gradient(&one, weight, gradient, ws);
                }
            }
        }
    }

    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        // k(x, y) a(x) a(y) with a = 1/√k(x, x): a product of three kernels, of which two see one point each.
        let (mut by_x, mut by_y) = (jet.take(jet.dim()), jet.take(jet.dim()));
        let mut known = self.kernel.jet(x, y, jet);
        known &= self.inverse_root_jet(x, &mut by_x) && self.inverse_root_jet(y, &mut by_y);
        by_y.exchange();
        jet.multiply(&by_x);
        jet.multiply(&by_y);
        jet.give(by_x);
        jet.give(by_y);
        known
    }

    fn check(&self, xs: &P) -> Result<(), Error> {
        self.kernel.check(xs)
    }
}

/// The normalised diagonal: exactly 1, 0 for a zero, NaN for what has no root.
#[allow(clippy::eq_op)]
fn unit<T: Real>(diagonal: T) -> T {
    let zero = T::default();
    if diagonal > zero {
        // ∞ or NaN over itself is NaN, anything else is 1.
        diagonal / diagonal
    } else if diagonal == zero {
        zero
    } else {
        diagonal.sqrt()
    }
}

/// `Kernel` of a function of the values of one kernel: `$of` and its derivative `$slope`.
macro_rules! pointwise {
    ($name:ident, |$this:ident, $value:ident| $of:expr, $slope:expr, $curvature:expr) => {
        impl<P: Points + ?Sized, K: Kernel<P>> Kernel<P> for $name<K> {
            fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
                let ($this, $value) = (self, self.kernel.eval(x, y));
                $of
            }
            fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
                self.kernel.block(at, out.as_view_mut(), ws);
                let $this = self;
                out.apply(|entry| {
                    let $value = *entry;
                    *entry = $of;
                });
            }
            fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
                self.kernel.diagonal(xs, rows, out);
                let $this = self;
                for entry in out {
                    let $value = *entry;
                    *entry = $of;
                }
            }
            fn block_gradient(
                &self,
                at: &Block<'_, P>,
                weights: DMatrixView<'_, P::Scalar>,
                gradient: &mut [f64],
                ws: &mut Workspace<P::Scalar>,
            ) {
                with_values(&self.kernel, at, ws, |mut values, ws| {
                    let $this = self;
                    values.zip_apply(&weights, |entry, weight| {
                        let $value = *entry;
                        *entry = weight * $slope;
                    });
                    self.kernel.block_gradient(at, values.as_view(), gradient, ws);
                });
            }
            fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
                let known = self.kernel.jet(x, y, jet);
                let ($this, $value) = (self, jet.value());
                jet.chain([$of, $slope, $curvature]);
                known
            }
            fn check(&self, xs: &P) -> Result<(), Error> {
                self.kernel.check(xs)
            }
        }
    };
}

pointwise!(
    Power,
    |this, value| value.powi(this.exponent.cast_signed()),
    P::Scalar::of(f64::from(this.exponent)) * value.powi(this.exponent.cast_signed() - 1),
    P::Scalar::of(f64::from(this.exponent) * f64::from(this.exponent - 1))
        * value.powi(this.exponent.saturating_sub(2).cast_signed())
);
pointwise!(Exp, |_this, value| value.exp(), value.exp(), value.exp());

impl<T: Real, K: Kernel<Rows<T>>> Kernel<Rows<T>> for Warped<K> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.kernel.eval(&self.row(x), &self.row(y))
    }

    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.with_warped(at, |at| self.kernel.block(at, out, ws));
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        let indices: Vec<usize> = rows.collect();
        if let Ok(part) = xs.subset(&indices) {
            self.kernel.diagonal(&self.rows(&part), 0..indices.len(), out);
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        self.with_warped(at, |at| self.kernel.block_gradient(at, weights, gradient, ws));
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let (u, v) = (self.row(x), self.row(y));
        let mut inner = jet.take(u.len());
        let known = self.kernel.jet(&u, &v, &mut inner);
        if known {
            self.pull_back(x, y, &inner, jet);
        }
        jet.give(inner);
        known
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        if let Some(&given) = self.features.iter().flatten().find(|&&f| f >= xs.dim()) {
            return Err(Error::Shape {
                what: "index of a feature of warp (below)",
                expected: xs.dim(),
                given,
            });
        }
        // The inner kernel sees the dimension of the transformed points.
        let none = Rows::from_parts(Vec::new(), 0, self.features.as_ref().map_or(xs.dim(), Vec::len));
        self.kernel.check(&none)
    }
}

impl<K> Warped<K> {
    /// Hands `work` the block of the transformed points. Their centre is the transformed centre's stand-in for the whole
    /// data set, so that values do not depend on the block.
    fn with_warped<T: Real>(&self, at: &Block<'_, Rows<T>>, work: impl FnOnce(&Block<'_, Rows<T>>)) {
        let center = self.row(at.ys().center());
        let cut = |xs: &Rows<T>, rows: Range<usize>| -> Rows<T> {
            let indices: Vec<usize> = rows.collect();
            let part = xs.subset(&indices).unwrap_or_else(|_| xs.clone());
            self.rows(&part).with_center(&center)
        };
        let (rows, cols) = at.shape();
        let diagonal = at.diagonal_entries().next();
        let (xs, ys) = (cut(at.xs(), at.rows()), cut(at.ys(), at.cols()));
        let block = if at.is_within() && at.rows() == at.cols() {
            Block::within(&ys, 0..rows, 0..cols)
        } else if diagonal.is_some() {
            // Part of the diagonal: keep the data set whole.
            let whole = self.rows(at.ys()).with_center(&center);
            if let Ok(block) = Block::within(&whole, at.rows(), at.cols()) {
                work(&block);
            }
            return;
        } else {
            Block::between(&xs, 0..rows, &ys, 0..cols)
        };
        if let Ok(block) = block {
            work(&block);
        }
    }
}

impl<K> Warped<K> {
    /// The jet by (x, y) from that by the transformed points.
    fn pull_back<T: Real>(&self, x: &[T], y: &[T], inner: &Jet<T>, jet: &mut Jet<T>) {
        let m = inner.dim();
        let (a, b) = (self.jacobian(x), self.jacobian(y));
        let square = |part: &[T], by: &DMatrix<T>| a.tr_mul(&(DMatrix::from_column_slice(m, m, part) * by));
        let vector = |part: &[T], by: &DMatrix<T>| by.tr_mul(&DVector::from_column_slice(part));
        let (gx, gy) = (vector(inner.by_x(), &a), vector(inner.by_y(), &b));
        let none = || DMatrix::from_element(0, 0, T::default());
        let (xx, xy) = if jet.has_second() {
            (square(inner.by_xx(), &a) + self.bend(x, inner.by_x()), square(inner.by_xy(), &b))
        } else {
            (none(), none())
        };
        jet.set(inner.value(), |i| gx[i], |i| gy[i], |i, j| xx[(i, j)], |i, j| xy[(i, j)]);
    }

    /// The features that are transformed, in order.
    fn chosen(&self, dim: usize) -> Vec<usize> {
        match &self.features {
            None => (0..dim).collect(),
            Some(features) => features.iter().copied().filter(|&f| f < dim).collect(),
        }
    }

    /// ∂ψᵣ/∂xᵢ: transformed by given features.
    fn jacobian<T: Real>(&self, x: &[T]) -> DMatrix<T> {
        let chosen = self.chosen(x.len());
        let mut out = DMatrix::from_element(chosen.len(), x.len(), T::default());
        if self.transformation == Transformation::Unit {
            let (unit, norm) = self.unit(x);
            for (r, &u) in unit.iter().enumerate() {
                for (i, &v) in unit.iter().enumerate() {
                    let identity = if r == i { T::of(1.0) } else { T::default() };
                    out[(r, chosen[i])] += (identity - u * v) * norm;
                }
            }
        } else {
            for (r, &f) in chosen.iter().enumerate() {
                out[(r, f)] += T::of(self.transformation.slopes(x[f].to_f64())[0]);
            }
        }
        out
    }

    /// Σᵣ gᵣ ∂²ψᵣ/∂x∂xᵀ.
    fn bend<T: Real>(&self, x: &[T], g: &[T]) -> DMatrix<T> {
        let chosen = self.chosen(x.len());
        let mut out = DMatrix::from_element(x.len(), x.len(), T::default());
        if self.transformation == Transformation::Unit {
            let (u, norm) = self.unit(x);
            let along = g.iter().zip(&u).fold(T::default(), |sum, (&g, &u)| sum + g * u);
            for j in 0..u.len() {
                for i in 0..u.len() {
                    let identity = if i == j { along } else { T::default() };
                    let bend = T::of(3.0) * along * u[i] * u[j] - g[i] * u[j] - u[i] * g[j] - identity;
                    out[(chosen[i], chosen[j])] += bend * norm * norm;
                }
            }
        } else {
            for (&f, &g) in chosen.iter().zip(g) {
                out[(f, f)] += g * T::of(self.transformation.slopes(x[f].to_f64())[1]);
            }
        }
        out
    }

    /// The chosen features over their norm, and 1 over that norm; 0 for a row of zeros.
    fn unit<T: Real>(&self, x: &[T]) -> (Vec<T>, T) {
        let (unit, chosen) = (self.row(x), self.chosen(x.len()));
        // ⟨x, u⟩ = ‖x‖.
        let norm = chosen.iter().zip(&unit).fold(T::default(), |sum, (&f, &u)| sum + x[f] * u);
        (unit, if norm == T::default() { norm } else { T::of(1.0) / norm })
    }
}

impl<T: Real, K: Differentiable<T>> Differentiable<T> for Normalized<K> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Power<K> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Exp<K> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Warped<K> {}
