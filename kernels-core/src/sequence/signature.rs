//! The signature kernel of paths.

use std::{borrow::Cow, ops::Range};

use nalgebra::DMatrixView;

use super::{
    Path, Paths, ScaledValue,
    grid::MOST_HALVINGS,
    setting::{Setting, Side},
    tile::MOST_DEGREE,
    truncated::Truncation,
};
use crate::{
    Block, Definiteness, Describe, Error, Expr, Kernel, Param, Points, PositiveDefinite, Real, Rows, Tile,
    Workspace, describe::positive, kernel_ops,
};

/// The signature kernel k(x, y) = Σ_l ⟨S_l(x), S_l(y)⟩ of two paths, lifted by a kernel of their knots.
///
/// S_l(x) = ∫ dx ⊗ … ⊗ dx over l ordered times is level l of the signature: all iterated integrals, which describe a path up
/// to how fast it is run through. A path is straight between its knots in the feature space of the lift; everything
/// depends on the data through the second differences Gᵢⱼ of the lift at the knots. Signatures are never formed: k
/// solves the Goursat problem ∂s∂t K = G K with K = 1 on both edges.
///
/// The default solver keeps polynomials on the edges of cells and chooses their degree for a tolerance from how far the
/// paths go ([`Solver`]). Pairs run side by side in the lanes of vectors; a value does not depend on its
/// company. Memory is O(length) a pair.
///
/// References: Király & Oberhauser (2019); Salvi, Cass, Foster, Lyons, Yang, *The signature kernel is the solution of a
/// Goursat PDE* (2021); Cass, Piatti, Pei, *Numerical schemes for signature kernels* (2025).
///
/// ```
/// use kernels_core::{Linear, Paths, Rbf, Signature, gram};
/// // In one dimension, with the linear lift, only the end points count: k = I₀(2 √(X Y)).
/// let paths = Paths::from_array(vec![0.0, 0.7, 1.0, 0.0, 0.2, 1.0], 2, 3, 1)?;
/// let k = gram(&Signature::new(Linear::new(0.0)?), &paths)?;
/// let error: f64 = k[(0, 1)] - 2.279_585_302_336_067;
/// assert!(error.abs() < 1e-12);
/// let _lifted = gram(&Signature::new(Rbf::new(0.5)?), &paths)?;
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Signature<S> {
    lift: S,
    solver: Solver,
    normalization: Normalization,
    differences: bool,
    time: bool,
    lead_lag: bool,
}

/// How the Goursat problem of a [`Signature`] kernel is solved.
///
/// A fixed degree or grid is as accurate as it is fine for the paths at hand, and the kernel is positive definite only as far as it is
/// accurate: on steps that are too long, values may even be negative on the diagonal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Solver {
    /// Polynomials on the edges of cells, of the least degree for which the error stays below `tolerance` times the largest value of
    /// the kernel along the two paths. Cells are halved where that is cheaper, or where one cell is too large for accuracy.
    Auto {
        /// Above 0, below 1.
        tolerance: f64,
    },
    /// Polynomials of degree `order`, from 2 to 48, on every cell.
    Polynomial {
        /// Degree.
        order: usize,
    },
    /// Finite differences, as other packages have them. Their error falls by 4 a halving, 2 for the explicit scheme, from a
    /// first error that may be large.
    FiniteDifferences {
        /// Every cell is halved as many times in both directions, at most 6.
        dyadic: u32,
        /// The scheme.
        scheme: FiniteDifferences,
    },
    /// Levels up to `levels` only, exactly if `order` = `levels`.
    Truncated {
        /// The highest level, from 1 to 64.
        levels: usize,
        /// How often a segment may be used in one level, from 1 to 16 and at most `levels`.
        order: usize,
    },
}

/// Schemes of [`Solver::FiniteDifferences`], g being the number on a part of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FiniteDifferences {
    /// K₁₁ = K₁₀ + K₀₁ + (g − 1) K₀₀, of first order.
    Explicit,
    /// K₁₁ = (K₁₀ + K₀₁)(1 + g/2) − K₀₀, of second order; the `naive` solver of other packages.
    Trapezoid,
    /// K₁₁ = (K₁₀ + K₀₁)(1 + g/2 + g²/12) − K₀₀(1 − g²/12), of second order with a smaller constant; the default of other packages.
    Second,
}

/// How values of a [`Signature`] kernel are normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Normalization {
    /// Not: values grow fast with the length of paths.
    None,
    /// k(x, y)/√(k(x, x) k(y, y)), finite also where k is not.
    Cosine,
    /// The mean over levels l = 0, …, N of k_l(x, y)/√(k_l(x, x) k_l(y, y)), the roots not below 10⁻⁶; for truncated kernels.
    Levels,
    /// k(λ(x) x, λ(y) y) with λ ≤ 1 so that k(λx, λx) = ψ(k(x, x)), where ψ(r) = r up to `bound` C and
    /// C + C^(1+a) (C^−a − r^−a)/a beyond: never above C (1 + 1/a), and still characteristic.
    /// Chevyrev & Oberhauser, *Signature moments* (2022).
    Tensor {
        /// C, above 1.
        bound: f64,
        /// a, above 0.
        exponent: f64,
    },
    /// The same with ψ(r) = 2 − 1/(1 + ln r).
    TensorLog,
}

impl<S> Signature<S> {
    /// The kernel of paths lifted by `lift`, a positive definite (or conditionally so, of order 1) kernel of their knots;
    /// solved to a relative tolerance of 10⁻¹², not normalised.
    pub fn new(lift: S) -> Self {
        Self {
            lift,
            solver: Solver::Auto { tolerance: 1e-12 },
            normalization: Normalization::None,
            differences: true,
            time: false,
            lead_lag: false,
        }
    }

    /// Another solver.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a number outside the range [`Solver`] states.
    pub fn solver(self, solver: Solver) -> Result<Self, Error> {
        let within = |name: &str, value: usize, range: Range<usize>, expected| {
            let error = || Error::Parameter { name: name.to_owned(), value: value as f64, expected };
            range.contains(&value).then_some(()).ok_or_else(error)
        };
        match solver {
            Solver::Auto { tolerance } => {
                if positive("tol", tolerance)? >= 1.0 {
                    let expected = "a number above 0 and below 1";
                    return Err(Error::Parameter { name: "tol".to_owned(), value: tolerance, expected });
                }
            }
            Solver::Polynomial { order } => {
                within("order", order, 2..MOST_DEGREE + 1, "an integer from 2 to 48")?;
            }
            Solver::FiniteDifferences { dyadic, .. } => {
                let most = MOST_HALVINGS as usize + 1;
                within("dyadic", dyadic as usize, 0..most, "an integer from 0 to 6")?;
            }
            Solver::Truncated { levels, order } => {
                within("levels", levels, 1..65, "an integer from 1 to 64")?;
                within("order", order, 1..levels.min(16) + 1, "an integer from 1 to 16, at most `levels`")?;
            }
        }
        Ok(Self { solver, ..self })
    }

    /// Normalised values.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a bound not above 1 or an exponent not above 0.
    pub fn normalization(self, normalization: Normalization) -> Result<Self, Error> {
        if let Normalization::Tensor { bound, exponent } = normalization {
            positive("exponent", exponent)?;
            if !(bound.is_finite() && bound > 1.0) {
                let expected = "a finite number above 1";
                return Err(Error::Parameter { name: "bound".to_owned(), value: bound, expected });
            }
        }
        Ok(Self { normalization, ..self })
    }

    /// With `false`, the lift's own values at pairs of knots take the place of its second differences: a kernel of
    /// series rather than paths. For truncated kernels.
    pub fn differences(self, differences: bool) -> Self {
        Self { differences, ..self }
    }

    /// With a channel of time from 0 to 1 beside the others: the kernel then sees how fast paths are run through.
    pub fn time(self, time: bool) -> Self {
        Self { time, ..self }
    }

    /// Of the lead-lag transformed paths ([`Paths::lead_lag`]), before time is added.
    pub fn lead_lag(self, lead_lag: bool) -> Self {
        Self { lead_lag, ..self }
    }

    /// The kernel of knots.
    pub fn lift(&self) -> &S {
        &self.lift
    }

    /// The paths that are compared: with lead and lag, with time.
    pub(super) fn prepare<'a, T: Real>(&self, paths: &'a Paths<T>) -> Cow<'a, Paths<T>> {
        let mut paths = Cow::Borrowed(paths);
        if self.lead_lag {
            paths = Cow::Owned(paths.lead_lag());
        }
        if self.time {
            paths = Cow::Owned(paths.with_time(1.0));
        }
        paths
    }

    pub(super) fn truncation(&self) -> Option<Truncation> {
        match self.solver {
            Solver::Truncated { levels, order } => Some(Truncation { levels, order }),
            _ => None,
        }
    }

    pub(super) fn chosen_solver(&self) -> Solver {
        self.solver
    }

    pub(super) fn chosen_normalization(&self) -> Normalization {
        self.normalization
    }

    /// Whether time, and lead and lag, are added.
    pub(super) fn transforms(&self) -> (bool, bool) {
        (self.time, self.lead_lag)
    }

    /// Whether cells have second differences of the lift, not its values.
    pub(super) fn has_differences(&self) -> bool {
        self.differences
    }

    /// k(x, y), not normalised, also where it exceeds the range of f64.
    ///
    /// # Errors
    /// [`Error::Shape`] when the paths differ in their features; what [`Kernel::check`] says of them.
    ///
    /// ```
    /// use kernels_core::{Linear, Path, Signature};
    /// // k = I₀(2 √(1000 · 1000)), about e^1995, in one step.
    /// let x = Path::new(&[0.0, 1000.0], 1)?;
    /// let k = Signature::new(Linear::new(0.0)?).scaled(x, x)?;
    /// assert!((k.ln_abs() - 1995.280_672_752_657_4).abs() < 1e-7);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn scaled<T: Real>(&self, x: Path<'_, T>, y: Path<'_, T>) -> Result<ScaledValue, Error>
    where
        S: Kernel<Rows<T>>,
    {
        let (xs, ys) = (Paths::from_paths(&[x])?, Paths::from_paths(&[y])?);
        ys.check_compatible(&xs)?;
        self.check(&xs)?;
        self.check(&ys)?;
        let (xs, ys) = (self.prepare(&xs), self.prepare(&ys));
        let (a, b) = (Side::new(self, &xs, &[0]), Side::new(self, &ys, &[0]));
        let setting = Setting { kernel: self, xs: &xs, ys: &ys, x: &a, y: &b };
        Ok(setting.values(&[(0, 0)])[0])
    }

    /// k₀, k₁, …, k_N of two paths, for a truncated kernel; empty for another one.
    ///
    /// # Errors
    /// As [`Signature::scaled`].
    ///
    /// ```
    /// use kernels_core::{Linear, Path, Signature, Solver};
    /// let kernel = Signature::new(Linear::new(0.0)?).solver(Solver::Truncated { levels: 3, order: 3 })?;
    /// let values = [0.0, 2.0];
    /// let x = Path::new(&values, 1)?;
    /// // (X Y)^l / (l!)²
    /// assert_eq!(kernel.levels(x, x)?, vec![1.0, 4.0, 4.0, 16.0 / 9.0]);
    /// # Ok::<(), kernels_core::Error>(())
    /// ```
    pub fn levels<T: Real>(&self, x: Path<'_, T>, y: Path<'_, T>) -> Result<Vec<f64>, Error>
    where
        S: Kernel<Rows<T>>,
    {
        let (xs, ys) = (Paths::from_paths(&[x])?, Paths::from_paths(&[y])?);
        ys.check_compatible(&xs)?;
        self.check(&xs)?;
        self.check(&ys)?;
        let (xs, ys) = (self.prepare(&xs), self.prepare(&ys));
        let (a, b) = (Side::new(self, &xs, &[0]), Side::new(self, &ys, &[0]));
        let setting = Setting { kernel: self, xs: &xs, ys: &ys, x: &a, y: &b };
        Ok(self.truncation().map_or(Vec::new(), |t| setting.levels(&[(0, 0)], t)))
    }
}

impl<S: Describe> Describe for Signature<S> {
    fn params(&self) -> Vec<Param> {
        // What has no derivative here is left alone by optimisers.
        let fixed = !self.has_gradient();
        let own = self.lift.params().into_iter().map(|p| p.nested("static"));
        own.map(|p| Param { fixed: p.fixed || fixed, ..p }).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.lift.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }
    fn expression(&self) -> Option<Expr> {
        super::text::signature(self)
    }
}

/// Which entries of a block to compute: each pair of one data set once, as (later, earlier) point.
pub(super) fn entries<P: Points>(at: &Block<'_, P>) -> Vec<(usize, usize)> {
    let (rows, cols) = (at.rows(), at.cols());
    let mut pairs = Vec::with_capacity(rows.len() * cols.len());
    for r in rows.clone() {
        for c in cols.clone() {
            if !at.is_within() || r >= c {
                pairs.push((r, c));
            } else if !(rows.contains(&c) && cols.contains(&r)) {
                pairs.push((c, r));
            }
        }
    }
    pairs
}

/// Writes the value of a pair wherever it stands in the block.
pub(super) fn place<P: Points, T: Real>(
    at: &Block<'_, P>,
    (i, j): (usize, usize),
    value: T,
    out: &mut Tile<'_, T>,
) {
    let (rows, cols) = (at.rows(), at.cols());
    if rows.contains(&i) && cols.contains(&j) {
        out[(i - rows.start, j - cols.start)] = value;
    }
    if at.is_within() && rows.contains(&j) && cols.contains(&i) {
        out[(j - rows.start, i - cols.start)] = value;
    }
}

/// The weights of a block by pairs; a pair of one data set stands once, with the sum of its weights, in the order in which its
/// value is computed.
pub(super) fn weighted<P: Points, T: Real>(
    at: &Block<'_, P>,
    weights: DMatrixView<'_, T>,
) -> (Vec<(usize, usize)>, Vec<f64>) {
    let (rows, cols) = (at.rows(), at.cols());
    let weight = |i: usize, j: usize| {
        let inside = rows.contains(&i) && cols.contains(&j);
        if inside { weights[(i - rows.start, j - cols.start)].to_f64() } else { 0.0 }
    };
    let pairs = entries(at).into_iter().map(|(i, j)| {
        let turned = if at.is_within() && i != j { weight(j, i) } else { 0.0 };
        ((i, j), weight(i, j) + turned)
    });
    pairs.filter(|(_, w)| w.abs() > 0.0 || w.is_nan()).unzip()
}

/// The points of a block's rows and columns, as sorted lists without repetition: one for one data set, or two.
pub(super) fn used<P: Points>(at: &Block<'_, P>) -> (Vec<usize>, Vec<usize>) {
    let (rows, cols) = (at.rows(), at.cols());
    if !at.is_within() {
        return (rows.collect(), cols.collect());
    }
    let mut all: Vec<usize> = rows.chain(cols).collect();
    all.sort_unstable();
    all.dedup();
    (all.clone(), all)
}

impl<T: Real, S: Kernel<Rows<T>>> Kernel<Paths<T>> for Signature<S> {
    fn eval(&self, x: Path<'_, T>, y: Path<'_, T>) -> T {
        let (Ok(xs), Ok(ys)) = (Paths::from_paths(&[x]), Paths::from_paths(&[y])) else {
            return T::of(f64::NAN);
        };
        let mut out = [T::default()];
        match Block::between(&xs, 0..1, &ys, 0..1) {
            Ok(at) => {
                self.block(&at, Tile::from_slice(&mut out, 1, 1), &mut Workspace::new());
                out[0]
            }
            Err(_) => T::of(f64::NAN),
        }
    }

    fn block(&self, at: &Block<'_, Paths<T>>, mut out: Tile<'_, T>, _: &mut Workspace<T>) {
        let (xs, ys) = (self.prepare(at.xs()), self.prepare(at.ys()));
        let (rows, cols) = used(at);
        let x = Side::new(self, &xs, &rows);
        let other = (!at.is_within()).then(|| Side::new(self, &ys, &cols));
        let ys = if at.is_within() { &xs } else { &ys };
        let setting = Setting { kernel: self, xs: &xs, ys, x: &x, y: other.as_ref().unwrap_or(&x) };
        let pairs = entries(at);
        for (&pair, value) in pairs.iter().zip(setting.normalized(&pairs, at.is_within())) {
            place(at, pair, T::of(value), &mut out);
        }
    }

    fn diagonal(&self, xs: &Paths<T>, rows: Range<usize>, out: &mut [T]) {
        let xs = self.prepare(xs);
        let indices: Vec<usize> = rows.collect();
        let x = Side::new(self, &xs, &indices);
        let setting = Setting { kernel: self, xs: &xs, ys: &xs, x: &x, y: &x };
        let pairs: Vec<(usize, usize)> = indices.iter().map(|&i| (i, i)).collect();
        for (out, value) in out.iter_mut().zip(setting.normalized(&pairs, true)) {
            *out = T::of(value);
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Paths<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        _: &mut Workspace<T>,
    ) {
        self.add_block_gradient(at, weights, gradient);
    }

    fn check(&self, xs: &Paths<T>) -> Result<(), Error> {
        let what = "the lift of a signature kernel";
        match self.lift.definiteness() {
            Definiteness::Positive => {}
            Definiteness::Conditional(1) if self.differences => {}
            given => return Err(Error::NotPositive { what, given }),
        }
        if self.truncation().is_none() {
            let needs = |name: &str| Error::Parameter {
                name: name.to_owned(),
                value: f64::NAN,
                expected: "available with the solver `truncated` only",
            };
            if !self.differences {
                return Err(needs("differences = false"));
            }
            if self.normalization == Normalization::Levels {
                return Err(needs("normalize = levels"));
            }
        } else if matches!(self.normalization, Normalization::Tensor { .. } | Normalization::TensorLog) {
            return Err(Error::Parameter {
                name: "normalize = tensor".to_owned(),
                value: f64::NAN,
                expected: "available with the solvers of the whole signature, not with `truncated`",
            });
        }
        self.lift.check(self.prepare(xs).knots())
    }
}

impl<S> PositiveDefinite for Signature<S> {}
kernel_ops! { impl[S] Signature<S>; }
