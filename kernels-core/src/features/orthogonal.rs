//! Random orthogonal directions.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// The rows of a d × d orthogonal matrix of the Haar measure, row by row: Gram–Schmidt of Gaussian rows, each twice so that rows
/// that came out nearly parallel are orthogonal to rounding as well. O(d³).
pub(crate) fn directions(dim: usize, rng: &mut impl Rng) -> Vec<f64> {
    let mut all = vec![0.0; dim * dim];
    for i in 0..dim {
        let (done, rest) = all.split_at_mut(i * dim);
        let row = &mut rest[..dim];
        loop {
            row.iter_mut().for_each(|w| *w = StandardNormal.sample(rng));
            let before = norm(row);
            for _ in 0..2 {
                for other in done.chunks_exact(dim) {
                    let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                    row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
                }
            }
            let length = norm(row);
            // A row that lies in the span of the others to half the digits is drawn again; that has probability 1e-8.
            if length > 1e-8 * before {
                row.iter_mut().for_each(|w| *w /= length);
                break;
            }
        }
    }
    all
}

pub(crate) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}
