//! Kernel affine hull machines.

use kernels_core::{
    Linear, Rows,
    dense::{Cholesky, SymmetricEigen, product},
};
use nalgebra::{DMatrix, DVector, RowDVector};

use crate::{
    Error, Version,
    classify::classes,
    data::{at_least, expect, finite},
    unsupervised::KernelKMeans,
};

/// The kernel affine hull of a sample: a bounded region around it, and the image of any point in it.
///
/// On the leading principal scores of the sample, whitened, a Gaussian kernel smooths: h(x) = (K + λI)⁻¹k(x), scaled to sum 1;
/// the image of a point is Σ hᵢ yᵢ and its distance ‖y − image‖. λ = τ + e with τ = 2‖Y‖²/(pN), and e the fixed point of the mean
/// squared residual of the smoother with that λ.
///
/// Reference: Kumar, Moser, Fischer, *On mathematical foundations of kernel affine hull machines* (2024).
///
/// ```
/// use kernels_solvers::closed_form::AffineHull;
/// let line = nalgebra::DMatrix::from_fn(10, 2, |i, _| i as f64);
/// let hull = AffineHull::new(&line, 1)?;
/// let d = hull.distances(&nalgebra::dmatrix![5.0, 5.0; 5.0, 50.0])?;
/// assert!(d[0] < 2.0 && d[1] > 30.0);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AffineHull {
    version: Version,
    data: DMatrix<f64>,
    mean: RowDVector<f64>,
    /// Principal directions over standard deviations of their scores, p × dimensions.
    directions: DMatrix<f64>,
    scores: DMatrix<f64>,
    /// (K + λI)⁻¹.
    smoother: DMatrix<f64>,
    lambda: f64,
    tau: f64,
}

/// Iterations of the fixed point: it contracts fast.
const MOST: usize = 200;

impl AffineHull {
    /// Of a sample, one row a point, on at most this many principal scores; scores that range over less than 0.001 are left out.
    ///
    /// **Errors.** Fewer than 2 points, values that are not finite, no dimensions, a sample without spread. **Complexity.** O(N³).
    pub fn new(data: &DMatrix<f64>, dimensions: usize) -> Result<Self, Error> {
        let (n, p) = data.shape();
        at_least("an affine hull (points)", 2, n)?;
        at_least("an affine hull (features)", 1, p)?;
        at_least("an affine hull (dimensions)", 1, dimensions)?;
        finite("feature", data.as_slice(), n)?;
        let mean = data.row_mean();
        let mut centered = data.clone();
        for mut row in centered.row_iter_mut() {
            row -= &mean;
        }
        let eigen = SymmetricEigen::new(&product(&centered.transpose(), &centered)?)?;
        let mut kept: Vec<usize> = (0..p).rev().take(dimensions.min(n - 1)).collect();
        let range = |j: usize| {
            let scores = &centered * eigen.vectors.column(j);
            scores.max() - scores.min()
        };
        while kept.last().is_some_and(|&j| range(j) < 1e-3) {
            kept.pop();
        }
        at_least("an affine hull (scores that range over 0.001 or more)", 1, kept.len())?;
        let mut directions = DMatrix::zeros(p, kept.len());
        for (to, &j) in kept.iter().enumerate() {
            let deviation = (eigen.values[j].max(0.0) / (n as f64 - 1.0)).sqrt();
            directions.set_column(to, &(eigen.vectors.column(j) / deviation));
        }
        let scores = product(&centered, &directions)?;
        let k = similarity(&scores, &scores);
        let scale = data.norm_squared() / (p * n) as f64;
        let tau = 2.0 * scale;
        let mut lambda = tau + 0.5 * scale;
        for _ in 0..MOST {
            let next = tau + residual(&k, data, lambda)?;
            let change = (next - lambda).abs();
            lambda = next;
            if change <= 1e-12 * lambda {
                break;
            }
        }
        let smoother = smoother(&k, lambda)?;
        Ok(Self { version: Version, data: data.clone(), mean, directions, scores, smoother, lambda, tau })
    }

    /// λ.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// τ.
    pub fn tau(&self) -> f64 {
        self.tau
    }

    /// Images of points in the hull, one row a point.
    ///
    /// **Errors.** Points of another dimension, or not finite. **Complexity.** O(N²) a point.
    pub fn images(&self, points: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        expect("features", self.data.ncols(), points.ncols())?;
        finite("feature", points.as_slice(), points.nrows().max(1))?;
        let mut centered = points.clone();
        for mut row in centered.row_iter_mut() {
            row -= &self.mean;
        }
        let k = similarity(&product(&centered, &self.directions)?, &self.scores);
        let mut h = product(&k, &self.smoother)?;
        for mut row in h.row_iter_mut() {
            let sum = row.sum();
            // Far away all weights vanish: the sample's mean stands for all.
            if sum.abs() < 1e-12 {
                row.fill(1.0 / self.data.nrows() as f64);
            } else {
                row /= sum;
            }
        }
        Ok(product(&h, &self.data)?)
    }

    /// Distances of points to their images.
    ///
    /// # Errors
    /// As [`AffineHull::images`].
    pub fn distances(&self, points: &DMatrix<f64>) -> Result<DVector<f64>, Error> {
        let gap = points - self.images(points)?;
        Ok(DVector::from_iterator(gap.nrows(), gap.row_iter().map(|row| row.norm())))
    }

    /// 1 − e^(−max Γ/p) over the sample's own distances Γ: how badly the hull models it.
    ///
    /// # Errors
    /// [`kernels_core::Error::Memory`].
    pub fn modelling_error(&self) -> Result<f64, Error> {
        let worst = self.distances(&self.data)?.max();
        Ok(-(-worst / self.data.ncols() as f64).exp_m1())
    }
}

/// (K + λI)⁻¹.
fn smoother(k: &DMatrix<f64>, lambda: f64) -> Result<DMatrix<f64>, Error> {
    let mut shifted = k.clone();
    (0..k.nrows()).for_each(|i| shifted[(i, i)] += lambda);
    Ok(Cholesky::new(shifted)?.inverse()?)
}

/// Mean square of Y − K(K + λI)⁻¹Y = λ(K + λI)⁻¹Y: λ − τ of the fixed point.
fn residual(k: &DMatrix<f64>, data: &DMatrix<f64>, lambda: f64) -> Result<f64, Error> {
    Ok((product(&smoother(k, lambda)?, data)? * lambda).norm_squared() / data.len() as f64)
}

/// e^(−‖x − y‖²/(2n)) of whitened scores of n dimensions.
fn similarity(xs: &DMatrix<f64>, ys: &DMatrix<f64>) -> DMatrix<f64> {
    let n = xs.ncols() as f64;
    DMatrix::from_fn(xs.nrows(), ys.nrows(), |i, j| {
        (-(xs.row(i) - ys.row(j)).norm_squared() / (2.0 * n)).exp()
    })
}

/// The class whose hull is nearest. Classes are modelled one by one: adding one leaves the others as they are.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AffineHullClassifier {
    classes: Vec<usize>,
    /// The hulls of every class: of all its points, or of parts of them.
    hulls: Vec<Vec<AffineHull>>,
}

impl AffineHullClassifier {
    /// One hull a class.
    ///
    /// # Errors
    /// Fewer than two classes; as [`AffineHull::new`].
    pub fn new(data: &DMatrix<f64>, labels: &[usize], dimensions: usize) -> Result<Self, Error> {
        Self::with_parts(data, labels, dimensions, usize::MAX, 0)
    }

    /// Classes of N points in about N/`part` hulls, of parts that k-means finds: time and memory of a hull grow with the cube and
    /// the square of its points. The distance to a class is that to its nearest hull. A part of a single point joins the largest.
    ///
    /// # Errors
    /// As [`AffineHullClassifier::new`]; parts of no points.
    ///
    /// ```
    /// use kernels_solvers::closed_form::AffineHullClassifier;
    /// // Two rings of points: of each class a part on either side.
    /// let data = nalgebra::DMatrix::from_fn(80, 2, |i, j| {
    ///     let (angle, radius) = (i as f64 * 0.7, if i < 40 { 1.0 } else { 3.0 });
    ///     radius * if j == 0 { angle.cos() } else { angle.sin() }
    /// });
    /// let labels: Vec<usize> = (0..80).map(|i| i / 40).collect();
    /// let model = AffineHullClassifier::with_parts(&data, &labels, 2, 10, 1)?;
    /// assert_eq!(model.hulls()[1].len(), 4);
    /// assert_eq!(model.predict(&data)?, labels);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn with_parts(
        data: &DMatrix<f64>,
        labels: &[usize],
        dimensions: usize,
        part: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        expect("labels (one a sample)", data.nrows(), labels.len())?;
        at_least("an affine hull (points of a part)", 1, part)?;
        let classes = classes(labels)?;
        let hulls = |class: &usize| {
            let mine: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == *class).collect();
            let all = data.select_rows(&mine);
            let count = ((mine.len() as f64 / part as f64).round() as usize).max(1);
            if count == 1 {
                return Ok(vec![AffineHull::new(&all, dimensions)?]);
            }
            let clusters = KernelKMeans::new(Linear::new(0.0)?, count).seed(seed).fit(&Rows::new(&all))?;
            let mut parts: Vec<Vec<usize>> = vec![Vec::new(); count];
            clusters.labels().iter().enumerate().for_each(|(i, &part)| parts[part].push(i));
            parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
            let small = parts.iter().position(|part| part.len() < 2).unwrap_or(count).max(1);
            let alone: Vec<usize> = parts.split_off(small).concat();
            parts[0].extend(alone);
            parts.iter().map(|part| AffineHull::new(&all.select_rows(part), dimensions)).collect()
        };
        let hulls = classes.iter().map(hulls).collect::<Result<_, Error>>()?;
        Ok(Self { classes, hulls })
    }

    /// The hulls of every class.
    pub fn hulls(&self) -> &[Vec<AffineHull>] {
        &self.hulls
    }

    /// The nearest class of every point.
    ///
    /// # Errors
    /// As [`AffineHull::images`].
    pub fn predict(&self, points: &DMatrix<f64>) -> Result<Vec<usize>, Error> {
        let mut all = Vec::with_capacity(self.hulls.len());
        for hulls in &self.hulls {
            let mut nearest = DVector::repeat(points.nrows(), f64::INFINITY);
            for hull in hulls {
                nearest.zip_apply(&hull.distances(points)?, |least, d| *least = least.min(d));
            }
            all.push(nearest);
        }
        let nearest =
            |i: usize| (1..all.len()).fold(0, |best, c| if all[c][i] < all[best][i] { c } else { best });
        Ok((0..points.nrows()).map(|i| self.classes[nearest(i)]).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The steps towards the fixed point, of an independent implementation; the source is in the file.
    #[test]
    fn steps_to_the_fixed_point() {
        let file: Value = serde_json::from_str(include_str!("../../tests/reference/kahm.json")).unwrap();
        let list =
            |v: &Value| -> Vec<f64> { v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        let rows: Vec<Vec<f64>> = file["data"].as_array().unwrap().iter().map(list).collect();
        let data = DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j]);
        let hull = AffineHull::new(&data, 3).unwrap();
        let k = similarity(&hull.scores, &hull.scores);
        let mut lambda = hull.tau + 0.25 * hull.tau;
        for expected in list(&file["lambda_history_public_stopping"]) {
            assert!((lambda - expected).abs() < 1e-10 * expected, "{lambda} {expected}");
            lambda = hull.tau + residual(&k, &data, lambda).unwrap();
        }
    }
}
