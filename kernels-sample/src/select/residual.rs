//! The pivoted-Cholesky engine: a kernel on some points, conditioned on more and more of them.

use kernels_core::{Kernel, Points};

use crate::{Error, access};

/// The covariance C = s² K − Σ ± uᵤuᵤᵀ over pool and further points, by its rows: O(n) memory a conditioning, the n × n matrix
/// is never stored.
pub(super) struct Residual<'a, P, K: ?Sized> {
    kernel: &'a K,
    sets: Vec<&'a P>,
    /// First index of every set.
    starts: Vec<usize>,
    n: usize,
    scale2: f64,
    variances: Vec<f64>,
    /// Vectors u and their signs.
    updates: Vec<(Vec<f64>, f64)>,
}

impl<'a, P: Points<Scalar = f64>, K: Kernel<P> + ?Sized> Residual<'a, P, K> {
    /// All points of all sets, in order.
    pub(super) fn new(what: &'static str, kernel: &'a K, sets: &[&'a P]) -> Result<Self, Error> {
        let mut out = Self {
            kernel,
            sets: sets.to_vec(),
            starts: Vec::new(),
            n: 0,
            scale2: 1.0,
            variances: Vec::new(),
            updates: Vec::new(),
        };
        for set in sets {
            access::check(what, kernel, *set, 0)?;
            sets[0].check_compatible(set)?;
            out.starts.push(out.n);
            out.n += set.len();
            out.variances.extend(kernels_core::diagonal(kernel, *set)?);
        }
        Ok(out)
    }

    pub(super) fn len(&self) -> usize {
        self.n
    }

    /// Multiplies the kernel by s²; before any conditioning.
    pub(super) fn rescale(&mut self, scale2: f64) {
        self.scale2 *= scale2;
        self.variances.iter_mut().for_each(|v| *v *= scale2);
    }

    /// Diagonal of C.
    pub(super) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Overwrites `out` with row i of C.
    pub(super) fn row(&self, i: usize, out: &mut [f64]) {
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
        if self.scale2 != 1.0 {
            out.iter_mut().for_each(|v| *v *= self.scale2);
        }
        for (u, sign) in &self.updates {
            let factor = sign * u[i];
            if factor != 0.0 {
                out.iter_mut().zip(u).for_each(|(v, u)| *v += factor * u);
            }
        }
    }

    /// Conditions on a noisy observation of point i: C ← C − cᵢcᵢᵀ/(Cᵢᵢ + noise); the vector u with C ← C − uuᵀ. `None`, and no
    /// change, when the point has no variance left.
    pub(super) fn observe(&mut self, i: usize, noise: f64) -> Option<&[f64]> {
        let pivot = self.variances[i] + noise;
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        let mut u = vec![0.0; self.n];
        self.row(i, &mut u);
        let scale = 1.0 / pivot.sqrt();
        u.iter_mut().for_each(|v| *v *= scale);
        for (v, u) in self.variances.iter_mut().zip(&u) {
            *v = (*v - u * u).max(0.0);
        }
        if noise == 0.0 {
            self.variances[i] = 0.0;
        }
        self.updates.push((u, -1.0));
        self.updates.last().map(|u| u.0.as_slice())
    }

    /// Takes an observation of point i back: C ← C + cᵢcᵢᵀ/(noise − Cᵢᵢ).
    pub(super) fn forget(&mut self, i: usize, noise: f64) -> Option<&[f64]> {
        let pivot = (noise - self.variances[i]).max(1e-15);
        let mut u = vec![0.0; self.n];
        self.row(i, &mut u);
        let scale = 1.0 / pivot.sqrt();
        u.iter_mut().for_each(|v| *v *= scale);
        self.variances.iter_mut().zip(&u).for_each(|(v, u)| *v += u * u);
        self.updates.push((u, 1.0));
        self.updates.last().map(|u| u.0.as_slice())
    }
}
