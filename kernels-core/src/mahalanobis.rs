//! The Gaussian kernel of a quadratic form.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixView};

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points, PositiveDefinite, Real, Rows,
    Tile, Transform, Value, Vector, Workspace,
    describe::expect_count,
    engine::{Pairing, diagonal_pairs, eval_pair, fill_pairs},
    kernel_ops,
};

/// Gaussian kernel exp(−½ (x−y)ᵀP(x−y)) of a Mahalanobis distance, P symmetric positive definite.
///
/// **Numerics.** Rows are mapped by the Cholesky factor of P before they are subtracted: centre data that lie far from the origin.
///
/// ```
/// use kernels_core::{Kernel, Mahalanobis};
/// use nalgebra::dmatrix;
/// let k = Mahalanobis::new(&dmatrix![2.0, 1.0; 1.0, 2.0])?;
/// assert!((k.eval(&[0.0, 0.0], &[1.0, 1.0]) - (-3.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mahalanobis {
    precision: DMatrix<f64>,
    /// L with P = LLᵀ.
    factor: DMatrix<f64>,
}

impl Mahalanobis {
    /// The kernel with precision matrix P.
    ///
    /// # Errors
    /// [`Error::Shape`] when P is not square, [`Error::Parameter`] when it is not symmetric to the bit,
    /// [`Error::NotPositiveDefinite`].
    pub fn new(precision: &DMatrix<f64>) -> Result<Self, Error> {
        let n = precision.nrows();
        if precision.ncols() != n {
            let given = precision.ncols();
            return Err(Error::Shape { what: "columns of the precision matrix", expected: n, given });
        }
        let mut factor = DMatrix::zeros(n, n);
        for j in 0..n {
            for i in j..n {
                let value = precision[(i, j)];
                if value.to_bits() != precision[(j, i)].to_bits() || !value.is_finite() {
                    let expected = "finite, and the same as its mirror";
                    return Err(Error::Parameter { name: format!("precision[{i}][{j}]"), value, expected });
                }
                let rest = (0..j).fold(value, |s, k| s - factor[(i, k)] * factor[(j, k)]);
                if i > j {
                    factor[(i, j)] = rest / factor[(j, j)];
                } else if rest > 0.0 {
                    factor[(j, j)] = f64::sqrt(rest);
                } else {
                    let suggested = rest.abs().max(f64::EPSILON * precision.amax()) * 2.0;
                    return Err(Error::NotPositiveDefinite { pivot: j, n, value: rest, suggested });
                }
            }
        }
        Ok(Self { precision: precision.clone(), factor })
    }

    /// P.
    pub fn precision(&self) -> &DMatrix<f64> {
        &self.precision
    }

    /// (i, j) of the parameters: the lower triangle, column by column.
    fn entries(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n = self.precision.nrows();
        (0..n).flat_map(move |j| (j..n).map(move |i| (i, j)))
    }
}

impl Pairing for Mahalanobis {
    const START: [f64; 2] = [0.0, 0.0];

    fn enter<T: Real>(&self, row: &mut [T]) -> T {
        // Lᵀx from the top: entry j needs x from j on.
        for j in 0..row.len() {
            let sum = (j..row.len()).fold(0.0, |s, i| s + self.factor[(i, j)] * row[i].to_f64());
            row[j] = T::of(sum);
        }
        T::default()
    }

    #[inline(always)]
    fn step<V: Vector>(&self, _: usize, x: V, y: V, [sum, unused]: [V; 2]) -> [V; 2] {
        let d = x - y;
        [d.mul_add(d, sum), unused]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [sum, _]: [V; 2], _: [V; 2]) -> V {
        (sum * V::splat(-0.5)).exp()
    }
}

impl Describe for Mahalanobis {
    fn params(&self) -> Vec<Param> {
        let param = |(i, j)| Param {
            bounds: (if i == j { 1e-5 } else { -1e5 }, 1e5),
            transform: if i == j { Transform::Log } else { Transform::Identity },
            ..Param::positive(format!("precision[{i}][{j}]"), self.precision[(i, j)])
        };
        self.entries().map(param).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.entries().count(), values.len())?;
        let mut precision = self.precision.clone();
        for ((i, j), &value) in self.entries().zip(values) {
            (precision[(i, j)], precision[(j, i)]) = (value, value);
        }
        *self = Self::new(&precision)?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        let rows = self
            .precision
            .row_iter()
            .map(|row| Value::List(row.iter().copied().map(Value::Number).collect()));
        Some(Expr::call("mahalanobis", [("precision", Value::List(rows.collect()))]))
    }
}

impl<T: Real> Kernel<Rows<T>> for Mahalanobis {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        eval_pair(self, x, y)
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        fill_pairs(at, self, out, ws);
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        diagonal_pairs(self, xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        for (c, column) in at.cols().enumerate() {
            let y = at.ys().point(column);
            for (r, row) in at.rows().enumerate() {
                let x = at.xs().point(row);
                let scale = -0.5 * weights[(r, c)].to_f64() * Kernel::<Rows<T>>::eval(self, x, y).to_f64();
                let d = |i: usize| (x[i] - y[i]).to_f64();
                for ((i, j), gradient) in self.entries().zip(gradient.iter_mut()) {
                    *gradient += scale * d(i) * d(j) * if i == j { 1.0 } else { 2.0 };
                }
            }
        }
    }
    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let value = Kernel::<Rows<T>>::eval(self, x, y);
        let p = |i: usize, j: usize| T::of(self.precision[(i, j)]);
        let pull: Vec<T> = (0..x.len())
            .map(|i| (0..x.len()).fold(T::default(), |s, j| s + p(i, j) * (x[j] - y[j])))
            .collect();
        jet.set_stationary(value, |i| -pull[i] * value, |i, j| (pull[i] * pull[j] - p(i, j)) * value);
        true
    }
    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        let (expected, given) = (self.precision.nrows(), xs.dim());
        if expected == given {
            Ok(())
        } else {
            Err(Error::Shape { what: "number of features (order of the precision matrix)", expected, given })
        }
    }
}

impl<T: Real> Differentiable<T> for Mahalanobis {}
impl PositiveDefinite for Mahalanobis {}
kernel_ops! { impl[] Mahalanobis; }
