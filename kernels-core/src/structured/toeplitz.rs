//! Toeplitz and circulant matrices of any number of levels, by the fast Fourier transform.

use std::sync::Arc;

use nalgebra::{DMatrixView, DMatrixViewMut};
use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::grid::{Grid, ravel, unravel};
use crate::{
    Error, Kernel, Operator, Points, Real, Rows,
    engine::{check_shape, map_tasks},
    operator::{check_columns, check_len},
};

/// A symmetric circulant matrix, of several levels for arrays of several axes: entry (i, j) is `column[(i − j) mod shape]`.
///
/// **Complexity.** O(n log n) for a product with a vector; two vectors share a transform.
///
/// ```
/// use kernels_core::{Operator, structured::Circulant};
/// use nalgebra::dmatrix;
/// let a = Circulant::new(&[4], vec![2.0, 1.0, 0.0, 1.0])?;
/// let mut out = dmatrix![0.0; 0.0; 0.0; 0.0];
/// a.apply(dmatrix![1.0; 0.0; 0.0; 0.0].as_view(), out.as_view_mut())?;
/// assert!((out - dmatrix![2.0; 1.0; 0.0; 1.0]).amax() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Circulant<T> {
    column: Vec<T>,
    shape: Vec<usize>,
    /// Eigenvalues over the number of entries.
    spectrum: Vec<f64>,
    /// Forward and backward along each axis.
    plans: Vec<[Arc<dyn Fft<f64>>; 2]>,
}

impl<T: Real> std::fmt::Debug for Circulant<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Circulant").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl<T: Real> Circulant<T> {
    /// The matrix with this first column, an array of `shape` in C order.
    ///
    /// # Errors
    /// [`Error::Shape`] when the column has another length, [`Error::Parameter`] when it is not even, so that the matrix would not be
    /// symmetric.
    pub fn new(shape: &[usize], column: Vec<T>) -> Result<Self, Error> {
        let n: usize = shape.iter().product();
        check_len("length of the first column", n, column.len())?;
        let (mut index, size) =
            (vec![0; shape.len()], column.iter().fold(0.0_f64, |m, c| m.max(c.to_f64().abs())));
        for (i, &value) in column.iter().enumerate() {
            unravel(i, shape, &mut index);
            index.iter_mut().zip(shape).for_each(|(k, count)| *k = (count - *k) % count);
            let difference = (value - column[ravel(&index, shape)]).to_f64().abs();
            if difference > 100.0 * T::EPSILON.to_f64() * size {
                return Err(Error::Parameter {
                    name: "column".into(),
                    value: difference,
                    expected: "column[i] equal to column[-i]: a symmetric matrix",
                });
            }
        }
        let mut planner = FftPlanner::new();
        let plans =
            shape.iter().map(|&c| [planner.plan_fft_forward(c), planner.plan_fft_inverse(c)]).collect();
        let mut circulant = Self { column, shape: shape.to_vec(), spectrum: Vec::new(), plans };
        let mut values: Vec<_> = circulant.column.iter().map(|c| Complex::new(c.to_f64(), 0.0)).collect();
        circulant.transform(&mut values, false);
        // Even and real: so is the spectrum.
        circulant.spectrum = values.iter().map(|v| v.re / n as f64).collect();
        Ok(circulant)
    }

    /// The eigenvalues, in the order of the transform.
    pub fn eigenvalues(&self) -> Vec<f64> {
        self.spectrum.iter().map(|v| v * self.spectrum.len() as f64).collect()
    }

    /// Along every axis.
    fn transform(&self, values: &mut [Complex<f64>], inverse: bool) {
        let mut after = 1;
        let mut line = Vec::new();
        for (&count, [forward, backward]) in self.shape.iter().zip(&self.plans).rev() {
            let plan = if inverse { backward } else { forward };
            if count > 1 && after == 1 {
                plan.process(values);
            } else if count > 1 {
                // Lines of this axis are `after` apart: gather a band of them, transform, put back.
                for slab in values.chunks_exact_mut(count * after) {
                    for first in (0..after).step_by(16) {
                        let band = first..(first + 16).min(after);
                        line.clear();
                        line.extend(
                            band.clone()
                                .flat_map(|b| (0..count).map(move |k| k * after + b))
                                .map(|k| slab[k]),
                        );
                        plan.process(&mut line);
                        for (b, line) in band.zip(line.chunks_exact(count)) {
                            line.iter().enumerate().for_each(|(k, v)| slab[k * after + b] = *v);
                        }
                    }
                }
            }
            after *= count;
        }
    }

    /// A times the real and the imaginary part, which do not mix: the matrix is real.
    fn multiply(&self, values: &mut [Complex<f64>]) {
        self.transform(values, false);
        values.iter_mut().zip(&self.spectrum).for_each(|(v, s)| *v *= s);
        self.transform(values, true);
    }

    /// A times the columns of `rhs`, whose entry i is entry `place(i)` of the circulant's vectors.
    fn apply_at(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>, places: Option<&[usize]>) {
        let (n, t) = rhs.shape();
        let place = |i: usize| places.map_or(i, |p| p[i]);
        let results = map_tasks::<T, _>(t.div_ceil(2), |pair, _| {
            let mut values = vec![Complex::default(); self.column.len()];
            for i in 0..n {
                let second = if 2 * pair + 1 < t { rhs[(i, 2 * pair + 1)].to_f64() } else { 0.0 };
                values[place(i)] = Complex::new(rhs[(i, 2 * pair)].to_f64(), second);
            }
            self.multiply(&mut values);
            (0..n).map(|i| values[place(i)]).collect::<Vec<_>>()
        });
        for (pair, values) in results.into_iter().enumerate() {
            for (i, value) in values.into_iter().enumerate() {
                out[(i, 2 * pair)] = T::of(value.re);
                if 2 * pair + 1 < t {
                    out[(i, 2 * pair + 1)] = T::of(value.im);
                }
            }
        }
    }

    /// The entry of two indices along the axes.
    fn entry(&self, i: &[usize], j: &[usize]) -> T {
        let k = i
            .iter()
            .zip(j)
            .zip(&self.shape)
            .fold(0, |k, ((i, j), count)| k * count + (i + count - j) % count);
        self.column[k]
    }
}

impl<T: Real> Operator<T> for Circulant<T> {
    fn dim(&self) -> usize {
        self.column.len()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_shape(rhs.shape(), (self.dim(), rhs.ncols()))?;
        check_shape(out.shape(), rhs.shape())?;
        self.apply_at(rhs, out, None);
        Ok(())
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        out.fill(self.column.first().copied().unwrap_or_default());
        Ok(())
    }
    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        fill_columns(self, &self.shape, indices, out)
    }
}

fn fill_columns<T: Real>(
    circulant: &Circulant<T>,
    counts: &[usize],
    indices: &[usize],
    mut out: DMatrixViewMut<'_, T>,
) -> Result<(), Error> {
    check_columns(counts.iter().product(), indices, out.shape())?;
    let (mut row, mut col) = (vec![0; counts.len()], vec![0; counts.len()]);
    for (to, &j) in indices.iter().enumerate() {
        unravel(j, counts, &mut col);
        for i in 0..out.nrows() {
            unravel(i, counts, &mut row);
            out[(i, to)] = circulant.entry(&row, &col);
        }
    }
    Ok(())
}

/// The kernel matrix of a kernel of x − y on a regular [`Grid`]: a Toeplitz matrix, of a level for each axis. It is part of a
/// circulant matrix of less than about twice the size along each axis, by which it is applied.
///
/// **Complexity.** O(n log n) for a product with a vector, O(n) memory: the whole of a grid of a million points, whose dense matrix
/// would have 8 TB.
///
/// ```
/// use kernels_core::{Matern, Operator, gram, structured::{Grid, Toeplitz}};
/// use nalgebra::DMatrix;
/// let grid = Grid::new(&[0.0, 0.0], &[0.1, 0.2], &[6, 5])?;
/// let kernel = Matern::new(1.5, 0.5)?;
/// let fast = Toeplitz::<f64>::new(&kernel, &grid)?;
/// let dense: DMatrix<f64> = gram(&kernel, &grid.points()?)?;
/// let v = DMatrix::from_fn(30, 1, |i, _| i as f64);
/// let mut out = DMatrix::<f64>::zeros(30, 1);
/// fast.apply(v.as_view(), out.as_view_mut())?;
/// assert!((out - dense * v).amax() < 1e-10);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Toeplitz<T: Real> {
    circulant: Circulant<T>,
    counts: Vec<usize>,
    /// Where the grid's points are in the circulant.
    places: Vec<usize>,
}

impl<T: Real> Toeplitz<T> {
    /// The Gram matrix of `kernel` on the points of `grid`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the kernel is not one of x − y (found by comparing pairs at equal offsets), what [`Kernel::check`] says,
    /// [`Error::Memory`].
    pub fn new<K: Kernel<Rows<T>> + ?Sized>(kernel: &K, grid: &Grid) -> Result<Self, Error> {
        let points = grid.points::<T>()?;
        kernel.check(&points)?;
        let n = grid.len();
        if n > 0 {
            check_stationary(kernel, &points)?;
        }
        let dim = grid.counts().len();
        let mut offset = vec![T::default(); dim];
        let origin = vec![T::default(); dim];
        let mut diagonal = [T::default()];
        if n > 0 {
            kernel.diagonal(&points, 0..1, &mut diagonal);
        }
        Self::embed(grid.counts(), |steps| {
            for ((offset, &s), step) in offset.iter_mut().zip(steps).zip(grid.step()) {
                *offset = T::of(s as f64 * step);
            }
            if steps.iter().all(|s| *s == 0) { diagonal[0] } else { kernel.eval(&offset, &origin) }
        })
    }

    /// The symmetric Toeplitz matrix with this first column.
    ///
    /// # Errors
    /// [`Error::NotFinite`].
    pub fn from_column(column: &[T]) -> Result<Self, Error> {
        match column.iter().position(|v| !v.is_finite()) {
            Some(row) => Err(Error::NotFinite { row, column: 0, value: column[row].to_f64() }),
            None => Self::embed(&[column.len()], |steps| column[steps[0].unsigned_abs()]),
        }
    }

    fn embed(counts: &[usize], mut value: impl FnMut(&[isize]) -> T) -> Result<Self, Error> {
        let shape: Vec<usize> = counts.iter().map(|&c| fast_length((2 * c).saturating_sub(1))).collect();
        let n: usize = counts.iter().product();
        let size: usize = if n == 0 { 0 } else { shape.iter().product() };
        let shape = if n == 0 { vec![0; counts.len()] } else { shape };
        let mut column = Vec::new();
        column.try_reserve_exact(size).map_err(|_| Error::Memory {
            what: "a Toeplitz matrix",
            needed: size.saturating_mul(size_of::<T>()),
            available: 0,
        })?;
        let (mut index, mut steps) = (vec![0; counts.len()], vec![0_isize; counts.len()]);
        for i in 0..size {
            unravel(i, &shape, &mut index);
            let mut within = true;
            for k in 0..counts.len() {
                let back = shape[k] - index[k];
                // Offsets up to count − 1 forward, then backward; what is between never meets the grid.
                steps[k] = if index[k] < counts[k] { index[k].cast_signed() } else { -back.cast_signed() };
                within &= steps[k].unsigned_abs() < counts[k].max(1);
            }
            column.push(if within { value(&steps) } else { T::default() });
        }
        let places = (0..n)
            .map(|i| {
                unravel(i, counts, &mut index);
                ravel(&index, &shape)
            })
            .collect();
        Ok(Self { circulant: Circulant::new(&shape, column)?, counts: counts.to_vec(), places })
    }
}

impl<T: Real> Toeplitz<T> {
    /// The entry of two points of the grid, by their indices along the axes.
    pub(super) fn entry(&self, i: &[usize], j: &[usize]) -> T {
        self.circulant.entry(i, j)
    }
}

/// k(x₀, xⱼ) against k(xₙ₋₁₋ⱼ, xₙ₋₁), which lie at the same offset.
fn check_stationary<T: Real, K: Kernel<Rows<T>> + ?Sized>(kernel: &K, points: &Rows<T>) -> Result<(), Error> {
    let n = points.len();
    let mut size = 0.0_f64;
    for j in (0..n).step_by(n.div_ceil(16)) {
        let first = kernel.eval(points.point(0), points.point(j)).to_f64();
        let last = kernel.eval(points.point(n - 1 - j), points.point(n - 1)).to_f64();
        size = size.max(first.abs());
        let tolerance = if T::EPSILON.to_f64() < 1e-10 { 1e-6 } else { 1e-2 };
        if (first - last).abs() > tolerance * size {
            return Err(Error::Parameter {
                name: "kernel".into(),
                value: first - last,
                expected: "the same values at the same offsets: on a grid only kernels of x - y have a Toeplitz matrix",
            });
        }
    }
    Ok(())
}

/// The least product of 2, 3 and 5 that is not below `n`: transforms of such lengths are fast.
fn fast_length(n: usize) -> usize {
    let smooth = |mut k: usize| {
        for p in [2, 3, 5] {
            while k.is_multiple_of(p) {
                k /= p;
            }
        }
        k == 1
    };
    (n.max(1)..).find(|k| smooth(*k)).unwrap_or(n)
}

impl<T: Real> Operator<T> for Toeplitz<T> {
    fn dim(&self) -> usize {
        self.places.len()
    }
    fn apply(&self, rhs: DMatrixView<'_, T>, out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_shape(rhs.shape(), (self.dim(), rhs.ncols()))?;
        check_shape(out.shape(), rhs.shape())?;
        self.circulant.apply_at(rhs, out, Some(&self.places));
        Ok(())
    }
    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        out.fill(self.circulant.column.first().copied().unwrap_or_default());
        Ok(())
    }
    fn columns(&self, indices: &[usize], out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        fill_columns(&self.circulant, &self.counts, indices, out)
    }
}
