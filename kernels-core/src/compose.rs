//! Kernels made of one kernel: normalised, raised to a power, exponentiated.

use std::ops::Range;

use nalgebra::{ComplexField, DMatrixView};

use crate::{
    Block, Call, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param,
    Points, PositiveDefinite, Real, Tile, Value, Workspace,
    algebra::{scratch, with_values},
    kernel_ops,
};

/// k(x, y) / √(k(x, x) k(y, y)); 0 where a diagonal is 0. Cosine similarity is the normalised linear kernel.
///
/// A diagonal so small that its digits are lost (below 10⁻²⁹² in double precision, 10⁻³¹ in single) counts as 0.
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

/// `Describe` of a kernel around one kernel, and whether it is 0 where that is.
macro_rules! describe_outer {
    ($name:ident, $text:literal, $definiteness:expr, $zero:literal, |$this:ident| $arguments:expr) => {
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
            fn support(&self) -> Option<LengthScale> {
                self.kernel.support().filter(|_| $zero)
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

describe_outer!(Normalized, "normalize", only_positive, true, |_this| vec![]);
describe_outer!(Power, "power_of", only_positive, true, |this| vec![("n", f64::from(this.exponent).into())]);
// The exponential of a kernel that is conditionally positive definite of order 1 is positive definite (Schoenberg).
describe_outer!(
    Exp,
    "exp_of",
    |inner| match inner {
        Definiteness::Positive | Definiteness::Conditional(1) => Definiteness::Positive,
        _ => Definiteness::Indefinite,
    },
    false,
    |_this| vec![]
);
/// 1/√(kxx kyy), or 0 where one of them is 0. Two roots: the product of two diagonals may overflow.
fn inverse_root<T: Real>(x: T, y: T) -> T {
    let zero = T::default();
    // The smallest normal number over the relative spacing.
    let least = T::of(if size_of::<T>() == 8 { 1e-292 } else { 1e-31 });
    if x > least && y > least {
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

impl<T: Real, K: Differentiable<T>> Differentiable<T> for Normalized<K> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Power<K> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Exp<K> {}
