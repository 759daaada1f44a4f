//! Networks as kernels beside the Gaussian kernel on small data: accuracy on held-out rows, everything tuned by cross-validation on
//! the training rows.

use kernels_core::{Points, Rows};
use kernels_solvers::KernelClassifier;

use crate::{cli::Run, datasets::Dataset, error::Error, vocabulary::RowKernel};

/// A family of kernels with its accuracy on each data set, and the average.
pub(crate) struct NetworkRow {
    pub(crate) family: &'static str,
    pub(crate) accuracies: Vec<(&'static str, f64)>,
    pub(crate) average: f64,
}

/// Most training rows: the table is about small data.
const ROWS: usize = 500;
const FOLDS: usize = 4;

fn candidates(family: &str, dim: usize) -> Vec<String> {
    let root = (dim as f64).sqrt();
    let network = |name: &str, activation: &str| {
        let mut out = Vec::new();
        for depth in [1, 2, 4] {
            for b in ["0", "0.5"] {
                let hidden =
                    format!("dense(w_std=1.4142135623730951, b_std={b}) > {activation} > ").repeat(depth);
                out.push(format!("{name}(net=\"{hidden}dense()\")"));
            }
        }
        out
    };
    match family {
        "rbf" => [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
            .iter()
            .map(|s| format!("rbf(length_scale={})", s * root))
            .collect(),
        "ntk, relu" => network("ntk", "relu"),
        "ntk, erf" => network("ntk", "erf"),
        _ => network("nngp", "relu"),
    }
}

fn ridges() -> Vec<f64> {
    (-6..=2).map(|e| 10.0_f64.powi(e)).collect()
}

fn accuracy(
    kernel: &RowKernel,
    train: (&Rows<f64>, &[usize]),
    test: (&Rows<f64>, &[usize]),
) -> Result<f64, Error> {
    let model = KernelClassifier::new(kernel.clone()).ridges(ridges()).fit(train.0, train.1)?;
    let predicted = model.predict(test.0)?;
    let right = predicted.iter().zip(test.1).filter(|(p, t)| p == t).count();
    Ok(right as f64 / test.1.len().max(1) as f64)
}

/// Mean accuracy over folds of the training rows.
fn validated(kernel: &RowKernel, xs: &Rows<f64>, labels: &[usize]) -> Result<f64, Error> {
    let mut sum = 0.0;
    for fold in 0..FOLDS {
        let part = |held: bool| -> Result<(Rows<f64>, Vec<usize>), Error> {
            let rows: Vec<usize> = (0..xs.len()).filter(|i| (i % FOLDS == fold) == held).collect();
            let labels = rows.iter().map(|&i| labels[i]).collect();
            Ok((xs.subset(&rows)?, labels))
        };
        let (train, test) = (part(false)?, part(true)?);
        sum += accuracy(kernel, (&train.0, &train.1), (&test.0, &test.1))?;
    }
    Ok(sum / FOLDS as f64)
}

/// The families on the classification sets, best average first.
pub(crate) fn rows(sets: &[&Dataset], run: &Run) -> Result<Vec<NetworkRow>, Error> {
    let mut out = Vec::new();
    for family in ["rbf", "ntk, relu", "ntk, erf", "nngp, relu"] {
        let mut accuracies = Vec::new();
        for data in sets.iter().filter(|d| d.classes.is_some()) {
            let n = data.train.y.len();
            let kept: Vec<usize> = (0..n.min(ROWS)).map(|i| i * n / n.min(ROWS)).collect();
            let xs = data.train.xs.subset(&kept)?;
            let all = data.train.labels();
            let labels: Vec<usize> = kept.iter().map(|&i| all[i]).collect();
            let mut best: Option<(f64, RowKernel)> = None;
            for text in candidates(family, xs.dim()) {
                run.stopped()?;
                let kernel: RowKernel = text.parse()?;
                let score = validated(&kernel, &xs, &labels)?;
                if best.as_ref().is_none_or(|(b, _)| score > *b) {
                    best = Some((score, kernel));
                }
            }
            if let Some((_, kernel)) = best {
                let test = (&data.test.xs, data.test.labels());
                accuracies.push((data.name, accuracy(&kernel, (&xs, &labels), (test.0, &test.1))?));
            }
        }
        let average = accuracies.iter().map(|(_, a)| a).sum::<f64>() / accuracies.len().max(1) as f64;
        out.push(NetworkRow { family, accuracies, average });
    }
    out.sort_by(|a, b| b.average.total_cmp(&a.average));
    Ok(out)
}

/// The table as text.
pub(crate) fn text(rows: &[NetworkRow]) -> String {
    let mut out = "networks as kernels, accuracy on held-out rows, tuned by cross-validation\n".to_owned();
    for row in rows {
        out += &format!("    {:22} {:>7.4} on average  ", row.family, row.average);
        let parts: Vec<String> = row.accuracies.iter().map(|(name, a)| format!("{name} {a:.3}")).collect();
        out += &parts.join(", ");
        out.push('\n');
    }
    out
}
