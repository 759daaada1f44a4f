//! Data sets of paths: sequences of points of ℝᵈ, of any lengths.

use std::{ops::Range, sync::Arc};

use nalgebra::DMatrix;

use crate::{Error, Points, Real, Rows};

/// A data set of paths: sequences of knots in ℝᵈ, each of its own length, at least 1.
///
/// All knots are kept one after the other, so that a ragged data set needs no padding; cloning shares the storage.
///
/// ```
/// use kernels_core::{Paths, Points, Rows};
/// // Two paths in the plane, of 2 and of 3 knots.
/// let knots = Rows::from_row_major(vec![0.0, 0.0, 1.0, 2.0, 5.0, 5.0, 6.0, 5.0, 6.0, 7.0], 5, 2)?;
/// let paths = Paths::new(knots, &[2, 3])?;
/// assert_eq!((paths.len(), paths.dim()), (2, 2));
/// assert_eq!(paths.point(1).knot(2), &[6.0, 7.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Paths<T> {
    knots: Rows<T>,
    /// Path i has the knots `offsets[i]..offsets[i + 1]`.
    offsets: Arc<[usize]>,
}

/// One path of a [`Paths`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path<'a, T> {
    values: &'a [T],
    dim: usize,
    len: usize,
}

impl<'a, T: Real> Path<'a, T> {
    /// A path over values stored knot by knot.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of values is not a multiple of `dim`, [`Error::TooFewPoints`] without a knot.
    pub fn new(values: &'a [T], dim: usize) -> Result<Self, Error> {
        if dim == 0 || values.is_empty() {
            return Err(Error::TooFewPoints { what: "a path (values)", needed: 1, given: 0 });
        }
        let len = values.len() / dim;
        if len * dim != values.len() {
            return Err(Error::Shape {
                what: "values of a path (knots * dim)",
                expected: (len + 1) * dim,
                given: values.len(),
            });
        }
        Ok(Self { values, dim, len })
    }

    /// Number of knots.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no knots; a path of a data set has at least one.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of features of a knot.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Knot `i`; `i` must be less than [`Path::len`].
    pub fn knot(&self, i: usize) -> &'a [T] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All values, knot by knot.
    pub fn as_slice(&self) -> &'a [T] {
        self.values
    }
}

impl<T: Real> Paths<T> {
    /// Cuts knots into paths of the given lengths.
    ///
    /// # Errors
    /// [`Error::Shape`] when the lengths do not add up to the number of knots, [`Error::TooFewPoints`] when one is 0.
    pub fn new(knots: Rows<T>, lengths: &[usize]) -> Result<Self, Error> {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0_usize;
        offsets.push(end);
        for &length in lengths {
            if length == 0 {
                return Err(Error::TooFewPoints { what: "a path (knots)", needed: 1, given: 0 });
            }
            end = end.saturating_add(length);
            offsets.push(end);
        }
        if end != knots.len() {
            return Err(Error::Shape {
                what: "knots of all paths (the sum of their lengths)",
                expected: end,
                given: knots.len(),
            });
        }
        Ok(Self { knots, offsets: offsets.into() })
    }

    /// `n` paths of the same length, stored path by path, knot by knot: an n × length × dim array in C order.
    ///
    /// # Errors
    /// [`Error::Shape`] when `values` does not hold n · length · dim values, [`Error::TooFewPoints`] for a length of 0.
    ///
    /// ```
    /// use kernels_core::{Paths, Points};
    /// let paths = Paths::from_array((0..12).map(f64::from).collect(), 2, 3, 2)?;
    /// assert_eq!(paths.point(1).knot(0), &[6.0, 7.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn from_array(values: Vec<T>, n: usize, length: usize, dim: usize) -> Result<Self, Error> {
        let knots = Rows::from_row_major(values, n.saturating_mul(length), dim)?;
        Self::new(knots, &vec![length; n])
    }

    /// One path a matrix: knots are rows.
    ///
    /// # Errors
    /// [`Error::Shape`] when the matrices differ in their columns, [`Error::TooFewPoints`] when one has no rows.
    pub fn from_matrices(matrices: &[DMatrix<T>]) -> Result<Self, Error> {
        let dim = matrices.first().map_or(0, DMatrix::ncols);
        let mut values = Vec::new();
        for m in matrices {
            if m.ncols() != dim {
                return Err(Error::Shape { what: "features of a path", expected: dim, given: m.ncols() });
            }
            for row in m.row_iter() {
                values.extend(row.iter().copied());
            }
        }
        let lengths: Vec<usize> = matrices.iter().map(DMatrix::nrows).collect();
        let knots = Rows::from_row_major(values, lengths.iter().sum(), dim)?;
        Self::new(knots, &lengths)
    }

    /// A data set of copies of these paths.
    ///
    /// # Errors
    /// [`Error::Shape`] when they differ in their features.
    pub fn from_paths(paths: &[Path<'_, T>]) -> Result<Self, Error> {
        let dim = paths.first().map_or(0, Path::dim);
        if let Some(other) = paths.iter().find(|p| p.dim != dim) {
            return Err(Error::Shape { what: "features of a path", expected: dim, given: other.dim });
        }
        let values: Vec<T> = paths.iter().flat_map(|p| p.values.iter().copied()).collect();
        let lengths: Vec<usize> = paths.iter().map(Path::len).collect();
        Self::new(Rows::from_row_major(values, lengths.iter().sum(), dim)?, &lengths)
    }

    /// Number of features of a knot.
    pub fn dim(&self) -> usize {
        self.knots.dim()
    }

    /// All knots, path after path.
    pub fn knots(&self) -> &Rows<T> {
        &self.knots
    }

    /// Which of [`Paths::knots`] are those of path `i`.
    pub fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// Number of knots of every path.
    pub fn lengths(&self) -> Vec<usize> {
        self.offsets.windows(2).map(|w| w[1] - w[0]).collect()
    }
}

impl<T: Real> PartialEq for Paths<T> {
    fn eq(&self, other: &Self) -> bool {
        self.offsets == other.offsets && self.knots == other.knots
    }
}

impl<T: Real> Points for Paths<T> {
    type Scalar = T;
    type Point<'a> = Path<'a, T>;

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn point(&self, i: usize) -> Path<'_, T> {
        let range = self.range(i);
        Path { len: range.len(), values: self.knots.slice(range), dim: self.dim() }
    }

    fn subset(&self, indices: &[usize]) -> Result<Self, Error> {
        let mut rows = Vec::new();
        let mut lengths = Vec::with_capacity(indices.len());
        for &i in indices {
            if i >= self.len() {
                return Err(Error::Shape {
                    what: "index of a path (must be below)",
                    expected: self.len(),
                    given: i,
                });
            }
            rows.extend(self.range(i));
            lengths.push(self.range(i).len());
        }
        Self::new(self.knots.subset(&rows)?, &lengths)
    }

    /// Rows in the error are those of [`Paths::knots`].
    fn check_finite(&self) -> Result<(), Error> {
        self.knots.check_finite()
    }

    fn check_compatible(&self, other: &Self) -> Result<(), Error> {
        self.knots.check_compatible(&other.knots)
    }
}

#[cfg(feature = "serde")]
mod persist {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::{Paths, Real, Rows};

    #[derive(Serialize, Deserialize)]
    struct Stored<R> {
        lengths: Vec<usize>,
        knots: R,
    }

    impl<T: Real + Serialize> Serialize for Paths<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Stored { lengths: self.lengths(), knots: &self.knots }.serialize(serializer)
        }
    }

    impl<'de, T: Real + Deserialize<'de>> Deserialize<'de> for Paths<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Stored { lengths, knots } = Stored::<Rows<T>>::deserialize(deserializer)?;
            Self::new(knots, &lengths).map_err(D::Error::custom)
        }
    }
}
