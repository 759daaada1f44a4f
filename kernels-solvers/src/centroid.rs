//! Nearest class means and discriminant analysis in the feature space of a kernel.

use kernels_core::{
    Kernel, Points, PositiveDefinite, Real,
    dense::{Cholesky, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel,
    classify::{classes, largest},
    data::{checked_points, expect, gram_f64, positive},
};

/// Nearest class mean in the feature space of a kernel, or, with a shrinkage, kernel discriminant analysis: distances in the
/// metric of the within-class scatter.
///
/// The nearest mean minimises ‖φ(x) − m_c‖²; discriminant analysis replaces the norm by (S + rI)⁻¹, S the within-class scatter
/// and r the shrinkage: Fisher's direction for two classes.
///
/// Reference: Mika, Rätsch, Weston, Schölkopf, Müller, *Fisher discriminant analysis with kernels* (1999); Shawe-Taylor,
/// Cristianini, *Kernel methods for pattern analysis* (2004), section 5.4.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::NearestCentroid;
/// let xs = Rows::from_row_major(vec![0.0, 0.5, 4.0, 4.5], 4, 1)?;
/// let model = NearestCentroid::new(Rbf::new(1.0)?).fit(&xs, &[7, 7, 9, 9])?;
/// assert_eq!(model.predict(&Rows::from_row_major(vec![0.2, 5.0], 2, 1)?)?, vec![7, 9]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NearestCentroid<K> {
    kernel: K,
    shrinkage: Option<f64>,
}

impl<K> NearestCentroid<K> {
    /// Plain class means.
    pub fn new(kernel: K) -> Self {
        Self { kernel, shrinkage: None }
    }

    /// Discriminant analysis with this ridge on the within-class scatter, in units of its mean eigenvalue.
    pub fn discriminant(mut self, shrinkage: impl Into<Option<f64>>) -> Self {
        self.shrinkage = shrinkage.into();
        self
    }

    /// Fits to points and labels, which may be any integers.
    ///
    /// **Errors.** Fewer than two classes, shapes that disagree, values that are not finite, a shrinkage that is not positive.
    /// **Complexity.** n² (n³ for discriminant analysis).
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<CentroidModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("a nearest centroid", &self.kernel, xs, 1)?;
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = classes(labels)?;
        let n = labels.len();
        let k = gram_f64(&self.kernel, xs)?;
        let place: Vec<usize> = labels.iter().map(|l| classes.partition_point(|c| c < l)).collect();
        let sizes: Vec<f64> =
            (0..classes.len()).map(|c| place.iter().filter(|p| **p == c).count() as f64).collect();
        let means = DMatrix::from_fn(n, classes.len(), |i, c| if place[i] == c { 1.0 / sizes[c] } else { 0.0 });
        let weights = match self.shrinkage {
            None => means,
            Some(shrinkage) => {
                positive("shrinkage", shrinkage)?;
                // P takes the class mean out of every sample, S = ΦᵀPΦ. By Woodbury (S + r)⁻¹ of a mean Φᵀw is, up to the factor
                // 1/r, Φᵀ(w − P (PKP + r)⁻¹ P K w).
                let center = |m: &DMatrix<f64>| {
                    let mut out = m.clone();
                    for mut column in out.column_iter_mut() {
                        let mut sums = vec![0.0; sizes.len()];
                        (0..n).for_each(|i| sums[place[i]] += column[i]);
                        (0..n).for_each(|i| column[i] -= sums[place[i]] / sizes[place[i]]);
                    }
                    out
                };
                let mut within = center(&center(&k).transpose());
                let ridge = shrinkage * within.trace().max(f64::MIN_POSITIVE) / n as f64;
                for i in 0..n {
                    within[(i, i)] += ridge;
                }
                let mut inner = center(&product(&k, &means)?);
                Cholesky::new(within)?.solve_in_place(inner.as_view_mut())?;
                means - center(&inner)
            }
        };
        // ⟨m, m⟩ in the metric: w'ᵀ K w.
        let images = product(&k, &weights)?;
        let offsets = DVector::from_fn(classes.len(), |c, _| {
            let mine = (0..n).filter(|&i| place[i] == c);
            -0.5 * mine.map(|i| images[(i, c)]).sum::<f64>() / sizes[c]
        });
        Ok(CentroidModel { model: KrrModel::new(self.kernel.clone(), xs.clone(), weights, offsets), classes })
    }
}

/// Fitted class means.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CentroidModel<P, K> {
    model: KrrModel<P, K>,
    classes: Vec<usize>,
}

impl<P: Points, K: Kernel<P>> CentroidModel<P, K> {
    /// Scores ⟨x, m_c⟩ − ½⟨m_c, m_c⟩, one column a class: minus half the squared distance, up to what all classes share.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn scores(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.model.predict(xs)
    }

    /// The nearest class.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        let scores = self.scores(xs)?;
        Ok((0..scores.nrows()).map(|i| self.classes[largest(scores.row(i).iter())]).collect())
    }

    /// The labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// Squared distances to the class means for plain means, one column a class.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn squared_distances(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let mut out = self.scores(xs)? * -2.0;
        for (i, mut row) in out.row_iter_mut().enumerate() {
            let own = self.model.kernel().eval(xs.point(i), xs.point(i)).to_f64();
            row.add_scalar_mut(own);
        }
        Ok(out)
    }
}
