//! Fully connected networks with exact derivatives.

use kernels_core::{
    Points, Rows,
    dense::{Qr, product_transposed},
};
use nalgebra::DMatrix;

use super::kernels::{Jacobian, JacobianSource, TangentKernel, times};
use crate::{Activation, Error, Parameterization, error::same};

/// A dense layer of a finite network: W is inputs × outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    /// Weights, inputs × outputs.
    pub weights: DMatrix<f64>,
    /// Biases, or none.
    pub bias: Option<Vec<f64>>,
    /// σ_w, used by the NTK parameterization.
    pub w_std: f64,
    /// σ_b, used by the NTK parameterization.
    pub b_std: f64,
}

/// A fully connected network with one activation between its layers: z = (σ_w/√n) hW + σ_b b in the NTK parameterization,
/// z = hW + b in the standard one.
///
/// Its tangent kernel comes from the layers' inputs and the derivatives by their outputs, Θ = Σ_l (c_l² H_l H_lᵀ + β_l) ∘ B_l B_lᵀ,
/// without forming a Jacobian: O(N²(n + O² n)) instead of O(N² O² parameters).
///
/// ```
/// use kernels_core::Rows;
/// use kernels_ntk::{Activation, JacobianSource, Mlp, Parameterization};
/// let net = Mlp::random(&[3, 16, 2], Activation::Tanh, 1.5, Some(0.1), Parameterization::Ntk, 7)?;
/// let xs = Rows::from_row_major(vec![0.1, -0.5, 1.0, 0.3, 0.2, -1.0], 2, 3)?;
/// let fast = net.tangent_kernel(&xs, &xs)?;
/// let slow = net.jacobian(&xs)?.kernel()?;
/// assert!((fast.matrix() - slow.matrix()).amax() < 1e-13);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<DenseLayer>,
    activation: Activation,
    parameterization: Parameterization,
}

/// Inputs of all layers, values before each activation, and outputs.
type Forward = (Vec<DMatrix<f64>>, Vec<DMatrix<f64>>, DMatrix<f64>);

/// What one pass over a data set leaves: inputs of every layer, and derivatives of outputs by every layer's z.
struct Pass {
    inputs: Vec<DMatrix<f64>>,
    /// (points · outputs) × width, for every layer.
    backward: Vec<DMatrix<f64>>,
    outputs: DMatrix<f64>,
}

impl Mlp {
    /// A network of given layers.
    ///
    /// # Errors
    /// [`Error::Shape`] when layers do not fit together or there are none.
    pub fn new(
        layers: Vec<DenseLayer>,
        activation: Activation,
        parameterization: Parameterization,
    ) -> Result<Self, Error> {
        activation.check_function()?;
        if layers.is_empty() {
            return Err(Error::Shape { what: "layers (at least)", expected: 1, given: 0 });
        }
        for pair in layers.windows(2) {
            same("inputs of a layer", pair[0].weights.ncols(), pair[1].weights.nrows())?;
        }
        for layer in &layers {
            if let Some(bias) = &layer.bias {
                same("biases of a layer", layer.weights.ncols(), bias.len())?;
            }
        }
        Ok(Self { layers, activation, parameterization })
    }

    /// Normal weights for these widths, inputs first.
    ///
    /// # Errors
    /// As [`Mlp::new`].
    pub fn random(
        widths: &[usize],
        activation: Activation,
        w_std: f64,
        b_std: Option<f64>,
        parameterization: Parameterization,
        seed: u64,
    ) -> Result<Self, Error> {
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(l, pair)| {
                let scale = match parameterization {
                    Parameterization::Ntk => (1.0, 1.0),
                    Parameterization::Standard => {
                        (w_std / (pair[0].max(1) as f64).sqrt(), b_std.unwrap_or(0.0))
                    }
                };
                let mut normals = crate::random::Normals::new(seed, l as u64);
                let weights = DMatrix::from_fn(pair[0], pair[1], |_, _| scale.0 * normals.next());
                let bias = b_std.map(|_| (0..pair[1]).map(|_| scale.1 * normals.next()).collect());
                DenseLayer { weights, bias, w_std, b_std: b_std.unwrap_or(0.0) }
            })
            .collect();
        Self::new(layers, activation, parameterization)
    }

    /// Weight matrices that are parts of Haar-orthogonal ones, scaled to the variance of normal weights; biases stay normal. At infinite
    /// width nothing changes: variances, correlations, NNGP and tangent kernels are those of independent weights, as they are for all
    /// weights that are independent to second order. At finite width fluctuations are smaller, see [`WeightLaw`](crate::WeightLaw); a
    /// linear network of equal widths keeps norms exactly.
    ///
    /// # Errors
    /// As [`Mlp::new`].
    ///
    /// ```
    /// use kernels_core::Rows;
    /// use kernels_ntk::{Activation, Mlp, Parameterization};
    /// let net = Mlp::random_orthogonal(&[3, 3, 3], Activation::Identity, 1.0, None, Parameterization::Ntk, 1)?;
    /// let f = net.outputs(&Rows::from_row_major(vec![1.0, 2.0, 2.0], 1, 3)?)?;
    /// assert!((f.norm() - 3.0).abs() < 1e-13);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn random_orthogonal(
        widths: &[usize],
        activation: Activation,
        w_std: f64,
        b_std: Option<f64>,
        parameterization: Parameterization,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut out = Self::random(widths, activation, w_std, b_std, parameterization, seed)?;
        for layer in &mut out.layers {
            let (inputs, outputs) = layer.weights.shape();
            let tall = if inputs >= outputs { layer.weights.clone() } else { layer.weights.transpose() };
            let Qr { mut q, r } = Qr::new(&tall)?;
            // Haar's measure needs a positive diagonal of R. Entries of q have variance 1/(longer side).
            let scale = match parameterization {
                Parameterization::Ntk => (inputs.max(outputs) as f64).sqrt(),
                Parameterization::Standard => {
                    w_std * (inputs.max(outputs) as f64 / inputs.max(1) as f64).sqrt()
                }
            };
            for (j, mut column) in q.column_iter_mut().enumerate() {
                column *= scale.copysign(r[(j, j)]);
            }
            layer.weights = if inputs >= outputs { q } else { q.transpose() };
        }
        Ok(out)
    }

    /// The layers.
    pub fn layers(&self) -> &[DenseLayer] {
        &self.layers
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.weights.len() + l.bias.as_ref().map_or(0, Vec::len)).sum()
    }

    /// All parameters: for each layer its weights (all outputs of an input together), then its biases.
    pub fn flat_parameters(&self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.parameters());
        for layer in &self.layers {
            for row in layer.weights.row_iter() {
                out.extend(row.iter());
            }
            out.extend(layer.bias.iter().flatten());
        }
        out
    }

    /// The same network with other parameters, in the order of [`Mlp::flat_parameters`].
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number.
    pub fn with_parameters(&self, parameters: &[f64]) -> Result<Self, Error> {
        same("number of parameters", self.parameters(), parameters.len())?;
        let mut out = self.clone();
        let mut rest = parameters;
        for layer in &mut out.layers {
            let (weights, after) = rest.split_at(layer.weights.len());
            let (rows, columns) = layer.weights.shape();
            layer.weights = DMatrix::from_row_slice(rows, columns, weights);
            rest = after;
            if let Some(bias) = &mut layer.bias {
                let (values, after) = rest.split_at(bias.len());
                bias.copy_from_slice(values);
                rest = after;
            }
        }
        Ok(out)
    }

    /// Factors of weights and biases in a layer.
    fn factors(&self, layer: &DenseLayer) -> (f64, f64) {
        match self.parameterization {
            Parameterization::Ntk => {
                (layer.w_std / (layer.weights.nrows().max(1) as f64).sqrt(), layer.b_std)
            }
            Parameterization::Standard => (1.0, 1.0),
        }
    }

    /// Inputs of all layers, values before each activation, and outputs.
    fn forward(&self, xs: &Rows<f64>) -> Result<Forward, Error> {
        same("features of the points", self.layers[0].weights.nrows(), xs.dim())?;
        let (mut inputs, mut before) = (Vec::new(), Vec::new());
        let mut h = xs.to_matrix();
        for (l, layer) in self.layers.iter().enumerate() {
            let (c, b) = self.factors(layer);
            let mut z = times(&h, &layer.weights)? * c;
            if let Some(bias) = &layer.bias {
                for (mut column, value) in z.column_iter_mut().zip(bias) {
                    column.add_scalar_mut(b * value);
                }
            }
            inputs.push(h);
            if l + 1 == self.layers.len() {
                return Ok((inputs, before, z));
            }
            h = z.map(|z| self.activation.value(z));
            before.push(z);
        }
        Ok((inputs, before, h))
    }

    fn pass(&self, xs: &Rows<f64>) -> Result<Pass, Error> {
        let (inputs, before, outputs) = self.forward(xs)?;
        let (n, o) = outputs.shape();
        // Derivatives by the last z are unit vectors.
        let mut current = DMatrix::from_fn(n * o, o, |r, c| f64::from(u8::from(r % o == c)));
        let mut backward = vec![current.clone()];
        for l in (1..self.layers.len()).rev() {
            let layer = &self.layers[l];
            let (c, _) = self.factors(layer);
            let slope = before[l - 1].map(|z| self.activation.derivative(z));
            current = product_transposed(&current, &layer.weights).map_err(Error::from)? * c;
            for (j, mut column) in current.column_iter_mut().enumerate() {
                for (r, value) in column.iter_mut().enumerate() {
                    *value *= slope[(r / o, j)];
                }
            }
            backward.push(current.clone());
        }
        backward.reverse();
        Ok(Pass { inputs, backward, outputs })
    }

    /// Outputs, points × outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] for points of another dimension; so below.
    pub fn outputs(&self, xs: &Rows<f64>) -> Result<DMatrix<f64>, Error> {
        Ok(self.forward(xs)?.2)
    }

    /// The whole tangent kernel, (n · outputs) × (m · outputs), layer by layer.
    ///
    /// # Errors
    /// As [`Mlp::outputs`].
    pub fn tangent_kernel(&self, xs: &Rows<f64>, ys: &Rows<f64>) -> Result<TangentKernel, Error> {
        let (left, right) = (self.pass(xs)?, self.pass(ys)?);
        let o = left.outputs.ncols();
        let mut sum = DMatrix::zeros(xs.len() * o, ys.len() * o);
        for (l, layer) in self.layers.iter().enumerate() {
            let (c, b) = self.factors(layer);
            let bias = if layer.bias.is_some() { b * b } else { 0.0 };
            let inputs = product_transposed(&left.inputs[l], &right.inputs[l]).map_err(Error::from)?;
            if l + 1 == self.layers.len() {
                // B is the identity: only equal outputs meet.
                for j in 0..ys.len() {
                    for i in 0..xs.len() {
                        let value = c * c * inputs[(i, j)] + bias;
                        for k in 0..o {
                            sum[(i * o + k, j * o + k)] += value;
                        }
                    }
                }
                continue;
            }
            let derivatives =
                product_transposed(&left.backward[l], &right.backward[l]).map_err(Error::from)?;
            for q in 0..sum.ncols() {
                for p in 0..sum.nrows() {
                    sum[(p, q)] += (c * c * inputs[(p / o, q / o)] + bias) * derivatives[(p, q)];
                }
            }
        }
        TangentKernel::new(sum, o)
    }

    /// The kernel of the last hidden layer (conjugate kernel), and the sum of the kernels of all hidden layers.
    ///
    /// # Errors
    /// As [`Mlp::outputs`].
    pub fn embedding_kernels(&self, xs: &Rows<f64>) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let (inputs, _, _) = self.forward(xs)?;
        let mut sum = DMatrix::zeros(xs.len(), xs.len());
        // Without hidden layers the features are the points.
        let first = usize::from(inputs.len() > 1);
        let mut conjugate = DMatrix::zeros(0, 0);
        for h in &inputs[first..] {
            conjugate = product_transposed(h, h).map_err(Error::from)?;
            sum += &conjugate;
        }
        Ok((conjugate, sum))
    }
}

impl JacobianSource for Mlp {
    fn jacobian(&self, xs: &Rows<f64>) -> Result<Jacobian, Error> {
        let pass = self.pass(xs)?;
        let (n, o) = pass.outputs.shape();
        let mut matrix = DMatrix::zeros(n * o, self.parameters());
        let mut start = 0;
        for (l, layer) in self.layers.iter().enumerate() {
            let (c, b) = self.factors(layer);
            let (inputs, width) = layer.weights.shape();
            for k in 0..inputs {
                for j in 0..width {
                    for r in 0..n * o {
                        matrix[(r, start + k * width + j)] =
                            c * pass.inputs[l][(r / o, k)] * pass.backward[l][(r, j)];
                    }
                }
            }
            start += inputs * width;
            if layer.bias.is_some() {
                for j in 0..width {
                    for r in 0..n * o {
                        matrix[(r, start + j)] = b * pass.backward[l][(r, j)];
                    }
                }
                start += width;
            }
        }
        Jacobian::new(matrix, o)
    }
}
