//! Sums over subsets of features of products of one-dimensional kernels.

use std::ops::Range;

use nalgebra::{DMatrix, DMatrixView};

use crate::{
    Block, Call, Definiteness, Describe, Differentiable, Error, Expr, Jet, Kernel, Param, Points,
    PositiveDefinite, Real, Rows, Tile, Transform, Value, Workspace,
    describe::{expect_count, non_negative},
    kernel_ops,
};

/// ANOVA (additive) kernel Σ_q v_q e_q(z₁, …, z_d) with zᵢ = k(xᵢ, yᵢ), one kernel on each feature alone, and the elementary symmetric
/// polynomials e_q: functions that are sums of interactions of up to Q features, with variance v_q for those of q.
///
/// **Complexity.** O(dQ) a pair, after d blocks of the kernel inside; no cancellation, as all terms are added.
///
/// Reference: Duvenaud, Nickisch & Rasmussen, *Additive Gaussian processes* (2011); the recurrence is that of Stitson et al. (1999).
///
/// ```
/// use kernels_core::{Anova, Kernel, Linear};
/// let pairs = Anova::new(Linear::new(0.0)?, [0.0, 1.0])?;
/// // 1·2·3·4 + 1·2·5·6 + 3·4·5·6 of the products 2, 12, 30.
/// assert_eq!(pairs.eval(&[1.0, 3.0, 5.0], &[2.0, 4.0, 6.0]), 2.0 * 12.0 + 2.0 * 30.0 + 12.0 * 30.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Anova<K> {
    kernel: K,
    variances: Vec<f64>,
}

impl<K> Anova<K> {
    /// With variances v₁, …, v_Q of the interactions of 1, …, Q features.
    ///
    /// # Errors
    /// [`Error::Shape`] for no variance, [`Error::Parameter`] for one that is negative or not finite.
    pub fn new(kernel: K, variances: impl Into<Vec<f64>>) -> Result<Self, Error> {
        Ok(Self { kernel, variances: valid(variances.into())? })
    }

    /// Σ v_q e_q of the z of one pair.
    fn combine<T: Real>(&self, z: impl Iterator<Item = T>) -> T {
        let mut e = vec![T::default(); self.variances.len() + 1];
        e[0] = T::of(1.0);
        for z in z {
            for q in (1..e.len()).rev() {
                e[q] = e[q] + z * e[q - 1];
            }
        }
        self.variances.iter().zip(&e[1..]).fold(T::default(), |sum, (&v, &e)| sum + T::of(v) * e)
    }

    /// Σ v_q e_{q−1} of the z of one pair without some: the derivative by the z of one, or, with `skip` two, by two.
    fn without<T: Real>(&self, z: &[T], skip: &[usize]) -> T {
        let mut e = vec![T::default(); self.variances.len() + 1];
        e[0] = T::of(1.0);
        for (_, &z) in z.iter().enumerate().filter(|(i, _)| !skip.contains(i)) {
            for q in (1..e.len()).rev() {
                e[q] = e[q] + z * e[q - 1];
            }
        }
        let lower = self.variances.iter().skip(skip.len() - 1).zip(&e);
        lower.fold(T::default(), |sum, (&v, &e)| sum + T::of(v) * e)
    }
}

fn valid(variances: Vec<f64>) -> Result<Vec<f64>, Error> {
    for &value in &variances {
        non_negative("order", value)?;
    }
    if variances.is_empty() {
        return Err(Error::Shape { what: "number of variances (at least)", expected: 1, given: 0 });
    }
    Ok(variances)
}

/// One feature of some rows, as points; the origin for distances is the whole data set's.
fn feature<T: Real>(xs: &Rows<T>, rows: Range<usize>, k: usize, center: &Rows<T>) -> Rows<T> {
    let values = rows.map(|i| xs.point(i)[k]).collect::<Vec<T>>();
    let n = values.len();
    Rows::from_parts(values, n, 1).with_center(&center.center()[k..=k])
}

impl<K> Anova<K> {
    /// The blocks of the kernel on every feature alone.
    fn features<T: Real>(&self, at: &Block<'_, Rows<T>>, ws: &mut Workspace<T>) -> Vec<DMatrix<T>>
    where
        K: Kernel<Rows<T>>,
    {
        (0..at.ys().dim())
            .map(|k| {
                let mut out = DMatrix::from_element(at.shape().0, at.shape().1, T::default());
                with_feature(at, k, |at| self.kernel.block(at, out.as_view_mut(), ws));
                out
            })
            .collect()
    }
}

/// Hands `work` the block of feature `k`.
fn with_feature<T: Real>(at: &Block<'_, Rows<T>>, k: usize, work: impl FnOnce(&Block<'_, Rows<T>>)) {
    let (rows, cols) = at.shape();
    let ys = feature(at.ys(), at.cols(), k, at.ys());
    let block = if at.is_within() && at.diagonal_entries().next().is_some() {
        if at.rows() == at.cols() {
            Block::within(&ys, 0..rows, 0..cols)
        } else {
            // Part of the diagonal: keep the data set whole.
            let whole = feature(at.ys(), 0..at.ys().len(), k, at.ys());
            if let Ok(at) = Block::within(&whole, at.rows(), at.cols()) {
                work(&at);
            }
            return;
        }
    } else {
        let xs = feature(at.xs(), at.rows(), k, at.ys());
        if let Ok(at) = Block::between(&xs, 0..rows, &ys, 0..cols) {
            work(&at);
        }
        return;
    };
    if let Ok(at) = block {
        work(&at);
    }
}

impl<K: Describe> Describe for Anova<K> {
    fn params(&self) -> Vec<Param> {
        let own = self.variances.iter().enumerate().map(|(q, &v)| Param {
            bounds: (0.0, 1e5),
            transform: Transform::Identity,
            ..Param::positive(format!("order[{q}]"), v)
        });
        own.chain(self.kernel.params().into_iter().map(|p| p.nested("anova"))).collect()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        let own = self.variances.len();
        expect_count(own + self.kernel.params().len(), values.len())?;
        let variances = valid(values[..own].to_vec())?;
        self.kernel.set_params(&values[own..])?;
        self.variances = variances;
        Ok(())
    }
    fn definiteness(&self) -> Definiteness {
        match (self.kernel.definiteness(), self.variances.len()) {
            (Definiteness::Positive, _) => Definiteness::Positive,
            // A sum alone keeps what a sum keeps.
            (given, 1) => given,
            _ => Definiteness::Indefinite,
        }
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::Call(Call {
            name: "anova".to_owned(),
            operands: vec![Value::Expr(self.kernel.expression()?)],
            arguments: vec![("order".to_owned(), self.variances.as_slice().into())],
        }))
    }
}

impl<T: Real, K: Kernel<Rows<T>>> Kernel<Rows<T>> for Anova<K> {
    fn eval(&self, x: &[T], y: &[T]) -> T {
        self.combine(
            x.iter().zip(y).map(|(a, b)| self.kernel.eval(std::slice::from_ref(a), std::slice::from_ref(b))),
        )
    }

    fn block(&self, at: &Block<'_, Rows<T>>, mut out: Tile<'_, T>, ws: &mut Workspace<T>) {
        let features = self.features(at, ws);
        for (j, mut column) in out.column_iter_mut().enumerate() {
            for (i, value) in column.iter_mut().enumerate() {
                *value = self.combine(features.iter().map(|z| z[(i, j)]));
            }
        }
    }

    fn diagonal(&self, xs: &Rows<T>, rows: Range<usize>, out: &mut [T]) {
        let features: Vec<Vec<T>> = (0..xs.dim())
            .map(|k| {
                let mut z = vec![T::default(); out.len()];
                self.kernel.diagonal(&feature(xs, rows.clone(), k, xs), 0..out.len(), &mut z);
                z
            })
            .collect();
        for (i, value) in out.iter_mut().enumerate() {
            *value = self.combine(features.iter().map(|z| z[i]));
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Rows<T>>,
        weights: DMatrixView<'_, T>,
        gradient: &mut [f64],
        ws: &mut Workspace<T>,
    ) {
        let features = self.features(at, ws);
        let (rows, cols) = at.shape();
        let (own, inner) = gradient.split_at_mut(self.variances.len());
        let mut by_feature: Vec<DMatrix<T>> = features.iter().map(|_| weights.clone_owned()).collect();
        for j in 0..cols {
            for i in 0..rows {
                let z: Vec<T> = features.iter().map(|f| f[(i, j)]).collect();
                let weight = weights[(i, j)].to_f64();
                let mut e = vec![0.0; own.len() + 1];
                e[0] = 1.0;
                for z in &z {
                    for q in (1..e.len()).rev() {
                        e[q] += z.to_f64() * e[q - 1];
                    }
                }
                own.iter_mut().zip(&e[1..]).for_each(|(g, e)| *g += weight * e);
                for (k, by) in by_feature.iter_mut().enumerate() {
                    by[(i, j)] *= self.without(&z, &[k]);
                }
            }
        }
        for (k, weights) in by_feature.iter().enumerate() {
            with_feature(at, k, |at| self.kernel.block_gradient(at, weights.as_view(), inner, ws));
        }
    }

    fn jet(&self, x: &[T], y: &[T], jet: &mut Jet<T>) -> bool {
        let mut part = jet.take(1);
        let (mut z, mut parts, mut known) = (Vec::new(), Vec::new(), true);
        for (a, b) in x.iter().zip(y) {
            known &= self.kernel.jet(std::slice::from_ref(a), std::slice::from_ref(b), &mut part);
            z.push(part.value());
            let second = |v: &[T]| v.first().copied().unwrap_or_default();
            parts.push([part.by_x()[0], part.by_y()[0], second(part.by_xx()), second(part.by_xy())]);
        }
        jet.give(part);
        let single: Vec<T> = (0..z.len()).map(|i| self.without(&z, &[i])).collect();
        let second = |i: usize, j: usize, side: usize| {
            if i == j {
                single[i] * parts[i][2 + side]
            } else {
                self.without(&z, &[i, j]) * parts[i][0] * parts[j][side]
            }
        };
        jet.set(
            self.combine(z.iter().copied()),
            |i| single[i] * parts[i][0],
            |i| single[i] * parts[i][1],
            |i, j| second(i, j, 0),
            |i, j| second(i, j, 1),
        );
        known
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        if xs.dim() == 0 {
            return Err(Error::Shape { what: "number of features (at least)", expected: 1, given: 0 });
        }
        (0..xs.dim()).try_for_each(|k| self.kernel.check(&feature(xs, 0..xs.len(), k, xs)))
    }
}

impl<T: Real, K: Differentiable<T>> Differentiable<T> for Anova<K> {}
impl<K: PositiveDefinite> PositiveDefinite for Anova<K> {}
kernel_ops! { impl[K] Anova<K>; }
