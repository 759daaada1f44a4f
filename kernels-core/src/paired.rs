//! Kernels of two totals over the features, or of the angle between points.

use std::{f64::consts::PI, ops::Range};

use nalgebra::DMatrixView;

use crate::{
    Block, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points, PositiveDefinite, Real, Rows,
    Tile, Transform, Value, Vector, Workspace,
    describe::{expect_count, non_negative},
    engine::{Pairing, diagonal_pairs, eval_pair, fill_pairs},
    kernel_ops,
};

/// Tanimoto (Jaccard) kernel ⟨x, y⟩/(‖x‖² + ‖y‖² − ⟨x, y⟩), 0/0 = 1: on binary rows the size of the intersection over that of the union.
///
/// ```
/// use kernels_core::{Kernel, Tanimoto};
/// assert_eq!(Tanimoto.eval(&[1.0, 1.0, 0.0], &[0.0, 1.0, 1.0]), 1.0 / 3.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tanimoto;

/// MinMax (Ruzicka) kernel Σ min(x, y)/Σ max(x, y) of values that are not negative, 0/0 = 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinMax;

/// Arc-cosine kernel of order n = 0, 1, 2: (‖x‖‖y‖)ⁿ Jₙ(θ)/π with the angle θ, J₀ = π−θ, J₁ = sin θ + (π−θ) cos θ,
/// J₂ = 3 sin θ cos θ + (π−θ)(1 + 2cos²θ). A row of zeros has kernel 0 with all.
///
/// The angle comes from differences of unit vectors, so that near parallel points keep their digits.
///
/// Reference: Cho & Saul, *Kernel methods for deep learning* (2009).
///
/// ```
/// use kernels_core::{ArcCosine, Kernel};
/// let k = ArcCosine::new(1)?;
/// assert!((k.eval(&[2.0, 0.0], &[0.0, 3.0]) - 6.0 / std::f64::consts::PI).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ArcCosine {
    order: u32,
}

/// Arc-sine kernel of a network with error functions:
/// (2/π) asin(2⟨x, y⟩_Σ/√((1 + 2⟨x, x⟩_Σ)(1 + 2⟨y, y⟩_Σ))) with ⟨x, y⟩_Σ = σ₀² + Σ σᵢ² xᵢyᵢ.
///
/// Reference: Williams, *Computing with infinite networks* (1997).
#[derive(Clone, Debug, PartialEq)]
pub struct ArcSine {
    sigma2: Vec<f64>,
}

impl ArcCosine {
    /// The kernel of `order` 0, 1 or 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another order.
    pub fn new(order: u32) -> Result<Self, Error> {
        if order <= 2 {
            Ok(Self { order })
        } else {
            Err(Error::Parameter { name: "order".into(), value: f64::from(order), expected: "0, 1 or 2" })
        }
    }

    /// Jₙ/π and its first two derivatives by the cosine, 0 where they are infinite.
    fn of_cosine(&self, sine: f64, cosine: f64, angle: f64) -> [f64; 3] {
        let rest = PI - angle;
        let first = sine + rest * cosine;
        let finite = |v: f64| if v.is_infinite() || sine <= 0.0 { 0.0 } else { v };
        let all = match self.order {
            0 => [rest, finite(1.0 / sine), finite(cosine / sine / sine / sine)],
            1 => [first, rest, finite(1.0 / sine)],
            _ => [3.0 * sine * cosine + rest * (1.0 + 2.0 * cosine * cosine), 4.0 * first, 4.0 * rest],
        };
        all.map(|v| v / PI)
    }
}

impl ArcSine {
    /// Variances of the bias and the weights: `[σ₀², σ²]`, or `[σ₀², σ₁², …, σ_d²]` with one a feature.
    ///
    /// # Errors
    /// [`Error::Shape`] for less than two values, [`Error::Parameter`] for a value that is negative or not finite.
    pub fn new(sigma2: impl Into<Vec<f64>>) -> Result<Self, Error> {
        let sigma2 = sigma2.into();
        if sigma2.len() < 2 {
            return Err(Error::Shape {
                what: "number of variances (at least)",
                expected: 2,
                given: sigma2.len(),
            });
        }
        for &value in &sigma2 {
            non_negative("sigma2", value)?;
        }
        Ok(Self { sigma2 })
    }

    #[inline(always)]
    fn weight(&self, feature: usize) -> f64 {
        if self.sigma2.len() == 2 {
            self.sigma2[1]
        } else {
            self.sigma2.get(feature + 1).copied().unwrap_or(f64::NAN)
        }
    }

    /// ⟨x, y⟩_Σ.
    fn inner<T: Real>(&self, x: &[T], y: &[T]) -> f64 {
        let terms = x.iter().zip(y).enumerate();
        terms.fold(self.sigma2[0], |sum, (k, (a, b))| sum + self.weight(k) * a.to_f64() * b.to_f64())
    }
}

impl Pairing for Tanimoto {
    const START: [f64; 2] = [0.0, 0.0];

    #[inline(always)]
    fn step<V: Vector>(&self, _: usize, x: V, y: V, [inner, distance]: [V; 2]) -> [V; 2] {
        let d = x - y;
        [x.mul_add(y, inner), d.mul_add(d, distance)]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [inner, distance]: [V; 2], _: [V; 2]) -> V {
        // ‖x‖² + ‖y‖² − ⟨x, y⟩ = ‖x − y‖² + ⟨x, y⟩, which is 0 only for zeros.
        let (union, zero) = (distance + inner, V::splat(0.0));
        zero.select_lt(union, inner / union, union.mul_add(zero, V::splat(1.0)))
    }
}

impl Pairing for MinMax {
    const START: [f64; 2] = [0.0, 0.0];

    #[inline(always)]
    fn step<V: Vector>(&self, _: usize, x: V, y: V, [least, largest]: [V; 2]) -> [V; 2] {
        // The product lets a NaN of x through, the minimum one of y.
        [least + x.mul_add(V::splat(0.0), x.min(y)), largest + x.max(y)]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [least, largest]: [V; 2], _: [V; 2]) -> V {
        let (zero, nan) = (V::splat(0.0), least * V::splat(0.0));
        zero.select_lt(largest, least / largest, nan + V::splat(1.0))
    }
}

/// Divides a row by its norm, which is returned; a row of zeros stays.
fn to_unit<T: Real>(row: &mut [T]) -> T {
    let zero = T::default();
    let largest = row.iter().fold(zero, |m, &x| if x.abs() > m { x.abs() } else { m });
    if largest > zero {
        row.iter_mut().for_each(|x| *x /= largest);
        let norm = row.iter().fold(zero, |s, &x| s + x * x).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
        norm * largest
    } else {
        // 0, or the NaN among the values.
        row.iter().fold(zero, |sum, &x| sum + x)
    }
}

/// J₁ = Σ (−1)^(k+1) 2k/(2k+1)! φ^(2k+1), k from 1, in φ = π − θ.
const NEAR_PI_1: [f64; 7] = [
    1.0 / 3.0,
    -1.0 / 30.0,
    1.0 / 840.0,
    -1.0 / 45360.0,
    1.0 / 3991680.0,
    -1.0 / 518918400.0,
    1.0 / 93405312000.0,
];

/// J₂ = Σ (−1)^k (k−1)/(2k+1)! (2φ)^(2k+1), k from 2.
const NEAR_PI_2: [f64; 7] = [
    32.0 / 120.0,
    -2.0 * 128.0 / 5040.0,
    3.0 * 512.0 / 362880.0,
    -4.0 * 2048.0 / 39916800.0,
    5.0 * 8192.0 / 6227020800.0,
    -6.0 * 32768.0 / 1307674368000.0,
    7.0 * 131072.0 / 355687428096000.0,
];

/// φ³ Σ cₖ φ^2k.
#[inline(always)]
fn series<V: Vector>(c: &[f64; 7], phi: V) -> V {
    let square = phi * phi;
    let mut sum = V::splat(0.0);
    for &c in c.iter().rev() {
        sum = sum.mul_add(square, V::splat(c));
    }
    sum * square * phi
}

impl Pairing for ArcCosine {
    const START: [f64; 2] = [0.0, 0.0];

    fn enter<T: Real>(&self, row: &mut [T]) -> T {
        to_unit(row)
    }

    #[inline(always)]
    fn step<V: Vector>(&self, _: usize, x: V, y: V, [minus, plus]: [V; 2]) -> [V; 2] {
        let (d, s) = (x - y, x + y);
        [d.mul_add(d, minus), s.mul_add(s, plus)]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [minus, plus]: [V; 2], [a, b]: [V; 2]) -> V {
        let zero = V::splat(0.0);
        // ‖u − v‖ = 2 sin(θ/2), ‖u + v‖ = 2 cos(θ/2).
        let rest = (plus / minus).sqrt().map(|t| 2.0 * t.atan());
        let sine = (minus * plus).sqrt() * V::splat(0.5);
        let cosine = (plus - minus) * V::splat(0.25);
        let norms = a * b;
        // Near opposite points the terms of J₁ and J₂ cancel to order 3 and 5 in π − θ.
        let small = V::splat(0.4);
        let value = match self.order {
            0 => rest,
            1 => rest.select_lt(small, series(&NEAR_PI_1, rest), rest.mul_add(cosine, sine)) * norms,
            _ => {
                let square = cosine * cosine;
                let bracket = square + square + V::splat(1.0);
                let whole = rest * bracket + V::splat(3.0) * sine * cosine;
                rest.select_lt(small, series(&NEAR_PI_2, rest) * rest * rest, whole) * norms * norms
            }
        };
        // A row of zeros has no angle; the product of two tiny norms may underflow.
        let least = a.min(b) + (a + b) * zero;
        zero.select_lt(least, value * V::splat(1.0 / PI), least * zero)
    }
}

impl Pairing for ArcSine {
    const START: [f64; 2] = [0.0, 0.0];

    fn enter<T: Real>(&self, row: &mut [T]) -> T {
        T::of(1.0 / (1.0 + 2.0 * self.inner(row, row)).sqrt())
    }

    #[inline(always)]
    fn step<V: Vector>(&self, k: usize, x: V, y: V, [inner, unused]: [V; 2]) -> [V; 2] {
        [(x * y).mul_add(V::splat(self.weight(k)), inner), unused]
    }

    #[inline(always)]
    fn finish<V: Vector>(&self, [inner, _]: [V; 2], [a, b]: [V; 2]) -> V {
        let sine = (inner + V::splat(self.sigma2[0])) * V::splat(2.0) * (a * b);
        // Rounding may leave [−1, 1].
        sine.map(|t| 2.0 / PI * t.clamp(-1.0, 1.0).asin())
    }
}

/// `Kernel` and its company by a [`Pairing`].
macro_rules! paired {
    ($($kernel:ident { $($item:item)* })*) => {$(
        impl<T: Real> Kernel<Rows<T>> for $kernel {
            fn eval(&self, x: &[T], y: &[T]) -> T {
                eval_pair(self, x, y)
            }
            fn block(&self, at: &Block<'_, Rows<T>>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
                fill_pairs(at, self, out, ws);
            }
            fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
                diagonal_pairs(self, xs, rows, out);
            }
            $($item)*
        }
        impl PositiveDefinite for $kernel {}
        kernel_ops! { impl[] $kernel; }
    )*};
}

paired! {
    Tanimoto {
        fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
            let (zero, one, two) = (T::default(), T::of(1.0), T::of(2.0));
            let inner = x.iter().zip(y).fold(zero, |s, (&a, &b)| s + a * b);
            let distance = x.iter().zip(y).fold(zero, |s, (&a, &b)| s + (a - b) * (a - b));
            let union = inner + distance;
            if union == zero {
                jet.set_constant(one);
                return true;
            }
            let identity = |i: usize, j: usize, value: T| if i == j { value } else { zero };
            let mut reciprocal = jet.take(jet.dim());
            reciprocal.set(
                union,
                |i| two * x[i] - y[i],
                |i| two * y[i] - x[i],
                |i, j| identity(i, j, two),
                |i, j| identity(i, j, -one),
            );
            let inverse = one / union;
            reciprocal.chain([inverse, -inverse * inverse, two * inverse * inverse * inverse]);
            jet.set(inner, |i| y[i], |i| x[i], |_, _| zero, |i, j| identity(i, j, one));
            jet.multiply(&reciprocal);
            jet.give(reciprocal);
            true
        }
    }
    MinMax {
        fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
            match xs.as_slice().iter().position(|v| v.to_f64() < 0.0) {
                None => Ok(()),
                Some(k) => Err(Error::Domain {
                    kernel: "minmax",
                    row: k / xs.dim(),
                    column: k % xs.dim(),
                    value: xs.as_slice()[k].to_f64(),
                    expected: "numbers not below 0",
                }),
            }
        }
    }
    ArcCosine {
        fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
            // (‖x‖‖y‖)ⁿ F(cos θ): the cosine's jet, F by the chain rule, and two factors of one point each.
            if !crate::Cosine::new().jet(x, y, jet) {
                return false;
            }
            let (mut u, mut v) = (x.to_vec(), y.to_vec());
            let norms = [to_unit(&mut u), to_unit(&mut v)];
            let (mut minus, mut plus) = (0.0, 0.0);
            for (a, b) in u.iter().zip(&v).map(|(a, b)| (a.to_f64(), b.to_f64())) {
                minus += (a - b) * (a - b);
                plus += (a + b) * (a + b);
            }
            let angle = 2.0 * minus.sqrt().atan2(plus.sqrt());
            let all = self.of_cosine(0.5 * (minus * plus).sqrt(), 0.25 * (plus - minus), angle);
            if norms.iter().any(|&n| n == T::default()) {
                jet.set_constant(T::default());
                return true;
            }
            jet.chain(all.map(T::of));
            let n = T::of(f64::from(self.order));
            for (unit, norm, mirrored) in [(&u, norms[0], false), (&v, norms[1], true)] {
                let mut factor = jet.take(jet.dim());
                // ∇‖x‖ⁿ = n‖x‖ⁿ⁻¹u and ∇²‖x‖ⁿ = n‖x‖ⁿ⁻²(I + (n−2)uuᵀ).
                let power = norm.powi(self.order.cast_signed());
                let (first, second) = (n * power / norm, n * power / (norm * norm));
                let zero = T::default();
                factor.set(
                    power,
                    |i| first * unit[i],
                    |_| zero,
                    |i, j| {
                        let outer = (n - T::of(2.0)) * unit[i] * unit[j];
                        second * if i == j { outer + T::of(1.0) } else { outer }
                    },
                    |_, _| zero,
                );
                if mirrored {
                    factor.exchange();
                }
                jet.multiply(&factor);
                jet.give(factor);
            }
            true
        }
    }
    ArcSine {
        fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
            let (zero, w) = (T::default(), |i: usize| T::of(self.weight(i)));
            let (two, four) = (T::of(2.0), T::of(4.0));
            let diagonal = |i: usize, j: usize, value: T| if i == j { value } else { zero };
            let inner = T::of(2.0 * self.inner(x, y));
            jet.set(
                inner,
                |i| two * w(i) * y[i],
                |i| two * w(i) * x[i],
                |_, _| zero,
                |i, j| diagonal(i, j, two * w(i)),
            );
            for (point, mirrored) in [(x, false), (y, true)] {
                let mut root = jet.take(jet.dim());
                let own = 1.0 + 2.0 * self.inner(point, point);
                let (gradient, bend) = (|i: usize| four * w(i) * point[i], |i, j| diagonal(i, j, four * w(i)));
                root.set(T::of(own), gradient, |_| zero, bend, |_, _| zero);
                let value = 1.0 / own.sqrt();
                root.chain([value, -0.5 * value / own, 0.75 * value / own / own].map(T::of));
                if mirrored {
                    root.exchange();
                }
                jet.multiply(&root);
                jet.give(root);
            }
            let q = jet.value().to_f64();
            let cosine = (1.0 - q * q).max(0.0).sqrt();
            let slope = 1.0 / cosine;
            jet.chain([q.asin(), slope, q * slope * slope * slope].map(|v| T::of(2.0 / PI * v)));
            true
        }
        fn block_gradient(
            &self,
            at: &Block<'_, Rows<T>>,
            weights: DMatrixView<'_, T>,
            gradient: &mut [f64],
            _: &mut Workspace<T>,
        ) {
            let own = |x: &[T]| 1.0 + 2.0 * self.inner(x, x);
            let last = self.sigma2.len() - 1;
            for (j, c) in at.cols().enumerate() {
                let y = at.ys().point(c);
                let b = own(y);
                for (i, r) in at.rows().enumerate() {
                    let x = at.xs().point(r);
                    let a = own(x);
                    let root = (a * b).sqrt();
                    let q = 2.0 * self.inner(x, y) / root;
                    let scale = weights[(i, j)].to_f64() * 2.0 / PI / (1.0 - q * q).max(0.0).sqrt();
                    // By σ²: 2xy/√(ab) − q(x²/a + y²/b), with 1 for x and y at the bias.
                    let by = |x: f64, y: f64| scale * (2.0 * x * y / root - q * (x * x / a + y * y / b));
                    gradient[0] += by(1.0, 1.0);
                    for (k, (x, y)) in x.iter().zip(y).enumerate() {
                        gradient[(k + 1).min(last)] += by(x.to_f64(), y.to_f64());
                    }
                }
            }
        }
        fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
            let given = xs.dim();
            if self.sigma2.len() == 2 || self.sigma2.len() == given + 1 {
                Ok(())
            } else {
                let expected = self.sigma2.len() - 1;
                Err(Error::Shape { what: "number of features (one variance each, after the bias)", expected, given })
            }
        }
    }
}

impl Describe for Tanimoto {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("tanimoto", []))
    }
}

impl Describe for MinMax {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("minmax", []))
    }
}

impl Describe for ArcCosine {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("arccos", [("order", f64::from(self.order).into())]))
    }
}

impl Describe for ArcSine {
    fn params(&self) -> Vec<Param> {
        let param = |(i, &value): (usize, &f64)| Param {
            bounds: (0.0, 1e5),
            transform: Transform::Identity,
            ..Param::positive(format!("sigma2[{i}]"), value)
        };
        self.sigma2.iter().enumerate().map(param).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(self.sigma2.len(), values.len())?;
        *self = Self::new(values)?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("arcsin", [("sigma2", Value::from(self.sigma2.as_slice()))]))
    }
}

impl<T: Real> Differentiable<T> for Tanimoto {}
impl<T: Real> Differentiable<T> for ArcCosine {}
impl<T: Real> Differentiable<T> for ArcSine {}
