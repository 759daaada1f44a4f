//! Rows of a kernel matrix, the most recently used ones kept.

use kernels_core::{Kernel, Points, Real, cross_gram, parallel};

use crate::Error;

const NONE: usize = usize::MAX;

/// Rows that are computed together: a product of matrices costs little more than one with a vector.
pub(super) const TOGETHER: usize = 16;

/// When there is room for all rows and one in so many is kept, the rest is computed at once: most will be asked for.
const FEW: usize = 8;

/// Rows of a strip of them.
const STRIP: usize = 256;

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
    /// k(x, x), noise included.
    diagonal: Vec<f32>,
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
            diagonal: Vec::new(),
            computed: 0,
        }
    }

    fn unlink(&mut self, i: usize) {
        let (before, next) = (self.before[i], self.next[i]);
        if before == NONE {
            self.first = next
        } else {
            self.next[before] = next
        }
        if next == NONE { self.last = before } else { self.before[next] = before }
    }

    fn link_first(&mut self, i: usize) {
        (self.before[i], self.next[i]) = (NONE, self.first);
        if self.first == NONE {
            self.last = i
        } else {
            self.before[self.first] = i
        }
        self.first = i;
    }

    /// With the diagonal of the kernel matrix.
    pub(super) fn with_diagonal(mut self, diagonal: &[f64]) -> Self {
        self.diagonal = diagonal.iter().map(|d| *d as f32).collect();
        self
    }

    fn use_first(&mut self, i: usize) {
        if self.first != i {
            self.unlink(i);
            self.link_first(i);
        }
    }

    /// Whether row `i` is kept.
    pub(super) fn has(&self, i: usize) -> bool {
        self.rows[i].is_some()
    }

    /// Makes sure that row `i` is kept. If it has to be computed, so are those rows of `others` that are not kept, up to
    /// [`TOGETHER`] in all and half of what there is room for.
    fn touch<K: Kernel<P>>(
        &mut self,
        kernel: &K,
        i: usize,
        others: impl FnOnce(&Self) -> Vec<usize>,
    ) -> Result<(), Error> {
        if self.has(i) {
            self.use_first(i);
            return Ok(());
        }
        if self.most >= self.points.len() && self.kept * FEW >= self.points.len() {
            return self.fill(kernel);
        }
        let count = TOGETHER.min(self.most / 2).max(1);
        let mut wanted = vec![i];
        if count > 1 {
            let more = others(self);
            wanted.extend(more.into_iter().filter(|j| *j != i && !self.has(*j)));
            wanted.truncate(count);
        }
        let values = cross_gram(kernel, &self.points, &self.points.subset(&wanted)?)?;
        // The one that is asked for last, so that it is the most recent.
        for (k, &j) in wanted.iter().enumerate().rev() {
            let mut row = if self.kept >= self.most && self.last != NONE {
                let victim = self.last;
                self.unlink(victim);
                self.kept -= 1;
                self.rows[victim].take()
            } else {
                None
            };
            let mut row = row.take().unwrap_or_else(|| vec![0.0; self.points.len()].into_boxed_slice());
            for (to, value) in row.iter_mut().zip(values.column(k).iter()) {
                *to = value.to_f64() as f32;
            }
            self.set_own(j, &mut row);
            self.computed += 1;
            self.rows[j] = Some(row);
            self.kept += 1;
            self.link_first(j);
        }
        Ok(())
    }

    /// Noise on the diagonal is not in a matrix between two data sets.
    fn set_own(&self, i: usize, row: &mut [f32]) {
        if let Some(own) = self.diagonal.get(i) {
            row[i] = *own;
        }
    }

    /// Computes all rows that are not kept, in strips, every pair once; values that a kept row holds are copied. There must be room.
    fn fill<K: Kernel<P>>(&mut self, kernel: &K) -> Result<(), Error> {
        let (kept, missing): (Vec<usize>, Vec<usize>) = (0..self.points.len()).partition(|&i| self.has(i));
        let (this, n) = (&*self, self.points.len());
        let mut fresh: Vec<Box<[f32]>> = vec![Box::default(); missing.len()];
        parallel::fill(&mut fresh, TOGETHER, |first, rows| {
            for (row, &j) in rows.iter_mut().zip(&missing[first..]) {
                *row = vec![0.0; n].into_boxed_slice();
                for &k in &kept {
                    row[k] = this.row(k)[j];
                }
            }
        });
        for start in (0..missing.len()).step_by(STRIP) {
            let rest = &missing[start..];
            let strip = &rest[..STRIP.min(rest.len())];
            let values = cross_gram(kernel, &self.points.subset(rest)?, &self.points.subset(strip)?)?;
            let (values, height) = (values.as_slice(), rest.len());
            let narrow = |value: &P::Scalar| value.to_f64() as f32;
            parallel::fill(&mut fresh[start..], TOGETHER, |first, rows| {
                for (r, row) in (first..).zip(rows) {
                    if r < strip.len() {
                        let column = &values[r * height..(r + 1) * height];
                        rest.iter().zip(column).for_each(|(&j, value)| row[j] = narrow(value));
                        this.set_own(rest[r], row);
                    } else {
                        let across = values[r..].iter().step_by(height);
                        strip.iter().zip(across).for_each(|(&i, value)| row[i] = narrow(value));
                    }
                }
            });
        }
        self.computed += missing.len();
        self.kept += missing.len();
        for (row, i) in fresh.into_iter().zip(missing) {
            self.rows[i] = Some(row);
            self.link_first(i);
        }
        Ok(())
    }

    /// Rows `i` and `j`.
    pub(super) fn pair<K: Kernel<P>>(
        &mut self,
        kernel: &K,
        i: usize,
        j: usize,
        others: impl FnOnce(&Self) -> Vec<usize>,
    ) -> Result<(&[f32], &[f32]), Error> {
        self.touch(kernel, i, |_| Vec::new())?;
        self.touch(kernel, j, others)?;
        // Half of the rows at most were replaced, the least recently used first: `i` is still there, unless there is room for two
        // rows only, which then are these.
        Ok((self.row(i), self.row(j)))
    }

    /// Row `i`.
    pub(super) fn one<K: Kernel<P>>(
        &mut self,
        kernel: &K,
        i: usize,
        others: impl FnOnce(&Self) -> Vec<usize>,
    ) -> Result<&[f32], Error> {
        self.touch(kernel, i, others)?;
        Ok(self.row(i))
    }

    fn row(&self, i: usize) -> &[f32] {
        self.rows[i].as_deref().unwrap_or(&[])
    }

    /// Whether every row is kept.
    pub(super) fn is_complete(&self) -> bool {
        self.kept == self.points.len()
    }

    /// The same with only these points, ascending, and the parts of the rows that belong to them.
    pub(super) fn restricted(&self, keep: &[usize], bytes: usize) -> Result<Self, Error> {
        let mut smaller = Self::new(self.points.subset(keep)?, bytes);
        smaller.computed = self.computed;
        smaller.diagonal = keep.iter().filter_map(|&i| self.diagonal.get(i).copied()).collect();
        let mut place = vec![NONE; self.rows.len()];
        keep.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        // From the least recently used on, so that the order stays.
        let mut at = self.last;
        while at != NONE {
            if let (Some(row), true) = (&self.rows[at], place[at] != NONE) {
                smaller.rows[place[at]] = Some(keep.iter().map(|&k| row[k]).collect());
                smaller.link_first(place[at]);
                smaller.kept += 1;
            }
            at = self.before[at];
        }
        Ok(smaller)
    }
}
