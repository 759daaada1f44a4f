//! Kernels whose type is known when the program runs.

use std::{fmt, ops::Range, str::FromStr};

use nalgebra::DMatrixView;

use super::{Expr, build, parser};
use crate::{
    Block, Definiteness, Describe, Error, Kernel, LengthScale, Param, PositiveDefinite, Real, Rows, Tile,
    Workspace, kernel_ops,
};

/// Any kernel on rows: read from text, from a file, or made of a typed kernel.
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
pub struct AnyKernel<T: Real>(Box<dyn Boxed<T>>);

/// A kernel on rows that can be cloned in its box.
trait Boxed<T: Real>: Kernel<Rows<T>> {
    fn boxed(&self) -> Box<dyn Boxed<T>>;
}

impl<T: Real, K: Kernel<Rows<T>> + Clone + 'static> Boxed<T> for K {
    fn boxed(&self) -> Box<dyn Boxed<T>> {
        Box::new(self.clone())
    }
}

impl<T: Real> AnyKernel<T> {
    /// Forgets the type of a kernel.
    pub fn new(kernel: impl Kernel<Rows<T>> + Clone + 'static) -> Self {
        Self(Box::new(kernel))
    }
}

impl<T: Real> FromStr for AnyKernel<T> {
    type Err = Error;

    /// Reads an expression; see [`families`](crate::families) for what there is.
    fn from_str(text: &str) -> Result<Self, Error> {
        build::build(parser::read(text)?)
    }
}

impl<T: Real> TryFrom<&Expr> for AnyKernel<T> {
    type Error = Error;

    /// Columns in errors are those of the printed expression.
    fn try_from(expr: &Expr) -> Result<Self, Error> {
        expr.to_string().parse()
    }
}

impl<T: Real> Clone for AnyKernel<T> {
    fn clone(&self) -> Self {
        Self((*self.0).boxed())
    }
}

impl<T: Real> fmt::Display for AnyKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expression() {
            Some(expr) => write!(f, "{expr}"),
            None => f.write_str("(a kernel without a text form)"),
        }
    }
}

impl<T: Real> fmt::Debug for AnyKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyKernel({self})")
    }
}

/// By expression; kernels without one are equal to none.
impl<T: Real> PartialEq for AnyKernel<T> {
    fn eq(&self, other: &Self) -> bool {
        self.expression().is_some_and(|expr| other.expression() == Some(expr))
    }
}

impl<T: Real> Describe for AnyKernel<T> {
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

impl<T: Real> Kernel<Rows<T>> for AnyKernel<T> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.0.eval(x, y)
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.0.block(at, out, ws);
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        self.0.diagonal(xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        self.0.block_gradient(at, weights, gradient, ws);
    }
    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.0.check(xs)
    }
}

impl<T: Real> PositiveDefinite for AnyKernel<T> {}
kernel_ops! { impl[T: Real] AnyKernel<T>; }

#[cfg(feature = "serde")]
mod persist {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::{AnyKernel, Describe, Real};

    impl<T: Real> Serialize for AnyKernel<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.expression() {
                Some(expr) => serializer.serialize_str(&expr.to_string()),
                None => Err(ser::Error::custom("this kernel has no text form, so it cannot be stored")),
            }
        }
    }

    impl<'de, T: Real> Deserialize<'de> for AnyKernel<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        }
    }
}
