//! `kernels kernels`.

use clap::Args;
use kernels_core::{Family, families};
use serde_json::{Value, json};

use super::Run;
use crate::error::Error;

/// Options of `kernels kernels`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// A family, to be shown whole.
    name: Option<String>,
}

impl List {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let Some(name) = &self.name else {
            let width = families().iter().map(|f| f.name.len()).max().unwrap_or(0);
            let lines: Vec<String> =
                families().iter().map(|f| format!("{:width$}  {}", f.name, f.summary)).collect();
            let text = format!(
                "{}\n\nJoin them by + and *, put a number in front; `kernels kernels NAME` shows one.",
                lines.join("\n")
            );
            run.report(
                &text,
                json!({"command": "kernels", "families": families().iter().map(object).collect::<Vec<_>>()}),
            );
            return Ok(());
        };
        let Some(family) = families().iter().find(|f| f.name == name) else {
            let names: Vec<&str> = families().iter().map(|f| f.name).collect();
            return Err(Error::Choice(format!(
                "there is no kernel `{name}`; there are: {}",
                names.join(", ")
            )));
        };
        let mut text =
            format!("{}: {}\n{}\n{}\n", family.name, family.summary, family.formula, family.definiteness);
        for p in family.parameters {
            text += &format!("  {} = {}   {}\n", p.name, p.default, p.meaning);
        }
        text += &format!("example: {}\n", example(family));
        run.report(&text, object(family));
        Ok(())
    }
}

/// The family with its defaults, as it would be written.
fn example(family: &Family) -> String {
    let inner = if family.of_kernel { vec!["rbf()".to_owned()] } else { Vec::new() };
    let parameters = family.parameters.iter().map(|p| format!("{}={}", p.name, p.default));
    format!("{}({})", family.name, inner.into_iter().chain(parameters).collect::<Vec<_>>().join(", "))
}

fn object(family: &Family) -> Value {
    let parameters: Vec<Value> = family
        .parameters
        .iter()
        .map(|p| json!({"name": p.name, "default": p.default, "meaning": p.meaning}))
        .collect();
    json!({"name": family.name, "summary": family.summary, "formula": family.formula,
        "definiteness": family.definiteness, "parameters": parameters, "example": example(family)})
}
