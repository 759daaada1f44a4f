//! Random numbers by place: a seed, a stream and a position give a number, whatever else was drawn.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of item `stream` of a seed.
pub(crate) fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Uniforms in [0, 1) addressed by stream and position.
#[derive(Clone, Debug)]
pub(crate) struct Uniforms {
    rng: ChaCha8Rng,
}

impl Uniforms {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub(crate) fn at(&mut self, stream: u64, position: usize) -> f64 {
        self.rng.set_stream(stream);
        self.rng.set_word_pos(2 * position as u128);
        self.rng.random()
    }
}
