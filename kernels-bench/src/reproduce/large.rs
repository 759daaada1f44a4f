//! Accuracy and time of large-scale solvers on the sets of `kernels data`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::Args;
use kernels_core::{Points, Rbf, Rows};
use kernels_solvers::{EigenPro, Falkon, InMemory, Krr, KrrModel, median_length_scales, uniform_landmarks};
use nalgebra::DMatrix;
use serde_json::{Value, json};

use crate::{
    cli::{Run, best_ridge, spread},
    data::{
        Output,
        encode::{Choice, Encoder, Missing, Task, target},
        read_table, write_matrix,
    },
    error::Error,
    report::{Page, plot},
    vocabulary::RowKernel,
};

/// Options of `reproduce large`.
#[derive(Debug, Args)]
pub(crate) struct Large {
    /// Folder with the files of `kernels data fetch`.
    #[arg(long, default_value = "kernels-data")]
    data: PathBuf,
    /// Sets to run: those of `kernels data list`, or names of Parquet or NPY files in the folder (the last column is the target).
    #[arg(long, value_delimiter = ',', default_value = "mnist,fashion_mnist,nycflights,flights")]
    sets: Vec<String>,
    /// Numbers of centres of Falkon and EigenPro.
    #[arg(long, value_delimiter = ',', default_value = "1000,2000,5000,10000")]
    centers: Vec<usize>,
    /// Numbers of rows of exact regressions.
    #[arg(long, value_delimiter = ',', default_value = "2000,5000,10000")]
    subsets: Vec<usize>,
    /// Epochs of EigenPro.
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Most training rows of a set [default: all].
    #[arg(long)]
    max_rows: Option<usize>,
    /// A Python with numpy and scikit-learn, whose Nystroem and ridge run on the same centres and ridge beside Falkon.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Report to write.
    #[arg(long, default_value = "large.html")]
    out: PathBuf,
}

const SCRIPT: &str = include_str!("../../peers/large.py");

/// A set, ready for solvers.
struct Set {
    name: String,
    train: Rows<f64>,
    /// Codes of classes, or the numbers, without their means.
    codes: DMatrix<f64>,
    means: Vec<f64>,
    test: Rows<f64>,
    truth: DMatrix<f64>,
    classes: bool,
    length_scale: f64,
    ridge: f64,
}

/// One fit.
struct Measured {
    method: &'static str,
    rows: usize,
    size: usize,
    seconds: f64,
    error: f64,
}

impl Large {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let mut output = Output::create(&self.out)?;
        let mut page = Page::new("Large-scale solvers on real data");
        page.paragraph(
            "Test error and seconds of the fit (prediction is not timed), one run each. Gaussian kernel: length scale 5 on pixels in \
             [0, 1], the median distance on standardised tables. The ridge has the least leave-one-out error on 2000 rows; EigenPro 3 \
             has none and stops after its epochs. Tables: row i is held out when i mod 5 is 4.",
        );
        let mut all = Vec::new();
        for name in &self.sets {
            run.stopped()?;
            let set = self.read(name)?;
            run.tell(&format!(
                "{name}: {} training rows, {} test rows, {} features, length scale {:.3}, ridge {:.1e}",
                set.train.len(),
                set.test.len(),
                set.train.dim(),
                set.length_scale,
                set.ridge
            ));
            let measured = self.measure(&set, run)?;
            section(&mut page, &set, &measured);
            all.push(json!({"set": name, "rows": set.train.len(), "ridge": set.ridge, "length_scale": set.length_scale,
                "fits": measured.iter().map(object).collect::<Vec<_>>()}));
        }
        page.heading("How this was made");
        page.paragraph(&format!(
            "kernels {} on {} thread(s), seed {}. Command: kernels reproduce large --sets {} --epochs {}.",
            env!("CARGO_PKG_VERSION"),
            rayon::current_num_threads(),
            run.shared.seed,
            self.sets.join(","),
            self.epochs
        ));
        output.write(page.html().as_bytes())?;
        output.finish()?;
        let out = self.out.display().to_string();
        run.report(
            &format!("report written to {out}"),
            json!({"command": "reproduce large", "out": out, "sets": all}),
        );
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Set, Error> {
        let file = |ending: &str| self.data.join(format!("{name}{ending}"));
        let pictures = file("_train.npy").exists();
        let (train, test) = if pictures {
            (read_table(&file("_train.npy"))?, read_table(&file("_test.npy"))?)
        } else {
            let path =
                [file(".parquet"), file(".npy")].into_iter().find(|p| p.exists()).ok_or_else(|| {
                    Error::Choice(format!(
                        "{} holds no {name}: run `kernels data fetch {name} --into {}`",
                        self.data.display(),
                        self.data.display()
                    ))
                })?;
            let whole = read_table(&path)?;
            let part =
                |test: bool| -> Vec<usize> { (0..whole.rows).filter(|i| (i % 5 == 4) == test).collect() };
            (whole.select(&part(false)), whole.select(&part(true)))
        };
        let most = self.max_rows.unwrap_or(train.rows).min(train.rows);
        let train = if most < train.rows { train.select(&spread(train.rows, most)) } else { train };
        let last = train.columns.last().map(|c| c.name.clone()).unwrap_or_default();
        let choice = Choice {
            target: Some(&last),
            standardise: !pictures,
            missing: Missing::Drop,
            ..Choice::default()
        };
        let encoder = Encoder::fit(&train, &choice)?;
        let points = |table: &crate::data::Table| -> Result<(Rows<f64>, DMatrix<f64>, bool), Error> {
            let (xs, rows) = encoder.encode(table)?;
            // Pixels are bytes.
            let scale = if pictures { 1.0 / 255.0 } else { 1.0 };
            let values = xs.as_slice().iter().map(|v| v * scale).collect();
            let xs = Rows::from_row_major(values, xs.len(), xs.dim())?;
            let (values, kept) = target(table, &last, Task::Auto, Missing::Drop, &rows)?;
            let (codes, classes) = crate::cli::codes(&values);
            Ok((xs.subset(&kept)?, codes, classes))
        };
        let ((train, codes, classes), (test, truth, _)) = (points(&train)?, points(&test)?);
        if train.len() < 10 || test.is_empty() || codes.ncols() != truth.ncols() {
            return Err(Error::Choice(format!("{name}: too few rows, or other classes in the test part")));
        }
        let length_scale = if pictures {
            5.0
        } else {
            let scales = median_length_scales(&train);
            scales.iter().sum::<f64>() / scales.len() as f64
        };
        let (codes, means) = crate::cli::without_means(codes);
        let rows = spread(train.len(), 2000);
        let kernel = RowKernel::new(Rbf::new(length_scale)?);
        let ridge = best_ridge(&kernel, &train.subset(&rows)?, &codes.select_rows(&rows))?;
        Ok(Set { name: name.to_owned(), train, codes, means, test, truth, classes, length_scale, ridge })
    }

    fn measure(&self, set: &Set, run: &Run) -> Result<Vec<Measured>, Error> {
        let kernel = Rbf::new(set.length_scale)?;
        let n = set.train.len();
        let mut out: Vec<Measured> = Vec::new();
        let mut add = |m: Measured| {
            run.tell(&format!(
                "  {:<14} {:>8} rows {:>6} centres {:>9.2} s   error {:.4}",
                m.method, m.rows, m.size, m.seconds, m.error
            ));
            out.push(m);
        };
        let some = |count: usize| -> Result<(Rows<f64>, DMatrix<f64>), Error> {
            let rows = uniform_landmarks(n, count, run.shared.seed);
            Ok((set.train.subset(&rows)?, set.codes.select_rows(&rows)))
        };
        for &count in self.subsets.iter().filter(|s| **s <= n) {
            run.stopped()?;
            run.require_memory(count, 3, "exact regression")?;
            let (xs, codes) = some(count)?;
            let start = Instant::now();
            let model = Krr::new(kernel.clone()).ridge(set.ridge).fit(&xs, &codes)?;
            let seconds = start.elapsed().as_secs_f64();
            add(Measured { method: "exact", rows: count, size: count, seconds, error: set.error(&model)? });
        }
        let falkon = |xs: &Rows<f64>, codes: &DMatrix<f64>, m: usize| -> Result<Measured, Error> {
            let rows = xs.len();
            let mut bar = run.progress("Falkon");
            let start = Instant::now();
            let fit = Falkon::new(kernel.clone(), m).lambda(set.ridge / rows as f64).seed(run.shared.seed);
            let (model, _) = fit.fit(xs, codes, &mut bar)?;
            let seconds = start.elapsed().as_secs_f64();
            Ok(Measured { method: "Falkon", rows, size: m, seconds, error: set.error(&model)? })
        };
        let sizes: Vec<usize> = self.centers.iter().copied().filter(|m| *m <= n).collect();
        for &m in &sizes {
            run.stopped()?;
            add(falkon(&set.train, &set.codes, m)?);
            if let Some(python) = &self.python {
                add(set.beside(python, m, run)?);
            }
            let mut source = InMemory::new(set.train.clone(), &set.codes)?;
            let centers = set.train.subset(&uniform_landmarks(n, m, run.shared.seed))?;
            let mut bar = run.progress("EigenPro 3");
            let start = Instant::now();
            let fit = EigenPro::new(kernel.clone()).delay(1).epochs(self.epochs).seed(run.shared.seed);
            let fit = fit.budget(run.shared.memory / 2);
            let (model, _) = fit.fit_centers(&mut source, &centers, &mut bar)?;
            let seconds = start.elapsed().as_secs_f64();
            drop(bar);
            add(Measured { method: "EigenPro 3", rows: n, size: m, seconds, error: set.error(&model)? });
        }
        // Growth with n, at the second number of centres.
        if let Some(&m) = sizes.get(1).or(sizes.first()) {
            for part in [16, 4].into_iter().map(|k| n / k).filter(|rows| *rows > m) {
                run.stopped()?;
                let (xs, codes) = some(part)?;
                add(falkon(&xs, &codes, m)?);
            }
        }
        Ok(out)
    }
}

impl Set {
    /// Share of wrong classes, or the root of the mean square.
    fn error(&self, model: &KrrModel<Rows<f64>, Rbf>) -> Result<f64, Error> {
        let mut f = model.predict(&self.test)?;
        for (mut column, mean) in f.column_iter_mut().zip(&self.means) {
            column.add_scalar_mut(*mean);
        }
        let n = f.nrows() as f64;
        if !self.classes {
            return Ok(((f - &self.truth).norm_squared() / n).sqrt());
        }
        let largest = |m: &DMatrix<f64>, i: usize| m.row(i).transpose().argmax().0;
        Ok((0..f.nrows()).filter(|&i| largest(&f, i) != largest(&self.truth, i)).count() as f64 / n)
    }

    /// scikit-learn's Nystroem features and ridge on the same centres.
    fn beside(&self, python: &Path, m: usize, run: &Run) -> Result<Measured, Error> {
        let folder = tempfile::tempdir().map_err(|e| Error::file(&std::env::temp_dir(), "write", e))?;
        let path = |name: &str| folder.path().join(name);
        let by_rows = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
        let rows = |m: &Rows<f64>| [m.len(), m.dim()];
        write_matrix(&path("x.npy"), &rows(&self.train), self.train.as_slice())?;
        write_matrix(&path("y.npy"), &[self.codes.nrows(), self.codes.ncols()], &by_rows(&self.codes))?;
        write_matrix(&path("test_x.npy"), &rows(&self.test), self.test.as_slice())?;
        write_matrix(&path("test_y.npy"), &[self.truth.nrows(), self.truth.ncols()], &by_rows(&self.truth))?;
        let n = self.train.len();
        let task = json!({"gamma": 0.5 / (self.length_scale * self.length_scale), "ridge": self.ridge,
            "centers": uniform_landmarks(n, m, run.shared.seed), "means": self.means, "classes": self.classes});
        std::fs::write(path("task.json"), task.to_string())
            .map_err(|e| Error::file(&path("task.json"), "write", e))?;
        let output = Command::new(python)
            .args(["-c", SCRIPT])
            .current_dir(folder.path())
            .output()
            .map_err(|e| Error::file(python, "start", e))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(said.trim()).map_err(|_| {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or_default().to_owned();
            Error::Choice(format!("{}: scikit-learn did not answer: {last}", python.display()))
        })?;
        let number = |key: &str| answer[key].as_f64().unwrap_or(f64::NAN);
        Ok(Measured {
            method: "scikit-learn",
            rows: n,
            size: m,
            seconds: number("seconds"),
            error: number("error"),
        })
    }
}

fn object(m: &Measured) -> Value {
    json!({"method": m.method, "rows": m.rows, "centers": m.size, "seconds": m.seconds, "error": m.error})
}

fn section(page: &mut Page, set: &Set, measured: &[Measured]) {
    let what = if set.classes { "share of wrong classes" } else { "root mean square error" };
    page.heading(&format!("{}: {what}", set.name));
    page.paragraph(&format!(
        "{} training rows, {} test rows, {} features. Length scale {:.3}, ridge {:.1e}.",
        set.train.len(),
        set.test.len(),
        set.train.dim(),
        set.length_scale,
        set.ridge
    ));
    let cells: Vec<Vec<String>> = measured
        .iter()
        .map(|m| {
            vec![
                m.method.to_owned(),
                m.rows.to_string(),
                m.size.to_string(),
                format!("{:.2}", m.seconds),
                format!("{:.4}", m.error),
            ]
        })
        .collect();
    let by_error = |a: &usize, b: &usize| measured[*a].error.total_cmp(&measured[*b].error);
    let best: Vec<usize> = (0..measured.len()).min_by(by_error).into_iter().collect();
    page.table(&["method", "rows", "centres", "seconds", "error"], &cells, &best);
    let n = set.train.len();
    let series = |method: &str, value: fn(&Measured) -> f64| -> Vec<(f64, f64)> {
        let fits = measured.iter().filter(|m| m.method == method && (m.rows == n || method == "exact"));
        fits.map(|m| (m.size as f64, value(m))).collect()
    };
    for (title, value) in [
        ("seconds by model size", (|m: &Measured| m.seconds) as fn(&Measured) -> f64),
        ("error by model size", |m: &Measured| m.error),
    ] {
        let (x, y): (Vec<f64>, Vec<f64>) = measured.iter().map(|m| (m.size as f64, value(m))).unzip();
        let svg = plot::Plot::new(
            title,
            ("centres", title.split(' ').next().unwrap_or_default()),
            plot::Axis::log_over(&x),
            plot::Axis::log_over(&y),
        )
        .line("Falkon", plot::ONE, &series("Falkon", value))
        .line("EigenPro 3", plot::TWO, &series("EigenPro 3", value))
        .points("exact, on as many rows", plot::ONE, 4.0, &series("exact", value))
        .points("scikit-learn", plot::TWO, 4.0, &series("scikit-learn", value))
        .svg();
        page.figure(&svg, "Both axes are logarithmic. Falkon and EigenPro see all rows.");
    }
    let mut grown: Vec<&Measured> = measured.iter().filter(|m| m.method == "Falkon").collect();
    if let Some(size) = grown.iter().find(|m| m.rows < n).map(|m| m.size) {
        grown.retain(|m| m.size == size);
        grown.sort_by_key(|m| m.rows);
        let points: Vec<(f64, f64)> = grown.iter().map(|m| (m.rows as f64, m.seconds)).collect();
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let axes = (plot::Axis::log_over(&x), plot::Axis::log_over(&y));
        let svg = plot::Plot::new("seconds by rows", ("rows", "seconds"), axes.0, axes.1)
            .line("Falkon", plot::ONE, &points)
            .svg();
        page.figure(&svg, &format!("Falkon on {size} centres. Both axes are logarithmic."));
    }
}
