//! Kernels on images for rows that hold their values.

use std::ops::Range;

use kernels_core::{
    Block, Definiteness, Describe, Error, Expr, Kernel, Param, Points, PositiveDefinite, Real, Rows, Tile,
    Value, Workspace, kernel_ops,
};
use nalgebra::DMatrixView;

use super::images::{Image, Images};

/// A kernel on [`Images`] as one on [`Rows`]: a row holds an image row by row, channels last, so that tables of pixels go into every
/// solver. The number of channels is what is left of the row's length.
///
/// ```
/// use kernels_core::{Rows, gram};
/// use kernels_ntk::{Images, NetworkKernel, OnImages};
/// let net = NetworkKernel::ntk("conv(filter=[2, 2]) > relu > flatten > dense()".parse()?);
/// let values = vec![0.1, 0.5, -0.3, 0.8, 1.0, 0.2, 0.4, -0.6];
/// let on_rows = gram(&OnImages::new(net.clone(), 2, 2)?, &Rows::from_row_major(values.clone(), 2, 4)?)?;
/// assert_eq!(on_rows, gram(&net, &Images::new(values, 2, 2, 2, 1)?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OnImages<K> {
    kernel: K,
    height: usize,
    width: usize,
}

impl<K> OnImages<K> {
    /// Rows are images of this height and width.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a side of 0.
    pub fn new(kernel: K, height: usize, width: usize) -> Result<Self, Error> {
        for (name, side) in [("height", height), ("width", width)] {
            if side == 0 {
                return Err(Error::Parameter { name: name.to_owned(), value: 0.0, expected: "1 or above" });
            }
        }
        Ok(Self { kernel, height, width })
    }

    /// The kernel on images.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    fn image<'a, T>(&self, x: &'a [T]) -> Image<'a, T> {
        let channels = x.len() / (self.height * self.width);
        let values = &x[..channels * self.height * self.width];
        Image { values, height: self.height, width: self.width, channels }
    }

    fn images<T: Real>(&self, xs: &Rows<T>) -> Result<Images<T>, Error> {
        let places = self.height * self.width;
        if !xs.dim().is_multiple_of(places) {
            return Err(Error::Shape {
                what: "features of rows that are images, beyond a multiple of height * width",
                expected: 0,
                given: xs.dim() % places,
            });
        }
        Images::new(xs.as_slice().to_vec(), xs.len(), self.height, self.width, xs.dim() / places)
    }

    /// The same block of images.
    fn with<T: Real>(&self, at: &Block<'_, Rows<T>>, work: impl FnOnce(&Block<'_, Images<T>>)) {
        let Ok(xs) = self.images(at.xs()) else { return };
        let other = if at.is_within() { None } else { self.images(at.ys()).ok() };
        if let Ok(at) = at.of(&xs, other.as_ref().unwrap_or(&xs)) {
            work(&at);
        }
    }
}

impl<K: Describe> Describe for OnImages<K> {
    fn params(&self) -> Vec<Param> {
        self.kernel.params().into_iter().map(|p| p.nested("of")).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.kernel.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.kernel.definiteness()
    }
    fn expression(&self) -> Option<Expr> {
        let side = |n: usize| Value::Number(n as f64);
        let arguments = [
            ("of", Value::Expr(self.kernel.expression()?)),
            ("height", side(self.height)),
            ("width", side(self.width)),
        ];
        Some(Expr::call("images", arguments))
    }
}

impl<T: Real, K: Kernel<Images<T>>> Kernel<Rows<T>> for OnImages<K> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.kernel.eval(self.image(x), self.image(y))
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.with(at, |at| self.kernel.block(at, out, ws));
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        if let Ok(images) = self.images(xs) {
            self.kernel.diagonal(&images, rows, out);
        }
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        self.with(at, |at| self.kernel.block_gradient(at, weights, gradient, ws));
    }
    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.kernel.check(&self.images(xs)?)
    }
}

impl<K: PositiveDefinite> PositiveDefinite for OnImages<K> {}
kernel_ops! { impl[K] OnImages<K>; }
