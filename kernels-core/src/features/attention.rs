//! Attention in linear time, and exact attention as its oracle.

use nalgebra::{DMatrix, DVector};

use crate::{Error, Real};

/// Attention with a kernel given by features: row i is φ(qᵢ)ᵀ Σⱼ φ(kⱼ) vⱼᵀ / φ(qᵢ)ᵀ Σⱼ φ(kⱼ), over all j, or over j ≤ i when `causal`.
///
/// The features of queries (n × m), the features of keys (l × m) and the values (l × t) may come from any positive map; a factor of each
/// query's features, and one of all keys', drop out.
///
/// **Errors.** [`Error::Shape`] when sizes do not fit (causal attention needs l = n); [`Error::Domain`] when a denominator is not positive,
/// which features that are not positive can bring about. **Complexity.** O((n + l) m t), no n × l matrix.
///
/// Reference: Katharopoulos, Vyas, Pappas & Fleuret, *Transformers are RNNs* (2020).
///
/// ```
/// use kernels_core::{Rows, SoftmaxFeatures, exact_attention, linear_attention};
/// use nalgebra::DMatrix;
/// let q = DMatrix::from_fn(6, 2, |i, j| ((i + 2 * j) as f64).sin() * 0.5);
/// let v = DMatrix::from_fn(6, 1, |i, _| i as f64);
/// let map = SoftmaxFeatures::orthogonal(2, 4000, 1)?;
/// let (fq, fk) = (map.queries(&Rows::new(&q))?, map.keys(&Rows::new(&q))?);
/// let (fast, exact) = (linear_attention(&fq, &fk, &v, true)?, exact_attention(&q, &q, &v, true)?);
/// assert!((fast - exact).amax() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn linear_attention<T: Real>(
    queries: &DMatrix<T>,
    keys: &DMatrix<T>,
    values: &DMatrix<T>,
    causal: bool,
) -> Result<DMatrix<T>, Error> {
    check(queries, keys, values, causal)?;
    let (n, m, t) = (queries.nrows(), queries.ncols(), values.ncols());
    let mut out = DMatrix::repeat(n, t, T::default());
    let mut denominators = DVector::repeat(n, T::default());
    if causal {
        let (mut sums, mut total) = (DMatrix::repeat(t, m, T::default()), DVector::repeat(m, T::default()));
        for i in 0..n {
            let (key, value) = (keys.row(i).transpose(), values.row(i).transpose());
            sums.ger(T::of(1.0), &value, &key, T::of(1.0));
            total += key;
            let query = queries.row(i).transpose();
            denominators[i] = query.dot(&total);
            out.row_mut(i).copy_from(&(&sums * query).transpose());
        }
    } else {
        out.gemm(T::of(1.0), queries, &keys.tr_mul(values), T::default());
        let total = DVector::from_iterator(m, keys.column_iter().map(|c| c.sum()));
        denominators = queries * total;
    }
    for (i, denominator) in denominators.iter().enumerate() {
        if !(denominator.to_f64() > 0.0 && denominator.is_finite()) {
            return Err(Error::Domain {
                kernel: "linear attention",
                row: i,
                column: 0,
                value: denominator.to_f64(),
                expected: "a denominator above 0; use positive features",
            });
        }
        out.row_mut(i).iter_mut().for_each(|v| *v /= *denominator);
    }
    Ok(out)
}

/// Softmax attention: row i is Σⱼ e^⟨qᵢ,kⱼ⟩ vⱼ / Σⱼ e^⟨qᵢ,kⱼ⟩, over all j, or over j ≤ i when `causal`. Fold d^(−1/4) into queries and keys
/// for the usual scale.
///
/// **Errors.** [`Error::Shape`] when sizes do not fit (causal attention needs as many queries as keys). **Complexity.** O(n l (d + t)),
/// O(l) memory beside the result.
///
/// ```
/// use kernels_core::exact_attention;
/// use nalgebra::dmatrix;
/// let out = exact_attention(&dmatrix![0.0], &dmatrix![1.0; 5.0], &dmatrix![2.0; 4.0], false)?;
/// assert_eq!(out, dmatrix![3.0]);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn exact_attention<T: Real>(
    queries: &DMatrix<T>,
    keys: &DMatrix<T>,
    values: &DMatrix<T>,
    causal: bool,
) -> Result<DMatrix<T>, Error> {
    check(queries, keys, values, causal)?;
    let mut out = DMatrix::repeat(queries.nrows(), values.ncols(), T::default());
    for i in 0..queries.nrows() {
        let last = if causal { i + 1 } else { keys.nrows() };
        let mut weights = keys.rows(0, last) * queries.row(i).transpose();
        let largest = weights.max();
        weights.apply(|w| *w = (*w - largest).exp());
        let total = weights.sum();
        let row = values.rows(0, last).tr_mul(&weights) / total;
        out.row_mut(i).copy_from(&row.transpose());
    }
    Ok(out)
}

fn check<T: Real>(q: &DMatrix<T>, k: &DMatrix<T>, v: &DMatrix<T>, causal: bool) -> Result<(), Error> {
    let shape = |what, expected, given| Err(Error::Shape { what, expected, given });
    if k.ncols() != q.ncols() {
        return shape("columns of the keys", q.ncols(), k.ncols());
    }
    if v.nrows() != k.nrows() {
        return shape("rows of the values (one a key)", k.nrows(), v.nrows());
    }
    if causal && k.nrows() != q.nrows() {
        return shape("keys of causal attention (one a query)", q.nrows(), k.nrows());
    }
    if k.nrows() == 0 && q.nrows() > 0 {
        return Err(Error::TooFewPoints { what: "attention (keys)", needed: 1, given: 0 });
    }
    Ok(())
}
