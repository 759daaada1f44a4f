//! Kernels on the nodes of graphs and between graphs, and unbiased random-walk features of them.
//!
//! Nothing is here yet: this crate holds its name and its place in the workspace. What is planned: node kernels dense and
//! matrix-free, graph random features, local push, kernels between graphs with explicit sparse features. Kernels
//! themselves are in [`kernels-core`](https://docs.rs/kernels-core).
