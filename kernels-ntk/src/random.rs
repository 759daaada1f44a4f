//! Random numbers by seed and stream.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard normal numbers of one stream.
pub(crate) struct Normals(ChaCha8Rng);

impl Normals {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub(crate) fn next(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
}
