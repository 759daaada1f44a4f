//! Kernels of transformed, and of chosen, features.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixView, DVector};

use crate::{
    Block, Call, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points,
    PositiveDefinite, Real, Rows, Tile, Value, Workspace, kernel_ops,
};

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

impl<K: Describe> Describe for Warped<K> {
    fn params(&self) -> Vec<Param> {
        self.kernel.params().into_iter().map(|p| p.nested("warp")).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.kernel.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.kernel.definiteness()
    }
    fn expression(&self) -> Option<Expr> {
        let transform = Value::Word(self.transformation.name().to_owned());
        let mut arguments = vec![("transform".to_owned(), transform)];
        if let Some(features) = &self.features {
            let list = features.iter().map(|&f| Value::Number(f as f64)).collect();
            arguments.push(("features".to_owned(), Value::List(list)));
        }
        let operands = vec![Value::Expr(self.kernel.expression()?)];
        Some(Expr::Call(Call { name: "warp".to_owned(), operands, arguments }))
    }
}

impl<K: PositiveDefinite> PositiveDefinite for Warped<K> {}
kernel_ops! { impl[K] Warped<K>; }

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

impl<T: Real, K: Differentiable<T>> Differentiable<T> for Warped<K> {}
