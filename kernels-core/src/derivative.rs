//! Derivatives of a kernel by its input.

use crate::{Error, Kernel, Real, Rows};

/// A kernel's value and derivatives at one pair of points of ℝᵈ: what [`Kernel::jet`] fills.
///
/// First derivatives by both points, and, when asked for, ∂²k/∂x∂xᵀ and ∂²k/∂x∂yᵀ as d × d column-major matrices. A jet
/// keeps buffers for compositions, so that one jet for many pairs does not allocate.
///
/// ```
/// use kernels_core::{Jet, Kernel, Linear, Rows};
/// let mut jet = Jet::new(2, true);
/// assert!(Kernel::<Rows<f64>>::jet(&Linear::new(1.0)?, &[1.0, 2.0], &[3.0, 4.0], &mut jet));
/// assert_eq!((jet.value(), jet.by_x(), jet.by_y()), (12.0, &[3.0, 4.0][..], &[1.0, 2.0][..]));
/// assert_eq!((jet.by_xx(), jet.by_xy()), (&[0.0; 4][..], &[1.0, 0.0, 0.0, 1.0][..]));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jet<T> {
    value: T,
    x: Vec<T>,
    y: Vec<T>,
    xx: Vec<T>,
    xy: Vec<T>,
    dim: usize,
    second: bool,
    spare: Vec<Jet<T>>,
}

impl<T: Real> Jet<T> {
    /// Room for the derivatives by points of `dim` features; with second derivatives if `second`.
    pub fn new(dim: usize, second: bool) -> Self {
        let zeros = |n: usize| vec![T::default(); n];
        let squares = if second { dim * dim } else { 0 };
        Self {
            value: T::default(),
            x: zeros(dim),
            y: zeros(dim),
            xx: zeros(squares),
            xy: zeros(squares),
            dim,
            second,
            spare: Vec::new(),
        }
    }

    /// Number of features d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether second derivatives are asked for; where they are not, [`Jet::by_xx`] and [`Jet::by_xy`] are empty.
    pub fn has_second(&self) -> bool {
        self.second
    }

    /// k(x, y).
    pub fn value(&self) -> T {
        self.value
    }

    /// ∂k/∂x.
    pub fn by_x(&self) -> &[T] {
        &self.x
    }

    /// ∂k/∂y.
    pub fn by_y(&self) -> &[T] {
        &self.y
    }

    /// ∂²k/∂x∂xᵀ, column-major.
    pub fn by_xx(&self) -> &[T] {
        &self.xx
    }

    /// ∂²k/∂x∂yᵀ, column-major: entry (i, j) is ∂²k/∂xᵢ∂yⱼ.
    pub fn by_xy(&self) -> &[T] {
        &self.xy
    }

    /// Overwrites everything with functions of the feature: the value, ∂k/∂xᵢ, ∂k/∂yᵢ, ∂²k/∂xᵢ∂xⱼ, ∂²k/∂xᵢ∂yⱼ. The last two are
    /// called only where second derivatives are asked for.
    pub fn set(
        &mut self,
        value: T,
        x: impl Fn(usize) -> T,
        y: impl Fn(usize) -> T,
        xx: impl Fn(usize, usize) -> T,
        xy: impl Fn(usize, usize) -> T,
    ) {
        self.value = value;
        for i in 0..self.dim {
            self.x[i] = x(i);
            self.y[i] = y(i);
        }
        if self.second {
            for j in 0..self.dim {
                for i in 0..self.dim {
                    self.xx[i + j * self.dim] = xx(i, j);
                    self.xy[i + j * self.dim] = xy(i, j);
                }
            }
        }
    }

    /// The jet of a function of x − y from its value, gradient and Hessian by x.
    pub(crate) fn set_stationary(
        &mut self,
        value: T,
        x: impl Fn(usize) -> T,
        xx: impl Fn(usize, usize) -> T,
    ) {
        self.set(value, &x, |i| -x(i), &xx, |i, j| -xx(i, j));
    }

    /// The jet of a constant.
    pub(crate) fn set_constant(&mut self, value: T) {
        self.value = value;
        for part in [&mut self.x, &mut self.y, &mut self.xx, &mut self.xy] {
            part.fill(T::default());
        }
    }

    /// The jet of f(k) from that of k: f, f′ and f″ at its value.
    pub(crate) fn chain(&mut self, [f, slope, curvature]: [T; 3]) {
        let d = self.dim;
        self.value = f;
        if self.second {
            for j in 0..d {
                for i in 0..d {
                    let e = i + j * d;
                    self.xx[e] = slope * self.xx[e] + curvature * self.x[i] * self.x[j];
                    self.xy[e] = slope * self.xy[e] + curvature * self.x[i] * self.y[j];
                }
            }
        }
        self.x.iter_mut().chain(&mut self.y).for_each(|g| *g *= slope);
    }

    /// The jet of the sum of two kernels.
    pub(crate) fn add(&mut self, other: &Self) {
        self.value += other.value;
        let parts = [
            (&mut self.x, &other.x),
            (&mut self.y, &other.y),
            (&mut self.xx, &other.xx),
            (&mut self.xy, &other.xy),
        ];
        for (a, b) in parts {
            a.iter_mut().zip(b).for_each(|(a, &b)| *a += b);
        }
    }

    /// The jet of the product of two kernels.
    pub(crate) fn multiply(&mut self, other: &Self) {
        let (d, a, b) = (self.dim, self.value, other.value);
        if self.second {
            for j in 0..d {
                for i in 0..d {
                    let e = i + j * d;
                    self.xx[e] =
                        self.xx[e] * b + self.x[i] * other.x[j] + other.x[i] * self.x[j] + a * other.xx[e];
                    self.xy[e] =
                        self.xy[e] * b + self.x[i] * other.y[j] + other.x[i] * self.y[j] + a * other.xy[e];
                }
            }
        }
        for (own, other) in [(&mut self.x, &other.x), (&mut self.y, &other.y)] {
            own.iter_mut().zip(other).for_each(|(own, &other)| *own = *own * b + a * other);
        }
        self.value = a * b;
    }

    /// The jet of k(x, y) as a function of x alone, y held.
    pub(crate) fn first_only(&mut self) {
        self.y.fill(T::default());
        self.xy.fill(T::default());
    }

    /// The jet of f(y) from that of f(x), a function of one point.
    pub(crate) fn exchange(&mut self) {
        std::mem::swap(&mut self.x, &mut self.y);
        self.xx.fill(T::default());
    }

    /// A second jet of the same order for points of `dim` features, from the pool; give it back with [`Jet::give`].
    pub(crate) fn take(&mut self, dim: usize) -> Self {
        let mut jet = self.spare.pop().unwrap_or_else(|| Self::new(dim, self.second));
        if jet.dim != dim {
            let squares = if self.second { dim * dim } else { 0 };
            jet.x.resize(dim, T::default());
            jet.y.resize(dim, T::default());
            jet.xx.resize(squares, T::default());
            jet.xy.resize(squares, T::default());
            jet.dim = dim;
        }
        jet
    }

    pub(crate) fn give(&mut self, jet: Self) {
        self.spare.push(jet);
    }
}

/// A kernel on ℝᵈ with derivatives by its input: known by its type, or dynamic (read from text, boxed) and then asked by value
/// ([`Differentiable::check_derivatives`]).
///
/// Where a derivative does not exist (the Laplacian at equal coordinates, Matérn ½ at equal points) it counts as 0: the mean of
/// the one-sided ones. What is written is [`Kernel::jet`]; implement this trait for a kernel of your own that has it:
///
/// ```
/// use kernels_core::{Differentiable, Matern, Rbf};
/// let (x, y) = ([0.0, 0.5], [1.0, 0.5]);
/// let k = Rbf::new(1.0)? + 2.0 * Matern::new(2.5, 1.0)?;
/// let (mut gradient, mut hessian) = ([0.0; 2], [0.0; 4]);
/// k.gradient(&x, &y, &mut gradient)?;
/// k.hessian(&x, &y, &mut hessian)?;
/// assert!(gradient[0] > 0.0 && gradient[1] == 0.0 && hessian[1] == 0.0 && hessian[3] < 0.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub trait Differentiable<T: Real>: Kernel<Rows<T>> {
    /// ∂k/∂x, d values.
    ///
    /// # Errors
    /// [`Error::Shape`] for unequal lengths, [`Error::NotDifferentiable`] for a dynamic kernel without derivatives.
    fn gradient(&self, x: &[T], y: &[T], out: &mut [T]) -> Result<(), Error> {
        derivative(self, x, y, false, x.len(), out, Jet::by_x)
    }

    /// ∂²k/∂x∂xᵀ, d × d column-major.
    ///
    /// # Errors
    /// As [`Differentiable::gradient`].
    fn hessian(&self, x: &[T], y: &[T], out: &mut [T]) -> Result<(), Error> {
        derivative(self, x, y, true, x.len() * x.len(), out, Jet::by_xx)
    }

    /// ∂²k/∂x∂yᵀ, d × d column-major: entry (i, j) is ∂²k/∂xᵢ∂yⱼ.
    ///
    /// # Errors
    /// As [`Differentiable::gradient`].
    fn cross_hessian(&self, x: &[T], y: &[T], out: &mut [T]) -> Result<(), Error> {
        derivative(self, x, y, true, x.len() * x.len(), out, Jet::by_xy)
    }

    /// Whether there are derivatives for points of `dim` features, second ones if `second`: for dynamic kernels, once, before a
    /// loop over [`Kernel::jet`].
    ///
    /// # Errors
    /// [`Error::NotDifferentiable`].
    fn check_derivatives(&self, dim: usize, second: bool) -> Result<(), Error> {
        // Off the origin and apart: the place where the fewest families are singular.
        let (x, y) = (vec![T::of(0.25); dim], vec![T::of(0.75); dim]);
        if self.jet(&x, &y, &mut Jet::new(dim, second)) {
            Ok(())
        } else {
            Err(Error::NotDifferentiable { order: if second { 2 } else { 1 } })
        }
    }
}

fn derivative<T: Real>(
    kernel: &(impl Kernel<Rows<T>> + ?Sized),
    x: &[T],
    y: &[T],
    second: bool,
    expected: usize,
    out: &mut [T],
    part: fn(&Jet<T>) -> &[T],
) -> Result<(), Error> {
    if x.len() != y.len() {
        return Err(Error::Shape { what: "number of features", expected: x.len(), given: y.len() });
    }
    if out.len() != expected {
        return Err(Error::Shape { what: "number of derivatives", expected, given: out.len() });
    }
    let mut jet = Jet::new(x.len(), second);
    if !kernel.jet(x, y, &mut jet) {
        return Err(Error::NotDifferentiable { order: if second { 2 } else { 1 } });
    }
    out.copy_from_slice(part(&jet));
    Ok(())
}

impl<T: Real, K: Kernel<Rows<T>> + ?Sized> Differentiable<T> for Box<K> {}
