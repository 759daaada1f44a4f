//! Kernel logistic regression on centres: Newton's method with Falkon's preconditioner.

mod classes;
mod path;

pub use classes::LogFalkonModel;

use kernels_core::{Kernel, Points, PositiveDefinite, Progress, Real, dense::transposed_product};
use nalgebra::{DMatrix, DVector};

use crate::{
    BlockSource, Error, InMemory, KrrModel, SolveReport, Targets,
    calibration::{sigmoid, softplus},
    data::gram_f64,
    eigenpro::cross_times,
    falkon::{Basis, Products, Settings, center_setters},
    krr::weight_roots,
};

/// What the method is called, and what it has too few of.
const WHAT: &str = "logistic regression";
const CENTERS: &str = "logistic regression (centres)";

/// Kernel logistic regression on m centres: minimises (1/n) Σ wᵢ ln(1 + exp(−yᵢ f(xᵢ))) + (λ/2) ‖f‖² for labels yᵢ = ±1.
///
/// Newton's method with a few conjugate gradients a step and back-tracking, along a path of penalties that falls tenfold when the
/// Newton decrement is small against it (the generalised self-concordance of the loss makes every one of them a good
/// start for the next). The model predicts f; σ(f) is the probability of +1.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::LogFalkon;
/// let xs = Rows::from_row_major((0..60).map(|i| f64::from(i) / 10.0).collect(), 60, 1)?;
/// let y: Vec<f64> = (0..60).map(|i| if (f64::from(i) / 10.0).sin() > 0.0 { 1.0 } else { -1.0 }).collect();
/// let (model, _) = LogFalkon::new(Rbf::new(0.7)?, 20).lambda(1e-4).fit(&xs, &y, &mut ())?;
/// let f = model.predict(&xs)?;
/// assert!(f[(15, 0)] > 1.0 && f[(45, 0)] < -1.0);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
///
/// Reference: Marteau-Ferey, Bach, Rudi, *Globally convergent Newton methods for ill-conditioned generalized self-concordant losses*
/// (2019), algorithm 2; Meanti, Carratino, Rosasco, Rudi, *Kernel methods through the roof* (2020).
#[derive(Clone, Debug)]
pub struct LogFalkon<K> {
    kernel: K,
    settings: Settings,
}

impl<K> LogFalkon<K> {
    /// On `centers` points drawn uniformly; λ = 1e-6, decrement²/2 at most 1e-7, at most 100 Newton steps.
    pub fn new(kernel: K, centers: usize) -> Self {
        Self { kernel, settings: Settings::new(centers, 100) }
    }

    center_setters! {
        tolerance: "Half the squared Newton decrement at which the fit ends: a bound of the order of what the objective can still fall.",
        max_iterations: "Most Newton steps in all.",
    }

    /// Fits to points and labels ±1 in memory.
    ///
    /// **Errors.** As [`LogFalkon::fit_source`].
    pub fn fit<P, Y>(
        &self,
        xs: &P,
        y: &Y,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<P, K>, SolveReport), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        self.fit_source(&mut InMemory::new(xs.clone(), y)?, progress)
    }

    /// Fits to data that are read block by block; the report's residuals are Newton decrements.
    ///
    /// **Errors.** No samples, labels other than ±1 in one column, λ ≤ 0, bad weights, a kernel that is not positive definite,
    /// [`kernels_core::Error::Cancelled`], what reading says. **Complexity.** About ten passes of nm kernel values a Newton step; memory O(m² + n).
    pub fn fit_source<S>(
        &self,
        source: &mut S,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        let indices = self.settings.chosen(WHAT, CENTERS, &self.kernel, source)?;
        crate::data::expect("columns of the labels", 1, source.outputs())?;
        let n = source.len();
        let mut y: Vec<f64> = Vec::with_capacity(n);
        source.pass(&mut |_, labels| {
            y.extend(labels.iter());
            Ok(())
        })?;
        if let Some(row) = y.iter().position(|y| (y.abs() - 1.0).abs() > 0.0) {
            return Err(Error::Value { what: "label", row, value: y[row], expected: "-1 or 1" });
        }
        let sample_weights: Vec<f64> =
            weight_roots(self.settings.weights.as_deref(), n)?.iter().map(|r| r * r).collect();
        let centers = source.select(&indices)?;
        let mut kmm = gram_f64(&self.kernel, &centers)?;
        let start = (kmm.diagonal().mean() * 1e-2).max(self.settings.lambda);
        let mut basis = Basis::new(kmm.clone(), start, None)?;
        // The penalty of the preconditioner and that of the line search are of one matrix.
        (0..indices.len()).for_each(|i| kmm[(i, i)] += basis.jitter);
        let mut state = Newton { a: DMatrix::zeros(indices.len(), 1), f: vec![0.0; n] };
        let problem = Problem { y: &y, weights: &sample_weights, kmm: &kmm, indices: &indices };
        let mut report = path::follow(&self.settings, start, progress, |lambda| {
            self.newton(source, &centers, &problem, (&mut basis, lambda), &mut state)
        })?;
        report.jitter = basis.jitter;
        Ok((KrrModel::new(self.kernel.clone(), centers, state.a, DVector::zeros(1)), report))
    }

    /// One step; the Newton decrement before it.
    fn newton<S>(
        &self,
        source: &mut S,
        centers: &S::Points,
        problem: &Problem<'_>,
        (basis, lambda): (&mut Basis, f64),
        state: &mut Newton,
    ) -> Result<f64, Error>
    where
        S: BlockSource + ?Sized,
        K: Kernel<S::Points>,
    {
        let n = problem.y.len() as f64;
        let slopes: Vec<f64> = (0..problem.y.len())
            .map(|i| -problem.weights[i] * problem.y[i] * sigmoid(-problem.y[i] * state.f[i]))
            .collect();
        let curvatures: Vec<f64> = (0..problem.y.len())
            .map(|i| problem.weights[i] * sigmoid(state.f[i]) * sigmoid(-state.f[i]))
            .collect();
        let at_centers: Vec<f64> = problem.indices.iter().map(|i| curvatures[*i]).collect();
        basis.reweigh(lambda, Some(&at_centers))?;
        let products = Products {
            kernel: &self.kernel,
            centers,
            weights: Some(&curvatures),
            budget: self.settings.budget,
        };
        let zero = DMatrix::zeros(centers.len(), 1);
        let pulled = products.through(source, &zero, |row, _, u| {
            u.iter_mut().for_each(|u| *u = <S::Points as Points>::Scalar::of(slopes[row]));
        })? / n;
        let gradient = basis.gradient(pulled, &state.a, lambda)?;
        let mut apply = |beta: &DMatrix<f64>| {
            let image = products.normal(source, &basis.push(beta)?)? / n;
            basis.operator(beta, image, lambda)
        };
        let (direction, squared) = path::direction(&gradient, 30, &mut apply)?;
        let step = basis.push(&direction)?;
        let mut change: Vec<f64> = Vec::with_capacity(state.f.len());
        source.pass(&mut |xs, _| {
            change.extend(cross_times(&self.kernel, xs, centers, &step, self.settings.budget)?.iter());
            Ok(())
        })?;
        let penalty = path::Penalty::new(lambda, problem.kmm, &state.a, &step);
        let eta = path::share(squared, |eta| {
            let loss: f64 = (0..problem.y.len())
                .map(|i| problem.weights[i] * softplus(-problem.y[i] * (state.f[i] - eta * change[i])))
                .sum();
            loss / n + penalty.at(eta)
        });
        state.a -= step * eta;
        state.f.iter_mut().zip(&change).for_each(|(f, c)| *f -= eta * c);
        Ok(squared.sqrt())
    }
}

struct Newton {
    a: DMatrix<f64>,
    /// K a.
    f: Vec<f64>,
}

struct Problem<'a> {
    y: &'a [f64],
    weights: &'a [f64],
    kmm: &'a DMatrix<f64>,
    indices: &'a [usize],
}

impl Basis {
    /// A⁻ᵀ (T⁻ᵀ pulled + λ T a).
    fn gradient(&self, pulled: DMatrix<f64>, a: &DMatrix<f64>, lambda: f64) -> Result<DMatrix<f64>, Error> {
        // T a = T⁻ᵀ (TᵀT a).
        let penalty = self.lower() * transposed_product(self.lower(), a)? * lambda;
        self.pull(pulled + penalty)
    }
}
