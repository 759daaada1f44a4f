//! Operators made of operators: Kronecker products, blocks, entry by entry products.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use super::grid::unravel;
use crate::{
    Error, Operator, Real,
    engine::{allocate, check_shape, multiply_dense},
    operator::{check_columns, check_len},
};

/// A₁ ⊗ A₂ ⊗ …: the kernel matrix of a product of kernels on all combinations of points, the last factor's running fastest.
///
/// **Complexity.** A product with a vector applies each factor to n / nᵢ vectors.
///
/// ```
/// use kernels_core::{Dense, Operator, structured::Kronecker};
/// use nalgebra::dmatrix;
/// let a = Dense::new(dmatrix![2.0, 1.0; 1.0, 2.0])?;
/// let b = Dense::new(dmatrix![1.0, 0.5; 0.5, 1.0])?;
/// let k = Kronecker::new(vec![Box::new(a), Box::new(b)])?;
/// let mut column = dmatrix![0.0; 0.0; 0.0; 0.0];
/// k.columns(&[0], column.as_view_mut())?;
/// assert_eq!(column, dmatrix![2.0; 1.0; 1.0; 0.5]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub struct Kronecker<T: Real> {
    factors: Vec<Box<dyn Operator<T>>>,
    counts: Vec<usize>,
    n: usize,
}

impl<T: Real> Kronecker<T> {
    /// The product of these factors.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no factor, [`Error::Memory`] for an order that cannot be counted.
    pub fn new(factors: Vec<Box<dyn Operator<T>>>) -> Result<Self, Error> {
        if factors.is_empty() {
            return Err(Error::TooFewPoints { what: "a Kronecker product (factors)", needed: 1, given: 0 });
        }
        let counts: Vec<usize> = factors.iter().map(|f| f.dim()).collect();
        let n = counts.iter().try_fold(1_usize, |n, c| n.checked_mul(*c)).ok_or(Error::Memory {
            what: "a Kronecker product",
            needed: usize::MAX,
            available: 0,
        })?;
        Ok(Self { factors, counts, n })
    }

    /// The factors.
    pub fn factors(&self) -> &[Box<dyn Operator<T>>] {
        &self.factors
    }
}

impl<T: Real> Operator<T> for Kronecker<T> {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        let t = rhs.ncols();
        check_shape(rhs.shape(), (self.n, t))?;
        check_shape(out.shape(), (self.n, t))?;
        out.copy_from(&rhs);
        if self.n == 0 {
            return Ok(());
        }
        let mut after = 1;
        for (factor, &count) in self.factors.iter().zip(&self.counts).rev() {
            // Lines along this factor's axis as columns.
            let lines = self.n / count;
            let place = |line: usize, k: usize| (line / after * count + k) * after + line % after;
            let (mut before, mut image) =
                (allocate::<T>(count, lines * t)?, allocate::<T>(count, lines * t)?);
            for c in 0..t {
                for line in 0..lines {
                    (0..count).for_each(|k| before[(k, c * lines + line)] = out[(place(line, k), c)]);
                }
            }
            factor.apply(before.as_view(), image.as_view_mut())?;
            for c in 0..t {
                for line in 0..lines {
                    (0..count).for_each(|k| out[(place(line, k), c)] = image[(k, c * lines + line)]);
                }
            }
            after *= count;
        }
        Ok(())
    }

    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.n, out.len())?;
        out.fill(T::of(1.0));
        let mut after = self.n;
        for (factor, &count) in self.factors.iter().zip(&self.counts) {
            let mut diagonal = vec![T::default(); count];
            factor.diagonal(&mut diagonal)?;
            after = after.checked_div(count).unwrap_or(0);
            out.iter_mut().enumerate().for_each(|(i, out)| *out *= diagonal[i / after % count]);
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_columns(self.n, indices, out.shape())?;
        let mut index = vec![0; self.counts.len()];
        for (to, &j) in indices.iter().enumerate() {
            unravel(j, &self.counts, &mut index);
            out.column_mut(to).fill(T::of(1.0));
            let mut after = self.n;
            for ((factor, &count), &k) in self.factors.iter().zip(&self.counts).zip(&index) {
                let mut column = DMatrix::repeat(count, 1, T::default());
                factor.columns(&[k], column.as_view_mut())?;
                after /= count;
                (0..self.n).for_each(|i| out[(i, to)] *= column[(i / after % count, 0)]);
            }
        }
        Ok(())
    }
}

/// A symmetric matrix of blocks: operators on the diagonal, dense matrices beside it.
///
/// ```
/// use kernels_core::{Dense, Operator, structured::Blocks};
/// use nalgebra::dmatrix;
/// let part = || Box::new(Dense::new(dmatrix![2.0]).unwrap());
/// let a = Blocks::new(vec![part(), part()])?.with_block(1, 0, dmatrix![0.5])?;
/// let mut out = dmatrix![0.0; 0.0];
/// a.apply(dmatrix![1.0; 0.0].as_view(), out.as_view_mut())?;
/// assert_eq!(out, dmatrix![2.0; 0.5]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub struct Blocks<T: Real> {
    diagonal: Vec<Box<dyn Operator<T>>>,
    /// Where each diagonal block begins, and the order at the end.
    starts: Vec<usize>,
    /// Blocks below the diagonal with their transposes: (row block, column block).
    beside: Vec<(usize, usize, DMatrix<T>, DMatrix<T>)>,
}

impl<T: Real> Blocks<T> {
    /// The block diagonal matrix of these operators.
    ///
    /// # Errors
    /// [`Error::Memory`] for an order that cannot be counted.
    pub fn new(diagonal: Vec<Box<dyn Operator<T>>>) -> Result<Self, Error> {
        let mut starts = vec![0];
        for part in &diagonal {
            let last = starts.last().copied().unwrap_or(0_usize);
            let what = "a matrix of blocks";
            starts.push(last.checked_add(part.dim()).ok_or(Error::Memory {
                what,
                needed: usize::MAX,
                available: 0,
            })?);
        }
        Ok(Self { diagonal, starts, beside: Vec::new() })
    }

    /// The same with `block` at block row `row` and block column `column`, and its transpose across the diagonal; blocks set twice add up.
    ///
    /// # Errors
    /// [`Error::Shape`] when there is no such place, it is on the diagonal, or the block does not fit.
    pub fn with_block(mut self, row: usize, column: usize, block: DMatrix<T>) -> Result<Self, Error> {
        let parts = self.diagonal.len();
        for given in [row, column] {
            if given >= parts {
                return Err(Error::Shape { what: "index of a block (below)", expected: parts, given });
            }
        }
        if row == column {
            return Err(Error::Shape {
                what: "block beside the diagonal: row other than",
                expected: column,
                given: row,
            });
        }
        check_len("rows of a block", self.diagonal[row].dim(), block.nrows())?;
        check_len("columns of a block", self.diagonal[column].dim(), block.ncols())?;
        let transposed = block.transpose();
        self.beside.push(if row > column {
            (row, column, block, transposed)
        } else {
            (column, row, transposed, block)
        });
        Ok(self)
    }
}

impl<T: Real> Operator<T> for Blocks<T> {
    fn dim(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_shape(rhs.shape(), (self.dim(), rhs.ncols()))?;
        check_shape(out.shape(), rhs.shape())?;
        let place = |b: usize| (self.starts[b], self.starts[b + 1] - self.starts[b]);
        for (b, part) in self.diagonal.iter().enumerate() {
            let (first, count) = place(b);
            part.apply(rhs.rows(first, count), out.rows_mut(first, count))?;
        }
        for (row, column, block, transposed) in &self.beside {
            for (to, from, matrix) in [(*row, *column, block), (*column, *row, transposed)] {
                let ((first, count), (start, width)) = (place(to), place(from));
                let mut image = DMatrix::repeat(count, rhs.ncols(), T::default());
                multiply_dense(matrix, rhs.rows(start, width), image.as_view_mut())?;
                let mut to = out.rows_mut(first, count);
                to += image;
            }
        }
        Ok(())
    }

    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        check_len("diagonal", self.dim(), out.len())?;
        for (part, bounds) in self.diagonal.iter().zip(self.starts.windows(2)) {
            part.diagonal(&mut out[bounds[0]..bounds[1]])?;
        }
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        check_columns(self.dim(), indices, out.shape())?;
        out.fill(T::default());
        for (to, &j) in indices.iter().enumerate() {
            let b = self.starts.partition_point(|s| *s <= j) - 1;
            let local = j - self.starts[b];
            let mut column = out.column_mut(to);
            let (first, count) = (self.starts[b], self.diagonal[b].dim());
            let mut own = DMatrix::repeat(count, 1, T::default());
            self.diagonal[b].columns(&[local], own.as_view_mut())?;
            column.rows_mut(first, count).copy_from(&own.column(0));
            for (row, col, block, transposed) in &self.beside {
                for (target, from, matrix) in [(*row, *col, block), (*col, *row, transposed)] {
                    if from == b {
                        let mut rows = column.rows_mut(self.starts[target], matrix.nrows());
                        rows += matrix.column(local);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A ∘ B, the entry by entry product: the kernel matrix of a product of kernels from operators of the factors.
///
/// **Complexity.** A product forms all columns of both, some at a time: n² entries, O(n) memory.
///
/// ```
/// use kernels_core::{Dense, Operator, structured::Hadamard};
/// use nalgebra::dmatrix;
/// let a = Dense::new(dmatrix![2.0, 1.0; 1.0, 2.0])?;
/// let k = Hadamard::new::<f64>(a.clone(), a)?;
/// let mut out = dmatrix![0.0; 0.0];
/// k.apply(dmatrix![1.0; 1.0].as_view(), out.as_view_mut())?;
/// assert_eq!(out, dmatrix![5.0; 5.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Hadamard<A, B> {
    first: A,
    second: B,
}

impl<A, B> Hadamard<A, B> {
    /// The entry by entry product of two operators of the same order.
    ///
    /// # Errors
    /// [`Error::Shape`] when their orders differ.
    pub fn new<T: Real>(first: A, second: B) -> Result<Self, Error>
    where
        A: Operator<T>,
        B: Operator<T>,
    {
        check_len("order of the second operator", first.dim(), second.dim())?;
        Ok(Self { first, second })
    }
}

/// Columns formed at a time.
const PANEL: usize = 64;

impl<T: Real, A: Operator<T>, B: Operator<T>> Operator<T> for Hadamard<A, B> {
    fn dim(&self) -> usize {
        self.first.dim()
    }

    fn apply(&self, rhs: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        let n = self.dim();
        check_shape(rhs.shape(), (n, rhs.ncols()))?;
        check_shape(out.shape(), rhs.shape())?;
        out.fill(T::default());
        for start in (0..n).step_by(PANEL) {
            let panel: Vec<usize> = (start..(start + PANEL).min(n)).collect();
            let mut columns = allocate::<T>(n, panel.len())?;
            self.columns(&panel, columns.as_view_mut())?;
            out.gemm(T::of(1.0), &columns, &rhs.rows(start, panel.len()), T::of(1.0));
        }
        Ok(())
    }

    fn diagonal(&self, out: &mut [T]) -> Result<(), Error> {
        self.first.diagonal(out)?;
        let mut second = vec![T::default(); out.len()];
        self.second.diagonal(&mut second)?;
        out.iter_mut().zip(second).for_each(|(a, b)| *a *= b);
        Ok(())
    }

    fn columns(&self, indices: &[usize], mut out: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        self.first.columns(indices, out.as_view_mut())?;
        let mut second = allocate::<T>(out.nrows(), out.ncols())?;
        self.second.columns(indices, second.as_view_mut())?;
        out.component_mul_assign(&second);
        Ok(())
    }
}
