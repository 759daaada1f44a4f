//! `kernels graph features`.

use std::{ops::Range, path::PathBuf};

use clap::Args;
use kernels_graph::{RandomWalks, WalkFeatures, write_sparse_matrix};
use serde_json::json;

use super::node_kernel;
use crate::{
    cli::{Run, human},
    data::{NpyWriter, Output, Source, write_matrix},
    error::Error,
};

/// Random walks.
#[derive(Clone, Debug, Args)]
pub(super) struct Walks {
    /// Walks a node.
    #[arg(long, default_value_t = 100)]
    walks: usize,
    /// Probability that a walk halts before a step.
    #[arg(long, default_value_t = 0.1)]
    halting: f64,
    /// Walks halt in pairs, one late when the other is early.
    #[arg(long)]
    antithetic: bool,
    /// Walks that meet leave by different neighbours.
    #[arg(long)]
    repelling: bool,
}

impl Walks {
    pub(super) fn with_seed(&self, seed: u64) -> RandomWalks {
        RandomWalks::new(self.walks, self.halting)
            .antithetic(self.antithetic)
            .repelling(self.repelling)
            .seed(seed)
    }
}

/// Options of `graph features`.
#[derive(Debug, Args)]
pub(crate) struct Features {
    #[command(flatten)]
    source: Source,
    /// Kernel on nodes.
    #[arg(long, default_value = "diffusion(t=1)")]
    kernel: String,
    #[command(flatten)]
    walks: Walks,
    /// Only these nodes, by place in the file, from 0: a shard, to be stacked with those of other machines [default: all].
    #[arg(long, value_parser = range, value_name = "A..B")]
    nodes: Option<Range<usize>>,
    /// Which of two independent sets of walks.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..2))]
    copy: u8,
    /// Dense features: so many random combinations with the same inner products on average.
    #[arg(long)]
    compress: Option<usize>,
    /// File to write: Matrix Market (.mtx), a row a node; .npy for a dense matrix.
    #[arg(long)]
    out: PathBuf,
}

fn range(text: &str) -> Result<Range<usize>, String> {
    let parsed = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    parsed.ok_or_else(|| "expected A..B, such as 0..1000".to_owned())
}

impl Features {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let kernel = node_kernel(&self.kernel)?;
        let graph = self.source.read()?.graph;
        let n = graph.nodes();
        let nodes = self.nodes.clone().unwrap_or(0..n);
        let walked = kernel.walks(&graph)?;
        let walks = self.walks.with_seed(run.shared.seed);
        let features = walks.shard(&walked, nodes.clone(), usize::from(self.copy))?;
        run.stopped()?;
        let (rows, entries) = (features.rows(), features.nnz());
        let dense = self.out.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        let columns = self.compress.unwrap_or(n);
        if dense || self.compress.is_some() {
            if !dense {
                return Err(Error::Choice("--compress makes dense features: --out must end in .npy".into()));
            }
            let needed = rows.saturating_mul(columns).saturating_mul(8);
            if needed > run.shared.memory {
                return Err(Error::Choice(format!(
                    "dense features of shape ({rows}, {columns}) take {}, but --memory is {}; write .mtx, or --compress",
                    human(needed),
                    human(run.shared.memory)
                )));
            }
        }
        match self.compress {
            Some(columns) => {
                let z = WalkFeatures::new(features, None).compress(columns, run.shared.seed);
                write_matrix(&self.out, &[rows, columns], z.transpose().as_slice())?;
            }
            None if dense => {
                let mut writer = NpyWriter::create::<f64>(&self.out, &[rows, n])?;
                let mut line = vec![0.0; n];
                for row in features.outer_iterator() {
                    line.fill(0.0);
                    row.iter().for_each(|(j, value)| line[j] = *value);
                    writer.write(&line)?;
                }
                writer.finish()?;
            }
            None => {
                let mut output = Output::create(&self.out)?;
                write_sparse_matrix(&features, &mut output)
                    .map_err(|error| Error::content(&self.out, error.to_string()))?;
                output.finish()?;
            }
        }
        let text = format!(
            "features of {kernel} for nodes {}..{} of {n}: {entries} entries, written to {}",
            nodes.start,
            nodes.end,
            self.out.display()
        );
        let object = json!({"command": "graph features", "kernel": kernel.to_string(), "shape": [rows, columns],
            "nodes": [nodes.start, nodes.end], "entries": entries, "out": self.out.display().to_string()});
        run.report(&text, object);
        Ok(())
    }
}
