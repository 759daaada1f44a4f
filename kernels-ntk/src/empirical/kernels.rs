//! Kernels made of Jacobians.

use kernels_core::{
    Rows,
    dense::{Lu, product, product_transposed},
};
use nalgebra::{DMatrix, DVector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error,
    error::{same, within},
};

/// A network whose derivatives by its parameters can be had.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_ntk::{Jacobian, JacobianSource};
/// use nalgebra::DMatrix;
///
/// /// f(x) = w · x
/// struct LinearModel(usize);
/// impl JacobianSource for LinearModel {
///     fn jacobian(&self, xs: &Rows<f64>) -> Result<Jacobian, kernels_ntk::Error> {
///         Jacobian::new(xs.to_matrix(), 1)
///     }
/// }
/// let xs = Rows::from_row_major(vec![1.0, 2.0, 3.0, 4.0], 2, 2)?;
/// let kernel = LinearModel(2).jacobian(&xs)?.kernel()?;
/// assert_eq!(kernel.matrix()[(0, 1)], 11.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait JacobianSource {
    /// ∂f_o(x_i)/∂θ for all points and outputs.
    ///
    /// # Errors
    /// As the network's.
    fn jacobian(&self, xs: &Rows<f64>) -> Result<Jacobian, Error>;
}

/// Derivatives of outputs by parameters: row i · outputs + o holds ∂f_o(x_i)/∂θ.
#[derive(Clone, Debug, PartialEq)]
pub struct Jacobian {
    matrix: DMatrix<f64>,
    outputs: usize,
}

impl Jacobian {
    /// A matrix of n · outputs rows (all outputs of a point together) and one column a parameter.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows are not a multiple of `outputs`.
    pub fn new(matrix: DMatrix<f64>, outputs: usize) -> Result<Self, Error> {
        within("outputs", outputs as f64, outputs > 0, "1 or above")?;
        same("rows of a Jacobian beyond a multiple of the outputs", 0, matrix.nrows() % outputs)?;
        Ok(Self { matrix, outputs })
    }

    /// The matrix.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.matrix
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.matrix.nrows() / self.outputs
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Tangent kernel of all points and outputs: J Jᵀ.
    ///
    /// # Errors
    /// [`Error::Core`] for want of memory.
    pub fn kernel(&self) -> Result<TangentKernel, Error> {
        self.cross_kernel(self)
    }

    /// Tangent kernel with other points.
    ///
    /// # Errors
    /// [`Error::Shape`] when outputs or parameters differ.
    pub fn cross_kernel(&self, other: &Self) -> Result<TangentKernel, Error> {
        same("outputs", self.outputs, other.outputs)?;
        TangentKernel::new(product_transposed(&self.matrix, &other.matrix)?, self.outputs)
    }

    /// J Jᵀ v without the kernel: two products with vectors.
    ///
    /// # Errors
    /// [`Error::Shape`] when `v` is not points × outputs.
    pub fn kernel_times(&self, v: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        same("rows of the vector", self.points(), v.nrows())?;
        same("columns of the vector", self.outputs, v.ncols())?;
        let flat = DVector::from_fn(v.len(), |k, _| v[(k / self.outputs, k % self.outputs)]);
        let image = &self.matrix * (self.matrix.tr_mul(&flat));
        Ok(DMatrix::from_fn(v.nrows(), v.ncols(), |i, o| image[i * self.outputs + o]))
    }

    /// Change of the linearised outputs, points × outputs, for a change of the parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of parameters.
    pub fn linearized(&self, change: &[f64]) -> Result<DMatrix<f64>, Error> {
        same("number of parameters", self.matrix.ncols(), change.len())?;
        let image = &self.matrix * DVector::from_column_slice(change);
        Ok(DMatrix::from_fn(self.points(), self.outputs, |i, o| image[i * self.outputs + o]))
    }

    /// The gradient of one output at all points, points × parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] for an output that does not exist.
    pub fn of_output(&self, output: usize) -> Result<DMatrix<f64>, Error> {
        if output >= self.outputs {
            return Err(Error::Shape {
                what: "index of an output (below)",
                expected: self.outputs,
                given: output,
            });
        }
        Ok(self.rows(|i| vec![(i * self.outputs + output, 1.0)]))
    }

    /// The gradient of Σ_o f_o/√outputs, whose kernel is the pseudo-NTK.
    pub fn of_sum(&self) -> DMatrix<f64> {
        let share = 1.0 / (self.outputs as f64).sqrt();
        self.rows(|i| (0..self.outputs).map(|o| (i * self.outputs + o, share)).collect())
    }

    fn rows(&self, parts: impl Fn(usize) -> Vec<(usize, f64)>) -> DMatrix<f64> {
        let mut out = DMatrix::zeros(self.points(), self.matrix.ncols());
        for i in 0..self.points() {
            for (row, weight) in parts(i) {
                let scaled = self.matrix.row(row) * weight;
                let mut target = out.row_mut(i);
                target += scaled;
            }
        }
        out
    }

    /// Rows J R/√k with random signs R, parameters × k, made row by row from the seed and never stored: inner products of
    /// projected rows are unbiased estimates of the kernel, with variance (‖g‖²‖g′‖² + ⟨g, g′⟩² − 2Σ gᵢ²gᵢ′²)/k.
    ///
    /// # Errors
    /// [`Error::Value`] for k = 0.
    pub fn projected(&self, k: usize, seed: u64) -> Result<Self, Error> {
        within("projected dimension", k as f64, k > 0, "1 or above")?;
        let mut out = DMatrix::zeros(self.matrix.nrows(), k);
        let share = 1.0 / (k as f64).sqrt();
        for p in 0..self.matrix.ncols() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(p as u64);
            let column = self.matrix.column(p);
            let mut bits = 0_u64;
            for c in 0..k {
                if c % 64 == 0 {
                    bits = rng.next_u64();
                }
                let sign = if bits >> (c % 64) & 1 == 1 { share } else { -share };
                out.column_mut(c).axpy(sign, &column, 1.0);
            }
        }
        Self::new(out, self.outputs)
    }

    /// Signs of all derivatives, the features of sign gradient descent: kernel Σ sign(g) sign(g′). 0 has sign 0.
    pub fn signs(&self) -> Self {
        let sign = |g: f64| {
            if g > 0.0 {
                1.0
            } else if g < 0.0 {
                -1.0
            } else {
                0.0
            }
        };
        Self { matrix: self.matrix.map(sign), outputs: self.outputs }
    }

    /// The features of Adam with second moments v of the parameters: g/√(v + ε).
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of moments, [`Error::Value`] for a negative one.
    pub fn preconditioned(&self, second_moments: &[f64], epsilon: f64) -> Result<Self, Error> {
        same("number of second moments", self.matrix.ncols(), second_moments.len())?;
        within("epsilon", epsilon, epsilon > 0.0, "a finite number above 0")?;
        let mut matrix = self.matrix.clone();
        for (mut column, &v) in matrix.column_iter_mut().zip(second_moments) {
            within("second moment", v, v >= 0.0, "a finite number, 0 or above")?;
            column /= (v + epsilon).sqrt();
        }
        Ok(Self { matrix, outputs: self.outputs })
    }
}

/// A kernel between all outputs of points: entry (i · outputs + o, j · outputs + o′).
#[derive(Clone, Debug, PartialEq)]
pub struct TangentKernel {
    matrix: DMatrix<f64>,
    outputs: usize,
}

impl TangentKernel {
    /// A kernel matrix whose rows and columns are all outputs of points.
    ///
    /// # Errors
    /// [`Error::Shape`] when a side is not a multiple of the outputs.
    pub fn new(matrix: DMatrix<f64>, outputs: usize) -> Result<Self, Error> {
        within("outputs", outputs as f64, outputs > 0, "1 or above")?;
        same("rows beyond a multiple of the outputs", 0, matrix.nrows() % outputs)?;
        same("columns beyond a multiple of the outputs", 0, matrix.ncols() % outputs)?;
        Ok(Self { matrix, outputs })
    }

    /// The whole matrix.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.matrix
    }

    /// Σ_{o,o′} weight(i, o, j, o′) Θ.
    fn contract(&self, weight: impl Fn(usize, usize, usize, usize) -> f64) -> DMatrix<f64> {
        let outputs = self.outputs;
        let (n, m) = (self.matrix.nrows() / outputs, self.matrix.ncols() / outputs);
        DMatrix::from_fn(n, m, |i, j| {
            let mut sum = 0.0;
            for q in 0..outputs {
                for o in 0..outputs {
                    let w = weight(i, o, j, q);
                    if w != 0.0 {
                        sum += w * self.matrix[(i * outputs + o, j * outputs + q)];
                    }
                }
            }
            sum
        })
    }

    /// Σ_o Θ(o, o): the trace over outputs, unnormalised.
    pub fn trace(&self) -> DMatrix<f64> {
        self.contract(|_, o, _, q| f64::from(u8::from(o == q)))
    }

    /// The trace over outputs divided by their number.
    pub fn mean_trace(&self) -> DMatrix<f64> {
        self.trace() / self.outputs as f64
    }

    /// Cosines of the trace kernel of points with themselves (trNTK): 1 on the diagonal, where it is not 0.
    ///
    /// # Errors
    /// [`Error::Shape`] when rows and columns are not the same points.
    pub fn cosines(&self) -> Result<DMatrix<f64>, Error> {
        same("columns of a square kernel", self.matrix.nrows(), self.matrix.ncols())?;
        let trace = self.trace();
        let roots: Vec<f64> = trace.diagonal().iter().map(|d| d.max(0.0).sqrt()).collect();
        Ok(DMatrix::from_fn(trace.nrows(), trace.ncols(), |i, j| {
            let scale = roots[i] * roots[j];
            if scale > 0.0 { trace[(i, j)] / scale } else { 0.0 }
        }))
    }

    /// Pseudo-NTK: the kernel of Σ_o f_o/√outputs.
    pub fn pseudo(&self) -> DMatrix<f64> {
        self.contract(|_, _, _, _| 1.0) / self.outputs as f64
    }

    /// Label-pseudo NTK: signs +1 at the label and −1 elsewhere before the sum over outputs, not divided by their number.
    ///
    /// # Errors
    /// [`Error::Shape`] for wrong numbers of labels or labels that are no outputs.
    pub fn label_pseudo(&self, rows: &[usize], columns: &[usize]) -> Result<DMatrix<f64>, Error> {
        same("labels of the rows", self.matrix.nrows() / self.outputs, rows.len())?;
        same("labels of the columns", self.matrix.ncols() / self.outputs, columns.len())?;
        if let Some(&label) = rows.iter().chain(columns).find(|&&l| l >= self.outputs) {
            return Err(Error::Shape {
                what: "a label (below the outputs)",
                expected: self.outputs,
                given: label,
            });
        }
        let sign = |label: usize, o: usize| if label == o { 1.0 } else { -1.0 };
        Ok(self.contract(|i, o, j, q| sign(rows[i], o) * sign(columns[j], q)))
    }
}

/// Least squares with the asymmetric kernel of sign gradient descent, for labels ±1.
///
/// With H = diag(y) K diag(y), solves \[I/γ, H; Hᵀ, I/γ\] \[α; β\] = 1, and predicts λ Kᵀ(α∘y) + (1 − λ) K_flip ᵀ(β∘y).
#[derive(Clone, Debug, PartialEq)]
pub struct AsymmetricSign {
    left: DVector<f64>,
    right: DVector<f64>,
}

impl AsymmetricSign {
    /// Fits to the kernel sign(g_i) · g_j of the training points.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::Value`] for γ not above 0; [`Error::Core`] for a singular system.
    pub fn fit(kernel: &DMatrix<f64>, labels: &[f64], gamma: f64) -> Result<Self, Error> {
        let n = labels.len();
        same("rows of the kernel", n, kernel.nrows())?;
        same("columns of the kernel", n, kernel.ncols())?;
        within("gamma", gamma, gamma > 0.0, "a finite number above 0")?;
        let system = DMatrix::from_fn(2 * n, 2 * n, |i, j| match (i < n, j < n) {
            (true, true) | (false, false) => {
                if i == j {
                    1.0 / gamma
                } else {
                    0.0
                }
            }
            (true, false) => labels[i] * kernel[(i, j - n)] * labels[j - n],
            (false, true) => labels[j] * kernel[(j, i - n)] * labels[i - n],
        });
        let mut rhs = DMatrix::repeat(2 * n, 1, 1.0);
        Lu::new(system)?.solve_in_place(rhs.as_view_mut())?;
        let part = |from: usize| DVector::from_fn(n, |i, _| rhs[(from + i, 0)] * labels[i]);
        Ok(Self { left: part(0), right: part(n) })
    }

    /// Scores on other points from sign(g_train) · g_test and g_train · sign(g_test), each train × test.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn predict(
        &self,
        kernel: &DMatrix<f64>,
        flipped: &DMatrix<f64>,
        share: f64,
    ) -> Result<DVector<f64>, Error> {
        same("rows of the kernel", self.left.len(), kernel.nrows())?;
        same("rows of the flipped kernel", self.left.len(), flipped.nrows())?;
        same("columns of the flipped kernel", kernel.ncols(), flipped.ncols())?;
        Ok(kernel.tr_mul(&self.left) * share + flipped.tr_mul(&self.right) * (1.0 - share))
    }
}

/// Contributions of training points to predictions of the surrogate K_*(K + ridge)⁻¹Y: entry (t, i) of output o is
/// K_*(t, i) α(i, o), and rows sum to the prediction.
///
/// ```
/// use kernels_ntk::attributions;
/// use nalgebra::dmatrix;
/// let a = attributions(&dmatrix![1.0, 0.5], &dmatrix![2.0; 4.0], 0)?;
/// assert_eq!(a, dmatrix![2.0, 2.0]);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`].
pub fn attributions(
    cross: &DMatrix<f64>,
    coefficients: &DMatrix<f64>,
    output: usize,
) -> Result<DMatrix<f64>, Error> {
    same("columns of the cross kernel", coefficients.nrows(), cross.ncols())?;
    if output >= coefficients.ncols() {
        return Err(Error::Shape {
            what: "index of an output (below)",
            expected: coefficients.ncols(),
            given: output,
        });
    }
    Ok(DMatrix::from_fn(cross.nrows(), cross.ncols(), |t, i| cross[(t, i)] * coefficients[(i, output)]))
}

/// A product that names its shape errors like this crate.
pub(super) fn times(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    Ok(product(a, b)?)
}
