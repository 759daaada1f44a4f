//! `kernels select`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{Points, Rows};
use kernels_sample::{
    BatchMethod, BatchSelection, ClusterWeight, Coverage, DppChain, TargetVariance, cover, greedy_map,
    k_medoids,
};
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// How rows are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Largest cluster, maximum distance.
    #[default]
    Lcmd,
    /// Largest determinant.
    Maxdet,
    /// Farthest point.
    Maxdist,
    /// Least total variance, O(n²) a row.
    Bait,
    /// The same with twice as many, then removal.
    BaitBackward,
    /// Mean embedding by Frank-Wolfe.
    FrankWolfe,
    /// k-means++.
    Kmeans,
    /// Determinantal point process, greedy.
    Dpp,
    /// Determinantal point process, drawn by a Markov chain.
    DppSample,
    /// Facility location.
    Facility,
    /// Coverage that saturates at a tenth.
    Saturated,
    /// Near all, and apart.
    GraphCut,
    /// k-medoids.
    Medoids,
    /// Least variance at --targets.
    Targets,
    /// At random.
    Random,
}

/// Options of `select`.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Pool of candidates: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Points that are labelled already; the batch keeps away from them.
    #[arg(long)]
    train: Option<PathBuf>,
    /// Points whose prediction matters, for --method targets.
    #[arg(long)]
    targets: Option<PathBuf>,
    /// Number of rows to choose.
    #[arg(long)]
    size: usize,
    /// How rows are chosen.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// Kernel expression [default: Gaussian with the median distance].
    #[arg(long)]
    kernel: Option<String>,
    /// Noise variance of a label.
    #[arg(long, default_value_t = 1e-2)]
    noise: f64,
    /// NPY file for the rows chosen, (size, d).
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Select {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs: Rows<f64> = read_rows(&self.x)?;
        let kernel = super::kernel(self.kernel.as_deref(), &xs)?;
        let train: Option<Rows<f64>> = self.train.as_deref().map(read_rows).transpose()?;
        let batch = match self.method {
            Method::Lcmd => Some(BatchMethod::LargestCluster(ClusterWeight::SquaredDistance)),
            Method::Maxdet => Some(BatchMethod::MaxDet),
            Method::Maxdist => Some(BatchMethod::MaxDist),
            Method::Bait => Some(BatchMethod::Bait),
            Method::FrankWolfe => Some(BatchMethod::FrankWolfe),
            Method::Kmeans => Some(BatchMethod::KMeansPlusPlus),
            Method::Random => Some(BatchMethod::Random),
            Method::BaitBackward => Some(BatchMethod::BaitForwardBackward),
            Method::Dpp
            | Method::DppSample
            | Method::Facility
            | Method::Saturated
            | Method::GraphCut
            | Method::Medoids
            | Method::Targets => None,
        };
        let indices = match (batch, self.method) {
            (Some(method), _) => {
                let none = xs.subset(&[])?;
                BatchSelection::new(kernel.clone(), method)
                    .noise(self.noise)
                    .with_train(train.is_some())
                    .seed(run.shared.seed)
                    .select(&xs, train.as_ref().unwrap_or(&none), self.size)?
            }
            (None, Method::Dpp) => greedy_map(&kernel, &xs, self.size)?.0,
            (None, Method::DppSample) => {
                let start = greedy_map(&kernel, &xs, self.size)?.0;
                let steps = 40 * start.len() * (xs.len() as f64).ln().ceil() as usize;
                let mut chain = DppChain::new(&kernel, &xs, &start, run.shared.seed)?.fixed_size(true);
                chain.advance(steps);
                chain.set()
            }
            (None, Method::Facility) => cover(&kernel, &xs, Coverage::FacilityLocation, self.size)?.indices,
            (None, Method::Saturated) => cover(&kernel, &xs, Coverage::Saturated(0.1), self.size)?.indices,
            (None, Method::GraphCut) => cover(&kernel, &xs, Coverage::GraphCut, self.size)?.indices,
            (None, Method::Medoids) => k_medoids(&kernel, &xs, self.size, 20, run.shared.seed)?.medoids,
            (None, _) => {
                let Some(targets) = &self.targets else {
                    return Err(Error::Choice(
                        "--method targets needs --targets, the points whose prediction matters".into(),
                    ));
                };
                TargetVariance::new(kernel.clone())
                    .noise(self.noise)
                    .select(&xs, &read_rows(targets)?, self.size)?
                    .indices
            }
        };
        let chosen = xs.subset(&indices)?;
        if let Some(out) = &self.out {
            write_matrix(out, &[chosen.len(), chosen.dim()], chosen.as_slice())?;
        }
        let text = format!("{} of {} rows chosen: {indices:?}", indices.len(), xs.len());
        let object = json!({"command": "select", "n": xs.len(), "size": indices.len(), "indices": indices,
            "kernel": kernel.to_string()});
        run.report(&text, object);
        Ok(())
    }
}
