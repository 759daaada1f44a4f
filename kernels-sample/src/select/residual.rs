//! A kernel on some points, conditioned on more and more of them: core's [`Remainder`] fed by rows over several sets.

use kernels_core::{Kernel, Points, Remainder};
use nalgebra::DMatrixViewMut;

use crate::{Error, access};

/// s² K over pool and further points, by its rows; the n × n matrix is never stored.
pub(crate) struct Prior<'a, P, K: ?Sized> {
    kernel: &'a K,
    sets: Vec<&'a P>,
    /// First index of every set.
    starts: Vec<usize>,
    scale2: f64,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + ?Sized> Prior<'a, P, K> {
    /// All points of all sets, in order, and the diagonal.
    pub(crate) fn new(what: &'static str, kernel: &'a K, sets: &[&'a P]) -> Result<(Self, Vec<f64>), Error> {
        let (mut starts, mut variances) = (Vec::new(), Vec::new());
        for set in sets {
            access::check(what, kernel, *set, 0)?;
            sets[0].check_compatible(set)?;
            starts.push(variances.len());
            variances.extend(kernels_core::diagonal(kernel, *set)?);
        }
        Ok((Self { kernel, sets: sets.to_vec(), starts, scale2: 1.0 }, variances))
    }

    /// Multiplies the kernel by s².
    pub(crate) fn rescale(&mut self, scale2: f64) {
        self.scale2 *= scale2;
    }

    /// Overwrites `out` with row i.
    pub(crate) fn row(&self, i: usize, out: &mut [f64]) {
        let set = self.starts.partition_point(|&s| s <= i) - 1;
        let (own, local) = (self.sets[set], i - self.starts[set]);
        let mut rest = &mut *out;
        for (s, points) in self.sets.iter().enumerate() {
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(points.len());
            if s == set {
                access::row(self.kernel, own, local, part);
            } else {
                access::cross_row(self.kernel, *points, own, local, part);
            }
            rest = tail;
        }
        out.iter_mut().for_each(|v| *v *= self.scale2);
    }
}

/// The covariance C = s² K − Σ ± uuᵀ: O(n) memory a conditioning.
pub(crate) struct Residual<'a, P, K: ?Sized> {
    prior: Prior<'a, P, K>,
    left: Remainder,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + ?Sized> Residual<'a, P, K> {
    /// All points of all sets, in order.
    pub(crate) fn new(what: &'static str, kernel: &'a K, sets: &[&'a P]) -> Result<Self, Error> {
        let (prior, variances) = Prior::new(what, kernel, sets)?;
        Ok(Self { prior, left: Remainder::new(variances) })
    }

    pub(crate) fn len(&self) -> usize {
        self.variances().len()
    }

    /// Multiplies the kernel by s²; before any conditioning.
    pub(crate) fn rescale(&mut self, scale2: f64) {
        self.prior.rescale(scale2);
        self.left = Remainder::new(self.variances().iter().map(|v| v * scale2).collect());
    }

    /// Diagonal of C.
    pub(crate) fn variances(&self) -> &[f64] {
        self.left.diagonal()
    }

    /// Overwrites `out` with row i of C.
    pub(crate) fn row(&self, i: usize, out: &mut [f64]) {
        self.prior.row(i, out);
        let n = out.len();
        self.left.correct(&[i], DMatrixViewMut::from_slice(out, n, 1));
    }

    /// Row i of C divided by the root of `pivot`.
    fn scaled_row(&self, i: usize, pivot: f64) -> Vec<f64> {
        let mut u = vec![0.0; self.len()];
        self.row(i, &mut u);
        let scale = 1.0 / pivot.sqrt();
        u.iter_mut().for_each(|v| *v *= scale);
        u
    }

    /// Conditions on a noisy observation of point i: C ← C − cᵢcᵢᵀ/(Cᵢᵢ + noise); the vector u with C ← C − uuᵀ. `None`, and no
    /// change, when the point has no variance left.
    pub(crate) fn observe(&mut self, i: usize, noise: f64) -> Option<&[f64]> {
        let pivot = self.variances()[i] + noise;
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        let u = self.scaled_row(i, pivot);
        self.left.take(&u);
        if noise == 0.0 {
            self.left.set_diagonal(i, 0.0);
        }
        self.left.last()
    }

    /// Takes an observation of point i back: C ← C + cᵢcᵢᵀ/(noise − Cᵢᵢ).
    pub(crate) fn forget(&mut self, i: usize, noise: f64) {
        let u = self.scaled_row(i, (noise - self.variances()[i]).max(1e-15));
        self.left.give(&u);
    }
}
