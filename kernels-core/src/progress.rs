//! Watching and stopping long work.

use std::ops::ControlFlow;

/// A hook that long work calls between its steps: to show how far it is, and to be stopped.
///
/// `()` watches nothing and never stops.
///
/// ```
/// use std::ops::ControlFlow;
/// use kernels_core::Progress;
///
/// struct StopAfter(usize);
/// impl Progress for StopAfter {
///     fn step(&mut self, _stage: &str, done: usize, _total: usize) -> ControlFlow<()> {
///         if done >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
///     }
/// }
/// assert!(StopAfter(3).step("fit", 3, 10).is_break());
/// ```
pub trait Progress {
    /// `done` of `total` steps of `stage` are over; `total` is 0 when it is not known.
    /// `Break` makes the work end with [`crate::Error::Cancelled`] at its next safe point.
    fn step(&mut self, stage: &str, done: usize, total: usize) -> ControlFlow<()>;
}

impl Progress for () {
    fn step(&mut self, _stage: &str, _done: usize, _total: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
