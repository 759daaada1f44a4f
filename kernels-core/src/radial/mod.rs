//! Radial kernels: k(x, y) = φ(s) of the squared scaled distance s = Σ ((xᵢ − yᵢ) / ℓᵢ)².

mod conditional;
mod families;
mod matern;

use std::ops::Range;

use nalgebra::DMatrixView;

pub use conditional::{
    LogDistance, LogProfile, Polyharmonic, PolyharmonicProfile, PowerDistance, PowerProfile,
};
pub use families::{
    Cauchy, CauchyProfile, Exponential, ExponentialProfile, GammaExponential, Gaussian, InverseMultiquadric,
    InverseMultiquadricProfile, Multiquadric, MultiquadricProfile, PoweredExponential, RationalQuadratic,
    RationalQuadraticProfile, Rbf,
};

pub use matern::{Matern, MaternProfile};

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Profile,
    Real, Rows, Tile, Workspace, engine, kernel_ops,
    profile::{curvature_missing, derivatives},
};

/// A radial kernel: a [`Profile`] and a length scale. See its aliases: [`Rbf`], [`Matern`], …
#[derive(Clone, Debug, PartialEq)]
pub struct Radial<F> {
    profile: F,
    length_scale: LengthScale,
}

impl<F: Profile> Radial<F> {
    /// The kernel with profile φ on distances in units of `length_scale`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a length scale that is not finite and positive.
    pub fn with_profile(profile: F, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Ok(Self { profile, length_scale: length_scale.into().validated()? })
    }

    /// The profile φ.
    pub fn profile(&self) -> &F {
        &self.profile
    }

    /// The length scale.
    pub fn length_scale(&self) -> &LengthScale {
        &self.length_scale
    }

    fn geometry(&self) -> engine::Geometry<'_> {
        if self.profile.needs_exact_distances() {
            engine::Geometry::ExactDistance(&self.length_scale)
        } else {
            engine::Geometry::SquaredDistance(&self.length_scale)
        }
    }
}

impl<F: Profile> Describe for Radial<F> {
    fn params(&self) -> Vec<Param> {
        let mut params = self.profile.params();
        if F::SCALED {
            params.extend(self.length_scale.params().into_iter().map(|mut param| {
                param.name = param.name.replacen("length_scale", F::SCALE, 1);
                param
            }));
        }
        params
    }

    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        let shape = self.profile.params().len();
        crate::describe::expect_count(self.params().len(), values.len())?;
        let (shape, lengths) = values.split_at(shape);
        let mut profile = self.profile.clone();
        profile.set_params(shape)?;
        if F::SCALED {
            self.length_scale = self.length_scale.with_values(lengths)?;
        }
        self.profile = profile;
        Ok(())
    }

    fn definiteness(&self) -> Definiteness {
        self.profile.definiteness()
    }

    fn support(&self) -> Option<LengthScale> {
        let radius = self.profile.support()?.sqrt();
        Some(self.length_scale.scaled(radius))
    }

    fn expression(&self) -> Option<Expr> {
        let (name, mut arguments) = self.profile.text()?;
        if F::SCALED {
            arguments.push((F::SCALE, self.length_scale.argument()));
        }
        Some(Expr::call(name, arguments))
    }
}

impl<F: Profile, T: Real> Kernel<Rows<T>> for Radial<F> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        engine::eval(self.geometry(), &self.profile, x, y)
    }

    fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        engine::fill(at, self.geometry(), &self.profile, out, ws);
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        engine::fill_diagonal(&self.profile, xs, rows, out);
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        let (shape, lengths) = gradient.split_at_mut(self.profile.params().len());
        engine::length_gradient(at, self.geometry(), &self.profile, weights, shape, lengths, ws);
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let s = engine::number(self.geometry(), x, y);
        let [value, slope, curvature] = derivatives(&self.profile, s);
        if curvature_missing(jet, s, curvature) {
            return false;
        }
        // With u = Λ(x − y), Λ = diag ℓᵢ⁻²: ∇k = 2φ′u and ∇²k = 4φ″uuᵀ + 2φ′Λ.
        let scales = self.length_scale.values();
        let weight = |i: usize| scales.get(i).or(scales.first()).map_or(1.0, |l| 1.0 / (l * l));
        let weight = |i: usize| T::of(weight(i));
        let u = |i: usize| weight(i) * (x[i] - y[i]);
        let (two, four) = (T::of(2.0) * slope, T::of(4.0) * curvature);
        let square = |i: usize, j: usize| {
            let outer = four * u(i) * u(j);
            if i == j { outer + two * weight(i) } else { outer }
        };
        jet.set_stationary(value, |i| two * u(i), square);
        true
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.profile.check_dim(xs.dim())?;
        self.length_scale.check(xs.dim())
    }
}

impl<F: Profile, T: Real> Differentiable<T> for Radial<F> {}
kernel_ops! { impl[F: Profile] Radial<F>; }
