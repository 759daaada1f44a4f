//! From scores to probabilities.

use nalgebra::DMatrix;

use crate::{
    Error,
    data::{at_least, expect, finite},
};

/// How the scores of a classifier become probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// A sigmoid 1/(1 + e^(As+B)) a class; the right choice for small data.
    #[default]
    Platt,
    /// A monotone step function a class, by pool-adjacent-violators; for a thousand samples or more.
    Isotonic,
    /// One temperature for all classes: softmax of s/T.
    Temperature,
}

/// A fitted map from scores to the probability of one class.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Calibrator {
    Sigmoid { a: f64, b: f64 },
    Steps { scores: Vec<f64>, probabilities: Vec<f64> },
}

impl Calibrator {
    fn probability(&self, score: f64) -> f64 {
        match self {
            Self::Sigmoid { a, b } => sigmoid(-(a * score + b)),
            Self::Steps { scores, probabilities } => interpolate(scores, probabilities, score),
        }
    }
}

/// How the scores of a classifier, one a class, become probabilities: fitted on scores of samples that the classifier had not seen,
/// from leave-one-out or from folds.
///
/// ```
/// use kernels_solvers::{Calibration, ProbabilityScale};
/// // Scores of four samples for two classes, which are right three times of four.
/// let scores = nalgebra::dmatrix![2.0, -2.0; 1.0, -1.0; -1.0, 1.0; 0.5, -0.5];
/// let scale = ProbabilityScale::fit(&scores, &[0, 0, 1, 1], Calibration::Platt)?;
/// let p = scale.probabilities(&scores)?;
/// assert!((p.row(0).sum() - 1.0).abs() < 1e-12 && p[(0, 0)] > p[(3, 0)]);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProbabilityScale(Scale);

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Scale {
    Each(Vec<Calibrator>),
    Together { inverse_temperature: f64, classes: usize },
}

impl ProbabilityScale {
    /// From scores, one row a sample and one column a class, and the column of every sample's class.
    ///
    /// # Errors
    /// No samples or classes, not one class a sample, classes that are no columns, scores that are not finite.
    pub fn fit(scores: &DMatrix<f64>, class: &[usize], by: Calibration) -> Result<Self, Error> {
        let (n, classes) = scores.shape();
        at_least("calibration (samples)", 1, n)?;
        at_least("calibration (classes)", 1, classes)?;
        expect("classes (one a sample)", n, class.len())?;
        finite("score", scores.as_slice(), n)?;
        if let Some(&given) = class.iter().find(|k| **k >= classes) {
            let what = "column of a class (below)";
            return Err(kernels_core::Error::Shape { what, expected: classes, given }.into());
        }
        let each = |fit: fn(&[f64], &[bool]) -> Calibrator| {
            let column = |k: usize| {
                let positive: Vec<bool> = class.iter().map(|c| *c == k).collect();
                fit(scores.column(k).into_owned().as_slice(), &positive)
            };
            Scale::Each((0..classes).map(column).collect())
        };
        Ok(Self(match by {
            Calibration::Platt => each(platt),
            Calibration::Isotonic => each(isotonic),
            Calibration::Temperature => {
                let rows: Vec<Vec<f64>> = scores.row_iter().map(|r| r.iter().copied().collect()).collect();
                Scale::Together { inverse_temperature: temperature(&rows, class), classes }
            }
        }))
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match &self.0 {
            Scale::Each(calibrators) => calibrators.len(),
            Scale::Together { classes, .. } => *classes,
        }
    }

    /// Probabilities of scores, one column a class; rows sum to 1.
    ///
    /// # Errors
    /// Another number of classes.
    pub fn probabilities(&self, scores: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        expect("columns of the scores (one a class)", self.classes(), scores.ncols())?;
        let mut out = scores.clone();
        for mut row in out.row_iter_mut() {
            let given: Vec<f64> = row.iter().copied().collect();
            let p = match &self.0 {
                Scale::Together { inverse_temperature, .. } => softmax(&given, *inverse_temperature),
                Scale::Each(calibrators) => {
                    let p: Vec<f64> =
                        calibrators.iter().zip(&given).map(|(c, &s)| c.probability(s)).collect();
                    let sum: f64 = p.iter().sum();
                    // No class claims the point: all are as likely.
                    if sum > 0.0 {
                        p.iter().map(|p| p / sum).collect()
                    } else {
                        vec![1.0 / p.len() as f64; p.len()]
                    }
                }
            };
            row.iter_mut().zip(p).for_each(|(to, p)| *to = p);
        }
        Ok(out)
    }

    /// The column of greatest probability in every row; among equals, of the greatest score.
    ///
    /// # Errors
    /// As [`ProbabilityScale::probabilities`].
    pub fn best(&self, scores: &DMatrix<f64>) -> Result<Vec<usize>, Error> {
        let probabilities = self.probabilities(scores)?;
        let best = |i: usize| {
            let key = |k: usize| (probabilities[(i, k)], scores[(i, k)]);
            (1..scores.ncols()).fold(0, |best, k| if key(k) > key(best) { k } else { best })
        };
        Ok((0..scores.nrows()).map(best).collect())
    }
}

/// 1/(1 + e^(−t)) without overflow.
pub(crate) fn sigmoid(t: f64) -> f64 {
    if t >= 0.0 {
        1.0 / (1.0 + (-t).exp())
    } else {
        let e = t.exp();
        e / (1.0 + e)
    }
}

/// ln(1 + eᵗ) without overflow.
pub(crate) fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// Platt's sigmoid with his smoothed targets (N₊+1)/(N₊+2) and 1/(N₋+2), by Newton's method with backtracking.
///
/// Reference: Lin, Lin, Weng, *A note on Platt's probabilistic outputs for support vector machines* (2007).
fn platt(scores: &[f64], positive: &[bool]) -> Calibrator {
    let count = positive.iter().filter(|p| **p).count() as f64;
    let (high, low) = ((count + 1.0) / (count + 2.0), 1.0 / (scores.len() as f64 - count + 2.0));
    let targets: Vec<f64> = positive.iter().map(|&p| if p { high } else { low }).collect();
    let loss = |a: f64, b: f64| -> f64 {
        let terms = scores.iter().zip(&targets);
        // −t ln p − (1−t) ln(1−p) with p = 1/(1 + e^z).
        terms.map(|(s, t)| t * softplus(a * s + b) + (1.0 - t) * softplus(-(a * s + b))).sum()
    };
    let (mut a, mut b) = (0.0, ((scores.len() as f64 - count + 1.0) / (count + 1.0)).ln());
    let mut value = loss(a, b);
    for _ in 0..100 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-12, 0.0, 1e-12);
        for (s, t) in scores.iter().zip(&targets) {
            let p = sigmoid(-(a * s + b));
            let (d, w) = (t - p, p * (1.0 - p));
            ga += d * s;
            gb += d;
            haa += w * s * s;
            hab += w * s;
            hbb += w;
        }
        if ga.abs() < 1e-10 && gb.abs() < 1e-10 {
            break;
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = (-(hbb * ga - hab * gb) / determinant, -(haa * gb - hab * ga) / determinant);
        let slope = ga * da + gb * db;
        let mut step = 1.0;
        let better = loop {
            let next = loss(a + step * da, b + step * db);
            if next < value + 1e-4 * step * slope {
                break Some(next);
            }
            step *= 0.5;
            if step < 1e-10 {
                break None;
            }
        };
        let Some(next) = better else { break };
        (a, b, value) = (a + step * da, b + step * db, next);
    }
    Calibrator::Sigmoid { a, b }
}

/// The monotone function nearest to the labels in least squares, by pooling adjacent violators; ends of the steps are kept,
/// values between are interpolated.
fn isotonic(scores: &[f64], positive: &[bool]) -> Calibrator {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&i, &j| scores[i].total_cmp(&scores[j]));
    // Blocks of (first score, last score, sum, count); equal scores begin as one block.
    let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
    for i in order {
        let value = f64::from(u8::from(positive[i]));
        match blocks.last_mut() {
            Some(last) if last.0.total_cmp(&scores[i]).is_eq() && last.1.total_cmp(&scores[i]).is_eq() => {
                last.2 += value;
                last.3 += 1.0;
            }
            _ => blocks.push((scores[i], scores[i], value, 1.0)),
        }
    }
    let mut pooled: Vec<(f64, f64, f64, f64)> = Vec::new();
    for mut block in blocks {
        while let Some(last) = pooled.last() {
            if last.2 / last.3 < block.2 / block.3 {
                break;
            }
            block = (last.0, block.1, last.2 + block.2, last.3 + block.3);
            pooled.pop();
        }
        pooled.push(block);
    }
    let (mut at, mut probabilities) = (Vec::new(), Vec::new());
    for (first, last, sum, count) in pooled {
        at.push(first);
        probabilities.push(sum / count);
        if last > first {
            at.push(last);
            probabilities.push(sum / count);
        }
    }
    Calibrator::Steps { scores: at, probabilities }
}

/// Linear between the nodes, constant outside.
fn interpolate(nodes: &[f64], values: &[f64], at: f64) -> f64 {
    match nodes.partition_point(|&node| node <= at) {
        0 => values.first().copied().unwrap_or(0.5),
        i if i == nodes.len() => values[i - 1],
        i => {
            let t = (at - nodes[i - 1]) / (nodes[i] - nodes[i - 1]);
            values[i - 1] + t * (values[i] - values[i - 1])
        }
    }
}

/// Softmax of scores times `inverse` (1/T).
pub(crate) fn softmax(scores: &[f64], inverse: f64) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = scores.iter().map(|s| ((s - largest) * inverse).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|v| v / sum).collect()
}

/// The inverse temperature of greatest likelihood. The likelihood is concave in 1/T: bisection on its derivative.
fn temperature(scores: &[Vec<f64>], class: &[usize]) -> f64 {
    let slope = |inverse: f64| -> f64 {
        let rows = scores.iter().zip(class);
        rows.map(|(s, &k)| s[k] - softmax(s, inverse).iter().zip(s).map(|(p, s)| p * s).sum::<f64>()).sum()
    };
    let (mut low, mut high) = (1e-3, 1e3);
    if slope(low) <= 0.0 {
        return low;
    }
    if slope(high) >= 0.0 {
        return high;
    }
    for _ in 0..100 {
        let middle = (low * high).sqrt();
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        scores: Vec<f64>,
        labels: Vec<f64>,
        #[serde(rename = "A")]
        a: f64,
        #[serde(rename = "B")]
        b: f64,
        fitted: Vec<f64>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../tests/reference/calibration.json")).unwrap()
    }

    #[test]
    fn platt_agrees_with_reference() {
        let r = reference();
        let positive: Vec<bool> = r.labels.iter().map(|&l| l > 0.0).collect();
        let Calibrator::Sigmoid { a, b } = platt(&r.scores, &positive) else { panic!("a sigmoid") };
        // The reference is an optimiser's result with its own stopping rule.
        assert!((a - r.a).abs() < 1e-4 && (b - r.b).abs() < 1e-4, "{a} {b} against {} {}", r.a, r.b);
    }

    #[test]
    fn isotonic_agrees_with_reference() {
        let r = reference();
        let positive: Vec<bool> = r.labels.iter().map(|&l| l > 0.0).collect();
        let fitted = isotonic(&r.scores, &positive);
        for (s, expected) in r.scores.iter().zip(&r.fitted) {
            assert!((fitted.probability(*s) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn temperature_of_overconfident_scores_is_above_one() {
        // 3 of 4 right at a margin of 4: softmax(4/T) must be 3/4, so T = 4 / ln 3.
        let scores = vec![vec![4.0, 0.0]; 4];
        let inverse = temperature(&scores, &[0, 0, 0, 1]);
        assert!((1.0 / inverse - 4.0 / 3.0_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn scales_check_what_they_are_given() {
        let scores = DMatrix::from_row_slice(3, 2, &[1.0, -1.0, 0.5, -0.5, -1.0, 1.0]);
        for by in [Calibration::Platt, Calibration::Isotonic, Calibration::Temperature] {
            let scale = ProbabilityScale::fit(&scores, &[0, 0, 1], by).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!((scale.classes(), scale.best(&scores)), (2, Ok(vec![0, 0, 1])));
            assert!(scale.probabilities(&DMatrix::zeros(1, 3)).is_err());
            assert!(ProbabilityScale::fit(&scores, &[0, 1], by).is_err());
            assert!(ProbabilityScale::fit(&scores, &[0, 1, 2], by).is_err());
            assert!(ProbabilityScale::fit(&(&scores * f64::NAN), &[0, 0, 1], by).is_err());
            assert!(ProbabilityScale::fit(&DMatrix::zeros(0, 2), &[], by).is_err());
        }
    }

    #[test]
    fn extreme_scores_stay_probabilities() {
        for c in [platt(&[-1e300, 1e300], &[false, true]), isotonic(&[-1e300, 1e300], &[false, true])] {
            for s in [-1e308, -1.0, 0.0, 1.0, 1e308] {
                assert!((0.0..=1.0).contains(&c.probability(s)));
            }
        }
    }
}
