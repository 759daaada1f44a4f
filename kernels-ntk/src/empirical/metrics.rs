//! Numbers that a tangent kernel and labels tell about training.

use kernels_core::dense::SymmetricEigen;
use nalgebra::DMatrix;

use crate::{
    Error,
    error::{same, within},
};

fn same_shape(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<(), Error> {
    same("rows of the second matrix", a.nrows(), b.nrows())?;
    same("columns of the second matrix", a.ncols(), b.ncols())
}

fn cosine(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    let norms = a.norm() * b.norm();
    if norms > 0.0 { a.dot(b) / norms } else { 0.0 }
}

/// +1 where two labels agree, −1 where not, minus its mean.
fn label_matrix(labels: &[usize]) -> DMatrix<f64> {
    let n = labels.len();
    let l = DMatrix::from_fn(n, n, |i, j| if labels[i] == labels[j] { 1.0 } else { -1.0 });
    let mean = l.mean();
    l.add_scalar(-mean)
}

/// Label–gradient alignment: the cosine, in the Frobenius norm, of the kernel and the ±1 matrix of equal labels, each minus its
/// mean.
///
/// ```
/// use kernels_ntk::label_gradient_alignment;
/// use nalgebra::dmatrix;
/// let k = dmatrix![1.0, 0.0; 0.0, 1.0];
/// assert!((label_gradient_alignment(&k, &[0, 1])? - 1.0).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`].
pub fn label_gradient_alignment(kernel: &DMatrix<f64>, labels: &[usize]) -> Result<f64, Error> {
    let l = label_matrix(labels);
    same_shape(&l, kernel)?;
    Ok(cosine(&kernel.add_scalar(-kernel.mean()), &l))
}

/// The same inner product divided by spectral norms.
///
/// # Errors
/// [`Error::Shape`], [`Error::Core`] for NaN.
pub fn spectral_label_alignment(kernel: &DMatrix<f64>, labels: &[usize]) -> Result<f64, Error> {
    let l = label_matrix(labels);
    same_shape(&l, kernel)?;
    let k = kernel.add_scalar(-kernel.mean());
    let norm = |m: &DMatrix<f64>| -> Result<f64, Error> {
        Ok(SymmetricEigen::new(m)?.values.iter().fold(0.0, |n: f64, v| n.max(v.abs())))
    };
    let norms = norm(&k)? * norm(&l)?;
    Ok(if norms > 0.0 { k.dot(&l) / norms } else { 0.0 })
}

/// Kernel–target alignment ⟨K, L⟩/(‖K‖‖L‖), L a matrix of targets' similarities such as YYᵀ.
///
/// # Errors
/// [`Error::Shape`].
pub fn target_alignment(kernel: &DMatrix<f64>, targets: &DMatrix<f64>) -> Result<f64, Error> {
    same_shape(kernel, targets)?;
    Ok(cosine(kernel, targets))
}

/// Centred kernel alignment: both matrices centred on rows and columns.
///
/// ```
/// use kernels_ntk::centered_alignment;
/// use nalgebra::dmatrix;
/// let k = dmatrix![2.0, 1.0; 1.0, 3.0];
/// assert!((centered_alignment(&k, &k)? - 1.0).abs() < 1e-15);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`].
pub fn centered_alignment(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<f64, Error> {
    same_shape(a, b)?;
    let center = |m: &DMatrix<f64>| {
        let (rows, columns, all) = (m.column_mean(), m.row_mean(), m.mean());
        DMatrix::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] - rows[i] - columns[j] + all)
    };
    Ok(cosine(&center(a), &center(b)))
}

/// yᵀKy/(‖K‖ yᵀy).
///
/// # Errors
/// [`Error::Shape`].
pub fn alignment(kernel: &DMatrix<f64>, y: &[f64]) -> Result<f64, Error> {
    let targets = DMatrix::from_fn(y.len(), y.len(), |i, j| y[i] * y[j]);
    target_alignment(kernel, &targets)
}

/// λ_max/λ_min.
///
/// # Errors
/// [`Error::Core`] for a matrix that is not square or not finite; so below.
pub fn condition_number(kernel: &DMatrix<f64>) -> Result<f64, Error> {
    let values = SymmetricEigen::new(kernel)?.values;
    match (values.as_slice().first(), values.as_slice().last()) {
        (Some(least), Some(most)) => Ok(most / least),
        _ => Ok(1.0),
    }
}

/// −Σ (ln(λ + 1) + 1/(λ + 1)), negative eigenvalues by rounding counted as 0.
///
/// # Errors
/// As [`condition_number`].
pub fn eigen_score(kernel: &DMatrix<f64>) -> Result<f64, Error> {
    let values = SymmetricEigen::new(kernel)?.values;
    Ok(-values.iter().map(|l| l.max(0.0)).map(|l| l.ln_1p() + 1.0 / (l + 1.0)).sum::<f64>())
}

/// exp of the entropy of λ/Σλ: n for a multiple of the identity, 1 for rank one.
///
/// ```
/// assert!((kernels_ntk::effective_rank(&nalgebra::DMatrix::identity(3, 3))? - 3.0).abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// As [`condition_number`].
pub fn effective_rank(kernel: &DMatrix<f64>) -> Result<f64, Error> {
    let values: Vec<f64> = SymmetricEigen::new(kernel)?.values.iter().map(|l| l.max(0.0)).collect();
    let sum: f64 = values.iter().sum();
    if sum <= 0.0 {
        return Ok(0.0);
    }
    Ok((-values.iter().filter(|l| **l > 0.0).map(|l| l / sum * (l / sum).ln()).sum::<f64>()).exp())
}

/// −ln P(error ≤ `error`) of hypotheses that fit the training data, for errors distributed as `scale` times a non-central χ² variable
/// of `degrees` degrees of freedom and this non-centrality: what an inductive bias must supply to generalise so well, in nats.
///
/// ```
/// // χ² of two degrees is exponential.
/// let nats = kernels_ntk::inductive_bias(0.2, 2.0, 0.0, 0.1)?;
/// assert!((nats + (1.0 - f64::exp(-1.0)).ln()).abs() < 1e-14);
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for an error, degrees or scale not above 0, or a non-centrality below 0 or above 1000.
pub fn inductive_bias(error: f64, degrees: f64, noncentrality: f64, scale: f64) -> Result<f64, Error> {
    for (name, value) in [("error", error), ("degrees of freedom", degrees), ("scale", scale)] {
        within(name, value, value > 0.0, "a finite number above 0")?;
    }
    within("non-centrality", noncentrality, (0.0..=1000.0).contains(&noncentrality), "from 0 to 1000")?;
    let (x, mean) = (0.5 * error / scale, 0.5 * noncentrality);
    if x > 700.0 + mean + degrees {
        return Ok(0.0);
    }
    // A Poisson mixture of χ² distributions: Σ e⁻ᵐ mʲ/j! γ(d/2 + j, x), each γ by its power series
    // xᵃ e⁻ˣ/Γ(a + 1) (1 + x/(a + 1) + …), terms relative to the first one.
    let a = 0.5 * degrees;
    let (mut sum, mut front, mut j) = (0.0, 1.0, 0.0);
    loop {
        let (mut term, mut series, mut k) = (1.0, 1.0, a + j);
        while term > f64::EPSILON * 1e-3 * series {
            k += 1.0;
            term *= x / k;
            series += term;
        }
        let part = front * series;
        sum += part;
        if part <= f64::EPSILON * 1e-3 * sum && j > mean {
            break;
        }
        j += 1.0;
        front *= mean / j * (x / (a + j));
        if front <= 0.0 {
            break;
        }
    }
    Ok((x + mean - a * x.ln() + libm::lgamma(a + 1.0) - f64::ln(sum)).max(0.0))
}
