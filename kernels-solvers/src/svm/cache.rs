//! Rows of a kernel matrix, the most recently used ones kept.

use kernels_core::{Block, Kernel, Points, Real, Workspace};
use nalgebra::DMatrixViewMut;

use crate::Error;

const NONE: usize = usize::MAX;

/// Rows in single precision (as libsvm keeps them): half the memory, twice the rows. Least recently used rows go first.
pub(super) struct RowCache<P: Points> {
    points: P,
    rows: Vec<Option<Box<[f32]>>>,
    /// The list of kept rows, from the most to the least recently used.
    next: Vec<usize>,
    before: Vec<usize>,
    first: usize,
    last: usize,
    kept: usize,
    most: usize,
    buffer: Vec<P::Scalar>,
    workspace: Workspace<P::Scalar>,
    /// Rows that had to be computed.
    pub(super) computed: usize,
}

impl<P: Points> RowCache<P> {
    pub(super) fn new(points: P, bytes: usize) -> Self {
        let n = points.len();
        // Two rows are in use at a time.
        let most = (bytes / (n.max(1) * size_of::<f32>())).max(2);
        Self {
            points,
            rows: vec![None; n],
            next: vec![NONE; n],
            before: vec![NONE; n],
            first: NONE,
            last: NONE,
            kept: 0,
            most,
            buffer: Vec::new(),
            workspace: Workspace::new(),
            computed: 0,
        }
    }

    pub(super) fn points(&self) -> &P {
        &self.points
    }

    fn unlink(&mut self, i: usize) {
        let (before, next) = (self.before[i], self.next[i]);
        if before == NONE { self.first = next } else { self.next[before] = next }
        if next == NONE { self.last = before } else { self.before[next] = before }
    }

    fn link_first(&mut self, i: usize) {
        (self.before[i], self.next[i]) = (NONE, self.first);
        if self.first == NONE { self.last = i } else { self.before[self.first] = i }
        self.first = i;
    }

    /// Makes sure that row `i` is kept.
    fn touch<K: Kernel<P>>(&mut self, kernel: &K, i: usize) -> Result<(), Error> {
        if self.rows[i].is_some() {
            if self.first != i {
                self.unlink(i);
                self.link_first(i);
            }
            return Ok(());
        }
        let mut row = if self.kept >= self.most && self.last != NONE {
            let victim = self.last;
            self.unlink(victim);
            self.kept -= 1;
            self.rows[victim].take()
        } else {
            None
        };
        let n = self.points.len();
        let mut row = row.take().unwrap_or_else(|| vec![0.0; n].into_boxed_slice());
        self.buffer.resize(n, P::Scalar::default());
        let at = Block::within(&self.points, 0..n, i..i + 1)?;
        kernel.block(&at, DMatrixViewMut::from_slice(&mut self.buffer, n, 1), &mut self.workspace);
        for (to, value) in row.iter_mut().zip(&self.buffer) {
            *to = value.to_f64() as f32;
        }
        self.computed += 1;
        self.rows[i] = Some(row);
        self.kept += 1;
        self.link_first(i);
        Ok(())
    }

    /// Rows `i` and `j`.
    pub(super) fn pair<K: Kernel<P>>(&mut self, kernel: &K, i: usize, j: usize) -> Result<(&[f32], &[f32]), Error> {
        self.touch(kernel, i)?;
        self.touch(kernel, j)?;
        // At least two rows are kept, so the second did not evict the first.
        Ok((self.row(i), self.row(j)))
    }

    /// Row `i`.
    pub(super) fn one<K: Kernel<P>>(&mut self, kernel: &K, i: usize) -> Result<&[f32], Error> {
        self.touch(kernel, i)?;
        Ok(self.row(i))
    }

    fn row(&self, i: usize) -> &[f32] {
        self.rows[i].as_deref().unwrap_or(&[])
    }

    /// Keeps only these points, ascending, and the parts of the rows that belong to them.
    pub(super) fn restrict(&mut self, keep: &[usize], bytes: usize) -> Result<(), Error> {
        let mut smaller = Self::new(self.points.subset(keep)?, bytes);
        smaller.computed = self.computed;
        let mut place = vec![NONE; self.rows.len()];
        keep.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        // From the least recently used on, so that the order stays.
        let mut at = self.last;
        while at != NONE {
            if let (Some(row), true) = (self.rows[at].take(), place[at] != NONE) {
                smaller.rows[place[at]] = Some(keep.iter().map(|&k| row[k]).collect());
                smaller.link_first(place[at]);
                smaller.kept += 1;
            }
            at = self.before[at];
        }
        *self = smaller;
        Ok(())
    }
}
