//! What is left of a symmetric matrix when rank-one terms are taken from it.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

use crate::{Error, engine::for_each_rows};

/// R = A − Σ ± uuᵀ of a symmetric n × n matrix A that is never stored: its diagonal, and the vectors u to correct columns of A with. The
/// state of every method that conditions a kernel on points one after the other: partial Cholesky factorization, greedy
/// selection by determinant or variance, and taking such steps back.
///
/// ```
/// use kernels_core::Remainder;
/// use nalgebra::DMatrix;
/// let a = DMatrix::from_row_slice(2, 2, &[4.0, 2.0, 2.0, 3.0]);
/// let mut left = Remainder::new(vec![4.0, 3.0]);
/// left.take(&[2.0, 1.0]); // the first column over the root of its pivot
/// assert_eq!(left.diagonal(), [0.0, 2.0]);
/// let mut column = a.columns(1, 1).into_owned();
/// left.correct(&[1], column.as_view_mut());
/// assert_eq!(column.as_slice(), [0.0, 2.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Remainder {
    diagonal: Vec<f64>,
    /// Vectors u, one after the other.
    terms: Vec<f64>,
    /// −1 for terms taken, 1 for terms given back.
    signs: Vec<f64>,
}

impl Remainder {
    /// All of a matrix with this diagonal.
    pub fn new(diagonal: Vec<f64>) -> Self {
        Self { diagonal, terms: Vec::new(), signs: Vec::new() }
    }

    /// Makes room for so many terms more.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn reserve(&mut self, terms: usize) -> Result<(), Error> {
        let values = terms.saturating_mul(self.diagonal.len());
        let needed = values.saturating_mul(size_of::<f64>());
        let refused = |_| Error::Memory { what: "the factor of a kernel matrix", needed, available: 0 };
        self.terms.try_reserve_exact(values).map_err(refused)
    }

    /// Diagonal of R; taking terms leaves it at 0 or above.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// Number of vectors u.
    pub fn len(&self) -> usize {
        self.signs.len()
    }

    /// Whether R is A.
    pub fn is_empty(&self) -> bool {
        self.signs.is_empty()
    }

    /// The last vector u.
    pub fn last(&self) -> Option<&[f64]> {
        let start = self.len().checked_sub(1)? * self.diagonal.len();
        Some(&self.terms[start..])
    }

    /// All vectors u, n × their number.
    pub fn into_terms(self) -> DMatrix<f64> {
        DMatrix::from_vec(self.diagonal.len(), self.signs.len(), self.terms)
    }

    /// Sets an entry of the diagonal that is known exactly, such as that of a pivot: 0.
    pub fn set_diagonal(&mut self, i: usize, value: f64) {
        if let Some(d) = self.diagonal.get_mut(i) {
            *d = value;
        }
    }

    /// R ← R − uuᵀ. What `u` has beyond n entries is not looked at, what it lacks is 0.
    pub fn take(&mut self, u: &[f64]) {
        self.push(u, -1.0);
        self.diagonal.iter_mut().zip(u).for_each(|(d, u)| *d = (*d - u * u).max(0.0));
    }

    /// R ← R + uuᵀ.
    pub fn give(&mut self, u: &[f64]) {
        self.push(u, 1.0);
        self.diagonal.iter_mut().zip(u).for_each(|(d, u)| *d += u * u);
    }

    fn push(&mut self, u: &[f64], sign: f64) {
        let n = self.diagonal.len();
        self.terms.extend_from_slice(&u[..u.len().min(n)]);
        self.signs.push(sign);
        self.terms.resize(n * self.signs.len(), 0.0);
    }

    /// Turns columns `indices` of A into those of R, on all cores; the same bits whatever their number. O(n) a column and term.
    ///
    /// Columns without an index, or with one from n on, are left alone.
    pub fn correct(&self, indices: &[usize], mut columns: DMatrixViewMut<'_, f64>) {
        let (n, k) = (self.diagonal.len(), self.len());
        let width = indices.len().min(columns.ncols());
        if k == 0 || columns.nrows() != n {
            return;
        }
        let factors = DMatrix::from_fn(k, width, |t, j| {
            let i = indices[j];
            if i < n { self.signs[t] * self.terms[t * n + i] } else { 0.0 }
        });
        for_each_rows(columns.columns_mut(0, width), |rows, mut part, _| {
            if width > 3 {
                let band =
                    DMatrixView::from_slice_with_strides(&self.terms[rows.start..], rows.len(), k, 1, n);
                part.gemm(1.0, &band, &factors, 1.0);
                return;
            }
            for j in 0..width {
                let factors = &factors.as_slice()[j * k..(j + 1) * k];
                let mut column = part.column_mut(j);
                let out = column.as_mut_slice();
                // The rows of a band stay in cache while the terms stream by.
                let term = |t: usize| &self.terms[t * n + rows.start..t * n + rows.end];
                let mut t = 0;
                // Four terms a visit, added in their order.
                while t + 4 <= k {
                    let (f, u) = (&factors[t..t + 4], [term(t), term(t + 1), term(t + 2), term(t + 3)]);
                    for ((((x, a), b), c), d) in out.iter_mut().zip(u[0]).zip(u[1]).zip(u[2]).zip(u[3]) {
                        *x = (((*x + f[0] * a) + f[1] * b) + f[2] * c) + f[3] * d;
                    }
                    t += 4;
                }
                for t in t..k {
                    out.iter_mut().zip(term(t)).for_each(|(x, u)| *x += factors[t] * u);
                }
            }
        });
    }
}
