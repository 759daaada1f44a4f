//! Hermite series that a kernel has made, by activation and variance.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::layers::SERIES_TOLERANCE;
use crate::{Activation, HermiteSeries};

/// Most series that are kept; a series has at most 512 terms, two numbers each.
const ROOM: usize = 1 << 14;

/// Series of one activation by the bits of the variance.
type Known = HashMap<u64, Arc<HermiteSeries>>;

/// Series are made once for each variance and shared by all blocks and clones of a kernel. What is kept never changes a result: a
/// series depends on its activation and variance alone.
#[derive(Clone, Default)]
pub(super) struct SeriesCache(Arc<Mutex<Vec<(Activation, Known)>>>);

impl SeriesCache {
    pub(super) fn series(&self, phi: &Activation, variances: &[f64]) -> Vec<Arc<HermiteSeries>> {
        let mut out: Vec<Option<Arc<HermiteSeries>>> =
            self.with(phi, |known| variances.iter().map(|q| known.get(&q.to_bits()).cloned()).collect());
        // Made outside of the lock; equal variances of one call once.
        let mut made = Known::new();
        for (slot, q) in out.iter_mut().zip(variances) {
            if slot.is_none() {
                let series = made
                    .entry(q.to_bits())
                    .or_insert_with(|| Arc::new(HermiteSeries::of(phi, *q, SERIES_TOLERANCE)));
                *slot = Some(series.clone());
            }
        }
        if !made.is_empty() {
            self.with(phi, |known| {
                if known.len() + made.len() > ROOM {
                    known.clear();
                }
                known.extend(made);
            });
        }
        out.into_iter().flatten().collect()
    }

    fn with<R>(&self, phi: &Activation, work: impl FnOnce(&mut Known) -> R) -> R {
        // A panic elsewhere leaves whole entries.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match all.iter().position(|(a, _)| a == phi) {
            Some(at) => at,
            None => {
                all.push((phi.clone(), Known::new()));
                all.len() - 1
            }
        };
        work(&mut all[at].1)
    }
}

impl fmt::Debug for SeriesCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeriesCache")
    }
}
