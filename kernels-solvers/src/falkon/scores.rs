//! How well a regression on centres would predict, from the training data alone.

use kernels_core::{
    Kernel, Points, PositiveDefinite, Real,
    dense::{Cholesky, product, transposed_product},
};
use nalgebra::DMatrix;

use super::{Falkon, factorize};
use crate::{
    BlockSource, Error,
    data::{cross_f64, gram_f64},
};

/// Scores of a regression on centres by which λ, the kernel's parameters and the number of centres can be chosen
/// ([`Falkon::scores`]). Smaller is better, but for the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct CenterScores {
    /// yᵢ − f₋ᵢ(xᵢ), n × t: what the regression fitted without the sample (to the same centres) misses it by.
    pub residuals: DMatrix<f64>,
    /// Mean over samples and outputs of their squares.
    pub leave_one_out: f64,
    /// Generalised cross-validation: mean of (y − f)² / (1 − tr S / n)².
    pub gcv: f64,
    /// tr S: degrees of freedom of the fit.
    pub degrees_of_freedom: f64,
    /// Penalised complexity: degrees of freedom, data fit, and what the centres leave out of the kernel times the data fit.
    pub complexity: f64,
    /// Titsias' bound of the log evidence of a Gaussian process with noise nλ, over all outputs.
    pub evidence: f64,
}

impl<K> Falkon<K> {
    /// Leave-one-out residuals and objectives of hyper-parameters, exactly: for centres so few that nm² is no matter. `fit` need
    /// not have been called; the centres are those it would choose.
    ///
    /// With K_mm = LLᵀ, A = L⁻¹ K_mn, v = nλ and B = I + AAᵀ/v: S = Aᵀ B⁻¹ A / v, eᵢ = (yᵢ − fᵢ)/(1 − Sᵢᵢ).
    ///
    /// **Errors.** As [`Falkon::fit_source`]; weights, which these formulas do not have. **Complexity.** O(nm²), two passes; memory
    /// O(m² + nt).
    ///
    /// Reference: Meanti, Carratino, De Vito, Rosasco, *Efficient hyperparameter tuning for large scale kernel ridge regression* (2022),
    /// section 3; Titsias, *Variational learning of inducing variables in sparse Gaussian processes* (2009), eq. 9.
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_solvers::{Falkon, InMemory};
    /// let xs = Rows::from_row_major((0..200).map(|i| f64::from(i) / 50.0).collect(), 200, 1)?;
    /// let y: Vec<f64> = (0..200).map(|i| (f64::from(i) / 50.0).sin()).collect();
    /// let mut source = InMemory::new(xs, &y)?;
    /// let narrow = Falkon::new(Rbf::new(0.02)?, 20).lambda(1e-6).scores(&mut source)?;
    /// let wide = Falkon::new(Rbf::new(1.0)?, 20).lambda(1e-6).scores(&mut source)?;
    /// assert!(wide.leave_one_out < narrow.leave_one_out);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn scores<S>(&self, source: &mut S) -> Result<CenterScores, Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points> + PositiveDefinite,
    {
        if self.settings.weights.is_some() {
            return Err(Error::Unsupported {
                what: "leave-one-out of weighted samples on centres",
                reason: "the formulas are for equal weights: use Krr, or hold samples out",
            });
        }
        let indices = self.settings.chosen("Falkon", "Falkon (centres)", &self.kernel, source)?;
        let (n, t, m) = (source.len(), source.outputs(), indices.len());
        let noise = n as f64 * self.settings.lambda;
        let centers = source.select(&indices)?;
        // The jitter that the reference has.
        let (root, _) = factorize(gram_f64(&self.kernel, &centers)?, 1e-13)?;
        let piece = (self.settings.budget / (32 * m)).clamp(16, 8192);
        // Visits A and the targets in pieces.
        let mut visit =
            |each: &mut dyn FnMut(DMatrix<f64>, DMatrix<f64>, &S::Points) -> Result<(), Error>| {
                source.pass(&mut |xs, y| {
                    let all: Vec<usize> = (0..xs.len()).collect();
                    for part in all.chunks(piece) {
                        let points = xs.subset(part)?;
                        let mut a = cross_f64(&self.kernel, &centers, &points)?;
                        root.solve_lower_in_place(a.as_view_mut())?;
                        each(a, y.select_rows(part), &points)?;
                    }
                    Ok(())
                })
            };
        let (mut inner, mut right) = (DMatrix::zeros(m, m), DMatrix::zeros(m, t));
        let (mut squares, mut trace) = (0.0, 0.0);
        visit(&mut |a, y, points| {
            let back = a.transpose();
            inner += transposed_product(&back, &back)?;
            right += product(&a, &y)?;
            squares += y.norm_squared();
            let diagonal: f64 =
                kernels_core::diagonal(&self.kernel, points)?.into_iter().map(Real::to_f64).sum();
            trace += diagonal - a.norm_squared();
            Ok(())
        })?;
        let mut b = inner / noise;
        (0..m).for_each(|i| b[(i, i)] += 1.0);
        let b = Cholesky::new(b)?;
        b.solve_lower_in_place(right.as_view_mut())?;
        let fit = squares - right.norm_squared() / noise;
        let mut scores = CenterScores {
            residuals: DMatrix::zeros(n, t),
            leave_one_out: 0.0,
            gcv: 0.0,
            degrees_of_freedom: 0.0,
            complexity: 0.0,
            evidence: 0.0,
        };
        let (mut row, mut missed) = (0, 0.0);
        visit(&mut |mut a, y, _| {
            b.solve_lower_in_place(a.as_view_mut())?;
            let left = &y - a.tr_mul(&right) / noise;
            missed += left.norm_squared();
            for (i, column) in a.column_iter().enumerate() {
                let leverage = column.norm_squared() / noise;
                scores.degrees_of_freedom += leverage;
                scores.residuals.row_mut(row + i).copy_from(&(left.row(i) / (1.0 - leverage)));
            }
            row += y.nrows();
            Ok(())
        })?;
        let (size, outputs) = (n as f64, t as f64);
        let free = 1.0 - scores.degrees_of_freedom / size;
        scores.leave_one_out = scores.residuals.norm_squared() / (size * outputs);
        scores.gcv = missed / (size * outputs) / (free * free);
        scores.complexity = scores.degrees_of_freedom + fit + trace * fit / (noise * size);
        let determinant = size * noise.ln() + b.ln_determinant();
        scores.evidence = -0.5
            * (outputs * (size * std::f64::consts::TAU.ln() + determinant)
                + fit / noise
                + outputs * trace / noise);
        Ok(scores)
    }
}
