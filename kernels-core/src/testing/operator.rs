//! The contracts of operators and feature maps.

use nalgebra::{DMatrix, DMatrixViewMut};

use super::{Violation, alike, require};
use crate::{FeatureMap, Operator, Points, Real, Workspace, features};

/// Checks that an operator is linear and symmetric, and that its columns, diagonal and products agree; and that wrong shapes are
/// errors. Forms the dense matrix: meant for orders up to some hundreds.
///
/// # Errors
/// A [`Violation`] that says what was found.
pub fn operator_contract<T: Real>(operator: &(impl Operator<T> + ?Sized)) -> Result<(), Violation> {
    let n = operator.dim();
    let zeros = |rows: usize, cols: usize| DMatrix::repeat(rows, cols, T::default());
    let mut a = zeros(n, n);
    operator.columns(&(0..n).collect::<Vec<_>>(), a.as_view_mut())?;
    let size = a.amax().to_f64();
    // Sums of n products in another order.
    let tolerance = 50.0 * (n as f64 + 1.0) * T::EPSILON.to_f64();
    for j in 0..n {
        for i in 0..j {
            let (x, y) = (a[(i, j)].to_f64(), a[(j, i)].to_f64());
            require(alike(x, y, tolerance, size), || {
                format!("columns are not symmetric at ({i}, {j}): {x:e} and {y:e}")
            })?;
        }
    }
    let mut diagonal = vec![T::default(); n];
    operator.diagonal(&mut diagonal)?;
    for (i, d) in diagonal.iter().enumerate() {
        let (x, y) = (d.to_f64(), a[(i, i)].to_f64());
        require(alike(x, y, tolerance, size), || format!("diagonal({i}) = {x:e}, but column {i} has {y:e}"))?;
    }
    let rhs = DMatrix::from_fn(n, 3, |i, j| T::of((1.0 + (i * (j + 1)) as f64).sin()));
    let mut out = zeros(n, 3);
    // What was in the output must not matter.
    out.fill(T::of(7.0));
    operator.apply(rhs.as_view(), out.as_view_mut())?;
    let expected = &a * &rhs;
    for (k, (x, y)) in out.iter().zip(&expected).enumerate() {
        let (x, y) = (x.to_f64(), y.to_f64());
        require(alike(x, y, tolerance, size * n as f64), || {
            format!("entry {k} of a product is {x:e}, columns give {y:e}")
        })?;
    }
    // A(2u − v) = 2Au − Av.
    let combined = DMatrix::from_fn(n, 1, |i, _| T::of(2.0) * rhs[(i, 0)] - rhs[(i, 1)]);
    let mut image = zeros(n, 1);
    operator.apply(combined.as_view(), image.as_view_mut())?;
    for i in 0..n {
        let (x, y) = (image[(i, 0)].to_f64(), 2.0 * out[(i, 0)].to_f64() - out[(i, 1)].to_f64());
        require(alike(x, y, tolerance, size * n as f64), || format!("not linear: {x:e} and {y:e} at {i}"))?;
    }
    require(operator.diagonal(&mut vec![T::default(); n + 1]).is_err(), || {
        "a diagonal of wrong length is accepted".into()
    })?;
    let mut wrong = zeros(n + 1, 1);
    require(operator.apply(zeros(n, 1).as_view(), wrong.as_view_mut()).is_err(), || {
        "an output of wrong shape is accepted".into()
    })?;
    require(operator.apply(wrong.clone().as_view(), wrong.as_view_mut()).is_err(), || {
        "an input of wrong shape is accepted".into()
    })?;
    require(operator.columns(&[n], zeros(n, 1).as_view_mut()).is_err(), || {
        "a column that does not exist is given".into()
    })
}

/// Checks that a feature map fills its shape with finite values that depend on a point alone, not on how points are cut.
///
/// # Errors
/// A [`Violation`] that says what was found.
pub fn feature_map_contract<P: Points>(map: &(impl FeatureMap<P> + ?Sized), xs: &P) -> Result<(), Violation> {
    if map.check(xs).is_err() {
        return Ok(());
    }
    let whole = features(map, xs)?;
    let (n, m) = (xs.len(), map.dim());
    require(whole.shape() == (n, m), || format!("shape {:?}, expected {:?}", whole.shape(), (n, m)))?;
    require(whole.iter().all(|v| v.to_f64().is_finite()), || "a feature is not finite".to_owned())?;
    let mut ws = Workspace::new();
    for i in 0..n {
        let mut row = vec![P::Scalar::of(7.0); m];
        map.features(xs, i..i + 1, DMatrixViewMut::from_slice(&mut row, 1, m), &mut ws);
        for (j, value) in row.iter().enumerate() {
            let same = value.to_f64().to_bits() == whole[(i, j)].to_f64().to_bits();
            require(same, || format!("feature {j} of point {i} depends on the other points"))?;
        }
    }
    Ok(())
}
