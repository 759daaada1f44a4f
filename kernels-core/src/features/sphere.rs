//! Random features of zonal kernels on the sphere, by Gegenbauer polynomials.

use std::{f64::consts::PI, ops::Range};

use rand_distr::{Distribution, StandardNormal};

use super::{FeatureMap, check_count, check_dim, orthogonal::norm, stream};
use crate::{
    Error, Points, Real, Rows, Tile, Vector, Workspace,
    engine::{Waves, project},
};

/// Eigenvalues λ₀ … λ_L of the zonal kernel f(⟨x,y⟩) on the unit sphere of ℝᵈ with the uniform probability measure, each with its
/// multiplicity N_l: f(t) = Σ λ_l N_l P_l(t) with Gegenbauer polynomials P_l, P_l(1) = 1.
///
/// By quadrature with 2048 points evenly spread in the angle, with the weights of Fejér in odd dimensions: to about 1e-13 for smooth
/// functions.
///
/// # Errors
/// [`Error::Parameter`] for less than 2 dimensions; [`Error::NotFinite`] when f is not.
///
/// ```
/// let pairs = kernels_core::sphere_eigenvalues(|t: f64| t.exp(), 3, 20)?;
/// let at_one: f64 = pairs.iter().map(|(value, multiplicity)| value * multiplicity).sum();
/// assert!((at_one - 1.0_f64.exp()).abs() < 1e-10);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn sphere_eigenvalues(
    f: impl Fn(f64) -> f64,
    dim: usize,
    degree: usize,
) -> Result<Vec<(f64, f64)>, Error> {
    const POINTS: usize = 2048;
    if dim < 2 {
        return Err(Error::Parameter { name: "dim".into(), value: dim as f64, expected: "2 or more" });
    }
    let mut sums = vec![0.0; degree + 1];
    let (mut total, mut values) = (0.0, vec![0.0; degree + 1]);
    for i in 0..POINTS {
        let angle = PI * (i as f64 + 0.5) / POINTS as f64;
        let (sine, t) = angle.sin_cos();
        // sin^(d−2) dθ: a polynomial in cos θ for even d; for odd d one factor sin θ is left, which Fejér's weights integrate.
        let weight = if dim.is_multiple_of(2) {
            sine.powi(dim as i32 - 2)
        } else {
            sine.powi(dim as i32 - 3) * fejer(angle, POINTS)
        };
        let value = f(t);
        if !value.is_finite() {
            return Err(Error::NotFinite { row: i, column: 0, value });
        }
        gegenbauer(dim, t, &mut values);
        total += weight;
        sums.iter_mut().zip(&values).for_each(|(sum, p)| *sum += weight * value * p);
    }
    Ok(sums.into_iter().enumerate().map(|(l, sum)| (sum / total, multiplicity(l, dim))).collect())
}

/// Weight of an angle in Fejér's first rule of `points` points, up to a factor.
fn fejer(angle: f64, points: usize) -> f64 {
    let series: f64 = (1..=points / 2)
        .map(|j| {
            let j = j as f64;
            (2.0 * j * angle).cos() / (4.0 * j * j - 1.0)
        })
        .sum();
    1.0 - 2.0 * series
}

/// P₀(t) … with P(1) = 1.
fn gegenbauer(dim: usize, t: f64, values: &mut [f64]) {
    for l in 0..values.len() {
        values[l] = match l {
            0 => 1.0,
            1 => t,
            _ => {
                let (a, b) = recurrence(l - 1, dim);
                a * t * values[l - 1] - b * values[l - 2]
            }
        };
    }
}

/// P_(l+1) = a t P_l − b P_(l−1).
fn recurrence(l: usize, dim: usize) -> (f64, f64) {
    let (l, d) = (l as f64, dim as f64);
    ((2.0 * l + d - 2.0) / (l + d - 2.0), l / (l + d - 2.0))
}

/// (2l+d−2) Γ(l+d−2) / (Γ(l+1) Γ(d−1)): 1 for l = 0, d for l = 1.
fn multiplicity(l: usize, dim: usize) -> f64 {
    if l == 0 {
        return 1.0;
    }
    let (mut binomial, d) = (1.0, dim as f64);
    // Γ(l+d−2) / (Γ(l) Γ(d−1)), then (2l+d−2)/l.
    (1..l).for_each(|k| binomial *= (k as f64 + d - 2.0) / k as f64);
    binomial * (2.0 * l as f64 + d - 2.0) / l as f64
}

/// Features Σ_l √λ_l N_l P_l(⟨x,w⟩)/√m of a zonal kernel on the unit sphere, with m directions w uniform on it: unbiased, by
/// E P_l(⟨x,w⟩) P_k(⟨y,w⟩) = δ_lk P_l(⟨x,y⟩)/N_l. Points are divided by their norms; a row of zeros has features of a direction it is
/// orthogonal to.
///
/// Reference: Han, Zandieh & Avron, *Random Gegenbauer features for scalable kernel methods* (2022).
///
/// ```
/// use kernels_core::{GegenbauerFeatures, Rows, features};
/// let map = GegenbauerFeatures::new(|t: f64| (t - 1.0).exp(), 3, 8, 4000, 7)?;
/// let z = features(&map, &Rows::from_row_major(vec![0.6, 0.8, 0.0, 1.0, 0.0, 0.0], 2, 3)?)?;
/// assert!((z.row(0).dot(&z.row(1)) - (-0.4_f64).exp()).abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GegenbauerFeatures {
    directions: Vec<f64>,
    /// √λ_l N_l / √m.
    coefficients: Vec<f64>,
    recurrences: Vec<(f64, f64)>,
    features: usize,
    inputs: usize,
}

impl GegenbauerFeatures {
    /// `count` features of f(⟨x,y⟩) up to `degree` for points of `dim` features.
    ///
    /// # Errors
    /// As [`sphere_eigenvalues`]; [`Error::TooFewPoints`] for no features; [`Error::NotPositiveDefinite`] for an eigenvalue below 0, beyond
    /// rounding.
    pub fn new(
        f: impl Fn(f64) -> f64,
        dim: usize,
        degree: usize,
        count: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        check_count("a Gegenbauer map (features)", count)?;
        let pairs = sphere_eigenvalues(f, dim, degree)?;
        let size = pairs.iter().fold(0.0_f64, |m, p| m.max(p.0.abs()));
        if let Some(pivot) = pairs.iter().position(|p| p.0 < -1e-10 * size) {
            let value = pairs[pivot].0;
            return Err(Error::NotPositiveDefinite { pivot, n: pairs.len(), value, suggested: -value });
        }
        let coefficients =
            pairs.iter().map(|(value, n)| value.max(0.0).sqrt() * n / (count as f64).sqrt()).collect();
        let mut directions = vec![0.0; count * dim];
        for (j, row) in directions.chunks_exact_mut(dim).enumerate() {
            let mut rng = stream(seed, j as u64);
            row.iter_mut().for_each(|w| *w = StandardNormal.sample(&mut rng));
            let length = norm(row);
            row.iter_mut().for_each(|w| *w /= length);
        }
        let recurrences = (0..degree).map(|l| recurrence(l, dim)).collect();
        Ok(Self { directions, coefficients, recurrences, features: count, inputs: dim })
    }
}

impl<T: Real> Waves<T> for GegenbauerFeatures {
    const OUTPUTS: usize = 1;
    #[inline(always)]
    fn features<V: Vector<Scalar = T>>(&self, _: usize, inner: V, row: V) -> [V; 2] {
        let t = inner * row;
        let (mut before, mut now) = (V::splat(1.0), t);
        let mut sum = V::splat(self.coefficients[0]);
        for l in 1..self.coefficients.len() {
            sum = now.mul_add(V::splat(self.coefficients[l]), sum);
            if l + 1 < self.coefficients.len() {
                let (a, b) = self.recurrences[l];
                let next = V::splat(a) * t * now - V::splat(b) * before;
                (before, now) = (now, next);
            }
        }
        [sum, sum]
    }
}

impl<T: Real> FeatureMap<Rows<T>> for GegenbauerFeatures {
    fn dim(&self) -> usize {
        self.features
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        let mut numbers = ws.take(rows.len());
        // Rows of extreme scale are brought to 1 first, so that squares stay in range.
        let mut scaled = Vec::with_capacity(rows.len() * self.inputs);
        for (number, i) in numbers.iter_mut().zip(rows.clone()) {
            let x = xs.point(i);
            let largest = x
                .iter()
                .fold(0.0_f64, |m, v| if v.to_f64().is_nan() { f64::NAN } else { m.max(v.to_f64().abs()) });
            let scale = if largest > 0.0 || largest.is_nan() { largest } else { 1.0 };
            let start = scaled.len();
            scaled.extend(x.iter().map(|v| T::of(v.to_f64() / scale)));
            let square: f64 = scaled[start..].iter().map(|v: &T| v.to_f64() * v.to_f64()).sum();
            *number = T::of(if square > 0.0 || square.is_nan() { 1.0 / square.sqrt() } else { 0.0 });
        }
        let n = rows.len();
        let scaled = Rows::from_parts(scaled, n, self.inputs);
        project(&scaled, 0..n, (&self.directions, self.features), &numbers, self, out, ws);
        ws.give(numbers);
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.inputs, xs.dim())
    }
}
