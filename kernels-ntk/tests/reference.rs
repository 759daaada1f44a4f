//! Numbers from independent implementations; sources are in the files.

mod support;

#[path = "reference_cases/duals.rs"]
mod duals;
#[path = "reference_cases/networks.rs"]
mod networks;
