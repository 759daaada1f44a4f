//! The normal matrix of a regression on centres, formed in one pass over the data.

use kernels_core::{
    Error as CoreError, Kernel, Points, Progress, Real, cross_gram,
    dense::{self, Cholesky},
};
use nalgebra::{DMatrix, RowDVector};

use super::products::Products;
use crate::{
    BlockSource, Error,
    checkpoint::{Checkpoint, State},
    data::expect,
};

impl<P: Points, K: Kernel<P>> Products<'_, P, K> {
    /// T⁻ᵀKᵀWKT⁻¹ and KᵀWY, K being n × m and `root` TᵀT: 2nm² operations. KᵀWK itself would take half of them, but then rounding
    /// takes all directions whose λ is small against ε ‖KᵀWK‖. The state after every few pieces of data is kept in `checkpoint`.
    pub(super) fn formed<S>(
        &self,
        source: &mut S,
        root: &Cholesky,
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
                let mut k = cross_gram(self.kernel, self.centers, &xs.subset(part)?)?.map(Real::to_f64);
                let mut targets = y.rows(part[0], part.len()).into_owned();
                if let Some(weights) = self.weights {
                    let roots =
                        RowDVector::from_iterator(rows.len(), weights[rows.clone()].iter().map(|w| w.sqrt()));
                    for (i, root) in roots.iter().enumerate() {
                        k.column_mut(i).scale_mut(*root);
                        targets.row_mut(i).scale_mut(*root);
                    }
                }
                right += dense::product(&k, &targets)?;
                root.solve_lower_in_place(k.as_view_mut())?;
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
        Ok((normal, right))
    }
}
