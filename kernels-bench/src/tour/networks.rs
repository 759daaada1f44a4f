//! Networks as kernels beside the Gaussian kernel on small data, in ridge regressions and in support vector machines: accuracy on
//! held-out rows, everything tuned by cross-validation on the training rows.

use kernels_core::{Points, Rows};
use kernels_solvers::{KernelClassifier, svm::SupportVectorClassifier};

use serde_json::{Value, json};

use crate::{cli::Run, datasets::Dataset, error::Error, report::Page, vocabulary::RowKernel};

/// A family of kernels with its accuracy on each data set, and the average.
pub(crate) struct NetworkRow {
    pub(crate) family: &'static str,
    pub(crate) machine: &'static str,
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

/// A classifier on a kernel; the ridge is chosen by leave-one-out error inside, the cost of the machine is one of [`COSTS`].
#[derive(Clone, Copy, PartialEq)]
enum Machine {
    Ridge,
    Svm(f64),
}

const COSTS: [f64; 3] = [1.0, 10.0, 100.0];

impl Machine {
    fn name(self) -> &'static str {
        match self {
            Self::Ridge => "ridge regression",
            Self::Svm(_) => "support vectors",
        }
    }

    fn choices(self) -> Vec<Self> {
        match self {
            Self::Ridge => vec![Self::Ridge],
            Self::Svm(_) => COSTS.iter().map(|c| Self::Svm(*c)).collect(),
        }
    }

    fn accuracy(
        self,
        kernel: &RowKernel,
        train: (&Rows<f64>, &[usize]),
        test: (&Rows<f64>, &[usize]),
    ) -> Result<f64, Error> {
        let predicted = match self {
            Self::Ridge => {
                let model = KernelClassifier::new(kernel.clone()).ridges(ridges()).fit(train.0, train.1)?;
                model.predict(test.0)?
            }
            Self::Svm(cost) => SupportVectorClassifier::new(kernel.clone())
                .cost(cost)
                .fit(train.0, train.1)?
                .predict(test.0)?,
        };
        let right = predicted.iter().zip(test.1).filter(|(p, t)| p == t).count();
        Ok(right as f64 / test.1.len().max(1) as f64)
    }
}

/// Mean accuracy over folds of the training rows.
fn validated(machine: Machine, kernel: &RowKernel, xs: &Rows<f64>, labels: &[usize]) -> Result<f64, Error> {
    let mut sum = 0.0;
    for fold in 0..FOLDS {
        let part = |held: bool| -> Result<(Rows<f64>, Vec<usize>), Error> {
            let rows: Vec<usize> = (0..xs.len()).filter(|i| (i % FOLDS == fold) == held).collect();
            let labels = rows.iter().map(|&i| labels[i]).collect();
            Ok((xs.subset(&rows)?, labels))
        };
        let (train, test) = (part(false)?, part(true)?);
        sum += machine.accuracy(kernel, (&train.0, &train.1), (&test.0, &test.1))?;
    }
    Ok(sum / FOLDS as f64)
}

/// The families on the classification sets, best average first.
pub(crate) fn rows(sets: &[&Dataset], run: &Run) -> Result<Vec<NetworkRow>, Error> {
    let mut out = Vec::new();
    let machines = [Machine::Ridge, Machine::Svm(1.0)];
    for (family, machine) in
        ["rbf", "ntk, relu", "ntk, erf", "nngp, relu"].into_iter().flat_map(|f| machines.map(|m| (f, m)))
    {
        let mut accuracies = Vec::new();
        for data in sets.iter().filter(|d| d.classes.is_some()) {
            let n = data.train.y.len();
            let kept: Vec<usize> = (0..n.min(ROWS)).map(|i| i * n / n.min(ROWS)).collect();
            let xs = data.train.xs.subset(&kept)?;
            let all = data.train.labels();
            let labels: Vec<usize> = kept.iter().map(|&i| all[i]).collect();
            let mut best: Option<(f64, RowKernel, Machine)> = None;
            for text in candidates(family, xs.dim()) {
                let kernel: RowKernel = text.parse()?;
                for machine in machine.choices() {
                    run.stopped()?;
                    let score = validated(machine, &kernel, &xs, &labels)?;
                    if best.as_ref().is_none_or(|(b, ..)| score > *b) {
                        best = Some((score, kernel.clone(), machine));
                    }
                }
            }
            if let Some((_, kernel, machine)) = best {
                let test = (&data.test.xs, data.test.labels());
                accuracies.push((data.name, machine.accuracy(&kernel, (&xs, &labels), (test.0, &test.1))?));
            }
        }
        let average = accuracies.iter().map(|(_, a)| a).sum::<f64>() / accuracies.len().max(1) as f64;
        out.push(NetworkRow { family, machine: machine.name(), accuracies, average });
    }
    out.sort_by(|a, b| b.average.total_cmp(&a.average));
    Ok(out)
}

/// The table in the report.
pub(crate) fn section(page: &mut Page, rows: &[NetworkRow]) {
    let Some(first) = rows.first() else { return };
    page.heading("Networks as kernels");
    page.paragraph(
        "NNGP and tangent kernels of infinitely wide networks beside the Gaussian kernel, in one-vs-rest ridge regressions and in support \
         vector machines, ranked by their average accuracy on the held-out rows. Depth, bias, length scale and cost were chosen by \
         fourfold cross-validation on at most 500 training rows, ridges by leave-one-out error inside.",
    );
    let names: Vec<&str> = first.accuracies.iter().map(|(name, _)| *name).collect();
    let head: Vec<&str> = ["kernel", "machine", "average"].into_iter().chain(names).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let numbers = row.accuracies.iter().map(|(_, a)| format!("{a:.3}"));
            [row.family.to_owned(), row.machine.to_owned(), format!("{:.4}", row.average)]
                .into_iter()
                .chain(numbers)
                .collect()
        })
        .collect();
    page.table(&head, &cells, &[0]);
}

/// The table for machines.
pub(crate) fn object(rows: &[NetworkRow]) -> Value {
    let of = |row: &NetworkRow| {
        let sets: serde_json::Map<String, Value> =
            row.accuracies.iter().map(|(name, a)| ((*name).to_owned(), json!(a))).collect();
        json!({"kernel": row.family, "machine": row.machine, "average": row.average, "accuracies": sets})
    };
    rows.iter().map(of).collect()
}

/// The table as text.
pub(crate) fn text(rows: &[NetworkRow]) -> String {
    let mut out = "networks as kernels, accuracy on held-out rows, tuned by cross-validation\n".to_owned();
    for row in rows {
        out += &format!("    {:12} {:18} {:>7.4} on average  ", row.family, row.machine, row.average);
        let parts: Vec<String> = row.accuracies.iter().map(|(name, a)| format!("{name} {a:.3}")).collect();
        out += &parts.join(", ");
        out.push('\n');
    }
    out
}
