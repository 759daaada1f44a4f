//! Selection of items by what their labels tell: information gain on a graph of labels.

use nalgebra::DMatrix;

use super::Greedy;
use crate::{Error, access, error};

/// How the information of a label grows with what is known about it: a concave φ.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Saturation {
    /// (x + shift)^exponent, 0 < exponent ≤ 1: [`Saturation::default`] has 10⁻⁶ and 0.8.
    Power {
        /// What keeps the slope at 0 finite.
        shift: f64,
        /// The exponent.
        exponent: f64,
    },
    /// 1 − e^(−rate · x).
    Exponential {
        /// The rate.
        rate: f64,
    },
}

impl Default for Saturation {
    fn default() -> Self {
        Self::Power { shift: 1e-6, exponent: 0.8 }
    }
}

impl Saturation {
    fn slope(self, x: f64) -> f64 {
        match self {
            Self::Power { shift, exponent } => exponent * (x + shift).powf(exponent - 1.0),
            Self::Exponential { rate } => rate * (-rate * x).exp(),
        }
    }

    fn check(self) -> Result<(), Error> {
        match self {
            Self::Power { shift, exponent } => {
                error::positive("shift", shift)?;
                let expected = "above 0, at most 1";
                error::parameter("exponent", exponent, exponent > 0.0 && exponent <= 1.0, expected)
                    .map(|_| ())
            }
            Self::Exponential { rate } => error::positive("rate", rate).map(|_| ()),
        }
    }
}

/// How much of what an item says about one label it says about others: a matrix with columns of sum 1 from the similarities
/// of labels. Similarities below `threshold` count as none, those of different labels are weighted by `weight`.
///
/// **Errors.** A matrix that is not square or not finite, a column without a positive sum.
pub fn label_propagation(
    similarities: &DMatrix<f64>,
    threshold: f64,
    weight: f64,
) -> Result<DMatrix<f64>, Error> {
    let c = similarities.nrows();
    error::expect("columns of the similarities of labels", c, similarities.ncols())?;
    error::finite("similarity", similarities.as_slice())?;
    let mut out = DMatrix::from_fn(c, c, |i, j| {
        let s = similarities[(i, j)];
        let s = if s < threshold { 0.0 } else { s };
        if i == j { s } else { weight * s }
    });
    for (index, mut column) in out.column_iter_mut().enumerate() {
        let sum = column.sum();
        if sum.is_nan() || sum <= 0.0 {
            let expected = "above 0: every label is similar to itself at least";
            return Err(Error::Value { what: "sum of similarities of label", index, value: sum, expected });
        }
        column /= sum;
    }
    Ok(out)
}

/// Greedy selection of labelled items by information gain (MIG): an item of quality q gives q to each of its labels, spread by the
/// `propagation`; each step takes the item of the largest gain to first order, Σ_l v_l φ′(x_l), x what is known already.
///
/// `items` holds the labels of every item; with `shared` an item's quality is divided among its labels. Gains are those
/// first-order ones. An item comes once.
///
/// **Errors.** Lengths that differ, labels out of range, qualities that are negative or not finite, more items than there are.
///
/// Reference: Chen et al., *MIG: automatic data selection for instruction tuning by maximizing information gain in semantic
/// space* (2025).
///
/// ```
/// use kernels_sample::{Saturation, information_gain, label_propagation};
/// use nalgebra::DMatrix;
/// let labels = label_propagation(&DMatrix::identity(2, 2), 0.5, 1.0)?;
/// let items = [vec![0], vec![0], vec![1]];
/// let found = information_gain(&items, &[3.0, 2.9, 1.0], &labels, Saturation::default(), false, 2)?;
/// assert_eq!(found.indices, [0, 2]); // the second label before more of the first
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn information_gain(
    items: &[Vec<usize>],
    quality: &[f64],
    propagation: &DMatrix<f64>,
    saturation: Saturation,
    shared: bool,
    size: usize,
) -> Result<Greedy, Error> {
    let (n, c) = (items.len(), propagation.nrows());
    error::expect("qualities (one an item)", n, quality.len())?;
    error::expect("columns of the propagation", c, propagation.ncols())?;
    error::finite("entry of the propagation", propagation.as_slice())?;
    saturation.check()?;
    if size > n {
        let expected = "at most the number of items";
        return Err(Error::Count { what: "number of selections", given: size, expected, limit: n });
    }
    let mut spread = DMatrix::zeros(c, n);
    for (i, labels) in items.iter().enumerate() {
        let q = quality[i];
        if !(q.is_finite() && q >= 0.0) {
            let expected = "a finite number, 0 or above";
            return Err(Error::Value { what: "quality", index: i, value: q, expected });
        }
        let q = if shared { q / labels.len().max(1) as f64 } else { q };
        for &label in labels {
            if label >= c {
                let expected = "below the number of labels";
                return Err(Error::Count { what: "label", given: label, expected, limit: c });
            }
            for l in 0..c {
                spread[(l, i)] += q * propagation[(label, l)];
            }
        }
    }
    let mut known = vec![0.0; c];
    let mut taken = vec![false; n];
    let mut out = Greedy { indices: Vec::new(), gains: Vec::new() };
    for _ in 0..size {
        let slopes: Vec<f64> = known.iter().map(|x| saturation.slope(*x)).collect();
        let scores: Vec<f64> = spread.column_iter().map(|v| access::dot(v.as_slice(), &slopes)).collect();
        let Some(next) = access::argmax(&scores, |i| !taken[i]) else { break };
        known.iter_mut().zip(spread.column(next).iter()).for_each(|(x, v)| *x += v);
        taken[next] = true;
        out.indices.push(next);
        out.gains.push(scores[next]);
    }
    Ok(out)
}
