//! Training data that need not fit in memory.

mod npy;

use kernels_core::{Error as CoreError, Points};
use nalgebra::DMatrix;
pub use npy::NpyFiles;

use crate::{Error, Targets, data::expect};

/// Training data by blocks of rows, in the same order at every pass: what large-scale solvers read.
///
/// [`InMemory`] wraps points and targets; [`NpyFiles`] reads files, and so can a source of your own: it yields what it has just read,
/// so that only one block is in memory.
///
/// ```
/// use kernels_core::{Points, Rbf, Rows};
/// use kernels_solvers::{BlockSource, Error, Falkon};
/// use nalgebra::DMatrix;
/// /// Rows that are computed when they are asked for.
/// struct Sines(usize);
/// impl Sines {
///     fn rows(&self, of: impl Iterator<Item = usize>) -> Result<Rows<f64>, Error> {
///         let x: Vec<f64> = of.map(|i| i as f64 / 100.0).collect();
///         let n = x.len();
///         Ok(Rows::from_row_major(x, n, 1)?)
///     }
/// }
/// impl BlockSource for Sines {
///     type Points = Rows<f64>;
///     fn len(&self) -> usize {
///         self.0
///     }
///     fn outputs(&self) -> usize {
///         1
///     }
///     fn pass(
///         &mut self,
///         visit: &mut dyn FnMut(&Rows<f64>, &DMatrix<f64>) -> Result<(), Error>,
///     ) -> Result<(), Error> {
///         for start in (0..self.0).step_by(100) {
///             let xs = self.rows(start..(start + 100).min(self.0))?;
///             let y = xs.to_matrix().map(f64::sin);
///             visit(&xs, &y)?;
///         }
///         Ok(())
///     }
///     fn select(&mut self, indices: &[usize]) -> Result<Rows<f64>, Error> {
///         self.rows(indices.iter().copied())
///     }
/// }
/// let (model, _) = Falkon::new(Rbf::new(0.7)?, 20).lambda(1e-8).fit_source(&mut Sines(450), &mut ())?;
/// assert!((model.predict(&Rows::from_row_major(vec![1.234], 1, 1)?)?[0] - 1.234_f64.sin()).abs() < 1e-3);
/// # Ok::<(), Error>(())
/// ```
pub trait BlockSource {
    /// Kind of points.
    type Points: Points;

    /// Number of samples in all.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of outputs t.
    fn outputs(&self) -> usize;

    /// Calls `visit` with every block, its points and its targets (rows × t), from the first on.
    ///
    /// # Errors
    /// What reading or `visit` says; [`Error::Source`] for failures of reading.
    fn pass(
        &mut self,
        visit: &mut dyn FnMut(&Self::Points, &DMatrix<f64>) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// The points of the given indices, in that order.
    ///
    /// # Errors
    /// An index that is not below [`BlockSource::len`]; what reading says.
    fn select(&mut self, indices: &[usize]) -> Result<Self::Points, Error>;
}

/// Points and targets in memory, as one block.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_solvers::{BlockSource, InMemory};
/// let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1)?;
/// let source = InMemory::new(xs, &vec![1.0, 2.0])?;
/// assert_eq!((source.len(), source.outputs()), (2, 1));
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemory<P> {
    xs: P,
    y: DMatrix<f64>,
}

impl<P: Points> InMemory<P> {
    /// Points with one row of targets each.
    ///
    /// # Errors
    /// Different numbers of them.
    pub fn new<Y: Targets + ?Sized>(xs: P, y: &Y) -> Result<Self, Error> {
        let y = y.to_matrix();
        expect("rows of the targets (one a sample)", xs.len(), y.nrows())?;
        Ok(Self { xs, y })
    }
}

impl<P: Points> BlockSource for InMemory<P> {
    type Points = P;

    fn len(&self) -> usize {
        self.xs.len()
    }

    fn outputs(&self) -> usize {
        self.y.ncols()
    }

    fn pass(&mut self, visit: &mut dyn FnMut(&P, &DMatrix<f64>) -> Result<(), Error>) -> Result<(), Error> {
        visit(&self.xs, &self.y)
    }

    fn select(&mut self, indices: &[usize]) -> Result<P, Error> {
        Ok(self.xs.subset(indices)?)
    }
}

/// Checks a source once, before any arithmetic: sizes as announced, finite values.
pub(crate) fn check_source<S: BlockSource + ?Sized>(what: &'static str, source: &mut S) -> Result<(), Error> {
    let (n, outputs) = (source.len(), source.outputs());
    if n == 0 {
        return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
    }
    if outputs == 0 {
        return Err(
            CoreError::Shape { what: "columns of the targets (at least)", expected: 1, given: 0 }.into()
        );
    }
    let mut seen = 0;
    source.pass(&mut |xs, y| {
        expect("rows of the targets of a block", xs.len(), y.nrows())?;
        expect("columns of the targets of a block", outputs, y.ncols())?;
        xs.check_finite()?;
        if let Some(k) = y.as_slice().iter().position(|v| !v.is_finite()) {
            let (row, value) = (seen + k % y.nrows(), y.as_slice()[k]);
            return Err(Error::Value { what: "target", row, value, expected: "a finite number" });
        }
        seen += xs.len();
        Ok(())
    })?;
    expect("rows of all blocks together", n, seen)
}
