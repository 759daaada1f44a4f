//! The cosine kernel.

use std::ops::Range;

use crate::{
    Block, Describe, Differentiable, DotProduct, Expr, Jet, Kernel, Normalized, PositiveDefinite, Real, Rows,
    Tile, Workspace, kernel_ops, profile::Identity,
};

/// Cosine kernel ⟨x, y⟩ / (‖x‖ ‖y‖); 0 where a row is 0.
///
/// ```
/// use kernels_core::{Cosine, Kernel};
/// let k = Cosine::new();
/// assert!((k.eval(&[1.0, 0.0], &[2.0, 2.0]) - 0.5_f64.sqrt()).abs() < 1e-15);
/// assert_eq!(k.eval(&[0.0, 0.0], &[2.0, 2.0]), 0.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cosine(Normalized<DotProduct<Identity>>);

impl Cosine {
    /// The kernel; it has no parameters.
    pub fn new() -> Self {
        Self(Normalized::new(DotProduct(Identity)))
    }
}

impl Default for Cosine {
    fn default() -> Self {
        Self::new()
    }
}

impl Describe for Cosine {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("cosine", []))
    }
}

impl<T: Real> Kernel<Rows<T>> for Cosine {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.0.eval(x, y)
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.0.block(at, out, ws);
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        self.0.diagonal(xs, rows, out);
    }
    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        self.0.jet(x, y, jet)
    }
}

impl PositiveDefinite for Cosine {}
impl<T: Real> Differentiable<T> for Cosine {}
kernel_ops! { impl[] Cosine; }
