//! Functions of a symmetric sparse matrix as Chebyshev series.

use nalgebra::{DMatrix, DMatrixView};

use crate::{SparseMatrix, graph::row};
use kernels_core::parallel;

/// s ≈ Σ cₖ Tₖ on an interval that holds the spectrum.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    coefficients: Vec<f64>,
    center: f64,
    half: f64,
    bound: f64,
}

/// Columns that go through a series together: a row of a panel is a few cache lines.
const PANEL: usize = 32;

impl Filter {
    /// A series with error at most `tolerance` (times max |s| when that is the unit of rounding), of at most `most` terms.
    ///
    /// Coefficients are sums over Chebyshev nodes, doubled in number until the second half of the coefficients is
    /// negligible; aliasing then is of the order of what is dropped, and counted twice in the bound.
    pub(crate) fn fit(
        s: &(dyn Fn(f64) -> f64 + Send + Sync),
        (low, high): (f64, f64),
        tolerance: f64,
        most: usize,
    ) -> Option<Self> {
        let (center, half) = (0.5 * (low + high), 0.5 * (high - low));
        if half <= 0.0 {
            return Some(Self { coefficients: vec![s(center)], center, half: 1.0, bound: 0.0 });
        }
        let mut count = 32;
        while count <= 4 * most.max(16) {
            let values: Vec<f64> = (0..count).map(|j| s(center + half * (angle(j, count)).cos())).collect();
            let largest = values.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            if !largest.is_finite() {
                return None;
            }
            let coefficients: Vec<f64> = (0..count).map(|k| coefficient(&values, k)).collect();
            // Rounding in the sums is about ε times the largest value: smaller coefficients are noise.
            let noise = 4.0 * f64::EPSILON * largest;
            let goal = tolerance.max(f64::EPSILON * largest);
            let mut tail = 0.0;
            let mut keep = count;
            while keep > 1 {
                let next = coefficients[keep - 1].abs();
                let counted = if next <= noise { 0.0 } else { next };
                if tail + counted > 0.25 * goal {
                    break;
                }
                tail += counted;
                keep -= 1;
            }
            if keep <= count / 2 && keep <= most {
                // Coefficients below the noise that were not counted fall geometrically: allow for the noise itself.
                let bound = 2.0 * tail + noise * (2.0 + (keep as f64).sqrt()) * 4.0;
                return Some(Self { coefficients: coefficients[..keep].to_vec(), center, half, bound });
            }
            count *= 2;
        }
        None
    }

    pub(crate) fn degree(&self) -> usize {
        self.coefficients.len()
    }

    pub(crate) fn bound(&self) -> f64 {
        self.bound
    }

    /// s(M) v for the columns of `v`, by Clenshaw-free three-term recurrence on panels of columns, row by row.
    pub(crate) fn apply(&self, base: &SparseMatrix, v: DMatrixView<'_, f64>) -> DMatrix<f64> {
        let (n, t) = v.shape();
        let mut out = DMatrix::zeros(n, t);
        if n == 0 || t == 0 {
            return out;
        }
        if t >= PANEL || base.nnz() < 20_000 {
            parallel::fill(out.as_mut_slice(), n * PANEL, |start, out| {
                let first = start / n;
                let width = out.len() / n;
                let mut panel = vec![0.0; n * width];
                for j in 0..width {
                    for i in 0..n {
                        panel[i * width + j] = v[(i, first + j)];
                    }
                }
                let result = self.panel(base, panel, width, false);
                for j in 0..width {
                    for i in 0..n {
                        out[j * n + i] = result[i * width + j];
                    }
                }
            });
        } else {
            let mut panel = vec![0.0; n * t];
            for j in 0..t {
                for i in 0..n {
                    panel[i * t + j] = v[(i, j)];
                }
            }
            let result = self.panel(base, panel, t, true);
            for j in 0..t {
                for i in 0..n {
                    out[(i, j)] = result[i * t + j];
                }
            }
        }
        out
    }

    /// The whole matrix s(M).
    pub(crate) fn dense(&self, base: &SparseMatrix) -> DMatrix<f64> {
        let n = base.rows();
        let mut out = DMatrix::zeros(n, n);
        if n == 0 {
            return out;
        }
        parallel::fill(out.as_mut_slice(), n * PANEL, |start, out| {
            let first = start / n;
            let width = out.len() / n;
            let mut panel = vec![0.0; n * width];
            for j in 0..width {
                panel[(first + j) * width + j] = 1.0;
            }
            let result = self.panel(base, panel, width, false);
            for j in 0..width {
                for i in 0..n {
                    out[j * n + i] = result[i * width + j];
                }
            }
        });
        out
    }

    /// The series on one panel of `width` columns, stored row by row.
    fn panel(&self, base: &SparseMatrix, v: Vec<f64>, width: usize, parallel: bool) -> Vec<f64> {
        let c = &self.coefficients;
        let mut sum: Vec<f64> = v.iter().map(|x| c[0] * x).collect();
        if c.len() == 1 {
            return sum;
        }
        let mut previous = v;
        let mut current = vec![0.0; previous.len()];
        self.step(base, &previous, &mut current, &mut sum, c[1], true, width, parallel);
        for &coefficient in &c[2..] {
            // T(k+1) overwrites T(k−1).
            self.step(base, &current, &mut previous, &mut sum, coefficient, false, width, parallel);
            std::mem::swap(&mut previous, &mut current);
        }
        sum
    }

    /// out = 2 M̂ x − out (or M̂ x for the first step), sum += coefficient · out, with M̂ the matrix moved to \[−1, 1\].
    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        base: &SparseMatrix,
        x: &[f64],
        out: &mut [f64],
        sum: &mut [f64],
        coefficient: f64,
        first: bool,
        width: usize,
        parallel: bool,
    ) {
        let factor = if first { 1.0 } else { 2.0 } / self.half;
        let keep = if first { 0.0 } else { -1.0 };
        let (shift, rows) = (self.center, base.rows());
        let work = |start: usize, out: &mut [f64]| {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let i = start / width + i;
                let own = &x[i * width..(i + 1) * width];
                for (out, own) in out.iter_mut().zip(own) {
                    *out = keep * *out - factor * shift * own;
                }
                let (columns, values) = row(base, i);
                for (&j, &value) in columns.iter().zip(values) {
                    let (value, x) = (factor * value, &x[j as usize * width..(j as usize + 1) * width]);
                    for (out, x) in out.iter_mut().zip(x) {
                        *out += value * x;
                    }
                }
            }
        };
        if parallel {
            let size = rows.div_ceil(64).max(256) * width;
            parallel::fill(out, size, work);
        } else {
            work(0, out);
        }
        for (sum, out) in sum.iter_mut().zip(out.iter()) {
            *sum += coefficient * out;
        }
    }
}

fn angle(j: usize, count: usize) -> f64 {
    std::f64::consts::PI * (j as f64 + 0.5) / count as f64
}

/// cₖ = (2/N) Σ s(cos θⱼ) cos kθⱼ, half of it for k = 0.
fn coefficient(values: &[f64], k: usize) -> f64 {
    let n = values.len();
    // cos(kθⱼ) depends on k(2j + 1) mod 4N only: exact reduction keeps its last digit for large k.
    let sum: f64 = values
        .iter()
        .enumerate()
        .map(|(j, value)| {
            let turn = (k * (2 * j + 1)) % (4 * n);
            value * (std::f64::consts::PI * turn as f64 / (2 * n) as f64).cos()
        })
        .sum();
    sum * if k == 0 { 1.0 } else { 2.0 } / n as f64
}
