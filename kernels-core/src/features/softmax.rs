//! Positive random features of the softmax kernel e^⟨x,y⟩.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixViewMut};
use rand_distr::{Distribution, StandardNormal};

use super::{FeatureMap, check_count, check_dim, orthogonal, stream};
use crate::{
    Error, Points, Real, Rows, Tile, Vector, Workspace,
    engine::{Waves, allocate, for_each_rows, project},
};

/// Positive features of the softmax kernel e^⟨x,y⟩ (attention without its 1/√d: fold d^(−1/4) into queries and keys), all unbiased:
///
/// - [`SoftmaxFeatures::positive`]: e^(ω·x − |x|²/2)/√m, variance SM² (e^|x+y|² − 1)/m with SM = e^⟨x,y⟩;
/// - [`SoftmaxFeatures::hyperbolic`]: the same of ω and −ω over √(2m), never worse;
/// - [`SoftmaxFeatures::optimal`]: e^(A|ω|² + √(1−4A) ω·x − |x|²/2) (1−4A)^(d/4)/√m with the A of least variance for pairs of
///   mean |x+y|².
///
/// Reference: Choromanski et al., *Rethinking attention with Performers* (2021); Likhosherstov et al., *Chefs' random tables*
/// (2022) for the optimal form.
///
/// ```
/// use kernels_core::{Rows, SoftmaxFeatures, features};
/// let map = SoftmaxFeatures::positive(2, 4000, 7)?;
/// let xs = Rows::from_row_major(vec![0.3, 0.1, 0.2, -0.4], 2, 2)?;
/// let z = features(&map, &xs)?;
/// let exact = (0.3_f64 * 0.2 - 0.1 * 0.4).exp();
/// assert!(z.min() > 0.0 && (z.row(0).dot(&z.row(1)) - exact).abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxFeatures {
    directions: Vec<f64>,
    /// Added to the exponent of each direction.
    offsets: Vec<f64>,
    both: bool,
    count: usize,
    dim: usize,
}

impl SoftmaxFeatures {
    /// `count` positive features of independent normal directions.
    ///
    /// # Errors
    /// [`Error::TooFewPoints`] for no features.
    pub fn positive(dim: usize, count: usize, seed: u64) -> Result<Self, Error> {
        Self::from_directions(&normal(dim, count, seed), count, dim)
    }

    /// `count` directions with their opposites: 2 · `count` features.
    ///
    /// # Errors
    /// As [`SoftmaxFeatures::positive`].
    pub fn hyperbolic(dim: usize, count: usize, seed: u64) -> Result<Self, Error> {
        let mut map = Self::positive(dim, count, seed)?;
        map.both = true;
        map.offsets.iter_mut().for_each(|c| *c -= 0.5 * 2.0_f64.ln());
        Ok(map)
    }

    /// `count` features of least variance for pairs whose mean squared norm of x + y is `mean_square`.
    ///
    /// # Errors
    /// As [`SoftmaxFeatures::positive`]; [`Error::Parameter`] when the mean is negative or not finite.
    pub fn optimal(dim: usize, count: usize, mean_square: f64, seed: u64) -> Result<Self, Error> {
        let a = Self::optimal_parameter(dim, mean_square)?;
        let mut map = Self::positive(dim, count, seed)?;
        let scale = (1.0 - 4.0 * a).sqrt();
        for (j, offset) in map.offsets.iter_mut().enumerate() {
            let direction = &mut map.directions[j * dim..(j + 1) * dim];
            *offset += a * direction.iter().map(|w| w * w).sum::<f64>() + 0.5 * dim as f64 * scale.ln();
            direction.iter_mut().for_each(|w| *w *= scale);
        }
        Ok(map)
    }

    /// The A of [`SoftmaxFeatures::optimal`], at most 0: (1 − 1/ρ)/8 with ρ = (√((2φ+d)² + 8dφ) − 2φ − d)/(4φ).
    ///
    /// # Errors
    /// [`Error::Parameter`] when the mean is negative or not finite.
    pub fn optimal_parameter(dim: usize, mean_square: f64) -> Result<f64, Error> {
        let phi = crate::describe::non_negative("mean_square", mean_square)?;
        let d = dim as f64;
        if phi <= 0.0 || dim == 0 {
            return Ok(0.0);
        }
        // The difference of the root and 2φ + d, without cancellation.
        let sum = 2.0 * phi + d;
        let rho = 2.0 * d / ((sum * sum + 8.0 * d * phi).sqrt() + sum);
        Ok((1.0 - 1.0 / rho) / 8.0)
    }

    /// Positive features of your own directions, `count` rows of `dim` values.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are not `count · dim` values; [`Error::TooFewPoints`] for no directions.
    pub fn from_directions(directions: &[f64], count: usize, dim: usize) -> Result<Self, Error> {
        check_count("a softmax map (features)", count)?;
        let expected = count.saturating_mul(dim);
        if directions.len() != expected {
            let what = "values of the directions (count * dim)";
            return Err(Error::Shape { what, expected, given: directions.len() });
        }
        let offsets = vec![-0.5 * (count as f64).ln(); count];
        Ok(Self { directions: directions.to_vec(), offsets, both: false, count, dim })
    }

    /// Positive features whose directions are orthogonal in blocks of d: of lower variance.
    ///
    /// # Errors
    /// As [`SoftmaxFeatures::positive`].
    pub fn orthogonal(dim: usize, count: usize, seed: u64) -> Result<Self, Error> {
        let mut directions = normal(dim, count, seed);
        let mut block = Vec::new();
        for (j, row) in directions.chunks_exact_mut(dim.max(1)).enumerate() {
            if j % dim == 0 {
                block = orthogonal::directions(dim, &mut stream(seed, (1 << 63) | (j / dim) as u64));
            }
            let length = orthogonal::norm(row);
            row.iter_mut().zip(&block[j % dim * dim..]).for_each(|(w, u)| *w = length * u);
        }
        Self::from_directions(&directions, count, dim)
    }

    /// Features of queries, each row divided by its largest value: what [`linear_attention`](crate::linear_attention) does not notice, and
    /// what keeps long rows within the range of numbers.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows of another length; [`Error::Memory`].
    pub fn queries<T: Real>(&self, xs: &Rows<T>) -> Result<DMatrix<T>, Error> {
        let mut z = self.exponents(xs)?;
        for mut row in z.row_iter_mut() {
            let largest = row.max();
            row.iter_mut().for_each(|v| *v = (*v - largest).exp());
        }
        Ok(z)
    }

    /// Features of keys, divided by the largest value of all.
    ///
    /// # Errors
    /// As [`SoftmaxFeatures::queries`].
    pub fn keys<T: Real>(&self, xs: &Rows<T>) -> Result<DMatrix<T>, Error> {
        let mut z = self.exponents(xs)?;
        if !z.is_empty() {
            let largest = z.max();
            z.apply(|v| *v = (*v - largest).exp());
        }
        Ok(z)
    }

    fn exponents<T: Real>(&self, xs: &Rows<T>) -> Result<DMatrix<T>, Error> {
        FeatureMap::<Rows<T>>::check(self, xs)?;
        let mut out = allocate(xs.len(), FeatureMap::<Rows<T>>::dim(self))?;
        for_each_rows(out.as_view_mut(), |rows, out, ws| self.fill(xs, rows, out, ws, false));
        Ok(out)
    }

    fn fill<T: Real>(
        &self,
        xs: &Rows<T>,
        rows: Range<usize>,
        out: DMatrixViewMut<'_, T>,
        ws: &mut Workspace<T>,
        exponentiate: bool,
    ) {
        let mut numbers = ws.take(rows.len());
        for (number, i) in numbers.iter_mut().zip(rows.clone()) {
            *number = T::of(-0.5 * xs.point(i).iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>());
        }
        let directions = (&self.directions[..], self.count);
        let offsets = &self.offsets[..];
        if self.both {
            project(xs, rows, directions, &numbers, &Exponentials::<2> { offsets, exponentiate }, out, ws);
        } else {
            project(xs, rows, directions, &numbers, &Exponentials::<1> { offsets, exponentiate }, out, ws);
        }
        ws.give(numbers);
    }
}

fn normal(dim: usize, count: usize, seed: u64) -> Vec<f64> {
    let mut all = vec![0.0; count.saturating_mul(dim)];
    for (j, row) in all.chunks_exact_mut(dim.max(1)).enumerate() {
        let mut rng = stream(seed, j as u64);
        row.iter_mut().for_each(|w| *w = StandardNormal.sample(&mut rng));
    }
    all
}

/// e^(±t + row + offset), or its exponent.
struct Exponentials<'a, const OUTPUTS: usize> {
    offsets: &'a [f64],
    exponentiate: bool,
}

impl<T: Real, const OUTPUTS: usize> Waves<T> for Exponentials<'_, OUTPUTS> {
    const OUTPUTS: usize = OUTPUTS;
    #[inline(always)]
    fn features<V: Vector<Scalar = T>>(&self, j: usize, inner: V, row: V) -> [V; 2] {
        let base = row + V::splat(self.offsets[j]);
        let (plus, minus) = (base + inner, base - inner);
        if self.exponentiate { [plus.exp(), minus.exp()] } else { [plus, minus] }
    }
}

impl<T: Real> FeatureMap<Rows<T>> for SoftmaxFeatures {
    fn dim(&self) -> usize {
        if self.both { 2 * self.count } else { self.count }
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        self.fill(xs, rows, out, ws, true);
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}
