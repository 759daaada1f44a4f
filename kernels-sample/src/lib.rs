//! Fewer points, the same distribution: kernel thinning, two-sample tests, densities and their modes, subset selection.
//!
//! Nothing is here yet: this crate holds its name and its place in the workspace. What is planned: kernel thinning and
//! Compress++, MMD and HSIC tests, kernel density estimates with mode finding, active-learning selection. Kernels
//! themselves are in [`kernels-core`](https://docs.rs/kernels-core).
