//! Independent tasks on any number of threads, with results that depend on neither threads nor order: for crates with kernels of
//! their own.

use std::ops::Range;

/// The results of tasks 0, 1, …, `count − 1`, in that order. What a task returns must depend on its number alone.
///
/// ```
/// assert_eq!(kernels_core::parallel::map(4, |i| i * i), [0, 1, 4, 9]);
/// ```
pub fn map<R: Send>(count: usize, task: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().with_max_len(1).map(task).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        (0..count).map(task).collect()
    }
}

/// The results of tasks on 0..n in pieces of at most `size`, whatever the number of threads: partial sums over them, added in order,
/// are the same bits everywhere.
///
/// ```
/// assert_eq!(kernels_core::parallel::pieces(5, 2, |range| range.len()), [2, 2, 1]);
/// ```
pub fn pieces<R: Send>(n: usize, size: usize, task: impl Fn(Range<usize>) -> R + Send + Sync) -> Vec<R> {
    let size = size.max(1);
    map(n.div_ceil(size), |piece| task(piece * size..((piece + 1) * size).min(n)))
}

/// Splits `out` into pieces of `size` values, the last may be shorter, and fills each: `fill(start, piece)`.
///
/// ```
/// let mut out = [0; 5];
/// kernels_core::parallel::fill(&mut out, 2, |start, piece| piece.fill(start));
/// assert_eq!(out, [0, 0, 2, 2, 4]);
/// ```
pub fn fill<T: Send>(out: &mut [T], size: usize, fill: impl Fn(usize, &mut [T]) + Send + Sync) {
    let size = size.max(1);
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let pieces = out.par_chunks_mut(size).with_max_len(1).enumerate();
        pieces.for_each(|(piece, out)| fill(piece * size, out));
    }
    #[cfg(not(feature = "rayon"))]
    {
        out.chunks_mut(size).enumerate().for_each(|(piece, out)| fill(piece * size, out));
    }
}
