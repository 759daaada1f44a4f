//! Independent tasks on any number of threads, results in the order of the tasks.

use std::ops::Range;

/// The results of tasks 0, 1, …, `count − 1`, in that order. What a task returns must depend on its number alone.
pub(crate) fn map<R: Send>(count: usize, task: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
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

/// 0..n in pieces of at most `size`, whatever the number of threads.
pub(crate) fn pieces<R: Send>(n: usize, size: usize, task: impl Fn(Range<usize>) -> R + Send + Sync) -> Vec<R> {
    map(n.div_ceil(size.max(1)), |piece| task(piece * size..((piece + 1) * size).min(n)))
}

/// Splits `out` into pieces of `size` values and fills each: `fill(start, piece)`.
pub(crate) fn fill<T: Send>(out: &mut [T], size: usize, fill: impl Fn(usize, &mut [T]) + Send + Sync) {
    let size = size.max(1);
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(size).enumerate().for_each(|(piece, out)| fill(piece * size, out));
    }
    #[cfg(not(feature = "rayon"))]
    {
        out.chunks_mut(size).enumerate().for_each(|(piece, out)| fill(piece * size, out));
    }
}
