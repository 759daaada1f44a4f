//! Kernels from kernels: `+`, `*` and a number in front.

use std::ops::Range;

use nalgebra::{DMatrixView, DMatrixViewMut};

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Points,
    PositiveDefinite, Real, Tile, Workspace,
    describe::{expect_count, non_negative},
};

/// Gives kernels `+`, `*` and multiplication by a number from the left.
///
/// Rust's orphan rules ask for one implementation a type; this writes it. Call it for a kernel of your own:
///
/// ```
/// use kernels_core::{Kernel, Linear, Describe, Rows, kernel_ops};
/// struct Unit;
/// impl Describe for Unit {}
/// impl Kernel<Rows<f64>> for Unit {
///     fn eval(&self, _: &[f64], _: &[f64]) -> f64 { 1.0 }
/// }
/// kernel_ops! { impl[] Unit; }
/// let k = 2.0 * Unit + Linear::new(0.0)? * Unit;
/// assert_eq!(k.eval(&[3.0], &[4.0]), 14.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[macro_export]
macro_rules! kernel_ops {
    ($(impl[$($g:ident $(: $bound:path)?),*] $t:ty;)*) => {$(
        impl<$($g $(: $bound)?),*> $crate::Term for $t {}
        impl<$($g $(: $bound)?,)* R: $crate::Term> ::core::ops::Add<R> for $t {
            type Output = $crate::Sum<Self, R>;
            fn add(self, rhs: R) -> Self::Output { $crate::Sum(self, rhs) }
        }
        impl<$($g $(: $bound)?,)* R: $crate::Term> ::core::ops::Mul<R> for $t {
            type Output = $crate::Product<Self, R>;
            fn mul(self, rhs: R) -> Self::Output { $crate::Product(self, rhs) }
        }
        impl<$($g $(: $bound)?),*> ::core::ops::Mul<$t> for f64 {
            type Output = $crate::Scaled<$t>;
            fn mul(self, rhs: $t) -> Self::Output { $crate::Scaled::new(self, rhs) }
        }
    )*};
}

/// Marks a kernel as an operand of `+` and `*`; implemented by [`kernel_ops!`](crate::kernel_ops).
pub trait Term {}

kernel_ops! {
    impl[A, B] Sum<A, B>;
    impl[A, B] Product<A, B>;
    impl[K] Scaled<K>;
}

/// k₁ + k₂.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum<A, B>(pub A, pub B);

/// k₁ · k₂, entry by entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Product<A, B>(pub A, pub B);

/// A number times a kernel: its variance, in the words of Gaussian processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled<K> {
    scale: f64,
    kernel: K,
}

impl<K> Scaled<K> {
    /// `scale` · `kernel`. A scale that is negative or not finite is reported by [`Kernel::check`], where a
    /// kernel meets data: an operator cannot fail.
    pub fn new(scale: f64, kernel: K) -> Self {
        Self { scale, kernel }
    }

    /// The factor.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The kernel that is scaled.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

/// A matrix buffer from the workspace with the shape of a block.
pub(crate) fn scratch<T: Real, R>(
    ws: &mut Workspace<T>,
    shape: (usize, usize),
    work: impl FnOnce(DMatrixViewMut<'_, T>, &mut Workspace<T>) -> R,
) -> R {
    let mut buffer = ws.take(shape.0 * shape.1);
    let result = work(DMatrixViewMut::from_slice(&mut buffer, shape.0, shape.1), ws);
    ws.give(buffer);
    result
}

/// The same, filled with the values of a kernel.
pub(crate) fn with_values<P: Points + ?Sized, R>(
    kernel: &(impl Kernel<P> + ?Sized),
    at: &Block<'_, P>,
    ws: &mut Workspace<P::Scalar>,
    work: impl FnOnce(DMatrixViewMut<'_, P::Scalar>, &mut Workspace<P::Scalar>) -> R,
) -> R {
    scratch(ws, at.shape(), |mut tile, ws| {
        kernel.block(at, tile.as_view_mut(), ws);
        work(tile, ws)
    })
}

impl<A: Describe, B: Describe> Describe for Sum<A, B> {
    fn params(&self) -> Vec<Param> {
        pair_params("sum", &self.0, &self.1)
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        set_pair(&mut self.0, &mut self.1, values)
    }

    fn definiteness(&self) -> Definiteness {
        use Definiteness::{Conditional, Indefinite, Positive};
        match (self.0.definiteness(), self.1.definiteness()) {
            (Indefinite, _) | (_, Indefinite) => Indefinite,
            (Conditional(a), Conditional(b)) => Conditional(a.max(b)),
            (Conditional(a), Positive) | (Positive, Conditional(a)) => Conditional(a),
            (Positive, Positive) => Positive,
        }
    }

    fn support(&self) -> Option<LengthScale> {
        Some(self.0.support()?.combined(self.1.support()?, f64::max))
    }
    fn expression(&self) -> Option<Expr> {
        Some(self.0.expression()? + self.1.expression()?)
    }
}

impl<A: Describe, B: Describe> Describe for Product<A, B> {
    fn params(&self) -> Vec<Param> {
        pair_params("product", &self.0, &self.1)
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        set_pair(&mut self.0, &mut self.1, values)
    }

    fn definiteness(&self) -> Definiteness {
        // The Schur product theorem holds for positive definite factors only.
        match (self.0.definiteness(), self.1.definiteness()) {
            (Definiteness::Positive, Definiteness::Positive) => Definiteness::Positive,
            _ => Definiteness::Indefinite,
        }
    }

    /// Where both are: a factor of compact support makes the product one, a taper.
    fn support(&self) -> Option<LengthScale> {
        match (self.0.support(), self.1.support()) {
            (Some(a), Some(b)) => Some(a.combined(b, f64::min)),
            (a, b) => a.or(b),
        }
    }
    fn expression(&self) -> Option<Expr> {
        Some(self.0.expression()? * self.1.expression()?)
    }
}

fn pair_params(kind: &str, a: &impl Describe, b: &impl Describe) -> Vec<Param> {
    let first = a.params().into_iter().map(|p| p.nested(&format!("{kind}.0")));
    first.chain(b.params().into_iter().map(|p| p.nested(&format!("{kind}.1")))).collect()
}

fn set_pair(a: &mut impl Describe, b: &mut impl Describe, values: &[f64]) -> Result<(), Error> {
    let old: Vec<f64> = a.params().iter().map(|p| p.value).collect();
    expect_count(old.len() + b.params().len(), values.len())?;
    let (first, second) = values.split_at(old.len());
    a.set_params(first)?;
    b.set_params(second).inspect_err(|_| {
        // All or nothing: the first half goes back to values it had accepted before.
        let restored = a.set_params(&old);
        debug_assert!(restored.is_ok());
    })
}

impl<P: Points + ?Sized, A: Kernel<P>, B: Kernel<P>> Kernel<P> for Sum<A, B> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        self.0.eval(x, y) + self.1.eval(x, y)
    }

    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        self.0.block(at, out.as_view_mut(), ws);
        with_values(&self.1, at, ws, |second, _| out.zip_apply(&second, |a, b| *a += b));
    }

    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.0.diagonal(xs, rows.clone(), out);
        let mut second = vec![P::Scalar::default(); out.len()];
        self.1.diagonal(xs, rows, &mut second);
        out.iter_mut().zip(second).for_each(|(a, b)| *a += b);
    }

    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        let (first, second) = gradient.split_at_mut(self.0.params().len());
        self.0.block_gradient(at, weights, first, ws);
        self.1.block_gradient(at, weights, second, ws);
    }

    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        let mut other = jet.take(jet.dim());
        let known = self.0.jet(x, y, jet) && self.1.jet(x, y, &mut other);
        if known {
            jet.add(&other);
        }
        jet.give(other);
        known
    }

    fn check(&self, xs: &P) -> Result<(), Error> {
        self.0.check(xs)?;
        self.1.check(xs)
    }
}

impl<P: Points + ?Sized, A: Kernel<P>, B: Kernel<P>> Kernel<P> for Product<A, B> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        self.0.eval(x, y) * self.1.eval(x, y)
    }

    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        self.0.block(at, out.as_view_mut(), ws);
        with_values(&self.1, at, ws, |second, _| out.component_mul_assign(&second));
    }

    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.0.diagonal(xs, rows.clone(), out);
        let mut second = vec![P::Scalar::default(); out.len()];
        self.1.diagonal(xs, rows, &mut second);
        out.iter_mut().zip(second).for_each(|(a, b)| *a *= b);
    }

    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        // d(ab) = b da + a db: each factor sees the weights times the other factor.
        let (first, second) = gradient.split_at_mut(self.0.params().len());
        with_values(&self.1, at, ws, |mut b, ws| {
            b.component_mul_assign(&weights);
            self.0.block_gradient(at, b.as_view(), first, ws);
        });
        with_values(&self.0, at, ws, |mut a, ws| {
            a.component_mul_assign(&weights);
            self.1.block_gradient(at, a.as_view(), second, ws);
        });
    }

    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        let mut other = jet.take(jet.dim());
        let known = self.0.jet(x, y, jet) && self.1.jet(x, y, &mut other);
        if known {
            jet.multiply(&other);
        }
        jet.give(other);
        known
    }

    fn check(&self, xs: &P) -> Result<(), Error> {
        self.0.check(xs)?;
        self.1.check(xs)
    }
}

impl<K: Describe> Describe for Scaled<K> {
    fn params(&self) -> Vec<Param> {
        let own = Param::positive("scale", self.scale);
        std::iter::once(own).chain(self.kernel.params().into_iter().map(|p| p.nested("scaled"))).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        let Some((&scale, rest)) = values.split_first() else {
            return expect_count(1 + self.kernel.params().len(), 0);
        };
        non_negative("scale", scale)?;
        self.kernel.set_params(rest)?;
        self.scale = scale;
        Ok(())
    }

    fn definiteness(&self) -> Definiteness {
        self.kernel.definiteness()
    }

    fn support(&self) -> Option<LengthScale> {
        self.kernel.support()
    }
    fn expression(&self) -> Option<Expr> {
        Some(self.scale * self.kernel.expression()?)
    }
}

impl<P: Points + ?Sized, K: Kernel<P>> Kernel<P> for Scaled<K> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        P::Scalar::of(self.scale) * self.kernel.eval(x, y)
    }

    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        self.kernel.block(at, out.as_view_mut(), ws);
        out *= P::Scalar::of(self.scale);
    }

    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.kernel.diagonal(xs, rows, out);
        let scale = P::Scalar::of(self.scale);
        out.iter_mut().for_each(|v| *v *= scale);
    }

    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        let Some((own, rest)) = gradient.split_first_mut() else { return };
        *own += with_values(&self.kernel, at, ws, |k, _| k.dot(&weights).to_f64());
        let mut inner = vec![0.0; rest.len()];
        self.kernel.block_gradient(at, weights, &mut inner, ws);
        rest.iter_mut().zip(inner).for_each(|(g, inner)| *g += self.scale * inner);
    }

    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        let scale = P::Scalar::of(self.scale);
        let known = self.kernel.jet(x, y, jet);
        jet.chain([scale * jet.value(), scale, P::Scalar::default()]);
        known
    }

    fn check(&self, xs: &P) -> Result<(), Error> {
        non_negative("scale", self.scale)?;
        self.kernel.check(xs)
    }
}

impl<A: PositiveDefinite, B: PositiveDefinite> PositiveDefinite for Sum<A, B> {}
impl<A: PositiveDefinite, B: PositiveDefinite> PositiveDefinite for Product<A, B> {}
impl<K: PositiveDefinite> PositiveDefinite for Scaled<K> {}

impl<T: Real, A: Differentiable<T>, B: Differentiable<T>> Differentiable<T> for Sum<A, B> {}
impl<T: Real, A: Differentiable<T>, B: Differentiable<T>> Differentiable<T> for Product<A, B> {}
impl<T: Real, K: Differentiable<T>> Differentiable<T> for Scaled<K> {}
