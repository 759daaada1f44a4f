//! The periodic kernel.

use std::{f64::consts::PI, ops::Range};

use nalgebra::DMatrixView;
use rand::Rng;
use rand_distr::{Distribution, Poisson};

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Points, PositiveDefinite,
    Real, Rows, Spectral, Tile, Workspace,
    describe::{expect_count, positive},
    engine::{self, Geometry},
    kernel_ops,
    laplacian::Decay,
};

/// Periodic kernel exp(−2 Σ sin²(π(xᵢ−yᵢ)/p) / ℓ²): a product over the features, positive definite in every dimension.
///
/// In one dimension it is MacKay's kernel ("ExpSineSquared"). The form that puts the Euclidean distance into the sine is not
/// positive definite from two dimensions on and is not offered. Times [`Rbf`](crate::Rbf) it is locally periodic.
///
/// ```
/// use kernels_core::{Kernel, Periodic};
/// let k = Periodic::new(2.0, 1.0)?;
/// assert_eq!(k.eval(&[0.5], &[4.5]), 1.0);
/// assert!((k.eval(&[0.0], &[1.0]) - (-2.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Periodic {
    period: f64,
    length_scale: f64,
}

impl Periodic {
    /// The kernel with this period (in the unit of the data) and length scale (without unit).
    ///
    /// # Errors
    /// [`Error::Parameter`] when one is not finite and positive.
    pub fn new(period: f64, length_scale: f64) -> Result<Self, Error> {
        Ok(Self {
            period: positive("period", period)?,
            length_scale: positive("length_scale", length_scale)?,
        })
    }

    fn geometry(&self) -> Geometry<'static> {
        Geometry::SineSquared { period: self.period, length_scale: self.length_scale }
    }
}

impl Spectral for Periodic {
    /// Multiples n of 2π/p: n is the difference of two Poisson variables of mean 1/(2ℓ²), of probability e^(−1/ℓ²) I_n(1/ℓ²).
    fn draw(&self, frequency: &mut [f64], rng: &mut dyn Rng) {
        let mean = 0.5 / (self.length_scale * self.length_scale);
        // Refused are means that no count holds, or that are below every number: all turns then are the mean's.
        let turns = Poisson::new(mean);
        for value in frequency {
            let n = turns.map_or(0.0, |turns| turns.sample(rng) - turns.sample(rng));
            *value = 2.0 * PI / self.period * n;
        }
    }
    fn scale(&self) -> &LengthScale {
        &LengthScale::UNIT
    }
}

impl Describe for Periodic {
    fn params(&self) -> Vec<Param> {
        vec![Param::positive("period", self.period), Param::positive("length_scale", self.length_scale)]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(2, values.len())?;
        *self = Self::new(values[0], values[1])?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        let arguments = [("period", self.period.into()), ("length_scale", self.length_scale.into())];
        Some(Expr::call("periodic", arguments))
    }
}

impl<T: Real> Kernel<Rows<T>> for Periodic {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        engine::eval(self.geometry(), &Decay, x, y)
    }
    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        engine::fill(at, self.geometry(), &Decay, out, ws);
    }
    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        engine::fill_diagonal(&Decay, xs, rows, out);
    }
    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        // ln k = −(2/ℓ²) Σ sin² u with u = π(x−y)/p, so that its derivatives are −(2π/ℓ²p) sin 2u and −(4π²/ℓ²p²) cos 2u.
        let value = Kernel::<Rows<T>>::eval(self, x, y);
        let square = self.length_scale * self.length_scale;
        let angle = |i: usize| {
            let turns = (x[i] - y[i]).to_f64() / self.period;
            2.0 * PI * (turns - turns.round())
        };
        let slope = |i: usize| T::of(-2.0 * PI / (square * self.period) * angle(i).sin());
        let second = |i: usize| T::of(-4.0 * PI * PI / (square * self.period.powi(2)) * angle(i).cos());
        jet.set_stationary(
            value,
            |i| slope(i) * value,
            |i, j| {
                let outer = slope(i) * slope(j);
                value * if i == j { outer + second(i) } else { outer }
            },
        );
        true
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        // With s = (2/ℓ²) Σ sin² u, u = πd/p: ∂s/∂p = −(2/ℓ²) Σ sin(2u) u / p and ∂s/∂ℓ = −2s/ℓ.
        let scale = 2.0 / (self.length_scale * self.length_scale);
        let (mut by_period, mut by_length) = (0.0, 0.0);
        for (j, c) in at.cols().enumerate() {
            for (i, r) in at.rows().enumerate() {
                let pairs = at.xs().point(r).iter().zip(at.ys().point(c));
                let (mut s, mut ds) = (0.0, 0.0);
                for (&a, &b) in pairs {
                    let turns = (a - b).to_f64() / self.period;
                    let u = PI * (turns - turns.round());
                    s += u.sin() * u.sin();
                    ds -= (2.0 * u).sin() * PI * turns / self.period;
                }
                let weight = weights[(i, j)].to_f64() * (-scale * s).exp();
                by_period -= weight * scale * ds;
                by_length += weight * scale * s * 2.0 / self.length_scale;
            }
        }
        gradient[0] += by_period;
        gradient[1] += by_length;
    }
}

impl PositiveDefinite for Periodic {}
impl<T: Real> Differentiable<T> for Periodic {}
kernel_ops! { impl[] Periodic; }
