//! Several outputs as one process: a kernel on pairs of a point and an output.

use std::ops::Range;

use kernels_core::{Block, Definiteness, Describe, Error as CoreError, Kernel, Param, Points, PositiveDefinite, Real, Tile, Transform, Workspace};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use crate::{Error, data::{expect, non_negative}};

/// Points each of which belongs to one of several outputs: what is observed where. Outputs need not be observed at the same
/// points.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outputs<P> {
    points: P,
    output: Vec<usize>,
}

impl<P: Points> Outputs<P> {
    /// Points, and the output of each.
    ///
    /// # Errors
    /// Lengths that differ.
    pub fn new(points: P, output: impl Into<Vec<usize>>) -> Result<Self, Error> {
        let output = output.into();
        expect("outputs (one a point)", points.len(), output.len())?;
        Ok(Self { points, output })
    }

    /// The output of each point.
    pub fn output(&self) -> &[usize] {
        &self.output
    }
}

impl<P: Points> Points for Outputs<P> {
    type Scalar = P::Scalar;
    type Point<'a>
        = (P::Point<'a>, usize)
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.output.len()
    }
    fn point(&self, i: usize) -> Self::Point<'_> {
        (self.points.point(i), self.output[i])
    }
    fn subset(&self, indices: &[usize]) -> Result<Self, CoreError> {
        let points = self.points.subset(indices)?;
        Ok(Self { points, output: indices.iter().map(|&i| self.output[i]).collect() })
    }
    fn check_finite(&self) -> Result<(), CoreError> {
        self.points.check_finite()
    }
    fn check_compatible(&self, other: &Self) -> Result<(), CoreError> {
        self.points.check_compatible(&other.points)
    }
}

/// Intrinsic coregionalisation: k((x, i), (y, j)) = Bᵢⱼ k(x, y) with B = WWᵀ + diag(κ). A sum of such kernels is the linear model
/// of coregionalisation. W and κ are parameters beside those of k, so that a Gaussian process fits them.
///
/// Reference: Álvarez, Rosasco, Lawrence, *Kernels for vector-valued functions*, Foundations and Trends in Machine Learning 4
/// (2012), section 4.2.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{Coregionalized, GaussianProcess, Outputs};
/// use nalgebra::dmatrix;
/// // Output 1 is −2 times output 0, and observed on the left alone.
/// let x: Vec<f64> = (0..20).map(|i| f64::from(i) / 4.0).chain((0..10).map(|i| f64::from(i) / 4.0)).collect();
/// let which: Vec<usize> = (0..30).map(|i| usize::from(i >= 20)).collect();
/// let y: Vec<f64> = x.iter().zip(&which).map(|(x, o)| x.sin() * if *o == 0 { 1.0 } else { -2.0 }).collect();
/// let xs = Outputs::new(Rows::from_row_major(x, 30, 1)?, which)?;
/// let kernel = Coregionalized::new(Rbf::new(1.0)?, dmatrix![1.0; 0.5], vec![0.1, 0.1])?;
/// let model = GaussianProcess::new(kernel).normalize(false).noise(1e-3).fit(&xs, &y)?;
/// let at = Outputs::new(Rows::from_row_major(vec![4.0], 1, 1)?, vec![1])?;
/// assert!((model.predict(&at)?.mean[(0, 0)] + 2.0 * 4.0_f64.sin()).abs() < 0.05);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Coregionalized<K> {
    kernel: K,
    loadings: DMatrix<f64>,
    own: Vec<f64>,
}

impl<K> Coregionalized<K> {
    /// From W, outputs × rank, and κ, one an output.
    ///
    /// # Errors
    /// Shapes that disagree, loadings that are not finite, a negative κ.
    pub fn new(kernel: K, loadings: DMatrix<f64>, own: impl Into<Vec<f64>>) -> Result<Self, Error> {
        let own = own.into();
        expect("variances of the outputs (one an output)", loadings.nrows(), own.len())?;
        crate::data::finite("loading", loadings.as_slice(), loadings.nrows())?;
        for &value in &own {
            non_negative("own", value)?;
        }
        Ok(Self { kernel, loadings, own })
    }

    /// B = WWᵀ + diag(κ), outputs × outputs.
    pub fn covariance(&self) -> DMatrix<f64> {
        let mut b = &self.loadings * self.loadings.transpose();
        (0..self.own.len()).for_each(|i| b[(i, i)] += self.own[i]);
        b
    }
}

impl<K: PositiveDefinite> PositiveDefinite for Coregionalized<K> {}

impl<K: Describe> Describe for Coregionalized<K> {
    fn params(&self) -> Vec<Param> {
        let mut all: Vec<Param> = self.kernel.params().into_iter().map(|p| p.nested("kernel")).collect();
        for (k, &w) in self.loadings.as_slice().iter().enumerate() {
            let (i, r) = (k % self.own.len().max(1), k / self.own.len().max(1));
            all.push(Param {
                bounds: (-1e3, 1e3),
                transform: Transform::Identity,
                ..Param::positive(format!("loadings[{i},{r}]"), w)
            });
        }
        all.extend(self.own.iter().enumerate().map(|(i, &v)| Param::positive(format!("own[{i}]"), v)));
        all
    }

    fn set_params(&mut self, values: &[f64]) -> Result<(), CoreError> {
        let inner = self.kernel.params().len();
        let (w, t) = (self.loadings.len(), self.own.len());
        if values.len() != inner + w + t {
            let what = "number of parameter values";
            return Err(CoreError::Shape { what, expected: inner + w + t, given: values.len() });
        }
        for (k, &value) in values[inner..].iter().enumerate() {
            if !value.is_finite() || (k >= w && value < 0.0) {
                let (name, expected) = ("coregionalisation".to_owned(), "finite, variances 0 or above");
                return Err(CoreError::Parameter { name, value, expected });
            }
        }
        self.kernel.set_params(&values[..inner])?;
        self.loadings.as_mut_slice().copy_from_slice(&values[inner..inner + w]);
        self.own.copy_from_slice(&values[inner + w..]);
        Ok(())
    }

    fn definiteness(&self) -> Definiteness {
        self.kernel.definiteness()
    }
}

impl<P: Points, K: Kernel<P>> Kernel<Outputs<P>> for Coregionalized<K> {
    fn eval(&self, x: (P::Point<'_>, usize), y: (P::Point<'_>, usize)) -> P::Scalar {
        let mut b = self.loadings.row(x.1).dot(&self.loadings.row(y.1));
        if x.1 == y.1 {
            b += self.own[x.1];
        }
        self.kernel.eval(x.0, y.0) * P::Scalar::of(b)
    }

    fn block(&self, at: &Block<'_, Outputs<P>>, mut out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>) {
        let Ok(inner) = at.of(&at.xs().points, &at.ys().points) else { return };
        self.kernel.block(&inner, out.as_view_mut(), ws);
        let b = self.covariance().map(P::Scalar::of);
        let (rows, cols) = (&at.xs().output[at.rows()], &at.ys().output[at.cols()]);
        for (mut column, &j) in out.column_iter_mut().zip(cols) {
            column.iter_mut().zip(rows).for_each(|(v, &i)| *v *= b[(i, j)]);
        }
    }

    fn diagonal(&self, xs: &Outputs<P>, rows: Range<usize>, out: &mut [P::Scalar]) {
        self.kernel.diagonal(&xs.points, rows.clone(), out);
        let b = self.covariance();
        for (out, i) in out.iter_mut().zip(rows) {
            *out *= P::Scalar::of(b[(xs.output[i], xs.output[i])]);
        }
    }

    fn block_gradient(
        &self,
        at: &Block<'_, Outputs<P>>,
        weights: DMatrixView<'_, P::Scalar>,
        gradient: &mut [f64],
        ws: &mut Workspace<P::Scalar>,
    ) {
        let Ok(inner) = at.of(&at.xs().points, &at.ys().points) else { return };
        let count = self.kernel.params().len();
        let (rows, cols) = (&at.xs().output[at.rows()], &at.ys().output[at.cols()]);
        let b = self.covariance().map(P::Scalar::of);
        let mut scaled = ws.take(rows.len() * cols.len());
        let mut values = ws.take(rows.len() * cols.len());
        for (c, &j) in cols.iter().enumerate() {
            for (r, &i) in rows.iter().enumerate() {
                scaled[c * rows.len() + r] = weights[(r, c)] * b[(i, j)];
            }
        }
        let view = DMatrixView::from_slice(&scaled, rows.len(), cols.len());
        self.kernel.block_gradient(&inner, view, &mut gradient[..count], ws);
        self.kernel.block(&inner, DMatrixViewMut::from_slice(&mut values, rows.len(), cols.len()), ws);
        // S: by B, output by output; B = WWᵀ + diag κ.
        let outputs = self.own.len();
        let mut s = DMatrix::<f64>::zeros(outputs, outputs);
        for (c, &j) in cols.iter().enumerate() {
            for (r, &i) in rows.iter().enumerate() {
                s[(i, j)] += weights[(r, c)].to_f64() * values[c * rows.len() + r].to_f64();
            }
        }
        ws.give(scaled);
        ws.give(values);
        let by_loadings = (&s + s.transpose()) * &self.loadings;
        let rest = &mut gradient[count..];
        rest.iter_mut().zip(by_loadings.as_slice()).for_each(|(g, v)| *g += v);
        rest[self.loadings.len()..].iter_mut().enumerate().for_each(|(i, g)| *g += s[(i, i)]);
    }

    fn check(&self, xs: &Outputs<P>) -> Result<(), CoreError> {
        self.kernel.check(&xs.points)?;
        match xs.output.iter().find(|o| **o >= self.own.len()) {
            None => Ok(()),
            Some(&given) => Err(CoreError::Shape { what: "output of a point (below)", expected: self.own.len(), given }),
        }
    }
}
