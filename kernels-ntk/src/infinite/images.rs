//! Data sets of images and of sequences.

use std::sync::Arc;

use kernels_core::{Error, Points, Real};

/// n images of height × width places with some channels each, stored image by image, row by row, channels last. A sequence is an
/// image of height 1.
///
/// ```
/// use kernels_core::Points;
/// use kernels_ntk::Images;
/// let xs = Images::new(vec![0.0; 2 * 4 * 4 * 3], 2, 4, 4, 3)?;
/// assert_eq!((xs.len(), xs.shape()), (2, (4, 4, 3)));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Images<T> {
    data: Arc<[T]>,
    n: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl<T: Real> Images<T> {
    /// Takes the values of an array of shape (n, height, width, channels) in C order.
    ///
    /// # Errors
    /// [`Error::Shape`] when `data` does not hold as many values.
    pub fn new(
        data: Vec<T>,
        n: usize,
        height: usize,
        width: usize,
        channels: usize,
    ) -> Result<Self, Error> {
        let expected = n.saturating_mul(height).saturating_mul(width).saturating_mul(channels);
        if data.len() != expected {
            return Err(Error::Shape {
                what: "values of images (n * height * width * channels)",
                expected,
                given: data.len(),
            });
        }
        Ok(Self { data: data.into(), n, height, width, channels })
    }

    /// Height, width and channels.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.height, self.width, self.channels)
    }

    fn size(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl<T: Real> Points for Images<T> {
    type Scalar = T;
    type Point<'a> = Image<'a, T>;

    fn len(&self) -> usize {
        self.n
    }

    fn point(&self, i: usize) -> Image<'_, T> {
        let size = self.size();
        Image {
            values: &self.data[i * size..(i + 1) * size],
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    fn subset(&self, indices: &[usize]) -> Result<Self, Error> {
        let mut data = Vec::with_capacity(indices.len() * self.size());
        for &i in indices {
            if i >= self.n {
                return Err(Error::Shape {
                    what: "index of a point (must be below)",
                    expected: self.n,
                    given: i,
                });
            }
            data.extend_from_slice(self.point(i).values);
        }
        Ok(Self { data: data.into(), n: indices.len(), ..*self })
    }

    fn check_finite(&self) -> Result<(), Error> {
        let size = self.size().max(1);
        match self.data.iter().position(|v| !v.to_f64().is_finite()) {
            None => Ok(()),
            Some(k) => Err(Error::NotFinite {
                row: k / size,
                column: k % size,
                value: self.data[k].to_f64(),
            }),
        }
    }

    fn check_compatible(&self, other: &Self) -> Result<(), Error> {
        let pairs = [
            ("height of images", self.height, other.height),
            ("width of images", self.width, other.width),
            ("channels of images", self.channels, other.channels),
        ];
        for (what, expected, given) in pairs {
            if expected != given {
                return Err(Error::Shape { what, expected, given });
            }
        }
        Ok(())
    }
}

/// One image of [`Images`].
#[derive(Clone, Copy, Debug)]
pub struct Image<'a, T> {
    /// Values, row by row, channels last.
    pub values: &'a [T],
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of channels.
    pub channels: usize,
}
