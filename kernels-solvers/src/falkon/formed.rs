//! The system of a regression on centres, formed in one pass over the data.

use kernels_core::{
    Error as CoreError, Kernel, Points, Progress,
    dense::{self, Cholesky},
};
use nalgebra::DMatrix;

use super::products::Products;
use crate::{
    BlockSource, Error,
    checkpoint::{Checkpoint, State},
    data::{cross_f64, expect},
};

impl<P: Points, K: Kernel<P>> Products<'_, P, K> {
    /// T⁻ᵀKᵀWKT⁻¹ and KᵀWY, K being n × m and `root` TᵀT: 2nm² operations; half of them where the centres are `tame`, and KᵀWK can be
    /// formed first ([`is_tame`]). The state after every few pieces of data is kept in `checkpoint`.
    pub(super) fn formed<S>(
        &self,
        source: &mut S,
        (root, tame): (&Cholesky, bool),
        checkpoint: Option<(&Checkpoint, u64)>,
        progress: &mut dyn Progress,
    ) -> Result<(DMatrix<f64>, DMatrix<f64>), Error>
    where
        S: BlockSource<Points = P> + ?Sized,
    {
        let (n, m) = (source.len(), self.centers.len());
        let (mut normal, mut right) = (DMatrix::zeros(m, m), DMatrix::zeros(m, source.outputs()));
        let mut done = 0;
        if let Some((checkpoint, problem)) = checkpoint {
            let restored = checkpoint.load(problem)?.and_then(|state| {
                let [rows] = <[u64; 1]>::try_from(state.numbers).ok()?;
                let [normal, right] = <[_; 2]>::try_from(state.matrices).ok()?;
                Some((rows as usize, normal, right))
            });
            if let Some(restored) = restored {
                (done, normal, right) = restored;
            }
        }
        // Long enough that a product of matrices is fast, short enough for the memory.
        let piece = (self.budget / (16 * m.max(1))).clamp(64, 2048);
        let (mut start, mut pieces) = (0, 0);
        source.pass(&mut |xs, y| {
            let all: Vec<usize> = (0..xs.len()).collect();
            // Rows of this block that a restored state has seen already.
            let seen = done.saturating_sub(start).min(xs.len());
            let first = start;
            start += xs.len();
            for part in all[seen..].chunks(piece) {
                let rows = first + part[0]..first + part[0] + part.len();
                let mut k = cross_f64(self.kernel, self.centers, &xs.subset(part)?)?;
                let mut targets = y.rows(part[0], part.len()).into_owned();
                if let Some(weights) = self.weights {
                    for (i, weight) in weights[rows.clone()].iter().enumerate() {
                        let root = weight.sqrt();
                        k.column_mut(i).scale_mut(root);
                        targets.row_mut(i).scale_mut(root);
                    }
                }
                right += dense::product(&k, &targets)?;
                if !tame {
                    root.solve_lower_in_place(k.as_view_mut())?;
                }
                dense::add_outer_product(&mut normal, &k)?;
                pieces += 1;
                if let Some((checkpoint, problem)) = checkpoint.filter(|(c, _)| c.is_due(pieces)) {
                    let state = State {
                        numbers: vec![rows.end as u64],
                        matrices: vec![normal.clone(), right.clone()],
                    };
                    checkpoint.save(problem, &state)?;
                }
                if progress.step("Falkon", rows.end, n).is_break() {
                    return Err(CoreError::Cancelled.into());
                }
            }
            Ok(())
        })?;
        expect("rows of all blocks together", n, start)?;
        dense::mirror(&mut normal)?;
        if tame {
            root.solve_lower_in_place(normal.as_view_mut())?;
            normal.transpose_mut();
            root.solve_lower_in_place(normal.as_view_mut())?;
            dense::mirror(&mut normal)?;
        }
        Ok((normal, right))
    }
}

/// Whether KᵀK of `n` samples may be formed before the change of variables: rounding of it, ε ‖KᵀK‖ / μ in the direction of K_mm's
/// smallest eigenvalue μ, must be small against what stands there, (n/m) μ + penalty. KᵀK is like (n/m) K_mm². `norm` is ‖K_mm‖.
pub(super) fn is_tame(norm: f64, root: &Cholesky, n: f64, penalty: f64) -> Result<bool, Error> {
    // In that one direction; elsewhere it falls with the square of the eigenvalue.
    const SMALL: f64 = 1e-4;
    let ratio = n / root.order() as f64;
    let least = 1.0
        / largest(root.order(), |mut v| {
            root.solve_in_place(v.as_view_mut())?;
            Ok(v)
        })?;
    Ok(f64::EPSILON * ratio * norm * norm / least <= SMALL * (ratio * least + penalty))
}

/// The largest eigenvalue of a positive definite operator, by ten power iterations.
pub(super) fn largest(
    order: usize,
    mut apply: impl FnMut(DMatrix<f64>) -> Result<DMatrix<f64>, Error>,
) -> Result<f64, Error> {
    let mut v = DMatrix::from_fn(order, 1, |i, _| 1.0 + 0.5 * ((i * i) as f64).sin());
    let mut value = 0.0;
    for _ in 0..10 {
        let norm = v.norm();
        v = apply(v / norm)?;
        value = v.norm();
    }
    Ok(value)
}
