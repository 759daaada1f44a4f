//! The Gram engine: kernel values of many pairs at the speed of the processor.
//!
//! Three layers, each with one idea. `pairwise` turns a block of pairs of rows into distances or inner products in
//! registers and applies the profile there. `gram` cuts whole matrices into blocks. `lazy` multiplies by a matrix
//! that is never stored.

mod coordinates;
mod gradient;
mod gram;
mod lazy;
mod pack;
mod pairwise;
mod parallel;
mod project;

pub(crate) use coordinates::{Pairing, diagonal_pairs, eval_pair, fill_pairs};
pub use gradient::gram_gradient;
pub(crate) use gradient::{length_gradient, shape_gradient};
pub(crate) use gram::{allocate, check_shape, for_each_rows};
pub use gram::{cross_gram, cross_gram_into, gram, gram_into};
pub(crate) use lazy::multiply_dense;
pub use lazy::{LazyCross, LazyGram};
pub(crate) use pairwise::{Geometry, eval, fill, fill_diagonal, number};
pub(crate) use parallel::map_tasks;
pub(crate) use project::{Waves, project};
