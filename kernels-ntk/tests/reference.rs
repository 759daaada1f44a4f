//! Numbers from independent implementations; sources are in the files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::type_complexity
)]

mod support;

#[path = "reference_cases/duals.rs"]
mod duals;
#[path = "reference_cases/empirical.rs"]
mod empirical;
#[path = "reference_cases/learning.rs"]
mod learning;
#[path = "reference_cases/networks.rs"]
mod networks;
#[path = "reference_cases/theory.rs"]
mod theory;
