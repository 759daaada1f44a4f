//! `kernels graph`.

mod classify;
mod cluster;
mod features;
mod kernel;
mod online;

use std::path::Path;

use clap::{Args, Subcommand};
use kernels_core::{DynKernel, Readable};
use kernels_graph::{GraphSet, NodeKernel};

use super::Run;
use crate::{data::Output, error::Error};

/// Options of `graph`.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the kernel matrix of the nodes of a graph, or of a set of graphs.
    Kernel(kernel::Kernel),
    /// Write sparse random-walk features of nodes: their inner products estimate a kernel, at a cost linear in the graph.
    Features(features::Features),
    /// Classify nodes of which some have labels, or measure a kernel between graphs by cross-validation.
    Classify(classify::Classify),
    /// Divide the nodes into clusters.
    Cluster(cluster::Cluster),
    /// Predict labels of nodes one after another, learning from each answer.
    LabelOnline(online::LabelOnline),
}

impl Graph {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        match &self.what {
            What::Kernel(command) => command.run(run),
            What::Features(command) => command.run(run),
            What::Classify(command) => command.run(run),
            What::Cluster(command) => command.run(run),
            What::LabelOnline(command) => command.run(run),
        }
    }
}

/// A kernel on nodes from its text.
fn node_kernel(text: &str) -> Result<NodeKernel, Error> {
    text.parse().map_err(|error| Error::Choice(format!("--kernel: {error}")))
}

/// A kernel between graphs from its text.
fn set_kernel(text: Option<&str>) -> Result<DynKernel<GraphSet>, Error> {
    const DEFAULT: &str = "normalize(weisfeiler_lehman(iterations=3))";
    super::read_kernel(&GraphSet::vocabulary(), text.unwrap_or(DEFAULT))
}

/// Writes lines of a CSV file.
fn write_lines(path: &Path, header: &str, lines: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut output = Output::create(path)?;
    output.write(format!("{header}\n").as_bytes())?;
    for line in lines {
        output.write(line.as_bytes())?;
        output.write(b"\n")?;
    }
    output.finish()
}

/// A cell of a CSV file.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
