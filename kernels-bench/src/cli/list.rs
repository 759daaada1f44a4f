//! `kernels kernels`.

use clap::Args;
use kernels_core::Family;
use serde_json::{Value, json};

use super::Run;
use crate::{error::Error, vocabulary};

/// Options of `kernels kernels`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// A family, to be shown whole.
    name: Option<String>,
}

impl List {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let kinds = vocabulary::families();
        let Some(name) = &self.name else {
            let all = kinds.iter().flat_map(|(_, families)| families);
            let width = all.map(|f| f.name.len()).max().unwrap_or(0);
            let mut text = String::new();
            for (kind, families) in &kinds {
                text += &format!("{kind}:\n");
                for f in families {
                    text += &format!("  {:width$}  {}\n", f.name, f.summary);
                }
            }
            text += "\nJoin them by + and *, put a number in front; `kernels kernels NAME` shows one.";
            let object = kinds.iter().flat_map(|(kind, families)| families.iter().map(|f| object(f, kind)));
            run.report(&text, json!({"command": "kernels", "families": object.collect::<Vec<_>>()}));
            return Ok(());
        };
        let mut all = kinds.iter().flat_map(|(kind, families)| families.iter().map(move |f| (*kind, *f)));
        let names: Vec<&str> = all.clone().map(|(_, f)| f.name).collect();
        let Some((kind, family)) = all.find(|(_, f)| f.name == name) else {
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
        text += &format!("example: {}\n", example(family, kind));
        run.report(&text, object(family, kind));
        Ok(())
    }
}

/// The family with its defaults, as it would be written.
fn example(family: &Family, points: &str) -> String {
    let inner = if points == "graphs" { "vertex_histogram()" } else { "rbf()" };
    let inner = if family.of_kernel { vec![inner.to_owned()] } else { Vec::new() };
    let parameters = family.parameters.iter().map(|p| format!("{}={}", p.name, p.default));
    format!("{}({})", family.name, inner.into_iter().chain(parameters).collect::<Vec<_>>().join(", "))
}

fn object(family: &Family, points: &str) -> Value {
    let parameters: Vec<Value> = family
        .parameters
        .iter()
        .map(|p| json!({"name": p.name, "default": p.default, "meaning": p.meaning}))
        .collect();
    json!({"name": family.name, "points": points, "summary": family.summary, "formula": family.formula,
        "definiteness": family.definiteness, "parameters": parameters, "example": example(family, points)})
}
