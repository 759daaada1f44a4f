//! Explicit features by the Taylor series of the Gaussian kernel.

use std::ops::Range;

use super::{FeatureMap, check_dim};
use crate::{Error, LengthScale, Points, Rbf, Real, Rows, Tile, Workspace};

/// The Taylor features of the Gaussian kernel up to degree T, with x in units of the length scale: e^(−|x|²/2) xᵃ/√(a!) for all
/// exponents a of degree |a| ≤ T. Not random: ⟨φ(x), φ(y)⟩ = e^(−(|x|²+|y|²)/2) Σⱼ≤T ⟨x,y⟩ʲ/j!, whose error is at most
/// (|x||y|)^(T+1)/(T+1)!.
///
/// There are C(d + T, T) features: for few dimensions or low degrees.
///
/// Reference: Cotter, Keshet & Srebro, *Explicit approximations of the Gaussian kernel* (2011).
///
/// ```
/// use kernels_core::{Kernel, Rbf, Rows, TaylorFeatures, features};
/// let kernel = Rbf::new(1.0)?;
/// let map = TaylorFeatures::new(&kernel, 2, 8)?;
/// let z = features(&map, &Rows::from_row_major(vec![0.3, 0.1, 0.2, -0.4], 2, 2)?)?;
/// let exact: f64 = kernel.eval(&[0.3, 0.1], &[0.2, -0.4]);
/// assert!((z.row(0).dot(&z.row(1)) - exact).abs() < 1e-9);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TaylorFeatures {
    /// Each monomial but the first is an earlier one times a coordinate times a number.
    steps: Vec<(usize, usize, f64)>,
    inverse_lengths: Vec<f64>,
    dim: usize,
}

impl TaylorFeatures {
    /// The features up to `degree` for points of `dim` features.
    ///
    /// # Errors
    /// [`Error::Shape`] when the kernel has another number of length scales, [`Error::Memory`] for more than 10⁷ features.
    pub fn new(kernel: &Rbf, dim: usize, degree: usize) -> Result<Self, Error> {
        let scale: &LengthScale = kernel.length_scale();
        scale.check(dim)?;
        let mut count = 1.0;
        (1..=degree).for_each(|j| count *= (dim + j) as f64 / j as f64);
        if count > 1e7 {
            let needed = (count * 24.0).min(usize::MAX as f64) as usize;
            return Err(Error::Memory { what: "Taylor features", needed, available: 240_000_000 });
        }
        // (index, last coordinate, its exponent) of the monomials of one degree; coordinates never fall.
        let mut layer = vec![(0, 0, 0)];
        let mut steps = Vec::new();
        for _ in 0..degree {
            let mut next = Vec::new();
            for (index, last, exponent) in layer {
                for coordinate in last..dim {
                    let power = if coordinate == last { exponent + 1 } else { 1 };
                    steps.push((index, coordinate, 1.0 / f64::from(power).sqrt()));
                    next.push((steps.len(), coordinate, power));
                }
            }
            layer = next;
        }
        let lengths = scale.values();
        let inverse_lengths = (0..dim).map(|k| 1.0 / lengths[k.min(lengths.len() - 1)]).collect();
        Ok(Self { steps, inverse_lengths, dim })
    }
}

impl<T: Real> FeatureMap<Rows<T>> for TaylorFeatures {
    fn dim(&self) -> usize {
        self.steps.len() + 1
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let (mut point, mut values) = (vec![0.0; self.dim], vec![0.0; self.steps.len() + 1]);
        for (i, r) in rows.enumerate() {
            point
                .iter_mut()
                .zip(xs.point(r))
                .zip(&self.inverse_lengths)
                .for_each(|((p, x), l)| *p = x.to_f64() * l);
            let square: f64 = point.iter().map(|p| p * p).sum();
            values[0] = (-0.5 * square).exp();
            for (k, &(parent, coordinate, factor)) in self.steps.iter().enumerate() {
                // Far out all is 0, also where the coordinate is infinite against it.
                let value = values[parent] * point[coordinate] * factor;
                values[k + 1] = if values[0] == 0.0 { 0.0 } else { value };
            }
            values.iter().enumerate().for_each(|(j, value)| out[(i, j)] = T::of(*value));
        }
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}
