//! Fits that take more samples, or fewer, without starting again.

use kernels_core::{
    Error as CoreError, Kernel, Points, PositiveDefinite, Rows, cross_gram,
    dense::{Cholesky, transposed_product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel, Targets,
    data::{cross_f64, expect, finite, gram_f64, non_negative, require_positive},
    falkon::factorize,
};

/// Exact kernel ridge regression to which rows are appended and from which they are removed: O(n²q) for q new rows, O((n − i)²) to
/// remove row i, instead of n³ for a new fit.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{IncrementalKrr, Krr};
/// let row = |v: &[f64]| Rows::from_row_major(v.to_vec(), v.len(), 1);
/// let mut krr = IncrementalKrr::new(Rbf::new(1.0)?, 0.1, 1, 1)?;
/// krr.append(&row(&[0.0, 1.0])?, &vec![1.0, 2.0])?;
/// krr.append(&row(&[5.0])?, &vec![9.0])?;
/// krr.remove(2)?;
/// let batch = Krr::new(Rbf::new(1.0)?).ridge(0.1).fit(&row(&[0.0, 1.0])?, &vec![1.0, 2.0])?;
/// assert!((krr.model()?.coefficients() - batch.coefficients()).amax() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IncrementalKrr<K> {
    kernel: K,
    ridge: f64,
    dim: usize,
    outputs: usize,
    /// Points row by row.
    points: Vec<f64>,
    y: DMatrix<f64>,
    /// Row i of L, of length i + 1.
    lower: Vec<Vec<f64>>,
}

impl<K: Kernel<Rows<f64>> + PositiveDefinite + Clone> IncrementalKrr<K> {
    /// With no samples yet, for points of `dim` features and `outputs` targets.
    ///
    /// # Errors
    /// A negative ridge, a kernel that is not positive definite.
    pub fn new(kernel: K, ridge: f64, dim: usize, outputs: usize) -> Result<Self, Error> {
        require_positive("incremental regression", &kernel)?;
        let ridge = non_negative("ridge", ridge)?;
        Ok(Self {
            kernel,
            ridge,
            dim,
            outputs,
            points: Vec::new(),
            y: DMatrix::zeros(0, outputs),
            lower: Vec::new(),
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.lower.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    fn rows(&self) -> Result<Rows<f64>, Error> {
        Ok(Rows::from_row_major(self.points.clone(), self.len(), self.dim)?)
    }

    /// Appends samples. Unchanged when it fails.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, a matrix that is no longer positive definite within
    /// rounding. **Complexity.** O(n² q + n q²).
    pub fn append<Y: Targets + ?Sized>(&mut self, xs: &Rows<f64>, y: &Y) -> Result<(), Error> {
        xs.check_finite()?;
        let y = y.to_matrix();
        expect("number of features", self.dim, xs.dim())?;
        expect("rows of the targets (one a sample)", xs.len(), y.nrows())?;
        expect("columns of the targets", self.outputs, y.ncols())?;
        finite("target", y.as_slice(), xs.len().max(1))?;
        let (n, q) = (self.len(), xs.len());
        if q == 0 {
            return Ok(());
        }
        // Row by row: L21 = K21 L11⁻ᵀ, then L22 from K22 + αI − L21 L21ᵀ.
        let cross = if n == 0 { DMatrix::zeros(0, q) } else { cross_gram(&self.kernel, &self.rows()?, xs)? };
        let within = gram_f64(&self.kernel, xs)?;
        let mut fresh: Vec<Vec<f64>> = Vec::with_capacity(q);
        for r in 0..q {
            let mut row = Vec::with_capacity(n + r + 1);
            for j in 0..n + r {
                let (value, other) =
                    if j < n { (cross[(j, r)], &self.lower[j]) } else { (within[(r, j - n)], &fresh[j - n]) };
                let sum: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.push((value - sum) / other[j]);
            }
            let pivot = within[(r, r)] + self.ridge - row.iter().map(|v| v * v).sum::<f64>();
            if !(pivot > 0.0 && pivot.is_finite()) {
                let suggested = self.ridge + (n + q) as f64 * f64::EPSILON * within[(r, r)].abs();
                let error =
                    CoreError::NotPositiveDefinite { pivot: n + r, n: n + q, value: pivot, suggested };
                return Err(error.into());
            }
            row.push(pivot.sqrt());
            fresh.push(row);
        }
        self.lower.append(&mut fresh);
        self.points.extend_from_slice(xs.as_slice());
        let mut all = DMatrix::zeros(n + q, self.outputs);
        all.rows_mut(0, n).copy_from(&self.y);
        all.rows_mut(n, q).copy_from(&y);
        self.y = all;
        Ok(())
    }

    /// Removes sample `index`; later ones move up.
    ///
    /// **Errors.** An index out of range. **Complexity.** O((n − index)²).
    pub fn remove(&mut self, index: usize) -> Result<(), Error> {
        if index >= self.len() {
            let what = "index of a sample (below)";
            return Err(CoreError::Shape { what, expected: self.len(), given: index }.into());
        }
        self.lower.remove(index);
        // L33 L33ᵀ + l l ᵀ for the deleted column l: a rank-one update, which never loses definiteness.
        let mut column: Vec<f64> = self.lower[index..].iter_mut().map(|row| row.remove(index)).collect();
        for k in 0..column.len() {
            let at = index + k;
            let (diagonal, x) = (self.lower[at][at], column[k]);
            let r = diagonal.hypot(x);
            let (c, s) = (r / diagonal, x / diagonal);
            self.lower[at][at] = r;
            for (i, v) in column.iter_mut().enumerate().skip(k + 1) {
                let entry = &mut self.lower[index + i][at];
                *entry = (*entry + s * *v) / c;
                *v = c * *v - s * *entry;
            }
        }
        self.points.drain(index * self.dim..(index + 1) * self.dim);
        self.y = self.y.clone().remove_row(index);
        Ok(())
    }

    /// The model of the samples at hand. O(n² t).
    ///
    /// # Errors
    /// No samples.
    pub fn model(&self) -> Result<KrrModel<Rows<f64>, K>, Error> {
        if self.is_empty() {
            let what = "incremental regression";
            return Err(CoreError::TooFewPoints { what, needed: 1, given: 0 }.into());
        }
        let mut c = self.y.clone();
        for mut column in c.column_iter_mut() {
            for (i, row) in self.lower.iter().enumerate() {
                let sum: f64 = row[..i].iter().zip(column.iter()).map(|(a, b)| a * b).sum();
                column[i] = (column[i] - sum) / row[i];
            }
            for (i, row) in self.lower.iter().enumerate().rev() {
                column[i] /= row[i];
                let value = column[i];
                for (to, l) in column.iter_mut().zip(&row[..i]) {
                    *to -= l * value;
                }
            }
        }
        let outputs = self.outputs;
        Ok(KrrModel::new(self.kernel.clone(), self.rows()?, c, DVector::zeros(outputs)))
    }
}

/// Kernel ridge regression on fixed centres that takes samples as they come (`partial_fit`) and keeps m² numbers, not the
/// samples: minimises Σ wᵢ (yᵢ − f(xᵢ))² + α ‖f‖² over all samples seen.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::PartialFit;
/// let centers = Rows::from_row_major(vec![0.0, 1.0, 2.0], 3, 1)?;
/// let mut fit = PartialFit::new(Rbf::new(1.0)?, centers, 1)?;
/// fit.update(&Rows::from_row_major(vec![0.0, 0.5], 2, 1)?, &vec![0.0, 0.5], None)?;
/// fit.update(&Rows::from_row_major(vec![1.5, 2.0], 2, 1)?, &vec![1.5, 2.0], None)?;
/// let model = fit.model(1e-6)?;
/// assert!((model.predict(&Rows::from_row_major(vec![1.0], 1, 1)?)?[0] - 1.0).abs() < 0.05);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartialFit<P, K> {
    kernel: K,
    centers: P,
    /// Σ K_bmᵀ W K_bm and Σ K_bmᵀ W Y_b.
    normal: DMatrix<f64>,
    right: DMatrix<f64>,
}

impl<P: Points + Clone, K: Kernel<P> + PositiveDefinite + Clone> PartialFit<P, K> {
    /// On these centres, with no samples yet.
    ///
    /// # Errors
    /// No centres, a kernel that is not positive definite.
    pub fn new(kernel: K, centers: P, outputs: usize) -> Result<Self, Error> {
        require_positive("partial fit", &kernel)?;
        centers.check_finite()?;
        let m = centers.len();
        if m == 0 {
            return Err(CoreError::TooFewPoints { what: "partial fit", needed: 1, given: 0 }.into());
        }
        Ok(Self { kernel, centers, normal: DMatrix::zeros(m, m), right: DMatrix::zeros(m, outputs) })
    }

    /// Takes more samples, with weights when given.
    ///
    /// **Errors.** Shapes that disagree, values that are not finite, weights that are negative. **Complexity.** O(q m²) for q samples.
    pub fn update<Y: Targets + ?Sized>(
        &mut self,
        xs: &P,
        y: &Y,
        weights: Option<&[f64]>,
    ) -> Result<(), Error> {
        xs.check_finite()?;
        let mut y = y.to_matrix();
        expect("rows of the targets (one a sample)", xs.len(), y.nrows())?;
        expect("columns of the targets", self.right.ncols(), y.ncols())?;
        finite("target", y.as_slice(), xs.len().max(1))?;
        let roots = crate::krr::weight_roots(weights, xs.len())?;
        let mut k = cross_f64(&self.kernel, xs, &self.centers)?;
        for (i, root) in roots.iter().enumerate() {
            k.row_mut(i).scale_mut(*root);
            y.row_mut(i).scale_mut(*root);
        }
        self.normal += transposed_product(&k, &k)?;
        self.right += transposed_product(&k, &y)?;
        Ok(())
    }

    /// The model of all samples seen, for any α > 0. O(m³).
    ///
    /// # Errors
    /// α ≤ 0; a system that is not positive definite within rounding.
    pub fn model(&self, alpha: f64) -> Result<KrrModel<P, K>, Error> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            let expected = "a finite number above 0";
            return Err(CoreError::Parameter { name: "alpha".into(), value: alpha, expected }.into());
        }
        let system = &self.normal + gram_f64(&self.kernel, &self.centers)? * alpha;
        let (factor, _): (Cholesky, f64) = factorize(system, f64::EPSILON)?;
        let mut c = self.right.clone();
        factor.solve_in_place(c.as_view_mut())?;
        let outputs = c.ncols();
        Ok(KrrModel::new(self.kernel.clone(), self.centers.clone(), c, DVector::zeros(outputs)))
    }
}
