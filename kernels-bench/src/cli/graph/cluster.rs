//! `kernels graph cluster`.

use std::path::PathBuf;

use clap::Args;
use kernels_graph::{SpectralClustering, normalized_cut};
use serde_json::json;

use super::{cell, write_lines};
use crate::{cli::Run, data::Source, error::Error};

/// Options of `graph cluster`.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(flatten)]
    source: Source,
    /// Number of clusters.
    #[arg(long)]
    clusters: usize,
    /// For two clusters: cut by the signs of the second eigenvector instead of k-means.
    #[arg(long)]
    signs: bool,
    /// CSV file to write: node, cluster.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Cluster {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let named = self.source.read()?;
        let n = named.graph.nodes();
        run.require_memory(n, 4, "spectral clustering")?;
        let clustering = SpectralClustering::new(self.clusters).signs(self.signs).seed(run.shared.seed);
        let found = clustering.fit(&named.graph)?;
        run.stopped()?;
        let (cut, normalized) = normalized_cut(&named.graph, &found.labels)?;
        if let Some(out) = &self.out {
            let rows = named.names.iter().zip(&found.labels);
            write_lines(out, "node,cluster", rows.map(|(name, label)| format!("{},{label}", cell(name))))?;
        }
        let mut sizes = vec![0; self.clusters];
        found.labels.iter().for_each(|label| sizes[*label] += 1);
        let text = format!(
            "{} clusters of {n} nodes, sizes {sizes:?}: cut {cut:.6}, normalised cut {normalized:.6}",
            self.clusters
        );
        let object = json!({"command": "graph cluster", "nodes": n, "sizes": sizes, "labels": found.labels,
            "cut": cut, "normalized_cut": normalized, "eigenvalues": found.eigenvalues});
        run.report(&text, object);
        Ok(())
    }
}
