//! Reusable buffers, so that inner loops do not allocate.

/// A pool of buffers: [`Workspace::take`] hands one out, [`Workspace::give`] returns it for the next taker.
///
/// ```
/// let mut ws = kernels_core::Workspace::<f64>::new();
/// let buffer = ws.take(100);
/// assert_eq!(buffer.len(), 100);
/// ws.give(buffer);
/// ```
#[derive(Debug, Default)]
pub struct Workspace<T> {
    free: Vec<Vec<T>>,
}

impl<T: Copy + Default> Workspace<T> {
    /// An empty pool.
    pub fn new() -> Self {
        Self { free: Vec::new() }
    }

    /// A buffer of `len` values; what they are is unspecified.
    pub fn take(&mut self, len: usize) -> Vec<T> {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.resize(len, T::default());
        buffer
    }

    /// Returns a buffer to the pool.
    pub fn give(&mut self, buffer: Vec<T>) {
        self.free.push(buffer);
    }
}
