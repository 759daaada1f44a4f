//! What infinitely wide networks predict: training by gradient descent in closed form, its infinite time, ensembles.

use kernels_core::dense::{Cholesky, SymmetricEigen, product, transposed_product};
use nalgebra::DMatrix;

use crate::{
    Error,
    error::{same, within},
};

/// A diagonal shift of a kernel matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ridge {
    /// This number.
    Absolute(f64),
    /// This number times the mean of the diagonal.
    Relative(f64),
}

/// Gradient flow on the mean square loss ‖f − Y‖²/(2N), N = n · outputs, under a tangent kernel: f follows
/// ḟ = −η Θ (f − Y)/N, which has a closed form at every time from one eigendecomposition.
///
/// ```
/// use kernels_ntk::{GradientFlow, Ridge};
/// use nalgebra::dmatrix;
/// let theta = dmatrix![2.0, 0.5; 0.5, 1.0];
/// let y = dmatrix![1.0; -1.0];
/// let flow = GradientFlow::new(&theta, &y, Ridge::Absolute(0.0), 1.0)?;
/// let f = flow.train(Some(1e9), None)?;
/// assert!((f - y).amax() < 1e-12);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GradientFlow {
    values: Vec<f64>,
    vectors: DMatrix<f64>,
    targets: DMatrix<f64>,
    rate: f64,
}

/// (1 − e^(−λτ))/λ, which is τ at λ = 0.
fn saturation(lambda: f64, tau: f64) -> f64 {
    if lambda * tau < 1e-300 { tau } else { -(-lambda * tau).exp_m1() / lambda }
}

fn ridge_of(k: &DMatrix<f64>, ridge: Ridge) -> Result<f64, Error> {
    let expected = "a finite number, 0 or above";
    match ridge {
        Ridge::Absolute(r) => within("ridge", r, r >= 0.0, expected),
        Ridge::Relative(r) => {
            within("ridge", r, r >= 0.0, expected).map(|r| r * k.trace() / k.nrows().max(1) as f64)
        }
    }
}

fn shifted(k: &DMatrix<f64>, ridge: Ridge) -> Result<DMatrix<f64>, Error> {
    same("columns of a kernel matrix", k.nrows(), k.ncols())?;
    let shift = ridge_of(k, ridge)?;
    let mut out = k.clone();
    for i in 0..k.nrows() {
        out[(i, i)] += shift;
    }
    Ok(out)
}

impl GradientFlow {
    /// Training on `targets`, n × outputs, with the n × n tangent kernel of the training points.
    ///
    /// **Errors.** [`Error::Shape`], [`Error::Value`] for a negative ridge or a rate not above 0, [`Error::Core`] for NaN.
    /// **Complexity.** One eigendecomposition, then O(n² outputs) a time.
    pub fn new(
        kernel: &DMatrix<f64>,
        targets: &DMatrix<f64>,
        ridge: Ridge,
        learning_rate: f64,
    ) -> Result<Self, Error> {
        same("rows of the targets", kernel.nrows(), targets.nrows())?;
        within("learning rate", learning_rate, learning_rate > 0.0, "a finite number above 0")?;
        let eigen = SymmetricEigen::new(&shifted(kernel, ridge)?)?;
        Ok(Self {
            values: eigen.values.iter().map(|l| l.max(0.0)).collect(),
            vectors: eigen.vectors,
            rate: learning_rate / targets.len().max(1) as f64,
            targets: targets.clone(),
        })
    }

    fn tau(&self, time: Option<f64>) -> Result<f64, Error> {
        match time {
            None => Ok(f64::INFINITY),
            Some(t) => Ok(within("time", t, t >= 0.0, "a finite number, 0 or above")? * self.rate),
        }
    }

    /// V diag(f(λ)) Vᵀ b.
    fn spectral(&self, b: &DMatrix<f64>, f: impl Fn(f64) -> f64) -> Result<DMatrix<f64>, Error> {
        let mut c = transposed_product(&self.vectors, b)?;
        for (mut row, &lambda) in c.row_iter_mut().zip(&self.values) {
            row *= f(lambda);
        }
        Ok(product(&self.vectors, &c)?)
    }

    fn saturated(tau: f64) -> impl Fn(f64) -> f64 {
        move |lambda| {
            if tau.is_finite() {
                saturation(lambda, tau)
            } else if lambda > 0.0 {
                1.0 / lambda
            } else {
                0.0
            }
        }
    }

    fn residual(&self, initial: Option<&DMatrix<f64>>) -> Result<DMatrix<f64>, Error> {
        match initial {
            None => Ok(-&self.targets),
            Some(f) => {
                same("rows of the initial outputs", self.targets.nrows(), f.nrows())?;
                same("columns of the initial outputs", self.targets.ncols(), f.ncols())?;
                Ok(f - &self.targets)
            }
        }
    }

    /// Outputs on the training points at a time (`None`: at the end, the targets), from initial outputs (`None`: 0).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] for a negative time.
    pub fn train(&self, time: Option<f64>, initial: Option<&DMatrix<f64>>) -> Result<DMatrix<f64>, Error> {
        let (tau, residual) = (self.tau(time)?, self.residual(initial)?);
        if tau.is_infinite() {
            return Ok(self.targets.clone());
        }
        // f₀ + (e^(−λτ) − 1) r, with f₀ = r + Y.
        let change = self.spectral(&residual, |lambda| (-lambda * tau).exp_m1())?;
        Ok(&self.targets + residual + change)
    }

    /// Outputs on other points, whose m × n tangent kernel with the training points is `cross`; `initial` holds the initial
    /// outputs on the training points and on the other points.
    ///
    /// # Errors
    /// As [`GradientFlow::train`].
    pub fn test(
        &self,
        cross: &DMatrix<f64>,
        time: Option<f64>,
        initial: Option<(&DMatrix<f64>, &DMatrix<f64>)>,
    ) -> Result<DMatrix<f64>, Error> {
        let tau = self.tau(time)?;
        let residual = self.residual(initial.map(|(train, _)| train))?;
        let weights = self.spectral(&residual, Self::saturated(tau))?;
        let change = product(cross, &weights)?;
        match initial {
            None => Ok(-change),
            Some((_, test)) => {
                same("rows of the initial outputs", change.nrows(), test.nrows())?;
                same("columns of the initial outputs", change.ncols(), test.ncols())?;
                Ok(test - change)
            }
        }
    }

    /// Mean and covariance on other points of an ensemble of fully trained networks with random initialisation, at a time.
    /// `nngp` are the NNGP kernels of train × train, test × train and test × test.
    ///
    /// # Errors
    /// As [`GradientFlow::train`].
    pub fn ensemble(
        &self,
        cross: &DMatrix<f64>,
        nngp: (&DMatrix<f64>, &DMatrix<f64>, &DMatrix<f64>),
        time: Option<f64>,
    ) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let tau = self.tau(time)?;
        let (train, across, test) = nngp;
        let b = self.spectral(&cross.transpose(), Self::saturated(tau))?;
        let mean = transposed_product(&b, &self.targets)?;
        let left = transposed_product(&b, &product(train, &b)?)?;
        let mixed = product(across, &b)?;
        Ok((mean, test + left - &mixed - mixed.transpose()))
    }

    /// Mean and covariance of the ensemble on the training points at a time.
    ///
    /// # Errors
    /// As [`GradientFlow::train`].
    pub fn ensemble_train(
        &self,
        nngp: &DMatrix<f64>,
        time: f64,
    ) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let tau = self.tau(Some(time))?;
        let decay = |lambda: f64| (-lambda * tau).exp();
        let mean = self.spectral(&self.targets, |lambda| -(-lambda * tau).exp_m1())?;
        let half = self.spectral(nngp, decay)?;
        Ok((mean, self.spectral(&half.transpose(), decay)?))
    }

    /// Mean and covariance when only the last layer is trained; this flow must be one of the NNGP kernel.
    ///
    /// # Errors
    /// As [`GradientFlow::train`].
    pub fn last_layer(
        &self,
        cross: &DMatrix<f64>,
        test: &DMatrix<f64>,
        time: Option<f64>,
    ) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let tau = self.tau(time)?;
        let weights = self.spectral(&self.targets, Self::saturated(tau))?;
        let spread = self.spectral(&cross.transpose(), Self::saturated(2.0 * tau))?;
        Ok((product(cross, &weights)?, test - product(cross, &spread)?))
    }

    /// The largest stable learning rate of gradient descent with momentum μ: 2(1 + μ)N/λ_max.
    ///
    /// ```
    /// use kernels_ntk::{GradientFlow, Ridge};
    /// use nalgebra::dmatrix;
    /// let flow = GradientFlow::new(&dmatrix![4.0], &dmatrix![1.0], Ridge::Absolute(0.0), 1.0)?;
    /// assert_eq!(flow.largest_learning_rate(0.0)?, 0.5);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] for a momentum outside [0, 1).
    pub fn largest_learning_rate(&self, momentum: f64) -> Result<f64, Error> {
        within("momentum", momentum, (0.0..1.0).contains(&momentum), "from 0 to below 1")?;
        let largest = self.values.iter().copied().fold(0.0, f64::max);
        Ok(2.0 * (1.0 + momentum) * self.targets.len() as f64 / largest)
    }
}

/// Posterior mean and covariance of the Gaussian process of one kernel.
///
/// # Errors
/// [`Error::Shape`]; [`Error::Core`] when the shifted matrix is not positive definite.
///
/// ```
/// use kernels_ntk::{Ridge, posterior};
/// use nalgebra::dmatrix;
/// let (mean, covariance) =
///     posterior(&dmatrix![2.0], &dmatrix![1.0], &dmatrix![2.0], &dmatrix![4.0], Ridge::Absolute(0.0))?;
/// assert!((mean[0] - 2.0).abs() < 1e-15 && (covariance[0] - 1.5).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
pub fn posterior(
    train: &DMatrix<f64>,
    cross: &DMatrix<f64>,
    test: &DMatrix<f64>,
    targets: &DMatrix<f64>,
    ridge: Ridge,
) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
    same("columns of the cross kernel", train.nrows(), cross.ncols())?;
    let cholesky = Cholesky::new(shifted(train, ridge)?)?;
    let mut weights = targets.clone();
    cholesky.solve_in_place(weights.as_view_mut())?;
    let mut solved = cross.transpose();
    cholesky.solve_in_place(solved.as_view_mut())?;
    Ok((product(cross, &weights)?, test - product(cross, &solved)?))
}

/// A loss by its gradient at outputs f, n × outputs.
pub trait Loss {
    /// ∇L(f).
    fn gradient(&self, outputs: &DMatrix<f64>) -> DMatrix<f64>;
}

impl<F: Fn(&DMatrix<f64>) -> DMatrix<f64>> Loss for F {
    fn gradient(&self, outputs: &DMatrix<f64>) -> DMatrix<f64> {
        self(outputs)
    }
}

/// Gradient descent on any loss under a tangent kernel: ḟ = −Θ∇L(f) on the training points and ġ = −Θ_*∇L(f) on others, at time
/// `learning_rate` · t; with momentum μ the heavy ball, at time √rate · t. Integrated by the Dormand–Prince pair of orders 5 and 4
/// to relative tolerance 1e-9.
///
/// # Errors
/// [`Error::Shape`], [`Error::Value`]; [`Error::NotConverged`] when 100 000 steps do not reach `time`.
///
/// ```
/// use kernels_ntk::descend;
/// use nalgebra::{DMatrix, dmatrix};
/// let loss = |f: &DMatrix<f64>| f - dmatrix![1.0];
/// let (f, _) = descend(&dmatrix![1.0], &DMatrix::zeros(0, 1), &loss, (&dmatrix![0.0], &DMatrix::zeros(0, 1)), 1.0, None, 2.0)?;
/// assert!((f[0] - (1.0 - (-2.0_f64).exp())).abs() < 1e-8);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
pub fn descend(
    kernel: &DMatrix<f64>,
    cross: &DMatrix<f64>,
    loss: &impl Loss,
    initial: (&DMatrix<f64>, &DMatrix<f64>),
    learning_rate: f64,
    momentum: Option<f64>,
    time: f64,
) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
    let (n, m, outputs) = (initial.0.nrows(), initial.1.nrows(), initial.0.ncols());
    same("rows of the kernel", n, kernel.nrows())?;
    same("columns of the kernel", n, kernel.ncols())?;
    same("rows of the cross kernel", m, cross.nrows())?;
    same("columns of the cross kernel", n, cross.ncols())?;
    within("learning rate", learning_rate, learning_rate > 0.0, "a finite number above 0")?;
    within("time", time, time >= 0.0, "a finite number, 0 or above")?;
    let mu = momentum.unwrap_or(0.0);
    within("momentum", mu, (0.0..1.0).contains(&mu), "from 0 to below 1")?;
    let state =
        DMatrix::from_fn(
            n + m,
            outputs,
            |i, j| {
                if i < n { initial.0[(i, j)] } else { initial.1[(i - n, j)] }
            },
        );
    // Train and test outputs in one matrix, with velocities below for the heavy ball.
    let size = n + m;
    let both = DMatrix::from_fn(size, n, |i, j| if i < n { kernel[(i, j)] } else { cross[(i - n, j)] });
    let force = |f: &DMatrix<f64>| -> DMatrix<f64> { -(&both * loss.gradient(&f.rows(0, n).into_owned())) };
    let end = match momentum {
        None => integrate(state, learning_rate * time, &force)?,
        Some(mu) => {
            let damping = (mu - 1.0) / learning_rate.sqrt();
            let mut whole = DMatrix::zeros(2 * size, outputs);
            whole.rows_mut(0, size).copy_from(&state);
            integrate(whole, learning_rate.sqrt() * time, &|s: &DMatrix<f64>| {
                let (f, v) = (s.rows(0, size).into_owned(), s.rows(size, size).into_owned());
                let mut out = DMatrix::zeros(2 * size, outputs);
                out.rows_mut(0, size).copy_from(&v);
                out.rows_mut(size, size).copy_from(&(force(&f) + v * damping));
                out
            })?
        }
    };
    Ok((end.rows(0, n).into_owned(), end.rows(n, m).into_owned()))
}

/// Dormand–Prince 5(4) from 0 to `end`.
fn integrate(
    mut y: DMatrix<f64>,
    end: f64,
    f: &dyn Fn(&DMatrix<f64>) -> DMatrix<f64>,
) -> Result<DMatrix<f64>, Error> {
    const A: [&[f64]; 6] = [
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    ];
    const E: [f64; 7] =
        [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];
    const TOLERANCE: f64 = 1e-9;
    const STEPS: usize = 100_000;
    let mut t = 0.0;
    let mut first = f(&y);
    let mut step = end.min(0.01 * (1.0 + y.amax()) / first.amax().max(1e-300));
    for _ in 0..STEPS {
        if t >= end {
            return Ok(y);
        }
        step = step.min(end - t);
        let mut k = vec![first.clone()];
        let mut next = y.clone();
        for row in A {
            next.copy_from(&y);
            for (a, k) in row.iter().zip(&k) {
                next += k * (step * a);
            }
            k.push(f(&next));
        }
        let mut error = DMatrix::zeros(y.nrows(), y.ncols());
        for (e, k) in E.iter().zip(&k) {
            error += k * (step * e);
        }
        let mut worst = 0.0_f64;
        for ((e, a), b) in error.iter().zip(&y).zip(&next) {
            worst = worst.max(e.abs() / (TOLERANCE * (1e-3 + a.abs().max(b.abs()))));
        }
        if worst.is_nan() {
            break;
        }
        if worst <= 1.0 {
            t = if step >= end - t { end } else { t + step };
            y = next;
            first = k.swap_remove(6);
        }
        step *= (0.9 * worst.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
    }
    Err(Error::NotConverged { what: "integration of gradient descent", iterations: STEPS, residual: end - t })
}

/// Log marginal likelihood −½ tr(YᵀK⁻¹Y) − (outputs/2)(ln det K + n ln 2π) of a shifted kernel matrix.
///
/// # Errors
/// As [`posterior`].
///
/// ```
/// use kernels_ntk::{Ridge, log_marginal_likelihood};
/// use nalgebra::dmatrix;
/// let value = log_marginal_likelihood(&dmatrix![1.0], &dmatrix![0.0], Ridge::Absolute(0.0))?;
/// assert!((value + 0.5 * std::f64::consts::TAU.ln()).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
pub fn log_marginal_likelihood(
    kernel: &DMatrix<f64>,
    targets: &DMatrix<f64>,
    ridge: Ridge,
) -> Result<f64, Error> {
    let cholesky = Cholesky::new(shifted(kernel, ridge)?)?;
    let mut half = targets.clone();
    cholesky.solve_lower_in_place(half.as_view_mut())?;
    let n = kernel.nrows() as f64;
    let outputs = targets.ncols() as f64;
    Ok(-0.5 * half.norm_squared()
        - 0.5 * outputs * (cholesky.ln_determinant() + n * std::f64::consts::TAU.ln()))
}
