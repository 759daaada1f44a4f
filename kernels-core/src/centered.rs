//! A kernel centred in feature space on a data set.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixView};

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Jet, Kernel, Param, Points, PositiveDefinite, Real,
    Rows, Tile, Workspace, algebra::scratch, kernel_ops,
};

/// k(x, y) − m(x) − m(y) + μ with m(x) = mean of k(x, xᵢ) over a data set and μ the mean of m over it: features centred at
/// their mean. On that data set itself it is JKJ with J = I − 11ᵀ/n.
///
/// Of a kernel that is conditionally positive definite of order 1 it is positive definite.
///
/// **Complexity.** n kernel values a point beside the pairs, none for the points of the data set itself (or a clone of it).
///
/// ```
/// use kernels_core::{Centered, Linear, Rows, gram};
/// let xs = Rows::<f64>::from_row_major(vec![1.0, 2.0, 6.0], 3, 1)?;
/// let k = gram(&Centered::new(Linear::new(0.0)?, &xs)?, &xs)?;
/// assert!((k[(0, 2)] - (1.0 - 3.0) * (6.0 - 3.0)).abs() < 1e-14 && k.sum().abs() < 1e-13);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Centered<K, T> {
    kernel: K,
    points: Rows<T>,
    /// m of the points, and its mean.
    means: Vec<T>,
    mean: T,
}

impl<T: Real, K: Kernel<Rows<T>>> Centered<K, T> {
    /// The kernel centred on `points`.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for none, [`Error::NotPositive`] for an indefinite kernel or one of an order above 1, and
    /// what [`Kernel::check`] says of the points.
    pub fn new(kernel: K, points: &Rows<T>) -> Result<Self, Error> {
        if points.is_empty() {
            return Err(Error::TooFewPoints { what: "centring", needed: 1, given: 0 });
        }
        kernel.check(points)?;
        match kernel.definiteness() {
            Definiteness::Positive | Definiteness::Conditional(1) => {}
            given => return Err(Error::NotPositive { what: "centring", given }),
        }
        let mut centered = Self { kernel, points: points.clone(), means: Vec::new(), mean: T::default() };
        centered.update();
        Ok(centered)
    }

    fn update(&mut self) {
        self.means = self.means_of(&self.points, 0..self.points.len(), &mut Workspace::new());
        let sum: f64 = self.means.iter().map(|m| m.to_f64()).sum();
        self.mean = T::of(sum / self.means.len() as f64);
    }

    /// m of some points: sums in the order of the data set, whatever the block.
    fn means_of(&self, xs: &Rows<T>, rows: Range<usize>, ws: &mut Workspace<T>) -> Vec<T> {
        let n = self.points.len();
        let same = std::ptr::eq(xs.as_slice(), self.points.as_slice());
        if same && let Some(known) = self.means.get(rows.clone()) {
            return known.to_vec();
        }
        let mut sums = vec![0.0; rows.len()];
        for start in (0..n).step_by(256) {
            let columns = start..(start + 256).min(n);
            scratch(ws, (rows.len(), columns.len()), |mut part, ws| {
                if let Ok(at) = Block::between(xs, rows.clone(), &self.points, columns.clone()) {
                    self.kernel.block(&at, part.as_view_mut(), ws);
                }
                for column in part.column_iter() {
                    sums.iter_mut().zip(column.iter()).for_each(|(sum, k)| *sum += k.to_f64());
                }
            });
        }
        sums.into_iter().map(|s| T::of(s / n as f64)).collect()
    }

    /// The kernel that is centred.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl<T: Real, K: Kernel<Rows<T>>> Describe for Centered<K, T> {
    fn params(&self) -> Vec<Param> {
        self.kernel.params().into_iter().map(|p| p.nested("center")).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.kernel.set_params(values)?;
        self.means.clear();
        self.update();
        Ok(())
    }
}

impl<T: Real, K: Kernel<Rows<T>>> Kernel<Rows<T>> for Centered<K, T> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        let dim = x.len();
        let pair = Rows::from_parts([x, y].concat(), 2, dim);
        let means = self.means_of(&pair, 0..2, &mut Workspace::new());
        self.kernel.eval(x, y) - (means[0] + means[1]) + self.mean
    }

    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.kernel.block(at, out.as_view_mut(), ws);
        let (rows, cols) = (self.means_of(at.xs(), at.rows(), ws), self.means_of(at.ys(), at.cols(), ws));
        for (mut column, &b) in out.column_iter_mut().zip(&cols) {
            for (value, &a) in column.iter_mut().zip(&rows) {
                *value = *value - (a + b) + self.mean;
            }
        }
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        self.kernel.diagonal(xs, rows.clone(), out);
        let means = self.means_of(xs, rows, &mut Workspace::new());
        for (value, &m) in out.iter_mut().zip(&means) {
            *value = *value - (m + m) + self.mean;
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        self.kernel.block_gradient(at, weights, gradient, ws);
        let n = self.points.len();
        let share = |sum: T| T::of(-sum.to_f64() / n as f64);
        let rows: Vec<T> = weights.row_iter().map(|r| share(r.sum())).collect();
        let cols: Vec<T> = weights.column_iter().map(|c| share(c.sum())).collect();
        let total = weights.iter().map(|w| w.to_f64()).sum::<f64>() / (n * n) as f64;
        let parts = [(at.xs(), at.rows(), rows), (at.ys(), at.cols(), cols)];
        for (points, range, shares) in parts {
            let spread = DMatrix::from_fn(range.len(), n, |i, _| shares[i]);
            if let Ok(at) = Block::between(points, range, &self.points, 0..n) {
                self.kernel.block_gradient(&at, spread.as_view(), gradient, ws);
            }
        }
        let spread = DMatrix::from_element(n, n, T::of(total));
        if let Ok(at) = Block::between(&self.points, 0..n, &self.points, 0..n) {
            self.kernel.block_gradient(&at, spread.as_view(), gradient, ws);
        }
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let mut known = self.kernel.jet(x, y, jet);
        let share = T::of(-1.0 / self.points.len() as f64);
        let mut part = jet.take(jet.dim());
        for (point, mirrored) in [(x, false), (y, true)] {
            for i in 0..self.points.len() {
                known &= self.kernel.jet(point, self.points.point(i), &mut part);
                part.first_only();
                if mirrored {
                    part.exchange();
                }
                part.chain([share * part.value(), share, T::default()]);
                jet.add(&part);
            }
        }
        part.set_constant(self.mean);
        jet.add(&part);
        jet.give(part);
        known
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        xs.check_compatible(&self.points)?;
        self.kernel.check(xs)
    }
}

impl<T: Real, K: Differentiable<T>> Differentiable<T> for Centered<K, T> {}
impl<K, T> PositiveDefinite for Centered<K, T> {}
kernel_ops! { impl[K, T] Centered<K, T>; }
