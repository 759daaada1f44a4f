//! Random features of tangent kernels.

use std::ops::Range;

use kernels_core::{FeatureMap, Points, Rows, Tile, Workspace};
use nalgebra::{DMatrix, DVector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Activation, Error, Layer, Net, error::within, random::Normals};

/// Features whose inner products estimate the tangent kernel of a fully connected network, without its n² pairs: after each layer
/// Θ' = q' + σ_w² k̇ ∘ Θ, so the features are those of q' beside σ_w times a sketch of the products of φ′-features with the features
/// of Θ.
///
/// `width` random units a layer give the features φ(h)/√m of the duals and φ′(h)/√m of their derivatives; products are sketched to
/// `sketch` numbers by random signs, ⟨s, a⟩⟨t, b⟩/√k, whose inner products are unbiased estimates of ⟨a, a′⟩⟨b, b′⟩. Unbiased with one
/// hidden layer, consistent as widths and sketches grow with more.
///
/// ```
/// use kernels_core::{Rows, features, gram};
/// use kernels_ntk::{Net, NetworkKernel, TangentFeatures};
/// let net: Net = "dense(w_std=1.5, b_std=0.3) > erf > dense(w_std=1.2, b_std=0.1)".parse()?;
/// let xs = Rows::from_row_major(vec![1.0, 0.5, -0.3, 0.8], 2, 2)?;
/// let z = features(&TangentFeatures::new(&net, 2, 2000, 2000, 7)?, &xs)?;
/// let exact = gram(&NetworkKernel::ntk(net), &xs)?;
/// assert!((&z * z.transpose() - &exact).amax() < 0.2 * exact.amax());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Reference: after Zandieh et al., *Scaling neural tangent kernels via sketching and random features* (2021), with dense signs in place
/// of their fast transforms.
#[derive(Clone, Debug)]
pub struct TangentFeatures {
    steps: Vec<Step>,
    inputs: usize,
    outputs: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// q' = σ_w² q + σ_b² and Θ' = q' + σ_w² Θ.
    Dense { w: f64, b: f64 },
    /// φ and φ′ at random directions, and the signs of the sketch: for each output a row of bits for φ′ and one for Θ.
    Apply { phi: Activation, weights: DMatrix<f64>, signs: (Vec<u64>, Vec<u64>), sketch: usize },
}

/// Rows of random bits, one row for each output.
fn signs(rows: usize, columns: usize, seed: u64, stream: u64) -> Vec<u64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    (0..rows * columns.div_ceil(64)).map(|_| rng.next_u64()).collect()
}

/// Σ ±vᵢ by a row of bits.
fn signed(bits: &[u64], v: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (bits, v) in bits.iter().zip(v.chunks(64)) {
        for (k, v) in v.iter().enumerate() {
            sum += if bits >> k & 1 == 1 { *v } else { -v };
        }
    }
    sum
}

impl TangentFeatures {
    /// Features for points of `dim` features of a network of dense layers (NTK parameterization) and activations that ends in a dense
    /// layer.
    ///
    /// # Errors
    /// [`Error::Network`] for other layers, [`Error::Value`] for a width or sketch of 0.
    pub fn new(net: &Net, dim: usize, width: usize, sketch: usize, seed: u64) -> Result<Self, Error> {
        within("width", width as f64, width > 0, "1 or above")?;
        within("sketch", sketch as f64, sketch > 0, "1 or above")?;
        let layers = net.layers();
        let mut steps = Vec::new();
        // Lengths of the features of q and of Θ.
        let (mut q, mut theta) = (dim, 0);
        for (l, layer) in layers.iter().enumerate() {
            let fail = |problem| Error::Network { position: l + 1, layer: layer.name(), problem };
            let stream = 4 * l as u64;
            match layer {
                Layer::Dense(w) if w.parameterization == crate::Parameterization::Ntk => {
                    steps.push(Step::Dense { w: w.w_std, b: w.b_std.unwrap_or(0.0) });
                    q += 1;
                    theta += q;
                }
                Layer::Activation(phi) if l + 1 < layers.len() => {
                    phi.check_function()?;
                    let mut normals = Normals::new(seed, stream);
                    let weights = DMatrix::from_fn(q, width, |_, _| normals.next());
                    let signs =
                        (signs(sketch, width, seed, stream + 1), signs(sketch, theta, seed, stream + 2));
                    steps.push(Step::Apply { phi: phi.clone(), weights, signs, sketch });
                    (q, theta) = (width, sketch);
                }
                Layer::Dense(_) => {
                    return Err(fail("tangent features are those of the NTK parameterization"));
                }
                _ => {
                    return Err(fail(
                        "tangent features need dense layers and activations, and a dense layer at the end",
                    ));
                }
            }
        }
        if !matches!(layers.last(), Some(Layer::Dense(_))) {
            let layer = layers.last().map_or("network", Layer::name);
            return Err(Error::Network {
                position: layers.len(),
                layer,
                problem: "must end in a dense layer",
            });
        }
        Ok(Self { steps, inputs: dim, outputs: theta })
    }

    fn of(&self, x: &[f64]) -> Vec<f64> {
        let scale = 1.0 / (x.len().max(1) as f64).sqrt();
        let mut q: Vec<f64> = x.iter().map(|v| v * scale).collect();
        let mut theta: Vec<f64> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Dense { w, b } => {
                    q.iter_mut().for_each(|v| *v *= w);
                    q.push(*b);
                    let before = std::mem::take(&mut theta);
                    theta = q.iter().copied().chain(before.into_iter().map(|v| w * v)).collect();
                }
                Step::Apply { phi, weights, signs, sketch } => {
                    let h = weights.tr_mul(&DVector::from_vec(std::mem::take(&mut q)));
                    let share = 1.0 / (weights.ncols() as f64).sqrt();
                    let slopes: Vec<f64> = h.iter().map(|z| share * phi.derivative(*z)).collect();
                    q = h.iter().map(|z| share * phi.value(*z)).collect();
                    let scale = 1.0 / (*sketch as f64).sqrt();
                    let (a, b) = (slopes.len().div_ceil(64), theta.len().div_ceil(64));
                    theta = (0..*sketch)
                        .map(|k| {
                            let left = signed(&signs.0[k * a..(k + 1) * a], &slopes);
                            scale * left * signed(&signs.1[k * b..(k + 1) * b], &theta)
                        })
                        .collect();
                }
            }
        }
        theta
    }
}

impl FeatureMap<Rows<f64>> for TangentFeatures {
    fn dim(&self) -> usize {
        self.outputs
    }

    fn features(&self, xs: &Rows<f64>, rows: Range<usize>, mut out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        for (r, i) in rows.enumerate() {
            for (c, value) in self.of(xs.point(i)).into_iter().enumerate() {
                out[(r, c)] = value;
            }
        }
    }

    fn check(&self, xs: &Rows<f64>) -> Result<(), kernels_core::Error> {
        if self.inputs == xs.dim() {
            return Ok(());
        }
        let what = "number of features of the points";
        Err(kernels_core::Error::Shape { what, expected: self.inputs, given: xs.dim() })
    }
}
