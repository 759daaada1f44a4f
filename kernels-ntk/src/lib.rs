//! Kernels of infinitely wide neural networks (NNGP, NTK) and empirical tangent kernels, for every solver and sampler of
//! the toolkit.
//!
//! Nothing is here yet: this crate holds its name and its place in the workspace. What is planned: exact kernels of a network
//! written as an expression, tangent kernels from Jacobians that the user has, signal propagation. Kernels themselves are
//! in [`kernels-core`](https://docs.rs/kernels-core).
