//! Compact support, structured operators, measures: reference numbers, contracts, edges.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod parts;
