//! Interpolation and smoothing with conditionally positive definite kernels.

use kernels_core::{
    Definiteness, Error as CoreError, Kernel, LazyCross, Points, Polynomials, Rows, dense::Cholesky,
};
use nalgebra::{DMatrix, DVector};

use crate::{
    Error, Targets,
    data::{expect, finite, gram_f64, non_negative},
};

/// Interpolation (λ = 0) or smoothing with a conditionally positive definite kernel of order m: f(x) = Σ αᵢ k(x, xᵢ) + p(x) with a
/// polynomial p of degree below m that is not penalised, from the saddle-point system \[A + λI, P; Pᵀ, 0\]\[α; β\] = \[y; 0\].
///
/// Polynomials of degree below m are reproduced exactly, whatever λ. Thin-plate and other polyharmonic splines, (negative) powers of the
/// distance and multiquadrics are fitted this way; a positive definite kernel may have a polynomial as well.
///
/// Solved on the null space of Pᵀ: Householder's QR of P, and a Cholesky factorization of order n − N there. Coordinates are scaled to
/// \[−1, 1\] for P. Nothing is added silently: coincident points need λ > 0.
///
/// Reference: Wendland, *Scattered Data Approximation* (2004), section 8.5; Wahba, *Spline Models for Observational Data* (1990),
/// section 2.4.
///
/// ```
/// use kernels_core::{Polyharmonic, Rows};
/// use kernels_solvers::CpdInterpolation;
/// let xs = Rows::from_row_major(vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 0.3, 0.4], 5, 2)?;
/// // A plane is its own spline.
/// let y: Vec<f64> = (0..5).map(|i| 1.0 + 2.0 * xs.to_matrix()[(i, 0)] - xs.to_matrix()[(i, 1)]).collect();
/// let model = CpdInterpolation::new(Polyharmonic::thin_plate()).fit(&xs, &y)?;
/// let there = Rows::from_row_major(vec![10.0, -7.0], 1, 2)?;
/// assert!((model.predict(&there)?[(0, 0)] - 28.0).abs() < 1e-11);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CpdInterpolation<K> {
    kernel: K,
    smoothing: f64,
    degree: Option<usize>,
}

impl<K> CpdInterpolation<K> {
    /// Interpolation, with polynomials of the kernel's order.
    pub fn new(kernel: K) -> Self {
        Self { kernel, smoothing: 0.0, degree: None }
    }

    /// Sets λ ≥ 0: residuals y − f(xᵢ) are λαᵢ.
    pub fn smoothing(mut self, lambda: f64) -> Self {
        self.smoothing = lambda;
        self
    }

    /// Sets the degree of the polynomial: the kernel's order less 1 by default, and no less.
    pub fn degree(mut self, degree: usize) -> Self {
        self.degree = Some(degree);
        self
    }

    /// Fits to points and targets, one output or many.
    ///
    /// **Errors.** An indefinite kernel, a degree below that of the kernel's order, fewer points than polynomials, points on which
    /// polynomials are not unique, coincident points without smoothing, shapes that disagree, values that are not finite.
    /// **Complexity.** n³/3 + O(n²N) time, n² memory, for N polynomials.
    pub fn fit<Y: Targets + ?Sized>(&self, xs: &Rows<f64>, y: &Y) -> Result<CpdModel<K>, Error>
    where
        K: Kernel<Rows<f64>> + Clone,
    {
        let smoothing = non_negative("smoothing", self.smoothing)?;
        let order = self.order()?;
        let polynomials = Polynomials::new(order, xs);
        let (n, count) = (xs.len(), polynomials.count());
        let what = "interpolation with polynomials";
        if n < count.max(1) {
            return Err(CoreError::TooFewPoints { what, needed: count.max(1), given: n }.into());
        }
        xs.check_finite()?;
        let y = y.to_matrix();
        expect("rows of the targets (one a sample)", n, y.nrows())?;
        finite("target", y.as_slice(), n)?;
        let reflections = Reflections::new(polynomials.matrix(xs), order)?;
        let mut a = gram_f64(&self.kernel, xs)?;
        for i in 0..n {
            a[(i, i)] += smoothing;
        }
        // QᵀAQ: the columns, then the rows as columns of the transpose.
        reflections.apply_transposed(&mut a);
        let mut a = a.transpose();
        reflections.apply_transposed(&mut a);
        let mut g = y;
        reflections.apply_transposed(&mut g);
        let outputs = g.ncols();
        let mut gamma = g.rows(count, n - count).into_owned();
        let rest = n - count;
        // Symmetric but for rounding; the factorization reads the lower triangle.
        let factor = Cholesky::new(a.view((count, count), (rest, rest)).into_owned())?;
        factor.solve_in_place(gamma.as_view_mut())?;
        let image = a.view((count, count), (rest, rest)) * &gamma;
        let seminorms = DVector::from_fn(outputs, |k, _| {
            gamma.column(k).dot(&image.column(k)) - smoothing * gamma.column(k).norm_squared()
        });
        let top = g.rows(0, count) - a.view((0, count), (count, rest)) * &gamma;
        let beta = reflections.solve_upper(top);
        let mut alpha = DMatrix::zeros(n, outputs);
        alpha.rows_mut(count, rest).copy_from(&gamma);
        reflections.apply(&mut alpha);
        Ok(CpdModel {
            version: crate::Version,
            kernel: self.kernel.clone(),
            points: xs.clone(),
            polynomials,
            alpha,
            beta,
            seminorms,
        })
    }

    /// Polynomials have degrees below this.
    fn order(&self) -> Result<usize, Error>
    where
        K: Kernel<Rows<f64>>,
    {
        let least = match self.kernel.definiteness() {
            Definiteness::Positive => 0,
            Definiteness::Conditional(order) => order,
            given => return Err(CoreError::NotPositive { what: "interpolation", given }.into()),
        };
        match self.degree {
            None => Ok(least),
            Some(degree) if degree + 1 >= least => Ok(degree + 1),
            Some(degree) => Err(CoreError::Parameter {
                name: "degree".into(),
                value: degree as f64,
                expected: "the order of the kernel less 1, or above",
            }
            .into()),
        }
    }
}

/// P = QR by Householder reflections I − 2vvᵀ, v of length 1.
struct Reflections {
    vectors: Vec<DVector<f64>>,
    upper: DMatrix<f64>,
}

impl Reflections {
    fn new(mut p: DMatrix<f64>, order: usize) -> Result<Self, Error> {
        let (n, count) = p.shape();
        let size = p.amax();
        let mut vectors = Vec::with_capacity(count);
        for j in 0..count {
            let mut v = DVector::zeros(n);
            v.rows_mut(j, n - j).copy_from(&p.view((j, j), (n - j, 1)));
            let norm = v.norm();
            // What is left of the column beside the earlier ones: rounding, when the points are not unisolvent.
            if norm <= 1e-10 * size * (n as f64).sqrt() {
                return Err(CoreError::Unisolvent { order, points: n }.into());
            }
            v[j] += norm.copysign(v[j]);
            v /= v.norm();
            reflect(&v, &mut p);
            vectors.push(v);
        }
        let upper = p.rows(0, count).upper_triangle();
        Ok(Self { vectors, upper })
    }

    /// m ← Qᵀm.
    fn apply_transposed(&self, m: &mut DMatrix<f64>) {
        self.vectors.iter().for_each(|v| reflect(v, m));
    }

    /// m ← Qm.
    fn apply(&self, m: &mut DMatrix<f64>) {
        self.vectors.iter().rev().for_each(|v| reflect(v, m));
    }

    /// R⁻¹m.
    fn solve_upper(&self, mut m: DMatrix<f64>) -> DMatrix<f64> {
        for mut column in m.column_iter_mut() {
            for i in (0..self.upper.nrows()).rev() {
                let known: f64 = (i + 1..self.upper.nrows()).map(|j| self.upper[(i, j)] * column[j]).sum();
                column[i] = (column[i] - known) / self.upper[(i, i)];
            }
        }
        m
    }
}

fn reflect(v: &DVector<f64>, m: &mut DMatrix<f64>) {
    for mut column in m.column_iter_mut() {
        let along = 2.0 * v.dot(&column);
        column.axpy(-along, v, 1.0);
    }
}

/// A fitted interpolant or smoother: f(x) = Σ αᵢ k(x, xᵢ) + p(x).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CpdModel<K> {
    version: crate::Version,
    kernel: K,
    points: Rows<f64>,
    polynomials: Polynomials,
    alpha: DMatrix<f64>,
    beta: DMatrix<f64>,
    seminorms: DVector<f64>,
}

/// Working memory of a prediction.
const BUDGET: usize = 64 << 20;

impl<K> CpdModel<K> {
    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Coefficients α, n × t, orthogonal to all polynomials on the points.
    pub fn coefficients(&self) -> &DMatrix<f64> {
        &self.alpha
    }

    /// Coefficients of [`CpdModel::polynomials`], N × t.
    pub fn polynomial_coefficients(&self) -> &DMatrix<f64> {
        &self.beta
    }

    /// The basis of the polynomial part.
    pub fn polynomials(&self) -> &Polynomials {
        &self.polynomials
    }

    /// αᵀAα of every output: the squared seminorm of the fit, its bending energy.
    pub fn seminorms(&self) -> &DVector<f64> {
        &self.seminorms
    }
}

impl<K: Kernel<Rows<f64>>> CpdModel<K> {
    /// Predictions m × t for m points.
    ///
    /// **Errors.** Points of another dimension, or not finite. **Complexity.** mnt time, O(mt) memory.
    pub fn predict(&self, xs: &Rows<f64>) -> Result<DMatrix<f64>, Error> {
        xs.check_finite()?;
        let mut values = DMatrix::zeros(xs.len(), self.alpha.ncols());
        LazyCross::new(&self.kernel, xs, &self.points, BUDGET)?
            .apply(self.alpha.as_view(), values.as_view_mut())?;
        Ok(values + self.polynomials.matrix(xs) * &self.beta)
    }
}
