//! Products with the kernel matrix between data that are read block by block and centres.

use kernels_core::{Error as CoreError, Kernel, LazyCross, Points, Real};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{BlockSource, Error, data::expect};

/// Products with the n × m kernel matrix of a source, block by block.
pub(crate) struct Products<'a, P, K> {
    pub(crate) kernel: &'a K,
    pub(crate) centers: &'a P,
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) budget: usize,
}

impl<P: Points, K: Kernel<P>> Products<'_, P, K> {
    /// Kᵀ W K a.
    pub(crate) fn normal<S>(&self, source: &mut S, a: &DMatrix<f64>) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let weights = self.weights;
        self.through(source, a, |row, _, u| {
            if let Some(weights) = weights {
                let w = P::Scalar::of(weights[row]);
                u.iter_mut().for_each(|u| *u *= w);
            }
        })
    }

    /// Kᵀ W y.
    pub(crate) fn right_side<S>(&self, source: &mut S) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let zero = DMatrix::zeros(self.centers.len(), source.outputs());
        let weights = self.weights;
        self.through(source, &zero, |row, y, u| {
            let w = weights.map_or(1.0, |weights| weights[row]);
            u.iter_mut().zip(y).for_each(|(u, y)| *u = P::Scalar::of(w * y));
        })
    }

    /// Kᵀ g(row, y, K a), g by rows: in place on a row of K a, given the row's number in the source and its targets.
    pub(crate) fn through<S>(
        &self,
        source: &mut S,
        a: &DMatrix<f64>,
        map: impl Fn(usize, &[f64], &mut [P::Scalar]) + Send + Sync,
    ) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let (m, t) = (self.centers.len(), a.ncols());
        let narrow = a.map(P::Scalar::of);
        let mut sum = DMatrix::zeros(m, t);
        let mut part = DMatrix::repeat(m, t, P::Scalar::default());
        let mut start = 0;
        source.pass(&mut |xs, y| {
            let by_rows = y.transpose();
            let targets = |i: usize| by_rows.column(i);
            LazyCross::new(self.kernel, xs, self.centers, self.budget)?.apply_through(
                narrow.as_view(),
                part.as_view_mut(),
                |rows, mut u| {
                    let mut row = vec![P::Scalar::default(); t];
                    for (i, global) in rows.enumerate() {
                        row.iter_mut().enumerate().for_each(|(k, v)| *v = u[(i, k)]);
                        map(start + global, targets(global).as_slice(), &mut row);
                        row.iter().enumerate().for_each(|(k, v)| u[(i, k)] = *v);
                    }
                },
            )?;
            sum += part.map(Real::to_f64);
            start += xs.len();
            Ok(())
        })?;
        if let Some(k) = sum.as_slice().iter().position(|v| !v.is_finite()) {
            return Err(CoreError::NotFinite { row: k % m, column: k / m, value: sum.as_slice()[k] }.into());
        }
        Ok(sum)
    }

    /// (Ω W½ K)ᵀ with Ω, 2m × n, eight entries ±1/√8 a column: a sparse sign embedding.
    pub(super) fn sketch<S>(&self, source: &mut S, seed: u64) -> Result<DMatrix<f64>, Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        const NONZEROS: usize = 8;
        let m = self.centers.len();
        let height = 2 * m;
        let mut out = DMatrix::<f64>::zeros(m, height);
        let mut start = 0;
        let piece = (self.budget / (16 * m.max(1))).clamp(16, 4096);
        source.pass(&mut |xs, _| {
            let all: Vec<usize> = (0..xs.len()).collect();
            for part in all.chunks(piece) {
                let k = kernels_core::cross_gram(self.kernel, self.centers, &xs.subset(part)?)?;
                for (column, i) in k.column_iter().zip(part) {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream((start + i) as u64 + 1);
                    let w = self.weights.map_or(1.0, |w| w[start + i]);
                    let scale = (w / NONZEROS as f64).sqrt();
                    for _ in 0..NONZEROS {
                        let to = rng.random_range(0..height);
                        let sign = if rng.random::<bool>() { scale } else { -scale };
                        for (sum, v) in out.column_mut(to).iter_mut().zip(column.iter()) {
                            *sum += sign * v.to_f64();
                        }
                    }
                }
            }
            start += xs.len();
            Ok(())
        })?;
        expect("rows of all blocks together", source.len(), start)?;
        Ok(out)
    }
}
