//! Feature maps: reference numbers, unbiasedness, variances, rates.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod feature_maps;
