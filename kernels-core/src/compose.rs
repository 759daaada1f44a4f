//! Kernels made of one kernel: normalised, raised to a power, exponentiated, on transformed inputs.

use std::ops::Range;

use nalgebra::{ComplexField, DMatrixView};

use crate::{
    Block, Call, Definiteness, Describe, Error, Expr, Kernel, Param, Points, PositiveDefinite, Real, Rows,
    Tile, Value, Workspace,
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
    ($name:ident, |$this:ident, $value:ident| $of:expr, $slope:expr) => {
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
            fn check(&self, xs: &P) -> Result<(), Error> {
                self.kernel.check(xs)
            }
        }
    };
}

pointwise!(
    Power,
    |this, value| value.powi(this.exponent.cast_signed()),
    P::Scalar::of(f64::from(this.exponent)) * value.powi(this.exponent.cast_signed() - 1)
);
pointwise!(Exp, |_this, value| value.exp(), value.exp());

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
