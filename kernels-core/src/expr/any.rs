//! Kernels whose type is known when the program runs.

use std::{fmt, ops::Range, str::FromStr};

use nalgebra::DMatrixView;

use super::{Expr, Readable};
use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Jet, Kernel, LengthScale, Param, Points,
    PositiveDefinite, Real, Rows, Tile, Workspace, kernel_ops,
};

/// Any kernel on rows with scalars `T`.
pub type AnyKernel<T> = DynKernel<Rows<T>>;

/// Any kernel on points `P`: read from text, from a file, or made of a typed kernel.
///
/// It prints as an expression with its current parameters, and is stored as that text. Solvers accept it and check its
/// definiteness when they are fitted.
///
/// ```
/// use kernels_core::{AnyKernel, Describe, Rows, gram};
/// let mut k: AnyKernel<f64> = "2 * rbf(length_scale=[1, 3]) + white(variance=0.5)".parse()?;
/// let xs = Rows::from_row_major(vec![0.0, 0.0, 1.0, 3.0], 2, 2)?;
/// assert_eq!(gram(&k, &xs)?[(0, 0)], 2.5);
/// let mut values: Vec<f64> = k.params().iter().map(|p| p.value).collect();
/// values[0] = 4.0;
/// k.set_params(&values)?;
/// assert_eq!(k.to_string(), "4 * rbf(length_scale=[1, 3]) + white(variance=0.5)");
///
/// let wrong = "rbf(lenght_scale=2)".parse::<AnyKernel<f64>>().unwrap_err().to_string();
/// assert!(wrong.starts_with("column 5: unknown parameter of `rbf` `lenght_scale`; did you mean `length_scale`?"));
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub struct DynKernel<P>(Box<dyn Boxed<P>>);

/// A kernel that can be cloned in its box.
trait Boxed<P>: Kernel<P>
where
    P: Points,
{
    fn boxed(&self) -> Box<dyn Boxed<P>>;
}

impl<P: Points, K: Kernel<P> + Clone + 'static> Boxed<P> for K {
    fn boxed(&self) -> Box<dyn Boxed<P>> {
        Box::new(self.clone())
    }
}

impl<P: Points> DynKernel<P> {
    /// Forgets the type of a kernel.
    pub fn new(kernel: impl Kernel<P> + Clone + 'static) -> Self {
        Self(Box::new(kernel))
    }
}

impl<P: Readable> FromStr for DynKernel<P> {
    type Err = Error;

    /// Reads an expression in the names of [`Readable::vocabulary`].
    fn from_str(text: &str) -> Result<Self, Error> {
        P::vocabulary().read(text)
    }
}

impl<P: Readable> TryFrom<&Expr> for DynKernel<P> {
    type Error = Error;

    /// Columns in errors are those of the printed expression.
    fn try_from(expr: &Expr) -> Result<Self, Error> {
        expr.to_string().parse()
    }
}

impl<P: Points> Clone for DynKernel<P> {
    fn clone(&self) -> Self {
        Self((*self.0).boxed())
    }
}

impl<P: Points> fmt::Display for DynKernel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expression() {
            Some(expr) => write!(f, "{expr}"),
            None => f.write_str("(a kernel without a text form)"),
        }
    }
}

impl<P: Points> fmt::Debug for DynKernel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynKernel({self})")
    }
}

/// By expression; kernels without one are equal to none.
impl<P: Points> PartialEq for DynKernel<P> {
    fn eq(&self, other: &Self) -> bool {
        self.expression().is_some_and(|expr| other.expression() == Some(expr))
    }
}

impl<P: Points> Describe for DynKernel<P> {
    fn params(&self) -> Vec<Param> {
        self.0.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.0.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.0.definiteness()
    }
    fn support(&self) -> Option<LengthScale> {
        self.0.support()
    }
    fn expression(&self) -> Option<Expr> {
        self.0.expression()
    }
}

impl<P: Points> Kernel<P> for DynKernel<P> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        self.0.eval(x, y)
    }
    fn block(&self, at: &Block<'_, P>, out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        self.0.block(at, out, ws);
    }
    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.0.diagonal(xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        self.0.block_gradient(at, weights, gradient, ws);
    }
    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        self.0.jet(x, y, jet)
    }
    fn check(&self, xs: &P) -> Result<(), Error> {
        self.0.check(xs)
    }
}

impl<P: Points> PositiveDefinite for DynKernel<P> {}
impl<T: Real> Differentiable<T> for AnyKernel<T> {}
kernel_ops! { impl[P: Points] DynKernel<P>; }

#[cfg(feature = "serde")]
mod persist {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::{Describe, DynKernel, Points, Readable};

    impl<P: Points> Serialize for DynKernel<P> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.expression() {
                Some(expr) => serializer.serialize_str(&expr.to_string()),
                None => Err(ser::Error::custom("this kernel has no text form, so it cannot be stored")),
            }
        }
    }

    impl<'de, P: Readable> Deserialize<'de> for DynKernel<P> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        }
    }
}
