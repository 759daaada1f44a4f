//! The spectral mixture kernel.

use std::{f64::consts::PI, ops::Range};

use nalgebra::DMatrixView;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Points, PositiveDefinite,
    Real, Rows, Spectral, Tile, Transform, Value, Vector, Workspace,
    algebra::scratch,
    describe::{expect_count, non_negative},
    engine::{Pairing, diagonal_pairs, eval_pair, fill_pairs},
    kernel_ops,
};

/// Spectral mixture kernel Σ_q w_q exp(−2π² Σᵢ tᵢ²σ_qᵢ²) cos(2π⟨t, μ_q⟩), t = x − y: its spectral density is a mixture of Gaussians with
/// means ±μ_q and standard deviations σ_q, in cycles a unit of the data.
///
/// Reference: Wilson & Adams, *Gaussian process kernels for pattern discovery and extrapolation* (2013), with the cosine of the inner
/// product, which is the transform of their mixture in more than one dimension.
///
/// ```
/// use kernels_core::{Kernel, SpectralMixture};
/// let k = SpectralMixture::new(&[0.5], &[vec![0.25]], &[vec![0.0]])?;
/// let values: [f64; 2] = [k.eval(&[0.0], &[1.0]), k.eval(&[0.0], &[2.0])];
/// assert!(values[0].abs() < 1e-16 && (values[1] + 0.5).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralMixture {
    components: Vec<Component>,
    /// 1 for each feature: scales stand in the components.
    unit: LengthScale,
}

#[derive(Clone, Debug, PartialEq)]
struct Component {
    weight: f64,
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl SpectralMixture {
    /// Components with `weights`, and `means` and `scales` of one value a feature each.
    ///
    /// # Errors
    /// [`Error::Shape`] for lists of unequal lengths or no component, [`Error::Parameter`] for a weight or scale that is negative, or a
    /// value that is not finite.
    pub fn new(weights: &[f64], means: &[Vec<f64>], scales: &[Vec<f64>]) -> Result<Self, Error> {
        let shape = |what, expected, given| {
            if expected == given { Ok(()) } else { Err(Error::Shape { what, expected, given }) }
        };
        if weights.is_empty() {
            return Err(Error::Shape { what: "number of components (at least)", expected: 1, given: 0 });
        }
        shape("number of means (one a weight)", weights.len(), means.len())?;
        shape("number of scales (one a weight)", weights.len(), scales.len())?;
        let dim = means.first().map_or(0, Vec::len);
        let mut components = Vec::with_capacity(weights.len());
        for ((&weight, means), scales) in weights.iter().zip(means).zip(scales) {
            shape("number of values of a mean", dim, means.len())?;
            shape("number of values of a scale", dim, scales.len())?;
            non_negative("weights", weight)?;
            for &scale in scales {
                non_negative("scales", scale)?;
            }
            if let Some(&value) = means.iter().find(|m| !m.is_finite()) {
                return Err(Error::Parameter { name: "means".into(), value, expected: "a finite number" });
            }
            components.push(Component { weight, means: means.clone(), scales: scales.clone() });
        }
        Ok(Self { components, unit: LengthScale::PerFeature(vec![1.0; dim]) })
    }

    fn dim(&self) -> usize {
        self.components[0].means.len()
    }
}

impl Pairing for Component {
    const START: [f64; 2] = [0.0, 0.0];

    #[inline(always)]
    fn step<V: Vector>(&self, k: usize, x: V, y: V, [spread, turns]: [V; 2]) -> [V; 2] {
        let t = x - y;
        let scaled = t * V::splat(self.scales[k]);
        [scaled.mul_add(scaled, spread), t.mul_add(V::splat(self.means[k]), turns)]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [spread, turns]: [V; 2], _: [V; 2]) -> V {
        // The cosine is even: |turns| gives (x, y) and (y, x) the same bits.
        let cosine = (turns.abs() * V::splat(2.0)).sin_cos_pi().1;
        (spread * V::splat(-2.0 * PI * PI)).exp() * cosine * V::splat(self.weight)
    }
}

impl Spectral for SpectralMixture {
    /// A component by its weight, and 2π(μ + σ N(0, I)).
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng) {
        let mut left = self.variance() * rng.random::<f64>();
        let mut chosen = &self.components[0];
        for component in self.components.iter().filter(|c| c.weight > 0.0) {
            chosen = component;
            left -= component.weight;
            if left < 0.0 {
                break;
            }
        }
        for ((value, mean), scale) in frequency.iter_mut().zip(&chosen.means).zip(&chosen.scales) {
            let normal: f64 = StandardNormal.sample(rng);
            *value = 2.0 * PI * scale.mul_add(normal, *mean);
        }
    }
    fn scale(&self) -> &LengthScale {
        &self.unit
    }
    fn variance(&self) -> f64 {
        self.components.iter().map(|c| c.weight).sum()
    }
}

impl Describe for SpectralMixture {
    fn params(&self) -> Vec<Param> {
        let mut out = Vec::new();
        for (q, c) in self.components.iter().enumerate() {
            let free = |name: String, value: f64, least: f64| Param {
                bounds: (least, 1e5),
                transform: Transform::Identity,
                ..Param::positive(name, value)
            };
            out.push(free(format!("weights[{q}]"), c.weight, 0.0));
            out.extend(c.means.iter().enumerate().map(|(i, &m)| free(format!("means[{q}][{i}]"), m, -1e5)));
            out.extend(c.scales.iter().enumerate().map(|(i, &s)| free(format!("scales[{q}][{i}]"), s, 0.0)));
        }
        out
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        let (count, dim) = (self.components.len(), self.dim());
        expect_count(count * (1 + 2 * dim), values.len())?;
        let parts: Vec<&[f64]> = values.chunks_exact(1 + 2 * dim).collect();
        let weights: Vec<f64> = parts.iter().map(|p| p[0]).collect();
        let means: Vec<Vec<f64>> = parts.iter().map(|p| p[1..=dim].to_vec()).collect();
        let scales: Vec<Vec<f64>> = parts.iter().map(|p| p[dim + 1..].to_vec()).collect();
        *self = Self::new(&weights, &means, &scales)?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        let lists = |of: fn(&Component) -> &Vec<f64>| {
            Value::List(self.components.iter().map(|c| of(c).as_slice().into()).collect())
        };
        let weights: Vec<f64> = self.components.iter().map(|c| c.weight).collect();
        let arguments = [
            ("weights", weights.as_slice().into()),
            ("means", lists(|c| &c.means)),
            ("scales", lists(|c| &c.scales)),
        ];
        Some(Expr::call("spectral_mixture", arguments))
    }
}

impl<T: Real> Kernel<Rows<T>> for SpectralMixture {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.components.iter().fold(T::default(), |sum, c| sum + eval_pair(c, x, y))
    }
    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        out.fill(T::default());
        for component in &self.components {
            scratch(ws, at.shape(), |mut part, ws| {
                fill_pairs(at, component, part.as_view_mut(), ws);
                out.zip_apply(&part, |a, b| *a += b);
            });
        }
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        let mut part = vec![T::default(); out.len()];
        out.fill(T::default());
        for component in &self.components {
            diagonal_pairs(component, xs, rows.clone(), &mut part);
            out.iter_mut().zip(&part).for_each(|(a, &b)| *a += b);
        }
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        let dim = self.dim();
        for (c, column) in at.cols().enumerate() {
            let y = at.ys().point(column);
            for (r, row) in at.rows().enumerate() {
                let t: Vec<f64> = at.xs().point(row).iter().zip(y).map(|(&a, &b)| (a - b).to_f64()).collect();
                let given = weights[(r, c)].to_f64();
                for (q, gradient) in self.components.iter().zip(gradient.chunks_exact_mut(1 + 2 * dim)) {
                    let spread: f64 = t.iter().zip(&q.scales).map(|(t, s)| t * t * s * s).sum();
                    let turns: f64 = t.iter().zip(&q.means).map(|(t, m)| t * m).sum();
                    let (sine, cosine) = (2.0 * PI * (turns - turns.round())).sin_cos();
                    let decay = given * (-2.0 * PI * PI * spread).exp();
                    gradient[0] += decay * cosine;
                    for i in 0..dim {
                        gradient[1 + i] -= q.weight * decay * sine * 2.0 * PI * t[i];
                        gradient[1 + dim + i] -=
                            q.weight * decay * cosine * 4.0 * PI * PI * t[i] * t[i] * q.scales[i];
                    }
                }
            }
        }
    }
    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        jet.set_constant(T::default());
        let t: Vec<f64> = x.iter().zip(y).map(|(&a, &b)| (a - b).to_f64()).collect();
        for q in &self.components {
            let spread: f64 = t.iter().zip(&q.scales).map(|(t, s)| t * t * s * s).sum();
            let turns: f64 = t.iter().zip(&q.means).map(|(t, m)| t * m).sum();
            let (sine, cosine) = (2.0 * PI * (turns - turns.round())).sin_cos();
            let decay = q.weight * (-2.0 * PI * PI * spread).exp();
            // ∇ of the exponent, and of the phase.
            let e = |i: usize| -4.0 * PI * PI * q.scales[i] * q.scales[i] * t[i];
            let p = |i: usize| 2.0 * PI * q.means[i];
            let second = |i: usize, j: usize| {
                let own = if i == j { -4.0 * PI * PI * q.scales[i] * q.scales[i] } else { 0.0 };
                let even = e(i) * e(j) + own - p(i) * p(j);
                T::of(decay * (even * cosine - (e(i) * p(j) + p(i) * e(j)) * sine))
            };
            let mut part = jet.take(jet.dim());
            let first = |i: usize| T::of(decay * (e(i) * cosine - p(i) * sine));
            part.set_stationary(T::of(decay * cosine), first, second);
            jet.add(&part);
            jet.give(part);
        }
        true
    }
    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        if self.dim() == xs.dim() {
            Ok(())
        } else {
            let what = "number of features (values of a mean)";
            Err(Error::Shape { what, expected: self.dim(), given: xs.dim() })
        }
    }
}

impl<T: Real> Differentiable<T> for SpectralMixture {}
impl PositiveDefinite for SpectralMixture {}
kernel_ops! { impl[] SpectralMixture; }
