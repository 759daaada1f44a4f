//! Derivatives of weighted sums of kernel values by hyper-parameters, never an n × n × p array.

use nalgebra::{DMatrixView, DMatrixViewMut};

use super::{
    pack::{Entry, Panels},
    pairwise::{Geometry, fill, inverses},
    parallel::map_tasks,
};
use crate::{
    Block, Error, Kernel, LengthScale, Points, Profile, Real, Rows, Vector, Workspace,
    algebra::scratch,
    profile::Identity,
    simd::{MAX_LANES, Work, load_some, store_some},
};

/// Rows and columns of a tile: several a thread also for a thousand points.
const TILE: usize = 128;

/// Σᵢⱼ W\[i, j\] ∂K\[i, j\]/∂θₚ for every hyper-parameter θₚ of the kernel, by natural values, in the order of
/// [`Describe::params`](crate::Describe::params). W must be symmetric; its upper triangle is not read.
///
/// **Errors.** [`Error::Shape`] when `weights` is not n × n; what [`Kernel::check`] says of the points.
///
/// **Complexity.** n²/2 kernel values and derivatives, for length scales of d features O(n² d); memory O(tile) a thread.
///
/// ```
/// use kernels_core::{Rbf, Rows, gram_gradient};
/// use nalgebra::dmatrix;
/// let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1)?;
/// let weights = dmatrix![0.0, 1.0; 1.0, 0.0];
/// let gradient = gram_gradient(&Rbf::new(1.0)?, &xs, weights.as_view())?;
/// // d/dl exp(-1/(2 l²)) = exp(-1/2) at l = 1, twice.
/// assert!((gradient[0] - 2.0 * (-0.5_f64).exp()).abs() < 1e-15);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn gram_gradient<P: Points + ?Sized, K: Kernel<P> + ?Sized>(
    kernel: &K,
    xs: &P,
    weights: DMatrixView<'_, P::Scalar>,
) -> Result<Vec<f64>, Error> {
    kernel.check(xs)?;
    let (n, count) = (xs.len(), kernel.params().len());
    for given in [weights.nrows(), weights.ncols()] {
        if given != n {
            return Err(Error::Shape { what: "rows and columns of the weights", expected: n, given });
        }
    }
    let tiles = n.div_ceil(TILE);
    let range = |tile: usize| tile * TILE..((tile + 1) * TILE).min(n);
    let parts = map_tasks(tiles * (tiles + 1) / 2, |task, ws| {
        let (row, col) = super::gram::lower_triangle(task);
        let (rows, cols) = (range(row), range(col));
        let mut gradient = vec![0.0; count];
        if let Ok(at) = Block::within(xs, rows.clone(), cols.clone()) {
            let part = weights.view((rows.start, cols.start), at.shape());
            if row == col {
                symmetric_part(part, ws, |part, ws| kernel.block_gradient(&at, part, &mut gradient, ws));
            } else {
                kernel.block_gradient(&at, part, &mut gradient, ws);
                gradient.iter_mut().for_each(|g| *g *= 2.0);
            }
        }
        gradient
    });
    // In the order of the tasks, whoever did them.
    let mut sum = vec![0.0; count];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(s, g)| *s += g);
    }
    Ok(sum)
}

/// A tile on the diagonal, its upper triangle taken from the lower.
fn symmetric_part<T: Real>(
    lower: DMatrixView<'_, T>,
    ws: &mut Workspace<T>,
    work: impl FnOnce(DMatrixView<'_, T>, &mut Workspace<T>),
) {
    scratch(ws, lower.shape(), |mut full, ws| {
        full.copy_from(&lower);
        full.fill_upper_triangle_with_lower_triangle();
        work(full.as_view(), ws);
    });
}

/// Adds Σ W ∂φ(s)/∂pᵢ for the parameters pᵢ of the profile's shape.
pub(crate) fn shape_gradient<T: Real, F: Profile>(
    at: &Block<'_, Rows<T>>,
    geometry: Geometry<'_>,
    profile: &F,
    weights: DMatrixView<'_, T>,
    gradient: &mut [f64],
    ws: &mut Workspace<T>,
) {
    if gradient.is_empty() {
        return;
    }
    with_numbers(at, geometry, ws, |numbers, _| add_shape(profile, &numbers, weights, gradient));
}

/// Adds the derivatives of a kernel φ(s), s = Σ tᵢ with tᵢ = ((xᵢ−yᵢ)/ℓᵢ)² or |xᵢ−yᵢ|/ℓᵢ:
/// ∂k/∂ℓᵢ = −q φ'(s) tᵢ / ℓᵢ with q = 2 or 1.
pub(crate) fn length_gradient<T: Real, F: Profile>(
    at: &Block<'_, Rows<T>>,
    geometry: Geometry<'_>,
    profile: &F,
    weights: DMatrixView<'_, T>,
    shape: &mut [f64],
    lengths: &mut [f64],
    ws: &mut Workspace<T>,
) {
    let (Geometry::SquaredDistance(length_scale)
    | Geometry::ExactDistance(length_scale)
    | Geometry::Manhattan(length_scale)) = geometry
    else {
        return;
    };
    let power = if matches!(geometry, Geometry::Manhattan(_)) { 1.0 } else { 2.0 };
    with_numbers(at, geometry, ws, |mut numbers, ws| {
        add_shape(profile, &numbers, weights, shape);
        if lengths.is_empty() {
            return;
        }
        let isotropic = matches!(length_scale, LengthScale::Isotropic(_));
        for (mut s, w) in numbers.column_iter_mut().zip(weights.column_iter()) {
            T::dispatch(WeighSlopes { profile, s: s.as_mut_slice(), w: w.as_slice(), times_s: isotropic });
        }
        match length_scale {
            LengthScale::Isotropic(l) => {
                lengths[0] -= power / l * numbers.column_iter().map(|c| sum(c.as_slice())).sum::<f64>();
            }
            LengthScale::PerFeature(l) => {
                let inverse: Vec<T> = inverses(l);
                let terms =
                    T::dispatch(Terms { at, slopes: &numbers, inverse: &inverse, squared: power > 1.5, ws });
                for ((gradient, sum), l) in lengths.iter_mut().zip(terms).zip(l) {
                    *gradient -= power / l * sum;
                }
            }
        }
    });
}

/// The numbers a profile is applied to, in a buffer of the workspace.
fn with_numbers<T: Real>(
    at: &Block<'_, Rows<T>>,
    geometry: Geometry<'_>,
    ws: &mut Workspace<T>,
    work: impl FnOnce(DMatrixViewMut<'_, T>, &mut Workspace<T>),
) {
    scratch(ws, at.shape(), |mut numbers, ws| {
        fill(at, geometry, &Identity, numbers.as_view_mut(), ws);
        work(numbers, ws);
    });
}

fn add_shape<T: Real, F: Profile>(
    profile: &F,
    numbers: &DMatrixViewMut<'_, T>,
    weights: DMatrixView<'_, T>,
    gradient: &mut [f64],
) {
    for (index, gradient) in gradient.iter_mut().enumerate() {
        for (s, w) in numbers.column_iter().zip(weights.column_iter()) {
            *gradient += T::dispatch(ShapeSum { profile, index, s: s.as_slice(), w: w.as_slice() });
        }
    }
}

/// Sum in f64: gradients of large matrices keep their digits also in f32.
fn sum<T: Real>(values: &[T]) -> f64 {
    values.iter().map(|v| v.to_f64()).sum()
}

#[inline(always)]
fn sum_lanes<V: Vector>(v: V) -> f64 {
    let mut lanes = [V::Scalar::default(); MAX_LANES];
    v.store(&mut lanes);
    sum(&lanes[..V::LANES])
}

/// s ← w φ'(s), times s if asked.
struct WeighSlopes<'a, T, F> {
    profile: &'a F,
    s: &'a mut [T],
    w: &'a [T],
    times_s: bool,
}

impl<T: Real, F: Profile> Work<T> for WeighSlopes<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        for (to, w) in self.s.chunks_mut(V::LANES).zip(self.w.chunks(V::LANES)) {
            let s = load_some::<V>(to);
            let weighted = load_some::<V>(w) * self.profile.slope(s);
            store_some(if self.times_s { weighted * s } else { weighted }, to);
        }
    }
}

/// Σ w ∂φ(s)/∂p.
struct ShapeSum<'a, T, F> {
    profile: &'a F,
    index: usize,
    s: &'a [T],
    w: &'a [T],
}

impl<T: Real, F: Profile> Work<T> for ShapeSum<'_, T, F> {
    type Output = f64;
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) -> f64 {
        let mut total = V::splat(0.0);
        for (s, w) in self.s.chunks(V::LANES).zip(self.w.chunks(V::LANES)) {
            let slope = self.profile.shape_slope(self.index, load_some::<V>(s));
            // Padding has weight 0, but its slope may be infinite: a product would be NaN there.
            let mut lanes = [T::default(); MAX_LANES];
            (load_some::<V>(w) * slope).store(&mut lanes);
            lanes[s.len().min(V::LANES)..].fill(T::default());
            total = total + V::load(&lanes);
        }
        sum_lanes(total)
    }
}

/// For every feature k: Σᵢⱼ slopes\[i, j\] t(xᵢₖ − yⱼₖ), by differences.
struct Terms<'a, 'p, T: Real> {
    at: &'a Block<'p, Rows<T>>,
    slopes: &'a DMatrixViewMut<'a, T>,
    inverse: &'a [T],
    squared: bool,
    ws: &'a mut Workspace<T>,
}

impl<T: Real> Work<T> for Terms<'_, '_, T> {
    type Output = Vec<f64>;
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) -> Vec<f64> {
        let (rows, _) = self.at.shape();
        // One panel of all rows: the values of a feature are contiguous.
        let width = rows.next_multiple_of(V::LANES);
        let features = Panels::new(self.at.xs(), self.at.rows(), width, &Entry::RAW, false, self.ws);
        let mut sums = vec![0.0; self.at.xs().dim()];
        for (j, c) in self.at.cols().enumerate() {
            let y = self.at.ys().point(c);
            let slopes = self.slopes.column(j);
            for (k, x) in features.panel(0).chunks_exact(width).enumerate() {
                let (y, inverse) = (V::broadcast(y[k]), V::broadcast(self.inverse[k]));
                let mut total = V::splat(0.0);
                for (slope, x) in slopes.as_slice().chunks(V::LANES).zip(x.chunks_exact(V::LANES)) {
                    let d = (V::load(x) - y) * inverse;
                    let term = if self.squared { d * d } else { d.abs() };
                    // Rows past the end have slope 0 and the finite values of the last row.
                    total = load_some::<V>(slope).mul_add(term, total);
                }
                sums[k] += sum_lanes(total);
            }
        }
        features.recycle(self.ws);
        sums
    }
}
