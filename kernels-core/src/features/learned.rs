//! Random Fourier features whose spectrum is learned: the kernel itself is fitted to a loss.

use nalgebra::DMatrix;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

use super::{RandomFourier, check_count, check_dim, features, stream};
use crate::{Error, Points, Rows, describe::positive};

/// Fourier features of a stationary kernel with a learned spectrum. Frequencies are functions of parameters and of draws ε that stay as they
/// are, so that any loss of the features has a gradient by the parameters (reparametrisation).
///
/// - [`LearnedFourier::mixture`]: a Gaussian mixture, ω = μ_c + σ_c ∘ ε: parameters are the means and the logarithms of the deviations
///   of C components that share the frequencies equally, C · 2d numbers;
/// - [`LearnedFourier::fastfood`]: the rows of (1/√p) S H G Π H B with learned diagonals S, G, B, 3p numbers a block of p
///   frequencies, p the next power of two from d.
///
/// Reference: Chowdhury, Solomou, Dubey & Sachan, *On learning the transformer kernel* (2022); Yang et al., *À la carte: learning fast
/// kernels* (2015).
///
/// ```
/// use kernels_core::{LearnedFourier, Rows};
/// use nalgebra::DMatrix;
/// let xs = Rows::from_row_major((0..40).map(|i| i as f64 / 10.0).collect(), 40, 1)?;
/// // Make ⟨φ(xᵢ), φ(x₀)⟩ what cos 3(xᵢ − x₀) is.
/// let target: Vec<f64> = (0..40).map(|i| (0.3 * i as f64).cos()).collect();
/// let loss = |z: &DMatrix<f64>| {
///     let errors = z * z.row(0).transpose() - DMatrix::from_column_slice(40, 1, &target);
///     let mut gradient = &errors * z.row(0) * 2.0;
///     let first = gradient.row(0) + (z.transpose() * &errors * 2.0).transpose();
///     gradient.row_mut(0).copy_from(&first);
///     Ok((errors.norm_squared(), gradient))
/// };
/// let (fitted, losses) = LearnedFourier::mixture(1, 1, 16, 2.5, 7)?.fit(&xs, 100, 0.1, loss)?;
/// assert!(losses[99] < losses[0]);
/// # let _ = fitted;
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedFourier {
    spectrum: Spectrum,
    parameters: Vec<f64>,
    count: usize,
    dim: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Spectrum {
    /// D × d draws; frequency j belongs to component j mod C.
    Mixture { draws: Vec<f64>, components: usize },
    /// A permutation for each block of p frequencies.
    Fastfood { permutations: Vec<Vec<usize>>, padded: usize },
}

impl LearnedFourier {
    /// A mixture of `components` Gaussians for `frequencies` frequencies; means are drawn with deviation `scale`, all deviations start at
    /// `scale`.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no components or frequencies, [`Error::Parameter`] for a scale that is not finite and positive.
    pub fn mixture(
        dim: usize,
        components: usize,
        frequencies: usize,
        scale: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        check_count("a learned map (frequencies)", frequencies)?;
        check_count("a learned map (components)", components)?;
        let scale = positive("scale", scale)?;
        let mut rng = stream(seed, 0);
        let mut normal = |n: usize| -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
        let mut parameters: Vec<f64> = normal(components * dim).into_iter().map(|m| scale * m).collect();
        parameters.extend(vec![scale.ln(); components * dim]);
        let draws = normal(frequencies * dim);
        Ok(Self { spectrum: Spectrum::Mixture { draws, components }, parameters, count: frequencies, dim })
    }

    /// Fastfood with learned diagonals for at least `frequencies` frequencies (whole blocks of p); it starts as that of a Gaussian kernel
    /// with length scale 1/`scale`.
    ///
    /// # Errors
    /// As [`LearnedFourier::mixture`].
    pub fn fastfood(dim: usize, frequencies: usize, scale: f64, seed: u64) -> Result<Self, Error> {
        check_count("a learned map (frequencies)", frequencies)?;
        let scale = positive("scale", scale)?;
        let padded = dim.max(1).next_power_of_two();
        let (mut permutations, mut parameters) = (Vec::new(), Vec::new());
        for block in 0..frequencies.div_ceil(padded) {
            let mut rng = stream(seed, block as u64);
            let mut normal =
                |n: usize| -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
            let (g, b) = (normal(padded), normal(padded));
            let size = super::orthogonal::norm(&g);
            let s = (0..padded).map(|_| scale * super::orthogonal::norm(&normal(padded)) / size);
            parameters.extend(s);
            parameters.extend(g);
            parameters.extend(b.into_iter().map(f64::signum));
            let mut permutation: Vec<usize> = (0..padded).collect();
            permutation.shuffle(&mut rng);
            permutations.push(permutation);
        }
        let count = permutations.len() * padded;
        Ok(Self { spectrum: Spectrum::Fastfood { permutations, padded }, parameters, count, dim })
    }

    /// The parameters: means then logarithms of deviations, component by component; or S, G, B, block by block.
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// The same draws with other parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of them, [`Error::NotFinite`].
    pub fn with_parameters(self, parameters: &[f64]) -> Result<Self, Error> {
        if parameters.len() != self.parameters.len() {
            let (expected, given) = (self.parameters.len(), parameters.len());
            return Err(Error::Shape { what: "number of parameter values", expected, given });
        }
        if let Some(row) = parameters.iter().position(|p| !p.is_finite()) {
            return Err(Error::NotFinite { row, column: 0, value: parameters[row] });
        }
        Ok(Self { parameters: parameters.to_vec(), ..self })
    }

    /// The features with the present parameters.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when parameters have grown beyond the range of numbers.
    pub fn map(&self) -> Result<RandomFourier, Error> {
        RandomFourier::from_frequencies(&self.frequencies(), self.count, self.dim)
    }

    fn frequencies(&self) -> Vec<f64> {
        let d = self.dim;
        let mut all = vec![0.0; self.count * d];
        match &self.spectrum {
            Spectrum::Mixture { draws, components } => {
                let (means, deviations) = self.parameters.split_at(components * d);
                for (j, row) in all.chunks_exact_mut(d.max(1)).enumerate() {
                    for (k, w) in row.iter_mut().enumerate() {
                        let at = j % components * d + k;
                        *w = means[at] + deviations[at].exp() * draws[j * d + k];
                    }
                }
            }
            Spectrum::Fastfood { permutations, padded } => {
                for (block, permutation) in permutations.iter().enumerate() {
                    for k in 0..d {
                        let chain = self.chain(block, permutation, *padded, k);
                        for (i, w) in chain.last.iter().enumerate() {
                            all[(block * padded + i) * d + k] = *w;
                        }
                    }
                }
            }
        }
        all
    }

    fn diagonals(&self, block: usize, padded: usize) -> [&[f64]; 3] {
        std::array::from_fn(|i| &self.parameters[(3 * block + i) * padded..][..padded])
    }

    /// Column k of (1/√p) S H G Π H B, with what its derivatives need.
    fn chain(&self, block: usize, permutation: &[usize], padded: usize, k: usize) -> Chain {
        let [s, g, b] = self.diagonals(block, padded);
        let mut first = vec![0.0; padded];
        first[k] = b[k];
        hadamard(&mut first);
        let permuted: Vec<f64> = permutation.iter().map(|&i| first[i]).collect();
        let mut second: Vec<f64> = permuted.iter().zip(g).map(|(v, g)| v * g).collect();
        hadamard(&mut second);
        let root = (padded as f64).sqrt();
        let last = second.iter().zip(s).map(|(v, s)| v * s / root).collect();
        Chain { permuted, second, last }
    }

    /// The gradient of a loss by the parameters, from its gradient by the features of `xs`, n × 2D (cosines, then sines).
    ///
    /// # Errors
    /// [`Error::Shape`] when sizes do not fit; as [`LearnedFourier::map`].
    pub fn gradient(&self, xs: &Rows<f64>, by_features: &DMatrix<f64>) -> Result<Vec<f64>, Error> {
        check_dim(self.dim, xs.dim())?;
        let z = features(&self.map()?, xs)?;
        self.pull_back(xs, &z, by_features)
    }

    fn pull_back(&self, xs: &Rows<f64>, z: &DMatrix<f64>, by_z: &DMatrix<f64>) -> Result<Vec<f64>, Error> {
        for (what, expected, given) in [
            ("rows of a gradient by features", z.nrows(), by_z.nrows()),
            ("columns of a gradient by features", z.ncols(), by_z.ncols()),
        ] {
            if expected != given {
                return Err(Error::Shape { what, expected, given });
            }
        }
        // d cos = −sin, d sin = cos; then ω enters by ⟨ω, x⟩.
        let by_angle = DMatrix::from_fn(xs.len(), self.count, |i, j| {
            z[(i, j)] * by_z[(i, self.count + j)] - z[(i, self.count + j)] * by_z[(i, j)]
        });
        let by_frequency = by_angle.tr_mul(&xs.to_matrix());
        let (d, mut gradient) = (self.dim, vec![0.0; self.parameters.len()]);
        match &self.spectrum {
            Spectrum::Mixture { draws, components } => {
                let half = components * d;
                for j in 0..self.count {
                    for k in 0..d {
                        let (at, slope) = (j % components * d + k, by_frequency[(j, k)]);
                        gradient[at] += slope;
                        gradient[half + at] += slope * draws[j * d + k] * self.parameters[half + at].exp();
                    }
                }
            }
            Spectrum::Fastfood { permutations, padded } => {
                let (p, root) = (*padded, (*padded as f64).sqrt());
                for (block, permutation) in permutations.iter().enumerate() {
                    let [s, g, _] = self.diagonals(block, p);
                    for k in 0..d {
                        let chain = self.chain(block, permutation, p, k);
                        let out = &mut gradient[3 * block * p..3 * (block + 1) * p];
                        let mut back: Vec<f64> = (0..p)
                            .map(|i| {
                                let slope = by_frequency[(block * p + i, k)] / root;
                                out[i] += slope * chain.second[i];
                                slope * s[i]
                            })
                            .collect();
                        hadamard(&mut back);
                        let mut unpermuted = vec![0.0; p];
                        for i in 0..p {
                            out[p + i] += back[i] * chain.permuted[i];
                            unpermuted[permutation[i]] = back[i] * g[i];
                        }
                        hadamard(&mut unpermuted);
                        out[2 * p + k] += unpermuted[k];
                    }
                }
            }
        }
        Ok(gradient)
    }

    /// Fits the parameters to `loss`, which returns its value and its gradient by the features of `xs`: `steps` steps of Adam of this `rate`
    /// (for all parameters). Returns the map of the least loss seen, and the loss before each step.
    ///
    /// Reference: Kingma & Ba, *Adam* (2015).
    ///
    /// # Errors
    /// What `loss` returns; [`Error::NotFinite`] when a loss or the parameters stop being finite; [`Error::Parameter`] for a rate that is not
    /// finite and positive; [`Error::Shape`] when sizes do not fit.
    pub fn fit(
        self,
        xs: &Rows<f64>,
        steps: usize,
        rate: f64,
        mut loss: impl FnMut(&DMatrix<f64>) -> Result<(f64, DMatrix<f64>), Error>,
    ) -> Result<(Self, Vec<f64>), Error> {
        const DECAY: (f64, f64) = (0.9, 0.999);
        let rate = positive("rate", rate)?;
        check_dim(self.dim, xs.dim())?;
        let (mut now, mut best, mut least) = (self.clone(), self, f64::INFINITY);
        let mut losses = Vec::with_capacity(steps);
        let (mut mean, mut square) = (vec![0.0; now.parameters.len()], vec![0.0; now.parameters.len()]);
        for step in 1..=steps {
            let z = features(&now.map()?, xs)?;
            let (value, by_z) = loss(&z)?;
            if !value.is_finite() {
                return Err(Error::NotFinite { row: step - 1, column: 0, value });
            }
            losses.push(value);
            if value < least {
                (best, least) = (now.clone(), value);
            }
            let gradient = now.pull_back(xs, &z, &by_z)?;
            let correction = (1.0 - DECAY.0.powi(step as i32), 1.0 - DECAY.1.powi(step as i32));
            let mut next = now.parameters.clone();
            for (i, slope) in gradient.iter().enumerate() {
                mean[i] = DECAY.0 * mean[i] + (1.0 - DECAY.0) * slope;
                square[i] = DECAY.1 * square[i] + (1.0 - DECAY.1) * slope * slope;
                next[i] -= rate * (mean[i] / correction.0) / ((square[i] / correction.1).sqrt() + 1e-12);
            }
            now = now.with_parameters(&next)?;
        }
        Ok((best, losses))
    }
}

struct Chain {
    permuted: Vec<f64>,
    second: Vec<f64>,
    last: Vec<f64>,
}

/// H v with entries ±1, in place.
fn hadamard(values: &mut [f64]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}
