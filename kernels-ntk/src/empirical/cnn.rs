//! A small convolutional network with exact derivatives.

use kernels_core::{Points, Rows};
use nalgebra::DMatrix;

use super::kernels::{Jacobian, JacobianSource};
use crate::{Activation, Error, error::same};

/// Convolution with zeros beyond the border, odd square filters and stride 1: weight of filter place t, input channel c and output
/// channel k at `(t * inputs + c) * outputs + k`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvLayer {
    /// Side of the filter, odd.
    pub filter: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Weights.
    pub weights: Vec<f64>,
    /// Biases, one an output channel.
    pub bias: Vec<f64>,
}

/// Convolutions with an activation after each, the mean over all places, and a dense layer without bias, in the standard
/// parameterization; points are images row by row, channels last.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_ntk::{Activation, Cnn, JacobianSource};
/// let net = Cnn::random((4, 4), &[1, 3], 3, 2, Activation::Tanh, 5)?;
/// let xs = Rows::from_row_major((0..32).map(|i| f64::from(i) * 0.1 - 1.0).collect(), 2, 16)?;
/// let kernel = net.jacobian(&xs)?.kernel()?;
/// assert_eq!(kernel.matrix().shape(), (4, 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cnn {
    height: usize,
    width: usize,
    convolutions: Vec<ConvLayer>,
    head: DMatrix<f64>,
    activation: Activation,
}

impl Cnn {
    /// A network of given layers; `head` is channels × outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] when layers do not fit together.
    pub fn new(
        (height, width): (usize, usize),
        convolutions: Vec<ConvLayer>,
        head: DMatrix<f64>,
        activation: Activation,
    ) -> Result<Self, Error> {
        activation.check_function()?;
        let Some(last) = convolutions.last() else {
            return Err(Error::Shape { what: "convolutions (at least)", expected: 1, given: 0 });
        };
        same("inputs of the head", last.outputs, head.nrows())?;
        for layer in &convolutions {
            same("filter side (odd: remainder by 2)", 1, layer.filter % 2)?;
            let weights = layer.filter * layer.filter * layer.inputs * layer.outputs;
            same("weights of a convolution", weights, layer.weights.len())?;
            same("biases of a convolution", layer.outputs, layer.bias.len())?;
        }
        for pair in convolutions.windows(2) {
            same("input channels", pair[0].outputs, pair[1].inputs)?;
        }
        Ok(Self { height, width, convolutions, head, activation })
    }

    /// Normal weights of variance 1/fan-in, biases 0.
    ///
    /// # Errors
    /// As [`Cnn::new`].
    pub fn random(
        shape: (usize, usize),
        channels: &[usize],
        filter: usize,
        outputs: usize,
        activation: Activation,
        seed: u64,
    ) -> Result<Self, Error> {
        let convolutions = channels
            .windows(2)
            .enumerate()
            .map(|(l, pair)| {
                let mut normals = crate::random::Normals::new(seed, l as u64);
                let fan_in = filter * filter * pair[0];
                let scale = 1.0 / (fan_in.max(1) as f64).sqrt();
                ConvLayer {
                    filter,
                    inputs: pair[0],
                    outputs: pair[1],
                    weights: (0..fan_in * pair[1]).map(|_| scale * normals.next()).collect(),
                    bias: vec![0.0; pair[1]],
                }
            })
            .collect();
        let last = channels.last().copied().unwrap_or(0);
        let mut normals = crate::random::Normals::new(seed, channels.len() as u64);
        let scale = 1.0 / (last.max(1) as f64).sqrt();
        let head = DMatrix::from_fn(last, outputs, |_, _| scale * normals.next());
        Self::new(shape, convolutions, head, activation)
    }

    fn places(&self) -> usize {
        self.height * self.width
    }

    /// Calls `f` with filter place, input place and output place of every tap inside the image.
    fn for_taps(&self, filter: usize, mut f: impl FnMut(usize, usize, usize)) {
        let half = filter / 2;
        for r in 0..self.height {
            for c in 0..self.width {
                for t in 0..filter * filter {
                    let (i, j) = (r + t / filter, c + t % filter);
                    if i >= half && j >= half && i - half < self.height && j - half < self.width {
                        f(t, (i - half) * self.width + j - half, r * self.width + c);
                    }
                }
            }
        }
    }

    /// Inputs of every convolution, z of every convolution, and the pooled channels of one image.
    fn forward(&self, image: &[f64]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, Vec<f64>) {
        let places = self.places();
        let (mut inputs, mut before) = (Vec::new(), Vec::new());
        let mut h = image.to_vec();
        for layer in &self.convolutions {
            let mut z: Vec<f64> = (0..places).flat_map(|_| layer.bias.iter().copied()).collect();
            self.for_taps(layer.filter, |t, from, to| {
                for c in 0..layer.inputs {
                    let x = h[from * layer.inputs + c];
                    let weights = &layer.weights[(t * layer.inputs + c) * layer.outputs..][..layer.outputs];
                    let z = &mut z[to * layer.outputs..][..layer.outputs];
                    z.iter_mut().zip(weights).for_each(|(z, w)| *z += x * w);
                }
            });
            inputs.push(std::mem::replace(&mut h, z.iter().map(|z| self.activation.value(*z)).collect()));
            before.push(z);
        }
        let channels = self.head.nrows();
        let mut pooled = vec![0.0; channels];
        for place in h.chunks_exact(channels.max(1)) {
            pooled.iter_mut().zip(place).for_each(|(p, h)| *p += h / places as f64);
        }
        (inputs, before, pooled)
    }

    /// Outputs, points × outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] for points that are no images of this network.
    pub fn outputs(&self, xs: &Rows<f64>) -> Result<DMatrix<f64>, Error> {
        self.check(xs)?;
        let outputs = self.head.ncols();
        let mut out = DMatrix::zeros(xs.len(), outputs);
        for i in 0..xs.len() {
            let (_, _, pooled) = self.forward(xs.point(i));
            for o in 0..outputs {
                out[(i, o)] = pooled.iter().enumerate().map(|(k, p)| p * self.head[(k, o)]).sum();
            }
        }
        Ok(out)
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), Error> {
        same("values of an image", self.places() * self.convolutions[0].inputs, xs.dim())
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.head.len() + self.convolutions.iter().map(|l| l.weights.len() + l.bias.len()).sum::<usize>()
    }

    /// The same network with parameters in the order of the Jacobian: for each convolution weights and biases, then the head
    /// (all outputs of a channel together).
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number.
    pub fn with_parameters(&self, parameters: &[f64]) -> Result<Self, Error> {
        same("number of parameters", self.parameters(), parameters.len())?;
        let mut out = self.clone();
        let mut rest = parameters;
        for layer in &mut out.convolutions {
            for part in [&mut layer.weights, &mut layer.bias] {
                let (values, after) = rest.split_at(part.len());
                part.copy_from_slice(values);
                rest = after;
            }
        }
        out.head = DMatrix::from_row_slice(self.head.nrows(), self.head.ncols(), rest);
        Ok(out)
    }

    /// All parameters, in the order of the Jacobian.
    pub fn flat_parameters(&self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.parameters());
        for layer in &self.convolutions {
            out.extend(&layer.weights);
            out.extend(&layer.bias);
        }
        for row in self.head.row_iter() {
            out.extend(row.iter());
        }
        out
    }
}

impl JacobianSource for Cnn {
    fn jacobian(&self, xs: &Rows<f64>) -> Result<Jacobian, Error> {
        self.check(xs)?;
        let (places, outputs) = (self.places(), self.head.ncols());
        let mut matrix = DMatrix::zeros(xs.len() * outputs, self.parameters());
        for i in 0..xs.len() {
            let (inputs, before, pooled) = self.forward(xs.point(i));
            for o in 0..outputs {
                let mut gradient = vec![0.0; self.parameters()];
                let mut end = self.parameters() - self.head.len();
                for (k, p) in pooled.iter().enumerate() {
                    gradient[end + k * outputs + o] = *p;
                }
                // Derivative by the last activations: the head, shared by all places.
                let mut by_h: Vec<f64> = (0..places)
                    .flat_map(|_| self.head.column(o).iter().map(|w| w / places as f64).collect::<Vec<_>>())
                    .collect();
                for (l, layer) in self.convolutions.iter().enumerate().rev() {
                    let by_z: Vec<f64> = by_h
                        .iter()
                        .zip(&before[l])
                        .map(|(d, z)| d * self.activation.derivative(*z))
                        .collect();
                    end -= layer.bias.len();
                    for place in by_z.chunks_exact(layer.outputs.max(1)) {
                        gradient[end..end + layer.outputs].iter_mut().zip(place).for_each(|(g, d)| *g += d);
                    }
                    end -= layer.weights.len();
                    let mut by_input = vec![0.0; places * layer.inputs];
                    self.for_taps(layer.filter, |t, from, to| {
                        let d = &by_z[to * layer.outputs..][..layer.outputs];
                        for c in 0..layer.inputs {
                            let at = (t * layer.inputs + c) * layer.outputs;
                            let x = inputs[l][from * layer.inputs + c];
                            let mut back = 0.0;
                            for (k, d) in d.iter().enumerate() {
                                gradient[end + at + k] += x * d;
                                back += layer.weights[at + k] * d;
                            }
                            by_input[from * layer.inputs + c] += back;
                        }
                    });
                    by_h = by_input;
                }
                for (p, g) in gradient.into_iter().enumerate() {
                    matrix[(i * outputs + o, p)] = g;
                }
            }
        }
        Jacobian::new(matrix, outputs)
    }
}
