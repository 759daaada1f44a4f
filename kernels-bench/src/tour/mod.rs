//! `kernels tour`: kernel models fitted, tuned and compared on real data.

mod graphs;
mod networks;
mod pictures;
mod sampling;
mod series;

use std::{path::PathBuf, time::Instant};

use clap::Args;
use kernels_core::{Points, Rows};
use kernels_solvers::{ClassifierModel, GaussianProcess, GpModel, KernelClassifier, Objective};
use nalgebra::DMatrix;
use serde_json::{Value, json};

use crate::{
    cli::Run,
    data::Output,
    datasets::{self, Dataset},
    error::Error,
    report::{Page, plot},
    vocabulary::RowKernel,
};

/// Options of `tour`.
#[derive(Debug, Args)]
pub(crate) struct Tour {
    /// The report to write.
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// Fewer data sets and kernels.
    #[arg(long)]
    quick: bool,
}

type Gp = GpModel<Rows<f64>, RowKernel>;
type Classifier = ClassifierModel<Rows<f64>, RowKernel>;

/// One kernel on one data set.
struct Row {
    kernel: &'static str,
    tuned: String,
    error: f64,
    standard_error: f64,
    seconds: f64,
    model: Fitted,
}

enum Fitted {
    Regression(Box<Gp>),
    Classes(Box<Classifier>),
}

/// All kernels on one data set.
struct Comparison {
    data: Dataset,
    baseline: f64,
    rows: Vec<Row>,
}

impl Comparison {
    fn best(&self) -> usize {
        (0..self.rows.len()).min_by(|&a, &b| self.rows[a].error.total_cmp(&self.rows[b].error)).unwrap_or(0)
    }

    fn measure(&self) -> &'static str {
        if self.data.classes.is_some() { "error rate" } else { "RMSE" }
    }
}

/// The kernels that are compared, by name and text; `L` is √d, the length scale for standardised features.
const KERNELS: [(&str, &str); 9] = [
    ("linear", "1 * linear(offset=1)"),
    ("polynomial, degree 2", "1 * polynomial(degree=2, gamma=G, offset=1)"),
    ("rbf", "1 * rbf(length_scale=L)"),
    ("matern 1/2", "1 * matern(nu=0.5, length_scale=L)"),
    ("matern 3/2", "1 * matern(nu=1.5, length_scale=L)"),
    ("matern 5/2", "1 * matern(nu=2.5, length_scale=L)"),
    ("rational quadratic", "1 * rational_quadratic(alpha=1, length_scale=L)"),
    ("laplacian", "1 * laplacian(length_scale=D)"),
    ("rbf + linear", "1 * rbf(length_scale=L) + 1 * linear(offset=1)"),
];

/// Rows that hyper-parameters are searched on; models are fitted to all training rows.
const SEARCH_ROWS: usize = 400;

fn start(text: &str, dim: usize) -> Result<RowKernel, Error> {
    let d = dim as f64;
    let text = text.replace("=L", &format!("={}", d.sqrt())).replace("=G", &format!("={}", 1.0 / d));
    Ok(text.replace("=D", &format!("={d}")).parse()?)
}

/// Evenly spread rows, at most as many as the search takes.
fn searched(n: usize) -> Vec<usize> {
    let m = n.min(SEARCH_ROWS);
    (0..m).map(|i| i * n / m).collect()
}

fn fit_regression(kernel: RowKernel, xs: &Rows<f64>, y: &[f64]) -> Result<Gp, Error> {
    let rows = searched(xs.len());
    let targets: Vec<f64> = rows.iter().map(|&i| y[i]).collect();
    let search = GaussianProcess::new(kernel).noise(0.1).max_iterations(40);
    let tuned = search.fit(&xs.subset(&rows)?, &targets)?;
    let gp = GaussianProcess::new(tuned.kernel().clone()).noise(tuned.noise()).objective(None);
    Ok(gp.fit(xs, y)?)
}

fn fit_classes(
    kernel: RowKernel,
    xs: &Rows<f64>,
    labels: &[usize],
    classes: usize,
) -> Result<Classifier, Error> {
    let rows = searched(xs.len());
    let codes = DMatrix::from_fn(rows.len(), classes, |i, k| if labels[rows[i]] == k { 1.0 } else { -1.0 });
    let search = GaussianProcess::new(kernel).noise(0.1).max_iterations(25).normalize(false);
    let tuned = search.objective(Objective::LeaveOneOutError).fit(&xs.subset(&rows)?, &codes)?;
    Ok(KernelClassifier::new(tuned.kernel().clone()).ridge(tuned.noise()).fit(xs, labels)?)
}

/// Test error with its standard error: RMSE (by the delta method), or the share of wrong classes.
fn score(data: &Dataset, fitted: &Fitted) -> Result<(f64, f64), Error> {
    let n = data.test.y.len() as f64;
    match fitted {
        Fitted::Regression(model) => Ok(rmse(model.predict_mean(&data.test.xs)?.as_slice(), &data.test.y)),
        Fitted::Classes(model) => {
            let predicted = model.predict(&data.test.xs)?;
            let wrong =
                predicted.iter().zip(data.test.labels()).filter(|(p, t)| **p != *t).count() as f64 / n;
            Ok((wrong, (wrong * (1.0 - wrong) / n).sqrt()))
        }
    }
}

fn rmse(predicted: &[f64], truth: &[f64]) -> (f64, f64) {
    let n = truth.len() as f64;
    let squares: Vec<f64> = truth.iter().zip(predicted).map(|(t, p)| (t - p) * (t - p)).collect();
    let mean = squares.iter().sum::<f64>() / n;
    let variance = squares.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
    (mean.sqrt(), (variance / n).sqrt() / (2.0 * mean.sqrt()).max(f64::MIN_POSITIVE))
}

fn baseline(data: &Dataset) -> f64 {
    let (train, test) = (&data.train.y, &data.test.y);
    if data.classes.is_none() {
        let mean = train.iter().sum::<f64>() / train.len() as f64;
        return rmse(&vec![mean; test.len()], test).0;
    }
    let labels = data.train.labels();
    let count = |class: usize| labels.iter().filter(|l| **l == class).count();
    let most = labels.iter().copied().max_by_key(|l| count(*l)).unwrap_or(0);
    data.test.labels().iter().filter(|l| **l != most).count() as f64 / test.len() as f64
}

fn compare(data: Dataset, kernels: &[(&'static str, &str)], run: &Run) -> Result<Comparison, Error> {
    let mut rows = Vec::new();
    for (name, text) in kernels {
        run.stopped()?;
        let begin = Instant::now();
        let kernel = start(text, data.train.xs.dim())?;
        let model = match data.classes {
            None => Fitted::Regression(Box::new(fit_regression(kernel, &data.train.xs, &data.train.y)?)),
            Some(classes) => {
                let labels = data.train.labels();
                Fitted::Classes(Box::new(fit_classes(kernel, &data.train.xs, &labels, classes.len())?))
            }
        };
        let (error, standard_error) = score(&data, &model)?;
        let tuned = match &model {
            Fitted::Regression(model) => format!("{}, noise {:.3}", short(model.kernel()), model.noise()),
            Fitted::Classes(model) => {
                format!("{}, ridge {:.3}", short(model.regression().kernel()), model.ridge())
            }
        };
        rows.push(Row {
            kernel: name,
            tuned,
            error,
            standard_error,
            seconds: begin.elapsed().as_secs_f64(),
            model,
        });
    }
    Ok(Comparison { baseline: baseline(&data), data, rows })
}

/// An expression with three digits a number, for tables.
fn short(kernel: &RowKernel) -> String {
    let text = kernel.to_string();
    let mut out = String::new();
    let mut number = String::new();
    for c in text.chars().chain([' ']) {
        let in_word = number.is_empty() && out.ends_with(|p: char| p.is_ascii_alphanumeric() || p == '_');
        let part = c.is_ascii_digit()
            || c == '.'
            || !number.is_empty() && (c == 'e' || number.ends_with('e') && c == '-');
        if part && !in_word {
            number.push(c);
            continue;
        }
        if !number.is_empty() {
            match number.parse::<f64>() {
                Ok(v) if v != 0.0 && !(1e-2..1e4).contains(&v.abs()) => out += &format!("{v:.1e}"),
                Ok(v) if v.fract() == 0.0 || number.len() <= 4 => out += &number,
                Ok(v) => out += &format!("{v:.*}", usize::from(v < 100.0) + usize::from(v < 10.0)),
                Err(_) => out += &number,
            }
            number.clear();
        }
        out.push(c);
    }
    out.trim_end().to_owned()
}

impl Tour {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let output = Output::create(&self.out)?;
        let begin = Instant::now();
        let mut bar = run.progress("data sets");
        let wanted = |d: &Dataset| !self.quick || ["diabetes", "iris", "penguins"].contains(&d.name);
        let sets: Vec<Dataset> = datasets::all()?.into_iter().filter(wanted).collect();
        let kernels: Vec<(&'static str, &str)> = KERNELS
            .into_iter()
            .filter(|(name, _)| !self.quick || ["linear", "rbf", "matern 5/2"].contains(name))
            .collect();
        let total = sets.len();
        let mut comparisons = Vec::new();
        for (i, data) in sets.into_iter().enumerate() {
            bar.show(i, total)?;
            comparisons.push(compare(data, &kernels, run)?);
        }
        drop(bar);
        let sets: Vec<&Dataset> = comparisons.iter().map(|c| &c.data).collect();
        let networks = networks::rows(&sets, run)?;
        let text = comparisons.iter().map(table_text).collect::<Vec<_>>().join("\n");
        let text = format!("{text}\n{}", networks::text(&networks));
        let page = self.page(&comparisons, &networks)?;
        let mut output = output;
        output.write(page.html().as_bytes())?;
        output.finish()?;
        let seconds = begin.elapsed().as_secs_f64();
        let text = format!("{text}\nreport written to {} ({seconds:.1} s)", self.out.display());
        let object = json!({"command": "tour", "out": self.out.display().to_string(),
            "comparisons": comparisons.iter().map(object).collect::<Vec<_>>(),
            "networks": networks::object(&networks)});
        run.report(&text, object);
        Ok(())
    }

    fn page(&self, comparisons: &[Comparison], networks: &[networks::NetworkRow]) -> Result<Page, Error> {
        let mut page = Page::new("Kernel models on real data");
        page.paragraph(
            "Every kernel below was tuned on training rows only and measured on rows it has not seen: row i of a table is held out \
             when i mod 5 is 4. Features are standardised by the training rows. Regressions are Gaussian processes whose parameters and \
             noise maximise the marginal likelihood; classifications are one-vs-rest kernel ridge regressions tuned by \
             their leave-one-out error, with Platt-calibrated probabilities. The search looks at up to 400 training rows, the models \
             are fitted to all. One split, fixed seeds: differences smaller than the standard errors mean nothing.",
        );
        page.heading("All data sets");
        let rows: Vec<(String, Vec<f64>, f64)> = comparisons
            .iter()
            .map(|c| {
                let relative = |e: f64| e / c.baseline;
                let errors = c.rows.iter().map(|r| relative(r.error)).collect();
                (c.data.name.to_owned(), errors, relative(c.rows[c.best()].error))
            })
            .collect();
        let svg = plot::dots(
            "test error of every kernel by data set",
            "test error / error of the trivial baseline",
            &rows,
        );
        page.figure(&svg, "Test error of every kernel relative to predicting the training mean (regression, RMSE) or the most frequent class (error rate); the best kernel of each data set in orange. Left is better, 1 is the baseline.");
        for c in comparisons {
            page.heading(&format!("{}: {} of {}", c.data.name, c.measure(), c.data.unit));
            page.paragraph(&format!(
                "{} training rows, {} test rows, {} features. Baseline {:.4}.",
                c.data.train.y.len(),
                c.data.test.y.len(),
                c.data.train.xs.dim(),
                c.baseline
            ));
            let cells: Vec<Vec<String>> = c
                .rows
                .iter()
                .map(|r| {
                    let error = format!("{:.4} ± {:.4}", r.error, r.standard_error);
                    vec![r.kernel.to_owned(), error, format!("{:.2}", r.seconds), r.tuned.clone()]
                })
                .collect();
            page.table(&["kernel", c.measure(), "seconds", "tuned"], &cells, &[c.best()]);
            pictures::of_comparison(&mut page, c)?;
        }
        networks::section(&mut page, networks);
        pictures::co2(&mut page, self.quick)?;
        series::section(&mut page)?;
        sampling::pictures(&mut page, self.quick)?;
        graphs::section(&mut page)?;
        page.heading("How this was made");
        page.paragraph(&format!(
            "kernels {} on {} thread(s). Command: kernels tour{}. Data: embedded in the program, sources and licences in its data folder.",
            env!("CARGO_PKG_VERSION"),
            rayon::current_num_threads(),
            if self.quick { " --quick" } else { "" }
        ));
        Ok(page)
    }
}

fn table_text(c: &Comparison) -> String {
    let mut out = format!(
        "{} ({} rows, {} features), test {} of {}\n",
        c.data.name,
        c.data.train.y.len() + c.data.test.y.len(),
        c.data.train.xs.dim(),
        c.measure(),
        c.data.unit
    );
    out += &format!("    {:22} {:>9.4}\n", "baseline", c.baseline);
    for (i, r) in c.rows.iter().enumerate() {
        let mark = if i == c.best() { "*" } else { " " };
        out += &format!(
            "  {mark} {:22} {:>9.4} ± {:<8.4} {:>6.2} s   {}\n",
            r.kernel, r.error, r.standard_error, r.seconds, r.tuned
        );
    }
    out
}

fn object(c: &Comparison) -> Value {
    let rows: Vec<Value> = c
        .rows
        .iter()
        .map(|r| json!({"kernel": r.kernel, "tuned": r.tuned, "error": r.error, "standard_error": r.standard_error, "seconds": r.seconds}))
        .collect();
    json!({"data": c.data.name, "measure": c.measure(), "baseline": c.baseline, "best": c.rows[c.best()].kernel, "rows": rows})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_show_three_digits() {
        let kernel: RowKernel =
            "2.123456 * matern(nu=2.5, length_scale=[0.000123456, 12.3456])".parse().unwrap();
        assert_eq!(short(&kernel), "2.12 * matern(nu=2.5, length_scale=[1.2e-4, 12.3])");
    }
}
