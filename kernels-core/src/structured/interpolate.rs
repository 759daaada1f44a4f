//! Structured kernel interpolation: scattered points through a grid.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use super::{
    grid::{Grid, unravel},
    toeplitz::Toeplitz,
};
use crate::{
    Error, Kernel, Operator, Points, Real, Rows,
    engine::{allocate, check_shape},
    operator::{check_columns, check_len},
};

/// W K Wᵀ with K the [`Toeplitz`] matrix of a kernel of x − y on a regular grid, and W the cubic interpolation from the grid to scattered
/// points in 1, 2 or 3 dimensions: an approximation of their kernel matrix whose error falls with the cube of the grid's step.
///
/// **Complexity.** O(4ᵈ n + g log g) for a product, g points of the grid; n of a million and more.
///
/// Reference: Wilson & Nickisch, *Kernel interpolation for scalable structured Gaussian processes* (2015); Keys, *Cubic convolution
/// interpolation* (1981).
///
/// ```
/// use kernels_core::{Operator, Rbf, Rows, gram, structured::Interpolated};
/// use nalgebra::DMatrix;
/// let xs = Rows::from_row_major((0..50).map(|i| (i as f64).sin()).collect(), 50, 1)?;
/// let kernel = Rbf::new(0.5)?;
/// let fast = Interpolated::<f64>::new(&kernel, &xs, &[100])?;
/// let mut out = DMatrix::zeros(50, 1);
/// fast.apply(DMatrix::repeat(50, 1, 1.0).as_view(), out.as_view_mut())?;
/// let exact = gram(&kernel, &xs)?.column_sum();
/// assert!((out - exact).amax() < 1e-3);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Interpolated<T: Real> {
    toeplitz: Toeplitz<T>,
    grid: Grid,
    /// 4ᵈ entries of the grid a point, and their weights.
    neighbours: Vec<usize>,
    weights: Vec<T>,
    width: usize,
    n: usize,
}

impl<T: Real> Interpolated<T> {
    /// The operator for these points on a grid of `counts` coordinates along each axis, laid over them with a margin.
    ///
    /// # Errors
    /// [`Error::Shape`] when there is not one count a feature, [`Error::TooFewPoints`] for less than 6 coordinates along an axis,
    /// [`Error::Parameter`] for more than 3 features, [`Error::NotFinite`]; as [`Toeplitz::new`].
    pub fn new<K: Kernel<Rows<T>> + ?Sized>(
        kernel: &K,
        xs: &Rows<T>,
        counts: &[usize],
    ) -> Result<Self, Error> {
        kernel.check(xs)?;
        xs.check_finite()?;
        let (n, dim) = (xs.len(), xs.dim());
        check_len("counts of a grid (one a feature)", dim, counts.len())?;
        if dim > 3 {
            return Err(Error::Parameter {
                name: "features".into(),
                value: dim as f64,
                expected: "at most 3: a grid of more dimensions is too large",
            });
        }
        if let Some(&given) = counts.iter().find(|c| **c < 6) {
            return Err(Error::TooFewPoints { what: "an axis of an interpolation grid", needed: 6, given });
        }
        let (mut start, mut step) = (Vec::new(), Vec::new());
        for (k, &count) in counts.iter().enumerate() {
            let column = (0..n).map(|i| xs.point(i)[k].to_f64());
            let (low, high) =
                column.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            let width = if n == 0 || high - low <= 0.0 { 1.0 } else { (high - low) / (count - 4) as f64 };
            step.push(width);
            start.push(if n == 0 { 0.0 } else { low - width });
        }
        let grid = Grid::new(&start, &step, counts)?;
        let width = 4_usize.pow(dim as u32);
        let mut all = Self {
            toeplitz: Toeplitz::new(kernel, &grid)?,
            neighbours: Vec::with_capacity(n * width),
            weights: Vec::with_capacity(n * width),
            width,
            grid,
            n,
        };
        for i in 0..n {
            all.enter(xs.point(i));
        }
        Ok(all)
    }

    /// The neighbours of a point: all combinations of four along each axis.
    fn enter(&mut self, x: &[T]) {
        let mut along = [([0; 4], [0.0; 4]); 3];
        for (k, x) in x.iter().enumerate() {
            let u = (x.to_f64() - self.grid.start()[k]) / self.grid.step()[k];
            let cell = u.floor().clamp(1.0, (self.grid.counts()[k] - 3) as f64);
            let t = u - cell;
            let weights = [
                t * (-0.5 + t * (1.0 - 0.5 * t)),
                1.0 + t * t * (-2.5 + 1.5 * t),
                t * (0.5 + t * (2.0 - 1.5 * t)),
                t * t * (-0.5 + 0.5 * t),
            ];
            along[k] = (std::array::from_fn(|s| cell as usize + s - 1), weights);
        }
        let mut index = [0; 3];
        let dim = self.grid.counts().len();
        for corner in 0..self.width {
            unravel(corner, &[4, 4, 4][..dim], &mut index[..dim]);
            let (mut place, mut weight) = (0, 1.0);
            for k in 0..dim {
                place = place * self.grid.counts()[k] + along[k].0[index[k]];
                weight *= along[k].1[index[k]];
            }
            self.neighbours.push(place);
            self.weights.push(T::of(weight));
        }
    }

    fn row(&self, i: usize) -> impl Iterator<Item = (usize, T)> {
        let range = i * self.width..(i + 1) * self.width;
        self.neighbours[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
}

impl<T: Real> Operator<T> for Interpolated<T> {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        let t = rhs.ncols();
        check_shape(rhs.shape(), (self.n, t))?;
        check_shape(out.shape(), (self.n, t))?;
        let g = self.grid.len();
        let (mut spread, mut image) = (allocate::<T>(g, t)?, allocate::<T>(g, t)?);
        for c in 0..t {
            for i in 0..self.n {
                self.row(i).for_each(|(k, w)| spread[(k, c)] += w * rhs[(i, c)]);
            }
        }
        self.toeplitz.apply(spread.as_view(), image.as_view_mut())?;
        for c in 0..t {
            for i in 0..self.n {
                out[(i, c)] = self.row(i).fold(T::default(), |sum, (k, w)| sum + w * image[(k, c)]);
            }
        }
        Ok(())
    }

    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.n, out.len())?;
        let counts = self.grid.counts();
        let (mut a, mut b) = (vec![0; counts.len()], vec![0; counts.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            let mut sum = T::default();
            for (k, v) in self.row(i) {
                unravel(k, counts, &mut a);
                for (l, w) in self.row(i) {
                    unravel(l, counts, &mut b);
                    sum += v * w * self.toeplitz.entry(&a, &b);
                }
            }
            *out = sum;
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_columns(self.n, indices, out.shape())?;
        let mut units = DMatrix::repeat(self.n, indices.len(), T::default());
        indices.iter().enumerate().for_each(|(c, &j)| units[(j, c)] = T::of(1.0));
        self.apply(units.as_view(), out.as_view_mut())
    }
}
