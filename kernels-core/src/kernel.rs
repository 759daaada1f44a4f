//! What a kernel is.

use std::{fmt, ops::Range};

use nalgebra::{DMatrixView, DMatrixViewMut};

use crate::{Describe, Error, Jet, Points, Real, Workspace};

/// A block of a kernel matrix in a caller's memory: column-major, columns contiguous.
pub type Tile<'t, T> = DMatrixViewMut<'t, T>;

/// A symmetric function of two points.
///
/// Only [`eval`](Kernel::eval) is required. A family with structure overrides [`block`](Kernel::block), which is
/// what every Gram matrix, operator and solver calls; a composition forwards it to its parts.
///
/// ```
/// use kernels_core::{Kernel, Describe, Points, Rows, gram};
/// use nalgebra::dmatrix;
///
/// struct Overlap;
/// impl Describe for Overlap {}
/// impl Kernel<Rows<f64>> for Overlap {
///     fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
///         x.iter().zip(y).filter(|(a, b)| a == b).count() as f64
///     }
/// }
/// let xs = Rows::new(&dmatrix![1.0, 2.0; 1.0, 3.0]);
/// assert_eq!(gram(&Overlap, &xs)?, dmatrix![2.0, 1.0; 1.0, 2.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub trait Kernel<P: Points + ?Sized>: Describe + Send + Sync {
    /// k(x, y) of two points taken as different occurrences: [`White`](crate::White) noise is 0 here even when they
    /// are equal. NaN in, NaN out.
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar;

    /// Overwrites `out[(i, j)]` with the kernel of row point `i` and column point `j` of the block.
    ///
    /// A value depends on its two points (and on `ys`, as the origin for distances), never on how a matrix
    /// is cut into blocks: any tiling gives the same bits, and a block and its mirror are bitwise transposes.
    ///
    /// The shape of `out` must be [`Block::shape`]; [`gram`](crate::gram) and its siblings see to that.
    fn block(&self, at: &Block<'_, P>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        let (rows, cols) = (at.rows(), at.cols());
        // A pair of one data set is taken as (later, earlier), and once where it stands twice.
        let half = at.is_within() && rows == cols;
        for (j, c) in cols.enumerate() {
            let first = if half { j } else { 0 };
            for (i, r) in rows.clone().enumerate().skip(first) {
                let turned = at.is_within() && r < c;
                let (x, y) = if turned { (c, r) } else { (r, c) };
                out[(i, j)] = self.eval(at.xs().point(x), at.ys().point(y));
            }
        }
        if half {
            out.fill_upper_triangle_with_lower_triangle();
        }
        let _ = ws;
    }

    /// Overwrites `out[i]` with the diagonal entry of point `rows.start + i` of the Gram matrix of `xs`.
    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        for (out, i) in out.iter_mut().zip(rows) {
            *out = self.eval(xs.point(i), xs.point(i));
        }
    }

    /// Adds to `gradient[p]` the sum over the block of `weights[(i, j)] * dK[(i, j)] / d param p`, by natural
    /// parameter values in the order of [`Describe::params`]. Kernels with parameters override this.
    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        let _ = (at, weights, gradient, ws);
    }

    /// Fills `jet` with the value and the derivatives by the features of two points; `false`, with anything in `jet`, when
    /// the kernel has none of the order asked for. See [`Differentiable`](crate::Differentiable).
    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        let _ = (x, y, jet);
        false
    }

    /// Whether these points are in the kernel's domain: a length scale a feature, counts not negative, and so on.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Domain`].
    fn check(&self, xs: &P) -> Result<(), Error> {
        let _ = xs;
        Ok(())
    }
}

/// Which entries of a kernel matrix are wanted.
#[derive(Debug)]
pub struct Block<'a, P: ?Sized> {
    xs: &'a P,
    ys: &'a P,
    rows: Range<usize>,
    cols: Range<usize>,
    within: bool,
}

impl<P: ?Sized> Clone for Block<'_, P> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), cols: self.cols.clone(), ..*self }
    }
}

impl<'a, P: Points + ?Sized> Block<'a, P> {
    /// A block of the Gram matrix of one data set: entry (i, i) is a point with itself.
    ///
    /// # Errors
    /// [`Error::Shape`] when a range leaves the data set.
    pub fn within(xs: &'a P, rows: Range<usize>, cols: Range<usize>) -> Result<Self, Error> {
        Self::checked(xs, rows, xs, cols, true)
    }

    /// A block of the matrix between two data sets, whose points never are the same occurrence.
    ///
    /// # Errors
    /// [`Error::Shape`] when a range leaves its data set or the points cannot be compared.
    pub fn between(xs: &'a P, rows: Range<usize>, ys: &'a P, cols: Range<usize>) -> Result<Self, Error> {
        xs.check_compatible(ys)?;
        Self::checked(xs, rows, ys, cols, false)
    }

    fn checked(
        xs: &'a P,
        rows: Range<usize>,
        ys: &'a P,
        cols: Range<usize>,
        within: bool,
    ) -> Result<Self, Error> {
        for (range, n) in [(&rows, xs.len()), (&cols, ys.len())] {
            if range.start > range.end || range.end > n {
                return Err(Error::Shape {
                    what: "end of a range of points (at most)",
                    expected: n,
                    given: range.end,
                });
            }
        }
        Ok(Self { xs, ys, rows, cols, within })
    }

    /// Data set of the rows.
    pub fn xs(&self) -> &'a P {
        self.xs
    }

    /// Data set of the columns.
    pub fn ys(&self) -> &'a P {
        self.ys
    }

    /// Which points of [`Block::xs`] the rows are.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Which points of [`Block::ys`] the columns are.
    pub fn cols(&self) -> Range<usize> {
        self.cols.clone()
    }

    /// Number of rows and of columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows.len(), self.cols.len())
    }

    /// Whether rows and columns are points of one data set, so that equal indices are the same occurrence.
    pub fn is_within(&self) -> bool {
        self.within
    }

    /// The block's entries on the diagonal of the whole Gram matrix, as (row, column) within the block.
    pub fn diagonal_entries(&self) -> impl Iterator<Item = (usize, usize)> + use<P> {
        let (rows, cols) = (self.rows(), self.cols());
        let both = if self.within { rows.start.max(cols.start)..rows.end.min(cols.end) } else { 0..0 };
        both.map(move |k| (k - rows.start, k - cols.start))
    }

    /// The same entries of other data sets of the same sizes: for kernels that transform their points.
    pub fn of<'b, Q: Points + ?Sized>(&self, xs: &'b Q, ys: &'b Q) -> Result<Block<'b, Q>, Error> {
        Block::checked(xs, self.rows(), ys, self.cols(), self.within)
    }
}

/// How definite the Gram matrices of a kernel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definiteness {
    /// Positive (semi)definite on every finite set of points.
    Positive,
    /// Conditionally positive definite of this order m ≥ 1: on coefficients orthogonal to all polynomials of
    /// degree below m.
    Conditional(usize),
    /// Neither is known.
    Indefinite,
}

impl fmt::Display for Definiteness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Positive => f.write_str("positive definite"),
            Self::Conditional(order) => write!(f, "conditionally positive definite of order {order}"),
            Self::Indefinite => f.write_str("indefinite"),
        }
    }
}

/// Marks kernels that a solver for positive definite kernels accepts: positive definite by their type, or dynamic
/// (read from text, boxed) and then checked by value when the solver starts.
///
/// Indefinite families such as [`Sigmoid`](crate::Sigmoid) do not carry it, so that fitting with them does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a positive definite kernel",
    note = "use a positive definite family, or implement `PositiveDefinite` for your kernel if it is one"
)]
pub trait PositiveDefinite {}

impl<P: Points + ?Sized, K: Kernel<P> + ?Sized> Kernel<P> for Box<K> {
    fn eval(&self, x: P::Point<'_>, y: P::Point<'_>) -> P::Scalar {
        (**self).eval(x, y)
    }
    fn block(&self, at: &Block<'_, P>, out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        (**self).block(at, out, ws);
    }
    fn diagonal(&self, xs: &P, rows: Range<usize>, out: &mut [P::Scalar]) {
        (**self).diagonal(xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, P>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        (**self).block_gradient(at, weights, gradient, ws);
    }
    fn jet(&self, x: P::Point<'_>, y: P::Point<'_>, jet: &mut Jet<P::Scalar>) -> bool {
        (**self).jet(x, y, jet)
    }
    fn check(&self, xs: &P) -> Result<(), Error> {
        (**self).check(xs)
    }
}

impl<K: ?Sized> PositiveDefinite for Box<K> {}

/// The diagonal of the whole Gram matrix.
///
/// # Errors
/// What [`Kernel::check`] says of the points.
///
/// ```
/// use kernels_core::{Linear, Rows, diagonal};
/// let xs = Rows::from_row_major(vec![1.0, 2.0], 2, 1)?;
/// assert_eq!(diagonal(&Linear::new(0.0)?, &xs)?, vec![1.0, 4.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn diagonal<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
) -> Result<Vec<P::Scalar>, Error> {
    kernel.check(xs)?;
    let mut out = vec![P::Scalar::of(0.0); xs.len()];
    kernel.diagonal(xs, 0..xs.len(), &mut out);
    Ok(out)
}
