//! More than two classes: the softmax of one function a class.

use kernels_core::{Kernel, Points, PositiveDefinite, Progress, Real};
use nalgebra::{DMatrix, DVector};

use super::{CENTERS, LogFalkon, WHAT, path};
use crate::{
    BlockSource, Error, InMemory, KrrModel, SolveReport,
    classify::{classes, largest},
    data::{expect, gram_f64},
    eigenpro::cross_times,
    falkon::{Basis, Products},
    krr::weight_roots,
};

/// A fitted multi-class logistic regression.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LogFalkonModel<P, K> {
    scores: KrrModel<P, K>,
    classes: Vec<usize>,
}

impl<P, K> LogFalkonModel<P, K> {
    /// The labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The functions whose softmax is the probability, one output a class.
    pub fn scores(&self) -> &KrrModel<P, K> {
        &self.scores
    }
}

impl<P: Points, K: Kernel<P>> LogFalkonModel<P, K> {
    /// The most probable label of every point.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        let f = self.scores.predict(xs)?;
        Ok((0..f.nrows()).map(|i| self.classes[largest(f.row(i).iter())]).collect())
    }

    /// Probabilities, one column a class.
    ///
    /// # Errors
    /// As [`KrrModel::predict`].
    pub fn predict_probability(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let mut f = self.scores.predict(xs)?;
        softmax(&mut f);
        Ok(f)
    }
}

/// The softmax of every row.
fn softmax(f: &mut DMatrix<f64>) {
    for mut row in f.row_iter_mut() {
        let top = row.max();
        row.iter_mut().for_each(|v| *v = (*v - top).exp());
        let sum = row.sum();
        row /= sum;
    }
}

/// ln Σ eᶠ of a row without overflow.
fn log_sum(row: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = row.clone().fold(f64::NEG_INFINITY, f64::max);
    top + row.map(|v| (v - top).exp()).sum::<f64>().ln()
}

/// What does not change between Newton's steps.
struct Fixed<'a, P> {
    centers: &'a P,
    indices: &'a [usize],
    kmm: &'a DMatrix<f64>,
    /// 1 for the class of a sample, 0 for the others.
    truth: &'a DMatrix<f64>,
    weights: &'a [f64],
}

impl<K> LogFalkon<K> {
    /// Fits labels, which may be any integers, of two classes or more: minimises (1/n) Σ wᵢ (ln Σₖ exp fₖ(xᵢ) − f_yᵢ(xᵢ)) +
    /// (λ/2) Σₖ ‖fₖ‖². With two classes, f₁ − f₀ is the function of [`LogFalkon::fit`] with half of this λ.
    ///
    /// **Errors.** As [`LogFalkon::fit_source`]; fewer than two classes. **Complexity.** That of one class for the kernel values;
    /// the Hessian couples the classes, so that all are solved for together.
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_solvers::LogFalkon;
    /// let x: Vec<f64> = (0..90).map(|i| f64::from(i) / 10.0).collect();
    /// let labels: Vec<usize> = (0..90).map(|i| [4, 7, 9][i / 30]).collect();
    /// let xs = Rows::from_row_major(x, 90, 1)?;
    /// let (model, _) = LogFalkon::new(Rbf::new(1.0)?, 20).lambda(1e-4).fit_classes(&xs, &labels, &mut ())?;
    /// assert_eq!(model.predict(&Rows::from_row_major(vec![1.0, 4.5, 8.0], 3, 1)?)?, vec![4, 7, 9]);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn fit_classes<P>(
        &self,
        xs: &P,
        labels: &[usize],
        progress: &mut dyn Progress,
    ) -> Result<(LogFalkonModel<P, K>, SolveReport), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = classes(labels)?;
        let truth =
            DMatrix::from_fn(
                labels.len(),
                classes.len(),
                |i, k| {
                    if labels[i] == classes[k] { 1.0 } else { 0.0 }
                },
            );
        let (scores, report) = self.fit_indicators(&mut InMemory::new(xs.clone(), &truth)?, progress)?;
        Ok((LogFalkonModel { scores, classes }, report))
    }

    /// The same from data that are read block by block, whose targets are indicators: a column a class, 1 in that of the sample and 0
    /// in the others. The outputs are the functions whose softmax is the probability.
    ///
    /// # Errors
    /// As [`LogFalkon::fit_source`]; rows that are no indicators.
    pub fn fit_indicators<S>(
        &self,
        source: &mut S,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        let indices = self.settings.chosen(WHAT, CENTERS, &self.kernel, source)?;
        let (n, t) = (source.len(), source.outputs());
        let mut truth = DMatrix::zeros(n, t);
        let mut start = 0;
        source.pass(&mut |_, y| {
            truth.rows_mut(start, y.nrows()).copy_from(y);
            start += y.nrows();
            Ok(())
        })?;
        for (row, values) in truth.row_iter().enumerate() {
            let ones = values.iter().filter(|v| (**v - 1.0).abs() <= 0.0).count();
            let zeros = values.iter().filter(|v| v.abs() <= 0.0).count();
            if ones != 1 || ones + zeros != t {
                let expected = "1 in the column of the class and 0 in the others";
                return Err(Error::Value { what: "indicator", row, value: values.sum(), expected });
            }
        }
        let weights: Vec<f64> =
            weight_roots(self.settings.weights.as_deref(), n)?.iter().map(|r| r * r).collect();
        let centers = source.select(&indices)?;
        let mut kmm = gram_f64(&self.kernel, &centers)?;
        let start = (kmm.diagonal().mean() * 1e-2).max(self.settings.lambda);
        let mut basis = Basis::new(kmm.clone(), start, None)?;
        (0..indices.len()).for_each(|i| kmm[(i, i)] += basis.jitter);
        let fixed =
            Fixed { centers: &centers, indices: &indices, kmm: &kmm, truth: &truth, weights: &weights };
        let (mut a, mut f) = (DMatrix::zeros(indices.len(), t), DMatrix::zeros(n, t));
        let mut report = path::follow(&self.settings, start, progress, |lambda| {
            self.newton_classes(source, &fixed, (&mut basis, lambda), &mut a, &mut f)
        })?;
        report.jitter = basis.jitter;
        Ok((KrrModel::new(self.kernel.clone(), centers, a, DVector::zeros(t)), report))
    }

    /// One step; the Newton decrement before it. The Hessian of a sample is w (diag p − ppᵀ); the preconditioner takes the
    /// mean of its diagonal for all classes.
    fn newton_classes<S>(
        &self,
        source: &mut S,
        fixed: &Fixed<'_, S::Points>,
        (basis, lambda): (&mut Basis, f64),
        a: &mut DMatrix<f64>,
        f: &mut DMatrix<f64>,
    ) -> Result<f64, Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let (n, (m, t)) = (f.nrows() as f64, a.shape());
        let mut p = f.clone();
        softmax(&mut p);
        let curvature =
            |i: usize| fixed.weights[i] * p.row(i).iter().map(|p| p * (1.0 - p)).sum::<f64>() / t as f64;
        let at_centers: Vec<f64> = fixed.indices.iter().map(|i| curvature(*i)).collect();
        basis.reweigh(lambda, Some(&at_centers))?;
        let products = Products {
            kernel: &self.kernel,
            centers: fixed.centers,
            weights: None,
            budget: self.settings.budget,
        };
        let of = <S::Points as Points>::Scalar::of;
        let pulled = products.through(source, &DMatrix::zeros(m, t), |row, _, u| {
            for (k, u) in u.iter_mut().enumerate() {
                *u = of(fixed.weights[row] * (p[(row, k)] - fixed.truth[(row, k)]));
            }
        })? / n;
        let gradient = basis.gradient(pulled, a, lambda)?;
        // All classes are one unknown: the iteration sees a single column.
        let column = |m: DMatrix<f64>| DMatrix::from_column_slice(m.len(), 1, m.as_slice());
        let square = |v: &DMatrix<f64>| DMatrix::from_column_slice(m, t, v.as_slice());
        let mut apply = |beta: &DMatrix<f64>| {
            let beta = square(beta);
            let image = products.through(source, &basis.push(&beta)?, |row, _, u| {
                let mean: f64 = u.iter().enumerate().map(|(k, u)| p[(row, k)] * u.to_f64()).sum();
                for (k, u) in u.iter_mut().enumerate() {
                    *u = of(fixed.weights[row] * p[(row, k)] * (u.to_f64() - mean));
                }
            })? / n;
            Ok(column(basis.operator(&beta, image, lambda)?))
        };
        let (direction, squared) = path::direction(&column(gradient), 50, &mut apply)?;
        let step = basis.push(&square(&direction))?;
        let mut change = DMatrix::zeros(f.nrows(), t);
        let mut start = 0;
        source.pass(&mut |xs, _| {
            let part = cross_times(&self.kernel, xs, fixed.centers, &step, self.settings.budget)?;
            change.rows_mut(start, part.nrows()).copy_from(&part);
            start += part.nrows();
            Ok(())
        })?;
        let penalty = path::Penalty::new(lambda, fixed.kmm, a, &step);
        let eta = path::share(squared, |eta| {
            let loss: f64 = (0..f.nrows())
                .map(|i| {
                    let moved = (0..t).map(|k| f[(i, k)] - eta * change[(i, k)]);
                    let own: f64 = moved.clone().enumerate().map(|(k, v)| fixed.truth[(i, k)] * v).sum();
                    fixed.weights[i] * (log_sum(moved) - own)
                })
                .sum();
            loss / n + penalty.at(eta)
        });
        *a -= step * eta;
        *f -= change * eta;
        Ok(squared.sqrt())
    }
}
