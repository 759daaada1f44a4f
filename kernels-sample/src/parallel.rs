//! Independent tasks on the threads of the pool; results come in the order of the tasks.

/// The results of `task` for 0, 1, …, `count` − 1.
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

/// Calls `task` on consecutive pieces of `size` values (the last may be shorter), with the piece's number.
pub(crate) fn for_pieces<T: Send>(values: &mut [T], size: usize, task: impl Fn(usize, &mut [T]) + Send + Sync) {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        values.par_chunks_mut(size.max(1)).with_max_len(1).enumerate().for_each(|(i, piece)| task(i, piece));
    }
    #[cfg(not(feature = "rayon"))]
    {
        values.chunks_mut(size.max(1)).enumerate().for_each(|(i, piece)| task(i, piece));
    }
}
