//! Hermite series that a kernel has made, by activation and variance.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::layers::SERIES_TOLERANCE;
use crate::{Activation, HermiteSeries};

/// Most coefficients that are kept: 32 MB of them.
const ROOM: usize = 1 << 22;

/// Series of one activation by the bits of the variance.
type Known = HashMap<u64, Arc<HermiteSeries>>;

/// Series are made once for each variance and shared by all blocks and clones of a kernel. What is kept never changes a result: a
/// series depends on its activation and variance alone.
#[derive(Clone, Default)]
pub(super) struct SeriesCache(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    series: Vec<(Activation, Known)>,
    coefficients: usize,
}

impl SeriesCache {
    pub(super) fn series(&self, phi: &Activation, variances: &[f64]) -> Vec<Arc<HermiteSeries>> {
        let mut out: Vec<Option<Arc<HermiteSeries>>> = {
            let kept = self.lock();
            let known = kept.series.iter().find(|(a, _)| a == phi).map(|(_, known)| known);
            variances.iter().map(|q| known.and_then(|known| known.get(&q.to_bits()).cloned())).collect()
        };
        // Made outside of the lock; equal variances of one call once.
        let mut missing: Vec<f64> =
            out.iter().zip(variances).filter(|(slot, _)| slot.is_none()).map(|(_, q)| *q).collect();
        if missing.is_empty() {
            return out.into_iter().flatten().collect();
        }
        missing.sort_by(f64::total_cmp);
        missing.dedup_by_key(|q| q.to_bits());
        let series = HermiteSeries::many(phi, &missing, SERIES_TOLERANCE);
        let made: Known = missing.iter().map(|q| q.to_bits()).zip(series.into_iter().map(Arc::new)).collect();
        for (slot, q) in out.iter_mut().zip(variances) {
            if slot.is_none() {
                *slot = made.get(&q.to_bits()).cloned();
            }
        }
        self.lock().keep(phi, made);
        out.into_iter().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Keeps series while there is room; when there is none, those before make way, and what is too much for the room alone is not
    /// kept at all.
    fn keep(&mut self, phi: &Activation, made: Known) {
        let size: usize = made.values().map(|s| 2 * s.terms()).sum();
        if size > ROOM {
            return;
        }
        if self.coefficients + size > ROOM {
            *self = Self::default();
        }
        self.coefficients += size;
        match self.series.iter_mut().find(|(a, _)| a == phi) {
            Some((_, known)) => known.extend(made),
            None => self.series.push((phi.clone(), made)),
        }
    }
}

impl fmt::Debug for SeriesCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeriesCache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_results_do_not_depend_on_what_is_kept() {
        let cache = SeriesCache::default();
        let first = cache.series(&Activation::Tanh, &[1.0, 2.0, 1.0]);
        assert!(Arc::ptr_eq(&first[0], &first[2]));
        let again = cache.series(&Activation::Tanh, &[2.0]);
        assert!(Arc::ptr_eq(&first[1], &again[0]));
        // Of all kinds of variances; kept series are 64 terms each, so that a few rounds fill the room.
        for round in 0..12_u32 {
            let variances: Vec<f64> = (0..8_000).map(|i| 0.5 + f64::from(round * 8_000 + i) * 1e-6).collect();
            cache.series(&Activation::Sigmoid, &variances);
            let kept = cache.lock();
            let held: usize =
                kept.series.iter().flat_map(|(_, known)| known.values()).map(|s| 2 * s.terms()).sum();
            assert!(held <= kept.coefficients && kept.coefficients <= ROOM);
        }
        let later = cache.series(&Activation::Tanh, &[1.0]);
        assert_eq!(*later[0], *first[0]);
    }
}
