//! The scrambled Halton sequence and the normal quantile.

use rand::seq::SliceRandom;

use super::stream;

/// Points that fill the unit cube evenly. Coordinate k is the radical inverse in the k-th prime, each digit place with a random permutation
/// of its own: every point is uniform, and the sequence keeps its evenness.
///
/// Reference: Halton (1960); Owen, *A randomized Halton algorithm in R* (2017).
#[derive(Debug)]
pub(crate) struct Halton {
    bases: Vec<Base>,
}

#[derive(Debug)]
struct Base {
    prime: usize,
    /// A permutation of the digits for each place, one after another.
    permutations: Vec<u32>,
}

impl Halton {
    pub(crate) fn new(dim: usize, seed: u64) -> Self {
        let bases = primes(dim)
            .into_iter()
            .enumerate()
            .map(|(k, prime)| {
                let mut rng = stream(seed, k as u64);
                // Digits down to 2⁻⁵³.
                let places = (53.0 / (prime as f64).log2()).ceil() as usize;
                let permutations = (0..places)
                    .flat_map(|_| {
                        let mut digits: Vec<u32> = (0..prime as u32).collect();
                        digits.shuffle(&mut rng);
                        digits
                    })
                    .collect();
                Base { prime, permutations }
            })
            .collect();
        Self { bases }
    }

    /// Coordinate `k` of point `i`, strictly between 0 and 1.
    pub(crate) fn coordinate(&self, i: usize, k: usize) -> f64 {
        let Base { prime, permutations } = &self.bases[k];
        let (mut rest, mut weight, mut value) = (i, 1.0, 0.0);
        for place in permutations.chunks_exact(*prime) {
            weight /= *prime as f64;
            value += weight * f64::from(place[rest % prime]);
            rest /= prime;
        }
        // The middle of the last cell, so that quantiles are finite.
        (value + 0.5 * weight).clamp(1e-17, 1.0 - f64::EPSILON)
    }
}

/// The first `count` primes.
fn primes(count: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::with_capacity(count);
    let mut candidate = 2;
    while found.len() < count {
        if found.iter().take_while(|p| *p * *p <= candidate).all(|p| candidate % p != 0) {
            found.push(candidate);
        }
        candidate += 1;
    }
    found
}

/// Φ⁻¹(p) of the standard normal distribution: a rational start (Abramowitz & Stegun 26.2.23), then Halley's iteration on erfc.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p);
    if tail <= 0.0 || tail.is_nan() {
        return if p <= 0.0 {
            f64::NEG_INFINITY
        } else if p >= 1.0 {
            f64::INFINITY
        } else {
            f64::NAN
        };
    }
    let t = (-2.0 * tail.ln()).sqrt();
    let start = t
        - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    // The upper tail of x is `tail`.
    let mut x = start;
    for _ in 0..4 {
        let error = 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2) - tail;
        let step = -error * (2.0 * std::f64::consts::PI).sqrt() * (0.5 * x * x).exp();
        x -= step / (1.0 + 0.5 * x * step);
    }
    if p < 0.5 { -x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_probabilities() {
        // Tables of the normal distribution.
        for (p, x) in
            [(0.975, 1.959963984540054), (0.5, 0.0), (0.999, 3.090232306167813), (1e-10, -6.361340902404056)]
        {
            assert!((normal_quantile(p) - x).abs() < 1e-13 * (1.0 + x.abs()), "{p}: {}", normal_quantile(p));
        }
        assert_eq!(normal_quantile(0.25), -normal_quantile(0.75));
        assert!(normal_quantile(f64::NAN).is_nan());
        assert!(normal_quantile(0.0) < -1e300 && normal_quantile(1.0) > 1e300);
    }

    #[test]
    fn each_interval_has_its_share() {
        let halton = Halton::new(4, 3);
        // 2·3·5·7 points: base 3 has 70 in every third, base 7 has 30 in every seventh.
        for (k, parts) in [(0, 2), (1, 3), (2, 5), (3, 7)] {
            let mut counts = vec![0; parts];
            (0..210).for_each(|i| counts[(halton.coordinate(i, k) * parts as f64) as usize] += 1);
            assert!(counts.iter().all(|c| *c == 210 / parts), "{counts:?}");
        }
    }
}
