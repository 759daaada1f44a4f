//! Data sets: n points of one kind.

use std::{ops::Range, sync::Arc};

use nalgebra::{DMatrix, Dyn, MatrixView};

use crate::{Error, Real};

/// A data set of n points of one kind: rows of a matrix, paths, strings, graphs, node ids.
///
/// A point is borrowed from its data set ([`Points::Point`]); a data set is owned and cheap to clone
/// or to cut ([`Points::subset`]), so that a fitted model can keep what it predicts with.
pub trait Points: Send + Sync {
    /// Scalar type of kernels on these points.
    type Scalar: Real;

    /// One point, borrowed.
    type Point<'a>: Copy
    where
        Self: 'a;

    /// Number of points.
    fn len(&self) -> usize;

    /// Whether there are no points.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many numbers a point is made of, from which the cost of a kernel value is estimated; 1 if not known.
    fn point_size(&self) -> usize {
        1
    }

    /// Point `i`; `i` must be less than [`Points::len`].
    fn point(&self, i: usize) -> Self::Point<'_>;

    /// The points of the given indices, in that order; an index may repeat.
    ///
    /// # Errors
    /// [`Error::Shape`] when an index is not less than [`Points::len`].
    fn subset(&self, indices: &[usize]) -> Result<Self, Error>
    where
        Self: Sized;

    /// Whether the points are fit for arithmetic: no NaN, no infinity.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the place of the first such value.
    fn check_finite(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether a kernel can compare points of `self` with points of `other`.
    ///
    /// # Errors
    /// [`Error::Shape`] when they differ in the number of features, say.
    fn check_compatible(&self, other: &Self) -> Result<(), Error> {
        let _ = other;
        Ok(())
    }
}

/// Points of ℝᵈ: the rows of an n × d matrix. Samples are rows, features are columns.
///
/// Stored row by row, so that a point is a contiguous slice; cloning shares the storage.
/// The column means are kept beside it: the engine subtracts them before it forms distances from inner
/// products, which is what keeps distances accurate far from the origin.
///
/// ```
/// use kernels_core::{Points, Rows};
/// use nalgebra::dmatrix;
/// let xs = Rows::new(&dmatrix![0.0, 1.0; 2.0, 3.0; 4.0, 5.0]);
/// assert_eq!((xs.len(), xs.dim()), (3, 2));
/// assert_eq!(xs.point(1), &[2.0, 3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Rows<T> {
    data: Arc<[T]>,
    center: Arc<[T]>,
    n: usize,
    dim: usize,
}

impl<T: Real> Rows<T> {
    /// Copies the rows of a matrix. O(nd).
    pub fn new(matrix: &DMatrix<T>) -> Self {
        Self::from_view(matrix.as_view())
    }

    /// Copies the rows of a matrix view of any strides. O(nd).
    pub fn from_view(view: MatrixView<'_, T, Dyn, Dyn, Dyn, Dyn>) -> Self {
        let (n, dim) = view.shape();
        let mut data = Vec::with_capacity(n * dim);
        for i in 0..n {
            data.extend((0..dim).map(|j| view[(i, j)]));
        }
        Self::from_parts(data, n, dim)
    }

    /// Takes `n` rows of `dim` values, stored row by row (C order).
    ///
    /// # Errors
    /// [`Error::Shape`] when `data` does not hold `n * dim` values.
    ///
    /// ```
    /// use kernels_core::{Points, Rows};
    /// let xs = Rows::from_row_major(vec![0.0, 1.0, 2.0, 3.0], 2, 2)?;
    /// assert_eq!(xs.point(0), &[0.0, 1.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn from_row_major(data: Vec<T>, n: usize, dim: usize) -> Result<Self, Error> {
        let expected = n.saturating_mul(dim);
        if data.len() != expected {
            return Err(Error::Shape { what: "values of a matrix (n * dim)", expected, given: data.len() });
        }
        Ok(Self::from_parts(data, n, dim))
    }

    pub(crate) fn from_parts(data: Vec<T>, n: usize, dim: usize) -> Self {
        let center = column_means(&data, dim);
        Self { data: data.into(), center: center.into(), n, dim }
    }

    /// Number of features d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row by row.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// The rows `rows` as one slice, row by row.
    pub(crate) fn slice(&self, rows: Range<usize>) -> &[T] {
        &self.data[rows.start * self.dim..rows.end * self.dim]
    }

    /// Column means, the origin for distances from inner products.
    pub(crate) fn center(&self) -> &[T] {
        &self.center
    }

    /// The same points with another origin for distances: for parts that must agree with their whole.
    pub(crate) fn with_center(self, center: &[T]) -> Self {
        Self { center: center.into(), ..self }
    }

    /// The points as an n × d matrix.
    pub fn to_matrix(&self) -> DMatrix<T> {
        DMatrix::from_row_slice(self.n, self.dim, &self.data)
    }
}

/// Means are taken in f64 and skip what is not finite: they only choose an origin, any finite one is right.
fn column_means<T: Real>(data: &[T], dim: usize) -> Vec<T> {
    if dim == 0 {
        return Vec::new();
    }
    let mut sum = vec![0.0_f64; dim];
    let mut count = vec![0_usize; dim];
    for row in data.chunks_exact(dim) {
        for ((sum, count), &x) in sum.iter_mut().zip(&mut count).zip(row) {
            let next = *sum + x.to_f64();
            if next.is_finite() {
                *sum = next;
                *count += 1;
            }
        }
    }
    sum.iter().zip(&count).map(|(&s, &c)| T::of(if c == 0 { 0.0 } else { s / c as f64 })).collect()
}

impl<T: Real> Points for Rows<T> {
    type Scalar = T;
    type Point<'a> = &'a [T];

    fn len(&self) -> usize {
        self.n
    }

    fn point_size(&self) -> usize {
        self.dim
    }

    #[inline]
    fn point(&self, i: usize) -> &[T] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    fn subset(&self, indices: &[usize]) -> Result<Self, Error> {
        let mut data = Vec::with_capacity(indices.len() * self.dim);
        for &i in indices {
            if i >= self.n {
                return Err(Error::Shape {
                    what: "index of a point (must be below)",
                    expected: self.n,
                    given: i,
                });
            }
            data.extend_from_slice(self.point(i));
        }
        Ok(Self::from_parts(data, indices.len(), self.dim))
    }

    fn check_finite(&self) -> Result<(), Error> {
        match self.data.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(k) => Err(Error::NotFinite {
                row: k / self.dim,
                column: k % self.dim,
                value: self.data[k].to_f64(),
            }),
        }
    }

    fn check_compatible(&self, other: &Self) -> Result<(), Error> {
        if self.dim == other.dim {
            Ok(())
        } else {
            Err(Error::Shape { what: "number of features", expected: other.dim, given: self.dim })
        }
    }
}

impl<T: Real> PartialEq for Rows<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.n, self.dim) == (other.n, other.dim) && self.data == other.data
    }
}

impl<T: Real> From<&DMatrix<T>> for Rows<T> {
    fn from(matrix: &DMatrix<T>) -> Self {
        Self::new(matrix)
    }
}

#[cfg(feature = "serde")]
mod persist {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::{Real, Rows};

    #[derive(Serialize, Deserialize)]
    struct Stored<T> {
        n: usize,
        dim: usize,
        data: Vec<T>,
    }

    impl<T: Real + Serialize> Serialize for Rows<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Stored { n: self.n, dim: self.dim, data: self.data.to_vec() }.serialize(serializer)
        }
    }

    impl<'de, T: Real + Deserialize<'de>> Deserialize<'de> for Rows<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Stored { n, dim, data } = Stored::<T>::deserialize(deserializer)?;
            Self::from_row_major(data, n, dim).map_err(D::Error::custom)
        }
    }
}

#[cfg(feature = "ndarray")]
impl<T: Real> From<ndarray::ArrayView2<'_, T>> for Rows<T> {
    /// Copies the rows of an array of any strides.
    fn from(array: ndarray::ArrayView2<'_, T>) -> Self {
        let (n, dim) = array.dim();
        Self::from_parts(array.iter().copied().collect(), n, dim)
    }
}

#[cfg(feature = "ndarray")]
impl<T: Real> From<&Rows<T>> for ndarray::Array2<T> {
    fn from(rows: &Rows<T>) -> Self {
        ndarray::Array2::from_shape_fn((rows.n, rows.dim), |(i, j)| rows.data[i * rows.dim + j])
    }
}
