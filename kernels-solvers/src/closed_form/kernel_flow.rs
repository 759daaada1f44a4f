//! Densities by normalising flows of several kernel couplings.

use std::ops::ControlFlow;

use kernels_core::{
    Block, Describe, Differentiable, Jet, Kernel, PositiveDefinite, Progress, Rows, Workspace,
};
use nalgebra::{DMatrix, DVector, RowDVector};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::AffineCoupling;
use crate::{
    Error, Stop, Version,
    data::{at_least, expect, finite, location_and_scale, non_negative, require_positive},
    minimise::minimise,
    uniform_landmarks,
};

/// A normalising flow of kernel couplings ([`AffineCoupling`]), one after another, each on other coordinates: fits a density by its
/// likelihood.
///
/// Data are shifted and scaled to mean 0 and deviation 1. Every layer has kernel parameters and auxiliary points of its own,
/// which begin as samples; all are fitted together by L-BFGS on −(1/n) Σ ln p(xᵢ) + ½ ridge (‖A_s‖² + ‖A_t‖²). Layers come in pairs: what
/// the first leaves alone the second moves; every pair but the first has an order of the coordinates drawn at random.
///
/// Reference: English, Kirchler, Lippert, *Kernelised normalising flows*, ICLR 2024, sections 3 and 4.
///
/// ```
/// use kernels_core::Rbf;
/// use kernels_solvers::closed_form::KernelFlow;
/// // A parabola with noise.
/// let x = nalgebra::DMatrix::from_fn(80, 2, |i, j| {
///     let a = i as f64 / 20.0 - 2.0;
///     if j == 0 { a } else { a * a + 0.2 * ((i * 29 % 13) as f64 / 6.0 - 1.0) }
/// });
/// let flow = KernelFlow::new(Rbf::new(1.0)?).auxiliary(8).max_iterations(60).fit(&x)?;
/// let at = nalgebra::dmatrix![1.0, 1.0; 1.0, -1.0];
/// let p = flow.log_likelihood(&at)?;
/// assert!(p[0] > p[1] + 3.0);
/// assert!((flow.inverse(&flow.forward(&at)?.0)? - at).amax() < 1e-9);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelFlow<K> {
    kernel: K,
    layers: usize,
    auxiliary: usize,
    ridge: f64,
    max_iterations: usize,
    seed: u64,
}

impl<K> KernelFlow<K> {
    /// Four layers of 32 auxiliary points, ridge 1e-3, at most 200 iterations.
    pub fn new(kernel: K) -> Self {
        Self { kernel, layers: 4, auxiliary: 32, ridge: 1e-3, max_iterations: 200, seed: 0 }
    }

    /// Sets the number of couplings, 1 or more.
    pub fn layers(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Sets the number of auxiliary points of a layer, 1 or more; at most the samples are used.
    pub fn auxiliary(mut self, points: usize) -> Self {
        self.auxiliary = points;
        self
    }

    /// Sets the ridge on the coefficients, 0 or above.
    pub fn ridge(mut self, ridge: f64) -> Self {
        self.ridge = ridge;
        self
    }

    /// Most iterations of the fit.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Seed of the first auxiliary points and of the orders of the coordinates.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl<K: Differentiable<f64> + PositiveDefinite + Clone> KernelFlow<K> {
    /// Fits to rows of two columns or more.
    ///
    /// **Errors.** Fewer than 2 rows or columns, no layers, no auxiliary points, values that are not finite, a ridge below 0, a kernel
    /// that is not positive definite or has no derivatives. **Complexity.** O(L n m p) an iteration for L layers of m points.
    pub fn fit(&self, x: &DMatrix<f64>) -> Result<KernelFlowModel<K>, Error> {
        self.fit_with(x, &mut ())
    }

    /// The same, reporting each iteration to `progress`, which may stop it.
    ///
    /// # Errors
    /// As [`KernelFlow::fit`]; [`kernels_core::Error::Cancelled`].
    pub fn fit_with(
        &self,
        x: &DMatrix<f64>,
        progress: &mut dyn Progress,
    ) -> Result<KernelFlowModel<K>, Error> {
        let (n, p) = x.shape();
        at_least("a kernel flow (samples)", 2, n)?;
        at_least("a kernel flow (columns)", 2, p)?;
        at_least("a kernel flow (layers)", 1, self.layers)?;
        at_least("a kernel flow (auxiliary points)", 1, self.auxiliary)?;
        finite("sample", x.as_slice(), n)?;
        non_negative("ridge", self.ridge)?;
        require_positive("a kernel flow", &self.kernel)?;
        self.kernel.check_derivatives(p / 2, false)?;
        let (mean, scale): (Vec<f64>, Vec<f64>) =
            x.column_iter().map(|c| location_and_scale(c.into_owned().as_slice())).unzip();
        let (mean, scale) = (RowDVector::from_vec(mean), RowDVector::from_vec(scale));
        let data = DMatrix::from_fn(n, p, |i, j| (x[(i, j)] - mean[j]) / scale[j]);
        let mut layers = self.start(&data)?;
        let free: Vec<usize> = {
            let params = self.kernel.params();
            (0..params.len())
                .filter(|&k| !params[k].fixed && params[k].transform.forward(params[k].value).is_finite())
                .collect()
        };
        let start: Vec<f64> = layers.iter().flat_map(|layer| layer.pack(&free)).collect();
        let bounds: Vec<(f64, f64)> = layers.iter().flat_map(|layer| layer.bounds(&free)).collect();
        let evaluate = |z: &[f64]| {
            let mut moved = layers.clone();
            match unpack(&mut moved, &free, z).and_then(|()| objective(&moved, &free, &data, self.ridge)) {
                Ok(found) => found,
                Err(_) => (f64::INFINITY, vec![0.0; z.len()]),
            }
        };
        let watch = |i| progress.step("a kernel flow", i, self.max_iterations);
        let ControlFlow::Continue(found) = minimise(evaluate, &start, &bounds, self.max_iterations, watch)
        else {
            return Err(kernels_core::Error::Cancelled.into());
        };
        unpack(&mut layers, &free, &found.x)?;
        Ok(KernelFlowModel { version: Version, mean, scale, layers, stop: found.stop })
    }

    /// Layers that change nothing, with auxiliary points from the data.
    fn start(&self, data: &DMatrix<f64>) -> Result<Vec<Layer<K>>, Error> {
        let (n, p) = data.shape();
        let mut order: Vec<usize> = (0..p).collect();
        (0..self.layers)
            .map(|l| {
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(l as u64);
                match l {
                    0 => {}
                    _ if l % 2 == 1 => order.reverse(),
                    _ => order.shuffle(&mut rng),
                }
                let chosen = uniform_landmarks(n, self.auxiliary, self.seed.wrapping_add(l as u64));
                let first = data.select_columns(&order[..p / 2]).select_rows(&chosen);
                let coupling = AffineCoupling::identity(self.kernel.clone(), &Rows::new(&first), p - p / 2)?;
                Ok(Layer { order: order.clone(), coupling })
            })
            .collect()
    }
}

/// A coupling of the columns in another order.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Layer<K> {
    order: Vec<usize>,
    coupling: AffineCoupling<K>,
}

impl<K> Layer<K> {
    fn arranged(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        x.select_columns(&self.order)
    }

    fn back(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        let mut out = x.clone();
        for (k, &j) in self.order.iter().enumerate() {
            out.set_column(j, &x.column(k));
        }
        out
    }
}

impl<K: Describe> Layer<K> {
    /// All that is fitted: A_s, A_t, Z, and free kernel parameters on the optimiser's scale.
    fn pack(&self, free: &[usize]) -> Vec<f64> {
        let c = &self.coupling;
        let params = c.kernel.params();
        let of_kernel = free.iter().map(|&k| params[k].transform.forward(params[k].value));
        let points = c.auxiliary.to_matrix();
        c.scale.iter().chain(&c.shift).chain(&points).copied().chain(of_kernel).collect()
    }

    fn bounds(&self, free: &[usize]) -> Vec<(f64, f64)> {
        let c = &self.coupling;
        let params = c.kernel.params();
        let anywhere = c.scale.len() + c.shift.len() + c.auxiliary.as_slice().len();
        let of_kernel = free.iter().map(|&k| {
            let (low, high, to) = (params[k].bounds.0, params[k].bounds.1, params[k].transform);
            // A start outside the bounds widens them: the user chose it.
            (to.forward(low.min(params[k].value)), to.forward(high.max(params[k].value)))
        });
        std::iter::repeat_n((-1e6, 1e6), anywhere).chain(of_kernel).collect()
    }
}

/// The inverse of [`Layer::pack`], for all layers.
fn unpack<K: Describe>(layers: &mut [Layer<K>], free: &[usize], mut z: &[f64]) -> Result<(), Error> {
    for layer in layers {
        let c = &mut layer.coupling;
        let (m, d) = (kernels_core::Points::len(&c.auxiliary), c.auxiliary.dim());
        let mut take = |count: usize| {
            let (head, rest) = z.split_at(count);
            z = rest;
            head
        };
        let width = c.scale.ncols();
        c.scale.copy_from_slice(take(m * width));
        c.shift.copy_from_slice(take(m * width));
        c.auxiliary = Rows::new(&DMatrix::from_column_slice(m, d, take(m * d)));
        let mut params = c.kernel.params();
        for (&k, &value) in free.iter().zip(take(free.len())) {
            params[k].value = params[k].transform.inverse(value);
        }
        let values: Vec<f64> = params.iter().map(|p| p.value).collect();
        c.kernel.set_params(&values)?;
    }
    Ok(())
}

/// What a layer's derivatives need of the way there.
struct Passage {
    points: Rows<f64>,
    features: DMatrix<f64>,
    stretch: DMatrix<f64>,
    stretched: DMatrix<f64>,
}

/// −(1/n) Σ ln p without its constant, plus the penalty, and derivatives in the order of [`Layer::pack`].
fn objective<K: Kernel<Rows<f64>> + PositiveDefinite>(
    layers: &[Layer<K>],
    free: &[usize],
    data: &DMatrix<f64>,
    ridge: f64,
) -> Result<(f64, Vec<f64>), Error> {
    let n = data.nrows() as f64;
    let mut at = data.clone();
    let (mut value, mut way) = (0.0, Vec::with_capacity(layers.len()));
    for layer in layers {
        let c = &layer.coupling;
        let mut arranged = layer.arranged(&at);
        let (features, b) = c.split(&arranged)?;
        let s = &features * &c.scale;
        let stretch = s.map(f64::exp);
        let stretched = b.component_mul(&stretch);
        let image = &stretched + &features * &c.shift;
        value += 0.5 * ridge * (c.scale.norm_squared() + c.shift.norm_squared()) - s.sum() / n;
        let first = c.auxiliary.dim();
        let points = Rows::new(&arranged.columns(0, first).into_owned());
        arranged.columns_mut(first, image.ncols()).copy_from(&image);
        at = layer.back(&arranged);
        way.push(Passage { points, features, stretch, stretched });
    }
    value += 0.5 * at.norm_squared() / n;
    let mut slope = at / n;
    let mut gradients = Vec::with_capacity(layers.len());
    let mut ws = Workspace::new();
    for (layer, passage) in layers.iter().zip(&way).rev() {
        let c = &layer.coupling;
        let mut arranged = layer.arranged(&slope);
        let first = c.auxiliary.dim();
        let of_image = arranged.columns(first, c.scale.ncols()).into_owned();
        let mut of_scale = of_image.component_mul(&passage.stretched);
        of_scale.add_scalar_mut(-1.0 / n);
        let of_features = &of_scale * c.scale.transpose() + &of_image * c.shift.transpose();
        let (rows, m) = of_features.shape();
        let mut by_points = DMatrix::zeros(m, first);
        let mut jet = Jet::new(first, false);
        for i in 0..rows {
            for j in 0..m {
                let (x, z) = (row(&passage.points, i), row(&c.auxiliary, j));
                if !c.kernel.jet(x, z, &mut jet) {
                    return Err(kernels_core::Error::NotDifferentiable { order: 1 }.into());
                }
                let weight = of_features[(i, j)];
                for k in 0..first {
                    arranged[(i, k)] += weight * jet.by_x()[k];
                    by_points[(j, k)] += weight * jet.by_y()[k];
                }
            }
        }
        arranged.columns_mut(first, of_image.ncols()).copy_from(&of_image.component_mul(&passage.stretch));
        slope = layer.back(&arranged);
        let params = c.kernel.params();
        let mut by_kernel = vec![0.0; params.len()];
        let at = Block::between(&passage.points, 0..rows, &c.auxiliary, 0..m)?;
        c.kernel.block_gradient(&at, of_features.as_view(), &mut by_kernel, &mut ws);
        let by_scale = passage.features.tr_mul(&of_scale) + &c.scale * ridge;
        let by_shift = passage.features.tr_mul(&of_image) + &c.shift * ridge;
        let of_kernel = free.iter().map(|&k| by_kernel[k] * params[k].transform.slope(params[k].value));
        let all = by_scale.iter().chain(&by_shift).chain(&by_points).copied().chain(of_kernel);
        gradients.push(all.collect::<Vec<f64>>());
    }
    gradients.reverse();
    Ok((value, gradients.concat()))
}

fn row(points: &Rows<f64>, i: usize) -> &[f64] {
    kernels_core::Points::point(points, i)
}

/// A fitted flow: an invertible map of samples to standard normal ones.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KernelFlowModel<K> {
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "only stored models need it"))]
    version: Version,
    mean: RowDVector<f64>,
    scale: RowDVector<f64>,
    layers: Vec<Layer<K>>,
    stop: Stop,
}

impl<K> KernelFlowModel<K> {
    /// Why the fit ended.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// The couplings, first to last, and the order of the columns that each has.
    pub fn couplings(&self) -> impl Iterator<Item = (&[usize], &AffineCoupling<K>)> {
        self.layers.iter().map(|layer| (layer.order.as_slice(), &layer.coupling))
    }
}

impl<K: Kernel<Rows<f64>> + PositiveDefinite> KernelFlowModel<K> {
    /// Images, and ln|det| of the derivative, of rows.
    ///
    /// # Errors
    /// Rows of another dimension, or not finite.
    pub fn forward(&self, x: &DMatrix<f64>) -> Result<(DMatrix<f64>, DVector<f64>), Error> {
        self.checked(x)?;
        let mut at =
            DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| (x[(i, j)] - self.mean[j]) / self.scale[j]);
        let shrunk: f64 = self.scale.iter().map(|s| s.ln()).sum();
        let mut ln_det = DVector::repeat(x.nrows(), -shrunk);
        for layer in &self.layers {
            let (image, more) = layer.coupling.forward(&layer.arranged(&at))?;
            at = layer.back(&image);
            ln_det += more;
        }
        Ok((at, ln_det))
    }

    /// What [`KernelFlowModel::forward`] maps to these rows.
    ///
    /// # Errors
    /// As [`KernelFlowModel::forward`].
    pub fn inverse(&self, z: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        self.checked(z)?;
        let mut at = z.clone();
        for layer in self.layers.iter().rev() {
            at = layer.back(&layer.coupling.inverse(&layer.arranged(&at))?);
        }
        Ok(DMatrix::from_fn(z.nrows(), z.ncols(), |i, j| at[(i, j)] * self.scale[j] + self.mean[j]))
    }

    /// Log density of rows.
    ///
    /// # Errors
    /// As [`KernelFlowModel::forward`].
    pub fn log_likelihood(&self, x: &DMatrix<f64>) -> Result<DVector<f64>, Error> {
        let (z, ln_det) = self.forward(x)?;
        let constant = 0.5 * z.ncols() as f64 * std::f64::consts::TAU.ln();
        Ok(DVector::from_fn(z.nrows(), |i, _| ln_det[i] - 0.5 * z.row(i).norm_squared() - constant))
    }

    /// New samples, as many as asked for.
    ///
    /// # Errors
    /// Samples that are not finite, of a flow that stretches them too far.
    pub fn sample(&self, count: usize, seed: u64) -> Result<DMatrix<f64>, Error> {
        let mut z = DMatrix::zeros(count, self.mean.len());
        for (i, mut row) in z.row_iter_mut().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i as u64);
            row.iter_mut().for_each(|v| *v = StandardNormal.sample(&mut rng));
        }
        let samples = self.inverse(&z)?;
        finite("sample", samples.as_slice(), count.max(1))?;
        Ok(samples)
    }

    fn checked(&self, x: &DMatrix<f64>) -> Result<(), Error> {
        let p = self.mean.len();
        expect("columns of a sample", p, x.ncols())?;
        // A stored model may have been changed by hand.
        expect("scales of the columns", p, self.scale.len())?;
        for layer in &self.layers {
            expect("columns of a layer", p, layer.order.len())?;
            if let Some(&given) = layer.order.iter().find(|j| **j >= p) {
                let what = "column of a layer (below)";
                return Err(kernels_core::Error::Shape { what, expected: p, given }.into());
            }
        }
        finite("sample", x.as_slice(), x.nrows().max(1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kernels_core::Matern;

    use super::*;

    /// Derivatives of the objective by central differences, at a place where nothing is 0.
    #[test]
    fn derivatives() {
        let data = DMatrix::from_fn(7, 3, |i, j| ((i * 3 + j * 5) as f64).sin());
        let kernel = 0.7 * Matern::new(2.5, 1.3).unwrap();
        let flow = KernelFlow::new(kernel).layers(3).auxiliary(2).seed(3);
        let mut layers = flow.start(&data).unwrap();
        let free: Vec<usize> = (0..flow.kernel.params().len()).collect();
        let at: Vec<f64> = layers.iter().flat_map(|l| l.pack(&free)).collect();
        let at: Vec<f64> = at.iter().enumerate().map(|(k, v)| v + 0.1 * (k as f64).cos()).collect();
        let mut value = |z: &[f64]| {
            unpack(&mut layers, &free, z).unwrap();
            objective(&layers, &free, &data, 0.1).unwrap()
        };
        let (_, gradient) = value(&at);
        assert_eq!(gradient.len(), at.len());
        for k in 0..at.len() {
            let mut moved = at.clone();
            moved[k] = at[k] + 1e-5;
            let above = value(&moved).0;
            moved[k] = at[k] - 1e-5;
            let slope = (above - value(&moved).0) / 2e-5;
            // Central differences of step 1e-5: 1e-10 of curvature, 1e-11 of rounding.
            assert!((slope - gradient[k]).abs() < 1e-8, "{k}: {slope} {}", gradient[k]);
        }
    }
}
