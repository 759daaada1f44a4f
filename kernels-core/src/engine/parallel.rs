//! Tasks in any order on any number of threads.

use crate::{Real, Workspace};

/// Calls `task` for 0, 1, …, `count − 1`, each with a workspace of its thread. Tasks must be independent: results
/// may depend on the task's number, never on order or thread.
pub(super) fn for_each_task<T: Real>(count: usize, task: impl Fn(usize, &mut Workspace<T>) + Send + Sync) {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().with_max_len(1).for_each_init(Workspace::new, |ws, i| task(i, ws));
    }
    #[cfg(not(feature = "rayon"))]
    {
        let mut ws = Workspace::new();
        (0..count).for_each(|i| task(i, &mut ws));
    }
}

/// The results of tasks, in the order of their numbers.
pub(crate) fn map_tasks<T: Real, R: Send>(
    count: usize,
    task: impl Fn(usize, &mut Workspace<T>) -> R + Send + Sync,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().with_max_len(1).map_init(Workspace::new, |ws, i| task(i, ws)).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        let mut ws = Workspace::new();
        (0..count).map(|i| task(i, &mut ws)).collect()
    }
}

/// A pointer that tasks may share because each writes entries of its own.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);

// SAFETY: users of `Shared` write disjoint entries from different tasks and state why where they do.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer; a method, so that closures capture the wrapper and not the bare pointer.
    pub(super) fn pointer(self) -> *mut T {
        self.0
    }
}
