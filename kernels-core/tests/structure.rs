//! Compact support, structured operators, measures: reference numbers, contracts, edges.

mod parts;
