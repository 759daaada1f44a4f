//! `kernels graph kernel`.

use std::path::PathBuf;

use clap::Args;
use kernels_core::{Points, gram};
use serde_json::json;

use super::{node_kernel, set_kernel};
use crate::{
    cli::Run,
    data::{Source, write_matrix},
    error::Error,
};

/// Options of `graph kernel`.
#[derive(Debug, Args)]
pub(crate) struct Kernel {
    #[command(flatten)]
    source: Source,
    /// Kernel, such as "diffusion(t=2)" on nodes or "normalize(shortest_path())" between graphs [default: diffusion(t=1),
    /// normalize(weisfeiler_lehman(iterations=3))].
    #[arg(long)]
    kernel: Option<String>,
    /// NPY file to write, (n, n); n is the number of nodes, or of graphs.
    #[arg(long)]
    out: PathBuf,
}

impl Kernel {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let (matrix, kernel) = if self.source.is_set() {
            let kernel = set_kernel(self.kernel.as_deref())?;
            let set = self.source.read_set()?;
            run.require_memory(set.graphs.len(), 2, "a kernel matrix")?;
            (gram(&kernel, &set.graphs)?, kernel.to_string())
        } else {
            let kernel = node_kernel(self.kernel.as_deref().unwrap_or("diffusion(t=1)"))?;
            let graph = self.source.read()?.graph;
            run.require_memory(graph.nodes(), 4, "a kernel matrix (see `graph features` for large graphs)")?;
            (kernel.matrix(&graph)?, kernel.to_string())
        };
        run.stopped()?;
        // Symmetric: its columns are its rows.
        write_matrix(&self.out, &[matrix.nrows(), matrix.ncols()], matrix.as_slice())?;
        let object = json!({"command": "graph kernel", "kernel": kernel, "shape": [matrix.nrows(), matrix.ncols()],
            "trace": matrix.trace(), "out": self.out.display().to_string()});
        let text = format!("{kernel} of shape {:?} written to {}", matrix.shape(), self.out.display());
        run.report(&text, object);
        Ok(())
    }
}
