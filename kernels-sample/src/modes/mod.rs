//! Modes of densities: where they are, which points belong to them, and how they merge as the bandwidth grows.

mod flat;
mod projection;
mod prominence;
mod shift;

pub use flat::{FlatClusters, FlatMeanShift, estimate_bandwidth};
pub use projection::{ProjectedMode, ProjectedModes, SmoothProfile};
pub use shift::{MeanShift, ModalTree, Modes};

use kernels_core::{Points, Rows};

use crate::distance::squared_distance;

/// Which of some points is nearest, and its squared distance; the lowest index on ties.
pub(crate) fn nearest(points: &Rows<f64>, x: &[f64]) -> (usize, f64) {
    (0..points.len())
        .map(|i| (i, squared_distance(points.point(i), x)))
        .fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
}
