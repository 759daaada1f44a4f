//! Universal random features of network layers: scalable neural network kernels.

use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use rustfft::num_complex::Complex;

use super::{check_count, check_dim, stream};
use crate::{Error, Points, Rows};

/// A layer f(⟨x,w⟩ + b) with inputs and weights apart: f(⟨x,w⟩ + b) = E ⟨Φ(x), Ψ(w,b)⟩, so that a layer of many neurons, or weights too
/// large to look at one by one, becomes a product of two feature matrices.
///
/// The activation is given by its Fourier representation f(u) = Re Σₛ aₛ e^(2πi ξₛ u) (draws of the spectrum, or a quadrature of it). Each
/// e^(z⟨x,w⟩), z = 2πi ξ, is linearised by E e^(√z g·x − z|x|²/2) e^(√z g·w − z|w|²/2) over normal g, which is exact for complex z too.
/// The variance grows with e^(2π|ξ||x+w|²): for inputs and weights of moderate norm and low frequencies.
///
/// Reference: Sehanobish, Choromanski, Zhao, Dubey & Likhosherstov, *Scalable neural network kernels* (2024).
///
/// ```
/// use kernels_core::{Rows, UniversalFeatures};
/// // f(u) = cos(2π 0.05 u)
/// let map = UniversalFeatures::new(&[(0.05, 1.0, 0.0)], 2, 20_000, 7)?;
/// let x = Rows::from_row_major(vec![0.5, -0.3], 1, 2)?;
/// let w = Rows::from_row_major(vec![0.2, 0.8], 1, 2)?;
/// let f = map.inputs(&x)? * map.weights(&w, &[0.4])?.transpose();
/// let exact = (2.0 * std::f64::consts::PI * 0.05 * (0.5 * 0.2 - 0.3 * 0.8 + 0.4)).cos();
/// assert!((f[(0, 0)] - exact).abs() < 0.05);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UniversalFeatures {
    /// (ξ, Re a, Im a).
    spectrum: Vec<(f64, f64, f64)>,
    /// For each frequency, `count` directions of `dim` values.
    directions: Vec<f64>,
    count: usize,
    dim: usize,
}

impl UniversalFeatures {
    /// The map for the activation Re Σ a e^(2πi ξ u) of `spectrum` = (ξ, Re a, Im a), with `count` directions a frequency.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no frequencies or directions, [`Error::NotFinite`].
    pub fn new(spectrum: &[(f64, f64, f64)], dim: usize, count: usize, seed: u64) -> Result<Self, Error> {
        check_count("a universal map (frequencies)", spectrum.len())?;
        check_count("a universal map (directions)", count)?;
        for (row, s) in spectrum.iter().enumerate() {
            for (column, value) in [s.0, s.1, s.2].into_iter().enumerate() {
                if !value.is_finite() {
                    return Err(Error::NotFinite { row, column, value });
                }
            }
        }
        let mut directions = vec![0.0; spectrum.len() * count * dim];
        for (j, row) in directions.chunks_exact_mut(dim.max(1)).enumerate() {
            let mut rng = stream(seed, j as u64);
            row.iter_mut().for_each(|w| *w = StandardNormal.sample(&mut rng));
        }
        Ok(Self { spectrum: spectrum.to_vec(), directions, count, dim })
    }

    /// Number of features: two for each frequency and direction.
    pub fn n_features(&self) -> usize {
        2 * self.spectrum.len() * self.count
    }

    /// Φ of inputs, n × features.
    ///
    /// # Errors
    /// [`Error::Shape`] for points of another number of features.
    pub fn inputs(&self, xs: &Rows<f64>) -> Result<DMatrix<f64>, Error> {
        self.map(xs, |s, _| Complex::new(s.1, s.2), 1.0)
    }

    /// Ψ of neurons with these weights and biases, one row each.
    ///
    /// # Errors
    /// [`Error::Shape`] for weights of another number of features, or not one bias a neuron.
    pub fn weights(&self, ws: &Rows<f64>, biases: &[f64]) -> Result<DMatrix<f64>, Error> {
        if biases.len() != ws.len() {
            return Err(Error::Shape {
                what: "biases (one a neuron)",
                expected: ws.len(),
                given: biases.len(),
            });
        }
        // Re(A B) = Re A Re B − Im A Im B.
        self.map(ws, |s, i| Complex::from_polar(1.0, 2.0 * std::f64::consts::PI * s.0 * biases[i]), -1.0)
    }

    fn map(
        &self,
        xs: &Rows<f64>,
        factor: impl Fn(&(f64, f64, f64), usize) -> Complex<f64>,
        conjugate: f64,
    ) -> Result<DMatrix<f64>, Error> {
        check_dim(self.dim, xs.dim())?;
        let mut out = DMatrix::zeros(xs.len(), self.n_features());
        let half = out.ncols() / 2;
        let scale = (1.0 / self.count as f64).sqrt();
        for i in 0..xs.len() {
            let x = xs.point(i);
            let square: f64 = x.iter().map(|v| v * v).sum();
            for (s, frequency) in self.spectrum.iter().enumerate() {
                let z = Complex::new(0.0, 2.0 * std::f64::consts::PI * frequency.0);
                let (root, factor) = (z.sqrt(), factor(frequency, i) * scale);
                for j in s * self.count..(s + 1) * self.count {
                    let g = &self.directions[j * self.dim..(j + 1) * self.dim];
                    let along: f64 = x.iter().zip(g).map(|(a, b)| a * b).sum();
                    let value = factor * (root * along - z * (0.5 * square)).exp();
                    out[(i, j)] = value.re;
                    out[(i, half + j)] = conjugate * value.im;
                }
            }
        }
        Ok(out)
    }
}
