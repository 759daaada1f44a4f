//! The global alignment kernel.

use std::ops::Range;

use nalgebra::DMatrixView;

use super::{
    Path, Paths, ScaledValue,
    adjoint::{Sink, gradients},
    cells::{Pair, Plan, Source, Strips, values},
    gradient::ByParameters,
    grid::{Grid, Recurrence},
    lift::Lift,
    signature::{entries, place, used, weighted},
};
use crate::{
    Block, Describe, Error, Expr, Kernel, LengthScale, Param, Points, PositiveDefinite, Rbf, Real, Rows,
    Tile, Value, Workspace, kernel_ops,
};

/// The global alignment kernel: the sum over all alignments of two series of the product of κ over aligned knots, with
/// κ = ω k/(2 − ω k), k = exp(−‖x − y‖²/(2ℓ²)), and ω = max(0, 1 − |i − j|/T) if a triangle of width T is asked for.
///
/// Normalised to a unit diagonal unless told otherwise: the sum itself grows like (3 + 2√2)^L. It is formed with a power
/// of two beside it, so that no length overflows. A good ℓ is the median distance of knots times √L.
///
/// References: Cuturi, Vert, Birkenes, Matsui, *A kernel for time series based on global alignments* (2007); Cuturi,
/// *Fast global alignment kernels* (2011).
///
/// ```
/// use kernels_core::{GlobalAlignment, Paths, gram};
/// let series = Paths::from_array(vec![0.0, 1.0, 2.0, 0.0, 1.1, 2.0], 2, 3, 1)?;
/// let k = gram(&GlobalAlignment::new(1.0)?, &series)?;
/// assert_eq!(k[(0, 0)], 1.0);
/// assert!(k[(0, 1)] > 0.99 && k[(0, 1)] < 1.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalAlignment {
    local: Rbf,
    triangle: usize,
    normalize: bool,
}

impl GlobalAlignment {
    /// With this length scale of knots; normalised, without a triangle.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a length scale that is not finite and positive.
    pub fn new(length_scale: impl Into<LengthScale>) -> Result<Self, Error> {
        Ok(Self { local: Rbf::new(length_scale)?, triangle: 0, normalize: true })
    }

    /// Only knots less than `width` apart in time are aligned, with weights that fall linearly; 0 for no such bound.
    /// Series whose lengths differ by as much have kernel 0.
    pub fn triangle(self, width: usize) -> Self {
        Self { triangle: width, ..self }
    }

    /// Whether values are divided by √(k(x, x) k(y, y)).
    pub fn normalize(self, normalize: bool) -> Self {
        Self { normalize, ..self }
    }

    /// The sum over alignments, not normalised, also where it exceeds the range of f64.
    ///
    /// # Errors
    /// [`Error::Shape`] when the series differ in their features.
    pub fn scaled<T: Real>(&self, x: Path<'_, T>, y: Path<'_, T>) -> Result<ScaledValue, Error> {
        let (xs, ys) = (Paths::from_paths(&[x])?, Paths::from_paths(&[y])?);
        ys.check_compatible(&xs)?;
        self.check(&xs)?;
        Ok(self.sums(&xs, &ys, &[(0, 0)])[0])
    }

    /// Sums over alignments of pairs.
    fn sums<T: Real>(&self, xs: &Paths<T>, ys: &Paths<T>, indices: &[(usize, usize)]) -> Vec<ScaledValue> {
        let knots = Lift { kernel: &self.local, xs, ys, differences: false };
        let weighted = Weighted { inner: &knots, triangle: self.triangle };
        let pairs = pairs(xs, ys, indices.iter().map(|&at| (at, ScaledValue::ONE)));
        let mut sums = values(&Source::Lifted(&weighted), &pairs, Grid::new(Recurrence::Alignment));
        for (sum, pair) in sums.iter_mut().zip(&pairs) {
            // A row of the table had more than the range of f64 from end to end: logarithms have no range.
            if sum.sign().abs() < 0.5 {
                *sum = in_logarithms(&weighted, pair);
            }
        }
        sums
    }

    /// Sums over alignments of series with themselves, where they are used.
    fn norms<T: Real>(&self, xs: &Paths<T>, used: &[usize]) -> Vec<ScaledValue> {
        let own: Vec<(usize, usize)> = used.iter().map(|&i| (i, i)).collect();
        let mut norms = vec![ScaledValue::ONE; xs.len()];
        used.iter().zip(self.sums(xs, xs, &own)).for_each(|(&i, norm)| norms[i] = norm);
        norms
    }

    /// Adds Σ w ∂(sum over alignments)/∂ℓ for pairs with weights. Where only logarithms hold a sum, it is too small for its cosine to
    /// change, and nothing is added.
    fn add_derivatives<T: Real>(
        &self,
        xs: &Paths<T>,
        ys: &Paths<T>,
        weighted: &[((usize, usize), ScaledValue)],
        gradient: &mut [f64],
    ) {
        let lift = || Lift { kernel: &self.local, xs, ys, differences: false };
        let knots = lift();
        let cells = Weighted { inner: &knots, triangle: self.triangle };
        let pairs = pairs(xs, ys, weighted.iter().copied());
        let count = gradient.len();
        let scheme = Grid::new(Recurrence::Alignment);
        let sinks = gradients(&Source::Lifted(&cells), &pairs, scheme, || Unweighted {
            inner: ByParameters::new(lift(), 1.0, count),
            triangle: self.triangle,
        });
        for sink in sinks {
            gradient.iter_mut().zip(sink.inner.gradient()).for_each(|(to, g)| *to += g);
        }
    }

    /// Values of pairs from those of `norms` on the diagonal.
    fn finish<T: Real>(
        &self,
        xs: &Paths<T>,
        ys: &Paths<T>,
        within: bool,
        (rows, cols): (&[usize], &[usize]),
        pairs: &[(usize, usize)],
    ) -> Vec<f64> {
        let sums = self.sums(xs, ys, pairs);
        if !self.normalize {
            return sums.iter().map(ScaledValue::value).collect();
        }
        let x = self.norms(xs, rows);
        let y = if within { x.clone() } else { self.norms(ys, cols) };
        let cosine = |(&(i, j), k): (&(usize, usize), &ScaledValue)| {
            let cosine = k.normalized(x[i], y[j]);
            if within && i == j && cosine > 0.0 { 1.0 } else { cosine }
        };
        pairs.iter().zip(&sums).map(cosine).collect()
    }
}

/// Pairs of series with the weights of their values.
fn pairs<T: Real>(
    xs: &Paths<T>,
    ys: &Paths<T>,
    weighted: impl Iterator<Item = ((usize, usize), ScaledValue)>,
) -> Vec<Pair> {
    let pair = |((x, y), weight)| Pair {
        x,
        y,
        rows: xs.range(x).len(),
        cols: ys.range(y).len(),
        scale: 1.0,
        plan: Plan::default(),
        watch: true,
        weight,
    };
    weighted.map(pair).collect()
}

/// Derivatives by numbers on cells that were multiplied by the weights of a triangle.
struct Unweighted<'a, T: Real> {
    inner: ByParameters<'a, T>,
    triangle: usize,
}

impl<T: Real> Sink for Unweighted<'_, T> {
    fn strip(&mut self, pair: &Pair, rows: Range<usize>, derivatives: &[f64]) {
        let mut by_local = derivatives.to_vec();
        triangular(self.triangle, rows.clone(), pair.cols, &mut by_local);
        self.inner.strip(pair, rows, &by_local);
    }
}

/// Multiplies rows of a table by 1 − |i − j|/`width`, not below 0; by 1 for a width of 0.
fn triangular(width: usize, rows: Range<usize>, cols: usize, table: &mut [f64]) {
    if width == 0 {
        return;
    }
    for (i, row) in rows.zip(table.chunks_exact_mut(cols)) {
        for (j, value) in row.iter_mut().enumerate() {
            *value *= (1.0 - i.abs_diff(j) as f64 / width as f64).max(0.0);
        }
    }
}

/// Numbers on cells times the weights of a triangle.
struct Weighted<'a> {
    inner: &'a dyn Strips,
    triangle: usize,
}

impl Strips for Weighted<'_> {
    fn strip(&self, pair: &Pair, rows: Range<usize>, out: &mut [f64]) {
        self.inner.strip(pair, rows.clone(), out);
        triangular(self.triangle, rows, pair.cols, out);
    }
}

/// The sum over alignments of one pair by sums of exponentials of logarithms.
fn in_logarithms(cells: &dyn Strips, pair: &Pair) -> ScaledValue {
    let mut row = vec![f64::NEG_INFINITY; pair.cols + 1];
    row[0] = 0.0;
    let mut g = vec![0.0; pair.cols];
    for i in 0..pair.rows {
        cells.strip(pair, i..i + 1, &mut g);
        let mut corner = row[0];
        row[0] = f64::NEG_INFINITY;
        for j in 0..pair.cols {
            let terms = [corner, row[j], row[j + 1]];
            let largest = terms.iter().fold(f64::NEG_INFINITY, |m, &t| if t <= m { m } else { t });
            corner = row[j + 1];
            row[j + 1] = if largest.is_infinite() {
                f64::NEG_INFINITY
            } else {
                let sum: f64 = terms.iter().map(|t| (t - largest).exp()).sum();
                (g[j] / (2.0 - g[j])).ln() + largest + sum.ln()
            };
        }
    }
    let ln = row[pair.cols];
    if ln.is_infinite() {
        return ScaledValue::new(0.0, 0);
    }
    let exponent = (ln / std::f64::consts::LN_2).floor();
    ScaledValue::new((ln - exponent * std::f64::consts::LN_2).exp(), exponent as i64)
}

impl Describe for GlobalAlignment {
    fn params(&self) -> Vec<Param> {
        self.local.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.local.set_params(values)
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call(
            "gak",
            [
                ("length_scale", self.local.length_scale().argument()),
                ("triangle", (self.triangle as f64).into()),
                ("normalize", Value::Word(self.normalize.to_string())),
            ],
        ))
    }
}

impl<T: Real> Kernel<Paths<T>> for GlobalAlignment {
    fn eval(&self, x: Path<'_, T>, y: Path<'_, T>) -> T {
        let (Ok(xs), Ok(ys)) = (Paths::from_paths(&[x]), Paths::from_paths(&[y])) else {
            return T::of(f64::NAN);
        };
        T::of(self.finish(&xs, &ys, false, (&[0], &[0]), &[(0, 0)])[0])
    }

    fn block(&self, at: &Block<'_, Paths<T>>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let (rows, cols) = used(at);
        let pairs = entries(at);
        let values = self.finish(at.xs(), at.ys(), at.is_within(), (&rows, &cols), &pairs);
        for (&pair, value) in pairs.iter().zip(values) {
            place(at, pair, T::of(value), &mut out);
        }
    }

    fn diagonal(&self, xs: &Paths<T>, rows: Range<usize>, out: &mut [T]) {
        let used: Vec<usize> = rows.collect();
        let pairs: Vec<(usize, usize)> = used.iter().map(|&i| (i, i)).collect();
        let values = self.finish(xs, xs, true, (&used, &used), &pairs);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = T::of(value));
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Paths<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        let (xs, ys) = (at.xs(), at.ys());
        let (indices, given) = weighted(at, weights);
        if !self.normalize {
            let all: Vec<_> =
                indices.into_iter().zip(given.iter().map(|&w| ScaledValue::new(w, 0))).collect();
            self.add_derivatives(xs, ys, &all, gradient);
            return;
        }
        // d(k/√(a b)) = dk/√(a b) − ½ (k/√(a b)) (da/a + db/b).
        let (rows, cols) = used(at);
        let x = self.norms(xs, &rows);
        let y = if at.is_within() { x.clone() } else { self.norms(ys, &cols) };
        let mut own = (vec![0.0; xs.len()], vec![0.0; ys.len()]);
        let mut all = Vec::with_capacity(given.len());
        for ((&(i, j), &w), sum) in indices.iter().zip(&given).zip(self.sums(xs, ys, &indices)) {
            let cosine = sum.normalized(x[i], y[j]);
            own.0[i] -= 0.5 * w * cosine;
            own.1[j] -= 0.5 * w * cosine;
            all.push(((i, j), ScaledValue::new(w, 0).over_roots(x[i], y[j])));
        }
        self.add_derivatives(xs, ys, &all, gradient);
        let mut sides = vec![(cols, ys, y, own.1)];
        if at.is_within() {
            // Both sides are the same series.
            sides[0].3.iter_mut().zip(own.0).for_each(|(to, w)| *to += w);
        } else {
            sides.push((rows, xs, x, own.0));
        }
        for (used, paths, norms, own) in sides {
            let weight = |i: usize| ScaledValue::new(own[i], 0).over_roots(norms[i], norms[i]);
            let pairs: Vec<_> = used.into_iter().map(|i| ((i, i), weight(i))).collect();
            self.add_derivatives(paths, paths, &pairs, gradient);
        }
    }

    fn check(&self, xs: &Paths<T>) -> Result<(), Error> {
        Kernel::<Rows<T>>::check(&self.local, xs.knots())
    }
}

impl PositiveDefinite for GlobalAlignment {}
kernel_ops! { impl[] GlobalAlignment; }
