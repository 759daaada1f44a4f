//! `kernels graph label-online`.

use std::{collections::HashMap, path::PathBuf};

use clap::{Args, ValueEnum};
use kernels_graph::{OnlineKernel, OnlineLabels};
use serde_json::json;

use super::cell;
use crate::{
    cli::{Run, say},
    data::{Named, Output, Source, read_labels},
    error::Error,
};

/// Which kernel predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Inverse Laplacian.
    #[default]
    Laplacian,
    /// Inverse symmetric Laplacian.
    Symmetric,
    /// (I − (λ/n) S)⁻¹.
    Smoothed,
    /// Not symmetric; often good.
    Heuristic,
}

/// Options of `graph label-online`.
#[derive(Debug, Args)]
pub(crate) struct LabelOnline {
    #[command(flatten)]
    source: Source,
    /// Nodes in the order in which they are asked for: a table with columns node and label, or - for lines `node,label` on
    /// standard input. A node without a label is predicted and nothing is learnt.
    #[arg(long)]
    labels: PathBuf,
    /// Number of classes; needed for standard input.
    #[arg(long)]
    classes: Option<usize>,
    /// Which kernel predicts.
    #[arg(long, value_enum, default_value_t)]
    kernel: Kind,
    /// λ, in units of the number of nodes.
    #[arg(long, default_value_t = 0.1)]
    lambda: f64,
    /// Residual, by degree, to which a column is pushed.
    #[arg(long, default_value_t = 1e-5)]
    epsilon: f64,
    /// Exact columns, from one dense inverse, instead of local push.
    #[arg(long)]
    exact: bool,
    /// CSV file to write: node, label, predicted.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl LabelOnline {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let named = self.source.read()?;
        let streamed = self.labels.as_os_str() == "-";
        let known = if streamed { None } else { Some(read_labels(&self.labels, &named.names)?) };
        let classes = match (self.classes, &known) {
            (Some(classes), _) => classes,
            (None, Some(known)) => known.names.len(),
            (None, None) => {
                return Err(Error::Choice("labels on standard input need --classes, their number".into()));
            }
        };
        if let Some(known) = known.as_ref().filter(|known| known.names.len() > classes) {
            let found = known.names.len();
            return Err(Error::Choice(format!("--classes is {classes}, but there are {found} labels")));
        }
        let graph = &named.graph;
        let kind = match self.kernel {
            Kind::Laplacian => OnlineKernel::Laplacian,
            Kind::Symmetric => OnlineKernel::Symmetric,
            Kind::Smoothed => OnlineKernel::Smoothed,
            Kind::Heuristic => OnlineKernel::Heuristic,
        };
        let online = if self.exact {
            run.require_memory(graph.nodes(), 4, "exact columns")?;
            OnlineLabels::exact(graph, classes, kind, self.lambda)?
        } else {
            OnlineLabels::new(graph, classes, kind, self.lambda, self.epsilon)?
        };
        let mut output = self.out.as_deref().map(Output::create).transpose()?;
        if let Some(output) = &mut output {
            output.write(b"node,label,predicted\n")?;
        }
        let mut session = Session { run, named: &named, online, output, names: Vec::new(), asked: 0 };
        match known {
            Some(known) => {
                session.names = known.names;
                for (node, label) in known.rows {
                    session.ask(node, label, false)?;
                }
            }
            None => session.listen(classes)?,
        }
        session.finish()
    }
}

/// A predictor at work.
struct Session<'a> {
    run: &'a Run,
    named: &'a Named,
    online: OnlineLabels<'a>,
    output: Option<Output>,
    /// Names of classes, as far as they are known.
    names: Vec<String>,
    asked: usize,
}

impl Session<'_> {
    /// Predicts, then learns.
    fn ask(&mut self, node: usize, label: Option<usize>, tell: bool) -> Result<(), Error> {
        self.run.stopped()?;
        let predicted = self.online.predict(node)?;
        if let Some(label) = label {
            self.online.observe(node, label)?;
        }
        self.asked += 1;
        let name = |class: usize| self.names.get(class).map_or("", String::as_str);
        let line = format!(
            "{},{},{}",
            cell(&self.named.names[node]),
            cell(label.map_or("", name)),
            cell(name(predicted))
        );
        if let Some(output) = &mut self.output {
            output.write(format!("{line}\n").as_bytes())?;
        }
        if tell && !self.run.shared.json {
            say(&line);
        }
        Ok(())
    }

    /// Lines `node,label` of standard input, answered one by one.
    fn listen(&mut self, classes: usize) -> Result<(), Error> {
        let named = self.named;
        let known: HashMap<&str, usize> =
            named.names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let mut options = csv::ReaderBuilder::new();
        options.has_headers(false).flexible(true).trim(csv::Trim::All);
        let mut reader = options.from_reader(std::io::stdin().lock());
        for (at, record) in reader.records().enumerate() {
            let wrong = |message: String| Error::Content {
                path: "standard input".to_owned(),
                message: format!("line {}: {message}", at + 1),
            };
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let id = record.get(0).unwrap_or_default();
            if at == 0 && id == "node" && !known.contains_key(id) {
                continue;
            }
            let node = *known.get(id).ok_or_else(|| wrong(format!("the graph has no node `{id}`")))?;
            let label = match record.get(1).filter(|label| !label.is_empty()) {
                None => None,
                Some(label) => Some(match self.names.iter().position(|name| name == label) {
                    Some(class) => class,
                    None if self.names.len() < classes => {
                        self.names.push(label.to_owned());
                        self.names.len() - 1
                    }
                    None => {
                        return Err(wrong(format!("label `{label}` is one more than --classes {classes}")));
                    }
                }),
            };
            self.ask(node, label, true)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        if let Some(output) = self.output {
            output.finish()?;
        }
        let (answered, mistakes) = (self.online.answered(), self.online.mistakes());
        let accuracy = if answered > 0 { 1.0 - mistakes as f64 / answered as f64 } else { f64::NAN };
        let text = format!(
            "{} nodes asked for, {answered} answered: {mistakes} mistakes, accuracy {accuracy:.4}",
            self.asked
        );
        let object = json!({"command": "graph label-online", "nodes": self.named.graph.nodes(), "asked": self.asked,
            "answered": answered, "mistakes": mistakes, "accuracy": accuracy, "loss": self.online.loss(),
            "labels": self.names});
        self.run.report(&text, object);
        Ok(())
    }
}
