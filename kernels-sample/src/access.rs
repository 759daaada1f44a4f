//! Kernel rows and sums as the selectors read them, in memory of O(n).

use std::sync::Mutex;

use kernels_core::{Block, Kernel, LazyCross, LazyGram, Operator, Points, Workspace};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use crate::{Error, error, parallel};

/// Working memory of a lazy product.
pub(crate) const BUDGET: usize = 64 << 20;

/// Points of a piece of a kernel row.
const PIECE: usize = 8192;

/// Points and kernel fit for arithmetic, and at least `needed` of them.
pub(crate) fn check<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    what: &'static str,
    kernel: &K,
    xs: &P,
    needed: usize,
) -> Result<(), Error> {
    error::at_least(what, needed, xs.len())?;
    xs.check_finite()?;
    Ok(kernel.check(xs)?)
}

/// Overwrites `out[j]` with the entry of points j and `i` of the Gram matrix of `xs`.
pub(crate) fn row<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    i: usize,
    out: &mut [f64],
) {
    parallel::fill(out, PIECE, |start, out| {
        let end = start + out.len();
        if let Ok(at) = Block::within(xs, start..end, i..i + 1) {
            kernel.block(&at, DMatrixViewMut::from_slice(out, end - start, 1), &mut Workspace::new());
        }
    });
}

/// Overwrites `out[j]` with k(xⱼ, point `i` of `ys`).
pub(crate) fn cross_row<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    i: usize,
    out: &mut [f64],
) {
    parallel::fill(out, PIECE, |start, out| {
        let end = start + out.len();
        if let Ok(at) = Block::between(xs, start..end, ys, i..i + 1) {
            kernel.block(&at, DMatrixViewMut::from_slice(out, end - start, 1), &mut Workspace::new());
        }
    });
}

/// Rows of the Gram matrix of some points: from memory when there are at most `most` of them, else computed when asked for.
pub(crate) struct GramRows<'a, P, K: ?Sized> {
    kernel: &'a K,
    xs: &'a P,
    stored: Option<DMatrix<f64>>,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + ?Sized> GramRows<'a, P, K> {
    pub(crate) fn new(kernel: &'a K, xs: &'a P, most: usize) -> Result<Self, Error> {
        let stored = (xs.len() <= most).then(|| kernels_core::gram(kernel, xs)).transpose()?;
        Ok(Self { kernel, xs, stored })
    }

    /// The whole matrix, in memory of `buffers` if there is some.
    pub(crate) fn in_buffer(kernel: &'a K, xs: &'a P, buffers: &Buffers) -> Result<Self, Error> {
        let n = xs.len();
        let mut values = buffers.take();
        let (needed, what) = (n.saturating_mul(n).saturating_mul(size_of::<f64>()), "a kernel matrix");
        values
            .try_reserve_exact((n * n).saturating_sub(values.len()))
            .map_err(|_| kernels_core::Error::Memory { what, needed, available: 0 })?;
        values.resize(n * n, 0.0);
        let mut stored = DMatrix::from_vec(n, n, values);
        kernels_core::gram_into(kernel, xs, stored.as_view_mut())?;
        Ok(Self { kernel, xs, stored: Some(stored) })
    }

    /// Gives the memory of the matrix back.
    pub(crate) fn recycle(self, buffers: &Buffers) {
        if let Some(stored) = self.stored {
            buffers.give(stored.data.into());
        }
    }

    pub(crate) fn stored(&self) -> Option<&DMatrix<f64>> {
        self.stored.as_ref()
    }

    /// Row i, computed into `buffer` unless it is in memory or there already.
    pub(crate) fn row<'r>(&'r self, i: usize, buffer: &'r mut RowBuffer) -> &'r [f64] {
        if let Some(k) = &self.stored {
            // A symmetric matrix: column for row.
            return &k.as_slice()[i * k.nrows()..(i + 1) * k.nrows()];
        }
        if buffer.row != Some(i) {
            buffer.row = Some(i);
            buffer.values.resize(self.xs.len(), 0.0);
            row(self.kernel, self.xs, i, &mut buffer.values);
        }
        &buffer.values
    }

    /// K W.
    pub(crate) fn times(&self, w: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        match &self.stored {
            Some(k) => Ok(k * w),
            None => {
                let mut out = DMatrix::zeros(w.nrows(), w.ncols());
                LazyGram::new(self.kernel, self.xs, BUDGET)?.apply(w.as_view(), out.as_view_mut())?;
                Ok(out)
            }
        }
    }
}

/// Memory for one matrix after the other: fresh memory costs as much as a kernel value.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<f64>>>);

impl Buffers {
    fn take(&self) -> Vec<f64> {
        self.0.lock().map_or_else(|_| Vec::new(), |mut free| free.pop().unwrap_or_default())
    }

    fn give(&self, buffer: Vec<f64>) {
        if let Ok(mut free) = self.0.lock() {
            free.push(buffer);
        }
    }
}

/// A row of a Gram matrix and which it is.
#[derive(Default)]
pub(crate) struct RowBuffer {
    row: Option<usize>,
    values: Vec<f64>,
}

/// K w of the Gram matrix of `xs`; n²/2 kernel values, memory O(n).
pub(crate) fn gram_times<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    w: &[f64],
) -> Result<Vec<f64>, Error> {
    let n = xs.len();
    let mut out = vec![0.0; n];
    if n > 0 {
        LazyGram::new(kernel, xs, BUDGET)?
            .apply(DMatrixView::from_slice(w, n, 1), DMatrixViewMut::from_slice(&mut out, n, 1))?;
    }
    Ok(out)
}

/// K w of the kernel matrix between `xs` (rows) and `ys`.
pub(crate) fn cross_times<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    ys: &P,
    w: &[f64],
) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; xs.len()];
    if !xs.is_empty() && !ys.is_empty() {
        LazyCross::new(kernel, xs, ys, BUDGET)?.apply(
            DMatrixView::from_slice(w, ys.len(), 1),
            DMatrixViewMut::from_slice(&mut out, xs.len(), 1),
        )?;
    }
    Ok(out)
}

/// Means of the rows of the Gram matrix.
pub(crate) fn row_means<P: Points<Scalar = f64>, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
) -> Result<Vec<f64>, Error> {
    let n = xs.len();
    gram_times(kernel, xs, &vec![1.0 / n.max(1) as f64; n])
}

/// Lowest index of the smallest value among those `allowed`.
pub(crate) fn argmin(values: &[f64], allowed: impl Fn(usize) -> bool) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, v) in values.iter().enumerate() {
        if allowed(i) && best.is_none_or(|b| *v < values[b]) {
            best = Some(i);
        }
    }
    best
}

/// Lowest index of the largest value among those `allowed`.
pub(crate) fn argmax(values: &[f64], allowed: impl Fn(usize) -> bool) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, v) in values.iter().enumerate() {
        if allowed(i) && best.is_none_or(|b| *v > values[b]) {
            best = Some(i);
        }
    }
    best
}

/// Sum: eight sums side by side, then theirs.
pub(crate) fn sum(a: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let lanes = a.chunks_exact(8);
    let rest: f64 = lanes.remainder().iter().sum();
    lanes.for_each(|a| sums.iter_mut().zip(a).for_each(|(s, a)| *s += a));
    sums.iter().sum::<f64>() + rest
}

/// Dot product: eight sums side by side, then their sum.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let n = a.len().min(b.len());
    let whole = n / 8 * 8;
    for (a, b) in a[..whole].chunks_exact(8).zip(b[..whole].chunks_exact(8)) {
        sums.iter_mut().zip(a).zip(b).for_each(|((s, a), b)| *s += a * b);
    }
    let rest: f64 = a[whole..n].iter().zip(&b[whole..n]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
