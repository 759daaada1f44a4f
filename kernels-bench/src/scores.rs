//! How good predictions are, beside the trivial baseline.

use std::fmt;

use nalgebra::DMatrix;
use serde_json::{Value, json};

/// Scores of a model and of the baseline (the training mean, or the most frequent class).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scores {
    Regression {
        rmse: f64,
        mae: f64,
        r2: f64,
        baseline_rmse: f64,
    },
    /// No log loss without probabilities.
    Classification {
        accuracy: f64,
        log_loss: Option<f64>,
        baseline_accuracy: f64,
    },
}

pub(crate) fn regression(predicted: &[f64], truth: &[f64], train: &[f64]) -> Scores {
    let n = truth.len() as f64;
    let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let squares = |f: &dyn Fn(usize) -> f64| (0..truth.len()).map(|i| (truth[i] - f(i)).powi(2)).sum::<f64>();
    let (train_mean, test_mean) = (mean_of(train), mean_of(truth));
    let left = squares(&|i| predicted[i]);
    let total = squares(&|_| test_mean);
    Scores::Regression {
        rmse: (left / n).sqrt(),
        mae: truth.iter().zip(predicted).map(|(t, p)| (t - p).abs()).sum::<f64>() / n,
        r2: if total > 0.0 { 1.0 - left / total } else { f64::NAN },
        baseline_rmse: (squares(&|_| train_mean) / n).sqrt(),
    }
}

/// Probabilities, where the model has them, come with the label of every column.
pub(crate) fn classification(
    predicted: &[usize],
    probabilities: Option<(DMatrix<f64>, &[usize])>,
    classes: usize,
    truth: &[usize],
    train: &[usize],
) -> Scores {
    let n = truth.len() as f64;
    let right =
        |f: &dyn Fn(usize) -> usize| (0..truth.len()).filter(|&i| truth[i] == f(i)).count() as f64 / n;
    let most_frequent = (0..classes).max_by_key(|c| train.iter().filter(|t| *t == c).count()).unwrap_or(0);
    let log_loss = probabilities.map(|(p, labels)| {
        let loss = truth.iter().enumerate().map(|(i, t)| {
            let column = labels.iter().position(|c| c == t);
            // A class that training did not have gets the least probability that is counted.
            -column.map_or(0.0, |k| p[(i, k)]).max(1e-15).ln()
        });
        loss.sum::<f64>() / n
    });
    Scores::Classification {
        accuracy: right(&|i| predicted[i]),
        log_loss,
        baseline_accuracy: right(&|_| most_frequent),
    }
}

impl Scores {
    /// Means of the same kind of scores.
    pub(crate) fn mean(parts: &[Self]) -> Self {
        let n = parts.len() as f64;
        let mean = |f: fn(&Self) -> [f64; 4]| {
            parts.iter().map(f).fold([0.0; 4], |sum, part| std::array::from_fn(|i| sum[i] + part[i] / n))
        };
        let [a, b, c, d] = mean(|scores| match *scores {
            Self::Regression { rmse, mae, r2, baseline_rmse } => [rmse, mae, r2, baseline_rmse],
            Self::Classification { accuracy, log_loss, baseline_accuracy } => {
                [accuracy, log_loss.unwrap_or(f64::NAN), baseline_accuracy, 0.0]
            }
        });
        match parts.first() {
            Some(Self::Classification { .. }) => {
                let log_loss = Some(b).filter(|b| !b.is_nan());
                Self::Classification { accuracy: a, log_loss, baseline_accuracy: c }
            }
            _ => Self::Regression { rmse: a, mae: b, r2: c, baseline_rmse: d },
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match *self {
            Self::Regression { rmse, mae, r2, baseline_rmse } => {
                json!({"rmse": rmse, "mae": mae, "r2": r2, "baseline_rmse": baseline_rmse})
            }
            Self::Classification { accuracy, log_loss, baseline_accuracy } => {
                json!({"accuracy": accuracy, "log_loss": log_loss, "baseline_accuracy": baseline_accuracy})
            }
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regression { rmse, mae, r2, baseline_rmse } => {
                writeln!(f, "RMSE      {rmse:.6}   (baseline, the training mean: {baseline_rmse:.6})")?;
                write!(f, "MAE       {mae:.6}\nR²        {r2:.4}")
            }
            Self::Classification { accuracy, log_loss, baseline_accuracy } => {
                write!(
                    f,
                    "accuracy  {accuracy:.4}   (baseline, the most frequent class: {baseline_accuracy:.4})"
                )?;
                match log_loss {
                    Some(log_loss) => write!(f, "\nlog loss  {log_loss:.4}"),
                    None => Ok(()),
                }
            }
        }
    }
}
