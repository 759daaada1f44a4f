//! Accuracy and time of large-scale solvers on the sets of `kernels data`.

mod page;

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
    report::Page,
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
    /// Also a coefficient for every training row (EigenPro 2), where these are no more than 100 000.
    #[arg(long)]
    full: bool,
    /// A Python with numpy and scikit-learn, whose Nystroem and ridge run on the same centres and ridge beside Falkon.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Report to write.
    #[arg(long, default_value = "large.html")]
    out: PathBuf,
}

/// Bytes that scikit-learn may take: three matrices of rows by centres.
const BESIDE: usize = 16_000_000_000;

const SCRIPT: &str = include_str!("../../../peers/large.py");

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
            for (theirs, ours) in page::equals(&set, &measured) {
                run.tell(&format!(
                    "  at an error of {:.4} (scikit-learn, {} centres): {} in {:.2} s, {:.2} times as fast",
                    theirs.error,
                    theirs.size,
                    ours.method,
                    ours.seconds,
                    theirs.seconds / ours.seconds
                ));
            }
            page::section(&mut page, &set, &measured);
            all.push(json!({"set": name, "rows": set.train.len(), "ridge": set.ridge, "length_scale": set.length_scale,
                "fits": measured.iter().map(page::object).collect::<Vec<_>>(),
                "equal_accuracy": page::equals(&set, &measured).iter().map(page::compared).collect::<Vec<_>>()}));
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
        let stochastic = |xs: &Rows<f64>, codes: &DMatrix<f64>, m: usize| -> Result<Measured, Error> {
            let rows = xs.len();
            let mut source = InMemory::new(xs.clone(), codes)?;
            let centers = xs.subset(&uniform_landmarks(rows, m, run.shared.seed))?;
            let mut bar = run.progress("EigenPro 3");
            let start = Instant::now();
            let fit = EigenPro::new(kernel.clone()).delay(1).epochs(self.epochs).seed(run.shared.seed);
            let fit = fit.budget(run.shared.memory / 2);
            let (model, _) = fit.fit_centers(&mut source, &centers, &mut bar)?;
            let seconds = start.elapsed().as_secs_f64();
            Ok(Measured { method: "EigenPro 3", rows, size: m, seconds, error: set.error(&model)? })
        };
        let sizes: Vec<usize> = self.centers.iter().copied().filter(|m| *m <= n).collect();
        for &m in &sizes {
            run.stopped()?;
            add(falkon(&set.train, &set.codes, m)?);
            if let Some(python) = &self.python {
                let bytes = 24 * n * m;
                if bytes <= BESIDE {
                    add(set.beside(python, m, run)?);
                } else {
                    run.tell(&format!("  scikit-learn would take {:.0} GB: left out", bytes as f64 / 1e9));
                }
            }
            add(stochastic(&set.train, &set.codes, m)?);
        }
        if self.full && n <= 100_000 {
            run.stopped()?;
            let mut bar = run.progress("EigenPro 2");
            let start = Instant::now();
            let fit = EigenPro::new(kernel.clone()).epochs(self.epochs).seed(run.shared.seed);
            let (model, _) = fit.budget(run.shared.memory / 4).fit(&set.train, &set.codes, &mut bar)?;
            let seconds = start.elapsed().as_secs_f64();
            drop(bar);
            add(Measured { method: "EigenPro 2", rows: n, size: n, seconds, error: set.error(&model)? });
        }
        // Growth with n, at the second number of centres.
        if let Some(&m) = sizes.get(1).or(sizes.first()) {
            for part in [16, 4, 2].into_iter().map(|k| n / k).filter(|rows| *rows > m) {
                run.stopped()?;
                let (xs, codes) = some(part)?;
                add(falkon(&xs, &codes, m)?);
                add(stochastic(&xs, &codes, m)?);
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
