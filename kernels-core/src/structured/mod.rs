//! Operators of kernel matrices with structure: products in O(n log n) or by parts, without the n × n matrix.
//!
//! | points | operator | cost of a product |
//! |---|---|---|
//! | a regular [`Grid`] in 1, 2, 3 … dimensions, a kernel of x − y | [`Toeplitz`] | O(n log n) |
//! | a periodic grid | [`Circulant`] | O(n log n) |
//! | all combinations of points of several factors, a product of kernels | [`Kronecker`] | the factors' |
//! | scattered, in few dimensions | [`Interpolated`] (structured kernel interpolation) | O(n + grid log grid) |
//! | parts with operators of their own | [`Blocks`] | the parts' |
//! | entry by entry product of two operators | [`Hadamard`] | their columns' |
//! | sorted times, Matérn kernels | [`MaternProcess`] (Kalman filter) | O(n) for solves and determinants |

mod compose;
mod grid;
mod interpolate;
mod markov;
mod toeplitz;

pub use compose::{Blocks, Hadamard, Kronecker};
pub use grid::Grid;
pub use interpolate::Interpolated;
pub use markov::MaternProcess;
pub use toeplitz::{Circulant, Toeplitz};
