//! Random features of wide networks.

use std::ops::Range;

use kernels_core::{FeatureMap, Points, Rows, Tile, Workspace};
use nalgebra::DMatrix;

use crate::{Error, Layer, Net, error::same, random::Normals};

/// The outputs of the last hidden layer of a random network of `width` units a layer, scaled so that inner products estimate its
/// NNGP kernel: unbiased with one hidden layer, consistent as widths grow with more.
///
/// ```
/// use kernels_core::{Rows, features, gram};
/// use kernels_ntk::{NetFeatures, Net, NetworkKernel};
/// let net: Net = "dense(w_std=1.5, b_std=0.3) > relu > dense(w_std=1.2, b_std=0.1)".parse()?;
/// let xs = Rows::from_row_major(vec![1.0, 0.5, -0.3, 0.8], 2, 2)?;
/// let z = features(&NetFeatures::new(&net, 2, 4000, 7)?, &xs)?;
/// let exact = gram(&NetworkKernel::nngp(net), &xs)?;
/// assert!((&z * z.transpose() - exact).amax() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NetFeatures {
    steps: Vec<Step>,
    inputs: usize,
    outputs: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Dense {
        weights: DMatrix<f64>,
        bias: Vec<f64>,
    },
    Apply(crate::Activation),
    Scale(f64),
    /// The last dense layer: features times σ_w/√n, and σ_b as one more feature.
    Last {
        scale: f64,
        bias: f64,
    },
}

impl NetFeatures {
    /// A random network of dense layers and activations that ends in a dense layer, for points of `dim` features.
    ///
    /// # Errors
    /// [`Error::Network`] for other layers, [`Error::Value`] for width 0.
    pub fn new(net: &Net, dim: usize, width: usize, seed: u64) -> Result<Self, Error> {
        crate::error::within("width", width as f64, width > 0, "1 or above")?;
        let mut steps = Vec::new();
        let mut fan_in = dim;
        let layers = net.layers();
        for (l, layer) in layers.iter().enumerate() {
            let last = l + 1 == layers.len();
            match layer {
                Layer::Dense(w) if last => {
                    let scale = w.w_std / (fan_in.max(1) as f64).sqrt();
                    steps.push(Step::Last { scale, bias: w.b_std.unwrap_or(0.0) });
                    fan_in += 1;
                }
                Layer::Dense(w) => {
                    let mut normals = Normals::new(seed, l as u64);
                    let scale = w.w_std / (fan_in.max(1) as f64).sqrt();
                    let weights = DMatrix::from_fn(fan_in, width, |_, _| scale * normals.next());
                    let b = w.b_std.unwrap_or(0.0);
                    let bias = (0..width).map(|_| b * normals.next()).collect();
                    steps.push(Step::Dense { weights, bias });
                    fan_in = width;
                }
                Layer::Activation(a) if !last => {
                    a.check_function()?;
                    steps.push(Step::Apply(a.clone()));
                }
                Layer::Scale(c) if !last => steps.push(Step::Scale(*c)),
                other => {
                    return Err(Error::Network {
                        position: l + 1,
                        layer: other.name(),
                        problem: "random features need dense layers and activations, and a dense layer at the end",
                    });
                }
            }
        }
        Ok(Self { steps, inputs: dim, outputs: fan_in })
    }
}

impl FeatureMap<Rows<f64>> for NetFeatures {
    fn dim(&self) -> usize {
        self.outputs
    }

    fn features(&self, xs: &Rows<f64>, rows: Range<usize>, mut out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        for (r, i) in rows.enumerate() {
            let mut h = xs.point(i).to_vec();
            for step in &self.steps {
                match step {
                    Step::Dense { weights, bias } => {
                        h = weights
                            .column_iter()
                            .zip(bias)
                            .map(|(w, b)| w.iter().zip(&h).map(|(w, h)| w * h).sum::<f64>() + b)
                            .collect();
                    }
                    Step::Apply(a) => h.iter_mut().for_each(|z| *z = a.value(*z)),
                    Step::Scale(c) => h.iter_mut().for_each(|z| *z *= c),
                    Step::Last { scale, bias } => {
                        h.iter_mut().for_each(|z| *z *= scale);
                        h.push(*bias);
                    }
                }
            }
            for (c, value) in h.into_iter().enumerate() {
                out[(r, c)] = value;
            }
        }
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), kernels_core::Error> {
        match same("number of features of the points", self.inputs, xs.dim()) {
            Ok(()) => Ok(()),
            Err(_) => Err(kernels_core::Error::Shape {
                what: "number of features of the points",
                expected: self.inputs,
                given: xs.dim(),
            }),
        }
    }
}
