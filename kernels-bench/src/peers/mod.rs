//! `kernels bench`: speed, alone or beside other libraries, on the same arrays in the same run.

mod features;
mod foundation;
mod graph;
mod group;
mod machine;
mod ntk;
mod sample;
mod sequences;
pub(crate) mod side;
mod solvers;
mod statistics;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{cli::Run, data::Output, error::Error};
use group::{Group, Task};
use statistics::Summary;
pub(crate) use statistics::slope;

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Beside other libraries: installs pinned versions, each group of tasks into a virtual environment of its own.
    #[arg(long)]
    peers: bool,
    /// Folder of the virtual environments [default: in the user's cache folder].
    #[arg(long)]
    venv: Option<PathBuf>,
    /// A tenth of the sizes.
    #[arg(long)]
    quick: bool,
    /// Groups or tasks to run [default: all groups but those with large peers].
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    /// Counted repeats of each task, after one that is not counted.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Measure ours at a sixteenth and a quarter of the size too, and fit the exponent of growth.
    #[arg(long)]
    growth: bool,
    /// JSON file for the results.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Repeats of more seconds than this, both sides together, are not repeated; the first one counts.
const LONG: f64 = 20.0;

/// What a side answers about one repeat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_memory: u64,
    /// A few numbers of the result, for comparison.
    pub(crate) check: Vec<f64>,
    pub(crate) error: Option<String>,
}

/// A side: a process that answers a line of JSON with a line of JSON, so that start-up is never timed.
struct Side {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    name: &'static str,
}

impl Side {
    fn start(name: &'static str, mut command: Command) -> Result<Self, Error> {
        let failed = |source| Error::File { path: name.to_owned(), action: "start", source };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let Some((input, output)) = pipes else {
            return Err(Error::Choice(format!("{name}: has no pipes")));
        };
        Ok(Self { child, input, output: BufReader::new(output), name })
    }

    fn ask(&mut self, task: &Value) -> Result<Answer, Error> {
        let failed = |source| Error::File { path: self.name.to_owned(), action: "talk to", source };
        writeln!(self.input, "{task}").map_err(failed)?;
        self.input.flush().map_err(failed)?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(failed)?;
        let answer: Answer = serde_json::from_str(&line)
            .map_err(|e| Error::Choice(format!("{}: answered `{}`: {e}", self.name, line.trim())))?;
        match &answer.error {
            Some(error) => Err(Error::Choice(format!("{}: {error}", self.name))),
            None => Ok(answer),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DRIVER: &str = include_str!("../../peers/driver.py");

impl Bench {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let groups = self.chosen()?;
        let output = self.out.as_deref().map(Output::create).transpose()?;
        let cores = machine::cores_granted();
        run.tell(&format!("cores really granted: {cores:.2}"));
        let (mut results, mut peers) = (Vec::new(), Vec::new());
        for group in &groups {
            let folder = tempfile::tempdir().map_err(|e| Error::file(&std::env::temp_dir(), "write", e))?;
            let python = if self.peers { Some(self.environment(group, run)?) } else { None };
            peers.extend(group.requirements.lines());
            for task in &group.tasks {
                run.stopped()?;
                let description = (group.describe)(task, folder.path())?;
                let ours = Side::start("kernels", self.ours()?)?;
                // A task without a peer is measured alone.
                let theirs = python
                    .as_deref()
                    .filter(|_| !task.peer.is_empty())
                    .map(|python| Side::start("the peer", peer(group, python, folder.path())?))
                    .transpose()?;
                let mut result = self.pair(group, task, &description, ours, theirs, run)?;
                if self.growth {
                    let exponent = self.exponent(group, task, folder.path(), run)?;
                    result.1 += &format!("{:16} grows as n^{exponent:.2}\n", "");
                    result.0["growth"] = json!(exponent);
                }
                run.tell(&result.1);
                results.push(result.0);
            }
        }
        let object = json!({"command": "bench", "quick": self.quick, "repeats": self.repeats, "cores_granted": cores,
            "processor": machine::processor(), "peers": peers, "results": results});
        if let Some(mut output) = output {
            let pretty = serde_json::to_string_pretty(&object).unwrap_or_default();
            output.write(pretty.as_bytes())?;
            output.finish()?;
        }
        run.report("", object);
        Ok(())
    }

    /// The groups with the tasks that were asked for.
    fn chosen(&self) -> Result<Vec<Group>, Error> {
        let mut groups = group::all(self.quick);
        let names = groups.iter().flat_map(|g| std::iter::once(g.name).chain(g.tasks.iter().map(|t| t.name)));
        let known: Vec<&str> = names.collect();
        if let Some(wrong) = self.tasks.iter().find(|t| !known.contains(&t.as_str())) {
            let known = known.join(", ");
            return Err(Error::Choice(format!("--tasks: there is no `{wrong}`; there are: {known}")));
        }
        let named = |name: &str| self.tasks.iter().any(|t| t == name);
        for group in &mut groups {
            if !named(group.name) {
                group.tasks.retain(|task| named(task.name) || (self.tasks.is_empty() && !group.opt_in));
            }
        }
        groups.retain(|group| !group.tasks.is_empty());
        Ok(groups)
    }

    fn ours(&self) -> Result<Command, Error> {
        let program = std::env::current_exe().map_err(|e| Error::file(Path::new("kernels"), "find", e))?;
        let mut command = Command::new(program);
        command.arg("bench-side").env("RAYON_NUM_THREADS", rayon::current_num_threads().to_string());
        Ok(command)
    }

    /// Both sides in turn, one uncounted repeat first.
    fn pair(
        &self,
        group: &Group,
        task: &Task,
        description: &Value,
        mut ours: Side,
        mut theirs: Option<Side>,
        run: &Run,
    ) -> Result<(Value, String), Error> {
        let (mut a, mut b): (Vec<Answer>, Vec<Answer>) = (Vec::new(), Vec::new());
        for repeat in 0..=self.repeats {
            run.stopped()?;
            let mine = ours.ask(description)?;
            let other = theirs.as_mut().map(|side| side.ask(description)).transpose()?;
            let long = mine.wall + other.as_ref().map_or(0.0, |other| other.wall) > LONG;
            if repeat > 0 || long {
                a.push(mine);
                b.extend(other);
            }
            if long {
                break;
            }
        }
        let field =
            |side: &[Answer], f: fn(&Answer) -> f64| Summary::of(&side.iter().map(f).collect::<Vec<_>>());
        let memory = |side: &[Answer]| side.iter().map(|s| s.peak_memory).max().unwrap_or(0);
        let (wall, cpu) = (field(&a, |s| s.wall), field(&a, |s| s.cpu));
        let mut text = format!(
            "{:16} ours {:>9.4} s wall {:>9.4} s cpu {:>10}\n",
            task.name,
            wall.median,
            cpu.median,
            crate::cli::human(memory(&a) as usize)
        );
        let mut object = json!({"task": task.name, "size": description, "peer": task.peer,
            "ours": {"wall": wall, "cpu": cpu, "peak_memory": memory(&a), "check": a.last().map(|s| &s.check)}});
        let bound = group.bound.map(|bound| bound(task, description, a.len())).transpose()?;
        if let Some(bound) = bound.flatten() {
            let (total, efficiency) = (bound.total(), bound.total() / wall.median);
            let parts: Vec<String> = bound.0.iter().map(|(what, s)| format!("{what} {s:.4}")).collect();
            let (parts, reached) = (parts.join(", "), 100.0 * efficiency);
            text += &format!("{:16} bound {total:>8.4} s ({parts}), reached {reached:.0} %\n", "");
            let parts: serde_json::Map<_, _> =
                bound.0.iter().map(|(what, s)| ((*what).to_owned(), json!(s))).collect();
            object["bound"] = json!({"seconds": parts, "efficiency": efficiency});
        }
        if let (Some(first), Some(second)) = (a.last(), b.last()) {
            let difference = statistics::difference(&first.check, &second.check);
            if difference.is_nan() || difference > task.tolerance {
                return Err(Error::Choice(format!(
                    "{}: results differ by {difference:e} (tolerated {:e}): ours {:?}, the peer's {:?}",
                    task.name, task.tolerance, first.check, second.check
                )));
            }
            let ratio = |f: fn(&Answer) -> f64| {
                Summary::of(&a.iter().zip(&b).map(|(a, b)| f(b) / f(a)).collect::<Vec<_>>())
            };
            let (wall_ratio, cpu_ratio) = (ratio(|s| s.wall), ratio(|s| s.cpu));
            let (wall, cpu) = (field(&b, |s| s.wall), field(&b, |s| s.cpu));
            text += &format!(
                "{:16} {:12} {:>9.4} s wall {:>9.4} s cpu {:>10}\n{:16} ratio {wall_ratio} wall, {cpu_ratio} cpu; results differ by {difference:.1e}\n",
                "",
                task.peer,
                wall.median,
                cpu.median,
                crate::cli::human(memory(&b) as usize),
                ""
            );
            object["theirs"] =
                json!({"wall": wall, "cpu": cpu, "peak_memory": memory(&b), "check": second.check});
            object["ratio"] = json!({"wall": wall_ratio, "cpu": cpu_ratio});
            object["difference"] = json!(difference);
        }
        Ok((object, text))
    }

    /// The exponent e of our time ~ nᵉ, from a sixteenth and a quarter of the size and the whole: least squares on the
    /// logarithms of the least of three repeats.
    fn exponent(&self, group: &Group, task: &Task, folder: &Path, run: &Run) -> Result<f64, Error> {
        let mut points = Vec::new();
        for part in [16, 4, 1] {
            let task = Task { n: (task.n / part).max(16), ..*task };
            let description = (group.describe)(&task, folder)?;
            let mut ours = Side::start("kernels", self.ours()?)?;
            let mut least = ours.ask(&description)?.wall;
            for _ in 0..if least > LONG { 0 } else { 3 } {
                run.stopped()?;
                least = least.min(ours.ask(&description)?.wall);
            }
            points.push(((task.n as f64).ln(), least.max(1e-9).ln()));
        }
        Ok(slope(&points))
    }

    /// A Python with the pinned peers, made once.
    fn environment(&self, group: &Group, run: &Run) -> Result<PathBuf, Error> {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
        let venv = self
            .venv
            .clone()
            .unwrap_or_else(|| cache.unwrap_or_else(std::env::temp_dir).join("kernels-peers"))
            .join(group.name);
        let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        let mark = venv.join("installed.txt");
        if std::fs::read_to_string(&mark).is_ok_and(|text| text == group.requirements) {
            return Ok(python);
        }
        let bar = run.progress(&format!("installing the peers of {}", group.name));
        let call = |command: &mut Command, what: &str| -> Result<(), Error> {
            let done = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
            let done = done.map_err(|source| Error::File { path: what.to_owned(), action: "run", source })?;
            if done.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&done.stderr);
            let last = said.lines().last().unwrap_or_default().to_owned();
            Err(Error::Choice(format!(
                "{what} failed: {last}; --peers needs Python 3 with venv, and a package index"
            )))
        };
        call(Command::new("python3").args(["-m", "venv"]).arg(&venv), "making a virtual environment")?;
        let list = venv.join("requirements.txt");
        std::fs::write(&list, group.requirements).map_err(|e| Error::file(&list, "write", e))?;
        call(
            Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(&list),
            "installing the peers",
        )?;
        std::fs::write(&mark, group.requirements).map_err(|e| Error::file(&mark, "write", e))?;
        drop(bar);
        Ok(python)
    }
}

/// The peers' process; its two files are written beside the arrays.
fn peer(group: &Group, python: &Path, folder: &Path) -> Result<Command, Error> {
    let script = folder.join("driver.py");
    for (file, text) in [(&script, DRIVER), (&folder.join("tasks.py"), group.script)] {
        std::fs::write(file, text).map_err(|e| Error::file(file, "write", e))?;
    }
    let mut command = Command::new(python);
    command.arg(script);
    Ok(command)
}
