//! Numbers from independent implementations; sources are in the files.

#[path = "reference/read.rs"]
mod read;

#[path = "reference/thinning.rs"]
mod thinning;

#[path = "reference/hypotheses.rs"]
mod hypotheses;

#[path = "reference/densities.rs"]
mod densities;

#[path = "reference/modes.rs"]
mod modes;

#[path = "reference/selection.rs"]
mod selection;
