//! Nyström features.

use std::ops::Range;

use nalgebra::DMatrix;

use super::FeatureMap;
use crate::{Block, Error, Kernel, Points, Tile, Workspace, dense::SymmetricEigen, gram};

/// Nyström features k(x, Z) K_ZZ^(−½) of m centres Z: ⟨φ(x), φ(y)⟩ is the kernel's best approximation from the span of the centres,
/// exact where x or y is one of them. Eigenvalues of K_ZZ below a relative 1e-12 are left out.
///
/// **Complexity.** O(m³) to make, m kernel values and m² operations a point.
///
/// Reference: Williams & Seeger, *Using the Nyström method to speed up kernel machines* (2001).
///
/// ```
/// use kernels_core::{NystromFeatures, Rbf, Rows, features, gram};
/// let xs = Rows::from_row_major(vec![0.0, 0.4, 1.1, 2.0], 4, 1)?;
/// let map = NystromFeatures::new(Rbf::new(1.0)?, xs.clone())?;
/// let z = features(&map, &xs)?;
/// assert!((&z * z.transpose() - gram(&Rbf::new(1.0)?, &xs)?).amax() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NystromFeatures<P, K> {
    kernel: K,
    centres: P,
    root: DMatrix<f64>,
}

impl<P: Points<Scalar = f64>, K: Kernel<P>> NystromFeatures<P, K> {
    /// The features with these centres.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no centres, [`Error::NotPositive`] for a kernel that is not positive definite, [`Error::NotFinite`], what
    /// [`Kernel::check`] says.
    pub fn new(kernel: K, centres: P) -> Result<Self, Error> {
        if centres.is_empty() {
            return Err(Error::TooFewPoints { what: "a Nyström map (centres)", needed: 1, given: 0 });
        }
        match kernel.definiteness() {
            crate::Definiteness::Positive => {}
            given => return Err(Error::NotPositive { what: "a Nyström map", given }),
        }
        let eigen = SymmetricEigen::new(&gram(&kernel, &centres)?)?;
        let cut = 1e-12 * eigen.values.max();
        let mut scaled = eigen.vectors.clone();
        for (mut column, &value) in scaled.column_iter_mut().zip(eigen.values.iter()) {
            column *= if value > cut { 1.0 / value.sqrt() } else { 0.0 };
        }
        let root = crate::dense::product(&scaled, &eigen.vectors.transpose())?;
        Ok(Self { kernel, centres, root })
    }

    /// The centres.
    pub fn centres(&self) -> &P {
        &self.centres
    }
}

impl<P: Points<Scalar = f64>, K: Kernel<P>> FeatureMap<P> for NystromFeatures<P, K> {
    fn dim(&self) -> usize {
        self.root.ncols()
    }

    fn features(&self, xs: &P, rows: Range<usize>, mut out: Tile<'_, f64>, ws: &mut Workspace<f64>) {
        let (n, m) = (rows.len(), self.centres.len());
        let Ok(at) = Block::between(xs, rows, &self.centres, 0..m) else { return out.fill(f64::NAN) };
        let mut buffer = ws.take(n * m);
        self.kernel.block(&at, Tile::from_slice(&mut buffer, n, m), ws);
        // Row by row, so that a row's sums do not depend on how rows are cut.
        let mut row = ws.take(m);
        for i in 0..n {
            row.iter_mut().enumerate().for_each(|(j, v)| *v = buffer[i + j * n]);
            for (j, column) in self.root.column_iter().enumerate() {
                out[(i, j)] = inner(&row, column.as_slice());
            }
        }
        ws.give(row);
        ws.give(buffer);
    }

    fn check(&self, xs: &P) -> Result<(), Error> {
        xs.check_compatible(&self.centres)?;
        self.kernel.check(xs)
    }
}

/// Eight partial sums, so that the compiler can keep them in vectors.
fn inner(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in left.by_ref().zip(right.by_ref()) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
