//! Our side of a measurement: a process that answers tasks, line by line. Only the work is timed.

use std::{io::BufRead, time::Instant};

use serde_json::Value;

use super::{
    Answer, group,
    group::{Group, Job},
    machine::cpu_seconds,
};
use crate::error::Error;

/// Answers until the input ends.
pub(crate) fn serve() -> Result<(), Error> {
    let groups = group::all(false);
    let mut loaded: Option<(String, Job)> = None;
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|source| Error::File { path: "standard input".into(), action: "read", source })?;
        let answer = answer(&groups, &mut loaded, &line);
        let answer =
            answer.unwrap_or_else(|error| Answer { error: Some(error.to_string()), ..Answer::default() });
        crate::cli::say(&serde_json::to_string(&answer).unwrap_or_default());
    }
    Ok(())
}

fn answer(groups: &[Group], loaded: &mut Option<(String, Job)>, line: &str) -> Result<Answer, Error> {
    if loaded.as_ref().is_none_or(|(old, _)| old != line) {
        let task: Value = serde_json::from_str(line).map_err(|e| Error::Choice(e.to_string()))?;
        let group = groups.iter().find(|group| group.tasks.iter().any(|t| task["task"] == t.name));
        let group = group.ok_or_else(|| Error::Choice(format!("there is no task {}", task["task"])))?;
        *loaded = Some((line.to_owned(), (group.load)(&task)?));
    }
    let Some((_, job)) = loaded else { return Ok(Answer::default()) };
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    let check = job()?;
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let peak_memory = crate::cli::peak_memory().unwrap_or(0);
    Ok(Answer { wall, cpu, peak_memory, check: check()?, error: None })
}
