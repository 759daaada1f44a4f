//! Kernel Barlow Twins.

use kernels_core::{
    Kernel, Points, PositiveDefinite,
    dense::{SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, KrrModel,
    data::{at_least, checked_points, expect, gram_f64, non_negative, positive},
};

/// The minimum-norm optimum of the Barlow Twins loss ‖C − I‖²_F over functions of a kernel's space, C the cross-correlation of
/// the embeddings of two views: components are the eigenvectors of K_Γ = K̃^½ P K̃^½/(2n) with eigenvalue above 0, K̃ the Gram
/// matrix of the 2n stacked points and P the exchange of the views.
///
/// Reference: Simon, Knutins, Ziyin, Geisz, Fetterman, Albrecht, *On the stepwise nature of self-supervised learning*, ICML
/// 2023, section 4.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::closed_form::BarlowTwins;
/// // Six points of two views each.
/// let views: Vec<f64> = (0..6).map(f64::from).chain((0..6).map(|i| f64::from(i) + 0.1)).collect();
/// let model = BarlowTwins::new(Rbf::new(1.0)?, 2).fit(&Rows::from_row_major(views, 12, 1)?)?;
/// assert!((model.correlation()? - nalgebra::DMatrix::identity(2, 2)).amax() < 1e-9);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BarlowTwins<K> {
    kernel: K,
    dimensions: usize,
}

impl<K> BarlowTwins<K> {
    /// With this many dimensions of the embedding.
    pub fn new(kernel: K, dimensions: usize) -> Self {
        Self { kernel, dimensions }
    }

    /// Fits to 2n points: the first views of n samples, then their second views in the same order.
    ///
    /// **Errors.** No points or an odd number, values that are not finite, a kernel that is not positive definite, more dimensions
    /// than eigenvalues above 0. **Complexity.** Two eigendecompositions of order 2n.
    pub fn fit<P>(&self, views: &P) -> Result<BarlowTwinsModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("kernel Barlow Twins", &self.kernel, views, 2)?;
        at_least("kernel Barlow Twins (dimensions)", 1, self.dimensions)?;
        let total = views.len();
        expect("points (two views of each sample)", total / 2 * 2, total)?;
        let n = total / 2;
        let eigen = SymmetricEigen::new(&gram_f64(&self.kernel, views)?)?;
        // The range of K̃: columns U √μ, and U/√μ to come back.
        let floor = 1e-10 * eigen.values.amax();
        let kept: Vec<usize> = (0..total).filter(|&j| eigen.values[j] > floor).collect();
        let root = DMatrix::from_fn(total, kept.len(), |i, c| {
            eigen.vectors[(i, kept[c])] * eigen.values[kept[c]].sqrt()
        });
        let swapped = DMatrix::from_fn(total, kept.len(), |i, c| root[((i + n) % total, c)]);
        let gamma = product(&root.transpose(), &swapped)? / total as f64;
        let pairs = SymmetricEigen::new(&gamma)?;
        let values: DVector<f64> = DVector::from_iterator(kept.len(), pairs.values.iter().rev().copied());
        let learnable = values.iter().filter(|v| **v > 1e-10 * values.amax()).count();
        if learnable < self.dimensions {
            return Err(kernels_core::Error::Shape {
                what: "dimensions of the embedding (at most the eigenvalues above 0)",
                expected: learnable,
                given: self.dimensions,
            }
            .into());
        }
        // f = γ^(−½) wᵀ (U/√μ)ᵀ k̃(x).
        let back = DMatrix::from_fn(total, kept.len(), |i, c| {
            eigen.vectors[(i, kept[c])] / eigen.values[kept[c]].sqrt()
        });
        let modes = DMatrix::from_fn(kept.len(), self.dimensions, |i, c| {
            pairs.vectors[(i, kept.len() - 1 - c)] / values[c].sqrt()
        });
        let coefficients = product(&back, &modes)?;
        let offsets = DVector::zeros(self.dimensions);
        let model = KrrModel::new(self.kernel.clone(), views.clone(), coefficients, offsets);
        Ok(BarlowTwinsModel { model, values })
    }
}

/// A fitted embedding; unique up to a rotation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BarlowTwinsModel<P, K> {
    model: KrrModel<P, K>,
    values: DVector<f64>,
}

impl<P: Points, K: Kernel<P>> BarlowTwinsModel<P, K> {
    /// Eigenvalues γ of K_Γ on the range of the kernel, descending.
    pub fn eigenvalues(&self) -> &DVector<f64> {
        &self.values
    }

    /// Embeddings, one row a point.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn transform(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        self.model.predict(xs)
    }

    /// The cross-correlation of the training views' embeddings: the identity, up to rounding.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn correlation(&self) -> Result<DMatrix<f64>, Error> {
        let f = self.transform(self.model.points())?;
        let n = f.nrows() / 2;
        let (first, second) = (f.rows(0, n), f.rows(n, n));
        let cross = first.tr_mul(&second);
        Ok((&cross + cross.transpose()) / (2 * n) as f64)
    }
}

/// The singular value of one mode under gradient flow from a small start s₀: s(t) = s₀ e^(4γt)/√(1 + (e^(8γt) − 1) s₀² γ). It
/// rises to γ^(−½) at about t = −ln(s₀ √γ)/(4γ), so that modes are learned one after another.
///
/// # Errors
/// A γ or start that is not positive, a negative time.
///
/// ```
/// let end = kernels_solvers::closed_form::learning_curve(0.25, 1e-3, 1e3)?;
/// assert!((end - 2.0).abs() < 1e-12);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
pub fn learning_curve(gamma: f64, start: f64, time: f64) -> Result<f64, Error> {
    let (gamma, start) = (positive("gamma", gamma)?, positive("start", start)?);
    let time = non_negative("time", time)?;
    // Divided by e^(8γt), which overflows.
    let decay = (-8.0 * gamma * time).exp();
    Ok(start / (decay + (1.0 - decay) * start * start * gamma).sqrt())
}

/// Gradient descent on ‖WΓWᵀ − I‖²_F of a linear embedding, W ← W − step · 4(WΓWᵀ − I)WΓ; the losses before every step, and W at
/// the end.
///
/// # Errors
/// Shapes that disagree, a step that is not positive.
pub fn descend_linear(
    start: &DMatrix<f64>,
    gamma: &DMatrix<f64>,
    step: f64,
    steps: usize,
) -> Result<(Vec<f64>, DMatrix<f64>), Error> {
    expect("rows of the correlation", start.ncols(), gamma.nrows())?;
    expect("columns of the correlation", start.ncols(), gamma.ncols())?;
    positive("step", step)?;
    let mut w = start.clone();
    let mut losses = Vec::with_capacity(steps);
    for _ in 0..steps {
        let image = &w * gamma;
        let mut miss = &image * w.transpose();
        (0..miss.nrows()).for_each(|i| miss[(i, i)] -= 1.0);
        losses.push(miss.norm_squared());
        w -= miss * image * (4.0 * step);
    }
    Ok((losses, w))
}
