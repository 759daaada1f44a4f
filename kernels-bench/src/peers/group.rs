//! What is measured: groups of tasks with a common peer environment. A new group is a file beside this one, a Python file
//! and a list of requirements in `peers/`, and a line in [`all`].

use std::path::Path;

use serde_json::Value;

use crate::error::Error;

/// Tasks that are measured beside the same peers.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// Pinned packages of the peers, as pip reads them.
    pub(crate) requirements: &'static str,
    /// The peers' side: a Python module with `prepare(task)`, see `peers/driver.py`.
    pub(crate) script: &'static str,
    /// Left out unless named: peers that are large to install or to run.
    pub(crate) opt_in: bool,
    pub(crate) tasks: Vec<Task>,
    /// Writes the arrays of a task to a folder; what both sides are told, with the task's name under `task`.
    pub(crate) describe: fn(&Task, &Path) -> Result<Value, Error>,
    /// Our side: reads the arrays and returns the work.
    pub(crate) load: fn(&Value) -> Result<Job, Error>,
    /// The least time the hardware allows, where that is known.
    pub(crate) bound: Option<Least>,
}

/// A measured task.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// Empty where no peer can do it.
    pub(crate) peer: &'static str,
    pub(crate) n: usize,
    pub(crate) dim: usize,
    /// Largest difference of the checks, relative to their largest value; infinite where the sides draw at random.
    pub(crate) tolerance: f64,
}

/// The timed work; it returns what computes the check afterwards.
pub(crate) type Job = Box<dyn FnMut() -> Result<Check, Error>>;

/// A few numbers of the result, for comparison; not timed.
pub(crate) type Check = Box<dyn FnOnce() -> Result<Vec<f64>, Error>>;

/// Finds the least time of a task, by the description and the number of repeats.
pub(crate) type Least = fn(&Task, &Value, usize) -> Result<Option<Bound>, Error>;

/// The least time of a task, in seconds, by what takes it.
pub(crate) struct Bound(pub(crate) Vec<(&'static str, f64)>);

impl Bound {
    pub(crate) fn total(&self) -> f64 {
        self.0.iter().map(|(_, seconds)| seconds).sum()
    }
}

/// All groups.
pub(crate) fn all(quick: bool) -> Vec<Group> {
    vec![
        super::foundation::group(quick),
        super::features::group(quick),
        super::sequences::group(quick),
        super::sequences::second(quick),
        super::ntk::group(quick),
        super::sample::group(quick),
        super::solvers::group(quick),
        super::graph::group(quick),
    ]
}

/// A check that is known when the work ends.
pub(crate) fn known(values: Vec<f64>) -> Check {
    Box::new(move || Ok(values))
}

/// A file that the description names.
pub(crate) fn file<'a>(description: &'a Value, key: &str) -> &'a Path {
    Path::new(description[key].as_str().unwrap_or_default())
}
