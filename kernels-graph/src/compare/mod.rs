//! Kernels between graphs.
//!
//! A kernel reduces a graph to a form that depends on this graph alone (counts of features, a distribution, a spectrum) and
//! compares forms: so there is no vocabulary to fit, and a graph that was not seen in training is nothing special. Where the kernel is an inner
//! product of counts, the form is the explicit feature vector ([`ExplicitFeatures`], [`GraphFeatures`]).

mod attributed;
mod graphlet;
mod hash;
mod histogram;
mod kernel;
mod neighbourhood;
mod path;
mod propagation;
mod pyramid;
mod refined;
mod set;
mod text;
mod transport;
mod walk;
mod wl;
mod wwl;

pub use attributed::AttributedPaths;
pub use graphlet::{GraphletSampling, Graphlets, graphlet_counts};
pub use hash::{Counts, FeatureId};
pub use histogram::{EdgeHistogram, VertexHistogram};
pub use kernel::{
    ExplicitFeatures, GraphFeatures, GraphKernel, explicit_features, graph_cross_gram, graph_gram,
};
pub use neighbourhood::{HashKind, NeighbourhoodHash};
pub use path::ShortestPath;
pub use propagation::{Propagation, PropagationMetric};
pub use pyramid::PyramidMatch;
pub use refined::Refined;
pub use set::{GraphSet, LabelledGraph};
pub use transport::earth_mover;
pub use walk::{Start, WalkKind, WalkSeries, walk_divergence_bound};
pub use wl::{WeisfeilerLehman, WlAssignment};
pub use wwl::{Wasserstein, WassersteinContinuous};
