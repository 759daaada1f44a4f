//! Kernels of compact support: most pairs of a large data set are exactly 0, and [`sparse_gram`](crate::sparse_gram) never looks at
//! them.

use std::ops::Range;

use nalgebra::DMatrixView;

use crate::{
    Block, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, LengthScale, Param, Points,
    PositiveDefinite, Profile, Radial, Real, Rows, Value, Vector, Workspace,
    describe::{expect_count, positive},
    kernel_ops,
};

/// Radial polynomials (1−r)₊ⁿ p(r) of the distance r in units of the support, value 1 at 0: those of Wendland ([`Wendland::new`]), powers
/// of a cone ([`Wendland::askey`]) and the spherical covariance ([`Wendland::spherical`]).
///
/// The product of any kernel with one of these, a taper, has compact support and stays positive definite.
///
/// Reference: Wendland, *Piecewise polynomial, positive definite and compactly supported radial functions of minimal degree*
/// (1995); Fasshauer, *Meshfree approximation methods* (2007), table 11.1.
///
/// ```
/// use kernels_core::{Kernel, Wendland};
/// let k = Wendland::new(1, 3, 2.0)?;
/// let r: f64 = 0.25;
/// assert!((k.eval(&[0.0, 0.0], &[0.5, 0.0]) - (1.0 - r).powi(4) * (1.0 + 4.0 * r)).abs() < 1e-15);
/// assert_eq!(k.eval(&[0.0, 0.0], &[2.0, 0.0]), 0.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub type Wendland = Radial<CompactProfile>;

/// φ(s) = (1−r)₊ⁿ p(r), r = √s.
#[derive(Clone, Debug, PartialEq)]
pub struct CompactProfile {
    shape: Shape,
    dim: usize,
    value: Piece,
    slope: Slope,
    curvature: Slope,
}

/// What the text form calls it.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Wendland { smoothness: u32 },
    Askey { power: u32 },
    Spherical,
}

/// (1−r)₊ⁿ Σ cᵢ rⁱ.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    power: u32,
    polynomial: Vec<f64>,
}

/// A derivative by s.
#[derive(Clone, Debug, PartialEq)]
enum Slope {
    /// A piece.
    Smooth(Piece),
    /// A piece over this power of r: infinite at 0, where it is 0 by convention.
    Pointed(Piece, u32),
}

impl Slope {
    /// Of a first exponent l and a factor: the second derivative of (1−r)ˡ, l/4 (1−r)ˡ⁻² (1 + (l−2)r) / r³.
    fn of_cone(l: u32, factor: f64) -> Self {
        let f = 0.25 * f64::from(l) * factor;
        let piece = match l {
            1 => Piece { power: 0, polynomial: vec![f] },
            _ => Piece { power: l - 2, polynomial: vec![f, f * f64::from(l - 2)] },
        };
        Self::Pointed(piece, 3)
    }

    #[inline(always)]
    fn at<V: Vector>(&self, r: V) -> V {
        match self {
            Self::Smooth(piece) => piece.at(r),
            Self::Pointed(piece, power) => {
                let zero = V::splat(0.0);
                let mut value = piece.at(r);
                for _ in 0..*power {
                    value = value / r;
                }
                let inside = zero.select_lt(r, value, zero * r);
                // Past the support a power of 0 of 1 − r would be 1.
                V::splat(1.0).select_lt(r, zero, inside)
            }
        }
    }
}

impl Piece {
    /// Wendland's φ of smoothness k and first exponent l, without its factor.
    fn wendland(k: u32, l: u32, factor: f64) -> Self {
        let f = f64::from(l);
        let polynomial = match k {
            0 => vec![1.0],
            1 => vec![1.0, f + 1.0],
            2 => vec![1.0, f + 2.0, (f * f + 4.0 * f + 3.0) / 3.0],
            _ => vec![
                1.0,
                f + 3.0,
                (6.0 * f * f + 36.0 * f + 45.0) / 15.0,
                (f * f * f + 9.0 * f * f + 23.0 * f + 15.0) / 15.0,
            ],
        };
        Self { power: l + k, polynomial: polynomial.into_iter().map(|c| c * factor).collect() }
    }

    #[inline(always)]
    fn at<V: Vector>(&self, r: V) -> V {
        let one = V::splat(1.0);
        // The order of the arguments lets a NaN through.
        let r = one.min(r);
        let q = one - r;
        let mut sum = V::splat(0.0);
        for &c in self.polynomial.iter().rev() {
            sum = sum.mul_add(r, V::splat(c));
        }
        for _ in 0..self.power {
            sum = sum * q;
        }
        sum
    }
}

impl Wendland {
    /// Wendland's function of smoothness k ∈ {0, 1, 2, 3}, 2k times continuously differentiable, positive definite on points of up to
    /// `dim` features, 0 from distance `support` on.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a smoothness above 3, a `dim` of 0 or above 100, or a support that is not finite and positive.
    pub fn new(smoothness: u32, dim: usize, support: impl Into<LengthScale>) -> Result<Self, Error> {
        Self::of(f64::from(smoothness), dim, support)
    }

    pub(crate) fn of(smoothness: f64, dim: usize, support: impl Into<LengthScale>) -> Result<Self, Error> {
        if ![0.0, 1.0, 2.0, 3.0].contains(&smoothness) {
            return Err(parameter("smoothness", smoothness, "0, 1, 2 or 3"));
        }
        let k = smoothness as u32;
        let l = (valid_dim(dim)? / 2) as u32 + k + 1;
        // φ′(r)/r is the next rougher function with the same l, by the definition as an integral, times φ″(0).
        let factor = |k: u32| -0.5 * f64::from((l + 2 * k - 1) * (l + 2 * k)) / f64::from(2 * k - 1);
        let pointed =
            |factor: f64| Slope::Pointed(Piece::wendland(0, l - 1, -0.5 * f64::from(l) * factor), 1);
        let (slope, curvature) = match k {
            0 => (pointed(1.0), Slope::of_cone(l, 1.0)),
            1 => (Slope::Smooth(Piece::wendland(0, l, factor(1))), pointed(factor(1))),
            _ => (
                Slope::Smooth(Piece::wendland(k - 1, l, factor(k))),
                Slope::Smooth(Piece::wendland(k - 2, l, factor(k) * factor(k - 1))),
            ),
        };
        let (shape, value) = (Shape::Wendland { smoothness: k }, Piece::wendland(k, l, 1.0));
        Self::with_profile(CompactProfile { shape, dim, value, slope, curvature }, support)
    }

    /// Askey's (1−r)₊ᵖ, positive definite for integers p > `dim`/2.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a power that is no integer from ⌊`dim`/2⌋ + 1 to 100; as [`Wendland::new`].
    pub fn askey(power: f64, dim: usize, support: impl Into<LengthScale>) -> Result<Self, Error> {
        let least = valid_dim(dim)? / 2 + 1;
        if power.fract() != 0.0 || !(least as f64..=100.0).contains(&power) {
            return Err(parameter("power", power, "an integer above dim/2, at most 100"));
        }
        let power = power as u32;
        let profile = CompactProfile {
            shape: Shape::Askey { power },
            dim,
            value: Piece::wendland(0, power, 1.0),
            slope: Slope::Pointed(Piece::wendland(0, power - 1, -0.5 * f64::from(power)), 1),
            curvature: Slope::of_cone(power, 1.0),
        };
        Self::with_profile(profile, support)
    }

    /// The spherical covariance 1 − 3r/2 + r³/2 = (1−r)₊² (1 + r/2), the overlap of two balls, for points of up to 3 features.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a support that is not finite and positive.
    pub fn spherical(support: impl Into<LengthScale>) -> Result<Self, Error> {
        let profile = CompactProfile {
            shape: Shape::Spherical,
            dim: 3,
            value: Piece { power: 2, polynomial: vec![1.0, 0.5] },
            // (−3/2 + 3r²/2) / (2r).
            slope: Slope::Pointed(Piece { power: 1, polynomial: vec![-0.75, -0.75] }, 1),
            curvature: Slope::Pointed(Piece { power: 0, polynomial: vec![0.375, 0.0, 0.375] }, 3),
        };
        Self::with_profile(profile, support)
    }
}

fn parameter(name: &str, value: f64, expected: &'static str) -> Error {
    Error::Parameter { name: name.to_owned(), value, expected }
}

fn valid_dim(dim: usize) -> Result<usize, Error> {
    if (1..=100).contains(&dim) { Ok(dim) } else { Err(parameter("dim", dim as f64, "from 1 to 100")) }
}

impl PositiveDefinite for Wendland {}

impl Profile for CompactProfile {
    const SCALE: &'static str = "support";

    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        self.value.at(s.sqrt())
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, s: V) -> V {
        self.slope.at(s.sqrt())
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, s: V) -> V {
        self.curvature.at(s.sqrt())
    }
    fn support(&self) -> Option<f64> {
        Some(1.0)
    }
    fn check_dim(&self, dim: usize) -> Result<(), Error> {
        if dim <= self.dim {
            return Ok(());
        }
        Err(parameter("dim", self.dim as f64, "at least the number of features of the points"))
    }
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        let dim = ("dim", (self.dim as f64).into());
        Some(match self.shape {
            Shape::Wendland { smoothness } => {
                ("wendland", vec![("smoothness", f64::from(smoothness).into()), dim])
            }
            Shape::Askey { power } => ("askey", vec![("power", f64::from(power).into()), dim]),
            Shape::Spherical => ("spherical", vec![]),
        })
    }
}

/// Π c B((xᵢ−yᵢ)/ℓᵢ)/B(0) with the centred cardinal B-spline B of order n (degree n − 1), which is 0 from n/2 on, and a peak
/// value c of each factor.
///
/// Its Fourier transform is sincⁿ: for even order positive, for odd order (the quadratic spline is of order 3) of both signs, so that the
/// kernel is positive definite for even orders and indefinite for odd ones.
///
/// Reference: Schoenberg (1946); Unser, *Splines: a perfect fit for signal and image processing* (1999).
///
/// ```
/// use kernels_core::{BSpline, Kernel};
/// let hat = BSpline::new(2, 1.0)?;
/// assert_eq!(hat.eval(&[0.0, 0.0], &[0.25, -0.5]), 0.75 * 0.5);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BSpline {
    order: usize,
    length_scale: LengthScale,
    peak: f64,
}

impl BSpline {
    /// The kernel of order 2 to 12 with value 1 at 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another order, or a length scale that is not finite and positive.
    pub fn new(order: usize, length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        if !(2..=12).contains(&order) {
            return Err(parameter("order", order as f64, "from 2 to 12"));
        }
        Ok(Self { order, length_scale: length_scale.into().validated()?, peak: 1.0 })
    }

    /// The Bézier base kernel of neural kernel surface reconstruction: Π b(xᵢ−yᵢ) of voxels of width `voxel`, with
    /// b(u) = 3/2 − 2u² for |u| < ½, (|u| − 3/2)² for |u| < 3/2. It is twice the quadratic B-spline in each feature and, as a
    /// stationary kernel, indefinite.
    ///
    /// Reference: Huang, Gojcic, Atzmon, Litany, Fidler & Williams, *Neural kernel surface reconstruction* (2023).
    ///
    /// # Errors
    /// [`Error::Parameter`] when the width is not finite and positive.
    pub fn bezier(voxel: f64) -> Result<Self, Error> {
        Self::new(3, voxel)?.with_peak(1.5)
    }

    /// The same with this value at 0 of each factor.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not finite and positive.
    pub fn with_peak(self, peak: f64) -> Result<Self, Error> {
        Ok(Self { peak: positive("peak", peak)?, ..self })
    }

    /// The length scale: the distance of the spline's knots.
    pub fn length_scale(&self) -> &LengthScale {
        &self.length_scale
    }

    /// The kernel of `factor` times the order, 1 at 0.
    pub(crate) fn with_order(&self, factor: f64) -> Result<Self, Error> {
        let order = factor * self.order as f64;
        if order.fract() == 0.0 && (2.0..=12.0).contains(&order) {
            Self::new(order as usize, self.length_scale.clone())
        } else {
            Err(parameter(
                "order",
                self.order as f64,
                "one whose multiple by the power asked for is from 2 to 12",
            ))
        }
    }

    /// The value at 0 of each factor.
    pub(crate) fn peak(&self) -> f64 {
        self.peak
    }

    /// The value at 0 of the cardinal spline.
    pub(crate) fn center(&self) -> f64 {
        cardinal(self.order, 0.0)
    }

    fn length(&self, i: usize) -> f64 {
        let lengths = self.length_scale.values();
        lengths[i.min(lengths.len() - 1)]
    }

    /// One factor with its first two derivatives by u = (xᵢ − yᵢ)/ℓᵢ, 0 where there is a corner.
    fn factor(&self, u: f64) -> [f64; 3] {
        let (n, scale) = (self.order, self.peak / cardinal(self.order, 0.0));
        // Differences of the spline of order n − 2.
        let curvature = match n {
            2 => 0.0 * u,
            _ => cardinal(n - 2, u + 1.0) - 2.0 * cardinal(n - 2, u) + cardinal(n - 2, u - 1.0),
        };
        [cardinal(n, u), cardinal_slope(n, u), curvature].map(|v| scale * v)
    }
}

/// B(u) = Σⱼ (−1)ʲ C(n, j) (n/2 − |u| − j)₊ⁿ⁻¹ / (n−1)!. From the edge inward, so that small values keep their digits.
fn cardinal(order: usize, u: f64) -> f64 {
    let edge = order as f64 / 2.0 - u.abs();
    if edge.is_nan() {
        return f64::NAN;
    }
    let (mut sum, mut binomial, mut factorial) = (0.0, 1.0, 1.0);
    for j in 0..order {
        let t = edge - j as f64;
        if t <= 0.0 {
            break;
        }
        sum += binomial * t.powi(order as i32 - 1);
        binomial *= -((order - j) as f64) / (j + 1) as f64;
    }
    (1..order).for_each(|i| factorial *= i as f64);
    sum / factorial
}

/// B′(u) = Bₙ₋₁(u + ½) − Bₙ₋₁(u − ½); 0 at the corners of order 2.
fn cardinal_slope(order: usize, u: f64) -> f64 {
    if order == 2 {
        return if u == 0.0 || u.abs() >= 1.0 { 0.0 * u } else { -u.signum() };
    }
    cardinal(order - 1, u + 0.5) - cardinal(order - 1, u - 0.5)
}

impl Describe for BSpline {
    fn params(&self) -> Vec<Param> {
        self.length_scale.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.params().len(), values.len())?;
        self.length_scale = self.length_scale.with_values(values)?;
        Ok(())
    }
    fn definiteness(&self) -> Definiteness {
        if self.order.is_multiple_of(2) { Definiteness::Positive } else { Definiteness::Indefinite }
    }
    fn support(&self) -> Option<LengthScale> {
        Some(self.length_scale.scaled(self.order as f64 / 2.0))
    }
    fn expression(&self) -> Option<Expr> {
        let mut arguments =
            vec![("order", (self.order as f64).into()), ("length_scale", self.length_scale.argument())];
        if self.peak.to_bits() != 1.0_f64.to_bits() {
            arguments.push(("peak", self.peak.into()));
        }
        Some(Expr::call("bspline", arguments))
    }
}

impl<T: Real> Kernel<Rows<T>> for BSpline {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        let scale = self.peak / cardinal(self.order, 0.0);
        let factor = |(i, (&a, &b)): (usize, (&T, &T))| {
            scale * cardinal(self.order, (a - b).to_f64() / self.length(i))
        };
        T::of(x.iter().zip(y).enumerate().map(factor).product())
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        for (out, i) in out.iter_mut().zip(rows) {
            *out = self.eval(xs.point(i), xs.point(i));
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        let last = gradient.len() - 1;
        let mut factors = Vec::with_capacity(at.xs().dim());
        for (j, c) in at.cols().enumerate() {
            for (i, r) in at.rows().enumerate() {
                let (x, y) = (at.xs().point(r), at.ys().point(c));
                factors.clear();
                factors.extend((0..x.len()).map(|k| {
                    let u = (x[k] - y[k]).to_f64() / self.length(k);
                    let [value, slope, _] = self.factor(u);
                    (value, -slope * u / self.length(k))
                }));
                for k in 0..x.len() {
                    let others: f64 =
                        factors.iter().enumerate().filter(|(l, _)| *l != k).map(|(_, f)| f.0).product();
                    gradient[k.min(last)] += weights[(i, j)].to_f64() * others * factors[k].1;
                }
            }
        }
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let factors: Vec<[f64; 3]> = (0..x.len())
            .map(|i| {
                let l = self.length(i);
                let [value, slope, curvature] = self.factor((x[i] - y[i]).to_f64() / l);
                [value, slope / l, curvature / (l * l)]
            })
            .collect();
        // The product with the derivatives of these orders in the places of features i and j.
        let product = |i: usize, j: usize, orders: (usize, usize)| {
            let order = |k: usize| {
                if k == i {
                    orders.0
                } else if k == j {
                    orders.1
                } else {
                    0
                }
            };
            T::of(factors.iter().enumerate().map(|(k, f)| f[order(k)]).product())
        };
        let none = usize::MAX;
        let second =
            |i: usize, j: usize| if i == j { product(i, none, (2, 0)) } else { product(i, j, (1, 1)) };
        jet.set_stationary(product(none, none, (0, 0)), |i| product(i, none, (1, 0)), second);
        true
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        self.length_scale.check(xs.dim())
    }
}

impl<T: Real> Differentiable<T> for BSpline {}
kernel_ops! { impl[] BSpline; }
